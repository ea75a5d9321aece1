/* SPDX-License-Identifier: MIT */
/*
 * IOAS_IOVA_RANGES, IOAS_ALLOW_IOVAS and OPTION: what may be mapped where, how, and
 * what is said about it.
 */
#include "tests/unit/ufd_test_user.h"

#define BASE UINT64_C(0x40000000)
#define MAX  UINT64_MAX

static int iova_ranges(struct world *world, uint32_t ioas, uint32_t *count, uint64_t user)
{
	struct iommu_ioas_iova_ranges arguments = {
		.ioas_id = ioas, .num_iovas = *count, .allowed_iovas = user};
	int result = call(world, IOMMU_IOAS_IOVA_RANGES, &arguments);

	*count = arguments.num_iovas;
	if (!result)
		KTAP_CHECK(arguments.out_iova_alignment == 1 ||
		           arguments.out_iova_alignment == PAGE);
	return result;
}

static int allow(struct world *world, uint32_t ioas, uint32_t count, uint64_t user)
{
	struct iommu_ioas_allow_iovas arguments = {
		.ioas_id = ioas, .num_iovas = count, .allowed_iovas = user};

	return call(world, IOMMU_IOAS_ALLOW_IOVAS, &arguments);
}

static void ranges(void)
{
	struct world world;
	uint32_t count = 4;

	world_init(&world);
	uint32_t ioas = world_ioas(&world);
	struct iommu_iova_range *range = test_user_at(&world.user, USER_PLAIN);
	KTAP_EQUAL(iova_ranges(&world, 99, &count, USER_PLAIN), -ENOENT);
	KTAP_EQUAL(iova_ranges(&world, ioas, &count, USER_PLAIN), 0);
	KTAP_EQUAL(count, 1);
	KTAP_CHECK(range[0].start == 0 && range[0].last == MAX);
	count = 0; /* no room: the count, and nothing is written */
	KTAP_EQUAL(iova_ranges(&world, ioas, &count, 0), -EMSGSIZE);
	KTAP_EQUAL(count, 1);
	count = 1;
	KTAP_EQUAL(iova_ranges(&world, ioas, &count, 0x1000), -EFAULT);
	KTAP_EQUAL(iova_ranges(&world, ioas, &count, MAX - 7), -EFAULT);
	struct iommu_ioas_iova_ranges reserved = {.ioas_id = ioas, .__reserved = 1};
	KTAP_EQUAL(call(&world, IOMMU_IOAS_IOVA_RANGES, &reserved), -EOPNOTSUPP);

	/* the mock ends at 48 bits and has the interrupt window */
	KTAP_EQUAL(world_bind(&world, 0), 0);
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), 0);
	count = 1;
	KTAP_EQUAL(iova_ranges(&world, ioas, &count, USER_PLAIN), -EMSGSIZE);
	KTAP_EQUAL(count, 2);
	KTAP_EQUAL(iova_ranges(&world, ioas, &count, USER_PLAIN), 0);
	KTAP_CHECK(range[0].start == 0 && range[0].last == 0xfedfffff);
	KTAP_CHECK(range[1].start == 0xfef00000 && range[1].last == (UINT64_C(1) << 48) - 1);
	KTAP_EQUAL(world_detach(&world, 0), 0);
	KTAP_EQUAL(iova_ranges(&world, ioas, &count, USER_PLAIN), 0);
	KTAP_EQUAL(count, 1);

	/* allowed ranges: only there is chosen, and they are kept free of reservations */
	range[0] = (struct iommu_iova_range){PAGE, 3 * PAGE - 1};
	range[1] = (struct iommu_iova_range){0xff000000, 0xff000000 + 4 * PAGE - 1};
	KTAP_EQUAL(allow(&world, 99, 2, USER_PLAIN), -ENOENT);
	KTAP_EQUAL(allow(&world, ioas, 2, 0x1000), -EFAULT);
	KTAP_EQUAL(allow(&world, ioas, 2, MAX - 8), -EFAULT);
	KTAP_EQUAL(allow(&world, ioas, UINT32_MAX, USER_CALLS), -EINVAL);
	KTAP_EQUAL(allow(&world, ioas, 2, USER_PLAIN), 0);
	uint64_t at;
	KTAP_EQUAL(world_map_any(&world, ioas, USER_PLAIN, PAGE, &at), 0);
	KTAP_EQUAL(at, PAGE);
	KTAP_EQUAL(world_map_any(&world, ioas, USER_PLAIN, 4 * PAGE, &at), 0);
	KTAP_EQUAL(at, 0xff000000);
	KTAP_EQUAL(world_map_any(&world, ioas, USER_PLAIN, 2 * PAGE, &at), -ENOSPC);
	KTAP_EQUAL(world_map_any(&world, ioas, USER_PLAIN, PAGE, &at), 0);
	KTAP_EQUAL(at, 2 * PAGE);
	KTAP_EQUAL(world_map_any(&world, ioas, USER_PLAIN, PAGE, &at), -ENOSPC);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, BASE), 0); /* fixed may lie outside */
	static const struct iommu_iova_range bad[][2] = {
		{{5, 4}, {10, 20}},  /* empty */
		{{5, 5}, {10, 20}},  /* one address: EINVAL in Linux too */
		{{5, 10}, {10, 20}}, /* overlap */
		{{10, 20}, {5, 10}},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(range, bad[i], sizeof(bad[i]));
		KTAP_EQUAL(allow(&world, ioas, 2, USER_PLAIN), -EINVAL);
	}
	/* the window that a device reserves cannot be allowed, nor attached to */
	range[0] = (struct iommu_iova_range){0xfee00000, 0xfee00fff};
	KTAP_EQUAL(allow(&world, ioas, 1, USER_PLAIN), 0);
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), -EADDRINUSE);
	KTAP_EQUAL(allow(&world, ioas, 0, 0), 0);
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), 0);
	KTAP_EQUAL(allow(&world, ioas, 1, USER_PLAIN), -EADDRINUSE);
	world_end(&world);
}

