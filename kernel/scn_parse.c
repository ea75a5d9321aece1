/* SPDX-License-Identifier: MIT */
/*
 * From text to a program: lines, words, promises, conditions, names. The whole file
 * is read before anything runs, and every error in it is reported.
 */
#include "kernel/scn_parse.h"

#include "iommu/string.h"
#include "kernel/scn.h"
#include "kernel/scn_parser.h"

enum { MAX_TEXT = 1 << 20, MAX_ERRORS = 20 };

/* ---- errors -------------------------------------------------------------------------- */

void scn_error(struct scn_parser *parser, unsigned column, unsigned width, const char *format, ...)
{
	struct scn_program *program = parser->program;
	char caret[SCN_LINE_BYTES + 8];
	size_t at = 0;
	va_list args;

	if (parser->failed)
		return;
	parser->failed = true;
	if (program->error_count++ >= MAX_ERRORS)
		return;
	if (parser->single)
		iommu_printf(parser->errors, "error: ");
	else
		iommu_printf(parser->errors, "%s:%u:%u: error: ", program->name, parser->number,
		             column);
	va_start(args, format);
	iommu_vprintf(parser->errors, format, args);
	va_end(args);
	if (!parser->raw[0]) {
		iommu_printf(parser->errors, "\n");
		return;
	}
	/* the caret's line has the tabs of the line above it, so that both line up */
	bool inside = true;
	for (unsigned i = 0; i + 1 < column && i < SCN_LINE_BYTES; i++) {
		inside = inside && parser->raw[i];
		caret[at++] = inside && parser->raw[i] == '\t' ? '\t' : ' ';
	}
	caret[at++] = '^';
	for (unsigned i = 1; i < width && at < SCN_LINE_BYTES; i++)
		caret[at++] = '~';
	caret[at] = 0;
	iommu_printf(parser->errors, "\n    %s\n    %s\n", parser->raw, caret);
}

void scn_error_at(struct scn_parser *parser, unsigned index, const char *format, ...)
{
	char text[256];
	unsigned column = 1, width = 1;
	va_list args;

	va_start(args, format);
	iommu_vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (index < parser->count) {
		column = parser->tokens[index].column;
		width = (unsigned)parser->tokens[index].length;
	} else if (parser->count) {
		const struct scn_token *last = &parser->tokens[parser->count - 1];
		column = last->column + (unsigned)last->length + 1;
	}
	scn_error(parser, column, width, "%s", text);
}

/* ---- names --------------------------------------------------------------------------- */

const struct scn_symbol *scn_symbol_find(const struct scn_program *program, const char *name)
{
	for (unsigned i = 0; i < program->symbol_count; i++)
		if (scn_same(program->symbols[i].name, name))
			return &program->symbols[i];
	return NULL;
}

static void symbol_add(struct scn_parser *parser, const char *name, enum scn_kind kind)
{
	struct scn_program *program = parser->program;
	unsigned token = 0;

	if (scn_symbol_find(program, name))
		return; /* a conditional line has made it too */
	for (unsigned i = 0; i < program->symbol_count; i++) {
		if (!program->symbols[i].name[0]) { /* a name that was forgotten */
			memcpy(program->symbols[i].name, name, scn_length(name) + 1);
			program->symbols[i].kind = kind;
			return;
		}
	}
	if (program->symbol_count == SCN_SYMBOLS) {
		while (token < parser->count && parser->tokens[token].text != name)
			token++;
		scn_error_at(parser, token, "more than %d names", SCN_SYMBOLS);
		return;
	}
	struct scn_symbol *symbol = &program->symbols[program->symbol_count++];
	memcpy(symbol->name, name, scn_length(name) + 1);
	symbol->kind = kind;
}

/* Can the line succeed, as it says itself? */
static bool may_succeed(const struct scn_line *line)
{
	for (unsigned i = 0; i < line->expect.count; i++)
		if (line->expect.any[i].what == SCN_EXPECT_OK ||
		    line->expect.any[i].what == SCN_EXPECT_VALUE ||
		    line->expect.any[i].what == SCN_EXPECT_REPORT)
			return true;
	return line->expect.count == 0;
}

