/* SPDX-License-Identifier: MIT */
/*
 * What one PCI function has: its two capability lists, and its BARs with their sizes.
 * PCI Local Bus 3.0 sections 6.2.5.1 (BAR sizing) and 6.7 (capabilities); PCI Express
 * Base 6.0 section 7.6 (extended capabilities).
 *
 * Lists come from hardware and may be damaged: a pointer that leads outside or to where
 * the walk has been ends it, with a line. Nothing is written but BARs during sizing,
 * with decoding off, and all of that is restored.
 */
#include "kernel/pci_private.h"

/** Remember a dword of configuration space; false if it was remembered already. */
static bool mark(uint32_t *seen, uint16_t offset)
{
	uint32_t *word = &seen[offset / 128], bit = UINT32_C(1) << (offset / 4 % 32);
	bool is_new = !(*word & bit);

	*word |= bit;
	return is_new;
}

static void walk_capabilities(struct pci_device *device, struct iommu_print *log)
{
	uint32_t seen[2] = {0};
	uint16_t pointer = device->header_type == PCI_HEADER_CARDBUS ? PCI_CARDBUS_CAPABILITIES
	                                                             : PCI_CAPABILITIES;

	if (!(pci_read(device, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return;
	uint16_t at = (uint16_t)(pci_read(device, pointer, 1) & 0xfc);
	while (at) {
		if (at < 0x40 || !mark(seen, at)) {
			pci_warn(log, device, "capability list leads %s %#x: the rest is ignored",
			         at < 0x40 ? "into the header, to" : "back to", at);
			return;
		}
		uint32_t header = pci_read(device, at, 2);
		uint16_t *found = NULL;
		switch (header & 0xff) {
		case PCI_CAP_MSI:
			found = &device->msi;
			break;
		case PCI_CAP_MSIX:
			found = &device->msix;
			break;
		case PCI_CAP_EXPRESS:
			found = &device->express;
			break;
		case 0xff: /* the function went away */
			pci_warn(log, device, "capability at %#x reads all ones", at);
			return;
		default:
			break;
		}
		if (found && !*found)
			*found = at;
		at = (uint16_t)(header >> 8 & 0xfc);
	}
}

static void walk_extended(struct pci_device *device, struct iommu_print *log)
{
	uint32_t seen[PCI_SPACE_BYTES / 128] = {0};
	uint16_t at = PCI_EXTENDED;

	while (at) {
		if (at < PCI_EXTENDED || !mark(seen, at)) {
			pci_warn(log, device,
			         "extended capability list leads %s %#x: the rest is ignored",
			         at < PCI_EXTENDED ? "into the header, to" : "back to", at);
			return;
		}
		uint32_t header = pci_read(device, at, 4);
		if (header == 0 || header == 0xffffffff)
			return;
		uint16_t *found = NULL;
		switch (header & 0xffff) {
		case PCI_EXT_ACS:
			found = &device->acs;
			break;
		case PCI_EXT_ARI:
			found = &device->ari;
			break;
		case PCI_EXT_ATS:
			found = &device->ats;
			break;
		case PCI_EXT_SRIOV:
			found = &device->sriov;
			break;
		case PCI_EXT_PRI:
			found = &device->pri;
			break;
		case PCI_EXT_PASID:
			found = &device->pasid;
			break;
		default:
			break;
		}
		if (found && !*found)
			*found = at;
		at = (uint16_t)(header >> 20 & 0xffc);
	}
}

void pci_find_capabilities(struct pci_device *device, struct iommu_print *log)
{
	walk_capabilities(device, log);
	if (!device->express)
		return;
	device->is_express = true;
	device->express_type = pci_read(device, (uint16_t)(device->express + 2), 2) >> 4 & 15;
	walk_extended(device, log);
}

bool pci_forwards_ari(struct pci_device *bridge)
{
	if (bridge->express_type != PCI_EXPRESS_ROOT_PORT &&
	    bridge->express_type != PCI_EXPRESS_DOWNSTREAM)
		return false;
	/* Version 1 of the capability ends before the second set of registers. */
	if (!bridge->is_express || (pci_read(bridge, (uint16_t)(bridge->express + 2), 2) & 15) < 2)
		return false;
	return pci_read(bridge, (uint16_t)(bridge->express + PCI_EXPRESS_CONTROL2), 2) &
	       PCI_EXPRESS_CONTROL2_ARI;
}

bool pci_is_link(const struct pci_device *bridge)
{
	return bridge->is_express && (bridge->express_type == PCI_EXPRESS_ROOT_PORT ||
	                              bridge->express_type == PCI_EXPRESS_DOWNSTREAM ||
	                              bridge->express_type == PCI_EXPRESS_FROM_PCI);
}

/* ---- BARs --------------------------------------------------------------------------- */

/** The bits of the register that can be written: all ones, what sticks, and back. */
static uint32_t probe_bits(struct pci_device *device, uint16_t at, uint32_t value)
{
	pci_write(device, at, 4, 0xffffffff);
	uint32_t bits = pci_read(device, at, 4);
	pci_write(device, at, 4, value);
	return bits;
}

/** Size BAR @p n; returns how many registers it takes. */
static unsigned size_bar(struct pci_device *device, unsigned n, unsigned count,
                         struct iommu_print *log)
{
	uint16_t at = (uint16_t)(PCI_BAR0 + 4 * n);
	struct pci_bar *bar = &device->bars[n];
	uint32_t low = pci_read(device, at, 4);
	uint64_t bits = probe_bits(device, at, low);

	if (bits == 0 || (low == 0xffffffff && bits == 0xffffffff))
		return 1;
	if (bits & 1) {
		bits &= 0xfffc;
		bar->is_port = true;
		bar->base = low & 0xfffc;
		bar->bytes = bits & -bits;
		return 1;
	}
	bar->is_prefetchable = bits & 8;
	bar->is_64 = (bits & 6) == 4;
	if (bar->is_64 && n + 1 == count) {
		pci_warn(log, device, "BAR %u says 64 bits, but there is no next one: ignored", n);
		*bar = (struct pci_bar){0};
		return 1;
	}
	bar->base = low & ~UINT32_C(15);
	bits &= ~UINT64_C(15);
	if (bar->is_64) {
		uint32_t high = pci_read(device, (uint16_t)(at + 4), 4);
		bar->base |= (uint64_t)high << 32;
		bits |= (uint64_t)probe_bits(device, (uint16_t)(at + 4), high) << 32;
	}
	bar->bytes = bits & -bits;
	return bar->is_64 ? 2 : 1;
}

void pci_size_bars(struct pci_device *device, struct iommu_print *log)
{
	static const uint8_t counts[] = {
		[PCI_HEADER_DEVICE] = 6, [PCI_HEADER_BRIDGE] = 2, [PCI_HEADER_CARDBUS] = 1};

	/* A host bridge's BARs can be the memory controller's: they are never probed. */
	if (device->header_type >= ARRAY_SIZE(counts) || device->class_code >> 8 == 0x0600)
		return;
	unsigned count = counts[device->header_type];
	uint32_t command = pci_read(device, PCI_COMMAND, 2);
	pci_write(device, PCI_COMMAND, 2,
	          command & ~(uint32_t)(PCI_COMMAND_MEMORY | PCI_COMMAND_PORT));
	for (unsigned n = 0; n < count;)
		n += size_bar(device, n, count, log);
	pci_write(device, PCI_COMMAND, 2, command);
}
