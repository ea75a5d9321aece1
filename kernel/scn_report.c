/* SPDX-License-Identifier: MIT */
/*
 * What the reference model tells, where one stands behind a unit: mistakes that its
 * sanitizer reports, which a line must promise or fail, and counts of table reads.
 */
#include "kernel/scn_handlers.h"

/* ---- reports ------------------------------------------------------------------------- */

bool scn_report_is_promised(const struct scn_line *line)
{
	return line->expect.reports;
}

void scn_reports_begin(struct scn *scn, const struct scn_line *line, struct scn_report_mark *mark)
{
	const struct scn_model *model = scn->platform->model;

	*mark = (struct scn_report_mark){.kinds = line->expect.reports};
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
	if (model->judged)
		model->judged(model->ctx, result->reports);
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

/* n levels of the parent for each of m entries of the guest's table, which are read as
 * well, and n once more for the page itself. */
static void formula_check(uint64_t m, uint64_t n, struct scn_result *result)
{
	uint64_t all;

	if (m > 5 || n > 5) {
		scn_broken(result, "a walk has no more than 5 levels");
		return;
	}
	all = n + m * (n + 1);
	if (result->number == all)
		scn_note(result, "n + m * (n + 1) with m = %llu, n = %llu", (unsigned long long)m,
		         (unsigned long long)n);
	else
		scn_broken(result, "%llu, and n + m * (n + 1) with m = %llu, n = %llu is %llu",
		           (unsigned long long)result->number, (unsigned long long)m,
		           (unsigned long long)n, (unsigned long long)all);
}

/* steps DEV [first|second] [formula LEVELS LEVELS] [-> NAME:number] */
SCN_HANDLER(steps)
{
	const struct scn_object *device = scn_arg_object(scn, line, 0, result);
	const struct scn_model *model = device ? model_of(scn, line->command->name, result) : NULL;
	uint64_t m = scn_arg_number(scn, line, 3, 0, result);
	uint64_t n = scn_arg_number(scn, line, 4, 0, result);
	struct scn_model_counts counts;

	if (device && model && device->device->desc.segment != model->segment)
		scn_broken(result, "%s is not behind the model", device->name);
	if (!model || result->broken)
		return;
	model->counts(model->ctx, &counts);
	result->has_value = true;
	result->number = counts.last_first + counts.last_second;
	if (line->args[1].set)
		result->number = line->args[1].choice == 0 ? counts.last_first : counts.last_second;
	scn_note(result, "%llu of the first stage, %llu of the second%s",
	         (unsigned long long)counts.last_first, (unsigned long long)counts.last_second,
	         counts.last_cached ? ", all from the IOTLB" : "");
	if (line->args[2].set)
		formula_check(m, n, result);
	scn_arg_store(scn, line, 6, result->number, result);
}

/* caches on|keep|off */
SCN_HANDLER(caches)
{
	const struct scn_model *model = model_of(scn, line->command->name, result);

	static const enum scn_model_caches ways[] = {SCN_CACHES_MADE, SCN_CACHES_KEEP,
	                                             SCN_CACHES_NONE};

	if (!model)
		return;
	scn->caches_changed = true;
	model->caches(model->ctx, ways[line->args[0].choice]);
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
