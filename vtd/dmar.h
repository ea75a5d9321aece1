/* SPDX-License-Identifier: MIT */
/*
 * The DMAR table: which remapping units exist, which devices each one translates
 * for, and which memory firmware keeps for devices. VT-d specification 5.10,
 * chapter 8.
 *
 * The parser is pure: bytes in, structure out. It allocates nothing and never
 * reads beyond the bytes it was given. What it finds is of three kinds:
 *
 *   fatal    the table cannot be read reliably (signature, length, checksum, a
 *            structure or scope that leaves its container): the whole table is
 *            refused, with byte offset and reason;
 *   defect   a structure can be read but contradicts the specification (units in
 *            the wrong order, overlapping windows, RMRR limit below its base);
 *            reported, and the iterators say which unit cannot be used;
 *   note     odd, but harmless; real machines are full of them.
 *
 * After vtd_dmar_parse() returned 0, iterate:
 *
 *   uint32_t at = 0;
 *   struct vtd_dmar_entry entry;
 *   while (vtd_dmar_next(&dmar, VTD_DMAR_DRHD, &at, &entry)) {
 *           uint32_t scope_at = 0;
 *           struct vtd_dmar_scope scope;
 *           while (vtd_dmar_scope_next(&dmar, &entry, &scope_at, &scope))
 *                   ...
 *   }
 *
 * Entries and scopes point into the table; the caller keeps it alive and unchanged.
 */
#ifndef VTD_DMAR_H
#define VTD_DMAR_H

#include "iommu/ops.h"

/** Remapping structure types, table 8-1. */
enum {
	VTD_DMAR_DRHD = 0, /* a remapping unit */
	VTD_DMAR_RMRR = 1, /* memory that firmware keeps for devices */
	VTD_DMAR_ATSR = 2, /* root ports below which ATS may be used */
	VTD_DMAR_RHSA = 3, /* memory affinity of a unit */
	VTD_DMAR_ANDD = 4, /* a device that ACPI names, not PCI */
	VTD_DMAR_SATC = 5, /* integrated devices with a translation cache */
	VTD_DMAR_SIDP = 6, /* properties of integrated devices */
	VTD_DMAR_TYPES = 7,
	VTD_DMAR_ANY = 0xffffffff, /* for vtd_dmar_next() only */
};

/** Table flags, byte 37. */
enum {
	VTD_DMAR_INTR_REMAP = 1 << 0,
	VTD_DMAR_X2APIC_OPT_OUT = 1 << 1,
	VTD_DMAR_DMA_CTRL_PLATFORM_OPT_IN = 1 << 2,
};

/** Structure flags. */
enum {
	VTD_DRHD_INCLUDE_PCI_ALL = 1 << 0,
	VTD_ATSR_ALL_PORTS = 1 << 0,
	VTD_SATC_ATC_REQUIRED = 1 << 0,
};

/** Device scope types, section 8.3.1. */
enum {
	VTD_SCOPE_ENDPOINT = 1, /* one PCI function */
	VTD_SCOPE_BRIDGE = 2,   /* a bridge and all below it */
	VTD_SCOPE_IOAPIC = 3,
	VTD_SCOPE_HPET = 4,
	VTD_SCOPE_ANDD = 5,
	VTD_SCOPE_TYPES = 6,
};

/** Scope flags; defined in SIDP structures only. */
enum {
	VTD_SCOPE_REQ_WO_PASID_NESTED_NOTALLOWED = 1 << 0,
	VTD_SCOPE_PWSNP_NOTALLOWED = 1 << 1,
	VTD_SCOPE_PGSNP_NOTALLOWED = 1 << 2,
	VTD_SCOPE_ATC_HARDENED = 1 << 3,
	VTD_SCOPE_ATC_REQUIRED = 1 << 4,
};

/** One device scope. */
struct vtd_dmar_scope {
	uint32_t offset; /* in the table */
	uint8_t type;    /* VTD_SCOPE_..., or unknown */
	uint8_t flags;   /* SIDP only */
	uint8_t id;      /* IOAPIC: MADT id; HPET number; ANDD number */
	uint8_t start_bus;
	uint8_t hop_count;   /* 1..124 */
	const uint8_t *path; /* hop_count pairs {device, function} */
};

