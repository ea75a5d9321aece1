/* SPDX-License-Identifier: MIT */
/*
 * The line editor: see line_edit.h.
 *
 * Drawing needs no cursor addressing: the line is printed again after CR, blanks
 * cover what was there, and CR with the text up to the cursor puts the cursor
 * back. A character typed at the end is printed alone.
 */
#include "kernel/line_edit.h"

#include "iommu/string.h"

enum { ESCAPE_NONE, ESCAPE_START, ESCAPE_BRACKET, ESCAPE_O };

enum {
	KEY_CTRL_A = 1,
	KEY_CTRL_B = 2,
	KEY_CTRL_C = 3,
	KEY_CTRL_D = 4,
	KEY_CTRL_E = 5,
	KEY_CTRL_F = 6,
	KEY_BELL = 7,
	KEY_BACKSPACE = 8,
	KEY_TAB = 9,
	KEY_LF = 10,
	KEY_CTRL_K = 11,
	KEY_CTRL_L = 12,
	KEY_CR = 13,
	KEY_CTRL_N = 14,
	KEY_CTRL_P = 16,
	KEY_CTRL_U = 21,
	KEY_CTRL_W = 23,
	KEY_ESCAPE = 27,
	KEY_DELETE = 127,
};

static size_t length_of(const char *text)
{
	size_t length = 0;
	while (text[length])
		length++;
	return length;
}

static void put(struct line_edit *edit, const char *text, size_t bytes)
{
	if (bytes)
		edit->out->write(edit->out, text, bytes);
}

static void bell(struct line_edit *edit)
{
	put(edit, "\a", 1);
}

/* Columns for text: the last one stays free, so that no terminal wraps. */
static size_t room(const struct line_edit *edit)
{
	size_t prompt = length_of(edit->prompt);
	return edit->columns > prompt + 10 ? edit->columns - prompt - 1 : 9;
}

static void blanks(struct line_edit *edit, size_t count)
{
	while (count--)
		put(edit, " ", 1);
}

static void draw(struct line_edit *edit)
{
	size_t width = room(edit);

	if (edit->cursor < edit->left || edit->cursor > edit->left + width)
		edit->left = edit->cursor > width / 2 ? edit->cursor - width / 2 : 0;
	if (edit->length <= width)
		edit->left = 0;
	size_t shown = edit->length - edit->left;
	if (shown > width)
		shown = width;
	put(edit, "\r", 1);
	put(edit, edit->prompt, length_of(edit->prompt));
	put(edit, edit->line + edit->left, shown);
	if (edit->shown > shown)
		blanks(edit, edit->shown - shown);
	put(edit, "\r", 1);
	put(edit, edit->prompt, length_of(edit->prompt));
	put(edit, edit->line + edit->left, edit->cursor - edit->left);
	edit->shown = shown;
}

void line_edit_hide(struct line_edit *edit)
{
	put(edit, "\r", 1);
	blanks(edit, length_of(edit->prompt) + edit->shown);
	put(edit, "\r", 1);
	edit->shown = 0;
}

void line_edit_show(struct line_edit *edit)
{
	edit->shown = 0;
	draw(edit);
}

void line_edit_init(struct line_edit *edit, struct iommu_print *out, const char *prompt)
{
	memset(edit, 0, sizeof(*edit));
	edit->out = out;
	edit->prompt = prompt;
	edit->columns = 80;
}

void line_edit_start(struct line_edit *edit)
{
	edit->length = edit->cursor = edit->shown = edit->left = 0;
	edit->line[0] = 0;
	edit->history_at = 0;
	edit->after_tab = false;
	edit->escape = ESCAPE_NONE;
	put(edit, edit->prompt, length_of(edit->prompt));
}

/* ---- text ------------------------------------------------------------------------- */

static bool insert(struct line_edit *edit, const char *text, size_t bytes)
{
	if (bytes >= LINE_MAX - edit->length) {
		bell(edit);
		return false;
	}
	bool at_end = edit->cursor == edit->length;
	memmove(edit->line + edit->cursor + bytes, edit->line + edit->cursor,
	        edit->length - edit->cursor + 1);
	memcpy(edit->line + edit->cursor, text, bytes);
	edit->length += bytes;
	edit->cursor += bytes;
	if (at_end && edit->length - edit->left <= room(edit)) {
		put(edit, text, bytes);
		edit->shown += bytes;
	} else {
		draw(edit);
	}
	return true;
}

