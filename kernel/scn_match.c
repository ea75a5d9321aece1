/* SPDX-License-Identifier: MIT */
/*
 * Matching a line's words with a command's usage text.
 *
 * The grammar is deterministic: an optional group is taken when its first element
 * accepts the word at hand, and a word that starts with a digit is meant as a
 * number wherever a number may stand, so that a slip in it is reported as such.
 */
#include "iommu/string.h"
#include "kernel/scn_parser.h"

struct match {
	struct scn_parser *parser;
	struct scn_line *line;
	unsigned at, to; /* tokens */
};

static bool span_is(const char *span, size_t length, const char *text)
{
	return scn_length(text) == length && memcmp(span, text, length) == 0;
}

static const struct scn_metavariable *metavariable(const char *span, size_t length)
{
	for (const struct scn_metavariable *meta = scn_metavariables; meta->name; meta++)
		if (span_is(span, length, meta->name))
			return meta;
	return NULL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const struct scn_symbol *symbol_of(const struct match *match, const char *name)
{
	return scn_symbol_find(match->parser->program, name);
}

/* The part of a sum up to '+' or the end, as a NUL-terminated copy. */
static bool term_copy(const char *start, size_t length, char out[SCN_NAME_MAX])
{
	if (length >= SCN_NAME_MAX)
		return false;
	memcpy(out, start, length);
	out[length] = 0;
	return true;
}

/* Is this word meant as a number: a digit first, or the name of a variable? */
static bool number_like(const struct match *match, const char *text)
{
	char name[SCN_NAME_MAX];
	size_t length = 0;

	if (is_digit(text[0]))
		return true;
	while (text[length] && text[length] != '+')
		length++;
	if (!term_copy(text, length, name))
		return false;
	const struct scn_symbol *symbol = symbol_of(match, name);
	return symbol && symbol->kind == SCN_NUMBER;
}

/* Read a sum of numbers and at most one variable. */
static void number_take(struct match *match, struct scn_arg *arg)
{
	const struct scn_token *token = &match->parser->tokens[match->at];
	const char *at = token->text;

	arg->is_number = true;
	for (;;) {
		size_t length = 0;
		char name[SCN_NAME_MAX];
		uint64_t term = 0;
		while (at[length] && at[length] != '+')
			length++;
		unsigned column = token->column + (unsigned)(at - token->text);
		if (is_digit(at[0])) {
			int error = scn_number_parse(at, length, &term);
			if (error == -ERANGE ||
			    __builtin_add_overflow(arg->number, term, &arg->number)) {
				scn_error(match->parser, column, (unsigned)length,
				          "\"%.*s\" does not fit in 64 bits", (int)length, at);
				return;
			}
			if (error) {
				scn_error(match->parser, column, (unsigned)length,
				          "\"%.*s\" is no number (like 4096, 0x1000, 4K, 2M, 1G)",
				          (int)length, at);
				return;
			}
		} else {
			const struct scn_symbol *symbol = NULL;
			if (term_copy(at, length, name))
				symbol = symbol_of(match, name);
			if (!symbol || symbol->kind != SCN_NUMBER || arg->variable) {
				scn_error(match->parser, column, length ? (unsigned)length : 1,
				          arg->variable ? "one variable in a sum is the most"
				                        : "\"%.*s\" is no number or variable",
				          (int)length, at);
				return;
			}
			arg->variable = symbol->name;
		}
		if (!at[length])
			return;
		at += length + 1;
	}
}

static void name_check(struct match *match, const char *kind_text, size_t kind_length)
{
	struct scn_parser *parser = match->parser;
	const char *name = parser->tokens[match->at].text;
	enum scn_kind kind = 0;

	while (kind < SCN_KINDS - 1 && !span_is(kind_text, kind_length, scn_kind_name(kind)))
		kind++;
	bool good = is_letter(name[0]);
	for (size_t i = 0; name[i]; i++)
		good &= is_letter(name[i]) || is_digit(name[i]) || name[i] == '-' || name[i] == '_';
	if (!good || scn_length(name) >= SCN_NAME_MAX) {
		scn_error_at(
			parser, match->at,
			"\"%s\" is no name: a letter, then letters, digits, - and _, %d at most",
			name, SCN_NAME_MAX - 1);
		return;
	}
	const struct scn_symbol *symbol = symbol_of(match, name);
	bool again = symbol && symbol->kind == kind &&
	             (kind == SCN_NUMBER || match->line->condition_count);
	if (symbol && !again)
		scn_error_at(parser, match->at, "\"%s\" is already the name of %s", name,
		             scn_kind_a(symbol->kind));
}

/* Does one alternative (no '|' in it) of an element accept the token? */
static bool alternative_accepts(const struct match *match, const char *span, size_t length)
{
	const char *word = match->parser->tokens[match->at].text;

	if (span[0] < 'A' || span[0] > 'Z')
		return span_is(span, length, word);
	if (length > 5 && memcmp(span, "NAME:", 5) == 0)
		return true;
	const struct scn_metavariable *meta = metavariable(span, length);
	if (!meta)
		return false;
	if (meta->word)
		return true;
	if (meta->number)
		return number_like(match, word);
	const struct scn_symbol *symbol = symbol_of(match, word);
	if (symbol && (meta->kinds & 1u << symbol->kind))
		return true;
	/* an object by its id, but a device is known by name only */
	return (meta->kinds & (1u << SCN_IOAS | 1u << SCN_HWPT)) && is_digit(word[0]);
}

static void alternative_take(struct match *match, const char *span, size_t length,
                             struct scn_arg *arg)
{
	const struct scn_token *token = &match->parser->tokens[match->at];

	arg->set = true;
	arg->text = token->text;
	if (length > 5 && memcmp(span, "NAME:", 5) == 0) {
		name_check(match, span + 5, length - 5);
		return;
	}
	const struct scn_metavariable *meta = metavariable(span, length);
	if (meta && !meta->word && (meta->number || is_digit(token->text[0])))
		number_take(match, arg);
}

/* The element's alternative that accepts the token at hand; -1: none. */
static int element_find(const struct match *match, const char *span, size_t length,
                        const char **alternative, size_t *alternative_length)
{
	int choice = 0;

	if (match->at == match->to)
		return -1;
	for (size_t start = 0; start <= length; choice++) {
		size_t end = start;
		while (end < length && span[end] != '|')
			end++;
		if (alternative_accepts(match, span + start, end - start)) {
			*alternative = span + start;
			*alternative_length = end - start;
			return choice;
		}
		start = end + 1;
	}
	return -1;
}

static bool element_accepts(const struct match *match, const char *span, size_t length)
{
	const char *alternative;
	size_t alternative_length;
	return element_find(match, span, length, &alternative, &alternative_length) >= 0;
}

/* "an address (IOVA)", or the element's own text. */
static void element_missing(struct match *match, const char *span, size_t length)
{
	struct scn_parser *parser = match->parser;
	const struct scn_metavariable *meta = metavariable(span, length);
	bool is_name = length > 5 && memcmp(span, "NAME:", 5) == 0;
	bool literal = !meta && !is_name;
	const char *what = meta ? meta->means : is_name ? "a new name" : span;
	int what_length = literal ? (int)length : (int)scn_length(what);
	const char *quote = literal ? "\"" : "";
	char usage[SCN_USAGE_BYTES];

	if (match->at == match->to) {
		scn_error_at(parser, match->at, "%s needs %s%.*s%s here: %s",
		             match->line->command->name, quote, what_length, what, quote,
		             scn_usage_text(match->line->command, usage));
		return;
	}
	const char *word = parser->tokens[match->at].text;
	const struct scn_symbol *symbol = symbol_of(match, word);
	if (meta && symbol)
		scn_error_at(parser, match->at, "\"%s\" is %s, and %s is wanted", word,
		             scn_kind_a(symbol->kind), what);
	else if (meta && meta->kinds)
		scn_error_at(parser, match->at, "there is no \"%s\" here; %s is wanted", word,
		             what);
	else
		scn_error_at(parser, match->at, "\"%s\" stands where %s%.*s%s is wanted", word,
		             quote, what_length, what, quote);
}

static void element_take(struct match *match, const char *span, size_t length, unsigned slot)
{
	struct scn_arg *arg = &match->line->args[slot];
	const char *alternative;
	size_t alternative_length;
	int choice = element_find(match, span, length, &alternative, &alternative_length);

	if (choice < 0) {
		element_missing(match, span, length);
		return;
	}
	arg->choice = (uint8_t)choice;
	alternative_take(match, alternative, alternative_length, arg);
	match->at++;
}

/* A run of neighbouring groups, in any order. *usage is behind the first '['; @p slot
 * is that of the first element. Returns the slot after the last group. */
static unsigned groups_take(struct match *match, const char **usage, unsigned slot)
{
	struct group {
		const char *start, *first;
		size_t first_length;
		unsigned slot;
		bool taken;
	} groups[12];
	unsigned count = 0;
	const char *span, *at = *usage;
	size_t length;

	for (;;) { /* note where each group begins */
		struct group *group = &groups[count++];
		*group = (struct group){.start = at, .slot = slot};
		group->first = scn_usage_next(&at, &group->first_length);
		slot++;
		while ((span = scn_usage_next(&at, &length)) && *span != ']')
			slot++;
		*usage = at;
		span = scn_usage_next(&at, &length);
		if (!span || *span != '[' || count == ARRAY_SIZE(groups))
			break;
	}
	for (unsigned i = 0; i < count && !match->parser->failed;) {
		struct group *group = &groups[i];
		if (group->taken || !element_accepts(match, group->first, group->first_length)) {
			i++;
			continue;
		}
		group->taken = true;
		at = group->start;
		for (unsigned here = group->slot; (span = scn_usage_next(&at, &length)) &&
		                                  *span != ']' && !match->parser->failed;)
			element_take(match, span, length, here++);
		i = 0;
	}
	return slot;
}

void scn_match(struct scn_parser *parser, struct scn_line *line, unsigned from, unsigned to)
{
	struct match match = {parser, line, from, to};
	const char *usage = line->command->usage, *span;
	char text[SCN_USAGE_BYTES];
	size_t length;
	unsigned slot = 0;

	while (!parser->failed && (span = scn_usage_next(&usage, &length))) {
		if (*span == '[')
			slot = groups_take(&match, &usage, slot);
		else
			element_take(&match, span, length, slot++);
	}
	if (!parser->failed && match.at < match.to) {
		scn_error_at(parser, match.at, "\"%s\" is not understood here: %s",
		             parser->tokens[match.at].text, scn_usage_text(line->command, text));
	}
}
