/* SPDX-License-Identifier: MIT */
/*
 * Faults: what each reason means for the request (Tables 15 and 30), the primary fault
 * records with their overflow (7.3), and the fault status register with its event.
 */
#include "model/unit.h"

/* What happens to a request, by its kind. */
enum answer {
	NONE, /* the specification has no such combination; treated as UR */
	UR,
	CA,
	ZERO, /* success without permissions, not logged */
	ZERO_LOG,
	INVALID, /* page request: Invalid Request */
};

struct reason {
	uint8_t code;
	bool qualified; /* FPD on the way suppresses the record */
	uint8_t untranslated, translation, translated;
	const char *name;
};

static const struct reason reasons[] = {
	{0x01, false, UR, UR, UR, "root entry not present"},
	{0x02, true, UR, UR, UR, "context entry not present"},
	{0x03, true, UR, CA, UR, "context entry invalid, or its page table unreadable"},
	{0x04, true, UR, ZERO, UR, "address beyond the width"},
	{0x05, true, UR, ZERO, NONE, "no write permission"},
	{0x06, true, UR, ZERO, NONE, "no read permission"},
	{0x07, true, UR, CA, NONE, "page table unreadable"},
	{0x08, false, UR, CA, UR, "root table unreadable"},
	{0x09, false, UR, CA, UR, "context table unreadable"},
	{0x0a, false, UR, CA, UR, "root entry has reserved bits set"},
	{0x0b, true, UR, CA, UR, "context entry has reserved bits set"},
	{0x0c, true, UR, CA, NONE, "paging entry has reserved bits set"},
	{0x0d, true, NONE, UR, UR, "context entry blocks this kind of request"},
	{0x0e, true, UR, CA, UR, "translated into the interrupt range"},
	{0x20, false, UR, NONE, NONE, "interrupt request has reserved bits set"},
	{0x21, false, UR, NONE, NONE, "interrupt index beyond the table"},
	{0x22, true, UR, NONE, NONE, "interrupt entry not present"},
	{0x23, false, UR, NONE, NONE, "interrupt table unreadable"},
	{0x24, true, UR, NONE, NONE, "interrupt entry has reserved bits set"},
	{0x25, false, UR, NONE, NONE, "compatibility-format interrupt blocked"},
	{0x26, true, UR, NONE, NONE, "interrupt source not allowed"},
	{0x27, true, UR, NONE, NONE, "posted descriptor unreachable"},
	{0x28, true, UR, NONE, NONE, "posted descriptor has reserved bits set"},
	{0x29, false, UR, NONE, NONE, "request to the interrupt range that is no interrupt"},
	{0x2a, false, UR, NONE, NONE, "x2APIC mode is required and not enabled"},
	{0x2b, false, UR, NONE, NONE, "interrupt remapping is required and not enabled"},
	{0x30, false, UR, CA, UR, "translation table mode invalid"},
	{0x31, false, UR, UR, UR, "request with PASID in legacy mode"},
	{0x32, false, NONE, NONE, NONE, "page request in legacy mode"},
	{0x33, false, UR, UR, UR, "abort-DMA mode"},
	{0x34, false, UR, UR, UR, "execute requested"},
	{0x38, false, UR, CA, UR, "root table unreadable"},
	{0x39, false, UR, UR, UR, "root entry not present"},
	{0x3a, false, UR, CA, UR, "root entry has reserved bits set"},
	{0x40, false, UR, CA, UR, "context table unreadable"},
	{0x41, true, UR, UR, UR, "context entry not present"},
	{0x42, true, UR, CA, UR, "context entry has reserved bits set"},
	{0x43, true, UR, CA, UR, "context entry invalid"},
	{0x44, true, NONE, UR, UR, "context entry allows no device-TLB"},
	{0x45, true, UR, UR, NONE, "context entry allows no PASID"},
	{0x46, true, UR, UR, UR, "PASID beyond the directory"},
	{0x47, true, NONE, NONE, NONE, "context entry allows no page requests"},
	{0x48, true, UR, UR, UR, "PASID equals RID_PASID"},
	{0x49, true, NONE, NONE, UR, "translated request with PASID not allowed"},
	{0x50, false, UR, CA, CA, "PASID directory unreadable"},
	{0x51, true, UR, ZERO, UR, "PASID directory entry not present"},
	{0x52, true, UR, CA, CA, "PASID directory entry has reserved bits set"},
	{0x58, false, UR, CA, CA, "PASID table unreadable"},
	{0x59, true, UR, ZERO, UR, "PASID entry not present"},
	{0x5a, true, UR, CA, CA, "PASID entry has reserved bits set"},
	{0x5b, true, UR, CA, CA, "PASID entry invalid"},
	{0x5c, true, UR, ZERO, NONE, "execute requests not supported or not enabled"},
	{0x5d, true, UR, ZERO, NONE, "supervisor requests not enabled"},
	{0x60, true, NONE, NONE, UR, "translated address beyond the permission table"},
	{0x70, true, UR, ZERO, NONE, "first-stage table unreadable"},
	{0x71, true, UR, ZERO, NONE, "first-stage entry not present"},
	{0x72, true, UR, ZERO, NONE, "first-stage entry has reserved bits set"},
	{0x73, true, UR, ZERO, NONE, "first-stage top table unreadable"},
	{0x74, true, UR, ZERO, NONE, "first-stage entry points beyond the second stage"},
	{0x75, true, UR, ZERO, NONE, "second stage hides the first-stage top table"},
	{0x76, true, UR, ZERO, NONE, "second stage hides a first-stage table"},
	{0x77, true, UR, ZERO, NONE, "second stage forbids first-stage flags"},
	{0x78, true, UR, CA, NONE, "second-stage table unreadable"},
	{0x79, true, UR, ZERO, NONE, "second-stage entry without permissions"},
	{0x7a, true, UR, CA, NONE, "second-stage entry has reserved bits set"},
	{0x7b, true, UR, CA, NONE, "second-stage top table unreadable"},
	{0x7c, true, UR, CA, NONE, "second-stage flags need snooped tables"},
	{0x7d, true, UR, CA, NONE, "second-stage flags could not be set"},
	{0x80, true, UR, ZERO, NONE, "address not canonical"},
	{0x81, true, UR, ZERO, NONE, "user request to a supervisor page"},
	{0x82, true, UR, ZERO, NONE, "no execute permission"},
	{0x83, true, UR, ZERO, UR, "address beyond the host address width"},
	{0x84, true, UR, ZERO, NONE, "address beyond the second stage"},
	{0x85, true, UR, ZERO, NONE, "no write permission"},
	{0x86, true, UR, ZERO, NONE, "no read permission"},
	{0x87, true, UR, CA, UR, "translated into the interrupt range"},
	{0x89, true, UR, UR, UR, "PASID beyond what the unit supports"},
	{0x90, true, UR, ZERO, NONE, "first-stage flags need snooped tables"},
	{0x91, true, UR, ZERO_LOG, NONE, "first-stage flags could not be set"},
	{0xa0, true, NONE, NONE, CA, "host permission table unreadable"},
	{0xa1, true, NONE, NONE, CA, "host permission entry has reserved bits set"},
	{0xa2, true, NONE, NONE, CA, "host permission root unreadable"},
	{0xa3, true, NONE, NONE, UR, "host permission walk ended at a zero-length read"},
	{0xa4, true, NONE, NONE, UR, "no write permission in the host permission table"},
	{0xa5, true, NONE, NONE, UR, "no read permission in the host permission table"},
};

