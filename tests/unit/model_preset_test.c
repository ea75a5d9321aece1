/* SPDX-License-Identifier: MIT */
/*
 * The model's presets, by name and by what they claim; and the registers of real units as
 * their kernels printed them: a unit can be made from each, and works.
 */
#include "tests/unit/model_bench.h"

/* VER, CAP and ECAP of real machines and of QEMU, from public kernel logs. */
static const struct {
	uint32_t version;
	uint64_t cap, ecap;
} seen[] = {
	{0x10, UINT64_C(0x12008c22260286), UINT64_C(0xf00f5a)},
	{0x10, UINT64_C(0x1c0000c40660462), UINT64_C(0x19e2ff0505e)},
	{0x10, UINT64_C(0x1c0000c40660462), UINT64_C(0x7e3ff0501e)},
	{0x10, UINT64_C(0x1c0000c40660462), UINT64_C(0x9e2ff0505e)},
	{0x10, UINT64_C(0x80d2008c222f0686), UINT64_C(0xf00f4a)},
	{0x10, UINT64_C(0x80d2008c222f0686), UINT64_C(0xf00f5a)},
	{0x10, UINT64_C(0x8d2078c106f0466), UINT64_C(0xf020df)},
	{0x10, UINT64_C(0xc0000020230270), UINT64_C(0x1000)},
	{0x10, UINT64_C(0xc0000020230272), UINT64_C(0x1000)},
	{0x10, UINT64_C(0xc0000020e60262), UINT64_C(0xf0101a)},
	{0x10, UINT64_C(0xc9008010e60262), UINT64_C(0xf0206a)},
	{0x10, UINT64_C(0xc9008020630272), UINT64_C(0x1000)},
	{0x10, UINT64_C(0xc9008020660262), UINT64_C(0xf0105a)},
	{0x10, UINT64_C(0xc9008020e30260), UINT64_C(0x1000)},
	{0x10, UINT64_C(0xc90780106f0462), UINT64_C(0xf0207e)},
	{0x10, UINT64_C(0xc90780106f0462), UINT64_C(0xf020e2)},
	{0x10, UINT64_C(0xc90780106f0462), UINT64_C(0xf020ea)},
	{0x10, UINT64_C(0xc90780106f0462), UINT64_C(0xf020fe)},
	{0x10, UINT64_C(0xd2008020660462), UINT64_C(0xf010da)},
	{0x10, UINT64_C(0xd2008c10ef0466), UINT64_C(0xf0205b)},
	{0x10, UINT64_C(0xd2008c20660462), UINT64_C(0xf010da)},
	{0x10, UINT64_C(0xd2008c22260206), UINT64_C(0xf00f5e)},
	{0x10, UINT64_C(0xd2008c222f0606), UINT64_C(0xf00f5e)},
	{0x10, UINT64_C(0xd2008c222f0686), UINT64_C(0xf00f5a)},
	{0x10, UINT64_C(0xd2008c40660462), UINT64_C(0xf050d2)},
	{0x10, UINT64_C(0xd2078c106f0462), UINT64_C(0xf020ff)},
	{0x10, UINT64_C(0xd2078c106f0466), UINT64_C(0xf020da)},
	{0x10, UINT64_C(0xd2078c106f0466), UINT64_C(0xf020de)},
	{0x10, UINT64_C(0xd2078c106f0466), UINT64_C(0xf020df)},
	{0x40, UINT64_C(0x1c0000c40660462), UINT64_C(0x29a00f0505e)},
	{0x40, UINT64_C(0x1c0000c40660462), UINT64_C(0x69e2ff0505e)},
	{0x40, UINT64_C(0x8ed008c40780466), UINT64_C(0x60000f050df)},
	{0x40, UINT64_C(0x9c0000c40660462), UINT64_C(0x29a08f0505e)},
	{0x50, UINT64_C(0x8d2008c40660462), UINT64_C(0xf050da)},
	{0x50, UINT64_C(0xd2008c40660462), UINT64_C(0xf050da)},
	{0x60, UINT64_C(0x19ed008c40780c66), UINT64_C(0x3ee9e86f050df)},
	{0x70, UINT64_C(0xc9de008cee690462), UINT64_C(0x12ca9a00f0ef5e)},
	{0x70, UINT64_C(0xc9de008cee690462), UINT64_C(0x12ca9a00f0efde)},
	{0x70, UINT64_C(0xe9de008cee690462), UINT64_C(0x1aca9a00f0ef5e)},
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Bits of ECAP. */
enum {
	C = 0,
	QI = 1,
	DT = 2,
	IR = 3,
	EIM = 4,
	NEST = 26,
	PRS = 29,
	PASID = 40,
	SMTS = 43,
	SSADS = 45,
	SSTS = 46,
	FSTS = 47
};

static const struct {
	const char *name;
	uint32_t version;
	uint64_t ecap_set, ecap_clear, cap_set, cap_clear;
} wanted[] = {
	{"qemu-7.2", 0x10, BIT(QI) | BIT(IR), BIT(C) | BIT(SMTS) | BIT(FSTS), BIT(9),
         BIT(7) | BIT(10)},
	{"qemu-7.2-scalable", 0x10, BIT(SMTS) | BIT(SSTS), BIT(FSTS) | BIT(NEST), BIT(10), BIT(7)},
	{"qemu-10.0", 0x10, BIT(QI), BIT(C) | BIT(SMTS), BIT(10), BIT(7)},
	{"qemu-10.0-caching", 0x10, BIT(QI) | BIT(EIM), BIT(SMTS), BIT(7), 0},
	{"qemu-10.0-scalable", 0x10, BIT(SMTS) | BIT(SSTS), BIT(FSTS), BIT(10), 0},
	{"qemu-10.0-first", 0x10, BIT(SMTS) | BIT(FSTS), BIT(SSTS) | BIT(NEST), BIT(10) | BIT(56),
         0},
	{"qemu-11.1", 0x10, BIT(QI), BIT(SMTS), BIT(63), 0},
	{"qemu-11.1-scalable", 0x10, BIT(SMTS) | BIT(SSTS), BIT(FSTS), BIT(63), 0},
	{"qemu-11.1-first", 0x10, BIT(SMTS) | BIT(FSTS), BIT(SSTS), BIT(63), 0},
	{"cascade-lake", 0x10, BIT(C) | BIT(QI) | BIT(DT), BIT(SMTS), BIT(59) | BIT(39), BIT(7)},
	{"ice-lake-server", 0x40, BIT(C) | BIT(DT), BIT(SMTS), BIT(59), BIT(7)},
	{"sapphire-rapids", 0x60, BIT(SMTS) | BIT(NEST) | BIT(SSADS), BIT(PASID), BIT(60), BIT(63)},
	{"skylake-graphics", 0x10, BIT(QI), BIT(C) | BIT(SMTS), BIT(10), BIT(39)},
	{"meteor-lake", 0x70, BIT(SMTS) | BIT(SSTS) | BIT(FSTS), BIT(C) | BIT(NEST),
         BIT(63) | BIT(62), 0},
	{"nesting", 0x70, BIT(C) | BIT(NEST) | BIT(PASID) | BIT(PRS) | BIT(SSADS), 0, BIT(11),
         BIT(7)},
	{"nesting-noncoherent", 0x70, BIT(NEST) | BIT(PASID) | BIT(PRS) | BIT(SSADS), BIT(C),
         BIT(11), BIT(7)},
	{"client-39", 0x40, BIT(QI), BIT(C) | BIT(SMTS), BIT(9), BIT(10)},
	{"old", 0x10, 0, BIT(QI) | BIT(IR), BIT(4), BIT(39)},
};

static void claims(void)
{
	KTAP_EQUAL(model_preset_count(), COUNT(wanted));
	for (unsigned i = 0; i < COUNT(wanted); i++) {
		const struct model_config *config = model_preset_find(wanted[i].name);

		KTAP_CHECK(config != NULL);
		if (!config || config->version != wanted[i].version ||
		    (config->ecap & wanted[i].ecap_set) != wanted[i].ecap_set ||
		    (config->ecap & wanted[i].ecap_clear) ||
		    (config->cap & wanted[i].cap_set) != wanted[i].cap_set ||
		    (config->cap & wanted[i].cap_clear)) {
			printf("# preset %s\n", wanted[i].name);
			KTAP_FAIL("a preset is not what it claims to be");
		}
	}
}

static void apart(void)
{
	for (unsigned i = 0; i < model_preset_count(); i++) {
		const struct model_config *config = model_preset(i);

		KTAP_CHECK(config->name && *config->name && config->description &&
		           *config->description);
		KTAP_CHECK(config->sanitize && config->policy == MODEL_POLICY_KEEP);
		for (unsigned j = 0; j < i; j++)
			KTAP_CHECK(strcmp(config->name, model_preset(j)->name) != 0);
	}
	KTAP_CHECK(!model_preset_find("nest") && !model_preset_find("nestings"));
	KTAP_CHECK(!model_preset_find(""));
	KTAP_CHECK(!model_preset(model_preset_count()));
}

/* Every version and register pair of a preset named after a real unit was seen on one. */
static void real(void)
{
	static const char *const names[] = {"cascade-lake", "ice-lake-server", "sapphire-rapids",
	                                    "skylake-graphics", "meteor-lake"};

	for (unsigned i = 0; i < COUNT(names); i++) {
		const struct model_config *config = model_preset_find(names[i]);
		unsigned found = 0;

		for (unsigned j = 0; j < COUNT(seen); j++)
			found += seen[j].version == config->version && seen[j].cap == config->cap &&
			         seen[j].ecap == config->ecap;
		KTAP_EQUAL(found, 1);
	}
}

/* The widest second stage of 4K pages that a legacy unit has. */
static unsigned widest(uint64_t cap)
{
	return cap & 0x800 ? 3 : cap & 0x400 ? 2 : 1;
}

static void works(struct bench *b)
{
	unsigned aw = widest(r64(b, 8));
	uint64_t leaf;

	put(b, ROOT, CONTEXT | 1);
	put(b, CONTEXT + DEVICE * 16, TABLES | 1);
	put(b, CONTEXT + DEVICE * 16 + 8, 1 << 8 | aw);
	leaf = way(b, TABLES, aw + 2, 0x1000, 1, 3);
	put(b, leaf, 0x80000 | 3);
	start(b, 0);
	READS(b, 0x1000, 0x80000);
	put(b, leaf, 0);
	READS(b, 0x1000, 0x80000); /* remembered */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 1);
	if (r64(b, 0x10) & 2) {
		KTAP_CHECK(submit(b, 2 | 2 << 4 | 1 << 16, 0));
	} else {
		w64(b, (r64(b, 0x10) >> 8 & 0x3ff) * 16 + 8, BIT(63) | BIT(61) | UINT64_C(1) << 32);
	}
	FAULTS(b, MODEL_READ, 0x1000, 0x06);
	KTAP_EQUAL(b->reports, 1);
}

