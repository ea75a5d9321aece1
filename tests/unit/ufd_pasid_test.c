/* SPDX-License-Identifier: MIT */
/*
 * HWPTs on PASIDs: attach, replace and detach, which HWPTs may stand beside which, and
 * what keeps what alive.
 */
#include "tests/unit/ufd_test_user.h"

#define BASE UINT64_C(0x40000000)

enum { PASID = IOMMU_HWPT_ALLOC_PASID };

/** Two IOASes with one page each at BASE, and HWPTs of them. */
struct scene {
	struct world world;
	uint32_t ioas[2], compatible[2], plain;
};

static void scene_init(struct scene *scene)
{
	struct world *world = &scene->world;

	world_init(world);
	KTAP_EQUAL(world_bind(world, 0), 0);
	KTAP_EQUAL(world_bind(world, 1), 0);
	for (uint64_t i = 0; i < 2; i++) {
		scene->ioas[i] = world_ioas(world);
		KTAP_EQUAL(
			world_map(world, scene->ioas[i], USER_PLAIN + (i + 1) * PAGE, PAGE, BASE),
			0);
		KTAP_EQUAL(world_hwpt(world, world->id[0], scene->ioas[i], PASID,
		                      &scene->compatible[i]),
		           0);
	}
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene->ioas[0], 0, &scene->plain), 0);
}

/** What page of ours does DMA with @p pasid reach? 0: none. */
static unsigned reached(struct scene *scene, uint32_t pasid)
{
	for (unsigned page = 1; page < 3; page++)
		if (world_pasid_reaches(&scene->world, 0, pasid, BASE, USER_PLAIN + page * PAGE))
			return page;
	return 0;
}

static void side_by_side(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	uint32_t out;

	scene_init(&scene);
	const uint32_t first = scene.compatible[0], second = scene.compatible[1];
	KTAP_EQUAL(reached(&scene, 5), 0);
	KTAP_EQUAL(world_attach_pasid(world, 0, 5, first, &out), 0);
	KTAP_EQUAL(out, first);
	KTAP_EQUAL(reached(&scene, 5), 1);
	KTAP_EQUAL(reached(&scene, 4), 0);
	KTAP_EQUAL(reached(&scene, 6), 0);
	KTAP_EQUAL(reached(&scene, IOMMU_NO_PASID), 0);
	KTAP_EQUAL(world_attach_pasid(world, 0, (1u << 20) - 1, second, NULL), 0);
	KTAP_EQUAL(world_attach(world, 0, second, NULL), 0);
	KTAP_EQUAL(reached(&scene, 5), 1);
	KTAP_EQUAL(reached(&scene, (1u << 20) - 1), 2);
	KTAP_EQUAL(reached(&scene, IOMMU_NO_PASID), 2);
	KTAP_EQUAL(world_info(world, first).users, 1);
	KTAP_EQUAL(world_info(world, second).users, 2);
	KTAP_EQUAL(world_destroy(world, first), -EBUSY);
	KTAP_CHECK(world_blocked(world, 1, BASE)); /* the other device has nothing of it */

	/* replace, also by itself; the others stay */
	KTAP_EQUAL(world_attach_pasid(world, 0, 5, first, NULL), 0);
	KTAP_EQUAL(world_info(world, first).users, 1);
	KTAP_EQUAL(world_attach_pasid(world, 0, 5, second, &out), 0);
	KTAP_EQUAL(out, second);
	KTAP_EQUAL(reached(&scene, 5), 2);
	KTAP_EQUAL(world_info(world, first).users, 0);
	KTAP_EQUAL(world_info(world, second).users, 3);

	/* detach one by one */
	KTAP_EQUAL(world_detach(world, 0), 0);
	KTAP_EQUAL(reached(&scene, IOMMU_NO_PASID), 0);
	KTAP_EQUAL(reached(&scene, 5), 2);
	KTAP_EQUAL(world_detach_pasid(world, 0, 7), 0); /* nothing there: fine */
	KTAP_EQUAL(world_detach_pasid(world, 0, 0), 0);
	KTAP_EQUAL(world_detach_pasid(world, 0, 5), 0);
	KTAP_EQUAL(reached(&scene, 5), 0);
	KTAP_EQUAL(reached(&scene, (1u << 20) - 1), 2);
	KTAP_EQUAL(world_info(world, second).users, 1);
	KTAP_EQUAL(world_destroy(world, first), 0);

	/* what the IOAS unmaps, the PASID loses */
	KTAP_EQUAL(world_unmap(world, scene.ioas[1], BASE, PAGE, NULL), 0);
	KTAP_EQUAL(reached(&scene, (1u << 20) - 1), 0);
	/* closing the descriptor ends what is left */
	KTAP_EQUAL(world_attach_pasid(world, 0, 9, second, NULL), 0);
	KTAP_EQUAL(ufd_close(&world->ufd, world->cdev[0]), 0);
	KTAP_CHECK(!world->device[0]->pasids);
	KTAP_EQUAL(world_info(world, second).users, 0);
	KTAP_EQUAL(world_destroy(world, second), 0);
	world_end(world);
}

