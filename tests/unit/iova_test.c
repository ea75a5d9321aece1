/* SPDX-License-Identifier: MIT */
/*
 * The IOVA space and its ranges against brute force: a map of a small universe of
 * pages, laid at the bottom, in the middle and at the very top of the 64-bit space.
 */
#include <string.h>

#include "iommu/iova.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

enum {
	PAGES = 1024
};

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
	struct iova_node *node = malloc(sizeof(*node));
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

static void check_find(struct universe *universe)
{
	uint64_t page = random_below(universe, PAGES), next = page, previous = page;
	struct iova_node *node = universe->at[page];

	KTAP_CHECK(iova_space_find(&universe->space, page_first(universe, page)) == node);
	KTAP_CHECK(iova_space_find(&universe->space, page_last(universe, page)) == node);
	while (next < PAGES && !universe->at[next])
		next++;
	KTAP_CHECK(iova_space_find_from(&universe->space, page_first(universe, page)) ==
		   (next < PAGES ? universe->at[next] : NULL));
	if (!node)
		return;
	while (next < PAGES && (!universe->at[next] || universe->at[next] == node))
		next++;
	KTAP_CHECK(iova_space_next(&universe->space, node) ==
		   (next < PAGES ? universe->at[next] : NULL));
	while (previous > 0 && (!universe->at[previous] || universe->at[previous] == node))
		previous--;
	struct iova_node *found = universe->at[previous] == node ? NULL : universe->at[previous];
	KTAP_CHECK(iova_space_previous(&universe->space, node) == found);
}

static void check_gap(struct universe *universe)
{
	uint64_t bytes = (1 + random_below(universe, random_below(universe, 3) ? 8 : 200)) << 12;
	uint64_t alignment = UINT64_C(1) << (12 + random_below(universe, 8));
	uint64_t from = random_below(universe, PAGES), last = random_below(universe, PAGES);
	uint64_t wanted = 0, got = 0;
	bool exists = false;

	if (random_below(universe, 2))
		from = 0;
	if (random_below(universe, 2))
		last = PAGES - 1;
	if (from > last)
		from = last;
	if (random_below(universe, 4) == 0) /* not a whole number of pages */
		bytes -= random_below(universe, bytes);
	for (uint64_t page = from; page <= last && !exists; page++) {
		uint64_t start = page_first(universe, page);
		uint64_t end = page, room = 0;
		if (start & (alignment - 1))
			continue;
		for (; end <= last && !universe->at[end] && room < bytes; end++)
			room += PAGE_SIZE_4K;
		exists = room >= bytes;
		wanted = start;
	}
	int result =
		iova_space_find_gap(&universe->space, bytes, alignment, page_first(universe, from),
				    page_last(universe, last), &got);
	KTAP_EQUAL(result, exists ? 0 : -ENOSPC);
	if (exists)
		KTAP_EQUAL(got, wanted);
}

static void random_space(void)
{
	static const uint64_t bases[] = {0, UINT64_C(0x7ffffffe00000),
					 -(uint64_t)PAGES * PAGE_SIZE_4K};

	for (unsigned b = 0; b < ARRAY_SIZE(bases); b++) {
		struct universe universe = {.base = bases[b], .seed = 77 + b};
		for (unsigned round = 0; round < 6000 && !ktap_failed; round++) {
			uint64_t page = random_below(&universe, PAGES);
			/* now growing, now shrinking */
			if (random_below(&universe, 10) < (round / 1000 % 2 ? 3u : 7u))
				random_insert(&universe);
			else if (universe.at[page])
				drop(&universe, universe.at[page]);
			check_find(&universe);
			check_gap(&universe);
			check_gap(&universe);
			if (round % 16 == 0)
				check_space(&universe.space);
		}
		for (unsigned i = 0; i < PAGES; i++)
			if (universe.at[i])
				drop(&universe, universe.at[i]);
		KTAP_EQUAL(universe.space.count, 0);
		KTAP_CHECK(universe.space.root == NULL);
	}
}

