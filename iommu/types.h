/* SPDX-License-Identifier: MIT */
/*
 * The words that every part of the core shares: address types, access rights,
 * requester ids. Nothing here knows of a particular IOMMU.
 *
 * Addresses of different spaces are different types, so that the compiler
 * refuses to mix them: iova_t is what a device puts on the bus, pa_t is what
 * memory answers to, and a pointer is what the CPU uses. `last` is inclusive,
 * `end` is one past; a range that may reach 2^64 - 1 is always kept by `last`.
 */
#ifndef IOMMU_TYPES_H
#define IOMMU_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iommu/errno.h"

#define must_check                    __attribute__((warn_unused_result))
#define printf_like(text_at, args_at) __attribute__((__format__(__printf__, text_at, args_at)))

/** A fact that holds and that neither compiler nor analyzer can see. Where it does not
 *  hold, behaviour is undefined (and UndefinedBehaviorSanitizer says so). */
#define assume(fact)                                                                               \
	do {                                                                                       \
		if (!(fact))                                                                       \
			__builtin_unreachable();                                                   \
	} while (0)

/* clang-format is off because its versions disagree about a minus behind a parenthesis. */
/* clang-format off */
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))
/* clang-format on */
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

typedef struct {
	uint64_t value;
} iova_t;

typedef struct {
	uint64_t value;
} pa_t;

static inline iova_t iova(uint64_t value)
{
	return (iova_t){value};
}

static inline pa_t pa(uint64_t value)
{
	return (pa_t){value};
}

static inline iova_t iova_add(iova_t base, uint64_t bytes)
{
	return (iova_t){base.value + bytes};
}

static inline pa_t pa_add(pa_t base, uint64_t bytes)
{
	return (pa_t){base.value + bytes};
}

#define PAGE_SHIFT_4K 12
#define PAGE_SHIFT_2M 21
#define PAGE_SHIFT_1G 30
#define PAGE_SIZE_4K  (UINT64_C(1) << PAGE_SHIFT_4K)
#define PAGE_SIZE_2M  (UINT64_C(1) << PAGE_SHIFT_2M)
#define PAGE_SIZE_1G  (UINT64_C(1) << PAGE_SHIFT_1G)

/** Access rights of a mapping and kinds of a request; a bit set. */
enum {
	IOMMU_READ = 1 << 0,
	IOMMU_WRITE = 1 << 1,
	IOMMU_CACHE = 1 << 2, /* mapping only: DMA snoops the CPU's caches if the unit can choose */
	IOMMU_EXEC = 1 << 3,  /* request only */
	IOMMU_ATOMIC = 1 << 4, /* request only: reads and writes */
	IOMMU_PRIV = 1 << 5,   /* request only: supervisor */
	IOMMU_SMALL = 1 << 6,  /* mapping only: in pages of the smallest size */
	IOMMU_BESIDE = 1 << 7, /* mapping only: a failure leaves empty tables (iommu_trim()) */
};

/** A run of physical memory. Memory is extents, never arrays of pages. */
struct iommu_extent {
	pa_t start;
	uint64_t bytes;
};

/** "No PASID": the plain requester id. */
#define IOMMU_NO_PASID 0u

/** Bus, device, function as on the bus: 15:8 bus, 7:3 device, 2:0 function. */
typedef uint16_t iommu_rid_t;

#define RID(bus, device, function) ((iommu_rid_t)((bus) << 8 | (device) << 3 | (function)))
#define RID_BUS(rid)               ((unsigned)(rid) >> 8)
#define RID_DEVICE(rid)            ((unsigned)(rid) >> 3 & 31)
#define RID_FUNCTION(rid)          ((unsigned)(rid) % 8)

#endif
