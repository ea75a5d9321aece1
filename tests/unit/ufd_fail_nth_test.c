/* SPDX-License-Identifier: MIT */
/*
 * Fail-nth: each call is made again and again, and each time the next allocation, pin
 * or copy to user memory that it makes fails. Whatever fails, objects, mappings,
 * pins and memory are as before the call; and the call works once nothing fails.
 *
 * Then calls from several threads at once, for the locks.
 */
#include "tests/unit/ufd_test_user.h"

#include <pthread.h>

#define BASE UINT64_C(0x40000000)

/** What must not change: everything that can be counted. */
struct snapshot {
	long objects, locks, pinned;
	uint64_t users, kinds, areas, bytes, count, ranges;
};

/** A world that is ready for the call, and ids in it. */
struct scene {
	struct world world;
	uint32_t ioas, other, hwpt, parent, nested, tracked, for_pasid[2];
};

static struct snapshot snapshot_of(struct scene *scene)
{
	struct world *world = &scene->world;
	struct snapshot now = {
		.objects = world->os.objects,
		.locks = world->os.locks,
		.pinned = world->user.pinned,
	};
	struct ufd_object_info info;

	for (uint32_t from = 1; !ufd_object_next(&world->ufd, world->fd, from, &info);
	     from = info.id + 1) {
		now.count++;
		now.users += info.users * (uint64_t)info.id;
		now.kinds += (uint64_t)info.kind * info.id * info.id;
		now.areas += info.areas;
		now.bytes += info.mapped_bytes;
		if (info.kind == UFD_IOAS) {
			struct iommu_ioas_iova_ranges ranges = {.ioas_id = info.id};
			int result = call(world, IOMMU_IOAS_IOVA_RANGES, &ranges);
			KTAP_EQUAL(result, -EMSGSIZE);
			now.ranges += ranges.num_iovas + 1000 * ranges.out_iova_alignment;
		}
	}
	return now;
}

/** One IOAS with a device, a HWPT and a parent, mapped memory; another with memory
 *  only. */
static void scene_init(struct scene *scene)
{
	struct world *world = &scene->world;

	world_init(world);
	KTAP_EQUAL(world_bind(world, 0), 0);
	scene->ioas = world_ioas(world);
	scene->other = world_ioas(world);
	KTAP_EQUAL(world_map(world, scene->ioas, USER_PLAIN, 8 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(world, scene->ioas, USER_SCATTER, 40 * PAGE, BASE + 8 * PAGE), 0);
	KTAP_EQUAL(world_map(world, scene->other, USER_SCATTER, 80 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(world, scene->other, USER_PLAIN, PAGE_SIZE_2M, BASE + 80 * PAGE), 0);
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene->ioas, 0, &scene->hwpt), 0);
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene->ioas, 1, &scene->parent), 0);
	KTAP_EQUAL(world_nested(world, scene->parent, 0, 0, &scene->nested), 0);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_hwpt(world, world->id[0], scene->ioas, IOMMU_HWPT_ALLOC_PASID,
		                      &scene->for_pasid[i]),
		           0);
	struct iommu_hwpt_set_dirty_tracking track = {.flags = 1};
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene->ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
	                      &scene->tracked),
	           0);
	track.hwpt_id = scene->tracked;
	KTAP_EQUAL(call(world, IOMMU_HWPT_SET_DIRTY_TRACKING, &track), 0);
	KTAP_EQUAL(world_attach(world, 0, scene->for_pasid[0], NULL), 0);
	KTAP_EQUAL(world_attach_pasid(world, 0, 5, scene->for_pasid[0], NULL), 0);
}

static int run_open(struct scene *scene)
{
	int fd = ufd_open(&scene->world.ufd);

	return fd < 0 ? fd : 0;
}

static int run_open_device(struct scene *scene)
{
	int fd = ufd_open_device(&scene->world.ufd, scene->world.device[1]);

	return fd < 0 ? fd : 0;
}

static int run_bind(struct scene *scene)
{
	return world_bind(&scene->world, 1);
}

static int run_ioas_alloc(struct scene *scene)
{
	struct iommu_ioas_alloc alloc = {0};

	return call(&scene->world, IOMMU_IOAS_ALLOC, &alloc);
}

