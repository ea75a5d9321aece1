/* SPDX-License-Identifier: MIT */
/*
 * What the sweeps share: one world of the call interface over one driver, the mock or VT-d
 * on the reference model, in which any one thing can be made to fail.
 *
 *   world    three devices, user memory, a descriptor of /dev/iommu. Both drivers have
 *            the same memory: an arena in which user memory is one block
 *   failure  every hook that may fail counts while the bench is armed, and the one with
 *            number fail_at does: memory, locks, interrupts, registers, pins, files, and
 *            copies from and to user memory
 *   death    from the dead_at-th command on no command and no invalidation of the unit
 *            ever completes; the wait for it takes no time
 *   refusal  the refuse_at-th descriptor is spoiled, and the unit stops with IQE
 *   silence  from the silent_at-th device-TLB invalidation on its device answers none (ITE)
 *
 * Memory of the bench is made once and used by every world in turn: there are thousands.
 */
#ifndef TESTS_UNIT_SWEEP_H
#define TESTS_UNIT_SWEEP_H

#include "tests/unit/sweep_device.h"

#include "tests/unit/ufd_test_user.h"

#include "vtd/unit.h"

/** What a driver can do beyond mapping. */
enum { CAN_NEST = 1, CAN_PASID = 2, CAN_DIRTY = 4, CAN_FAULT = 8, CAN_TEST = 16 };

struct sweep_driver {
	const char *name;
	const char *preset; /* NULL: the mock */
	enum iommu_mode mode;
	unsigned can; /* CAN_... */
	uint8_t pasid_bits, ats;
};

/** What of the hooks a failure was in. */
enum sweep_kind { SWEEP_NONE, SWEEP_MEMORY, SWEEP_PIN, SWEEP_FILE, SWEEP_IN, SWEEP_OUT };

struct sweep {
	const struct sweep_driver *driver;
	struct vm vm;       /* the hooks and the core; its unit idles under the mock */
	struct world world; /* user memory, descriptors, devices 0 and 1; not os and core */
	struct iommu_device *device2;
	int cdev2;
	bool armed;
	unsigned long met, fail_at;
	enum sweep_kind failed; /* what failed; NONE: nothing so far */
	unsigned long commands, dead_at;
	bool dead;
	bool closing;
	bool leaving; /* nobody looks any more: the model is not asked about each page */
	bool hurt;    /* hardware failed: what the log says may stay */
	struct sweep_device devices[SWEEP_DEVICES]; /* on the model */
	unsigned long asked, silent_at;             /* device-TLB invalidations */
	bool silent;                                /* a device is */
	long charged;                               /* pages, to the process */
	long stuck_pins, lost_pages, lost_ids;      /* as the log says */
	bool lost_tables;                           /* the log says so, without a number */
	char stage1_word[16];
};

static const struct sweep_driver sweep_drivers[] = {
	{"mock", NULL, IOMMU_MODE_AUTO, CAN_NEST | CAN_PASID | CAN_DIRTY | CAN_FAULT | CAN_TEST, 0,
         0},
	{"legacy", "qemu-10.0", IOMMU_MODE_LEGACY, 0, 0, 0},
	{"scalable", "qemu-10.0-scalable", IOMMU_MODE_SCALABLE, 0, 0, 0},
	{"first stage", "qemu-10.0-first", IOMMU_MODE_SCALABLE, 0, 0, 0},
	{"nesting", "nesting", IOMMU_MODE_SCALABLE, CAN_NEST | CAN_PASID, 20, 0},
	{"not snooped", "nesting-noncoherent", IOMMU_MODE_SCALABLE, CAN_NEST | CAN_PASID, 20, 0},
	{"registers only", "old", IOMMU_MODE_AUTO, 0, 0, 0},
	{"caching mode", "qemu-10.0-caching", IOMMU_MODE_LEGACY, 0, 0, 0},
	{"device TLBs", "nesting", IOMMU_MODE_SCALABLE, CAN_NEST | CAN_PASID | CAN_FAULT, 20, 8},
	{"device TLBs, legacy", "ice-lake-server", IOMMU_MODE_LEGACY, 0, 0, 8},
};

