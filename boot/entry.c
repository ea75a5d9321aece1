/* SPDX-License-Identifier: MIT */
/*
 * From start.S to kernel_main: each loader's structure is read into the one struct
 * boot_info, which lies in the image and so outlives the loader's memory.
 *
 * Entered on the boot stack, interrupts off, the first 4 GiB of physical memory at
 * DIRECT_MAP_BASE. There is no console yet: what cannot be read is refused on the
 * first serial port and on the screen, if it shows text, and the machine stops.
 */
#include "boot/parse.h"

#include "iommu/string.h"

#define IMAGE_LINKED_AT  UINT64_C(0x200000)

#define LARGE_PAGE_BYTES UINT64_C(0x200000)
#define ENTRY_LARGE      UINT64_C(0x83) /* present, write, 2 MiB */
#define ENTRY_TABLE      UINT64_C(0x03)
#define REACHABLE_BYTES  (UINT64_C(1) << 32)
#define MAX_MULTIBOOT2   (UINT32_C(16) << 20)

/* From linker.ld and start.S. */
extern char boot_image_start[], kernel_end[];
extern uint64_t boot_top_table[512], boot_low_pointers[512], boot_high_pointers[512];
extern uint64_t boot_directories[4 * 512], boot_image_directory[512], boot_top_table_5[512];
extern char boot_leave_5_levels[];

/* Called by start.S. */
void __attribute__((noreturn)) boot_multiboot2_entry(uint32_t address);
void __attribute__((noreturn)) boot_pvh_entry(uint32_t address);
void __attribute__((noreturn)) boot_efi_entry(const struct boot_info *from);
void __attribute__((noreturn)) boot_efi_main(void);

static struct boot_info info;
static struct boot_rsdp rsdp __attribute__((aligned(16)));
static struct boot_reason reason;

/* ---- refusing ------------------------------------------------------------------------ */

