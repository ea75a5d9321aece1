/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_HWPT_INVALIDATE: the guest tells what it has changed in its stage-1 table.
 */
#include "iommu/string.h"
#include "kernel/scn_handlers.h"
#include "ufd/iommufd.h"

enum { REQUESTS = 3 };

/* invalidate HWPT all|IOVA [LEN] [IOVA LEN] [IOVA LEN] [leaf] [flags FLAGS] [type TYPE]
 * [done COUNT] */
SCN_HANDLER(invalidate)
{
	struct iommu_hwpt_vtd_s1_invalidate requests[REQUESTS];
	uint32_t hwpt = scn_arg_id(scn, line, 0, result);
	uint64_t flags = scn_arg_number(scn, line, 9, 0, result);
	uint64_t type = scn_arg_number(scn, line, 11, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, result);
	uint64_t done = scn_arg_number(scn, line, 13, 0, result);
	uint32_t count = 0;

	if (line->args[7].set)
		flags |= IOMMU_VTD_INV_FLAGS_LEAF;
	if (line->args[1].choice == 0) {
		requests[count++] = (struct iommu_hwpt_vtd_s1_invalidate){.npages = UINT64_MAX};
		if (line->args[2].set)
			scn_broken(result, "all has no length");
	}
	for (unsigned slot = 1; slot < 7; slot += 2) {
		if (!line->args[slot].set || (slot == 1 && line->args[1].choice == 0))
			continue;
		uint64_t at = scn_arg_number(scn, line, slot, 0, result);
		uint64_t bytes = scn_arg_number(scn, line, slot + 1, PAGE_SIZE_4K, result);
		if (!bytes || bytes % PAGE_SIZE_4K)
			scn_broken(result, "%s: whole pages of 4K are invalidated",
			           line->args[slot + 1].text);
		requests[count++] = (struct iommu_hwpt_vtd_s1_invalidate){
			.addr = at, .npages = bytes / PAGE_SIZE_4K};
	}
	if (!result->broken && (flags > UINT32_MAX || type > UINT32_MAX))
		scn_broken(result, "flags and type have 32 bits");
	for (uint32_t i = 0; i < count; i++)
		requests[i].flags = (uint32_t)flags;
	if (!result->broken && user_memory_copy_out(scn->platform->memory, scn_call_data(scn),
	                                            requests, count * sizeof(*requests)) != 0)
		scn_broken(result, "the requests cannot be put into user memory");
	if (result->broken)
		return;
	struct iommu_hwpt_invalidate call = {
		.size = sizeof(call),
		.hwpt_id = hwpt,
		.data_uptr = scn_call_data(scn),
		.data_type = (uint32_t)type,
		.entry_len = sizeof(*requests),
		.entry_num = count,
	};
	result->error = scn_call(scn, scn->fd, IOMMU_HWPT_INVALIDATE, &call, sizeof(call));
	result->has_value = true;
	result->number = call.entry_num;
	if (line->args[13].set && call.entry_num != done)
		scn_broken(result, "%u of %u were done, and %llu should be", call.entry_num, count,
		           (unsigned long long)done);
	else
		scn_note(result, "of %u request%s done", count, count == 1 ? "" : "s");
}
