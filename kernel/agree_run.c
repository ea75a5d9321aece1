/* SPDX-License-Identifier: MIT */
/*
 * The run: cases in blocks of a family, then the own case of each deviation, then KTAP. A
 * family passes if nothing differed unexplained and if some of its requests went through
 * and some faulted; a run without either proves nothing.
 */
#include "kernel/agree_private.h"

enum {
	BLOCK = 8,       /* cases of one family in a row: a change of mode costs time */
	SHOWN = 12,      /* differences printed in full */
	SHOW_TRIES = 64, /* to draw the own case of a deviation */
	WEAK = 12,       /* a family with fewer cases need not have both outcomes */
};

/* ECAP bits of what has no part in translation, and needs more than capabilities to be
 * modelled: performance counters, virtual commands, cache allocation. */
#define BESIDE (AGREE_BIT(51) | AGREE_BIT(44) | AGREE_BIT(60))

struct family_count {
	uint32_t cases, requests, moved, faulted, deviations, differences;
};

struct totals {
	struct agree_run *run;
	const struct agree_options *options;
	unsigned families[AGREE_FAMILIES], family_count;
	struct family_count counts[AGREE_FAMILIES];
	uint32_t *deviations; /* by index in the table */
	uint32_t printed;
};

/* ---- the model ------------------------------------------------------------------------------ */

static bool memory_read(void *context, uint64_t address, void *out, size_t bytes, bool snooped)
{
	const struct agree_run *run = context;
	const void *from = run->bench->memory(run->bench->ctx, address, bytes);

	(void)snooped; /* each line that this test writes is cleaned at once */
	if (from)
		memcpy(out, from, bytes);
	return from;
}

static bool memory_write(void *context, uint64_t address, const void *in, size_t bytes,
                         bool snooped)
{
	const struct agree_run *run = context;
	void *to = run->bench->memory(run->bench->ctx, address, bytes);

	(void)snooped;
	if (to)
		memcpy(to, in, bytes);
	return to;
}

static enum model_swap memory_swap(void *context, uint64_t address, uint64_t expected,
                                   uint64_t desired)
{
	const struct agree_run *run = context;
	uint64_t *word = run->bench->memory(run->bench->ctx, address, sizeof(*word));

	if (!word)
		return MODEL_SWAP_FAILED;
	if (*word != expected)
		return MODEL_SWAP_CHANGED;
	*word = desired;
	return MODEL_SWAP_DONE;
}

static void model_event(void *context, const struct model_event *event)
{
	struct agree_run *run = context;

	if (event->kind != MODEL_EVENT_REPORT)
		return;
	if (!run->reports++)
		memcpy(run->report, event->report->text, sizeof(run->report));
}

static uint64_t model_register_read(void *ctx, uint32_t offset, unsigned width)
{
	return model_read(ctx, offset, width);
}

static void model_register_write(void *ctx, uint32_t offset, unsigned width, uint64_t value)
{
	model_write(ctx, offset, width, value);
}

static const struct mmio_ops model_registers = {
	.read = model_register_read,
	.write = model_register_write,
};

static const char *model_start(struct agree_run *run, void **memory, size_t *bytes)
{
	const struct agree_bench *bench = run->bench;
	struct model_config config = {
		.name = "agreement",
		.description = "the capabilities of the unit under test",
		.version = mmio_read32(&bench->unit, 0),
		.cap = mmio_read64(&bench->unit, 8),
		.ecap = mmio_read64(&bench->unit, 16) & ~BESIDE,
		.haw = bench->haw,
		.pmr_shift = 21,
		.capacity = {32, 32, 64, 64, 64, 16},
		.sanitize = true,
		/* The others are about tables that are wrong on purpose. */
		.report_mask = 1 << MODEL_REPORT_REGISTER | 1 << MODEL_REPORT_TAIL |
	                       1 << MODEL_REPORT_STALE | 1 << MODEL_REPORT_UNFENCED |
	                       1 << MODEL_REPORT_NOT_AWAITED,
	};
	const struct model_hooks hooks = {
		.context = run,
		.memory = {memory_read, memory_write, memory_swap},
		.event = model_event,
	};
	const char *why = model_config_check(&config);

	if (why)
		return why;
	if (!(config.ecap & 2))
		return "the unit has no invalidation queue (ECAP.QI)";
	*bytes = model_unit_bytes(&config);
	*memory = bench->alloc(bench->ctx, *bytes);
	if (!*memory)
		return "no memory for the model";
	run->model = model_unit_init(*memory, *bytes, &config, &hooks);
	run->side = (struct agree_side){
		.name = "model",
		.bench = bench,
		.window = {.bytes = model_register_bytes(run->model),
	                   .ops = &model_registers,
	                   .ctx = run->model},
		.queue = bench->start + 2 * 4096,
		.cap = config.cap,
		.ecap = config.ecap,
	};
	run->unit = run->side;
	run->unit.name = "unit";
	run->unit.window = bench->unit;
	run->unit.queue = bench->start;
	return NULL;
}

