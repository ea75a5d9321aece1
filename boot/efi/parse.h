/* SPDX-License-Identifier: MIT */
/*
 * What the EFI loader reads of the firmware's bytes: the memory map and texts (UEFI
 * specification 2.10, 7.2.3 and 9.1). Pure.
 */
#ifndef BOOT_EFI_PARSE_H
#define BOOT_EFI_PARSE_H

#include "boot/parse.h"

#include "iommu/string.h"

/* EFI_MEMORY_DESCRIPTOR: 0 type, 8 physical start, 24 pages of 4 KiB, 32 attributes; the
 * firmware says how far apart they are. */
enum { EFI_DESCRIPTOR_BYTES = 40, EFI_MAX_STRIDE = 128 };

static inline uint64_t efi_memory_start(const uint8_t *descriptor)
{
	return boot_get64(descriptor + 8);
}

/** Add the firmware's map to @p out. Firmware makes hundreds of small descriptors: they
 *  are sorted, within @p map, so that what touches and is of one kind becomes one entry.
 *  Ranges beyond 2^64 are left out. @p stride: EFI_DESCRIPTOR_BYTES to EFI_MAX_STRIDE. */
static inline void efi_memory_convert(uint8_t *map, size_t count, size_t stride,
                                      struct boot_info *out)
{
	uint8_t moved[EFI_MAX_STRIDE];

	for (size_t i = 1; i < count; i++) {
		size_t at = i;
		memcpy(moved, map + i * stride, stride);
		for (; at && efi_memory_start(map + (at - 1) * stride) > efi_memory_start(moved);
		     at--)
			memcpy(map + at * stride, map + (at - 1) * stride, stride);
		memcpy(map + at * stride, moved, stride);
	}
	for (size_t i = 0; i < count; i++, map += stride) {
		uint64_t pages = boot_get64(map + 24);
		if (pages <= UINT64_MAX >> 12)
			(void)boot_memory_add(out, efi_memory_start(map), pages << 12,
			                      boot_efi_kind(boot_get32(map), boot_get64(map + 32)));
	}
}

/** UTF-16 that ends with a NUL or after @p units, in ASCII: other characters become
 *  '?'. True if it did not fit into @p size and was cut. */
static inline bool efi_text_narrow(char *out, size_t size, const uint8_t *text, size_t units)
{
	size_t at = 0;

	for (; at < units && boot_get16(text + 2 * at) && at + 1 < size; at++) {
		uint16_t unit = boot_get16(text + 2 * at);
		out[at] = unit < 0x20 || unit > 0x7e ? '?' : (char)unit;
	}
	out[at] = '\0';
	return at < units && boot_get16(text + 2 * at);
}

/** The load options as a command line, if that is what they are: firmware also puts
 *  binary data there, and a UEFI shell the whole line, the program's name first.
 *  False: they are not, and @p out is as it was. */
static inline bool efi_command_from_options(const uint8_t *options, size_t bytes,
                                            struct boot_info *out)
{
	size_t units = bytes / 2, word = 0, length = 0, first = 0;
	bool has_value = false;

	if (bytes % 2)
		return false;
	for (; length < units && boot_get16(options + 2 * length); length++) {
		uint16_t unit = boot_get16(options + 2 * length);
		if (unit < 0x20 || unit > 0x7e)
			return false;
		has_value |= unit == '=';
		/* the first word is the program's name if it has no '=' */
		if (unit == ' ' && !has_value && !word)
			first = length + 1;
		word += unit == ' ' && length && boot_get16(options + 2 * length - 2) != ' ';
	}
	if (!has_value)
		return false;
	size_t at = 0;
	for (; at < sizeof(out->command_line) - 1 && first + at < length; at++)
		out->command_line[at] = (char)boot_get16(options + 2 * (first + at));
	out->command_line[at] = '\0';
	out->command_line_cut = first + at < length;
	return true;
}

/** The command line from the text of a file: line ends become spaces, an UTF-8
 *  byte-order mark is dropped. False: it is no text, @p out is as it was. */
static inline bool efi_command_from_file(const uint8_t *text, size_t bytes, struct boot_info *out)
{
	if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		bytes -= 3;
	}
	for (size_t i = 0; i < bytes; i++)
		if (!text[i])
			return false;
	while (bytes && text[bytes - 1] <= ' ')
		bytes--;
	size_t at = 0;
	for (; at < bytes && at < sizeof(out->command_line) - 1; at++)
		out->command_line[at] = text[at] < ' ' ? ' ' : (char)text[at];
	out->command_line[at] = '\0';
	out->command_line_cut = at < bytes;
	return true;
}

#endif
