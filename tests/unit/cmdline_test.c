/* SPDX-License-Identifier: MIT */
/* The kernel's command line: known words, wrong values, noise. */
#include "kernel/cmdline.h"

#include <string.h>

#include "tests/ktap.h"
#include "tests/test_memory.h"
#include "tests/test_os.h"

static void defaults(void)
{
	struct kernel_options options;
	cmdline_parse("", &options);
	KTAP_EQUAL(options.complaint_count, 0);
	KTAP_CHECK(!strcmp(options.scenario, "") && !strcmp(options.console, "both"));
	KTAP_CHECK(options.shell_after && options.mode == IOMMU_MODE_AUTO && !options.vtd_off);
	KTAP_CHECK(options.panic == PANIC_HALT && options.loglevel == IOMMU_LOG_INFO);
}

static void every_word(void)
{
	struct kernel_options options;
	cmdline_parse(
		"  scenario=a,b\tafter=off console=serial loglevel=debug vtd=scalable panic=exit\n",
		&options);
	KTAP_EQUAL(options.complaint_count, 0);
	KTAP_CHECK(!strcmp(options.scenario, "a,b") && !strcmp(options.console, "serial"));
	KTAP_CHECK(!options.shell_after && options.mode == IOMMU_MODE_SCALABLE);
	KTAP_CHECK(options.panic == PANIC_EXIT && options.loglevel == IOMMU_LOG_DEBUG);
	cmdline_parse("vtd=off", &options);
	KTAP_CHECK(options.vtd_off && options.complaint_count == 0);
}

static void wrong_words_are_reported_and_the_rest_is_used(void)
{
	struct kernel_options options;
	cmdline_parse("scenari=x vtd=sclable vtd= after panic=exit =", &options);
	KTAP_EQUAL(options.complaint_count, 5);
	KTAP_CHECK(strstr(options.complaints[0], "unknown word 'scenari=x'"));
	KTAP_CHECK(strstr(options.complaints[1], "wrong value 'vtd=sclable'"));
	KTAP_CHECK(strstr(options.complaints[1], "auto, legacy, scalable"));
	KTAP_CHECK(options.panic == PANIC_EXIT && options.mode == IOMMU_MODE_AUTO);
}

static void image_name_is_no_word(void)
{
	struct kernel_options options;
	cmdline_parse("/boot/nestor.elf vtd=legacy", &options);
	KTAP_EQUAL(options.complaint_count, 0);
	KTAP_CHECK(options.mode == IOMMU_MODE_LEGACY);
	cmdline_parse("bogus vtd=legacy", &options);
	KTAP_EQUAL(options.complaint_count, 1);
}

static void long_and_many(void)
{
	struct kernel_options options;
	char text[1024] = "scenario=";
	memset(text + 9, 'x', 200);
	cmdline_parse(text, &options);
	KTAP_EQUAL(options.complaint_count, 1);
	KTAP_CHECK(options.scenario[0] == '\0');
	memset(text, 0, sizeof(text));
	for (int i = 0; i < 100; i++)
		strcat(text, "word ");
	cmdline_parse(text, &options);
	KTAP_EQUAL(options.complaint_count, 100);
}

static void noise_is_read_safely(void)
{
	uint64_t seed = 7;
	for (int round = 0; round < 20000; round++) {
		size_t length = test_random(&seed) % 64;
		char *text = test_malloc(length + 1);
		for (size_t i = 0; i < length; i++)
			text[i] = "scenario=vtd fter\\/off\t,="[test_random(&seed) % 25];
		text[length] = '\0';
		struct kernel_options options;
		cmdline_parse(text, &options);
		KTAP_CHECK(strlen(options.scenario) < sizeof(options.scenario));
		free(text);
	}
}

static const struct ktap_case cases[] = {
	{"defaults", defaults},
	{"every word", every_word},
	{"wrong words are reported and the rest is used",
         wrong_words_are_reported_and_the_rest_is_used},
	{"the image's name is no word", image_name_is_no_word},
	{"long values, many words", long_and_many},
	{"noise is read safely", noise_is_read_safely},
};
KTAP_MAIN(cases)