/* ---- cases -------------------------------------------------------------------------------------- */

static bool judge(struct totals *t, struct family_count *count, struct agree_case *c,
                  const struct agree_pair *pair)
{
	const struct agree_deviation *deviation = NULL;
	bool same = agree_pair_same(pair);

	count->requests++;
	count->moved += pair->unit.moved;
	count->faulted += pair->unit.recorded;
	if (!same)
		deviation = agree_deviation_find(c, pair);
	if (deviation) {
		count->deviations++;
		t->deviations[deviation - agree_deviations]++;
	} else if (!same) {
		count->differences++;
	}
	if (t->run->bench->replay || (!same && !deviation && t->printed++ < SHOWN)) {
		agree_case_print(c, pair);
		iommu_printf(t->run->bench->out, "#   %s%s\n",
		             same        ? "the same"
		             : deviation ? "a known deviation: "
		                         : "DIFFERENT",
		             deviation ? deviation->id : "");
	}
	return same;
}

static struct agree_case case_at(struct totals *t, const struct agree_family *family, uint64_t seed,
                                 uint32_t index)
{
	return (struct agree_case){
		.seed = seed,
		.index = index,
		.bench = t->run->bench,
		.family = family,
		.cap = t->run->unit.cap,
		.ecap = t->run->unit.ecap,
		.age = t->run->age,
	};
}

static void case_run(struct totals *t, uint32_t index)
{
	unsigned which = t->families[index / BLOCK % t->family_count];
	struct family_count *count = &t->counts[which];
	struct agree_case c = case_at(t, &agree_families[which], t->options->seed, index);
	const struct agree_wish wish = {0};
	struct agree_pair pair;

	agree_case_build(&c, &wish);
	agree_pair_ask(t->run, &c, false, &pair);
	if (t->run->broken)
		return;
	count->cases++;
	if (!judge(t, count, &c, &pair) || !c.changes)
		return;
	agree_case_change(&c);
	agree_pair_ask(t->run, &c, true, &pair);
	if (!t->run->broken)
		judge(t, count, &c, &pair);
}

static bool begins(const char *name, const char *with)
{
	while (*with && *with == *name)
		with++, name++;
	return !*with;
}

/* Draw the own case of a deviation until it shows. */
static bool deviation_show(struct totals *t, const struct agree_deviation *d)
{
	struct agree_wish wish = {
		.flaw = d->flaw,
		.has_flaw = true,
		.plain = true,
		.rights = d->rights,
		.fpd = d->fpd,
	};

	for (uint32_t tries = 0; tries < SHOW_TRIES && !t->run->broken; tries++) {
		for (unsigned i = 0; i < t->family_count; i++) {
			const struct agree_family *family = &agree_families[t->families[i]];
			struct agree_case c;
			struct agree_pair pair;

			if (!begins(family->name, d->family))
				continue;
			c = case_at(t, family, ~t->options->seed, tries);
			wish.has_write = d->needs & NEEDS_FETCH;
			agree_case_build(&c, &wish);
			agree_pair_ask(t->run, &c, false, &pair);
			if (t->run->broken)
				return false;
			if (!agree_pair_same(&pair) && agree_deviation_find(&c, &pair) == d)
				return true;
		}
	}
	return false;
}

