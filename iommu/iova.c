/* SPDX-License-Identifier: MIT */
/*
 * The IOVA space: see iommu/iova.h. (Finding room in it: iommu/iova_gap.c)
 *
 * An AVL tree with parent pointers. Invariants, for each node in a space:
 *  - intervals are disjoint, and the tree is ordered by them;
 *  - the heights of its subtrees differ by one at most; bits 1:0 of parent say which is
 *    the higher: 0 neither, 1 the lower side's, 2 the higher side's;
 *  - own is the room (iommu/iova_room.h) of the gap between its predecessor, or address 0,
 *    and itself; room is the maximum of own over its subtree.
 *
 * A node is linked where the way down ends, so that an insertion touches, besides that
 * way, the nodes whose balance or room changes, and no more; the successor and the
 * predecessor take a few steps, whatever the size.
 */
#include "iommu/iova_room.h"

/* ---- nodes ------------------------------------------------------------------- */

static inline unsigned balance(const struct iova_node *node)
{
	return (unsigned)(node->parent & 3);
}

static inline void set_balance(struct iova_node *node, unsigned to)
{
	node->parent = (node->parent & ~(uintptr_t)3) | to;
}

static inline void set_parent(struct iova_node *node, struct iova_node *parent)
{
	node->parent = (uintptr_t)parent | balance(node);
}

/** Is @p node the child on the higher side of its parent @p parent? */
static inline unsigned side_of(const struct iova_node *parent, const struct iova_node *node)
{
	return parent->link[1] == node;
}

/** Put @p to where @p node is, below @p parent; @p to may be NULL. */
static inline void replace(struct iova_space *space, struct iova_node *parent,
                           const struct iova_node *node, struct iova_node *to)
{
	if (parent)
		parent->link[side_of(parent, node)] = to;
	else
		space->root = to;
	if (to)
		set_parent(to, parent);
}

/** The room of the subtree, by its children's. */
static inline uint32_t room_below(const struct iova_node *node)
{
	uint32_t room = node->own;

	if (node->link[0])
		room = iova_room_max(room, node->link[0]->room);
	if (node->link[1])
		room = iova_room_max(room, node->link[1]->room);
	return room;
}

/** Recompute rooms from @p node up; at least up to @p changed (NULL, or @p node or one
 *  above it), and then as far as something changes. */
static void rooms_refresh(struct iova_node *node, const struct iova_node *changed)
{
	bool passed = !changed;

	for (; node; node = iova_parent(node)) {
		uint32_t room = room_below(node);
		passed = passed || node == changed;
		if (room == node->room && passed)
			return;
		node->room = room;
	}
}

/** The gap before @p node has changed: its own room, and that of those above, to the new. */
static void own_refresh(struct iova_node *node, const struct iova_node *before)
{
	uint32_t own = iova_room(before ? before->last + 1 : 0, node->first);

	if (own == node->own)
		return;
	node->own = own;
	rooms_refresh(node, NULL);
}

/** Lift the child on @p side over @p node. Balances are the caller's. Returns it. */
static struct iova_node *rotate(struct iova_space *space, struct iova_node *node, unsigned side)
{
	struct iova_node *lifted = node->link[side], *inner = lifted->link[!side];

	replace(space, iova_parent(node), node, lifted);
	node->link[side] = inner;
	if (inner)
		set_parent(inner, node);
	lifted->link[!side] = node;
	set_parent(node, lifted);
	lifted->room = node->room; /* the same nodes lie below */
	node->room = room_below(node);
	return lifted;
}

/** The subtree on @p side of @p node is two higher than the other. Returns the node that
 *  takes its place; it has balance 0 if the whole has become one lower. */
static struct iova_node *rebalance(struct iova_space *space, struct iova_node *node, unsigned side)
{
	struct iova_node *tall = node->link[side];
	const unsigned heavy = side + 1, other = 2 - side;

	if (balance(tall) != other) {
		bool even = balance(tall) == 0; /* only after a removal */
		rotate(space, node, side);
		set_balance(node, even ? heavy : 0);
		set_balance(tall, even ? other : 0);
		return tall;
	}
	struct iova_node *middle = tall->link[!side];
	unsigned was = balance(middle);
	rotate(space, tall, !side);
	rotate(space, node, side);
	set_balance(node, was == heavy ? other : 0);
	set_balance(tall, was == other ? heavy : 0);
	set_balance(middle, 0);
	return middle;
}

/** The subtree at @p node, below @p parent, has become one higher. */
static void grown(struct iova_space *space, struct iova_node *parent, const struct iova_node *node)
{
	while (parent) {
		unsigned side = side_of(parent, node), was = balance(parent);
		if (was == 2 - side) {
			set_balance(parent, 0);
			return;
		}
		if (was) {
			rebalance(space, parent, side);
			return;
		}
		set_balance(parent, side + 1);
		node = parent;
		parent = iova_parent(parent);
	}
}

