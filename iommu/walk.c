/* SPDX-License-Identifier: MIT */
/* Steps of a table walk, and how they are shown: see iommu/walk.h. */
#include "iommu/walk.h"

#include "iommu/print.h"

struct iommu_walk_step *iommu_walk_step(struct iommu_walk *walk, const char *table, uint32_t index,
                                        pa_t entry_pa)
{
	if (walk->count < IOMMU_WALK_STEPS)
		walk->count++;
	struct iommu_walk_step *step = &walk->steps[walk->count - 1];
	*step = (struct iommu_walk_step){
		.table = table, .index = index, .entry_pa = entry_pa, .words = 1};
	return step;
}

static void print_step(const struct iommu_walk_step *step, struct iommu_print *to,
                       const char *indent, bool marked)
{
	iommu_printf(to, "%s%s %s[%#x] at %#llx:", indent, marked ? ">" : " ", step->table,
	             step->index, (unsigned long long)step->entry_pa.value);
	/* high qword first, as the specification draws entries */
	for (unsigned word = step->words < 4 ? step->words : 4; word-- > 0;)
		iommu_printf(to, " %016llx", (unsigned long long)step->entry[word]);
	iommu_printf(to, "%s%.*s\n", step->note[0] ? "  " : "", (int)sizeof(step->note),
	             step->note);
}

void iommu_walk_print(const struct iommu_walk *walk, struct iommu_print *to, const char *indent)
{
	for (unsigned i = 0; i < walk->count; i++)
		print_step(&walk->steps[i], to, indent, !walk->translated && i + 1 == walk->count);

	if (walk->translated) {
		iommu_printf(to, "%sresult: %#llx, page of %#llx bytes,%s%s%s\n", indent,
		             (unsigned long long)walk->result.value,
		             (unsigned long long)walk->page_bytes,
		             walk->rights & IOMMU_READ ? " read" : "",
		             walk->rights & IOMMU_WRITE ? " write" : "",
		             walk->rights & (IOMMU_READ | IOMMU_WRITE) ? "" : " no rights");
	} else if (walk->mnemonic || walk->text) {
		iommu_printf(to, "%sfault: %s (%#x), %s\n", indent,
		             walk->mnemonic ? walk->mnemonic : "reason", walk->reason,
		             walk->text ? walk->text : "no explanation");
	} else {
		iommu_printf(to, "%sno translation\n", indent);
	}
}
