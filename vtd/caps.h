/* SPDX-License-Identifier: MIT */
/*
 * A unit's capabilities, decoded once from VER, CAP and ECAP. Fields that encode
 * N - 1 or a scale hold the real number here, and nothing else decodes them again.
 * VT-d specification 5.10, sections 11.4.1 to 11.4.3.
 */
#ifndef VTD_CAPS_H
#define VTD_CAPS_H

#include "iommu/print.h"
#include "iommu/types.h"

struct vtd_caps {
	uint32_t ver;
	uint64_t cap, ecap; /* raw */
	uint8_t major, minor;

	/* CAP */
	uint8_t domain_bits;    /* width of a domain id; 18 means the reserved ND 7 */
	uint8_t sagaw;          /* bit 1: 3 levels, bit 2: 4, bit 3: 5 */
	uint8_t mgaw;           /* bits of an input address */
	uint8_t mamv;           /* largest address mask: 2^mamv pages */
	uint16_t fault_records; /* 1..256 */
	uint32_t fault_offset;  /* bytes from the unit's base */
	bool rwbf, plmr, phmr, cm, zlr, psi, dwd, drd, afl;
	bool ss_2m, ss_1g;      /* second-stage page sizes */
	bool fs_1g, fs_5_level; /* first stage: 4K, 2M and 4 levels always */
	bool pi, ecmds, esirtps, esrtps;

	/* ECAP */
	uint32_t iotlb_offset; /* bytes from the unit's base */
	uint8_t mhmv;          /* largest interrupt index mask */
	uint8_t pasid_bits;    /* width of a PASID; 0 without ECAP.PASID and SMTS */
	bool c, qi, dt, ir, eim, pt, sc, mts, nest, prs, srs, nwfs, eafs, pasid, dit, pds, smts;
	bool vcs, ssads, ssts, fsts, smpwcs, rps, tdxcs, pms, adms, rprivs, hpts, ptrs, ssirws;
	bool sms, hpt1gps, rdts, eimer, irreq;

	/* what follows from them */
	uint8_t levels;             /* second-stage table: least depth that covers mgaw; 0: none */
	uint8_t max_levels;         /* deepest table that SAGAW has; 0: none */
	uint8_t address_bits;       /* least of mgaw and the width of that table */
	uint64_t second_sizes;      /* bit n: second-stage pages of 2^n bytes */
	uint64_t first_sizes;       /* the same of the first stage; 0 without FSTS */
	bool register_invalidation; /* CCMD and IOTLB work (in legacy mode): VER below 6 */
};

/** Decode; every value is accepted, see vtd_caps_check(). */
void vtd_caps_decode(uint32_t ver, uint64_t cap, uint64_t ecap, struct vtd_caps *out);

/** Report each contradiction between capabilities by one line. Returns how many.
 *  @p report may be NULL. */
unsigned vtd_caps_check(const struct vtd_caps *caps, void (*report)(void *ctx, const char *line),
                        void *ctx);

/** NULL, or why a driver cannot use a unit of these capabilities; a constant. */
const char *vtd_caps_refusal(const struct vtd_caps *caps);

/** CAP and ECAP in words, a few lines; @p indent before each. */
void vtd_caps_print(const struct vtd_caps *caps, struct iommu_print *to, const char *indent);

#endif
