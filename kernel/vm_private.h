/* SPDX-License-Identifier: MIT */
/* The address space's parts, for the files that make and explain it. See vm.c. */
#ifndef KERNEL_VM_PRIVATE_H
#define KERNEL_VM_PRIVATE_H

#include "boot/boot_info.h"

#define DIRECT_MAP_BYTES (UINT64_C(1) << 46)
#define DEVICE_BASE      UINT64_C(0xffffc00000000000)
#define DEVICE_BYTES     (UINT64_C(1) << 39)

/* From linker.ld. */
extern char kernel_text_start[], kernel_text_end[];
extern char kernel_rodata_start[], kernel_rodata_end[];
extern char kernel_data_start[], kernel_end[];

#endif