static void whole_space(void)
{
	struct iova_node all = {.first = 0, .last = UINT64_MAX}, low = {.first = 0, .last = 0};
	struct iova_node high = {.first = UINT64_MAX, .last = UINT64_MAX};
	struct iova_node wrong = {.first = 2, .last = 1};
	struct iova_space space;
	uint64_t out;

	iova_space_init(&space);
	KTAP_EQUAL(iova_space_find_gap(&space, UINT64_MAX, 1, 0, UINT64_MAX, &out), 0);
	KTAP_EQUAL(out, 0);
	KTAP_EQUAL(iova_space_insert(&space, &wrong), -EINVAL);
	KTAP_EQUAL(iova_space_insert(&space, &all), 0);
	KTAP_EQUAL(iova_space_insert(&space, &low), -EEXIST);
	KTAP_EQUAL(iova_space_find_gap(&space, 1, 1, 0, UINT64_MAX, &out), -ENOSPC);
	KTAP_CHECK(iova_space_find(&space, 12345) == &all);
	KTAP_CHECK(iova_space_next(&space, &all) == NULL);
	KTAP_CHECK(iova_space_previous(&space, &all) == NULL);
	iova_space_remove(&space, &all);
	KTAP_EQUAL(iova_space_insert(&space, &high), 0);
	KTAP_EQUAL(high.gap, UINT64_MAX);
	check_space(&space);
	KTAP_EQUAL(iova_space_find_gap(&space, UINT64_MAX, 1, 0, UINT64_MAX, &out), 0);
	KTAP_EQUAL(iova_space_insert(&space, &low), 0);
	check_space(&space);
	KTAP_EQUAL(iova_space_find_gap(&space, UINT64_MAX, 1, 0, UINT64_MAX, &out), -ENOSPC);
	KTAP_EQUAL(iova_space_find_gap(&space, UINT64_MAX - 1, 1, 0, UINT64_MAX, &out), 0);
	KTAP_EQUAL(out, 1);
	/* the highest block of 2^63 begins at 2^63 and would end at 2^64 - 1 */
	KTAP_EQUAL(iova_space_find_gap(&space, UINT64_C(1) << 63, UINT64_C(1) << 63, 0, UINT64_MAX,
				       &out),
		   -ENOSPC);
	KTAP_EQUAL(iova_space_find_gap(&space, 0, 1, 0, 1, &out), -EINVAL);
	KTAP_EQUAL(iova_space_find_gap(&space, 1, 0, 0, 1, &out), -EINVAL);
	KTAP_EQUAL(iova_space_find_gap(&space, 1, 3, 0, 1, &out), -EINVAL);
	KTAP_EQUAL(iova_space_find_gap(&space, 1, 1, 2, 1, &out), -EINVAL);
	iova_space_remove(&space, &high);
	iova_space_remove(&space, &low);
}

/** Many nodes: each kind of search must stay fast. What took a walk over all nodes
 *  would take minutes here. */
static void fragmented(void)
{
	enum {
		NODES = 100000,
		SEARCHES = 20000
	};
	struct iova_node *nodes = calloc(NODES, sizeof(*nodes));
	struct iova_space space;
	uint64_t out, sum = 0;

	iova_space_init(&space);
	/* 2 MiB of room before each node, never aligned to 2 MiB, in blocks of 4 MiB */
	for (uint64_t i = 0; i < NODES; i++) {
		uint64_t k = i * 7919 % NODES; /* not in ascending order */
		nodes[k].first = k * 2 * PAGE_SIZE_2M + PAGE_SIZE_2M + 0x1000 * (1 + k % 511);
		nodes[k].last = nodes[k].first + PAGE_SIZE_2M - 1;
		KTAP_EQUAL(iova_space_insert(&space, &nodes[k]), 0);
	}
	check_space(&space);
	uint64_t end = nodes[NODES - 1].last + 1;
	for (unsigned i = 0; i < SEARCHES && !ktap_failed; i++) {
		/* lowest fit, from the start and from the middle */
		KTAP_EQUAL(iova_space_find_gap(&space, 0x1000, 0x1000, 0, UINT64_MAX, &out), 0);
		KTAP_EQUAL(out, 0);
		uint64_t from = nodes[i].first;
		KTAP_EQUAL(iova_space_find_gap(&space, 0x2000, 0x1000, from, UINT64_MAX, &out), 0);
		KTAP_EQUAL(out, nodes[i].last + 1);
		/* nothing but the end will do: too large, or aligned too strictly */
		KTAP_EQUAL(
			iova_space_find_gap(&space, 4 * PAGE_SIZE_2M, 0x1000, 0, UINT64_MAX, &out),
			0);
		KTAP_EQUAL(out, end);
		KTAP_EQUAL(iova_space_find_gap(&space, 2 * PAGE_SIZE_2M, 2 * PAGE_SIZE_2M,
					       PAGE_SIZE_2M, UINT64_MAX, &out),
			   0);
		KTAP_CHECK(out >= end && out < end + 2 * PAGE_SIZE_2M);
		/* few addresses are aligned so strictly */
		KTAP_EQUAL(iova_space_find_gap(&space, 0x1000, PAGE_SIZE_1G, 1, UINT64_MAX, &out),
			   0);
		KTAP_CHECK(out % PAGE_SIZE_1G == 0);
		sum += out;
	}
	KTAP_CHECK(sum > 0);
	/* the worst: gaps of the right size, each with an aligned block, never a fit;
	 * then the lowest place may be missed, but a place is found */
	for (unsigned i = 0; i < SEARCHES / 10 && !ktap_failed; i++) {
		KTAP_EQUAL(iova_space_find_gap(&space, PAGE_SIZE_2M + 0x1000, PAGE_SIZE_2M, 1,
					       UINT64_MAX, &out),
			   0);
		KTAP_CHECK(out % PAGE_SIZE_2M == 0);
		KTAP_CHECK(iova_space_find_from(&space, out) == NULL ||
			   iova_space_find_from(&space, out)->first > out + PAGE_SIZE_2M);
	}
	for (unsigned i = 0; i < NODES; i++)
		iova_space_remove(&space, &nodes[i]);
	KTAP_EQUAL(space.count, 0);
	free(nodes);
}

