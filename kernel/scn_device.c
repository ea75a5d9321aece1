/* SPDX-License-Identifier: MIT */
/*
 * Commands for devices: opening by role, attaching, replacing, passing through.
 *
 * An engine with queues of its own needs memory that it can reach. The interpreter
 * maps it in every IOAS that the device is attached to, at SCN_SCRATCH_IOVA and up,
 * before the attachment, and tells the engine after it.
 */
#include "iommu/string.h"
#include "kernel/scn_handlers.h"
#include "ufd/iommufd.h"
#include "ufd/vfio.h"

/* ---- opening -------------------------------------------------------------------------------- */

static bool engine_in_use(struct scn *scn, const struct dma_engine *engine)
{
	for (struct scn_object *object = scn->objects; object; object = object->next)
		if (object->kind == SCN_DEVICE && object->engine == engine)
			return true;
	return false;
}

static struct dma_engine *engine_find(struct scn *scn, unsigned abilities, const char *name)
{
	struct dma_engine *engine = NULL;

	while ((engine = scn_engine_next(scn->platform, engine, name)))
		if (!engine_in_use(scn, engine) &&
		    (engine->ops->abilities & abilities) == abilities &&
		    (!name || scn_same(engine->ops->name, name)))
			break;
	return engine;
}

/* Open the device's descriptor and bind it: fd and id. */
static int device_bind(struct scn *scn, struct scn_object *device)
{
	int fd = ufd_open_device(scn->platform->ufd, device->device);
	if (fd < 0)
		return fd;
	struct vfio_device_bind_iommufd call = {.argsz = sizeof(call), .iommufd = scn->fd};
	int error = scn_call(scn, fd, VFIO_DEVICE_BIND_IOMMUFD, &call, sizeof(call));
	if (error) {
		ufd_close(scn->platform->ufd, fd);
		return error;
	}
	device->fd = fd;
	device->id = call.out_devid;
	return 0;
}

static void device_unbind(struct scn *scn, struct scn_object *device)
{
	if (device->fd >= 0)
		ufd_close(scn->platform->ufd, device->fd);
	device->fd = -1;
	device->id = 0;
	device->way = (struct scn_way){0};
	device->pending.active = false;
	device->fetched_bytes = 0;
}

/* device NAME:device [any] [copy] [fetch] [store] [fast] [pasid] [ats] [pages] [named ENGINE] */
SCN_HANDLER(device)
{
	static const unsigned abilities[] = {
		0,           DMA_CAN_COPY,  DMA_CAN_FETCH, DMA_CAN_STORE,
		DMA_IS_FAST, DMA_CAN_PASID, DMA_CAN_ATS,   DMA_CAN_PRI};
	const char *name = line->args[10].set ? line->args[10].text : NULL;
	struct dma_engine *engine;
	unsigned wanted = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(abilities); i++)
		if (line->args[1 + i].set)
			wanted |= abilities[i];
	engine = engine_find(scn, wanted, name);
	if (!engine) {
		scn_broken(result, "no free DMA engine %s%s%s that is behind an IOMMU",
		           name ? "named " : "with these abilities", name ? name : "",
		           name && wanted ? " with these abilities" : "");
		return;
	}
	struct scn_object *device = scn_object_add(scn, result, line->args[0].text, SCN_DEVICE);
	if (!device)
		return;
	device->engine = engine;
	device->device = engine->pci->iommu;
	device->faults_before = device->device->faults;
	device->fetched = scn_alloc(scn, engine->ops->max_bytes);
	device->scratch_iova = SCN_SCRATCH_IOVA + scn->devices_opened * SCN_SCRATCH_BYTES;
	if (!device->fetched)
		scn_broken(result, "no memory for the interpreter itself");
	else
		result->error = device_bind(scn, device);
	if (result->error || result->broken) {
		scn_object_remove(scn, device);
		return;
	}
	scn->devices_opened++;
	scn_note(result, "%s %s at %s, id %u", engine->ops->name, device->device->desc.name,
	         device->device->unit->name, device->id);
}

static void passthrough_end(struct scn_object *device)
{
	if (!device->identity)
		return;
	iommu_detach(device->device->group);
	iommu_group_release(device->device->group, device);
	(void)!iommu_domain_free(device->identity); /* attached nowhere now */
	device->identity = NULL;
}

