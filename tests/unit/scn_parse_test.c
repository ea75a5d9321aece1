/* SPDX-License-Identifier: MIT */
/*
 * Reading scenarios: numbers, every kind of error with its place, and bytes that no
 * one would write.
 */
#include "kernel/scn_parse.h"
#include "tests/unit/scn_bench.h"

static int parse(const char *text, size_t bytes)
{
	struct scn_program *program = NULL;

	bench.length = 0;
	bench.output[0] = 0;
	int error = scn_parse(&bench.test.os, "dir/t.scn", text, bytes, &bench.print, &program);
	KTAP_CHECK(!error == !!program);
	if (!error)
		scn_program_free(program);
	return error;
}

static void test_numbers(void)
{
	static const struct {
		const char *text;
		int error;
		uint64_t value;
	} numbers[] = {
		{"0", 0, 0},
		{"4096", 0, 4096},
		{"0x1000", 0, 4096},
		{"0XaBcD", 0, 0xabcd},
		{"4K", 0, 4096},
		{"2M", 0, 2 << 20},
		{"1G", 0, 1 << 30},
		{"3T", 0, 3ull << 40},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"0xffffffffffffffff", 0, UINT64_MAX},
		{"16777215T", 0, 16777215ull << 40},
		{"18446744073709551616", -ERANGE, 0},
		{"0x10000000000000000", -ERANGE, 0},
		{"16777216T", -ERANGE, 0},
		{"99999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"0x", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"4k", -EINVAL, 0},
		{"4KB", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"0x1g", -EINVAL, 0},
		{"12a", -EINVAL, 0},
		{"0x10K", -EINVAL, 0},
		{"1.5M", -EINVAL, 0},
	};
	char text[24];

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t value = 0;
		int error = scn_number_parse(numbers[i].text, strlen(numbers[i].text), &value);
		if (error != numbers[i].error || value != numbers[i].value)
			printf("# \"%s\"\n", numbers[i].text);
		KTAP_EQUAL(error, numbers[i].error);
		KTAP_EQUAL(value, numbers[i].value);
	}
	KTAP_CHECK(strcmp(scn_size_text(4096, text), "4K") == 0);
	KTAP_CHECK(strcmp(scn_size_text(3ull << 20, text), "3M") == 0);
	KTAP_CHECK(strcmp(scn_size_text(0, text), "0") == 0);
	KTAP_CHECK(strcmp(scn_size_text(1023, text), "1023") == 0);
	KTAP_CHECK(strcmp(scn_size_text(5000, text), "0x1388") == 0);
	KTAP_CHECK(strlen(scn_size_text(UINT64_MAX, text)) < 24);
}

