/* SPDX-License-Identifier: MIT */
/*
 * One call: send it, answer what the server asks meanwhile, take the result.
 *
 * Only system calls are used, no function that this library or another one may have
 * replaced; a program may call from any thread, and from a child made by vfork.
 */
#define _GNU_SOURCE
#include "host/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* Written once, before main. */
static uint64_t program_nonce;

static __attribute__((constructor)) void draw_nonce(void)
{
	if (getrandom(&program_nonce, sizeof(program_nonce), GRND_NONBLOCK) !=
	    sizeof(program_nonce))
		program_nonce = (uint64_t)getpid() << 32 ^ (uintptr_t)&program_nonce;
}

static void close_raw(int fd)
{
	syscall(SYS_close, fd);
}

bool shim_is_ours(int fd)
{
	static const char name[] = NESTOR_NAME;
	struct sockaddr_un address = {.sun_family = AF_UNSPEC};
	socklen_t bytes = sizeof(address);
	int saved = errno;

	bool ours = fd >= 0 && getsockname(fd, (struct sockaddr *)&address, &bytes) == 0 &&
	            address.sun_family == AF_UNIX &&
	            bytes > offsetof(struct sockaddr_un, sun_path) + sizeof(name) &&
	            address.sun_path[0] == '\0' &&
	            memcmp(address.sun_path + 1, name, sizeof(name) - 1) == 0;
	errno = saved;
	return ours;
}

/* ---- packets ------------------------------------------------------------------------------ */

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

/* Send @p parts, and descriptor @p passed if it is not -1. 0 or a negative errno. */
static int packet_send(int fd, struct iovec *parts, size_t count, int passed)
{
	union control control;
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};

	if (passed >= 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
	}
	for (;;) {
		if (sendmsg(fd, &message, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == EAGAIN) { /* the program made its descriptor non-blocking */
			struct pollfd room = {.fd = fd, .events = POLLOUT};
			(void)syscall(SYS_poll, &room, 1, -1);
		} else if (errno != EINTR) {
			return errno == EPIPE || errno == ECONNRESET ? -EIO : -errno;
		}
	}
}

/* Receive one; *passed is its descriptor, or -1. The bytes, or a negative errno. */
static ssize_t packet_receive(int fd, struct iovec *parts, size_t count, int flags, int *passed)
{
	union control control;
	struct msghdr message = {
		.msg_iov = parts,
		.msg_iovlen = count,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;

	*passed = -1;
	do
		got = recvmsg(fd, &message, flags);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got == 0 || errno == ECONNRESET ? -EIO : -errno;
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(header), sizeof(*passed));
	return got;
}

/* ---- what the server asks -------------------------------------------------------------------- */

/* Move up to a pipe's worth between this program's memory at @p at and @p data: a pipe
 * says EFAULT where a plain copy would die. 0 or -EFAULT. */
static int copy_safely(uint64_t at, char *data, size_t bytes, bool store)
{
	int ends[2], error = 0;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	void *memory = (void *)(uintptr_t)at;
	for (size_t done = 0; done < bytes && !error;) {
		size_t now = bytes - done < 4096 ? bytes - done : 4096;
		void *from = store ? data + done : (char *)memory + done;
		void *to = store ? (char *)memory + done : data + done;
		if (syscall(SYS_write, ends[1], from, now) != (long)now ||
		    syscall(SYS_read, ends[0], to, now) != (long)now)
			error = -EFAULT;
		done += now;
	}
	close_raw(ends[0]);
	close_raw(ends[1]);
	return error;
}

