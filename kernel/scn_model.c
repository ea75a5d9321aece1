/* SPDX-License-Identifier: MIT */
/*
 * The model as a platform: its life, the table that the driver finds it in, what it tells,
 * and the interface for scenarios. See scn_model.h.
 */
#include "kernel/scn_model.h"

#include "iommu/string.h"
#include "vtd/vtd.h"

/** When late, a command takes less than this: far below the driver's deadline. */
#define LATE_NS UINT64_C(2000000)

static struct model_platform *platform_of(void *ctx)
{
	return ctx;
}

/* ---- what the model tells -------------------------------------------------------------------------- */

static void message_note(struct model_platform *platform, const struct model_event *event)
{
	for (unsigned i = 0; i < MODEL_MESSAGES; i++) {
		struct model_message *message = &platform->messages[i];
		if (message->handler && message->msi.address == event->address &&
		    message->msi.data == event->data)
			message->pending = true;
	}
}

static void event_hook(void *ctx, const struct model_event *event)
{
	struct model_platform *platform = platform_of(ctx);

	switch (event->kind) {
	case MODEL_EVENT_INTERRUPT:
		message_note(platform, event);
		break;
	case MODEL_EVENT_PAGE_RESPONSE:
		for (unsigned i = 0; i < MODEL_DEVICES; i++)
			model_engine_response(&platform->engines[i], event);
		break;
	case MODEL_EVENT_REPORT:
		platform->reports[event->report->kind]++;
		platform->report_kind = event->report->kind;
		memcpy(platform->report_text, event->report->text, sizeof(platform->report_text));
		iommu_log(platform->base, IOMMU_LOG_ERROR, "%s", platform->report_text);
		break;
	case MODEL_EVENT_WAIT_STATUS:
	case MODEL_EVENT_PAGE_REQUEST:
	case MODEL_EVENT_FAULT:
		break; /* the driver sees them itself */
	}
}

static enum model_device_answer device_invalidate_hook(
	void *ctx, const struct model_device_invalidation *invalidation)
{
	struct model_platform *platform = platform_of(ctx);

	for (unsigned i = 0; i < MODEL_DEVICES; i++) {
		struct model_engine *engine = &platform->engines[i];
		if (engine->tlb.requester != invalidation->requester)
			continue;
		(void)model_device_tlb_invalidate(&engine->tlb, invalidation);
		return engine->allowed_ats ? MODEL_DEVICE_DONE : MODEL_DEVICE_SILENT;
	}
	return MODEL_DEVICE_SILENT; /* nobody has this id */
}

/* ---- for scenarios ------------------------------------------------------------------------------------ */

static uint64_t scn_reports(void *ctx, uint32_t kinds)
{
	struct model_platform *platform = platform_of(ctx);
	uint64_t count = 0;

	model_platform_lock(platform);
	for (unsigned i = 0; i < MODEL_REPORT_KINDS; i++)
		if (kinds >> i & 1)
			count += platform->reports[i];
	model_platform_unlock(platform);
	return count;
}

static void scn_judged(void *ctx, uint64_t count)
{
	platform_of(ctx)->judged += count;
}

uint64_t model_platform_unjudged(struct model_platform *platform)
{
	return scn_reports(platform, UINT32_MAX) - platform->judged;
}

static const char *scn_last_report(void *ctx, unsigned *kind)
{
	const struct model_platform *platform = platform_of(ctx);

	if (kind)
		*kind = platform->report_kind;
	return platform->report_text;
}

static const char *scn_kind_name(void *ctx, unsigned kind)
{
	(void)ctx;
	return kind < MODEL_REPORT_KINDS ? model_report_name((enum model_report_kind)kind) : NULL;
}

static unsigned scn_check(void *ctx)
{
	struct model_platform *platform = platform_of(ctx);

	model_platform_lock(platform);
	unsigned found = model_sanitizer_check(platform->unit);
	model_platform_unlock(platform);
	return found;
}

static void scn_hold(void *ctx, bool hold)
{
	struct model_platform *platform = platform_of(ctx);

	model_platform_lock(platform);
	model_sanitizer_hold(platform->unit, hold);
	model_platform_unlock(platform);
}

