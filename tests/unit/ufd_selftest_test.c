/* SPDX-License-Identifier: MIT */
/* IOMMU_TEST_CMD: its layout, and each operation with what it refuses. */
#include "tests/unit/ufd_test_user.h"
#include "ufd/selftest.h"

#define BASE            MOCK_APERTURE_START
#define SET_BIT(map, n) ((map)[(n) / 8] |= (uint8_t)(1u << (n) % 8))

static int test_call(struct world *world, struct iommu_test_cmd *cmd, uint32_t op, uint32_t id)
{
	cmd->op = op;
	cmd->id = id;
	return call(world, IOMMU_TEST_CMD, cmd);
}

/* the operation with one structure of the union filled in */
#define test(world, op, id_, ...)                                                                  \
	test_call(world, &(struct iommu_test_cmd){__VA_ARGS__}, IOMMU_TEST_OP_##op, id_)

struct device {
	uint32_t stdev, hwpt, idev;
};

static int make_device(struct world *world, uint32_t pt_id, uint32_t flags, struct device *out)
{
	struct iommu_test_cmd cmd = {.mock_domain_flags = {.dev_flags = flags}};
	int error = test_call(world, &cmd, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, pt_id);

	*out = (struct device){cmd.mock_domain_flags.out_stdev_id,
	                       cmd.mock_domain_flags.out_hwpt_id,
	                       cmd.mock_domain_flags.out_idev_id};
	return error;
}

static uint32_t make_hwpt(struct world *world, uint32_t dev, uint32_t pt, uint32_t flags)
{
	struct iommu_hwpt_alloc arguments = {.flags = flags, .dev_id = dev, .pt_id = pt};

	KTAP_EQUAL(call(world, IOMMU_HWPT_ALLOC, &arguments), 0);
	return arguments.out_hwpt_id;
}

static void layout(void)
{
	KTAP_EQUAL(IOMMU_TEST_CMD, 0x3ba0);
	KTAP_EQUAL(sizeof(struct iommu_test_cmd), 72);
	KTAP_EQUAL(offsetof(struct iommu_test_cmd, last), 64);
	KTAP_EQUAL(offsetof(struct iommu_test_cmd, mock_domain_flags.dev_flags), 28);
	KTAP_EQUAL(offsetof(struct iommu_test_cmd, check_map.uptr), 32);
	KTAP_EQUAL(offsetof(struct iommu_test_cmd, check_refs.refs), 32);
	KTAP_EQUAL(offsetof(struct iommu_test_cmd, access_pages.iova), 24);
	KTAP_EQUAL(offsetof(struct iommu_test_cmd, access_rw.flags), 40);
	KTAP_EQUAL(offsetof(struct iommu_test_cmd, dirty.iova), 24);
	KTAP_EQUAL(offsetof(struct iommu_test_cmd, dirty.out_nr_dirty), 56);
	KTAP_EQUAL(offsetof(struct iommu_test_cmd, trigger_iopf.addr), 32);
	KTAP_EQUAL(IOMMU_TEST_OP_DMABUF_REVOKE, 23);
}

static void devices(void)
{
	struct world world;
	struct device device, other;

	world_init(&world);
	uint32_t ioas = world_ioas(&world);
	struct test_os before = world.os;

	/* nothing to attach to; flags that are not; nothing is left of it */
	KTAP_EQUAL(make_device(&world, 99, 0, &device), -ENOENT);
	KTAP_EQUAL(make_device(&world, 0, 0, &device), -ENOENT);
	KTAP_EQUAL(make_device(&world, ioas, 8, &device), -EOPNOTSUPP);
	KTAP_EQUAL(make_device(&world, ioas, 1u << 31, &device), -EOPNOTSUPP);
	KTAP_EQUAL(world.os.objects, before.objects);
	KTAP_EQUAL(world.os.pages, before.pages);
	KTAP_EQUAL(world.os.locks, before.locks);

	KTAP_EQUAL(make_device(&world, ioas, 0, &device), 0);
	KTAP_EQUAL(world_destroy(&world, ioas), -EBUSY);
	KTAP_EQUAL(world_destroy(&world, device.idev), -EBUSY);
	KTAP_EQUAL(world_destroy(&world, device.hwpt), -EBUSY);
	/* to a HWPT, and to an object that is neither */
	KTAP_EQUAL(make_device(&world, device.hwpt, 0, &other), 0);
	KTAP_EQUAL(other.hwpt, device.hwpt);
	KTAP_EQUAL(make_device(&world, device.idev, 0, &other), -EINVAL);
	/* the aperture, and half pages */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 2048, BASE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 2048, BASE - 2048), -EINVAL);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 2048, MOCK_APERTURE_LAST + 1), -EINVAL);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 2048, MOCK_APERTURE_LAST - 2047), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 1024, BASE + PAGE), -EINVAL);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + 1024, 2048, BASE + PAGE), -EINVAL);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + 2048, 2048, BASE + 2048), 0);

	/* replace: what was attached goes with its last user */
	uint32_t second = world_ioas(&world);
	KTAP_EQUAL(test(&world, MOCK_DOMAIN_REPLACE, device.stdev,
	                .mock_domain_replace = {.pt_id = 99}),
	           -ENOENT);
	KTAP_EQUAL(
		test(&world, MOCK_DOMAIN_REPLACE, ioas, .mock_domain_replace = {.pt_id = second}),
		-ENOENT);
	KTAP_EQUAL(test(&world, MOCK_DOMAIN_REPLACE, device.stdev,
	                .mock_domain_replace = {.pt_id = second}),
	           0);
	KTAP_EQUAL(world_destroy(&world, device.stdev), 0);
	KTAP_EQUAL(world_destroy(&world, second), 0);
	KTAP_EQUAL(world_destroy(&world, device.stdev), -ENOENT);
	/* no dirty tracking */
	KTAP_EQUAL(make_device(&world, ioas, MOCK_FLAGS_DEVICE_NO_DIRTY, &device), 0);
	struct iommu_hwpt_alloc alloc = {
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING, .dev_id = device.idev, .pt_id = ioas};
	KTAP_EQUAL(call(&world, IOMMU_HWPT_ALLOC, &alloc), -EOPNOTSUPP);
	alloc.dev_id = world.id[0];
	uint32_t tracking;
	KTAP_EQUAL(make_device(&world, ioas, MOCK_FLAGS_DEVICE_PASID, &other), 0);
	tracking = make_hwpt(&world, other.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	KTAP_EQUAL(test(&world, MOCK_DOMAIN_REPLACE, device.stdev,
	                .mock_domain_replace = {.pt_id = tracking}),
	           -EINVAL);
	world_end(&world); /* the devices go with the descriptor */
}

