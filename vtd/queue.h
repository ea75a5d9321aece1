/* SPDX-License-Identifier: MIT */
/*
 * The invalidation queue. VT-d specification 5.10, sections 6.5.2 and 11.4.9.
 *
 * One page of descriptors, of 128 bits in legacy mode and of 256 bits in scalable
 * mode. A submission ends with one wait descriptor, whose completion word lies in
 * the unit's second queue page, and returns when the word is there: the queue is
 * empty between submissions, and its last descriptor is a wait, which is what
 * switching it off needs. Errors, handled with unit->lock held:
 *
 *   IQE  the descriptor at the head is reported and replaced by a wait that nobody
 *        waits for, FSTS.IQE is cleared and the tail written again (QEMU goes on only
 *        then); the submission returns -EIO, as one invalidation was not made;
 *   ITE  a device did not answer: it is cut off (device_tlb.h), so that what it still holds
 *        is of no use to it, and the unit is made to forget what let it pass; ITE is cleared
 *        and a new wait queued in place of the one that hardware dropped. No error;
 *   ICE  a device answered wrongly: cleared, the queue goes on; -EIO.
 *
 * A queue that gives no answer within the deadline, or fails more often than there
 * were descriptors, is dead: unit->broken is set, once and with one line, and every
 * later submission returns -EIO at once.
 */
#ifndef VTD_QUEUE_H
#define VTD_QUEUE_H

#include "vtd/unit.h"

/** Empty the queue and switch it on. The caller has the turn, and holds unit->lock. 0 or an
 *  error, logged. */
int must_check vtd_queue_start(struct vtd_unit *unit);
/** Switch it off; the same. */
int must_check vtd_queue_stop(struct vtd_unit *unit);

struct vtd_request;

/** Execute a request, in order, and wait for it. The caller has the turn (submit.h), and
 *  unit->lock is free. 0, -EIO, -ETIMEDOUT: what it was to forget may then still be cached. */
int must_check vtd_queue_execute_one(struct vtd_unit *unit, const struct vtd_request *request);
/** The same with a request of one descriptor: the usual flush. */
int must_check vtd_queue_execute_quick(struct vtd_unit *unit, const struct vtd_request *request);
/** The same with the requests from @p first through @p last, linked, which have less than
 *  VTD_TURN_DESCRIPTORS together: one wait, and one result. */
int must_check vtd_queue_execute(struct vtd_unit *unit, const struct vtd_request *first,
                                 const struct vtd_request *last);

/** Stop a queue that firmware left on: wait for it to drain, switch it off; if the unit
 *  will not, append a wait to firmware's queue and try again (QEMU stops a queue only
 *  after a wait). unit->lock is held. 0 or an error, logged. */
int must_check vtd_queue_stop_found(struct vtd_unit *unit);

/** What IQERCD.IQEI says; a constant. */
const char *vtd_queue_error_name(unsigned iqei);

#endif
