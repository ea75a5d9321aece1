/* SPDX-License-Identifier: MIT */
/* Ticket spinlocks and what they cost. See kernel/lock.h. Intel SDM volume 3, 9.1.2 and 9.10.4. */
#include "kernel/lock.h"

#include "arch/arch.h"
#include "iommu/string.h"
#include "kernel/processor.h"
#include "kernel/smp.h"

#define LOCK_DEADLINE_NS UINT64_C(10000000000)

/* Kinds are found by the address of their name, with open addressing. Kind 0 has none. */
static const char *kind_names[LOCK_KINDS] = {""};

bool lock_measuring;

/* ---- kinds ------------------------------------------------------------------------------ */

static unsigned kind_find(const char *name)
{
	uintptr_t hash = (uintptr_t)name;

	hash = (hash >> 3) ^ (hash >> 9);
	for (unsigned i = 0; i < LOCK_KINDS; i++) {
		unsigned at = (unsigned)(hash + i) % LOCK_KINDS;
		const char *there = __atomic_load_n(&kind_names[at], __ATOMIC_RELAXED);
		if (there == name)
			return at;
		if (!there && __atomic_compare_exchange_n(&kind_names[at], &there, name, false,
		                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return at;
		if (there == name) /* another processor was faster */
			return at;
	}
	return 0;
}

void spin_init(struct spinlock *lock, const char *name)
{
	*lock = (struct spinlock){.kind = (uint8_t)kind_find(name)};
}

/* ---- counting --------------------------------------------------------------------------- */

void lock_measure(bool on)
{
	struct processor *processor;

	for (unsigned i = 0; on && (processor = smp_processor(i)) != NULL; i++)
		memset(processor->locks, 0, sizeof(processor->locks));
	__atomic_store_n(&lock_measuring, on, __ATOMIC_SEQ_CST);
}

static void add(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

const char *lock_count_get(unsigned index, struct lock_count *out)
{
	const struct processor *processor;
	unsigned kind = 0;

	for (; kind < LOCK_KINDS; kind++)
		if (kind_names[kind] && !index--)
			break;
	if (kind == LOCK_KINDS)
		return NULL;
	*out = (struct lock_count){0};
	for (unsigned i = 0; (processor = smp_processor(i)) != NULL; i++) {
		const struct lock_count *count = &processor->locks[kind];
		out->acquisitions += __atomic_load_n(&count->acquisitions, __ATOMIC_RELAXED);
		out->contended += __atomic_load_n(&count->contended, __ATOMIC_RELAXED);
		out->spins += __atomic_load_n(&count->spins, __ATOMIC_RELAXED);
		out->transfers += __atomic_load_n(&count->transfers, __ATOMIC_RELAXED);
	}
	return kind_names[kind];
}

/** Just taken, after @p spins turns. */
static void __attribute__((noinline)) count(struct spinlock *lock, uint64_t spins)
{
	struct processor *self = processor_self();
	struct lock_count *counts = &self->locks[lock->kind];

	add(&counts->acquisitions, 1);
	if (spins) {
		add(&counts->contended, 1);
		add(&counts->spins, spins);
	}
	if (lock->last && lock->last != self->number + 1)
		add(&counts->transfers, 1);
	lock->last = (uint16_t)(self->number + 1);
}

/* ---- locks ------------------------------------------------------------------------------ */

/** @return how many turns it took, at least 1. */
static uint64_t __attribute__((noinline)) wait(struct spinlock *lock, uint32_t ticket)
{
	uint64_t spins = 0, start = 0;

	do {
		spins++;
		arch_pause();
		/* The holder may be waiting for this processor to forget a translation. */
		smp_relax();
		if (!start)
			start = time_ns();
		else if (spins % 64 == 0 && time_ns() - start > LOCK_DEADLINE_NS)
			panic("the lock at %p has been held for 10 s: its holder waits for itself",
			      (void *)lock);
	} while (!ticket_is_served(&lock->ticket, ticket));
	lock->contended++;
	return spins;
}

uint64_t lock_slow(struct spinlock *lock, uint32_t ticket, uint64_t flags)
{
	uint64_t spins = 0;

	if (!ticket_is_served(&lock->ticket, ticket))
		spins = wait(lock, ticket);
	if (lock_measuring)
		count(lock, spins);
	return flags;
}

bool spin_try_lock(struct spinlock *lock, uint64_t *flags)
{
	*flags = irq_save();
	if (ticket_try(&lock->ticket)) {
		if (__builtin_expect(lock_measuring, 0))
			count(lock, 0);
		return true;
	}
	irq_restore(*flags);
	return false;
}
