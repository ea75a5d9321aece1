/* SPDX-License-Identifier: MIT */
/*
 * Commands that look and change nothing: formats, page sizes, walks, whole tables,
 * units, devices, faults. They read the core's objects, not the hardware's state,
 * except where they say so.
 */
#include "iommu/string.h"
#include "kernel/scn_handlers.h"

static const char *stage_name(enum iommu_stage stage)
{
	switch (stage) {
	case IOMMU_STAGE_BLOCKED:
		return "blocked";
	case IOMMU_STAGE_IDENTITY:
		return "identity";
	case IOMMU_STAGE_FIRST:
		return "first-stage";
	case IOMMU_STAGE_SECOND:
		return "second-stage";
	case IOMMU_STAGE_NESTED:
		return "nested";
	}
	return "unknown";
}

/* The domain of a HWPT, or the one that a device uses now. NULL: broken. */
static struct iommu_domain *domain_of(struct scn *scn, const struct scn_line *line, unsigned slot,
                                      struct scn_result *result)
{
	struct ufd_object_info info;

	if (!line->args[slot].is_number) {
		struct scn_object *object = scn_arg_object(scn, line, slot, result);
		if (!object)
			return NULL;
		if (object->kind == SCN_DEVICE) {
			if (!object->device->domain)
				scn_broken(result, "%s is blocked: it has no domain", object->name);
			return object->device->domain;
		}
	}
	uint32_t id = scn_arg_id(scn, line, slot, result);
	if (result->broken)
		return NULL;
	result->error = ufd_object_get(scn->platform->ufd, scn->fd, id, &info);
	if (!result->error && !info.domain)
		scn_broken(result, "object %u is a %s, and has no table", id,
		           ufd_kind_name(info.kind));
	return result->error ? NULL : info.domain;
}

/* format TABLE */
SCN_HANDLER(format)
{
	const struct iommu_domain *domain = domain_of(scn, line, 0, result);

	if (!domain)
		return;
	result->has_value = true;
	result->word = stage_name(domain->stage);
	scn_note(result, "%s%s%s", domain->format,
	         domain->flags & IOMMU_ALLOC_NEST_PARENT ? ", nest parent" : "",
	         domain->not_nestable ? ", NOT NESTABLE by this hardware" : "");
}

/* nestable TABLE */
SCN_HANDLER(nestable)
{
	const struct iommu_domain *domain = domain_of(scn, line, 0, result);

	if (!domain)
		return;
	result->has_value = true;
	result->word =
		domain->flags & IOMMU_ALLOC_NEST_PARENT && !domain->not_nestable ? "yes" : "no";
	if (domain->not_nestable)
		scn_note(result, "marked: this hardware cannot nest");
}

static bool leaf_of(struct scn *scn, const struct scn_line *line, struct scn_result *result,
                    struct iommu_leaf *leaf)
{
	struct iommu_domain *domain = domain_of(scn, line, 0, result);
	uint64_t at = scn_arg_number(scn, line, 1, 0, result);

	if (!domain || result->broken)
		return false;
	if (!domain->ops->lookup) {
		scn_broken(result, "a %s domain has no table", stage_name(domain->stage));
		return false;
	}
	return domain->ops->lookup(domain, iova(at), leaf);
}

/* page-size TABLE IOVA */
SCN_HANDLER(page_size)
{
	struct iommu_leaf leaf;
	bool found = leaf_of(scn, line, result, &leaf);

	if (result->broken || result->error)
		return;
	result->has_value = true;
	result->word = found ? NULL : "none";
	result->number = found ? leaf.bytes : 0;
	result->size = true;
	if (found)
		scn_note(result, "entry %#llx at %#llx", (unsigned long long)leaf.entry,
		         (unsigned long long)leaf.entry_pa.value);
}

/* rights TABLE IOVA */
SCN_HANDLER(rights)
{
	struct iommu_leaf leaf;
	bool found = leaf_of(scn, line, result, &leaf);

	if (result->broken || result->error)
		return;
	uint32_t rights = found ? leaf.rights & (IOMMU_READ | IOMMU_WRITE) : 0;
	result->has_value = true;
	result->word = rights == (IOMMU_READ | IOMMU_WRITE) ? "rw"
	               : rights == IOMMU_READ               ? "ro"
	               : rights == IOMMU_WRITE              ? "wo"
	                                                    : "none";
}

