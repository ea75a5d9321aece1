/* SPDX-License-Identifier: MIT */
/*
 * A text screen on a linear framebuffer of 15, 16, 24 or 32 bits per pixel.
 *
 * The text lies in RAM, once as it should look (`wanted`, a ring of rows, so that
 * scrolling moves nothing) and once as it was last drawn (`shown`). Drawing
 * compares the two and writes only cells that differ; video memory, which reads
 * slowly, is never read. Wide screens get each pixel doubled or more.
 *
 * Understood of ECMA-48: CR, LF, BS, HT, cursor movement (CSI A B C D H), erase
 * (CSI J K) and colours (CSI m). Text is UTF-8, shown as far as it is Latin-1.
 */
#include "iommu/string.h"
#include "kernel/console.h"
#include "kernel/font.h"
#include "kernel/kernel.h"

enum {
	MAX_COLUMNS = 320,
	MAX_ROWS = 200,
	WIDE = 2560, /* from this width on, pixels are doubled; from twice this, tripled */
	MAX_SCALE = 8,
	MAX_PARAMETERS = 4,
	TAB = 8,
};

/* A cell: 7:0 character, 11:8 colour, 15:12 colour behind it. */
enum { COLOUR_TEXT = 7, BLANK = COLOUR_TEXT << 8 | ' ', NEVER_DRAWN = 0xffff };

static struct boot_framebuffer fb;
static uint8_t *pixels; /* NULL: not mapped now */
static bool is_cleared;
static unsigned scale, columns, rows, pixel_bytes;
static uint32_t palette[16]; /* as pixels */

static uint16_t wanted[MAX_ROWS][MAX_COLUMNS];
static uint16_t shown[MAX_ROWS][MAX_COLUMNS];
static unsigned top;         /* the screen's first row in `wanted` */
static unsigned row, column; /* the cursor; column may be `columns`: wrap when more comes */
static unsigned colour = COLOUR_TEXT;
static bool is_bold;

static enum { TEXT, ESCAPE, CONTROL, STRING } state;
static unsigned parameters[MAX_PARAMETERS], parameter_count;
static uint32_t utf8_code;
static unsigned utf8_more;

/* ---- setup ------------------------------------------------------------------------------ */

static void clear(void)
{
	if (!is_cleared)
		memset(pixels, 0, (size_t)fb.pitch * fb.height);
	is_cleared = true;
}

static uint64_t fb_bytes(void)
{
	return (uint64_t)fb.pitch * fb.height;
}

static uint32_t pixel_of(uint32_t rgb)
{
	uint32_t red = rgb >> 16 & 0xff, green = rgb >> 8 & 0xff, blue = rgb & 0xff;

	if (fb.bits_per_pixel <= 16) {
		/* 5:6:5, or 5:5:5 where red begins at bit 10. */
		bool six = fb.red_shift == 11 || fb.blue_shift == 11;
		return red >> 3 << fb.red_shift |
		       (six ? green >> 2 : green >> 3) << fb.green_shift |
		       blue >> 3 << fb.blue_shift;
	}
	if (fb.green_shift == 10) /* ten bits each */
		return red << 2 << fb.red_shift | green << 12 | blue << 2 << fb.blue_shift;
	return red << fb.red_shift | green << fb.green_shift | blue << fb.blue_shift;
}

