/* SPDX-License-Identifier: MIT */
/*
 * A correct driver against the model: it maps, unmaps, turns tables into large pages and
 * back, moves tables, replaces PASID entries, always with the invalidations that the
 * specification asks for (6.5.3, Table 28) and no more. Whatever the order, every access
 * must go where the driver says, and the sanitizer must not say a word.
 */
#include "tests/unit/model_scalable.h"

enum { PAGES_USED = 24, LARGE = 0x200000, STEPS = 1500, OTHER_TABLE = 0x70000 };

struct driver {
	struct bench *b;
	uint64_t random;
	unsigned pgtt;
	bool caching;
	uint64_t page[PAGES_USED]; /* what IOVA + n pages is mapped to; 0: nothing */
	bool writable[PAGES_USED];
	bool large; /* the second 2 MiB are one page */
	uint64_t last_table;
	bool attached;
};

static unsigned pick(struct driver *d, unsigned count)
{
	d->random = d->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((d->random >> 33) % count);
}

static bool first(const struct driver *d)
{
	return d->pgtt != SECOND_STAGE;
}

static uint64_t base(const struct driver *d)
{
	return first(d) ? FIRST : TABLES;
}

static uint64_t bits(const struct driver *d, bool writable)
{
	return first(d) ? writable ? 7 : 5 : writable ? 3 : 1;
}

/* A page of the stage that the driver changes was present, or caching mode is on. */
static void flush(struct driver *d, uint64_t address, unsigned am, bool tables)
{
	uint64_t range = address | (tables ? 0 : BIT(6)) | am;

	if (!first(d)) {
		KTAP_CHECK(submit(d->b, 2 | 3 << 4 | DID << 16, range));
		return;
	}
	for (uint64_t pasid = 0; pasid < 8; pasid += 7)
		KTAP_CHECK(submit(d->b, 6 | 3 << 4 | DID << 16 | pasid << 32, range));
}

static void map_or_unmap(struct driver *d)
{
	unsigned n = pick(d, PAGES_USED);
	bool was = d->page[n];

	d->writable[n] = pick(d, 2);
	d->page[n] = was ? 0 : 0x100000 + pick(d, 64) * 0x1000;
	put(d->b, d->last_table + n * 8, was ? 0 : d->page[n] | bits(d, d->writable[n]));
	if (was || (d->caching && !first(d)))
		flush(d, n * 0x1000, 0, false);
}

/* The last table moves: its entry goes, all that it covered is invalidated, it comes back. */
static void move_table(struct driver *d)
{
	uint64_t entry = base(d) + 0x2000, old = d->last_table;

	d->last_table = old == OTHER_TABLE ? base(d) + 0x3000 : OTHER_TABLE;
	memcpy(d->b->cpu + d->last_table, d->b->cpu + old, 0x1000);
	memcpy(d->b->cleaned + d->last_table, d->b->cpu + old, 0x1000);
	put(d->b, entry, 0);
	flush(d, 0, 9, true);
	KTAP_EQUAL(model_table_freed(d->b->unit, old, 0x1000), 0);
	put(d->b, entry, d->last_table | bits(d, true));
	if (d->caching && !first(d))
		flush(d, 0, 9, true);
}

static void large_page(struct driver *d)
{
	uint64_t entry = base(d) + 0x2008;

	d->large = !d->large;
	put(d->b, entry, 0);
	flush(d, LARGE, 9, true);
	put(d->b, entry, (d->large ? LARGE | 0x80 : 0x71000) | bits(d, true));
	if (d->caching && !first(d))
		flush(d, LARGE, 9, true);
}

/* The PASID entry goes and comes back. */
static void attach(struct driver *d)
{
	d->attached = !d->attached;
	put(d->b, pasid_at(7), get(d->b, pasid_at(7)) ^ 1);
	if (d->attached && !d->caching)
		return;
	if (d->attached) /* absence is remembered under domain 0 */
		KTAP_CHECK(submit(d->b, 7 | 1 << 4 | (uint64_t)7 << 32, 0));
	KTAP_CHECK(submit(d->b, 7 | 1 << 4 | DID << 16 | (uint64_t)7 << 32, 0));
	if (d->pgtt == FIRST_STAGE)
		KTAP_CHECK(submit(d->b, 6 | 2 << 4 | DID << 16 | (uint64_t)7 << 32, 0));
	else
		KTAP_CHECK(submit(d->b, 2 | 2 << 4 | DID << 16, 0));
}

