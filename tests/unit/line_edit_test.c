/* SPDX-License-Identifier: MIT */
/*
 * The line editor against a small terminal: keys go in, and what a person would see
 * on the screen is compared, not the bytes that were sent.
 */
#include <string.h>

#include "kernel/line_edit.h"
#include "tests/ktap.h"

enum { COLUMNS = 40, ROWS = 12 };

/* A terminal that knows CR, LF, BS and BEL, and counts what it does not know. */
struct terminal {
	struct iommu_print print;
	char screen[ROWS][COLUMNS + 1];
	unsigned row, column, bells, odd;
};

static void terminal_put(struct terminal *terminal, char c)
{
	switch (c) {
	case '\r':
		terminal->column = 0;
		break;
	case '\n':
		if (terminal->row + 1 < ROWS)
			terminal->row++;
		break;
	case '\b':
		terminal->column -= terminal->column > 0;
		break;
	case '\a':
		terminal->bells++;
		break;
	default:
		if (c < ' ' || c > '~' || terminal->column >= COLUMNS)
			terminal->odd++; /* unprintable, or it would wrap */
		else
			terminal->screen[terminal->row][terminal->column++] = c;
	}
}

static void terminal_write(struct iommu_print *self, const char *text, size_t bytes)
{
	struct terminal *terminal = container_of(self, struct terminal, print);
	for (size_t i = 0; i < bytes; i++)
		terminal_put(terminal, text[i]);
}

static struct terminal terminal;
static struct line_edit edit;
static enum line_event last;

static void start(void)
{
	memset(&terminal, 0, sizeof(terminal));
	memset(terminal.screen, ' ', sizeof(terminal.screen));
	terminal.print.write = terminal_write;
	line_edit_init(&edit, &terminal.print, "> ");
	edit.columns = COLUMNS;
	line_edit_start(&edit);
}

static void type(const char *keys)
{
	while (*keys)
		last = line_edit_feed(&edit, (unsigned char)*keys++);
}

/* What stands in the row of the cursor, blanks at its end removed. */
static const char *row_text(void)
{
	static char text[COLUMNS + 1];
	int end = COLUMNS;
	memcpy(text, terminal.screen[terminal.row], COLUMNS);
	while (end > 0 && text[end - 1] == ' ')
		end--;
	text[end] = 0;
	return text;
}

#define SEES(text) KTAP_CHECK(strcmp(row_text(), text) == 0)
#define LINE(text) KTAP_CHECK(strcmp(edit.line, text) == 0)
#define CURSOR(at) KTAP_EQUAL(terminal.column, (at) + 2)

#define LEFT       "\033[D"
#define RIGHT      "\033[C"
#define UP         "\033[A"
#define DOWN       "\033[B"
#define HOME       "\033[H"
#define END        "\033[F"
#define DELETE     "\033[3~"

static void test_typing(void)
{
	start();
	SEES(">");
	type("hello");
	SEES("> hello");
	CURSOR(5);
	type(LEFT LEFT "X");
	SEES("> helXlo");
	CURSOR(4);
	type("\x7f");
	SEES("> hello");
	type(HOME "A" END "Z");
	SEES("> AhelloZ");
	type("\001" DELETE);
	SEES("> helloZ");
	CURSOR(0);
	type("\033[1~\033[4~\b\033OHx\033OFy\033[7~\033[8~");
	SEES("> xhelloy");
	CURSOR(7);
	KTAP_EQUAL(last, LINE_MORE);
	type("\r");
	KTAP_EQUAL(last, LINE_READY);
	LINE("xhelloy");
	KTAP_EQUAL(terminal.odd, 0);
}

