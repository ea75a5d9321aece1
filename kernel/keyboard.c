/* SPDX-License-Identifier: MIT */
/*
 * The PS/2 keyboard, polled: the 8042 translates to scan code set 1, US layout.
 * (Firmware that speaks USB keyboards often answers on the same ports.)
 * IBM PS/2 Hardware Interface Technical Reference, keyboard controller.
 *
 * Cursor keys give the escape sequences that a terminal gives, so the shell
 * knows one language.
 */
#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/kernel.h"

enum { DATA = 0x60, STATUS = 0x64, COMMAND = 0x64 };

enum {
	STATUS_FULL = 0x01,  /* a byte for us */
	STATUS_BUSY = 0x02,  /* it has not taken our last byte */
	STATUS_MOUSE = 0x20, /* the byte is the mouse's */
	NOTHING = 0xff,
	READ_CONFIGURATION = 0x20,
	WRITE_CONFIGURATION = 0x60,
	DISABLE_MOUSE = 0xa7,
	ENABLE_KEYBOARD = 0xae,
	CONFIGURATION_INTERRUPTS = 0x03,
	CONFIGURATION_DISABLED = 0x10,
	CONFIGURATION_TRANSLATE = 0x40,
	KEYBOARD_SCAN = 0xf4,
};

#define PATIENCE_NS UINT64_C(10000000)

enum { SCAN_EXTENDED = 0xe0, SCAN_PAUSE = 0xe1, SCAN_RELEASE = 0x80 };
enum {
	KEY_CONTROL = 0x1d,
	KEY_LEFT_SHIFT = 0x2a,
	KEY_RIGHT_SHIFT = 0x36,
	KEY_ALT = 0x38,
	KEY_CAPS = 0x3a,
};

/* By scan code; 0: no character. */
static const char plain[] =
	"\0\0331234567890-=\177\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 \0"
	"\0\0\0\0\0\0\0\0\0\0\0\000789-456+1230.";
static const char shifted[] =
	"\0\033!@#$%^&*()_+\177\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 \0"
	"\0\0\0\0\0\0\0\0\0\0\0\000789-456+1230.";

_Static_assert(sizeof(plain) == 0x55 && sizeof(shifted) == 0x55, "codes 0 to 0x53, and the NUL");

static const struct {
	uint8_t scan;
	const char *sequence;
} extended_keys[] = {
	{0x48, "\033[A"},  {0x50, "\033[B"},  {0x4d, "\033[C"},  {0x4b, "\033[D"},
	{0x47, "\033[H"},  {0x4f, "\033[F"},  {0x53, "\033[3~"}, {0x49, "\033[5~"},
	{0x51, "\033[6~"}, {0x52, "\033[2~"}, {0x1c, "\r"},      {0x35, "/"},
};

static bool is_shifted, is_control, is_caps, is_extended;
static unsigned to_skip; /* bytes of a Pause sequence */

static bool wait_taken(void)
{
	uint64_t start = time_ns();

	while (in8(STATUS) & STATUS_BUSY) {
		if (time_ns() - start > PATIENCE_NS)
			return false;
		arch_pause();
	}
	return true;
}

static bool wait_byte(uint8_t *out)
{
	uint64_t start = time_ns();

	while (!(in8(STATUS) & STATUS_FULL)) {
		if (time_ns() - start > PATIENCE_NS)
			return false;
		arch_pause();
	}
	*out = in8(DATA);
	return true;
}

static bool command(uint8_t value)
{
	if (!wait_taken())
		return false;
	out8(COMMAND, value);
	return true;
}

static bool data(uint8_t value)
{
	if (!wait_taken())
		return false;
	out8(DATA, value);
	return true;
}

static void discard(void)
{
	enum { MANY = 64 };

	for (unsigned i = 0; i < MANY && in8(STATUS) & STATUS_FULL; i++)
		in8(DATA);
}

bool keyboard_init(void)
{
	uint8_t configuration;

	if (in8(STATUS) == NOTHING)
		return false;
	discard();
	if (!command(DISABLE_MOUSE))
		return false;
	discard();
	if (!command(READ_CONFIGURATION) || !wait_byte(&configuration))
		return false;
	configuration &= 0xff & ~(CONFIGURATION_INTERRUPTS | CONFIGURATION_DISABLED);
	configuration |= CONFIGURATION_TRANSLATE;
	/* The keyboard's answer to the last byte, 0xfa, comes as a scan code that means
	 * nothing. */
	return command(WRITE_CONFIGURATION) && data(configuration) && command(ENABLE_KEYBOARD) &&
	       data(KEYBOARD_SCAN);
}

static void send(const char *sequence)
{
	while (*sequence)
		console_input((uint8_t)*sequence++);
}

static void key_extended(uint8_t scan)
{
	for (unsigned i = 0; i < sizeof(extended_keys) / sizeof(extended_keys[0]); i++)
		if (extended_keys[i].scan == scan)
			send(extended_keys[i].sequence);
}

static void key_plain(uint8_t scan)
{
	if (scan >= sizeof(plain) - 1)
		return;
	char character = is_shifted ? shifted[scan] : plain[scan];
	bool is_letter = (plain[scan] >= 'a' && plain[scan] <= 'z');
	if (is_letter && is_caps)
		character = is_shifted ? plain[scan] : shifted[scan];
	if (!character)
		return;
	if (is_control && is_letter)
		character = (char)(plain[scan] & 0x1f);
	console_input((uint8_t)character);
}

static void scan_code(uint8_t scan)
{
	bool released = scan & SCAN_RELEASE;
	uint8_t key = scan & (uint8_t)~SCAN_RELEASE;

	if (to_skip) {
		to_skip--;
		return;
	}
	if (scan == SCAN_EXTENDED) {
		is_extended = true;
		return;
	}
	if (scan == SCAN_PAUSE) {
		to_skip = 2;
		return;
	}
	bool extended = is_extended;
	is_extended = false;
	if (key == KEY_CONTROL)
		is_control = !released;
	else if (extended && !released)
		key_extended(key);
	else if (extended)
		return;
	else if (key == KEY_LEFT_SHIFT || key == KEY_RIGHT_SHIFT)
		is_shifted = !released;
	else if (key == KEY_CAPS)
		is_caps ^= !released;
	else if (key != KEY_ALT && !released)
		key_plain(key);
}

void keyboard_poll(void)
{
	enum { AT_ONCE = 16 };

	for (unsigned i = 0; i < AT_ONCE; i++) {
		uint8_t status = in8(STATUS);
		if (status == NOTHING || !(status & STATUS_FULL))
			return;
		uint8_t byte = in8(DATA);
		if (!(status & STATUS_MOUSE))
			scan_code(byte);
	}
}