/* What the line makes or destroys is known, or not, from the next line on. */
static void names_update(struct scn_parser *parser, const struct scn_line *line)
{
	const char *usage = line->command->usage, *span;
	unsigned slot = 0;
	size_t length;

	if (!may_succeed(line))
		return;
	while ((span = scn_usage_next(&usage, &length))) {
		if (*span == '[' || *span == ']')
			continue;
		if (length > 5 && memcmp(span, "NAME:", 5) == 0 && line->args[slot].set) {
			enum scn_kind kind = 0;
			while (kind < SCN_KINDS - 1 &&
			       (scn_length(scn_kind_name(kind)) != length - 5 ||
			        memcmp(scn_kind_name(kind), span + 5, length - 5) != 0))
				kind++;
			symbol_add(parser, line->args[slot].text, kind);
		}
		slot++;
	}
	if (line->command->flags & SCN_FORGETS && !line->condition_count &&
	    !line->args[0].is_number) {
		for (unsigned i = 0; i < parser->program->symbol_count; i++) {
			struct scn_symbol *symbol = &parser->program->symbols[i];
			bool device = symbol->kind == SCN_DEVICE;
			/* `destroy` of a device never succeeds: its descriptor holds it */
			if (scn_same(symbol->name, line->args[0].text) &&
			    !(device && scn_same(line->command->name, "destroy")))
				symbol->name[0] = 0;
		}
	}
}

/* ---- lines --------------------------------------------------------------------------- */

/* Is the last token but one `say` or `step`, as a command? */
static bool text_follows(const struct scn_parser *parser)
{
	unsigned last = parser->count - 1;

	if (last == 0)
		return false;
	const struct scn_token *before = last > 1 ? &parser->tokens[last - 2] : NULL;
	if (before && before->text[before->length - 1] != ':')
		return false;
	const struct scn_command *command = scn_command_find(parser->tokens[last - 1].text);
	return command && command->flags & (SCN_IS_STEP | SCN_IS_SAY);
}

/* Cut the line at @p words into tokens; text behind `say` and `step` stays whole. */
static void tokenize(struct scn_parser *parser, char *words)
{
	size_t at = 0;

	parser->count = 0;
	for (;;) {
		while (words[at] == ' ' || words[at] == '\t' || words[at] == '\r')
			at++;
		if (!words[at] || words[at] == '#')
			return;
		if (parser->count == SCN_TOKENS) {
			scn_error(parser, (unsigned)at + 1, 1, "more than %d words", SCN_TOKENS);
			return;
		}
		struct scn_token *token = &parser->tokens[parser->count++];
		token->text = words + at;
		token->column = (unsigned)at + 1;
		if (text_follows(parser)) {
			size_t end = at + scn_length(words + at);
			while (end > at && (words[end - 1] == ' ' || words[end - 1] == '\t' ||
			                    words[end - 1] == '\r'))
				end--;
			words[end] = 0;
			token->length = end - at;
			return;
		}
		while (words[at] && words[at] != ' ' && words[at] != '\t' && words[at] != '\r')
			at++;
		token->length = (size_t)(words + at - token->text);
		if (words[at])
			words[at++] = 0;
	}
}

/* `if ... :` in front of a command. Returns the token behind it. */
static unsigned guard_take(struct scn_parser *parser, struct scn_line *line)
{
	unsigned colon = 1;

	if (!parser->count || !scn_same(parser->tokens[0].text, "if"))
		return 0;
	while (colon < parser->count) {
		const struct scn_token *token = &parser->tokens[colon];
		if (token->text[token->length - 1] == ':') {
			/* the words' memory is the program's own */
			parser->program
				->words[token->text - parser->program->words + token->length - 1] =
				0;
			break;
		}
		colon++;
	}
	if (colon == parser->count)
		scn_error_at(parser, colon, "\":\" is missing behind the condition of \"if\"");
	else
		scn_match_conditions(parser, line, 1, colon + 1);
	if (!parser->failed && colon + 1 == parser->count)
		scn_error_at(parser, colon + 1, "a command is missing behind the condition");
	return colon + 1;
}

