/* SPDX-License-Identifier: MIT */
/*
 * Deferred invalidation: what a device still reaches after an unmap, until when, and that
 * nothing else of the calls is different. The mock has a TLB, so a stale translation is seen.
 */
#include "tests/unit/ufd_test_user.h"
#include "ufd/nestor.h"

enum { BASE = 0x400000, KEEP = 0x480000 };

static struct world *w;
static uint32_t ioas, hwpt;

static int set(uint32_t option, uint32_t object, uint64_t value)
{
	struct iommu_option arguments = {.option_id = option,
	                                 .op = IOMMU_OPTION_OP_SET,
	                                 .object_id = object,
	                                 .val64 = value};

	return call(w, IOMMU_OPTION, &arguments);
}

static uint64_t get(uint32_t option)
{
	struct iommu_option arguments = {
		.option_id = option, .op = IOMMU_OPTION_OP_GET, .object_id = ioas, .val64 = 77};

	KTAP_EQUAL(call(w, IOMMU_OPTION, &arguments), 0);
	return arguments.val64;
}

static void begin(struct world *world)
{
	w = world;
	world_init(w);
	KTAP_EQUAL(world_bind(w, 0), 0);
	KTAP_EQUAL(world_bind(w, 1), 0);
	ioas = world_ioas(w);
	KTAP_EQUAL(world_attach(w, 0, ioas, &hwpt), 0);
	/* its neighbours' tables stay because of it */
	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN + 64 * PAGE, PAGE, KEEP), 0);
}

/** A mapping of one page that the device has used. */
static void map_used(unsigned page)
{
	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN + page * PAGE, PAGE, BASE + page * PAGE), 0);
	KTAP_CHECK(world_reaches(w, 0, BASE + page * PAGE, USER_PLAIN + page * PAGE));
}

static bool is_stale(unsigned page)
{
	return world_reaches(w, 0, BASE + page * PAGE, USER_PLAIN + page * PAGE);
}

static int unmap(unsigned page)
{
	return world_unmap(w, ioas, BASE + page * PAGE, PAGE, NULL);
}

static void options(void)
{
	struct world world;

	begin(&world);
	KTAP_EQUAL(get(IOMMU_OPTION_NESTOR_DEFER_COUNT), 0);
	KTAP_EQUAL(get(IOMMU_OPTION_NESTOR_DEFER_US), 0);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_US, ioas, 5), -EINVAL);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, NESTOR_DEFER_COUNT_MAX + 1), -EINVAL);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, UINT64_MAX), -EINVAL);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, hwpt, 1), -ENOENT);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, 0, 1), -ENOENT);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, NESTOR_DEFER_COUNT_MAX), 0);
	KTAP_EQUAL(get(IOMMU_OPTION_NESTOR_DEFER_COUNT), NESTOR_DEFER_COUNT_MAX);
	KTAP_EQUAL(get(IOMMU_OPTION_NESTOR_DEFER_US), NESTOR_DEFER_US_DEFAULT);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_US, ioas, NESTOR_DEFER_US_MAX + 1), -EINVAL);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_US, ioas, NESTOR_DEFER_US_MAX), 0);
	/* another count keeps the time */
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, 1), 0);
	KTAP_EQUAL(get(IOMMU_OPTION_NESTOR_DEFER_US), NESTOR_DEFER_US_MAX);
	world.os.fail_at = world.os.allocations + 1;
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, 9), -ENOMEM);
	world.os.fail_at = 0;
	KTAP_EQUAL(get(IOMMU_OPTION_NESTOR_DEFER_COUNT), 1);
	struct iommu_option strange = {
		.option_id = IOMMU_OPTION_NESTOR_DEFER_COUNT, .op = 2, .object_id = ioas};
	KTAP_EQUAL(call(w, IOMMU_OPTION, &strange), -EOPNOTSUPP);
	/* one: flushed at once */
	map_used(0);
	KTAP_EQUAL(unmap(0), 0);
	KTAP_CHECK(world_blocked(w, 0, BASE));
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, 0), 0);
	KTAP_EQUAL(get(IOMMU_OPTION_NESTOR_DEFER_US), 0);
	world_end(w);
}

