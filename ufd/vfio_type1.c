/* SPDX-License-Identifier: MIT */
/*
 * VFIO's container calls on /dev/iommu, for programs of VFIO's type 1. They work on the
 * IOAS that IOMMU_VFIO_IOAS names, and are ENODEV without one.
 *
 * Type 1 in its first version cuts mappings at will; SET_IOMMU therefore makes the IOAS map
 * in 4 KiB pages only, and that is how UNMAP_DMA knows. Version 2 unmaps whole mappings.
 */
#include "ufd/private.h"
#include "ufd/vfio_type1.h"

/** Bytes of a structure up to and with a field. */
#define UP_TO(structure, field)                                                                    \
	(offsetof(struct structure, field) + sizeof(((struct structure *)0)->field))

/** The compatibility IOAS, held. -ENODEV. */
static int get_ioas(struct ufd_context *context, struct ufd_ioas **out)
{
	const struct ufd *ufd = context->file.ufd;

	ufd_lock(ufd, &context->table_lock);
	uint32_t id = context->vfio_ioas;
	ufd_unlock(ufd, &context->table_lock);
	if (id && !ufd_object_hold(context, id, UFD_IOAS, out))
		return 0;
	(void)ufd_refuse(ufd, -ENODEV, "VFIO: no IOAS is set by IOMMU_VFIO_IOAS");
	return -ENODEV;
}

static int check_extension(struct ufd_context *context, uint64_t what)
{
	struct ufd_ioas *ioas = NULL;

	switch (what) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU: { /* what is mapped is coherent, as IOAS_MAP asks for it */
		int error = get_ioas(context, &ioas);
		if (error)
			return error;
		ufd_object_release(&ioas->object);
		return 1;
	}
	default: /* also known ones that are not here: nesting, no-IOMMU, update of addresses */
		return 0;
	}
}

static int set_iommu(struct ufd_context *context, uint64_t type)
{
	const struct ufd *ufd = context->file.ufd;
	struct ufd_ioas *ioas = NULL;

	int error = get_ioas(context, &ioas);
	if (error)
		return error;
	if (type == VFIO_TYPE1_IOMMU) {
		ufd_ioas_lock(ioas);
		error = ufd_ioas_set_small_pages(ioas);
		ufd_ioas_unlock(ioas);
	} else if (type != VFIO_TYPE1v2_IOMMU) {
		error = ufd_refuse(ufd, -EINVAL,
		                   "VFIO_SET_IOMMU: %llu, known are 1 (type 1) and 3 (type 1 v2)",
		                   (unsigned long long)type);
	}
	ufd_object_release(&ioas->object);
	return error;
}

/* ---- GET_INFO --------------------------------------------------------------------------- */

/** Page sizes that every HWPT has; smaller than a user's page is none of VFIO's matter. */
static uint64_t page_sizes(const struct ufd_ioas *ioas)
{
	uint64_t sizes = ~UINT64_C(0);

	for (const struct ufd_hwpt *hwpt = ioas->hwpts; hwpt; hwpt = hwpt->next)
		sizes &= hwpt->domain->page_sizes;
	if (ioas->small_pages || sizes & (PAGE_SIZE_4K - 1))
		sizes = (sizes & ~(PAGE_SIZE_4K - 1)) | PAGE_SIZE_4K;
	return sizes;
}

static uint32_t count_ranges(struct ufd_ioas *ioas)
{
	struct iova_range range;
	uint32_t count = 0;

	for (uint64_t from = 0; iova_ranges_next(&ioas->ranges, from, &range);
	     from = range.last + 1) {
		count++;
		if (range.last == UINT64_MAX)
			break;
	}
	return count;
}

/** Write the capability of usable IOVAs at @p user, where there is room for it. */
static int write_ranges(const struct ufd *ufd, struct ufd_ioas *ioas, uint64_t user, uint32_t count,
                        uint32_t next)
{
	const struct vfio_iommu_type1_info_cap_iova_range head = {
		.header = {VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1, next},
		.nr_iovas = count,
	};
	struct iova_range range = {0, 0};
	uint64_t from = 0;

	int error = ufd_copy_out(ufd, user, &head, sizeof(head));
	user += sizeof(head);
	for (uint32_t i = 0; i < count && !error; i++) {
		if (!iova_ranges_next(&ioas->ranges, from, &range))
			break;
		const struct vfio_iova_range out = {range.first, range.last};
		error = ufd_copy_out(ufd, user, &out, sizeof(out));
		user += sizeof(out);
		from = range.last + 1;
	}
	return error;
}

/** Fill in @p info, and write the capabilities that there is room for. The lock is held. */
static int write_info(const struct ufd *ufd, struct ufd_ioas *ioas, uint64_t user,
                      struct vfio_iommu_type1_info *info)
{
	const uint32_t room = info->argsz, count = count_ranges(ioas);
	const uint64_t ranges_at = sizeof(*info);
	const uint64_t avail_at = ranges_at + sizeof(struct vfio_iommu_type1_info_cap_iova_range) +
	                          count * (uint64_t)sizeof(struct vfio_iova_range);
	const uint64_t end = avail_at + sizeof(struct vfio_iommu_type1_info_dma_avail);
	const struct vfio_iommu_type1_info_dma_avail avail = {
		.header = {VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, 0},
		.avail = UINT32_MAX,
	};
	int error = 0;