static void line_parse(struct scn_parser *parser, struct scn_line *line)
{
	unsigned at = guard_take(parser, line), end = parser->count;

	if (parser->failed)
		return;
	parser->command = at;
	line->command = scn_command_find(parser->tokens[at].text);
	if (!line->command) {
		scn_error_at(parser, at, "there is no command \"%s\"", parser->tokens[at].text);
		return;
	}
	unsigned flags = line->command->flags;
	if (parser->single && flags & (SCN_IS_STEP | SCN_IS_NEED)) {
		scn_error_at(parser, at, "%s stands in files only", line->command->name);
		return;
	}
	if (flags & (SCN_IS_STEP | SCN_IS_NEED) && line->condition_count) {
		scn_error_at(parser, at, "%s takes no \"if\"", line->command->name);
		return;
	}
	if (flags & SCN_IS_NEED) {
		scn_match_conditions(parser, line, at + 1, end);
		return;
	}
	if (!(flags & (SCN_IS_STEP | SCN_IS_SAY))) {
		for (unsigned i = at + 1; i < parser->count; i++) {
			if (scn_same(parser->tokens[i].text, "=>")) {
				end = i;
				scn_match_expectation(parser, line, i + 1, parser->count);
				break;
			}
		}
	}
	if (!parser->failed)
		scn_match(parser, line, at + 1, end);
	if (!parser->failed)
		names_update(parser, line);
	if (!parser->failed && flags & SCN_IS_STEP)
		parser->program->step_count++;
}

static struct scn_line *line_add(struct scn_program *program)
{
	const struct iommu_os *os = program->os;

	if (program->line_count == program->line_capacity) {
		size_t capacity = program->line_capacity ? program->line_capacity * 2 : 32;
		struct scn_line *lines = os->alloc(os->ctx, capacity * sizeof(*lines));
		if (!lines)
			return NULL;
		if (program->line_count)
			memcpy(lines, program->lines, program->line_count * sizeof(*lines));
		os->free(os->ctx, program->lines, program->line_capacity * sizeof(*lines));
		program->lines = lines;
		program->line_capacity = capacity;
	}
	return &program->lines[program->line_count];
}

/* The line without blanks at its ends and without comment, for people. Cuts @p raw. */
static void line_display(const struct scn_parser *parser, struct scn_line *line, char *raw)
{
	const struct scn_token *first = &parser->tokens[0];
	const struct scn_token *last = &parser->tokens[parser->count - 1];

	raw[last->column - 1 + last->length] = 0;
	line->text = raw + first->column - 1;
	first = &parser->tokens[parser->command];
	line->shown = raw + first->column - 1;
	line->length = scn_length(line->shown);
	if (!line->expect.count)
		return;
	while (!scn_same(last->text, "=>"))
		last--;
	last--; /* the word in front of it; there is a command at least */
	line->length = last->column + last->length - first->column;
}

static int program_parse(struct scn_parser *parser)
{
	struct scn_program *program = parser->program;
	char *text = program->text, *words = program->words;

	for (parser->number = 1; *text || parser->number == 1; parser->number++) {
		size_t length = 0;
		while (text[length] && text[length] != '\n')
			length++;
		bool last = text[length] == 0;
		text[length] = words[length] = 0;
		parser->raw = text;
		parser->failed = false;
		parser->count = 0;
		if (length > SCN_LINE_BYTES) {
			parser->raw = "";
			scn_error(parser, SCN_LINE_BYTES + 1, 1, "the line is longer than %d bytes",
			          SCN_LINE_BYTES);
		}
		tokenize(parser, parser->failed ? words + length : words);
		if (parser->count && !parser->failed) {
			struct scn_line *line = line_add(program);
			if (!line)
				return -ENOMEM;
			line->number = parser->number;
			line_parse(parser, line);
			if (!parser->failed) {
				line_display(parser, line, text);
				program->line_count++;
			} else {
				memset(line, 0, sizeof(*line));
			}
		}
		if (last)
			break;
		text += length + 1;
		words += length + 1;
	}
	return 0;
}

