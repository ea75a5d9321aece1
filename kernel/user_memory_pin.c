/* SPDX-License-Identifier: MIT */
/*
 * Pinning user memory: see user_memory.h.
 *
 * A run's pinned_pages is greater than 0 exactly while the backing has it pinned by us, once
 * (but for the moment in which the first pin comes or the last one goes). Pins are taken in a
 * gate, as all looking is; what has a pin is not destroyed, in the gate or not.
 */
#include "kernel/user_memory_private.h"

/** A run has got its first @p pages: pin it below, too, or take them back. */
static __attribute__((noinline)) int run_pin_first(const struct user_memory *memory,
                                                   struct user_run *run, uint64_t pages)
{
	int error = memory->backing->pin(memory->backing->ctx, run->start);

	if (__builtin_expect(error, 0))
		__atomic_fetch_sub(&run->pinned_pages, pages, __ATOMIC_RELEASE);
	return error;
}

/** Add @p pages to a run; the first pins it below. */
static inline int run_pin(const struct user_memory *memory, struct user_run *run, uint64_t pages)
{
	return __atomic_fetch_add(&run->pinned_pages, pages, __ATOMIC_ACQ_REL)
	               ? 0
	               : run_pin_first(memory, run, pages);
}

/** Pin single pages, each a run of its own, from @p offset on, @p pages at most. Returns how
 *  many; less if two are neighbours, or one cannot be pinned. */
static size_t pin_singles(const struct user_memory *memory, struct user_buffer *buffer,
                          uint64_t offset, size_t pages, struct iommu_extent *extents)
{
	const struct user_backing *backing = memory->backing;
	struct user_run *run = &buffer->runs[offset / PAGE_SIZE_4K], *const end = run + pages;
	struct user_run *const first = run;
	uint64_t next = 1; /* where no run begins */

	for (; run < end; run++, extents++) {
		const pa_t start = run->start;
		if (__builtin_expect(start.value == next, 0))
			break;
		if (!__atomic_fetch_add(&run->pinned_pages, 1, __ATOMIC_ACQ_REL) &&
		    __builtin_expect(backing->pin(backing->ctx, start) != 0, 0)) {
			__atomic_fetch_sub(&run->pinned_pages, 1, __ATOMIC_RELEASE);
			break;
		}
		extents->start = start;
		extents->bytes = PAGE_SIZE_4K;
		next = start.value + PAGE_SIZE_4K;
	}
	return (size_t)(run - first);
}

/** Several runs, part of a range, or where nobody has looked lately. */
static __attribute__((noinline)) int pin_any(void *ctx, uint64_t user, uint64_t bytes,
                                             bool writable, struct iommu_extent *extents,
                                             size_t capacity, size_t *count, uint64_t *pinned)
{
	struct user_memory *memory = ctx;
	size_t found = 0;
	uint64_t done = 0;
	int error = -EFAULT;

	(void)writable; /* every buffer is */
	*count = 0;
	*pinned = 0;
	assume(extents || !capacity);
	if ((user | bytes) % PAGE_SIZE_4K != 0 || bytes == 0)
		return -EFAULT;
	struct user_gate *gate = enter(memory);
	struct user_buffer *buffer = buffer_at(memory, gate, FOR_PIN, user, 1);
	uint64_t offset = buffer ? user - buffer->start : 0;
	if (buffer && bytes > buffer->bytes - offset)
		bytes = buffer->bytes - offset;
	if (buffer && buffer->scattered && capacity) {
		size_t pages = bytes / PAGE_SIZE_4K;
		found = pin_singles(memory, buffer, offset, pages < capacity ? pages : capacity,
		                    extents);
		done = found * PAGE_SIZE_4K;
		offset += done;
	}
	while (buffer && done < bytes) {
		uint64_t in_run = offset & (buffer->run_bytes - 1);
		uint64_t part = buffer->run_bytes - in_run;
		struct user_run *run = &buffer->runs[offset >> buffer->run_shift];
		if (part > bytes - done)
			part = bytes - done;
		pa_t start = pa_add(run->start, in_run);
		struct iommu_extent *last = found ? &extents[found - 1] : NULL;
		bool joins = last && last->start.value + last->bytes == start.value;
		if (!joins && found == capacity)
			break;
		error = run_pin(memory, run, part / PAGE_SIZE_4K);
		if (error)
			break;
		if (joins)
			last->bytes += part;
		else
			extents[found++] = (struct iommu_extent){start, part};
		done += part;
		offset += part;
	}
	if (done)
		__atomic_fetch_add(&buffer->pins, done / PAGE_SIZE_4K, __ATOMIC_RELAXED);
	leave(gate);
	*count = found;
	*pinned = done;
	return done ? 0 : error;
}

