/* SPDX-License-Identifier: MIT */
/*
 * Devices in VFIO's shape: open, bind, attach, replace, detach, close in any order;
 * groups of several devices; reserved regions; descriptors and their reuse.
 */
#include "tests/unit/ufd_test_user.h"

#define BASE UINT64_C(0x40000000)

static int bind_to(struct world *world, int cdev, int fd, uint32_t *id)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = fd};
	int result = world_call(world, cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind, sizeof(bind));

	*id = bind.out_devid;
	return result;
}

static int attach_to(struct world *world, int cdev, uint32_t pt_id, uint32_t *hwpt)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = pt_id};
	int result =
		world_call(world, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, sizeof(attach));

	if (hwpt)
		*hwpt = attach.pt_id;
	return result;
}

static void descriptors(void)
{
	struct world world;
	int fd[UFD_MAX_FILES];

	world_init(&world);
	KTAP_EQUAL(ufd_close(&world.ufd, -1), -EBADF);
	KTAP_EQUAL(ufd_close(&world.ufd, 0), -EBADF);
	KTAP_EQUAL(ufd_close(&world.ufd, 2), -EBADF);
	KTAP_EQUAL(ufd_close(&world.ufd, 6), -EBADF);
	KTAP_EQUAL(ufd_close(&world.ufd, 3 + UFD_MAX_FILES), -EBADF);
	KTAP_EQUAL(ufd_close(&world.ufd, INT32_MIN), -EBADF);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, 6, IOMMU_DESTROY, 0), -EBADF);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, INT32_MAX, IOMMU_DESTROY, 0), -EBADF);
	/* a number that is closed is the next to be given, and means the new file */
	uint32_t ioas = world_ioas(&world);
	KTAP_EQUAL(ufd_close(&world.ufd, world.fd), 0);
	KTAP_EQUAL(ufd_close(&world.ufd, world.fd), -EBADF);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, world.fd, IOMMU_DESTROY, 0), -EBADF);
	KTAP_EQUAL(ufd_open(&world.ufd), 3);
	KTAP_EQUAL(world_destroy(&world, ioas), -ENOENT);
	int count = 0;
	for (; count < UFD_MAX_FILES; count++) {
		fd[count] = count % 2 ? ufd_open(&world.ufd)
		                      : ufd_open_device(&world.ufd, world.device[0]);
		if (fd[count] < 0)
			break;
		KTAP_EQUAL(fd[count], 6 + count);
	}
	KTAP_EQUAL(count, UFD_MAX_FILES - 3);
	KTAP_EQUAL(fd[count], -EMFILE);
	KTAP_EQUAL(ufd_open(&world.ufd), -EMFILE);
	KTAP_EQUAL(ufd_open_device(&world.ufd, world.device[0]), -EMFILE);
	KTAP_EQUAL(ufd_close(&world.ufd, 100), 0);
	KTAP_EQUAL(ufd_open(&world.ufd), 100);
	world_end(&world);
}

