/* SPDX-License-Identifier: MIT */
/*
 * What each invalidation of the model hits, and what it leaves alone (6.5.2, Tables 23 and
 * 24): the caches are filled with every combination of tags, one request is made by a
 * descriptor or by the registers, and each entry must have gone or stayed exactly as the
 * tables say. What they say is written here a second time, entry by entry.
 */
#include "tests/unit/model_bench.h"

#include "model/unit.h"

enum { MAX = 1024 };

/* All that an entry was filed under. */
struct tag {
	enum model_cache cache;
	uint16_t sid, did;
	uint32_t pasid;
	unsigned pgtt, shift, level, index;
	uint64_t address;
};

struct request {
	unsigned type, g;
	uint16_t did, sid;
	uint32_t pasid;
	unsigned fm, am, index, im;
	bool ih;
	uint64_t address;
};

struct filled {
	struct bench *b;
	struct tag tags[MODEL_CACHES][MAX];
	unsigned count[MODEL_CACHES];
	bool scalable;
};

static const uint16_t dids[] = {5, 6};
static const uint32_t pasids[] = {0, 7, 0xabcde};
static const uint64_t addresses[] = {0,          0x1000,       0x3000,         0x200000,
                                     0x40000000, 0x8000000000, 0xffffffffff000};

#define EACH(list, i) for (unsigned i = 0; i < sizeof(list) / sizeof((list)[0]); i++)

static struct tag *note(struct filled *f, struct tag tag)
{
	struct tag *at = &f->tags[tag.cache][f->count[tag.cache]++];

	*at = tag;
	return at;
}

static void add_page(struct filled *f, struct tag tag)
{
	struct model_cached_page *entry = model_cache_take(f->b->unit, MODEL_CACHE_IOTLB);

	tag.cache = MODEL_CACHE_IOTLB;
	tag.address &= ~(BIT(tag.shift) - 1);
	note(f, tag);
	entry->sid = tag.sid;
	entry->did = tag.did;
	entry->has_pasid = tag.pasid == 7; /* the others belong to requests without a PASID */
	entry->pasid = tag.pasid;
	entry->pgtt = (uint8_t)tag.pgtt;
	entry->address = tag.address;
	entry->page.shift = (uint8_t)tag.shift;
}

static void add_table(struct filled *f, enum model_cache cache, struct tag tag)
{
	struct model_cached_table *entry = model_cache_take(f->b->unit, cache);

	tag.cache = cache;
	tag.shift = 12 + 9 * tag.level;
	tag.address &= ~(BIT(tag.shift) - 1);
	note(f, tag);
	entry->did = tag.did;
	entry->pasid = tag.pasid;
	entry->level = (uint8_t)tag.level;
	entry->address = tag.address;
}

static void fill_translations(struct filled *f)
{
	EACH(dids, d)
	EACH(addresses, a)
	{
		EACH(pasids, p)
		for (unsigned pgtt = 1; pgtt <= 4; pgtt++)
			for (unsigned shift = 12; shift <= 30; shift += 9)
				add_page(f, (struct tag){.sid = (uint16_t)pgtt,
				                         .did = dids[d],
				                         .pasid = pasids[p],
				                         .pgtt = pgtt,
				                         .shift = shift,
				                         .address = addresses[a]});
		for (unsigned level = 1; level <= 4; level++) {
			EACH(pasids, p)
			add_table(f, MODEL_CACHE_FIRST_STAGE,
			          (struct tag){.did = dids[d],
			                       .pasid = pasids[p],
			                       .level = level,
			                       .address = addresses[a]});
			add_table(f, MODEL_CACHE_SECOND_STAGE,
			          (struct tag){
					  .did = dids[d], .level = level, .address = addresses[a]});
		}
	}
}

static void fill_devices(struct filled *f)
{
	struct model_unit *unit = f->b->unit;

	for (unsigned sid = 0; sid < 32; sid++)
		EACH(dids, d)
		{
			struct model_cached_context *context =
				model_cache_take(unit, MODEL_CACHE_CONTEXT);

			context->sid = (uint16_t)(sid << 2 | d);
			context->did = dids[d];
			note(f, (struct tag){.cache = MODEL_CACHE_CONTEXT,
			                     .sid = context->sid,
			                     .did = dids[d]});
			EACH(pasids, p)
			{
				struct model_cached_pasid *pasid =
					model_cache_take(unit, MODEL_CACHE_PASID);

				pasid->sid = context->sid;
				pasid->did = dids[d];
				pasid->pasid = pasids[p];
				note(f, (struct tag){.cache = MODEL_CACHE_PASID,
				                     .sid = context->sid,
				                     .did = dids[d],
				                     .pasid = pasids[p]});
			}
		}
	for (unsigned index = 0; index < 64; index++) {
		struct model_cached_interrupt *entry =
			model_cache_take(unit, MODEL_CACHE_INTERRUPT);

		entry->index = (uint16_t)(index * 3);
		note(f, (struct tag){.cache = MODEL_CACHE_INTERRUPT, .index = index * 3});
	}
}