static void scn_counts(void *ctx, struct scn_model_counts *out)
{
	struct model_platform *platform = platform_of(ctx);

	model_platform_lock(platform);
	const struct model_statistics *all = model_unit_statistics(platform->unit);
	*out = (struct scn_model_counts){
		.requests = all->requests + all->translations,
		.first_steps = all->first_stage_reads,
		.second_steps = all->second_stage_reads,
		.last_first = platform->last_first,
		.last_second = platform->last_second,
		.last_cached = platform->last_cached,
		.iotlb_hits = all->caches[MODEL_CACHE_IOTLB].hits,
		.iotlb_lookups = all->caches[MODEL_CACHE_IOTLB].lookups,
		.page_requests = all->page_requests,
	};
	for (unsigned i = 0; i < MODEL_DEVICES; i++) {
		out->device_hits += platform->engines[i].tlb.hits;
		out->device_misses += platform->engines[i].tlb.misses;
	}
	model_platform_unlock(platform);
}

static void scn_caches(void *ctx, enum scn_model_caches how)
{
	struct model_platform *platform = platform_of(ctx);

	model_platform_lock(platform);
	model_policy_set(platform->unit, how == SCN_CACHES_KEEP   ? MODEL_POLICY_KEEP
	                                 : how == SCN_CACHES_NONE ? MODEL_POLICY_NONE
	                                                          : platform->config.policy);
	model_platform_unlock(platform);
}

static void scn_pump(void *ctx)
{
	model_platform_pump(ctx);
}

