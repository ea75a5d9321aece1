/* SPDX-License-Identifier: MIT */
/*
 * Running: lines one by one, outcomes against promises, steps as KTAP test points.
 *
 * A step is a test point. Its lines stand above it as "# ..." with what each did.
 * After the first line of a step that does not do what it says the step's other
 * lines are left out, for they build on it; later steps run. Lines in front of
 * the first step make a point of their own if they do anything.
 */
#include "iommu/string.h"
#include "kernel/scn_state.h"
#include "model/model.h"

enum { TEXT_WIDTH = 50 };

/* ---- one line ------------------------------------------------------------------------ */

void scn_listing(struct scn *scn)
{
	if (!scn->shell)
		iommu_printf(&scn->out.print, "%.*s\n", (int)scn->line->length, scn->line->shown);
	scn->listed = true;
	scn->out.indent += scn->shell ? 0 : 2;
}

static bool alternative_holds(struct scn *scn, const struct scn_result *result,
                              const struct scn_alternative *alternative)
{
	struct iommu_fault fault;
	bool fits;

	switch (alternative->what) {
	case SCN_EXPECT_OK:
		return !result->error && !result->faults && !result->value_bad;
	case SCN_EXPECT_ERRNO:
		return result->error == -alternative->error && !result->faults;
	case SCN_EXPECT_VALUE:
		if (result->error || !result->has_value)
			return false;
		if (alternative->is_number)
			return !result->word && result->number == alternative->number;
		return result->word && scn_same(result->word, alternative->text);
	case SCN_EXPECT_REPORT:
		/* any other report has broken the line by now */
		return result->reports_wanted > 0 && !result->error;
	case SCN_EXPECT_FAULT:
		fits = result->faults > 0;
		for (uint64_t at = result->fault_from + 1; fits && at <= result->fault_to; at++)
			if (iommu_fault_get(scn->platform->iommu, at, &fault) &&
			    scn_fault_is_ours(result, &fault))
				fits = scn_fault_fits(scn, result, &fault, alternative);
		return fits;
	}
	return false;
}

static bool outcome_holds(struct scn *scn, const struct scn_line *line,
                          const struct scn_result *result)
{
	static const struct scn_alternative ok = {.what = SCN_EXPECT_OK};

	if (result->broken)
		return false;
	if (line->expect.reports_due && !result->reports_wanted)
		return false;
	if (line->expect.count == 0)
		return alternative_holds(scn, result, &ok);
	for (unsigned i = 0; i < line->expect.count; i++)
		if (alternative_holds(scn, result, &line->expect.any[i]))
			return true;
	return false;
}

static const char *errno_means(int error)
{
	switch (error < 0 ? -error : error) {
	case EBUSY:
		return "in use";
	case EINVAL:
		return "not valid";
	case EOPNOTSUPP:
		return "not supported";
	case ENOENT:
		return "no such object";
	case EEXIST:
		return "is there already";
	case EFAULT:
		return "no such memory";
	case ENOSPC:
		return "no room";
	case ENOMEM:
		return "no memory";
	case EADDRINUSE:
		return "addresses in use";
	case ENODEV:
		return "no such device, or no unit for it";
	case ETIMEDOUT:
		return "no answer in time";
	case EOVERFLOW:
		return "too large";
	case E2BIG:
		return "too big";
	case EPERM:
		return "not permitted";
	default:
		return NULL;
	}
}

/* What happened, in a few words. */
static void outcome_text(struct scn *scn, const struct scn_result *result, char *out, size_t size)
{
	char name[24], number[24];
	struct iommu_fault fault;

	if (result->broken) {
		iommu_snprintf(out, size, "%s", result->text);
	} else if (result->reports_wanted) {
		const struct scn_model *model = scn->platform->model;
		iommu_snprintf(out, size, "%s%s%s", model->last_report(model->ctx, NULL),
		               result->text[0] ? "; " : "", result->text);
	} else if (result->faults) {
		iommu_snprintf(out, size, "blocked");
		for (uint64_t at = result->fault_from + 1; at <= result->fault_to; at++) {
			if (iommu_fault_get(scn->platform->iommu, at, &fault) &&
			    scn_fault_is_ours(result, &fault)) {
				iommu_snprintf(out, size, "blocked: %s %#x, %s",
				               fault.mnemonic ? fault.mnemonic : "reason",
				               fault.reason, fault.text ? fault.text : "not named");
				break;
			}
		}
	} else if (result->error) {
		const char *means = errno_means(result->error);
		iommu_snprintf(out, size, "%s%s%s%s%s%s", scn_errno_text(result->error, name),
		               means ? " (" : "", means ? means : "", means ? ")" : "",
		               result->text[0] ? ": " : "", result->text);
	} else if (result->has_value) {
		const char *value = result->word;
		if (!value && result->size) {
			value = scn_size_text(result->number, number);
		} else if (!value) {
			iommu_snprintf(number, sizeof(number),
			               result->number < 100000 ? "%llu" : "%#llx",
			               (unsigned long long)result->number);
			value = number;
		}
		iommu_snprintf(out, size, "%s%s%s", value, result->text[0] ? ": " : "",
		               result->text);
	} else {
		iommu_snprintf(out, size, "ok%s%s", result->text[0] ? ": " : "", result->text);
	}
}

