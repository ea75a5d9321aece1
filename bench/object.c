/* SPDX-License-Identifier: MIT */
/*
 * Rows about objects: IOAS, HWPT, attachment, nesting, what hardware there is, and a call
 * that fails. With `mock` in its name a row is about the mock driver, for what the
 * machine's unit cannot do.
 */
#include "bench/bench.h"

#include "iommu/string.h"
#include "ufd/iommufd.h"
#include "ufd/mock.h"
#include "ufd/vfio.h"

enum { DATA_OFFSET = 2048, MAX_CHILDREN = 4096 };

static int run_ioctl(struct bench *bench, unsigned long command)
{
	return ufd_ioctl(bench->ufd, bench->fd, command, bench->slot_user);
}

static void prepare(struct bench *bench, const void *structure, size_t bytes)
{
	memcpy(bench->slot, structure, bytes);
}

static int open_device(struct bench *bench)
{
	return bench_open(bench, bench->device);
}

static int open_mock(struct bench *bench)
{
	return bench_open(bench, bench->mock);
}

/* ---- IOAS --------------------------------------------------------------------------------------------- */

static int before_ioas(struct bench *bench)
{
	const struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	prepare(bench, &alloc, sizeof(alloc));
	return 0;
}

/** The two calls share their first words: size stays valid, out_ioas_id becomes id. */
static int run_ioas(struct bench *bench)
{
	struct iommu_ioas_alloc *alloc = bench->slot;
	struct iommu_destroy *destroy = bench->slot;

	int error = run_ioctl(bench, IOMMU_IOAS_ALLOC);
	if (error)
		return error;
	uint32_t id = alloc->out_ioas_id;
	*destroy = (struct iommu_destroy){.size = sizeof(*destroy), .id = id};
	return run_ioctl(bench, IOMMU_DESTROY);
}

/* ---- HWPT ---------------------------------------------------------------------------------------------- */

static void prepare_hwpt(struct bench *bench, uint32_t on, uint32_t flags)
{
	const struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = flags,
		.dev_id = bench->device_id,
		.pt_id = on,
	};

	prepare(bench, &alloc, sizeof(alloc));
	bench->watched = NULL;
}

static int run_hwpt(struct bench *bench)
{
	return run_ioctl(bench, IOMMU_HWPT_ALLOC);
}

static int seen_hwpt(struct bench *bench)
{
	bench->hwpt = ((const struct iommu_hwpt_alloc *)bench->slot)->out_hwpt_id;
	return bench_watch(bench, bench->hwpt);
}

static int after_hwpt(struct bench *bench)
{
	bench->watched = NULL;
	return bench_destroy(bench, bench->hwpt);
}

static int before_plain(struct bench *bench)
{
	prepare_hwpt(bench, bench->ioas, 0);
	return 0;
}

