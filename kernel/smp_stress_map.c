/* SPDX-License-Identifier: MIT */
/*
 * The test of what processors share in the core: each has an IOAS of its own, with a HWPT
 * for a device, or a range of one IOAS that all share, and maps and unmaps at random through
 * the calls of a program. What every
 * call must answer is known from a table of its own; a look at the page table checks the
 * rest. In the end all is given back, and nothing may be left: no mapping, no pin, no
 * object, no fault.
 */
#include "iommu/string.h"
#include "kernel/kernel.h"
#include "kernel/smp_stress_private.h"
#include "ufd/iommufd.h"
#include "ufd/vfio.h"

enum { ROUNDS = 600, DATA_PAGES = 64, LONGEST = 8, MOST_DEVICES = 8 };
#define BASE UINT64_C(0x40000000)
/* Of one IOAS: ranges share tables, and their ends entries of the level above. */
#define RANGE (STRESS_WINDOW * PAGE_SIZE_4K)

struct stress_devices {
	struct iommu_device *device[MOST_DEVICES];
	int cdev[MOST_DEVICES]; /* -1: not open */
	uint32_t id[MOST_DEVICES];
	unsigned count;
};

/* ---- calls --------------------------------------------------------------------------------- */

/** Make a call with a worker's slot; @p structure is read back. */
static int call(struct stress *stress, struct stress_worker *worker, int fd, unsigned long command,
                void *structure, size_t bytes)
{
	memcpy(worker->slot, structure, bytes);
	int result = ufd_ioctl(&stress->machine->ufd, fd, command, worker->abi->start);
	memcpy(structure, worker->slot, bytes);
	return result;
}

static int map(struct stress *stress, struct stress_worker *worker, unsigned page, unsigned pages,
               unsigned source)
{
	struct iommu_ioas_map request = {
		.size = sizeof(request),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
	                 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = worker->ioas,
		.user_va = worker->data->start + source * PAGE_SIZE_4K,
		.length = pages * PAGE_SIZE_4K,
		.iova = worker->base + page * PAGE_SIZE_4K,
	};

	return call(stress, worker, stress->fd, IOMMU_IOAS_MAP, &request, sizeof(request));
}

/** @return the bytes that were unmapped, or an error. */
static int64_t unmap(struct stress *stress, struct stress_worker *worker, uint64_t at,
                     uint64_t bytes)
{
	struct iommu_ioas_unmap request = {
		.size = sizeof(request),
		.ioas_id = worker->ioas,
		.iova = at,
		.length = bytes,
	};

	int error = call(stress, worker, stress->fd, IOMMU_IOAS_UNMAP, &request, sizeof(request));
	return error ? error : (int64_t)request.length;
}

/* ---- a worker ------------------------------------------------------------------------------ */

static void step_map(struct stress *stress, struct stress_worker *worker, uint64_t random)
{
	unsigned pages = 1 + (unsigned)(random >> 8 & (LONGEST - 1));
	unsigned page = (unsigned)(random >> 16) % (STRESS_WINDOW - pages + 1);
	unsigned source = (unsigned)(random >> 32) % (DATA_PAGES - pages + 1);
	bool taken = false;

	for (unsigned i = page; i < page + pages; i++)
		taken = taken || worker->length[i];
	int result = map(stress, worker, page, pages, source);
	if (result != (taken ? -EEXIST : 0)) {
		stress_fail(stress,
		            taken ? "IOAS_MAP over a mapping: not EEXIST" : "IOAS_MAP failed");
		return;
	}
	worker->refusals += taken;
	if (taken)
		return;
	worker->maps++;
	for (unsigned i = page; i < page + pages; i++) {
		worker->start[i] = (uint16_t)page;
		worker->length[i] = (uint16_t)pages;
	}
	worker->source[page] = (uint16_t)source;
}

static void step_unmap(struct stress *stress, struct stress_worker *worker, uint64_t random)
{
	unsigned page = (unsigned)(random >> 16) % STRESS_WINDOW;
	unsigned pages = worker->length[page];

	if (!pages) {
		worker->refusals++;
		if (unmap(stress, worker, worker->base + page * PAGE_SIZE_4K, PAGE_SIZE_4K) !=
		    -ENOENT)
			stress_fail(stress, "IOAS_UNMAP of nothing: not ENOENT");
		return;
	}
	page = worker->start[page];
	worker->unmaps++;
	if (unmap(stress, worker, worker->base + page * PAGE_SIZE_4K, pages * PAGE_SIZE_4K) !=
	    (int64_t)(pages * PAGE_SIZE_4K)) {
		stress_fail(stress, "IOAS_UNMAP unmapped another length than was mapped");
		return;
	}
	for (unsigned i = page; i < page + pages; i++)
		worker->length[i] = 0;
}

