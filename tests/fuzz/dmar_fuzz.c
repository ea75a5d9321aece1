/* SPDX-License-Identifier: MIT */
/* libFuzzer target: see dmar.h. */
#include "tests/fuzz/dmar.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (!dmar_run(bytes, size))
		fflush(stdout), abort();
	return 0;
}
