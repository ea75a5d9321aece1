/* SPDX-License-Identifier: MIT */
/*
 * A stretch of address space as a machine's physical memory, under the kernel's own page
 * allocator. A unit reaches only so many address bits; a process's addresses have more,
 * so memory begins at HOST_ARENA_START here, wherever the process has it.
 */
#ifndef HOST_ARENA_H
#define HOST_ARENA_H

#include <pthread.h>

#include "kernel/page.h"
#include "kernel/user_memory.h"

/** Physical: clear of the interrupt window, and within every unit's reach. */
#define HOST_ARENA_START UINT64_C(0x100000000)
#define HOST_ARENA_BYTES UINT64_C(0x200000000)

struct host_arena {
	uintptr_t direct_map; /* where physical address 0 would be */
	struct user_backing backing;
	/* private */
	void *start;
	pthread_mutex_t mutex;
	struct page_allocator pages;
};

/** Reserve the stretch; memory comes when it is touched. 0 or -ENOMEM. */
int must_check host_arena_init(struct host_arena *arena);
/** Give it back. Returns how many pages were still in use. */
uint64_t host_arena_exit(struct host_arena *arena);

/** 2^order pages, zeroed. 0 or -ENOMEM. */
int must_check host_arena_alloc(struct host_arena *arena, unsigned order, pa_t *out);
/** Give such a run back; false if it is none, or pinned. */
bool host_arena_free(struct host_arena *arena, pa_t run, unsigned order);

#endif
