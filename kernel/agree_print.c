/* SPDX-License-Identifier: MIT */
/* A case for people: the request, the way through the tables, both answers. */
#include "kernel/agree_private.h"

static void line(const struct agree_case *c, const char *what, uint64_t at, const uint64_t *values,
                 unsigned count)
{
	struct iommu_print *out = c->bench->out;

	iommu_printf(out, "#   %-16s at %#014llx:", what, (unsigned long long)at);
	for (unsigned i = 0; i < count; i++)
		iommu_printf(out, " %016llx", (unsigned long long)values[i]);
	iommu_printf(out, "\n");
}

static void answer(const struct agree_case *c, const char *who, const struct agree_answer *a)
{
	struct iommu_print *out = c->bench->out;

	iommu_printf(out, "#   %-6s", who);
	if (a->moved)
		iommu_printf(out, " data moved at %#llx%s,", (unsigned long long)a->at,
		             a->exact ? "" : " (not as it should)");
	else
		iommu_printf(out, " no data moved,");
	if (a->reason)
		iommu_printf(out, " fault %#x (%s),", a->reason, model_fault_name(a->reason));
	if (a->recorded)
		iommu_printf(out, " record %016llx %016llx%s\n", (unsigned long long)a->record.high,
		             (unsigned long long)a->record.low,
		             a->record.overflow ? ", overflow" : "");
	else
		iommu_printf(out, " no record%s\n", a->record.overflow ? ", overflow" : "");
}

void agree_case_print(const struct agree_case *c, const struct agree_pair *pair)
{
	struct iommu_print *out = c->bench->out;
	char name[24];

	iommu_printf(out, "# case seed=%#llx index=%u (agree=%#llx,1,%u): %s\n",
	             (unsigned long long)c->seed, c->index, (unsigned long long)c->seed, c->index,
	             c->family->name);
	iommu_printf(out, "#   %s %s %u bytes at %#llx, requester %02x:%02x.%u; flaw: %s%s%s\n",
	             c->engine->name, c->write ? "writes" : "reads", c->bytes,
	             (unsigned long long)c->address, c->engine->requester >> 8,
	             c->engine->requester >> 3 & 31, c->engine->requester & 7,
	             agree_flaw_names[c->flaw], c->change ? "; then: " : "",
	             c->change ? c->change : "");
	line(c, "root entry", c->root_at, c->root, 2);
	line(c, "context entry", c->context_at, c->context, c->family->scalable ? 4 : 2);
	if (c->directory_at) {
		line(c, "PASID directory", c->directory_at, &c->directory, 1);
		line(c, "PASID entry", c->pasid_at, c->pasid, 8);
	}
	for (unsigned level = c->levels; level && level >= c->leaf; level--) {
		iommu_snprintf(name, sizeof(name), "level %u%s", level,
		               level == c->leaf ? ", page" : "");
		line(c, name, c->entry_at[level], &c->entry[level], 1);
	}
	answer(c, "model", &pair->model);
	answer(c, "unit", &pair->unit);
	if (pair->tables_differ)
		iommu_printf(out, "#   tables at %#llx: model left %#llx, unit left %#llx\n",
		             (unsigned long long)pair->differ_at,
		             (unsigned long long)pair->model_word,
		             (unsigned long long)pair->unit_word);
}
