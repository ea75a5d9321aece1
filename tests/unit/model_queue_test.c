/* SPDX-License-Identifier: MIT */
/*
 * The model's invalidation queue: every descriptor type with its reserved bits, every
 * error and the way out of it, waits, devices that do not answer, late descriptors.
 */
#include "tests/unit/model_bench.h"

/* What the queue says of one descriptor: IQEI, or 0. */
static unsigned verdict(struct bench *b, uint64_t low, uint64_t high)
{
	unsigned code;
	uint32_t at = b->tail;

	slot(b, low, high);
	w64(b, 0x88, b->tail);
	if (!(r32(b, 0x34) & 0x10)) {
		KTAP_EQUAL(r64(b, 0x80), b->tail);
		return 0;
	}
	code = (unsigned)(r64(b, 0xb0) & 15);
	KTAP_EQUAL(r64(b, 0x80), at); /* the head stays */
	put(b, QUEUE + at, 5);        /* corrected: a wait that does nothing */
	put(b, QUEUE + at + 8, 0);
	w32(b, 0x34, 0x10);
	KTAP_EQUAL(r64(b, 0x80), b->tail); /* and goes on */
	KTAP_EQUAL(r64(b, 0xb0) & 15, 0);
	return code;
}

static void types(void)
{
	static const struct {
		uint64_t low, high;
		unsigned legacy, scalable, plain;
	} cases[] = {
		/* legacy and scalable in the everything unit; legacy in QEMU's */
		{0, 0, 3, 3, 3},
		{1 | 1 << 4, 0, 0, 0, 0},
		{1 | 0 << 4, 0, 4, 4, 4},
		{1 | 1 << 4 | 1 << 6, 0, 4, 4, 4},
		{1 | 1 << 4, 1, 4, 4, 4},
		{1 | 1 << 4 | BIT(50), 0, 4, 4, 4},
		{2 | 1 << 4, 0, 0, 0, 0},
		{2 | 0 << 4, 0, 4, 4, 4},
		{2 | 1 << 4 | 3 << 6, 0, 0, 0, 0},
		{2 | 1 << 4 | BIT(32), 0, 4, 4, 4},
		{2 | 1 << 4, BIT(7), 4, 4, 4},
		{2 | 3 << 4, 18, 0, 0, 0},
		{2 | 3 << 4, 19, 0, 0, 4},
		{2 | 3 << 4, 46, 4, 4, 4},
		{3 | BIT(12) | BIT(52), 0, 0, 0, 3},
		{3 | BIT(21), 0, 4, 4, 3},
		{3, 2, 4, 4, 3},
		{4, 0, 0, 0, 0},
		{4 | 1 << 4 | UINT64_C(15) << 27, 0, 0, 0, 0},
		{4 | 1 << 4 | UINT64_C(16) << 27, 0, 4, 4, 4},
		{4 | BIT(5), 0, 4, 4, 4},
		{4, 1, 4, 4, 4},
		{5, 0, 0, 0, 0},
		{5 | BIT(7), 0, 0, 0, 4},
		{5 | BIT(8), 0, 4, 4, 4},
		{5, 1, 4, 4, 4},
		{6 | 2 << 4, 0, 3, 0, 3},
		{6 | 3 << 4, 63, 3, 0, 3},
		{6 | 1 << 4, 0, 3, 4, 3},
		{6 | 2 << 4 | BIT(52), 0, 3, 4, 3},
		{6 | 2 << 4, BIT(8), 3, 4, 3},
		{7, 0, 3, 0, 3},
		{7 | 1 << 4, 0, 3, 0, 3},
		{7 | 2 << 4, 0, 3, 4, 3},
		{7 | 3 << 4, 0, 3, 0, 3},
		{7 | BIT(6), 0, 3, 4, 3},
		{7, 1, 3, 4, 3},
		{8 | BIT(12), BIT(0) | BIT(11), 3, 0, 3},
		{8, 2, 3, 4, 3},
		{9, BIT(2) | BIT(3), 3, 0, 3},
		{9 | BIT(5), 0, 3, 4, 3},
		{9, 1, 3, 4, 3},
		{10 | 1 << 4, 0, 3, 3, 3},
		{1 | 1 << 4 | BIT(9), 0, 3, 3, 3}, /* bits 11:9 belong to the type */
		{15, 0, 3, 3, 3},
	};

	for (unsigned mode = 0; mode < 3; mode++) {
		struct bench *b = bench_new(mode == 2 ? "qemu-10.0" : "nesting");

		w64(b, 0x20, ROOT | (mode == 1 ? 0x400 : 0));
		queue_on(b, mode == 1);
		command(b, SRTP, true);
		for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			unsigned wanted = mode == 0   ? cases[i].legacy
			                  : mode == 1 ? cases[i].scalable
			                              : cases[i].plain;

			KTAP_EQUAL(verdict(b, cases[i].low, cases[i].high), wanted);
			if (ktap_failed) {
				printf("# mode %u case %u\n", mode, i);
				break;
			}
		}
		bench_end(b);
	}
}

