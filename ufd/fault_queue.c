/* SPDX-License-Identifier: MIT */
/*
 * Fault queues: page requests of devices, read and answered by a user.
 *
 * A device asks in groups; the last request of a group completes it, and the group
 * gets one answer. What a group's earlier requests say is kept until the last one
 * comes. A user reads whole groups (struct iommu_hwpt_pgfault each request, with a
 * cookie that all of a group share) and writes struct iommu_hwpt_page_response.
 *
 * Invariants: every group here belongs to a HWPT that its device is attached to now,
 * or was until the sweep that runs after the detach. Every complete group is answered
 * exactly once: by the user, by the sweep, or at the close of the descriptor, since
 * nobody can answer later. A cookie is the lowest number from 1 on that is free, as
 * in Linux.
 *
 * Locks: request() runs with iommu->lock held and takes `lock` only. Groups leave the
 * lists only under io_lock, so that a reader may copy one to the user without `lock`,
 * and answers are given with io_lock held and `lock` not.
 */
#include "ufd/private.h"

enum {
	/** Requests that a queue holds at most: a device must not use up all memory.
	 *  VT-d's own queue has 2^15 entries at most, usually far fewer. */
	MAX_WAITING = 1 << 14,
};

/** A request that is not the last of its group. */
struct fault_part {
	struct fault_part *next;
	struct iommu_page_request request;
};

struct ufd_fault_group {
	struct ufd_fault_group *next;
	struct ufd_hwpt *hwpt;
	uint32_t dev_id;  /* the device's object */
	uint32_t through; /* PASID, or none, whose attachment it came through */
	uint32_t cookie;  /* once asked */
	uint32_t count;   /* of requests */
	struct fault_part *parts, *last_part;
	struct iommu_page_request last; /* while it has not come: a copy of the first */
};

static uint32_t request_pasid(const struct iommu_page_request *request)
{
	return request->has_pasid ? request->pasid : IOMMU_NO_PASID;
}

static void group_free(const struct ufd *ufd, struct ufd_fault_group *group)
{
	while (group->parts) {
		struct fault_part *part = group->parts;
		group->parts = part->next;
		ufd_free(ufd, part, sizeof(*part));
	}
	ufd_free(ufd, group, sizeof(*group));
}

/* ---- requests come ----------------------------------------------------------------- */

/** The id of the object for @p device in @p context; 0 if there is none. */
static uint32_t device_id(struct ufd_context *context, const struct iommu_device *device)
{
	uint32_t id = 0;

	ufd_lock(context->file.ufd, &context->table_lock);
	for (uint32_t at = 1; at <= context->capacity && !id; at++) {
		const struct ufd_object *object = ufd_object_at(context, at);
		if (object && object->kind == UFD_DEVICE &&
		    ((const struct ufd_device *)object)->device == device)
			id = object->id;
	}
	ufd_unlock(context->file.ufd, &context->table_lock);
	return id;
}

/** Where the incomplete group of @p request is linked, or would be. `lock` is held. */
static struct ufd_fault_group **find_parts(struct ufd_fault_queue *queue,
                                           const struct ufd_hwpt *hwpt,
                                           const struct iommu_page_request *request)
{
	struct ufd_fault_group **link = &queue->parts;

	for (; *link; link = &(*link)->next) {
		const struct iommu_page_request *other = &(*link)->last;
		if ((*link)->hwpt == hwpt && other->device == request->device &&
		    other->group == request->group &&
		    request_pasid(other) == request_pasid(request))
			break;
	}
	return link;
}

/** Keep a request that is not the last of its group. @p part and @p fresh are room, NULL
 *  once used. */
static void keep_part(struct ufd_fault_queue *queue, const struct iommu_page_request *request,
                      struct ufd_fault_group **link, struct fault_part **part,
                      struct ufd_fault_group **fresh)
{
	struct ufd_fault_group *group = *link;

	if (!group) {
		group = *link = *fresh;
		*fresh = NULL;
	}
	(*part)->request = *request;
	if (group->last_part)
		group->last_part->next = *part;
	else
		group->parts = *part;
	group->last_part = *part;
	*part = NULL;
	group->count++;
	queue->waiting++;
}

/** Complete a group with its last request. */
static void complete(struct ufd_fault_queue *queue, const struct iommu_page_request *request,
                     struct ufd_fault_group **link, struct ufd_fault_group **fresh)
{
	struct ufd_fault_group *group = *link, **end = &queue->ready;

	if (group) {
		*link = group->next;
	} else {
		group = *fresh;
		*fresh = NULL;
	}
	group->last = *request;
	group->next = NULL;
	group->count++;
	queue->waiting++;
	while (*end)
		end = &(*end)->next;
	*end = group;
}

