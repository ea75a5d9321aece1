/* SPDX-License-Identifier: MIT */
/*
 * One case: a request, and tables that lead it somewhere, drawn from (seed, index). Layouts
 * are those of the VT-d specification 5.10, 9.1 to 9.8. Bits that hardware ignores are
 * often set at random, rights and "fault processing disable" now and then; the case's flaw,
 * if it has one, is put in by kernel/agree_flaw.c.
 */
#include "kernel/agree_private.h"

const struct agree_family agree_families[AGREE_FAMILIES] = {
	{"legacy, 3 levels", false, AGREE_SECOND, 3},
	{"legacy, 4 levels", false, AGREE_SECOND, 4},
	{"legacy, 5 levels", false, AGREE_SECOND, 5},
	{"legacy, pass-through", false, AGREE_PASS, 0},
	{"legacy, root and context tables", false, AGREE_TABLES_ONLY, 0},
	{"scalable, second stage, 3 levels", true, AGREE_SECOND, 3},
	{"scalable, second stage, 4 levels", true, AGREE_SECOND, 4},
	{"scalable, second stage, 5 levels", true, AGREE_SECOND, 5},
	{"scalable, first stage, 4 levels", true, AGREE_FIRST, 4},
	{"scalable, first stage, 5 levels", true, AGREE_FIRST, 5},
	{"scalable, pass-through", true, AGREE_PASS, 0},
	{"scalable, root and context tables", true, AGREE_TABLES_ONLY, 0},
	{"scalable, PASID tables", true, AGREE_TABLES_ONLY, 1},
};

/* ECAP */
enum { ECAP_PT = 6, ECAP_SMTS = 43, ECAP_SSTS = 46, ECAP_FSTS = 47 };
/* CAP */
enum { CAP_SAGAW = 8, CAP_SSLPS = 34, CAP_FS1GP = 56, CAP_FS5LP = 60 };

static bool bit(uint64_t value, unsigned at)
{
	return value >> at & 1;
}

unsigned agree_mgaw(uint64_t cap)
{
	return (unsigned)AGREE_GET(cap, 21, 16) + 1;
}

bool agree_family_fits(const struct agree_family *family, uint64_t cap, uint64_t ecap)
{
	if (family->scalable && !bit(ecap, ECAP_SMTS))
		return false;
	switch (family->stage) {
	case AGREE_FIRST:
		return bit(ecap, ECAP_FSTS) && (family->levels == 4 || bit(cap, CAP_FS5LP));
	case AGREE_SECOND:
		return (!family->scalable || bit(ecap, ECAP_SSTS)) &&
		       bit(cap, CAP_SAGAW + family->levels - 2);
	case AGREE_PASS:
		return bit(ecap, ECAP_PT);
	default:
		return true;
	}
}