static void promise_text(const struct scn_expectation *expect, char *out, size_t size)
{
	size_t at = 0;

	if (expect->count == 0) {
		iommu_snprintf(out, size, "it must succeed");
		return;
	}
	for (unsigned i = 0; i < expect->count && at < size; i++) {
		const struct scn_alternative *alternative = &expect->any[i];
		bool fault = alternative->what == SCN_EXPECT_FAULT;
		at += (size_t)iommu_snprintf(out + at, size - at, "%s%s",
		                             i ? " or " : "promised: ", fault ? "fault " : "");
		if (at < size)
			at += (size_t)iommu_snprintf(out + at, size - at, "%s",
			                             alternative->text ? alternative->text : "?");
	}
	for (unsigned kind = 0; kind < MODEL_REPORT_KINDS && at < size; kind++)
		if (expect->reports_due >> kind & 1)
			at += (size_t)iommu_snprintf(
				out + at, size - at, ", and the model's report: %s",
				model_report_name((enum model_report_kind)kind));
}

static void outcome_print(struct scn *scn, const struct scn_line *line,
                          const struct scn_result *result, bool held)
{
	struct iommu_print *to = &scn->out.print;
	char text[448], promise[160];

	outcome_text(scn, result, text, sizeof(text));
	promise_text(&line->expect, promise, sizeof(promise));
	if (scn->shell) {
		if (held && scn->listed && !result->has_value && !result->text[0])
			return; /* the listing says it all */
		if (held)
			iommu_printf(to, "%s\n", text);
		else if (line->expect.count)
			iommu_printf(to, "NOT AS PROMISED: %s; %s\n", text, promise);
		else
			iommu_printf(to, "%s%s\n",
			             result->error && !result->broken ? "refused: " : "", text);
		return;
	}
	if (scn->listed && held && !result->has_value && !result->error)
		return;
	if (held && scn->listed) {
		iommu_printf(to, "=> %s\n", text);
	} else if (held) {
		iommu_printf(to, "%-*.*s %s %s\n", TEXT_WIDTH, (int)line->length, line->shown,
		             line->expect.count ? "=>" : "  ", text);
	} else {
		iommu_printf(to, "%s\n", line->text);
		iommu_printf(to, "  ^ FAILED, line %u: %s; %s\n", line->number, text, promise);
	}
}

bool scn_line_run(struct scn *scn, const struct scn_line *line)
{
	struct scn_result result = {0};
	unsigned indent = scn->out.indent;
	struct scn_report_mark mark;
	char why[96];

	scn->line = line;
	scn->listed = false;
	for (unsigned i = 0; i < line->condition_count; i++) {
		if (!scn_condition_holds(scn, &line->conditions[i], why, sizeof(why))) {
			if (scn->shell)
				iommu_printf(&scn->out.print, "left out: %s\n", why);
			scn->left_out++;
			return true;
		}
	}
	scn_reports_begin(scn, line, &mark);
	line->command->run(scn, line, &result);
	scn_reports_end(scn, &mark, &result);
	bool held = outcome_holds(scn, line, &result);
	if (!(line->command->flags & SCN_IS_SAY))
		outcome_print(scn, line, &result, held);
	scn->out.indent = indent;
	if (result.fault_to > result.fault_from) {
		scn->out.indent += 2;
		scn_faults_show(scn, &result);
		scn->out.indent = indent;
	}
	return held;
}

/* ---- steps ------------------------------------------------------------------------------ */

