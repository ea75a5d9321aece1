/* SPDX-License-Identifier: MIT */
/* Memory of a simulated machine: see arena.h. */
#define _GNU_SOURCE
#include "host/arena.h"

#include <string.h>
#include <sys/mman.h>

static int backing_alloc(void *ctx, unsigned order, pa_t *out)
{
	struct host_arena *arena = ctx;

	pthread_mutex_lock(&arena->mutex);
	int error = page_alloc(&arena->pages, order, out);
	pthread_mutex_unlock(&arena->mutex);
	return error;
}

static int backing_free(void *ctx, pa_t run, unsigned order)
{
	struct host_arena *arena = ctx;

	pthread_mutex_lock(&arena->mutex);
	int error = page_free(&arena->pages, run, order);
	pthread_mutex_unlock(&arena->mutex);
	return error;
}

static int backing_pin(void *ctx, pa_t address)
{
	struct host_arena *arena = ctx;

	pthread_mutex_lock(&arena->mutex);
	int error = page_pin(&arena->pages, address);
	pthread_mutex_unlock(&arena->mutex);
	return error;
}

static int backing_unpin(void *ctx, pa_t address)
{
	struct host_arena *arena = ctx;

	pthread_mutex_lock(&arena->mutex);
	int error = page_unpin(&arena->pages, address);
	pthread_mutex_unlock(&arena->mutex);
	return error;
}

int host_arena_alloc(struct host_arena *arena, unsigned order, pa_t *out)
{
	int error = backing_alloc(arena, order, out);

	if (error)
		return -ENOMEM;
	memset((void *)(arena->direct_map + out->value), 0, PAGE_SIZE_4K << order);
	return 0;
}

bool host_arena_free(struct host_arena *arena, pa_t run, unsigned order)
{
	return backing_free(arena, run, order) == 0;
}

int host_arena_init(struct host_arena *arena)
{
	const struct boot_memory map = {HOST_ARENA_START, HOST_ARENA_BYTES, BOOT_MEMORY_USABLE};

	*arena = (struct host_arena){
		.backing =
			{
				.ctx = arena,
				.alloc = backing_alloc,
				.free = backing_free,
				.pin = backing_pin,
				.unpin = backing_unpin,
				.max_order = PAGE_MAX_ORDER,
			},
	};
	arena->start = mmap(NULL, HOST_ARENA_BYTES, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena->start == MAP_FAILED)
		return -ENOMEM;
	arena->direct_map = (uintptr_t)arena->start - HOST_ARENA_START;
	int error = page_init(&arena->pages, &map, 1, NULL, 0, arena->direct_map);
	if (error) {
		munmap(arena->start, HOST_ARENA_BYTES);
		return error;
	}
	pthread_mutex_init(&arena->mutex, NULL);
	return 0;
}

uint64_t host_arena_exit(struct host_arena *arena)
{
	uint64_t used = arena->pages.usable_pages - arena->pages.free_pages;

	munmap(arena->start, HOST_ARENA_BYTES);
	pthread_mutex_destroy(&arena->mutex);
	*arena = (struct host_arena){0};
	return used;
}
