/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: opening, closing, and finding the file behind a number.
 *
 * A file lives as long as something refers to it: the table and, for /dev/iommu, each
 * device that is bound to it. So a close before the devices' closes ends nothing too early.
 *
 * Calls take no lock to find their file: they count themselves with their processor's shard
 * of the slot, which stays where it is, and the file stays in the slot until the last of them
 * has left. A close sets SHUT in each shard, so no further call enters, and the table's
 * reference is dropped by the close or, if calls still run, by the last to leave. Who finds
 * SHUT when it enters leaves again, and may be that last one. Slots that are free are SHUT in
 * all shards and have no file.
 */
#include "ufd/private_slot.h"

#include "iommu/string.h"

int ufd_init(struct ufd *ufd, struct iommu *iommu, const struct ufd_memory_ops *memory,
             void *memory_ctx)
{
	*ufd = (struct ufd){
		.iommu = iommu,
		.os = iommu_os(iommu),
		.memory = memory,
		.memory_ctx = memory_ctx,
	};
	for (int shard = 0; shard < UFD_SHARDS; shard++)
		for (int i = 0; i < UFD_MAX_FILES; i++)
			ufd->shards[shard].calls[i] = UFD_SLOT_SHUT;
	return ufd->os->lock_init(ufd->os->ctx, &ufd->lock, "ufd descriptors");
}

void ufd_exit(struct ufd *ufd)
{
	for (int fd = UFD_FIRST_FD; fd < UFD_FIRST_FD + UFD_MAX_FILES; fd++)
		(void)ufd_close(ufd, fd);
	ufd->os->lock_destroy(ufd->os->ctx, &ufd->lock);
}

int ufd_locks_init(const struct ufd *ufd, struct iommu_lock *const *locks, const char *const *names,
                   size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int error = ufd->os->lock_init(ufd->os->ctx, locks[i], names[i]);
		if (error) {
			while (i--)
				ufd->os->lock_destroy(ufd->os->ctx, locks[i]);
			return error;
		}
	}
	return 0;
}

int ufd_refuse(const struct ufd *ufd, int error, const char *format, ...)
{
	char text[192];
	va_list args;

	if (!ufd->os->log)
		return error;
	va_start(args, format);
	(void)iommu_vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	iommu_log(ufd->os, IOMMU_LOG_DEBUG, "ufd: %s: %s", iommu_errno_name(error), text);
	return error;
}

/* ---- the table ------------------------------------------------------------------- */

int ufd_file_install(struct ufd *ufd, struct ufd_file *file)
{
	int fd = -EMFILE;

	ufd_lock(ufd, &ufd->lock);
	for (int i = 0; i < UFD_MAX_FILES; i++) {
		if (ufd->files[i])
			continue;
		ufd->files[i] = file;
		/* shard 0 is the last here and the first to be shut: a close finds all open */
		for (int shard = UFD_SHARDS; shard--;)
			__atomic_fetch_and(&ufd->shards[shard].calls[i], ~UFD_SLOT_SHUT,
			                   __ATOMIC_RELEASE);
		fd = UFD_FIRST_FD + i;
		break;
	}
	ufd_unlock(ufd, &ufd->lock);
	return fd;
}

void ufd_slot_drained(struct ufd *ufd, unsigned index)
{
	struct ufd_file *file;
	bool idle = true;

	ufd_lock(ufd, &ufd->lock);
	/* else it has a new file meanwhile, or somebody is in it who will be the last */
	for (int shard = 0; shard < UFD_SHARDS; shard++)
		idle &= __atomic_load_n(&ufd->shards[shard].calls[index], __ATOMIC_ACQUIRE) ==
		        UFD_SLOT_SHUT;
	file = idle ? ufd->files[index] : NULL;
	if (file)
		ufd->files[index] = NULL;
	ufd_unlock(ufd, &ufd->lock);
	if (!file)
		return;
	if (file->kind == UFD_FILE_CONTEXT) /* it may stay, for its devices */
		ufd_context_settle(container_of(file, struct ufd_context, file));
	ufd_file_put(file);
}

