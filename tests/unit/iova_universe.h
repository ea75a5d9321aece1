/* SPDX-License-Identifier: MIT */
/*
 * A small universe of pages for the tests of IOVA spaces, with a map of who has which
 * page, and a check of a space's invariants.
 */
#ifndef TESTS_UNIT_IOVA_UNIVERSE_H
#define TESTS_UNIT_IOVA_UNIVERSE_H

#include <string.h>

#include "iommu/iova.h"
#include "tests/ktap.h"
#include "tests/test_memory.h"
#include "tests/test_os.h"

enum { PAGES = 1024 };

struct universe {
	struct iova_space space;
	uint64_t base;
	struct iova_node *at[PAGES]; /* who has the page */
	uint64_t seed;
};

static uint64_t page_first(const struct universe *universe, uint64_t page)
{
	return universe->base + page * PAGE_SIZE_4K;
}

static uint64_t page_last(const struct universe *universe, uint64_t page)
{
	return page_first(universe, page) + PAGE_SIZE_4K - 1;
}

static uint64_t random_below(struct universe *universe, uint64_t below)
{
	return test_random(&universe->seed) % below;
}

/* ---- invariants ------------------------------------------------------------- */

static struct iova_node *child_of(const struct iova_node *node, unsigned side)
{
	return (struct iova_node *)(node->link[side] & ~(uintptr_t)7);
}

/** Largest k for which the gap before @p node holds an aligned block of 2^k, found by
 *  trying each. */
static uint64_t block_of(const struct iova_node *node)
{
	uint64_t start = node->first - node->gap;

	for (unsigned k = 64; k-- > 0;) {
		uint64_t size = UINT64_C(1) << k, aligned = (start + size - 1) & ~(size - 1);
		if (node->gap >= size && aligned >= start && aligned <= node->first - size)
			return k;
	}
	return 0;
}

/** Check the subtree; returns its height. *before: the end of the node before. */
static unsigned check_tree(const struct iova_node *node, const struct iova_node **before,
                           uint64_t *count)
{
	if (!node)
		return 0;
	const struct iova_node *low = child_of(node, 0), *high = child_of(node, 1);
	unsigned low_height = check_tree(low, before, count);
	KTAP_EQUAL(node->gap, *before ? node->first - (*before)->last - 1 : node->first);
	KTAP_CHECK(!*before || (*before)->last < node->first);
	*before = node;
	++*count;
	unsigned high_height = check_tree(high, before, count);
	KTAP_CHECK(low_height <= high_height + 1 && high_height <= low_height + 1);
	unsigned height = (low_height > high_height ? low_height : high_height) + 1;
	KTAP_EQUAL((node->link[0] & 7) | (node->link[1] & 7) << 3, height);

	uint64_t gap = node->gap >> 6, block = block_of(node);
	for (unsigned side = 0; side < 2; side++) {
		const struct iova_node *below = child_of(node, side);
		if (below && below->room >> 6 > gap)
			gap = below->room >> 6;
		if (below && (below->room & 63) > block)
			block = below->room & 63;
	}
	KTAP_EQUAL(node->room >> 6, gap);
	KTAP_EQUAL(node->room & 63, block);
	return height;
}

static void check_space(const struct iova_space *space)
{
	const struct iova_node *before = NULL;
	uint64_t count = 0;

	check_tree(space->root, &before, &count);
	KTAP_EQUAL(space->count, count);
}

/* ---- operations against the map ------------------------------------------------ */

static void random_insert(struct universe *universe)
{
	uint64_t page = random_below(universe, PAGES);
	uint64_t count = 1 + random_below(universe, random_below(universe, 4) ? 4 : 100);
	bool is_free = true;

	if (count > PAGES - page)
		count = PAGES - page;
	for (uint64_t i = page; i < page + count; i++)
		is_free &= !universe->at[i];
	struct iova_node *node = test_malloc(sizeof(*node));
	memset(node, 0xa5, sizeof(*node)); /* the space sets what it needs */
	node->first = page_first(universe, page);
	node->last = page_last(universe, page + count - 1);
	int result = iova_space_insert(&universe->space, node);
	KTAP_EQUAL(result, is_free ? 0 : -EEXIST);
	if (result) {
		free(node);
		return;
	}
	for (uint64_t i = page; i < page + count; i++)
		universe->at[i] = node;
}

static void drop(struct universe *universe, struct iova_node *node)
{
	iova_space_remove(&universe->space, node);
	for (unsigned i = 0; i < PAGES; i++)
		if (universe->at[i] == node)
			universe->at[i] = NULL;
	free(node);
}

#endif
