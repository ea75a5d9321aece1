/* SPDX-License-Identifier: MIT */
/*
 * Sockets: making descriptors, taking requests, asking and answering (host/shim/wire.h).
 *
 * A program that was killed in the middle of its call is no error here: what is sent to it
 * goes nowhere. One that does not answer a question in time is treated the same.
 */
#define _GNU_SOURCE
#include "host/server/server.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct link *link_free_place(struct server *server)
{
	for (size_t i = 0; i < SERVER_LINKS; i++)
		if (server->links[i].kind == LINK_FREE)
			return &server->links[i];
	return NULL;
}

/* Let copies of the program's end be known: give it an address. */
static int end_name(int end, uint64_t serial)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	int length = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
	                      NESTOR_NAME "%d.%llu", (int)getpid(), (unsigned long long)serial);
	return bind(end, (struct sockaddr *)&address,
	            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length));
}

struct link *link_new(struct server *server, enum link_kind kind, int *out)
{
	struct link *link = link_free_place(server);
	const int on = 1;
	int ends[2];

	if (!link || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return NULL;
	uint64_t serial = ++server->serial;
	if (setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0 ||
	    end_name(ends[1], serial) != 0) {
		close(ends[0]);
		close(ends[1]);
		return NULL;
	}
	*link = (struct link){.kind = kind, .sock = ends[0], .serial = serial, .core_fd = -1};
	*out = ends[1];
	return link;
}

void link_close(struct server *server, struct link *link)
{
	int core_fd = link->core_fd;

	close(link->sock);
	*link = (struct link){.kind = LINK_FREE};
	if (core_fd >= 0)
		(void)ufd_close(&server->ufd, core_fd);
}

struct link *link_of(struct server *server, int fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNSPEC};
	socklen_t bytes = sizeof(address);
	unsigned long long serial;
	char text[sizeof(address.sun_path) + 1] = "";
	int pid;

	if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0 ||
	    address.sun_family != AF_UNIX || bytes <= offsetof(struct sockaddr_un, sun_path) + 1)
		return NULL;
	memcpy(text, address.sun_path + 1, bytes - offsetof(struct sockaddr_un, sun_path) - 1);
	if (sscanf(text, NESTOR_NAME "%d.%llu", &pid, &serial) != 2 || pid != (int)getpid())
		return NULL;
	for (size_t i = 0; i < SERVER_LINKS; i++)
		if (server->links[i].kind != LINK_FREE && server->links[i].serial == serial)
			return &server->links[i];
	return NULL;
}

/* ---- packets ------------------------------------------------------------------------------- */

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

/* A descriptor and credentials that came with a message. */
static void control_take(struct msghdr *message, int *fd, struct ucred *who)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		if (header->cmsg_type == SCM_RIGHTS)
			memcpy(fd, CMSG_DATA(header), sizeof(*fd));
		else if (header->cmsg_type == SCM_CREDENTIALS && who)
			memcpy(who, CMSG_DATA(header), sizeof(*who));
	}
}

bool link_receive(struct server *server, struct link *link, struct call *call)
{
	struct ucred who = {0};
	union control control;
	struct iovec part = {&call->request, sizeof(call->request)};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	*call = (struct call){.link = link, .reply = -1, .file = -1};
	ssize_t got = recvmsg(link->sock, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (got <= 0)
		return false;
	control_take(&message, &call->reply, &who);
	if (link->kind == LINK_CONNECTION) { /* what came before accept has no credentials */
		socklen_t size = sizeof(who);
		if (getsockopt(link->sock, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
			who.pid = 0;
	}
	if (got == sizeof(call->request) && who.pid > 0)
		call->process =
			process_enter(server, who.pid, call->request.nonce, call->request.nonce_at);
	return true;
}

static int packet_send(int fd, struct iovec *parts, size_t count, int passed)
{
	union control control;
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};

	if (passed >= 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 ? 0 : -EIO;
}

/* Ask, and wait for the answer. *passed: a descriptor that came, or -1. */
static int question_ask(struct call *call, struct nestor_reply *question, void *data,
                        bool send_data, int *passed)
{
	struct nestor_answer answer;
	union control control;
	struct iovec out[] = {{question, sizeof(*question)},
	                      {data, send_data ? question->bytes : 0}};
	struct iovec in[] = {{&answer, sizeof(answer)}, {data, send_data ? 0 : question->bytes}};
	struct msghdr message = {
		.msg_iov = in,
		.msg_iovlen = 2,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct pollfd come = {.fd = call->reply, .events = POLLIN};

	*passed = -1;
	if (packet_send(call->reply, out, 2, -1) || poll(&come, 1, SERVER_ANSWER_MS) <= 0)
		return -EIO;
	ssize_t got = recvmsg(call->reply, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < (ssize_t)sizeof(answer))
		return -EIO;
	control_take(&message, passed, NULL);
	if (answer.error)
		return answer.error;
	return !send_data && (size_t)got != sizeof(answer) + question->bytes ? -EIO : 0;
}

int link_ask_fd(struct call *call, int32_t number, int *out)
{
	struct nestor_reply question = {.kind = NESTOR_ASK_FD, .a = (uint32_t)number};

	int error = question_ask(call, &question, NULL, false, out);
	return !error && *out < 0 ? -EBADF : error;
}

int link_ask_copy(struct call *call, uint64_t at, void *data, uint64_t bytes, bool store)
{
	int passed;

	while (bytes) {
		struct nestor_reply question = {
			.kind = store ? NESTOR_ASK_WRITE : NESTOR_ASK_READ,
			.a = at,
			.bytes = bytes < NESTOR_DATA_MAX ? (uint32_t)bytes : NESTOR_DATA_MAX,
		};
		int error = question_ask(call, &question, data, store, &passed);
		if (passed >= 0)
			close(passed);
		if (error)
			return error;
		at += question.bytes;
		data = (char *)data + question.bytes;
		bytes -= question.bytes;
	}
	return 0;
}

int link_done(struct call *call, const struct nestor_reply *reply, int passed)
{
	struct nestor_reply copy = *reply;
	struct iovec part = {&copy, sizeof(copy)};

	copy.kind = NESTOR_DONE;
	copy.bytes = passed >= 0; /* a descriptor comes with it */
	return packet_send(call->reply, &part, 1, passed);
}

void links_wake(struct server *server)
{
	for (size_t i = 0; i < SERVER_LINKS; i++) {
		struct link *link = &server->links[i];
		if (link->kind == LINK_FILE && !link->token &&
		    ufd_poll(&server->ufd, link->core_fd) & UFD_POLL_IN)
			link->token = send(link->sock, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
	}
}
