/* SPDX-License-Identifier: MIT */
/*
 * User memory over a backing that counts: addresses, gaps, copying, pins, and what
 * happens when memory runs out at any point.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/user_memory.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

enum { MAX_RUNS = 4096 };

struct bench {
	struct test_os test;
	struct user_backing backing;
	struct user_memory memory;
	struct {
		uint64_t start;
		unsigned order, pins;
	} runs[MAX_RUNS];
	unsigned run_count;
	long fail_at, allocations;
};

static struct bench bench;

static int run_alloc(void *ctx, unsigned order, pa_t *out)
{
	struct bench *b = ctx;
	size_t bytes = (size_t)4096 << order;
	if (++b->allocations == b->fail_at || b->run_count == MAX_RUNS)
		return -ENOMEM;
	void *run = aligned_alloc(bytes, bytes);
	if (!run)
		return -ENOMEM;
	memset(run, 0xee, bytes); /* not zeroed */
	*out = pa((uintptr_t)run);
	b->runs[b->run_count].start = out->value;
	b->runs[b->run_count].order = order;
	b->runs[b->run_count++].pins = 0;
	return 0;
}

static unsigned run_index(uint64_t at)
{
	unsigned i = 0;
	while (i < bench.run_count && at - bench.runs[i].start >= (4096ull << bench.runs[i].order))
		i++;
	return i;
}

static int run_free(void *ctx, pa_t run, unsigned order)
{
	struct bench *b = ctx;
	unsigned i = run_index(run.value);
	if (i == b->run_count || b->runs[i].start != run.value || b->runs[i].order != order)
		abort();
	if (b->runs[i].pins)
		return -EBUSY;
	free((void *)run.value);
	b->runs[i] = b->runs[--b->run_count];
	return 0;
}

static int run_pin(void *ctx, pa_t at)
{
	struct bench *b = ctx;
	unsigned i = run_index(at.value);
	if (i == b->run_count)
		return -EFAULT;
	b->runs[i].pins++;
	return 0;
}

static int run_unpin(void *ctx, pa_t at)
{
	struct bench *b = ctx;
	unsigned i = run_index(at.value);
	if (i == b->run_count || !b->runs[i].pins)
		return -EINVAL;
	b->runs[i].pins--;
	return 0;
}

static void start(void)
{
	memset(&bench, 0, sizeof(bench));
	test_os_init(&bench.test);
	bench.backing = (struct user_backing){
		.ctx = &bench,
		.alloc = run_alloc,
		.free = run_free,
		.pin = run_pin,
		.unpin = run_unpin,
		.max_order = 12, /* 16 MiB, to see what happens above it */
	};
	KTAP_EQUAL(user_memory_init(&bench.memory, &bench.test.os, &bench.backing), 0);
}

static void finish(void)
{
	KTAP_EQUAL(user_memory_exit(&bench.memory), 0);
	KTAP_EQUAL(bench.run_count, 0);
	KTAP_CHECK(test_os_is_clean(&bench.test));
}

static struct user_buffer *make(const char *name, uint64_t bytes, uint64_t align, unsigned flags)
{
	struct user_buffer *buffer = NULL;
	KTAP_EQUAL(user_buffer_create(&bench.memory, name, bytes, align, flags, &buffer), 0);
	return buffer;
}

static int refused(const char *name, uint64_t bytes, uint64_t align, unsigned flags)
{
	struct user_buffer *buffer = NULL;
	int error = user_buffer_create(&bench.memory, name, bytes, align, flags, &buffer);
	KTAP_CHECK(error && !buffer);
	return error;
}

static void test_addresses(void)
{
	start();
	struct user_buffer *a = make("a", 5000, 0, 0);
	struct user_buffer *b = make("b", 2 << 20, 0, 0);
	struct user_buffer *c = make("c", 4096, 0, 0);
	KTAP_EQUAL(a->start, USER_MEMORY_START);
	KTAP_EQUAL(a->bytes, 8192); /* whole pages */
	KTAP_EQUAL(b->start % (2 << 20), 0);
	KTAP_EQUAL(b->runs[0].start.value % (2 << 20), 0);
	KTAP_CHECK(b->start >= a->start + a->bytes + USER_MEMORY_GAP);
	/* c fits into the hole that b's alignment left */
	KTAP_CHECK(c->start > a->start && c->start + c->bytes + USER_MEMORY_GAP <= b->start);
	KTAP_CHECK(user_buffer_find(&bench.memory, "b") == b);
	KTAP_CHECK(!user_buffer_find(&bench.memory, "bb") && !user_buffer_find(&bench.memory, ""));
	KTAP_EQUAL(user_buffer_destroy(&bench.memory, a), 0);
	KTAP_EQUAL(make("d", 8192, 0, 0)->start, USER_MEMORY_START); /* the place is used again */
	struct user_buffer *e = make("e", 4096, 1 << 20, 0);
	KTAP_EQUAL(e->start % (1 << 20), 0);
	KTAP_EQUAL(e->runs[0].start.value % (1 << 20), 0);
	finish();
}

