/* SPDX-License-Identifier: MIT */
/*
 * The iommufd interface: what a program sees, as calls on descriptors.
 *
 * One `struct ufd` is one universe of descriptors (in the kernel: the only one;
 * hosted: one a process). Its files are /dev/iommu, devices in the shape of VFIO's cdev,
 * and what calls on /dev/iommu make: fault queues, event queues, and the self-test's
 * accesses and lenders. ufd_ioctl() takes Linux's command numbers and the address of
 * Linux's structures (ufd/iommufd.h, ufd/vfio.h) in user memory, and returns what Linux
 * returns, errors as negative errno.
 *
 * User memory is reached only through `struct ufd_memory_ops`; an address from a
 * user is a number, never dereferenced here.
 */
#ifndef UFD_UFD_H
#define UFD_UFD_H

#include "iommu/iommu.h"

/** A place for what a memory provider needs to find a pin again. */
struct ufd_pin {
	uint64_t word[2];
};

/** How the embedder's user memory is read, written and pinned. */
struct ufd_memory_ops {
	/** Copy between user memory and @p kernel. 0 or -EFAULT. */
	int (*copy_in)(void *ctx, void *kernel, uint64_t user, size_t bytes);
	int (*copy_out)(void *ctx, uint64_t user, const void *kernel, size_t bytes);
	/** Pin [user, user+bytes), page-aligned, for a device to read (and write, if
	 *  @p writable): it can be neither freed nor moved. Fills up to @p capacity
	 *  extents, physically contiguous runs as long as can be, and sets *count
	 *  and *pinned, the bytes that they hold; the caller comes back for the rest.
	 *  0, -EFAULT if the first page is not there, -ENOMEM. */
	int (*pin)(void *ctx, uint64_t user, uint64_t bytes, bool writable,
	           struct iommu_extent *extents, size_t capacity, size_t *count, uint64_t *pinned);
	/** Undo pins, by the physical extents that pin gave (or parts of them, page
	 *  granular, each byte once a pin); the first is what pin had at @p user, the others
	 *  follow there. */
	void (*unpin)(void *ctx, uint64_t user, const struct iommu_extent *extents, size_t count,
	              bool dirty);
	/** NULL: no files. Give [start, start+bytes) of file @p fd, page-aligned, an address
	 *  *user of its own, also page-aligned, that the calls above take like any other until
	 *  file_unmap, whatever becomes of the descriptor. 0, -EBADF, -EINVAL if the
	 *  file cannot be mapped, or not so far, or not for writing; -ENOMEM. */
	int (*file_map)(void *ctx, int fd, uint64_t start, uint64_t bytes, bool writable,
	                uint64_t *user);
	void (*file_unmap)(void *ctx, uint64_t user, uint64_t bytes);
	/** NULL: an address means the same whoever calls. Else give [user, user+bytes) of the
	 *  calling process an address *kept of the same page offset, which names that memory
	 *  whoever calls later, until user_drop. There need not be memory: pin looks. 0, -ENOMEM. */
	int (*user_keep)(void *ctx, uint64_t user, uint64_t bytes, uint64_t *kept);
	void (*user_drop)(void *ctx, uint64_t kept);
	/** NULL: nobody keeps account. Else: @p pages more pages of 4 KiB, whose first has the
	 *  address @p user (as pin has it, so it tells whose memory it is), are about to be
	 *  pinned: charge them to the process that the memory is of (@p by_process: RLIMIT_MODE
	 *  is 1), or to its user. 0, -ENOMEM if that would be over the limit. A negative number
	 *  takes a charge back, once the pages are unpinned, and must not fail. Memory that is
	 *  mapped more than once is charged once. Not for what a device lends. */
	int (*account)(void *ctx, uint64_t user, int64_t pages, bool by_process);
	/** NULL, or: what is pinned counts as the calling process's from now on. 0, -ENOMEM
	 *  if that would be over its limit. */
	int (*change_process)(void *ctx);
	/** NULL, or: how often is the caller's page that holds @p user pinned now? For the
	 *  self-test's commands. 0 or -EFAULT. */
	int (*pins)(void *ctx, uint64_t user, uint32_t *out);
};

struct ufd_file;

enum { UFD_MAX_FILES = 256, UFD_FIRST_FD = 3 };

/** Private. Calls of one processor, or of some: how many run on each descriptor; with the top
 *  bit, it is not open. Atomic. */
enum { UFD_SHARDS = 16 };
struct ufd_shard {
	uint32_t calls[UFD_MAX_FILES];
} __attribute__((aligned(64)));

struct ufd {
	struct iommu *iommu;
	const struct iommu_os *os;
	const struct ufd_memory_ops *memory;
	void *memory_ctx;
	struct iommu_lock lock; /* the descriptor table */
	struct ufd_file *files[UFD_MAX_FILES];
	struct ufd_shard shards[UFD_SHARDS];
	void (*wake)(void *ctx, int fd); /* this and wake_ctx under lock */
	void *wake_ctx;
	uint32_t selftest_rid; /* of the next self-test device; under lock */
	uint32_t deferrals;    /* atomic. IOASes that defer (ufd/nestor.h) */
	uint32_t pin_runs;     /* atomic. Runs that a pin asks for at a time; 0: no limit */
};

