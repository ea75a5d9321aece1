/* SPDX-License-Identifier: MIT */
/*
 * A device behind the model: see scn_model.h. It behaves as devices on PCI Express do: a
 * blocked read returns all ones, a blocked write vanishes, and the device says done in
 * either case. It uses ATS, PASIDs and page requests (PCI Express 6.0, 10.1 to 10.5) when
 * the driver has switched them on and it is told to.
 */
#include "iommu/string.h"
#include "kernel/scn_model.h"

enum {
	REQUEST_BYTES = 4096, /* a request does not cross this boundary */
	PAGE_TRIES = 8,       /* page requests for one page, before the device gives up */
	GROUPS = 512,         /* 9 bits */
	WAIT_NS = 100000,     /* own time: a turn of waiting for an answer */
};

static struct model_engine *model_of(struct dma_engine *engine)
{
	return container_of(engine, struct model_engine, engine);
}

/* ---- one request ---------------------------------------------------------------------------- */

enum step {
	STEP_DONE,    /* carried out, or blocked: both are over */
	STEP_MISSING, /* no permission, and a page request is due */
	STEP_REFUSED, /* no permission, and the device asks for no pages: it gives up */
};

/* Present the request and carry it out in memory. The platform's lock is held. */
static enum step request_step(struct model_engine *self, uint64_t at, uint32_t bytes,
                              uint32_t access, uint8_t *data)
{
	struct model_platform *platform = self->platform;
	const struct dma_request_mode *mode = &self->mode;
	const struct model_request request = {
		.kind = MODEL_UNTRANSLATED,
		.access = access == IOMMU_READ ? MODEL_READ : MODEL_WRITE,
		.requester = self->tlb.requester,
		.has_pasid = mode->has_pasid,
		.pasid = mode->pasid,
		.privileged = mode->privileged,
		.address = at,
		.bytes = bytes,
	};
	struct model_result result = {0};

	bool passed = mode->ats ? model_device_tlb_access(&self->tlb, &request, &result)
	                        : model_dma(platform->unit, &request, &result);
	platform->last_first += result.first_stage_reads;
	platform->last_second += result.second_stage_reads;
	platform->last_cached &= result.cached;
	platform->has_nested |= result.first_stage_reads && result.second_stage_reads;
	if (!passed && mode->ats && result.response == MODEL_SUCCESS)
		return mode->page_requests ? STEP_MISSING : STEP_REFUSED;
	uint8_t *memory = NULL;
	if (passed && !result.interrupt) {
		memory = model_memory_at(platform, result.address, bytes);
		if (!memory)
			iommu_log(platform->base, IOMMU_LOG_WARNING,
			          "model: %s: no memory at %#llx, where %#llx leads",
			          self->pci.iommu->desc.name, (unsigned long long)result.address,
			          (unsigned long long)at);
	}
	if (access == IOMMU_READ && memory)
		memcpy(data, memory, bytes);
	else if (access == IOMMU_READ)
		memset(data, 0xff, bytes);
	else if (memory) {
		memcpy(memory, data, bytes);
		model_memory_clean(platform, result.address, bytes);
	}
	return STEP_DONE;
}

/* ---- page requests ----------------------------------------------------------------------------- */

/* Ask for the page at hand. -EAGAIN: an answer will come; 0: try again now, for the unit
 * answered yes itself (its queue overflowed, 7.4.1); -EIO: it said no, or tries are used up. */
static int page_ask(struct model_engine *self)
{
	uint64_t at = self->transfer.at + self->transfer.done;
	const struct model_request request = {
		.kind = MODEL_PAGE_REQUEST,
		.requester = self->tlb.requester,
		.has_pasid = self->mode.has_pasid,
		.pasid = self->mode.pasid,
		.privileged = self->mode.privileged,
		.address = at & ~(PAGE_SIZE_4K - 1),
		.page_read = self->transfer.access == IOMMU_READ,
		.page_write = self->transfer.access == IOMMU_WRITE,
		.last = true,
		.group = self->next_group,
	};
	struct model_result result = {0};

	if (self->transfer.tries++ == PAGE_TRIES)
		return -EIO;
	self->transfer.answered = false;
	self->transfer.group = self->next_group;
	self->next_group = (uint16_t)((self->next_group + 1) % GROUPS);
	/* The answer may come while the request is presented: the flag was cleared before. */
	if (!model_dma(self->platform->unit, &request, &result))
		return -EIO;
	return result.stored ? -EAGAIN : 0;
}

