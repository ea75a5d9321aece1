/* SPDX-License-Identifier: MIT */
/*
 * PCI: every function on every segment and bus, what it can do, who it may pass
 * for on the bus, and which others it cannot be told apart from.
 *
 * Configuration space is reached through ECAM where MCFG lists the segment, and
 * through ports 0xCF8/0xCFC for segment 0 otherwise. The scan goes down the
 * bridges from each root bus, with buses as firmware numbered them. Access is by
 * `struct pci_access`, so a test supplies a configuration space of its own.
 */
#ifndef KERNEL_PCI_H
#define KERNEL_PCI_H

#include "iommu/os.h"
#include "iommu/ops.h"
#include "iommu/print.h"

struct pci_access {
	void *ctx;
	/** @p width 1, 2 or 4; @p offset 0..4095. A read of nothing is all ones. */
	uint32_t (*read)(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset,
	                 unsigned width);
	void (*write)(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset, unsigned width,
	              uint32_t value);
};

/** Device/port types of the PCIe capability that matter here (express_type). */
enum {
	PCI_EXPRESS_ENDPOINT = 0,
	PCI_EXPRESS_LEGACY_ENDPOINT = 1,
	PCI_EXPRESS_ROOT_PORT = 4,
	PCI_EXPRESS_UPSTREAM = 5,
	PCI_EXPRESS_DOWNSTREAM = 6,
	PCI_EXPRESS_TO_PCI = 7,   /* a bridge with conventional PCI or PCI-X below it */
	PCI_EXPRESS_FROM_PCI = 8, /* a bridge with PCIe below it */
	PCI_EXPRESS_INTEGRATED = 9,
};

struct pci_bar {
	uint64_t base, bytes; /* bytes 0: not there; base 0: without an address */
	bool is_port, is_64, is_prefetchable;
};

struct pci_device {
	struct pci_device *next;
	struct pci_bus *pci;
	uint16_t segment;
	iommu_rid_t rid;
	uint16_t vendor, device;
	uint32_t class_code; /* 24 bits: class, subclass, interface */
	uint8_t revision, header_type;
	bool multi_function, is_bridge, is_express;
	uint8_t express_type; /* PCIe capability's device/port type */
	uint8_t secondary_bus, subordinate_bus;
	struct pci_device *bridge; /* upstream, NULL on a root bus */
	struct pci_bar bars[6];
	uint16_t msi, msix, express, acs, ats, pri, pasid, sriov, ari; /* offsets; 0: none */
	uint8_t alias_count;
	iommu_rid_t aliases[IOMMU_MAX_ALIASES];
	uint32_t group;
	struct iommu_device *iommu; /* set by the kernel's wiring */
	void *claimed;              /* by a driver */
};

struct pci_bus {
	const struct pci_access *access;
	const struct iommu_os *os;
	struct pci_device *devices; /* in ascending segment, rid */
	unsigned count;
};

/** Scan @p count root ranges (segment, first bus..last bus). The first bus of a range is
 *  a root bus; so is every other bus of it that answers and lies behind no bridge.
 *  Disables bus mastering of every function that is not a bridge: a driver switches it
 *  on again. Memory BARs that firmware left without an address get one, where the window
 *  of the bridge above has room. Switches ACS (SV, RR, CR, UF) on wherever it separates devices. Ranges do
 *  not overlap. @p log may be NULL; a line for each thing that firmware left wrong.
 *  0 or -ENOMEM (nothing kept). */
struct pci_range {
	uint16_t segment;
	uint8_t first_bus, last_bus;
};
int must_check pci_scan(struct pci_bus *bus, const struct pci_access *access,
                        const struct iommu_os *os, const struct pci_range *ranges, size_t count,
                        struct iommu_print *log);
void pci_free(struct pci_bus *bus);
struct pci_device *pci_find(struct pci_bus *bus, uint16_t segment, iommu_rid_t rid);

uint32_t pci_read(struct pci_device *device, uint16_t offset, unsigned width);
void pci_write(struct pci_device *device, uint16_t offset, unsigned width, uint32_t value);
/** Bus mastering on or off; memory decoding is switched on with it. */
void pci_master(struct pci_device *device, bool on);
/** Program one MSI, or, without that capability, MSI-X vector 0 with all others masked:
 *  needs @p window on the whole BAR of pci_msix_bar(); may be NULL for MSI. Memory
 *  decoding is switched on, INTx off. 0; -ENODEV without the capability or window;
 *  -EINVAL if the message does not fit the capability, or the table does not lie in the
 *  window. On failure nothing was changed. */
int must_check pci_msi_enable(struct pci_device *device, const struct iommu_msi *msi,
                              const struct mmio *window);
/** The BAR (0..5) that holds the MSI-X table; -ENODEV without MSI-X. */
int pci_msix_bar(struct pci_device *device);
/** What the core wants to know of it. @p out->capabilities_set switches its ATS, PASID and
 *  page requests, and refers to @p device. */
void pci_describe(struct pci_device *device, struct iommu_device_desc *out);
/** For people: "ethernet controller", by class code. */
const char *pci_class_name(uint32_t class_code);

#endif