/* ---- hooks ------------------------------------------------------------------------ */

static inline struct sweep *sweep_of(void *os_ctx)
{
	struct vm *vm = container_of((struct test_os *)os_ctx, struct vm, test);

	return container_of(vm, struct sweep, vm);
}

static inline bool sweep_fails(struct sweep *sweep, enum sweep_kind kind)
{
	if (!sweep->armed || ++sweep->met != sweep->fail_at)
		return false;
	sweep->failed = kind;
	return true;
}

static inline int sweep_page_alloc(void *ctx, unsigned order, pa_t *out)
{
	if (sweep_fails(sweep_of(ctx), SWEEP_MEMORY))
		return -ENOMEM;
	return vm_page_alloc(ctx, order, out);
}

static inline void sweep_page_free(void *ctx, pa_t run, unsigned order)
{
	struct sweep *sweep = sweep_of(ctx);
	struct vm *vm = &sweep->vm;
	size_t at = (size_t)((run.value - VM_BASE) >> 12);

	/* The model looks through all that it could reach: at the end, for one page in 16. */
	if (!sweep->leaving && (!sweep->closing || at % 16 == 0)) {
		vm_page_free(ctx, run, order);
		return;
	}
	KTAP_CHECK(vm->used[at]);
	memset(&vm->used[at], false, (size_t)1 << order);
	vm->test.pages -= 1L << order;
}

static inline void *sweep_alloc(void *ctx, size_t bytes)
{
	struct test_os *test = ctx;
	void *object;

	if (sweep_fails(sweep_of(ctx), SWEEP_MEMORY))
		return NULL;
	object = calloc(1, bytes);
	test->objects += object != NULL;
	return object;
}

static inline int sweep_lock_init(void *ctx, struct iommu_lock *lock, const char *name)
{
	struct test_os *test = ctx;

	(void)name;
	if (sweep_fails(sweep_of(ctx), SWEEP_MEMORY))
		return -ENOMEM;
	lock->word[0] = (uintptr_t)test_malloc(1); /* a leak is seen */
	lock->word[1] = 0;
	test->locks++;
	return 0;
}

static inline void sweep_lock_destroy(void *ctx, struct iommu_lock *lock)
{
	struct test_os *test = ctx;

	KTAP_CHECK(!lock->word[1]);
	free((void *)lock->word[0]);
	lock->word[0] = 0;
	test->locks--;
}

static inline void sweep_lock(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	if (lock->word[1]++) {
		printf("Bail out! a lock is taken twice\n");
		exit(EXIT_FAILURE);
	}
}

static inline void sweep_unlock(void *ctx, struct iommu_lock *lock)
{
	(void)ctx;
	KTAP_EQUAL(lock->word[1], 1);
	lock->word[1] = 0;
}

static inline int sweep_msi_alloc(void *ctx, void (*handler)(void *arg), void *arg,
                                  struct iommu_msi *out)
{
	struct test_os *test = ctx;

	(void)handler;
	(void)arg;
	if (sweep_fails(sweep_of(ctx), SWEEP_MEMORY))
		return -ENOSPC;
	*out = (struct iommu_msi){0xfee00000, 0x41};
	test->objects++;
	return 0;
}

static inline void sweep_msi_free(void *ctx, const struct iommu_msi *msi)
{
	struct test_os *test = ctx;

	(void)msi;
	test->objects--;
}

static inline void sweep_relax(void *ctx)
{
	struct sweep *sweep = sweep_of(ctx);

	uint64_t ns = sweep->silent ? 100000000 : 1000; /* a device has a minute, and more */

	sweep->vm.test.now_ns += sweep->dead ? 100000000 : ns;
	model_tick(sweep->vm.unit, ns);
}

