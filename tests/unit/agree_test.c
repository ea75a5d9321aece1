/* SPDX-License-Identifier: MIT */
/*
 * The agreement test, tested: one model as the unit against another as the model. Equal
 * units agree; a unit that is wrong in one way is caught; a unit without QEMU's deviations
 * does not pass for QEMU; what a case is follows from seed and index.
 */
#include "kernel/agree_private.h"
#include "tests/ktap.h"

#include <string.h>

#define START     UINT64_C(0x40000000)
#define REQUESTER 0x0090

enum wrong {
	RIGHT,
	WRITES_BLOCKED, /* the device writes whatever the unit says */
	WRITES_BESIDE,  /* ... one word too far */
	WRITES_SHORT,
	READS_BESIDE,
	FORGETS_NOTHING, /* page and domain invalidations are dropped */
	OTHER_WIDTH,     /* thinks that addresses are one bit wider than they are */
	RECORDS_READS,   /* every fault is recorded as a read */
	DIRTIES_TABLES,  /* writes into a table */
	STANDS_STILL,    /* TE never rises */
	ENGINE_DIES,
};

struct bench {
	struct agree_bench agree;
	struct agree_engine engine;
	struct iommu_print print;
	uint8_t *arena;
	struct model_unit *unit;
	enum wrong wrong;
	uint32_t buffer[64];
	uint64_t now;
	char text[1 << 20];
	size_t length;
	unsigned drops;
};

static void *memory(void *ctx, uint64_t address, uint64_t bytes)
{
	struct bench *b = ctx;

	if (address < START || address >= START + AGREE_BYTES ||
	    bytes > START + AGREE_BYTES - address)
		return NULL;
	return b->arena + (address - START);
}

static bool unit_read(void *ctx, uint64_t address, void *out, size_t bytes, bool snooped)
{
	const void *from = memory(ctx, address, bytes);

	(void)snooped;
	if (from)
		memcpy(out, from, bytes);
	return from;
}

static bool unit_write(void *ctx, uint64_t address, const void *in, size_t bytes, bool snooped)
{
	void *to = memory(ctx, address, bytes);

	(void)snooped;
	if (to)
		memcpy(to, in, bytes);
	return to;
}

static enum model_swap unit_swap(void *ctx, uint64_t address, uint64_t expected, uint64_t desired)
{
	uint64_t *word = memory(ctx, address, 8);

	if (!word)
		return MODEL_SWAP_FAILED;
	if (*word != expected)
		return MODEL_SWAP_CHANGED;
	*word = desired;
	return MODEL_SWAP_DONE;
}

static uint64_t register_read(void *ctx, uint32_t offset, unsigned width)
{
	struct bench *b = ctx;
	uint64_t value = model_read(b->unit, offset, width);
	uint64_t records = (model_read(b->unit, 8, 8) >> 24 & 0x3ff) * 16;

	if (b->wrong == STANDS_STILL && offset == 0x1c)
		value &= 0x7fffffff;
	if (b->wrong == RECORDS_READS && offset == records + 8 && value >> 63)
		value |= UINT64_C(1) << 62;
	return value;
}

static void register_write(void *ctx, uint32_t offset, unsigned width, uint64_t value)
{
	struct bench *b = ctx;

	/* A page or domain request becomes a wait without a status write. */
	if (b->wrong == FORGETS_NOTHING && offset == 0x88)
		for (unsigned at = 0; at < 4096; at += 16) {
			uint64_t *slot = memory(b, START + at, 16);
			unsigned type = slot[0] & 15, kind = slot[0] >> 4 & 3;
			if (type == 2 && kind > 1) {
				slot[0] = 5 | 1 << 5 | (uint64_t)7 << 32;
				slot[1] = START + 4096 + 64;
				b->drops++;
			}
		}
	model_write(b->unit, offset, width, value);
}

static const struct mmio_ops registers = {.read = register_read, .write = register_write};

static uint64_t now(void *ctx)
{
	struct bench *b = ctx;
	return b->now += 1000000;
}

static void *object_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return calloc(1, bytes);
}

static void object_free(void *ctx, void *object, size_t bytes)
{
	(void)ctx, (void)bytes;
	free(object);
}

static void out(struct iommu_print *self, const char *text, size_t bytes)
{
	struct bench *b = self->ctx;

	if (bytes > sizeof(b->text) - 1 - b->length)
		bytes = sizeof(b->text) - 1 - b->length;
	memcpy(b->text + b->length, text, bytes);
	b->length += bytes;
}

