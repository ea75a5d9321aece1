/* SPDX-License-Identifier: MIT */
/*
 * User memory behind mappings, as extents: pinned runs of physical memory.
 *
 * A struct ufd_pages is a range of user pages. Areas refer to it: one after
 * IOAS_MAP, which lies in one block with it, more after IOAS_COPY. Its memory is pinned while an area that refers to
 * it lies in an IOAS that has a HWPT, so it is pinned once however often it is
 * mapped. A single run, the usual case, is kept in place and costs nothing more.
 *
 * Who may change the pin state: with one reference, the holder of the lock of the
 * IOAS that the one area lies in (nobody else can find the pages to take another
 * reference); with more, the holder of pages_lock. So IOASes contend only where
 * they share memory.
 *
 * Memory that a device may still reach, because an IOMMU did not confirm an
 * invalidation, keeps its pins for good: the pages are stuck. They stay charged, too.
 *
 * Account: the embedder is told before the first pin and after the last unpin of a range
 * of pages, whatever else maps it. RLIMIT_MODE says on whose account, and cannot change
 * while there is an object.
 */
#include "ufd/private_pages.h"

#include "iommu/string.h"

static struct ufd_block *block_of(struct ufd_pages *pages)
{
	return container_of(pages, struct ufd_block, pages);
}

enum { FIRST_RUNS = 32 };

static size_t runs_bytes(size_t count)
{
	return sizeof(struct ufd_runs) + count * sizeof(struct iommu_extent);
}

static uint64_t pages_user(const struct ufd_pages *pages)
{
	return pages->user & ~(PAGE_SIZE_4K - 1);
}

static uint64_t pages_bytes(const struct ufd_pages *pages)
{
	return pages->bytes & ~(PAGE_SIZE_4K - 1);
}

/** The runs of pinned pages; @p one is room for a single one. */
static const struct iommu_extent *pages_runs(const struct ufd_pages *pages,
                                             struct iommu_extent *one, size_t *count)
{
	if (pages->bytes & UFD_BYTES_MANY) {
		*count = pages->runs->count;
		return pages->runs->run;
	}
	pa_t start = pages->user & UFD_USER_LENT
	                     ? pa_add(ufd_loan_memory(pages->loan), pages_user(pages))
	                     : pa(pages->start);
	*one = (struct iommu_extent){start, pages_bytes(pages)};
	*count = 1;
	return one;
}

static inline int pages_alloc(struct ufd_context *context, uint64_t user, uint64_t bytes,
                              bool writable, struct ufd_pages **out)
{
	struct ufd_block *block = ufd_alloc(context->file.ufd, sizeof(*block));

	if (!block)
		return -ENOMEM;
	uint64_t first = user & ~(PAGE_SIZE_4K - 1);
	struct ufd_pages *pages = &block->pages;
	pages->user = first | (writable ? UFD_USER_WRITABLE : 0);
	pages->bytes = ((user + (bytes - 1)) | (PAGE_SIZE_4K - 1)) - first + 1;
	pages->refs = 1;
	*out = pages;
	return 0;
}

static void pages_free(const struct ufd *ufd, struct ufd_pages *pages)
{
	ufd_free(ufd, block_of(pages), sizeof(struct ufd_block));
}

struct ufd_area *ufd_area_new(struct ufd_context *context, struct ufd_pages *pages, uint64_t start,
                              uint32_t rights)
{
	struct ufd_area *area;

	/* With one reference, which is the caller's, nobody else sees the pages. */
	if (!(pages->user & UFD_USER_AREA) &&
	    __atomic_load_n(&pages->refs, __ATOMIC_ACQUIRE) == 1) {
		pages->user |= UFD_USER_AREA;
		area = &block_of(pages)->area;
	} else {
		area = ufd_alloc(context->file.ufd, sizeof(*area));
		if (!area)
			return NULL;
	}
	area->pages = (uintptr_t)pages | rights;
	area->start = start;
	return area;
}

void ufd_area_free(struct ufd_context *context, struct ufd_area *area)
{
	struct ufd_pages *pages = ufd_area_pages(area);

	if (area != &block_of(pages)->area)
		ufd_free(context->file.ufd, area, sizeof(*area));
	ufd_pages_put(context, pages);
}