static void fill(struct filled *f)
{
	for (unsigned i = 0; i < MODEL_CACHES; i++) {
		model_cache_clear(f->b->unit, (enum model_cache)i);
		f->count[i] = 0;
	}
	fill_translations(f);
	fill_devices(f);
}

/* Filled caches of a unit; without a queue where `registers`. */
static struct filled *begin(bool scalable, bool registers, bool over)
{
	struct model_config config = *model_preset_find(registers ? "client-39" : "nesting");
	struct filled *f = calloc(1, sizeof(*f));

	config.sanitize = false; /* the entries come from no table */
	config.over_invalidate = over;
	f->b = bench_make(&config);
	f->scalable = scalable;
	if (!registers)
		start(f->b, scalable);
	fill(f);
	KTAP_EQUAL(f->count[MODEL_CACHE_IOTLB], 2 * 7 * 3 * 4 * 3);
	KTAP_EQUAL(f->count[MODEL_CACHE_CONTEXT], 64);
	return f;
}

static void end(struct filled *f)
{
	bench_end(f->b);
	free(f);
}

/* ---- what the tables say ------------------------------------------------------------ */

/* Does the entry's range share a page with 2^am pages at the address? */
static bool near_it(const struct request *r, const struct tag *tag)
{
	uint64_t page = r->address >> 12, first = tag->address >> 12;
	uint64_t last = first + (BIT(tag->shift - 12) - 1);

	if (r->am >= 52)
		return true;
	page = page / BIT(r->am) * BIT(r->am);
	return first <= page + (BIT(r->am) - 1) && page <= last;
}

static bool context_goes(const struct filled *f, const struct request *r, const struct tag *tag)
{
	/* FM 0 compares all bits, 1 not bit 2, 2 not bits 2:1, 3 not bits 2:0 (6.5.2.1) */
	static const unsigned ignored[] = {0, 4, 6, 7};

	if (tag->cache != MODEL_CACHE_CONTEXT)
		return false;
	if (r->g == 1 || (r->g == 2 && f->scalable))
		return true;
	if (!f->scalable && tag->did != r->did)
		return false;
	return r->g == 2 || (tag->sid | ignored[r->fm]) == (r->sid | ignored[r->fm]);
}

static bool iotlb_goes(const struct request *r, const struct tag *tag)
{
	if (tag->cache != MODEL_CACHE_IOTLB && tag->cache != MODEL_CACHE_FIRST_STAGE &&
	    tag->cache != MODEL_CACHE_SECOND_STAGE)
		return false;
	if (r->g == 1)
		return true;
	if (tag->did != r->did)
		return false;
	if (r->g == 2 || tag->cache == MODEL_CACHE_FIRST_STAGE)
		return true;
	if (tag->cache == MODEL_CACHE_SECOND_STAGE)
		return !r->ih && near_it(r, tag);
	return tag->pgtt == 1 || tag->pgtt == 3 || near_it(r, tag);
}

static bool pasid_iotlb_goes(const struct request *r, const struct tag *tag)
{
	if (tag->cache != MODEL_CACHE_IOTLB && tag->cache != MODEL_CACHE_FIRST_STAGE)
		return false;
	if (tag->did != r->did || tag->pasid != r->pasid)
		return false;
	if (r->g == 2)
		return true;
	if (tag->cache == MODEL_CACHE_FIRST_STAGE)
		return !r->ih && near_it(r, tag);
	return (tag->pgtt == 1 || tag->pgtt == 3) && near_it(r, tag);
}

static bool goes(const struct filled *f, const struct request *r, const struct tag *tag)
{
	switch (r->type) {
	case 1:
		return context_goes(f, r, tag);
	case 2:
		return iotlb_goes(r, tag);
	case 4:
		return tag->cache == MODEL_CACHE_INTERRUPT &&
		       (!r->g || tag->index >> r->im == r->index >> r->im);
	case 6:
		return pasid_iotlb_goes(r, tag);
	default: /* 7 */
		return tag->cache == MODEL_CACHE_PASID &&
		       (r->g == 3 || (tag->did == r->did && (r->g == 0 || tag->pasid == r->pasid)));
	}
}