/* ---- the report ------------------------------------------------------------------------------------ */

static bool point(struct iommu_print *out, unsigned *number, bool good)
{
	iommu_printf(out, "%sok %u - ", good ? "" : "not ", ++*number);
	return good;
}

static bool family_report(struct totals *t, unsigned which, unsigned *number)
{
	const struct family_count *count = &t->counts[which];
	struct iommu_print *out = t->run->bench->out;
	bool weak = !count->cases || (count->cases >= WEAK && (!count->moved || !count->faulted));
	bool good = !count->differences && !weak && !t->run->broken;

	good = point(out, number, good);
	iommu_printf(out, "%s: %u cases, %u requests, %u moved data, %u faulted",
	             agree_families[which].name, count->cases, count->requests, count->moved,
	             count->faulted);
	if (count->deviations)
		iommu_printf(out, ", %u known deviations", count->deviations);
	if (count->differences)
		iommu_printf(out, ", %u differences", count->differences);
	iommu_printf(out, "%s\n", weak ? " (too weak: both outcomes are wanted)" : "");
	return good;
}

static bool registers_report(struct totals *t, unsigned *number)
{
	const struct agree_run *run = t->run;
	bool good = point(run->bench->out, number, !run->reports && !run->broken);

	iommu_printf(run->bench->out, "the registers were used as the specification asks%s%s\n",
	             run->reports ? "; " : "", run->reports ? run->report : "");
	return good;
}

/* Of a replay: the one case, which is printed above. */
static bool replay_report(struct totals *t)
{
	struct iommu_print *out = t->run->bench->out;
	uint32_t differences = 0;
	unsigned number = 0;
	bool good;

	for (unsigned i = 0; i < AGREE_FAMILIES; i++)
		differences += t->counts[i].differences;
	iommu_printf(out, "KTAP version 1\n1..2\n");
	good = point(out, &number, !differences && !t->run->broken);
	iommu_printf(out, "case %u agrees, or deviates in a known way\n", t->options->first);
	return registers_report(t, &number) && good;
}

static bool report(struct totals *t)
{
	struct agree_run *run = t->run;
	struct iommu_print *out = run->bench->out;
	unsigned number = 0, deviations = 0;
	bool good = true;

	for (unsigned i = 0; i < agree_deviation_count; i++)
		deviations += agree_deviation_fits(&agree_deviations[i], run->bench, run->unit.ecap,
		                                   run->age);
	iommu_printf(out, "KTAP version 1\n1..%u\n", t->family_count + deviations + 1);
	for (unsigned i = 0; i < t->family_count; i++)
		good = family_report(t, t->families[i], &number) && good;
	for (unsigned i = 0; i < agree_deviation_count; i++) {
		const struct agree_deviation *d = &agree_deviations[i];
		bool shown;

		if (!agree_deviation_fits(d, run->bench, run->unit.ecap, run->age))
			continue;
		shown = deviation_show(t, d);
		good = point(out, &number, shown) && good;
		iommu_printf(out, "deviation %s (%s): %s by its own case, %u times at random\n",
		             d->id, d->section, shown ? "shown" : "NOT shown", t->deviations[i]);
	}
	return registers_report(t, &number) && good;
}

/* What the unit records of a plain write with this flaw, in the first family of that stage. */
static uint64_t probe(struct totals *t, bool scalable, enum agree_stage stage, enum agree_flaw flaw)
{
	const struct agree_wish wish = {
		.flaw = flaw,
		.has_flaw = true,
		.plain = true,
		.write = true,
		.has_write = true,
	};
	struct agree_pair pair;
	struct agree_case c;

	for (unsigned i = 0; i < t->family_count; i++) {
		const struct agree_family *family = &agree_families[t->families[i]];

		if (family->scalable != scalable || family->stage != stage)
			continue;
		c = case_at(t, family, 0, 0);
		agree_case_build(&c, &wish);
		agree_pair_ask(t->run, &c, false, &pair);
		return pair.unit.recorded ? pair.unit.record.high : 0;
	}
	return 0;
}

