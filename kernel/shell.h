/* SPDX-License-Identifier: MIT */
/*
 * The shell: the commands of the scenario language, typed. Portable: bytes come in
 * and text goes out by hooks; the kernel gives it its console, the hosted runner a
 * terminal.
 */
#ifndef KERNEL_SHELL_H
#define KERNEL_SHELL_H

#include "kernel/scn.h"

enum {
	SHELL_NOTHING = -1, /* no byte now */
	SHELL_END = -2,     /* there will be none any more */
};

struct shell_io {
	void *ctx;
	/** A byte of input, or one of the above. Must not wait. */
	int (*read)(void *ctx);
	/** Nothing to do: wait until something may have happened, 10 ms at most. */
	void (*idle)(void *ctx);
	unsigned columns; /* of the terminal; 0: 80 */
	/** NULL, or: the bench, stages whose names begin with @p selection. */
	void (*bench)(void *ctx, const char *selection);
	/** NULL, or: list the processors. */
	void (*processors)(void *ctx);
	/** NULL, or: the test of @p processors processors; 0: all. */
	void (*smp_test)(void *ctx, unsigned processors);
};

enum shell_end { SHELL_EXIT, SHELL_POWEROFF, SHELL_RESET };

/** Read and run commands until `exit`, `poweroff`, `reset` or the end of input. What the
 *  session made is given back. Faults that arrive meanwhile are shown.
 *  @return how it ended; SHELL_EXIT also if it could not start, after a line that says why. */
enum shell_end shell_run(const struct scn_platform *platform, const struct shell_io *io);

#endif