/** One remapping structure, decoded. Fields that its type lacks are 0. */
struct vtd_dmar_entry {
	uint32_t offset; /* in the table */
	uint16_t type;   /* VTD_DMAR_..., or unknown */
	uint16_t length; /* bytes */
	uint8_t flags;
	uint16_t segment;
	uint64_t base;        /* DRHD, RHSA: registers; RMRR: first byte */
	uint64_t limit;       /* RMRR: last byte, inclusive */
	uint64_t bytes;       /* DRHD: length of the register window */
	uint32_t proximity;   /* RHSA: proximity domain */
	uint8_t device;       /* ANDD: number that scopes refer to */
	const char *name;     /* ANDD: ACPI path, printable; else ""; others NULL */
	uint16_t scope_start; /* offset of the first scope in the structure; 0: has none */
	/** DRHD: can be driven: base is not 0, aligned to 4 KiB, the window does not wrap
	 *  and overlaps no earlier unit's. RMRR: limit above base, both on 4 KiB
	 *  boundaries. ANDD: has a name. Other types: true. */
	bool usable;
};

/** Every finding that is not fatal. */
enum vtd_dmar_finding_kind {
	/* notes: odd, harmless */
	VTD_DMAR_NOTE_REVISION,           /* neither 0 nor 1 */
	VTD_DMAR_NOTE_OEM_ID,             /* NUL in the OEM id */
	VTD_DMAR_NOTE_TRAILING,           /* bytes after the fields of a structure */
	VTD_DMAR_NOTE_RESERVED,           /* reserved bits or bytes are set */
	VTD_DMAR_NOTE_UNKNOWN_TYPE,       /* structure type, skipped by its length */
	VTD_DMAR_NOTE_UNKNOWN_SCOPE,      /* scope type */
	VTD_DMAR_NOTE_WINDOW_SIZE,        /* DRHD size field: registers of more than 4 KiB */
	VTD_DMAR_NOTE_MULTI_HOP,          /* a scope path of more than one hop */
	VTD_DMAR_NOTE_HPET_COUNT,         /* several scopes for one HPET */
	VTD_DMAR_NOTE_ANDD_TAIL,          /* bytes after the name's NUL */
	VTD_DMAR_NOTE_ANDD_LENGTH,        /* length is not a multiple of 4 */
	VTD_DMAR_NOTE_RHSA_COUNT,         /* some units have an RHSA, others do not */
	VTD_DMAR_NOTE_IOAPIC_NO_REMAP,    /* IOAPIC scopes though INTR_REMAP is clear */
	VTD_DMAR_NOTE_RMRR_LOW,           /* below 1 MiB */
	VTD_DMAR_NOTE_UNIT_WITHOUT_SCOPE, /* translates for nothing */
	VTD_DMAR_NOTES,
	/* defects: contrary to the specification */
	VTD_DMAR_DEFECT_WIDTH = VTD_DMAR_NOTES, /* host address width beyond 64, or below 32 */
	VTD_DMAR_DEFECT_STRUCTURE_ORDER,        /* types do not ascend */
	VTD_DMAR_DEFECT_INCLUDE_ALL_ORDER,      /* a DRHD after its segment's INCLUDE_PCI_ALL */
	VTD_DMAR_DEFECT_INCLUDE_ALL_TWICE,
	VTD_DMAR_DEFECT_UNIT_BASE,     /* 0, unaligned, or wraps */
	VTD_DMAR_DEFECT_UNIT_OVERLAP,  /* register windows overlap */
	VTD_DMAR_DEFECT_UNIT_SIZE,     /* base is not aligned to the window's size */
	VTD_DMAR_DEFECT_RMRR_RANGE,    /* limit below base, or not whole pages */
	VTD_DMAR_DEFECT_RMRR_WIDTH,    /* beyond the host address width */
	VTD_DMAR_DEFECT_RHSA_UNIT,     /* names no unit, or one that is named already */
	VTD_DMAR_DEFECT_ANDD_NAME,     /* empty, not printable, or not terminated */
	VTD_DMAR_DEFECT_ANDD_NUMBER,   /* two with one number, or a scope names none */
	VTD_DMAR_DEFECT_SEGMENT,       /* the machine has no such segment */
	VTD_DMAR_DEFECT_SCOPE_TYPE,    /* a scope type that this structure may not have */
	VTD_DMAR_DEFECT_SCOPE_PATH,    /* device above 31 or function above 7 */
	VTD_DMAR_DEFECT_SCOPE_MISSING, /* RMRR, ATSR, SATC, SIDP that names no device */
	VTD_DMAR_DEFECT_SCOPE_TWICE,   /* one device in the scopes of two units */
	VTD_DMAR_DEFECT_NO_UNITS,
	VTD_DMAR_FINDINGS,
};

/** One finding. @p text is valid during the call only. */
struct vtd_dmar_finding {
	enum vtd_dmar_finding_kind kind;
	bool is_defect;
	uint32_t offset;  /* byte in the table */
	const char *text; /* names the thing, its value, and what would be right */
};

