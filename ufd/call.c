/* SPDX-License-Identifier: MIT */
/*
 * Calls on /dev/iommu: the table of commands, and structures that grow.
 *
 * The structure is copied from user memory once; nothing of it is used that was read
 * twice, so a program that changes it during the call changes nothing. Shorter than the
 * command's first version: -EINVAL. Shorter than known: the rest is zero. Longer:
 * the rest must be zero, or -E2BIG.
 */
#include "ufd/private_slot.h"
#include "ufd/selftest.h"

#include "iommu/string.h"

/** Room for any known structure. */
union arguments {
	struct iommu_destroy destroy;
	struct iommu_fault_alloc fault_alloc;
	struct iommu_hw_info hw_info;
	struct iommu_hwpt_alloc hwpt_alloc;
	struct iommu_hwpt_get_dirty_bitmap hwpt_get_dirty_bitmap;
	struct iommu_hwpt_invalidate hwpt_invalidate;
	struct iommu_hwpt_set_dirty_tracking hwpt_set_dirty_tracking;
	struct iommu_ioas_alloc ioas_alloc;
	struct iommu_ioas_allow_iovas allow_iovas;
	struct iommu_ioas_change_process change_process;
	struct iommu_ioas_copy copy;
	struct iommu_ioas_iova_ranges iova_ranges;
	struct iommu_ioas_map map;
	struct iommu_ioas_map_file map_file;
	struct iommu_ioas_unmap unmap;
	struct iommu_option option;
	struct iommu_test_cmd selftest;
	struct iommu_vfio_ioas vfio_ioas;
	struct iommu_viommu_alloc viommu_alloc;
	struct iommu_vdevice_alloc vdevice_alloc;
	struct iommu_veventq_alloc veventq_alloc;
	struct iommu_hw_queue_alloc hw_queue_alloc;
	struct iommu_ioas_noiommu_get_pa noiommu_get_pa;
};

_Static_assert(offsetof(union arguments, destroy.size) == 0, "each structure begins with its size");

/** No description of anything is longer, whatever is in it. */
enum { STRUCT_LIMIT = 4096 };

struct command {
	uint16_t bytes; /* of the structure as known; 0: no such command */
	uint16_t least; /* of its first version */
	int (*run)(struct ufd_call *call);
};

#define COMMAND(name, structure, last_field, function)                                             \
	[IOMMUFD_CMD_##name - IOMMUFD_CMD_BASE] = {                                                \
		.bytes = sizeof(struct structure),                                                 \
		.least = offsetof(struct structure, last_field) +                                  \
	                 sizeof(((struct structure *)0)->last_field),                              \
		.run = function,                                                                   \
	}

/* last_field: the last one of the version that Linux first had. */
static const struct command commands[] = {
	COMMAND(DESTROY, iommu_destroy, id, ufd_call_destroy),
	COMMAND(IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id, ufd_call_ioas_alloc),
	COMMAND(IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allowed_iovas, ufd_call_ioas_allow_iovas),
	COMMAND(IOAS_COPY, iommu_ioas_copy, src_iova, ufd_call_ioas_copy),
	COMMAND(IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, out_iova_alignment,
                ufd_call_ioas_iova_ranges),
	COMMAND(IOAS_MAP, iommu_ioas_map, iova, ufd_call_ioas_map),
	COMMAND(IOAS_UNMAP, iommu_ioas_unmap, length, ufd_call_ioas_unmap),
	COMMAND(OPTION, iommu_option, val64, ufd_call_option),
	COMMAND(VFIO_IOAS, iommu_vfio_ioas, __reserved, ufd_call_vfio_ioas),
	COMMAND(HWPT_ALLOC, iommu_hwpt_alloc, __reserved, ufd_call_hwpt_alloc),
	COMMAND(GET_HW_INFO, iommu_hw_info, __reserved, ufd_call_get_hw_info),
	COMMAND(HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, __reserved,
                ufd_call_hwpt_set_dirty_tracking),
	COMMAND(HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data,
                ufd_call_hwpt_get_dirty_bitmap),
	COMMAND(HWPT_INVALIDATE, iommu_hwpt_invalidate, __reserved, ufd_call_hwpt_invalidate),
	COMMAND(FAULT_QUEUE_ALLOC, iommu_fault_alloc, out_fault_fd, ufd_call_fault_queue_alloc),
	COMMAND(IOAS_MAP_FILE, iommu_ioas_map_file, iova, ufd_call_ioas_map_file),
	COMMAND(IOAS_CHANGE_PROCESS, iommu_ioas_change_process, __reserved,
                ufd_call_ioas_change_process),
	COMMAND(VIOMMU_ALLOC, iommu_viommu_alloc, out_viommu_id, ufd_call_viommu_alloc),
	COMMAND(VDEVICE_ALLOC, iommu_vdevice_alloc, virt_id, ufd_call_vdevice_alloc),
	COMMAND(VEVENTQ_ALLOC, iommu_veventq_alloc, __reserved, ufd_call_veventq_alloc),
	COMMAND(HW_QUEUE_ALLOC, iommu_hw_queue_alloc, length, ufd_call_hw_queue_alloc),
	COMMAND(IOAS_NOIOMMU_GET_PA, iommu_ioas_noiommu_get_pa, out_phys,
                ufd_call_ioas_noiommu_get_pa),
	COMMAND(SELFTEST, iommu_test_cmd, last, ufd_call_selftest),
};

