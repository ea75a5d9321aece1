/* SPDX-License-Identifier: MIT */
/*
 * x86-64: the primitives of arch/arch.h. Intel SDM volume 3, chapters 9 and 12.
 *
 * The access width of a register is part of its contract, so loads and stores
 * to registers are written as instructions and not as volatile accesses, which
 * a compiler may widen, split or merge with arithmetic.
 */
#ifndef ARCH_X86_64_PROCESSOR_H
#define ARCH_X86_64_PROCESSOR_H

#include <stdint.h>

#define ARCH_CACHE_LINE 64u

static inline uint32_t arch_mmio_read32(uintptr_t address)
{
	uint32_t value;
	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline uint64_t arch_mmio_read64(uintptr_t address)
{
	uint64_t value;
	__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void arch_mmio_write32(uintptr_t address, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

static inline void arch_mmio_write64(uintptr_t address, uint64_t value)
{
	__asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(address) : "memory");
}

static inline void arch_barrier(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

static inline void arch_write_barrier(void)
{
	__asm__ volatile("sfence" : : : "memory");
}

static inline void arch_clean_line(const void *address)
{
	__asm__ volatile("clflush %0" : : "m"(*(const char *)address) : "memory");
}

/* (one statement: a compiler would compute each address by an instruction of its own) */
static inline void arch_clean_4_lines(const void *address)
{
	__asm__ volatile("clflush (%0)\n\tclflush 64(%0)\n\tclflush 128(%0)\n\tclflush 192(%0)"
	                 :
	                 : "r"(address)
	                 : "memory");
}

static inline void arch_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void arch_store128(volatile void *address, uint64_t low, uint64_t high)
{
	volatile uint64_t *word = address;
	uint64_t old_low = word[0], old_high = word[1];
	unsigned char done;
	do {
		__asm__ volatile("lock cmpxchg16b %1\n\tsetz %0"
		                 : "=q"(done), "+m"(*(volatile unsigned __int128 *)address),
		                   "+a"(old_low), "+d"(old_high)
		                 : "b"(low), "c"(high)
		                 : "memory", "cc");
	} while (!done);
}

#endif
