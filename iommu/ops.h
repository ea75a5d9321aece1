/* SPDX-License-Identifier: MIT */
/*
 * What a driver supplies, and the objects that driver and core share.
 *
 * A driver is one `struct iommu_driver`. Its probe() finds units and adds each
 * with iommu_unit_add(); from then on the core speaks to a unit through its
 * ops. A driver embeds struct iommu_unit, iommu_device's driver data and
 * struct iommu_domain in structures of its own.
 *
 * Locking. The core calls every unit op with iommu->lock held, except poll,
 * describe and walk. Domain ops map, unmap, lookup, visit: the caller keeps two
 * calls that touch overlapping addresses apart; the driver makes the rest safe.
 * Lock order: ufd objects, iommu->lock, driver's own locks (unit queue last).
 */
#ifndef IOMMU_OPS_H
#define IOMMU_OPS_H

#include "iommu/field.h"
#include "iommu/gather.h"
#include "iommu/os.h"
#include "iommu/print.h"
#include "iommu/types.h"
#include "iommu/walk.h"

struct iommu;
struct iommu_device;
struct iommu_domain;
struct iommu_group;
struct iommu_unit;

/* ---- domains ------------------------------------------------------------- */

/** What a domain does with an address; fixed for its life. */
enum iommu_stage {
	IOMMU_STAGE_BLOCKED,  /* nothing passes */
	IOMMU_STAGE_IDENTITY, /* everything passes unchanged */
	IOMMU_STAGE_FIRST,    /* a table in the first-stage format */
	IOMMU_STAGE_SECOND,   /* a table in the second-stage format */
	IOMMU_STAGE_NESTED,   /* a user's first stage on a second-stage parent */
};

/** Flags of domain_alloc_user: the numbers of IOMMU_HWPT_ALLOC's flags. */
enum {
	IOMMU_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_ALLOC_FAULT_ID_VALID = 1 << 2,
	IOMMU_ALLOC_PASID = 1 << 3,
};

/** Data that a user hands to domain_alloc_user: already copied from user memory,
 *  read-only, valid during the call. */
struct iommu_user_data {
	uint32_t type; /* IOMMU_HWPT_DATA_... */
	uint32_t bytes;
	const void *start;
};

/** A user's array of structures, still in user memory. Whoever makes it fills in all but
 *  `done`; read its entries with iommu_user_array_get(). */
struct iommu_user_array {
	uint32_t type;        /* IOMMU_HWPT_INVALIDATE_DATA_... */
	uint32_t entry_bytes; /* of one entry, as the user has it */
	uint32_t count;       /* of entries */
	uint32_t done;        /* out: entries carried out, all before the first that failed */
	/** Copy @p bytes that begin @p offset bytes into the array. 0 or -EFAULT. */
	int (*copy)(void *ctx, uint64_t offset, void *out, size_t bytes);
	void *ctx;
};

/** One leaf that an address translates to. */
struct iommu_leaf {
	iova_t iova;    /* start of the page */
	pa_t pa;        /* start of the page */
	uint64_t bytes; /* page size */
	uint32_t rights;
	uint64_t entry; /* raw */
	pa_t entry_pa;  /* where the entry lies */
	bool dirty;     /* if the format keeps it */
};

struct iommu_viommu;
struct iommu_viommu_data;

