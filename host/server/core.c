/* SPDX-License-Identifier: MIT */
/*
 * The core in the server: its hooks, its unit, its devices.
 *
 * Everything handed out is counted, so that the end can say that all of it came back. Each
 * allocation is a place where a program's fail-nth may strike.
 */
#define _GNU_SOURCE
#include "host/server/server.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

bool server_fails(struct server *server)
{
	const struct call *call = server->call;

	for (size_t i = 0; call && i < SERVER_LINKS; i++) {
		struct link *link = &server->links[i];
		if (link->kind == LINK_FAIL_NTH && link->thread == call->request.thread &&
		    link->nth)
			return --link->nth == 0;
	}
	return false;
}

static int page_alloc_hook(void *ctx, unsigned order, pa_t *out)
{
	struct server *server = ctx;

	int error = server_fails(server) ? -ENOMEM : host_arena_alloc(&server->arena, order, out);
	if (!error)
		server->pages += 1L << order;
	return error;
}

static void page_free_hook(void *ctx, pa_t run, unsigned order)
{
	struct server *server = ctx;

	if (!host_arena_free(&server->arena, run, order))
		abort(); /* no such run: whoever frees it holds a wrong address */
	server->pages -= 1L << order;
}

static void *alloc_hook(void *ctx, size_t bytes)
{
	struct server *server = ctx;
	void *object = server_fails(server) ? NULL : calloc(1, bytes);

	server->objects += object != NULL;
	return object;
}

static void free_hook(void *ctx, void *object, size_t bytes)
{
	struct server *server = ctx;

	(void)bytes;
	server->objects -= object != NULL;
	free(object);
}

/* There is one thread; a lock that is taken twice is a mistake of the core all the same. */
static int lock_init_hook(void *ctx, struct iommu_lock *lock, const char *name)
{
	struct server *server = ctx;

	(void)name;
	if (server_fails(server))
		return -ENOMEM;
	lock->word[0] = 0;
	server->locks++;
	return 0;
}

static void lock_destroy_hook(void *ctx, struct iommu_lock *lock)
{
	struct server *server = ctx;

	(void)lock;
	server->locks--;
}

static void lock_hook(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	if (lock->word[0]++)
		abort();
}

static void unlock_hook(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	if (--lock->word[0])
		abort();
}

