/* SPDX-License-Identifier: MIT */
/*
 * What the files of ufd/ share: descriptors, objects, and the lock order.
 *
 * A descriptor is /dev/iommu (struct ufd_context: a table of objects) or a device
 * (struct ufd_cdev). A bound device keeps its context alive, as VFIO does, so a
 * context may outlive its descriptor.
 *
 * Locks, outermost first. Code that holds one takes only those below it:
 *   ufd_cdev.lock          one call at a time on a device descriptor
 *   ufd_context.device_lock  groups, attachments, making and unmaking HWPTs
 *   ufd_fault_queue.io_lock, the same of event queues  one reader, writer or sweep at a time
 *   ufd_access.lock        which IOAS it is attached to
 *   ufd_ioas.lock          areas, ranges and HWPTs of one IOAS; never two at once
 *   ufd_context.pages_lock pin state of memory that areas share
 *   (iommu->lock, the drivers' locks, the memory provider's)
 *   ufd_fault_queue.lock, the same of event queues  what they hold: taken by who reports
 *   ufd_context.table_lock ids of objects
 *   ufd.lock               the descriptor table and the counts of its files
 * Map and unmap take ufd_ioas.lock and no other, so
 * calls on different IOASes do not contend. User memory is read and written, and
 * pinned, with these locks held; the provider must not call back.
 */
#ifndef UFD_PRIVATE_H
#define UFD_PRIVATE_H

#include "iommu/iova.h"
#include "iommu/viommu.h"
#include "ufd/iommufd.h"
#include "ufd/ufd.h"
#include "ufd/vfio.h"

/* ---- descriptors ------------------------------------------------------------- */

enum ufd_file_kind {
	UFD_FILE_CONTEXT,
	UFD_FILE_DEVICE,
	UFD_FILE_FAULT,
	UFD_FILE_ACCESS,
	UFD_FILE_EVENTS,
	UFD_FILE_LENDER
};

struct ufd_file {
	struct ufd *ufd;
	enum ufd_file_kind kind;
	uint32_t refs; /* under ufd->lock: the table's, bound devices' */
};

struct ufd_object;
struct ufd_place;
struct ufd_group;

enum { UFD_FIRST_PIECE = 256, UFD_PIECES = 15 };

struct ufd_context {
	struct ufd_file file;
	struct iommu_lock device_lock, pages_lock, table_lock;
	/* Places by id, in pieces of 256, 256, 512, 1024, ... which stay where they are. */
	struct ufd_place *pieces[UFD_PIECES];
	uint32_t capacity;    /* places that there are; atomic, grows under table_lock */
	uint32_t lowest_free; /* no id below this is free */
	struct ufd_group *groups;
	uint32_t vfio_ioas;     /* id, 0: none; under table_lock. It keeps nothing alive */
	bool rlimit_by_process; /* RLIMIT_MODE; written before there is an object */
};

struct ufd_device;

struct ufd_cdev {
	struct ufd_file file;
	struct iommu_device *device;
	struct iommu_lock lock;
	struct ufd_device *bound; /* written under lock and ufd->lock */
};

/** Drop a reference; the last one ends the file. No lock is held. */
void ufd_file_put(struct ufd_file *file);
/** The file of @p fd with a reference taken. -EBADF. */
int must_check ufd_file_get(struct ufd *ufd, int fd, struct ufd_file **out);
/** Put @p file, whose one reference becomes the table's, at the lowest free number.
 *  The number, or -EMFILE. */
int must_check ufd_file_install(struct ufd *ufd, struct ufd_file *file);
/** Undo that, if @p fd is still @p file: the table's reference goes. */
void ufd_file_uninstall(struct ufd *ufd, int fd, struct ufd_file *file);
/** End a context that nothing refers to: destroy its objects. */
void ufd_context_free(struct ufd_context *context);
int must_check ufd_context_new(struct ufd *ufd, struct ufd_context **out);
void ufd_cdev_free(struct ufd_cdev *cdev);
/** The file has become readable: tell who asked to know. Any lock but ufd->lock may be held. */
void ufd_file_wake(struct ufd_file *file);
/** One more reference to a file that has one. */
void ufd_file_hold(struct ufd_file *file);

