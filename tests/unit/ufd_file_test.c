/* SPDX-License-Identifier: MIT */
/*
 * IOAS_MAP_FILE, IOAS_CHANGE_PROCESS, VFIO_IOAS.
 */
#include "tests/unit/ufd_test_user.h"

#define BASE UINT64_C(0x40000000)

static int map_file(struct world *world, uint32_t ioas, int fd, uint64_t start, uint64_t bytes,
                    uint32_t flags, uint64_t *at)
{
	struct iommu_ioas_map_file arguments = {
		.flags = flags,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = bytes,
		.iova = *at,
	};
	int result = call(world, IOMMU_IOAS_MAP_FILE, &arguments);

	*at = arguments.iova;
	return result;
}

static void files(void)
{
	struct world world;
	const uint32_t fixed = IOMMU_IOAS_MAP_FIXED_IOVA, read = IOMMU_IOAS_MAP_READABLE;
	uint64_t at;

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t ioas = world_ioas(&world), other = world_ioas(&world);
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), 0);
	const struct {
		uint32_t ioas;
		int fd;
		uint64_t start, bytes;
		uint32_t flags;
		uint64_t at;
		int result;
	} cases[] = {
		{ioas, FILE_FD, 0, PAGE, RW | 8, 0, -EOPNOTSUPP},
		{ioas, FILE_FD, 0, PAGE, fixed, BASE, -EINVAL},
		{99, FILE_FD, 0, PAGE, RW, 0, -ENOENT},
		{ioas, -1, 0, PAGE, RW, 0, -EBADF},
		{ioas, 7, 0, PAGE, RW, 0, -EBADF},
		{ioas, FILE_FD, 0, 0, RW, 0, -EINVAL},
		{ioas, FILE_FD, 0, UINT64_MAX, RW, 0, -EOVERFLOW},
		{ioas, FILE_FD, 0, PAGE, RW | fixed, UINT64_MAX, -EOVERFLOW},
		{ioas, FILE_FD, UINT64_MAX - PAGE + 1, 2 * PAGE, RW, 0, -EOVERFLOW},
		{ioas, FILE_FD, 0, FILE_PAGES * PAGE + PAGE, RW, 0, -EINVAL},
		{ioas, FILE_FD, FILE_PAGES * PAGE, PAGE, RW, 0, -EINVAL},
		{ioas, FILE_FD, 0, PAGE - 1, RW | fixed, BASE, -EINVAL},
		{ioas, FILE_FD, 1, PAGE, RW | fixed, BASE, -EINVAL},
		{ioas, FILE_READONLY_FD, 0, PAGE, RW | fixed, BASE, -EINVAL},
		{ioas, FILE_FD, 0, PAGE, RW | fixed, UINT64_C(1) << 60, -EADDRINUSE},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		at = cases[i].at;
		int result = map_file(&world, cases[i].ioas, cases[i].fd, cases[i].start,
		                      cases[i].bytes, cases[i].flags, &at);
		/* which of two that exclude an address is nothing to insist on */
		if (cases[i].result == -EADDRINUSE)
			KTAP_CHECK(result < 0);
		else
			KTAP_EQUAL(result, cases[i].result);
		KTAP_EQUAL(world.user.files_mapped, 0);
		KTAP_EQUAL(world.user.pinned, 0);
	}
	at = BASE;
	KTAP_EQUAL(map_file(&world, ioas, FILE_FD, 3 * PAGE, 5 * PAGE, RW | fixed, &at), 0);
	KTAP_CHECK(world_reaches(&world, 0, BASE + PAGE + 9, USER_SCATTER + 4 * PAGE + 9));
	KTAP_EQUAL(world.user.pinned, 5);
	at = 0;
	KTAP_EQUAL(map_file(&world, ioas, FILE_READONLY_FD, 0, PAGE, read, &at), 0);
	KTAP_CHECK(world_reaches(&world, 0, at, USER_SCATTER));
	KTAP_EQUAL(world.user.files_mapped, 2);
	/* in parts of pages where no hardware is */
	at = 5;
	KTAP_EQUAL(map_file(&world, other, FILE_FD, PAGE + 1, 7, RW | fixed, &at), 0);
	/* a copy keeps the file's memory when the first mapping goes */
	KTAP_EQUAL(world_copy(&world, ioas, BASE, other, 16 * PAGE, 2 * PAGE, RW), 0);
	KTAP_EQUAL(world_unmap(&world, ioas, 0, UINT64_MAX, NULL), 0);
	KTAP_EQUAL(world.user.files_mapped, 2);
	KTAP_EQUAL(world_unmap(&world, other, 0, UINT64_MAX, NULL), 0);
	KTAP_EQUAL(world.user.files_mapped, 0);

	/* each allocation, pin and answer that fails */
	for (long n = 1;; n++) {
		at = BASE;
		world.os.fail_at = world.os.allocations + n;
		int result = map_file(&world, ioas, FILE_FD, 0, 5 * PAGE, RW | fixed, &at);
		world.os.fail_at = 0;
		if (!result)
			break;
		KTAP_EQUAL(result, -ENOMEM);
		KTAP_EQUAL(world.user.files_mapped, 0);
		KTAP_EQUAL(world.user.pinned, 0);
	}
	at = 2 * BASE;
	world.user.pin_fail_at = world.user.pin_calls + 1;
	KTAP_EQUAL(map_file(&world, ioas, FILE_FD, 0, PAGE, RW | fixed, &at), -ENOMEM);
	world.user.out_fail_at = world.user.outs + 1;
	KTAP_EQUAL(map_file(&world, ioas, FILE_FD, 0, PAGE, RW, &at), -EFAULT);
	KTAP_EQUAL(world.user.files_mapped, 1);

	/* surroundings without files */
	struct ufd_memory_ops none = test_user_ops;
	none.file_map = NULL;
	world.ufd.memory = &none;
	KTAP_EQUAL(map_file(&world, ioas, FILE_FD, 0, PAGE, RW | fixed, &at), -EOPNOTSUPP);
	world.ufd.memory = &test_user_ops;
	world_end(&world);
}

