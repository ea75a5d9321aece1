/* SPDX-License-Identifier: MIT */
/*
 * mmap and munmap on the server's descriptors, and huge pages where the machine has
 * reserved none: a program that asks for them gets ordinary memory, aligned as they would
 * be, so that what it tests of an IOMMU it can test without root.
 *
 * A mapping counts as in use until the program unmaps it, whole or in part, or ends.
 */
#define _GNU_SOURCE
#include "host/shim/shim.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_BYTES ((size_t)2 << 20)

typedef void *map_function(void *, size_t, int, int, int, off_t);

struct mapping {
	struct mapping *next;
	uintptr_t start;
	size_t bytes;
	uint64_t number; /* the server's */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct mapping *mappings;

#define NEXT(type, name, ...)                                                                      \
	static type (*next)(__VA_ARGS__);                                                          \
	if (!next)                                                                                 \
	next = (type(*)(__VA_ARGS__))shim_next(name)

static void *ours_map(void *at, size_t bytes, int protection, int flags, int fd, off_t offset,
                      map_function *next)
{
	struct mapping *mapping = malloc(sizeof(*mapping));
	struct shim_result got = {.value = -ENOMEM};

	if (mapping)
		got = shim_call(fd, NESTOR_MMAP, (uint64_t)offset, bytes, true);
	if (got.value < 0) {
		free(mapping);
		errno = (int)-got.value;
		return MAP_FAILED;
	}
	void *start = next(at, bytes, protection, flags, (int)got.value, (off_t)got.offset);
	int saved = errno;
	close((int)got.value);
	if (start == MAP_FAILED) {
		(void)shim_call(SHIM_CONNECT, NESTOR_MUNMAP, got.a, 0, true);
		free(mapping);
	} else {
		pthread_mutex_lock(&lock);
		*mapping = (struct mapping){mappings, (uintptr_t)start, bytes, got.a};
		mappings = mapping;
		pthread_mutex_unlock(&lock);
	}
	errno = saved;
	return start;
}

/* Ordinary memory in place of huge pages that there are none of. */
static void *huge_map(void *at, size_t bytes, int protection, int flags, map_function *next)
{
	const int kept = flags & ~(MAP_HUGETLB | MAP_HUGE_MASK << MAP_HUGE_SHIFT);
	size_t whole = (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);

	if (whole < bytes || whole + HUGE_BYTES < whole) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	if (flags & MAP_FIXED)
		return next(at, whole, protection, kept, -1, 0);
	char *room = next(NULL, whole + HUGE_BYTES, PROT_NONE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return MAP_FAILED;
	size_t before = -(uintptr_t)room & (HUGE_BYTES - 1);
	char *start = next(room + before, whole, protection, kept | MAP_FIXED, -1, 0);
	int saved = errno;
	if (start == MAP_FAILED) {
		munmap(room, whole + HUGE_BYTES);
	} else {
		if (before)
			munmap(room, before);
		munmap(start + whole, HUGE_BYTES - before);
	}
	errno = saved;
	return start;
}

static void *map_any(void *at, size_t bytes, int protection, int flags, int fd, off_t offset,
                     map_function *next)
{
	if (!(flags & MAP_ANONYMOUS) && shim_is_ours(fd))
		return ours_map(at, bytes, protection, flags, fd, offset, next);
	void *start = next(at, bytes, protection, flags, fd, offset);
	if (start == MAP_FAILED && errno == ENOMEM && flags & MAP_HUGETLB &&
	    flags & MAP_ANONYMOUS && getenv(NESTOR_SOCKET_VARIABLE))
		start = huge_map(at, bytes, protection, flags, next);
	return start;
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	NEXT(void *, "mmap", void *, size_t, int, int, int, off_t);
	return map_any(addr, len, prot, flags, fd, offset, next);
}

void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
	NEXT(void *, "mmap64", void *, size_t, int, int, int, off_t);
	return map_any(addr, len, prot, flags, fd, offset, next);
}

int munmap(void *addr, size_t len)
{
	NEXT(int, "munmap", void *, size_t);
	int result = next(addr, len);
	if (result != 0 || !__atomic_load_n(&mappings, __ATOMIC_RELAXED))
		return result;
	pthread_mutex_lock(&lock);
	for (struct mapping **link = &mappings; *link;) {
		struct mapping *mapping = *link;
		if (mapping->start - (uintptr_t)addr < len ||
		    (uintptr_t)addr - mapping->start < mapping->bytes) {
			*link = mapping->next;
			(void)shim_call(SHIM_CONNECT, NESTOR_MUNMAP, mapping->number, 0, true);
			free(mapping);
		} else {
			link = &mapping->next;
		}
	}
	pthread_mutex_unlock(&lock);
	return result;
}

/* Is there a huge page to be had? */
static bool huge_page_exists(void)
{
	NEXT(void *, "mmap", void *, size_t, int, int, int, off_t);
	void *page = next(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (page == MAP_FAILED)
		return false;
	munmap(page, HUGE_BYTES);
	return true;
}

int memfd_create(const char *name, unsigned flags)
{
	NEXT(int, "memfd_create", const char *, unsigned);
	if (flags & MFD_HUGETLB && getenv(NESTOR_SOCKET_VARIABLE) && !huge_page_exists())
		flags &= ~(MFD_HUGETLB | (unsigned)MAP_HUGE_MASK << MAP_HUGE_SHIFT);
	return next(name, flags);
}
