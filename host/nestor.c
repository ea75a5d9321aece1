/* SPDX-License-Identifier: MIT */
/*
 * The hosted runner: scenarios and the shell without a kernel.
 *
 *   nestor [--unit=PRESET] FILE.scn...   run scenarios, print KTAP
 *   nestor [--unit=PRESET]               the shell, on a terminal
 *
 * Status: 0 all passed, or skipped as the report says; 1 something failed; 2 the
 * command line or a scenario is wrong, nothing was run.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "host/platform.h"
#include "kernel/shell.h"

enum { STATUS_PASSED, STATUS_FAILED, STATUS_USAGE };

static const char usage[] =
	"usage: nestor [OPTIONS] FILE.scn...   run scenarios, report in KTAP\n"
	"       nestor [OPTIONS] [--shell]     the same commands, typed\n"
	"  --unit=mock    on the mock IOMMU (default)\n"
	"  --unit=PRESET  on a model of a VT-d unit, with the VT-d driver; --unit=help lists them\n"
	"  --mode=MODE    auto (default), legacy or scalable: the tables that the driver uses\n"
	"  --seed=N       the model's caches forget at random, as N decides (default: never)\n"
	"  --cruel        the model's caches never forget, its commands complete late, as the "
	"seed\n"
	"                 decides, and all that it remembers is compared with memory after each "
	"DMA\n"
	"  -v             print the log as well\n"
	"FILE may be \"-\", standard input. docs/scenarios.md describes the language.\n";

/* ---- scenarios ---------------------------------------------------------------------------- */

static void error_write(struct iommu_print *self, const char *text, size_t bytes)
{
	(void)self;
	fwrite(text, 1, bytes, stderr);
}

/* Read and parse one file; NULL after an error message. */
static struct scn_program *program_read(struct host_platform *host, const char *path)
{
	struct iommu_print errors = {.write = error_write};
	struct scn_program *program = NULL;
	char *text;
	size_t bytes;

	bool input = strcmp(path, "-") == 0;
	int error = host_file_read(input ? "/dev/stdin" : path, &text, &bytes);
	if (error) {
		fprintf(stderr, "nestor: %s: %s\n", path, strerror(-error));
		return NULL;
	}
	error = scn_parse(&host->os, input ? "input" : path, text, bytes, &errors, &program);
	free(text);
	if (error == -ENOMEM)
		fprintf(stderr, "nestor: %s: out of memory\n", path);
	return error ? NULL : program;
}

static int scenarios_run(struct host_platform *host, char **paths, int count)
{
	struct scn_program **programs = calloc((size_t)count, sizeof(struct scn_program *));
	int status = STATUS_PASSED;

	if (!programs)
		return STATUS_FAILED;
	for (int i = 0; i < count; i++) { /* all are read before any is run */
		programs[i] = program_read(host, paths[i]);
		if (!programs[i])
			status = STATUS_USAGE;
	}
	if (status == STATUS_PASSED && scn_run(&host->scn, programs, (size_t)count) == SCN_FAILED)
		status = STATUS_FAILED;
	for (int i = 0; i < count; i++)
		scn_program_free(programs[i]);
	free(programs);
	return status;
}

/* ---- shell ----------------------------------------------------------------------------------- */

struct terminal {
	struct termios before;
	bool raw;
};

static int terminal_read(void *ctx)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	unsigned char byte;

	(void)ctx;
	if (poll(&input, 1, 0) <= 0)
		return SHELL_NOTHING;
	return read(STDIN_FILENO, &byte, 1) == 1 ? byte : SHELL_END;
}

static void terminal_idle(void *ctx)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	(void)ctx;
	fflush(stdout);
	(void)!poll(&input, 1, 10);
}

