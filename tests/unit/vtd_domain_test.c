/* SPDX-License-Identifier: MIT */
/*
 * Domains on a fake unit: domain_alloc_user's answers, entries as hardware would read
 * them, the invalidations that each change owes, queue errors, firmware's regions.
 */
#include "tests/unit/vtd_bench.h"

#define CAP_CM    (UINT64_C(1) << 7)
#define CAP_RWBF  (UINT64_C(1) << 4)
#define ECAP_SC   (UINT64_C(1) << 7)
#define ECAP_NEST (UINT64_C(1) << 26)
#define ECAP_BOTH (FAKE_SCALABLE_ECAP | UINT64_C(1) << 47) /* first and second stage */

/* ---- domain_alloc_user ------------------------------------------------------------------ */

static void alloc_user(void)
{
	enum { NP = IOMMU_ALLOC_NEST_PARENT, DT = IOMMU_ALLOC_DIRTY_TRACKING };
	static const struct {
		uint64_t ecap;
		enum iommu_mode mode;
		bool nest_any;
		uint32_t flags;
		int err;
		enum iommu_stage stage;
		bool not_nestable;
	} rows[] = {
		/* legacy */
		{FAKE_PLAIN_ECAP, 0, false, 0, 0, IOMMU_STAGE_SECOND, false},
		{FAKE_PLAIN_ECAP, 0, false, NP, -EOPNOTSUPP, 0, false},
		{FAKE_PLAIN_ECAP, 0, true, NP, 0, IOMMU_STAGE_SECOND, true},
		/* scalable, second stage only */
		{FAKE_SCALABLE_ECAP, 0, false, 0, 0, IOMMU_STAGE_SECOND, false},
		{FAKE_SCALABLE_ECAP, 0, false, NP, -EOPNOTSUPP, 0, false},
		{FAKE_SCALABLE_ECAP, 0, true, NP, 0, IOMMU_STAGE_SECOND, true},
		/* scalable, first stage only: no second-stage table can be had */
		{FAKE_FIRST_ECAP, 0, false, 0, 0, IOMMU_STAGE_FIRST, false},
		{FAKE_FIRST_ECAP, 0, false, NP, -EOPNOTSUPP, 0, false},
		{FAKE_FIRST_ECAP, 0, true, NP, -EOPNOTSUPP, 0, false},
		/* complete */
		{ECAP_BOTH | ECAP_NEST, 0, false, 0, 0, IOMMU_STAGE_FIRST, false},
		{ECAP_BOTH | ECAP_NEST, 0, false, NP, 0, IOMMU_STAGE_SECOND, false},
		{ECAP_BOTH | ECAP_NEST, 0, true, NP, 0, IOMMU_STAGE_SECOND, false},
		/* complete, but in legacy mode */
		{ECAP_BOTH | ECAP_NEST, IOMMU_MODE_LEGACY, false, 0, 0, IOMMU_STAGE_SECOND, false},
		{ECAP_BOTH | ECAP_NEST, IOMMU_MODE_LEGACY, false, NP, -EOPNOTSUPP, 0, false},
		{ECAP_BOTH | ECAP_NEST, IOMMU_MODE_LEGACY, true, NP, 0, IOMMU_STAGE_SECOND, true},
		/* flags */
		{FAKE_PLAIN_ECAP, 0, true, DT, -EOPNOTSUPP, 0, false},
		{FAKE_PLAIN_ECAP, 0, true, NP | DT, -EOPNOTSUPP, 0, false},
		{FAKE_PLAIN_ECAP, 0, true, 1u << 9, -EOPNOTSUPP, 0, false},
		{FAKE_PLAIN_ECAP, 0, true, 1u << 31 | NP, -EOPNOTSUPP, 0, false},
		{FAKE_PLAIN_ECAP, 0, true, IOMMU_ALLOC_PASID, -EOPNOTSUPP, 0, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct iommu_domain *domain = NULL;
		fake_init(&fake, FAKE_PLAIN_CAP, rows[i].ecap);
		fake.options.mode = rows[i].mode;
		fake.options.nest_any = rows[i].nest_any;
		KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
		KTAP_EQUAL(fake_device(&fake, 3, 0, &device), 0);
		int err = iommu_domain_alloc_user(device, rows[i].flags, NULL, NULL, &domain);
		KTAP_EQUAL(err, rows[i].err);
		if (!err) {
			KTAP_EQUAL(domain->stage, rows[i].stage);
			KTAP_EQUAL(domain->not_nestable, rows[i].not_nestable);
			KTAP_EQUAL(domain->flags, rows[i].flags);
			KTAP_EQUAL(iommu_domain_free(domain), 0);
		}
		if (ktap_failed)
			printf("# row %zu\n", i);
		fake_exit(&fake);
	}
}

static void nest_parent_rights(void)
{
	start(FAKE_PLAIN_CAP, ECAP_BOTH | ECAP_NEST, NULL, 0);
	struct iommu_domain *parent = make(IOMMU_ALLOC_NEST_PARENT);
	/* erratum 772415: no read-only pages below a nested table */
	KTAP_EQUAL(map(parent, 0x1000, 0x5000, 0x1000, IOMMU_READ), -EINVAL);
	KTAP_EQUAL(map(parent, 0x1000, 0x5000, 0x1000, IOMMU_READ | IOMMU_WRITE), 0);
	KTAP_EQUAL(iommu_domain_free(parent), 0);
	fake_exit(&fake);

	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP, NULL, 0);
	fake.iommu.options.nest_any = true;
	parent = make(IOMMU_ALLOC_NEST_PARENT);
	KTAP_EQUAL(map(parent, 0x1000, 0x5000, 0x1000, IOMMU_READ), 0);
	KTAP_EQUAL(iommu_domain_free(parent), 0);
	fake_exit(&fake);
}

