/* SPDX-License-Identifier: MIT */
/*
 * Event queues of vIOMMUs: what the hardware reports of devices in a virtual machine, to
 * be read through a descriptor as struct iommufd_vevent_header and, behind it, the event.
 *
 * A queue holds `depth` events. What comes then is counted in the sequence numbers but
 * lost, and a header without an event, with the LOST_EVENTS flag, says so when all before
 * it is read; unless another event comes first, whose number tells as much.
 *
 * Locks: ufd_viommu_event() runs with iommu->lock held, which is also that of the list of
 * a vIOMMU's queues, and takes `lock` below it. Events leave only under io_lock, so that a
 * reader copies the first one without `lock`.
 */
#include "ufd/private.h"

#include "iommu/string.h"

/** Events in a queue at most, as in Linux. */
enum { DEPTH_MAX = 1 << 19 };

struct event {
	struct event *next;
	struct iommufd_vevent_header header;
	uint8_t data[];
};

struct ufd_event_queue {
	struct ufd_object object; /* first; users: 1, the descriptor's */
	struct ufd_file file;     /* refers to the context */
	struct ufd_viommu *viommu;
	struct ufd_event_queue *next; /* in viommu->queues: under iommu->lock */
	uint32_t type;
	size_t event_bytes;
	uint32_t depth;
	struct iommu_lock io_lock;
	struct iommu_lock lock; /* all below */
	struct event *first, *last;
	uint32_t count, sequence; /* of events held; of the next event */
	bool lost;                /* the last one was */
	bool closed;              /* nobody can read any more */
};

static struct ufd_event_queue *queue_of(struct ufd_file *file)
{
	return container_of(file, struct ufd_event_queue, file);
}

static void lock_hardware(const struct ufd *ufd)
{
	ufd->os->lock(ufd->os->ctx, &ufd->iommu->lock);
}

static void unlock_hardware(const struct ufd *ufd)
{
	ufd->os->unlock(ufd->os->ctx, &ufd->iommu->lock);
}

static void event_free(const struct ufd_event_queue *queue, struct event *event)
{
	ufd_free(queue->file.ufd, event, sizeof(*event) + queue->event_bytes);
}

void ufd_viommu_event(struct iommu_event_sink *sink, uint32_t type, const void *data, size_t bytes)
{
	struct ufd_viommu *viommu = container_of(sink, struct ufd_viommu, sink);
	struct ufd_event_queue *queue = viommu->queues;

	while (queue && queue->type != type)
		queue = queue->next;
	if (!queue || bytes > queue->event_bytes)
		return;
	const struct ufd *ufd = queue->file.ufd;
	struct event *event = ufd_alloc(ufd, sizeof(*event) + queue->event_bytes);
	ufd_lock(ufd, &queue->lock);
	uint32_t sequence = queue->sequence;
	queue->sequence = (sequence + 1) & INT32_MAX;
	queue->lost = !event || queue->count == queue->depth || queue->closed;
	if (!queue->lost) {
		memcpy(event->data, data, bytes);
		event->header.sequence = sequence;
		if (queue->last)
			queue->last->next = event;
		else
			queue->first = event;
		queue->last = event;
		queue->count++;
		event = NULL;
	}
	ufd_unlock(ufd, &queue->lock);
	if (event)
		event_free(queue, event);
	ufd_file_wake(&queue->file);
}

/* ---- read, poll ------------------------------------------------------------------------ */

/** Take what was copied off the queue: the first event, or the note of a loss. */
static void drop(struct ufd_event_queue *queue, struct event *event, uint32_t sequence)
{
	ufd_lock(queue->file.ufd, &queue->lock);
	if (event) {
		queue->first = event->next;
		if (!queue->first)
			queue->last = NULL;
		queue->count--;
	} else if (queue->sequence == sequence) {
		queue->lost = false;
	}
	ufd_unlock(queue->file.ufd, &queue->lock);
	if (event)
		event_free(queue, event);
}

