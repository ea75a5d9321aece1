/* SPDX-License-Identifier: MIT */
/*
 * Reserved and allowed ranges of an IOVA space: see iommu/iova.h.
 *
 * Reservations are a list; their union is a tree, so that a check costs the same with
 * one device or with hundreds. The union is made anew after changes, when it is looked at, of
 * nodes that lie in the reservations themselves: dropping one, which may cut a block in two,
 * needs no memory.
 */
#include "iommu/iova.h"
#include "iommu/string.h"

struct iova_reservation {
	struct iova_reservation *next;
	uint64_t first, last;
	const void *owner;
	struct iova_node block; /* of the union, if one starts here */
};

static void union_add(struct iova_ranges *ranges, struct iova_node *block)
{
	int error = iova_space_insert(&ranges->reserved, block);

	(void)error; /* blocks are disjoint by construction */
}

/** The largest range without a reservation, which most checks ask for. */
static void find_usual(struct iova_ranges *ranges)
{
	struct iova_range at;

	ranges->usual = (struct iova_range){1, 0}; /* none */
	for (uint64_t from = 0; iova_ranges_next(ranges, from, &at); from = at.last + 1) {
		if (ranges->usual.first > ranges->usual.last ||
		    at.last - at.first > ranges->usual.last - ranges->usual.first)
			ranges->usual = at;
		if (at.last == UINT64_MAX)
			break;
	}
}

/** Make the union of all reservations, which are sorted by their first address. */
static __attribute__((noinline)) void union_make(struct iova_ranges *ranges)
{
	struct iova_node *open = NULL;

	ranges->stale = false; /* first: find_usual() asks */
	iova_space_init(&ranges->reserved);
	for (struct iova_reservation *at = ranges->reservations; at; at = at->next) {
		if (open && (open->last == UINT64_MAX || at->first <= open->last + 1)) {
			if (at->last > open->last)
				open->last = at->last;
			continue;
		}
		if (open)
			union_add(ranges, open);
		open = &at->block;
		open->first = at->first;
		open->last = at->last;
	}
	if (open)
		union_add(ranges, open);
	find_usual(ranges);
}

/** Before the union is looked at. */
static inline void union_ready(struct iova_ranges *ranges)
{
	if (__builtin_expect(ranges->stale, 0))
		union_make(ranges);
}

void iova_ranges_init(struct iova_ranges *ranges, const struct iommu_os *os,
                      const struct iova_space *areas)
{
	*ranges = (struct iova_ranges){
		.os = os,
		.areas = areas,
		.usual = {0, UINT64_MAX},
	};
}

static void allowed_free(struct iova_ranges *ranges)
{
	if (ranges->allowed)
		ranges->os->free(ranges->os->ctx, ranges->allowed,
		                 ranges->allowed_count * sizeof(*ranges->allowed));
	ranges->allowed = NULL;
	ranges->allowed_count = 0;
}

void iova_ranges_exit(struct iova_ranges *ranges)
{
	while (ranges->reservations) {
		struct iova_reservation *at = ranges->reservations;
		ranges->reservations = at->next;
		ranges->os->free(ranges->os->ctx, at, sizeof(*at));
	}
	ranges->stale = true;
	allowed_free(ranges);
}

static bool overlaps(const struct iova_space *space, uint64_t first, uint64_t last)
{
	const struct iova_node *node = space ? iova_space_find_from(space, first) : NULL;

	return node && node->first <= last;
}

static bool overlaps_allowed(const struct iova_ranges *ranges, uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < ranges->allowed_count; i++)
		if (ranges->allowed[i].first <= last && ranges->allowed[i].last >= first)
			return true;
	return false;
}

/** 0, -EINVAL or -EADDRINUSE, as iova_ranges_reserve(). */
static int reservation_check(const struct iova_ranges *ranges, uint64_t first, uint64_t last)
{
	if (last < first)
		return -EINVAL;
	if (overlaps(ranges->areas, first, last) || overlaps_allowed(ranges, first, last))
		return -EADDRINUSE;
	return 0;
}

static void reservation_link(struct iova_ranges *ranges, struct iova_reservation *reservation,
                             uint64_t first, uint64_t last, const void *owner)
{
	struct iova_reservation **link = &ranges->reservations;

	reservation->first = first;
	reservation->last = last;
	reservation->owner = owner;
	while (*link && (*link)->first <= first)
		link = &(*link)->next;
	reservation->next = *link;
	*link = reservation;
}

int iova_ranges_reserve(struct iova_ranges *ranges, uint64_t first, uint64_t last,
                        const void *owner)
{
	int error = reservation_check(ranges, first, last);

	if (error)
		return error;
	struct iova_reservation *made = ranges->os->alloc(ranges->os->ctx, sizeof(*made));
	if (!made)
		return -ENOMEM;
	reservation_link(ranges, made, first, last, owner);
	ranges->stale = true;
	return 0;
}

int iova_ranges_aperture(struct iova_ranges *ranges, uint64_t first, uint64_t last,
                         const void *owner)
{
	const struct iommu_os *os = ranges->os;
	struct iova_reservation *below = NULL, *above = NULL;
	int error = last < first ? -EINVAL : 0;

	if (!error && first)
		error = reservation_check(ranges, 0, first - 1);
	if (!error && last != UINT64_MAX)
		error = reservation_check(ranges, last + 1, UINT64_MAX);
	if (error)
		return error;
	if (first) {
		below = os->alloc(os->ctx, sizeof(*below));
		if (!below)
			return -ENOMEM;
	}
	if (last != UINT64_MAX) {
		above = os->alloc(os->ctx, sizeof(*above));
		if (!above) {
			os->free(os->ctx, below, sizeof(*below));
			return -ENOMEM;
		}
	}
	if (below)
		reservation_link(ranges, below, 0, first - 1, owner);
	if (above)
		reservation_link(ranges, above, last + 1, UINT64_MAX, owner);
	ranges->stale = true;
	return 0;
}

