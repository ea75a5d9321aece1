/* SPDX-License-Identifier: MIT */
/*
 * Formatting against the C library's, log lines, walk output, and the names and
 * numbers of errors.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "iommu/os.h"
#include "iommu/print.h"
#include "iommu/walk.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

#define CHECK_SAME(...)                                                                            \
	do {                                                                                       \
		char ours[300], theirs[300];                                                       \
		int our_length = iommu_snprintf(ours, sizeof(ours), __VA_ARGS__);                  \
		int their_length = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                  \
		if (our_length != their_length || strcmp(ours, theirs)) {                          \
			printf("# %d \"%s\", wanted %d \"%s\"\n", our_length, ours, their_length,  \
			       theirs);                                                            \
			KTAP_FAIL("the text differs from the C library's");                        \
		}                                                                                  \
	} while (0)

/* Formats are put together at run time here, so the compiler cannot check them. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

static void same_as_libc(void)
{
	static const char *const flags[] = {"",   "-",  "0",   "#",  "+",   " ",
	                                    "-0", "#0", "-#0", "+0", "+ -", "-#"};
	static const char *const widths[] = {"", "1", "7", "40", "70"};
	static const char *const precisions[] = {"", ".", ".0", ".1", ".9", ".30"};
	static const long long values[] = {0,
	                                   1,
	                                   -1,
	                                   9,
	                                   255,
	                                   -128,
	                                   4096,
	                                   0x7fffffff,
	                                   -2147483648LL,
	                                   0xffffffff,
	                                   INT64_MAX,
	                                   INT64_MIN,
	                                   0x123456789abcdef};
	char format[40];

	for (unsigned f = 0; f < ARRAY_SIZE(flags); f++)
		for (unsigned w = 0; w < ARRAY_SIZE(widths); w++)
			for (unsigned p = 0; p < ARRAY_SIZE(precisions); p++)
				for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
					long long value = values[v];
#define TRY(suffix, type)                                                                          \
	snprintf(format, sizeof(format), "<%%%s%s%s" suffix ">", flags[f], widths[w],              \
	         precisions[p]);                                                                   \
	CHECK_SAME(format, (type)value)
					TRY("d", int);
					TRY("i", int);
					TRY("u", unsigned);
					TRY("x", unsigned);
					TRY("X", unsigned);
					TRY("o", unsigned);
					TRY("hhd", int);
					TRY("hhx", unsigned);
					TRY("hd", int);
					TRY("hu", unsigned);
					TRY("ld", long);
					TRY("lx", unsigned long);
					TRY("lld", long long);
					TRY("llu", unsigned long long);
					TRY("llo", unsigned long long);
					TRY("zu", size_t);
					TRY("zd", ssize_t);
					TRY("td", ptrdiff_t);
					TRY("jd", intmax_t);
					TRY("jX", uintmax_t);
				}
	static const char *const texts[] = {"", "a", "hello", "a longer text with blanks"};
	for (unsigned f = 0; f < 2; f++)
		for (unsigned w = 0; w < ARRAY_SIZE(widths); w++)
			for (unsigned p = 0; p < ARRAY_SIZE(precisions); p++)
				for (unsigned t = 0; t < ARRAY_SIZE(texts); t++) {
					snprintf(format, sizeof(format), "<%%%s%s%ss>", flags[f],
					         widths[w], precisions[p]);
					CHECK_SAME(format, texts[t]);
				}
}

static void special(void)
{
	char out[32];

	CHECK_SAME("%c%c%%%5c%-5c|", 'a', 'b', 'c', 'd');
	CHECK_SAME("%*d|%-*d|%*d|%.*d|%.*d|%.*s", 6, 42, 6, 42, -6, 42, 4, 42, -1, 42, 2, "abc");
	CHECK_SAME("no conversion at all");
	CHECK_SAME("%s", "");
	CHECK_SAME("%d%s%x", 1, "two", 3);
	CHECK_SAME("%p", (void *)0x12345678);
	/* not printed past its precision, so no NUL is needed */
	char text[3] = {'a', 'b', 'c'};
	CHECK_SAME("%.3s|%.*s", text, 2, text);

	iommu_snprintf(out, sizeof(out), "%p", (void *)0);
	KTAP_CHECK(!strcmp(out, "0x0"));
	const char *volatile nothing = NULL;
	iommu_snprintf(out, sizeof(out), "%s", nothing);
	KTAP_CHECK(!strcmp(out, "(null)"));
	/* what is not supported shows itself */
	const char *volatile format = "%q %5.3f|%";
	KTAP_EQUAL(iommu_snprintf(out, sizeof(out), format), 10);
	KTAP_CHECK(!strcmp(out, "%q %5.3f|%"));
	/* absurd widths are cut */
	format = "%99999999999999999999d";
	KTAP_EQUAL(iommu_snprintf(out, sizeof(out), format, 1), 4096);
}

static void truncation(void)
{
	char out[8];

	for (size_t size = 0; size <= sizeof(out); size++) {
		memset(out, 'z', sizeof(out));
		KTAP_EQUAL(iommu_snprintf(size ? out : NULL, size, "%s-%d", "abc", 123456), 10);
		for (size_t i = 0; i + 1 < size; i++)
			KTAP_EQUAL(out[i], "abc-123456"[i]);
		if (size)
			KTAP_EQUAL(out[size - 1], 0);
		for (size_t i = size; i < sizeof(out); i++)
			KTAP_EQUAL(out[i], 'z');
	}
}

