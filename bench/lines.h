/* SPDX-License-Identifier: MIT */
/*
 * Which cache lines go from processor to processor: the core is compiled with the calls that
 * -fsanitize=thread puts in front of every access to memory, and they come here instead of
 * to the race detector. One thread plays all processors in turn, so that the counts are
 * exact and the same every time.
 *
 * The caches are as large as can be and coherent: a write takes a line from all others, a read
 * shares it. What is counted is what such caches must send each other: a line that a processor
 * accesses and that another has written since, or (a write) another has read.
 */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINES_PROCESSORS = 16 };

/** From now on accesses are those of processor @p processor. */
void lines_play(unsigned processor);
/** Nothing is counted: what the caches hold changes all the same. */
void lines_count(bool on);
/** An access that the compiler does not see. */
void lines_access(const void *at, size_t bytes, bool write);

struct lines_counts {
	uint64_t writes, reads; /* of lines that another has, or has written */
};
/** Counts since the last call. */
struct lines_counts lines_take(void);
/** Print where in the program lines moved, by address, the most frequent first. */
void lines_places(unsigned most);

#endif