void model_engine_response(struct model_engine *self, const struct model_event *event)
{
	if (!self->transfer.active || event->requester != self->tlb.requester ||
	    event->group != self->transfer.group)
		return;
	self->transfer.answered = true;
	self->transfer.response = event->response;
}

/* What is left of a transfer that ends without its pages. */
static void transfer_give_up(struct model_engine *self)
{
	if (self->transfer.access == IOMMU_READ)
		memset(self->buffer + self->transfer.done, 0xff,
		       self->transfer.bytes - self->transfer.done);
	self->transfer.active = false;
}

/* ---- transfers --------------------------------------------------------------------------------------- */

/* Nothing that the unit remembers may differ from memory, unless a user is about to change
 * a table of its own and has yet to say so. */
static bool may_compare(const struct model_platform *platform)
{
	for (unsigned i = 0; i < MODEL_DEVICES; i++) {
		const struct iommu_device *device = platform->engines[i].pci.iommu;
		if (device->domain && device->domain->stage == IOMMU_STAGE_NESTED)
			return false;
		for (const struct iommu_pasid *at = device->pasids; at; at = at->next)
			if (at->domain && at->domain->stage == IOMMU_STAGE_NESTED)
				return false;
	}
	return true;
}

/* Go on from where the transfer is. 0, -EAGAIN or -EIO. */
static int transfer_run(struct model_engine *self)
{
	struct model_platform *platform = self->platform;
	int error = 0;

	model_platform_lock(platform);
	while (!error && self->transfer.done < self->transfer.bytes) {
		uint64_t at = self->transfer.at + self->transfer.done;
		uint32_t part = REQUEST_BYTES - (uint32_t)(at % REQUEST_BYTES);
		uint32_t left = self->transfer.bytes - self->transfer.done;
		if (part > left)
			part = left;
		enum step step = request_step(self, at, part, self->transfer.access,
		                              self->buffer + self->transfer.done);
		if (step == STEP_DONE) {
			self->transfer.done += part;
			self->transfer.tries = 0;
		} else {
			error = step == STEP_MISSING ? page_ask(self) : -EIO;
		}
	}
	if (error == -EIO)
		transfer_give_up(self);
	else if (!error)
		self->transfer.active = false;
	if (!error && platform->options.cruel && may_compare(platform))
		(void)model_sanitizer_check(platform->unit);
	model_platform_unlock(platform);
	return error;
}

static int engine_resume(struct dma_engine *engine)
{
	struct model_engine *self = model_of(engine);
	struct model_platform *platform = self->platform;

	if (!self->transfer.active)
		return -ENOENT;
	model_platform_pump(platform);
	model_platform_lock(platform);
	bool answered = self->transfer.answered, yes = self->transfer.response == 0;
	if (answered && !yes)
		transfer_give_up(self);
	model_platform_unlock(platform);
	if (!answered)
		return -EAGAIN;
	return yes ? transfer_run(self) : -EIO;
}

static int engine_transfer(struct dma_engine *engine, uint64_t at, uint32_t bytes, uint32_t access)
{
	struct model_engine *self = model_of(engine);
	struct model_platform *platform = self->platform;
	const struct iommu_os *os = &platform->os;

	if (bytes == 0 || bytes > sizeof(self->buffer) || at + (bytes - 1) < at)
		return -EINVAL;
	model_platform_lock(platform);
	platform->last_first = platform->last_second = 0;
	platform->last_cached = true;
	memset(&self->transfer, 0, sizeof(self->transfer));
	self->transfer.active = true;
	self->transfer.at = at;
	self->transfer.bytes = bytes;
	self->transfer.access = access;
	model_platform_unlock(platform);
	int error = transfer_run(self);
	uint64_t deadline = os->now_ns(os->ctx) + self->mode.page_wait_ms * UINT64_C(1000000);
	while (error == -EAGAIN && os->now_ns(os->ctx) < deadline) {
		model_platform_relax(platform, WAIT_NS);
		error = engine_resume(engine);
	}
	model_platform_pump(platform); /* faults are reported by now */
	return error;
}

static int engine_fetch(struct dma_engine *engine, iova_t from, uint32_t bytes)
{
	return engine_transfer(engine, from.value, bytes, IOMMU_READ);
}

static int engine_store(struct dma_engine *engine, iova_t to, uint32_t bytes)
{
	return engine_transfer(engine, to.value, bytes, IOMMU_WRITE);
}

