/* SPDX-License-Identifier: MIT */
/*
 * Configuration space of the machine. PCI Express Base 6.0 section 7.2.2 (ECAM), PCI
 * Local Bus 3.0 section 3.2.2.3.2 (configuration mechanism #1), PCI Firmware 3.3
 * section 4.1 (MCFG).
 *
 * An ECAM window is mapped one bus at a time, when something on that bus is asked for
 * that ports cannot give: extended registers, or a segment other than 0. So the 256
 * buses of an empty segment cost nothing. Ports are used until then, if they work and
 * agree with ECAM; if they do not agree, the MCFG of segment 0 is not believed.
 *
 * The ports are a pair of registers, and a bus is mapped once: one lock covers both.
 */
#include "kernel/pci_machine.h"

#include "kernel/kernel.h"
#include "kernel/lock.h"

enum {
	PORT_ADDRESS = 0xcf8,
	PORT_DATA = 0xcfc,
	CONVENTIONAL_BYTES = 256,
	FUNCTION_BYTES = 4096,
	BUS_BYTES = 1 << 20,
	BUSES = 256,
};

#define ADDRESS_ENABLE UINT32_C(0x80000000)

struct window {
	uint64_t base; /* physical, of bus 0 */
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uintptr_t *buses; /* BUSES virtual addresses; 0: not mapped yet, 1: cannot be */
};

static struct {
	struct spinlock lock;
	bool ports_work;
	uint32_t window_count;
	struct window windows[ACPI_MAX_MCFG];
} machine_pci;

/* ---- ports: under the lock --------------------------------------------------------------- */

static uint16_t port_select(iommu_rid_t rid, uint16_t offset)
{
	out32(PORT_ADDRESS, ADDRESS_ENABLE | (uint32_t)rid << 8 | (offset & 0xfcu));
	return (uint16_t)(PORT_DATA + (offset & 3u));
}

static uint32_t port_read(iommu_rid_t rid, uint16_t offset, unsigned width)
{
	uint16_t port = port_select(rid, offset);

	return width == 1 ? in8(port) : width == 2 ? in16(port) : in32(port);
}

static void port_write(iommu_rid_t rid, uint16_t offset, unsigned width, uint32_t value)
{
	uint16_t port = port_select(rid, offset);

	if (width == 1)
		out8(port, (uint8_t)value);
	else if (width == 2)
		out16(port, (uint16_t)value);
	else
		out32(port, value);
}

/** Mechanism #1 exists if its address register keeps what is written. */
static bool port_probe(void)
{
	uint32_t before = in32(PORT_ADDRESS);
	out32(PORT_ADDRESS, ADDRESS_ENABLE);
	bool works = in32(PORT_ADDRESS) == ADDRESS_ENABLE;
	out32(PORT_ADDRESS, before);
	return works;
}

/* ---- ECAM --------------------------------------------------------------------------------- */

/* Some processors take only moves from and to the accumulator here. */

static uint32_t ecam_read(uintptr_t address, unsigned width)
{
	uint32_t value = 0;

	if (width == 1)
		__asm__ volatile("movb (%1), %%al" : "+a"(value) : "r"(address) : "memory");
	else if (width == 2)
		__asm__ volatile("movw (%1), %%ax" : "+a"(value) : "r"(address) : "memory");
	else
		__asm__ volatile("movl (%1), %%eax" : "=a"(value) : "r"(address) : "memory");
	return value;
}

static void ecam_write(uintptr_t address, unsigned width, uint32_t value)
{
	if (width == 1)
		__asm__ volatile("movb %%al, (%1)" : : "a"(value), "r"(address) : "memory");
	else if (width == 2)
		__asm__ volatile("movw %%ax, (%1)" : : "a"(value), "r"(address) : "memory");
	else
		__asm__ volatile("movl %%eax, (%1)" : : "a"(value), "r"(address) : "memory");
}

static struct window *find_window(uint16_t segment, unsigned bus)
{
	for (uint32_t i = 0; i < machine_pci.window_count; i++) {
		struct window *window = &machine_pci.windows[i];
		if (window->buses && window->segment == segment && window->first_bus <= bus &&
		    bus <= window->last_bus)
			return window;
	}
	return NULL;
}

enum { BUS_UNMAPPED = 0, BUS_FAILED = 1 };

/** The bus's registers, mapped now if need be; 0 if that cannot be done. */
static uintptr_t map_bus(struct window *window, unsigned bus)
{
	uintptr_t *mapped = &window->buses[bus];

	if (*mapped == BUS_UNMAPPED) {
		uint64_t physical = window->base + (uint64_t)bus * BUS_BYTES;
		*mapped = (uintptr_t)vm_map_mmio(physical, BUS_BYTES, false);
		if (!*mapped) {
			klog(IOMMU_LOG_WARNING,
			     "PCI segment %u bus %#x: registers at %#llx cannot be mapped",
			     window->segment, bus, (unsigned long long)physical);
			*mapped = BUS_FAILED;
		}
	}
	return *mapped == BUS_FAILED ? 0 : *mapped;
}

