/* SPDX-License-Identifier: MIT */
/*
 * DMA: telling an engine to move data, and finding out what became of it.
 *
 * Three witnesses: what the device says, the unit's fault log, and memory. A store
 * that was not blocked must have left in memory what the device fetched last (or,
 * for a device that writes data of its own, what its driver says it writes). Where
 * memory lies is taken from the scenario's own mappings.
 */
#include "iommu/string.h"
#include "kernel/scn_handlers.h"

enum {
	FAULT_WAIT_MS = 200, /* for a fault that is promised */
	USUAL_BYTES = 4096,  /* of a transfer whose length is left out */
};

/* ---- ways ---------------------------------------------------------------------------- */

struct scn_way scn_way_of(const struct scn_object *device, bool has_pasid, uint32_t pasid)
{
	if (!has_pasid)
		return device->way;
	for (const struct scn_pasid *at = device->pasids; at; at = at->next)
		if (at->pasid == pasid)
			return at->way;
	return (struct scn_way){0};
}

/* Copy what memory holds where [at, at + bytes) leads. False if a part of it leads nowhere,
 * as far as the scenario knows. */
static bool memory_behind(struct scn *scn, const struct scn_way *way, uint64_t at, uint8_t *out,
                          uint32_t bytes)
{
	for (uint32_t done = 0; done < bytes;) {
		uint64_t user, part;
		if (!scn_way_leads(scn, way, at + done, &user, &part))
			return false;
		if (part > bytes - done)
			part = bytes - done;
		if (user_memory_copy_in(scn->platform->memory, out + done, user, part) != 0)
			return false;
		done += (uint32_t)part;
	}
	return true;
}

/* ---- one transfer ------------------------------------------------------------------------ */

/* What a line promises of its DMA. */
struct promise {
	bool fault;
	bool report; /* of the model: then an old table may be in use, and data are not judged */
	bool wait;   /* for the answer to a page request */
};

static struct promise promise_of(const struct scn_line *line)
{
	struct promise promise = {.report = scn_report_is_promised(line)};

	for (unsigned i = 0; i < line->expect.count; i++)
		promise.fault |= line->expect.any[i].what == SCN_EXPECT_FAULT;
	return promise;
}

/* Compare memory with what the store should have left. */
static void store_check(struct scn *scn, struct scn_result *result, uint64_t to, uint32_t bytes)
{
	struct scn_object *device = result->device;
	const struct dma_engine_ops *ops = device->engine->ops;
	char size[24];

	uint8_t *actual = scn_alloc(scn, ops->max_bytes);
	if (!actual) {
		scn_broken(result, "no memory for the interpreter itself");
		return;
	}
	if (!memory_behind(scn, &result->way, to, actual, bytes)) {
		scn_broken(result, "no fault was recorded, though nothing is mapped there");
	} else if (ops->stored_ok) {
		if (ops->stored_ok(device->engine, actual, bytes))
			scn_note(result, "%s stored, memory holds the device's data",
			         scn_size_text(bytes, size));
		else
			scn_broken(result, "no fault, but memory does not hold the device's data");
	} else if (bytes > device->fetched_bytes) {
		scn_note(result, "%s stored", scn_size_text(bytes, size));
	} else {
		uint32_t at = 0;
		while (at < bytes && actual[at] == device->fetched[at])
			at++;
		if (at == bytes)
			scn_note(result, "%s stored, memory holds what was fetched",
			         scn_size_text(bytes, size));
		else
			scn_broken(result,
			           "memory at %#llx is 0x%02x and not the 0x%02x that was fetched",
			           (unsigned long long)to + at, actual[at], device->fetched[at]);
	}
	scn_free(scn, actual, ops->max_bytes);
}

/* The device says done, and no fault was recorded: is it so? */
static void done_check(struct scn *scn, struct scn_result *result, const struct promise *promise,
                       uint64_t at, uint32_t bytes, bool known)
{
	struct scn_object *device = result->device;
	bool fetch = result->access == IOMMU_READ;
	char size[24];

	if (device->identity) {
		scn_note(result, "%s, untranslated", fetch ? "read" : "written");
	} else if (promise->report) {
		scn_note(result, "%s %s somewhere", scn_size_text(bytes, size),
		         fetch ? "read" : "written");
	} else if (!result->way.attached) {
		if (!promise->fault)
			scn_broken(result, "no fault was recorded, though the device is attached "
			                   "to nothing");
	} else if (!fetch) {
		store_check(scn, result, at, bytes);
	} else if (known) {
		device->fetched_bytes = bytes;
		scn_note(result, "%s read", scn_size_text(bytes, size));
	} else {
		scn_broken(result, "no fault was recorded, though nothing is mapped there");
	}
}