static int transfer(struct bench *b, uint64_t address, uint32_t bytes, bool write)
{
	const struct model_request request = {
		.access = write ? MODEL_WRITE : MODEL_READ,
		.requester = REQUESTER,
		.address = address,
		.bytes = bytes,
		.data = b->buffer[0],
	};
	struct model_result result;
	bool good = model_dma(b->unit, &request, &result);
	uint64_t at = result.address;

	if (b->wrong == ENGINE_DIES)
		return -ETIMEDOUT;
	if (b->wrong == DIRTIES_TABLES && good && result.page_bytes > 4096)
		*(uint64_t *)memory(b, START + AGREE_PAGE_TABLES * 4096, 8) ^= 0x1000;
	if (!good && b->wrong == WRITES_BLOCKED && write) {
		good = true;
		at = START + AGREE_PAGE_DATA * 4096;
	}
	if (!good || result.interrupt)
		return good ? 0 : -EIO;
	if ((write && b->wrong == WRITES_BESIDE) || (!write && b->wrong == READS_BESIDE))
		at += 4;
	if (write && b->wrong == WRITES_SHORT)
		bytes -= 4;
	void *place = memory(b, at, bytes);
	if (place && write)
		memcpy(place, b->buffer, bytes);
	else if (place)
		memcpy(b->buffer, place, bytes);
	return 0;
}

static int fetch(void *ctx, uint64_t address, uint32_t bytes)
{
	return transfer(ctx, address, bytes, false);
}

static int store(void *ctx, uint64_t address, uint32_t bytes)
{
	return transfer(ctx, address, bytes, true);
}

static struct bench *bench_make(const char *preset, enum wrong wrong)
{
	const struct model_config *config = model_preset_find(preset);
	struct model_config shape = *config;
	struct bench *b = calloc(1, sizeof(*b));
	const struct model_hooks hooks = {
		.context = b,
		.memory = {unit_read, unit_write, unit_swap},
	};

	shape.sanitize = false;
	if (wrong == OTHER_WIDTH)
		shape.haw++;
	b->wrong = wrong;
	b->arena = aligned_alloc(4096, AGREE_BYTES);
	memset(b->arena, 0, AGREE_BYTES);
	b->unit = model_unit_init(aligned_alloc(16, (model_unit_bytes(&shape) + 15) & ~15ul),
	                          model_unit_bytes(&shape), &shape, &hooks);
	b->print = (struct iommu_print){.write = out, .ctx = b};
	b->engine = (struct agree_engine){
		.name = "test",
		.requester = REQUESTER,
		.can_fetch = true,
		.fast = true,
		.ctx = b,
		.fetch = fetch,
		.store = store,
	};
	b->agree = (struct agree_bench){
		.ctx = b,
		.unit = {.bytes = 4096, .ops = &registers, .ctx = b},
		.haw = config->haw,
		.start = START,
		.hole = UINT64_C(3) << (config->haw - 2),
		.memory = memory,
		.now_ns = now,
		.alloc = object_alloc,
		.free = object_free,
		.engines = &b->engine,
		.engine_count = 1,
		.out = &b->print,
	};
	return b;
}

static void bench_end(struct bench *b)
{
	free(b->unit);
	free(b->arena);
	free(b);
}

static struct agree_totals run(struct bench *b, uint32_t count, bool *good)
{
	const struct agree_options options = {.seed = 5, .count = count};
	struct agree_totals totals;

	*good = agree_run(&b->agree, &options, &totals);
	return totals;
}

/* ---- cases ------------------------------------------------------------------------------------ */

static void equal_units(void)
{
	static const char *const presets[] = {
		"qemu-7.2",        "qemu-11.1-scalable", "qemu-11.1-first", "cascade-lake",
		"sapphire-rapids", "meteor-lake",        "nesting",         "client-39",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(presets); i++) {
		struct bench *b = bench_make(presets[i], RIGHT);
		bool good;
		struct agree_totals totals = run(b, 600, &good);

		KTAP_EQUAL(totals.cases, 600);
		KTAP_EQUAL(totals.differences, 0);
		KTAP_EQUAL(totals.deviations, 0);
		KTAP_CHECK(totals.moved > 150 && totals.faulted > 150);
		KTAP_CHECK(strstr(b->text, "ok 1 - legacy") && !strstr(b->text, "not ok 1 "));
		KTAP_CHECK(strstr(b->text, "the registers were used as the specification asks\n"));
		/* It keeps to the specification, hence it is not QEMU: no deviation shows. */
		KTAP_CHECK(!good && strstr(b->text, "NOT shown"));
		if (ktap_failed) {
			printf("# preset %s\n", presets[i]);
			fwrite(b->text, 1, b->length > 4000 ? 4000 : b->length, stdout);
			bench_end(b);
			return;
		}
		bench_end(b);
	}
}

