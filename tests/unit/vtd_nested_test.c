/* SPDX-License-Identifier: MIT */
/*
 * Nested domains on the reference model: what is refused, translation through both stages,
 * stale translations and the user's invalidations, changes of the parent, the walk that is
 * shown, and failures that leave everything as it was.
 */
#include "tests/unit/vtd_model.h"

enum { LEAF = 1 };
#define IOVA  UINT64_C(0x7000001000)
#define GUEST UINT64_C(0x40000000) /* what stage 1 makes of it */
#define HOST  UINT64_C(0x30000000) /* what the parent makes of that */

static const char *const presets[] = {"nesting", "nesting-noncoherent"};

/** A unit with one device, a parent, and an empty stage-1 table with a nested domain. */
struct bench {
	struct vm vm;
	struct iommu_device *device;
	struct iommu_domain *parent, *nested;
	uint64_t table;
};
static struct bench b;

static void bench_start(const char *preset, unsigned width)
{
	vm_start(&b.vm, preset, IOMMU_MODE_SCALABLE);
	b.device = vm_device(&b.vm, 3, 20);
	b.parent = vm_domain(b.device, IOMMU_ALLOC_NEST_PARENT);
	b.table = vm_guest_page(&b.vm, b.parent);
	KTAP_EQUAL(vm_nested(b.device, b.parent, (struct vm_s1){0, b.table, width, 0}, &b.nested),
	           0);
	KTAP_EQUAL(b.nested->stage, IOMMU_STAGE_NESTED);
}

static void bench_end(void)
{
	iommu_detach(b.device->group);
	while (b.device->pasids)
		iommu_detach_pasid(b.device, b.device->pasids->pasid);
	KTAP_EQUAL(iommu_domain_free(b.parent), -EBUSY);
	KTAP_EQUAL(iommu_domain_free(b.nested), 0);
	KTAP_EQUAL(iommu_domain_free(b.parent), 0);
	vm_end(&b.vm);
}

static int64_t dma(uint64_t address)
{
	return vm_dma(&b.vm, b.device, VM_NO_PASID, address);
}

static uint64_t stage1(uint64_t at, unsigned level, uint64_t value)
{
	return vm_stage1(&b.vm, b.parent, b.table, 4, at, level, value);
}

static int invalidate(uint64_t addr, uint64_t npages, uint32_t flags)
{
	struct vm_s1_invalidate entry = {addr, npages, flags, 0};
	uint32_t done;
	int err = vm_invalidate(b.nested, &entry, 1, &done);

	KTAP_EQUAL(done, err ? 0 : 1);
	return err;
}

/* ---- what is refused ------------------------------------------------------------------ */