static const struct reason *find(uint8_t code)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].code == code)
			return &reasons[i];
	return NULL;
}

const char *model_fault_name(uint8_t code)
{
	const struct reason *reason = find(code);

	return reason ? reason->name : "unknown";
}

/* ---- status and event ------------------------------------------------------------ */

static bool any_record(const struct model_unit *unit)
{
	for (unsigned i = 0; i < unit->caps.records; i++)
		if (model_bit(unit->records[i].high, 63))
			return true;
	return false;
}

uint32_t model_fault_read_status(const struct model_unit *unit)
{
	return unit->fsts | (any_record(unit) ? MODEL_FSTS_PPF : 0);
}

/* Is any condition set that would keep a new one from raising an event? */
static bool conditions(const struct model_unit *unit)
{
	return model_fault_read_status(unit) & 0x7f;
}

void model_fault_status(struct model_unit *unit, uint32_t bit)
{
	bool quiet = conditions(unit);

	unit->fsts |= bit;
	if (!quiet)
		model_event_raise(unit, &unit->fault_event, MODEL_SOURCE_FAULT);
}

static void settle(struct model_unit *unit)
{
	if (!conditions(unit))
		unit->fault_event.control &= ~(uint32_t)MODEL_EVENT_IP;
}

void model_fault_write_status(struct model_unit *unit, uint32_t value)
{
	uint32_t clear =
		value & (MODEL_FSTS_PFO | MODEL_FSTS_IQE | MODEL_FSTS_ICE | MODEL_FSTS_ITE);

	if ((clear & unit->fsts & MODEL_FSTS_PFO) && any_record(unit))
		model_report_register(unit, MODEL_FSTS,
		                      "PFO cleared before the fault records are empty", value);
	if (clear & MODEL_FSTS_IQE)
		unit->iqercd &= ~UINT64_C(0xf);
	if (clear & MODEL_FSTS_ICE)
		unit->iqercd &= ~model_mask(63, 48);
	if (clear & MODEL_FSTS_ITE)
		unit->iqercd &= ~model_mask(47, 32);
	unit->fsts &= ~clear;
	settle(unit);
	model_queue_run(unit);
}