int ufd_pages_new(struct ufd_context *context, uint64_t user, uint64_t bytes, bool writable,
                  struct ufd_pages **out)
{
	const struct ufd *ufd = context->file.ufd;
	struct ufd_pages *pages = NULL;
	uint64_t kept = 0;

	int error = pages_alloc(context, user, bytes, writable, &pages);
	if (error || !ufd->memory->user_keep) {
		*out = pages;
		return error;
	}
	error = ufd->memory->user_keep(ufd->memory_ctx, pages_user(pages), pages_bytes(pages),
	                               &kept);
	if (error) {
		pages_free(ufd, pages);
		return error;
	}
	pages->user = kept | (writable ? UFD_USER_WRITABLE : 0);
	*out = pages;
	return 0;
}

int ufd_pages_new_file(struct ufd_context *context, int fd, uint64_t start, uint64_t bytes,
                       bool writable, struct ufd_pages **out)
{
	const struct ufd *ufd = context->file.ufd;
	uint64_t first = start & ~(PAGE_SIZE_4K - 1), user = 0;
	struct ufd_pages *pages = NULL;

	struct ufd_loan *loan = NULL;

	int error = ufd_loan_get(context, fd, start, bytes, &loan);
	if (error && error != -EBADF)
		return error;
	if (!loan && !ufd->memory->file_map)
		return ufd_refuse(ufd, -EOPNOTSUPP, "there are no files here");
	error = pages_alloc(context, start, bytes, writable, &pages);
	if (error) {
		ufd_loan_put(ufd, loan);
		return error;
	}
	if (loan) {
		pages->user |= UFD_USER_LENT;
		pages->loan = loan;
		*out = pages;
		return 0;
	}
	error = ufd->memory->file_map(ufd->memory_ctx, fd, first, pages_bytes(pages), writable,
	                              &user);
	if (error) {
		pages_free(ufd, pages);
		return error;
	}
	pages->user = user | UFD_USER_FILE | (writable ? UFD_USER_WRITABLE : 0);
	*out = pages;
	return 0;
}

bool ufd_pages_pinned(const struct ufd_pages *pages)
{
	const struct ufd_loan *loan = ufd_pages_loan(pages);

	return loan ? !ufd_loan_ended(loan) : pages->bytes & UFD_BYTES_PINNED;
}

bool ufd_pages_is_file(const struct ufd_pages *pages)
{
	return pages->user & (UFD_USER_FILE | UFD_USER_LENT);
}

struct ufd_loan *ufd_pages_loan(const struct ufd_pages *pages)
{
	return pages->user & UFD_USER_LENT ? pages->loan : NULL;
}

void ufd_pages_get(struct ufd_pages *pages)
{
	__atomic_fetch_add(&pages->refs, 1, __ATOMIC_RELAXED);
}

bool ufd_pages_writable(const struct ufd_pages *pages)
{
	return pages->user & UFD_USER_WRITABLE;
}

uint64_t ufd_pages_user(const struct ufd_pages *pages, uint64_t start)
{
	return pages_user(pages) + start;
}

/** Nothing refers to the pages: what is special about them. */
static __attribute__((noinline)) void pages_end(const struct ufd *ufd, struct ufd_pages *pages)
{
	if (pages->bytes & UFD_BYTES_MANY)
		ufd_free(ufd, pages->runs, runs_bytes(pages->runs->count));
	/* what is still pinned, because a device may reach it, keeps its address */
	if (pages->user & UFD_USER_FILE && !(pages->bytes & UFD_BYTES_PINNED))
		ufd->memory->file_unmap(ufd->memory_ctx, pages_user(pages), pages_bytes(pages));
	else if (pages->user & UFD_USER_LENT) {
		if (pages->bytes & UFD_BYTES_PINNED)
			ufd_loan_keep(pages->loan);
		ufd_loan_put(ufd, pages->loan);
	}
}

