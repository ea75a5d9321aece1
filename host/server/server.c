/* SPDX-License-Identifier: MIT */
/*
 * The loop: one request at a time, and before each the ends of what was closed meanwhile,
 * so that a program that closes a descriptor and then calls finds it closed.
 */
#define _GNU_SOURCE
#include "host/server/server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void connection_accept(struct server *server)
{
	int sock = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

	if (sock < 0)
		return;
	for (size_t i = 0; i < SERVER_LINKS; i++) {
		struct link *link = &server->links[i];
		if (link->kind != LINK_FREE)
			continue;
		*link = (struct link){.kind = LINK_CONNECTION, .sock = sock, .core_fd = -1};
		return;
	}
	close(sock); /* the program sees EIO */
}

/* False: the link is at its end. */
static bool request_serve(struct server *server, struct link *link)
{
	struct call call;

	if (!link_receive(server, link, &call))
		return false;
	if (call.reply >= 0) {
		call_run(server, &call);
		close(call.reply);
	}
	return true;
}

void server_loop(struct server *server, int listener, int stop)
{
	struct pollfd wait[SERVER_LINKS + 2];
	struct link *of[SERVER_LINKS + 2];

	server->listener = listener;
	for (;;) {
		nfds_t count = 0, served = 0;
		wait[count++] = (struct pollfd){.fd = stop, .events = POLLIN};
		wait[count++] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (size_t i = 0; i < SERVER_LINKS; i++) {
			if (server->links[i].kind == LINK_FREE)
				continue;
			of[count] = &server->links[i];
			wait[count++] =
				(struct pollfd){.fd = server->links[i].sock, .events = POLLIN};
		}
		uint64_t ns = ufd_flush_deferred(&server->ufd); /* a second at most, or never */
		if (poll(wait, count, ns == UINT64_MAX ? -1 : (int)(ns / 1000000) + 1) < 0)
			continue;
		memory_unmap_ended(server, false);
		for (nfds_t i = 2; i < count; i++)
			if (wait[i].revents & (POLLHUP | POLLERR) && !(wait[i].revents & POLLIN))
				link_close(server, of[i]);
		/* a descriptor's ends come before requests: look again after each of those */
		for (nfds_t i = 2; i < count && !served; i++) {
			if (!(wait[i].revents & POLLIN))
				continue;
			served = 1;
			if (!request_serve(server, of[i]))
				link_close(server, of[i]);
		}
		if (wait[1].revents & POLLIN && !served)
			connection_accept(server);
		if (wait[0].revents && !served)
			break;
	}
	memory_unmap_ended(server, true);
	for (size_t i = 0; i < SERVER_LINKS; i++)
		if (server->links[i].kind != LINK_FREE)
			link_close(server, &server->links[i]);
}
