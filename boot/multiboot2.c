/* SPDX-License-Identifier: MIT */
/*
 * Multiboot2 boot information: Multiboot2 specification 2.0, section 3.6.
 *
 * The structure is a total size, a reserved word, and tags of {type, size, content},
 * each on 8 bytes, up to the end tag. Before a tag's content is looked at, the tag
 * is known to lie in the structure and to be as long as its type demands.
 *
 * Of tags that may come once the first counts. Of the two memory maps the plain one
 * counts; the EFI one serves where there is no other.
 */
#include "boot/parse.h"

#include "iommu/string.h"

enum {
	TAG_END = 0,
	TAG_COMMAND_LINE = 1,
	TAG_LOADER_NAME = 2,
	TAG_MODULE = 3,
	TAG_MEMORY_MAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_ACPI_OLD = 14,
	TAG_ACPI_NEW = 15,
	TAG_EFI_MEMORY_MAP = 17,
};

enum {
	HEAD_BYTES = 8,        /* total size, reserved */
	TAG_HEAD_BYTES = 8,    /* type, size */
	MMAP_ENTRY_BYTES = 24, /* base, length, type, reserved: more may follow */
	EFI_ENTRY_BYTES = 40,  /* EFI_MEMORY_DESCRIPTOR, UEFI 2.10, 7.2 */
	RSDP_OLD_BYTES = 20,
	RSDP_NEW_BYTES = 36,
};

struct tag {
	const uint8_t *bytes; /* the whole tag */
	uint32_t type, size, offset;
};

struct reader {
	struct boot_info *out;
	struct boot_rsdp *rsdp;
	struct boot_reason *reason;
	struct tag efi_map; /* kept for the case that no other map comes */
	bool has_command_line, has_loader, has_map;
};

/** The text of a tag from @p from on: true if it ends within the tag. */
static bool has_text(const struct tag *tag, uint32_t from)
{
	for (uint32_t at = from; at < tag->size; at++)
		if (!tag->bytes[at])
			return true;
	return false;
}

static int refuse_text(struct reader *reader, const struct tag *tag, const char *what)
{
	return boot_refuse(reader->reason,
	                   "Multiboot2 tag %u (%s) at offset %#x: its text has no "
	                   "end within its %u bytes",
	                   tag->type, what, tag->offset, tag->size);
}

/** Copy a text that ends, as far as it fits. @return false if it was cut. */
static bool copy_text(char *to, size_t capacity, const char *from)
{
	size_t at = 0;

	while (at < capacity - 1 && from[at]) {
		to[at] = from[at];
		at++;
	}
	to[at] = '\0';
	return !from[at];
}

static int read_command_line(struct reader *reader, const struct tag *tag)
{
	if (!has_text(tag, TAG_HEAD_BYTES))
		return refuse_text(reader, tag, "command line");
	if (!reader->has_command_line)
		reader->out->command_line_cut =
			!copy_text(reader->out->command_line, BOOT_MAX_COMMAND_LINE,
		                   (const char *)tag->bytes + TAG_HEAD_BYTES);
	reader->has_command_line = true;
	return 0;
}

static int read_loader_name(struct reader *reader, const struct tag *tag)
{
	if (!has_text(tag, TAG_HEAD_BYTES))
		return refuse_text(reader, tag, "loader name");
	if (!reader->has_loader)
		(void)copy_text(reader->out->loader, sizeof(reader->out->loader),
		                (const char *)tag->bytes + TAG_HEAD_BYTES);
	reader->has_loader = true;
	return 0;
}

static int read_module(struct reader *reader, const struct tag *tag)
{
	uint32_t start = boot_get32(tag->bytes + 8), end = boot_get32(tag->bytes + 12);

	if (end < start)
		return boot_refuse(reader->reason,
		                   "Multiboot2 tag 3 (module) at offset %#x: it "
		                   "starts at %#x and ends before, at %#x",
		                   tag->offset, start, end);
	if (!has_text(tag, 16))
		return refuse_text(reader, tag, "module");
	struct boot_module *module = boot_module_add(reader->out, start, end - start);
	if (module)
		boot_module_name(reader->out, module, (const char *)tag->bytes + 16);
	return 0;
}

/** The size and number of a map's entries: both maps are {.., entry size, version, entries}.
 *  0 and @p count set, or a refusal. */