struct iommu_domain_ops {
	/** Map [start, start+bytes) to physical memory at @p to, in the largest pages
	 *  that alignment and hardware allow. All or nothing. Start, length and
	 *  @p to are multiples of the smallest page; the range lies in the aperture.
	 *  0, -ENOMEM, -EEXIST if any part is mapped, -EOPNOTSUPP for rights that
	 *  the format cannot express. What must be flushed goes into @p gather. */
	int (*map)(struct iommu_domain *domain, iova_t start, pa_t to, uint64_t bytes,
	           uint32_t rights, struct iommu_gather *gather);
	/** NULL, or the short way for scattered memory: map as many of @p extents, from the
	 *  first on, as are single pages of 4 KiB with no neighbour behind them, lie in one
	 *  table that is there, and are free. Returns how many; where it stops, map() goes on
	 *  or says why not. Makes no table, and cannot fail. */
	size_t (*map_pages)(struct iommu_domain *domain, iova_t start,
	                    const struct iommu_extent *extents, size_t count, uint32_t rights,
	                    struct iommu_gather *gather);
	/** Unmap every leaf that lies in [start, start+bytes); holes are skipped.
	 *  Returns the bytes that were mapped. A leaf that is larger than the range
	 *  ends it there and is left alone. Cannot fail. */
	uint64_t (*unmap)(struct iommu_domain *domain, iova_t start, uint64_t bytes,
	                  struct iommu_gather *gather);
	/** With map. Take the tables without a leaf out that the range touches, into @p gather:
	 *  for who mapped with IOMMU_BESIDE and failed. Nobody else uses the domain meanwhile. */
	void (*trim)(struct iommu_domain *domain, iova_t start, uint64_t bytes,
	             struct iommu_gather *gather);
	/** The leaf that @p at translates to; false if none. */
	bool (*lookup)(struct iommu_domain *domain, iova_t at, struct iommu_leaf *out);
	/** NULL, or the same, in fewer steps, for who wants the physical address only. */
	bool (*iova_to_phys)(struct iommu_domain *domain, iova_t at, pa_t *out);
	/** Call @p visit for each leaf in [first, last], ascending. It returns false
	 *  to stop. Returns false if stopped. */
	bool (*visit)(struct iommu_domain *domain, iova_t first, iova_t last,
	              bool (*visit)(void *arg, const struct iommu_leaf *leaf), void *arg);
	/** Append the table steps of @p at to @p walk (see iommu/walk.h). */
	void (*walk)(struct iommu_domain *domain, iova_t at, uint32_t access,
	             struct iommu_walk *walk);
	/** Make the hardware forget what @p gather names, on every unit and device
	 *  where the domain or a child of it is attached; then give the gathered
	 *  table pages back. 0, or -ETIMEDOUT / -EIO when a unit did not answer: the
	 *  pages are then kept out of use for good. */
	int (*flush)(struct iommu_domain *domain, struct iommu_gather *gather);
	/** Nested domains; else NULL. The user changed its stage-1 table: forget what each
	 *  entry of @p array names, in order, on every unit and device where the domain is
	 *  attached, and wait until that is done. Sets array->done. 0; -EINVAL for a type
	 *  or an entry that cannot be, -EOPNOTSUPP for unknown flags, -EFAULT, -E2BIG,
	 *  -ETIMEDOUT / -EIO. Called without iommu->lock. */
	int (*invalidate_user)(struct iommu_domain *domain, struct iommu_user_array *array);
	/** NULL: the domain cannot track. Begin or end to note which pages were written; it
	 *  begins with all pages clean. Only for domains made with
	 *  IOMMU_ALLOC_DIRTY_TRACKING. Called without iommu->lock, and under the lock that
	 *  its maps and unmaps are under: it reads the tables. 0, -ETIMEDOUT, -EIO. */
	int (*dirty_tracking)(struct iommu_domain *domain, bool on);
	/** Call @p written (NULL: nobody) for each run of adjacent leaves that overlap
	 *  [first, last] and were written: whole leaves, ascending. @p clear: they are made
	 *  clean first, and go into @p gather, for the caller to flush. NULL with
	 *  dirty_tracking. Locked as that is. */
	void (*read_dirty)(struct iommu_domain *domain, iova_t first, iova_t last, bool clear,
	                   void (*written)(void *arg, iova_t first, iova_t last), void *arg,
	                   struct iommu_gather *gather);
	/** Free a domain that is attached nowhere and has no children. The tables go
	 *  with it, mapped leaves or not. Cannot fail. */
	void (*free)(struct iommu_domain *domain);
};

/** The part of a domain that the core knows. A driver embeds it, first fills in
 *  all below `iommu`, and owns the memory. */
struct iommu_domain {
	struct iommu *iommu;
	struct iommu_unit *unit; /* the unit that it was made for */
	const struct iommu_domain_ops *ops;
	enum iommu_stage stage;
	const char *format;          /* for people: "VT-d second-stage, 4 levels" */
	uint32_t flags;              /* IOMMU_ALLOC_... that it was made with */
	uint64_t page_sizes;         /* bit n: pages of 2^n bytes */
	iova_t first, last;          /* aperture */
	uint32_t max_rights;         /* rights that the format can express */
	struct iommu_domain *parent; /* nested: the second stage */
	/** Nested: the vIOMMU that it was made in, or NULL; set by who made it. A driver may
	 *  refuse to attach a device that the vIOMMU does not know: -ENOENT. */
	struct iommu_viommu *viommu;
	/** Where page requests go; NULL: they are answered "invalid". Set by who made the
	 *  domain, before it is attached, and not changed while it is. */
	struct iommu_page_sink *page_sink;
	/* kept by the core, under iommu->lock */
	uint32_t children;    /* nested domains on this one */
	uint32_t attachments; /* (device, PASID) pairs */
	/* NEST_PARENT was granted by iommu_options.nest_any: the hardware cannot nest */
	bool not_nestable;
	/** A unit did not confirm that it forgot the domain when it was detached: what it maps
	 *  may be reached for good. Set by the driver, atomically, and never cleared; from then
	 *  on flushes fail. */
	bool unforgotten;
};