/* Every entry is gone or there, as it should be; returns how many went. */
static unsigned compare(struct filled *f, const struct request *r)
{
	unsigned gone = 0, stayed = 0;

	for (unsigned c = 0; c < MODEL_CACHES; c++)
		for (unsigned i = 0; i < f->count[c]; i++) {
			const struct tag *tag = &f->tags[c][i];
			bool there = i < f->b->unit->stores[c].used &&
			             model_cache_at(f->b->unit, (enum model_cache)c, i);

			KTAP_EQUAL(there, !goes(f, r, tag));
			if (ktap_failed) {
				printf("# type %u g %u: cache %u did %u pasid %#x pgtt %u level %u "
				       "shift %u address %#llx\n",
				       r->type, r->g, c, tag->did, tag->pasid, tag->pgtt,
				       tag->level, tag->shift, (unsigned long long)tag->address);
				return 0;
			}
			gone += !there;
			stayed += there;
		}
	KTAP_CHECK(gone && stayed); /* else the comparison would say nothing */
	return gone;
}

static void descriptor(const struct request *r, uint64_t *low, uint64_t *high)
{
	uint64_t page = r->address | (uint64_t)r->ih << 6 | r->am;

	*low = r->type | (uint64_t)r->g << 4;
	*high = 0;
	switch (r->type) {
	case 1:
		*low |= (uint64_t)r->did << 16 | (uint64_t)r->sid << 32 | (uint64_t)r->fm << 48;
		break;
	case 2:
		*low |= (uint64_t)r->did << 16;
		*high = page;
		break;
	case 4:
		*low |= (uint64_t)r->im << 27 | (uint64_t)r->index << 32;
		break;
	default:
		*low |= (uint64_t)r->did << 16 | (uint64_t)r->pasid << 32;
		*high = r->type == 6 ? page : 0;
		break;
	}
}

static unsigned check(struct filled *f, struct request r)
{
	uint64_t low, high;

	fill(f);
	descriptor(&r, &low, &high);
	KTAP_CHECK(submit(f->b, low, high));
	return compare(f, &r);
}

/* ---- by descriptors -------------------------------------------------------------------- */

static void context_global(void)
{
	for (unsigned scalable = 0; scalable < 2; scalable++) {
		struct filled *f = begin(scalable, false, false);

		KTAP_EQUAL(check(f, (struct request){.type = 1, .g = 1}), 64);
		end(f);
	}
}

static void context_domain(void)
{
	struct filled *f = begin(false, false, false);

	KTAP_EQUAL(check(f, (struct request){.type = 1, .g = 2, .did = 5}), 32);
	KTAP_EQUAL(check(f, (struct request){.type = 1, .g = 2, .did = 6}), 32);
	end(f);
	f = begin(true, false, false); /* scalable: acts as global */
	KTAP_EQUAL(check(f, (struct request){.type = 1, .g = 2, .did = 5}), 64);
	end(f);
}

static void context_device(void)
{
	static const unsigned went[2][4] = {{1, 2, 2, 2}, {1, 2, 2, 4}};

	for (unsigned scalable = 0; scalable < 2; scalable++) {
		struct filled *f = begin(scalable, false, false);

		for (unsigned fm = 0; fm < 4; fm++) {
			unsigned gone = check(
				f, (struct request){
					   .type = 1, .g = 3, .did = 5, .sid = 0x18, .fm = fm});

			/* 18h and 1Ch belong to domain 5, 19h and 1Dh to domain 6 */
			KTAP_EQUAL(gone, went[scalable][fm]);
		}
		end(f);
	}
}

static void iotlb_global(void)
{
	for (unsigned scalable = 0; scalable < 2; scalable++) {
		struct filled *f = begin(scalable, false, false);

		KTAP_EQUAL(check(f, (struct request){.type = 2, .g = 1}),
		           f->count[MODEL_CACHE_IOTLB] + f->count[MODEL_CACHE_FIRST_STAGE] +
		                   f->count[MODEL_CACHE_SECOND_STAGE]);
		end(f);
	}
}

