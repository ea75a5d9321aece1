/* SPDX-License-Identifier: MIT */
/*
 * The bench in a process: the same operations on the mock, and the page-table engine in
 * VT-d's format, in nanoseconds of the process's own time. What the engine costs over a
 * plain loop that stores the same entries is printed at the end.
 *
 *   nestor-bench [--raw] [STAGE]
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "host/platform.h"

enum {
	MOST_LIVE = 1000000,
	SCATTERED = 32 << 20, /* Linux gives a process 65530 pieces of memory */
};

/* Calls of a few nanoseconds want a finer clock than the system's. */
#if defined(__x86_64__)
static uint64_t ticks(void)
{
	return __builtin_ia32_rdtsc();
}
#else
#define ticks monotonic_ns
#endif

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static uint64_t scale = UINT64_C(1) << 32; /* ns in 2^32 ticks */

static uint64_t to_ns(uint64_t count)
{
	return (uint64_t)((unsigned __int128)count * scale >> 32);
}

static void clock_measure(void)
{
	const uint64_t window = 50000000;
	uint64_t start_ns = monotonic_ns(), start = ticks(), ns;

	do
		ns = monotonic_ns() - start_ns;
	while (ns < window);
	scale = (uint64_t)(((unsigned __int128)ns << 32) / (ticks() - start));
}

static void out_write(struct iommu_print *self, const char *text, size_t bytes)
{
	(void)self;
	fwrite(text, 1, bytes, stdout);
}

int main(int argc, char **argv)
{
	static struct host_platform host;
	const struct host_options options = {0};
	struct iommu_print out = {.write = out_write};
	const char *selection = "";
	bool raw = false;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--raw")) {
			raw = true;
		} else if (argv[i][0] == '-') {
			fprintf(stderr,
			        "nestor-bench: unknown option %s; wanted --raw, or the "
			        "beginning of a stage's name\n",
			        argv[i]);
			return 2;
		} else {
			selection = argv[i];
		}
	}
	if (host_platform_init(&host, &options))
		return 1;
	struct bench bench = {
		.core = &host.core,
		.ufd = &host.ufd,
		.memory = &host.memory,
		.mock = host.mocks[0].engine.pci->iommu,
		.unit = "ns",
		.column = "mock",
		.clock = ticks,
		.convert = to_ns,
		.out = &out,
		.raw = raw,
		.most_live = MOST_LIVE,
		.scattered = SCATTERED,
		.selection = selection,
	};
	clock_measure();
	printf("bench: hosted, on the mock and on page tables alone; in ns\n");
	bool passed = bench_run(&bench);
	passed = host_platform_exit(&host) && passed;
	return passed ? 0 : 1;
}
