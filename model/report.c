/* SPDX-License-Identifier: MIT */
/*
 * Reports of the sanitizer: one line of text each, written without a C library.
 */
#include "model/unit.h"

void model_text_add(struct model_text *text, const char *words)
{
	while (*words && text->room > 1) {
		*text->at++ = *words++;
		text->room--;
	}
	*text->at = '\0';
}

static void add_digits(struct model_text *text, uint64_t value, unsigned base)
{
	char digits[21];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	model_text_add(text, &digits[at]);
}

void model_text_hex(struct model_text *text, uint64_t value)
{
	model_text_add(text, "0x");
	add_digits(text, value, 16);
}

void model_text_number(struct model_text *text, uint64_t value)
{
	add_digits(text, value, 10);
}

void model_text_entry(struct model_text *text, const struct model_origin *origin)
{
	static const char *const names[] = {
		[MODEL_ENTRY_NONE] = "no entry",
		[MODEL_ENTRY_ROOT] = "root entry",
		[MODEL_ENTRY_CONTEXT] = "context entry",
		[MODEL_ENTRY_DIRECTORY] = "PASID directory entry",
		[MODEL_ENTRY_PASID] = "PASID entry",
		[MODEL_ENTRY_FIRST] = "first-stage entry",
		[MODEL_ENTRY_SECOND] = "second-stage entry",
		[MODEL_ENTRY_INTERRUPT] = "interrupt entry",
	};

	model_text_add(text, names[origin->kind]);
	if (origin->level) {
		model_text_add(text, " of level ");
		model_text_number(text, origin->level);
	}
	model_text_add(text, " at ");
	model_text_hex(text, origin->address);
	model_text_add(text, " holds ");
	model_text_hex(text, origin->value);
}

const char *model_report_name(enum model_report_kind kind)
{
	static const char *const names[MODEL_REPORT_KINDS] = {
		[MODEL_REPORT_STALE] = "stale",
		[MODEL_REPORT_NOT_CLEANED] = "not-cleaned",
		[MODEL_REPORT_LIVE_CHANGE] = "live-change",
		[MODEL_REPORT_RESERVED] = "reserved",
		[MODEL_REPORT_FREED] = "freed",
		[MODEL_REPORT_REGISTER] = "register",
		[MODEL_REPORT_TAIL] = "tail",
		[MODEL_REPORT_UNFENCED] = "unfenced",
		[MODEL_REPORT_NOT_AWAITED] = "not-awaited",
		[MODEL_REPORT_STRUCTURE] = "structure",
	};

	return (unsigned)kind < MODEL_REPORT_KINDS ? names[kind] : "unknown";
}

bool model_sanitizing(const struct model_unit *unit)
{
	return unit->config.sanitize;
}

void model_report_send(struct model_unit *unit, enum model_report_kind kind,
                       struct model_report *report)
{
	struct model_event event = {.kind = MODEL_EVENT_REPORT, .report = report};

	if (!unit->config.sanitize || !(unit->config.report_mask >> (unsigned)kind & 1))
		return;
	report->kind = kind;
	unit->statistics.reports[kind]++;
	model_event_report(unit, &event);
}

static void add_requester(struct model_text *text, uint16_t requester)
{
	static const char hex[] = "0123456789abcdef";
	unsigned device = requester >> 3 & 31;
	char name[] = {hex[requester >> 12],
	               hex[requester >> 8 & 15],
	               ':',
	               hex[device >> 4],
	               hex[device & 15],
	               '.',
	               hex[requester & 7],
	               ' ',
	               '\0'};

	model_text_add(text, name);
}

static const char *action(const struct model_request *request)
{
	switch (request->kind) {
	case MODEL_TRANSLATION:
		return "translation request for ";
	case MODEL_TRANSLATED:
		return "translated request to ";
	case MODEL_PAGE_REQUEST:
		return "page request for ";
	default:
		return request->access == MODEL_READ    ? "read at "
		       : request->access == MODEL_WRITE ? "write at "
		                                        : "atomic access at ";
	}
}

void model_report_begin(struct model_report *report, struct model_text *text,
                        const struct model_walk *walk)
{
	memset(report, 0, sizeof(*report));
	*text = (struct model_text){report->text, sizeof(report->text)};
	model_text_add(text, "model: ");
	if (!walk)
		return;
	report->has_requester = true;
	report->requester = walk->request->requester;
	report->has_pasid = walk->request->has_pasid;
	report->pasid = walk->request->pasid;
	report->address = walk->request->address;
	add_requester(text, report->requester);
	model_text_add(text, action(walk->request));
	model_text_hex(text, report->address);
	if (report->has_pasid) {
		model_text_add(text, " PASID ");
		model_text_hex(text, report->pasid);
	}
	model_text_add(text, ": ");
}

void model_report_register(struct model_unit *unit, uint64_t offset, const char *words,
                           uint64_t value)
{
	struct model_report report;
	struct model_text text;

	model_report_begin(&report, &text, NULL);
	report.address = offset;
	report.found = value;
	model_text_add(&text, "register ");
	model_text_hex(&text, offset);
	model_text_add(&text, ": ");
	model_text_add(&text, words);
	model_text_add(&text, " (value ");
	model_text_hex(&text, value);
	model_text_add(&text, ")");
	model_report_send(unit, MODEL_REPORT_REGISTER, &report);
}

void model_report_simple(struct model_unit *unit, enum model_report_kind kind, const char *words,
                         uint64_t value)
{
	struct model_report report;
	struct model_text text;

	model_report_begin(&report, &text, NULL);
	report.found = value;
	model_text_add(&text, words);
	model_text_add(&text, " ");
	model_text_hex(&text, value);
	model_report_send(unit, kind, &report);
}

void model_report_reserved(struct model_walk *walk, uint64_t bits)
{
	struct model_report report;
	struct model_text text;

	if (walk->peek)
		return;
	model_report_begin(&report, &text, walk);
	report.entry = walk->last.address;
	report.found = walk->last.value;
	model_text_entry(&text, &walk->last);
	model_text_add(&text, ", reserved bits are set: ");
	model_text_hex(&text, bits);
	model_report_send(walk->unit, MODEL_REPORT_RESERVED, &report);
}
