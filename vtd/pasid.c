/* SPDX-License-Identifier: MIT */
/* PASID directory and PASID tables of a device: see pasid.h. */
#include "vtd/pasid.h"

/* Entries of a directory: 2^(PDTS + 7). */
enum { PASIDS_LOG2_PER_TABLE = 6, DIRECTORY_ENTRIES_LOG2 = 7, PAGE_ENTRIES_LOG2 = 9 };
_Static_assert(1 << PASIDS_LOG2_PER_TABLE == VTD_PASIDS_PER_TABLE, "9.6");
_Static_assert(PASIDS_LOG2_PER_TABLE + DIRECTORY_ENTRIES_LOG2 == VTD_PASIDS_PER_PDTS, "9.4");

unsigned vtd_pasid_bits(const struct vtd_unit *unit, const struct iommu_device_desc *desc)
{
	unsigned bits = unit->scalable && unit->caps.pasid ? unit->caps.pasid_bits : 0;

	if (bits > 20)
		bits = 20;
	return desc->pasid_bits < bits ? desc->pasid_bits : bits;
}

unsigned vtd_pasid_pdts(unsigned pasid_bits)
{
	return pasid_bits > VTD_PASIDS_PER_PDTS ? pasid_bits - VTD_PASIDS_PER_PDTS : 0;
}

/** Pages of the directory, as a power of two. */
static unsigned directory_order(const struct vtd_device *device)
{
	unsigned entries = vtd_pasid_pdts(device->pasid_bits) + DIRECTORY_ENTRIES_LOG2;

	return entries > PAGE_ENTRIES_LOG2 ? entries - PAGE_ENTRIES_LOG2 : 0;
}

static unsigned directory_entries(const struct vtd_device *device)
{
	return 1u << (vtd_pasid_pdts(device->pasid_bits) + DIRECTORY_ENTRIES_LOG2);
}

/** The directory entry that leads to @p pasid; the PASID lies within the device's. */
static uint64_t *directory_entry(const struct vtd_unit *unit, const struct vtd_device *device,
                                 uint32_t pasid)
{
	uint64_t *directory = vtd_va(unit, device->pasid_directory);

	return &directory[pasid / VTD_PASIDS_PER_TABLE];
}

int vtd_pasid_table_make(struct vtd_unit *unit, struct vtd_device *device, uint32_t pasid)
{
	uint64_t *entry = directory_entry(unit, device, pasid);
	pa_t table;

	if (*entry & VTD_PASID_DIR_P)
		return 0;
	int err = unit->os->page_alloc(unit->os->ctx, 0, &table);
	if (err)
		return err;
	vtd_clean(unit, vtd_va(unit, table), PAGE_SIZE_4K);
	/* That nothing was there is remembered in caching mode only, and is forgotten with the
	 * PASID entry that appears next (attach.c). */
	__atomic_store_n(entry, VTD_PASID_DIR_P | table.value, __ATOMIC_RELEASE);
	vtd_clean(unit, entry, sizeof(*entry));
	return 0;
}

int vtd_pasid_directory_make(struct vtd_unit *unit, struct vtd_device *device)
{
	unsigned order = directory_order(device);
	int err = unit->os->page_alloc(unit->os->ctx, order, &device->pasid_directory);

	if (err) {
		device->pasid_directory = pa(0);
		return err;
	}
	vtd_clean(unit, vtd_va(unit, device->pasid_directory), PAGE_SIZE_4K << order);
	err = vtd_pasid_table_make(unit, device, 0);
	if (err) {
		unit->os->page_free(unit->os->ctx, device->pasid_directory, order);
		device->pasid_directory = pa(0);
	}
	return err;
}

void vtd_pasid_tables_free(struct vtd_unit *unit, struct vtd_device *device)
{
	if (!device->pasid_directory.value)
		return;
	const uint64_t *directory = vtd_va(unit, device->pasid_directory);
	for (unsigned i = 0; i < directory_entries(device); i++)
		if (directory[i] & VTD_PASID_DIR_P)
			unit->os->page_free(unit->os->ctx,
			                    pa(directory[i] & VTD_PASID_DIR_SMPTBLPTR), 0);
	unit->os->page_free(unit->os->ctx, device->pasid_directory, directory_order(device));
	device->pasid_directory = pa(0);
}

uint64_t *vtd_pasid_entry(const struct vtd_unit *unit, const struct vtd_device *device,
                          uint32_t pasid)
{
	uint64_t word = *directory_entry(unit, device, pasid);

	if (!(word & VTD_PASID_DIR_P))
		return NULL;
	struct vtd_pasid_entry *table = vtd_va(unit, pa(word & VTD_PASID_DIR_SMPTBLPTR));
	return table[pasid % VTD_PASIDS_PER_TABLE].word;
}

struct vtd_binding *vtd_binding_find(struct vtd_device *device, uint32_t pasid)
{
	struct vtd_binding *at = device->pasids;

	if (pasid == IOMMU_NO_PASID)
		return &device->rid;
	while (at && at->pasid != pasid)
		at = at->next;
	return at;
}
