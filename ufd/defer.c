/* SPDX-License-Identifier: MIT */
/*
 * Deferred invalidation: see ufd/nestor.h.
 *
 * An unmap clears the entries and leaves the rest to a later flush: the ranges and the table
 * pages gather in each HWPT, and the areas stay in the IOAS, marked and listed, with their
 * pins. Whoever takes the lock of an IOAS by ufd_ioas_lock() flushes first, so that nobody but
 * IOAS_MAP and IOAS_UNMAP ever meets a marked area. These two flush when
 *
 *   - the list is full, or its oldest entry is older than the IOAS allows;
 *   - what is to be mapped or unmapped lies where a marked area is, or no other IOVA is left;
 *   - a table page is in a gather: a unit that still remembers the way to it would not find
 *     what is mapped anew beside.
 *
 * Invariant: the list is empty unless there is a HWPT and a deferral.
 */
#include "ufd/nestor.h"
#include "ufd/private.h"

#include "iommu/print.h"

struct ufd_deferral {
	uint32_t capacity, count;
	uint64_t us;
	uint64_t oldest_ns; /* when the first of the list came */
	struct ufd_area *areas[];
};

static size_t deferral_bytes(uint64_t capacity)
{
	return sizeof(struct ufd_deferral) + capacity * sizeof(struct ufd_area *);
}

uint32_t ufd_ioas_deferred(const struct ufd_ioas *ioas)
{
	return ioas->deferral ? ioas->deferral->count : 0;
}

static void drop(struct ufd_ioas *ioas, struct ufd_area *area, bool safe)
{
	struct ufd_context *context = ioas->object.context;

	iova_space_remove(&ioas->areas, &area->node);
	ufd_pages_unpin(context, ufd_area_pages(area), safe);
	ufd_area_free(context, area);
}

bool ufd_ioas_settle(struct ufd_ioas *ioas)
{
	struct ufd_deferral *deferral = ioas->deferral;
	bool safe = true;

	if (!ufd_ioas_deferred(ioas))
		return true;
	for (struct ufd_hwpt *hwpt = ioas->hwpts; hwpt; hwpt = hwpt->next) {
		if (!iommu_gather_idle(&hwpt->deferred) && iommu_flush(&hwpt->deferred))
			safe = false;
		iommu_gather_init(&hwpt->deferred, hwpt->domain);
	}
	for (uint32_t i = 0; i < deferral->count; i++)
		drop(ioas, deferral->areas[i], safe);
	deferral->count = 0;
	return safe;
}

static uint64_t now(const struct ufd_ioas *ioas)
{
	const struct iommu_os *os = ioas->object.context->file.ufd->os;

	return os->now_ns(os->ctx);
}

/** Nanoseconds until it must flush; 0: now. */
static uint64_t time_left(const struct ufd_ioas *ioas)
{
	uint64_t allowed = ioas->deferral->us * 1000;
	uint64_t passed = now(ioas) - ioas->deferral->oldest_ns;

	return passed < allowed ? allowed - passed : 0;
}

static bool is_late(const struct ufd_ioas *ioas)
{
	return time_left(ioas) == 0;
}

void ufd_ioas_make_room(struct ufd_ioas *ioas, bool fixed, uint64_t at, uint64_t bytes)
{
	struct iova_place place;
	bool settle = is_late(ioas);

	for (const struct ufd_hwpt *hwpt = ioas->hwpts; hwpt && !settle; hwpt = hwpt->next)
		settle = hwpt->deferred.tables;
	if (!settle && fixed && at + (bytes - 1) >= at)
		settle = iova_ranges_check(&ioas->ranges, at, at + (bytes - 1), &place) == -EEXIST;
	if (settle)
		(void)ufd_ioas_settle(ioas);
}

void ufd_ioas_defer(struct ufd_ioas *ioas, struct ufd_area *first, uint64_t last)
{
	struct ufd_deferral *deferral = ioas->deferral;
	const uint64_t start = first->node.first, bytes = last - start + 1;
	bool safe = true;

	if (!deferral->count)
		deferral->oldest_ns = now(ioas);
	for (struct ufd_hwpt *hwpt = ioas->hwpts; hwpt; hwpt = hwpt->next)
		(void)iommu_unmap(hwpt->domain, iova(start), bytes, &hwpt->deferred);
	for (struct iova_node *node = &first->node, *next; node && node->first <= last;
	     node = next) {
		struct ufd_area *area = (struct ufd_area *)node;
		next = node->last < last ? iova_space_next(&ioas->areas, node) : NULL;
		ioas->mapped_bytes -= ufd_area_bytes(area);
		if (!safe) { /* the flush that failed was for it, too */
			drop(ioas, area, false);
			continue;
		}
		area->pages |= UFD_AREA_DEFERRED;
		deferral->areas[deferral->count++] = area;
		if (deferral->count == deferral->capacity)
			safe = ufd_ioas_settle(ioas);
	}
	if (deferral->count && is_late(ioas))
		(void)ufd_ioas_settle(ioas);
}

