/* SPDX-License-Identifier: MIT */
/*
 * Commands for a guest's stage-1 table: making it in a buffer, mapping, breaking it
 * entry by entry, looking at it. The hardware is told by `invalidate`, or not at all.
 */
#include "iommu/string.h"
#include "kernel/scn_handlers.h"
#include "kernel/scn_stage1.h"

/* Where the parent maps the buffer, if the scenario has mapped its start once. */
static bool at_find(struct scn *scn, const struct scn_object *buffer, uint64_t *at,
                    struct scn_result *result)
{
	unsigned found = 0;

	for (const struct scn_mapping *mapping = scn->mappings; mapping; mapping = mapping->next) {
		if (mapping->user == buffer->buffer->start) {
			*at = mapping->iova;
			found++;
		}
	}
	if (found != 1)
		scn_broken(result, "%s is mapped %s; say at which address by \"at\"", buffer->name,
		           found ? "more than once" : "nowhere");
	return found == 1;
}

/* A fresh table; 0 and broken if the buffer is full. */
static uint64_t table_take(struct scn *scn, struct scn_stage1 *table, struct scn_result *result)
{
	uint64_t at = table->at + table->used;

	if (table->used >= table->bytes) {
		scn_broken(result, "the buffer of the stage-1 table has no page left");
		return 0;
	}
	table->used += PAGE_SIZE_4K;
	for (unsigned i = 0; i < STAGE1_ENTRIES; i++)
		(void)!stage1_write(scn, table, at + i * sizeof(uint64_t), 0);
	return at;
}

/* stage1 NAME:stage1 in BUF [at GPA] [levels LEVELS] */
SCN_HANDLER(stage1)
{
	const struct scn_object *buffer = scn_arg_object(scn, line, 2, result);
	uint64_t at = scn_arg_number(scn, line, 4, 0, result);
	uint64_t levels = scn_arg_number(scn, line, 6, 4, result);

	if (result->broken || (!line->args[4].set && !at_find(scn, buffer, &at, result)))
		return;
	if (levels != 4 && levels != 5)
		scn_broken(result, "a first-stage table has 4 levels or 5");
	else if (at % PAGE_SIZE_4K || at + (buffer->buffer->bytes - 1) < at)
		scn_broken(result, "%#llx is no place for a table: a multiple of 4K is wanted",
		           (unsigned long long)at);
	if (result->broken)
		return;
	struct scn_object *object = scn_object_add(scn, result, line->args[0].text, SCN_STAGE1);
	if (!object)
		return;
	object->table = (struct scn_stage1){
		.user = buffer->buffer->start,
		.bytes = buffer->buffer->bytes,
		.at = at,
		.levels = (unsigned)levels,
	};
	(void)table_take(scn, &object->table, result);
	scn_note(result, "%u levels, root at %#llx of the parent", object->table.levels,
	         (unsigned long long)at);
}

/* The table in slot 0 and the address in slot 1. NULL: broken. */
static struct scn_stage1 *table_of(struct scn *scn, const struct scn_line *line, uint64_t *at,
                                   struct scn_result *result)
{
	struct scn_object *object = scn_arg_object(scn, line, 0, result);

	*at = scn_arg_number(scn, line, 1, 0, result);
	if (!result->broken && !stage1_canonical(*at, object->table.levels))
		scn_broken(result, "%#llx is not canonical in %u levels", (unsigned long long)*at,
		           object->table.levels);
	return result->broken ? NULL : &object->table;
}

/* The entry of @p level for @p at, with the tables in front of it made. */
static bool place_make(struct scn *scn, struct scn_stage1 *table, uint64_t at, unsigned level,
                       struct stage1_place *place, struct scn_result *result)
{
	for (;;) {
		if (!stage1_find(scn, table, at, level, place)) {
			scn_broken(result, "a table on the way lies outside of the buffer");
			return false;
		}
		if (place->level == level)
			return true;
		if (place->entry & STAGE1_P) {
			scn_broken(result, "%#llx lies in a larger page, of level %u",
			           (unsigned long long)at, place->level);
			return false;
		}
		uint64_t next = table_take(scn, table, result);
		if (!next)
			return false;
		/* rights are the pages' own business */
		(void)!stage1_write(scn, table, place->where,
		                    next | STAGE1_P | STAGE1_RW | STAGE1_US);
	}
}