const char *framebuffer_init(const struct boot_framebuffer *framebuffer)
{
	static const uint32_t colours[16] = {
		0x000000, 0xcd3131, 0x0dbc79, 0xc5b520, 0x4080e0, 0xbc3fbc, 0x11a8cd, 0xd0d0d0,
		0x666666, 0xf14c4c, 0x23d18b, 0xf5f543, 0x6ba8ff, 0xd670d6, 0x29b8db, 0xffffff,
	};

	fb = *framebuffer;
	pixels = NULL;
	if (!fb.start)
		return "there is none";
	if (fb.bits_per_pixel != 15 && fb.bits_per_pixel != 16 && fb.bits_per_pixel != 24 &&
	    fb.bits_per_pixel != 32)
		return "its pixels have neither 15, 16, 24 nor 32 bits";
	pixel_bytes = (fb.bits_per_pixel + 7u) / 8;
	if (fb.red_shift >= fb.bits_per_pixel || fb.green_shift >= fb.bits_per_pixel ||
	    fb.blue_shift >= fb.bits_per_pixel)
		return "a colour lies outside of its pixels";
	if (fb.width < 40 * FONT_WIDTH || fb.height < 4 * FONT_HEIGHT)
		return "it is smaller than 40 columns by 4 rows";
	if (fb.pitch / pixel_bytes < fb.width || fb_bytes() > UINT64_MAX - fb.start)
		return "its lines are shorter than their pixels";

	scale = 1 + fb.width / WIDE;
	if (scale > MAX_SCALE)
		scale = MAX_SCALE;
	columns = fb.width / (FONT_WIDTH * scale);
	rows = fb.height / (FONT_HEIGHT * scale);
	if (rows == 0)
		return "it is lower than one row of text";
	if (columns > MAX_COLUMNS)
		columns = MAX_COLUMNS;
	if (rows > MAX_ROWS)
		rows = MAX_ROWS;
	for (unsigned i = 0; i < 16; i++)
		palette[i] = pixel_of(colours[i]);
	for (unsigned r = 0; r < rows; r++) {
		for (unsigned c = 0; c < columns; c++) {
			wanted[r][c] = BLANK;
			shown[r][c] = NEVER_DRAWN;
		}
	}
	/* Until vm_init, the boot code's map of the first 4 GiB serves. */
	if (fb.start + fb_bytes() <= UINT64_C(1) << 32) {
		pixels = vm_direct(fb.start);
		clear();
	}
	return NULL;
}

void framebuffer_unmap(void)
{
	pixels = NULL;
}

bool framebuffer_map(void)
{
	if (!pixels)
		pixels = vm_map_mmio(fb.start, fb_bytes(), true);
	if (!pixels)
		return false;
	clear();
	return true;
}

/* ---- drawing ---------------------------------------------------------------------------- */

static uint8_t *put_pixel(uint8_t *to, uint32_t pixel)
{
	for (unsigned i = 0; i < pixel_bytes; i++)
		*to++ = (uint8_t)(pixel >> 8 * i);
	return to;
}

static void draw_cell(unsigned at_row, unsigned at_column, uint16_t cell)
{
	uint32_t front = palette[cell >> 8 & 15], back = palette[cell >> 12];
	const uint8_t *glyph = font_glyphs[cell & 0xff];
	size_t bytes = (size_t)FONT_WIDTH * scale * pixel_bytes;
	uint8_t *out = pixels + (size_t)at_row * FONT_HEIGHT * scale * fb.pitch +
	               (size_t)at_column * bytes;
	uint8_t line[FONT_WIDTH * MAX_SCALE * 4];

	for (unsigned y = 0; y < FONT_HEIGHT; y++) {
		/* One line of the glyph in RAM, then to the screen as often as it is high. */
		uint8_t *to = line;
		for (unsigned x = 0; x < FONT_WIDTH; x++)
			for (unsigned i = 0; i < scale; i++)
				to = put_pixel(to, glyph[y] & 0x80 >> x ? front : back);
		for (unsigned i = 0; i < scale; i++, out += fb.pitch)
			memcpy(out, line, bytes);
	}
}

void framebuffer_flush(void)
{
	if (!pixels)
		return;
	for (unsigned r = 0; r < rows; r++) {
		const uint16_t *text = wanted[(top + r) % rows];
		for (unsigned c = 0; c < columns; c++) {
			uint16_t cell = text[c];
			/* The cursor: front and back exchanged. */
			if (r == row && c == column)
				cell = (uint16_t)((cell & 0xff) | (cell >> 12) << 8 |
				                  (cell >> 8 & 15) << 12);
			if (cell == shown[r][c])
				continue;
			draw_cell(r, c, cell);
			shown[r][c] = cell;
		}
	}
}

/* ---- text ------------------------------------------------------------------------------- */

static void erase(unsigned at_row, unsigned from, unsigned end)
{
	uint16_t *text = wanted[(top + at_row) % rows];

	for (unsigned c = from; c < end; c++)
		text[c] = BLANK;
}

static void line_feed(void)
{
	if (row + 1 < rows) {
		row++;
		return;
	}
	top = (top + 1) % rows;
	erase(rows - 1, 0, columns);
}

static void put_code(uint32_t code)
{
	if (column >= columns) {
		column = 0;
		line_feed();
	}
	unsigned front = is_bold && (colour & 15) < 8 ? colour | 8 : colour;
	wanted[(top + row) % rows][column++] = (uint16_t)(front << 8 | (code < 256 ? code : '?'));
}

