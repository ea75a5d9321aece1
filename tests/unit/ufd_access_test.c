/* SPDX-License-Identifier: MIT */
/*
 * Accesses: attach, replace, pin, copy; what an unmap asks of them; what keeps what alive.
 */
#include "tests/unit/ufd_test_user.h"

#define BASE UINT64_C(0x40000000)

/** Something that uses an access and remembers what it pinned. */
struct user {
	struct ufd_access *access;
	uint64_t at, bytes; /* one pin; bytes 0: none */
	bool stubborn;      /* does not unpin */
	unsigned asked;
	uint64_t asked_first, asked_bytes;
};

static void let_go(void *ctx, iova_t first, uint64_t bytes)
{
	struct user *user = ctx;

	user->asked++;
	user->asked_first = first.value;
	user->asked_bytes = bytes;
	if (!user->bytes || user->stubborn)
		return;
	ufd_access_unpin(user->access, iova(user->at), user->bytes);
	user->bytes = 0;
}

static const struct ufd_access_ops pins = {.unmap = let_go};
static const struct ufd_access_ops only_copies = {.unmap = NULL};

static int pin(struct user *user, uint64_t at, uint64_t bytes, uint32_t rights,
               struct iommu_extent *extents, size_t capacity, size_t *count)
{
	int error = ufd_access_pin(user->access, iova(at), bytes, rights, extents, capacity, count);

	if (!error) {
		user->at = at;
		user->bytes = bytes;
	}
	return error;
}

static void attachment(void)
{
	struct world world;
	struct user user = {0}, copier = {0};

	world_init(&world);
	KTAP_EQUAL(ufd_access_new(&world.ufd, 99, &pins, &user, &user.access), -EBADF);
	KTAP_EQUAL(ufd_access_new(&world.ufd, world.cdev[0], &pins, &user, &user.access), -EBADF);
	for (int i = 1; i < 4; i++) {
		world.os.fail_at = world.os.allocations + i;
		int error = ufd_access_new(&world.ufd, world.fd, &pins, &user, &user.access);
		world.os.fail_at = 0;
		if (!error) {
			ufd_access_free(user.access);
			break;
		}
		KTAP_EQUAL(error, -ENOMEM);
	}
	uint32_t ioas = world_ioas(&world), other = world_ioas(&world), odd = world_ioas(&world);
	KTAP_EQUAL(ufd_access_new(&world.ufd, world.fd, &pins, &user, &user.access), 0);
	KTAP_EQUAL(ufd_access_new(&world.ufd, world.fd, &only_copies, &copier, &copier.access), 0);
	uint32_t id = ufd_access_id(user.access);
	KTAP_CHECK(world_info(&world, id).kind == UFD_ACCESS);
	KTAP_EQUAL(world_destroy(&world, id), -EBUSY); /* its owner's, not a user's */
	KTAP_EQUAL(ufd_access_replace(user.access, ioas), -ENOENT);
	KTAP_EQUAL(ufd_access_attach(user.access, 99), -ENOENT);
	KTAP_EQUAL(ufd_access_attach(user.access, id), -ENOENT);
	KTAP_EQUAL(ufd_access_attach(user.access, ioas), 0);
	KTAP_EQUAL(ufd_access_attach(user.access, other), -EINVAL);
	KTAP_EQUAL(world_destroy(&world, ioas), -EBUSY);
	KTAP_EQUAL(ufd_access_replace(user.access, ioas), 0);
	KTAP_EQUAL(user.asked, 0);
	KTAP_EQUAL(ufd_access_replace(user.access, other), 0);
	KTAP_EQUAL(user.asked, 1);
	KTAP_EQUAL(user.asked_bytes, UINT64_MAX);
	KTAP_EQUAL(world_destroy(&world, ioas), 0);

	/* who pins needs whole pages; who copies does not */
	KTAP_EQUAL(world_map(&world, odd, USER_PLAIN + 1, 100, 7), 0);
	KTAP_EQUAL(ufd_access_replace(user.access, odd), -EADDRINUSE);
	KTAP_EQUAL(world_info(&world, other).users, 1);
	KTAP_EQUAL(world_info(&world, odd).users, 0);
	KTAP_EQUAL(world_map(&world, other, USER_PLAIN + 1, 100, 7), -EINVAL);
	KTAP_EQUAL(ufd_access_attach(copier.access, odd), 0);
	KTAP_EQUAL(world_map(&world, odd, USER_PLAIN + 1, 100, 1007), 0);
	ufd_access_detach(user.access);
	ufd_access_detach(user.access);
	KTAP_EQUAL(world_map(&world, other, USER_PLAIN + 1, 100, 7), 0);
	ufd_access_free(user.access);
	KTAP_CHECK(world_info(&world, id).kind == UFD_NONE);

	/* an access outlives the descriptor of /dev/iommu */
	KTAP_EQUAL(ufd_close(&world.ufd, world.fd), 0);
	char byte = 0;
	KTAP_EQUAL(ufd_access_copy(copier.access, iova(7), &byte, 1, IOMMU_READ), 0);
	ufd_access_free(copier.access);
	world_end(&world);
}

