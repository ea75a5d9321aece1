/* SPDX-License-Identifier: MIT */
/*
 * User memory: see user_memory.h.
 *
 * Invariants: buffers are sorted by address and never overlap, gaps included; a
 * run's pinned_pages is greater than 0 exactly while the backing has it pinned by
 * us, once.
 */
#include "kernel/user_memory.h"

#include "iommu/string.h"

static void lock(struct user_memory *memory)
{
	memory->os->lock(memory->os->ctx, &memory->lock);
}

static void unlock(struct user_memory *memory)
{
	memory->os->unlock(memory->os->ctx, &memory->lock);
}

/* ---- addresses ------------------------------------------------------------------ */

/* The buffer that holds all of [user, user + bytes); NULL if none does. */
static struct user_buffer *buffer_at(struct user_memory *memory, uint64_t user, uint64_t bytes)
{
	for (struct user_buffer *buffer = memory->buffers; buffer; buffer = buffer->next) {
		if (user < buffer->start)
			return NULL;
		uint64_t offset = user - buffer->start;
		if (offset < buffer->bytes)
			return bytes <= buffer->bytes - offset ? buffer : NULL;
	}
	return NULL;
}

/* How many bytes of the buffer lie in run @p index. */
static uint64_t run_used(const struct user_buffer *buffer, size_t index)
{
	uint64_t before = index * buffer->run_bytes;
	uint64_t left = buffer->bytes - before;
	return left < buffer->run_bytes ? left : buffer->run_bytes;
}

static pa_t physical_at(const struct user_buffer *buffer, uint64_t offset)
{
	return pa_add(buffer->runs[offset / buffer->run_bytes].start, offset % buffer->run_bytes);
}

void *user_memory_at(struct user_memory *memory, uint64_t user, uint64_t *bytes)
{
	void *at = NULL;

	lock(memory);
	struct user_buffer *buffer = buffer_at(memory, user, 1);
	if (buffer) {
		uint64_t offset = user - buffer->start;
		uint64_t left =
			run_used(buffer, offset / buffer->run_bytes) - offset % buffer->run_bytes;
		if (*bytes > left)
			*bytes = left;
		at = iommu_os_va(memory->os, physical_at(buffer, offset));
	}
	unlock(memory);
	return at;
}

int user_memory_physical(struct user_memory *memory, uint64_t user, pa_t *out)
{
	lock(memory);
	struct user_buffer *buffer = buffer_at(memory, user, 1);
	if (buffer)
		*out = physical_at(buffer, user - buffer->start);
	unlock(memory);
	return buffer ? 0 : -EFAULT;
}

enum direction { COPY_IN, COPY_OUT };

static int copy(struct user_memory *memory, uint64_t user, char *kernel, size_t bytes,
                enum direction direction)
{
	if (bytes == 0)
		return 0;
	lock(memory);
	struct user_buffer *buffer = buffer_at(memory, user, bytes);
	uint64_t offset = buffer ? user - buffer->start : 0;
	for (size_t done = 0; buffer && done < bytes;) {
		size_t chunk = buffer->run_bytes - offset % buffer->run_bytes;
		if (chunk > bytes - done)
			chunk = bytes - done;
		void *at = iommu_os_va(memory->os, physical_at(buffer, offset));
		if (direction == COPY_IN)
			memcpy(kernel + done, at, chunk);
		else
			memcpy(at, kernel + done, chunk);
		done += chunk;
		offset += chunk;
	}
	unlock(memory);
	return buffer ? 0 : -EFAULT;
}

int user_memory_copy_in(struct user_memory *memory, void *kernel, uint64_t user, size_t bytes)
{
	return copy(memory, user, kernel, bytes, COPY_IN);
}

int user_memory_copy_out(struct user_memory *memory, uint64_t user, const void *kernel,
                         size_t bytes)
{
	/* COPY_OUT only reads from it. */
	return copy(memory, user, (char *)(uintptr_t)kernel, bytes, COPY_OUT);
}