/** iommu_page_sink.request: iommu->lock is held. */
static bool take_request(struct iommu_page_sink *sink, struct iommu_domain *domain,
                         const struct iommu_page_request *request)
{
	struct ufd_hwpt *hwpt = container_of(sink, struct ufd_hwpt, sink);
	struct ufd_fault_queue *queue = hwpt->queue;
	const struct ufd *ufd = queue->file.ufd;
	struct ufd_fault_group *fresh = ufd_alloc(ufd, sizeof(*fresh)), *lost = NULL;
	struct fault_part *part = request->last ? NULL : ufd_alloc(ufd, sizeof(*part));
	uint32_t id = device_id(hwpt->object.context, request->device);
	bool room = fresh && (part || request->last) && id, taken;
	uint32_t pasid = request_pasid(request);

	/* a nested domain may serve PASIDs that it is not attached to */
	if (iommu_pasid_domain(request->device, pasid) != domain)
		pasid = IOMMU_NO_PASID;
	if (room)
		*fresh = (struct ufd_fault_group){
			.hwpt = hwpt, .dev_id = id, .through = pasid, .last = *request};
	ufd_lock(ufd, &queue->lock);
	struct ufd_fault_group **link = find_parts(queue, hwpt, request);
	taken = room && !queue->closed && queue->waiting < MAX_WAITING;
	if (taken && request->last) {
		complete(queue, request, link, &fresh);
	} else if (taken) {
		keep_part(queue, request, link, &part, &fresh);
	} else if (*link && request->last) { /* it will never be complete */
		lost = *link;
		*link = lost->next;
		queue->waiting -= lost->count;
	}
	ufd_unlock(ufd, &queue->lock);

	if (taken && request->last)
		ufd_file_wake(&queue->file);
	if (lost)
		group_free(ufd, lost);
	ufd_free(ufd, part, sizeof(*part));
	ufd_free(ufd, fresh, sizeof(*fresh));
	return taken;
}

void ufd_fault_queue_use(struct ufd_fault_queue *queue, struct ufd_hwpt *hwpt)
{
	hwpt->queue = queue;
	hwpt->sink.request = take_request;
	hwpt->domain->page_sink = &hwpt->sink;
	ufd_object_use(&queue->object, 1);
}

/* ---- answers ------------------------------------------------------------------------ */

/** Answer a complete group that is in no list any more, and free it. */
static void answer(const struct ufd *ufd, struct ufd_fault_group *group,
                   enum iommu_page_answer code)
{
	int error = iommu_page_respond(&group->last, code);

	if (error)
		iommu_log(ufd->os, IOMMU_LOG_ERROR,
		          "ufd: device %s: page request group %u was not answered: %s",
		          group->last.device->desc.name, group->last.group,
		          iommu_errno_name(error));
	group_free(ufd, group);
}

/** Of which groups? All, if hwpt is NULL. */
struct selection {
	const struct ufd_hwpt *hwpt;
	const struct iommu_device *device;
	uint32_t pasid;
};

/** Move the selected groups of a list to the end of another. */
static void select_groups(struct ufd_fault_group **from, struct ufd_fault_group **to,
                          const struct selection *which, uint32_t *waiting)
{
	while (*to)
		to = &(*to)->next;
	while (*from) {
		struct ufd_fault_group *group = *from;
		if (which->hwpt &&
		    (group->hwpt != which->hwpt || group->last.device != which->device ||
		     group->through != which->pasid)) {
			from = &group->next;
			continue;
		}
		*from = group->next;
		group->next = NULL;
		*waiting -= group->count;
		*to = group;
		to = &group->next;
	}
}

static void sweep(struct ufd_fault_queue *queue, const struct selection *which)
{
	const struct ufd *ufd = queue->file.ufd;
	struct ufd_fault_group *parts = NULL, *whole = NULL;

	ufd_lock(ufd, &queue->io_lock);
	ufd_lock(ufd, &queue->lock);
	if (!which->hwpt)
		queue->closed = true;
	select_groups(&queue->asked, &whole, which, &queue->waiting);
	select_groups(&queue->ready, &whole, which, &queue->waiting);
	select_groups(&queue->parts, &parts, which, &queue->waiting);
	ufd_unlock(ufd, &queue->lock);
	while (whole) {
		struct ufd_fault_group *group = whole;
		whole = group->next;
		answer(ufd, group, IOMMU_PAGE_INVALID);
	}
	while (parts) { /* no answer is due before the last request */
		struct ufd_fault_group *group = parts;
		parts = group->next;
		group_free(ufd, group);
	}
	ufd_unlock(ufd, &queue->io_lock);
}

