/* SPDX-License-Identifier: MIT */
/*
 * A program of calls, as bytes: each operation takes the bytes that it needs, and past the
 * end all bytes are zero and the program is over. Arguments are structured, so that a
 * program reaches far: ids of objects that may exist, addresses near each other; and any of
 * them can be hostile: ids that never were, pointers at edges and into nothing, lengths
 * that wrap around, structures of any size with anything behind them.
 *
 * A new call is one row of `calls`.
 */
#ifndef TESTS_FUZZ_PROGRAM_H
#define TESTS_FUZZ_PROGRAM_H

#include "tests/unit/ufd_test_user.h"

#include "ufd/nestor.h"
#include "ufd/selftest.h"
#include "ufd/vfio_type1.h"

#define PROGRAM_BASE UINT64_C(0x40000000)

struct program {
	const uint8_t *bytes;
	size_t left;
	struct ufd *ufd;
	struct test_user *user;
	uint64_t place; /* user address of 1 KiB for structures and arrays; nobody else's */
	struct iommu_device *devices[3];
	struct ufd_access *accesses[2];          /* NULL: none; nobody else's */
	const struct ufd_access_ops *access_ops; /* for new ones; their ctx is the slot above */
	struct ufd_mapping *mapping;             /* NULL: none; nobody else's */
	/** A device asks for a page; NULL: none does. */
	void (*ask)(void *ctx, unsigned device, const struct iommu_page_request *request);
	/** A device's read at @p at; NULL: none. */
	void (*dma)(void *ctx, unsigned device, uint32_t pasid, uint64_t at);
	/** The program writes to its memory; NULL: nobody else does. */
	void (*store)(void *ctx, uint64_t user, const void *from, size_t bytes);
	void *ctx;
};

static inline void program_store(struct program *program, uint64_t user, const void *from,
                                 size_t bytes)
{
	if (program->store)
		program->store(program->ctx, user, from, bytes);
	else if (bytes)
		memcpy(test_user_at(program->user, user), from, bytes);
}

static inline uint8_t program_byte(struct program *program)
{
	if (!program->left)
		return 0;
	program->left--;
	return *program->bytes++;
}

static inline uint64_t program_number(struct program *program, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)program_byte(program) << 8 * i;
	return value;
}

static inline uint32_t program_id(struct program *program)
{
	uint8_t byte = program_byte(program);

	if (byte < 0xf0)
		return byte % 24 + 1;
	return byte < 0xf8 ? 0 : byte < 0xfc ? UINT32_MAX : (uint32_t)program_number(program, 4);
}

static inline uint64_t program_length(struct program *program)
{
	static const uint64_t edges[] = {0,
	                                 1,
	                                 PAGE - 1,
	                                 PAGE + 1,
	                                 UINT64_C(1) << 63,
	                                 UINT64_MAX,
	                                 UINT64_MAX - PAGE + 1,
	                                 UINT64_C(1) << 32,
	                                 PAGE_SIZE_2M,
	                                 PAGE_SIZE_2M - PAGE,
	                                 UINT64_C(1) << 30,
	                                 UINT64_C(1) << 39,
	                                 UINT64_C(1) << 48};
	uint8_t byte = program_byte(program);

	if (byte < 0xc0)
		return (byte % 48 + UINT64_C(1)) * PAGE;
	if (byte < 0xf8)
		return edges[byte % ARRAY_SIZE(edges)];
	return program_number(program, 8);
}

static inline uint64_t program_iova(struct program *program)
{
	static const uint64_t edges[] = {0,
	                                 PAGE,
	                                 UINT64_MAX,
	                                 UINT64_MAX - PAGE + 1,
	                                 UINT64_C(1) << 63,
	                                 (UINT64_C(1) << 48) - PAGE,
	                                 (UINT64_C(1) << 47) - PAGE,
	                                 UINT64_C(1) << 47,
	                                 UINT64_C(0xfee00000),
	                                 UINT64_C(0xfedff000),
	                                 (UINT64_C(1) << 39) - PAGE};
	uint8_t byte = program_byte(program);

	if (byte < 0xa0)
		return PROGRAM_BASE + byte % 64 * PAGE;
	if (byte < 0xc8)
		return byte % 8 * PROGRAM_BASE + (byte & 8 ? PAGE_SIZE_2M : 0);
	if (byte < 0xd0)
		return PROGRAM_BASE + byte % 7 * UINT64_C(0x333);
	if (byte < 0xf8)
		return edges[byte % ARRAY_SIZE(edges)];
	return program_number(program, 8);
}

