/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking: which pages of a HWPT devices have written.
 *
 * GET_DIRTY_BITMAP goes through the range in windows. In each: read (and clear) the dirty
 * flags, make the IOMMU forget the translations that are marked written already, and only
 * then report. So a write that comes after the report is in the next one. The user's
 * bitmap is touched before the first flag is cleared: where it is not there, nothing is
 * lost.
 *
 * A page that lies in the range only in part is reported and stays dirty, for its other
 * part was not asked for.
 */
#include "ufd/private.h"

#include "iommu/string.h"

#define LOCK(ioas)   ufd_ioas_lock(ioas)
#define UNLOCK(ioas) ufd_ioas_unlock(ioas)

/** Bytes of bitmap in a window. */
enum { WINDOW = 2048, CHUNK = 256 };

static bool can_track(const struct ufd_hwpt *hwpt)
{
	return hwpt->domain->flags & IOMMU_ALLOC_DIRTY_TRACKING &&
	       hwpt->domain->ops->dirty_tracking && hwpt->domain->ops->read_dirty;
}

int ufd_call_hwpt_set_dirty_tracking(struct ufd_call *call)
{
	const struct iommu_hwpt_set_dirty_tracking *arguments = call->arguments;
	bool on = arguments->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
	struct ufd_hwpt *hwpt = NULL;

	if (arguments->flags & ~(uint32_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE || arguments->__reserved)
		return -EOPNOTSUPP;
	int error = ufd_object_hold(call->context, arguments->hwpt_id, UFD_HWPT_PAGING, &hwpt);
	if (error)
		return error;
	if (can_track(hwpt)) {
		LOCK(hwpt->ioas);
		error = hwpt->domain->ops->dirty_tracking(hwpt->domain, on);
		if (!error)
			hwpt->tracking = on;
		UNLOCK(hwpt->ioas);
	} else {
		error = ufd_refuse(call->ufd, -EOPNOTSUPP,
		                   "HWPT %u was not allocated with DIRTY_TRACKING",
		                   arguments->hwpt_id);
	}
	ufd_object_release(&hwpt->object);
	return error;
}

/* ---- the bitmap ---------------------------------------------------------------------- */

struct window {
	struct iommu_hwpt_get_dirty_bitmap *range;
	uint64_t first, last; /* IOVAs of this window */
	uint64_t carry;       /* last IOVA of a dirty page that reaches beyond it; 0: none */
	uint8_t *bits;        /* WINDOW bytes */
};

/** Set the bits of [first, last], as far as it lies in the window. */
static void mark(struct window *window, uint64_t first, uint64_t last)
{
	const unsigned shift = (unsigned)__builtin_ctzll(window->range->page_size);

	if (first < window->first)
		first = window->first;
	if (last > window->last)
		last = window->last;
	const uint64_t bit = (first - window->first) >> shift,
		       end = (last - window->first) >> shift;
	const uint8_t head = (uint8_t)(0xff << bit % 8), tail = (uint8_t)(0xff >> (7 - end % 8));
	if (bit / 8 == end / 8) {
		window->bits[bit / 8] |= head & tail;
	} else {
		window->bits[bit / 8] |= head;
		memset(&window->bits[bit / 8 + 1], 0xff, end / 8 - bit / 8 - 1);
		window->bits[end / 8] |= tail;
	}
}

static void mark_run(void *arg, iova_t first, iova_t last)
{
	struct window *window = arg;

	mark(window, first.value, last.value);
	if (last.value > window->last)
		window->carry = last.value;
}

/** The flags of the window; clear them where the page lies in the range. */
static void read_window(struct window *window, struct iommu_domain *domain, bool clear,
                        struct iommu_gather *gather)
{
	const struct iommu_domain_ops *ops = domain->ops;
	const uint64_t start = window->range->iova, end = start + (window->range->length - 1);
	uint64_t first = window->first, last = window->last;
	struct iommu_leaf leaf;

	if (window->carry) { /* its flag was cleared in the window before */
		mark(window, window->first, window->carry);
		if (window->carry <= window->last)
			window->carry = 0;
	}
	/* the page at either end, if it sticks out of the range */
	if (ops->lookup(domain, iova(first), &leaf) && leaf.iova.value < start) {
		uint64_t leaf_last = leaf.iova.value + (leaf.bytes - 1);
		ops->read_dirty(domain, iova(first), iova(first), false, mark_run, window, gather);
		if (leaf_last >= last)
			return;
		first = leaf_last + 1;
	}
	if (ops->lookup(domain, iova(last), &leaf) && leaf.iova.value + (leaf.bytes - 1) > end) {
		ops->read_dirty(domain, iova(last), iova(last), false, mark_run, window, gather);
		if (leaf.iova.value <= first)
			return;
		last = leaf.iova.value - 1;
	}
	ops->read_dirty(domain, iova(first), iova(last), clear, mark_run, window, gather);
}

/** Set in the user's bitmap what is set in the window. 0 or -EFAULT. */
static int report(const struct ufd *ufd, const struct window *window, uint64_t user, uint32_t bytes)
{
	enum { WORDS = CHUNK / sizeof(uint64_t) };
	uint64_t theirs[WORDS];

	for (uint32_t done = 0; done < bytes; done += CHUNK) {
		uint32_t now = bytes - done < CHUNK ? bytes - done : CHUNK;
		/* what lies behind the last bit is 0 */
		const uint64_t *ours = (const uint64_t *)(const void *)&window->bits[done];
		uint64_t any = 0, all = ~UINT64_C(0);
		int error = 0;
		for (uint32_t i = 0; i < WORDS; i++) {
			any |= ours[i];
			all &= ours[i];
		}
		if (!any)
			continue;
		if (all + 1) {
			if (now < CHUNK)
				memset(theirs, 0, sizeof(theirs));
			error = ufd_copy_in(ufd, theirs, user + done, now);
			for (uint32_t i = 0; i < WORDS; i++)
				theirs[i] |= ours[i];
		}
		if (!error)
			error = ufd_copy_out(ufd, user + done, all + 1 ? theirs : ours, now);
		if (error)
			return error;
	}
	return 0;
}

/** Can the user's bitmap be read and written? One byte of each page tells. */
static int probe(const struct ufd *ufd, const struct iommu_hwpt_get_dirty_bitmap *range)
{
	const uint64_t user = range->data;
	const uint64_t bytes = (range->length - 1) / range->page_size / 8 + 1;

	if (user + bytes < user)
		return -EFAULT;
	for (uint64_t done = 0; done < bytes;) {
		uint8_t byte;
		int error = ufd_copy_in(ufd, &byte, user + done, 1);
		if (!error)
			error = ufd_copy_out(ufd, user + done, &byte, 1);
		if (error)
			return error;
		done += PAGE_SIZE_4K - (user + done) % PAGE_SIZE_4K;
	}
	return 0;
}

/** All windows in turn. */
static int read_range(const struct ufd *ufd, struct iommu_hwpt_get_dirty_bitmap *range,
                      struct iommu_domain *domain, uint8_t *bits)
{
	const bool clear = !(range->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
	const uint64_t last = range->iova + (range->length - 1);
	struct window window = {.range = range, .first = range->iova, .bits = bits};
	uint64_t user = range->data;
	int error = 0;

	for (;;) {
		uint64_t left = (last - window.first) / range->page_size + 1; /* bits */
		uint64_t now = left < 8 * WINDOW ? left : 8 * WINDOW;
		uint32_t bytes = (uint32_t)((now + 7) / 8);
		struct iommu_gather gather;

		window.last = window.first + (now * range->page_size - 1);
		memset(bits, 0, (bytes + CHUNK - 1) & ~(CHUNK - 1));
		iommu_gather_init(&gather, domain);
		read_window(&window, domain, clear, &gather);
		error = iommu_flush(&gather);
		/* what was cleared is reported in any case */
		int reported = report(ufd, &window, user, bytes);
		if (!error)
			error = reported;
		if (error || now == left)
			return error;
		window.first = window.last + 1;
		user += bytes;
	}
}

/** Is every byte of [first, last] mapped? */
static bool all_mapped(const struct ufd_ioas *ioas, uint64_t first, uint64_t last)
{
	for (;;) {
		const struct iova_node *node = iova_space_find(&ioas->areas, first);
		if (!node)
			return false;
		if (node->last >= last)
			return true;
		first = node->last + 1;
	}
}

static int check_range(const struct ufd *ufd, const struct ufd_ioas *ioas,
                       const struct iommu_hwpt_get_dirty_bitmap *range)
{
	uint64_t last = range->iova + (range->length - 1);

	if (last < range->iova)
		return -EOVERFLOW;
	if (!range->length || !range->page_size || range->page_size & (range->page_size - 1))
		return ufd_refuse(ufd, -EINVAL,
		                  "GET_DIRTY_BITMAP: length %#llx, page size %#llx, which must be "
		                  "a power of two",
		                  (unsigned long long)range->length,
		                  (unsigned long long)range->page_size);
	if ((range->iova | range->length) & ((range->page_size - 1) | (ioas->alignment - 1)))
		return ufd_refuse(
			ufd, -EINVAL,
			"GET_DIRTY_BITMAP: %#llx and length %#llx are not multiples of the "
			"page size %#llx and of %#llx",
			(unsigned long long)range->iova, (unsigned long long)range->length,
			(unsigned long long)range->page_size, (unsigned long long)ioas->alignment);
	if (!all_mapped(ioas, range->iova, last))
		return ufd_refuse(ufd, -EINVAL, "GET_DIRTY_BITMAP: %#llx..%#llx is not all mapped",
		                  (unsigned long long)range->iova, (unsigned long long)last);
	return 0;
}

int ufd_call_hwpt_get_dirty_bitmap(struct ufd_call *call)
{
	struct iommu_hwpt_get_dirty_bitmap *arguments = call->arguments;
	struct ufd_hwpt *hwpt = NULL;

	if (arguments->flags & ~(uint32_t)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR ||
	    arguments->__reserved)
		return -EOPNOTSUPP;
	int error = ufd_object_hold(call->context, arguments->hwpt_id, UFD_HWPT_PAGING, &hwpt);
	if (error)
		return error;
	uint8_t *bits = ufd_alloc(call->ufd, WINDOW);
	if (!bits) {
		error = -ENOMEM;
	} else if (!can_track(hwpt)) {
		error = ufd_refuse(call->ufd, -EOPNOTSUPP,
		                   "HWPT %u was not allocated with DIRTY_TRACKING",
		                   arguments->hwpt_id);
	} else {
		LOCK(hwpt->ioas);
		error = check_range(call->ufd, hwpt->ioas, arguments);
		if (!error && !hwpt->tracking)
			error = ufd_refuse(call->ufd, -EINVAL, "HWPT %u does not track now",
			                   arguments->hwpt_id);
		if (!error)
			error = probe(call->ufd, arguments);
		if (!error)
			error = read_range(call->ufd, arguments, hwpt->domain, bits);
		UNLOCK(hwpt->ioas);
	}
	ufd_free(call->ufd, bits, WINDOW);
	ufd_object_release(&hwpt->object);
	return error;
}
