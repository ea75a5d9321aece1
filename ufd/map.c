/* SPDX-License-Identifier: MIT */
/*
 * IOAS_MAP, IOAS_MAP_FILE and IOAS_COPY. (IOAS_UNMAP: ufd/unmap.c)
 *
 * New areas are prepared outside the lock as a chain (one for MAP; for COPY one for
 * each area that the source range touches), then placed: given an IOVA and entered under
 * the lock of the IOAS, pinned, mapped in every HWPT and answered as a flight (ufd/flight.c),
 * or under the lock, if there are several areas or no HWPT. What fails is undone there.
 */
#include "ufd/private.h"

#define LOCK(ioas)   ufd_lock((ioas)->object.context->file.ufd, &(ioas)->lock)
#define UNLOCK(ioas) ufd_unlock((ioas)->object.context->file.ufd, &(ioas)->lock)

enum {
	MAP_FLAGS = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
	MAP_RIGHTS = IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
};

_Static_assert((IOMMU_READ | IOMMU_WRITE) == 3, "rights fit into bits 1:0 of a pointer");

/** Areas that lie in no space yet, linked by their nodes' first link. */
struct chain {
	struct ufd_area *first, *last;
	uint64_t bytes;
};

static struct ufd_area *chain_next(const struct ufd_area *area)
{
	return (struct ufd_area *)area->node.link[0];
}

static uint32_t map_rights(uint32_t flags)
{
	return (flags & IOMMU_IOAS_MAP_READABLE ? IOMMU_READ : 0) |
	       (flags & IOMMU_IOAS_MAP_WRITEABLE ? IOMMU_WRITE : 0);
}

/** Append an area for [start, start + bytes) of @p pages, whose reference it takes
 *  on success. node.first is the offset in the chain until it is placed. */
static int chain_add(struct ufd_context *context, struct chain *chain, struct ufd_pages *pages,
                     uint64_t start, uint64_t bytes, uint32_t rights)
{
	struct ufd_area *area = ufd_area_new(context, pages, start, rights);

	if (!area)
		return -ENOMEM;
	area->node.first = chain->bytes;
	area->node.last = chain->bytes + (bytes - 1);
	area->node.link[0] = NULL;
	if (chain->last)
		chain->last->node.link[0] = &area->node;
	else
		chain->first = area;
	chain->last = area;
	chain->bytes += bytes;
	return 0;
}

static void chain_free(struct ufd_context *context, struct chain *chain)
{
	for (struct ufd_area *area = chain->first, *next; area; area = next) {
		next = chain_next(area);
		ufd_area_free(context, area);
	}
	*chain = (struct chain){0};
}

/* ---- the hardware's side ------------------------------------------------------------ */

bool ufd_ioas_unmap_hwpts(struct ufd_ioas *ioas, uint64_t first, uint64_t last)
{
	bool safe = true;

	const uint64_t bytes = last - first + 1, half = bytes ? 0 : UINT64_C(1) << 63;

	for (struct ufd_hwpt *hwpt = ioas->hwpts; hwpt; hwpt = hwpt->next) {
		struct iommu_gather gather;

		iommu_gather_init(&gather, hwpt->domain);
		if (__builtin_expect(half != 0, 0)) /* all 2^64 bytes do not fit into one count */
			(void)iommu_unmap(hwpt->domain, iova(0), half, &gather);
		(void)iommu_unmap(hwpt->domain, iova(first + half), bytes - half, &gather);
		if (!iommu_gather_idle(&gather) && iommu_flush(&gather))
			safe = false;
	}
	return safe;
}

/** Map the areas from @p area to @p last in @p hwpt. Both flags are about failure:
 *  *safe becomes false if the IOMMU did not answer. */
static int map_in_hwpt(struct ufd_ioas *ioas, struct ufd_hwpt *hwpt, struct ufd_area *area,
                       const struct ufd_area *last, bool *safe)
{
	struct iommu_gather gather;
	int error = 0;

	iommu_gather_init(&gather, hwpt->domain);
	for (;;) {
		error = ufd_pages_map(ufd_area_pages(area), area->start, ufd_area_bytes(area),
		                      hwpt->domain, iova(area->node.first),
		                      ufd_area_rights(area) | IOMMU_CACHE | IOMMU_BESIDE,
		                      ioas->small_pages, &gather);
		if (error || area == last)
			break;
		area = (struct ufd_area *)iova_space_next(&ioas->areas, &area->node);
	}
	if (__builtin_expect(iommu_gather_idle(&gather), 1))
		return error;
	int flushed = iommu_flush(&gather);
	if (flushed)
		*safe = false;
	return error ? error : flushed;
}

