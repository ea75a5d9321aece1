/* SPDX-License-Identifier: MIT */
/*
 * The model against a slow, straightforward walker, written here from sections 3.6 to 3.8:
 * random tables (second stage, first stage, nested; every depth; large pages; entries
 * with reserved bits, without rights, with addresses too wide), random requests. Result,
 * fault reason, rights, page size and every flag in memory must agree, with caches and
 * without. The sanitizer must stay silent: nothing changes under the unit.
 */
#include "tests/unit/model_scalable.h"

/* Second-stage tables, pages for everything else, and where large pages lead. */
enum {
	POOL = 0x50000,
	LEAVES = 0x120000,
	LEAVES_END = 0x200000,
	BIG = 0x200000,
	HUGE = 0x40000000
};
enum { UNITS = 60, REQUESTS = 120 };

/* The few places of a table that are used, so that addresses hit them. */
static const unsigned places[] = {0, 1, 2, 255, 256, 511};

struct world {
	struct bench *b;
	uint8_t memory[BENCH_BYTES]; /* the reference's own */
	uint64_t random, pool;
	unsigned pgtt, first_levels, second_levels;
	bool ssade, eafe, wpe, pwsnp;
	uint64_t first_root;
	unsigned tables;
};

struct outcome {
	uint8_t fault;
	uint64_t address;
	bool read, write, snoop;
	unsigned shift;
};

static uint64_t next(struct world *w)
{
	w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return w->random >> 33;
}

static bool chance(struct world *w, unsigned percent)
{
	return next(w) % 100 < percent;
}

/* ---- the reference ------------------------------------------------------------------- */

static bool load(const struct world *w, uint64_t at, uint64_t *value)
{
	if (at > BENCH_BYTES - 8)
		return false;
	memcpy(value, w->memory + at, 8);
	return true;
}

static void save(struct world *w, uint64_t at, uint64_t value)
{
	memcpy(w->memory + at, &value, 8);
}

static unsigned index_of(uint64_t address, unsigned level)
{
	return address >> (12 + 9 * (level - 1)) & 511;
}

static uint64_t address_field(uint64_t entry, unsigned shift)
{
	return entry & (BIT(52) - 1) & ~(BIT(shift) - 1);
}

/* The second stage of `address`; marks what must be marked. */
static uint8_t second(struct world *w, uint64_t address, bool read, bool write, bool dirty,
                      struct outcome *out)
{
	uint64_t table = TABLES, entry;
	bool may_read = true, may_write = true;

	for (unsigned level = w->second_levels;; level--) {
		uint64_t at = table + index_of(address, level) * 8, marks = 0, size, reserved;
		bool leaf;

		if (!load(w, at, &entry))
			return level == w->second_levels ? 0x7b : 0x78;
		if (!(entry & 3))
			return 0x79;
		leaf = level == 1 || (level < 4 && (entry & 0x80));
		size = BIT(12 + 9 * (level - 1));
		reserved = BIT(62) | (level > 3 ? 0x80 : 0) | (leaf ? 0 : 0x800) |
		           (leaf ? (size - 1) & ~UINT64_C(0xfff) : 0);
		if (entry & reserved)
			return 0x7a;
		may_read = may_read && (entry & 1);
		may_write = may_write && (entry & 2);
		if (!may_read && !may_write)
			return 0x79;
		if (!leaf || ((may_read || !read) && (may_write || !write)))
			marks = 0x100 | (leaf && dirty && may_write ? 0x200 : 0);
		if (w->ssade && (entry & marks) != marks) {
			if (!w->pwsnp)
				return 0x7c;
			entry |= marks;
			save(w, at, entry);
		}
		if (leaf) {
			out->address =
				address_field(entry, 12 + 9 * (level - 1)) | (address & (size - 1));
			out->read = may_read;
			out->write = may_write;
			out->snoop = entry & 0x800;
			out->shift = 12 + 9 * (level - 1);
			return 0;
		}
		table = address_field(entry, 12);
	}
}

static uint8_t mark_first(struct world *w, uint64_t at, uint64_t entry, uint64_t marks,
                          bool allowed)
{
	if ((entry & marks) == marks)
		return 0;
	if (!w->pwsnp)
		return 0x90;
	if (!allowed)
		return 0x77;
	save(w, at, entry | marks);
	return 0;
}