static void test_refusals(void)
{
	start();
	make("a", 4096, 0, 0);
	KTAP_EQUAL(refused("a", 4096, 0, 0), -EEXIST);
	KTAP_EQUAL(refused("b", 0, 0, 0), -EINVAL);
	KTAP_EQUAL(refused("b", UINT64_MAX, 0, 0), -EINVAL);
	KTAP_EQUAL(refused("b", USER_MEMORY_END, 0, 0), -EINVAL);
	KTAP_EQUAL(refused("b", 4096, 3, 0), -EINVAL);
	KTAP_EQUAL(refused("b", 4096, 8192, USER_SCATTERED), -EINVAL);
	KTAP_EQUAL(refused("b", 4096, 32 << 20, 0), -EINVAL); /* above the largest run */
	KTAP_EQUAL(refused("", 4096, 0, 0), -EINVAL);
	KTAP_EQUAL(refused("a-name-that-is-far-too-long", 4096, 0, 0), -EINVAL);
	finish();
}

static void test_copying(void)
{
	static uint8_t out[40000], in[40000];
	start();
	for (unsigned scattered = 0; scattered < 2; scattered++) {
		struct user_buffer *b = make(scattered ? "s" : "c", sizeof(out), 0, scattered);
		for (size_t i = 0; i < sizeof(out); i++) {
			KTAP_CHECK(scattered || i % 4096 || in[0] == 0);
			out[i] = (uint8_t)(i * 7 + i / 256);
		}
		uint8_t byte = 1;
		KTAP_EQUAL(user_memory_copy_in(&bench.memory, &byte, b->start + 39999, 1), 0);
		KTAP_EQUAL(byte, 0); /* zeroed, though the backing is not */
		KTAP_EQUAL(user_memory_copy_out(&bench.memory, b->start, out, sizeof(out)), 0);
		memset(in, 0, sizeof(in));
		KTAP_EQUAL(user_memory_copy_in(&bench.memory, in + 5, b->start + 5, 39990), 0);
		KTAP_CHECK(memcmp(in + 5, out + 5, 39990) == 0 && in[4] == 0 && in[39995] == 0);
		/* the edges */
		uint64_t end = b->start + b->bytes;
		KTAP_EQUAL(user_memory_copy_in(&bench.memory, in, end - 16, 16), 0);
		KTAP_EQUAL(user_memory_copy_in(&bench.memory, in, end - 16, 17), -EFAULT);
		KTAP_EQUAL(user_memory_copy_in(&bench.memory, in, end, 1), -EFAULT);
		KTAP_EQUAL(user_memory_copy_in(&bench.memory, in, b->start - 1, 1), -EFAULT);
		KTAP_EQUAL(user_memory_copy_out(&bench.memory, b->start - 1, in, 2), -EFAULT);
		KTAP_EQUAL(user_memory_copy_in(&bench.memory, in, b->start + 8, SIZE_MAX), -EFAULT);
		KTAP_EQUAL(user_memory_copy_in(&bench.memory, in, UINT64_MAX, 1), -EFAULT);
		KTAP_EQUAL(user_memory_copy_in(&bench.memory, in, 0, 1), -EFAULT);
		KTAP_EQUAL(user_memory_copy_in(&bench.memory, in, 0, 0), 0);
		pa_t at;
		KTAP_EQUAL(user_memory_physical(&bench.memory, b->start + 4097, &at), 0);
		KTAP_EQUAL(*(uint8_t *)at.value, out[4097]);
		KTAP_EQUAL(user_memory_physical(&bench.memory, end, &at), -EFAULT);
		uint64_t bytes = sizeof(out);
		uint8_t *view = user_memory_at(&bench.memory, b->start + 100, &bytes);
		KTAP_EQUAL(bytes, scattered ? 3996 : 40000);
		KTAP_CHECK(view && view[0] == out[100]);
		bytes = 10;
		KTAP_CHECK(user_memory_at(&bench.memory, b->start, &bytes) && bytes == 10);
		KTAP_CHECK(!user_memory_at(&bench.memory, end, &bytes));
	}
	finish();
}

