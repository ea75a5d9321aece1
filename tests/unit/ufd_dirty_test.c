/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking: which pages are reported, when, into which bits; what is cleared and
 * what is not; and that a write after a report is in the next one.
 */
#include "tests/unit/ufd_test_user.h"

#define BASE   UINT64_C(0x40000000)
#define BITMAP (USER_PLAIN + 600 * PAGE) /* in user memory */

enum { NO_CLEAR = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR };

struct scene {
	struct world world;
	uint32_t ioas, hwpt;
};

/** A HWPT that tracks, with 2 MiB at BASE in one large page and 64 small pages after. */
static void scene_init(struct scene *scene)
{
	struct world *world = &scene->world;

	world_init(world);
	KTAP_EQUAL(world_bind(world, 0), 0);
	scene->ioas = world_ioas(world);
	KTAP_EQUAL(world_map(world, scene->ioas, USER_PLAIN, PAGE_SIZE_2M, BASE), 0);
	KTAP_EQUAL(world_map(world, scene->ioas, USER_SCATTER, 64 * PAGE, BASE + PAGE_SIZE_2M), 0);
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
	                      &scene->hwpt),
	           0);
	KTAP_EQUAL(world_attach(world, 0, scene->hwpt, NULL), 0);
}

static int track(struct scene *scene, uint32_t hwpt, uint32_t flags)
{
	struct iommu_hwpt_set_dirty_tracking arguments = {.flags = flags, .hwpt_id = hwpt};

	return call(&scene->world, IOMMU_HWPT_SET_DIRTY_TRACKING, &arguments);
}

static int get_at(struct scene *scene, uint64_t at, uint64_t bytes, uint64_t page_size,
                  uint32_t flags, uint64_t user)
{
	struct iommu_hwpt_get_dirty_bitmap arguments = {
		.hwpt_id = scene->hwpt,
		.flags = flags,
		.iova = at,
		.length = bytes,
		.page_size = page_size,
		.data = user,
	};

	return call(&scene->world, IOMMU_HWPT_GET_DIRTY_BITMAP, &arguments);
}

/** The bits, counted; *first is the lowest, or -1. */
static unsigned get(struct scene *scene, uint64_t at, uint64_t bytes, uint64_t page_size,
                    uint32_t flags, long *first)
{
	uint8_t *bitmap = test_user_at(&scene->world.user, BITMAP);
	unsigned count = 0;

	memset(bitmap, 0, 2 * PAGE);
	KTAP_EQUAL(get_at(scene, at, bytes, page_size, flags, BITMAP), 0);
	*first = -1;
	for (long bit = 0; bit < (long)(2 * PAGE * 8); bit++)
		if (bitmap[bit / 8] >> bit % 8 & 1) {
			if (*first < 0)
				*first = bit;
			count++;
		}
	KTAP_CHECK(!count || (uint64_t)*first + count <= bytes / page_size || count < 2);
	return count;
}

static void write_to(struct scene *scene, uint64_t at)
{
	pa_t out;

	KTAP_EQUAL(ufd_mock_translate(scene->world.device[0], iova(at), IOMMU_WRITE, &out), 0);
}

