/* SPDX-License-Identifier: MIT */
/*
 * Accesses: code, not a device, that works with the memory of an IOAS, by its IOVAs. An
 * emulated device reads and writes descriptors this way, or pins what it hands to others.
 *
 * What an access has pinned stays mapped: IOAS_UNMAP first asks it, through its unmap op,
 * to unpin. Invariant: every byte of a pin is mapped, and its pages count one pin more
 * for each pin that touches their area.
 *
 * Locks: access->lock for the attachment, then the IOAS's lock for areas and pins. The
 * unmap op is called with neither, and with a hold on the access, so it may unpin, and
 * the access does not end meanwhile.
 */
#include "ufd/private.h"

#define LOCK(ioas)   ufd_ioas_lock(ioas)
#define UNLOCK(ioas) ufd_ioas_unlock(ioas)

static const struct ufd *ufd_of(const struct ufd_access *access)
{
	return access->object.context->file.ufd;
}

uint32_t ufd_access_id(const struct ufd_access *access)
{
	return access->object.id;
}

/* ---- life, attachment ------------------------------------------------------------- */

int ufd_access_new_in(struct ufd_context *context, bool keep, const struct ufd_access_ops *ops,
                      void *ctx, struct ufd_access **out)
{
	struct ufd *ufd = context->file.ufd;
	struct ufd_access *access = NULL;

	int error = ufd_object_new(context, UFD_ACCESS, sizeof(*access), &access);
	if (error)
		return error;
	error = ufd->os->lock_init(ufd->os->ctx, &access->lock, "ufd access");
	if (error) {
		ufd_object_free(&access->object, sizeof(*access));
		return error;
	}
	access->links[0].access = access->links[1].access = access;
	access->ops = ops;
	access->ctx = ctx;
	access->object.users = 1;
	access->keeps_context = keep;
	if (keep)
		ufd_file_hold(&context->file);
	ufd_object_publish(&access->object);
	*out = access;
	return 0;
}

int ufd_access_new(struct ufd *ufd, int fd, const struct ufd_access_ops *ops, void *ctx,
                   struct ufd_access **out)
{
	struct ufd_file *file = NULL;

	int error = ufd_file_get(ufd, fd, &file);
	if (error)
		return error;
	if (file->kind != UFD_FILE_CONTEXT)
		error = -EBADF;
	else
		error = ufd_access_new_in(container_of(file, struct ufd_context, file), true, ops,
		                          ctx, out);
	ufd_file_put(file);
	return error;
}

void ufd_access_end(struct ufd_access *access)
{
	const struct iommu_os *os = ufd_of(access)->os;

	os->lock_destroy(os->ctx, &access->lock);
	ufd_object_free(&access->object, sizeof(*access));
}

void ufd_access_free(struct ufd_access *access)
{
	struct ufd_context *context = access->object.context;
	const uint32_t id = access->object.id;
	const bool keeps = access->keeps_context;

	ufd_access_detach(access);
	if (ufd_object_unuse_hold(&access->object, 1) && ufd_object_destroy(&access->object))
		iommu_log(context->file.ufd->os, IOMMU_LOG_ERROR,
		          "ufd: access %u: its object stays until /dev/iommu is closed", id);
	if (keeps)
		ufd_file_put(&context->file);
}

/** Undo one pin, which is in no list any more. The lock of @p ioas is held. */
static void pin_drop(struct ufd_ioas *ioas, struct ufd_access_pin *pin)
{
	struct ufd_context *context = ioas->object.context;
	struct iova_node *node = iova_space_find_from(&ioas->areas, pin->first);

	for (; node && node->first <= pin->last; node = iova_space_next(&ioas->areas, node))
		ufd_pages_unpin(context, ufd_area_pages((struct ufd_area *)node), true);
	ufd_free(context->file.ufd, pin, sizeof(*pin));
}

/** Leave an IOAS. Who can be asked has let go already; an owner's pins end here, as does
 *  what one who was asked kept. */
static void leave(struct ufd_access_link *link)
{
	struct ufd_ioas *ioas = link->ioas;

	LOCK(ioas);
	if (link->pins && !link->access->ops->owns)
		iommu_log(ufd_of(link->access)->os, IOMMU_LOG_WARNING,
		          "ufd: access %u leaves IOAS %u with memory pinned: unpinned",
		          link->access->object.id, ioas->object.id);
	while (link->pins) {
		struct ufd_access_pin *pin = link->pins;
		link->pins = pin->next;
		pin_drop(ioas, pin);
	}
	UNLOCK(ioas);
	ufd_ioas_remove_access(link);
	ufd_object_unuse(&ioas->object, 1);
}

/** Ask an access that pins to let go of everything, for it is about to leave. */
static void ask_all(const struct ufd_access *access)
{
	if (access->ops->unmap)
		access->ops->unmap(access->ctx, iova(0), UINT64_MAX);
}

