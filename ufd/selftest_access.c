/* SPDX-License-Identifier: MIT */
/*
 * The part of IOMMU_TEST_CMD that works with accesses: a descriptor each, that keeps its
 * context alive, as Linux's does.
 *
 * What ACCESS_PAGES pinned is an item with a number. The access's unmap op unpins the
 * items that the unmapping touches. The descriptor's lock is held from the pin until the
 * item is listed, so that the op, which takes it too, finds every pin listed; it is taken
 * before the access's own locks, and never with them held.
 */
#include "ufd/selftest_private.h"

/** No test maps more in one piece; a false length must not take all memory. */
enum { MAX_BYTES = 16 << 20 };

struct item {
	struct item *next;
	uint32_t id;
	uint64_t first, bytes;
};

struct ufd_selftest_access {
	struct ufd_file file;
	struct ufd_access *access;
	bool pins;              /* made with NEEDS_PIN_PAGES */
	struct iommu_lock lock; /* both below */
	struct item *items;
	uint32_t next_id;
};

static struct ufd_selftest_access *self_of(struct ufd_file *file)
{
	return container_of(file, struct ufd_selftest_access, file);
}

/** Unpin an item, which is in no list any more. */
static void item_end(struct ufd_selftest_access *self, struct item *item)
{
	ufd_access_unpin(self->access, iova(item->first), item->bytes);
	ufd_free(self->file.ufd, item, sizeof(*item));
}

/** ufd_access_ops.unmap */
static void unmap(void *ctx, iova_t first, uint64_t bytes)
{
	struct ufd_selftest_access *self = ctx;
	uint64_t last = first.value + (bytes - 1);
	struct item **link = &self->items;

	if (bytes == UINT64_MAX)
		last = UINT64_MAX;
	ufd_lock(self->file.ufd, &self->lock);
	while (*link) {
		struct item *item = *link;
		if (item->first > last || item->first + (item->bytes - 1) < first.value) {
			link = &item->next;
			continue;
		}
		*link = item->next;
		item_end(self, item);
	}
	ufd_unlock(self->file.ufd, &self->lock);
}

static const struct ufd_access_ops plain_ops = {0};
static const struct ufd_access_ops pin_ops = {.unmap = unmap};

void ufd_selftest_access_end(struct ufd_file *file)
{
	struct ufd_selftest_access *self = self_of(file);
	struct ufd *ufd = file->ufd;

	if (self->access) /* asks the op to unpin first */
		ufd_access_free(self->access);
	ufd->os->lock_destroy(ufd->os->ctx, &self->lock);
	ufd_free(ufd, self, sizeof(*self));
}

int ufd_selftest_create_access(struct ufd_call *call)
{
	struct iommu_test_cmd *arguments = call->arguments;
	const uint32_t flags = arguments->create_access.flags;
	struct ufd *ufd = call->ufd;

	if (flags & ~(uint32_t)MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		return ufd_refuse(ufd, -EOPNOTSUPP, "CREATE_ACCESS: flags %#x, known is 0x1",
		                  flags);
	struct ufd_selftest_access *self = ufd_alloc(ufd, sizeof(*self));
	if (!self)
		return -ENOMEM;
	int error = ufd->os->lock_init(ufd->os->ctx, &self->lock, "ufd self-test access");
	if (error) {
		ufd_free(ufd, self, sizeof(*self));
		return error;
	}
	self->file = (struct ufd_file){.ufd = ufd, .kind = UFD_FILE_ACCESS, .refs = 2};
	self->pins = flags;
	self->next_id = 1;
	error = ufd_access_new_in(call->context, true, flags ? &pin_ops : &plain_ops, self,
	                          &self->access);
	if (!error)
		error = ufd_access_attach(self->access, arguments->id);
	int fd = error ? error : ufd_file_install(ufd, &self->file);
	if (fd < 0) {
		error = fd;
		ufd_file_put(&self->file); /* the table has none */
	} else {
		arguments->create_access.out_access_fd = (uint32_t)fd;
		error = ufd_respond(call);
		if (error)
			ufd_file_uninstall(ufd, fd, &self->file);
	}
	ufd_file_put(&self->file);
	return error;
}

/** The access of descriptor @p fd, with a reference. -EBADFD if it is another's. */
static int access_get(const struct ufd_call *call, uint32_t fd, struct ufd_selftest_access **out)
{
	struct ufd_file *file = NULL;

	if (fd > INT32_MAX || ufd_file_get(call->ufd, (int)fd, &file))
		return -EBADFD;
	if (file->kind != UFD_FILE_ACCESS) {
		ufd_file_put(file);
		(void)ufd_refuse(call->ufd, -EBADFD, "descriptor %u is not an access", fd);
		return -EBADFD;
	}
	*out = self_of(file);
	return 0;
}

/** Is the memory in @p extents the caller's at @p user? */
static int compare(const struct ufd_call *call, const struct iommu_extent *extents, size_t count,
                   uint64_t user)
{
	struct ufd_selftest_walk walk;
	uint64_t got = 0;
	pa_t memory = pa(0);

	ufd_selftest_walk_begin(&walk, call->ufd, user);
	for (size_t i = 0; i < count; i++) {
		for (uint64_t done = 0; done < extents[i].bytes; done += got) {
			int error = ufd_selftest_walk_next(&walk, extents[i].bytes - done, &memory,
			                                   &got);
			if (error)
				return error;
			if (memory.value != extents[i].start.value + done)
				return ufd_refuse(
					call->ufd, -EINVAL,
					"ACCESS_PAGES: %#llx is pinned, not %#llx",
					(unsigned long long)(extents[i].start.value + done),
					(unsigned long long)memory.value);
		}
	}
	return 0;
}

/** Pin for @p item, compare, answer, list. The descriptor is locked. */
static int pin_item(struct ufd_call *call, struct ufd_selftest_access *self, struct item *item,
                    struct iommu_extent *extents, size_t capacity)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint32_t flags = arguments->access_pages.flags;
	size_t count = 0;

	int error = ufd_access_pin(self->access, iova(item->first), item->bytes,
	                           flags & MOCK_FLAGS_ACCESS_WRITE ? IOMMU_WRITE : 0, extents,
	                           capacity, &count);
	if (error)
		return error;
	if (!(flags & MOCK_FLAGS_ACCESS_SYZ))
		error = compare(call, extents, count, arguments->access_pages.uptr);
	if (!error) {
		/* one field: an embedder may show us another number than the caller's in `id` */
		item->id = self->next_id;
		error = ufd_copy_out(call->ufd,
		                     call->user + offsetof(struct iommu_test_cmd,
		                                           access_pages.out_access_pages_id),
		                     &item->id, sizeof(item->id));
	}
	if (error) {
		ufd_access_unpin(self->access, iova(item->first), item->bytes);
		return error;
	}
	self->next_id++;
	item->next = self->items;
	self->items = item;
	return 0;
}