static void pages(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	const uint64_t small = BASE + PAGE_SIZE_2M, all = PAGE_SIZE_2M + 64 * PAGE;
	long first;
	pa_t out;

	scene_init(&scene);
	/* before tracking begins writes are not noted, nor are reads ever */
	write_to(&scene, small);
	KTAP_EQUAL(track(&scene, scene.hwpt, 1), 0);
	KTAP_EQUAL(get(&scene, small, 64 * PAGE, PAGE, 0, &first), 0);
	KTAP_EQUAL(ufd_mock_translate(world->device[0], iova(small + PAGE), IOMMU_READ, &out), 0);
	KTAP_EQUAL(get(&scene, small, 64 * PAGE, PAGE, 0, &first), 0);

	/* read without clearing, then with; then it is clean */
	write_to(&scene, small + 5 * PAGE + 7);
	for (int i = 0; i < 2; i++) {
		KTAP_EQUAL(get(&scene, small, 64 * PAGE, PAGE, NO_CLEAR, &first), 1);
		KTAP_EQUAL(first, 5);
	}
	KTAP_EQUAL(get(&scene, small, 64 * PAGE, PAGE, 0, &first), 1);
	KTAP_EQUAL(get(&scene, small, 64 * PAGE, PAGE, 0, &first), 0);
	/* and a write after that is seen again */
	write_to(&scene, small + 5 * PAGE);
	KTAP_EQUAL(get(&scene, small + 5 * PAGE, PAGE, PAGE, 0, &first), 1);
	KTAP_EQUAL(first, 0);

	/* only the range is cleared */
	for (unsigned page = 0; page < 64; page++)
		write_to(&scene, small + page * PAGE);
	KTAP_EQUAL(get(&scene, small + 8 * PAGE, 8 * PAGE, PAGE, 0, &first), 8);
	KTAP_EQUAL(get(&scene, small, 64 * PAGE, PAGE, NO_CLEAR, &first), 56);
	KTAP_EQUAL(get(&scene, small + 8 * PAGE, 8 * PAGE, PAGE, NO_CLEAR, &first), 0);
	/* one bit for several pages */
	KTAP_EQUAL(get(&scene, small, 64 * PAGE, 8 * PAGE, 0, &first), 7);
	KTAP_EQUAL(first, 0);

	/* a large page: all its bits; a part of it is reported and stays dirty */
	write_to(&scene, BASE + 100 * PAGE);
	KTAP_EQUAL(get(&scene, BASE + 8 * PAGE, 16 * PAGE, PAGE, 0, &first), 16);
	KTAP_EQUAL(get(&scene, BASE + 256 * PAGE, all - 256 * PAGE, PAGE, 0, &first), 256);
	KTAP_EQUAL(get(&scene, BASE, 256 * PAGE, PAGE, 0, &first), 256);
	KTAP_EQUAL(get(&scene, BASE, all, PAGE, 0, &first), 512);
	KTAP_EQUAL(get(&scene, BASE, all, PAGE, 0, &first), 0);
	write_to(&scene, BASE + 100 * PAGE);
	KTAP_EQUAL(get(&scene, BASE, PAGE_SIZE_2M, PAGE_SIZE_2M, NO_CLEAR, &first), 1);
	KTAP_EQUAL(get(&scene, BASE, PAGE_SIZE_2M, PAGE_SIZE_2M, 0, &first), 1);

	/* bits are set, never cleared */
	uint8_t *bitmap = test_user_at(&world->user, BITMAP);
	memset(bitmap, 0x80, 16);
	write_to(&scene, small);
	KTAP_EQUAL(get_at(&scene, small, 64 * PAGE, PAGE, 0, BITMAP), 0);
	KTAP_EQUAL(bitmap[0], 0x81);
	KTAP_EQUAL(bitmap[1], 0x80);
	KTAP_EQUAL(bitmap[8], 0x80);

	/* off, and on again: clean */
	write_to(&scene, small);
	KTAP_EQUAL(track(&scene, scene.hwpt, 0), 0);
	KTAP_EQUAL(get_at(&scene, small, PAGE, PAGE, 0, BITMAP), -EINVAL);
	KTAP_EQUAL(track(&scene, scene.hwpt, 1), 0);
	KTAP_EQUAL(get(&scene, small, PAGE, PAGE, 0, &first), 0);
	KTAP_EQUAL(track(&scene, scene.hwpt, 1), 0);

	/* an IOMMU that does not answer: said, and what was cleared is reported */
	write_to(&scene, small + PAGE);
	ufd_mock_break(world->device[0]->unit, true);
	memset(bitmap, 0, 16);
	KTAP_EQUAL(get_at(&scene, small, 64 * PAGE, PAGE, 0, BITMAP), -ETIMEDOUT);
	KTAP_EQUAL(bitmap[0], 2);
	KTAP_EQUAL(track(&scene, scene.hwpt, 0), -ETIMEDOUT);
	ufd_mock_break(world->device[0]->unit, false);
	world_end(world);
}

