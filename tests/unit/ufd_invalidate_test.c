/* SPDX-License-Identifier: MIT */
/*
 * HWPT_INVALIDATE: what each entry does, how many the caller is told were done, and every
 * way in which a call can be wrong.
 */
#include "tests/unit/ufd_test_user.h"

#include <stddef.h>

#define SELFTEST IOMMU_HWPT_INVALIDATE_DATA_SELFTEST

struct scene {
	struct world world;
	uint32_t ioas, parent, child;
};

static void scene_init(struct scene *scene)
{
	struct world *world = &scene->world;

	world_init(world);
	KTAP_EQUAL(world_bind(world, 0), 0);
	scene->ioas = world_ioas(world);
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT,
	                      &scene->parent),
	           0);
	KTAP_EQUAL(world_nested(world, scene->parent, 0, 0, &scene->child), 0);
}

/** Which cache words are still there: bit n is word n. */
static unsigned cached(struct scene *scene)
{
	struct iommu_domain *domain = world_info(&scene->world, scene->child).domain;
	unsigned mask = 0;

	for (unsigned i = 0; i < UFD_MOCK_IOTLB; i++) {
		uint32_t word = ufd_mock_iotlb(domain, i);
		KTAP_CHECK(!word || word == IOMMU_TEST_IOTLB_DEFAULT);
		mask |= (word != 0) << i;
	}
	return mask;
}

/** A call with @p count entries at @p user; *done is entry_num afterwards. */
static int invalidate_at(struct scene *scene, uint64_t user, uint32_t type, uint32_t bytes,
                         uint32_t count, uint32_t *done)
{
	struct iommu_hwpt_invalidate arguments = {
		.hwpt_id = scene->child,
		.data_uptr = user,
		.data_type = type,
		.entry_len = bytes,
		.entry_num = count,
	};
	int result = call(&scene->world, IOMMU_HWPT_INVALIDATE, &arguments);

	*done = arguments.entry_num;
	return result;
}

static int invalidate(struct scene *scene, const struct iommu_hwpt_invalidate_selftest *entry,
                      uint32_t count, uint32_t *done)
{
	memcpy(test_user_at(&scene->world.user, USER_PLAIN), entry, count * sizeof(*entry));
	return invalidate_at(scene, USER_PLAIN, SELFTEST, sizeof(*entry), count, done);
}

static void entries(void)
{
	const struct iommu_hwpt_invalidate_selftest all = {.flags = 1};
	static const struct {
		struct iommu_hwpt_invalidate_selftest entry[4];
		uint32_t count, done;
		int result;
		unsigned left;
	} cases[] = {
		{{{0, 0}}, 0, 0, 0, 0xf},
		{{{0, 0}}, 1, 1, 0, 0xe},
		{{{0, 3}}, 1, 1, 0, 0x7},
		{{{0, 1}, {0, 2}, {0, 1}}, 3, 3, 0, 0x9},
		{{{1, 3}}, 1, 1, 0, 0},
		{{{0, 4}}, 1, 0, -EINVAL, 0xf},
		{{{0, UINT32_MAX}}, 1, 0, -EINVAL, 0xf},
		{{{1, 4}}, 1, 0, -EINVAL, 0xf},
		{{{2, 0}}, 1, 0, -EOPNOTSUPP, 0xf},
		{{{UINT32_MAX, 0}}, 1, 0, -EOPNOTSUPP, 0xf},
		/* what comes before the wrong one is done, what comes after is not */
		{{{0, 0}, {0, 4}, {0, 1}}, 3, 1, -EINVAL, 0xe},
		{{{0, 0}, {0, 1}, {0, 2}, {4, 3}}, 4, 3, -EOPNOTSUPP, 0x8},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene scene;
		uint32_t done = 77;

		scene_init(&scene);
		KTAP_EQUAL(cached(&scene), 0xf);
		KTAP_EQUAL(invalidate(&scene, cases[i].entry, cases[i].count, &done),
		           cases[i].result);
		KTAP_EQUAL(done, cases[i].done);
		KTAP_EQUAL(cached(&scene), cases[i].left);
		KTAP_EQUAL(invalidate(&scene, &all, 1, &done), 0);
		KTAP_EQUAL(done, 1);
		KTAP_EQUAL(cached(&scene), 0);
		world_end(&scene.world);
	}
}

