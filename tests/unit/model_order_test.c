/* SPDX-License-Identifier: MIT */
/*
 * The order in which the model finds mistakes when several are there at once: every
 * mistake is made, and put right one after the other from the root down (4.2, Table 30).
 */
#include "tests/unit/model_scalable.h"

#define LEGACY_AT      (CONTEXT + DEVICE * 16)
#define TRANSLATING(n) (TABLES | (n) << 2 | 1)
#define ENTRY          (PASIDS + 7 * 64)
#define ENTRY0(p)      (TABLES | 2 << 2 | (uint64_t)(p) << 6 | 1)
#define SM             (DIRECTORY | 0x1d)
#define EPTR           BIT(6)

struct rung {
	uint8_t reason;
	uint64_t at, broken;
	uint64_t fail;
};

static struct bench *ladder_bench(void)
{
	struct model_config config = *model_preset_find("nesting");

	config.policy = MODEL_POLICY_NONE;
	config.sanitize = false;
	return bench_make(&config);
}

/* All mistakes are made; they are found in this order as one after the other is put right. */
static void climb(struct bench *b, const struct rung *rungs, unsigned count,
                  const struct model_request *request)
{
	uint64_t good[32];

	for (unsigned i = 0; i < count; i++)
		good[i] = get(b, rungs[i].at);
	for (unsigned i = count; i-- > 0;)
		put(b, rungs[i].at, rungs[i].broken);
	for (unsigned i = 0; i < count; i++) {
		b->fail = rungs[i].fail;
		ask(b, request);
		KTAP_EQUAL(b->result.fault, rungs[i].reason);
		b->fail = 0;
		/* the next mistake of the same word, or the good value */
		put(b, rungs[i].at, good[i]);
		for (unsigned k = i + 1; k < count; k++)
			if (rungs[k].at == rungs[i].at) {
				put(b, rungs[k].at, rungs[k].broken);
				break;
			}
	}
	ask(b, request);
	KTAP_EQUAL(b->result.fault, 0);
	KTAP_EQUAL(b->result.response, MODEL_SUCCESS);
}

static void order_scalable(void)
{
	const struct model_request request = {.requester = DEVICE,
	                                      .has_pasid = true,
	                                      .pasid = 7,
	                                      .privileged = true,
	                                      .address = IOVA,
	                                      .bytes = 8,
	                                      .access = MODEL_WRITE};
	static const struct rung rungs[] = {
		{0x38, ROOT, 0, ROOT},
		{0x39, ROOT, 0xff0, 0},
		{0x3a, ROOT, CONTEXT | 0xff1, 0},
		{0x40, ROOT, CONTEXT | 1, CONTEXT},
		{0x41, CONTEXT_AT, 0xff0, 0},
		{0x42, CONTEXT_AT, DIRECTORY | 0x1a1, 0}, /* and PRE is without DTE, PASIDE 0 */
		{0x43, CONTEXT_AT, DIRECTORY | 0x11, 0},  /* PASIDE is 0, too */
		{0x45, CONTEXT_AT, DIRECTORY | 0x15, 0},
		{0x50, CONTEXT_AT, SM, DIRECTORY},
		{0x51, DIRECTORY, 0xff0, 0},
		{0x52, DIRECTORY, PASIDS | 0xff1, 0},
		{0x58, DIRECTORY, PASIDS | 1, PASIDS},
		{0x59, ENTRY, 0xff0, 0},
		{0x5a, ENTRY, ENTRY0(7) | 0x20, 0}, /* and PGTT is invalid */
		{0x5b, ENTRY, ENTRY0(7), 0},
		{0x5d, ENTRY + 16, FIRST, 0}, /* SRE is 0 */
		{0x7b, ENTRY, ENTRY0(3), TABLES},
		{0x75, TABLES + 0x3000 + 0x20 * 8, FIRST | 2, 0},
		{0x73, ENTRY, ENTRY0(3), FIRST},
		{0x71, FIRST_LEAF, GUEST | 0x86, 0},
		{0x74, FIRST_LEAF, GUEST | BIT(50) | 1, 0},
		{0x79, GUEST_LEAF, HOST, 0},
		{0x7a, GUEST_LEAF, 0xfee00001 | BIT(62), 0},
		{0x85, GUEST_LEAF, 0xfee00001, 0},
		{0x87, GUEST_LEAF, 0xfee00003, 0},
	};
	struct bench *b = ladder_bench();

	scalable_tables(b, NESTED, 0, 0, SRE);
	start(b, SCALABLE_MODE);
	climb(b, rungs, sizeof(rungs) / sizeof(rungs[0]), &request);
	bench_end(b);
}