	if (end > UINT32_MAX || user + end < user)
		return -EFAULT;
	info->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info->iova_pgsizes = page_sizes(ioas);
	info->cap_offset = 0;
	info->pad = 0;
	info->argsz = (uint32_t)end;
	if (room >= avail_at) {
		info->cap_offset = (uint32_t)ranges_at;
		error = write_ranges(ufd, ioas, user + ranges_at, count,
		                     room >= end ? (uint32_t)avail_at : 0);
	}
	if (!error && room >= end)
		error = ufd_copy_out(ufd, user + avail_at, &avail, sizeof(avail));
	return error;
}

static int get_info(struct ufd_context *context, uint64_t user)
{
	const uint32_t least = UP_TO(vfio_iommu_type1_info, iova_pgsizes);
	const struct ufd *ufd = context->file.ufd;
	struct vfio_iommu_type1_info info = {0};
	struct ufd_ioas *ioas = NULL;

	int error = ufd_copy_in(ufd, &info, user, least);
	if (error)
		return error;
	if (info.argsz < least)
		return ufd_refuse(ufd, -EINVAL, "a structure of %u bytes, at least %u", info.argsz,
		                  least);
	uint32_t bytes = info.argsz < sizeof(info) ? info.argsz : (uint32_t)sizeof(info);
	error = get_ioas(context, &ioas);
	if (error)
		return error;
	ufd_ioas_lock(ioas);
	error = write_info(ufd, ioas, user, &info);
	ufd_ioas_unlock(ioas);
	ufd_object_release(&ioas->object);
	return error ? error : ufd_copy_out(ufd, user, &info, bytes);
}

/* ---- MAP_DMA, UNMAP_DMA ------------------------------------------------------------------ */

static int map_dma(struct ufd_context *context, uint64_t user)
{
	struct vfio_iommu_type1_dma_map arguments = {0};
	const uint32_t known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct ufd *ufd = context->file.ufd;
	struct ufd_ioas *ioas = NULL;
	/* nothing is answered but the result */
	struct ufd_call call = {
		.ufd = ufd, .context = context, .user = user, .arguments = &arguments};

	int error = ufd_copy_in(ufd, &arguments, user, sizeof(arguments));
	if (error)
		return error;
	if (arguments.argsz < sizeof(arguments) || arguments.flags & ~known || !arguments.flags)
		return ufd_refuse(ufd, -EINVAL,
		                  "MAP_DMA: %u bytes, at least %zu; flags %#x, known are 0x3",
		                  arguments.argsz, sizeof(arguments), arguments.flags);
	error = get_ioas(context, &ioas);
	if (error)
		return error;
	uint32_t flags = IOMMU_IOAS_MAP_FIXED_IOVA;
	flags |= arguments.flags & VFIO_DMA_MAP_FLAG_READ ? IOMMU_IOAS_MAP_READABLE : 0;
	flags |= arguments.flags & VFIO_DMA_MAP_FLAG_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0;
	error = ufd_ioas_map_user(&call, ioas, arguments.vaddr, arguments.size, flags,
	                          &arguments.iova);
	ufd_object_release(&ioas->object);
	return error;
}

static int answer_size(void *arg, uint64_t bytes)
{
	const struct ufd_call *call = arg;

	return ufd_copy_out(call->ufd,
	                    call->user + offsetof(struct vfio_iommu_type1_dma_unmap, size), &bytes,
	                    sizeof(bytes));
}

static int unmap_dma(struct ufd_context *context, uint64_t user)
{
	struct vfio_iommu_type1_dma_unmap arguments = {0};
	struct ufd *ufd = context->file.ufd;
	struct ufd_call call = {
		.ufd = ufd, .context = context, .user = user, .arguments = &arguments};
	uint64_t first = 0, last = UINT64_MAX;
	struct ufd_ioas *ioas = NULL;

	int error = ufd_copy_in(ufd, &arguments, user, sizeof(arguments));
	if (error)
		return error;
	if (arguments.argsz < sizeof(arguments) ||
	    arguments.flags & ~(uint32_t)VFIO_DMA_UNMAP_FLAG_ALL)
		return ufd_refuse(ufd, -EINVAL,
		                  "UNMAP_DMA: %u bytes, at least %zu; flags %#x, known is 0x2",
		                  arguments.argsz, sizeof(arguments), arguments.flags);
	error = get_ioas(context, &ioas);
	if (error)
		return error;
	ufd_ioas_lock(ioas);
	bool cut = ioas->small_pages;
	ufd_ioas_unlock(ioas);
	if (arguments.flags) {
		cut = false;
		if (arguments.iova || arguments.size)
			error = -EINVAL;
	} else {
		first = arguments.iova;
		last = first + (arguments.size - 1);
		if (!arguments.size)
			error = -EINVAL;
		else if (last < first)
			error = -EOVERFLOW;
	}
	if (!error)
		error = ufd_ioas_unmap(ioas, first, last, cut, answer_size, &call);
	if (error == -ENOENT && ufd_ioas_is_free(ioas, first, last))
		error = answer_size(&call, 0); /* here, nothing is no error */
	ufd_object_release(&ioas->object);
	return error;
}

int ufd_vfio_ioctl(struct ufd_context *context, uint32_t number, uint64_t user)
{
	switch (number) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(context, user);
	case VFIO_SET_IOMMU:
		return set_iommu(context, user);
	case VFIO_IOMMU_GET_INFO:
		return get_info(context, user);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(context, user);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(context, user);
	default:
		return ufd_refuse(context->file.ufd, -ENOTTY, "command %#x is none of /dev/iommu's",
		                  number);
	}
}
