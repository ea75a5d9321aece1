/* SPDX-License-Identifier: MIT */
/*
 * kernel_main: from the loader's hands to the verdict of a scenario, or the shell.
 *
 * Order matters: the console first, so that everything after it can complain; the
 * processor's tables before memory, so that a fault is explained; the units before
 * any engine may master the bus.
 */
#include "kernel/agree.h"
#include "kernel/bench.h"
#include "kernel/kernel.h"
#include "kernel/machine.h"
#include "kernel/os.h"
#include "kernel/shell.h"
#include "kernel/smp.h"
#include "kernel/smp_stress.h"

static struct machine machine;

struct reader {
	struct scn_program *programs[16];
	unsigned count;
	bool failed;
};

/* Read the scenario called [name, name+length). */
static void scenario_read(struct reader *reader, const char *name, size_t length)
{
	char copy[64];
	const char *text;
	size_t bytes;

	if (length >= sizeof(copy) || reader->count >= ARRAY_SIZE(reader->programs)) {
		klog(IOMMU_LOG_ERROR, "scenario=: a name has 63 characters at most, the list 16 "
		                      "names");
		reader->failed = true;
		return;
	}
	iommu_snprintf(copy, sizeof(copy), "%.*s", (int)length, name);
	if (machine.platform.file(&machine, copy, &text, &bytes)) {
		klog(IOMMU_LOG_ERROR,
		     "scenario=%s: there is no such scenario; `scenarios` in the "
		     "shell lists them",
		     copy);
		reader->failed = true;
		return;
	}
	if (scn_parse(&kernel_os, copy, text, bytes, console_print(),
	              &reader->programs[reader->count]))
		reader->failed = true;
	else
		reader->count++;
}

/* Run the scenarios in a list with commas between. True if every one passed. A name or
 * a text that is wrong fails before anything runs. */
static bool scenarios_run(const char *list)
{
	struct reader reader = {0};
	enum scn_verdict verdict = SCN_FAILED;

	while (*list) {
		size_t length = 0;
		while (list[length] && list[length] != ',')
			length++;
		if (length)
			scenario_read(&reader, list, length);
		list += length + (list[length] == ',');
	}
	if (!reader.failed && reader.count)
		verdict = scn_run(&machine.platform, reader.programs, reader.count);
	for (unsigned i = 0; i < reader.count; i++)
		scn_program_free(reader.programs[i]);
	if (machine.has_model && model_platform_unjudged(&machine.model)) {
		klog(IOMMU_LOG_ERROR, "the model has reports that no line of a scenario promised");
		verdict = SCN_FAILED;
	}
	return verdict == SCN_PASSED;
}

static int shell_read(void *ctx)
{
	(void)ctx;
	int byte = console_read();
	return byte < 0 ? SHELL_NOTHING : byte;
}

static void shell_idle(void *ctx)
{
	(void)ctx;
	cpu_idle();
}

static void shell_bench(void *ctx, const char *selection)
{
	(void)ctx;
	(void)bench_machine(&machine, selection, false);
}

static void shell_processors(void *ctx)
{
	(void)ctx;
	smp_print_all(console_print());
}

static void shell_smp_test(void *ctx, unsigned processors)
{
	(void)ctx;
	(void)smp_stress(&machine, processors);
}

/** tests/kernel/units.c: in the image that is made for it, and in no other. */
extern bool kernel_units_run(void) __attribute__((weak));

static bool is_none(const char *text)
{
	return text[0] == 'n' && text[1] == 'o' && text[2] == 'n' && text[3] == 'e' && !text[4];
}

void kernel_main(struct boot_info *info)
{
	const struct boot_info *boot = info;
	struct kernel_options options;
	bool passed = true;

	cmdline_parse(boot->command_line, &options);
	panic_action = options.panic;
	log_level = options.loglevel;
	cpu_init();
	console_init(&boot->framebuffer, options.console);
	vm_init(boot);
	kprintf("Nestor: an IOMMU core on bare metal\n\n");
	for (unsigned i = 0; i < options.complaint_count && i < CMDLINE_MAX_COMPLAINTS; i++)
		klog(IOMMU_LOG_WARNING, "%s", options.complaints[i]);
	if (options.complaint_count > CMDLINE_MAX_COMPLAINTS)
		klog(IOMMU_LOG_WARNING, "command line: %u more words are wrong",
		     options.complaint_count - CMDLINE_MAX_COMPLAINTS);
	if (boot->command_line_cut)
		klog(IOMMU_LOG_WARNING, "command line: cut after %d characters",
		     BOOT_MAX_COMMAND_LINE - 1);
	if (boot->memory_cut)
		klog(IOMMU_LOG_WARNING, "memory map: more than %d entries, the rest is left alone",
		     BOOT_MAX_MEMORY);
	if (boot->module_cut)
		klog(IOMMU_LOG_WARNING, "modules: more than %d, the rest is not seen",
		     BOOT_MAX_MODULES);

	machine_init(&machine, boot, &options);
	machine_print(&machine, console_print());
	kprintf("\n");

	if (kernel_units_run)
		passed = kernel_units_run() && passed;
	if (options.bench)
		passed = bench_machine(&machine, options.bench_stage, true) && passed;
	if (options.smp_test)
		passed = smp_stress(&machine, options.smp_processors) && passed;
	if (options.agree[0])
		passed = agree_machine(&machine, options.agree) && passed;
	if (options.scenario[0] && !is_none(options.scenario))
		passed = scenarios_run(options.scenario) && passed;
	bool reset = false;
	if (options.shell_after) {
		const struct shell_io io = {.read = shell_read,
		                            .idle = shell_idle,
		                            .bench = shell_bench,
		                            .processors = shell_processors,
		                            .smp_test = shell_smp_test};
		reset = shell_run(&machine.platform, &io) == SHELL_RESET;
	}
	machine_exit(&machine);
	if (reset)
		power_reset();
	power_off(passed);
}