/** More than the search's budget of near misses before the only place, which must be
 *  found all the same. */
static void over_budget(void)
{
	enum {
		NODES = 5000
	};
	struct iova_node *nodes = calloc(NODES + 1, sizeof(*nodes));
	struct iova_space space;
	uint64_t out = 0;

	iova_space_init(&space);
	/* gaps of 3 pages which hold an aligned block of 2 pages, but where 3 pages at a
	 * multiple of 2 do not fit: they start at an odd page */
	for (uint64_t i = 0; i < NODES; i++) {
		nodes[i].first = i * 0x8000 + 0x4000 + (i == NODES - 1 ? 0x1000 : 0);
		nodes[i].last = i * 0x8000 + 0x8000 + 0xfff;
		KTAP_EQUAL(iova_space_insert(&space, &nodes[i]), 0);
	}
	nodes[NODES].first = nodes[NODES - 1].last + 1;
	nodes[NODES].last = UINT64_MAX;
	KTAP_EQUAL(iova_space_insert(&space, &nodes[NODES]), 0);
	KTAP_EQUAL(iova_space_find_gap(&space, 0x3000, 0x2000, 0x1000, UINT64_MAX, &out), 0);
	KTAP_EQUAL(out, (NODES - 1) * UINT64_C(0x8000) + 0x2000);
	/* a place of 4 pages serves wherever it begins: the search ends there, too */
	KTAP_EQUAL(iova_space_find_gap(&space, 0x5000, 0x2000, 0x1000, UINT64_MAX, &out), -ENOSPC);
	free(nodes);
}

/* ---- reserved and allowed ranges --------------------------------------------------- */

enum {
	OWNERS = 4,
	RESERVATIONS = 64
};

struct ranges_bench {
	struct test_os test;
	struct universe universe;
	struct iova_ranges ranges;
	struct {
		uint64_t first, last;
		unsigned owner;
	} list[RESERVATIONS];
	unsigned count;
	bool allowed[PAGES];
	bool everything; /* allowed */
};

static int owners[OWNERS];

static bool is_reserved(const struct ranges_bench *bench, uint64_t page)
{
	for (unsigned i = 0; i < bench->count; i++)
		if (page >= bench->list[i].first && page <= bench->list[i].last)
			return true;
	return false;
}

static void random_range(struct ranges_bench *bench, uint64_t *first, uint64_t *last)
{
	*first = random_below(&bench->universe, PAGES);
	*last = *first + random_below(&bench->universe, 60);
	if (*last >= PAGES)
		*last = PAGES - 1;
}

static void random_reserve(struct ranges_bench *bench)
{
	struct universe *universe = &bench->universe;
	uint64_t first, last;
	unsigned owner = (unsigned)random_below(universe, OWNERS);
	bool in_use = false;

	if (bench->count == RESERVATIONS)
		return;
	random_range(bench, &first, &last);
	for (uint64_t i = first; i <= last; i++)
		in_use |= universe->at[i] || (!bench->everything && bench->allowed[i]);
	bool fails = random_below(universe, 8) == 0;
	if (fails)
		bench->test.fail_at = bench->test.allocations + 1;
	int result = iova_ranges_reserve(&bench->ranges, page_first(universe, first),
					 page_last(universe, last), &owners[owner]);
	bench->test.fail_at = 0;
	KTAP_EQUAL(result, in_use ? -EADDRINUSE : fails ? -ENOMEM : 0);
	if (result)
		return;
	bench->list[bench->count].first = first;
	bench->list[bench->count].last = last;
	bench->list[bench->count++].owner = owner;
}

