/* SPDX-License-Identifier: MIT */
/*
 * Domains: one translation, its page table, and its cache tags, that is, under which
 * ids which units may hold entries of it. VT-d specification 5.10, sections 6.2 and
 * 6.5.2.13.
 *
 * Every domain has one domain id of its own on every unit where it is attached, for all
 * PASIDs: no two domains share one, so the rules about equal ids (section 6.2.2) always
 * hold. An id lives from the first attachment on a unit to the last; before it is given
 * to another domain, the unit has forgotten it.
 *
 * Locking: domain->lock guards tags and children, and is taken by flush; attach takes
 * it inside iommu->lock; a parent's is taken before a child's.
 */
#ifndef VTD_DOMAIN_H
#define VTD_DOMAIN_H

#include "iommu/ops.h"
#include "iommu/pt.h"
#include "vtd/invalidate.h"
#include "vtd/unit.h"

/** What is common to the page-table formats: each is one C file (second_stage.c,
 *  first_stage.c) that includes domain_format.h. */
struct vtd_format {
	struct iommu_domain_ops ops;
	int (*init)(struct pt *pt, const struct iommu_os *os, unsigned levels, uint64_t page_sizes,
	            uint64_t leaf_bits, bool coherent);
	void (*destroy)(struct pt *pt);
	void (*reserve)(struct pt *pt, uint64_t bits);
	void (*walk)(struct pt *pt, iova_t at, uint32_t access, struct iommu_walk *walk);
};
extern const struct vtd_format vtd_second_stage_format;
extern const struct vtd_format vtd_first_stage_format;
extern const struct iommu_domain_ops vtd_identity_ops;
extern const struct iommu_domain_ops vtd_nested_ops;

/** A cache tag: entries of the domain may be held by `unit` under `did`, whatever the PASID. */
struct vtd_tag {
	struct vtd_tag *next;
	struct vtd_unit *unit;
	struct vtd_attachment *attachments; /* ascending by PASID */
	uint32_t users;                     /* who keeps the id: attachments, firmware's regions */
	uint16_t did;
};

/** A user's first-stage table, in the address space of a second stage. */
struct vtd_nested {
	uint64_t table;  /* address of its top level */
	unsigned levels; /* 4 or 5 */
	uint64_t flags;  /* SRE, WPE and EAFE, as in qword 2 of a PASID entry */
};

struct vtd_domain {
	struct iommu_domain base;
	const struct vtd_format *format; /* NULL: identity, nested */
	struct pt pt;                    /* with a format */
	struct iommu_lock lock;
	struct vtd_tag *tags;
	struct vtd_domain *children, *sibling; /* nested on this one; next of the parent's */
	struct vtd_domain *parent;             /* nested: the second stage */
	struct vtd_nested nested;              /* nested: the first stage */
	bool write_buffer;                     /* some unit where it was attached has CAP.RWBF */
	bool poisoned; /* a unit may still walk the tables: they are never freed */
	bool tracking; /* second stage, under `lock`: units note what is written; see dirty.c */
	char text[48]; /* base.format */
};

static inline struct vtd_domain *vtd_domain_of(struct iommu_domain *domain)
{
	return container_of(domain, struct vtd_domain, base);
}

/** NULL if the domain is not one of this driver's. */
struct vtd_domain *vtd_domain_check(struct iommu_domain *domain);

/** Can the unit, in its mode, translate by a second stage, a first stage, nested? */
bool vtd_can_second(const struct vtd_unit *unit);
bool vtd_can_first(const struct vtd_unit *unit);
bool vtd_can_nest(const struct vtd_unit *unit);
/** Do the unit's table walks snoop the processor's caches? */
bool vtd_walks_snoop(const struct vtd_unit *unit);

/** As iommu_unit_ops. */
int vtd_domain_alloc_user(struct iommu_device *device, uint32_t flags, struct iommu_domain *parent,
                          const struct iommu_user_data *data, struct iommu_domain **out);
int vtd_domain_alloc_identity(struct iommu_device *device, struct iommu_domain **out);

/** Object and lock, counted on the unit; no table yet. 0, -ENOMEM. */
int must_check vtd_domain_new(struct vtd_unit *unit, struct vtd_domain **out);
/** A paging domain for @p unit: second stage if @p second, else first stage. 0, -ENOMEM,
 *  -EOPNOTSUPP if the unit's mode cannot translate so. */