static void no_throttling(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.ecap &= ~(BIT(41) | BIT(42)); /* DIT, PDS */
	b = bench_make(&config);
	w64(b, 0x20, ROOT | 0x400);
	queue_on(b, true);
	command(b, SRTP, true);
	KTAP_EQUAL(verdict(b, 3 | BIT(12), 0), 4);
	KTAP_EQUAL(verdict(b, 8 | BIT(12), 0), 4);
	KTAP_EQUAL(verdict(b, 5 | BIT(7), 0), 4);
	KTAP_EQUAL(verdict(b, 8, 0), 0);
	bench_end(b);
}

static void errors(void)
{
	struct bench *b = bench_new("nesting");

	queue_on(b, false);
	b->fail = QUEUE;
	slot(b, 5, 0);
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(r64(b, 0xb0) & 15, 2); /* fetch */
	w64(b, 0x88, b->tail);            /* nothing moves before IQE is cleared */
	b->fail = 0;
	KTAP_EQUAL(r64(b, 0x80), 0);
	w32(b, 0x34, 0x10);
	KTAP_EQUAL(r64(b, 0x80), 0x10);
	w64(b, 0x88, 0x1000); /* outside */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_TAIL], 1);
	KTAP_EQUAL(r64(b, 0xb0) & 15, 1);
	bench_end(b);

	b = bench_new("nesting");
	queue_on(b, true);
	w64(b, 0x88, 0x10); /* half a descriptor */
	KTAP_EQUAL(r64(b, 0xb0) & 15, 6);
	bench_end(b);

	b = bench_new("qemu-10.0");
	queue_on(b, true); /* wide descriptors without scalable mode */
	w64(b, 0x88, 0x20);
	KTAP_EQUAL(r64(b, 0xb0) & 15, 5);
	bench_end(b);

	b = bench_new("nesting");
	w64(b, 0x20, ROOT | 0x400);
	command(b, SRTP, true);
	queue_on(b, false); /* narrow ones in scalable mode */
	w64(b, 0x88, 0x10);
	KTAP_EQUAL(r64(b, 0xb0) & 15, 5);
	bench_end(b);

	b = bench_new("nesting");
	w64(b, 0x20, ROOT | 0x800);
	command(b, SRTP, true);
	queue_on(b, true);
	w64(b, 0x88, 0x20);
	KTAP_EQUAL(r64(b, 0xb0) & 15, 7);
	KTAP_EQUAL(r32(b, 0x38), 0xc0000000u); /* an event is pending */
	w32(b, 0x34, 0x10);
	KTAP_EQUAL(r64(b, 0xb0) & 15, 7); /* nothing was corrected */
	bench_end(b);
}

static void on_and_off(void)
{
	struct bench *b = bench_new("nesting");

	w64(b, 0x90, QUEUE);
	w64(b, 0x88, 0x20); /* before QIE: fetching starts when it rises */
	put(b, QUEUE, 1 | 1 << 4);
	put(b, QUEUE + 16, 0x25 | UINT64_C(77) << 32);
	put(b, QUEUE + 24, STATUS);
	command(b, QIE, true);
	KTAP_EQUAL(get(b, STATUS), 77);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	w64(b, 0x90, 0x9000); /* fixed while on */
	KTAP_EQUAL(r64(b, 0x90), QUEUE);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	command(b, QIE, false);
	KTAP_EQUAL(r64(b, 0x80), 0);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	queue_on(b, false);
	slot(b, 1 | 1 << 4, 0);
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(model_sanitizer_check(b->unit), 1); /* nobody waits */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_NOT_AWAITED], 1);
	command(b, QIE, false); /* the last one was no wait */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 3);
	queue_on(b, false);
	slot(b, 0, 0);
	w64(b, 0x88, b->tail);
	command(b, QIE, false); /* not empty */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 4);
	bench_end(b);
}