static inline uint64_t program_pointer(struct program *program)
{
	static const uint64_t starts[] = {USER_PLAIN, USER_SCATTER, USER_READONLY};
	static const uint64_t edges[] = {0,
	                                 UINT64_MAX,
	                                 UINT64_MAX - 7,
	                                 UINT64_C(1) << 63,
	                                 USER_PLAIN - PAGE,
	                                 USER_PLAIN + USER_BYTES - 1,
	                                 USER_PLAIN + USER_BYTES - 8,
	                                 USER_SCATTER + USER_BYTES - PAGE};
	uint8_t byte = program_byte(program);

	if (byte < 0x60)
		return program->place + 256 + byte % 12 * 64;
	if (byte < 0xe0)
		return starts[byte % 3] + byte / 3 % 32 * PAGE + (byte & 0x80 ? PAGE_SIZE_2M : 0);
	if (byte < 0xf8)
		return edges[byte % ARRAY_SIZE(edges)];
	return program_number(program, 8);
}

static inline int program_fd(struct program *program)
{
	uint8_t byte = program_byte(program);

	if (byte < 0x80)
		return 4 + byte % 2;
	if (byte < 0xf0)
		return 3 + byte % 12;
	return byte < 0xfc ? FILE_FD + byte % 2 : (int)program_number(program, 4);
}

static inline uint32_t program_pasid(struct program *program)
{
	static const uint32_t edges[] = {0, 1, 0xfffff, 0x100000, UINT32_MAX};
	uint8_t byte = program_byte(program);

	return byte < 0xc0 ? byte % 4 + 4u : edges[byte % ARRAY_SIZE(edges)];
}

/* ---- structures --------------------------------------------------------------------- */

/**
 * Fields, in order, each of 4 bytes unless said:
 *   s size   f flags   i id   d descriptor   n count   z zero, nearly always   p PASID
 *   o operation of the self-test   t data type   m data length   r response code   c cookie
 *   V IOVA (8)   U pointer (8)   L length (8)   P page size (8)   w small number (2)
 */
static const struct program_call {
	uint32_t command;
	const char *fields;
	bool of_device;
} program_calls[] = {
	{IOMMU_DESTROY, "si", false},
	{IOMMU_IOAS_ALLOC, "sfi", false},
	{IOMMU_IOAS_ALLOW_IOVAS, "sinzU", false},
	{IOMMU_IOAS_COPY, "sfiiLVV", false},
	{IOMMU_IOAS_IOVA_RANGES, "sinzUL", false},
	{IOMMU_IOAS_MAP, "sfizULV", false},
	{IOMMU_IOAS_MAP, "sfizULV", false}, /* twice as often */
	{IOMMU_IOAS_MAP_FILE, "sfidVLV", false},
	{IOMMU_IOAS_UNMAP, "siVL", false},
	{IOMMU_OPTION, "sgwwiP", false},
	{IOMMU_VFIO_IOAS, "siww", false},
	{IOMMU_HWPT_ALLOC, "sfiizztmUiz", false},
	{IOMMU_GET_HW_INFO, "sfimUtzzz", false},
	{IOMMU_HWPT_SET_DIRTY_TRACKING, "sfiz", false},
	{IOMMU_HWPT_GET_DIRTY_BITMAP, "sifzVLPU", false},
	{IOMMU_HWPT_INVALIDATE, "siUtmnz", false},
	{IOMMU_FAULT_QUEUE_ALLOC, "sfii", false},
	{IOMMU_IOAS_CHANGE_PROCESS, "sz", false},
	{IOMMU_VIOMMU_ALLOC, "sftiizmzU", false},
	{IOMMU_VDEVICE_ALLOC, "siizL", false},
	{IOMMU_VEVENTQ_ALLOC, "sfitnzzz", false},
	{IOMMU_HW_QUEUE_ALLOC, "sfitwwzVL", false},
	{IOMMU_IOAS_NOIOMMU_GET_PA, "sfizVLz", false},
	{VFIO_IOMMU_GET_INFO, "sfPnz", false},
	{VFIO_IOMMU_MAP_DMA, "sfUVL", false},
	{VFIO_IOMMU_UNMAP_DMA, "sfVL", false},
	{IOMMU_TEST_CMD, "soizVLUP", false},
	{IOMMU_TEST_CMD, "soifUVLPf", false},
	{IOMMU_TEST_CMD, "soizifV", false},
	{VFIO_DEVICE_BIND_IOMMUFD, "szdzL", true},
	{VFIO_DEVICE_ATTACH_IOMMUFD_PT, "sfip", true},
	{VFIO_DEVICE_ATTACH_IOMMUFD_PT, "sfip", true},
	{VFIO_DEVICE_DETACH_IOMMUFD_PT, "sfp", true},
};

