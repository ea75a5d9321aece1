/* SPDX-License-Identifier: MIT */
/*
 * User memory: named buffers in a user address space that exists only as a table.
 *
 * The iommufd calls take user addresses and pin user pages. Here a user address
 * space begins at USER_MEMORY_START and holds buffers with unmapped gaps between
 * them; each buffer lies in runs of physical memory. Nothing is mapped at those
 * addresses: they are numbers, and copying goes through the direct map.
 *
 * A buffer is contiguous by default: one run, aligned to its own size, so that it
 * can be mapped with the largest pages. A scattered buffer is made of single
 * pages no two of which are neighbours in physical memory: for each page a run of
 * two is taken and the second is left alone.
 *
 * Pins are counted in pages on each run. While a run has any, neither the buffer
 * nor the run can be freed: -EBUSY.
 */
#ifndef KERNEL_USER_MEMORY_H
#define KERNEL_USER_MEMORY_H

#include "iommu/os.h"
#include "iommu/types.h"
#include "ufd/ufd.h"

enum { USER_NAME_MAX = 24 }; /* with the final NUL */

#define USER_MEMORY_START UINT64_C(0x10000000)
#define USER_MEMORY_END   UINT64_C(0x800000000000) /* one past the last user address */
/** Left unmapped behind each buffer, at least. */
#define USER_MEMORY_GAP UINT64_C(0x10000)

/** Where runs of physical memory come from: a page allocator, or a hosted stand-in.
 *  Every run is reachable by the CPU at os->direct_map + physical address. */
struct user_backing {
	void *ctx;
	/** 2^order pages, aligned to their size, not zeroed. 0 or -ENOMEM, or -EINVAL
	 *  for an order that is too large. */
	int (*alloc)(void *ctx, unsigned order, pa_t *out);
	/** Give such a run back. 0 or -EBUSY while it is pinned. */
	int (*free)(void *ctx, pa_t run, unsigned order);
	/** Pin and unpin the run that holds @p address: counted. 0 or -EFAULT. */
	int (*pin)(void *ctx, pa_t address);
	int (*unpin)(void *ctx, pa_t address);
	unsigned max_order; /* of one run: 18 is 1 GiB */
};

struct user_run {
	pa_t start;
	uint64_t pinned_pages; /* atomic: sum over all pins */
};

struct user_buffer {
	struct user_buffer *next; /* ascending by address */
	char name[USER_NAME_MAX];
	uint64_t start, bytes; /* user address; a multiple of 4096 */
	uint64_t copy_limit;   /* from higher in the first run on, a short copy might not fit */
	char *first_at;        /* where the CPU reaches the first run */
	unsigned run_order;    /* as allocated */
	uint64_t run_bytes;    /* of each run that the buffer uses; the last may use less */
	unsigned run_shift;    /* the same: 2^run_shift */
	size_t run_count;
	struct user_run *runs; /* ascending by user address */
	bool scattered, zeroed;
	uint64_t pins, unpins; /* atomic: pages, ever */
};

enum { USER_GATES = 16 };

/** Where a processor counts itself while it looks at buffers. */
struct user_gate {
	uint32_t readers; /* atomic; the top bit: the list is about to change */
	/* atomic: where the last look was, to copy and to pin, or NULL */
	struct user_buffer *recent[2];
} __attribute__((aligned(64)));

struct user_memory {
	const struct iommu_os *os;
	const struct user_backing *backing;
	struct iommu_lock lock; /* the list of buffers; innermost */
	struct user_buffer *buffers;
	uint64_t pins, unpins; /* pages, ever, of buffers that are gone */
	struct user_gate gates[USER_GATES];
};

/** The calls that ufd makes; ctx is the struct user_memory. */
extern const struct ufd_memory_ops user_memory_ops;

/** Set up empty. Both pointers outlive it. 0 or -ENOMEM. */
int must_check user_memory_init(struct user_memory *memory, const struct iommu_os *os,
                                const struct user_backing *backing);
/** Free every buffer. Returns the number that were still pinned: those are leaked
 *  on purpose, for a device may write to them. */
unsigned user_memory_exit(struct user_memory *memory);

enum { USER_SCATTERED = 1 << 0 };

/** Make a buffer of @p bytes (rounded up to pages). @p align: of the user and the
 *  physical address, a power of two, 0 for the natural one. Zeroed, unless it is
 *  1 GiB or larger. 0, -EINVAL (no bytes, bad alignment, alignment of a scattered
 *  buffer, name too long), -EEXIST (name), -ENOMEM. */
int must_check user_buffer_create(struct user_memory *memory, const char *name, uint64_t bytes,
                                  uint64_t align, unsigned flags, struct user_buffer **out);
/** 0, or -EBUSY while any page is pinned. */
int must_check user_buffer_destroy(struct user_memory *memory, struct user_buffer *buffer);
struct user_buffer *user_buffer_find(struct user_memory *memory, const char *name);
/** Pages that were ever pinned and unpinned, each pin counted. */
void user_memory_pins(struct user_memory *memory, uint64_t *pins, uint64_t *unpins);
/** Pages pinned in the buffer, each pin counted. */
uint64_t user_buffer_pinned(struct user_memory *memory, const struct user_buffer *buffer);

/** Where the CPU reaches user address @p user, and in @p bytes how far from there
 *  memory is contiguous, at most what *bytes asked for. NULL if nothing is there. */
void *user_memory_at(struct user_memory *memory, uint64_t user, uint64_t *bytes);
/** The physical address behind a user address. 0 or -EFAULT. */
int must_check user_memory_physical(struct user_memory *memory, uint64_t user, pa_t *out);
/** Copy from and to user memory, across runs, within one buffer. 0 or -EFAULT: then
 *  nothing was copied. */
int must_check user_memory_copy_in(struct user_memory *memory, void *kernel, uint64_t user,
                                   size_t bytes);
int must_check user_memory_copy_out(struct user_memory *memory, uint64_t user, const void *kernel,
                                    size_t bytes);

#endif
