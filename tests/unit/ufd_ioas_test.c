/* SPDX-License-Identifier: MIT */
/*
 * IOAS calls: structures that grow, alloc and destroy, map, copy, unmap; every
 * error, and the boundaries of addresses and lengths. Most run twice: on an IOAS
 * without a HWPT, and on one that a device is attached to. Ranges and options are in
 * ufd_ranges_test.c.
 */
#include "tests/unit/ufd_test_user.h"
#include "ufd/selftest.h"

#define BASE UINT64_C(0x40000000)
#define MAX  UINT64_MAX

static uint32_t attached_ioas(struct world *world, bool with_device)
{
	uint32_t ioas = world_ioas(world);

	if (with_device) {
		if (!world->id[0])
			KTAP_EQUAL(world_bind(world, 0), 0);
		KTAP_EQUAL(world_attach(world, 0, ioas, NULL), 0);
	}
	return ioas;
}

static void structures(void)
{
	struct world world;
	static const struct {
		uint32_t command, least, bytes;
		int zero_result; /* of an all-zero structure */
	} commands[] = {
		{IOMMU_DESTROY, 8, 8, -ENOENT},
		{IOMMU_IOAS_ALLOC, 12, 12, 0},
		{IOMMU_IOAS_ALLOW_IOVAS, 24, 24, -ENOENT},
		{IOMMU_IOAS_COPY, 40, 40, -EINVAL},
		{IOMMU_IOAS_IOVA_RANGES, 32, 32, -ENOENT},
		{IOMMU_IOAS_MAP, 40, 40, -EINVAL},
		{IOMMU_IOAS_UNMAP, 24, 24, -ENOENT},
		{IOMMU_OPTION, 24, 24, -EBUSY}, /* RLIMIT_MODE, and objects exist by then */
		{IOMMU_HWPT_ALLOC, 24, 48, -ENOENT},
		{IOMMU_GET_HW_INFO, 32, 40, -ENOENT},
		{IOMMU_HWPT_SET_DIRTY_TRACKING, 16, 16, -ENOENT},
		{IOMMU_HWPT_GET_DIRTY_BITMAP, 48, 48, -ENOENT},
		{IOMMU_HWPT_INVALIDATE, 32, 32, -ENOENT},
		{IOMMU_FAULT_QUEUE_ALLOC, 16, 16, 0},
		{IOMMU_IOAS_MAP_FILE, 40, 40, -EINVAL},
		{IOMMU_IOAS_CHANGE_PROCESS, 8, 8, 0},
		{IOMMU_VFIO_IOAS, 12, 12, -ENODEV},
		{IOMMU_VIOMMU_ALLOC, 24, 40, -EOPNOTSUPP},
		{IOMMU_VDEVICE_ALLOC, 24, 24, -ENOENT},
		{IOMMU_VEVENTQ_ALLOC, 32, 32, -EOPNOTSUPP},
		{IOMMU_HW_QUEUE_ALLOC, 40, 40, -EOPNOTSUPP},
		{IOMMU_IOAS_NOIOMMU_GET_PA, 40, 40, -EINVAL},
		{IOMMU_TEST_CMD, 68, 72, -EOPNOTSUPP},
	};

	world_init(&world);
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		uint32_t command = commands[i].command, least = commands[i].least;
		for (uint32_t bytes = 4; bytes <= 600; bytes++) {
			uint32_t words[150] = {bytes};
			uint8_t *raw = (uint8_t *)words;
			int result = world_call(&world, world.fd, command, raw, bytes);
			KTAP_EQUAL(result, bytes < least ? -EINVAL : commands[i].zero_result);
			if (command == IOMMU_FAULT_QUEUE_ALLOC && !result)
				KTAP_EQUAL(ufd_close(&world.ufd, 6), 0);
			if (bytes <= commands[i].bytes)
				continue;
			/* a byte that is not known, first and last */
			memset(raw, 0, sizeof(words));
			words[0] = bytes;
			raw[commands[i].bytes] = 1;
			KTAP_EQUAL(world_call(&world, world.fd, command, raw, bytes), -E2BIG);
			memset(raw, 0, sizeof(words));
			words[0] = bytes;
			raw[bytes - 1] = 0x80;
			KTAP_EQUAL(world_call(&world, world.fd, command, raw, bytes), -E2BIG);
		}
		/* sizes that lie, at the end of user memory and beyond its top */
		uint32_t size[24] = {0};
		size[0] = 0xffffffff;
		KTAP_EQUAL(world_call(&world, world.fd, command, size, sizeof(size)), -EFAULT);
		size[0] = sizeof(size) + 1;
		KTAP_EQUAL(world_call(&world, world.fd, command, size, sizeof(size)), -EFAULT);
		for (uint32_t bytes = 0; bytes < 4; bytes++) {
			size[0] = bytes;
			KTAP_EQUAL(world_call(&world, world.fd, command, size, 4), -EINVAL);
		}
		KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, command, 0), -EFAULT);
		KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, command, MAX), -EFAULT);
		KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, command, MAX - 3), -EFAULT);
		KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, command, USER_CALLS + PAGE - 2),
		           -EFAULT);
	}
	/* numbers that are no commands */
	for (uint32_t nr = 0; nr < 256; nr++) {
		bool known = (nr >= 100 && nr <= 102) || (nr >= 112 && nr <= 114); /* VFIO's */
		for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
			known |= commands[i].command == UFD_COMMAND(IOMMUFD_TYPE, nr);
		if (!known)
			KTAP_EQUAL(
				ufd_ioctl(&world.ufd, world.fd, UFD_COMMAND(IOMMUFD_TYPE, nr), 0),
				-ENOTTY);
		KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, UFD_COMMAND('<', nr), 0), -ENOTTY);
	}
	KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, 0xc0083b80, 0), -ENOTTY); /* _IOWR */
	world_end(&world);
}

