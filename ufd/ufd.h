/* SPDX-License-Identifier: MIT */
/*
 * The iommufd interface: what a program sees, as calls on descriptors.
 *
 * One `struct ufd` is one universe of descriptors (in the kernel: the only one;
 * hosted: one a process). Two kinds of file exist: /dev/iommu, and a device in
 * the shape of VFIO's cdev. ufd_ioctl() takes Linux's command numbers and the
 * address of Linux's structures (ufd/iommufd.h, ufd/vfio.h) in user memory, and
 * returns what Linux returns, errors as negative errno.
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
	 *  granular, each byte once a pin). */
	void (*unpin)(void *ctx, const struct iommu_extent *extents, size_t count, bool dirty);
};

struct ufd_file;

enum { UFD_MAX_FILES = 256 };

struct ufd {
	struct iommu *iommu;
	const struct iommu_os *os;
	const struct ufd_memory_ops *memory;
	void *memory_ctx;
	struct iommu_lock lock; /* the descriptor table */
	struct ufd_file *files[UFD_MAX_FILES];
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
/** 0 or -EBADF. Everything that the descriptor held goes with it. */
int ufd_close(struct ufd *ufd, int fd);

/* ---- looking, for shells and tests ------------------------------------------- */

enum ufd_kind { UFD_NONE, UFD_IOAS, UFD_HWPT_PAGING, UFD_HWPT_NESTED, UFD_DEVICE, UFD_ACCESS };

struct ufd_object_info {
	uint32_t id;
	enum ufd_kind kind;
	uint32_t users;               /* what keeps it busy */
	struct iommu_domain *domain;  /* of a HWPT; valid while the object lives */
	struct iommu_device *device;  /* of a device */
	uint32_t ioas_id;             /* of a HWPT: its IOAS or its parent HWPT */
	bool automatic;               /* of a HWPT: made by attach */
	uint64_t areas, mapped_bytes; /* of an IOAS */
};

/** The object with @p id in /dev/iommu descriptor @p fd. 0, -ENOENT, -EBADF. */
int must_check ufd_object_get(struct ufd *ufd, int fd, uint32_t id, struct ufd_object_info *out);
/** The object with the lowest id >= @p from. 0, -ENOENT, -EBADF. */
int must_check ufd_object_next(struct ufd *ufd, int fd, uint32_t from, struct ufd_object_info *out);
const char *ufd_kind_name(enum ufd_kind kind);

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

#endif
