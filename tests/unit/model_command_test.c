/* SPDX-License-Identifier: MIT */
/*
 * The model's global commands (11.4.4) and what the sanitizer says of a register used at a
 * forbidden moment; protected memory of units that have one region only; register
 * invalidation where it does not serve; the borders of what shapes can exist.
 */
#include "tests/unit/model_bench.h"

static unsigned complaints(struct bench *b)
{
	unsigned count = b->kinds[MODEL_REPORT_REGISTER];

	b->kinds[MODEL_REPORT_REGISTER] = 0;
	return count;
}

static void change_of_mode(void)
{
	for (unsigned flushes = 0; flushes < 2; flushes++) {
		struct model_config config = *model_preset_find("nesting");
		struct bench *b;

		config.cap |= flushes ? BIT(63) : 0; /* ESRTPS allows it */
		b = bench_make(&config);
		w64(b, 0x90, QUEUE | 0x800);
		command(b, QIE, true);
		w64(b, 0x20, ROOT);
		command(b, SRTP, true);
		flush_all(b);
		command(b, TE, true);
		KTAP_EQUAL(complaints(b), 0);
		w64(b, 0x20, 0x9000); /* another table of the same mode */
		command(b, SRTP, true);
		KTAP_EQUAL(complaints(b), 0);
		w64(b, 0x20, ROOT | 0x400);
		command(b, SRTP, true);
		KTAP_EQUAL(complaints(b), !flushes);
		bench_end(b);
	}
}

static void change_of_interrupt_mode(void)
{
	struct bench *b = bench_new("nesting");

	queue_on(b, false);
	w64(b, 0xb8, IRTES | 7);
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	command(b, IRE, true);
	KTAP_EQUAL(complaints(b), 0);
	w64(b, 0xb8, 0x70000 | 7); /* another table */
	command(b, SIRTP, true);
	KTAP_EQUAL(complaints(b), 0);
	w64(b, 0xb8, IRTES | 7 | 0x800); /* EIME */
	command(b, SIRTP, true);
	KTAP_EQUAL(complaints(b), 1);
	bench_end(b);

	b = bench_new("cascade-lake"); /* has EIM */
	w64(b, 0xb8, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0xb8), ~UINT64_C(0x7f0));
	bench_end(b);
	b = bench_new("client-39"); /* has not: EIME is reserved */
	w64(b, 0xb8, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0xb8), model_preset_find("client-39")->ecap & BIT(4) ? ~UINT64_C(0x7f0)
	                                                                       : ~UINT64_C(0xff0));
	bench_end(b);
	b = bench_new("qemu-10.0");
	w64(b, 0xb8, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0xb8), ~UINT64_C(0xff0));
	bench_end(b);
}

/* Scalable and abort mode want a queue of 256-bit descriptors before TE. */
static void queue_before_mode(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct model_config config = *model_preset_find("nesting");
		struct bench *b;

		config.cap |= BIT(63);
		b = bench_make(&config);
		if (i)
			queue_on(b, i > 1);
		w64(b, 0x20, ROOT | (i == 3 ? 0xc00 : 0x400));
		command(b, SRTP, true);
		command(b, TE, true);
		KTAP_EQUAL(complaints(b), i < 2);
		KTAP_CHECK(r32(b, 0x1c) >> 31); /* it is done all the same */
		bench_end(b);
	}
}

/* Every enabling wants its table pointer latched anew, the invalidations done or not. */
static void latch_before_enabling(void)
{
	struct bench *b = bench_new("nesting");

	queue_on(b, false);
	w64(b, 0xb8, IRTES | 7);
	w64(b, 0x20, ROOT);
	command(b, SIRTP, true);
	command(b, SRTP, true);
	KTAP_CHECK(submit(b, 4, 0));
	flush_all(b);
	command(b, IRE, true);
	command(b, TE, true);
	command(b, IRE, false);
	command(b, TE, false);
	KTAP_EQUAL(complaints(b), 0);
	command(b, IRE, true);
	KTAP_EQUAL(complaints(b), 1);
	command(b, TE, true);
	KTAP_EQUAL(complaints(b), 1);
	w64(b, 0x90, QUEUE); /* the same as before: no complaint while the queue is on */
	KTAP_EQUAL(complaints(b), 0);
	bench_end(b);
}

