/* SPDX-License-Identifier: MIT */
/*
 * The bench: one list of operations, run in three places: in the kernel under QEMU
 * where a clock counts instructions, on a real machine in TSC cycles, and hosted in
 * nanoseconds.
 *
 * An operation is a row of the result. Rows that need the same preparation form a
 * stage. Of each row one run is counted (stores, cleaned lines, descriptors, register
 * accesses) and several are timed; their median is the result, less what it costs to
 * read the clock around a call that does nothing. Preparation is never timed.
 *
 * Nothing here is part of the library: the bench looks into the driver to count.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "iommu/iommu.h"
#include "kernel/user_memory.h"
#include "ufd/ufd.h"

struct pt;
struct vtd_unit;
struct bench_engine;

/** What one run cost. */
struct bench_counts {
	uint64_t stores;      /* page-table entries written */
	uint64_t cleans;      /* cache lines written back for a unit that does not snoop */
	uint64_t descriptors; /* of invalidation, waits not among them */
	uint64_t waits;
	uint64_t mmio; /* register accesses, reads and writes */
};

struct bench {
	/* ---- what the embedder fills in ---- */
	struct iommu *core;
	struct ufd *ufd; /* over `memory` */
	struct user_memory *memory;
	struct iommu_device *device; /* that rows are about; not bound. NULL: the mock */
	struct iommu_device *mock;
	struct vtd_unit *vtd; /* the unit of `device`, or NULL: nothing can be counted */
	const char *unit;     /* of the clock: "instructions", "ns", "cycles" */
	const char *column;   /* "legacy": heads the results */
	uint64_t (*clock)(void);
	/** NULL, or: the clock's ticks in `unit`. */
	uint64_t (*convert)(uint64_t ticks);
	/** NULL, or: keep interruptions away, and let them in again. */
	uint64_t (*quiet)(void);
	void (*loud)(uint64_t state);
	/** NULL, or: bytes that the heap's objects take now, with what is lost to rounding. */
	uint64_t (*heap_bytes)(void);
	struct iommu_print *out;
	bool raw;              /* print for tools/bench.sh, not for people */
	bool simulated;        /* no real caches: what a coherent unit costs can be measured too */
	bool exact;            /* the clock is: fewer repetitions do */
	uint64_t most_live;    /* live mappings in the largest row */
	uint64_t scattered;    /* bytes of memory in single pages that can be had, 0: enough */
	const char *selection; /* "" or the beginning of the stages' names that are wanted */

	/* ---- the bench's own ---- */
	bool coherent; /* now */
	unsigned failures, rows;
	uint64_t overhead; /* ticks of an empty row */
	struct user_buffer *page, *contiguous, *pieces, *abi;
	void *slot;         /* the measured call's structure */
	uint64_t slot_user; /* and its user address */
	int fd, device_fd;  /* of a session; -1: none */
	struct iommu_device *bound;
	uint32_t device_id, ioas, hwpt, parent;
	struct iommu_domain *watched; /* whose table's stores are counted */
	struct pt *table;             /* or those of this one */
	uint64_t at, bytes;           /* of the mapping that a row is about */
	uint64_t user;                /* its memory */
	uint64_t live;                /* mappings made by bench_fill */
	uint64_t live_end;            /* one past the fragmented ones */
	const struct bench_row *row;
	struct bench_engine *engine;
	void *stores; /* memory for plain stores */
};

/** What a row's preparation returns if the row cannot be had here: said, and no failure. */
enum { BENCH_NOT_HERE = 1 };

/** One row: 0 or a negative errno from each function; each may be NULL but `run`. */
struct bench_row {
	const char *name;              /* the anchor's, where it has one */
	int (*before)(struct bench *); /* each run, not timed */
	int (*run)(struct bench *);    /* timed */
	int (*seen)(struct bench *);   /* each run, not timed, before the counts are taken */
	int (*after)(struct bench *);  /* each run, not timed */
	uint64_t size;                 /* bytes, or a number: the row's own matter */
	uint64_t inner;                /* units of work in a run; 0: 1 */
	const char *per;               /* what such a unit is: "page"; NULL: "call" */
	const char *series;            /* NULL, or: the plot that it belongs to, with `size` as x */
};

struct bench_stage {
	const char *name;
	int (*setup)(struct bench *);
	void (*teardown)(struct bench *); /* also after a setup that failed */
	const struct bench_row *rows;     /* ends with a row without a name */
	bool coherent;                    /* measured as a coherent unit has it, too */
	bool slow;                        /* one timed run, whatever the clock */
};

extern const struct bench_stage bench_mapping_stages[], bench_live_stages[], bench_object_stages[],
	bench_device_stages[], bench_engine_stages[], bench_dirty_stages[], bench_part_stages[];

/** Run everything that the selection names. True if no operation failed and there was one. */
bool bench_run(struct bench *bench);
/** Print one result that is no time: bytes, a number. */
void bench_figure(struct bench *bench, const char *name, uint64_t value, const char *unit);
/** The ticks of the median of @p count runs, for rows that measure themselves. */
uint64_t bench_median(uint64_t *ticks, unsigned count);

/* ---- bench/session.c: descriptors, buffers, calls ------------------------------------- */

/** Make a call that is not measured; @p structure is read back. */
int must_check bench_call(struct bench *bench, int fd, unsigned long command, void *structure,
                          size_t bytes);
/** Open /dev/iommu and @p device, bind it, make an IOAS. */
int must_check bench_open(struct bench *bench, struct iommu_device *device);
/** Attach the device to the IOAS, or HWPT, @p id; the domain is watched. */
int must_check bench_attach(struct bench *bench, uint32_t id);
void bench_close(struct bench *bench);
/** Watch the domain of HWPT @p id. */
int must_check bench_watch(struct bench *bench, uint32_t id);
int must_check bench_map_at(struct bench *bench, uint64_t at, uint64_t user, uint64_t bytes);
int must_check bench_unmap_at(struct bench *bench, uint64_t at, uint64_t bytes);
int must_check bench_small_pages(struct bench *bench, bool small);
int must_check bench_destroy(struct bench *bench, uint32_t id);

/** Buffers live until bench_buffers_free(). User addresses; 0: no memory. */
uint64_t bench_page(struct bench *bench);
uint64_t bench_contiguous(struct bench *bench); /* 1 GiB, aligned */
uint64_t bench_scattered(struct bench *bench);  /* 256 MiB, no two pages adjacent */
int must_check bench_buffers_make(struct bench *bench);
void bench_buffers_free(struct bench *bench);

#endif
