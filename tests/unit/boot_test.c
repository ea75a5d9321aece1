/* SPDX-License-Identifier: MIT */
/*
 * The readers of what 32-bit loaders hand over: Multiboot2 and PVH information. Good
 * bytes, each refusal by its reason, and seeded corruptions.
 */
#include "tests/unit/boot_bytes.h"

static struct boot_rsdp rsdp;

/* Whatever the bytes: an accepted structure keeps its own promises. */
static void check_info(void)
{
	KTAP_CHECK(info.memory_count >= 1 && info.memory_count <= BOOT_MAX_MEMORY);
	KTAP_CHECK(info.module_count <= BOOT_MAX_MODULES);
	KTAP_CHECK(memchr(info.command_line, 0, sizeof(info.command_line)));
	KTAP_CHECK(memchr(info.loader, 0, sizeof(info.loader)));
	for (uint32_t i = 0; i < info.memory_count; i++) {
		KTAP_CHECK(info.memory[i].bytes);
		KTAP_CHECK(info.memory[i].bytes - 1 <= UINT64_MAX - info.memory[i].start);
	}
	for (uint32_t i = 0; i < info.module_count; i++) {
		KTAP_CHECK(memchr(info.modules[i].name, 0, sizeof(info.modules[i].name)));
		KTAP_CHECK(info.modules[i].name[0]);
	}
	if (info.framebuffer.start)
		KTAP_CHECK(boot_framebuffer_is_sane(&info.framebuffer));
}

/* ---- Multiboot2 --------------------------------------------------------------------------- */

static size_t tag_begin(struct bytes *to, uint32_t type)
{
	pad(to, 8);
	size_t at = to->count;
	put(to, 4, type);
	put(to, 4, 0);
	return at;
}

static void tag_end(struct bytes *to, size_t at)
{
	set32(to, at + 4, (uint32_t)(to->count - at));
}

static void tag_text(struct bytes *to, uint32_t type, const char *text)
{
	size_t at = tag_begin(to, type);
	put_text(to, text);
	tag_end(to, at);
}

static void tag_module(struct bytes *to, uint32_t start, uint32_t end, const char *text)
{
	size_t at = tag_begin(to, 3);
	put(to, 4, start);
	put(to, 4, end);
	put_text(to, text);
	tag_end(to, at);
}

static size_t tag_map(struct bytes *to, uint32_t entry_bytes)
{
	static const struct {
		uint64_t start, bytes;
		uint32_t type;
	} map[] = {
		{0, 0x9fc00, 1},
		{0x9fc00, 0x400, 2},
		{0x100000, 0x7fe00000, 1},
		{0x7ff00000, 0x10000, 3},
		{0x7ff10000, 0x10000, 4},
		{0x7ff20000, 0x1000, 5},
		{0x100000000, 0x80000000, 1},
		{0xfed00000, 0x400, 99},
	};
	size_t at = tag_begin(to, 6);
	put(to, 4, entry_bytes);
	put(to, 4, 0);
	for (unsigned i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		put(to, 8, map[i].start);
		put(to, 8, map[i].bytes);
		put(to, 4, map[i].type);
		for (uint32_t more = 20; more < entry_bytes; more += 4)
			put(to, 4, 0xeeeeeeee);
	}
	tag_end(to, at);
	return at;
}

static void tag_rsdp(struct bytes *to, uint32_t type, unsigned length, bool damaged)
{
	size_t at = tag_begin(to, type), start = to->count;
	uint8_t sum = 0;
	put_text(to, "RSD PTR ");
	to->count--;
	while (to->count - start < length)
		put(to, 1, to->count);
	for (size_t i = start; i < to->count; i++)
		sum = (uint8_t)(sum + to->at[i]);
	to->at[start + 9] = (uint8_t)(to->at[start + 9] - sum + damaged);
	tag_end(to, at);
}

