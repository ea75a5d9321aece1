/* SPDX-License-Identifier: MIT */
/*
 * What the tests of ufd/ share: a user address space with pin counts, and a world of
 * one core, one mock unit, two mock devices and one ufd.
 *
 * User memory. One block of host memory, seen at several user addresses:
 *   USER_PLAIN    the block in its order: physically contiguous, aligned to 2 MiB
 *   USER_SCATTER  its first pages in reverse order: no two user neighbours are
 *                 physical neighbours
 *   USER_READONLY the first pages, that cannot be pinned or written for writing
 *   USER_CALLS    one page of its own for the structures of calls
 * Pins are counted with atomic operations, for calls of several threads.
 * Nothing lies between. Physical addresses are host addresses.
 */
#ifndef TESTS_UNIT_UFD_TEST_USER_H
#define TESTS_UNIT_UFD_TEST_USER_H

#include "iommu/iommu.h"
#include "tests/ktap.h"
#include "tests/test_os.h"
#include "ufd/iommufd.h"
#include "ufd/mock.h"
#include "ufd/ufd.h"
#include "ufd/vfio.h"

#include <stdlib.h>
#include <string.h>

#define PAGE          UINT64_C(4096)
#define USER_PAGES    UINT64_C(1024) /* 4 MiB */
#define USER_BYTES    (USER_PAGES * PAGE)
#define USER_PLAIN    UINT64_C(0x10000000)
#define USER_SCATTER  UINT64_C(0x20000000)
#define USER_READONLY UINT64_C(0x30000000)
#define USER_CALLS    UINT64_C(0x7ffffffff000)

struct test_user {
	uint8_t *block; /* USER_PAGES, then the page of USER_CALLS */
	uint32_t pins[1024];
	long pinned; /* sum of pins */
	long pin_calls, unpin_calls;
	long pin_fail_at;       /* the pin call with this number fails with -ENOMEM; 0: none */
	long outs, out_fail_at; /* the same for copy_out, with -EFAULT */
	long files_mapped;
	long process_changes, change_result;
	long charged[2];    /* pages: by the user, by the process */
	long limit[2];      /* of these; 0: none */
	long account_calls; /* of charges, not of what is taken back */
	bool bad;           /* an unpin of what is not pinned, a copy that wraps around */
};

/** The page of the block behind @p user, or -1. */
static inline long test_user_page(uint64_t user, bool *writable)
{
	*writable = true;
	if (user >= USER_PLAIN && user - USER_PLAIN < USER_BYTES)
		return (long)((user - USER_PLAIN) / PAGE);
	if (user >= USER_SCATTER && user - USER_SCATTER < USER_BYTES)
		return (long)(USER_PAGES - 1 - (user - USER_SCATTER) / PAGE);
	*writable = false;
	if (user >= USER_READONLY && user - USER_READONLY < USER_BYTES)
		return (long)((user - USER_READONLY) / PAGE);
	*writable = true;
	if (user >= USER_CALLS && user - USER_CALLS < PAGE)
		return (long)USER_PAGES;
	return -1;
}

/** Where the host reaches @p user; NULL if nothing is there. */
static inline void *test_user_at(const struct test_user *user, uint64_t address)
{
	bool writable;
	long page = test_user_page(address, &writable);

	return page < 0 ? NULL : user->block + (uint64_t)page * PAGE + address % PAGE;
}

static inline int test_user_copy(struct test_user *user, uint64_t address, void *kernel,
                                 size_t bytes, bool out)
{
	bool writable;

	if (bytes && address + (bytes - 1) < address)
		user->bad = true; /* ufd/ promises not to ask */

	for (int pass = 0; pass < 2; pass++) { /* look first: all or nothing */
		for (size_t done = 0; done < bytes;) {
			uint64_t at = address + done;
			size_t now = (size_t)(PAGE - at % PAGE);
			if (now > bytes - done)
				now = bytes - done;
			if (test_user_page(at, &writable) < 0 || (out && !writable))
				return -EFAULT;
			if (pass && out)
				memcpy(test_user_at(user, at), (char *)kernel + done, now);
			else if (pass)
				memcpy((char *)kernel + done, test_user_at(user, at), now);
			done += now;
		}
	}
	return 0;
}

