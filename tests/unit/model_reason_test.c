/* SPDX-License-Identifier: MIT */
/*
 * Fault reasons of the model (Table 30): each provoked by one change to good tables, for
 * every kind of request that can meet it, with the answer that the table asks for, the
 * record that is written, and what fault processing disable (FPD) keeps out of the
 * records. Then the order in which mistakes are found when several are there at once.
 */
#include "tests/unit/model_scalable.h"

enum { RECORDS = 0x800 };

struct row {
	uint8_t reason;
	const char *answers; /* untranslated, translation, translated, page request */
	bool unqualified;
	unsigned pgtt; /* 0: legacy */
	uint64_t at, value, at2, value2;
	uint64_t fail;
	uint64_t address; /* 0: IOVA */
	enum model_access access;
	bool pasid, execute, privileged, swap_fails;
	uint32_t number; /* the PASID; 0: 7 */
	uint64_t mode;   /* what RTADDR is changed to below the table's address; 1: as built */
	uint64_t e0, e1, e2;
	uint64_t ecap_set, ecap_clear;
	uint32_t version;
};

#define LEGACY_AT (CONTEXT + DEVICE * 16)
#define TRANSLATING(n) (TABLES | (n) << 2 | 1)
#define ENTRY     (PASIDS + 7 * 64)
#define ENTRY0(p) (TABLES | 2 << 2 | (uint64_t)(p) << 6 | 1)
#define SM        (DIRECTORY | 0x1d)
#define EPTR      BIT(6)

