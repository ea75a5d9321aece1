/* SPDX-License-Identifier: MIT */
/* What the unit tests use of C's library, in the kernel: see tests/kernel/library.c. */
#ifndef TESTS_KERNEL_STRING_H
#define TESTS_KERNEL_STRING_H

#include "iommu/string.h"

size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t most);
char *strchr(const char *text, int byte);
char *strstr(const char *text, const char *part);

#endif
