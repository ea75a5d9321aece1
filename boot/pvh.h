/* SPDX-License-Identifier: MIT */
/*
 * PVH start information (Xen's HVM direct boot ABI: struct hvm_start_info, versions 0
 * and 1): memory in, struct boot_info out. Pure: memory is read only through a hook.
 */
#ifndef BOOT_PVH_H
#define BOOT_PVH_H

#include "boot/boot_info.h"

struct boot_pvh_source {
	void *ctx;
	/** Copy @p bytes of physical memory at @p address; false if it is not there. */
	bool (*read)(void *ctx, uint64_t address, void *out, size_t bytes);
};

/** Read the structure at physical @p address. 0; -1 with a line in @p reason (96
 *  bytes): refused, @p out must not be used. */
int boot_pvh_parse(const struct boot_pvh_source *source, uint64_t address, struct boot_info *out,
		   char reason[96]);

#endif
