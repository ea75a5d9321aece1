/* SPDX-License-Identifier: MIT */
/*
 * The kernel's command line: words of the form key=value, separated by spaces.
 *
 *   scenario=NAME     run this scenario at boot (a module, or one in the image);
 *                     several with commas; "none": no scenario
 *   after=shell|off   what follows the scenarios; default shell
 *   bench, bench=STAGE
 *                     measure (docs/performance.md): everything, or the stages whose
 *                     names begin so
 *   agree=SEED,COUNT[,FIRST]
 *                     compare the unit with the reference model (kernel/agree.h)
 *   smp=N             test locks, memory and IOASes on N processors at once (0: all)
 *   console=serial|fb|both
 *   loglevel=error|warning|info|debug
 *   vtd=auto|legacy|scalable|off
 *   model=PRESET      add a model of a VT-d unit, and two devices behind it
 *   panic=halt|reset|exit
 *
 * A word that is not known, or a value that is not, is kept as a complaint for
 * the log; the rest is used. Pure: no memory but the structure.
 */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include "iommu/ops.h"
#include "kernel/kernel.h"

enum { CMDLINE_MAX_COMPLAINTS = 8, CMDLINE_COMPLAINT = 96 };

struct kernel_options {
	char scenario[128]; /* "" if not given */
	char agree[48];     /* "" if not given */
	bool bench;
	char bench_stage[32]; /* "": all */
	bool smp_test;
	unsigned smp_processors; /* for the test; 0: all */
	bool shell_after;
	char console[8]; /* "serial", "fb", "both" */
	enum iommu_log_level loglevel;
	enum iommu_mode mode;
	bool vtd_off;
	char model[32]; /* name of a preset; "": no model */
	enum panic_action panic;
	unsigned complaint_count; /* may exceed CMDLINE_MAX_COMPLAINTS: the rest is counted only */
	char complaints[CMDLINE_MAX_COMPLAINTS][CMDLINE_COMPLAINT];
};

/** Read @p text into @p out. Never fails; see complaints. */
void cmdline_parse(const char *text, struct kernel_options *out);

#endif
