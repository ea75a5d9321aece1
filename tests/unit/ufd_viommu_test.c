/* SPDX-License-Identifier: MIT */
/* vIOMMUs, virtual devices, event queues, hardware queues, mmap, and NOIOMMU_GET_PA. */
#include "tests/unit/ufd_test_user.h"
#include "ufd/selftest.h"

#define BASE MOCK_APERTURE_START
#define TYPE IOMMU_VIOMMU_TYPE_SELFTEST
#define DATA (USER_PLAIN + 64 * PAGE)

struct scene {
	struct world world;
	uint32_t ioas, stdev, idev, parent, viommu, nested;
};

static int test_call(struct scene *scene, struct iommu_test_cmd *cmd, uint32_t op, uint32_t id)
{
	cmd->op = op;
	cmd->id = id;
	return call(&scene->world, IOMMU_TEST_CMD, cmd);
}

static int replace(struct scene *scene, uint32_t pt_id)
{
	struct iommu_test_cmd cmd = {.mock_domain_replace = {.pt_id = pt_id}};

	return test_call(scene, &cmd, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, scene->stdev);
}

static int trigger(struct scene *scene)
{
	struct iommu_test_cmd cmd = {.trigger_vevent = {scene->idev}};

	return test_call(scene, &cmd, IOMMU_TEST_OP_TRIGGER_VEVENT, 0);
}

static int hwpt(struct scene *scene, uint32_t pt, uint32_t flags, bool nested, uint32_t *out)
{
	struct iommu_hwpt_alloc arguments = {.flags = flags,
	                                     .dev_id = scene->idev,
	                                     .pt_id = pt,
	                                     .data_type = nested ? IOMMU_HWPT_DATA_SELFTEST : 0,
	                                     .data_len = nested ? 8 : 0,
	                                     .data_uptr = DATA};
	int error = call(&scene->world, IOMMU_HWPT_ALLOC, &arguments);

	*out = arguments.out_hwpt_id;
	return error;
}

static int viommu(struct scene *scene, uint32_t dev, uint32_t parent, uint32_t type, uint32_t bytes,
                  uint32_t *out)
{
	struct iommu_viommu_alloc arguments = {.type = type,
	                                       .dev_id = dev,
	                                       .hwpt_id = parent,
	                                       .data_len = bytes,
	                                       .data_uptr = bytes ? DATA : 0};
	int error = call(&scene->world, IOMMU_VIOMMU_ALLOC, &arguments);

	*out = arguments.out_viommu_id;
	return error;
}

static int vdevice(struct scene *scene, uint32_t vi, uint32_t dev, uint64_t id, uint32_t *out)
{
	struct iommu_vdevice_alloc arguments = {.viommu_id = vi, .dev_id = dev, .virt_id = id};
	int error = call(&scene->world, IOMMU_VDEVICE_ALLOC, &arguments);

	*out = arguments.out_vdevice_id;
	return error;
}

static void scene_init(struct scene *scene)
{
	struct world *world = &scene->world;
	struct iommu_test_cmd cmd = {0};

	world_init(world);
	scene->ioas = world_ioas(world);
	KTAP_EQUAL(test_call(scene, &cmd, IOMMU_TEST_OP_MOCK_DOMAIN, scene->ioas), 0);
	scene->stdev = cmd.mock_domain.out_stdev_id;
	scene->idev = cmd.mock_domain.out_idev_id;
	memset(test_user_at(&world->user, DATA), 0, PAGE);
	KTAP_EQUAL(hwpt(scene, scene->ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, false, &scene->parent),
	           0);
	KTAP_EQUAL(viommu(scene, scene->idev, scene->parent, TYPE, 0, &scene->viommu), 0);
	KTAP_EQUAL(hwpt(scene, scene->viommu, 0, true, &scene->nested), 0);
}

