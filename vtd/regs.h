/* SPDX-License-Identifier: MIT */
/*
 * VT-d's registers: each declared once, with block, offset, width, access policy
 * and section. VT-d specification 5.10, chapter 11.4.
 *
 * The table VTD_REGISTERS makes one typed constant a register, VTD_REG_<name>. Its
 * type holds width and policy, and the accessors at the end pick by type, so the
 * compiler refuses to read a 64-bit register as 32 bits, to read what is write-only,
 * to write what is read-only, and to read-modify-write anything but the registers
 * whose reserved bits ask for it:
 *
 *   ro    vtd_read
 *   wo    vtd_write
 *   rw    vtd_read, vtd_write            reserved bits are written as zero (RsvdZ)
 *   rwp   vtd_read, vtd_update           reserved bits are preserved (RsvdP)
 *   w1c   vtd_read, vtd_clear            there is no way to write back what was read
 *   cmd   vtd_read, vtd_write            a start bit that hardware clears, status beside it
 *
 * Registers outside the fixed window lie in blocks that a capability locates; VTD_AT
 * adds the block's place. The hardware's byte order is little, as is the processor's.
 */
#ifndef VTD_REGS_H
#define VTD_REGS_H

#include "arch/arch.h"
#include "iommu/field.h"

/* R(name, block, offset, bits, policy, count, stride, section) */
#define VTD_REGISTERS(R)                                                                           \
	R(VER, unit, 0x000, 32, ro, 1, 0, "11.4.1")                                                \
	R(CAP, unit, 0x008, 64, ro, 1, 0, "11.4.2")                                                \
	R(ECAP, unit, 0x010, 64, ro, 1, 0, "11.4.3")                                               \
	R(GCMD, unit, 0x018, 32, wo, 1, 0, "11.4.4")                                               \
	R(GSTS, unit, 0x01c, 32, ro, 1, 0, "11.4.4")                                               \
	R(RTADDR, unit, 0x020, 64, rw, 1, 0, "11.4.5")                                             \
	R(CCMD, unit, 0x028, 64, cmd, 1, 0, "11.4.6")                                              \
	R(FSTS, unit, 0x034, 32, w1c, 1, 0, "11.4.7")                                              \
	R(FECTL, unit, 0x038, 32, rwp, 1, 0, "11.4.7")                                             \
	R(FEDATA, unit, 0x03c, 32, rw, 1, 0, "11.4.7")                                             \
	R(FEADDR, unit, 0x040, 32, rw, 1, 0, "11.4.7")                                             \
	R(FEUADDR, unit, 0x044, 32, rw, 1, 0, "11.4.7")                                            \
	R(PMEN, unit, 0x064, 32, rwp, 1, 0, "11.4.8")                                              \
	R(PLMBASE, unit, 0x068, 32, rw, 1, 0, "11.4.8")                                            \
	R(PLMLIMIT, unit, 0x06c, 32, rw, 1, 0, "11.4.8")                                           \
	R(PHMBASE, unit, 0x070, 64, rw, 1, 0, "11.4.8")                                            \
	R(PHMLIMIT, unit, 0x078, 64, rw, 1, 0, "11.4.8")                                           \
	R(IQH, unit, 0x080, 64, ro, 1, 0, "11.4.9")                                                \
	R(IQT, unit, 0x088, 64, rw, 1, 0, "11.4.9")                                                \
	R(IQA, unit, 0x090, 64, rw, 1, 0, "11.4.9")                                                \
	R(ICS, unit, 0x09c, 32, w1c, 1, 0, "11.4.9")                                               \
	R(IECTL, unit, 0x0a0, 32, rwp, 1, 0, "11.4.9")                                             \
	R(IEDATA, unit, 0x0a4, 32, rw, 1, 0, "11.4.9")                                             \
	R(IEADDR, unit, 0x0a8, 32, rw, 1, 0, "11.4.9")                                             \
	R(IEUADDR, unit, 0x0ac, 32, rw, 1, 0, "11.4.9")                                            \
	R(IQERCD, unit, 0x0b0, 64, ro, 1, 0, "11.4.9")                                             \
	R(IRTA, unit, 0x0b8, 64, rw, 1, 0, "11.4.10")                                              \
	R(PQH, unit, 0x0c0, 64, rw, 1, 0, "11.4.11")                                               \
	R(PQT, unit, 0x0c8, 64, rw, 1, 0, "11.4.11")                                               \
	R(PQA, unit, 0x0d0, 64, rw, 1, 0, "11.4.11")                                               \
	R(PRS, unit, 0x0dc, 32, w1c, 1, 0, "11.4.11")                                              \
	R(PECTL, unit, 0x0e0, 32, rwp, 1, 0, "11.4.11")                                            \
	R(PEDATA, unit, 0x0e4, 32, rw, 1, 0, "11.4.11")                                            \
	R(PEADDR, unit, 0x0e8, 32, rw, 1, 0, "11.4.11")                                            \
	R(PEUADDR, unit, 0x0ec, 32, rw, 1, 0, "11.4.11")                                           \
	R(MTRRCAP, unit, 0x100, 64, ro, 1, 0, "11.4.12")                                           \
	R(MTRRDEF, unit, 0x108, 64, rw, 1, 0, "11.4.12")                                           \
	R(MTRR_FIX64K, unit, 0x120, 64, rw, 1, 0, "11.4.12")                                       \
	R(MTRR_FIX16K, unit, 0x128, 64, rw, 2, 8, "11.4.12")                                       \
	R(MTRR_FIX4K, unit, 0x138, 64, rw, 8, 8, "11.4.12")                                        \
	R(MTRR_PHYSBASE, unit, 0x180, 64, rw, 10, 16, "11.4.12")                                   \
	R(MTRR_PHYSMASK, unit, 0x188, 64, rw, 10, 16, "11.4.12")                                   \
	R(PERFCAP, unit, 0x300, 64, ro, 1, 0, "11.4.13")                                           \
	R(PERFCFGOFF, unit, 0x310, 32, ro, 1, 0, "11.4.13")                                        \
	R(PERFFRZOFF, unit, 0x314, 32, ro, 1, 0, "11.4.13")                                        \
	R(PERFOVFOFF, unit, 0x318, 32, ro, 1, 0, "11.4.13")                                        \
	R(PERFCNTROFF, unit, 0x31c, 32, ro, 1, 0, "11.4.13")                                       \
	R(PERFINTRSTS, unit, 0x324, 32, w1c, 1, 0, "11.4.13")                                      \
	R(PERFINTRCTL, unit, 0x328, 32, rwp, 1, 0, "11.4.13")                                      \
	R(PERFINTRDATA, unit, 0x32c, 32, rw, 1, 0, "11.4.13")                                      \
	R(PERFINTRADDR, unit, 0x330, 32, rw, 1, 0, "11.4.13")                                      \
	R(PERFINTRUADDR, unit, 0x334, 32, rw, 1, 0, "11.4.13")                                     \
	R(PERFEVNTCAP, unit, 0x380, 64, ro, 16, 8, "11.4.13")                                      \
	R(ECMD, unit, 0x400, 64, wo, 1, 0, "11.4.14")                                              \
	R(ECEO, unit, 0x408, 64, wo, 1, 0, "11.4.14")                                              \
	R(ECRSP, unit, 0x410, 64, ro, 1, 0, "11.4.14")                                             \
	R(ECSTS, unit, 0x420, 64, ro, 2, 8, "11.4.14")                                             \
	R(ECCAP, unit, 0x430, 64, ro, 4, 8, "11.4.14")                                             \
	R(RDTC, unit, 0xdc0, 64, rw, 1, 0, "11.4")                                                 \
	R(VCMD, unit, 0xe00, 64, cmd, 1, 0, "11.4")                                                \
	R(VCMD_EO, unit, 0xe08, 64, rw, 1, 0, "11.4")                                              \
	R(VCRSP, unit, 0xe10, 64, ro, 1, 0, "11.4")                                                \
	R(VCCAP, unit, 0xe30, 64, ro, 1, 0, "11.4")                                                \
	/* at 16 * ECAP.IRO */                                                                     \
	R(IVA, iotlb, 0x0, 64, wo, 1, 0, "11.4.6")                                                 \
	R(IOTLB, iotlb, 0x8, 64, cmd, 1, 0, "11.4.6")                                              \
	/* at 16 * CAP.FRO: NFR + 1 records of 128 bits, in three pieces by policy */              \
	R(FRCD_FI, fault, 0x0, 64, ro, 1, 0, "11.4.7")                                             \
	R(FRCD_SID, fault, 0x8, 32, ro, 1, 0, "11.4.7")                                            \
	R(FRCD_F, fault, 0xc, 32, w1c, 1, 0, "11.4.7")                                             \
	/* at PERFCFGOFF + 0x100 * counter */                                                      \
	R(PERFCFG, perf_config, 0x00, 64, rw, 1, 0, "11.4.13")                                     \
	R(PERFRID, perf_config, 0x08, 32, rw, 1, 0, "11.4.13")                                     \
	R(PERFDID, perf_config, 0x0c, 32, rw, 1, 0, "11.4.13")                                     \
	R(PERFPASID, perf_config, 0x10, 32, rw, 1, 0, "11.4.13")                                   \
	R(PERFAT, perf_config, 0x14, 32, rw, 1, 0, "11.4.13")                                      \
	R(PERFPTL, perf_config, 0x18, 32, rw, 1, 0, "11.4.13")                                     \
	R(PERFCNTRCAP, perf_config, 0x80, 32, ro, 1, 0, "11.4.13")                                 \
	R(PERFCNTREVCAP, perf_config, 0x84, 32, ro, 16, 4, "11.4.13")                              \
	/* at PERFFRZOFF, PERFOVFOFF: one bit a counter */                                         \
	R(PERFFRZ, perf_freeze, 0x0, 64, ro, 1, 0, "11.4.13")                                      \
	R(PERFOVF, perf_overflow, 0x0, 64, w1c, 1, 0, "11.4.13")                                   \
	/* at PERFCNTROFF + counter * stride of PERFCAP.CS */                                      \
	R(PERFCNTR, perf_counter, 0x0, 64, rw, 1, 0, "11.4.13")

