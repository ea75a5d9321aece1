/* SPDX-License-Identifier: MIT */
/*
 * IOVA space: which addresses are taken, and where there is room.
 *
 * `struct iova_space` is a set of disjoint intervals [first, last] over the whole
 * 64-bit space, kept as a height-balanced (AVL) tree of nodes that the owner
 * embeds in objects of its own. Each node knows, for the gap before it and for
 * those of its subtree, an upper bound of their size and of the largest aligned
 * block in one, so that the lowest free place is found in O(log n) however
 * fragmented the space is.
 *
 * `struct iova_ranges` is policy: reserved ranges, by owner, which may overlap;
 * and the allowed ranges that a user asked for. It holds no areas, but knows the
 * space that does, and refuses a change that would exclude a live one.
 *
 * Nothing here locks; the caller does. Only iova_ranges_reserve() and
 * iova_ranges_allow() allocate.
 */
#ifndef IOMMU_IOVA_H
#define IOMMU_IOVA_H

#include "iommu/os.h"
#include "iommu/types.h"

/** One interval; embedded by its owner, who sets `first` and `last` before the
 *  insertion and leaves all alone while the node is in a space. */
struct iova_node {
	_Alignas(8) uint64_t first;
	uint64_t last; /* inclusive, >= first */
	/* kept by the space: */
	struct iova_node *link[2]; /* children, lower and higher; the owner's outside of a space */
	uintptr_t parent;          /* bits 1:0: which of them is higher */
	uint32_t own, room;        /* of the gap before the node, and of the subtree's gaps */
};

_Static_assert(sizeof(struct iova_node) <= 48, "a node is at most 48 bytes");

struct iova_space {
	struct iova_node *root, *highest;
	uint64_t count;
};

/** A free place: where a search found it, so that an insertion need not look again. Valid
 *  until the space changes. */
struct iova_place {
	uint64_t first;                   /* the address */
	struct iova_node *before, *after; /* the neighbours; NULL at the ends */
};

/** An empty space. */
static inline void iova_space_init(struct iova_space *space)
{
	space->root = space->highest = NULL;
	space->count = 0;
}

/** Add @p node. 0, -EEXIST if a part of it is taken, -EINVAL if last < first. */
int must_check iova_space_insert(struct iova_space *space, struct iova_node *node);
/** Add @p node, which lies in the gap where @p place is, all of it. */
void iova_space_insert_at(struct iova_space *space, struct iova_node *node,
                          const struct iova_place *place);
/** Take @p node, which is in @p space, out of it. */
void iova_space_remove(struct iova_space *space, struct iova_node *node);

/** The node that contains @p at; NULL if the address is free. */
struct iova_node *iova_space_find(const struct iova_space *space, uint64_t at);
/** The lowest node that contains @p at or lies above it; NULL if none. With
 *  [at, last] given, an overlap is a result whose first <= last. */
struct iova_node *iova_space_find_from(const struct iova_space *space, uint64_t at);
/** The neighbours of @p node, which is in @p space, in ascending order; NULL at the end. A
 *  walk over n nodes takes O(n); a single step O(log n), 2 on the average. */
struct iova_node *iova_space_next(const struct iova_space *space, const struct iova_node *node);
struct iova_node *iova_space_previous(const struct iova_space *space, const struct iova_node *node);
/** The lowest node; NULL if the space is empty. (The highest: space->highest.) */
struct iova_node *iova_space_first(const struct iova_space *space);

/** Find the lowest free place of @p bytes (> 0) within [from, last] that starts at
 *  a multiple of @p alignment (a power of two). 0 and *out, or -ENOSPC, or
 *  -EINVAL for a wrong argument. In O(log n); where a great many gaps are large
 *  enough but misaligned, the place found may be one that is not the lowest. */
int must_check iova_space_find_gap(const struct iova_space *space, uint64_t bytes,
                                   uint64_t alignment, uint64_t from, uint64_t last,
                                   struct iova_place *out);
/** Is [first, last] free? 0, and *out is its place; -EEXIST, -EINVAL if last < first. */
int must_check iova_space_check(const struct iova_space *space, uint64_t first, uint64_t last,
                                struct iova_place *out);

/* ---- reserved and allowed ranges --------------------------------------------- */

/** Both ends inclusive. */
struct iova_range {
	uint64_t first, last;
};

struct iova_reservation;

struct iova_ranges {
	const struct iommu_os *os;
	const struct iova_space *areas;        /* the live areas; may be NULL */
	struct iova_reservation *reservations; /* by first, then by age */
	struct iova_space reserved;            /* their union, merged; unless it is stale */
	bool stale;                            /* a change came after the union was made */
	struct iova_range usual;               /* the largest range that is not reserved */
	struct iova_range *allowed;            /* ascending and disjoint; NULL: everything */
	size_t allowed_count;
};

/** No reservation, everything allowed. @p areas, if not NULL, outlives it. */
void iova_ranges_init(struct iova_ranges *ranges, const struct iommu_os *os,
                      const struct iova_space *areas);
/** Drop everything. */
void iova_ranges_exit(struct iova_ranges *ranges);

/** Reserve [first, last] for @p owner (any address that stands for one); may
 *  overlap other reservations, also of the same owner. 0, -ENOMEM, -EINVAL if
 *  last < first, -EADDRINUSE if a live area or an allowed range lies in it. */
int must_check iova_ranges_reserve(struct iova_ranges *ranges, uint64_t first, uint64_t last,
                                   const void *owner);
/** Reserve all outside [first, last] for @p owner: its aperture. As
 *  iova_ranges_reserve(); on failure nothing is reserved. */
int must_check iova_ranges_aperture(struct iova_ranges *ranges, uint64_t first, uint64_t last,
                                    const void *owner);
/** Drop all reservations of @p owner. Cannot fail. */
void iova_ranges_unreserve(struct iova_ranges *ranges, const void *owner);

/** Replace the allowed ranges by @p count others (0: everything is allowed); they
 *  may be in any order. 0, -ENOMEM, -EINVAL if one is empty or two overlap,
 *  -EADDRINUSE if one overlaps a reserved range. Areas stay where they are: allowed
 *  ranges guide iova_ranges_find(), and keep reservations away. */
int must_check iova_ranges_allow(struct iova_ranges *ranges, const struct iova_range *allowed,
                                 size_t count);

/** May an area lie at [first, last]? 0, -EINVAL if last < first or a part is
 *  reserved, -EEXIST if a part is taken. With areas, *out is the place among them. */
int must_check iova_ranges_check(struct iova_ranges *ranges, uint64_t first, uint64_t last,
                                 struct iova_place *out);

/** The lowest place for an area of @p bytes that is allowed, not reserved and not
 *  taken, and starts at a multiple of @p alignment (a power of two), not below
 *  @p from. 0 and *out, -ENOSPC, or -EINVAL. */
int must_check iova_ranges_find(struct iova_ranges *ranges, uint64_t bytes, uint64_t alignment,
                                uint64_t from, struct iova_place *out);

/** The lowest range that is not reserved (IOAS_IOVA_RANGES) and ends at or above
 *  @p from; *out is cut to begin at @p from or later. False if there is none. Go on
 *  with out->last + 1, unless out->last is 2^64 - 1. */
bool iova_ranges_next(struct iova_ranges *ranges, uint64_t from, struct iova_range *out);

#endif
