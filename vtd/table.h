/* SPDX-License-Identifier: MIT */
/*
 * What the hardware reads in memory: root, context and PASID entries, and the
 * descriptors of the invalidation queue. VT-d specification 5.10, sections 9.1 to
 * 9.6 and 6.5.2.
 *
 * Entries are arrays of qwords. A field is given by the bit numbers of the whole
 * entry, as the specification prints them; VTD_WORD(bit) is the qword it lies in.
 * Formats of the paging entries themselves: second_stage.h, first_stage.h.
 */
#ifndef VTD_TABLE_H
#define VTD_TABLE_H

#include "iommu/field.h"

#define VTD_WORD(bit) ((bit) / 64)

/* ---- root and context entries, legacy mode (9.1, 9.3) ----------------------- */

struct vtd_root_entry {
	uint64_t word[2];
};
_Static_assert(sizeof(struct vtd_root_entry) == 16, "9.1");
#define VTD_ROOT_P   BIT64(0)      /* word 0 */
#define VTD_ROOT_CTP FIELD(63, 12) /* word 0 */

struct vtd_context_entry {
	uint64_t word[2];
};
_Static_assert(sizeof(struct vtd_context_entry) == 16, "9.3");
#define VTD_CONTEXT_P       BIT64(0)      /* word 0 */
#define VTD_CONTEXT_FPD     BIT64(1)      /* word 0 */
#define VTD_CONTEXT_TT      FIELD(3, 2)   /* word 0 */
#define VTD_CONTEXT_SSPTPTR FIELD(63, 12) /* word 0 */
#define VTD_CONTEXT_AW      FIELD(66, 64) /* word 1 */
#define VTD_CONTEXT_DID     FIELD(87, 72) /* word 1 */
enum { VTD_TT_UNTRANSLATED = 0, VTD_TT_ALL = 1, VTD_TT_PASS_THROUGH = 2 };

/** Address widths AW: levels - 2. */
enum { VTD_AW_39 = 1, VTD_AW_48 = 2, VTD_AW_57 = 3 };

/* ---- scalable mode (9.2, 9.4, 9.5, 9.6) ------------------------------------- */

struct vtd_sm_root_entry {
	uint64_t word[2]; /* lower for devfn 0x00..0x7f, upper for 0x80..0xff */
};
_Static_assert(sizeof(struct vtd_sm_root_entry) == 16, "9.2");
#define VTD_SM_ROOT_P   BIT64(0)      /* LP in word 0, UP in word 1 */
#define VTD_SM_ROOT_CTP FIELD(63, 12) /* LCTP in word 0, UCTP in word 1 */

struct vtd_sm_context_entry {
	uint64_t word[4];
};
_Static_assert(sizeof(struct vtd_sm_context_entry) == 32, "9.4");
#define VTD_SM_CONTEXT_P           BIT64(0)      /* word 0 */
#define VTD_SM_CONTEXT_FPD         BIT64(1)      /* word 0 */
#define VTD_SM_CONTEXT_DTE         BIT64(2)      /* word 0 */
#define VTD_SM_CONTEXT_PASIDE      BIT64(3)      /* word 0 */
#define VTD_SM_CONTEXT_PRE         BIT64(4)      /* word 0 */
#define VTD_SM_CONTEXT_HPTE        BIT64(5)      /* word 0 */
#define VTD_SM_CONTEXT_EPTR        BIT64(6)      /* word 0 */
#define VTD_SM_CONTEXT_PDTS        FIELD(11, 9)  /* word 0 */
#define VTD_SM_CONTEXT_PASIDDIRPTR FIELD(63, 12) /* word 0 */
#define VTD_SM_CONTEXT_RID_PASID   FIELD(83, 64) /* word 1 */
#define VTD_SM_CONTEXT_RID_PRIV    BIT64(84)     /* word 1 */