static void checks(void)
{
	struct world world;
	struct device device;

	world_init(&world);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(make_device(&world, ioas, 0, &device), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 4 * PAGE, BASE), 0);
	const struct {
		uint64_t iova, length, uptr;
		int result;
	} maps[] = {
		{BASE, 4 * PAGE, USER_SCATTER, 0},
		{BASE + 2048, 2048, USER_SCATTER + 2048, 0},
		{BASE, 0, USER_SCATTER, 0},
		{BASE, PAGE, USER_SCATTER + PAGE, -EINVAL},
		{BASE, 5 * PAGE, USER_SCATTER, -EINVAL},
		{BASE + 1, 2048, USER_SCATTER, -EINVAL},
		{BASE, 1, USER_SCATTER, -EINVAL},
		{BASE, PAGE, USER_SCATTER + 1, -EINVAL},
		{BASE, PAGE, 0, -EFAULT},
		{BASE, PAGE, -PAGE, -EINVAL},
		{-PAGE, 2 * PAGE, USER_SCATTER, -EINVAL},
		{UINT64_C(1) << 63, PAGE, USER_SCATTER, -EINVAL},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(maps); i++)
		KTAP_EQUAL(test(&world, MD_CHECK_MAP, device.hwpt,
		                .check_map = {maps[i].iova, maps[i].length, maps[i].uptr}),
		           maps[i].result);
	KTAP_EQUAL(test(&world, MD_CHECK_MAP, ioas, .check_map = {BASE, PAGE, USER_SCATTER}),
	           -ENOENT);
	const struct {
		uint64_t length, uptr;
		uint32_t refs;
		int result;
	} refs[] = {
		{4 * PAGE, USER_SCATTER, 1, 0},
		{4 * PAGE, USER_SCATTER, 0, -EIO},
		{5 * PAGE, USER_SCATTER, 1, -EIO},
		{PAGE, USER_SCATTER + 4 * PAGE, 0, 0},
		{0, USER_SCATTER, 7, 0},
		{2048, USER_SCATTER, 1, -EINVAL},
		{PAGE, USER_SCATTER + 8, 1, -EINVAL},
		{PAGE, 0, 0, -EFAULT},
		{2 * PAGE, -PAGE, 0, -EINVAL},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(refs); i++)
		KTAP_EQUAL(test(&world, MD_CHECK_REFS, 0,
		                .check_refs = {refs[i].length, refs[i].uptr, refs[i].refs}),
		           refs[i].result);
	/* reserved addresses */
	KTAP_EQUAL(test(&world, ADD_RESERVED, ioas, .add_reserved = {BASE, PAGE}), -EADDRINUSE);
	KTAP_EQUAL(test(&world, ADD_RESERVED, ioas, .add_reserved = {BASE, 0}), -EINVAL);
	KTAP_EQUAL(test(&world, ADD_RESERVED, ioas, .add_reserved = {2, UINT64_MAX}), -EOVERFLOW);
	KTAP_EQUAL(test(&world, ADD_RESERVED, 99, .add_reserved = {BASE, 1}), -ENOENT);
	KTAP_EQUAL(test(&world, ADD_RESERVED, ioas, .add_reserved = {BASE + 8 * PAGE, 1}), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, BASE + 8 * PAGE), -EINVAL);
	/* the limit of runs: 12 bytes is the least, and pins work with it */
	KTAP_EQUAL(test(&world, SET_TEMP_MEMORY_LIMIT, 0, .memory_limit = {11}), -EINVAL);
	KTAP_EQUAL(test(&world, SET_TEMP_MEMORY_LIMIT, 0, .memory_limit = {12}), 0);
	long pins = world.user.pin_calls;
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 8 * PAGE, BASE + 16 * PAGE), 0);
	KTAP_EQUAL(world.user.pin_calls - pins, 8 + 1); /* one to see if it is a single run */
	KTAP_EQUAL(test(&world, SET_TEMP_MEMORY_LIMIT, 0, .memory_limit = {65536}), 0);
	/* a page request that nobody takes; caches; operations that are not */
	KTAP_EQUAL(test(&world, TRIGGER_IOPF, 0, .trigger_iopf = {device.idev, 1, 2, 3, 4}),
	           -EINVAL);
	KTAP_EQUAL(test(&world, TRIGGER_IOPF, 0, .trigger_iopf = {99, 1, 2, 3, 4}), -ENOENT);
	KTAP_EQUAL(test(&world, TRIGGER_IOPF, 0, .trigger_iopf = {device.idev, 1 << 20, 2, 3, 4}),
	           -EINVAL);
	KTAP_EQUAL(test(&world, TRIGGER_VEVENT, 0, .trigger_vevent = {device.idev}), -ENOENT);
	for (uint32_t i = 0; i < 5; i++) {
		KTAP_EQUAL(test(&world, DEV_CHECK_CACHE, device.idev,
		                .check_dev_cache = {i, IOMMU_TEST_DEV_CACHE_DEFAULT}),
		           i < 4 ? 0 : -EINVAL);
		KTAP_EQUAL(test(&world, DEV_CHECK_CACHE, device.idev, .check_dev_cache = {i, 0}),
		           -EINVAL);
	}
	KTAP_EQUAL(test(&world, DEV_CHECK_CACHE, device.stdev, .check_dev_cache = {0, 0}), -ENOENT);
	for (uint32_t op = 24; op < 40; op++) {
		struct iommu_test_cmd cmd = {0};
		KTAP_EQUAL(test_call(&world, &cmd, op, ioas), -EOPNOTSUPP);
	}
	world_end(&world);
}

