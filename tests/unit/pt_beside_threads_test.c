/* SPDX-License-Identifier: MIT */
/*
 * Maps and unmaps of one page table beside each other, for ranges that do not overlap but
 * share tables. A unit that does not snoop is told of: what a map says is mapped must be
 * cleaned on the whole way to it. Under the thread sanitizer.
 */
#define PT_NAME fmt
#include "vtd/second_stage.h"
#include "iommu/pt_engine.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "iommu/iommu.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

enum { THREADS = 4, ROUNDS = 3000, SLICES = 64, MEMORY = 0x40000000 };

/* Slices of 64 KiB in turn: neighbours share level-1 tables, and the last ones of a table
 * of level 2 are those of another. */
#define SLICE UINT64_C(0x10000)
#define BASE  (PAGE_SIZE_1G - SLICES * THREADS / 2 * SLICE)

static struct test_os os;
static struct iommu core;
static struct iommu_domain domain;
static struct pt pt;

/* What the unit sees: entries that have been cleaned since they were written. A set of
 * addresses; none goes out of it. */
enum { SEEN = 1 << 16 };
static uintptr_t seen[SEEN];

static void see(uintptr_t entry)
{
	size_t at = entry / 8 * 0x9e3779b97f4a7c15 >> 48;

	for (;; at = (at + 1) % SEEN) {
		uintptr_t there = 0;
		if (__atomic_compare_exchange_n(&seen[at], &there, entry, false, __ATOMIC_RELAXED,
		                                __ATOMIC_RELAXED) ||
		    there == entry)
			return;
	}
}

static bool is_seen(uintptr_t entry)
{
	size_t at = entry / 8 * 0x9e3779b97f4a7c15 >> 48;

	for (;; at = (at + 1) % SEEN) {
		uintptr_t there = __atomic_load_n(&seen[at], __ATOMIC_RELAXED);
		if (there == entry || !there)
			return there == entry;
	}
}

static bool is_late; /* who makes a table is slow to clean the way to it */

static void clean(void *ctx, const void *start, size_t bytes)
{
	const uint64_t *entry = start;

	(void)ctx;
	if (is_late && bytes == sizeof(*entry) && (pt_load(entry) & IOMMU_WRITE))
		usleep(100);
	for (size_t i = 0; i < bytes / sizeof(*entry); i++)
		if (pt_load(&entry[i]))
			see((uintptr_t)&entry[i]);
}

static void begin(bool coherent)
{
	test_os_init(&os);
	os.os.clean = coherent ? NULL : clean;
	memset(seen, 0, sizeof(seen));
	core.os = &os.os;
	domain.iommu = &core;
	KTAP_EQUAL(
		fmt_init(&pt, &os.os, 4, PAGE_SIZE_4K | PAGE_SIZE_2M | PAGE_SIZE_1G, 0, coherent),
		0);
	pt.domain = &domain;
}

static void end(void)
{
	struct iommu_gather gather;

	iommu_gather_init(&gather, &domain);
	fmt_trim(&pt, iova(0), PAGE_SIZE_1G * 2, &gather);
	iommu_gather_release(&gather);
	KTAP_EQUAL(pt.table_pages, 1);
	fmt_destroy(&pt);
	KTAP_CHECK(test_os_is_clean(&os));
}

struct worker {
	pthread_t thread;
	unsigned number;
	long wrong;
};

/** Is every entry on the way to @p at cleaned? */
static bool way_is_seen(uint64_t at)
{
	for (unsigned target = 4; target >= 1; target--) {
		unsigned level;
		uint64_t *slot = fmt_find(&pt, at, target, &level);
		if (level != target || !is_seen((uintptr_t)slot))
			return false;
	}
	return true;
}

static void *work(void *arg)
{
	struct worker *self = arg;
	uint64_t seed = 77 + self->number, mapped[SLICES] = {0};
	struct iommu_gather gather;

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t random = test_random(&seed);
		unsigned slice = random % SLICES;
		uint64_t at = BASE + (slice * THREADS + self->number) * SLICE;
		uint64_t bytes = (1 + (random >> 8) % 16) * PAGE_SIZE_4K;
		iommu_gather_init(&gather, &domain);
		if (mapped[slice]) {
			self->wrong += fmt_unmap(&pt, iova(at), SLICE, &gather) != mapped[slice];
			mapped[slice] = 0;
			iommu_gather_release(&gather);
			continue;
		}
		self->wrong += fmt_map(&pt, iova(at), pa(MEMORY + at), bytes,
		                       IOMMU_READ | IOMMU_WRITE | IOMMU_BESIDE, &gather) != 0;
		mapped[slice] = bytes;
		self->wrong += !pt.coherent && !way_is_seen(at);
		struct iommu_leaf leaf;
		self->wrong += !fmt_lookup(&pt, iova(at + bytes - 1), &leaf) ||
		               leaf.pa.value != MEMORY + at + bytes - PAGE_SIZE_4K;
	}
	for (unsigned slice = 0; slice < SLICES; slice++) {
		iommu_gather_init(&gather, &domain);
		uint64_t at = BASE + (slice * THREADS + self->number) * SLICE;
		self->wrong += fmt_unmap(&pt, iova(at), SLICE, &gather) != mapped[slice];
		iommu_gather_release(&gather);
	}
	return NULL;
}

