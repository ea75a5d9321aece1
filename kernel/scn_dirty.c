/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_HWPT_SET_DIRTY_TRACKING and IOMMU_HWPT_GET_DIRTY_BITMAP: which pages have devices
 * written?
 */
#include "iommu/string.h"
#include "kernel/scn_handlers.h"
#include "ufd/iommufd.h"

enum { BITMAP_BITS = 8 * SCN_ABI_DATA };

/* dirty HWPT on|off */
SCN_HANDLER(dirty)
{
	uint32_t hwpt = scn_arg_id(scn, line, 0, result);
	bool on = line->args[1].choice == 0;

	if (result->broken)
		return;
	struct iommu_hwpt_set_dirty_tracking call = {
		.size = sizeof(call),
		.hwpt_id = hwpt,
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
	};
	result->error = scn_call(scn, scn->fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &call, sizeof(call));
}

/* The set bits, as runs of addresses, into the result; as many runs as fit. */
static void bitmap_read(const uint8_t *bits, unsigned count, uint64_t start, uint64_t page,
                        struct scn_result *result)
{
	char runs[160];
	size_t used = 0;

	for (unsigned bit = 0; bit < count; bit++) {
		unsigned first = bit;
		while (bit < count && bits[bit / 8] >> bit % 8 & 1)
			bit++;
		if (bit == first)
			continue;
		result->number += (bit - first) * (page / PAGE_SIZE_4K);
		if (used >= sizeof(runs) - 64)
			continue;
		used += (size_t)iommu_snprintf(runs + used, sizeof(runs) - used, "%s%#llx-%#llx",
		                               used ? ", " : "",
		                               (unsigned long long)(start + first * page),
		                               (unsigned long long)(start + bit * page - 1));
		if (used >= sizeof(runs) - 64)
			used += (size_t)iommu_snprintf(runs + used, sizeof(runs) - used, " ...");
	}
	if (used)
		scn_note(result, "%s", runs);
}

/* dirty-pages HWPT IOVA LEN [no-clear] */
SCN_HANDLER(dirty_pages)
{
	uint32_t hwpt = scn_arg_id(scn, line, 0, result);
	uint64_t at = scn_arg_number(scn, line, 1, 0, result);
	uint64_t bytes = scn_arg_number(scn, line, 2, 0, result);
	uint64_t page = PAGE_SIZE_4K;

	/* One call: the bitmap of a longer range is coarser. */
	while (bytes / page > BITMAP_BITS)
		page *= 2;
	uint8_t *bitmap = scn_alloc(scn, SCN_ABI_DATA);
	if (!bitmap)
		result->error = -ENOMEM;
	else
		memset(bitmap, 0, SCN_ABI_DATA);
	if (bitmap && user_memory_copy_out(scn->platform->memory, scn_call_data(scn), bitmap,
	                                   SCN_ABI_DATA) != 0)
		scn_broken(result, "the bitmap cannot be put into user memory");
	struct iommu_hwpt_get_dirty_bitmap call = {
		.size = sizeof(call),
		.hwpt_id = hwpt,
		.flags = line->args[3].set ? IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR : 0,
		.iova = at,
		.length = bytes,
		.page_size = page,
		.data = scn_call_data(scn),
	};
	if (!result->broken && !result->error)
		result->error =
			scn_call(scn, scn->fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &call, sizeof(call));
	if (!result->broken && !result->error) {
		if (user_memory_copy_in(scn->platform->memory, bitmap, scn_call_data(scn),
		                        SCN_ABI_DATA) != 0) {
			scn_broken(result, "the bitmap cannot be read from user memory");
		} else {
			result->has_value = true;
			bitmap_read(bitmap, (unsigned)(bytes / page), at, page, result);
		}
	}
	if (bitmap)
		scn_free(scn, bitmap, SCN_ABI_DATA);
}
