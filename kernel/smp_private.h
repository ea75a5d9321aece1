/* SPDX-License-Identifier: MIT */
/* What smp.c (processors that run) and smp_start.c (how they get there) share. */
#ifndef KERNEL_SMP_PRIVATE_H
#define KERNEL_SMP_PRIVATE_H

#include "kernel/processor.h"
#include "kernel/smp.h"

/** By number, the boot processor first; changed by the boot processor only. */
extern struct processor *smp_processors[SMP_MAX_PROCESSORS];
extern unsigned smp_processor_count;
extern unsigned smp_present_count, smp_start_us;

static inline uint32_t smp_state(const struct processor *processor)
{
	return __atomic_load_n(&processor->state, __ATOMIC_SEQ_CST);
}

/** Wait for work, and do it, for ever. On a processor that has come. */
void noreturn smp_work(struct processor *self);

#endif
