/* SPDX-License-Identifier: MIT */
/*
 * HWPT_ALLOC and GET_HW_INFO: what the driver decides, what an IOAS and its HWPTs
 * keep in step, NEST_PARENT, nested HWPTs, and memory when an IOMMU does not answer.
 */
#include "tests/unit/ufd_test_user.h"

#define BASE UINT64_C(0x40000000)

static void allocation(void)
{
	struct world world;
	uint32_t hwpt, parent;

	world_init(&world);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(world_hwpt(&world, 1, ioas, 0, &hwpt), -ENOENT); /* no device yet */
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t device = world.id[0];
	KTAP_EQUAL(world_hwpt(&world, ioas, ioas, 0, &hwpt), -ENOENT); /* an IOAS is no device */
	KTAP_EQUAL(world_hwpt(&world, device, 99, 0, &hwpt), -EINVAL);
	KTAP_EQUAL(world_hwpt(&world, device, 0, 0, &hwpt), -EINVAL);
	KTAP_EQUAL(world_hwpt(&world, device, device, 0, &hwpt), -EINVAL);
	for (unsigned bit = 4; bit < 32; bit++) /* those that are not known */
		KTAP_EQUAL(world_hwpt(&world, device, ioas, 1u << bit, &hwpt), -EOPNOTSUPP);
	KTAP_EQUAL(world_hwpt(&world, device, ioas, ~0u, &hwpt), -EOPNOTSUPP);
	struct iommu_hwpt_alloc alloc = {.dev_id = device, .pt_id = ioas, .__reserved = 1};
	KTAP_EQUAL(call(&world, IOMMU_HWPT_ALLOC, &alloc), -EOPNOTSUPP);
	alloc = (struct iommu_hwpt_alloc){.dev_id = device, .pt_id = ioas, .__reserved2 = 1};
	KTAP_EQUAL(call(&world, IOMMU_HWPT_ALLOC, &alloc), -EOPNOTSUPP);
	KTAP_EQUAL(world_info(&world, ioas).users, 0);

	KTAP_EQUAL(world_hwpt(&world, device, ioas, 0, &hwpt), 0);
	KTAP_EQUAL(world_hwpt(&world, device, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	KTAP_EQUAL(world_info(&world, ioas).users, 2);
	KTAP_CHECK(world_info(&world, hwpt).kind == UFD_HWPT_PAGING);
	KTAP_EQUAL(world_info(&world, hwpt).ioas_id, ioas);
	KTAP_CHECK(!world_info(&world, hwpt).automatic);
	KTAP_CHECK(!(world_info(&world, hwpt).domain->flags & IOMMU_ALLOC_NEST_PARENT));
	KTAP_CHECK(world_info(&world, parent).domain->flags & IOMMU_ALLOC_NEST_PARENT);
	KTAP_CHECK(world_info(&world, parent).domain->stage == IOMMU_STAGE_SECOND);
	KTAP_EQUAL(world_destroy(&world, ioas), -EBUSY);
	KTAP_EQUAL(world_destroy(&world, hwpt), 0);
	KTAP_EQUAL(world_destroy(&world, ioas), -EBUSY);
	KTAP_EQUAL(world_destroy(&world, parent), 0);
	KTAP_EQUAL(world_destroy(&world, ioas), 0);
	/* the structure of the series' time, without data */
	ioas = world_ioas(&world);
	uint32_t first[6] = {24, 0, device, ioas, 0, 0};
	KTAP_EQUAL(world_call(&world, world.fd, IOMMU_HWPT_ALLOC, first, sizeof(first)), 0);
	KTAP_EQUAL(world_destroy(&world, first[4]), 0);
	/* an answer that cannot be written leaves nothing */
	world.user.out_fail_at = world.user.outs + 1;
	KTAP_EQUAL(world_hwpt(&world, device, ioas, 0, &hwpt), -EFAULT);
	KTAP_EQUAL(world_info(&world, ioas).users, 0);
	world_end(&world);
}

static int nested(struct world *world, uint32_t parent, uint32_t flags, uint32_t type,
                  uint32_t bytes, uint64_t user, uint32_t *out)
{
	struct iommu_hwpt_alloc alloc = {
		.flags = flags,
		.dev_id = world->id[0],
		.pt_id = parent,
		.data_type = type,
		.data_len = bytes,
		.data_uptr = user,
	};
	int result = call(world, IOMMU_HWPT_ALLOC, &alloc);

	*out = alloc.out_hwpt_id;
	return result;
}

static void nesting(void)
{
	struct world world;
	uint32_t plain, parent, child, grandchild, automatic;
	const uint32_t type = IOMMU_HWPT_DATA_SELFTEST;

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t ioas = world_ioas(&world), device = world.id[0];
	KTAP_EQUAL(world_hwpt(&world, device, ioas, 0, &plain), 0);
	KTAP_EQUAL(world_hwpt(&world, device, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	KTAP_EQUAL(world_attach(&world, 0, ioas, &automatic), 0);

	/* data and its type come together */
	KTAP_EQUAL(nested(&world, parent, 0, 0, 4, USER_PLAIN, &child), -EINVAL);
	KTAP_EQUAL(nested(&world, parent, 0, type, 0, USER_PLAIN, &child), -EINVAL);
	KTAP_EQUAL(nested(&world, parent, 0, 0, 0, 0, &child), -EOPNOTSUPP);
	/* no flags, a NEST_PARENT below, data that the driver knows */
	KTAP_EQUAL(nested(&world, parent, 1, type, 4, USER_PLAIN, &child), -EOPNOTSUPP);
	KTAP_EQUAL(nested(&world, parent, 1u << 31, type, 4, USER_PLAIN, &child), -EOPNOTSUPP);
	KTAP_EQUAL(nested(&world, plain, 0, type, 4, USER_PLAIN, &child), -EINVAL);
	KTAP_EQUAL(nested(&world, automatic, 0, type, 4, USER_PLAIN, &child), -EINVAL);
	KTAP_EQUAL(nested(&world, parent, 0, IOMMU_HWPT_DATA_VTD_S1, 4, USER_PLAIN, &child),
	           -EOPNOTSUPP);
	KTAP_EQUAL(nested(&world, parent, 0, type, 3, USER_PLAIN, &child), -EINVAL);
	KTAP_EQUAL(nested(&world, parent, 0, type, 4, 0x1000, &child), -EFAULT);
	KTAP_EQUAL(nested(&world, parent, 0, type, 4, UINT64_MAX - 2, &child), -EFAULT);
	KTAP_EQUAL(nested(&world, parent, 0, type, UINT32_MAX, USER_PLAIN, &child), -E2BIG);
	memset(test_user_at(&world.user, USER_PLAIN), 1, 64);
	KTAP_EQUAL(nested(&world, parent, 0, type, 16, USER_PLAIN, &child), -E2BIG);
	memset(test_user_at(&world.user, USER_PLAIN), 0, 3 * PAGE);
	/* longer data than anybody knows: as long as it is zero, and within reason */
	static const struct {
		uint32_t bytes, set; /* the byte that is not zero */
		int result;
	} longer[] = {
		{9, 8, -E2BIG},       {9, 9, 0},       {256, 255, -E2BIG},
		{257, 256, -E2BIG},   {257, 257, 0},   {300, 299, -E2BIG},
		{4096, 4095, -E2BIG}, {4096, 4096, 0}, {4097, 5000, -E2BIG},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(longer); i++) {
		uint8_t *byte = test_user_at(&world.user, USER_PLAIN + longer[i].set);
		*byte = 1;
		KTAP_EQUAL(nested(&world, parent, 0, type, longer[i].bytes, USER_PLAIN, &child),
		           longer[i].result);
		if (!longer[i].result)
			KTAP_EQUAL(world_destroy(&world, child), 0);
		*byte = 0;
	}
	KTAP_EQUAL(nested(&world, parent, 0, type, 300, USER_PLAIN + USER_BYTES - 299, &child),
	           -EFAULT);
	KTAP_EQUAL(nested(&world, parent, 0, type, 300, USER_PLAIN + USER_BYTES - 200, &child),
	           -EFAULT);
	/* data for an IOAS: the mock has no use for it */
	KTAP_EQUAL(nested(&world, ioas, 0, type, 4, USER_PLAIN, &child), -EOPNOTSUPP);
	KTAP_EQUAL(world_info(&world, parent).users, 0);

	KTAP_EQUAL(nested(&world, parent, 0, type, 4, USER_PLAIN, &child), 0);
	KTAP_CHECK(world_info(&world, child).kind == UFD_HWPT_NESTED);
	KTAP_EQUAL(world_info(&world, child).ioas_id, parent);
	KTAP_EQUAL(world_info(&world, parent).users, 1);
	KTAP_EQUAL(world_destroy(&world, parent), -EBUSY);
	KTAP_EQUAL(nested(&world, child, 0, type, 4, USER_PLAIN, &grandchild), -EINVAL);

	/* the device works through the child, what the parent unmaps is gone at once */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(world_attach(&world, 0, child, NULL), 0);
	KTAP_CHECK(world_info(&world, automatic).kind == UFD_NONE); /* its last user left */
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	KTAP_EQUAL(world_destroy(&world, child), -EBUSY);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, PAGE, NULL), 0);
	KTAP_CHECK(world_blocked(&world, 0, BASE));
	KTAP_EQUAL(world_attach(&world, 0, plain, NULL), 0);
	KTAP_EQUAL(world_destroy(&world, child), 0);
	KTAP_EQUAL(world_destroy(&world, parent), 0);
	world_end(&world);
}

static void in_step(void)
{
	struct world world;
	uint32_t hwpt[3];

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	KTAP_EQUAL(world_bind(&world, 1), 0);
	uint32_t ioas = world_ioas(&world);
	/* mapped before the first, between, after the last: every HWPT has everything */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE_SIZE_2M, BASE), 0);
	KTAP_EQUAL(world.user.pinned, 0);
	KTAP_EQUAL(world_hwpt(&world, world.id[0], ioas, 0, &hwpt[0]), 0);
	KTAP_EQUAL(world.user.pinned, 512);
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 100 * PAGE, 2 * BASE), 0);
	KTAP_EQUAL(world_hwpt(&world, world.id[0], ioas, 1, &hwpt[1]), 0);
	KTAP_EQUAL(world_hwpt(&world, world.id[1], ioas, 0, &hwpt[2]), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, 3 * BASE), 0);
	KTAP_EQUAL(world.user.pinned, 613);
	for (unsigned i = 0; i < 3; i++) {
		KTAP_EQUAL(world_attach(&world, 0, hwpt[i], NULL), 0);
		KTAP_CHECK(world_reaches(&world, 0, BASE + 5, USER_PLAIN + 5));
		KTAP_CHECK(world_reaches(&world, 0, BASE + 511 * PAGE, USER_PLAIN + 511 * PAGE));
		for (unsigned page = 0; page < 100; page++)
			KTAP_CHECK(world_reaches(&world, 0, 2 * BASE + page * PAGE,
			                         USER_SCATTER + page * PAGE));
		KTAP_CHECK(world_reaches(&world, 0, 3 * BASE, USER_PLAIN));
	}
	/* one flush for each HWPT, however many areas */
	uint64_t flushes = world_flushes(&world);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, 4 * BASE, NULL), 0);
	KTAP_EQUAL(world_flushes(&world) - flushes, 3);
	KTAP_EQUAL(world.user.pinned, 0);
	for (unsigned i = 0; i < 3; i++) {
		KTAP_EQUAL(world_attach(&world, 0, hwpt[i], NULL), 0);
		KTAP_CHECK(world_blocked(&world, 0, BASE));
		KTAP_CHECK(world_blocked(&world, 0, 3 * BASE));
	}
	/* the last HWPT takes the pins with it */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(world_detach(&world, 0), 0);
	for (unsigned i = 0; i < 3; i++) {
		KTAP_EQUAL(world.user.pinned, 1);
		KTAP_EQUAL(world_destroy(&world, hwpt[i]), 0);
	}
	KTAP_EQUAL(world.user.pinned, 0);
	KTAP_EQUAL(world_info(&world, ioas).areas, 1);
	world_end(&world);
}

