/* SPDX-License-Identifier: MIT */
/*
 * The memory provider: what the core asks of programs' memory.
 *
 * An address with a process number of 0 is the caller's; user_keep puts the caller's number
 * in, so that memory that one process mapped is pinned and reached in another's call. A
 * file is mapped in the server, which is process 1 to itself.
 */
#define _GNU_SOURCE
#include "host/server/server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define KEPT_NOWHERE (UINT64_C(0x7fff) << SERVER_ADDRESS_BITS)

static struct process *owner_of(struct server *server, uint64_t user, uint64_t *at)
{
	*at = user & (SERVER_ADDRESS_END - 1);
	return process_at(server, user >> SERVER_ADDRESS_BITS);
}

/* The owner has gone: what it shared and had pinned may be reached through others. */
static int copy_gone(struct server *server, uint64_t user, void *data, uint64_t bytes, bool store)
{
	const struct kept *kept = server->kept;

	while (kept &&
	       (!kept->vmas || user < kept->address || user - kept->address >= kept->bytes ||
	        bytes > kept->bytes - (user - kept->address)))
		kept = kept->next;
	uint64_t at = user & (SERVER_ADDRESS_END - 1);
	for (int i = 0; kept && i < kept->vma_count && bytes; i++) {
		const struct vma *vma = &kept->vmas[i];
		if (at < vma->start || at >= vma->end)
			continue;
		uint64_t now = vma->end - at < bytes ? vma->end - at : bytes;
		if (!vma->shared ||
		    frame_copy_file(server, vma->device, vma->inode,
		                    vma->offset + (at - vma->start), data, now, store))
			return -EFAULT;
		data = (char *)data + now;
		at += now;
		bytes -= now;
	}
	return bytes ? -EFAULT : 0;
}

static int copy(struct server *server, uint64_t user, void *data, uint64_t bytes, bool store)
{
	uint64_t at;
	struct process *process = owner_of(server, user, &at);

	if (!process)
		return -EFAULT;
	if (!process_alive(server, process))
		return copy_gone(server, user, data, bytes, store);
	return process_copy(server, process, at, data, bytes, store);
}

static int memory_copy_in(void *ctx, void *kernel, uint64_t user, size_t bytes)
{
	struct server *server = ctx;
	const struct call *call = server->call;

	int error = copy(server, user, kernel, bytes, false);
	if (error || !call || !call->patched)
		return error;
	for (unsigned i = 0; i < sizeof(call->patch); i++) { /* bytes of the patched word */
		uint64_t at = call->patch_at + i;
		if (at >= user && at - user < bytes)
			((uint8_t *)kernel)[at - user] = (uint8_t)((uint32_t)call->patch >> 8 * i);
	}
	return 0;
}

static int memory_copy_out(void *ctx, uint64_t user, const void *kernel, size_t bytes)
{
	union {
		const void *in;
		void *out;
	} data = {kernel}; /* only read, for a store */

	return copy(ctx, user, data.out, bytes, true);
}

static struct kept *kept_at(const struct server *server, uint64_t user)
{
	struct kept *kept = server->kept;

	while (kept && (user < kept->address || user - kept->address >= kept->bytes))
		kept = kept->next;
	return kept;
}

static int memory_pin(void *ctx, uint64_t user, uint64_t bytes, bool writable,
                      struct iommu_extent *extents, size_t capacity, size_t *count,
                      uint64_t *pinned)
{
	struct server *server = ctx;
	uint64_t at;
	struct process *process = owner_of(server, user, &at);

	if (server_fails(server))
		return -ENOMEM;
	if (!process || bytes > SERVER_ADDRESS_END || at > SERVER_ADDRESS_END - bytes ||
	    !process_alive(server, process))
		return -EFAULT;
	int error =
		frame_pin(server, process, at, bytes, writable, extents, capacity, count, pinned);
	struct kept *kept = error ? NULL : kept_at(server, user);
	if (kept) {
		struct vma *vmas;
		int found = process_vmas(process, kept->address & (SERVER_ADDRESS_END - 1),
		                         kept->bytes, &vmas);
		if (found > 0) {
			free(kept->vmas);
			kept->vmas = vmas;
			kept->vma_count = found;
		}
	}
	return error;
}

static void memory_unpin(void *ctx, uint64_t user, const struct iommu_extent *extents, size_t count,
                         bool dirty)
{
	(void)user;
	(void)dirty;
	frame_unpin(ctx, extents, count);
}