/** Does the page table have on @p page what the worker's own table says? */
static bool look(struct stress *stress, struct stress_worker *worker, unsigned page)
{
	uint64_t at = worker->base + page * PAGE_SIZE_4K;
	struct iommu_leaf leaf;
	pa_t wanted;

	worker->looks++;
	bool found = worker->domain->ops->lookup(worker->domain, iova(at), &leaf);
	if (found != (worker->length[page] != 0))
		return false;
	if (!found)
		return true;
	unsigned first = worker->start[page];
	uint64_t user = worker->data->start + (worker->source[first] + page - first) * PAGE_SIZE_4K;
	return user_memory_physical(&stress->machine->memory, user, &wanted) == 0 &&
	       leaf.pa.value + (at - leaf.iova.value) == wanted.value;
}

static void work(void *arg, unsigned index)
{
	struct stress *stress = arg;
	struct stress_worker *worker = &stress->workers[index];
	uint64_t seed = 0xbf58476d1ce4e5b9 * (index + 1);

	stress_gather(stress);
	for (unsigned i = 0; i < ROUNDS && !stress_has_failed(stress); i++) {
		uint64_t random = stress_random(&seed);
		if (random % 8 < 4)
			step_map(stress, worker, random);
		else if (random % 8 < 7)
			step_unmap(stress, worker, random);
		else if (!look(stress, worker, (unsigned)(random >> 16) % STRESS_WINDOW))
			stress_fail(stress, "a page table has not what was mapped");
	}
	for (unsigned page = 0; page < STRESS_WINDOW && !stress_has_failed(stress); page++)
		if (!look(stress, worker, page))
			stress_fail(stress, "a page table has not what was mapped, in the end");
	uint64_t left = 0;
	for (unsigned page = 0; page < STRESS_WINDOW; page++)
		left += (worker->length[page] != 0) * PAGE_SIZE_4K;
	if (left && unmap(stress, worker, stress->one ? worker->base : 0,
	                  stress->one ? RANGE : UINT64_MAX) != (int64_t)left)
		stress_fail(stress, "IOAS_UNMAP of everything unmapped another length");
	memset(worker->length, 0, sizeof(worker->length));
	for (unsigned page = 0; page < STRESS_WINDOW && !stress_has_failed(stress); page++)
		if (!look(stress, worker, page))
			stress_fail(stress, "a page table has what was unmapped");
}

/* ---- before and after ---------------------------------------------------------------------- */

static int worker_buffers(struct stress *stress, unsigned index)
{
	struct user_memory *memory = &stress->machine->memory;
	struct stress_worker *worker = &stress->workers[index];
	uint64_t bytes = PAGE_SIZE_4K;
	char name[USER_NAME_MAX];

	iommu_snprintf(name, sizeof(name), "smp-abi-%u", index);
	int error = user_buffer_create(memory, name, PAGE_SIZE_4K, 0, 0, &worker->abi);
	if (error)
		return error;
	worker->slot = user_memory_at(memory, worker->abi->start, &bytes);
	iommu_snprintf(name, sizeof(name), "smp-data-%u", index);
	/* Contiguous for one, in single pages for the next. */
	return user_buffer_create(memory, name, DATA_PAGES * PAGE_SIZE_4K, 0,
	                          index & 1 ? USER_SCATTERED : 0, &worker->data);
}

static int device_open(struct stress *stress, struct stress_devices *devices, unsigned at)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = stress->fd};

	devices->cdev[at] = ufd_open_device(&stress->machine->ufd, devices->device[at]);
	if (devices->cdev[at] < 0)
		return devices->cdev[at];
	int error = call(stress, &stress->workers[0], devices->cdev[at], VFIO_DEVICE_BIND_IOMMUFD,
	                 &bind, sizeof(bind));
	devices->id[at] = bind.out_devid;
	return error;
}

/** An IOAS, a HWPT on it for one of the devices, which is attached if no worker before has
 *  attached it. */
static int worker_open(struct stress *stress, const struct stress_devices *devices, unsigned index)
{
	struct stress_worker *worker = &stress->workers[index];
	unsigned at = index % devices->count;
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct ufd_object_info info;

	int error = call(stress, worker, stress->fd, IOMMU_IOAS_ALLOC, &ioas, sizeof(ioas));
	if (error)
		return error;
	worker->ioas = ioas.out_ioas_id;
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt), .dev_id = devices->id[at], .pt_id = worker->ioas};
	error = call(stress, worker, stress->fd, IOMMU_HWPT_ALLOC, &hwpt, sizeof(hwpt));
	if (!error)
		error = ufd_object_get(&stress->machine->ufd, stress->fd, hwpt.out_hwpt_id, &info);
	if (error)
		return error;
	worker->hwpt = hwpt.out_hwpt_id;
	worker->domain = info.domain;
	if (index >= devices->count)
		return 0;
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach),
	                                               .pt_id = worker->hwpt};
	return call(stress, worker, devices->cdev[at], VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach,
	            sizeof(attach));
}

