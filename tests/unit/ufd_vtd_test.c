/* SPDX-License-Identifier: MIT */
/*
 * The calls on /dev/iommu with VT-d behind them, on the reference model: what is mapped is
 * what a device reaches, until the call returns that ends it.
 */
#include "tests/unit/ufd_vtd.h"
#include "ufd/selftest.h"

/* ---- what there is ---------------------------------------------------------------------- */

static void information(void)
{
	for (unsigned n = 0; n < ARRAY_SIZE(vtd_world_units); n++) {
		static const uint32_t rooms[] = {0, 1, 23, 24, 25, 100};
		begin(n);
		for (unsigned i = 0; i < ARRAY_SIZE(rooms); i++) {
			uint8_t *bytes = test_user_at(&w->user, DATA);
			struct iommu_hw_info_vtd want = {
				.flags = IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17,
				.cap_reg = model_read(vw.ats.vm.unit, 8, 8),
				.ecap_reg = model_read(vw.ats.vm.unit, 16, 8),
			};
			struct iommu_hw_info info = {
				.dev_id = w->id[0], .data_len = rooms[i], .data_uptr = DATA};
			memset(bytes, 0xaa, 128);
			KTAP_EQUAL(call(w, IOMMU_GET_HW_INFO, &info), 0);
			KTAP_EQUAL(info.data_len, sizeof(want));
			KTAP_EQUAL(info.out_data_type, IOMMU_HW_INFO_TYPE_INTEL_VTD);
			KTAP_EQUAL(info.out_max_pasid_log2, w->device[0]->pasid_bits);
			for (uint32_t at = 0; at < 128; at++) {
				const uint8_t *known = (const uint8_t *)&want;
				KTAP_EQUAL(bytes[at], at >= rooms[i]       ? 0xaa
				                      : at >= sizeof(want) ? 0
				                                           : known[at]);
			}
		}
		struct iommu_hw_info typed = {.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE,
		                              .dev_id = w->id[1],
		                              .in_data_type = IOMMU_HW_INFO_TYPE_INTEL_VTD};
		KTAP_EQUAL(call(w, IOMMU_GET_HW_INFO, &typed), 0);
		typed.in_data_type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
		typed.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
		KTAP_EQUAL(call(w, IOMMU_GET_HW_INFO, &typed), -EOPNOTSUPP);
		vtd_world_end(&vw);
	}
}

