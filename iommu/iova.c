/* SPDX-License-Identifier: MIT */
/*
 * The IOVA space: see iommu/iova.h.
 *
 * An AVL tree without parent pointers. Invariants, for each node in a space:
 *  - intervals are disjoint, and the tree is ordered by them;
 *  - the heights of its subtrees differ by one at most; its own height is kept in
 *    the low three bits of both links (63 is enough for 2^43 nodes);
 *  - gap is the number of free addresses between its predecessor (or address 0) and
 *    its first address;
 *  - room sums up its subtree: in bits 63:6 the largest gap, divided by 64; in bits
 *    5:0 the largest k for which a gap holds an aligned block of 2^k. Each is a
 *    maximum of its own, so a subtree may look better than it is, never worse.
 *
 * Why two: a request of 2^k bytes aligned to 2^k fits a gap exactly if the gap holds
 * such a block. With the size alone, a space full of gaps that are large enough but
 * misaligned would be searched from end to end.
 */
#include "iommu/iova.h"

enum {
	MAX_HEIGHT = 63,
	/** Nodes that a search looks at before it prefers a certain place to the lowest. */
	SEARCH_BUDGET = 1024,
};

#define TAG      ((uintptr_t)7)
#define ROOM_TAG UINT64_C(63)

/* ---- nodes ------------------------------------------------------------------- */

static inline struct iova_node *child(const struct iova_node *node, unsigned side)
{
	return (struct iova_node *)(node->link[side] & ~TAG);
}

static inline void set_child(struct iova_node *node, unsigned side, struct iova_node *to)
{
	node->link[side] = (uintptr_t)to | (node->link[side] & TAG);
}

static inline unsigned height(const struct iova_node *node)
{
	return node ? (unsigned)((node->link[0] & TAG) | (node->link[1] & TAG) << 3) : 0;
}

/** The largest k for which [first - gap, first) holds an aligned block of 2^k; 0 also
 *  if there is none. */
static unsigned largest_block(uint64_t first, uint64_t gap)
{
	uint64_t start = first - gap;

	if (!gap)
		return 0;
	if (!start)
		return 63 - (unsigned)__builtin_clzll(first);
	/* With two multiples of 2^k in [start, first] a block fits. Below the highest
	 * bit in which start - 1 and first differ, that holds for the highest bit
	 * which is not 1 in the former and 0 in the latter. */
	uint64_t below = start - 1;
	unsigned top = 63 - (unsigned)__builtin_clzll(below ^ first);
	uint64_t candidates = ~(below & ~first) & ((UINT64_C(1) << top) - 1);
	return candidates ? 63 - (unsigned)__builtin_clzll(candidates) : 0;
}

/** Recompute height and room from the children. */
static void update(struct iova_node *node)
{
	const struct iova_node *low = child(node, 0), *high = child(node, 1);
	unsigned low_height = height(low), high_height = height(high);
	unsigned own = (low_height > high_height ? low_height : high_height) + 1;
	uint64_t gap = node->gap & ~ROOM_TAG, block = largest_block(node->first, node->gap);

	for (unsigned side = 0; side < 2; side++) {
		const struct iova_node *below = side ? high : low;
		if (!below)
			continue;
		if ((below->room & ~ROOM_TAG) > gap)
			gap = below->room & ~ROOM_TAG;
		if ((below->room & ROOM_TAG) > block)
			block = below->room & ROOM_TAG;
	}
	node->room = gap | block;
	node->link[0] = (uintptr_t)low | (own & 7);
	node->link[1] = (uintptr_t)high | own >> 3;
}

/** Lift the child on @p side over @p node. Returns it. */
static struct iova_node *rotate(struct iova_node *node, unsigned side)
{
	struct iova_node *lifted = child(node, side);

	set_child(node, side, child(lifted, !side));
	set_child(lifted, !side, node);
	update(node);
	update(lifted);
	return lifted;
}

/** Restore the invariants of @p node, whose subtrees have them. Returns the root. */
static struct iova_node *rebalance(struct iova_node *node)
{
	unsigned low = height(child(node, 0)), high = height(child(node, 1));

	if (low <= high + 1 && high <= low + 1) {
		update(node);
		return node;
	}
	unsigned side = high > low;
	struct iova_node *tall = child(node, side);
	if (height(child(tall, !side)) > height(child(tall, side)))
		set_child(node, side, rotate(tall, !side));
	return rotate(node, side);
}

