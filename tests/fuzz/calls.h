/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing of the call interface: the first byte chooses the driver and the world to begin
 * in, the second lets a hook fail, the rest is
 *   a program of calls (program.h),
 *   or what goes to and from a fault queue while devices ask for pages,
 *   or raw structures of any size, of any command, the last byte of which is the last of
 *   the user's memory there.
 * Whatever it is, at the end nothing is left, every pin is undone, and the model has found
 * no mistake of the driver.
 */
#ifndef TESTS_FUZZ_CALLS_H
#define TESTS_FUZZ_CALLS_H

#include "tests/unit/sweep_scene.h"

#include "tests/fuzz/program.h"

static inline void calls_dma(void *ctx, unsigned device, uint32_t pasid, uint64_t at)
{
	struct scene *scene = ctx;

	if (device < 2)
		snapshot_dma(scene, scene->world->device[device], pasid, at);
}

static inline void calls_ask(void *ctx, unsigned device, const struct iommu_page_request *request)
{
	struct scene *scene = ctx;
	struct sweep *sweep = &scene->sweep;
	const struct model_request on_bus = {
		.kind = MODEL_PAGE_REQUEST,
		.requester = scene->world->device[device]->desc.rid,
		.has_pasid = request->has_pasid,
		.pasid = request->pasid,
		.address = request->address.value,
		.group = request->group,
		.page_read = true,
		.last = request->last,
	};
	struct model_result result;

	if (!sweep->driver->preset) {
		ufd_mock_page_request(scene->world->device[device], request);
	} else if (sweep->devices[device].page_requests) {
		model_dma(sweep->vm.unit, &on_bus, &result);
		iommu_poll(&sweep->vm.iommu);
	}
}

/** Reads, writes, answers, and what takes the asking device away. */
static inline bool queue_step(struct program *program)
{
	static const struct program_call moves[] = {
		{VFIO_DEVICE_ATTACH_IOMMUFD_PT, "sfip", true},
		{VFIO_DEVICE_DETACH_IOMMUFD_PT, "sfp", true},
		{IOMMU_DESTROY, "si", false},
	};
	uint8_t op = program_byte(program);

	if (!program->left)
		return false;
	if (op < 0x60)
		program_queue(program, 7);
	else if (op < 0xb0)
		program_ask(program);
	else if (op < 0xd0)
		program_fill(program);
	else if (op < 0xd8)
		(void)!ufd_poll(program->ufd, 7);
	else if (op < 0xfe)
		(void)!program_ioctl(program, op % 3 == 2 ? 3 : 4 + op % 2, &moves[op % 3]);
	else
		(void)!ufd_close(program->ufd, 7);
	return true;
}

/** A command, a size, and so many bytes as the input says, at the end of a page. */
static inline bool raw_step(struct program *program)
{
	uint8_t which = program_byte(program), room = program_byte(program) % 97;
	const struct program_call *call = &program_calls[which % ARRAY_SIZE(program_calls)];
	uint64_t user = USER_CALLS + PAGE - room;
	uint8_t image[97];
	uint32_t size = room;

	if (!program->left)
		return false;
	for (unsigned i = 0; i < room; i++)
		image[i] = program_byte(program);
	if (which < 0xe0 && room >= 4) /* else the size is what the input says */
		memcpy(image, &size, 4);
	program_store(program, user, image, room);
	(void)!ufd_ioctl(program->ufd, call->of_device ? 4 + which % 3 : 3, call->command, user);
	return true;
}

/** Run one input. False: something is wrong, and was printed. */
static inline bool calls_run_with(const uint8_t *bytes, size_t size,
                                  bool (*step)(struct program *program))
{
	static const struct ufd_access_ops ops = {.unmap = program_unmapped};
	static const uint8_t drivers[] = {0, 0, 0, 4, 5, 8, 3, 6};
	struct scene scene;
	struct sweep *sweep = &scene.sweep;

	if (size < 2)
		return true;
	/* these have a fault queue from the beginning */
	bool queue = step == queue_step;
	const struct sweep_driver *driver =
		&sweep_drivers[queue ? bytes[0] % 2 * 8 : drivers[bytes[0] & 7]];
	ktap_failed = false;
	if (bytes[0] & 8 || queue) {
		scene_begin(&scene, driver);
		/* the program has accesses of its own, with a callback that does less */
		ufd_access_free(scene.access);
		ufd_access_free(scene.attached_access);
	} else {
		memset(&scene, 0, sizeof(scene));
		sweep_prepare(sweep, driver);
		KTAP_EQUAL(sweep_up(sweep), 0);
		scene.world = &sweep->world;
		scene.can = driver->can;
		KTAP_EQUAL(ufd_open(&scene.world->ufd), 3);
		for (int i = 0; i < 3; i++)
			KTAP_EQUAL(ufd_open_device(&scene.world->ufd,
			                           i < 2 ? scene.world->device[i] : sweep->device2),
			           4 + i);
	}
	scene.access = scene.attached_access = NULL;
	struct program program = {
		.bytes = bytes + 2,
		.left = size - 2,
		.ufd = &scene.world->ufd,
		.user = &scene.world->user,
		.place = USER_CALLS,
		.devices = {scene.world->device[0], scene.world->device[1], sweep->device2},
		.access_ops = &ops,
		.ask = calls_ask,
		.dma = calls_dma,
		.ctx = &scene,
	};
	sweep->fail_at = bytes[1];
	sweep->armed = true;
	while (step(&program))
		;
	sweep->armed = false;
	program_end(&program);
	scene_end(&scene);
	return !ktap_failed;
}

static inline bool calls_run(const uint8_t *bytes, size_t size)
{
	return calls_run_with(bytes, size, program_step);
}

static inline bool queue_run(const uint8_t *bytes, size_t size)
{
	return calls_run_with(bytes, size, queue_step);
}

static inline bool raw_run(const uint8_t *bytes, size_t size)
{
	return calls_run_with(bytes, size, raw_step);
}

#endif