struct vtd_pasid_dir_entry {
	uint64_t word[1];
};
_Static_assert(sizeof(struct vtd_pasid_dir_entry) == 8, "9.5");
#define VTD_PASID_DIR_P         BIT64(0)
#define VTD_PASID_DIR_FPD       BIT64(1)
#define VTD_PASID_DIR_SMPTBLPTR FIELD(63, 12)

struct vtd_pasid_entry {
	uint64_t word[8];
};
_Static_assert(sizeof(struct vtd_pasid_entry) == 64, "9.6");
#define VTD_PASID_P       BIT64(0)        /* word 0 */
#define VTD_PASID_FPD     BIT64(1)        /* word 0 */
#define VTD_PASID_AW      FIELD(4, 2)     /* word 0 */
#define VTD_PASID_PGTT    FIELD(8, 6)     /* word 0 */
#define VTD_PASID_SSADE   BIT64(9)        /* word 0 */
#define VTD_PASID_SSPTPTR FIELD(63, 12)   /* word 0 */
#define VTD_PASID_DID     FIELD(79, 64)   /* word 1 */
#define VTD_PASID_PWSNP   BIT64(87)       /* word 1 */
#define VTD_PASID_PGSNP   BIT64(88)       /* word 1 */
#define VTD_PASID_CD      BIT64(89)       /* word 1 */
#define VTD_PASID_EMTE    BIT64(90)       /* word 1 */
#define VTD_PASID_PAT     FIELD(127, 96)  /* word 1 */
#define VTD_PASID_SRE     BIT64(128)      /* word 2 */
#define VTD_PASID_FSPM    FIELD(131, 130) /* word 2 */
#define VTD_PASID_WPE     BIT64(132)      /* word 2 */
#define VTD_PASID_EAFE    BIT64(135)      /* word 2 */
#define VTD_PASID_FSPTPTR FIELD(191, 140) /* word 2 */
enum vtd_pgtt { VTD_PGTT_FIRST = 1, VTD_PGTT_SECOND = 2, VTD_PGTT_NESTED = 3, VTD_PGTT_PT = 4 };
enum { VTD_FSPM_4_LEVEL = 0, VTD_FSPM_5_LEVEL = 1 };

enum {
	VTD_PASIDS_PER_TABLE = 64, /* PASID 5:0 */
	VTD_PASIDS_PER_PDTS = 13,  /* a directory of PDTS reaches PASIDs below 2^(PDTS+13) */
};

/* ---- invalidation descriptors (6.5.2) ---------------------------------------- */

/** A descriptor of either width; the 128-bit kinds use words 0 and 1. */
struct vtd_descriptor {
	uint64_t word[4];
};
_Static_assert(sizeof(struct vtd_descriptor) == 32, "6.5.2");

enum vtd_descriptor_type {
	VTD_DESC_CONTEXT = 1,
	VTD_DESC_IOTLB = 2,
	VTD_DESC_DEV_TLB = 3,
	VTD_DESC_IEC = 4,
	VTD_DESC_WAIT = 5,
	VTD_DESC_P_IOTLB = 6,
	VTD_DESC_PASID = 7,
	VTD_DESC_P_DEV_TLB = 8,
	VTD_DESC_PAGE_RESPONSE = 9,
	VTD_DESC_HPT = 10,
	VTD_DESC_TYPES = 11,
};
#define VTD_DESC_TYPE_LOW  FIELD(3, 0)
#define VTD_DESC_TYPE_HIGH FIELD(11, 9)
#define VTD_DESC_G         FIELD(5, 4)
#define VTD_DESC_DID       FIELD(31, 16)

/* The word is 0 unless a comment says otherwise; bits are numbered in their word. */
#define VTD_DESC_CONTEXT_SID FIELD(47, 32)
#define VTD_DESC_CONTEXT_FM  FIELD(49, 48)
enum { VTD_CONTEXT_GLOBAL = 1, VTD_CONTEXT_DOMAIN = 2, VTD_CONTEXT_DEVICE = 3 };