/* walk DEV IOVA [read|write] [pasid PASID] */
SCN_HANDLER(walk)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);
	uint64_t at = scn_arg_number(scn, line, 1, 0, result);
	uint32_t access = line->args[2].set && line->args[2].choice == 1 ? IOMMU_WRITE : IOMMU_READ;
	uint64_t pasid = scn_arg_number(scn, line, 4, IOMMU_NO_PASID, result);

	if (!result->broken && line->args[4].set && pasid > 0xfffff)
		scn_broken(result, "a PASID has 20 bits");
	if (result->broken)
		return;
	struct iommu_unit *unit = device->device->unit;
	if (!unit->ops->walk) {
		scn_broken(result, "%s cannot be walked", unit->name);
		return;
	}
	struct iommu_walk *walk = scn_alloc(scn, sizeof(*walk));
	if (!walk) {
		scn_broken(result, "no memory for the interpreter itself");
		return;
	}
	unit->ops->walk(unit, device->device->desc.rid, (uint32_t)pasid, iova(at), access, walk);
	scn_listing(scn);
	iommu_walk_print(walk, &scn->out.print, "");
	result->has_value = line->expect.count > 0;
	result->word = walk->translated ? "translated" : "blocked";
	scn_free(scn, walk, sizeof(*walk));
}

/* ---- whole tables ----------------------------------------------------------------------------- */

struct run_of_leaves {
	struct iommu_print *to;
	struct iommu_leaf first;
	uint64_t bytes, leaves;
	uint64_t runs, total;
};

static void run_print(const struct run_of_leaves *run)
{
	char size[24], page[24];

	if (!run->leaves)
		return;
	iommu_printf(run->to, "%#14llx - %#14llx -> %#14llx  %s%s  %s: %llu x %s\n",
	             (unsigned long long)run->first.iova.value,
	             (unsigned long long)(run->first.iova.value + (run->bytes - 1)),
	             (unsigned long long)run->first.pa.value,
	             run->first.rights & IOMMU_READ ? "r" : "-",
	             run->first.rights & IOMMU_WRITE ? "w" : "-", scn_size_text(run->bytes, size),
	             (unsigned long long)run->leaves, scn_size_text(run->first.bytes, page));
}

static bool leaf_visit(void *arg, const struct iommu_leaf *leaf)
{
	struct run_of_leaves *run = arg;

	run->total++;
	if (run->leaves && leaf->bytes == run->first.bytes && leaf->rights == run->first.rights &&
	    leaf->iova.value == run->first.iova.value + run->bytes &&
	    leaf->pa.value == run->first.pa.value + run->bytes) {
		run->bytes += leaf->bytes;
		run->leaves++;
		return true;
	}
	run_print(run);
	run->runs++;
	run->first = *leaf;
	run->bytes = leaf->bytes;
	run->leaves = 1;
	return true;
}

/* tables TABLE */
SCN_HANDLER(tables)
{
	struct iommu_domain *domain = domain_of(scn, line, 0, result);
	struct run_of_leaves run = {.to = &scn->out.print};

	if (!domain)
		return;
	scn_listing(scn);
	iommu_printf(run.to, "%s: %s, %#llx - %#llx\n", stage_name(domain->stage), domain->format,
	             (unsigned long long)domain->first.value,
	             (unsigned long long)domain->last.value);
	if (domain->ops->visit)
		domain->ops->visit(domain, domain->first, domain->last, leaf_visit, &run);
	run_print(&run);
	iommu_printf(run.to, "%llu pages in %llu runs\n", (unsigned long long)run.total,
	             (unsigned long long)run.runs);
}

/* ---- the machine -------------------------------------------------------------------------------- */

/* units */
SCN_HANDLER(units)
{
	struct iommu *iommu = scn->platform->iommu;

	(void)line, (void)result;
	scn_listing(scn);
	if (!iommu->units)
		iommu_printf(&scn->out.print, "no IOMMU: no unit was found\n");
	for (struct iommu_unit *unit = iommu->units; unit; unit = unit->next) {
		unsigned devices = 0;
		for (struct iommu_device *device = iommu->devices; device; device = device->next)
			devices += device->unit == unit;
		iommu_printf(&scn->out.print, "%-8s segment %04x, %s%s, %u devices\n", unit->name,
		             unit->segment, unit->enabled ? "translating" : "off",
		             unit->mode == IOMMU_MODE_SCALABLE ? ", scalable mode"
		             : unit->mode == IOMMU_MODE_LEGACY ? ", legacy mode"
		                                               : "",
		             devices);
	}
}