static uint8_t first(struct world *w, uint64_t address, const struct model_request *request,
                     bool read, bool write, bool dirty, struct outcome *out)
{
	uint64_t table = w->first_root, seen = 0x20 | (w->eafe ? 0x400 : 0);
	unsigned width = 12 + 9 * w->first_levels;
	uint64_t sign = ~UINT64_C(0) << (width - 1);
	bool may_write = true, user = true;

	if ((address & sign) && (address & sign) != sign)
		return 0x80;
	for (unsigned level = w->first_levels;; level--) {
		struct outcome host = {.address = table, .write = true};
		uint64_t at, entry, size = BIT(12 + 9 * (level - 1));
		bool top = level == w->first_levels, leaf;
		uint8_t fault;

		if (w->pgtt == NESTED) {
			fault = second(w, table, true, w->ssade, w->ssade, &host);
			if (fault)
				return fault;
			if (!host.read || (w->ssade && !host.write))
				return top ? 0x75 : 0x76;
		}
		at = host.address + index_of(address, level) * 8;
		if (!load(w, at, &entry))
			return top ? 0x73 : 0x70;
		if (!(entry & 1))
			return 0x71;
		leaf = level == 1 || (level < 4 && (entry & 0x80));
		if ((level > 3 && (entry & 0x80)) ||
		    (leaf && (entry & (size - 1) & ~UINT64_C(0x1fff))))
			return 0x72;
		if (w->pgtt == NESTED && address_field(entry, 12) >> (12 + 9 * w->second_levels))
			return 0x74;
		may_write = may_write && (entry & 2);
		user = user && (entry & 4);
		if (!leaf) {
			fault = mark_first(w, at, entry, seen, host.write);
			if (fault)
				return fault;
			table = address_field(entry, 12);
			continue;
		}
		if (!request->privileged && !user)
			return 0x81;
		*out = (struct outcome){.address = address_field(entry, 12 + 9 * (level - 1)) |
		                                   (address & (size - 1)),
		                        .read = true,
		                        .write = may_write || (request->privileged && !w->wpe),
		                        .shift = 12 + 9 * (level - 1)};
		if (w->pgtt == NESTED) {
			struct outcome inner = *out;

			fault = second(w, inner.address, read, write, dirty && inner.write, out);
			if (fault)
				return fault;
			out->read = out->read && inner.read;
			out->write = out->write && inner.write;
			out->shift = out->shift < inner.shift ? out->shift : inner.shift;
		}
		if ((read && !out->read) || (write && !out->write))
			return 0; /* refused later; the page is not marked */
		return mark_first(w, at, entry, seen | (dirty && out->write ? 0x40 : 0),
		                  host.write);
	}
}

static struct outcome reference(struct world *w, const struct model_request *request)
{
	struct outcome out = {0};
	bool ask = request->kind == MODEL_TRANSLATION;
	bool write = !ask && request->access != MODEL_READ;
	bool read = !ask && request->access != MODEL_WRITE;
	bool dirty = ask ? !request->no_write : write;

	if (w->pgtt != SECOND_STAGE)
		out.fault = first(w, request->address, request, read, write, dirty, &out);
	else if (request->address >> (12 + 9 * w->second_levels))
		out.fault = 0x84;
	else
		out.fault = second(w, request->address, read, write, dirty, &out);
	if (!out.fault && write && !out.write)
		out.fault = 0x85;
	if (!out.fault && read && !out.read)
		out.fault = 0x86;
	return out;
}

/* ---- random tables --------------------------------------------------------------------- */

static uint64_t page(struct world *w)
{
	return LEAVES + next(w) % ((LEAVES_END - LEAVES) >> 12) * 0x1000;
}

static uint64_t random_address(struct world *w, unsigned levels)
{
	uint64_t address = 0;

	for (unsigned level = 1; level <= levels; level++)
		address |= (uint64_t)places[next(w) % (level == 1 ? 6 : 3)]
		           << (12 + 9 * (level - 1));
	return address;
}

static void second_table(struct world *w, uint64_t table, unsigned level)
{
	for (unsigned i = 0; i < (level == 1 ? 6 : 3); i++) {
		uint64_t entry = chance(w, 85) ? 3 : next(w) & 3;
		bool large = (level == 2 || level == 3) && chance(w, 20);

		if (chance(w, 2))
			entry |= BIT(62);
		if (chance(w, 1))
			entry |= level > 3 ? 0x80 : level > 1 ? 0x800 : BIT(62);
		entry |= next(w) & 1 ? BIT(52) | BIT(10) : 0; /* ignored */
		if (level == 1) {
			entry |= page(w) | (chance(w, 10) ? 0x800 : 0);
		} else if (large) {
			entry |= 0x80 | (level == 2 ? BIG : HUGE);
		} else if (w->pool < LEAVES) {
			uint64_t below = w->pool;

			w->pool += 0x1000;
			entry |= below;
			second_table(w, below, level - 1);
		} else {
			entry = 0;
		}
		put(w->b, table + places[i] * 8, entry);
		save(w, table + places[i] * 8, entry);
	}
}