/** The usual pin, of a range within one run: without a frame; what it does not do goes on
 *  elsewhere with the same arguments. */
int user_memory_pin(void *ctx, uint64_t user, uint64_t bytes, bool writable,
                    struct iommu_extent *extents, size_t capacity, size_t *count, uint64_t *pinned)
{
	struct user_memory *memory = ctx;
	struct user_gate *gate = gate_here(memory);

	if (__builtin_expect(capacity && gate_enter(gate), 1)) {
		struct user_buffer *buffer =
			__atomic_load_n(&gate->recent[FOR_PIN], __ATOMIC_RELAXED);
		/* an offset that is too large has a run that is not there */
		const uint64_t offset = buffer ? user - buffer->start : 0;
		if (__builtin_expect(buffer && bytes - 1 < buffer->run_bytes &&
		                             offset < buffer->bytes &&
		                             bytes <= buffer->bytes - offset &&
		                             !((user | bytes) % PAGE_SIZE_4K),
		                     1)) {
			const uint64_t in_run = offset & (buffer->run_bytes - 1);
			struct user_run *run = &buffer->runs[offset >> buffer->run_shift];
			if (__builtin_expect(bytes <= buffer->run_bytes - in_run, 1)) {
				const uint64_t pages = bytes / PAGE_SIZE_4K;
				extents->start = pa_add(run->start, in_run);
				extents->bytes = bytes;
				*count = 1;
				*pinned = bytes;
				__atomic_fetch_add(&buffer->pins, pages, __ATOMIC_RELAXED);
				const bool first = !__atomic_fetch_add(&run->pinned_pages, pages,
				                                       __ATOMIC_ACQ_REL);
				/* what has a pin is not destroyed, in the gate or not */
				leave(gate);
				return first ? run_pin_first(memory, run, pages) : 0;
			}
		}
		leave(gate);
	}
	return pin_any(ctx, user, bytes, writable, extents, capacity, count, pinned);
}

