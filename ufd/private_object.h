/* SPDX-License-Identifier: MIT */
/* Objects of a /dev/iommu descriptor: see ufd/object.c. A part of ufd/private.h, which includes
 * this where descriptors are known. */
#include "ufd/private.h" /* before the guard: it includes this */

#ifndef UFD_PRIVATE_OBJECT_H
#define UFD_PRIVATE_OBJECT_H

/** The place of an id: it never moves, so calls count themselves in it without a lock. */
struct ufd_place {
	struct ufd_object *object; /* under table_lock, or with a hold */
	uint32_t holds;            /* atomic: calls that use it now; UFD_SHUT: it cannot be found */
};

/** In ufd_place.holds: free, new or dying. */
#define UFD_SHUT (UINT32_C(1) << 31)

/** The head of every object. */
struct ufd_object {
	struct ufd_context *context;
	struct ufd_place *place;
	uint32_t id;    /* 1, 2, ...: the lowest that is free */
	uint32_t users; /* atomic: what must go before it may */
	uint8_t kind;   /* enum ufd_kind */
	bool published; /* could be found once */
};

/** The place of @p id, 1 to capacity. */
static inline struct ufd_place *ufd_place_of(const struct ufd_context *context, uint32_t id)
{
	uint32_t index = id - 1, piece = 0, first = 0;

	if (index >= UFD_FIRST_PIECE) {
		piece = 24 - (uint32_t)__builtin_clz(index);
		first = UFD_FIRST_PIECE / 2 << piece;
	}
	/* neighbours are in 64 different lines: calls on them are often of different processors */
	index -= first;
	uint8_t low = (uint8_t)index;
	return &context->pieces[piece][(index & ~255u) | (uint8_t)(low << 2 | low >> 6)];
}
/** The object with @p id, 1 to capacity, or NULL. table_lock is held. */
static inline struct ufd_object *ufd_object_at(const struct ufd_context *context, uint32_t id)
{
	return ufd_place_of(context, id)->object;
}

/** A zeroed object of @p bytes with an id, which cannot be found yet. 0 or -ENOMEM. */
int must_check ufd_object_new(struct ufd_context *context, enum ufd_kind kind, size_t bytes,
                              void *out);
/** Let a new object be found. */
void ufd_object_publish(struct ufd_object *object);
/** Let an object not be found any more. */
void ufd_object_shut(struct ufd_object *object);
/** Give the id of an object that cannot be found back, and free it. */
void ufd_object_free(struct ufd_object *object, size_t bytes);
static inline void ufd_object_release(struct ufd_object *object)
{
	__atomic_fetch_sub(&object->place->holds, 1, __ATOMIC_RELEASE);
}
/** Count a call in a place; false, and it is not: what is there cannot be found. */
static inline bool ufd_place_hold(struct ufd_place *place)
{
	if (__builtin_expect(!(__atomic_fetch_add(&place->holds, 1, __ATOMIC_ACQUIRE) & UFD_SHUT),
	                     1))
		return true;
	__atomic_fetch_sub(&place->holds, 1, __ATOMIC_RELEASE);
	return false;
}
/** Find and hold; @p kind UFD_NONE is any. NULL: there is none. */
static inline struct ufd_object *ufd_object_find(struct ufd_context *context, uint32_t id,
                                                 enum ufd_kind kind)
{
	if (__builtin_expect(id - 1 >= __atomic_load_n(&context->capacity, __ATOMIC_ACQUIRE), 0))
		return NULL;
	struct ufd_place *place = ufd_place_of(context, id);
	if (__builtin_expect(!ufd_place_hold(place), 0))
		return NULL;
	struct ufd_object *object = place->object;
	if (kind != UFD_NONE && __builtin_expect(object->kind != (uint8_t)kind, 0)) {
		ufd_object_release(object);
		return NULL;
	}
	return object;
}
/** The same; 0 or -ENOENT. */
int must_check ufd_object_hold(struct ufd_context *context, uint32_t id, enum ufd_kind kind,
                               void *out);
/** Add or drop long-term users. */
static inline void ufd_object_use(struct ufd_object *object, uint32_t users)
{
	__atomic_fetch_add(&object->users, users, __ATOMIC_RELAXED);
}
static inline void ufd_object_unuse(struct ufd_object *object, uint32_t users)
{
	__atomic_fetch_sub(&object->users, users, __ATOMIC_RELEASE);
}
/** Take one hold if the object is live; false if not. */
bool ufd_object_try_hold(struct ufd_object *object);
/** Drop one user and take one hold, if that was the last user; else only drop. */
bool ufd_object_unuse_hold(struct ufd_object *object, uint32_t users);
/** Destroy an object on which the caller has a hold, which goes in any case. No
 *  lock is held. 0, -EBUSY if it has users, -ENOENT if another destroys it. */
int must_check ufd_object_destroy(struct ufd_object *object);

int must_check ufd_call_destroy(struct ufd_call *call);

#endif