/** Undo the pins of the areas from @p area up to, not including, @p end. */
static __attribute__((noinline)) void unpin_until(struct ufd_ioas *ioas, struct ufd_area *area,
                                                  const struct ufd_area *end, bool safe)
{
	for (; area != end; area = (struct ufd_area *)iova_space_next(&ioas->areas, &area->node))
		ufd_pages_unpin(ioas->object.context, ufd_area_pages(area), safe);
}

/** Undo map_everywhere(). */
static __attribute__((noinline)) void unmap_again(struct ufd_ioas *ioas, struct ufd_area *first,
                                                  struct ufd_area *last, bool safe)
{
	safe &= ufd_ioas_unmap_hwpts(ioas, first->node.first, last->node.last);
	unpin_until(ioas, first, (struct ufd_area *)iova_space_next(&ioas->areas, &last->node),
	            safe);
}

/** Pin and map the areas from @p first to @p last, which are in the space. */
static inline int map_everywhere(struct ufd_ioas *ioas, struct ufd_area *first,
                                 struct ufd_area *last)
{
	bool safe = true;
	int error = 0;

	if (!ioas->hwpts)
		return 0;
	for (struct ufd_area *area = first;;) {
		error = ufd_pages_pin(ioas->object.context, ufd_area_pages(area));
		if (__builtin_expect(error, 0)) {
			unpin_until(ioas, first, area, true);
			return error;
		}
		if (area == last)
			break;
		area = (struct ufd_area *)iova_space_next(&ioas->areas, &area->node);
	}
	for (struct ufd_hwpt *hwpt = ioas->hwpts; hwpt && !error; hwpt = hwpt->next)
		error = map_in_hwpt(ioas, hwpt, first, last, &safe);
	if (__builtin_expect(error, 0))
		unmap_again(ioas, first, last, safe);
	return error;
}

/* ---- placing --------------------------------------------------------------------------- */

static uint64_t power_of_two_from(uint64_t bytes)
{
	return bytes > 1 ? UINT64_C(2) << (63 - __builtin_clzll(bytes - 1)) : 1;
}

/** An IOVA for the chain, aligned so that large pages fit: like its length and like
 *  the user's address, 1 GiB at most. */
static int choose_iova(struct ufd_ioas *ioas, const struct chain *chain, struct iova_place *out)
{
	uint64_t user = ufd_pages_user(ufd_area_pages(chain->first), chain->first->start);
	uint64_t alignment = PAGE_SIZE_1G;

	if (chain->bytes >= UINT64_MAX / 2)
		return -EOVERFLOW;
	if (power_of_two_from(chain->bytes) < alignment)
		alignment = power_of_two_from(chain->bytes);
	if (user && (user & -user) < alignment)
		alignment = user & -user;
	if (alignment < ioas->alignment)
		return -EINVAL;
	return iova_ranges_find(&ioas->ranges, chain->bytes, alignment, 0, out);
}

static int check_iova(const struct ufd *ufd, struct ufd_ioas *ioas, uint64_t at, uint64_t bytes,
                      struct iova_place *out)
{
	if (at & (ioas->alignment - 1))
		return ufd_refuse(ufd, -EINVAL, "iova %#llx is not a multiple of %#llx",
		                  (unsigned long long)at, (unsigned long long)ioas->alignment);
	if (at + (bytes - 1) < at)
		return -EOVERFLOW;
	int error = iova_ranges_check(&ioas->ranges, at, at + (bytes - 1), out);
	if (error)
		(void)ufd_refuse(ufd, error, "iova %#llx..%#llx is %s", (unsigned long long)at,
		                 (unsigned long long)(at + (bytes - 1)),
		                 error == -EEXIST ? "mapped in part" : "reserved in part");
	return error;
}

