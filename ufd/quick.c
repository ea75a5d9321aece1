/* SPDX-License-Identifier: MIT */
/*
 * The usual IOAS_MAP and IOAS_UNMAP: one range, one HWPT, nobody else at work there. They do
 * what ufd/map.c, ufd/pages.c and ufd/unmap.c do, less what only other calls need, and leave
 * those to them.
 *
 * Map pins before it takes the lock, since nobody sees the range yet, and enters tables under
 * the lock, since that takes less time than taking the lock once more, which a flight
 * (ufd/flight.c) does; so it is for few entries only. Unmap waits for a unit, as a flight.
 */
#include "ufd/private_pages.h"

/** More entries than this are entered without the lock. */
enum { QUICK_ENTRIES = 64 };

/** Is there one HWPT, strict, and nobody at work of whom the quick ways know nothing? The lock
 *  is held. */
static inline bool is_quiet(const struct ufd_ioas *ioas)
{
	return ioas->usual && !ioas->flights && !ioas->alone_wanted;
}

/** Is a range at @p at few entries, however it is mapped? */
static inline bool is_brief(const struct ufd_ioas *ioas, uint64_t at, uint64_t memory,
                            uint64_t bytes)
{
	if (bytes <= QUICK_ENTRIES * PAGE_SIZE_4K)
		return true;
	return bytes <= PAGE_SIZE_1G && !((at | memory | bytes) & (PAGE_SIZE_2M - 1)) &&
	       !ioas->small_pages && ioas->hwpts->domain->page_sizes & PAGE_SIZE_2M;
}

/** An IOVA for a range, aligned as ufd/map.c does. */
static __attribute__((noinline)) int choose_place(struct ufd_ioas *ioas, uint64_t user,
                                                  uint64_t bytes, struct iova_place *out)
{
	uint64_t alignment = bytes > 1 ? UINT64_C(2) << (63 - __builtin_clzll(bytes - 1)) : 1;

	if (alignment > PAGE_SIZE_1G)
		alignment = PAGE_SIZE_1G;
	if (user && (user & -user) < alignment)
		alignment = user & -user;
	if (alignment < ioas->alignment)
		return -EINVAL;
	return iova_ranges_find(&ioas->ranges, bytes, alignment, 0, out);
}

/** The range is in the space, and not or no more mapped: take it out again, and the tables that
 *  are empty then. The lock is held, and then it is not. */
static __attribute__((noinline)) int take_back(struct ufd_ioas *ioas, struct ufd_block *block,
                                               int error, bool safe)
{
	struct ufd_context *context = ioas->object.context;

	ufd_ioas_trim(ioas, block->area.node.first, block->area.node.last);
	iova_space_remove(&ioas->areas, &block->area.node);
	ufd_ioas_unlock(ioas);
	ufd_pages_unpin(context, &block->pages, safe);
	ufd_pages_put(context, &block->pages);
	return error;
}

/** What some providers want to be told before a pin: address and account. 0 or an error, and then
 *  nothing has happened. *account_error: no charge was made, which is an error as of a pin. */
static __attribute__((noinline)) int tell_provider(const struct ufd_context *context,
                                                   struct ufd_pages *pages, int *account_error)
{
	const struct ufd *ufd = context->file.ufd;
	const uint64_t user = pages->user & ~(PAGE_SIZE_4K - 1);
	uint64_t kept = user;

	if (ufd->memory->user_keep) {
		int error = ufd->memory->user_keep(ufd->memory_ctx, user,
		                                   pages->bytes & ~(PAGE_SIZE_4K - 1), &kept);
		if (error)
			return error;
	}
	pages->user = kept | (pages->user & (PAGE_SIZE_4K - 1));
	*account_error = ufd->memory->account ? ufd_pages_account(context, pages, true) : 0;
	return 0;
}

/** Undo that, and free the block. */
static __attribute__((noinline)) void forget(const struct ufd_context *context,
                                             struct ufd_block *block, bool charged)
{
	const struct ufd *ufd = context->file.ufd;

