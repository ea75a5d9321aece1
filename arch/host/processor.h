/* SPDX-License-Identifier: MIT */
/*
 * Hosted build: the primitives of arch/arch.h for a program on an operating
 * system. Register windows have `ops` here (a model answers), so the direct
 * accessors are plain volatile accesses to memory that a test supplies.
 */
#ifndef ARCH_HOST_PROCESSOR_H
#define ARCH_HOST_PROCESSOR_H

#include <stdint.h>

#define ARCH_CACHE_LINE 64u

static inline uint32_t arch_mmio_read32(uintptr_t address)
{
	return *(volatile uint32_t *)address;
}

static inline uint64_t arch_mmio_read64(uintptr_t address)
{
	return *(volatile uint64_t *)address;
}

static inline void arch_mmio_write32(uintptr_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

static inline void arch_mmio_write64(uintptr_t address, uint64_t value)
{
	*(volatile uint64_t *)address = value;
}

static inline void arch_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void arch_write_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void arch_clean_line(const void *address)
{
	(void)address;
}

static inline void arch_clean_4_lines(const void *address)
{
	(void)address;
}

static inline void arch_pause(void)
{
}

/* Two accesses, not one: the other observers are a model and its checks. Bit 0 of the low
 * word is what makes an entry present, so the high word changes while it is not. */
static inline void arch_store128(volatile void *address, uint64_t low, uint64_t high)
{
	volatile uint64_t *word = address;

	if (!(low & 1))
		__atomic_store_n(&word[0], low, __ATOMIC_RELEASE);
	__atomic_store_n(&word[1], high, __ATOMIC_RELEASE);
	if (low & 1)
		__atomic_store_n(&word[0], low, __ATOMIC_RELEASE);
}

#endif