/* ---- entries and what they owe -------------------------------------------------------------- */

static void legacy_entries(void)
{
	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP | ECAP_SC, NULL, 0);
	const uint64_t *entry = context(RID(0, 3, 0));
	KTAP_CHECK(entry && entry[0] == 0 && entry[1] == 0);
	KTAP_CHECK(!context(RID(1, 0, 0)));

	struct iommu_domain *one = make(0), *two = make(0), *identity = NULL;
	KTAP_EQUAL(iommu_domain_alloc_identity(device, &identity), 0);
	KTAP_EQUAL(one->last.value, (1ull << 48) - 1);
	KTAP_EQUAL(map(one, 0x200000, 0x400000, 0x200000, IOMMU_READ | IOMMU_WRITE), 0);
	KTAP_EQUAL(map(one, 0x1000, 0x5000, 0x1000, IOMMU_READ), 0);
	FAKE_EVENTS(&fake, "");

	/* not present to present: nothing is owed */
	KTAP_EQUAL(iommu_attach(device->group, one), 0);
	FAKE_EVENTS(&fake, "");
	KTAP_EQUAL(entry[0] & 0xfff, 1);
	KTAP_EQUAL(entry[1], 2 | 1 << 8); /* 4 levels, domain id 1 */
	const uint64_t *l4 = table(entry[0]), *l3 = table(l4[0]), *l2 = table(l3[0]);
	KTAP_EQUAL(l2[1], 0x400000 | 1 << 11 | 1 << 7 | 3); /* SNP, PS, R, W */
	KTAP_EQUAL(table(l2[0])[1], 0x5000 | 1 << 11 | 1);

	/* one and one wait for an aligned power of two; leaves only */
	KTAP_EQUAL(unmap(one, 0x1000, 0x1000), 0);
	FAKE_EVENTS(&fake, "I3:1:1/0h");
	KTAP_EQUAL(fake.descriptors[VTD_DESC_WAIT], 1);
	fake_forget_events(&fake);

	/* replace, by one store; the old id is forgotten, and then free */
	KTAP_EQUAL(iommu_attach(device->group, two), 0);
	FAKE_EVENTS(&fake, "C3:1:0018 I2:1 C2:1 I2:1");
	KTAP_EQUAL(entry[1], 2 | 2 << 8);
	fake_forget_events(&fake);

	/* pass-through: the deepest width, no table */
	KTAP_EQUAL(iommu_attach(device->group, identity), 0);
	FAKE_EVENTS(&fake, "C3:2:0018 I2:2 C2:2 I2:2");
	KTAP_EQUAL(entry[0], 1 | 2 << 2);
	KTAP_EQUAL(entry[1], 2 | 1 << 8);
	fake_forget_events(&fake);

	iommu_detach(device->group);
	FAKE_EVENTS(&fake, "C3:1:0018 I2:1 C2:1 I2:1");
	KTAP_CHECK(entry[0] == 0 && entry[1] == 0);
	KTAP_EQUAL(iommu_domain_free(one), 0);
	KTAP_EQUAL(iommu_domain_free(two), 0);
	KTAP_EQUAL(iommu_domain_free(identity), 0);
	fake_exit(&fake);
}

