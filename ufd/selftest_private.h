/* SPDX-License-Identifier: MIT */
/* What the files of IOMMU_TEST_CMD share: ufd/selftest*.c. */
#ifndef UFD_SELFTEST_PRIVATE_H
#define UFD_SELFTEST_PRIVATE_H

#include "ufd/private.h"
#include "ufd/selftest.h"

/** A device that a test made, bound to the context that it was made in. */
struct ufd_selftest_device {
	struct ufd_object object; /* first; users: none */
	struct iommu_lock lock;   /* one operation at a time; as ufd_cdev.lock */
	struct iommu_device *device;
	struct ufd_device *bound;
};

/** ufd/selftest_device.c */
int must_check ufd_selftest_mock_domain(struct ufd_call *call, bool flags);
int must_check ufd_selftest_replace(struct ufd_call *call);
int must_check ufd_selftest_pasid(struct ufd_call *call);
int must_check ufd_selftest_pasid_check(struct ufd_call *call);

/** ufd/selftest_access.c */
int must_check ufd_selftest_create_access(struct ufd_call *call);
int must_check ufd_selftest_destroy_access_pages(struct ufd_call *call);
int must_check ufd_selftest_access_pages(struct ufd_call *call);
int must_check ufd_selftest_access_rw(struct ufd_call *call);
int must_check ufd_selftest_access_replace(struct ufd_call *call);

/** ufd/selftest_dmabuf.c; the first returns a descriptor. */
int must_check ufd_selftest_dmabuf_get(struct ufd_call *call);
int must_check ufd_selftest_dmabuf_revoke(struct ufd_call *call);

/** Walks over the physical addresses of the calling process's memory. */
struct ufd_selftest_walk {
	const struct ufd *ufd;
	uint64_t user; /* page that is pinned next */
	struct iommu_extent run[16];
	size_t count, index;
	uint64_t offset; /* in run[index] */
};

void ufd_selftest_walk_begin(struct ufd_selftest_walk *walk, const struct ufd *ufd, uint64_t user);
/** The next piece of memory, of at most @p bytes: where it is, and in *got how much. 0,
 *  -EFAULT, -ENOMEM. It was pinned meanwhile, and is not any more. */
int must_check ufd_selftest_walk_next(struct ufd_selftest_walk *walk, uint64_t bytes, pa_t *at,
                                      uint64_t *got);

#endif