static inline int test_user_copy_in(void *ctx, void *kernel, uint64_t user, size_t bytes)
{
	return test_user_copy(ctx, user, kernel, bytes, false);
}

static inline int test_user_copy_out(void *ctx, uint64_t user, const void *kernel, size_t bytes)
{
	struct test_user *self = ctx;
	union {
		const void *from;
		void *to;
	} pointer = {.from = kernel}; /* only read */

	if (__atomic_add_fetch(&self->outs, 1, __ATOMIC_RELAXED) == self->out_fail_at)
		return -EFAULT;
	return test_user_copy(self, user, pointer.to, bytes, true);
}

static inline int test_user_pin(void *ctx, uint64_t user, uint64_t bytes, bool write,
                                struct iommu_extent *extents, size_t capacity, size_t *count,
                                uint64_t *pinned)
{
	struct test_user *self = ctx;
	bool writable;

	*count = 0;
	*pinned = 0;
	if (__atomic_add_fetch(&self->pin_calls, 1, __ATOMIC_RELAXED) == self->pin_fail_at)
		return -ENOMEM;
	while (*pinned < bytes) {
		long page = test_user_page(user + *pinned, &writable);
		if (page < 0 || page >= (long)USER_PAGES || (write && !writable))
			break;
		pa_t at = pa((uintptr_t)(self->block + (uint64_t)page * PAGE));
		struct iommu_extent *last = *count ? &extents[*count - 1] : NULL;
		if (last && last->start.value + last->bytes == at.value) {
			last->bytes += PAGE;
		} else if (*count < capacity) {
			extents[*count] = (struct iommu_extent){at, PAGE};
			++*count;
		} else {
			break;
		}
		__atomic_add_fetch(&self->pins[page], 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&self->pinned, 1, __ATOMIC_RELAXED);
		*pinned += PAGE;
	}
	return *pinned ? 0 : -EFAULT;
}

static inline void test_user_unpin(void *ctx, uint64_t user, const struct iommu_extent *extents,
                                   size_t count, bool dirty)
{
	struct test_user *self = ctx;

	(void)user;
	(void)dirty;
	__atomic_add_fetch(&self->unpin_calls, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < count; i++)
		for (uint64_t at = 0; at < extents[i].bytes; at += PAGE) {
			uint64_t page =
				(extents[i].start.value + at - (uintptr_t)self->block) / PAGE;
			if (page >= USER_PAGES ||
			    !__atomic_fetch_sub(&self->pins[page], 1, __ATOMIC_RELAXED)) {
				self->bad = true;
				return;
			}
			__atomic_sub_fetch(&self->pinned, 1, __ATOMIC_RELAXED);
		}
}

/** One file, number FILE_FD: its pages are those of USER_SCATTER, FILE_PAGES of them. */
enum { FILE_FD = 1000, FILE_PAGES = 16, FILE_READONLY_FD = 1001 };

static inline int test_user_file_map(void *ctx, int fd, uint64_t start, uint64_t bytes, bool write,
                                     uint64_t *user)
{
	struct test_user *self = ctx;

	if (fd != FILE_FD && fd != FILE_READONLY_FD)
		return -EBADF;
	if ((start | bytes) % PAGE)
		self->bad = true;
	if (start > FILE_PAGES * PAGE || bytes > FILE_PAGES * PAGE - start ||
	    (write && fd == FILE_READONLY_FD))
		return -EINVAL;
	self->files_mapped++;
	*user = USER_SCATTER + start;
	return 0;
}

static inline void test_user_file_unmap(void *ctx, uint64_t user, uint64_t bytes)
{
	struct test_user *self = ctx;

	if (user < USER_SCATTER || user + bytes > USER_SCATTER + FILE_PAGES * PAGE)
		self->bad = true;
	self->files_mapped--;
}

