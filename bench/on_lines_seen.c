/* SPDX-License-Identifier: MIT */
/* The caches of bench/lines.h, and what the compiler calls. Compiled without those calls. */
#define _GNU_SOURCE /* pthread_getattr_np */
#include "bench/lines.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE = 64, TABLE = 1 << 20, PLACES = 256 };

/** What the caches hold of a line. */
struct line {
	uintptr_t number; /* 0: none */
	uint32_t holders; /* bit n: processor n */
	int writer; /* the only holder, and it has written; -1: nobody has since others read */
};

extern const char __executable_start; /* the linker's: where the program lies */

static struct line *table;
static unsigned current;
static bool counting;
static struct lines_counts counts;
static struct place {
	void *at;
	uint64_t moves;
} places[PLACES];
static uintptr_t stack_first, stack_last;

static void start(void)
{
	pthread_attr_t attributes;
	void *stack;
	size_t bytes;

	table = calloc(TABLE, sizeof(*table));
	if (!table || pthread_getattr_np(pthread_self(), &attributes) ||
	    pthread_attr_getstack(&attributes, &stack, &bytes)) {
		fprintf(stderr, "nestor-lines: no memory\n");
		exit(1);
	}
	pthread_attr_destroy(&attributes);
	stack_first = (uintptr_t)stack;
	stack_last = stack_first + bytes - 1;
}

static struct line *line_find(uintptr_t number)
{
	size_t at = (number * UINT64_C(0x9e3779b97f4a7c15)) >> 44;

	while (table[at].number && table[at].number != number)
		at = (at + 1) % TABLE;
	if (!table[at].number)
		table[at] = (struct line){.number = number, .writer = -1};
	return &table[at];
}

static void place_note(void *at)
{
	size_t slot = 0;

	while (slot < PLACES - 1 && places[slot].at && places[slot].at != at)
		slot++;
	places[slot].at = at;
	places[slot].moves++;
}

static void line_access(uintptr_t number, bool write, void *place)
{
	struct line *line = line_find(number);
	uint32_t self = UINT32_C(1) << current;
	bool moves;

	if (write) {
		moves = line->holders & ~self;
		line->holders = self;
		line->writer = (int)current;
	} else {
		moves = line->writer >= 0 && line->writer != (int)current;
		line->holders |= self;
		if (moves)
			line->writer = -1;
	}
	if (!moves || !counting)
		return;
	if (write)
		counts.writes++;
	else
		counts.reads++;
	place_note(place);
}

static void access_at(uintptr_t at, size_t bytes, bool write, void *place)
{
	/* a processor's stack is its own; before main() there is one processor */
	if (!table || !bytes || (at >= stack_first && at <= stack_last))
		return;
	for (uintptr_t number = at / LINE; number <= (at + bytes - 1) / LINE; number++)
		line_access(number, write, place);
}

void lines_play(unsigned processor)
{
	if (!table)
		start();
	current = processor;
}

void lines_count(bool on)
{
	counting = on;
}

void lines_access(const void *at, size_t bytes, bool write)
{
	access_at((uintptr_t)at, bytes, write, __builtin_return_address(0));
}

struct lines_counts lines_take(void)
{
	struct lines_counts taken = counts;

	counts = (struct lines_counts){0};
	return taken;
}

void lines_places(unsigned most)
{
	for (; most; most--) {
		struct place *best = &places[0];
		for (unsigned i = 1; i < PLACES; i++)
			if (places[i].moves > best->moves)
				best = &places[i];
		if (!best->moves)
			return;
		printf("# %8llu moves at %#lx\n", (unsigned long long)best->moves,
		       (unsigned long)((uintptr_t)best->at - (uintptr_t)&__executable_start));
		best->moves = 0;
	}
}

/* ---- what the compiler calls ----------------------------------------------------------------- */

#define HERE __builtin_return_address(0)

void __tsan_init(void);
void __tsan_init(void)
{
}

#define ACCESS(name, bytes, write)                                                                 \
	void __tsan_##name##bytes(void *at);                                                       \
	void __tsan_##name##bytes(void *at)                                                        \
	{                                                                                          \
		access_at((uintptr_t)at, bytes, write, HERE);                                      \
	}
#define ACCESSES(bytes)                                                                            \
	ACCESS(read, bytes, false)                                                                 \
	ACCESS(write, bytes, true)                                                                 \
	ACCESS(unaligned_read, bytes, false)                                                       \
	ACCESS(unaligned_write, bytes, true)
ACCESS(read, 1, false)
ACCESS(write, 1, true)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void *at, unsigned long bytes);
void __tsan_read_range(void *at, unsigned long bytes)
{
	access_at((uintptr_t)at, bytes, false, HERE);
}
void __tsan_write_range(void *at, unsigned long bytes);
void __tsan_write_range(void *at, unsigned long bytes)
{
	access_at((uintptr_t)at, bytes, true, HERE);
}

/* There is one thread: any order is the strongest. */
#define ATOMIC_FETCH(bits, type, name)                                                             \
	type __tsan_atomic##bits##_##name(volatile type *at, type value, int order);               \
	type __tsan_atomic##bits##_##name(volatile type *at, type value, int order)                \
	{                                                                                          \
		(void)order;                                                                       \
		access_at((uintptr_t)at, sizeof(*at), true, HERE);                                 \
		return __atomic_##name(at, value, __ATOMIC_SEQ_CST);                               \
	}
#define ATOMIC_COMPARE(bits, type, strength)                                                       \
	int __tsan_atomic##bits##_compare_exchange_##strength(                                     \
		volatile type *at, type *expected, type value, int order, int otherwise);          \
	int __tsan_atomic##bits##_compare_exchange_##strength(                                     \
		volatile type *at, type *expected, type value, int order, int otherwise)           \
	{                                                                                          \
		(void)order, (void)otherwise;                                                      \
		access_at((uintptr_t)at, sizeof(*at), true, HERE);                                 \
		return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST,   \
		                                   __ATOMIC_SEQ_CST);                              \
	}
#define ATOMIC(bits, type)                                                                         \
	type __tsan_atomic##bits##_load(const volatile type *at, int order);                       \
	type __tsan_atomic##bits##_load(const volatile type *at, int order)                        \
	{                                                                                          \
		(void)order;                                                                       \
		access_at((uintptr_t)at, sizeof(*at), false, HERE);                                \
		return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                      \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile type *at, type value, int order);                \
	void __tsan_atomic##bits##_store(volatile type *at, type value, int order)                 \
	{                                                                                          \
		(void)order;                                                                       \
		access_at((uintptr_t)at, sizeof(*at), true, HERE);                                 \
		__atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                     \
	}                                                                                          \
	type __tsan_atomic##bits##_exchange(volatile type *at, type value, int order);             \
	type __tsan_atomic##bits##_exchange(volatile type *at, type value, int order)              \
	{                                                                                          \
		(void)order;                                                                       \
		access_at((uintptr_t)at, sizeof(*at), true, HERE);                                 \
		return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                           \
	}                                                                                          \
	ATOMIC_COMPARE(bits, type, strong)                                                         \
	ATOMIC_COMPARE(bits, type, weak)                                                           \
	ATOMIC_FETCH(bits, type, fetch_add)                                                        \
	ATOMIC_FETCH(bits, type, fetch_sub)                                                        \
	ATOMIC_FETCH(bits, type, fetch_and)                                                        \
	ATOMIC_FETCH(bits, type, fetch_or)                                                         \
	ATOMIC_FETCH(bits, type, fetch_xor)
ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	(void)order;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}
void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
	(void)caller;
}
void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}
