/* SPDX-License-Identifier: MIT */
/* What the unit tests use of C's library, in the kernel: see tests/kernel/library.c. */
#ifndef TESTS_KERNEL_STDIO_H
#define TESTS_KERNEL_STDIO_H

#include <stddef.h>

#include "iommu/print.h"

typedef struct kernel_stream FILE;
#define stdout ((FILE *)0)
#define stderr ((FILE *)0)
#define _IOLBF 1

int printf(const char *format, ...) printf_like(1, 2);
int fprintf(FILE *stream, const char *format, ...) printf_like(2, 3);
int puts(const char *text);
int putchar(int byte);
int setvbuf(FILE *stream, char *buffer, int mode, size_t bytes);
int fflush(FILE *stream);
#define snprintf  iommu_snprintf
#define vsnprintf iommu_vsnprintf

#endif
