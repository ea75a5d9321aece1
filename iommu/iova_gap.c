/* SPDX-License-Identifier: MIT */
/*
 * Finding the lowest place in an IOVA space: see iommu/iova.h.
 *
 * Gaps are looked at in ascending order. A subtree is passed over if its room is too
 * small, or if no aligned place is left in the addresses that it covers.
 */
#include "iommu/iova_room.h"

/** Nodes that a search looks at before it prefers a certain place to the lowest. */
enum { SEARCH_BUDGET = 1024 };

struct request {
	uint64_t bytes, alignment, from;
	uint64_t latest; /* the highest start that ends in time */
	uint32_t wanted; /* room that a gap must have */
	unsigned budget;
};

enum outcome { FOUND, NONE, OVER_BUDGET };

/** The lowest aligned address from @p at on; 0 if there is none, or it is 0. */
static inline uint64_t align_up(const struct request *request, uint64_t at)
{
	return (at + request->alignment - 1) & ~(request->alignment - 1);
}

/** Where the next higher gaps begin to be others than those below @p node: the start of
 *  the lowest node above its subtree. */
static uint64_t bound_of(const struct iova_node *node)
{
	const struct iova_node *up = iova_parent(node);

	while (up && up->link[1] == node) {
		node = up;
		up = iova_parent(up);
	}
	return up ? up->first : UINT64_MAX;
}

/** The search is at a place that begins at @p start or above: false if none can. */
static inline bool advance(const struct request *request, uint64_t at, uint64_t *start,
                           uint64_t *end)
{
	uint64_t aligned = align_up(request, at);

	*start = aligned;
	*end = aligned + (request->bytes - 1);
	return aligned >= at && aligned <= request->latest;
}

/** Look at the gaps before the nodes. */
static enum outcome search(const struct iova_space *space, struct request *request,
                           struct iova_place *out)
{
	struct iova_node *node = space->root;
	struct iova_node *before = NULL; /* of the lowest node below `node` */
	uint64_t bound = UINT64_MAX;     /* the gaps below `node` lie below it */
	uint64_t start, end;             /* no place begins, or ends, lower */
	const uint32_t wanted = request->wanted;

	if (!node || !iova_room_fits(node->room, wanted) ||
	    !advance(request, request->from, &start, &end))
		return NONE;
	for (;;) {
		/* a subtree with room: down to its lowest gap that may do */
		for (struct iova_node *low = node->link[0];
		     low && iova_room_fits(low->room, wanted) && end < node->first;
		     low = low->link[0]) {
			bound = node->first;
			node = low;
		}
		for (;;) {
			if (!request->budget--)
				return OVER_BUDGET;
			/* the gap before the node */
			if (end < node->first && iova_room_fits(node->own, wanted)) {
				struct iova_node *low = node->link[0];
				for (; low; low = low->link[1])
					before = low;
				if (before && before->last >= start &&
				    !advance(request, before->last + 1, &start, &end))
					return NONE;
				if (end < node->first) {
					*out = (struct iova_place){start, before, node};
					return FOUND;
				}
			}
			/* on the node's other side */
			if (node->last >= start &&
			    (node->last == UINT64_MAX ||
			     !advance(request, node->last + 1, &start, &end)))
				return NONE;
			struct iova_node *high = node->link[1];
			before = node;
			if (high && iova_room_fits(high->room, wanted) && end < bound) {
				node = high;
				break;
			}
			/* up, to the first node above */
			struct iova_node *up = iova_parent(node);
			while (up && up->link[1] == node) {
				node = up;
				up = iova_parent(up);
			}
			if (!up)
				return NONE;
			node = up;
			bound = bound_of(node);
		}
	}
}

/** The place above all nodes. */
static bool above(const struct iova_space *space, const struct request *request,
                  struct iova_place *out)
{
	struct iova_node *highest = space->highest;
	uint64_t at = request->from, end;

	if (highest && highest->last >= at) {
		at = highest->last + 1;
		if (!at)
			return false;
	}
	out->before = highest;
	out->after = NULL;
	return advance(request, at, &out->first, &end);
}

int iova_space_find_gap(const struct iova_space *space, uint64_t bytes, uint64_t alignment,
                        uint64_t from, uint64_t last, struct iova_place *out)
{
	if (!bytes || !alignment || alignment & (alignment - 1) || from > last)
		return -EINVAL;
	if (last - from < bytes - 1)
		return -ENOSPC;

	/* An aligned place of this size holds the block of 2^n that starts with it, or,
	 * if it is aligned to less than its size, one of half the size. */
	unsigned size = iova_log2(bytes);
	unsigned block = alignment >> size ? size : size - (size > 0);
	struct request request = {
		.bytes = bytes,
		.alignment = alignment,
		.from = from,
		.latest = last - (bytes - 1),
		.wanted = iova_room_size(bytes) | iova_room_block(block),
		.budget = SEARCH_BUDGET,
	};
	enum outcome outcome = search(space, &request, out);
	if (outcome == FOUND)
		return 0;
	if (outcome == OVER_BUDGET) {
		/* Many gaps that nearly fit. A gap with room for the bytes wherever it
		 * starts is found at once, if there is one: one size more is sure. */
		struct request sure = request;
		uint64_t enough = bytes + alignment - 1;
		sure.budget = SEARCH_BUDGET;
		if (enough >= bytes) {
			sure.wanted = iova_room_size(enough) + IOVA_ROOM_SIZE(1);
			if (search(space, &sure, out) == FOUND)
				return 0;
		}
	}
	if (above(space, &request, out))
		return 0;
	if (outcome == OVER_BUDGET) {
		request.budget = ~0u;
		if (search(space, &request, out) == FOUND)
			return 0;
	}
	return -ENOSPC;
}
