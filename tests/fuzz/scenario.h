/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing of the scenario parser: any bytes either parse or are refused with a message, and
 * nothing stays allocated.
 */
#ifndef TESTS_FUZZ_SCENARIO_H
#define TESTS_FUZZ_SCENARIO_H

#include "kernel/scn.h"
#include "tests/ktap.h"
#include "tests/test_memory.h"
#include "tests/test_os.h"

#include <string.h>

static inline void scenario_write(struct iommu_print *self, const char *text, size_t bytes)
{
	size_t *total = self->ctx;

	(void)text;
	*total += bytes;
}

/** Run one input. False: something is wrong, and was printed. */
static inline bool scenario_run(const uint8_t *bytes, size_t size)
{
	size_t printed = 0;
	struct iommu_print errors = {scenario_write, &printed};
	struct scn_program *program = NULL;
	struct test_os test;
	char *copy = test_malloc(size ? size : 1); /* no more: a read past it is seen */

	ktap_failed = false;
	memcpy(copy, bytes, size);
	test_os_init(&test);
	int error = scn_parse(&test.os, "input.scn", copy, size, &errors, &program);
	KTAP_CHECK(error == 0 || error == -EINVAL);
	KTAP_CHECK(!error == !!program);
	KTAP_CHECK(!error == !printed);
	if (program)
		scn_program_free(program);
	KTAP_CHECK(test_os_is_clean(&test));
	free(copy);
	return !ktap_failed;
}

#endif
