/* SPDX-License-Identifier: MIT */
/*
 * The translation cache of a device (ch. 4): the requester's side of ATS. It forgets only
 * what it is told to forget, as the unit's own caches do.
 */
#include "model/unit.h"

void model_device_tlb_init(struct model_device_tlb *tlb, struct model_unit *unit,
                           uint16_t requester, struct model_device_tlb_entry *entries,
                           uint32_t count)
{
	*tlb = (struct model_device_tlb){
		.unit = unit, .requester = requester, .count = count, .entries = entries};
	memset(entries, 0, count * sizeof(*entries));
}

static struct model_device_tlb_entry *find(const struct model_device_tlb *tlb,
                                           const struct model_request *request)
{
	for (uint32_t i = 0; i < tlb->count; i++) {
		struct model_device_tlb_entry *entry = &tlb->entries[i];

		if (entry->valid && entry->has_pasid == request->has_pasid &&
		    (!entry->has_pasid || (entry->pasid == request->pasid &&
		                           entry->privileged == request->privileged)) &&
		    request->address - entry->address < entry->bytes)
			return entry;
	}
	return NULL;
}

static bool permits(bool read, bool write, enum model_access access)
{
	return (access == MODEL_WRITE || read) && (access == MODEL_READ || write);
}

static void insert(struct model_device_tlb *tlb, const struct model_request *request,
                   const struct model_result *result)
{
	uint64_t mask = ~(result->page_bytes - 1);

	if (!tlb->count)
		return;
	tlb->entries[tlb->next] = (struct model_device_tlb_entry){
		.valid = true,
		.has_pasid = request->has_pasid,
		.pasid = request->pasid,
		.privileged = request->privileged,
		.read = result->read,
		.write = result->write,
		.execute = result->execute,
		.address = request->address & mask,
		.bytes = result->page_bytes,
		.output = result->address & mask,
	};
	tlb->next = (tlb->next + 1) % tlb->count;
}

bool model_device_tlb_access(struct model_device_tlb *tlb, const struct model_request *request,
                             struct model_result *result)
{
	struct model_request ask = *request, go;
	struct model_device_tlb_entry *entry = find(tlb, request);

	ask.requester = tlb->requester;
	ask.kind = MODEL_TRANSLATION;
	ask.bytes = 0;
	go = *request;
	go.requester = tlb->requester;
	go.kind = MODEL_TRANSLATED;
	if (entry && permits(entry->read, entry->write, request->access)) {
		tlb->hits++;
		model_sanitizer_device(tlb->unit, &ask,
		                       entry->output + (request->address - entry->address),
		                       entry->read, entry->write);
		go.address = entry->output + (request->address - entry->address);
	} else {
		if (entry)
			entry->valid = false; /* rights may have grown: ask once more */
		tlb->misses++;
		if (!model_dma(tlb->unit, &ask, result))
			return false;
		if (result->untranslated_only) {
			go.kind = MODEL_UNTRANSLATED;
			return model_dma(tlb->unit, &go, result);
		}
		if (result->read || result->write)
			insert(tlb, request, result);
		if (!permits(result->read, result->write, request->access))
			return false;
		go.address = result->address;
	}
	/* The tables were asked about the PASID already; few units want it again. */
	go.has_pasid = false;
	go.privileged = go.execute = false;
	return model_dma(tlb->unit, &go, result);
}

unsigned model_device_tlb_invalidate(struct model_device_tlb *tlb,
                                     const struct model_device_invalidation *invalidation)
{
	unsigned count = 0;

	if (invalidation->requester != tlb->requester)
		return 0;
	for (uint32_t i = 0; i < tlb->count; i++) {
		struct model_device_tlb_entry *entry = &tlb->entries[i];

		if (!entry->valid || entry->address > invalidation->last ||
		    entry->address + (entry->bytes - 1) < invalidation->address)
			continue;
		if (!invalidation->global &&
		    (entry->has_pasid != invalidation->has_pasid ||
		     (entry->has_pasid && entry->pasid != invalidation->pasid)))
			continue;
		entry->valid = false;
		count++;
	}
	return count;
}
