/* SPDX-License-Identifier: MIT */
/*
 * Commands for what lives in /dev/iommu: IOAS, mappings, HWPT, options. Each makes
 * the call that its name says, with the ABI's structure in user memory.
 *
 * What was mapped is noted as well, as the scenario asked for it: data checks after
 * DMA go by these notes and never by the tables under test.
 */
#include "iommu/string.h"
#include "kernel/scn_handlers.h"
#include "ufd/iommufd.h"

/* ---- notes of mappings ------------------------------------------------------------------ */

struct scn_mapping *scn_mapping_find(struct scn *scn, uint32_t ioas, uint64_t at)
{
	for (struct scn_mapping *mapping = scn->mappings; mapping; mapping = mapping->next)
		if (mapping->ioas == ioas && at >= mapping->iova &&
		    at - mapping->iova < mapping->bytes)
			return mapping;
	return NULL;
}

void scn_mapping_add(struct scn *scn, struct scn_result *result, const struct scn_mapping *mapping)
{
	struct scn_mapping *note = scn_alloc(scn, sizeof(*note));

	if (!note) {
		scn_broken(result, "no memory for the interpreter itself");
		return;
	}
	*note = *mapping;
	note->next = scn->mappings;
	scn->mappings = note;
}

void scn_mapping_forget(struct scn *scn, uint32_t ioas, uint64_t first, uint64_t last)
{
	for (struct scn_mapping **link = &scn->mappings; *link;) {
		struct scn_mapping *mapping = *link;
		if (mapping->ioas == ioas && mapping->iova >= first &&
		    mapping->iova + (mapping->bytes - 1) <= last) {
			*link = mapping->next;
			scn_free(scn, mapping, sizeof(*mapping));
		} else {
			link = &mapping->next;
		}
	}
}

uint32_t scn_ioas_of(struct scn *scn, uint32_t id)
{
	struct ufd_object_info info;

	for (unsigned hops = 0; hops < 4; hops++) { /* a nested HWPT, its parent, the IOAS */
		if (ufd_object_get(scn->platform->ufd, scn->fd, id, &info) != 0)
			return 0;
		if (info.kind == UFD_IOAS)
			return id;
		id = info.ioas_id;
	}
	return 0;
}

/* ---- IOAS ---------------------------------------------------------------------------------- */

/* ioas NAME:IOAS */
SCN_HANDLER(ioas)
{
	struct iommu_ioas_alloc call = {.size = sizeof(call)};

	result->error = scn_call(scn, scn->fd, IOMMU_IOAS_ALLOC, &call, sizeof(call));
	if (result->error)
		return;
	struct scn_object *object = scn_object_add(scn, result, line->args[0].text, SCN_IOAS);
	if (object)
		object->id = call.out_ioas_id;
	scn_note(result, "IOAS with id %u", call.out_ioas_id);
}

/* Of [ro|rw|wo] in @p slot; left out: both. */
static uint32_t rights_of(const struct scn_line *line, unsigned slot)
{
	static const uint32_t rights[] = {IOMMU_READ, IOMMU_READ | IOMMU_WRITE, IOMMU_WRITE};
	return line->args[slot].set ? rights[line->args[slot].choice] : rights[1];
}