/** The way from the root to a node. */
struct path {
	unsigned depth;
	struct iova_node *node[MAX_HEIGHT + 1];
	uint8_t side[MAX_HEIGHT + 1]; /* on which the way goes on */
};

static inline void path_push(struct path *path, struct iova_node *node, unsigned side)
{
	path->node[path->depth] = node;
	path->side[path->depth++] = (uint8_t)side;
}

/** Put @p node below the end of the first @p depth steps. */
static void path_link(struct iova_space *space, struct path *path, unsigned depth,
                      struct iova_node *node)
{
	if (depth)
		set_child(path->node[depth - 1], path->side[depth - 1], node);
	else
		space->root = node;
}

/** Restore the invariants from the end of the path up; at least up to @p changed (may
 *  be NULL), and then as far as something changes. */
static void path_repair(struct iova_space *space, struct path *path,
                        const struct iova_node *changed)
{
	for (unsigned depth = path->depth; depth-- > 0;) {
		struct iova_node *node = path->node[depth];
		unsigned old_height = height(node);
		uint64_t old_room = node->room;
		struct iova_node *top = rebalance(node);
		if (top != node)
			path_link(space, path, depth, top);
		if (node == changed)
			changed = NULL;
		if (!changed && height(top) == old_height && top->room == old_room)
			return;
	}
}

/* ---- changes ------------------------------------------------------------------- */

int iova_space_insert(struct iova_space *space, struct iova_node *node)
{
	struct iova_node *before = NULL, *after = NULL;
	struct path path;

	if (node->last < node->first)
		return -EINVAL;
	path.depth = 0;
	for (struct iova_node *at = space->root; at;) {
		if (node->last < at->first) {
			path_push(&path, at, 0);
			after = at;
			at = child(at, 0);
		} else if (node->first > at->last) {
			path_push(&path, at, 1);
			before = at;
			at = child(at, 1);
		} else {
			return -EEXIST;
		}
	}
	node->gap = before ? node->first - before->last - 1 : node->first;
	if (after)
		after->gap = after->first - node->last - 1;
	node->link[0] = node->link[1] = 0;
	update(node);
	path_link(space, &path, path.depth, node);
	path_repair(space, &path, after);
	space->count++;
	return 0;
}

void iova_space_remove(struct iova_space *space, struct iova_node *node)
{
	struct iova_node *after = NULL;
	struct path path;

	path.depth = 0;
	for (struct iova_node *at = space->root; at != node;) {
		unsigned side = node->first > at->first;
		path_push(&path, at, side);
		if (!side)
			after = at;
		at = child(at, side);
	}
	unsigned place = path.depth;
	struct iova_node *low = child(node, 0), *high = child(node, 1);
	if (low && high) {
		/* the successor, lowest on the high side, takes the place */
		path_push(&path, node, 1);
		for (after = high; child(after, 0); after = child(after, 0))
			path_push(&path, after, 0);
		path_link(space, &path, path.depth, child(after, 1));
		path.node[place] = after;
		after->link[0] = node->link[0];
		after->link[1] = node->link[1];
		after->room = node->room;
		path_link(space, &path, place, after);
	} else {
		/* one child at most, and it has none: balance allows no more */
		struct iova_node *only = low ? low : high;
		if (high)
			after = high;
		path_link(space, &path, place, only);
		if (high)
			path_push(&path, high, 1); /* its gap changes */
	}
	if (after)
		after->gap += node->gap + (node->last - node->first) + 1;
	path_repair(space, &path, after);
	space->count--;
}

/* ---- looking --------------------------------------------------------------------- */

struct iova_node *iova_space_find_from(const struct iova_space *space, uint64_t at)
{
	struct iova_node *found = NULL;

	for (struct iova_node *node = space->root; node;) {
		if (at <= node->last) {
			found = node;
			if (at >= node->first)
				break;
			node = child(node, 0);
		} else {
			node = child(node, 1);
		}
	}
	return found;
}

struct iova_node *iova_space_find(const struct iova_space *space, uint64_t at)
{
	struct iova_node *node = iova_space_find_from(space, at);

	return node && node->first <= at ? node : NULL;
}

struct iova_node *iova_space_first(const struct iova_space *space)
{
	return iova_space_find_from(space, 0);
}

struct iova_node *iova_space_next(const struct iova_space *space, const struct iova_node *node)
{
	return node->last == UINT64_MAX ? NULL : iova_space_find_from(space, node->last + 1);
}

struct iova_node *iova_space_previous(const struct iova_space *space, const struct iova_node *node)
{
	struct iova_node *found = NULL;

