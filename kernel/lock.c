/* SPDX-License-Identifier: MIT */
/* Ticket spinlocks. See kernel/lock.h. Intel SDM volume 3, 9.1.2 and 9.10.4. */
#include "kernel/lock.h"

#include "arch/arch.h"

#define LOCK_DEADLINE_NS UINT64_C(10000000000)

uint64_t spin_lock(struct spinlock *lock)
{
	uint64_t flags = irq_save();
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
	uint64_t start = 0;

	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket) {
		arch_pause();
		if (!start)
			start = time_ns();
		else if (time_ns() - start > LOCK_DEADLINE_NS)
			panic("the lock at %p has been held for 10 s: its holder waits for itself",
			      (void *)lock);
	}
	return flags;
}

void spin_unlock(struct spinlock *lock, uint64_t flags)
{
	__atomic_store_n(&lock->owner, lock->owner + 1, __ATOMIC_RELEASE);
	irq_restore(flags);
}

bool spin_try_lock(struct spinlock *lock, uint64_t *flags)
{
	*flags = irq_save();
	uint32_t owner = __atomic_load_n(&lock->owner, __ATOMIC_RELAXED), next = owner;

	if (__atomic_compare_exchange_n(&lock->next, &next, owner + 1, false, __ATOMIC_ACQUIRE,
	                                __ATOMIC_RELAXED))
		return true;
	irq_restore(*flags);
	return false;
}