/** Copy what comes next, if it fits into @p room. The bytes, 0 (nothing there), -EINVAL (too
 *  little room), -EFAULT. io_lock is held. */
static int64_t read_one(struct ufd_event_queue *queue, uint64_t user, uint64_t room)
{
	const struct ufd *ufd = queue->file.ufd;
	struct iommufd_vevent_header header = {.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS};
	uint64_t bytes = sizeof(header);

	ufd_lock(ufd, &queue->lock);
	struct event *event = queue->first;
	uint32_t sequence = queue->sequence;
	bool lost = queue->lost;
	ufd_unlock(ufd, &queue->lock);
	if (event) {
		header = event->header;
		bytes += queue->event_bytes;
	} else {
		header.sequence = (sequence - 1) & INT32_MAX;
		if (!lost)
			return 0;
	}
	if (bytes > room)
		return -EINVAL;
	int error = ufd_copy_out(ufd, user, &header, sizeof(header));
	if (!error && event)
		error = user + sizeof(header) < user
		                ? -EFAULT
		                : ufd_copy_out(ufd, user + sizeof(header), event->data,
		                               queue->event_bytes);
	if (error)
		return error;
	drop(queue, event, sequence);
	return (int64_t)bytes;
}

int64_t ufd_event_queue_read(struct ufd_file *file, uint64_t user, uint64_t bytes)
{
	struct ufd_event_queue *queue = queue_of(file);
	uint64_t done = 0;
	int64_t now = 0;

	if (bytes < sizeof(struct iommufd_vevent_header))
		return ufd_refuse(file->ufd, -EINVAL,
		                  "event queue %u: a read of %llu bytes; a header has %zu",
		                  queue->object.id, (unsigned long long)bytes,
		                  sizeof(struct iommufd_vevent_header));
	ufd_lock(file->ufd, &queue->io_lock);
	do {
		now = user + done < user ? -EFAULT : read_one(queue, user + done, bytes - done);
		done += now > 0 ? (uint64_t)now : 0;
	} while (now > 0);
	ufd_unlock(file->ufd, &queue->io_lock);
	return done ? (int64_t)done : now;
}

int ufd_event_queue_poll(struct ufd_file *file)
{
	struct ufd_event_queue *queue = queue_of(file);

	ufd_lock(file->ufd, &queue->lock);
	int events = queue->first || queue->lost ? UFD_POLL_IN | UFD_POLL_RDNORM : 0;
	ufd_unlock(file->ufd, &queue->lock);
	return events;
}

/* ---- life ------------------------------------------------------------------------------- */

static void drop_all(struct ufd_event_queue *queue)
{
	while (queue->first)
		drop(queue, queue->first, 0);
}

void ufd_event_queue_free(struct ufd_object *object)
{
	struct ufd_event_queue *queue = container_of(object, struct ufd_event_queue, object);
	const struct ufd *ufd = queue->file.ufd;
	struct ufd_viommu *viommu = queue->viommu;

	lock_hardware(ufd);
	struct ufd_event_queue **link = &viommu->queues;
	while (*link && *link != queue)
		link = &(*link)->next;
	if (*link)
		*link = queue->next;
	unlock_hardware(ufd);
	drop_all(queue);
	ufd->os->lock_destroy(ufd->os->ctx, &queue->lock);
	ufd->os->lock_destroy(ufd->os->ctx, &queue->io_lock);
	ufd_object_free(&queue->object, sizeof(*queue));
	ufd_object_unuse(&viommu->object, 1);
}

void ufd_event_queue_end(struct ufd_file *file)
{
	struct ufd_event_queue *queue = queue_of(file);
	struct ufd_context *context = queue->object.context;

	ufd_lock(file->ufd, &queue->lock);
	queue->closed = true;
	ufd_unlock(file->ufd, &queue->lock);
	if (!queue->object.published) /* the call that made it failed */
		ufd_event_queue_free(&queue->object);
	else
		ufd_object_unuse(&queue->object, 1);
	ufd_file_put(&context->file);
}

