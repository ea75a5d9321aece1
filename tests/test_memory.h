/* SPDX-License-Identifier: MIT */
/*
 * Memory for the tests' own use: a test that gets none ends here, and its plan, printed
 * first, makes that a failure. (What the code under test gets is tests/test_os.h.)
 */
#ifndef TESTS_TEST_MEMORY_H
#define TESTS_TEST_MEMORY_H

#include <stdio.h>
#include <stdlib.h>

/** @p count objects of @p bytes each, zeroed; the caller frees them. Never NULL. */
static inline void *test_calloc(size_t count, size_t bytes)
{
	void *memory = calloc(count, bytes);

	if (!memory) {
		printf("Bail out! no memory for a test: %zu x %zu bytes\n", count, bytes);
		exit(EXIT_FAILURE);
	}
	return memory;
}

/** @p bytes, not initialized and no more than that, so that AddressSanitizer sees a read
 *  past them. Never NULL. */
static inline void *test_malloc(size_t bytes)
{
	void *memory = malloc(bytes);

	if (!memory) {
		printf("Bail out! no memory for a test: %zu bytes\n", bytes);
		exit(EXIT_FAILURE);
	}
	return memory;
}

#endif