static void refusals(void)
{
	static const struct {
		uint64_t cap_off, ecap_off; /* capabilities taken away */
		struct vm_s1 s1;
		int err;
	} rows[] = {
		{0, 0, {0, 0x1000, 48, 0}, 0},
		{0, 0, {0, 0x1000, 57, 0}, 0},
		{0, 0, {7, 0x1000, 48, 0}, 0},
		{0, 0, {4, 0x1000, 48, 0}, 0},
		{0, 0, {8, 0x1000, 48, 0}, -EOPNOTSUPP},
		{0, 0, {UINT64_C(1) << 63, 0x1000, 48, 0}, -EOPNOTSUPP},
		{0, 0, {0, 0x1000, 48, 1}, -EOPNOTSUPP},
		{0, 0, {0, 0x1000, 39, 0}, -EINVAL},
		{0, 0, {0, 0x1000, 0, 0}, -EINVAL},
		{0, 0, {0, 0x1008, 48, 0}, -EINVAL},
		{0, 0, {0, UINT64_C(1) << 57, 48, 0}, -EINVAL},
		{UINT64_C(1) << 60, 0, {0, 0x1000, 57, 0}, -EINVAL}, /* FS5LP */
		{0, UINT64_C(1) << 31, {1, 0x1000, 48, 0}, -EINVAL}, /* SRS */
		{0, UINT64_C(1) << 34, {2, 0x1000, 48, 0}, -EINVAL}, /* EAFS */
		{0, UINT64_C(1) << 34, {5, 0x1000, 48, 0}, 0},
	};
	static struct vm vm;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct model_config config = *model_preset_find("nesting");
		struct iommu_domain *nested = NULL;
		config.cap &= ~rows[i].cap_off;
		config.ecap &= ~rows[i].ecap_off;
		vm_prepare(&vm, &config, IOMMU_MODE_SCALABLE);
		struct iommu_device *device = vm_device(&vm, 3, 0);
		struct iommu_domain *parent = vm_domain(device, IOMMU_ALLOC_NEST_PARENT);
		long objects = vm.test.objects, errors = vm.test.log_count[IOMMU_LOG_ERROR];
		int err = vm_nested(device, parent, rows[i].s1, &nested);
		KTAP_EQUAL(err, rows[i].err);
		if (!err)
			KTAP_EQUAL(iommu_domain_free(nested), 0);
		KTAP_EQUAL(vm.test.log_count[IOMMU_LOG_ERROR], errors + (err != 0));
		KTAP_EQUAL(vm.test.objects, objects);
		KTAP_EQUAL(iommu_domain_free(parent), 0);
		vm_end(&vm);
		if (ktap_failed)
			printf("# row %zu\n", i);
	}
}

static void wrong_data(void)
{
	struct vm_s1 s1[2] = {{0, 0x1000, 48, 0}, {0}};
	struct iommu_user_data data = {.type = 1, .bytes = sizeof(s1[0]), .start = s1};
	struct iommu_domain *out = NULL;

	bench_start("nesting", 48);
	data.type = 2;
	KTAP_EQUAL(iommu_domain_alloc_user(b.device, 0, b.parent, &data, &out), -EOPNOTSUPP);
	data.type = 1;
	data.bytes = 23;
	KTAP_EQUAL(iommu_domain_alloc_user(b.device, 0, b.parent, &data, &out), -EINVAL);
	data.bytes = 32;
	KTAP_EQUAL(iommu_domain_alloc_user(b.device, 0, b.parent, &data, &out), 0);
	KTAP_EQUAL(iommu_domain_free(out), 0);
	s1[1].flags = 1;
	KTAP_EQUAL(iommu_domain_alloc_user(b.device, 0, b.parent, &data, &out), -E2BIG);
	data.bytes = 24;
	KTAP_EQUAL(iommu_domain_alloc_user(b.device, 0, b.parent, NULL, &out), -EOPNOTSUPP);
	KTAP_EQUAL(
		iommu_domain_alloc_user(b.device, IOMMU_ALLOC_NEST_PARENT, b.parent, &data, &out),
		-EOPNOTSUPP);
	KTAP_EQUAL(iommu_domain_alloc_user(b.device, IOMMU_ALLOC_DIRTY_TRACKING, b.parent, &data,
	                                   &out),
	           -EOPNOTSUPP);
	/* a nested domain is no parent, and neither is a first-stage one */
	KTAP_EQUAL(iommu_domain_alloc_user(b.device, 0, b.nested, &data, &out), -EINVAL);
	struct iommu_domain *first = vm_domain(b.device, 0);
	KTAP_EQUAL(iommu_domain_alloc_user(b.device, 0, first, &data, &out), -EINVAL);
	KTAP_EQUAL(iommu_domain_free(first), 0);
	/* for PASIDs, and with faults that go to the user: as such */
	KTAP_EQUAL(iommu_domain_alloc_user(b.device, IOMMU_ALLOC_PASID | IOMMU_ALLOC_FAULT_ID_VALID,
	                                   b.parent, &data, &out),
	           0);
	KTAP_EQUAL(iommu_domain_free(out), 0);
	bench_end();
}

