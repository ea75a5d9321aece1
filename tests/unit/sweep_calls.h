/* SPDX-License-Identifier: MIT */
/*
 * The calls that the sweeps make, each with arguments that succeed: see sweep_table.h. More of
 * them: sweep_selftest.h.
 */
#ifndef TESTS_UNIT_SWEEP_CALLS_H
#define TESTS_UNIT_SWEEP_CALLS_H

#include "tests/unit/sweep_scene.h"

#include "ufd/nestor.h"
#include "ufd/vfio_type1.h"

/* ---- the calls --------------------------------------------------------------------------- */

static inline int positive_is_fine(int result)
{
	return result < 0 ? result : 0;
}

static inline int run_open(struct scene *scene)
{
	return positive_is_fine(ufd_open(&scene->world->ufd));
}

static inline int run_open_device(struct scene *scene)
{
	return positive_is_fine(ufd_open_device(&scene->world->ufd, scene->sweep.device2));
}

static inline int run_bind(struct scene *scene)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = scene->world->fd};

	return world_call(scene->world, scene->sweep.cdev2, VFIO_DEVICE_BIND_IOMMUFD, &bind,
	                  sizeof(bind));
}

static inline int run_ioas_alloc(struct scene *scene)
{
	struct iommu_ioas_alloc alloc = {0};

	return call(scene->world, IOMMU_IOAS_ALLOC, &alloc);
}

static inline int run_map(struct scene *scene)
{
	return world_map(scene->world, scene->ioas, USER_SCATTER + 64 * PAGE, 20 * PAGE, 16 * BASE);
}

static inline int run_map_large(struct scene *scene)
{
	return world_map(scene->world, scene->ioas, USER_PLAIN, 513 * PAGE, 16 * BASE);
}

static inline int run_map_any(struct scene *scene)
{
	uint64_t at;

	return world_map_any(scene->world, scene->ioas, USER_PLAIN + PAGE, 700 * PAGE, &at);
}

static inline int run_map_alone(struct scene *scene)
{
	return world_map(scene->world, scene->empty, USER_PLAIN, 3, 5);
}

static inline int run_map_file(struct scene *scene)
{
	struct iommu_ioas_map_file map = {
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | RW,
		.ioas_id = scene->ioas,
		.fd = FILE_FD,
		.length = 5 * PAGE,
		.iova = 32 * BASE,
	};

	return call(scene->world, IOMMU_IOAS_MAP_FILE, &map);
}

static inline int run_copy(struct scene *scene)
{
	return world_copy(scene->world, scene->ioas, BASE + PAGE, scene->ioas, 32 * BASE, 4 * PAGE,
	                  RW);
}

static inline int run_copy_across(struct scene *scene)
{
	return world_copy(scene->world, scene->other, BASE + PAGE, scene->ioas, 32 * BASE,
	                  10 * PAGE, RW);
}

static inline int run_allow(struct scene *scene)
{
	uint64_t at = USER_PLAIN + 903 * PAGE;
	struct iommu_iova_range *range = test_user_at(&scene->world->user, at);
	struct iommu_ioas_allow_iovas allow = {
		.ioas_id = scene->ioas, .num_iovas = 9, .allowed_iovas = at};

	for (uint64_t i = 0; i < 9; i++)
		range[i] = (struct iommu_iova_range){i * PAGE, i * PAGE + 100};
	return call(scene->world, IOMMU_IOAS_ALLOW_IOVAS, &allow);
}

static inline int run_ranges(struct scene *scene)
{
	struct iommu_ioas_iova_ranges list = {
		.ioas_id = scene->ioas, .num_iovas = 64, .allowed_iovas = USER_PLAIN + 903 * PAGE};

	return call(scene->world, IOMMU_IOAS_IOVA_RANGES, &list);
}

static inline int run_option(struct scene *scene)
{
	struct iommu_option option = {.option_id = IOMMU_OPTION_HUGE_PAGES,
	                              .object_id = scene->empty};

	return call(scene->world, IOMMU_OPTION, &option);
}