/* Where a first-stage table may lie. */
static uint64_t table_address(struct world *w)
{
	return w->pgtt == NESTED ? random_address(w, w->second_levels) : page(w);
}

/* The host address of a first-stage table, without marks; 0 if there is none. */
static uint64_t host_of(struct world *w, uint64_t guest)
{
	bool ssade = w->ssade;
	struct outcome out = {.address = guest};
	uint8_t fault = 0;

	w->ssade = false;
	if (w->pgtt == NESTED)
		fault = second(w, guest, true, false, false, &out);
	w->ssade = ssade;
	return fault || out.address >= BENCH_BYTES ? 0 : out.address;
}

static void first_table(struct world *w, uint64_t guest, unsigned level)
{
	uint64_t table = host_of(w, guest);

	if (!table)
		return;
	w->tables++;
	for (unsigned i = 0; i < (level == 1 ? 6 : 3); i++) {
		uint64_t entry = 1 | (chance(w, 85) ? 2 : 0) | (chance(w, 85) ? 4 : 0);
		bool large = (level == 2 || level == 3) && chance(w, 20);
		uint64_t below = level == 1 && w->pgtt != NESTED ? next(w) << 12 & 0x7ffffff000
		                                                 : table_address(w);

		entry = chance(w, 3) ? entry & ~UINT64_C(1) : entry;
		entry |= next(w) & 1 ? BIT(60) | BIT(9) | BIT(8) : 0; /* ignored */
		if (chance(w, 1) && level > 3)
			entry |= 0x80;
		if (chance(w, 2) && w->second_levels < 5)
			below |= BIT(12 + 9 * w->second_levels);
		if (large)
			below &= ~(BIT(12 + 9 * (level - 1)) - 1) | (chance(w, 3) ? BIT(14) : 0);
		put(w->b, table + places[i] * 8, entry | below | (large ? 0x80 : 0));
		save(w, table + places[i] * 8, entry | below | (large ? 0x80 : 0));
		if (level > 1 && !large && (entry & 1) && w->tables < 300)
			first_table(w, below, level - 1);
	}
}

static void build(struct world *w, uint64_t seed, bool cached)
{
	struct model_config config = *model_preset_find("nesting");

	memset(w, 0, sizeof(*w));
	w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	w->pool = POOL;
	config.policy = !cached    ? MODEL_POLICY_NONE
	                : seed % 2 ? MODEL_POLICY_KEEP
	                           : MODEL_POLICY_RANDOM;
	config.seed = seed;
	w->b = bench_make(&config);
	next(w);
	w->pgtt = 1 + next(w) % 4;
	w->pgtt = w->pgtt == PASS ? NESTED : w->pgtt;
	w->first_levels = 4 + next(w) % 2;
	w->second_levels = 3 + next(w) % 3;
	w->ssade = next(w) & 1;
	w->eafe = next(w) & 1;
	w->wpe = next(w) & 1;
	w->pwsnp = chance(w, 85);
	if (w->pgtt != FIRST_STAGE)
		second_table(w, TABLES, w->second_levels);
	for (unsigned tries = 0; tries < 20; tries++) {
		w->first_root = table_address(w);
		if (host_of(w, w->first_root))
			break;
	}
	if (w->pgtt != SECOND_STAGE)
		first_table(w, w->first_root, w->first_levels);
	scalable_context(w->b);
	for (uint32_t pasid = 0; pasid < 8; pasid += 7) {
		put(w->b, pasid_at(pasid),
		    TABLES | (w->second_levels - 2) << 2 | w->pgtt << 6 | 1 |
		            (w->ssade && w->pgtt != FIRST_STAGE ? SSADE : 0));
		put(w->b, pasid_at(pasid) + 8, DID | (w->pwsnp ? PWSNP : 0));
		put(w->b, pasid_at(pasid) + 16,
		    w->first_root | (w->first_levels - 4) << 2 | SRE | (w->wpe ? WPE : 0) |
		            (w->eafe ? EAFE : 0));
	}
	start(w->b, SCALABLE_MODE);
	memcpy(w->memory, w->b->cpu, BENCH_BYTES);
}

