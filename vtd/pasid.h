/* SPDX-License-Identifier: MIT */
/*
 * PASID directory and PASID tables of a device. VT-d specification 5.10, sections 9.5 and
 * 9.6.
 *
 * The directory is made when the device joins, as large as the device's PASIDs need; its
 * first table too, for it holds the entry of requests without PASID (RID_PASID 0). Further
 * tables, one for each 64 PASIDs, are made when a PASID of theirs is first attached, and
 * stay until the device leaves: a directory entry never changes while it is present.
 *
 * iommu->lock is held around all of these, but for a walk that only reads.
 */
#ifndef VTD_PASID_H
#define VTD_PASID_H

#include "vtd/unit.h"

/** How many bits of PASID requests of the device can use: 0 where the device sends none or
 *  the unit (in its mode) has none. */
unsigned vtd_pasid_bits(const struct vtd_unit *unit, const struct iommu_device_desc *desc);

/** PDTS for the context entry of a device with @p pasid_bits: its directory reaches PASIDs
 *  below 2^(PDTS + 13). */
unsigned vtd_pasid_pdts(unsigned pasid_bits);

/** Make directory and first table. 0, -ENOMEM. */
int must_check vtd_pasid_directory_make(struct vtd_unit *unit, struct vtd_device *device);
/** Make the table that holds @p pasid, if there is none. 0, -ENOMEM. */
int must_check vtd_pasid_table_make(struct vtd_unit *unit, struct vtd_device *device,
                                    uint32_t pasid);
/** Free directory and tables: the unit reaches and remembers none of them. */
void vtd_pasid_tables_free(struct vtd_unit *unit, struct vtd_device *device);

/** The entry of @p pasid, 8 qwords; NULL if its table was not made. */
uint64_t *vtd_pasid_entry(const struct vtd_unit *unit, const struct vtd_device *device,
                          uint32_t pasid);

/** What the device's entries for @p pasid say; NULL if they were never attached or are
 *  blocked again. IOMMU_NO_PASID is found always. */
struct vtd_binding *vtd_binding_find(struct vtd_device *device, uint32_t pasid);

#endif
