/* SPDX-License-Identifier: MIT */
/* What the unit tests use of C's library, in the kernel: see tests/kernel/library.c. */
#ifndef TESTS_KERNEL_STDLIB_H
#define TESTS_KERNEL_STDLIB_H

#include <stddef.h>

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1

void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
/** @p alignment is @p bytes rounded down to a power of two, 4096 at least. */
void *aligned_alloc(size_t alignment, size_t bytes);
void free(void *memory);
/** A test that ends here has failed, and the kernel panics. */
void exit(int status) __attribute__((noreturn));
void abort(void) __attribute__((noreturn));
unsigned long strtoul(const char *text, char **end, int base);

#endif
