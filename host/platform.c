/* SPDX-License-Identifier: MIT */
/*
 * The hosted platform: see platform.h.
 *
 * Everything handed out is counted, so that the end of a run can say that all of it
 * came back; a run of user memory that is pinned cannot be freed, as in the kernel.
 */
#define _GNU_SOURCE
#include "host/platform.h"

#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_NS = 100000 };

struct host_run {
	uint64_t start, bytes;
	unsigned order;
	uint64_t pins;
};

/* ---- the core's hooks --------------------------------------------------------------------- */

static int page_alloc_hook(void *ctx, unsigned order, pa_t *out)
{
	struct host_platform *host = ctx;
	size_t bytes = (size_t)PAGE_SIZE_4K << order;

	if (host->has_model) {
		int error = host_arena_alloc(&host->arena, order, out);
		if (!error)
			__atomic_add_fetch(&host->pages, 1L << order, __ATOMIC_RELAXED);
		return error;
	}
	void *page = aligned_alloc(bytes, bytes);

	if (!page)
		return -ENOMEM;
	memset(page, 0, bytes);
	__atomic_add_fetch(&host->pages, 1L << order, __ATOMIC_RELAXED);
	*out = iommu_os_pa(&host->os, page);
	return 0;
}

static void page_free_hook(void *ctx, pa_t run, unsigned order)
{
	struct host_platform *host = ctx;
	__atomic_sub_fetch(&host->pages, 1L << order, __ATOMIC_RELAXED);
	if (!host->has_model)
		free(iommu_os_va(&host->os, run));
	else if (!host_arena_free(&host->arena, run, order))
		abort(); /* no such run: whoever frees it holds a wrong address */
}

static void *alloc_hook(void *ctx, size_t bytes)
{
	struct host_platform *host = ctx;
	void *object = calloc(1, bytes);
	if (object)
		__atomic_add_fetch(&host->objects, 1, __ATOMIC_RELAXED);
	return object;
}

static void free_hook(void *ctx, void *object, size_t bytes)
{
	struct host_platform *host = ctx;
	(void)bytes;
	if (object)
		__atomic_sub_fetch(&host->objects, 1, __ATOMIC_RELAXED);
	free(object);
}

static int lock_init_hook(void *ctx, struct iommu_lock *lock, const char *name)
{
	struct host_platform *host = ctx;
	(void)name;
	pthread_mutex_t *mutex = malloc(sizeof(*mutex));
	if (!mutex)
		return -ENOMEM;
	pthread_mutex_init(mutex, NULL);
	lock->word[0] = (uintptr_t)mutex;
	__atomic_add_fetch(&host->locks, 1, __ATOMIC_RELAXED);
	return 0;
}

static void lock_destroy_hook(void *ctx, struct iommu_lock *lock)
{
	struct host_platform *host = ctx;
	pthread_mutex_destroy((pthread_mutex_t *)lock->word[0]);
	free((void *)lock->word[0]);
	lock->word[0] = 0;
	__atomic_sub_fetch(&host->locks, 1, __ATOMIC_RELAXED);
}

static void lock_hook(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	pthread_mutex_lock((pthread_mutex_t *)lock->word[0]);
}

static void unlock_hook(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	pthread_mutex_unlock((pthread_mutex_t *)lock->word[0]);
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
	const struct host_platform *host = ctx;
	if (level <= IOMMU_LOG_WARNING || host->options.verbose)
		printf("# %s%s\n",
		       level == IOMMU_LOG_ERROR     ? "error: "
		       : level == IOMMU_LOG_WARNING ? "warning: "
		                                    : "",
		       line);
}

/* ---- user memory ------------------------------------------------------------------------------ */