/* caps */
SCN_HANDLER(caps)
{
	(void)line, (void)result;
	scn_listing(scn);
	for (struct iommu_unit *unit = scn->platform->iommu->units; unit; unit = unit->next)
		if (unit->ops->describe)
			unit->ops->describe(unit, &scn->out.print);
}

/* stats */
SCN_HANDLER(stats)
{
	(void)line, (void)result;
	scn_listing(scn);
	for (struct iommu_unit *unit = scn->platform->iommu->units; unit; unit = unit->next)
		if (unit->ops->describe_stats)
			unit->ops->describe_stats(unit, &scn->out.print);
}

/* devices */
SCN_HANDLER(devices)
{
	const struct scn_platform *platform = scn->platform;

	(void)line, (void)result;
	scn_listing(scn);
	if (platform->show_devices) {
		platform->show_devices(platform->ctx, &scn->out.print);
		return;
	}
	for (struct iommu_device *device = platform->iommu->devices; device; device = device->next)
		iommu_printf(&scn->out.print, "%-10s %04x:%02x:%02x.%u  group %u, %s, %s\n",
		             device->desc.name, device->desc.segment, RID_BUS(device->desc.rid),
		             RID_DEVICE(device->desc.rid), RID_FUNCTION(device->desc.rid),
		             device->group ? device->group->id : 0,
		             device->unit ? device->unit->name : "no unit",
		             device->domain ? stage_name(device->domain->stage) : "blocked");
}

/* groups */
SCN_HANDLER(groups)
{
	(void)line, (void)result;
	scn_listing(scn);
	for (struct iommu_group *group = scn->platform->iommu->groups; group; group = group->next) {
		iommu_printf(&scn->out.print, "group %-4u %-9s %-12s:", group->id,
		             group->owner ? "owned" : "free",
		             group->domain ? stage_name(group->domain->stage) : "blocked");
		for (struct iommu_device *device = group->devices; device;
		     device = device->next_in_group)
			iommu_printf(&scn->out.print, " %s", device->desc.name);
		iommu_printf(&scn->out.print, "\n");
	}
}

/* engines */
SCN_HANDLER(engines)
{
	struct dma_engine *engine = NULL;
	char size[24];

	(void)line, (void)result;
	scn_listing(scn);
	if (!scn_engine_next(scn->platform, NULL, true))
		iommu_printf(&scn->out.print, "no device behind a unit can be told to make DMA\n");
	while ((engine = scn_engine_next(scn->platform, engine, true))) {
		const struct dma_engine_ops *ops = engine->ops;
		const struct iommu_device *device = engine->pci->iommu;
		iommu_printf(&scn->out.print, "%-12s %-12s %-8s %s at a time:%s%s%s%s\n", ops->name,
		             device->desc.name, device->unit->name,
		             scn_size_text(ops->max_bytes, size),
		             ops->abilities & DMA_CAN_COPY ? " copy" : "",
		             ops->abilities & DMA_CAN_FETCH ? " fetch" : "",
		             ops->abilities & DMA_CAN_STORE ? " store" : "",
		             ops->abilities & DMA_IS_FAST ? " fast" : "");
	}
}

static const char *name_of_id(struct scn *scn, uint32_t id)
{
	const struct scn_object *object = scn_object_by_id(
		scn, id,
		1u << SCN_IOAS | 1u << SCN_HWPT | 1u << SCN_DEVICE | 1u << SCN_FAULT_QUEUE);
	return object ? object->name : "-";
}