static void test_errors(void)
{
	/* Text, and what the first error must say: "LINE:COLUMN: error: ..." */
	static const struct {
		const char *text, *says;
	} errors[] = {
		{"", "dir/t.scn: error: there is no command in it"},
		{"# nothing\n\n   \n", "there is no command in it"},
		{"frobnicate\n", "1:1: error: there is no command \"frobnicate\""},
		{"ioas a\n  iaos b\n", "2:3: error: there is no command \"iaos\""},
		{"ioas\n", "1:6: error: ioas needs a new name here: ioas NAME"},
		{"ioas a b\n", "1:8: error: \"b\" is not understood here"},
		{"ioas 12\n", "1:6: error: \"12\" is no name"},
		{"ioas a.b\n", "1:6: error: \"a.b\" is no name"},
		{"ioas abcdefghijklmnopqrstuvwxyz\n", "1:6: error: "},
		{"ioas a\nioas a\n", "2:6: error: \"a\" is already the name of an IOAS"},
		{"ioas a\nbuffer a 4K\n", "2:8: error: \"a\" is already the name of an IOAS"},
		{"buffer a 4Q\n", "1:10: error: \"4Q\" is no number"},
		{"buffer a 99999999999999999999\n",
	         "1:10: error: \"99999999999999999999\" does not"},
		{"buffer a 1+18446744073709551615\n", "1:12: error: \"18446744073709551615\" does"},
		{"buffer a 4K+\n", "1:13: error: \"\" is no number or variable"},
		{"buffer a 4K+x\n", "1:13: error: \"x\" is no number or variable"},
		{"buffer a b\n", "1:10: error: \"b\" stands where a size is wanted"},
		{"buffer a 4K align\n", "1:19: error: buffer needs an alignment here"},
		{"buffer a 4K scattered scattered\n",
	         "1:23: error: \"scattered\" is not understood"},
		{"map s 0x1000 d\n", "1:5: error: there is no \"s\" here; an IOAS is wanted"},
		{"ioas s\nmap s 0x1000 s\n",
	         "2:14: error: \"s\" is an IOAS, and a buffer is wanted"},
		{"ioas s\nbuffer d 4K\nmap s here d\n", "3:7: error: \"here\" stands where"},
		{"ioas s\nbuffer d 4K\nmap s 0x1z d\n", "3:7: error: \"0x1z\" is no number"},
		{"ioas s => OK\n", "1:11: error: \"OK\" is no outcome of ioas"},
		{"ioas s => EFOO\n", "1:11: error: \"EFOO\" is no outcome of ioas"},
		{"ioas s =>\n", "1:11: error: an outcome is missing"},
		{"ioas s => ok ok\n", "1:14: error: one outcome is the most"},
		{"ioas s => ok|\n", "1:11: error: \"\" is no outcome"},
		{"ioas s => ok|ok|ok|ok|ok\n", "1:11: error: 4 alternatives are the most"},
		{"ioas s => fault any\n", "1:11: error: ioas makes no DMA: it cannot fault"},
		{"ioas s => 5\n", "1:11: error: ioas has no number as its outcome"},
		{"device d any\ndma d store 0 4K => fault\n", "2:27: error: which fault?"},
		{"device d any\ndma d store 0 4K => fault bad\n",
	         "2:27: error: \"bad\" is no fault"},
		{"device d any\ndma d store 0 4K => fault LGN.\n", "error: \"LGN.\" is no fault"},
		{"device d any\ndma d stroe 0 4K\n",
	         "2:7: error: \"stroe\" stands where \"fetch|store\""},
		{"device d any\ndma d store\n", "2:13: error: dma needs an address (IOVA) here"},
		{"device d any\nformat d => secondstage\n",
	         "2:13: error: \"secondstage\" is no outcome"},
		{"say x => ok\nstep\n", "2:6: error: step needs text here"},
		{"if mock ioas s\n", "error: \":\" is missing"},
		{"if mock:\n", "error: a command is missing"},
		{"if : ioas s\n", "1:4: error: \"\" is no condition"},
		{"if mcok: ioas s\n", "1:4: error: \"mcok\" is no condition"},
		{"if not: ioas s\n", "1:4: error: a condition is missing behind \"not\""},
		{"if mock or legacy: ioas s\n",
	         "1:9: error: \"or\": conditions are joined by \"and\""},
		{"if page: ioas s\n", "1:4: error: a size is wanted"},
		{"if engine fly: ioas s\n", "1:11: error: engine what?"},
		{"if have s: ioas s\n", "1:9: error: no line before makes a \"s\""},
		{"if mock: step x\n", "1:10: error: step takes no \"if\""},
		{"need\n", "1:1: error: a condition is missing behind \"need\""},
		{"need mock and mock and mock and mock and mock\n",
	         "error: 4 conditions are the most"},
		{"need mock => ok\n", "1:11: error: \"=>\": conditions are joined"},
		{"ioas s\ndestroy s\ndestroy s\n", "3:9: error: there is no \"s\" here"},
		{"ioas s => ENOMEM\ndestroy s\n", "2:9: error: there is no \"s\" here"},
		{"buffer b 4K\nfree b\nfill b 0 1 0\n", "3:6: error: there is no \"b\" here"},
		{"destroy $\n", "1:9: error: there is no \"$\" here"},
		{"ioas \x01\n", "1:6: error: byte 0x01 is not plain ASCII text"},
		{"say x\nsay \xc3\xa9\n", "2:5: error: byte 0xc3 is not plain ASCII text"},
	};

	KTAP_CHECK(bench_start());
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		int error = parse(errors[i].text, strlen(errors[i].text));
		if (error != -EINVAL || !said(errors[i].says))
			printf("# case %zu: error %d, said: %s\n", i, error, bench.output);
		KTAP_EQUAL(error, -EINVAL);
		KTAP_CHECK(said(errors[i].says));
	}
	bench_finish();
}

static void test_carets(void)
{
	KTAP_CHECK(bench_start());
	KTAP_EQUAL(parse("ioas s\n\tmap s 0x1000 data # all\nfoo\n", 35), -EINVAL);
	KTAP_CHECK(said("dir/t.scn:2:15: error: there is no \"data\" here; a buffer is wanted\n"
	                "    \tmap s 0x1000 data # all\n"
	                "    \t             ^~~~\n"));
	KTAP_CHECK(said("dir/t.scn:3:1: error: there is no command \"foo\"\n    foo\n    ^~~\n"));
	/* more errors than anyone reads are counted */
	char many[3000] = "";
	for (int i = 0; i < 100; i++)
		strcat(many, "bad\n");
	KTAP_EQUAL(parse(many, strlen(many)), -EINVAL);
	KTAP_CHECK(said("dir/t.scn:20:1:") && !said("dir/t.scn:21:1:"));
	KTAP_CHECK(said("80 further errors"));
	/* a line, a name table, a file that are too long */
	memset(many, 'x', 500);
	many[500] = 0;
	KTAP_EQUAL(parse(many, 500), -EINVAL);
	KTAP_CHECK(said("the line is longer than"));
	char *large = test_calloc(1, (1 << 20) + 2);
	memset(large, '\n', (1 << 20) + 1);
	KTAP_EQUAL(parse(large, (1 << 20) + 1), -EINVAL);
	KTAP_CHECK(said("1 MiB at most"));
	large[0] = 0;
	for (int i = 0; i < SCN_SYMBOLS + 1; i++)
		sprintf(large + strlen(large), "ioas s%d\n", i);
	KTAP_EQUAL(parse(large, strlen(large)), -EINVAL);
	KTAP_CHECK(said("t.scn:129:6: error: more than 128 names"));
	free(large);
	bench_finish();
}