static void copying(void)
{
	struct world world;
	struct user user = {0};
	uint8_t data[3 * PAGE];

	world_init(&world);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(ufd_access_new(&world.ufd, world.fd, &only_copies, &user, &user.access), 0);
	KTAP_EQUAL(ufd_access_copy(user.access, iova(BASE), data, 1, IOMMU_READ), -ENOENT);
	KTAP_EQUAL(ufd_access_attach(user.access, ioas), 0);
	/* neighbours of different memory, one of them for reading */
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER + 5, 100, BASE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 2 * PAGE, BASE + 100), 0);
	struct iommu_ioas_map fixed = {.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
	                               .ioas_id = ioas,
	                               .user_va = USER_READONLY + 50 * PAGE,
	                               .length = 10,
	                               .iova = BASE + 100 + 2 * PAGE};
	KTAP_EQUAL(call(&world, IOMMU_IOAS_MAP, &fixed), 0);
	const uint64_t writable = 100 + 2 * PAGE, all = writable + 10;
	for (uint64_t i = 0; i < writable; i++)
		data[i] = (uint8_t)(i * 7 + 1);
	KTAP_EQUAL(ufd_access_copy(user.access, iova(BASE), data, writable, IOMMU_WRITE), 0);
	KTAP_EQUAL(((uint8_t *)test_user_at(&world.user, USER_SCATTER + 5))[99], data[99]);
	KTAP_EQUAL(((uint8_t *)test_user_at(&world.user, USER_PLAIN))[0], data[100]);
	memset(data, 0, sizeof(data));
	KTAP_EQUAL(ufd_access_copy(user.access, iova(BASE), data, all, IOMMU_READ), 0);
	for (uint64_t i = 0; i < writable; i++)
		KTAP_EQUAL(data[i], (uint8_t)(i * 7 + 1));
	const struct {
		uint64_t at, bytes;
		uint32_t rights;
		int result;
	} cases[] = {
		{BASE, 0, IOMMU_READ, -EINVAL},
		{UINT64_MAX, 2, IOMMU_READ, -EOVERFLOW},
		{BASE, UINT64_MAX, IOMMU_READ, -EOVERFLOW},
		{BASE - 1, 2, IOMMU_READ, -ENOENT},
		{BASE + all - 1, 2, IOMMU_READ, -ENOENT},
		{UINT64_MAX, 1, IOMMU_READ, -ENOENT},
		{BASE, all, IOMMU_WRITE, -EPERM},
		{BASE + all - 1, 1, IOMMU_WRITE, -EPERM},
		{BASE + all - 1, 1, IOMMU_READ, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		KTAP_EQUAL(ufd_access_copy(user.access, iova(cases[i].at), data, cases[i].bytes,
		                           cases[i].rights),
		           cases[i].result);
	/* memory that is not there */
	KTAP_EQUAL(world_map(&world, ioas, 0x1000, PAGE, 0), 0);
	KTAP_EQUAL(ufd_access_copy(user.access, iova(0), data, 1, IOMMU_READ), -EFAULT);
	/* it pins nothing, so it cannot, and an unmap does not ask it */
	struct iommu_extent extent;
	size_t count;
	KTAP_EQUAL(pin(&user, BASE, 1, 0, &extent, 1, &count), -EINVAL);
	KTAP_EQUAL(world_unmap(&world, ioas, 0, UINT64_MAX, NULL), 0);
	KTAP_EQUAL(ufd_access_copy(user.access, iova(BASE), data, 1, IOMMU_READ), -ENOENT);
	ufd_access_free(user.access);
	world_end(&world);
}

static void pinning(void)
{
	struct world world;
	struct user user = {0}, second = {0};
	struct iommu_extent extents[8];
	size_t count;

	world_init(&world);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(ufd_access_new(&world.ufd, world.fd, &pins, &user, &user.access), 0);
	KTAP_EQUAL(ufd_access_new(&world.ufd, world.fd, &pins, &second, &second.access), 0);
	KTAP_EQUAL(pin(&user, BASE, PAGE, 0, extents, 8, &count), -ENOENT);
	KTAP_EQUAL(ufd_access_attach(user.access, ioas), 0);
	KTAP_EQUAL(ufd_access_attach(second.access, ioas), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 4 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + 4 * PAGE, 4 * PAGE, BASE + 4 * PAGE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 3 * PAGE, BASE + 8 * PAGE), 0);
	KTAP_EQUAL(world.user.pinned, 0);

	const uint64_t plain = (uintptr_t)test_user_at(&world.user, USER_PLAIN);
	/* neighbours in memory are one extent, across areas; the place in a page counts */
	KTAP_EQUAL(pin(&user, BASE + PAGE + 5, 5 * PAGE, IOMMU_WRITE, extents, 1, &count), 0);
	KTAP_EQUAL(count, 1);
	KTAP_EQUAL(extents[0].start.value, plain + PAGE + 5);
	KTAP_EQUAL(extents[0].bytes, 5 * PAGE);
	KTAP_EQUAL(world.user.pinned, 8);
	ufd_access_unpin(user.access, iova(BASE), 5 * PAGE); /* not that range: nothing */
	KTAP_EQUAL(world.user.pinned, 8);
	KTAP_EQUAL(pin(&second, BASE + 3 * PAGE, 8 * PAGE, 0, extents, 8, &count), 0);
	KTAP_EQUAL(count, 4);
	KTAP_EQUAL(extents[0].bytes, 5 * PAGE);
	for (unsigned i = 1; i < 4; i++) {
		KTAP_EQUAL(extents[i].start.value,
		           (uintptr_t)test_user_at(&world.user, USER_SCATTER + (i - 1) * PAGE));
		KTAP_EQUAL(extents[i].bytes, PAGE);
	}
	KTAP_EQUAL(world.user.pinned, 11);
	let_go(&user, iova(0), 0);
	KTAP_EQUAL(world.user.pinned, 11); /* the second has them too */
	let_go(&second, iova(0), 0);
	KTAP_EQUAL(world.user.pinned, 0);

	/* what fails leaves no pin */
	const struct {
		uint64_t at, bytes;
		size_t capacity;
		int result;
	} cases[] = {
		{BASE, 0, 8, -EINVAL},
		{BASE, UINT64_MAX, 8, -EOVERFLOW},
		{BASE - PAGE, 2 * PAGE, 8, -ENOENT},
		{BASE, 12 * PAGE, 8, -ENOENT},
		{BASE, 11 * PAGE, 3, -ENOSPC},
		{BASE, PAGE, 0, -ENOSPC},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		KTAP_EQUAL(pin(&user, cases[i].at, cases[i].bytes, 0, extents, cases[i].capacity,
		               &count),
		           cases[i].result);
		KTAP_EQUAL(count, 0);
		KTAP_EQUAL(world.user.pinned, 0);
	}
	world.user.pin_fail_at = world.user.pin_calls + 2;
	KTAP_EQUAL(pin(&user, BASE, 8 * PAGE, 0, extents, 8, &count), -ENOMEM);
	KTAP_EQUAL(world.user.pinned, 0);
	world.os.fail_at = world.os.allocations + 1;
	KTAP_EQUAL(pin(&user, BASE, PAGE, 0, extents, 8, &count), -ENOMEM);

	/* beside a HWPT, which needs the pins as well */
	uint32_t hwpt;
	KTAP_EQUAL(world_bind(&world, 0), 0);
	KTAP_EQUAL(pin(&user, BASE, PAGE, 0, extents, 8, &count), 0);
	KTAP_EQUAL(world_hwpt(&world, world.id[0], ioas, 0, &hwpt), 0);
	KTAP_EQUAL(world.user.pinned, 11);
	KTAP_EQUAL(world_destroy(&world, hwpt), 0);
	KTAP_EQUAL(world.user.pinned, 4);
	ufd_access_free(user.access);
	KTAP_EQUAL(world.user.pinned, 0);
	KTAP_EQUAL(world.os.log_count[IOMMU_LOG_WARNING], 0);
	ufd_access_free(second.access);
	world_end(&world);
}

