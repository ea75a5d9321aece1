/* SPDX-License-Identifier: MIT */
/*
 * Calls on one IOAS at the same time: maps and unmaps of ranges that do not overlap go on
 * beside each other, what overlaps waits, and so does all else. A map is stopped in the
 * middle, while it pins, to see who goes past it. A short one pins before it is anywhere.
 * Under the thread sanitizer.
 */
#include "tests/unit/ufd_test_user.h"

#include <pthread.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 400, SLICE_PAGES = 16 };

#define BASE UINT64_C(0x40000000)
/* More entries than a map makes with the lock held: it flies. */
#define LONG (65 * PAGE)

static struct world w;
static uint32_t ioas, hwpt;

/* Pins of this page wait until they are let go, and then fail, perhaps. */
#define STOP (USER_PLAIN + 800 * PAGE)
static bool arrived, let_go, fails;

static int stopping_pin(void *ctx, uint64_t user, uint64_t bytes, bool write,
                        struct iommu_extent *extents, size_t capacity, size_t *count,
                        uint64_t *pinned)
{
	if (user == STOP) {
		__atomic_store_n(&arrived, true, __ATOMIC_RELEASE);
		while (!__atomic_load_n(&let_go, __ATOMIC_ACQUIRE))
			usleep(100);
		if (fails) {
			*count = 0;
			*pinned = 0;
			return -ENOMEM;
		}
	}
	return test_user_pin(ctx, user, bytes, write, extents, capacity, count, pinned);
}

static struct ufd_memory_ops ops;

static void begin(void)
{
	world_init(&w);
	ops = test_user_ops;
	ops.pin = stopping_pin;
	w.ufd.memory = &ops;
	arrived = let_go = fails = false;
	KTAP_EQUAL(world_bind(&w, 0), 0);
	ioas = world_ioas(&w);
	KTAP_EQUAL(world_attach(&w, 0, ioas, &hwpt), 0);
}

/* A call of a thread of its own: one command, in a place of its own. */
struct caller {
	pthread_t thread;
	uint64_t place;
	uint32_t command;
	int result;
	bool done;
	union {
		struct iommu_ioas_map map;
		struct iommu_ioas_unmap unmap;
		struct iommu_ioas_iova_ranges ranges;
		struct iommu_hwpt_alloc alloc;
		struct iommu_destroy destroy;
	} arguments;
};

static int call_at(struct caller *self, size_t bytes)
{
	void *there = test_user_at(&w.user, self->place);

	memcpy(there, &self->arguments, bytes);
	int result = ufd_ioctl(&w.ufd, w.fd, self->command, self->place);
	memcpy(&self->arguments, there, bytes);
	return result;
}