/* objects */
SCN_HANDLER(objects)
{
	struct iommu_print *to = &scn->out.print;
	struct ufd_object_info info;
	char size[24];

	(void)line, (void)result;
	scn_listing(scn);
	for (uint32_t from = 1; ufd_object_next(scn->platform->ufd, scn->fd, from, &info) == 0;
	     from = info.id + 1) {
		iommu_printf(to, "%4u %-12s %-14s %u user%s", info.id, ufd_kind_name(info.kind),
		             name_of_id(scn, info.id), info.users, info.users == 1 ? "" : "s");
		if (info.kind == UFD_IOAS)
			iommu_printf(to, ", %llu mappings, %s", (unsigned long long)info.areas,
			             scn_size_text(info.mapped_bytes, size));
		if (info.domain)
			iommu_printf(to, ", %s%s%s", info.domain->format,
			             info.domain->flags & IOMMU_ALLOC_NEST_PARENT ? ", nest parent"
			                                                          : "",
			             info.automatic ? ", made by attach" : "");
		if (info.device)
			iommu_printf(to, ", %s", info.device->desc.name);
		iommu_printf(to, "\n");
		if (info.id == UINT32_MAX)
			break;
	}
	for (struct scn_object *object = scn->objects; object; object = object->next) {
		if (object->kind == SCN_BUFFER)
			iommu_printf(
				to, "   - buffer       %-14s %s at user %#llx, %llu pages pinned\n",
				object->name, scn_size_text(object->buffer->bytes, size),
				(unsigned long long)object->buffer->start,
				(unsigned long long)user_buffer_pinned(scn->platform->memory,
			                                               object->buffer));
		else if (object->kind == SCN_STAGE1)
			iommu_printf(to, "   - stage-1 table %-13s %u levels, root at %#llx\n",
			             object->name, object->table.levels,
			             (unsigned long long)object->table.at);
		else if (object->kind == SCN_NUMBER)
			iommu_printf(to, "   - number       %-14s %#llx\n", object->name,
			             (unsigned long long)object->number);
	}
}

/* faults [DEV] */
SCN_HANDLER(faults)
{
	struct iommu *iommu = scn->platform->iommu;
	struct iommu_fault fault;
	const struct scn_object *device = NULL;

	if (line->args[0].set) {
		device = scn_arg_object(scn, line, 0, result);
		if (!device)
			return;
	}
	iommu_poll(iommu);
	result->has_value = true;
	result->number =
		device ? device->device->faults - device->faults_before : iommu->fault_count;
	scn_note(result, "%s", device ? "since it was opened" : "since the start");
	if (line->expect.count) /* the number alone is asked for */
		return;
	scn_listing(scn);
	uint64_t from = iommu->fault_count > 8 ? iommu->fault_count - 8 : 0;
	for (uint64_t at = from + 1; at <= iommu->fault_count; at++) {
		if (!iommu_fault_get(iommu, at, &fault) ||
		    (device && fault.device != device->device))
			continue;
		iommu_fault_print(&fault, &scn->out.print);
	}
}

/* memory */
SCN_HANDLER(memory)
{
	const struct scn_platform *platform = scn->platform;
	char size[24];

	(void)line, (void)result;
	scn_listing(scn);
	if (platform->show_memory)
		platform->show_memory(platform->ctx, &scn->out.print);
	for (struct user_buffer *buffer = platform->memory->buffers; buffer; buffer = buffer->next)
		iommu_printf(&scn->out.print, "user %#12llx %6s %-14s %s, %llu pages pinned\n",
		             (unsigned long long)buffer->start, scn_size_text(buffer->bytes, size),
		             buffer->name, buffer->scattered ? "scattered" : "contiguous",
		             (unsigned long long)user_buffer_pinned(platform->memory, buffer));
}

/* ---- talk ------------------------------------------------------------------------------------------ */

/* say [TEXT] */
SCN_HANDLER(say)
{
	(void)result;
	iommu_printf(&scn->out.print, "%s\n", line->args[0].set ? line->args[0].text : "");
}

/* wait MS */
SCN_HANDLER(wait)
{
	const struct scn_platform *platform = scn->platform;
	uint64_t ms = scn_arg_number(scn, line, 0, 0, result);

	if (!result->broken && ms > 60000)
		scn_broken(result, "a minute is the most");
	if (result->broken)
		return;
	uint64_t start = platform->now_ns(platform->ctx);
	while (platform->now_ns(platform->ctx) - start < ms * 1000000) {
		platform->wait(platform->ctx);
		ufd_flush_deferred(platform->ufd);
	}
}

/* step and need: the runner's own */
SCN_HANDLER(nothing)
{
	(void)scn, (void)line, (void)result;
}