#define VTD_DESC_IOTLB_DW  BIT64(6)
#define VTD_DESC_IOTLB_DR  BIT64(7)
#define VTD_DESC_ADDR_AM   FIELD(5, 0)   /* word 1: of IOTLB and P_IOTLB */
#define VTD_DESC_ADDR_IH   BIT64(6)      /* word 1 */
#define VTD_DESC_ADDR_ADDR FIELD(63, 12) /* word 1 */
enum { VTD_IOTLB_GLOBAL = 1, VTD_IOTLB_DOMAIN = 2, VTD_IOTLB_PAGE = 3 };

#define VTD_DESC_PASID_PASID FIELD(51, 32) /* of P_IOTLB and PASID */
enum { VTD_P_IOTLB_PASID = 2, VTD_P_IOTLB_PAGE = 3 };
enum { VTD_PASID_CACHE_DOMAIN = 0, VTD_PASID_CACHE_PASID = 1, VTD_PASID_CACHE_GLOBAL = 3 };

#define VTD_DESC_IEC_G     BIT64(4)
#define VTD_DESC_IEC_IM    FIELD(31, 27)
#define VTD_DESC_IEC_IIDX  FIELD(47, 32)

#define VTD_DESC_WAIT_IF   BIT64(4)
#define VTD_DESC_WAIT_SW   BIT64(5)
#define VTD_DESC_WAIT_FN   BIT64(6)
#define VTD_DESC_WAIT_PD   BIT64(7)
#define VTD_DESC_WAIT_DATA FIELD(63, 32)
#define VTD_DESC_WAIT_ADDR FIELD(63, 2) /* word 1 */

static inline unsigned vtd_descriptor_type(const struct vtd_descriptor *descriptor)
{
	return (unsigned)(field_get(VTD_DESC_TYPE_HIGH, descriptor->word[0]) << 4 |
	                  field_get(VTD_DESC_TYPE_LOW, descriptor->word[0]));
}

/** Context cache: @p g VTD_CONTEXT_...; the source id counts for DEVICE only. */
static inline struct vtd_descriptor vtd_desc_context(unsigned g, uint16_t did, uint16_t sid)
{
	return (struct vtd_descriptor){{VTD_DESC_CONTEXT | field_put(VTD_DESC_G, g) |
	                                field_put(VTD_DESC_DID, did) |
	                                field_put(VTD_DESC_CONTEXT_SID, sid)}};
}

/** IOTLB by domain id, draining reads and writes: @p g GLOBAL or DOMAIN. */
static inline struct vtd_descriptor vtd_desc_iotlb(unsigned g, uint16_t did)
{
	return (struct vtd_descriptor){{VTD_DESC_IOTLB | field_put(VTD_DESC_G, g) |
	                                field_put(VTD_DESC_DID, did) | VTD_DESC_IOTLB_DR |
	                                VTD_DESC_IOTLB_DW}};
}

/** 2^@p am pages at @p address of a domain id. @p leaves_only: tables did not change. */
static inline struct vtd_descriptor vtd_desc_iotlb_page(uint16_t did, uint64_t address, unsigned am,
                                                        bool leaves_only)
{
	struct vtd_descriptor out = vtd_desc_iotlb(VTD_IOTLB_PAGE, did);
	out.word[1] = (address & VTD_DESC_ADDR_ADDR) | field_put(VTD_DESC_ADDR_AM, am) |
	              (leaves_only ? VTD_DESC_ADDR_IH : 0);
	return out;
}

/** All first-stage and pass-through translations of (domain id, PASID). */
static inline struct vtd_descriptor vtd_desc_p_iotlb(uint16_t did, uint32_t pasid)
{
	return (struct vtd_descriptor){
		{VTD_DESC_P_IOTLB | field_put(VTD_DESC_G, VTD_P_IOTLB_PASID) |
	         field_put(VTD_DESC_DID, did) | field_put(VTD_DESC_PASID_PASID, pasid)}};
}

