/* SPDX-License-Identifier: MIT */
/*
 * What the EFI loader reads: the kernel's ELF file, the firmware's memory map, command
 * lines. Good bytes, each refusal by its reason, and seeded corruptions.
 */
#include "boot/efi/elf.h"
#include "boot/efi/parse.h"
#include "tests/unit/boot_bytes.h"

/* Two segments and the note that names the entry: 64 header, 64 program headers (3),
 * 232 note, 260 contents. */
enum {
	ELF_HEADERS = 64,
	ELF_NOTE = 232,
	ELF_CONTENT = 260,
	ELF_SECOND = ELF_HEADERS + 56,
	ELF_NOTES = ELF_HEADERS + 112
};

static void elf_segment(struct bytes *to, uint32_t type, uint64_t offset, uint64_t address,
                        uint64_t file_bytes, uint64_t bytes)
{
	put(to, 4, type);
	put(to, 4, 7);
	put(to, 8, offset);
	put(to, 8, KERNEL_VIRTUAL_BASE + address);
	put(to, 8, address);
	put(to, 8, file_bytes);
	put(to, 8, bytes);
	put(to, 8, 4096);
}

static void elf_good(struct bytes *to)
{
	to->count = 0;
	put(to, 8, 0x00010102464c457f);
	put(to, 8, 0);
	put(to, 4, 62 << 16 | 2);
	put(to, 4, 1);
	put(to, 8, 0x200000);
	put(to, 8, ELF_HEADERS);
	put(to, 8, 0);
	put(to, 4, 0);
	put(to, 2, 64);
	put(to, 2, 56);
	put(to, 2, 3);
	put(to, 6, 0);
	elf_segment(to, 1, ELF_CONTENT, 0x201000, 0x20, 0x20);
	elf_segment(to, 1, ELF_CONTENT + 0x20, 0x202000, 0x10, 0x400010);
	elf_segment(to, 4, ELF_NOTE, 0, 28, 28);
	put(to, 4, 7);
	put(to, 4, 8);
	put(to, 4, 1);
	put_text(to, "Nestor");
	put(to, 1, 0);
	put(to, 8, KERNEL_VIRTUAL_BASE + 0x201004);
	while (to->count < ELF_CONTENT + 0x30)
		put(to, 1, 0x90);
}

static int elf_check(const struct bytes *from, struct efi_image *image)
{
	uint8_t *copy = exact(from);
	reason.text[0] = '\0';
	int error = efi_elf_check(copy, from->count, image, &reason);
	free(copy);
	return error;
}

static void elf_refused(struct bytes *bytes, size_t at, uint32_t value, const char *text)
{
	struct efi_image image;

	elf_good(bytes);
	if (at < bytes->count)
		set32(bytes, at, value);
	else
		bytes->count = value;
	KTAP_CHECK(elf_check(bytes, &image) == -EINVAL);
	KTAP_CHECK(says(text));
}

static void test_efi_elf(void)
{
	static struct bytes bytes;
	const size_t cut = sizeof(bytes.at);
	struct efi_image image;

	elf_good(&bytes);
	KTAP_EQUAL(elf_check(&bytes, &image), 0);
	KTAP_EQUAL(image.start, 0x200000);
	KTAP_EQUAL(image.end, 0x603000);
	KTAP_EQUAL(image.entry - KERNEL_VIRTUAL_BASE, 0x201004);
	KTAP_EQUAL(image.segment_count, 2);
	KTAP_EQUAL(image.segments[1].offset, ELF_CONTENT + 0x20);
	KTAP_EQUAL(image.segments[1].address, 0x202000);
	KTAP_EQUAL(image.segments[1].file_bytes, 0x10);

	elf_refused(&bytes, cut, 0, "no x86-64 ELF program");
	elf_refused(&bytes, cut, 63, "no x86-64 ELF program");
	elf_refused(&bytes, 0, 0x464c4580, "no x86-64 ELF program");
	elf_refused(&bytes, 16, 183 << 16 | 2, "no x86-64 ELF program");
	elf_refused(&bytes, 52, 55 << 16 | 64, "3 program headers of 55 bytes");
	elf_refused(&bytes, 56, 65, "65 program headers");
	elf_refused(&bytes, 36, 1, "program headers of 56 bytes at 0x100000040");
	elf_refused(&bytes, cut, ELF_HEADERS + 167, "within the file would be right");
	elf_refused(&bytes, ELF_HEADERS + 8, 0x7fffffff, "they go beyond it");
	elf_refused(&bytes, ELF_HEADERS + 36, 1, "they go beyond it");
	elf_refused(&bytes, ELF_HEADERS + 40, 0x1f, "beyond the segment");
	elf_refused(&bytes, ELF_HEADERS + 28, 1, "go beyond 1 GiB");
	elf_refused(&bytes, ELF_SECOND + 40, 0x3fe00000, "go beyond 1 GiB");
	elf_refused(&bytes, ELF_SECOND + 24, 0x201800, "not on pages behind the one before");
	elf_refused(&bytes, ELF_NOTES + 32, 0x7fffffff, "notes: 0x7fffffff bytes");
	elf_refused(&bytes, ELF_NOTE + 4, 0xffffffff, "and only 28 are left");
	elf_refused(&bytes, ELF_NOTE + 8, 2, "lies in none of the 2 segments");
	elf_refused(&bytes, ELF_NOTE + 20, 0x80201020, "lies in none of the 2 segments");
}

