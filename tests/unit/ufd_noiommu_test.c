/* SPDX-License-Identifier: MIT */
/* Devices without an IOMMU: bound only where the embedder wants it; pinned memory, and where
 * it is. */
#include "tests/unit/ufd_test_user.h"
#include "ufd/vfio_type1.h"

#define BASE UINT64_C(0x40000000)

/** The world, but device 0 is one that the mock unit does not translate for. */
static void begin(struct world *world, bool wanted)
{
	const struct iommu_device_desc desc = {.name = "00:07.0",
	                                       .rid = RID(0, 7, 0),
	                                       .hop_count = 1,
	                                       .hops = {{0, 7 << 3}},
	                                       .group = 7};

	world_init(world);
	if (wanted) {
		KTAP_EQUAL(iommu_probe(&world->core, &ufd_noiommu_driver, NULL), 1);
		KTAP_EQUAL(iommu_probe(&world->core, &ufd_noiommu_driver, NULL), -EEXIST);
		KTAP_EQUAL(iommu_enable(&world->core), 0);
	}
	long warnings = world->os.log_count[IOMMU_LOG_WARNING];
	KTAP_EQUAL(ufd_close(&world->ufd, world->cdev[0]), 0);
	KTAP_EQUAL(iommu_device_add(&world->core, &desc, &world->device[0]), 0);
	KTAP_EQUAL(world->os.log_count[IOMMU_LOG_WARNING], warnings + wanted);
	world->cdev[0] = ufd_open_device(&world->ufd, world->device[0]);
}

static void unwanted(void)
{
	struct world world;

	begin(&world, false);
	KTAP_EQUAL(world_bind(&world, 0), -ENODEV);
	KTAP_EQUAL(world_bind(&world, 1), 0);
	world_end(&world);
}

static int where(struct world *world, uint32_t ioas, uint64_t at, uint64_t *bytes, uint64_t *out)
{
	struct iommu_ioas_noiommu_get_pa get = {.ioas_id = ioas, .iova = at, .length = *bytes};
	int result = call(world, IOMMU_IOAS_NOIOMMU_GET_PA, &get);

	*bytes = get.length;
	*out = get.out_phys;
	return result;
}

static void refused(void)
{
	struct world world;
	uint64_t bytes, at;
	uint32_t id, hwpt;

	begin(&world, true);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t ioas = world_ioas(&world);
	struct iommu_hw_info info = {
		.dev_id = world.id[0], .data_len = 16, .data_uptr = USER_PLAIN};
	memset(test_user_at(&world.user, USER_PLAIN), 0xaa, 32);
	KTAP_EQUAL(call(&world, IOMMU_GET_HW_INFO, &info), 0);
	KTAP_EQUAL(info.out_data_type, IOMMU_HW_INFO_TYPE_NONE);
	KTAP_EQUAL(info.data_len, 0);
	KTAP_EQUAL(info.out_max_pasid_log2, 0);
	KTAP_EQUAL(info.out_capabilities, IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	for (unsigned i = 0; i < 32; i++)
		KTAP_EQUAL(((uint8_t *)test_user_at(&world.user, USER_PLAIN))[i],
		           i < 16 ? 0 : 0xaa);
	static const uint32_t flags[] = {IOMMU_HWPT_ALLOC_NEST_PARENT,
	                                 IOMMU_HWPT_ALLOC_DIRTY_TRACKING, IOMMU_HWPT_ALLOC_PASID};
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++)
		KTAP_EQUAL(world_hwpt(&world, world.id[0], ioas, flags[i], &id), -EOPNOTSUPP);
	KTAP_EQUAL(world_hwpt(&world, world.id[0], ioas, 0, &hwpt), 0);
	KTAP_EQUAL(world_nested(&world, hwpt, 0, 0, &id), -EINVAL);
	KTAP_CHECK(world_attach_pasid(&world, 0, 1, hwpt, NULL) < 0);
	struct iommu_viommu_alloc viommu = {
		.type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = world.id[0], .hwpt_id = hwpt};
	KTAP_EQUAL(call(&world, IOMMU_VIOMMU_ALLOC, &viommu), -EOPNOTSUPP);
	/* a table of one kind is none for the other */
	KTAP_EQUAL(world_bind(&world, 1), 0);
	KTAP_EQUAL(world_attach(&world, 1, hwpt, NULL), -EINVAL);
	/* the HWPT that is there pins, but each failure of a map leaves nothing */
	int result = -ENOMEM;
	for (long n = 1; n < 100 && result; n++) {
		world.os.fail_at = world.os.allocations + n;
		result = world_map(&world, ioas, USER_SCATTER, 3 * PAGE, BASE);
		world.os.fail_at = 0;
		bytes = 1;
		if (result)
			KTAP_EQUAL(where(&world, ioas, BASE, &bytes, &at), -ENOENT);
		KTAP_EQUAL(world.user.pinned, result ? 0 : 3);
	}
	KTAP_EQUAL(result, 0);
	world_end(&world);
}

