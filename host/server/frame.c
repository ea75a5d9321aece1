/* SPDX-License-Identifier: MIT */
/*
 * Physical memory, as devices behind the server's IOMMU see it.
 *
 * A user-space server can neither pin a program's page nor learn where it lies. It gives
 * pages addresses of its own, by 2 MiB of a process's address space, or of a file if the
 * memory is shared: two mappings of one page of a memfd are one physical page, in whatever
 * process; and what is aligned and contiguous in the program is so for the IOMMU, up to
 * the size of a large page. An address stays with its memory while anything there is
 * pinned. What a pin cannot do here is keep a private page whose program unmaps it or
 * ends: a device then reaches nothing, never other memory.
 */
#define _GNU_SOURCE
#include "host/server/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

static unsigned bucket_of(const struct frame_key *key)
{
	uint64_t mixed = (key->device ^ key->inode * UINT64_C(0x9e3779b97f4a7c15) ^ key->index) *
	                 UINT64_C(0xff51afd7ed558ccd);

	return (unsigned)(mixed >> 40) % CHUNK_BUCKETS;
}

static struct chunk *chunk_find(const struct frames *frames, const struct frame_key *key)
{
	struct chunk *chunk = frames->buckets[bucket_of(key)];

	while (chunk && memcmp(&chunk->key, key, sizeof(*key)) != 0)
		chunk = chunk->next;
	return chunk;
}

static uint64_t frame_base(const struct server *server)
{
	return server->has_model ? HOST_ARENA_START : FRAME_START;
}

static struct chunk *chunk_at(struct server *server, pa_t at)
{
	uint64_t place = (at.value - frame_base(server)) / CHUNK_BYTES;

	return at.value >= frame_base(server) && place < CHUNKS ? server->frames.chunks[place]
	                                                        : NULL;
}

/* An address for a new chunk: its place in the table, or CHUNKS. */
static uint32_t place_find(struct server *server)
{
	struct frames *frames = &server->frames;
	pa_t start;

	if (server->has_model) { /* the model reaches what its memory gave */
		if (server->model.backing.alloc(server->model.backing.ctx, 9, &start))
			return CHUNKS;
		return (uint32_t)((start.value - HOST_ARENA_START) / CHUNK_BYTES);
	}
	for (uint32_t i = frames->free_hint; i < CHUNKS; i++) {
		if (!frames->chunks[i]) {
			frames->free_hint = i + 1;
			return i;
		}
	}
	return CHUNKS;
}

static struct chunk *chunk_new(struct server *server, const struct frame_key *key)
{
	struct frames *frames = &server->frames;
	struct chunk *chunk = server_fails(server) ? NULL : calloc(1, sizeof(*chunk));
	uint32_t place = chunk ? place_find(server) : CHUNKS;

	if (place >= CHUNKS) {
		free(chunk);
		return NULL;
	}
	chunk->key = *key;
	chunk->start = pa(frame_base(server) + place * CHUNK_BYTES);
	frames->chunks[place] = chunk;
	chunk->next = frames->buckets[bucket_of(key)];
	frames->buckets[bucket_of(key)] = chunk;
	frames->used++;
	return chunk;
}

static void chunk_free(struct server *server, struct chunk *chunk)
{
	struct frames *frames = &server->frames;
	uint32_t place = (uint32_t)((chunk->start.value - frame_base(server)) / CHUNK_BYTES);
	struct chunk **link = &frames->buckets[bucket_of(&chunk->key)];

	while (*link != chunk)
		link = &(*link)->next;
	*link = chunk->next;
	frames->chunks[place] = NULL;
	if (place < frames->free_hint)
		frames->free_hint = place;
	frames->used--;
	if (server->has_model)
		(void)server->model.backing.free(server->model.backing.ctx, chunk->start, 9);
	process_put(chunk->owner);
	process_put(chunk->via);
	free(chunk);
}

static void chunk_via(struct chunk *chunk, struct process *process, uint64_t at)
{
	process->refs++;
	process_put(chunk->via);
	chunk->via = process;
	chunk->via_at = at;
}

static void chunk_own(struct chunk *chunk, struct process *process)
{
	if (chunk->owner)
		chunk->owner->pinned_pages -= chunk->pins;
	process->pinned_pages += chunk->pins;
	process->refs++;
	process_put(chunk->owner);
	chunk->owner = process;
}

/* Which memory is at @p at of the process? */
static struct frame_key key_of(const struct server *server, const struct process *process,
                               const struct vma *vma, uint64_t at, uint64_t *offset)
{
	bool file = vma->shared && vma->inode;
	uint64_t where = file ? vma->offset + (at - vma->start) : at;

	*offset = where % CHUNK_BYTES;
	return (struct frame_key){
		.device = file ? vma->device : process_number(server, process),
		.inode = file ? vma->inode : UINT64_MAX,
		.index = where / CHUNK_BYTES,
	};
}