int ufd_selftest_access_pages(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint64_t bytes = arguments->access_pages.length;
	const uint32_t known = MOCK_FLAGS_ACCESS_WRITE | MOCK_FLAGS_ACCESS_SYZ;
	struct ufd_selftest_access *self = NULL;

	if (bytes > MAX_BYTES)
		return -ENOMEM;
	if (arguments->access_pages.flags & ~known)
		return -EOPNOTSUPP;
	int error = access_get(call, arguments->id, &self);
	if (error)
		return error;
	size_t capacity = (size_t)(bytes / PAGE_SIZE_4K) + 2;
	struct item *item = ufd_alloc(call->ufd, sizeof(*item));
	struct iommu_extent *extents = ufd_alloc(call->ufd, capacity * sizeof(*extents));
	if (!self->pins) {
		error = ufd_refuse(call->ufd, -EOPNOTSUPP,
		                   "ACCESS_PAGES: the access was made without NEEDS_PIN_PAGES");
	} else if (!item || !extents) {
		error = -ENOMEM;
	} else {
		item->first = arguments->access_pages.iova;
		item->bytes = bytes;
		ufd_lock(call->ufd, &self->lock);
		error = pin_item(call, self, item, extents, capacity);
		ufd_unlock(call->ufd, &self->lock);
	}
	if (error)
		ufd_free(call->ufd, item, sizeof(*item));
	ufd_free(call->ufd, extents, capacity * sizeof(*extents));
	ufd_file_put(&self->file);
	return error;
}

int ufd_selftest_destroy_access_pages(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	struct ufd_selftest_access *self = NULL;

	int error = access_get(call, arguments->id, &self);
	if (error)
		return error;
	struct item **link = &self->items;
	ufd_lock(call->ufd, &self->lock);
	while (*link && (*link)->id != arguments->destroy_access_pages.access_pages_id)
		link = &(*link)->next;
	struct item *item = *link;
	if (item) {
		*link = item->next;
		item_end(self, item);
	} else {
		error = -ENOENT;
	}
	ufd_unlock(call->ufd, &self->lock);
	ufd_file_put(&self->file);
	return error;
}

int ufd_selftest_access_rw(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	const uint32_t flags = arguments->access_rw.flags;
	const uint64_t bytes = arguments->access_rw.length, user = arguments->access_rw.uptr;
	const iova_t at = iova(arguments->access_rw.iova);
	struct ufd_selftest_access *self = NULL;

	if (bytes > MAX_BYTES)
		return -ENOMEM;
	if (flags & ~(uint32_t)(MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH))
		return -EOPNOTSUPP;
	if (!bytes)
		return -EINVAL;
	int error = access_get(call, arguments->id, &self);
	if (error)
		return error;
	void *data = ufd_alloc(call->ufd, (size_t)bytes);
	if (!data) {
		error = -ENOMEM;
	} else if (flags & MOCK_ACCESS_RW_WRITE) {
		error = ufd_copy_in(call->ufd, data, user, (size_t)bytes);
		if (!error)
			error = ufd_access_copy(self->access, at, data, bytes, IOMMU_WRITE);
	} else {
		error = ufd_access_copy(self->access, at, data, bytes, 0);
		if (!error)
			error = ufd_copy_out(call->ufd, user, data, (size_t)bytes);
	}
	ufd_free(call->ufd, data, (size_t)bytes);
	ufd_file_put(&self->file);
	return error;
}

int ufd_selftest_access_replace(struct ufd_call *call)
{
	const struct iommu_test_cmd *arguments = call->arguments;
	struct ufd_selftest_access *self = NULL;

	int error = access_get(call, arguments->id, &self);
	if (error)
		return error;
	error = ufd_access_replace(self->access, arguments->access_replace_ioas.ioas_id);
	ufd_file_put(&self->file);
	return error;
}
