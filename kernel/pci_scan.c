/* SPDX-License-Identifier: MIT */
/*
 * The scan: which functions exist, from the root buses down the bridges.
 *
 * Every bridge must lead to a higher bus than its own, inside the range of the bridge
 * above it, and no two to one bus; others are reported and not followed. So the buses
 * of a segment are scanned once each, in ascending order, and no configuration of
 * bridges, however damaged, makes a loop. PCI-to-PCI Bridge 1.2 section 3.2.5.3.
 */
#include "kernel/pci_private.h"

/** The state of one range. */
struct scan {
	struct pci_bus *bus;
	struct iommu_print *log;
	struct pci_range range;
	struct pci_device *tail; /* highest device so far, of any range */
	struct pci_device *bridge_to[256];
	bool is_behind_bridge[256];
};

static void add_sorted(struct scan *scan, struct pci_device *device)
{
	struct pci_device **at = &scan->bus->devices;
	uint32_t key = (uint32_t)device->segment << 16 | device->rid;

	if (scan->tail && ((uint32_t)scan->tail->segment << 16 | scan->tail->rid) < key)
		at = &scan->tail->next;
	while (*at && ((uint32_t)(*at)->segment << 16 | (*at)->rid) < key)
		at = &(*at)->next;
	device->next = *at;
	*at = device;
	if (!device->next)
		scan->tail = device;
	scan->bus->count++;
}

static unsigned depth_of(const struct pci_device *device)
{
	unsigned depth = 0;

	for (; device; device = device->bridge)
		depth++;
	return depth;
}

/** Note where a bridge leads, if that is sane. */
static void add_bridge(struct scan *scan, struct pci_device *bridge)
{
	uint32_t buses = pci_read(bridge, PCI_BUSES, 4);
	unsigned own = RID_BUS(bridge->rid), secondary = buses >> 8 & 255,
		 subordinate = buses >> 16 & 255;
	unsigned first = own + 1, last = scan->range.last_bus;

	bridge->secondary_bus = (uint8_t)secondary;
	bridge->subordinate_bus = (uint8_t)subordinate;
	if (bridge->bridge) {
		first = bridge->bridge->secondary_bus + 1u;
		last = bridge->bridge->subordinate_bus;
	}
	if (secondary == 0 && subordinate == 0) {
		pci_warn(scan->log, bridge,
		         "firmware gave the bridge no bus numbers: what lies below is not seen");
	} else if (secondary < first || secondary > last || subordinate < secondary ||
	           subordinate > last) {
		pci_warn(scan->log, bridge,
		         "bridge leads to buses %#x to %#x, right is within %#x to %#x: not "
		         "followed",
		         secondary, subordinate, first, last);
	} else if (scan->bridge_to[secondary]) {
		char other[16];
		pci_name(scan->bridge_to[secondary], other, sizeof(other));
		pci_warn(scan->log, bridge, "bridge leads to bus %#x, as %s does: not followed",
		         secondary, other);
	} else if (depth_of(bridge) >= IOMMU_MAX_HOPS) {
		pci_warn(scan->log, bridge, "%u bridges above one another: bus %#x is not scanned",
		         depth_of(bridge), secondary);
	} else {
		scan->bridge_to[secondary] = bridge;
		for (unsigned n = secondary; n <= subordinate; n++)
			scan->is_behind_bridge[n] = true;
	}
}

/** An id that no function has: nothing answers, or it is not ready. */
static bool is_absent(uint32_t id)
{
	return (id & 0xffff) == 0xffff || (id & 0xffff) == 0;
}

static uint32_t read_id(struct scan *scan, iommu_rid_t rid)
{
	const struct pci_access *access = scan->bus->access;
	return access->read(access->ctx, scan->range.segment, rid, PCI_VENDOR, 4);
}