/** Attach to @p ioas_id, in place of what it has if @p replace. */
static int join(struct ufd_access *access, uint32_t ioas_id, bool replace)
{
	const struct ufd *ufd = ufd_of(access);
	struct ufd_ioas *ioas = NULL;

	int error = ufd_object_hold(access->object.context, ioas_id, UFD_IOAS, &ioas);
	if (error)
		return error;
	ufd_lock(ufd, &access->lock);
	bool attached = access->in, same = attached && access->in->ioas == ioas;
	ufd_unlock(ufd, &access->lock);
	if (attached != replace)
		error = replace ? -ENOENT : -EINVAL;
	else if (attached && !same)
		ask_all(access);
	if (!error && !same) {
		ufd_lock(ufd, &access->lock);
		struct ufd_access_link *old = access->in;
		struct ufd_access_link *new = &access->links[old == access->links];
		error = !old == replace ? -EBUSY /* another call was faster */
		                        : ufd_ioas_add_access(ioas, new);
		if (!error) {
			ufd_object_use(&ioas->object, 1);
			access->in = new;
			if (old)
				leave(old);
		}
		ufd_unlock(ufd, &access->lock);
	}
	ufd_object_release(&ioas->object);
	return error;
}

int ufd_access_attach(struct ufd_access *access, uint32_t ioas_id)
{
	return join(access, ioas_id, false);
}

int ufd_access_replace(struct ufd_access *access, uint32_t ioas_id)
{
	return join(access, ioas_id, true);
}

void ufd_access_detach(struct ufd_access *access)
{
	const struct ufd *ufd = ufd_of(access);

	ufd_lock(ufd, &access->lock);
	bool attached = access->in;
	ufd_unlock(ufd, &access->lock);
	if (!attached)
		return;
	ask_all(access);
	ufd_lock(ufd, &access->lock);
	if (access->in)
		leave(access->in);
	access->in = NULL;
	ufd_unlock(ufd, &access->lock);
}

/* ---- unmapping ---------------------------------------------------------------------- */

static bool has_pin(const struct ufd_access_link *link, uint64_t first, uint64_t last)
{
	for (const struct ufd_access_pin *pin = link->pins; pin; pin = pin->next)
		if (pin->first <= last && pin->last >= first)
			return true;
	return false;
}

bool ufd_access_any_pin(const struct ufd_ioas *ioas, uint64_t first, uint64_t last)
{
	for (const struct ufd_access_link *link = ioas->accesses; link; link = link->next)
		if (has_pin(link, first, last))
			return true;
	return false;
}

bool ufd_access_any_owned(const struct ufd_ioas *ioas, uint64_t first, uint64_t last)
{
	for (const struct ufd_access_link *link = ioas->accesses; link; link = link->next)
		if (link->access->ops->owns && has_pin(link, first, last))
			return true;
	return false;
}

void ufd_access_notify(struct ufd_ioas *ioas, uint64_t first, uint64_t last)
{
	const struct ufd_access_link *link;
	struct ufd_access *access;

	LOCK(ioas);
	link = ioas->accesses;
	/* an owner's pin may have come since the caller looked: that one cannot be asked */
	while (link && !(link->access->ops->unmap && has_pin(link, first, last) &&
	                 ufd_object_try_hold(&link->access->object)))
		link = link->next;
	access = link ? link->access : NULL;
	UNLOCK(ioas);
	if (!access) /* it is leaving, and that unpins too; or the caller will see the owner */
		return;
	uint64_t bytes = last - first + 1;
	access->ops->unmap(access->ctx, iova(first), bytes ? bytes : UINT64_MAX);
	ufd_object_release(&access->object);
}

/* ---- pin, copy ---------------------------------------------------------------------- */

/** Find the areas of [first, last] and check that all may be used so. The lock is held. */
static int check_areas(const struct ufd_ioas *ioas, uint64_t first, uint64_t last, uint32_t rights)
{
	for (;;) {
		const struct iova_node *node = iova_space_find(&ioas->areas, first);
		if (!node)
			return -ENOENT;
		if (ufd_pages_loan(ufd_area_pages((const struct ufd_area *)node)))
			return -EINVAL; /* a device's memory is for devices */
		if (rights & IOMMU_WRITE &&
		    !ufd_pages_writable(ufd_area_pages((const struct ufd_area *)node)))
			return -EPERM;
		if (node->last >= last)
			return 0;
		first = node->last + 1;
	}
}

static int check_range(iova_t at, uint64_t bytes)
{
	if (!bytes)
		return -EINVAL;
	return at.value + (bytes - 1) < at.value ? -EOVERFLOW : 0;
}