static void random_unreserve(struct ranges_bench *bench)
{
	unsigned owner = (unsigned)random_below(&bench->universe, OWNERS), kept = 0;

	iova_ranges_unreserve(&bench->ranges, &owners[owner]);
	for (unsigned i = 0; i < bench->count; i++)
		if (bench->list[i].owner != owner)
			bench->list[kept++] = bench->list[i];
	bench->count = kept;
}

static void random_allow(struct ranges_bench *bench)
{
	struct universe *universe = &bench->universe;
	struct iova_range list[5];
	bool map[PAGES] = {false}, overlap = false, in_use = false;
	size_t count = random_below(universe, ARRAY_SIZE(list) + 1);

	for (size_t i = 0; i < count; i++) {
		uint64_t first, last;
		random_range(bench, &first, &last);
		for (uint64_t page = first; page <= last; page++) {
			overlap |= map[page];
			map[page] = true;
			in_use |= is_reserved(bench, page);
		}
		list[i].first = page_first(universe, first);
		list[i].last = page_last(universe, last);
	}
	bool fails = count && random_below(universe, 8) == 0;
	if (fails)
		bench->test.fail_at = bench->test.allocations + 1;
	int result = iova_ranges_allow(&bench->ranges, list, count);
	bench->test.fail_at = 0;
	KTAP_EQUAL(result, fails ? -ENOMEM : overlap ? -EINVAL : in_use ? -EADDRINUSE : 0);
	if (result)
		return;
	memcpy(bench->allowed, map, sizeof(map));
	bench->everything = count == 0;
}

static void check_ranges(struct ranges_bench *bench)
{
	struct universe *universe = &bench->universe;
	uint64_t first, last, page = 0, got;
	struct iova_range usable;

	random_range(bench, &first, &last);
	bool reserved = false, taken = false;
	for (uint64_t i = first; i <= last; i++) {
		reserved |= is_reserved(bench, i);
		taken |= universe->at[i] != NULL;
	}
	KTAP_EQUAL(iova_ranges_check(&bench->ranges, page_first(universe, first),
				     page_last(universe, last)),
		   reserved ? -EINVAL
		   : taken  ? -EEXIST
			    : 0);

	/* what is usable, range by range */
	uint64_t from = universe->base;
	while (iova_ranges_next(&bench->ranges, from, &usable)) {
		while (page < PAGES && is_reserved(bench, page))
			page++;
		KTAP_EQUAL(usable.first, page < PAGES ? page_first(universe, page)
						      : page_last(universe, PAGES - 1) + 1);
		while (page < PAGES && !is_reserved(bench, page))
			page++;
		if (usable.last == UINT64_MAX)
			break;
		KTAP_EQUAL(usable.last + 1, page_first(universe, page));
		from = usable.last + 1;
		if (ktap_failed)
			return;
	}
	while (page < PAGES && is_reserved(bench, page))
		page++;
	KTAP_EQUAL(page, PAGES);

	uint64_t pages = 1 + random_below(universe, 20);
	uint64_t align = UINT64_C(1) << random_below(universe, 5);
	uint64_t start = random_below(universe, PAGES);
	int result = iova_ranges_find(&bench->ranges, pages << 12, align << 12,
				      page_first(universe, start), &got);
	for (page = (start + align - 1) & ~(align - 1); page + pages <= PAGES; page += align) {
		bool fits = true;
		for (uint64_t i = page; i < page + pages; i++)
			fits &= !universe->at[i] && !is_reserved(bench, i) &&
				(bench->everything || bench->allowed[i]);
		if (fits)
			break;
	}
	if (page + pages <= PAGES) {
		/* neighbouring allowed ranges are not joined: then it may lie higher */
		KTAP_CHECK(bench->everything ? result == 0 && got == page_first(universe, page)
					     : result || got >= page_first(universe, page));
	} else if (!bench->everything || universe->base) {
		KTAP_CHECK(result == -ENOSPC || got > page_last(universe, PAGES - pages));
	}
	if (!result) {
		for (uint64_t i = 0; i < pages; i++) {
			uint64_t at = (got - universe->base) / PAGE_SIZE_4K + i;
			KTAP_CHECK(at >= PAGES || (!universe->at[at] && !is_reserved(bench, at) &&
						   (bench->everything || bench->allowed[at])));
		}
	}
}