static void *call_run(void *arg)
{
	struct caller *self = arg;

	self->result = call_at(self, sizeof(self->arguments));
	__atomic_store_n(&self->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void start(struct caller *self, unsigned number, uint32_t command)
{
	self->place = USER_PLAIN + (900 + number) * PAGE;
	self->command = command;
	self->done = false;
	KTAP_EQUAL(pthread_create(&self->thread, NULL, call_run, self), 0);
}

/** Not done, and it will not be. */
static bool waits(const struct caller *self)
{
	usleep(20000);
	return !__atomic_load_n(&self->done, __ATOMIC_ACQUIRE);
}

static int joined(struct caller *self)
{
	KTAP_EQUAL(pthread_join(self->thread, NULL), 0);
	return self->result;
}

static void go(void)
{
	__atomic_store_n(&let_go, true, __ATOMIC_RELEASE);
}

static struct caller map_of(uint64_t user, uint64_t at)
{
	return (struct caller){.arguments.map = {.size = sizeof(struct iommu_ioas_map),
	                                         .flags = IOMMU_IOAS_MAP_FIXED_IOVA | RW,
	                                         .ioas_id = ioas,
	                                         .user_va = user,
	                                         .length = PAGE,
	                                         .iova = at}};
}

static struct caller unmap_of(uint64_t at, uint64_t bytes)
{
	return (struct caller){.arguments.unmap = {.size = sizeof(struct iommu_ioas_unmap),
	                                           .ioas_id = ioas,
	                                           .iova = at,
	                                           .length = bytes}};
}

/** A map of @p bytes at BASE that has stopped while it pins. */
static void stop(struct caller *self, uint64_t bytes)
{
	*self = map_of(STOP, BASE);
	self->arguments.map.length = bytes;
	start(self, 0, IOMMU_IOAS_MAP);
	while (!__atomic_load_n(&arrived, __ATOMIC_ACQUIRE))
		usleep(100);
}

static void beside(void)
{
	struct caller one;
	uint64_t at;

	begin();
	KTAP_EQUAL(world_map(&w, ioas, USER_PLAIN, PAGE, BASE - PAGE), 0);
	stop(&one, LONG);
	/* these would never return if they waited for it */
	KTAP_EQUAL(world_map(&w, ioas, USER_PLAIN + PAGE, PAGE, BASE + LONG), 0);
	KTAP_CHECK(world_reaches(&w, 0, BASE + LONG, USER_PLAIN + PAGE));
	KTAP_EQUAL(world_unmap(&w, ioas, BASE - PAGE, PAGE, NULL), 0);
	KTAP_CHECK(world_blocked(&w, 0, BASE - PAGE));
	KTAP_EQUAL(world_map_any(&w, ioas, USER_PLAIN + 2 * PAGE, PAGE, &at), 0);
	KTAP_CHECK(at != BASE && world_reaches(&w, 0, at, USER_PLAIN + 2 * PAGE));
	KTAP_CHECK(waits(&one));
	go();
	KTAP_EQUAL(joined(&one), 0);
	KTAP_CHECK(world_reaches(&w, 0, BASE, STOP));
	KTAP_EQUAL(world_info(&w, ioas).mapped_bytes, LONG + 2 * PAGE);
	world_end(&w);
}

static void overlapping(void)
{
	struct caller one, same, unmap = unmap_of(BASE, LONG);

	begin();
	stop(&one, LONG);
	start(&unmap, 1, IOMMU_IOAS_UNMAP);
	KTAP_CHECK(waits(&unmap));
	go();
	KTAP_EQUAL(joined(&one), 0);
	KTAP_EQUAL(joined(&unmap), 0);
	KTAP_EQUAL(unmap.arguments.unmap.length, LONG);
	KTAP_CHECK(world_blocked(&w, 0, BASE));

	/* who wants the same place waits, for it may come to nothing: and it does */
	arrived = let_go = false;
	fails = true;
	stop(&one, LONG);
	same = map_of(USER_PLAIN, BASE);
	start(&same, 1, IOMMU_IOAS_MAP);
	KTAP_CHECK(waits(&same));
	go();
	KTAP_EQUAL(joined(&one), -ENOMEM);
	KTAP_EQUAL(joined(&same), 0);
	KTAP_CHECK(world_reaches(&w, 0, BASE, USER_PLAIN));
	KTAP_EQUAL(world_info(&w, ioas).mapped_bytes, PAGE);
	KTAP_EQUAL(w.user.pinned, 1);
	KTAP_EQUAL(world_map(&w, ioas, USER_PLAIN, PAGE, BASE), -EEXIST);
	world_end(&w);
}

static void all_else(void)
{
	struct caller one, alone = {.arguments.alloc = {.size = sizeof(struct iommu_hwpt_alloc)}};
	struct caller late = map_of(USER_PLAIN, BASE + LONG);

	begin();
	stop(&one, LONG);
	alone.arguments.alloc.dev_id = w.id[0];
	alone.arguments.alloc.pt_id = ioas;
	late.arguments.map.ioas_id = ioas;
	start(&alone, 1, IOMMU_HWPT_ALLOC);
	KTAP_CHECK(waits(&alone));
	/* and nobody goes past those who wait for all to end: they would wait for ever */
	start(&late, 2, IOMMU_IOAS_MAP);
	KTAP_CHECK(waits(&late));
	go();
	KTAP_EQUAL(joined(&one), 0);
	KTAP_EQUAL(joined(&alone), 0);
	KTAP_EQUAL(joined(&late), 0);
	/* the new HWPT has both */
	KTAP_EQUAL(world_detach(&w, 0), 0);
	KTAP_EQUAL(world_attach(&w, 0, alone.arguments.alloc.out_hwpt_id, NULL), 0);
	KTAP_CHECK(world_reaches(&w, 0, BASE, STOP));
	KTAP_CHECK(world_reaches(&w, 0, BASE + LONG, USER_PLAIN));
	world_end(&w);
}

static void short_map(void)
{
	struct caller one, alone = {.arguments.alloc = {.size = sizeof(struct iommu_hwpt_alloc)}};

	begin();
	stop(&one, PAGE);
	/* it is nowhere yet, so nothing waits for it */
	KTAP_EQUAL(world_unmap(&w, ioas, BASE, PAGE, NULL), -ENOENT);
	KTAP_EQUAL(world_map(&w, ioas, USER_PLAIN, PAGE, BASE), 0);
	go();
	KTAP_EQUAL(joined(&one), -EEXIST);
	KTAP_CHECK(world_reaches(&w, 0, BASE, USER_PLAIN));
	KTAP_EQUAL(w.user.pinned, 1);
	KTAP_EQUAL(world_unmap(&w, ioas, BASE, PAGE, NULL), 0);

	/* what the IOAS is may change meanwhile: a second HWPT gets the mapping, too */
	arrived = let_go = false;
	stop(&one, PAGE);
	alone.arguments.alloc.dev_id = w.id[0];
	alone.arguments.alloc.pt_id = ioas;
	start(&alone, 1, IOMMU_HWPT_ALLOC);
	KTAP_EQUAL(joined(&alone), 0);
	go();
	KTAP_EQUAL(joined(&one), 0);
	KTAP_CHECK(world_reaches(&w, 0, BASE, STOP));
	KTAP_EQUAL(world_detach(&w, 0), 0);
	KTAP_EQUAL(world_attach(&w, 0, alone.arguments.alloc.out_hwpt_id, NULL), 0);
	KTAP_CHECK(world_reaches(&w, 0, BASE, STOP));
	KTAP_EQUAL(w.user.pinned, 1);

	/* and a pin that fails leaves nothing */
	arrived = let_go = false;
	fails = true;
	KTAP_EQUAL(world_unmap(&w, ioas, BASE, PAGE, NULL), 0);
	stop(&one, PAGE);
	go();
	KTAP_EQUAL(joined(&one), -ENOMEM);
	KTAP_EQUAL(w.user.pinned, 0);
	KTAP_EQUAL(world_info(&w, ioas).mapped_bytes, 0);
	world_end(&w);
}

/* ---- many -------------------------------------------------------------------------------- */

struct worker {
	pthread_t thread;
	unsigned number;
	long wrong;
};

static void *work(void *arg)
{
	struct worker *self = arg;
	struct caller caller;
	uint64_t seed = 31 + self->number;
	bool mapped[SLICE_PAGES] = {false};

	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t random = test_random(&seed), page = random % SLICE_PAGES;
		uint64_t at = BASE + (page * THREADS + self->number) * PAGE;
		if (mapped[page]) {
			caller = unmap_of(at, PAGE);
			caller.command = IOMMU_IOAS_UNMAP;
		} else {
			caller = map_of(USER_PLAIN + page * PAGE, at);
			caller.command = IOMMU_IOAS_MAP;
		}
		caller.place = USER_PLAIN + (900 + self->number) * PAGE;
		self->wrong += call_at(&caller, sizeof(caller.arguments)) != 0;
		mapped[page] = !mapped[page];
		if (i % 64 == 63) {
			caller = (struct caller){
				.place = caller.place,
				.command = IOMMU_IOAS_IOVA_RANGES,
				.arguments.ranges = {.size = sizeof(struct iommu_ioas_iova_ranges),
			                             .ioas_id = ioas}};
			int result = call_at(&caller, sizeof(caller.arguments));
			self->wrong += result != -EMSGSIZE;
		}
	}
	for (uint64_t page = 0; page < SLICE_PAGES; page++) {
		uint64_t at = BASE + (page * THREADS + self->number) * PAGE;
		caller = unmap_of(at, PAGE);
		caller.command = IOMMU_IOAS_UNMAP;
		caller.place = USER_PLAIN + (900 + self->number) * PAGE;
		int result = call_at(&caller, sizeof(caller.arguments));
		self->wrong += result != (mapped[page] ? 0 : -ENOENT);
	}
	return NULL;
}

static void many(void)
{
	struct worker workers[THREADS];

	begin();
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.number = i};
		KTAP_EQUAL(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		KTAP_EQUAL(pthread_join(workers[i].thread, NULL), 0);
		KTAP_EQUAL(workers[i].wrong, 0);
	}
	KTAP_EQUAL(world_info(&w, ioas).mapped_bytes, 0);
	KTAP_EQUAL(w.user.pinned, 0);
	world_end(&w);
}

static const struct ktap_case cases[] = {
	{"maps and unmaps go past one that takes its time", beside},
	{"what overlaps waits, and finds what came of it", overlapping},
	{"all else waits, and nobody goes past who waits", all_else},
	{"a short map is nowhere before it is all there", short_map},
	{"four threads in one IOAS", many},
};
KTAP_MAIN(cases)