static inline void ufd_lock(const struct ufd *ufd, struct iommu_lock *lock)
{
	ufd->os->lock(ufd->os->ctx, lock);
}

static inline void ufd_unlock(const struct ufd *ufd, struct iommu_lock *lock)
{
	ufd->os->unlock(ufd->os->ctx, lock);
}

static inline void *ufd_alloc(const struct ufd *ufd, size_t bytes)
{
	return ufd->os->alloc(ufd->os->ctx, bytes);
}

static inline void ufd_free(const struct ufd *ufd, void *object, size_t bytes)
{
	ufd->os->free(ufd->os->ctx, object, bytes);
}

/** Make @p count locks, or none. */
int must_check ufd_locks_init(const struct ufd *ufd, struct iommu_lock *const *locks,
                              const char *const *names, size_t count);

/** Say why a call is refused (a debug line), and return @p error. */
int ufd_refuse(const struct ufd *ufd, int error, const char *format, ...) printf_like(3, 4);

/* ---- user memory ------------------------------------------------------------------ */

/** Copy @p bytes at @p user; -EFAULT, also if the range wraps around. */
int must_check ufd_copy_in(const struct ufd *ufd, void *to, uint64_t user, size_t bytes);
int must_check ufd_copy_out(const struct ufd *ufd, uint64_t user, const void *from, size_t bytes);
/** Store @p bytes zeros at @p user. 0 or -EFAULT. */
int must_check ufd_zero_out(const struct ufd *ufd, uint64_t user, uint64_t bytes);

/** Are the @p bytes at @p user all zero? 0, -E2BIG, -EFAULT. */
int must_check ufd_check_zero(const struct ufd *ufd, uint64_t user, uint64_t bytes);

/** Copy a driver's structure: @p known bytes of the @p length at @p user (@p known is not
 *  more); the rest must be zero. 0, -EFAULT, -E2BIG (also beyond 4096 bytes). */
int must_check ufd_copy_in_struct(const struct ufd *ufd, void *to, uint64_t user, uint32_t known,
                                  uint32_t length);

/** A running call on /dev/iommu: the structure, zero-extended, and where it is. Each
 *  ufd_call_X() below is command IOMMU_X: called with no lock, it checks every field, answers
 *  by ufd_respond(), and returns 0 or a negative error after which all is as before. */
struct ufd_call {
	struct ufd *ufd;
	struct ufd_context *context;
	uint64_t user;
	uint32_t user_bytes; /* as the caller says */
	uint32_t bytes;      /* as this code knows the structure */
	void *arguments;
};

/** Write the structure back, as much of it as the caller has. 0 or -EFAULT. */
int must_check ufd_respond(const struct ufd_call *call);
int must_check ufd_cdev_ioctl(struct ufd_cdev *cdev, uint32_t command, uint64_t user);

#include "ufd/private_object.h"

struct ufd_loan;

/* ---- memory: ufd/pages.c ---------------------------------------------------------------- */

struct ufd_pages;

/** A run of user memory, mapped at an IOVA. 64 bytes. */
struct ufd_area {
	struct iova_node node; /* first */
	uintptr_t pages;       /* struct ufd_pages *; bits 1:0 are the rights, bit 2 below */
	uint64_t start;        /* byte of the pages that node.first maps */
};

_Static_assert(sizeof(struct ufd_area) == 64, "with its pages an area costs 96 bytes");

/** In ufd_area.pages: unmapped, and the units may not have forgotten it yet (ufd/defer.c). */
#define UFD_AREA_DEFERRED ((uintptr_t)4)

static inline struct ufd_pages *ufd_area_pages(const struct ufd_area *area)
{
	return (struct ufd_pages *)(area->pages & ~(uintptr_t)7);
}

static inline uint32_t ufd_area_rights(const struct ufd_area *area)
{
	return (uint32_t)(area->pages & 3);
}

static inline uint64_t ufd_area_bytes(const struct ufd_area *area)
{
	return area->node.last - area->node.first + 1;
}