static uint32_t map_flags(uint32_t rights, bool fixed)
{
	return (rights & IOMMU_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
	       (rights & IOMMU_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0) |
	       (fixed ? IOMMU_IOAS_MAP_FIXED_IOVA : 0);
}

/* map IOAS any|IOVA BUF [OFF] [LEN] [ro|rw|wo] [-> NAME:number] */
SCN_HANDLER(map)
{
	uint32_t ioas = scn_arg_id(scn, line, 0, result);
	bool any = line->args[1].choice == 0;
	uint64_t at = any ? 0 : scn_arg_number(scn, line, 1, 0, result);
	struct scn_object *buffer = scn_arg_object(scn, line, 2, result);
	uint64_t offset = scn_arg_number(scn, line, 3, 0, result);

	if (result->broken)
		return;
	uint64_t left = offset < buffer->buffer->bytes ? buffer->buffer->bytes - offset : 0;
	uint64_t bytes = scn_arg_number(scn, line, 4, left, result);
	uint32_t rights = rights_of(line, 5);
	if (result->broken)
		return;
	struct iommu_ioas_map call = {
		.size = sizeof(call),
		.flags = map_flags(rights, !any),
		.ioas_id = ioas,
		.user_va = buffer->buffer->start + offset,
		.length = bytes,
		.iova = at,
	};
	result->error = scn_call(scn, scn->fd, IOMMU_IOAS_MAP, &call, sizeof(call));
	if (result->error)
		return;
	struct scn_mapping note = {
		.ioas = ioas,
		.iova = call.iova,
		.bytes = bytes,
		.user = call.user_va,
		.rights = rights,
	};
	scn_mapping_add(scn, result, &note);
	scn_arg_store(scn, line, 7, call.iova, result);
	if (any)
		scn_note(result, "at %#llx", (unsigned long long)call.iova);
}

/* copy IOAS any|IOVA from IOAS IOVA LEN [ro|rw|wo] [-> NAME:number] */
SCN_HANDLER(copy)
{
	uint32_t to = scn_arg_id(scn, line, 0, result);
	bool any = line->args[1].choice == 0;
	uint64_t at = any ? 0 : scn_arg_number(scn, line, 1, 0, result);
	uint32_t from = scn_arg_id(scn, line, 3, result);
	uint64_t source = scn_arg_number(scn, line, 4, 0, result);
	uint64_t bytes = scn_arg_number(scn, line, 5, 0, result);
	uint32_t rights = rights_of(line, 6);

	if (result->broken)
		return;
	struct iommu_ioas_copy call = {
		.size = sizeof(call),
		.flags = map_flags(rights, !any),
		.dst_ioas_id = to,
		.src_ioas_id = from,
		.length = bytes,
		.dst_iova = at,
		.src_iova = source,
	};
	result->error = scn_call(scn, scn->fd, IOMMU_IOAS_COPY, &call, sizeof(call));
	if (result->error)
		return;
	/* the source may be several of our mappings in a row */
	for (uint64_t done = 0; done < bytes;) {
		const struct scn_mapping *mapping = scn_mapping_find(scn, from, source + done);
		if (!mapping) {
			scn_broken(result, "the copy succeeded, though nothing was mapped at %#llx",
			           (unsigned long long)(source + done));
			return;
		}
		uint64_t skip = source + done - mapping->iova;
		uint64_t part = mapping->bytes - skip;
		if (part > bytes - done)
			part = bytes - done;
		struct scn_mapping note = {
			.ioas = to,
			.iova = call.dst_iova + done,
			.bytes = part,
			.user = mapping->user + skip,
			.rights = rights,
		};
		scn_mapping_add(scn, result, &note);
		done += part;
	}
	scn_arg_store(scn, line, 8, call.dst_iova, result);
	if (any)
		scn_note(result, "at %#llx", (unsigned long long)call.dst_iova);
}

/* The queues of attached engines go on working after `unmap IOAS all`. */
static void scratch_restore(struct scn *scn, struct scn_result *result, uint32_t ioas)
{
	for (struct scn_object *device = scn->objects; device; device = device->next) {
		bool mapped;
		if (device->kind != SCN_DEVICE || device->way.ioas != ioas)
			continue;
		int error = scn_scratch_map(scn, device, ioas, &mapped);
		char name[24];
		if (error)
			scn_broken(result, "%s's own memory cannot be mapped again: %s",
			           device->name, scn_errno_text(error, name));
	}
}

/* unmap IOAS all|IOVA [LEN] */
SCN_HANDLER(unmap)
{
	uint32_t ioas = scn_arg_id(scn, line, 0, result);
	bool all = line->args[1].choice == 0;
	uint64_t first = all ? 0 : scn_arg_number(scn, line, 1, 0, result);
	uint64_t bytes = all ? UINT64_MAX : scn_arg_number(scn, line, 2, 0, result);
	char size[24];

	if (!all && !result->broken && !line->args[2].set) { /* the whole mapping there */
		const struct scn_mapping *mapping = scn_mapping_find(scn, ioas, first);
		if (!mapping || mapping->iova != first)
			scn_broken(result, "a length is needed: no mapping starts at %#llx",
			           (unsigned long long)first);
		else
			bytes = mapping->bytes;
	}
	if (result->broken)
		return;
	struct iommu_ioas_unmap call = {
		.size = sizeof(call), .ioas_id = ioas, .iova = first, .length = bytes};
	result->error = scn_call(scn, scn->fd, IOMMU_IOAS_UNMAP, &call, sizeof(call));
	if (result->error)
		return;
	scn_mapping_forget(scn, ioas, first, all ? UINT64_MAX : first + (bytes - 1));
	if (all)
		scratch_restore(scn, result, ioas);
	scn_note(result, "%s unmapped", scn_size_text(call.length, size));
}

/* ranges IOAS */
SCN_HANDLER(ranges)
{
	enum { MOST = SCN_ABI_DATA / sizeof(struct iommu_iova_range) };
	uint32_t ioas = scn_arg_id(scn, line, 0, result);
	struct iommu_iova_range range;

	if (result->broken)
		return;
	struct iommu_ioas_iova_ranges call = {
		.size = sizeof(call),
		.ioas_id = ioas,
		.num_iovas = MOST,
		.allowed_iovas = scn_call_data(scn),
	};
	result->error = scn_call(scn, scn->fd, IOMMU_IOAS_IOVA_RANGES, &call, sizeof(call));
	if (result->error && result->error != -EMSGSIZE)
		return;
	result->has_value = true;
	result->number = call.num_iovas;
	scn_listing(scn);
	for (uint32_t i = 0; i < call.num_iovas && i < MOST; i++) {
		int error =
			user_memory_copy_in(scn->platform->memory, &range,
		                            scn_call_data(scn) + i * sizeof(range), sizeof(range));
		if (error)
			result->error = error;
		iommu_printf(&scn->out.print, "%#18llx - %#llx\n", (unsigned long long)range.start,
		             (unsigned long long)range.last);
	}
	scn_note(result, "range%s, aligned to %#llx", call.num_iovas == 1 ? "" : "s",
	         (unsigned long long)call.out_iova_alignment);
}

/* allow IOAS none|FIRST [LAST] [FIRST LAST] [FIRST LAST] */
SCN_HANDLER(allow)
{
	uint32_t ioas = scn_arg_id(scn, line, 0, result);
	struct iommu_iova_range ranges[3];
	uint32_t count = 0;

	for (unsigned slot = 1; slot < 7 && line->args[1].choice != 0; slot += 2) {
		if (!line->args[slot].set)
			continue;
		ranges[count].start = scn_arg_number(scn, line, slot, 0, result);
		ranges[count].last =
			scn_arg_number(scn, line, slot + 1, ranges[count].start, result);
		count++;
	}
	if (result->broken)
		return;
	int error = user_memory_copy_out(scn->platform->memory, scn_call_data(scn), ranges,
	                                 count * sizeof(*ranges));
	if (error) {
		scn_broken(result, "the ranges cannot be put into user memory");
		return;
	}
	struct iommu_ioas_allow_iovas call = {
		.size = sizeof(call),
		.ioas_id = ioas,
		.num_iovas = count,
		.allowed_iovas = count ? scn_call_data(scn) : 0,
	};
	result->error = scn_call(scn, scn->fd, IOMMU_IOAS_ALLOW_IOVAS, &call, sizeof(call));
}

/* option nest-any|huge-pages|process-accounting on|off [for IOAS] */
SCN_HANDLER(option)
{
	bool on = line->args[1].choice == 0;
	uint32_t ioas = line->args[3].set ? scn_arg_id(scn, line, 3, result) : 0;

	if (result->broken)
		return;
	if (line->args[0].choice == 0) { /* the kernel's own, no call */
		if (ioas)
			scn_broken(result, "nest-any is for all; leave \"for\" out");
		else
			scn->platform->iommu->options.nest_any = on;
		return;
	}
	struct iommu_option call = {
		.size = sizeof(call),
		.option_id = line->args[0].choice == 1 ? IOMMU_OPTION_HUGE_PAGES
	                                               : IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = ioas,
		.val64 = on,
	};
	result->error = scn_call(scn, scn->fd, IOMMU_OPTION, &call, sizeof(call));
}

/* ---- HWPT ------------------------------------------------------------------------------------ */

/* Slots from 10 on: what describes a stage-1 table of the user's. False: none is given, or
 * broken. */
static bool stage1_take(struct scn *scn, const struct scn_line *line, struct scn_result *result,
                        struct iommu_hwpt_vtd_s1 *out)
{
	if (!line->args[10].set) {
		for (unsigned slot = 12; slot <= 16; slot++)
			if (line->args[slot].set)
				scn_broken(result, "%s is of stage-1 tables: name one by stage1",
				           line->args[slot].text);
		return false;
	}
	const struct scn_object *table = scn_arg_object(scn, line, 11, result);
	if (!table)
		return false;
	uint64_t bits = scn_arg_number(scn, line, 13, 9 * table->table.levels + 12, result);
	*out = (struct iommu_hwpt_vtd_s1){
		.flags = (line->args[14].set ? IOMMU_VTD_S1_SRE : 0u) |
	                 (line->args[15].set ? IOMMU_VTD_S1_EAFE : 0u) |
	                 (line->args[16].set ? IOMMU_VTD_S1_WPE : 0u),
		.pgtbl_addr = table->table.at,
		.addr_width = (uint32_t)bits,
	};
	return !result->broken;
}

/* hwpt NAME:HWPT on PT for DEV [nest-parent] [dirty-tracking] [pasid] [flags FLAGS]
 * [stage1 S1] [width BITS] [sre] [eafe] [wpe] [fault-queue QUEUE] */
SCN_HANDLER(hwpt)
{
	uint32_t pt = scn_arg_id(scn, line, 2, result);
	struct scn_object *device = scn_arg_object(scn, line, 4, result);
	uint64_t flags = scn_arg_number(scn, line, 9, 0, result);
	struct iommu_hwpt_vtd_s1 stage1;
	struct scn_object *queue = NULL;
	struct ufd_object_info info;

	if (!result->broken && flags > UINT32_MAX)
		scn_broken(result, "flags have 32 bits");
	bool nested = !result->broken && stage1_take(scn, line, result, &stage1);
	if (nested && user_memory_copy_out(scn->platform->memory, scn_call_data(scn), &stage1,
	                                   sizeof(stage1)) != 0)
		scn_broken(result, "the description cannot be put into user memory");
	if (line->args[17].set)
		queue = scn_arg_object(scn, line, 18, result);
	if (result->broken)
		return;
	if (line->args[5].set)
		flags |= IOMMU_HWPT_ALLOC_NEST_PARENT;
	if (line->args[6].set)
		flags |= IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	if (line->args[7].set)
		flags |= IOMMU_HWPT_ALLOC_PASID;
	if (queue)
		flags |= IOMMU_HWPT_FAULT_ID_VALID;
	struct iommu_hwpt_alloc call = {
		.size = sizeof(call),
		.flags = (uint32_t)flags,
		.dev_id = device->id,
		.pt_id = pt,
		.data_type = nested ? IOMMU_HWPT_DATA_VTD_S1 : IOMMU_HWPT_DATA_NONE,
		.data_len = nested ? sizeof(stage1) : 0,
		.data_uptr = nested ? scn_call_data(scn) : 0,
		.fault_id = queue ? queue->id : 0,
	};
	result->error = scn_call(scn, scn->fd, IOMMU_HWPT_ALLOC, &call, sizeof(call));
	if (result->error)
		return;
	struct scn_object *object = scn_object_add(scn, result, line->args[0].text, SCN_HWPT);
	if (object) {
		object->id = call.out_hwpt_id;
		if (nested) /* tables of a scenario live as long as it */
			object->stage1 = scn_arg_object(scn, line, 11, result);
	}
	int error = ufd_object_get(scn->platform->ufd, scn->fd, call.out_hwpt_id, &info);
	if (error || !info.domain)
		scn_broken(result, "the call succeeded, but id %u is no HWPT", call.out_hwpt_id);
	else
		scn_note(result, "HWPT with id %u", call.out_hwpt_id);
}

/* destroy OBJ */
SCN_HANDLER(destroy)
{
	uint32_t id = scn_arg_id(scn, line, 0, result);

	if (result->broken)
		return;
	struct scn_object *object =
		scn_object_by_id(scn, id, 1u << SCN_IOAS | 1u << SCN_HWPT | 1u << SCN_FAULT_QUEUE);
	if (object && object->kind == SCN_FAULT_QUEUE) /* else its descriptor keeps it busy */
		scn_fault_queue_close(scn, object);
	struct iommu_destroy call = {.size = sizeof(call), .id = id};
	result->error = scn_call(scn, scn->fd, IOMMU_DESTROY, &call, sizeof(call));
	if (result->error)
		return;
	if (!object)
		return;
	if (object->kind == SCN_IOAS)
		scn_mapping_forget(scn, id, 0, UINT64_MAX);
	scn_object_remove(scn, object);
}