/** The subtree on @p side of @p node has become one lower. */
static void shrunk(struct iova_space *space, struct iova_node *node, unsigned side)
{
	for (;;) {
		unsigned was = balance(node);
		if (!was) {
			set_balance(node, 2 - side);
			return;
		}
		if (was == side + 1) {
			set_balance(node, 0);
		} else {
			node = rebalance(space, node, !side);
			if (balance(node))
				return;
		}
		struct iova_node *parent = iova_parent(node);
		if (!parent)
			return;
		side = side_of(parent, node);
		node = parent;
	}
}

/* ---- changes ------------------------------------------------------------------- */

void iova_space_insert_at(struct iova_space *space, struct iova_node *node,
                          const struct iova_place *place)
{
	struct iova_node *before = place->before, *after = place->after;
	/* one of the neighbours has nothing on that side: the other lies below it */
	unsigned side = !after || after->link[0];
	struct iova_node *parent = side ? before : after;
	uint32_t own = iova_room(before ? before->last + 1 : 0, node->first);

	node->link[0] = node->link[1] = NULL;
	node->parent = (uintptr_t)parent;
	node->own = node->room = own;
	if (parent)
		parent->link[side] = node;
	else
		space->root = node;
	if (!after)
		space->highest = node;
	space->count++;
	/* Up to the successor there is a gap more; from there on, one has become smaller. */
	for (struct iova_node *up = parent; up != after; up = iova_parent(up)) {
		uint32_t room = iova_room_max(up->room, own);
		if (room == up->room)
			break;
		up->room = room;
	}
	if (after)
		own_refresh(after, node);
	grown(space, parent, node);
}

int iova_space_check(const struct iova_space *space, uint64_t first, uint64_t last,
                     struct iova_place *out)
{
	out->first = first;
	out->before = space->highest;
	out->after = NULL;
	if (last < first)
		return -EINVAL;
	if (!out->before || first > out->before->last)
		return 0;
	out->before = NULL;
	for (struct iova_node *at = space->root; at;) {
		if (last < at->first) {
			out->after = at;
			at = at->link[0];
		} else if (first > at->last) {
			out->before = at;
			at = at->link[1];
		} else {
			return -EEXIST;
		}
	}
	return 0;
}

int iova_space_insert(struct iova_space *space, struct iova_node *node)
{
	struct iova_place place;

	int error = iova_space_check(space, node->first, node->last, &place);
	if (!error)
		iova_space_insert_at(space, node, &place);
	return error;
}

void iova_space_remove(struct iova_space *space, struct iova_node *node)
{
	struct iova_node *after = iova_space_next(space, node);
	struct iova_node *before = iova_space_previous(space, node);
	struct iova_node *parent = iova_parent(node), *low = node->link[0], *high = node->link[1];
	struct iova_node *bottom = parent; /* below which the tree becomes lower */
	unsigned side = parent ? side_of(parent, node) : 0;

	if (low && high) {
		/* the successor, lowest on the high side, takes the place */
		if (after == high) {
			bottom = after;
			side = 1;
		} else {
			bottom = iova_parent(after);
			side = 0;
			replace(space, bottom, after, after->link[1]);
			after->link[1] = high;
			set_parent(high, after);
		}
		after->link[0] = low;
		set_parent(low, after);
		replace(space, parent, node, after);
		set_balance(after, balance(node));
	} else {
		/* one child at most, and it has none: balance allows no more */
		replace(space, parent, node, low ? low : high);
	}
	if (after)
		after->own = iova_room(before ? before->last + 1 : 0, after->first);
	else
		space->highest = before;
	rooms_refresh(high && !low ? high : bottom, after);
	if (bottom)
		shrunk(space, bottom, side);
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
			node = node->link[0];
		} else {
			node = node->link[1];
		}
	}
	return found;
}

struct iova_node *iova_space_find(const struct iova_space *space, uint64_t at)
{
	for (struct iova_node *node = space->root; node;) {
		if (at < node->first)
			node = node->link[0];
		else if (at > node->last)
			node = node->link[1];
		else
			return node;
	}
	return NULL;
}

struct iova_node *iova_space_first(const struct iova_space *space)
{
	struct iova_node *node = space->root;

	while (node && node->link[0])
		node = node->link[0];
	return node;
}

/** The neighbour of @p node on @p side; NULL at the end. */
static inline struct iova_node *neighbour(const struct iova_node *node, unsigned side)
{
	struct iova_node *to = node->link[side];

	if (to) {
		while (to->link[!side])
			to = to->link[!side];
		return to;
	}
	for (to = iova_parent(node); to && to->link[side] == node; to = iova_parent(to))
		node = to;
	return to;
}

struct iova_node *iova_space_next(const struct iova_space *space, const struct iova_node *node)
{
	(void)space;
	return neighbour(node, 1);
}

struct iova_node *iova_space_previous(const struct iova_space *space, const struct iova_node *node)
{
	(void)space;
	return neighbour(node, 0);
}
