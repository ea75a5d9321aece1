/* SPDX-License-Identifier: MIT */
/*
 * The part of C's library that the unit tests use, in the kernel.
 *
 * The tests' physical addresses are their pointers (tests/test_os.h), so their memory lies
 * where a virtual address is the physical one: a run of pages that is mapped so, with a
 * page allocator and a heap of its own. In front of each object that malloc gives stands
 * its size; nothing that it gives lies at the start of a page, where what aligned_alloc
 * gives does.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/heap.h"
#include "kernel/kernel.h"
#include "kernel/memory.h"
#include "kernel/page.h"
#include "kernel/vm.h"
#include "tests/kernel/units.h"

enum { ARENA_ORDER = 14, FRONT = 16 }; /* 64 MiB */

static struct page_allocator arena_pages;
static struct heap arena;

bool library_init(void)
{
	struct boot_memory map = {.kind = BOOT_MEMORY_USABLE, .bytes = PAGE_SIZE_4K << ARENA_ORDER};
	pa_t run;

	if (memory_page_alloc(ARENA_ORDER, &run) != 0 ||
	    !vm_identity_map(run.value, map.bytes, false))
		return false;
	map.start = run.value;
	if (page_init(&arena_pages, &map, 1, NULL, 0, 0) != 0)
		return false;
	heap_init(&arena, &arena_pages);
	return true;
}

uint64_t library_pages_free(void)
{
	return page_free_count(&arena_pages);
}

/* ---- memory ----------------------------------------------------------------------- */

void *calloc(size_t count, size_t bytes)
{
	if (bytes && count > (SIZE_MAX - FRONT) / bytes)
		return NULL;
	size_t all = count * bytes + FRONT;
	char *object = heap_get(&arena, all);
	if (!object)
		return NULL;
	memcpy(object, &all, sizeof(all));
	return object + FRONT;
}

void *malloc(size_t bytes)
{
	return calloc(1, bytes);
}

static unsigned order_of(size_t bytes)
{
	unsigned order = 0;

	while (PAGE_SIZE_4K << order < bytes)
		order++;
	return order;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	pa_t run;

	if (page_alloc(&arena_pages, order_of(bytes > alignment ? bytes : alignment), &run) != 0)
		return NULL;
	return (void *)(uintptr_t)run.value;
}

void free(void *memory)
{
	int result = 0;

	if (!memory)
		return;
	if ((uintptr_t)memory % PAGE_SIZE_4K == 0) {
		pa_t run;
		unsigned order;
		result = page_run(&arena_pages, pa((uintptr_t)memory), &run, &order, NULL);
		if (!result && run.value == (uintptr_t)memory)
			result = page_free(&arena_pages, run, order);
	} else {
		char *object = (char *)memory - FRONT;
		size_t all;
		memcpy(&all, object, sizeof(all));
		result = heap_put(&arena, object, all);
	}
	if (result)
		panic("a unit test frees %p, which it has not got (%d)", memory, result);
}

void exit(int status)
{
	panic("a unit test ended with status %d", status);
}

void abort(void)
{
	panic("a unit test gave up");
}

/* ---- text --------------------------------------------------------------------------- */

int printf(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	iommu_vprintf(console_print(), format, list);
	va_end(list);
	return 0;
}

int fprintf(FILE *stream, const char *format, ...)
{
	va_list list;

	(void)stream;
	va_start(list, format);
	iommu_vprintf(console_print(), format, list);
	va_end(list);
	return 0;
}

int puts(const char *text)
{
	return printf("%s\n", text);
}

int putchar(int byte)
{
	printf("%c", byte);
	return byte;
}

int setvbuf(FILE *stream, char *buffer, int mode, size_t bytes)
{
	(void)stream, (void)buffer, (void)mode, (void)bytes;
	return 0;
}

int fflush(FILE *stream)
{
	(void)stream;
	return 0;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

int strncmp(const char *a, const char *b, size_t most)
{
	for (size_t i = 0; i < most; i++) {
		if (a[i] != b[i])
			return (unsigned char)a[i] - (unsigned char)b[i];
		if (!a[i])
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *text, int byte)
{
	for (;; text++) {
		if (*text == (char)byte)
			return (char *)(uintptr_t)text;
		if (!*text)
			return NULL;
	}
}

char *strstr(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (;; text++) {
		if (!strncmp(text, part, length))
			return (char *)(uintptr_t)text;
		if (!*text)
			return NULL;
	}
}

unsigned long strtoul(const char *text, char **end, int base)
{
	unsigned long value = 0;

	(void)base; /* decimal is all that is used */
	while (*text >= '0' && *text <= '9')
		value = value * 10 + (unsigned long)(*text++ - '0');
	if (end)
		*end = (char *)(uintptr_t)text;
	return value;
}

/* ---- mutexes -------------------------------------------------------------------------- */

int pthread_mutexattr_init(pthread_mutexattr_t *attributes)
{
	*attributes = 0;
	return 0;
}

int pthread_mutexattr_settype(pthread_mutexattr_t *attributes, int type)
{
	*attributes = type;
	return 0;
}

int pthread_mutexattr_destroy(pthread_mutexattr_t *attributes)
{
	(void)attributes;
	return 0;
}

int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
	(void)attributes;
	mutex->held = 0;
	return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
	return mutex->held ? EBUSY : 0;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (mutex->held)
		return EDEADLK;
	mutex->held = 1;
	return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	if (!mutex->held)
		return EINVAL;
	mutex->held = 0;
	return 0;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
	(void)attributes;
	*thread = 0;
	(void)run(argument);
	return 0;
}

int pthread_join(pthread_t thread, void **result)
{
	(void)thread;
	if (result)
		*result = NULL;
	return 0;
}
