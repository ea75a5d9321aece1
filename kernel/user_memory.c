/* SPDX-License-Identifier: MIT */
/*
 * User memory: see user_memory.h.
 *
 * Invariants: buffers are sorted by address and never overlap, gaps included; a
 * run's pinned_pages is greater than 0 exactly while the backing has it pinned by
 * us, once (but for the moment in which the first pin comes or the last one goes).
 *
 * Looking, copying, pinning and unpinning take no lock: who does it counts itself in a
 * gate, one of several so that processors do not share a cache line. Who changes the list
 * of buffers takes the lock, shuts all gates and waits until nobody is inside.
 */
#include "kernel/user_memory_private.h"

#include "iommu/string.h"

/** Take the lock and have the list alone. */
static void list_lock(struct user_memory *memory)
{
	lock(memory);
	for (size_t i = 0; i < USER_GATES; i++)
		__atomic_fetch_or(&memory->gates[i].readers, GATE_SHUT, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < USER_GATES; i++) {
		while (__atomic_load_n(&memory->gates[i].readers, __ATOMIC_ACQUIRE) != GATE_SHUT)
			memory->os->relax(memory->os->ctx);
		__atomic_store_n(&memory->gates[i].recent[FOR_COPY], NULL, __ATOMIC_RELAXED);
		__atomic_store_n(&memory->gates[i].recent[FOR_PIN], NULL, __ATOMIC_RELAXED);
	}
}

static void list_unlock(struct user_memory *memory)
{
	for (size_t i = 0; i < USER_GATES; i++)
		__atomic_fetch_and(&memory->gates[i].readers, ~GATE_SHUT, __ATOMIC_RELEASE);
	unlock(memory);
}

/* ---- addresses ------------------------------------------------------------------ */

struct user_buffer *user_buffer_search(struct user_memory *memory, struct user_gate *gate,
                                       enum user_purpose purpose, uint64_t user, uint64_t bytes)
{
	struct user_buffer *buffer = memory->buffers;

	while (buffer && user >= buffer->start && user - buffer->start >= buffer->bytes)
		buffer = buffer->next;
	if (!buffer || !buffer_holds(buffer, user, bytes))
		return NULL;
	__atomic_store_n(&gate->recent[purpose], buffer, __ATOMIC_RELAXED);
	return buffer;
}

/* How many bytes of the buffer lie in run @p index. */
static uint64_t run_used(const struct user_buffer *buffer, size_t index)
{
	uint64_t before = (uint64_t)index << buffer->run_shift;
	uint64_t left = buffer->bytes - before;
	return left < buffer->run_bytes ? left : buffer->run_bytes;
}

static pa_t physical_at(const struct user_buffer *buffer, uint64_t offset)
{
	return pa_add(buffer->runs[offset >> buffer->run_shift].start,
	              offset & (buffer->run_bytes - 1));
}

void *user_memory_at(struct user_memory *memory, uint64_t user, uint64_t *bytes)
{
	struct user_gate *gate = enter(memory);
	struct user_buffer *buffer = buffer_at(memory, gate, FOR_PIN, user, 1);
	void *at = NULL;

	if (buffer) {
		uint64_t offset = user - buffer->start;
		uint64_t left = run_used(buffer, offset >> buffer->run_shift) -
		                (offset & (buffer->run_bytes - 1));
		if (*bytes > left)
			*bytes = left;
		at = iommu_os_va(memory->os, physical_at(buffer, offset));
	}
	leave(gate);
	return at;
}

int user_memory_physical(struct user_memory *memory, uint64_t user, pa_t *out)
{
	struct user_gate *gate = enter(memory);
	struct user_buffer *buffer = buffer_at(memory, gate, FOR_PIN, user, 1);

	if (buffer)
		*out = physical_at(buffer, user - buffer->start);
	leave(gate);
	return buffer ? 0 : -EFAULT;
}

enum direction { COPY_IN, COPY_OUT };

/** Copy across runs, or where nobody has looked lately. */
static __attribute__((noinline)) int copy_slow(struct user_memory *memory, char *kernel,
                                               uint64_t user, size_t bytes,
                                               enum direction direction)
{
	if (bytes == 0)
		return 0;
	struct user_gate *gate = enter(memory);
	struct user_buffer *buffer = buffer_at(memory, gate, FOR_COPY, user, bytes);
	uint64_t offset = buffer ? user - buffer->start : 0;

