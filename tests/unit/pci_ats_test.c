/* SPDX-License-Identifier: MIT */
/*
 * ATS, PASID and page requests of a PCI function: what the core is told of them, and in
 * which order they are switched.
 */
#include "tests/unit/pci_fake.h"

/** A write to the control registers of the three, in order: 'A', 'P' or 'R' and the value;
 *  "o" is the allocation of outstanding requests. */
static struct record {
	unsigned ats, pasid, pri;
	char text[256];
	size_t bytes;
	uint32_t stuck;       /* bits of the ATS control register that cannot be set */
	unsigned stops_after; /* readings of the page request status until it has stopped */
	unsigned status_reads;
	bool gone;
} record;

static void record_append(char what, uint32_t value)
{
	record.bytes +=
		(size_t)snprintf(record.text + record.bytes, sizeof(record.text) - record.bytes,
	                         "%s%c%x", record.bytes ? " " : "", what, (unsigned)value);
}

static void record_write(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset,
                         unsigned width, uint32_t value)
{
	struct fake *fake = fake_at(segment, rid);

	if (record.ats && offset == record.ats + 6)
		record_append('A', value), value &= ~record.stuck;
	else if (record.pasid && offset == record.pasid + 6)
		record_append('P', value);
	else if (record.pri && offset == record.pri + 4)
		record_append('R', value);
	else if (record.pri && offset == record.pri + 6)
		record_append('s', value);
	else if (record.pri && offset == record.pri + 12)
		record_append('o', value);
	fake_write(ctx, segment, rid, offset, width, value);
	if (record.pri && fake && offset == record.pri + 4) {
		/* enabled: not stopped; disabled: stopped after a while; a reset does not stay */
		if (value & 1)
			fake_set(fake, record.pri + 6, 2, 0x8000);
		else
			record.status_reads = 0;
		fake_set(fake, record.pri + 4, 2, value & 1);
	}
}

static uint32_t record_read(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset,
                            unsigned width)
{
	struct fake *fake = fake_at(segment, rid);

	if (record.gone)
		return width >= 4 ? UINT32_MAX : (1u << 8 * width) - 1;
	if (record.pri && fake && offset == record.pri + 6 &&
	    !(fake_get(fake, record.pri + 4, 2) & 1) && record.status_reads++ >= record.stops_after)
		fake_set(fake, offset, 2, 0x8100);
	return fake_read(ctx, segment, rid, offset, width);
}

/** An integrated endpoint with all three; PASIDs of 20 bits with both permissions. */
static struct fake *build(void)
{
	fake_start();
	memset(&record, 0, sizeof(record));
	struct fake *fake = fake_add(0, 0, 1, 0, 0x020000, 0);
	fake_express(fake, PCI_EXPRESS_INTEGRATED);
	record.ats = fake_extended(fake, 0x0f);
	record.pasid = fake_extended(fake, 0x1b);
	record.pri = fake_extended(fake, 0x13);
	fake_set(fake, record.ats + 4, 2, 0x20);
	fake_allow(fake, record.ats + 6, 2, 0x801f);
	fake_set(fake, record.pasid + 4, 2, 20 << 8 | 6);
	fake_allow(fake, record.pasid + 6, 2, 7);
	fake_allow(fake, record.pri + 4, 2, 3);
	fake_set(fake, record.pri + 6, 2, 0x8000);
	fake_set(fake, record.pri + 8, 4, 0x40);
	fake_allow(fake, record.pri + 12, 4, 0xffffffff);
	return fake;
}

static struct iommu_device_desc describe(unsigned bus, unsigned slot)
{
	struct iommu_device_desc desc;

	fake_scan(0);
	fm.access.write = record_write;
	fm.access.read = record_read;
	pci_describe(fake_device(bus, slot, 0), &desc);
	return desc;
}

/** Switch, and expect these writes. */
static void expect(const struct iommu_device_desc *desc, bool ats, bool pasid, bool pri, int result,
                   const char *writes)
{
	record.bytes = 0;
	record.text[0] = 0;
	KTAP_EQUAL(desc->capabilities_set(desc->capabilities_ctx, ats, pasid, pri), result);
	if (strcmp(record.text, writes) != 0)
		printf("# wrote: %s; wanted: %s\n", record.text, writes);
	KTAP_CHECK(strcmp(record.text, writes) == 0);
	KTAP_EQUAL(fm.accidents, 0);
}

