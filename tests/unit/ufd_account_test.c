/* SPDX-License-Identifier: MIT */
/* Account of pinned memory: who is charged, once for whatever maps it, and what a limit stops. */
#include "tests/unit/ufd_test_user.h"

#define BASE UINT64_C(0x40000000)

enum { BY_USER, BY_PROCESS };

static int option(struct world *world, int fd, uint16_t op, uint32_t object, uint64_t value,
                  uint64_t *out)
{
	struct iommu_option arguments = {.size = sizeof(arguments),
	                                 .option_id = IOMMU_OPTION_RLIMIT_MODE,
	                                 .op = op,
	                                 .object_id = object,
	                                 .val64 = value};
	int result = world_call(world, fd, IOMMU_OPTION, &arguments, sizeof(arguments));

	*out = arguments.val64;
	return result;
}

static void mode(void)
{
	struct world world;
	uint64_t value;
	enum { SET = IOMMU_OPTION_OP_SET, GET = IOMMU_OPTION_OP_GET };

	world_init(&world);
	const struct {
		uint16_t op;
		uint32_t object;
		uint64_t value;
		int result;
		uint64_t out;
	} cases[] = {
		{GET, 0, 99, 0, 0},
		{SET, 0, 2, -EINVAL, 2},
		{SET, 0, UINT64_MAX, -EINVAL, UINT64_MAX},
		{SET, 0, UINT64_C(1) << 63, -EINVAL, UINT64_C(1) << 63},
		{SET, 1, 1, -EOPNOTSUPP, 1},
		{GET, 1, 1, -EOPNOTSUPP, 1},
		{2, 0, 1, -EOPNOTSUPP, 1},
		{UINT16_MAX, 0, 1, -EOPNOTSUPP, 1},
		{GET, 0, 99, 0, 0},
		{SET, 0, 1, 0, 1},
		{GET, 0, 99, 0, 1},
		{SET, 0, 0, 0, 0},
		{SET, 0, 1, 0, 1},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		KTAP_EQUAL(option(&world, world.fd, cases[i].op, cases[i].object, cases[i].value,
		                  &value),
		           cases[i].result);
		KTAP_EQUAL(value, cases[i].out);
	}
	/* with the first object it is settled, until there is none again */
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(option(&world, world.fd, SET, 0, 0, &value), -EBUSY);
	KTAP_EQUAL(option(&world, world.fd, SET, 0, 1, &value), -EBUSY);
	KTAP_EQUAL(option(&world, world.fd, GET, 0, 0, &value), 0);
	KTAP_EQUAL(value, 1);
	KTAP_EQUAL(world_destroy(&world, ioas), 0);
	KTAP_EQUAL(option(&world, world.fd, SET, 0, 0, &value), 0);
	world_end(&world);
}