static void test_efi_elf_corrupt(void)
{
	static struct bytes bytes;
	uint64_t seed = 0xabcdef;
	unsigned accepted = 0;

	for (unsigned i = 0; i < CORRUPTIONS; i++) {
		struct efi_image image;
		elf_good(&bytes);
		corrupt(&bytes, &seed);
		if (elf_check(&bytes, &image))
			continue;
		accepted++;
		uint64_t end = image.start;
		for (uint32_t s = 0; s < image.segment_count; s++) {
			const struct efi_segment *segment = &image.segments[s];
			KTAP_CHECK(segment->address >= end);
			end = segment->address + segment->bytes;
			KTAP_CHECK(segment->file_bytes <= segment->bytes);
			KTAP_CHECK(segment->offset + segment->file_bytes <= bytes.count);
		}
		KTAP_CHECK(end <= image.end && image.end <= EFI_IMAGE_LIMIT);
	}
	KTAP_CHECK(accepted > CORRUPTIONS / 10 && accepted < CORRUPTIONS * 9 / 10);
}

static void put_descriptor(struct bytes *to, uint32_t type, uint64_t start, uint64_t pages,
                           uint64_t attributes)
{
	put(to, 8, type | UINT64_C(0xdddddddd00000000));
	put(to, 8, start);
	put(to, 8, 0);
	put(to, 8, pages);
	put(to, 8, attributes);
	put(to, 8, 0);
}

static void test_efi_map(void)
{
	static struct bytes bytes;
	const uint64_t special = 0x40000;

	bytes.count = 0;
	put_descriptor(&bytes, 4, 0x300000, 0x100, 0xf); /* boot services data */
	put_descriptor(&bytes, 7, 0x100000, 0x100, 0xf);
	put_descriptor(&bytes, 2, 0x200000, 0x100, 0xf); /* loader data: all three are one */
	put_descriptor(&bytes, 5, 0x400000, 1, 0xf | UINT64_C(1) << 63);
	put_descriptor(&bytes, 9, 0x401000, 1, 0xf);
	put_descriptor(&bytes, 10, 0x402000, 1, 0xf);
	put_descriptor(&bytes, 8, 0x403000, 1, 0xf);
	put_descriptor(&bytes, 11, 0xfee00000, 1, 1);
	put_descriptor(&bytes, 7, 0x500000, 1, 1);             /* not cacheable */
	put_descriptor(&bytes, 7, 0x501000, 1, 0xf | special); /* the same kind as before it */
	put_descriptor(&bytes, 7, 0x700000, 0, 0xf);
	put_descriptor(&bytes, 7, 0x800000, UINT64_MAX, 0xf);
	put_descriptor(&bytes, 7, UINT64_MAX - 0xfff, 2, 0xf);
	uint8_t *copy = exact(&bytes);
	memset(&info, 0, sizeof(info));
	efi_memory_convert(copy, bytes.count / 48, 48, &info);
	free(copy);
	static const struct boot_memory wanted[] = {
		{0x100000, 0x300000, BOOT_MEMORY_USABLE},
		{0x400000, 0x1000, BOOT_MEMORY_RESERVED},
		{0x401000, 0x1000, BOOT_MEMORY_ACPI_RECLAIM},
		{0x402000, 0x1000, BOOT_MEMORY_ACPI_NVS},
		{0x403000, 0x1000, BOOT_MEMORY_BAD},
		{0x500000, 0x2000, BOOT_MEMORY_RESERVED},
		{0xfee00000, 0x1000, BOOT_MEMORY_MMIO},
	};
	KTAP_EQUAL(info.memory_count, 7);
	for (unsigned i = 0; i < 7; i++) {
		KTAP_EQUAL(info.memory[i].start, wanted[i].start);
		KTAP_EQUAL(info.memory[i].bytes, wanted[i].bytes);
		KTAP_EQUAL(info.memory[i].kind, wanted[i].kind);
	}
}

