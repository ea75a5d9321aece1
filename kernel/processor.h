/* SPDX-License-Identifier: MIT */
/*
 * What each processor has of its own. The GS base of a running processor points to its
 * `struct processor`, from cpu_init or smp_main on; nothing else uses GS.
 *
 * The boot processor's lies in the image, the others' in pages of their own, so that no
 * two share a cache line.
 */
#ifndef KERNEL_PROCESSOR_H
#define KERNEL_PROCESSOR_H

#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/lock.h"
#include "kernel/page.h"

enum processor_state {
	PROCESSOR_STARTING, /* told to start, has not come */
	PROCESSOR_PARKED,   /* waits for work, halted */
	PROCESSOR_WORKING,
	PROCESSOR_LEFT_OUT, /* did not come in time; must not come any more */
};

enum processor_work { WORK_NONE, WORK_GIVEN, WORK_TAKEN };

enum { PROCESSOR_STACKS = 1 + IST_COUNT };

struct processor {
	struct processor *self; /* at GS:0 */
	unsigned number;        /* 0 is the boot processor */
	uint32_t apic_id;
	int64_t tsc_offset; /* what makes its time-stamp counter the boot processor's */
	uint64_t last_ns;   /* what time_ns() said here last */
	/* What others write: */
	uint32_t state __attribute__((aligned(64))); /* enum processor_state; atomic */
	uint32_t work;                               /* enum processor_work; atomic */
	void (*function)(void *arg, unsigned index); /* while there is work */
	void *arg;
	unsigned index;
	uint64_t flushed;          /* atomic; the last generation of translations seen, see smp.c */
	uint64_t clock_asked;      /* atomic; 1: wants the boot processor's counter... */
	uint64_t clock_answer;     /* ...which is here when clock_asked is 2 */
	uint64_t jobs, started_ns; /* what it did; when it came */

	struct page_cache pages;
	struct heap_cache objects;
	struct lock_count locks[LOCK_KINDS];
	struct cpu_tables tables;
	struct cpu_stack stacks[PROCESSOR_STACKS];
	char stack_names[PROCESSOR_STACKS][40];
};

/** The running processor's own. Keep interrupts away, or be on a processor that runs one
 *  thing only: nothing here moves from one processor to another. */
static inline struct processor *processor_self(void)
{
	struct processor *self;

	__asm__("movq %%gs:0, %0" : "=r"(self));
	return self;
}

extern struct processor boot_processor;

#endif
