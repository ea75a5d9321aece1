/* SPDX-License-Identifier: MIT */
/*
 * The programs that call, and their memory.
 *
 * A process is known by its id, a descriptor that tells when that has ended, and a number
 * that its library drew when it was loaded: the number is looked at in its memory before
 * that is used in another's call, so that an exec cannot put other memory in its place.
 */
#define _GNU_SOURCE
#include "host/server/server.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

static void process_free(struct process *process)
{
	if (process->pidfd >= 0)
		close(process->pidfd);
	*process = (struct process){.pidfd = -1};
}

static bool ended(const struct process *process)
{
	struct pollfd end = {.fd = process->pidfd, .events = POLLIN};

	return process->pidfd >= 0 && poll(&end, 1, 0) > 0;
}

struct process *process_enter(struct server *server, pid_t pid, uint64_t nonce, uint64_t nonce_at)
{
	struct process *place = NULL;

	for (size_t i = 0; i < SERVER_PROCESSES; i++) {
		struct process *process = &server->processes[i];
		if (process->used && process->pid == pid && !process->gone) {
			if (process->nonce == nonce && !ended(process))
				return process;
			process->gone = true; /* it ended, or is another program now */
		}
		if (process->used && !process->refs && i) {
			if (process->gone || ended(process))
				process_free(process);
		}
		if (!process->used && !place)
			place = process;
	}
	for (size_t i = 1; i < SERVER_PROCESSES && !place; i++) { /* nothing depends on it */
		if (!server->processes[i].refs) {
			place = &server->processes[i];
			process_free(place);
		}
	}
	if (!place)
		return NULL;
	*place = (struct process){
		.used = true,
		.pid = pid,
		.pidfd = (int)syscall(SYS_pidfd_open, pid, 0),
		.nonce = nonce,
		.nonce_at = nonce_at,
	};
	return place;
}

struct process *process_at(struct server *server, uint64_t number)
{
	if (!number)
		return server->call ? server->call->process : NULL;
	if (number > SERVER_PROCESSES || !server->processes[number - 1].used)
		return NULL;
	return &server->processes[number - 1];
}

uint64_t process_number(const struct server *server, const struct process *process)
{
	return (uint64_t)(process - server->processes) + 1;
}

bool process_alive(struct server *server, struct process *process)
{
	uint64_t nonce = 0;
	struct iovec here = {&nonce, sizeof(nonce)};
	struct iovec there = {(void *)(uintptr_t)process->nonce_at, sizeof(nonce)};

	if (server->call && server->call->process == process)
		return true; /* it waits for us */
	if (process->gone || ended(process)) {
		process->gone = true;
	} else if (process_vm_readv(process->pid, &here, 1, &there, 1, 0) == sizeof(nonce) &&
	           nonce != process->nonce) {
		process->gone = true;
	}
	return !process->gone;
}

int process_copy(struct server *server, struct process *process, uint64_t at, void *data,
                 uint64_t bytes, bool store)
{
	struct call *call = server->call;
	bool calls = call && call->process == process;

	if (bytes > SERVER_ADDRESS_END || at > SERVER_ADDRESS_END - bytes)
		return -EFAULT;
	if (server->options.assist && calls)
		return link_ask_copy(call, at, data, bytes, store) ? -EFAULT : 0;
	for (uint64_t done = 0; done < bytes;) {
		struct iovec here = {(char *)data + done, bytes - done};
		struct iovec there = {(void *)(uintptr_t)(at + done), bytes - done};
		ssize_t now = store ? process_vm_writev(process->pid, &here, 1, &there, 1, 0)
		                    : process_vm_readv(process->pid, &here, 1, &there, 1, 0);
		if (now > 0)
			done += (uint64_t)now;
		else if (now < 0 && (errno == EPERM || errno == ENOSYS) && calls)
			return link_ask_copy(call, at + done, (char *)data + done, bytes - done,
			                     store)
			               ? -EFAULT
			               : 0;
		else
			return -EFAULT;
	}
	return 0;
}

/* One line of maps. False: not understood. */
static bool vma_read(const char *line, struct vma *out)
{
	char rights[5];
	unsigned major, minor;
	int name = 0;

	*out = (struct vma){0};
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n",
	           &out->start, &out->end, rights, &out->offset, &major, &minor, &out->inode,
	           &name) != 7)
		return false;
	out->device = makedev(major, minor);
	out->readable = rights[0] == 'r';
	out->writable = rights[1] == 'w';
	out->shared = rights[3] == 's';
	out->special = name && strncmp(line + name, "[v", 2) == 0; /* vdso, vvar: the kernel's */
	return true;
}

int process_vmas(struct process *process, uint64_t at, uint64_t bytes, struct vma **out)
{
	char path[64], *line = NULL;
	size_t room = 0, capacity = 0;
	int count = 0;

	*out = NULL;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)process->pid);
	FILE *from = fopen(path, "re");
	if (!from)
		return -EFAULT;
	while (count >= 0 && getline(&line, &room, from) > 0) {
		struct vma vma;
		if (!vma_read(line, &vma) || vma.end <= at)
			continue;
		if (vma.start - at >= bytes && vma.start >= at)
			break;
		if ((size_t)count == capacity) {
			capacity = capacity ? capacity * 2 : 8;
			struct vma *larger = realloc(*out, capacity * sizeof(**out));
			if (!larger) {
				count = -ENOMEM;
				break;
			}
			*out = larger;
		}
		(*out)[count++] = vma;
	}
	free(line);
	fclose(from);
	if (count < 0) {
		free(*out);
		*out = NULL;
	}
	return count;
}

void process_put(struct process *process)
{
	if (process)
		process->refs--;
}

void processes_exit(struct server *server)
{
	for (size_t i = 0; i < SERVER_PROCESSES; i++)
		if (server->processes[i].used)
			process_free(&server->processes[i]);
}