/* ---- buffers -------------------------------------------------------------------- */

struct user_buffer *user_buffer_find(struct user_memory *memory, const char *name)
{
	struct user_buffer *found = NULL;

	lock(memory);
	for (struct user_buffer *buffer = memory->buffers; buffer && !found;
	     buffer = buffer->next) {
		size_t i = 0;
		while (name[i] && name[i] == buffer->name[i])
			i++;
		if (name[i] == buffer->name[i])
			found = buffer;
	}
	unlock(memory);
	return found;
}

uint64_t user_buffer_pinned(struct user_memory *memory, const struct user_buffer *buffer)
{
	uint64_t pinned = 0;

	lock(memory);
	for (size_t i = 0; i < buffer->run_count; i++)
		pinned += buffer->runs[i].pinned_pages;
	unlock(memory);
	return pinned;
}

/* Put the buffer at the lowest user address that fits. Called with the lock held. */
static int buffer_place(struct user_memory *memory, struct user_buffer *buffer, uint64_t align)
{
	uint64_t at = USER_MEMORY_START;
	struct user_buffer **link = &memory->buffers;

	for (;; link = &(*link)->next) {
		at = (at + align - 1) & ~(align - 1);
		if (at >= USER_MEMORY_END || buffer->bytes > USER_MEMORY_END - at)
			return -ENOMEM;
		if (!*link || (*link)->start - USER_MEMORY_GAP >= at + buffer->bytes)
			break;
		at = (*link)->start + (*link)->bytes + USER_MEMORY_GAP;
	}
	buffer->start = at;
	buffer->next = *link;
	*link = buffer;
	return 0;
}

static void buffer_free(struct user_memory *memory, struct user_buffer *buffer)
{
	memory->os->free(memory->os->ctx, buffer->runs, buffer->run_count * sizeof(*buffer->runs));
	memory->os->free(memory->os->ctx, buffer, sizeof(*buffer));
}

/* Give the first @p count runs back. None is pinned by us; if the backing knows of
 * another pin, the run is kept: a device may still write there. */
static unsigned runs_free(struct user_memory *memory, struct user_buffer *buffer, size_t count)
{
	unsigned kept = 0;

	for (size_t i = 0; i < count; i++)
		if (memory->backing->free(memory->backing->ctx, buffer->runs[i].start,
		                          buffer->run_order) != 0)
			kept++;
	return kept;
}

static int runs_alloc(struct user_memory *memory, struct user_buffer *buffer)
{
	const struct user_backing *backing = memory->backing;

	for (size_t i = 0; i < buffer->run_count; i++) {
		int error = backing->alloc(backing->ctx, buffer->run_order, &buffer->runs[i].start);
		if (error) {
			runs_free(memory, buffer, i);
			return -ENOMEM;
		}
		if (buffer->zeroed)
			memset(iommu_os_va(memory->os, buffer->runs[i].start), 0,
			       run_used(buffer, i));
	}
	return 0;
}

/* Decide of which runs a buffer consists. */
static int buffer_shape(const struct user_memory *memory, struct user_buffer *buffer,
                        uint64_t align, unsigned flags)
{
	unsigned order = 0;

	if (buffer->bytes == 0 || buffer->bytes >= USER_MEMORY_END || (align & (align - 1)) != 0)
		return -EINVAL;
	buffer->bytes = (buffer->bytes + PAGE_SIZE_4K - 1) & ~(PAGE_SIZE_4K - 1);
	buffer->scattered = flags & USER_SCATTERED;
	buffer->zeroed = buffer->bytes < PAGE_SIZE_1G;
	if (buffer->scattered) {
		if (align > PAGE_SIZE_4K)
			return -EINVAL;
		buffer->run_order = 1;
		buffer->run_bytes = PAGE_SIZE_4K;
	} else {
		while (order < memory->backing->max_order &&
		       (PAGE_SIZE_4K << order < buffer->bytes || PAGE_SIZE_4K << order < align))
			order++;
		if (PAGE_SIZE_4K << order < align)
			return -EINVAL;
		buffer->run_order = order;
		buffer->run_bytes = PAGE_SIZE_4K << order;
	}
	buffer->run_count = (buffer->bytes + buffer->run_bytes - 1) / buffer->run_bytes;
	return 0;
}