/* ESRTPS is about SRTP alone, ESIRTPS about interrupts alone; without them all stays. */
static void self_flushing(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct model_config config = *model_preset_find("nesting");
		const struct model_cache_statistics *caches;
		struct model_result result;
		struct bench *b;

		config.cap |= (uint64_t)i << 62;
		b = bench_make(&config);
		caches = model_unit_statistics(b->unit)->caches;
		legacy_tables(b, 2);
		put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 3);
		put(b, IRTES + 16, 1 | UINT64_C(0x41) << 16);
		start(b, 0);
		w64(b, 0xb8, IRTES | 7);
		command(b, SIRTP, true);
		KTAP_CHECK(submit(b, 4, 0));
		command(b, IRE, true);
		for (unsigned off = 0; off < 2; off++) { /* by SIRTP, by IRE off */
			READS(b, 0x1000, 0x80000);
			KTAP_CHECK(
				model_interrupt(b->unit, 0xfee00010 | 1 << 5, 0, DEVICE, &result));
			KTAP_EQUAL(caches[MODEL_CACHE_INTERRUPT].used, 1);
			command(b, off ? IRE : SIRTP, !off);
			KTAP_EQUAL(caches[MODEL_CACHE_INTERRUPT].used, !(i & 1));
			KTAP_EQUAL(caches[MODEL_CACHE_IOTLB].used, 1);
		}
		command(b, SRTP, true);
		KTAP_EQUAL(caches[MODEL_CACHE_IOTLB].used, !(i & 2));
		KTAP_EQUAL(caches[MODEL_CACHE_CONTEXT].used, !(i & 2));
		bench_end(b);
	}
}

static void pending_addresses(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.latency.command = 10;
	b = bench_make(&config);
	w64(b, 0x20, ROOT);
	w64(b, 0xb8, IRTES);
	command(b, SRTP, true);
	w64(b, 0x20, ROOT);    /* the same again harms nobody */
	w64(b, 0xb8, 0x70000); /* nor does the other address */
	KTAP_EQUAL(complaints(b), 0);
	w32(b, 0x24, 1);
	KTAP_EQUAL(complaints(b), 1);
	model_tick(b->unit, 10);
	command(b, SIRTP, true);
	w64(b, 0x20, ROOT);
	KTAP_EQUAL(complaints(b), 0);
	w32(b, 0xb8, IRTES);
	KTAP_EQUAL(complaints(b), 1);
	bench_end(b);
}

static void absent_commands(void)
{
	static const unsigned bits[] = {WBF, QIE, IRE, SIRTP, CFI, 29, 28, 22, 0};
	struct bench *b = bench_new("nesting");

	for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		struct model_config config = *model_preset_find("old");
		struct bench *old;

		config.cap &= ~BIT(4);
		old = bench_make(&config);
		w32(old, 0x18, 1u << bits[i]);
		KTAP_EQUAL(complaints(old), 1);
		KTAP_EQUAL(r32(old, 0x1c), 0);
		bench_end(old);
	}
	w32(b, 0x18, 1u << CFI);
	KTAP_EQUAL(r32(b, 0x1c), 1u << CFI);
	w32(b, 0x18, 0);
	KTAP_EQUAL(r32(b, 0x1c), 0);
	KTAP_EQUAL(complaints(b), 0);
	w32(b, 0x1c, ~0u); /* GSTS is read-only, GCMD write-only */
	KTAP_EQUAL(r32(b, 0x1c) | r32(b, 0x18), 0);
	bench_end(b);
}

static void absent_registers(void)
{
	struct bench *b = bench_new("cascade-lake"); /* its IOTLB registers are at 200h */

	w64(b, 0x400, 0xf0);
	w64(b, 0x408, 1);
	w64(b, 0xe00, ~UINT64_C(0));
	w64(b, 0x58, ~UINT64_C(0));
	KTAP_CHECK(!r64(b, 0x400) && !r64(b, 0x408) && !r64(b, 0x410) && !r64(b, 0xe00));
	KTAP_EQUAL(r64(b, 0x58), 0);
	KTAP_EQUAL(complaints(b), 0);
	bench_end(b);
}

/* A unit that forgets more than it is asked to does not excuse what software owes. */
static void owed(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.over_invalidate = true;
	b = bench_make(&config);
	w64(b, 0x20, ROOT | 0x400);
	w64(b, 0xb8, IRTES | 7);
	queue_on(b, true);
	command(b, SRTP, true);
	command(b, SIRTP, true);
	KTAP_CHECK(submit(b, 1 | CC_DEVICE, 0));
	KTAP_CHECK(submit(b, 7 | 1 << 4, 0));
	KTAP_CHECK(submit(b, 2 | 2 << 4, 0));
	KTAP_CHECK(submit(b, 4 | 1 << 4, 0));
	command(b, TE, true);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 1);
	command(b, IRE, true);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	command(b, TE, false);
	command(b, IRE, false);
	command(b, SRTP, true);
	command(b, SIRTP, true);
	flush_all(b);
	KTAP_CHECK(submit(b, 4, 0));
	command(b, TE, true);
	command(b, IRE, true);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_REGISTER], 2);
	bench_end(b);
}

