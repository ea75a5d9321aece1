/* SPDX-License-Identifier: MIT */
/*
 * Enhanced commands (11.4.14): one at a time, its result in ECRSP. The unit has those of
 * the performance counters, none of which takes operand B: ECEO is write-only and unused.
 */
#include "model/unit.h"

enum { IN_PROGRESS = 1, UNDEFINED = 1, ABORTED = 2 };

static void complete(struct model_unit *unit)
{
	unsigned command = (unsigned)(unit->ecmd & 0xff), status = UNDEFINED;

	if (unit->gcmd_busy || unit->pmr_busy)
		status = ABORTED;
	else if (command >= 0xc0 && model_bit(unit->config.eccap3, command - 0xc0))
		status = model_perfmon_command(unit, command, model_bits(unit->ecmd, 63, 16));
	unit->ecrsp = (uint64_t)status << 1;
}

void model_ecmd_start(struct model_unit *unit)
{
	unit->ecrsp = IN_PROGRESS;
	unit->ecmd_due = model_due(unit, unit->config.latency.enhanced);
	model_ecmd_tick(unit);
}

void model_ecmd_tick(struct model_unit *unit)
{
	if ((unit->ecrsp & IN_PROGRESS) && unit->now >= unit->ecmd_due)
		complete(unit);
}