/* ---- records ------------------------------------------------------------------------ */

static void record(struct model_unit *unit, uint64_t low, uint64_t high)
{
	struct model_event event = {
		.kind = MODEL_EVENT_FAULT,
		.requester = (uint16_t)high,
		.has_pasid = model_bit(high, 31),
		.pasid = (uint32_t)model_bits(high, 59, 40),
		.address = low,
		.reason = (uint8_t)model_bits(high, 39, 32),
	};
	bool quiet = conditions(unit), first = !any_record(unit);
	unsigned at = unit->record_next;

	if (unit->fsts & MODEL_FSTS_PFO)
		return;
	if (model_bit(unit->records[at].high, 63)) {
		model_fault_status(unit, MODEL_FSTS_PFO);
		return;
	}
	unit->records[at] = (struct model_record){low, high | MODEL_BIT(63)};
	unit->statistics.faults_recorded++;
	if (first)
		unit->fsts = (unit->fsts & ~UINT32_C(0xff00)) | at << 8;
	unit->record_next = (at + 1) % unit->caps.records;
	if (!quiet)
		model_event_raise(unit, &unit->fault_event, MODEL_SOURCE_FAULT);
	model_event_report(unit, &event);
}

uint32_t model_fault_read_record(const struct model_unit *unit, uint64_t offset)
{
	const struct model_record *at = &unit->records[offset / 16];
	uint64_t word = offset & 8 ? at->high : at->low;

	return (uint32_t)(offset & 4 ? word >> 32 : word);
}

void model_fault_write_record(struct model_unit *unit, uint64_t offset, uint32_t value)
{
	if ((offset & 12) != 12 || !(value & 0x80000000u))
		return;
	unit->records[offset / 16].high &= ~MODEL_BIT(63);
	settle(unit);
}

/* ---- answers ------------------------------------------------------------------------- */

static enum answer answer_for(const struct reason *reason, const struct model_request *request)
{
	switch (request->kind) {
	case MODEL_TRANSLATION:
		return reason->translation;
	case MODEL_TRANSLATED:
		return reason->translated;
	case MODEL_PAGE_REQUEST:
		return INVALID; /* whatever the reason: no other answer could say more */
	default:
		return reason->untranslated;
	}
}

/* Types as in T1 (high 62) and T2 (high 28). */
static uint64_t request_type(const struct model_request *request)
{
	const uint64_t t1 = MODEL_BIT(62), t2 = MODEL_BIT(28);

	if (request->kind == MODEL_PAGE_REQUEST)
		return t2;
	if (request->kind == MODEL_TRANSLATION)
		return t1;
	return request->access == MODEL_READ ? t1 : request->access == MODEL_ATOMIC ? t1 | t2 : 0;
}

static void record_request(struct model_walk *walk, uint8_t reason)
{
	const struct model_request *request = walk->request;
	uint64_t high = request->requester | (uint64_t)reason << 32 | request_type(request);

	if (walk->unit->caps.dt && request->kind != MODEL_PAGE_REQUEST)
		high |= (uint64_t)request->kind << 60;
	if (request->has_pasid) {
		high |= MODEL_BIT(31) | (uint64_t)(request->pasid & 0xfffff) << 40;
		high |= request->execute ? MODEL_BIT(30) : 0;
		high |= request->privileged ? MODEL_BIT(29) : 0;
	}
	record(walk->unit, request->address & model_mask(63, 12), high);
	walk->result->logged = true;
}

void model_fault_answer(struct model_walk *walk, uint8_t code)
{
	const struct reason *reason = find(code);
	enum answer answer = answer_for(reason, walk->request);
	struct model_result *result = walk->result;

	result->fault = code;
	result->read = result->write = result->execute = false;
	walk->unit->statistics.faults++;
	if (answer != ZERO && !(reason->qualified && walk->fpd))
		record_request(walk, code);
	switch (answer) {
	case ZERO:
	case ZERO_LOG:
		result->response = MODEL_SUCCESS;
		break;
	case CA:
		result->response = MODEL_ABORT;
		break;
	case INVALID:
		result->response = walk->request->last ? MODEL_INVALID_REQUEST : MODEL_DROPPED;
		break;
	default:
		result->response = MODEL_UNSUPPORTED;
		break;
	}
}

void model_fault_interrupt(struct model_unit *unit, uint16_t requester, uint8_t code, uint64_t info,
                           bool fpd)
{
	unit->statistics.faults++;
	if (!(find(code)->qualified && fpd))
		record(unit, info, requester | (uint64_t)code << 32);
}
