/* SPDX-License-Identifier: MIT */
/*
 * PCI functions after the scan: finding one, its registers, bus mastering, and what the
 * IOMMU core wants to know of it.
 */
#include "kernel/pci_private.h"

#include "iommu/string.h"

struct pci_device *pci_find(struct pci_bus *bus, uint16_t segment, iommu_rid_t rid)
{
	for (struct pci_device *device = bus->devices; device; device = device->next)
		if (device->segment == segment && device->rid == rid)
			return device;
	return NULL;
}

uint32_t pci_read(struct pci_device *device, uint16_t offset, unsigned width)
{
	const struct pci_access *access = device->pci->access;
	return access->read(access->ctx, device->segment, device->rid, offset, width);
}

void pci_write(struct pci_device *device, uint16_t offset, unsigned width, uint32_t value)
{
	const struct pci_access *access = device->pci->access;
	access->write(access->ctx, device->segment, device->rid, offset, width, value);
}

void pci_master(struct pci_device *device, bool on)
{
	uint32_t command = pci_read(device, PCI_COMMAND, 2);
	uint32_t wanted = on ? command | PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY
	                     : command & ~(uint32_t)PCI_COMMAND_MASTER;
	if (wanted != command)
		pci_write(device, PCI_COMMAND, 2, wanted);
}

void pci_name(const struct pci_device *device, char *out, size_t bytes)
{
	unsigned bus = RID_BUS(device->rid), slot = RID_DEVICE(device->rid),
		 function = RID_FUNCTION(device->rid);

	if (device->segment)
		iommu_snprintf(out, bytes, "%04x:%02x:%02x.%x", device->segment, bus, slot,
		               function);
	else
		iommu_snprintf(out, bytes, "%02x:%02x.%x", bus, slot, function);
}

void pci_warn(struct iommu_print *log, const struct pci_device *device, const char *format, ...)
{
	char name[16];
	va_list args;

	if (!log)
		return;
	pci_name(device, name, sizeof(name));
	iommu_printf(log, "PCI %s: ", name);
	va_start(args, format);
	iommu_vprintf(log, format, args);
	va_end(args);
	iommu_printf(log, "\n");
}

void pci_describe(struct pci_device *device, struct iommu_device_desc *out)
{
	const struct pci_device *path[IOMMU_MAX_HOPS];
	unsigned hops = 0;

	memset(out, 0, sizeof(*out));
	pci_name(device, out->name, sizeof(out->name));
	out->segment = device->segment;
	out->rid = device->rid;
	/* The scan goes no deeper than IOMMU_MAX_HOPS. */
	for (const struct pci_device *at = device; at && hops < IOMMU_MAX_HOPS; at = at->bridge)
		path[hops++] = at;
	out->hop_count = (uint8_t)hops;
	for (unsigned i = 0; i < hops; i++)
		out->hops[i] = (struct iommu_hop){
			.bus = (uint8_t)RID_BUS(path[hops - 1 - i]->rid),
			.devfn = (uint8_t)path[hops - 1 - i]->rid,
		};
	out->alias_count = device->alias_count;
	memcpy(out->aliases, device->aliases, sizeof(out->aliases));
	out->group = device->group;
	out->class_code = device->class_code;
	out->is_bridge = device->is_bridge;
	pci_describe_services(device, out);
}