static void refused(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	uint32_t out;

	scene_init(&scene);
	const uint32_t good = scene.compatible[0];
	const struct {
		uint32_t pasid, pt_id;
		int result;
	} cases[] = {
		{0, good, -EINVAL},
		{1u << 20, good, -EINVAL},
		{UINT32_MAX, good, -EINVAL},
		{5, 0, -ENOENT},
		{5, 99, -ENOENT},
		{5, scene.ioas[0], -EINVAL}, /* what would be made of it is not compatible */
		{5, scene.plain, -EINVAL},
		{5, world->id[0], -EINVAL},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		out = 0;
		KTAP_EQUAL(world_attach_pasid(world, 0, cases[i].pasid, cases[i].pt_id, &out),
		           cases[i].result);
		KTAP_EQUAL(out, cases[i].pt_id);
		KTAP_CHECK(!world->device[0]->pasids);
	}
	KTAP_EQUAL(world_info(world, good).users, 0);
	KTAP_EQUAL(world_info(world, scene.plain).users, 0);

	/* beside a HWPT that is not compatible */
	KTAP_EQUAL(world_attach(world, 0, scene.plain, NULL), 0);
	KTAP_EQUAL(world_attach_pasid(world, 0, 5, good, NULL), -EINVAL);
	KTAP_EQUAL(world_attach(world, 0, scene.ioas[0], NULL), 0);
	KTAP_EQUAL(world_attach_pasid(world, 0, 5, good, NULL), -EINVAL);
	/* and one that is not beside one that is */
	KTAP_EQUAL(world_attach(world, 0, good, NULL), 0);
	KTAP_EQUAL(world_attach_pasid(world, 0, 5, good, NULL), 0);
	KTAP_EQUAL(world_attach(world, 0, scene.plain, NULL), -EINVAL);
	KTAP_EQUAL(world_attach(world, 0, scene.ioas[0], NULL), -EINVAL);
	KTAP_EQUAL(reached(&scene, 0), 1);
	KTAP_EQUAL(world_detach(world, 0), 0);
	KTAP_EQUAL(world_attach(world, 0, scene.plain, NULL), -EINVAL);
	KTAP_EQUAL(world_attach(world, 0, scene.ioas[0], NULL), -EINVAL);
	KTAP_EQUAL(world_info(world, scene.plain).users, 0);
	KTAP_EQUAL(reached(&scene, 0), 0);
	KTAP_EQUAL(world_detach_pasid(world, 0, 5), 0);
	KTAP_EQUAL(world_attach(world, 0, scene.plain, NULL), 0);

	/* a device without PASIDs */
	world->device[1]->pasid_bits = 0;
	KTAP_EQUAL(world_attach_pasid(world, 1, 5, good, NULL), -EOPNOTSUPP);
	KTAP_EQUAL(world_info(world, good).users, 0);
	world_end(world);
}

static void nested(void)
{
	struct scene scene;
	struct world *world = &scene.world;
	uint32_t parent, child, plain_child;

	scene_init(&scene);
	KTAP_EQUAL(world_hwpt(world, world->id[0], scene.ioas[1],
	                      PASID | IOMMU_HWPT_ALLOC_NEST_PARENT, &parent),
	           0);
	KTAP_EQUAL(world_nested(world, parent, PASID, 0, &child), 0);
	KTAP_EQUAL(world_nested(world, parent, 0, 0, &plain_child), 0);
	KTAP_EQUAL(world_attach_pasid(world, 0, 8, plain_child, NULL), -EINVAL);
	KTAP_EQUAL(world_attach_pasid(world, 0, 8, child, NULL), 0);
	KTAP_EQUAL(reached(&scene, 8), 2);
	KTAP_EQUAL(world_destroy(world, child), -EBUSY);
	KTAP_EQUAL(world_destroy(world, parent), -EBUSY);
	/* a parent's unmap reaches the child's PASID at once */
	KTAP_EQUAL(world_unmap(world, scene.ioas[1], BASE, PAGE, NULL), 0);
	KTAP_EQUAL(reached(&scene, 8), 0);
	KTAP_EQUAL(world_detach_pasid(world, 0, 8), 0);
	KTAP_EQUAL(world_destroy(world, child), 0);
	KTAP_EQUAL(world_destroy(world, parent), -EBUSY);
	KTAP_EQUAL(world_destroy(world, plain_child), 0);
	KTAP_EQUAL(world_destroy(world, parent), 0);
	world_end(world);
}

static const struct ktap_case cases[] = {
	{"PASIDs and what has none, side by side", side_by_side},
	{"what a PASID does not take", refused},
	{"nested HWPTs on PASIDs", nested},
};

KTAP_MAIN(cases)