static uint64_t dirty_bits(struct world *world, uint32_t hwpt, uint64_t bytes)
{
	struct iommu_hwpt_get_dirty_bitmap get = {.hwpt_id = hwpt,
	                                          .iova = BASE,
	                                          .length = bytes,
	                                          .page_size = MOCK_PAGE_SIZE,
	                                          .data = USER_PLAIN};
	uint64_t *map = test_user_at(&world->user, USER_PLAIN);

	memset(map, 0, PAGE);
	KTAP_EQUAL(call(world, IOMMU_HWPT_GET_DIRTY_BITMAP, &get), 0);
	return map[0];
}

static void dirty_pages(void)
{
	struct world world;
	struct device device;

	world_init(&world);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(make_device(&world, ioas, 0, &device), 0);
	uint32_t hwpt = make_hwpt(&world, device.idev, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 8 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER + 10 * PAGE, 2048, BASE + 8 * PAGE), 0);
	uint8_t *map = test_user_at(&world.user, USER_PLAIN);
	memset(map, 0, PAGE);
	SET_BIT(map, 0);
	SET_BIT(map, 5);
	SET_BIT(map, 16);
	SET_BIT(map, 17); /* not mapped */
	struct iommu_test_cmd cmd = {.dirty = {0, BASE, 9 * PAGE, MOCK_PAGE_SIZE, USER_PLAIN, 0}};

	KTAP_EQUAL(test_call(&world, &cmd, IOMMU_TEST_OP_DIRTY, hwpt), -EINVAL); /* tracks not */
	struct iommu_hwpt_set_dirty_tracking on = {.flags = 1, .hwpt_id = hwpt};
	KTAP_EQUAL(call(&world, IOMMU_HWPT_SET_DIRTY_TRACKING, &on), 0);
	KTAP_EQUAL(test_call(&world, &cmd, IOMMU_TEST_OP_DIRTY, hwpt), 0);
	KTAP_EQUAL(cmd.dirty.out_nr_dirty, 3);
	/* a half page takes the other half of its page along, if it is there */
	KTAP_EQUAL(dirty_bits(&world, hwpt, 8 * PAGE), 0x33);
	KTAP_EQUAL(dirty_bits(&world, hwpt, 8 * PAGE), 0);
	const struct {
		uint32_t flags;
		uint64_t iova, length, page, uptr;
		int result;
	} wrong[] = {
		{1, BASE, PAGE, PAGE, USER_PLAIN, -EINVAL},
		{0, BASE, PAGE, 0, USER_PLAIN, -EINVAL},
		{0, BASE, 0, PAGE, USER_PLAIN, -EINVAL},
		{0, BASE + 1, PAGE, PAGE, USER_PLAIN, -EINVAL},
		{0, BASE, PAGE + 1, PAGE, USER_PLAIN, -EINVAL},
		{0, BASE, PAGE, PAGE, 0, -EINVAL},
		{0, BASE, PAGE, PAGE, 8, -EFAULT},
		{0, -PAGE, 2 * PAGE, PAGE, USER_PLAIN, -EOVERFLOW},
		{0, UINT64_C(1) << 63, PAGE, PAGE, USER_PLAIN, -EINVAL},
		{0, MOCK_APERTURE_LAST + 1, PAGE, PAGE, USER_PLAIN, -EINVAL},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		KTAP_EQUAL(test(&world, DIRTY, hwpt,
		                .dirty = {wrong[i].flags, wrong[i].iova, wrong[i].length,
		                          wrong[i].page, wrong[i].uptr, 0}),
		           wrong[i].result);
	KTAP_EQUAL(test_call(&world, &cmd, IOMMU_TEST_OP_DIRTY, ioas), -ENOENT);
	world_end(&world);
}