static int option(struct world *world, uint32_t id, uint16_t op, uint32_t object, uint64_t *value)
{
	struct iommu_option arguments = {
		.option_id = id, .op = op, .object_id = object, .val64 = *value};
	int result = call(world, IOMMU_OPTION, &arguments);

	*value = arguments.val64;
	return result;
}

static void options(void)
{
	struct world world;
	uint64_t value = 7, zero = 0, one = 1, two = 2;
	enum { SET = IOMMU_OPTION_OP_SET, GET = IOMMU_OPTION_OP_GET };

	world_init(&world);
	KTAP_EQUAL(option(&world, 0, GET, 0, &value), 0);
	KTAP_EQUAL(value, 0);
	KTAP_EQUAL(option(&world, 0, SET, 0, &one), 0);
	KTAP_EQUAL(option(&world, 0, GET, 0, &value), 0);
	KTAP_EQUAL(value, 1);
	KTAP_EQUAL(option(&world, 0, SET, 0, &two), -EINVAL);
	KTAP_EQUAL(option(&world, 0, SET, 0, &zero), 0);
	KTAP_EQUAL(option(&world, 0, GET, 1, &value), -EOPNOTSUPP);
	KTAP_EQUAL(option(&world, 0, 2, 0, &value), -EOPNOTSUPP);
	KTAP_EQUAL(option(&world, 2, GET, 0, &value), -EOPNOTSUPP);
	struct iommu_option reserved = {.op = GET, .__reserved = 1};
	KTAP_EQUAL(call(&world, IOMMU_OPTION, &reserved), -EOPNOTSUPP);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(option(&world, 0, SET, 0, &one), -EBUSY); /* objects exist */

	KTAP_EQUAL(option(&world, 1, GET, 99, &value), -ENOENT);
	KTAP_EQUAL(option(&world, 1, GET, ioas, &value), 0);
	KTAP_EQUAL(value, 1);
	KTAP_EQUAL(option(&world, 1, 9, ioas, &value), -EOPNOTSUPP);
	KTAP_EQUAL(option(&world, 1, SET, ioas, &two), -EINVAL);
	KTAP_EQUAL(option(&world, 1, SET, ioas, &zero), 0);
	KTAP_EQUAL(option(&world, 1, GET, ioas, &value), 0);
	KTAP_EQUAL(value, 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 8, BASE), -EINVAL); /* 4 KiB from now on */

	/* 4 KiB leaves only, also where 2 MiB would fit */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE_SIZE_2M, BASE), 0);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), 0);
	struct iommu_domain *domain = world.device[0]->domain;
	struct iommu_leaf leaf;
	KTAP_CHECK(domain->ops->lookup(domain, iova(BASE), &leaf) && leaf.bytes == PAGE);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE_SIZE_2M, 2 * BASE), 0);
	KTAP_CHECK(domain->ops->lookup(domain, iova(2 * BASE), &leaf) && leaf.bytes == PAGE);
	KTAP_CHECK(world_reaches(&world, 0, 2 * BASE + 511 * PAGE, USER_PLAIN + 511 * PAGE));
	/* back on: from now on; off again: only before something is mapped */
	KTAP_EQUAL(option(&world, 1, SET, ioas, &one), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE_SIZE_2M, 3 * BASE), 0);
	KTAP_CHECK(domain->ops->lookup(domain, iova(3 * BASE), &leaf));
	KTAP_EQUAL(leaf.bytes, PAGE_SIZE_2M);
	KTAP_EQUAL(option(&world, 1, SET, ioas, &zero), -EINVAL);
	KTAP_EQUAL(world_unmap(&world, ioas, 0, MAX, NULL), 0);
	KTAP_EQUAL(option(&world, 1, SET, ioas, &zero), 0);
	/* an IOAS with a mapping that is not aligned cannot be turned */
	uint32_t odd = world_ioas(&world);
	KTAP_EQUAL(world_map(&world, odd, USER_PLAIN, 8, BASE), 0);
	KTAP_EQUAL(option(&world, 1, SET, odd, &zero), -EADDRINUSE);
	world.user.out_fail_at = world.user.outs + 1;
	KTAP_EQUAL(option(&world, 1, SET, ioas, &one), -EFAULT);
	KTAP_EQUAL(option(&world, 1, GET, ioas, &value), 0);
	KTAP_EQUAL(value, 0);
	world_end(&world);
}

static const struct ktap_case cases[] = {
	{"IOAS_IOVA_RANGES and IOAS_ALLOW_IOVAS", ranges},
	{"OPTION", options},
};

KTAP_MAIN(cases)