/** How to parse. All zero is right for tests. */
struct vtd_dmar_options {
	void *ctx;
	/** NULL, or: called for each note and defect, in ascending order of structure. */
	void (*report)(void *ctx, const struct vtd_dmar_finding *finding);
	/** NULL, or: does the machine have this PCI segment (MCFG, or 0)? */
	bool (*has_segment)(void *ctx, uint16_t segment);
	/** The first defect is fatal. */
	bool strict;
};

enum {
	VTD_DMAR_MAX_STRUCTURES = 4096, /* more is refused: checks are quadratic */
	VTD_DMAR_MAX_SCOPES = 4096,     /* likewise */
	VTD_DMAR_ERROR_TEXT = 120,
};

struct vtd_dmar {
	const uint8_t *table;
	uint32_t bytes; /* the table's own length */
	uint8_t revision;
	unsigned host_address_width; /* bits: the stored field plus one */
	uint8_t flags;               /* VTD_DMAR_INTR_REMAP, ... */
	uint32_t structures;         /* of all types, unknown ones included */
	uint32_t count[VTD_DMAR_TYPES];
	uint32_t unknown; /* structures of unknown type */
	uint32_t scopes;  /* in all structures */
	uint32_t notes, defects;
	/* when refused */
	uint32_t error_offset;
	char error[VTD_DMAR_ERROR_TEXT]; /* without the offset */
};

/** Read the table at @p table, of which @p bytes may be read; any alignment.
 *  @p options NULL: report nothing, accept defects. 0; -EINVAL: refused,
 *  out->error and out->error_offset say why, everything else in @p out is 0. */
int must_check vtd_dmar_parse(const void *table, size_t bytes,
                              const struct vtd_dmar_options *options, struct vtd_dmar *out);

/** The next structure of @p type (or VTD_DMAR_ANY) after cursor @p at, which starts
 *  as 0. False: no more. */
bool vtd_dmar_next(const struct vtd_dmar *dmar, uint32_t type, uint32_t *at,
                   struct vtd_dmar_entry *out);

/** The next scope of @p entry after cursor @p at, which starts as 0. */
bool vtd_dmar_scope_next(const struct vtd_dmar *dmar, const struct vtd_dmar_entry *entry,
                         uint32_t *at, struct vtd_dmar_scope *out);

/** Does an endpoint or bridge scope name this device? A bridge scope names the bridge
 *  and everything below it. The segment is the entry's and not compared here. */
bool vtd_dmar_scope_names(const struct vtd_dmar_scope *scope, const struct iommu_device_desc *desc);

/** Does any scope of @p entry name the device, in the entry's segment? */
bool vtd_dmar_entry_names(const struct vtd_dmar *dmar, const struct vtd_dmar_entry *entry,
                          const struct iommu_device_desc *desc);

/** How well unit @p drhd fits the device: EXPLICIT by scope; REST by INCLUDE_PCI_ALL. */
enum iommu_claim vtd_dmar_claims(const struct vtd_dmar *dmar, const struct vtd_dmar_entry *drhd,
                                 const struct iommu_device_desc *desc);

/** May the device use ATS? Below a root port: if an ATSR names the port or all. On the
 *  root bus: yes (it is integrated). */
bool vtd_dmar_allows_ats(const struct vtd_dmar *dmar, const struct iommu_device_desc *desc);
/** Is ATS required of the device for it to work (SIDP; without any SIDP, SATC)? */
bool vtd_dmar_requires_ats(const struct vtd_dmar *dmar, const struct iommu_device_desc *desc);

/** The source id of an IOAPIC, HPET or ANDD scope: its path resolved to the last hop.
 *  @p secondary gives the secondary bus of a bridge, false if there is no such bridge;
 *  it is called only for paths of several hops and may be NULL if there are none.
 *  False: the path leads nowhere. */
bool vtd_dmar_scope_rid(const struct vtd_dmar_scope *scope, uint16_t segment,
                        bool (*secondary)(void *ctx, uint16_t segment, iommu_rid_t bridge,
                                          uint8_t *bus),
                        void *ctx, iommu_rid_t *out);

/** "DRHD", "RMRR", ...; "unknown". */
const char *vtd_dmar_type_name(uint32_t type);
/** "endpoint", "bridge", "IOAPIC", ...; "unknown". */
const char *vtd_dmar_scope_type_name(unsigned type);
/** The whole table for people, one line a structure and scope. */
void vtd_dmar_print(const struct vtd_dmar *dmar, struct iommu_print *to);

#endif