int ufd_check_zero(const struct ufd *ufd, uint64_t user, uint64_t bytes)
{
	uint8_t piece[128];

	while (bytes) {
		size_t now = bytes < sizeof(piece) ? (size_t)bytes : sizeof(piece);
		int error = ufd_copy_in(ufd, piece, user, now);
		if (error)
			return error;
		for (size_t i = 0; i < now; i++)
			if (piece[i])
				return -E2BIG;
		user += now;
		bytes -= now;
	}
	return 0;
}

int ufd_copy_in_struct(const struct ufd *ufd, void *to, uint64_t user, uint32_t known,
                       uint32_t length)
{
	if (length > STRUCT_LIMIT)
		return ufd_refuse(ufd, -E2BIG, "a structure of %u bytes, at most %u", length,
		                  STRUCT_LIMIT);
	if (user + length < user)
		return -EFAULT;
	int error = ufd_copy_in(ufd, to, user, known);
	return error || length == known ? error : ufd_check_zero(ufd, user + known, length - known);
}

int ufd_respond(const struct ufd_call *call)
{
	uint32_t bytes = call->user_bytes < call->bytes ? call->user_bytes : call->bytes;

	return ufd_copy_out(call->ufd, call->user, call->arguments, bytes);
}

/** The structure is shorter than it must be, or not all there: say which. */
static __attribute__((noinline)) int refuse_short(const struct ufd *ufd, uint32_t number,
                                                  uint64_t user, uint32_t least)
{
	uint32_t size = 0;
	int error = ufd_copy_in(ufd, &size, user, sizeof(size));

	if (error)
		return error;
	if (size >= least)
		return -EFAULT;
	return ufd_refuse(ufd, -EINVAL, "command %#x: a structure of %u bytes, at least %u", number,
	                  size, least);
}

/** The caller's structure is not just as long as the first version, of which @p call has that
 *  much: read the rest, or say that it is zero. 0, -EFAULT, -E2BIG. */
static __attribute__((noinline)) int read_rest(const struct ufd_call *call, uint32_t least)
{
	const struct ufd *ufd = call->ufd;
	const uint32_t size = call->user_bytes, bytes = call->bytes;
	const uint32_t known = size < bytes ? size : bytes;
	uint8_t *arguments = call->arguments;
	int error = 0;

	if (known > least)
		error = ufd_copy_in(ufd, arguments + least, call->user + least, known - least);
	if (!error && size > known)
		error = call->user + size < call->user
		                ? -EFAULT
		                : ufd_check_zero(ufd, call->user + known, size - known);
	if (!error && known < bytes)
		memset(arguments + known, 0, bytes - known);
	return error;
}

/** A command that is none of /dev/iommu's. */
static __attribute__((noinline)) int other_command(struct ufd_context *context, uint32_t number,
                                                   uint64_t user)
{
	if (number >> 8 == VFIO_TYPE &&
	    number - UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_BASE) >= ARRAY_SIZE(commands))
		return ufd_vfio_ioctl(context, number, user);
	return ufd_refuse(context->file.ufd, -ENOTTY, "command %#x is none of /dev/iommu's",
	                  number);
}

/** A call on /dev/iommu. */
static inline int context_ioctl(struct ufd_context *context, uint32_t number, uint64_t user)
{
	struct ufd *ufd = context->file.ufd;
	const uint32_t index = number - UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_BASE);
	union arguments arguments;
	struct ufd_call call;

	if (__builtin_expect(index >= ARRAY_SIZE(commands) || !commands[index].run, 0))
		return other_command(context, number, user);
	const struct command *command = &commands[index];

	/* Its size comes with the first version, which has to be there. */
	if (__builtin_expect(user + command->least < user, 0) ||
	    __builtin_expect(
		    ufd->memory->copy_in(ufd->memory_ctx, &arguments, user, command->least), 0))
		return refuse_short(ufd, number, user, command->least);
	call.ufd = ufd;
	call.context = context;
	call.user = user;
	call.user_bytes = arguments.destroy.size;
	call.bytes = command->bytes;
	call.arguments = &arguments;
	if (__builtin_expect(call.user_bytes != command->bytes || command->least != command->bytes,
	                     0)) {
		if (call.user_bytes < command->least)
			return refuse_short(ufd, number, user, command->least);
		int error = read_rest(&call, command->least);
		if (error)
			return error;
	}
	return command->run(&call);
}

/** Calls on what is not /dev/iommu. */
static __attribute__((noinline)) int other_ioctl(struct ufd_file *file, int fd,
                                                 unsigned long command, uint64_t user)
{
	if (file->kind == UFD_FILE_DEVICE)
		return ufd_cdev_ioctl(container_of(file, struct ufd_cdev, file), (uint32_t)command,
		                      user);
	return ufd_refuse(file->ufd, -ENOTTY,
	                  file->kind == UFD_FILE_FAULT ? "descriptor %d is a fault queue: no calls"
	                                               : "descriptor %d takes no calls",
	                  fd);
}

int ufd_ioctl(struct ufd *ufd, int fd, unsigned long command, uint64_t user)
{
	struct ufd_shard *shard;
	struct ufd_file *file = ufd_slot_enter(ufd, fd, &shard);
	int result;

	if (!file)
		return -EBADF;
	if (__builtin_expect(file->kind == UFD_FILE_CONTEXT, 1))
		result = context_ioctl(container_of(file, struct ufd_context, file),
		                       (uint32_t)command, user);
	else
		result = other_ioctl(file, fd, command, user);
	ufd_slot_leave(ufd, shard, fd);
	return result;
}