/* The end of a transfer, or of an attempt, with what the device said. */
static void transfer_end(struct scn *scn, struct scn_result *result, const struct promise *promise,
                         uint64_t at, uint32_t bytes, bool known, int error)
{
	struct scn_object *device = result->device;
	const struct dma_engine_ops *ops = device->engine->ops;
	bool asks = error == -EAGAIN || (error == -EIO && promise->wait);
	char name[24];

	scn_faults_collect(scn, result, promise->fault || (error && !asks) ? FAULT_WAIT_MS : 0);
	device->pending.active = error == -EAGAIN;
	if (result->faults)
		return;
	if (error == -EINVAL || error == -EOPNOTSUPP) {
		scn_broken(result, "%s cannot make this transfer: %s", ops->name,
		           scn_errno_text(error, name));
	} else if (asks) {
		result->has_value = result->value_bad = true;
		result->word = error == -EAGAIN ? "waits" : "refused";
		scn_note(result, error == -EAGAIN ? "for the answer to a page request"
		                                  : "no translation is to be had");
	} else if (error) {
		scn_broken(result, "%s reports %s, and no fault was recorded in %d ms", ops->name,
		           scn_errno_text(error, name), FAULT_WAIT_MS);
	} else {
		done_check(scn, result, promise, at, bytes, known);
	}
}

/* One transfer of at most max_bytes. */
static void transfer(struct scn *scn, struct scn_result *result, uint32_t access, uint64_t at,
                     uint32_t bytes, const struct promise *promise)
{
	struct scn_object *device = result->device;
	struct dma_engine *engine = device->engine;
	bool fetch = access == IOMMU_READ;
	bool known = false;

	result->access = access;
	result->first = at;
	result->bytes = bytes;
	iommu_poll(scn->platform->iommu); /* what came before is not ours */
	result->fault_from = scn->platform->iommu->fault_count;
	if (fetch) {
		known = memory_behind(scn, &result->way, at, device->fetched, bytes);
		device->fetched_bytes = 0;
	}
	int error = fetch ? engine->ops->fetch(engine, iova(at), bytes)
	                  : engine->ops->store(engine, iova(at), bytes);
	transfer_end(scn, result, promise, at, bytes, known, error);
}

void scn_transfer_resume(struct scn *scn, const struct scn_line *line, struct scn_object *device,
                         struct scn_result *result)
{
	const struct scn_pending *pending = &device->pending;
	struct dma_engine *engine = device->engine;
	struct promise promise = promise_of(line);
	bool known = false;

	promise.wait = true;
	result->device = device;
	result->way = scn_way_of(device, pending->has_pasid, pending->pasid);
	result->access = pending->access;
	result->first = pending->at;
	result->bytes = pending->bytes;
	iommu_poll(scn->platform->iommu);
	result->fault_from = scn->platform->iommu->fault_count;
	if (pending->access == IOMMU_READ)
		known = memory_behind(scn, &result->way, pending->at, device->fetched,
		                      pending->bytes);
	int error = engine->ops->resume ? engine->ops->resume(engine) : -EOPNOTSUPP;
	transfer_end(scn, result, &promise, pending->at, pending->bytes, known, error);
}

/* ---- how a device makes its requests -------------------------------------------------------- */

/* [pasid PASID] [privileged] [ats] [ask], from @p slot on. Tells the device, and says by
 * which way its requests will go. False: broken. */
static bool mode_take(struct scn *scn, const struct scn_line *line, unsigned slot,
                      struct scn_object *device, struct scn_result *result,
                      struct dma_request_mode *mode)
{
	const struct dma_engine_ops *ops = device->engine->ops;
	uint64_t pasid = scn_arg_number(scn, line, slot + 1, 0, result);
	char name[24];

	*mode = (struct dma_request_mode){
		.has_pasid = line->args[slot].set,
		.pasid = (uint32_t)pasid,
		.privileged = line->args[slot + 2].set,
		.ats = line->args[slot + 3].set,
		.page_requests = line->args[slot + 4].set,
	};
	bool plain = !mode->has_pasid && !mode->privileged && !mode->ats && !mode->page_requests;
	if (pasid > 0xfffff)
		scn_broken(result, "a PASID has 20 bits");
	else if (mode->privileged && !mode->has_pasid)
		scn_broken(result, "only requests with a PASID can be privileged");
	else if (mode->page_requests && !mode->ats)
		scn_broken(result, "only a device that uses ats can ask for pages");
	else if (!ops->request_mode && !plain)
		scn_broken(result, "%s makes plain requests only", ops->name);
	if (result->broken)
		return false;
	int error = ops->request_mode ? ops->request_mode(device->engine, mode) : 0;
	if (error)
		scn_broken(result, "%s cannot make such requests now: %s", ops->name,
		           scn_errno_text(error, name));
	device->pending.active = false; /* what waited was given up */
	result->device = device;
	result->way = scn_way_of(device, mode->has_pasid, mode->pasid);
	return !result->broken;
}

