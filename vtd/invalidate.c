/* SPDX-License-Identifier: MIT */
/* Making a unit forget: see invalidate.h. */
#include "vtd/invalidate.h"

#include "vtd/submit.h"

unsigned vtd_split_range(uint64_t first, uint64_t last, unsigned max_order, struct vtd_block *out,
                         unsigned capacity)
{
	uint64_t page = first;
	unsigned count = 0;

	if (max_order > VTD_MAX_ORDER)
		max_order = VTD_MAX_ORDER;
	while (page <= last) {
		/* The largest block that starts here, is aligned, and does not reach beyond. */
		uint64_t left = last - page; /* pages after this one */
		unsigned order = page ? (unsigned)__builtin_ctzll(page) : max_order;
		if (order > max_order)
			order = max_order;
		if (order && (UINT64_C(1) << order) - 1 > left)
			order = left + 1 ? 63 - (unsigned)__builtin_clzll(left + 1) : order;
		if (count == capacity)
			return count + 1;
		out[count++] = (struct vtd_block){page, order};
		page += UINT64_C(1) << order;
		if (!page) /* wrapped: the range ended with the last page of all */
			break;
	}
	return count;
}

/* ---- by registers (6.5.1) ------------------------------------------------------ */

/** Wait for the start bit of @p reg to clear, then check that hardware did anything. */
static int finish_command(struct vtd_unit *unit, struct vtd_cmd64 reg, const char *bit,
                          uint64_t start, uint64_t actual)
{
	uint64_t deadline = vtd_deadline(unit);
	uint64_t value;
	bool over = false;

	for (;;) {
		value = vtd_read(&unit->window, reg);
		if (!(value & start))
			break;
		if (over) {
			unit->broken = true;
			vtd_log(unit, IOMMU_LOG_ERROR,
			        "%s did not clear within %u ms (register is %#llx); this unit's "
			        "invalidations fail from now on",
			        bit, VTD_DEADLINE_NS / 1000000, (unsigned long long)value);
			return -ETIMEDOUT;
		}
		over = vtd_wait_over(unit, deadline);
	}
	if (!(value & actual)) {
		vtd_log(unit, IOMMU_LOG_ERROR, "%s: the request was ignored (register is %#llx)",
		        bit, (unsigned long long)value);
		return -EIO;
	}
	return 0;
}

/** Execute a descriptor of type CONTEXT or IOTLB through the registers. */
static int execute_by_registers(struct vtd_unit *unit, const struct vtd_descriptor *descriptor)
{
	uint64_t low = descriptor->word[0];
	uint64_t did = field_get(VTD_DESC_DID, low), g = field_get(VTD_DESC_G, low);
	struct vtd_cmd64 iotlb = VTD_AT(VTD_REG_IOTLB, unit->caps.iotlb_offset);
	struct vtd_wo64 iva = VTD_AT(VTD_REG_IVA, unit->caps.iotlb_offset);

	unit->stats.register_commands++;
	switch (vtd_descriptor_type(descriptor)) {
	case VTD_DESC_CONTEXT:
		vtd_write(&unit->window, VTD_REG_CCMD,
		          VTD_CCMD_ICC | field_put(VTD_CCMD_CIRG, g) |
		                  field_put(VTD_CCMD_DID, did) |
		                  field_put(VTD_CCMD_SID, field_get(VTD_DESC_CONTEXT_SID, low)));
		return finish_command(unit, VTD_REG_CCMD, "CCMD.ICC", VTD_CCMD_ICC, VTD_CCMD_CAIG);
	case VTD_DESC_IOTLB:
		if (g == VTD_IOTLB_PAGE) /* same layout as IVA: ADDR, IH, AM */
			vtd_write(&unit->window, iva, descriptor->word[1]);
		vtd_write(&unit->window, iotlb,
		          VTD_IOTLB_IVT | field_put(VTD_IOTLB_IIRG, g) |
		                  field_put(VTD_IOTLB_DID, did) | VTD_IOTLB_DR | VTD_IOTLB_DW);
		return finish_command(unit, iotlb, "IOTLB.IVT", VTD_IOTLB_IVT, VTD_IOTLB_IAIG);
	default:
		vtd_log(unit, IOMMU_LOG_ERROR, "descriptor type %u needs the invalidation queue",
		        vtd_descriptor_type(descriptor));
		return -EIO;
	}
}

int vtd_execute_by_registers(struct vtd_unit *unit, const struct vtd_descriptor *descriptors,
                             unsigned count)
{
	int result = 0;

	unit->os->lock(unit->os->ctx, &unit->lock);
	arch_barrier();
	for (unsigned i = 0; i < count && !unit->broken; i++) {
		int err = execute_by_registers(unit, &descriptors[i]);
		result = result ? result : err;
	}
	unit->os->unlock(unit->os->ctx, &unit->lock);
	return result;
}

