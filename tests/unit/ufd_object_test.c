/* SPDX-License-Identifier: MIT */
/* Objects of every kind: reserved fields and lengths of every call, ids, names, destroying what
 * a call uses, and devices of two IOMMUs in one /dev/iommu. */
#include "tests/unit/ufd_test_user.h"
#include "ufd/selftest.h"

#define BASE UINT64_C(0x40000000)

/* ---- every call's structure -------------------------------------------------------------- */

struct reserved {
	uint32_t offset, bytes;
};

/** A command, its structure, the least of it, and what must be zero: EOPNOTSUPP else. */
struct command {
	const char *name;
	uint32_t number, bytes, least;
	struct reserved reserved[4];
};

_Static_assert(offsetof(struct iommu_veventq_alloc, type) ==
                       offsetof(struct iommu_hw_queue_alloc, type),
               "bare_call() sets both");

#define FIELD_OF(structure, field)                                                                 \
	{                                                                                          \
		offsetof(struct structure, field), sizeof(((struct structure *)0)->field)          \
	}
#define UP_TO(structure, field)                                                                    \
	(offsetof(struct structure, field) + sizeof(((struct structure *)0)->field))

static const struct command commands[] = {
	{"DESTROY", IOMMU_DESTROY, 8, 8, {{0, 0}}},
	{"IOAS_ALLOC", IOMMU_IOAS_ALLOC, 12, 12, {FIELD_OF(iommu_ioas_alloc, flags)}},
	{"IOAS_ALLOW_IOVAS",
         IOMMU_IOAS_ALLOW_IOVAS,
         24,
         24,
         {FIELD_OF(iommu_ioas_allow_iovas, __reserved)}},
	{"IOAS_COPY", IOMMU_IOAS_COPY, 40, 40, {{7, 1}}},
	{"IOAS_IOVA_RANGES",
         IOMMU_IOAS_IOVA_RANGES,
         32,
         32,
         {FIELD_OF(iommu_ioas_iova_ranges, __reserved)}},
	{"IOAS_MAP", IOMMU_IOAS_MAP, 40, 40, {{7, 1}, FIELD_OF(iommu_ioas_map, __reserved)}},
	{"IOAS_UNMAP", IOMMU_IOAS_UNMAP, 24, 24, {{0, 0}}},
	{"OPTION", IOMMU_OPTION, 24, 24, {FIELD_OF(iommu_option, __reserved)}},
	{"VFIO_IOAS", IOMMU_VFIO_IOAS, 12, 12, {FIELD_OF(iommu_vfio_ioas, __reserved)}},
	{"HWPT_ALLOC",
         IOMMU_HWPT_ALLOC,
         48,
         UP_TO(iommu_hwpt_alloc, __reserved),
         {FIELD_OF(iommu_hwpt_alloc, __reserved), FIELD_OF(iommu_hwpt_alloc, __reserved2)}},
	{"GET_HW_INFO",
         IOMMU_GET_HW_INFO,
         40,
         UP_TO(iommu_hw_info, __reserved),
         {{7, 1}, FIELD_OF(iommu_hw_info, __reserved)}},
	{"HWPT_SET_DIRTY_TRACKING",
         IOMMU_HWPT_SET_DIRTY_TRACKING,
         16,
         16,
         {{7, 1}, FIELD_OF(iommu_hwpt_set_dirty_tracking, __reserved)}},
	{"HWPT_GET_DIRTY_BITMAP",
         IOMMU_HWPT_GET_DIRTY_BITMAP,
         48,
         48,
         {{11, 1}, FIELD_OF(iommu_hwpt_get_dirty_bitmap, __reserved)}},
	{"HWPT_INVALIDATE",
         IOMMU_HWPT_INVALIDATE,
         32,
         32,
         {FIELD_OF(iommu_hwpt_invalidate, __reserved)}},
	{"FAULT_QUEUE_ALLOC",
         IOMMU_FAULT_QUEUE_ALLOC,
         16,
         16,
         {FIELD_OF(iommu_fault_alloc, flags)}},
	{"IOAS_MAP_FILE", IOMMU_IOAS_MAP_FILE, 40, 40, {{7, 1}}},
	{"IOAS_CHANGE_PROCESS",
         IOMMU_IOAS_CHANGE_PROCESS,
         8,
         8,
         {FIELD_OF(iommu_ioas_change_process, __reserved)}},
	{"VIOMMU_ALLOC",
         IOMMU_VIOMMU_ALLOC,
         40,
         UP_TO(iommu_viommu_alloc, out_viommu_id),
         {FIELD_OF(iommu_viommu_alloc, flags), FIELD_OF(iommu_viommu_alloc, __reserved)}},
	{"VDEVICE_ALLOC", IOMMU_VDEVICE_ALLOC, 24, 24, {{0, 0}}},
	{"VEVENTQ_ALLOC",
         IOMMU_VEVENTQ_ALLOC,
         32,
         32,
         {FIELD_OF(iommu_veventq_alloc, flags), FIELD_OF(iommu_veventq_alloc, __reserved)}},
	{"HW_QUEUE_ALLOC", IOMMU_HW_QUEUE_ALLOC, 40, 40, {FIELD_OF(iommu_hw_queue_alloc, flags)}},
	{"IOAS_NOIOMMU_GET_PA",
         IOMMU_IOAS_NOIOMMU_GET_PA,
         40,
         40,
         {FIELD_OF(iommu_ioas_noiommu_get_pa, flags),
          FIELD_OF(iommu_ioas_noiommu_get_pa, __reserved)}},
};

