/* SPDX-License-Identifier: MIT */
/*
 * The world of ufd_test_user.h with a VT-d unit behind it instead of the mock: the driver on
 * the reference model, two devices that can do all that the unit can, and user memory in the
 * model's arena, so that what a call maps is what a device reaches.
 */
#ifndef TESTS_UNIT_UFD_VTD_H
#define TESTS_UNIT_UFD_VTD_H

#include "tests/unit/ufd_test_user.h"

#include "tests/unit/vtd_model_ats.h"

struct vtd_world {
	struct ats ats; /* first */
	struct world world;
};

/** What lies between a host address and the model's. */
static inline uint64_t vtd_world_shift(void *user)
{
	return container_of((struct test_user *)user, struct vtd_world, world.user)
	        ->ats.vm.test.os.direct_map;
}

static inline int vtd_world_pin(void *ctx, uint64_t user, uint64_t bytes, bool write,
                                struct iommu_extent *extents, size_t capacity, size_t *count,
                                uint64_t *pinned)
{
	int error = test_user_pin(ctx, user, bytes, write, extents, capacity, count, pinned);

	for (size_t i = 0; i < *count; i++)
		extents[i].start.value -= vtd_world_shift(ctx);
	return error;
}

static inline void vtd_world_unpin(void *ctx, uint64_t user, const struct iommu_extent *extents,
                                   size_t count, bool dirty)
{
	for (size_t i = 0; i < count; i++) {
		struct iommu_extent one = extents[i];
		one.start.value += vtd_world_shift(ctx);
		test_user_unpin(ctx, user, &one, 1, dirty);
		user += one.bytes;
	}
}

static const struct ufd_memory_ops vtd_world_ops = {
	.copy_in = test_user_copy_in,
	.copy_out = test_user_copy_out,
	.pin = vtd_world_pin,
	.unpin = vtd_world_unpin,
	.file_map = test_user_file_map,
	.file_unmap = test_user_file_unmap,
	.account = test_user_account,
	.change_process = test_user_change_process,
	.pins = test_user_pins,
};

/** A running unit of @p preset, /dev/iommu, and both devices bound. */
static inline void vtd_world_init(struct vtd_world *self, const char *preset, enum iommu_mode mode)
{
	struct world *world = &self->world;

	memset(world, 0, sizeof(*world));
	ats_start(&self->ats, model_preset_find(preset), mode);
	world->user.block = vm_cpu(&self->ats.vm, vm_run(&self->ats.vm, 11));
	for (unsigned i = 0; i < 2; i++)
		world->device[i] = ats_device(&self->ats, 4 + i)->core;
	KTAP_EQUAL(ufd_init(&world->ufd, &self->ats.vm.iommu, &vtd_world_ops, &world->user), 0);
	world->fd = ufd_open(&world->ufd);
	for (int i = 0; i < 2; i++) {
		world->cdev[i] = ufd_open_device(&world->ufd, world->device[i]);
		KTAP_EQUAL(world_bind(world, i), 0);
	}
}

/** Close everything, and check that nothing is left, in the model neither. */
static inline void vtd_world_end(struct vtd_world *self)
{
	const struct test_user *user = &self->world.user;

	ufd_exit(&self->world.ufd);
	KTAP_EQUAL(user->pinned, 0);
	KTAP_EQUAL(user->charged[0] + user->charged[1], 0);
	KTAP_EQUAL(user->files_mapped, 0);
	KTAP_CHECK(!user->bad);
	vm_end(&self->ats.vm);
}

/** Where the model has the memory at @p user. */
static inline int64_t vtd_world_memory(struct vtd_world *self, uint64_t user)
{
	return (int64_t)((uintptr_t)test_user_at(&self->world.user, user) -
	                 self->ats.vm.test.os.direct_map);
}

/** Where a write of device @p which ends up; negative: it faults. */
static inline int64_t vtd_world_dma(struct vtd_world *self, int which, int pasid, uint64_t at)
{
	return vm_dma(&self->ats.vm, self->world.device[which], pasid, at);
}

/** A program writes a qword, and cleans the line. */
static inline void vtd_world_put(struct vtd_world *self, uint64_t user, uint64_t value)
{
	uint64_t *at = test_user_at(&self->world.user, user);

	*at = value;
	vm_clean(&self->ats.vm.test, at, sizeof(*at));
}

/* ---- a test's one world ------------------------------------------------------------------ */

#define BASE UINT64_C(0x40000000)
#define DATA (USER_PLAIN + 900 * PAGE) /* what calls point to */

enum { PLAIN = VM_NO_PASID };

static struct vtd_world vw;
static struct world *const w = &vw.world;

/** Units of each kind. */
static const struct vtd_world_unit {
	const char *preset;
	enum iommu_mode mode;
	unsigned bits; /* of addresses: of a first stage, half of what it has */
	bool nests;
} vtd_world_units[] = {
	{"nesting", IOMMU_MODE_SCALABLE, 47, true},
	{"nesting-noncoherent", IOMMU_MODE_SCALABLE, 47, true},
	{"nesting", IOMMU_MODE_LEGACY, 57, false},
	{"sapphire-rapids", IOMMU_MODE_SCALABLE, 47, true},
	{"qemu-10.0", IOMMU_MODE_LEGACY, 48, false},
	{"qemu-11.1-first", IOMMU_MODE_SCALABLE, 47, false},
	{"old", IOMMU_MODE_LEGACY, 36, false},
};

static inline void begin(unsigned unit)
{
	vtd_world_init(&vw, vtd_world_units[unit].preset, vtd_world_units[unit].mode);
}

static inline bool reaches(int which, int pasid, uint64_t at, uint64_t user)
{
	return vtd_world_dma(&vw, which, pasid, at) == vtd_world_memory(&vw, user);
}

static inline bool blocked(int which, int pasid, uint64_t at)
{
	return vtd_world_dma(&vw, which, pasid, at) < 0;
}

#endif