/* The level of the largest page that fits; 1G only if it was asked for, for not all
 * hardware has it (CAP.FS1GP), and all has 2M. */
static unsigned level_fit(uint64_t at, uint64_t to, uint64_t bytes)
{
	return (at | to) % PAGE_SIZE_2M == 0 && bytes >= PAGE_SIZE_2M ? 2 : 1;
}

/* stage1-map S1 IOVA to GPA LEN [page SIZE] [ro|rw] [supervisor] */
SCN_HANDLER(stage1_map)
{
	uint64_t at;
	struct scn_stage1 *table = table_of(scn, line, &at, result);
	uint64_t to = scn_arg_number(scn, line, 3, 0, result);
	uint64_t bytes = scn_arg_number(scn, line, 4, 0, result);
	uint64_t page = scn_arg_number(scn, line, 6, 0, result);
	uint64_t rights = (line->args[7].set && line->args[7].choice == 0 ? 0 : STAGE1_RW) |
	                  (line->args[8].set ? 0 : STAGE1_US);
	unsigned level = page == PAGE_SIZE_1G ? 3 : page == PAGE_SIZE_2M ? 2 : 1, pages = 0;
	struct stage1_place place;
	char size[24];

	if (result->broken)
		return;
	if (page && page != stage1_span(level))
		scn_broken(result, "a page has 4K, 2M or 1G");
	else if (!bytes || (at | to | bytes) % (page ? page : PAGE_SIZE_4K))
		scn_broken(result, "addresses and length are multiples of the page's size");
	else if (to & ~STAGE1_ADDR || at + (bytes - 1) < at || to + (bytes - 1) < to)
		scn_broken(result, "there are no such addresses");
	for (uint64_t done = 0; done < bytes && !result->broken; pages++) {
		if (!page)
			level = level_fit(at + done, to + done, bytes - done);
		if (!place_make(scn, table, at + done, level, &place, result))
			return;
		if (level > 1 && place.entry & STAGE1_P && !(place.entry & STAGE1_PS)) {
			scn_broken(result, "at %#llx smaller pages are mapped",
			           (unsigned long long)(at + done));
			return;
		}
		(void)!stage1_write(scn, table, place.where,
		                    (to + done) | rights | STAGE1_P | (level > 1 ? STAGE1_PS : 0));
		done += stage1_span(level);
	}
	scn_note(result, "%u page%s, the last of %s", pages, pages == 1 ? "" : "s",
	         scn_size_text(stage1_span(level), size));
}

/* stage1-unmap S1 IOVA [LEN] */
SCN_HANDLER(stage1_unmap)
{
	uint64_t at;
	struct scn_stage1 *table = table_of(scn, line, &at, result);
	uint64_t bytes = scn_arg_number(scn, line, 2, 1, result), done = 0;
	struct stage1_place place;
	char size[24];

	while (!result->broken && done < bytes) {
		if (!stage1_find(scn, table, at + done, 1, &place) || !(place.entry & STAGE1_P)) {
			scn_broken(result, "nothing is mapped at %#llx",
			           (unsigned long long)(at + done));
			return;
		}
		uint64_t span = stage1_span(place.level);
		if ((at + done) % span || (line->args[2].set && bytes - done < span)) {
			scn_broken(result, "at %#llx a whole page of %s is mapped",
			           (unsigned long long)(at + done), scn_size_text(span, size));
			return;
		}
		(void)!stage1_write(scn, table, place.where, 0);
		done += span;
	}
	scn_note(result, "%s; nobody is told", scn_size_text(done, size));
}

