/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing of the DMAR parser: bytes as they are, and once more with length and checksum made
 * right, so that structures are reached. Whatever parses is visited and printed whole.
 */
#ifndef TESTS_FUZZ_DMAR_H
#define TESTS_FUZZ_DMAR_H

#include "tests/unit/dmar_blob.h"

static inline void dmar_once(const uint8_t *bytes, size_t size, bool strict)
{
	struct vtd_dmar_options options = {.strict = strict};
	struct vtd_dmar dmar;
	size_t printed = 0;
	struct iommu_print sink = {swallow, &printed};

	if (parse(bytes, size, &options, &dmar) == 0)
		vtd_dmar_print(&dmar, &sink);
}

/** Run one input. False: something is wrong, and was printed. */
static inline bool dmar_run(const uint8_t *bytes, size_t size)
{
	ktap_failed = false;
	dmar_once(bytes, size, false);
	if (size >= 48) {
		uint8_t *copy = test_malloc(size);
		memcpy(copy, bytes, size);
		memcpy(copy, "DMAR", 4);
		for (unsigned i = 0; i < 4; i++)
			copy[4 + i] = (uint8_t)(size >> 8 * i);
		fix_checksum(copy, (uint32_t)size);
		dmar_once(copy, size, false);
		dmar_once(copy, size, true);
		free(copy);
	}
	return !ktap_failed;
}

#endif
