/* SPDX-License-Identifier: MIT */
/*
 * Agreement: a remapping unit and the reference model (model/) get the same registers, the
 * same tables in the same memory and the same DMA; what comes of it is compared: data,
 * permission, fault record, accessed and dirty flags.
 *
 * Cases are random, valid or with one flaw, and each follows from (seed, index) on a given
 * machine. A difference is accepted only if it is one of a table of known deviations of the
 * unit from the specification (kernel/agree_deviation.c); each of those has a case of its
 * own that must show it.
 *
 * Everything here but agree_machine() is portable: a bench supplies memory, registers and
 * engines, so that the comparison itself is tested hosted, one model against another.
 */
#ifndef KERNEL_AGREE_H
#define KERNEL_AGREE_H

#include "arch/arch.h"
#include "iommu/print.h"
#include "iommu/types.h"

struct machine;

/* Pages of the bench's run of memory: queues, tables, data, and copies. */
enum {
	AGREE_PAGES = 512,
	AGREE_PAGE_QUEUES = 0, /* 4: queue and status of the unit, and of the model */
	AGREE_PAGE_TABLES = 4,
	AGREE_TABLES = 28,
	AGREE_PAGE_DATA = 32,
	AGREE_DATA = 8,
	AGREE_PAGE_LOAD = 40,   /* what an engine's buffer is filled from */
	AGREE_PAGE_BOUNCE = 41, /* where it is emptied to */
	AGREE_PAGE_COPIES = 64, /* two copies of the tables */
};

#define AGREE_BYTES UINT64_C(0x200000)
/** What a store must leave in memory, over and over. */
#define AGREE_WORD UINT32_C(0x12345678)

/** A device that masters DMA. Transfers are multiples of 4 bytes, at most 256. */
struct agree_engine {
	const char *name;
	uint16_t requester;
	bool can_fetch; /* and what it fetched is what it stores; else it stores AGREE_WORD */
	bool fast;
	void *ctx;
	/** 0 or -EIO (blocked, or not said); another error: the engine is broken. */
	int (*fetch)(void *ctx, uint64_t address, uint32_t bytes);
	int (*store)(void *ctx, uint64_t address, uint32_t bytes);
};

struct agree_bench {
	void *ctx;
	struct mmio unit; /* the registers of the unit; translation and queue are off */
	uint8_t haw;      /* host address width */
	uint64_t start;   /* physical, 2 MiB aligned, AGREE_BYTES of memory */
	uint64_t hole;    /* below 2^haw, 2 MiB aligned: 2 MiB where no memory answers */
	/** The bytes at physical @p address, or NULL where there is no memory. */
	void *(*memory)(void *ctx, uint64_t address, uint64_t bytes);
	uint64_t (*now_ns)(void *ctx);
	/** Zeroed memory, aligned to 16 bytes; NULL if none. */
	void *(*alloc)(void *ctx, size_t bytes);
	void (*free)(void *ctx, void *object, size_t bytes);
	const struct agree_engine *engines;
	unsigned engine_count;
	struct iommu_print *out;
	bool replay; /* print every case, not only those that differ */
};

struct agree_options {
	uint64_t seed;
	uint32_t count, first;
};

/** What a run found, beyond its KTAP lines. */
struct agree_totals {
	uint32_t cases, moved, faulted, deviations, differences;
};

/** Read "SEED,COUNT" or "SEED,COUNT,FIRST" (decimal, or hex with 0x; COUNT 1 to 1000000).
 *  False: the text is something else, and @p out is untouched. */
bool agree_options_parse(const char *text, struct agree_options *out);

/**
 * Run cases and print KTAP: a point a family of cases, a point a deviation. True if all
 * agreed. The unit's translation and queue are off again afterwards.
 * @p totals may be NULL.
 */
bool agree_run(const struct agree_bench *bench, const struct agree_options *options,
               struct agree_totals *totals);

/** The machine's only unit against the model, as @p text (of agree=) says. The drivers hand
 *  the units back for the time. True if all agreed. */
bool agree_machine(struct machine *machine, const char *text);

#endif
