/* SPDX-License-Identifier: MIT */
/*
 * For the tests of what reads loaders' and firmware's bytes: bytes in the making, copies
 * of exactly the right size, so that the sanitizer sees one byte too far, and damage by
 * a seed.
 */
#ifndef TESTS_UNIT_BOOT_BYTES_H
#define TESTS_UNIT_BOOT_BYTES_H

#include <string.h>

#include "boot/parse.h"
#include "tests/ktap.h"
#include "tests/test_memory.h"

enum { CORRUPTIONS = 1000 };

static struct boot_info info;
static struct boot_reason reason;

static inline bool says(const char *text)
{
	if (strstr(reason.text, text))
		return true;
	printf("# the reason is '%s', without '%s'\n", reason.text, text);
	return false;
}

static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

struct bytes {
	uint8_t at[16384];
	size_t count;
};

static inline void put(struct bytes *to, unsigned width, uint64_t value)
{
	for (unsigned i = 0; i < width; i++)
		to->at[to->count++] = (uint8_t)(value >> 8 * i);
}

static inline void put_text(struct bytes *to, const char *text)
{
	size_t bytes = strlen(text) + 1;
	memcpy(to->at + to->count, text, bytes);
	to->count += bytes;
}

static inline void set32(struct bytes *to, size_t at, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		to->at[at + i] = (uint8_t)(value >> 8 * i);
}

static inline void pad(struct bytes *to, size_t alignment)
{
	while (to->count % alignment)
		put(to, 1, 0);
}

/* A copy of exactly the right size, for the sanitizer. */
static inline uint8_t *exact(const struct bytes *from)
{
	uint8_t *copy = test_malloc(from->count ? from->count : 1);
	if (!copy)
		abort();
	memcpy(copy, from->at, from->count);
	return copy;
}

static inline void corrupt(struct bytes *bytes, uint64_t *seed)
{
	for (unsigned count = 1 + random_next(seed) % 4; count; count--) {
		size_t at = random_next(seed) % bytes->count;
		bytes->at[at] = random_next(seed) % 2 ? (uint8_t)random_next(seed)
		                                      : (uint8_t)(bytes->at[at] ^ 1 << at % 8);
	}
	if (random_next(seed) % 4 == 0)
		bytes->count = random_next(seed) % (bytes->count + 1);
}

#endif
