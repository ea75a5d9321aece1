/* SPDX-License-Identifier: MIT */
/* Reserved and allowed ranges of an IOVA space against a map of a small universe. */
#include "tests/unit/iova_universe.h"

enum { OWNERS = 4, RESERVATIONS = 64 };

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
	struct iova_range list[5] = {{0, 0}};
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
	struct iova_place place = {0};
	struct iova_range usable;

	random_range(bench, &first, &last);
	bool reserved = false, taken = false;
	for (uint64_t i = first; i <= last; i++) {
		reserved |= is_reserved(bench, i);
		taken |= universe->at[i] != NULL;
	}
	KTAP_EQUAL(iova_ranges_check(&bench->ranges, page_first(universe, first),
	                             page_last(universe, last), &place),
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
	                              page_first(universe, start), &place);
	got = place.first;
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
		struct ranges_bench *bench = test_calloc(1, sizeof(*bench));
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
	int self = 0; /* its address is the user */

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
	{"random operations against a map", random_ranges},
	{"apertures", aperture},
};

KTAP_MAIN(cases)
