/* SPDX-License-Identifier: MIT */
/*
 * A unit's bring-up and hand-back against a fake register file: the order of steps, units
 * that firmware left on, every status bit that does not come, queue errors, and the mode
 * that is chosen.
 */
#include "tests/unit/vtd_fake.h"

enum { TES = 31, RTPS = 30, WBFS = 27, QIES = 26, IRES = 25 };

#define BIT(n)     (UINT32_C(1) << (n))
#define CAP_RWBF   (UINT64_C(1) << 4)
#define CAP_PMRS   (UINT64_C(3) << 5)
#define CAP_ESRTPS (UINT64_C(1) << 63)
#define ECAP_QI    (UINT64_C(1) << 1)

static struct fake fake;

/* ---- order -------------------------------------------------------------------------- */

static void legacy_order(void)
{
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP);
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	FAKE_EVENTS(&fake, ""); /* probe changes nothing */
	KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
	FAKE_EVENTS(&fake, "QIE+ SRTP C1:0 I1:0 TE+");
	KTAP_EQUAL(fake.latched_root >> 10 & 3, 0);
	KTAP_EQUAL(fake_get64(&fake, FAKE_IQA) & 0xfff, 0);
	KTAP_CHECK(fake.cleans > 0); /* C is 0 */
	fake_forget_events(&fake);
	iommu_disable(&fake.iommu);
	FAKE_EVENTS(&fake, "TE- QIE-");
	KTAP_CHECK(fake_get32(&fake, FAKE_FECTL) >> 31);
	fake_exit(&fake);
}

static void scalable_order(void)
{
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_SCALABLE_ECAP);
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
	FAKE_EVENTS(&fake, "QIE+ SRTP C1:0 S3:0 I1:0 TE+");
	KTAP_EQUAL(fake.latched_root >> 10 & 3, 1);
	KTAP_EQUAL(fake_get64(&fake, FAKE_IQA) & 0xfff, 0x800);
	fake_exit(&fake);
}

static void write_buffer_and_pmrs(void)
{
	fake_init(&fake, FAKE_PLAIN_CAP | CAP_RWBF | CAP_PMRS, FAKE_PLAIN_ECAP);
	fake_set32(&fake, FAKE_PMEN, BIT(31) | 1);
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
	FAKE_EVENTS(&fake, "WBF QIE+ SRTP C1:0 I1:0 TE+ EPM-");
	fake_forget_events(&fake);
	iommu_disable(&fake.iommu);
	FAKE_EVENTS(&fake, "TE- QIE-"); /* the regions are firmware's matter */
	fake_exit(&fake);
}

static void by_registers(void)
{
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP & ~(ECAP_QI | 8));
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
	FAKE_EVENTS(&fake, "SRTP ccmd1:0 iotlb1:0 TE+");
	iommu_disable(&fake.iommu);
	fake_exit(&fake);
}

static void by_registers_stuck(void)
{
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP & ~(ECAP_QI | 8));
	fake.ccmd_stuck = true;
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), -ETIMEDOUT);
	FAKE_LOG(&fake, "vtd0: CCMD.ICC did not clear");
	KTAP_EQUAL(fake_get32(&fake, FAKE_GSTS) & BIT(TES), 0);
	fake_exit(&fake);
}

/* ---- bits that do not come -------------------------------------------------------------- */

static void stuck_bits(void)
{
	static const struct {
		unsigned bit;
		const char *says;
	} rows[] = {
		{TES, "vtd0: GSTS.TES did not become 1"},
		{RTPS, "vtd0: GSTS.RTPS did not become 1"},
		{QIES, "vtd0: GSTS.QIES did not become 1"},
		{WBFS, "vtd0: GSTS.WBFS did not become 0"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fake_init(&fake, FAKE_PLAIN_CAP | CAP_RWBF, FAKE_PLAIN_ECAP);
		KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
		fake.stuck = BIT(rows[i].bit);
		KTAP_EQUAL(iommu_enable(&fake.iommu), -ETIMEDOUT);
		FAKE_LOG(&fake, rows[i].says);
		/* as before: nothing on, and it can be enabled once it answers */
		KTAP_EQUAL(fake_get32(&fake, FAKE_GSTS) & (BIT(TES) | BIT(QIES)), 0);
		KTAP_CHECK(!fake.iommu.enabled);
		fake.stuck = 0;
		fake_set32(&fake, FAKE_GSTS, fake_get32(&fake, FAKE_GSTS) & ~BIT(WBFS));
		KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
		KTAP_CHECK(fake_get32(&fake, FAKE_GSTS) & BIT(TES));
		fake_exit(&fake);
	}
}

static void vanished(void)
{
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP);
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	fake.vanished = true;
	KTAP_EQUAL(iommu_enable(&fake.iommu), -EIO);
	FAKE_LOG(&fake, "vtd0: GSTS reads all ones");
	fake.vanished = false;
	fake_exit(&fake);
}