static void scalable_entries(void)
{
	start(FAKE_PLAIN_CAP, ECAP_BOTH | ECAP_NEST, NULL, 0);
	const uint64_t *entry = pasid_entry(RID(0, 3, 0));
	KTAP_EQUAL(entry[0], 0);
	struct iommu_domain *first = make(0), *other = make(0), *identity = NULL;
	struct iommu_domain *second = make(IOMMU_ALLOC_NEST_PARENT);
	KTAP_EQUAL(iommu_domain_alloc_identity(device, &identity), 0);
	KTAP_EQUAL(first->last.value, (1ull << 47) - 1);
	KTAP_EQUAL(map(first, 0x1000, 0x5000, 0x1000, IOMMU_READ | IOMMU_WRITE), 0);

	KTAP_EQUAL(iommu_attach(device->group, first), 0);
	FAKE_EVENTS(&fake, "");
	KTAP_EQUAL(entry[0], 1 | 1 << 6 | 2 << 2);
	KTAP_EQUAL(entry[1], 1);
	const uint64_t *l4 = table(entry[2]), *l1 = table(table(table(l4[0])[0])[0]);
	KTAP_EQUAL(entry[2] & 0xfff, 0);
	/* user, accessed, dirty, for this unit cannot set flags: it does not snoop */
	KTAP_EQUAL(l1[1], 0x5000 | 0x67);
	KTAP_EQUAL(unmap(first, 0x1000, 0x1000), 0);
	FAKE_EVENTS(&fake, "P3:1:1/0h");
	fake_forget_events(&fake);

	/* between two first stages the entry is absent for a moment, and forgotten */
	KTAP_EQUAL(iommu_attach(device->group, other), 0);
	FAKE_EVENTS(&fake, "S1:1 P2:1 S0:1 I2:1");
	KTAP_EQUAL(entry[1], 2);
	fake_forget_events(&fake);

	KTAP_EQUAL(iommu_attach(device->group, second), 0);
	FAKE_EVENTS(&fake, "S1:2 P2:2 S0:2 I2:2");
	KTAP_EQUAL(entry[0] & 0xfff, 1 | 2 << 6 | 2 << 2);
	KTAP_EQUAL(entry[1], 1);
	KTAP_EQUAL(entry[2], 0);
	fake_forget_events(&fake);

	KTAP_EQUAL(iommu_attach(device->group, identity), 0);
	FAKE_EVENTS(&fake, "S1:1 I2:1 S0:1 I2:1");
	KTAP_EQUAL(entry[0] & 0xfff, 1 | 4 << 6 | 2 << 2);
	KTAP_EQUAL(entry[0] >> 12, 0);
	fake_forget_events(&fake);

	iommu_detach(device->group);
	FAKE_EVENTS(&fake, "C3:0:0018 S1:2 P2:2 S0:2 I2:2");
	KTAP_CHECK(entry[0] == 0 && entry[1] == 0 && entry[2] == 0);
	KTAP_EQUAL(iommu_domain_free(first), 0);
	KTAP_EQUAL(iommu_domain_free(other), 0);
	KTAP_EQUAL(iommu_domain_free(second), 0);
	KTAP_EQUAL(iommu_domain_free(identity), 0);
	fake_exit(&fake);
}

static void caching_mode(void)
{
	start(FAKE_PLAIN_CAP | CAP_CM, FAKE_PLAIN_ECAP, NULL, 0);
	struct iommu_domain *domain = make(0);
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	/* what was not present may be cached, with domain id 0 */
	FAKE_EVENTS(&fake, "C3:0:0018 I2:0 I2:1");
	fake_forget_events(&fake);
	KTAP_EQUAL(map(domain, 0x200000, 0x200000, 0x200000, IOMMU_READ | IOMMU_WRITE), 0);
	FAKE_EVENTS(&fake, "I3:1:200/9");
	fake_forget_events(&fake);
	/* no other domain's id is 0 either */
	struct iommu_domain *other = make(0);
	KTAP_EQUAL(iommu_attach(device->group, other), 0);
	KTAP_CHECK(context(RID(0, 3, 0))[1] >> 8 & 0xffff);
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	KTAP_EQUAL(iommu_domain_free(other), 0);
	fake_exit(&fake);
}

