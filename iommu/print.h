/* SPDX-License-Identifier: MIT */
/*
 * Text output without a C library: a sink that takes characters, and formatting.
 *
 * Formats: %d %i %u %x %X %o with hh h l ll z t j, %c %s %p %%, width, precision,
 * `-`, `0`, `#`, `+`, ` ` and `*`; nothing else, no floating point. Behaviour is
 * the C standard's. (GCC checks the arguments.) Addresses are printed as
 * %#llx with a cast to unsigned long long.
 */
#ifndef IOMMU_PRINT_H
#define IOMMU_PRINT_H

#include <stdarg.h>
#include <stddef.h>

#include "iommu/types.h"

/** A sink of characters. */
struct iommu_print {
	void (*write)(struct iommu_print *self, const char *text, size_t bytes);
	void *ctx;
};

void iommu_printf(struct iommu_print *to, const char *format, ...) printf_like(2, 3);
void iommu_vprintf(struct iommu_print *to, const char *format, va_list list) printf_like(2, 0);

/** As C's snprintf: writes at most @p size bytes with the final NUL, returns the
 *  length that the whole text has. */
int iommu_snprintf(char *out, size_t size, const char *format, ...) printf_like(3, 4);
int iommu_vsnprintf(char *out, size_t size, const char *format, va_list args) printf_like(3, 0);

#endif
