/* SPDX-License-Identifier: MIT */
/*
 * A bench for the model: 4 MiB of memory in two views (the processor's, and what was
 * cleaned), pages that fail, a log of events, and short words for building tables and
 * submitting descriptors. Every table is built by hand, bit by bit.
 */
#ifndef TESTS_UNIT_MODEL_BENCH_H
#define TESTS_UNIT_MODEL_BENCH_H

#include "model/model.h"
#include "tests/ktap.h"

#include <string.h>

#define BENCH_BYTES 0x400000u
#define BIT(n)      (UINT64_C(1) << (n))

/* Where things lie. */
enum {
	ROOT = 0x1000,
	CONTEXT = 0x2000,
	CONTEXT_HIGH = 0x3000,
	QUEUE = 0x4000,
	STATUS = 0x6000,
	DIRECTORY = 0x8000,
	PASIDS = 0xc000,
	TABLES = 0x10000, /* second stage: one page a level, top first */
	FIRST = 0x20000,  /* first stage, the same */
	IRTES = 0x40000,
	PAGES = 0x50000, /* page request queue */
	POSTED = 0x60000,
	DEVICE = 0x0010, /* 00:02.0 */
};

struct bench {
	uint8_t cpu[BENCH_BYTES], cleaned[BENCH_BYTES];
	bool split;          /* the two views differ until bench_clean() */
	uint64_t fail;       /* reads of this page fail; 0: none */
	unsigned fail_after; /* that many reads of it succeed first */
	bool fail_writes;
	unsigned swaps_good;   /* that many swaps are spared what follows */
	unsigned swap_changes; /* that many swaps find another value */
	bool swap_fails;
	struct model_unit *unit;
	uint32_t tail;
	unsigned wait_serial;
	/* events */
	unsigned interrupts[5], waits, page_requests, responses, faults, reports;
	struct model_event last, last_interrupt, last_response;
	struct model_report report, report_of[MODEL_REPORT_KINDS];
	unsigned kinds[MODEL_REPORT_KINDS];
	/* the device */
	enum model_device_answer answer;
	struct model_device_invalidation invalidation;
	unsigned invalidations;
	struct model_device_tlb *tlb;
	/* the last request */
	struct model_result result;
};

static bool bench_read(void *context, uint64_t address, void *out, size_t bytes, bool snooped)
{
	struct bench *b = context;

	if (address >= BENCH_BYTES || bytes > BENCH_BYTES - address)
		return false;
	if (b->fail && address >> 12 == b->fail >> 12) {
		if (!b->fail_after)
			return false;
		b->fail_after--;
	}
	memcpy(out, (b->split && !snooped ? b->cleaned : b->cpu) + address, bytes);
	return true;
}

static bool bench_write(void *context, uint64_t address, const void *in, size_t bytes, bool snooped)
{
	struct bench *b = context;

	(void)snooped;
	if (b->fail_writes || address >= BENCH_BYTES || bytes > BENCH_BYTES - address)
		return false;
	memcpy(b->cpu + address, in, bytes);
	memcpy(b->cleaned + address, in, bytes);
	return true;
}

static enum model_swap bench_swap(void *context, uint64_t address, uint64_t expected,
                                  uint64_t desired)
{
	struct bench *b = context;
	uint64_t now;

	if (address > BENCH_BYTES - 8 || (b->swap_fails && !b->swaps_good))
		return MODEL_SWAP_FAILED;
	memcpy(&now, b->cpu + address, 8);
	if (b->swaps_good) {
		b->swaps_good--;
	} else if (b->swap_changes) {
		b->swap_changes--;
		return MODEL_SWAP_CHANGED;
	}
	if (now != expected)
		return MODEL_SWAP_CHANGED;
	memcpy(b->cpu + address, &desired, 8);
	memcpy(b->cleaned + address, &desired, 8);
	return MODEL_SWAP_DONE;
}

static void bench_event(void *context, const struct model_event *event)
{
	struct bench *b = context;

	b->last = *event;
	switch (event->kind) {
	case MODEL_EVENT_INTERRUPT:
		b->interrupts[event->source]++;
		b->last_interrupt = *event;
		break;
	case MODEL_EVENT_WAIT_STATUS:
		b->waits++;
		break;
	case MODEL_EVENT_PAGE_REQUEST:
		b->page_requests++;
		break;
	case MODEL_EVENT_PAGE_RESPONSE:
		b->responses++;
		b->last_response = *event;
		break;
	case MODEL_EVENT_FAULT:
		b->faults++;
		break;
	case MODEL_EVENT_REPORT:
		b->reports++;
		b->kinds[event->report->kind]++;
		b->report = *event->report;
		b->report_of[event->report->kind] = *event->report;
		break;
	}
}