static void allocation(void)
{
	struct scene scene;
	struct ufd_mapping *mapping = NULL;
	uint32_t plain, id;
	pa_t memory;

	scene_init(&scene);
	struct world *world = &scene.world;
	KTAP_EQUAL(hwpt(&scene, scene.ioas, 0, false, &plain), 0);
	KTAP_EQUAL(viommu(&scene, 99, scene.parent, TYPE, 0, &id), -ENOENT);
	KTAP_EQUAL(viommu(&scene, scene.idev, 0, TYPE, 0, &id), -ENOENT);
	KTAP_EQUAL(viommu(&scene, scene.idev, scene.nested, TYPE, 0, &id), -ENOENT);
	KTAP_EQUAL(viommu(&scene, scene.idev, plain, TYPE, 0, &id), -EINVAL);
	KTAP_EQUAL(viommu(&scene, scene.idev, scene.parent, 0, 0, &id), -EOPNOTSUPP);
	KTAP_EQUAL(viommu(&scene, scene.idev, scene.parent, TYPE + 1, 0, &id), -EOPNOTSUPP);
	KTAP_EQUAL(viommu(&scene, scene.idev, scene.parent, TYPE, 7, &id), -EINVAL);
	/* longer than known: the rest must be zero, and no more than a page */
	uint8_t *bytes = test_user_at(&world->user, DATA);
	for (unsigned i = 0; i < 4; i++) {
		static const uint32_t at[] = {24, 255, 256, PAGE - 1};
		bytes[at[i]] = 1;
		KTAP_EQUAL(viommu(&scene, scene.idev, scene.parent, TYPE, PAGE, &id), -E2BIG);
		bytes[at[i]] = 0;
	}
	KTAP_EQUAL(viommu(&scene, scene.idev, scene.parent, TYPE, PAGE + 1, &id), -E2BIG);
	KTAP_EQUAL(viommu(&scene, scene.idev, scene.parent, TYPE, UINT32_MAX, &id), -E2BIG);
	KTAP_EQUAL(viommu(&scene, scene.idev, scene.parent, TYPE, PAGE, &id), 0);
	KTAP_EQUAL(world_destroy(world, id), 0);
	memset(bytes, 0, PAGE); /* it was answered */
	KTAP_EQUAL(world_destroy(world, scene.parent), -EBUSY);
	KTAP_EQUAL(world_destroy(world, scene.viommu), -EBUSY);
	/* flags and types of what is made in it */
	KTAP_EQUAL(hwpt(&scene, scene.viommu, 1u << 31, true, &id), -EOPNOTSUPP);
	KTAP_EQUAL(hwpt(&scene, scene.viommu, IOMMU_HWPT_ALLOC_NEST_PARENT, true, &id),
	           -EOPNOTSUPP);
	KTAP_EQUAL(hwpt(&scene, scene.viommu, 0, false, &id), -EOPNOTSUPP);

	/* its data goes round, and stands in the page that it shares */
	struct iommu_viommu_selftest *data = test_user_at(&world->user, DATA);
	data->in_data = 0xbeef;
	KTAP_EQUAL(viommu(&scene, scene.idev, scene.parent, TYPE, sizeof(*data), &id), 0);
	KTAP_EQUAL(data->out_data, 0xbeef);
	KTAP_EQUAL(data->out_mmap_length, PAGE);
	const uint64_t at = data->out_mmap_offset,
		       wrong[][2] = {
			       {at + PAGE, PAGE}, {at, 2 * PAGE}, {at, PAGE / 2},           {at, 0},
			       {0, PAGE},         {-PAGE, PAGE},  {UINT64_C(1) << 63, PAGE}};
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		KTAP_EQUAL(ufd_mmap(&world->ufd, world->fd, wrong[i][0], wrong[i][1], &memory,
		                    &mapping),
		           -ENXIO);
	KTAP_EQUAL(ufd_mmap(&world->ufd, world->cdev[0], at, PAGE, &memory, &mapping), -ENODEV);
	KTAP_EQUAL(ufd_mmap(&world->ufd, 99, at, PAGE, &memory, &mapping), -EBADF);
	KTAP_EQUAL(ufd_mmap(&world->ufd, world->fd, at, PAGE, &memory, &mapping), 0);
	KTAP_EQUAL(*(uint32_t *)iommu_os_va(&world->os.os, memory), 0xbeef);
	KTAP_EQUAL(world_destroy(world, id), -EBUSY);
	ufd_munmap(&world->ufd, mapping);
	KTAP_EQUAL(world_destroy(world, id), 0);
	/* a mapping keeps it all beyond the close */
	KTAP_EQUAL(viommu(&scene, scene.idev, scene.parent, TYPE, sizeof(*data), &id), 0);
	KTAP_EQUAL(ufd_mmap(&world->ufd, world->fd, data->out_mmap_offset, PAGE, &memory, &mapping),
	           0);
	KTAP_EQUAL(ufd_close(&world->ufd, world->fd), 0);
	KTAP_EQUAL(*(uint32_t *)iommu_os_va(&world->os.os, memory), 0xbeef);
	ufd_munmap(&world->ufd, mapping);
	world_end(world);
}