static void conflicts(void)
{
	struct world world;
	uint32_t hwpt;

	/* what is mapped already and does not fit the hardware */
	static const struct {
		uint64_t user, bytes, at;
		int result;
	} cases[] = {
		{USER_PLAIN, PAGE, BASE, 0},
		{USER_PLAIN, 1, BASE, -EADDRINUSE},
		{USER_PLAIN, PAGE, BASE + 1, -EADDRINUSE},
		{USER_PLAIN + 1, PAGE, BASE, -EADDRINUSE},
		{USER_PLAIN, PAGE, (UINT64_C(1) << 48) - PAGE, 0},
		{USER_PLAIN, PAGE, UINT64_C(1) << 48, -EADDRINUSE},
		{USER_PLAIN, UINT64_C(1) << 62, UINT64_C(1) << 63, -EADDRINUSE},
		{USER_PLAIN - PAGE, PAGE, BASE, -EFAULT},
		{USER_READONLY, PAGE, BASE, -EFAULT},
		{USER_PLAIN, USER_BYTES + PAGE, BASE, -EFAULT},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		world_init(&world);
		KTAP_EQUAL(world_bind(&world, 0), 0);
		uint32_t ioas = world_ioas(&world);
		KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 2 * PAGE, 2 * BASE), 0);
		KTAP_EQUAL(world_map(&world, ioas, cases[i].user, cases[i].bytes, cases[i].at), 0);
		KTAP_EQUAL(world_hwpt(&world, world.id[0], ioas, 0, &hwpt), cases[i].result);
		KTAP_EQUAL(world_attach(&world, 0, ioas, &hwpt), cases[i].result);
		KTAP_EQUAL(world_info(&world, ioas).areas, 2);
		if (cases[i].result) {
			KTAP_EQUAL(world.user.pinned, 0);
			KTAP_EQUAL(world_info(&world, ioas).users, 0);
			/* and the IOAS still takes what it took before */
			KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 3, 4 * BASE + 7), 0);
		}
		world_end(&world);
	}
}

