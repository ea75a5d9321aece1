/* SPDX-License-Identifier: MIT */
/*
 * The EFI loader's parts among themselves. GNU-EFI supplies the declarations, the start
 * and the relocation; of its library nothing is used.
 *
 * Firmware functions are called by the Microsoft ABI (GNU_EFI_USE_MS_ABI), WCHAR has 16
 * bits (-fshort-wchar): boot/efi.mk compiles so.
 */
#ifndef BOOT_EFI_EFI_H
#define BOOT_EFI_EFI_H

#ifndef GNU_EFI_USE_MS_ABI
#define GNU_EFI_USE_MS_ABI 1
#endif
#include <efi/efi.h>

#include "boot/boot_info.h"
#include "iommu/print.h"

#define EFI_FOUR_GIB (UINT64_C(4) << 30)

/** A boot in progress. What it owns is given back if it fails. */
struct loader {
	EFI_HANDLE image;
	EFI_SYSTEM_TABLE *system;
	EFI_BOOT_SERVICES *services;
	struct boot_info *info;
	struct {
		EFI_PHYSICAL_ADDRESS start;
		UINTN pages;
	} owned[BOOT_MAX_MODULES + 8];
	unsigned owned_count;
};

/** Print one line, "nestor: ...", on the firmware's console. */
void efi_say(const struct loader *loader, const char *format, ...) printf_like(2, 3);

/** Whole pages of loader data below @p limit, which belong to the boot from now on.
 *  Their address; 0 if there are none, which is said with @p what they are for. */
uint64_t efi_pages(struct loader *loader, uint64_t bytes, uint64_t alignment, uint64_t limit,
                   const char *what);

/** Command line and modules, from the files beside the application, else from the load
 *  options, else the default. False: refused, and a line says why. */
bool efi_files_read(struct loader *loader);

/** Framebuffer, RSDP, the loader's name. What is absent stays absent. */
void efi_platform_read(struct loader *loader);

#endif