/* The place of the last run that starts at or below @p at, plus 1; 0: none. */
static size_t run_place(const struct host_platform *host, uint64_t at)
{
	size_t low = 0, high = host->run_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (host->runs[middle].start <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct host_run *run_at(const struct host_platform *host, uint64_t at)
{
	size_t place = run_place(host, at);
	if (place == 0 || at - host->runs[place - 1].start >= host->runs[place - 1].bytes)
		return NULL;
	return &host->runs[place - 1];
}

/* Address space aligned to @p bytes; the system gives it memory when it is touched. */
static void *map_aligned(size_t bytes)
{
	uint8_t *all = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED)
		return NULL;
	size_t before = -(uintptr_t)all & (bytes - 1);
	if (before)
		munmap(all, before);
	if (bytes - before)
		munmap(all + before + bytes, bytes - before);
	return all + before;
}

static int run_alloc(void *ctx, unsigned order, pa_t *out)
{
	struct host_platform *host = ctx;
	size_t bytes = (size_t)PAGE_SIZE_4K << order;

	if (order > host->backing.max_order)
		return -EINVAL;
	if (host->run_count == host->run_capacity) {
		size_t capacity = host->run_capacity ? host->run_capacity * 2 : 64;
		struct host_run *runs = realloc(host->runs, capacity * sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		host->runs = runs;
		host->run_capacity = capacity;
	}
	void *start = map_aligned(bytes);
	if (!start)
		return -ENOMEM;
	size_t place = run_place(host, (uintptr_t)start);
	memmove(&host->runs[place + 1], &host->runs[place],
	        (host->run_count - place) * sizeof(*host->runs));
	host->runs[place] = (struct host_run){(uintptr_t)start, bytes, order, 0};
	host->run_count++;
	*out = iommu_os_pa(&host->os, start);
	return 0;
}

static int run_free(void *ctx, pa_t start, unsigned order)
{
	struct host_platform *host = ctx;
	struct host_run *run = run_at(host, start.value);

	if (!run || run->start != start.value || run->order != order)
		return -EINVAL;
	if (run->pins)
		return -EBUSY;
	munmap(iommu_os_va(&host->os, start), run->bytes);
	size_t place = (size_t)(run - host->runs);
	host->run_count--;
	memmove(run, run + 1, (host->run_count - place) * sizeof(*run));
	return 0;
}

static int run_pin(void *ctx, pa_t at)
{
	struct host_run *run = run_at(ctx, at.value);
	if (!run)
		return -EFAULT;
	run->pins++;
	return 0;
}

static int run_unpin(void *ctx, pa_t at)
{
	struct host_run *run = run_at(ctx, at.value);
	if (!run)
		return -EFAULT;
	if (!run->pins)
		return -EINVAL;
	run->pins--;
	return 0;
}

/* ---- what the interpreter asks for -------------------------------------------------------------- */

static void out_write(struct iommu_print *self, const char *text, size_t bytes)
{
	(void)self;
	fwrite(text, 1, bytes, stdout);
}

static void wait_hook(void *ctx)
{
	struct host_platform *host = ctx;
	const struct timespec turn = {.tv_nsec = WAIT_NS};

	if (!host->has_model) {
		nanosleep(&turn, NULL);
		return;
	}
	model_platform_relax(&host->model, WAIT_NS); /* its time: nobody has to sleep */
	model_platform_pump(&host->model);
}

static uint64_t platform_now(void *ctx)
{
	const struct host_platform *host = ctx;
	const struct iommu_os *os = host->core.os;

	return os->now_ns(os->ctx);
}

static void show_devices(void *ctx, struct iommu_print *to)
{
	const struct host_platform *host = ctx;

	for (const struct iommu_device *device = host->core.devices; device; device = device->next)
		iommu_printf(to, "%-15s %-8s %s\n", device->desc.name,
		             device->unit ? device->unit->name : "-",
		             device->desc.segment == MODEL_SEGMENT ? "behind the model"
		                                                   : "behind the mock");
}

static void show_memory(void *ctx, struct iommu_print *to)
{
	const struct host_platform *host = ctx;
	iommu_printf(to, "table pages %ld, objects %ld, runs of user memory %zu\n", host->pages,
	             host->objects, host->run_count);
}

int host_file_read(const char *path, char **text, size_t *bytes)
{
	struct stat status;
	size_t done = 0;

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) != 0 || S_ISDIR(status.st_mode)) {
		close(fd);
		return -EISDIR;
	}
	size_t capacity = 4096;
	char *buffer = malloc(capacity);
	while (buffer) { /* to the end, whatever the size said: it may be a pipe */
		ssize_t got = read(fd, buffer + done, capacity - done);
		if (got <= 0) {
			int error = got < 0 ? -errno : 0;
			close(fd);
			if (error)
				free(buffer);
			*text = buffer;
			*bytes = done;
			return error;
		}
		done += (size_t)got;
		if (done == capacity) {
			char *larger = realloc(buffer, capacity *= 2);
			if (!larger)
				free(buffer);
			buffer = larger;
		}
	}
	close(fd);
	return -ENOMEM;
}