/* ---- devices ------------------------------------------------------------- */

/** A hop of the path from the root bus to a device. */
struct iommu_hop {
	uint8_t bus, devfn;
};

enum { IOMMU_MAX_HOPS = 16, IOMMU_MAX_ALIASES = 8 };

/** Addresses that a device may use in no other way than stated. */
enum iommu_reserved_kind {
	IOMMU_RESERVED_DIRECT,    /* firmware's region (RMRR): mapped one to one, always */
	IOMMU_RESERVED_RELAXABLE, /* the same, but the device can do without (USB, graphics) */
	IOMMU_RESERVED_MSI,       /* the interrupt window */
	IOMMU_RESERVED_NONE,      /* unusable: beyond the unit's reach */
};

struct iommu_reserved {
	struct iommu_reserved *next;
	iova_t first, last;
	enum iommu_reserved_kind kind;
};

/** What the embedder knows of a device; copied by iommu_device_add(). */
struct iommu_device_desc {
	char name[16]; /* for people: "00:04.0" */
	uint16_t segment;
	iommu_rid_t rid;
	uint8_t hop_count; /* bridges from the root bus, then the device itself */
	struct iommu_hop hops[IOMMU_MAX_HOPS];
	uint8_t alias_count; /* further requester ids that its requests may carry */
	iommu_rid_t aliases[IOMMU_MAX_ALIASES];
	uint32_t group;          /* devices with one number cannot be told apart */
	uint32_t class_code;     /* PCI class, 24 bits */
	bool is_bridge;          /* forwards requests of others */
	uint8_t ats_queue_depth; /* 0: no ATS; else outstanding invalidations 1..32 */
	uint8_t pasid_bits;      /* 0: sends no PASIDs; else PASIDs below 2^pasid_bits, 1..20 */
	bool pasid_exec;         /* its PASID capability has execute permission on, */
	bool pasid_priv;         /* and privileged mode */
	bool page_requests;      /* sends page requests (PRI); needs ATS */
	/** NULL, or: switch the function's ATS, PASID and PRI capabilities on or off as the
	 *  driver wants them; called with iommu->lock held. 0, or -EIO if it cannot be. */
	int (*capabilities_set)(void *ctx, bool ats, bool pasid, bool page_requests);
	void *capabilities_ctx;
};

/** The translation of one PASID of a device. */
struct iommu_pasid {
	struct iommu_pasid *next;
	uint32_t pasid;
	struct iommu_domain *domain;
};

struct iommu_device {
	struct iommu *iommu;
	struct iommu_device_desc desc;
	struct iommu_unit *unit; /* NULL: no unit translates for it */
	struct iommu_group *group;
	struct iommu_domain *domain; /* NULL: blocked (or firmware's regions only) */
	struct iommu_pasid *pasids;  /* PASIDs that have one; kept by the core */
	uint8_t pasid_bits; /* usable PASIDs are below 2^this, 0: none; set by device_add */
	bool ats;           /* it may translate for itself; set by device_add */
	bool page_requests; /* its page requests can be answered; set by device_add */
	struct iommu_reserved *reserved; /* driver and core append in device_add */
	uint64_t faults;                 /* recorded for any of its requester ids */
	void *driver_data;
	struct iommu_device *next, *next_in_group;
};

/* ---- page requests --------------------------------------------------------- */

/** A device asks for a page that its translation does not give. */
struct iommu_page_request {
	struct iommu_device *device;
	bool has_pasid;
	uint32_t pasid;
	uint16_t group;  /* answers go to the group, 9 bits */
	bool last;       /* of its group: only then an answer is due */
	iova_t address;  /* page */
	uint32_t access; /* IOMMU_READ, IOMMU_WRITE, IOMMU_EXEC */
	bool privileged;
};

/** The numbers of IOMMUFD_PAGE_RESP_... */
enum iommu_page_answer { IOMMU_PAGE_SUCCESS, IOMMU_PAGE_INVALID };

/** Who answers the page requests of a domain; embedded in a structure of its owner. */
struct iommu_page_sink {
	/** Take a request; iommu->lock is held, so be quick, and answer later by
	 *  iommu_page_respond(). False: cannot take it; the core answers "invalid". */
	bool (*request)(struct iommu_page_sink *sink, struct iommu_domain *domain,
	                const struct iommu_page_request *request);
};

