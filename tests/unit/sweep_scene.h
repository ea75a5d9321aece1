/* SPDX-License-Identifier: MIT */
/*
 * The world in which each call of the sweeps begins: two bound devices, an IOAS with a HWPT
 * of each kind that the driver has, attached with and without PASID, other IOASes, accesses,
 * a fault queue with requests; and what is compared before and after a call.
 */
#ifndef TESTS_UNIT_SWEEP_SCENE_H
#define TESTS_UNIT_SWEEP_SCENE_H

#include "tests/unit/sweep.h"

#include "ufd/selftest.h"

#define BASE        UINT64_C(0x40000000)
#define STAGE1_PAGE UINT64_C(1000) /* of the user memory: the top of a stage-1 table */

/** Ids in a world that is ready for the call. */
struct scene {
	struct sweep sweep;
	struct world *world;
	unsigned can;
	uint32_t ioas, other, empty, third, third_hwpt[2], hwpt, spare, parent, nested, tracked,
		for_pasid[2];
	uint32_t queue, asking;
	int queue_fd, access_fd; /* the second: of the self-test's command */
	uint32_t tested, test_device, viommu;
	uint64_t shared;                           /* the vIOMMU's memory, as an offset for mmap */
	uint32_t made, inner, made_hwpt[2], pages; /* by what a row sets up */
	int made_fd;
	uint32_t cookie;
	struct ufd_access *access, *attached_access;
};

static inline void scene_let_go(void *ctx, iova_t first, uint64_t bytes)
{
	struct scene *scene = ctx;

	(void)first;
	(void)bytes;
	ufd_access_unpin(scene->attached_access, iova(BASE + 9 * PAGE), 2 * PAGE);
}

static const struct ufd_access_ops scene_access_ops = {.unmap = scene_let_go};

/** Describe a stage-1 table in user memory; returns what HWPT_ALLOC wants to know. */
static inline struct iommu_hwpt_alloc scene_nested(struct scene *scene, uint32_t flags,
                                                   uint32_t fault)
{
	struct world *world = scene->world;
	uint64_t at = USER_PLAIN + 900 * PAGE;
	struct iommu_hwpt_alloc alloc = {
		.flags = flags,
		.dev_id = world->id[0],
		.pt_id = scene->parent,
		.data_uptr = at,
		.fault_id = fault,
	};

	if (scene->sweep.driver->preset) {
		struct iommu_hwpt_vtd_s1 *s1 = test_user_at(&world->user, at);
		*s1 = (struct iommu_hwpt_vtd_s1){.pgtbl_addr = 2 * BASE, .addr_width = 48};
		alloc.data_type = IOMMU_HWPT_DATA_VTD_S1;
		alloc.data_len = sizeof(*s1);
	} else {
		*(uint32_t *)test_user_at(&world->user, at) = IOMMU_TEST_IOTLB_DEFAULT;
		alloc.data_type = IOMMU_HWPT_DATA_SELFTEST;
		alloc.data_len = 4;
	}
	return alloc;
}

/** The user's stage 1: [1 GiB, 2 GiB) to the same guest addresses, in one page. */
static inline void scene_stage1(struct scene *scene)
{
	struct vm *vm = &scene->sweep.vm;
	uint64_t *top = test_user_at(&scene->world->user, USER_PLAIN + STAGE1_PAGE * PAGE);

	memset(top, 0, 2 * PAGE);
	top[0] = (2 * BASE + PAGE) | 7;
	top[512 + 1] = BASE | 0x87;
	vm_clean(&vm->test, top, 2 * PAGE);
}

/** Device 1 asks for a page. */
static inline void scene_ask(struct scene *scene, uint16_t group)
{
	struct sweep *sweep = &scene->sweep;
	struct iommu_device *device = scene->world->device[1];
	const struct iommu_page_request request = {
		.group = group, .last = true, .access = IOMMU_READ};
	const struct model_request on_bus = {.kind = MODEL_PAGE_REQUEST,
	                                     .requester = device->desc.rid,
	                                     .group = group,
	                                     .page_read = true,
	                                     .last = true};
	struct model_result result;

	if (!sweep->driver->preset) {
		ufd_mock_page_request(device, &request);
		return;
	}
	KTAP_CHECK(sweep->devices[1].page_requests);
	KTAP_CHECK(model_dma(sweep->vm.unit, &on_bus, &result));
	iommu_poll(&sweep->vm.iommu);
}