/* splitmix64: every pair of seed and index has a stream of its own. */
uint64_t agree_random(struct agree_case *c)
{
	uint64_t z = c->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

unsigned agree_below(struct agree_case *c, unsigned limit)
{
	return (unsigned)((agree_random(c) >> 32) * limit >> 32);
}

static bool one_in(struct agree_case *c, unsigned n)
{
	return agree_below(c, n) == 0;
}

/* ---- memory --------------------------------------------------------------------------------- */

void agree_put(const struct agree_bench *bench, uint64_t at, uint64_t value)
{
	uint64_t *word = bench->memory(bench->ctx, at, sizeof(value));

	*word = value;
	arch_write_barrier();
	arch_clean_line(word);
}

uint64_t agree_table_page(struct agree_case *c)
{
	uint64_t at = c->bench->start + (AGREE_PAGE_TABLES + c->tables++) * UINT64_C(4096);
	uint8_t *page = c->bench->memory(c->bench->ctx, at, 4096);

	memset(page, 0, 4096);
	for (unsigned i = 0; i < 4096; i += ARCH_CACHE_LINE)
		arch_clean_line(page + i);
	return at;
}

/* ---- the request ------------------------------------------------------------------------------ */

unsigned agree_width(const struct agree_case *c)
{
	unsigned width = 12 + 9 * c->levels;

	if (c->stage != AGREE_SECOND)
		return c->stage == AGREE_PASS ? c->bench->haw : width;
	return width < agree_mgaw(c->cap) ? width : agree_mgaw(c->cap);
}

static void pick_engine(struct agree_case *c, const struct agree_wish *wish)
{
	const struct agree_bench *bench = c->bench;
	const struct agree_engine *fast = NULL, *fetcher = NULL;

	for (unsigned i = 0; i < bench->engine_count; i++) {
		if (!fast || (bench->engines[i].fast && !fast->fast))
			fast = &bench->engines[i];
		if (bench->engines[i].can_fetch)
			fetcher = &bench->engines[i];
	}
	c->write = !fetcher || !one_in(c, fast->fast && !fetcher->fast ? 40 : 2);
	if (wish->has_write && (wish->write || fetcher))
		c->write = wish->write;
	c->engine = c->write ? fast : fetcher;
}

static unsigned pick_leaf(struct agree_case *c)
{
	bool two, three;

	if (c->stage == AGREE_FIRST) {
		two = true;
		three = bit(c->cap, CAP_FS1GP);
	} else {
		two = bit(c->cap, CAP_SSLPS);
		three = bit(c->cap, CAP_SSLPS + 1);
	}
	if (two && one_in(c, 4))
		return 2;
	return three && one_in(c, 4) ? 3 : 1;
}

static void pick_address(struct agree_case *c)
{
	unsigned data = agree_below(c, AGREE_DATA), shift = 12 + 9 * (c->leaf - 1);
	unsigned width = agree_width(c);
	uint64_t low;

	c->bytes = 4u << agree_below(c, 6);
	c->target = c->bench->start + (AGREE_PAGE_DATA + data) * UINT64_C(4096) +
	            agree_below(c, (4096 - c->bytes) / 4 + 1) * 4;
	if (c->stage == AGREE_PASS) {
		c->address = c->target;
		return;
	}
	low = AGREE_BIT(shift) - 1;
	c->address = (agree_random(c) & ~low) | (c->target & low);
	c->address &= AGREE_BIT(width) - 1;
	if (c->stage == AGREE_FIRST && bit(c->address, width - 1))
		c->address |= ~UINT64_C(0) << width;
	if (c->address >> 20 == 0xfee)
		c->address ^= AGREE_BIT(30);
}

/* ---- tables -------------------------------------------------------------------------------------- */

/* (Accessed and dirty flags count only with SSADE, which these cases do not set.) */
static uint64_t ignored_second(unsigned level)
{
	uint64_t mask = AGREE_BIT(63) | AGREE_MASK(61, 52) | AGREE_MASK(10, 8) | AGREE_BIT(2);

	mask |= level == 1 ? AGREE_MASK(7, 3) : AGREE_MASK(6, 3);
	return mask;
}

static uint64_t ignored_first(unsigned level, bool leaf)
{
	uint64_t mask = AGREE_MASK(63, 52) | AGREE_MASK(11, 8) | AGREE_MASK(4, 3);

	if (!leaf)
		mask |= AGREE_BIT(6);
	else
		mask |= level == 1 ? AGREE_BIT(7) : AGREE_BIT(12);
	return mask;
}

static void build_second(struct agree_case *c, unsigned level, bool noise, bool plain)
{
	uint64_t *entry = &c->entry[level];

	*entry = 3;
	if (!plain && one_in(c, 12))
		*entry = 1 + agree_below(c, 2);
	if (noise)
		*entry |= agree_random(c) & ignored_second(level);
	if (level == c->leaf && level > 1)
		*entry |= AGREE_BIT(7);
}

static void build_first(struct agree_case *c, unsigned level, bool noise, bool plain)
{
	uint64_t *entry = &c->entry[level];
	bool leaf = level == c->leaf;

	*entry = 0x27; /* present, writable, user, accessed */
	if (leaf)
		*entry |= AGREE_BIT(6);
	if (!plain && one_in(c, 12))
		*entry &= ~UINT64_C(2);
	if (!plain && one_in(c, 30))
		*entry &= ~UINT64_C(4);
	if (noise)
		*entry |= agree_random(c) & ignored_first(level, leaf);
	if (leaf && level > 1)
		*entry |= AGREE_BIT(7);
}

static void build_pages(struct agree_case *c, bool noise, bool plain)
{
	uint64_t table = agree_table_page(c);

	c->top = table;
	for (unsigned level = c->levels; level >= c->leaf; level--) {
		assume(level >= 1 && level <= 5);
		unsigned shift = 12 + 9 * (level - 1);

		c->entry_at[level] = table + (c->address >> shift & 511) * 8;
		if (c->stage == AGREE_FIRST)
			build_first(c, level, noise, plain);
		else
			build_second(c, level, noise, plain);
		if (level > c->leaf) {
			table = agree_table_page(c);
			c->entry[level] |= table;
		} else {
			c->entry[level] |= c->target & AGREE_MASK(63, shift);
		}
	}
}

static unsigned largest_width(uint64_t cap)
{
	unsigned sagaw = (unsigned)AGREE_GET(cap, 12, 8);

	return sagaw & 8 ? 3 : sagaw & 4 ? 2 : 1;
}

static void build_legacy(struct agree_case *c, bool noise)
{
	unsigned aw = c->stage == AGREE_PASS ? largest_width(c->cap) : c->levels - 2;

	c->context[0] = 1 | (uint64_t)c->fpd << 1;
	if (c->stage == AGREE_PASS)
		c->context[0] |= 2 << 2;
	else
		c->context[0] |= c->top;
	c->context[1] = aw | (uint64_t)c->did << 8;
	if (noise)
		c->context[1] |= agree_random(c) & AGREE_MASK(6, 3);
}

static void build_scalable(struct agree_case *c, bool noise)
{
	static const uint8_t types[] = {[AGREE_FIRST] = 1, [AGREE_SECOND] = 2, [AGREE_PASS] = 4};
	uint64_t directory = agree_table_page(c), table = agree_table_page(c);
	unsigned which = agree_below(c, 3);

	c->context[0] = 1 | directory | (uint64_t)(c->fpd && which == 0) << 1;
	c->context[0] |= (uint64_t)agree_below(c, 8) << 9; /* PDTS */
	c->directory_at = directory;
	c->directory = 1 | table | (uint64_t)(c->fpd && which == 1) << 1;
	c->pasid_at = table;
	c->pasid[0] = 1 | (uint64_t)(c->fpd && which == 2) << 1 | (uint64_t)types[c->stage] << 6;
	c->pasid[1] = c->did;
	if (c->stage == AGREE_SECOND)
		c->pasid[0] |= c->top | (uint64_t)(c->levels - 2) << 2;
	if (c->stage == AGREE_FIRST)
		c->pasid[2] = c->top | (c->levels == 5 ? 1 << 2 : 0);
	/* AW is ignored but where there is a second stage; emulators read it all the same. */
	if (c->stage != AGREE_SECOND)
		c->pasid[0] |= (uint64_t)(c->stage == AGREE_FIRST ? 2 : largest_width(c->cap)) << 2;
	if (noise)
		c->pasid[2] |= agree_random(c) & AGREE_MASK(6, 5);
}

static void build_root(struct agree_case *c)
{
	assume(c->engine); /* a bench has one that stores, at least */
	unsigned bus = c->engine->requester >> 8, devfn = c->engine->requester & 0xff;
	uint64_t table;

	c->root_table = agree_table_page(c);
	table = agree_table_page(c);
	c->root_at = c->root_table + bus * 16;
	if (!c->family->scalable) {
		c->root[0] = table | 1;
		c->context_at = table + devfn * 16;
		return;
	}
	c->root[devfn >= 0x80] = table | 1;
	c->context_at = table + (devfn & 0x7f) * 32;
}

static void put_words(const struct agree_bench *bench, uint64_t at, const uint64_t *words,
                      unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		agree_put(bench, at + i * 8, words[i]);
}

static void write_all(struct agree_case *c)
{
	put_words(c->bench, c->root_at, c->root, 2);
	put_words(c->bench, c->context_at, c->context, c->family->scalable ? 4 : 2);
	if (c->directory_at)
		put_words(c->bench, c->directory_at, &c->directory, 1);
	if (c->pasid_at)
		put_words(c->bench, c->pasid_at, c->pasid, 8);
	for (unsigned level = c->levels; level && level >= c->leaf; level--) {
		agree_put(c->bench, c->entry_at[level], c->entry[level]);
		/* The neighbour leads elsewhere: a wrong index is seen. */
		if (level == 1)
			agree_put(c->bench, c->entry_at[1] ^ 8,
			          (c->bench->start + AGREE_PAGE_DATA * UINT64_C(4096)) | 0x67);
	}
}

/* What the requests of a family whose subject is the tables above go through. */
static void pick_stage(struct agree_case *c)
{
	enum agree_stage order[3];
	unsigned count = 0;
	bool scalable = c->family->scalable;

	c->stage = c->family->stage;
	c->levels = c->family->levels;
	if (c->stage != AGREE_TABLES_ONLY)
		return;
	if (!scalable || bit(c->ecap, ECAP_SSTS))
		order[count++] = AGREE_SECOND;
	if (scalable && bit(c->ecap, ECAP_FSTS))
		order[count++] = AGREE_FIRST;
	if (bit(c->ecap, ECAP_PT))
		order[count++] = AGREE_PASS;
	c->stage = count ? order[agree_below(c, count)] : AGREE_PASS;
	c->levels = c->stage == AGREE_PASS    ? 0
	            : c->stage == AGREE_FIRST ? 4
	                                      : largest_width(c->cap) + 2;
}

static void pick_flaw(struct agree_case *c, const struct agree_wish *wish)
{
	if (wish->has_flaw) {
		c->flaw = wish->flaw;
		return;
	}
	c->flaw = FLAW_NONE;
	if (one_in(c, 2))
		return;
	for (unsigned tries = 0; tries < 200; tries++) {
		c->flaw = (enum agree_flaw)(1 + agree_below(c, FLAWS - 1));
		if (agree_flaw_fits(c, c->flaw))
			return;
	}
	c->flaw = FLAW_NONE;
}

void agree_case_build(struct agree_case *c, const struct agree_wish *wish)
{
	bool noise, plain;

	c->random = c->seed * UINT64_C(0xd1342543de82ef95) ^
	            (c->index + UINT64_C(1)) * UINT64_C(0xaf251af3b0f025b5);
	pick_engine(c, wish);
	pick_stage(c);
	c->leaf = c->levels ? pick_leaf(c) : 1;
	c->did = (uint16_t)(1 + agree_below(c, (1u << (4 + 2 * (c->cap & 7))) - 1));
	c->fpd = wish->fpd || (!wish->plain && one_in(c, 10));
	noise = !wish->plain && one_in(c, 3);
	plain = wish->plain || !one_in(c, 3);
	pick_address(c);
	c->tables = agree_below(c, 4); /* tables do not always lie at the same place */
	build_root(c);
	if (c->levels)
		build_pages(c, noise, plain);
	if (wish->rights) {
		unsigned level = c->leaf + agree_below(c, c->levels - c->leaf + 1);
		c->entry[level] &= ~(c->write ? UINT64_C(2) : UINT64_C(1));
	}
	if (c->family->scalable)
		build_scalable(c, noise);
	else
		build_legacy(c, noise);
	pick_flaw(c, wish);
	agree_flaw_apply(c);
	write_all(c);
	c->changes = c->flaw == FLAW_NONE && c->levels && !wish->plain && one_in(c, 3);
}

void agree_case_change(struct agree_case *c)
{
	uint64_t *leaf = &c->entry[c->leaf];
	unsigned kinds = c->leaf == 1 ? 3 : 2;
	bool first = c->stage == AGREE_FIRST;

	switch (agree_below(c, kinds)) {
	case 0:
		*leaf = 0;
		c->change = "leaf removed";
		break;
	case 1:
		*leaf ^= 2;
		c->change = "leaf's write permission changed";
		break;
	default:
		*leaf &= ~AGREE_MASK(51, 12);
		c->target = c->bench->start +
		            (AGREE_PAGE_DATA + agree_below(c, AGREE_DATA)) * UINT64_C(4096) +
		            (c->target & 0xfff);
		*leaf |= c->target & AGREE_MASK(51, 12);
		c->change = "leaf leads elsewhere";
		break;
	}
	if (first && *leaf)
		*leaf |= 0x60; /* flags that need not be set by the unit */
	c->scope = (enum agree_scope)agree_below(c, 3);
	agree_put(c->bench, c->entry_at[c->leaf], *leaf);
}
