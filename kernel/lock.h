/* SPDX-License-Identifier: MIT */
/*
 * Ticket spinlocks that keep this processor's interrupts away while held: fair,
 * and safe to take in an interrupt handler. They do not nest on themselves.
 *
 * Locks are of kinds, by name ("ufd ioas", "pages"), and what they cost is counted by
 * kind and processor while measuring is on: how often a lock was taken, how often that
 * had to wait and for how many turns, and how often its cache line came from another
 * processor, because that one had held it last. The last is the number to watch on a
 * machine where time shows nothing: it is what does not scale.
 */
#ifndef KERNEL_LOCK_H
#define KERNEL_LOCK_H

#include "kernel/kernel.h"
#include "kernel/ticket.h"

enum { LOCK_KINDS = 64 };

/** All zero is unlocked, of the kind without a name. */
struct spinlock {
	struct ticket ticket;
	/* The holder's: */
	uint32_t contended; /* how often it was waited for */
	uint16_t last;      /* while measuring: the last holder's number + 1 */
	uint8_t kind;
	bool interrupts; /* for kernel_os: were on before */
};

/** Is measuring on? Written by lock_measure() only. */
extern bool lock_measuring;
/** Private: wait until @p ticket is served, if it is not, and count. @return @p flags. */
uint64_t lock_slow(struct spinlock *lock, uint32_t ticket, uint64_t flags);

/** Give an unlocked lock a name, which outlives it: its kind. */
void spin_init(struct spinlock *lock, const char *name);
/** Take the lock. @return what spin_unlock wants. Panics after ten seconds of
 *  waiting: no holder works that long, so it is held by whoever waits. */
static inline uint64_t spin_lock(struct spinlock *lock)
{
	uint64_t flags = irq_save();
	uint32_t ticket = ticket_draw(&lock->ticket);

	if (__builtin_expect(!ticket_is_served(&lock->ticket, ticket) || lock_measuring, 0))
		return lock_slow(lock, ticket, flags);
	return flags;
}

static inline void spin_unlock(struct spinlock *lock, uint64_t flags)
{
	ticket_pass(&lock->ticket);
	irq_restore(flags);
}

/** Take the lock if it is free. @return false, with nothing changed, if not. */
bool must_check spin_try_lock(struct spinlock *lock, uint64_t *flags);

struct lock_count {
	uint64_t acquisitions;
	uint64_t contended; /* acquisitions that had to wait */
	uint64_t spins;     /* turns of waiting */
	uint64_t transfers; /* acquisitions of a lock that another processor held last */
};

/** Set all counts to zero and count from now on, or stop counting. While measuring is off
 *  a lock costs nothing more. By one processor, while the others rest. */
void lock_measure(bool on);
/** The counts of kind @p index from 0, over all processors. @return its name, NULL past the
 *  last kind; "" for locks without a name. */
const char *lock_count_get(unsigned index, struct lock_count *out);

#endif
