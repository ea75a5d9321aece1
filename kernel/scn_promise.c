/* SPDX-License-Identifier: MIT */
/*
 * What stands around a command: the outcome that a line promises, and the conditions
 * of `need` and `if`.
 */
#include "dev/engine.h"
#include "iommu/string.h"
#include "kernel/scn_parser.h"
#include "model/model.h"

/* ---- promises ------------------------------------------------------------------------ */

static int errno_by_name(const char *name)
{
	for (int number = 1; number < 200; number++) {
		const char *known = iommu_errno_name(number);
		if (known && scn_same(known, name))
			return number;
	}
	return 0;
}

/* Is @p word in the blank-separated @p list? */
static bool list_has(const char *list, const char *word)
{
	const char *span;
	size_t length;

	while (list && (span = scn_usage_next(&list, &length)))
		if (scn_length(word) == length && memcmp(span, word, length) == 0)
			return true;
	return false;
}

/* The kind of a report of the model's sanitizer; MODEL_REPORT_KINDS: no such word. */
static unsigned report_by_name(const char *name)
{
	unsigned kind = 0;

	while (kind < MODEL_REPORT_KINDS &&
	       !scn_same(model_report_name((enum model_report_kind)kind), name))
		kind++;
	return kind;
}

static void alternative_read(struct scn_parser *parser, struct scn_line *line, unsigned token,
                             const char *word, bool fault, struct scn_alternative *out)
{
	const struct scn_command *command = line->command;
	bool number = word[0] >= '0' && word[0] <= '9';

	out->text = word;
	if (number) {
		int error = scn_number_parse(word, scn_length(word), &out->number);
		out->is_number = true;
		out->what = fault ? SCN_EXPECT_FAULT : SCN_EXPECT_VALUE;
		if (error)
			scn_error_at(parser, token, "\"%s\" %s", word,
			             error == -ERANGE ? "does not fit in 64 bits" : "is no number");
		else if (!fault && !list_has(command->values, "NUM"))
			scn_error_at(parser, token, "%s has no number as its outcome",
			             command->name);
	} else if (fault) {
		out->what = SCN_EXPECT_FAULT;
		if (!scn_fault_word_known(word))
			scn_error_at(parser, token,
			             "\"%s\" is no fault: a reason's number or mnemonic, "
			             "\"any\", or a class (see help faults)",
			             word);
	} else if (scn_same(word, "ok")) {
		out->what = SCN_EXPECT_OK;
	} else if ((out->error = errno_by_name(word)) != 0) {
		out->what = SCN_EXPECT_ERRNO;
	} else if (list_has(command->values, word)) {
		out->what = SCN_EXPECT_VALUE;
	} else if (report_by_name(word) < MODEL_REPORT_KINDS) {
		out->what = SCN_EXPECT_REPORT;
		out->number = report_by_name(word);
		line->expect.reports |= UINT32_C(1) << out->number;
	} else {
		scn_error_at(parser, token,
		             "\"%s\" is no outcome of %s: ok, an error as EINVAL%s%s%s", word,
		             command->name, command->flags & SCN_TAKES_FAULT ? ", fault ..." : "",
		             command->values ? ", or one of " : "",
		             command->values ? command->values : "");
	}
}

void scn_match_expectation(struct scn_parser *parser, struct scn_line *line, unsigned from,
                           unsigned to)
{
	struct scn_expectation *expect = &line->expect;
	bool fault = false;

	if (line->command->flags & (SCN_NO_EXPECT | SCN_IS_STEP | SCN_IS_NEED | SCN_IS_SAY)) {
		scn_error_at(parser, from - 1, "%s has no outcome to promise", line->command->name);
		return;
	}
	if (from < to && scn_same(parser->tokens[from].text, "fault")) {
		fault = true;
		from++;
		if (!(line->command->flags & SCN_TAKES_FAULT)) {
			scn_error_at(parser, from - 1, "%s makes no DMA: it cannot fault",
			             line->command->name);
			return;
		}
	}
	if (from == to) {
		scn_error_at(parser, from, "%s",
		             fault ? "which fault? A reason, a class, or \"any\""
		                   : "an outcome is missing after =>");
		return;
	}
	if (to - from == 3 && scn_same(parser->tokens[from + 1].text, "and")) {
		unsigned kind = report_by_name(parser->tokens[from + 2].text);
		if (kind == MODEL_REPORT_KINDS) {
			scn_error_at(parser, from + 2,
			             "\"%s\" is no kind of report: stale, reserved, freed, ...",
			             parser->tokens[from + 2].text);
			return;
		}
		expect->reports |= UINT32_C(1) << kind;
		expect->reports_due |= UINT32_C(1) << kind;
		to = from + 1;
	}
	if (to - from > 1) {
		scn_error_at(parser, from + 1, "one outcome is the most; join alternatives by |");
		return;
	}
	/* cut a|b|c: the words' memory is the program's own */
	char *word = parser->program->words + (parser->tokens[from].text - parser->program->words);
	while (!parser->failed) {
		char *end = word;
		while (*end && *end != '|')
			end++;
		bool more = *end == '|';
		*end = 0;
		if (expect->count == SCN_ALTERNATIVES) {
			scn_error_at(parser, from, "%d alternatives are the most",
			             SCN_ALTERNATIVES);
			return;
		}
		alternative_read(parser, line, from, word, fault, &expect->any[expect->count++]);
		if (!more)
			break;
		word = end + 1;
	}
}