static void write_buffer(void)
{
	start(FAKE_PLAIN_CAP | CAP_RWBF, FAKE_PLAIN_ECAP, NULL, 0);
	struct iommu_domain *domain = make(0);
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	FAKE_EVENTS(&fake, "WBF");
	fake_forget_events(&fake);
	KTAP_EQUAL(map(domain, 0x1000, 0x1000, 0x1000, IOMMU_READ | IOMMU_WRITE), 0);
	FAKE_EVENTS(&fake, "WBF");
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	fake_exit(&fake);
}

static void tables_change(void)
{
	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP, NULL, 0);
	struct iommu_domain *domain = make(0);
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	KTAP_EQUAL(map(domain, 0x200000, 0x201000, 0x200000, IOMMU_READ | IOMMU_WRITE), 0);
	long pages = fake.test.pages;
	fake_forget_events(&fake);
	/* a table goes with its leaves: no leaf hint, and the page is free afterwards */
	KTAP_EQUAL(unmap(domain, 0x200000, 0x200000), 0);
	FAKE_EVENTS(&fake, "I3:1:200/9");
	KTAP_EQUAL(fake.test.pages, pages - 1);
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	fake_exit(&fake);
}

/* ---- several devices ---------------------------------------------------------------------------- */

static void shared_domain_and_aliases(void)
{
	struct iommu_device_desc desc = {
		.name = "01:02.0",
		.rid = RID(1, 2, 0),
		.hop_count = 2,
		.hops = {{0, 0x20}, {1, 0x10}},
		.group = 50,
		.alias_count = 2,
		.aliases = {RID(1, 0, 0), RID(1, 0, 0)},
	};
	struct iommu_device *a, *b;

	for (unsigned scalable = 0; scalable < 2; scalable++) {
		start(FAKE_PLAIN_CAP, scalable ? FAKE_SCALABLE_ECAP : FAKE_PLAIN_ECAP, NULL, 0);
		desc.rid = RID(1, 2, 0);
		KTAP_EQUAL(iommu_device_add(&fake.iommu, &desc, &a), 0);
		desc.rid = RID(1, 3, 0);
		KTAP_EQUAL(iommu_device_add(&fake.iommu, &desc, &b), 0);
		struct iommu_domain *domain = make(0), *other = make(0);
		KTAP_EQUAL(iommu_attach(a->group, domain), 0);
		KTAP_EQUAL(iommu_attach(device->group, domain), 0);
		for (unsigned i = 0; i < 3; i++) {
			iommu_rid_t rid = i == 0   ? RID(1, 2, 0)
			                  : i == 1 ? RID(1, 3, 0)
			                           : RID(1, 0, 0);
			const uint64_t *entry = scalable ? pasid_entry(rid) : context(rid);
			const uint64_t *mine =
				scalable ? pasid_entry(RID(0, 3, 0)) : context(RID(0, 3, 0));
			KTAP_CHECK(entry[0] & 1);
			KTAP_CHECK(entry[0] == mine[0] && entry[1] == mine[1]);
		}
		KTAP_EQUAL(iommu_attach(a->group, other), 0);
		const uint64_t *alias =
			scalable ? pasid_entry(RID(1, 0, 0)) : context(RID(1, 0, 0));
		KTAP_EQUAL(scalable ? alias[1] & 0xffff : alias[1] >> 8 & 0xffff, 2);
		/* one leaves, the other still owns the shared id */
		iommu_device_remove(a);
		alias = scalable ? pasid_entry(RID(1, 0, 0)) : context(RID(1, 0, 0));
		KTAP_CHECK(!context(RID(1, 2, 0)) || !(context(RID(1, 2, 0))[0] & 1));
		if (scalable)
			KTAP_EQUAL(alias[1] & 0xffff, 2);
		iommu_detach(b->group);
		iommu_detach(device->group);
		iommu_device_remove(b);
		KTAP_CHECK(!(context(RID(1, 0, 0))[0] & 1));
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		KTAP_EQUAL(iommu_domain_free(other), 0);
		fake_exit(&fake);
	}
}

/* ---- firmware's regions --------------------------------------------------------------------------- */