static enum agree_age age_find(struct totals *t)
{
	uint64_t record = probe(t, false, AGREE_SECOND, FLAW_ENTRY_NO_WRITE);

	if (AGREE_GET(record, 55, 40) != 0xffff)
		return AGREE_NEW;
	record = probe(t, true, AGREE_TABLES_ONLY, FLAW_PASID_ABSENT);
	return AGREE_GET(record, 39, 32) == 0x58 ? AGREE_OLD : AGREE_MIDDLE;
}

static bool run_all(struct totals *t, struct agree_totals *sums)
{
	const struct agree_options *options = t->options;
	bool good;

	for (unsigned i = 0; i < AGREE_FAMILIES; i++)
		if (agree_family_fits(&agree_families[i], t->run->unit.cap, t->run->unit.ecap))
			t->families[t->family_count++] = i;
	t->run->age = age_find(t);
	for (uint32_t i = 0; i < options->count && !t->run->broken; i++)
		case_run(t, options->first + i);
	good = t->run->bench->replay ? replay_report(t) : report(t);
	for (unsigned i = 0; i < AGREE_FAMILIES; i++) {
		sums->cases += t->counts[i].cases;
		sums->moved += t->counts[i].moved;
		sums->faulted += t->counts[i].faulted;
		sums->deviations += t->counts[i].deviations;
		sums->differences += t->counts[i].differences;
	}
	iommu_printf(t->run->bench->out,
	             "# agreement: seed %#llx, %u cases, %u moved data, %u faulted, %u known "
	             "deviations, %u differences\n",
	             (unsigned long long)options->seed, sums->cases, sums->moved, sums->faulted,
	             sums->deviations, sums->differences);
	return good && !t->run->broken;
}

bool agree_run(const struct agree_bench *bench, const struct agree_options *options,
               struct agree_totals *totals)
{
	struct agree_run run = {.bench = bench, .buffer_stale = true};
	struct agree_totals sums = {0};
	struct totals t = {.run = &run, .options = options};
	size_t bytes = 0, counts = (agree_deviation_count + 1) * sizeof(*t.deviations);
	void *memory = NULL;
	const char *why = model_start(&run, &memory, &bytes);
	bool good = false;

	t.deviations = bench->alloc(bench->ctx, counts);
	if (!why && !t.deviations)
		why = "no memory for the counts";
	if (!why && !bench->engine_count)
		why = "no engine masters DMA";
	if (why)
		iommu_printf(bench->out, "KTAP version 1\n1..1\nnot ok 1 - agreement: %s\n", why);
	else
		good = run_all(&t, &sums);
	if (!why && !agree_side_off(&run.unit))
		good = false;
	bench->free(bench->ctx, t.deviations, counts);
	bench->free(bench->ctx, memory, bytes);
	if (totals)
		*totals = sums;
	return good;
}

/* ---- agree= ------------------------------------------------------------------------------------------ */

static bool number(const char **text, uint64_t limit, uint64_t *out)
{
	const char *at = *text;
	bool hex = at[0] == '0' && at[1] == 'x';
	uint64_t value = 0;
	unsigned digits = 0;

	for (at += hex ? 2 : 0;; at++, digits++) {
		unsigned digit;
		if (*at >= '0' && *at <= '9')
			digit = (unsigned)(*at - '0');
		else if (hex && *at >= 'a' && *at <= 'f')
			digit = (unsigned)(*at - 'a' + 10);
		else
			break;
		if (__builtin_mul_overflow(value, hex ? 16u : 10u, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	if (!digits || value > limit)
		return false;
	*text = at;
	*out = value;
	return true;
}

bool agree_options_parse(const char *text, struct agree_options *out)
{
	uint64_t seed, count, first = 0;

	if (!number(&text, UINT64_MAX, &seed) || *text++ != ',' ||
	    !number(&text, 1000000, &count) || !count)
		return false;
	if (*text == ',') {
		text++;
		if (!number(&text, UINT32_MAX - 1000000, &first))
			return false;
	}
	if (*text)
		return false;
	*out = (struct agree_options){seed, (uint32_t)count, (uint32_t)first};
	return true;
}