/* ---- register invalidation ---------------------------------------------------------------- */

static void where_the_queue_serves(void)
{
	struct model_config config = *model_preset_find("qemu-10.0-scalable");
	struct bench *b = bench_make(&config);

	w64(b, 0x20, ROOT | 0x400);
	command(b, SRTP, true);
	w64(b, 0x28, BIT(63) | BIT(61)); /* version 1, but scalable mode */
	KTAP_EQUAL(r64(b, 0x28), BIT(61));
	KTAP_EQUAL(complaints(b), 1);
	w64(b, 0xf8, BIT(63)); /* a granularity of 0 asks for nothing */
	KTAP_EQUAL(r64(b, 0xf8), 0);
	bench_end(b);

	config = *model_preset_find("client-39");
	config.cap &= ~BIT(39); /* no page-selective invalidation */
	b = bench_make(&config);
	w64(b, 0x500, 0x1000);
	w64(b, 0x508, BIT(63) | UINT64_C(3) << 60);
	KTAP_EQUAL(r64(b, 0x508), UINT64_C(3) << 60);
	w64(b, 0x508, BIT(63) | UINT64_C(2) << 60);
	KTAP_EQUAL(r64(b, 0x508) >> 57, 2 << 3 | 2);
	KTAP_EQUAL(complaints(b), 0);
	bench_end(b);

	b = bench_new("client-39");
	w64(b, 0x500, 0x1000);
	w64(b, 0x508, BIT(63) | UINT64_C(3) << 60);
	KTAP_EQUAL(r64(b, 0x508) >> 57, 3 << 3 | 3);
	w64(b, 0x508, BIT(63) | UINT64_C(3) << 60); /* IVA serves once */
	KTAP_EQUAL(r64(b, 0x508) >> 57, 3 << 3);
	bench_end(b);

	b = bench_new("client-39");
	w64(b, 0x508, UINT64_C(3) << 48 | UINT64_C(0xffff) << 32); /* DR and DW are kept */
	KTAP_EQUAL(r64(b, 0x508), UINT64_C(3) << 48 | UINT64_C(0xffff) << 32);
	w64(b, 0x508, ~BIT(63)); /* IAIG and the low half are not writable */
	KTAP_EQUAL(r64(b, 0x508), UINT64_C(0x3003ffff00000000));
	w64(b, 0x28, ~BIT(63));
	KTAP_EQUAL(r64(b, 0x28), UINT64_C(0x60000003ffffffff));
	bench_end(b);
}

/* ---- protected memory ------------------------------------------------------------------------ */

static void one_region(void)
{
	for (unsigned high = 0; high < 2; high++) {
		struct model_config config = *model_preset_find("sapphire-rapids");
		struct bench *b;

		config.cap &= high ? ~BIT(5) : ~BIT(6);
		b = bench_make(&config);
		w32(b, 0x68, 0x400000);
		w32(b, 0x6c, 0x400000);
		w64(b, 0x70, 0x800000);
		w64(b, 0x78, 0x800000);
		KTAP_EQUAL(r32(b, 0x68), high ? 0 : 0x400000);
		KTAP_EQUAL(r64(b, 0x78), high ? 0x800000 : 0);
		w32(b, 0x64, 0x80000000u);
		KTAP_EQUAL(r32(b, 0x64), 0x80000001u);
		KTAP_EQUAL(dma(b, MODEL_READ, 0x400000).response,
		           high ? MODEL_SUCCESS : MODEL_UNSUPPORTED);
		KTAP_EQUAL(dma(b, MODEL_READ, 0x800000).response,
		           high ? MODEL_UNSUPPORTED : MODEL_SUCCESS);
		bench_end(b);
	}
}

static void zero_length(void)
{
	const struct model_request request = {.requester = DEVICE, .address = 0x400000};
	struct model_config config = *model_preset_find("old");
	struct bench *b;

	config.haw = 32; /* no address bits above 31 */
	b = bench_make(&config);
	w64(b, 0x70, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0x70), 0xfff00000);
	w64(b, 0x70, 0x400000);
	w64(b, 0x78, 0x400000);
	w32(b, 0x64, 0x80000000u);
	KTAP_EQUAL(ask(b, &request).response, MODEL_UNSUPPORTED); /* a read of no bytes */
	KTAP_CHECK(b->result.protected_memory);
	bench_end(b);
}