#define VTD_REG_TYPE(policy, bits)                                                                 \
	struct vtd_##policy##bits {                                                                \
		uint32_t offset;                                                                   \
	};
VTD_REG_TYPE(ro, 32)
VTD_REG_TYPE(ro, 64)
VTD_REG_TYPE(wo, 64)
VTD_REG_TYPE(wo, 32)
VTD_REG_TYPE(rw, 32)
VTD_REG_TYPE(rw, 64)
VTD_REG_TYPE(rwp, 32)
VTD_REG_TYPE(w1c, 32)
VTD_REG_TYPE(w1c, 64)
VTD_REG_TYPE(cmd, 64)
#undef VTD_REG_TYPE

#define VTD_REG_CONSTANT(name, block, at, bits, policy, count, stride, section)                    \
	_Static_assert((at) % ((bits) / 8) == 0 && (stride) % ((bits) / 8) == 0,                   \
	               #name ": naturally aligned");                                               \
	static const struct vtd_##policy##bits __attribute__((unused)) VTD_REG_##name = {at};
VTD_REGISTERS(VTD_REG_CONSTANT)
#undef VTD_REG_CONSTANT

/** Register @p reg, @p bytes further on: in its block, or the n-th of an array. */
#define VTD_AT(reg, bytes) ((__typeof__(reg)){(reg).offset + (uint32_t)(bytes)})

/* ---- fields ---------------------------------------------------------------- */

#define VTD_VER_MAX      FIELD(7, 4)
#define VTD_VER_MIN      FIELD(3, 0)

#define VTD_CAP_ESRTPS   BIT64(63)
#define VTD_CAP_ESIRTPS  BIT64(62)
#define VTD_CAP_ECMDS    BIT64(61)
#define VTD_CAP_FS5LP    BIT64(60)
#define VTD_CAP_PI       BIT64(59)
#define VTD_CAP_FS1GP    BIT64(56)
#define VTD_CAP_DRD      BIT64(55)
#define VTD_CAP_DWD      BIT64(54)
#define VTD_CAP_MAMV     FIELD(53, 48)
#define VTD_CAP_NFR      FIELD(47, 40) /* N - 1 */
#define VTD_CAP_PSI      BIT64(39)
#define VTD_CAP_SSLPS    FIELD(37, 34)
#define VTD_CAP_FRO      FIELD(33, 24) /* times 16 bytes */
#define VTD_CAP_ISOCH    BIT64(23)     /* deprecated */
#define VTD_CAP_ZLR      BIT64(22)
#define VTD_CAP_MGAW     FIELD(21, 16) /* N - 1 */
#define VTD_CAP_SAGAW    FIELD(12, 8)
#define VTD_CAP_CM       BIT64(7)
#define VTD_CAP_PHMR     BIT64(6)
#define VTD_CAP_PLMR     BIT64(5)
#define VTD_CAP_RWBF     BIT64(4)
#define VTD_CAP_AFL      BIT64(3) /* reserved since 5.0 */
#define VTD_CAP_ND       FIELD(2, 0)

#define VTD_ECAP_IRREQ   BIT64(62)
#define VTD_ECAP_EIMER   BIT64(61)
#define VTD_ECAP_RDTS    BIT64(60)
#define VTD_ECAP_HPT1GPS BIT64(59)
#define VTD_ECAP_SMS     BIT64(58)
#define VTD_ECAP_SSIRWS  BIT64(57)
#define VTD_ECAP_PTRS    BIT64(56)
#define VTD_ECAP_HPTS    BIT64(55)
#define VTD_ECAP_RPRIVS  BIT64(53)
#define VTD_ECAP_ADMS    BIT64(52)
#define VTD_ECAP_PMS     BIT64(51)
#define VTD_ECAP_TDXCS   BIT64(50)
#define VTD_ECAP_RPS     BIT64(49)
#define VTD_ECAP_SMPWCS  BIT64(48)
#define VTD_ECAP_FSTS    BIT64(47)
#define VTD_ECAP_SSTS    BIT64(46)
#define VTD_ECAP_SSADS   BIT64(45)
#define VTD_ECAP_VCS     BIT64(44)
#define VTD_ECAP_SMTS    BIT64(43)
#define VTD_ECAP_PDS     BIT64(42)
#define VTD_ECAP_DIT     BIT64(41)
#define VTD_ECAP_PASID   BIT64(40)
#define VTD_ECAP_PSS     FIELD(39, 35) /* N - 1 */
#define VTD_ECAP_EAFS    BIT64(34)
#define VTD_ECAP_NWFS    BIT64(33)
#define VTD_ECAP_SRS     BIT64(31)
#define VTD_ECAP_ERS     BIT64(30) /* must be 0 now */
#define VTD_ECAP_PRS     BIT64(29)
#define VTD_ECAP_NEST    BIT64(26)
#define VTD_ECAP_MTS     BIT64(25)
#define VTD_ECAP_MHMV    FIELD(23, 20)
#define VTD_ECAP_IRO     FIELD(17, 8) /* times 16 bytes */
#define VTD_ECAP_SC      BIT64(7)
#define VTD_ECAP_PT      BIT64(6)
#define VTD_ECAP_EIM     BIT64(4)
#define VTD_ECAP_IR      BIT64(3)
#define VTD_ECAP_DT      BIT64(2)
#define VTD_ECAP_QI      BIT64(1)
#define VTD_ECAP_C       BIT64(0)

/* GCMD and GSTS share positions; the status names are used for both where they agree. */
#define VTD_GCMD_TE    (UINT32_C(1) << 31)
#define VTD_GCMD_SRTP  (UINT32_C(1) << 30)
#define VTD_GCMD_WBF   (UINT32_C(1) << 27)
#define VTD_GCMD_QIE   (UINT32_C(1) << 26)
#define VTD_GCMD_IRE   (UINT32_C(1) << 25)
#define VTD_GCMD_SIRTP (UINT32_C(1) << 24)
#define VTD_GCMD_CFI   (UINT32_C(1) << 23)
#define VTD_GSTS_TES   (UINT32_C(1) << 31)
#define VTD_GSTS_RTPS  (UINT32_C(1) << 30)
#define VTD_GSTS_WBFS  (UINT32_C(1) << 27)
#define VTD_GSTS_QIES  (UINT32_C(1) << 26)
#define VTD_GSTS_IRES  (UINT32_C(1) << 25)
#define VTD_GSTS_IRTPS (UINT32_C(1) << 24)
#define VTD_GSTS_CFIS  (UINT32_C(1) << 23)
/** What of GSTS may go back into GCMD: everything but the one-shot bits 30, 29, 27, 24. */
#define VTD_GSTS_TOGGLES  UINT32_C(0x96ffffff)

#define VTD_RTADDR_RTA    FIELD(63, 12)
#define VTD_RTADDR_TTM    FIELD(11, 10)
#define VTD_RTADDR_SSIRWE BIT64(7)
enum vtd_ttm { VTD_TTM_LEGACY = 0, VTD_TTM_SCALABLE = 1, VTD_TTM_RESERVED = 2, VTD_TTM_ABORT = 3 };

#define VTD_CCMD_ICC   BIT64(63)
#define VTD_CCMD_CIRG  FIELD(62, 61)
#define VTD_CCMD_CAIG  FIELD(60, 59)
#define VTD_CCMD_FM    FIELD(33, 32)
#define VTD_CCMD_SID   FIELD(31, 16)
#define VTD_CCMD_DID   FIELD(15, 0)

#define VTD_IOTLB_IVT  BIT64(63)
#define VTD_IOTLB_IIRG FIELD(61, 60)
#define VTD_IOTLB_IAIG FIELD(58, 57)
#define VTD_IOTLB_DR   BIT64(49)
#define VTD_IOTLB_DW   BIT64(48)
#define VTD_IOTLB_DID  FIELD(47, 32)

#define VTD_IVA_ADDR   FIELD(63, 12)
#define VTD_IVA_IH     BIT64(6)
#define VTD_IVA_AM     FIELD(5, 0)

#define VTD_FSTS_FRI   FIELD(15, 8)
#define VTD_FSTS_ITE   (UINT32_C(1) << 6)
#define VTD_FSTS_ICE   (UINT32_C(1) << 5)
#define VTD_FSTS_IQE   (UINT32_C(1) << 4)
#define VTD_FSTS_PPF   (UINT32_C(1) << 1)
#define VTD_FSTS_PFO   (UINT32_C(1) << 0)

/* FECTL, IECTL, PECTL, PERFINTRCTL */
#define VTD_EVENT_IM (UINT32_C(1) << 31)
#define VTD_EVENT_IP (UINT32_C(1) << 30)

/* FRCD: in the piece that holds them */
#define VTD_FRCD_FI       FIELD(63, 12)       /* FRCD_FI */
#define VTD_FRCD_PP       (UINT32_C(1) << 31) /* FRCD_SID: bit 95 */
#define VTD_FRCD_EXE      (UINT32_C(1) << 30)
#define VTD_FRCD_PRIV     (UINT32_C(1) << 29)
#define VTD_FRCD_T2       (UINT32_C(1) << 28)
#define VTD_FRCD_SID      FIELD(15, 0)
#define VTD_FRCD_F        (UINT32_C(1) << 31) /* FRCD_F: bit 127 */
#define VTD_FRCD_T1       (UINT32_C(1) << 30)
#define VTD_FRCD_AT       FIELD(29, 28)
#define VTD_FRCD_PV       FIELD(27, 8)
#define VTD_FRCD_FR       FIELD(7, 0)
#define VTD_FRCD_BYTES    16u

#define VTD_PMEN_EPM      (UINT32_C(1) << 31)
#define VTD_PMEN_PRS      (UINT32_C(1) << 0)

#define VTD_IQA_IQA       FIELD(63, 12)
#define VTD_IQA_DW        BIT64(11)
#define VTD_IQA_QS        FIELD(2, 0)
#define VTD_IQH_QH        FIELD(18, 4)
#define VTD_IQT_QT        FIELD(18, 4)
#define VTD_ICS_IWC       (UINT32_C(1) << 0)

#define VTD_PQA_PQA       FIELD(63, 12)
#define VTD_PQA_PQS       FIELD(2, 0)
#define VTD_PQH_PQH       FIELD(18, 5)
#define VTD_PQT_PQT       FIELD(18, 5)
#define VTD_PRS_PRO       (UINT32_C(1) << 1)
#define VTD_PRS_PPR       (UINT32_C(1) << 0)

#define VTD_IQERCD_ICESID FIELD(63, 48)
#define VTD_IQERCD_ITESID FIELD(47, 32)
#define VTD_IQERCD_IQEI   FIELD(3, 0)

#define VTD_IRTA_IRTA     FIELD(63, 12)
#define VTD_IRTA_EIME     BIT64(11)
#define VTD_IRTA_S        FIELD(3, 0)

/* ---- accessors ------------------------------------------------------------- */

/** A unit's register window, with counts of the accesses made through it. */
struct vtd_window {
	struct mmio mmio;
	uint64_t reads, writes;
};

static inline void vtd_count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static inline uint32_t vtd_window_read32(struct vtd_window *window, uint32_t offset)
{
	vtd_count(&window->reads);
	return mmio_read32(&window->mmio, offset);
}

static inline uint64_t vtd_window_read64(struct vtd_window *window, uint32_t offset)
{
	vtd_count(&window->reads);
	return mmio_read64(&window->mmio, offset);
}

static inline void vtd_window_write32(struct vtd_window *window, uint32_t offset, uint32_t value)
{
	vtd_count(&window->writes);
	mmio_write32(&window->mmio, offset, value);
}

static inline void vtd_window_write64(struct vtd_window *window, uint32_t offset, uint64_t value)
{
	vtd_count(&window->writes);
	mmio_write64(&window->mmio, offset, value);
}

#define VTD_READER(policy, bits)                                                                   \
	static inline uint##bits##_t vtd_read_##policy##bits(struct vtd_window *window,            \
	                                                     struct vtd_##policy##bits reg)        \
	{                                                                                          \
		return vtd_window_read##bits(window, reg.offset);                                  \
	}
#define VTD_WRITER(policy, bits)                                                                   \
	static inline void vtd_write_##policy##bits(                                               \
		struct vtd_window *window, struct vtd_##policy##bits reg, uint##bits##_t value)    \
	{                                                                                          \
		vtd_window_write##bits(window, reg.offset, value);                                 \
	}
VTD_READER(ro, 32)
VTD_READER(ro, 64)
VTD_READER(rw, 32)
VTD_READER(rw, 64)
VTD_READER(rwp, 32)
VTD_READER(w1c, 32)
VTD_READER(w1c, 64)
VTD_READER(cmd, 64)
VTD_WRITER(wo, 32)
VTD_WRITER(wo, 64)
VTD_WRITER(rw, 32)
VTD_WRITER(rw, 64)
VTD_WRITER(cmd, 64)
VTD_WRITER(w1c, 32)
VTD_WRITER(w1c, 64)
#undef VTD_READER
#undef VTD_WRITER

/* clang-format's versions disagree about _Generic. */
/* clang-format off */

/** The register's value, in its own width. */
#define vtd_read(window, reg)                                                                      \
	_Generic((reg),                                                                            \
	        struct vtd_ro32: vtd_read_ro32,                                                    \
	        struct vtd_ro64: vtd_read_ro64,                                                    \
	        struct vtd_rw32: vtd_read_rw32,                                                    \
	        struct vtd_rw64: vtd_read_rw64,                                                    \
	        struct vtd_rwp32: vtd_read_rwp32,                                                  \
	        struct vtd_w1c32: vtd_read_w1c32,                                                  \
	        struct vtd_w1c64: vtd_read_w1c64,                                                  \
	        struct vtd_cmd64: vtd_read_cmd64)(window, reg)

/** Write the whole register. */
#define vtd_write(window, reg, value)                                                              \
	_Generic((reg),                                                                            \
	        struct vtd_wo32: vtd_write_wo32,                                                   \
	        struct vtd_wo64: vtd_write_wo64,                                                   \
	        struct vtd_rw32: vtd_write_rw32,                                                   \
	        struct vtd_rw64: vtd_write_rw64,                                                   \
	        struct vtd_cmd64: vtd_write_cmd64)(window, reg, value)

/** Clear exactly @p bits of a write-1-to-clear register. */
#define vtd_clear(window, reg, bits)                                                               \
	_Generic((reg),                                                                            \
	        struct vtd_w1c32: vtd_write_w1c32,                                                 \
	        struct vtd_w1c64: vtd_write_w1c64)(window, reg, bits)

/* clang-format on */

/** Replace the bits of @p mask by those of @p value; the others are kept. */
static inline void vtd_update(struct vtd_window *window, struct vtd_rwp32 reg, uint32_t mask,
                              uint32_t value)
{
	uint32_t old = vtd_read_rwp32(window, reg);
	vtd_window_write32(window, reg.offset, (old & ~mask) | (value & mask));
}

#endif
