/* SPDX-License-Identifier: MIT */
/*
 * Where QEMU's intel-iommu is known to deviate from the VT-d specification. Each line says
 * what the specification (and so the model) does, what the unit does instead, and how to
 * recognise it; and it names a kind of case in which it must show. docs/agreement.md is
 * this table for people.
 */
#include "kernel/agree_private.h"

const struct agree_deviation agree_deviations[] = {
	{.id = NULL},
};

const unsigned agree_deviation_count = ARRAY_SIZE(agree_deviations) - 1;

const struct agree_deviation *agree_deviation_find(const struct agree_case *c,
                                                   const struct agree_pair *pair)
{
	for (unsigned i = 0; i < agree_deviation_count; i++)
		if (agree_deviations[i].matches(c, pair))
			return &agree_deviations[i];
	return NULL;
}

bool agree_deviation_fits(const struct agree_deviation *deviation, const struct agree_bench *bench,
                          uint64_t cap, uint64_t ecap)
{
	unsigned has = 0;

	has |= ecap >> 43 & 1 ? NEEDS_SCALABLE : 0;
	has |= ecap >> 46 & 1 ? NEEDS_SECOND : 0;
	has |= ecap >> 47 & 1 ? NEEDS_FIRST : 0;
	has |= cap >> 63 ? NEEDS_NEW : NEEDS_OLD;
	has |= AGREE_GET(cap, 12, 8) != 2 ? NEEDS_COARSE : 0;
	for (unsigned i = 0; i < bench->engine_count; i++)
		has |= bench->engines[i].can_fetch ? NEEDS_FETCH : 0;
	return !(deviation->needs & ~has);
}
