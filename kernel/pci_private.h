/* SPDX-License-Identifier: MIT */
/*
 * What the files of the PCI scan share: register numbers (PCI Local Bus 3.0 chapter 6,
 * PCI-to-PCI Bridge 1.2 chapter 3, PCI Express Base 6.0 chapter 7), and the steps of
 * the scan.
 */
#ifndef KERNEL_PCI_PRIVATE_H
#define KERNEL_PCI_PRIVATE_H

#include "kernel/pci.h"

enum {
	PCI_VENDOR = 0x00,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_CLASS = 0x08, /* 31:8 class code, 7:0 revision */
	PCI_HEADER = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_BUSES = 0x18, /* bridge: 7:0 primary, 15:8 secondary, 23:16 subordinate */
	PCI_CAPABILITIES = 0x34,
	PCI_CARDBUS_CAPABILITIES = 0x14,
	PCI_EXTENDED = 0x100,
	PCI_SPACE_BYTES = 0x1000,

	PCI_COMMAND_PORT = 1 << 0,
	PCI_COMMAND_MEMORY = 1 << 1,
	PCI_COMMAND_MASTER = 1 << 2,
	PCI_COMMAND_INTX_OFF = 1 << 10,
	PCI_STATUS_CAPABILITIES = 1 << 4,
	PCI_HEADER_MULTI = 0x80,
	PCI_HEADER_DEVICE = 0,
	PCI_HEADER_BRIDGE = 1,
	PCI_HEADER_CARDBUS = 2,

	PCI_CAP_MSI = 0x05,
	PCI_CAP_EXPRESS = 0x10,
	PCI_CAP_MSIX = 0x11,
	PCI_EXT_ACS = 0x000d,
	PCI_EXT_ARI = 0x000e,
	PCI_EXT_ATS = 0x000f,
	PCI_EXT_SRIOV = 0x0010,
	PCI_EXT_PRI = 0x0013,
	PCI_EXT_PASID = 0x001b,

	PCI_EXPRESS_CONTROL2 = 0x28,
	PCI_EXPRESS_CONTROL2_ARI = 1 << 5,
	PCI_ACS_CAPABILITY = 4,
	PCI_ACS_CONTROL = 6,
	/** Source validation, request redirect, completion redirect, upstream forwarding:
	 *  what keeps devices apart. */
	PCI_ACS_ISOLATION = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4,
};

/** One line to @p log, if there is one: "PCI 00:1c.0: ...". */
void pci_warn(struct iommu_print *log, const struct pci_device *device, const char *format, ...)
	printf_like(3, 4);
/** "00:04.0", or "0001:00:04.0" in a segment other than 0. */
void pci_name(const struct pci_device *device, char *out, size_t bytes);

/** Fill in the offsets of the capabilities. */
void pci_find_capabilities(struct pci_device *device, struct iommu_print *log);
/** Size the BARs, with decoding off meanwhile; everything is restored. */
void pci_size_bars(struct pci_device *device, struct iommu_print *log);
/** Give memory BARs without an address one, where a bridge's window has room. */
void pci_assign_bars(struct pci_bus *bus, struct iommu_print *log);
/** Does the bridge forward to all 256 functions of one device below it? */
bool pci_forwards_ari(struct pci_device *bridge);
/** Does only device 0 exist below this bridge (a PCIe link)? */
bool pci_is_link(const struct pci_device *bridge);

/** Fill in ATS, PASID and page requests, and how they are switched. */
void pci_describe_services(struct pci_device *device, struct iommu_device_desc *out);

/** Switch ACS on where it separates devices. */
void pci_enable_acs(struct pci_device *device);
/** Fill in the aliases: needs the bridges above. */
void pci_find_aliases(struct pci_device *device, struct iommu_print *log);
/** Number the groups of all devices. 0 or -ENOMEM. */
int must_check pci_find_groups(struct pci_bus *bus);

#endif
