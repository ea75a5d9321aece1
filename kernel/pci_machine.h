/* SPDX-License-Identifier: MIT */
/* The machine's own configuration space: see pci_machine.c. */
#ifndef KERNEL_PCI_MACHINE_H
#define KERNEL_PCI_MACHINE_H

#include "kernel/acpi.h"
#include "kernel/pci.h"

/** Prepare access to configuration space: ECAM as @p acpi's MCFG says, ports 0xCF8 and
 *  0xCFC for segment 0 where it says nothing. @p acpi is read now and not kept; with no
 *  tables it is all zero. Fills @p out, which stays valid for good, and @p ranges with up
 *  to @p capacity root ranges for pci_scan(), their number in @p count; ranges beyond
 *  @p capacity are reported and left out. Call once. 0 or -ENOMEM. */
int must_check pci_machine_init(const struct acpi *acpi, struct pci_access *out,
                                struct pci_range *ranges, size_t capacity, size_t *count);

#endif