/** An area with @p rights for @p bytes from byte @p start of the pages on, whose reference it
 *  takes: room for the first one came with the pages. Its node is the caller's. NULL: no
 *  memory, and the reference is the caller's still. */
struct ufd_area *ufd_area_new(struct ufd_context *context, struct ufd_pages *pages, uint64_t start,
                              uint32_t rights);
/** Free an area that lies in no space, and drop its reference. Its pins are dropped already. */
void ufd_area_free(struct ufd_context *context, struct ufd_area *area);
/** The pages of [user, user + bytes), not pinned, with one reference; the range is
 *  not empty and does not wrap around. 0 or -ENOMEM. */
int must_check ufd_pages_new(struct ufd_context *context, uint64_t user, uint64_t bytes,
                             bool writable, struct ufd_pages **out);
/** The pages of [start, start + bytes) of file @p fd, likewise. 0, -ENOMEM, or as
 *  ufd_memory_ops.file_map; -EOPNOTSUPP if there are no files here. */
int must_check ufd_pages_new_file(struct ufd_context *context, int fd, uint64_t start,
                                  uint64_t bytes, bool writable, struct ufd_pages **out);
/** The loan that the pages are of, or NULL. */
struct ufd_loan *ufd_pages_loan(const struct ufd_pages *pages);
/** Is the memory pinned? The lock of an IOAS in which an area refers to it is held. */
bool ufd_pages_pinned(const struct ufd_pages *pages);
bool ufd_pages_is_file(const struct ufd_pages *pages);
void ufd_pages_get(struct ufd_pages *pages);
/** Drop a reference; the last one frees. Its pins are dropped already. */
void ufd_pages_put(struct ufd_context *context, struct ufd_pages *pages);
bool ufd_pages_writable(const struct ufd_pages *pages);
/** The user address of byte @p start of the pages. */
uint64_t ufd_pages_user(const struct ufd_pages *pages, uint64_t start);
/** Pin, or count one more user of the pins. 0, -EFAULT, -ENOMEM. The caller holds
 *  the lock of an IOAS in which an area refers to the pages. */
int must_check ufd_pages_pin(struct ufd_context *context, struct ufd_pages *pages);
/** Undo one pin. @p safe: no device can reach the memory through what was just
 *  unmapped; if not, the pins stay for good. */
void ufd_pages_unpin(struct ufd_context *context, struct ufd_pages *pages, bool safe);
/** Append the physical extents of [start, start + bytes) of pinned pages to @p out, which
 *  has *count of @p capacity; neighbours become one. 0 or -ENOSPC. */
int must_check ufd_pages_extents(const struct ufd_pages *pages, uint64_t start, uint64_t bytes,
                                 struct iommu_extent *out, size_t capacity, size_t *count);
/** Map [start, start + bytes) of pinned pages at @p at; @p small: in 4 KiB pages
 *  only. After a failure a part is mapped: the caller unmaps the range, or frees the
 *  domain. It flushes @p gather in any case. */
int must_check ufd_pages_map(const struct ufd_pages *pages, uint64_t start, uint64_t bytes,
                             struct iommu_domain *domain, iova_t at, uint32_t rights, bool small,
                             struct iommu_gather *gather);

/* ---- IOAS: ufd/ioas.c, ufd/map.c ----------------------------------------------------------- */

struct ufd_hwpt;
struct ufd_access_link;

/** A map or an unmap of [first, last] that is under way without the lock: on the stack of who
 *  carries it out. Its areas are in the space, and nobody else touches them or the range. */
struct ufd_flight {
	struct ufd_flight *next;
	uint64_t first, last;
};

struct ufd_ioas {
	struct ufd_object object; /* first; users: its HWPTs */
	struct iommu_lock lock;   /* all below */
	struct ufd_flight *flights;
	uint32_t alone_wanted; /* how many wait for the end of all flights: no new ones */
	bool usual; /* atomic, changed under the lock: one HWPT, strict; see ufd/quick.c */
	struct iova_space areas;
	struct iova_ranges ranges;
	struct ufd_hwpt *hwpts; /* changed under device_lock and lock */
	struct ufd_access_link *accesses;
	uint64_t alignment; /* of IOVAs and lengths: 1 without a HWPT */
	uint64_t mapped_bytes;
	bool small_pages;              /* IOMMU_OPTION_HUGE_PAGES is 0 */
	struct ufd_deferral *deferral; /* NULL: strict */
};