/* ---- units --------------------------------------------------------------- */

/** Which table layout a driver programs, where the hardware has a choice. */
enum iommu_mode {
	IOMMU_MODE_AUTO, /* VT-d: scalable where it is complete, else legacy */
	IOMMU_MODE_LEGACY,
	IOMMU_MODE_SCALABLE, /* an error where the hardware lacks it */
};

/** How well a unit matches a device. */
enum iommu_claim { IOMMU_CLAIM_NO, IOMMU_CLAIM_REST, IOMMU_CLAIM_EXPLICIT };

struct iommu_unit_ops {
	/** Take the hardware over: from here on every request is blocked but those
	 *  to firmware's direct regions. On failure the unit is as it was found. */
	int (*enable)(struct iommu_unit *unit);
	/** Hand the hardware back: translation off, in the specification's order.
	 *  Called at power-off and reset; must work from any state. */
	void (*disable)(struct iommu_unit *unit);
	/** Free the unit; it is disabled and has no device. */
	void (*remove)(struct iommu_unit *unit);

	/** Does the unit translate for this device? */
	enum iommu_claim (*claims)(struct iommu_unit *unit, const struct iommu_device_desc *desc);
	/** A device joins: reserve its regions, keep driver data. Blocked until
	 *  attached. May be called before and after enable. */
	int (*device_add)(struct iommu_unit *unit, struct iommu_device *device);
	void (*device_remove)(struct iommu_unit *unit, struct iommu_device *device);

	/** The one way to make a domain for a user. Without flags: the format that
	 *  the driver prefers for the device. IOMMU_ALLOC_NEST_PARENT: a
	 *  second-stage table or -EOPNOTSUPP. Unknown flags: -EOPNOTSUPP. With
	 *  @p parent, @p data describes the stage-1 table that the user owns. */
	int (*domain_alloc_user)(struct iommu_device *device, uint32_t flags,
	                         struct iommu_domain *parent, const struct iommu_user_data *data,
	                         struct iommu_domain **out);
	/** A domain that passes everything unchanged. NULL: not supported. */
	int (*domain_alloc_identity)(struct iommu_device *device, struct iommu_domain **out);

	/** Give (device, pasid) the translation of @p domain in place of @p old; NULL
	 *  is blocked. On failure the old one stays in force. With @p domain NULL it
	 *  does not fail: a unit that no longer answers is logged. -EINVAL: the
	 *  domain's format or width does not fit this device's unit. */
	int (*attach)(struct iommu_device *device, uint32_t pasid, struct iommu_domain *domain,
	              struct iommu_domain *old);

	/** Answer a page request of @p device: @p request as it was reported. NULL: the unit
	 *  has no page requests. 0, -ETIMEDOUT, -EIO. */
	int (*page_respond)(struct iommu_device *device, const struct iommu_page_request *request,
	                    enum iommu_page_answer answer);

	/** The hardware-information structure of GET_HW_INFO: its type number, and up
	 *  to @p capacity bytes. Returns the full length, or an error. */
	int (*hw_info)(struct iommu_device *device, uint32_t *type, void *out, size_t capacity);

	/** NULL: no vIOMMUs. Make one of data->type for @p device on @p parent, a NEST_PARENT
	 *  domain of the unit: see iommu/viommu.h. 0, -EOPNOTSUPP (no such type), -EINVAL,
	 *  -ENOMEM. Called without iommu->lock. */
	int (*viommu_alloc)(struct iommu_device *device, struct iommu_domain *parent,
	                    struct iommu_viommu_data *data, struct iommu_viommu **out);

	/** A nested domain that a device has without PASID serves the device's PASIDs too: the
	 *  user owns the PASID table. So page requests of PASIDs that have no domain of their
	 *  own go where that domain's go. */
	bool user_pasid_tables;

	/** NULL: no. Can domains with IOMMU_ALLOC_DIRTY_TRACKING be made for @p device? */
	bool (*can_track_dirty)(struct iommu_device *device);

	/** Drain the fault log into iommu_report_fault(). Returns faults drained.
	 *  Safe from an interrupt. */
	unsigned (*poll)(struct iommu_unit *unit);
	/** The steps a request of @p rid at @p at takes through the tables in memory,
	 *  from the root table on, as the hardware would read them now. */
	void (*walk)(struct iommu_unit *unit, iommu_rid_t rid, uint32_t pasid, iova_t at,
	             uint32_t access, struct iommu_walk *walk);
	/** Print for people: registers and capabilities decoded. */
	void (*describe)(struct iommu_unit *unit, struct iommu_print *to);
	/** Print invalidation and register-access counts. */
	void (*describe_stats)(struct iommu_unit *unit, struct iommu_print *to);
};

