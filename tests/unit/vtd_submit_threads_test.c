/* SPDX-License-Identifier: MIT */
/*
 * The line in front of the invalidation queue: who stands there together shares one wait, in
 * the order of coming; an error is that of the one who made it; whoever wants the queue alone
 * has it alone; and threads that come and go lose nothing. Under the thread sanitizer.
 */
#include <pthread.h>
#include <sched.h>

#include "tests/unit/vtd_bench.h"
#include "vtd/submit.h"

enum { THREADS = 4, ROUNDS = 2000, LARGE = 300 };

struct submitter {
	pthread_t thread;
	struct vtd_unit *unit;
	struct vtd_descriptor descriptors[LARGE];
	unsigned count, rounds, failures;
};

static void *submit(void *arg)
{
	struct submitter *self = arg;

	for (unsigned i = 0; i < self->rounds; i++)
		self->failures += vtd_submit(self->unit, self->descriptors, self->count) != 0;
	return NULL;
}

/** @p count descriptors that forget domain id @p did. */
static void begin(struct submitter *self, uint16_t did, unsigned count, unsigned rounds)
{
	self->unit = vtd_unit_of(device->unit);
	self->count = count;
	self->rounds = rounds;
	self->failures = 0;
	for (unsigned i = 0; i < count; i++)
		self->descriptors[i] = vtd_desc_iotlb(VTD_IOTLB_DOMAIN, did);
	KTAP_EQUAL(pthread_create(&self->thread, NULL, submit, self), 0);
}

static void end(struct submitter *self)
{
	KTAP_EQUAL(pthread_join(self->thread, NULL), 0);
}

/** Until somebody stands behind @p request; the same of who that is. */
static struct vtd_request *behind(struct vtd_request *request)
{
	struct vtd_request *next;

	while (!(next = __atomic_load_n(&request->next, __ATOMIC_ACQUIRE)))
		;
	return next;
}

static void shared_wait(void)
{
	static struct submitter submitters[3];
	struct vtd_request own, *last = &own;

	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP, NULL, 0);
	struct vtd_unit *unit = vtd_unit_of(device->unit);
	unsigned waits = fake.descriptors[VTD_DESC_WAIT];
	uint64_t merged = unit->stats.merged, writes = unit->window.writes;
	vtd_turn_begin(unit, &own);
	for (unsigned i = 0; i < 3; i++) {
		begin(&submitters[i], (uint16_t)(5 + i), i + 1, 1);
		last = behind(last);
	}
	KTAP_EQUAL(fake.descriptors[VTD_DESC_WAIT], waits);
	vtd_turn_end(unit, &own);
	for (unsigned i = 0; i < 3; i++) {
		end(&submitters[i]);
		KTAP_EQUAL(submitters[i].failures, 0);
	}
	KTAP_EQUAL(fake.descriptors[VTD_DESC_WAIT], waits + 1);
	KTAP_EQUAL(unit->stats.merged, merged + 2);
	KTAP_EQUAL(unit->window.writes, writes + 1);
	FAKE_EVENTS(&fake, "I2:5 I2:6 I2:6 I2:7 I2:7 I2:7");
	fake_exit(&fake);
}

static void one_error(void)
{
	static struct submitter submitters[3];
	struct vtd_request own, *last = &own;

	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP, NULL, 0);
	fake.refuse = vtd_desc_iotlb(VTD_IOTLB_DOMAIN, 6).word[0];
	vtd_turn_begin(vtd_unit_of(device->unit), &own);
	for (unsigned i = 0; i < 3; i++) {
		begin(&submitters[i], (uint16_t)(5 + i), 2, 1);
		last = behind(last);
	}
	vtd_turn_end(vtd_unit_of(device->unit), &own);
	for (unsigned i = 0; i < 3; i++) {
		end(&submitters[i]);
		KTAP_EQUAL(submitters[i].failures, i == 1);
	}
	FAKE_LOG(&fake, "was refused");
	/* together, then each alone; what is refused is not executed */
	FAKE_EVENTS(&fake, "I2:5 I2:5 I2:7 I2:7 I2:5 I2:5 I2:7 I2:7");
	fake.refuse = 0;
	fake_exit(&fake);
}

/** Larger than a turn, larger than the ring: alone, and not between the others. */
static void large(void)
{
	static struct submitter submitters[3];
	struct vtd_request own, *last = &own;

	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP, NULL, 0);
	struct vtd_unit *unit = vtd_unit_of(device->unit);
	unsigned iotlb = fake.descriptors[VTD_DESC_IOTLB];
	unsigned waits = fake.descriptors[VTD_DESC_WAIT];
	vtd_turn_begin(unit, &own);
	begin(&submitters[0], 5, 1, 1);
	last = behind(last);
	begin(&submitters[1], 6, LARGE, 1);
	last = behind(last);
	begin(&submitters[2], 7, 1, 1);
	(void)behind(last);
	vtd_turn_end(unit, &own);
	for (unsigned i = 0; i < 3; i++) {
		end(&submitters[i]);
		KTAP_EQUAL(submitters[i].failures, 0);
	}
	KTAP_EQUAL(fake.descriptors[VTD_DESC_IOTLB], iotlb + LARGE + 2);
	KTAP_EQUAL(fake.descriptors[VTD_DESC_WAIT], waits + 4); /* 300 are two rounds of the ring */
	KTAP_EQUAL(unit->stats.merged, 0);
	fake_exit(&fake);
}

static void races(void)
{
	static struct submitter submitters[THREADS];
	struct vtd_request own;

	start(FAKE_PLAIN_CAP, FAKE_PLAIN_ECAP, NULL, 0);
	struct vtd_unit *unit = vtd_unit_of(device->unit);
	unsigned iotlb = fake.descriptors[VTD_DESC_IOTLB];
	unsigned waits = fake.descriptors[VTD_DESC_WAIT];
	for (unsigned i = 0; i < THREADS; i++)
		begin(&submitters[i], (uint16_t)(5 + i), i + 1, ROUNDS);
	for (unsigned i = 0; i < ROUNDS / 10; i++) {
		vtd_turn_begin(unit, &own);
		unsigned before = fake.descriptors[VTD_DESC_WAIT];
		sched_yield();
		KTAP_EQUAL(fake.descriptors[VTD_DESC_WAIT], before);
		vtd_turn_end(unit, &own);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		end(&submitters[i]);
		KTAP_EQUAL(submitters[i].failures, 0);
	}
	KTAP_EQUAL(fake.descriptors[VTD_DESC_IOTLB], iotlb + ROUNDS * (1 + 2 + 3 + 4));
	KTAP_EQUAL(fake.descriptors[VTD_DESC_WAIT] - waits + unit->stats.merged, THREADS * ROUNDS);
	KTAP_CHECK(!unit->requests);
	printf("# %llu of %d submissions shared a wait\n", (unsigned long long)unit->stats.merged,
	       THREADS * ROUNDS);
	fake_exit(&fake);
}

static const struct ktap_case cases[] = {
	{"who waits together shares a wait and a write of the tail, in order", shared_wait},
	{"an error is that of who made it", one_error},
	{"what is larger than a turn goes alone", large},
	{"threads come and go, and one wants the queue alone", races},
};
KTAP_MAIN(cases)
