/* SPDX-License-Identifier: MIT */
/*
 * Everything that the kernel wires together, once: firmware tables, PCI, the core
 * with its drivers, the iommufd interface, engines, and the platform on which
 * scenarios and the shell run.
 */
#ifndef KERNEL_MACHINE_H
#define KERNEL_MACHINE_H

#include "boot/boot_info.h"
#include "iommu/iommu.h"
#include "kernel/acpi.h"
#include "kernel/cmdline.h"
#include "kernel/pci.h"
#include "kernel/scn.h"
#include "kernel/scn_mock.h"
#include "kernel/scn_model.h"
#include "kernel/user_memory.h"
#include "ufd/ufd.h"

enum { MACHINE_MOCK_DEVICES = 2 };

struct machine {
	const struct boot_info *boot;
	struct kernel_options options;
	struct acpi acpi;
	bool has_acpi;
	struct pci_access pci_access;
	struct pci_bus pci;
	struct iommu iommu;
	unsigned units; /* that were taken over */
	struct ufd ufd;
	struct user_memory memory;
	struct dma_engine *engines;
	bool has_model;
	struct model_platform model;
	struct mock_engine mocks[MACHINE_MOCK_DEVICES];
	struct scn_platform platform;
};

/** Find the machine's tables, devices and units; take the units over; bring up the
 *  engines; fill @p machine->platform. What is missing is said in the log and left out:
 *  only a lack of memory stops it, with a panic. */
void machine_init(struct machine *machine, const struct boot_info *boot,
                  const struct kernel_options *options);
/** The boot screen: one line a part of the machine. */
void machine_print(const struct machine *machine, struct iommu_print *to);
/** Silence the engines and hand the units back, in that order. */
void machine_exit(struct machine *machine);

#endif
