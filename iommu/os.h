/* SPDX-License-Identifier: MIT */
/*
 * The hooks: everything that the core asks of its surroundings.
 *
 * An embedder fills one `struct iommu_os` and keeps it, unchanged, for as long
 * as anything made with it lives. Every hook is called with `ctx`. Many such
 * structures can exist in one program; the core has no state of its own.
 *
 * Unless a hook says otherwise it may be called with core locks held, so it
 * must not call back into the core, and it must be safe to call from any
 * processor at once.
 */
#ifndef IOMMU_OS_H
#define IOMMU_OS_H

#include "arch/arch.h"
#include "iommu/types.h"

/** A lock, embedded in a core object. The embedder decides what it means; the
 *  core never looks inside. Two words are enough for a ticket lock or for a
 *  pointer to something larger. */
struct iommu_lock {
	uintptr_t word[2];
};

/** A message-signalled interrupt: what a device must write, and where. */
struct iommu_msi {
	uint64_t address;
	uint32_t data;
};

enum iommu_log_level {
	IOMMU_LOG_ERROR,   /* the thing asked for did not happen */
	IOMMU_LOG_WARNING, /* it happened, and something about it is wrong */
	IOMMU_LOG_INFO,    /* what a person wants to see once */
	IOMMU_LOG_DEBUG,   /* each step */
};

struct iommu_os {
	void *ctx;

	/** The virtual address at which physical address 0 would appear: every
	 *  page from page_alloc is readable and writable at direct_map + pa. */
	uintptr_t direct_map;

	/** 2^order pages of 4096 bytes, contiguous, aligned to their size, all
	 *  zero (and clean if the unit does not snoop: the core cleans what it
	 *  publishes). 0, or -ENOMEM. */
	int (*page_alloc)(void *ctx, unsigned order, pa_t *out);
	/** Give such a run back. Cannot fail. */
	void (*page_free)(void *ctx, pa_t run, unsigned order);

	/** @p bytes of zeroed object memory, aligned for any type; NULL if none. */
	void *(*alloc)(void *ctx, size_t bytes);
	/** Give it back; @p bytes is what was asked for. NULL is allowed. */
	void (*free)(void *ctx, void *object, size_t bytes);

	/** A lock is initialised before first use (0 or -ENOMEM) and destroyed
	 *  unlocked. Locks do not nest on themselves. lock() must also keep this
	 *  processor's interrupts away if interrupts call into the core. */
	int (*lock_init)(void *ctx, struct iommu_lock *lock, const char *name);
	void (*lock_destroy)(void *ctx, struct iommu_lock *lock);
	void (*lock)(void *ctx, struct iommu_lock *lock);
	void (*unlock)(void *ctx, struct iommu_lock *lock);

	/** Both NULL, or: keep this processor's interrupts away, and have them as they were
	 *  before. Needed where handlers of msi_alloc run on top of a thread that is in the
	 *  core. Nests. */
	uint64_t (*interrupts_off)(void *ctx);
	void (*interrupts_restore)(void *ctx, uint64_t before);

	/** NULL, or: a number of the processor or thread that asks, small for few of them. Wrong
	 *  is none; what different ones count lies in different cache lines. */
	unsigned (*processor)(void *ctx);

	/** Nanoseconds since some fixed moment; never goes back. */
	uint64_t (*now_ns)(void *ctx);
	/** Called in every turn of a wait. A simulated unit makes progress here. */
	void (*relax)(void *ctx);

	/** NULL, or: make what the CPU wrote to these bytes visible to a unit that
	 *  does not snoop. NULL means the processor's own cache-line instruction. */
	void (*clean)(void *ctx, const void *start, size_t bytes);

	/** A register window of a unit: @p bytes at physical @p base, uncached.
	 *  Fills @p out. 0, -ENOMEM, or -ENODEV if nothing can be there. */
	int (*mmio_map)(void *ctx, pa_t base, uint64_t bytes, struct mmio *out);
	void (*mmio_unmap)(void *ctx, struct mmio *window);

	/** NULL, or: an interrupt of the embedder's: @p handler(@p arg) runs at
	 *  every message, with no core lock held. 0 or -ENOSPC. NULL: poll only. */
	int (*msi_alloc)(void *ctx, void (*handler)(void *arg), void *arg, struct iommu_msi *out);
	void (*msi_free)(void *ctx, const struct iommu_msi *msi);

	/** One finished line of text, without a newline. May be NULL. */
	void (*log)(void *ctx, enum iommu_log_level level, const char *line);
};

/** The pointer through which the CPU reaches physical address @p address. */
static inline void *iommu_os_va(const struct iommu_os *os, pa_t address)
{
	return (void *)(os->direct_map + address.value);
}

/** The physical address of a pointer into the direct map. */
static inline pa_t iommu_os_pa(const struct iommu_os *os, const void *pointer)
{
	return pa((uintptr_t)pointer - os->direct_map);
}

/** Format one line and hand it to os->log. See iommu/print.h for the formats. */
void iommu_log(const struct iommu_os *os, enum iommu_log_level level, const char *format, ...)
	printf_like(3, 4);

#endif
