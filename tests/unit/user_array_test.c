/* SPDX-License-Identifier: MIT */
/* A user's arrays of structures: entries shorter and longer than what is known. */
#include <string.h>

#include "iommu/iommu.h"
#include "tests/ktap.h"

struct known {
	uint64_t a;
	uint32_t b, c;
};

struct memory {
	const uint8_t *bytes;
	size_t length;
	unsigned copies;
};

static int copy(void *ctx, uint64_t offset, void *out, size_t bytes)
{
	struct memory *memory = ctx;

	memory->copies++;
	if (offset > memory->length || bytes > memory->length - offset)
		return -EFAULT;
	memcpy(out, memory->bytes + offset, bytes);
	return 0;
}

static void entries(void)
{
	uint8_t bytes[600];
	struct memory memory = {bytes, sizeof(bytes), 0};
	struct known out;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i + 1);
	/* exactly as known */
	struct iommu_user_array array = {
		.entry_bytes = 16, .count = 3, .copy = copy, .ctx = &memory};
	KTAP_EQUAL(iommu_user_array_get(&array, 2, &out, sizeof(out), 12), 0);
	KTAP_CHECK(!memcmp(&out, bytes + 32, 16));
	KTAP_EQUAL(memory.copies, 1);
	KTAP_EQUAL(iommu_user_array_get(&array, 3, &out, sizeof(out), 12), -EINVAL);
	/* shorter: the rest is zero */
	array.entry_bytes = 12;
	memset(&out, 0xff, sizeof(out));
	KTAP_EQUAL(iommu_user_array_get(&array, 1, &out, sizeof(out), 12), 0);
	KTAP_CHECK(!memcmp(&out, bytes + 12, 12));
	KTAP_EQUAL(out.c, 0);
	array.entry_bytes = 11;
	KTAP_EQUAL(iommu_user_array_get(&array, 1, &out, sizeof(out), 12), -EINVAL);
	array.entry_bytes = 0;
	KTAP_EQUAL(iommu_user_array_get(&array, 0, &out, sizeof(out), 12), -EINVAL);
	/* longer: zero beyond */
	memset(bytes, 0, sizeof(bytes));
	array.entry_bytes = 200;
	bytes[200] = 7;
	KTAP_EQUAL(iommu_user_array_get(&array, 1, &out, sizeof(out), 12), 0);
	KTAP_EQUAL(out.a, 7);
	for (size_t at = 216; at < 400; at++) {
		bytes[at] = 1;
		KTAP_EQUAL(iommu_user_array_get(&array, 1, &out, sizeof(out), 12), -E2BIG);
		bytes[at] = 0;
	}
	bytes[400] = 1; /* the next entry's */
	KTAP_EQUAL(iommu_user_array_get(&array, 1, &out, sizeof(out), 12), 0);
	/* longer than any structure can be */
	array.entry_bytes = 4097;
	KTAP_EQUAL(iommu_user_array_get(&array, 0, &out, sizeof(out), 12), -E2BIG);
	array.entry_bytes = UINT32_MAX;
	array.count = UINT32_MAX;
	KTAP_EQUAL(iommu_user_array_get(&array, UINT32_MAX - 1, &out, sizeof(out), 12), -E2BIG);
	/* not there */
	array.entry_bytes = 16;
	KTAP_EQUAL(iommu_user_array_get(&array, 37, &out, sizeof(out), 12), -EFAULT);
	array.entry_bytes = 300;
	KTAP_EQUAL(iommu_user_array_get(&array, 2, &out, sizeof(out), 12), -EFAULT);
}

static const struct ktap_case cases[] = {
	{"entries of every length", entries},
};

KTAP_MAIN(cases)