static void pasids(void)
{
	struct world world;
	struct device device, plain;

	world_init(&world);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(make_device(&world, ioas, MOCK_FLAGS_DEVICE_PASID, &device), 0);
	KTAP_EQUAL(make_device(&world, ioas, 0, &plain), 0);
	uint32_t fit = make_hwpt(&world, device.idev, ioas, IOMMU_HWPT_ALLOC_PASID);
	uint32_t other = make_hwpt(&world, device.idev, ioas, IOMMU_HWPT_ALLOC_PASID);
	const struct {
		uint32_t op, id, pasid, pt;
		int result;
		uint32_t then; /* what the PASID of the device has afterwards */
	} steps[] = {
		{IOMMU_TEST_OP_PASID_DETACH, device.stdev, 100, 0, 0, 0},
		/* what it has without PASID must fit, too */
		{IOMMU_TEST_OP_PASID_ATTACH, device.stdev, 100, fit, -EINVAL, 0},
		{IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, device.stdev, fit, 0, 0, 0},
		{IOMMU_TEST_OP_PASID_REPLACE, device.stdev, 100, fit, -EINVAL, 0},
		{IOMMU_TEST_OP_PASID_ATTACH, device.stdev, 100, ioas, -EINVAL, 0},
		{IOMMU_TEST_OP_PASID_ATTACH, device.stdev, 100, 99, -ENOENT, 0},
		{IOMMU_TEST_OP_PASID_ATTACH, device.stdev, 0, fit, -EINVAL, 0},
		{IOMMU_TEST_OP_PASID_ATTACH, device.stdev, 1 << 20, fit, -EINVAL, 0},
		{IOMMU_TEST_OP_PASID_ATTACH, plain.stdev, 100, fit, -EINVAL, 0},
		{IOMMU_TEST_OP_PASID_ATTACH, ioas, 100, fit, -ENOENT, 0},
		{IOMMU_TEST_OP_PASID_ATTACH, device.stdev, 100, fit, 0, fit},
		{IOMMU_TEST_OP_PASID_ATTACH, device.stdev, 100, other, -EBUSY, fit},
		{IOMMU_TEST_OP_PASID_REPLACE, device.stdev, 100, ioas, -EINVAL, fit},
		{IOMMU_TEST_OP_PASID_REPLACE, device.stdev, 100, other, 0, other},
		{IOMMU_TEST_OP_PASID_DETACH, device.stdev, 100, 0, 0, 0},
		{IOMMU_TEST_OP_PASID_ATTACH, device.stdev, 1024, fit, 0, fit},
		{IOMMU_TEST_OP_PASID_REPLACE, device.stdev, 1024, other, -ENOMEM, fit},
		{IOMMU_TEST_OP_PASID_DETACH, device.stdev, 1024, 0, 0, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		struct iommu_test_cmd cmd = {.pasid_attach = {steps[i].pasid, steps[i].pt}};
		KTAP_EQUAL(test_call(&world, &cmd, steps[i].op, steps[i].id), steps[i].result);
		if (steps[i].result) /* as it was */
			KTAP_EQUAL(cmd.pasid_attach.pt_id, steps[i].pt);
		for (uint32_t hwpt = 0; hwpt <= other; hwpt++)
			KTAP_EQUAL(test(&world, PASID_CHECK_HWPT, device.stdev,
			                .pasid_check = {steps[i].pasid, hwpt}),
			           hwpt == (steps[i].op == IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE
			                            ? 0
			                            : steps[i].then)
			                   ? 0
			                   : -EINVAL);
	}
	world_end(&world);
}

static void accesses(void)
{
	struct world world;
	uint64_t bytes = 0;

	world_init(&world);
	uint32_t ioas = world_ioas(&world), other = world_ioas(&world);
	struct iommu_test_cmd cmd = {.create_access = {.flags = 2}};
	KTAP_EQUAL(test_call(&world, &cmd, IOMMU_TEST_OP_CREATE_ACCESS, ioas), -EOPNOTSUPP);
	cmd.create_access.flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES;
	KTAP_EQUAL(test_call(&world, &cmd, IOMMU_TEST_OP_CREATE_ACCESS, 99), -ENOENT);
	KTAP_EQUAL(test_call(&world, &cmd, IOMMU_TEST_OP_CREATE_ACCESS, ioas), 0);
	uint32_t fd = cmd.create_access.out_access_fd;
	cmd.create_access.flags = 0;
	KTAP_EQUAL(test_call(&world, &cmd, IOMMU_TEST_OP_CREATE_ACCESS, ioas), 0);
	uint32_t plain = cmd.create_access.out_access_fd;
	KTAP_CHECK(fd == 6 && plain == 7);

	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 4 * PAGE, BASE), 0);
	const struct {
		uint32_t id, flags;
		uint64_t iova, length, uptr;
		int result;
	} pins[] = {
		{fd, 2, BASE, PAGE, USER_SCATTER, -EOPNOTSUPP},
		{3, 0, BASE, PAGE, USER_SCATTER, -EBADFD},
		{99, 0, BASE, PAGE, USER_SCATTER, -EBADFD},
		{UINT32_MAX, 0, BASE, PAGE, USER_SCATTER, -EBADFD},
		{plain, 0, BASE, PAGE, USER_SCATTER, -EOPNOTSUPP},
		{fd, 0, BASE, 0, USER_SCATTER, -EINVAL},
		{fd, 0, BASE, 5 * PAGE, USER_SCATTER, -ENOENT},
		{fd, 0, BASE, PAGE, USER_SCATTER + PAGE, -EINVAL},
		{fd, 0, BASE, PAGE, 0, -EFAULT},
		{fd, 0, -PAGE, 2 * PAGE, USER_SCATTER, -EOVERFLOW},
		{fd, 0, BASE, UINT64_C(1) << 63, USER_SCATTER, -ENOMEM},
		{fd, MOCK_FLAGS_ACCESS_SYZ, BASE, PAGE, 0, 0},
		{fd, MOCK_FLAGS_ACCESS_WRITE, BASE + 100, 2 * PAGE, USER_SCATTER + 100, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(pins); i++) {
		KTAP_EQUAL(test(&world, ACCESS_PAGES, pins[i].id,
		                .access_pages = {pins[i].flags, 0, pins[i].iova, pins[i].length,
		                                 pins[i].uptr}),
		           pins[i].result);
		KTAP_EQUAL(world.user.pinned, i < 11 ? 0 : 4); /* an area is pinned whole, once */
	}
	KTAP_EQUAL(test(&world, DESTROY_ACCESS_PAGES, fd, .destroy_access_pages = {3}), -ENOENT);
	KTAP_EQUAL(test(&world, DESTROY_ACCESS_PAGES, fd, .destroy_access_pages = {1}), 0);
	KTAP_EQUAL(test(&world, DESTROY_ACCESS_PAGES, fd, .destroy_access_pages = {1}), -ENOENT);
	/* the unmapping unpins the other one */
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, 4 * PAGE, &bytes), 0);
	KTAP_EQUAL(world.user.pinned, 0);
	KTAP_EQUAL(test(&world, DESTROY_ACCESS_PAGES, fd, .destroy_access_pages = {2}), -ENOENT);

	/* read and write */
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 4 * PAGE, BASE), 0);
	uint8_t *from = test_user_at(&world.user, USER_SCATTER + PAGE);
	uint8_t *to = test_user_at(&world.user, USER_PLAIN + 32 * PAGE);
	from[0] = 0xa5;
	to[1] = 0x5a;
	KTAP_EQUAL(test(&world, ACCESS_RW, plain,
	                .access_rw = {BASE + PAGE, 1, USER_PLAIN + 32 * PAGE, 0}),
	           0);
	KTAP_EQUAL(to[0], 0xa5);
	KTAP_EQUAL(test(&world, ACCESS_RW, plain,
	                .access_rw = {BASE + PAGE, 2, USER_PLAIN + 32 * PAGE,
	                              MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH}),
	           0);
	KTAP_EQUAL(from[1], 0x5a);
	KTAP_EQUAL(test(&world, ACCESS_RW, plain, .access_rw = {BASE, 0, USER_PLAIN, 0}), -EINVAL);
	KTAP_EQUAL(test(&world, ACCESS_RW, plain, .access_rw = {BASE, 1, 0, 0}), -EFAULT);
	KTAP_EQUAL(test(&world, ACCESS_RW, plain, .access_rw = {BASE, 1, 0, 1}), -EFAULT);
	KTAP_EQUAL(test(&world, ACCESS_RW, plain, .access_rw = {BASE, 1, USER_PLAIN, 2}),
	           -EOPNOTSUPP);
	KTAP_EQUAL(test(&world, ACCESS_RW, plain,
	                .access_rw = {BASE, 4 * PAGE + 1, USER_PLAIN + 32 * PAGE, 0}),
	           -ENOENT);
	/* replace; the descriptor keeps the context, and goes */
	KTAP_EQUAL(test(&world, ACCESS_REPLACE_IOAS, fd, .access_replace_ioas = {99}), -ENOENT);
	KTAP_EQUAL(test(&world, ACCESS_REPLACE_IOAS, fd, .access_replace_ioas = {other}), 0);
	KTAP_EQUAL(world_destroy(&world, other), -EBUSY);
	KTAP_EQUAL(ufd_close(&world.ufd, (int)fd), 0);
	KTAP_EQUAL(world_destroy(&world, other), 0);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, (int)plain, IOMMU_IOAS_ALLOC, USER_CALLS), -ENOTTY);
	KTAP_EQUAL(ufd_read(&world.ufd, (int)plain, USER_PLAIN, 8), -EINVAL);
	KTAP_EQUAL(ufd_close(&world.ufd, world.fd), 0);
	world_end(&world);
}