void ufd_fault_queue_sweep(const struct ufd_hwpt *hwpt, const struct iommu_device *device,
                           uint32_t pasid)
{
	const struct selection which = {hwpt, device, pasid};

	if (hwpt->queue)
		sweep(hwpt->queue, &which);
}

uint32_t ufd_fault_queue_waiting(struct ufd_fault_queue *queue)
{
	ufd_lock(queue->file.ufd, &queue->lock);
	uint32_t waiting = queue->waiting;
	ufd_unlock(queue->file.ufd, &queue->lock);
	return waiting;
}

/* ---- read, write, poll -------------------------------------------------------------- */

static uint32_t user_perm(const struct iommu_page_request *request)
{
	return (request->access & IOMMU_READ ? IOMMU_PGFAULT_PERM_READ : 0) |
	       (request->access & IOMMU_WRITE ? IOMMU_PGFAULT_PERM_WRITE : 0) |
	       (request->access & IOMMU_EXEC ? IOMMU_PGFAULT_PERM_EXEC : 0) |
	       (request->privileged ? IOMMU_PGFAULT_PERM_PRIV : 0);
}

static int copy_request(const struct ufd *ufd, uint64_t user, const struct ufd_fault_group *group,
                        const struct iommu_page_request *request, uint32_t cookie)
{
	const struct iommu_hwpt_pgfault message = {
		.flags = (request->has_pasid ? IOMMU_PGFAULT_FLAGS_PASID_VALID : 0) |
	                 (request->last ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0),
		.dev_id = group->dev_id,
		.pasid = request->has_pasid ? request->pasid : 0,
		.grpid = request->group,
		.perm = user_perm(request),
		.addr = request->address.value,
		.cookie = cookie,
	};

	return ufd_copy_out(ufd, user, &message, sizeof(message));
}

/** Copy all requests of a group to @p user. 0 or -EFAULT. */
static int copy_group(const struct ufd *ufd, uint64_t user, const struct ufd_fault_group *group,
                      uint32_t cookie)
{
	int error = 0;

	for (const struct fault_part *part = group->parts; part && !error; part = part->next) {
		error = copy_request(ufd, user, group, &part->request, cookie);
		user += sizeof(struct iommu_hwpt_pgfault);
		if (user < sizeof(struct iommu_hwpt_pgfault))
			return -EFAULT; /* wrapped around */
	}
	return error ? error : copy_request(ufd, user, group, &group->last, cookie);
}

/** Where a group with the lowest free cookie, *cookie, belongs. io_lock is held. */
static struct ufd_fault_group **free_cookie(struct ufd_fault_queue *queue, uint32_t *cookie)
{
	struct ufd_fault_group **link = &queue->asked;

	*cookie = 1;
	for (; *link && (*link)->cookie == *cookie; link = &(*link)->next)
		++*cookie;
	return link;
}

int64_t ufd_fault_queue_read(struct ufd_fault_queue *queue, uint64_t user, uint64_t bytes)
{
	const uint64_t unit = sizeof(struct iommu_hwpt_pgfault);
	const struct ufd *ufd = queue->file.ufd;
	uint64_t done = 0;
	int error = 0;

	if (bytes % unit)
		return ufd_refuse(ufd, -ESPIPE,
		                  "fault queue %u: a read of %llu bytes, not a multiple of %llu",
		                  queue->object.id, (unsigned long long)bytes,
		                  (unsigned long long)unit);
	ufd_lock(ufd, &queue->io_lock);
	for (;;) {
		ufd_lock(ufd, &queue->lock);
		struct ufd_fault_group *group = queue->ready;
		ufd_unlock(ufd, &queue->lock);
		if (!group || group->count * unit > bytes - done)
			break;
		uint32_t cookie;
		struct ufd_fault_group **link = free_cookie(queue, &cookie);
		error = user + done < user ? -EFAULT : copy_group(ufd, user + done, group, cookie);
		if (error)
			break;
		done += group->count * unit;
		ufd_lock(ufd, &queue->lock);
		queue->ready = group->next;
		ufd_unlock(ufd, &queue->lock);
		group->cookie = cookie;
		group->next = *link;
		*link = group;
	}
	ufd_unlock(ufd, &queue->io_lock);
	return done ? (int64_t)done : error;
}

