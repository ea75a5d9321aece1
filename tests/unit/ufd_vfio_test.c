/* SPDX-License-Identifier: MIT */
/* VFIO's container calls: each, what it refuses, and cutting as type 1 does. */
#include "tests/unit/ufd_test_user.h"
#include "ufd/selftest.h"
#include "ufd/vfio_type1.h"

#define BASE MOCK_APERTURE_START

static int simple(struct world *world, uint32_t command, uint64_t argument)
{
	return ufd_ioctl(&world->ufd, world->fd, command, argument);
}

static int set_ioas(struct world *world, uint32_t id)
{
	struct iommu_vfio_ioas arguments = {.ioas_id = id, .op = IOMMU_VFIO_IOAS_SET};

	return call(world, IOMMU_VFIO_IOAS, &arguments);
}

static int map(struct world *world, uint32_t flags, uint64_t user, uint64_t bytes, uint64_t at)
{
	struct vfio_iommu_type1_dma_map arguments = {sizeof(arguments), flags, user, at, bytes};

	return world_call(world, world->fd, VFIO_IOMMU_MAP_DMA, &arguments, sizeof(arguments));
}

static int unmap(struct world *world, uint32_t flags, uint64_t bytes, uint64_t at, uint64_t *out)
{
	struct vfio_iommu_type1_dma_unmap arguments = {sizeof(arguments), flags, at, bytes};
	int error =
		world_call(world, world->fd, VFIO_IOMMU_UNMAP_DMA, &arguments, sizeof(arguments));

	*out = arguments.size;
	return error;
}

/** A world with a self-test device on an IOAS, which is VFIO's. The HWPT's id is *hwpt. */
static uint32_t begin(struct world *world, uint32_t *hwpt)
{
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_MOCK_DOMAIN};

	world_init(world);
	cmd.id = world_ioas(world);
	KTAP_EQUAL(call(world, IOMMU_TEST_CMD, &cmd), 0);
	*hwpt = cmd.mock_domain.out_hwpt_id;
	KTAP_EQUAL(set_ioas(world, cmd.id), 0);
	return cmd.id;
}

static void without_ioas(void)
{
	struct world world;
	uint64_t bytes;

	world_init(&world);
	KTAP_EQUAL(simple(&world, VFIO_GET_API_VERSION, 0), 0);
	const struct {
		uint64_t what;
		int result;
	} extensions[] = {
		{VFIO_TYPE1_IOMMU, 1},
		{VFIO_TYPE1v2_IOMMU, 1},
		{VFIO_UNMAP_ALL, 1},
		{VFIO_DMA_CC_IOMMU, -ENODEV},
		{VFIO_NOIOMMU_IOMMU, 0},
		{VFIO_UPDATE_VADDR, 0},
		{VFIO_TYPE1_NESTING_IOMMU, 0},
		{0, 0},
		{UINT64_MAX, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(extensions); i++)
		KTAP_EQUAL(simple(&world, VFIO_CHECK_EXTENSION, extensions[i].what),
		           extensions[i].result);
	KTAP_EQUAL(simple(&world, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), -ENODEV);
	KTAP_EQUAL(map(&world, 3, USER_PLAIN, PAGE, BASE), -ENODEV);
	KTAP_EQUAL(unmap(&world, 0, PAGE, BASE, &bytes), -ENODEV);
	struct vfio_iommu_type1_info info = {.argsz = sizeof(info)};
	KTAP_EQUAL(world_call(&world, world.fd, VFIO_IOMMU_GET_INFO, &info, sizeof(info)), -ENODEV);
	/* an IOAS that is gone is none */
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(set_ioas(&world, ioas), 0);
	KTAP_EQUAL(simple(&world, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 1);
	KTAP_EQUAL(world_destroy(&world, ioas), 0);
	KTAP_EQUAL(simple(&world, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), -ENODEV);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, UFD_VFIO_COMMAND(3), 0), -ENOTTY);
	world_end(&world);
}