static void arrays(void)
{
	struct scene scene;
	uint32_t done;

	scene_init(&scene);
	uint8_t *data = test_user_at(&scene.world.user, USER_PLAIN);
	memset(data, 0, PAGE);
	const uint64_t end = USER_PLAIN + USER_BYTES;
	const struct {
		uint64_t user;
		uint32_t type, bytes, count;
		int result;
		uint32_t done;
	} cases[] = {
		{0, SELFTEST, 0, 0, 0, 0}, /* nothing asked for */
		{0, SELFTEST, 8, 0, 0, 0},
		{0, SELFTEST, 8, 1, -EINVAL, 0},
		{USER_PLAIN, SELFTEST, 0, 1, -EINVAL, 0},
		{USER_PLAIN, SELFTEST, 7, 1, -EINVAL, 0},
		{USER_PLAIN, SELFTEST, 8, 1, 0, 1},
		{USER_PLAIN, SELFTEST, 9, 1, -EINVAL, 0},
		{USER_PLAIN, SELFTEST, 1000, 4, -EINVAL, 0},
		{USER_PLAIN, SELFTEST, 8, 1 << 19, 0, 1 << 19},
		{USER_PLAIN, SELFTEST, 8, (1 << 19) + 1, -EINVAL, 0},
		{USER_PLAIN, SELFTEST, PAGE + 1, 1, -EINVAL, 0},
		{USER_PLAIN, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID, 8, 1, -EINVAL, 0},
		{USER_PLAIN, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, 8, 1, -EINVAL, 0},
		{0, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, 0, 0, -EINVAL,
	         0}, /* the type counts even so */
		{0x1000, SELFTEST, 8, 1, -EFAULT, 0},
		{end - 8, SELFTEST, 8, 1, 0, 1},
		{end - 8, SELFTEST, 8, 2, -EFAULT, 1},
		{end - 24, SELFTEST, 8, 4, -EFAULT, 3},
		{UINT64_MAX - 3, SELFTEST, 8, 1, -EFAULT, 0},
		{UINT64_MAX - 7, SELFTEST, 8, 2, -EFAULT, 0},
		{USER_PLAIN, SELFTEST, UINT32_MAX, 1, -EINVAL, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		done = 77;
		KTAP_EQUAL(invalidate_at(&scene, cases[i].user, cases[i].type, cases[i].bytes,
		                         cases[i].count, &done),
		           cases[i].result);
		KTAP_EQUAL(done, cases[i].done);
	}
	/* longer entries: as Linux's, the mock takes its own length only */
	KTAP_EQUAL(invalidate_at(&scene, USER_PLAIN, SELFTEST, 12, 4, &done), -EINVAL);
	KTAP_EQUAL(done, 0);
	world_end(&scene.world);
}

static void calls(void)
{
	struct scene scene;
	struct world *world = &scene.world;

	scene_init(&scene);
	memset(test_user_at(&world->user, USER_PLAIN), 0, 64);
	const struct {
		uint32_t id, reserved;
		int result;
	} cases[] = {
		{0, 0, -ENOENT},
		{99, 0, -ENOENT},
		{scene.ioas, 0, -EINVAL},
		{scene.parent, 0, -EINVAL},
		{world->id[0], 0, -EINVAL},
		{scene.child, 1, -EOPNOTSUPP},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iommu_hwpt_invalidate arguments = {
			.hwpt_id = cases[i].id,
			.data_uptr = USER_PLAIN,
			.data_type = SELFTEST,
			.entry_len = 8,
			.entry_num = 1,
			.__reserved = cases[i].reserved,
		};
		KTAP_EQUAL(call(world, IOMMU_HWPT_INVALIDATE, &arguments), cases[i].result);
		KTAP_EQUAL(arguments.entry_num, 0);
	}
	KTAP_EQUAL(cached(&scene), 0xf);

	/* a unit that does not answer: said, and nothing counts as done */
	uint32_t done = 77;
	ufd_mock_break(world->device[0]->unit, true);
	KTAP_EQUAL(invalidate_at(&scene, USER_PLAIN, SELFTEST, 8, 1, &done), -ETIMEDOUT);
	KTAP_EQUAL(done, 0);
	ufd_mock_break(world->device[0]->unit, false);
	KTAP_EQUAL(cached(&scene), 0xf);

	/* the answer cannot be written: that is the result, whatever else happened */
	struct iommu_hwpt_invalidate *fixed = test_user_at(&world->user, USER_READONLY);
	*fixed = (struct iommu_hwpt_invalidate){.size = sizeof(*fixed), .hwpt_id = 99};
	KTAP_EQUAL(ufd_ioctl(&world->ufd, world->fd, IOMMU_HWPT_INVALIDATE, USER_READONLY),
	           -EFAULT);
	world_end(world);
}

static const struct ktap_case cases[] = {
	{"what entries do, and how many", entries},
	{"arrays: where they lie, how long entries are", arrays},
	{"calls that are wrong; hardware that does not answer", calls},
};

KTAP_MAIN(cases)