/** Shut a slot; false if it was. */
static bool slot_shut(struct ufd *ufd, unsigned index)
{
	for (int shard = 0; shard < UFD_SHARDS; shard++) {
		uint32_t calls = __atomic_fetch_or(&ufd->shards[shard].calls[index], UFD_SLOT_SHUT,
		                                   __ATOMIC_ACQ_REL);
		if (!shard && calls & UFD_SLOT_SHUT)
			return false;
	}
	ufd_slot_drained(ufd, index);
	return true;
}

void ufd_file_uninstall(struct ufd *ufd, int fd, struct ufd_file *file)
{
	struct ufd_shard *shard;
	const struct ufd_file *there = ufd_slot_enter(ufd, fd, &shard);

	if (!there)
		return; /* somebody has closed it meanwhile */
	if (there == file)
		(void)slot_shut(ufd, (unsigned)(fd - UFD_FIRST_FD));
	ufd_slot_leave(ufd, shard, fd);
}

void ufd_file_hold(struct ufd_file *file)
{
	ufd_lock(file->ufd, &file->ufd->lock);
	file->refs++;
	ufd_unlock(file->ufd, &file->ufd->lock);
}

void ufd_set_wake(struct ufd *ufd, void (*wake)(void *ctx, int fd), void *ctx)
{
	ufd_lock(ufd, &ufd->lock);
	ufd->wake = wake;
	ufd->wake_ctx = ctx;
	ufd_unlock(ufd, &ufd->lock);
}

void ufd_file_wake(struct ufd_file *file)
{
	struct ufd *ufd = file->ufd;

	ufd_lock(ufd, &ufd->lock);
	for (int i = 0; i < UFD_MAX_FILES && ufd->wake; i++)
		if (ufd->files[i] == file &&
		    !(__atomic_load_n(&ufd->shards[0].calls[i], __ATOMIC_RELAXED) & UFD_SLOT_SHUT))
			ufd->wake(ufd->wake_ctx, UFD_FIRST_FD + i);
	ufd_unlock(ufd, &ufd->lock);
}

int ufd_file_get(struct ufd *ufd, int fd, struct ufd_file **out)
{
	struct ufd_shard *shard;
	struct ufd_file *file = ufd_slot_enter(ufd, fd, &shard);

	if (!file)
		return -EBADF;
	*out = file;
	ufd_file_hold(file);
	ufd_slot_leave(ufd, shard, fd);
	return 0;
}

void ufd_file_put(struct ufd_file *file)
{
	struct ufd *ufd = file->ufd;

	ufd_lock(ufd, &ufd->lock);
	bool last = --file->refs == 0;
	ufd_unlock(ufd, &ufd->lock);
	if (!last)
		return;
	switch (file->kind) {
	case UFD_FILE_CONTEXT:
		ufd_context_free(container_of(file, struct ufd_context, file));
		break;
	case UFD_FILE_DEVICE:
		ufd_cdev_free(container_of(file, struct ufd_cdev, file));
		break;
	case UFD_FILE_FAULT:
		ufd_fault_queue_end(container_of(file, struct ufd_fault_queue, file));
		break;
	case UFD_FILE_ACCESS:
		ufd_selftest_access_end(file);
		break;
	case UFD_FILE_EVENTS:
		ufd_event_queue_end(file);
		break;
	case UFD_FILE_LENDER:
		ufd_lender_end(file);
		break;
	}
}

int ufd_open(struct ufd *ufd)
{
	struct ufd_context *context = NULL;

	int error = ufd_context_new(ufd, &context);
	if (error)
		return error;
	int fd = ufd_file_install(ufd, &context->file);
	if (fd < 0)
		ufd_file_put(&context->file);
	return fd;
}

int ufd_open_device(struct ufd *ufd, struct iommu_device *device)
{
	struct ufd_cdev *cdev = ufd_alloc(ufd, sizeof(*cdev));

	if (!cdev)
		return -ENOMEM;
	cdev->file = (struct ufd_file){.ufd = ufd, .kind = UFD_FILE_DEVICE, .refs = 1};
	cdev->device = device;
	int error = ufd->os->lock_init(ufd->os->ctx, &cdev->lock, "ufd device descriptor");
	if (error) {
		ufd_free(ufd, cdev, sizeof(*cdev));
		return error;
	}
	int fd = ufd_file_install(ufd, &cdev->file);
	if (fd < 0)
		ufd_file_put(&cdev->file);
	return fd;
}