static inline uint64_t program_field(struct program *program, char kind, size_t *bytes)
{
	static const uint32_t types[] = {IOMMU_HWPT_DATA_NONE,
	                                 IOMMU_HWPT_DATA_VTD_S1,
	                                 IOMMU_HWPT_DATA_SELFTEST,
	                                 IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
	                                 IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID,
	                                 IOMMU_VEVENTQ_TYPE_SELFTEST,
	                                 IOMMU_HWPT_DATA_ARM_SMMUV3,
	                                 UINT32_MAX};
	static const uint32_t lengths[] = {4, 8, 24, 16, 0, 32, 600, UINT32_MAX, 23, 4096, 25};
	static const uint32_t options[] = {IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_HUGE_PAGES,
	                                   IOMMU_OPTION_NESTOR_DEFER_COUNT,
	                                   IOMMU_OPTION_NESTOR_DEFER_US};
	uint8_t byte;

	*bytes = 4;
	switch (kind) {
	case 'V':
		*bytes = 8;
		return program_iova(program);
	case 'U':
		*bytes = 8;
		return program_pointer(program);
	case 'L':
		*bytes = 8;
		return program_length(program);
	case 'P':
		*bytes = 8;
		byte = program_byte(program);
		return byte < 0x40   ? PAGE
		       : byte < 0x80 ? byte & 1
		       : byte < 0xf0 ? UINT64_C(1) << byte % 64
		                     : program_number(program, 8);
	case 'w':
		*bytes = 2;
		byte = program_byte(program);
		return byte < 0xf0 ? byte % 3 : byte * UINT64_C(0x101);
	case 'f':
		byte = program_byte(program);
		return byte < 0x40   ? 7
		       : byte < 0x60 ? 0
		       : byte < 0xf0 ? byte & 0x1f
		                     : program_number(program, 4);
	case 'i':
		return program_id(program);
	case 'd':
		return (uint32_t)program_fd(program);
	case 'o':
		return program_byte(program) % 26;
	case 'g':
		byte = program_byte(program);
		return byte < 0xf0 ? options[byte % ARRAY_SIZE(options)] : byte;
	case 'n':
		byte = program_byte(program);
		return byte < 0xf0   ? byte % 10
		       : byte < 0xf8 ? UINT32_MAX
		                     : program_number(program, 4);
	case 'p':
		return program_pasid(program);
	case 't':
		return types[program_byte(program) % ARRAY_SIZE(types)];
	case 'm':
		return lengths[program_byte(program) % ARRAY_SIZE(lengths)];
	default: /* 'z' */
		byte = program_byte(program);
		return byte < 0xf8 ? 0 : program_number(program, 4);
	}
}

/** Build a structure at the program's place, and call. */
static inline int program_ioctl(struct program *program, int fd, const struct program_call *call)
{
	uint8_t image[256];
	size_t at = 0;
	uint8_t how = program_byte(program);

	memset(image, how & 1 ? 0xff : 0, sizeof(image));
	for (const char *field = call->fields; *field; field++) {
		size_t bytes = 4;
		uint64_t value = *field == 's' ? 0 : program_field(program, *field, &bytes);
		memcpy(image + at, &value, bytes);
		at += bytes;
	}
	uint32_t size = (uint32_t)at;
	uint64_t user = program->place;
	if (how >= 0xfc)
		size = (uint32_t)program_number(program, 4);
	else if (how >= 0xe0)
		size = (uint32_t)(how % 2 ? at + 8 : at - 4);
	else if (how >= 0xc8) /* longer, and what is known is all there is */
		memset(image + at, 0, sizeof(image) - at), size += 16;
	memcpy(image, &size, 4);
	program_store(program, user, image, sizeof(image));
	if (how == 0xdf)
		user = program_pointer(program);
	return ufd_ioctl(program->ufd, fd, call->command, user);
}

/** Bytes for arrays and stage-1 descriptions, behind the structures. */
static inline void program_fill(struct program *program)
{
	uint8_t which = program_byte(program), count = program_byte(program) % 8 + 1;
	uint64_t at = program->place + 256 + which % 12 * 64;

	for (unsigned i = 0; i < count; i++) {
		uint8_t kind = program_byte(program);
		uint64_t value = kind < 0x40   ? program_iova(program)
		                 : kind < 0x60 ? kind & 7
		                 : kind < 0x80 ? 48
		                 : kind < 0xa0 ? program_length(program)
		                 : kind < 0xe0 ? kind % 4 | (uint64_t)(kind & 3) << 32
		                               : program_number(program, 8);
		if (at + 8 * i + 8 <= program->place + 1024)
			program_store(program, at + 8 * i, &value, 8);
	}
}

/** For access_ops: let go of what is unmapped, but for odd addresses. */
static inline void program_unmapped(void *ctx, iova_t first, uint64_t bytes)
{
	struct ufd_access **slot = ctx;

	if (first.value % (2 * PAGE) == 0 && *slot)
		ufd_access_unpin(*slot, first, bytes);
}

