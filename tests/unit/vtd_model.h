/* SPDX-License-Identifier: MIT */
/*
 * The driver on the reference model: one unit of a preset's shape, an arena of memory in two
 * views (the processor's, and what was cleaned), devices, and DMA. The driver's registers
 * are the model's; a table page that the driver gives back is filled with garbage and shown
 * to the model, which reports it if it can still be reached. Every report of the model's
 * sanitizer fails the test, but for those that the test says it expects.
 *
 * Physical memory starts at VM_BASE, low enough for every preset.
 */
#ifndef TESTS_UNIT_VTD_MODEL_H
#define TESTS_UNIT_VTD_MODEL_H

#include "iommu/iommu.h"
#include "model/model.h"
#include "tests/unit/dmar_blob.h"
#include "vtd/vtd.h"

#define VM_BASE  UINT64_C(0x1000000)
#define VM_UNIT  UINT64_C(0xfed90000)
#define VM_PAGES 4096u /* of the arena */

enum { VM_RW = IOMMU_READ | IOMMU_WRITE, VM_NO_PASID = -1, VM_FAILED = -1 };

struct vm {
	struct test_os test;
	struct iommu iommu;
	struct iommu_options options;
	struct model_config config;
	struct model_unit *unit;
	uint8_t *arena, *cleaned;
	bool used[VM_PAGES];
	unsigned refuse_in;       /* the n-th descriptor from now gets a reserved bit; 0: none */
	bool queue_dead;          /* the tail register is not heard */
	uint64_t expected;        /* kinds of reports that are no failure now: 1 << kind */
	unsigned reports;         /* of all kinds */
	struct iommu_fault fault; /* the last */
	unsigned faults;
	uint64_t guest; /* next free guest page, for vm_guest_page() */
};

static inline void *vm_cpu(struct vm *vm, uint64_t address)
{
	return vm->arena + (address - VM_BASE);
}

static inline bool vm_backed(uint64_t address, size_t bytes)
{
	return address >= VM_BASE && address - VM_BASE + bytes <= (uint64_t)VM_PAGES << 12;
}

/* ---- memory of the core ----------------------------------------------------------- */

static inline bool vm_alloc_fails(struct vm *vm)
{
	vm->test.allocations++;
	return vm->test.fail_at && vm->test.allocations == vm->test.fail_at;
}

/** A free run of the arena, zero in the processor's view and garbage in the other. */
static inline uint64_t vm_run(struct vm *vm, unsigned order)
{
	unsigned pages = 1u << order;

	for (unsigned at = 0; at + pages <= VM_PAGES; at += pages) {
		unsigned n = 0;
		while (n < pages && !vm->used[at + n])
			n++;
		if (n < pages)
			continue;
		memset(&vm->used[at], true, pages);
		memset(vm->arena + ((size_t)at << 12), 0, (size_t)pages << 12);
		memset(vm->cleaned + ((size_t)at << 12), 0x5b, (size_t)pages << 12);
		return VM_BASE + ((uint64_t)at << 12);
	}
	KTAP_FAIL("the arena is full");
	return VM_BASE;
}

static inline int vm_page_alloc(void *ctx, unsigned order, pa_t *out)
{
	struct vm *vm = container_of((struct test_os *)ctx, struct vm, test);

	if (vm_alloc_fails(vm))
		return -ENOMEM;
	*out = pa(vm_run(vm, order));
	vm->test.pages += 1L << order;
	return 0;
}

static inline void vm_page_free(void *ctx, pa_t run, unsigned order)
{
	struct vm *vm = container_of((struct test_os *)ctx, struct vm, test);
	size_t at = (size_t)((run.value - VM_BASE) >> 12), bytes = (size_t)PAGE_SIZE_4K << order;

	if (!vm->used[at])
		KTAP_FAIL("a page is freed twice");
	/* Without TE nothing is used, and what is cached goes before TE comes back. */
	if (model_read(vm->unit, 0x1c, 4) >> 31)
		model_table_freed(vm->unit, run.value, bytes);
	memset(&vm->used[at], false, (size_t)1 << order);
	memset(vm->arena + (at << 12), 0xdb, bytes);
	memset(vm->cleaned + (at << 12), 0xdb, bytes);
	vm->test.pages -= 1L << order;
}

static inline void vm_clean(void *ctx, const void *start, size_t bytes)
{
	struct vm *vm = container_of((struct test_os *)ctx, struct vm, test);
	size_t first = (size_t)((const uint8_t *)start - vm->arena) & ~(size_t)63;
	size_t end = ((size_t)((const uint8_t *)start - vm->arena) + bytes + 63) & ~(size_t)63;

	memcpy(vm->cleaned + first, vm->arena + first, end - first);
}

