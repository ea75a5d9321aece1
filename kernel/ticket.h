/* SPDX-License-Identifier: MIT */
/*
 * The ticket lock itself: who comes first is served first. Portable, so that a hosted
 * test can run it on threads; kernel/lock.c adds what a processor needs.
 *
 * All zero is unlocked. `next` is the ticket that the next comer draws, `owner` the one
 * that is served; both count round. 2^32 - 1 may wait at a time.
 */
#ifndef KERNEL_TICKET_H
#define KERNEL_TICKET_H

#include <stdbool.h>
#include <stdint.h>

struct ticket {
	uint32_t next, owner;
};

/** Draw a ticket. The lock is held once ticket_is_served() says so. */
static inline uint32_t ticket_draw(struct ticket *lock)
{
	return __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
}

static inline bool ticket_is_served(const struct ticket *lock, uint32_t ticket)
{
	return __atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) == ticket;
}

/** By the holder. */
static inline void ticket_pass(struct ticket *lock)
{
	uint32_t owner = __atomic_load_n(&lock->owner, __ATOMIC_RELAXED);

	__atomic_store_n(&lock->owner, owner + 1, __ATOMIC_RELEASE);
}

/** Take the lock if nobody has it or waits for it. */
static inline bool ticket_try(struct ticket *lock)
{
	uint32_t owner = __atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE), next = owner;

	return __atomic_compare_exchange_n(&lock->next, &next, owner + 1, false, __ATOMIC_ACQUIRE,
	                                   __ATOMIC_RELAXED);
}

#endif