/* Where the hardware cannot nest, the core grants the same table for experiments. */
static int before_parent(struct bench *bench)
{
	prepare_hwpt(bench, bench->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	bench->core->options.nest_any = true;
	return 0;
}

static int after_parent(struct bench *bench)
{
	bench->core->options.nest_any = false;
	return after_hwpt(bench);
}

static int run_destroy(struct bench *bench)
{
	return run_ioctl(bench, IOMMU_DESTROY);
}

static void prepare_destroy(struct bench *bench)
{
	const struct iommu_destroy destroy = {.size = sizeof(destroy), .id = bench->hwpt};

	prepare(bench, &destroy, sizeof(destroy));
	bench->watched = NULL;
}

static int make_hwpt(struct bench *bench)
{
	int error = run_hwpt(bench);

	if (!error)
		error = seen_hwpt(bench);
	prepare_destroy(bench);
	return error;
}

static int before_plain_destroy(struct bench *bench)
{
	prepare_hwpt(bench, bench->ioas, 0);
	return make_hwpt(bench);
}

static int before_parent_destroy(struct bench *bench)
{
	int error = before_parent(bench);

	if (!error)
		error = make_hwpt(bench);
	bench->core->options.nest_any = false;
	return error;
}

static const struct bench_row plain_rows[] = {
	{.name = "ioas.alloc+destroy", .before = before_ioas, .run = run_ioas},
	{.name = "hwpt.alloc plain, empty ioas",
         .before = before_plain,
         .run = run_hwpt,
         .seen = seen_hwpt,
         .after = after_hwpt},
	{.name = "hwpt.destroy plain, empty ioas",
         .before = before_plain_destroy,
         .run = run_destroy},
	{.name = "hwpt.alloc nest-parent, empty ioas",
         .before = before_parent,
         .run = run_hwpt,
         .seen = seen_hwpt,
         .after = after_parent},
	{.name = "hwpt.destroy nest-parent, empty ioas",
         .before = before_parent_destroy,
         .run = run_destroy},
	{.name = NULL},
};

static int open_mapped(struct bench *bench)
{
	uint64_t user = bench_contiguous(bench);
	int error = user ? open_device(bench) : -ENOMEM;

	return error ? error
	             : bench_map_at(bench, UINT64_C(0x2000000000), user, 128 * PAGE_SIZE_2M);
}

static const struct bench_row mapped_rows[] = {
	{.name = "hwpt.alloc plain, ioas with 256M hugetlb",
         .before = before_plain,
         .run = run_hwpt,
         .seen = seen_hwpt,
         .after = after_hwpt},
	{.name = "hwpt.destroy plain, ioas with 256M hugetlb",
         .before = before_plain_destroy,
         .run = run_destroy},
	{.name = NULL},
};

/* ---- attachment ------------------------------------------------------------------------------------------- */

static int before_attach(struct bench *bench)
{
	const struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = bench->ioas,
	};

	prepare(bench, &attach, sizeof(attach));
	bench->watched = NULL;
	return 0;
}

static int run_attach(struct bench *bench)
{
	return ufd_ioctl(bench->ufd, bench->device_fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
	                 bench->slot_user);
}

static int seen_attach(struct bench *bench)
{
	return bench_watch(bench,
	                   ((const struct vfio_device_attach_iommufd_pt *)bench->slot)->pt_id);
}

static int run_detach(struct bench *bench)
{
	return ufd_ioctl(bench->ufd, bench->device_fd, VFIO_DEVICE_DETACH_IOMMUFD_PT,
	                 bench->slot_user);
}

static void prepare_detach(struct bench *bench)
{
	const struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};

	prepare(bench, &detach, sizeof(detach));
	bench->watched = NULL;
}

static int after_attach(struct bench *bench)
{
	prepare_detach(bench);
	return run_detach(bench);
}

static int before_detach(struct bench *bench)
{
	int error = before_attach(bench);

	if (!error)
		error = run_attach(bench);
	prepare_detach(bench);
	return error;
}

static const struct bench_row attach_rows[] = {
	{.name = "device.attach empty ioas",
         .before = before_attach,
         .run = run_attach,
         .seen = seen_attach,
         .after = after_attach},
	{.name = "device.detach", .before = before_detach, .run = run_detach},
	{.name = NULL},
};

/* ---- information, and a call that fails --------------------------------------------------------------------- */

static int before_info(struct bench *bench)
{
	const struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = bench->device_id,
		.data_len = 64,
		.data_uptr = bench->slot_user + DATA_OFFSET,
	};

	prepare(bench, &info, sizeof(info));
	return 0;
}

static int run_info(struct bench *bench)
{
	return run_ioctl(bench, IOMMU_GET_HW_INFO);
}

static int before_failing(struct bench *bench)
{
	const struct iommu_destroy destroy = {.size = sizeof(destroy), .id = 0};

	prepare(bench, &destroy, sizeof(destroy));
	return 0;
}

static int run_failing(struct bench *bench)
{
	return run_destroy(bench) == -ENOENT ? 0 : -EIO;
}

static const struct bench_row info_rows[] = {
	{.name = "get_hw_info", .before = before_info, .run = run_info},
	{.name = "destroy id 0 -> ENOENT", .before = before_failing, .run = run_failing},
	{.name = NULL},
};