/* Remove the characters from @p from up to @p to, and put the cursor there. */
static void cut(struct line_edit *edit, size_t from, size_t to)
{
	if (from == to)
		return;
	memmove(edit->line + from, edit->line + to, edit->length - to + 1);
	edit->length -= to - from;
	edit->cursor = from;
	draw(edit);
}

static size_t word_before(const struct line_edit *edit)
{
	size_t at = edit->cursor;
	while (at > 0 && edit->line[at - 1] == ' ')
		at--;
	while (at > 0 && edit->line[at - 1] != ' ')
		at--;
	return at;
}

static void move(struct line_edit *edit, size_t to)
{
	if (to > edit->length) /* also "one before 0" */
		return;
	edit->cursor = to;
	draw(edit);
}

/* ---- history ---------------------------------------------------------------------- */

const char *line_edit_history(const struct line_edit *edit, unsigned back)
{
	if (back == 0 || back > edit->history_count || back > LINE_HISTORY)
		return NULL;
	return edit->history[(edit->history_count - back) % LINE_HISTORY];
}

static void history_add(struct line_edit *edit)
{
	const char *last = line_edit_history(edit, 1);
	size_t i = 0;

	while (edit->line[i] == ' ')
		i++;
	if (!edit->line[i])
		return; /* blank */
	if (last && length_of(last) == edit->length && memcmp(last, edit->line, edit->length) == 0)
		return;
	memcpy(edit->history[edit->history_count % LINE_HISTORY], edit->line, edit->length + 1);
	edit->history_count++;
}

static void history_go(struct line_edit *edit, unsigned back)
{
	const char *text = back ? line_edit_history(edit, back) : edit->kept;

	if (!text) {
		bell(edit);
		return;
	}
	if (edit->history_at == 0)
		memcpy(edit->kept, edit->line, edit->length + 1);
	edit->history_at = back;
	edit->length = edit->cursor = length_of(text);
	memmove(edit->line, text, edit->length + 1);
	draw(edit);
}

/* ---- completion ------------------------------------------------------------------- */

static void candidate(struct line_edit *edit, const char *text)
{
	size_t typed = edit->cursor - edit->word, length = length_of(text);

	if (length < typed || memcmp(text, edit->line + edit->word, typed) != 0 ||
	    length >= LINE_MAX)
		return;
	if (edit->matches++ == 0) {
		memcpy(edit->common, text, length + 1);
	} else {
		size_t same = 0;
		while (edit->common[same] && edit->common[same] == text[same])
			same++;
		edit->common[same] = 0;
	}
	if (!edit->listing)
		return;
	if (edit->list_column && edit->list_column + length + 2 > edit->columns) {
		put(edit, "\r\n", 2);
		edit->list_column = 0;
	}
	put(edit, text, length);
	size_t pad = 2 + (16 - (length + 2) % 16) % 16;
	blanks(edit, pad);
	edit->list_column += length + pad;
}

static void complete(struct line_edit *edit)
{
	if (!edit->complete)
		return;
	edit->word = edit->cursor;
	while (edit->word > 0 && edit->line[edit->word - 1] != ' ')
		edit->word--;
	edit->matches = 0;
	edit->common[0] = 0;
	edit->listing = false;
	edit->complete(edit->ctx, edit, edit->line, edit->word, candidate);
	size_t typed = edit->cursor - edit->word, common = length_of(edit->common);
	if (edit->matches == 0) {
		bell(edit);
		return;
	}
	if (common > typed && !insert(edit, edit->common + typed, common - typed))
		return;
	if (edit->matches == 1) {
		if (edit->line[edit->cursor] != ' ')
			insert(edit, " ", 1);
		return;
	}
	if (common > typed) {
		edit->after_tab = true;
		return;
	}
	if (!edit->after_tab) {
		edit->after_tab = true;
		bell(edit);
		return;
	}
	edit->listing = true;
	edit->list_column = 0;
	put(edit, "\r\n", 2);
	edit->complete(edit->ctx, edit, edit->line, edit->word, candidate);
	put(edit, "\r\n", 2);
	line_edit_show(edit);
}

