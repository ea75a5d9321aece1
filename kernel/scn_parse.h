/* SPDX-License-Identifier: MIT */
/*
 * A scenario after parsing. Private to the interpreter.
 *
 * The grammar of a command is its usage text (kernel/scn_commands.c), and that same
 * text is what `help` shows. Elements are separated by blanks:
 *
 *   word            stands for itself
 *   a|b|C           one of these
 *   IOAS, IOVA ...  a metavariable: see scn_metavariables
 *   NAME:kind       a new name for an object of that kind
 *   [ ... ]         may be left out; neighbouring groups may come in any order
 *
 * Each element has a slot in scn_line.args, counted from 0 from left to right,
 * whether it is a metavariable or not, and whether it was given or not.
 */
#ifndef KERNEL_SCN_PARSE_H
#define KERNEL_SCN_PARSE_H

#include "iommu/os.h"
#include "iommu/print.h"
#include "iommu/types.h"

struct scn;
struct scn_result;

enum scn_kind {
	SCN_IOAS,
	SCN_HWPT,
	SCN_DEVICE,
	SCN_BUFFER,
	SCN_STAGE1,      /* a table that the scenario writes itself, in a buffer */
	SCN_FAULT_QUEUE, /* of page requests */
	SCN_NUMBER,
	SCN_KINDS
};

enum { SCN_NAME_MAX = 24, SCN_ARGS = 22, SCN_ALTERNATIVES = 4, SCN_CONDITIONS = 4 };

struct scn_arg {
	bool set;
	uint8_t choice; /* of a|b|c: which, from 0 */
	bool is_number;
	uint64_t number; /* plus the value of `variable`, if that is not NULL */
	const char *variable;
	const char *text; /* the word itself */
};

/** What a line promises. */
struct scn_alternative {
	enum {
		SCN_EXPECT_OK,
		SCN_EXPECT_ERRNO,
		SCN_EXPECT_FAULT,
		SCN_EXPECT_VALUE,
		SCN_EXPECT_REPORT, /* nothing but the model's report */
	} what;
	int error;        /* ERRNO: positive */
	bool is_number;   /* FAULT: a reason by number; VALUE: a number */
	uint64_t number;  /* REPORT: enum model_report_kind */
	const char *text; /* FAULT: "any", a class, a mnemonic; VALUE, REPORT: a word */
};

struct scn_expectation {
	unsigned count; /* 0: nothing was written, the line must succeed */
	struct scn_alternative any[SCN_ALTERNATIVES];
	/* of the model, bit n is enum model_report_kind n: may come, must come */
	uint32_t reports, reports_due;
};

enum scn_what {
	SCN_IF_LEGACY,
	SCN_IF_SCALABLE,
	SCN_IF_FIRST_STAGE,
	SCN_IF_SECOND_STAGE,
	SCN_IF_NESTS,
	SCN_IF_DIRTY_TRACKING,
	SCN_IF_MOCK,
	SCN_IF_HARDWARE,
	SCN_IF_ENGINE, /* abilities in number */
	SCN_IF_PAGE,   /* page size in number */
	SCN_IF_MEMORY, /* bytes in number */
	SCN_IF_HAVE,   /* an object of this name exists now */
	SCN_IF_PASSTHROUGH,
	SCN_IF_MODEL,
	SCN_IF_REACH,   /* an address in number */
	SCN_IF_ENGINES, /* abilities in number: two such engines */
};

struct scn_condition {
	enum scn_what what;
	bool negated;
	uint64_t number;
	const char *name;
};

struct scn_line {
	const struct scn_command *command;
	unsigned number;   /* in the file, from 1 */
	const char *text;  /* as written, blanks and comment removed at both ends */
	const char *shown; /* the command in it: without `if ...:`, */
	size_t length;     /* and without what it promises */
	struct scn_arg args[SCN_ARGS];
	struct scn_expectation expect;
	/** Of `if` in front of the command, and of `need` itself; all must hold. */
	unsigned condition_count;
	struct scn_condition conditions[SCN_CONDITIONS];
};

enum {
	SCN_TAKES_VALUE = 1 << 0, /* may promise one of `values` */
	SCN_TAKES_FAULT = 1 << 1,
	SCN_IS_STEP = 1 << 2,
	SCN_IS_NEED = 1 << 3,
	SCN_IS_SAY = 1 << 4,
	SCN_FORGETS = 1 << 5,   /* slot 0 is a name that is gone afterwards */
	SCN_NO_EXPECT = 1 << 6, /* cannot fail by a call: promises nothing */
	SCN_SHELL_ONLY = 1 << 7,
};

struct scn_command {
	const char *name;
	const char *usage; /* without the name */
	const char *group;
	const char *help; /* a line or two */
	unsigned flags;
	const char *values; /* words and NUM that the line may promise; NULL: none */
	void (*run)(struct scn *scn, const struct scn_line *line, struct scn_result *result);
};

/** Every command, by group; ends with name NULL. */
extern const struct scn_command scn_commands[];
const struct scn_command *scn_command_find(const char *name);

/** A name that is known while parsing. */
struct scn_symbol {
	char name[SCN_NAME_MAX];
	enum scn_kind kind;
};

enum { SCN_SYMBOLS = 128 };

struct scn_program {
	const struct iommu_os *os;
	char name[64];      /* as given */
	char title[32];     /* without folder and ".scn" */
	char *text, *words; /* text_bytes each: as written, and cut into words */
	size_t text_bytes;
	struct scn_line *lines;
	size_t line_count, line_capacity;
	struct scn_symbol symbols[SCN_SYMBOLS];
	unsigned symbol_count;
	unsigned step_count;
	unsigned error_count;
};

/** As scn_parse(), with names that exist already; and `single` for one line of a
 *  shell: then steps and needs are refused. */
int must_check scn_parse_with(const struct iommu_os *os, const char *name, const char *text,
                              size_t bytes, const struct scn_symbol *symbols, unsigned symbol_count,
                              bool single, struct iommu_print *errors, struct scn_program **out);

/** A metavariable of the grammar. */
struct scn_metavariable {
	const char *name;
	unsigned kinds;    /* bit n: an existing object of enum scn_kind n */
	bool number;       /* a number, or a variable */
	bool word;         /* any word */
	const char *means; /* "an IOAS" */
};
extern const struct scn_metavariable scn_metavariables[];

/** Read a number: decimal or 0x..., decimal with K, M, G, T. 0, -EINVAL, -ERANGE. */
int must_check scn_number_parse(const char *text, size_t length, uint64_t *out);
/** The command and its usage as people read it: NAME for NAME:kind. @return @p out. */
enum { SCN_USAGE_BYTES = 256 };
const char *scn_usage_text(const struct scn_command *command, char out[SCN_USAGE_BYTES]);
/** Write a number as people would: "4K", "2M", "0x12345". @return @p out. */
const char *scn_size_text(uint64_t bytes, char out[24]);

bool scn_same(const char *a, const char *b);
size_t scn_length(const char *text);
const char *scn_kind_name(enum scn_kind kind);
/** With its article: "an IOAS". */
const char *scn_kind_a(enum scn_kind kind);
/** A word of a fault expectation: a class, a mnemonic's shape, "any". */
bool scn_fault_word_known(const char *word);
/** Class number @p index, from 0; NULL: no more. */
const char *scn_fault_class(unsigned index);

/** The grammar, piece by piece: the next element of a usage text at *at. Its length goes
 *  to @p length; brackets are elements of their own. NULL at the end. */
const char *scn_usage_next(const char **at, size_t *length);

#endif