	for (struct iova_node *at = space->root; at;) {
		if (at->last < node->first) {
			found = at;
			at = child(at, 1);
		} else {
			at = child(at, 0);
		}
	}
	return found;
}

/* ---- room ------------------------------------------------------------------------ */

struct request {
	uint64_t bytes, alignment, from, last;
	uint64_t size;  /* that a gap must have, as in room: bits 63:6 */
	uint64_t block; /* and its aligned block */
	unsigned budget;
};

enum outcome { FOUND, NONE, OVER_BUDGET };

/** The place in [low, high], within the request's limits; false if it does not fit. */
static inline bool place(const struct request *request, uint64_t low, uint64_t high, uint64_t *out)
{
	uint64_t start = low > request->from ? low : request->from;
	uint64_t end = high < request->last ? high : request->last;
	uint64_t aligned = (start + request->alignment - 1) & ~(request->alignment - 1);

	*out = aligned;
	return aligned >= start && aligned <= end && end - aligned >= request->bytes - 1;
}

static inline bool may_fit(const struct request *request, const struct iova_node *node)
{
	return (node->room & ~ROOM_TAG) >= request->size &&
	       (node->room & ROOM_TAG) >= request->block;
}

/** Look at the gaps before the nodes, in ascending order, passing over subtrees that
 *  cannot have a fitting one. */
static enum outcome search(const struct iova_space *space, struct request *request, uint64_t *out)
{
	const struct iova_node *stack[MAX_HEIGHT + 1];
	unsigned depth = 0;
	uint64_t low = 0; /* all gaps below were looked at */
	const struct iova_node *node = space->root;

	for (;;) {
		while (node && may_fit(request, node)) {
			/* The gaps of this subtree lie in [low, high]; with a large
			 * alignment, most subtrees have no place for a start. */
			const struct iova_node *next = depth ? stack[depth - 1] : NULL;
			uint64_t high = next ? next->first - next->gap : UINT64_MAX, start;
			if (!place(request, low, high, &start))
				break;
			stack[depth++] = node;
			/* what lies lower than the gap matters only above `from` */
			node = node->first - node->gap > request->from ? child(node, 0) : NULL;
		}
		if (!depth)
			return NONE;
		if (!request->budget--)
			return OVER_BUDGET;
		node = stack[--depth];
		if (node->first - node->gap > request->last)
			return NONE;
		if (node->gap && place(request, node->first - node->gap, node->first - 1, out))
			return FOUND;
		if (node->last == UINT64_MAX)
			return NONE;
		low = node->last + 1;
		node = child(node, 1);
	}
}

static unsigned log2_floor(uint64_t value)
{
	return 63 - (unsigned)__builtin_clzll(value);
}

int iova_space_find_gap(const struct iova_space *space, uint64_t bytes, uint64_t alignment,
                        uint64_t from, uint64_t last, uint64_t *out)
{
	if (!bytes || !alignment || alignment & (alignment - 1) || from > last)
		return -EINVAL;

	/* An aligned place of this size holds the block of 2^n that starts with it, or,
	 * if it is aligned to less than its size, one of half the size. */
	unsigned size = log2_floor(bytes), align = log2_floor(alignment);
	struct request request = {
		.bytes = bytes,
		.alignment = alignment,
		.from = from,
		.last = last,
		.size = bytes & ~ROOM_TAG,
		.block = align >= size ? size : size - (size > 0),
		.budget = SEARCH_BUDGET,
	};
	enum outcome outcome = search(space, &request, out);
	if (outcome == FOUND)
		return 0;
	if (outcome == OVER_BUDGET) {
		/* Many gaps that nearly fit. A gap with room for the bytes wherever it
		 * starts is found at once, if there is one. */
		struct request sure = request;
		sure.size = (bytes + alignment - 1) & ~ROOM_TAG;
		sure.budget = SEARCH_BUDGET;
		if (bytes + alignment - 1 >= bytes && search(space, &sure, out) == FOUND)
			return 0;
	}
	/* above the highest node */
	const struct iova_node *highest = space->root;
	while (highest && child(highest, 1))
		highest = child(highest, 1);
	if (!highest)
		return place(&request, 0, UINT64_MAX, out) ? 0 : -ENOSPC;
	if (highest->last != UINT64_MAX && place(&request, highest->last + 1, UINT64_MAX, out))
		return 0;
	if (outcome == OVER_BUDGET) {
		request.budget = ~0u;
		if (search(space, &request, out) == FOUND)
			return 0;
	}
	return -ENOSPC;
}