static int map_shape(struct reader *reader, const struct tag *tag, const char *what, uint32_t least,
                     uint32_t *entry, uint32_t *count)
{
	*entry = boot_get32(tag->bytes + 8);
	if (*entry < least || *entry % 8)
		return boot_refuse(reader->reason,
		                   "Multiboot2 tag %u (%s) at offset %#x: entries of "
		                   "%u bytes; at least %u, and a multiple of 8, would be right",
		                   tag->type, what, tag->offset, *entry, least);
	if ((tag->size - 16) % *entry)
		return boot_refuse(reader->reason,
		                   "Multiboot2 tag %u (%s) at offset %#x: %u bytes are "
		                   "no whole number of entries of %u bytes",
		                   tag->type, what, tag->offset, tag->size - 16, *entry);
	*count = (tag->size - 16) / *entry;
	return 0;
}

static int refuse_range(struct reader *reader, const struct tag *tag, uint32_t at, uint64_t start,
                        uint64_t bytes)
{
	return boot_refuse(reader->reason,
	                   "Multiboot2 memory map at offset %#x: %#llx bytes at %#llx "
	                   "go beyond 2^64",
	                   tag->offset + at, (unsigned long long)bytes, (unsigned long long)start);
}

static int read_memory_map(struct reader *reader, const struct tag *tag)
{
	uint32_t entry = 0, count = 0;
	int error = map_shape(reader, tag, "memory map", MMAP_ENTRY_BYTES, &entry, &count);

	if (error || reader->has_map)
		return error;
	for (uint32_t i = 0, at = 16; i < count; i++, at += entry) {
		uint64_t start = boot_get64(tag->bytes + at),
			 bytes = boot_get64(tag->bytes + at + 8);
		if (!boot_memory_add(reader->out, start, bytes,
		                     boot_e820_kind(boot_get32(tag->bytes + at + 16))))
			return refuse_range(reader, tag, at, start, bytes);
	}
	reader->has_map = true;
	return 0;
}

static int read_efi_map(struct reader *reader, const struct tag *tag)
{
	uint32_t entry = 0, count = 0;
	int error = map_shape(reader, tag, "EFI memory map", EFI_ENTRY_BYTES, &entry, &count);

	if (error)
		return error;
	for (uint32_t i = 0, at = 16; i < count; i++, at += entry) {
		uint64_t start = boot_get64(tag->bytes + at + 8);
		uint64_t pages = boot_get64(tag->bytes + at + 24);
		uint64_t attributes = boot_get64(tag->bytes + at + 32);
		if (pages > UINT64_MAX >> 12)
			return refuse_range(reader, tag, at, start, UINT64_MAX);
		if (!boot_memory_add(reader->out, start, pages << 12,
		                     boot_efi_kind(boot_get32(tag->bytes + at), attributes)))
			return refuse_range(reader, tag, at, start, pages << 12);
	}
	return 0;
}

/** Section 3.6.12. Only extra: what cannot be drawn on is left out. */
static void read_framebuffer(struct reader *reader, const struct tag *tag)
{
	const uint8_t *bytes = tag->bytes;
	const uint8_t rgb = 1;
	struct boot_framebuffer f = {
		.start = boot_get64(bytes + 8),
		.pitch = boot_get32(bytes + 16),
		.width = boot_get32(bytes + 20),
		.height = boot_get32(bytes + 24),
		.bits_per_pixel = bytes[28],
	};

	if (bytes[29] != rgb || tag->size < 38)
		return;
	f.red_shift = bytes[32];
	f.green_shift = bytes[34];
	f.blue_shift = bytes[36];
	if (boot_framebuffer_is_sane(&f))
		reader->out->framebuffer = f;
}

static bool rsdp_is_valid(const uint8_t *bytes, unsigned length)
{
	uint8_t sum = 0;

	if (memcmp(bytes, "RSD PTR ", 8) != 0)
		return false;
	for (unsigned i = 0; i < length; i++)
		sum = (uint8_t)(sum + bytes[i]);
	return sum == 0;
}

/** ACPI 6.5, 5.2.5.3. The newer copy wins; a damaged one is left out, and the kernel
 *  then searches for the original. */
static void read_rsdp(struct reader *reader, const struct tag *tag, uint8_t length)
{
	const uint8_t *bytes = tag->bytes + TAG_HEAD_BYTES;

	if (length <= reader->rsdp->length || !rsdp_is_valid(bytes, length))
		return;
	memcpy(reader->rsdp->bytes, bytes, length);
	reader->rsdp->length = length;
}

