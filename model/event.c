/* SPDX-License-Identifier: MIT */
/*
 * The unit's own interrupts (11.4.7 and the like): a message register group with mask
 * and pending. They are edge messages and are never remapped.
 */
#include "model/unit.h"

void model_event_report(struct model_unit *unit, const struct model_event *event)
{
	if (unit->hooks.event)
		unit->hooks.event(unit->hooks.context, event);
}

void model_event_send(struct model_unit *unit, enum model_source_kind source, uint64_t address,
                      uint32_t data)
{
	struct model_event event = {
		.kind = MODEL_EVENT_INTERRUPT,
		.source = source,
		.address = address,
		.data = data,
	};

	unit->statistics.messages++;
	model_event_report(unit, &event);
}

static void deliver(struct model_unit *unit, struct model_message *message,
                    enum model_source_kind source)
{
	message->control &= ~(uint32_t)MODEL_EVENT_IP;
	model_event_send(unit, source, (uint64_t)message->upper << 32 | message->address,
	                 message->data);
}

void model_event_raise(struct model_unit *unit, struct model_message *message,
                       enum model_source_kind source)
{
	message->control |= MODEL_EVENT_IP;
	if (!(message->control & MODEL_EVENT_IM))
		deliver(unit, message, source);
}

void model_event_write_control(struct model_unit *unit, struct model_message *message,
                               enum model_source_kind source, uint32_t value)
{
	message->control =
		(message->control & ~(uint32_t)MODEL_EVENT_IM) | (value & (uint32_t)MODEL_EVENT_IM);
	if ((message->control & MODEL_EVENT_IP) && !(message->control & MODEL_EVENT_IM))
		deliver(unit, message, source);
}
