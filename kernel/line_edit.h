/* SPDX-License-Identifier: MIT */
/*
 * A line editor for a raw terminal: bytes in, characters out, nothing else known
 * of either side. It works over a serial line to any terminal and on a plain
 * framebuffer console: what it prints is printable ASCII, CR, LF, BS and BEL only.
 *
 * Keys: printable ASCII; left, right, home, end (arrows, or ctrl-b f a e); up, down
 * (ctrl-p n) for history; backspace, delete, ctrl-d; ctrl-u, ctrl-k, ctrl-w cut to
 * the start, to the end, the word before; ctrl-l redraws; ctrl-c drops the line;
 * tab completes, a second tab lists. Lines wider than the terminal scroll sideways.
 */
#ifndef KERNEL_LINE_EDIT_H
#define KERNEL_LINE_EDIT_H

#include "iommu/print.h"

enum { LINE_MAX = 512, LINE_HISTORY = 32 };

struct line_edit;

/** Called for each candidate of a completion. */
typedef void line_candidate(struct line_edit *edit, const char *candidate);

struct line_edit {
	struct iommu_print *out;
	const char *prompt;
	unsigned columns; /* of the terminal; 80 unless told */
	/** Call @p candidate for every word that may stand where the word that starts at
	 *  @p word in @p line stands; those that do not begin as it does are ignored. NULL:
	 *  no completion. */
	void (*complete)(void *ctx, struct line_edit *edit, const char *line, size_t word,
	                 line_candidate *candidate);
	void *ctx;

	/* private */
	char line[LINE_MAX];
	size_t length, cursor;
	size_t shown, left; /* characters on the screen after the prompt; first one's index */
	unsigned escape;    /* state of an escape sequence */
	unsigned number;    /* its parameter */
	bool after_cr, after_tab;
	char history[LINE_HISTORY][LINE_MAX];
	unsigned history_count; /* ever */
	unsigned history_at;    /* 0: the line itself, n: n lines back */
	char kept[LINE_MAX];    /* the line itself while history is shown */
	/* completion under way */
	char common[LINE_MAX];
	size_t word, matches;
	bool listing;
	size_t list_column;
};

enum line_event {
	LINE_MORE,   /* nothing yet */
	LINE_READY,  /* edit->line is a whole line; the next byte starts a new one */
	LINE_CANCEL, /* ctrl-c: the line was dropped */
	LINE_END,    /* ctrl-d on an empty line */
};

/** Set up; prints nothing. */
void line_edit_init(struct line_edit *edit, struct iommu_print *out, const char *prompt);
/** Start a line: empty, prompt shown. */
void line_edit_start(struct line_edit *edit);
/** Take one byte of input. */
enum line_event line_edit_feed(struct line_edit *edit, unsigned char byte);
/** Something else is about to print: remove the line from the screen; and back. */
void line_edit_hide(struct line_edit *edit);
void line_edit_show(struct line_edit *edit);
/** Line @p back of history, 1 is the last; NULL if there is none. */
const char *line_edit_history(const struct line_edit *edit, unsigned back);

#endif