/** Let the vIOMMU's events go to @p queue. -EEXIST if those of its type go elsewhere. */
static int join(struct ufd_event_queue *queue)
{
	struct ufd_viommu *viommu = queue->viommu;
	int error = 0;

	lock_hardware(queue->file.ufd);
	for (const struct ufd_event_queue *other = viommu->queues; other && !error;
	     other = other->next)
		error = other->type == queue->type ? -EEXIST : 0;
	if (!error) {
		queue->next = viommu->queues;
		viommu->queues = queue;
	}
	unlock_hardware(queue->file.ufd);
	return error ? ufd_refuse(queue->file.ufd, error,
	                          "vIOMMU %u has an event queue of type %#x already",
	                          viommu->object.id, queue->type)
	             : 0;
}

static int queue_alloc(struct ufd_call *call, struct ufd_viommu *viommu, size_t event_bytes)
{
	static const char *const names[] = {"ufd event queue io", "ufd event queue"};
	struct iommu_veventq_alloc *arguments = call->arguments;
	struct ufd_event_queue *queue = NULL;

	int error = ufd_object_new(call->context, UFD_EVENT_QUEUE, sizeof(*queue), &queue);
	if (error)
		return error;
	struct iommu_lock *const locks[] = {&queue->io_lock, &queue->lock};
	error = ufd_locks_init(call->ufd, locks, names, ARRAY_SIZE(locks));
	if (error) {
		ufd_object_free(&queue->object, sizeof(*queue));
		return error;
	}
	/* two references: the table's, and this call's until the object can be found */
	queue->file = (struct ufd_file){.ufd = call->ufd, .kind = UFD_FILE_EVENTS, .refs = 2};
	queue->object.users = 1;
	queue->viommu = viommu;
	queue->type = arguments->type;
	queue->event_bytes = event_bytes;
	queue->depth = arguments->veventq_depth;
	ufd_object_use(&viommu->object, 1);
	ufd_file_hold(&call->context->file);
	error = join(queue);
	int fd = error ? error : ufd_file_install(call->ufd, &queue->file);
	if (fd < 0) {
		error = fd;
		ufd_file_put(&queue->file);
	} else {
		arguments->out_veventq_id = queue->object.id;
		arguments->out_veventq_fd = (uint32_t)fd;
		error = ufd_respond(call);
		if (error)
			ufd_file_uninstall(call->ufd, fd, &queue->file);
		else
			ufd_object_publish(&queue->object);
	}
	ufd_file_put(&queue->file);
	return error;
}

int ufd_call_veventq_alloc(struct ufd_call *call)
{
	const struct iommu_veventq_alloc *arguments = call->arguments;
	struct ufd_viommu *viommu = NULL;

	if (arguments->flags || arguments->__reserved ||
	    arguments->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return ufd_refuse(call->ufd, -EOPNOTSUPP, "VEVENTQ_ALLOC: flags %#x, type %#x",
		                  arguments->flags, arguments->type);
	if (!arguments->veventq_depth || arguments->veventq_depth > DEPTH_MAX)
		return ufd_refuse(call->ufd, -EINVAL, "VEVENTQ_ALLOC: depth %u, must be 1 to %u",
		                  arguments->veventq_depth, DEPTH_MAX);
	int error = ufd_object_hold(call->context, arguments->viommu_id, UFD_VIOMMU, &viommu);
	if (error)
		return error;
	const struct iommu_viommu_ops *ops = viommu->viommu->ops;
	size_t bytes = ops->event_bytes ? ops->event_bytes(viommu->viommu, arguments->type) : 0;
	if (bytes)
		error = queue_alloc(call, viommu, bytes);
	else
		error = ufd_refuse(call->ufd, -EOPNOTSUPP, "vIOMMU %u has no events of type %#x",
		                   arguments->viommu_id, arguments->type);
	ufd_object_release(&viommu->object);
	return error;
}