static void window_by_count(void)
{
	struct world world;

	begin(&world);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, 4), 0);
	for (unsigned i = 0; i < 8; i++)
		map_used(i);
	uint64_t flushes = world_flushes(w);
	long pinned = world.user.pinned;
	for (unsigned i = 0; i < 3; i++)
		KTAP_EQUAL(unmap(i), 0);
	KTAP_EQUAL(world_flushes(w), flushes);
	for (unsigned i = 0; i < 3; i++)
		KTAP_CHECK(is_stale(i));
	KTAP_EQUAL(world.user.pinned, pinned); /* so nobody else has the memory */
	KTAP_EQUAL(world_info(w, ioas).mapped_bytes, 6 * PAGE);
	KTAP_EQUAL(unmap(3), 0);
	KTAP_EQUAL(world_flushes(w), flushes + 1);
	for (unsigned i = 0; i < 4; i++)
		KTAP_CHECK(world_blocked(w, 0, BASE + i * PAGE));
	KTAP_EQUAL(world.user.pinned, pinned - 4);
	/* several by one call: the list fills in the middle of it */
	uint64_t bytes;
	KTAP_EQUAL(unmap(4), 0);
	KTAP_EQUAL(unmap(5), 0);
	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN + 8 * PAGE, PAGE, BASE + 8 * PAGE), 0);
	KTAP_EQUAL(world_unmap(w, ioas, BASE + 6 * PAGE, 3 * PAGE, &bytes), 0);
	KTAP_EQUAL(bytes, 3 * PAGE);
	for (unsigned i = 4; i < 9; i++)
		KTAP_CHECK(world_blocked(w, 0, BASE + i * PAGE));
	world_end(w); /* with one in the list */
}

static void window_by_time(void)
{
	struct world world;

	begin(&world);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, 100), 0);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_US, ioas, 1000), 0);
	for (unsigned i = 0; i < 8; i++)
		map_used(i);
	KTAP_EQUAL(unmap(0), 0);
	world.os.now_ns += 999000;
	ufd_flush_deferred(&world.ufd);
	KTAP_CHECK(is_stale(0));
	world.os.now_ns += 1000;
	KTAP_CHECK(is_stale(0));
	ufd_flush_deferred(&world.ufd);
	KTAP_CHECK(world_blocked(w, 0, BASE));
	/* the next unmap, or map, keeps the time too */
	KTAP_EQUAL(unmap(1), 0);
	world.os.now_ns += 600000;
	KTAP_EQUAL(unmap(2), 0);
	KTAP_CHECK(is_stale(1) && is_stale(2));
	world.os.now_ns += 600000;
	KTAP_EQUAL(unmap(3), 0); /* the first is late: all go */
	KTAP_CHECK(world_blocked(w, 0, BASE + PAGE) && world_blocked(w, 0, BASE + 3 * PAGE));
	KTAP_EQUAL(unmap(4), 0);
	world.os.now_ns += 1000000;
	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN + 9 * PAGE, PAGE, BASE + 9 * PAGE), 0);
	KTAP_CHECK(world_blocked(w, 0, BASE + 4 * PAGE));
	/* /dev/iommu is closed, and the device has it open still: nobody would come back */
	KTAP_EQUAL(unmap(5), 0);
	KTAP_CHECK(is_stale(5));
	KTAP_EQUAL(ufd_close(&world.ufd, world.fd), 0);
	KTAP_CHECK(world_blocked(w, 0, BASE + 5 * PAGE));
	KTAP_CHECK(is_stale(6)); /* mapped */
	world_end(w);
}