static inline struct vtd_descriptor vtd_desc_p_iotlb_page(uint16_t did, uint32_t pasid,
                                                          uint64_t address, unsigned am,
                                                          bool leaves_only)
{
	struct vtd_descriptor out = {{VTD_DESC_P_IOTLB | field_put(VTD_DESC_G, VTD_P_IOTLB_PAGE) |
	                              field_put(VTD_DESC_DID, did) |
	                              field_put(VTD_DESC_PASID_PASID, pasid)}};
	out.word[1] = (address & VTD_DESC_ADDR_ADDR) | field_put(VTD_DESC_ADDR_AM, am) |
	              (leaves_only ? VTD_DESC_ADDR_IH : 0);
	return out;
}

/** PASID cache: @p g VTD_PASID_CACHE_... */
static inline struct vtd_descriptor vtd_desc_pasid(unsigned g, uint16_t did, uint32_t pasid)
{
	return (struct vtd_descriptor){{VTD_DESC_PASID | field_put(VTD_DESC_G, g) |
	                                field_put(VTD_DESC_DID, did) |
	                                field_put(VTD_DESC_PASID_PASID, pasid)}};
}

#define VTD_DESC_DEV_TLB_MIP     FIELD(20, 16)
#define VTD_DESC_DEV_TLB_SID     FIELD(47, 32)
#define VTD_DESC_DEV_TLB_S       BIT64(0) /* word 1 */
#define VTD_DESC_P_DEV_TLB_MIP   FIELD(8, 4)
#define VTD_DESC_P_DEV_TLB_SID   FIELD(31, 16)
#define VTD_DESC_P_DEV_TLB_PASID FIELD(51, 32)
#define VTD_DESC_P_DEV_TLB_S     BIT64(11)     /* word 1 */
#define VTD_DESC_PFSID_LOW       FIELD(15, 12) /* bits 3:0 of it; of both kinds */
#define VTD_DESC_PFSID_HIGH      FIELD(63, 52) /* bits 15:4 */
#define VTD_DESC_DEV_TLB_ADDR    FIELD(63, 12) /* word 1 */

/** Who a device-TLB invalidation goes to. */
struct vtd_device_tlb_target {
	uint16_t sid;
	uint16_t pfsid;   /* with ECAP.DIT the physical function's id, else 0 */
	uint8_t capacity; /* invalidations that it takes at once: 1 to 31; 32 is written as 0 */
};

/** Word 1 but for S: the place of the lowest zero bit from bit 12 on gives the size. */
static inline uint64_t vtd_desc_dev_tlb_address(uint64_t address, unsigned order)
{
	uint64_t ones = ((UINT64_C(1) << order) - 1) >> 1;

	return (address & VTD_DESC_DEV_TLB_ADDR & ~(((UINT64_C(1) << order) - 1) << 12)) |
	       ones << 12;
}

/** Device TLB, requests without PASID: 2^@p order pages at @p address, aligned; order 52 and
 *  address 0: everything. */
static inline struct vtd_descriptor vtd_desc_dev_tlb(struct vtd_device_tlb_target to,
                                                     uint64_t address, unsigned order)
{
	return (struct vtd_descriptor){
		{VTD_DESC_DEV_TLB | field_put(VTD_DESC_DEV_TLB_MIP, to.capacity) |
	                 field_put(VTD_DESC_DEV_TLB_SID, to.sid) |
	                 field_put(VTD_DESC_PFSID_LOW, to.pfsid & 15u) |
	                 field_put(VTD_DESC_PFSID_HIGH, to.pfsid >> 4),
	         vtd_desc_dev_tlb_address(address, order) | (order ? VTD_DESC_DEV_TLB_S : 0)}};
}