static void objects(void)
{
	struct world world;
	struct iommu_ioas_alloc alloc = {.flags = 1};
	struct ufd_object_info info;

	world_init(&world);
	KTAP_EQUAL(call(&world, IOMMU_IOAS_ALLOC, &alloc), -EOPNOTSUPP);
	/* ids from 1, the lowest free one */
	for (uint32_t id = 1; id <= 100; id++)
		KTAP_EQUAL(world_ioas(&world), id);
	KTAP_EQUAL(world_destroy(&world, 7), 0);
	KTAP_EQUAL(world_destroy(&world, 7), -ENOENT);
	KTAP_EQUAL(world_destroy(&world, 50), 0);
	KTAP_EQUAL(world_ioas(&world), 7);
	KTAP_EQUAL(world_ioas(&world), 50);
	KTAP_EQUAL(world_ioas(&world), 101);
	for (uint32_t id = 3; id <= 101; id++)
		KTAP_EQUAL(world_destroy(&world, id), 0);
	KTAP_EQUAL(world_destroy(&world, 0), -ENOENT);
	KTAP_EQUAL(world_destroy(&world, 102), -ENOENT);
	KTAP_EQUAL(world_destroy(&world, UINT32_MAX), -ENOENT);

	KTAP_EQUAL(ufd_object_next(&world.ufd, world.fd, 0, &info), 0);
	KTAP_EQUAL(info.id, 1);
	KTAP_CHECK(info.kind == UFD_IOAS);
	KTAP_EQUAL(ufd_object_next(&world.ufd, world.fd, 2, &info), 0);
	KTAP_EQUAL(info.id, 2);
	KTAP_EQUAL(ufd_object_next(&world.ufd, world.fd, 3, &info), -ENOENT);
	KTAP_EQUAL(ufd_object_next(&world.ufd, world.fd, UINT32_MAX, &info), -ENOENT);
	KTAP_EQUAL(ufd_object_get(&world.ufd, world.cdev[0], 1, &info), -EBADF);
	KTAP_EQUAL(ufd_object_get(&world.ufd, 99, 1, &info), -EBADF);
	KTAP_EQUAL(ufd_object_get(&world.ufd, world.fd, 3, &info), -ENOENT);
	for (int kind = UFD_NONE; kind <= UFD_ACCESS; kind++)
		KTAP_CHECK(ufd_kind_name((enum ufd_kind)kind)[0]);

	/* another descriptor has ids of its own, and cannot see these */
	int other = ufd_open(&world.ufd);
	struct iommu_destroy destroy = {sizeof(destroy), 1};
	KTAP_EQUAL(world_call(&world, other, IOMMU_DESTROY, &destroy, sizeof(destroy)), -ENOENT);
	/* an answer that cannot be written leaves no object */
	world.user.out_fail_at = world.user.outs + 1;
	alloc.flags = 0;
	KTAP_EQUAL(call(&world, IOMMU_IOAS_ALLOC, &alloc), -EFAULT);
	KTAP_EQUAL(ufd_object_get(&world.ufd, world.fd, 3, &info), -ENOENT);
	/* mappings do not keep an IOAS */
	KTAP_EQUAL(world_map(&world, 1, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(world_info(&world, 1).areas, 1);
	KTAP_EQUAL(world_info(&world, 1).mapped_bytes, PAGE);
	KTAP_EQUAL(world_destroy(&world, 1), 0);
	world_end(&world);
}

static void map_errors(bool with_device)
{
	struct world world;

	world_init(&world);
	uint32_t ioas = attached_ioas(&world, with_device);
	const uint32_t fixed = IOMMU_IOAS_MAP_FIXED_IOVA | RW;
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 2 * PAGE, BASE), 0);
	const struct {
		struct iommu_ioas_map map;
		int result;
	} cases[] = {
		{{0, fixed | 8, ioas, 0, USER_PLAIN, PAGE, 0}, -EOPNOTSUPP},
		{{0, fixed | 1u << 31, ioas, 0, USER_PLAIN, PAGE, 0}, -EOPNOTSUPP},
		{{0, fixed, ioas, 1, USER_PLAIN, PAGE, 0}, -EOPNOTSUPP},
		{{0, IOMMU_IOAS_MAP_FIXED_IOVA, ioas, 0, USER_PLAIN, PAGE, 0}, -EINVAL},
		{{0, fixed, 0, 0, USER_PLAIN, PAGE, 0}, -ENOENT},
		{{0, fixed, 77, 0, USER_PLAIN, PAGE, 0}, -ENOENT},
		{{0, fixed, ioas, 0, USER_PLAIN, 0, 0}, -EINVAL},
		{{0, fixed, ioas, 0, USER_PLAIN, MAX, 0}, -EOVERFLOW},
		{{0, fixed, ioas, 0, USER_PLAIN, MAX - 1, 0}, -EINVAL},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, MAX}, -EOVERFLOW},
		{{0, fixed, ioas, 0, MAX - PAGE + 1, 2 * PAGE, 0}, -EOVERFLOW},
		{{0, fixed, ioas, 0, USER_PLAIN, UINT64_C(1) << 63, UINT64_C(1) << 63},
	         with_device ? -EINVAL : 0},
		{{0, fixed, ioas, 0, USER_PLAIN, 2 * PAGE, MAX - PAGE + 1}, -EOVERFLOW},
		{{0, RW, ioas, 0, USER_PLAIN, UINT64_C(1) << 63, 0}, -EOVERFLOW},
		{{0, RW, ioas, 0, USER_PLAIN, (UINT64_C(1) << 63) - PAGE, 0}, -ENOSPC},
		/* overlaps of every kind */
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, BASE}, -EEXIST},
		{{0, fixed, ioas, 0, USER_PLAIN, 2 * PAGE, BASE}, -EEXIST},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, BASE + PAGE}, -EEXIST},
		{{0, fixed, ioas, 0, USER_PLAIN, 2 * PAGE, BASE - PAGE}, -EEXIST},
		{{0, fixed, ioas, 0, USER_PLAIN, 4 * PAGE, BASE - PAGE}, -EEXIST},
		/* neighbours */
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, BASE - PAGE}, 0},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, BASE + 2 * PAGE}, 0},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, 0}, 0},
		/* alignment counts once there is hardware */
		{{0, fixed, ioas, 0, USER_PLAIN, 1, 0x100000}, with_device ? -EINVAL : 0},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE - 1, 0x200000}, with_device ? -EINVAL : 0},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE + 1, 0x300000}, with_device ? -EINVAL : 0},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, 0x400001}, with_device ? -EINVAL : 0},
		{{0, fixed, ioas, 0, USER_PLAIN + 8, PAGE, 0x500000}, with_device ? -EINVAL : 0},
		{{0, RW, ioas, 0, USER_PLAIN + 8, PAGE, 0}, with_device ? -EINVAL : 0},
		/* what is not there is found when it is pinned */
		{{0, fixed, ioas, 0, USER_PLAIN - PAGE, PAGE, 0x600000}, with_device ? -EFAULT : 0},
		{{0, fixed, ioas, 0, USER_PLAIN + USER_BYTES - PAGE, 2 * PAGE, 0x700000},
	         with_device ? -EFAULT : 0},
		{{0, fixed, ioas, 0, USER_READONLY, PAGE, 0x800000}, with_device ? -EFAULT : 0},
		{{0, fixed & ~2u, ioas, 0, USER_READONLY, PAGE, 0x900000}, 0},
		/* the mock's width, and the interrupt window */
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, (UINT64_C(1) << 48) - PAGE}, 0},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, UINT64_C(1) << 48},
	         with_device ? -EINVAL : 0},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, 0xfee00000}, with_device ? -EINVAL : 0},
		{{0, fixed, ioas, 0, USER_PLAIN, 2 * PAGE, 0xfeeff000}, with_device ? -EINVAL : 0},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, 0xfedff000}, 0},
		{{0, fixed, ioas, 0, USER_PLAIN, PAGE, 0xfef01000}, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iommu_ioas_map map = cases[i].map;
		struct ufd_object_info before = world_info(&world, ioas);
		long pinned = world.user.pinned;
		int result = call(&world, IOMMU_IOAS_MAP, &map);
		if (result != cases[i].result)
			printf("# case %u: %d\n", i, result);
		KTAP_EQUAL(result, cases[i].result);
		struct ufd_object_info after = world_info(&world, ioas);
		KTAP_EQUAL(after.areas, before.areas + !result);
		KTAP_EQUAL(after.mapped_bytes, before.mapped_bytes + (result ? 0 : map.length));
		if (result) {
			KTAP_EQUAL(world.user.pinned, pinned);
			KTAP_EQUAL(map.iova, cases[i].map.iova);
		}
	}
	world_end(&world);
}

