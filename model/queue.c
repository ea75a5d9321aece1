/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue (6.5.2): fetching, errors, waits. The head moves only past a
 * descriptor that was found valid; IQE and ITE stop the queue until software clears them.
 */
#include "model/unit.h"

unsigned model_queue_entry_bytes(const struct model_unit *unit)
{
	return model_bit(unit->iqa, 11) ? 32 : 16;
}

uint32_t model_queue_bytes(const struct model_unit *unit)
{
	return 0x1000u << model_bits(unit->iqa, 2, 0);
}

static void queue_error(struct model_unit *unit, unsigned code)
{
	unit->iqercd = (unit->iqercd & ~UINT64_C(0xf)) | code;
	model_fault_status(unit, MODEL_FSTS_IQE);
}

static void complete_wait(struct model_unit *unit, const uint64_t d[2])
{
	uint32_t data = (uint32_t)(d[0] >> 32);
	uint64_t address = d[1] & model_mask(unit->config.haw - 1, 2);
	bool had_wait = unit->ics & 1;

	unit->queue_unawaited = 0;
	if (model_bit(d[0], 5) && model_memory_write(unit, address, &data, sizeof(data))) {
		struct model_event event = {
			.kind = MODEL_EVENT_WAIT_STATUS, .address = address, .data = data};

		model_event_report(unit, &event);
	}
	if (!model_bit(d[0], 4))
		return;
	unit->ics |= 1;
	if (!had_wait)
		model_event_raise(unit, &unit->invalidation_event, MODEL_SOURCE_INVALIDATION);
}

/* A device did not answer in time: its tag is freed, waits are aborted, fetching stops. */
static void device_timeout(struct model_unit *unit)
{
	unit->device_silent = false;
	unit->wait_held = false;
	/* Nothing is fetched while ITE is set, so this is always the first. */
	unit->iqercd = (unit->iqercd & ~model_mask(47, 32)) | (uint64_t)unit->device_sid << 32;
	model_fault_status(unit, MODEL_FSTS_ITE);
}

static bool can_fetch(struct model_unit *unit)
{
	if (unit->device_silent && unit->now >= unit->device_due)
		device_timeout(unit);
	return (unit->gsts & MODEL_G_QIE) && unit->iqh != unit->iqt && !unit->wait_held &&
	       !(unit->fsts & (MODEL_FSTS_IQE | MODEL_FSTS_ITE));
}

static void step(struct model_unit *unit)
{
	unsigned bytes = model_queue_entry_bytes(unit), type, code;
	uint64_t d[4] = {0}, address = (unit->iqa & model_mask(63, 12)) + unit->iqh;

	if (unit->iqt >= model_queue_bytes(unit)) {
		queue_error(unit, MODEL_IQEI_TAIL);
		return;
	}
	if (unit->iqt & (bytes - 1)) {
		queue_error(unit, MODEL_IQEI_ALIGN);
		return;
	}
	if (!model_memory_read(unit, address, d, bytes, true)) {
		queue_error(unit, MODEL_IQEI_FETCH);
		return;
	}
	code = model_descriptor_check(unit, d);
	if (code) {
		queue_error(unit, code);
		return;
	}
	unit->iqh = (unit->iqh + bytes) & (model_queue_bytes(unit) - 1);
	type = (unsigned)(d[0] & 0xf);
	unit->statistics.descriptors[type]++;
	unit->last_was_wait = type == 5;
	if (type == 5) {
		unit->unfenced = !model_bit(d[0], 6) && unit->iqh != unit->iqt;
		unit->wait_held = unit->device_silent;
		if (!unit->wait_held)
			complete_wait(unit, d);
		return;
	}
	if (unit->unfenced)
		model_report_simple(
			unit, MODEL_REPORT_UNFENCED,
			"a wait without FN had descriptors behind it, the first of type", type);
	unit->unfenced = false;
	unit->queue_unawaited++;
	model_sanitizer_scan(unit);
	model_descriptor_run(unit, d);
}

void model_queue_run(struct model_unit *unit)
{
	uint64_t latency = unit->config.latency.descriptor;

	while (can_fetch(unit)) {
		if (latency && !unit->queue_running) {
			unit->queue_running = true;
			unit->queue_due = model_due(unit, latency);
		}
		if (latency && unit->now < unit->queue_due)
			return;
		if (latency)
			unit->queue_due = latency > MODEL_NEVER - unit->queue_due
			                          ? MODEL_NEVER
			                          : unit->queue_due + latency;
		step(unit);
	}
	unit->queue_running = false;
}

void model_queue_write_tail(struct model_unit *unit, uint32_t value)
{
	uint32_t bytes = model_queue_bytes(unit), entry = model_queue_entry_bytes(unit);
	uint32_t used, added;

	value &= 0x7fff0;
	if (!(unit->gsts & MODEL_G_QIE)) {
		unit->iqt = value;
		return;
	}
	if (value >= bytes) {
		model_report_simple(unit, MODEL_REPORT_TAIL,
		                    "the queue's tail lies outside it:", value);
	} else {
		used = (unit->iqt - unit->iqh) & (bytes - 1);
		added = (value - unit->iqt) & (bytes - 1);
		if (used + added > bytes - entry)
			model_report_simple(unit, MODEL_REPORT_TAIL,
			                    "the queue's tail passed its head, by a write of",
			                    value);
	}
	unit->iqt = value;
	model_queue_run(unit);
}

void model_queue_enable(struct model_unit *unit, bool enable)
{
	unit->queue_running = false;
	if (enable) {
		if (unit->iqt)
			model_report_register(unit, MODEL_GCMD,
			                      "QIE set while the queue's tail is not 0", unit->iqt);
		unit->last_was_wait = true;
		return;
	}
	if (unit->iqh != unit->iqt || unit->wait_held)
		model_report_register(unit, MODEL_GCMD, "QIE cleared while the queue is not empty",
		                      unit->iqt);
	else if (!unit->last_was_wait)
		model_report_register(unit, MODEL_GCMD,
		                      "QIE cleared though the last descriptor was not a wait",
		                      unit->iqt);
	unit->iqh = 0;
	unit->wait_held = false;
	unit->device_silent = false;
	unit->unfenced = false;
	unit->queue_unawaited = 0;
}
