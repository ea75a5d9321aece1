/* SPDX-License-Identifier: MIT */
/*
 * The IOVA space against brute force: a universe laid at the bottom, in the middle and
 * at the very top of the 64-bit space; and large spaces, which must stay fast.
 */
#include "tests/unit/iova_universe.h"

/** iova_space_find_gap(), of which most tests want the address only; the neighbours that it
 *  tells must be right. */
static int find_gap(const struct iova_space *space, uint64_t bytes, uint64_t alignment,
                    uint64_t from, uint64_t last, uint64_t *out)
{
	struct iova_place place = {0};
	int error = iova_space_find_gap(space, bytes, alignment, from, last, &place);

	if (error)
		return error;
	struct iova_node *after = iova_space_find_from(space, place.first);
	KTAP_CHECK(place.after == after);
	KTAP_CHECK(place.before == (after ? iova_space_previous(space, after) : space->highest));
	*out = place.first;
	return 0;
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
	int result = find_gap(&universe->space, bytes, alignment, page_first(universe, from),
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
		KTAP_CHECK(universe.space.root == NULL && universe.space.highest == NULL);
	}
}

/* ---- against a list ---------------------------------------------------------------- */

/** Intervals in ascending order, in an array: everything by going through all of them. */
struct list {
	struct iova_node *node[512];
	unsigned count;
	uint64_t seed;
};

static uint64_t list_random(struct list *list, uint64_t below)
{
	return test_random(&list->seed) % below;
}

/** The lowest place, by definition. */
static bool list_place(const struct list *list, uint64_t bytes, uint64_t alignment, uint64_t from,
                       uint64_t last, uint64_t *out)
{
	unsigned __int128 at = from;

	for (unsigned i = 0;; i++) {
		at = (at + alignment - 1) & ~((unsigned __int128)alignment - 1);
		if (at + bytes - 1 > last)
			return false;
		while (i < list->count && list->node[i]->last < at)
			i++;
		if (i == list->count || list->node[i]->first > at + bytes - 1) {
			*out = (uint64_t)at;
			return true;
		}
		at = (unsigned __int128)list->node[i]->last + 1;
	}
}

/** A length of any size, with few significant bits or with all. */
static uint64_t list_bytes(struct list *list)
{
	uint64_t bytes = test_random(&list->seed) >> list_random(list, 64);

	if (list_random(list, 2))
		bytes &= ~UINT64_C(0) << list_random(list, 30);
	return bytes ? bytes : 1;
}

/** Enter an interval at @p first, if it is free, in both. */
static void list_insert(struct list *list, struct iova_space *space, uint64_t first, uint64_t last)
{
	unsigned place = 0;

	while (place < list->count && list->node[place]->last < first)
		place++;
	bool is_free = place == list->count || list->node[place]->first > last;
	struct iova_node *node = test_malloc(sizeof(*node));
	memset(node, 0xa5, sizeof(*node));
	node->first = first;
	node->last = last;
	struct iova_place free_at = {0};
	if (list_random(list, 2)) { /* in two steps, as the second one looks for nothing */
		KTAP_EQUAL(iova_space_check(space, first, last, &free_at), is_free ? 0 : -EEXIST);
		if (is_free)
			iova_space_insert_at(space, node, &free_at);
	} else {
		KTAP_EQUAL(iova_space_insert(space, node), is_free ? 0 : -EEXIST);
	}
	if (!is_free) {
		free(node);
		return;
	}
	memmove(&list->node[place + 1], &list->node[place],
	        (list->count - place) * sizeof(struct iova_node *));
	list->node[place] = node;
	list->count++;
}

static void list_remove(struct list *list, struct iova_space *space, unsigned place)
{
	iova_space_remove(space, list->node[place]);
	free(list->node[place]);
	list->count--;
	memmove(&list->node[place], &list->node[place + 1],
	        (list->count - place) * sizeof(struct iova_node *));
}