static void charges(unsigned whose)
{
	struct world world;
	uint64_t value;
	uint32_t hwpt;

	world_init(&world);
	long *charged = &world.user.charged[whose];
	KTAP_EQUAL(option(&world, world.fd, IOMMU_OPTION_OP_SET, 0, whose, &value), 0);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_bind(&world, i), 0);
	uint32_t first = world_ioas(&world), second = world_ioas(&world);
	/* nothing is pinned without hardware; whole pages are, then */
	KTAP_EQUAL(world_map(&world, first, USER_PLAIN, 3 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(&world, first, USER_SCATTER, 4 * PAGE, BASE + 8 * PAGE), 0);
	KTAP_EQUAL(*charged, 0);
	KTAP_EQUAL(world.user.account_calls, 0);
	KTAP_EQUAL(world_attach(&world, 0, first, NULL), 0);
	KTAP_EQUAL(*charged, 7);
	/* another table of it, a copy, a copy of a part: the same memory */
	KTAP_EQUAL(world_hwpt(&world, world.id[0], first, 0, &hwpt), 0);
	KTAP_EQUAL(world_attach(&world, 1, second, NULL), 0);
	KTAP_EQUAL(world_copy(&world, first, BASE, second, BASE, 2 * PAGE, RW), 0);
	KTAP_EQUAL(world_copy(&world, first, BASE + PAGE, first, 2 * BASE, PAGE, RW), 0);
	KTAP_EQUAL(*charged, 7);
	/* mapped twice by its address, it is pinned and charged twice, as in Linux */
	KTAP_EQUAL(world_map(&world, second, USER_PLAIN, PAGE, 2 * BASE), 0);
	KTAP_EQUAL(*charged, 8);
	KTAP_EQUAL(world_unmap(&world, second, 2 * BASE, PAGE, NULL), 0);
	/* whoever lets go last */
	KTAP_EQUAL(world_unmap(&world, first, 0, UINT64_MAX, NULL), 0);
	KTAP_EQUAL(*charged, 3);
	KTAP_EQUAL(world_detach(&world, 1), 0); /* its HWPT goes, the mapping stays */
	KTAP_EQUAL(*charged, 0);
	KTAP_EQUAL(world_attach(&world, 1, second, NULL), 0);
	KTAP_EQUAL(*charged, 3);
	KTAP_EQUAL(world_unmap(&world, second, BASE, 2 * PAGE, NULL), 0);
	KTAP_EQUAL(*charged, 0);
	KTAP_EQUAL(world_map(&world, first, USER_PLAIN, 5 * PAGE, BASE), 0);
	KTAP_EQUAL(world.user.charged[!whose], 0);

	/* another /dev/iommu has a mode of its own */
	int fd = ufd_open(&world.ufd), was = world.fd;
	KTAP_CHECK(fd >= 0);
	KTAP_EQUAL(option(&world, fd, IOMMU_OPTION_OP_SET, 0, !whose, &value), 0);
	KTAP_EQUAL(ufd_close(&world.ufd, world.cdev[1]), 0);
	world.cdev[1] = ufd_open_device(&world.ufd, world.device[1]);
	world.fd = fd;
	KTAP_EQUAL(world_bind(&world, 1), 0);
	uint32_t third = world_ioas(&world);
	KTAP_EQUAL(world_map(&world, third, USER_PLAIN, 2 * PAGE, BASE), 0);
	KTAP_EQUAL(world_attach(&world, 1, third, NULL), 0);
	KTAP_EQUAL(world.user.charged[!whose], 2);
	KTAP_EQUAL(*charged, 5);
	KTAP_EQUAL(ufd_close(&world.ufd, was), 0);
	KTAP_EQUAL(*charged, 5); /* device 0 is bound to it still */
	KTAP_EQUAL(ufd_close(&world.ufd, world.cdev[0]), 0);
	KTAP_EQUAL(*charged, 0);
	world_end(&world);
}

static void by_user(void)
{
	charges(BY_USER);
}

static void by_process(void)
{
	charges(BY_PROCESS);
}

static void parts_of_pages(void)
{
	struct world world;
	struct ufd_access *access = NULL;
	struct iommu_extent extent[4];
	size_t count;
	static const struct ufd_access_ops owner = {.owns = true};

	world_init(&world);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(ufd_access_new(&world.ufd, world.fd, &owner, NULL, &access), 0);
	KTAP_EQUAL(ufd_access_attach(access, ioas), 0);
	const struct {
		uint64_t at, bytes;
		long pages;
	} cases[] = {
		{0, 1, 1},    {PAGE - 1, 1, 1}, {PAGE - 1, 2, 2},        {0, PAGE, 1},
		{1, PAGE, 2}, {1, PAGE - 1, 1}, {PAGE - 1, PAGE + 2, 3},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + cases[i].at, cases[i].bytes, 7), 0);
		KTAP_EQUAL(world.user.charged[BY_USER], 0);
		for (int twice = 0; twice < 2; twice++)
			KTAP_EQUAL(ufd_access_pin(access, iova(7), cases[i].bytes, IOMMU_WRITE,
			                          extent, ARRAY_SIZE(extent), &count),
			           0);
		KTAP_EQUAL(world.user.charged[BY_USER], cases[i].pages);
		ufd_access_unpin(access, iova(7), cases[i].bytes);
		KTAP_EQUAL(world.user.charged[BY_USER], cases[i].pages);
		ufd_access_unpin(access, iova(7), cases[i].bytes);
		KTAP_EQUAL(world.user.charged[BY_USER], 0);
		KTAP_EQUAL(world_unmap(&world, ioas, 7, cases[i].bytes, NULL), 0);
	}
	ufd_access_free(access);
	world_end(&world);
}

