/* SPDX-License-Identifier: MIT */
/*
 * Unit tests in the kernel: programs of tests/unit, linked into an image of their own
 * (make kernel-units) and run one after the other, natively, on one processor. Each prints
 * its own KTAP between a line "# unit NAME" and a line "# unit NAME: status N".
 */
#ifndef TESTS_KERNEL_UNITS_H
#define TESTS_KERNEL_UNITS_H

#include <stdbool.h>
#include <stdint.h>

struct kernel_unit {
	const char *name;
	int (*main)(void);
};

/** Written by make; the last has no name. */
extern const struct kernel_unit kernel_units[];

/** Set up memory for the tests. Once. */
bool library_init(void);
uint64_t library_pages_free(void);
/** Run all: kernel_main's hook, which the image without tests has not got. */
bool kernel_units_run(void);

#endif