/* Answer one question. 0, or a negative errno: the server has gone. */
static int question_answer(int fd, const struct nestor_reply *asked, char *data, size_t bytes)
{
	struct nestor_answer answer = {0};
	struct iovec parts[] = {{&answer, sizeof(answer)}, {data, 0}};
	int passed = -1;

	switch (asked->kind) {
	case NESTOR_ASK_FD:
		passed = (int)asked->a;
		if (passed < 0 || fcntl(passed, F_GETFD) < 0) {
			answer.error = -EBADF;
			passed = -1;
		}
		break;
	case NESTOR_ASK_READ:
		answer.bytes = asked->bytes <= NESTOR_DATA_MAX ? asked->bytes : NESTOR_DATA_MAX;
		answer.error = copy_safely(asked->a, data, answer.bytes, false);
		parts[1].iov_len = answer.bytes;
		break;
	case NESTOR_ASK_WRITE:
		answer.error = copy_safely(asked->a, data, bytes, true);
		break;
	default:
		answer.error = -EINVAL;
	}
	int error = packet_send(fd, parts, 2, passed);
	if (error && passed >= 0) { /* such a descriptor cannot be passed */
		answer.error = -EBADF;
		error = packet_send(fd, parts, 2, -1);
	}
	return error;
}

/* ---- calls ------------------------------------------------------------------------------------- */

/* A connection to the server, or a negative errno. */
static int server_connect(void)
{
	const char *path = getenv(NESTOR_SOCKET_VARIABLE);
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (!path || strlen(path) >= sizeof(address.sun_path))
		return -ENOENT;
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int error = -errno;
		close_raw(fd);
		return error;
	}
	return fd;
}

/* Where Yama restricts it, let the server, which made the other end of @p fd, reach into
 * this process: once a process, for a child does not inherit it. */
static void server_allow(int fd)
{
	static pid_t allowed;
	struct ucred server;
	socklen_t bytes = sizeof(server);
	pid_t self = getpid();

	if (__atomic_load_n(&allowed, __ATOMIC_RELAXED) == self ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &bytes) != 0)
		return;
	(void)prctl(PR_SET_PTRACER, (unsigned long)server.pid, 0, 0, 0);
	__atomic_store_n(&allowed, self, __ATOMIC_RELAXED);
}

/* Take packets until the call is done. */
static struct shim_result call_finish(int descriptor, int fd, bool cloexec)
{
	char data[NESTOR_DATA_MAX];
	struct nestor_reply reply;
	struct iovec parts[] = {{&reply, sizeof(reply)}, {data, sizeof(data)}};
	int passed;

	for (;;) {
		ssize_t got = packet_receive(fd, parts, 2, cloexec ? MSG_CMSG_CLOEXEC : 0, &passed);
		if (got < (ssize_t)sizeof(reply))
			return (struct shim_result){.value = got < 0 ? got : -EIO};
		if (reply.kind == NESTOR_DONE)
			break;
		int error = question_answer(fd, &reply, data, (size_t)got - sizeof(reply));
		if (error)
			return (struct shim_result){.value = error};
	}
	for (uint32_t i = 0; i < reply.drain; i++) {
		char byte;
		(void)recv(descriptor, &byte, 1, MSG_DONTWAIT);
	}
	struct shim_result result = {reply.error ? reply.error : reply.result, reply.a,
	                             reply.offset};
	if (!reply.error && reply.bytes) { /* a descriptor was sent */
		if (passed < 0)
			result.value = -EMFILE;
		else if (reply.store_at)
			*(int32_t *)(uintptr_t)reply.store_at = passed;
		else
			result.value = passed;
	} else if (passed >= 0) {
		close_raw(passed);
	}
	return result;
}

struct shim_result shim_call(int fd, enum nestor_op op, uint64_t a, uint64_t b, bool cloexec)
{
	struct nestor_request request = {
		.op = op,
		.thread = (int32_t)syscall(SYS_gettid),
		.nonce = program_nonce,
		.nonce_at = (uintptr_t)&program_nonce,
		.a = a,
		.b = b,
	};
	struct iovec part = {&request, sizeof(request)};
	struct shim_result result = {0};
	int saved = errno, ends[2];

	int on = fd == SHIM_CONNECT ? server_connect() : fd;
	if (on < 0)
		result.value = on;
	else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		result.value = -errno;
	else {
		server_allow(on);
		result.value = packet_send(on, &part, 1, ends[1]);
		close_raw(ends[1]);
		if (result.value == 0)
			result = call_finish(on, ends[0], cloexec);
		close_raw(ends[0]);
	}
	if (fd == SHIM_CONNECT && on >= 0)
		close_raw(on);
	errno = saved;
	return result;
}