static inline int test_user_change_process(void *ctx)
{
	struct test_user *self = ctx;

	self->process_changes++;
	return (int)self->change_result;
}

static inline int test_user_account(void *ctx, uint64_t user, int64_t pages, bool by_process)
{
	struct test_user *self = ctx;

	if (!pages || user % PAGE)
		self->bad = true;
	__atomic_add_fetch(&self->account_calls, pages > 0, __ATOMIC_RELAXED);
	long now = __atomic_add_fetch(&self->charged[by_process], (long)pages, __ATOMIC_RELAXED);
	if (now < 0)
		self->bad = true;
	if (pages < 0 || !self->limit[by_process] || now <= self->limit[by_process])
		return 0;
	__atomic_sub_fetch(&self->charged[by_process], (long)pages, __ATOMIC_RELAXED);
	return -ENOMEM;
}

static inline int test_user_pins(void *ctx, uint64_t user, uint32_t *out)
{
	struct test_user *self = ctx;
	bool writable;
	long page = test_user_page(user, &writable);

	if (page < 0 || page >= (long)USER_PAGES)
		return -EFAULT;
	*out = __atomic_load_n(&self->pins[page], __ATOMIC_RELAXED);
	return 0;
}

static const struct ufd_memory_ops test_user_ops = {
	.copy_in = test_user_copy_in,
	.copy_out = test_user_copy_out,
	.pin = test_user_pin,
	.unpin = test_user_unpin,
	.file_map = test_user_file_map,
	.file_unmap = test_user_file_unmap,
	.account = test_user_account,
	.change_process = test_user_change_process,
	.pins = test_user_pins,
};

/* ---- the world --------------------------------------------------------------------- */

struct world {
	struct test_os os;
	struct test_user user;
	struct iommu core;
	struct ufd ufd;
	struct iommu_device *device[2];
	int fd;         /* /dev/iommu */
	int cdev[2];    /* of the devices */
	uint32_t id[2]; /* of the devices, once bound */
};

static inline void world_init(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->user.block = aligned_alloc(PAGE_SIZE_2M, USER_BYTES + PAGE_SIZE_2M);
	memset(world->user.block, 0, USER_BYTES + PAGE);
	test_os_init(&world->os);
	KTAP_EQUAL(iommu_init(&world->core, &world->os.os, NULL), 0);
	KTAP_EQUAL(iommu_probe(&world->core, &ufd_mock_driver, NULL), 1);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(ufd_mock_device_add(&world->core, RID(0, 4 + i, 0), &world->device[i]),
		           0);
	KTAP_EQUAL(iommu_enable(&world->core), 0);
	KTAP_EQUAL(ufd_init(&world->ufd, &world->core, &test_user_ops, &world->user), 0);
	world->fd = ufd_open(&world->ufd);
	KTAP_EQUAL(world->fd, 3);
	for (int i = 0; i < 2; i++) {
		world->cdev[i] = ufd_open_device(&world->ufd, world->device[i]);
		KTAP_EQUAL(world->cdev[i], 4 + i);
	}
}

/** Close everything, and check that nothing is left; @p stuck pins may be. */
static inline void world_end_with(struct world *world, long stuck)
{
	ufd_exit(&world->ufd);
	iommu_exit(&world->core);
	KTAP_CHECK(test_os_is_clean(&world->os));
	KTAP_EQUAL(world->user.pinned, stuck);
	KTAP_EQUAL(world->user.files_mapped, 0);
	KTAP_EQUAL(world->user.charged[0] + world->user.charged[1], stuck);
	KTAP_CHECK(!world->user.bad);
	free(world->user.block);
}

static inline void world_end(struct world *world)
{
	world_end_with(world, 0);
}