static int write_one(struct ufd_fault_queue *queue, const struct iommu_hwpt_page_response *response)
{
	const struct ufd *ufd = queue->file.ufd;
	struct ufd_fault_group **link = &queue->asked;

	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response->code != IOMMUFD_PAGE_RESP_INVALID)
		return ufd_refuse(ufd, -EINVAL,
		                  "fault queue %u: answer %u, known are 0 (success), 1 (invalid)",
		                  queue->object.id, response->code);
	while (*link && (*link)->cookie != response->cookie)
		link = &(*link)->next;
	struct ufd_fault_group *group = *link;
	if (!group)
		return ufd_refuse(ufd, -EINVAL,
		                  "fault queue %u: cookie %u is of no request that was read",
		                  queue->object.id, response->cookie);
	*link = group->next;
	ufd_lock(ufd, &queue->lock);
	queue->waiting -= group->count;
	ufd_unlock(ufd, &queue->lock);
	answer(ufd, group,
	       response->code == IOMMUFD_PAGE_RESP_SUCCESS ? IOMMU_PAGE_SUCCESS
	                                                   : IOMMU_PAGE_INVALID);
	return 0;
}

int64_t ufd_fault_queue_write(struct ufd_fault_queue *queue, uint64_t user, uint64_t bytes)
{
	const struct ufd *ufd = queue->file.ufd;
	struct iommu_hwpt_page_response response;
	uint64_t done = 0;
	int error = 0;

	if (bytes % sizeof(response))
		return ufd_refuse(ufd, -ESPIPE,
		                  "fault queue %u: a write of %llu bytes, not a multiple of %zu",
		                  queue->object.id, (unsigned long long)bytes, sizeof(response));
	ufd_lock(ufd, &queue->io_lock);
	while (done < bytes && !error) {
		error = user + done < user
		                ? -EFAULT
		                : ufd_copy_in(ufd, &response, user + done, sizeof(response));
		if (!error)
			error = write_one(queue, &response);
		if (!error)
			done += sizeof(response);
	}
	ufd_unlock(ufd, &queue->io_lock);
	return done ? (int64_t)done : error;
}

int ufd_fault_queue_poll(struct ufd_fault_queue *queue)
{
	ufd_lock(queue->file.ufd, &queue->lock);
	int events = UFD_POLL_OUT | (queue->ready ? UFD_POLL_IN | UFD_POLL_RDNORM : 0);
	ufd_unlock(queue->file.ufd, &queue->lock);
	return events;
}

/* ---- life ---------------------------------------------------------------------------- */

void ufd_fault_queue_free(struct ufd_fault_queue *queue)
{
	const struct iommu_os *os = queue->file.ufd->os;

	os->lock_destroy(os->ctx, &queue->lock);
	os->lock_destroy(os->ctx, &queue->io_lock);
	ufd_object_free(&queue->object, sizeof(*queue));
}

void ufd_fault_queue_end(struct ufd_fault_queue *queue)
{
	static const struct selection all = {0};
	struct ufd_context *context = queue->object.context;

	sweep(queue, &all);
	if (!queue->object.published) /* the call that made it failed */
		ufd_fault_queue_free(queue);
	else
		ufd_object_unuse(&queue->object, 1);
	ufd_file_put(&context->file);
}

int ufd_call_fault_queue_alloc(struct ufd_call *call)
{
	static const char *const names[] = {"ufd fault queue io", "ufd fault queue"};
	struct iommu_fault_alloc *arguments = call->arguments;
	struct ufd_fault_queue *queue = NULL;

	if (arguments->flags)
		return ufd_refuse(call->ufd, -EOPNOTSUPP, "FAULT_QUEUE_ALLOC: flags %#x, must be 0",
		                  arguments->flags);
	int error = ufd_object_new(call->context, UFD_FAULT_QUEUE, sizeof(*queue), &queue);
	if (error)
		return error;
	struct iommu_lock *const locks[] = {&queue->io_lock, &queue->lock};
	error = ufd_locks_init(call->ufd, locks, names, ARRAY_SIZE(locks));
	if (error) {
		ufd_object_free(&queue->object, sizeof(*queue));
		return error;
	}
	/* two references: the table's, and this call's until the object can be found */
	queue->file = (struct ufd_file){.ufd = call->ufd, .kind = UFD_FILE_FAULT, .refs = 2};
	queue->object.users = 1;
	ufd_file_hold(&call->context->file);
	int fd = ufd_file_install(call->ufd, &queue->file);
	if (fd < 0) {
		error = fd;
		ufd_file_put(&queue->file);
	} else {
		arguments->out_fault_id = queue->object.id;
		arguments->out_fault_fd = (uint32_t)fd;
		error = ufd_respond(call);
		if (error)
			ufd_file_uninstall(call->ufd, fd, &queue->file);
		else
			ufd_object_publish(&queue->object);
	}
	ufd_file_put(&queue->file);
	return error;
}
