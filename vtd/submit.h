/* SPDX-License-Identifier: MIT */
/*
 * Who uses a unit's invalidation queue, and when. Several processors flush at a time, and a
 * wait costs the hardware as much as an invalidation: so they form a line. Who comes into an
 * empty one has the turn: it puts its descriptors into the ring, behind them those of all who
 * joined meanwhile, then one wait, and waits for it outside of every lock. Who joined finds
 * its request done, and has touched neither ring nor register. Then the next in line, if any,
 * has the turn, with all who joined by then: n processors cost two waits at most, and it is
 * fair.
 *
 * A request that was done together with others and met an error is done again alone, so that
 * everybody learns of his own. VT-d specification 5.10, section 6.5.2.
 *
 * Invariants: whoever has the turn keeps this processor's interrupts away, since a handler
 * may want it too; it may take unit->lock, so nobody waits for the turn with that lock held.
 */
#ifndef VTD_SUBMIT_H
#define VTD_SUBMIT_H

#include "vtd/unit.h"

/** A place in the line, on the stack of who waits there. */
struct vtd_request {
	const struct vtd_descriptor *descriptors; /* NULL: wants the turn for itself */
	unsigned count;
	struct vtd_request *next; /* atomic: who came after */
	uint32_t state;           /* atomic: enum vtd_request_state */
	int result;
	uint64_t interrupts; /* as they were */
};

/** Requests of less descriptors than this are put together: they fit into any ring. */
enum { VTD_TURN_DESCRIPTORS = 64 };

enum vtd_request_state { VTD_REQUEST_WAITS, VTD_REQUEST_LEADS, VTD_REQUEST_DONE };

/** Execute @p count descriptors now, in order, by queue or by registers, and wait for them.
 *  unit->lock is not held. A unit that does not use our tables (not live) has nothing to
 *  forget: 0. Otherwise 0, -EIO, -ETIMEDOUT: what they were to forget may then still be
 *  cached. */
int must_check vtd_submit(struct vtd_unit *unit, const struct vtd_descriptor *descriptors,
                          unsigned count);

/** Have the queue alone, to switch it on or off: before unit->lock is taken, and after it was
 *  given back. */
void vtd_turn_begin(struct vtd_unit *unit, struct vtd_request *request);
void vtd_turn_end(struct vtd_unit *unit, struct vtd_request *request);

#endif
