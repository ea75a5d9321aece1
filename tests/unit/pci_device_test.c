/* SPDX-License-Identifier: MIT */
/*
 * One PCI function: capability lists, BARs, MSI and MSI-X.
 */
#include "tests/unit/pci_fake.h"

/* ---- capabilities ---------------------------------------------------------------------- */

static void test_capabilities(void)
{
	struct iommu_device_desc desc;

	fake_start();
	struct fake *fake = fake_add(0, 0, 1, 0, 0x010802, 0);
	unsigned msi = fake_capability(fake, 0x05, 24);
	unsigned msix = fake_capability(fake, 0x11, 12);
	unsigned express = fake_express(fake, PCI_EXPRESS_INTEGRATED);
	unsigned ats = fake_extended(fake, 0x0f), pri = fake_extended(fake, 0x13);
	unsigned pasid = fake_extended(fake, 0x1b), sriov = fake_extended(fake, 0x10);
	unsigned ari = fake_extended(fake, 0x0e), acs = fake_acs(fake);
	fake_allow(fake, sriov + 8, 2, 0xffff);
	fake_scan(0);
	struct pci_device *device = fake_device(0, 1, 0);
	KTAP_EQUAL(device->msi, msi);
	KTAP_EQUAL(device->msix, msix);
	KTAP_EQUAL(device->express, express);
	KTAP_EQUAL(device->express_type, PCI_EXPRESS_INTEGRATED);
	KTAP_EQUAL(device->ats, ats);
	KTAP_EQUAL(device->pri, pri);
	KTAP_EQUAL(device->pasid, pasid);
	KTAP_EQUAL(device->sriov, sriov);
	KTAP_EQUAL(device->ari, ari);
	KTAP_EQUAL(device->acs, acs);
	KTAP_EQUAL(fake_get(fake, sriov + 8, 2), 0); /* virtual functions stay off */
	pci_describe(device, &desc);
	KTAP_EQUAL(desc.ats_queue_depth, 32);
	fake_set(fake, ats + 4, 2, 0x27);
	pci_describe(device, &desc);
	KTAP_EQUAL(desc.ats_queue_depth, 7);
	fake_end();

	/* a conventional function has no extended space, whatever is there */
	fake_start();
	fake_extended(fake_add(0, 0, 1, 0, 0x020000, 0), 0x0f);
	fake_scan(0);
	KTAP_EQUAL(fake_device(0, 1, 0)->ats, 0);
	fake_end();
}

static void test_damaged_lists(void)
{
	struct fake *fake;
	unsigned at;

	/* a list that bites its tail; what it has is used */
	fake_start();
	fake = fake_add(0, 0, 1, 0, 0x020000, 0);
	at = fake_capability(fake, 0x05, 24);
	fake_set(fake, fake_capability(fake, 0x11, 12) + 1, 1, at);
	fake_scan(1);
	KTAP_CHECK(strstr(fm.text, "capability list leads back to 0x40") != NULL);
	KTAP_CHECK(fake_device(0, 1, 0)->msi && fake_device(0, 1, 0)->msix);
	fake_end();
	/* into the header */
	fake_start();
	fake = fake_add(0, 0, 1, 0, 0x020000, 0);
	fake_set(fake, fake_capability(fake, 0x05, 24) + 1, 1, 0x3f);
	fake_scan(1);
	KTAP_CHECK(strstr(fm.text, "into the header, to 0x3c") != NULL);
	fake_end();
	/* all ones */
	fake_start();
	fake = fake_add(0, 0, 1, 0, 0x020000, 0);
	fake_set(fake, fake_capability(fake, 0x05, 24), 2, 0xffff);
	fake_scan(1);
	KTAP_CHECK(strstr(fm.text, "all ones") != NULL);
	fake_end();
	/* a pointer without the status bit is not followed */
	fake_start();
	fake = fake_add(0, 0, 1, 0, 0x020000, 0);
	fake_capability(fake, 0x05, 24);
	fake_set(fake, 6, 2, 0);
	fake_scan(0);
	KTAP_EQUAL(fake_device(0, 1, 0)->msi, 0);
	fake_end();
	/* the extended list: a circle, into the header, empty, all ones */
	static const struct {
		uint32_t header;
		const char *words;
	} extended[] = {
		{0x1001000f, "extended capability list leads back to 0x100"},
		{0x0041000f, "leads into the header, to 0x4"},
		{0, NULL},
		{0xffffffff, NULL},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(extended); i++) {
		fake_start();
		fake = fake_endpoint(0, 1, 0);
		fake_set(fake, 0x100, 4, extended[i].header);
		fake_scan(extended[i].words ? 1 : 0);
		KTAP_CHECK(!extended[i].words || strstr(fm.text, extended[i].words));
		fake_end();
	}
	/* the longest list there can be */
	fake_start();
	fake = fake_endpoint(0, 1, 0);
	for (at = 0x100; at < 0xffc; at += 4)
		fake_set(fake, at, 4, 0x0b | 1 << 16 | (at + 4) << 20);
	fake_set(fake, 0xffc, 4, 0x0f | 1 << 16);
	fake_scan(0);
	KTAP_EQUAL(fake_device(0, 1, 0)->ats, 0xffc);
	fake_end();
}