static void iotlb_domain(void)
{
	struct filled *f = begin(true, false, false);

	KTAP_EQUAL(check(f, (struct request){.type = 2, .g = 2, .did = 6}),
	           (f->count[MODEL_CACHE_IOTLB] + f->count[MODEL_CACHE_FIRST_STAGE] +
	            f->count[MODEL_CACHE_SECOND_STAGE]) /
	                   2);
	end(f);
}

static void iotlb_page(void)
{
	static const unsigned masks[] = {0, 1, 2, 9, 18, 27, 45};

	for (unsigned scalable = 0; scalable < 2; scalable++) {
		struct filled *f = begin(scalable, false, false);

		EACH(addresses, a)
		EACH(masks, m)
		for (unsigned ih = 0; ih < 2; ih++)
			check(f, (struct request){.type = 2,
			                          .g = 3,
			                          .did = 5,
			                          .am = masks[m],
			                          .address = addresses[a],
			                          .ih = ih});
		end(f);
	}
}

static void pasid_iotlb_pasid(void)
{
	struct filled *f = begin(true, false, false);

	EACH(pasids, p)
	KTAP_EQUAL(check(f, (struct request){.type = 6, .g = 2, .did = 5, .pasid = pasids[p]}),
	           (f->count[MODEL_CACHE_IOTLB] + f->count[MODEL_CACHE_FIRST_STAGE]) / 6);
	end(f);
}

static void pasid_iotlb_page(void)
{
	static const unsigned masks[] = {0, 1, 9, 18, 51, 52, 63};
	struct filled *f = begin(true, false, false);

	EACH(addresses, a)
	EACH(masks, m)
	for (unsigned ih = 0; ih < 2; ih++)
		check(f, (struct request){.type = 6,
		                          .g = 3,
		                          .did = 6,
		                          .pasid = 7,
		                          .am = masks[m],
		                          .address = addresses[a],
		                          .ih = ih});
	end(f);
}

static void pasid_cache(void)
{
	struct filled *f = begin(true, false, false);

	KTAP_EQUAL(check(f, (struct request){.type = 7, .g = 0, .did = 5, .pasid = 7}), 96);
	KTAP_EQUAL(check(f, (struct request){.type = 7, .g = 1, .did = 5, .pasid = 7}), 32);
	KTAP_EQUAL(check(f, (struct request){.type = 7, .g = 3, .did = 5, .pasid = 7}), 192);
	end(f);
}

static void interrupts(void)
{
	struct filled *f = begin(false, false, false);

	KTAP_EQUAL(check(f, (struct request){.type = 4, .g = 0}), 64);
	KTAP_EQUAL(check(f, (struct request){.type = 4, .g = 1, .index = 9}), 1);
	KTAP_EQUAL(check(f, (struct request){.type = 4, .g = 1, .index = 8, .im = 2}), 1);
	KTAP_EQUAL(check(f, (struct request){.type = 4, .g = 1, .index = 17, .im = 5}), 11);
	KTAP_EQUAL(check(f, (struct request){.type = 4, .g = 1, .index = 0, .im = 15}), 64);
	end(f);
}

static void wide_ids(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct filled *f = calloc(1, sizeof(*f));

	config.cap = (config.cap & ~UINT64_C(7)) | 2; /* 8-bit domain ids: the rest is ignored */
	config.sanitize = false;
	f->b = bench_make(&config);
	f->scalable = true;
	start(f->b, 1);
	fill(f);
	KTAP_CHECK(submit(f->b, 2 | 2 << 4 | UINT64_C(0xff05) << 16, 0));
	compare(f, &(struct request){.type = 2, .g = 2, .did = 5});
	end(f);
}

/* ---- by registers ------------------------------------------------------------------------ */

static void check_ccmd(struct filled *f, struct request r)
{
	uint64_t value = BIT(63) | (uint64_t)r.g << 61 | (uint64_t)r.fm << 32 |
	                 (uint64_t)r.sid << 16 | r.did;

	fill(f);
	w64(f->b, 0x28, value);
	KTAP_EQUAL(r64(f->b, 0x28) >> 63, 0);
	KTAP_EQUAL(r64(f->b, 0x28) >> 59 & 3, r.g);
	compare(f, &r);
}

static void check_iotlb(struct filled *f, struct request r)
{
	fill(f);
	w64(f->b, 0x500, r.address | (uint64_t)r.ih << 6 | r.am);
	w64(f->b, 0x508, BIT(63) | (uint64_t)r.g << 60 | (uint64_t)r.did << 32);
	KTAP_EQUAL(r64(f->b, 0x508) >> 63, 0);
	KTAP_EQUAL(r64(f->b, 0x508) >> 57 & 3, r.g);
	compare(f, &r);
}