static void test_cutting(void)
{
	start();
	type("map space 0x1000 data");
	type("\027"); /* ctrl-w: the word before */
	SEES("> map space 0x1000");
	LINE("map space 0x1000 ");
	type("\027");
	LINE("map space ");
	type(LEFT "\013"); /* ctrl-k: to the end */
	LINE("map space");
	type(LEFT LEFT "\025"); /* ctrl-u: to the start */
	LINE("ce");
	SEES("> ce");
	CURSOR(0);
	type("\x7f\004\004"); /* backspace does nothing; ctrl-d deletes here, twice */
	LINE("");
	KTAP_EQUAL(last, LINE_MORE);
	type("\004");
	KTAP_EQUAL(last, LINE_END);
	KTAP_EQUAL(terminal.odd, 0);
}

static void test_edges(void)
{
	start();
	type(LEFT RIGHT DELETE "\x7f" UP DOWN "\027\025\013\033[5~\033[1;5C\033x\001\005");
	LINE("");
	SEES(">");
	type("a" LEFT LEFT LEFT "b" RIGHT RIGHT RIGHT "c");
	LINE("bac");
	type("\x80\xff\x01\x02\x05");
	LINE("bac"); /* bytes that are no ASCII are dropped */
	type("\003");
	KTAP_EQUAL(last, LINE_CANCEL);
	line_edit_start(&edit);
	LINE("");
	type("x\r\n");
	KTAP_EQUAL(last, LINE_MORE); /* the LF of CR LF is no second line */
	line_edit_start(&edit);
	type("\n");
	KTAP_EQUAL(last, LINE_READY); /* but one on its own is an end of line */
	LINE("");
	KTAP_EQUAL(terminal.odd, 0);
}

static void test_history(void)
{
	start();
	const char *lines[] = {"one", "two", "two", "   ", "three"};
	for (unsigned i = 0; i < 5; i++) {
		type(lines[i]);
		type("\r");
		line_edit_start(&edit);
	}
	KTAP_CHECK(strcmp(line_edit_history(&edit, 1), "three") == 0);
	KTAP_CHECK(strcmp(line_edit_history(&edit, 2), "two") == 0);
	KTAP_CHECK(strcmp(line_edit_history(&edit, 3), "one") == 0); /* no repeats, no blanks */
	KTAP_CHECK(!line_edit_history(&edit, 4) && !line_edit_history(&edit, 0));
	type("draft" UP);
	SEES("> three");
	type(UP UP);
	SEES("> one");
	type(UP); /* the oldest stays */
	SEES("> one");
	type(DOWN "!");
	LINE("two!");
	type(DOWN DOWN);
	SEES("> draft");
	LINE("draft");
	type("\025");
	for (int i = 0; i < 3 * LINE_HISTORY; i++) { /* more than it keeps */
		char text[] = {(char)('a' + i % 26), (char)('a' + i / 26), '\r', 0};
		type(text);
		line_edit_start(&edit);
	}
	KTAP_CHECK(line_edit_history(&edit, LINE_HISTORY));
	KTAP_CHECK(!line_edit_history(&edit, LINE_HISTORY + 1));
	KTAP_EQUAL(terminal.odd, 0);
}

static void test_long_lines(void)
{
	char text[LINE_MAX * 2] = {0};

	start();
	for (unsigned i = 0; i < sizeof(text); i++) {
		char key[2] = {(char)('0' + i % 10), 0};
		text[i] = key[0];
		type(key);
	}
	KTAP_EQUAL(edit.length, LINE_MAX - 1); /* the rest was refused, with a bell */
	KTAP_EQUAL(terminal.bells, LINE_MAX + 1);
	KTAP_CHECK(memcmp(edit.line, text, LINE_MAX - 1) == 0);
	KTAP_EQUAL(terminal.row, 0); /* it scrolled sideways */
	KTAP_EQUAL(terminal.screen[0][terminal.column - 1], edit.line[LINE_MAX - 2]);
	type(HOME);
	KTAP_CHECK(memcmp(terminal.screen[0], "> 0123456789", 12) == 0);
	CURSOR(0);
	for (int i = 0; i < 60; i++)
		type(RIGHT);
	KTAP_EQUAL(terminal.screen[0][terminal.column], edit.line[60]);
	type("\025\013");
	SEES(">");
	KTAP_EQUAL(terminal.odd, 0);
}

