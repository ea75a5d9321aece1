/* SPDX-License-Identifier: MIT */
/*
 * A software walk of translation tables, kept as steps so that a person can be
 * shown each level and the entry that explains a fault. Filled by drivers,
 * printed by iommu_walk_print().
 */
#ifndef IOMMU_WALK_H
#define IOMMU_WALK_H

#include "iommu/types.h"

struct iommu_print;

struct iommu_walk_step {
	const char *table; /* "root", "context", "PASID directory", "SS L4" */
	uint32_t index;    /* entry number in its table */
	pa_t entry_pa;
	uint8_t words; /* qwords of the entry that matter: 1..4 */
	uint64_t entry[4];
	char note[72]; /* "present, table at 0x1234000" */
};

enum { IOMMU_WALK_STEPS = 40 };

struct iommu_walk {
	unsigned count;
	struct iommu_walk_step steps[IOMMU_WALK_STEPS];
	bool translated; /* the walk ended at a leaf with the rights asked for */
	pa_t result;     /* then: the physical address */
	uint64_t page_bytes;
	uint32_t rights; /* the leaf's, all levels ANDed */
	uint16_t reason; /* else: the specification's fault reason, */
	const char *mnemonic;
	const char *text; /* and what explains it; constants */
};

/** Start a new step, or reuse the last one when the walk is full (it never
 *  overflows). The note is empty. */
struct iommu_walk_step *iommu_walk_step(struct iommu_walk *walk, const char *table, uint32_t index,
                                        pa_t entry_pa);

/** Print every step, one line each, and the verdict; the step that explains a
 *  fault is the last and is marked. @p indent is put before each line. */
void iommu_walk_print(const struct iommu_walk *walk, struct iommu_print *to, const char *indent);

#endif