/** The call with @p bytes of a structure of zeros, but for one byte. */
static int bare_call(struct world *world, const struct command *command, uint32_t bytes,
                     uint32_t set)
{
	uint8_t structure[128] = {0};

	memcpy(structure, &bytes, sizeof(bytes));
	/* types and rights that are not refused for their own sake */
	if (command->number == IOMMU_IOAS_COPY || command->number == IOMMU_IOAS_MAP ||
	    command->number == IOMMU_IOAS_MAP_FILE)
		structure[4] = RW;
	if (command->number == IOMMU_VIOMMU_ALLOC)
		structure[offsetof(struct iommu_viommu_alloc, type)] = 1;
	if (command->number == IOMMU_VEVENTQ_ALLOC || command->number == IOMMU_HW_QUEUE_ALLOC)
		structure[offsetof(struct iommu_veventq_alloc, type)] = 1;
	if (set)
		structure[set] = 0x40;
	return world_call(world, world->fd, command->number, structure, bytes < 4 ? 4 : bytes);
}

static void structures(void)
{
	struct world world;

	world_init(&world);
	long objects = world.os.objects;
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *command = &commands[i];
		for (uint32_t bytes = 0; bytes < command->least; bytes++)
			KTAP_EQUAL(bare_call(&world, command, bytes, 0), -EINVAL);
		for (unsigned n = 0; n < ARRAY_SIZE(command->reserved); n++)
			for (uint32_t at = 0; at < command->reserved[n].bytes; at++)
				KTAP_EQUAL(bare_call(&world, command, command->bytes,
				                     command->reserved[n].offset + at),
				           -EOPNOTSUPP);
		/* longer than known: the last byte, and the first that is not known */
		for (uint32_t more = 1; more <= 128 - command->bytes; more += 31) {
			uint32_t bytes = command->bytes + more;
			KTAP_EQUAL(bare_call(&world, command, bytes, bytes - 1), -E2BIG);
			KTAP_EQUAL(bare_call(&world, command, bytes, command->bytes), -E2BIG);
		}
		/* nowhere, half nowhere, and around the end of all addresses */
		const uint64_t places[] = {0, USER_CALLS + PAGE - 3, UINT64_MAX, UINT64_MAX - 3};
		for (unsigned n = 0; n < ARRAY_SIZE(places); n++)
			KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, command->number, places[n]),
			           -EFAULT);
		uint32_t size = command->bytes;
		memcpy(test_user_at(&world.user, USER_CALLS + PAGE - 4), &size, 4);
		KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, command->number, USER_CALLS + PAGE - 4),
		           -EFAULT);
		if (ktap_failed)
			printf("# %s\n", command->name);
	}
	KTAP_EQUAL(world.os.objects, objects);
	KTAP_CHECK(!world.user.bad);
	/* numbers on both sides of the commands */
	KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, IOMMU_DESTROY - 1, USER_CALLS), -ENOTTY);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, IOMMU_IOAS_NOIOMMU_GET_PA + 1, USER_CALLS),
	           -ENOTTY);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, IOMMU_DESTROY + 0x100, USER_CALLS), -ENOTTY);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, 0, USER_CALLS), -ENOTTY);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, UINT32_MAX, USER_CALLS), -ENOTTY);
	world_end(&world);
}

