/* SPDX-License-Identifier: MIT */
/*
 * Multiboot2 boot information (specification 2.0, section 3.6): bytes in, struct
 * boot_info out. Pure; reads nothing outside the bytes it is given.
 */
#ifndef BOOT_MULTIBOOT2_H
#define BOOT_MULTIBOOT2_H

#include "boot/boot_info.h"

enum { BOOT_RSDP_COPY = 36, BOOT_REASON = 96 };

/** Read the information at @p start, of which @p capacity bytes may be read; any
 *  alignment. A copy of the RSDP that the loader passed goes into @p rsdp (its
 *  length, 0 if there is none, into *rsdp_bytes): the caller decides where it lies.
 *  0; -1 with a line in @p reason: refused, @p out must not be used. */
int boot_multiboot2_parse(const void *start, size_t capacity, struct boot_info *out,
			  unsigned char rsdp[BOOT_RSDP_COPY], size_t *rsdp_bytes,
			  char reason[BOOT_REASON]);

#endif
