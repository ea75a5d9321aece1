/* SPDX-License-Identifier: MIT */
/*
 * The four functions that the model needs of its surroundings. Every hosted C
 * library has them; a kernel supplies them anyway, because compilers call them.
 */
#ifndef MODEL_STRING_H
#define MODEL_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