static void hardware_info(void)
{
	struct world world;
	uint8_t *data;

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	data = test_user_at(&world.user, USER_PLAIN);
	struct iommu_hw_info info = {.dev_id = world.id[0]};
	KTAP_EQUAL(call(&world, IOMMU_GET_HW_INFO, &info), 0);
	KTAP_EQUAL(info.data_len, sizeof(struct iommu_test_hw_info));
	KTAP_EQUAL(info.out_data_type, IOMMU_HW_INFO_TYPE_SELFTEST);
	KTAP_EQUAL(info.out_capabilities, IOMMU_HW_CAP_DIRTY_TRACKING);
	KTAP_EQUAL(info.out_max_pasid_log2, 20);
	for (unsigned has = 0; has < 8; has++) { /* PASIDs, and what they can do */
		world.device[0]->desc.pasid_exec = has & 1;
		world.device[0]->desc.pasid_priv = has & 2;
		world.device[0]->pasid_bits = has & 4 ? 20 : 0;
		info = (struct iommu_hw_info){.dev_id = world.id[0]};
		KTAP_EQUAL(call(&world, IOMMU_GET_HW_INFO, &info), 0);
		KTAP_EQUAL(info.out_capabilities, 1 + (has & 4 ? 2 * (has & 3) : 0));
		KTAP_EQUAL(info.out_max_pasid_log2, has & 4 ? 20 : 0);
	}
	world.device[0]->desc.ats_queue_depth = 0;
	info = (struct iommu_hw_info){.dev_id = world.id[0]};
	KTAP_EQUAL(call(&world, IOMMU_GET_HW_INFO, &info), 0);
	KTAP_EQUAL(info.out_capabilities, 7 + IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED);
	for (uint32_t room = 0; room <= 300; room++) {
		memset(data, 0xaa, 400);
		info = (struct iommu_hw_info){
			.dev_id = world.id[0], .data_len = room, .data_uptr = USER_PLAIN};
		KTAP_EQUAL(call(&world, IOMMU_GET_HW_INFO, &info), 0);
		KTAP_EQUAL(info.data_len, 8);
		static const uint8_t wanted[8] = {0, 0, 0, 0, 0xef, 0xbe, 0xad, 0xde};
		for (uint32_t i = 0; i < 400; i++)
			KTAP_EQUAL(data[i], i >= room ? 0xaa : i < 8 ? wanted[i] : 0);
	}
	const struct {
		struct iommu_hw_info info;
		int result;
	} cases[] = {
		{{.dev_id = 0}, -ENOENT},
		{{.dev_id = 99}, -ENOENT},
		{{.dev_id = world.id[0], .flags = 2}, -EOPNOTSUPP},
		{{.dev_id = world.id[0], .__reserved = {1}}, -EOPNOTSUPP},
		{{.dev_id = world.id[0], .__reserved = {0, 0, 1}}, -EOPNOTSUPP},
		{{.dev_id = world.id[0], .data_len = 8}, -EFAULT},
		{{.dev_id = world.id[0], .data_len = 8, .data_uptr = UINT64_MAX - 3}, -EFAULT},
		{{.dev_id = world.id[0], .data_len = UINT32_MAX, .data_uptr = USER_PLAIN}, -EFAULT},
		{{.dev_id = world.id[0], .data_len = 9, .data_uptr = USER_PLAIN + USER_BYTES - 8},
	         -EFAULT},
		{{.dev_id = world.id[0], .data_len = 8, .data_uptr = USER_PLAIN + USER_BYTES - 8},
	         0},
		{{.dev_id = world.id[0], .flags = 1, .in_data_type = 1}, -EOPNOTSUPP},
		{{.dev_id = world.id[0], .flags = 1, .in_data_type = 0}, 0},
		{{.dev_id = world.id[0], .flags = 1, .in_data_type = 0xfeedbeef}, 0},
		{{.dev_id = world.id[0], .in_data_type = 5}, 0}, /* not looked at */
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		info = cases[i].info;
		KTAP_EQUAL(call(&world, IOMMU_GET_HW_INFO, &info), cases[i].result);
	}
	uint32_t ioas = world_ioas(&world);
	info = (struct iommu_hw_info){.dev_id = ioas};
	KTAP_EQUAL(call(&world, IOMMU_GET_HW_INFO, &info), -ENOENT);
	world_end(&world);
}

