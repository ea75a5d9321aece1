/* SPDX-License-Identifier: MIT */
/*
 * Fault reasons of the model (Table 30): each provoked by one change to good tables, for
 * every kind of request that can meet it, with the answer that the table asks for, the
 * record that is written, and what fault processing disable (FPD) keeps out of the
 * records.
 */
#include "tests/unit/model_reason_rows.h"

enum { RECORDS = 0x800 };

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
		.pasid = !row->pasid   ? 0
	                 : row->number ? row->number
	                               : 7,
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

	KTAP_EQUAL(model_dma(b->unit, &request, &b->result), wanted(answer) == MODEL_SUCCESS);
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
		0x82, /* revision 4.x only: model_first_stage_test */
		0x60, /* host permission table: not modelled, refused by the shape */
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

static const struct ktap_case cases[] = {
	{"each reason: its mistake, its answers, its record, FPD", reasons},
	{"no reason is left out", all_there},
	{"scalable mode on a unit without it", mode_without_capability},
};

KTAP_MAIN(cases)
