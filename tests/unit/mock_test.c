/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU driver by itself, through the core: domain_alloc_user as the series'
 * self-test asks, blocking, translation, the TLB that forgets nothing, faults.
 */
#include "tests/test_memory.h"
#include "tests/unit/ufd_test_user.h"

#define BASE UINT64_C(0x40000000)

static struct iommu_domain *alloc_domain(struct world *world, uint32_t flags)
{
	struct iommu_domain *domain = NULL;

	KTAP_EQUAL(iommu_domain_alloc_user(world->device[0], flags, NULL, NULL, &domain), 0);
	return domain;
}

static int map_page(struct iommu_domain *domain, uint64_t at, uint64_t memory, uint64_t bytes,
                    uint32_t rights)
{
	struct iommu_gather gather;
	const struct iommu_extent extent = {pa(memory), bytes};

	iommu_gather_init(&gather, domain);
	int error = iommu_map(domain, iova(at), &extent, 1, rights, &gather);
	KTAP_EQUAL(iommu_flush(&gather), 0);
	return error;
}

static void formats(void)
{
	struct world world;
	struct iommu_domain *domain = NULL;

	world_init(&world);
	struct iommu_device *device = world.device[0];
	domain = alloc_domain(&world, 0);
	KTAP_CHECK(domain->stage == IOMMU_STAGE_SECOND);
	KTAP_EQUAL(domain->page_sizes, PAGE_SIZE_4K | PAGE_SIZE_2M | PAGE_SIZE_1G);
	KTAP_EQUAL(domain->last.value, (UINT64_C(1) << 48) - 1);
	KTAP_EQUAL(iommu_domain_free(domain), 0);

	domain = alloc_domain(&world, IOMMU_ALLOC_NEST_PARENT);
	KTAP_CHECK(domain->stage == IOMMU_STAGE_SECOND);
	KTAP_CHECK(domain->flags & IOMMU_ALLOC_NEST_PARENT);
	KTAP_EQUAL(iommu_domain_free(domain), 0);

	/* flags that are not known, and all that are */
	for (unsigned bit = 4; bit < 32; bit++)
		KTAP_EQUAL(iommu_domain_alloc_user(device, 1u << bit, NULL, NULL, &domain),
		           -EOPNOTSUPP);
	KTAP_EQUAL(iommu_domain_alloc_user(device, 19, NULL, NULL, &domain), -EOPNOTSUPP);
	for (uint32_t flags = 0; flags < 16; flags++) {
		domain = alloc_domain(&world, flags);
		KTAP_CHECK(domain->stage == IOMMU_STAGE_SECOND);
		KTAP_EQUAL(iommu_domain_free(domain), 0);
	}
	world_end(&world);
}

