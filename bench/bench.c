/* SPDX-License-Identifier: MIT */
/* The runner: see bench.h. */
#include "bench/bench.h"

#include "iommu/string.h"
#include "vtd/domain.h"
#include "vtd/unit.h"

enum { RUNS_EXACT = 5, RUNS_TIMED = 31, RUNS_MOST = 31 };

/* ---- counts ------------------------------------------------------------------------------ */

static struct pt *watched_table(const struct bench *bench)
{
	struct vtd_domain *domain = bench->watched ? vtd_domain_check(bench->watched) : NULL;

	return bench->table ? bench->table : domain ? &domain->pt : NULL;
}

static void counts_read(const struct bench *bench, struct bench_counts *out)
{
	const struct vtd_unit *unit = bench->vtd;
	const struct pt *table = watched_table(bench);

	*out = (struct bench_counts){0};
	if (unit) {
		for (unsigned type = 0; type < VTD_DESC_TYPES; type++)
			out->descriptors += unit->stats.descriptors[type];
		out->waits = unit->stats.descriptors[VTD_DESC_WAIT];
		out->descriptors -= out->waits;
		out->cleans = unit->stats.cleans;
		out->mmio = unit->window.reads + unit->window.writes;
	}
	if (table) {
		out->stores = table->stores;
		out->cleans += table->cleans;
	}
}

static void counts_since(const struct bench *bench, const struct bench_counts *from,
                         struct bench_counts *out)
{
	counts_read(bench, out);
	out->stores -= from->stores;
	out->cleans -= from->cleans;
	out->descriptors -= from->descriptors;
	out->waits -= from->waits;
	out->mmio -= from->mmio;
}

/* ---- printing ------------------------------------------------------------------------------ */

static void head_print(const struct bench *bench)
{
	if (bench->raw)
		return;
	iommu_printf(bench->out, "%-48s %14s %8s %8s %6s %6s %6s\n", "operation", bench->unit,
	             "stores", "cleans", "desc", "waits", "mmio");
}

static void row_print(struct bench *bench, const struct bench_row *row, uint64_t ticks,
                      const struct bench_counts *counts)
{
	uint64_t inner = row->inner ? row->inner : 1;
	const char *column = bench->coherent ? "coherent" : bench->column;

	bench->rows++;
	if (bench->raw) {
		iommu_printf(bench->out,
		             "@bench\t%s\t%s\t%s\t%llu\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t"
		             "%s\t%llu\n",
		             row->name, column, bench->unit, (unsigned long long)ticks,
		             row->per ? row->per : "call", (unsigned long long)inner,
		             (unsigned long long)counts->stores, (unsigned long long)counts->cleans,
		             (unsigned long long)counts->descriptors,
		             (unsigned long long)counts->waits, (unsigned long long)counts->mmio,
		             row->series ? row->series : "-", (unsigned long long)row->size);
		return;
	}
	iommu_printf(bench->out, "%-48s %14llu %8llu %8llu %6llu %6llu %6llu%s", row->name,
	             (unsigned long long)ticks, (unsigned long long)counts->stores,
	             (unsigned long long)counts->cleans, (unsigned long long)counts->descriptors,
	             (unsigned long long)counts->waits, (unsigned long long)counts->mmio,
	             bench->coherent ? "  coherent" : "");
	if (inner > 1) {
		uint64_t hundredths = ticks * 100 / inner;
		iommu_printf(bench->out, "  %llu.%02llu a %s",
		             (unsigned long long)(hundredths / 100),
		             (unsigned long long)(hundredths % 100), row->per ? row->per : "call");
	}
	iommu_printf(bench->out, "\n");
}

void bench_figure(struct bench *bench, const char *name, uint64_t value, const char *unit)
{
	bench->rows++;
	if (bench->raw)
		iommu_printf(bench->out,
		             "@bench\t%s\t%s\t%s\t%llu\tfigure\t1\t0\t0\t0\t0\t0\t-\t0\n", name,
		             bench->coherent ? "coherent" : bench->column, unit,
		             (unsigned long long)value);
	else
		iommu_printf(bench->out, "%-48s %14llu %s\n", name, (unsigned long long)value,
		             unit);
}

static void failure_print(struct bench *bench, const char *name, const char *what, int error)
{
	const char *known = iommu_errno_name(error);

	bench->failures++;
	iommu_printf(bench->out, "bench: %s: %s failed: %s (%d)\n", name, what,
	             known ? known : "error", error);
}

/* ---- measuring -------------------------------------------------------------------------------- */

uint64_t bench_median(uint64_t *ticks, unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		for (unsigned k = i; k && ticks[k - 1] > ticks[k]; k--) {
			uint64_t more = ticks[k - 1];
			ticks[k - 1] = ticks[k];
			ticks[k] = more;
		}
	return ticks[count / 2];
}

/** One run; its ticks, and if @p counts is given what it did. */
static int row_once(struct bench *bench, const struct bench_row *row, uint64_t *ticks,
                    struct bench_counts *counts)
{
	struct bench_counts from;
	int error = 0;

