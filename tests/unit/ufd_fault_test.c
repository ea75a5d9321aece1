/* SPDX-License-Identifier: MIT */
/*
 * Fault queues: page requests as a user reads them, its answers as the device gets them,
 * and that every request is answered once, whoever leaves first.
 */
#include "tests/unit/ufd_test_user.h"

#define BASE    UINT64_C(0x40000000)
#define MESSAGE sizeof(struct iommu_hwpt_pgfault)
#define ANSWER  sizeof(struct iommu_hwpt_page_response)

enum { FAULT = IOMMU_HWPT_FAULT_ID_VALID, PASID = IOMMU_HWPT_ALLOC_PASID };

/** A parent, and two nested HWPTs with the queue. */
struct scene {
	struct world world;
	uint32_t ioas, parent, child[2], queue;
	int fd;
};

static int queue_alloc(struct world *world, uint32_t *id, int *fd)
{
	struct iommu_fault_alloc alloc = {0};
	int result = call(world, IOMMU_FAULT_QUEUE_ALLOC, &alloc);

	*id = alloc.out_fault_id;
	*fd = (int)alloc.out_fault_fd;
	return result;
}

static void scene_init(struct scene *scene)
{
	struct world *world = &scene->world;

	world_init(world);
	KTAP_EQUAL(world_bind(world, 0), 0);
	KTAP_EQUAL(world_bind(world, 1), 0);
	scene->ioas = world_ioas(world);
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene->ioas,
	                      PASID | IOMMU_HWPT_ALLOC_NEST_PARENT, &scene->parent),
	           0);
	KTAP_EQUAL(queue_alloc(world, &scene->queue, &scene->fd), 0);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_nested(world, scene->parent, PASID | FAULT, scene->queue,
		                        &scene->child[i]),
		           0);
}

/** A request of device @p which in @p group at @p at. */
static void ask(struct scene *scene, int which, uint32_t pasid, uint16_t group, bool last,
                uint64_t at)
{
	const struct iommu_page_request request = {
		.has_pasid = pasid,
		.pasid = pasid,
		.group = group,
		.last = last,
		.address = iova(at),
		.access = IOMMU_READ,
	};

	ufd_mock_page_request(scene->world.device[which], &request);
}

static struct ufd_mock_answer answer_of(struct scene *scene, int which)
{
	struct ufd_mock_answer answer;

	ufd_mock_answer(scene->world.device[which], &answer);
	return answer;
}

static int64_t receive(struct scene *scene, struct iommu_hwpt_pgfault *out, unsigned messages)
{
	int64_t result = ufd_read(&scene->world.ufd, scene->fd, USER_PLAIN, messages * MESSAGE);

	if (result > 0)
		memcpy(out, test_user_at(&scene->world.user, USER_PLAIN), (size_t)result);
	return result;
}

static int64_t respond(struct scene *scene, const struct iommu_hwpt_page_response *response,
                       unsigned count)
{
	memcpy(test_user_at(&scene->world.user, USER_PLAIN), response, count * ANSWER);
	return ufd_write(&scene->world.ufd, scene->fd, USER_PLAIN, count * ANSWER);
}

static int64_t respond_one(struct scene *scene, uint32_t cookie, uint32_t code)
{
	const struct iommu_hwpt_page_response response = {cookie, code};

	return respond(scene, &response, 1);
}

static int polled(struct scene *scene)
{
	return ufd_poll(&scene->world.ufd, scene->fd);
}

static uint32_t waiting(struct scene *scene)
{
	return world_info(&scene->world, scene->queue).waiting;
}