static int memory_file_map(void *ctx, int fd, uint64_t start, uint64_t bytes, bool writable,
                           uint64_t *user)
{
	struct server *server = ctx;
	const struct call *call = server->call;
	struct stat status;

	if (!call || !call->patched || fd != call->patch || call->file < 0)
		return -EBADF;
	if (fstat(call->file, &status) != 0 || !S_ISREG(status.st_mode) ||
	    fcntl(call->file, F_GET_SEALS) < 0)
		return -EINVAL; /* as in Linux: memory without a disk behind it */
	uint64_t size = ((uint64_t)status.st_size + PAGE_SIZE_4K - 1) & ~(PAGE_SIZE_4K - 1);
	if (bytes > size || start > size - bytes)
		return -EINVAL;
	if (server_fails(server))
		return -ENOMEM;
	void *memory = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED,
	                    call->file, (off_t)start);
	if (memory == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -EINVAL;
	*user = process_number(server, &server->processes[0]) << SERVER_ADDRESS_BITS |
	        (uintptr_t)memory;
	return 0;
}

static void memory_file_unmap(void *ctx, uint64_t user, uint64_t bytes)
{
	(void)ctx;
	munmap((void *)(uintptr_t)(user & (SERVER_ADDRESS_END - 1)), bytes);
}

static int memory_user_keep(void *ctx, uint64_t user, uint64_t bytes, uint64_t *address)
{
	struct server *server = ctx;
	struct process *process = server->call ? server->call->process : NULL;

	if (!process || !bytes || bytes > SERVER_ADDRESS_END || user > SERVER_ADDRESS_END - bytes) {
		*address = KEPT_NOWHERE; /* no process has that number: nothing is there */
		return 0;
	}
	struct kept *kept = server_fails(server) ? NULL : malloc(sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	*kept = (struct kept){
		.next = server->kept,
		.address = process_number(server, process) << SERVER_ADDRESS_BITS | user,
		.bytes = bytes,
	};
	server->kept = kept;
	process->refs++;
	*address = kept->address;
	return 0;
}

static void kept_free(struct server *server, struct kept **link)
{
	struct kept *kept = *link;
	uint64_t at;

	*link = kept->next;
	process_put(owner_of(server, kept->address, &at));
	free(kept->vmas);
	free(kept);
}

static void memory_user_drop(void *ctx, uint64_t address)
{
	struct server *server = ctx;

	for (struct kept **link = &server->kept; *link; link = &(*link)->next) {
		if ((*link)->address == address) {
			kept_free(server, link);
			return;
		}
	}
}

static int memory_change_process(void *ctx)
{
	struct server *server = ctx;

	if (server->call)
		frame_charge(server, server->call->process);
	return 0;
}

static int memory_pins(void *ctx, uint64_t user, uint32_t *out)
{
	struct server *server = ctx;
	uint64_t at;
	struct process *process = owner_of(server, user, &at);

	return process ? frame_pins(server, process, at, out) : -EFAULT;
}

const struct ufd_memory_ops server_memory_ops = {
	.copy_in = memory_copy_in,
	.copy_out = memory_copy_out,
	.pin = memory_pin,
	.unpin = memory_unpin,
	.file_map = memory_file_map,
	.file_unmap = memory_file_unmap,
	.user_keep = memory_user_keep,
	.user_drop = memory_user_drop,
	.change_process = memory_change_process,
	.pins = memory_pins,
};

void memory_exit(struct server *server)
{
	while (server->kept)
		kept_free(server, &server->kept);
}

/* ---- the core's memory in programs ------------------------------------------------------- */

int memory_map(struct server *server, int core_fd, uint64_t at, uint64_t bytes, int *fd,
               uint64_t *offset, uint64_t *number)
{
	struct mapped *mapped = calloc(1, sizeof(*mapped));
	pa_t start;

	if (!mapped)
		return -ENOMEM;
	int error = ufd_mmap(&server->ufd, core_fd, at, bytes, &start, &mapped->mapping);
	if (error) {
		free(mapped);
		return error;
	}
	mapped->number = ++server->serial;
	mapped->process = server->call->process;
	mapped->process->refs++;
	mapped->next = server->mapped;
	server->mapped = mapped;
	*fd = server->arena_file;
	*offset = start.value - HOST_ARENA_START;
	*number = mapped->number;
	return 0;
}

static void mapped_free(struct server *server, struct mapped **link)
{
	struct mapped *mapped = *link;

	*link = mapped->next;
	ufd_munmap(&server->ufd, mapped->mapping);
	process_put(mapped->process);
	free(mapped);
}

void memory_unmap(struct server *server, uint64_t number)
{
	for (struct mapped **link = &server->mapped; *link; link = &(*link)->next) {
		if ((*link)->number == number) {
			mapped_free(server, link);
			return;
		}
	}
}

void memory_unmap_ended(struct server *server, bool all)
{
	for (struct mapped **link = &server->mapped; *link;) {
		if (all || !process_alive(server, (*link)->process))
			mapped_free(server, link);
		else
			link = &(*link)->next;
	}
}