/* stage1-entry S1 IOVA LEVEL [VALUE] [-> NAME:number] */
SCN_HANDLER(stage1_entry)
{
	uint64_t at;
	struct scn_stage1 *table = table_of(scn, line, &at, result);
	uint64_t level = scn_arg_number(scn, line, 2, 0, result);
	uint64_t value = scn_arg_number(scn, line, 3, 0, result);
	struct stage1_place place;

	if (!result->broken && (level < 1 || level > table->levels))
		scn_broken(result, "the table's levels are 1 to %u", table->levels);
	if (result->broken)
		return;
	if (line->args[3].set) {
		if (place_make(scn, table, at, (unsigned)level, &place, result))
			(void)!stage1_write(scn, table, place.where, value);
		place.entry = value;
	} else if (!stage1_find(scn, table, at, (unsigned)level, &place) || place.level != level) {
		scn_broken(result, "the walk ends before level %u", (unsigned)level);
	}
	if (result->broken)
		return;
	scn_arg_store(scn, line, 5, place.entry, result);
	result->has_value = true;
	result->number = place.entry;
	scn_note(result, "at %#llx of the parent", (unsigned long long)place.where);
}

/* stage1-marks S1 IOVA [clear] */
SCN_HANDLER(stage1_marks)
{
	uint64_t at;
	struct scn_stage1 *table = table_of(scn, line, &at, result);
	struct stage1_place place;

	if (!table)
		return;
	if (!stage1_find(scn, table, at, 1, &place) || !(place.entry & STAGE1_P)) {
		scn_broken(result, "nothing is mapped at %#llx", (unsigned long long)at);
		return;
	}
	if (line->args[2].set)
		(void)!stage1_write(scn, table, place.where, place.entry & ~(STAGE1_A | STAGE1_D));
	result->has_value = true;
	result->word = place.entry & STAGE1_D   ? "dirty"
	               : place.entry & STAGE1_A ? "accessed"
	                                        : "none";
	scn_note(result, "entry %#llx", (unsigned long long)place.entry);
}

/* ---- the whole table ---------------------------------------------------------------------- */

struct show {
	struct scn *scn;
	const struct scn_stage1 *table;
	unsigned lines;
};

enum { SHOW_LINES = 128 };

static void table_show(struct show *show, uint64_t base, unsigned level, uint64_t at)
{
	struct iommu_print *to = &show->scn->out.print;

	for (unsigned i = 0; i < STAGE1_ENTRIES && show->lines < SHOW_LINES; i++) {
		struct stage1_place place = {.level = level, .where = base + i * sizeof(uint64_t)};
		uint64_t here = at + i * stage1_span(level);
		if (!stage1_read(show->scn, show->table, place.where, &place.entry)) {
			iommu_printf(to, "%*sa table at %#llx, outside of the buffer\n",
			             (int)(2 * (show->table->levels - level)), "",
			             (unsigned long long)base);
			show->lines++;
			return;
		}
		if (!place.entry)
			continue;
		if (level == show->table->levels && i >= STAGE1_ENTRIES / 2) /* canonical */
			here |= ~(stage1_span(level + 1) - 1);
		show->lines++;
		bool page = stage1_is_page(&place);
		iommu_printf(to, "%*s%#llx: L%u entry %#llx%s%s%s%s%s%s\n",
		             (int)(2 * (show->table->levels - level)), "", (unsigned long long)here,
		             level, (unsigned long long)place.entry,
		             place.entry & STAGE1_P ? "" : " not present", page ? " page" : "",
		             place.entry & STAGE1_RW ? " w" : "",
		             place.entry & STAGE1_US ? " user" : "",
		             place.entry & STAGE1_A ? " accessed" : "",
		             page && place.entry & STAGE1_D ? " dirty" : "");
		if (place.entry & STAGE1_P && !page)
			table_show(show, place.entry & STAGE1_ADDR, level - 1, here);
	}
}

/* stage1-show S1 */
SCN_HANDLER(stage1_show)
{
	const struct scn_object *object = scn_arg_object(scn, line, 0, result);

	if (!object)
		return;
	struct show show = {.scn = scn, .table = &object->table};
	scn_listing(scn);
	iommu_printf(&scn->out.print, "%u levels, %llu of %llu pages used, root at %#llx\n",
	             object->table.levels, (unsigned long long)(object->table.used / PAGE_SIZE_4K),
	             (unsigned long long)(object->table.bytes / PAGE_SIZE_4K),
	             (unsigned long long)object->table.at);
	table_show(&show, object->table.at, object->table.levels, 0);
	if (show.lines == SHOW_LINES)
		iommu_printf(&scn->out.print, "...\n");
}