static void tag_framebuffer(struct bytes *to, uint8_t kind, uint32_t pitch)
{
	size_t at = tag_begin(to, 8);
	put(to, 8, 0xfd000000);
	put(to, 4, pitch);
	put(to, 4, 1024);
	put(to, 4, 768);
	put(to, 1, 32);
	put(to, 1, kind);
	put(to, 2, 0);
	put(to, 6, 0x080008080810); /* red 8 bits at 16, green at 8, blue at 0 */
	tag_end(to, at);
}

static void multiboot2_begin(struct bytes *to)
{
	to->count = 0;
	put(to, 8, 0);
}

static void multiboot2_end(struct bytes *to)
{
	size_t at = tag_begin(to, 0);
	tag_end(to, at);
	set32(to, 0, (uint32_t)to->count);
}

static void multiboot2_good(struct bytes *to)
{
	multiboot2_begin(to);
	tag_text(to, 1, "scenario=a console=serial");
	tag_text(to, 2, "GRUB 2.06");
	tag_module(to, 0x300000, 0x301234, "folder/one.scn and words");
	tag_module(to, 0x400000, 0x400000, "");
	tag_text(to, 77, "not known to anyone");
	tag_map(to, 24);
	tag_rsdp(to, 14, 20, false);
	tag_rsdp(to, 15, 36, false);
	tag_framebuffer(to, 1, 4096);
	multiboot2_end(to);
}

static int multiboot2_parse(const struct bytes *from)
{
	uint8_t *copy = exact(from);
	reason.text[0] = '\0';
	int error = boot_multiboot2_parse(copy, from->count, &info, &rsdp, &reason);
	free(copy);
	return error;
}

static void test_multiboot2_good(void)
{
	static struct bytes bytes;

	multiboot2_good(&bytes);
	KTAP_EQUAL(multiboot2_parse(&bytes), 0);
	check_info();
	KTAP_EQUAL(info.path, BOOT_MULTIBOOT2);
	KTAP_CHECK(!strcmp(info.command_line, "scenario=a console=serial"));
	KTAP_CHECK(!info.command_line_cut && !info.memory_cut && !info.module_cut);
	KTAP_CHECK(!strcmp(info.loader, "GRUB 2.06"));
	KTAP_EQUAL(info.module_count, 2);
	KTAP_CHECK(!strcmp(info.modules[0].name, "one.scn"));
	KTAP_EQUAL(info.modules[0].start, 0x300000);
	KTAP_EQUAL(info.modules[0].bytes, 0x1234);
	KTAP_CHECK(!strcmp(info.modules[1].name, "module2"));
	KTAP_EQUAL(info.modules[1].bytes, 0);
	KTAP_EQUAL(info.memory_count, 8);
	KTAP_EQUAL(info.memory[2].kind, BOOT_MEMORY_USABLE);
	KTAP_EQUAL(info.memory[2].bytes, 0x7fe00000);
	KTAP_EQUAL(info.memory[3].kind, BOOT_MEMORY_ACPI_RECLAIM);
	KTAP_EQUAL(info.memory[4].kind, BOOT_MEMORY_ACPI_NVS);
	KTAP_EQUAL(info.memory[5].kind, BOOT_MEMORY_BAD);
	KTAP_EQUAL(info.memory[6].start, 0x100000000);
	KTAP_EQUAL(info.memory[7].kind, BOOT_MEMORY_RESERVED);
	KTAP_EQUAL(rsdp.length, 36);
	KTAP_CHECK(!memcmp(rsdp.bytes, "RSD PTR ", 8));
	KTAP_EQUAL(info.framebuffer.start, 0xfd000000);
	KTAP_EQUAL(info.framebuffer.pitch, 4096);
	KTAP_EQUAL(info.framebuffer.red_shift, 16);
	KTAP_EQUAL(info.framebuffer.green_shift, 8);
	KTAP_EQUAL(info.framebuffer.blue_shift, 0);
}