int user_buffer_create(struct user_memory *memory, const char *name, uint64_t bytes, uint64_t align,
                       unsigned flags, struct user_buffer **out)
{
	const struct iommu_os *os = memory->os;
	struct user_buffer shape = {.bytes = bytes};
	size_t length = 0;

	while (name[length])
		length++;
	if (length == 0 || length >= sizeof(shape.name))
		return -EINVAL;
	memcpy(shape.name, name, length);
	if (user_buffer_find(memory, name))
		return -EEXIST;
	int error = buffer_shape(memory, &shape, align, flags);
	if (error)
		return error;

	struct user_buffer *buffer = os->alloc(os->ctx, sizeof(*buffer));
	if (!buffer)
		return -ENOMEM;
	*buffer = shape;
	buffer->runs = os->alloc(os->ctx, buffer->run_count * sizeof(*buffer->runs));
	if (!buffer->runs) {
		os->free(os->ctx, buffer, sizeof(*buffer));
		return -ENOMEM;
	}
	error = runs_alloc(memory, buffer);
	if (!error) {
		lock(memory);
		error = buffer_place(memory, buffer,
		                     buffer->run_bytes > align ? buffer->run_bytes : align);
		unlock(memory);
		if (error)
			runs_free(memory, buffer, buffer->run_count);
	}
	if (error) {
		buffer_free(memory, buffer);
		return error;
	}
	*out = buffer;
	return 0;
}

int user_buffer_destroy(struct user_memory *memory, struct user_buffer *buffer)
{
	lock(memory);
	for (size_t i = 0; i < buffer->run_count; i++) {
		if (buffer->runs[i].pinned_pages) {
			unlock(memory);
			return -EBUSY;
		}
	}
	for (struct user_buffer **link = &memory->buffers; *link; link = &(*link)->next) {
		if (*link == buffer) {
			*link = buffer->next;
			break;
		}
	}
	unlock(memory);
	runs_free(memory, buffer, buffer->run_count);
	buffer_free(memory, buffer);
	return 0;
}

/* ---- pins ------------------------------------------------------------------------ */

/* Add @p pages to a run; the first pins it below. */
static int run_pin(struct user_memory *memory, struct user_run *run, uint64_t pages)
{
	if (run->pinned_pages == 0) {
		int error = memory->backing->pin(memory->backing->ctx, run->start);
		if (error)
			return error;
	}
	run->pinned_pages += pages;
	memory->pins += pages;
	return 0;
}

static int pin(void *ctx, uint64_t user, uint64_t bytes, bool writable,
               struct iommu_extent *extents, size_t capacity, size_t *count, uint64_t *pinned)
{
	struct user_memory *memory = ctx;
	int error = -EFAULT;

	(void)writable; /* every buffer is */
	*count = 0;
	*pinned = 0;
	if ((user | bytes) % PAGE_SIZE_4K != 0 || bytes == 0)
		return -EFAULT;
	lock(memory);
	struct user_buffer *buffer = buffer_at(memory, user, 1);
	while (buffer && *pinned < bytes) {
		uint64_t offset = user + *pinned - buffer->start;
		if (offset >= buffer->bytes)
			break;
		size_t index = offset / buffer->run_bytes;
		uint64_t part = run_used(buffer, index) - offset % buffer->run_bytes;
		if (part > bytes - *pinned)
			part = bytes - *pinned;
		pa_t start = physical_at(buffer, offset);
		struct iommu_extent *last = *count ? &extents[*count - 1] : NULL;
		bool joins = last && last->start.value + last->bytes == start.value;
		if (!joins && *count == capacity)
			break;
		error = run_pin(memory, &buffer->runs[index], part / PAGE_SIZE_4K);
		if (error)
			break;
		if (joins)
			last->bytes += part;
		else
			extents[(*count)++] = (struct iommu_extent){start, part};
		buffer->last_run = index;
		*pinned += part;
	}
	unlock(memory);
	return *pinned ? 0 : error;
}