static void firmware_regions(void)
{
	static const struct fake_rmrr rmrrs[] = {
		{0x7b000000, 0x7b7fffff, 4, 0},
		{0x7b400000, 0x7b9fffff, 4, 0}, /* overlaps the first */
		{0x7c000000, 0x7c000fff, 5, 0},
	};
	struct iommu_device *usb, *raid;
	struct iommu_leaf leaf;

	for (unsigned kind = 0; kind < 3; kind++) {
		uint64_t ecap = kind == 0   ? FAKE_PLAIN_ECAP
		                : kind == 1 ? FAKE_SCALABLE_ECAP
		                            : FAKE_FIRST_ECAP;
		fake_init(&fake, FAKE_PLAIN_CAP, ecap);
		KTAP_EQUAL(fake_probe(&fake, rmrrs, 3), 1);
		KTAP_EQUAL(fake_device(&fake, 4, 0x0c0330, &usb), 0);
		KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
		/* this one joins a running unit */
		KTAP_EQUAL(fake_device(&fake, 5, 0x010400, &raid), 0);
		device = usb;
		const uint64_t *entry = kind ? pasid_entry(RID(0, 4, 0)) : context(RID(0, 4, 0));
		KTAP_CHECK(entry[0] & 1);
		const uint64_t *raid_entry =
			kind ? pasid_entry(RID(0, 5, 0)) : context(RID(0, 5, 0));
		KTAP_CHECK(raid_entry[0] & 1);
		uint64_t before[2] = {entry[0], entry[1]};

		struct iommu_walk walk = {0};
		struct iommu_unit *unit = fake.iommu.units;
		unit->ops->walk(unit, RID(0, 4, 0), 0, iova(0x7b9ff123), IOMMU_WRITE, &walk);
		KTAP_CHECK(walk.translated && walk.result.value == 0x7b9ff123);
		walk = (struct iommu_walk){0};
		unit->ops->walk(unit, RID(0, 4, 0), 0, iova(0x7ba00000), IOMMU_WRITE, &walk);
		KTAP_CHECK(!walk.translated);
		walk = (struct iommu_walk){0};
		unit->ops->walk(unit, RID(0, 5, 0), 0, iova(0x7c000000), IOMMU_READ, &walk);
		KTAP_CHECK(walk.translated);

		unsigned relaxable = 0, direct = 0;
		for (struct iommu_reserved *r = usb->reserved; r; r = r->next)
			relaxable += r->kind == IOMMU_RESERVED_RELAXABLE;
		for (struct iommu_reserved *r = raid->reserved; r; r = r->next)
			direct += r->kind == IOMMU_RESERVED_DIRECT;
		KTAP_EQUAL(relaxable, 2);
		KTAP_EQUAL(direct, 1);

		/* a user's domain takes their place, and they come back */
		struct iommu_domain *domain = make(0);
		KTAP_EQUAL(iommu_attach(usb->group, domain), 0);
		KTAP_CHECK(entry[1] != before[1] || entry[0] != before[0]);
		KTAP_CHECK(!domain->ops->lookup(domain, iova(0x7b000000), &leaf));
		iommu_detach(usb->group);
		KTAP_CHECK(entry[0] == before[0] && entry[1] == before[1]);
		KTAP_EQUAL(iommu_domain_free(domain), 0);
		/* off and on again */
		iommu_disable(&fake.iommu);
		KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
		KTAP_CHECK(entry[0] == before[0] && entry[1] == before[1]);
		fake_exit(&fake);
	}
}

/* ---- queue errors ------------------------------------------------------------------------------------ */

static void refused_descriptor(void)
{
	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP, NULL, 0);
	struct iommu_domain *one = make(0), *two = make(0);
	KTAP_EQUAL(iommu_attach(device->group, one), 0);
	KTAP_EQUAL(map(one, 0x1000, 0x5000, 0x1000, IOMMU_READ | IOMMU_WRITE), 0);

	/* a flush: it fails, the queue goes on */
	fake.refuse_in = 1;
	struct iommu_gather gather;
	iommu_gather_init(&gather, one);
	KTAP_EQUAL(iommu_unmap(one, iova(0x1000), 0x1000, &gather), 0x1000);
	KTAP_EQUAL(iommu_flush(&gather), -EIO);
	FAKE_LOG(&fake, "vtd0: FSTS.IQE: invalidation descriptor 0x100f2 0x1040");
	FAKE_LOG(&fake, "reserved field set");
	KTAP_EQUAL(fake_get32(&fake, FAKE_FSTS) & 0x10, 0);
	KTAP_EQUAL(map(one, 0x1000, 0x5000, 0x1000, IOMMU_READ | IOMMU_WRITE), 0);
	KTAP_EQUAL(unmap(one, 0x1000, 0x1000), 0);

	/* a replace: it fails, the old translation stays */
	const uint64_t *entry = context(RID(0, 3, 0));
	uint64_t before[2] = {entry[0], entry[1]};
	fake.refuse_in = 2;
	KTAP_EQUAL(iommu_attach(device->group, two), -EIO);
	KTAP_CHECK(entry[0] == before[0] && entry[1] == before[1]);
	KTAP_CHECK(device->domain == one);
	KTAP_EQUAL(iommu_attach(device->group, two), 0);
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(one), 0);
	KTAP_EQUAL(iommu_domain_free(two), 0);
	fake_exit(&fake);
}