/* ---- BARs ------------------------------------------------------------------------------------ */

static void expect_bar(const struct pci_device *device, unsigned n, uint64_t base, uint64_t bytes)
{
	KTAP_EQUAL(device->bars[n].base, base);
	KTAP_EQUAL(device->bars[n].bytes, bytes);
}

static void test_bars(void)
{
	uint8_t before[FAKE_BYTES];

	fake_start();
	struct fake *fake = fake_add(0, 0, 1, 0, 0x010802, 0);
	fake_bar(fake, 0, 0xfebd0000, 0xffff0000); /* 64 KiB */
	fake_bar(fake, 1, 0xc001, 0xffe0);         /* 32 ports, upper half fixed */
	fake_bar(fake, 2, 0x0000000c, 0x00000000); /* 64 bits, prefetchable, 8 GiB */
	fake_bar(fake, 3, 0x38, 0xfffffffe);
	fake_bar(fake, 5, 0xd001, 0xfffffffc); /* 4 ports */
	memcpy(before, fake->bytes, sizeof(before));
	before[4] = 3; /* bus mastering went off */
	fake_scan(0);
	const struct pci_device *device = fake_device(0, 1, 0);
	expect_bar(device, 0, 0xfebd0000, 0x10000);
	expect_bar(device, 1, 0xc000, 0x20);
	KTAP_CHECK(device->bars[1].is_port && !device->bars[0].is_port);
	expect_bar(device, 2, UINT64_C(0x3800000000), UINT64_C(0x200000000));
	KTAP_CHECK(device->bars[2].is_64 && device->bars[2].is_prefetchable);
	expect_bar(device, 3, 0, 0);
	expect_bar(device, 4, 0, 0);
	expect_bar(device, 5, 0xd000, 4);
	KTAP_CHECK(memcmp(before, fake->bytes, sizeof(before)) == 0);
	fake_end();

	/* 64 bits in the last register; holes in the writable bits; unassigned */
	fake_start();
	fake = fake_add(0, 0, 1, 0, 0x010802, 0);
	fake_bar(fake, 5, 0xfe000004, 0xfff00000);
	fake_bar(fake, 0, 0xfe000000, 0xfe0ff000);
	fake_bar(fake, 1, 0, 0xfffff000);
	fake_scan(2);
	KTAP_CHECK(strstr(fm.text, "BAR 5 says 64 bits") != NULL);
	expect_bar(fake_device(0, 1, 0), 5, 0, 0);
	expect_bar(fake_device(0, 1, 0), 0, 0xfe000000, 0x1000);
	expect_bar(fake_device(0, 1, 0), 1, 0, 0x1000);
	fake_end();
	/* a bridge has two; a host bridge is left alone */
	fake_start();
	fake = fake_port(0, 1, 0, 1, 1, PCI_EXPRESS_ROOT_PORT, true);
	fake_bar(fake, 0, 0xfebf0000, 0xfffff000);
	fake_allow(fake, 0x18, 4, 0xffffffff);
	fake_allow(fake, 0x20, 4, 0xfff0fff0);
	fake = fake_add(0, 0, 0, 0, 0x060000, 0);
	fake_bar(fake, 0, 0xe0000008, 0xf0000000);
	fake_scan(0);
	expect_bar(fake_device(0, 1, 0), 0, 0xfebf0000, 0x1000);
	for (unsigned n = 2; n < 6; n++)
		expect_bar(fake_device(0, 1, 0), n, 0, 0);
	KTAP_EQUAL(fake_device(0, 1, 0)->secondary_bus, 1);
	expect_bar(fake_device(0, 0, 0), 0, 0, 0);
	fake_end();
}