/* Bytes that are no text: reported once, with their place. */
static bool bytes_check(struct scn_parser *parser, const char *text, size_t bytes)
{
	unsigned column = 0;

	parser->number = 1;
	parser->raw = "";
	for (size_t i = 0; i < bytes; i++) {
		unsigned char byte = (unsigned char)text[i];
		column++;
		if (byte == '\n') {
			parser->number++;
			column = 0;
		} else if ((byte < ' ' && byte != '\t' && byte != '\r') || byte > '~') {
			iommu_printf(parser->errors,
			             "%s:%u:%u: error: byte 0x%02x is not plain ASCII text\n",
			             parser->program->name, parser->number, column, byte);
			parser->program->error_count++;
			return false;
		}
	}
	return true;
}

static void title_set(struct scn_program *program, const char *name)
{
	size_t length = scn_length(name), start = length;

	iommu_snprintf(program->name, sizeof(program->name), "%s", name);
	while (start > 0 && name[start - 1] != '/' && name[start - 1] != '\\')
		start--;
	if (length - start > 4 && scn_same(name + length - 4, ".scn"))
		length -= 4;
	iommu_snprintf(program->title, sizeof(program->title), "%.*s", (int)(length - start),
	               name + start);
}

int scn_parse_with(const struct iommu_os *os, const char *name, const char *text, size_t bytes,
                   const struct scn_symbol *symbols, unsigned symbol_count, bool single,
                   struct iommu_print *errors, struct scn_program **out)
{
	struct scn_program *program = os->alloc(os->ctx, sizeof(*program));
	struct scn_parser *parser = NULL;
	int error = -ENOMEM;

	if (!program)
		return -ENOMEM;
	program->os = os;
	parser = os->alloc(os->ctx, sizeof(*parser));
	if (!parser)
		goto fail;
	*parser = (struct scn_parser){.program = program, .errors = errors, .single = single};
	title_set(program, name);
	if (bytes > MAX_TEXT) {
		iommu_printf(errors, "%s: error: %llu bytes; a scenario has 1 MiB at most\n", name,
		             (unsigned long long)bytes);
		error = -EINVAL;
		goto fail;
	}
	if (symbol_count)
		memcpy(program->symbols, symbols, symbol_count * sizeof(*symbols));
	program->symbol_count = symbol_count;
	program->text_bytes = bytes + 1;
	program->text = os->alloc(os->ctx, bytes + 1);
	program->words = os->alloc(os->ctx, bytes + 1);
	if (!program->text || !program->words)
		goto fail;
	if (bytes) {
		memcpy(program->text, text, bytes);
		memcpy(program->words, text, bytes);
	}
	if (bytes_check(parser, text, bytes)) {
		error = program_parse(parser);
		if (error)
			goto fail;
	}
	if (!program->error_count && !program->line_count && !single) {
		iommu_printf(errors, "%s: error: there is no command in it\n", name);
		program->error_count++;
	}
	if (program->error_count > MAX_ERRORS)
		iommu_printf(errors, "%s: %u further errors\n", name,
		             program->error_count - MAX_ERRORS);
	error = program->error_count ? -EINVAL : 0;
fail:
	os->free(os->ctx, parser, sizeof(*parser));
	if (error)
		scn_program_free(program);
	else
		*out = program;
	return error;
}

int scn_parse(const struct iommu_os *os, const char *name, const char *text, size_t bytes,
              struct iommu_print *errors, struct scn_program **out)
{
	return scn_parse_with(os, name, text, bytes, NULL, 0, false, errors, out);
}

void scn_program_free(struct scn_program *program)
{
	if (!program)
		return;
	const struct iommu_os *os = program->os;
	os->free(os->ctx, program->text, program->text_bytes);
	os->free(os->ctx, program->words, program->text_bytes);
	os->free(os->ctx, program->lines, program->line_capacity * sizeof(*program->lines));
	os->free(os->ctx, program, sizeof(*program));
}
