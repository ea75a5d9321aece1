/* SPDX-License-Identifier: MIT */
/*
 * The shell: see shell.h. It adds to the scenario language what makes no sense in a
 * file: help, run, list, history, the ways out.
 */
#include "kernel/shell.h"

#include "iommu/string.h"
#include "kernel/line_edit.h"
#include "kernel/scn_parse.h"

struct shell {
	const struct scn_platform *platform;
	const struct shell_io *io;
	struct scn *scn;
	struct line_edit *edit;
	uint64_t faults_shown; /* the core's count up to which all were shown */
	bool done;
	enum shell_end end;
};

struct shell_command {
	const char *name, *usage, *help;
	void (*run)(struct shell *shell, const char *argument);
};

static const struct shell_command shell_commands[];

/* ---- commands ------------------------------------------------------------------------------ */

static void do_help(struct shell *shell, const char *argument)
{
	struct iommu_print *to = shell->platform->out;

	if (*argument) {
		for (const struct shell_command *own = shell_commands; own->name; own++) {
			if (scn_same(own->name, argument)) {
				iommu_printf(to, "%s%s%s\n    %s\n", own->name,
				             *own->usage ? " " : "", own->usage, own->help);
				return;
			}
		}
		if (!scn_help(to, argument))
			iommu_printf(to, "there is no command \"%s\"; help lists all\n", argument);
		return;
	}
	scn_help(to, NULL);
	iommu_printf(to, "\nShell:\n ");
	for (const struct shell_command *own = shell_commands; own->name; own++)
		iommu_printf(to, " %s", own->name);
	iommu_printf(
		to,
		"\n\n\"help COMMAND\" explains one, tab completes, arrows edit and recall.\n"
		"Begin: device dev any / ioas space / hwpt parent on space for dev nest-parent /\n"
		"buffer data 2M / map space 0x100000 data / attach dev parent /\n"
		"dma dev store 0x100000 / dma dev store 0x0 => fault not-mapped\n"
		"A line may promise its outcome: => ok, => EBUSY, => fault any. # is a comment.\n");
}

static void do_scenarios(struct shell *shell, const char *argument)
{
	const struct scn_platform *platform = shell->platform;
	const char *name;

	(void)argument;
	for (unsigned i = 0; platform->file_name && (name = platform->file_name(platform->ctx, i));
	     i++)
		iommu_printf(platform->out, "  %s\n", name);
}

static void do_run(struct shell *shell, const char *argument)
{
	const struct scn_platform *platform = shell->platform;
	struct scn_program *program;
	const char *text;
	size_t bytes;
	char name[24];

	if (!*argument || !platform->file) {
		iommu_printf(platform->out, "run NAME: scenarios lists the names\n");
		return;
	}
	int error = platform->file(platform->ctx, argument, &text, &bytes);
	if (error) {
		const char *known = iommu_errno_name(error);
		iommu_snprintf(name, sizeof(name), "error %d", error);
		iommu_printf(platform->out,
		             "there is no scenario \"%s\" (%s); scenarios lists them\n", argument,
		             known ? known : name);
		return;
	}
	const struct iommu_os *os = platform->iommu->os;
	if (scn_parse(os, argument, text, bytes, platform->out, &program) != 0)
		return;
	/* a scenario starts from nothing: the session's devices would be in its way */
	scn_close(shell->scn);
	scn_run(platform, &program, 1);
	scn_program_free(program);
	error = scn_open(platform, &shell->scn);
	if (error) {
		shell->scn = NULL;
		shell->done = true;
		iommu_printf(platform->out, "the shell cannot go on: no memory\n");
	}
	shell->faults_shown = platform->iommu->fault_count;
}

static void do_bench(struct shell *shell, const char *argument)
{
	const struct scn_platform *platform = shell->platform;

	if (!shell->io->bench) {
		iommu_printf(platform->out, "there is no bench here\n");
		return;
	}
	/* as for a scenario: the session's devices would be in its way */
	scn_close(shell->scn);
	shell->io->bench(shell->io->ctx, argument);
	int error = scn_open(platform, &shell->scn);
	if (error) {
		shell->scn = NULL;
		shell->done = true;
		iommu_printf(platform->out, "the shell cannot go on: no memory\n");
	}
}