/* ---- what the device can do ------------------------------------------------------------------------------ */

static void tlb_forget(struct model_engine *self)
{
	for (unsigned i = 0; i < MODEL_TLB_ENTRIES; i++)
		self->tlb_entries[i].valid = false;
}

static int engine_mode(struct dma_engine *engine, const struct dma_request_mode *mode)
{
	struct model_engine *self = model_of(engine);
	int error = 0;

	if ((mode->page_requests && !mode->ats) || (mode->privileged && !mode->has_pasid) ||
	    (mode->has_pasid && mode->pasid >> 20))
		return -EINVAL;
	model_platform_lock(self->platform);
	if ((mode->ats && !self->allowed_ats) || (mode->has_pasid && !self->allowed_pasid) ||
	    (mode->page_requests && !self->allowed_page_requests)) {
		error = -EOPNOTSUPP;
	} else {
		if (self->transfer.active)
			transfer_give_up(self);
		self->mode = *mode;
	}
	model_platform_unlock(self->platform);
	return error;
}

/* The driver switches the capabilities, as through configuration space. A device whose ATS
 * goes off forgets its translations (PCI Express 6.0, 10.5.1.3); one that may ask for pages no
 * more waits for no answer (10.5.2). */
static int capabilities_set(void *ctx, bool ats, bool pasid, bool page_requests)
{
	struct model_engine *self = ctx;

	model_platform_lock(self->platform);
	self->allowed_ats = ats;
	self->allowed_pasid = pasid;
	self->allowed_page_requests = page_requests;
	if (!ats)
		tlb_forget(self);
	if (!page_requests && self->transfer.active && !self->transfer.answered) {
		self->transfer.answered = true;
		self->transfer.response = 1; /* invalid */
	}
	if ((self->mode.ats && !ats) || (self->mode.has_pasid && !pasid) ||
	    (self->mode.page_requests && !page_requests))
		self->mode = (struct dma_request_mode){0};
	model_platform_unlock(self->platform);
	return 0;
}

static const struct dma_engine_ops model_engine_ops = {
	.name = "model",
	.abilities = DMA_CAN_FETCH | DMA_CAN_STORE | DMA_CAN_COPY | DMA_IS_FAST | DMA_CAN_PASID |
                     DMA_CAN_ATS | DMA_CAN_PRI,
	.max_bytes = MODEL_BUFFER_BYTES,
	.granule = 1,
	.fetch = engine_fetch,
	.store = engine_store,
	.request_mode = engine_mode,
	.resume = engine_resume,
};

void model_engine_init(struct model_engine *self, struct model_platform *platform)
{
	self->platform = platform;
	self->engine.ops = &model_engine_ops;
	self->engine.pci = &self->pci;
	self->engine.os = &platform->os;
}

void model_engine_describe(struct model_engine *self, unsigned number,
                           struct iommu_device_desc *desc)
{
	uint64_t ecap = self->platform->config.ecap;
	iommu_rid_t rid = (iommu_rid_t)RID(0, 1 + number, 0);
	unsigned pasid_bits = (unsigned)(ecap >> 35 & 0x1f) + 1; /* ECAP.PSS */

	*desc = (struct iommu_device_desc){
		.segment = MODEL_SEGMENT,
		.rid = rid,
		.hop_count = 1,
		.hops = {{0, (uint8_t)rid}},
		.group = (uint32_t)MODEL_SEGMENT << 16 | rid,
		.ats_queue_depth = ecap >> 2 & 1 ? 32 : 0,              /* ECAP.DT */
		.pasid_bits = ecap >> 40 & 1 ? (uint8_t)pasid_bits : 0, /* ECAP.PASID */
		.page_requests = (ecap >> 29 & 1) && (ecap >> 2 & 1),   /* ECAP.PRS */
		.capabilities_set = capabilities_set,
		.capabilities_ctx = self,
	};
	if (desc->pasid_bits > 20)
		desc->pasid_bits = 20;
	(void)iommu_snprintf(desc->name, sizeof(desc->name), "model:%02x:%02x.%x", RID_BUS(rid),
	                     RID_DEVICE(rid), RID_FUNCTION(rid));
	self->pci.segment = MODEL_SEGMENT;
	self->pci.rid = rid;
	model_device_tlb_init(&self->tlb, self->platform->unit, rid, self->tlb_entries,
	                      MODEL_TLB_ENTRIES);
}