static void by_ccmd(void)
{
	struct filled *f = begin(false, true, false);

	check_ccmd(f, (struct request){.type = 1, .g = 1});
	check_ccmd(f, (struct request){.type = 1, .g = 2, .did = 5});
	for (unsigned fm = 0; fm < 4; fm++)
		check_ccmd(f, (struct request){.type = 1, .g = 3, .did = 5, .sid = 0x18, .fm = fm});
	KTAP_EQUAL(model_unit_statistics(f->b->unit)->register_invalidations, 6);
	end(f);
}

static void by_iotlb(void)
{
	struct filled *f = begin(false, true, false);

	check_iotlb(f, (struct request){.type = 2, .g = 1});
	check_iotlb(f, (struct request){.type = 2, .g = 2, .did = 6});
	EACH(addresses, a)
	for (unsigned am = 0; am <= 18; am += 9)
		for (unsigned ih = 0; ih < 2; ih++)
			check_iotlb(f, (struct request){.type = 2,
			                                .g = 3,
			                                .did = 6,
			                                .am = am,
			                                .address = addresses[a],
			                                .ih = ih});
	end(f);
}

static void by_dead_registers(void)
{
	struct model_config config = *model_preset_find("client-39");
	struct filled *f = calloc(1, sizeof(*f));

	config.version = 0x60;
	f->b = bench_make(&config);
	fill(f);
	w64(f->b, 0x28, BIT(63) | BIT(61));
	w64(f->b, 0x508, BIT(63) | BIT(60));
	KTAP_EQUAL(r64(f->b, 0x28), BIT(61)); /* done, and nothing was */
	KTAP_EQUAL(r64(f->b, 0x508), BIT(60));
	KTAP_EQUAL(f->b->kinds[MODEL_REPORT_REGISTER], 2);
	for (unsigned c = 0; c < MODEL_CACHES; c++)
		KTAP_EQUAL(model_unit_statistics(f->b->unit)->caches[c].used, f->count[c]);
	end(f);
}

/* ---- more than asked ----------------------------------------------------------------------- */

static void over(void)
{
	static const struct request requests[] = {
		{.type = 1, .g = 3, .did = 5, .sid = 0x18},
		{.type = 1, .g = 1},
		{.type = 2, .g = 3, .did = 5, .address = 0x1000},
		{.type = 2, .g = 1},
		{.type = 6, .g = 3, .did = 5, .pasid = 7, .address = 0x1000},
		{.type = 7, .g = 1, .did = 5, .pasid = 7},
		{.type = 7, .g = 3},
	};
	struct filled *f = begin(true, false, true);

	EACH(requests, i)
	{
		uint64_t low, high;

		fill(f);
		descriptor(&requests[i], &low, &high);
		KTAP_CHECK(submit(f->b, low, high));
		for (unsigned c = 0; c < MODEL_CACHES; c++)
			KTAP_EQUAL(model_unit_statistics(f->b->unit)->caches[c].used,
			           c == MODEL_CACHE_INTERRUPT ? 64 : 0);
	}
	KTAP_CHECK(submit(f->b, 4 | 1 << 4 | UINT64_C(9) << 32, 0)); /* one index: all go */
	KTAP_EQUAL(model_unit_statistics(f->b->unit)->caches[MODEL_CACHE_INTERRUPT].used, 0);
	end(f);
}

static const struct ktap_case cases[] = {
	{"context cache, global", context_global},
	{"context cache, domain; in scalable mode as global", context_domain},
	{"context cache, device, each function mask", context_device},
	{"IOTLB, global", iotlb_global},
	{"IOTLB, domain", iotlb_domain},
	{"IOTLB, pages in a domain, each size, IH 0 and 1", iotlb_page},
	{"PASID IOTLB, PASID", pasid_iotlb_pasid},
	{"PASID IOTLB, pages in a PASID, each size, IH 0 and 1", pasid_iotlb_page},
	{"PASID cache, domain, PASID, global", pasid_cache},
	{"interrupt entry cache, global, index, each mask", interrupts},
	{"domain ids beyond ND are ignored in descriptors", wide_ids},
	{"CCMD, each granularity", by_ccmd},
	{"IOTLB and IVA registers, each granularity", by_iotlb},
	{"from version 6 the registers do nothing", by_dead_registers},
	{"over_invalidate: each request forgets everything", over},
};

KTAP_MAIN(cases)