static void units_that_do_not_nest(void)
{
	static const struct {
		const char *preset;
		enum iommu_mode mode;
	} rows[] = {
		{"nesting", IOMMU_MODE_LEGACY},
		{"qemu-11.1-scalable", IOMMU_MODE_SCALABLE},
		{"meteor-lake", IOMMU_MODE_SCALABLE},
	};
	static struct vm vm;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct iommu_domain *nested = NULL;
		vm_start(&vm, rows[i].preset, rows[i].mode);
		vm.iommu.options.nest_any = true;
		struct iommu_device *device = vm_device(&vm, 3, 0);
		struct iommu_domain *parent = vm_domain(device, IOMMU_ALLOC_NEST_PARENT);
		KTAP_CHECK(parent->not_nestable);
		KTAP_EQUAL(vm_nested(device, parent, (struct vm_s1){0, 0x1000, 48, 0}, &nested),
		           -EOPNOTSUPP);
		KTAP_EQUAL(iommu_domain_free(parent), 0);
		vm_end(&vm);
	}
}

/** A domain of one unit, attached behind another that is in legacy mode, or has less. */
static void other_units(void)
{
	static struct vm other;
	struct model_config config = *model_preset_find("nesting");

	config.cap &= ~(UINT64_C(1) << 60); /* FS5LP */
	for (unsigned legacy = 0; legacy < 2; legacy++) {
		bench_start("nesting", 57);
		vm_prepare(&other, &config, legacy ? IOMMU_MODE_LEGACY : IOMMU_MODE_SCALABLE);
		KTAP_EQUAL(iommu_enable(&other.iommu), 0);
		struct iommu_device *device = vm_device(&other, 4, 0);
		int err = device->unit->ops->attach(device, IOMMU_NO_PASID, b.nested, NULL);
		KTAP_EQUAL(err, -EINVAL);
		KTAP_CHECK(strstr(other.test.last_log, legacy ? "legacy mode" : "57 bits") != NULL);
		vm_end(&other);
		bench_end();
	}
}

/* ---- translation ------------------------------------------------------------------------ */

/** Every page size in one stage on every page size in the other, at both widths. */
static void page_sizes(void)
{
	for (unsigned p = 0; p < ARRAY_SIZE(presets); p++) {
		for (unsigned width = 48; width <= 57; width += 9) {
			bench_start(presets[p], width);
			KTAP_EQUAL(iommu_attach(b.device->group, b.nested), 0);
			for (unsigned i = 0; i < 9; i++) {
				unsigned first = i / 3 + 1, second = i % 3 + 1;
				uint64_t at = (width == 57 ? UINT64_C(1) << 52 : 0) |
				              (UINT64_C(0x10) + i) << 30;
				uint64_t guest = (UINT64_C(0x40) + i) << 30;
				uint64_t host = (UINT64_C(0x80) + i) << 30;
				vm_map(b.parent, guest, host, UINT64_C(1) << (9 * second + 3));
				vm_stage1(&b.vm, b.parent, b.table, width == 57 ? 5 : 4, at, first,
				          guest | 7 | (first > 1 ? 0x80 : 0));
				KTAP_EQUAL(dma(at | 0x918), host | 0x918);
				/* beyond the smaller page there is nothing */
				uint64_t small = UINT64_C(1)
				                 << (9 * (first < second ? first : second) + 3);
				KTAP_EQUAL(dma(at | (small - 8)), host | (small - 8));
				if (first > second)
					KTAP_EQUAL(dma(at | small), VM_FAILED - 0x79);
				else if (first < 3)
					KTAP_EQUAL(dma(at | small), VM_FAILED - 0x71);
			}
			bench_end();
		}
	}
}