/** A root port whose windows are 2 MiB at 0xfe000000 and 2 GiB at 0x800000000. */
static void build_windows(void)
{
	fake_start();
	struct fake *port = fake_port(0, 1, 0, 1, 2, PCI_EXPRESS_ROOT_PORT, true);
	fake_set(port, 0x20, 4, 0xfe10fe00);
	fake_set(port, 0x24, 4, 0x7ff10001);
	fake_set(port, 0x28, 4, 8);
	fake_set(port, 0x2c, 4, 8);
}

static void test_unassigned(void)
{
	uint8_t before[FAKE_BYTES];

	build_windows();
	struct fake *other = fake_endpoint(1, 0, 0);
	fake_set(other, 14, 1, 0x80);
	fake_bar(other, 0, 0xfe000000, 0xffff0000); /* has an address, and keeps it */
	struct fake *fake = fake_endpoint(1, 0, 1);
	fake_bar(fake, 0, 0, 0xffff8000);  /* 32 KiB: right behind */
	fake_bar(fake, 1, 12, 0xc0000000); /* 1 GiB, 64 bits, prefetchable */
	fake_bar(fake, 2, 0, 0xffffffff);
	fake_bar(fake, 3, 0, 0xfff00000); /* 1 MiB: the second half */
	fake_bar(fake, 4, 0, 0xffc00000); /* 4 MiB: no room */
	fake_bar(fake, 5, 1, 0xfffffffc); /* ports are left alone */
	memcpy(before, other->bytes, sizeof(before));
	before[4] = 3;
	fake_scan(4);
	struct pci_device *device = fake_device(1, 0, 1);
	KTAP_EQUAL(device->bars[0].base, 0xfe010000);
	KTAP_EQUAL(device->bars[1].base, UINT64_C(0x800000000));
	KTAP_EQUAL(device->bars[3].base, 0xfe100000);
	KTAP_EQUAL(device->bars[4].base, 0);
	KTAP_EQUAL(fake_get(fake, 0x10, 4), 0xfe010000);
	KTAP_EQUAL(fake_get(fake, 0x14, 4), 12);
	KTAP_EQUAL(fake_get(fake, 0x18, 4), 8);
	KTAP_EQUAL(fake_get(fake, 0x20, 4), 0);
	KTAP_EQUAL(fake_get(fake, 0x24, 4), 1);
	KTAP_EQUAL(fake_get(fake, 4, 2), 3);
	KTAP_CHECK(memcmp(before, other->bytes, sizeof(before)) == 0);
	KTAP_CHECK(strstr(fm.text,
	                  "PCI 01:00.1: firmware gave BAR 4 (0x400000 bytes) no address: no "
	                  "room") != NULL);
	fake_end();

	/* a bridge beside it takes its windows; a closed window has no room; nor a root bus */
	build_windows();
	fake_set(fake_at(0, RID(0, 1, 0)), 0x40 + 2, 2, 2 | PCI_EXPRESS_UPSTREAM << 4);
	struct fake *below = fake_bridge(0, 1, 1, 0, 2, 2);
	fake_set(below, 0x20, 4, 0xfe00fe00);
	fake_set(below, 0x24, 4, 0x0000fff0);
	fake = fake_endpoint(1, 0, 0);
	fake_bar(fake, 0, 0, 0xfffff000);
	fake_bar(fake_endpoint(2, 0, 0), 0, 8, 0xfffff000);
	fake_bar(fake_endpoint(0, 2, 0), 0, 0, 0xfffff000);
	fake_scan(3);
	KTAP_EQUAL(fake_device(1, 0, 0)->bars[0].base, 0xfe100000);
	KTAP_EQUAL(fake_device(2, 0, 0)->bars[0].base, 0xfe000000);
	KTAP_EQUAL(fake_device(0, 2, 0)->bars[0].base, 0);
	fake_end();
	fake_set(fake_at(0, RID(0, 1, 0)), 4, 2, 0);
	fake_bar(fake, 0, 0, 0xfffff000);
	fake_scan(2);
	KTAP_EQUAL(fake_device(1, 0, 0)->bars[0].base, 0);
	fake_end();
}