static void waits(void)
{
	struct bench *b = bench_new("nesting");

	w32(b, 0xa4, 0x31);
	w32(b, 0xa8, 0xfee00000);
	w32(b, 0xac, 1);
	KTAP_EQUAL(r32(b, 0xa4), 0x31);
	queue_on(b, false);
	slot(b, 5 | 1 << 4, 0); /* interrupt only, masked */
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(r32(b, 0x9c), 1);
	KTAP_EQUAL(r32(b, 0xa0), 0xc0000000u);
	w32(b, 0xa0, 0);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_INVALIDATION], 1);
	KTAP_EQUAL(b->last_interrupt.address, 0x1fee00000);
	slot(b, 5 | 3 << 4 | UINT64_C(0xdeadbeef) << 32, STATUS + 4);
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(b->interrupts[MODEL_SOURCE_INVALIDATION], 1); /* IWC was set */
	KTAP_EQUAL(get(b, STATUS), (int64_t)UINT64_C(0xdeadbeef00000000));
	w32(b, 0x9c, 1);
	KTAP_EQUAL(r32(b, 0x9c), 0);
	w32(b, 0xa0, 0x80000000u);
	slot(b, 5 | 1 << 4, 0);
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(r32(b, 0xa0), 0xc0000000u);
	w32(b, 0x9c, 1);
	KTAP_EQUAL(r32(b, 0xa0), 0x80000000u);
	slot(b, 0x25 | UINT64_C(9) << 32, STATUS | BIT(60)); /* bits above HAW are ignored */
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(get(b, STATUS) & 0xffffffff, 9);
	b->fail_writes = true;
	slot(b, 0x25 | UINT64_C(10) << 32, STATUS);
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(get(b, STATUS) & 0xffffffff, 9);
	KTAP_EQUAL(b->waits, 2);
	bench_end(b);
}

static void fences(void)
{
	struct bench *b = bench_new("nesting");

	queue_on(b, false);
	slot(b, 5 | 1 << 6, 0); /* FN: fine */
	slot(b, 1 | 1 << 4, 0);
	slot(b, 5, 0);
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_UNFENCED], 0);
	slot(b, 5, 0);
	slot(b, 5, 0);
	slot(b, 1 | 1 << 4, 0);
	slot(b, 5, 0);
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_UNFENCED], 1);
	bench_end(b);
}

static void tail(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.latency.descriptor = MODEL_NEVER;
	b = bench_make(&config);
	queue_on(b, false);
	for (unsigned i = 0; i < 255; i++)
		slot(b, 5, 0);
	w64(b, 0x88, b->tail); /* full, and no more */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_TAIL], 0);
	w64(b, 0x88, 0);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_TAIL], 1);
	model_tick(b->unit, 1000);
	KTAP_EQUAL(r64(b, 0x80), 0);
	bench_end(b);
}

static void late(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.latency.descriptor = 10;
	b = bench_make(&config);
	queue_on(b, false);
	slot(b, 1 | 1 << 4, 0);
	slot(b, 0x25 | UINT64_C(5) << 32, STATUS);
	w64(b, 0x88, b->tail);
	KTAP_EQUAL(r64(b, 0x80), 0);
	model_tick(b->unit, 10);
	KTAP_EQUAL(r64(b, 0x80), 0x10);
	KTAP_EQUAL(get(b, STATUS), 0);
	model_tick(b->unit, 10);
	KTAP_EQUAL(get(b, STATUS), 5);
	slot(b, 0x25 | UINT64_C(6) << 32, STATUS);
	slot(b, 0x25 | UINT64_C(7) << 32, STATUS);
	w64(b, 0x88, b->tail);
	model_tick(b->unit, 100);
	KTAP_EQUAL(get(b, STATUS), 7);
	KTAP_EQUAL(model_unit_statistics(b->unit)->descriptors[5], 3);
	bench_end(b);
}