static bool from_options(const char *text, bool ended, const char *wanted)
{
	static struct bytes bytes;

	bytes.count = 0;
	for (; *text; text++)
		put(&bytes, 2, (unsigned char)*text);
	if (ended)
		put(&bytes, 2, 0);
	uint8_t *copy = exact(&bytes);
	memset(&info, 0, sizeof(info));
	bool taken = efi_command_from_options(copy, bytes.count, &info);
	free(copy);
	return wanted ? taken && !strcmp(info.command_line, wanted)
	              : !taken && !info.command_line[0];
}

static void test_efi_texts(void)
{
	static const uint8_t binary[] = {0x1b, 0, 'a', 0, '=', 0}, odd[] = {'a', 0, '='};
	static char text[3000];
	char narrow[4];

	KTAP_CHECK(from_options("scenario=a after=off", true, "scenario=a after=off"));
	KTAP_CHECK(from_options("scenario=a", false, "scenario=a"));
	KTAP_CHECK(
		from_options("fs0:\\BOOTX64.EFI scenario=a vtd=off", true, "scenario=a vtd=off"));
	KTAP_CHECK(from_options("BOOTX64.EFI word scenario=a", true, "word scenario=a"));
	KTAP_CHECK(from_options("fs0:\\BOOTX64.EFI", true, NULL));
	KTAP_CHECK(from_options("", true, NULL));
	KTAP_CHECK(from_options("", false, NULL));
	KTAP_CHECK(!efi_command_from_options(binary, sizeof(binary), &info));
	KTAP_CHECK(!efi_command_from_options(odd, sizeof(odd), &info));
	memset(text, '=', sizeof(text) - 1);
	KTAP_CHECK(!from_options(text, true, text));
	KTAP_CHECK(info.command_line_cut);
	KTAP_EQUAL(strlen(info.command_line), BOOT_MAX_COMMAND_LINE - 1);

	memset(&info, 0, sizeof(info));
	KTAP_CHECK(efi_command_from_file((const uint8_t *)"\xef\xbb\xbf"
	                                                  "a=b\r\nc=d\n\n",
	                                 13, &info));
	KTAP_CHECK(!strcmp(info.command_line, "a=b  c=d") && !info.command_line_cut);
	KTAP_CHECK(!efi_command_from_file((const uint8_t *)"a\0=\0", 4, &info));
	KTAP_CHECK(!strcmp(info.command_line, "a=b  c=d"));
	KTAP_CHECK(efi_command_from_file((const uint8_t *)text, sizeof(text) - 1, &info));
	KTAP_CHECK(info.command_line_cut);
	KTAP_EQUAL(strlen(info.command_line), BOOT_MAX_COMMAND_LINE - 1);
	KTAP_CHECK(efi_command_from_file((const uint8_t *)"", 0, &info));
	KTAP_CHECK(!info.command_line[0] && !info.command_line_cut);

	KTAP_CHECK(!efi_text_narrow(narrow, sizeof(narrow), (const uint8_t *)"a\0\xe4\0c\0", 3));
	KTAP_CHECK(!strcmp(narrow, "a?c"));
	KTAP_CHECK(efi_text_narrow(narrow, sizeof(narrow), (const uint8_t *)"a\0b\0c\0d\0", 4));
	KTAP_CHECK(!strcmp(narrow, "abc"));
}

static const struct ktap_case cases[] = {
	{"EFI: the kernel's ELF file, good and refused by its reason", test_efi_elf},
	{"EFI: a thousand corruptions of an ELF file are read safely", test_efi_elf_corrupt},
	{"EFI: the memory map is sorted, joined, and of the right kinds", test_efi_map},
	{"EFI: command lines from load options and files", test_efi_texts},
};
KTAP_MAIN(cases)