static void change_of_process(void)
{
	struct world world;
	uint64_t at = BASE;

	world_init(&world);
	struct iommu_ioas_change_process change = {.__reserved = 1};
	KTAP_EQUAL(call(&world, IOMMU_IOAS_CHANGE_PROCESS, &change), -EOPNOTSUPP);
	change.__reserved = 0;
	KTAP_EQUAL(call(&world, IOMMU_IOAS_CHANGE_PROCESS, &change), 0); /* nothing there */
	KTAP_EQUAL(world.user.process_changes, 1);
	(void)world_ioas(&world);
	uint32_t second = world_ioas(&world);
	KTAP_EQUAL(map_file(&world, second, FILE_FD, 0, PAGE, RW | IOMMU_IOAS_MAP_FIXED_IOVA, &at),
	           0);
	KTAP_EQUAL(call(&world, IOMMU_IOAS_CHANGE_PROCESS, &change), 0);
	KTAP_EQUAL(world.user.process_changes, 2);
	KTAP_EQUAL(world_map(&world, second, USER_PLAIN, PAGE, 2 * BASE), 0);
	KTAP_EQUAL(call(&world, IOMMU_IOAS_CHANGE_PROCESS, &change), -EINVAL);
	KTAP_EQUAL(world.user.process_changes, 2);
	KTAP_EQUAL(world_unmap(&world, second, 2 * BASE, PAGE, NULL), 0);
	world.user.change_result = -ENOMEM;
	KTAP_EQUAL(call(&world, IOMMU_IOAS_CHANGE_PROCESS, &change), -ENOMEM);
	struct ufd_memory_ops none = test_user_ops;
	none.change_process = NULL; /* surroundings with one process */
	world.ufd.memory = &none;
	KTAP_EQUAL(call(&world, IOMMU_IOAS_CHANGE_PROCESS, &change), 0);
	world.ufd.memory = &test_user_ops;
	world_end(&world);
}

static int vfio_ioas(struct world *world, uint16_t op, uint32_t *ioas)
{
	struct iommu_vfio_ioas arguments = {.ioas_id = *ioas, .op = op};
	int result = call(world, IOMMU_VFIO_IOAS, &arguments);

	*ioas = arguments.ioas_id;
	return result;
}

static void vfio(void)
{
	struct world world;
	uint32_t id = 0;
	enum {
		GET = IOMMU_VFIO_IOAS_GET,
		SET = IOMMU_VFIO_IOAS_SET,
		CLEAR = IOMMU_VFIO_IOAS_CLEAR
	};

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t first = world_ioas(&world), second = world_ioas(&world), none = 0, wrong = 99;
	KTAP_EQUAL(vfio_ioas(&world, GET, &id), -ENODEV);
	KTAP_EQUAL(vfio_ioas(&world, SET, &none), -ENOENT);
	KTAP_EQUAL(vfio_ioas(&world, SET, &wrong), -ENOENT);
	KTAP_EQUAL(vfio_ioas(&world, SET, &world.id[0]), -ENOENT);
	KTAP_EQUAL(vfio_ioas(&world, 3, &first), -EOPNOTSUPP);
	KTAP_EQUAL(vfio_ioas(&world, CLEAR, &none), 0);
	struct iommu_vfio_ioas reserved = {.__reserved = 1};
	KTAP_EQUAL(call(&world, IOMMU_VFIO_IOAS, &reserved), -EOPNOTSUPP);
	KTAP_EQUAL(vfio_ioas(&world, SET, &first), 0);
	KTAP_EQUAL(vfio_ioas(&world, SET, &second), 0);
	KTAP_EQUAL(vfio_ioas(&world, GET, &id), 0);
	KTAP_EQUAL(id, second);
	KTAP_EQUAL(vfio_ioas(&world, CLEAR, &none), 0);
	KTAP_EQUAL(vfio_ioas(&world, GET, &id), -ENODEV);
	/* it keeps the IOAS not alive, and goes with it */
	KTAP_EQUAL(vfio_ioas(&world, SET, &first), 0);
	KTAP_EQUAL(world_destroy(&world, first), 0);
	KTAP_EQUAL(vfio_ioas(&world, GET, &id), -ENODEV);
	KTAP_EQUAL(world_ioas(&world), first); /* the number again, another IOAS */
	KTAP_EQUAL(vfio_ioas(&world, GET, &id), -ENODEV);
	world_end(&world);
}

static const struct ktap_case cases[] = {
	{"IOAS_MAP_FILE", files},
	{"IOAS_CHANGE_PROCESS", change_of_process},
	{"VFIO_IOAS", vfio},
};

KTAP_MAIN(cases)