/** The least size of the tags that are read here, their head included. */
static uint32_t least_size(uint32_t type)
{
	switch (type) {
	case TAG_COMMAND_LINE:
	case TAG_LOADER_NAME:
		return TAG_HEAD_BYTES + 1;
	case TAG_MODULE:
		return 17;
	case TAG_MEMORY_MAP:
	case TAG_EFI_MEMORY_MAP:
		return 16;
	case TAG_FRAMEBUFFER:
		return 31;
	case TAG_ACPI_OLD:
		return TAG_HEAD_BYTES + RSDP_OLD_BYTES;
	case TAG_ACPI_NEW:
		return TAG_HEAD_BYTES + RSDP_NEW_BYTES;
	default:
		return TAG_HEAD_BYTES;
	}
}

static int read_tag(struct reader *reader, const struct tag *tag)
{
	switch (tag->type) {
	case TAG_COMMAND_LINE:
		return read_command_line(reader, tag);
	case TAG_LOADER_NAME:
		return read_loader_name(reader, tag);
	case TAG_MODULE:
		return read_module(reader, tag);
	case TAG_MEMORY_MAP:
		return read_memory_map(reader, tag);
	case TAG_EFI_MEMORY_MAP:
		if (!reader->efi_map.bytes)
			reader->efi_map = *tag;
		return 0;
	case TAG_FRAMEBUFFER:
		read_framebuffer(reader, tag);
		return 0;
	case TAG_ACPI_OLD:
		read_rsdp(reader, tag, RSDP_OLD_BYTES);
		return 0;
	case TAG_ACPI_NEW:
		read_rsdp(reader, tag, RSDP_NEW_BYTES);
		return 0;
	default:
		return 0;
	}
}

static int read_tags(struct reader *reader, const uint8_t *bytes, uint32_t length)
{
	/* Invariant: at <= length. */
	for (uint32_t at = HEAD_BYTES;;) {
		if (length - at < TAG_HEAD_BYTES)
			return boot_refuse(reader->reason,
			                   "Multiboot2 information: no end tag within "
			                   "its %u bytes",
			                   length);
		const struct tag tag = {
			.bytes = bytes + at,
			.type = boot_get32(bytes + at),
			.size = boot_get32(bytes + at + 4),
			.offset = at,
		};
		if (tag.size > length - at)
			return boot_refuse(reader->reason,
			                   "Multiboot2 tag %u at offset %#x: %u bytes, "
			                   "and only %u are left",
			                   tag.type, at, tag.size, length - at);
		uint32_t least = least_size(tag.type);
		if (tag.size < least)
			return boot_refuse(reader->reason,
			                   "Multiboot2 tag %u at offset %#x: %u bytes, "
			                   "at least %u would be right",
			                   tag.type, at, tag.size, least);
		if (tag.type == TAG_END)
			return 0;
		int error = read_tag(reader, &tag);
		if (error)
			return error;
		/* The last tag may lack its padding; then there is no end tag either. */
		uint64_t next = ((uint64_t)at + tag.size + 7) & ~UINT64_C(7);
		at = next < length ? (uint32_t)next : length;
	}
}

int boot_multiboot2_parse(const void *bytes, size_t length, struct boot_info *out,
                          struct boot_rsdp *rsdp, struct boot_reason *reason)
{
	struct reader reader = {.out = out, .rsdp = rsdp, .reason = reason};

	memset(out, 0, sizeof(*out));
	memset(rsdp, 0, sizeof(*rsdp));
	out->path = BOOT_MULTIBOOT2;
	if (length < HEAD_BYTES + TAG_HEAD_BYTES || length > UINT32_MAX)
		return boot_refuse(reason,
		                   "Multiboot2 information: %#llx bytes; 16 at least, and less "
		                   "than 2^32, would be right",
		                   (unsigned long long)length);
	uint32_t total = boot_get32(bytes);
	if (total != length)
		return boot_refuse(reason,
		                   "Multiboot2 information: it says that it has %#x bytes, "
		                   "and has %#llx",
		                   total, (unsigned long long)length);
	int error = read_tags(&reader, bytes, total);
	if (!error && !reader.has_map && reader.efi_map.bytes)
		error = read_efi_map(&reader, &reader.efi_map);
	if (!error && !out->memory_count)
		error = boot_refuse(reason,
		                    "Multiboot2 information: no memory map, neither a plain one "
		                    "(tag 6) nor an EFI one (tag 17)");
	return error;
}