	for (size_t done = 0; buffer && done < bytes;) {
		size_t chunk = buffer->run_bytes - (offset & (buffer->run_bytes - 1));
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
	leave(gate);
	return buffer ? 0 : -EFAULT;
}

/** One word; neither end need be aligned. */
#define COPY_WORD(n) __builtin_memcpy((char *)to + 8 * (n), (const char *)from + 8 * (n), 8)

enum { QUICK_BYTES = 80 }; /* at most; a multiple of 16 */

/** Structures of calls are a few words, @p bytes a multiple of 4. */
static inline void copy_words(void *to, const void *from, size_t bytes)
{
	if (bytes & 4)
		__builtin_memcpy((char *)to + (bytes - 4), (const char *)from + (bytes - 4), 4);
	switch (bytes / 8) {
	case 10:
		COPY_WORD(9);
		__attribute__((fallthrough));
	case 9:
		COPY_WORD(8);
		__attribute__((fallthrough));
	case 8:
		COPY_WORD(7);
		__attribute__((fallthrough));
	case 7:
		COPY_WORD(6);
		__attribute__((fallthrough));
	case 6:
		COPY_WORD(5);
		__attribute__((fallthrough));
	case 5:
		COPY_WORD(4);
		__attribute__((fallthrough));
	case 4:
		COPY_WORD(3);
		__attribute__((fallthrough));
	case 3:
		COPY_WORD(2);
		__attribute__((fallthrough));
	case 2:
		COPY_WORD(1);
		__attribute__((fallthrough));
	case 1:
		COPY_WORD(0);
		__attribute__((fallthrough));
	default:
		break;
	}
}

/** In the first run of the buffer that was used last: without a frame; what it does not do
 *  goes on elsewhere with the same arguments. */
static inline int copy(struct user_memory *memory, char *kernel, uint64_t user, size_t bytes,
                       enum direction direction)
{
	struct user_gate *gate = gate_here(memory);

	if (__builtin_expect(bytes % 4 == 0 && bytes <= QUICK_BYTES && gate_enter(gate), 1)) {
		const struct user_buffer *recent =
			__atomic_load_n(&gate->recent[FOR_COPY], __ATOMIC_RELAXED);
		if (__builtin_expect(recent && user - recent->start <= recent->copy_limit, 1)) {
			void *at = recent->first_at + (user - recent->start);
			if (direction == COPY_IN)
				copy_words(kernel, at, bytes);
			else
				copy_words(at, kernel, bytes);
			leave(gate);
			return 0;
		}
		leave(gate);
	}
	return copy_slow(memory, kernel, user, bytes, direction);
}

int user_memory_copy_in(struct user_memory *memory, void *kernel, uint64_t user, size_t bytes)
{
	return copy(memory, kernel, user, bytes, COPY_IN);
}

int user_memory_copy_out(struct user_memory *memory, uint64_t user, const void *kernel,
                         size_t bytes)
{
	/* COPY_OUT only reads from it. */
	return copy(memory, (char *)(uintptr_t)kernel, user, bytes, COPY_OUT);
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

	(void)memory;
	for (size_t i = 0; i < buffer->run_count; i++)
		pinned += __atomic_load_n(&buffer->runs[i].pinned_pages, __ATOMIC_RELAXED);
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
	buffer->run_shift = (unsigned)__builtin_ctzll(buffer->run_bytes);
	buffer->run_count = (buffer->bytes + buffer->run_bytes - 1) >> buffer->run_shift;
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
		buffer->copy_limit = run_used(buffer, 0) - QUICK_BYTES; /* a page at least */
		buffer->first_at = iommu_os_va(os, buffer->runs[0].start);
		list_lock(memory);
		error = buffer_place(memory, buffer,
		                     buffer->run_bytes > align ? buffer->run_bytes : align);
		list_unlock(memory);
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
	list_lock(memory);
	if (user_buffer_pinned(memory, buffer)) {
		list_unlock(memory);
		return -EBUSY;
	}
	for (struct user_buffer **link = &memory->buffers; *link; link = &(*link)->next) {
		if (*link == buffer) {
			*link = buffer->next;
			break;
		}
	}
	memory->pins += buffer->pins;
	memory->unpins += buffer->unpins;
	list_unlock(memory);
	runs_free(memory, buffer, buffer->run_count);
	buffer_free(memory, buffer);
	return 0;
}

/* ---- pins ------------------------------------------------------------------------ */

void user_memory_pins(struct user_memory *memory, uint64_t *pins, uint64_t *unpins)
{
	lock(memory);
	*pins = memory->pins;
	*unpins = memory->unpins;
	for (struct user_buffer *buffer = memory->buffers; buffer; buffer = buffer->next) {
		*pins += __atomic_load_n(&buffer->pins, __ATOMIC_RELAXED);
		*unpins += __atomic_load_n(&buffer->unpins, __ATOMIC_RELAXED);
	}
	unlock(memory);
}

static int copy_in_op(void *ctx, void *kernel, uint64_t user, size_t bytes)
{
	return copy(ctx, kernel, user, bytes, COPY_IN);
}

static int copy_out_op(void *ctx, uint64_t user, const void *kernel, size_t bytes)
{
	return copy(ctx, (char *)(uintptr_t)kernel, user, bytes, COPY_OUT);
}

const struct ufd_memory_ops user_memory_ops = {
	.copy_in = copy_in_op,
	.copy_out = copy_out_op,
	.pin = user_memory_pin,
	.unpin = user_memory_unpin,
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