static enum model_device_answer bench_device_invalidate(
	void *context, const struct model_device_invalidation *invalidation)
{
	struct bench *b = context;

	b->invalidations++;
	b->invalidation = *invalidation;
	if (b->tlb && b->answer == MODEL_DEVICE_DONE)
		model_device_tlb_invalidate(b->tlb, invalidation);
	return b->answer;
}

/* A unit of its own shape. */
static inline struct bench *bench_make(const struct model_config *config)
{
	struct bench *b = calloc(1, sizeof(*b));
	size_t bytes = model_unit_bytes(config);
	const struct model_hooks hooks = {
		.context = b,
		.memory = {bench_read, bench_write, bench_swap},
		.event = bench_event,
		.device_invalidate = bench_device_invalidate,
	};
	void *memory = bytes ? aligned_alloc(16, (bytes + 15) & ~(size_t)15) : NULL;

	if (!b || !memory) {
		printf("Bail out! no unit: %s\n", model_config_check(config));
		exit(EXIT_FAILURE);
	}
	b->unit = model_unit_init(memory, bytes, config, &hooks);
	return b;
}

static inline struct bench *bench_new(const char *preset)
{
	return bench_make(model_preset_find(preset));
}

static inline void bench_end(struct bench *b)
{
	free(b->unit);
	free(b);
}

/* ---- memory ----------------------------------------------------------------------- */

static inline void put(struct bench *b, uint64_t address, uint64_t value)
{
	memcpy(b->cpu + address, &value, 8);
	if (!b->split)
		memcpy(b->cleaned + address, &value, 8);
}

static inline uint64_t get(const struct bench *b, uint64_t address)
{
	uint64_t value;

	memcpy(&value, b->cpu + address, 8);
	return value;
}

static inline void bench_clean(struct bench *b, uint64_t address, size_t bytes)
{
	memcpy(b->cleaned + address, b->cpu + address, bytes);
}

/* ---- registers ---------------------------------------------------------------------- */

static inline uint32_t r32(struct bench *b, uint64_t offset)
{
	return (uint32_t)model_read(b->unit, offset, 4);
}

static inline uint64_t r64(struct bench *b, uint64_t offset)
{
	return model_read(b->unit, offset, 8);
}

static inline void w32(struct bench *b, uint64_t offset, uint32_t value)
{
	model_write(b->unit, offset, 4, value);
}

static inline void w64(struct bench *b, uint64_t offset, uint64_t value)
{
	model_write(b->unit, offset, 8, value);
}

/* One global command, by the recipe: status without one-shots, one bit changed. */
static inline void command(struct bench *b, unsigned bit, bool on)
{
	uint32_t status = r32(b, 0x1c) & 0x96ffffffu;

	w32(b, 0x18, on ? status | 1u << bit : status & ~(1u << bit));
}

enum { TE = 31, SRTP = 30, WBF = 27, QIE = 26, IRE = 25, SIRTP = 24, CFI = 23 };

/* The first record, high word; cleared by this. */
static inline uint8_t take_fault(struct bench *b)
{
	uint64_t cap = r64(b, 0x08), at = (cap >> 24 & 0x3ff) * 16, high;
	unsigned records = (unsigned)(cap >> 40 & 0xff) + 1, index = r32(b, 0x34) >> 8 & 0xff;

	at += (uint64_t)(index % records) * 16;
	high = r64(b, at + 8);
	if (!(high >> 63))
		return 0;
	w32(b, at + 12, 0x80000000u);
	return (uint8_t)(high >> 32);
}

/* ---- the queue ------------------------------------------------------------------------ */

static inline bool bench_wide(struct bench *b)
{
	return r64(b, 0x90) >> 11 & 1;
}

static inline void queue_on(struct bench *b, bool wide)
{
	w64(b, 0x90, QUEUE | (wide ? 0x800 : 0));
	w64(b, 0x88, 0);
	b->tail = 0;
	command(b, QIE, true);
}

/* Put a descriptor into the next slot, without moving the tail register. */
static inline void slot(struct bench *b, uint64_t low, uint64_t high)
{
	unsigned bytes = bench_wide(b) ? 32 : 16;

	put(b, QUEUE + b->tail, low);
	put(b, QUEUE + b->tail + 8, high);
	if (bytes == 32) {
		put(b, QUEUE + b->tail + 16, 0);
		put(b, QUEUE + b->tail + 24, 0);
	}
	b->tail = (b->tail + bytes) & 0xfff;
}