static void allocation(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	uint32_t hwpt, other;
	int fd;

	scene_init(&scene);
	const uint32_t device = world->id[0], queue = scene.queue;
	struct iommu_fault_alloc alloc = {.flags = 1};
	KTAP_EQUAL(call(world, IOMMU_FAULT_QUEUE_ALLOC, &alloc), -EOPNOTSUPP);
	KTAP_EQUAL(scene.fd, 6);
	KTAP_CHECK(world_info(world, queue).kind == UFD_FAULT_QUEUE);
	KTAP_CHECK(!strcmp(ufd_kind_name(UFD_FAULT_QUEUE), "fault queue"));
	KTAP_EQUAL(world_info(world, queue).users, 3);
	KTAP_EQUAL(world_info(world, scene.child[0]).fault_id, queue);
	KTAP_EQUAL(world_info(world, scene.parent).fault_id, 0);

	/* HWPT_ALLOC with it */
	const struct {
		uint32_t pt, flags, fault;
		int result;
	} cases[] = {
		{scene.parent, FAULT, 0, -ENOENT},
		{scene.parent, FAULT, UINT32_MAX, -ENOENT},
		{scene.parent, FAULT, scene.ioas, -ENOENT},
		{scene.parent, FAULT | IOMMU_HWPT_ALLOC_NEST_PARENT, queue, -EOPNOTSUPP},
		{scene.parent, FAULT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING, queue, -EOPNOTSUPP},
		{scene.parent, FAULT | 16, queue, -EOPNOTSUPP},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		KTAP_EQUAL(world_nested(world, cases[i].pt, cases[i].flags, cases[i].fault, &hwpt),
		           cases[i].result);
		KTAP_EQUAL(world_info(world, queue).users, 3);
		KTAP_EQUAL(world_info(world, scene.parent).users, 2);
	}
	struct iommu_hwpt_alloc plain = {
		.flags = FAULT, .dev_id = device, .pt_id = scene.ioas, .fault_id = queue};
	KTAP_EQUAL(call(world, IOMMU_HWPT_ALLOC, &plain), 0);
	KTAP_EQUAL(world_info(world, plain.out_hwpt_id).fault_id, queue);
	KTAP_EQUAL(world_destroy(world, plain.out_hwpt_id), 0);
	plain.flags = FAULT | IOMMU_HWPT_ALLOC_NEST_PARENT;
	KTAP_EQUAL(call(world, IOMMU_HWPT_ALLOC, &plain), -EOPNOTSUPP);
	plain.flags = 0;
	plain.fault_id = 99; /* not looked at without the flag */
	KTAP_EQUAL(call(world, IOMMU_HWPT_ALLOC, &plain), 0);
	KTAP_EQUAL(world_info(world, plain.out_hwpt_id).fault_id, 0);

	/* what keeps a queue alive: its HWPTs and its descriptor */
	KTAP_EQUAL(world_destroy(world, queue), -EBUSY);
	KTAP_EQUAL(queue_alloc(world, &other, &fd), 0);
	KTAP_EQUAL(fd, 7);
	KTAP_EQUAL(world_destroy(world, other), -EBUSY);
	KTAP_EQUAL(ufd_close(&world->ufd, fd), 0);
	KTAP_EQUAL(world_info(world, other).users, 0);
	KTAP_EQUAL(world_destroy(world, other), 0);
	KTAP_EQUAL(ufd_close(&world->ufd, scene.fd), 0);
	KTAP_EQUAL(world_destroy(world, queue), -EBUSY);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_destroy(world, scene.child[i]), 0);
	KTAP_EQUAL(world_destroy(world, queue), 0);

	/* a queue's descriptor keeps /dev/iommu alive */
	KTAP_EQUAL(queue_alloc(world, &other, &fd), 0);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(ufd_close(&world->ufd, world->cdev[i]), 0);
	KTAP_EQUAL(ufd_close(&world->ufd, world->fd), 0);
	KTAP_EQUAL(ufd_poll(&world->ufd, fd), UFD_POLL_OUT);
	KTAP_EQUAL(ufd_read(&world->ufd, fd, USER_PLAIN, MESSAGE), 0);
	world_end(world);
}

static void descriptors(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	struct ufd *ufd = &world->ufd;

	scene_init(&scene);
	KTAP_EQUAL(ufd_ioctl(ufd, scene.fd, IOMMU_DESTROY, USER_CALLS), -ENOTTY);
	KTAP_EQUAL(ufd_read(ufd, 99, USER_PLAIN, 0), -EBADF);
	KTAP_EQUAL(ufd_write(ufd, -1, USER_PLAIN, 0), -EBADF);
	KTAP_EQUAL(ufd_poll(ufd, 100000), -EBADF);
	KTAP_EQUAL(ufd_read(ufd, world->fd, USER_PLAIN, MESSAGE), -EINVAL);
	KTAP_EQUAL(ufd_write(ufd, world->fd, USER_PLAIN, ANSWER), -EINVAL);
	KTAP_EQUAL(ufd_read(ufd, world->cdev[0], USER_PLAIN, MESSAGE), -EINVAL);
	KTAP_EQUAL(ufd_poll(ufd, world->fd), 0x145);
	KTAP_EQUAL(ufd_poll(ufd, world->cdev[0]), 0x145);
	/* a descriptor that is no /dev/iommu, where one is wanted */
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = scene.fd};
	KTAP_EQUAL(ufd_close(ufd, world->cdev[1]), 0);
	int cdev = ufd_open_device(ufd, world->device[1]);
	KTAP_EQUAL(world_call(world, cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind, sizeof(bind)), -EBADFD);
	struct ufd_object_info info;
	KTAP_EQUAL(ufd_object_get(ufd, scene.fd, 1, &info), -EBADF);
	world_end(world);
}