static void dead_hardware(void)
{
	struct world world;
	uint64_t bytes;
	const uint64_t first = BASE + 16 * PAGE, second = 2 * BASE;

	/* an unmap that the IOMMU does not confirm: the memory stays pinned for good */
	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t ioas = world_ioas(&world), other = world_ioas(&world);
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), 0);
	/* neighbours that stay, so that no table page leaves the tree and is lost too */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + 64 * PAGE, PAGE, BASE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN + 65 * PAGE, PAGE, second + 100 * PAGE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 4 * PAGE, first), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 3 * PAGE, second), 0);
	KTAP_EQUAL(world_copy(&world, ioas, first, other, 0, 4 * PAGE, RW), 0);
	KTAP_CHECK(world_reaches(&world, 0, first, USER_PLAIN));
	KTAP_EQUAL(world.user.pinned, 9);
	ufd_mock_break(world.device[0]->unit, true);
	KTAP_EQUAL(world_unmap(&world, ioas, first, BASE, &bytes), 0);
	KTAP_EQUAL(bytes, 7 * PAGE);
	KTAP_EQUAL(world.user.pinned, 9);
	KTAP_CHECK(world_reaches(&world, 0, first, USER_PLAIN)); /* just so: still reached */
	KTAP_EQUAL(world.os.log_count[IOMMU_LOG_ERROR], 2);
	KTAP_CHECK(strstr(world.os.last_log, "pinned for good"));
	ufd_mock_break(world.device[0]->unit, false);
	/* what is confirmed is not affected */
	KTAP_EQUAL(world_unmap(&world, ioas, BASE, PAGE, NULL), 0);
	KTAP_EQUAL(world_unmap(&world, ioas, second + 100 * PAGE, PAGE, NULL), 0);
	KTAP_EQUAL(world.user.pinned, 7);
	/* the copy is whole, and maps without a second pin */
	KTAP_EQUAL(world_attach(&world, 0, other, NULL), 0);
	KTAP_CHECK(world_reaches(&world, 0, 0, USER_PLAIN));
	KTAP_EQUAL(world.user.pinned, 7);
	KTAP_EQUAL(world_unmap(&world, other, 0, UINT64_MAX, NULL), 0);
	KTAP_EQUAL(world.user.pinned, 7);
	world_end_with(&world, 7);
}