/* ---- MSI and MSI-X ---------------------------------------------------------------------------- */

static const struct iommu_msi message = {.address = 0xfee01000, .data = 0x4041};

static struct pci_device *msi_device(uint32_t control, unsigned *at)
{
	fake_start();
	struct fake *fake = fake_add(0, 0, 1, 0, 0x020000, 0);
	*at = fake_capability(fake, 0x05, 24);
	fake_set(fake, *at + 2, 2, control);
	fake_allow(fake, *at + 2, 2, 0x71);
	fake_allow(fake, *at + 4, 4, 0xfffffffc);
	for (unsigned i = 8; i < 24; i += 4)
		fake_allow(fake, *at + i, 4, 0xffffffff);
	fake_scan(0);
	return fake_device(0, 1, 0);
}

static void test_msi(void)
{
	unsigned at;
	struct pci_device *device = msi_device(0x0000, &at);
	struct fake *fake = &fm.functions[0];

	KTAP_EQUAL(pci_msi_enable(device, &message, NULL), 0);
	KTAP_EQUAL(fake_get(fake, at + 2, 2), 1);
	KTAP_EQUAL(fake_get(fake, at + 4, 4), 0xfee01000);
	KTAP_EQUAL(fake_get(fake, at + 8, 2), 0x4041);
	KTAP_EQUAL(fake_get(fake, at + 12, 4), 0);
	KTAP_EQUAL(fake_get(fake, 4, 2), 0x0403); /* decoding on, INTx off, no bus mastering */
	fake_end();

	/* 64 bits and masks; firmware had it on with four vectors */
	device = msi_device(0x01a5, &at);
	fake = &fm.functions[0];
	struct iommu_msi high = {.address = UINT64_C(0x1fee01000), .data = 0x4041};
	KTAP_EQUAL(pci_msi_enable(device, &high, NULL), 0);
	KTAP_EQUAL(fake_get(fake, at + 2, 2), 0x0185);
	KTAP_EQUAL(fake_get(fake, at + 4, 4), 0xfee01000);
	KTAP_EQUAL(fake_get(fake, at + 8, 4), 1);
	KTAP_EQUAL(fake_get(fake, at + 12, 2), 0x4041);
	KTAP_EQUAL(fake_get(fake, at + 16, 4), 0xfffffffe);
	fake_end();

	/* what does not fit changes nothing */
	device = msi_device(0x0000, &at);
	struct fake before = fm.functions[0];
	static const struct iommu_msi bad[] = {
		{UINT64_C(0x1fee01000), 0x41}, {0xfee01001, 0x41}, {0xfee01000, 0x10000}};
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		KTAP_EQUAL(pci_msi_enable(device, &bad[i], NULL), -EINVAL);
	KTAP_CHECK(memcmp(&before, &fm.functions[0], sizeof(before)) == 0);
	fake_end();
	fake_start();
	fake_add(0, 0, 1, 0, 0x020000, 0);
	fake_scan(0);
	KTAP_EQUAL(pci_msi_enable(fake_device(0, 1, 0), &message, NULL), -ENODEV);
	KTAP_EQUAL(pci_msix_bar(fake_device(0, 1, 0)), -ENODEV);
	fake_end();
}

