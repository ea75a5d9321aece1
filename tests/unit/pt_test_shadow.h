/* SPDX-License-Identifier: MIT */
/*
 * A page table as a unit sees it that does not snoop: only what was cleaned. A part of
 * pt_test_body.h, which includes it.
 */
#ifndef TESTS_UNIT_PT_TEST_SHADOW_H
#define TESTS_UNIT_PT_TEST_SHADOW_H

#include "tests/unit/pt_test_body.h"

enum { MAX_TABLES = 4096 };

struct shadow {
	uint64_t page;
	uint64_t entry[512];
	bool seen[512];
};

struct shadow_bench {
	struct bench bench;
	struct shadow *shadows;
	unsigned count;
	void (*page_free)(void *ctx, pa_t run, unsigned order);
	unsigned live; /* tables reached in the last check */
};

static struct shadow_bench *shadow_bench_of(void *ctx)
{
	return container_of((struct test_os *)ctx, struct shadow_bench, bench.test);
}

static struct shadow *shadow_find(struct shadow_bench *self, uint64_t page, bool make)
{
	for (unsigned i = 0; i < self->count; i++)
		if (self->shadows[i].page == page)
			return &self->shadows[i];
	if (!make || self->count == MAX_TABLES)
		return NULL;
	struct shadow *shadow = &self->shadows[self->count++];
	memset(shadow, 0, sizeof(*shadow));
	shadow->page = page;
	return shadow;
}

/** Every table that the unit can reach was cleaned whole before it could. */
static void shadow_reach(struct shadow_bench *self, uint64_t page, unsigned level, uint64_t avoid)
{
	struct shadow *shadow = shadow_find(self, page, false);

	KTAP_CHECK(shadow != NULL);
	KTAP_CHECK(page != avoid);
	self->live++;
	for (unsigned i = 0; shadow && i < 512; i++) {
		KTAP_CHECK(shadow->seen[i]);
		uint64_t entry = shadow->entry[i];
		if (level > 1 && entry & PT_FORMAT_PRESENT && !pt_format_is_leaf(entry, level))
			shadow_reach(self, pt_format_address(entry), level - 1, avoid);
	}
}

static void shadow_clean(void *ctx, const void *start, size_t bytes)
{
	struct shadow_bench *self = shadow_bench_of(ctx);
	uintptr_t line = (uintptr_t)start & ~(uintptr_t)63;

	for (; line < (uintptr_t)start + bytes; line += 64) {
		struct shadow *shadow = shadow_find(self, line & ~(uintptr_t)4095, true);
		KTAP_CHECK(shadow != NULL);
		for (unsigned i = 0; shadow && i < 8; i++) {
			unsigned index = (unsigned)(line % 4096 / 8) + i;
			shadow->entry[index] = ((const uint64_t *)line)[i];
			shadow->seen[index] = true;
		}
	}
	if (self->bench.pt.root.value)
		shadow_reach(self, self->bench.pt.root.value, self->bench.pt.levels, 0);
}

static void shadow_page_free(void *ctx, pa_t run, unsigned order)
{
	struct shadow_bench *self = shadow_bench_of(ctx);

	/* the flush is over: nothing that the unit reads may lead here any more */
	if (self->bench.pt.root.value)
		shadow_reach(self, self->bench.pt.root.value, self->bench.pt.levels, run.value);
	struct shadow *shadow = shadow_find(self, run.value, false);
	if (shadow)
		*shadow = self->shadows[--self->count];
	self->page_free(ctx, run, order);
}

static struct shadow_bench *shadow_now;

static void shadow_clean_line(const void *address)
{
	shadow_clean(&shadow_now->bench.test, address, 1);
}

/** @p hooked: lines are cleaned by os->clean, else by the processor's instruction. */
static void run_shadow(const struct pt_config *config, bool hooked)
{
	struct shadow_bench *self = test_calloc(1, sizeof(*self));

	self->shadows = test_calloc(MAX_TABLES, sizeof(*self->shadows));
	bench_init(&self->bench, config, true);
	fmt_destroy(&self->bench.pt);
	self->page_free = self->bench.test.os.page_free;
	self->bench.test.os.page_free = shadow_page_free;
	self->bench.test.os.clean = hooked ? shadow_clean : NULL;
	shadow_now = self;
	test_clean_line = shadow_clean_line;
	self->bench.pt.root = pa(0);
	KTAP_EQUAL(fmt_init(&self->bench.pt, &self->bench.test.os, config->levels,
	                    config->page_sizes, 0, false),
	           0);
	self->bench.pt.counting = hooked;
	self->bench.pt.domain = &self->bench.domain;
	self->bench.pt.flush = config->flush ? bench_flush : NULL;
	for (unsigned round = 0; round < 120 && !ktap_failed; round++) {
		if (bench_random(&self->bench, 15) == 0)
			random_split(&self->bench);
		else if (bench_random(&self->bench, 2))
			random_map(&self->bench);
		else
			random_unmap(&self->bench);
		bench_settle(&self->bench);
		self->live = 0;
		shadow_reach(self, self->bench.pt.root.value, config->levels, 0);
		KTAP_EQUAL(self->live, self->bench.pt.table_pages);
		/* and what it reads is what the processor wrote */
		for (unsigned i = 0; i < self->count; i++)
			KTAP_CHECK(memcmp(self->shadows[i].entry, (void *)self->shadows[i].page,
			                  4096) == 0);
	}
	KTAP_EQUAL(self->bench.pt.cleans > 0, hooked);
	bench_settle(&self->bench);
	pa_t root = self->bench.pt.root;
	self->bench.test.os.page_free = self->page_free;
	self->bench.pt.root = root;
	bench_exit(&self->bench);
	test_clean_line = NULL;
	free(self->shadows);
	free(self);
}

static void run_not_coherent(const struct pt_config *config)
{
	run_shadow(config, true);
	run_shadow(config, false);
}

#endif