static void virtual_devices(void)
{
	struct scene scene;
	uint32_t id, other, second;

	scene_init(&scene);
	struct world *world = &scene.world;
	KTAP_EQUAL(vdevice(&scene, 99, scene.idev, 1, &id), -ENOENT);
	KTAP_EQUAL(vdevice(&scene, scene.viommu, 99, 1, &id), -ENOENT);
	KTAP_EQUAL(vdevice(&scene, scene.viommu, scene.idev, UINT64_C(1) << 32, &id), -EINVAL);
	KTAP_EQUAL(replace(&scene, scene.nested), -ENOENT); /* the vIOMMU does not know it */
	KTAP_EQUAL(vdevice(&scene, scene.viommu, scene.idev, UINT32_MAX, &id), 0);
	KTAP_EQUAL(vdevice(&scene, scene.viommu, scene.idev, 2, &other), -EEXIST);
	struct iommu_test_cmd cmd = {0};
	KTAP_EQUAL(test_call(&scene, &cmd, IOMMU_TEST_OP_MOCK_DOMAIN, scene.ioas), 0);
	uint32_t idev = cmd.mock_domain.out_idev_id, stdev = cmd.mock_domain.out_stdev_id;
	KTAP_EQUAL(vdevice(&scene, scene.viommu, idev, UINT32_MAX, &other), -EEXIST);
	KTAP_EQUAL(vdevice(&scene, scene.viommu, idev, 0, &other), 0);
	KTAP_EQUAL(replace(&scene, scene.nested), 0);
	KTAP_EQUAL(replace(&scene, scene.ioas), 0);
	KTAP_EQUAL(world_destroy(world, id), 0);
	KTAP_EQUAL(vdevice(&scene, scene.viommu, scene.idev, 3, &id), 0);

	/* invalidation by these ids, in order, as far as it goes */
	struct iommu_viommu_invalidate_selftest *entry = test_user_at(&world->user, DATA);
	struct iommu_hwpt_invalidate inv = {.hwpt_id = scene.viommu,
	                                    .data_uptr = DATA,
	                                    .data_type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
	                                    .entry_len = sizeof(*entry),
	                                    .entry_num = 3};
	entry[0] = (struct iommu_viommu_invalidate_selftest){0, 3, 2};
	entry[1] = (struct iommu_viommu_invalidate_selftest){1, 0, 0};
	entry[2] = (struct iommu_viommu_invalidate_selftest){0, 4, 0};
	KTAP_EQUAL(call(world, IOMMU_HWPT_INVALIDATE, &inv), -EINVAL);
	KTAP_EQUAL(inv.entry_num, 2);
	for (uint32_t i = 0; i < 4; i++) {
		struct iommu_test_cmd mine = {
			.check_dev_cache = {i, i == 2 ? 0 : IOMMU_TEST_DEV_CACHE_DEFAULT}};
		struct iommu_test_cmd its = {.check_dev_cache = {i, 0}};
		KTAP_EQUAL(test_call(&scene, &mine, IOMMU_TEST_OP_DEV_CHECK_CACHE, scene.idev), 0);
		KTAP_EQUAL(test_call(&scene, &its, IOMMU_TEST_OP_DEV_CHECK_CACHE, idev), 0);
	}
	entry[0].flags = 2;
	inv.entry_num = 1;
	KTAP_EQUAL(call(world, IOMMU_HWPT_INVALIDATE, &inv), -EOPNOTSUPP);
	entry[0] = (struct iommu_viommu_invalidate_selftest){0, 3, 4};
	inv.entry_num = 1;
	KTAP_EQUAL(call(world, IOMMU_HWPT_INVALIDATE, &inv), -EINVAL);

	/* the device goes: its vdevice is gone, its id is not given again */
	KTAP_EQUAL(world_destroy(world, stdev), 0);
	KTAP_EQUAL(world_destroy(world, other), -ENOENT);
	for (int i = 0; i < 8; i++)
		KTAP_CHECK(world_ioas(world) != other);
	KTAP_EQUAL(vdevice(&scene, scene.viommu, scene.idev, 0, &second), -EEXIST);
	KTAP_EQUAL(world_destroy(world, id), 0);
	KTAP_EQUAL(vdevice(&scene, scene.viommu, scene.idev, 0, &second), 0);
	world_end(world);
}

