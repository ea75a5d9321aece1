/* SPDX-License-Identifier: MIT */
/*
 * Who a function may pass for on the bus (aliases), and which functions cannot be told
 * apart (groups). PCI Express Base 6.0 section 6.12 (ACS); PCI Express to PCI/PCI-X
 * Bridge 1.0 section 2.3 (requester ids of forwarded requests).
 *
 * Two functions are in one group if one can reach the other's memory without passing
 * the IOMMU, or can send requests under its id:
 *   - a function and the bridge above it, unless every port from that bridge up to the
 *     root redirects upstream and checks ids (ACS);
 *   - functions of one multi-function device, unless they have ACS themselves;
 *   - hence everything behind a bridge to conventional PCI, bridge included.
 */
#include "kernel/pci_private.h"

void pci_enable_acs(struct pci_device *device)
{
	bool is_port = device->express_type == PCI_EXPRESS_ROOT_PORT ||
	               device->express_type == PCI_EXPRESS_DOWNSTREAM;

	if (!device->acs || !(is_port || device->multi_function))
		return;
	uint32_t can = pci_read(device, (uint16_t)(device->acs + PCI_ACS_CAPABILITY), 2);
	uint32_t control = pci_read(device, (uint16_t)(device->acs + PCI_ACS_CONTROL), 2);
	uint32_t wanted = control | (can & PCI_ACS_ISOLATION);
	if (wanted != control)
		pci_write(device, (uint16_t)(device->acs + PCI_ACS_CONTROL), 2, wanted);
}

/** Is every isolation control that the function has switched on? One that it lacks is
 *  for a kind of request that it cannot make. */
static bool has_acs(struct pci_device *device)
{
	if (!device->acs)
		return false;
	uint32_t can = pci_read(device, (uint16_t)(device->acs + PCI_ACS_CAPABILITY), 2);
	uint32_t control = pci_read(device, (uint16_t)(device->acs + PCI_ACS_CONTROL), 2);
	return (control & can & PCI_ACS_ISOLATION) == (can & PCI_ACS_ISOLATION);
}

/** Does this bridge keep what lies below it apart from its neighbours? */
static bool isolates(struct pci_device *bridge)
{
	if (!bridge->is_express)
		return false;
	switch (bridge->express_type) {
	case PCI_EXPRESS_ROOT_PORT:
	case PCI_EXPRESS_DOWNSTREAM:
		return has_acs(bridge);
	case PCI_EXPRESS_UPSTREAM:
		/* All it can do is pass requests up, unless it has sister functions. */
		return !bridge->multi_function || has_acs(bridge);
	default:
		return false;
	}
}

static bool path_isolates(struct pci_device *bridge)
{
	for (; bridge; bridge = bridge->bridge)
		if (!isolates(bridge))
			return false;
	return true;
}

/* ---- aliases ------------------------------------------------------------------------- */

/** Add @p rid, unless the function has it. False: the deepest one had to make room. */
static bool add_alias(struct pci_device *device, iommu_rid_t rid)
{
	if (rid == device->rid)
		return true;
	for (unsigned i = 0; i < device->alias_count; i++)
		if (device->aliases[i] == rid)
			return true;
	bool is_full = device->alias_count == IOMMU_MAX_ALIASES;
	if (is_full) {
		device->alias_count--;
		for (unsigned i = 0; i < device->alias_count; i++)
			device->aliases[i] = device->aliases[i + 1];
	}
	device->aliases[device->alias_count++] = rid;
	return !is_full;
}

void pci_find_aliases(struct pci_device *device, struct iommu_print *log)
{
	bool has_room = true;

	for (const struct pci_device *above = device->bridge; above; above = above->bridge) {
		/* A bridge from PCIe takes requests over as device 0 of its secondary bus, or
		 * (PCI-X) leaves the id as it is. Others put their own id on them. */
		if (above->is_express && above->express_type == PCI_EXPRESS_TO_PCI)
			has_room &= add_alias(device, RID(above->secondary_bus, 0, 0));
		else if (!above->is_express || above->express_type == PCI_EXPRESS_FROM_PCI)
			has_room &= add_alias(device, above->rid);
	}
	/* The ids nearest the root, which the IOMMU is sure to see, are the ones kept. */
	if (!has_room)
		pci_warn(log, device, "more than %u requester ids: the deepest are left out",
		         (unsigned)IOMMU_MAX_ALIASES);
}

/* ---- groups --------------------------------------------------------------------------- */

/** Disjoint sets over device indices; a set's root is its smallest member. */
static uint32_t find_root(uint32_t *parent, uint32_t at)
{
	while (parent[at] != at) {
		parent[at] = parent[parent[at]];
		at = parent[at];
	}
	return at;
}

static void join(uint32_t *parent, uint32_t a, uint32_t b)
{
	a = find_root(parent, a);
	b = find_root(parent, b);
	if (a < b)
		parent[b] = a;
	else
		parent[a] = b;
}

/** Are these functions of one device? With ARI the whole bus is one. */
static bool is_same_device(const struct pci_device *a, const struct pci_device *b)
{
	if (a->segment != b->segment || RID_BUS(a->rid) != RID_BUS(b->rid))
		return false;
	return RID_DEVICE(a->rid) == RID_DEVICE(b->rid) ||
	       (a->bridge && a->ari && pci_is_link(a->bridge));
}

/** Join the functions of the device that starts at @p first, without ACS of their own. */
static void join_functions(uint32_t *parent, struct pci_device *first)
{
	struct pci_device *without = NULL;

	for (struct pci_device *at = first; at && is_same_device(first, at); at = at->next) {
		if (!at->multi_function || has_acs(at))
			continue;
		if (without)
			join(parent, without->group, at->group);
		else
			without = at;
	}
}

int pci_find_groups(struct pci_bus *bus)
{
	const struct iommu_os *os = bus->os;
	size_t bytes = 2 * sizeof(uint32_t) * bus->count;
	uint32_t index = 0, groups = 0;
	struct pci_device *device, *last = NULL;

	if (!bus->count)
		return 0;
	uint32_t *parent = os->alloc(os->ctx, bytes);
	if (!parent)
		return -ENOMEM;
	uint32_t *number = parent + bus->count;
	for (device = bus->devices; device; device = device->next, index++) {
		device->group = index;
		parent[index] = index;
	}
	for (device = bus->devices; device; device = device->next) {
		if (!last || !is_same_device(last, device)) {
			join_functions(parent, device);
			last = device;
		}
		if (device->bridge && !path_isolates(device->bridge))
			join(parent, device->group, device->bridge->group);
	}
	/* Roots are the smallest of their set, so they are numbered before they are used. */
	for (device = bus->devices; device; device = device->next) {
		uint32_t root = find_root(parent, device->group);
		if (root == device->group)
			number[root] = groups++;
		device->group = number[root];
	}
	os->free(os->ctx, parent, bytes);
	return 0;
}
