/* SPDX-License-Identifier: MIT */
/*
 * What the files of the DMAR parser share: unaligned little-endian reads, and the
 * state of the check for what is contrary to the specification.
 */
#ifndef VTD_DMAR_PRIVATE_H
#define VTD_DMAR_PRIVATE_H

#include "vtd/dmar.h"

/** Little-endian values at any alignment. */
uint16_t vtd_dmar_get16(const uint8_t *at);
uint32_t vtd_dmar_get32(const uint8_t *at);
uint64_t vtd_dmar_get64(const uint8_t *at);

/** One run of checks. With options->strict, the first defect ends it. */
struct vtd_dmar_check {
	struct vtd_dmar *dmar;
	const struct vtd_dmar_options *options; /* may be NULL */
	bool refused;
	uint32_t refused_offset;
	char text[VTD_DMAR_ERROR_TEXT]; /* of the latest finding */
};

/** Report every note and defect of a table whose structures and scopes all lie in
 *  their containers; counts them in check->dmar. */
void vtd_dmar_check_all(struct vtd_dmar_check *check);

/** Does the unit's window overlap that of an earlier DRHD, whose offset goes to
 *  @p other? False for windows that start at 0 or wrap. */
bool vtd_dmar_unit_overlap(const struct vtd_dmar *dmar, const struct vtd_dmar_entry *drhd,
                           uint32_t *other);

/** As vtd_dmar_next(), but `usable` of a DRHD does not take overlap into account: the
 *  checks compare all pairs and must not pay for a third loop. */
bool vtd_dmar_next_fast(const struct vtd_dmar *dmar, uint32_t type, uint32_t *at,
                        struct vtd_dmar_entry *out);

#endif
