/* SPDX-License-Identifier: MIT */
/*
 * Page requests (7.4 to 7.7): checked through the tables, stored in the queue in memory,
 * answered by page group responses. A request that finds the queue full sets PRO.
 */
#include "model/unit.h"

static uint32_t queue_bytes(const struct model_unit *unit)
{
	return 0x1000u << model_bits(unit->pqa, 2, 0);
}

/* A page that is asked for is not there: what the caches say about it goes (7.4.1). */
static void forget(struct model_walk *walk)
{
	struct model_unit *unit = walk->unit;
	uint64_t address = walk->request->address & model_mask(63, 12);

	switch (walk->pgtt) {
	case MODEL_PGTT_FIRST:
		model_invalidate_pasid_iotlb(unit, 3, walk->did, walk->pasid, address, 0, false);
		break;
	case MODEL_PGTT_NESTED:
		model_invalidate_iotlb(unit, 2, walk->did, 0, 0, false);
		break;
	default:
		model_invalidate_iotlb(unit, 3, walk->did, address, 0, false);
		break;
	}
}

/* The last request of a group wants an answer, unless it is a stop marker (7.4). */
static bool answer_due(const struct model_request *request)
{
	bool stop = request->has_pasid && !request->page_read && !request->page_write;

	return request->last && !stop;
}

static void encode(const struct model_request *request, uint64_t d[4])
{
	d[0] = 0x01 | (uint64_t)request->has_pasid << 8 | (uint64_t)request->requester << 16;
	if (request->has_pasid)
		d[0] |= (uint64_t)(request->pasid & 0xfffff) << 32 |
		        (uint64_t)request->execute << 52 | (uint64_t)request->privileged << 53;
	d[1] = (uint64_t)request->page_read | (uint64_t)request->page_write << 1 |
	       (uint64_t)request->last << 2 | (uint64_t)(request->group & 0x1ff) << 3 |
	       (request->address & model_mask(63, 12));
	d[2] = d[3] = 0;
}

static void overflow(struct model_walk *walk)
{
	struct model_unit *unit = walk->unit;
	bool quiet = unit->prs;

	walk->result->response = answer_due(walk->request) ? MODEL_SUCCESS : MODEL_DROPPED;
	if (unit->prs & 2)
		return;
	unit->prs |= 2;
	if (!quiet)
		model_event_raise(unit, &unit->page_event, MODEL_SOURCE_PAGE_REQUEST);
}

static bool store(struct model_walk *walk)
{
	struct model_unit *unit = walk->unit;
	const struct model_request *request = walk->request;
	struct model_event event = {
		.kind = MODEL_EVENT_PAGE_REQUEST,
		.address = request->address & model_mask(63, 12),
		.requester = request->requester,
		.has_pasid = request->has_pasid,
		.pasid = request->pasid,
		.group = request->group & 0x1ff,
	};
	bool quiet = unit->prs;
	uint64_t d[4];

	encode(request, d);
	if (!model_memory_write(unit, (unit->pqa & model_mask(63, 12)) + unit->pqt, d, sizeof(d)))
		return false;
	forget(walk);
	unit->pqt = (unit->pqt + 32) & (queue_bytes(unit) - 1);
	unit->prs |= 1;
	walk->result->stored = true;
	walk->result->response = MODEL_SUCCESS;
	model_count(unit, MODEL_COUNT_PAGE_REQUESTS, request);
	if (!quiet)
		model_event_raise(unit, &unit->page_event, MODEL_SOURCE_PAGE_REQUEST);
	model_event_report(unit, &event);
	return true;
}

void model_page_request(struct model_walk *walk)
{
	struct model_unit *unit = walk->unit;
	uint8_t fault = model_translate(walk);

	model_sanitizer_request(walk, fault);
	if (fault) {
		model_fault_answer(walk, fault);
		if (!answer_due(walk->request))
			walk->result->response = MODEL_DROPPED;
		return;
	}
	if ((unit->prs & 2) || ((unit->pqt + 32) & (queue_bytes(unit) - 1)) == unit->pqh)
		overflow(walk);
	else if (!store(walk))
		walk->result->response =
			answer_due(walk->request) ? MODEL_INVALID_REQUEST : MODEL_DROPPED;
}

void model_page_response(struct model_unit *unit, const uint64_t d[4])
{
	struct model_event event = {
		.kind = MODEL_EVENT_PAGE_RESPONSE,
		.requester = (uint16_t)model_bits(d[0], 31, 16),
		.has_pasid = model_bit(d[0], 4),
		.pasid = (uint32_t)model_bits(d[0], 51, 32),
		.group = (uint16_t)model_bits(d[1], 11, 3),
		.response = (uint8_t)model_bits(d[0], 15, 12),
	};

	model_event_report(unit, &event);
}

void model_page_write_status(struct model_unit *unit, uint32_t value)
{
	unit->prs &= ~(value & 3);
	if (!unit->prs)
		unit->page_event.control &= ~(uint32_t)MODEL_EVENT_IP;
}

void model_page_write_head(struct model_unit *unit, uint32_t value)
{
	value &= 0x7ffe0;
	if (value >= queue_bytes(unit))
		model_report_register(unit, MODEL_PQH, "is moved outside the page request queue",
		                      value);
	unit->pqh = value;
}