/* ---- a memory provider that is wrong ------------------------------------------------- */

static unsigned lie;

static int lying_pin(void *ctx, uint64_t user, uint64_t bytes, bool write,
                     struct iommu_extent *extents, size_t capacity, size_t *count, uint64_t *pinned)
{
	struct test_user *self = ctx;
	uint64_t at = (uintptr_t)self->block;

	(void)user;
	(void)write;
	*count = 1;
	*pinned = bytes;
	extents[0] = (struct iommu_extent){pa(at), bytes};
	switch (lie) {
	case 0: /* done, and nothing is pinned */
		*pinned = 0;
		break;
	case 1:
		*count = 0;
		break;
	case 2: /* more than was asked for */
		*pinned = extents[0].bytes = bytes + PAGE;
		break;
	case 3: /* the extents hold less than it says */
		extents[0].bytes = bytes - PAGE;
		break;
	case 4: /* or more */
		extents[0].bytes = bytes + PAGE;
		break;
	case 5:
		extents[0].start = pa(at + 8);
		break;
	case 6:
		extents[0].bytes = bytes - 8;
		*pinned = bytes - 8;
		break;
	case 7:
		*count = capacity + 1;
		break;
	case 8:                     /* an extent of nothing */
		if (capacity < 2) { /* (there is room for two when it comes back for the rest) */
			*pinned = extents[0].bytes = PAGE;
			break;
		}
		extents[1] = (struct iommu_extent){pa(at), 0};
		*count = 2;
		break;
	default: /* the truth */
		break;
	}
	return 0;
}

