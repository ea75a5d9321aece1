/* SPDX-License-Identifier: MIT */
/* The hooks of iommu/os.h, as this kernel answers them. */
#ifndef KERNEL_OS_H
#define KERNEL_OS_H

#include "iommu/os.h"

/** Usable after vm_init; deadlines are in real time after time_init; interrupts
 *  after apic_init. */
extern const struct iommu_os kernel_os;

#endif