/* Does the line do more than tell or ask? Such lines before the first step are a step. */
static bool is_work(const struct scn_line *line)
{
	return !(line->command->flags & (SCN_IS_SAY | SCN_IS_NEED | SCN_IS_STEP));
}

static bool has_setup(const struct scn_program *program)
{
	for (size_t i = 0; i < program->line_count; i++) {
		if (program->lines[i].command->flags & SCN_IS_STEP)
			return false;
		if (is_work(&program->lines[i]))
			return true;
	}
	return false;
}

static unsigned points_of(const struct scn_program *program)
{
	unsigned points = program->step_count + has_setup(program);
	return points ? points : 1; /* nothing but talk: one point all the same */
}

enum step_outcome { STEP_PASSED, STEP_SKIPPED, STEP_FAILED };

struct run {
	const struct scn_platform *platform;
	const struct scn_program *program;
	struct scn *scn;
	unsigned point; /* KTAP number of the last point printed */
	unsigned passed, failed, skipped;
	bool skip_all; /* a need in front of all steps is not met */
	char why[96];  /* what is missing */
};

static void point_print(struct run *run, const char *name, enum step_outcome outcome)
{
	struct iommu_print *to = run->platform->out;

	run->point++;
	if (outcome == STEP_FAILED)
		run->failed++;
	else if (outcome == STEP_SKIPPED)
		run->skipped++;
	else
		run->passed++;
	iommu_printf(to, "%s %u - %s", outcome == STEP_FAILED ? "not ok" : "ok", run->point, name);
	if (outcome == STEP_SKIPPED)
		iommu_printf(to, " # SKIP %s", run->why);
	iommu_printf(to, "\n");
}

/* Are the conditions of a `need` met? If not, say so once. */
static bool need_is_met(struct run *run, const struct scn_line *line)
{
	for (unsigned i = 0; i < line->condition_count; i++) {
		if (!scn_condition_holds(run->scn, &line->conditions[i], run->why,
		                         sizeof(run->why))) {
			iommu_printf(&run->scn->out.print, "SKIP: %s (%s, line %u)\n", run->why,
			             run->program->title, line->number);
			return false;
		}
	}
	return true;
}

/* Run lines [from, to) as one step. */
static enum step_outcome step_run(struct run *run, size_t from, size_t to)
{
	struct scn *scn = run->scn;
	enum step_outcome outcome = STEP_PASSED;
	size_t left_out = 0;

	if (run->skip_all)
		return STEP_SKIPPED;
	for (size_t i = from; i < to; i++) {
		const struct scn_line *line = &run->program->lines[i];
		if (outcome == STEP_FAILED) {
			left_out++;
			continue;
		}
		if (line->command->flags & SCN_IS_NEED) {
			if (!need_is_met(run, line))
				return STEP_SKIPPED;
		} else if (!scn_line_run(scn, line)) {
			outcome = STEP_FAILED;
		}
	}
	if (scn->left_out)
		iommu_printf(&scn->out.print, "(%u line%s left out: not for this machine)\n",
		             scn->left_out, scn->left_out == 1 ? "" : "s");
	scn->left_out = 0;
	if (left_out)
		iommu_printf(&scn->out.print, "%llu further line%s of this step left out\n",
		             (unsigned long long)left_out, left_out == 1 ? "" : "s");
	return outcome;
}

static size_t step_end(const struct scn_program *program, size_t from)
{
	while (from < program->line_count && !(program->lines[from].command->flags & SCN_IS_STEP))
		from++;
	return from;
}

/* The whole program: the last point waits until everything is given back. */
static void program_run(struct run *run)
{
	const struct scn_program *program = run->program;
	struct iommu_print *to = run->platform->out;
	size_t at = step_end(program, 0), first = at;
	const char *name = "Setup";
	enum step_outcome outcome;

	run->scn->out.indent = 2;
	for (size_t i = 0; i < first && !run->skip_all; i++) { /* needs come first of all */
		const struct scn_line *line = &program->lines[i];
		if (line->command->flags & SCN_IS_NEED && !need_is_met(run, line))
			run->skip_all = true;
	}
	outcome = step_run(run, 0, first);
	if (outcome == STEP_SKIPPED)
		run->skip_all = true;
	bool pending = has_setup(program) || at == program->line_count;
	if (!pending && outcome == STEP_FAILED)
		pending = true; /* cannot be: talk does not fail */
	while (at < program->line_count) {
		if (pending)
			point_print(run, name, outcome);
		pending = true;
		name = program->lines[at].args[0].text;
		size_t end = step_end(program, at + 1);
		if (!run->skip_all)
			iommu_printf(to, "#\n# %s\n", name);
		outcome = step_run(run, at + 1, end);
		at = end;
	}
	if (!scn_finish(run->scn))
		outcome = STEP_FAILED;
	point_print(run, name, outcome);
}