static inline void vm_relax(void *ctx)
{
	struct vm *vm = container_of((struct test_os *)ctx, struct vm, test);

	vm->test.now_ns += vm->queue_dead ? 100000000 : 1000;
	model_tick(vm->unit, 1000);
}

/* ---- the model's hooks ------------------------------------------------------------ */

static inline bool vm_read(void *ctx, uint64_t address, void *out, size_t bytes, bool snooped)
{
	struct vm *vm = ctx;

	if (!vm_backed(address, bytes))
		return false;
	memcpy(out, (snooped ? vm->arena : vm->cleaned) + (address - VM_BASE), bytes);
	return true;
}

static inline bool vm_write(void *ctx, uint64_t address, const void *in, size_t bytes, bool snooped)
{
	struct vm *vm = ctx;

	(void)snooped;
	if (!vm_backed(address, bytes))
		return false;
	memcpy(vm->arena + (address - VM_BASE), in, bytes);
	memcpy(vm->cleaned + (address - VM_BASE), in, bytes);
	return true;
}

static inline enum model_swap vm_swap(void *ctx, uint64_t address, uint64_t expected,
                                      uint64_t desired)
{
	struct vm *vm = ctx;
	uint64_t now;

	if (!vm_backed(address, 8))
		return MODEL_SWAP_FAILED;
	memcpy(&now, vm_cpu(vm, address), 8);
	if (now != expected)
		return MODEL_SWAP_CHANGED;
	vm_write(ctx, address, &desired, 8, true);
	return MODEL_SWAP_DONE;
}

static inline void vm_event(void *ctx, const struct model_event *event)
{
	struct vm *vm = ctx;

	if (event->kind != MODEL_EVENT_REPORT)
		return;
	vm->reports++;
	if (vm->expected >> event->report->kind & 1)
		return;
	printf("# %s: %s\n", model_report_name(event->report->kind), event->report->text);
	KTAP_FAIL("the model reports a mistake");
}

/* ---- registers -------------------------------------------------------------------- */

static inline uint64_t vm_mmio_read(void *ctx, uint32_t offset, unsigned width)
{
	return model_read(((struct vm *)ctx)->unit, offset, width);
}

/** Spoil the refuse_in-th of the descriptors up to a new tail. */
static inline void vm_refuse(struct vm *vm, uint64_t tail)
{
	uint64_t iqa = model_read(vm->unit, 0x90, 8), at = model_read(vm->unit, 0x88, 8);
	unsigned slot = iqa & 1 << 11 ? 32 : 16;
	uint64_t bytes = UINT64_C(4096) << (iqa & 7);

	for (; at != tail && vm->refuse_in; at = (at + slot) % bytes) {
		uint64_t *word = vm_cpu(vm, (iqa & ~UINT64_C(0xfff)) + at);
		if ((word[0] & 15) == 5) /* waits are left alone */
			continue;
		if (--vm->refuse_in == 0)
			word[0] |= UINT64_C(1) << 8; /* reserved in every type but 8 */
	}
}

static inline void vm_mmio_write(void *ctx, uint32_t offset, unsigned width, uint64_t value)
{
	struct vm *vm = ctx;

	if (offset == 0x88 && vm->queue_dead)
		return;
	if (offset == 0x88 && vm->refuse_in)
		vm_refuse(vm, value);
	model_write(vm->unit, offset, width, value);
}

static inline int vm_mmio_map(void *ctx, pa_t base, uint64_t bytes, struct mmio *out)
{
	static const struct mmio_ops ops = {vm_mmio_read, vm_mmio_write};
	struct vm *vm = container_of((struct test_os *)ctx, struct vm, test);

	if (base.value != VM_UNIT || bytes > model_register_bytes(vm->unit))
		return -ENODEV;
	*out = (struct mmio){.bytes = bytes, .ops = &ops, .ctx = vm};
	return 0;
}

static inline void vm_on_fault(void *ctx, const struct iommu_fault *fault)
{
	struct vm *vm = ctx;

	vm->faults++;
	vm->fault = *fault;
}

/* ---- beginning and end ------------------------------------------------------------ */

