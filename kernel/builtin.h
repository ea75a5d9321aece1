/* SPDX-License-Identifier: MIT */
/* The scenario files that the image carries; made by tools/embed.sh. */
#ifndef KERNEL_BUILTIN_H
#define KERNEL_BUILTIN_H

#include <stdint.h>

struct builtin_file {
	const char *name;  /* without ".scn"; NULL ends the table */
	const char *start; /* followed by a NUL that is not counted */
	uint64_t bytes;
};

extern const struct builtin_file builtin_files[];

#endif
