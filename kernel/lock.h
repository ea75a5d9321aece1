/* SPDX-License-Identifier: MIT */
/*
 * Ticket spinlocks that keep this processor's interrupts away while held: fair,
 * and safe to take in an interrupt handler. They do not nest on themselves.
 */
#ifndef KERNEL_LOCK_H
#define KERNEL_LOCK_H

#include "kernel/kernel.h"

/** All zero is unlocked. */
struct spinlock {
	uint32_t next, owner;
};

/** Take the lock. @return what spin_unlock wants. Panics after ten seconds of
 *  waiting: no holder works that long, so it is held by whoever waits. */
uint64_t spin_lock(struct spinlock *lock);
void spin_unlock(struct spinlock *lock, uint64_t flags);
/** Take the lock if it is free. @return false, with nothing changed, if not. */
bool must_check spin_try_lock(struct spinlock *lock, uint64_t *flags);

#endif