/* ---- ids and names ------------------------------------------------------------------------ */

static void ids(void)
{
	struct world world;
	struct ufd_object_info info;
	enum { MANY = 70 }; /* the table grows twice */

	world_init(&world);
	for (uint32_t i = 1; i <= MANY; i++) {
		struct iommu_ioas_alloc arguments = {0};
		/* each allocation fails once: the table is as it was, and the id free */
		long before = world.os.objects;
		int result = -ENOMEM;
		for (long n = 1; n < 10 && result; n++) {
			world.os.fail_at = world.os.allocations + n;
			result = call(&world, IOMMU_IOAS_ALLOC, &arguments);
			world.os.fail_at = 0;
			if (result)
				KTAP_EQUAL(world.os.objects, before);
		}
		KTAP_EQUAL(result, 0);
		KTAP_EQUAL(arguments.out_ioas_id, i);
	}
	/* the lowest that is free, and nothing is found by one that is not in use */
	KTAP_EQUAL(world_destroy(&world, 40), 0);
	KTAP_EQUAL(world_destroy(&world, 7), 0);
	KTAP_EQUAL(world_destroy(&world, 7), -ENOENT);
	KTAP_EQUAL(ufd_object_next(&world.ufd, world.fd, 7, &info), 0);
	KTAP_EQUAL(info.id, 8);
	KTAP_EQUAL(ufd_object_next(&world.ufd, world.fd, MANY + 1, &info), -ENOENT);
	KTAP_EQUAL(ufd_object_next(&world.ufd, world.fd, UINT32_MAX, &info), -ENOENT);
	KTAP_EQUAL(ufd_object_next(&world.ufd, 99, 1, &info), -EBADF);
	KTAP_EQUAL(world_ioas(&world), 7);
	KTAP_EQUAL(world_ioas(&world), 40);
	KTAP_EQUAL(world_ioas(&world), MANY + 1);
	const uint32_t none[] = {0, MANY + 2, 1u << 31, UINT32_MAX};
	for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
		KTAP_EQUAL(world_destroy(&world, none[i]), -ENOENT);
		KTAP_EQUAL(ufd_object_get(&world.ufd, world.fd, none[i], &info), -ENOENT);
	}
	/* a name for each kind, and no two alike */
	for (unsigned i = UFD_NONE; i <= UFD_HW_QUEUE; i++)
		for (unsigned n = UFD_NONE; n < i; n++)
			KTAP_CHECK(strcmp(ufd_kind_name((enum ufd_kind)i),
			                  ufd_kind_name((enum ufd_kind)n)) != 0);
	world_end(&world);
}

/* ---- destroying what a call uses ---------------------------------------------------------- */

/** While a call reads user memory, with no lock held, another destroys what it uses. */
static struct {
	struct world *world;
	uint32_t id;
	int result;
	unsigned asked;
} meddler;

static int meddling_copy_in(void *ctx, void *kernel, uint64_t user, size_t bytes)
{
	if (user == USER_PLAIN + PAGE && !meddler.asked++)
		meddler.result = world_destroy(meddler.world, meddler.id);
	return test_user_copy_in(ctx, kernel, user, bytes);
}