static void map_errors_alone(void)
{
	map_errors(false);
}

static void map_errors_attached(void)
{
	map_errors(true);
}

static void chosen_iova(void)
{
	for (int with_device = 0; with_device < 2; with_device++) {
		struct world world;
		uint64_t at, seen[8];

		world_init(&world);
		uint32_t ioas = attached_ioas(&world, with_device);
		/* aligned like the length and the user's address */
		for (unsigned i = 0; i < 8; i++) {
			KTAP_EQUAL(world_map_any(&world, ioas, USER_PLAIN, PAGE << i, &seen[i]), 0);
			KTAP_EQUAL(seen[i] % (PAGE << i), 0);
			if (with_device)
				KTAP_CHECK(world_reaches(&world, 0, seen[i], USER_PLAIN));
		}
		KTAP_EQUAL(world_map_any(&world, ioas, USER_PLAIN, PAGE_SIZE_2M, &at), 0);
		KTAP_EQUAL(at % PAGE_SIZE_2M, 0);
		if (with_device) {
			struct iommu_leaf leaf;
			struct iommu_domain *domain = world.device[0]->domain;
			KTAP_CHECK(domain->ops->lookup(domain, iova(at), &leaf));
			KTAP_EQUAL(leaf.bytes, PAGE_SIZE_2M);
		}
		KTAP_EQUAL(world_info(&world, ioas).areas, 9);
		KTAP_EQUAL(world_unmap(&world, ioas, seen[3], PAGE << 3, NULL), 0);
		KTAP_EQUAL(world_map_any(&world, ioas, USER_PLAIN, PAGE << 3, &at), 0);
		KTAP_EQUAL(at, seen[3]);
		world_end(&world);
	}
}