int must_check vtd_domain_create(struct vtd_unit *unit, bool second, uint32_t flags,
                                 struct vtd_domain **out);
/** In the format that the driver prefers for the unit. */
int must_check vtd_domain_create_preferred(struct vtd_unit *unit, struct vtd_domain **out);

/** Can devices of @p unit be given this domain? 0, or -EINVAL after one line that names
 *  what does not fit. */
int must_check vtd_domain_fits(const struct vtd_domain *domain, struct vtd_unit *unit);

/* ---- flush.c: tags and flushing ------------------------------------------------- */

/** Count one more user of the domain id on @p unit. The first one allocates it. 0, -ENOMEM,
 *  -ENOSPC. iommu->lock is held. */
int must_check vtd_tag_get(struct vtd_domain *domain, struct vtd_unit *unit);
/** One user less; no entry of its names the domain. At the last one the unit forgets the id
 *  and it is free again. @p forgotten false: some of the invalidations that this takes
 *  failed already, so the id and the tables stay out of use. */
void vtd_tag_put(struct vtd_domain *domain, struct vtd_unit *unit, bool forgotten);
/** The domain id that the domain has there; it has one. */
uint16_t vtd_tag_did(const struct vtd_domain *domain, const struct vtd_unit *unit);
/** Flushes from now on, and no longer, think of (device, pasid). The tag has a user. */
void vtd_tag_list(struct vtd_domain *domain, struct vtd_unit *unit, struct vtd_attachment *entry,
                  struct vtd_device *device, uint32_t pasid);
void vtd_tag_unlist(struct vtd_domain *domain, struct vtd_unit *unit, struct vtd_attachment *entry);

/** The domain that a binding has is @p domain (NULL: none) from now on: listed there instead
 *  of with the one before. */
void vtd_binding_set(struct vtd_unit *unit, struct vtd_device *device, struct vtd_binding *binding,
                     struct vtd_domain *domain);

/** What a batch may hold beside other things: all that is cached for a device, under any of
 *  its PASIDs. */
void vtd_batch_add_bindings(struct vtd_batch *batch, struct vtd_device *device);

void vtd_domain_lock(struct vtd_domain *domain);
void vtd_domain_unlock(struct vtd_domain *domain);

/* ---- shared by the formats: as iommu_domain_ops ------------------------------- */

int vtd_domain_flush(struct iommu_domain *base, struct iommu_gather *gather);
void vtd_domain_free(struct iommu_domain *base);
/** May the mapping be made? 0, -EINVAL. Erratum 772415: nested translation may write flags
 *  through a read-only second stage, so a parent that hardware can nest on has none. */
static inline int must_check vtd_domain_may_map(const struct vtd_domain *domain, uint32_t rights)
{
	return domain->base.flags & IOMMU_ALLOC_NEST_PARENT && !domain->base.not_nestable &&
	                       !(rights & IOMMU_WRITE)
	               ? -EINVAL
	               : 0;
}

/* ---- dirty.c -------------------------------------------------------------------- */

/** NULL, or what the unit lacks for dirty tracking; a constant. */
const char *vtd_dirty_misfit(const struct vtd_unit *unit);
/** As iommu_unit_ops.can_track_dirty. */
bool vtd_can_track_dirty(struct iommu_device *device);
/** As iommu_domain_ops.dirty_tracking, of second-stage domains. */
int vtd_domain_dirty_tracking(struct iommu_domain *base, bool on);
/** The domain whose second stage the domain's entries lead to, itself or its parent: its
 *  `tracking` counts, and its lock. */
static inline struct vtd_domain *vtd_domain_tracker(struct vtd_domain *domain)
{
	return domain->parent ? domain->parent : domain;
}

/* ---- attach.c ------------------------------------------------------------------ */

/** As iommu_unit_ops.attach. */
int vtd_attach(struct iommu_device *core, uint32_t pasid, struct iommu_domain *domain,
               struct iommu_domain *old);
/** Point the entries of (device, pasid) at @p domain (NULL: nothing), which has an id on the
 *  unit, and make the unit forget what they said. They are written even when the
 *  invalidation fails. 0, -EIO, -ETIMEDOUT. */
int must_check vtd_device_program(struct vtd_unit *unit, struct vtd_device *device, uint32_t pasid,
                                  struct vtd_domain *domain);

#endif
