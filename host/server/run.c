/* SPDX-License-Identifier: MIT */
/*
 * nestor-run PROGRAM ARGS...: run a program written for Linux's /dev/iommu where there is
 * none. Starts the server, preloads the library that stands beside this program, and
 * returns the program's status. Needs no rights.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/server/server.h"

static const char usage[] =
	"usage: nestor-run [OPTION...] PROGRAM [ARGUMENT...]\n"
	"\n"
	"Runs PROGRAM with a /dev/iommu of its own, and /dev/vfio/devices/vfio0 and on.\n"
	"Its status is PROGRAM's; 125: nestor-run failed, 126 or 127: PROGRAM cannot be run.\n"
	"\n"
	"  --unit=UNIT   the IOMMU: mock (if not given), or a model of a VT-d unit;\n"
	"                --unit=help lists them\n"
	"  --mode=MODE   of a VT-d unit: auto, legacy or scalable\n"
	"  --strict      fail with 125 if the core does not get all back in the end\n"
	"  --assist      let programs copy their memory themselves, as where the server\n"
	"                may not reach into them\n"
	"  -v            say what the core does, and why it refuses a call\n"
	"  -h, --help    this text\n";

enum { STATUS_FAILED = 125, STATUS_NOT_RUN = 126, STATUS_NOT_FOUND = 127 };

static const char *const folders[] = {"failslab", "fail_page_alloc"};
static const char *const files[] = {"ignore-gfp-wait", "ignore-gfp-highmem", "verbose"};

/* The paths of one run, in a private folder. */
struct run {
	char folder[64], socket[96], debug[96], library[PATH_MAX];
	bool strict;
	struct server_options options;
};

static int complain(const char *what, const char *name)
{
	fprintf(stderr, "nestor-run: %s: %s: %s\n", what, name, strerror(errno));
	return -1;
}

/* The folder that programs see as the kernel's fault injection: real files, for real
 * descriptors. Which calls fail is what fail-nth says; these switches are not looked at. */
static int debug_folder_make(const struct run *run)
{
	char path[256];

	if (mkdir(run->debug, 0700) != 0)
		return complain("cannot make", run->debug);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", run->debug, folders[i]);
		if (mkdir(path, 0700) != 0)
			return complain("cannot make", path);
		for (size_t j = 0; j < sizeof(files) / sizeof(files[0]); j++) {
			snprintf(path, sizeof(path), "%s/%s/%s", run->debug, folders[i], files[j]);
			int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
			if (fd < 0)
				return complain("cannot make", path);
			close(fd);
		}
	}
	return 0;
}

static void folder_remove(const struct run *run)
{
	char path[256];

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		for (size_t j = 0; j < sizeof(files) / sizeof(files[0]); j++) {
			snprintf(path, sizeof(path), "%s/%s/%s", run->debug, folders[i], files[j]);
			unlink(path);
		}
		snprintf(path, sizeof(path), "%s/%s", run->debug, folders[i]);
		rmdir(path);
	}
	rmdir(run->debug);
	unlink(run->socket);
	rmdir(run->folder);
}

/* The library stands where this program does. */
static int library_find(struct run *run)
{
	ssize_t length = readlink("/proc/self/exe", run->library, sizeof(run->library) - 1);

	if (length <= 0)
		return complain("cannot read", "/proc/self/exe");
	run->library[length] = '\0';
	char *name = strrchr(run->library, '/') + 1;
	const char library[] = "libnestor-dev.so";
	if ((size_t)(name - run->library) + sizeof(library) > sizeof(run->library)) {
		errno = ENAMETOOLONG;
		return complain("cannot use", run->library);
	}
	memcpy(name, library, sizeof(library));
	if (access(run->library, R_OK) != 0)
		return complain("cannot read", run->library);
	if (strpbrk(run->library, " :")) { /* LD_PRELOAD has no way to say that */
		errno = EINVAL;
		return complain("a path with a space or colon cannot be preloaded", run->library);
	}
	return 0;
}

static int folder_make(struct run *run)
{
	const char *top = getenv("TMPDIR");

	snprintf(run->folder, sizeof(run->folder), "%s/nestor-XXXXXX",
	         top && strlen(top) < 32 ? top : "/tmp");
	if (!mkdtemp(run->folder))
		return complain("cannot make a folder", run->folder);
	snprintf(run->socket, sizeof(run->socket), "%s/socket", run->folder);
	snprintf(run->debug, sizeof(run->debug), "%s/debug", run->folder);
	return debug_folder_make(run);
}

static int listener_make(const struct run *run)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, run->socket, sizeof(run->socket));
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(fd, 128) != 0)
		return complain("cannot listen", run->socket);
	return fd;
}