void ufd_ioas_deferral_free(struct ufd_ioas *ioas)
{
	struct ufd *ufd = ioas->object.context->file.ufd;

	if (!ioas->deferral)
		return;
	ufd_free(ufd, ioas->deferral, deferral_bytes(ioas->deferral->capacity));
	ioas->deferral = NULL;
	ufd_ioas_changed(ioas);
	__atomic_fetch_sub(&ufd->deferrals, 1, __ATOMIC_RELAXED);
}

/* ---- options --------------------------------------------------------------------------- */

static int set_count(struct ufd_ioas *ioas, uint64_t count)
{
	const struct ufd *ufd = ioas->object.context->file.ufd;
	struct ufd_deferral *deferral = NULL;

	if (count > NESTOR_DEFER_COUNT_MAX)
		return ufd_refuse(ufd, -EINVAL, "OPTION: DEFER_COUNT %llu, at most %u",
		                  (unsigned long long)count, NESTOR_DEFER_COUNT_MAX);
	if (count) {
		deferral = ufd_alloc(ufd, deferral_bytes(count));
		if (!deferral)
			return -ENOMEM;
		deferral->capacity = (uint32_t)count;
		deferral->us = ioas->deferral ? ioas->deferral->us : NESTOR_DEFER_US_DEFAULT;
	}
	ufd_ioas_deferral_free(ioas);
	ioas->deferral = deferral;
	ufd_ioas_changed(ioas);
	if (deferral)
		__atomic_fetch_add(&ioas->object.context->file.ufd->deferrals, 1, __ATOMIC_RELAXED);
	return 0;
}

static int set_us(struct ufd_ioas *ioas, uint64_t us)
{
	const struct ufd *ufd = ioas->object.context->file.ufd;

	if (us > NESTOR_DEFER_US_MAX)
		return ufd_refuse(ufd, -EINVAL, "OPTION: DEFER_US %llu, at most %u",
		                  (unsigned long long)us, NESTOR_DEFER_US_MAX);
	if (!ioas->deferral)
		return ufd_refuse(ufd, -EINVAL,
		                  "OPTION: DEFER_US of a strict IOAS; DEFER_COUNT is "
		                  "set first");
	ioas->deferral->us = us;
	return 0;
}

int ufd_option_defer(const struct ufd_call *call, struct iommu_option *arguments)
{
	const bool of_count = arguments->option_id == IOMMU_OPTION_NESTOR_DEFER_COUNT;
	struct ufd_ioas *ioas = NULL;

	int error = ufd_object_hold(call->context, arguments->object_id, UFD_IOAS, &ioas);
	if (error)
		return error;
	ufd_ioas_lock(ioas); /* flushes */
	if (arguments->op == IOMMU_OPTION_OP_GET) {
		arguments->val64 = 0;
		if (ioas->deferral)
			arguments->val64 = of_count ? ioas->deferral->capacity : ioas->deferral->us;
	} else if (arguments->op != IOMMU_OPTION_OP_SET) {
		error = -EOPNOTSUPP;
	} else {
		error = of_count ? set_count(ioas, arguments->val64)
		                 : set_us(ioas, arguments->val64);
	}
	ufd_ioas_unlock(ioas);
	ufd_object_release(&ioas->object);
	return error;
}

/* ---- in time ----------------------------------------------------------------------------- */

/** Those that are late; or all. Returns the nanoseconds until the next will be. */
static uint64_t flush_context(struct ufd_context *context, bool all)
{
	const struct ufd *ufd = context->file.ufd;
	uint64_t next = UINT64_MAX;
	struct ufd_ioas *ioas;

	for (uint32_t id = 1; (ioas = ufd_ioas_next(context, id)) != NULL;) {
		id = ioas->object.id + 1;
		ufd_lock(ufd, &ioas->lock);
		uint64_t left = ufd_ioas_deferred(ioas) ? time_left(ioas) : UINT64_MAX;
		if (all || !left)
			(void)ufd_ioas_settle(ioas);
		else if (left < next)
			next = left;
		ufd_unlock(ufd, &ioas->lock);
		ufd_object_release(&ioas->object);
	}
	return next;
}

void ufd_context_settle(struct ufd_context *context)
{
	(void)flush_context(context, true);
}

uint64_t ufd_flush_deferred(struct ufd *ufd)
{
	uint64_t next = UINT64_MAX;

	if (!__atomic_load_n(&ufd->deferrals, __ATOMIC_RELAXED))
		return next; /* as nearly always */
	for (int fd = UFD_FIRST_FD; fd < UFD_FIRST_FD + UFD_MAX_FILES; fd++) {
		struct ufd_file *file;
		uint64_t left = UINT64_MAX;
		if (ufd_file_get(ufd, fd, &file))
			continue;
		if (file->kind == UFD_FILE_CONTEXT)
			left = flush_context(container_of(file, struct ufd_context, file), false);
		ufd_file_put(file);
		if (left < next)
			next = left;
	}
	return next;
}