/* The length in @p slot, or one transfer's. 0 and broken if the engine cannot make it. */
static uint64_t length_take(struct scn *scn, const struct scn_line *line, unsigned slot,
                            const struct scn_object *device, struct scn_result *result)
{
	const struct dma_engine_ops *ops = device->engine->ops;
	uint64_t usual = ops->max_bytes < USUAL_BYTES ? ops->max_bytes : USUAL_BYTES;
	uint64_t bytes = scn_arg_number(scn, line, slot, usual, result);

	if (bytes == 0 || bytes % ops->granule)
		scn_broken(result, "%s moves multiples of %u bytes", ops->name, ops->granule);
	return result->broken ? 0 : bytes;
}

/* The part of a longer transfer that the engine makes next. */
static uint32_t piece(const struct scn_object *device, uint64_t left)
{
	uint32_t most = device->engine->ops->max_bytes;
	return left < most ? (uint32_t)left : most;
}

/* dma DEV fetch|store IOVA [LEN] [pasid PASID] [privileged] [ats] [ask]: a device that
 * fetched several pieces holds the last, and stores the same in every piece. */
SCN_HANDLER(dma)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);
	uint32_t access = line->args[1].choice == 0 ? IOMMU_READ : IOMMU_WRITE;
	uint64_t at = scn_arg_number(scn, line, 2, 0, result);
	uint64_t bytes = result->broken ? 0 : length_take(scn, line, 3, device, result);
	struct promise promise = promise_of(line);
	struct dma_request_mode mode;
	char size[24];

	if (result->broken || !mode_take(scn, line, 4, device, result, &mode))
		return;
	promise.wait = mode.page_requests || mode.ats;
	if (mode.page_requests && bytes > device->engine->ops->max_bytes) {
		scn_broken(result, "a transfer that asks for pages is one piece: %u bytes at most",
		           device->engine->ops->max_bytes);
		return;
	}
	for (uint64_t done = 0;
	     done < bytes && !result->faults && !result->broken && !result->word;) {
		uint32_t part = piece(device, bytes - done);
		transfer(scn, result, access, at + done, part, &promise);
		done += part;
	}
	if (device->pending.active)
		device->pending = (struct scn_pending){
			.active = true,
			.has_pasid = mode.has_pasid,
			.pasid = mode.pasid,
			.access = access,
			.at = at,
			.bytes = (uint32_t)bytes,
		};
	else if (!result->broken && !result->faults && !result->word &&
	         bytes > device->engine->ops->max_bytes)
		scn_note(result, "%s in pieces of %u bytes", scn_size_text(bytes, size),
		         device->engine->ops->max_bytes);
}

/* move DEV from FROM to TO [LEN] [pasid PASID] [privileged] [ats] */
SCN_HANDLER(move)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);
	uint64_t from = scn_arg_number(scn, line, 2, 0, result);
	uint64_t to = scn_arg_number(scn, line, 4, 0, result);
	uint64_t bytes = result->broken ? 0 : length_take(scn, line, 5, device, result);
	const struct promise promise = promise_of(line);
	struct dma_request_mode mode;
	char size[24];

	if (result->broken || !mode_take(scn, line, 6, device, result, &mode))
		return;
	unsigned abilities = device->engine->ops->abilities;
	struct promise first = promise;
	first.fault &= !(abilities & DMA_CAN_STORE);
	for (uint64_t done = 0; done < bytes && !result->faults && !result->broken;) {
		uint32_t part = piece(device, bytes - done);
		if (abilities & DMA_CAN_FETCH)
			transfer(scn, result, IOMMU_READ, from + done, part, &first);
		if (!result->faults && !result->broken)
			transfer(scn, result, IOMMU_WRITE, to + done, part, &promise);
		done += part;
	}
	if (!result->faults && abilities & DMA_CAN_COPY && !device->identity)
		scn_note(result, "%s moved by the device, and compared",
		         scn_size_text(bytes, size));
}