static void test_large(void)
{
	start();
	/* three runs of 16 MiB, the last one used in part */
	struct user_buffer *b = make("b", 40 << 20, 0, 0);
	KTAP_EQUAL(b->run_count, 3);
	uint64_t word = 0x1122334455667788, back = 0;
	KTAP_EQUAL(user_memory_copy_out(&bench.memory, b->start + (16 << 20) - 4, &word, 8), 0);
	KTAP_EQUAL(user_memory_copy_in(&bench.memory, &back, b->start + (16 << 20) - 4, 8), 0);
	KTAP_EQUAL(back, word);
	KTAP_EQUAL(user_memory_copy_in(&bench.memory, &back, b->start + (40 << 20) - 8, 8), 0);
	KTAP_EQUAL(user_memory_copy_in(&bench.memory, &back, b->start + (40 << 20) - 7, 8),
	           -EFAULT);
	finish();
}

static int pin(uint64_t user, uint64_t bytes, struct iommu_extent *extents, size_t capacity,
               size_t *count, uint64_t *pinned)
{
	return user_memory_ops.pin(&bench.memory, user, bytes, true, extents, capacity, count,
	                           pinned);
}

static void test_pins(void)
{
	struct iommu_extent extents[8], part;
	size_t count;
	uint64_t pinned;

	start();
	struct user_buffer *b = make("b", 1 << 20, 0, 0);
	KTAP_EQUAL(pin(b->start, 1 << 20, extents, 8, &count, &pinned), 0);
	KTAP_EQUAL(count, 1); /* one run, one extent, whatever its length */
	KTAP_EQUAL(pinned, 1 << 20);
	KTAP_EQUAL(extents[0].start.value, b->runs[0].start.value);
	KTAP_EQUAL(extents[0].bytes, 1 << 20);
	KTAP_EQUAL(bench.runs[0].pins, 1);
	KTAP_EQUAL(user_buffer_pinned(&bench.memory, b), 256);
	KTAP_EQUAL(user_buffer_destroy(&bench.memory, b), -EBUSY);
	/* a second pin of a part; then the first goes in two parts */
	struct iommu_extent again[2];
	KTAP_EQUAL(pin(b->start + 8192, 4096, again, 2, &count, &pinned), 0);
	KTAP_EQUAL(again[0].start.value, extents[0].start.value + 8192);
	part = (struct iommu_extent){extents[0].start, 4096};
	user_memory_ops.unpin(&bench.memory, b->start, &part, 1, true);
	KTAP_EQUAL(user_buffer_pinned(&bench.memory, b), 256);
	part = (struct iommu_extent){pa_add(extents[0].start, 4096), (1 << 20) - 4096};
	user_memory_ops.unpin(&bench.memory, b->start + 4096, &part, 1, false);
	KTAP_EQUAL(user_buffer_pinned(&bench.memory, b), 1);
	KTAP_EQUAL(user_buffer_destroy(&bench.memory, b), -EBUSY);
	user_memory_ops.unpin(&bench.memory, b->start + 8192, again, 1, false);
	KTAP_EQUAL(user_buffer_pinned(&bench.memory, b), 0);
	KTAP_EQUAL(bench.runs[0].pins, 0);
	{
		uint64_t pins, unpins;
		user_memory_pins(&bench.memory, &pins, &unpins);
		KTAP_EQUAL(pins, unpins);
	}
	/* more unpins than pins, and of memory that is nobody's: nothing happens */
	user_memory_ops.unpin(&bench.memory, b->start + 8192, again, 1, false);
	part = (struct iommu_extent){pa(0x1000), 8192};
	user_memory_ops.unpin(&bench.memory, 0x1000, &part, 1, false);
	{
		uint64_t pins, unpins;
		user_memory_pins(&bench.memory, &pins, &unpins);
		KTAP_EQUAL(pins, unpins);
	}
	KTAP_EQUAL(user_buffer_destroy(&bench.memory, b), 0);
	finish();
}

