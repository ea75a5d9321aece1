/* SPDX-License-Identifier: MIT */
/*
 * HVM start information, as QEMU's -kernel and other monitors hand it to a kernel with
 * a PVH note: Xen's public/arch-x86/hvm/start_info.h.
 *
 * Everything in it is a physical address. Each is looked at through the view, in pieces
 * whose length is known beforehand; texts are read byte by byte up to their end or to
 * what fits.
 */
#include "boot/parse.h"

#include "iommu/string.h"

#define START_MAGIC UINT32_C(0x336ec578)

enum {
	START_BYTES_0 = 40, /* version 0: magic to rsdp_paddr */
	START_BYTES_1 = 56, /* version 1: the memory map besides */
	MODULE_BYTES = 32,  /* paddr, size, cmdline_paddr, reserved */
	MEMORY_BYTES = 24,  /* addr, size, type, reserved */
	MAX_ENTRIES = 4096, /* in either list: more is damage */
};

struct reader {
	const struct boot_view *view;
	struct boot_info *out;
	struct boot_reason *reason;
};

typedef unsigned long long u64_text; /* what %llx takes */

/** Copy the text at @p address, as far as it fits; *cut says if it did not.
 *  0, or a refusal that calls it @p what. */
static int copy_text(struct reader *reader, uint64_t address, const char *what, char *to,
                     size_t capacity, bool *cut)
{
	for (size_t at = 0;; at++) {
		const char *from = NULL;
		if (address <= UINT64_MAX - at)
			from = reader->view->map(reader->view->ctx, address + at, 1);
		if (!from)
			return boot_refuse(reader->reason,
			                   "PVH start information: the %s at %#llx is "
			                   "in no memory, or its end is not",
			                   what, (u64_text)address);
		if (at == capacity - 1) {
			*cut = *from != '\0';
			to[at] = '\0';
			return 0;
		}
		to[at] = *from;
		if (!*from) {
			*cut = false;
			return 0;
		}
	}
}

static int read_modules(struct reader *reader, uint64_t list, uint32_t count)
{
	if (count > MAX_ENTRIES)
		return boot_refuse(reader->reason,
		                   "PVH start information: %u modules, at most %d would "
		                   "be right",
		                   count, MAX_ENTRIES);
	const uint8_t *bytes = NULL;
	if (count)
		bytes = reader->view->map(reader->view->ctx, list, (uint64_t)count * MODULE_BYTES);
	if (count && !bytes)
		return boot_refuse(reader->reason,
		                   "PVH start information: the list of %u modules at "
		                   "%#llx is in no memory",
		                   count, (u64_text)list);
	for (uint32_t i = 0; i < count; i++, bytes += MODULE_BYTES) {
		uint64_t start = boot_get64(bytes), size = boot_get64(bytes + 8);
		uint64_t text_at = boot_get64(bytes + 16);
		char text[128] = "";
		bool cut = false;
		if (size && size - 1 > UINT64_MAX - start)
			return boot_refuse(reader->reason,
			                   "PVH module %u: %#llx bytes at %#llx go beyond "
			                   "2^64",
			                   i, (u64_text)size, (u64_text)start);
		int error = text_at ? copy_text(reader, text_at, "module's command line", text,
		                                sizeof(text), &cut)
		                    : 0;
		if (error)
			return error;
		struct boot_module *module = boot_module_add(reader->out, start, size);
		if (module)
			boot_module_name(reader->out, module, text);
	}
	return 0;
}

static int read_memory(struct reader *reader, uint64_t map, uint32_t count)
{
	if (count > MAX_ENTRIES)
		return boot_refuse(reader->reason,
		                   "PVH start information: a memory map of %u entries, "
		                   "at most %d would be right",
		                   count, MAX_ENTRIES);
	const uint8_t *bytes = NULL;
	if (count)
		bytes = reader->view->map(reader->view->ctx, map, (uint64_t)count * MEMORY_BYTES);
	if (count && !bytes)
		return boot_refuse(reader->reason,
		                   "PVH start information: the memory map of %u entries "
		                   "at %#llx is in no memory",
		                   count, (u64_text)map);
	for (uint32_t i = 0; i < count; i++, bytes += MEMORY_BYTES) {
		uint64_t start = boot_get64(bytes), size = boot_get64(bytes + 8);
		if (!boot_memory_add(reader->out, start, size,
		                     boot_e820_kind(boot_get32(bytes + 16))))
			return boot_refuse(reader->reason,
			                   "PVH memory map, entry %u: %#llx bytes at "
			                   "%#llx go beyond 2^64",
			                   i, (u64_text)size, (u64_text)start);
	}
	return 0;
}

int boot_pvh_parse(const struct boot_view *view, uint64_t address, struct boot_info *out,
                   struct boot_reason *reason)
{
	struct reader reader = {.view = view, .out = out, .reason = reason};
	const uint8_t *start = view->map(view->ctx, address, START_BYTES_0);
	int error = 0;

	memset(out, 0, sizeof(*out));
	out->path = BOOT_PVH;
	if (!start)
		return boot_refuse(reason, "PVH start information at %#llx is in no memory",
		                   (u64_text)address);
	if (boot_get32(start) != START_MAGIC)
		return boot_refuse(reason,
		                   "PVH start information at %#llx: magic %#x, %#x would be right",
		                   (u64_text)address, boot_get32(start), START_MAGIC);
	if (boot_get32(start + 4) == 0)
		return boot_refuse(reason,
		                   "PVH start information at %#llx: version 0 has no memory map; "
		                   "version 1 would be right",
		                   (u64_text)address);
	start = view->map(view->ctx, address, START_BYTES_1);
	if (!start)
		return boot_refuse(reason,
		                   "PVH start information at %#llx: it ends within its 56 bytes",
		                   (u64_text)address);

	uint64_t command_line = boot_get64(start + 24);
	if (command_line)
		error = copy_text(&reader, command_line, "command line", out->command_line,
		                  BOOT_MAX_COMMAND_LINE, &out->command_line_cut);
	if (!error)
		error = read_modules(&reader, boot_get64(start + 16), boot_get32(start + 12));
	if (!error)
		error = read_memory(&reader, boot_get64(start + 40), boot_get32(start + 48));
	if (!error && !out->memory_count)
		error = boot_refuse(reason,
		                    "PVH start information at %#llx: its memory map is empty",
		                    (u64_text)address);
	out->rsdp = boot_get64(start + 32);
	return error;
}