/* By path, or by name in ./scenarios. */
static int file_hook(void *ctx, const char *name, const char **text, size_t *bytes)
{
	struct host_platform *host = ctx;
	char path[256];

	free(host->file);
	host->file = NULL;
	int error = host_file_read(name, &host->file, bytes);
	if (error) {
		snprintf(path, sizeof(path), "scenarios/%s.scn", name);
		error = host_file_read(path, &host->file, bytes);
	}
	*text = host->file;
	return error;
}

static const char *file_name_hook(void *ctx, unsigned index)
{
	struct host_platform *host = ctx;
	return index < host->name_count ? host->names[index] : NULL;
}

/* The names of scenarios/ *.scn under the current folder, without folder and ending. */
static void names_read(struct host_platform *host)
{
	glob_t found;

	if (glob("scenarios/*.scn", 0, NULL, &found) != 0)
		return;
	host->names = calloc(found.gl_pathc, sizeof(*host->names));
	for (size_t i = 0; host->names && i < found.gl_pathc; i++) {
		const char *name = strrchr(found.gl_pathv[i], '/') + 1;
		char *copy = strndup(name, strlen(name) - strlen(".scn"));
		if (copy)
			host->names[host->name_count++] = copy;
	}
	globfree(&found);
}

/* ---- life -------------------------------------------------------------------------------------------- */

static int mock_init(struct host_platform *host)
{
	struct iommu_device *device;

	int units = iommu_probe(&host->core, &ufd_mock_driver, NULL);
	if (units < 0)
		return units;
	for (unsigned i = 0; i < HOST_MOCK_DEVICES; i++) {
		int error =
			ufd_mock_device_add(&host->core, (iommu_rid_t)RID(0, 1 + i, 0), &device);
		if (error)
			return error;
		mock_engine_init(&host->mocks[i], &host->os, device);
		host->mocks[i].engine.next =
			i + 1 < HOST_MOCK_DEVICES ? &host->mocks[i + 1].engine : NULL;
	}
	return 0;
}

/* The core with its units, taken over. */
static int core_init(struct host_platform *host)
{
	const struct iommu_options options = {.mode = host->options.mode};
	const struct iommu_os *os = host->has_model ? &host->model.os : &host->os;

	int error = iommu_init(&host->core, os, &options);
	if (error)
		return error;
	error = mock_init(host);
	if (!error && host->has_model) {
		error = model_platform_attach(&host->model, &host->core);
		if (error == -ENODEV)
			fprintf(stderr, "nestor: the driver refuses the model's unit %s\n",
			        host->options.unit->name);
	}
	if (!error)
		error = iommu_enable(&host->core);
	if (error)
		iommu_exit(&host->core);
	return error;
}