static void nesting(void)
{
	struct world world;
	struct iommu_domain *child = NULL;
	struct iommu_hwpt_selftest stage1[2] = {{.iotlb = 7}, {0}};
	struct iommu_user_data data = {IOMMU_HWPT_DATA_SELFTEST, sizeof(stage1[0]), stage1};

	world_init(&world);
	struct iommu_device *device = world.device[0];
	struct iommu_domain *parent = alloc_domain(&world, IOMMU_ALLOC_NEST_PARENT);
	struct iommu_domain *plain = alloc_domain(&world, 0);

	KTAP_EQUAL(iommu_domain_alloc_user(device, 0, plain, &data, &child), -EINVAL);
	KTAP_EQUAL(iommu_domain_alloc_user(device, 0, parent, NULL, &child), -EOPNOTSUPP);
	KTAP_EQUAL(iommu_domain_alloc_user(device, 1, parent, &data, &child), -EOPNOTSUPP);
	KTAP_EQUAL(iommu_domain_alloc_user(device, 0, NULL, &data, &child), -EOPNOTSUPP);
	data.type = IOMMU_HWPT_DATA_VTD_S1;
	KTAP_EQUAL(iommu_domain_alloc_user(device, 0, parent, &data, &child), -EOPNOTSUPP);
	data.type = IOMMU_HWPT_DATA_SELFTEST;
	data.bytes = 3;
	KTAP_EQUAL(iommu_domain_alloc_user(device, 0, parent, &data, &child), -EINVAL);
	data.bytes = sizeof(stage1);
	stage1[1].iotlb = 1;
	KTAP_EQUAL(iommu_domain_alloc_user(device, 0, parent, &data, &child), -E2BIG);
	stage1[1].iotlb = 0;
	KTAP_EQUAL(iommu_domain_alloc_user(device, 0, parent, &data, &child), 0);
	KTAP_CHECK(child->stage == IOMMU_STAGE_NESTED && child->parent == parent);
	KTAP_EQUAL(iommu_domain_free(parent), -EBUSY);

	/* the child sees what its parent maps, and its TLB goes with the parent's flush */
	KTAP_EQUAL(iommu_attach(device->group, child), 0);
	uint64_t memory = (uintptr_t)world.user.block;
	KTAP_EQUAL(map_page(parent, BASE, memory, PAGE, IOMMU_READ), 0);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	struct iommu_gather gather;
	iommu_gather_init(&gather, parent);
	KTAP_EQUAL(iommu_unmap(parent, iova(BASE), PAGE, &gather), PAGE);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN)); /* stale: not flushed yet */
	KTAP_EQUAL(iommu_flush(&gather), 0);
	KTAP_CHECK(world_blocked(&world, 0, BASE));
	/* nothing is mapped in a child from outside */
	KTAP_EQUAL(map_page(child, BASE, memory, PAGE, IOMMU_READ), -EINVAL);
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(child), 0);
	KTAP_EQUAL(iommu_domain_free(parent), 0);
	KTAP_EQUAL(iommu_domain_free(plain), 0);
	world_end(&world);
}

static void blocking_and_faults(void)
{
	struct world world;
	struct iommu_fault fault;
	pa_t out;

	world_init(&world);
	struct iommu_device *device = world.device[0];
	struct iommu_domain *domain = alloc_domain(&world, 0);
	uint64_t memory = (uintptr_t)world.user.block;

	KTAP_EQUAL(map_page(domain, BASE, memory, PAGE, IOMMU_READ), 0);
	KTAP_EQUAL(map_page(domain, BASE + PAGE, memory, PAGE, IOMMU_WRITE), 0);
	KTAP_EQUAL(ufd_mock_translate(device, iova(BASE + 5), IOMMU_READ, &out), -EFAULT);
	KTAP_CHECK(iommu_fault_get(&world.core, 1, &fault));
	KTAP_EQUAL(fault.reason, 6);
	KTAP_CHECK(fault.device == device && fault.rid == device->desc.rid);
	KTAP_EQUAL(fault.address.value, BASE);

	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	KTAP_EQUAL(iommu_domain_free(domain), -EBUSY);
	const struct {
		uint64_t at;
		uint32_t access;
		int reason; /* 0: translated */
	} cases[] = {
		{BASE, IOMMU_READ, 0},
		{BASE + 4095, IOMMU_READ, 0},
		{BASE, IOMMU_WRITE, 5},
		{BASE, IOMMU_READ | IOMMU_ATOMIC, 5},
		{BASE + PAGE, IOMMU_WRITE, 0},
		{BASE + PAGE, IOMMU_READ, 4},
		{BASE - 1, IOMMU_READ, 2},
		{BASE + 2 * PAGE, IOMMU_READ, 2},
		{(UINT64_C(1) << 48) - 1, IOMMU_READ, 2},
		{UINT64_C(1) << 48, IOMMU_READ, 1},
		{UINT64_MAX, IOMMU_WRITE, 1},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t before = device->faults;
		int result = ufd_mock_translate(device, iova(cases[i].at), cases[i].access, &out);
		KTAP_EQUAL(result, cases[i].reason ? -EFAULT : 0);
		KTAP_EQUAL(device->faults - before, cases[i].reason != 0);
		if (cases[i].reason) {
			KTAP_CHECK(iommu_fault_get(&world.core, world.core.fault_count, &fault));
			KTAP_EQUAL(fault.reason, cases[i].reason);
			KTAP_EQUAL(fault.access, cases[i].access);
		} else {
			KTAP_EQUAL(out.value, memory + cases[i].at % PAGE);
		}
	}
	/* the walk of a shell explains the same */
	struct iommu_walk *walk = test_calloc(1, sizeof(*walk));
	device->unit->ops->walk(device->unit, device->desc.rid, 0, iova(BASE), IOMMU_READ, walk);
	KTAP_CHECK(walk->translated && walk->result.value == memory);
	memset(walk, 0, sizeof(*walk));
	device->unit->ops->walk(device->unit, device->desc.rid, 0, iova(BASE), IOMMU_WRITE, walk);
	KTAP_CHECK(!walk->translated && walk->reason == 5);
	memset(walk, 0, sizeof(*walk));
	iommu_detach(device->group);
	device->unit->ops->walk(device->unit, device->desc.rid, 0, iova(BASE), IOMMU_READ, walk);
	KTAP_CHECK(!walk->translated && walk->reason == 6);
	free(walk);
	KTAP_CHECK(world_blocked(&world, 0, BASE));
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	world_end(&world);
}

