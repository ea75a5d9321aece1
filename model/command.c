/* SPDX-License-Identifier: MIT */
/*
 * Global commands (11.4.4): GCMD starts one, GSTS says when it is done. The root-table
 * and interrupt-table addresses are latched here, and nowhere else.
 */
#include "model/unit.h"

static uint64_t reg64(const struct model_unit *unit, uint32_t offset)
{
	return unit->regs[offset / 4] | (uint64_t)unit->regs[offset / 4 + 1] << 32;
}

static void latch_root(struct model_unit *unit)
{
	unsigned mode = model_ttm(unit);

	unit->root = reg64(unit, MODEL_RTADDR);
	if ((unit->gsts & MODEL_G_TE) && !unit->caps.esrtps && model_ttm(unit) != mode)
		model_report_register(unit, MODEL_RTADDR,
		                      "TTM changed while translation is on (needs CAP.ESRTPS)",
		                      unit->root);
	unit->gsts |= MODEL_G_SRTP;
	unit->root_fresh = true;
	unit->root_owed = 0;
	if (unit->caps.esrtps)
		model_invalidate_everything(unit);
	else
		unit->root_owed = MODEL_OWED_CONTEXT | MODEL_OWED_IOTLB |
		                  (model_ttm(unit) == MODEL_TTM_SCALABLE ? MODEL_OWED_PASID : 0);
}

static void latch_interrupts(struct model_unit *unit)
{
	uint64_t before = unit->irta;

	unit->irta = reg64(unit, MODEL_IRTA);
	if ((unit->gsts & MODEL_G_IRE) && model_bit(before ^ unit->irta, 11))
		model_report_register(unit, MODEL_IRTA,
		                      "EIME changed while interrupt remapping is on", unit->irta);
	unit->gsts |= MODEL_G_SIRTP;
	unit->interrupt_fresh = true;
	unit->interrupt_owed = !unit->caps.esirtps;
	if (unit->caps.esirtps)
		model_invalidate_interrupt(unit, true, 0, 0);
}

static void translation(struct model_unit *unit, bool on)
{
	unsigned mode = model_ttm(unit);

	if (on && (mode == MODEL_TTM_SCALABLE || mode == MODEL_TTM_ABORT) &&
	    !((unit->gsts & MODEL_G_QIE) && model_bit(unit->iqa, 11)))
		model_report_register(unit, MODEL_GCMD,
		                      "TE set in scalable or abort mode without a queue of "
		                      "256-bit descriptors",
		                      unit->iqa);
	if (on && !unit->root_fresh)
		model_report_register(unit, MODEL_GCMD, "TE set without SRTP before it", on);
	else if (on && unit->root_owed)
		model_report_register(unit, MODEL_GCMD,
		                      "TE set before the global invalidations that SRTP asks for",
		                      unit->root_owed);
	if (!on) {
		unit->root_fresh = false;
		if (unit->caps.smts)
			model_invalidate_everything(unit);
	}
}

static void remapping(struct model_unit *unit, bool on)
{
	if (on && !unit->interrupt_fresh)
		model_report_register(unit, MODEL_GCMD, "IRE set without SIRTP before it", on);
	else if (on && unit->interrupt_owed)
		model_report_register(unit, MODEL_GCMD,
		                      "IRE set before the global invalidation that SIRTP asks for",
		                      on);
	if (!on) {
		unit->interrupt_fresh = false;
		if (unit->caps.esirtps)
			model_invalidate_interrupt(unit, true, 0, 0);
	}
}

static void complete(struct model_unit *unit)
{
	uint32_t wanted = unit->gcmd_pending, changed = (wanted ^ unit->gsts) & MODEL_G_TOGGLES;

	unit->gcmd_busy = false;
	if (wanted & MODEL_G_SRTP)
		latch_root(unit);
	if (wanted & MODEL_G_SIRTP)
		latch_interrupts(unit);
	unit->gsts &= ~(uint32_t)MODEL_G_WBF;
	if (changed & MODEL_G_QIE)
		model_queue_enable(unit, wanted & MODEL_G_QIE);
	if (changed & MODEL_G_TE)
		translation(unit, wanted & MODEL_G_TE);
	if (changed & MODEL_G_IRE)
		remapping(unit, wanted & MODEL_G_IRE);
	unit->gsts ^= changed;
	if (!(unit->gsts & (MODEL_G_TE | MODEL_G_IRE)))
		unit->record_next = 0; /* the fault index starts over (7.3.1) */
	if (changed & MODEL_G_QIE)
		model_queue_run(unit);
}

void model_command_write(struct model_unit *unit, uint32_t value)
{
	uint32_t allowed = MODEL_G_TE | MODEL_G_SRTP, changed;

	if (unit->gcmd_busy || unit->pmr_busy) {
		model_report_register(unit, MODEL_GCMD, "written while a command is pending",
		                      value);
		return;
	}
	if (unit->ecrsp & 1) {
		model_report_register(unit, MODEL_GCMD,
		                      "written while an enhanced command is in progress", value);
		return;
	}
	allowed |= unit->caps.rwbf ? MODEL_G_WBF : 0;
	allowed |= unit->caps.qi ? MODEL_G_QIE : 0;
	allowed |= unit->caps.ir ? MODEL_G_IRE | MODEL_G_SIRTP | MODEL_G_CFI : 0;
	if (value & ~allowed)
		model_report_register(unit, MODEL_GCMD, "bits set that this unit does not have",
		                      value & ~allowed);
	value &= allowed;
	changed = ((value ^ unit->gsts) & MODEL_G_TOGGLES) | (value & MODEL_G_ONESHOTS);
	if (changed & (changed - 1))
		model_report_register(unit, MODEL_GCMD, "more than one command at once", changed);
	/* One-shot status falls when the command starts and rises when it is done. */
	if (value & MODEL_G_SRTP)
		unit->gsts &= ~(uint32_t)MODEL_G_SRTP;
	if (value & MODEL_G_SIRTP)
		unit->gsts &= ~(uint32_t)MODEL_G_SIRTP;
	if (value & MODEL_G_WBF)
		unit->gsts |= MODEL_G_WBF;
	unit->gcmd_pending = value;
	unit->gcmd_busy = true;
	unit->gcmd_due = model_due(unit, unit->config.latency.command);
	model_command_tick(unit);
}

void model_command_tick(struct model_unit *unit)
{
	if (unit->gcmd_busy && unit->now >= unit->gcmd_due)
		complete(unit);
}