/** A call with the structure at the very end of a user page. */
static inline int world_call(struct world *world, int fd, uint32_t command, void *arguments,
                             size_t bytes)
{
	uint64_t user = USER_CALLS + PAGE - bytes;
	void *place = test_user_at(&world->user, user);

	memcpy(place, arguments, bytes);
	int result = ufd_ioctl(&world->ufd, fd, command, user);
	memcpy(arguments, place, bytes);
	return result;
}

/* `call(&world, IOMMU_X, structure)` on /dev/iommu; the size is filled in */
#define call(world, command, structure)                                                            \
	((structure)->size = sizeof(*(structure)),                                                 \
	 world_call(world, (world)->fd, command, structure, sizeof(*(structure))))

static inline uint32_t world_ioas(struct world *world)
{
	struct iommu_ioas_alloc arguments = {0};

	KTAP_EQUAL(call(world, IOMMU_IOAS_ALLOC, &arguments), 0);
	return arguments.out_ioas_id;
}

static inline int world_destroy(struct world *world, uint32_t id)
{
	struct iommu_destroy arguments = {.id = id};

	return call(world, IOMMU_DESTROY, &arguments);
}

enum { RW = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE };

/** Map at a fixed address, read-write. */
static inline int world_map(struct world *world, uint32_t ioas, uint64_t user, uint64_t bytes,
                            uint64_t at)
{
	struct iommu_ioas_map arguments = {
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RW,
		.ioas_id = ioas,
		.user_va = user,
		.length = bytes,
		.iova = at,
	};

	return call(world, IOMMU_IOAS_MAP, &arguments);
}

/** Map where there is room; *at is the address. */
static inline int world_map_any(struct world *world, uint32_t ioas, uint64_t user, uint64_t bytes,
                                uint64_t *at)
{
	struct iommu_ioas_map arguments = {
		.flags = RW, .ioas_id = ioas, .user_va = user, .length = bytes};
	int result = call(world, IOMMU_IOAS_MAP, &arguments);

	*at = arguments.iova;
	return result;
}

/** *bytes, if not NULL, is what was unmapped. */
static inline int world_unmap(struct world *world, uint32_t ioas, uint64_t at, uint64_t length,
                              uint64_t *bytes)
{
	struct iommu_ioas_unmap arguments = {.ioas_id = ioas, .iova = at, .length = length};
	int result = call(world, IOMMU_IOAS_UNMAP, &arguments);

	if (bytes)
		*bytes = arguments.length;
	return result;
}

static inline int world_copy(struct world *world, uint32_t from, uint64_t from_at, uint32_t to,
                             uint64_t to_at, uint64_t bytes, uint32_t flags)
{
	struct iommu_ioas_copy arguments = {
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | flags,
		.dst_ioas_id = to,
		.src_ioas_id = from,
		.length = bytes,
		.dst_iova = to_at,
		.src_iova = from_at,
	};

	return call(world, IOMMU_IOAS_COPY, &arguments);
}

static inline int world_bind(struct world *world, int which)
{
	struct vfio_device_bind_iommufd arguments = {.argsz = sizeof(arguments),
	                                             .iommufd = world->fd};
	int result = world_call(world, world->cdev[which], VFIO_DEVICE_BIND_IOMMUFD, &arguments,
	                        sizeof(arguments));

	if (!result)
		world->id[which] = arguments.out_devid;
	return result;
}

/** *hwpt, if not NULL, is the HWPT's id. */
static inline int world_attach(struct world *world, int which, uint32_t pt_id, uint32_t *hwpt)
{
	struct vfio_device_attach_iommufd_pt arguments = {.argsz = sizeof(arguments),
	                                                  .pt_id = pt_id};
	int result = world_call(world, world->cdev[which], VFIO_DEVICE_ATTACH_IOMMUFD_PT,
	                        &arguments, sizeof(arguments));

	if (hwpt)
		*hwpt = arguments.pt_id;
	return result;
}

