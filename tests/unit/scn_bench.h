/* SPDX-License-Identifier: MIT */
/*
 * A platform for tests of the interpreter: the mock unit, two mock engines, user
 * memory from libc, output into a string. Time stands in test_os, so nothing waits.
 */
#ifndef TESTS_UNIT_SCN_BENCH_H
#define TESTS_UNIT_SCN_BENCH_H

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/scn.h"
#include "kernel/scn_mock.h"
#include "kernel/shell.h"
#include "kernel/user_memory.h"
#include "tests/ktap.h"
#include "tests/test_memory.h"
#include "tests/test_os.h"

enum { BENCH_OUTPUT = 1 << 18, BENCH_DEVICES = 2 };

struct bench {
	struct test_os test;
	struct iommu core;
	struct ufd ufd;
	struct user_backing backing;
	struct user_memory memory;
	struct mock_engine mocks[BENCH_DEVICES];
	struct scn_platform scn;
	struct iommu_print print;
	long runs; /* of user memory, outstanding */
	char output[BENCH_OUTPUT];
	size_t length;
	const char *keys; /* for the shell */
};

static struct bench bench;

static void bench_write(struct iommu_print *self, const char *text, size_t bytes)
{
	(void)self;
	if (bytes > BENCH_OUTPUT - 1 - bench.length)
		bytes = BENCH_OUTPUT - 1 - bench.length;
	memcpy(bench.output + bench.length, text, bytes);
	bench.length += bytes;
	bench.output[bench.length] = 0;
}

static int bench_run_alloc(void *ctx, unsigned order, pa_t *out)
{
	(void)ctx;
	size_t bytes = (size_t)4096 << order;
	if (order > bench.backing.max_order)
		return -EINVAL;
	long number = ++bench.test.allocations;
	void *run = bench.test.fail_at == number ? NULL : aligned_alloc(bytes, bytes);
	if (!run)
		return -ENOMEM;
	memset(run, 0xee, bytes);
	bench.runs++;
	*out = pa((uintptr_t)run);
	return 0;
}

static int bench_run_free(void *ctx, pa_t run, unsigned order)
{
	(void)ctx, (void)order;
	bench.runs--;
	free((void *)run.value);
	return 0;
}

static int bench_run_pin(void *ctx, pa_t at)
{
	(void)ctx, (void)at;
	return 0;
}

static uint64_t bench_now(void *ctx)
{
	(void)ctx;
	return bench.test.os.now_ns(bench.test.os.ctx);
}

static void bench_wait(void *ctx)
{
	(void)ctx;
	bench.test.now_ns += 1000000;
}

static int bench_file(void *ctx, const char *name, const char **text, size_t *bytes)
{
	(void)ctx;
	static const char good[] = "step Works\nioas space\ndestroy space\n";
	static const char bad[] = "step Is wrong\nioas 12\n";
	if (strcmp(name, "good") != 0 && strcmp(name, "bad") != 0)
		return -ENOENT;
	*text = name[0] == 'g' ? good : bad;
	*bytes = strlen(*text);
	return 0;
}

static const char *bench_file_name(void *ctx, unsigned index)
{
	(void)ctx;
	return index == 0 ? "good" : index == 1 ? "bad" : NULL;
}

static bool bench_start(void)
{
	memset(&bench, 0, sizeof(bench));
	test_os_init(&bench.test);
	bench.print.write = bench_write;
	bench.backing = (struct user_backing){
		.alloc = bench_run_alloc,
		.free = bench_run_free,
		.pin = bench_run_pin,
		.unpin = bench_run_pin,
		.max_order = 10,
	};
	bench.scn = (struct scn_platform){
		.iommu = &bench.core,
		.ufd = &bench.ufd,
		.memory = &bench.memory,
		.mock_engines = &bench.mocks[0].engine,
		.out = &bench.print,
		.machine = "a test",
		.now_ns = bench_now,
		.wait = bench_wait,
		.file = bench_file,
		.file_name = bench_file_name,
	};
	if (iommu_init(&bench.core, &bench.test.os, NULL) != 0 ||
	    iommu_probe(&bench.core, &ufd_mock_driver, NULL) != 1)
		return false;
	for (unsigned i = 0; i < BENCH_DEVICES; i++) {
		struct iommu_device *device;
		if (ufd_mock_device_add(&bench.core, (iommu_rid_t)(8 + i), &device) != 0)
			return false;
		mock_engine_init(&bench.mocks[i], &bench.test.os, device);
		bench.mocks[i].engine.next = i ? NULL : &bench.mocks[1].engine;
	}
	return iommu_enable(&bench.core) == 0 &&
	       user_memory_init(&bench.memory, &bench.test.os, &bench.backing) == 0 &&
	       ufd_init(&bench.ufd, &bench.core, &user_memory_ops, &bench.memory) == 0;
}

static void bench_finish(void)
{
	ufd_exit(&bench.ufd);
	KTAP_EQUAL(user_memory_exit(&bench.memory), 0);
	iommu_disable(&bench.core);
	iommu_exit(&bench.core);
	KTAP_EQUAL(bench.runs, 0);
	KTAP_CHECK(test_os_is_clean(&bench.test));
}

static bool said(const char *text)
{
	return strstr(bench.output, text) != NULL;
}

/* Parse and run one text. -1: it could not be parsed. */
static inline int bench_run(const char *text)
{
	struct scn_program *program;

	bench.length = 0;
	bench.output[0] = 0;
	if (scn_parse(&bench.test.os, "t.scn", text, strlen(text), &bench.print, &program) != 0)
		return -1;
	enum scn_verdict verdict = scn_run(&bench.scn, &program, 1);
	scn_program_free(program);
	return (int)verdict;
}

/* The whole of a file, NUL-terminated; the caller frees it. */
static inline char *bench_file_read(const char *path)
{
	char *text = test_calloc(1, 1 << 16);
	FILE *file = fopen(path, "r");
	size_t got = file && text ? fread(text, 1, (1 << 16) - 1, file) : 0;
	if (file)
		fclose(file);
	if (!got) {
		free(text);
		return NULL;
	}
	return text;
}

#endif
