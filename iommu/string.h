/* SPDX-License-Identifier: MIT */
/*
 * The four functions of C's <string.h> that a freestanding compiler may call and
 * that an embedder supplies; nothing else is used from a C library.
 */
#ifndef IOMMU_STRING_H
#define IOMMU_STRING_H

#if __STDC_HOSTED__
#include <string.h>
#else
#include <stddef.h>
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *start, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
#endif

#endif
