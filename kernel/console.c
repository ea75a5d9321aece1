/* SPDX-License-Identifier: MIT */
/*
 * The console: one stream of text to the serial line and the screen, one stream
 * of bytes from the serial line and the keyboard.
 *
 * Input is fetched at each timer tick (1 ms: less than a UART's FIFO holds at
 * 115200 baud), while output waits for the line, and when somebody reads; it is
 * kept in a ring. The screen is drawn from RAM, not more often than every 16 ms
 * once the tick runs, so that a flood of lines costs one drawing.
 *
 * Locking: console_lock around output and drawing. The ring has one reader and
 * is filled with interrupts off. In a panic the lock is not taken any more.
 */
#include "kernel/console.h"

#include "kernel/kernel.h"
#include "kernel/lock.h"

enum { RING_BYTES = 1024, DRAW_EVERY_NS = 16000000 };

static struct spinlock console_lock;
static bool seized, has_serial, has_screen, has_keyboard, has_tick, was_typed_at;
static uint64_t drawn_at;
static bool screen_is_stale;

static uint8_t ring[RING_BYTES];
static unsigned ring_head, ring_tail; /* filled at head, read at tail; modulo 2^32 */

static uint64_t acquire(void)
{
	return seized ? irq_save() : spin_lock(&console_lock);
}

static void release(uint64_t flags)
{
	if (seized)
		irq_restore(flags);
	else
		spin_unlock(&console_lock, flags);
}

static bool same(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

void console_init(const struct boot_framebuffer *framebuffer, const char *which)
{
	const char *trouble = NULL;
	bool want_serial = !which || !same(which, "fb");
	bool want_screen = !which || !same(which, "serial");

	if (want_screen) {
		trouble = framebuffer_init(framebuffer);
		has_screen = !trouble;
	}
	/* Asked for the screen alone, and there is none: better the serial line than
	 * nothing. */
	if (want_serial || !has_screen)
		has_serial = serial_init();
	if (has_screen)
		has_keyboard = keyboard_init();
	if (trouble && framebuffer->start)
		klog(IOMMU_LOG_WARNING, "the framebuffer is not used: %s", trouble);
	else if (trouble && !want_serial)
		klog(IOMMU_LOG_WARNING, "console=fb, but the loader gave no framebuffer");
}

void console_unmap(void)
{
	uint64_t flags = acquire();

	if (has_screen)
		framebuffer_unmap();
	release(flags);
}

void console_map(void)
{
	bool trouble = has_screen && !framebuffer_map();

	if (trouble)
		klog(IOMMU_LOG_WARNING, "the framebuffer is not used: it cannot be mapped");
	console_flush();
}

/** With the lock held. */
static void draw(void)
{
	if (!screen_is_stale)
		return;
	screen_is_stale = false;
	framebuffer_flush();
	drawn_at = time_ns();
}

void console_write(const char *text, size_t bytes)
{
	uint64_t flags = acquire();

	if (has_screen) {
		framebuffer_write(text, bytes);
		screen_is_stale = true;
		/* With a tick, what is not drawn now is drawn then. */
		if (!has_tick || seized || time_ns() - drawn_at >= DRAW_EVERY_NS)
			draw();
	}
	if (has_serial)
		serial_write(text, bytes);
	release(flags);
}

void console_flush(void)
{
	uint64_t flags = acquire();

	if (has_screen)
		draw();
	if (has_serial)
		serial_drain();
	release(flags);
}

void console_seize(void)
{
	seized = true;
}

/* ---- input ------------------------------------------------------------------------------ */

void console_input(uint8_t byte)
{
	if (ring_head - ring_tail < RING_BYTES)
		ring[ring_head++ % RING_BYTES] = byte;
}

/** Interrupts off. What does not fit waits in the UART. */
static void fetch(void)
{
	enum { AT_ONCE = 64 };

	for (unsigned i = 0; has_serial && i < AT_ONCE && ring_head - ring_tail < RING_BYTES; i++) {
		int byte = serial_read();
		if (byte < 0)
			break;
		was_typed_at = true;
		console_input((uint8_t)byte);
	}
	if (has_keyboard)
		keyboard_poll();
}

int console_read(void)
{
	uint64_t flags = irq_save();
	int byte = -1;

	fetch();
	if (ring_tail != ring_head)
		byte = ring[ring_tail++ % RING_BYTES];
	irq_restore(flags);
	return byte;
}

bool console_has_input(void)
{
	return was_typed_at || has_keyboard || (has_serial && serial_is_connected());
}

void console_tick(void)
{
	uint64_t flags = irq_save();

	has_tick = true;
	fetch();
	if (screen_is_stale && time_ns() - drawn_at >= DRAW_EVERY_NS) {
		uint64_t inner;
		/* Whoever holds the lock now draws by itself or leaves it to the next tick. */
		if (!seized && spin_try_lock(&console_lock, &inner)) {
			draw();
			spin_unlock(&console_lock, inner);
		}
	}
	irq_restore(flags);
}

/* ---- the sink --------------------------------------------------------------------------- */

static void sink_write(struct iommu_print *self, const char *text, size_t bytes)
{
	(void)self;
	console_write(text, bytes);
}

struct iommu_print *console_print(void)
{
	static struct iommu_print sink = {.write = sink_write};

	return &sink;
}
