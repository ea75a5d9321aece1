/* SPDX-License-Identifier: MIT */
/*
 * Formatted output to the console. Pieces are gathered, so that a line reaches
 * the console, and with it the UART's FIFO, whole.
 */
#include "iommu/string.h"
#include "kernel/kernel.h"

enum { GATHER_BYTES = 256 };

struct gatherer {
	struct iommu_print print;
	size_t used;
	char text[GATHER_BYTES];
};

enum iommu_log_level log_level = IOMMU_LOG_INFO;

static void gather_flush(struct gatherer *gatherer)
{
	console_write(gatherer->text, gatherer->used);
	gatherer->used = 0;
}

static void gather_write(struct iommu_print *self, const char *text, size_t bytes)
{
	struct gatherer *gatherer = container_of(self, struct gatherer, print);

	while (bytes) {
		size_t part = GATHER_BYTES - gatherer->used;
		if (part > bytes)
			part = bytes;
		memcpy(gatherer->text + gatherer->used, text, part);
		gatherer->used += part;
		text += part;
		bytes -= part;
		if (gatherer->used == GATHER_BYTES)
			gather_flush(gatherer);
	}
}

void kprintf(const char *format, ...)
{
	struct gatherer gatherer;
	va_list args;

	gatherer.print = (struct iommu_print){.write = gather_write};
	gatherer.used = 0;
	va_start(args, format);
	iommu_vprintf(&gatherer.print, format, args);
	va_end(args);
	gather_flush(&gatherer);
}

void klog(enum iommu_log_level level, const char *format, ...)
{
	static const char *const prefix[] = {"error: ", "warning: ", "", "debug: "};
	struct gatherer gatherer;
	va_list args;

	if (level > log_level)
		return;
	gatherer.print = (struct iommu_print){.write = gather_write};
	gatherer.used = 0;
	iommu_printf(&gatherer.print, "%s",
	             (unsigned)level < ARRAY_SIZE(prefix) ? prefix[level] : "");
	va_start(args, format);
	iommu_vprintf(&gatherer.print, format, args);
	va_end(args);
	iommu_printf(&gatherer.print, "\n");
	gather_flush(&gatherer);
}