/** Do the parts keep to the alignment of @p ioas, as lengths and as memory? */
static int check_parts(const struct ufd *ufd, const struct ufd_ioas *ioas,
                       const struct chain *chain)
{
	for (const struct ufd_area *area = chain->first; area; area = chain_next(area)) {
		uint64_t all = area->node.first | ufd_area_bytes(area) |
		               (area->start & (PAGE_SIZE_4K - 1));
		if (all & (ioas->alignment - 1))
			return ufd_refuse(ufd, -EINVAL,
			                  "length %#llx or memory is not a multiple of %#llx",
			                  (unsigned long long)ufd_area_bytes(area),
			                  (unsigned long long)ioas->alignment);
	}
	return 0;
}

/** Enter the chain's areas where @p place is. */
static void insert_chain(struct ufd_ioas *ioas, const struct chain *chain, struct iova_place place)
{
	for (struct ufd_area *area = chain->first, *next; area; area = next) {
		next = chain_next(area);
		area->node.first += place.first;
		area->node.last += place.first;
		iova_space_insert_at(&ioas->areas, &area->node, &place);
		place.before = &area->node;
	}
}

/** Take the areas from @p first to @p last out of the space again, as a chain. */
static void remove_chain(struct ufd_ioas *ioas, struct chain *chain, uint64_t at)
{
	struct ufd_area *area = chain->first, *previous = NULL, *next;

	for (;; previous = area, area = next) {
		assume(area); /* a chain has one area at least */
		next = area == chain->last
		               ? NULL
		               : (struct ufd_area *)iova_space_next(&ioas->areas, &area->node);
		iova_space_remove(&ioas->areas, &area->node);
		area->node.first -= at;
		area->node.last -= at;
		area->node.link[0] = NULL;
		if (previous)
			previous->node.link[0] = &area->node;
		if (!next)
			break;
	}
}

/** Where the chain goes: at *at (if @p fixed) or where there is room. */
static inline int find_place(const struct ufd *ufd, struct ufd_ioas *ioas,
                             const struct chain *chain, bool fixed, uint64_t at,
                             struct iova_place *out)
{
	int error = check_parts(ufd, ioas, chain);

	if (error)
		return error;
	return fixed ? check_iova(ufd, ioas, at, chain->bytes, out) : choose_iova(ioas, chain, out);
}

/** The same, beside flights and with what is deferred. The lock is held before and after. */
static __attribute__((noinline)) int find_place_among(const struct ufd *ufd, struct ufd_ioas *ioas,
                                                      const struct chain *chain, bool fixed,
                                                      uint64_t at, struct iova_place *out)
{
	for (;;) {
		if (ioas->deferral || chain->first != chain->last)
			ufd_ioas_alone(ioas); /* it is mapped under the lock */
		if (ufd_ioas_deferred(ioas))
			ufd_ioas_make_room(ioas, fixed, at, chain->bytes);
		/* who is in flight there may end: its areas are no reason to refuse */
		uint64_t last = at + (chain->bytes - 1);
		if (fixed && last >= at)
			(void)ufd_ioas_clear(ioas, at, last);
		int error = find_place(ufd, ioas, chain, fixed, at, out);
		if (error == -ENOSPC && ioas->flights) {
			ufd_ioas_alone(ioas);
			continue;
		}
		if (error == -ENOSPC && ufd_ioas_deferred(ioas)) {
			(void)ufd_ioas_settle(ioas);
			continue;
		}
		if (error || !ufd_ioas_clear(ioas, out->first, out->first + (chain->bytes - 1)))
			return error;
	}
}

/** Map what is in the space, and answer (@p fixed: nothing in the structure has changed). All
 *  is as before if that fails. */
static inline int map_and_answer(struct ufd_call *call, struct ufd_ioas *ioas,
                                 const struct chain *chain, bool fixed)
{
	int error = map_everywhere(ioas, chain->first, chain->last);

	if (!error && !fixed) {
		error = ufd_respond(call);
		if (__builtin_expect(error, 0) && ioas->hwpts)
			unmap_again(ioas, chain->first, chain->last, true);
	}
	return error;
}

/** Put the chain at *at (if @p fixed) or where there is room, map it, answer. The
 *  chain is empty after success and unchanged after a failure. */
