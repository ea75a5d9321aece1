/* SPDX-License-Identifier: MIT */
/*
 * The fuzzers' corpora (tests/fuzz/corpus/), run without the fuzzer: what it found worth
 * keeping, and what once failed. Then random programs of calls, by seed. `make fuzz` goes on
 * from here.
 */
#include "tests/fuzz/calls.h"
#include "tests/fuzz/dmar.h"
#include "tests/fuzz/scenario.h"

#include <glob.h>

enum { INPUT_BYTES = 16384, RANDOM_PROGRAMS = 300, RANDOM_BYTES = 240 };

static void replay(const char *pattern, bool (*run)(const uint8_t *bytes, size_t size),
                   size_t least)
{
	glob_t found;
	bool good = true;

	KTAP_EQUAL(glob(pattern, 0, NULL, &found), 0);
	if (ktap_failed)
		return;
	KTAP_CHECK(found.gl_pathc >= least);
	for (size_t i = 0; i < found.gl_pathc && good; i++) {
		uint8_t *bytes = test_malloc(INPUT_BYTES);
		FILE *file = fopen(found.gl_pathv[i], "rb");
		size_t size = file ? fread(bytes, 1, INPUT_BYTES, file) : 0;
		uint8_t *exact = test_malloc(size ? size : 1); /* a read past it is seen */
		memcpy(exact, bytes, size);
		good = file && size < INPUT_BYTES && run(exact, size);
		if (!good)
			printf("# %s\n", found.gl_pathv[i]);
		if (file)
			fclose(file);
		free(exact);
		free(bytes);
	}
	printf("# %zu inputs\n", found.gl_pathc);
	globfree(&found);
	if (!good)
		KTAP_FAIL("an input of the corpus fails");
}

static void calls(void)
{
	replay("tests/fuzz/corpus/calls/*", calls_run, 20);
	sweep_memory_free();
}

static void queue(void)
{
	replay("tests/fuzz/corpus/queue/*", queue_run, 8);
	sweep_memory_free();
}

static void raw(void)
{
	replay("tests/fuzz/corpus/raw/*", raw_run, 8);
	sweep_memory_free();
}

static void dmar(void)
{
	replay("tests/fuzz/corpus/dmar/*", dmar_run, 5);
}

static void scenario(void)
{
	replay("tests/fuzz/corpus/scenario/*", scenario_run, 5);
}

static void random_calls(void)
{
	uint8_t bytes[RANDOM_BYTES];
	uint64_t seed = 4711;
	bool good = true;

	for (unsigned n = 0; n < RANDOM_PROGRAMS && good; n++) {
		for (unsigned i = 0; i < RANDOM_BYTES; i++)
			bytes[i] = (uint8_t)(test_random(&seed) >> 32);
		good = calls_run(bytes, sizeof(bytes));
		if (!good)
			printf("# random program %u\n", n);
	}
	if (!good)
		KTAP_FAIL("a random program fails");
	sweep_memory_free();
}

static const struct ktap_case cases[] = {
	{"corpus: programs of calls", calls}, {"corpus: a fault queue", queue},
	{"corpus: raw structures", raw},      {"corpus: DMAR tables", dmar},
	{"corpus: scenarios", scenario},      {"random programs of calls", random_calls},
};

KTAP_MAIN(cases)
