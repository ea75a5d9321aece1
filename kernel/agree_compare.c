/* SPDX-License-Identifier: MIT */
/*
 * One request to the model and to the unit, over the same memory. The model goes first;
 * what it wrote into the tables (accessed and dirty flags) is kept and undone, so that the
 * unit starts from the same tables, and compared with what the unit wrote.
 */
#include "kernel/agree_private.h"

#define FILL UINT32_C(0xeeeeeeee)

static uint64_t page(const struct agree_bench *bench, unsigned number)
{
	return bench->start + number * UINT64_C(4096);
}

static uint32_t *words(const struct agree_bench *bench, unsigned number)
{
	return bench->memory(bench->ctx, page(bench, number), 4096);
}

/* ---- data ----------------------------------------------------------------------------------- */

/* What memory at @p at holds for a fetch: no two words alike, and not those of the last case. */
static uint32_t content(const struct agree_case *c, uint64_t at)
{
	uint64_t z = (at ^ c->random) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(z >> 32) | 1;
}

static void data_fill(const struct agree_case *c)
{
	for (unsigned n = 0; n < AGREE_DATA; n++) {
		uint32_t *word = words(c->bench, AGREE_PAGE_DATA + n);
		uint64_t at = page(c->bench, AGREE_PAGE_DATA + n);

		for (unsigned i = 0; i < 1024; i++)
			word[i] = c->write ? FILL : content(c, at + i * 4);
	}
}

/* Where a store went: the first word that changed, and whether it is the whole and the only
 * change. */
static void data_stored(const struct agree_case *c, struct agree_answer *out)
{
	uint32_t changed = 0, right = 0;

	for (unsigned n = 0; n < AGREE_DATA; n++) {
		const uint32_t *word = words(c->bench, AGREE_PAGE_DATA + n);
		uint64_t at = page(c->bench, AGREE_PAGE_DATA + n);

		for (unsigned i = 0; i < 1024; i++) {
			if (word[i] == FILL)
				continue;
			if (!changed++)
				out->at = at + i * 4;
			right += word[i] == AGREE_WORD && at + i * 4 - out->at < c->bytes;
		}
	}
	out->moved = changed;
	out->exact = changed == right && (!changed || right == c->bytes / 4);
}

static void data_fetched(const struct agree_case *c, struct agree_answer *out)
{
	const uint32_t *bounce = words(c->bench, AGREE_PAGE_BOUNCE);

	for (unsigned n = 0; n < AGREE_DATA && !out->moved; n++) {
		const uint32_t *word = words(c->bench, AGREE_PAGE_DATA + n);

		for (unsigned i = 0; i + c->bytes / 4 <= 1024; i++) {
			if (word[i] != bounce[0])
				continue;
			out->moved = true;
			out->at = page(c->bench, AGREE_PAGE_DATA + n) + i * 4;
			out->exact = memcmp(&word[i], bounce, c->bytes) == 0;
			break;
		}
	}
	if (!out->moved)
		out->exact = true;
}

static bool is_data(const struct agree_bench *bench, uint64_t at)
{
	return at >= page(bench, AGREE_PAGE_DATA) && at < page(bench, AGREE_PAGE_DATA + AGREE_DATA);
}

/* ---- tables ----------------------------------------------------------------------------------- */

static void tables_copy(const struct agree_bench *bench, unsigned to, unsigned from, unsigned count)
{
	for (unsigned n = 0; n < count; n++)
		memcpy(words(bench, to + n), words(bench, from + n), 4096);
}

static void tables_compare(const struct agree_case *c, struct agree_pair *out)
{
	for (unsigned n = 0; n < c->tables && !out->tables_differ; n++) {
		const uint64_t *unit = (const void *)words(c->bench, AGREE_PAGE_TABLES + n);
		const uint64_t *model =
			(const void *)words(c->bench, AGREE_PAGE_COPIES + AGREE_TABLES + n);

		for (unsigned i = 0; i < 512; i++) {
			if (unit[i] == model[i])
				continue;
			out->tables_differ = true;
			out->differ_at = page(c->bench, AGREE_PAGE_TABLES + n) + i * 8;
			out->unit_word = unit[i];
			out->model_word = model[i];
			break;
		}
	}
}

/* ---- both ----------------------------------------------------------------------------------------- */

static bool prepare(struct agree_run *run, struct agree_side *side, const struct agree_case *c,
                    bool again)
{
	bool good;

	if (again)
		good = agree_side_forget(side, c->scope, c->stage == AGREE_FIRST, c->did,
		                         c->address, 12 + 9 * (c->leaf - 1));
	else
		good = agree_side_use(side,
		                      c->family->scalable ? AGREE_MODE_SCALABLE : AGREE_MODE_LEGACY,
		                      c->root_table);
	run->broken = run->broken || !good;
	return good;
}