/** Of the IOAS that has HWPTs: @p count unmaps wait for one flush. */
static inline int set_deferred(struct scene *scene, uint64_t count)
{
	struct iommu_option option = {.option_id = IOMMU_OPTION_NESTOR_DEFER_COUNT,
	                              .object_id = scene->ioas,
	                              .val64 = count};

	return call(scene->world, IOMMU_OPTION, &option);
}

static inline int run_option_defer(struct scene *scene)
{
	return set_deferred(scene, 9);
}

/** The first fills the list. */
static inline void set_up_deferred(struct scene *scene)
{
	KTAP_EQUAL(set_deferred(scene, 1), 0);
}

static inline int run_vfio_ioas(struct scene *scene)
{
	struct iommu_vfio_ioas set = {.ioas_id = scene->ioas, .op = IOMMU_VFIO_IOAS_SET};

	return call(scene->world, IOMMU_VFIO_IOAS, &set);
}

static inline int run_change_process(struct scene *scene)
{
	struct iommu_ioas_change_process change = {0};
	bool armed = scene->sweep.armed;

	/* memory of programs must not be there, only files */
	scene->sweep.armed = false;
	KTAP_EQUAL(world_unmap(scene->world, scene->ioas, 0, UINT64_MAX, NULL), 0);
	KTAP_EQUAL(world_unmap(scene->world, scene->other, 0, UINT64_MAX, NULL), 0);
	KTAP_EQUAL(world_unmap(scene->world, scene->third, 0, UINT64_MAX, NULL), 0);
	scene->sweep.armed = armed;
	return call(scene->world, IOMMU_IOAS_CHANGE_PROCESS, &change);
}

static inline int run_hwpt(struct scene *scene)
{
	uint32_t hwpt;

	return world_hwpt(scene->world, scene->world->id[0], scene->ioas, 0, &hwpt);
}

static inline int run_first_hwpt(struct scene *scene)
{
	uint32_t hwpt;

	return world_hwpt(scene->world, scene->world->id[0], scene->other, 0, &hwpt);
}

static inline int run_parent(struct scene *scene)
{
	uint32_t hwpt;

	return world_hwpt(scene->world, scene->world->id[0], scene->ioas,
	                  IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt);
}

static inline int run_nested(struct scene *scene)
{
	struct iommu_hwpt_alloc alloc = scene_nested(scene, 0, 0);

	return call(scene->world, IOMMU_HWPT_ALLOC, &alloc);
}

static inline int run_asking(struct scene *scene)
{
	struct iommu_hwpt_alloc alloc =
		scene_nested(scene, IOMMU_HWPT_FAULT_ID_VALID, scene->queue);

	return call(scene->world, IOMMU_HWPT_ALLOC, &alloc);
}

static inline int run_invalidate(struct scene *scene)
{
	bool vtd = scene->sweep.driver->preset;
	uint64_t at = USER_PLAIN + 903 * PAGE;
	struct iommu_hwpt_invalidate invalidate = {
		.hwpt_id = scene->nested,
		.data_uptr = at,
		.data_type = vtd ? IOMMU_HWPT_INVALIDATE_DATA_VTD_S1
	                         : IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
		.entry_len = vtd ? 24 : 8,
		.entry_num = 3,
	};
	struct iommu_hwpt_vtd_s1_invalidate *entry = test_user_at(&scene->world->user, at);

	memset(entry, 0, 3 * sizeof(*entry));
	for (int i = 0; i < 3 && vtd; i++)
		entry[i] = (struct iommu_hwpt_vtd_s1_invalidate){.addr = BASE, .npages = 1};
	return call(scene->world, IOMMU_HWPT_INVALIDATE, &invalidate);
}

static inline int run_hw_info(struct scene *scene)
{
	struct iommu_hw_info info = {.dev_id = scene->world->id[0],
	                             .data_len = 600,
	                             .data_uptr = USER_PLAIN + 903 * PAGE};

	return call(scene->world, IOMMU_GET_HW_INFO, &info);
}

