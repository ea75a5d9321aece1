/* SPDX-License-Identifier: MIT */
/* Names of error numbers: see iommu/errno.h. */
#include "iommu/errno.h"

#include <stddef.h>

const char *iommu_errno_name(int number)
{
#define NAME(name)                                                                                 \
	case name:                                                                                 \
	case -name:                                                                                \
		return #name

	switch (number) {
	case 0:
		return "ok";
		NAME(EPERM);
		NAME(ENOENT);
		NAME(EINTR);
		NAME(EIO);
		NAME(ENXIO);
		NAME(E2BIG);
		NAME(EBADF);
		NAME(EAGAIN);
		NAME(ENOMEM);
		NAME(EACCES);
		NAME(EFAULT);
		NAME(EBUSY);
		NAME(EEXIST);
		NAME(ENODEV);
		NAME(EINVAL);
		NAME(ENFILE);
		NAME(EMFILE);
		NAME(ENOTTY);
		NAME(ENOSPC);
		NAME(ESPIPE);
		NAME(ERANGE);
		NAME(EDEADLK);
		NAME(ENODATA);
		NAME(EOVERFLOW);
		NAME(EBADFD);
		NAME(EMSGSIZE);
		NAME(EOPNOTSUPP);
		NAME(EADDRINUSE);
		NAME(ETIMEDOUT);
		NAME(ECANCELED);
	default:
		return NULL;
	}
#undef NAME
}