/** Set up in caller's memory; all pointers outlive it. 0 or -ENOMEM. */
int must_check ufd_init(struct ufd *ufd, struct iommu *iommu, const struct ufd_memory_ops *memory,
                        void *memory_ctx);
/** Close every descriptor. */
void ufd_exit(struct ufd *ufd);

/** Open /dev/iommu. A descriptor (3, 4, ...: lowest free) or -EMFILE, -ENOMEM. */
int must_check ufd_open(struct ufd *ufd);
/** Open a device as VFIO's cdev does; bind it with VFIO_DEVICE_BIND_IOMMUFD. */
int must_check ufd_open_device(struct ufd *ufd, struct iommu_device *device);
/** 0 (or a call's positive result), or a negative errno: -EBADF, -ENOTTY, ... */
int must_check ufd_ioctl(struct ufd *ufd, int fd, unsigned long command, uint64_t user);
/** Read a fault queue or an event queue, or write to a fault queue: whole structures. The
 *  bytes done, or -EBADF, -EINVAL (the descriptor has nothing to read; an answer that cannot
 *  be), -EFAULT. Fault queues: -ESPIPE if @p bytes is not a multiple of the structure. Event
 *  queues: -EINVAL if there is no room for a header, or for the next event. Never waits: 0
 *  is nothing there, or (fault queues) too little room for the next group. */
int64_t must_check ufd_read(struct ufd *ufd, int fd, uint64_t user, uint64_t bytes);
int64_t must_check ufd_write(struct ufd *ufd, int fd, uint64_t user, uint64_t bytes);
/** A program maps [offset, offset + bytes) of a descriptor: where that memory is (physical,
 *  of os->page_alloc, contiguous) and what holds it, and the file, until ufd_munmap. 0,
 *  -EBADF; -ENXIO: nothing is there, or not exactly that; -ENODEV: not on such a file. */
struct ufd_mapping;
int must_check ufd_mmap(struct ufd *ufd, int fd, uint64_t offset, uint64_t bytes, pa_t *out,
                        struct ufd_mapping **mapping);
/** The last mapping of it in a program has gone. No lock is held. */
void ufd_munmap(struct ufd *ufd, struct ufd_mapping *mapping);
/** Let @p wake (NULL: nobody) be told when descriptor @p fd may have become readable: a page
 *  request or an event has come. It is called with locks held, and must be quick, not wait,
 *  and not call ufd/. ufd_poll() then says what there is. */
void ufd_set_wake(struct ufd *ufd, void (*wake)(void *ctx, int fd), void *ctx);
/** Have the units forget what was unmapped longer ago than its IOAS allows (ufd/nestor.h).
 *  Returns in how many nanoseconds it is to be called again, at the latest; UINT64_MAX: not
 *  before another unmap. Takes locks; may wait for units. */
uint64_t ufd_flush_deferred(struct ufd *ufd);
/** What can be done without waiting now: bits of UFD_POLL_..., or -EBADF. */
int must_check ufd_poll(struct ufd *ufd, int fd);
/** Linux's numbers of poll's events. */
enum {
	UFD_POLL_IN = 0x001,
	UFD_POLL_OUT = 0x004,
	UFD_POLL_RDNORM = 0x040,
	UFD_POLL_WRNORM = 0x100,
};
/** 0 or -EBADF. Everything that the descriptor held goes with it. */
int ufd_close(struct ufd *ufd, int fd);

/* ---- access: the memory of an IOAS for code, not for devices -------------------- */

struct ufd_access;

/** Who uses an access. */
struct ufd_access_ops {
	/** NULL: the access never pins. Something in [first, first + bytes) is to be unmapped,
	 *  or (with first 0 and bytes UINT64_MAX) the access leaves its IOAS: unpin what is
	 *  pinned there, now or soon. No lock is held. */
	void (*unmap)(void *ctx, iova_t first, uint64_t bytes);
	/** It pins, and cannot be asked to unpin: IOAS_UNMAP of what it has is -EBUSY.
	 *  unmap is NULL. */
	bool owns;
};

/** Make an access in /dev/iommu descriptor @p fd, which it keeps alive; @p ops and @p ctx
 *  outlive it. Its object cannot be destroyed by a user. 0, -EBADF, -ENOMEM. */
int must_check ufd_access_new(struct ufd *ufd, int fd, const struct ufd_access_ops *ops, void *ctx,
                              struct ufd_access **out);
/** Detach, and end it; no other call on it runs. */
void ufd_access_free(struct ufd_access *access);
uint32_t ufd_access_id(const struct ufd_access *access);
/** Attach to an IOAS. 0, -EINVAL if it is attached, -ENOENT, -EADDRINUSE if a mapping is
 *  not page-aligned and the access pins. */