static void test_multiboot2_extras(void)
{
	static struct bytes bytes;
	static char text[2000];

	/* the older RSDP if it is the only one; a damaged one is left out */
	multiboot2_begin(&bytes);
	tag_map(&bytes, 40);
	tag_rsdp(&bytes, 14, 20, false);
	tag_rsdp(&bytes, 15, 36, true);
	tag_framebuffer(&bytes, 2, 4096);
	multiboot2_end(&bytes);
	KTAP_EQUAL(multiboot2_parse(&bytes), 0);
	check_info();
	KTAP_EQUAL(info.memory_count, 8);
	KTAP_EQUAL(rsdp.length, 20);
	KTAP_EQUAL(info.framebuffer.start, 0);

	/* long texts are cut; too many modules are counted out; lines too short to draw on */
	memset(text, 'x', sizeof(text) - 1);
	multiboot2_begin(&bytes);
	tag_text(&bytes, 1, text);
	tag_text(&bytes, 2, text);
	for (unsigned i = 0; i <= BOOT_MAX_MODULES; i++)
		tag_module(&bytes, 0x100000, 0x100010, i ? "named" : text);
	tag_map(&bytes, 24);
	tag_framebuffer(&bytes, 1, 4095);
	multiboot2_end(&bytes);
	KTAP_EQUAL(multiboot2_parse(&bytes), 0);
	check_info();
	KTAP_CHECK(info.command_line_cut);
	KTAP_EQUAL(strlen(info.command_line), BOOT_MAX_COMMAND_LINE - 1);
	KTAP_EQUAL(info.module_count, BOOT_MAX_MODULES);
	KTAP_CHECK(info.module_cut);
	KTAP_EQUAL(strlen(info.modules[0].name), sizeof(info.modules[0].name) - 1);
	KTAP_EQUAL(info.framebuffer.start, 0);
}

/* The EFI map counts where there is no plain one. */
static void test_multiboot2_efi_map(void)
{
	static struct bytes bytes;

	for (unsigned both = 0; both < 2; both++) {
		multiboot2_begin(&bytes);
		size_t at = tag_begin(&bytes, 17);
		put(&bytes, 4, 48);
		put(&bytes, 4, 1);
		for (unsigned i = 0; i < 2; i++) {
			put(&bytes, 8, 7); /* conventional */
			put(&bytes, 8, 0x100000 + 0x100000 * i);
			put(&bytes, 8, 0);
			put(&bytes, 8, 0x100);
			put(&bytes, 8, 0xf);
			put(&bytes, 8, 0);
		}
		tag_end(&bytes, at);
		if (both)
			tag_map(&bytes, 24);
		multiboot2_end(&bytes);
		KTAP_EQUAL(multiboot2_parse(&bytes), 0);
		KTAP_EQUAL(info.memory_count, both ? 8 : 1);
		KTAP_EQUAL(info.memory[0].bytes, both ? 0x9fc00 : 0x200000);
	}
}

/* The map is full: ranges that must be left alone are never the ones that go. */
static void test_map_overflow(void)
{
	memset(&info, 0, sizeof(info));
	for (unsigned i = 0; i < BOOT_MAX_MEMORY + 20; i++)
		KTAP_CHECK(boot_memory_add(&info, i * UINT64_C(0x10000), 0x1000,
		                           i < BOOT_MAX_MEMORY ? BOOT_MEMORY_USABLE
		                                               : BOOT_MEMORY_RESERVED));
	KTAP_CHECK(info.memory_cut);
	KTAP_EQUAL(info.memory_count, BOOT_MAX_MEMORY);
	unsigned reserved = 0;
	for (unsigned i = 0; i < info.memory_count; i++)
		reserved += info.memory[i].kind == BOOT_MEMORY_RESERVED;
	KTAP_EQUAL(reserved, 20);
	KTAP_CHECK(!boot_memory_add(&info, UINT64_MAX, 2, BOOT_MEMORY_USABLE));
	KTAP_CHECK(boot_memory_add(&info, UINT64_MAX, 0, BOOT_MEMORY_USABLE));
}