static inline __attribute__((always_inline)) int place(struct ufd_call *call, struct ufd_ioas *ioas,
                                                       struct chain *chain, bool fixed,
                                                       uint64_t *at)
{
	struct iova_place where = {0};
	struct ufd_flight flight;
	int error;

	assume(chain->first && chain->last);
	LOCK(ioas);
	if (__builtin_expect(ioas->flights || ioas->alone_wanted || ioas->deferral ||
	                             chain->first != chain->last,
	                     0))
		error = find_place_among(call->ufd, ioas, chain, fixed, *at, &where);
	else
		error = find_place(call->ufd, ioas, chain, fixed, *at, &where);
	if (error) {
		UNLOCK(ioas);
		return error;
	}
	const bool flies = ioas->hwpts && !ioas->deferral && chain->first == chain->last;
	*at = where.first;
	insert_chain(ioas, chain, where);
	if (__builtin_expect(flies, 1)) {
		flight.first = where.first;
		flight.last = where.first + (chain->bytes - 1);
		ufd_flight_begin(ioas, &flight);
		UNLOCK(ioas);
	}
	error = map_and_answer(call, ioas, chain, fixed);
	if (__builtin_expect(flies, 1)) {
		LOCK(ioas);
		ufd_flight_end(ioas, &flight);
	}
	if (__builtin_expect(error, 0)) {
		remove_chain(ioas, chain, *at);
		ufd_ioas_alone(ioas);
		ufd_ioas_trim(ioas, *at, *at + (chain->bytes - 1));
	} else {
		ioas->mapped_bytes += chain->bytes;
		*chain = (struct chain){0};
	}
	UNLOCK(ioas);
	return error;
}

/* ---- calls ---------------------------------------------------------------------------- */

static int check_map_flags(const struct ufd *ufd, uint32_t flags)
{
	if (flags & ~(uint32_t)MAP_FLAGS)
		return ufd_refuse(ufd, -EOPNOTSUPP,
		                  "flags %#x: known are FIXED_IOVA 1, WRITEABLE 2, READABLE 4",
		                  flags);
	if (!(flags & MAP_RIGHTS))
		return ufd_refuse(ufd, -EINVAL, "flags %#x: neither READABLE nor WRITEABLE", flags);
	return 0;
}

/** May [start, start + bytes) be mapped? 0, -EINVAL, -EOVERFLOW. */
static int check_source(const struct ufd *ufd, uint64_t start, uint64_t bytes)
{
	if (!bytes || bytes > UINT64_MAX - PAGE_SIZE_4K)
		return ufd_refuse(ufd, -EINVAL, "map: length %#llx", (unsigned long long)bytes);
	return start + (bytes - 1) < start ? -EOVERFLOW : 0;
}

/** Map @p bytes of @p pages, whose reference it takes, from the byte on that has address
 *  or offset @p start. */
static inline __attribute__((always_inline)) int map_pages(struct ufd_call *call,
                                                           struct ufd_ioas *ioas,
                                                           struct ufd_pages *pages, uint64_t start,
                                                           uint64_t bytes, uint32_t flags,
                                                           uint64_t *at)
{
	struct chain chain = {0};

	int error = chain_add(call->context, &chain, pages, start & (PAGE_SIZE_4K - 1), bytes,
	                      map_rights(flags));
	if (error)
		ufd_pages_put(call->context, pages);
	else
		error = place(call, ioas, &chain, flags & IOMMU_IOAS_MAP_FIXED_IOVA, at);
	chain_free(call->context, &chain);
	return error;
}

int ufd_ioas_map_user(struct ufd_call *call, struct ufd_ioas *ioas, uint64_t user, uint64_t bytes,
                      uint32_t flags, uint64_t *at)
{
	struct ufd_pages *pages = NULL;

	int error = check_source(call->ufd, user, bytes);
	if (!error)
		error = ufd_pages_new(call->context, user, bytes, map_rights(flags) & IOMMU_WRITE,
		                      &pages);
	return error ? error : map_pages(call, ioas, pages, user, bytes, flags, at);
}