static void devices(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.latency.device = 1000;
	b = bench_make(&config);
	start(b, 1);
	KTAP_CHECK(submit(b, 3 | UINT64_C(0x1234) << 32 | UINT64_C(7) << 12 | UINT64_C(0x12) << 52,
	                  0x5000));
	KTAP_EQUAL(b->invalidation.requester, 0x1234);
	KTAP_EQUAL(b->invalidation.physical_function, 0x127);
	KTAP_CHECK(!b->invalidation.has_pasid && !b->invalidation.global);
	KTAP_CHECK(b->invalidation.address == 0x5000 && b->invalidation.last == 0x5fff);
	KTAP_CHECK(submit(b, 3, 0x8000 | 1)); /* bit 12 clear: 8 KiB */
	KTAP_CHECK(b->invalidation.address == 0x8000 && b->invalidation.last == 0x9fff);
	KTAP_CHECK(submit(b, 3, 0xff000 | 0x7000 | 1 | 0x100000));
	KTAP_EQUAL(b->invalidation.last, 0x3fffff); /* nine ones: 2^10 pages */
	KTAP_EQUAL(b->invalidation.address, 0);
	KTAP_CHECK(submit(b, 3, 0x1ff000 | 0x40000000 | 1));
	KTAP_EQUAL(b->invalidation.address, 0x40000000);
	KTAP_CHECK(submit(b, 3, 0x7ffffffffffff000 | 1));
	KTAP_CHECK(b->invalidation.address == 0 && b->invalidation.last == UINT64_MAX);
	KTAP_CHECK(submit(b, 8 | 0x1234 << 16 | UINT64_C(0xabcde) << 32, 0x8000 | BIT(11) | 1));
	KTAP_CHECK(b->invalidation.has_pasid && b->invalidation.global);
	KTAP_EQUAL(b->invalidation.pasid, 0xabcde);
	KTAP_EQUAL(b->invalidation.requester, 0x1234);
	KTAP_EQUAL(b->invalidation.last, 0x9fff);
	b->answer = MODEL_DEVICE_WRONG;
	KTAP_CHECK(submit(b, 3 | UINT64_C(0x42) << 32, 0)); /* ICE does not stop the queue */
	KTAP_CHECK(r32(b, 0x34) & 0x20);
	KTAP_EQUAL(r64(b, 0xb0) >> 48, 0x42);
	KTAP_CHECK(submit(b, 3 | UINT64_C(0x43) << 32, 0));
	KTAP_EQUAL(r64(b, 0xb0) >> 48, 0x42); /* the first is kept */
	w32(b, 0x34, 0x20);
	KTAP_EQUAL(r64(b, 0xb0) >> 48, 0);
	b->answer = MODEL_DEVICE_SILENT;
	KTAP_CHECK(!submit(b, 3 | UINT64_C(0x77) << 32, 0));
	slot(b, 3 | UINT64_C(0x78) << 32, 0);
	w64(b, 0x88, b->tail);
	model_tick(b->unit, 999);
	KTAP_CHECK(!(r32(b, 0x34) & 0x40));
	model_tick(b->unit, 1);
	KTAP_CHECK(r32(b, 0x34) & 0x40);
	KTAP_EQUAL(r64(b, 0xb0) >> 32, 0x77);
	KTAP_CHECK(r64(b, 0x80) != r64(b, 0x88)); /* stopped, the wait aborted */
	b->answer = MODEL_DEVICE_DONE;
	w32(b, 0x34, 0x40);
	KTAP_EQUAL(r64(b, 0x80), r64(b, 0x88));
	KTAP_EQUAL(r64(b, 0xb0), 0);
	KTAP_CHECK(submit(b, 3 | UINT64_C(0x78) << 32, 0));
	/* QIE cleared while a wait is held up */
	b->answer = MODEL_DEVICE_SILENT;
	KTAP_CHECK(!submit(b, 3, 0));
	command(b, QIE, false);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	command(b, TE, false);
	b->answer = MODEL_DEVICE_DONE;
	queue_on(b, true);
	KTAP_CHECK(submit(b, 3, 0)); /* while translation is off */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	bench_end(b);
}

/* A unit without a device behind its hook: nobody answers. */
static void nobody(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b = bench_make(&config);
	const struct model_hooks hooks = {.context = b,
	                                  .memory = {bench_read, bench_write, bench_swap}};
	size_t bytes = model_unit_bytes(&config);

	free(b->unit);
	b->unit = model_unit_init(aligned_alloc(16, (bytes + 15) & ~(size_t)15), bytes, &config,
	                          &hooks);
	start(b, 0);
	slot(b, 3 | UINT64_C(0x77) << 32, 0);
	w64(b, 0x88, b->tail);
	KTAP_CHECK(r32(b, 0x34) & 0x40);
	bench_end(b);
}