static const char *session_open(struct stress *stress, struct stress_devices *devices)
{
	stress->fd = ufd_open(&stress->machine->ufd);
	if (stress->fd < 0)
		return "/dev/iommu could not be opened";
	for (unsigned i = 0; i < stress->processors; i++)
		if (worker_buffers(stress, i))
			return "no memory for buffers";
	for (unsigned i = 0; i < devices->count; i++)
		if (device_open(stress, devices, i))
			return "a device could not be bound";
	assume(devices->count);
	for (unsigned i = 0; i < stress->processors; i++) {
		struct stress_worker *worker = &stress->workers[i];
		worker->base = BASE + (stress->one ? i * RANGE : 0);
		if (stress->one && i) {
			worker->ioas = stress->workers[0].ioas;
			worker->domain = stress->workers[0].domain;
		} else if (worker_open(stress, devices, i)) {
			return "an IOAS, its HWPT or an attach was refused";
		}
	}
	return NULL;
}

/** NULL, or what could not be closed. */
static const char *session_close(struct stress *stress, const struct stress_devices *devices)
{
	struct user_memory *memory = &stress->machine->memory;
	const char *why = NULL;

	for (unsigned i = 0; i < devices->count; i++)
		if (devices->cdev[i] >= 0 && ufd_close(&stress->machine->ufd, devices->cdev[i]))
			why = "a device could not be closed";
	if (stress->fd >= 0 && ufd_close(&stress->machine->ufd, stress->fd))
		why = "/dev/iommu could not be closed";
	for (unsigned i = 0; i < stress->processors; i++) {
		struct stress_worker *worker = &stress->workers[i];
		if ((worker->data && user_buffer_destroy(memory, worker->data)) ||
		    (worker->abi && user_buffer_destroy(memory, worker->abi)))
			why = "a buffer is pinned still";
		worker->data = worker->abi = NULL;
		worker->domain = NULL;
	}
	return why;
}

static const char *run(struct stress *stress, struct stress_devices *devices)
{
	struct iommu *core = &stress->machine->iommu;
	struct stress_usage before, after;
	uint64_t faults = core->fault_count;
	uint64_t maps = 0, unmaps = 0, refusals = 0, looks = 0;

	for (unsigned i = 0; i < devices->count; i++)
		devices->cdev[i] = -1;
	for (unsigned i = 0; i < stress->processors; i++)
		memset(&stress->workers[i], 0, sizeof(stress->workers[i]));
	stress_usage_get(&before);
	const char *why = session_open(stress, devices);
	if (!why)
		why = stress_run(stress, work);
	/* One that is lost may still use what it has. */
	if (why && stress->lost)
		return why;
	for (unsigned i = 0; i < stress->processors; i++) {
		const struct stress_worker *worker = &stress->workers[i];
		maps += worker->maps;
		unmaps += worker->unmaps;
		refusals += worker->refusals;
		looks += worker->looks;
		if (!why && user_buffer_pinned(&stress->machine->memory, worker->data))
			why = "memory is pinned that is not mapped";
	}
	const char *closing = session_close(stress, devices);
	stress_usage_get(&after);
	iommu_poll(core);
	if (!why)
		why = closing;
	if (!why)
		why = stress_usage_compare(&before, &after);
	if (!why && core->fault_count != faults)
		why = "a device has faulted";
	kprintf("# %u IOAS%s, %u devices: %llu maps, %llu unmaps, %llu refusals, %llu looks\n",
	        stress->one ? 1 : stress->processors, stress->one ? "" : "es", devices->count,
	        (unsigned long long)maps, (unsigned long long)unmaps, (unsigned long long)refusals,
	        (unsigned long long)looks);
	return why;
}

/* ---- devices -------------------------------------------------------------------------------- */

static void add_engines(struct stress_devices *devices, const struct dma_engine *engine)
{
	for (; engine && devices->count < MOST_DEVICES; engine = engine->next) {
		struct iommu_device *device = engine->pci->iommu;
		if (device && device->unit && device->unit->enabled)
			devices->device[devices->count++] = device;
	}
}

bool stress_has_unit(const struct stress *stress)
{
	struct stress_devices devices = {0};

	add_engines(&devices, stress->machine->engines);
	return devices.count;
}

const char *stress_map_mock(struct stress *stress, bool one)
{
	struct stress_devices devices = {0};

	add_engines(&devices, &stress->machine->mocks[0].engine);
	stress->one = one;
	return devices.count ? run(stress, &devices) : "the mock has no device";
}

const char *stress_map_unit(struct stress *stress, bool one)
{
	struct stress_devices devices = {0};

	add_engines(&devices, stress->machine->engines);
	stress->one = one;
	return run(stress, &devices);
}