/** Pin the areas that @p pin covers and list their memory. The lock is held. */
static int pin_areas(struct ufd_ioas *ioas, const struct ufd_access_pin *pin,
                     struct iommu_extent *extents, size_t capacity, size_t *count)
{
	struct ufd_context *context = ioas->object.context;
	struct iova_node *first = iova_space_find(&ioas->areas, pin->first), *node = first;
	int error = 0;

	for (; node && node->first <= pin->last; node = iova_space_next(&ioas->areas, node)) {
		const struct ufd_area *area = (struct ufd_area *)node;
		uint64_t from = pin->first > node->first ? pin->first : node->first;
		uint64_t to = pin->last < node->last ? pin->last : node->last;
		error = ufd_pages_pin(context, ufd_area_pages(area));
		if (error)
			break;
		error = ufd_pages_extents(ufd_area_pages(area), area->start + (from - node->first),
		                          to - from + 1, extents, capacity, count);
		if (error) {
			ufd_pages_unpin(context, ufd_area_pages(area), true);
			break;
		}
	}
	if (error)
		for (; first != node; first = iova_space_next(&ioas->areas, first))
			ufd_pages_unpin(context, ufd_area_pages((struct ufd_area *)first), true);
	return error;
}

int ufd_access_pin(struct ufd_access *access, iova_t at, uint64_t bytes, uint32_t rights,
                   struct iommu_extent *extents, size_t capacity, size_t *count)
{
	const struct ufd *ufd = ufd_of(access);
	int error = access->ops->unmap || access->ops->owns ? check_range(at, bytes) : -EINVAL;

	*count = 0;
	if (error)
		return error;
	struct ufd_access_pin *pin = ufd_alloc(ufd, sizeof(*pin));
	if (!pin)
		return -ENOMEM;
	pin->first = at.value;
	pin->last = at.value + (bytes - 1);
	ufd_lock(ufd, &access->lock);
	struct ufd_ioas *ioas = access->in ? access->in->ioas : NULL;
	if (ioas) {
		LOCK(ioas);
		error = check_areas(ioas, pin->first, pin->last, rights);
		if (!error)
			error = pin_areas(ioas, pin, extents, capacity, count);
		if (!error) {
			pin->next = access->in->pins;
			access->in->pins = pin;
		}
		UNLOCK(ioas);
	} else {
		error = -ENOENT;
	}
	ufd_unlock(ufd, &access->lock);
	if (error) {
		*count = 0;
		ufd_free(ufd, pin, sizeof(*pin));
	}
	return error;
}

void ufd_access_unpin(struct ufd_access *access, iova_t at, uint64_t bytes)
{
	const struct ufd *ufd = ufd_of(access);
	ufd_lock(ufd, &access->lock);
	struct ufd_ioas *ioas = access->in ? access->in->ioas : NULL;
	if (ioas) {
		struct ufd_access_pin **link = &access->in->pins;
		LOCK(ioas);
		while (*link &&
		       ((*link)->first != at.value || (*link)->last != at.value + (bytes - 1)))
			link = &(*link)->next;
		struct ufd_access_pin *pin = *link;
		if (pin) {
			*link = pin->next;
			pin_drop(ioas, pin);
		}
		UNLOCK(ioas);
	}
	ufd_unlock(ufd, &access->lock);
}

/** Copy areas of [at, last], all mapped. The lock is held. */
static int copy_areas(const struct ufd *ufd, const struct ufd_ioas *ioas, uint64_t at,
                      uint64_t last, uint8_t *data, uint32_t rights)
{
	for (;;) {
		const struct ufd_area *area = (struct ufd_area *)iova_space_find(&ioas->areas, at);
		assume(area); /* check_areas() has seen it */
		uint64_t end = area->node.last < last ? area->node.last : last;
		uint64_t user =
			ufd_pages_user(ufd_area_pages(area), area->start + (at - area->node.first));
		size_t now = (size_t)(end - at + 1);
		int error = rights & IOMMU_WRITE ? ufd_copy_out(ufd, user, data, now)
		                                 : ufd_copy_in(ufd, data, user, now);
		if (error || end == last)
			return error;
		data += now;
		at = end + 1;
	}
}

int ufd_access_copy(struct ufd_access *access, iova_t at, void *data, uint64_t bytes,
                    uint32_t rights)
{
	const struct ufd *ufd = ufd_of(access);
	int error = check_range(at, bytes);

	if (error)
		return error;
	ufd_lock(ufd, &access->lock);
	struct ufd_ioas *ioas = access->in ? access->in->ioas : NULL;
	if (ioas) {
		LOCK(ioas);
		error = check_areas(ioas, at.value, at.value + (bytes - 1), rights);
		if (!error)
			error = copy_areas(ufd, ioas, at.value, at.value + (bytes - 1), data,
			                   rights);
		UNLOCK(ioas);
	} else {
		error = -ENOENT;
	}
	ufd_unlock(ufd, &access->lock);
	return error;
}