static int run_map(struct scene *scene)
{
	return world_map(&scene->world, scene->ioas, USER_SCATTER + 64 * PAGE, 100 * PAGE,
	                 16 * BASE);
}

static int run_map_any(struct scene *scene)
{
	uint64_t at;

	return world_map_any(&scene->world, scene->ioas, USER_PLAIN + PAGE, 700 * PAGE, &at);
}

static int run_map_alone(struct scene *scene)
{
	uint64_t at;

	return world_map_any(&scene->world, scene->other, USER_PLAIN, 3, &at);
}

/** To where there is room: that is an answer. */
static int copy_from(struct scene *scene, uint32_t from, uint64_t bytes)
{
	struct iommu_ioas_copy copy = {
		.flags = RW,
		.dst_ioas_id = scene->ioas,
		.src_ioas_id = from,
		.length = bytes,
		.src_iova = BASE + PAGE,
	};

	return call(&scene->world, IOMMU_IOAS_COPY, &copy);
}

static int run_copy(struct scene *scene)
{
	return copy_from(scene, scene->ioas, 40 * PAGE);
}

static int run_copy_across(struct scene *scene)
{
	return copy_from(scene, scene->other, 100 * PAGE);
}

static int run_allow(struct scene *scene)
{
	struct iommu_iova_range *range = test_user_at(&scene->world.user, USER_PLAIN);
	struct iommu_ioas_allow_iovas allow = {
		.ioas_id = scene->ioas, .num_iovas = 9, .allowed_iovas = USER_PLAIN};

	for (uint64_t i = 0; i < 9; i++)
		range[i] = (struct iommu_iova_range){i * PAGE, i * PAGE + 100};
	return call(&scene->world, IOMMU_IOAS_ALLOW_IOVAS, &allow);
}

static int run_option(struct scene *scene)
{
	struct iommu_option option = {.option_id = IOMMU_OPTION_HUGE_PAGES,
	                              .object_id = scene->other};

	return call(&scene->world, IOMMU_OPTION, &option);
}

static int run_hwpt(struct scene *scene)
{
	uint32_t hwpt;

	return world_hwpt(&scene->world, scene->world.id[0], scene->ioas, 1, &hwpt);
}

static int run_first_hwpt(struct scene *scene)
{
	uint32_t hwpt;

	return world_hwpt(&scene->world, scene->world.id[0], scene->other, 0, &hwpt);
}

static int run_nested(struct scene *scene)
{
	struct iommu_hwpt_alloc alloc = {
		.dev_id = scene->world.id[0],
		.pt_id = scene->parent,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = 4,
		.data_uptr = USER_PLAIN,
	};

	return call(&scene->world, IOMMU_HWPT_ALLOC, &alloc);
}

static int run_fault_queue(struct scene *scene)
{
	struct iommu_fault_alloc alloc = {0};

	return call(&scene->world, IOMMU_FAULT_QUEUE_ALLOC, &alloc);
}

static int run_invalidate(struct scene *scene)
{
	struct iommu_hwpt_invalidate_selftest *entry = test_user_at(&scene->world.user, USER_PLAIN);
	struct iommu_hwpt_invalidate invalidate = {
		.hwpt_id = scene->nested,
		.data_uptr = USER_PLAIN,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
		.entry_len = sizeof(*entry),
		.entry_num = 3,
	};

	memset(entry, 0, 3 * sizeof(*entry));
	return call(&scene->world, IOMMU_HWPT_INVALIDATE, &invalidate);
}

static int run_attach_pasid(struct scene *scene)
{
	return world_attach_pasid(&scene->world, 0, 6, scene->for_pasid[1], NULL);
}

static int run_replace_pasid(struct scene *scene)
{
	return world_attach_pasid(&scene->world, 0, 5, scene->for_pasid[1], NULL);
}

static int run_detach_pasid(struct scene *scene)
{
	return world_detach_pasid(&scene->world, 0, 5);
}

static int run_map_file(struct scene *scene)
{
	struct iommu_ioas_map_file map = {
		.flags = RW, .ioas_id = scene->ioas, .fd = FILE_FD, .length = 5 * PAGE};

	return call(&scene->world, IOMMU_IOAS_MAP_FILE, &map);
}