	if (charged && ufd->memory->account)
		(void)ufd_pages_account(context, &block->pages, false);
	if (ufd->memory->user_drop)
		ufd->memory->user_drop(ufd->memory_ctx, block->pages.user & ~(PAGE_SIZE_4K - 1));
	ufd_free(ufd, block, sizeof(*block));
}

int ufd_quick_map(struct ufd_call *call, struct ufd_ioas *ioas, struct iommu_ioas_map *map)
{
	const struct ufd *ufd = call->ufd;
	const struct ufd_memory_ops *memory = ufd->memory;
	const uint64_t user = map->user_va, bytes = map->length;
	const bool fixed = map->flags & IOMMU_IOAS_MAP_FIXED_IOVA;
	const bool writable = map->flags & IOMMU_IOAS_MAP_WRITEABLE;
	const uint32_t rights = (map->flags & IOMMU_IOAS_MAP_READABLE ? IOMMU_READ : 0) |
	                        (writable ? IOMMU_WRITE : 0);
	struct iommu_gather gather;
	struct iommu_extent run;
	struct iova_place place;
	uint64_t pinned;
	size_t count = 0;
	int error, pin_error = 0;
	bool charged = true;

	/* what is not usual is not pinned for nothing: it is known before, but for a race */
	if (!__atomic_load_n(&ioas->usual, __ATOMIC_RELAXED) ||
	    (user | bytes) & (PAGE_SIZE_4K - 1) || bytes - 1 >= PAGE_SIZE_1G ||
	    user + (bytes - 1) < user ||
	    (bytes > QUICK_ENTRIES * PAGE_SIZE_4K && (user | bytes) & (PAGE_SIZE_2M - 1)))
		return 1;
	struct ufd_block *block = ufd_alloc(ufd, sizeof(*block));
	if (!block)
		return -ENOMEM;
	block->pages.user = user | UFD_USER_AREA | (writable ? UFD_USER_WRITABLE : 0);
	block->pages.bytes = bytes;
	if (__builtin_expect(memory->user_keep || memory->account, 0)) {
		error = tell_provider(call->context, &block->pages, &pin_error);
		if (error) {
			ufd_free(ufd, block, sizeof(*block));
			return error;
		}
		charged = !pin_error;
	}
	if (__builtin_expect(!pin_error, 1))
		pin_error = memory->pin(ufd->memory_ctx, block->pages.user & ~(PAGE_SIZE_4K - 1),
		                        bytes, writable, &run, 1, &count, &pinned);
	ufd_lock(ufd, &ioas->lock);
	if (__builtin_expect(!is_quiet(ioas) || ((fixed ? map->iova : 0) | user | bytes) &
	                                                (ioas->alignment - 1),
	                     0))
		goto unusual;
	error = fixed ? iova_ranges_check(&ioas->ranges, map->iova, map->iova + (bytes - 1), &place)
	              : choose_place(ioas, block->pages.user & ~(PAGE_SIZE_4K - 1), bytes, &place);
	if (__builtin_expect(error, 0))
		goto unusual; /* that says why */
	if (__builtin_expect(pin_error, 0)) {
		ufd_ioas_unlock(ioas);
		forget(call->context, block, charged);
		return pin_error;
	}
	/* A provider that miscounts must not lead to a mapping of other memory. */
	if (__builtin_expect(count != 1 || pinned != bytes || run.bytes != bytes ||
	                             run.start.value &
	                                     ((PAGE_SIZE_4K - 1) | (ioas->alignment - 1)) ||
	                             !is_brief(ioas, place.first, run.start.value, bytes),
	                     0))
		goto unusual;

	block->area.node.first = place.first;
	block->area.node.last = place.first + (bytes - 1);
	block->area.pages = (uintptr_t)&block->pages | rights;
	block->pages.bytes = bytes | UFD_BYTES_PINNED;
	block->pages.refs = 1;
	block->pages.pins = 1;
	block->pages.start = run.start.value;
	iova_space_insert_at(&ioas->areas, &block->area.node, &place);

	struct iommu_domain *domain = ioas->hwpts->domain;
	iommu_gather_init(&gather, domain);
	error = iommu_map_run(domain, iova(place.first), run.start, bytes,
	                      rights | IOMMU_CACHE | (ioas->small_pages ? IOMMU_SMALL : 0),
	                      &gather);
	bool safe = true;
	if (__builtin_expect(!iommu_gather_idle(&gather), 0)) {
		int flushed = iommu_flush(&gather);
		safe = !flushed;
		error = error ? error : flushed;
		if (flushed)
			safe = ufd_ioas_unmap_hwpts(ioas, place.first, block->area.node.last) &&
			       safe;
	}
	if (__builtin_expect(error, 0))
		return take_back(ioas, block, error, safe);
	if (!fixed) {
		map->iova = place.first;
		error = ufd_respond(call);
		if (__builtin_expect(error, 0)) {
			safe = ufd_ioas_unmap_hwpts(ioas, place.first, block->area.node.last);
			return take_back(ioas, block, error, safe);
		}
	}
	ioas->mapped_bytes += bytes;
	ufd_ioas_unlock(ioas);
	return 0;

unusual:
	ufd_ioas_unlock(ioas);
	if (!pin_error && count)
		memory->unpin(ufd->memory_ctx, block->pages.user & ~(PAGE_SIZE_4K - 1), &run, 1,
		              false);
	forget(call->context, block, charged);
	return 1;
}

