/* SPDX-License-Identifier: MIT */
/* A test of this kernel on many processors: `smp=N` on the command line, `smp-test` in the
 * shell. */
#ifndef KERNEL_SMP_STRESS_H
#define KERNEL_SMP_STRESS_H

#include "kernel/machine.h"

/** Run on @p processors processors (0: all that there are) what they share: locks, both
 *  allocators, translations, and disjoint IOASes on the mock and on the machine's unit.
 *  Prints KTAP, and what the locks cost. No scenario or session may be open. True if
 *  nothing failed. */
bool smp_stress(struct machine *machine, unsigned processors);

#endif
