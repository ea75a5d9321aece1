/* SPDX-License-Identifier: MIT */
/*
 * Nested HWPTs on VT-d, by the calls on /dev/iommu, on the reference model: what is refused,
 * a user's table, stale translations and the user's invalidations, changes of the parent.
 */
#include "tests/unit/ufd_vtd.h"

#define TABLE  (USER_PLAIN + 1000 * PAGE) /* a user's stage 1: top, and three tables below */

#define STAGE1 (UINT64_C(16) << 30) /* addresses of the user's: one page, to its BASE */

/** Point stage 1 at @p guest; the tables lie at BASE + 1000 pages in the parent. */
static void point(uint64_t guest)
{
	vtd_world_put(&vw, TABLE, (BASE + 1001 * PAGE) | 7);
	vtd_world_put(&vw, TABLE + PAGE + 16 * 8, (BASE + 1002 * PAGE) | 7);
	vtd_world_put(&vw, TABLE + 2 * PAGE, (BASE + 1003 * PAGE) | 7);
	vtd_world_put(&vw, TABLE + 3 * PAGE, guest | 7);
}

static int nested(uint32_t parent, uint32_t flags, uint32_t bytes, uint32_t fault, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc arguments = {.flags = flags,
	                                     .dev_id = w->id[0],
	                                     .pt_id = parent,
	                                     .data_type = IOMMU_HWPT_DATA_VTD_S1,
	                                     .data_len = bytes,
	                                     .data_uptr = DATA,
	                                     .fault_id = fault};
	int result = call(w, IOMMU_HWPT_ALLOC, &arguments);

	*hwpt = arguments.out_hwpt_id;
	return result;
}

static struct iommu_hwpt_vtd_s1 *describe(void)
{
	struct iommu_hwpt_vtd_s1 *s1 = test_user_at(&w->user, DATA);

	memset(s1, 0, PAGE);
	*s1 = (struct iommu_hwpt_vtd_s1){.pgtbl_addr = BASE + 1000 * PAGE, .addr_width = 48};
	return s1;
}

/** Invalidate by @p count entries at DATA; *done is how many were. */
static int forget(uint32_t hwpt, uint32_t count, uint32_t bytes, uint32_t *done)
{
	struct iommu_hwpt_invalidate arguments = {.hwpt_id = hwpt,
	                                          .data_uptr = DATA,
	                                          .data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
	                                          .entry_len = bytes,
	                                          .entry_num = count};
	int result = call(w, IOMMU_HWPT_INVALIDATE, &arguments);

	*done = arguments.entry_num;
	return result;
}

/** An IOAS that has all plain memory from BASE on, and a parent of it. */
static uint32_t parent_make(uint32_t flags, uint32_t *parent)
{
	uint32_t ioas = world_ioas(w);

	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN, USER_BYTES, BASE), 0);
	KTAP_EQUAL(world_hwpt(w, w->id[0], ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | flags, parent), 0);
	point(BASE);
	return ioas;
}

