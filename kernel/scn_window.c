/* SPDX-License-Identifier: MIT */
/*
 * Deferred invalidation (ufd/nestor.h), and the stale window measured from outside: a device
 * reads what was unmapped, over and over, until it is blocked. Neither the tables nor the
 * core's own notes are asked.
 */
#include "kernel/scn_handlers.h"
#include "ufd/iommufd.h"
#include "ufd/nestor.h"

enum {
	WINDOW_MS = 1000, /* watched, unless told */
	WINDOW_MS_MAX = 60000,
	REPORT_PAUSE_MS = 10, /* a model logs each stale access; this often is often enough */
};

static int option_set(struct scn *scn, uint32_t ioas, uint32_t option, uint64_t value)
{
	struct iommu_option call = {
		.size = sizeof(call),
		.option_id = option,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = ioas,
		.val64 = value,
	};

	return scn_call(scn, scn->fd, IOMMU_OPTION, &call, sizeof(call));
}

/* defer IOAS MAPPINGS [within US] */
SCN_HANDLER(defer)
{
	uint32_t ioas = scn_arg_id(scn, line, 0, result);
	uint64_t count = scn_arg_number(scn, line, 1, 0, result);
	uint64_t us = scn_arg_number(scn, line, 3, NESTOR_DEFER_US_DEFAULT, result);

	if (result->broken)
		return;
	result->error = option_set(scn, ioas, IOMMU_OPTION_NESTOR_DEFER_COUNT, count);
	if (result->error)
		return;
	if (count)
		result->error = option_set(scn, ioas, IOMMU_OPTION_NESTOR_DEFER_US, us);
	if (result->error)
		return;
	if (count)
		scn_note(result, "flushed at %llu mappings, or %llu us after the first",
		         (unsigned long long)count, (unsigned long long)us);
	else
		scn_note(result, "strict: flushed at once");
}

/* One access. True: nothing blocked it. What blocked it is in the result, until the next. */
static bool access_goes(struct scn *scn, struct scn_result *result)
{
	struct dma_engine *engine = result->device->engine;
	iova_t at = iova(result->first);
	uint32_t bytes = (uint32_t)result->bytes;

	iommu_poll(scn->platform->iommu);
	result->fault_from = scn->platform->iommu->fault_count;
	int error = result->access == IOMMU_READ ? engine->ops->fetch(engine, at, bytes)
	                                         : engine->ops->store(engine, at, bytes);
	scn_faults_collect(scn, result, 0);
	return !error && !result->faults;
}

static uint64_t reports(const struct scn *scn)
{
	const struct scn_model *model = scn->platform->model;

	return model ? model->reports(model->ctx, UINT32_MAX) : 0;
}

static uint64_t time_now(const struct scn *scn)
{
	return scn->platform->now_ns(scn->platform->ctx);
}

/* window DEV IOVA [MS] */
SCN_HANDLER(window)
{
	const struct scn_platform *platform = scn->platform;
	struct scn_object *device = scn_arg_object(scn, line, 0, result);
	uint64_t at = scn_arg_number(scn, line, 1, 0, result);
	uint64_t ms = scn_arg_number(scn, line, 2, WINDOW_MS, result);
	uint64_t went = 0, start, now, last = 0;
	bool goes;

	if (!result->broken && ms > WINDOW_MS_MAX)
		scn_broken(result, "a minute is the most");
	if (result->broken)
		return;
	result->device = device;
	result->way = device->way;
	result->access = device->engine->ops->abilities & DMA_CAN_FETCH ? IOMMU_READ : IOMMU_WRITE;
	result->first = at;
	result->bytes = device->engine->ops->granule;
	device->fetched_bytes = 0;
	now = start = time_now(scn);
	do {
		uint64_t before = now, reported = reports(scn);
		ufd_flush_deferred(platform->ufd); /* as whoever waits in this kernel does */
		goes = access_goes(scn, result);
		now = time_now(scn);
		if (goes) {
			went++;
			last = now;
		}
		uint64_t pause = 0;
		if (reports(scn) != reported)
			pause = REPORT_PAUSE_MS * UINT64_C(1000000);
		else if (now == before) /* time that passes only when somebody waits */
			pause = 1;
		for (uint64_t from = now; now - from < pause; now = time_now(scn))
			platform->wait(platform->ctx);
	} while (goes && now - start < ms * 1000000);
	result->has_value = true;
	result->value_bad = goes;
	result->word = goes ? "open" : "closed";
	if (went)
		scn_note(result, "%llu access%s went through, the last %llu us from here",
		         (unsigned long long)went, went == 1 ? "" : "es",
		         (unsigned long long)((last - start) / 1000));
	else
		scn_note(result, "the first access was blocked");
	result->faults = 0; /* it was to come */
	result->fault_from = result->fault_to;
}
