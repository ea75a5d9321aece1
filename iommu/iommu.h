/* SPDX-License-Identifier: MIT */
/*
 * What an embedder calls. Read this first.
 *
 *   struct iommu core;
 *   iommu_init(&core, &os, &options);           hooks, policy
 *   iommu_probe(&core, &vtd_driver, &firmware); find units; touches nothing
 *   iommu_device_add(&core, &desc, &device);    every device that can master DMA
 *   iommu_enable(&core);                        now everything is blocked
 *   iommu_domain_alloc_user(device, flags, NULL, NULL, &domain);
 *   iommu_map(domain, ...); iommu_attach(device->group, domain);
 *   ...
 *   iommu_disable(&core);                       orderly hand-back
 *
 * Objects: an `iommu` has units (hardware) and devices (requesters). Devices that
 * cannot be told apart form a group; a group has at most one owner and each of
 * its devices the same domain. A domain is one translation. All state lies in
 * these objects; two `struct iommu` share nothing.
 *
 * Results are 0 or a negative errno and must be used. A call that fails leaves
 * everything as it was. Detach, unmap, free and disable do not fail.
 */
#ifndef IOMMU_IOMMU_H
#define IOMMU_IOMMU_H

#include "iommu/ops.h"
#include "iommu/os.h"
#include "iommu/print.h"
#include "iommu/types.h"
#include "iommu/walk.h"

enum { IOMMU_FAULT_LOG = 64 };

struct iommu_group {
	struct iommu *iommu;
	uint32_t id;
	struct iommu_device *devices; /* next_in_group */
	const void *owner;            /* NULL: nobody */
	uint32_t owner_count;
	struct iommu_domain *domain; /* NULL: blocked */
	struct iommu_group *next;
};

struct iommu {
	const struct iommu_os *os;
	struct iommu_options options;
	struct iommu_lock lock;       /* units, devices, groups, attachments */
	struct iommu_lock fault_lock; /* fault log and counts; innermost */
	struct iommu_unit *units;
	struct iommu_device *devices;
	struct iommu_group *groups;
	bool enabled;
	uint64_t fault_count;
	struct iommu_fault faults[IOMMU_FAULT_LOG]; /* ring: sequence s at (s-1) % size */
};

/** Set up an empty core in caller's memory. @p os outlives it. @p options NULL:
 *  all zero. 0 or -ENOMEM. */
int must_check iommu_init(struct iommu *iommu, const struct iommu_os *os,
                          const struct iommu_options *options);
/** Disable and free all units, devices and groups. Every domain is freed already. */
void iommu_exit(struct iommu *iommu);

/** Let @p driver find its units. Returns how many, or an error. */
int must_check iommu_probe(struct iommu *iommu, const struct iommu_driver *driver,
                           const struct iommu_firmware *firmware);

/** Add a requester; finds its unit and its group. 0, -ENOMEM, -EEXIST if segment
 *  and rid are known, -EINVAL. A device without a unit is added, with unit NULL. */
int must_check iommu_device_add(struct iommu *iommu, const struct iommu_device_desc *desc,
                                struct iommu_device **out);
/** The device leaves; it is attached nowhere and its group is not owned. */
void iommu_device_remove(struct iommu_device *device);
/** By requester id, aliases included; NULL if unknown. */
struct iommu_device *iommu_device_find(struct iommu *iommu, uint16_t segment, iommu_rid_t rid);

/** Take all units over. On failure those that were enabled are handed back. */
int must_check iommu_enable(struct iommu *iommu);
void iommu_disable(struct iommu *iommu);

/** Claim a group for @p owner (any address that stands for one). Counted: the
 *  same owner may claim again. -EBUSY if another has it. */
int must_check iommu_group_claim(struct iommu_group *group, const void *owner);
/** Undo one claim. At the last one, the group is blocked, all PASIDs of its devices too. */
void iommu_group_release(struct iommu_group *group, const void *owner);

/** Make a domain for a user through the unit's domain_alloc_user. -EOPNOTSUPP for
 *  unknown flags or a format that cannot be had, -ENODEV without a unit, -EINVAL
 *  for a parent that is none. The domain keeps its parent busy. */
int must_check iommu_domain_alloc_user(struct iommu_device *device, uint32_t flags,
                                       struct iommu_domain *parent,
                                       const struct iommu_user_data *data,
                                       struct iommu_domain **out);
int must_check iommu_domain_alloc_identity(struct iommu_device *device, struct iommu_domain **out);
/** Free it. 0, or -EBUSY while it is attached or has children. */
int must_check iommu_domain_free(struct iommu_domain *domain);

/** Give every device of @p group the translation of @p domain in place of what it
 *  has: attach and replace are one. On failure all keep what they had. */