static inline void vm_prepare_hooks(struct vm *vm, const struct model_config *config,
                                    enum iommu_mode mode, const struct model_hooks *hooks)
{
	memset(vm, 0, sizeof(*vm));
	vm->config = *config;
	size_t bytes = model_unit_bytes(config);
	vm->arena = aligned_alloc(PAGE_SIZE_4K, (size_t)VM_PAGES << 12);
	vm->cleaned = aligned_alloc(PAGE_SIZE_4K, (size_t)VM_PAGES << 12);
	if (!vm->arena || !vm->cleaned) {
		printf("Bail out! no memory for a test\n");
		exit(EXIT_FAILURE);
	}
	vm->unit = model_unit_init(test_malloc(bytes), bytes, config, hooks);
	if (!vm->unit) {
		printf("Bail out! no unit: %s\n", model_config_check(config));
		exit(EXIT_FAILURE);
	}
	test_os_init(&vm->test);
	vm->test.os.direct_map = (uintptr_t)vm->arena - VM_BASE;
	vm->test.os.page_alloc = vm_page_alloc;
	vm->test.os.page_free = vm_page_free;
	vm->test.os.clean = vm_clean;
	vm->test.os.relax = vm_relax;
	vm->test.os.mmio_map = vm_mmio_map;
	vm->options.mode = mode;
	vm->options.on_fault = vm_on_fault;
	vm->options.ctx = vm;
	vm->guest = UINT64_C(0x10000);

	struct blob blob;
	blob_start(&blob, config->haw, 0);
	add_drhd(&blob, VTD_DRHD_INCLUDE_PCI_ALL, 0, VM_UNIT);
	blob_finish(&blob);
	const struct iommu_firmware firmware = {.table = blob.bytes, .bytes = blob.length};
	KTAP_EQUAL(iommu_init(&vm->iommu, &vm->test.os, &vm->options), 0);
	KTAP_EQUAL(iommu_probe(&vm->iommu, &vtd_driver, &firmware), 1);
}

static inline void vm_prepare(struct vm *vm, const struct model_config *config,
                              enum iommu_mode mode)
{
	const struct model_hooks hooks = {
		.context = vm, .memory = {vm_read, vm_write, vm_swap}, .event = vm_event};

	vm_prepare_hooks(vm, config, mode, &hooks);
}

static inline void vm_start(struct vm *vm, const char *preset, enum iommu_mode mode)
{
	vm_prepare(vm, model_preset_find(preset), mode);
	KTAP_EQUAL(iommu_enable(&vm->iommu), 0);
}

/** A device on bus 0, alone in its group. */
static inline struct iommu_device *vm_device(struct vm *vm, unsigned number, unsigned pasid_bits)
{
	struct iommu_device *device = NULL;
	struct iommu_device_desc desc = {
		.rid = RID(0, number, 0),
		.hop_count = 1,
		.hops = {{0, (uint8_t)(number << 3)}},
		.group = number,
		.pasid_bits = (uint8_t)pasid_bits,
	};

	snprintf(desc.name, sizeof(desc.name), "00:%02x.0", number);
	KTAP_EQUAL(iommu_device_add(&vm->iommu, &desc, &device), 0);
	return device;
}

static inline void vm_end(struct vm *vm)
{
	model_sanitizer_check(vm->unit);
	iommu_exit(&vm->iommu);
	KTAP_CHECK(test_os_is_clean(&vm->test));
	free(vm->unit);
	free(vm->arena);
	free(vm->cleaned);
}

/* ---- DMA -------------------------------------------------------------------------- */

/** Where an access ends up: the address, or VM_FAILED with the reason in *fault. */
static inline int64_t vm_access(struct vm *vm, const struct iommu_device *device, int pasid,
                                enum model_access access, uint64_t address, uint8_t *fault)
{
	const struct model_request request = {
		.access = access,
		.requester = device->desc.rid,
		.has_pasid = pasid != VM_NO_PASID,
		.pasid = pasid == VM_NO_PASID ? 0 : (uint32_t)pasid,
		.address = address,
		.bytes = 8,
	};
	struct model_result result;
	bool passed = model_dma(vm->unit, &request, &result);

	model_sanitizer_check(vm->unit);
	*fault = result.fault;
	return passed ? (int64_t)result.address : VM_FAILED;
}

/** Where a write ends up, or VM_FAILED - reason. */
static inline int64_t vm_dma(struct vm *vm, const struct iommu_device *device, int pasid,
                             uint64_t address)
{
	uint8_t fault;
	int64_t at = vm_access(vm, device, pasid, MODEL_WRITE, address, &fault);

	return at == VM_FAILED ? VM_FAILED - fault : at;
}

/* ---- domains ---------------------------------------------------------------------- */

static inline struct iommu_domain *vm_domain(struct iommu_device *device, uint32_t flags)
{
	struct iommu_domain *domain = NULL;

	KTAP_EQUAL(iommu_domain_alloc_user(device, flags, NULL, NULL, &domain), 0);
	return domain;
}