static void unmap_rules(bool with_device)
{
	struct world world;
	uint64_t bytes;

	world_init(&world);
	uint32_t ioas = attached_ioas(&world, with_device);
	KTAP_EQUAL(world_unmap(&world, 99, 0, PAGE, NULL), -ENOENT);
	for (unsigned i = 0; i < 10; i++)
		KTAP_EQUAL(world_unmap(&world, ioas, i * PAGE, PAGE, NULL), -ENOENT);
	KTAP_EQUAL(world_unmap(&world, ioas, 0, MAX, &bytes), 0); /* nothing is all there is */
	KTAP_EQUAL(bytes, 0);
	KTAP_EQUAL(world_unmap(&world, ioas, 0, 0, NULL), -EINVAL);
	KTAP_EQUAL(world_unmap(&world, ioas, 1, MAX, NULL), -EOVERFLOW);
	KTAP_EQUAL(world_unmap(&world, ioas, MAX, 1, NULL), -EOVERFLOW);
	KTAP_EQUAL(world_unmap(&world, ioas, MAX - 1, 3, NULL), -EOVERFLOW);
	KTAP_EQUAL(world_unmap(&world, ioas, MAX - 1, 2, NULL), -ENOENT);
	KTAP_EQUAL(world_unmap(&world, ioas, UINT64_C(1) << 63, UINT64_C(1) << 63, NULL), -ENOENT);

	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 2 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 3 * PAGE, BASE + 4 * PAGE), 0);
	/* a part is not enough, and nothing is unmapped then */
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, PAGE, NULL), -ENOENT);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE + PAGE, PAGE, NULL), -ENOENT);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, 5 * PAGE, NULL), -ENOENT);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE + 1, 7 * PAGE, NULL), -ENOENT);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, 7 * PAGE - 1, NULL), -ENOENT);
	KTAP_EQUAL(world_info(&world, ioas).areas, 2);
	KTAP_EQUAL(world_info(&world, ioas).mapped_bytes, 5 * PAGE);
	KTAP_EQUAL(world.user.pinned, with_device ? 5 : 0);
	if (with_device) {
		KTAP_CHECK(world_reaches(&world, 0, BASE + PAGE, USER_PLAIN + PAGE));
		KTAP_CHECK(world_reaches(&world, 0, BASE + 6 * PAGE, USER_SCATTER + 2 * PAGE));
	}
	/* an answer that cannot be written: nothing happens */
	world.user.out_fail_at = world.user.outs + 1;
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, 7 * PAGE, NULL), -EFAULT);
	KTAP_EQUAL(world_info(&world, ioas).areas, 2);

	/* more than what is there; and the stale translation is gone at once */
	uint64_t flushes = world_flushes(&world);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE - 3 * PAGE, 100 * PAGE, &bytes), 0);
	KTAP_EQUAL(bytes, 5 * PAGE);
	KTAP_EQUAL(world_flushes(&world) - flushes, with_device ? 1 : 0); /* one for both */
	KTAP_EQUAL(world.user.pinned, 0);
	if (with_device) {
		KTAP_CHECK(world_blocked(&world, 0, BASE + PAGE));
		KTAP_CHECK(world_blocked(&world, 0, BASE + 6 * PAGE));
	}
	for (unsigned i = 0; i < 50; i++)
		KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, BASE + i * 3 * PAGE), 0);
	KTAP_EQUAL(world_unmap(&world, ioas, 0, MAX, &bytes), 0);
	KTAP_EQUAL(bytes, 50 * PAGE);
	KTAP_EQUAL(world.user.pinned, 0);
	world_end(&world);
}