static void binding(void)
{
	struct world world;
	uint32_t id;
	struct vfio_device_bind_iommufd bind;

	world_init(&world);
	int cdev = world.cdev[0];
	/* before: everything else is EINVAL */
	KTAP_EQUAL(world_attach(&world, 0, 1, NULL), -EINVAL);
	KTAP_EQUAL(world_detach(&world, 0), -EINVAL);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, cdev, 0x3b00 + 107, USER_CALLS), -EINVAL);
	const struct {
		struct vfio_device_bind_iommufd bind;
		int result;
	} cases[] = {
		{{.argsz = 15, .iommufd = world.fd}, -EINVAL},
		{{.argsz = 0, .iommufd = world.fd}, -EINVAL},
		{{.argsz = 24, .iommufd = world.fd, .flags = 1}, -EINVAL},
		{{.argsz = 24, .iommufd = world.fd, .flags = 1u << 31}, -EINVAL},
		{{.argsz = 24, .iommufd = -1}, -EINVAL},
		{{.argsz = 24, .iommufd = 77}, -EBADF},
		{{.argsz = 24, .iommufd = INT32_MAX}, -EBADF},
		{{.argsz = 24, .iommufd = world.cdev[1]}, -EBADFD},
		{{.argsz = 24, .iommufd = cdev}, -EBADFD},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		bind = cases[i].bind;
		KTAP_EQUAL(world_call(&world, cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind, sizeof(bind)),
		           cases[i].result);
	}
	KTAP_EQUAL(ufd_ioctl(&world.ufd, cdev, VFIO_DEVICE_BIND_IOMMUFD, 0), -EFAULT);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, cdev, VFIO_DEVICE_BIND_IOMMUFD, UINT64_MAX), -EFAULT);
	world.user.out_fail_at = world.user.outs + 1;
	KTAP_EQUAL(bind_to(&world, cdev, world.fd, &id), -EFAULT);
	KTAP_CHECK(world.device[0]->group->owner == NULL);
	/* the structure of 6.6, 16 bytes */
	bind = (struct vfio_device_bind_iommufd){.argsz = 16, .iommufd = world.fd};
	KTAP_EQUAL(world_call(&world, cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind, 16), 0);
	KTAP_EQUAL(bind.out_devid, 1);
	KTAP_CHECK(world_info(&world, 1).kind == UFD_DEVICE);
	KTAP_CHECK(world_info(&world, 1).device == world.device[0]);
	KTAP_EQUAL(world_destroy(&world, 1), -EBUSY); /* its descriptor has it */
	KTAP_EQUAL(bind_to(&world, cdev, world.fd, &id), -EINVAL);
	/* once a device, and the group has one owner */
	int twin = ufd_open_device(&world.ufd, world.device[0]), other = ufd_open(&world.ufd);
	KTAP_EQUAL(bind_to(&world, twin, world.fd, &id), -EINVAL);
	KTAP_EQUAL(bind_to(&world, twin, other, &id), -EINVAL);
	KTAP_EQUAL(ufd_ioctl(&world.ufd, cdev, 0x3b00 + 107, USER_CALLS), -ENOTTY);
	KTAP_EQUAL(ufd_close(&world.ufd, cdev), 0);
	KTAP_CHECK(world_info(&world, 1).kind == UFD_NONE);
	KTAP_EQUAL(bind_to(&world, twin, other, &id), 0);
	KTAP_EQUAL(id, 1);

	/* a device that no IOMMU translates for */
	struct iommu_device_desc desc = {.name = "bare", .rid = RID(0, 9, 0), .group = 9};
	struct iommu_device *bare = NULL;
	KTAP_EQUAL(iommu_device_add(&world.core, &desc, &bare), 0);
	int bare_fd = ufd_open_device(&world.ufd, bare);
	KTAP_EQUAL(bind_to(&world, bare_fd, world.fd, &id), -ENODEV);
	world_end(&world);
}

