/* SPDX-License-Identifier: MIT */
/*
 * The four memory functions that a freestanding compiler calls by itself.
 *
 * Copies and fills are string instructions, eight bytes at a time where the
 * length allows (processors do these in whole cache lines, and a translating
 * emulator does eight times less work). As instructions and not loops they can
 * never be compiled into calls of themselves. The direction flag is clear
 * outside of memmove, as the ABI demands. Intel SDM volume 1, 7.3.9.
 */
#include "iommu/string.h"

#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	void *out = to;
	size_t words = bytes >> 3, rest = bytes & 7;

	__asm__ volatile("rep movsq\n\t"
	                 "movq %3, %%rcx\n\t"
	                 "rep movsb"
	                 : "+D"(out), "+S"(from), "+c"(words)
	                 : "r"(rest)
	                 : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	/* One unsigned comparison: `to` below `from`, or beyond its end. */
	if ((uintptr_t)to - (uintptr_t)from >= bytes)
		return memcpy(to, from, bytes);

	char *out = (char *)to + bytes;
	const char *in = (const char *)from + bytes;
	size_t words = bytes >> 3, rest = bytes & 7;
	__asm__ volatile("std\n\t"
	                 "decq %%rdi\n\t"
	                 "decq %%rsi\n\t"
	                 "rep movsb\n\t"
	                 "subq $7, %%rdi\n\t"
	                 "subq $7, %%rsi\n\t"
	                 "movq %3, %%rcx\n\t"
	                 "rep movsq\n\t"
	                 "cld"
	                 : "+D"(out), "+S"(in), "+c"(rest)
	                 : "r"(words)
	                 : "memory", "cc");
	return to;
}

void *memset(void *start, int value, size_t bytes)
{
	void *out = start;
	size_t words = bytes >> 3, rest = bytes & 7;
	uint64_t pattern = (uint8_t)value * UINT64_C(0x0101010101010101);

	__asm__ volatile("rep stosq\n\t"
	                 "movq %2, %%rcx\n\t"
	                 "rep stosb"
	                 : "+D"(out), "+c"(words)
	                 : "r"(rest), "a"(pattern)
	                 : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	typedef uint64_t __attribute__((may_alias, aligned(1))) word;
	const uint8_t *left = a, *right = b;

	while (bytes >= sizeof(word) && *(const word *)left == *(const word *)right) {
		left += sizeof(word);
		right += sizeof(word);
		bytes -= sizeof(word);
	}
	for (; bytes; left++, right++, bytes--)
		if (*left != *right)
			return *left - *right;
	return 0;
}