static void tlb_forgets_nothing(void)
{
	struct world world;
	struct iommu_gather gather;
	struct ufd_mock_stats stats;
	pa_t out;

	world_init(&world);
	struct iommu_device *device = world.device[0];
	struct iommu_domain *domain = alloc_domain(&world, 0);
	uint64_t memory = (uintptr_t)world.user.block;

	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	KTAP_EQUAL(map_page(domain, BASE, memory, PAGE_SIZE_2M, IOMMU_READ), 0);
	for (uint64_t at = 0; at < PAGE_SIZE_2M; at += PAGE)
		KTAP_CHECK(world_reaches(&world, 0, BASE + at, USER_PLAIN + at));
	ufd_mock_stats(device->unit, &stats);
	KTAP_EQUAL(stats.cached, 1); /* one page of 2 MiB */
	KTAP_EQUAL(stats.hits, 511);

	/* unmapped and mapped elsewhere, without a flush: the old translation stays */
	iommu_gather_init(&gather, domain);
	KTAP_EQUAL(iommu_unmap(domain, iova(BASE), PAGE_SIZE_2M, &gather), PAGE_SIZE_2M);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	KTAP_EQUAL(iommu_flush(&gather), 0);
	KTAP_EQUAL(ufd_mock_translate(device, iova(BASE), IOMMU_READ, &out), -EFAULT);
	ufd_mock_stats(device->unit, &stats);
	KTAP_EQUAL(stats.cached, 0);
	KTAP_EQUAL(stats.flushed, 1);

	/* a flush of another range drops nothing */
	KTAP_EQUAL(map_page(domain, BASE, memory, PAGE, IOMMU_READ), 0);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	iommu_gather_init(&gather, domain);
	iommu_gather_add(&gather, iova(BASE + PAGE), iova(BASE + 8 * PAGE - 1), false);
	KTAP_EQUAL(iommu_flush(&gather), 0);
	ufd_mock_stats(device->unit, &stats);
	KTAP_EQUAL(stats.cached, 1);

	/* a unit that does not answer */
	ufd_mock_break(device->unit, true);
	iommu_gather_init(&gather, domain);
	KTAP_EQUAL(iommu_unmap(domain, iova(BASE), PAGE, &gather), PAGE);
	KTAP_EQUAL(iommu_flush(&gather), -ETIMEDOUT);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	ufd_mock_break(device->unit, false);

	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	/* without memory a translation is not cached, and is right all the same */
	domain = alloc_domain(&world, 0);
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	KTAP_EQUAL(map_page(domain, BASE, memory, PAGE, IOMMU_READ), 0);
	world.os.fail_at = world.os.allocations + 1;
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	ufd_mock_stats(device->unit, &stats);
	KTAP_EQUAL(stats.cached, 0);
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	world_end(&world);
}