static void attaching(void)
{
	struct world world;
	uint32_t automatic, second, hwpt;

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	KTAP_EQUAL(world_bind(&world, 1), 0);
	uint32_t ioas = world_ioas(&world);
	const struct {
		struct vfio_device_attach_iommufd_pt attach;
		int result;
	} cases[] = {
		{{.argsz = 11, .pt_id = ioas}, -EINVAL},
		{{.argsz = 16, .pt_id = ioas, .flags = 2}, -EINVAL},
		{{.argsz = 16, .pt_id = ioas, .flags = 1, .pasid = 5}, -EINVAL},
		{{.argsz = 15, .pt_id = ioas, .flags = 1, .pasid = 5}, -EINVAL},
		{{.argsz = 16, .pt_id = 0}, -ENOENT},
		{{.argsz = 16, .pt_id = 99}, -ENOENT},
		{{.argsz = 16, .pt_id = world.id[1]}, -EINVAL},
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vfio_device_attach_iommufd_pt attach = cases[i].attach;
		KTAP_EQUAL(world_call(&world, world.cdev[0], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach,
		                      sizeof(attach)),
		           cases[i].result);
		KTAP_EQUAL(attach.pt_id, cases[i].attach.pt_id);
	}
	struct vfio_device_detach_iommufd_pt detach = {.argsz = 7};
	const int cdev = world.cdev[0];
	KTAP_EQUAL(world_call(&world, cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach, 12), -EINVAL);
	detach = (struct vfio_device_detach_iommufd_pt){.argsz = 12, .flags = 2};
	KTAP_EQUAL(world_call(&world, cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach, 12), -EINVAL);
	detach = (struct vfio_device_detach_iommufd_pt){.argsz = 12, .flags = 1};
	KTAP_EQUAL(world_call(&world, cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach, 12), 0);
	detach.argsz = 11; /* without the PASID */
	KTAP_EQUAL(world_call(&world, cdev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach, 12), -EINVAL);
	KTAP_EQUAL(world_detach(&world, 0), 0); /* detached already: fine */
	KTAP_EQUAL(ufd_ioctl(&world.ufd, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0), -EFAULT);

	/* an IOAS: one automatic HWPT for both, which dies with its last user */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(world_attach(&world, 0, ioas, &automatic), 0);
	KTAP_EQUAL(world_attach(&world, 1, ioas, &second), 0);
	KTAP_EQUAL(automatic, second);
	KTAP_CHECK(world_info(&world, automatic).automatic);
	KTAP_EQUAL(world_info(&world, automatic).users, 2);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	KTAP_CHECK(world_reaches(&world, 1, BASE, USER_PLAIN));
	KTAP_EQUAL(world_attach(&world, 0, ioas, &second), 0); /* to what it has */
	KTAP_EQUAL(second, automatic);
	KTAP_EQUAL(world_info(&world, automatic).users, 2);
	KTAP_EQUAL(world_destroy(&world, automatic), -EBUSY);
	KTAP_EQUAL(world_destroy(&world, ioas), -EBUSY);
	KTAP_EQUAL(world_detach(&world, 0), 0);
	KTAP_CHECK(world_blocked(&world, 0, BASE));
	KTAP_CHECK(world_reaches(&world, 1, BASE, USER_PLAIN));
	KTAP_EQUAL(world_detach(&world, 1), 0);
	KTAP_CHECK(world_info(&world, automatic).kind == UFD_NONE);
	KTAP_EQUAL(world.user.pinned, 0);

	/* replace: HWPT by HWPT, by IOAS, and between IOASes */
	uint32_t other = world_ioas(&world);
	KTAP_EQUAL(world_map(&world, other, USER_SCATTER, PAGE, BASE), 0);
	KTAP_EQUAL(world_hwpt(&world, world.id[0], ioas, 1, &hwpt), 0);
	KTAP_EQUAL(world_attach(&world, 0, hwpt, &second), 0);
	KTAP_EQUAL(second, hwpt);
	KTAP_EQUAL(world_attach(&world, 0, hwpt, &second), 0);
	KTAP_EQUAL(world_info(&world, hwpt).users, 1);
	KTAP_EQUAL(world_destroy(&world, hwpt), -EBUSY);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	KTAP_EQUAL(world_attach(&world, 0, other, &automatic), 0);
	KTAP_CHECK(automatic != hwpt);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_SCATTER));
	KTAP_EQUAL(world_info(&world, hwpt).users, 0);
	KTAP_EQUAL(world_attach(&world, 0, hwpt, NULL), 0);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	KTAP_CHECK(world_info(&world, automatic).kind == UFD_NONE);
	/* a plain HWPT is not reused for an IOAS: only automatic ones are */
	KTAP_EQUAL(world_attach(&world, 1, ioas, &second), 0);
	KTAP_CHECK(second != hwpt);
	/* a replace that fails changes nothing */
	uint32_t odd = world_ioas(&world);
	KTAP_EQUAL(world_map(&world, odd, USER_PLAIN, 5, BASE), 0);
	KTAP_EQUAL(world_attach(&world, 0, odd, &second), -EADDRINUSE);
	KTAP_EQUAL(second, odd);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	KTAP_EQUAL(world_info(&world, hwpt).users, 1);
	KTAP_EQUAL(world_destroy(&world, odd), 0);
	/* an answer that cannot be written: nothing changes */
	world.user.out_fail_at = world.user.outs + 1;
	KTAP_EQUAL(world_attach(&world, 0, other, NULL), -EFAULT);
	KTAP_CHECK(world_reaches(&world, 0, BASE, USER_PLAIN));
	KTAP_EQUAL(world_info(&world, other).users, 0);
	world.user.out_fail_at = world.user.outs + 1;
	KTAP_EQUAL(world_attach(&world, 0, hwpt, NULL), -EFAULT);
	KTAP_EQUAL(world_info(&world, hwpt).users, 1);
	world_end(&world);
}