static void rights(void)
{
	uint8_t fault;

	bench_start("nesting", 48);
	KTAP_EQUAL(iommu_attach(b.device->group, b.nested), 0);
	vm_map(b.parent, GUEST, HOST, 0x3000);
	stage1(IOVA, 1, GUEST | 5);                     /* user, read */
	stage1(IOVA + 0x1000, 1, GUEST | 3);            /* supervisor */
	stage1(IOVA + 0x2000, 1, (GUEST + 0x5000) | 7); /* a hole in the parent */
	KTAP_EQUAL(vm_access(&b.vm, b.device, VM_NO_PASID, MODEL_READ, IOVA, &fault), HOST);
	KTAP_EQUAL(dma(IOVA), VM_FAILED - 0x85);
	KTAP_EQUAL(dma(IOVA + 0x1000), VM_FAILED - 0x81);
	KTAP_EQUAL(dma(IOVA + 0x2000), VM_FAILED - 0x79);
	KTAP_EQUAL(dma(IOVA + 0x3000), VM_FAILED - 0x71);
	KTAP_EQUAL(dma(UINT64_C(1) << 47), VM_FAILED - 0x80);
	bench_end();
}

/** The user's flags reach the entry: a supervisor request is served with SRE only, and obeys
 *  read-only pages with WPE only. */
static void flags(void)
{
	static const struct {
		uint64_t flags;
		uint8_t read, write;
	} rows[] = {{0, 0x5d, 0x5d}, {1, 0, 0}, {5, 0, 0x85}, {4, 0x5d, 0x5d}, {7, 0, 0x85}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct iommu_domain *nested = NULL;
		bench_start("nesting", 48);
		vm_map(b.parent, GUEST, HOST, 0x1000);
		stage1(IOVA, 1, GUEST | 1); /* read-only, supervisor */
		KTAP_EQUAL(vm_nested(b.device, b.parent,
		                     (struct vm_s1){rows[i].flags, b.table, 48, 0}, &nested),
		           0);
		KTAP_EQUAL(iommu_attach_pasid(b.device, 9, nested), 0);
		for (unsigned write = 0; write < 2; write++) {
			const struct model_request request = {
				.access = write ? MODEL_WRITE : MODEL_READ,
				.requester = b.device->desc.rid,
				.has_pasid = true,
				.pasid = 9,
				.privileged = true,
				.address = IOVA,
				.bytes = 8,
			};
			struct iommu_walk walk = {0};
			struct model_result result;
			model_dma(b.vm.unit, &request, &result);
			uint8_t wanted = write ? rows[i].write : rows[i].read;
			KTAP_EQUAL(result.fault, wanted);
			b.device->unit->ops->walk(b.device->unit, b.device->desc.rid, 9, iova(IOVA),
			                          IOMMU_PRIV | (write ? IOMMU_WRITE : IOMMU_READ),
			                          &walk);
			KTAP_EQUAL(walk.translated, !wanted);
			KTAP_EQUAL(walk.reason, wanted);
		}
		iommu_detach_pasid(b.device, 9);
		KTAP_EQUAL(iommu_domain_free(nested), 0);
		bench_end();
	}
}

/* ---- the user's invalidations -------------------------------------------------------------- */

