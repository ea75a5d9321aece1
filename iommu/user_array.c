/* SPDX-License-Identifier: MIT */
/*
 * A user's arrays of structures, read one entry at a time: see iommu/ops.h. Entries may be
 * shorter or longer than what this program knows, as everywhere in the ABI: what is
 * missing is zero, what is beyond must be zero.
 */
#include "iommu/private.h"
#include "iommu/string.h"

/* No structure of the ABI is as long; without a bound a user decides how long we look. */
enum { ENTRY_BYTES_LIMIT = 4096, CHUNK = 64 };

/** Are the @p bytes at @p offset all zero? 0, -E2BIG, -EFAULT. */
static int tail_is_zero(const struct iommu_user_array *array, uint64_t offset, uint64_t bytes)
{
	uint8_t chunk[CHUNK];

	while (bytes) {
		size_t part = bytes < CHUNK ? (size_t)bytes : CHUNK;
		int error = array->copy(array->ctx, offset, chunk, part);
		if (error)
			return error;
		for (size_t i = 0; i < part; i++)
			if (chunk[i])
				return -E2BIG;
		offset += part;
		bytes -= part;
	}
	return 0;
}

int iommu_user_array_get(struct iommu_user_array *array, uint32_t index, void *out, size_t known,
                         size_t least)
{
	uint32_t bytes = array->entry_bytes;
	uint64_t offset = (uint64_t)index * bytes;
	int error;

	if (index >= array->count || bytes < least)
		return -EINVAL;
	if (bytes > ENTRY_BYTES_LIMIT)
		return -E2BIG;
	if (bytes > known) {
		error = tail_is_zero(array, offset + known, bytes - known);
		if (error)
			return error;
	}
	size_t part = bytes < known ? bytes : known;
	error = array->copy(array->ctx, offset, out, part);
	if (!error)
		memset((uint8_t *)out + part, 0, known - part);
	return error;
}