/** ufd/defer.c. The lock is held, but by ufd_ioas_lock(), which takes it and has everything
 *  flushed: for all but IOAS_MAP, IOAS_UNMAP and who only looks. How many wait: */
uint32_t ufd_ioas_deferred(const struct ufd_ioas *ioas);
/** Flush, and drop what waited for it. False if an IOMMU did not confirm: pins stay then. */
bool ufd_ioas_settle(struct ufd_ioas *ioas);
/** Before [at, at + bytes) is mapped (@p fixed) or a place is looked for: flush if it must be.
 *  Something is deferred. */
void ufd_ioas_make_room(struct ufd_ioas *ioas, bool fixed, uint64_t at, uint64_t bytes);
/** Unmap the areas from @p first to the one that ends at @p last, and have them wait. There is
 *  a deferral and a HWPT, and the areas do not span all 2^64 bytes. */
void ufd_ioas_defer(struct ufd_ioas *ioas, struct ufd_area *first, uint64_t last);
/** Nothing is deferred. */
void ufd_ioas_deferral_free(struct ufd_ioas *ioas);
/** Flush what is deferred in any IOAS: nobody comes back for it. */
void ufd_context_settle(struct ufd_context *context);
int must_check ufd_option_defer(const struct ufd_call *call, struct iommu_option *arguments);

/** ufd/flight.c. The lock is held before and after, and while they wait not. Until there is
 *  no flight; or none that touches [first, last], and none of those who want no flight at all
 *  is waiting. The second says if it has waited: then all may be different. */
void ufd_ioas_alone(struct ufd_ioas *ioas);
bool ufd_ioas_clear(struct ufd_ioas *ioas, uint64_t first, uint64_t last);
static inline void ufd_flight_begin(struct ufd_ioas *ioas, struct ufd_flight *flight)
{
	flight->next = ioas->flights;
	ioas->flights = flight;
}
static inline void ufd_flight_end(struct ufd_ioas *ioas, const struct ufd_flight *flight)
{
	struct ufd_flight **link = &ioas->flights;

	while (*link != flight)
		link = &(*link)->next;
	*link = flight->next;
}
/** Take empty tables in [first, last] out of all HWPTs. Alone. */
void ufd_ioas_trim(struct ufd_ioas *ioas, uint64_t first, uint64_t last);

/** For all but maps and unmaps: nothing is under way, and nothing deferred. */
static inline void ufd_ioas_lock(struct ufd_ioas *ioas)
{
	ufd_lock(ioas->object.context->file.ufd, &ioas->lock);
	if (__builtin_expect(ioas->flights != NULL, 0))
		ufd_ioas_alone(ioas);
	if (__builtin_expect(ioas->deferral != NULL, 0))
		(void)ufd_ioas_settle(ioas);
}

static inline void ufd_ioas_unlock(struct ufd_ioas *ioas)
{
	ufd_unlock(ioas->object.context->file.ufd, &ioas->lock);
}

/** Map every area in @p hwpt, which is attached nowhere, and let it follow. 0,
 *  -EADDRINUSE if its aperture or alignment excludes an area, -ENOMEM, -EFAULT
 *  (pinning), or as iommu_map(). device_lock is held. */
int must_check ufd_ioas_add_hwpt(struct ufd_ioas *ioas, struct ufd_hwpt *hwpt);
/** Undo; frees the HWPT's domain on the way. */
void ufd_ioas_remove_hwpt(struct ufd_ioas *ioas, struct ufd_hwpt *hwpt);
/** Reserve for @p owner what no device of @p group may use. 0, -ENOMEM, -EADDRINUSE. */
int must_check ufd_ioas_reserve(struct ufd_ioas *ioas, struct iommu_group *group,
                                const void *owner);
