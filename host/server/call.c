/* SPDX-License-Identifier: MIT */
/*
 * The calls: what a program asked for, done on the core, and the answer.
 *
 * The core knows descriptors by its own numbers. Where a structure names a descriptor of
 * the program, the program is asked for it and the core is shown its own number in that
 * word (`patch`); where the core made one, the program gets a descriptor for it, and its
 * number is stored there instead. These places are facts of the interface, listed below.
 */
#define _GNU_SOURCE
#include "host/server/server.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/shim/dma.h"
#include "ufd/selftest.h"
#include "ufd/vfio.h"

/* A number that no descriptor of the core has, for a file of the program's. */
enum { FILE_NUMBER = 0x40000000 };

enum { NOWHERE = -1, AS_RESULT = -2 };

/* Where the structure at @p user has a descriptor that goes in, and one that comes out. */
static void places(struct server *server, uint32_t command, uint64_t user, int *in, int *out)
{
	uint32_t operation = 0;

	*in = *out = NOWHERE;
	switch (command) {
	case VFIO_DEVICE_BIND_IOMMUFD:
		*in = offsetof(struct vfio_device_bind_iommufd, iommufd);
		break;
	case IOMMU_IOAS_MAP_FILE:
		*in = offsetof(struct iommu_ioas_map_file, fd);
		break;
	case IOMMU_FAULT_QUEUE_ALLOC:
		*out = offsetof(struct iommu_fault_alloc, out_fault_fd);
		break;
	case IOMMU_VEVENTQ_ALLOC:
		*out = offsetof(struct iommu_veventq_alloc, out_veventq_fd);
		break;
	case IOMMU_TEST_CMD:
		if (server_memory_ops.copy_in(server, &operation, user + 4, sizeof(operation)))
			break;
		switch (operation) {
		case IOMMU_TEST_OP_CREATE_ACCESS:
			*out = offsetof(struct iommu_test_cmd, create_access.out_access_fd);
			break;
		case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
		case IOMMU_TEST_OP_ACCESS_PAGES:
		case IOMMU_TEST_OP_ACCESS_RW:
		case IOMMU_TEST_OP_ACCESS_REPLACE_IOAS:
			*in = offsetof(struct iommu_test_cmd, id);
			break;
		case IOMMU_TEST_OP_DMABUF_GET:
			*out = AS_RESULT;
			break;
		case IOMMU_TEST_OP_DMABUF_REVOKE:
			*in = offsetof(struct iommu_test_cmd, dmabuf_revoke.dmabuf_fd);
			break;
		}
		break;
	}
}

/* Show the core its own number for the descriptor at @p at. 0 or what the call comes to. */
static int descriptor_in(struct server *server, struct call *call, uint64_t at)
{
	int32_t number = 0;
	int fd = -1;

	if (server_memory_ops.copy_in(server, &number, at, sizeof(number)) || number < 0)
		return 0; /* the core sees the same and refuses it */
	call->patch_at = at;
	call->patched = true;
	call->patch = FILE_NUMBER;
	int error = link_ask_fd(call, number, &fd);
	if (error)
		return error == -EBADF ? 0 : error; /* the core refuses the number */
	const struct link *link = link_of(server, fd);
	if (link && link->kind == LINK_FILE) {
		call->patch = link->core_fd;
		close(fd);
	} else if ((uint32_t)call->request.a == VFIO_DEVICE_BIND_IOMMUFD) {
		close(fd);
		return -EBADFD;
	} else {
		call->file = fd;
	}
	return 0;
}

/* A program's descriptor for the core's @p core_fd, in *out. 0 or -ENFILE; then the core's
 * is closed. */
static int descriptor_out(struct server *server, int core_fd, int *out)
{
	struct link *link = link_new(server, LINK_FILE, out);

	if (!link) {
		(void)ufd_close(&server->ufd, core_fd);
		return -ENFILE;
	}
	link->core_fd = core_fd;
	return 0;
}

static void call_ioctl(struct server *server, struct call *call, struct nestor_reply *reply,
                       int *passed)
{
	uint32_t command = (uint32_t)call->request.a;
	uint64_t user = call->request.b;
	int in, out;

	if (call->link->kind != LINK_FILE) {
		reply->error = -ENOTTY;
		return;
	}
	if (command == NESTOR_DEVICE_DMA && call->link->device) {
		reply->error = dma_call(server, call->link, user);
		return;
	}
	places(server, command, user, &in, &out);
	if (in >= 0)
		reply->error = descriptor_in(server, call, user + (unsigned)in);
	if (reply->error)
		return;
	int result = ufd_ioctl(&server->ufd, call->link->core_fd, command, user);
	if (result < 0) {
		reply->error = result;
		return;
	}
	int32_t made = result;
	reply->result = result;
	if (out >= 0) {
		reply->store_at = user + (unsigned)out;
		reply->error =
			server_memory_ops.copy_in(server, &made, reply->store_at, sizeof(made));
	}
	if (!reply->error && out != NOWHERE)
		reply->error = descriptor_out(server, made, passed);
}

