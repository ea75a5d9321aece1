/* SPDX-License-Identifier: MIT */
/*
 * A remapping unit as the driver keeps it, and the helpers that every file of the
 * driver uses: log lines, cache cleaning, entry stores, commands with a deadline.
 *
 * Locking. iommu->lock (held by the core around every unit op but poll, describe and
 * walk) guards devices, root/context/PASID tables and domain ids. `lock` serialises
 * the invalidation queue and the command registers; it is the innermost lock. Changes of
 * the list of devices and of context entries are made with both held: a device that does
 * not answer is found, and cut off, by who waits for the queue. `page_lock` guards the
 * page request queue, and is held only while requests are taken out of it.
 * `fault_lock` serialises the fault log and is taken from interrupts.
 */
#ifndef VTD_UNIT_H
#define VTD_UNIT_H

#include "iommu/ops.h"
#include "iommu/string.h"
#include "vtd/caps.h"
#include "vtd/dmar.h"
#include "vtd/regs.h"
#include "vtd/table.h"

struct vtd_domain;
struct vtd_unit;

/** The same where devices have to answer an invalidation: PCI Express gives them a minute and a
 *  half (PCI Express 6.0, 10.3.1); units give them up long before. */
#define VTD_DEVICE_DEADLINE_NS UINT64_C(90000000000)

enum {
	/** How long a command or an invalidation may take. Real units need microseconds. */
	VTD_DEADLINE_NS = 1000000000,
	/** A device's own requester id and its aliases. */
	VTD_MAX_RIDS = 1 + IOMMU_MAX_ALIASES,
};

/** One (device, PASID) whose entries name a domain, in the list of the domain's tag. */
struct vtd_attachment {
	struct vtd_attachment *next; /* of the tag, ascending by PASID */
	struct vtd_device *device;
	uint32_t pasid;
};

/** What the entries of one PASID of a device say. */
struct vtd_binding {
	struct vtd_binding *next; /* of the device; unused in `rid` */
	uint32_t pasid;
	struct vtd_domain *domain; /* NULL: nothing */
	/** [current] is listed with `domain`; the other is for the one that takes its place, so
	 *  that going back to firmware's regions needs no memory. */
	struct vtd_attachment attachments[2];
	unsigned current;
};

/** A requester, as iommu_device.driver_data. */
struct vtd_device {
	struct vtd_device *next; /* of the unit */
	struct iommu_device *device;
	unsigned rid_count;
	iommu_rid_t rids[VTD_MAX_RIDS]; /* its own first; no two alike */
	struct vtd_domain *firmware;    /* its RMRRs, one to one; NULL: none */
	struct vtd_binding rid;         /* requests without PASID */
	struct vtd_binding *pasids;     /* PASIDs that have a domain */
	unsigned pasid_bits;            /* usable PASIDs are below 2^this; 0: none */
	pa_t pasid_directory;           /* scalable mode; else 0 */
	/** Scalable mode: DTE and PRE of its context entries, as device TLBs and page requests
	 *  want them; see vtd_context_update(). */
	uint64_t context_flags;

	/* ATS and page requests: see device_tlb.h */
	bool can_ats, can_page;         /* the unit, firmware and the device can */
	unsigned ats_users, page_users; /* bindings whose domains use it */
	bool told_ats, told_page;       /* what the device was told to do */
	bool ats;                       /* it may hold translations (atomic) */
	bool silent;                    /* it did not answer: no ATS any more (atomic) */
};

struct vtd_stats {
	uint64_t flushes;                     /* of domains */
	uint64_t descriptors[VTD_DESC_TYPES]; /* by type, the waits included */
	uint64_t register_commands;           /* invalidations by CCMD and IOTLB */
	uint64_t merged;                      /* submissions that shared another one's wait */
	uint64_t queue_errors;                /* IQE, ICE, ITE seen */
	uint64_t cleans;                      /* cache lines of tables, page tables excluded */
	uint64_t faults, faults_lost;         /* drained; overflows of the log */
	uint64_t domains;                     /* alive that were made for the unit */
	uint64_t pages, pages_lost;           /* page requests; overflows of their queue */
	uint64_t silent;                      /* devices that did not answer an invalidation */
};

struct vtd_unit {
	struct iommu_unit base;
	const struct iommu_os *os;
	struct vtd_window window;
	pa_t registers;
	struct vtd_caps caps;
	unsigned host_bits; /* host address width, from the DMAR table */

	/* the firmware's table: this unit's own copy */
	void *dmar_copy;
	size_t dmar_bytes;
	struct vtd_dmar dmar;
	struct vtd_dmar_entry drhd;

	bool scalable;       /* which table layout; fixed at probe */
	const char *refusal; /* NULL, or why enable() must refuse; a constant */
	bool live;           /* the hardware walks our tables, or may */
	bool broken;         /* it stopped answering: every invalidation fails at once */
	pa_t root;
	struct vtd_device *devices;

	uint64_t *domain_ids; /* bitmap; bit 0 is never free */
	uint32_t domain_id_count;
	uint32_t domain_ids_used;