/* Bytes as they are typed; output processing stays on. */
static void terminal_raw(struct terminal *terminal)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal->before) != 0)
		return;
	raw = terminal->before;
	raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
	raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	terminal->raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static int shell(struct host_platform *host)
{
	struct terminal terminal = {.raw = false};
	struct winsize size;
	struct shell_io io = {
		.ctx = &terminal, .read = terminal_read, .idle = terminal_idle, .columns = 80};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
		io.columns = size.ws_col;
	terminal_raw(&terminal);
	shell_run(&host->scn, &io);
	fflush(stdout);
	if (terminal.raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal.before);
	return STATUS_PASSED;
}

/* ---- the command line ------------------------------------------------------------------------ */

/* The value of --NAME=VALUE, or NULL. */
static const char *value_of(const char *word, const char *name)
{
	size_t length = strlen(name);

	return strncmp(word, name, length) == 0 ? word + length : NULL;
}

static void output_write(struct iommu_print *self, const char *text, size_t bytes)
{
	(void)self;
	fwrite(text, 1, bytes, stdout);
}

static int units_print(void)
{
	struct iommu_print to = {.write = output_write};

	puts("--unit= is one of");
	printf("  %-20s %s\n", "mock", "no VT-d: the mock IOMMU, as the kernel's self-test has it");
	model_presets_print(&to);
	return STATUS_PASSED;
}

static bool seed_read(const char *text, uint64_t *out)
{
	char *end;

	*out = strtoull(text, &end, 0);
	return *text >= '0' && *text <= '9' && !*end;
}

static bool mode_read(const char *text, enum iommu_mode *out)
{
	static const char *const names[] = {
		[IOMMU_MODE_AUTO] = "auto",
		[IOMMU_MODE_LEGACY] = "legacy",
		[IOMMU_MODE_SCALABLE] = "scalable",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum iommu_mode)i;
			return true;
		}
	}
	return false;
}

/* Take one option; NULL, or what is wrong with it. */
static const char *option_read(const char *word, struct host_options *options)
{
	const char *value;

	if (strcmp(word, "-v") == 0) {
		options->verbose = true;
	} else if (strcmp(word, "--cruel") == 0) {
		options->cruel = true;
	} else if ((value = value_of(word, "--unit="))) {
		options->unit = model_preset_find(value);
		if (!options->unit && strcmp(value, "mock") != 0)
			return "no such unit; --unit=help lists them";
	} else if ((value = value_of(word, "--seed="))) {
		if (!seed_read(value, &options->seed))
			return "a seed is a number";
	} else if ((value = value_of(word, "--mode="))) {
		if (!mode_read(value, &options->mode))
			return "--mode= is auto, legacy or scalable";
	} else {
		return "unknown option; --help lists them";
	}
	return NULL;
}

static bool wants_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int main(int argc, char **argv)
{
	static struct host_platform host;
	struct host_options options = {0};
	bool want_shell = false;
	int first = 1;

	for (; first < argc && argv[first][0] == '-' && argv[first][1]; first++) {
		const char *word = argv[first];
		if (wants_help(word)) {
			fputs(usage, stdout);
			return STATUS_PASSED;
		}
		if (strcmp(word, "--unit=help") == 0)
			return units_print();
		if (strcmp(word, "--shell") == 0) {
			want_shell = true;
			continue;
		}
		const char *wrong = option_read(word, &options);
		if (wrong) {
			fprintf(stderr, "nestor: %s: %s\n", word, wrong);
			return STATUS_USAGE;
		}
	}
	if (!options.unit && (options.cruel || options.seed)) {
		fputs("nestor: --cruel and --seed= are for a model: give --unit=PRESET too\n",
		      stderr);
		return STATUS_USAGE;
	}
	if (first == argc && !want_shell && !isatty(STDIN_FILENO)) {
		fprintf(stderr, "nestor: no scenario, and standard input is no terminal\n%s",
		        usage);
		return STATUS_USAGE;
	}
	if (host_platform_init(&host, &options) != 0)
		return STATUS_FAILED;
	int status = first < argc ? scenarios_run(&host, argv + first, argc - first) : shell(&host);
	fflush(stdout);
	if (!host_platform_exit(&host) && status == STATUS_PASSED)
		status = STATUS_FAILED;
	return status;
}