static bool run_holds(const struct user_buffer *buffer, size_t index, pa_t at)
{
	return index < buffer->run_count &&
	       at.value - buffer->runs[index].start.value < run_used(buffer, index);
}

/* The run that holds @p at: usually that of the last pin or its neighbour. */
static struct user_buffer *run_find(struct user_memory *memory, pa_t at, size_t *index)
{
	struct user_buffer *buffer;

	for (buffer = memory->buffers; buffer; buffer = buffer->next) {
		for (size_t near = 0; near < 2; near++) {
			*index = buffer->last_run + near;
			if (run_holds(buffer, *index, at))
				return buffer;
		}
	}
	for (buffer = memory->buffers; buffer; buffer = buffer->next)
		for (*index = 0; *index < buffer->run_count; ++*index)
			if (run_holds(buffer, *index, at))
				return buffer;
	return NULL;
}

static void unpin(void *ctx, const struct iommu_extent *extents, size_t count, bool dirty)
{
	struct user_memory *memory = ctx;

	(void)dirty; /* nothing is written back anywhere */
	lock(memory);
	for (size_t i = 0; i < count; i++) {
		for (uint64_t done = 0; done < extents[i].bytes;) {
			pa_t at = pa_add(extents[i].start, done);
			size_t index;
			struct user_buffer *buffer = run_find(memory, at, &index);
			if (!buffer) { /* not ours: skip the page, the rest may be */
				done += PAGE_SIZE_4K;
				continue;
			}
			struct user_run *run = &buffer->runs[index];
			uint64_t part = run_used(buffer, index) - (at.value - run->start.value);
			if (part > extents[i].bytes - done)
				part = extents[i].bytes - done;
			uint64_t pages = part / PAGE_SIZE_4K;
			if (pages > run->pinned_pages)
				pages = run->pinned_pages; /* one unpin too many */
			run->pinned_pages -= pages;
			memory->unpins += pages;
			if (pages && run->pinned_pages == 0)
				(void)!memory->backing->unpin(memory->backing->ctx, run->start);
			buffer->last_run = index;
			done += part;
		}
	}
	unlock(memory);
}

static int copy_in_op(void *ctx, void *kernel, uint64_t user, size_t bytes)
{
	return user_memory_copy_in(ctx, kernel, user, bytes);
}

static int copy_out_op(void *ctx, uint64_t user, const void *kernel, size_t bytes)
{
	return user_memory_copy_out(ctx, user, kernel, bytes);
}

const struct ufd_memory_ops user_memory_ops = {
	.copy_in = copy_in_op,
	.copy_out = copy_out_op,
	.pin = pin,
	.unpin = unpin,
};

/* ---- life -------------------------------------------------------------------------- */

int user_memory_init(struct user_memory *memory, const struct iommu_os *os,
                     const struct user_backing *backing)
{
	*memory = (struct user_memory){.os = os, .backing = backing};
	return os->lock_init(os->ctx, &memory->lock, "user memory");
}

unsigned user_memory_exit(struct user_memory *memory)
{
	unsigned pinned = 0;

	while (memory->buffers) {
		struct user_buffer *buffer = memory->buffers;
		if (user_buffer_destroy(memory, buffer) != 0) {
			pinned++;
			memory->buffers = buffer->next;
			buffer_free(memory, buffer); /* the runs stay out of use */
		}
	}
	memory->os->lock_destroy(memory->os->ctx, &memory->lock);
	return pinned;
}