static struct model_request random_request(struct world *w)
{
	unsigned levels = w->pgtt == SECOND_STAGE ? w->second_levels : w->first_levels;
	struct model_request request = {
		.kind = chance(w, 20) ? MODEL_TRANSLATION : MODEL_UNTRANSLATED,
		.access = (enum model_access)(next(w) % 3),
		.requester = DEVICE,
		.no_write = chance(w, 30),
		.bytes = 8,
	};

	request.has_pasid = next(w) & 1;
	request.pasid = request.has_pasid ? 7 : 0;
	request.privileged = request.has_pasid && (next(w) & 1);
	request.address = random_address(w, levels) | (next(w) & 0xff8);
	if (chance(w, 5))
		request.address ^= BIT(next(w) % 64) & ~UINT64_C(7);
	return request;
}

struct tally {
	unsigned good, faults, hits, reasons[256];
};

static void compare(struct world *w, const struct model_request *request, struct tally *tally)
{
	struct outcome wanted = reference(w, request);
	struct model_result got = ask(w->b, request);

	KTAP_EQUAL(got.fault, wanted.fault);
	if (!wanted.fault && !got.fault) {
		KTAP_EQUAL(got.response, MODEL_SUCCESS);
		KTAP_EQUAL(got.address, wanted.address);
		KTAP_EQUAL(got.page_bytes, BIT(wanted.shift));
		KTAP_EQUAL(got.read, wanted.read);
		KTAP_EQUAL(got.write, wanted.write);
		KTAP_EQUAL(got.no_snoop, wanted.snoop);
		KTAP_EQUAL(got.privileged, request->privileged);
	}
	tally->good += !wanted.fault;
	tally->faults += wanted.fault > 0;
	tally->hits += got.cached;
	tally->reasons[wanted.fault]++;
}

static void run(bool cached, struct tally *tally)
{
	static struct world w;

	for (uint64_t seed = 1; seed <= UNITS && !ktap_failed; seed++) {
		build(&w, seed, cached);
		for (unsigned i = 0; i < REQUESTS && !ktap_failed; i++) {
			struct model_request request = random_request(&w);

			compare(&w, &request, tally);
			if (i % 20 == 19)
				KTAP_CHECK(!memcmp(w.memory + TABLES, w.b->cpu + TABLES,
				                   BENCH_BYTES - TABLES));
			if (ktap_failed)
				printf("# seed %u, request %u, type %u, address %#llx\n",
				       (unsigned)seed, i, w.pgtt,
				       (unsigned long long)request.address);
		}
		KTAP_EQUAL(w.b->kinds[MODEL_REPORT_STALE], 0);
		KTAP_EQUAL(w.b->kinds[MODEL_REPORT_STRUCTURE], 0);
		KTAP_EQUAL(model_sanitizer_check(w.b->unit), 0);
		bench_end(w.b);
	}
}

/* The tables were worth walking: enough of everything has happened. */
static void worth(const struct tally *tally)
{
	static const uint8_t met[] = {0x71, 0x72, 0x74, 0x76, 0x79, 0x7a, 0x7c,
	                              0x80, 0x81, 0x84, 0x85, 0x86, 0x90};

	printf("# %u translated, %u refused, %u from the IOTLB\n", tally->good, tally->faults,
	       tally->hits);
	KTAP_CHECK(tally->good > UNITS * REQUESTS / 6);
	KTAP_CHECK(tally->faults > UNITS * REQUESTS / 6);
	for (unsigned i = 0; i < sizeof(met); i++) {
		if (!tally->reasons[met[i]])
			printf("# reason %#x was not met\n", met[i]);
		KTAP_CHECK(tally->reasons[met[i]] > 0);
	}
}

static void without_caches(void)
{
	struct tally tally = {0};

	run(false, &tally);
	worth(&tally);
	KTAP_EQUAL(tally.hits, 0);
}

static void with_caches(void)
{
	struct tally tally = {0};

	run(true, &tally);
	worth(&tally);
	KTAP_CHECK(tally.hits > 100);
}

static const struct ktap_case cases[] = {
	{"random tables, nothing cached", without_caches},
	{"random tables, with caches that keep or drop at random", with_caches},
};

KTAP_MAIN(cases)