static void groups(void)
{
	struct world world;
	struct iommu_device *device[3];
	int cdev[3];
	uint32_t id, automatic, hwpt;

	/* three devices that cannot be told apart, behind the mock */
	world_init(&world);
	for (int i = 0; i < 3; i++) {
		struct iommu_device_desc desc = {
			.segment = UFD_MOCK_SEGMENT, .rid = RID(2, 0, i), .group = 1234};
		KTAP_EQUAL(iommu_device_add(&world.core, &desc, &device[i]), 0);
		cdev[i] = ufd_open_device(&world.ufd, device[i]);
	}
	KTAP_EQUAL(iommu_device_reserve(device[2], iova(0x1000), iova(0x1fff), IOMMU_RESERVED_NONE),
	           0);
	KTAP_EQUAL(bind_to(&world, cdev[0], world.fd, &id), 0);
	KTAP_EQUAL(bind_to(&world, cdev[1], world.fd, &id), 0);
	/* the group has one owner */
	int other_fd = ufd_open(&world.ufd);
	KTAP_EQUAL(bind_to(&world, cdev[2], other_fd, &id), -EBUSY);

	uint32_t ioas = world_ioas(&world), other = world_ioas(&world);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, BASE), 0);
	KTAP_EQUAL(world_map(&world, other, USER_SCATTER, PAGE, BASE), 0);
	KTAP_EQUAL(attach_to(&world, cdev[0], ioas, &automatic), 0);
	pa_t out;
	for (int i = 0; i < 3; i++) /* the neighbours with it */
		KTAP_EQUAL(ufd_mock_translate(device[i], iova(BASE), IOMMU_READ, &out), 0);
	/* reserved for a neighbour is reserved */
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, 0x1000), -EINVAL);
	KTAP_EQUAL(world_map(&world, other, USER_PLAIN, PAGE, 0x1000), 0);
	/* the second must say the same */
	KTAP_EQUAL(attach_to(&world, cdev[1], other, NULL), -EINVAL);
	KTAP_EQUAL(world_info(&world, other).users, 0);
	KTAP_EQUAL(attach_to(&world, cdev[1], automatic, NULL), 0);
	KTAP_EQUAL(world_info(&world, automatic).users, 2);
	/* a replace moves all; not to where the neighbour's region is mapped */
	KTAP_EQUAL(attach_to(&world, cdev[1], other, NULL), -EADDRINUSE);
	KTAP_EQUAL(world_unmap(&world, other, 0x1000, PAGE, NULL), 0);
	KTAP_EQUAL(attach_to(&world, cdev[1], other, &hwpt), 0);
	KTAP_EQUAL(world_info(&world, hwpt).users, 2);
	KTAP_CHECK(world_info(&world, automatic).kind == UFD_NONE);
	for (int i = 0; i < 3; i++) {
		KTAP_EQUAL(ufd_mock_translate(device[i], iova(BASE), IOMMU_READ, &out), 0);
		KTAP_EQUAL(out.value, (uintptr_t)test_user_at(&world.user, USER_SCATTER));
	}
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, 0x1000), 0);
	/* blocked at the last detach */
	KTAP_EQUAL(ufd_close(&world.ufd, cdev[0]), 0);
	KTAP_EQUAL(ufd_mock_translate(device[0], iova(BASE), IOMMU_READ, &out), 0);
	KTAP_EQUAL(ufd_close(&world.ufd, cdev[1]), 0);
	for (int i = 0; i < 3; i++)
		KTAP_EQUAL(ufd_mock_translate(device[i], iova(BASE), IOMMU_READ, &out), -EFAULT);
	KTAP_EQUAL(bind_to(&world, cdev[2], other_fd, &id), 0);
	world_end(&world);
}