/* The server process. Its status: 0, or 1 after a line. */
static int serve(const struct run *run, int listener, int stop)
{
	static struct server server;

	signal(SIGINT, SIG_IGN); /* the program decides; the end of it is ours */
	signal(SIGTERM, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "nestor-server");
	if (server_core_init(&server, &run->options))
		return 1;
	if (write(stop, "", 1) != 1)
		return 1;
	server_loop(&server, listener, stop);
	return server_core_exit(&server) ? 0 : 1;
}

static int environment_set(const struct run *run)
{
	char preload[PATH_MAX + 1024];
	const char *before = getenv("LD_PRELOAD");

	int length = snprintf(preload, sizeof(preload), "%s%s%s", run->library,
	                      before && *before ? ":" : "", before ? before : "");
	if (length < 0 || (size_t)length >= sizeof(preload)) {
		errno = E2BIG;
		return complain("too long", "LD_PRELOAD");
	}
	return setenv("LD_PRELOAD", preload, 1) || setenv(NESTOR_SOCKET_VARIABLE, run->socket, 1) ||
	                       setenv(NESTOR_FOLDER_VARIABLE, run->debug, 1)
	               ? complain("cannot set", "the environment")
	               : 0;
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int program_run(const struct run *run, char **words)
{
	pid_t program = fork();

	if (program < 0) {
		complain("cannot start", words[0]);
		return STATUS_FAILED;
	}
	if (program == 0) {
		if (environment_set(run))
			_exit(STATUS_FAILED);
		execvp(words[0], words);
		complain("cannot run", words[0]);
		_exit(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUN);
	}
	int status;
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	while (waitpid(program, &status, 0) < 0 && errno == EINTR)
		;
	return status_of(status);
}

/* Start the server, run the program, end the server. */
static int run_both(const struct run *run, char **words)
{
	char ready;
	int stop[2], status;

	int listener = listener_make(run);
	if (listener < 0)
		return STATUS_FAILED;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stop) != 0) {
		complain("cannot make", "a socket pair");
		return STATUS_FAILED;
	}
	pid_t server = fork();
	if (server < 0) {
		complain("cannot start", "the server");
		return STATUS_FAILED;
	}
	if (server == 0) {
		close(stop[0]);
		exit(serve(run, listener, stop[1]));
	}
	close(stop[1]);
	close(listener);
	int result = read(stop[0], &ready, 1) == 1 ? program_run(run, words) : STATUS_FAILED;
	close(stop[0]);
	while (waitpid(server, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status))
		fprintf(stderr, "nestor-run: the server died of signal %d\n", WTERMSIG(status));
	bool bad = !WIFEXITED(status) || (run->strict && WEXITSTATUS(status));
	return bad ? STATUS_FAILED : result;
}

static void output_write(struct iommu_print *self, const char *text, size_t bytes)
{
	(void)self;
	fwrite(text, 1, bytes, stdout);
}

/* Take one option: 0, 1 if all is done, -1 after a line. */
static int option_take(const char *word, struct run *run)
{
	struct iommu_print to = {.write = output_write};
	static const char *const modes[] = {
		[IOMMU_MODE_AUTO] = "auto",
		[IOMMU_MODE_LEGACY] = "legacy",
		[IOMMU_MODE_SCALABLE] = "scalable",
	};

	if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
		fputs(usage, stdout);
		return 1;
	}
	if (strcmp(word, "--unit=help") == 0) {
		printf("  %-20s %s\n", "mock", "no VT-d: the IOMMU of Linux's self-test");
		model_presets_print(&to);
		return 1;
	}
	if (strcmp(word, "-v") == 0) {
		run->options.verbose = true;
		return 0;
	}
	if (strcmp(word, "--strict") == 0) {
		run->strict = true;
		return 0;
	}
	if (strcmp(word, "--assist") == 0) {
		run->options.assist = true;
		return 0;
	}
	if (strncmp(word, "--unit=", 7) == 0) {
		run->options.unit = model_preset_find(word + 7);
		if (run->options.unit || strcmp(word + 7, "mock") == 0)
			return 0;
		fprintf(stderr, "nestor-run: %s: no such unit; --unit=help lists them\n", word);
		return -1;
	}
	for (unsigned i = 0; strncmp(word, "--mode=", 7) == 0 && i < 3; i++) {
		if (strcmp(word + 7, modes[i]) == 0) {
			run->options.mode = (enum iommu_mode)i;
			return 0;
		}
	}
	fprintf(stderr, "nestor-run: %s: unknown option; --help lists them\n", word);
	return -1;
}

int main(int argc, char **argv)
{
	static struct run run;
	int at = 1, taken = 0;

	for (; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--") == 0) {
			at++;
			break;
		}
		taken = option_take(argv[at], &run);
		if (taken)
			return taken < 0 ? STATUS_FAILED : 0;
	}
	if (at == argc) {
		fputs(usage, stderr);
		return STATUS_FAILED;
	}
	if (library_find(&run))
		return STATUS_FAILED;
	int result = folder_make(&run) ? STATUS_FAILED : run_both(&run, argv + at);
	folder_remove(&run);
	return result;
}