static void record_take(struct agree_side *side, struct agree_answer *out)
{
	agree_side_fault(side, &out->record);
	out->recorded = out->record.high >> 63;
	if (out->recorded)
		out->reason = (uint8_t)AGREE_GET(out->record.high, 39, 32);
}

static void ask_model(struct agree_run *run, const struct agree_case *c, struct agree_answer *out)
{
	const struct model_request request = {
		.kind = MODEL_UNTRANSLATED,
		.access = c->write ? MODEL_WRITE : MODEL_READ,
		.requester = c->engine->requester,
		.address = c->address,
		.bytes = c->bytes,
		.data = AGREE_WORD,
	};
	struct model_result result;
	bool success = model_dma(run->model, &request, &result);

	out->exact = true;
	if (success && !result.interrupt && is_data(c->bench, result.address)) {
		out->moved = true;
		out->at = result.address;
	}
	record_take(&run->side, out);
	out->reason = result.fault; /* known even where it is not recorded */
}

static bool engine_answers(struct agree_run *run, const struct agree_engine *engine, int error)
{
	if (!error || error == -EIO)
		return true;
	iommu_printf(run->bench->out, "# engine %s does not answer: %s\n", engine->name,
	             iommu_errno_name(error));
	run->broken = true;
	return false;
}

/* Engines that store what they fetched are given the word first, past the unit. */
static bool load(struct agree_run *run, const struct agree_engine *engine)
{
	uint32_t *word = words(run->bench, AGREE_PAGE_LOAD);

	if (!run->buffer_stale || !engine->can_fetch)
		return true;
	if (!agree_side_off(&run->unit)) {
		run->broken = true;
		return false;
	}
	for (unsigned i = 0; i < 1024; i++)
		word[i] = AGREE_WORD;
	run->buffer_stale = false;
	return engine_answers(run, engine,
	                      engine->fetch(engine->ctx, page(run->bench, AGREE_PAGE_LOAD), 256));
}

static void ask_unit(struct agree_run *run, const struct agree_case *c, struct agree_answer *out)
{
	const struct agree_engine *engine = c->engine;

	if (c->write) {
		if (!engine_answers(run, engine, engine->store(engine->ctx, c->address, c->bytes)))
			return;
		record_take(&run->unit, out);
		data_stored(c, out);
		return;
	}
	run->buffer_stale = true;
	if (!engine_answers(run, engine, engine->fetch(engine->ctx, c->address, c->bytes)))
		return;
	record_take(&run->unit, out);
	memset(words(run->bench, AGREE_PAGE_BOUNCE), 0, 4096);
	if (!agree_side_off(&run->unit)) {
		run->broken = true;
		return;
	}
	if (engine_answers(
		    run, engine,
		    engine->store(engine->ctx, page(run->bench, AGREE_PAGE_BOUNCE), c->bytes)))
		data_fetched(c, out);
}

void agree_pair_ask(struct agree_run *run, struct agree_case *c, bool again, struct agree_pair *out)
{
	*out = (struct agree_pair){0};
	/* A fetch's second half needs translation off, so a second request starts anew. */
	again = again && c->write;
	if (!again && c->write && !load(run, c->engine))
		return;
	tables_copy(run->bench, AGREE_PAGE_COPIES, AGREE_PAGE_TABLES, c->tables);
	if (!prepare(run, &run->side, c, again))
		return;
	ask_model(run, c, &out->model);
	tables_copy(run->bench, AGREE_PAGE_COPIES + AGREE_TABLES, AGREE_PAGE_TABLES, c->tables);
	tables_copy(run->bench, AGREE_PAGE_TABLES, AGREE_PAGE_COPIES, c->tables);
	data_fill(c);
	if (!prepare(run, &run->unit, c, again))
		return;
	ask_unit(run, c, &out->unit);
	tables_compare(c, out);
}

bool agree_pair_same(const struct agree_pair *pair)
{
	const struct agree_answer *unit = &pair->unit, *model = &pair->model;

	if (unit->moved != model->moved || !unit->exact || pair->tables_differ)
		return false;
	if (unit->moved && unit->at != model->at)
		return false;
	return unit->recorded == model->recorded &&
	       unit->record.overflow == model->record.overflow &&
	       (!unit->recorded ||
	        (unit->record.low == model->record.low && unit->record.high == model->record.high));
}
