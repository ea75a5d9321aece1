/* SPDX-License-Identifier: MIT */
/* The line in front of the invalidation queue: see submit.h. */
#include "vtd/submit.h"

#include "vtd/invalidate.h"
#include "vtd/queue.h"

static struct vtd_request *next_of(const struct vtd_request *request)
{
	return __atomic_load_n(&request->next, __ATOMIC_ACQUIRE);
}

/* ---- the line ---------------------------------------------------------------------- */

/** Behind @p before. Returns with the turn, or when it is done. */
static __attribute__((noinline)) void follow(struct vtd_unit *unit, struct vtd_request *before,
                                             struct vtd_request *request)
{
	__atomic_store_n(&before->next, request, __ATOMIC_RELEASE);
	/* who leads has deadlines of its own */
	while (__atomic_load_n(&request->state, __ATOMIC_ACQUIRE) == VTD_REQUEST_WAITS)
		unit->os->relax(unit->os->ctx);
}

/** Join the line. True: @p request has the turn; false: it is done. */
static inline bool join(struct vtd_unit *unit, struct vtd_request *request)
{
	const struct iommu_os *os = unit->os;

	request->interrupts = os->interrupts_off ? os->interrupts_off(os->ctx) : 0;
	struct vtd_request *before =
		__atomic_exchange_n(&unit->requests, request, __ATOMIC_ACQ_REL);
	if (__builtin_expect(!before, 1))
		return true;
	follow(unit, before, request);
	return request->state == VTD_REQUEST_LEADS;
}

static inline void leave(const struct vtd_unit *unit, const struct vtd_request *request)
{
	const struct iommu_os *os = unit->os;

	if (os->interrupts_restore)
		os->interrupts_restore(os->ctx, request->interrupts);
}

/** The turn goes to who stands behind @p last, if anybody does. */
static inline void pass_on(struct vtd_unit *unit, struct vtd_request *last)
{
	struct vtd_request *expected = last, *next = next_of(last);

	if (!next) {
		if (__builtin_expect(__atomic_compare_exchange_n(&unit->requests, &expected, NULL,
		                                                 false, __ATOMIC_ACQ_REL,
		                                                 __ATOMIC_RELAXED),
		                     1))
			return;
		while (!(next = next_of(last))) /* it has joined and says so at once */
			unit->os->relax(unit->os->ctx);
	}
	__atomic_store_n(&next->state, VTD_REQUEST_LEADS, __ATOMIC_RELEASE);
}

void vtd_turn_begin(struct vtd_unit *unit, struct vtd_request *request)
{
	*request = (struct vtd_request){0};
	(void)join(unit, request); /* without descriptors, it is never done by another */
}

void vtd_turn_end(struct vtd_unit *unit, struct vtd_request *request)
{
	pass_on(unit, request);
	leave(unit, request);
}

/* ---- requests ---------------------------------------------------------------------- */

/** One request, whatever state the unit is in. */
static int execute(struct vtd_unit *unit, const struct vtd_request *request)
{
	if (!unit->live)
		return 0;
	if (unit->broken)
		return -EIO;
	if (unit->queue_on)
		return vtd_queue_execute_one(unit, request);
	return vtd_execute_by_registers(unit, request->descriptors, request->count);
}

/** All from @p first to @p last in one turn, and their results. */
static __attribute__((noinline)) void execute_all(struct vtd_unit *unit, struct vtd_request *first,
                                                  struct vtd_request *last)
{
	int together = vtd_queue_execute(unit, first, last);

	for (struct vtd_request *at = first;; at = next_of(at)) {
		at->result = together ? execute(unit, at) : 0;
		if (at == last)
			break;
		unit->stats.merged++;
	}
}

/** Tell those behind @p first, to @p last, that they are done: from then on, they may be
 *  gone. */
static void tell(struct vtd_request *first, struct vtd_request *last)
{
	bool more = first != last;

	for (struct vtd_request *at = first->next, *next; more; at = next) {
		more = at != last;
		next = more ? next_of(at) : NULL;
		__atomic_store_n(&at->state, VTD_REQUEST_DONE, __ATOMIC_RELEASE);
	}
}

/** With the turn: what @p own asks for, and those behind it that fit. */
static __attribute__((noinline)) int lead(struct vtd_unit *unit, struct vtd_request *own)
{
	struct vtd_request *last = own, *next = next_of(own);

	if (next && unit->live && !unit->broken && unit->queue_on) {
		for (unsigned all = own->count;
		     next && next->descriptors && all + next->count < VTD_TURN_DESCRIPTORS;
		     next = next_of(last)) {
			all += next->count;
			last = next;
		}
	}
	if (last == own)
		own->result = execute(unit, own);
	else
		execute_all(unit, own, last);
	pass_on(unit, last);
	tell(own, last);
	return own->result;
}

int vtd_submit(struct vtd_unit *unit, const struct vtd_descriptor *descriptors, unsigned count)
{
	struct vtd_request own;
	int result;

	if (!count)
		return 0;
	own.descriptors = descriptors;
	own.count = count;
	own.next = NULL;
	own.state = VTD_REQUEST_WAITS;
	own.result = 0;
	if (__builtin_expect(!join(unit, &own), 0)) {
		result = own.result;
	} else if (__builtin_expect(count == 1 && unit->queue_on && unit->live && !unit->broken &&
	                                    !next_of(&own),
	                            1)) {
		result = vtd_queue_execute_quick(unit, &own);
		pass_on(unit, &own);
	} else {
		result = lead(unit, &own);
	}
	leave(unit, &own);
	return result;
}