static void do_processors(struct shell *shell, const char *argument)
{
	(void)argument;
	if (shell->io->processors)
		shell->io->processors(shell->io->ctx);
	else
		iommu_printf(shell->platform->out, "there are no processors of its own here\n");
}

static void do_smp_test(struct shell *shell, const char *argument)
{
	const struct scn_platform *platform = shell->platform;
	unsigned count = 0;

	for (const char *at = argument; *at; at++) {
		if (*at < '0' || *at > '9' || count > 999) {
			iommu_printf(platform->out, "smp-test [N]: N is a number of processors\n");
			return;
		}
		count = count * 10 + (unsigned)(*at - '0');
	}
	if (!shell->io->smp_test) {
		iommu_printf(platform->out, "there are no processors of its own here\n");
		return;
	}
	/* as for a scenario: the session's devices would be in its way */
	scn_close(shell->scn);
	shell->io->smp_test(shell->io->ctx, count);
	int error = scn_open(platform, &shell->scn);
	if (error) {
		shell->scn = NULL;
		shell->done = true;
		iommu_printf(platform->out, "the shell cannot go on: no memory\n");
	}
}

static void do_history(struct shell *shell, const char *argument)
{
	(void)argument;
	for (unsigned back = LINE_HISTORY; back > 0; back--) {
		const char *line = line_edit_history(shell->edit, back);
		if (line)
			iommu_printf(shell->platform->out, "  %s\n", line);
	}
}

static void leave(struct shell *shell, enum shell_end end)
{
	shell->done = true;
	shell->end = end;
}

static void do_exit(struct shell *shell, const char *argument)
{
	(void)argument;
	leave(shell, SHELL_EXIT);
}

static void do_poweroff(struct shell *shell, const char *argument)
{
	(void)argument;
	leave(shell, SHELL_POWEROFF);
}

static void do_reset(struct shell *shell, const char *argument)
{
	(void)argument;
	leave(shell, SHELL_RESET);
}

static const struct shell_command shell_commands[] = {
	{"help", "[COMMAND]", "List all commands, or explain one.", do_help},
	{"run", "NAME", "Run a scenario. What was made by hand is given back first.", do_run},
	{"scenarios", "", "List the scenarios at hand.", do_scenarios},
	{"bench", "[STAGE]",
         "Measure, all or the stages that begin so. What was made by hand is given back first.",
         do_bench},
	{"processors", "", "List the processors, and what their caches of memory did.",
         do_processors},
	{"smp-test", "[N]",
         "Test locks, memory and IOASes on N processors at once, or all. What was made by hand is "
         "given back first.",
         do_smp_test},
	{"history", "", "Show the last lines.", do_history},
	{"exit", "", "Leave the shell.", do_exit},
	{"poweroff", "", "Hand the IOMMU back and switch the machine off.", do_poweroff},
	{"reset", "", "Hand the IOMMU back and start the machine anew.", do_reset},
	{.name = NULL},
};

/* ---- completion ------------------------------------------------------------------------------- */

struct completion {
	struct line_edit *edit;
	line_candidate *candidate;
};

static void emit(void *arg, const char *text)
{
	struct completion *completion = arg;
	completion->candidate(completion->edit, text);
}

static bool starts_with(const char *text, const char *word)
{
	size_t length = scn_length(word);
	return scn_length(text) > length && memcmp(text, word, length) == 0 && text[length] == ' ';
}

static void complete(void *ctx, struct line_edit *edit, const char *line, size_t word,
                     line_candidate *candidate)
{
	const struct shell *shell = ctx;
	const struct scn_platform *platform = shell->platform;
	struct completion completion = {edit, candidate};
	size_t start = 0;
	const char *name;

	while (line[start] == ' ')
		start++;
	if (start >= word || starts_with(line + start, "help")) {
		for (const struct shell_command *own = shell_commands; own->name; own++)
			candidate(edit, own->name);
		scn_complete(shell->scn, "", 0, emit, &completion);
	} else if (starts_with(line + start, "run")) {
		for (unsigned i = 0;
		     platform->file_name && (name = platform->file_name(platform->ctx, i)); i++)
			candidate(edit, name);
	} else {
		scn_complete(shell->scn, line, word, emit, &completion);
	}
}