static void limits(void)
{
	struct world world;
	struct ufd_object_info info;

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t ioas = world_ioas(&world);
	long *charged = world.user.charged;
	for (unsigned i = 0; i < 3; i++)
		KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + i * 16 * PAGE, 4 * PAGE,
		                     BASE + i * 16 * PAGE),
		           0);
	/* one page too many for the third mapping: nothing is attached, nothing stays pinned */
	world.user.limit[BY_USER] = 11;
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), -ENOMEM);
	KTAP_EQUAL(*charged, 0);
	KTAP_EQUAL(world.user.pinned, 0);
	world.user.limit[BY_USER] = 12;
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), 0);
	KTAP_EQUAL(*charged, 12);
	/* at the limit: not one more, and what is there goes on */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, 2 * BASE), -ENOMEM);
	KTAP_EQUAL(*charged, 12);
	KTAP_EQUAL(world.user.pinned, 12);
	KTAP_EQUAL(ufd_object_get(&world.ufd, world.fd, ioas, &info), 0);
	KTAP_EQUAL(info.areas, 3);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	KTAP_EQUAL(world_copy(&world, ioas, BASE, ioas, 2 * BASE, PAGE, RW), 0); /* costs nothing */
	KTAP_EQUAL(world_unmap(&world, ioas, 2 * BASE, PAGE, NULL), 0);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, 4 * PAGE, NULL), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 5 * PAGE, BASE), -ENOMEM);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 4 * PAGE, BASE), 0);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, 4 * PAGE, NULL), 0);

	/* what fails later takes the charge back: the pin, the second of its pieces, memory */
	world.user.limit[BY_USER] = 0;
	world.user.pin_fail_at = world.user.pin_calls + 1;
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 4 * PAGE, BASE), -ENOMEM);
	KTAP_EQUAL(*charged, 8);
	world.user.pin_fail_at = world.user.pin_calls + 2;
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 40 * PAGE, 2 * BASE), -ENOMEM);
	KTAP_EQUAL(*charged, 8);
	world.user.pin_fail_at = 0;
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + USER_BYTES - PAGE, 2 * PAGE, BASE),
	           -EFAULT);
	KTAP_EQUAL(*charged, 8);
	KTAP_EQUAL(world_map(&world, ioas, USER_READONLY, PAGE, BASE), -EFAULT);
	KTAP_EQUAL(*charged, 8);
	int result = -ENOMEM;
	for (long n = 1; n < 100 && result; n++) {
		world.os.fail_at = world.os.allocations + n;
		result = world_map(&world, ioas, USER_SCATTER, 40 * PAGE, 2 * BASE);
		world.os.fail_at = 0;
		if (!result)
			break;
		KTAP_EQUAL(result, -ENOMEM);
		KTAP_EQUAL(*charged, 8);
		KTAP_EQUAL(world.user.pinned, 8);
	}
	KTAP_EQUAL(result, 0);
	KTAP_EQUAL(*charged, 48);
	uint64_t at;
	world.user.out_fail_at = world.user.outs + 1;
	KTAP_EQUAL(world_map_any(&world, ioas, USER_PLAIN, PAGE, &at), -EFAULT);
	KTAP_EQUAL(*charged, 48);
	world_end(&world);
}

static void kept_for_good(void)
{
	struct world world;

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 3 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 2 * PAGE, 2 * BASE), 0);
	ufd_mock_break(ufd_mock_unit(&world.core), true);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, 3 * PAGE, NULL), 0);
	ufd_mock_break(ufd_mock_unit(&world.core), false);
	KTAP_EQUAL(world.user.charged[BY_USER], 5); /* a device may reach it: it is not free */
	KTAP_EQUAL(world_unmap(&world, ioas, 2 * BASE, 2 * PAGE, NULL), 0);
	KTAP_EQUAL(world.user.charged[BY_USER], 3);
	world_end_with(&world, 3);
}

static const struct ktap_case cases[] = {
	{"RLIMIT_MODE", mode},
	{"charged to the user", by_user},
	{"charged to the process", by_process},
	{"parts of pages; pins of accesses", parts_of_pages},
	{"limits, and failures after the charge", limits},
	{"what cannot be unpinned stays charged", kept_for_good},
};

KTAP_MAIN(cases)
