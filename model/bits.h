/* SPDX-License-Identifier: MIT */
/*
 * Bits by the specification's numbers, high first, and little-endian words in bytes.
 */
#ifndef MODEL_BITS_H
#define MODEL_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bit n of a 64-bit word. */
#define MODEL_BIT(n) (UINT64_C(1) << (n))

/** A mask of bits high:low of a 64-bit word. */
static inline uint64_t model_mask(unsigned high, unsigned low)
{
	return (~UINT64_C(0) >> (63 - high)) & (~UINT64_C(0) << low);
}

/** The value in bits high:low. */
static inline uint64_t model_bits(uint64_t word, unsigned high, unsigned low)
{
	return (word & model_mask(high, low)) >> low;
}

static inline bool model_bit(uint64_t word, unsigned bit)
{
	return (word >> bit) & 1;
}

/** Does [a, a + bytes) share a byte with [b, b + length)? Lengths are not 0. */
static inline bool model_overlap(uint64_t a, uint64_t bytes, uint64_t b, uint64_t length)
{
	return a <= b + (length - 1) && b <= a + (bytes - 1);
}

#endif