static void select_colour(unsigned parameter)
{
	if (parameter == 0) {
		colour = COLOUR_TEXT;
		is_bold = false;
	} else if (parameter == 1) {
		is_bold = true;
	} else if (parameter == 7) {
		colour = (colour >> 4 & 15) | (colour & 15) << 4;
	} else if (parameter == 22) {
		is_bold = false;
	} else if (parameter >= 30 && parameter <= 37) {
		colour = (colour & ~15u) | (parameter - 30);
	} else if (parameter >= 40 && parameter <= 47) {
		colour = (colour & 15) | (parameter - 40) << 4;
	} else if (parameter >= 90 && parameter <= 97) {
		colour = (colour & ~15u) | (parameter - 90 + 8);
	} else if (parameter == 39) {
		colour = (colour & ~15u) | COLOUR_TEXT;
	} else if (parameter == 49) {
		colour &= 15;
	}
}

static void erase_line(unsigned how)
{
	unsigned at = column < columns ? column : columns - 1;

	erase(row, how == 0 ? at : 0, how == 1 ? at + 1 : columns);
}

static void erase_screen(unsigned how)
{
	for (unsigned r = 0; r < rows; r++)
		if (how == 2 || (how == 0 && r > row) || (how == 1 && r < row))
			erase(r, 0, columns);
	if (how < 2)
		erase_line(how);
}

static unsigned lower(unsigned value, unsigned by)
{
	return value > by ? value - by : 0;
}

static void control(char final)
{
	unsigned first = parameters[0], step = first ? first : 1;

	switch (final) {
	case 'A':
		row = lower(row, step);
		break;
	case 'B':
		row = step < rows - row ? row + step : rows - 1;
		break;
	case 'C':
		column = column < columns && step < columns - column ? column + step : columns - 1;
		break;
	case 'D':
		column = lower(column < columns ? column : columns - 1, step);
		break;
	case 'H':
		row = lower(first < rows ? first : rows, 1);
		column = lower(parameters[1] < columns ? parameters[1] : columns, 1);
		break;
	case 'J':
		erase_screen(first);
		break;
	case 'K':
		erase_line(first);
		break;
	case 'm':
		for (unsigned i = 0; i < parameter_count; i++)
			select_colour(parameters[i]);
		break;
	default:
		break;
	}
}

static void put_control(uint8_t byte)
{
	enum { LARGEST = 9999 };

	if (byte >= '0' && byte <= '9') {
		unsigned *parameter = &parameters[parameter_count - 1];
		if (*parameter < LARGEST)
			*parameter = *parameter * 10 + (byte - '0');
	} else if (byte == ';') {
		if (parameter_count < MAX_PARAMETERS)
			parameter_count++;
	} else if (byte >= 0x40 && byte <= 0x7e) {
		control((char)byte);
		state = TEXT;
	}
}

static void put_text(uint8_t byte)
{
	if (byte >= 0x80 && byte < 0xc0) {
		if (!utf8_more)
			return;
		utf8_code = utf8_code << 6 | (byte & 0x3f);
		if (--utf8_more == 0)
			put_code(utf8_code);
		return;
	}
	utf8_more = 0;
	if (byte >= 0xc0) {
		utf8_more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
		utf8_code = byte & (0x3fu >> utf8_more);
	} else if (byte == '\n') {
		column = 0;
		line_feed();
	} else if (byte == '\r') {
		column = 0;
	} else if (byte == '\b') {
		column = lower(column < columns ? column : columns, 1);
	} else if (byte == '\t') {
		column = (column / TAB + 1) * TAB;
		if (column >= columns)
			column = columns - 1;
	} else if (byte == '\033') {
		state = ESCAPE;
	} else if (byte >= ' ' && byte != 0x7f) {
		put_code(byte);
	}
}

void framebuffer_write(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		uint8_t byte = (uint8_t)text[i];
		switch (state) {
		case TEXT:
			put_text(byte);
			break;
		case ESCAPE:
			memset(parameters, 0, sizeof(parameters));
			parameter_count = 1;
			state = byte == '[' ? CONTROL : byte == ']' ? STRING : TEXT;
			break;
		case CONTROL:
			put_control(byte);
			break;
		case STRING: /* an operating system command, such as a window title */
			if (byte == '\a' || byte == '\\')
				state = TEXT;
			break;
		}
	}
}
