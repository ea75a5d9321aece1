/* SPDX-License-Identifier: MIT */
/*
 * Message-signalled interrupts: one vector of MSI or MSI-X. PCI Local Bus 3.0 section
 * 6.8. Everything is checked before anything is written.
 */
#include "kernel/pci_private.h"

enum {
	MSI_CONTROL = 2,
	MSI_CONTROL_ENABLE = 1 << 0,
	MSI_CONTROL_MULTIPLE_ENABLE = 7 << 4,
	MSI_CONTROL_64 = 1 << 7,
	MSI_CONTROL_MASKS = 1 << 8,
	MSI_ADDRESS = 4,
	MSIX_CONTROL = 2,
	MSIX_CONTROL_LAST = 0x7ff, /* vectors minus one */
	MSIX_CONTROL_MASK = 1 << 14,
	MSIX_CONTROL_ENABLE = 1 << 15,
	MSIX_TABLE = 4, /* 31:3 offset, 2:0 BAR */
	MSIX_ENTRY_BYTES = 16,
	MSIX_VECTOR_MASK = 1,
};

static uint16_t plus(uint16_t capability, unsigned offset)
{
	return (uint16_t)(capability + offset);
}

static void set_control(struct pci_device *device, uint16_t at, uint32_t clear, uint32_t set)
{
	uint32_t control = pci_read(device, at, 2);
	pci_write(device, at, 2, (control & ~clear) | set);
}

/** Memory decoding on, INTx off. */
static void set_command(struct pci_device *device)
{
	set_control(device, PCI_COMMAND, 0, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
}

static int enable_msi(struct pci_device *device, const struct iommu_msi *msi)
{
	uint16_t at = device->msi, control_at = plus(at, MSI_CONTROL);
	uint32_t control = pci_read(device, control_at, 2);
	bool is_64 = control & MSI_CONTROL_64;

	if (msi->data > 0xffff || msi->address % 4 || (!is_64 && msi->address >> 32))
		return -EINVAL;
	if (device->msix)
		set_control(device, plus(device->msix, MSIX_CONTROL), MSIX_CONTROL_ENABLE, 0);
	set_control(device, control_at, MSI_CONTROL_ENABLE | MSI_CONTROL_MULTIPLE_ENABLE, 0);
	pci_write(device, plus(at, MSI_ADDRESS), 4, (uint32_t)msi->address);
	if (is_64)
		pci_write(device, plus(at, MSI_ADDRESS + 4), 4, (uint32_t)(msi->address >> 32));
	pci_write(device, plus(at, is_64 ? 12 : 8), 2, msi->data);
	if (control & MSI_CONTROL_MASKS)
		pci_write(device, plus(at, is_64 ? 16 : 12), 4, 0xfffffffe);
	set_command(device);
	set_control(device, control_at, 0, MSI_CONTROL_ENABLE);
	return 0;
}

int pci_msix_bar(struct pci_device *device)
{
	if (!device->msix)
		return -ENODEV;
	uint32_t bar = pci_read(device, plus(device->msix, MSIX_TABLE), 4) & 7;
	return bar < ARRAY_SIZE(device->bars) ? (int)bar : -ENODEV;
}

static int enable_msix(struct pci_device *device, const struct iommu_msi *msi,
                       const struct mmio *window)
{
	uint16_t control_at = plus(device->msix, MSIX_CONTROL);
	uint32_t table = pci_read(device, plus(device->msix, MSIX_TABLE), 4) & ~UINT32_C(7);
	uint32_t vectors = (pci_read(device, control_at, 2) & MSIX_CONTROL_LAST) + 1;
	uint64_t bytes = (uint64_t)vectors * MSIX_ENTRY_BYTES;

	if (pci_msix_bar(device) < 0)
		return -ENODEV;
	if (msi->address % 4 || table > UINT32_MAX - bytes || window->bytes < table + bytes)
		return -EINVAL;
	if (device->msi)
		set_control(device, plus(device->msi, MSI_CONTROL), MSI_CONTROL_ENABLE, 0);
	set_command(device);
	set_control(device, control_at, 0, MSIX_CONTROL_MASK | MSIX_CONTROL_ENABLE);
	for (uint32_t n = 0; n < vectors; n++)
		mmio_write32(window, table + n * MSIX_ENTRY_BYTES + 12, MSIX_VECTOR_MASK);
	mmio_write32(window, table, (uint32_t)msi->address);
	mmio_write32(window, table + 4, (uint32_t)(msi->address >> 32));
	mmio_write32(window, table + 8, msi->data);
	mmio_write32(window, table + 12, 0);
	set_control(device, control_at, MSIX_CONTROL_MASK, 0);
	return 0;
}

int pci_msi_enable(struct pci_device *device, const struct iommu_msi *msi,
                   const struct mmio *window)
{
	if (device->msi)
		return enable_msi(device, msi);
	if (device->msix && window)
		return enable_msix(device, msi, window);
	return -ENODEV;
}
