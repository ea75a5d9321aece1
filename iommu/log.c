/* SPDX-License-Identifier: MIT */
/*
 * Log lines: formatted here, on the stack, and handed to os->log one by one. A
 * line that does not fit ends in "..." so that a cut is seen.
 */
#include "iommu/os.h"
#include "iommu/print.h"
#include "iommu/string.h"

enum { LOG_LINE = 384 };

void iommu_log(const struct iommu_os *os, enum iommu_log_level level, const char *format, ...)
{
	char line[LOG_LINE];
	va_list args;

	if (!os->log)
		return;
	va_start(args, format);
	int length = iommu_vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if ((size_t)length >= sizeof(line))
		memcpy(line + sizeof(line) - 4, "...", 4);
	os->log(os->ctx, level, line);
}
