/* SPDX-License-Identifier: MIT */
/*
 * PVH start information: see pvh.h.
 *
 *   0 magic 0x336ec578, 4 version, 8 flags, 12 module count, 16 module list,
 *   24 command line, 32 RSDP; version 1: 40 memory map, 48 its entry count
 *   module: 0 start, 8 bytes, 16 command line, 24 reserved
 *   memory map entry: 0 start, 8 bytes, 16 type, 20 reserved
 */
#include "boot/pvh.h"

#include "boot/parse.h"
#include "iommu/print.h"

enum { PVH_REASON = 96, PVH_MAX_ENTRIES = 4096 };
#define PVH_MAGIC 0x336ec578u

static bool read_text(const struct boot_pvh_source *source, uint64_t address, char *out,
		      size_t size, bool *cut)
{
	*cut = false;
	for (size_t at = 0; at < size; at++) {
		if (!source->read(source->ctx, address + at, &out[at], 1)) {
			out[at] = '\0';
			return false;
		}
		if (!out[at])
			return true;
	}
	out[size - 1] = '\0';
	*cut = true;
	return true;
}

static int refuse(char *reason, const char *what, uint64_t address)
{
	iommu_snprintf(reason, PVH_REASON, "%s at %#llx is not in memory", what,
		       (unsigned long long)address);
	return -1;
}

static int read_memory(const struct boot_pvh_source *source, uint64_t list, uint32_t count,
		       struct boot_info *out, char *reason)
{
	if (count > PVH_MAX_ENTRIES) {
		iommu_snprintf(reason, PVH_REASON, "memory map of %u entries; %u at most is right",
			       count, PVH_MAX_ENTRIES);
		return -1;
	}
	for (uint32_t i = 0; i < count; i++) {
		unsigned char entry[24];
		if (!source->read(source->ctx, list + 24 * (uint64_t)i, entry, sizeof(entry)))
			return refuse(reason, "memory map", list);
		boot_add_memory(out, boot_load64(entry), boot_load64(entry + 8),
				boot_memory_kind(boot_load32(entry + 16)));
	}
	return 0;
}

static int read_modules(const struct boot_pvh_source *source, uint64_t list, uint32_t count,
			struct boot_info *out, char *reason)
{
	for (uint32_t i = 0; i < count && i < BOOT_MAX_MODULES; i++) {
		unsigned char entry[32];
		bool cut;
		if (!source->read(source->ctx, list + 32 * (uint64_t)i, entry, sizeof(entry)))
			return refuse(reason, "module list", list);
		struct boot_module *module = &out->modules[out->module_count];
		module->start = boot_load64(entry);
		module->bytes = boot_load64(entry + 8);
		if (!module->bytes || module->start + module->bytes < module->start)
			continue;
		/* QEMU gives its one module no name */
		uint64_t name = boot_load64(entry + 16);
		if (name && !read_text(source, name, module->name, sizeof(module->name), &cut))
			return refuse(reason, "module name", name);
		if (!module->name[0] && i == 0)
			memcpy(module->name, "module", sizeof("module"));
		else if (!module->name[0])
			iommu_snprintf(module->name, sizeof(module->name), "module%u", i + 1);
		out->module_count++;
	}
	return 0;
}

int boot_pvh_parse(const struct boot_pvh_source *source, uint64_t address, struct boot_info *out,
		   char reason[96])
{
	unsigned char start[56] = {0};

	memset(out, 0, sizeof(*out));
	out->path = BOOT_PVH;
	if (!source->read(source->ctx, address, start, 40))
		return refuse(reason, "start information", address);
	uint32_t magic = boot_load32(start), version = boot_load32(start + 4);
	if (magic != PVH_MAGIC) {
		iommu_snprintf(reason, PVH_REASON, "magic number %#x; %#x is right", magic,
			       PVH_MAGIC);
		return -1;
	}
	if (version < 1 || !source->read(source->ctx, address, start, sizeof(start)) ||
	    !boot_load32(start + 48)) {
		iommu_snprintf(reason, PVH_REASON,
			       "version %u without a memory map; version 1 with one is needed",
			       version);
		return -1;
	}
	if (read_memory(source, boot_load64(start + 40), boot_load32(start + 48), out, reason) ||
	    read_modules(source, boot_load64(start + 16), boot_load32(start + 12), out, reason))
		return -1;
	uint64_t text = boot_load64(start + 24);
	if (text && !read_text(source, text, out->command_line, sizeof(out->command_line),
			       &out->command_line_cut))
		return refuse(reason, "command line", text);
	out->rsdp = boot_load64(start + 32);
	return 0;
}
