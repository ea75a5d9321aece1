/* SPDX-License-Identifier: MIT */
/*
 * The model as a platform (kernel/scn_model.h): the driver brings it up on every preset,
 * its devices master DMA through it, it sees only memory that it was given and of that
 * only what was cleaned, and its reports, messages and late commands arrive.
 */
#include "tests/unit/model_platform_test.h"

static bool all_are(const uint8_t *bytes, size_t count, uint8_t value)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static void labels(void)
{
	struct bench bench;

	bench_up(&bench, "nesting");
	struct iommu_unit *unit = bench.core.units;
	KTAP_EQUAL(strcmp(unit->name, "model0"), 0);
	KTAP_EQUAL(unit->segment, MODEL_SEGMENT);
	for (unsigned i = 0; i < MODEL_DEVICES; i++) {
		const struct iommu_device *device = bench.model->engines[i].pci.iommu;
		KTAP_EQUAL(strncmp(device->desc.name, "model:", 6), 0);
		KTAP_CHECK(device->unit == unit);
		KTAP_EQUAL(device->desc.pasid_bits, 20);
		KTAP_CHECK(device->desc.page_requests && device->desc.ats_queue_depth);
	}
	KTAP_EQUAL(strcmp(bench.model->scn.preset, "nesting"), 0);
	KTAP_EQUAL(bench_reports(&bench), 0);
	bench_down(&bench);
}

/* Map, move data both ways, unmap, be blocked: on the unit that @p config describes. */
static void round_trip(const struct model_config *config, bool cruel, uint64_t seed)
{
	struct bench bench;

	bench_init(&bench, config->name);
	const struct model_platform_options options = {
		.config = &bench.config, .own_time = true, .cruel = cruel, .seed = seed};
	KTAP_EQUAL(bench_start(&bench, &options), 0);
	if (!bench.up) {
		printf("# preset %s\n", config->name);
		bench_down(&bench);
		return;
	}
	for (unsigned number = 0; number < MODEL_DEVICES; number++) {
		struct model_engine *engine = &bench.model->engines[number];
		struct iommu_domain *domain = domain_new(&bench, number);
		pa_t one = page_new(&bench), two = page_new(&bench);
		uint8_t *first = iommu_os_va(&bench.model->os, one);
		uint8_t *second = iommu_os_va(&bench.model->os, two);

		memset(first, 0x5a, PAGE_SIZE_4K);
		page_map(domain, BASE, one);
		page_map(domain, BASE + PAGE_SIZE_4K, two);
		KTAP_EQUAL(fetch(&bench, number, BASE + 0x800, 0x800), 0);
		KTAP_CHECK(all_are(engine->buffer, 0x800, 0x5a));
		/* across the boundary: the first page's end, the second's beginning */
		KTAP_EQUAL(store(&bench, number, BASE + 0xc00, 0x800), 0);
		KTAP_CHECK(all_are(second, 0x400, 0x5a) && all_are(second + 0x400, 0xc00, 0));
		KTAP_EQUAL(bench.core.fault_count, 2 * number);
		page_unmap(domain, BASE);
		memset(first, 0, PAGE_SIZE_4K);
		/* the message of the unit brought the fault: nobody polled */
		KTAP_EQUAL(store(&bench, number, BASE, 64), 0);
		KTAP_EQUAL(bench.core.fault_count, 2 * number + 1);
		KTAP_CHECK(all_are(first, PAGE_SIZE_4K, 0));
		KTAP_EQUAL(fetch(&bench, number, BASE, 64), 0);
		KTAP_CHECK(all_are(engine->buffer, 64, 0xff));
		KTAP_EQUAL(bench.core.fault_count, 2 * number + 2);
		page_unmap(domain, BASE + PAGE_SIZE_4K);
		domain_delete(&bench, number, domain);
		page_delete(&bench, one);
		page_delete(&bench, two);
	}
	KTAP_EQUAL(bench_reports(&bench), 0);
	if (ktap_failed)
		printf("# preset %s%s: %s\n", config->name, cruel ? ", cruel" : "",
		       bench.model->report_text);
	bench_down(&bench);
}

static void presets(void)
{
	for (unsigned i = 0; i < model_preset_count() && !ktap_failed; i++) {
		const struct model_config *config = model_preset(i);
		round_trip(config, false, 0);
		round_trip(config, false, 7);
		round_trip(config, true, 0);
		round_trip(config, true, 12345);
	}
}