void ufd_pages_put(struct ufd_context *context, struct ufd_pages *pages)
{
	const struct ufd *ufd = context->file.ufd;

	/* who has the only reference is alone with it */
	if (__atomic_load_n(&pages->refs, __ATOMIC_ACQUIRE) != 1 &&
	    __atomic_sub_fetch(&pages->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (pages->user & (UFD_USER_FILE | UFD_USER_LENT) || pages->bytes & UFD_BYTES_MANY)
		pages_end(ufd, pages);
	if (!(pages->user & (UFD_USER_FILE | UFD_USER_LENT)) && ufd->memory->user_drop)
		ufd->memory->user_drop(ufd->memory_ctx, pages_user(pages));
	pages_free(ufd, pages);
}

/* ---- pinning -------------------------------------------------------------------------- */

/** Runs found so far: first on the stack, then in a block that doubles. */
struct gathering {
	struct iommu_extent *run;
	size_t count, capacity;
	struct iommu_extent first[FIRST_RUNS];
};

static void gathering_free(const struct ufd *ufd, struct gathering *found)
{
	if (found->run != found->first)
		ufd_free(ufd, found->run, found->capacity * sizeof(*found->run));
}

static int gathering_grow(const struct ufd *ufd, struct gathering *found)
{
	size_t capacity = found->capacity * 2;
	struct iommu_extent *run = ufd_alloc(ufd, capacity * sizeof(*run));

	if (!run)
		return -ENOMEM;
	memcpy(run, found->run, found->count * sizeof(*run));
	gathering_free(ufd, found);
	found->run = run;
	found->capacity = capacity;
	return 0;
}

/** The provider filled @p count runs behind those found: check them (a provider that
 *  miscounts must not lead to a mapping of other memory) and merge neighbours. */
static int gathering_add(struct gathering *found, size_t count, uint64_t pinned, uint64_t wanted)
{
	const struct iommu_extent *run = found->run + found->count, *end = run + count;
	struct iommu_extent *last = found->count ? found->run + found->count - 1 : NULL;
	uint64_t next = last ? last->start.value + last->bytes : 1; /* 1: no run begins there */
	uint64_t left = pinned;

	if (!count || count > found->capacity - found->count || !pinned || pinned > wanted)
		return -EFAULT;
	assume(run);
	for (; run < end; run++) {
		const uint64_t start = run->start.value, bytes = run->bytes;
		if (!bytes || (bytes | start) % PAGE_SIZE_4K || bytes > left)
			return -EFAULT;
		left -= bytes;
		if (last && start == next) {
			last->bytes += bytes;
		} else {
			last = last ? last + 1 : found->run;
			if (last != run)
				*last = *run;
		}
		next = start + bytes;
	}
	if (left)
		return -EFAULT;
	assume(last); /* there is a run at least */
	found->count = (size_t)(last - found->run) + 1;
	return 0;
}

int ufd_pages_account(const struct ufd_context *context, const struct ufd_pages *pages, bool charge)
{
	const struct ufd *ufd = context->file.ufd;
	int64_t count = (int64_t)(pages_bytes(pages) / PAGE_SIZE_4K);

	if (!ufd->memory->account)
		return 0;
	int error = ufd->memory->account(ufd->memory_ctx, pages_user(pages),
	                                 charge ? count : -count, context->rlimit_by_process);
	if (!charge)
		return 0;
	return error ? ufd_refuse(ufd, error,
	                          "user memory %#llx: %#llx bytes more are over the %s's limit",
	                          (unsigned long long)pages_user(pages),
	                          (unsigned long long)pages_bytes(pages),
	                          context->rlimit_by_process ? "process" : "user")
	             : 0;
}

/** Pin what is left of pages of which @p first is pinned (its bytes may be 0). On failure
 *  nothing is pinned, and nothing charged. */
static __attribute__((noinline)) int pages_pin_many(const struct ufd_context *context,
                                                    struct ufd_pages *pages,
                                                    struct iommu_extent first)
{
	const struct ufd *ufd = context->file.ufd;
	bool writable = ufd_pages_writable(pages);
	uint64_t user = pages_user(pages) + first.bytes, left = pages_bytes(pages) - first.bytes;
	struct gathering found;
	int error = 0;

	found.run = found.first;
	found.count = first.bytes != 0;
	found.capacity = FIRST_RUNS;
	found.first[0] = first;
	while (left && !error) {
		size_t count = 0;
		uint64_t pinned = 0;

		if (found.count == found.capacity)
			error = gathering_grow(ufd, &found);
		size_t room = found.capacity - found.count;
		uint32_t limit = __atomic_load_n(&ufd->pin_runs, __ATOMIC_RELAXED);
		if (limit && room > limit)
			room = limit;
		if (!error)
			error = ufd->memory->pin(ufd->memory_ctx, user, left, writable,
			                         found.run + found.count, room, &count, &pinned);
		if (!error)
			error = gathering_add(&found, count, pinned, left);
		if (!error) {
			user += pinned;
			left -= pinned;
		}
	}

	if (!error && found.count > 1) {
		struct ufd_runs *runs = ufd_alloc(ufd, runs_bytes(found.count));
		if (runs) {
			runs->count = found.count;
			memcpy(runs->run, found.run, found.count * sizeof(*found.run));
			pages->runs = runs;
			pages->bytes |= UFD_BYTES_MANY | UFD_BYTES_PINNED;
		} else {
			error = -ENOMEM;
		}
	} else if (!error) {
		pages->start = found.run[0].start.value;
		pages->bytes |= UFD_BYTES_PINNED;
	}
	if (error && found.count)
		ufd->memory->unpin(ufd->memory_ctx, pages_user(pages), found.run, found.count,
		                   false);
	if (error)
		(void)ufd_pages_account(context, pages, false);
	gathering_free(ufd, &found);
	return error;
}

/** Pin everything. On failure nothing is pinned, and nothing charged. */
static int pages_pin_all(const struct ufd_context *context, struct ufd_pages *pages)
{
	const struct ufd *ufd = context->file.ufd;
	bool writable = ufd_pages_writable(pages);
	uint64_t user = pages_user(pages), left = pages_bytes(pages);
	struct iommu_extent one;
	size_t count = 0;
	uint64_t pinned = 0;

	if (pages->user & UFD_USER_LENT) { /* it does not move */
		pages->bytes |= UFD_BYTES_PINNED;
		return 0;
	}
	if (!left) /* 2^64 bytes */
		return -EFAULT;
	int error = ufd->memory->account ? ufd_pages_account(context, pages, true) : 0;
	if (error)
		return error;
	/* The usual case is one run. */
	error = ufd->memory->pin(ufd->memory_ctx, user, left, writable, &one, 1, &count, &pinned);
	if (error) {
		(void)ufd_pages_account(context, pages, false);
		return error;
	}
	if (__builtin_expect(count == 1 && pinned == left && one.bytes == left &&
	                             !(one.start.value % PAGE_SIZE_4K),
	                     1)) {
		pages->start = one.start.value;
		pages->bytes |= UFD_BYTES_PINNED;
		return 0;
	}
	/* A provider that miscounts must not lead to a mapping of other memory. */
	if (count != 1 || pinned > left || one.bytes != pinned || !pinned ||
	    (one.bytes | one.start.value) % PAGE_SIZE_4K) {
		(void)ufd_pages_account(context, pages, false);
		return -EFAULT;
	}
	return pages_pin_many(context, pages, one);
}

static void pages_unpin_all(const struct ufd_context *context, struct ufd_pages *pages)
{
	const struct ufd *ufd = context->file.ufd;
	struct iommu_extent one;
	size_t count;
	const struct iommu_extent *runs = pages_runs(pages, &one, &count);

	if (pages->pins & UFD_PINS_STUCK) {
		bool lent = pages->user & UFD_USER_LENT;
		iommu_log(ufd->os, IOMMU_LOG_ERROR,
		          "ufd: %s memory %#llx, %#llx bytes: stays %s for good, for an IOMMU did "
		          "not confirm that no device can reach it",
		          lent ? "lent" : "user",
		          (unsigned long long)(lent ? ufd_loan_memory(pages->loan).value
		                                    : pages_user(pages)),
		          (unsigned long long)pages_bytes(pages), lent ? "out of use" : "pinned");
		return; /* still pinned, and still known to be */
	}
	if (!(pages->user & UFD_USER_LENT)) {
		ufd->memory->unpin(ufd->memory_ctx, pages_user(pages), runs, count,
		                   ufd_pages_writable(pages));
		if (ufd->memory->account)
			(void)ufd_pages_account(context, pages, false);
	}
	if (pages->bytes & UFD_BYTES_MANY)
		ufd_free(ufd, pages->runs, runs_bytes(count));
	pages->bytes &= ~(uint64_t)(UFD_BYTES_MANY | UFD_BYTES_PINNED);
}

/** Take pages_lock if other areas may share the pages. */
static bool pages_enter(struct ufd_context *context, const struct ufd_pages *pages)
{
	bool shared = __atomic_load_n(&pages->refs, __ATOMIC_ACQUIRE) > 1;

	if (shared)
		ufd_lock(context->file.ufd, &context->pages_lock);
	return shared;
}

static void pages_leave(struct ufd_context *context, bool shared)
{
	if (shared)
		ufd_unlock(context->file.ufd, &context->pages_lock);
}

int ufd_pages_pin(struct ufd_context *context, struct ufd_pages *pages)
{
	bool shared = pages_enter(context, pages);
	int error = 0;

	if (!(pages->bytes & UFD_BYTES_PINNED))
		error = pages_pin_all(context, pages);
	if (!error)
		pages->pins++;
	pages_leave(context, shared);
	return error;
}

void ufd_pages_unpin(struct ufd_context *context, struct ufd_pages *pages, bool safe)
{
	bool shared = pages_enter(context, pages);

	if (!safe)
		pages->pins |= UFD_PINS_STUCK;
	if (!(--pages->pins & ~UFD_PINS_STUCK))
		pages_unpin_all(context, pages);
	pages_leave(context, shared);
}

int ufd_pages_extents(const struct ufd_pages *pages, uint64_t start, uint64_t bytes,
                      struct iommu_extent *out, size_t capacity, size_t *count)
{
	struct iommu_extent one;
	size_t runs;
	const struct iommu_extent *run = pages_runs(pages, &one, &runs);

	assume(out || (!capacity && !*count));
	for (; start >= run->bytes; run++)
		start -= run->bytes;
	for (; bytes; run++, start = 0) {
		uint64_t now = run->bytes - start < bytes ? run->bytes - start : bytes;
		pa_t from = pa_add(run->start, start);
		struct iommu_extent *last = *count ? &out[*count - 1] : NULL;
		if (last && last->start.value + last->bytes == from.value) {
			last->bytes += now;
		} else if (*count < capacity) {
			out[*count] = (struct iommu_extent){from, now};
			++*count;
		} else {
			return -ENOSPC;
		}
		bytes -= now;
	}
	return 0;
}

/* ---- mapping ---------------------------------------------------------------------------- */

int ufd_pages_map(const struct ufd_pages *pages, uint64_t start, uint64_t bytes,
                  struct iommu_domain *domain, iova_t at, uint32_t rights, bool small,
                  struct iommu_gather *gather)
{
	struct iommu_extent one;
	size_t count;
	const struct iommu_extent *run = pages_runs(pages, &one, &count);
	uint64_t done = 0;
	int error = 0;

	if (pages->user & UFD_USER_LENT && ufd_loan_ended(pages->loan))
		return 0; /* nothing to map any more */
	if (small)
		rights |= IOMMU_SMALL;
	if (!start && bytes == pages_bytes(pages))
		return count == 1 ? iommu_map(domain, at, run, 1, rights, gather)
		                  : iommu_map_runs(domain, at, run, count, bytes, rights, gather);

	for (; start >= run->bytes; run++)
		start -= run->bytes;
	for (; done < bytes && !error; run++, start = 0) {
		uint64_t now = run->bytes - start;
		struct iommu_extent part = {pa_add(run->start, start), 0};
		part.bytes = now < bytes - done ? now : bytes - done;
		error = iommu_map(domain, iova_add(at, done), &part, 1, rights, gather);
		done += error ? 0 : part.bytes;
	}
	return error;
}