static void stale_until_invalidated(void)
{
	for (unsigned p = 0; p < ARRAY_SIZE(presets); p++) {
		for (unsigned pasids = 0; pasids < 2; pasids++) {
			bench_start(presets[p], 48);
			int pasid = pasids ? 77 : VM_NO_PASID;
			if (pasids)
				KTAP_EQUAL(iommu_attach_pasid(b.device, 77, b.nested), 0);
			else
				KTAP_EQUAL(iommu_attach(b.device->group, b.nested), 0);
			vm_map(b.parent, GUEST, HOST, 0x400000);
			/* a leaf, with the hint; a whole table, without; everything */
			for (unsigned i = 0; i < 3; i++) {
				uint64_t at = IOVA + ((uint64_t)i << 30);
				stage1(at, 1, GUEST | 7);
				stage1(at + 0x1000, 1, (GUEST + 0x4000) | 7);
				KTAP_EQUAL(vm_dma(&b.vm, b.device, pasid, at), HOST);
				KTAP_EQUAL(vm_dma(&b.vm, b.device, pasid, at + 0x1000),
				           HOST + 0x4000);
				if (i == 1)
					stage1(at, 2, (GUEST + 0x200000) | 0x87);
				else
					stage1(at, 1, (GUEST + 0x2000) | 7);
				/* the unit may go on using what it has; that is the user's fault */
				b.vm.expected =
					1 << MODEL_REPORT_STALE | 1 << MODEL_REPORT_LIVE_CHANGE;
				unsigned reports = b.vm.reports;
				KTAP_EQUAL(vm_dma(&b.vm, b.device, pasid, at), HOST);
				KTAP_CHECK(b.vm.reports > reports);
				KTAP_EQUAL(invalidate(i == 2   ? 0
				                      : i == 1 ? at & ~UINT64_C(0x1fffff)
				                               : at,
				                      i == 2   ? UINT64_MAX
				                      : i == 1 ? 512
				                               : 1,
				                      i == 0 ? LEAF : 0),
				           0);
				b.vm.expected = 0;
				KTAP_EQUAL(vm_dma(&b.vm, b.device, pasid, at),
				           i == 1 ? HOST + 0x201000 : HOST + 0x2000);
			}
			bench_end();
		}
	}
}

/** Any number of entries: few descriptors, one wait. */
static void one_wait(void)
{
	struct vm_s1_invalidate entries[40];
	uint32_t done;

	bench_start("nesting", 48);
	KTAP_EQUAL(iommu_attach(b.device->group, b.nested), 0);
	for (unsigned i = 0; i < 40; i++)
		entries[i] = (struct vm_s1_invalidate){IOVA + 0x2000 * i, 1, LEAF, 0};
	const uint64_t *types = vm_statistics(&b.vm)->descriptors;
	uint64_t iotlb = types[6], waits = types[5];
	KTAP_EQUAL(vm_invalidate(b.nested, entries, 12, &done), 0);
	KTAP_EQUAL(done, 12);
	KTAP_EQUAL(types[6] - iotlb, 12);
	KTAP_EQUAL(types[5] - waits, 1);
	iotlb = types[6];
	KTAP_EQUAL(vm_invalidate(b.nested, entries, 40, &done), 0);
	KTAP_EQUAL(done, 40);
	KTAP_EQUAL(types[6] - iotlb, 1); /* the PASID as a whole */
	KTAP_EQUAL(types[5] - waits, 2);
	/* two attachments with PASIDs of their own, one without: three times */
	KTAP_EQUAL(iommu_attach_pasid(b.device, 1, b.nested), 0);
	KTAP_EQUAL(iommu_attach_pasid(b.device, 64, b.nested), 0);
	iotlb = types[6], waits = types[5];
	KTAP_EQUAL(vm_invalidate(b.nested, entries, 3, &done), 0);
	KTAP_EQUAL(types[6] - iotlb, 9);
	KTAP_EQUAL(types[5] - waits, 1);
	/* nothing to do */
	waits = types[5];
	KTAP_EQUAL(vm_invalidate(b.nested, entries, 0, &done), 0);
	entries[0].npages = 0;
	KTAP_EQUAL(vm_invalidate(b.nested, entries, 1, &done), 0);
	KTAP_EQUAL(done, 1);
	KTAP_EQUAL(types[5], waits);
	bench_end();
}

static int copy_fails_at_48(void *ctx, uint64_t offset, void *out, size_t bytes)
{
	if (offset >= 48)
		return -EFAULT;
	return vm_copy(ctx, offset, out, bytes);
}

