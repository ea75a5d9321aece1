/* SPDX-License-Identifier: MIT */
/*
 * Error numbers, as Linux has them on x86-64. Functions return them negated.
 * A hosted build takes the host's; the numbers are the same, and a test
 * compares them.
 */
#ifndef IOMMU_ERRNO_H
#define IOMMU_ERRNO_H

#if __STDC_HOSTED__
#include <errno.h>
#else
#define EPERM      1
#define ENOENT     2
#define EINTR      4
#define EIO        5
#define ENXIO      6
#define E2BIG      7
#define EBADF      9
#define EAGAIN     11
#define ENOMEM     12
#define EACCES     13
#define EFAULT     14
#define EBUSY      16
#define EEXIST     17
#define ENODEV     19
#define EINVAL     22
#define ENFILE     23
#define EMFILE     24
#define ENOTTY     25
#define ENOSPC     28
#define ESPIPE     29
#define ERANGE     34
#define EDEADLK    35
#define ENODATA    61
#define EOVERFLOW  75
#define EBADFD     77
#define EMSGSIZE   90
#define EOPNOTSUPP 95
#define EADDRINUSE 98
#define ETIMEDOUT  110
#define ECANCELED  125
#endif

/** The symbolic name of errno number @p number (positive or negative), for
 *  example "EINVAL"; "ok" for 0, NULL for a number that is not listed above. */
const char *iommu_errno_name(int number);

#endif
