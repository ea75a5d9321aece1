/* SPDX-License-Identifier: MIT */
/*
 * Accessed and dirty flags of the model's second stage (3.7.3): who sets which, when the
 * IOTLB may answer for them, pages of every size, entries that change, tables that are
 * not snooped, and a driver that reads and clears dirty flags.
 */
#include "tests/unit/model_scalable.h"

enum { A = 0x100, D = 0x200 };

static void set(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, SSADE, 0, 0);

	READS(b, IOVA, HOST);
	for (unsigned i = 0; i < 3; i++)
		KTAP_EQUAL(get(b, TABLES + i * 0x1000), (TABLES + (i + 1) * 0x1000) | 3 | A);
	KTAP_EQUAL(get(b, SECOND_LEAF), HOST | 3 | A);
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_CHECK(!b->result.cached);
	KTAP_EQUAL(get(b, SECOND_LEAF), HOST | 3 | A | D);
	KTAP_CHECK(dma(b, MODEL_ATOMIC, IOVA).cached);
	KTAP_EQUAL(model_unit_statistics(b->unit)->caches[MODEL_CACHE_IOTLB].used, 1);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* Without SSADE, and in legacy mode, nothing is written. */
static void off(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, 0, 0, 0);

	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_EQUAL(get(b, SECOND_LEAF), HOST | 3);
	KTAP_EQUAL(get(b, TABLES), (TABLES + 0x1000) | 3);
	bench_end(b);
	b = bench_new("nesting");
	legacy_tables(b, 2);
	page_tables(b, SECOND_STAGE);
	start(b, LEGACY_MODE);
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_EQUAL(get(b, SECOND_LEAF), HOST | 3);
	bench_end(b);
}

/* Only what an access asks for and may do. */
static void no_more_than_needed(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, SSADE, 0, 0);
	struct model_request request = {
		.kind = MODEL_TRANSLATION, .requester = DEVICE, .address = IOVA};

	put(b, SECOND_LEAF, HOST | 1);
	FAULTS(b, MODEL_WRITE, IOVA, 0x85);
	KTAP_EQUAL(get(b, SECOND_LEAF), HOST | 1);
	put(b, SECOND_LEAF, HOST | 2);
	FAULTS(b, MODEL_READ, IOVA, 0x86);
	FAULTS(b, MODEL_ATOMIC, IOVA, 0x86);
	KTAP_EQUAL(get(b, SECOND_LEAF), HOST | 2);
	/* a refused access does not make the page known: the next one still marks it */
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_EQUAL(get(b, SECOND_LEAF), HOST | 2 | A | D);
	/* translation requests read, and write unless they say otherwise */
	put(b, SECOND_LEAF + 8, HOST | 1);
	put(b, SECOND_LEAF + 16, HOST | 3);
	request.address += 0x1000;
	ask(b, &request);
	KTAP_EQUAL(get(b, SECOND_LEAF + 8), HOST | 1 | A);
	request.address += 0x1000;
	request.no_write = true;
	ask(b, &request);
	KTAP_EQUAL(get(b, SECOND_LEAF + 16), HOST | 3 | A);
	request.no_write = false;
	ask(b, &request);
	KTAP_EQUAL(get(b, SECOND_LEAF + 16), HOST | 3 | A | D);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

static void large_pages(void)
{
	for (unsigned level = 2; level <= 3; level++) {
		struct bench *b = bench_new("nesting");
		uint64_t leaf;

		scalable_context(b);
		pasid_entry(b, 0, SECOND_STAGE, SSADE, 0, 0);
		leaf = way(b, TABLES, 4, 0x40000000, level, 3);
		put(b, leaf, 0x40000083);
		start(b, SCALABLE_MODE);
		READS(b, 0x40001000, 0x40001000);
		KTAP_EQUAL(get(b, leaf), 0x40000083 | A);
		KTAP_EQUAL(dma(b, MODEL_WRITE, 0x40002000).response, MODEL_SUCCESS);
		KTAP_EQUAL(get(b, leaf), 0x40000083 | A | D);
		KTAP_CHECK(dma(b, MODEL_WRITE, 0x40003000).cached);
		bench_end(b);
	}
}

static void races(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, SSADE, 0, 0);

	b->swap_changes = 5;
	READS(b, IOVA, HOST);
	KTAP_EQUAL(b->result.second_stage_reads, 4 + 5);
	b->swap_changes = 16;
	FAULTS(b, MODEL_WRITE, IOVA, 0x7d);
	KTAP_EQUAL(get(b, SECOND_LEAF), HOST | 3 | A);
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

static void not_snooped(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, SSADE, PWSNP, 0);

	FAULTS(b, MODEL_READ, IOVA, 0x7c);
	for (unsigned i = 0; i < 3; i++)
		put(b, TABLES + i * 0x1000, (TABLES + (i + 1) * 0x1000) | 3 | A);
	put(b, SECOND_LEAF, HOST | 3 | A);
	READS(b, IOVA, HOST);
	FAULTS(b, MODEL_WRITE, IOVA, 0x7c);
	put(b, SECOND_LEAF, HOST | 3 | A | D);
	KTAP_EQUAL(dma(b, MODEL_WRITE, IOVA).response, MODEL_SUCCESS);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

/* Dirty tracking as a driver does it: read and clear, invalidate, and nothing is lost. */
static void tracking(void)
{
	struct bench *b = bench_scalable(SECOND_STAGE, SSADE, 0, 0);
	unsigned found = 0;

	for (unsigned i = 0; i < 16; i++)
		put(b, SECOND_LEAF + i * 8, (HOST + i * 0x1000) | 3);
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < 16; i++)
			KTAP_EQUAL(dma(b, i % 4 == round % 4 ? MODEL_WRITE : MODEL_READ,
			               IOVA + i * 0x1000)
			                   .response,
			           MODEL_SUCCESS);
		for (unsigned i = 0; i < 16; i++) {
			uint64_t entry = get(b, SECOND_LEAF + i * 8);

			KTAP_EQUAL(!!(entry & D), i % 4 == round % 4);
			found += !!(entry & D);
			put(b, SECOND_LEAF + i * 8, entry & ~(uint64_t)D);
		}
		KTAP_CHECK(submit(b, 2 | 3 << 4 | DID << 16, 5)); /* 32 pages from 0 */
	}
	KTAP_EQUAL(found, 32);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"who sets what", set},
	{"without SSADE nothing is written", off},
	{"no more than the access needs", no_more_than_needed},
	{"large pages", large_pages},
	{"entries that change meanwhile", races},
	{"tables that are not snooped", not_snooped},
	{"dirty tracking loses nothing", tracking},
};

KTAP_MAIN(cases)
