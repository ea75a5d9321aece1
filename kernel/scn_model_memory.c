/* SPDX-License-Identifier: MIT */
/*
 * Memory as the model reaches it: see scn_model.h. Invariant: runs ascend and do not
 * overlap; a run of table pages has a second view of the same length, which changes only
 * where the processor cleaned (os.clean) or the unit itself wrote, for its writes are
 * snooped (VT-d specification 5.10, 3.10).
 */
#include "iommu/string.h"
#include "kernel/scn_model.h"

enum { LINE_BYTES = 64 };

/* ---- runs ------------------------------------------------------------------------------- */

/* The number of runs that start at or below @p at. */
static size_t run_place(const struct model_platform *platform, uint64_t at)
{
	size_t low = 0, high = platform->run_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (platform->runs[middle].start <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool run_holds(const struct model_run *run, uint64_t at, uint64_t bytes)
{
	return at >= run->start && at - run->start < run->bytes &&
	       bytes <= run->bytes - (at - run->start);
}

static struct model_run *run_find(struct model_platform *platform, uint64_t at, uint64_t bytes)
{
	if (platform->run_last < platform->run_count &&
	    run_holds(&platform->runs[platform->run_last], at, bytes))
		return &platform->runs[platform->run_last];
	size_t place = run_place(platform, at);
	if (place == 0 || !run_holds(&platform->runs[place - 1], at, bytes))
		return NULL;
	platform->run_last = place - 1;
	return &platform->runs[place - 1];
}

/* Room for one more run. */
static int runs_grow(struct model_platform *platform)
{
	const struct iommu_os *base = platform->base;
	unsigned order = platform->runs ? platform->runs_order + 1 : 0;
	pa_t memory;

	if (platform->run_count < platform->run_capacity)
		return 0;
	int error = base->page_alloc(base->ctx, order, &memory);
	if (error)
		return error;
	struct model_run *runs = iommu_os_va(base, memory);
	if (platform->runs) {
		memcpy(runs, platform->runs, platform->run_count * sizeof(*runs));
		base->page_free(base->ctx, platform->runs_memory, platform->runs_order);
	}
	platform->runs = runs;
	platform->runs_memory = memory;
	platform->runs_order = order;
	platform->run_capacity = (PAGE_SIZE_4K << order) / sizeof(*runs);
	return 0;
}

int model_run_add(struct model_platform *platform, pa_t start, unsigned order, bool table)
{
	const struct iommu_os *base = platform->base;
	struct model_run run = {.start = start.value, .bytes = PAGE_SIZE_4K << order};

	int error = runs_grow(platform);
	if (!error && table)
		error = base->page_alloc(base->ctx, order, &run.second);
	if (error)
		return error;
	run.table = table;
	size_t place = run_place(platform, start.value);
	memmove(&platform->runs[place + 1], &platform->runs[place],
	        (platform->run_count - place) * sizeof(run));
	platform->runs[place] = run;
	platform->run_count++;
	return 0;
}

static unsigned order_of(uint64_t bytes)
{
	unsigned order = 0;

	while (PAGE_SIZE_4K << order < bytes)
		order++;
	return order;
}

bool model_run_remove(struct model_platform *platform, pa_t start)
{
	const struct iommu_os *base = platform->base;
	size_t place = run_place(platform, start.value);

	if (place == 0 || platform->runs[place - 1].start != start.value)
		return false;
	struct model_run run = platform->runs[--place];
	if (run.table || platform->has_nested) /* else no table can be in it */
		(void)model_table_freed(platform->unit, run.start, run.bytes);
	platform->run_count--;
	memmove(&platform->runs[place], &platform->runs[place + 1],
	        (platform->run_count - place) * sizeof(run));
	if (run.table)
		base->page_free(base->ctx, run.second, order_of(run.bytes));
	return true;
}

/* ---- the two views -------------------------------------------------------------------------- */

void *model_memory_at(struct model_platform *platform, uint64_t address, uint64_t bytes)
{
	return run_find(platform, address, bytes) ? iommu_os_va(platform->base, pa(address)) : NULL;
}

/* Whole aligned words at once: what the processor stores at once is seen at once. */
static void copy(void *to, const void *from, size_t bytes)
{
	if (((uintptr_t)to | (uintptr_t)from | bytes) & 7) {
		memcpy(to, from, bytes);
		return;
	}
	const uint64_t *in = from;
	uint64_t *out = to;
	for (size_t i = 0; i < bytes / 8; i++)
		__atomic_store_n(&out[i], __atomic_load_n(&in[i], __ATOMIC_ACQUIRE),
		                 __ATOMIC_RELEASE);
}

/* The other view of a table run's byte. */
static void *second_at(struct model_platform *platform, const struct model_run *run,
                       uint64_t address)
{
	return iommu_os_va(platform->base, pa(run->second.value + (address - run->start)));
}

void model_memory_clean(struct model_platform *platform, uint64_t address, uint64_t bytes)
{
	uint64_t at = address & ~(uint64_t)(LINE_BYTES - 1);

	while (bytes && at <= address + (bytes - 1)) { /* runs are whole lines */
		const struct model_run *run = run_find(platform, at, LINE_BYTES);
		if (run && run->table)
			copy(second_at(platform, run, at), iommu_os_va(platform->base, pa(at)),
			     LINE_BYTES);
		at += LINE_BYTES;
	}
}

/* ---- what the model calls --------------------------------------------------------------------- */

static bool memory_read(void *ctx, uint64_t address, void *out, size_t bytes, bool snooped)
{
	struct model_platform *platform = ctx;
	const struct model_run *run = run_find(platform, address, bytes);

	if (!run)
		return false;
	copy(out,
	     snooped || !run->table ? iommu_os_va(platform->base, pa(address))
	                            : second_at(platform, run, address),
	     bytes);
	return true;
}

static bool memory_write(void *ctx, uint64_t address, const void *in, size_t bytes, bool snooped)
{
	struct model_platform *platform = ctx;
	const struct model_run *run = run_find(platform, address, bytes);

	if (!run)
		return false;
	copy(iommu_os_va(platform->base, pa(address)), in, bytes);
	if (run->table && snooped)
		model_memory_clean(platform, address, bytes);
	else if (run->table)
		copy(second_at(platform, run, address), in, bytes);
	return true;
}

static enum model_swap memory_swap(void *ctx, uint64_t address, uint64_t expected, uint64_t desired)
{
	struct model_platform *platform = ctx;

	if (address & 7 || !run_find(platform, address, 8))
		return MODEL_SWAP_FAILED;
	uint64_t *word = iommu_os_va(platform->base, pa(address));
	bool swapped = __atomic_compare_exchange_n(word, &expected, desired, false,
	                                           __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	model_memory_clean(platform, address, 8);
	return swapped ? MODEL_SWAP_DONE : MODEL_SWAP_CHANGED;
}

const struct model_memory_ops model_platform_memory = {
	.read = memory_read,
	.write = memory_write,
	.swap64 = memory_swap,
};
