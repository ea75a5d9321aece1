/* SPDX-License-Identifier: MIT */
/*
 * One reporter for every test: KTAP version 1 lines, in the kernel and hosted.
 *
 * A test program is a list of cases; each case calls KTAP_CHECK as often as it
 * likes; the first that fails prints where and why and fails the case. The plan
 * is printed first, so a program that dies early cannot pass.
 */
#ifndef TESTS_KTAP_H
#define TESTS_KTAP_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct ktap_case {
	const char *name;
	void (*run)(void);
};

static bool ktap_failed;
static const char *ktap_skip_reason;

#define KTAP_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			if (!ktap_failed)                                                          \
				printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
			ktap_failed = true;                                                        \
		}                                                                                  \
	} while (0)

/** The case fails: what should not be reached was. */
#define KTAP_FAIL(why)                                                                             \
	do {                                                                                       \
		if (!ktap_failed)                                                                  \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, why);                          \
		ktap_failed = true;                                                                \
	} while (0)

/** Compare two integers; prints both when they differ. */
#define KTAP_EQUAL(got, wanted)                                                                    \
	do {                                                                                       \
		long long ktap_got = (long long)(got), ktap_wanted = (long long)(wanted);          \
		if (ktap_got != ktap_wanted) {                                                     \
			if (!ktap_failed)                                                          \
				printf("# %s:%d: %s is %lld (%#llx), wanted %s = %lld (%#llx)\n",  \
				       __FILE__, __LINE__, #got, ktap_got,                         \
				       (unsigned long long)ktap_got, #wanted, ktap_wanted,         \
				       (unsigned long long)ktap_wanted);                           \
			ktap_failed = true;                                                        \
		}                                                                                  \
	} while (0)

/** Leave the case as skipped, with the reason; say what is missing. */
#define KTAP_SKIP(reason)                                                                          \
	do {                                                                                       \
		ktap_skip_reason = (reason);                                                       \
		return;                                                                            \
	} while (0)

static inline int ktap_run(const struct ktap_case *cases, unsigned count)
{
	unsigned failures = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%u\n", count);
	for (unsigned i = 0; i < count; i++) {
		ktap_failed = false;
		ktap_skip_reason = NULL;
		cases[i].run();
		printf("%s %u - %s", ktap_failed ? "not ok" : "ok", i + 1, cases[i].name);
		if (!ktap_failed && ktap_skip_reason)
			printf(" # SKIP %s", ktap_skip_reason);
		printf("\n");
		failures += ktap_failed;
	}
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define KTAP_MAIN(cases)                                                                           \
	int main(void)                                                                             \
	{                                                                                          \
		return ktap_run(cases, sizeof(cases) / sizeof((cases)[0]));                        \
	}

#endif