static void nesting_refused(void)
{
	uint32_t parent, plain, id, ioas;

	for (unsigned n = 0; n < ARRAY_SIZE(vtd_world_units); n++) {
		begin(n);
		ioas = world_ioas(w);
		KTAP_EQUAL(world_hwpt(w, w->id[0], ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &id),
		           vtd_world_units[n].nests ? 0 : -EOPNOTSUPP);
		vtd_world_end(&vw);
	}
	begin(0);
	ioas = parent_make(0, &parent);
	KTAP_EQUAL(world_hwpt(w, w->id[0], ioas, 0, &plain), 0);
	long objects = vw.ats.vm.test.objects, pages = vw.ats.vm.test.pages;
	struct iommu_hwpt_vtd_s1 *s1 = describe();
	const uint32_t whole = sizeof(*s1);
	const struct {
		uint32_t pt, flags, bytes;
		int result;
	} calls[] = {
		{plain, 0, whole, -EINVAL},
		{ioas, 0, whole, -EOPNOTSUPP},
		{99, 0, whole, -EINVAL},
		{w->id[0], 0, whole, -EINVAL},
		{parent, 1, whole, -EOPNOTSUPP},
		{parent, 2, whole, -EOPNOTSUPP},
		{parent, 1u << 31, whole, -EOPNOTSUPP},
		{parent, 0, 0, -EINVAL},
		{parent, 0, 1, -EINVAL},
		{parent, 0, whole - 1, -EINVAL},
		{parent, 0, PAGE + 1, -E2BIG},
		{parent, 0, UINT32_MAX, -E2BIG},
		{parent, 4, whole, -ENOENT},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		KTAP_EQUAL(nested(calls[i].pt, calls[i].flags, calls[i].bytes, 0, &id),
		           calls[i].result);
		if (ktap_failed)
			printf("# call %u\n", i);
	}
	/* each field of the description, and what lies behind it */
	const struct {
		struct iommu_hwpt_vtd_s1 s1;
		int result;
	} rows[] = {
		{{8, BASE, 48, 0}, -EOPNOTSUPP},
		{{UINT64_C(1) << 63, BASE, 48, 0}, -EOPNOTSUPP},
		{{0, BASE, 48, 1}, -EOPNOTSUPP},
		{{0, BASE, 0, 0}, -EINVAL},
		{{0, BASE, 47, 0}, -EINVAL},
		{{0, BASE, UINT32_MAX, 0}, -EINVAL},
		{{0, BASE + 1, 48, 0}, -EINVAL},
		{{0, BASE + PAGE - 1, 48, 0}, -EINVAL},
		{{0, UINT64_C(1) << 63, 48, 0}, -EINVAL},
		{{0, -PAGE, 48, 0}, -EINVAL},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		*s1 = rows[i].s1;
		KTAP_EQUAL(nested(parent, 0, whole, 0, &id), rows[i].result);
		if (ktap_failed)
			printf("# row %u\n", i);
	}
	for (unsigned i = 0; i < 4; i++) {
		static const uint32_t at[] = {sizeof(*s1), 255, 256, PAGE - 1};
		s1 = describe();
		((uint8_t *)s1)[at[i]] = 1;
		KTAP_EQUAL(nested(parent, 0, PAGE, 0, &id), -E2BIG);
	}
	KTAP_EQUAL(vw.ats.vm.test.objects, objects);
	KTAP_EQUAL(vw.ats.vm.test.pages, pages);
	(void)describe();
	KTAP_EQUAL(nested(parent, 0, PAGE, 0, &id), 0); /* longer, and zero */
	/* nothing read-only below a parent (erratum 772415), before it is made or after */
	struct iommu_ioas_map map = {.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
	                             .ioas_id = ioas,
	                             .user_va = USER_PLAIN,
	                             .length = PAGE,
	                             .iova = 4 * BASE};
	KTAP_EQUAL(call(w, IOMMU_IOAS_MAP, &map), -EINVAL);
	map.ioas_id = world_ioas(w);
	KTAP_EQUAL(call(w, IOMMU_IOAS_MAP, &map), 0);
	KTAP_EQUAL(world_hwpt(w, w->id[0], map.ioas_id, IOMMU_HWPT_ALLOC_NEST_PARENT, &id),
	           -EINVAL);
	KTAP_EQUAL(world_hwpt(w, w->id[0], map.ioas_id, 0, &id), 0);
	vtd_world_end(&vw);
}

