/* SPDX-License-Identifier: MIT */
/*
 * Several threads at once on what can race most: devices ask for pages while a user reads
 * and answers, and others attach, detach and invalidate; an access pins while another
 * thread unmaps. Every request is answered once, every pin is undone. Made for
 * ThreadSanitizer; it holds under the others as well.
 */
#include "tests/unit/ufd_test_user.h"

#include <pthread.h>

#define BASE UINT64_C(0x40000000)

enum { ROUNDS = 400, FAULT = IOMMU_HWPT_FAULT_ID_VALID, PASID = IOMMU_HWPT_ALLOC_PASID };

struct scene {
	struct world world;
	uint32_t ioas, parent, child[2], queue;
	int fd;
	bool done; /* atomic: nobody asks any more */
	long unexpected;
	struct ufd_access *access;
};

/** A place in user memory for one thread; the fields' order decides where. */
static uint64_t place(unsigned thread)
{
	return USER_PLAIN + (900 + thread) * PAGE;
}

static int thread_call(struct scene *scene, unsigned thread, int fd, uint32_t command,
                       void *arguments, size_t bytes)
{
	void *there = test_user_at(&scene->world.user, place(thread));

	memcpy(there, arguments, bytes);
	int result = ufd_ioctl(&scene->world.ufd, fd, command, place(thread));
	memcpy(arguments, there, bytes);
	return result;
}

static void expect(struct scene *scene, bool fine)
{
	__atomic_fetch_add(&scene->unexpected, !fine, __ATOMIC_RELAXED);
}

static void *ask_run(void *argument)
{
	struct scene *scene = argument;
	uint64_t seed = 5;

	for (unsigned round = 0; round < 4 * ROUNDS; round++) {
		uint64_t random = test_random(&seed);
		const struct iommu_page_request request = {
			.has_pasid = random & 1,
			.pasid = random & 1 ? 3 : 0,
			.group = random >> 8 & 7,
			.last = true,
			.address = iova(BASE),
			.access = IOMMU_READ,
		};
		ufd_mock_page_request(scene->world.device[random >> 16 & 1], &request);
	}
	__atomic_store_n(&scene->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void *answer_run(void *argument)
{
	struct scene *scene = argument;
	struct ufd *ufd = &scene->world.ufd;
	struct iommu_hwpt_pgfault *got = test_user_at(&scene->world.user, place(0));
	uint64_t response_at = place(0) + 2048;
	struct iommu_hwpt_page_response *response = test_user_at(&scene->world.user, response_at);

	for (;;) {
		bool done = __atomic_load_n(&scene->done, __ATOMIC_ACQUIRE);
		int64_t bytes = ufd_read(ufd, scene->fd, place(0), 8 * sizeof(*got));
		expect(scene, bytes >= 0);
		for (int64_t i = 0; i < bytes / (int64_t)sizeof(*got); i++) {
			*response = (struct iommu_hwpt_page_response){got[i].cookie, i & 1};
			int64_t written = ufd_write(ufd, scene->fd, response_at, sizeof(*response));
			/* a detach may have answered it meanwhile */
			expect(scene, written == sizeof(*response) || written == -EINVAL);
		}
		expect(scene, ufd_poll(ufd, scene->fd) & UFD_POLL_OUT);
		if (done && bytes <= 0)
			return NULL;
	}
}

static void *attach_run(void *argument)
{
	struct scene *scene = argument;
	struct world *world = &scene->world;
	uint64_t seed = 9;

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t random = test_random(&seed);
		int cdev = world->cdev[random >> 8 & 1];
		uint32_t pasid = random & 1 ? 3 : 0, flags = random & 1;
		if (random & 2) {
			struct vfio_device_attach_iommufd_pt attach = {
				sizeof(attach), flags, scene->child[random >> 9 & 1], pasid};
			expect(scene, !thread_call(scene, 1, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
			                           &attach, sizeof(attach)));
		} else {
			struct vfio_device_detach_iommufd_pt detach = {sizeof(detach), flags,
			                                               pasid};
			expect(scene, !thread_call(scene, 1, cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
			                           &detach, sizeof(detach)));
		}
	}
	return NULL;
}

static void *invalidate_run(void *argument)
{
	struct scene *scene = argument;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct iommu_hwpt_invalidate invalidate = {
			.size = sizeof(invalidate),
			.hwpt_id = scene->child[round & 1],
			.data_uptr = place(3), /* all zero */
			.data_type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
			.entry_len = 8,
			.entry_num = 2,
		};
		expect(scene, !thread_call(scene, 2, scene->world.fd, IOMMU_HWPT_INVALIDATE,
		                           &invalidate, sizeof(invalidate)));
		expect(scene, invalidate.entry_num == 2);
	}
	return NULL;
}

