/* SPDX-License-Identifier: MIT */
/* What kernel/user_memory.c, which see, and kernel/user_memory_pin.c share. */
#ifndef KERNEL_USER_MEMORY_PRIVATE_H
#define KERNEL_USER_MEMORY_PRIVATE_H

#include "kernel/user_memory.h"

static inline void lock(struct user_memory *memory)
{
	memory->os->lock(memory->os->ctx, &memory->lock);
}

static inline void unlock(struct user_memory *memory)
{
	memory->os->unlock(memory->os->ctx, &memory->lock);
}

/** Calls copy from one buffer and pin in another: a guess for each. */
enum user_purpose { FOR_COPY, FOR_PIN };

/** In user_gate.readers. */
#define GATE_SHUT (UINT32_C(1) << 31)

/** Which gate: processors run on stacks of their own. */
static inline struct user_gate *gate_here(struct user_memory *memory)
{
	return &memory->gates[((uintptr_t)__builtin_frame_address(0) >> 14) % USER_GATES];
}

/** Buffers stay until leave(); false: they are about to change, and nothing is to be left. */
static inline bool gate_enter(struct user_gate *gate)
{
	if (__builtin_expect(!(__atomic_fetch_add(&gate->readers, 1, __ATOMIC_SEQ_CST) & GATE_SHUT),
	                     1))
		return true;
	__atomic_fetch_sub(&gate->readers, 1, __ATOMIC_RELEASE);
	return false;
}

/** The same, when they have changed. */
static inline struct user_gate *enter(struct user_memory *memory)
{
	struct user_gate *gate = gate_here(memory);

	while (__builtin_expect(!gate_enter(gate), 0)) {
		lock(memory); /* who changes the list has it */
		unlock(memory);
	}
	return gate;
}

static inline void leave(struct user_gate *gate)
{
	__atomic_fetch_sub(&gate->readers, 1, __ATOMIC_RELEASE);
}

static inline bool buffer_holds(const struct user_buffer *buffer, uint64_t user, uint64_t bytes)
{
	uint64_t offset = user - buffer->start;

	return offset < buffer->bytes && bytes <= buffer->bytes - offset;
}

/** The same by looking through the list; the gate will know it next time. */
struct user_buffer *user_buffer_search(struct user_memory *memory, struct user_gate *gate,
                                       enum user_purpose purpose, uint64_t user, uint64_t bytes);

/* The buffer that holds all of [user, user + bytes); NULL if none does. */
static inline struct user_buffer *buffer_at(struct user_memory *memory, struct user_gate *gate,
                                            enum user_purpose purpose, uint64_t user,
                                            uint64_t bytes)
{
	struct user_buffer *recent = __atomic_load_n(&gate->recent[purpose], __ATOMIC_RELAXED);

	if (__builtin_expect(recent && buffer_holds(recent, user, bytes), 1))
		return recent;
	return user_buffer_search(memory, gate, purpose, user, bytes);
}

/** As ufd_memory_ops. */
int user_memory_pin(void *ctx, uint64_t user, uint64_t bytes, bool writable,
                    struct iommu_extent *extents, size_t capacity, size_t *count, uint64_t *pinned);
void user_memory_unpin(void *ctx, uint64_t user, const struct iommu_extent *extents, size_t count,
                       bool dirty);

#endif
