/* SPDX-License-Identifier: MIT */
/*
 * The primary fault log: reasons by name, draining, and the fault event. VT-d
 * specification 5.10, sections 7.1 to 7.3, 11.4.7; reasons: Tables 15 and 30.
 */
#ifndef VTD_FAULT_H
#define VTD_FAULT_H

#include "vtd/unit.h"

struct vtd_reason {
	uint8_t code;
	const char *mnemonic; /* "LGN.2" */
	const char *text;     /* "no write permission" */
};

/** The reason with @p code. Never NULL: unknown codes have an entry that says so. */
const struct vtd_reason *vtd_reason(unsigned code);
/** Is it a fault of an interrupt request? */
static inline bool vtd_reason_is_interrupt(unsigned code)
{
	return code >= 0x20 && code <= 0x2f;
}

/** As iommu_unit_ops.poll. */
unsigned vtd_fault_poll(struct iommu_unit *base);

/** Have a message sent at faults, if the embedder has interrupts; else the log is polled
 *  only. Not an error. */
void vtd_fault_event_start(struct vtd_unit *unit);
/** Mask it again and give the message back. */
void vtd_fault_event_stop(struct vtd_unit *unit);
/** Forget what was logged before the unit was ours. */
void vtd_fault_discard(struct vtd_unit *unit);

#endif