/* Abort mode in a unit without scalable mode: 256-bit descriptors, legacy types only. */
static void abort_mode(void)
{
	struct model_config config = *model_preset_find("cascade-lake");
	struct bench *b;

	config.ecap |= BIT(52);
	b = bench_make(&config);
	w64(b, 0x20, ROOT | 0xc00);
	KTAP_EQUAL(r64(b, 0x20), ROOT | 0xc00);
	command(b, SRTP, true);
	queue_on(b, true);
	KTAP_EQUAL(verdict(b, 1 | 1 << 4, 0), 0);
	KTAP_EQUAL(verdict(b, 2 | 1 << 4, 0), 0);
	KTAP_EQUAL(verdict(b, 4, 0), 0);
	KTAP_EQUAL(verdict(b, 6 | 2 << 4, 0), 3);
	KTAP_EQUAL(verdict(b, 7, 0), 3);
	KTAP_EQUAL(verdict(b, 8, 0), 3);
	KTAP_EQUAL(verdict(b, 9, 0), 3);
	bench_end(b);
}

/* The second half of a 256-bit slot is reserved for every type there is. */
static void upper_half(void)
{
	struct bench *b = bench_new("nesting");

	w64(b, 0x20, ROOT | 0x400);
	command(b, SRTP, true);
	queue_on(b, true);
	for (unsigned type = 1; type <= 9; type++)
		for (unsigned word = 2; word < 4; word++) {
			uint32_t at = b->tail;

			slot(b, type | (type == 6 ? 2 << 4 : type < 3 ? 1 << 4 : 0), 0);
			put(b, QUEUE + at + 8 * word, BIT(63));
			w64(b, 0x88, b->tail);
			KTAP_EQUAL(r32(b, 0x34), 0x10);
			KTAP_EQUAL(r64(b, 0xb0) & 15, 4);
			put(b, QUEUE + at + 8 * word, 0);
			w32(b, 0x34, 0x10);
			KTAP_EQUAL(r64(b, 0x80), b->tail);
		}
	bench_end(b);
}

#define FIELD(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

/* Every bit of every type, alone: a field's bit is accepted, any other is refused. */
static void every_bit(void)
{
	static const struct {
		uint64_t base, low, high;
	} fields[] = {
		{1 | 1 << 4, FIELD(31, 16) | FIELD(47, 32) | FIELD(49, 48), 0},
		{2 | 1 << 4, FIELD(7, 6) | FIELD(31, 16), FIELD(6, 0) | FIELD(63, 12)},
		{3, FIELD(20, 12) | FIELD(47, 32) | FIELD(63, 52), 1 | FIELD(63, 12)},
		{4, FIELD(4, 4) | FIELD(30, 27) | FIELD(47, 32), 0}, /* IM to 15: MHMV */
		{5, FIELD(4, 4) | FIELD(7, 6) | FIELD(63, 32), FIELD(63, 2)},
		{6 | 2 << 4, FIELD(31, 16) | FIELD(51, 32), FIELD(6, 0) | FIELD(63, 12)},
		{7, FIELD(4, 4) | FIELD(31, 16) | FIELD(51, 32), 0},
		{8, FIELD(8, 4) | FIELD(51, 12) | FIELD(63, 52), 1 | FIELD(11, 11) | FIELD(63, 12)},
		{9, FIELD(4, 4) | FIELD(51, 12), FIELD(11, 2)},
	};
	struct bench *b = bench_new("nesting");

	w64(b, 0x20, ROOT | 0x400);
	command(b, SRTP, true);
	queue_on(b, true);
	for (unsigned i = 0; i < 9; i++)
		for (unsigned bit = 6; bit < 128; bit++) {
			uint64_t low = bit < 64 ? BIT(bit) : 0, high = bit < 64 ? 0 : BIT(bit - 64);
			unsigned wanted = low & fields[i].low || high & fields[i].high ? 0
			                  : bit >= 9 && bit <= 11                      ? 3
			                                                               : 4;

			if (i == 3 && bit == 31)
				wanted = 0; /* IM counts for an index only */
			KTAP_EQUAL(verdict(b, fields[i].base | low, high), wanted);
			if (ktap_failed) {
				printf("# type %u bit %u\n", i + 1, bit);
				bench_end(b);
				return;
			}
		}
	bench_end(b);
}