static void nesting(void)
{
	for (unsigned n = 0; n < ARRAY_SIZE(vtd_world_units); n++) {
		struct iommu_hwpt_vtd_s1_invalidate *entry;
		uint32_t parent, hwpt, done;

		if (!vtd_world_units[n].nests)
			continue;
		begin(n);
		uint32_t ioas = parent_make(0, &parent);
		(void)describe();
		KTAP_EQUAL(nested(parent, 0, 24, 0, &hwpt), 0);
		KTAP_EQUAL(world_destroy(w, parent), -EBUSY);
		KTAP_EQUAL(world_destroy(w, ioas), -EBUSY);
		KTAP_EQUAL(world_attach(w, 0, hwpt, NULL), 0);
		KTAP_EQUAL(world_destroy(w, hwpt), -EBUSY);
		KTAP_CHECK(reaches(0, PLAIN, STAGE1 + 24, USER_PLAIN + 24));
		KTAP_CHECK(blocked(0, PLAIN, STAGE1 + PAGE));

		/* the user changes its table: the old translation holds until it says so */
		vw.ats.vm.expected = UINT64_C(1) << MODEL_REPORT_STALE;
		point(BASE + 7 * PAGE);
		KTAP_CHECK(reaches(0, PLAIN, STAGE1, USER_PLAIN));
		entry = test_user_at(&w->user, DATA);
		const struct {
			struct iommu_hwpt_vtd_s1_invalidate entry;
			int result;
		} wrong[] = {
			{{STAGE1, 1, 2, 0}, -EOPNOTSUPP}, {{STAGE1, 1, 0, 1}, -EOPNOTSUPP},
			{{STAGE1 + 1, 1, 0, 0}, -EINVAL}, {{PAGE, UINT64_MAX, 0, 0}, -EINVAL},
			{{-PAGE, 2, 0, 0}, -EINVAL},      {{0, UINT64_C(1) << 63, 0, 0}, -EINVAL},
		};
		for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
			entry[0] = wrong[i].entry;
			KTAP_EQUAL(forget(hwpt, 1, sizeof(*entry), &done), wrong[i].result);
			KTAP_EQUAL(done, 0);
		}
		KTAP_CHECK(reaches(0, PLAIN, STAGE1, USER_PLAIN));
		KTAP_EQUAL(forget(parent, 1, sizeof(*entry), &done), -EINVAL);
		KTAP_EQUAL(forget(hwpt, 1, sizeof(*entry) - 1, &done), -EINVAL);
		KTAP_EQUAL(forget(hwpt, 0, 0, &done), 0);
		vw.ats.vm.expected = 0;
		/* the entries before the first wrong one are done */
		entry[0] = (struct iommu_hwpt_vtd_s1_invalidate){STAGE1, 1, 1, 0};
		entry[1] = (struct iommu_hwpt_vtd_s1_invalidate){STAGE1, 1, 4, 0};
		KTAP_EQUAL(forget(hwpt, 2, sizeof(*entry), &done), -EOPNOTSUPP);
		KTAP_EQUAL(done, 1);
		KTAP_CHECK(reaches(0, PLAIN, STAGE1, USER_PLAIN + 7 * PAGE));
		point(BASE + 9 * PAGE);
		entry[0] = (struct iommu_hwpt_vtd_s1_invalidate){0, UINT64_MAX, 0, 0};
		KTAP_EQUAL(forget(hwpt, 1, sizeof(*entry), &done), 0);
		KTAP_EQUAL(done, 1);
		KTAP_CHECK(reaches(0, PLAIN, STAGE1, USER_PLAIN + 9 * PAGE));

		/* the parent loses its memory: so does what stands on it, at once */
		KTAP_EQUAL(world_unmap(w, ioas, BASE, USER_BYTES, NULL), 0);
		KTAP_CHECK(blocked(0, PLAIN, STAGE1));
		KTAP_EQUAL(w->user.pinned, 0);
		KTAP_EQUAL(world_map(w, ioas, USER_PLAIN, USER_BYTES, BASE), 0);
		KTAP_CHECK(reaches(0, PLAIN, STAGE1, USER_PLAIN + 9 * PAGE));
		/* from nested to the parent itself, and back */
		KTAP_EQUAL(world_attach(w, 0, parent, NULL), 0);
		KTAP_CHECK(reaches(0, PLAIN, BASE, USER_PLAIN));
		KTAP_CHECK(blocked(0, PLAIN, STAGE1));
		KTAP_EQUAL(world_attach(w, 0, hwpt, NULL), 0);
		KTAP_CHECK(reaches(0, PLAIN, STAGE1, USER_PLAIN + 9 * PAGE));
		KTAP_EQUAL(world_detach(w, 0), 0);
		KTAP_EQUAL(world_destroy(w, hwpt), 0);
		KTAP_EQUAL(world_destroy(w, parent), 0);
		vtd_world_end(&vw);
	}
}

static const struct ktap_case cases[] = {
	{"nesting: what is refused", nesting_refused},
	{"nesting, and the user's invalidations", nesting},
};

KTAP_MAIN(cases)
