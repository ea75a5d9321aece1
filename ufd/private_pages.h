/* SPDX-License-Identifier: MIT */
/* What a range of user memory is made of: for ufd/pages.c, which see, and ufd/quick.c. */
#ifndef UFD_PRIVATE_PAGES_H
#define UFD_PRIVATE_PAGES_H

#include "ufd/private.h"

/** More than one run. */
struct ufd_runs {
	size_t count;
	struct iommu_extent run[];
};

enum {
	UFD_USER_WRITABLE = 1 << 0, /* in `user`; never changes, as nothing there does */
	UFD_USER_FILE = 1 << 1,     /* a file's memory: the address is ours to give back */
	UFD_USER_AREA = 1 << 3,     /* the area in the block has been given out */
	UFD_USER_LENT = 1 << 2,     /* a device's: `loan` is used, and the address is an offset */
	UFD_BYTES_PINNED = 1 << 0,  /* in `bytes`: the runs are valid */
	UFD_BYTES_MANY = 1 << 1,    /* `runs` is used, not `start` */
};

/** In `pins`. */
#define UFD_PINS_STUCK (UINT32_C(1) << 31)

/* Who holds a pin may read `bytes` and the runs without a lock: they change only with
 * the first pin and the last. */
struct ufd_pages {
	uint64_t user;  /* 63:12 the first page, 11:0 UFD_USER_... */
	uint64_t bytes; /* 63:12 whole pages, 11:0 UFD_BYTES_...; 0: all 2^64, which nobody pins */
	uint32_t refs;  /* atomic */
	uint32_t pins;  /* areas that need the pins */
	union {
		uint64_t start; /* physical, of the only run */
		struct ufd_runs *runs;
		struct ufd_loan *loan;
	};
};

_Static_assert(sizeof(struct ufd_pages) == 32, "with its area a mapping costs 96 bytes");

/** What is allocated. It goes with the last reference to the pages, the area's or another. */
struct ufd_block {
	struct ufd_area area;
	struct ufd_pages pages;
};

_Static_assert(sizeof(struct ufd_block) == 96, "a mapping costs 96 bytes");

/** Charge the pages to whose they are; or take that back, which does not fail. 0, -ENOMEM. */
int ufd_pages_account(const struct ufd_context *context, const struct ufd_pages *pages,
                      bool charge);

#endif
