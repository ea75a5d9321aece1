/* SPDX-License-Identifier: MIT */
/*
 * The fault log of a fake unit, drained in order, and the software walk that explains a
 * fault, in each mode.
 */
#include "tests/unit/vtd_bench.h"

static struct iommu_fault seen[16];
static unsigned seen_count;

static void on_fault(void *ctx, const struct iommu_fault *fault)
{
	(void)ctx;
	if (seen_count < ARRAY_SIZE(seen))
		seen[seen_count++] = *fault;
}

static void faults(void)
{
	uint64_t cap = (FAKE_PLAIN_CAP & ~(UINT64_C(0xff) << 40)) | UINT64_C(3) << 40;

	fake_init(&fake, cap, FAKE_PLAIN_ECAP);
	fake.options.on_fault = on_fault;
	fake.has_msi = true;
	fake_fault(&fake, 0, 0x1000, 0x18, 0, 0x05); /* firmware's */
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(fake_device(&fake, 3, 0, &device), 0);
	KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
	KTAP_EQUAL(seen_count, 0);
	/* the message: FEDATA, FEADDR, FEUADDR, and unmasked */
	KTAP_EQUAL(fake_get32(&fake, 0x3c), 0x41);
	KTAP_EQUAL(fake_get32(&fake, 0x40), 0xfee01000);
	KTAP_EQUAL(fake_get32(&fake, 0x44), 1);
	KTAP_EQUAL(fake_get32(&fake, FAKE_FECTL) >> 31, 0);
	KTAP_CHECK(fake.handler != NULL);

	/* a ring that starts at 2, in order: write, read, atomic, PASID and privileged page request */
	fake_fault(&fake, 2, 0x10000, 0x18, 0, 0x05);
	fake_fault(&fake, 3, 0x20000, 0x18, 0, 1u << 30 | 0x06);
	fake_fault(&fake, 0, 0x30000, 0x99, 1u << 28, 1u << 30 | 0x06);
	fake_fault(&fake, 1, 0x40000, 0x18, 1u << 31 | 1u << 29 | 1u << 28, 0x123 << 8 | 0x71);
	fake_set32(&fake, FAKE_FSTS, fake_get32(&fake, FAKE_FSTS) | 1); /* PFO */
	fake.handler(fake.handler_arg);
	KTAP_EQUAL(seen_count, 4);
	for (unsigned i = 0; i < 4; i++)
		KTAP_EQUAL(seen[i].address.value, 0x10000 * (i + 1));
	KTAP_EQUAL(seen[0].access, IOMMU_WRITE);
	KTAP_EQUAL(seen[1].access, IOMMU_READ);
	KTAP_EQUAL(seen[2].access, IOMMU_READ | IOMMU_WRITE | IOMMU_ATOMIC);
	KTAP_EQUAL(seen[3].access, IOMMU_READ | IOMMU_WRITE | IOMMU_PRIV);
	KTAP_CHECK(seen[3].has_pasid && seen[3].pasid == 0x123 && !seen[2].has_pasid);
	KTAP_CHECK(seen[0].device == device && !seen[2].device);
	KTAP_CHECK(strcmp(seen[0].mnemonic, "LGN.2") == 0);
	KTAP_CHECK(strcmp(seen[3].mnemonic, "SFS.2") == 0);
	FAKE_LOG(&fake, "PFO");
	KTAP_EQUAL(fake_get32(&fake, FAKE_FSTS), 0x200); /* FRI alone is left */
	KTAP_EQUAL(iommu_poll(&fake.iommu), 0);
	KTAP_EQUAL(device->faults, 3);

	/* an interrupt request: the index is in the upper bits */
	fake_set64(&fake, FAKE_FRCD, 0);
	fake_fault(&fake, 0, 0, 0x18, 0, 0x22);
	fake_set64(&fake, FAKE_FRCD, UINT64_C(0x1234) << 48);
	KTAP_EQUAL(iommu_poll(&fake.iommu), 1);
	KTAP_CHECK(seen[4].interrupt && seen[4].address.value == 0x1234);
	iommu_disable(&fake.iommu);
	KTAP_CHECK(!fake.msi_taken);
	fake_exit(&fake);
	seen_count = 0;
}

/** A walk's verdict. */
static struct iommu_walk walk_of(iommu_rid_t rid, uint64_t at, uint32_t access)
{
	struct iommu_unit *unit = fake.iommu.units;
	struct iommu_walk walk = {0};

	unit->ops->walk(unit, rid, 0, iova(at), access, &walk);
	return walk;
}

static void walks(void)
{
	const struct {
		uint64_t ecap;
		unsigned no_bus, blocked, no_read, no_write, wide;
		unsigned steps;
	} kinds[] = {
		{FAKE_PLAIN_ECAP, 0x01, 0x02, 0x06, 0x05, 0x04, 6},
		{FAKE_SCALABLE_ECAP, 0x39, 0x59, 0x79, 0x85, 0x84, 8},
		{FAKE_FIRST_ECAP, 0x39, 0x59, 0x71, 0x85, 0x80, 8},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		start(FAKE_PLAIN_CAP, kinds[i].ecap, NULL, 0);
		iommu_rid_t rid = RID(0, 3, 0);
		KTAP_EQUAL(walk_of(RID(9, 0, 0), 0x1000, IOMMU_READ).reason, kinds[i].no_bus);
		KTAP_EQUAL(walk_of(rid, 0x1000, IOMMU_READ).reason, kinds[i].blocked);
		struct iommu_domain *domain = make(0);
		KTAP_EQUAL(map(domain, 0x1000, 0x5000, 0x1000, IOMMU_READ), 0);
		KTAP_EQUAL(iommu_attach(device->group, domain), 0);

		struct iommu_walk walk = walk_of(rid, 0x1234, IOMMU_READ);
		KTAP_CHECK(walk.translated);
		KTAP_EQUAL(walk.result.value, 0x5234);
		KTAP_EQUAL(walk.count, kinds[i].steps);
		walk = walk_of(rid, 0x1234, IOMMU_WRITE);
		KTAP_CHECK(!walk.translated);
		KTAP_EQUAL(walk.reason, kinds[i].no_write);
		KTAP_EQUAL(walk_of(rid, 0x2000, IOMMU_READ).reason, kinds[i].no_read);
		KTAP_EQUAL(walk_of(rid, 1ull << 50, IOMMU_READ).reason, kinds[i].wide);
		if (getenv("SHOW")) {
			iommu_walk_print(&walk, &fake.print, "  ");
			printf("%s", fake.text);
		}

		struct iommu_domain *identity = NULL;
		KTAP_EQUAL(iommu_domain_alloc_identity(device, &identity), 0);
		KTAP_EQUAL(iommu_attach(device->group, identity), 0);
		walk = walk_of(rid, 0x123456, IOMMU_WRITE);
		KTAP_CHECK(walk.translated && walk.result.value == 0x123456);
		KTAP_EQUAL(walk_of(rid, 1ull << 50, IOMMU_READ).reason, i ? 0x83 : 0x04);
		iommu_detach(device->group);
		KTAP_EQUAL(iommu_domain_free(identity), 0);
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		fake_exit(&fake);
	}
}

static const struct ktap_case cases[] = {
	{"faults in order, with overflow, by message", faults},
	{"walks from the root, with the specification's reason", walks},
};
KTAP_MAIN(cases)