/* ---- shapes ------------------------------------------------------------------------------------ */

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		struct model_config shape = *model_preset_find("nesting");                         \
		change;                                                                            \
		KTAP_CHECK(model_config_check(&shape) != NULL);                                    \
		KTAP_CHECK(!model_unit_bytes(&shape));                                             \
	} while (0)

#define ALLOWED(change)                                                                            \
	do {                                                                                       \
		struct model_config shape = *model_preset_find("nesting");                         \
		change;                                                                            \
		KTAP_CHECK(!model_config_check(&shape));                                           \
	} while (0)

static void shape_borders(void)
{
	ALLOWED(shape.haw = 32);
	ALLOWED(shape.haw = 52);
	ALLOWED(shape.cap &= ~UINT64_C(7));
	REFUSED(shape.cap = (shape.cap & ~(UINT64_C(63) << 16)) | UINT64_C(30) << 16); /* MGAW */
	ALLOWED(shape.cap = (shape.cap & ~(UINT64_C(63) << 16)) | UINT64_C(31) << 16);
	REFUSED(shape.cap = (shape.cap & ~(UINT64_C(63) << 16)) | UINT64_C(57) << 16);
	ALLOWED(shape.cap &= ~(UINT64_C(15) << 34)); /* SSLPS */
	ALLOWED(shape.cap = (shape.cap & ~(UINT64_C(15) << 34)) | UINT64_C(1) << 34);
	REFUSED(shape.cap |= UINT64_C(4) << 34);
	ALLOWED(shape.capacity[0] = 1u << 20);
	REFUSED(shape.ecap = (shape.ecap & ~(UINT64_C(31) << 35)) | UINT64_C(20) << 35); /* PSS */
	ALLOWED(shape.pmr_shift = 12);
	ALLOWED(shape.pmr_shift = 31);
	REFUSED(shape.pmr_shift = 32);
	ALLOWED((shape.pmr_shift = 0, shape.cap &= ~UINT64_C(0x60)));
	REFUSED((shape.pmr_shift = 0, shape.cap &= ~UINT64_C(0x20)));
	ALLOWED(shape.policy = MODEL_POLICY_RANDOM);
}

static void shape_blocks(void)
{
	const uint64_t fro = UINT64_C(0x3ff) << 24, iro = 0x3ff00;

	REFUSED(shape.cap = (shape.cap & ~fro) | UINT64_C(0x0e) << 24); /* among the registers */
	REFUSED(shape.cap = (shape.cap & ~fro) | UINT64_C(0x10) << 24); /* over the MTRRs */
	REFUSED(shape.cap = (shape.cap & ~fro) | UINT64_C(0x1a) << 24); /* their end */
	ALLOWED(shape.cap = (shape.cap & ~fro) | UINT64_C(0x22) << 24);
	REFUSED(shape.cap = (shape.cap & ~fro) | UINT64_C(0x29) << 24); /* into the counters' */
	REFUSED(shape.cap = (shape.cap & ~fro) | UINT64_C(0x45) << 24); /* their end */
	ALLOWED(shape.cap = (shape.cap & ~fro) | UINT64_C(0x46) << 24);
	REFUSED(shape.ecap = (shape.ecap & ~iro) | 0x21 << 8);
	ALLOWED(shape.ecap = (shape.ecap & ~iro) | 0x22 << 8);
	REFUSED(shape.ecap = (shape.ecap & ~iro) | 0x80 << 8); /* over the fault records */
	REFUSED(shape.ecap = (shape.ecap & ~iro) | 0x87 << 8);
	ALLOWED(shape.ecap = (shape.ecap & ~iro) | 0x88 << 8);
}

static void window(void)
{
	struct model_config config = *model_preset_find("client-39");
	struct bench *b;

	for (uint64_t iro = 0xfe; iro < 0x102; iro++) { /* to the last byte of the page, and over */
		config.ecap = (config.ecap & ~UINT64_C(0x3ff00)) | iro << 8;
		b = bench_make(&config);
		KTAP_EQUAL(model_register_bytes(b->unit), iro < 0x100 ? 0x1000 : 0x2000);
		w64(b, iro * 16 + 8, UINT64_C(5) << 32);
		KTAP_EQUAL(r64(b, iro * 16 + 8), UINT64_C(5) << 32);
		bench_end(b);
	}
}