static void test_order(void)
{
	build();
	struct iommu_device_desc desc = describe(0, 1);

	KTAP_EQUAL(desc.ats_queue_depth, 32);
	KTAP_EQUAL(desc.pasid_bits, 20);
	KTAP_CHECK(desc.pasid_exec && desc.pasid_priv && desc.page_requests);
	expect(&desc, false, false, false, 0, "");
	expect(&desc, true, true, true, 0, "P7 A8000 R2 s3 o40 R1");
	expect(&desc, true, true, true, 0, "");
	expect(&desc, true, true, false, 0, "R0");
	expect(&desc, true, true, true, 0, "R2 s3 o40 R1");
	/* the PASID capability changes: all that leans on it goes off first */
	expect(&desc, true, false, true, 0, "R0 A0 P0 A8000 R2 s3 o40 R1");
	expect(&desc, true, true, true, 0, "R0 A0 P7 A8000 R2 s3 o40 R1");
	expect(&desc, false, false, false, 0, "R0 A0 P0");
	expect(&desc, false, true, false, 0, "P7");
	expect(&desc, false, false, false, 0, "P0");
	expect(&desc, true, false, false, 0, "A8000");
	expect(&desc, false, false, false, 0, "A0");
	fake_end();
}

static void test_refusals(void)
{
	struct fake *fake = build();
	struct iommu_device_desc desc = describe(0, 1);

	/* page requests without ATS */
	expect(&desc, false, false, true, -EIO, "");
	/* ATS that does not go on: PASID goes back */
	record.stuck = 0x8000;
	expect(&desc, true, true, false, -EIO, "P7 A8000 P0");
	KTAP_EQUAL(fake_get(fake, record.pasid + 6, 2), 0);
	record.stuck = 0;
	/* PASID that goes on without a permission that it says it has: ATS is not tried */
	fake_allow(fake, record.pasid + 6, 2, 5);
	expect(&desc, true, true, false, -EIO, "P7 P0");
	KTAP_EQUAL(fake_get(fake, record.pasid + 6, 2), 0);
	fake_allow(fake, record.pasid + 6, 2, 7);
	/* an interface that stops late, and one that never stops */
	record.stops_after = 5;
	expect(&desc, true, true, true, 0, "P7 A8000 R2 s3 o40 R1");
	record.stops_after = UINT32_MAX;
	expect(&desc, true, true, false, 0, "R0");
	uint64_t before = fm.test.now_ns;
	expect(&desc, true, true, true, -EIO, "");
	KTAP_CHECK(fm.test.now_ns - before >= 100000000 && fm.test.now_ns - before < 200000000);
	KTAP_EQUAL(fake_get(fake, record.ats + 6, 2), 0x8000); /* as it was */
	KTAP_EQUAL(fake_get(fake, record.pasid + 6, 2), 7);
	/* a function that went away is not "on already" */
	record.gone = true;
	expect(&desc, true, true, false, -EIO, "");
	expect(&desc, false, false, false, -EIO, "");
	fake_end();
}