/* No session: every point fails. */
static void program_cannot_run(struct run *run, int error)
{
	char name[24];

	iommu_printf(run->platform->out, "# %s cannot start: %s\n", run->program->title,
	             scn_errno_text(error, name));
	for (unsigned i = points_of(run->program); i > 0; i--)
		point_print(run, "not run", STEP_FAILED);
}

static void units_print(const struct scn_platform *platform)
{
	struct iommu_print *to = platform->out;

	iommu_printf(to, "# on %s:", platform->machine ? platform->machine : "this machine");
	if (!platform->iommu->units)
		iommu_printf(to, " no IOMMU");
	for (struct iommu_unit *unit = platform->iommu->units; unit; unit = unit->next)
		iommu_printf(to, " %s%s", unit->name,
		             !unit->enabled                      ? " (off)"
		             : unit->mode == IOMMU_MODE_SCALABLE ? " (scalable mode)"
		             : unit->mode == IOMMU_MODE_LEGACY   ? " (legacy mode)"
		                                                 : "");
	iommu_printf(to, "\n");
}

enum scn_verdict scn_run(const struct scn_platform *platform, struct scn_program *const *programs,
                         size_t count)
{
	struct iommu_print *to = platform->out;
	enum scn_verdict verdict = SCN_SKIPPED;
	unsigned points = 0, point = 0;

	for (size_t i = 0; i < count; i++)
		points += points_of(programs[i]);
	iommu_printf(to, "KTAP version 1\n1..%u\n", points);
	for (size_t i = 0; i < count; i++) {
		struct run run = {.platform = platform, .program = programs[i], .point = point};
		iommu_printf(to, "# %s\n", programs[i]->title);
		units_print(platform);
		int error = scn_start(platform, false, &run.scn);
		if (error)
			program_cannot_run(&run, error);
		else
			program_run(&run);
		point = run.point;
		unsigned all = run.passed + run.failed + run.skipped;
		if (run.skipped == all)
			iommu_printf(to, "# %s: skipped, not passed: %s\n", programs[i]->title,
			             run.why);
		else
			iommu_printf(to, "# %s: %u of %u step%s passed", programs[i]->title,
			             run.passed, all, all == 1 ? "" : "s");
		if (run.skipped && run.skipped != all)
			iommu_printf(to, ", %u skipped", run.skipped);
		if (run.failed)
			iommu_printf(to, ", %u FAILED", run.failed);
		if (run.skipped != all)
			iommu_printf(to, "\n");
		if (run.failed)
			verdict = SCN_FAILED;
		else if (run.passed && verdict == SCN_SKIPPED)
			verdict = SCN_PASSED;
	}
	return verdict;
}

/* ---- the shell's single lines ------------------------------------------------------------ */

int scn_open(const struct scn_platform *platform, struct scn **out)
{
	return scn_start(platform, true, out);
}

void scn_close(struct scn *scn)
{
	(void)scn_finish(scn); /* it says itself what stayed */
}

bool scn_command(struct scn *scn, const char *text)
{
	struct scn_symbol *symbols = scn_alloc(scn, SCN_SYMBOLS * sizeof(*symbols));
	struct scn_program *program = NULL;
	unsigned count = 0;
	bool held = false;

	if (!symbols) {
		iommu_printf(&scn->out.print, "no memory\n");
		return false;
	}
	for (struct scn_object *object = scn->objects; object && count < SCN_SYMBOLS;
	     object = object->next) {
		memcpy(symbols[count].name, object->name, sizeof(symbols[count].name));
		symbols[count++].kind = object->kind;
	}
	int error = scn_parse_with(scn->os, "shell", text, scn_length(text), symbols, count, true,
	                           &scn->out.print, &program);
	if (!error) {
		held = program->line_count == 0 || scn_line_run(scn, &program->lines[0]);
		scn_program_free(program);
	} else if (error == -ENOMEM) {
		iommu_printf(&scn->out.print, "no memory\n");
	}
	scn->line = NULL;
	scn_free(scn, symbols, SCN_SYMBOLS * sizeof(*symbols));
	return held;
}
