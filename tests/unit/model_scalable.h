/* SPDX-License-Identifier: MIT */
/*
 * Tables of scalable mode for the model's tests, by hand: root, context, PASID directory,
 * one PASID entry, and both stages' page tables with one page. Where things lie is said
 * in model_bench.h; the first stage's tables have the same guest and host address.
 */
#ifndef TESTS_UNIT_MODEL_SCALABLE_H
#define TESTS_UNIT_MODEL_SCALABLE_H

#include "tests/unit/model_bench.h"

enum { FIRST_STAGE = 1, SECOND_STAGE = 2, NESTED = 3, PASS = 4 };
enum { LEGACY_MODE = 0, SCALABLE_MODE = 1, RESERVED_MODE = 2, ABORT_MODE = 3 };

enum {
	CONTEXT_AT = CONTEXT + DEVICE * 32, /* scalable */
	IOVA = 0x1000,
	GUEST = 0x30000, /* what the first stage makes of IOVA */
	HOST = 0x80000,  /* what the second stage makes of IOVA, or nested of GUEST */
	FIRST_LEAF = FIRST + 0x3008,
	SECOND_LEAF = TABLES + 0x3008,           /* of IOVA */
	GUEST_LEAF = TABLES + 0x3000 + 8 * 0x30, /* second stage, of GUEST */
	DID = 5,
};

#define PWSNP BIT(23) /* in the second quadword of a PASID entry */
#define PGSNP BIT(24)
#define SSADE BIT(9) /* in the first */
#define SRE   BIT(0) /* in the third */
#define WPE   BIT(4)
#define EAFE  BIT(7)

static inline uint64_t pasid_at(uint32_t pasid)
{
	return PASIDS + (pasid >> 6) * 0x1000 + (pasid & 63) * 64;
}

/* Root, context (DTE, PASIDE, PRE) and directory; RID_PASID is 0. */
static inline void scalable_context(struct bench *b)
{
	put(b, ROOT, CONTEXT | 1);
	put(b, ROOT + 8, CONTEXT_HIGH | 1);
	put(b, CONTEXT_AT, DIRECTORY | 0x1d);
	put(b, CONTEXT_AT + 8, 0);
	put(b, DIRECTORY, PASIDS | 1);
	put(b, DIRECTORY + 8, (PASIDS + 0x1000) | 1);
}

/* A PASID entry of 48 bits and four levels; the extra bits are turned over. */
static inline void pasid_entry(struct bench *b, uint32_t pasid, unsigned pgtt, uint64_t e0,
                               uint64_t e1, uint64_t e2)
{
	uint64_t at = pasid_at(pasid);

	put(b, at, (TABLES | 2 << 2 | (uint64_t)pgtt << 6 | 1) ^ e0);
	put(b, at + 8, (DID | PWSNP) ^ e1);
	put(b, at + 16, FIRST ^ e2);
}

/* One page through each stage, with full rights; nested tables are reached one to one. */
static inline void page_tables(struct bench *b, unsigned pgtt)
{
	if (pgtt != FIRST_STAGE)
		put(b, way(b, TABLES, 4, IOVA, 1, 3), HOST | 3);
	if (pgtt == NESTED)
		for (unsigned i = 0; i < 5; i++)
			put(b, TABLES + 0x3000 + (FIRST / 0x1000 + i) * 8,
			    (FIRST + i * 0x1000) | 3);
	if (pgtt == NESTED)
		put(b, GUEST_LEAF, HOST | 3);
	if (pgtt == FIRST_STAGE || pgtt == NESTED)
		put(b, way(b, FIRST, 4, IOVA, 1, 7), GUEST | 7);
}

/* Everything for requests without a PASID and with PASID 7. */
static inline void scalable_tables(struct bench *b, unsigned pgtt, uint64_t e0, uint64_t e1,
                                   uint64_t e2)
{
	scalable_context(b);
	pasid_entry(b, 0, pgtt, e0, e1, e2);
	pasid_entry(b, 7, pgtt, e0, e1, e2);
	page_tables(b, pgtt);
}

/* A unit with such tables, translating. */
static inline struct bench *bench_scalable(unsigned pgtt, uint64_t e0, uint64_t e1, uint64_t e2)
{
	struct bench *b = bench_new("nesting");

	scalable_tables(b, pgtt, e0, e1, e2);
	start(b, SCALABLE_MODE);
	return b;
}

/* Change the root's mode under a running unit, as a test of that mode needs it. */
static inline void latch(struct bench *b, uint64_t root)
{
	w64(b, 0x20, root);
	command(b, SRTP, true);
}

static inline struct model_result dma_pasid(struct bench *b, enum model_access access,
                                            uint32_t pasid, uint64_t address)
{
	const struct model_request request = {.access = access,
	                                      .requester = DEVICE,
	                                      .has_pasid = true,
	                                      .pasid = pasid,
	                                      .address = address,
	                                      .bytes = 8};

	return ask(b, &request);
}

#endif