/** Where a register can be reached: its virtual address, or 0 for ports. False: nowhere. */
static bool locate(uint16_t segment, iommu_rid_t rid, uint16_t offset, uintptr_t *address)
{
	unsigned bus = RID_BUS(rid);
	struct window *window = find_window(segment, bus);
	bool by_port = machine_pci.ports_work && segment == 0 && offset < CONVENTIONAL_BYTES;

	*address = 0;
	if (window && (!by_port || window->buses[bus] > BUS_FAILED)) {
		uintptr_t registers = map_bus(window, bus);
		if (registers)
			*address = registers + (rid & 0xffu) * FUNCTION_BYTES + offset;
	}
	return *address || by_port;
}

static bool is_legal(uint16_t offset, unsigned width)
{
	return (width == 1 || width == 2 || width == 4) && offset % width == 0 &&
	       offset < FUNCTION_BYTES;
}

static uint32_t machine_read(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset,
                             unsigned width)
{
	uint32_t value = width >= 4 ? UINT32_MAX : (1u << 8 * width) - 1;
	uintptr_t address;

	(void)ctx;
	if (!is_legal(offset, width))
		return value;
	uint64_t flags = spin_lock(&machine_pci.lock);
	if (locate(segment, rid, offset, &address))
		value = address ? ecam_read(address, width) : port_read(rid, offset, width);
	spin_unlock(&machine_pci.lock, flags);
	return value;
}

static void machine_write(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset,
                          unsigned width, uint32_t value)
{
	uintptr_t address;

	(void)ctx;
	if (!is_legal(offset, width))
		return;
	uint64_t flags = spin_lock(&machine_pci.lock);
	if (locate(segment, rid, offset, &address)) {
		if (address)
			ecam_write(address, width, value);
		else
			port_write(rid, offset, width, value);
	}
	spin_unlock(&machine_pci.lock, flags);
}

/* ---- start ---------------------------------------------------------------------------------- */

/** Do ECAM and ports show the same function at the start of segment 0? Firmware is known
 *  to leave a wrong MCFG behind. */
static bool ecam_agrees(struct window *window)
{
	uintptr_t registers = map_bus(window, window->first_bus);

	if (!registers)
		return false;
	for (unsigned slot = 0; slot < 32; slot++) {
		iommu_rid_t rid = RID(window->first_bus, slot, 0);
		uint32_t by_port = port_read(rid, 0, 4);
		uint32_t by_ecam = ecam_read(registers + slot * 8u * FUNCTION_BYTES, 4);
		if (by_port != by_ecam) {
			klog(IOMMU_LOG_WARNING,
			     "MCFG is wrong: %02x:%02x.0 reads %#x at %#llx, but %#x by ports; "
			     "ECAM "
			     "of segment 0 is not used",
			     window->first_bus, slot, (unsigned)by_ecam,
			     (unsigned long long)window->base, (unsigned)by_port);
			return false;
		}
	}
	return true;
}

static void add_range(struct pci_range *ranges, size_t capacity, size_t *count, uint16_t segment,
                      uint8_t first, uint8_t last)
{
	if (*count == capacity) {
		klog(IOMMU_LOG_WARNING,
		     "PCI segment %u buses %#x to %#x are left out: more than "
		     "%u ranges",
		     segment, first, last, (unsigned)capacity);
		return;
	}
	ranges[(*count)++] = (struct pci_range){segment, first, last};
}

int pci_machine_init(const struct acpi *acpi, struct pci_access *out, struct pci_range *ranges,
                     size_t capacity, size_t *count)
{
	bool has_segment_0 = false;

	machine_pci.ports_work = port_probe();
	machine_pci.window_count = 0;
	*count = 0;
	for (uint32_t i = 0; i < acpi->mcfg_count; i++) {
		const struct acpi_mcfg *mcfg = &acpi->mcfg[i];
		struct window *window = &machine_pci.windows[machine_pci.window_count];
		*window = (struct window){
			.base = mcfg->base,
			.segment = mcfg->segment,
			.first_bus = mcfg->first_bus,
			.last_bus = mcfg->last_bus,
			.buses = heap_alloc(BUSES * sizeof(*window->buses)),
		};
		if (!window->buses) {
			while (machine_pci.window_count)
				heap_free(machine_pci.windows[--machine_pci.window_count].buses,
				          BUSES * sizeof(*window->buses));
			return -ENOMEM;
		}
		if (window->segment == 0 && machine_pci.ports_work && !ecam_agrees(window)) {
			if (window->buses[window->first_bus] > BUS_FAILED)
				vm_unmap_mmio((void *)window->buses[window->first_bus], BUS_BYTES);
			heap_free(window->buses, BUSES * sizeof(*window->buses));
			continue;
		}
		machine_pci.window_count++;
		has_segment_0 |= window->segment == 0;
		add_range(ranges, capacity, count, window->segment, window->first_bus,
		          window->last_bus);
	}
	if (!has_segment_0 && machine_pci.ports_work)
		add_range(ranges, capacity, count, 0, 0, BUSES - 1);
	*out = (struct pci_access){.read = machine_read, .write = machine_write};
	return 0;
}