static void run(bool coherent)
{
	struct worker workers[THREADS];

	begin(coherent);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.number = i};
		KTAP_EQUAL(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		KTAP_EQUAL(pthread_join(workers[i].thread, NULL), 0);
		KTAP_EQUAL(workers[i].wrong, 0);
	}
	end();
}

static void snoops(void)
{
	run(true);
}

static void does_not_snoop(void)
{
	run(false);
}

/* ---- many tables at once ------------------------------------------------------------------ */

static pthread_barrier_t together;

/** All make the same tables at the same moment. (Leaves are read-only, tables are not.) */
static void *rush(void *arg)
{
	struct worker *self = arg;
	struct iommu_gather gather;

	for (unsigned i = 0; i < ROUNDS / 10; i++) {
		uint64_t at = i * PAGE_SIZE_1G / 4 + self->number * PAGE_SIZE_4K;
		pthread_barrier_wait(&together);
		iommu_gather_init(&gather, &domain);
		self->wrong += fmt_map(&pt, iova(at), pa(MEMORY + at), PAGE_SIZE_4K,
		                       IOMMU_READ | IOMMU_BESIDE, &gather) != 0;
		self->wrong += !way_is_seen(at);
	}
	return NULL;
}

static void same_tables(void)
{
	struct worker workers[THREADS];
	struct iommu_gather gather;

	begin(false);
	is_late = true;
	KTAP_EQUAL(pthread_barrier_init(&together, NULL, THREADS), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.number = i};
		KTAP_EQUAL(pthread_create(&workers[i].thread, NULL, rush, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		KTAP_EQUAL(pthread_join(workers[i].thread, NULL), 0);
		KTAP_EQUAL(workers[i].wrong, 0);
	}
	pthread_barrier_destroy(&together);
	is_late = false;
	/* one of each, whoever made it */
	KTAP_EQUAL(pt.table_pages, 2 + ROUNDS / 40 + ROUNDS / 10);
	KTAP_EQUAL(os.pages, pt.table_pages);
	iommu_gather_init(&gather, &domain);
	KTAP_EQUAL(fmt_unmap(&pt, iova(0), PAGE_SIZE_1G * 512, &gather),
	           THREADS * (ROUNDS / 10) * PAGE_SIZE_4K);
	iommu_gather_release(&gather);
	end();
}

/* ---- what a failure leaves ------------------------------------------------------------------ */

static void trimmed(void)
{
	const uint64_t at = PAGE_SIZE_1G - PAGE_SIZE_2M, bytes = 2 * PAGE_SIZE_2M;
	struct iommu_gather gather;
	int result = -ENOMEM;

	begin(true);
	iommu_gather_init(&gather, &domain);
	KTAP_EQUAL(fmt_map(&pt, iova(0), pa(0), PAGE_SIZE_4K, IOMMU_READ, &gather), 0);
	const uint64_t tables = pt.table_pages;
	for (long nth = 1; result; nth++) {
		os.fail_at = os.allocations + nth;
		result = fmt_map(&pt, iova(at), pa(PAGE_SIZE_4K), bytes, IOMMU_READ | IOMMU_BESIDE,
		                 &gather);
		os.fail_at = 0;
		if (!result)
			break;
		KTAP_EQUAL(result, -ENOMEM);
		KTAP_EQUAL(pt.table_pages, tables + (nth == 3));
		fmt_trim(&pt, iova(at), bytes, &gather);
		KTAP_EQUAL(pt.table_pages, tables);
		iommu_gather_release(&gather);
		iommu_gather_init(&gather, &domain);
	}
	/* what holds something stays */
	uint64_t made = pt.table_pages;
	fmt_trim(&pt, iova(0), PAGE_SIZE_1G * 2, &gather);
	KTAP_EQUAL(pt.table_pages, made);
	fmt_destroy(&pt);
	iommu_gather_release(&gather);
	KTAP_CHECK(test_os_is_clean(&os));
}

static const struct ktap_case cases[] = {
	{"four threads in the same tables", snoops},
	{"and for a unit that does not snoop", does_not_snoop},
	{"the same tables at the same moment: one of each, and all cleaned", same_tables},
	{"a failure leaves empty tables, which trim takes", trimmed},
};
KTAP_MAIN(cases)