static void reading(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	struct ufd *ufd = &world->ufd;
	struct iommu_hwpt_pgfault got[8];

	scene_init(&scene);
	KTAP_EQUAL(world_attach(world, 0, scene.child[0], NULL), 0);
	KTAP_EQUAL(polled(&scene), UFD_POLL_OUT);
	KTAP_EQUAL(receive(&scene, got, 8), 0);

	/* one request, all its fields */
	const struct iommu_page_request full = {
		.group = 0x1ff,
		.last = true,
		.address = iova(UINT64_C(0xfffffffffffff000)),
		.access = IOMMU_READ | IOMMU_WRITE | IOMMU_EXEC,
		.privileged = true,
	};
	ufd_mock_page_request(world->device[0], &full);
	KTAP_EQUAL(polled(&scene), 0x45);
	KTAP_EQUAL(waiting(&scene), 1);
	for (unsigned bytes = 1; bytes < 3 * MESSAGE; bytes++)
		if (bytes % MESSAGE)
			KTAP_EQUAL(ufd_read(ufd, scene.fd, USER_PLAIN, bytes), -ESPIPE);
	KTAP_EQUAL(ufd_read(ufd, scene.fd, USER_PLAIN, 0), 0);
	KTAP_EQUAL(ufd_read(ufd, scene.fd, 0x1000, MESSAGE), -EFAULT);
	KTAP_EQUAL(ufd_read(ufd, scene.fd, UINT64_MAX - 7, MESSAGE), -EFAULT);
	KTAP_EQUAL(receive(&scene, got, 8), MESSAGE);
	KTAP_EQUAL(got[0].flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	KTAP_EQUAL(got[0].dev_id, world->id[0]);
	KTAP_EQUAL(got[0].pasid, 0);
	KTAP_EQUAL(got[0].grpid, 0x1ff);
	KTAP_EQUAL(got[0].perm, 0xf);
	KTAP_EQUAL(got[0].addr, UINT64_C(0xfffffffffffff000));
	KTAP_EQUAL(got[0].length, 0);
	KTAP_EQUAL(got[0].cookie, 1);
	KTAP_EQUAL(polled(&scene), UFD_POLL_OUT);
	KTAP_EQUAL(waiting(&scene), 1); /* for its answer */
	KTAP_EQUAL(receive(&scene, got, 8), 0);
	KTAP_EQUAL(answer_of(&scene, 0).count, 0);
	KTAP_EQUAL(respond_one(&scene, 1, 0), ANSWER);
	KTAP_EQUAL(answer_of(&scene, 0).count, 1);
	KTAP_EQUAL(answer_of(&scene, 0).group, 0x1ff);
	KTAP_EQUAL(answer_of(&scene, 0).answer, IOMMU_PAGE_SUCCESS);
	KTAP_EQUAL(waiting(&scene), 0);

	/* groups of one, three and two, woven together; read whole or not at all */
	ask(&scene, 0, 0, 7, false, BASE);
	KTAP_EQUAL(polled(&scene), UFD_POLL_OUT); /* not complete */
	ask(&scene, 0, 0, 8, true, 2 * BASE);
	ask(&scene, 0, 0, 9, false, 3 * BASE);
	ask(&scene, 0, 0, 7, false, BASE + PAGE);
	ask(&scene, 0, 0, 7, true, BASE + 2 * PAGE);
	ask(&scene, 0, 0, 9, true, 3 * BASE + PAGE);
	KTAP_EQUAL(waiting(&scene), 6);
	KTAP_EQUAL(receive(&scene, got, 3), MESSAGE);
	KTAP_EQUAL(got[0].grpid, 8);
	KTAP_EQUAL(receive(&scene, got, 2), 0); /* three do not fit */
	KTAP_EQUAL(polled(&scene), 0x45);
	KTAP_EQUAL(receive(&scene, got, 4), 3 * MESSAGE);
	for (unsigned i = 0; i < 3; i++) {
		KTAP_EQUAL(got[i].grpid, 7);
		KTAP_EQUAL(got[i].cookie, 2);
		KTAP_EQUAL(got[i].addr, BASE + i * PAGE);
		KTAP_EQUAL(got[i].flags, i == 2 ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0);
	}
	/* the place ends in the middle of a group: it is not lost, nor half read */
	const uint64_t end = USER_PLAIN + USER_BYTES;
	KTAP_EQUAL(ufd_read(ufd, scene.fd, end - MESSAGE, 2 * MESSAGE), -EFAULT);
	ask(&scene, 0, 0, 10, true, 0);
	ask(&scene, 0, 0, 11, true, 0);
	KTAP_EQUAL(ufd_read(ufd, scene.fd, end - 3 * MESSAGE, 4 * MESSAGE), 3 * MESSAGE);
	KTAP_EQUAL(receive(&scene, got, 8), MESSAGE);
	KTAP_EQUAL(got[0].grpid, 11);
	KTAP_EQUAL(got[0].cookie, 5);
	/* a cookie that is free again is the next */
	KTAP_EQUAL(respond_one(&scene, 3, 1), ANSWER);
	ask(&scene, 0, 0, 12, true, 0);
	KTAP_EQUAL(receive(&scene, got, 8), MESSAGE);
	KTAP_EQUAL(got[0].cookie, 3);
	world_end(world);
}

static void writing(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	struct ufd *ufd = &world->ufd;
	struct iommu_hwpt_pgfault got[8];

	scene_init(&scene);
	KTAP_EQUAL(world_attach(world, 0, scene.child[0], NULL), 0);
	for (uint16_t group = 1; group <= 4; group++)
		ask(&scene, 0, 0, group, true, BASE);
	KTAP_EQUAL(respond_one(&scene, 1, 0), -EINVAL); /* not read yet */
	KTAP_EQUAL(receive(&scene, got, 8), 4 * MESSAGE);
	for (unsigned bytes = 1; bytes < 3 * ANSWER; bytes++)
		if (bytes % ANSWER)
			KTAP_EQUAL(ufd_write(ufd, scene.fd, USER_PLAIN, bytes), -ESPIPE);
	KTAP_EQUAL(ufd_write(ufd, scene.fd, USER_PLAIN, 0), 0);
	KTAP_EQUAL(ufd_write(ufd, scene.fd, 0x1000, ANSWER), -EFAULT);
	KTAP_EQUAL(ufd_write(ufd, scene.fd, UINT64_MAX - 6, ANSWER), -EFAULT);
	KTAP_EQUAL(respond_one(&scene, 1, 2), -EINVAL);
	KTAP_EQUAL(respond_one(&scene, 1, UINT32_MAX), -EINVAL);
	KTAP_EQUAL(respond_one(&scene, 0, 0), -EINVAL);
	KTAP_EQUAL(respond_one(&scene, 5, 0), -EINVAL);
	KTAP_EQUAL(answer_of(&scene, 0).count, 0);
	/* as far as it goes: what is wrong stops it, and says nothing yet */
	const struct iommu_hwpt_page_response some[] = {{2, 1}, {9, 0}, {3, 0}};
	KTAP_EQUAL(respond(&scene, some, 3), ANSWER);
	KTAP_EQUAL(answer_of(&scene, 0).count, 1);
	KTAP_EQUAL(answer_of(&scene, 0).group, 2);
	KTAP_EQUAL(answer_of(&scene, 0).answer, IOMMU_PAGE_INVALID);
	KTAP_EQUAL(respond_one(&scene, 2, 0), -EINVAL); /* answered once */
	const uint64_t end = USER_PLAIN + USER_BYTES;
	*(struct iommu_hwpt_page_response *)test_user_at(&world->user, end - ANSWER) =
		(struct iommu_hwpt_page_response){4, 0};
	KTAP_EQUAL(ufd_write(ufd, scene.fd, end - ANSWER, 2 * ANSWER), ANSWER);
	KTAP_EQUAL(answer_of(&scene, 0).group, 4);
	/* in any order, several at once */
	const struct iommu_hwpt_page_response rest[] = {{3, 0}, {1, 0}};
	KTAP_EQUAL(respond(&scene, rest, 2), 2 * ANSWER);
	KTAP_EQUAL(answer_of(&scene, 0).count, 4);
	KTAP_EQUAL(answer_of(&scene, 0).group, 1);
	KTAP_EQUAL(waiting(&scene), 0);

	/* a unit that does not answer: the request is over all the same, and that is said */
	ask(&scene, 0, 0, 5, true, BASE);
	KTAP_EQUAL(receive(&scene, got, 8), MESSAGE);
	ufd_mock_break(world->device[0]->unit, true);
	long errors = world->os.log_count[IOMMU_LOG_ERROR];
	KTAP_EQUAL(respond_one(&scene, got[0].cookie, 0), ANSWER);
	KTAP_EQUAL(world->os.log_count[IOMMU_LOG_ERROR], errors + 1);
	KTAP_CHECK(strstr(world->os.last_log, "not answered"));
	ufd_mock_break(world->device[0]->unit, false);
	world_end(world);
}

/** Who has requests on the way: RID and PASID 3 of device 0, device 1; each once read,
 *  once not, and one that is incomplete. */
static void ask_all(struct scene *scene)
{
	struct world *world = &scene->world;
	struct iommu_hwpt_pgfault got[8];

	KTAP_EQUAL(world_attach(world, 0, scene->child[0], NULL), 0);
	KTAP_EQUAL(world_attach_pasid(world, 0, 3, scene->child[0], NULL), 0);
	KTAP_EQUAL(world_attach(world, 1, scene->child[0], NULL), 0);
	ask(scene, 0, 0, 1, true, BASE);
	ask(scene, 0, 3, 2, true, BASE);
	ask(scene, 1, 0, 3, true, BASE);
	KTAP_EQUAL(receive(scene, got, 8), 3 * MESSAGE);
	KTAP_EQUAL(got[1].flags, 3);
	KTAP_EQUAL(got[1].pasid, 3);
	KTAP_EQUAL(got[2].dev_id, world->id[1]);
	ask(scene, 0, 0, 4, true, BASE);
	ask(scene, 0, 3, 5, true, BASE);
	ask(scene, 1, 0, 6, true, BASE);
	ask(scene, 0, 0, 7, false, BASE);
	ask(scene, 0, 3, 7, false, BASE); /* not the same group */
	ask(scene, 1, 0, 7, false, BASE);
	KTAP_EQUAL(waiting(scene), 9);
	KTAP_EQUAL(answer_of(scene, 0).count, 0);
}

static void leaving(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	struct iommu_hwpt_pgfault got[8];

	/* detach: what this one asked is answered, the rest is not touched */
	scene_init(&scene);
	ask_all(&scene);
	KTAP_EQUAL(world_detach(world, 0), 0);
	KTAP_EQUAL(answer_of(&scene, 0).count, 2);
	KTAP_EQUAL(answer_of(&scene, 0).answer, IOMMU_PAGE_INVALID);
	KTAP_EQUAL(answer_of(&scene, 0).pasid, IOMMU_NO_PASID);
	KTAP_EQUAL(answer_of(&scene, 1).count, 0);
	KTAP_EQUAL(waiting(&scene), 6);
	KTAP_EQUAL(respond_one(&scene, 1, 0), -EINVAL);
	KTAP_EQUAL(world_detach_pasid(world, 0, 3), 0);
	KTAP_EQUAL(answer_of(&scene, 0).count, 4);
	KTAP_EQUAL(answer_of(&scene, 0).pasid, 3);
	KTAP_EQUAL(waiting(&scene), 3);
	KTAP_EQUAL(receive(&scene, got, 8), MESSAGE);
	KTAP_EQUAL(got[0].grpid, 6);
	KTAP_EQUAL(respond_one(&scene, 3, 0), ANSWER);
	KTAP_EQUAL(answer_of(&scene, 1).answer, IOMMU_PAGE_SUCCESS);
	/* without a domain, or one without a queue: the core answers */
	ask(&scene, 0, 0, 9, true, BASE);
	KTAP_EQUAL(answer_of(&scene, 0).count, 5);
	KTAP_EQUAL(world_attach(world, 0, scene.parent, NULL), 0);
	ask(&scene, 0, 0, 10, true, BASE);
	KTAP_EQUAL(answer_of(&scene, 0).count, 6);
	KTAP_EQUAL(answer_of(&scene, 0).answer, IOMMU_PAGE_INVALID);
	world_end(world);

	/* replace, by a HWPT with the same queue even */
	scene_init(&scene);
	ask_all(&scene);
	KTAP_EQUAL(world_attach(world, 0, scene.child[1], NULL), 0);
	KTAP_EQUAL(answer_of(&scene, 0).count, 2);
	KTAP_EQUAL(world_attach_pasid(world, 0, 3, scene.child[1], NULL), 0);
	KTAP_EQUAL(answer_of(&scene, 0).count, 4);
	KTAP_EQUAL(world_attach(world, 0, scene.child[1], NULL), 0); /* no change */
	ask(&scene, 0, 0, 7, true, BASE); /* the old first half is gone */
	KTAP_EQUAL(waiting(&scene), 4);
	KTAP_EQUAL(receive(&scene, got, 8), 2 * MESSAGE);
	KTAP_EQUAL(got[1].grpid, 7);
	KTAP_EQUAL(got[1].flags, IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	KTAP_EQUAL(respond_one(&scene, got[1].cookie, 0), ANSWER);
	KTAP_EQUAL(answer_of(&scene, 0).answer, IOMMU_PAGE_SUCCESS);
	world_end(world);

	/* the device's descriptor is closed */
	scene_init(&scene);
	ask_all(&scene);
	KTAP_EQUAL(ufd_close(&world->ufd, world->cdev[0]), 0);
	KTAP_EQUAL(answer_of(&scene, 0).count, 4);
	KTAP_EQUAL(waiting(&scene), 3);
	world_end(world);

	/* the queue's is: nobody can answer now, nor later */
	scene_init(&scene);
	ask_all(&scene);
	KTAP_EQUAL(ufd_close(&world->ufd, scene.fd), 0);
	KTAP_EQUAL(answer_of(&scene, 0).count, 4);
	KTAP_EQUAL(answer_of(&scene, 1).count, 2);
	KTAP_EQUAL(waiting(&scene), 0);
	ask(&scene, 0, 0, 20, true, BASE);
	KTAP_EQUAL(answer_of(&scene, 0).count, 5);
	KTAP_EQUAL(answer_of(&scene, 0).answer, IOMMU_PAGE_INVALID);
	ask(&scene, 0, 0, 21, false, BASE);
	KTAP_EQUAL(waiting(&scene), 0);
	world_end(world);

	/* all at once, with everything on the way */
	scene_init(&scene);
	ask_all(&scene);
	world_end(world);
}

static void limits(void)
{
	struct scene scene;
	struct world *world = &scene.world;

	scene_init(&scene);
	KTAP_EQUAL(world_attach(world, 0, scene.child[0], NULL), 0);
	/* a device that asks without end is refused, and memory is bounded */
	for (uint32_t i = 0; i < 16384; i++)
		ask(&scene, 0, 0, (uint16_t)(i % 2), false, BASE);
	KTAP_EQUAL(waiting(&scene), 16384);
	KTAP_EQUAL(answer_of(&scene, 0).count, 0);
	ask(&scene, 0, 0, 3, true, BASE);
	KTAP_EQUAL(answer_of(&scene, 0).count, 1);
	ask(&scene, 0, 0, 1, true, BASE); /* ends group 1, which cannot be complete */
	KTAP_EQUAL(answer_of(&scene, 0).count, 2);
	KTAP_EQUAL(waiting(&scene), 8192);
	ask(&scene, 0, 0, 3, true, BASE);
	KTAP_EQUAL(waiting(&scene), 8193);

	/* no memory: refused */
	world->os.fail_at = world->os.allocations + 1;
	ask(&scene, 0, 0, 4, true, BASE);
	KTAP_EQUAL(answer_of(&scene, 0).count, 3);
	world->os.fail_at = world->os.allocations + 2;
	ask(&scene, 0, 0, 5, false, BASE);
	KTAP_EQUAL(waiting(&scene), 8193);

	/* a device that cannot ask does not get a HWPT with a queue */
	world->device[1]->page_requests = false;
	KTAP_EQUAL(world_attach(world, 1, scene.child[0], NULL), -ENODEV);
	KTAP_EQUAL(world_attach_pasid(world, 1, 5, scene.child[0], NULL), -ENODEV);
	KTAP_EQUAL(world_attach(world, 1, scene.parent, NULL), 0);
	world_end(world);
}

static const struct ktap_case cases[] = {
	{"FAULT_QUEUE_ALLOC, and HWPTs with a queue", allocation},
	{"read, write and poll of other descriptors", descriptors},
	{"requests are read in whole groups", reading},
	{"answers by cookie", writing},
	{"who leaves is answered: detach, replace, close", leaving},
	{"limits: many requests, no memory, a device without requests", limits},
};

KTAP_MAIN(cases)