int must_check iommu_attach(struct iommu_group *group, struct iommu_domain *domain);
/** Block every device of the group, but for requests with a PASID. */
void iommu_detach(struct iommu_group *group);

/** Give one PASID of @p device the translation of @p domain in place of what that PASID
 *  has; the device's group has no other device. On failure it keeps what it has. 0,
 *  -EINVAL (no such PASID here, the domain does not fit, more devices in the group),
 *  -EOPNOTSUPP (device or unit without PASIDs), -ENOMEM, and as iommu_attach(). */
int must_check iommu_attach_pasid(struct iommu_device *device, uint32_t pasid,
                                  struct iommu_domain *domain);
/** Block one PASID; nothing happens if it is blocked. */
void iommu_detach_pasid(struct iommu_device *device, uint32_t pasid);
/** What (device, pasid) has; IOMMU_NO_PASID: requests without PASID. NULL: blocked. Takes no
 *  lock: call with iommu->lock held, or where nobody else attaches the device. */
struct iommu_domain *iommu_pasid_domain(const struct iommu_device *device, uint32_t pasid);

/** Forget parts of a user's stage-1 table; see iommu_domain_ops.invalidate_user.
 *  -EOPNOTSUPP if the domain is not nested. */
int must_check iommu_domain_invalidate_user(struct iommu_domain *domain,
                                            struct iommu_user_array *array);

/** Answer a page request: @p request as the sink got it. No lock of the sink's is held. 0,
 *  -EOPNOTSUPP, -ETIMEDOUT, -EIO. */
int must_check iommu_page_respond(const struct iommu_page_request *request,
                                  enum iommu_page_answer answer);

/* ---- mapping --------------------------------------------------------------- */

/** Flush and release; the gather is empty after. See iommu_domain_ops.flush. */
int must_check iommu_flush(struct iommu_gather *gather);

/** Map a list of extents one after another from @p start; all or nothing. The
 *  caller flushes @p gather, also on failure. 0, -EINVAL for misaligned or empty
 *  extents or addresses outside the aperture, or as iommu_domain_ops.map. */
int must_check iommu_map(struct iommu_domain *domain, iova_t start,
                         const struct iommu_extent *extents, size_t count, uint32_t rights,
                         struct iommu_gather *gather);
/** iommu_map() for who knows that each extent consists of 4 KiB pages, is not empty and does not
 *  wrap around, and that they are @p bytes together. */
int must_check iommu_map_runs(struct iommu_domain *domain, iova_t start,
                              const struct iommu_extent *extents, size_t count, uint64_t bytes,
                              uint32_t rights, struct iommu_gather *gather);
/** iommu_map() of one extent, for who knows that it is not empty, is aligned to the domain's
 *  smallest page and lies in its aperture, and that the domain maps. */
static inline int must_check iommu_map_run(struct iommu_domain *domain, iova_t start, pa_t to,
                                           uint64_t bytes, uint32_t rights,
                                           struct iommu_gather *gather)
{
	return domain->ops->map(domain, start, to, bytes, rights, gather);
}
/** iommu_unmap() of a range that is not empty and does not wrap around, likewise. */
static inline uint64_t iommu_unmap_run(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                                       struct iommu_gather *gather)
{
	return domain->ops->unmap(domain, start, bytes, gather);
}
/** Of calls that change one domain, iommu_map() with IOMMU_BESIDE in its rights and
 *  iommu_unmap() may run at the same time, for ranges that do not overlap. Who maps so, and
 *  fails, unmaps the range, and calls this at a time when nobody else uses the domain: empty
 *  tables go into @p gather. */
void iommu_trim(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                struct iommu_gather *gather);
/** Unmap; the memory may be reused only after iommu_flush() returned 0. */
uint64_t iommu_unmap(struct iommu_domain *domain, iova_t start, uint64_t bytes,
                     struct iommu_gather *gather);

/** Where @p at leads by the domain's own table: false if nowhere. No lock is taken: the caller
 *  sees to it that what is mapped there stays. */
bool iommu_iova_to_phys(struct iommu_domain *domain, iova_t at, pa_t *out);

/* ---- faults ---------------------------------------------------------------- */

/** Drain the fault logs of all units. Returns faults drained. */
unsigned iommu_poll(struct iommu *iommu);
/** Copy the fault with number @p sequence; false if it is none of the last
 *  IOMMU_FAULT_LOG. */
bool iommu_fault_get(struct iommu *iommu, uint64_t sequence, struct iommu_fault *out);
/** Print a fault, and the table walk at its address as memory is now. */
void iommu_fault_print(const struct iommu_fault *fault, struct iommu_print *to);

#endif
