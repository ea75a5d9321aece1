/* SPDX-License-Identifier: MIT */
/*
 * From the loader's structure to kernel_main, in long mode with the early page tables:
 * physical 0..4 GiB can be read at DIRECT_MAP_BASE and nothing above can.
 */
#include "boot/multiboot2.h"
#include "boot/parse.h"
#include "boot/pvh.h"

#define EARLY_END (UINT64_C(4) << 30)

extern char kernel_text_start[], kernel_end[];

static struct boot_info boot_info;
static unsigned char rsdp_copy[BOOT_RSDP_COPY];

void boot_entry(enum boot_path path, uint32_t address);
void boot_efi_main(const struct boot_info *given);

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

/* There is no console yet: the line goes to the first serial port as it stands. */
static void __attribute__((noreturn)) refuse(const char *loader, const char *reason)
{
	const char *parts[] = {"nestor: ", loader, ": ", reason, "\r\n"};
	for (unsigned i = 0; i < 5; i++)
		for (const char *at = parts[i]; *at; at++) {
			out8(0x3f8, (uint8_t)*at);
			for (volatile int wait = 0; wait < 10000;)
				wait = wait + 1;
		}
	for (;;)
		__asm__ volatile("cli; hlt");
}

static bool early_read(void *ctx, uint64_t address, void *out, size_t bytes)
{
	(void)ctx;
	if (address >= EARLY_END || bytes > EARLY_END - address)
		return false;
	memcpy(out, (const void *)(DIRECT_MAP_BASE + address), bytes);
	return true;
}

/** Called by start.S in a 32-bit loader's case: the image lies where it was linked. */
void boot_entry(enum boot_path path, uint32_t address)
{
	char reason[BOOT_REASON];

	if (path == BOOT_PVH) {
		const struct boot_pvh_source source = {.read = early_read};
		if (boot_pvh_parse(&source, address, &boot_info, reason))
			refuse("PVH start information", reason);
	} else {
		size_t rsdp_bytes;
		if (boot_multiboot2_parse((const void *)(DIRECT_MAP_BASE + address),
					  EARLY_END - address, &boot_info, rsdp_copy, &rsdp_bytes,
					  reason))
			refuse("Multiboot2 information", reason);
		if (rsdp_bytes)
			boot_info.rsdp = (uint64_t)rsdp_copy - KERNEL_VIRTUAL_BASE;
	}
	boot_info.kernel_start = (uint64_t)kernel_text_start - KERNEL_VIRTUAL_BASE;
	boot_info.kernel_end = (uint64_t)kernel_end - KERNEL_VIRTUAL_BASE;
	kernel_main(&boot_info);
}

/** Called by start.S for the EFI loader, which has filled everything; its structure
 *  lies in memory that will be reused. */
void boot_efi_main(const struct boot_info *given)
{
	boot_info = *given;
	kernel_main(&boot_info);
}
