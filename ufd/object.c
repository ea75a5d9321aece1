/* SPDX-License-Identifier: MIT */
/*
 * Objects of a /dev/iommu descriptor: ids, counts, life and death.
 *
 * `users` are objects that refer to this one for longer than a call; while there
 * are any, destroying it is -EBUSY. `holds` are running calls; destroying waits
 * for them, with a deadline.
 *
 * A call finds and holds its object without a lock: it counts itself in the id's place
 * first and looks then. Places do not go away and are of one id for good, so counting in
 * one whose object is gone, or another, does no harm; UFD_SHUT says that what is there must
 * not be looked at. Who destroys sets it first, waits for the holds that were there, and
 * then looks for users: nobody can become one without a hold.
 */
#include "ufd/private.h"

#include "iommu/string.h"

/** How long destroying waits for calls that use the object. */
#define HOLD_DEADLINE_NS (UINT64_C(10) * 1000 * 1000 * 1000)

static void lock_table(const struct ufd_context *context, struct iommu_lock *lock)
{
	ufd_lock(context->file.ufd, lock);
}

static void unlock_table(const struct ufd_context *context, struct iommu_lock *lock)
{
	ufd_unlock(context->file.ufd, lock);
}

#define LOCK(context)   lock_table(context, &(context)->table_lock)
#define UNLOCK(context) unlock_table(context, &(context)->table_lock)

static uint32_t piece_places(uint32_t piece)
{
	return piece ? UFD_FIRST_PIECE / 2 << piece : UFD_FIRST_PIECE;
}

static size_t piece_bytes(uint32_t piece)
{
	return piece_places(piece) * sizeof(struct ufd_place);
}

/** One more piece, twice as many places. 0 or -ENOMEM. table_lock is held. */
static int places_grow(struct ufd_context *context)
{
	const uint32_t places = context->capacity;
	uint32_t piece = 0;

	while (piece < UFD_PIECES && context->pieces[piece])
		piece++;
	if (piece == UFD_PIECES)
		return -ENOMEM;
	struct ufd_place *made = ufd_alloc(context->file.ufd, piece_bytes(piece));
	if (!made)
		return -ENOMEM;
	for (uint32_t i = 0; i < piece_places(piece); i++)
		made[i].holds = UFD_SHUT;
	context->pieces[piece] = made;
	__atomic_store_n(&context->capacity, places + piece_places(piece), __ATOMIC_RELEASE);
	return 0;
}

static void places_free(struct ufd_context *context)
{
	for (uint32_t i = 0; i < UFD_PIECES && context->pieces[i]; i++)
		ufd_free(context->file.ufd, context->pieces[i], piece_bytes(i));
}

int ufd_object_new(struct ufd_context *context, enum ufd_kind kind, size_t bytes, void *out)
{
	struct ufd *ufd = context->file.ufd;
	struct ufd_object *object = ufd_alloc(ufd, bytes);
	int error = 0;

	if (!object)
		return -ENOMEM;
	object->context = context;
	object->kind = (uint8_t)kind;

	LOCK(context);
	uint32_t id = context->lowest_free;
	while (id <= context->capacity && ufd_object_at(context, id))
		id++;
	context->lowest_free = id;
	if (id > context->capacity)
		error = places_grow(context);
	if (!error) {
		object->id = id;
		object->place = ufd_place_of(context, id);
		object->place->object = object;
		context->lowest_free = id + 1;
	}
	UNLOCK(context);

	if (error) {
		ufd_free(ufd, object, bytes);
		return error;
	}
	*(struct ufd_object **)out = object;
	return 0;
}

void ufd_object_publish(struct ufd_object *object)
{
	object->published = true;
	__atomic_fetch_and(&object->place->holds, ~UFD_SHUT, __ATOMIC_RELEASE);
}

void ufd_object_shut(struct ufd_object *object)
{
	__atomic_fetch_or(&object->place->holds, UFD_SHUT, __ATOMIC_ACQ_REL);
}

void ufd_object_free(struct ufd_object *object, size_t bytes)
{
	struct ufd_context *context = object->context;

	LOCK(context);
	object->place->object = NULL;
	if (context->vfio_ioas == object->id)
		context->vfio_ioas = 0;
	if (object->id < context->lowest_free)
		context->lowest_free = object->id;
	UNLOCK(context);
	ufd_free(context->file.ufd, object, bytes);
}

int ufd_object_hold(struct ufd_context *context, uint32_t id, enum ufd_kind kind, void *out)
{
	struct ufd_object *object = ufd_object_find(context, id, kind);

	if (!object)
		return -ENOENT;
	*(struct ufd_object **)out = object;
	return 0;
}

bool ufd_object_try_hold(struct ufd_object *object)
{
	return ufd_place_hold(object->place);
}

bool ufd_object_unuse_hold(struct ufd_object *object, uint32_t users)
{
	/* Held first: as a user the caller keeps it alive until the next line. */
	__atomic_fetch_add(&object->place->holds, 1, __ATOMIC_ACQUIRE);
	if (!__atomic_sub_fetch(&object->users, users, __ATOMIC_ACQ_REL))
		return true;
	ufd_object_release(object);
	return false;
}