static void test_pin_edges(void)
{
	struct iommu_extent extents[4];
	size_t count;
	uint64_t pinned;

	start();
	struct user_buffer *b = make("b", 16384, 0, 0);
	uint64_t end = b->start + b->bytes;
	KTAP_EQUAL(pin(b->start + 1, 4096, extents, 4, &count, &pinned), -EFAULT);
	KTAP_EQUAL(pin(b->start, 100, extents, 4, &count, &pinned), -EFAULT);
	KTAP_EQUAL(pin(b->start, 0, extents, 4, &count, &pinned), -EFAULT);
	KTAP_EQUAL(pin(end, 4096, extents, 4, &count, &pinned), -EFAULT);
	KTAP_EQUAL(pin(b->start - 4096, 8192, extents, 4, &count, &pinned), -EFAULT);
	KTAP_EQUAL(pinned, 0);
	KTAP_EQUAL(user_buffer_pinned(&bench.memory, b), 0);
	/* beyond the end: as much as there is, the rest is refused at the next call */
	KTAP_EQUAL(pin(end - 4096, 8192, extents, 4, &count, &pinned), 0);
	KTAP_EQUAL(pinned, 4096);
	user_memory_ops.unpin(&bench.memory, end - 4096, extents, count, false);
	KTAP_EQUAL(pin(b->start, UINT64_MAX & ~4095ull, extents, 4, &count, &pinned), 0);
	KTAP_EQUAL(pinned, 16384);
	user_memory_ops.unpin(&bench.memory, b->start, extents, count, false);
	finish();
}

static void test_scattered(void)
{
	static struct iommu_extent extents[200];
	size_t count;
	uint64_t pinned;

	start();
	struct user_buffer *b = make("s", 200 * 4096, 0, USER_SCATTERED);
	KTAP_EQUAL(b->run_count, 200);
	for (size_t i = 0; i < 200; i++)
		for (size_t j = 0; j < 200; j++)
			KTAP_CHECK(b->runs[i].start.value + 4096 != b->runs[j].start.value);
	/* by pieces: 200 extents in calls of 64 */
	uint64_t done = 0;
	size_t all = 0;
	while (done < b->bytes) {
		KTAP_EQUAL(
			pin(b->start + done, b->bytes - done, extents + all, 64, &count, &pinned),
			0);
		KTAP_CHECK(count > 0 && count <= 64 && pinned == count * 4096);
		if (ktap_failed)
			return;
		all += count;
		done += pinned;
	}
	KTAP_EQUAL(all, 200);
	KTAP_EQUAL(user_buffer_pinned(&bench.memory, b), 200);
	user_memory_ops.unpin(&bench.memory, b->start, extents, 100, false);
	KTAP_EQUAL(user_buffer_destroy(&bench.memory, b), -EBUSY);
	for (size_t i = 200; i-- > 100;) /* in any order */
		user_memory_ops.unpin(&bench.memory, b->start + i * 4096, &extents[i], 1, false);
	KTAP_EQUAL(user_buffer_destroy(&bench.memory, b), 0);
	finish();
}

static void test_out_of_memory(void)
{
	start();
	make("keep", 4096, 0, 0);
	long objects = bench.test.objects;
	for (long n = 1; n <= 20; n++) { /* the n-th run cannot be had */
		bench.allocations = 0;
		bench.fail_at = n;
		KTAP_EQUAL(refused("s", 20 * 4096, 0, USER_SCATTERED), -ENOMEM);
		KTAP_EQUAL(bench.run_count, 1);
		KTAP_EQUAL(bench.test.objects, objects);
	}
	bench.fail_at = 0;
	for (long n = 1; n <= 2; n++) { /* the n-th object cannot be had */
		bench.test.allocations = 0;
		bench.test.fail_at = n;
		KTAP_EQUAL(refused("s", 20 * 4096, 0, 0), -ENOMEM);
		KTAP_EQUAL(bench.run_count, 1);
	}
	bench.test.fail_at = 0;
	make("s", 20 * 4096, 0, USER_SCATTERED);
	finish();
}

static void test_exit_pinned(void)
{
	struct iommu_extent extent;
	size_t count;
	uint64_t pinned;

	start();
	struct user_buffer *b = make("b", 4096, 0, 0);
	KTAP_EQUAL(pin(b->start, 4096, &extent, 1, &count, &pinned), 0);
	KTAP_EQUAL(user_memory_exit(&bench.memory), 1);
	/* the run is kept: a device could still write there */
	KTAP_EQUAL(bench.run_count, 1);
	KTAP_EQUAL(bench.runs[0].pins, 1);
	KTAP_CHECK(test_os_is_clean(&bench.test));
	free((void *)bench.runs[0].start);
}

static const struct ktap_case cases[] = {
	{"addresses, gaps, alignment, names", test_addresses},
	{"what is refused", test_refusals},
	{"copying, contiguous and scattered, and its bounds", test_copying},
	{"buffers of several runs", test_large},
	{"pins of a contiguous buffer, taken back in parts", test_pins},
	{"pins at and beyond the edges", test_pin_edges},
	{"scattered pages are never neighbours", test_scattered},
	{"no memory at any point leaves nothing behind", test_out_of_memory},
	{"what is pinned at the end is kept out of use", test_exit_pinned},
};

KTAP_MAIN(cases)
