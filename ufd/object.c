/* SPDX-License-Identifier: MIT */
/*
 * Objects of a /dev/iommu descriptor: ids, counts, life and death.
 *
 * `users` are objects that refer to this one for longer than a call; while there
 * are any, destroying it is -EBUSY. `holds` are running calls; destroying waits
 * for them, with a deadline. All of it is under table_lock, which is held for a
 * few instructions only (and while the table grows).
 */
#include "ufd/private.h"

#include "iommu/string.h"

enum { FIRST_CAPACITY = 32, MAX_OBJECTS = 1 << 22 };

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

static size_t table_bytes(uint32_t capacity)
{
	return capacity * sizeof(struct ufd_object *);
}

/** Double the table. 0 or -ENOMEM. */
static int table_grow(struct ufd_context *context)
{
	struct ufd *ufd = context->file.ufd;
	uint32_t capacity = context->capacity * 2;

	if (capacity > MAX_OBJECTS)
		return -ENOMEM;
	struct ufd_object **objects = ufd_alloc(ufd, table_bytes(capacity));
	if (!objects)
		return -ENOMEM;
	memcpy(objects, context->objects, table_bytes(context->capacity));
	ufd_free(ufd, context->objects, table_bytes(context->capacity));
	context->objects = objects;
	context->capacity = capacity;
	return 0;
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
	object->state = UFD_NEW;

	LOCK(context);
	uint32_t id = context->lowest_free;
	while (id <= context->capacity && context->objects[id - 1])
		id++;
	context->lowest_free = id;
	if (id > context->capacity)
		error = table_grow(context);
	if (!error) {
		object->id = id;
		context->objects[id - 1] = object;
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
	LOCK(object->context);
	object->state = UFD_LIVE;
	UNLOCK(object->context);
}

void ufd_object_free(struct ufd_object *object, size_t bytes)
{
	struct ufd_context *context = object->context;

	LOCK(context);
	context->objects[object->id - 1] = NULL;
	if (context->vfio_ioas == object->id)
		context->vfio_ioas = 0;
	if (object->id < context->lowest_free)
		context->lowest_free = object->id;
	UNLOCK(context);
	ufd_free(context->file.ufd, object, bytes);
}

int ufd_object_hold(struct ufd_context *context, uint32_t id, enum ufd_kind kind, void *out)
{
	struct ufd_object *object = NULL;

	LOCK(context);
	if (id && id <= context->capacity)
		object = context->objects[id - 1];
	if (object &&
	    (object->state != UFD_LIVE || (kind != UFD_NONE && object->kind != (uint8_t)kind)))
		object = NULL;
	if (object)
		object->holds++;
	UNLOCK(context);
	if (!object)
		return -ENOENT;
	*(struct ufd_object **)out = object;
	return 0;
}

bool ufd_object_try_hold(struct ufd_object *object)
{
	LOCK(object->context);
	bool live = object->state == UFD_LIVE;
	object->holds += live;
	UNLOCK(object->context);
	return live;
}

void ufd_object_release(struct ufd_object *object)
{
	struct ufd_context *context = object->context;

	LOCK(context);
	object->holds--;
	UNLOCK(context);
}

void ufd_object_use(struct ufd_object *object, uint32_t users)
{
	LOCK(object->context);
	object->users += users;
	UNLOCK(object->context);
}

void ufd_object_unuse(struct ufd_object *object, uint32_t users)
{
	struct ufd_context *context = object->context;

	LOCK(context);
	object->users -= users;
	UNLOCK(context);
}

bool ufd_object_unuse_hold(struct ufd_object *object, uint32_t users)
{
	struct ufd_context *context = object->context;

	LOCK(context);
	object->users -= users;
	bool last = !object->users;
	object->holds += last;
	UNLOCK(context);
	return last;
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

int ufd_object_destroy(struct ufd_object *object)
{
	struct ufd_context *context = object->context;
	const struct iommu_os *os = context->file.ufd->os;
	uint64_t deadline = 0;
	int error = 0;

	LOCK(context);
	if (object->state != UFD_LIVE)
		error = -ENOENT;
	else if (object->users)
		error = -EBUSY;
	else
		object->state = UFD_DYING;
	while (!error && object->holds > 1) {
		UNLOCK(context);
		uint64_t now = os->now_ns(os->ctx);
		if (!deadline)
			deadline = now + HOLD_DEADLINE_NS;
		os->relax(os->ctx);
		LOCK(context);
		if (now > deadline && object->holds > 1)
			error = -ETIMEDOUT;
	}
	/* a call that ran meanwhile may have begun to use it */
	if (!error && object->users)
		error = -EBUSY;
	if (error == -EBUSY || error == -ETIMEDOUT)
		object->state = UFD_LIVE;
	uint32_t id = object->id;
	object->holds--;
	UNLOCK(context);

	if (error == -ETIMEDOUT) {
		iommu_log(os, IOMMU_LOG_ERROR, "ufd: object %u: a call uses it for too long", id);
		return -EBUSY;
	}
	if (!error)
		object_end(object);
	return error;
}

int ufd_call_destroy(struct ufd_call *call)
{
	const struct iommu_destroy *arguments = call->arguments;
	struct ufd_object *object = NULL;

	int error = ufd_object_hold(call->context, arguments->id, UFD_NONE, &object);
	if (!error)
		error = ufd_object_destroy(object);
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
	context->capacity = FIRST_CAPACITY;
	context->lowest_free = 1;
	context->objects = ufd_alloc(ufd, table_bytes(FIRST_CAPACITY));
	if (context->objects) {
		struct iommu_lock *const locks[] = {&context->device_lock, &context->pages_lock,
		                                    &context->table_lock};
		int error = ufd_locks_init(ufd, locks, names, ARRAY_SIZE(locks));
		if (!error) {
			*out = context;
			return 0;
		}
	}
	ufd_free(ufd, context->objects, table_bytes(FIRST_CAPACITY));
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
		for (uint32_t i = 0; i < context->capacity; i++) {
			struct ufd_object *object = context->objects[i];
			if (object && object->kind == (uint8_t)order[pass]) {
				object->state = UFD_DYING;
				object_end(object);
			}
		}
	}
	ufd->os->lock_destroy(ufd->os->ctx, &context->device_lock);
	ufd->os->lock_destroy(ufd->os->ctx, &context->pages_lock);
	ufd->os->lock_destroy(ufd->os->ctx, &context->table_lock);
	ufd_free(ufd, context->objects, table_bytes(context->capacity));
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
	LOCK(object->context);
	*out = (struct ufd_object_info){
		.id = object->id,
		.kind = (enum ufd_kind)object->kind,
		.users = object->users,
	};
	UNLOCK(object->context);

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
	LOCK(context);
	for (uint32_t id = from ? from : 1; id <= context->capacity && !object; id++) {
		object = context->objects[id - 1];
		if (object && object->state != UFD_LIVE)
			object = NULL;
	}
	if (object)
		object->holds++;
	UNLOCK(context);
	if (object) {
		object_info(object, out);
		ufd_object_release(object);
	}
	ufd_file_put(&context->file);
	return object ? 0 : -ENOENT;
}