static void random_ranges(void)
{
	static const uint64_t bases[] = {0, -(uint64_t)PAGES * PAGE_SIZE_4K};

	for (unsigned b = 0; b < ARRAY_SIZE(bases); b++) {
		struct ranges_bench *bench = calloc(1, sizeof(*bench));
		test_os_init(&bench->test);
		bench->universe.base = bases[b];
		bench->universe.seed = 4711 + b;
		bench->everything = true;
		iova_ranges_init(&bench->ranges, &bench->test.os, &bench->universe.space);
		for (unsigned round = 0; round < 3000 && !ktap_failed; round++) {
			uint64_t page = random_below(&bench->universe, PAGES);
			switch (random_below(&bench->universe, 10)) {
			case 0:
			case 1:
			case 2:
			case 3:
				random_reserve(bench);
				break;
			case 4:
				random_unreserve(bench);
				break;
			case 5:
				random_allow(bench);
				break;
			case 6:
			case 7:
				if (!is_reserved(bench, page)) /* whoever inserts has checked */
					random_insert(&bench->universe);
				for (unsigned i = 0; i < PAGES; i++)
					if (bench->universe.at[i] && is_reserved(bench, i))
						drop(&bench->universe, bench->universe.at[i]);
				break;
			default:
				if (bench->universe.at[page])
					drop(&bench->universe, bench->universe.at[page]);
				break;
			}
			check_ranges(bench);
			check_space(&bench->ranges.reserved);
		}
		for (unsigned i = 0; i < PAGES; i++)
			if (bench->universe.at[i])
				drop(&bench->universe, bench->universe.at[i]);
		iova_ranges_exit(&bench->ranges);
		KTAP_CHECK(test_os_is_clean(&bench->test));
		free(bench);
	}
}

static void aperture(void)
{
	struct iova_node area = {.first = 0x8000000000, .last = 0x8000000fff};
	struct iova_space areas;
	struct iova_ranges ranges;
	struct iova_range usable;
	struct test_os test;
	int self;

	test_os_init(&test);
	iova_space_init(&areas);
	iova_ranges_init(&ranges, &test.os, &areas);
	KTAP_EQUAL(iova_space_insert(&areas, &area), 0);
	/* an aperture that leaves a live area outside */
	KTAP_EQUAL(iova_ranges_aperture(&ranges, 0x1000, 0x7fffffffff, &self), -EADDRINUSE);
	iova_space_remove(&areas, &area);
	KTAP_EQUAL(iova_ranges_aperture(&ranges, 2, 1, &self), -EINVAL);
	for (long nth = 1; nth <= 2; nth++) {
		test.fail_at = test.allocations + nth;
		KTAP_EQUAL(iova_ranges_aperture(&ranges, 0x1000, 0x7fffffffff, &self), -ENOMEM);
		test.fail_at = 0;
		KTAP_EQUAL(test.objects, 0);
		KTAP_CHECK(iova_ranges_next(&ranges, 0, &usable));
		KTAP_CHECK(usable.first == 0 && usable.last == UINT64_MAX);
	}
	KTAP_EQUAL(iova_ranges_aperture(&ranges, 0x1000, 0x7fffffffff, &self), 0);
	KTAP_EQUAL(iova_ranges_reserve(&ranges, 0xfee00000, 0xfeefffff, &areas), 0);
	KTAP_CHECK(iova_ranges_next(&ranges, 0, &usable));
	KTAP_CHECK(usable.first == 0x1000 && usable.last == 0xfedfffff);
	KTAP_CHECK(iova_ranges_next(&ranges, usable.last + 1, &usable));
	KTAP_CHECK(usable.first == 0xfef00000 && usable.last == 0x7fffffffff);
	KTAP_CHECK(!iova_ranges_next(&ranges, usable.last + 1, &usable));
	/* a whole-space aperture reserves nothing */
	KTAP_EQUAL(iova_ranges_aperture(&ranges, 0, UINT64_MAX, &test), 0);
	iova_ranges_unreserve(&ranges, &self);
	KTAP_CHECK(iova_ranges_next(&ranges, 0xfeefffff, &usable));
	KTAP_CHECK(usable.first == 0xfef00000 && usable.last == UINT64_MAX);
	iova_ranges_exit(&ranges);
	KTAP_CHECK(test_os_is_clean(&test));
}

static const struct ktap_case cases[] = {
	{"random operations against a map", random_space},
	{"the ends of the space", whole_space},
	{"100,000 nodes, fragmented: searches stay fast", fragmented},
	{"a place behind very many near misses is found", over_budget},
	{"reserved and allowed ranges against a map", random_ranges},
	{"apertures", aperture},
};

KTAP_MAIN(cases)