/** One operation: a place is looked for, and mostly taken; or one is given back. */
static void list_operation(struct list *list, struct iova_space *space, bool growing)
{
	uint64_t bytes = list_bytes(list), alignment = UINT64_C(1) << list_random(list, 40);
	uint64_t from = 0, last = UINT64_MAX, wanted = 0, got = 0;

	if (list_random(list, 10) >= (growing ? 7u : 3u)) {
		if (list->count)
			list_remove(list, space, (unsigned)list_random(list, list->count));
		return;
	}
	if (list_random(list, 4) == 0)
		from = test_random(&list->seed) >> list_random(list, 64);
	if (list_random(list, 4) == 0)
		last = test_random(&list->seed) >> list_random(list, 64);
	if (from > last)
		last = UINT64_MAX;
	bool exists = list_place(list, bytes, alignment, from, last, &wanted);
	KTAP_EQUAL(find_gap(space, bytes, alignment, from, last, &got), exists ? 0 : -ENOSPC);
	if (exists)
		KTAP_EQUAL(got, wanted);
	if (list->count == ARRAY_SIZE(list->node))
		return;
	if (exists && list_random(list, 4))
		list_insert(list, space, wanted, wanted + (bytes - 1));
	else if (from + (bytes >> 8) >= from) /* wherever it may be */
		list_insert(list, space, from, from + (bytes >> 8));
}

static void against_a_list(void)
{
	enum { OPERATIONS = 100000 };
	struct list *list = test_calloc(1, sizeof(*list));
	struct iova_space space;

	list->seed = 4711;
	iova_space_init(&space);
	for (unsigned i = 0; i < OPERATIONS && !ktap_failed; i++) {
		list_operation(list, &space, i / 5000 % 2 == 0);
		KTAP_EQUAL(space.count, list->count);
		if (i % 512 == 0)
			check_space(&space);
		if (i % 64 == 0) { /* all of it, in both directions */
			const struct iova_node *node = iova_space_first(&space);
			for (unsigned n = 0; n < list->count; n++) {
				KTAP_CHECK(node == list->node[n]);
				node = iova_space_next(&space, node);
			}
			KTAP_CHECK(!node);
			node = space.highest;
			for (unsigned n = list->count; n-- > 0;) {
				KTAP_CHECK(node == list->node[n]);
				node = iova_space_previous(&space, node);
			}
			KTAP_CHECK(!node);
		}
	}
	while (list->count)
		list_remove(list, &space, list->count - 1);
	KTAP_CHECK(space.root == NULL);
	free(list);
}

static void whole_space(void)
{
	struct iova_node all = {.first = 0, .last = UINT64_MAX}, low = {.first = 0, .last = 0};
	struct iova_node high = {.first = UINT64_MAX, .last = UINT64_MAX};
	struct iova_node wrong = {.first = 2, .last = 1};
	struct iova_space space;
	uint64_t out;

	iova_space_init(&space);
	KTAP_EQUAL(find_gap(&space, UINT64_MAX, 1, 0, UINT64_MAX, &out), 0);
	KTAP_EQUAL(out, 0);
	KTAP_EQUAL(iova_space_insert(&space, &wrong), -EINVAL);
	KTAP_EQUAL(iova_space_insert(&space, &all), 0);
	KTAP_EQUAL(iova_space_insert(&space, &low), -EEXIST);
	KTAP_EQUAL(find_gap(&space, 1, 1, 0, UINT64_MAX, &out), -ENOSPC);
	KTAP_CHECK(iova_space_find(&space, 12345) == &all);
	KTAP_CHECK(iova_space_next(&space, &all) == NULL);
	KTAP_CHECK(iova_space_previous(&space, &all) == NULL);
	iova_space_remove(&space, &all);
	KTAP_EQUAL(iova_space_insert(&space, &high), 0);
	check_space(&space);
	KTAP_EQUAL(find_gap(&space, UINT64_MAX, 1, 0, UINT64_MAX, &out), 0);
	KTAP_EQUAL(iova_space_insert(&space, &low), 0);
	check_space(&space);
	KTAP_EQUAL(find_gap(&space, UINT64_MAX, 1, 0, UINT64_MAX, &out), -ENOSPC);
	KTAP_EQUAL(find_gap(&space, UINT64_MAX - 1, 1, 0, UINT64_MAX, &out), 0);
	KTAP_EQUAL(out, 1);
	/* the highest block of 2^63 begins at 2^63 and would end at 2^64 - 1 */
	KTAP_EQUAL(find_gap(&space, UINT64_C(1) << 63, UINT64_C(1) << 63, 0, UINT64_MAX, &out),
	           -ENOSPC);
	KTAP_EQUAL(find_gap(&space, 0, 1, 0, 1, &out), -EINVAL);
	KTAP_EQUAL(find_gap(&space, 1, 0, 0, 1, &out), -EINVAL);
	KTAP_EQUAL(find_gap(&space, 1, 3, 0, 1, &out), -EINVAL);
	KTAP_EQUAL(find_gap(&space, 1, 1, 2, 1, &out), -EINVAL);
	iova_space_remove(&space, &high);
	iova_space_remove(&space, &low);
}