int must_check ufd_access_attach(struct ufd_access *access, uint32_t ioas_id);
/** Attach to another IOAS instead. -ENOENT if it is attached to none; on failure it stays
 *  where it is. */
int must_check ufd_access_replace(struct ufd_access *access, uint32_t ioas_id);
void ufd_access_detach(struct ufd_access *access);
/** Pin the memory behind [at, at + bytes) and say where it is. @p rights: IOMMU_WRITE
 *  or not. 0, -EINVAL (nothing to pin, or no unmap op), -EOVERFLOW, -ENOENT (a byte is not
 *  mapped, or not attached), -EPERM (to write what was mapped for reading only), -ENOSPC
 *  (more than @p capacity extents), -ENOMEM, -EFAULT. */
int must_check ufd_access_pin(struct ufd_access *access, iova_t at, uint64_t bytes, uint32_t rights,
                              struct iommu_extent *extents, size_t capacity, size_t *count);
/** Undo one such pin: the same range. Nothing happens if there is none. */
void ufd_access_unpin(struct ufd_access *access, iova_t at, uint64_t bytes);
/** Copy between @p data and the memory at @p at: into it with IOMMU_WRITE, else out of it.
 *  Errors as of a pin; after a failure a part may have been copied. */
int must_check ufd_access_copy(struct ufd_access *access, iova_t at, void *data, uint64_t bytes,
                               uint32_t rights);

/* ---- looking, for shells and tests ------------------------------------------- */

enum ufd_kind {
	UFD_NONE,
	UFD_IOAS,
	UFD_HWPT_PAGING,
	UFD_HWPT_NESTED,
	UFD_DEVICE,
	UFD_ACCESS,
	UFD_FAULT_QUEUE,
	UFD_SELFTEST_DEVICE,
	UFD_VIOMMU,
	UFD_VDEVICE,
	UFD_EVENT_QUEUE,
	UFD_HW_QUEUE,
};

struct ufd_object_info {
	uint32_t id;
	enum ufd_kind kind;
	uint32_t users;               /* what keeps it busy */
	struct iommu_domain *domain;  /* of a HWPT; valid while the object lives */
	struct iommu_device *device;  /* of a device */
	uint32_t ioas_id;             /* of a HWPT: its IOAS or its parent HWPT */
	bool automatic;               /* of a HWPT: made by attach */
	uint64_t areas, mapped_bytes; /* of an IOAS */
	uint32_t fault_id;            /* of a HWPT: its fault queue, or 0 */
	uint32_t waiting;             /* of a fault queue: requests not answered yet */
};

/** The object with @p id in /dev/iommu descriptor @p fd. 0, -ENOENT, -EBADF. */
int must_check ufd_object_get(struct ufd *ufd, int fd, uint32_t id, struct ufd_object_info *out);
/** The object with the lowest id >= @p from. 0, -ENOENT, -EBADF. */
int must_check ufd_object_next(struct ufd *ufd, int fd, uint32_t from, struct ufd_object_info *out);
const char *ufd_kind_name(enum ufd_kind kind);

/* ---- devices without an IOMMU ------------------------------------------------- */

/** Let devices that no other unit translates for be bound all the same: what is mapped for
 *  them is pinned, and IOAS_NOIOMMU_GET_PA says where it is. They reach all memory, whatever
 *  they are attached to, so an embedder adds this only if that is wanted, as the last driver:
 *  iommu_probe(core, &ufd_noiommu_driver, NULL). -EEXIST the second time. */
extern const struct iommu_driver ufd_noiommu_driver;

/* ---- the mock IOMMU driver ------------------------------------------------------ */

/** A driver that needs no hardware: one unit "mock0", a page table in a format of
 *  its own, and domain_alloc_user as the series' self-test has it. Add it with
 *  iommu_probe(core, &ufd_mock_driver, NULL). */
extern const struct iommu_driver ufd_mock_driver;
/** Segment that mock devices live in. Real segments end at 0xffff; this one is
 *  claimed by the mock unit alone. */
#define UFD_MOCK_SEGMENT 0xfffe
/** Add a mock device with requester id @p rid, alone in its group. 0 or an error
 *  of iommu_device_add. */
int must_check ufd_mock_device_add(struct iommu *iommu, iommu_rid_t rid, struct iommu_device **out);
/** DMA of a mock device: translate @p at as its domain says. 0 and the physical
 *  address, or -EFAULT after a fault was reported. */
int must_check ufd_mock_translate(struct iommu_device *device, iova_t at, uint32_t access,
                                  pa_t *out);
/** The same for a request with @p pasid; IOMMU_NO_PASID: without. */
int must_check ufd_mock_translate_pasid(struct iommu_device *device, uint32_t pasid, iova_t at,
                                        uint32_t access, pa_t *out);
/** A mock device sends a page request; @p request->device is filled in. What it is
 *  answered is in ufd_mock_answer() (ufd/mock.h). No lock is held. */
void ufd_mock_page_request(struct iommu_device *device, const struct iommu_page_request *request);

#endif