static inline void sweep_log(void *ctx, enum iommu_log_level level, const char *line)
{
	struct sweep *sweep = sweep_of(ctx);
	const char *found;
	unsigned long long number;

	if (sweep->vm.test.verbose)
		printf("# %s\n", line);
	if (level > IOMMU_LOG_WARNING)
		return;
	found = strstr(line, ": stays pinned for good");
	if (found && sscanf(line, "ufd: user memory %*x, %llx bytes", &number) == 1)
		sweep->stuck_pins += (long)(number / PAGE);
	if (sscanf(line, "ufd: lent memory %*x, %llx bytes: stays out of use", &number) == 1)
		sweep->lost_pages += (long)(number / PAGE);
	found = strstr(line, " table pages ");
	if (found) {
		while (found > line && found[-1] != ' ')
			found--;
		if (sscanf(found, "%llu table pages", &number) == 1)
			sweep->lost_pages += (long)number;
	}
	sweep->lost_tables |= strstr(line, "PASID tables stay out of use") ||
	                      strstr(line, "its tables are not freed") ||
	                      strstr(line, "the queue's memory is not freed");
	sweep->lost_ids += strstr(line, "domain id") && strstr(line, "stays out of use");
}

/* ---- registers ---------------------------------------------------------------------- */

static inline void sweep_mmio_write(void *ctx, uint32_t offset, unsigned width, uint64_t value)
{
	struct vm *vm = ctx;
	struct sweep *sweep = container_of(vm, struct sweep, vm);
	static const struct model_latency never = {MODEL_NEVER, MODEL_NEVER, MODEL_NEVER,
	                                           MODEL_NEVER, MODEL_NEVER};
	uint32_t iotlb = (uint32_t)(vm->config.ecap >> 8 & 0x3ff) * 16 + 8;
	bool command = offset == 0x18 || offset == 0x88 || offset == 0x28 || offset == iotlb;

	if (sweep->armed && command && ++sweep->commands == sweep->dead_at) {
		sweep->dead = true;
		/* the driver can take nothing out of the caches any more */
		vm->expected = UINT64_C(1) << MODEL_REPORT_STALE | UINT64_C(1)
		                                                           << MODEL_REPORT_REGISTER;
		model_latency_set(vm->unit, &never);
	}
	vm_mmio_write(ctx, offset, width, value);
}

static inline int sweep_mmio_map(void *ctx, pa_t base, uint64_t bytes, struct mmio *out)
{
	static const struct mmio_ops ops = {vm_mmio_read, sweep_mmio_write};
	struct sweep *sweep = sweep_of(ctx);

	if (sweep_fails(sweep, SWEEP_MEMORY))
		return -ENOMEM;
	int error = vm_mmio_map(ctx, base, bytes, out);
	if (!error)
		out->ops = &ops;
	sweep->vm.test.objects += !error;
	return error;
}

static inline void sweep_mmio_unmap(void *ctx, struct mmio *window)
{
	struct test_os *test = ctx;

	(void)window;
	test->objects--;
}

static inline enum model_device_answer sweep_device_invalidate(
	void *ctx, const struct model_device_invalidation *which)
{
	struct sweep *sweep = container_of((struct vm *)ctx, struct sweep, vm);
	unsigned n = 0;

	while (n < SWEEP_DEVICES && sweep->devices[n].tlb.requester != which->requester)
		n++;
	KTAP_CHECK(n < SWEEP_DEVICES);
	if (n == SWEEP_DEVICES)
		return MODEL_DEVICE_DONE;
	if (sweep->armed && ++sweep->asked == sweep->silent_at)
		sweep->silent = sweep->devices[n].silent = true;
	return sweep_device_forget(&sweep->devices[n], which);
}

/* ---- user memory -------------------------------------------------------------------- */