/* Features that are absent take their types and granularities with them. */
static void absent_features(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.cap &= ~BIT(39);                                  /* PSI */
	config.ecap &= ~(BIT(29) | BIT(41) | BIT(42) | BIT(33)); /* PRS DIT PDS NWFS */
	config.ecap &= ~(BIT(56) | BIT(2));                      /* PTRS DT */
	b = bench_make(&config);
	w64(b, 0x20, ROOT | 0x400);
	command(b, SRTP, true);
	queue_on(b, true);
	KTAP_EQUAL(verdict(b, 2 | 3 << 4, 0), 4);
	KTAP_EQUAL(verdict(b, 3, 0), 3);
	KTAP_EQUAL(verdict(b, 6 | 3 << 4, 0), 0); /* PSI is not about PASIDs */
	KTAP_EQUAL(verdict(b, 8, 0), 3);
	KTAP_EQUAL(verdict(b, 9, 0), 3);
	bench_end(b);
	b = bench_new("nesting");
	queue_on(b, false);
	KTAP_EQUAL(verdict(b, 4 | UINT64_C(31) << 27, 0), 0); /* global: IM does not count */
	bench_end(b);
	config.ecap &= ~BIT(3) & ~BIT(4);
	config.cap &= ~BIT(59);
	b = bench_make(&config);
	queue_on(b, false);
	KTAP_EQUAL(verdict(b, 4, 0), 3); /* no interrupt remapping */
	bench_end(b);
}

/* Two devices are silent: one timeout, the first one's, and the wait behind both is lost. */
static void two_silent(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.latency.device = 100;
	b = bench_make(&config);
	start(b, 0);
	b->answer = MODEL_DEVICE_SILENT;
	slot(b, 3 | UINT64_C(0x61) << 32, 0);
	slot(b, 3 | UINT64_C(0x62) << 32, 0);
	slot(b, 0x25 | UINT64_C(0xfff) << 32, STATUS);
	w64(b, 0x88, b->tail);
	model_tick(b->unit, 100);
	KTAP_EQUAL(r32(b, 0x34), 0x40);
	KTAP_EQUAL(r64(b, 0xb0), UINT64_C(0x61) << 32);
	w32(b, 0x34, 0x40);
	model_tick(b->unit, 1000);
	KTAP_EQUAL(r32(b, 0x34), 0);
	KTAP_CHECK((get(b, STATUS) & 0xffffffff) != 0xfff);
	b->answer = MODEL_DEVICE_DONE;
	KTAP_CHECK(submit(b, 3, 0));
	bench_end(b);
}

/* The largest queue, used to its last slot and round. */
static void largest(void)
{
	struct bench *b = bench_new("nesting");
	const uint64_t base = 0x200000;

	w64(b, 0x90, base | 7);
	KTAP_EQUAL(r64(b, 0x90), base | 7);
	w64(b, 0x88, 0);
	command(b, QIE, true);
	for (unsigned i = 0; i < 0x80000 / 16; i++)
		put(b, base + 16 * i, 5);
	w64(b, 0x88, 0x7fff0);
	KTAP_EQUAL(r64(b, 0x80), 0x7fff0);
	w64(b, 0x88, 0x10); /* round the end */
	KTAP_EQUAL(r64(b, 0x80), 0x10);
	KTAP_EQUAL(model_unit_statistics(b->unit)->descriptors[5], 0x80000 / 16 + 1);
	KTAP_EQUAL(b->reports, 0);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"abort mode without scalable mode", abort_mode},
	{"every bit of every type", every_bit},
	{"the second half of a wide slot is reserved", upper_half},
	{"absent features: no such type or granularity", absent_features},
	{"two silent devices", two_silent},
	{"the largest queue", largest},
	{"each type, its reserved bits, its modes", types},
	{"fields of absent features are reserved", no_throttling},
	{"each queue error, and the way out", errors},
	{"enable, disable", on_and_off},
	{"waits: status, interrupt", waits},
	{"waits that do not fence", fences},
	{"a tail that passes the head", tail},
	{"late descriptors", late},
	{"device-TLB invalidation, ICE, ITE", devices},
	{"no device answers", nobody},
};

KTAP_MAIN(cases)
