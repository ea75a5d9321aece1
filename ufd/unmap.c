/* SPDX-License-Identifier: MIT */
/*
 * IOAS_UNMAP, and the same for VFIO's type 1.
 *
 * First, accesses that pin something in the range are asked to unpin. Then everything that
 * can fail: are the mappings wholly inside (or, for type 1, can they be cut), is there
 * memory for the cuts, can the caller be answered? What comes after cannot fail: tables and
 * one flush for each HWPT, as a flight (ufd/flight.c), and only then the pins.
 */
#include "ufd/private.h"

#define LOCK(ioas)   ufd_lock((ioas)->object.context->file.ufd, &(ioas)->lock)
#define UNLOCK(ioas) ufd_unlock((ioas)->object.context->file.ufd, &(ioas)->lock)

enum { UNPIN_TRIES = 100 }; /* to get an access to unpin */

/** Remove the areas from @p node to @p last; @p pinned: undo a pin of each. */
static inline void drop_areas(struct ufd_ioas *ioas, struct iova_node *node, uint64_t last,
                              bool pinned, bool safe)
{
	struct ufd_context *context = ioas->object.context;

	while (node && node->first <= last) {
		struct ufd_area *area = (struct ufd_area *)node;
		node = node->last < last ? iova_space_next(&ioas->areas, node) : NULL;
		iova_space_remove(&ioas->areas, &area->node);
		ioas->mapped_bytes -= ufd_area_bytes(area);
		if (pinned)
			ufd_pages_unpin(context, ufd_area_pages(area), safe);
		ufd_area_free(context, area);
	}
}

void ufd_ioas_drop_areas(struct ufd_ioas *ioas)
{
	drop_areas(ioas, iova_space_first(&ioas->areas), UINT64_MAX, false, true);
}

/** The mappings in [*first, *last] as a hull, cut to the range if @p cut; else -ENOENT if one
 *  is only partly in it. -ENOENT if there is none. -EAGAIN if one is gone, but for its flush.
 *  *bytes is what they hold there, *head the first. */
static inline int find_hull(const struct ufd_ioas *ioas, bool cut, uint64_t *first, uint64_t *last,
                            uint64_t *bytes, struct iova_node **head)
{
	struct iova_node *node = iova_space_find_from(&ioas->areas, *first);
	const uint64_t from = *first, to = *last;
	uint64_t sum = 0, end = 0;

	if (!node || node->first > to)
		return -ENOENT;
	*head = node;
	*first = node->first < from ? from : node->first;
	do {
		if (__builtin_expect(((struct ufd_area *)node)->pages & UFD_AREA_DEFERRED, 0))
			return -EAGAIN;
		uint64_t begin = node->first < from ? from : node->first;
		end = node->last > to ? to : node->last;
		if (!cut && (begin != node->first || end != node->last))
			return -ENOENT;
		sum += end - begin + 1;
		node = end < to ? iova_space_next(&ioas->areas, node) : NULL;
	} while (node && node->first <= to);
	*last = end;
	*bytes = sum;
	return 0;
}

/** The same, after whoever pins something in there was asked to let go; the lock is held
 *  before and after, not meanwhile. -EDEADLK if it is pinned however often we ask, -EBUSY
 *  if nobody can be asked. */