static const char *const words[] = {"attach", "allow", "detach", "device", "devices"};

static void complete(void *ctx, struct line_edit *self, const char *line, size_t word,
                     line_candidate *candidate)
{
	(void)ctx, (void)line, (void)word;
	for (unsigned i = 0; i < 5; i++)
		candidate(self, words[i]);
}

static void test_completion(void)
{
	start();
	edit.complete = complete;
	type("at\t");
	LINE("attach ");
	type("\025de\t"); /* detach, device, devices: nothing in common but "de" */
	LINE("de");
	KTAP_EQUAL(terminal.bells, 1);
	unsigned row = terminal.row;
	type("\t"); /* the second tab lists */
	KTAP_CHECK(terminal.row > row);
	KTAP_CHECK(strncmp(terminal.screen[row + 1], "detach  ", 8) == 0);
	SEES("> de");
	type("v\t");
	LINE("device"); /* the common part */
	type("s\t");
	LINE("devices ");
	type("zz\t");
	LINE("devices zz");
	type("\025x al\t"); /* in the middle of a line too */
	LINE("x allow ");
	type("\025"
	     "device" LEFT LEFT LEFT "\t"); /* completes what stands before the cursor */
	KTAP_CHECK(strncmp(edit.line, "device", 6) == 0);
	KTAP_EQUAL(terminal.odd, 0);
}

static void test_hide(void)
{
	start();
	type("attach dev" LEFT);
	line_edit_hide(&edit);
	SEES("");
	iommu_printf(&terminal.print, "a fault\r\n");
	line_edit_show(&edit);
	SEES("> attach dev");
	CURSOR(9);
	KTAP_EQUAL(terminal.odd, 0);
}

/* Random keys: whatever comes, the screen shows the line and the cursor is where it is. */
static void test_random(void)
{
	uint64_t state = 88172645463325252u;
	static const char keys[] = "abc  \x7f\x01\x05\x0b\x15\x17\x02\x06\x10\x0e\x04\x09";

	start();
	edit.complete = complete;
	edit.columns = 30;
	for (int i = 0; i < 50000 && !ktap_failed; i++) {
		state ^= state << 13, state ^= state >> 7, state ^= state << 17;
		unsigned choice = (unsigned)(state >> 33) % 24;
		if (choice == 23) {
			type("\r");
			start();
			edit.complete = complete;
			edit.columns = 30;
			continue;
		}
		if (choice >= sizeof(keys) - 1) {
			static const char *const escapes[] = {LEFT, RIGHT, UP, DOWN, DELETE, HOME};
			type(escapes[choice % 6]);
		} else {
			char key[2] = {keys[choice], 0};
			type(key);
		}
		if (last == LINE_END)
			start();
		edit.complete = complete;
		if (terminal.row > ROWS - 4) { /* listings scroll */
			memset(terminal.screen, ' ', sizeof(terminal.screen));
			terminal.row = 0;
			line_edit_show(&edit);
		}
		KTAP_EQUAL(strlen(edit.line), edit.length);
		KTAP_CHECK(edit.cursor <= edit.length);
		CURSOR(edit.cursor - edit.left);
		size_t shown = edit.length - edit.left < 27 ? edit.length - edit.left : 27;
		KTAP_CHECK(memcmp(terminal.screen[terminal.row] + 2, edit.line + edit.left,
		                  shown) == 0);
		for (size_t at = shown + 2; at < COLUMNS; at++)
			KTAP_EQUAL(terminal.screen[terminal.row][at], ' ');
	}
	KTAP_EQUAL(terminal.odd, 0);
}

static const struct ktap_case cases[] = {
	{"typing and moving", test_typing},
	{"cutting", test_cutting},
	{"keys that do nothing, and line ends", test_edges},
	{"history", test_history},
	{"lines wider than the terminal and longer than the buffer", test_long_lines},
	{"completion", test_completion},
	{"hiding the line for other output", test_hide},
	{"50000 random keys", test_random},
};

KTAP_MAIN(cases)
