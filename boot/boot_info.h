/* SPDX-License-Identifier: MIT */
/*
 * What every boot path hands to kernel_main: Multiboot2, PVH and UEFI all end in
 * one struct boot_info. Physical addresses are plain numbers here; strings and
 * arrays are copied into the structure, so nothing points into memory that the
 * page allocator will own.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum boot_path { BOOT_MULTIBOOT2, BOOT_PVH, BOOT_EFI };

enum boot_memory_kind {
	BOOT_MEMORY_USABLE,
	BOOT_MEMORY_RESERVED,
	BOOT_MEMORY_ACPI_RECLAIM, /* tables: readable, not reused */
	BOOT_MEMORY_ACPI_NVS,
	BOOT_MEMORY_BAD,
	BOOT_MEMORY_MMIO,
};

struct boot_memory {
	uint64_t start, bytes;
	enum boot_memory_kind kind;
};

/** A file that came with the kernel: a scenario. Its memory is kept. */
struct boot_module {
	uint64_t start, bytes;
	char name[64];
};

struct boot_framebuffer {
	uint64_t start;                /* 0: none */
	uint32_t width, height, pitch; /* pixels, pixels, bytes */
	uint8_t bits_per_pixel;
	uint8_t red_shift, green_shift, blue_shift;
};

enum { BOOT_MAX_MEMORY = 256, BOOT_MAX_MODULES = 32, BOOT_MAX_COMMAND_LINE = 1024 };

struct boot_info {
	enum boot_path path;
	char loader[64];
	char command_line[BOOT_MAX_COMMAND_LINE];
	bool command_line_cut;             /* it was longer */
	uint64_t rsdp;                     /* physical address, 0: search for it */
	uint64_t kernel_start, kernel_end; /* physical, where the image lies now */
	uint32_t memory_count;
	bool memory_cut;                            /* the map had more entries */
	struct boot_memory memory[BOOT_MAX_MEMORY]; /* as firmware gave it: unsorted, may overlap */
	uint32_t module_count;
	bool module_cut; /* there were more modules */
	struct boot_module modules[BOOT_MAX_MODULES];
	struct boot_framebuffer framebuffer;
};

/** Where the kernel runs, and where it sees all physical memory. */
#define KERNEL_VIRTUAL_BASE UINT64_C(0xffffffff80000000)
#define DIRECT_MAP_BASE     UINT64_C(0xffff800000000000)

/** The kernel proper. Called once, in long mode, interrupts off, on a stack of at
 *  least 16 KiB, with the image mapped at KERNEL_VIRTUAL_BASE and physical memory
 *  below 4 GiB (at least) at DIRECT_MAP_BASE. Does not return. */
void __attribute__((noreturn)) kernel_main(struct boot_info *info);

#endif