/* ---- keys -------------------------------------------------------------------------- */

static void delete_here(struct line_edit *edit)
{
	if (edit->cursor < edit->length)
		cut(edit, edit->cursor, edit->cursor + 1);
}

/* The last byte of ESC [ ... or ESC O ... */
static void escape_end(struct line_edit *edit, unsigned char byte)
{
	switch (byte) {
	case 'A':
		history_go(edit, edit->history_at + 1);
		break;
	case 'B':
		if (edit->history_at)
			history_go(edit, edit->history_at - 1);
		break;
	case 'C':
		move(edit, edit->cursor + 1);
		break;
	case 'D':
		move(edit, edit->cursor - 1);
		break;
	case 'H':
		move(edit, 0);
		break;
	case 'F':
		move(edit, edit->length);
		break;
	case '~':
		if (edit->number == 1 || edit->number == 7)
			move(edit, 0);
		else if (edit->number == 4 || edit->number == 8)
			move(edit, edit->length);
		else if (edit->number == 3)
			delete_here(edit);
		break;
	default:
		break;
	}
}

static void escape_byte(struct line_edit *edit, unsigned char byte)
{
	if (edit->escape == ESCAPE_START) {
		edit->number = 0;
		edit->escape = byte == '[' ? ESCAPE_BRACKET : byte == 'O' ? ESCAPE_O : ESCAPE_NONE;
		return;
	}
	if (edit->escape == ESCAPE_BRACKET && byte >= '0' && byte <= '9') {
		if (edit->number < 1000)
			edit->number = edit->number * 10 + (byte - '0');
		return;
	}
	if (edit->escape == ESCAPE_BRACKET && byte == ';') {
		edit->number = 0;
		return;
	}
	edit->escape = ESCAPE_NONE;
	if (byte >= 0x40 && byte <= 0x7e)
		escape_end(edit, byte);
}

static enum line_event control(struct line_edit *edit, unsigned char byte)
{
	switch (byte) {
	case KEY_CTRL_A:
		move(edit, 0);
		break;
	case KEY_CTRL_E:
		move(edit, edit->length);
		break;
	case KEY_CTRL_B:
		move(edit, edit->cursor - 1);
		break;
	case KEY_CTRL_F:
		move(edit, edit->cursor + 1);
		break;
	case KEY_CTRL_P:
		history_go(edit, edit->history_at + 1);
		break;
	case KEY_CTRL_N:
		if (edit->history_at)
			history_go(edit, edit->history_at - 1);
		break;
	case KEY_CTRL_U:
		cut(edit, 0, edit->cursor);
		break;
	case KEY_CTRL_K:
		cut(edit, edit->cursor, edit->length);
		break;
	case KEY_CTRL_W:
		cut(edit, word_before(edit), edit->cursor);
		break;
	case KEY_CTRL_L:
		draw(edit);
		break;
	case KEY_BACKSPACE:
	case KEY_DELETE:
		if (edit->cursor)
			cut(edit, edit->cursor - 1, edit->cursor);
		break;
	case KEY_CTRL_D:
		if (edit->length == 0) {
			put(edit, "\r\n", 2);
			return LINE_END;
		}
		delete_here(edit);
		break;
	case KEY_CTRL_C:
		put(edit, "^C\r\n", 4);
		return LINE_CANCEL;
	case KEY_CR:
	case KEY_LF:
		put(edit, "\r\n", 2);
		history_add(edit);
		return LINE_READY;
	case KEY_ESCAPE:
		edit->escape = ESCAPE_START;
		break;
	default:
		break;
	}
	return LINE_MORE;
}

enum line_event line_edit_feed(struct line_edit *edit, unsigned char byte)
{
	bool after_cr = edit->after_cr;

	edit->after_cr = byte == KEY_CR;
	if (byte == KEY_LF && after_cr)
		return LINE_MORE; /* CR LF is one end of line */
	if (edit->escape) {
		escape_byte(edit, byte);
		return LINE_MORE;
	}
	if (byte == KEY_TAB) {
		complete(edit);
		return LINE_MORE;
	}
	edit->after_tab = false;
	if (byte >= ' ' && byte < KEY_DELETE) {
		char text = (char)byte;
		insert(edit, &text, 1);
		return LINE_MORE;
	}
	return control(edit, byte);
}