/* ---- units that firmware left on ---------------------------------------------------------- */

/** Firmware's queue with @p last as its last descriptor, translation and remapping on. */
static void leave_on(uint64_t ttm, uint64_t *queue, uint64_t last)
{
	fake_set32(&fake, FAKE_GSTS, BIT(TES) | BIT(RTPS) | BIT(QIES) | BIT(IRES));
	fake.latched_root = 0x7000000 | ttm << 10;
	fake_set64(&fake, FAKE_RTADDR, fake.latched_root);
	memset(queue, 0, 4096);
	queue[0] = last;
	fake_set64(&fake, FAKE_IQA, (uint64_t)(uintptr_t)queue);
	fake_set64(&fake, FAKE_IQH, 16);
	fake_set64(&fake, FAKE_IQT, 16);
	fake.last_was_wait = (last & 15) == 5;
}

static void takeover(void)
{
	static _Alignas(4096) uint64_t queue[512];

	for (unsigned wait = 0; wait < 2; wait++) {
		fake_init(&fake, FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP);
		leave_on(0, queue, wait ? 5 : 0x12);
		KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
		KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
		FAKE_EVENTS(&fake, "IRE- QIE- QIE+ SRTP C1:0 I1:0");
		KTAP_CHECK(!fake.te_fell);
		/* QEMU stops a queue only after a wait: one was appended */
		KTAP_EQUAL(queue[2] & 15, wait ? 0 : 5);
		KTAP_CHECK(fake.latched_root != 0x7000000);
		fake_exit(&fake);
	}
}

static void takeover_fails(void)
{
	static _Alignas(4096) uint64_t queue[512];

	/* firmware's queue does not drain */
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP);
	leave_on(0, queue, 5);
	fake_set64(&fake, FAKE_IQT, 48);
	fake.queue_dead = true;
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), -ETIMEDOUT);
	KTAP_CHECK(!fake.te_fell);
	KTAP_CHECK(fake_get32(&fake, FAKE_GSTS) & BIT(TES));
	KTAP_EQUAL(fake.latched_root, 0x7000000);
	fake_exit(&fake);

	/* our queue does not answer: firmware's tables, queue and remapping are back */
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP);
	leave_on(0, queue, 5);
	fake.queue_dead = true;
	fake.qemu_queue = false;
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), -ETIMEDOUT);
	uint64_t first_root = fake.previous_root;
	KTAP_CHECK(!fake.te_fell);
	KTAP_EQUAL(fake.latched_root, 0x7000000);
	KTAP_EQUAL(fake_get32(&fake, FAKE_GSTS), BIT(TES) | BIT(RTPS) | BIT(QIES) | BIT(IRES));
	KTAP_EQUAL(fake_get64(&fake, FAKE_IQA), (uintptr_t)queue);
	/* It never confirmed that it forgot our root table, so that stays out of use (and the
	 * fake complains that a queue with unread descriptors was stopped). */
	iommu_exit(&fake.iommu);
	FAKE_LOG(&fake, "its tables are not freed");
	KTAP_EQUAL(fake.test.pages, 1);
	free((void *)(uintptr_t)(first_root & ~UINT64_C(0xfff)));
	KTAP_EQUAL(fake.test.objects, 0);
	KTAP_EQUAL(fake.test.locks, 0);
}

/* ---- modes --------------------------------------------------------------------------------- */