struct written {
	struct iommu_print print;
	char text[512];
	size_t bytes;
};

static void write_text(struct iommu_print *print, const char *text, size_t bytes)
{
	struct written *to = container_of(print, struct written, print);

	for (size_t i = 0; i < bytes && to->bytes + 1 < sizeof(to->text); i++)
		to->text[to->bytes++] = text[i];
}

static void unit(void)
{
	struct world world;
	struct iommu_device *again = NULL;
	struct written to = {.print = {.write = write_text}};
	uint32_t type = 0;
	struct iommu_test_hw_info info = {0};

	world_init(&world);
	struct iommu_unit *mock = world.device[0]->unit;
	KTAP_CHECK(strcmp(mock->name, "mock0") == 0);
	KTAP_EQUAL(mock->segment, UFD_MOCK_SEGMENT);
	KTAP_EQUAL(iommu_probe(&world.core, &ufd_mock_driver, NULL), -EEXIST);
	KTAP_EQUAL(ufd_mock_device_add(&world.core, RID(0, 4, 0), &again), -EEXIST);
	KTAP_CHECK(world.device[0]->group != world.device[1]->group);
	KTAP_EQUAL(mock->ops->hw_info(world.device[0], &type, &info, sizeof(info)), sizeof(info));
	KTAP_EQUAL(type, 0xfeedbeef);
	KTAP_EQUAL(info.test_reg, 0xdeadbeef);
	KTAP_EQUAL(mock->ops->attach(world.device[0], 1, NULL, NULL), 0);
	KTAP_EQUAL(mock->ops->attach(world.device[0], 1u << 20, NULL, NULL), -EINVAL);
	KTAP_EQUAL(world.device[0]->pasid_bits, 20);
	KTAP_CHECK(world.device[0]->page_requests);
	mock->ops->describe(mock, &to.print);
	mock->ops->describe_stats(mock, &to.print);
	KTAP_CHECK(strstr(to.text, "mock0: software") && strstr(to.text, "translations"));
	/* a real machine's segments are not the mock's */
	struct iommu_device_desc desc = {.name = "00:01.0", .rid = RID(0, 1, 0), .group = 1};
	KTAP_EQUAL(mock->ops->claims(mock, &desc), IOMMU_CLAIM_NO);
	KTAP_EQUAL(iommu_device_add(&world.core, &desc, &again), 0);
	KTAP_CHECK(!again->unit);
	/* a device leaves */
	KTAP_EQUAL(ufd_mock_device_add(&world.core, RID(1, 0, 0), &again), 0);
	iommu_device_remove(again);
	world_end(&world);

	/* set-up under memory pressure: it works, or leaves nothing */
	for (long n = 1;; n++) {
		struct test_os os;
		struct iommu core;
		test_os_init(&os);
		os.fail_at = n;
		KTAP_EQUAL(iommu_init(&core, &os.os, NULL), 0);
		int error = iommu_probe(&core, &ufd_mock_driver, NULL);
		if (error > 0)
			error = ufd_mock_device_add(&core, RID(0, 0, 0), &again);
		KTAP_CHECK(!error || error == -ENOMEM);
		iommu_exit(&core);
		KTAP_CHECK(test_os_is_clean(&os));
		if (!error)
			break;
	}
}

static const struct ktap_case cases[] = {
	{"formats that domain_alloc_user grants and refuses", formats},
	{"nested domains", nesting},
	{"blocked by default; every fault by its reason", blocking_and_faults},
	{"the TLB forgets nothing that is not flushed", tlb_forgets_nothing},
	{"the unit and its devices", unit},
};

KTAP_MAIN(cases)