/** Writes through a nested HWPT are its parent's, and a flush reaches its TLB. */
static void nested(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	uint32_t child;
	long first;

	scene_init(&scene);
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene.ioas,
	                      IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_NEST_PARENT,
	                      &scene.hwpt),
	           0);
	KTAP_EQUAL(world_nested(world, scene.hwpt, 0, 0, &child), 0);
	KTAP_EQUAL(world_attach(world, 0, child, NULL), 0);
	write_to(&scene, BASE);
	KTAP_EQUAL(track(&scene, child, 1), -ENOENT);
	KTAP_EQUAL(track(&scene, scene.hwpt, 1), 0);
	KTAP_EQUAL(get(&scene, BASE, PAGE_SIZE_2M, PAGE_SIZE_2M, 0, &first), 0);
	for (int i = 0; i < 3; i++) {
		write_to(&scene, BASE);
		KTAP_EQUAL(get(&scene, BASE, PAGE_SIZE_2M, PAGE_SIZE_2M, 0, &first), 1);
		KTAP_EQUAL(get(&scene, BASE, PAGE_SIZE_2M, PAGE_SIZE_2M, 0, &first), 0);
	}
	world_end(world);
}

/** Many windows: 16384 bits each, over a mapping made of one page of user memory. */
static void windows(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	const uint64_t bytes = 512 * PAGE, pieces = 70; /* 35840 pages */
	long first;

	scene_init(&scene);
	for (uint64_t i = 0; i < pieces; i++)
		KTAP_EQUAL(world_copy(world, scene.ioas, BASE, scene.ioas, 2 * BASE + i * bytes,
		                      bytes, RW),
		           0);
	KTAP_EQUAL(track(&scene, scene.hwpt, 1), 0);
	static const uint64_t written[] = {0, 1, 511, 512, 16383, 16384, 32767, 32768, 35839};
	for (unsigned i = 0; i < ARRAY_SIZE(written); i++) {
		write_to(&scene, 2 * BASE + written[i] * PAGE);
		/* the range begins so that a large page lies across two windows */
		KTAP_EQUAL(get(&scene, 2 * BASE, pieces * bytes, PAGE, NO_CLEAR, &first), 512);
		KTAP_EQUAL((uint64_t)first, written[i] / 512 * 512);
		uint64_t from = 2 * BASE + 256 * PAGE, length = pieces * bytes - 512 * PAGE;
		unsigned cut = written[i] < 512 || written[i] >= pieces * 512 - 512 ? 256 : 512;
		KTAP_EQUAL(get(&scene, from, length, PAGE, 0, &first), cut);
		KTAP_EQUAL(get(&scene, from, length, PAGE, 0, &first), cut == 512 ? 0 : 256);
		KTAP_EQUAL(get(&scene, 2 * BASE, pieces * bytes, PAGE, 0, &first),
		           cut == 512 ? 0 : 512);
		KTAP_EQUAL(get(&scene, 2 * BASE, pieces * bytes, PAGE, 0, &first), 0);
	}
	world_end(world);
}