/* ---- destroying -------------------------------------------------------------------- */

/** Free an object of any kind that nobody can find or uses. */
static void object_end(struct ufd_object *object)
{
	struct ufd_context *context = object->context;

	switch ((enum ufd_kind)object->kind) {
	case UFD_IOAS:
		ufd_ioas_free(container_of(object, struct ufd_ioas, object));
		break;
	case UFD_HWPT_PAGING:
	case UFD_HWPT_NESTED:
		ufd_lock(context->file.ufd, &context->device_lock);
		ufd_hwpt_free(container_of(object, struct ufd_hwpt, object));
		ufd_unlock(context->file.ufd, &context->device_lock);
		break;
	case UFD_DEVICE:
		ufd_object_free(object, sizeof(struct ufd_device));
		break;
	case UFD_FAULT_QUEUE:
		ufd_fault_queue_free(container_of(object, struct ufd_fault_queue, object));
		break;
	case UFD_ACCESS:
		ufd_access_end(container_of(object, struct ufd_access, object));
		break;
	case UFD_SELFTEST_DEVICE:
		ufd_selftest_device_free(object);
		break;
	case UFD_VIOMMU:
		ufd_viommu_free(object);
		break;
	case UFD_VDEVICE:
		ufd_vdevice_free(object);
		break;
	case UFD_EVENT_QUEUE:
		ufd_event_queue_free(object);
		break;
	case UFD_HW_QUEUE:
		ufd_hw_queue_free(object);
		break;
	case UFD_NONE:
		break;
	}
}

/** Is the caller's the only hold? */
static inline bool is_alone(const struct ufd_place *place)
{
	return (__atomic_load_n(&place->holds, __ATOMIC_ACQUIRE) & ~UFD_SHUT) <= 1;
}

/** Wait until it is. 0 or -ETIMEDOUT, after a line that says so. */
static __attribute__((noinline)) int holds_wait(const struct ufd_object *object)
{
	const struct iommu_os *os = object->context->file.ufd->os;
	const struct ufd_place *place = object->place;
	uint64_t deadline = 0;

	while (!is_alone(place)) {
		uint64_t now = os->now_ns(os->ctx);
		if (!deadline)
			deadline = now + HOLD_DEADLINE_NS;
		else if (now > deadline) {
			iommu_log(os, IOMMU_LOG_ERROR,
			          "ufd: object %u: a call uses it for too long", object->id);
			return -ETIMEDOUT;
		}
		os->relax(os->ctx);
	}
	return 0;
}

int ufd_object_destroy(struct ufd_object *object)
{
	struct ufd_place *place = object->place;
	int error = 0;

	if (__atomic_load_n(&object->users, __ATOMIC_ACQUIRE))
		error = -EBUSY;
	else if (__atomic_fetch_or(&place->holds, UFD_SHUT, __ATOMIC_ACQ_REL) & UFD_SHUT)
		error = -ENOENT;
	if (error) {
		ufd_object_release(object);
		return error;
	}
	if (__builtin_expect(!is_alone(place), 0))
		error = holds_wait(object);
	/* a call that ran meanwhile may have begun to use it */
	if (error || __atomic_load_n(&object->users, __ATOMIC_ACQUIRE)) {
		__atomic_fetch_and(&place->holds, ~UFD_SHUT, __ATOMIC_RELEASE);
		ufd_object_release(object);
		return -EBUSY;
	}
	ufd_object_release(object);
	object_end(object);
	return 0;
}

int ufd_call_destroy(struct ufd_call *call)
{
	const struct iommu_destroy *arguments = call->arguments;
	struct ufd_object *object = ufd_object_find(call->context, arguments->id, UFD_NONE);

	if (!object)
		return -ENOENT;
	int error = ufd_object_destroy(object);
	return error == -EBUSY ? ufd_refuse(call->ufd, error, "object %u is in use", arguments->id)
	                       : error;
}

/* ---- contexts ---------------------------------------------------------------------- */

int ufd_context_new(struct ufd *ufd, struct ufd_context **out)
{
	static const char *const names[] = {"ufd devices", "ufd pages", "ufd objects"};
	struct ufd_context *context = ufd_alloc(ufd, sizeof(*context));

	if (!context)
		return -ENOMEM;
	context->file = (struct ufd_file){.ufd = ufd, .kind = UFD_FILE_CONTEXT, .refs = 1};
	context->lowest_free = 1;
	if (!places_grow(context)) {
		struct iommu_lock *const locks[] = {&context->device_lock, &context->pages_lock,
		                                    &context->table_lock};
		int error = ufd_locks_init(ufd, locks, names, ARRAY_SIZE(locks));
		if (!error) {
			*out = context;
			return 0;
		}
	}
	places_free(context);
	ufd_free(ufd, context, sizeof(*context));
	return -ENOMEM;
}