void scn_pasids_forget(struct scn *scn, struct scn_object *device)
{
	while (device->pasids) {
		struct scn_pasid *gone = device->pasids;
		device->pasids = gone->next;
		scn_free(scn, gone, sizeof(*gone));
	}
}

void scn_device_close(struct scn *scn, struct scn_object *device)
{
	passthrough_end(device);
	device_unbind(scn, device);
	scn_pasids_forget(scn, device);
}

/* close DEV */
SCN_HANDLER(close)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);

	if (!device)
		return;
	scn_device_close(scn, device);
	if (device->scratch) {
		/* its mappings may outlive the device: they are the IOAS's */
		struct scn_mapping *mapping = scn->mappings;
		while (mapping && !(mapping->scratch && mapping->user == device->scratch->start))
			mapping = mapping->next;
		while (mapping) {
			struct iommu_ioas_unmap call = {.size = sizeof(call),
			                                .ioas_id = mapping->ioas,
			                                .iova = mapping->iova,
			                                .length = mapping->bytes};
			int error = scn_call(scn, scn->fd, IOMMU_IOAS_UNMAP, &call, sizeof(call));
			if (error) {
				scn_broken(result, "its own memory cannot be unmapped");
				return;
			}
			scn_mapping_forget(scn, mapping->ioas, mapping->iova,
			                   mapping->iova + (mapping->bytes - 1));
			mapping = scn->mappings;
			while (mapping &&
			       !(mapping->scratch && mapping->user == device->scratch->start))
				mapping = mapping->next;
		}
		if (user_buffer_destroy(scn->platform->memory, device->scratch) != 0) {
			scn_broken(result, "its own memory is still pinned");
			return;
		}
	}
	scn_object_remove(scn, device);
}

/* ---- scratch memory of engines -------------------------------------------------------------- */

static int scratch_make(struct scn *scn, struct scn_object *device)
{
	char name[USER_NAME_MAX];

	if (device->scratch)
		return 0;
	iommu_snprintf(name, sizeof(name), ".%s", device->name);
	return user_buffer_create(scn->platform->memory, name, device->engine->ops->scratch_bytes,
	                          0, 0, &device->scratch);
}

int scn_scratch_map(struct scn *scn, struct scn_object *device, uint32_t ioas, bool *mapped)
{
	struct scn_result unused = {0};

	*mapped = false;
	if (!device->engine->ops->scratch_bytes)
		return 0;
	int error = scratch_make(scn, device);
	if (error)
		return error;
	const struct scn_mapping *mapping = scn_mapping_find(scn, ioas, device->scratch_iova);
	if (mapping && mapping->scratch && mapping->user == device->scratch->start)
		return 0;
	struct iommu_ioas_map call = {
		.size = sizeof(call),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
	                 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = device->scratch->start,
		.length = device->scratch->bytes,
		.iova = device->scratch_iova,
	};
	error = scn_call(scn, scn->fd, IOMMU_IOAS_MAP, &call, sizeof(call));
	if (error)
		return error;
	struct scn_mapping note = {
		.ioas = ioas,
		.iova = call.iova,
		.bytes = call.length,
		.user = call.user_va,
		.rights = IOMMU_READ | IOMMU_WRITE,
		.scratch = true,
	};
	scn_mapping_add(scn, &unused, &note);
	*mapped = true;
	return unused.broken ? -ENOMEM : 0;
}

static void scratch_unmap(struct scn *scn, struct scn_object *device, uint32_t ioas)
{
	struct iommu_ioas_unmap call = {
		.size = sizeof(call),
		.ioas_id = ioas,
		.iova = device->scratch_iova,
		.length = device->scratch->bytes,
	};
	if (scn_call(scn, scn->fd, IOMMU_IOAS_UNMAP, &call, sizeof(call)) == 0)
		scn_mapping_forget(scn, ioas, call.iova, call.iova + (device->scratch->bytes - 1));
}

/* The device's way to memory has changed: tell the engine where its own memory is. */
static void engine_setup(struct scn *scn, struct scn_object *device, uint64_t at,
                         struct scn_result *result)
{
	char name[24];
	uint64_t bytes = device->engine->ops->scratch_bytes;

	if (!device->engine->ops->setup)
		return;
	void *scratch = user_memory_at(scn->platform->memory, device->scratch->start, &bytes);
	if (!scratch || bytes < device->engine->ops->scratch_bytes) {
		scn_broken(result, "its own memory is not contiguous");
		return;
	}
	int error = device->engine->ops->setup(device->engine, iova(at), scratch);
	if (error)
		scn_broken(result, "attached, but %s cannot be set up: %s",
		           device->engine->ops->name, scn_errno_text(error, name));
}