/* ---- the table that the driver finds it in (chapter 8) --------------------------------------------------- */

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void table_make(struct model_platform *platform)
{
	static const char header[] = "DMAR\0\0\0\0\1\0NESTORmodel   ";
	uint64_t window = model_register_bytes(platform->unit);
	uint8_t *table = platform->table;
	uint32_t at = 48;
	uint8_t sum = 0;

	/* The end of what the unit can address: no memory is there. */
	platform->registers = (UINT64_C(1) << platform->config.haw) - window;
	memcpy(table, header, sizeof(header) - 1);
	table[36] = (uint8_t)(platform->config.haw - 1);
	table[37] = platform->config.ecap >> 3 & 1; /* INTR_REMAP as ECAP.IR */
	/* DRHD: everything in a segment of its own; the window has 2^n pages. */
	put(table + at + 2, 16, 2);
	table[at + 4] = 1;
	while (PAGE_SIZE_4K << table[at + 5] < window)
		table[at + 5]++;
	put(table + at + 6, MODEL_SEGMENT, 2);
	put(table + at + 8, platform->registers, 8);
	at += 16;
	if (platform->config.ecap >> 2 & 1) { /* ECAP.DT: ATSR for all ports */
		put(table + at, 2, 2);
		put(table + at + 2, 8, 2);
		table[at + 4] = 1;
		put(table + at + 6, MODEL_SEGMENT, 2);
		at += 8;
	}
	put(table + 4, at, 4);
	for (uint32_t i = 0; i < at; i++)
		sum = (uint8_t)(sum + table[i]);
	table[9] = (uint8_t)-sum;
	platform->table_bytes = at;
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

static void config_make(struct model_platform *platform)
{
	const struct model_platform_options *options = &platform->options;
	uint64_t state = options->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	platform->config = *options->config;
	platform->config.sanitize = true;
	platform->config.report_mask = 0;
	if (options->cruel) {
		struct model_latency *latency = &platform->config.latency;
		platform->config.policy = MODEL_POLICY_KEEP;
		latency->command = random_next(&state) % LATE_NS;
		latency->descriptor = random_next(&state) % (LATE_NS / 8);
		latency->invalidation = random_next(&state) % LATE_NS;
		latency->enhanced = random_next(&state) % LATE_NS;
		latency->device = LATE_NS;
	} else if (options->seed) {
		platform->config.policy = MODEL_POLICY_RANDOM;
		platform->config.seed = options->seed;
	}
	if (!platform->config.latency.device) /* else a device that is late never is */
		platform->config.latency.device = LATE_NS;
}

static int unit_make(struct model_platform *platform)
{
	const struct iommu_os *base = platform->base;
	const struct model_hooks hooks = {
		.context = platform,
		.memory = model_platform_memory,
		.event = event_hook,
		.device_invalidate = device_invalidate_hook,
	};

	const char *refusal = model_config_check(&platform->config);
	if (refusal) {
		iommu_log(base, IOMMU_LOG_ERROR, "model: no such unit can be: %s", refusal);
		return -EINVAL;
	}
	size_t bytes = model_unit_bytes(&platform->config);
	while (PAGE_SIZE_4K << platform->unit_order < bytes)
		platform->unit_order++;
	int error = base->page_alloc(base->ctx, platform->unit_order, &platform->unit_memory);
	if (error)
		return error;
	platform->unit =
		model_unit_init(iommu_os_va(base, platform->unit_memory),
	                        PAGE_SIZE_4K << platform->unit_order, &platform->config, &hooks);
	if (platform->unit)
		return 0;
	base->page_free(base->ctx, platform->unit_memory, platform->unit_order);
	return -EINVAL;
}

static void interface_fill(struct model_platform *platform)
{
	platform->scn = (struct scn_model){
		.ctx = platform,
		.preset = platform->config.name,
		.segment = MODEL_SEGMENT,
		.reports = scn_reports,
		.last_report = scn_last_report,
		.kind_name = scn_kind_name,
		.check = scn_check,
		.judged = scn_judged,
		.hold = scn_hold,
		.counts = scn_counts,
		.caches = scn_caches,
		.pump = scn_pump,
	};
}

int model_platform_init(struct model_platform *platform, const struct iommu_os *base,
                        const struct user_backing *backing,
                        const struct model_platform_options *options)
{
	memset(platform, 0, sizeof(*platform));
	platform->base = base;
	platform->base_backing = backing;
	platform->options = *options;
	config_make(platform);
	int error = base->lock_init(base->ctx, &platform->lock, "model");
	if (error)
		return error;
	error = unit_make(platform);
	if (error) {
		base->lock_destroy(base->ctx, &platform->lock);
		return error;
	}
	model_hooks_fill(platform);
	interface_fill(platform);
	table_make(platform);
	for (unsigned i = 0; i < MODEL_DEVICES; i++)
		model_engine_init(&platform->engines[i], platform);
	platform->ticked_ns = platform->os.now_ns(platform);
	return 0;
}

int model_platform_attach(struct model_platform *platform, struct iommu *core)
{
	const struct iommu_firmware firmware = {platform->table, platform->table_bytes};
	struct iommu_unit *unit;

	platform->core = core;
	platform->probing = true;
	int units = iommu_probe(core, &vtd_driver, &firmware);
	platform->probing = false;
	if (units < 0)
		return units == -ENOMEM ? units : -ENODEV;
	for (unit = core->units; unit && unit->segment != MODEL_SEGMENT; unit = unit->next)
		;
	if (!unit)
		return -ENODEV;
	(void)iommu_snprintf(unit->name, sizeof(unit->name), MODEL_UNIT_NAME);
	platform->core_unit = unit;
	for (unsigned i = 0; i < MODEL_DEVICES; i++) {
		struct model_engine *engine = &platform->engines[i];
		struct iommu_device_desc desc;
		model_engine_describe(engine, i, &desc);
		int error = iommu_device_add(core, &desc, &engine->pci.iommu);
		if (error)
			return error;
		if (i)
			platform->engines[i - 1].engine.next = &engine->engine;
	}
	return 0;
}

struct dma_engine *model_platform_engines(struct model_platform *platform)
{
	return platform->engines[0].pci.iommu ? &platform->engines[0].engine : NULL;
}

void model_platform_exit(struct model_platform *platform)
{
	const struct iommu_os *base = platform->base;

	if (platform->run_count)
		iommu_log(base, IOMMU_LOG_ERROR, "model: %llu runs of memory were not given back",
		          (unsigned long long)platform->run_count);
	for (size_t i = 0; i < platform->run_count; i++) {
		const struct model_run *run = &platform->runs[i];
		unsigned order = 0;
		while (PAGE_SIZE_4K << order < run->bytes)
			order++;
		if (run->table)
			base->page_free(base->ctx, run->second, order);
	}
	if (platform->runs)
		base->page_free(base->ctx, platform->runs_memory, platform->runs_order);
	base->page_free(base->ctx, platform->unit_memory, platform->unit_order);
	base->lock_destroy(base->ctx, &platform->lock);
	*platform = (struct model_platform){0};
}

void model_presets_print(struct iommu_print *to)
{
	for (unsigned i = 0; i < model_preset_count(); i++)
		iommu_printf(to, "  %-20s %s\n", model_preset(i)->name,
		             model_preset(i)->description);
}