/** Nothing refers to the context: no device is bound, no call runs. What uses goes
 *  before what is used: nested HWPTs, their parents, then fault queues and IOASes. */
void ufd_context_free(struct ufd_context *context)
{
	static const enum ufd_kind order[] = {UFD_SELFTEST_DEVICE, UFD_VDEVICE,     UFD_HW_QUEUE,
	                                      UFD_EVENT_QUEUE,     UFD_HWPT_NESTED, UFD_VIOMMU,
	                                      UFD_HWPT_PAGING,     UFD_FAULT_QUEUE, UFD_IOAS,
	                                      UFD_DEVICE};
	struct ufd *ufd = context->file.ufd;

	for (size_t pass = 0; pass < ARRAY_SIZE(order); pass++) {
		for (uint32_t id = 1; id <= context->capacity; id++) {
			struct ufd_object *object = ufd_object_at(context, id);
			if (object && object->kind == (uint8_t)order[pass]) {
				ufd_object_shut(object);
				object_end(object);
			}
		}
	}
	ufd->os->lock_destroy(ufd->os->ctx, &context->device_lock);
	ufd->os->lock_destroy(ufd->os->ctx, &context->pages_lock);
	ufd->os->lock_destroy(ufd->os->ctx, &context->table_lock);
	places_free(context);
	ufd_free(ufd, context, sizeof(*context));
}

/* ---- looking ------------------------------------------------------------------------- */

const char *ufd_kind_name(enum ufd_kind kind)
{
	switch (kind) {
	case UFD_IOAS:
		return "ioas";
	case UFD_HWPT_PAGING:
		return "hwpt";
	case UFD_HWPT_NESTED:
		return "nested hwpt";
	case UFD_DEVICE:
		return "device";
	case UFD_ACCESS:
		return "access";
	case UFD_FAULT_QUEUE:
		return "fault queue";
	case UFD_SELFTEST_DEVICE:
		return "self-test device";
	case UFD_VIOMMU:
		return "viommu";
	case UFD_VDEVICE:
		return "vdevice";
	case UFD_EVENT_QUEUE:
		return "event queue";
	case UFD_HW_QUEUE:
		return "hardware queue";
	case UFD_NONE:
		break;
	}
	return "none";
}

static void object_info(struct ufd_object *object, struct ufd_object_info *out)
{
	*out = (struct ufd_object_info){
		.id = object->id,
		.kind = (enum ufd_kind)object->kind,
		.users = __atomic_load_n(&object->users, __ATOMIC_RELAXED),
	};

	if (out->kind == UFD_IOAS) {
		ufd_ioas_info(container_of(object, struct ufd_ioas, object), out);
	} else if (out->kind == UFD_HWPT_PAGING || out->kind == UFD_HWPT_NESTED) {
		const struct ufd_hwpt *hwpt = container_of(object, struct ufd_hwpt, object);
		out->domain = hwpt->domain;
		out->ioas_id = hwpt->parent ? hwpt->parent->object.id : hwpt->ioas->object.id;
		out->automatic = hwpt->automatic;
		out->fault_id = hwpt->queue ? hwpt->queue->object.id : 0;
	} else if (out->kind == UFD_DEVICE) {
		out->device = container_of(object, struct ufd_device, object)->device;
	} else if (out->kind == UFD_FAULT_QUEUE) {
		out->waiting = ufd_fault_queue_waiting(
			container_of(object, struct ufd_fault_queue, object));
	}
}

static int context_get(struct ufd *ufd, int fd, struct ufd_context **out)
{
	struct ufd_file *file = NULL;

	int error = ufd_file_get(ufd, fd, &file);
	if (error)
		return error;
	if (file->kind != UFD_FILE_CONTEXT) {
		ufd_file_put(file);
		return -EBADF;
	}
	*out = container_of(file, struct ufd_context, file);
	return 0;
}

int ufd_object_get(struct ufd *ufd, int fd, uint32_t id, struct ufd_object_info *out)
{
	struct ufd_context *context = NULL;
	struct ufd_object *object = NULL;

	int error = context_get(ufd, fd, &context);
	if (error)
		return error;
	error = ufd_object_hold(context, id, UFD_NONE, &object);
	if (!error) {
		object_info(object, out);
		ufd_object_release(object);
	}
	ufd_file_put(&context->file);
	return error;
}

int ufd_object_next(struct ufd *ufd, int fd, uint32_t from, struct ufd_object_info *out)
{
	struct ufd_context *context = NULL;
	struct ufd_object *object = NULL;

	int error = context_get(ufd, fd, &context);
	if (error)
		return error;
	uint32_t capacity = __atomic_load_n(&context->capacity, __ATOMIC_ACQUIRE);
	for (uint32_t id = from ? from : 1; id <= capacity; id++)
		if (!ufd_object_hold(context, id, UFD_NONE, &object))
			break;
	if (object) {
		object_info(object, out);
		ufd_object_release(object);
	}
	ufd_file_put(&context->file);
	return object ? 0 : -ENOENT;
}