static uint64_t now_ns_hook(void *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void relax_hook(void *ctx)
{
	(void)ctx;
	sched_yield();
}

static int mmio_map_hook(void *ctx, pa_t base, uint64_t bytes, struct mmio *out)
{
	(void)ctx, (void)base, (void)bytes, (void)out;
	return -ENODEV;
}

static void mmio_unmap_hook(void *ctx, struct mmio *window)
{
	(void)ctx, (void)window;
}

static void log_hook(void *ctx, enum iommu_log_level level, const char *line)
{
	const struct server *server = ctx;

	if (level <= IOMMU_LOG_WARNING || server->options.verbose)
		fprintf(stderr, "nestor: %s\n", line);
}

/* Let pages of the arena be mapped in programs: put a file behind it. */
static int arena_share(struct server *server)
{
	struct host_arena *arena = &server->arena;
	const struct boot_memory map = {HOST_ARENA_START, HOST_ARENA_BYTES, BOOT_MEMORY_USABLE};

	server->arena_file = memfd_create("nestor memory", MFD_CLOEXEC);
	if (server->arena_file < 0)
		return -errno;
	if (ftruncate(server->arena_file, (off_t)HOST_ARENA_BYTES) != 0 ||
	    mmap(arena->start, HOST_ARENA_BYTES, PROT_READ | PROT_WRITE,
	         MAP_SHARED | MAP_FIXED | MAP_NORESERVE, server->arena_file, 0) == MAP_FAILED) {
		close(server->arena_file);
		return -ENOMEM;
	}
	return page_init(&arena->pages, &map, 1, NULL, 0, arena->direct_map);
}

static int devices_init(struct server *server)
{
	int units = iommu_probe(&server->core, &ufd_mock_driver, NULL);
	if (units < 0)
		return units;
	for (unsigned i = 0; i < SERVER_DEVICES && !server->has_model; i++) {
		int error = ufd_mock_device_add(&server->core, (iommu_rid_t)((1 + i) << 3),
		                                &server->devices[i]);
		if (error)
			return error;
		server->device_count++;
	}
	if (server->has_model) {
		int error = model_platform_attach(&server->model, &server->core);
		if (error == -ENODEV)
			fprintf(stderr, "nestor-run: the driver refuses the model's unit %s\n",
			        server->options.unit->name);
		if (error)
			return error;
		for (unsigned i = 0; i < MODEL_DEVICES; i++)
			server->devices[server->device_count++] =
				server->model.engines[i].pci.iommu;
	}
	return iommu_enable(&server->core);
}

static int core_init(struct server *server)
{
	const struct iommu_options options = {.mode = server->options.mode};
	const struct iommu_os *os = server->has_model ? &server->model.os : &server->os;

	int error = iommu_init(&server->core, os, &options);
	if (error)
		return error;
	error = devices_init(server);
	if (!error)
		error = ufd_init(&server->ufd, &server->core, &server_memory_ops, server);
	if (error)
		iommu_exit(&server->core);
	return error;
}

static int model_init(struct server *server)
{
	const struct model_platform_options options = {
		.config = server->options.unit,
		.own_time = true,
	};

	return model_platform_init(&server->model, &server->os, &server->arena.backing, &options);
}

int server_core_init(struct server *server, const struct server_options *options)
{
	*server = (struct server){
		.options = *options,
		.os =
			{
				.ctx = server,
				.page_alloc = page_alloc_hook,
				.page_free = page_free_hook,
				.alloc = alloc_hook,
				.free = free_hook,
				.lock_init = lock_init_hook,
				.lock_destroy = lock_destroy_hook,
				.lock = lock_hook,
				.unlock = unlock_hook,
				.now_ns = now_ns_hook,
				.relax = relax_hook,
				.mmio_map = mmio_map_hook,
				.mmio_unmap = mmio_unmap_hook,
				.log = log_hook,
			},
		.has_model = options->unit != NULL,
	};
	static const uint64_t nonce = 1;
	for (size_t i = 0; i < SERVER_PROCESSES; i++)
		server->processes[i].pidfd = -1;
	server->processes[0] = (struct process){
		/* itself, for files */
		.used = true,
		.pid = getpid(),
		.pidfd = -1,
		.nonce = nonce,
		.nonce_at = (uintptr_t)&nonce,
	};
	int error = host_arena_init(&server->arena);
	if (!error) {
		server->os.direct_map = server->arena.direct_map;
		error = arena_share(server);
		if (!error && server->has_model)
			error = model_init(server);
		if (!error) {
			error = core_init(server);
			if (error && server->has_model)
				model_platform_exit(&server->model);
		}
		if (error)
			(void)host_arena_exit(&server->arena);
	}
	if (error)
		fprintf(stderr, "nestor-run: the server cannot start: %s\n", strerror(-error));
	return error;
}

bool server_core_exit(struct server *server)
{
	ufd_exit(&server->ufd);
	uint64_t left = server->frames.used;
	frames_exit(server);
	memory_exit(server);
	processes_exit(server);
	iommu_disable(&server->core);
	iommu_exit(&server->core);
	uint64_t reports = 0;
	if (server->has_model) {
		reports = model_platform_unjudged(&server->model);
		model_platform_exit(&server->model);
	}
	(void)host_arena_exit(&server->arena);
	close(server->arena_file);
	if (left || server->pages || server->objects || server->locks)
		fprintf(stderr,
		        "nestor-run: not given back: %llu chunks of pinned memory, %ld table "
		        "pages, %ld objects, %ld locks\n",
		        (unsigned long long)left, server->pages, server->objects, server->locks);
	if (reports)
		fprintf(stderr, "nestor-run: the model reported %llu mistakes\n",
		        (unsigned long long)reports);
	return !left && !server->pages && !server->objects && !server->locks && !reports;
}