static void refused(const struct bytes *bytes, const char *text)
{
	KTAP_CHECK(multiboot2_parse(bytes) == -EINVAL);
	KTAP_CHECK(says(text));
}

static void test_multiboot2_refused(void)
{
	static struct bytes bytes;
	size_t at;

	bytes.count = 0;
	refused(&bytes, "16 at least");
	put(&bytes, 8, 8);
	refused(&bytes, "16 at least");
	multiboot2_good(&bytes);
	set32(&bytes, 0, (uint32_t)bytes.count + 8);
	refused(&bytes, "it says that it has");

	multiboot2_good(&bytes);
	bytes.count -= 8;
	set32(&bytes, 0, (uint32_t)bytes.count);
	refused(&bytes, "no end tag");
	multiboot2_good(&bytes);
	set32(&bytes, 8 + 4, 7);
	refused(&bytes, "tag 1 at offset 0x8: 7 bytes, at least 9");
	multiboot2_good(&bytes);
	set32(&bytes, 8 + 4, 0xfffffff9);
	refused(&bytes, "tag 1 at offset 0x8: 4294967289 bytes, and only");
	multiboot2_good(&bytes);
	set32(&bytes, 8 + 4, 0);
	refused(&bytes, "at least 9");
	multiboot2_good(&bytes);
	memset(bytes.at + 16, 'x', strlen("scenario=a console=serial") + 1);
	refused(&bytes, "(command line) at offset 0x8: its text has no end");

	multiboot2_begin(&bytes);
	tag_text(&bytes, 2, "y");
	bytes.at[17] = 'y';
	multiboot2_end(&bytes);
	refused(&bytes, "(loader name) at offset 0x8: its text has no end");
	multiboot2_begin(&bytes);
	tag_module(&bytes, 0x2000, 0x1fff, "m");
	multiboot2_end(&bytes);
	refused(&bytes, "starts at 0x2000 and ends before, at 0x1fff");
	multiboot2_begin(&bytes);
	tag_module(&bytes, 0x2000, 0x3000, "m");
	bytes.at[8 + 17] = 'm';
	multiboot2_end(&bytes);
	refused(&bytes, "(module) at offset 0x8: its text has no end");
	multiboot2_begin(&bytes);
	multiboot2_end(&bytes);
	refused(&bytes, "no memory map");

	multiboot2_begin(&bytes);
	at = tag_map(&bytes, 24);
	multiboot2_end(&bytes);
	set32(&bytes, at + 8, 16);
	refused(&bytes, "entries of 16 bytes; at least 24");
	set32(&bytes, at + 8, 0);
	refused(&bytes, "entries of 0 bytes");
	set32(&bytes, at + 8, 0xfffffff8);
	refused(&bytes, "no whole number of entries");
	multiboot2_begin(&bytes);
	at = tag_map(&bytes, 24);
	multiboot2_end(&bytes);
	memset(bytes.at + at + 16, 0xff, 16);
	refused(&bytes, "go beyond 2^64");
	multiboot2_begin(&bytes);
	at = tag_begin(&bytes, 17);
	put(&bytes, 8, 32);
	tag_end(&bytes, at);
	multiboot2_end(&bytes);
	refused(&bytes, "(EFI memory map) at offset 0x8: entries of 32 bytes");
	multiboot2_begin(&bytes);
	at = tag_begin(&bytes, 14);
	put(&bytes, 8, 0);
	tag_end(&bytes, at);
	multiboot2_end(&bytes);
	refused(&bytes, "tag 14 at offset 0x8: 16 bytes, at least 28");
}