static int run_dirty(struct scene *scene)
{
	struct iommu_hwpt_get_dirty_bitmap get = {
		.hwpt_id = scene->tracked,
		.iova = BASE,
		.length = 8 * PAGE,
		.page_size = PAGE,
		.data = USER_PLAIN,
	};

	return call(&scene->world, IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
}

static int run_hw_info(struct scene *scene)
{
	struct iommu_hw_info info = {
		.dev_id = scene->world.id[0], .data_len = 600, .data_uptr = USER_PLAIN};

	return call(&scene->world, IOMMU_GET_HW_INFO, &info);
}

static int run_replace(struct scene *scene)
{
	int result = world_detach_pasid(&scene->world, 0, 5);

	if (result)
		return result;
	result = world_attach(&scene->world, 0, scene->other, NULL);
	/* put back what was, for the comparison */
	scene->world.os.fail_at = scene->world.user.pin_fail_at = 0;
	scene->world.user.out_fail_at = 0;
	if (result)
		KTAP_EQUAL(world_attach_pasid(&scene->world, 0, 5, scene->for_pasid[0], NULL), 0);
	return result;
}

/* what must never fail for want of memory: they end what there is */

static int run_unmap(struct scene *scene)
{
	return world_unmap(&scene->world, scene->ioas, BASE, 100 * PAGE, NULL);
}

static int run_unmap_all(struct scene *scene)
{
	return world_unmap(&scene->world, scene->ioas, 0, UINT64_MAX, NULL);
}

static int run_destroy(struct scene *scene)
{
	return world_destroy(&scene->world, scene->hwpt);
}

static int run_destroy_ioas(struct scene *scene)
{
	return world_destroy(&scene->world, scene->other);
}

static int run_detach(struct scene *scene)
{
	return world_detach(&scene->world, 0);
}

enum { NO_MEMORY = 1, NO_PIN = 2, NO_COPY = 4 };

static const struct step {
	const char *name;
	int (*run)(struct scene *scene);
	unsigned fails; /* which failures the call must meet at least once */
} steps[] = {
	{"open", run_open, NO_MEMORY},
	{"open device", run_open_device, NO_MEMORY},
	{"bind", run_bind, NO_MEMORY | NO_COPY},
	{"IOAS_ALLOC", run_ioas_alloc, NO_MEMORY | NO_COPY},
	{"IOAS_MAP", run_map, NO_MEMORY | NO_PIN},
	{"IOAS_MAP, chosen", run_map_any, NO_MEMORY | NO_PIN | NO_COPY},
	{"IOAS_MAP without a HWPT", run_map_alone, NO_MEMORY | NO_COPY},
	{"IOAS_COPY", run_copy, NO_MEMORY | NO_COPY},
	{"IOAS_COPY from another", run_copy_across, NO_MEMORY | NO_PIN | NO_COPY},
	{"IOAS_ALLOW_IOVAS", run_allow, NO_MEMORY},
	{"OPTION", run_option, NO_COPY},
	{"HWPT_ALLOC", run_hwpt, NO_MEMORY | NO_COPY},
	{"HWPT_ALLOC, the first", run_first_hwpt, NO_MEMORY | NO_PIN | NO_COPY},
	{"HWPT_ALLOC, nested", run_nested, NO_MEMORY | NO_COPY},
	{"HWPT_INVALIDATE", run_invalidate, NO_COPY},
	{"HWPT_GET_DIRTY_BITMAP", run_dirty, NO_MEMORY | NO_COPY},
	{"IOAS_MAP_FILE", run_map_file, NO_MEMORY | NO_PIN | NO_COPY},
	{"FAULT_QUEUE_ALLOC", run_fault_queue, NO_MEMORY | NO_COPY},
	{"attach to a PASID", run_attach_pasid, NO_MEMORY | NO_COPY},
	{"replace of a PASID", run_replace_pasid, NO_MEMORY | NO_COPY},
	{"GET_HW_INFO", run_hw_info, NO_COPY},
	{"replace", run_replace, NO_MEMORY | NO_PIN | NO_COPY},
	{"IOAS_UNMAP", run_unmap, NO_COPY},
	{"IOAS_UNMAP of all", run_unmap_all, NO_COPY},
	{"DESTROY of a HWPT", run_destroy, 0},
	{"DESTROY of an IOAS", run_destroy_ioas, 0},
	{"detach", run_detach, 0},
	{"detach of a PASID", run_detach_pasid, 0},
};

/** Pages in use after @p step, when nothing fails. */
static long pages_after(const struct step *step)
{
	struct scene scene;

	scene_init(&scene);
	KTAP_EQUAL(step->run(&scene), 0);
	long pages = scene.world.os.pages;
	world_end(&scene.world);
	return pages;
}

/** Run @p step with each failure of @p kind in turn. Returns how many it met. Table
 *  pages that a failed map made may stay in the tree, empty, for the next one: so
 *  they are compared once the call has worked. */
static unsigned sweep(const struct step *step, unsigned kind)
{
	long pages = pages_after(step);

	for (unsigned n = 1; n < 2000; n++) {
		struct scene scene;
		scene_init(&scene);
		struct snapshot before = snapshot_of(&scene);
		if (kind == NO_MEMORY)
			scene.world.os.fail_at = scene.world.os.allocations + n;
		else if (kind == NO_PIN)
			scene.world.user.pin_fail_at = scene.world.user.pin_calls + n;
		else
			scene.world.user.out_fail_at = scene.world.user.outs + n;
		int result = step->run(&scene);
		scene.world.os.fail_at = 0;
		scene.world.user.pin_fail_at = 0;
		scene.world.user.out_fail_at = 0;
		if (result) {
			KTAP_EQUAL(result, kind == NO_COPY ? -EFAULT : -ENOMEM);
			struct snapshot after = snapshot_of(&scene);
			if (memcmp(&before, &after, sizeof(before)) && !ktap_failed)
				printf("# %s, failure %u: objects %ld %ld, pins %ld %ld, areas %ld "
				       "%ld\n",
				       step->name, n, before.objects, after.objects, before.pinned,
				       after.pinned, (long)before.areas, (long)after.areas);
			KTAP_CHECK(!memcmp(&before, &after, sizeof(before)));
			KTAP_CHECK(world_reaches(&scene.world, 0, BASE, USER_PLAIN));
			/* and it works now */
			KTAP_EQUAL(step->run(&scene), 0);
			KTAP_EQUAL(scene.world.os.pages, pages);
		}
		world_end(&scene.world);
		if (!result)
			return n - 1;
		if (ktap_failed)
			break;
	}
	KTAP_FAIL("the call did not come to an end, or a check failed");
	return 0;
}

static void sweep_kind(unsigned kind)
{
	for (unsigned i = 0; i < ARRAY_SIZE(steps) && !ktap_failed; i++) {
		unsigned met = sweep(&steps[i], kind);
		if ((met > 0) != !!(steps[i].fails & kind))
			printf("# %s met %u failures\n", steps[i].name, met);
		KTAP_EQUAL(met > 0, !!(steps[i].fails & kind));
	}
}

static void no_memory(void)
{
	sweep_kind(NO_MEMORY);
}

static void no_pin(void)
{
	sweep_kind(NO_PIN);
}

static void no_copy(void)
{
	sweep_kind(NO_COPY);
}

/* ---- threads ------------------------------------------------------------------------ */

enum { THREADS = 4, ROUNDS = 300 };

struct worker {
	struct world *world;
	unsigned number;
	uint32_t ioas[2]; /* shared by all, and its own */
	long unexpected;
};

/** Calls with a structure of this thread's own. */
static int worker_call(struct worker *worker, int fd, uint32_t command, void *arguments,
                       size_t bytes)
{
	uint64_t user = USER_CALLS + 256 * worker->number;
	void *place = test_user_at(&worker->world->user, user);

	memcpy(place, arguments, bytes);
	int result = ufd_ioctl(&worker->world->ufd, fd, command, user);
	memcpy(arguments, place, bytes);
	return result;
}

static void *worker_run(void *argument)
{
	struct worker *worker = argument;
	struct world *world = worker->world;
	uint64_t seed = 77 + worker->number;

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t random = test_random(&seed);
		uint32_t ioas = worker->ioas[random >> 8 & 1];
		uint64_t at = BASE + (random >> 16 & 15) * 4 * PAGE;
		int result = 0;
		switch (random & 7) {
		case 0:
		case 1:
		case 2: {
			struct iommu_ioas_map map = {sizeof(map),
			                             1 | RW,
			                             ioas,
			                             0,
			                             random & 0x1000000 ? USER_PLAIN : USER_SCATTER,
			                             4 * PAGE,
			                             at};
			result = worker_call(worker, world->fd, IOMMU_IOAS_MAP, &map, sizeof(map));
			break;
		}
		case 3:
		case 4: {
			struct iommu_ioas_unmap unmap = {sizeof(unmap), ioas, at, 4 * PAGE};
			result = worker_call(worker, world->fd, IOMMU_IOAS_UNMAP, &unmap,
			                     sizeof(unmap));
			break;
		}
		case 5: {
			struct iommu_ioas_copy copy = {sizeof(copy),
			                               RW,
			                               worker->ioas[1],
			                               worker->ioas[0],
			                               4 * PAGE,
			                               0,
			                               at};
			result = worker_call(worker, world->fd, IOMMU_IOAS_COPY, &copy,
			                     sizeof(copy));
			break;
		}
		case 6: {
			struct iommu_hwpt_alloc alloc = {
				.size = sizeof(alloc), .dev_id = world->id[0], .pt_id = ioas};
			result = worker_call(worker, world->fd, IOMMU_HWPT_ALLOC, &alloc,
			                     sizeof(alloc));
			if (!result) {
				/* all race for the ids: any may be gone already, or attached */
				struct iommu_destroy destroy = {sizeof(destroy), alloc.out_hwpt_id};
				result = worker_call(worker, world->fd, IOMMU_DESTROY, &destroy,
				                     sizeof(destroy));
			}
			break;
		}
		default:
			if (worker->number < 2) {
				struct vfio_device_attach_iommufd_pt attach = {sizeof(attach), 0,
				                                               ioas, 0};
				struct vfio_device_detach_iommufd_pt detach = {sizeof(detach), 0,
				                                               0};
				int cdev = world->cdev[worker->number];
				result = random & 0x2000000
				                 ? worker_call(worker, cdev,
				                               VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				                               &attach, sizeof(attach))
				                 : worker_call(worker, cdev,
				                               VFIO_DEVICE_DETACH_IOMMUFD_PT,
				                               &detach, sizeof(detach));
			} else {
				struct iommu_destroy destroy = {sizeof(destroy), worker->ioas[0]};
				struct ufd_object_info info;
				worker->unexpected +=
					ufd_object_next(&world->ufd, world->fd, 0, &info) != 0;
				/* the shared IOAS always has a HWPT */
				result = worker_call(worker, world->fd, IOMMU_DESTROY, &destroy,
				                     sizeof(destroy));
				worker->unexpected += result != -EBUSY;
			}
		}
		worker->unexpected +=
			result && result != -EEXIST && result != -ENOENT && result != -EBUSY;
	}
	return NULL;
}