static int parts_init(struct host_platform *host)
{
	const struct user_backing *backing =
		host->has_model ? &host->model.backing : &host->backing;

	int error = core_init(host);
	if (error)
		return error;
	error = user_memory_init(&host->memory, host->core.os, backing);
	if (!error) {
		error = ufd_init(&host->ufd, &host->core, &user_memory_ops, &host->memory);
		if (!error)
			return 0;
		user_memory_exit(&host->memory);
	}
	iommu_disable(&host->core);
	iommu_exit(&host->core);
	return error;
}

/* Memory and the unit itself, and what scenarios are told of them. */
static int model_init(struct host_platform *host)
{
	const struct model_platform_options options = {
		.config = host->options.unit,
		.own_time = true,
		.cruel = host->options.cruel,
		.seed = host->options.seed,
	};

	int error = host_arena_init(&host->arena);
	if (error)
		return error;
	host->has_model = true;
	host->os.direct_map = host->arena.direct_map;
	error = model_platform_init(&host->model, &host->os, &host->arena.backing, &options);
	if (error) {
		host_arena_exit(&host->arena);
		return error;
	}
	snprintf(host->machine, sizeof(host->machine), "this process (no hardware: model %s%s)",
	         options.config->name, options.cruel ? ", cruel" : "");
	host->scn.machine = host->machine;
	host->scn.model = &host->model.scn;
	host->scn.model_engines = &host->model.engines[0].engine;
	host->scn.mock_by_name = true;
	return 0;
}

/* False, after a line on standard error, if it found fault with anything. */
static bool model_exit(struct host_platform *host)
{
	uint64_t reports = model_platform_unjudged(&host->model);

	model_platform_exit(&host->model);
	uint64_t used = host_arena_exit(&host->arena);
	if (used)
		fprintf(stderr, "nestor: %llu pages of the model's memory were not given back\n",
		        (unsigned long long)used);
	if (reports)
		fprintf(stderr,
		        "nestor: %llu reports of the model that no line of a scenario promised\n",
		        (unsigned long long)reports);
	return !used && !reports;
}

int host_platform_init(struct host_platform *host, const struct host_options *options)
{
	*host = (struct host_platform){
		.options = *options,
		.os =
			{
				.ctx = host,
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
		.backing =
			{
				.ctx = host,
				.alloc = run_alloc,
				.free = run_free,
				.pin = run_pin,
				.unpin = run_unpin,
				.max_order = 18,
			},
		.out = {.write = out_write},
		.scn =
			{
				.iommu = &host->core,
				.ufd = &host->ufd,
				.memory = &host->memory,
				.mock_engines = &host->mocks[0].engine,
				.out = &host->out,
				.machine = "this process (no hardware: mock)",
				.ctx = host,
				.now_ns = platform_now,
				.wait = wait_hook,
				.show_devices = show_devices,
				.show_memory = show_memory,
				.file = file_hook,
				.file_name = file_name_hook,
			},
	};
	int error = options->unit ? model_init(host) : 0;
	if (!error) {
		error = parts_init(host);
		if (error && host->has_model)
			(void)model_exit(host);
	}
	if (error) {
		fprintf(stderr, "nestor: cannot start: %s\n", strerror(-error));
		return error;
	}
	names_read(host);
	return 0;
}

bool host_platform_exit(struct host_platform *host)
{
	ufd_exit(&host->ufd);
	unsigned pinned = user_memory_exit(&host->memory);
	iommu_disable(&host->core);
	iommu_exit(&host->core);
	bool clean = !host->has_model || model_exit(host);
	for (size_t i = 0; i < host->name_count; i++)
		free(host->names[i]);
	free(host->names);
	free(host->file);
	free(host->runs);
	bool left = pinned || host->pages || host->objects || host->locks || host->run_count;
	if (left)
		fprintf(stderr,
		        "nestor: not given back: %u pinned buffers, %ld table pages, %ld objects, "
		        "%ld locks, %zu runs of memory\n",
		        pinned, host->pages, host->objects, host->locks, host->run_count);
	return clean && !left;
}