static inline void program_access(struct program *program, int fd)
{
	uint8_t what = program_byte(program);
	struct ufd_access **slot = &program->accesses[what & 1];
	uint64_t at = program_iova(program), bytes = program_length(program);
	struct iommu_extent extents[4];
	uint8_t data[64] = {0};
	size_t count;

	if (!*slot) {
		if (ufd_access_new(program->ufd, fd, program->access_ops, slot, slot))
			*slot = NULL;
		return;
	}
	switch (what >> 1 & 7) {
	case 0:
		(void)!ufd_access_attach(*slot, program_id(program));
		break;
	case 1:
		(void)!ufd_access_replace(*slot, program_id(program));
		break;
	case 2:
		ufd_access_detach(*slot);
		break;
	case 3:
	case 4:
		(void)!ufd_access_pin(*slot, iova(at), bytes,
		                      what & 0x80 ? IOMMU_WRITE : IOMMU_READ, extents, 4, &count);
		break;
	case 5:
		ufd_access_unpin(*slot, iova(at), bytes);
		break;
	case 6:
		(void)!ufd_access_copy(*slot, iova(at), data, bytes % sizeof(data),
		                       what & 0x80 ? IOMMU_WRITE : IOMMU_READ);
		break;
	default:
		ufd_access_free(*slot);
		*slot = NULL;
	}
}

static inline void program_queue(struct program *program, int fd)
{
	uint8_t how = program_byte(program);
	uint64_t user = program_pointer(program);
	uint64_t bytes = how & 2 ? how % 5 * UINT64_C(40) : how % 5 * UINT64_C(8);

	if (how >= 0xf0)
		bytes = program_length(program);
	if (how & 1)
		(void)!ufd_read(program->ufd, fd, user, bytes);
	else
		(void)!ufd_write(program->ufd, fd, user, bytes);
}

static inline void program_ask(struct program *program)
{
	uint8_t byte = program_byte(program);
	const struct iommu_page_request request = {
		.has_pasid = byte & 1,
		.pasid = byte & 1 ? program_pasid(program) & 0xfffff : 0,
		.group = byte >> 2 & 7,
		.last = !(byte & 0x40),
		.address = iova(program_iova(program) & ~(PAGE - 1)),
		.access = IOMMU_READ,
	};

	if (program->ask)
		program->ask(program->ctx, byte >> 1 & 1, &request);
}

/** Map what a vIOMMU shares, or let go of it. Its place is made of the object's id. */
static inline void program_share(struct program *program, int fd)
{
	uint64_t offset = (uint64_t)program_id(program) << 20;
	uint64_t bytes = program_length(program);
	pa_t memory;

	if (program->mapping)
		ufd_munmap(program->ufd, program->mapping);
	program->mapping = NULL;
	if (ufd_mmap(program->ufd, fd, offset, bytes, &memory, &program->mapping))
		program->mapping = NULL;
}

/** The program is over: what it holds itself. */
static inline void program_end(struct program *program)
{
	for (unsigned i = 0; i < 2; i++)
		if (program->accesses[i])
			ufd_access_free(program->accesses[i]);
	if (program->mapping)
		ufd_munmap(program->ufd, program->mapping);
}

/** One operation. False: the program is over. */
static inline bool program_step(struct program *program)
{
	uint8_t op = program_byte(program);
	int fd = op & 0x80 ? program_fd(program) : 3;

	if (!program->left)
		return false;
	op &= 0x7f;
	if (op < 0x58) {
		const struct program_call *call = &program_calls[op % ARRAY_SIZE(program_calls)];
		if (call->of_device && fd == 3)
			fd = 4 + op % 3;
		(void)!program_ioctl(program, fd, call);
	} else if (op < 0x60) {
		program_fill(program);
	} else if (op < 0x68) {
		program_access(program, fd);
	} else if (op < 0x6c) {
		program_queue(program, fd);
	} else if (op < 0x70) {
		program_ask(program);
	} else if (op == 0x79) {
		program_share(program, fd);
	} else if ((op < 0x74 || op > 0x78) && program->dma) {
		uint8_t which = program_byte(program);
		program->dma(program->ctx, which % 3,
		             which & 0x80 ? program_pasid(program) : IOMMU_NO_PASID,
		             program_iova(program));
	} else if (op == 0x74) {
		(void)!ufd_open(program->ufd);
	} else if (op == 0x75) {
		(void)!ufd_open_device(program->ufd, program->devices[program_byte(program) % 3]);
	} else if (op == 0x76) {
		if (program_byte(program) >= (fd < 6 ? 0xf0 : 0x80))
			(void)!ufd_close(program->ufd, fd);
	} else if (op == 0x77) {
		(void)!ufd_poll(program->ufd, fd);
	} else if (op == 0x78) {
		(void)!ufd_ioctl(program->ufd, fd, (unsigned long)program_number(program, 4),
		                 program_pointer(program));
	}
	return true;
}

#endif