static void reserved(void)
{
	struct world world;

	world_init(&world);
	struct iommu_device *device = world.device[0];
	KTAP_EQUAL(iommu_device_reserve(device, iova(BASE), iova(BASE + PAGE - 1),
	                                IOMMU_RESERVED_NONE),
	           0);
	KTAP_EQUAL(iommu_device_reserve(device, iova(2 * BASE), iova(2 * BASE + PAGE - 1),
	                                IOMMU_RESERVED_RELAXABLE),
	           0);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	uint32_t ioas = world_ioas(&world), answer;
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 2 * PAGE, BASE - PAGE), 0);
	KTAP_EQUAL(world_attach(&world, 0, ioas, &answer), -EADDRINUSE);
	KTAP_EQUAL(answer, ioas); /* what it was before the call */
	KTAP_CHECK(!device->group->domain);
	KTAP_EQUAL(world_info(&world, ioas).users, 0);
	KTAP_EQUAL(world.user.pinned, 0);
	KTAP_EQUAL(world_unmap(&world, ioas, BASE - PAGE, 2 * PAGE, NULL), 0);
	KTAP_EQUAL(world_attach(&world, 0, ioas, NULL), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 2 * PAGE, BASE - PAGE), -EINVAL);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, PAGE, 2 * BASE), 0); /* relaxable */
	KTAP_EQUAL(world_detach(&world, 0), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 2 * PAGE, BASE - PAGE), 0);
	/* firmware's region, always mapped: the core refuses, and nothing is left */
	KTAP_EQUAL(iommu_device_reserve(world.device[1], iova(0x5000), iova(0x5fff),
	                                IOMMU_RESERVED_DIRECT),
	           0);
	KTAP_EQUAL(world_bind(&world, 1), 0);
	uint32_t empty = world_ioas(&world);
	KTAP_EQUAL(world_attach(&world, 1, empty, NULL), -EINVAL);
	KTAP_EQUAL(world_info(&world, empty).users, 0);
	KTAP_EQUAL(world_map(&world, empty, USER_PLAIN, PAGE, 0x5000), 0);
	world_end(&world);
}

/** Close the three descriptors in @p order while everything is in use. */
static void close_in(const int *order)
{
	struct world world;
	uint32_t ioas, hwpt, nested;

	world_init(&world);
	KTAP_EQUAL(world_bind(&world, 0), 0);
	KTAP_EQUAL(world_bind(&world, 1), 0);
	ioas = world_ioas(&world);
	KTAP_EQUAL(world_map(&world, ioas, USER_PLAIN, 8 * PAGE, BASE), 0);
	KTAP_EQUAL(world_map(&world, ioas, USER_SCATTER, 8 * PAGE, 2 * BASE), 0);
	KTAP_EQUAL(world_hwpt(&world, world.id[0], ioas, 1, &hwpt), 0);
	struct iommu_hwpt_alloc alloc = {.dev_id = world.id[0],
	                                 .pt_id = hwpt,
	                                 .data_type = IOMMU_HWPT_DATA_SELFTEST,
	                                 .data_len = 4,
	                                 .data_uptr = USER_PLAIN};
	KTAP_EQUAL(call(&world, IOMMU_HWPT_ALLOC, &alloc), 0);
	nested = alloc.out_hwpt_id;
	KTAP_EQUAL(world_attach(&world, 0, nested, NULL), 0);
	KTAP_EQUAL(world_attach(&world, 1, ioas, NULL), 0);
	KTAP_EQUAL(world.user.pinned, 16);
	bool open[3] = {true, true, true};
	const int fds[3] = {world.fd, world.cdev[0], world.cdev[1]};
	for (int i = 0; i < 3; i++) {
		KTAP_EQUAL(ufd_close(&world.ufd, fds[order[i]]), 0);
		open[order[i]] = false;
		for (int which = 0; which < 2; which++) {
			/* a bound device keeps the context, and works */
			if (open[1 + which])
				KTAP_CHECK(world_reaches(&world, which, BASE, USER_PLAIN));
			else
				KTAP_CHECK(world_blocked(&world, which, BASE));
		}
		if (open[1]) {
			KTAP_EQUAL(world_detach(&world, 0), 0);
			KTAP_CHECK(world_blocked(&world, 0, BASE));
			KTAP_EQUAL(world_attach(&world, 0, nested, NULL), 0);
		}
	}
	KTAP_EQUAL(world.user.pinned, 0);
	world_end(&world);
}

static void closing(void)
{
	static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
	                                {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++)
		close_in(orders[i]);
}

static const struct ktap_case cases[] = {
	{"descriptors: numbers, reuse, limits", descriptors},
	{"bind: every error, one owner", binding},
	{"attach, replace, detach", attaching},
	{"groups of several devices", groups},
	{"reserved regions", reserved},
	{"closing in every order", closing},
};

KTAP_MAIN(cases)
