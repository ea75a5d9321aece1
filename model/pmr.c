/* SPDX-License-Identifier: MIT */
/*
 * Protected memory regions (11.4.8): two ranges that no device may reach. A violation is
 * answered with UR and is not a logged fault.
 */
#include "model/unit.h"

static uint32_t low_mask(const struct model_unit *unit)
{
	return (uint32_t)model_mask(31, unit->config.pmr_shift);
}

uint32_t model_pmr_read(const struct model_unit *unit, uint32_t offset)
{
	if (offset == MODEL_PMEN)
		return unit->pmen | unit->pmr_on;
	return unit->regs[offset / 4];
}

void model_pmr_write_limit(struct model_unit *unit, uint32_t offset, uint32_t value)
{
	bool low = offset == MODEL_PLMBASE || offset == MODEL_PLMLIMIT;
	bool upper = !low && (offset & 4);

	if (low ? !unit->caps.plmr : !unit->caps.phmr)
		return;
	if (unit->pmr_on || unit->pmr_busy) {
		model_report_register(unit, offset,
		                      "protected memory is enabled, the region is fixed", value);
		return;
	}
	if (upper)
		value &= (uint32_t)(model_mask(unit->config.haw - 1, 32) >> 32); /* none if 32 */
	else
		value &= low_mask(unit);
	unit->regs[offset / 4] = value;
}

static void settle(struct model_unit *unit)
{
	unit->pmr_busy = false;
	unit->pmr_on = unit->pmen != 0;
}

void model_pmr_write_enable(struct model_unit *unit, uint32_t value)
{
	if (!unit->caps.plmr && !unit->caps.phmr)
		return;
	if (unit->pmr_busy || unit->gcmd_busy || (unit->ecrsp & 1)) {
		model_report_register(unit, MODEL_PMEN, "written while a command is pending",
		                      value);
		return;
	}
	unit->pmen = value & 0x80000000u;
	unit->pmr_busy = true;
	unit->pmr_due = model_due(unit, unit->config.latency.command);
	model_pmr_tick(unit);
}

void model_pmr_tick(struct model_unit *unit)
{
	if (unit->pmr_busy && unit->now >= unit->pmr_due)
		settle(unit);
}

static bool region(const struct model_unit *unit, uint32_t base_at, uint32_t limit_at, bool wide,
                   uint64_t address, uint64_t bytes)
{
	uint64_t base = unit->regs[base_at / 4], limit = unit->regs[limit_at / 4];

	if (wide) {
		base |= (uint64_t)unit->regs[base_at / 4 + 1] << 32;
		limit |= (uint64_t)unit->regs[limit_at / 4 + 1] << 32;
	}
	limit |= MODEL_BIT(unit->config.pmr_shift) - 1;
	return limit >= base && model_overlap(base, limit - base + 1, address, bytes ? bytes : 1);
}

bool model_pmr_blocks(const struct model_unit *unit, uint64_t address, uint64_t bytes)
{
	if (!unit->pmr_on)
		return false;
	/* Before version 2 the regions matter only while remapping is off. */
	if (unit->caps.major < 2 && (unit->gsts & MODEL_G_TE))
		return false;
	return (unit->caps.plmr &&
	        region(unit, MODEL_PLMBASE, MODEL_PLMLIMIT, false, address, bytes)) ||
	       (unit->caps.phmr &&
	        region(unit, MODEL_PHMBASE, MODEL_PHMLIMIT, true, address, bytes));
}