static void nothing_unpinned(void *ctx, uint64_t user, const struct iommu_extent *extents,
                             size_t count, bool dirty)
{
	(void)ctx;
	(void)user;
	(void)extents;
	(void)count;
	(void)dirty;
}

static void wrong_provider(void)
{
	struct ufd_memory_ops liar = test_user_ops;
	struct world world;

	liar.pin = lying_pin;
	liar.unpin = nothing_unpinned;
	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), 0);
	world.ufd.memory = &liar;
	for (lie = 0; lie < 9; lie++)
		KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 4 * PAGE, BASE), -EFAULT);
	KTAP_EQUAL(world_info(&world, ioas).areas, 0);
	KTAP_CHECK(world_blocked(&world, 0, BASE));
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 4 * PAGE, BASE), 0);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	world_end(&world);
}

static const struct ktap_case cases[] = {
	{"HWPT_ALLOC on an IOAS", allocation},
	{"HWPT_ALLOC on a NEST_PARENT", nesting},
	{"every HWPT has every mapping; one flush each", in_step},
	{"mappings that do not fit the hardware", conflicts},
	{"GET_HW_INFO", hardware_info},
	{"an IOMMU that does not answer: memory stays pinned", dead_hardware},
	{"a memory provider that miscounts is not believed", wrong_provider},
};

KTAP_MAIN(cases)