static bool count_leaf(void *arg, const struct iommu_leaf *leaf)
{
	unsigned *count = arg;

	KTAP_CHECK(leaf->bytes && leaf->rights);
	return ++*count < 3;
}

static void pinned(void)
{
	struct world world;
	struct iommu_leaf leaf;
	uint64_t at, bytes;
	uint32_t hwpt;

	begin(&world, true);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t ioas = world_ioas(&world);
	const uint64_t memory = (uintptr_t)world.user.block, last = -PAGE;
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 8 * PAGE, BASE), 0);
	bytes = 1;
	KTAP_EQUAL(where(&world, ioas, BASE, &bytes, &at), -ENOENT); /* not pinned */
	KTAP_EQUAL(world_attach(&world, 0, ioas, &hwpt), 0);
	KTAP_EQUAL(world.user.pinned, 8);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + 8 * PAGE, 2 * PAGE, BASE + 8 * PAGE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 2 * PAGE, BASE + 10 * PAGE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, UINT64_C(1) << 63), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + PAGE, PAGE, last), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, 0), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, PAGE - 1), -EINVAL);
	const struct {
		uint64_t at, bytes;
		int result;
		uint64_t found, memory;
	} cases[] = {
		{0, 1, 0, 1, memory},
		{0, UINT64_MAX, 0, PAGE, memory},
		{PAGE - 1, 2, 0, 1, memory + PAGE - 1},
		{PAGE, 1, -ENOENT, 1, 0},
		{BASE, 0, -EINVAL, 0, 0},
		{BASE, 8 * PAGE - 1, 0, 8 * PAGE - 1, memory},
		{BASE + 3, UINT64_C(1) << 63, 0, 10 * PAGE - 3, memory + 3},
		{BASE + 11 * PAGE, PAGE, 0, PAGE, memory + USER_BYTES - 2 * PAGE},
		{UINT64_C(1) << 63, PAGE, 0, PAGE, memory},
		{last, PAGE, 0, PAGE, memory + PAGE},
		{UINT64_MAX, 1, 0, 1, memory + 2 * PAGE - 1},
		{UINT64_MAX, 2, -EOVERFLOW, 2, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		bytes = cases[i].bytes;
		KTAP_EQUAL(where(&world, ioas, cases[i].at, &bytes, &at), cases[i].result);
		KTAP_EQUAL(bytes, cases[i].found);
		KTAP_EQUAL(at, cases[i].memory);
		if (ktap_failed)
			printf("# case %u\n", i);
	}
	/* the domain knows the same */
	struct iommu_domain *domain = world_info(&world, hwpt).domain;
	KTAP_CHECK(domain->ops->lookup(domain, iova(BASE + 9 * PAGE), &leaf));
	KTAP_EQUAL(leaf.pa.value + (BASE + 9 * PAGE - leaf.iova.value), memory + 9 * PAGE);
	KTAP_CHECK(!domain->ops->lookup(domain, iova(BASE - 1), &leaf));
	unsigned count = 0;
	KTAP_CHECK(!domain->ops->visit(domain, iova(0), iova(last), count_leaf, &count));
	KTAP_EQUAL(count, 3);
	count = 0;
	KTAP_CHECK(domain->ops->visit(domain, iova(PAGE), iova(BASE + 1), count_leaf, &count));
	KTAP_EQUAL(count, 1);
	/* what it does not do is said, too */
	struct iommu_walk walk = {0};
	domain->ops->walk(domain, iova(BASE), IOMMU_READ, &walk);
	KTAP_CHECK(walk.translated && walk.result.value == BASE && walk.count == 1);

	KTAP_EQUAL(world_unmap(&world, ioas, BASE, PAGE, NULL), -ENOENT);
	KTAP_EQUAL(world_unmap(&world, ioas, last, PAGE, NULL), 0);
	bytes = 1;
	KTAP_EQUAL(where(&world, ioas, last, &bytes, &at), -ENOENT);
	KTAP_EQUAL(world_unmap(&world, ioas, 0, UINT64_MAX, &bytes), 0);
	KTAP_EQUAL(bytes, 14 * PAGE);
	KTAP_EQUAL(world.user.pinned, 0);
	count = 0;
	KTAP_CHECK(domain->ops->visit(domain, iova(0), iova(UINT64_MAX), count_leaf, &count));
	KTAP_EQUAL(count, 0);
	/* the last device goes, and the pins with it */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(world_detach(&world, 0), 0);
	KTAP_EQUAL(world.user.pinned, 0);
	KTAP_EQUAL(where(&world, ioas, BASE, &bytes, &at), -ENOENT);
	world_end(&world);
}