static void wrong_units(void)
{
	static const enum wrong wrongs[] = {
		WRITES_BLOCKED,  WRITES_BESIDE, WRITES_SHORT,  READS_BESIDE,
		FORGETS_NOTHING, OTHER_WIDTH,   RECORDS_READS, DIRTIES_TABLES,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wrongs); i++) {
		struct bench *b = bench_make("cascade-lake", wrongs[i]);
		bool good;
		struct agree_totals totals = run(b, 400, &good);

		KTAP_CHECK(!good);
		KTAP_CHECK(totals.differences > 0);
		KTAP_CHECK(strstr(b->text, "DIFFERENT") && strstr(b->text, "not ok 1 - legacy"));
		KTAP_CHECK(wrongs[i] != FORGETS_NOTHING || b->drops);
		if (ktap_failed)
			printf("# wrong unit %u\n", (unsigned)wrongs[i]);
		bench_end(b);
	}
}

static void dead_units(void)
{
	struct bench *b = bench_make("cascade-lake", STANDS_STILL);
	bool good;
	struct agree_totals totals = run(b, 50, &good);

	KTAP_CHECK(!good && !totals.cases);
	KTAP_CHECK(strstr(b->text, "did not become 1 within 2 s"));
	bench_end(b);

	b = bench_make("cascade-lake", ENGINE_DIES);
	totals = run(b, 50, &good);
	KTAP_CHECK(!good && !totals.cases);
	KTAP_CHECK(strstr(b->text, "engine test does not answer"));
	bench_end(b);

	b = bench_make("cascade-lake", RIGHT);
	b->agree.engine_count = 0;
	totals = run(b, 50, &good);
	KTAP_CHECK(!good && !totals.cases && strstr(b->text, "no engine masters DMA"));
	bench_end(b);
}

/* The same index is the same case, alone or among others, and a replay prints it. */
static void replay(void)
{
	struct bench *b = bench_make("qemu-11.1-scalable", RIGHT);
	const struct agree_options options = {.seed = 5, .count = 1, .first = 77};
	struct agree_totals totals;
	char *first;

	b->agree.replay = true;
	KTAP_CHECK(agree_run(&b->agree, &options, &totals));
	KTAP_EQUAL(totals.cases, 1);
	KTAP_CHECK(strstr(b->text, "agree=0x5,1,77") && strstr(b->text, "root entry"));
	first = strdup(b->text);
	b->length = 0;
	memset(b->text, 0, sizeof(b->text));
	KTAP_CHECK(agree_run(&b->agree, &options, &totals));
	KTAP_CHECK(strcmp(first, b->text) == 0);
	free(first);
	bench_end(b);
}

static void options(void)
{
	static const char *const bad[] = {
		"",
		"1",
		"1,",
		",5",
		"1,0",
		"1,2,",
		"1,2,3,4",
		"x,2",
		"1 ,2",
		"-1,2",
		"0x,2",
		"1,2x",
		"1,2 ",
		"0X1,2",
		"1,1000001",
		"18446744073709551616,1",
		"1,2,4294967295",
	};
	struct agree_options got = {0};

	KTAP_CHECK(agree_options_parse("1,2000", &got));
	KTAP_CHECK(got.seed == 1 && got.count == 2000 && got.first == 0);
	KTAP_CHECK(agree_options_parse("0xffffffffffffffff,1,77", &got));
	KTAP_CHECK(got.seed == UINT64_MAX && got.count == 1 && got.first == 77);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		if (agree_options_parse(bad[i], &got)) {
			printf("# accepted: '%s'\n", bad[i]);
			KTAP_FAIL("a wrong text was accepted");
		}
	KTAP_EQUAL(got.first, 77);
}

/* Each deviation has all that a person wants to know, a name of its own, and a home. */
static void table(void)
{
	for (unsigned i = 0; i < agree_deviation_count; i++) {
		const struct agree_deviation *d = &agree_deviations[i];
		bool home = false;

		KTAP_CHECK(d->id && d->section && d->model && d->unit && d->matches);
		for (unsigned j = 0; j < i; j++)
			KTAP_CHECK(strcmp(d->id, agree_deviations[j].id) != 0);
		for (unsigned j = 0; j < AGREE_FAMILIES; j++)
			home |= strncmp(agree_families[j].name, d->family, strlen(d->family)) == 0;
		KTAP_CHECK(home);
	}
	for (unsigned i = 0; i < FLAWS; i++)
		KTAP_CHECK(agree_flaw_names[i] != NULL);
}

static const struct ktap_case cases[] = {
	{"equal units agree, and are not taken for QEMU", equal_units},
	{"a unit that is wrong in one way is caught", wrong_units},
	{"units and engines that do not answer end the run", dead_units},
	{"a case follows from seed and index", replay},
	{"agree= is read, and what is wrong is refused", options},
	{"the table of deviations is complete", table},
};
KTAP_MAIN(cases)
