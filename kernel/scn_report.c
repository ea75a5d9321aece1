/* SPDX-License-Identifier: MIT */
/*
 * What the reference model tells, where one stands behind a unit: mistakes that its
 * sanitizer reports, which a line must promise or fail, and counts of table reads.
 */
#include "kernel/scn_handlers.h"
#include "model/model.h"

/* ---- reports ------------------------------------------------------------------------- */

static uint32_t kinds_promised(const struct scn_line *line)
{
	uint32_t kinds = 0;

	for (unsigned i = 0; i < line->expect.count; i++)
		if (line->expect.any[i].what == SCN_EXPECT_REPORT)
			kinds |= UINT32_C(1) << line->expect.any[i].number;
	return kinds;
}

bool scn_report_is_promised(const struct scn_line *line)
{
	return kinds_promised(line);
}

void scn_reports_begin(struct scn *scn, const struct scn_line *line, struct scn_report_mark *mark)
{
	const struct scn_model *model = scn->platform->model;

	*mark = (struct scn_report_mark){.kinds = kinds_promised(line)};
	if (!model)
		return;
	mark->all = model->reports(model->ctx, UINT32_MAX);
	mark->wanted = model->reports(model->ctx, mark->kinds);
}

void scn_reports_end(struct scn *scn, const struct scn_report_mark *mark, struct scn_result *result)
{
	const struct scn_model *model = scn->platform->model;

	if (!model)
		return;
	result->reports = model->reports(model->ctx, UINT32_MAX) - mark->all;
	result->reports_wanted = model->reports(model->ctx, mark->kinds) - mark->wanted;
	if (result->reports == result->reports_wanted)
		return;
	result->broken = false; /* this is the cause of whatever else there is */
	scn_broken(result, "%s", model->last_report(model->ctx, NULL));
}

/* ---- commands ------------------------------------------------------------------------- */

static const struct scn_model *model_of(struct scn *scn, const char *what,
                                        struct scn_result *result)
{
	if (!scn->platform->model)
		scn_broken(result, "%s: only a model can tell, and there is none here", what);
	return scn->platform->model;
}

/* audit */
SCN_HANDLER(audit)
{
	const struct scn_model *model = model_of(scn, line->command->name, result);

	if (!model)
		return;
	unsigned found = model->check(model->ctx);
	scn_note(result, "%u mistake%s", found, found == 1 ? "" : "s");
}

/* steps DEV [first|second] */
SCN_HANDLER(steps)
{
	const struct scn_object *device = scn_arg_object(scn, line, 0, result);
	const struct scn_model *model = device ? model_of(scn, line->command->name, result) : NULL;
	struct scn_model_counts counts;

	if (!model)
		return;
	if (device->device->desc.segment != model->segment) {
		scn_broken(result, "%s is not behind the model", device->name);
		return;
	}
	model->counts(model->ctx, &counts);
	result->has_value = true;
	result->number = counts.last_first + counts.last_second;
	if (line->args[1].set)
		result->number = line->args[1].choice == 0 ? counts.last_first : counts.last_second;
	scn_note(result, "%llu of the first stage, %llu of the second%s",
	         (unsigned long long)counts.last_first, (unsigned long long)counts.last_second,
	         counts.last_cached ? ", all from the IOTLB" : "");
}

/* counts */
SCN_HANDLER(counts)
{
	const struct scn_model *model = model_of(scn, line->command->name, result);
	struct iommu_print *to = &scn->out.print;
	struct scn_model_counts counts;

	if (!model)
		return;
	model->counts(model->ctx, &counts);
	scn_listing(scn);
	iommu_printf(to, "model %s: %llu requests, %llu first-stage and %llu second-stage reads\n",
	             model->preset, (unsigned long long)counts.requests,
	             (unsigned long long)counts.first_steps,
	             (unsigned long long)counts.second_steps);
	iommu_printf(
		to,
		"IOTLB: %llu hits of %llu; devices' own: %llu hits, %llu misses; page "
		"requests: %llu; reports: %llu\n",
		(unsigned long long)counts.iotlb_hits, (unsigned long long)counts.iotlb_lookups,
		(unsigned long long)counts.device_hits, (unsigned long long)counts.device_misses,
		(unsigned long long)counts.page_requests,
		(unsigned long long)model->reports(model->ctx, UINT32_MAX));
}