static inline int find_unpinned_hull(struct ufd_ioas *ioas, bool cut, uint64_t *first,
                                     uint64_t *last, uint64_t *bytes, struct iova_node **first_node)
{
	const struct ufd *ufd = ioas->object.context->file.ufd;
	const uint64_t asked_first = *first, asked_last = *last;

	for (unsigned tries = 0; tries < UNPIN_TRIES; tries++) {
		if (__builtin_expect(ioas->flights || ioas->alone_wanted, 0))
			(void)ufd_ioas_clear(ioas, asked_first, asked_last);
		*first = asked_first;
		*last = asked_last;
		int error = find_hull(ioas, cut, first, last, bytes, first_node);
		if (error || __builtin_expect(!ioas->accesses, 1))
			return error;
		/* a pin counts for the whole of a mapping that is to be cut */
		const struct iova_node *head = iova_space_find(&ioas->areas, *first);
		const struct iova_node *tail = iova_space_find(&ioas->areas, *last);
		uint64_t from = head ? head->first : *first, to = tail ? tail->last : *last;
		if (!ufd_access_any_pin(ioas, from, to))
			return 0;
		if (ufd_access_any_owned(ioas, from, to))
			return ufd_refuse(ufd, -EBUSY,
			                  "IOAS_UNMAP: a hardware queue lies in %#llx..%#llx",
			                  (unsigned long long)from, (unsigned long long)to);
		UNLOCK(ioas);
		ufd_access_notify(ioas, from, to);
		LOCK(ioas);
	}
	return ufd_refuse(ufd, -EDEADLK, "IOAS_UNMAP: an access keeps %#llx..%#llx pinned",
	                  (unsigned long long)*first, (unsigned long long)*last);
}

/** The mapping that begins before @p at and goes on there, or NULL. */
static struct ufd_area *area_across(const struct ufd_ioas *ioas, uint64_t at)
{
	struct iova_node *node = at ? iova_space_find(&ioas->areas, at) : NULL;

	return node && node->first < at ? (struct ufd_area *)node : NULL;
}

/** Get what a cut before @p at needs, into *spare: NULL if there is nothing to cut. */
static int cut_prepare(const struct ufd_ioas *ioas, uint64_t at, struct ufd_area **spare)
{
	const struct ufd *ufd = ioas->object.context->file.ufd;

	*spare = NULL;
	if (!area_across(ioas, at))
		return 0;
	if (at & (ioas->alignment - 1) || !ioas->small_pages)
		return ufd_refuse(ufd, -EINVAL, "a mapping cannot be cut at %#llx",
		                  (unsigned long long)at);
	*spare = ufd_alloc(ufd, sizeof(**spare));
	return *spare ? 0 : -ENOMEM;
}

/** Make two mappings of one: what is from @p at on is @p spare. */
static void cut_carry_out(struct ufd_ioas *ioas, uint64_t at, struct ufd_area *spare)
{
	struct ufd_area *area = area_across(ioas, at);

	assume(area);
	spare->node.first = at;
	spare->node.last = area->node.last;
	spare->pages = area->pages;
	spare->start = area->start + (at - area->node.first);
	ufd_pages_get(ufd_area_pages(area));
	iova_space_remove(&ioas->areas, &area->node);
	area->node.last = at - 1;
	int error = iova_space_insert(&ioas->areas, &area->node);
	if (!error)
		error = iova_space_insert(&ioas->areas, &spare->node);
	if (!error && ioas->hwpts) /* it is pinned: this counts only */
		error = ufd_pages_pin(ioas->object.context, ufd_area_pages(spare));
	assume(!error);
}

int ufd_ioas_unmap(struct ufd_ioas *ioas, uint64_t first, uint64_t last, bool cut,
                   int (*answer)(void *arg, uint64_t bytes), void *arg)
{
	struct ufd *ufd = ioas->object.context->file.ufd;
	struct ufd_area *head = NULL, *tail = NULL;
	uint64_t bytes = 0;

	LOCK(ioas);
	if (__builtin_expect(ioas->deferral != NULL, 0))
		ufd_ioas_alone(ioas);
	struct iova_node *node = NULL;
	const uint64_t from = first, to = last;
	int error = find_unpinned_hull(ioas, cut, &first, &last, &bytes, &node);
	while (__builtin_expect(error == -EAGAIN, 0)) { /* again if others deferred meanwhile */
		(void)ufd_ioas_settle(ioas);
		first = from;
		last = to;
		error = find_unpinned_hull(ioas, cut, &first, &last, &bytes, &node);
	}
	if (!error && cut)
		error = cut_prepare(ioas, first, &head);
	if (!error && cut && last != UINT64_MAX)
		error = cut_prepare(ioas, last + 1, &tail);
	if (!error)
		error = answer(arg, bytes);
	if (!error) {
		if (head) {
			cut_carry_out(ioas, first, head);
			node = &head->node;
		}
		if (tail)
			cut_carry_out(ioas, last + 1, tail);
		if (__builtin_expect(ioas->deferral != NULL, 0) && ioas->hwpts &&
		    last - first != UINT64_MAX) {
			ufd_ioas_defer(ioas, (struct ufd_area *)node, last);
		} else if (!ioas->hwpts) {
			drop_areas(ioas, node, last, false, true);
		} else {
			struct ufd_flight flight = {.first = first, .last = last};
			ufd_flight_begin(ioas, &flight);
			UNLOCK(ioas);
			bool safe = ufd_ioas_unmap_hwpts(ioas, first, last);
			LOCK(ioas);
			ufd_flight_end(ioas, &flight);
			drop_areas(ioas, node, last, true, safe);
		}
	}
	UNLOCK(ioas);
	if (error && cut) {
		ufd_free(ufd, head, sizeof(*head));
		ufd_free(ufd, tail, sizeof(*tail));
	}
	return error;
}