/** What VT-d has not: said so, and nothing is left of the attempt. */
static void absent(void)
{
	struct iommu_test_cmd test = {0};
	uint32_t parent;

	begin(0);
	uint32_t ioas = world_ioas(w);
	KTAP_EQUAL(world_hwpt(w, w->id[0], ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	long objects = vw.ats.vm.test.objects;
	for (uint32_t type = 0; type < 4; type++) {
		struct iommu_viommu_alloc viommu = {
			.type = type, .dev_id = w->id[0], .hwpt_id = parent};
		KTAP_EQUAL(call(w, IOMMU_VIOMMU_ALLOC, &viommu), -EOPNOTSUPP);
	}
	struct iommu_vdevice_alloc vdevice = {.viommu_id = parent, .dev_id = w->id[0]};
	KTAP_EQUAL(call(w, IOMMU_VDEVICE_ALLOC, &vdevice), -ENOENT);
	struct iommu_veventq_alloc events = {.viommu_id = parent, .type = 1, .veventq_depth = 1};
	KTAP_EQUAL(call(w, IOMMU_VEVENTQ_ALLOC, &events), -ENOENT);
	struct iommu_hw_queue_alloc queue = {.viommu_id = parent, .type = 1, .length = PAGE};
	KTAP_EQUAL(call(w, IOMMU_HW_QUEUE_ALLOC, &queue), -ENOENT);
	KTAP_EQUAL(call(w, IOMMU_TEST_CMD, &test), -ENOTTY);
	KTAP_EQUAL(vw.ats.vm.test.objects, objects);
	vtd_world_end(&vw);
}

/* ---- mapping ---------------------------------------------------------------------------- */

static void mapping(void)
{
	for (unsigned n = 0; n < ARRAY_SIZE(vtd_world_units); n++) {
		begin(n);
		const uint64_t end = UINT64_C(1) << vtd_world_units[n].bits;
		struct iommu_ioas_iova_ranges ranges = {.num_iovas = 8, .allowed_iovas = DATA};
		const struct iommu_iova_range *range = test_user_at(&w->user, DATA);
		uint64_t bytes, at;
		uint32_t hwpt;

		uint32_t ioas = world_ioas(w);
		KTAP_EQUAL(world_map(w, ioas, USER_PLAIN, PAGE, 1), 0); /* no hardware yet */
		KTAP_EQUAL(world_attach(w, 0, ioas, NULL), -EADDRINUSE);
		KTAP_EQUAL(world_unmap(w, ioas, 1, PAGE, NULL), 0);
		KTAP_EQUAL(world_map(w, ioas, USER_PLAIN, PAGE, BASE), 0);
		KTAP_CHECK(blocked(0, PLAIN, BASE));
		KTAP_EQUAL(world_attach(w, 0, ioas, &hwpt), 0);
		KTAP_CHECK(reaches(0, PLAIN, BASE + 8, USER_PLAIN + 8));
		KTAP_CHECK(blocked(1, PLAIN, BASE));

		/* the interrupt window and what is beyond the table are not to be had */
		ranges.ioas_id = ioas;
		KTAP_EQUAL(call(w, IOMMU_IOAS_IOVA_RANGES, &ranges), 0);
		KTAP_EQUAL(ranges.num_iovas, 2);
		KTAP_EQUAL(ranges.out_iova_alignment, PAGE);
		KTAP_EQUAL(range[0].start, 0);
		KTAP_EQUAL(range[0].last, 0xfedfffff);
		KTAP_EQUAL(range[1].start, 0xfef00000);
		KTAP_EQUAL(range[1].last, end - 1);
		const struct {
			uint64_t user, bytes, at;
			int result;
		} maps[] = {
			{USER_PLAIN, PAGE, 0, 0},
			{USER_PLAIN, PAGE, 1, -EINVAL},
			{USER_PLAIN, PAGE, PAGE - 1, -EINVAL},
			{USER_PLAIN, PAGE - 1, PAGE, -EINVAL},
			{USER_PLAIN + 1, PAGE, PAGE, -EINVAL},
			{USER_PLAIN, 0, PAGE, -EINVAL},
			{USER_PLAIN, PAGE, PAGE, 0},
			{USER_PLAIN, PAGE, BASE, -EEXIST},
			{USER_PLAIN, PAGE, 0xfee00000, -EINVAL},
			{USER_PLAIN, 2 * PAGE, 0xfedff000, -EINVAL},
			{USER_PLAIN, PAGE, 0xfedff000, 0},
			{USER_PLAIN, PAGE, 0xfef00000, 0},
			{USER_PLAIN, PAGE, end - PAGE, 0},
			{USER_PLAIN, PAGE, end, -EINVAL},
			{USER_PLAIN, 2 * PAGE, end - 2 * PAGE, -EEXIST},
			{USER_PLAIN, PAGE, UINT64_C(1) << 63, -EINVAL},
			{USER_PLAIN, PAGE, -PAGE, -EINVAL},
			{USER_PLAIN, 2 * PAGE, -PAGE, -EOVERFLOW},
			{USER_PLAIN, UINT64_MAX, PAGE, -EOVERFLOW},
			{USER_READONLY, PAGE, 2 * PAGE, -EFAULT},
			{USER_PLAIN + USER_BYTES, PAGE, 2 * PAGE, -EFAULT},
		};
		for (unsigned i = 0; i < ARRAY_SIZE(maps); i++) {
			int result = world_map(w, ioas, maps[i].user, maps[i].bytes, maps[i].at);
			KTAP_EQUAL(result, maps[i].result);
			if (!result)
				KTAP_CHECK(reaches(0, PLAIN, maps[i].at, maps[i].user));
			if (ktap_failed)
				printf("# unit %u, map %u\n", n, i);
		}
		/* both devices, and a page in the middle of a run */
		KTAP_EQUAL(world_attach(w, 1, ioas, NULL), 0);
		KTAP_EQUAL(world_map(w, ioas, USER_SCATTER, 5 * PAGE, 2 * BASE), 0);
		KTAP_CHECK(
			reaches(1, PLAIN, 2 * BASE + 3 * PAGE + 16, USER_SCATTER + 3 * PAGE + 16));
		KTAP_EQUAL(world_unmap(w, ioas, 2 * BASE + PAGE, PAGE, &bytes), -ENOENT);
		KTAP_CHECK(reaches(0, PLAIN, 2 * BASE + PAGE, USER_SCATTER + PAGE));
		/* the caller cannot be told: nothing is unmapped, and nothing mapped */
		w->user.out_fail_at = w->user.outs + 1;
		KTAP_EQUAL(world_unmap(w, ioas, 2 * BASE, 5 * PAGE, &bytes), -EFAULT);
		KTAP_CHECK(reaches(1, PLAIN, 2 * BASE + PAGE, USER_SCATTER + PAGE));
		uint64_t mapped = world_info(w, ioas).mapped_bytes, any;
		w->user.out_fail_at = w->user.outs + 1;
		KTAP_EQUAL(world_map_any(w, ioas, USER_PLAIN, PAGE, &any), -EFAULT);
		KTAP_EQUAL(world_info(w, ioas).mapped_bytes, mapped);
		/* at a fixed address there is nothing to tell */
		w->user.out_fail_at = w->user.outs + 1;
		KTAP_EQUAL(world_map(w, ioas, USER_PLAIN, PAGE, 3 * BASE), 0);
		w->user.out_fail_at = 0;
		KTAP_CHECK(reaches(0, PLAIN, 3 * BASE, USER_PLAIN));
		KTAP_EQUAL(world_unmap(w, ioas, 3 * BASE, PAGE, NULL), 0);
		KTAP_CHECK(blocked(0, PLAIN, 3 * BASE));
		KTAP_EQUAL(world_unmap(w, ioas, 2 * BASE, 5 * PAGE, &bytes), 0);
		KTAP_EQUAL(bytes, 5 * PAGE);
		for (int i = 0; i < 2; i++)
			KTAP_CHECK(blocked(i, PLAIN, 2 * BASE + 3 * PAGE));
		/* at an address of the kernel's choice: where a large page can be */
		KTAP_EQUAL(world_map_any(w, ioas, USER_PLAIN, PAGE_SIZE_2M, &at), 0);
		KTAP_EQUAL(at % PAGE_SIZE_2M, 0);
		KTAP_CHECK(reaches(1, PLAIN, at + 77 * PAGE, USER_PLAIN + 77 * PAGE));
		KTAP_EQUAL(world_unmap(w, ioas, 0, UINT64_MAX, NULL), 0);
		KTAP_EQUAL(w->user.pinned, 0);
		KTAP_CHECK(blocked(0, PLAIN, at) && blocked(0, PLAIN, BASE));
		vtd_world_end(&vw);
	}
}

/** IOAS_NOIOMMU_GET_PA, IOAS_COPY and replace: two address spaces of one memory. */
static void moving(void)
{
	begin(3);
	uint32_t first = world_ioas(w), second = world_ioas(w), hwpt;
	KTAP_EQUAL(world_map(w, first, USER_SCATTER, 4 * PAGE, BASE), 0);
	KTAP_EQUAL(world_copy(w, first, BASE + PAGE, second, 2 * BASE, 2 * PAGE, RW), 0);
	struct iommu_ioas_noiommu_get_pa get = {.ioas_id = second, .iova = 2 * BASE, .length = 9};
	KTAP_EQUAL(call(w, IOMMU_IOAS_NOIOMMU_GET_PA, &get), -ENOENT);
	KTAP_EQUAL(world_attach(w, 0, first, &hwpt), 0);
	KTAP_CHECK(reaches(0, PLAIN, BASE + PAGE, USER_SCATTER + PAGE));
	KTAP_EQUAL(world_attach(w, 0, second, NULL), 0);
	KTAP_EQUAL(world_destroy(w, hwpt), -ENOENT); /* it went with its last user */
	KTAP_CHECK(blocked(0, PLAIN, BASE + PAGE));
	KTAP_CHECK(reaches(0, PLAIN, 2 * BASE + 5, USER_SCATTER + PAGE + 5));
	get = (struct iommu_ioas_noiommu_get_pa){
		.ioas_id = second, .iova = 2 * BASE + 5, .length = 2 * PAGE};
	KTAP_EQUAL(call(w, IOMMU_IOAS_NOIOMMU_GET_PA, &get), 0);
	KTAP_EQUAL(get.out_phys, (uint64_t)vtd_world_memory(&vw, USER_SCATTER + PAGE + 5));
	KTAP_EQUAL(get.length, PAGE - 5); /* its neighbour lies elsewhere */
	KTAP_EQUAL(world_unmap(w, first, BASE, 4 * PAGE, NULL), 0);
	KTAP_CHECK(reaches(0, PLAIN, 2 * BASE + PAGE, USER_SCATTER + 2 * PAGE));
	KTAP_EQUAL(world_detach(w, 0), 0);
	KTAP_EQUAL(w->user.pinned, 0);
	KTAP_CHECK(blocked(0, PLAIN, 2 * BASE));
	vtd_world_end(&vw);
}

/* ---- dirty pages, PASIDs, page requests --------------------------------------------------- */

static int bitmap(uint32_t hwpt, uint32_t flags, uint64_t at, uint64_t bytes, uint64_t page)
{
	struct iommu_hwpt_get_dirty_bitmap arguments = {.hwpt_id = hwpt,
	                                                .flags = flags,
	                                                .iova = at,
	                                                .length = bytes,
	                                                .page_size = page,
	                                                .data = DATA};

	return call(w, IOMMU_HWPT_GET_DIRTY_BITMAP, &arguments);
}

static int track(uint32_t hwpt, uint32_t flags)
{
	struct iommu_hwpt_set_dirty_tracking arguments = {.hwpt_id = hwpt, .flags = flags};

	return call(w, IOMMU_HWPT_SET_DIRTY_TRACKING, &arguments);
}

static void dirty(void)
{
	uint64_t *bits;
	uint32_t hwpt, plain;

	begin(4);
	KTAP_EQUAL(world_hwpt(w, w->id[0], world_ioas(w), IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt),
	           -EOPNOTSUPP); /* ECAP.SSADS is 0 */
	vtd_world_end(&vw);

	begin(1);
	uint32_t ioas = world_ioas(w);
	KTAP_EQUAL(world_map(w, ioas, USER_SCATTER, 64 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN, PAGE_SIZE_2M, 2 * BASE), 0);
	KTAP_EQUAL(world_hwpt(w, w->id[0], ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt), 0);
	KTAP_EQUAL(world_hwpt(w, w->id[0], ioas, 0, &plain), 0);
	KTAP_EQUAL(track(plain, 1), -EOPNOTSUPP);
	KTAP_EQUAL(track(hwpt, 2), -EOPNOTSUPP);
	KTAP_EQUAL(track(ioas, 1), -ENOENT);
	KTAP_EQUAL(world_attach(w, 0, hwpt, NULL), 0);
	KTAP_CHECK(reaches(0, PLAIN, BASE + 3 * PAGE, USER_SCATTER + 3 * PAGE)); /* before */
	KTAP_EQUAL(bitmap(hwpt, 0, BASE, 64 * PAGE, PAGE), -EINVAL); /* it does not track */
	KTAP_EQUAL(track(hwpt, 1), 0);
	const struct {
		uint32_t flags;
		uint64_t at, bytes, page;
		int result;
	} wrong[] = {
		{2, BASE, PAGE, PAGE, -EOPNOTSUPP},
		{0, BASE, 0, PAGE, -EOVERFLOW}, /* as in Linux */
		{0, BASE, PAGE, 0, -EINVAL},
		{0, BASE, 3 * PAGE, 3 * PAGE, -EINVAL},
		{0, BASE, PAGE, PAGE - 1, -EINVAL},
		{0, BASE + 1, PAGE, PAGE, -EINVAL},
		{0, BASE, 65 * PAGE, PAGE, -EINVAL}, /* not all mapped */
		{0, UINT64_C(1) << 63, PAGE, PAGE, -EINVAL},
		{0, -PAGE, 2 * PAGE, PAGE, -EOVERFLOW},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		KTAP_EQUAL(bitmap(hwpt, wrong[i].flags, wrong[i].at, wrong[i].bytes, wrong[i].page),
		           wrong[i].result);
	bits = test_user_at(&w->user, DATA);
	*bits = 0;
	KTAP_CHECK(reaches(0, PLAIN, BASE + 5 * PAGE, USER_SCATTER + 5 * PAGE));
	KTAP_CHECK(reaches(0, PLAIN, BASE + 63 * PAGE + 8, USER_SCATTER + 63 * PAGE + 8));
	KTAP_EQUAL(bitmap(hwpt, 1, BASE, 64 * PAGE, PAGE), 0); /* look, and leave them */
	KTAP_EQUAL(*bits, UINT64_C(1) << 63 | 1 << 5);
	*bits = 1;
	KTAP_EQUAL(bitmap(hwpt, 0, BASE, 64 * PAGE, PAGE), 0); /* bits that are set stay so */
	KTAP_EQUAL(*bits, UINT64_C(1) << 63 | 1 << 5 | 1);
	*bits = 0;
	KTAP_EQUAL(bitmap(hwpt, 0, BASE, 64 * PAGE, PAGE), 0);
	KTAP_EQUAL(*bits, 0);
	/* the flush came first: what the device writes now through a cached entry is seen */
	KTAP_CHECK(reaches(0, PLAIN, BASE + 5 * PAGE, USER_SCATTER + 5 * PAGE));
	KTAP_EQUAL(bitmap(hwpt, 0, BASE, 64 * PAGE, 4 * PAGE), 0);
	KTAP_EQUAL(*bits, 1 << 1);
	/* a large page is dirty as a whole, and stays so when only a part is asked for */
	*bits = 0;
	KTAP_CHECK(reaches(0, PLAIN, 2 * BASE, USER_PLAIN));
	KTAP_EQUAL(bitmap(hwpt, 0, 2 * BASE + PAGE_SIZE_2M - 2 * PAGE, 2 * PAGE, PAGE), 0);
	KTAP_EQUAL(*bits, 3);
	*bits = 0;
	KTAP_EQUAL(bitmap(hwpt, 0, 2 * BASE, PAGE_SIZE_2M, PAGE_SIZE_2M / 2), 0);
	KTAP_EQUAL(*bits, 3);
	*bits = 0;
	KTAP_EQUAL(bitmap(hwpt, 0, 2 * BASE, PAGE_SIZE_2M, PAGE_SIZE_2M / 2), 0);
	KTAP_EQUAL(*bits, 0);
	KTAP_EQUAL(track(hwpt, 0), 0);
	KTAP_EQUAL(track(hwpt, 0), 0);
	vtd_world_end(&vw);
}

static void pasids(void)
{
	const uint32_t top = (1u << 20) - 1;
	uint32_t first, second, plain;

	begin(0);
	uint32_t ioas = world_ioas(w), other = world_ioas(w);
	KTAP_EQUAL(world_map(w, ioas, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(world_map(w, other, USER_PLAIN + PAGE, PAGE, BASE), 0);
	KTAP_EQUAL(world_hwpt(w, w->id[0], ioas, IOMMU_HWPT_ALLOC_PASID, &first), 0);
	KTAP_EQUAL(world_hwpt(w, w->id[0], other, IOMMU_HWPT_ALLOC_PASID, &second), 0);
	KTAP_EQUAL(world_hwpt(w, w->id[0], ioas, 0, &plain), 0);
	KTAP_EQUAL(world_attach_pasid(w, 0, 0, first, NULL), -EINVAL);
	KTAP_EQUAL(world_attach_pasid(w, 0, 1, plain, NULL), -EINVAL);
	KTAP_EQUAL(world_attach_pasid(w, 0, 1, ioas, NULL), -EINVAL);
	KTAP_EQUAL(world_attach_pasid(w, 0, 1, 99, NULL), -ENOENT);
	KTAP_EQUAL(world_attach_pasid(w, 0, top + 1, first, NULL), -EINVAL);
	KTAP_EQUAL(world_attach_pasid(w, 0, UINT32_MAX, first, NULL), -EINVAL);
	KTAP_EQUAL(world_attach(w, 0, first, NULL), 0);
	KTAP_EQUAL(world_attach_pasid(w, 0, 1, first, NULL), 0);
	KTAP_EQUAL(world_attach_pasid(w, 0, top, second, NULL), 0);
	KTAP_CHECK(reaches(0, PLAIN, BASE, USER_PLAIN));
	KTAP_CHECK(reaches(0, 1, BASE, USER_PLAIN));
	KTAP_CHECK(reaches(0, (int)top, BASE, USER_PLAIN + PAGE));
	KTAP_CHECK(blocked(0, 2, BASE));
	KTAP_CHECK(blocked(1, 1, BASE));
	KTAP_EQUAL(world_attach_pasid(w, 0, 1, second, NULL), 0); /* replace */
	KTAP_CHECK(reaches(0, 1, BASE, USER_PLAIN + PAGE));
	KTAP_EQUAL(world_unmap(w, other, BASE, PAGE, NULL), 0);
	KTAP_CHECK(blocked(0, 1, BASE) && blocked(0, (int)top, BASE));
	KTAP_EQUAL(world_attach_pasid(w, 0, 1, first, NULL), 0);
	KTAP_EQUAL(world_detach_pasid(w, 0, 1), 0);
	KTAP_CHECK(blocked(0, 1, BASE));
	KTAP_CHECK(reaches(0, PLAIN, BASE, USER_PLAIN));
	KTAP_EQUAL(world_destroy(w, second), -EBUSY); /* the last PASID has it still */
	vtd_world_end(&vw);
}

static void page_requests(void)
{
	struct iommu_fault_alloc alloc = {0};
	struct iommu_hwpt_pgfault *fault;
	struct iommu_hwpt_page_response *answer;
	struct ats_device *device;
	uint32_t hwpt;

	begin(0);
	device = &vw.ats.devices[0];
	KTAP_EQUAL(call(w, IOMMU_FAULT_QUEUE_ALLOC, &alloc), 0);
	const int fd = (int)alloc.out_fault_fd;
	struct iommu_hwpt_alloc asks = {.flags = IOMMU_HWPT_FAULT_ID_VALID,
	                                .dev_id = w->id[0],
	                                .pt_id = world_ioas(w),
	                                .fault_id = alloc.out_fault_id};
	KTAP_EQUAL(call(w, IOMMU_HWPT_ALLOC, &asks), 0);
	hwpt = asks.out_hwpt_id;
	KTAP_EQUAL(world_attach(w, 0, hwpt, NULL), 0);
	KTAP_CHECK(device->pages);
	KTAP_CHECK(ats_ask(&vw.ats, device, PLAIN, BASE, 5, false));
	KTAP_CHECK(ats_ask(&vw.ats, device, PLAIN, BASE + PAGE, 5, true));
	KTAP_EQUAL(ufd_poll(&w->ufd, fd) & UFD_POLL_IN, 0);
	iommu_poll(&vw.ats.vm.iommu);
	KTAP_EQUAL(ufd_poll(&w->ufd, fd) & UFD_POLL_IN, UFD_POLL_IN);
	fault = test_user_at(&w->user, DATA);
	KTAP_EQUAL(ufd_read(&w->ufd, fd, DATA, sizeof(*fault)), 0); /* a group is read whole */
	KTAP_EQUAL(ufd_read(&w->ufd, fd, DATA, 4 * sizeof(*fault)), 2 * sizeof(*fault));
	KTAP_CHECK(fault[0].dev_id == w->id[0] && fault[0].addr == BASE && fault[0].grpid == 5 &&
	           fault[0].perm == IOMMU_PGFAULT_PERM_WRITE && !fault[0].flags);
	KTAP_CHECK(fault[1].addr == BASE + PAGE && fault[1].flags == IOMMU_PGFAULT_FLAGS_LAST_PAGE);
	KTAP_EQUAL(fault[0].cookie, fault[1].cookie);
	/* the user makes it right, answers, and the device goes on */
	KTAP_EQUAL(device->answers, 0);
	KTAP_EQUAL(world_map(w, asks.pt_id, USER_PLAIN, 2 * PAGE, BASE), 0);
	answer = test_user_at(&w->user, DATA + PAGE);
	*answer = (struct iommu_hwpt_page_response){.cookie = fault[0].cookie};
	KTAP_EQUAL(ufd_write(&w->ufd, fd, DATA + PAGE, sizeof(*answer)), sizeof(*answer));
	KTAP_CHECK(device->answers == 1 && device->group == 5 && device->code == 0);
	KTAP_EQUAL(ats_dma(&vw.ats, device, PLAIN, BASE + PAGE),
	           vtd_world_memory(&vw, USER_PLAIN + PAGE));
	KTAP_EQUAL(ufd_write(&w->ufd, fd, DATA + PAGE, sizeof(*answer)), -EINVAL); /* once */
	/* nobody is left to answer: "invalid" */
	KTAP_CHECK(ats_ask(&vw.ats, device, PLAIN, 2 * BASE, 6, true));
	iommu_poll(&vw.ats.vm.iommu);
	KTAP_EQUAL(ufd_close(&w->ufd, fd), 0);
	KTAP_CHECK(device->answers == 2 && device->group == 6 && device->code == 1);
	vtd_world_end(&vw);

	begin(4); /* without page requests */
	KTAP_EQUAL(call(w, IOMMU_FAULT_QUEUE_ALLOC, &alloc), 0);
	asks.pt_id = world_ioas(w);
	asks.dev_id = w->id[0];
	asks.fault_id = alloc.out_fault_id;
	KTAP_EQUAL(call(w, IOMMU_HWPT_ALLOC, &asks), 0);
	KTAP_EQUAL(world_attach(w, 0, asks.out_hwpt_id, NULL), -ENODEV);
	vtd_world_end(&vw);
}

static const struct ktap_case cases[] = {
	{"GET_HW_INFO", information},
	{"what VT-d has not", absent},
	{"map, unmap and their bounds", mapping},
	{"copy, replace, physical addresses", moving},
	{"dirty pages", dirty},
	{"PASIDs", pasids},
	{"page requests", page_requests},
};

KTAP_MAIN(cases)
