/* SPDX-License-Identifier: MIT */
/*
 * Four threads make random calls on the same descriptors and objects: destroy races attach,
 * unmap races access, map and DMA, close races everything. On the mock, and on VT-d on the
 * reference model. Made for ThreadSanitizer; it holds under the others as well.
 *
 * While it runs: a page that a device reaches is pinned. At the end: every object can be
 * destroyed, every pin is undone, nothing is left.
 *
 * NESTOR_THREADS_SECONDS in the environment is how long all of it takes; default 6.
 */
#include "tests/unit/model_platform_test.h"
#undef BASE

#include "tests/fuzz/program.h"

#include <pthread.h>
#include <time.h>

enum { THREADS = 4, PROGRAM_BYTES = 300, PROGRAMS = 4, USER_ORDER = 11 };

struct chaos {
	struct bench bench; /* VT-d: the model's platform */
	bool is_mock;
	struct world world;
	pthread_mutex_t copy; /* the mock: one copy of user memory at a time */
	uint64_t round;
	unsigned long reached, unpinned; /* atomic: DMA that passed; to a page not pinned */
};

struct worker {
	struct chaos *chaos;
	unsigned number;
	unsigned long steps;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- user memory: the model, too, reads what programs write ------------------------- */

static void copy_lock(struct chaos *chaos)
{
	if (chaos->is_mock)
		pthread_mutex_lock(&chaos->copy);
	else
		model_platform_lock(chaos->bench.model);
}

static void copy_unlock(struct chaos *chaos)
{
	if (chaos->is_mock)
		pthread_mutex_unlock(&chaos->copy);
	else
		model_platform_unlock(chaos->bench.model);
}

static int chaos_copy_in(void *ctx, void *kernel, uint64_t user, size_t bytes)
{
	struct chaos *chaos = ctx;

	copy_lock(chaos);
	int error = test_user_copy_in(&chaos->world.user, kernel, user, bytes);
	copy_unlock(chaos);
	return error;
}

static int chaos_copy_out(void *ctx, uint64_t user, const void *kernel, size_t bytes)
{
	struct chaos *chaos = ctx;

	copy_lock(chaos);
	int error = test_user_copy_out(&chaos->world.user, user, kernel, bytes);
	copy_unlock(chaos);
	return error;
}

static void chaos_store(void *ctx, uint64_t user, const void *from, size_t bytes)
{
	struct chaos *chaos = ctx;

	copy_lock(chaos);
	memcpy(test_user_at(&chaos->world.user, user), from, bytes);
	copy_unlock(chaos);
}

static int chaos_pin(void *ctx, uint64_t user, uint64_t bytes, bool writable,
                     struct iommu_extent *extents, size_t capacity, size_t *count, uint64_t *pinned)
{
	struct chaos *chaos = ctx;