static void unmap_alone(void)
{
	unmap_rules(false);
}

static void unmap_attached(void)
{
	unmap_rules(true);
}

static void copying(void)
{
	struct world world;

	world_init(&world);
	uint32_t from = attached_ioas(&world, true), to = world_ioas(&world);
	KTAP_EQUAL(world_map(&world, from, USER_SCATTER, 4 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(&world, from, USER_PLAIN, 4 * PAGE, BASE + 4 * PAGE), 0);
	KTAP_EQUAL(world.user.pinned, 8);
	long pins = world.user.pin_calls;

	KTAP_EQUAL(world_copy(&world, from, BASE, to, 0, PAGE, RW | 8), -EOPNOTSUPP);
	KTAP_EQUAL(world_copy(&world, from, BASE, to, 0, PAGE, 0), -EINVAL);
	KTAP_EQUAL(world_copy(&world, from, BASE, to, 0, 0, RW), -EINVAL);
	KTAP_EQUAL(world_copy(&world, from, BASE, to, 0, MAX, RW), -EOVERFLOW);
	KTAP_EQUAL(world_copy(&world, from, MAX - PAGE, to, 0, 2 * PAGE, RW), -EOVERFLOW);
	KTAP_EQUAL(world_copy(&world, 99, BASE, to, 0, PAGE, RW), -ENOENT);
	KTAP_EQUAL(world_copy(&world, from, BASE, 99, 0, PAGE, RW), -ENOENT);
	KTAP_EQUAL(world_copy(&world, from, BASE - PAGE, to, 0, PAGE, RW), -ENOENT);
	KTAP_EQUAL(world_copy(&world, from, BASE + 7 * PAGE, to, 0, 2 * PAGE, RW), -ENOENT);
	KTAP_EQUAL(world_copy(&world, from, BASE, from, BASE, PAGE, RW), -EEXIST);
	KTAP_EQUAL(world_info(&world, to).areas, 0);

	/* within one IOAS: a part, and across two areas: the memory is pinned once */
	KTAP_EQUAL(world_copy(&world, from, BASE + PAGE, from, BASE + 64 * PAGE, PAGE, RW), 0);
	KTAP_CHECK(world_reaches(&world, 0, BASE + 64 * PAGE, USER_SCATTER + PAGE));
	KTAP_EQUAL(world_copy(&world, from, BASE + 3 * PAGE, from, BASE + 96 * PAGE, 3 * PAGE, RW),
	           0);
	KTAP_CHECK(world_reaches(&world, 0, BASE + 96 * PAGE, USER_SCATTER + 3 * PAGE));
	KTAP_CHECK(world_reaches(&world, 0, BASE + 98 * PAGE, USER_PLAIN + PAGE));
	KTAP_EQUAL(world_info(&world, from).areas, 5);
	KTAP_EQUAL(world.user.pinned, 8);
	KTAP_EQUAL(world.user.pin_calls, pins);

	/* into another, which has no hardware: then the source may go */
	KTAP_EQUAL(world_copy(&world, from, BASE, to, 0x10000, 8 * PAGE, RW), 0);
	KTAP_EQUAL(world_info(&world, to).areas, 2);
	KTAP_EQUAL(world_unmap(&world, from, 0, MAX, NULL), 0);
	KTAP_EQUAL(world.user.pinned, 0);
	KTAP_EQUAL(world_attach(&world, 0, to, NULL), 0);
	KTAP_EQUAL(world.user.pinned, 8);
	for (unsigned i = 0; i < 8; i++)
		KTAP_CHECK(world_reaches(&world, 0, 0x10000 + i * PAGE,
		                         i < 4 ? USER_SCATTER + i * PAGE
		                               : USER_PLAIN + (i - 4) * PAGE));
	/* rights: not more than the memory was mapped for */
	struct iommu_ioas_map map = {
		.flags = 5, .ioas_id = to, .user_va = USER_READONLY, .length = PAGE, .iova = 0};
	KTAP_EQUAL(call(&world, IOMMU_IOAS_MAP, &map), 0);
	KTAP_EQUAL(world_copy(&world, to, 0, from, 0, PAGE, RW), -EPERM);
	KTAP_EQUAL(world_copy(&world, to, 0, from, 0, PAGE, IOMMU_IOAS_MAP_READABLE), 0);
	/* at a chosen address */
	struct iommu_ioas_copy copy = {.flags = RW,
	                               .dst_ioas_id = to,
	                               .src_ioas_id = to,
	                               .length = 2 * PAGE,
	                               .src_iova = 0x10000 + 4 * PAGE};
	KTAP_EQUAL(call(&world, IOMMU_IOAS_COPY, &copy), 0);
	KTAP_EQUAL(copy.dst_iova % (2 * PAGE), 0);
	KTAP_CHECK(world_reaches(&world, 0, copy.dst_iova, USER_PLAIN));
	KTAP_EQUAL(world_destroy(&world, from), 0);
	world_end(&world);
}

static void copy_sweep(void)
{
	struct world world;
	enum { STEP = 512 };

	/* two neighbours and one apart, at byte granularity: all starts and lengths */
	world_init(&world);
	uint32_t from = world_ioas(&world), to = world_ioas(&world);
	KTAP_EQUAL(world_map(&world, from, USER_PLAIN + 100, 2 * STEP, 4 * STEP), 0);
	KTAP_EQUAL(world_map(&world, from, USER_SCATTER, 3 * STEP, 6 * STEP), 0);
	KTAP_EQUAL(world_map(&world, from, USER_PLAIN, 2 * STEP, 10 * STEP), 0);
	for (uint64_t start = 0; start < 14 * STEP; start += STEP)
		for (uint64_t length = STEP; length < 14 * STEP; length += STEP) {
			uint64_t end = start + length;
			bool whole = (start >= 4 * STEP && end <= 9 * STEP) ||
			             (start >= 10 * STEP && end <= 12 * STEP);
			KTAP_EQUAL(world_copy(&world, from, start, to, BASE, length, RW),
			           whole ? 0 : -ENOENT);
			if (whole)
				KTAP_EQUAL(world_unmap(&world, to, BASE, length, NULL), 0);
		}
	world_end(&world);
}

/** What a mapping costs in object memory; the end goal is 96 bytes. */
static size_t measured;

static void *measuring_alloc(void *ctx, size_t bytes)
{
	measured += bytes;
	struct test_os *test = ctx;
	void *object = calloc(1, bytes);
	__atomic_add_fetch(&test->objects, 1, __ATOMIC_RELAXED);
	return object;
}

static void object_memory(void)
{
	struct world world;

	world_init(&world);
	uint32_t ioas = attached_ioas(&world, true);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, 0), 0);
	world.os.os.alloc = measuring_alloc;
	measured = 0;
	for (unsigned i = 1; i <= 100; i++)
		KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 256 * PAGE, BASE + i * 256 * PAGE),
		           0);
	KTAP_CHECK(measured <= 100 * 96);
	printf("# object memory per mapping: %zu bytes\n", measured / 100);
	world_end(&world);
}

static const struct ktap_case cases[] = {
	{"structures: too short, longer, faulty; numbers that are no commands", structures},
	{"ids, destroying, looking", objects},
	{"IOAS_MAP: every error, without a device", map_errors_alone},
	{"IOAS_MAP: every error, with a device", map_errors_attached},
	{"IOAS_MAP: chosen addresses", chosen_iova},
	{"IOAS_UNMAP, without a device", unmap_alone},
	{"IOAS_UNMAP, with a device", unmap_attached},
	{"IOAS_COPY", copying},
	{"IOAS_COPY of every part", copy_sweep},
	{"96 bytes of object memory a mapping", object_memory},
};

KTAP_MAIN(cases)
