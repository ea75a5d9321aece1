/* SPDX-License-Identifier: MIT */
/* Descriptors, buffers and calls that the rows have in common; nothing here is timed. */
#include "bench/bench.h"

#include "iommu/string.h"
#include "ufd/iommufd.h"
#include "ufd/vfio.h"

enum { HELPER_OFFSET = 1024 }; /* in the page of structures: for calls that are not timed */

/* ---- buffers ---------------------------------------------------------------------------- */

int bench_buffers_make(struct bench *bench)
{
	uint64_t bytes = PAGE_SIZE_4K;

	int error = user_buffer_create(bench->memory, "bench-abi", PAGE_SIZE_4K, 0, 0, &bench->abi);
	if (error)
		return error;
	bench->slot_user = bench->abi->start;
	bench->slot = user_memory_at(bench->memory, bench->slot_user, &bytes);
	return 0;
}

static void buffer_drop(struct bench *bench, struct user_buffer **buffer)
{
	if (*buffer && user_buffer_destroy(bench->memory, *buffer)) {
		bench->failures++;
		iommu_printf(bench->out, "bench: buffer %s is pinned still\n", (*buffer)->name);
	}
	*buffer = NULL;
}

void bench_buffers_free(struct bench *bench)
{
	buffer_drop(bench, &bench->abi);
	buffer_drop(bench, &bench->page);
	buffer_drop(bench, &bench->contiguous);
	buffer_drop(bench, &bench->pieces);
}

static uint64_t buffer_get(struct bench *bench, struct user_buffer **buffer, const char *name,
                           uint64_t bytes, unsigned flags)
{
	if (!*buffer && user_buffer_create(bench->memory, name, bytes, 0, flags, buffer))
		return 0;
	return (*buffer)->start;
}

uint64_t bench_page(struct bench *bench)
{
	return buffer_get(bench, &bench->page, "bench-page", 16 * PAGE_SIZE_4K, 0);
}

uint64_t bench_contiguous(struct bench *bench)
{
	return buffer_get(bench, &bench->contiguous, "bench-contiguous", PAGE_SIZE_1G, 0);
}

uint64_t bench_scattered(struct bench *bench)
{
	return buffer_get(bench, &bench->pieces, "bench-scattered",
	                  bench->scattered ? bench->scattered : 128 * PAGE_SIZE_2M, USER_SCATTERED);
}

/* ---- calls --------------------------------------------------------------------------------- */

int bench_call(struct bench *bench, int fd, unsigned long command, void *structure, size_t bytes)
{
	void *at = (char *)bench->slot + HELPER_OFFSET;

	memcpy(at, structure, bytes);
	int result = ufd_ioctl(bench->ufd, fd, command, bench->slot_user + HELPER_OFFSET);
	memcpy(structure, at, bytes);
	return result < 0 ? result : 0;
}

int bench_open(struct bench *bench, struct iommu_device *device)
{
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};

	bench->bound = device;
	bench->device_id = bench->ioas = bench->hwpt = bench->parent = 0;
	bench->fd = ufd_open(bench->ufd);
	if (bench->fd < 0)
		return bench->fd;
	bench->device_fd = ufd_open_device(bench->ufd, device);
	if (bench->device_fd < 0)
		return bench->device_fd;
	bind.iommufd = bench->fd;
	int error =
		bench_call(bench, bench->device_fd, VFIO_DEVICE_BIND_IOMMUFD, &bind, sizeof(bind));
	if (error)
		return error;
	bench->device_id = bind.out_devid;
	error = bench_call(bench, bench->fd, IOMMU_IOAS_ALLOC, &ioas, sizeof(ioas));
	bench->ioas = ioas.out_ioas_id;
	return error;
}

int bench_watch(struct bench *bench, uint32_t id)
{
	struct ufd_object_info info;

	int error = ufd_object_get(bench->ufd, bench->fd, id, &info);
	if (!error)
		bench->watched = info.domain;
	return error;
}

int bench_attach(struct bench *bench, uint32_t id)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = id};

	int error = bench_call(bench, bench->device_fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach,
	                       sizeof(attach));
	return error ? error : bench_watch(bench, attach.pt_id);
}

void bench_close(struct bench *bench)
{
	bench->watched = NULL;
	if (bench->device_fd >= 0)
		(void)ufd_close(bench->ufd, bench->device_fd);
	if (bench->fd >= 0)
		(void)ufd_close(bench->ufd, bench->fd);
	bench->fd = bench->device_fd = -1;
}

int bench_map_at(struct bench *bench, uint64_t at, uint64_t user, uint64_t bytes)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
	                 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = bench->ioas,
		.user_va = user,
		.length = bytes,
		.iova = at,
	};

	return bench_call(bench, bench->fd, IOMMU_IOAS_MAP, &map, sizeof(map));
}

int bench_unmap_at(struct bench *bench, uint64_t at, uint64_t bytes)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = bench->ioas,
		.iova = at,
		.length = bytes,
	};

	int error = bench_call(bench, bench->fd, IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap));
	return error ? error : unmap.length == bytes ? 0 : -EIO;
}

int bench_small_pages(struct bench *bench, bool small)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = bench->ioas,
		.val64 = !small,
	};

	return bench_call(bench, bench->fd, IOMMU_OPTION, &option, sizeof(option));
}

int bench_destroy(struct bench *bench, uint32_t id)
{
	struct iommu_destroy destroy = {.size = sizeof(destroy), .id = id};

	return bench_call(bench, bench->fd, IOMMU_DESTROY, &destroy, sizeof(destroy));
}
