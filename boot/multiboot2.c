/* SPDX-License-Identifier: MIT */
/*
 * Multiboot2 boot information: see multiboot2.h.
 *
 * The structure is {u32 total size, u32 reserved} and tags {u32 type, u32 size, ...},
 * each padded to 8 bytes, closed by a tag of type 0. A tag that does not fit into the
 * total, or is too short for its type, is refused; unknown tags are skipped.
 */
#include "boot/multiboot2.h"

#include "boot/parse.h"
#include "iommu/print.h"

enum {
	TAG_END = 0,
	TAG_COMMAND_LINE = 1,
	TAG_LOADER = 2,
	TAG_MODULE = 3,
	TAG_MEMORY_MAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_ACPI_OLD = 14,
	TAG_ACPI_NEW = 15,
};

struct reader {
	struct boot_info *out;
	unsigned char *rsdp;
	size_t *rsdp_bytes;
	char *reason;
};

/* The least size of a tag of each type that is read, its header included. */
static uint32_t least_bytes(uint32_t type)
{
	switch (type) {
	case TAG_COMMAND_LINE:
	case TAG_LOADER:
		return 9; /* at least the NUL */
	case TAG_MODULE:
		return 17;
	case TAG_MEMORY_MAP:
		return 16;
	case TAG_FRAMEBUFFER:
		return 31;
	case TAG_ACPI_OLD:
		return 8 + 20;
	case TAG_ACPI_NEW:
		return 8 + 36;
	default:
		return 8;
	}
}

static int read_memory(struct reader *reader, const unsigned char *tag, uint32_t bytes)
{
	uint32_t entry_bytes = boot_load32(tag + 8);

	if (entry_bytes < 24 || entry_bytes > bytes) {
		iommu_snprintf(reader->reason, BOOT_REASON,
			       "memory map entries of %u bytes; 24 or more is right", entry_bytes);
		return -1;
	}
	for (uint32_t at = 16; bytes - at >= entry_bytes; at += entry_bytes)
		boot_add_memory(reader->out, boot_load64(tag + at), boot_load64(tag + at + 8),
				boot_memory_kind(boot_load32(tag + at + 16)));
	return 0;
}

static void read_framebuffer(struct boot_info *out, const unsigned char *tag, uint32_t bytes)
{
	struct boot_framebuffer *screen = &out->framebuffer;

	/* type 1 is direct colour: three {position, size} pairs follow */
	if (tag[29] != 1 || bytes < 38)
		return;
	*screen = (struct boot_framebuffer){
		.start = boot_load64(tag + 8),
		.pitch = boot_load32(tag + 16),
		.width = boot_load32(tag + 20),
		.height = boot_load32(tag + 24),
		.bits_per_pixel = tag[28],
		.red_shift = tag[32],
		.green_shift = tag[34],
		.blue_shift = tag[36],
	};
}

static int read_module(struct reader *reader, const unsigned char *tag, uint32_t bytes)
{
	struct boot_info *out = reader->out;
	uint32_t start = boot_load32(tag + 8), end = boot_load32(tag + 12);

	if (end < start) {
		iommu_snprintf(reader->reason, BOOT_REASON,
			       "module ends at %#x, before its start %#x", end, start);
		return -1;
	}
	if (out->module_count == BOOT_MAX_MODULES)
		return 0;
	struct boot_module *module = &out->modules[out->module_count++];
	module->start = start;
	module->bytes = end - start;
	boot_copy_text(module->name, sizeof(module->name), (const char *)tag + 16, bytes - 16);
	/* the name is the first word of the module's command line */
	for (char *at = module->name; *at; at++)
		if (*at == ' ')
			*at = '\0';
	return 0;
}

static int read_tag(struct reader *reader, uint32_t type, const unsigned char *tag, uint32_t bytes)
{
	struct boot_info *out = reader->out;

	switch (type) {
	case TAG_COMMAND_LINE:
		out->command_line_cut = boot_copy_text(out->command_line, sizeof(out->command_line),
						       (const char *)tag + 8, bytes - 8);
		return 0;
	case TAG_LOADER:
		boot_copy_text(out->loader, sizeof(out->loader), (const char *)tag + 8, bytes - 8);
		return 0;
	case TAG_MODULE:
		return read_module(reader, tag, bytes);
	case TAG_MEMORY_MAP:
		return read_memory(reader, tag, bytes);
	case TAG_FRAMEBUFFER:
		read_framebuffer(out, tag, bytes);
		return 0;
	case TAG_ACPI_OLD:
		if (*reader->rsdp_bytes) /* the new one is better */
			return 0;
		*reader->rsdp_bytes = 20;
		memcpy(reader->rsdp, tag + 8, 20);
		return 0;
	case TAG_ACPI_NEW:
		*reader->rsdp_bytes = 36;
		memcpy(reader->rsdp, tag + 8, 36);
		return 0;
	default:
		return 0;
	}
}

int boot_multiboot2_parse(const void *start, size_t capacity, struct boot_info *out,
			  unsigned char rsdp[BOOT_RSDP_COPY], size_t *rsdp_bytes,
			  char reason[BOOT_REASON])
{
	const unsigned char *bytes = start;
	struct reader reader = {out, rsdp, rsdp_bytes, reason};

	memset(out, 0, sizeof(*out));
	memset(rsdp, 0, BOOT_RSDP_COPY);
	*rsdp_bytes = 0;
	out->path = BOOT_MULTIBOOT2;
	uint32_t total = capacity < 8 ? 0 : boot_load32(bytes);
	if (total < 16 || total > capacity) {
		iommu_snprintf(reason, BOOT_REASON,
			       "total size %u; 16 to the %llu bytes that are there is right", total,
			       (unsigned long long)capacity);
		return -1;
	}
	for (uint32_t at = 8;;) {
		if (total - at < 8) {
			iommu_snprintf(reason, BOOT_REASON, "no end tag in %u bytes", total);
			return -1;
		}
		uint32_t type = boot_load32(bytes + at), tag_bytes = boot_load32(bytes + at + 4);
		if (tag_bytes < least_bytes(type) || tag_bytes > total - at) {
			iommu_snprintf(reason, BOOT_REASON,
				       "tag of type %u at offset %u has size %u; %u to %u is right",
				       type, at, tag_bytes, least_bytes(type), total - at);
			return -1;
		}
		if (type == TAG_END)
			break;
		if (read_tag(&reader, type, bytes + at, tag_bytes))
			return -1;
		uint32_t padded = tag_bytes + (-tag_bytes & 7);
		if (padded > total - at) {
			iommu_snprintf(reason, BOOT_REASON, "no end tag in %u bytes", total);
			return -1;
		}
		at += padded;
	}
	if (!out->memory_count) {
		iommu_snprintf(reason, BOOT_REASON, "no memory map");
		return -1;
	}
	return 0;
}