static const struct row rows[] = {
	/* legacy: LRT, LCT, LSS, LGN */
	{.reason = 0x01, .answers = "UUU-", .unqualified = true, .at = ROOT, .value = 0},
	{.reason = 0x01, .answers = "UUU-", .unqualified = true, .at = ROOT, .value = 0xff00},
	{.reason = 0x02, .answers = "UUU-", .at = LEGACY_AT, .value = 0},
	{.reason = 0x02, .answers = "UUU-", .at = LEGACY_AT, .value = 0xf0},
	{.reason = 0x03, .answers = "UCU-", .at = LEGACY_AT, .value = TRANSLATING(3)},
	{.reason = 0x03, .answers = "UCU-", .at = LEGACY_AT + 8, .value = DID << 8 | 0},
	{.reason = 0x03, .answers = "UCU-", .at = LEGACY_AT + 8, .value = DID << 8 | 4},
	{.reason = 0x03, .answers = "UC--", .fail = TABLES},
	{.reason = 0x04, .answers = "U0--", .address = BIT(48)},
	{.reason = 0x04, .answers = "--U-", .address = BIT(52)},
	{.reason = 0x05, .answers = "UE--", .at = SECOND_LEAF, .value = HOST | 1,
	 .access = MODEL_WRITE},
	{.reason = 0x05, .answers = "UE--", .at = SECOND_LEAF, .value = HOST | 1,
	 .access = MODEL_ATOMIC},
	{.reason = 0x05, .answers = "UE--", .at = SECOND_LEAF, .value = 0, .access = MODEL_WRITE},
	{.reason = 0x06, .answers = "UE--", .at = SECOND_LEAF, .value = HOST | 2},
	{.reason = 0x06, .answers = "UE--", .at = SECOND_LEAF, .value = HOST | 2,
	 .access = MODEL_ATOMIC},
	{.reason = 0x06, .answers = "UE--", .at = SECOND_LEAF, .value = 0},
	{.reason = 0x07, .answers = "UC--", .fail = TABLES + 0x1000},
	{.reason = 0x07, .answers = "UC--", .fail = TABLES + 0x3000},
	{.reason = 0x08, .answers = "UCU-", .unqualified = true, .fail = ROOT},
	{.reason = 0x09, .answers = "UCU-", .unqualified = true, .fail = CONTEXT},
	{.reason = 0x0a, .answers = "UCU-", .unqualified = true, .at = ROOT,
	 .value = CONTEXT | 3},
	{.reason = 0x0b, .answers = "UCU-", .at = LEGACY_AT, .value = TRANSLATING(1) | 0x10},
	{.reason = 0x0c, .answers = "UC--", .at = SECOND_LEAF, .value = HOST | 3 | BIT(62)},
	{.reason = 0x0d, .answers = "-UU-", .at = LEGACY_AT, .value = TRANSLATING(0)},
	{.reason = 0x0e, .answers = "UC--", .at = SECOND_LEAF, .value = 0xfee00003},
	{.reason = 0x0e, .answers = "--U-", .address = 0xfee00000},
	/* the root register: RTA */
	{.reason = 0x30, .answers = "UCUI", .unqualified = true, .mode = RESERVED_MODE << 10},
	{.reason = 0x30, .answers = "UCUI", .unqualified = true, .mode = BIT(7),
	 .ecap_set = BIT(57)},
	{.reason = 0x30, .answers = "UCUI", .unqualified = true, .mode = ABORT_MODE << 10,
	 .ecap_clear = BIT(52)},
	{.reason = 0x31, .answers = "UUU-", .unqualified = true, .pasid = true},
	{.reason = 0x32, .answers = "---I", .unqualified = true},
	{.reason = 0x33, .answers = "UUUI", .unqualified = true, .mode = ABORT_MODE << 10},
	{.reason = 0x34, .answers = "UUU-", .unqualified = true, .pgtt = SECOND_STAGE,
	 .pasid = true, .execute = true, .version = 0x80},
	/* scalable root: SRT */
	{.reason = 0x38, .answers = "UCUI", .unqualified = true, .pgtt = SECOND_STAGE,
	 .fail = ROOT},
	{.reason = 0x39, .answers = "UUUI", .unqualified = true, .pgtt = SECOND_STAGE, .at = ROOT,
	 .value = 0xff0},
	{.reason = 0x3a, .answers = "UCUI", .unqualified = true, .pgtt = SECOND_STAGE, .at = ROOT,
	 .value = CONTEXT | 3},
	{.reason = 0x3a, .answers = "UCUI", .unqualified = true, .pgtt = SECOND_STAGE, .at = ROOT,
	 .value = CONTEXT | 1 | BIT(52)},
	{.reason = 0x3a, .answers = "UCUI", .unqualified = true, .pgtt = SECOND_STAGE,
	 .at = ROOT + 8, .value = CONTEXT_HIGH | 3},
	/* scalable context: SCT */
	{.reason = 0x40, .answers = "UCUI", .unqualified = true, .pgtt = SECOND_STAGE,
	 .fail = CONTEXT},
	{.reason = 0x41, .answers = "UUUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT, .value = 0x80},
	{.reason = 0x42, .answers = "UCUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = SM | BIT(7)},
	{.reason = 0x42, .answers = "UCUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = SM | BIT(5)},
	{.reason = 0x42, .answers = "UCUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = SM | BIT(52)},
	{.reason = 0x42, .answers = "UCUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT + 8,
	 .value = BIT(21)},
	{.reason = 0x42, .answers = "UCUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT + 16,
	 .value = 1},
	{.reason = 0x42, .answers = "UCUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT + 24,
	 .value = BIT(63)},
	{.reason = 0x43, .answers = "UCUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = DIRECTORY | 0x19},
	{.reason = 0x43, .answers = "UCUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = DIRECTORY | EPTR | 5},
	{.reason = 0x43, .answers = "UCUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT + 8,
	 .value = 0x2000},
	{.reason = 0x44, .answers = "-UU-", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = DIRECTORY | 9},
	{.reason = 0x45, .answers = "UU-I", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = DIRECTORY | 0x15, .pasid = true},
	{.reason = 0x46, .answers = "UUUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = SM | EPTR, .pasid = true, .number = 0x2000},
	{.reason = 0x47, .answers = "---I", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = DIRECTORY | 0xd},
	{.reason = 0x48, .answers = "UUUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = SM | EPTR, .at2 = CONTEXT_AT + 8, .value2 = 7, .pasid = true},
	{.reason = 0x49, .answers = "--U-", .pgtt = SECOND_STAGE, .pasid = true},
	/* PASID directory and table: SPD, SPT */
	{.reason = 0x50, .answers = "UC-I", .unqualified = true, .pgtt = SECOND_STAGE,
	 .pasid = true, .fail = DIRECTORY},
	{.reason = 0x51, .answers = "U0-I", .pgtt = SECOND_STAGE, .pasid = true, .at = DIRECTORY,
	 .value = 0xf00},
	{.reason = 0x52, .answers = "UC-I", .pgtt = SECOND_STAGE, .pasid = true, .at = DIRECTORY,
	 .value = PASIDS | 5},
	{.reason = 0x52, .answers = "UC-I", .pgtt = SECOND_STAGE, .pasid = true, .at = DIRECTORY,
	 .value = PASIDS | 1 | BIT(52)},
	{.reason = 0x58, .answers = "UC-I", .unqualified = true, .pgtt = SECOND_STAGE,
	 .pasid = true, .fail = PASIDS},
	{.reason = 0x59, .answers = "U0-I", .pgtt = SECOND_STAGE, .pasid = true, .at = ENTRY,
	 .value = 0x20},
	{.reason = 0x5a, .answers = "UC-I", .pgtt = SECOND_STAGE, .pasid = true, .at = ENTRY,
	 .value = ENTRY0(2) | BIT(5)},
	{.reason = 0x5a, .answers = "UC-I", .pgtt = SECOND_STAGE, .pasid = true, .at = ENTRY,
	 .value = ENTRY0(2) | BIT(52)},
	{.reason = 0x5a, .answers = "UC-I", .pgtt = FIRST_STAGE, .pasid = true, .at = ENTRY + 8,
	 .value = DID | BIT(16)},
	{.reason = 0x5a, .answers = "UC-I", .pgtt = FIRST_STAGE, .pasid = true, .at = ENTRY + 8,
	 .value = DID | BIT(31)},
	{.reason = 0x5a, .answers = "UC-I", .pgtt = FIRST_STAGE, .pasid = true, .at = ENTRY + 16,
	 .value = FIRST | BIT(1)},
	{.reason = 0x5a, .answers = "UC-I", .pgtt = FIRST_STAGE, .pasid = true, .at = ENTRY + 16,
	 .value = FIRST | BIT(52)},
	{.reason = 0x5a, .answers = "UC-I", .pgtt = SECOND_STAGE, .pasid = true, .at = ENTRY + 24,
	 .value = 1},
	{.reason = 0x5a, .answers = "UC-I", .pgtt = SECOND_STAGE, .pasid = true, .at = ENTRY + 56,
	 .value = BIT(63)},
	{.reason = 0x5b, .answers = "UC-I", .pgtt = SECOND_STAGE, .pasid = true, .at = ENTRY,
	 .value = ENTRY0(0)},
	{.reason = 0x5b, .answers = "UC-I", .pgtt = SECOND_STAGE, .pasid = true, .at = ENTRY,
	 .value = ENTRY0(5)},
	{.reason = 0x5b, .answers = "UC-I", .pgtt = SECOND_STAGE, .pasid = true, .at = ENTRY,
	 .value = ENTRY0(2) ^ 2 << 2},
	{.reason = 0x5b, .answers = "UC-I", .pgtt = FIRST_STAGE, .pasid = true, .at = ENTRY + 16,
	 .value = FIRST | 2 << 2},
	{.reason = 0x5b, .answers = "UC-I", .pgtt = NESTED, .pasid = true, .at = ENTRY + 16,
	 .value = FIRST | BIT(48)},
	{.reason = 0x5c, .answers = "U0--", .pgtt = SECOND_STAGE, .pasid = true, .execute = true},
	{.reason = 0x5d, .answers = "U0--", .pgtt = FIRST_STAGE, .pasid = true,
	 .privileged = true},
	{.reason = 0x5d, .answers = "U0--", .pgtt = NESTED, .pasid = true, .privileged = true},
	{.reason = 0x5d, .answers = "U0--", .pgtt = FIRST_STAGE, .at = CONTEXT_AT + 8,
	 .value = BIT(20)},
	/* first stage: SFS */
	{.reason = 0x70, .answers = "U0--", .pgtt = FIRST_STAGE, .fail = FIRST + 0x1000},
	{.reason = 0x71, .answers = "U0--", .pgtt = FIRST_STAGE, .at = FIRST_LEAF,
	 .value = GUEST | 6 | BIT(51)},
	{.reason = 0x71, .answers = "U0--", .pgtt = FIRST_STAGE, .at = FIRST, .value = 0},
	{.reason = 0x72, .answers = "U0--", .pgtt = FIRST_STAGE, .at = FIRST,
	 .value = (FIRST + 0x1000) | 0x87},
	{.reason = 0x72, .answers = "U0--", .pgtt = FIRST_STAGE, .at = FIRST + 0x1000,
	 .value = 0x40002000 | 0x87},
	{.reason = 0x72, .answers = "U0--", .pgtt = FIRST_STAGE, .at = FIRST + 0x2000,
	 .value = 0x202000 | 0x87},
	{.reason = 0x73, .answers = "U0--", .pgtt = FIRST_STAGE, .fail = FIRST},
	{.reason = 0x74, .answers = "U0--", .pgtt = NESTED, .at = FIRST_LEAF,
	 .value = GUEST | 7 | BIT(48)},
	{.reason = 0x74, .answers = "U0--", .pgtt = NESTED, .at = FIRST + 0x1000,
	 .value = (FIRST + 0x2000) | 7 | BIT(51)},
	{.reason = 0x75, .answers = "U0--", .pgtt = NESTED, .at = TABLES + 0x3000 + 0x20 * 8,
	 .value = FIRST | 2},
	{.reason = 0x75, .answers = "U0--", .pgtt = NESTED, .at = TABLES + 0x3000 + 0x20 * 8,
	 .value = FIRST | 1, .e0 = SSADE},
	{.reason = 0x76, .answers = "U0--", .pgtt = NESTED, .at = TABLES + 0x3000 + 0x22 * 8,
	 .value = (FIRST + 0x2000) | 2},
	{.reason = 0x76, .answers = "U0--", .pgtt = NESTED, .at = TABLES + 0x3000 + 0x22 * 8,
	 .value = (FIRST + 0x2000) | 1, .e0 = SSADE},
	{.reason = 0x77, .answers = "U0--", .pgtt = NESTED, .at = TABLES + 0x3000 + 0x23 * 8,
	 .value = (FIRST + 0x3000) | 1},
	{.reason = 0x90, .answers = "U0--", .pgtt = FIRST_STAGE, .e1 = PWSNP},
	{.reason = 0x91, .answers = "UL--", .pgtt = FIRST_STAGE, .swap_fails = true},
	/* second stage: SSS */
	{.reason = 0x78, .answers = "UC--", .pgtt = SECOND_STAGE, .fail = TABLES + 0x2000},
	{.reason = 0x78, .answers = "UC--", .pgtt = NESTED, .fail = TABLES + 0x3000},
	{.reason = 0x79, .answers = "U0--", .pgtt = SECOND_STAGE, .at = SECOND_LEAF, .value = 0x80},
	{.reason = 0x79, .answers = "U0--", .pgtt = SECOND_STAGE, .at = TABLES + 0x1000,
	 .value = (TABLES + 0x2000) | 1, .at2 = SECOND_LEAF, .value2 = HOST | 2},
	{.reason = 0x79, .answers = "U0--", .pgtt = NESTED, .at = GUEST_LEAF, .value = HOST},
	{.reason = 0x79, .answers = "U0--", .pgtt = NESTED, .at = TABLES + 0x3000 + 0x21 * 8,
	 .value = 0},
	{.reason = 0x7a, .answers = "UC--", .pgtt = SECOND_STAGE, .at = SECOND_LEAF,
	 .value = HOST | 3 | BIT(62)},
	{.reason = 0x7a, .answers = "UC--", .pgtt = NESTED, .at = GUEST_LEAF,
	 .value = HOST | 3 | BIT(62)},
	{.reason = 0x7b, .answers = "UC--", .pgtt = SECOND_STAGE, .fail = TABLES},
	{.reason = 0x7b, .answers = "UC--", .pgtt = NESTED, .fail = TABLES},
	{.reason = 0x7c, .answers = "UC--", .pgtt = SECOND_STAGE, .e0 = SSADE, .e1 = PWSNP},
	{.reason = 0x7d, .answers = "UC--", .pgtt = SECOND_STAGE, .e0 = SSADE,
	 .swap_fails = true},
	/* general: SGN */
	{.reason = 0x80, .answers = "U0--", .pgtt = FIRST_STAGE, .address = BIT(47)},
	{.reason = 0x80, .answers = "U0--", .pgtt = FIRST_STAGE, .address = BIT(63)},
	{.reason = 0x80, .answers = "U0--", .pgtt = NESTED, .address = UINT64_C(0xffff000000000000)},
	{.reason = 0x80, .answers = "U0--", .pgtt = FIRST_STAGE, .address = BIT(56), .e2 = 1 << 2},
	{.reason = 0x81, .answers = "U0--", .pgtt = FIRST_STAGE, .at = FIRST_LEAF,
	 .value = GUEST | 3},
	{.reason = 0x81, .answers = "U0--", .pgtt = NESTED, .at = FIRST,
	 .value = (FIRST + 0x1000) | 3},
	{.reason = 0x83, .answers = "U0U-", .pgtt = PASS, .address = BIT(52)},
	{.reason = 0x83, .answers = "--U-", .pgtt = FIRST_STAGE, .address = BIT(63)},
	{.reason = 0x84, .answers = "U0--", .pgtt = SECOND_STAGE, .address = BIT(48)},
	{.reason = 0x85, .answers = "UE--", .pgtt = SECOND_STAGE, .at = SECOND_LEAF,
	 .value = HOST | 1, .access = MODEL_WRITE},
	{.reason = 0x85, .answers = "UE--", .pgtt = FIRST_STAGE, .at = FIRST_LEAF,
	 .value = GUEST | 5, .access = MODEL_ATOMIC},
	{.reason = 0x85, .answers = "UE--", .pgtt = NESTED, .at = FIRST, .value = (FIRST + 0x1000) | 5,
	 .access = MODEL_WRITE},
	{.reason = 0x85, .answers = "UE--", .pgtt = NESTED, .at = GUEST_LEAF, .value = HOST | 1,
	 .access = MODEL_WRITE},
	{.reason = 0x86, .answers = "UE--", .pgtt = SECOND_STAGE, .at = SECOND_LEAF,
	 .value = HOST | 2},
	{.reason = 0x86, .answers = "UE--", .pgtt = NESTED, .at = GUEST_LEAF, .value = HOST | 2,
	 .access = MODEL_ATOMIC},
	{.reason = 0x87, .answers = "UC--", .pgtt = SECOND_STAGE, .at = SECOND_LEAF,
	 .value = 0xfee01003},
	{.reason = 0x87, .answers = "UC--", .pgtt = FIRST_STAGE, .at = FIRST_LEAF,
	 .value = 0xfee01007},
	{.reason = 0x87, .answers = "UC--", .pgtt = NESTED, .at = GUEST_LEAF, .value = 0xfee01003},
	{.reason = 0x87, .answers = "UC--", .pgtt = PASS, .address = 0xfee00000, .pasid = true},
	{.reason = 0x87, .answers = "--U-", .pgtt = SECOND_STAGE, .address = 0xfee00000},
	{.reason = 0x89, .answers = "UUUI", .pgtt = SECOND_STAGE, .at = CONTEXT_AT,
	 .value = SM | EPTR, .pasid = true, .number = 0x400, .ecap_clear = BIT(39) | BIT(36)},
};

static struct bench *build(const struct row *row)
{
	struct model_config config = *model_preset_find("nesting");
	struct bench *b;

	config.ecap = (config.ecap | row->ecap_set) & ~row->ecap_clear;
	config.version = row->version ? row->version : config.version;
	b = bench_make(&config);
	if (row->pgtt) {
		scalable_tables(b, row->pgtt, row->e0, row->e1, row->e2);
	} else {
		legacy_tables(b, 2);
		put(b, LEGACY_AT, TRANSLATING(1));
		page_tables(b, SECOND_STAGE);
	}
	if (row->at)
		put(b, row->at, row->value);
	if (row->at2)
		put(b, row->at2, row->value2);
	start(b, row->pgtt ? SCALABLE_MODE : LEGACY_MODE);
	if (row->mode)
		latch(b, ROOT | row->mode);
	b->fail = row->fail;
	b->swap_fails = row->swap_fails;
	return b;
}

static struct model_request request_for(const struct row *row, unsigned kind)
{
	return (struct model_request){
		.kind = (enum model_request_kind)kind,
		.access = row->access,
		.requester = DEVICE,
		.has_pasid = row->pasid,
		.pasid = !row->pasid ? 0 : row->number ? row->number : 7,
		.privileged = row->privileged,
		.execute = row->execute,
		.address = (row->address ? row->address : IOVA) + 0x10,
		.bytes = kind == MODEL_UNTRANSLATED || kind == MODEL_TRANSLATED ? 8 : 0,
		.page_read = true,
		.last = true,
	};
}

static enum model_response wanted(char answer)
{
	switch (answer) {
	case 'U':
		return MODEL_UNSUPPORTED;
	case 'C':
		return MODEL_ABORT;
	case 'I':
		return MODEL_INVALID_REQUEST;
	default:
		return MODEL_SUCCESS;
	}
}

/* All fields of the record, by 11.4.7. */
static void check_record(struct bench *b, const struct row *row, const struct model_request *r)
{
	uint64_t low = r64(b, RECORDS), high = r64(b, RECORDS + 8);
	bool reads = r->kind == MODEL_TRANSLATION ||
		     (r->kind != MODEL_PAGE_REQUEST && r->access != MODEL_WRITE);
	bool t2 = r->kind == MODEL_PAGE_REQUEST ||
		  (r->kind != MODEL_TRANSLATION && r->access == MODEL_ATOMIC);

	KTAP_CHECK(high >> 63);
	KTAP_EQUAL(high >> 32 & 0xff, row->reason);
	KTAP_EQUAL(high & 0xffff, DEVICE);
	KTAP_EQUAL(low, r->address & ~UINT64_C(0xfff));
	KTAP_EQUAL(high >> 31 & 1, row->pasid);
	KTAP_EQUAL(high >> 40 & 0xfffff, r->pasid);
	KTAP_EQUAL(high >> 30 & 1, row->execute);
	KTAP_EQUAL(high >> 29 & 1, row->privileged);
	KTAP_EQUAL(high >> 60 & 3, r->kind == MODEL_PAGE_REQUEST ? 0 : (unsigned)r->kind);
	KTAP_EQUAL(high >> 62 & 1, reads);
	KTAP_EQUAL(high >> 28 & 1, t2);
}

static void present(const struct row *row, unsigned kind, char answer)
{
	struct bench *b = build(row);
	const struct model_request request = request_for(row, kind);
	bool logged = strchr("UCLI", answer);

	KTAP_EQUAL(model_dma(b->unit, &request, &b->result),
		   wanted(answer) == MODEL_SUCCESS);
	KTAP_EQUAL(b->result.response, wanted(answer));
	KTAP_EQUAL(b->result.fault, answer == 'E' ? 0 : row->reason);
	KTAP_EQUAL(b->result.logged, logged);
	KTAP_EQUAL(b->faults, logged);
	KTAP_CHECK(!b->result.read || !b->result.write);
	if (answer != 'E')
		KTAP_CHECK(!b->result.read && !b->result.write && !b->result.execute);
	if (logged)
		check_record(b, row, &request);
	KTAP_EQUAL(b->kinds[MODEL_REPORT_STALE], 0);
	bench_end(b);
}

/* FPD in one entry on the way: the request is still blocked, the record is not written. */
static void suppressed(const struct row *row, unsigned kind, uint64_t entry, bool counts)
{
	struct row changed = *row;
	const struct model_request request = request_for(row, kind);
	struct bench *b = build(&changed);

	put(b, entry, get(b, entry) | 2);
	model_dma(b->unit, &request, &b->result);
	KTAP_EQUAL(b->result.fault, row->reason);
	KTAP_EQUAL(b->result.logged, !counts);
	KTAP_EQUAL(b->faults, !counts);
	bench_end(b);
}

static void fault_disable(const struct row *row, unsigned kind)
{
	uint8_t reason = row->reason;
	bool request_check = (reason >= 0x44 && reason <= 0x49) || reason == 0x89;
	bool translated = kind == MODEL_TRANSLATED;

	if (row->mode || reason == 0x31 || reason == 0x32 || reason == 0x34)
		return; /* no entry is read at all */
	if (reason == 0x01 || reason == 0x08 || reason == 0x0a ||
	    (reason >= 0x38 && reason <= 0x40) || reason == 0x09)
		return; /* no context entry is read */
	suppressed(row, kind, row->pgtt ? CONTEXT_AT : LEGACY_AT, !row->unqualified);
	if (!row->pgtt || reason < 0x51 || request_check || translated)
		return;
	suppressed(row, kind, DIRECTORY, !row->unqualified);
	if (reason >= 0x59)
		suppressed(row, kind, pasid_at(row->pasid ? 7 : 0), true);
}

static void reasons(void)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool tried = false;

		for (unsigned kind = 0; kind < 4; kind++) {
			char answer = rows[i].answers[kind];
			bool before = ktap_failed;

			if (answer == '-')
				continue;
			present(&rows[i], kind, answer);
			if (!tried && strchr("UCI", answer))
				fault_disable(&rows[i], kind);
			tried = tried || strchr("UCI", answer);
			if (ktap_failed && !before)
				printf("# row %u, reason %#x, kind %u\n", i, rows[i].reason, kind);
		}
		KTAP_CHECK(tried);
		KTAP_CHECK(strcmp(model_fault_name(rows[i].reason), "unknown") != 0);
	}
}

/* Every reason that requests of memory can have is in the table above. */
static void all_there(void)
{
	static const uint8_t elsewhere[] = {
		0x82,             /* revision 4.x only: model_first_stage_test */
		0x60,             /* host permission table: not modelled, refused by the shape */
		0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5,
	};

	for (unsigned reason = 1; reason < 256; reason++) {
		bool found = !strcmp(model_fault_name((uint8_t)reason), "unknown") ||
			     (reason >= 0x20 && reason <= 0x2b); /* model_interrupt_test */

		for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			found = found || rows[i].reason == reason;
		for (unsigned i = 0; i < sizeof(elsewhere); i++)
			found = found || elsewhere[i] == reason;
		if (!found)
			printf("# reason %#x has no row\n", reason);
		KTAP_CHECK(found);
	}
}

/* A unit without scalable mode that is put into it. */
static void mode_without_capability(void)
{
	struct model_config config = *model_preset_find("qemu-10.0");
	struct bench *b;

	config.ecap |= BIT(52); /* abort mode: the field exists */
	b = bench_make(&config);
	legacy_tables(b, 2);
	start(b, LEGACY_MODE);
	latch(b, ROOT | SCALABLE_MODE << 10);
	FAULTS(b, MODEL_READ, IOVA, 0x30);
	bench_end(b);
}

/* ---- several mistakes at once -------------------------------------------------------- */

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
	const struct model_request request = {.requester = DEVICE, .has_pasid = true, .pasid = 7,
					      .privileged = true, .address = IOVA, .bytes = 8,
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
	const struct model_request request = {.requester = DEVICE, .address = IOVA, .bytes = 8,
					      .access = MODEL_WRITE};
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
	struct model_request request = {.kind = MODEL_PAGE_REQUEST, .requester = DEVICE,
					.has_pasid = true, .pasid = 0x2000, .address = IOVA,
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
	{"each reason: its mistake, its answers, its record, FPD", reasons},
	{"no reason is left out", all_there},
	{"scalable mode on a unit without it", mode_without_capability},
	{"the order of the checks, scalable and nested", order_scalable},
	{"the order of the checks, legacy", order_legacy},
	{"the order of the checks of what is allowed", order_allowed},
};

KTAP_MAIN(cases)