	return test_user_pin(&chaos->world.user, user, bytes, writable, extents, capacity, count,
	                     pinned);
}

static void chaos_unpin(void *ctx, uint64_t user, const struct iommu_extent *extents, size_t count,
                        bool dirty)
{
	struct chaos *chaos = ctx;

	test_user_unpin(&chaos->world.user, user, extents, count, dirty);
}

static const struct ufd_memory_ops chaos_memory_ops = {
	.copy_in = chaos_copy_in,
	.copy_out = chaos_copy_out,
	.pin = chaos_pin,
	.unpin = chaos_unpin,
};

/* ---- DMA ------------------------------------------------------------------------------ */

/** Translate at the model. The unit's lock is held on, so that an unmap that takes place
 *  now has not ended: what was reached must be pinned. */
static void chaos_model_dma(struct chaos *chaos, const struct iommu_device *device, uint32_t pasid,
                            uint64_t at)
{
	const struct model_request request = {
		.access = MODEL_READ,
		.requester = device->desc.rid,
		.has_pasid = pasid != IOMMU_NO_PASID,
		.pasid = pasid == IOMMU_NO_PASID ? 0 : pasid & 0xfffff,
		.address = at & ~UINT64_C(7),
		.bytes = 8,
	};
	struct model_result result;
	const struct test_user *user = &chaos->world.user;
	struct model_engine *engine =
		&chaos->bench.model->engines[chaos->world.device[1] == device];

	model_platform_lock(chaos->bench.model);
	/* every other time by what the device itself holds */
	bool by_device = engine->allowed_ats && at / PAGE % 2 == 0;
	if (by_device ? model_device_tlb_access(&engine->tlb, &request, &result)
	              : model_dma(chaos->bench.model->unit, &request, &result)) {
		uint64_t page = (result.address - (uintptr_t)user->block) / PAGE;
		bool pinned = page < USER_PAGES &&
		              __atomic_load_n(&user->pins[page], __ATOMIC_ACQUIRE) != 0;
		__atomic_fetch_add(&chaos->reached, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&chaos->unpinned, !pinned, __ATOMIC_RELAXED);
	}
	model_platform_unlock(chaos->bench.model);
}

static void chaos_dma(void *ctx, unsigned which, uint32_t pasid, uint64_t at)
{
	struct chaos *chaos = ctx;
	struct iommu_device *device = chaos->world.device[which & 1];
	pa_t out;

	if (!chaos->is_mock)
		chaos_model_dma(chaos, device, pasid, at);
	else if (ufd_mock_translate_pasid(device, pasid, iova(at), IOMMU_READ, &out) == 0)
		__atomic_fetch_add(&chaos->reached, 1, __ATOMIC_RELAXED);
}

/** A device asks for a page, and somebody looks what was asked. */
static void chaos_ask(void *ctx, unsigned which, const struct iommu_page_request *ask)
{
	struct chaos *chaos = ctx;
	const struct model_engine *engine =
		chaos->is_mock ? NULL : &chaos->bench.model->engines[which & 1];
	struct iommu_device *device = chaos->world.device[which & 1];
	const struct model_request request = {
		.kind = MODEL_PAGE_REQUEST,
		.requester = device->desc.rid,
		.has_pasid = ask->has_pasid,
		.pasid = ask->pasid,
		.address = ask->address.value,
		.group = ask->group,
		.page_read = true,
		.last = ask->last,
	};
	struct model_result result;

	if (chaos->is_mock) {
		ufd_mock_page_request(device, ask);
		return;
	}
	model_platform_lock(chaos->bench.model);
	if (engine->allowed_page_requests)
		model_dma(chaos->bench.model->unit, &request, &result);
	model_platform_unlock(chaos->bench.model);
	iommu_poll(&chaos->bench.core);
}

/* ---- threads -------------------------------------------------------------------------- */

static void *worker_run(void *argument)
{
	static const struct ufd_access_ops ops = {.unmap = program_unmapped};
	struct worker *worker = argument;
	struct chaos *chaos = worker->chaos;
	struct world *world = &chaos->world;
	uint64_t seed = chaos->round * THREADS + worker->number + 1;
	uint8_t bytes[PROGRAM_BYTES];
	struct program program = {
		.ufd = &world->ufd,
		.user = &world->user,
		.place = USER_CALLS + 1024 * worker->number,
		.devices = {world->device[0], world->device[1], world->device[0]},
		.access_ops = &ops,
		.ask = chaos_ask,
		.dma = chaos_dma,
		.store = chaos_store,
		.ctx = chaos,
	};

	for (unsigned n = 0; n < PROGRAMS; n++) {
		for (unsigned i = 0; i < PROGRAM_BYTES; i++)
			bytes[i] = (uint8_t)(test_random(&seed) >> 32);
		program.bytes = bytes;
		program.left = PROGRAM_BYTES;
		while (program_step(&program))
			worker->steps++;
	}
	program_end(&program);
	return NULL;
}

/** Device 1 asks for pages, with a stage 1 of the user's that has none. */
static void prologue_nested(struct chaos *chaos, uint32_t ioas)
{
	struct world *world = &chaos->world;
	const uint64_t at = USER_PLAIN + 900 * PAGE;
	const struct iommu_hwpt_vtd_s1 s1 = {.pgtbl_addr = PROGRAM_BASE + 63 * PAGE,
	                                     .addr_width = 48};
	struct iommu_fault_alloc fault = {0};
	uint32_t parent;

	if (world_hwpt(world, world->id[1], ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent))
		return; /* the unit cannot */
	KTAP_EQUAL(call(world, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
	chaos_store(chaos, at, &s1, sizeof(s1));
	struct iommu_hwpt_alloc alloc = {
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = world->id[1],
		.pt_id = parent,
		.data_type = chaos->is_mock ? IOMMU_HWPT_DATA_SELFTEST : IOMMU_HWPT_DATA_VTD_S1,
		.data_len = chaos->is_mock ? 4 : sizeof(s1),
		.data_uptr = at,
		.fault_id = fault.out_fault_id,
	};
	KTAP_EQUAL(call(world, IOMMU_HWPT_ALLOC, &alloc), 0);
	KTAP_EQUAL(world_attach(world, 1, alloc.out_hwpt_id, NULL), 0);
	const struct iommu_page_request request = {.last = true, .access = IOMMU_READ};
	chaos_ask(chaos, 1, &request);
	KTAP_CHECK(ufd_poll(&world->ufd, (int)fault.out_fault_fd) & UFD_POLL_IN);
}

/** What all threads share: two devices, bound and attached, an IOAS with HWPTs. */
static void prologue(struct chaos *chaos)
{
	struct world *world = &chaos->world;
	uint32_t hwpt, ioas;

	world->fd = ufd_open(&world->ufd);
	for (int i = 0; i < 2; i++) {
		world->cdev[i] = ufd_open_device(&world->ufd, world->device[i]);
		KTAP_EQUAL(world_bind(world, i), 0);
	}
	ioas = world_ioas(world);
	KTAP_EQUAL(world_map(world, ioas, USER_PLAIN, 64 * PAGE, PROGRAM_BASE), 0);
	for (int i = 0; i < 3; i++)
		KTAP_EQUAL(world_hwpt(world, world->id[0], ioas, 0, &hwpt), 0);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_attach(world, i, hwpt, NULL), 0);
	prologue_nested(chaos, ioas);
}

/** Nothing runs any more: all objects can be destroyed in some order. */
static void epilogue(struct chaos *chaos)
{
	struct world *world = &chaos->world;
	struct ufd_object_info info;
	bool progress = true;

	for (int fd = 3; fd < 3 + UFD_MAX_FILES; fd++) { /* devices and queues first */
		bool is_context = ufd_object_next(&world->ufd, fd, 0, &info) != -EBADF;
		if (!is_context)
			ufd_close(&world->ufd, fd);
	}
	for (int fd = 3; fd < 3 + UFD_MAX_FILES; fd++) {
		world->fd = fd;
		for (progress = true; progress;) {
			progress = false;
			for (uint32_t from = 1; !ufd_object_next(&world->ufd, fd, from, &info);
			     from = info.id + 1)
				progress |= world_destroy(world, info.id) == 0;
		}
		KTAP_CHECK(ufd_object_next(&world->ufd, fd, 0, &info) < 0);
		ufd_close(&world->ufd, fd);
	}
	KTAP_EQUAL(world->user.pinned, 0);
	KTAP_CHECK(!world->user.bad);
}

/** One round: a new world for four threads. Returns how many calls they made. */
static unsigned long round_run(struct chaos *chaos)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	unsigned long steps = 0;

	prologue(chaos);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.chaos = chaos, .number = i};
		KTAP_EQUAL(pthread_create(&threads[i], NULL, worker_run, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		KTAP_EQUAL(pthread_join(threads[i], NULL), 0);
		KTAP_CHECK(workers[i].steps > PROGRAMS);
		steps += workers[i].steps;
	}
	KTAP_EQUAL(chaos->unpinned, 0);
	epilogue(chaos);
	if (ktap_failed)
		printf("# in round %llu\n", (unsigned long long)chaos->round);
	return steps;
}

/** Rounds for one @p share of the time. */
static void run_threads(struct chaos *chaos, unsigned share)
{
	const char *text = getenv("NESTOR_THREADS_SECONDS");
	unsigned long steps = 0, seconds = text ? strtoul(text, NULL, 10) : 6;
	uint64_t end_ns = clock_ns() + seconds * 1000000000 / share;

	do
		steps += round_run(chaos);
	while (++chaos->round && clock_ns() < end_ns && !ktap_failed);
	printf("# %llu rounds, %lu calls, %lu DMA requests passed\n",
	       (unsigned long long)chaos->round, steps, chaos->reached);
	KTAP_CHECK(chaos->reached > chaos->round);
	ufd_exit(&chaos->world.ufd);
}

static void mock(void)
{
	struct chaos *chaos = test_calloc(1, sizeof(*chaos));
	struct world *world = &chaos->world;

	chaos->is_mock = true;
	pthread_mutex_init(&chaos->copy, NULL);
	world->user.block = aligned_alloc(PAGE_SIZE_2M, USER_BYTES + PAGE_SIZE_2M);
	KTAP_CHECK(world->user.block != NULL);
	memset(world->user.block, 0, USER_BYTES + PAGE);
	test_os_init(&world->os);
	KTAP_EQUAL(iommu_init(&world->core, &world->os.os, NULL), 0);
	KTAP_EQUAL(iommu_probe(&world->core, &ufd_mock_driver, NULL), 1);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(ufd_mock_device_add(&world->core, RID(0, 4 + i, 0), &world->device[i]),
		           0);
	KTAP_EQUAL(iommu_enable(&world->core), 0);
	KTAP_EQUAL(ufd_init(&world->ufd, &world->core, &chaos_memory_ops, chaos), 0);
	run_threads(chaos, 3);
	iommu_exit(&world->core);
	KTAP_CHECK(test_os_is_clean(&world->os));
	free(world->user.block);
	pthread_mutex_destroy(&chaos->copy);
	free(chaos);
}

static void model(const char *preset)
{
	struct chaos *chaos = test_calloc(1, sizeof(*chaos));
	struct bench *bench = &chaos->bench;
	struct world *world = &chaos->world;
	pa_t block;

	bench_up(bench, preset);
	KTAP_EQUAL(bench->model->os.page_alloc(bench->model->os.ctx, USER_ORDER, &block), 0);
	world->user.block = iommu_os_va(&bench->model->os, block);
	for (int i = 0; i < 2; i++)
		world->device[i] = bench->model->engines[i].pci.iommu;
	KTAP_EQUAL(ufd_init(&world->ufd, &bench->core, &chaos_memory_ops, chaos), 0);
	run_threads(chaos, 3);
	bench->model->os.page_free(bench->model->os.ctx, block, USER_ORDER);
	/* Between a change and its invalidation (or cleaning) a device may use what was: with
	 * threads that is no mistake. That it ends in time is what `unpinned` shows. */
	KTAP_EQUAL(
		bench->model->scn.reports(bench->model, ~(UINT32_C(1) << MODEL_REPORT_STALE |
	                                                  UINT32_C(1) << MODEL_REPORT_NOT_CLEANED)),
		0);
	if (ktap_failed)
		printf("# %s\n", bench->model->report_text);
	bench_down(bench);
	free(chaos);
}

static void nesting(void)
{
	model("nesting-noncoherent");
}

static void legacy(void)
{
	model("qemu-10.0");
}

static const struct ktap_case cases[] = {
	{"random calls of four threads, the mock", mock},
	{"random calls of four threads, VT-d nesting", nesting},
	{"random calls of four threads, VT-d legacy", legacy},
};

KTAP_MAIN(cases)
