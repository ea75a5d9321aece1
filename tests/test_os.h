/* SPDX-License-Identifier: MIT */
/*
 * The hooks for a hosted test: libc memory (so that AddressSanitizer sees each
 * page and each object), counts of what is outstanding, and one allocation that
 * can be made to fail.
 *
 * Physical addresses are the host's virtual ones: direct_map is 0.
 */
#ifndef TESTS_TEST_OS_H
#define TESTS_TEST_OS_H

#include "iommu/os.h"

struct test_os {
	struct iommu_os os;
	long pages, objects, locks; /* outstanding now (pages in 4 KiB units) */
	long allocations;           /* page and object allocations asked for so far */
	long fail_at;               /* the allocation with this number fails; 0: none */
	uint64_t now_ns;            /* advances 100 ns a reading, 1 us a relax */
	bool verbose;               /* log lines go to stdout as "# ..." */
	char last_log[256];
	long log_count[4]; /* by level */
};

void test_os_init(struct test_os *test);
/** True if no page, object or lock is outstanding; says what is. */
bool test_os_is_clean(const struct test_os *test);

/** xorshift64*: the random numbers of property tests, by seed. */
static inline uint64_t test_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545F4914F6CDD1D);
}

#endif