	struct vtd_request *requests; /* atomic: the last in line for the queue; submit.h */
	struct iommu_lock lock;
	bool queue_on;
	pa_t queue;          /* one page of descriptors, then one page: completion words */
	char *ring;          /* the same, for the processor */
	unsigned slot_bytes; /* 16 or 32... */
	unsigned slot_shift; /* ...as a shift */
	unsigned slots;
	unsigned tail;          /* next slot to fill */
	uint32_t sequence;      /* of the last wait */
	struct vtd_stats stats; /* here: a flush writes no more lines than it must */

	struct iommu_lock fault_lock;
	struct iommu_msi msi;
	bool has_msi;

	struct iommu_lock page_lock; /* the page request queue; taken inside iommu->lock */
	pa_t pages;                  /* its memory; 0: the unit or its mode has none */
	uint32_t page_head;          /* bytes: the next request to take */
	bool pages_on;
	bool pages_polled; /* somebody takes requests now; in order, so one at a time */
	struct iommu_msi page_msi;
	bool has_page_msi;
};

enum {
	VTD_QUEUE_ORDER = 1,
	VTD_PAGES_ORDER = 2, /* 512 page requests */
	/* offsets in the page of completion words */
	VTD_STATUS_WAIT = 0,    /* sequence number of the last completed wait */
	VTD_STATUS_SCRATCH = 8, /* where a descriptor that replaces a bad one writes */
};

static inline struct vtd_unit *vtd_unit_of(struct iommu_unit *unit)
{
	return container_of(unit, struct vtd_unit, base);
}

#define vtd_log(unit, level, format, ...)                                                          \
	iommu_log((unit)->os, level, "%s: " format, (unit)->base.name, ##__VA_ARGS__)

/** The CPU's pointer to a table page. */
static inline void *vtd_va(const struct vtd_unit *unit, pa_t address)
{
	return iommu_os_va(unit->os, address);
}

static inline unsigned vtd_domain_id_limit(const struct vtd_caps *caps)
{
	return 1u << (caps->domain_bits < 16 ? caps->domain_bits : 16);
}

/* ---- unit.c ------------------------------------------------------------------ */

/** Make [start, start + bytes) visible to a unit that does not snoop its tables
 *  (ECAP.C = 0), and order it before what follows. */
void vtd_clean(struct vtd_unit *unit, const void *start, size_t bytes);

/** Replace one 16-byte half of an entry at once: hardware sees the old half or the
 *  new one. Cleaned. @p words is 16-byte aligned. */
void vtd_store128(struct vtd_unit *unit, uint64_t *words, uint64_t low, uint64_t high);

/** Has @p deadline (os->now_ns + VTD_DEADLINE_NS when it began) passed? If not, relax. */
bool vtd_wait_over(struct vtd_unit *unit, uint64_t deadline);
uint64_t vtd_deadline(struct vtd_unit *unit);

/** Switch a toggle of GCMD (TE, QIE, IRE, CFI) and wait for its status. The caller
 *  holds unit->lock. 0, -ETIMEDOUT or -EIO, logged with unit and bit. */
int must_check vtd_command_toggle(struct vtd_unit *unit, uint32_t bit, bool on);
/** Latch RTADDR, and wait. Likewise. */
int must_check vtd_command_root(struct vtd_unit *unit);
/** Flush the chipset's write buffer if CAP.RWBF asks for it, and wait. Likewise. */
int must_check vtd_command_write_buffer(struct vtd_unit *unit);
/** The same if the unit uses our tables; takes unit->lock. */
int must_check vtd_flush_write_buffer(struct vtd_unit *unit);
/** "TES" for bit 31 of GSTS; NULL for bits without a name. */
const char *vtd_status_name(unsigned bit);

/** Make a unit for @p drhd: map and read its registers, decide its mode, allocate root
 *  table and queue. Changes nothing in hardware. 0, -ENOMEM, or -ENODEV after one
 *  line that says why the unit cannot be used. */
int must_check vtd_unit_create(struct iommu *iommu, const struct vtd_dmar *dmar,
                               const struct vtd_dmar_entry *drhd, unsigned number,
                               struct vtd_unit **out);
/** Free it: disabled, without devices. */
void vtd_unit_free(struct vtd_unit *unit);

/** A free domain id, 1 and up. 0 or -ENOSPC. */
int must_check vtd_domain_id_alloc(struct vtd_unit *unit, uint16_t *out);
void vtd_domain_id_free(struct vtd_unit *unit, uint16_t did);

/* ---- enable.c ---------------------------------------------------------------- */

/** As iommu_unit_ops. */
int vtd_unit_enable(struct iommu_unit *base);
void vtd_unit_disable(struct iommu_unit *base);

/** Must RTADDR.TTM change though firmware left translation on, on a unit that may not
 *  change it then (CAP.ESRTPS = 0)? */
bool vtd_mode_change_needs_te_off(const struct vtd_unit *unit, uint32_t gsts, uint64_t rtaddr,
                                  bool scalable);

#endif
