/* SPDX-License-Identifier: MIT */
/*
 * The console's parts, and what the kernel's own files ask of it beyond
 * kernel/kernel.h. Unless said otherwise, the parts are called with interrupts
 * off and the console's lock held.
 */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct boot_framebuffer;

/* ---- kernel/console.c: no lock needed ---- */

/** Around the change of page tables: no drawing from unmap to map. */
void console_unmap(void);
void console_map(void);
/** At each tick, in an interrupt: fetch input, bring the screen up to date. */
void console_tick(void);
/** Bring the screen up to date now, and let the serial line send what it holds. */
void console_flush(void);
/** For a panic: from now on nobody waits for the console's lock. */
void console_seize(void);
/** For the serial line: a byte that came in while output waited. */
void console_input(uint8_t byte);

/* ---- kernel/serial.c: COM1 ---- */

/** @return false if nothing answers the loopback test. */
bool serial_init(void);
void serial_write(const char *text, size_t bytes);
/** One byte, or -1. */
int serial_read(void);
/** True if a modem line is up: something is plugged in and on. */
bool serial_is_connected(void);
/** Wait, with a bound, until everything is on the line. */
void serial_drain(void);

/* ---- kernel/framebuffer.c: a text screen ---- */

/** @return NULL, or why this framebuffer cannot be used. */
const char *framebuffer_init(const struct boot_framebuffer *framebuffer);
void framebuffer_unmap(void);
/** Map it write-combining. @return false if it cannot be mapped; it stays dark. */
bool framebuffer_map(void);
void framebuffer_write(const char *text, size_t bytes);
/** Draw what has changed. */
void framebuffer_flush(void);

/* ---- kernel/keyboard.c: PS/2, US layout ---- */

/** @return false if there is no controller. */
bool keyboard_init(void);
/** Fetch what was typed: each byte (an escape sequence for cursor keys) goes to
 *  console_input. */
void keyboard_poll(void);

#endif