static void test_partly(void)
{
	struct fake *fake;
	struct iommu_device_desc desc;

	/* PASIDs too wide to be true, none but 0, and without permissions */
	static const struct {
		uint32_t capability;
		unsigned bits;
		bool exec, priv;
	} pasids[] = {
		{20 << 8, 20, false, false},    {1 << 8 | 2, 1, true, false},
		{16 << 8 | 4, 16, false, true}, {6, 0, false, false},
		{21 << 8 | 6, 0, false, false}, {0xffff, 0, false, false},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(pasids); i++) {
		fake = build();
		fake_set(fake, record.pasid + 4, 2, pasids[i].capability);
		desc = describe(0, 1);
		KTAP_EQUAL(desc.pasid_bits, pasids[i].bits);
		KTAP_EQUAL(desc.pasid_exec, pasids[i].exec);
		KTAP_EQUAL(desc.pasid_priv, pasids[i].priv);
		fake_end();
	}
	/* answers with a PASID are refused, and PASIDs are used; no request may be outstanding */
	fake = build();
	fake_set(fake, record.pri + 6, 2, 0);
	fake_set(fake, record.pasid + 4, 2, 20 << 8);
	fake_scan(0);
	pci_describe(fake_device(0, 1, 0), &desc);
	KTAP_CHECK(!desc.page_requests && desc.ats_queue_depth == 32);
	fake_set(fake, record.pasid + 4, 2, 0);
	pci_describe(fake_device(0, 1, 0), &desc);
	KTAP_CHECK(desc.page_requests);
	fake_set(fake, record.pri + 8, 4, 0);
	pci_describe(fake_device(0, 1, 0), &desc);
	KTAP_CHECK(!desc.page_requests);
	fake_end();
	/* page requests without ATS */
	fake = build();
	fake_set(fake, record.ats, 2, 0x0b);
	record.ats = 0;
	desc = describe(0, 1);
	KTAP_CHECK(!desc.page_requests && desc.ats_queue_depth == 0 && desc.pasid_bits == 20);
	expect(&desc, true, false, false, -EIO, "");
	expect(&desc, false, true, false, 0, "P7");
	fake_end();
	/* nothing to switch */
	fake_start();
	fake_endpoint(0, 1, 0);
	desc = describe(0, 1);
	KTAP_CHECK(!desc.capabilities_set && !desc.page_requests && desc.pasid_bits == 0);
	fake_end();
	/* a list that puts them at the very end of the space, where they cannot lie */
	fake_start();
	memset(&record, 0, sizeof(record));
	fake = fake_endpoint(0, 1, 0);
	fake_set(fake, 0x100, 4, 0x0b | 1 << 16 | 0xff4u << 20);
	fake_set(fake, 0xff4, 4, 0x13 | 1 << 16 | 0xff8u << 20);
	fake_set(fake, 0xff8, 4, 0x0f | 1 << 16 | 0xffcu << 20);
	fake_set(fake, 0xffc, 4, 0x1b | 1 << 16);
	desc = describe(0, 1);
	KTAP_EQUAL(fake_device(0, 1, 0)->pasid, 0xffc);
	KTAP_CHECK(desc.pasid_bits == 0 && !desc.page_requests);
	KTAP_EQUAL(desc.ats_queue_depth, 0x1b); /* its eight bytes just fit */
	KTAP_EQUAL(fm.accidents, 0);
	fake_end();
}

/** An endpoint with PASID and ATS below a root port that passes prefixes on or not. */
static struct iommu_device_desc below(unsigned version, uint32_t capabilities2)
{
	fake_start();
	memset(&record, 0, sizeof(record));
	struct fake *port = fake_port(0, 1, 0, 1, 1, PCI_EXPRESS_ROOT_PORT, true);
	fake_set(port, 0x42, 2, version | PCI_EXPRESS_ROOT_PORT << 4);
	fake_set(port, 0x40 + 0x24, 4, capabilities2);
	struct fake *fake = fake_endpoint(1, 0, 0);
	fake_extended(fake, 0x0f);
	fake_set(fake, fake_extended(fake, 0x1b) + 4, 2, 20 << 8);
	struct iommu_device_desc desc = describe(1, 0);
	fake_end();
	return desc;
}

static void test_path(void)
{
	KTAP_EQUAL(below(2, 1 << 21).pasid_bits, 20);
	KTAP_EQUAL(below(2, 0).pasid_bits, 0);
	KTAP_EQUAL(below(1, 1 << 21).pasid_bits, 0); /* version 1 has no such register */
	KTAP_EQUAL(below(2, 0).ats_queue_depth, 32); /* ATS needs no prefix */
}

static const struct ktap_case cases[] = {
	{"the three go on and off in order", test_order},
	{"what cannot be switched leaves all as it was", test_refusals},
	{"functions that have a part of it", test_partly},
	{"PASIDs need a path that passes them on", test_path},
};
KTAP_MAIN(cases)
