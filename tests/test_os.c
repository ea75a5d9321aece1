/* SPDX-License-Identifier: MIT */
/* The hooks for a hosted test: see test_os.h. */
#include "tests/test_os.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool allocation_fails(struct test_os *test)
{
	long number = __atomic_add_fetch(&test->allocations, 1, __ATOMIC_RELAXED);
	return test->fail_at && number == test->fail_at;
}

static int page_alloc_hook(void *ctx, unsigned order, pa_t *out)
{
	struct test_os *test = ctx;
	if (allocation_fails(test))
		return -ENOMEM;
	size_t bytes = (size_t)PAGE_SIZE_4K << order;
	void *page = aligned_alloc(bytes, bytes);
	if (!page)
		return -ENOMEM;
	memset(page, 0, bytes);
	__atomic_add_fetch(&test->pages, 1L << order, __ATOMIC_RELAXED);
	*out = iommu_os_pa(&test->os, page);
	return 0;
}

static void page_free_hook(void *ctx, pa_t run, unsigned order)
{
	struct test_os *test = ctx;
	__atomic_sub_fetch(&test->pages, 1L << order, __ATOMIC_RELAXED);
	free(iommu_os_va(&test->os, run));
}

static void *alloc_hook(void *ctx, size_t bytes)
{
	struct test_os *test = ctx;
	if (allocation_fails(test))
		return NULL;
	void *object = calloc(1, bytes);
	if (object)
		__atomic_add_fetch(&test->objects, 1, __ATOMIC_RELAXED);
	return object;
}

static void free_hook(void *ctx, void *object, size_t bytes)
{
	struct test_os *test = ctx;
	(void)bytes;
	if (object)
		__atomic_sub_fetch(&test->objects, 1, __ATOMIC_RELAXED);
	free(object);
}

static int lock_init_hook(void *ctx, struct iommu_lock *lock, const char *name)
{
	struct test_os *test = ctx;
	(void)name;
	pthread_mutex_t *mutex = malloc(sizeof(*mutex));
	if (!mutex)
		return -ENOMEM;
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	lock->word[0] = (uintptr_t)mutex;
	__atomic_add_fetch(&test->locks, 1, __ATOMIC_RELAXED);
	return 0;
}

static void lock_destroy_hook(void *ctx, struct iommu_lock *lock)
{
	struct test_os *test = ctx;
	pthread_mutex_destroy((pthread_mutex_t *)lock->word[0]);
	free((void *)lock->word[0]);
	lock->word[0] = 0;
	__atomic_sub_fetch(&test->locks, 1, __ATOMIC_RELAXED);
}

static void lock_hook(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	if (pthread_mutex_lock((pthread_mutex_t *)lock->word[0]) != 0) {
		fprintf(stderr, "lock taken twice by one thread\n");
		abort();
	}
}

static void unlock_hook(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	if (pthread_mutex_unlock((pthread_mutex_t *)lock->word[0]) != 0) {
		fprintf(stderr, "lock released by a thread that does not hold it\n");
		abort();
	}
}

/** A number for each thread, in the order of their first calls. */
static unsigned processor_hook(void *ctx)
{
	static unsigned threads;
#ifdef NESTOR_HOSTED
	static _Thread_local unsigned number;
#else
	static unsigned number; /* in the kernel there is one */
#endif

	(void)ctx;
	if (!number)
		number = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
	return number - 1;
}

static uint64_t now_ns_hook(void *ctx)
{
	struct test_os *test = ctx;
	return __atomic_add_fetch(&test->now_ns, 100, __ATOMIC_RELAXED);
}

static void relax_hook(void *ctx)
{
	struct test_os *test = ctx;
	__atomic_add_fetch(&test->now_ns, 1000, __ATOMIC_RELAXED);
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
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	struct test_os *test = ctx;
	__atomic_add_fetch(&test->log_count[level], 1, __ATOMIC_RELAXED);
	if (level <= IOMMU_LOG_WARNING) { /* threads log, too */
		pthread_mutex_lock(&one);
		snprintf(test->last_log, sizeof(test->last_log), "%s", line);
		pthread_mutex_unlock(&one);
	}
	if (test->verbose)
		printf("# %s\n", line);
}

void test_os_init(struct test_os *test)
{
	*test = (struct test_os){
		.os =
			{
				.ctx = test,
				.page_alloc = page_alloc_hook,
				.page_free = page_free_hook,
				.alloc = alloc_hook,
				.free = free_hook,
				.lock_init = lock_init_hook,
				.lock_destroy = lock_destroy_hook,
				.lock = lock_hook,
				.unlock = unlock_hook,
				.now_ns = now_ns_hook,
				.processor = processor_hook,
				.relax = relax_hook,
				.mmio_map = mmio_map_hook,
				.mmio_unmap = mmio_unmap_hook,
				.log = log_hook,
			},
	};
}

bool test_os_is_clean(const struct test_os *test)
{
	if (test->pages || test->objects || test->locks)
		printf("# outstanding: %ld pages, %ld objects, %ld locks\n", test->pages,
		       test->objects, test->locks);
	return !test->pages && !test->objects && !test->locks;
}