void ufd_ioas_unreserve(struct ufd_ioas *ioas, const void *owner);
/** Let the access of @p link use the IOAS. 0, or -EADDRINUSE if it pins and an area is
 *  not page-aligned. */
int must_check ufd_ioas_add_access(struct ufd_ioas *ioas, struct ufd_access_link *link);
void ufd_ioas_remove_access(struct ufd_access_link *link);
void ufd_ioas_free(struct ufd_ioas *ioas);
void ufd_ioas_info(struct ufd_ioas *ioas, struct ufd_object_info *out);
/** Drop every area; nothing is mapped in hardware. */
void ufd_ioas_drop_areas(struct ufd_ioas *ioas);

/** Unmap [first, last] in every HWPT, and flush each once. False if an IOMMU did not
 *  confirm that it forgot. The lock is held. */
bool ufd_ioas_unmap_hwpts(struct ufd_ioas *ioas, uint64_t first, uint64_t last);
/** IOAS_MAP without the checks of flags; answers @p call. */
int must_check ufd_ioas_map_user(struct ufd_call *call, struct ufd_ioas *ioas, uint64_t user,
                                 uint64_t bytes, uint32_t flags, uint64_t *at);
/** Unmap what is mapped in [first, last], and tell @p answer before how much that is; it may
 *  refuse. @p cut: mappings that reach beyond are cut (-EINVAL if they cannot be); else they
 *  are -ENOENT, as is a range with nothing. No lock is held. */
int must_check ufd_ioas_unmap(struct ufd_ioas *ioas, uint64_t first, uint64_t last, bool cut,
                              int (*answer)(void *arg, uint64_t bytes), void *arg);
/** ufd/quick.c: IOAS_MAP, whose flags and sums were checked, if it is the usual one: 0 or an
 *  error; 1: it is not, and nothing has happened. */
int must_check ufd_quick_map(struct ufd_call *call, struct ufd_ioas *ioas,
                             struct iommu_ioas_map *map);
/** IOAS_UNMAP, if it is the usual one: true, and it is done. */
bool must_check ufd_quick_unmap(struct ufd_ioas *ioas, uint64_t first, uint64_t bytes);
/** Is nothing mapped in [first, last]? No lock is held. */
bool ufd_ioas_is_free(struct ufd_ioas *ioas, uint64_t first, uint64_t last);
/** Map in 4 KiB pages only from now on. 0, -EINVAL if something is mapped in HWPTs,
 *  -EADDRINUSE if a mapping is not aligned so. The lock is held. */
int must_check ufd_ioas_set_small_pages(struct ufd_ioas *ioas);
/** ufd/vfio_type1.c: a call of VFIO's containers; -ENOTTY if it is none. */
int must_check ufd_vfio_ioctl(struct ufd_context *context, uint32_t number, uint64_t user);
int must_check ufd_call_ioas_alloc(struct ufd_call *call);
int must_check ufd_call_ioas_iova_ranges(struct ufd_call *call);
int must_check ufd_call_ioas_allow_iovas(struct ufd_call *call);
int must_check ufd_call_option(struct ufd_call *call);
int must_check ufd_call_ioas_map(struct ufd_call *call);
int must_check ufd_call_ioas_map_file(struct ufd_call *call);
int must_check ufd_call_ioas_copy(struct ufd_call *call);
int must_check ufd_call_ioas_change_process(struct ufd_call *call);
int must_check ufd_call_vfio_ioas(struct ufd_call *call);
int must_check ufd_call_ioas_unmap(struct ufd_call *call);
/** The IOAS with the lowest id from @p id on, held; NULL if there is none. */
struct ufd_ioas *ufd_ioas_next(struct ufd_context *context, uint32_t id);
/** ufd/noiommu.c */
int must_check ufd_call_ioas_noiommu_get_pa(struct ufd_call *call);

/* ---- access: ufd/access.c --------------------------------------------------------------- */

/** A range that an access has pinned. */
struct ufd_access_pin {
	struct ufd_access_pin *next;
	uint64_t first, last;
};