static void unmapping(void)
{
	struct world world;
	struct user user[2] = {{0}, {0}};
	struct iommu_extent extents[8];
	size_t count;
	uint64_t bytes;

	world_init(&world);
	uint32_t ioas = world_ioas(&world), other = world_ioas(&world);
	for (int i = 0; i < 2; i++) {
		KTAP_EQUAL(ufd_access_new(&world.ufd, world.fd, &pins, &user[i], &user[i].access),
		           0);
		KTAP_EQUAL(ufd_access_attach(user[i].access, ioas), 0);
	}
	for (uint64_t i = 0; i < 4; i++)
		KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + i * PAGE, PAGE, BASE + i * PAGE),
		           0);
	KTAP_EQUAL(pin(&user[0], BASE, 2 * PAGE, 0, extents, 8, &count), 0);
	KTAP_EQUAL(pin(&user[1], BASE + PAGE, 2 * PAGE, 0, extents, 8, &count), 0);
	/* what nobody has pinned: nobody is asked */
	KTAP_EQUAL(world_unmap(&world, ioas, BASE + 3 * PAGE, PAGE, &bytes), 0);
	KTAP_EQUAL(user[0].asked + user[1].asked, 0);
	/* one has it, one does not */
	KTAP_EQUAL(world_unmap(&world, ioas, BASE + 2 * PAGE, PAGE, &bytes), 0);
	KTAP_EQUAL(user[0].asked, 0);
	KTAP_EQUAL(user[1].asked, 1);
	KTAP_EQUAL(user[1].asked_first, BASE + 2 * PAGE);
	KTAP_EQUAL(user[1].asked_bytes, PAGE);
	/* all of it, both */
	KTAP_EQUAL(pin(&user[1], BASE + PAGE, PAGE, 0, extents, 8, &count), 0);
	KTAP_EQUAL(world_unmap(&world, ioas, 0, UINT64_MAX, &bytes), 0);
	KTAP_EQUAL(bytes, 2 * PAGE);
	KTAP_EQUAL(user[0].asked, 1);
	KTAP_EQUAL(user[1].asked, 2);
	KTAP_EQUAL(world.user.pinned, 0);

	/* one that does not let go */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(pin(&user[0], BASE, PAGE, 0, extents, 8, &count), 0);
	user[0].stubborn = true;
	bytes = 77;
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, PAGE, &bytes), -EDEADLK);
	KTAP_EQUAL(bytes, PAGE); /* the length, unchanged */
	KTAP_EQUAL(world_info(&world, ioas).areas, 1);
	KTAP_EQUAL(world.user.pinned, 1);
	/* replace and free take its pins away, and say so */
	KTAP_EQUAL(ufd_access_replace(user[0].access, other), 0);
	KTAP_EQUAL(world.user.pinned, 0);
	KTAP_EQUAL(world.os.log_count[IOMMU_LOG_WARNING], 1);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, PAGE, &bytes), 0);
	user[0].stubborn = false;
	user[0].bytes = 0;
	for (int i = 0; i < 2; i++)
		ufd_access_free(user[i].access);
	world_end(&world);
}

static const struct ktap_case cases[] = {
	{"attach, replace, detach", attachment},
	{"copy by IOVA", copying},
	{"pin: extents, counts, failures", pinning},
	{"unmap asks who has pinned", unmapping},
};

KTAP_MAIN(cases)