static int map_file(struct world *world, uint32_t ioas, int fd, uint64_t start, uint64_t bytes,
                    uint64_t at)
{
	struct iommu_ioas_map_file arguments = {.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RW,
	                                        .ioas_id = ioas,
	                                        .fd = fd,
	                                        .start = start,
	                                        .length = bytes,
	                                        .iova = at};

	return call(world, IOMMU_IOAS_MAP_FILE, &arguments);
}

static bool is_mapped(struct world *world, uint32_t hwpt, uint64_t at)
{
	struct ufd_object_info info;
	struct iommu_leaf leaf;

	KTAP_EQUAL(ufd_object_get(&world->ufd, world->fd, hwpt, &info), 0);
	return info.domain->ops->lookup(info.domain, iova(at), &leaf);
}

static void lent_memory(void)
{
	struct world world;
	struct device device;

	world_init(&world);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(make_device(&world, ioas, 0, &device), 0);
	KTAP_EQUAL(test(&world, DMABUF_GET, 0, .dmabuf_get = {0, 0}), -EINVAL);
	KTAP_EQUAL(test(&world, DMABUF_GET, 0, .dmabuf_get = {1, 0}), -EINVAL);
	KTAP_EQUAL(test(&world, DMABUF_GET, 0, .dmabuf_get = {4096, 0x100}), -EINVAL);
	KTAP_EQUAL(test(&world, DMABUF_GET, 0, .dmabuf_get = {0xfffff000, 0}), -ENOMEM);
	int fd = test(&world, DMABUF_GET, 0, .dmabuf_get = {4 * 4096, 2});
	KTAP_EQUAL(fd, 6);
	KTAP_EQUAL(map_file(&world, ioas, fd, 0, 0, BASE), -EINVAL);
	KTAP_EQUAL(map_file(&world, ioas, fd, 4 * PAGE, PAGE, BASE), -EINVAL);
	KTAP_EQUAL(map_file(&world, ioas, fd, 0, 4 * PAGE + 1, BASE), -EINVAL);
	KTAP_EQUAL(map_file(&world, ioas, fd, PAGE, 2 * PAGE, BASE), 0);
	KTAP_CHECK(is_mapped(&world, device.hwpt, BASE));
	/* taken back: unmapped at once, and not mapped in what comes */
	KTAP_EQUAL(test(&world, DMABUF_REVOKE, 0, .dmabuf_revoke = {3, 1}), -EBADF);
	KTAP_EQUAL(test(&world, DMABUF_REVOKE, 0, .dmabuf_revoke = {fd, 1}), 0);
	KTAP_CHECK(!is_mapped(&world, device.hwpt, BASE));
	KTAP_EQUAL(world_info(&world, ioas).areas, 1);
	KTAP_CHECK(!is_mapped(&world, make_hwpt(&world, device.idev, ioas, 0), BASE));
	KTAP_EQUAL(map_file(&world, ioas, fd, 0, PAGE, BASE + 8 * PAGE), -ENODEV);
	/* lent again: the old mapping stays dead, a new one lives */
	KTAP_EQUAL(test(&world, DMABUF_REVOKE, 0, .dmabuf_revoke = {fd, 0}), 0);
	KTAP_EQUAL(map_file(&world, ioas, fd, 0, PAGE, BASE + 8 * PAGE), 0);
	KTAP_CHECK(!is_mapped(&world, device.hwpt, BASE));
	KTAP_CHECK(is_mapped(&world, device.hwpt, BASE + 8 * PAGE));
	/* nobody else's: an access does not touch it */
	struct iommu_test_cmd cmd = {0};
	KTAP_EQUAL(test_call(&world, &cmd, IOMMU_TEST_OP_CREATE_ACCESS, ioas), 0);
	KTAP_EQUAL(test(&world, ACCESS_RW, cmd.create_access.out_access_fd,
	                .access_rw = {BASE, 8, USER_PLAIN, 0}),
	           -EINVAL);
	KTAP_EQUAL(ufd_close(&world.ufd, fd), 0);
	KTAP_CHECK(is_mapped(&world, device.hwpt, BASE + 8 * PAGE));
	world_end(&world);
}

static const struct ktap_case cases[] = {
	{"layout", layout},
	{"devices: made, attached, replaced, destroyed", devices},
	{"checks: maps, pins, reserved, caches", checks},
	{"dirty pages, by half pages", dirty_pages},
	{"PASIDs", pasids},
	{"accesses", accesses},
	{"memory that is lent and taken back", lent_memory},
};

KTAP_MAIN(cases)