/* ---- batches ------------------------------------------------------------------- */

void vtd_batch_begin(struct vtd_batch *batch, struct vtd_unit *unit)
{
	batch->unit = unit;
	batch->count = 0;
	batch->result = 0;
}

static void submit_now(struct vtd_batch *batch)
{
	int err = vtd_submit(batch->unit, batch->descriptors, batch->count);

	batch->result = batch->result ? batch->result : err;
	batch->count = 0;
}

void vtd_batch_add(struct vtd_batch *batch, struct vtd_descriptor descriptor)
{
	if (batch->count == ARRAY_SIZE(batch->descriptors))
		submit_now(batch);
	batch->descriptors[batch->count++] = descriptor;
}

int vtd_batch_end(struct vtd_batch *batch)
{
	submit_now(batch);
	return batch->result;
}

void vtd_batch_add_range(struct vtd_batch *batch, uint16_t did, iova_t first, iova_t last,
                         bool leaves_only)
{
	struct vtd_block blocks[VTD_MAX_PAGE_DESCRIPTORS];
	const struct vtd_caps *caps = &batch->unit->caps;
	uint64_t first_page = first.value >> 12, last_page = last.value >> 12;
	unsigned count = VTD_MAX_PAGE_DESCRIPTORS + 1;
	struct vtd_descriptor one;

	/* Most ranges are one block. */
	if (vtd_one_block(batch->unit, did, first, last, leaves_only, &one)) {
		vtd_batch_add(batch, one);
		return;
	}
	/* More pages than one descriptor can name: one that names the domain is cheaper. */
	if (caps->psi &&
	    (caps->mamv >= VTD_MAX_ORDER || (last_page - first_page) >> caps->mamv == 0))
		count = vtd_split_range(first_page, last_page, caps->mamv, blocks,
		                        VTD_MAX_PAGE_DESCRIPTORS);
	if (count > VTD_MAX_PAGE_DESCRIPTORS) {
		vtd_batch_add(batch, vtd_desc_iotlb(VTD_IOTLB_DOMAIN, did));
		return;
	}
	for (unsigned i = 0; i < count; i++)
		vtd_batch_add(batch, vtd_desc_iotlb_page(did, blocks[i].page << 12, blocks[i].order,
		                                         leaves_only));
}

void vtd_batch_add_pasid_range(struct vtd_batch *batch, uint16_t did, uint32_t pasid, iova_t first,
                               iova_t last, bool leaves_only)
{
	struct vtd_block blocks[VTD_MAX_PAGE_DESCRIPTORS];
	uint64_t first_page = first.value >> 12, last_page = last.value >> 12;
	unsigned count = VTD_MAX_PAGE_DESCRIPTORS + 1;

	if ((last_page - first_page) >> VTD_MAX_PASID_ORDER == 0)
		count = vtd_split_range(first_page, last_page, VTD_MAX_PASID_ORDER, blocks,
		                        VTD_MAX_PAGE_DESCRIPTORS);
	if (count > VTD_MAX_PAGE_DESCRIPTORS) {
		vtd_batch_add(batch, vtd_desc_p_iotlb(did, pasid));
		return;
	}
	for (unsigned i = 0; i < count; i++)
		vtd_batch_add(batch, vtd_desc_p_iotlb_page(did, pasid, blocks[i].page << 12,
		                                           blocks[i].order, leaves_only));
}

void vtd_batch_add_domain(struct vtd_batch *batch, uint16_t did)
{
	if (batch->unit->scalable)
		vtd_batch_add(batch, vtd_desc_pasid(VTD_PASID_CACHE_DOMAIN, did, 0));
	else
		vtd_batch_add(batch, vtd_desc_context(VTD_CONTEXT_DOMAIN, did, 0));
	vtd_batch_add(batch, vtd_desc_iotlb(VTD_IOTLB_DOMAIN, did));
}

int vtd_flush_all(struct vtd_unit *unit)
{
	struct vtd_batch batch;

	vtd_batch_begin(&batch, unit);
	vtd_batch_add(&batch, vtd_desc_context(VTD_CONTEXT_GLOBAL, 0, 0));
	if (unit->scalable)
		vtd_batch_add(&batch, vtd_desc_pasid(VTD_PASID_CACHE_GLOBAL, 0, 0));
	vtd_batch_add(&batch, vtd_desc_iotlb(VTD_IOTLB_GLOBAL, 0));
	return vtd_batch_end(&batch);
}