/** Take @p pages pins, or as many as there are, from a run. Returns how many. */
static inline uint64_t run_unpin(const struct user_memory *memory, struct user_run *run,
                                 uint64_t pages)
{
	uint64_t have = __atomic_load_n(&run->pinned_pages, __ATOMIC_RELAXED), taken;

	do
		taken = pages < have ? pages : have; /* one unpin too many */
	while (!__atomic_compare_exchange_n(&run->pinned_pages, &have, have - taken, false,
	                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	if (taken && have == taken)
		(void)!memory->backing->unpin(memory->backing->ctx, run->start);
	return taken;
}

/** Undo the pins of one extent at @p user, as far as it is that memory. */
static inline void extent_unpin(struct user_memory *memory, struct user_gate *gate, uint64_t user,
                                const struct iommu_extent *extent)
{
	struct user_buffer *buffer = buffer_at(memory, gate, FOR_PIN, user, 1);
	uint64_t unpinned = 0, offset = buffer ? user - buffer->start : 0;

	for (uint64_t done = 0; buffer && done < extent->bytes && offset < buffer->bytes;) {
		struct user_run *run = &buffer->runs[offset >> buffer->run_shift];
		uint64_t in_run = offset & (buffer->run_bytes - 1);
		uint64_t part = buffer->run_bytes - in_run;
		if (part > extent->bytes - done)
			part = extent->bytes - done;
		if (run->start.value + in_run == extent->start.value + done)
			unpinned += run_unpin(memory, run, part / PAGE_SIZE_4K);
		done += part;
		offset += part;
	}
	if (unpinned)
		__atomic_fetch_add(&buffer->unpins, unpinned, __ATOMIC_RELAXED);
}

/** Undo the pins of single pages at @p user, each a run of its own, as long as @p extents are
 *  those. Returns how many. */
static size_t unpin_singles(const struct user_memory *memory, struct user_buffer *buffer,
                            uint64_t user, const struct iommu_extent *extents, size_t count)
{
	const struct user_backing *backing = memory->backing;
	const uint64_t page = (user - buffer->start) / PAGE_SIZE_4K;
	struct user_run *run = &buffer->runs[page];
	size_t i = 0;

	if (count > buffer->run_count - page)
		count = buffer->run_count - page;
	for (; i < count; i++, run++) {
		uint64_t have = 1;
		if (extents[i].start.value != run->start.value || extents[i].bytes != PAGE_SIZE_4K)
			break;
		/* the last pin; of more, and of none, extent_unpin() knows */
		if (!__atomic_compare_exchange_n(&run->pinned_pages, &have, 0, false,
		                                 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			break;
		(void)!backing->unpin(backing->ctx, run->start);
	}
	__atomic_fetch_add(&buffer->unpins, i, __ATOMIC_RELAXED);
	return i;
}

static __attribute__((noinline)) void unpin_any(void *ctx, uint64_t user,
                                                const struct iommu_extent *extents, size_t count)
{
	struct user_memory *memory = ctx;
	struct user_gate *gate = enter(memory);

	for (size_t i = 0; i < count;) {
		struct user_buffer *buffer = buffer_at(memory, gate, FOR_PIN, user, 1);
		if (buffer && buffer->scattered) {
			size_t done = unpin_singles(memory, buffer, user, &extents[i], count - i);
			i += done;
			user += done * PAGE_SIZE_4K;
			if (i == count)
				break;
		}
		extent_unpin(memory, gate, user, &extents[i]);
		user += extents[i++].bytes;
	}
	leave(gate);
}

/** The usual case, as of a pin. */
void user_memory_unpin(void *ctx, uint64_t user, const struct iommu_extent *extents, size_t count,
                       bool dirty)
{
	struct user_memory *memory = ctx;
	struct user_gate *gate = gate_here(memory);

	(void)dirty; /* nothing is written back anywhere */
	if (__builtin_expect(count == 1 && gate_enter(gate), 1)) {
		struct user_buffer *buffer =
			__atomic_load_n(&gate->recent[FOR_PIN], __ATOMIC_RELAXED);
		const uint64_t offset = buffer ? user - buffer->start : 0;
		const uint64_t bytes = extents->bytes, pages = bytes / PAGE_SIZE_4K;
		if (__builtin_expect(
			    buffer && bytes - 1 < buffer->run_bytes && offset < buffer->bytes, 1)) {
			const uint64_t in_run = offset & (buffer->run_bytes - 1);
			struct user_run *run = &buffer->runs[offset >> buffer->run_shift];
			uint64_t have = __atomic_load_n(&run->pinned_pages, __ATOMIC_RELAXED);
			/* (more pins than that are dropped one too many: elsewhere) */
			if (__builtin_expect(
				    run->start.value + in_run == extents->start.value &&
					    bytes <= buffer->run_bytes - in_run && pages <= have &&
					    __atomic_compare_exchange_n(
						    &run->pinned_pages, &have, have - pages, false,
						    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED),
				    1)) {
				__atomic_fetch_add(&buffer->unpins, pages, __ATOMIC_RELAXED);
				if (have == pages) /* in the gate: now it can be destroyed */
					(void)!memory->backing->unpin(memory->backing->ctx,
					                              run->start);
				leave(gate);
				return;
			}
		}
		leave(gate);
	}
	unpin_any(ctx, user, extents, count);
}