static void time_out(void)
{
	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP | 4, NULL, 0);
	struct iommu_domain *domain = make(0);
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	KTAP_EQUAL(map(domain, 0x1000, 0x5000, 0x1000, IOMMU_READ | IOMMU_WRITE), 0);
	fake.time_out = true;
	struct iommu_gather gather;
	iommu_gather_init(&gather, domain);
	iommu_gather_add(&gather, iova(0x1000), iova(0x1fff), false);
	KTAP_EQUAL(iommu_flush(&gather), -ETIMEDOUT);
	FAKE_LOG(&fake, "vtd0: FSTS.ITE: device 0x18 did not answer");
	KTAP_EQUAL(fake_get32(&fake, FAKE_FSTS), 0);
	KTAP_EQUAL(unmap(domain, 0x1000, 0x1000), 0);

	/* a completion error that nobody waits for is cleared by polling */
	fake_set32(&fake, FAKE_FSTS, 0x20);
	KTAP_EQUAL(iommu_poll(&fake.iommu), 0);
	KTAP_EQUAL(fake_get32(&fake, FAKE_FSTS), 0);
	FAKE_LOG(&fake, "vtd0: FSTS.ICE");
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	fake_exit(&fake);
}

/** More submissions than the ring has slots. */
static void ring_wraps(void)
{
	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP, NULL, 0);
	struct iommu_domain *domain = make(0);
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	for (unsigned i = 0; i < 400; i++) {
		uint64_t at = 0x1000 * (1 + i % 500);
		KTAP_EQUAL(map(domain, at, 0x5000, 0x1000, IOMMU_READ | IOMMU_WRITE), 0);
		KTAP_EQUAL(unmap(domain, at, 0x1000), 0);
		fake.events[0] = 0;
	}
	KTAP_EQUAL(fake.descriptors[VTD_DESC_IOTLB], 400);
	KTAP_EQUAL(fake.descriptors[VTD_DESC_WAIT], 400);
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	fake_exit(&fake);
}

static void dead_queue(void)
{
	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP, NULL, 0);
	struct iommu_domain *domain = make(0);
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	const uint64_t *entry = context(RID(0, 3, 0));
	void *root_table = (void *)(uintptr_t)(entry[0] & ~UINT64_C(0xfff));

	fake.queue_dead = true;
	for (unsigned i = 0; i < 3; i++) {
		uint64_t began = fake.test.now_ns;
		struct iommu_gather gather;
		iommu_gather_init(&gather, domain);
		iommu_gather_add(&gather, iova(0), iova(0xfff), false);
		KTAP_EQUAL(iommu_flush(&gather), i ? -EIO : -ETIMEDOUT);
		/* the first waits for the deadline, the others do not wait */
		KTAP_CHECK((fake.test.now_ns - began > 900000000) == (i == 0));
	}
	FAKE_LOG(&fake, "vtd0: the invalidation queue is dead");
	KTAP_CHECK(!strstr(strstr(fake.log, "is dead") + 1, "is dead")); /* said once */

	/* blocking does not fail, but the tables are never given away */
	iommu_detach(device->group);
	KTAP_CHECK(entry[0] == 0);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	FAKE_LOG(&fake, "table pages stay out of use");
	fake.queue_dead = false;
	iommu_exit(&fake.iommu);
	KTAP_EQUAL(fake.test.pages, 1);
	free(root_table);
}