/** Add the function at @p rid; NULL in @p out if none is there. */
static int add_function(struct scan *scan, iommu_rid_t rid, struct pci_device *bridge,
                        bool multi_function, struct pci_device **out)
{
	const struct iommu_os *os = scan->bus->os;
	uint32_t id = read_id(scan, rid);

	*out = NULL;
	if (is_absent(id))
		return 0;
	struct pci_device *device = os->alloc(os->ctx, sizeof(*device));
	if (!device)
		return -ENOMEM;
	device->pci = scan->bus;
	device->segment = scan->range.segment;
	device->rid = rid;
	device->vendor = (uint16_t)id;
	device->device = (uint16_t)(id >> 16);
	device->bridge = bridge;
	uint32_t class_code = pci_read(device, PCI_CLASS, 4);
	device->class_code = class_code >> 8;
	device->revision = (uint8_t)class_code;
	uint32_t header = pci_read(device, PCI_HEADER, 1);
	device->header_type = (uint8_t)(header & ~(uint32_t)PCI_HEADER_MULTI);
	device->multi_function = multi_function || (header & PCI_HEADER_MULTI);
	device->is_bridge = device->header_type == PCI_HEADER_BRIDGE ||
	                    device->header_type == PCI_HEADER_CARDBUS;
	add_sorted(scan, device);
	*out = device;

	if (device->header_type > PCI_HEADER_CARDBUS) {
		pci_warn(scan->log, device, "header type %#x is unknown: only its id is used",
		         device->header_type);
		return 0;
	}
	if (!device->is_bridge)
		pci_master(device, false);
	pci_find_capabilities(device, scan->log);
	pci_size_bars(device, scan->log);
	pci_enable_acs(device);
	if (device->is_bridge)
		add_bridge(scan, device);
	pci_find_aliases(device, scan->log);
	return 0;
}

/** Functions 1 to 255 of the one device below a port that forwards ARI. */
static int scan_ari(struct scan *scan, struct pci_device *first, struct pci_device *bridge)
{
	unsigned at = 0;

	for (struct pci_device *device = first; device && device->ari;) {
		unsigned next = pci_read(device, (uint16_t)(device->ari + 4), 2) >> 8 & 255;
		if (next == 0)
			return 0;
		if (next <= at) {
			pci_warn(scan->log, device, "ARI function list leads from %u back to %u",
			         at, next);
			return 0;
		}
		at = next;
		int error = add_function(scan, (iommu_rid_t)((first->rid & 0xff00) | next), bridge,
		                         true, &device);
		if (error)
			return error;
		if (device && !first->multi_function) {
			/* Function 0 does not say so itself, but it has sisters. */
			first->multi_function = true;
			pci_enable_acs(first);
		}
	}
	return 0;
}

static int scan_slot(struct scan *scan, unsigned bus, unsigned slot, struct pci_device *bridge)
{
	struct pci_device *first, *other;
	int error = add_function(scan, RID(bus, slot, 0), bridge, false, &first);

	if (error || !first)
		return error;
	if (bridge && first->ari && pci_forwards_ari(bridge))
		return scan_ari(scan, first, bridge);
	for (unsigned function = 1; first->multi_function && function < 8; function++) {
		error = add_function(scan, RID(bus, slot, function), bridge, true, &other);
		if (error)
			return error;
	}
	return 0;
}

/** Does anything answer on a bus that no bridge leads to? Then it is a root bus: host
 *  bridges beyond the first are found only so without AML. */
static bool is_root_bus(struct scan *scan, unsigned bus)
{
	if (bus == scan->range.first_bus)
		return true;
	if (scan->is_behind_bridge[bus])
		return false;
	for (unsigned slot = 0; slot < 32; slot++)
		if (!is_absent(read_id(scan, RID(bus, slot, 0))))
			return true;
	return false;
}

static int scan_range(struct scan *scan)
{
	for (unsigned bus = scan->range.first_bus; bus <= scan->range.last_bus; bus++) {
		struct pci_device *bridge = scan->bridge_to[bus];
		if (!bridge && !is_root_bus(scan, bus))
			continue;
		unsigned slots = bridge && pci_is_link(bridge) ? 1 : 32;
		for (unsigned slot = 0; slot < slots; slot++) {
			int error = scan_slot(scan, bus, slot, bridge);
			if (error)
				return error;
		}
	}
	return 0;
}

int pci_scan(struct pci_bus *bus, const struct pci_access *access, const struct iommu_os *os,
             const struct pci_range *ranges, size_t count, struct iommu_print *log)
{
	struct pci_device *tail = NULL;
	int error = 0;

	*bus = (struct pci_bus){.access = access, .os = os};
	for (size_t i = 0; i < count && !error; i++) {
		struct scan *scan = os->alloc(os->ctx, sizeof(*scan));
		if (!scan) {
			error = -ENOMEM;
			break;
		}
		scan->bus = bus;
		scan->log = log;
		scan->range = ranges[i];
		scan->tail = tail;
		error = scan_range(scan);
		tail = scan->tail;
		os->free(os->ctx, scan, sizeof(*scan));
	}
	if (!error)
		error = pci_find_groups(bus);
	if (error)
		pci_free(bus);
	else
		pci_assign_bars(bus, log);
	return error;
}

void pci_free(struct pci_bus *bus)
{
	const struct iommu_os *os = bus->os;

	while (bus->devices) {
		struct pci_device *device = bus->devices;
		bus->devices = device->next;
		os->free(os->ctx, device, sizeof(*device));
	}
	bus->count = 0;
}