/** A device writes to the first page of what is tracked. */
static inline void scene_write(struct scene *scene)
{
	struct world *world = scene->world;
	const struct model_request write = {.access = MODEL_WRITE,
	                                    .requester = world->device[0]->desc.rid,
	                                    .has_pasid = true,
	                                    .pasid = 7,
	                                    .address = BASE,
	                                    .bytes = 8};
	struct ufd_object_info info;
	struct model_result result;

	if (scene->sweep.driver->preset) {
		KTAP_CHECK(sweep_device_access(&scene->sweep.devices[0], scene->sweep.vm.unit,
		                               &write, &result));
		return;
	}
	KTAP_EQUAL(ufd_object_get(&world->ufd, world->fd, scene->tracked, &info), 0);
	KTAP_EQUAL(ufd_mock_set_dirty(info.domain, iova(BASE)), 1);
}

static inline uint32_t scene_hwpt(struct scene *scene, uint32_t flags)
{
	uint32_t id = 0;

	KTAP_EQUAL(world_hwpt(scene->world, scene->world->id[0], scene->ioas, flags, &id), 0);
	return id;
}

static inline void scene_begin(struct scene *scene, const struct sweep_driver *driver)
{
	struct world *world = &scene->sweep.world;
	struct iommu_hwpt_alloc alloc;

	memset(scene, 0, sizeof(*scene));
	sweep_prepare(&scene->sweep, driver);
	KTAP_EQUAL(sweep_up(&scene->sweep), 0);
	scene->world = world;
	scene->can = driver->can;
	world->fd = ufd_open(&world->ufd);
	for (int i = 0; i < 2; i++) {
		world->cdev[i] = ufd_open_device(&world->ufd, world->device[i]);
		KTAP_EQUAL(world_bind(world, i), 0);
	}
	scene->sweep.cdev2 = ufd_open_device(&world->ufd, scene->sweep.device2);
	scene->ioas = world_ioas(world);
	scene->other = world_ioas(world);
	scene->empty = world_ioas(world);
	scene_stage1(scene);
	KTAP_EQUAL(world_map(world, scene->ioas, USER_PLAIN, 8 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(world, scene->ioas, USER_SCATTER, 40 * PAGE, BASE + 8 * PAGE), 0);
	KTAP_EQUAL(
		world_map(world, scene->ioas, USER_PLAIN + STAGE1_PAGE * PAGE, 2 * PAGE, 2 * BASE),
		0);
	KTAP_EQUAL(world_map(world, scene->other, USER_SCATTER + 200 * PAGE, 20 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(world, scene->other, USER_PLAIN + PAGE_SIZE_2M, PAGE_SIZE_2M,
	                     BASE + 512 * PAGE),
	           0);
	scene->third = world_ioas(world);
	KTAP_EQUAL(world_map(world, scene->third, USER_SCATTER + 300 * PAGE, 4 * PAGE, BASE), 0);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_hwpt(world, world->id[0], scene->third, 0, &scene->third_hwpt[i]),
		           0);
	struct iommu_vfio_ioas compatible = {.ioas_id = scene->ioas, .op = IOMMU_VFIO_IOAS_SET};
	KTAP_EQUAL(call(world, IOMMU_VFIO_IOAS, &compatible), 0);
	scene->hwpt = scene_hwpt(scene, 0);
	scene->spare = scene_hwpt(scene, 0);
	if (scene->can & CAN_NEST) {
		scene->parent = scene_hwpt(scene, IOMMU_HWPT_ALLOC_NEST_PARENT);
		alloc = scene_nested(scene, 0, 0);
		KTAP_EQUAL(call(world, IOMMU_HWPT_ALLOC, &alloc), 0);
		scene->nested = alloc.out_hwpt_id;
	}
	if (scene->can & CAN_PASID)
		for (int i = 0; i < 2; i++)
			scene->for_pasid[i] = scene_hwpt(scene, IOMMU_HWPT_ALLOC_PASID);
	uint32_t tracks = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	if (scene->can & CAN_PASID)
		tracks |= IOMMU_HWPT_ALLOC_PASID;
	if (world_hwpt(world, world->id[0], scene->ioas, tracks, &scene->tracked) == 0)
		scene->can |= CAN_DIRTY;
	KTAP_CHECK(!(driver->can & ~scene->can));
	if (scene->can & CAN_DIRTY) {
		struct iommu_hwpt_set_dirty_tracking track = {.flags = 1,
		                                              .hwpt_id = scene->tracked};
		KTAP_EQUAL(call(world, IOMMU_HWPT_SET_DIRTY_TRACKING, &track), 0);
	}
	if (scene->can & CAN_FAULT) {
		struct iommu_fault_alloc fault = {0};
		KTAP_EQUAL(call(world, IOMMU_FAULT_QUEUE_ALLOC, &fault), 0);
		scene->queue = fault.out_fault_id;
		scene->queue_fd = (int)fault.out_fault_fd;
		alloc = scene_nested(scene, IOMMU_HWPT_FAULT_ID_VALID, scene->queue);
		KTAP_EQUAL(call(world, IOMMU_HWPT_ALLOC, &alloc), 0);
		scene->asking = alloc.out_hwpt_id;
		KTAP_EQUAL(world_attach(world, 1, scene->asking, NULL), 0);
		scene_ask(scene, 0);
		KTAP_EQUAL(ufd_read(&world->ufd, scene->queue_fd, USER_PLAIN + 901 * PAGE, 400),
		           sizeof(struct iommu_hwpt_pgfault));
		const struct iommu_hwpt_pgfault *got =
			test_user_at(&world->user, USER_PLAIN + 901 * PAGE);
		scene->cookie = got->cookie;
		scene_ask(scene, 1);
	} else {
		KTAP_EQUAL(world_attach(world, 1,
		                        scene->can & CAN_NEST ? scene->nested : scene->hwpt, NULL),
		           0);
	}
	if (scene->can & CAN_PASID) {
		KTAP_EQUAL(world_attach(world, 0, scene->for_pasid[0], NULL), 0);
		KTAP_EQUAL(world_attach_pasid(world, 0, 5, scene->for_pasid[0], NULL), 0);
		if (scene->can & CAN_DIRTY) {
			KTAP_EQUAL(world_attach_pasid(world, 0, 7, scene->tracked, NULL), 0);
			scene_write(scene);
		}
	} else {
		KTAP_EQUAL(world_attach(world, 0, scene->hwpt, NULL), 0);
	}
	if (scene->can & CAN_TEST) {
		struct iommu_test_cmd test = {.op = IOMMU_TEST_OP_MOCK_DOMAIN};
		scene->tested = test.id = world_ioas(world);
		KTAP_EQUAL(call(world, IOMMU_TEST_CMD, &test), 0);
		scene->test_device = test.mock_domain.out_stdev_id;
		test = (struct iommu_test_cmd){.op = IOMMU_TEST_OP_CREATE_ACCESS,
		                               .id = scene->ioas};
		test.create_access.flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES;
		KTAP_EQUAL(call(world, IOMMU_TEST_CMD, &test), 0);
		scene->access_fd = (int)test.create_access.out_access_fd;
		struct iommu_viommu_alloc viommu = {.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		                                    .dev_id = world->id[0],
		                                    .hwpt_id = scene->parent,
		                                    .data_len =
		                                            sizeof(struct iommu_viommu_selftest),
		                                    .data_uptr = USER_PLAIN + 904 * PAGE};
		KTAP_EQUAL(call(world, IOMMU_VIOMMU_ALLOC, &viommu), 0);
		scene->viommu = viommu.out_viommu_id;
		const struct iommu_viommu_selftest *answer =
			test_user_at(&world->user, USER_PLAIN + 904 * PAGE);
		scene->shared = answer->out_mmap_offset;
	}
	KTAP_EQUAL(ufd_access_new(&world->ufd, world->fd, &scene_access_ops, scene, &scene->access),
	           0);
	KTAP_EQUAL(ufd_access_new(&world->ufd, world->fd, &scene_access_ops, scene,
	                          &scene->attached_access),
	           0);
	KTAP_EQUAL(ufd_access_attach(scene->attached_access, scene->ioas), 0);
}

static inline void scene_end(struct scene *scene)
{
	scene->sweep.armed = false;
	if (scene->access)
		ufd_access_free(scene->access);
	if (scene->attached_access)
		ufd_access_free(scene->attached_access);
	if (scene->sweep.driver->preset && !scene->sweep.dead)
		model_sanitizer_check(scene->sweep.vm.unit);
	sweep_down(&scene->sweep);
}

/* ---- the state -------------------------------------------------------------------------- */

/** All that must not change: numbers to print, and sums over everything else. */
struct snapshot {
	long objects, locks, pages, pinned, charged, files, ids;
	uint64_t graph, areas, ranges, leaves, pins, attached, reach, descriptors;
	uint64_t dirty, readable, services;
};

static inline uint64_t mix(uint64_t sum, uint64_t value)
{
	sum = (sum ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

static inline bool snapshot_leaf(void *ctx, const struct iommu_leaf *leaf)
{
	uint64_t *sum = ctx;

	*sum = mix(mix(*sum, leaf->iova.value), leaf->pa.value);
	*sum = mix(*sum, leaf->bytes * 16 + leaf->rights);
	return true;
}

/** Where a read of @p device ends up, which must be pinned memory; 0: nowhere. */
static inline uint64_t snapshot_dma(struct scene *scene, struct iommu_device *device,
                                    uint32_t pasid, uint64_t at)
{
	const struct model_request request = {
		.access = MODEL_READ,
		.requester = device->desc.rid,
		.has_pasid = pasid != IOMMU_NO_PASID,
		.pasid = pasid == IOMMU_NO_PASID ? 0 : pasid,
		.address = at & ~UINT64_C(7), /* in one page */
		.bytes = 8,
	};
	struct model_result result;
	pa_t out;

	if (!scene->sweep.driver->preset)
		return ufd_mock_translate_pasid(device, pasid, iova(at), IOMMU_READ, &out)
		               ? 0
		               : out.value;
	struct sweep *sweep = &scene->sweep;
	unsigned n = device == scene->world->device[1]; /* nobody asks about the third */
	if (!sweep_device_access(&sweep->devices[n], sweep->vm.unit, &request, &result))
		return 0;
	/* Whatever failed: what a device reaches is pinned. */
	uint64_t page = (result.address - VM_BASE) / PAGE;
	KTAP_CHECK(page < USER_PAGES && scene->world->user.pins[page]);
	return result.address;
}

static inline uint64_t snapshot_reach(struct scene *scene)
{
	static const uint64_t at[] = {BASE,     BASE + PAGE, BASE + 9 * PAGE, BASE + 512 * PAGE,
	                              2 * BASE, 16 * BASE,   32 * BASE};
	struct world *world = scene->world;
	uint64_t sum = 0;

	if (scene->sweep.driver->preset)
		model_sanitizer_check(scene->sweep.vm.unit);
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++) {
		for (int d = 0; d < 2; d++)
			sum = mix(sum,
			          snapshot_dma(scene, world->device[d], IOMMU_NO_PASID, at[i]));
		if (scene->can & CAN_PASID)
			for (uint32_t pasid = 5; pasid < 8; pasid++)
				sum = mix(sum, snapshot_dma(scene, world->device[0], pasid, at[i]));
	}
	return sum;
}

static inline void snapshot_ioas(struct scene *scene, const struct ufd_object_info *info,
                                 struct snapshot *now)
{
	struct world *world = scene->world;
	uint64_t at = USER_PLAIN + 902 * PAGE;
	const struct iommu_iova_range *range = test_user_at(&world->user, at);
	struct iommu_ioas_iova_ranges list = {
		.ioas_id = info->id, .num_iovas = 64, .allowed_iovas = at};

	now->areas = mix(mix(now->areas, info->areas), info->mapped_bytes);
	KTAP_EQUAL(call(world, IOMMU_IOAS_IOVA_RANGES, &list), 0);
	now->ranges = mix(mix(now->ranges, list.num_iovas), list.out_iova_alignment);
	for (uint32_t i = 0; i < list.num_iovas; i++)
		now->ranges = mix(mix(now->ranges, range[i].start), range[i].last);
}

/** What was written, and whether that is kept at all. */
static inline uint64_t snapshot_dirty(struct scene *scene)
{
	const uint64_t at = USER_PLAIN + 905 * PAGE;
	uint64_t *bits = test_user_at(&scene->world->user, at);
	struct iommu_hwpt_get_dirty_bitmap get = {
		.hwpt_id = scene->tracked,
		.flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
		.iova = BASE,
		.length = 8 * PAGE,
		.page_size = PAGE,
		.data = at,
	};

	*bits = 0;
	int result = call(scene->world, IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
	return mix((uint64_t)result, *bits);
}

/** The HWPT that has @p domain; 0: none. */
static inline uint32_t snapshot_id(struct world *world, const struct iommu_domain *domain)
{
	struct ufd_object_info info;

	for (uint32_t from = 1; domain && !ufd_object_next(&world->ufd, world->fd, from, &info);
	     from = info.id + 1)
		if (info.domain == domain)
			return info.id;
	return 0;
}

static inline struct snapshot snapshot_of(struct scene *scene)
{
	struct sweep *sweep = &scene->sweep;
	struct world *world = scene->world;
	struct ufd_object_info info;
	struct snapshot now = {0};
	bool armed = sweep->armed;

	sweep->armed = false;
	now.reach = snapshot_reach(scene); /* first: it may fill caches */
	for (uint32_t from = 1; !ufd_object_next(&world->ufd, world->fd, from, &info);
	     from = info.id + 1) {
		const uint64_t words[] = {info.id,        info.kind,     info.users,  info.ioas_id,
		                          info.automatic, info.fault_id, info.waiting};
		for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
			now.graph = mix(now.graph, words[i]);
		if (info.kind == UFD_IOAS)
			snapshot_ioas(scene, &info, &now);
		if (info.kind == UFD_HWPT_PAGING)
			info.domain->ops->visit(info.domain, info.domain->first, info.domain->last,
			                        snapshot_leaf, &now.leaves);
		if (info.domain)
			now.graph = mix(mix(now.graph, info.domain->attachments),
			                info.domain->children);
	}
	for (int i = 0; i < 3; i++) {
		const struct iommu_device *device = i < 2 ? world->device[i] : sweep->device2;
		now.attached = mix(mix(now.attached, snapshot_id(world, device->domain)),
		                   device->group->owner_count);
		for (const struct iommu_pasid *p = device->pasids; p; p = p->next)
			now.attached =
				mix(mix(now.attached, p->pasid), snapshot_id(world, p->domain));
	}
	for (unsigned i = 0; i < USER_PAGES; i++)
		now.pins = mix(now.pins, world->user.pins[i]);
	for (int fd = 0; fd < UFD_MAX_FILES; fd++) {
		now.descriptors = mix(now.descriptors, world->ufd.files[fd] != NULL);
		if (world->ufd.files[fd])
			now.readable = mix(now.readable, (uint64_t)ufd_poll(&world->ufd, fd + 3));
	}
	if (scene->can & CAN_DIRTY)
		now.dirty = snapshot_dirty(scene);
	for (int n = 0; n < SWEEP_DEVICES; n++)
		now.services = mix(now.services,
		                   sweep->devices[n].ats | sweep->devices[n].page_requests << 1);
	now.charged = sweep->charged;
	now.pinned = world->user.pinned;
	now.files = world->user.files_mapped;
	now.objects = sweep->vm.test.objects;
	now.locks = sweep->vm.test.locks;
	now.pages = sweep->vm.test.pages;
	if (sweep->driver->preset)
		now.ids = vtd_unit_of(world->device[0]->unit)->domain_ids_used;
	sweep->armed = armed;
	return now;
}

/** How two states are compared. */
enum snapshot_rule {
	SNAPSHOT_EQUAL,
	/** Table pages of a map that failed may stay in the tree, empty, for the next one. */
	SNAPSHOT_TABLES,
	/** The same, and what was written, or is to be read, may be more or less. */
	SNAPSHOT_LOSSY,
	/** What hardware that died may keep is not compared: pins, pages, domain ids. */
	SNAPSHOT_GRAVES,
};

/** Say what differs, once; true if nothing does. */
static inline bool snapshot_same(const char *name, unsigned long number, const struct snapshot *was,
                                 const struct snapshot *is, enum snapshot_rule rule)
{
#define SAME(field)                                                                                \
	do {                                                                                       \
		if (was->field != is->field) {                                                     \
			if (!ktap_failed)                                                          \
				printf("# %s, failure %lu: " #field " was %#llx, is %#llx\n",      \
				       name, number, (unsigned long long)was->field,               \
				       (unsigned long long)is->field);                             \
			same = false;                                                              \
		}                                                                                  \
	} while (0)
	bool same = true;

	SAME(graph);
	SAME(areas);
	SAME(ranges);
	SAME(leaves);
	SAME(attached);
	SAME(descriptors);
	if (rule != SNAPSHOT_GRAVES) {
		SAME(reach);
		SAME(services);
		SAME(pinned);
		SAME(charged);
		SAME(pins);
		SAME(files);
		SAME(ids);
	}
	if (rule == SNAPSHOT_EQUAL || rule == SNAPSHOT_TABLES) {
		SAME(objects);
		SAME(dirty);
		SAME(readable);
	}
	if (rule == SNAPSHOT_EQUAL || (rule != SNAPSHOT_GRAVES && is->pages < was->pages))
		SAME(pages);
	SAME(locks);
#undef SAME
	return same;
}

#endif