/** Is a mapping all alone with its memory, which is one pinned run? */
static inline bool is_plain(const struct ufd_area *area, const struct ufd_pages *pages)
{
	return &((const struct ufd_block *)area)->pages == pages &&
	       !(area->pages & UFD_AREA_DEFERRED) &&
	       __atomic_load_n(&pages->refs, __ATOMIC_ACQUIRE) == 1 && pages->pins == 1 &&
	       !(pages->user & (UFD_USER_FILE | UFD_USER_LENT)) &&
	       (pages->bytes & (PAGE_SIZE_4K - 1)) == UFD_BYTES_PINNED;
}

bool ufd_quick_unmap(struct ufd_ioas *ioas, uint64_t first, uint64_t bytes)
{
	const struct ufd *ufd = ioas->object.context->file.ufd;
	const uint64_t last = first + (bytes - 1);
	struct iommu_gather gather;
	struct ufd_flight flight;

	ufd_lock(ufd, &ioas->lock);
	struct iova_node *node = iova_space_find(&ioas->areas, first);
	struct ufd_area *area = (struct ufd_area *)node;
	/* (a length of 0 ends before it begins, and no mapping does) */
	if (__builtin_expect(!is_quiet(ioas) || ioas->accesses || !node || node->first != first ||
	                             node->last != last || !is_plain(area, ufd_area_pages(area)),
	                     0)) {
		ufd_ioas_unlock(ioas);
		return false;
	}
	/* The answer is what the caller wrote: nothing is written, so nothing can fail. */
	struct iommu_domain *domain = ioas->hwpts->domain;
	flight.first = first;
	flight.last = last;
	ufd_flight_begin(ioas, &flight);
	ufd_ioas_unlock(ioas);

	iommu_gather_init(&gather, domain);
	(void)iommu_unmap_run(domain, iova(first), bytes, &gather);
	const int error = iommu_flush(&gather);

	ufd_lock(ufd, &ioas->lock);
	ufd_flight_end(ioas, &flight);
	iova_space_remove(&ioas->areas, node);
	ioas->mapped_bytes -= bytes;
	ufd_ioas_unlock(ioas);

	struct ufd_pages *pages = ufd_area_pages(area);
	if (__builtin_expect(error || ufd->memory->account || ufd->memory->user_drop, 0)) {
		ufd_pages_unpin(ioas->object.context, pages, !error);
		ufd_area_free(ioas->object.context, area);
		return true;
	}
	const struct iommu_extent run = {pa(pages->start), bytes};
	ufd->memory->unpin(ufd->memory_ctx, pages->user & ~(PAGE_SIZE_4K - 1), &run, 1,
	                   pages->user & UFD_USER_WRITABLE);
	ufd_free(ufd, container_of(pages, struct ufd_block, pages), sizeof(struct ufd_block));
	return true;
}