static void mode_by_capability(void)
{
	static const struct {
		uint64_t ecap;
		enum iommu_mode mode;
		int enable;
		unsigned ttm;
		const char *says;
	} rows[] = {
		{FAKE_PLAIN_ECAP, IOMMU_MODE_AUTO, 0, 0, NULL},
		{FAKE_PLAIN_ECAP, IOMMU_MODE_LEGACY, 0, 0, NULL},
		{FAKE_PLAIN_ECAP, IOMMU_MODE_SCALABLE, -EOPNOTSUPP, 0,
	         "scalable mode was asked for"},
		{FAKE_SCALABLE_ECAP, IOMMU_MODE_AUTO, 0, 1, NULL},
		{FAKE_SCALABLE_ECAP, IOMMU_MODE_LEGACY, 0, 0, NULL},
		{FAKE_SCALABLE_ECAP, IOMMU_MODE_SCALABLE, 0, 1, NULL},
		{FAKE_FIRST_ECAP, IOMMU_MODE_AUTO, 0, 1, NULL},
		/* scalable mode without any stage */
		{FAKE_SCALABLE_ECAP & ~(UINT64_C(1) << 46), IOMMU_MODE_AUTO, 0, 0, NULL},
		{FAKE_SCALABLE_ECAP & ~(UINT64_C(1) << 46), IOMMU_MODE_SCALABLE, -EOPNOTSUPP, 0,
	         "neither FSTS nor SSTS"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fake_init(&fake, FAKE_PLAIN_CAP, rows[i].ecap);
		fake.options.mode = rows[i].mode;
		KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
		KTAP_EQUAL(iommu_enable(&fake.iommu), rows[i].enable);
		if (rows[i].says) {
			FAKE_LOG(&fake, rows[i].says);
			FAKE_EVENTS(&fake, ""); /* refused before anything was touched */
		} else {
			KTAP_EQUAL(fake.latched_root >> 10 & 3, rows[i].ttm);
		}
		fake_exit(&fake);
	}
}

static void mode_change_with_te_on(void)
{
	static _Alignas(4096) uint64_t queue[512];

	/* ESRTPS 0: AUTO stays in the mode found */
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_SCALABLE_ECAP);
	leave_on(0, queue, 5);
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
	KTAP_EQUAL(fake.latched_root >> 10 & 3, 0);
	KTAP_CHECK(!fake.te_fell);
	fake_exit(&fake);

	/* ESRTPS 1: it may change with TE on */
	fake_init(&fake, FAKE_PLAIN_CAP | CAP_ESRTPS, FAKE_SCALABLE_ECAP);
	leave_on(0, queue, 5);
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
	KTAP_EQUAL(fake.latched_root >> 10 & 3, 1);
	KTAP_CHECK(!fake.te_fell);
	fake_exit(&fake);

	/* asked for explicitly, without protected regions: refused, untouched */
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_SCALABLE_ECAP);
	leave_on(0, queue, 5);
	fake.options.mode = IOMMU_MODE_SCALABLE;
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), -EOPNOTSUPP);
	FAKE_LOG(&fake, "unprotected DMA");
	FAKE_EVENTS(&fake, "");
	fake_exit(&fake);

	/* with them: TE falls behind the shield */
	fake_init(&fake, FAKE_PLAIN_CAP | CAP_PMRS, FAKE_SCALABLE_ECAP);
	leave_on(0, queue, 5);
	fake.options.mode = IOMMU_MODE_SCALABLE;
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
	FAKE_EVENTS(&fake, "IRE- QIE- EPM+ TE- QIE+ SRTP C1:0 S3:0 I1:0 TE+ EPM-");
	fake_exit(&fake);
}

/* ---- units that are none ------------------------------------------------------------------------- */