static void port_write(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t port_read(uint16_t port)
{
	uint8_t value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/** One character to COM1, after 100 ms at most: each read of a port takes about 1 us. */
static void serial_write(char c)
{
	for (unsigned i = 0; i < 100000 && !(port_read(0x3f8 + 5) & 0x20); i++)
		;
	port_write(0x3f8, (uint8_t)c);
}

static void screen_write(unsigned *at, char c)
{
	volatile uint16_t *cells = (volatile uint16_t *)(DIRECT_MAP_BASE + 0xb8000);

	if (*at < 80 * 25)
		cells[(*at)++] = (uint16_t)(0x0f00 | (uint8_t)c);
}

static void __attribute__((noreturn)) stop(const char *text)
{
	static const char head[] = "nestor: cannot start: ";
	unsigned cell = 0;

	/* 115200 8n1, no interrupts, FIFO on. */
	static const uint8_t setup[][2] = {{1, 0}, {3, 0x80}, {0, 1}, {1, 0},
	                                   {3, 3}, {2, 7},    {4, 3}};
	for (unsigned i = 0; i < sizeof(setup) / sizeof(setup[0]); i++)
		port_write((uint16_t)(0x3f8 + setup[i][0]), setup[i][1]);
	for (const char *at = head; *at; at++) {
		serial_write(*at);
		screen_write(&cell, *at);
	}
	for (; *text; text++) {
		/* It may quote the loader's bytes. */
		char c = *text >= ' ' && *text <= '~' ? *text : '?';
		serial_write(c);
		screen_write(&cell, c);
	}
	serial_write('\r');
	serial_write('\n');
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* ---- 32-bit loaders ------------------------------------------------------------------- */

static const void *view_map(void *ctx, uint64_t address, uint64_t bytes)
{
	(void)ctx;
	if (!address || address >= REACHABLE_BYTES || bytes > REACHABLE_BYTES - address)
		return NULL;
	return (const void *)(DIRECT_MAP_BASE + address);
}

static const struct boot_view view = {.map = view_map};

/** Where an object of the image lies in physical memory. */
static uint64_t physical(const volatile void *object)
{
	return info.kernel_start + ((uint64_t)object - KERNEL_VIRTUAL_BASE - IMAGE_LINKED_AT);
}

/** A loader that puts a module where the image lies has destroyed one of them. */
static void check_modules(void)
{
	for (uint32_t i = 0; i < info.module_count; i++) {
		const struct boot_module *module = &info.modules[i];
		if (module->start < info.kernel_end && module->bytes &&
		    (module->start >= info.kernel_start ||
		     module->bytes > info.kernel_start - module->start)) {
			boot_refuse(&reason,
			            "module %s at %#llx, %#llx bytes, lies in the image "
			            "(%#llx to %#llx)",
			            module->name, (unsigned long long)module->start,
			            (unsigned long long)module->bytes,
			            (unsigned long long)info.kernel_start,
			            (unsigned long long)info.kernel_end);
			stop(reason.text);
		}
	}
}

/** The parsers know nothing of the image: where it lies is filled in here. */
static void __attribute__((noreturn)) start(int error)
{
	if (error)
		stop(reason.text);
	info.kernel_start = (uint64_t)boot_image_start;
	info.kernel_end = (uint64_t)kernel_end - KERNEL_VIRTUAL_BASE;
	check_modules();
	if (rsdp.length)
		info.rsdp = physical(&rsdp.bytes);
	kernel_main(&info);
}

void boot_multiboot2_entry(uint32_t address)
{
	const uint8_t *bytes = view_map(NULL, address, 8);
	uint32_t length = bytes ? boot_get32(bytes) : 0;

	if (!bytes || length > MAX_MULTIBOOT2 || !view_map(NULL, address, length)) {
		boot_refuse(&reason,
		            "Multiboot2 information at %#x, %#x bytes, is in no memory or has "
		            "more than 16 MiB",
		            address, length);
		stop(reason.text);
	}
	start(boot_multiboot2_parse(bytes, length, &info, &rsdp, &reason));
}

void boot_pvh_entry(uint32_t address)
{
	start(boot_pvh_parse(&view, address, &info, &reason));
}

/* ---- the EFI loader ------------------------------------------------------------------- */

/** The early page tables as start.S describes them, for the image where it lies. */
static void build_tables(void)
{
	for (unsigned i = 0; i < 4 * 512; i++)
		boot_directories[i] = i * LARGE_PAGE_BYTES | ENTRY_LARGE;
	for (unsigned i = 0; i < 4; i++)
		boot_low_pointers[i] = physical(&boot_directories[i * 512]) | ENTRY_TABLE;
	for (uint64_t at = info.kernel_start; at < info.kernel_end; at += LARGE_PAGE_BYTES)
		boot_image_directory[(at - info.kernel_start + IMAGE_LINKED_AT) /
		                     LARGE_PAGE_BYTES] = at | ENTRY_LARGE;
	boot_high_pointers[510] = physical(boot_image_directory) | ENTRY_TABLE;
	boot_top_table[0] = physical(boot_low_pointers) | ENTRY_TABLE;
	boot_top_table[256] = boot_top_table[0];
	boot_top_table[511] = physical(boot_high_pointers) | ENTRY_TABLE;
	/* With 5 levels the lowest and the highest addresses both are its business. */
	boot_top_table_5[0] = physical(boot_top_table) | ENTRY_TABLE;
	boot_top_table_5[511] = boot_top_table_5[0];
}

void boot_efi_main(void)
{
	check_modules();
	kernel_main(&info);
}

void boot_efi_entry(const struct boot_info *from)
{
	const uint64_t la57 = 1 << 12;
	uint64_t cr4;

	memcpy(&info, from, sizeof(info));
	build_tables();
	__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
	if (!(cr4 & la57)) {
		__asm__ volatile("movq %0, %%cr3" : : "r"(physical(boot_top_table)) : "memory");
		boot_efi_main();
	}
	uint64_t code = info.kernel_start + ((uint64_t)boot_leave_5_levels - IMAGE_LINKED_AT);
	__asm__ volatile("movq %0, %%cr3\n\t"
	                 "jmp *%1"
	                 :
	                 : "r"(physical(boot_top_table_5)), "r"(code), "D"(physical(boot_top_table))
	                 : "memory");
	__builtin_unreachable();
}