static void slow_relax(void *ctx)
{
	((struct test_os *)ctx)->now_ns += 100 * 1000 * 1000;
}

static void in_use(void)
{
	struct world world;
	uint32_t parent, nested;

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(world_hwpt(&world, world.id[0], ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	KTAP_EQUAL(world_nested(&world, parent, 0, 0, &nested), 0);
	struct ufd_memory_ops ops = test_user_ops;
	ops.copy_in = meddling_copy_in;
	world.ufd.memory = &ops;
	world.os.os.relax = slow_relax;
	struct iommu_hwpt_invalidate_selftest *entry = test_user_at(&world.user, USER_PLAIN + PAGE);
	*entry = (struct iommu_hwpt_invalidate_selftest){.iotlb_id = 1};
	struct iommu_hwpt_invalidate invalidate = {
		.hwpt_id = nested,
		.data_uptr = USER_PLAIN + PAGE,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
		.entry_len = sizeof(*entry),
		.entry_num = 1,
	};
	meddler.world = &world;
	meddler.id = nested;
	meddler.asked = 0;
	uint64_t before = world.os.now_ns;
	long errors = world.os.log_count[IOMMU_LOG_ERROR];
	KTAP_EQUAL(call(&world, IOMMU_HWPT_INVALIDATE, &invalidate), 0);
	KTAP_EQUAL(meddler.asked, 1);
	KTAP_EQUAL(meddler.result, -EBUSY); /* it waited, and gave up: the object lives */
	KTAP_CHECK(world.os.now_ns - before >= UINT64_C(10) * 1000 * 1000 * 1000);
	KTAP_CHECK(world.os.now_ns - before < UINT64_C(11) * 1000 * 1000 * 1000);
	KTAP_EQUAL(world.os.log_count[IOMMU_LOG_ERROR], errors + 1);
	KTAP_EQUAL(ufd_mock_iotlb(world_info(&world, nested).domain, 1), 0);
	/* its parent has a user: refused at once */
	meddler.id = parent;
	meddler.asked = 0;
	before = world.os.now_ns;
	KTAP_EQUAL(call(&world, IOMMU_HWPT_INVALIDATE, &invalidate), 0);
	KTAP_EQUAL(meddler.result, -EBUSY);
	KTAP_CHECK(world.os.now_ns - before < 1000 * 1000);
	world.ufd.memory = &test_user_ops;
	KTAP_EQUAL(world_destroy(&world, nested), 0);
	KTAP_EQUAL(world_destroy(&world, parent), 0);
	world_end(&world);
}

/* ---- two IOMMUs ---------------------------------------------------------------------------- */

static void two_kinds(void)
{
	const struct iommu_device_desc desc = {.name = "00:07.0",
	                                       .rid = RID(0, 7, 0),
	                                       .hop_count = 1,
	                                       .hops = {{0, 7 << 3}},
	                                       .group = 7};
	struct world world;
	uint32_t parent, other;

	world_init(&world);
	KTAP_EQUAL(iommu_probe(&world.core, &ufd_noiommu_driver, NULL), 1);
	KTAP_EQUAL(iommu_enable(&world.core), 0);
	KTAP_EQUAL(ufd_close(&world.ufd, world.cdev[1]), 0);
	KTAP_EQUAL(iommu_device_add(&world.core, &desc, &world.device[1]), 0);
	world.cdev[1] = ufd_open_device(&world.ufd, world.device[1]);
	for (int i = 0; i < 2; i++)
		KTAP_EQUAL(world_bind(&world, i), 0);
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(world_hwpt(&world, world.id[0], ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &parent), 0);
	KTAP_EQUAL(world_hwpt(&world, world.id[1], ioas, 0, &other), 0);
	struct iommu_viommu_alloc alloc = {
		.type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = world.id[0], .hwpt_id = other};
	KTAP_EQUAL(call(&world, IOMMU_VIOMMU_ALLOC, &alloc), -EINVAL);
	alloc.hwpt_id = parent;
	KTAP_EQUAL(call(&world, IOMMU_VIOMMU_ALLOC, &alloc), 0);
	struct iommu_vdevice_alloc vdevice = {
		.viommu_id = alloc.out_viommu_id, .dev_id = world.id[1], .virt_id = 1};
	KTAP_EQUAL(call(&world, IOMMU_VDEVICE_ALLOC, &vdevice), -EINVAL);
	struct iommu_hwpt_alloc nested = {.dev_id = world.id[1],
	                                  .pt_id = alloc.out_viommu_id,
	                                  .data_type = IOMMU_HWPT_DATA_SELFTEST,
	                                  .data_len = 4,
	                                  .data_uptr = USER_PLAIN};
	KTAP_EQUAL(call(&world, IOMMU_HWPT_ALLOC, &nested), -EINVAL);
	nested.pt_id = parent;
	KTAP_CHECK(call(&world, IOMMU_HWPT_ALLOC, &nested) < 0);
	/* an IOAS gives each a table of its kind */
	for (int i = 0; i < 2; i++) {
		uint32_t hwpt;
		KTAP_EQUAL(world_attach(&world, i, ioas, &hwpt), 0);
		KTAP_CHECK(world_info(&world, hwpt).domain->unit == world.device[i]->unit);
	}
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(world.user.pinned, 1);
	world_end(&world);
}

/** The descriptions of a self-test device's tables. */
static void tables(void)
{
	struct world world;
	struct iommu_test_cmd cmd = {.op = IOMMU_TEST_OP_MOCK_DOMAIN};

	world_init(&world);
	cmd.id = world_ioas(&world);
	uint32_t ioas = cmd.id;
	KTAP_EQUAL(call(&world, IOMMU_TEST_CMD, &cmd), 0);
	const struct {
		uint32_t type, bytes, table;
		int result;
		uint64_t sizes;
	} cases[] = {
		{IOMMU_HWPT_DATA_SELFTEST, 8, MOCK_IOMMUPT_DEFAULT, 0, MOCK_PAGE_SIZE},
		{IOMMU_HWPT_DATA_SELFTEST, 8, MOCK_IOMMUPT_HUGE, 0,
	         MOCK_PAGE_SIZE | MOCK_HUGE_PAGE_SIZE},
		{IOMMU_HWPT_DATA_SELFTEST, 4, MOCK_IOMMUPT_HUGE, 0, MOCK_PAGE_SIZE},
		{IOMMU_HWPT_DATA_SELFTEST, 8, MOCK_IOMMUPT_HUGE + 1, -EOPNOTSUPP, 0},
		{IOMMU_HWPT_DATA_SELFTEST, 8, UINT32_MAX, -EOPNOTSUPP, 0},
		{IOMMU_HWPT_DATA_SELFTEST, 3, 0, -EINVAL, 0},
		{IOMMU_HWPT_DATA_VTD_S1, 24, 0, -EINVAL, 0},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iommu_hwpt_selftest *data = test_user_at(&world.user, USER_PLAIN);
		struct iommu_hwpt_alloc alloc = {.dev_id = cmd.mock_domain.out_idev_id,
		                                 .pt_id = ioas,
		                                 .data_type = cases[i].type,
		                                 .data_len = cases[i].bytes,
		                                 .data_uptr = USER_PLAIN};
		memset(data, 0, 64);
		data->pagetable_type = cases[i].table;
		KTAP_EQUAL(call(&world, IOMMU_HWPT_ALLOC, &alloc), cases[i].result);
		if (!cases[i].result)
			KTAP_EQUAL(world_info(&world, alloc.out_hwpt_id).domain->page_sizes,
			           cases[i].sizes);
	}
	world_end(&world);
}

static const struct ktap_case cases[] = {
	{"structures of every call: short, long, reserved, nowhere", structures},
	{"ids and names", ids},
	{"destroying what a call uses", in_use},
	{"devices of two IOMMUs", two_kinds},
	{"tables of self-test devices", tables},
};

KTAP_MAIN(cases)