static int wakes, woken;

static void on_wake(void *ctx, int fd)
{
	(void)ctx;
	wakes++;
	woken = fd;
}

static int queue(struct scene *scene, uint32_t vi, uint32_t type, uint32_t depth,
                 struct iommu_veventq_alloc *out)
{
	*out = (struct iommu_veventq_alloc){.viommu_id = vi, .type = type, .veventq_depth = depth};
	return call(&scene->world, IOMMU_VEVENTQ_ALLOC, out);
}

static void events(void)
{
	struct scene scene;
	struct iommu_veventq_alloc first, other;
	uint32_t id;

	scene_init(&scene);
	struct world *world = &scene.world;
	const uint32_t type = IOMMU_VEVENTQ_TYPE_SELFTEST;
	const struct {
		uint32_t vi, type, depth;
		int result;
	} wrong[] = {
		{scene.viommu, type, 0, -EINVAL},
		{scene.viommu, type, (1 << 19) + 1, -EINVAL},
		{scene.viommu, 0, 2, -EOPNOTSUPP},
		{scene.viommu, type + 1, 2, -EOPNOTSUPP},
		{99, type, 2, -ENOENT},
		{scene.parent, type, 2, -ENOENT},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		KTAP_EQUAL(queue(&scene, wrong[i].vi, wrong[i].type, wrong[i].depth, &other),
		           wrong[i].result);
	KTAP_EQUAL(queue(&scene, scene.viommu, type, 2, &first), 0);
	KTAP_EQUAL(queue(&scene, scene.viommu, type, 2, &other), -EEXIST);
	const int fd = (int)first.out_veventq_fd;
	KTAP_EQUAL(vdevice(&scene, scene.viommu, scene.idev, 0x99, &id), 0);
	KTAP_EQUAL(trigger(&scene), -ENOENT); /* not attached to anything in the vIOMMU */
	KTAP_EQUAL(replace(&scene, scene.nested), 0);

	struct {
		struct iommufd_vevent_header header;
		uint32_t id;
	} *event = test_user_at(&world->user, DATA);
	KTAP_EQUAL(ufd_poll(&world->ufd, fd), 0);
	KTAP_EQUAL(ufd_read(&world->ufd, fd, DATA, 0), -EINVAL);
	KTAP_EQUAL(ufd_read(&world->ufd, fd, DATA, 7), -EINVAL);
	KTAP_EQUAL(ufd_read(&world->ufd, fd, DATA, 8), 0);
	KTAP_EQUAL(ufd_write(&world->ufd, fd, DATA, 8), -EINVAL);
	ufd_set_wake(&world->ufd, on_wake, NULL);
	wakes = 0;
	KTAP_EQUAL(trigger(&scene), 0);
	KTAP_CHECK(wakes == 1 && woken == fd);
	KTAP_EQUAL(ufd_poll(&world->ufd, fd), UFD_POLL_IN | UFD_POLL_RDNORM);
	KTAP_EQUAL(ufd_read(&world->ufd, fd, DATA, 8), -EINVAL); /* the event does not fit */
	KTAP_EQUAL(ufd_read(&world->ufd, fd, 0x1000, 12), -EFAULT);
	KTAP_EQUAL(ufd_read(&world->ufd, fd, UINT64_MAX - 8, 12), -EFAULT);
	KTAP_EQUAL(ufd_read(&world->ufd, fd, DATA, 23), 12);
	KTAP_CHECK(!event[0].header.flags && event[0].header.sequence == 0 && event[0].id == 0x99);
	/* two fit, the third is lost, and that is said after them */
	for (int i = 0; i < 4; i++)
		KTAP_EQUAL(trigger(&scene), 0);
	KTAP_EQUAL(ufd_read(&world->ufd, fd, DATA, 12), 12);
	KTAP_EQUAL(event[0].header.sequence, 1);
	KTAP_EQUAL(ufd_read(&world->ufd, fd, DATA, 36), 20);
	KTAP_EQUAL(event[0].header.sequence, 2);
	KTAP_EQUAL(event[1].header.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	KTAP_EQUAL(event[1].header.sequence, 4);
	KTAP_EQUAL(ufd_poll(&world->ufd, fd), 0);
	/* a loss that an event follows shows in its number only; so does one for want of memory */
	world->os.fail_at = world->os.allocations + 1;
	KTAP_EQUAL(trigger(&scene), 0);
	KTAP_EQUAL(ufd_poll(&world->ufd, fd), UFD_POLL_IN | UFD_POLL_RDNORM);
	KTAP_EQUAL(trigger(&scene), 0);
	KTAP_EQUAL(ufd_read(&world->ufd, fd, DATA, 64), 12);
	KTAP_EQUAL(event[0].header.sequence, 6);

	KTAP_EQUAL(ufd_ioctl(&world->ufd, fd, IOMMU_IOAS_ALLOC, USER_CALLS), -ENOTTY);
	KTAP_EQUAL(world_destroy(world, first.out_veventq_id), -EBUSY);
	KTAP_EQUAL(trigger(&scene), 0);
	KTAP_EQUAL(ufd_close(&world->ufd, fd), 0);
	KTAP_EQUAL(trigger(&scene), 0); /* nobody reads */
	KTAP_EQUAL(world_destroy(world, first.out_veventq_id), 0);
	KTAP_EQUAL(trigger(&scene), 0);
	KTAP_EQUAL(queue(&scene, scene.viommu, type, 1 << 19, &other), 0);
	/* the queue's descriptor keeps the context */
	KTAP_EQUAL(trigger(&scene), 0);
	KTAP_EQUAL(ufd_close(&world->ufd, world->fd), 0);
	KTAP_EQUAL(ufd_read(&world->ufd, (int)other.out_veventq_fd, DATA, 12), 12);
	world_end(world);
}

static int hw_queue(struct scene *scene, uint32_t type, uint32_t index, uint64_t at, uint64_t bytes,
                    uint32_t *out)
{
	struct iommu_hw_queue_alloc arguments = {.viommu_id = scene->viommu,
	                                         .type = type,
	                                         .index = index,
	                                         .nesting_parent_iova = at,
	                                         .length = bytes};
	int error = call(&scene->world, IOMMU_HW_QUEUE_ALLOC, &arguments);

	*out = arguments.out_hw_queue_id;
	return error;
}

static void hardware_queues(void)
{
	struct scene scene;
	const uint32_t type = IOMMU_HW_QUEUE_TYPE_SELFTEST;
	uint64_t bytes;
	uint32_t id[2];

	scene_init(&scene);
	struct world *world = &scene.world;
	KTAP_EQUAL(world_map(world, scene.ioas, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(world_map(world, scene.ioas, USER_PLAIN + PAGE, PAGE, BASE + PAGE), 0);
	KTAP_EQUAL(world_map(world, scene.ioas, USER_SCATTER, 2 * PAGE, BASE + 8 * PAGE), 0);
	const struct {
		uint32_t type, index;
		uint64_t at, bytes;
		int result;
	} wrong[] = {
		{0, 0, BASE, PAGE, -EOPNOTSUPP},
		{type + 1, 0, BASE, PAGE, -EOPNOTSUPP},
		{type, 0, BASE, 0, -EINVAL},
		{type, 0, UINT64_MAX, PAGE, -EOVERFLOW},
		{type, 0, BASE, 3 * PAGE, -ENOENT},
		{type, 0, BASE + 8 * PAGE, 2 * PAGE, -EFAULT}, /* not in one piece */
		{type, 1, BASE, PAGE, -EIO},
		{type, 2, BASE, PAGE, -EINVAL},
		{type, UINT32_MAX, BASE, PAGE, -EINVAL},
	};
	struct test_os before = world->os;
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		KTAP_EQUAL(hw_queue(&scene, wrong[i].type, wrong[i].index, wrong[i].at,
		                    wrong[i].bytes, &id[0]),
		           wrong[i].result);
	KTAP_EQUAL(world->os.objects, before.objects);
	KTAP_EQUAL(world->os.locks, before.locks);
	KTAP_EQUAL(hw_queue(&scene, type, 0, BASE, PAGE, &id[0]), 0);
	KTAP_EQUAL(hw_queue(&scene, type, 0, BASE, PAGE, &id[1]), -EEXIST);
	KTAP_EQUAL(world_unmap(world, scene.ioas, BASE, PAGE, &bytes), -EBUSY);
	KTAP_EQUAL(world_unmap(world, scene.ioas, 0, UINT64_MAX, &bytes), -EBUSY);
	KTAP_EQUAL(world_unmap(world, scene.ioas, BASE + PAGE, PAGE, &bytes), 0);
	KTAP_EQUAL(hw_queue(&scene, type, 1, BASE + PAGE / 2, PAGE / 2, &id[1]), 0);
	KTAP_EQUAL(world_destroy(world, id[0]), -EBUSY);
	KTAP_EQUAL(world_destroy(world, id[1]), 0);
	KTAP_EQUAL(world_destroy(world, id[0]), 0);
	KTAP_EQUAL(world_unmap(world, scene.ioas, BASE, PAGE, &bytes), 0);
	/* what is left goes with the context, in the right order */
	KTAP_EQUAL(world_map(world, scene.ioas, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(hw_queue(&scene, type, 0, BASE, PAGE, &id[0]), 0);
	KTAP_EQUAL(hw_queue(&scene, type, 1, BASE, PAGE, &id[1]), 0);
	world_end(world);
}

static void physical_addresses(void)
{
	struct scene scene;

	scene_init(&scene);
	struct world *world = &scene.world;
	uint32_t bare = world_ioas(world);
	KTAP_EQUAL(world_map(world, bare, USER_PLAIN, PAGE, BASE), 0); /* nothing pins this */
	KTAP_EQUAL(world_map(world, scene.ioas, USER_PLAIN, 2 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(world, scene.ioas, USER_PLAIN + 2 * PAGE, PAGE, BASE + 2 * PAGE), 0);
	KTAP_EQUAL(world_map(world, scene.ioas, USER_SCATTER, 2 * PAGE, BASE + 3 * PAGE), 0);
	const uint64_t memory = (uintptr_t)world->user.block;
	const struct {
		uint32_t ioas;
		uint64_t at, length;
		int result;
		uint64_t found, memory;
	} cases[] = {
		{scene.ioas, BASE, 1, 0, 1, memory},
		{scene.ioas, BASE, PAGE - 1, 0, PAGE - 1, memory},
		{scene.ioas, BASE, PAGE, 0, PAGE, memory},
		{scene.ioas, BASE + 100, 1 << 30, 0, 3 * PAGE - 100, memory + 100},
		{scene.ioas, BASE + 5 * PAGE - 1, 2, 0, 1, memory + USER_BYTES - PAGE - 1},
		{scene.ioas, BASE + 5 * PAGE, 1, -ENOENT, 1, 0},
		{scene.ioas, BASE - 1, 2, -ENOENT, 2, 0},
		{scene.ioas, BASE, 0, -EINVAL, 0, 0},
		{scene.ioas, UINT64_MAX, 2, -EOVERFLOW, 2, 0},
		{scene.ioas, UINT64_C(1) << 63, 1, -ENOENT, 1, 0},
		{bare, BASE, 1, -ENOENT, 1, 0},
		{scene.parent, BASE, 1, -ENOENT, 1, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iommu_ioas_noiommu_get_pa get = {
			.ioas_id = cases[i].ioas, .iova = cases[i].at, .length = cases[i].length};
		KTAP_EQUAL(call(world, IOMMU_IOAS_NOIOMMU_GET_PA, &get), cases[i].result);
		KTAP_EQUAL(get.length, cases[i].found);
		KTAP_EQUAL(get.out_phys, cases[i].memory);
	}
	world_end(world);
}

static const struct ktap_case cases[] = {
	{"vIOMMUs: made, shared, mapped", allocation},
	{"virtual devices, and invalidation by their ids", virtual_devices},
	{"event queues, and what they lose", events},
	{"hardware queues own their memory", hardware_queues},
	{"physical addresses", physical_addresses},
};

KTAP_MAIN(cases)
