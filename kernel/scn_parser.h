/* SPDX-License-Identifier: MIT */
/*
 * The parser's working state: shared by its files, unknown to the rest.
 */
#ifndef KERNEL_SCN_PARSER_H
#define KERNEL_SCN_PARSER_H

#include "kernel/scn_parse.h"

enum { SCN_TOKENS = 40, SCN_LINE_BYTES = 400 };

struct scn_token {
	const char *text; /* NUL-terminated */
	size_t length;
	unsigned column; /* from 1 */
};

struct scn_parser {
	struct scn_program *program;
	struct iommu_print *errors;
	bool single;
	/* the line at hand */
	unsigned number;
	const char *raw; /* as written, NUL-terminated */
	struct scn_token tokens[SCN_TOKENS];
	unsigned count;
	unsigned command; /* the token that names it */
	bool failed;      /* an error was reported for this line */
};

/** Report an error at a column of the line at hand; only the first of a line counts. */
void scn_error(struct scn_parser *parser, unsigned column, unsigned width, const char *format, ...)
	printf_like(4, 5);
/** The same, at token @p index; one past the last is the end of the line. */
void scn_error_at(struct scn_parser *parser, unsigned index, const char *format, ...)
	printf_like(3, 4);

/** Match the tokens [from, to) with the command's usage, and fill line->args. */
void scn_match(struct scn_parser *parser, struct scn_line *line, unsigned from, unsigned to);
/** Take [from, to) as what the line promises (after `=>`). */
void scn_match_expectation(struct scn_parser *parser, struct scn_line *line, unsigned from,
                           unsigned to);
/** Take [from, to) as conditions joined by `and`. */
void scn_match_conditions(struct scn_parser *parser, struct scn_line *line, unsigned from,
                          unsigned to);

const struct scn_symbol *scn_symbol_find(const struct scn_program *program, const char *name);

#endif