void iova_ranges_unreserve(struct iova_ranges *ranges, const void *owner)
{
	struct iova_reservation **link = &ranges->reservations;

	while (*link) {
		struct iova_reservation *at = *link;
		if (at->owner != owner) {
			link = &at->next;
			continue;
		}
		*link = at->next;
		ranges->os->free(ranges->os->ctx, at, sizeof(*at));
	}
	ranges->stale = true;
}

/* ---- allowed ranges --------------------------------------------------------------- */

/** Let the range at @p root sink to its place in a heap of @p count. */
static void heap_sink(struct iova_range *heap, size_t root, size_t count)
{
	for (size_t below; (below = 2 * root + 1) < count; root = below) {
		if (below + 1 < count && heap[below + 1].first > heap[below].first)
			below++;
		if (heap[root].first >= heap[below].first)
			return;
		struct iova_range swapped = heap[root];
		heap[root] = heap[below];
		heap[below] = swapped;
	}
}

/** Sort by first address; in place, in O(n log n) whatever the user chose. */
static void ranges_sort(struct iova_range *list, size_t count)
{
	for (size_t i = count / 2; i-- > 0;)
		heap_sink(list, i, count);
	for (size_t end = count; end > 1;) {
		struct iova_range highest = list[0];
		list[0] = list[--end];
		list[end] = highest;
		heap_sink(list, 0, end);
	}
}

int iova_ranges_allow(struct iova_ranges *ranges, const struct iova_range *allowed, size_t count)
{
	const struct iommu_os *os = ranges->os;
	struct iova_range *list = NULL;
	int error = 0;

	if (count > SIZE_MAX / sizeof(*list))
		return -ENOMEM;
	if (count) {
		list = os->alloc(os->ctx, count * sizeof(*list));
		if (!list)
			return -ENOMEM;
		memcpy(list, allowed, count * sizeof(*list));
		ranges_sort(list, count);
	}
	for (size_t i = 0; i < count && !error; i++) {
		if (list[i].last < list[i].first || (i && list[i].first <= list[i - 1].last))
			error = -EINVAL;
	}
	union_ready(ranges);
	for (size_t i = 0; i < count && !error; i++) {
		if (overlaps(&ranges->reserved, list[i].first, list[i].last))
			error = -EADDRINUSE;
	}
	if (error) {
		os->free(os->ctx, list, count * sizeof(*list));
		return error;
	}
	allowed_free(ranges);
	ranges->allowed = list;
	ranges->allowed_count = count;
	return 0;
}

/* ---- looking ------------------------------------------------------------------------ */

int iova_ranges_check(struct iova_ranges *ranges, uint64_t first, uint64_t last,
                      struct iova_place *out)
{
	if (last < first)
		return -EINVAL;
	union_ready(ranges);
	if ((first < ranges->usual.first || last > ranges->usual.last) &&
	    overlaps(&ranges->reserved, first, last))
		return -EINVAL;
	return ranges->areas ? iova_space_check(ranges->areas, first, last, out) : 0;
}

bool iova_ranges_next(struct iova_ranges *ranges, uint64_t from, struct iova_range *out)
{
	union_ready(ranges);
	for (;;) {
		const struct iova_node *block = iova_space_find_from(&ranges->reserved, from);
		out->first = from;
		out->last = UINT64_MAX;
		if (!block)
			return true;
		if (block->first > from) {
			out->last = block->first - 1;
			return true;
		}
		if (block->last == UINT64_MAX)
			return false;
		from = block->last + 1;
	}
}

/** Find a place within one range that is not reserved: in the allowed parts of it. */
static int find_in(const struct iova_ranges *ranges, const struct iova_range *usable,
                   uint64_t bytes, uint64_t alignment, struct iova_place *out)
{
	static const struct iova_space nothing;
	const struct iova_space *areas = ranges->areas ? ranges->areas : &nothing;

	if (!ranges->allowed_count)
		return iova_space_find_gap(areas, bytes, alignment, usable->first, usable->last,
		                           out);
	for (size_t i = 0; i < ranges->allowed_count; i++) {
		struct iova_range part = ranges->allowed[i];
		if (part.first < usable->first)
			part.first = usable->first;
		if (part.last > usable->last)
			part.last = usable->last;
		if (part.first > part.last)
			continue;
		int error =
			iova_space_find_gap(areas, bytes, alignment, part.first, part.last, out);
		if (error != -ENOSPC)
			return error;
	}
	return -ENOSPC;
}

int iova_ranges_find(struct iova_ranges *ranges, uint64_t bytes, uint64_t alignment, uint64_t from,
                     struct iova_place *out)
{
	struct iova_range usable;

	if (!bytes || !alignment || alignment & (alignment - 1))
		return -EINVAL;
	while (iova_ranges_next(ranges, from, &usable)) {
		int error = find_in(ranges, &usable, bytes, alignment, out);
		if (error != -ENOSPC || usable.last == UINT64_MAX)
			return error;
		from = usable.last + 1;
	}
	return -ENOSPC;
}