static inline int sweep_copy_in(void *ctx, void *kernel, uint64_t user, size_t bytes)
{
	struct sweep *sweep = ctx;

	if (sweep_fails(sweep, SWEEP_IN))
		return -EFAULT;
	return test_user_copy_in(&sweep->world.user, kernel, user, bytes);
}

static inline int sweep_copy_out(void *ctx, uint64_t user, const void *kernel, size_t bytes)
{
	struct sweep *sweep = ctx;

	if (sweep_fails(sweep, SWEEP_OUT))
		return -EFAULT;
	return test_user_copy_out(&sweep->world.user, user, kernel, bytes);
}

static inline int sweep_pin(void *ctx, uint64_t user, uint64_t bytes, bool writable,
                            struct iommu_extent *extents, size_t capacity, size_t *count,
                            uint64_t *pinned)
{
	struct sweep *sweep = ctx;

	*count = 0;
	*pinned = 0;
	if (sweep_fails(sweep, SWEEP_PIN))
		return -ENOMEM;
	int error = test_user_pin(&sweep->world.user, user, bytes, writable, extents, capacity,
	                          count, pinned);
	for (size_t i = 0; i < *count; i++)
		extents[i].start.value -= sweep->vm.test.os.direct_map;
	return error;
}

static inline void sweep_unpin(void *ctx, uint64_t user, const struct iommu_extent *extents,
                               size_t count, bool dirty)
{
	struct sweep *sweep = ctx;

	for (size_t i = 0; i < count; i++) {
		struct iommu_extent one = extents[i];
		one.start.value += sweep->vm.test.os.direct_map;
		test_user_unpin(&sweep->world.user, user, &one, 1, dirty);
		user += one.bytes;
	}
}

static inline int sweep_file_map(void *ctx, int fd, uint64_t start, uint64_t bytes, bool writable,
                                 uint64_t *user)
{
	struct sweep *sweep = ctx;

	if (sweep_fails(sweep, SWEEP_FILE))
		return -ENOMEM;
	return test_user_file_map(&sweep->world.user, fd, start, bytes, writable, user);
}

static inline void sweep_file_unmap(void *ctx, uint64_t user, uint64_t bytes)
{
	struct sweep *sweep = ctx;

	test_user_file_unmap(&sweep->world.user, user, bytes);
}

static inline int sweep_change_process(void *ctx)
{
	return sweep_fails(ctx, SWEEP_MEMORY) ? -ENOMEM : 0;
}

/** User addresses of this world name its process's memory, and are kept: counted. */
static inline int sweep_user_keep(void *ctx, uint64_t user, uint64_t bytes, uint64_t *kept)
{
	struct sweep *sweep = ctx;

	(void)bytes;
	if (sweep_fails(sweep, SWEEP_MEMORY))
		return -ENOMEM;
	sweep->world.user.files_mapped++;
	*kept = user;
	return 0;
}

static inline void sweep_user_drop(void *ctx, uint64_t kept)
{
	struct sweep *sweep = ctx;

	(void)kept;
	sweep->world.user.files_mapped--;
}

/** Pages are charged before they are pinned, and given back however that ends. */
static inline int sweep_account(void *ctx, uint64_t user, int64_t pages, bool by_process)
{
	struct sweep *sweep = ctx;

	(void)user;
	(void)by_process;
	if (pages > 0 && sweep_fails(sweep, SWEEP_MEMORY))
		return -ENOMEM;
	sweep->charged += pages;
	KTAP_CHECK(sweep->charged >= 0);
	return 0;
}

static inline int sweep_pins(void *ctx, uint64_t user, uint32_t *out)
{
	struct sweep *sweep = ctx;

	if (sweep_fails(sweep, SWEEP_IN))
		return -EFAULT;
	return test_user_pins(&sweep->world.user, user, out);
}