/* ---- attaching ----------------------------------------------------------------------------- */

/* PASID in @p slot behind "pasid" in the one before. False: none, or broken. */
static bool pasid_take(struct scn *scn, const struct scn_line *line, unsigned slot,
                       struct scn_result *result, uint32_t *pasid)
{
	uint64_t value = scn_arg_number(scn, line, slot, 0, result);

	*pasid = (uint32_t)value;
	if (value > UINT32_MAX)
		scn_broken(result, "a PASID has 20 bits, and the call has room for 32");
	return line->args[slot].set && !result->broken;
}

/* The device's note of @p pasid, made if it is not there. NULL: no memory, broken. */
static struct scn_pasid *pasid_note(struct scn *scn, struct scn_object *device, uint32_t pasid,
                                    struct scn_result *result)
{
	struct scn_pasid *at = device->pasids;

	while (at && at->pasid != pasid)
		at = at->next;
	if (at)
		return at;
	at = scn_alloc(scn, sizeof(*at));
	if (!at) {
		scn_broken(result, "no memory for the interpreter itself");
		return NULL;
	}
	at->pasid = pasid;
	at->next = device->pasids;
	device->pasids = at;
	return at;
}

static void pasid_forget(struct scn *scn, struct scn_object *device, uint32_t pasid)
{
	for (struct scn_pasid **link = &device->pasids; *link; link = &(*link)->next) {
		struct scn_pasid *at = *link;
		if (at->pasid == pasid) {
			*link = at->next;
			scn_free(scn, at, sizeof(*at));
			return;
		}
	}
}

static struct scn_way way_to(struct scn *scn, uint32_t pt)
{
	const struct scn_object *hwpt = scn_object_by_id(scn, pt, 1u << SCN_HWPT);

	return (struct scn_way){
		.attached = pt,
		.ioas = scn_ioas_of(scn, pt),
		.stage1 = hwpt ? hwpt->stage1 : NULL,
	};
}

/* A PASID's own table: the device's queues do not come this way. */
static void attach_pasid(struct scn *scn, struct scn_object *device, uint32_t pt, uint32_t pasid,
                         struct scn_result *result)
{
	struct vfio_device_attach_iommufd_pt call = {
		.argsz = sizeof(call),
		.flags = VFIO_DEVICE_ATTACH_PASID,
		.pt_id = pt,
		.pasid = pasid,
	};
	result->error =
		scn_call(scn, device->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &call, sizeof(call));
	if (result->error)
		return;
	struct scn_pasid *note = pasid_note(scn, device, pasid, result);
	if (note)
		note->way = way_to(scn, pt);
}

static void attach(struct scn *scn, const struct scn_line *line, struct scn_result *result)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);
	uint32_t pt = scn_arg_id(scn, line, 1, result);
	bool mapped = false;
	uint32_t pasid;
	char name[24];

	if (!result->broken && device->fd < 0)
		scn_broken(result, "%s is passed through; passthrough %s off comes first",
		           device->name, device->name);
	bool with_pasid = !result->broken && pasid_take(scn, line, 3, result, &pasid);
	if (result->broken)
		return;
	if (with_pasid) {
		attach_pasid(scn, device, pt, pasid, result);
		return;
	}
	const struct scn_way way = way_to(scn, pt);
	uint32_t ioas = way.ioas;
	if (way.stage1 && device->engine->ops->scratch_bytes) {
		scn_broken(result, "%s has queues of its own, which no stage-1 table maps",
		           device->engine->ops->name);
		return;
	}
	if (ioas) {
		int error = scn_scratch_map(scn, device, ioas, &mapped);
		if (error) {
			scn_broken(result, "%s's own memory cannot be mapped at %#llx: %s",
			           device->engine->ops->name,
			           (unsigned long long)device->scratch_iova,
			           scn_errno_text(error, name));
			return;
		}
	}
	struct vfio_device_attach_iommufd_pt call = {.argsz = sizeof(call), .pt_id = pt};
	result->error =
		scn_call(scn, device->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &call, sizeof(call));
	if (result->error) {
		if (mapped)
			scratch_unmap(scn, device, ioas);
		return;
	}
	device->way = way;
	engine_setup(scn, device, device->scratch_iova, result);
	if (call.pt_id != pt)
		scn_note(result, "by HWPT %u", call.pt_id);
}