static void refused(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	const uint64_t small = BASE + PAGE_SIZE_2M, end = small + 64 * PAGE;
	uint32_t plain;
	long first;

	scene_init(&scene);
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene.ioas, 0, &plain), 0);
	KTAP_EQUAL(track(&scene, plain, 1), -EOPNOTSUPP);
	KTAP_EQUAL(track(&scene, scene.hwpt, 2), -EOPNOTSUPP);
	KTAP_EQUAL(track(&scene, 0, 1), -ENOENT);
	KTAP_EQUAL(track(&scene, scene.ioas, 1), -ENOENT);
	struct iommu_hwpt_set_dirty_tracking set = {.hwpt_id = scene.hwpt, .__reserved = 1};
	KTAP_EQUAL(call(world, IOMMU_HWPT_SET_DIRTY_TRACKING, &set), -EOPNOTSUPP);
	KTAP_EQUAL(get_at(&scene, small, PAGE, PAGE, 0, BITMAP), -EINVAL); /* not on */
	KTAP_EQUAL(track(&scene, scene.hwpt, 1), 0);
	write_to(&scene, small);
	const struct {
		uint64_t at, bytes, page_size;
		uint32_t flags;
		uint64_t user;
		int result;
	} cases[] = {
		{small, PAGE, PAGE, 2, BITMAP, -EOPNOTSUPP},
		{small, PAGE, 0, 0, BITMAP, -EINVAL},
		{small, 3 * PAGE, 3 * PAGE, 0, BITMAP, -EINVAL},
		{small, PAGE, 2 * PAGE, 0, BITMAP, -EINVAL},
		{small + PAGE, 2 * PAGE, 2 * PAGE, 0, BITMAP, -EINVAL},
		{small + 1, PAGE, PAGE, 0, BITMAP, -EINVAL},
		{small, PAGE - 1, 1, 0, BITMAP, -EINVAL},
		{small + 2048, PAGE, 2048, 0, BITMAP, -EINVAL},
		{small, 0, PAGE, 0, BITMAP, -EOVERFLOW},
		{0, 0, PAGE, 0, BITMAP, -EINVAL},
		{UINT64_MAX - PAGE + 1, 2 * PAGE, PAGE, 0, BITMAP, -EOVERFLOW},
		{end, PAGE, PAGE, 0, BITMAP, -EINVAL},
		{end - PAGE, 2 * PAGE, PAGE, 0, BITMAP, -EINVAL},
		{BASE - PAGE, 2 * PAGE, PAGE, 0, BITMAP, -EINVAL},
		{small, PAGE, PAGE, 0, 0x1000, -EFAULT},
		{small, PAGE, PAGE, 0, USER_READONLY, -EFAULT},
		{small, 16 * PAGE, PAGE, 0, UINT64_MAX, -EFAULT},
		{small, 64 * PAGE, PAGE, 0, USER_PLAIN + USER_BYTES - 7, -EFAULT},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		KTAP_EQUAL(get_at(&scene, cases[i].at, cases[i].bytes, cases[i].page_size,
		                  cases[i].flags, cases[i].user),
		           cases[i].result);
	/* none of them has cleared a flag */
	KTAP_EQUAL(get(&scene, small, 64 * PAGE, PAGE, NO_CLEAR, &first), 1);
	/* many windows inside one large page, which stays dirty for its ends */
	write_to(&scene, BASE);
	uint8_t *bitmap = test_user_at(&world->user, BITMAP);
	for (int i = 0; i < 2; i++) {
		memset(bitmap, 0, 60 * PAGE);
		KTAP_EQUAL(get_at(&scene, BASE + PAGE, 400 * PAGE, 1, 0, BITMAP), 0);
		for (uint64_t byte = 0; byte < 50 * PAGE; byte++)
			KTAP_EQUAL(bitmap[byte], 0xff);
		KTAP_EQUAL(bitmap[50 * PAGE], 0);
	}
	/* bits smaller than a page, down to a byte */
	KTAP_EQUAL(get(&scene, small, PAGE, 2048, NO_CLEAR, &first), 2);
	KTAP_EQUAL(get(&scene, small, PAGE, 1, NO_CLEAR, &first), 4096);
	world->os.fail_at = world->os.allocations + 1;
	KTAP_EQUAL(get_at(&scene, small, PAGE, PAGE, 0, BITMAP), -ENOMEM);
	scene.hwpt = plain;
	KTAP_EQUAL(get_at(&scene, small, PAGE, PAGE, 0, BITMAP), -EOPNOTSUPP);
	scene.hwpt = scene.ioas;
	KTAP_EQUAL(get_at(&scene, small, PAGE, PAGE, 0, BITMAP), -ENOENT);
	world_end(world);
}

static const struct ktap_case cases[] = {
	{"pages, small and large: reported, cleared, written again", pages},
	{"through a nested HWPT", nested},
	{"a range of many windows, large pages across them", windows},
	{"calls that are wrong leave the flags alone", refused},
};

KTAP_MAIN(cases)