static const struct ufd_memory_ops sweep_memory_ops = {
	.copy_in = sweep_copy_in,
	.copy_out = sweep_copy_out,
	.pin = sweep_pin,
	.unpin = sweep_unpin,
	.file_map = sweep_file_map,
	.file_unmap = sweep_file_unmap,
	.user_keep = sweep_user_keep,
	.user_drop = sweep_user_drop,
	.account = sweep_account,
	.change_process = sweep_change_process,
	.pins = sweep_pins,
};

/* ---- beginning ---------------------------------------------------------------------- */

enum {
	SWEEP_USER_ORDER = 11,  /* USER_BYTES, and the page of the calls' structures */
	SWEEP_UNIT_PAGES = 160, /* the tables of a unit and three devices are no more */
};

/** Memory that all worlds use in turn. */
static struct {
	uint8_t *arena, *cleaned;
	void *unit;
	size_t unit_bytes;
} sweep_memory;

static inline void sweep_memory_free(void)
{
	free(sweep_memory.arena);
	free(sweep_memory.cleaned);
	free(sweep_memory.unit);
	memset(&sweep_memory, 0, sizeof(sweep_memory));
}

/** Hooks, model and user memory; nothing of the project has run yet. */
static inline void sweep_prepare(struct sweep *sweep, const struct sweep_driver *driver)
{
	const struct model_config *config =
		model_preset_find(driver->preset ? driver->preset : "qemu-10.0");
	struct vm *vm = &sweep->vm;
	const struct model_hooks hooks = {.context = vm,
	                                  .memory = {vm_read, vm_write, vm_swap},
	                                  .event = vm_event,
	                                  .device_invalidate = sweep_device_invalidate};
	size_t bytes = model_unit_bytes(config), arena = (size_t)VM_PAGES << 12;

	memset(sweep, 0, sizeof(*sweep));
	sweep->driver = driver;
	if (!sweep_memory.arena) {
		sweep_memory.arena = aligned_alloc(PAGE_SIZE_2M, arena);
		sweep_memory.cleaned = aligned_alloc(PAGE_SIZE_2M, arena);
		if (!sweep_memory.arena || !sweep_memory.cleaned) {
			printf("Bail out! no memory for a test\n");
			exit(EXIT_FAILURE);
		}
		memset(sweep_memory.arena, 0, arena);
		memset(sweep_memory.cleaned, 0, arena);
	}
	if (bytes > sweep_memory.unit_bytes) {
		free(sweep_memory.unit);
		sweep_memory.unit = test_malloc(bytes);
		sweep_memory.unit_bytes = bytes;
	}
	vm->config = *config;
	vm->arena = sweep_memory.arena;
	vm->cleaned = sweep_memory.cleaned;
	vm->unit = model_unit_init(sweep_memory.unit, sweep_memory.unit_bytes, config, &hooks);
	KTAP_CHECK(vm->unit != NULL);
	for (unsigned n = 0; n < SWEEP_DEVICES; n++)
		sweep_device_init(&sweep->devices[n], vm->unit, RID(0, 4 + n, 0));
	memset(vm->used, true, (size_t)1 << SWEEP_USER_ORDER);
	sweep->world.user.block = vm->arena;

	test_os_init(&vm->test);
	vm->test.os.direct_map = (uintptr_t)vm->arena - VM_BASE;
	vm->test.os.page_alloc = sweep_page_alloc;
	vm->test.os.page_free = sweep_page_free;
	vm->test.os.alloc = sweep_alloc;
	vm->test.os.lock_init = sweep_lock_init;
	vm->test.os.lock_destroy = sweep_lock_destroy;
	vm->test.os.lock = sweep_lock;
	vm->test.os.unlock = sweep_unlock;
	vm->test.os.clean = vm_clean;
	vm->test.os.relax = sweep_relax;
	vm->test.os.mmio_map = sweep_mmio_map;
	vm->test.os.mmio_unmap = sweep_mmio_unmap;
	vm->test.os.msi_alloc = sweep_msi_alloc;
	vm->test.os.msi_free = sweep_msi_free;
	vm->test.os.log = sweep_log;
	vm->test.verbose = getenv("SWEEP_VERBOSE") != NULL;
	vm->options.mode = driver->mode;
}