static void run(struct scene *scene, void *(*const *threads)(void *), unsigned count)
{
	pthread_t thread[4];

	for (unsigned i = 0; i < count; i++)
		KTAP_EQUAL(pthread_create(&thread[i], NULL, threads[i], scene), 0);
	for (unsigned i = 0; i < count; i++)
		KTAP_EQUAL(pthread_join(thread[i], NULL), 0);
	KTAP_EQUAL(scene->unexpected, 0);
}

static void page_requests(void)
{
	static void *(*const threads[])(void *) = {ask_run, answer_run, attach_run, invalidate_run};
	struct scene scene = {0};
	struct world *world = &scene.world;
	struct iommu_fault_alloc alloc = {0};

	world_init(world);
	KTAP_EQUAL(world_bind(world, 0), 0);
	KTAP_EQUAL(world_bind(world, 1), 0);
	scene.ioas = world_ioas(world);
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene.ioas, PASID | IOMMU_HWPT_ALLOC_NEST_PARENT,
	                      &scene.parent),
	           0);
	KTAP_EQUAL(call(world, IOMMU_FAULT_QUEUE_ALLOC, &alloc), 0);
	scene.queue = alloc.out_fault_id;
	scene.fd = (int)alloc.out_fault_fd;
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_nested(world, scene.parent, PASID | FAULT, scene.queue,
		                        &scene.child[i]),
		           0);
	run(&scene, threads, 4);
	KTAP_EQUAL(world_info(world, scene.queue).waiting, 0);
	uint64_t answers = 0;
	for (int i = 0; i < 2; i++) {
		struct ufd_mock_answer answer;
		ufd_mock_answer(world->device[i], &answer);
		answers += answer.count;
	}
	KTAP_EQUAL(answers, 4 * ROUNDS);
	world_end(world);
}

/* ---- an access ------------------------------------------------------------------------ */

static void let_go(void *ctx, iova_t first, uint64_t bytes)
{
	const struct scene *scene = ctx;

	(void)first;
	(void)bytes;
	ufd_access_unpin(scene->access, iova(BASE), 2 * PAGE);
}

static const struct ufd_access_ops ops = {.unmap = let_go};

static void *pin_run(void *argument)
{
	struct scene *scene = argument;
	struct iommu_extent extent[2];
	char text[16] = "access";
	size_t count;

	for (unsigned round = 0; round < ROUNDS; round++) {
		int error = ufd_access_pin(scene->access, iova(BASE), 2 * PAGE, IOMMU_WRITE, extent,
		                           2, &count);
		expect(scene, !error || error == -ENOENT);
		error = ufd_access_copy(scene->access, iova(BASE + PAGE - 8), text, sizeof(text),
		                        round & 1 ? IOMMU_WRITE : IOMMU_READ);
		expect(scene, !error || error == -ENOENT);
		if (round % 3 == 0)
			ufd_access_unpin(scene->access, iova(BASE), 2 * PAGE);
	}
	return NULL;
}

static void *map_run(void *argument)
{
	struct scene *scene = argument;

	for (unsigned round = 0; round < ROUNDS; round++) {
		struct iommu_ioas_map map = {sizeof(map),  1 | RW,   scene->ioas, 0,
		                             USER_SCATTER, 2 * PAGE, BASE};
		struct iommu_ioas_unmap unmap = {sizeof(unmap), scene->ioas, BASE, 2 * PAGE};
		expect(scene,
		       !thread_call(scene, 1, scene->world.fd, IOMMU_IOAS_MAP, &map, sizeof(map)));
		int error;
		do /* the other may pin again each time that it was asked */
			error = thread_call(scene, 1, scene->world.fd, IOMMU_IOAS_UNMAP, &unmap,
			                    sizeof(unmap));
		while (error == -EDEADLK);
		expect(scene, !error);
	}
	return NULL;
}

static void *replace_run(void *argument)
{
	struct scene *scene = argument;

	for (unsigned round = 0; round < ROUNDS; round++) {
		int error =
			ufd_access_replace(scene->access, round & 1 ? scene->ioas : scene->queue);
		expect(scene, !error);
	}
	return NULL;
}

static void accesses(void)
{
	static void *(*const threads[])(void *) = {pin_run, map_run, replace_run};
	struct scene scene = {0};
	struct world *world = &scene.world;
	uint32_t hwpt;

	world_init(world);
	KTAP_EQUAL(world_bind(world, 0), 0);
	scene.ioas = world_ioas(world);
	scene.queue = world_ioas(world); /* another IOAS */
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene.ioas, 0, &hwpt), 0);
	KTAP_EQUAL(ufd_access_new(&world->ufd, world->fd, &ops, &scene, &scene.access), 0);
	KTAP_EQUAL(ufd_access_attach(scene.access, scene.ioas), 0);
	run(&scene, threads, 3);
	ufd_access_free(scene.access);
	KTAP_EQUAL(world->user.pinned, 0);
	world_end(world);
}

static const struct ktap_case cases[] = {
	{"page requests, answers, attach, detach, invalidate", page_requests},
	{"pin, copy, map, unmap, replace", accesses},
};

KTAP_MAIN(cases)
