/* SPDX-License-Identifier: MIT */
/*
 * Bit fields by the specification's numbers.
 *
 * FIELD(high, low) is a 64-bit mask. The numbers are those printed in the
 * specification, high first; entries wider than 64 bits are arrays of qwords,
 * and a field's number modulo 64 is its place in its qword: FIELD(87, 72) is
 * bits 23:8 of qword 1. A field never crosses a qword.
 */
#ifndef IOMMU_FIELD_H
#define IOMMU_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIT64(n)         (UINT64_C(1) << ((n) % 64))
#define FIELD(high, low) ((~UINT64_C(0) >> (63 - ((high) % 64))) & (~UINT64_C(0) << ((low) % 64)))

/** The value of field mask @p field in @p word, shifted down to bit 0. */
static inline uint64_t field_get(uint64_t field, uint64_t word)
{
	return (word & field) / (field & -field);
}

/** @p value shifted up into @p field; bits that do not fit are dropped. */
static inline uint64_t field_put(uint64_t field, uint64_t value)
{
	return (value * (field & -field)) & field;
}

/** @p word with @p field replaced by @p value. */
static inline uint64_t field_set(uint64_t word, uint64_t field, uint64_t value)
{
	return (word & ~field) | field_put(field, value);
}

#endif