/** Device @p n of the bus: 00:04.0 and on. */
static inline int sweep_device_add(struct sweep *sweep, unsigned n, struct iommu_device **out)
{
	struct vm *vm = &sweep->vm;
	unsigned number = 4 + n;
	struct iommu_device_desc desc = {
		.rid = RID(0, number, 0),
		.hop_count = 1,
		.hops = {{0, (uint8_t)(number << 3)}},
		.group = number,
		.pasid_bits = sweep->driver->pasid_bits,
		.ats_queue_depth = sweep->driver->ats,
		.page_requests = sweep->driver->ats != 0,
		.capabilities_set = sweep_device_set,
		.capabilities_ctx = &sweep->devices[n],
	};

	if (!sweep->driver->preset)
		return ufd_mock_device_add(&vm->iommu, desc.rid, out);
	snprintf(desc.name, sizeof(desc.name), "00:%02x.0", number);
	return iommu_device_add(&vm->iommu, &desc, out);
}

/** Bring everything up: 0 or an error, and then nothing is left. */
static inline int sweep_up(struct sweep *sweep)
{
	struct vm *vm = &sweep->vm;
	struct world *world = &sweep->world;
	struct blob blob;
	int error;

	blob_start(&blob, vm->config.haw, 0);
	add_drhd(&blob, VTD_DRHD_INCLUDE_PCI_ALL, 0, VM_UNIT);
	blob_finish(&blob);
	const struct iommu_firmware firmware = {.table = blob.bytes, .bytes = blob.length};

	error = iommu_init(&vm->iommu, &vm->test.os, &vm->options);
	if (error)
		return error;
	if (sweep->driver->preset)
		error = iommu_probe(&vm->iommu, &vtd_driver, &firmware);
	else
		error = iommu_probe(&vm->iommu, &ufd_mock_driver, NULL);
	error = error == 1 ? 0 : error < 0 ? error : -ENODEV;
	for (unsigned i = 0; i < 3 && !error; i++)
		error = sweep_device_add(sweep, i, i < 2 ? &world->device[i] : &sweep->device2);
	if (!error)
		error = iommu_enable(&vm->iommu);
	if (!error)
		error = ufd_init(&world->ufd, &vm->iommu, &sweep_memory_ops, sweep);
	if (error)
		iommu_exit(&vm->iommu);
	return error;
}

/** Close everything: what is left is what the log says. */
static inline void sweep_down(struct sweep *sweep)
{
	struct vm *vm = &sweep->vm;

	sweep->armed = false;
	sweep->closing = true;
	ufd_exit(&sweep->world.ufd);
	iommu_exit(&vm->iommu);
	KTAP_EQUAL(vm->test.objects, 0);
	KTAP_EQUAL(vm->test.locks, 0);
	long kept = vm->test.pages - sweep->lost_pages;
	if (sweep->lost_tables) /* the unit's own: root, queue, contexts, PASIDs */
		KTAP_CHECK(kept >= 1 && kept <= SWEEP_UNIT_PAGES);
	else
		KTAP_EQUAL(kept, 0);
	KTAP_EQUAL(sweep->world.user.pinned, sweep->stuck_pins);
	if (!sweep->stuck_pins) {
		KTAP_EQUAL(sweep->world.user.files_mapped, 0);
		KTAP_EQUAL(sweep->charged, 0);
	}
	KTAP_CHECK(!sweep->world.user.bad);
	if (!sweep->hurt)
		KTAP_EQUAL(sweep->stuck_pins + sweep->lost_pages + sweep->lost_ids, 0);
}

#endif