static void left_out(void)
{
	uint8_t table[512];
	struct iommu_firmware firmware = {.table = table};

	/* the first unit's registers are not there, the second works */
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP);
	firmware.bytes = fake_dmar(table, 0xfed80000, NULL, 0);
	KTAP_EQUAL(iommu_init(&fake.iommu, &fake.test.os, &fake.options), 0);
	KTAP_EQUAL(iommu_probe(&fake.iommu, &vtd_driver, &firmware), 1);
	FAKE_LOG(&fake, "vtd0: no registers at 0xfed80000");
	KTAP_CHECK(strcmp(fake.iommu.units->name, "vtd1") == 0);
	fake_exit(&fake);

	/* all ones */
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP);
	fake.vanished = true;
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 0);
	FAKE_LOG(&fake, "its registers read all ones");
	fake_exit(&fake);

	/* a damaged table */
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP);
	firmware.bytes = fake_dmar(table, 0, NULL, 0);
	table[9]++;
	KTAP_EQUAL(iommu_init(&fake.iommu, &fake.test.os, &fake.options), 0);
	KTAP_EQUAL(iommu_probe(&fake.iommu, &vtd_driver, &firmware), -EINVAL);
	FAKE_LOG(&fake, "DMAR refused");
	fake_exit(&fake);
}

/** Registers that lie beyond the window which the table states: it is mapped again. */
static void window_grows(void)
{
	uint64_t cap = (FAKE_PLAIN_CAP & ~(UINT64_C(0x3ff) << 24)) | UINT64_C(0x120) << 24;

	fake_init(&fake, cap, FAKE_PLAIN_ECAP);
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(fake.mmio_maps, 1);
	KTAP_EQUAL(fake.mapped_bytes, 0x2000);
	fake_exit(&fake);
}

static void out_of_memory(void)
{
	bool done = false;

	for (long n = 1; n < 100 && !done; n++) {
		struct iommu_device *device;
		fake_init(&fake, FAKE_PLAIN_CAP, FAKE_SCALABLE_ECAP);
		fake.test.fail_at = n;
		int err = fake_probe(&fake, NULL, 0);
		if (!err || err == 1)
			err = fake_device(&fake, 3, 0, &device);
		done = fake.test.allocations < n;
		KTAP_EQUAL(err, done ? 0 : -ENOMEM);
		FAKE_EVENTS(&fake, "");
		if (fake.iommu.os)
			iommu_exit(&fake.iommu);
		KTAP_CHECK(test_os_is_clean(&fake.test));
		KTAP_EQUAL(fake.mmio_maps, 0);
	}
	KTAP_CHECK(done);
}

static void described(void)
{
	fake_init(&fake, FAKE_PLAIN_CAP, FAKE_SCALABLE_ECAP);
	KTAP_EQUAL(fake_probe(&fake, NULL, 0), 1);
	KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
	struct iommu_unit *unit = fake.iommu.units;
	unit->ops->describe(unit, &fake.print);
	unit->ops->describe_stats(unit, &fake.print);
	unsigned column = 0;
	for (const char *at = fake.text; *at; at++) {
		column = *at == '\n' ? 0 : column + 1;
		KTAP_CHECK(column <= 100);
	}
	KTAP_CHECK(strstr(fake.text, "VER   1.0") && strstr(fake.text, "TES") &&
	           strstr(fake.text, "scalable, enabled") && strstr(fake.text, "256 bits"));
	KTAP_CHECK(strstr(fake.text, "descriptors: context 1 iotlb 1 wait 1 pasid 1"));
	if (getenv("SHOW"))
		printf("%s", fake.text);
	fake_exit(&fake);
}

static const struct ktap_case cases[] = {
	{"legacy mode: queue, root, invalidation, translation", legacy_order},
	{"scalable mode: 256-bit queue, PASID cache too", scalable_order},
	{"write buffer first, protected regions off last", write_buffer_and_pmrs},
	{"without a queue: invalidation by registers", by_registers},
	{"an invalidation register that does not finish is named", by_registers_stuck},
	{"a status bit that does not come is named, and all is as before", stuck_bits},
	{"a unit that vanished is named", vanished},
	{"a unit left on is taken over with translation on", takeover},
	{"a takeover that fails gives firmware its unit back", takeover_fails},
	{"mode by capability and option", mode_by_capability},
	{"mode change of a unit left on", mode_change_with_te_on},
	{"units without registers are left out", left_out},
	{"registers beyond the stated window are mapped", window_grows},
	{"each allocation of probe and device fails in turn", out_of_memory},
	{"description in words, within 100 columns", described},
};
KTAP_MAIN(cases)