static inline void vm_map(struct iommu_domain *domain, uint64_t at, uint64_t to, uint64_t bytes)
{
	struct iommu_extent extent = {pa(to), bytes};
	struct iommu_gather gather;

	iommu_gather_init(&gather, domain);
	KTAP_EQUAL(iommu_map(domain, iova(at), &extent, 1, VM_RW, &gather), 0);
	KTAP_EQUAL(iommu_flush(&gather), 0);
}

static inline int vm_unmap(struct iommu_domain *domain, uint64_t at, uint64_t bytes)
{
	struct iommu_gather gather;

	iommu_gather_init(&gather, domain);
	KTAP_EQUAL(iommu_unmap(domain, iova(at), bytes, &gather), bytes);
	return iommu_flush(&gather);
}

/* ---- a guest and its stage-1 table -------------------------------------------------- */

/** A page of guest memory: the address in @p parent, which maps it to a page of the arena
 *  somewhere else. */
static inline uint64_t vm_guest_page(struct vm *vm, struct iommu_domain *parent)
{
	uint64_t at = vm->guest;

	vm->guest += PAGE_SIZE_4K;
	uint64_t host = vm_run(vm, 0);
	vm_clean(&vm->test, vm_cpu(vm, host), PAGE_SIZE_4K);
	vm_map(parent, at, host, PAGE_SIZE_4K);
	return at;
}

/** The host's address of guest address @p at. */
static inline uint64_t vm_host(struct iommu_domain *parent, uint64_t at)
{
	struct iommu_leaf leaf = {.bytes = 1};

	KTAP_CHECK(parent->ops->lookup(parent, iova(at), &leaf));
	return leaf.pa.value + at % leaf.bytes;
}

static inline uint64_t vm_get(struct vm *vm, struct iommu_domain *parent, uint64_t at)
{
	uint64_t value;

	memcpy(&value, vm_cpu(vm, vm_host(parent, at)), 8);
	return value;
}

/** A guest writes a qword of its own, and cleans the line. */
static inline void vm_put(struct vm *vm, struct iommu_domain *parent, uint64_t at, uint64_t value)
{
	uint64_t *to = vm_cpu(vm, vm_host(parent, at));

	*to = value;
	vm_clean(&vm->test, to, 8);
}

/** Write the entry of level @p level for @p at into the table with top @p table, making
 *  tables on the way. Returns the guest address of the entry. */
static inline uint64_t vm_stage1(struct vm *vm, struct iommu_domain *parent, uint64_t table,
                                 unsigned levels, uint64_t at, unsigned level, uint64_t value)
{
	for (unsigned n = levels;; n--) {
		uint64_t entry = table + (at >> (9 * n + 3) & 511) * 8;
		if (n == level) {
			vm_put(vm, parent, entry, value);
			return entry;
		}
		if (!(vm_get(vm, parent, entry) & 1))
			vm_put(vm, parent, entry, vm_guest_page(vm, parent) | 7);
		table = vm_get(vm, parent, entry) & ~UINT64_C(0xfff);
	}
}

/** struct iommu_hwpt_vtd_s1 and its invalidation, as a user writes them. */
struct vm_s1 {
	uint64_t flags, pgtbl_addr;
	uint32_t addr_width, reserved;
};
struct vm_s1_invalidate {
	uint64_t addr, npages;
	uint32_t flags, reserved;
};

static inline int vm_nested(struct iommu_device *device, struct iommu_domain *parent,
                            struct vm_s1 s1, struct iommu_domain **out)
{
	const struct iommu_user_data data = {.type = 1, .bytes = sizeof(s1), .start = &s1};

	return iommu_domain_alloc_user(device, 0, parent, &data, out);
}

static inline int vm_copy(void *ctx, uint64_t offset, void *out, size_t bytes)
{
	memcpy(out, (const uint8_t *)ctx + offset, bytes);
	return 0;
}

/** Invalidate by @p count entries; how many were done goes to @p done. */
static inline int vm_invalidate(struct iommu_domain *domain, struct vm_s1_invalidate *entries,
                                uint32_t count, uint32_t *done)
{
	struct iommu_user_array array = {
		.entry_bytes = sizeof(*entries), .count = count, .copy = vm_copy, .ctx = entries};
	int err = iommu_domain_invalidate_user(domain, &array);

	*done = array.done;
	return err;
}

static inline const struct model_statistics *vm_statistics(const struct vm *vm)
{
	return model_unit_statistics(vm->unit);
}

#endif