/** Nobody meets what is gone. */
static void other_calls(void)
{
	struct world world;
	uint64_t at, bytes;
	uint32_t second;

	begin(&world);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, 100), 0);
	for (unsigned i = 0; i < 16; i++)
		map_used(i);
	KTAP_EQUAL(unmap(0), 0);
	KTAP_EQUAL(unmap(0), -ENOENT);
	KTAP_CHECK(world_blocked(w, 0, BASE));
	/* the same IOVA for other memory: the old translation must not survive */
	KTAP_EQUAL(unmap(1), 0);
	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN + 100 * PAGE, PAGE, BASE + PAGE), 0);
	KTAP_CHECK(world_reaches(w, 0, BASE + PAGE, USER_PLAIN + 100 * PAGE));
	/* where the kernel chooses, it does not choose that */
	KTAP_EQUAL(unmap(2), 0);
	for (unsigned i = 0; i < 4; i++) {
		KTAP_EQUAL(world_map_any(w, ioas, USER_PLAIN + (200 + i) * PAGE, PAGE, &at), 0);
		KTAP_CHECK(at != BASE + 2 * PAGE && is_stale(2));
	}
	KTAP_EQUAL(world_copy(w, ioas, BASE + 2 * PAGE, ioas, 0x900000, PAGE, RW), -ENOENT);
	KTAP_CHECK(world_blocked(w, 0, BASE + 2 * PAGE));
	/* a range that holds both what is mapped and what is gone */
	KTAP_EQUAL(unmap(4), 0);
	KTAP_EQUAL(world_unmap(w, ioas, BASE + 3 * PAGE, 3 * PAGE, &bytes), 0);
	KTAP_EQUAL(bytes, 2 * PAGE);
	/* another table gets the mappings that are there, and no others */
	KTAP_EQUAL(unmap(6), 0);
	KTAP_EQUAL(world_hwpt(w, w->id[1], ioas, 0, &second), 0);
	KTAP_CHECK(world_blocked(w, 0, BASE + 6 * PAGE));
	KTAP_EQUAL(world_attach(w, 1, second, NULL), 0);
	KTAP_CHECK(world_reaches(w, 1, BASE + 7 * PAGE, USER_PLAIN + 7 * PAGE));
	KTAP_CHECK(world_blocked(w, 1, BASE + 6 * PAGE));
	KTAP_EQUAL(unmap(7), 0); /* in both */
	KTAP_CHECK(is_stale(7) && world_reaches(w, 1, BASE + 7 * PAGE, USER_PLAIN + 7 * PAGE));
	KTAP_EQUAL(world_detach(w, 1), 0);
	KTAP_EQUAL(world_destroy(w, second), 0);
	KTAP_CHECK(world_blocked(w, 0, BASE + 7 * PAGE));
	/* everything */
	KTAP_EQUAL(unmap(8), 0);
	KTAP_EQUAL(world_unmap(w, ioas, 0, UINT64_MAX, &bytes), 0);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, 0), 0);
	KTAP_EQUAL(world.user.pinned, 0);
	KTAP_CHECK(world_blocked(w, 0, BASE + 9 * PAGE));
	world_end(w);
}

/** A unit that remembers the way to a table that is gone would not see what comes after. */
static void tables_that_go(void)
{
	struct world world;

	begin(&world);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, 100), 0);
	const uint64_t alone = 0x40000000;
	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN, PAGE, alone), 0);
	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN + PAGE, PAGE, alone + PAGE_SIZE_2M - PAGE), 0);
	KTAP_CHECK(world_reaches(w, 0, alone, USER_PLAIN));
	long pages = world.os.pages;
	KTAP_EQUAL(world_unmap(w, ioas, alone, PAGE_SIZE_2M, NULL), 0);
	KTAP_EQUAL(world.os.pages, pages); /* the table goes after the flush */
	KTAP_CHECK(world_reaches(w, 0, alone, USER_PLAIN));
	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN + PAGE, PAGE, alone + PAGE), 0);
	KTAP_CHECK(world_blocked(w, 0, alone));
	KTAP_CHECK(world_reaches(w, 0, alone + PAGE, USER_PLAIN + PAGE));
	world_end(w);
}

/** An IOMMU that does not confirm: the memory stays pinned for good. */
static void no_answer(void)
{
	struct world world;

	begin(&world);
	KTAP_EQUAL(set(IOMMU_OPTION_NESTOR_DEFER_COUNT, ioas, 2), 0);
	map_used(0);
	map_used(1);
	KTAP_EQUAL(unmap(0), 0);
	ufd_mock_break(world.device[0]->unit, true);
	KTAP_EQUAL(unmap(1), 0);
	ufd_mock_break(world.device[0]->unit, false);
	KTAP_EQUAL(world.user.pinned, 3);
	world_end_with(w, 2);
}

static const struct ktap_case cases[] = {
	{"the options, their bounds, and no memory", options},
	{"the window ends with the count", window_by_count},
	{"the window ends with the time", window_by_time},
	{"no other call meets what is gone", other_calls},
	{"a table that goes is flushed before anything is mapped", tables_that_go},
	{"an IOMMU that does not answer keeps the pins", no_answer},
};
KTAP_MAIN(cases)