/** One IOAS for a device with an IOMMU and one without; and mappings that are cut. */
static void together(void)
{
	struct world world;
	uint64_t at, bytes = PAGE;

	begin(&world, true);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_bind(&world, i), 0);
	uint32_t ioas = world_ioas(&world);
	struct iommu_vfio_ioas vfio = {.ioas_id = ioas, .op = IOMMU_VFIO_IOAS_SET};
	KTAP_EQUAL(call(&world, IOMMU_VFIO_IOAS, &vfio), 0);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_attach(&world, i, ioas, NULL), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 8 * PAGE, BASE), 0);
	KTAP_EQUAL(world.user.pinned, 8);
	KTAP_CHECK(world_reaches(&world, 1, BASE + PAGE, USER_PLAIN + PAGE));
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = BASE + 2 * PAGE, .size = 3 * PAGE};
	KTAP_EQUAL(world_call(&world, world.fd, VFIO_IOMMU_UNMAP_DMA, &unmap, sizeof(unmap)), 0);
	KTAP_EQUAL(unmap.size, 3 * PAGE);
	KTAP_EQUAL(where(&world, ioas, BASE + 2 * PAGE, &bytes, &at), -ENOENT);
	bytes = UINT64_C(1) << 40;
	KTAP_EQUAL(where(&world, ioas, BASE + PAGE, &bytes, &at), 0);
	KTAP_EQUAL(bytes, PAGE);
	bytes = UINT64_C(1) << 40;
	KTAP_EQUAL(where(&world, ioas, BASE + 5 * PAGE, &bytes, &at), 0);
	KTAP_EQUAL(bytes, 3 * PAGE);
	KTAP_EQUAL(at, (uintptr_t)world.user.block + 5 * PAGE);
	KTAP_CHECK(world_blocked(&world, 1, BASE + 2 * PAGE));
	KTAP_EQUAL(world_detach(&world, 1), 0);
	KTAP_EQUAL(world_unmap(&world, ioas, 0, UINT64_MAX, &bytes), 0);
	KTAP_EQUAL(bytes, 5 * PAGE);
	world_end(&world);
}

static const struct ktap_case cases[] = {
	{"not asked for: no such device is bound", unwanted},
	{"what is not there without an IOMMU", refused},
	{"pinned memory, and where it is", pinned},
	{"with another device; cut mappings", together},
};

KTAP_MAIN(cases)