/** Many nodes: each kind of search must stay fast. What took a walk over all nodes
 *  would take minutes here. */
static void fragmented(void)
{
	enum { NODES = 100000, SEARCHES = 20000 };
	struct iova_node *nodes = test_calloc(NODES, sizeof(*nodes));
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
		KTAP_EQUAL(find_gap(&space, 0x1000, 0x1000, 0, UINT64_MAX, &out), 0);
		KTAP_EQUAL(out, 0);
		uint64_t from = nodes[i].first;
		KTAP_EQUAL(find_gap(&space, 0x2000, 0x1000, from, UINT64_MAX, &out), 0);
		KTAP_EQUAL(out, nodes[i].last + 1);
		/* nothing but the end will do: too large, or aligned too strictly */
		KTAP_EQUAL(find_gap(&space, 4 * PAGE_SIZE_2M, 0x1000, 0, UINT64_MAX, &out), 0);
		KTAP_EQUAL(out, end);
		KTAP_EQUAL(find_gap(&space, 2 * PAGE_SIZE_2M, 2 * PAGE_SIZE_2M, PAGE_SIZE_2M,
		                    UINT64_MAX, &out),
		           0);
		KTAP_CHECK(out >= end && out < end + 2 * PAGE_SIZE_2M);
		/* few addresses are aligned so strictly */
		KTAP_EQUAL(find_gap(&space, 0x1000, PAGE_SIZE_1G, 1, UINT64_MAX, &out), 0);
		KTAP_CHECK(out % PAGE_SIZE_1G == 0);
		sum += out;
	}
	KTAP_CHECK(sum > 0);
	/* The only free multiple of 1 GiB in the middle, and the only aligned 2 MiB, in a
	 * gap where 2 MiB and alignment to spare do not fit, are found. */
	const uint64_t k = 256 * 40, base = k * 2 * PAGE_SIZE_2M;
	iova_space_remove(&space, &nodes[k - 1]);
	nodes[k - 1].last = base - 1;
	KTAP_EQUAL(iova_space_insert(&space, &nodes[k - 1]), 0);
	KTAP_EQUAL(find_gap(&space, 0x1000, PAGE_SIZE_1G, 1, UINT64_MAX, &out), 0);
	KTAP_EQUAL(out, base);
	iova_space_remove(&space, &nodes[k - 1]);
	nodes[k - 1].last = base + 0x1fff;
	KTAP_EQUAL(iova_space_insert(&space, &nodes[k - 1]), 0);
	iova_space_remove(&space, &nodes[k]);
	nodes[k].first = base + 2 * PAGE_SIZE_2M;
	KTAP_EQUAL(iova_space_insert(&space, &nodes[k]), 0);
	KTAP_EQUAL(find_gap(&space, PAGE_SIZE_2M, PAGE_SIZE_2M, 1, UINT64_MAX, &out), 0);
	KTAP_EQUAL(out, base + PAGE_SIZE_2M);
	/* the worst: gaps of the right size, each with an aligned block, never a fit;
	 * then the lowest place may be missed, but a place is found */
	for (unsigned i = 0; i < SEARCHES / 10 && !ktap_failed; i++) {
		KTAP_EQUAL(
			find_gap(&space, PAGE_SIZE_2M + 0x1000, PAGE_SIZE_2M, 1, UINT64_MAX, &out),
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
	enum { NODES = 5000 };
	struct iova_node *nodes = test_calloc(NODES + 1, sizeof(*nodes));
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
	KTAP_EQUAL(find_gap(&space, 0x3000, 0x2000, 0x1000, UINT64_MAX, &out), 0);
	KTAP_EQUAL(out, (NODES - 1) * UINT64_C(0x8000) + 0x2000);
	/* a place of 4 pages serves wherever it begins: the search ends there, too */
	KTAP_EQUAL(find_gap(&space, 0x5000, 0x2000, 0x1000, UINT64_MAX, &out), -ENOSPC);
	free(nodes);
}

static const struct ktap_case cases[] = {
	{"random operations against a map", random_space},
	{"100,000 random operations of all sizes against a list", against_a_list},
	{"the ends of the space", whole_space},
	{"100,000 nodes, fragmented: searches stay fast", fragmented},
	{"a place behind very many near misses is found", over_budget},
};

KTAP_MAIN(cases)
