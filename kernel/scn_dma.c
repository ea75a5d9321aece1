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

/* Copy what memory holds behind [at, at + bytes) of the device's IOAS. False if a part of
 * it is not mapped, as far as the scenario knows. */
static bool memory_behind(struct scn *scn, const struct scn_object *device, uint64_t at,
                          uint8_t *out, uint32_t bytes)
{
	for (uint32_t done = 0; done < bytes;) {
		const struct scn_mapping *mapping =
			device->ioas ? scn_mapping_find(scn, device->ioas, at + done) : NULL;
		if (!mapping)
			return false;
		uint64_t skip = at + done - mapping->iova;
		uint64_t part = mapping->bytes - skip;
		if (part > bytes - done)
			part = bytes - done;
		if (user_memory_copy_in(scn->platform->memory, out + done, mapping->user + skip,
		                        part) != 0)
			return false;
		done += (uint32_t)part;
	}
	return true;
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
	if (!memory_behind(scn, device, to, actual, bytes)) {
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

/* One transfer of at most max_bytes. */
static void transfer(struct scn *scn, struct scn_result *result, uint32_t access, uint64_t at,
                     uint32_t bytes, bool fault_promised)
{
	struct scn_object *device = result->device;
	struct dma_engine *engine = device->engine;
	bool fetch = access == IOMMU_READ;
	bool known = false;
	char name[24];

	result->access = access;
	result->first = at;
	result->bytes = bytes;
	iommu_poll(scn->platform->iommu); /* what came before is not ours */
	result->fault_from = scn->platform->iommu->fault_count;
	if (fetch) {
		known = memory_behind(scn, device, at, device->fetched, bytes);
		device->fetched_bytes = 0;
	}
	int error = fetch ? engine->ops->fetch(engine, iova(at), bytes)
	                  : engine->ops->store(engine, iova(at), bytes);
	scn_faults_collect(scn, result, fault_promised || error ? FAULT_WAIT_MS : 0);
	if (result->faults)
		return;
	if (error == -EINVAL || error == -EOPNOTSUPP) {
		scn_broken(result, "%s cannot make this transfer: %s", engine->ops->name,
		           scn_errno_text(error, name));
	} else if (error) {
		scn_broken(result, "%s reports %s, and no fault was recorded in %d ms",
		           engine->ops->name, scn_errno_text(error, name), FAULT_WAIT_MS);
	} else if (device->identity) {
		scn_note(result, "%s, untranslated", fetch ? "read" : "written");
	} else if (!device->attached) {
		if (!fault_promised)
			scn_broken(result, "no fault was recorded, though the device is attached "
			                   "to nothing");
	} else if (!fetch) {
		store_check(scn, result, at, bytes);
	} else if (known) {
		device->fetched_bytes = bytes;
		scn_note(result, "%s read", scn_size_text(bytes, name));
	} else {
		scn_broken(result, "no fault was recorded, though nothing is mapped there");
	}
}

static bool fault_is_promised(const struct scn_line *line)
{
	for (unsigned i = 0; i < line->expect.count; i++)
		if (line->expect.any[i].what == SCN_EXPECT_FAULT)
			return true;
	return false;
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

/* dma DEV fetch|store IOVA [LEN]: a device that fetched several pieces holds the last,
 * and stores the same in every piece. */
SCN_HANDLER(dma)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);
	uint32_t access = line->args[1].choice == 0 ? IOMMU_READ : IOMMU_WRITE;
	uint64_t at = scn_arg_number(scn, line, 2, 0, result);
	uint64_t bytes = result->broken ? 0 : length_take(scn, line, 3, device, result);
	char size[24];

	result->device = device;
	for (uint64_t done = 0; done < bytes && !result->faults && !result->broken;) {
		uint32_t part = piece(device, bytes - done);
		transfer(scn, result, access, at + done, part, fault_is_promised(line));
		done += part;
	}
	if (!result->broken && !result->faults && bytes > device->engine->ops->max_bytes)
		scn_note(result, "%s in pieces of %u bytes", scn_size_text(bytes, size),
		         device->engine->ops->max_bytes);
}

/* move DEV from FROM to TO [LEN] */
SCN_HANDLER(move)
{
	struct scn_object *device = scn_arg_object(scn, line, 0, result);
	uint64_t from = scn_arg_number(scn, line, 2, 0, result);
	uint64_t to = scn_arg_number(scn, line, 4, 0, result);
	uint64_t bytes = result->broken ? 0 : length_take(scn, line, 5, device, result);
	bool promised = fault_is_promised(line);
	char size[24];

	if (result->broken)
		return;
	unsigned abilities = device->engine->ops->abilities;
	result->device = device;
	for (uint64_t done = 0; done < bytes && !result->faults && !result->broken;) {
		uint32_t part = piece(device, bytes - done);
		if (abilities & DMA_CAN_FETCH)
			transfer(scn, result, IOMMU_READ, from + done, part,
			         promised && !(abilities & DMA_CAN_STORE));
		if (!result->faults && !result->broken)
			transfer(scn, result, IOMMU_WRITE, to + done, part, promised);
		done += part;
	}
	if (!result->faults && abilities & DMA_CAN_COPY && !device->identity)
		scn_note(result, "%s moved by the device, and compared",
		         scn_size_text(bytes, size));
}
