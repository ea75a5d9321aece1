/* SPDX-License-Identifier: MIT */
/* The bench on this machine (bench/on_machine.c): the command line's word and the shell's. */
#ifndef KERNEL_BENCH_H
#define KERNEL_BENCH_H

#include "kernel/machine.h"

/** Run the bench's stages whose names begin with @p selection ("": all) on the first engine's
 *  device, or on the mock, and print the results; @p raw: for tools/bench.sh. No scenario or
 *  session may be open. True if nothing failed. */
bool bench_machine(struct machine *machine, const char *selection, bool raw);

#endif