static void wild_addresses(void)
{
	static uint8_t outside[2 * PAGE_SIZE_4K] __attribute__((aligned(4096)));
	struct bench bench;
	struct iommu_domain *domain = NULL;
	uint8_t data[64];

	bench_up(&bench, "nesting");
	struct model_engine *engine = &bench.model->engines[0];
	struct iommu_device *device = engine->pci.iommu;
	KTAP_EQUAL(iommu_domain_alloc_identity(device, &domain), 0);
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	pa_t page = page_new(&bench);
	memset(iommu_os_va(&bench.model->os, page), 0x11, PAGE_SIZE_4K);
	KTAP_EQUAL(fetch(&bench, 0, page.value, 256), 0);
	KTAP_CHECK(all_are(engine->buffer, 256, 0x11));
	/* memory of the process that nobody gave to the platform, and none at all */
	KTAP_EQUAL(store(&bench, 0, (uintptr_t)outside, 256), 0);
	KTAP_CHECK(all_are(outside, sizeof(outside), 0));
	KTAP_EQUAL(fetch(&bench, 0, 0x1000, 256), 0);
	KTAP_CHECK(all_are(engine->buffer, 256, 0xff));
	KTAP_EQUAL(bench.test.log_count[IOMMU_LOG_WARNING], 2);
	/* what the unit itself would read */
	KTAP_CHECK(!model_platform_memory.read(bench.model, (uintptr_t)outside, data, 64, true));
	KTAP_CHECK(!model_platform_memory.write(bench.model, 0x1000, data, 8, true));
	KTAP_EQUAL(model_platform_memory.swap64(bench.model, 0x1000, 0, 1), MODEL_SWAP_FAILED);
	KTAP_CHECK(model_platform_memory.read(bench.model, page.value + 4032, data, 64, true));
	KTAP_CHECK(!model_platform_memory.read(bench.model, UINT64_MAX - 63, data, 64, true));
	iommu_detach(device->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
	page_delete(&bench, page);
	KTAP_CHECK(!model_platform_memory.read(bench.model, page.value, data, 64, true));
	bench_down(&bench);
}

static uint64_t seen(struct bench *bench, uint64_t address, bool snooped)
{
	uint64_t value = 0;
	KTAP_CHECK(model_platform_memory.read(bench->model, address, &value, 8, snooped));
	return value;
}

static void two_views(void)
{
	struct bench bench;
	uint64_t in = 0x77;

	bench_up(&bench, "nesting-noncoherent");
	const struct iommu_os *os = &bench.model->os;
	pa_t page = page_new(&bench);
	uint64_t *words = iommu_os_va(os, page);
	words[0] = 0x1234;
	words[9] = 0x5678; /* another line */
	KTAP_EQUAL(seen(&bench, page.value, true), 0x1234);
	KTAP_EQUAL(seen(&bench, page.value, false), 0); /* fresh pages are clean, and zero */
	os->clean(os->ctx, &words[1], 8);
	KTAP_EQUAL(seen(&bench, page.value, false), 0x1234); /* a line at a time */
	KTAP_EQUAL(seen(&bench, page.value + 72, false), 0);
	os->clean(os->ctx, &words[7], 16);
	KTAP_EQUAL(seen(&bench, page.value + 72, false), 0x5678);
	/* what the unit writes it sees itself, however it looks */
	KTAP_CHECK(model_platform_memory.write(bench.model, page.value + 256, &in, 8, true));
	KTAP_EQUAL(seen(&bench, page.value + 256, false), 0x77);
	KTAP_EQUAL(model_platform_memory.swap64(bench.model, page.value + 256, 0x76, 1),
	           MODEL_SWAP_CHANGED);
	KTAP_EQUAL(model_platform_memory.swap64(bench.model, page.value + 256, 0x77, 0x78),
	           MODEL_SWAP_DONE);
	KTAP_EQUAL(seen(&bench, page.value + 256, false), 0x78);
	page_delete(&bench, page);
	bench_down(&bench);
}

/* The level-1 entry of BASE. */
static uint64_t *entry_of(struct bench *bench, struct iommu_domain *domain)
{
	struct iommu_leaf leaf = {0};

	KTAP_CHECK(domain->ops->lookup(domain, iova(BASE), &leaf));
	return iommu_os_va(&bench->model->os, leaf.entry_pa);
}

static void stale_is_reported(void)
{
	struct bench bench;
	unsigned kind = 0;

	bench_up(&bench, "nesting");
	const struct scn_model *scn = &bench.model->scn;
	struct iommu_domain *domain = domain_new(&bench, 0);
	pa_t page = page_new(&bench);
	page_map(domain, BASE, page);
	KTAP_EQUAL(fetch(&bench, 0, BASE, 64), 0);
	KTAP_EQUAL(bench_reports(&bench), 0);
	uint64_t *entry = entry_of(&bench, domain), before = *entry;
	*entry = 0; /* without an invalidation */
	scn->hold(scn->ctx, true);
	KTAP_EQUAL(fetch(&bench, 0, BASE, 64), 0);
	KTAP_EQUAL(bench_reports(&bench), 0); /* in the middle of a change: no mistake */
	scn->hold(scn->ctx, false);
	KTAP_EQUAL(fetch(&bench, 0, BASE, 64), 0);
	KTAP_EQUAL(scn->reports(scn->ctx, 1 << MODEL_REPORT_STALE), 1);
	KTAP_EQUAL(bench_reports(&bench), 1);
	KTAP_EQUAL(strncmp(scn->last_report(scn->ctx, &kind), "model: ", 7), 0);
	KTAP_EQUAL(strcmp(scn->kind_name(scn->ctx, kind), "stale"), 0);
	KTAP_CHECK(!scn->kind_name(scn->ctx, MODEL_REPORT_KINDS));
	KTAP_EQUAL(bench.test.log_count[IOMMU_LOG_ERROR], 1);
	KTAP_EQUAL(strcmp(bench.test.last_log, scn->last_report(scn->ctx, NULL)), 0);
	KTAP_EQUAL(model_platform_unjudged(bench.model), 1);
	scn->judged(scn->ctx, 1);
	KTAP_EQUAL(model_platform_unjudged(bench.model), 0);
	KTAP_CHECK(scn->check(scn->ctx) > 0);
	*entry = before;
	page_unmap(domain, BASE);
	domain_delete(&bench, 0, domain);
	page_delete(&bench, page);
	bench_down(&bench);
}

static void freed_is_reported(void)
{
	struct bench bench;

	bench_up(&bench, "nesting");
	struct iommu_domain *domain = domain_new(&bench, 0);
	pa_t page = page_new(&bench), table = page_new(&bench);
	page_map(domain, BASE, page);
	struct iommu_walk walk = {0};
	domain->ops->walk(domain, iova(BASE), IOMMU_READ, &walk);
	KTAP_CHECK(walk.count >= 2);
	uint64_t *top = iommu_os_va(&bench.model->os, walk.steps[0].entry_pa);
	top = (uint64_t *)((uintptr_t)top & ~(uintptr_t)(PAGE_SIZE_4K - 1));
	top[200] = table.value | 3; /* a present entry, in either format */
	KTAP_EQUAL(bench_reports(&bench), 0);
	page_delete(&bench, table);
	KTAP_EQUAL(bench.model->scn.reports(bench.model, 1 << MODEL_REPORT_FREED), 1);
	top[200] = 0;
	page_unmap(domain, BASE);
	domain_delete(&bench, 0, domain);
	page_delete(&bench, page);
	KTAP_EQUAL(bench_reports(&bench), 1);
	bench_down(&bench);
}

static void commands_that_never_end(void)
{
	struct bench bench;

	bench_init(&bench, "nesting");
	bench.config.latency.command = MODEL_NEVER;
	const struct model_platform_options options = {.config = &bench.config, .own_time = true};
	KTAP_EQUAL(bench_start(&bench, &options), -ETIMEDOUT);
	KTAP_CHECK(!bench.up);
	bench_down(&bench);

	bench_init(&bench, "nesting");
	bench.config.cap |= 7; /* CAP.ND: reserved */
	KTAP_EQUAL(bench_start(&bench, &options), -EINVAL);
	bench_down(&bench);
}

/* Each allocation on the way up fails once; nothing stays behind. */
static void failing_allocations(void)
{
	struct bench bench;

	for (long at = 1; at < 200; at++) {
		bench_init(&bench, "nesting");
		const struct model_platform_options options = {.config = &bench.config,
		                                               .own_time = true};
		bench.test.fail_at = at;
		int error = bench_start(&bench, &options);
		if (!error) {
			bool done = bench.test.allocations < at;
			bench_down(&bench);
			if (done)
				return;
			continue;
		}
		KTAP_EQUAL(error, -ENOMEM);
		bench_down(&bench);
	}
	KTAP_FAIL("the sweep did not end");
}

/* Mapping, with each allocation of the platform or the driver failing once. */
static void failing_maps(void)
{
	struct bench bench;
	const struct iommu_extent none = {.bytes = PAGE_SIZE_4K};
	bool done = false;

	bench_up(&bench, "nesting");
	struct iommu_domain *domain = domain_new(&bench, 0);
	pa_t page = page_new(&bench);
	struct iommu_extent extent = none;
	extent.start = page;
	for (long nth = 1; nth < 40 && !done; nth++) {
		struct iommu_gather gather;
		size_t runs = bench.model->run_count;
		bench.test.fail_at = bench.test.allocations + nth;
		iommu_gather_init(&gather, domain);
		int error = iommu_map(domain, iova(BASE), &extent, 1, IOMMU_READ, &gather);
		bench.test.fail_at = 0;
		KTAP_EQUAL(iommu_flush(&gather), 0);
		done = !error;
		if (!done) {
			KTAP_EQUAL(error, -ENOMEM);
			KTAP_EQUAL(bench.model->run_count, runs);
			KTAP_EQUAL(fetch(&bench, 0, BASE, 16), 0);
			KTAP_CHECK(all_are(bench.model->engines[0].buffer, 16, 0xff));
		}
	}
	KTAP_CHECK(done);
	page_unmap(domain, BASE);
	domain_delete(&bench, 0, domain);
	page_delete(&bench, page);
	KTAP_EQUAL(bench_reports(&bench), 0);
	bench_down(&bench);
}

static void request_modes(void)
{
	struct bench bench;

	bench_up(&bench, "qemu-7.2"); /* no PASIDs, no page requests: never switched on */
	struct dma_engine *engine = &bench.model->engines[0].engine;
	const struct dma_request_mode plain = {0}, requests = {.page_requests = true},
				      pasid = {.has_pasid = true, .pasid = 5},
				      wide = {.has_pasid = true, .pasid = 1 << 20},
				      rank = {.privileged = true},
				      all = {.ats = true, .page_requests = true};
	KTAP_EQUAL(engine->ops->request_mode(engine, &plain), 0);
	KTAP_EQUAL(engine->ops->request_mode(engine, &pasid), -EOPNOTSUPP);
	KTAP_EQUAL(engine->ops->request_mode(engine, &all), -EOPNOTSUPP);
	KTAP_EQUAL(engine->ops->request_mode(engine, &requests), -EINVAL);
	KTAP_EQUAL(engine->ops->request_mode(engine, &wide), -EINVAL);
	KTAP_EQUAL(engine->ops->request_mode(engine, &rank), -EINVAL);
	KTAP_EQUAL(engine->ops->resume(engine), -ENOENT);
	KTAP_EQUAL(fetch(&bench, 0, BASE, 0), -EINVAL);
	KTAP_EQUAL(fetch(&bench, 0, UINT64_MAX, 2), -EINVAL);
	KTAP_EQUAL(fetch(&bench, 0, BASE, MODEL_BUFFER_BYTES + 1), -EINVAL);
	bench_down(&bench);
}

/* Let the device use ATS and page requests, whatever the driver makes of them: bits DTE and
 * PRE of its scalable-mode context entry (9.4), before the unit has seen it. The driver's
 * own handlers are kept away: the test answers. */
static void switch_on(struct bench *bench, struct iommu_domain *domain)
{
	struct model_engine *engine = &bench->model->engines[0];
	struct iommu_device *device = engine->pci.iommu;
	struct iommu_unit *unit = device->unit;
	struct iommu_walk walk = {0};

	(void)domain;
	unit->ops->walk(unit, device->desc.rid, IOMMU_NO_PASID, iova(BASE), IOMMU_READ, &walk);
	KTAP_CHECK(walk.count >= 2 && !strcmp(walk.steps[1].table, "context"));
	uint64_t *context = iommu_os_va(&bench->model->os, walk.steps[1].entry_pa);
	*context |= 1 << 2 | 1 << 4;
	bench->model->core_unit = NULL;
	memset(bench->model->messages, 0, sizeof(bench->model->messages));
	KTAP_EQUAL(device->desc.capabilities_set(device->desc.capabilities_ctx, true, false, true),
	           0);
}

static void translation_cache(void)
{
	struct bench bench;
	struct scn_model_counts now;
	const struct dma_request_mode mode = {.ats = true}, plain = {0};

	bench_up(&bench, "nesting");
	const struct scn_model *scn = &bench.model->scn;
	struct model_engine *self = &bench.model->engines[0];
	struct iommu_device *device = self->pci.iommu;
	struct iommu_domain *domain = domain_new(&bench, 0);
	pa_t page = page_new(&bench);
	uint8_t *memory = iommu_os_va(&bench.model->os, page);
	memset(memory, 0x33, PAGE_SIZE_4K);
	page_map(domain, BASE, page);
	switch_on(&bench, domain);
	KTAP_EQUAL(self->engine.ops->request_mode(&self->engine, &mode), 0);
	KTAP_EQUAL(fetch(&bench, 0, BASE, 512), 0);
	KTAP_CHECK(all_are(self->buffer, 512, 0x33));
	scn->counts(scn->ctx, &now);
	KTAP_EQUAL(now.device_misses, 1);
	KTAP_EQUAL(now.device_hits, 0);
	KTAP_EQUAL(store(&bench, 0, BASE + 1024, 512), 0);
	scn->counts(scn->ctx, &now);
	KTAP_EQUAL(now.device_misses, 1);
	KTAP_EQUAL(now.device_hits, 1);
	/* not mapped: the device learns it, and nothing is recorded */
	KTAP_EQUAL(fetch(&bench, 0, BASE + PAGE_SIZE_4K, 64), -EIO);
	KTAP_CHECK(all_are(self->buffer, 64, 0xff));
	KTAP_EQUAL(bench.core.fault_count, 0);
	/* switched off, it forgets, and asks no more */
	KTAP_EQUAL(
		device->desc.capabilities_set(device->desc.capabilities_ctx, false, false, false),
		0);
	KTAP_CHECK(!self->mode.ats && !self->tlb_entries[0].valid);
	KTAP_EQUAL(self->engine.ops->request_mode(&self->engine, &mode), -EOPNOTSUPP);
	KTAP_EQUAL(self->engine.ops->request_mode(&self->engine, &plain), 0);
	KTAP_EQUAL(fetch(&bench, 0, BASE, 512), 0);
	KTAP_CHECK(all_are(self->buffer, 512, 0x33));
	page_unmap(domain, BASE);
	domain_delete(&bench, 0, domain);
	page_delete(&bench, page);
	bench_down(&bench);
}

/* The answer of software, as the unit would send it to the device. */
static void answer(struct model_engine *self, uint8_t response)
{
	const struct model_event event = {.kind = MODEL_EVENT_PAGE_RESPONSE,
	                                  .requester = self->pci.rid,
	                                  .group = self->transfer.group,
	                                  .response = response};

	model_platform_lock(self->platform);
	model_engine_response(self, &event);
	model_platform_unlock(self->platform);
}

static void page_requests(void)
{
	struct bench bench;
	struct scn_model_counts now;
	const struct dma_request_mode mode = {.ats = true, .page_requests = true};
	enum { PQA = 0xd0 };

	bench_up(&bench, "nesting");
	const struct scn_model *scn = &bench.model->scn;
	struct model_engine *self = &bench.model->engines[0];
	struct dma_engine *engine = &self->engine;
	struct iommu_domain *domain = domain_new(&bench, 0);
	pa_t page = page_new(&bench), queue = page_new(&bench);
	memset(iommu_os_va(&bench.model->os, page), 0x44, PAGE_SIZE_4K);
	page_map(domain, BASE, page);
	switch_on(&bench, domain);
	uint64_t before = model_read(bench.model->unit, PQA, 8);
	if (!before)
		model_write(bench.model->unit, PQA, 8, queue.value);
	KTAP_EQUAL(engine->ops->request_mode(engine, &mode), 0);

	/* the second page of the transfer is missing, and comes */
	KTAP_EQUAL(fetch(&bench, 0, BASE + 0xf00, 512), -EAGAIN);
	scn->counts(scn->ctx, &now);
	KTAP_EQUAL(now.page_requests, 1);
	KTAP_EQUAL(engine->ops->resume(engine), -EAGAIN); /* no answer yet */
	page_map(domain, BASE + PAGE_SIZE_4K, page);
	answer(self, 0);
	KTAP_EQUAL(engine->ops->resume(engine), 0);
	KTAP_CHECK(all_are(self->buffer, 512, 0x44));
	KTAP_EQUAL(engine->ops->resume(engine), -ENOENT);

	/* the answer is no */
	KTAP_EQUAL(fetch(&bench, 0, BASE + 0x2000, 64), -EAGAIN);
	answer(self, 1);
	KTAP_EQUAL(engine->ops->resume(engine), -EIO);
	KTAP_CHECK(all_are(self->buffer, 64, 0xff));

	/* the answer is yes, and is a lie: the device gives up in the end */
	KTAP_EQUAL(store(&bench, 0, BASE + 0x3000, 64), -EAGAIN);
	int error = -EAGAIN;
	for (unsigned i = 0; i < 50 && error == -EAGAIN; i++) {
		answer(self, 0);
		error = engine->ops->resume(engine);
	}
	KTAP_EQUAL(error, -EIO);

	/* a new mode ends what waits */
	KTAP_EQUAL(fetch(&bench, 0, BASE + 0x4000, 64), -EAGAIN);
	KTAP_EQUAL(engine->ops->request_mode(engine, &mode), 0);
	KTAP_EQUAL(engine->ops->resume(engine), -ENOENT);
	KTAP_EQUAL(bench.core.fault_count, 0);

	if (!before)
		model_write(bench.model->unit, PQA, 8, 0);
	page_unmap(domain, BASE);
	page_unmap(domain, BASE + PAGE_SIZE_4K);
	domain_delete(&bench, 0, domain);
	page_delete(&bench, page);
	page_delete(&bench, queue);
	bench_down(&bench);
}

static void counts(void)
{
	struct bench bench;
	struct scn_model_counts cold, warm;

	bench_up(&bench, "nesting");
	const struct scn_model *scn = &bench.model->scn;
	struct iommu_domain *domain = domain_new(&bench, 0);
	pa_t page = page_new(&bench);
	page_map(domain, BASE, page);
	KTAP_EQUAL(fetch(&bench, 0, BASE, 64), 0);
	scn->counts(scn->ctx, &cold);
	KTAP_CHECK(!cold.last_cached);
	/* one stage, whichever the driver prefers, and one entry a level */
	KTAP_CHECK(cold.last_first + cold.last_second >= 4);
	KTAP_CHECK(!cold.last_first || !cold.last_second);
	KTAP_EQUAL(fetch(&bench, 0, BASE + 64, 64), 0);
	scn->counts(scn->ctx, &warm);
	KTAP_CHECK(warm.last_cached);
	KTAP_EQUAL(warm.last_first + warm.last_second, 0);
	KTAP_EQUAL(warm.first_steps + warm.second_steps, cold.first_steps + cold.second_steps);
	KTAP_EQUAL(warm.iotlb_hits, cold.iotlb_hits + 1);
	KTAP_CHECK(warm.requests > cold.requests);
	page_unmap(domain, BASE);
	domain_delete(&bench, 0, domain);
	page_delete(&bench, page);
	bench_down(&bench);
}

static const struct ktap_case cases[] = {
	{"everything from the model is labelled", labels},
	{"every preset: up, DMA both ways, unmapped is blocked; plain, random, cruel", presets},
	{"an address that is nobody's is a failed access", wild_addresses},
	{"two views of memory, one of which changes only when cleaned", two_views},
	{"a stale translation is reported, counted, and said in the log", stale_is_reported},
	{"a freed table that is still reached is reported", freed_is_reported},
	{"commands that never end, and shapes that cannot be", commands_that_never_end},
	{"failing allocations on the way up", failing_allocations},
	{"failing allocations while mapping", failing_maps},
	{"request modes that a device does not have", request_modes},
	{"translations kept by a device", translation_cache},
	{"page requests: yes, no, and yes without a page", page_requests},
	{"steps of walks are counted", counts},
};

KTAP_MAIN(cases)
