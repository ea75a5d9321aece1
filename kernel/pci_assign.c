/* SPDX-License-Identifier: MIT */
/*
 * Addresses for memory BARs that firmware left without one: the lowest gap in the
 * window of the bridge above. PCI-to-PCI Bridge 1.2 sections 3.2.5.8 to 3.2.5.11.
 *
 * Only behind bridges: what a host bridge forwards is known to AML alone, so a BAR on a
 * root bus stays as it is. BARs that have an address keep it. Decoding is off while one
 * is written, and afterwards as before.
 */
#include "kernel/pci_private.h"

enum {
	BRIDGE_MEMORY = 0x20,       /* 15:4 base 31:20; the limit is 2 bytes on */
	BRIDGE_PREFETCHABLE = 0x24, /* likewise; 3:0 is 1: upper halves follow */
	BRIDGE_BASE_UPPER = 0x28,
	BRIDGE_LIMIT_UPPER = 0x2c,
};

/** Addresses [first, last]; empty if last is below first. */
struct span {
	uint64_t first, last;
};

static struct span bridge_window(struct pci_device *bridge, bool is_prefetchable)
{
	uint16_t at = is_prefetchable ? BRIDGE_PREFETCHABLE : BRIDGE_MEMORY;
	uint32_t base = pci_read(bridge, at, 2), limit = pci_read(bridge, (uint16_t)(at + 2), 2);
	struct span window = {
		.first = (uint64_t)(base & 0xfff0) << 16,
		.last = (uint64_t)(limit & 0xfff0) << 16 | 0xfffff,
	};

	if (is_prefetchable && (base & 15) == 1) {
		window.first |= (uint64_t)pci_read(bridge, BRIDGE_BASE_UPPER, 4) << 32;
		window.last |= (uint64_t)pci_read(bridge, BRIDGE_LIMIT_UPPER, 4) << 32;
	}
	/* A window from 0 is one that nobody set up. */
	if (bridge->header_type != PCI_HEADER_BRIDGE || !window.first ||
	    !(pci_read(bridge, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY))
		return (struct span){1, 0};
	return window;
}

/** If @p used overlaps [*at, *at + bytes), move *at behind it; true if it moved. */
static bool step_over(struct span used, uint64_t bytes, uint64_t *at)
{
	if (used.last < used.first || used.first > *at + (bytes - 1) || used.last < *at)
		return false;
	*at = (used.last | (bytes - 1)) + 1;
	return true;
}

/** Move *at over what one function below the bridge uses; true if it moved. */
static bool step_over_device(struct pci_device *device, uint64_t bytes, uint64_t *at)
{
	bool moved = false;

	for (unsigned n = 0; n < ARRAY_SIZE(device->bars); n++) {
		const struct pci_bar *bar = &device->bars[n];
		if (bar->bytes && bar->base && !bar->is_port)
			moved |= step_over((struct span){bar->base, bar->base + (bar->bytes - 1)},
			                   bytes, at);
	}
	if (device->is_bridge) {
		moved |= step_over(bridge_window(device, false), bytes, at);
		moved |= step_over(bridge_window(device, true), bytes, at);
	}
	return moved;
}

/** The lowest free place in @p window, aligned to @p bytes; 0: none. */
static uint64_t find_gap(struct pci_bus *bus, const struct pci_device *bridge, struct span window,
                         uint64_t bytes)
{
	uint64_t at = (window.first + (bytes - 1)) & ~(bytes - 1);
	bool moved;

	if (window.last < window.first || at < window.first)
		return 0;
	do {
		moved = false;
		for (struct pci_device *other = bus->devices; other; other = other->next)
			if (other->bridge == bridge)
				moved |= step_over_device(other, bytes, &at);
		/* Beyond the window, or around the end of the address space. */
		if (at < window.first || at > window.last || window.last - at < bytes - 1)
			return 0;
	} while (moved);
	return at;
}

static uint64_t find_address(struct pci_bus *bus, const struct pci_device *device,
                             const struct pci_bar *bar)
{
	struct pci_device *bridge = device->bridge;

	if (!bridge)
		return 0;
	if (bar->is_prefetchable) {
		struct span window = bridge_window(bridge, true);
		if (!bar->is_64 && window.last > UINT32_MAX)
			window.last = UINT32_MAX;
		uint64_t at = find_gap(bus, bridge, window, bar->bytes);
		if (at)
			return at;
	}
	return find_gap(bus, bridge, bridge_window(bridge, false), bar->bytes);
}

static void write_bar(struct pci_device *device, unsigned n, uint64_t address)
{
	uint16_t at = (uint16_t)(PCI_BAR0 + 4 * n);
	uint32_t command = pci_read(device, PCI_COMMAND, 2);

	pci_write(device, PCI_COMMAND, 2,
	          command & ~(uint32_t)(PCI_COMMAND_MEMORY | PCI_COMMAND_PORT));
	pci_write(device, at, 4, (uint32_t)address);
	if (device->bars[n].is_64)
		pci_write(device, (uint16_t)(at + 4), 4, (uint32_t)(address >> 32));
	pci_write(device, PCI_COMMAND, 2, command);
	device->bars[n].base = address;
}

void pci_assign_bars(struct pci_bus *bus, struct iommu_print *log)
{
	for (struct pci_device *device = bus->devices; device; device = device->next)
		for (unsigned n = 0; n < ARRAY_SIZE(device->bars); n++) {
			const struct pci_bar *bar = &device->bars[n];
			if (!bar->bytes || bar->base || bar->is_port)
				continue;
			uint64_t address = find_address(bus, device, bar);
			if (address)
				write_bar(device, n, address);
			pci_warn(log, device,
			         "firmware gave BAR %u (%#llx bytes) no address: %s %#llx", n,
			         (unsigned long long)bar->bytes,
			         address ? "it is put at" : "no room for it is known, it stays at",
			         (unsigned long long)address);
		}
}
