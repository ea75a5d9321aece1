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

/** What `own` must be for the gap [@p start, @p end): by trying each number. */
static uint32_t room_of(uint64_t start, uint64_t end)
{
	uint32_t size = 0, block = 0;

	/* the highest of 32 steps for each power of two that is not more, less 1/128 */
	const unsigned __int128 bytes32 =
		(unsigned __int128)(end - start - (end - start) / 128) * 32;
	for (uint32_t exponent = 64; exponent-- > 0 && !size;)
		for (uint32_t part = 32; part-- > 0 && !size;)
			if (bytes32 >= (unsigned __int128)(32 + part) << exponent)
				size = exponent * 32 + part + 1;
	for (uint32_t k = 31; k-- > 0 && !block;) {
		uint64_t bytes = UINT64_C(1) << k, aligned = (start + bytes - 1) & ~(bytes - 1);
		if (end - start >= bytes && aligned >= start && aligned <= end - bytes)
			block = k + 1;
	}
	return UINT32_C(0x80008000) | size << 16 | block;
}

struct checked {
	const struct iova_node *before;
	uint64_t count;
};

/** Check the subtree; returns its height. */
static unsigned check_tree(const struct iova_node *node, const struct iova_node *parent,
                           struct checked *checked)
{
	if (!node)
		return 0;
	KTAP_CHECK((node->parent & ~(uintptr_t)3) == (uintptr_t)parent);
	unsigned low = check_tree(node->link[0], node, checked);
	const struct iova_node *before = checked->before;
	KTAP_CHECK(!before || before->last < node->first);
	KTAP_EQUAL(node->own, room_of(before ? before->last + 1 : 0, node->first));
	checked->before = node;
	checked->count++;
	unsigned high = check_tree(node->link[1], node, checked);
	KTAP_CHECK(low <= high + 1 && high <= low + 1);
	KTAP_EQUAL(node->parent & 3, high == low ? 0 : high < low ? 1 : 2);

	KTAP_EQUAL(node->room & UINT32_C(0x80008000), UINT32_C(0x80008000));
	uint32_t size = node->own >> 16, block = node->own & 0xffff;
	for (unsigned side = 0; side < 2; side++) {
		const struct iova_node *below = node->link[side];
		if (below && below->room >> 16 > size)
			size = below->room >> 16;
		if (below && (below->room & 0xffff) > block)
			block = below->room & 0xffff;
	}
	KTAP_EQUAL(node->room >> 16, size);
	KTAP_EQUAL(node->room & 0xffff, block);
	return (low > high ? low : high) + 1;
}

static void check_space(const struct iova_space *space)
{
	struct checked checked = {0};

	check_tree(space->root, NULL, &checked);
	KTAP_EQUAL(space->count, checked.count);
	KTAP_CHECK(space->highest == checked.before);
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
