/* SPDX-License-Identifier: MIT */
/* libFuzzer target: raw structures. See calls.h. */
#include "tests/fuzz/calls.h"

#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!raw_run(bytes, size))
		fflush(stdout), abort();
	return 0;
}