/* Is each page of [at, at + bytes) there? A file's need not be. The bytes that are. */
static uint64_t pages_present(const struct process *process, uint64_t at, uint64_t bytes)
{
	enum { BATCH = 256 };
	char bytes_read[BATCH] = "";
	struct iovec there[BATCH];
	uint64_t done = 0;

	while (done < bytes) {
		unsigned count = 0;
		for (; count < BATCH && done + count * PAGE_SIZE_4K < bytes; count++)
			there[count] = (struct iovec){
				(void *)(uintptr_t)(at + done + count * PAGE_SIZE_4K), 1};
		struct iovec here = {bytes_read, count};
		ssize_t got = process_vm_readv(process->pid, &here, 1, there, count, 0);
		if (got < 0 && (errno == EPERM || errno == ENOSYS))
			return bytes; /* nobody may look */
		if (got != (ssize_t)count)
			return done + (got > 0 ? (uint64_t)got * PAGE_SIZE_4K : 0);
		done += count * PAGE_SIZE_4K;
	}
	return bytes;
}

static int extent_add(struct iommu_extent *extents, size_t capacity, size_t *count, pa_t start,
                      uint64_t bytes)
{
	struct iommu_extent *last = *count ? &extents[*count - 1] : NULL;

	if (last && last->start.value + last->bytes == start.value) {
		last->bytes += bytes;
		return 0;
	}
	if (*count == capacity)
		return -ENOSPC;
	extents[(*count)++] = (struct iommu_extent){start, bytes};
	return 0;
}

/* Pin what of [at, at + bytes) is in one chunk and in @p vma; all of it is. */
static int piece_pin(struct server *server, struct process *process, const struct vma *vma,
                     uint64_t at, uint64_t bytes, struct iommu_extent *extents, size_t capacity,
                     size_t *count)
{
	uint64_t offset;
	struct frame_key key = key_of(server, process, vma, at, &offset);
	struct chunk *chunk = chunk_find(&server->frames, &key);
	struct process *payer = server->call ? server->call->process : process;

	if (!chunk)
		chunk = chunk_new(server, &key);
	if (!chunk)
		return -ENOMEM;
	int error = extent_add(extents, capacity, count, pa_add(chunk->start, offset), bytes);
	if (error) {
		if (!chunk->pins)
			chunk_free(server, chunk);
		return error;
	}
	for (uint64_t page = 0; page < bytes / PAGE_SIZE_4K; page++)
		chunk->page_pins[offset / PAGE_SIZE_4K + page]++;
	chunk->pins += bytes / PAGE_SIZE_4K;
	if (chunk->owner)
		chunk->owner->pinned_pages += bytes / PAGE_SIZE_4K;
	else
		chunk_own(chunk, payer);
	chunk_via(chunk, process, at - offset);
	return 0;
}

int frame_pin(struct server *server, struct process *process, uint64_t at, uint64_t bytes,
              bool writable, struct iommu_extent *extents, size_t capacity, size_t *count,
              uint64_t *pinned)
{
	struct vma *vmas;
	int error = 0;

	*count = 0;
	*pinned = 0;
	int vma_count = process_vmas(process, at, bytes, &vmas);
	if (vma_count < 0)
		return vma_count;
	for (int i = 0; i < vma_count && *pinned < bytes && !error; i++) {
		const struct vma *vma = &vmas[i];
		uint64_t here = at + *pinned;
		uint64_t end = vma->end < at + bytes ? vma->end : at + bytes;
		if (vma->start > here || !vma->readable || vma->special ||
		    (writable && !vma->writable))
			break;
		if (vma->inode)
			end = here + pages_present(process, here, end - here);
		while (here < end && !error) {
			uint64_t offset;
			(void)key_of(server, process, vma, here, &offset);
			uint64_t now = CHUNK_BYTES - offset < end - here ? CHUNK_BYTES - offset
			                                                 : end - here;
			error = piece_pin(server, process, vma, here, now, extents, capacity,
			                  count);
			if (!error) {
				here += now;
				*pinned += now;
			}
		}
		if (here < vma->end)
			break;
	}
	free(vmas);
	if (*pinned && error != -ENOMEM)
		return 0; /* the caller comes back for the rest */
	if (*pinned) {
		frame_unpin(server, extents, *count);
		*count = 0;
		*pinned = 0;
	}
	return error ? error : -EFAULT;
}

void frame_unpin(struct server *server, const struct iommu_extent *extents, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t at = extents[i].start.value, end = at + extents[i].bytes;
		while (at < end) {
			struct chunk *chunk = chunk_at(server, pa(at));
			if (!chunk)
				abort(); /* the core gives back what it was not given */
			for (; at < end && at - chunk->start.value < CHUNK_BYTES;
			     at += PAGE_SIZE_4K) {
				uint64_t page = (at - chunk->start.value) / PAGE_SIZE_4K;
				if (!chunk->page_pins[page]--)
					abort();
				chunk->pins--;
				chunk->owner->pinned_pages--;
			}
			if (!chunk->pins)
				chunk_free(server, chunk);
		}
	}
}