/** The same for requests with @p pasid. */
static inline struct vtd_descriptor vtd_desc_p_dev_tlb(struct vtd_device_tlb_target to,
                                                       uint32_t pasid, uint64_t address,
                                                       unsigned order)
{
	return (struct vtd_descriptor){
		{VTD_DESC_P_DEV_TLB | field_put(VTD_DESC_P_DEV_TLB_MIP, to.capacity) |
	                 field_put(VTD_DESC_P_DEV_TLB_SID, to.sid) |
	                 field_put(VTD_DESC_P_DEV_TLB_PASID, pasid) |
	                 field_put(VTD_DESC_PFSID_LOW, to.pfsid & 15u) |
	                 field_put(VTD_DESC_PFSID_HIGH, to.pfsid >> 4),
	         vtd_desc_dev_tlb_address(address, order) | (order ? VTD_DESC_P_DEV_TLB_S : 0)}};
}

#define VTD_DESC_RESPONSE_PP    BIT64(4)
#define VTD_DESC_RESPONSE_RC    FIELD(15, 12)
#define VTD_DESC_RESPONSE_RID   FIELD(31, 16)
#define VTD_DESC_RESPONSE_PASID FIELD(51, 32)
#define VTD_DESC_RESPONSE_PRGI  FIELD(11, 3) /* word 1 */
enum vtd_response { VTD_RESPONSE_SUCCESS = 0, VTD_RESPONSE_INVALID = 1 };

/** Answer the page request group @p prgi of @p rid; @p has_pasid: asked with @p pasid. */
static inline struct vtd_descriptor vtd_desc_page_response(uint16_t rid, bool has_pasid,
                                                           uint32_t pasid, uint16_t prgi,
                                                           enum vtd_response code)
{
	return (struct vtd_descriptor){
		{VTD_DESC_PAGE_RESPONSE | (has_pasid ? VTD_DESC_RESPONSE_PP : 0) |
	                 field_put(VTD_DESC_RESPONSE_RC, code) |
	                 field_put(VTD_DESC_RESPONSE_RID, rid) |
	                 field_put(VTD_DESC_RESPONSE_PASID, has_pasid ? pasid : 0),
	         field_put(VTD_DESC_RESPONSE_PRGI, prgi)}};
}

/** Wait, with no sign to anybody, until all page requests that were sent before lie in the
 *  queue (ECAP.PDS) and everything before has completed. */
static inline struct vtd_descriptor vtd_desc_wait_page_requests(void)
{
	return (struct vtd_descriptor){{VTD_DESC_WAIT | VTD_DESC_WAIT_FN | VTD_DESC_WAIT_PD}};
}

/* ---- page requests (7.4.1) ------------------------------------------------------- */

/** What a unit writes into the page request queue. */
struct vtd_page_request {
	uint64_t word[4];
};
_Static_assert(sizeof(struct vtd_page_request) == 32, "7.4.1");
enum { VTD_PAGE_REQUEST_TYPE = 1 };
#define VTD_PAGE_TYPE  FIELD(7, 0)
#define VTD_PAGE_PP    BIT64(8)
#define VTD_PAGE_RID   FIELD(31, 16)
#define VTD_PAGE_PASID FIELD(51, 32)
#define VTD_PAGE_EXR   BIT64(52)
#define VTD_PAGE_PMR   BIT64(53)
#define VTD_PAGE_RD    BIT64(0)      /* word 1 */
#define VTD_PAGE_WR    BIT64(1)      /* word 1 */
#define VTD_PAGE_LPIG  BIT64(2)      /* word 1 */
#define VTD_PAGE_PRGI  FIELD(11, 3)  /* word 1 */
#define VTD_PAGE_ADDR  FIELD(63, 12) /* word 1 */

/** Write @p data to @p address once everything before has completed. */
static inline struct vtd_descriptor vtd_desc_wait(uint32_t data, uint64_t address)
{
	return (struct vtd_descriptor){{VTD_DESC_WAIT | VTD_DESC_WAIT_SW | VTD_DESC_WAIT_FN |
	                                        field_put(VTD_DESC_WAIT_DATA, data),
	                                address & VTD_DESC_WAIT_ADDR}};
}

#endif