/* ---- the loop ------------------------------------------------------------------------------------ */

/* Run one of the shell's own commands; false if the line is none. */
static bool own_command(struct shell *shell, const char *line)
{
	char name[24];
	size_t length = 0, rest;

	while (*line == ' ')
		line++;
	while (line[length] && line[length] != ' ')
		length++;
	if (length >= sizeof(name))
		return false;
	memcpy(name, line, length);
	name[length] = 0;
	for (const struct shell_command *own = shell_commands; own->name; own++) {
		char argument[64];
		if (!scn_same(own->name, name))
			continue;
		for (rest = length; line[rest] == ' '; rest++)
			;
		for (length = 0; line[rest + length] && line[rest + length] != ' ' &&
		                 length + 1 < sizeof(argument);
		     length++)
			argument[length] = line[rest + length];
		argument[length] = 0;
		own->run(shell, argument);
		return true;
	}
	return false;
}

/* Faults that no command has shown: from devices that act on their own. */
static void faults_show(struct shell *shell, bool hide)
{
	struct iommu *iommu = shell->platform->iommu;
	struct iommu_fault fault;
	bool hidden = false;

	ufd_flush_deferred(shell->platform->ufd);
	iommu_poll(iommu);
	while (shell->faults_shown < iommu->fault_count) {
		if (!iommu_fault_get(iommu, ++shell->faults_shown, &fault))
			continue;
		if (hide && !hidden)
			line_edit_hide(shell->edit);
		hidden = true;
		iommu_fault_print(&fault, shell->platform->out);
	}
	if (hide && hidden)
		line_edit_show(shell->edit);
}

static void line_run(struct shell *shell, const char *line)
{
	faults_show(shell, false);
	if (!own_command(shell, line) && shell->scn)
		scn_command(shell->scn, line);
	shell->faults_shown = shell->platform->iommu->fault_count; /* the command showed them */
}

static void shell_loop(struct shell *shell)
{
	line_edit_start(shell->edit);
	while (!shell->done) {
		int byte = shell->io->read(shell->io->ctx);
		if (byte == SHELL_NOTHING) {
			faults_show(shell, true);
			shell->io->idle(shell->io->ctx);
			continue;
		}
		if (byte == SHELL_END) {
			iommu_printf(shell->platform->out, "\n");
			return;
		}
		switch (line_edit_feed(shell->edit, (unsigned char)byte)) {
		case LINE_MORE:
			break;
		case LINE_READY:
			line_run(shell, shell->edit->line);
			if (!shell->done)
				line_edit_start(shell->edit);
			break;
		case LINE_CANCEL:
			line_edit_start(shell->edit);
			break;
		case LINE_END:
			leave(shell, SHELL_EXIT);
			break;
		}
	}
}

enum shell_end shell_run(const struct scn_platform *platform, const struct shell_io *io)
{
	const struct iommu_os *os = platform->iommu->os;
	struct shell shell = {.platform = platform, .io = io, .end = SHELL_EXIT};

	shell.edit = os->alloc(os->ctx, sizeof(*shell.edit));
	if (!shell.edit || scn_open(platform, &shell.scn) != 0) {
		iommu_printf(platform->out, "the shell cannot start: no memory\n");
	} else {
		line_edit_init(shell.edit, platform->out, "nestor> ");
		if (io->columns)
			shell.edit->columns = io->columns;
		shell.edit->complete = complete;
		shell.edit->ctx = &shell;
		shell.faults_shown = platform->iommu->fault_count;
		iommu_printf(platform->out, "\"help\" lists the commands.\n");
		shell_loop(&shell);
		if (shell.scn)
			scn_close(shell.scn);
	}
	os->free(os->ctx, shell.edit, sizeof(*shell.edit));
	return shell.end;
}
