/* SPDX-License-Identifier: MIT */
/*
 * COM1: a 16550 or 8250 at 115200 baud, 8n1, polled. National Semiconductor
 * PC16550D data sheet.
 *
 * It is used only if it passes a loopback test, so that a machine without one
 * loses nothing. Output waits for the transmitter five seconds at most; if that
 * passes, what is written is dropped until the transmitter moves again.
 */
#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/kernel.h"

enum { COM1 = 0x3f8, FIFO_BYTES = 16 };

enum { DATA = 0, IER = 1, FCR = 2, IIR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6 };

enum {
	LCR_8N1 = 0x03,
	LCR_DLAB = 0x80,
	FCR_ENABLE_CLEAR_SEND = 0x05, /* what was typed ahead stays */
	FCR_TRIGGER_14 = 0xc0,
	IIR_FIFO = 0xc0,
	MCR_DTR = 0x01,
	MCR_RTS = 0x02,
	MCR_LOOP = 0x10,
	LSR_DATA = 0x01,
	LSR_THR_EMPTY = 0x20,
	LSR_ALL_SENT = 0x40,
	MSR_CTS = 0x10,
	MSR_DSR = 0x20,
	MSR_DCD = 0x80,
	NOTHING = 0xff, /* what a port without a device reads as */
};

#define PATIENCE_NS UINT64_C(5000000000)
#define TEST_NS     UINT64_C(2000000) /* a byte takes 87 us */

static bool has_fifo, is_stalled;
static unsigned room; /* bytes that the transmitter takes without asking */

static uint8_t get(unsigned reg)
{
	return in8((uint16_t)(COM1 + reg));
}

static void put(unsigned reg, uint8_t value)
{
	out8((uint16_t)(COM1 + reg), value);
}

/** Wait for a bit of LSR. */
static bool wait_for(uint8_t bit, uint64_t ns)
{
	uint64_t start = time_ns();

	for (;;) {
		uint8_t status = get(LSR);
		if (status & bit)
			return true;
		if (time_ns() - start > ns)
			return false;
		arch_pause();
	}
}

/* What is typed meanwhile comes before the byte or after it, and is kept. The test bytes
 * are none that a terminal sends. */
static bool loops_back(uint8_t byte)
{
	put(DATA, byte);
	for (unsigned i = 0; i < 4 * FIFO_BYTES; i++) {
		if (!wait_for(LSR_DATA, TEST_NS))
			return false;
		uint8_t got = get(DATA);
		if (got == byte)
			return true;
		console_input(got);
	}
	return false;
}

bool serial_init(void)
{
	uint8_t modem = get(MCR);

	if (get(LSR) == NOTHING)
		return false;
	wait_for(LSR_ALL_SENT, 20 * TEST_NS); /* firmware's last words */
	/* switching the FIFO on empties it */
	for (unsigned i = 0; i < 4 * FIFO_BYTES && get(LSR) & LSR_DATA; i++)
		console_input(get(DATA));
	put(IER, 0);
	put(LCR, LCR_DLAB);
	put(DATA, 1); /* divisor: 115200 / 1 */
	put(IER, 0);
	put(LCR, LCR_8N1);
	put(FCR, FCR_ENABLE_CLEAR_SEND | FCR_TRIGGER_14);
	put(MCR, MCR_LOOP | MCR_DTR | MCR_RTS);
	if (!loops_back(0xae) || !loops_back(0xd1)) {
		put(MCR, modem);
		return false;
	}
	put(MCR, MCR_DTR | MCR_RTS);
	has_fifo = (get(IIR) & IIR_FIFO) == IIR_FIFO;
	return true;
}

/** Wait until the transmitter takes bytes, and keep the receiver from overflowing. */
static void make_room(void)
{
	uint64_t start = 0;

	for (;;) {
		uint8_t status = get(LSR);
		if (status & LSR_DATA)
			console_input(get(DATA));
		if (status & LSR_THR_EMPTY) {
			is_stalled = false;
			room = has_fifo ? FIFO_BYTES : 1;
			return;
		}
		if (is_stalled)
			return;
		if (!start)
			start = time_ns();
		else if (time_ns() - start > PATIENCE_NS)
			is_stalled = true;
		arch_pause();
	}
}

static void put_byte(char byte)
{
	if (!room)
		make_room();
	if (!room)
		return;
	put(DATA, (uint8_t)byte);
	room--;
}

void serial_write(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\n')
			put_byte('\r');
		put_byte(text[i]);
	}
	/* Time passes until the next call: ask again then. */
	room = 0;
}

int serial_read(void)
{
	return get(LSR) & LSR_DATA ? get(DATA) : -1;
}

bool serial_is_connected(void)
{
	return get(MSR) & (MSR_CTS | MSR_DSR | MSR_DCD);
}

void serial_drain(void)
{
	if (!is_stalled)
		wait_for(LSR_ALL_SENT, 20 * TEST_NS);
}
