/* SPDX-License-Identifier: MIT */
/*
 * More calls that the sweeps make, and what some need set up before the state is looked at: those
 * of vIOMMUs, and the operations of the self-test's command. See sweep_table.h.
 */
#ifndef TESTS_UNIT_SWEEP_SELFTEST_H
#define TESTS_UNIT_SWEEP_SELFTEST_H

#include "tests/unit/sweep_calls.h"

#define ROOM (USER_PLAIN + 906 * PAGE) /* for arrays and answers */

/* ---- vIOMMUs -------------------------------------------------------------------------- */

static inline int run_nested_in(struct scene *scene)
{
	struct iommu_hwpt_alloc alloc = scene_nested(scene, 0, 0);

	alloc.pt_id = scene->viommu;
	return call(scene->world, IOMMU_HWPT_ALLOC, &alloc);
}

/** Device 1 has a virtual id, and an event queue is there. */
static inline void set_up_vdevice(struct scene *scene)
{
	struct world *world = scene->world;
	struct iommu_vdevice_alloc vdevice = {
		.viommu_id = scene->viommu, .dev_id = world->id[1], .virt_id = 9};
	struct iommu_veventq_alloc queue = {.viommu_id = scene->viommu,
	                                    .type = IOMMU_VEVENTQ_TYPE_SELFTEST,
	                                    .veventq_depth = 4};
	struct iommu_hwpt_alloc alloc = scene_nested(scene, 0, 0);

	alloc.pt_id = scene->viommu;
	KTAP_EQUAL(call(world, IOMMU_VDEVICE_ALLOC, &vdevice), 0);
	KTAP_EQUAL(call(world, IOMMU_VEVENTQ_ALLOC, &queue), 0);
	KTAP_EQUAL(call(world, IOMMU_HWPT_ALLOC, &alloc), 0);
	scene->made = vdevice.out_vdevice_id;
	scene->made_fd = (int)queue.out_veventq_fd;
	scene->inner = alloc.out_hwpt_id;
}

static inline int run_attach_in(struct scene *scene)
{
	return world_attach(scene->world, 1, scene->inner, NULL);
}

