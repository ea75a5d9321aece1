/* SPDX-License-Identifier: MIT */
/* Entering and leaving the slot of a descriptor, which every call does: see ufd/ufd.c. */
#ifndef UFD_PRIVATE_SLOT_H
#define UFD_PRIVATE_SLOT_H

#include "ufd/private.h"

/** In ufd_shard.calls. */
#define UFD_SLOT_SHUT (UINT32_C(1) << 31)

/** Slot @p index is being shut: if nobody is in it any more, the table lets the file go. */
void ufd_slot_drained(struct ufd *ufd, unsigned index);

/** Whom a call is counted with: processors do not write each other's lines. */
static inline struct ufd_shard *ufd_shard_here(struct ufd *ufd)
{
	const struct iommu_os *os = ufd->os;

	return &ufd->shards[os->processor ? os->processor(os->ctx) % UFD_SHARDS : 0];
}

static inline void ufd_slot_leave(struct ufd *ufd, struct ufd_shard *shard, int fd)
{
	const unsigned index = (unsigned)(fd - UFD_FIRST_FD);

	if (__builtin_expect(__atomic_fetch_sub(&shard->calls[index], 1, __ATOMIC_ACQ_REL) ==
	                             (UFD_SLOT_SHUT | 1),
	                     0))
		ufd_slot_drained(ufd, index);
}

/** Count a call on the open file of @p fd; ufd_slot_leave() with *shard ends it. NULL: it is not
 *  open. */
static inline struct ufd_file *ufd_slot_enter(struct ufd *ufd, int fd, struct ufd_shard **shard)
{
	const unsigned index = (unsigned)fd - UFD_FIRST_FD;

	if (__builtin_expect(index >= UFD_MAX_FILES, 0))
		return NULL;
	*shard = ufd_shard_here(ufd);
	if (__builtin_expect(__atomic_fetch_add(&(*shard)->calls[index], 1, __ATOMIC_ACQUIRE) &
	                             UFD_SLOT_SHUT,
	                     0)) {
		ufd_slot_leave(ufd, *shard, fd);
		return NULL;
	}
	return ufd->files[index];
}

#endif