static void wrong_entries(void)
{
	static const struct {
		struct vm_s1_invalidate entry;
		int err;
	} rows[] = {
		{{0, UINT64_MAX, 0, 0}, 0},
		{{0x1000, UINT64_MAX, 0, 0}, -EINVAL},
		{{0x800, 1, 0, 0}, -EINVAL},
		{{0x1000, 1, 2, 0}, -EOPNOTSUPP},
		{{0x1000, 1, 0, 1}, -EOPNOTSUPP},
		{{UINT64_C(0xfffffffffffff000), 1, 0, 0}, 0},
		{{UINT64_C(0xfffffffffffff000), 2, 0, 0}, -EINVAL},
		{{0, UINT64_C(1) << 52, 0, 0}, 0},
		{{0, (UINT64_C(1) << 52) + 1, 0, 0}, -EINVAL},
		{{0, UINT64_MAX - 1, 0, 0}, -EINVAL},
	};
	uint32_t done;

	bench_start("nesting", 48);
	KTAP_EQUAL(iommu_attach(b.device->group, b.nested), 0);
	vm_map(b.parent, GUEST, HOST, 0x10000);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* a good one, this one, and one that is never looked at if this one is wrong */
		struct vm_s1_invalidate entries[3] = {
			{IOVA, 1, LEAF, 0}, rows[i].entry, {0, UINT64_MAX, 0, 0}};
		uint64_t target = GUEST + 0x1000 * (i & 1);
		stage1(IOVA, 1, target | 7);
		b.vm.expected = 1 << MODEL_REPORT_STALE;
		KTAP_EQUAL(vm_invalidate(b.nested, entries, 3, &done), rows[i].err);
		b.vm.expected = 0;
		KTAP_EQUAL(done, rows[i].err ? 1 : 3);
		/* what was done took effect */
		KTAP_EQUAL(dma(IOVA), HOST + 0x1000 * (i & 1));
		if (ktap_failed) {
			printf("# row %zu\n", i);
			break;
		}
	}
	struct vm_s1_invalidate entries[3] = {
		{IOVA, 1, LEAF, 0}, {IOVA, 1, LEAF, 0}, {IOVA, 1, LEAF, 0}};
	struct iommu_user_array array = {
		.entry_bytes = 24, .count = 3, .copy = copy_fails_at_48, .ctx = entries};
	KTAP_EQUAL(iommu_domain_invalidate_user(b.nested, &array), -EFAULT);
	KTAP_EQUAL(array.done, 2);
	array.type = 1;
	KTAP_EQUAL(iommu_domain_invalidate_user(b.nested, &array), -EINVAL);
	KTAP_EQUAL(array.done, 0);
	array = (struct iommu_user_array){
		.entry_bytes = 16, .count = 3, .copy = vm_copy, .ctx = entries};
	KTAP_EQUAL(iommu_domain_invalidate_user(b.nested, &array), -EINVAL);
	KTAP_EQUAL(iommu_domain_invalidate_user(b.parent, &array), -EOPNOTSUPP);
	/* the unit does not confirm: nothing counts as done, and the next call works */
	b.vm.refuse_in = 1;
	KTAP_EQUAL(vm_invalidate(b.nested, entries, 3, &done), -EIO);
	KTAP_EQUAL(done, 0);
	KTAP_EQUAL(vm_invalidate(b.nested, entries, 3, &done), 0);
	KTAP_EQUAL(done, 3);
	bench_end();
}

/* ---- changes of the parent -------------------------------------------------------------------- */