static void test_multiboot2_corrupt(void)
{
	static struct bytes bytes;
	uint64_t seed = 0x1234567;
	unsigned accepted = 0;

	for (unsigned i = 0; i < CORRUPTIONS; i++) {
		multiboot2_good(&bytes);
		corrupt(&bytes, &seed);
		if (bytes.count >= 4 && i % 2) /* past the first check, too */
			set32(&bytes, 0, (uint32_t)bytes.count);
		int error = multiboot2_parse(&bytes);
		if (!error)
			check_info();
		else
			KTAP_CHECK(reason.text[0]);
		accepted += !error;
	}
	/* both happen: neither the damage nor the reader is trivial */
	KTAP_CHECK(accepted > CORRUPTIONS / 10 && accepted < CORRUPTIONS * 9 / 10);
}

/* ---- PVH ------------------------------------------------------------------------------------ */

#define PVH_BASE UINT64_C(0x1000)

struct memory {
	uint8_t *bytes;
	size_t count;
};

static const void *memory_map(void *ctx, uint64_t address, uint64_t bytes)
{
	const struct memory *memory = ctx;

	if (address < PVH_BASE || address - PVH_BASE > memory->count ||
	    bytes > memory->count - (address - PVH_BASE))
		return NULL;
	return memory->bytes + (address - PVH_BASE);
}

/* 0 start information, 56 modules (2), 120 map (4), 216 texts */
enum { PVH_MODULES = 56, PVH_MAP = 120, PVH_TEXT = 216 };

static void pvh_good(struct bytes *to)
{
	to->count = 0;
	put(to, 4, 0x336ec578);
	put(to, 4, 1);
	put(to, 4, 0);
	put(to, 4, 2);
	put(to, 8, PVH_BASE + PVH_MODULES);
	put(to, 8, PVH_BASE + PVH_TEXT);
	put(to, 8, 0xf52e0);
	put(to, 8, PVH_BASE + PVH_MAP);
	put(to, 4, 4);
	put(to, 4, 0);
	put(to, 8, 0x500000);
	put(to, 8, 0x99);
	put(to, 8, 0);
	put(to, 8, 0);
	put(to, 8, 0x600000);
	put(to, 8, 0x100);
	put(to, 8, PVH_BASE + PVH_TEXT + 11);
	put(to, 8, 0);
	for (unsigned i = 0; i < 4; i++) {
		put(to, 8, 0x100000 + 0x100000 * i);
		put(to, 8, i == 1 ? 0 : 0x100000);
		put(to, 8, i == 3 ? 2 : 1);
	}
	put_text(to, "scenario=x");
	put_text(to, "/boot/two.scn words");
}

static int pvh_parse(const struct bytes *from)
{
	struct memory memory = {exact(from), from->count};
	const struct boot_view view = {&memory, memory_map};
	reason.text[0] = '\0';
	int error = boot_pvh_parse(&view, PVH_BASE, &info, &reason);
	free(memory.bytes);
	return error;
}

static void test_pvh_good(void)
{
	static struct bytes bytes;

	pvh_good(&bytes);
	KTAP_EQUAL(bytes.count, PVH_TEXT + 31);
	KTAP_EQUAL(pvh_parse(&bytes), 0);
	check_info();
	KTAP_EQUAL(info.path, BOOT_PVH);
	KTAP_CHECK(!strcmp(info.command_line, "scenario=x"));
	KTAP_EQUAL(info.rsdp, 0xf52e0);
	KTAP_EQUAL(info.module_count, 2);
	KTAP_CHECK(!strcmp(info.modules[0].name, "module"));
	KTAP_EQUAL(info.modules[0].bytes, 0x99);
	KTAP_CHECK(!strcmp(info.modules[1].name, "two.scn"));
	/* an empty range vanishes, the third does not touch the first */
	KTAP_EQUAL(info.memory_count, 3);
	KTAP_EQUAL(info.memory[1].start, 0x300000);
	KTAP_EQUAL(info.memory[2].kind, BOOT_MEMORY_RESERVED);

	/* no command line, no modules, a later version */
	set32(&bytes, 4, 7);
	set32(&bytes, 12, 0);
	set32(&bytes, 24, 0);
	KTAP_EQUAL(pvh_parse(&bytes), 0);
	KTAP_CHECK(!info.command_line[0] && !info.module_count);
}