int ufd_call_ioas_map(struct ufd_call *call)
{
	struct iommu_ioas_map *arguments = call->arguments;
	uint64_t user = arguments->user_va, bytes = arguments->length;

	if (arguments->__reserved)
		return -EOPNOTSUPP;
	int error = check_map_flags(call->ufd, arguments->flags);
	if (error)
		return error;
	if (arguments->iova == UINT64_MAX || bytes == UINT64_MAX)
		return -EOVERFLOW;
	struct ufd_object *object = ufd_object_find(call->context, arguments->ioas_id, UFD_IOAS);
	if (!object)
		return -ENOENT;
	struct ufd_ioas *ioas = (struct ufd_ioas *)object;
	error = ufd_quick_map(call, ioas, arguments);
	if (error > 0)
		error = ufd_ioas_map_user(call, ioas, user, bytes, arguments->flags,
		                          &arguments->iova);
	ufd_object_release(object);
	return error;
}

int ufd_call_ioas_map_file(struct ufd_call *call)
{
	struct iommu_ioas_map_file *arguments = call->arguments;
	uint64_t start = arguments->start, bytes = arguments->length;
	struct ufd_pages *pages = NULL;
	struct ufd_ioas *ioas = NULL;

	int error = check_map_flags(call->ufd, arguments->flags);
	if (error)
		return error;
	if (arguments->iova == UINT64_MAX || bytes == UINT64_MAX)
		return -EOVERFLOW;
	error = ufd_object_hold(call->context, arguments->ioas_id, UFD_IOAS, &ioas);
	if (error)
		return error;
	error = check_source(call->ufd, start, bytes);
	if (!error)
		error = ufd_pages_new_file(call->context, arguments->fd, start, bytes,
		                           map_rights(arguments->flags) & IOMMU_WRITE, &pages);
	if (!error)
		error = map_pages(call, ioas, pages, start, bytes, arguments->flags,
		                  &arguments->iova);
	ufd_object_release(&ioas->object);
	return error;
}

/** A chain that refers to the memory behind [at, at + bytes) of @p ioas. -ENOENT if
 *  a byte is not mapped, -EPERM to write what was mapped for reading only. */
static int collect(struct ufd_call *call, struct ufd_ioas *ioas, uint64_t at, uint64_t bytes,
                   uint32_t rights, struct chain *chain)
{
	int error = 0;

	ufd_ioas_lock(ioas);
	while (bytes && !error) {
		struct ufd_area *area = (struct ufd_area *)iova_space_find(&ioas->areas, at);
		if (!area) {
			error = -ENOENT;
			break;
		}
		struct ufd_pages *pages = ufd_area_pages(area);
		uint64_t left = area->node.last - at + 1;
		uint64_t now = bytes < left ? bytes : left;
		if ((rights & IOMMU_WRITE) && !ufd_pages_writable(pages)) {
			error = ufd_refuse(call->ufd, -EPERM,
			                   "IOAS_COPY: the memory at %#llx was mapped read-only",
			                   (unsigned long long)at);
			break;
		}
		error = chain_add(call->context, chain, pages,
		                  area->start + (at - area->node.first), now, rights);
		if (!error)
			ufd_pages_get(pages);
		at += now;
		bytes -= now;
	}
	UNLOCK(ioas);
	return error;
}

int ufd_call_ioas_copy(struct ufd_call *call)
{
	struct iommu_ioas_copy *arguments = call->arguments;
	uint64_t bytes = arguments->length;
	struct ufd_ioas *from = NULL, *to = NULL;
	struct chain chain = {0};

	int error = check_map_flags(call->ufd, arguments->flags);
	if (error)
		return error;
	if (bytes == UINT64_MAX || arguments->dst_iova == UINT64_MAX)
		return -EOVERFLOW;
	error = ufd_object_hold(call->context, arguments->src_ioas_id, UFD_IOAS, &from);
	if (error)
		return error;
	error = ufd_object_hold(call->context, arguments->dst_ioas_id, UFD_IOAS, &to);
	if (error) {
		ufd_object_release(&from->object);
		return error;
	}
	if (!bytes)
		error = -EINVAL;
	else if (arguments->src_iova + (bytes - 1) < arguments->src_iova)
		error = -EOVERFLOW;
	else
		error = collect(call, from, arguments->src_iova, bytes,
		                map_rights(arguments->flags), &chain);
	if (!error)
		error = place(call, to, &chain, arguments->flags & IOMMU_IOAS_MAP_FIXED_IOVA,
		              &arguments->dst_iova);
	chain_free(call->context, &chain);
	ufd_object_release(&to->object);
	ufd_object_release(&from->object);
	return error;
}