int ufd_close(struct ufd *ufd, int fd)
{
	if (fd < UFD_FIRST_FD || fd >= UFD_FIRST_FD + UFD_MAX_FILES)
		return -EBADF;
	return slot_shut(ufd, (unsigned)(fd - UFD_FIRST_FD)) ? 0 : -EBADF;
}

int64_t ufd_read(struct ufd *ufd, int fd, uint64_t user, uint64_t bytes)
{
	struct ufd_shard *shard;
	struct ufd_file *file = ufd_slot_enter(ufd, fd, &shard);
	int64_t result;

	if (!file)
		return -EBADF;
	if (file->kind == UFD_FILE_FAULT)
		result = ufd_fault_queue_read(container_of(file, struct ufd_fault_queue, file),
		                              user, bytes);
	else if (file->kind == UFD_FILE_EVENTS)
		result = ufd_event_queue_read(file, user, bytes);
	else
		result = -EINVAL;
	ufd_slot_leave(ufd, shard, fd);
	return result;
}

int64_t ufd_write(struct ufd *ufd, int fd, uint64_t user, uint64_t bytes)
{
	struct ufd_shard *shard;
	struct ufd_file *file = ufd_slot_enter(ufd, fd, &shard);
	int64_t result;

	if (!file)
		return -EBADF;
	if (file->kind == UFD_FILE_FAULT)
		result = ufd_fault_queue_write(container_of(file, struct ufd_fault_queue, file),
		                               user, bytes);
	else
		result = -EINVAL;
	ufd_slot_leave(ufd, shard, fd);
	return result;
}

int ufd_mmap(struct ufd *ufd, int fd, uint64_t offset, uint64_t bytes, pa_t *out,
             struct ufd_mapping **mapping)
{
	struct ufd_shard *shard;
	struct ufd_file *file = ufd_slot_enter(ufd, fd, &shard);
	int result;

	if (!file)
		return -EBADF;
	*out = pa(0);
	*mapping = NULL;
	if (file->kind == UFD_FILE_CONTEXT)
		result = ufd_viommu_mmap(container_of(file, struct ufd_context, file), offset,
		                         bytes, out, mapping);
	else
		result = -ENODEV;
	ufd_slot_leave(ufd, shard, fd);
	return result;
}

int ufd_poll(struct ufd *ufd, int fd)
{
	struct ufd_shard *shard;
	struct ufd_file *file = ufd_slot_enter(ufd, fd, &shard);
	int result;

	if (!file)
		return -EBADF;
	if (file->kind == UFD_FILE_FAULT)
		result = ufd_fault_queue_poll(container_of(file, struct ufd_fault_queue, file));
	else if (file->kind == UFD_FILE_EVENTS)
		result = ufd_event_queue_poll(file);
	else /* what Linux says of a file that has no poll */
		result = UFD_POLL_IN | UFD_POLL_OUT | UFD_POLL_RDNORM | UFD_POLL_WRNORM;
	ufd_slot_leave(ufd, shard, fd);
	return result;
}

/* ---- user memory -------------------------------------------------------------------- */

static bool wraps(uint64_t user, uint64_t bytes)
{
	return bytes && user + (bytes - 1) < user;
}

int ufd_copy_in(const struct ufd *ufd, void *to, uint64_t user, size_t bytes)
{
	if (wraps(user, bytes))
		return -EFAULT;
	return ufd->memory->copy_in(ufd->memory_ctx, to, user, bytes);
}

int ufd_copy_out(const struct ufd *ufd, uint64_t user, const void *from, size_t bytes)
{
	if (wraps(user, bytes))
		return -EFAULT;
	return ufd->memory->copy_out(ufd->memory_ctx, user, from, bytes);
}

int ufd_zero_out(const struct ufd *ufd, uint64_t user, uint64_t bytes)
{
	static const uint8_t zeros[128];

	if (wraps(user, bytes))
		return -EFAULT;
	while (bytes) {
		size_t now = bytes < sizeof(zeros) ? (size_t)bytes : sizeof(zeros);
		int error = ufd_copy_out(ufd, user, zeros, now);
		if (error)
			return error;
		user += now;
		bytes -= now;
	}
	return 0;
}
