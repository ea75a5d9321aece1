/* SPDX-License-Identifier: MIT */
/*
 * The core's hooks, answered by this kernel. See iommu/os.h for the contract.
 *
 * A lock is a ticket spinlock with interrupts off: fault and completion handlers
 * call into the core. The state of the interrupt flag before is kept in the
 * lock, where only the holder touches it.
 */
#include "kernel/os.h"

#include "iommu/string.h"
#include "kernel/kernel.h"
#include "kernel/lock.h"
#include "kernel/memory.h"
#include "kernel/processor.h"
#include "kernel/vm.h"

_Static_assert(sizeof(struct spinlock) <= sizeof(struct iommu_lock), "a spinlock has its place");

static int os_page_alloc(void *ctx, unsigned order, pa_t *out)
{
	pa_t run;

	(void)ctx;
	if (memory_page_alloc(order, &run) != 0)
		return -ENOMEM; /* also for an order beyond 1 GiB */
	memset(vm_direct(run.value), 0, PAGE_SIZE_4K << order);
	*out = run;
	return 0;
}

/** Pages that a device may still reach must not get a second owner. */
static __attribute__((noinline)) void os_page_free_any(pa_t run, unsigned order)
{
	int result = page_free(&kernel_pages, run, order);

	if (result != 0)
		panic("page_free(%#llx, order %u): %s", (unsigned long long)run.value, order,
		      result == -EBUSY ? "the run is pinned for DMA" : "no such run is allocated");
}

static void os_page_free(void *ctx, pa_t run, unsigned order)
{
	(void)ctx;
	if (__builtin_expect(!order, 1)) {
		const uint64_t flags = irq_save();
		const bool done = page_cache_give(&kernel_pages, &processor_self()->pages, run);
		irq_restore(flags);
		if (__builtin_expect(done, 1))
			return;
	}
	os_page_free_any(run, order);
}

static void *os_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return heap_alloc(bytes);
}

static void os_free(void *ctx, void *object, size_t bytes)
{
	(void)ctx;
	heap_free(object, bytes);
}

static struct spinlock *spinlock_of(struct iommu_lock *lock)
{
	return (struct spinlock *)lock->word;
}

static int os_lock_init(void *ctx, struct iommu_lock *lock, const char *name)
{
	(void)ctx;
	spin_init(spinlock_of(lock), name);
	return 0;
}

static void os_lock_destroy(void *ctx, struct iommu_lock *lock)
{
	const struct ticket *ticket = &spinlock_of(lock)->ticket;

	(void)ctx;
	if (ticket->next != ticket->owner)
		panic("the lock at %p is destroyed while it is held", (void *)lock);
}

/** Wait, or count: what is rare. */
static __attribute__((noinline)) void os_lock_slow(struct spinlock *lock, uint32_t ticket,
                                                   uint64_t flags)
{
	(void)lock_slow(lock, ticket, flags);
	lock->interrupts = flags & CPU_FLAGS_IF;
}

static void os_lock(void *ctx, struct iommu_lock *word)
{
	struct spinlock *lock = spinlock_of(word);
	uint64_t flags = irq_save();
	uint32_t ticket = ticket_draw(&lock->ticket);

	(void)ctx;
	if (__builtin_expect(!ticket_is_served(&lock->ticket, ticket) || lock_measuring, 0)) {
		os_lock_slow(lock, ticket, flags);
		return;
	}
	lock->interrupts = flags & CPU_FLAGS_IF;
}

static void os_unlock(void *ctx, struct iommu_lock *word)
{
	struct spinlock *lock = spinlock_of(word);
	bool interrupts = lock->interrupts;

	(void)ctx;
	ticket_pass(&lock->ticket);
	if (interrupts)
		irq_restore(CPU_FLAGS_IF);
}

static uint64_t os_interrupts_off(void *ctx)
{
	(void)ctx;
	return irq_save();
}

static void os_interrupts_restore(void *ctx, uint64_t before)
{
	(void)ctx;
	irq_restore(before);
}

static unsigned os_processor(void *ctx)
{
	(void)ctx;
	return processor_self()->number;
}

static uint64_t os_now_ns(void *ctx)
{
	(void)ctx;
	return time_ns();
}

static void os_relax(void *ctx)
{
	(void)ctx;
	arch_pause();
}

static int os_mmio_map(void *ctx, pa_t base, uint64_t bytes, struct mmio *out)
{
	(void)ctx;
	/* Registers are neither at address 0 nor where the memory map has RAM, whatever
	 * a table says. */
	if (!base.value || !bytes || bytes - 1 > UINT64_MAX - base.value ||
	    vm_is_ram(base.value, bytes))
		return -ENODEV;
	void *address = vm_map_mmio(base.value, bytes, false);
	if (!address)
		return base.value + (bytes - 1) >= PAGE_ADDRESS_LIMIT ? -ENODEV : -ENOMEM;
	*out = (struct mmio){.base = (uintptr_t)address, .bytes = bytes};
	return 0;
}

static void os_mmio_unmap(void *ctx, struct mmio *window)
{
	(void)ctx;
	vm_unmap_mmio((void *)window->base, window->bytes);
	*window = (struct mmio){0};
}

static int os_msi_alloc(void *ctx, void (*handler)(void *arg), void *arg, struct iommu_msi *out)
{
	(void)ctx;
	return irq_alloc(handler, arg, out);
}

static void os_msi_free(void *ctx, const struct iommu_msi *msi)
{
	(void)ctx;
	irq_free(msi);
}

static void os_log(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	klog(level, "%s", line);
}

const struct iommu_os kernel_os = {
	.direct_map = DIRECT_MAP_BASE,
	.page_alloc = os_page_alloc,
	.page_free = os_page_free,
	.alloc = os_alloc,
	.free = os_free,
	.lock_init = os_lock_init,
	.lock_destroy = os_lock_destroy,
	.lock = os_lock,
	.unlock = os_unlock,
	.processor = os_processor,
	.now_ns = os_now_ns,
	.relax = os_relax,
	.interrupts_off = os_interrupts_off,
	.interrupts_restore = os_interrupts_restore,
	.mmio_map = os_mmio_map,
	.mmio_unmap = os_mmio_unmap,
	.msi_alloc = os_msi_alloc,
	.msi_free = os_msi_free,
	.log = os_log,
};