static inline int run_track_off(struct scene *scene)
{
	struct iommu_hwpt_set_dirty_tracking track = {.hwpt_id = scene->tracked};

	return call(scene->world, IOMMU_HWPT_SET_DIRTY_TRACKING, &track);
}

static inline int run_dirty(struct scene *scene)
{
	struct iommu_hwpt_get_dirty_bitmap get = {
		.hwpt_id = scene->tracked,
		.iova = BASE,
		.length = 8 * PAGE,
		.page_size = PAGE,
		.data = USER_PLAIN + 903 * PAGE,
	};

	return call(scene->world, IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
}

static inline int run_fault_queue(struct scene *scene)
{
	struct iommu_fault_alloc alloc = {0};

	return call(scene->world, IOMMU_FAULT_QUEUE_ALLOC, &alloc);
}

static inline int run_fault_read(struct scene *scene)
{
	int64_t bytes = ufd_read(&scene->world->ufd, scene->queue_fd, USER_PLAIN + 903 * PAGE, 400);

	return bytes == sizeof(struct iommu_hwpt_pgfault) ? 0 : (int)(bytes < 0 ? bytes : -EIO);
}

static inline int run_fault_write(struct scene *scene)
{
	uint64_t at = USER_PLAIN + 903 * PAGE;
	struct iommu_hwpt_page_response *answer = test_user_at(&scene->world->user, at);

	*answer = (struct iommu_hwpt_page_response){.cookie = scene->cookie};
	int64_t bytes = ufd_write(&scene->world->ufd, scene->queue_fd, at, sizeof(*answer));
	return bytes == sizeof(*answer) ? 0 : (int)(bytes < 0 ? bytes : -EIO);
}

static inline int run_close_queue(struct scene *scene)
{
	return ufd_close(&scene->world->ufd, scene->queue_fd);
}

static inline int run_attach(struct scene *scene)
{
	/* device 1 is attached: this replaces, by a HWPT that is there */
	return world_attach(scene->world, 1, scene->spare, NULL);
}

static inline int run_attach_automatic(struct scene *scene)
{
	return world_attach(scene->world, 1, scene->other, NULL);
}

static inline int run_attach_nested(struct scene *scene)
{
	return world_attach(scene->world, 1, scene->nested, NULL);
}

static inline int run_attach_pasid(struct scene *scene)
{
	return world_attach_pasid(scene->world, 0, 6, scene->for_pasid[1], NULL);
}

static inline int run_replace_pasid(struct scene *scene)
{
	return world_attach_pasid(scene->world, 0, 5, scene->for_pasid[1], NULL);
}

static inline int run_detach(struct scene *scene)
{
	return world_detach(scene->world, 1);
}

/** Attach device 1 to @p pt_id, with nothing that fails, and let the unit remember. */
static inline void scene_attach(struct scene *scene, uint32_t pt_id)
{
	bool armed = scene->sweep.armed;
	unsigned refuse_in = scene->sweep.vm.refuse_in;

	scene->sweep.armed = false;
	scene->sweep.vm.refuse_in = 0;
	if (!scene->sweep.hurt) {
		KTAP_EQUAL(world_attach(scene->world, 1, pt_id, NULL), 0);
		snapshot_reach(scene);
	}
	scene->sweep.vm.refuse_in = refuse_in;
	scene->sweep.armed = armed;
}

static inline int run_detach_automatic(struct scene *scene)
{
	scene_attach(scene, scene->other);
	return world_detach(scene->world, 1);
}

/** When the unit does not confirm the detach, the unmap must not believe the memory free. */
static inline int run_detach_unmap(struct scene *scene)
{
	scene_attach(scene, scene->third_hwpt[0]);
	int result = world_detach(scene->world, 1);
	return result ? result : world_unmap(scene->world, scene->third, 0, UINT64_MAX, NULL);
}

/** The same when the HWPT goes, and another one stays. */
static inline int run_detach_destroy(struct scene *scene)
{
	scene_attach(scene, scene->third_hwpt[0]);
	int result = world_detach(scene->world, 1);
	if (!result)
		result = world_destroy(scene->world, scene->third_hwpt[0]);
	return result ? result : world_unmap(scene->world, scene->third, 0, UINT64_MAX, NULL);
}

static inline int run_detach_pasid(struct scene *scene)
{
	return world_detach_pasid(scene->world, 0, 5);
}

static inline int run_unmap(struct scene *scene)
{
	return world_unmap(scene->world, scene->ioas, BASE, 100 * PAGE, NULL);
}

static inline int run_unmap_all(struct scene *scene)
{
	return world_unmap(scene->world, scene->ioas, 0, UINT64_MAX, NULL);
}

static inline int run_destroy(struct scene *scene)
{
	return world_destroy(scene->world, scene->spare);
}

static inline int run_destroy_ioas(struct scene *scene)
{
	return world_destroy(scene->world, scene->other);
}

static inline int run_close_device(struct scene *scene)
{
	return ufd_close(&scene->world->ufd, scene->world->cdev[0]);
}

static inline int run_access_new(struct scene *scene)
{
	struct ufd_access *access;

	int error = ufd_access_new(&scene->world->ufd, scene->world->fd, &scene_access_ops, scene,
	                           &access);
	if (!error) /* it would outlive its descriptor */
		ufd_access_free(access);
	return error;
}

static inline int run_access_attach(struct scene *scene)
{
	return ufd_access_attach(scene->access, scene->ioas);
}

static inline int run_access_replace(struct scene *scene)
{
	return ufd_access_replace(scene->attached_access, scene->other);
}

static inline int run_access_pin(struct scene *scene)
{
	struct iommu_extent extent[2];
	size_t count;

	return ufd_access_pin(scene->attached_access, iova(BASE + 9 * PAGE), 2 * PAGE, IOMMU_WRITE,
	                      extent, 2, &count);
}

static inline int run_access_copy(struct scene *scene)
{
	char text[16] = "";

	return ufd_access_copy(scene->attached_access, iova(BASE + PAGE - 8), text, sizeof(text),
	                       IOMMU_READ);
}

static inline int run_test(struct scene *scene, uint32_t op, uint32_t id)
{
	struct iommu_test_cmd test = {.op = op, .id = id};

	if (op == IOMMU_TEST_OP_ADD_RESERVED) {
		test.add_reserved.start = BASE;
		test.add_reserved.length = PAGE;
	} else if (op == IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE) {
		test.mock_domain_replace.pt_id = scene->empty;
	} else if (op == IOMMU_TEST_OP_ACCESS_PAGES) {
		test.access_pages.iova = BASE + 9 * PAGE;
		test.access_pages.length = 3 * PAGE;
		test.access_pages.uptr = USER_SCATTER + PAGE;
	} else if (op == IOMMU_TEST_OP_ACCESS_RW) {
		test.access_rw.iova = BASE + 9 * PAGE;
		test.access_rw.length = 100;
		test.access_rw.uptr = USER_PLAIN + 903 * PAGE;
	}
	return call(scene->world, IOMMU_TEST_CMD, &test);
}

static inline int run_test_device(struct scene *scene)
{
	return run_test(scene, IOMMU_TEST_OP_MOCK_DOMAIN, scene->tested);
}

static inline int run_test_reserve(struct scene *scene)
{
	return run_test(scene, IOMMU_TEST_OP_ADD_RESERVED, scene->empty);
}

static inline int run_test_replace(struct scene *scene)
{
	return run_test(scene, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, scene->test_device);
}

static inline int run_test_access(struct scene *scene)
{
	return run_test(scene, IOMMU_TEST_OP_CREATE_ACCESS, scene->ioas);
}

static inline int run_test_pages(struct scene *scene)
{
	return run_test(scene, IOMMU_TEST_OP_ACCESS_PAGES, (uint32_t)scene->access_fd);
}

static inline int run_test_copy(struct scene *scene)
{
	return run_test(scene, IOMMU_TEST_OP_ACCESS_RW, (uint32_t)scene->access_fd);
}

static inline int run_test_end(struct scene *scene)
{
	return world_destroy(scene->world, scene->test_device);
}

/* ---- vIOMMUs -------------------------------------------------------------------------- */

static inline int run_viommu(struct scene *scene)
{
	struct iommu_viommu_alloc alloc = {.type = IOMMU_VIOMMU_TYPE_SELFTEST,
	                                   .dev_id = scene->world->id[0],
	                                   .hwpt_id = scene->parent,
	                                   .data_len = sizeof(struct iommu_viommu_selftest),
	                                   .data_uptr = USER_PLAIN + 904 * PAGE};

	return call(scene->world, IOMMU_VIOMMU_ALLOC, &alloc);
}

static inline int run_vdevice(struct scene *scene)
{
	struct iommu_vdevice_alloc alloc = {
		.viommu_id = scene->viommu, .dev_id = scene->world->id[0], .virt_id = 7};

	return call(scene->world, IOMMU_VDEVICE_ALLOC, &alloc);
}

static inline int run_veventq(struct scene *scene)
{
	struct iommu_veventq_alloc alloc = {.viommu_id = scene->viommu,
	                                    .type = IOMMU_VEVENTQ_TYPE_SELFTEST,
	                                    .veventq_depth = 4};

	return call(scene->world, IOMMU_VEVENTQ_ALLOC, &alloc);
}

static inline int run_hw_queue(struct scene *scene)
{
	struct iommu_hw_queue_alloc alloc = {.viommu_id = scene->viommu,
	                                     .type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
	                                     .nesting_parent_iova = BASE,
	                                     .length = 2 * PAGE};

	return call(scene->world, IOMMU_HW_QUEUE_ALLOC, &alloc);
}

static inline int run_viommu_end(struct scene *scene)
{
	return world_destroy(scene->world, scene->viommu);
}

/* ---- VFIO's type 1 --------------------------------------------------------------------- */

static inline int run_noiommu(struct scene *scene)
{
	struct iommu_ioas_noiommu_get_pa get = {
		.ioas_id = scene->ioas, .iova = BASE, .length = PAGE};

	return call(scene->world, IOMMU_IOAS_NOIOMMU_GET_PA, &get);
}

static inline int run_vfio_version(struct scene *scene)
{
	return ufd_ioctl(&scene->world->ufd, scene->world->fd, VFIO_GET_API_VERSION, 0);
}

static inline int run_vfio_extension(struct scene *scene)
{
	return positive_is_fine(ufd_ioctl(&scene->world->ufd, scene->world->fd,
	                                  VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU));
}

static inline int run_vfio_set(struct scene *scene)
{
	return ufd_ioctl(&scene->world->ufd, scene->world->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
}

static inline int run_vfio_info(struct scene *scene)
{
	struct {
		struct vfio_iommu_type1_info info;
		uint8_t more[200];
	} room = {.info.argsz = sizeof(room)};

	return world_call(scene->world, scene->world->fd, VFIO_IOMMU_GET_INFO, &room, sizeof(room));
}

static inline int run_vfio_map(struct scene *scene)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = USER_PLAIN + 16 * PAGE,
		.iova = 16 * BASE,
		.size = 4 * PAGE,
	};

	return world_call(scene->world, scene->world->fd, VFIO_IOMMU_MAP_DMA, &map, sizeof(map));
}

static inline int run_vfio_unmap(struct scene *scene)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = BASE, .size = 8 * PAGE};

	return world_call(scene->world, scene->world->fd, VFIO_IOMMU_UNMAP_DMA, &unmap,
	                  sizeof(unmap));
}

#endif