/** An access in an IOAS. While it moves from one to another it is in both. */
struct ufd_access_link {
	struct ufd_access *access;
	struct ufd_ioas *ioas;
	struct ufd_access_link *next; /* in ioas->accesses; this and pins under its lock */
	struct ufd_access_pin *pins;
};

struct ufd_access {
	struct ufd_object object; /* first; users: 1, its owner's */
	bool keeps_context;       /* by a reference to its file */
	const struct ufd_access_ops *ops;
	void *ctx;
	struct iommu_lock lock;
	struct ufd_access_link links[2];
	struct ufd_access_link *in; /* one of them, or NULL: under lock. A user of its IOAS */
};

/** ufd_access_new() in a context. @p keep: the access keeps it alive; an object of the
 *  context, which goes with it, must not. */
int must_check ufd_access_new_in(struct ufd_context *context, bool keep,
                                 const struct ufd_access_ops *ops, void *ctx,
                                 struct ufd_access **out);
/** Free an access that is attached nowhere, and its reference to the context. */
void ufd_access_end(struct ufd_access *access);
/** Is anything in [first, last] pinned by an access? The lock of @p ioas is held. */
bool ufd_access_any_pin(const struct ufd_ioas *ioas, uint64_t first, uint64_t last);
/** The same for accesses that nobody can ask to unpin. */
bool ufd_access_any_owned(const struct ufd_ioas *ioas, uint64_t first, uint64_t last);
/** Ask who has pinned something in [first, last] to unpin. No lock is held. */
void ufd_access_notify(struct ufd_ioas *ioas, uint64_t first, uint64_t last);

/* ---- HWPT: ufd/hwpt.c -------------------------------------------------------------------------- */

/** A domain as an object. */
struct ufd_hwpt {
	struct ufd_object object; /* first; users: attachments, nested HWPTs */
	struct iommu_domain *domain;
	struct ufd_ioas *ioas;         /* paging: its IOAS; nested: its parent's */
	struct ufd_hwpt *parent;       /* nested */
	struct ufd_viommu *viommu;     /* nested: in which it was made, or NULL. A user of it */
	struct ufd_hwpt *next;         /* in ioas->hwpts */
	struct ufd_fault_queue *queue; /* of page requests; NULL: none. A user of it */
	struct iommu_page_sink sink;   /* domain->page_sink, if there is a queue */
	bool automatic;
	bool pasid_compatible;        /* IOMMU_HWPT_ALLOC_PASID */
	bool tracking;                /* dirty pages; under ioas->lock */
	struct iommu_gather deferred; /* paging: ufd/defer.c; under ioas->lock */
};

/** HWPTs or the deferral of @p ioas have changed. The lock is held. */
static inline void ufd_ioas_changed(struct ufd_ioas *ioas)
{
	__atomic_store_n(&ioas->usual, ioas->hwpts && !ioas->hwpts->next && !ioas->deferral,
	                 __ATOMIC_RELAXED);
}

/** A paging HWPT with the mappings of @p ioas. device_lock is held. */
int must_check ufd_hwpt_new(struct ufd_ioas *ioas, struct iommu_device *device, uint32_t flags,
                            const struct iommu_user_data *data, struct ufd_hwpt **out);
/** Free a HWPT that has no users and cannot be found. device_lock is held. */
void ufd_hwpt_free(struct ufd_hwpt *hwpt);
int must_check ufd_call_hwpt_alloc(struct ufd_call *call);
/** ufd/invalidate.c */
int must_check ufd_call_hwpt_invalidate(struct ufd_call *call);

/** ufd/dirty.c */
int must_check ufd_call_hwpt_set_dirty_tracking(struct ufd_call *call);
int must_check ufd_call_hwpt_get_dirty_bitmap(struct ufd_call *call);

/* ---- devices: ufd/device.c, ufd/pasid.c, ufd/hw_info.c, ufd/cdev.c ------------------------------------------------------------ */

/** The devices of a context that cannot be told apart. Under device_lock. */
struct ufd_group {
	struct ufd_group *next;
	struct iommu_group *group;
	struct ufd_hwpt *hwpt; /* NULL: blocked */
	uint32_t bound, attached;
};