static void order_legacy(void)
{
	const struct model_request request = {
		.requester = DEVICE, .address = IOVA, .bytes = 8, .access = MODEL_WRITE};
	static const struct rung rungs[] = {
		{0x08, ROOT, 0, ROOT},
		{0x01, ROOT, 0xff0, 0},
		{0x0a, ROOT, CONTEXT | 0xff1, 0},
		{0x09, ROOT, CONTEXT | 1, CONTEXT},
		{0x02, LEGACY_AT, 0xff0, 0},
		{0x0b, LEGACY_AT, TRANSLATING(3) | 0x10, 0},
		{0x03, LEGACY_AT, TRANSLATING(3), 0},
		{0x07, LEGACY_AT, TRANSLATING(1), TABLES + 0x3000},
		{0x05, SECOND_LEAF, 0xfee00001, 0},
		{0x0e, SECOND_LEAF, 0xfee00003, 0},
	};
	struct bench *b = ladder_bench();

	legacy_tables(b, 2);
	put(b, LEGACY_AT, TRANSLATING(1));
	page_tables(b, SECOND_STAGE);
	start(b, LEGACY_MODE);
	climb(b, rungs, sizeof(rungs) / sizeof(rungs[0]), &request);
	bench_end(b);
}

/* Which refusal comes first when the context entry allows nothing of what is asked. */
static void order_allowed(void)
{
	struct bench *b = ladder_bench();
	struct model_request request = {.kind = MODEL_PAGE_REQUEST,
	                                .requester = DEVICE,
	                                .has_pasid = true,
	                                .pasid = 0x2000,
	                                .address = IOVA,
	                                .last = true};

	scalable_tables(b, SECOND_STAGE, 0, 0, 0);
	start(b, SCALABLE_MODE);
	put(b, CONTEXT_AT, DIRECTORY | 1);
	KTAP_EQUAL(ask(b, &request).fault, 0x47);
	request.kind = MODEL_TRANSLATED;
	KTAP_EQUAL(ask(b, &request).fault, 0x44);
	put(b, CONTEXT_AT, DIRECTORY | 5);
	KTAP_EQUAL(ask(b, &request).fault, 0x49);
	request.kind = MODEL_TRANSLATION;
	KTAP_EQUAL(ask(b, &request).fault, 0x45);
	put(b, CONTEXT_AT, DIRECTORY | 0xd);
	KTAP_EQUAL(ask(b, &request).fault, 0x46);
	/* the width of the address before the tables */
	request = (struct model_request){.requester = DEVICE, .address = BIT(60), .bytes = 8};
	b->fail = TABLES;
	KTAP_EQUAL(ask(b, &request).fault, 0x84);
	pasid_entry(b, 0, FIRST_STAGE, 0, 0, 0);
	b->fail = FIRST;
	KTAP_EQUAL(ask(b, &request).fault, 0x80);
	bench_end(b);
}

static const struct ktap_case cases[] = {
	{"scalable and nested", order_scalable},
	{"legacy", order_legacy},
	{"what the context entry allows", order_allowed},
};

KTAP_MAIN(cases)