/* ---- nesting, on the mock ------------------------------------------------------------------------------------- */

static int open_parent(struct bench *bench)
{
	int error = open_mock(bench);

	if (error)
		return error;
	prepare_hwpt(bench, bench->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT);
	error = run_hwpt(bench);
	bench->parent = ((const struct iommu_hwpt_alloc *)bench->slot)->out_hwpt_id;
	return error;
}

static int before_nested(struct bench *bench)
{
	struct iommu_hwpt_alloc *alloc = bench->slot;
	const struct iommu_hwpt_selftest data = {.iotlb = 1};

	prepare_hwpt(bench, bench->parent, 0);
	alloc->data_type = IOMMU_HWPT_DATA_SELFTEST;
	alloc->data_len = sizeof(data);
	alloc->data_uptr = bench->slot_user + DATA_OFFSET;
	memcpy((char *)bench->slot + DATA_OFFSET, &data, sizeof(data));
	return 0;
}

static int seen_nested(struct bench *bench)
{
	bench->hwpt = ((const struct iommu_hwpt_alloc *)bench->slot)->out_hwpt_id;
	return 0;
}

static int after_nested(struct bench *bench)
{
	return bench_destroy(bench, bench->hwpt);
}

static int before_nested_destroy(struct bench *bench)
{
	int error = before_nested(bench);

	if (!error)
		error = run_hwpt(bench);
	if (!error)
		error = seen_nested(bench);
	prepare_destroy(bench);
	return error;
}

static const struct bench_row nested_rows[] = {
	{.name = "hwpt.alloc nested (mock)",
         .before = before_nested,
         .run = run_hwpt,
         .seen = seen_nested,
         .after = after_nested},
	{.name = "hwpt.destroy nested (mock)", .before = before_nested_destroy, .run = run_destroy},
	{.name = NULL},
};

/* ---- a flush reaches all children, on the mock ------------------------------------------------------------------ */

static int open_children(struct bench *bench)
{
	bench->live = 0;
	bench->user = bench_page(bench);
	return bench->user ? open_parent(bench) : -ENOMEM;
}

/** Let the parent have as many children as the row says, and a page to unmap. */
static int before_children(struct bench *bench)
{
	const uint64_t at = 128 * PAGE_SIZE_2M;
	const struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = bench->ioas,
		.iova = at,
		.length = PAGE_SIZE_4K,
	};
	int error = 0;

	for (; bench->live < bench->row->size && !error; bench->live++) {
		error = before_nested(bench);
		if (!error)
			error = run_hwpt(bench);
	}
	if (!error)
		error = bench_map_at(bench, at, bench->user, PAGE_SIZE_4K);
	prepare(bench, &unmap, sizeof(unmap));
	return error;
}

static int run_children(struct bench *bench)
{
	return run_ioctl(bench, IOMMU_IOAS_UNMAP);
}

#define CHILDREN(count)                                                                            \
	{                                                                                          \
		.name = "children.unmap 4K (mock) " #count, .before = before_children,             \
		.run = run_children, .size = (count), .series = "children.unmap",                  \
	}

static const struct bench_row children_rows[] = {
	CHILDREN(1),   CHILDREN(4),    CHILDREN(16),   CHILDREN(64),
	CHILDREN(256), CHILDREN(1024), CHILDREN(4096), {.name = NULL},
};

const struct bench_stage bench_object_stages[] = {
	{"object.info", open_device, bench_close, info_rows, .coherent = false},
	{"object.hwpt", open_device, bench_close, plain_rows, .coherent = true},
	{"object.mapped", open_mapped, bench_close, mapped_rows, .coherent = true},
	{"object.attach", open_device, bench_close, attach_rows, .coherent = true},
	{"object.nested", open_parent, bench_close, nested_rows, .coherent = false},
	{"children", open_children, bench_close, children_rows, .coherent = false},
	{.name = NULL},
};