struct iommu_unit {
	struct iommu *iommu;
	const struct iommu_unit_ops *ops;
	char name[16]; /* "vtd0" */
	uint16_t segment;
	bool enabled;
	enum iommu_mode mode; /* the table layout in use; AUTO: there is no choice, or not said */
	struct iommu_unit *next;
};

/** A firmware table or whatever else a driver's probe() reads. */
struct iommu_firmware {
	const void *table; /* VT-d: the whole DMAR table, header included */
	size_t bytes;
};

struct iommu_driver {
	const char *name;
	/** Find units, read their capabilities, add each with iommu_unit_add().
	 *  Changes nothing in hardware. Returns the number of units, 0 included, or
	 *  an error after which nothing was added. */
	int (*probe)(struct iommu *iommu, const struct iommu_firmware *firmware);
};

/* ---- policy -------------------------------------------------------------- */

struct iommu_fault;

struct iommu_options {
	enum iommu_mode mode;
	/** Grant NEST_PARENT with a second-stage table on hardware that cannot nest;
	 *  the domain is marked not_nestable. For experiments. May change at any time. */
	bool nest_any;
	/** Called for each fault, after it was counted; may be NULL. Must be quick. */
	void (*on_fault)(void *ctx, const struct iommu_fault *fault);
	void *ctx;
};

/** The hooks and the policy of a core. */
const struct iommu_os *iommu_os(const struct iommu *iommu);
const struct iommu_options *iommu_options(const struct iommu *iommu);

/* ---- what a driver calls ------------------------------------------------- */

/** Add a unit that the driver made; ops, name, segment are filled in. */
void iommu_unit_add(struct iommu *iommu, struct iommu_unit *unit);

/** Reserve [first, last] for @p device. 0, -ENOMEM, -EINVAL if last < first. */
int must_check iommu_device_reserve(struct iommu_device *device, iova_t first, iova_t last,
                                    enum iommu_reserved_kind kind);

/** One fault, as the hardware recorded it. Strings are constants. */
struct iommu_fault {
	struct iommu_unit *unit;
	struct iommu_device *device; /* filled by the core; NULL: unknown requester */
	iommu_rid_t rid;
	bool has_pasid;
	uint32_t pasid;
	iova_t address;       /* page of the request; interrupt index for interrupt faults */
	uint32_t access;      /* IOMMU_READ, IOMMU_WRITE, ... of the request */
	uint16_t reason;      /* the specification's number */
	const char *mnemonic; /* "LGN.2" */
	const char *text;     /* "no write permission" */
	bool interrupt;       /* an interrupt request, not DMA */
	uint64_t sequence;    /* filled by the core: 1, 2, ... */
};

/** Hand a fault to the core: counted, kept, and given to the embedder. Safe from
 *  an interrupt and with driver locks held other than the unit queue's. */
void iommu_report_fault(struct iommu *iommu, struct iommu_fault *fault);

/** Hand a page request to the sink of the domain that (device, pasid) has; without one it
 *  is answered "invalid", if an answer is due. Takes iommu->lock: call with no lock held.
 *  @p request->device is found by rid through iommu_device_find(). */
void iommu_report_page_request(struct iommu *iommu, const struct iommu_page_request *request);
/** The same for who knows a requester id of @p unit's only: @p request->device is filled in
 *  while the device cannot leave. False: no device has the id, and nothing was done. */
bool must_check iommu_report_page_request_from(struct iommu_unit *unit, iommu_rid_t rid,
                                               struct iommu_page_request *request);

/** Copy a user's structure out of @p data into @p out of @p known bytes. Shorter
 *  than @p least: -EINVAL. Longer than known: zero beyond, or -E2BIG. Wrong
 *  type: -EINVAL. What is missing is zero. */
int must_check iommu_user_data_copy(const struct iommu_user_data *data, uint32_t type, void *out,
                                    size_t known, size_t least);

/** Copy entry @p index into @p out of @p known bytes, zero-extended. -EINVAL if entries
 *  have less than @p least bytes, -E2BIG if one has a byte beyond @p known that is not
 *  zero, -EFAULT. */
int must_check iommu_user_array_get(struct iommu_user_array *array, uint32_t index, void *out,
                                    size_t known, size_t least);

#endif