static inline int run_trigger_event(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_TRIGGER_VEVENT,
	                              .trigger_vevent = {scene->world->id[1]}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

/** The same, attached. */
static inline void set_up_attached(struct scene *scene)
{
	set_up_vdevice(scene);
	KTAP_EQUAL(run_attach_in(scene), 0);
}

/** And an event lies there. */
static inline void set_up_event(struct scene *scene)
{
	set_up_attached(scene);
	KTAP_EQUAL(run_trigger_event(scene), 0);
}

static inline int run_event_read(struct scene *scene)
{
	int64_t bytes = ufd_read(&scene->world->ufd, scene->made_fd, ROOM, 100);

	return bytes == 12 ? 0 : (int)(bytes < 0 ? bytes : -EIO);
}

static inline int run_event_close(struct scene *scene)
{
	return ufd_close(&scene->world->ufd, scene->made_fd);
}

static inline int run_viommu_invalidate(struct scene *scene)
{
	struct iommu_viommu_invalidate_selftest *entry = test_user_at(&scene->world->user, ROOM);
	struct iommu_hwpt_invalidate invalidate = {
		.hwpt_id = scene->viommu,
		.data_uptr = ROOM,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
		.entry_len = sizeof(*entry),
		.entry_num = 2,
	};

	entry[0] = (struct iommu_viommu_invalidate_selftest){0, 9, 2};
	entry[1] = (struct iommu_viommu_invalidate_selftest){1, 9, 0};
	return call(scene->world, IOMMU_HWPT_INVALIDATE, &invalidate);
}

static inline void set_up_hw_queue(struct scene *scene)
{
	struct iommu_hw_queue_alloc alloc = {.viommu_id = scene->viommu,
	                                     .type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
	                                     .nesting_parent_iova = BASE,
	                                     .length = 2 * PAGE};

	KTAP_EQUAL(call(scene->world, IOMMU_HW_QUEUE_ALLOC, &alloc), 0);
	scene->made = alloc.out_hw_queue_id;
}

static inline int run_made_end(struct scene *scene)
{
	return world_destroy(scene->world, scene->made);
}

static inline int run_mmap(struct scene *scene)
{
	struct ufd *ufd = &scene->world->ufd;
	struct ufd_mapping *mapping;
	pa_t memory;

	int error = ufd_mmap(ufd, scene->world->fd, scene->shared, PAGE, &memory, &mapping);
	if (!error)
		ufd_munmap(ufd, mapping);
	return error;
}

/* ---- the self-test's operations --------------------------------------------------------- */

static inline int run_check_map(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_MD_CHECK_MAP,
	                              .id = scene->hwpt,
	                              .check_map = {BASE, 8 * PAGE, USER_PLAIN}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline int run_check_refs(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_MD_CHECK_REFS,
	                              .check_refs = {3 * PAGE, USER_PLAIN + 700 * PAGE, 0}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline int run_memory_limit(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
	                              .memory_limit = {65536}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline int run_test_access_replace(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
	                              .id = (uint32_t)scene->access_fd,
	                              .access_replace_ioas = {scene->other}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline void set_up_pages(struct scene *scene)
{
	struct iommu_test_cmd test = {
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = (uint32_t)scene->access_fd,
		.access_pages = {0, 0, BASE + 9 * PAGE, 3 * PAGE, USER_SCATTER + PAGE}};

	KTAP_EQUAL(call(scene->world, IOMMU_TEST_CMD, &test), 0);
	scene->pages = test.access_pages.out_access_pages_id;
}

static inline int run_pages_end(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
	                              .id = (uint32_t)scene->access_fd,
	                              .destroy_access_pages = {scene->pages}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline int run_test_flags(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, .id = scene->tested};

	test.mock_domain_flags.dev_flags = MOCK_FLAGS_DEVICE_PASID;
	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline int run_test_dirty(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_DIRTY,
	                              .id = scene->tracked,
	                              .dirty = {0, BASE, 8 * PAGE, PAGE, ROOM, 0}};

	*(uint8_t *)test_user_at(&scene->world->user, ROOM) = 0xf0;
	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline int run_check_iotlb(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_MD_CHECK_IOTLB,
	                              .id = scene->nested,
	                              .check_iotlb = {0, IOMMU_TEST_IOTLB_DEFAULT}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline int run_trigger_iopf(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_TRIGGER_IOPF,
	                              .trigger_iopf = {scene->world->id[1], 1, 2, 1, BASE}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline int run_check_cache(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_DEV_CHECK_CACHE,
	                              .id = scene->world->id[1],
	                              .check_dev_cache = {0, IOMMU_TEST_DEV_CACHE_DEFAULT}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

/** A device of the self-test's that has PASID 5. */
static inline void set_up_pasid(struct scene *scene)
{
	struct world *world = scene->world;
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, .id = scene->tested};

	test.mock_domain_flags.dev_flags = MOCK_FLAGS_DEVICE_PASID;
	KTAP_EQUAL(call(world, IOMMU_TEST_CMD, &test), 0);
	scene->made = test.mock_domain_flags.out_stdev_id;
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_hwpt(world, test.mock_domain_flags.out_idev_id, scene->tested,
		                      IOMMU_HWPT_ALLOC_PASID, &scene->made_hwpt[i]),
		           0);
	test = (struct iommu_test_cmd){.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, .id = scene->made};
	test.mock_domain_replace.pt_id = scene->made_hwpt[0];
	KTAP_EQUAL(call(world, IOMMU_TEST_CMD, &test), 0);
	test = (struct iommu_test_cmd){.op = IOMMU_TEST_OP_PASID_ATTACH, .id = scene->made};
	test.pasid_attach.pasid = 5;
	test.pasid_attach.pt_id = scene->made_hwpt[0];
	KTAP_EQUAL(call(world, IOMMU_TEST_CMD, &test), 0);
}

static inline int run_test_pasid(struct scene *scene, uint32_t op, uint32_t pasid, uint32_t hwpt)
{
	struct iommu_test_cmd test = {.op = op, .id = scene->made, .pasid_attach = {pasid, hwpt}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline int run_test_pasid_attach(struct scene *scene)
{
	return run_test_pasid(scene, IOMMU_TEST_OP_PASID_ATTACH, 6, scene->made_hwpt[1]);
}

static inline int run_test_pasid_replace(struct scene *scene)
{
	return run_test_pasid(scene, IOMMU_TEST_OP_PASID_REPLACE, 5, scene->made_hwpt[1]);
}

static inline int run_test_pasid_detach(struct scene *scene)
{
	return run_test_pasid(scene, IOMMU_TEST_OP_PASID_DETACH, 5, 0);
}

static inline int run_test_pasid_check(struct scene *scene)
{
	return run_test_pasid(scene, IOMMU_TEST_OP_PASID_CHECK_HWPT, 5, scene->made_hwpt[0]);
}

static inline int run_lend(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_DMABUF_GET, .dmabuf_get = {4 * PAGE, 2}};

	return positive_is_fine(call(scene->world, IOMMU_TEST_CMD, &test));
}

static inline void set_up_loan(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_DMABUF_GET, .dmabuf_get = {4 * PAGE, 2}};

	scene->made_fd = call(scene->world, IOMMU_TEST_CMD, &test);
	KTAP_CHECK(scene->made_fd >= 0);
}

static inline int run_map_loan(struct scene *scene)
{
	struct iommu_ioas_map_file map = {
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RW,
		.ioas_id = scene->ioas,
		.fd = scene->made_fd,
		.length = 4 * PAGE,
		.iova = 32 * BASE,
	};

	return call(scene->world, IOMMU_IOAS_MAP_FILE, &map);
}

static inline void set_up_mapped_loan(struct scene *scene)
{
	set_up_loan(scene);
	KTAP_EQUAL(run_map_loan(scene), 0);
}

static inline int run_revoke(struct scene *scene)
{
	struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_DMABUF_REVOKE,
	                              .dmabuf_revoke = {scene->made_fd, 1}};

	return call(scene->world, IOMMU_TEST_CMD, &test);
}

/* ---- more of the ordinary calls ---------------------------------------------------------- */

static inline int run_option_get(struct scene *scene)
{
	struct iommu_option option = {.option_id = IOMMU_OPTION_RLIMIT_MODE,
	                              .op = IOMMU_OPTION_OP_GET};

	return call(scene->world, IOMMU_OPTION, &option);
}

/** An access has pinned a part, and lets go when it is asked to. */
static inline void set_up_pinned(struct scene *scene)
{
	KTAP_EQUAL(run_access_pin(scene), 0);
}

static inline int run_close(struct scene *scene)
{
	return ufd_close(&scene->world->ufd, scene->world->fd);
}

/** What a device wrote is there to be read. */
static inline int run_track_on(struct scene *scene)
{
	struct iommu_hwpt_set_dirty_tracking track = {.hwpt_id = scene->tracked,
	                                              .flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE};

	return call(scene->world, IOMMU_HWPT_SET_DIRTY_TRACKING, &track);
}

static inline void set_up_untracked(struct scene *scene)
{
	KTAP_EQUAL(run_track_off(scene), 0);
}

static inline void set_up_bound(struct scene *scene)
{
	KTAP_EQUAL(run_bind(scene), 0);
}

/** The first attach of a device: it leaves what blocked it. */
static inline int run_first_attach(struct scene *scene)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach),
	                                               .pt_id = scene->other};

	return world_call(scene->world, scene->sweep.cdev2, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach,
	                  sizeof(attach));
}

static inline int run_map_readonly(struct scene *scene)
{
	struct iommu_ioas_map map = {
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.ioas_id = scene->third, /* parents of nested HWPTs refuse it */
		.user_va = USER_READONLY + 3 * PAGE,
		.length = 9 * PAGE,
		.iova = 16 * BASE,
	};

	return call(scene->world, IOMMU_IOAS_MAP, &map);
}

static inline int run_destroy_nested(struct scene *scene)
{
	return world_destroy(scene->world, scene->nested);
}

static inline void set_up_unused_nested(struct scene *scene)
{
	if (!(scene->can & CAN_FAULT)) /* then it is attached */
		KTAP_EQUAL(world_attach(scene->world, 1, scene->hwpt, NULL), 0);
}

#endif