	bench->row = row;
	if (row->before)
		error = row->before(bench);
	if (error == BENCH_NOT_HERE)
		return error;
	if (error) {
		failure_print(bench, row->name, "its preparation", error);
		return error;
	}
	struct pt *table = counts ? watched_table(bench) : NULL;
	if (table)
		table->counting = true;
	counts_read(bench, &from);
	uint64_t state = bench->quiet ? bench->quiet() : 0;
	uint64_t start = bench->clock();
	error = row->run(bench);
	*ticks = bench->clock() - start;
	if (bench->loud)
		bench->loud(state);
	if (error)
		failure_print(bench, row->name, "it", error);
	if (!error && row->seen && (error = row->seen(bench)))
		failure_print(bench, row->name, "looking at its result", error);
	if (counts)
		counts_since(bench, &from, counts);
	if (table && table == watched_table(bench))
		table->counting = false;
	if (!error && row->after && (error = row->after(bench)))
		failure_print(bench, row->name, "undoing it", error);
	return error;
}

static int row_measure(struct bench *bench, const struct bench_row *row, bool slow, uint64_t *out,
                       struct bench_counts *counts)
{
	uint64_t ticks[RUNS_MOST];
	unsigned runs = slow ? 2 : bench->exact ? RUNS_EXACT : RUNS_TIMED;

	/* The first run finds no tables and no slabs; the second is like any later one. The last
	 * counts stores, which costs; of two it is the first that is told. */
	int error = slow ? 0 : row_once(bench, row, &ticks[0], NULL);
	for (unsigned i = 0; i < runs && !error; i++)
		error = row_once(bench, row, &ticks[i], i + 1 == runs ? counts : NULL);
	if (!error)
		*out = slow ? ticks[0] : bench_median(ticks, runs);
	return error;
}

static int nothing(struct bench *bench)
{
	(void)bench;
	return 0;
}

static void overhead_measure(struct bench *bench)
{
	const struct bench_row row = {.name = "nothing", .run = nothing};
	struct bench_counts counts;

	bench->overhead = 0;
	if (row_measure(bench, &row, false, &bench->overhead, &counts))
		bench->overhead = 0;
}

static void stage_run(struct bench *bench, const struct bench_stage *stage)
{
	struct bench_counts counts;
	uint64_t ticks;

	bench->watched = NULL;
	int error = stage->setup ? stage->setup(bench) : 0;
	if (error)
		failure_print(bench, stage->name, "its preparation", error);
	for (const struct bench_row *row = stage->rows; row->name && !error; row++) {
		error = row_measure(bench, row, stage->slow, &ticks, &counts);
		if (!error) {
			ticks = ticks > bench->overhead ? ticks - bench->overhead : 0;
			row_print(bench, row, bench->convert ? bench->convert(ticks) : ticks,
			          &counts);
		} else if (error == BENCH_NOT_HERE) {
			iommu_printf(bench->out,
			             "bench: %s: not measured, its memory cannot be "
			             "had here\n",
			             row->name);
			error = 0;
		}
	}
	if (stage->teardown)
		stage->teardown(bench);
	bench->watched = NULL;
}

static bool is_selected(const struct bench *bench, const char *name)
{
	const char *wanted = bench->selection;

	while (*wanted && *wanted == *name)
		wanted++, name++;
	return !*wanted;
}

/** What the driver's own units do when their table walks snoop: nothing is cleaned. Only
 *  where there are no caches that hardware could miss. */
static void coherent_run(struct bench *bench, const struct bench_stage *stage)
{
	struct vtd_caps *caps = &bench->vtd->caps;
	bool legacy = caps->c, scalable = caps->smpwcs;

	caps->c = caps->smpwcs = bench->coherent = true;
	stage_run(bench, stage);
	caps->c = legacy;
	caps->smpwcs = scalable;
	bench->coherent = false;
}

static const struct bench_stage *const lists[] = {
	bench_object_stages, bench_device_stages, bench_mapping_stages, bench_live_stages,
	bench_engine_stages, bench_dirty_stages,  bench_part_stages,
};

bool bench_run(struct bench *bench)
{
	bench->failures = bench->rows = 0;
	bench->fd = bench->device_fd = -1;
	if (!bench->device)
		bench->device = bench->mock;
	int error = bench_buffers_make(bench);
	if (error) {
		failure_print(bench, "bench", "its memory", error);
		return false;
	}
	overhead_measure(bench);
	if (bench->raw)
		iommu_printf(bench->out, "@overhead\t%llu\n", (unsigned long long)bench->overhead);
	head_print(bench);
	for (unsigned list = 0; list < ARRAY_SIZE(lists); list++) {
		for (const struct bench_stage *stage = lists[list]; stage->name; stage++) {
			if (!is_selected(bench, stage->name))
				continue;
			stage_run(bench, stage);
			if (stage->coherent && bench->simulated && bench->vtd &&
			    !vtd_walks_snoop(bench->vtd))
				coherent_run(bench, stage);
		}
	}
	bench_buffers_free(bench);
	if (!bench->rows)
		iommu_printf(bench->out, "bench: no stage begins with \"%s\"\n", bench->selection);
	return bench->rows && !bench->failures;
}