static void parent_unmaps(void)
{
	for (unsigned p = 0; p < ARRAY_SIZE(presets); p++) {
		bench_start(presets[p], 48);
		struct iommu_device *other = vm_device(&b.vm, 4, 20);
		KTAP_EQUAL(iommu_attach(b.device->group, b.nested), 0);
		KTAP_EQUAL(iommu_attach_pasid(b.device, 100, b.nested), 0);
		KTAP_EQUAL(iommu_attach(other->group, b.parent), 0);
		vm_map(b.parent, GUEST, HOST, 0x2000);
		vm_map(b.parent, GUEST + 0x200000, HOST + 0x200000, 0x200000);
		stage1(IOVA, 1, GUEST | 7);
		stage1(IOVA + 0x1000, 1, (GUEST + 0x1000) | 7);
		stage1(IOVA + 0x40000000, 2, (GUEST + 0x200000) | 0x87);
		for (unsigned i = 0; i < 2; i++) {
			int pasid = i ? 100 : VM_NO_PASID;
			KTAP_EQUAL(vm_dma(&b.vm, b.device, pasid, IOVA), HOST);
			KTAP_EQUAL(vm_dma(&b.vm, b.device, pasid, IOVA + 0x1000), HOST + 0x1000);
			KTAP_EQUAL(vm_dma(&b.vm, b.device, pasid, IOVA + 0x40000000),
			           HOST + 0x201000);
		}
		KTAP_EQUAL(vm_dma(&b.vm, other, VM_NO_PASID, GUEST), HOST);
		const uint64_t *types = vm_statistics(&b.vm)->descriptors;
		uint64_t iotlb = types[2], waits = types[5], all = types[6];
		/* blocked at once, everywhere; one descriptor for each domain id, one wait */
		KTAP_EQUAL(vm_unmap(b.parent, GUEST, 0x1000), 0);
		KTAP_EQUAL(types[2] - iotlb, 2);
		KTAP_EQUAL(types[5] - waits, 1);
		KTAP_EQUAL(types[6], all);
		KTAP_EQUAL(dma(IOVA), VM_FAILED - 0x79);
		KTAP_EQUAL(vm_dma(&b.vm, b.device, 100, IOVA), VM_FAILED - 0x79);
		KTAP_EQUAL(vm_dma(&b.vm, other, VM_NO_PASID, GUEST), VM_FAILED - 0x79);
		KTAP_EQUAL(dma(IOVA + 0x1000), HOST + 0x1000);
		/* a large page; the table above it */
		KTAP_EQUAL(vm_unmap(b.parent, GUEST + 0x200000, 0x200000), 0);
		KTAP_EQUAL(dma(IOVA + 0x40000000), VM_FAILED - 0x79);
		KTAP_EQUAL(vm_unmap(b.parent, GUEST + 0x1000, 0x1000), 0);
		KTAP_EQUAL(dma(IOVA + 0x1000), VM_FAILED - 0x79);
		/* the page of a stage-1 table: the reads of the table fault */
		KTAP_EQUAL(vm_unmap(b.parent, b.table, 0x1000), 0);
		KTAP_EQUAL(dma(IOVA + 0x1000), VM_FAILED - 0x79);
		KTAP_EQUAL(vm_dma(&b.vm, b.device, 100, IOVA + 0x1000), VM_FAILED - 0x79);
		/* and it comes back */
		vm_map(b.parent, GUEST, HOST + 0x7000, 0x1000);
		KTAP_EQUAL(vm_dma(&b.vm, other, VM_NO_PASID, GUEST), HOST + 0x7000);
		iommu_detach(other->group);
		bench_end();
	}
}

/* ---- walks ---------------------------------------------------------------------------------------- */

static unsigned steps_of(const struct iommu_walk *walk, const char *prefix)
{
	unsigned count = 0;

	for (unsigned i = 0; i < walk->count; i++)
		count += strncmp(walk->steps[i].table, prefix, strlen(prefix)) == 0;
	return count;
}

static void append(struct iommu_print *self, const char *text, size_t bytes)
{
	strncat(self->ctx, text, bytes);
}