/* ---- conditions ---------------------------------------------------------------------- */

static unsigned ability_by_name(const char *name)
{
	return scn_same(name, "copy")    ? DMA_CAN_COPY
	       : scn_same(name, "fetch") ? DMA_CAN_FETCH
	       : scn_same(name, "store") ? DMA_CAN_STORE
	       : scn_same(name, "fast")  ? DMA_IS_FAST
	       : scn_same(name, "pasid") ? DMA_CAN_PASID
	       : scn_same(name, "ats")   ? DMA_CAN_ATS
	       : scn_same(name, "pages") ? DMA_CAN_PRI
	                                 : 0;
}

void scn_match_conditions(struct scn_parser *parser, struct scn_line *line, unsigned from,
                          unsigned to)
{
	static const char *const words[] = {
		[SCN_IF_LEGACY] = "legacy",
		[SCN_IF_SCALABLE] = "scalable",
		[SCN_IF_FIRST_STAGE] = "first-stage",
		[SCN_IF_SECOND_STAGE] = "second-stage",
		[SCN_IF_NESTS] = "nests",
		[SCN_IF_DIRTY_TRACKING] = "dirty-tracking",
		[SCN_IF_MOCK] = "mock",
		[SCN_IF_HARDWARE] = "hardware",
		[SCN_IF_ENGINE] = "engine",
		[SCN_IF_PAGE] = "page",
		[SCN_IF_MEMORY] = "memory",
		[SCN_IF_HAVE] = "have",
		[SCN_IF_PASSTHROUGH] = "passthrough",
		[SCN_IF_MODEL] = "model",
		[SCN_IF_REACH] = "reach",
		[SCN_IF_ENGINES] = "engines",
	};

	for (unsigned at = from;;) {
		struct scn_condition *condition = &line->conditions[line->condition_count];
		if (line->condition_count == SCN_CONDITIONS) {
			scn_error_at(parser, at, "%d conditions are the most", SCN_CONDITIONS);
			return;
		}
		*condition = (struct scn_condition){0};
		if (at < to && scn_same(parser->tokens[at].text, "not")) {
			condition->negated = true;
			at++;
		}
		if (at >= to) {
			scn_error_at(parser, at - 1, "a condition is missing behind \"%s\"",
			             parser->tokens[at - 1].text);
			return;
		}
		unsigned what = 0;
		while (what < ARRAY_SIZE(words) && !scn_same(words[what], parser->tokens[at].text))
			what++;
		if (what == ARRAY_SIZE(words)) {
			scn_error_at(parser, at,
			             "\"%s\" is no condition: legacy, scalable, first-stage, "
			             "second-stage, nests, passthrough, mock, model, hardware, "
			             "engine ABILITY, engines ABILITY, page SIZE, memory SIZE, "
			             "reach ADDRESS, have NAME",
			             parser->tokens[at].text);
			return;
		}
		condition->what = (enum scn_what)what;
		at++;
		const char *word = at < to ? parser->tokens[at].text : "";
		if (what == SCN_IF_HAVE) {
			condition->name = word;
			if (!scn_symbol_find(parser->program, word)) {
				scn_error_at(parser, at, "no line before makes a \"%s\"", word);
				return;
			}
			at++;
		} else if (what == SCN_IF_ENGINE || what == SCN_IF_ENGINES || what == SCN_IF_PAGE ||
		           what == SCN_IF_MEMORY || what == SCN_IF_REACH) {
			bool engine = what == SCN_IF_ENGINE || what == SCN_IF_ENGINES;
			if (engine)
				condition->number = ability_by_name(word);
			else if (scn_number_parse(word, scn_length(word), &condition->number) != 0)
				condition->number = 0;
			if (condition->number == 0) {
				scn_error_at(parser, at < to ? at : at - 1, "%s",
				             engine ? "engine what? copy, fetch, store, "
				                      "fast, pasid, ats, pages"
				             : what == SCN_IF_REACH
				                     ? "an address is wanted, as 0x100000"
				                     : "a size is wanted, as 2M");
				return;
			}
			at++;
		}
		line->condition_count++;
		if (at == to)
			return;
		if (!scn_same(parser->tokens[at].text, "and")) {
			scn_error_at(parser, at, "\"%s\": conditions are joined by \"and\"",
			             parser->tokens[at].text);
			return;
		}
		at++;
	}
}
