/* SPDX-License-Identifier: MIT */
/*
 * The processor's instruction that cleans a cache line, where a test can see it: included
 * before the page-table engine, which then calls test_clean_line instead.
 */
#ifndef TESTS_UNIT_PT_TEST_CLEAN_H
#define TESTS_UNIT_PT_TEST_CLEAN_H

#include "arch/arch.h"

/** NULL: nobody looks. */
static void (*test_clean_line)(const void *address);

static inline void test_clean_lines(const void *address, unsigned count)
{
	for (unsigned i = 0; test_clean_line && i < count; i++)
		test_clean_line((const char *)address + i * ARCH_CACHE_LINE);
}

#define arch_clean_line(address)    test_clean_lines(address, 1)
#define arch_clean_4_lines(address) test_clean_lines(address, 4)

#endif