/** The walk in software ends as the unit's, and shows both stages. */
static void walks(void)
{
	static const struct {
		uint64_t at;
		uint32_t access;
		unsigned first, second; /* steps */
	} rows[] = {
		{IOVA, IOMMU_WRITE, 4, 25},
		{IOVA + 0x8, IOMMU_READ, 4, 25},
		{IOVA + 0x1000, IOMMU_WRITE, 4, 25},                /* read-only in stage 1 */
		{IOVA + 0x2000, IOMMU_READ, 4, 24},                 /* hole in the parent */
		{IOVA + 0x3000, IOMMU_READ, 4, 20},                 /* hole in stage 1 */
		{IOVA + 0x4000, IOMMU_READ, 4, 20},                 /* supervisor */
		{IOVA + 0x40000000, IOMMU_READ, 3, 15},             /* reserved bits */
		{IOVA + UINT64_C(0x8000000000), IOMMU_READ, 2, 14}, /* its table is not there */
		{IOVA + UINT64_C(0x10000000000), IOMMU_READ, 1, 5}, /* top entry absent */
		{UINT64_C(1) << 47, IOMMU_READ, 0, 0},
	};
	static char text[8192];

	text[0] = 0;
	bench_start("nesting", 48);
	KTAP_EQUAL(iommu_attach(b.device->group, b.nested), 0);
	vm_map(b.parent, GUEST, HOST, 0x2000);
	stage1(IOVA, 1, GUEST | 7);
	stage1(IOVA + 0x1000, 1, GUEST | 5);
	stage1(IOVA + 0x2000, 1, (GUEST + 0x800000) | 7);
	stage1(IOVA + 0x4000, 1, GUEST | 3);
	stage1(IOVA + 0x40000000, 2, GUEST | 0x3087);
	stage1(IOVA + UINT64_C(0x8000000000), 3, (GUEST + 0x700000) | 7);
	b.vm.expected = 1 << MODEL_REPORT_RESERVED;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct iommu_walk walk = {0}, own = {0};
		uint8_t fault;
		int64_t at = vm_access(&b.vm, b.device, VM_NO_PASID,
		                       rows[i].access & IOMMU_WRITE ? MODEL_WRITE : MODEL_READ,
		                       rows[i].at, &fault);
		b.device->unit->ops->walk(b.device->unit, b.device->desc.rid, IOMMU_NO_PASID,
		                          iova(rows[i].at), rows[i].access, &walk);
		KTAP_EQUAL(walk.translated, at != VM_FAILED);
		KTAP_EQUAL(walk.reason, fault);
		if (at != VM_FAILED)
			KTAP_EQUAL(walk.result.value, at);
		KTAP_EQUAL(steps_of(&walk, "FS"), rows[i].first);
		KTAP_EQUAL(steps_of(&walk, "SS"), rows[i].second);
		KTAP_EQUAL(walk.count, 4 + rows[i].first + steps_of(&walk, "SS"));
		b.nested->ops->walk(b.nested, iova(rows[i].at), rows[i].access, &own);
		KTAP_EQUAL(own.count, walk.count - 4);
		KTAP_EQUAL(own.reason, walk.reason);
		if (ktap_failed)
			printf("# row %zu\n", i);
	}
	/* printed with the fault */
	KTAP_CHECK(iommu_poll(&b.vm.iommu) > 0);
	struct iommu_print print = {append, text};
	struct iommu_fault fault = b.vm.fault;
	fault.address = iova(IOVA + 0x2000);
	fault.reason = 0x79;
	iommu_fault_print(&fault, &print);
	KTAP_CHECK(strstr(text, "FS L4") && strstr(text, "SS L5") &&
	           strstr(text, "nested: 4 levels"));
	bench_end();
}

static const struct ktap_case cases[] = {
	{"nested domains are refused with the right error and one line", refusals},
	{"data and parents that are wrong", wrong_data},
	{"units that do not nest", units_that_do_not_nest},
	{"attaching behind a unit that has less", other_units},
	{"each page size on each, 48 and 57 bits, both kinds of memory", page_sizes},
	{"rights and holes in either stage", rights},
	{"SRE and WPE reach the unit", flags},
	{"stale until invalidated: leaf, table, everything", stale_until_invalidated},
	{"any number of invalidations, one wait", one_wait},
	{"wrong entries: how many were done is exact", wrong_entries},
	{"the parent unmaps: blocked at once, everywhere", parent_unmaps},
	{"a walk shows both stages and ends as the unit's", walks},
};

KTAP_MAIN(cases)
