/* SPDX-License-Identifier: MIT */
/* libFuzzer target: see scenario.h. */
#include "tests/fuzz/scenario.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!scenario_run(bytes, size))
		fflush(stdout), abort();
	return 0;
}
