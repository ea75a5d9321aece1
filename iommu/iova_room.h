/* SPDX-License-Identifier: MIT */
/*
 * What the files of the IOVA space share: room, the measure of a gap.
 *
 * A room is two numbers in 32 bits, so that a subtree's is the maximum of each:
 *  - bits 30:16, size: 0 for no gap, else 1 + the gap's length on a scale of 32 steps for
 *    each power of two (lengths that differ by less than 1/32 may look the same);
 *  - bits 14:0, block: 0 for no gap, else 1 + the largest k for which the gap holds an
 *    aligned block of 2^k, 30 at most (1 GiB).
 * Each is a maximum of its own, so a subtree may look better than it is, never worse. The
 * scale is coarse so that what takes a little of a large gap changes no subtree's room. Bits
 * 31 and 15, the guards, are 1 in a room and 0 in what is compared with it: so both numbers
 * are compared at once.
 *
 * Why two: a request of 2^k bytes aligned to 2^k fits a gap exactly if the gap holds
 * such a block. With the size alone, a space full of gaps that are large enough but
 * misaligned would be searched from end to end.
 */
#ifndef IOMMU_IOVA_ROOM_H
#define IOMMU_IOVA_ROOM_H

#include "iommu/iova.h"

#define IOVA_ROOM_NONE    UINT32_C(0x80008000)
#define IOVA_ROOM_SIZE(n) ((n) << 16)
enum { IOVA_ROOM_BLOCK_MOST = 30 };

/** floor(log2(@p value)); @p value is not 0. */
static inline unsigned iova_log2(uint64_t value)
{
	return 63 - (unsigned)__builtin_clzll(value);
}

/** What a gap must have for a block of 2^@p k. */
static inline uint32_t iova_room_block(unsigned k)
{
	return (k < IOVA_ROOM_BLOCK_MOST ? k : IOVA_ROOM_BLOCK_MOST) + 1;
}

/** What a gap must have for @p bytes (> 0): a function that never decreases. Its steps are
 *  not at powers of two, from which one often takes a little. */
static inline uint32_t iova_room_size(uint64_t bytes)
{
	bytes -= bytes >> 7;
	unsigned exponent = iova_log2(bytes);

	/* below the highest bit, five more */
	return IOVA_ROOM_SIZE(exponent * 32 + (uint32_t)(bytes << (63 - exponent) >> 58 & 31) + 1);
}

/** The room of the gap [@p start, @p end), which may be empty; @p end is no overflow. */
static inline uint32_t iova_room(uint64_t start, uint64_t end)
{
	if (start == end)
		return IOVA_ROOM_NONE;
	uint32_t size = IOVA_ROOM_NONE | iova_room_size(end - start);
	if (!start)
		return size | iova_room_block(iova_log2(end));
	/* With two multiples of 2^k in [start, end] a block fits. Below the highest bit in
	 * which start - 1 and end differ, that holds for the highest bit which is not 1 in
	 * the former and 0 in the latter; there is one, as the byte at start is a block. */
	uint64_t below = start - 1;
	uint64_t top = UINT64_C(1) << iova_log2(below ^ end);
	return size | iova_room_block(iova_log2(~(below & ~end) & (top - 1)));
}

/** The maximum of both numbers of two rooms. */
static inline uint32_t iova_room_max(uint32_t a, uint32_t b)
{
	uint32_t kept = (a - (b ^ IOVA_ROOM_NONE)) & IOVA_ROOM_NONE; /* of a */
	uint32_t mask = kept - (kept >> 15);

	return b ^ ((a ^ b) & mask);
}

/** Are both numbers of @p room at least those of @p wanted, which has no guards? */
static inline bool iova_room_fits(uint32_t room, uint32_t wanted)
{
	return !(~(room - wanted) & IOVA_ROOM_NONE);
}

static inline struct iova_node *iova_parent(const struct iova_node *node)
{
	return (struct iova_node *)(node->parent & ~(uintptr_t)3);
}

#endif
