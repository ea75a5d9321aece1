/* SPDX-License-Identifier: MIT */
/*
 * Making a unit forget. Callers build descriptors (table.h); a unit without a queue
 * executes the same descriptors through CCMD, IVA and IOTLB. VT-d specification 5.10,
 * sections 6.5.1 and 6.5.2.
 */
#ifndef VTD_INVALIDATE_H
#define VTD_INVALIDATE_H

#include "vtd/unit.h"

/** A naturally aligned block of 2^order pages. */
struct vtd_block {
	uint64_t page; /* first page number */
	unsigned order;
};

enum {
	/** A range that takes more page-selective descriptors than this is flushed by
	 *  domain: each costs the hardware about as much as forgetting the domain, and
	 *  the domain's entries are refilled by a walk each. */
	VTD_MAX_PAGE_DESCRIPTORS = 8,
	/** The PASID kind of descriptor is not limited by MAMV, but QEMU refuses masks above
	 *  18 (1 GiB); a larger range forgets the PASID as a whole. */
	VTD_MAX_PASID_ORDER = 18,
	/** No address of any table needs more: 2^52 pages. */
	VTD_MAX_ORDER = 52,
};

/** Cover exactly the pages [first, last] with the fewest naturally aligned blocks of at
 *  most 2^max_order pages. Stores the first @p capacity, in ascending order; returns how
 *  many there are, or capacity + 1 when there are more. */
unsigned vtd_split_range(uint64_t first, uint64_t last, unsigned max_order, struct vtd_block *out,
                         unsigned capacity);

/** Descriptors on their way to one unit: filled, and submitted when it is full or done.
 *  Errors are kept; the first is what vtd_batch_end() returns. */
struct vtd_batch {
	struct vtd_unit *unit;
	unsigned count;
	int result;
	struct vtd_descriptor descriptors[24];
};

void vtd_batch_begin(struct vtd_batch *batch, struct vtd_unit *unit);
void vtd_batch_add(struct vtd_batch *batch, struct vtd_descriptor descriptor);
/** Submit the rest and wait. 0, -EIO, -ETIMEDOUT. */
int must_check vtd_batch_end(struct vtd_batch *batch);

/** The one descriptor that makes the unit forget [first, last] of a second-stage domain id,
 *  into *out. False if it takes more than one, or another kind. */
static inline bool vtd_one_block(const struct vtd_unit *unit, uint16_t did, iova_t first,
                                 iova_t last, bool leaves_only, struct vtd_descriptor *out)
{
	const uint64_t first_page = first.value >> 12, last_page = last.value >> 12;
	const uint64_t differ = first_page ^ last_page; /* of a block: its low bits, all of them */
	const unsigned order = differ ? 64 - (unsigned)__builtin_clzll(differ) : 0;

	if (differ & (differ + 1) || first_page & differ || !unit->caps.psi ||
	    order > unit->caps.mamv)
		return false;
	const struct vtd_descriptor page =
		vtd_desc_iotlb_page(did, first.value, order, leaves_only);
	out->word[0] = page.word[0];
	out->word[1] = page.word[1];
	out->word[2] = out->word[3] = 0;
	return true;
}

/** Forget [first, last] of a second-stage or pass-through domain id. */
void vtd_batch_add_range(struct vtd_batch *batch, uint16_t did, iova_t first, iova_t last,
                         bool leaves_only);
/** Forget [first, last] of a first-stage (domain id, PASID). */
void vtd_batch_add_pasid_range(struct vtd_batch *batch, uint16_t did, uint32_t pasid, iova_t first,
                               iova_t last, bool leaves_only);
/** Forget everything about a domain id: needed before it is used again. */
void vtd_batch_add_domain(struct vtd_batch *batch, uint16_t did);

/** Execute descriptors of types CONTEXT and IOTLB through CCMD, IVA and IOTLB. The caller has
 *  the turn (submit.h); takes unit->lock. 0, -EIO, -ETIMEDOUT. */
int must_check vtd_execute_by_registers(struct vtd_unit *unit,
                                        const struct vtd_descriptor *descriptors, unsigned count);
/** Forget everything: context, PASID (scalable mode) and IOTLB, globally. */
int must_check vtd_flush_all(struct vtd_unit *unit);

#endif