static void pvh_refused(struct bytes *bytes, size_t at, uint32_t value, const char *text)
{
	pvh_good(bytes);
	if (at < bytes->count)
		set32(bytes, at, value);
	else
		bytes->count = value;
	KTAP_CHECK(pvh_parse(bytes) == -EINVAL);
	KTAP_CHECK(says(text));
}

static void test_pvh_refused(void)
{
	static struct bytes bytes;
	const size_t cut = sizeof(bytes.at);

	pvh_refused(&bytes, cut, 39, "at 0x1000 is in no memory");
	pvh_refused(&bytes, cut, 55, "it ends within its 56 bytes");
	pvh_refused(&bytes, 0, 0x1badb002, "magic 0x1badb002, 0x336ec578 would be right");
	pvh_refused(&bytes, 4, 0, "version 0 has no memory map");
	pvh_refused(&bytes, 12, 4097, "4097 modules, at most 4096");
	pvh_refused(&bytes, 12, 4096, "the list of 4096 modules at 0x1038 is in no memory");
	pvh_refused(&bytes, 16, 0x10, "the list of 2 modules at 0x10 is in no memory");
	pvh_refused(&bytes, 24, 0xfff, "the command line at 0xfff is in no memory");
	pvh_refused(&bytes, 40, 0x10, "the memory map of 4 entries at 0x10 is in no memory");
	pvh_refused(&bytes, 48, 0, "its memory map is empty");
	pvh_refused(&bytes, 48, 4097, "a memory map of 4097 entries, at most 4096");
	pvh_refused(&bytes, 48, 4000, "the memory map of 4000 entries at 0x1078 is in no memory");
	pvh_refused(&bytes, PVH_MODULES + 16, 7,
	            "the module's command line at 0x7 is in no memory");
	/* a text that goes on to the end of memory */
	pvh_refused(&bytes, cut, PVH_TEXT + 30,
	            "the module's command line at 0x10e3 is in no memory");

	pvh_good(&bytes);
	memset(bytes.at + PVH_MODULES, 0xff, 16);
	KTAP_CHECK(pvh_parse(&bytes) == -EINVAL);
	KTAP_CHECK(says("PVH module 0:"));
	pvh_good(&bytes);
	memset(bytes.at + PVH_MAP + 24 * 2, 0xff, 16);
	KTAP_CHECK(pvh_parse(&bytes) == -EINVAL);
	KTAP_CHECK(says("PVH memory map, entry 2:"));
}

static void test_pvh_corrupt(void)
{
	static struct bytes bytes;
	uint64_t seed = 0x7654321;
	unsigned accepted = 0;

	for (unsigned i = 0; i < CORRUPTIONS; i++) {
		pvh_good(&bytes);
		corrupt(&bytes, &seed);
		int error = pvh_parse(&bytes);
		if (!error)
			check_info();
		else
			KTAP_CHECK(reason.text[0]);
		accepted += !error;
	}
	KTAP_CHECK(accepted > CORRUPTIONS / 10 && accepted < CORRUPTIONS * 9 / 10);
}

static const struct ktap_case cases[] = {
	{"Multiboot2: good information is read in full", test_multiboot2_good},
	{"Multiboot2: what is extra may be odd, absent, or too much", test_multiboot2_extras},
	{"Multiboot2: the EFI memory map serves where there is no plain one",
         test_multiboot2_efi_map},
	{"Multiboot2: each malformation is refused by its reason", test_multiboot2_refused},
	{"Multiboot2: a thousand corruptions are read safely", test_multiboot2_corrupt},
	{"a memory map that is full keeps what is not to be used", test_map_overflow},
	{"PVH: good information is read in full", test_pvh_good},
	{"PVH: each malformation is refused by its reason", test_pvh_refused},
	{"PVH: a thousand corruptions are read safely", test_pvh_corrupt},
};
KTAP_MAIN(cases)