/* attach DEV PT [pasid PASID] */
SCN_HANDLER(attach)
{
	attach(scn, line, result);
}

/* replace DEV PT [pasid PASID] */
SCN_HANDLER(replace)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);

	uint32_t pasid;
	bool with_pasid = device && pasid_take(scn, line, 3, result, &pasid);
	if (with_pasid && !scn_way_of(device, true, pasid).attached)
		scn_broken(result, "PASID %#x of %s is attached to nothing: use attach", pasid,
		           device->name);
	else if (device && !with_pasid && !device->way.attached)
		scn_broken(result, "%s is attached to nothing: use attach", device->name);
	if (!result->broken)
		attach(scn, line, result);
}

/* detach DEV [pasid PASID] */
SCN_HANDLER(detach)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);

	uint32_t pasid = 0;

	if (!device)
		return;
	bool with_pasid = pasid_take(scn, line, 2, result, &pasid);
	if (result->broken)
		return;
	struct vfio_device_detach_iommufd_pt call = {
		.argsz = sizeof(call),
		.flags = with_pasid ? VFIO_DEVICE_DETACH_PASID : 0,
		.pasid = pasid,
	};
	result->error =
		scn_call(scn, device->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &call, sizeof(call));
	if (result->error)
		return;
	if (with_pasid)
		pasid_forget(scn, device, pasid);
	else
		device->way = (struct scn_way){0};
}

/* passthrough DEV on|off */
SCN_HANDLER(passthrough)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);
	struct iommu_domain *domain;
	pa_t scratch = pa(0);

	if (!device)
		return;
	if (line->args[1].choice != 0) { /* off: back to iommufd, blocked */
		passthrough_end(device);
		if (device->fd < 0)
			result->error = device_bind(scn, device);
		return;
	}
	if (device->identity)
		return;
	if (device->engine->ops->scratch_bytes &&
	    (scratch_make(scn, device) != 0 ||
	     user_memory_physical(scn->platform->memory, device->scratch->start, &scratch) != 0)) {
		scn_broken(result, "no memory for the engine's queues");
		return;
	}
	/* iommufd has no call for this: the device leaves it, and the core is asked */
	device_unbind(scn, device);
	struct iommu_group *group = device->device->group;
	result->error = iommu_group_claim(group, device);
	if (result->error)
		return;
	result->error = iommu_domain_alloc_identity(device->device, &domain);
	if (!result->error) {
		result->error = iommu_attach(group, domain);
		if (result->error)
			(void)!iommu_domain_free(domain);
	}
	if (result->error) {
		iommu_group_release(group, device);
		if (device_bind(scn, device) != 0)
			scn_broken(result, "and the device cannot be bound again");
		return;
	}
	device->identity = domain;
	engine_setup(scn, device, scratch.value, result);
}

/* ---- hardware information ------------------------------------------------------------------ */

/* info DEV */
SCN_HANDLER(info)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);
	struct iommu_hw_info_vtd data = {0};
	struct iommu_print *to = &scn->out.print;

	if (!device)
		return;
	struct iommu_hw_info call = {
		.size = sizeof(call),
		.dev_id = device->id,
		.data_len = sizeof(data),
		.data_uptr = scn_call_data(scn),
	};
	result->error = scn_call(scn, scn->fd, IOMMU_GET_HW_INFO, &call, sizeof(call));
	if (result->error)
		return;
	scn_listing(scn);
	iommu_printf(to, "type %u (%s), %u bytes, capabilities %#llx%s\n", call.out_data_type,
	             call.out_data_type == IOMMU_HW_INFO_TYPE_INTEL_VTD ? "Intel VT-d"
	             : call.out_data_type == IOMMU_HW_INFO_TYPE_NONE    ? "none"
	                                                                : "other",
	             call.data_len, (unsigned long long)call.out_capabilities,
	             call.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING ? " dirty-tracking" : "");
	if (call.out_data_type != IOMMU_HW_INFO_TYPE_INTEL_VTD)
		return;
	int error =
		user_memory_copy_in(scn->platform->memory, &data, scn_call_data(scn), sizeof(data));
	if (error)
		result->error = error;
	iommu_printf(to, "CAP %#018llx, ECAP %#018llx, flags %#x\n",
	             (unsigned long long)data.cap_reg, (unsigned long long)data.ecap_reg,
	             data.flags);
}