static void use(struct driver *d)
{
	unsigned n = pick(d, PAGES_USED + 4);
	bool write = pick(d, 2), pasid = pick(d, 2), there, allowed;
	uint64_t address = n < PAGES_USED ? n * 0x1000 : LARGE + (n - PAGES_USED) * 0x3000;
	uint64_t to = n < PAGES_USED ? d->page[n] : d->large ? address : 0;
	struct model_result result;

	there = to && (!pasid || d->attached);
	allowed = there && (!write || n >= PAGES_USED || d->writable[n]);
	result = pasid ? dma_pasid(d->b, write ? MODEL_WRITE : MODEL_READ, 7, address)
	               : dma(d->b, write ? MODEL_WRITE : MODEL_READ, address);
	KTAP_EQUAL(result.response, allowed ? MODEL_SUCCESS : MODEL_UNSUPPORTED);
	if (allowed)
		KTAP_EQUAL(result.address, to);
	take_fault(d->b);
}

static void run(unsigned pgtt, bool caching, bool over)
{
	struct model_config config = *model_preset_find("nesting");
	struct driver d = {
		.random = pgtt * 2 + caching, .pgtt = pgtt, .caching = caching, .attached = true};
	uint64_t e2 = 0;

	config.cap |= caching ? BIT(7) : 0;
	config.over_invalidate = over;
	d.b = bench_make(&config);
	scalable_context(d.b);
	if (pgtt == NESTED) { /* guest addresses are host addresses, by two pages of 2 MiB */
		put(d.b, way(d.b, TABLES, 4, 0, 2, 3), 0 | 0x83);
		put(d.b, TABLES + 0x2008, LARGE | 0x83);
	}
	pasid_entry(d.b, 0, pgtt, 0, 0, e2);
	pasid_entry(d.b, 7, pgtt, 0, 0, e2);
	d.last_table = base(&d) + 0x3000;
	way(d.b, base(&d), 4, 0, 1, bits(&d, true));
	put(d.b, base(&d) + 0x2008, 0x71000 | bits(&d, true));
	start(d.b, SCALABLE_MODE);
	for (unsigned i = 0; i < STEPS && !ktap_failed; i++) {
		switch (pick(&d, 40)) {
		case 0:
			move_table(&d);
			break;
		case 1:
			large_page(&d);
			break;
		case 2:
			attach(&d);
			break;
		case 3:
		case 4:
		case 5:
		case 6:
		case 7:
		case 8:
			map_or_unmap(&d);
			break;
		default:
			use(&d);
		}
		if (i % 50 == 0)
			KTAP_EQUAL(model_sanitizer_check(d.b->unit), 0);
		KTAP_EQUAL(d.b->reports, 0);
		if (ktap_failed)
			printf("# step %u, type %u: %s\n", i, pgtt, d.b->report.text);
	}
	KTAP_CHECK(model_unit_statistics(d.b->unit)->caches[MODEL_CACHE_IOTLB].hits > 20);
	bench_end(d.b);
}

static void second_stage(void)
{
	run(SECOND_STAGE, false, false);
	run(SECOND_STAGE, false, true);
}

static void first_stage(void)
{
	run(FIRST_STAGE, false, false);
	run(FIRST_STAGE, true, false);
}

static void nested(void)
{
	run(NESTED, false, false);
	run(NESTED, true, false);
}

static void caching_mode(void)
{
	run(SECOND_STAGE, true, false);
}

static const struct ktap_case cases[] = {
	{"second stage, exact invalidation and more than asked", second_stage},
	{"first stage, with and without caching mode", first_stage},
	{"nested, the first stage changing", nested},
	{"second stage with caching mode", caching_mode},
};

KTAP_MAIN(cases)