static void all_work(void)
{
	for (unsigned i = 0; i < model_preset_count(); i++) {
		struct bench *b = bench_new(model_preset(i)->name);

		works(b);
		if (ktap_failed)
			printf("# preset %s\n", model_preset(i)->name);
		bench_end(b);
	}
}

static void all_seen(void)
{
	KTAP_CHECK(COUNT(seen) >= 30);
	for (unsigned i = 0; i < COUNT(seen); i++) {
		const bool counters = seen[i].ecap >> 51 & 1;
		const struct model_config config = {
			.name = "seen",
			.version = seen[i].version,
			.cap = seen[i].cap,
			.ecap = seen[i].ecap,
			.haw = 39,
			.pmr_shift = 21,
			.counters = counters ? 8 : 0,
			.eccap3 = counters ? UINT64_C(0x003f000000000000) : 0,
			.sanitize = true,
		};
		const char *why = model_config_check(&config);
		struct bench *b;

		KTAP_CHECK(!why);
		if (why) {
			printf("# cap %#llx ecap %#llx: %s\n", (unsigned long long)config.cap,
			       (unsigned long long)config.ecap, why);
			continue;
		}
		b = bench_make(&config);
		works(b);
		if (ktap_failed)
			printf("# cap %#llx ecap %#llx\n", (unsigned long long)config.cap,
			       (unsigned long long)config.ecap);
		bench_end(b);
	}
}