int frame_pins(struct server *server, struct process *process, uint64_t at, uint32_t *out)
{
	struct vma *vmas;
	uint64_t offset;
	int error = -EFAULT;

	if (process_vmas(process, at, 1, &vmas) == 1 && vmas->start <= at) {
		struct frame_key key = key_of(server, process, vmas, at, &offset);
		const struct chunk *chunk = chunk_find(&server->frames, &key);
		*out = chunk ? chunk->page_pins[offset / PAGE_SIZE_4K] : 0;
		error = 0;
	}
	free(vmas);
	return error;
}

void frame_charge(struct server *server, struct process *process)
{
	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct chunk *chunk = server->frames.chunks[i];
		if (chunk && chunk->key.inode != UINT64_MAX)
			chunk_own(chunk, process);
	}
}

/* ---- contents ------------------------------------------------------------------------------ */

int frame_copy_file(struct server *server, uint64_t device, uint64_t inode, uint64_t offset,
                    void *data, uint64_t bytes, bool store)
{
	for (size_t i = 0; i < SERVER_PROCESSES; i++) {
		struct process *process = &server->processes[i];
		struct vma *vmas;
		if (!process->used || !process_alive(server, process))
			continue;
		int count = process_vmas(process, 0, SERVER_ADDRESS_END, &vmas), error = -EFAULT;
		for (int at = 0; at < count && error; at++) {
			const struct vma *vma = &vmas[at];
			if (vma->shared && vma->device == device && vma->inode == inode &&
			    vma->offset <= offset &&
			    offset - vma->offset + bytes <= vma->end - vma->start)
				error = process_copy(server, process,
				                     vma->start + (offset - vma->offset), data,
				                     bytes, store);
		}
		free(vmas);
		if (!error)
			return 0;
	}
	return -EFAULT;
}

/* Within one chunk. */
static int chunk_copy(struct server *server, struct chunk *chunk, uint64_t offset, void *data,
                      uint64_t bytes, bool store)
{
	if (process_alive(server, chunk->via) &&
	    process_copy(server, chunk->via, chunk->via_at + offset, data, bytes, store) == 0)
		return 0;
	if (chunk->key.inode == UINT64_MAX)
		return -EFAULT;
	return frame_copy_file(server, chunk->key.device, chunk->key.inode,
	                       chunk->key.index * CHUNK_BYTES + offset, data, bytes, store);
}

int frame_copy(struct server *server, pa_t at, void *data, uint64_t bytes, bool store)
{
	while (bytes) {
		struct chunk *chunk = chunk_at(server, at);
		uint64_t offset = at.value % CHUNK_BYTES;
		uint64_t now = PAGE_SIZE_4K - at.value % PAGE_SIZE_4K;
		if (now > bytes)
			now = bytes;
		if (!chunk || !chunk->page_pins[offset / PAGE_SIZE_4K] ||
		    chunk_copy(server, chunk, offset, data, now, store))
			return -EFAULT;
		data = (char *)data + now;
		at = pa_add(at, now);
		bytes -= now;
	}
	return 0;
}

/* ---- for a model ------------------------------------------------------------------------------ */

/* A model reads and writes memory of this process. Before a transfer each pinned page is
 * brought here; after it, what the model changed is taken back. */

static uint8_t *chunk_memory(const struct server *server, const struct chunk *chunk)
{
	return iommu_os_va(&server->os, chunk->start);
}

void frame_load(struct server *server)
{
	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct chunk *chunk = server->frames.chunks[i];
		for (unsigned page = 0; chunk && page < CHUNK_PAGES; page++) {
			uint8_t *ours = chunk_memory(server, chunk) + page * PAGE_SIZE_4K;
			if (chunk->page_pins[page] && chunk_copy(server, chunk, page * PAGE_SIZE_4K,
			                                         ours, PAGE_SIZE_4K, false))
				memset(ours, 0, PAGE_SIZE_4K); /* nobody has it any more */
		}
	}
}

/* Take one page back if the model changed it. */
static int page_store(struct server *server, struct chunk *chunk, unsigned page)
{
	uint8_t theirs[PAGE_SIZE_4K] = {0};
	uint8_t *ours = chunk_memory(server, chunk) + page * PAGE_SIZE_4K;
	uint64_t offset = page * PAGE_SIZE_4K;

	/* one that nobody has is empty, as it was loaded: what was written there is lost */
	(void)chunk_copy(server, chunk, offset, theirs, PAGE_SIZE_4K, false);
	if (memcmp(theirs, ours, PAGE_SIZE_4K) == 0)
		return 0;
	return chunk_copy(server, chunk, offset, ours, PAGE_SIZE_4K, true);
}

int frame_store(struct server *server)
{
	int error = 0;

	for (uint32_t i = 0; i < CHUNKS; i++) {
		struct chunk *chunk = server->frames.chunks[i];
		for (unsigned page = 0; chunk && page < CHUNK_PAGES; page++)
			if (chunk->page_pins[page] && page_store(server, chunk, page))
				error = -EFAULT;
	}
	return error;
}

void frames_exit(struct server *server)
{
	for (uint32_t i = 0; i < CHUNKS; i++)
		if (server->frames.chunks[i])
			chunk_free(server, server->frames.chunks[i]);
}