/** A BAR with an MSI-X table of four vectors at 0x800. */
static struct table {
	uint32_t words[0x240];
	unsigned written_unmasked, outside;
	unsigned control_at;
} table;

static uint64_t table_read(void *ctx, uint32_t offset, unsigned width)
{
	(void)ctx, (void)width;
	return table.words[offset / 4];
}

static void table_write(void *ctx, uint32_t offset, unsigned width, uint64_t value)
{
	(void)ctx;
	/* the whole function is masked while its table is written */
	if ((fake_get(&fm.functions[0], table.control_at, 2) & 0xc000) != 0xc000)
		table.written_unmasked++;
	if (width != 4 || offset < 0x800 || offset >= 0x840)
		table.outside++;
	else
		table.words[offset / 4] = (uint32_t)value;
}

static void test_msix(void)
{
	static const struct mmio_ops ops = {table_read, table_write};
	struct mmio window = {.bytes = 0x840, .ops = &ops};

	fake_start();
	memset(&table, 0, sizeof(table));
	struct fake *fake = fake_add(0, 0, 1, 0, 0x010802, 0);
	unsigned at = fake_capability(fake, 0x11, 12);
	fake_set(fake, at + 2, 2, 3);
	fake_allow(fake, at + 2, 2, 0xc000);
	fake_set(fake, at + 4, 4, 0x800 | 4);
	table.control_at = at + 2;
	fake_scan(0);
	struct pci_device *device = fake_device(0, 1, 0);
	KTAP_EQUAL(pci_msix_bar(device), 4);

	struct fake before = *fake;
	KTAP_EQUAL(pci_msi_enable(device, &message, NULL), -ENODEV);
	window.bytes = 0x83f;
	KTAP_EQUAL(pci_msi_enable(device, &message, &window), -EINVAL);
	KTAP_CHECK(memcmp(&before, fake, sizeof(before)) == 0);
	window.bytes = 0x840;
	KTAP_EQUAL(pci_msi_enable(device, &message, &window), 0);
	KTAP_EQUAL(table.written_unmasked, 0);
	KTAP_EQUAL(table.outside, 0);
	KTAP_EQUAL(table.words[0x800 / 4], 0xfee01000);
	KTAP_EQUAL(table.words[0x804 / 4], 0);
	KTAP_EQUAL(table.words[0x808 / 4], 0x4041);
	KTAP_EQUAL(table.words[0x80c / 4], 0);
	for (unsigned n = 1; n < 4; n++)
		KTAP_EQUAL(table.words[(0x80c + 16 * n) / 4], 1);
	KTAP_EQUAL(fake_get(fake, at + 2, 2), 0x8003);
	KTAP_EQUAL(fake_get(fake, 4, 2), 0x0403);
	/* a table in a BAR that does not exist, or beyond 4 GiB */
	fake_set(fake, at + 4, 4, 0x800 | 6);
	KTAP_EQUAL(pci_msix_bar(device), -ENODEV);
	KTAP_EQUAL(pci_msi_enable(device, &message, &window), -ENODEV);
	fake_set(fake, at + 4, 4, 0xfffffff8);
	window.bytes = UINT64_MAX;
	KTAP_CHECK(pci_msi_enable(device, &message, &window) < 0);
	fake_end();
}

static const struct ktap_case cases[] = {
	{"capabilities are found", test_capabilities},
	{"damaged capability lists end", test_damaged_lists},
	{"BARs are sized and left as they were", test_bars},
	{"BARs without an address get one where a bridge has room", test_unassigned},
	{"MSI", test_msi},
	{"MSI-X", test_msix},
};
KTAP_MAIN(cases)