/* Revision 2.x: what belongs to its extended mode is not offered, PASIDs least of all. */
static void extended_mode(void)
{
	struct bench *b = bench_new("skylake-graphics");
	struct model_config config = *model_preset_find("skylake-graphics");
	const struct model_request request = {
		.requester = DEVICE, .has_pasid = true, .pasid = 1, .address = 0x1000};

	KTAP_EQUAL(r64(b, 0x10), 0x19e2ff0505e);
	KTAP_EQUAL(r64(b, 0x100), 0); /* no MTRRs */
	w64(b, 0x20, ~UINT64_C(0));
	KTAP_EQUAL(r64(b, 0x20), ~UINT64_C(0xfff)); /* no TTM */
	w64(b, 0x20, 0);
	works(b);
	KTAP_EQUAL(ask(b, &request).fault, 0x31);
	bench_end(b);
	config.ecap &= ~BIT(24); /* without ECS the same bits make no sense */
	KTAP_CHECK(model_config_check(&config) != NULL);
}

static void noncoherent(void)
{
	struct bench *b = bench_new("nesting-noncoherent");

	b->split = true;
	legacy_tables(b, 2);
	put(b, way(b, TABLES, 4, 0x1000, 1, 3), 0x80000 | 3);
	start(b, 0);
	FAULTS(b, MODEL_READ, 0x1000, 0x01); /* nothing was cleaned: the unit sees no root entry */
	KTAP_EQUAL(b->kinds[MODEL_REPORT_NOT_CLEANED], 1);
	bench_clean(b, 0, BENCH_BYTES);
	READS(b, 0x1000, 0x80000);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"each preset is what its name says", claims},
	{"names are unique and found whole only", apart},
	{"presets of real units are real", real},
	{"each preset translates, remembers and forgets", all_work},
	{"each pair of registers seen on a machine makes a unit that works", all_seen},
	{"revision 2.x: its extended mode is absent", extended_mode},
	{"the non-coherent preset sees memory as it was cleaned", noncoherent},
};

KTAP_MAIN(cases)