static void log_lines(void)
{
	struct test_os test;
	char text[600];

	test_os_init(&test);
	iommu_log(&test.os, IOMMU_LOG_ERROR, "%s: %#x", "unit", 0x123);
	KTAP_CHECK(!strcmp(test.last_log, "unit: 0x123"));
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	iommu_log(&test.os, IOMMU_LOG_WARNING, "%s", text);
	KTAP_EQUAL(test.log_count[IOMMU_LOG_WARNING], 1);
	test.os.log = NULL;
	iommu_log(&test.os, IOMMU_LOG_ERROR, "nobody listens");
	KTAP_EQUAL(test.log_count[IOMMU_LOG_ERROR], 1);
}

static char long_line[1024];

static void keep_line(void *ctx, enum iommu_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	snprintf(long_line, sizeof(long_line), "%s", line);
}

static void long_log_line(void)
{
	struct test_os test;

	test_os_init(&test);
	test.os.log = keep_line;
	iommu_log(&test.os, IOMMU_LOG_INFO, "%500d", 1);
	size_t length = strlen(long_line);
	KTAP_CHECK(length > 100 && length < 500);
	KTAP_CHECK(!strcmp(long_line + length - 3, "..."));
}

/** A sink that keeps all. */
static char printed[8192];

static void sink_write(struct iommu_print *self, const char *text, size_t bytes)
{
	size_t *length = self->ctx;

	KTAP_CHECK(bytes > 0 && *length + bytes < sizeof(printed));
	memcpy(printed + *length, text, bytes);
	*length += bytes;
	printed[*length] = '\0';
}

static void walk_output(void)
{
	static struct iommu_walk walk;
	size_t length = 0;
	struct iommu_print sink = {sink_write, &length};

	struct iommu_walk_step *step = iommu_walk_step(&walk, "root", 0, pa(0x1000));
	step->words = 2;
	step->entry[0] = 0x2001;
	iommu_snprintf(step->note, sizeof(step->note), "present, table at 0x2000");
	step = iommu_walk_step(&walk, "SS L4", 5, pa(0x3028));
	walk.reason = 6;
	walk.mnemonic = "LGN.3";
	walk.text = "no read permission";
	iommu_walk_print(&walk, &sink, "  ");
	KTAP_CHECK(!strcmp(
		printed, "    root[0] at 0x1000: 0000000000000000 0000000000002001  present, table "
			 "at 0x2000\n"
			 "  > SS L4[0x5] at 0x3028: 0000000000000000\n"
			 "  fault: LGN.3 (0x6), no read permission\n"));
	length = 0;
	walk.translated = true;
	walk.result = pa(0x5123);
	walk.page_bytes = 0x1000;
	walk.rights = IOMMU_READ;
	iommu_walk_print(&walk, &sink, "");
	KTAP_CHECK(strstr(printed, "result: 0x5123, page of 0x1000 bytes, read\n"));
	KTAP_CHECK(!strchr(printed, '>'));

	/* a walk that is too long keeps its end */
	for (unsigned i = 0; i < 2 * IOMMU_WALK_STEPS; i++)
		step = iommu_walk_step(&walk, "x", i, pa(i));
	KTAP_EQUAL(walk.count, IOMMU_WALK_STEPS);
	KTAP_EQUAL(walk.steps[IOMMU_WALK_STEPS - 1].index, 2 * IOMMU_WALK_STEPS - 1);
}

static void errors(void)
{
	/* the numbers of Linux on x86-64, which iommu/errno.h gives a freestanding build */
	static const struct {
		int host, number;
		const char *name;
	} list[] = {
#define E(name, number) {name, number, #name}
		E(EPERM, 1),       E(ENOENT, 2),      E(EINTR, 4),       E(EIO, 5),
		E(ENXIO, 6),       E(E2BIG, 7),       E(EBADF, 9),       E(EAGAIN, 11),
		E(ENOMEM, 12),     E(EACCES, 13),     E(EFAULT, 14),     E(EBUSY, 16),
		E(EEXIST, 17),     E(ENODEV, 19),     E(EINVAL, 22),     E(ENFILE, 23),
		E(EMFILE, 24),     E(ENOTTY, 25),     E(ENOSPC, 28),     E(ERANGE, 34),
		E(ENODATA, 61),    E(EOVERFLOW, 75),  E(EOPNOTSUPP, 95), E(EADDRINUSE, 98),
		E(ETIMEDOUT, 110), E(ECANCELED, 125),
	};

	for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
		KTAP_EQUAL(list[i].host, list[i].number);
		KTAP_CHECK(!strcmp(iommu_errno_name(list[i].number), list[i].name));
		KTAP_CHECK(!strcmp(iommu_errno_name(-list[i].number), list[i].name));
	}
	KTAP_CHECK(!strcmp(iommu_errno_name(0), "ok"));
	KTAP_CHECK(iommu_errno_name(12345) == NULL);
	KTAP_CHECK(iommu_errno_name(-2147483647 - 1) == NULL);
}

static const struct ktap_case cases[] = {
	{"every conversion as the C library prints it", same_as_libc},
	{"special conversions", special},
	{"truncation", truncation},
	{"log lines", log_lines},
	{"a log line that is too long", long_log_line},
	{"table walks", walk_output},
	{"names and numbers of errors", errors},
};

KTAP_MAIN(cases)