/** The translation of one PASID. */
struct ufd_pasid {
	struct ufd_pasid *next;
	uint32_t pasid;
	struct ufd_hwpt *hwpt;
};

struct ufd_device {
	struct ufd_object object; /* first; users: 1, its descriptor's */
	struct iommu_device *device;
	struct ufd_group *group;
	struct ufd_pasid *pasids;    /* under device_lock */
	struct ufd_vdevice *vdevice; /* what it is to a vIOMMU, or NULL; under device_lock */
	bool attached;               /* its requests without PASID, with its group's */
};

/** Claim the device for @p context; not published. 0, -ENODEV without a unit, -EBUSY,
 *  -EINVAL if it is bound to the context already, -ENOMEM. */
int must_check ufd_device_bind(struct ufd_context *context, struct iommu_device *device,
                               struct ufd_device **out);
/** Detach, give the group back. No lock is held. False: a call uses the object still, after
 *  the deadline; it stays until the context ends. */
bool ufd_device_unbind(struct ufd_device *device);
/** Attach to IOAS or HWPT @p pt_id, or replace what is attached; the HWPT's id goes to
 *  @p user, and may do so before a failure. */
int must_check ufd_device_attach(struct ufd_device *device, uint32_t pt_id, uint64_t user);
void ufd_device_detach(struct ufd_device *device);
/** The same for one PASID, which is not IOMMU_NO_PASID: -EINVAL if it is, if @p pt_id is
 *  not a HWPT with IOMMU_HWPT_ALLOC_PASID, or if what the device has without PASID is
 *  not one; else as iommu_attach_pasid(). */
int must_check ufd_device_attach_pasid(struct ufd_device *device, uint32_t pasid, uint32_t pt_id,
                                       uint64_t user);
void ufd_device_detach_pasid(struct ufd_device *device, uint32_t pasid);
void ufd_device_detach_all_pasids(struct ufd_device *device);
/** Can the page requests of @p device go where those of @p hwpt go? 0 or -ENODEV. */
int must_check ufd_device_can_ask(const struct ufd_device *device, const struct ufd_hwpt *hwpt);
/** Drop @p users of @p hwpt. An automatic one without users is to be destroyed by the
 *  caller with ufd_hwpt_end(), once device_lock is released: it is returned, held. */
struct ufd_hwpt *ufd_hwpt_drop(struct ufd_hwpt *hwpt, uint32_t users);
/** NULL is allowed. */
void ufd_hwpt_end(struct ufd_hwpt *hwpt);
int must_check ufd_call_get_hw_info(struct ufd_call *call);

/* ---- the self-test's command: ufd/selftest*.c ------------------------------------------------ */

int must_check ufd_call_selftest(struct ufd_call *call);
/** Detach and remove a self-test device. No lock is held. */
void ufd_selftest_device_free(struct ufd_object *object);
/* Memory that a device lends: ufd/selftest_dmabuf.c. */
/** The loan behind descriptor @p fd, for [start, start + bytes) of it, with a reference.
 *  -EBADF: the descriptor is another's; -EINVAL; -ENODEV: it is taken back. */
int must_check ufd_loan_get(struct ufd_context *context, int fd, uint64_t start, uint64_t bytes,
                            struct ufd_loan **out);
void ufd_loan_put(const struct ufd *ufd, struct ufd_loan *loan);
/** Its memory is never given back: a device may reach it. The caller has a reference. */
void ufd_loan_keep(struct ufd_loan *loan);
bool ufd_loan_ended(const struct ufd_loan *loan);
pa_t ufd_loan_memory(const struct ufd_loan *loan);
/** The descriptor has gone. */
void ufd_lender_end(struct ufd_file *file);
/** Unmap what maps an ended loan in every HWPT of the context. No lock is held. */
void ufd_ioas_unmap_loan(struct ufd_context *context, const struct ufd_loan *loan);
/** The descriptor of an access has gone. */
void ufd_selftest_access_end(struct ufd_file *file);

#include "ufd/private_queues.h"

#endif