static void test_accepted(void)
{
	static const char *const good[] = {
		"ioas a",
		"ioas a\r\nioas b\r\n",
		"\tioas  a\t# a comment => EBUSY\n",
		"ioas a#b => EINVAL\n", /* a # in a word is part of it: and so no name */
		"buffer b 4K scattered\nbuffer c 2M align 4M\n",
		"ioas s\nbuffer d 4K\nmap s any d -> here\nunmap s here+4K+0x10 4K\n",
		"ioas s\nbuffer d 4K\nmap s 0 d ro 0 4K\nmap s 0 d 0 4K wo\n",
		"ioas s => EBUSY|ok\ndestroy s\n",
		"if mock: ioas s\nif not mock: ioas s\ndestroy s\n",
		"ioas s\ndestroy s\nioas s\n",
		"device d copy fast named edu\ndevice e named edu copy\n",
		"device d any\ndma d store 0 4K => fault 0x5|LGN.2|not-mapped|any\n",
		"say anything: \"=> # 'quoted' |\n",
		"say\n",
		"if mock: say a => b # c\n",
		"step => ok # this is all text\n",
		"destroy 4711 => ENOENT\n",
		"device d any\nhwpt h on 12 for d flags 0x10 nest-parent => EINVAL\n",
		"ioas s\nallow s 0 1 2 3 4 5\nallow s none\n",
		"need not mock and engine copy and page 2M and memory 1G\nsay x\n",
	};

	KTAP_CHECK(bench_start());
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		int error = parse(good[i], strlen(good[i]));
		int wanted = strstr(good[i], "a#b") ? -EINVAL : 0;
		if (error != wanted)
			printf("# case %zu: %s\n", i, bench.output);
		KTAP_EQUAL(error, wanted);
	}
	bench_finish();
}

/* Damage to real scenarios is reported or read; it is never more than that. */
static void test_corruptions(void)
{
	uint64_t state = 42;
	glob_t found;

	KTAP_CHECK(bench_start());
	KTAP_EQUAL(glob("scenarios/*.scn", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc && !ktap_failed; i++) {
		char *text = bench_file_read(found.gl_pathv[i]);
		KTAP_CHECK(text);
		if (!text)
			break;
		size_t bytes = strlen(text);
		int whole = parse(text, bytes);
		if (whole)
			printf("# %s\n", bench.output);
		KTAP_EQUAL(whole, 0);
		for (int round = 0; round < 200; round++) {
			char *copy = test_malloc(bytes); /* no more: a read past it is seen */
			for (size_t at = 0; at < bytes; at++)
				copy[at] = text[at];
			for (int n = 0; n < 3; n++) {
				static const char odd[] = " \n\t\r#=>|:+-0x9K[]if\0\x7f";
				copy[test_random(&state) % bytes] =
					odd[test_random(&state) % (sizeof(odd) - 1)];
			}
			size_t keep = test_random(&state) % 4 ? bytes : test_random(&state) % bytes;
			int error = parse(copy, keep);
			KTAP_CHECK(error == 0 || error == -EINVAL);
			free(copy);
		}
		free(text);
	}
	globfree(&found);
	bench_finish();
}

static void test_out_of_memory(void)
{
	static const char text[] = "step One\nioas a\nioas b\n";
	struct scn_program *program;

	KTAP_CHECK(bench_start());
	long objects = bench.test.objects;
	for (long n = 1;; n++) {
		bench.test.allocations = 0;
		bench.test.fail_at = n;
		int error =
			scn_parse(&bench.test.os, "t", text, strlen(text), &bench.print, &program);
		if (!error) {
			KTAP_CHECK(n > 4);
			scn_program_free(program);
			break;
		}
		KTAP_EQUAL(error, -ENOMEM);
		KTAP_EQUAL(bench.test.objects, objects);
	}
	bench.test.fail_at = 0;
	bench_finish();
}

static const struct ktap_case cases[] = {
	{"numbers and sizes", test_numbers},
	{"every error has its line, column and reason", test_errors},
	{"carets, many errors, limits", test_carets},
	{"what is well written is accepted", test_accepted},
	{"200 corruptions of each scenario", test_corruptions},
	{"no memory at any point", test_out_of_memory},
};

KTAP_MAIN(cases)