static void threads(void)
{
	struct world world;
	struct worker worker[THREADS];
	pthread_t thread[THREADS];
	uint32_t hwpt;

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	KTAP_EQUAL(world_bind(&world, 1), 0);
	uint32_t shared = world_ioas(&world);
	KTAP_EQUAL(world_hwpt(&world, world.id[0], shared, 0, &hwpt), 0);
	for (unsigned i = 0; i < THREADS; i++)
		worker[i] = (struct worker){&world, i, {shared, world_ioas(&world)}, 0};
	for (unsigned i = 0; i < THREADS; i++)
		KTAP_EQUAL(pthread_create(&thread[i], NULL, worker_run, &worker[i]), 0);
	for (unsigned i = 0; i < THREADS; i++) {
		KTAP_EQUAL(pthread_join(thread[i], NULL), 0);
		KTAP_EQUAL(worker[i].unexpected, 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		KTAP_EQUAL(world_unmap(&world, worker[i].ioas[1], 0, UINT64_MAX, NULL), 0);
	KTAP_EQUAL(world_unmap(&world, shared, 0, UINT64_MAX, NULL), 0);
	KTAP_EQUAL(world.user.pinned, 0);
	world_end(&world);
}

static const struct ktap_case cases[] = {
	{"every allocation fails in turn", no_memory},
	{"every pin fails in turn", no_pin},
	{"every answer to user memory fails in turn", no_copy},
	{"four threads on shared objects", threads},
};

KTAP_MAIN(cases)