bool ufd_ioas_is_free(struct ufd_ioas *ioas, uint64_t first, uint64_t last)
{
	ufd_ioas_lock(ioas);
	const struct iova_node *node = iova_space_find_from(&ioas->areas, first);
	bool is_free = !node || node->first > last;
	UNLOCK(ioas);
	return is_free;
}

void ufd_ioas_unmap_loan(struct ufd_context *context, const struct ufd_loan *loan)
{
	struct ufd_ioas *ioas;

	for (uint32_t id = 1; (ioas = ufd_ioas_next(context, id)) != NULL;) {
		ufd_ioas_lock(ioas);
		struct iova_node *node = iova_space_first(&ioas->areas);
		for (; node; node = iova_space_next(&ioas->areas, node)) {
			struct ufd_pages *pages = ufd_area_pages((struct ufd_area *)node);
			if (ufd_pages_loan(pages) != loan ||
			    ufd_ioas_unmap_hwpts(ioas, node->first, node->last))
				continue;
			/* a device may reach it still: it is never given back */
			if (!ufd_pages_pin(context, pages))
				ufd_pages_unpin(context, pages, false);
		}
		id = ioas->object.id + 1;
		UNLOCK(ioas);
		ufd_object_release(&ioas->object);
	}
}

static int answer_call(void *arg, uint64_t bytes)
{
	const struct ufd_call *call = arg;
	struct iommu_ioas_unmap *arguments = call->arguments;

	arguments->length = bytes;
	return ufd_respond(call);
}

/** What ufd_quick_unmap() does not do. */
static __attribute__((noinline)) int unmap_any(struct ufd_call *call, struct ufd_ioas *ioas,
                                               uint64_t first, uint64_t bytes)
{
	int error;

	if (first == 0 && bytes == UINT64_MAX) {
		error = ufd_ioas_unmap(ioas, 0, UINT64_MAX, false, answer_call, call);
		if (error == -ENOENT) /* nothing is all there is */
			error = answer_call(call, 0);
	} else if (first == UINT64_MAX || bytes == UINT64_MAX ||
	           (bytes && first + (bytes - 1) < first)) {
		error = -EOVERFLOW;
	} else if (!bytes) {
		error = -EINVAL;
	} else {
		error = ufd_ioas_unmap(ioas, first, first + (bytes - 1), false, answer_call, call);
	}
	return error;
}

int ufd_call_ioas_unmap(struct ufd_call *call)
{
	const struct iommu_ioas_unmap *arguments = call->arguments;
	const uint64_t first = arguments->iova, bytes = arguments->length;
	struct ufd_object *object = ufd_object_find(call->context, arguments->ioas_id, UFD_IOAS);
	int error = 0;

	if (!object)
		return -ENOENT;
	if (!ufd_quick_unmap((struct ufd_ioas *)object, first, bytes))
		error = unmap_any(call, (struct ufd_ioas *)object, first, bytes);
	ufd_object_release(object);
	return error;
}