static void call_open(struct server *server, const struct call *call, struct nestor_reply *reply,
                      int *passed)
{
	const struct nestor_request *request = &call->request;
	struct iommu_device *device = NULL;
	int core_fd;

	switch (request->a) {
	case NESTOR_NODE_IOMMU:
		core_fd = ufd_open(&server->ufd);
		break;
	case NESTOR_NODE_DEVICE:
		if (request->b >= server->device_count) {
			reply->error = -ENOENT;
			return;
		}
		device = server->devices[request->b];
		core_fd = ufd_open_device(&server->ufd, device);
		break;
	case NESTOR_NODE_FAIL_NTH: {
		struct link *link = link_new(server, LINK_FAIL_NTH, passed);
		if (link)
			link->thread = (int32_t)request->b;
		else
			reply->error = -ENFILE;
		return;
	}
	default:
		reply->error = -ENOENT;
		return;
	}
	reply->error = core_fd < 0 ? core_fd : descriptor_out(server, core_fd, passed);
	for (size_t i = 0; i < SERVER_LINKS && !reply->error; i++)
		if (server->links[i].kind == LINK_FILE && server->links[i].core_fd == core_fd)
			server->links[i].device = device;
}

/* A thread's fail-nth: a decimal number, 0 when it has failed or nothing is to fail. */
static void call_fail_nth(struct server *server, struct call *call, struct nestor_reply *reply)
{
	struct nestor_request *request = &call->request;
	char text[16] = "", *end;

	if (request->op == NESTOR_READ) {
		int length = snprintf(text, sizeof(text), "%u\n", call->link->nth);
		size_t bytes = (size_t)length < request->b ? (size_t)length : (size_t)request->b;
		reply->error = server_memory_ops.copy_out(server, request->a, text, bytes);
		reply->result = (int64_t)bytes;
		return;
	}
	if (!request->b || request->b >= sizeof(text)) {
		reply->error = -EINVAL;
		return;
	}
	reply->error = server_memory_ops.copy_in(server, text, request->a, request->b);
	if (reply->error)
		return;
	unsigned long value = strtoul(text, &end, 10);
	if (end == text || (*end && *end != '\n') || value > 1000000) {
		reply->error = -EINVAL;
		return;
	}
	call->link->nth = (uint32_t)value;
	reply->result = (int64_t)request->b;
}

static void call_transfer(struct server *server, struct call *call, struct nestor_reply *reply)
{
	const struct nestor_request *request = &call->request;
	int fd = call->link->core_fd;

	if (call->link->kind == LINK_FAIL_NTH) {
		call_fail_nth(server, call, reply);
		return;
	}
	if (call->link->kind != LINK_FILE) {
		reply->error = -EINVAL;
		return;
	}
	reply->result = request->op == NESTOR_READ
	                        ? ufd_read(&server->ufd, fd, request->a, request->b)
	                        : ufd_write(&server->ufd, fd, request->a, request->b);
	if (reply->result < 0)
		reply->error = (int32_t)reply->result;
}

static void call_mmap(struct server *server, const struct call *call, struct nestor_reply *reply,
                      int *passed)
{
	int fd = -1;

	if (call->link->kind != LINK_FILE) {
		reply->error = -ENODEV;
		return;
	}
	reply->error = memory_map(server, call->link->core_fd, call->request.a, call->request.b,
	                          &fd, &reply->offset, &reply->a);
	if (reply->error)
		return;
	*passed = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (*passed < 0) {
		memory_unmap(server, reply->a);
		reply->error = -ENFILE;
	}
}

static void call_status(struct server *server, const struct call *call, struct nestor_reply *reply)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < SERVER_PROCESSES; i++)
		if (server->processes[i].used && server->processes[i].pid == (pid_t)call->request.a)
			pages += server->processes[i].pinned_pages;
	reply->result = (int64_t)(pages * (PAGE_SIZE_4K / 1024));
	reply->a = pages * (PAGE_SIZE_4K / 1024);
}

void call_run(struct server *server, struct call *call)
{
	struct nestor_reply reply = {0};
	int passed = -1;

	server->call = call;
	if (!call->process) {
		reply.error = -ENOMEM;
	} else {
		switch ((enum nestor_op)call->request.op) {
		case NESTOR_OPEN:
			call_open(server, call, &reply, &passed);
			break;
		case NESTOR_STATUS:
			call_status(server, call, &reply);
			break;
		case NESTOR_IOCTL:
			call_ioctl(server, call, &reply, &passed);
			break;
		case NESTOR_READ:
		case NESTOR_WRITE:
			call_transfer(server, call, &reply);
			break;
		case NESTOR_MMAP:
			call_mmap(server, call, &reply, &passed);
			break;
		case NESTOR_MUNMAP:
			memory_unmap(server, call->request.a);
			break;
		default:
			reply.error = -EINVAL;
		}
	}
	if (server->has_model)
		model_platform_pump(&server->model);
	links_wake(server);
	if (call->link->kind == LINK_FILE && call->link->token &&
	    !(ufd_poll(&server->ufd, call->link->core_fd) & UFD_POLL_IN)) {
		reply.drain = 1;
		call->link->token = false;
	}
	(void)link_done(call, &reply, passed);
	if (passed >= 0)
		close(passed); /* the program has it, or has gone, and then the link ends */
	if (call->file >= 0)
		close(call->file);
	server->call = NULL;
}
