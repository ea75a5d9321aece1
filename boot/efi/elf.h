/* SPDX-License-Identifier: MIT */
/*
 * The kernel's ELF file as the EFI loader needs it (System V ABI, chapters 4 and 5; layout
 * in linker.ld): where its segments go, and the 64-bit entry, which a note names. Pure.
 */
#ifndef BOOT_EFI_ELF_H
#define BOOT_EFI_ELF_H

#include "boot/parse.h"

#include "iommu/string.h"

enum { EFI_MAX_SEGMENTS = 8, EFI_MAX_HEADERS = 64, EFI_HEADER_BYTES = 56 };

#define EFI_LARGE_PAGE UINT64_C(0x200000)
/* One page directory is the early view of the image. */
#define EFI_IMAGE_LIMIT (UINT64_C(1) << 30)

struct efi_segment {
	uint64_t offset, file_bytes; /* in the file */
	uint64_t address, bytes;     /* as linked, physical; what the file lacks is zero */
};

struct efi_image {
	uint64_t start, end; /* as linked, physical; multiples of 2 MiB and of 4 KiB */
	uint64_t entry;      /* virtual */
	uint32_t segment_count;
	struct efi_segment segments[EFI_MAX_SEGMENTS]; /* ascending, none overlaps */
};

static inline int efi_elf_segment(const uint8_t *header, size_t size, struct efi_image *out,
                                  struct boot_reason *reason)
{
	struct efi_segment segment = {
		.offset = boot_get64(header + 8),
		.address = boot_get64(header + 24),
		.file_bytes = boot_get64(header + 32),
		.bytes = boot_get64(header + 40),
	};
	unsigned long long address = segment.address, bytes = segment.bytes;

	if (!bytes)
		return 0;
	if (out->segment_count == EFI_MAX_SEGMENTS)
		return boot_refuse(reason, "more than %d segments", EFI_MAX_SEGMENTS);
	if (segment.file_bytes > bytes || segment.offset > size ||
	    segment.file_bytes > size - segment.offset)
		return boot_refuse(reason,
		                   "segment at %#llx: %#llx bytes at %#llx of the file; they go "
		                   "beyond it or beyond the segment",
		                   address, (unsigned long long)segment.file_bytes,
		                   (unsigned long long)segment.offset);
	if (address >= EFI_IMAGE_LIMIT || bytes > EFI_IMAGE_LIMIT - address)
		return boot_refuse(reason, "segment at %#llx: %#llx bytes go beyond 1 GiB", address,
		                   bytes);
	if (out->segment_count && address < out->end)
		return boot_refuse(reason,
		                   "segment at %#llx: not on pages behind the one before it, which "
		                   "ends at %#llx",
		                   address, (unsigned long long)out->end);
	if (!out->segment_count)
		out->start = address & ~(EFI_LARGE_PAGE - 1);
	out->end = (address + bytes + 4095) & ~UINT64_C(4095);
	out->segments[out->segment_count++] = segment;
	return 0;
}

/* Look for the entry in one note segment: {name size, value size, type, name, value}, the
 * last two padded to 4 bytes. */
static inline int efi_elf_notes(const uint8_t *file, size_t size, const uint8_t *header,
                                struct efi_image *out, struct boot_reason *reason)
{
	uint64_t at = boot_get64(header + 8), bytes = boot_get64(header + 32);

	if (at > size || bytes > size - at)
		return boot_refuse(reason,
		                   "notes: %#llx bytes at %#llx of the file; beyond its end",
		                   (unsigned long long)bytes, (unsigned long long)at);
	while (bytes >= 12) {
		uint64_t name = boot_get32(file + at), value = boot_get32(file + at + 4);
		uint64_t value_at = 12 + ((name + 3) & ~UINT64_C(3));
		uint64_t whole = value_at + ((value + 3) & ~UINT64_C(3));
		if (whole > bytes)
			return boot_refuse(reason,
			                   "note at %#llx of the file: %llu bytes, and only %llu "
			                   "are left",
			                   (unsigned long long)at, (unsigned long long)whole,
			                   (unsigned long long)bytes);
		if (name == 7 && value == 8 && boot_get32(file + at + 8) == 1 &&
		    memcmp(file + at + 12, "Nestor", 7) == 0)
			out->entry = boot_get64(file + at + value_at);
		at += whole;
		bytes -= whole;
	}
	return 0;
}

/** Check a file. 0, or -EINVAL with @p reason set; @p out is then of no use. */
static inline int efi_elf_check(const void *bytes, size_t size, struct efi_image *out,
                                struct boot_reason *reason)
{
	static const uint8_t ident[6] = {0x7f, 'E', 'L', 'F', 2, 1};
	const uint32_t load = 1, note = 4, x86_64_program = 62 << 16 | 2;
	const uint8_t *file = bytes;

	memset(out, 0, sizeof(*out));
	if (size < 64 || memcmp(file, ident, sizeof(ident)) != 0 ||
	    boot_get32(file + 16) != x86_64_program)
		return boot_refuse(reason, "no x86-64 ELF program of 64 bytes or more");
	uint64_t table = boot_get64(file + 32);
	uint16_t header_bytes = boot_get16(file + 54), count = boot_get16(file + 56);
	if (header_bytes != EFI_HEADER_BYTES || count > EFI_MAX_HEADERS || table > size ||
	    (size_t)count * EFI_HEADER_BYTES > size - table)
		return boot_refuse(
			reason,
			"%u program headers of %u bytes at %#llx; at most %d of %d bytes "
			"within the file would be right",
			count, header_bytes, (unsigned long long)table, EFI_MAX_HEADERS,
			EFI_HEADER_BYTES);
	for (const uint8_t *at = file + table; count--; at += EFI_HEADER_BYTES) {
		int error = 0;
		if (boot_get32(at) == load)
			error = efi_elf_segment(at, size, out, reason);
		else if (boot_get32(at) == note)
			error = efi_elf_notes(file, size, at, out, reason);
		if (error)
			return error;
	}
	for (uint32_t i = 0; i < out->segment_count; i++)
		if (out->entry - KERNEL_VIRTUAL_BASE - out->segments[i].address <
		    out->segments[i].file_bytes)
			return 0;
	return boot_refuse(reason, "the 64-bit entry %#llx lies in none of the %u segments",
	                   (unsigned long long)out->entry, out->segment_count);
}

#endif