/* Each capability that needs another is refused without it, alone. */
static void shape_relations(void)
{
	static const unsigned need_scalable[] = {40, 31, 25, 47, 46, 48, 49, 26};
	static const unsigned need_device_tlb[] = {42, 41, 33, 56, 29};
	struct model_config plain = *model_preset_find("qemu-10.0"), other;

	KTAP_CHECK(!model_config_check(&plain));
	for (unsigned i = 0; i < sizeof(need_scalable) / sizeof(need_scalable[0]); i++) {
		other = plain;
		other.ecap |= BIT(need_scalable[i]);
		KTAP_CHECK(model_config_check(&other) != NULL);
	}
	for (unsigned i = 0; i < sizeof(need_device_tlb) / sizeof(need_device_tlb[0]); i++) {
		other = plain;
		other.ecap |= BIT(need_device_tlb[i]);
		KTAP_CHECK(model_config_check(&other) != NULL);
		other.ecap |= BIT(2);
		KTAP_CHECK(!model_config_check(&other));
	}
	for (unsigned bit = 2; bit <= 3; bit++) { /* DT, IR: without a queue */
		other = plain;
		other.ecap = (other.ecap & ~UINT64_C(0x1e)) | BIT(bit);
		KTAP_CHECK(model_config_check(&other) != NULL);
	}
	other = plain;
	other.ecap = (other.ecap & ~UINT64_C(0x1e)) | BIT(43);
	KTAP_CHECK(model_config_check(&other) != NULL);
	REFUSED(shape.ecap &= ~BIT(47));               /* NEST without FSTS */
	REFUSED((shape.ecap &= ~(BIT(48) | BIT(34)))); /* SSADS without SMPWCS */
	REFUSED((shape.ecap &= ~(BIT(48) | BIT(45)))); /* EAFS without it */
	ALLOWED((shape.ecap &= ~(BIT(48) | BIT(45) | BIT(34))));
	REFUSED((shape.cap &= ~BIT(59), shape.ecap = (shape.ecap & ~BIT(4)) | BIT(61)));
	ALLOWED(shape.ecap |= BIT(61));
	REFUSED(shape.cap |= BIT(4)); /* RWBF in scalable mode */
	REFUSED(shape.ecap |= BIT(60));
}

static void shape_counters(void)
{
	REFUSED(shape.eccap3 |= BIT(47));
	REFUSED(shape.eccap3 |= BIT(54));
	ALLOWED(shape.eccap3 = 0);
	ALLOWED(shape.counters = 16);
	REFUSED((shape.ecap &= ~BIT(51), shape.counters = 0));
	ALLOWED((shape.ecap &= ~BIT(51), shape.counters = 0, shape.eccap3 = 0));
	REFUSED((shape.ecap &= ~BIT(51), shape.counters = 1, shape.eccap3 = 0));
	REFUSED((shape.cap &= ~BIT(61)));
}

static void report_mask(void)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.report_mask = 1u << MODEL_REPORT_TAIL;
	b = bench_make(&config);
	command(b, TE, true); /* without SRTP: a report that nobody asked for */
	KTAP_EQUAL(b->reports, 0);
	queue_on(b, false);
	w64(b, 0x88, 0x1000);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_TAIL], 1);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"TTM changes under translation need ESRTPS", change_of_mode},
	{"EIME does not change under interrupt remapping", change_of_interrupt_mode},
	{"scalable and abort mode need a wide queue", queue_before_mode},
	{"enabling wants SRTP or SIRTP before it, each time", latch_before_enabling},
	{"ESRTPS and ESIRTPS: what a unit flushes by itself", self_flushing},
	{"addresses stand still while they are latched", pending_addresses},
	{"over_invalidate does not pay what SRTP and SIRTP ask for", owed},
	{"commands that a unit does not have", absent_commands},
	{"registers that a unit does not have", absent_registers},
	{"CCMD and IOTLB where only the queue serves; their fields", where_the_queue_serves},
	{"protected memory: a unit with one of the regions", one_region},
	{"protected memory: a read of no bytes, a narrow unit", zero_length},
	{"shapes: the borders of numbers", shape_borders},
	{"shapes: blocks of registers keep clear of each other", shape_blocks},
	{"the register window reaches to the last block", window},
	{"shapes: what needs what", shape_relations},
	{"shapes: counters and their commands", shape_counters},
	{"reports outside the mask are not sent", report_mask},
};

KTAP_MAIN(cases)