/* Submit one descriptor and a wait; true if the wait's status arrived. */
static inline bool submit(struct bench *b, uint64_t low, uint64_t high)
{
	uint32_t serial = ++b->wait_serial;

	slot(b, low, high);
	slot(b, 0x25 | (uint64_t)serial << 32, STATUS);
	w64(b, 0x88, b->tail);
	return (uint32_t)get(b, STATUS) == serial;
}

enum { CC_GLOBAL = 1 << 4, CC_DOMAIN = 2 << 4, CC_DEVICE = 3 << 4 };

static inline void flush_all(struct bench *b)
{
	KTAP_CHECK(submit(b, 1 | CC_GLOBAL, 0));
	if (r64(b, 0x20) >> 10 & 3)
		KTAP_CHECK(submit(b, 7 | 3 << 4, 0));
	KTAP_CHECK(submit(b, 2 | 1 << 4, 0));
}

/* ---- tables ------------------------------------------------------------------------------ */

/* Root and context for DEVICE, legacy: second stage of `aw` for domain 5. */
static inline void legacy_tables(struct bench *b, unsigned aw)
{
	put(b, ROOT, CONTEXT | 1);
	put(b, CONTEXT + DEVICE * 16, TABLES | 1);
	put(b, CONTEXT + DEVICE * 16 + 8, 5 << 8 | aw);
}

/* The way to the leaf of `address` at `level`, in tables at `base`; returns its place. */
static inline uint64_t way(struct bench *b, uint64_t base, unsigned levels, uint64_t address,
                           unsigned level, uint64_t flags)
{
	uint64_t table = base;

	for (unsigned at = levels; at > level; at--) {
		uint64_t entry = table + (address >> (12 + 9 * (at - 1)) & 511) * 8;

		table = base + (levels - at + 1) * 0x1000u;
		put(b, entry, table | flags);
	}
	return table + (address >> (12 + 9 * (level - 1)) & 511) * 8;
}

/* Latch the root, invalidate, enable. */
static inline void start(struct bench *b, unsigned mode)
{
	bool queue = r64(b, 0x10) & 2, wide = mode != 0;

	w64(b, 0x20, ROOT | (uint64_t)mode << 10);
	if (queue && !(r32(b, 0x1c) & 1u << QIE))
		queue_on(b, wide);
	command(b, SRTP, true);
	if (queue) {
		flush_all(b);
	} else {
		w64(b, 0x28, BIT(63) | BIT(61));
		w64(b, (r64(b, 0x10) >> 8 & 0x3ff) * 16 + 8, BIT(63) | BIT(60));
	}
	command(b, TE, true);
	KTAP_CHECK(r32(b, 0x1c) >> 31);
}

/* ---- requests ------------------------------------------------------------------------------- */

static inline struct model_result dma(struct bench *b, enum model_access access, uint64_t address)
{
	const struct model_request request = {
		.access = access, .requester = DEVICE, .address = address, .bytes = 8};

	model_dma(b->unit, &request, &b->result);
	return b->result;
}

static inline struct model_result ask(struct bench *b, const struct model_request *request)
{
	model_dma(b->unit, request, &b->result);
	return b->result;
}

/* Read and expect this host address. */
#define READS(b, from, to)                                                                         \
	do {                                                                                       \
		KTAP_EQUAL(dma((b), MODEL_READ, (from)).response, MODEL_SUCCESS);                  \
		KTAP_EQUAL((b)->result.address, (to));                                             \
	} while (0)

/* The access is blocked and recorded with this reason. */
#define FAULTS(b, access, from, reason)                                                            \
	do {                                                                                       \
		KTAP_EQUAL(dma((b), (access), (from)).response, MODEL_UNSUPPORTED);                \
		KTAP_EQUAL((b)->result.fault, (reason));                                           \
		KTAP_EQUAL(take_fault(b), (reason));                                               \
	} while (0)

/* One report of this kind, with these words. */
#define REPORTED(b, which, words)                                                                  \
	do {                                                                                       \
		const char *reported_text = (b)->report_of[which].text;                            \
		KTAP_EQUAL((b)->kinds[which], 1);                                                  \
		if (!strstr(reported_text, (words)))                                               \
			printf("# the report is: %s\n", reported_text);                            \
		KTAP_CHECK(strstr(reported_text, (words)));                                        \
		KTAP_CHECK(!strncmp(reported_text, "model: ", 7));                                 \
	} while (0)

/* One report of this kind, and none of another. */
#define ONE_REPORT(b, which, words)                                                                \
	do {                                                                                       \
		KTAP_EQUAL((b)->reports, 1);                                                       \
		REPORTED(b, which, words);                                                         \
	} while (0)

#endif
