/* SPDX-License-Identifier: MIT */
/*
 * What the core asks of a processor: register access of exact width, barriers,
 * cache-line clean, pause. Everything is inline.
 *
 * A register window is a `struct mmio`. With `ops` NULL it is memory-mapped at
 * `base` and each access is one instruction of the width in its name. With
 * `ops` set, each access is a call: that is how a program talks to a model of
 * the hardware, or a hypervisor to a window that it does not map.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <stddef.h>
#include <stdint.h>

/** Register access by call. @p width is 4 or 8 bytes, @p offset from the
 *  window's start. */
struct mmio_ops {
	uint64_t (*read)(void *ctx, uint32_t offset, unsigned width);
	void (*write)(void *ctx, uint32_t offset, unsigned width, uint64_t value);
};

struct mmio {
	uintptr_t base;             /* virtual address, used if ops is NULL */
	uint64_t bytes;             /* length of the window */
	const struct mmio_ops *ops; /* NULL: memory-mapped */
	void *ctx;                  /* handed to ops */
};

/*
 * Each architecture's header supplies:
 *   arch_mmio_read32/64(address), arch_mmio_write32/64(address, value)
 *   arch_barrier()       orders all earlier loads and stores before all later ones, as seen by devices
 *   arch_write_barrier() orders stores only
 *   arch_clean_line(p)   writes the cache line of p back to memory (ARCH_CACHE_LINE bytes)
 *   arch_clean_4_lines(p)   those of p and of the 64th, 128th and 192nd byte after it
 *   arch_pause()         tells the processor that it is waiting
 *   arch_store128(p, lo, hi)  one atomic 16-byte store to 16-byte aligned p
 */
#if defined(NESTOR_HOSTED)
#include "arch/host/processor.h"
#elif defined(__x86_64__)
#include "arch/x86_64/processor.h"
#else
#error "no arch/ header for this processor"
#endif

static inline uint32_t mmio_read32(const struct mmio *window, uint32_t offset)
{
	if (window->ops)
		return (uint32_t)window->ops->read(window->ctx, offset, 4);
	return arch_mmio_read32(window->base + offset);
}

static inline uint64_t mmio_read64(const struct mmio *window, uint32_t offset)
{
	if (window->ops)
		return window->ops->read(window->ctx, offset, 8);
	return arch_mmio_read64(window->base + offset);
}

static inline void mmio_write32(const struct mmio *window, uint32_t offset, uint32_t value)
{
	if (window->ops)
		window->ops->write(window->ctx, offset, 4, value);
	else
		arch_mmio_write32(window->base + offset, value);
}

static inline void mmio_write64(const struct mmio *window, uint32_t offset, uint64_t value)
{
	if (window->ops)
		window->ops->write(window->ctx, offset, 8, value);
	else
		arch_mmio_write64(window->base + offset, value);
}

#endif