static inline int world_detach(struct world *world, int which)
{
	struct vfio_device_detach_iommufd_pt arguments = {.argsz = sizeof(arguments)};

	return world_call(world, world->cdev[which], VFIO_DEVICE_DETACH_IOMMUFD_PT, &arguments,
	                  sizeof(arguments));
}

/** *hwpt becomes the new id. */
static inline int world_hwpt(struct world *world, uint32_t device, uint32_t pt_id, uint32_t flags,
                             uint32_t *hwpt)
{
	struct iommu_hwpt_alloc arguments = {.flags = flags, .dev_id = device, .pt_id = pt_id};
	int result = call(world, IOMMU_HWPT_ALLOC, &arguments);

	*hwpt = arguments.out_hwpt_id;
	return result;
}

/** A nested HWPT on @p parent for device 0, with or without a fault queue. */
static inline int world_nested(struct world *world, uint32_t parent, uint32_t flags, uint32_t fault,
                               uint32_t *hwpt)
{
	struct iommu_hwpt_selftest *stage1 = test_user_at(&world->user, USER_PLAIN);
	struct iommu_hwpt_alloc arguments = {
		.flags = flags,
		.dev_id = world->id[0],
		.pt_id = parent,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(*stage1),
		.data_uptr = USER_PLAIN,
		.fault_id = fault,
	};

	stage1->iotlb = IOMMU_TEST_IOTLB_DEFAULT;
	int result = call(world, IOMMU_HWPT_ALLOC, &arguments);
	*hwpt = arguments.out_hwpt_id;
	return result;
}

static inline int world_attach_pasid(struct world *world, int which, uint32_t pasid, uint32_t pt_id,
                                     uint32_t *hwpt)
{
	struct vfio_device_attach_iommufd_pt arguments = {.argsz = sizeof(arguments),
	                                                  .flags = VFIO_DEVICE_ATTACH_PASID,
	                                                  .pasid = pasid,
	                                                  .pt_id = pt_id};
	int result = world_call(world, world->cdev[which], VFIO_DEVICE_ATTACH_IOMMUFD_PT,
	                        &arguments, sizeof(arguments));

	if (hwpt)
		*hwpt = arguments.pt_id;
	return result;
}

static inline int world_detach_pasid(struct world *world, int which, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt arguments = {
		.argsz = sizeof(arguments), .flags = VFIO_DEVICE_DETACH_PASID, .pasid = pasid};

	return world_call(world, world->cdev[which], VFIO_DEVICE_DETACH_IOMMUFD_PT, &arguments,
	                  sizeof(arguments));
}

/** Does DMA with @p pasid at @p at reach the memory at @p user? */
static inline bool world_pasid_reaches(struct world *world, int which, uint32_t pasid, uint64_t at,
                                       uint64_t user)
{
	pa_t out;

	return ufd_mock_translate_pasid(world->device[which], pasid, iova(at), IOMMU_READ, &out) ==
	               0 &&
	       out.value == (uintptr_t)test_user_at(&world->user, user);
}

/** Does DMA of device @p which at @p at reach the memory at @p user? */
static inline bool world_reaches(struct world *world, int which, uint64_t at, uint64_t user)
{
	pa_t out;

	return ufd_mock_translate(world->device[which], iova(at), IOMMU_READ, &out) == 0 &&
	       out.value == (uintptr_t)test_user_at(&world->user, user);
}

/** Is it blocked? */
static inline bool world_blocked(struct world *world, int which, uint64_t at)
{
	pa_t out;

	return ufd_mock_translate(world->device[which], iova(at), IOMMU_READ, &out) == -EFAULT;
}

static inline struct ufd_object_info world_info(struct world *world, uint32_t id)
{
	struct ufd_object_info info = {0};

	if (ufd_object_get(&world->ufd, world->fd, id, &info))
		info.kind = UFD_NONE;
	return info;
}

static inline uint64_t world_flushes(struct world *world)
{
	struct ufd_mock_stats stats;

	ufd_mock_stats(world->device[0]->unit, &stats);
	return stats.flushes;
}

#endif