static void information(void)
{
	struct world world;
	uint32_t hwpt;

	uint32_t ioas = begin(&world, &hwpt);
	/* [aperture] and a hole in it: two ranges */
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_ADD_RESERVED,
	                             .id = ioas,
	                             .add_reserved = {BASE + 8 * PAGE, PAGE}};
	KTAP_EQUAL(call(&world, IOMMU_TEST_CMD, &cmd), 0);
	const uint32_t all = 24 + 16 + 2 * 16 + 12;
	for (uint32_t room = 0; room <= all + 8; room++) {
		uint8_t *at = test_user_at(&world.user, USER_PLAIN);
		struct vfio_iommu_type1_info *info = (struct vfio_iommu_type1_info *)at;
		memset(at, 0xaa, 256);
		memcpy(at, &room, sizeof(room));
		int result = simple(&world, VFIO_IOMMU_GET_INFO, USER_PLAIN);
		KTAP_EQUAL(result, room < 16 ? -EINVAL : 0);
		for (uint32_t i = room < 4 ? 4 : room; i < 256; i++)
			KTAP_EQUAL(at[i], 0xaa); /* nothing beyond the caller's structure */
		if (result)
			continue;
		KTAP_EQUAL(info->flags, VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS);
		KTAP_EQUAL(info->iova_pgsizes, PAGE);
		KTAP_EQUAL(info->argsz, all);
		if (room < 24)
			continue;
		KTAP_EQUAL(info->cap_offset, room < all - 12 ? 0 : 24);
		if (!info->cap_offset)
			continue;
		struct vfio_iommu_type1_info_cap_iova_range *ranges =
			(struct vfio_iommu_type1_info_cap_iova_range *)(at + 24);
		KTAP_EQUAL(ranges->header.id, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
		KTAP_EQUAL(ranges->nr_iovas, 2);
		KTAP_EQUAL(ranges->iova_ranges[0].start, BASE);
		KTAP_EQUAL(ranges->iova_ranges[0].end, BASE + 8 * PAGE - 1);
		KTAP_EQUAL(ranges->iova_ranges[1].start, BASE + 9 * PAGE);
		KTAP_EQUAL(ranges->iova_ranges[1].end, MOCK_APERTURE_LAST);
		KTAP_EQUAL(ranges->header.next, room < all ? 0 : all - 12);
		if (ranges->header.next) {
			struct vfio_iommu_type1_info_dma_avail avail;
			memcpy(&avail, at + ranges->header.next, sizeof(avail));
			KTAP_EQUAL(avail.header.id, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
			KTAP_CHECK(!avail.header.next && avail.avail);
		}
	}
	KTAP_EQUAL(simple(&world, VFIO_IOMMU_GET_INFO, 0), -EFAULT);
	world_end(&world);
}

static void whole_mappings(void)
{
	struct world world;
	uint64_t bytes;
	uint32_t hwpt;

	uint32_t ioas = begin(&world, &hwpt);
	KTAP_EQUAL(simple(&world, VFIO_SET_IOMMU, 2), -EINVAL);
	KTAP_EQUAL(simple(&world, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	uint32_t short_one[8] = {1};
	KTAP_EQUAL(world_call(&world, world.fd, VFIO_IOMMU_MAP_DMA, short_one, 32), -EINVAL);
	KTAP_EQUAL(world_call(&world, world.fd, VFIO_IOMMU_UNMAP_DMA, short_one, 24), -EINVAL);
	const struct {
		uint32_t flags;
		uint64_t user, bytes, at;
		int result;
	} maps[] = {
		{0, USER_PLAIN, PAGE, BASE, -EINVAL},
		{4, USER_PLAIN, PAGE, BASE, -EINVAL},
		{1u << 31, USER_PLAIN, PAGE, BASE, -EINVAL},
		{3, USER_PLAIN, 0, BASE, -EINVAL},
		{3, USER_PLAIN, 1, BASE, -EINVAL},
		{3, 0, PAGE, BASE, -EFAULT},
		{3, USER_PLAIN, PAGE, UINT64_C(1) << 63, -EINVAL},
		{3, USER_PLAIN, UINT64_MAX, BASE, -EINVAL},
		{3, USER_PLAIN, 4 * PAGE, BASE, 0},
		{1, USER_PLAIN, PAGE, BASE + 3 * PAGE, -EEXIST},
		{1, USER_PLAIN, PAGE, BASE + 4 * PAGE, 0},
		{2, USER_PLAIN, PAGE, BASE + 5 * PAGE, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(maps); i++)
		KTAP_EQUAL(map(&world, maps[i].flags, maps[i].user, maps[i].bytes, maps[i].at),
		           maps[i].result);
	const struct {
		uint32_t flags;
		uint64_t bytes, at;
		int result;
		uint64_t out;
	} unmaps[] = {
		{1, PAGE, BASE, -EINVAL, PAGE},
		{4, PAGE, BASE, -EINVAL, PAGE},
		{0, 0, BASE, -EINVAL, 0},
		{0, 2, UINT64_MAX, -EOVERFLOW, 2},
		{0, PAGE, BASE, -ENOENT, PAGE}, /* a part */
		{0, PAGE, BASE + 3 * PAGE, -ENOENT, PAGE},
		{0, PAGE, BASE + 6 * PAGE, 0, 0}, /* nothing */
		{0, 2 * PAGE, BASE + 4 * PAGE, 0, 2 * PAGE},
		{0, 4 * PAGE, BASE, 0, 4 * PAGE},
		{2, 1, 0, -EINVAL, 1},
		{2, 0, 1, -EINVAL, 0},
		{2, 0, 0, 0, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(unmaps); i++) {
		KTAP_EQUAL(unmap(&world, unmaps[i].flags, unmaps[i].bytes, unmaps[i].at, &bytes),
		           unmaps[i].result);
		KTAP_EQUAL(bytes, unmaps[i].out);
	}
	KTAP_EQUAL(map(&world, 3, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(unmap(&world, 2, 0, 0, &bytes), 0);
	KTAP_EQUAL(bytes, PAGE);
	KTAP_EQUAL(world_info(&world, ioas).areas, 0);
	world_end(&world);
}

/** Which of 16 pages from BASE on does the HWPT map? */
static uint32_t mapped(struct world *world, uint32_t hwpt)
{
	struct ufd_object_info info;
	struct iommu_leaf leaf;
	uint32_t bits = 0;

	KTAP_EQUAL(ufd_object_get(&world->ufd, world->fd, hwpt, &info), 0);
	for (unsigned i = 0; i < 16; i++)
		bits |= (uint32_t)info.domain->ops->lookup(info.domain, iova(BASE + i * PAGE),
		                                           &leaf)
		        << i;
	return bits;
}

static void cut_mappings(void)
{
	struct world world;
	uint64_t bytes;
	uint32_t hwpt;

	uint32_t ioas = begin(&world, &hwpt);
	KTAP_EQUAL(simple(&world, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0);
	KTAP_EQUAL(map(&world, 3, USER_PLAIN, 12 * PAGE, BASE), 0);
	KTAP_EQUAL(simple(&world, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU), 0); /* again, with maps */
	KTAP_EQUAL(unmap(&world, 0, 2048, BASE, &bytes), -EINVAL);
	KTAP_EQUAL(mapped(&world, hwpt), 0xfff);
	/* each allocation of a cut fails in turn: nothing has changed then */
	for (long i = 1; i <= 2; i++) {
		world.os.fail_at = world.os.allocations + i;
		KTAP_EQUAL(unmap(&world, 0, 2 * PAGE, BASE + 4 * PAGE, &bytes), -ENOMEM);
		KTAP_EQUAL(mapped(&world, hwpt), 0xfff);
		KTAP_EQUAL(world_info(&world, ioas).areas, 1);
	}
	world.os.fail_at = 0;
	world.user.out_fail_at = world.user.outs + 1;
	KTAP_EQUAL(unmap(&world, 0, 2 * PAGE, BASE + 4 * PAGE, &bytes), -EFAULT);
	KTAP_EQUAL(world_info(&world, ioas).areas, 1);
	/* out of the middle, then across both cuts, then the ends */
	KTAP_EQUAL(unmap(&world, 0, 2 * PAGE, BASE + 4 * PAGE, &bytes), 0);
	KTAP_EQUAL(bytes, 2 * PAGE);
	KTAP_EQUAL(mapped(&world, hwpt), 0xfcf);
	KTAP_EQUAL(world_info(&world, ioas).areas, 2);
	KTAP_EQUAL(world_info(&world, ioas).mapped_bytes, 10 * PAGE);
	KTAP_EQUAL(world.user.pinned, 12); /* one piece of memory, pinned as such */
	KTAP_EQUAL(unmap(&world, 0, 6 * PAGE, BASE + 2 * PAGE, &bytes), 0);
	KTAP_EQUAL(bytes, 4 * PAGE);
	KTAP_EQUAL(mapped(&world, hwpt), 0xf03);
	KTAP_EQUAL(unmap(&world, 0, PAGE, BASE, &bytes), 0);
	KTAP_EQUAL(unmap(&world, 0, PAGE, BASE + 11 * PAGE, &bytes), 0);
	KTAP_EQUAL(mapped(&world, hwpt), 0x702);
	KTAP_EQUAL(unmap(&world, 0, PAGE, BASE + 4 * PAGE, &bytes), 0);
	KTAP_EQUAL(bytes, 0);
	/* a new HWPT gets what is left, at the right memory */
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = ioas};
	KTAP_EQUAL(call(&world, IOMMU_TEST_CMD, &cmd), 0);
	cmd = (struct iommu_test_cmd){
		.op = IOMMU_TEST_OP_MD_CHECK_MAP,
		.id = hwpt,
		.check_map = {BASE + 8 * PAGE, 3 * PAGE, USER_PLAIN + 8 * PAGE}};
	KTAP_EQUAL(call(&world, IOMMU_TEST_CMD, &cmd), 0);
	KTAP_EQUAL(unmap(&world, 0, UINT64_MAX, 1, &bytes), 0);
	KTAP_EQUAL(bytes, 4 * PAGE);
	KTAP_EQUAL(world.user.pinned, 0);
	world_end(&world);
}

static const struct ktap_case cases[] = {
	{"without an IOAS; extensions", without_ioas},
	{"GET_INFO with any room", information},
	{"version 2: whole mappings", whole_mappings},
	{"version 1: mappings are cut", cut_mappings},
};

KTAP_MAIN(cases)