static void information(void)
{
	struct vtd_hw_info info;
	uint32_t type;

	start(FAKE_PLAIN_CAP, FAKE_SCALABLE_ECAP, NULL, 0);
	const struct iommu_unit_ops *ops = device->unit->ops;
	KTAP_EQUAL(ops->hw_info(device, &type, &info, sizeof(info)), sizeof(info));
	KTAP_EQUAL(type, 1);
	KTAP_EQUAL(info.cap_reg, FAKE_PLAIN_CAP);
	KTAP_EQUAL(info.ecap_reg, FAKE_SCALABLE_ECAP);
	memset(&info, 0xaa, sizeof(info));
	KTAP_EQUAL(ops->hw_info(device, &type, &info, 4), sizeof(info));
	KTAP_EQUAL(info.reserved, 0xaaaaaaaa);
	fake_exit(&fake);
}

/** Every allocation of a domain's life fails in turn; nothing is left and nothing changed. */
static void out_of_memory(void)
{
	for (unsigned scalable = 0; scalable < 2; scalable++) {
		bool done = false;
		for (long n = 1; n < 40 && !done; n++) {
			struct iommu_domain *domain = NULL;
			start(FAKE_PLAIN_CAP, scalable ? ECAP_BOTH : FAKE_PLAIN_ECAP, NULL, 0);
			long pages = fake.test.pages, objects = fake.test.objects;
			fake.test.allocations = 0;
			fake.test.fail_at = n;
			int err = iommu_domain_alloc_user(device, 0, NULL, NULL, &domain);
			if (err) {
				KTAP_EQUAL(err, -ENOMEM);
				KTAP_EQUAL(fake.test.pages, pages);
				KTAP_EQUAL(fake.test.objects, objects);
			} else {
				err = iommu_attach(device->group, domain);
				if (err) {
					KTAP_EQUAL(err, -ENOMEM);
					KTAP_CHECK(!device->domain && !domain->attachments);
				} else {
					done = fake.test.allocations < n;
				}
				iommu_detach(device->group);
				KTAP_EQUAL(iommu_domain_free(domain), 0);
			}
			fake_exit(&fake);
		}
		KTAP_CHECK(done);
	}
}

/** Ids run out, and come back. */
static void domain_ids(void)
{
	struct iommu_domain *domains[16];
	struct iommu_device *devices[16];

	start(FAKE_PLAIN_CAP & ~UINT64_C(7), FAKE_PLAIN_ECAP, NULL, 0); /* 4 bits: 1..15 */
	for (unsigned i = 0; i < 16; i++) {
		KTAP_EQUAL(fake_device(&fake, 8 + i, 0, &devices[i]), 0);
		domains[i] = make(0);
		KTAP_EQUAL(iommu_attach(devices[i]->group, domains[i]), i < 15 ? 0 : -ENOSPC);
	}
	FAKE_LOG(&fake, "vtd0: all 15 domain ids are in use");
	iommu_detach(devices[7]->group);
	KTAP_EQUAL(iommu_attach(devices[15]->group, domains[15]), 0);
	KTAP_EQUAL(context(RID(0, 8 + 15, 0))[1] >> 8 & 0xffff, 8);
	for (unsigned i = 0; i < 16; i++) {
		iommu_detach(devices[i]->group);
		KTAP_EQUAL(iommu_domain_free(domains[i]), 0);
	}
	fake_exit(&fake);
}

static const struct ktap_case cases[] = {
	{"domain_alloc_user: format by flags, mode and capability", alloc_user},
	{"a nest parent has no read-only pages, unless it is for experiments", nest_parent_rights},
	{"legacy entries, and what each change owes", legacy_entries},
	{"scalable entries, and what each change owes", scalable_entries},
	{"caching mode: absent entries are forgotten too, id 0 is nobody's", caching_mode},
	{"write buffer is flushed when something appears", write_buffer},
	{"tables that go are flushed as tables and freed after", tables_change},
	{"aliases have the same entries, shared ids survive their sharer",
         shared_domain_and_aliases},
	{"firmware's regions until a user attaches, and after", firmware_regions},
	{"a refused descriptor fails its caller and nobody else", refused_descriptor},
	{"a device that does not answer fails one flush", time_out},
	{"the ring wraps: one descriptor and one wait each time", ring_wraps},
	{"a dead queue fails at once and keeps what it may still walk", dead_queue},
	{"hardware information", information},
	{"each allocation of a domain's life fails in turn", out_of_memory},
	{"domain ids run out and come back", domain_ids},
};
KTAP_MAIN(cases)
