/* SPDX-License-Identifier: MIT */
/*
 * Running scenarios on the mock unit: that the good pass, and that each kind of
 * broken promise, wrong data, leak and lack of memory is noticed.
 */
#include "tests/unit/scn_bench.h"

#define DEVICE "device dev copy\nioas space\nbuffer data 64K\n"
#define READY  DEVICE "map space 0x100000 data\nattach dev space\n"

/* Lines that start with @p start. */
static unsigned lines_with(const char *start)
{
	unsigned count = 0;
	for (const char *at = bench.output; at && *at; at = strchr(at, '\n')) {
		at += *at == '\n';
		count += strncmp(at, start, strlen(start)) == 0;
	}
	return count;
}

/* Of what the mock has not: physical addresses, ATS, and VT-d's first stage and PASIDs. */
static bool needs_vtd(const char *path)
{
	static const char *const names[] = {"/passthrough.", "/nested.", "/pasid.",
	                                    "/page-request.", "/device-tlb."};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strstr(path, names[i]))
			return true;
	return false;
}

static void test_scenarios(void)
{
	glob_t found;

	KTAP_EQUAL(glob("scenarios/*.scn", 0, NULL, &found), 0);
	KTAP_CHECK(found.gl_pathc >= 5);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *text = bench_file_read(found.gl_pathv[i]);
		unsigned plan = 0;
		if (!text)
			break;
		KTAP_CHECK(bench_start());
		int verdict = bench_run(text);
		if (verdict == SCN_FAILED)
			printf("# %s:\n%s\n", found.gl_pathv[i], bench.output);
		KTAP_EQUAL(verdict, needs_vtd(found.gl_pathv[i]) ? SCN_SKIPPED : SCN_PASSED);
		/* the plan stands in front and holds; every line is KTAP or a comment */
		KTAP_EQUAL(sscanf(bench.output, "KTAP version 1\n1..%u\n", &plan), 1);
		KTAP_EQUAL(lines_with("ok "), plan);
		KTAP_EQUAL(lines_with("ok ") + lines_with("#") + 3, lines_with(""));
		KTAP_EQUAL(bench.memory.pins, bench.memory.unpins);
		bench_finish();
		free(text);
	}
	globfree(&found);
}

static void test_story(void)
{
	char *text = bench_file_read("scenarios/nested-parent.scn");

	KTAP_CHECK(text && bench_start());
	if (ktap_failed)
		return;
	KTAP_EQUAL(bench_run(text), SCN_PASSED);
	KTAP_CHECK(said("\n# t: 6 of 6 steps passed\n"));
	KTAP_CHECK(said("\n1..6\n"));
	KTAP_EQUAL(bench.core.fault_count, 5);
	bench_finish();
	free(text);
}

static void test_promises(void)
{
	/* A scenario that must fail, and what it must say. */
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{"ioas s => EBUSY", "promised: EBUSY"},
		{"ioas s => EBUSY|EINVAL", "promised: EBUSY or EINVAL"},
		{"destroy 4711", "ENOENT (no such object); it must succeed"},
		{"destroy 4711 => EBUSY", "ENOENT"},
		{"destroy 4711 => ok", "ENOENT"},
		{"buffer b 4K\nholds b 0 4K 1", "no: 0x00, not 0x01, at offset 0"},
		{"buffer b 4K\nholds b 0 4K 0 => no", "FAILED, line 2: yes"},
		{"buffer b 4K\nfill b 100 1 9\nholds b 0 4K 0", "0x09, not 0x00, at offset 0x64"},
		{"buffer b 4K\nfill b 0 4K random 1\nholds b 0 4K random 2", "FAILED, line 3: no"},
		{"buffer b 4K\nfill b 4000 97 0", "do not lie in b of 4K"},
		{"buffer b 4K\nfill b 0 4K 0x100", "a byte is 0 to 0xff"},
		{"buffer a 4K\nbuffer b 4K\nfill b 4095 1 1\ncompare a 0 b 0 4K",
	         "different: 0x00 and 0x01, 0xfff bytes in"},
		{"buffer a 4K\nbuffer b 4K\ncompare a 0 b 0 4K => different",
	         "FAILED, line 3: same"},
		{"buffer b 4K\nremember b\nfill b 7 1 1\nunchanged b", "FAILED, line 4: no"},
		{"buffer b 4K\nunchanged b", "remember b comes first"},
		{"buffer b 32M\nfree b\nbuffer c 4K align 32M", "EINVAL"},
		{"device dev named nothing", "no free DMA engine named nothing"},
		{"device a any\ndevice b any\ndevice c any",
	         "no free DMA engine with these abilities"},
		{READY "dma dev fetch 0x100000 4K => fault any", "4K read"},
		{READY "dma dev store 0x200000 4K", "blocked: MOCK.2 0x2"},
		{READY "dma dev store 0x200000 4K => ok", "blocked: MOCK.2 0x2"},
		{READY "dma dev store 0x200000 4K => fault 0x5", "blocked: MOCK.2 0x2"},
		{READY "dma dev store 0x200000 4K => fault MOCK.3", "blocked: MOCK.2 0x2"},
		{READY "dma dev store 0x200000 4K => fault no-write", "blocked: MOCK.2 0x2"},
		{READY "dma dev store 0x200000 4K => EFAULT", "blocked: MOCK.2 0x2"},
		{READY "dma dev store 0x100000 68K", "blocked: MOCK.2 0x2"}, /* its second piece */
		{READY "dma dev store 0x100000 0", "mock moves multiples of 1 bytes"},
		{READY "page-size 2 0x100000", "object 2 is a "},
		{READY "page-size dev 0x100000 => 2M", "FAILED, line 6: 4K"},
		{READY "page-size dev 0x100000 => none", "FAILED, line 6: 4K"},
		{READY "page-size dev 0x900000 => 4K", "FAILED, line 6: none"},
		{READY "rights dev 0x100000 => ro", "FAILED, line 6: rw"},
		{READY "format dev => nested", "-stage: "},
		{READY "faults dev => 1", "FAILED, line 6: 0"},
		{READY "walk dev 0x100000 => blocked", "FAILED, line 6: translated"},
		{READY "unmap space 0x200000", "a length is needed"},
		{READY "replace dev 4711", "ENOENT"},
		{READY "detach dev\nreplace dev space", "dev is attached to nothing"},
		{READY "map space any data -> x\nunmap space x+0x1000 4K", "ENOENT"},
		{"if not mock: ioas s\ndestroy s", "there is no \"s\" now"},
		{"ioas s => ok|EBUSY\nif mock: destroy s\ndestroy s", "there is no \"s\" now"},
		{"wait 100000", "a minute is the most"},
	};

	KTAP_CHECK(bench_start());
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		int verdict = bench_run(wrong[i].text);
		if (verdict != SCN_FAILED || !said(wrong[i].says))
			printf("# case %zu, verdict %d: %s\n", i, verdict, bench.output);
		KTAP_EQUAL(verdict, SCN_FAILED);
		KTAP_CHECK(said(wrong[i].says));
		KTAP_CHECK(said("\nnot ok 1 - Setup\n") &&
		           said("# t: 0 of 1 step passed, 1 FAILED\n"));
	}
	bench_finish();
}

static void test_steps(void)
{
	KTAP_CHECK(bench_start());
	KTAP_EQUAL(bench_run("say hello\nstep A\nioas s\nioas t => EBUSY\nioas u\ndestroy s\n"
	                     "step B\nbuffer b 4K\n"),
	           SCN_FAILED);
	KTAP_CHECK(said("1..2\n") && said("not ok 1 - A\n") && said("ok 2 - B\n"));
	KTAP_CHECK(said("# 2 further lines of this step left out\n") ||
	           said("2 further lines of this step left out\n"));
	KTAP_CHECK(said("# t: 1 of 2 steps passed, 1 FAILED\n"));
	/* what stands in front of the first step is one of its own, if it does anything */
	KTAP_EQUAL(bench_run("ioas s\nstep A\ndestroy s\n"), SCN_PASSED);
	KTAP_CHECK(said("1..2\n") && said("ok 1 - Setup\n") && said("ok 2 - A\n"));
	KTAP_EQUAL(bench_run("say nothing\n"), SCN_PASSED);
	KTAP_CHECK(said("1..1\n"));
	bench_finish();
}

static void test_skips(void)
{
	KTAP_CHECK(bench_start());
	KTAP_EQUAL(bench_run("need legacy\nstep A\nioas s\nstep B\nioas t\n"), SCN_SKIPPED);
	KTAP_CHECK(said("ok 1 - A # SKIP a unit in legacy mode is not here\n"));
	KTAP_CHECK(said("ok 2 - B # SKIP "));
	KTAP_CHECK(said("\n# t: skipped, not passed: a unit in legacy mode is not here\n"));
	KTAP_CHECK(!said("passed\n"));
	/* one step of two */
	KTAP_EQUAL(bench_run("step A\nioas s\nstep B\nneed not mock\nioas t => EBUSY\n"),
	           SCN_PASSED);
	KTAP_CHECK(said("ok 1 - A\n") && said("ok 2 - B # SKIP the mock unit is here\n"));
	KTAP_CHECK(said("# t: 1 of 2 steps passed, 1 skipped\n"));
	/* a failure in front of a need is a failure */
	KTAP_EQUAL(bench_run("step A\nioas s => EBUSY\nneed legacy\n"), SCN_FAILED);
	/* a line that does not apply is not run, and says why */
	KTAP_EQUAL(bench_run("step A\nif legacy: ioas s => EBUSY\n"), SCN_PASSED);
	KTAP_CHECK(said("(1 line left out: not for this machine)\n"));
	KTAP_EQUAL(bench_run("need mock and nests and second-stage and first-stage\nsay x\n"),
	           SCN_PASSED);
	KTAP_EQUAL(bench_run("need engine copy and engine fast and engine fetch\nsay x\n"),
	           SCN_PASSED);
	KTAP_EQUAL(bench_run("need hardware\nsay x\n"), SCN_SKIPPED);
	KTAP_EQUAL(bench_run("need memory 1T\nsay x\n"), SCN_SKIPPED);
	KTAP_EQUAL(bench_run("need memory 1M and page 4K\nsay x\n"), SCN_PASSED);
	KTAP_EQUAL(bench_run("need page 8K\nsay x\n"), SCN_SKIPPED);
	bench_finish();
}

/* A store whose data is lost must not pass, though no fault was recorded. */
static int lost_store(struct dma_engine *engine, iova_t to, uint32_t bytes)
{
	(void)engine, (void)to, (void)bytes;
	return 0;
}

static int failing(struct dma_engine *engine, iova_t to, uint32_t bytes)
{
	(void)engine, (void)to, (void)bytes;
	return -EIO;
}

static void test_witness(void)
{
	static const char moves[] = READY "map space 0x200000 data\nfill data 0 4K 1\n"
					  "move dev from 0x100000 to 0x201000 4K\n";
	KTAP_CHECK(bench_start());
	struct dma_engine_ops ops = *bench.mocks[0].engine.ops;
	KTAP_EQUAL(bench_run(moves), SCN_PASSED);
	bench.mocks[0].engine.ops = &ops;
	int (*store)(struct dma_engine *, iova_t, uint32_t) = ops.store;
	ops.store = lost_store;
	KTAP_EQUAL(bench_run(moves), SCN_FAILED);
	KTAP_CHECK(said("memory at 0x201000 is 0x00 and not the 0x01 that was fetched"));
	/* blocked, but nothing was recorded */
	KTAP_EQUAL(bench_run(READY "dma dev store 0x900000 4K => fault any"), SCN_FAILED);
	KTAP_CHECK(said("no fault was recorded, though nothing is mapped there"));
	KTAP_EQUAL(bench_run(DEVICE "dma dev store 0x900000 4K => fault any"), SCN_FAILED);
	ops.store = failing;
	KTAP_EQUAL(bench_run(READY "dma dev store 0x100000 4K"), SCN_FAILED);
	KTAP_CHECK(said("mock reports EIO, and no fault was recorded in 200 ms"));
	ops.store = store;
	KTAP_EQUAL(bench_run(moves), SCN_PASSED);
	bench_finish();
}

/* Scratch memory: mapped before setup, told again after each change. */
static unsigned setups;
static uint64_t setup_iova;

static int setup(struct dma_engine *engine, iova_t scratch_iova, void *scratch)
{
	struct iommu_device *device = engine->pci->iommu;
	struct iommu_leaf leaf;

	setups++;
	setup_iova = scratch_iova.value;
	if (!device->domain->ops->lookup(device->domain, scratch_iova, &leaf) ||
	    leaf.pa.value + scratch_iova.value - leaf.iova.value != (uintptr_t)scratch)
		return -EFAULT;
	memset(scratch, 0xaa, 12288);
	return 0;
}

static void test_scratch(void)
{
	KTAP_CHECK(bench_start());
	struct dma_engine_ops ops = *bench.mocks[0].engine.ops;
	bench.mocks[0].engine.ops = &ops;
	ops.scratch_bytes = 12288;
	ops.setup = setup;
	KTAP_EQUAL(bench_run(READY "ioas other\nreplace dev other\nunmap other all\n"
	                           "page-size dev 0xd0000000 => 4K\ndetach dev\nattach dev space\n"
	                           "page-size dev 0xd0002000 => 4K\n"
	                           "attach dev 4711 => ENOENT\nclose dev\ndestroy space\n"),
	           SCN_PASSED);
	KTAP_EQUAL(setups, 3);
	KTAP_EQUAL(setup_iova, SCN_SCRATCH_IOVA);
	/* the place is taken */
	KTAP_EQUAL(bench_run(DEVICE "map space 0xd0000000 data\nattach dev space"), SCN_FAILED);
	KTAP_CHECK(said("mock's own memory cannot be mapped at 0xd0000000: EEXIST"));
	bench_finish();
}

static void test_several(void)
{
	static const char *const texts[] = {"step A\nioas s\n", "need legacy\nsay x\n",
	                                    "step B\nioas s\nstep C\ndestroy 9 => ENOENT\n"};
	struct scn_program *programs[3];

	KTAP_CHECK(bench_start());
	for (int i = 0; i < 3; i++)
		KTAP_EQUAL(scn_parse(&bench.test.os, i == 1 ? "b/two.scn" : "one", texts[i],
		                     strlen(texts[i]), &bench.print, &programs[i]),
		           0);
	KTAP_EQUAL(scn_run(&bench.scn, programs, 3), SCN_PASSED);
	KTAP_CHECK(said("KTAP version 1\n1..4\n") && said("ok 4 - C\n"));
	KTAP_CHECK(said("# two: skipped, not passed") && said("# one: 2 of 2 steps passed"));
	for (int i = 0; i < 3; i++)
		scn_program_free(programs[i]);
	bench_finish();
}

/* Each allocation of a run fails once. Nothing may be lost, and no run may crash. */
static void test_fail_nth(void)
{
	char *text = bench_file_read("scenarios/nested-parent.scn");
	struct scn_program *program;
	unsigned failed = 0;
	long total;

	KTAP_CHECK(text && bench_start());
	if (ktap_failed)
		return;
	KTAP_EQUAL(scn_parse(&bench.test.os, "t", text, strlen(text), &bench.print, &program), 0);
	bench.test.allocations = 0;
	KTAP_EQUAL(scn_run(&bench.scn, &program, 1), SCN_PASSED);
	total = bench.test.allocations;
	long pages = bench.test.pages, objects = bench.test.objects, runs = bench.runs;
	for (long n = 1; n <= total && !ktap_failed; n += n > 60 ? 7 : 1) {
		bench.length = 0;
		bench.test.allocations = 0;
		bench.test.fail_at = n;
		failed += scn_run(&bench.scn, &program, 1) == SCN_FAILED;
		bench.test.fail_at = 0;
		KTAP_CHECK(!said("LEAK"));
		KTAP_EQUAL(bench.runs, runs);
		KTAP_EQUAL(bench.test.pages, pages);
		KTAP_EQUAL(bench.test.objects, objects);
		if (ktap_failed)
			printf("# allocation %ld of %ld failed:\n%s\n", n, total, bench.output);
	}
	KTAP_CHECK(failed > 20);
	KTAP_EQUAL(scn_run(&bench.scn, &program, 1), SCN_PASSED);
	scn_program_free(program);
	bench_finish();
	free(text);
}

/* ---- the shell ------------------------------------------------------------------------------ */

static int keys_read(void *ctx)
{
	(void)ctx;
	return *bench.keys ? (unsigned char)*bench.keys++ : SHELL_END;
}

static void keys_idle(void *ctx)
{
	(void)ctx;
}

static enum shell_end type(const char *keys)
{
	struct shell_io io = {.read = keys_read, .idle = keys_idle};

	bench.keys = keys;
	bench.length = 0;
	bench.output[0] = 0;
	return shell_run(&bench.scn, &io);
}

static void test_shell(void)
{
	KTAP_CHECK(bench_start());
	KTAP_EQUAL(
		type("ioas space\rioas space\rdev\tdev any\r\x03objects\rdestroy sp\t\rexit\rx\r"),
		SHELL_EXIT);
	KTAP_CHECK(said("ok: IOAS with id 1\n"));
	KTAP_CHECK(said("error: \"space\" is already the name of an IOAS\n"));
	KTAP_CHECK(*bench.keys == 'x'); /* nothing after exit is read */
	KTAP_EQUAL(
		type("device dev any\rioas s\rattach dev s\rdma dev store 0x1000 4K\r"
	             "dma dev store 0x1000 4K => ok\rdma dev store 0x1000 4K => fault any\r"
	             "destroy s\rfaults\rtables dev\runits\rgroups\rdevices\rengines\rcaps\rstats\r"
	             "memory\rinfo dev\rwalk dev 0x5000\rranges s\rpoweroff\r"),
		SHELL_POWEROFF);
	KTAP_CHECK(said("\nblocked: MOCK.2") && said("NOT AS PROMISED: blocked: MOCK.2"));
	KTAP_CHECK(said("refused: EBUSY (in use)"));
	KTAP_CHECK(said("mock0") && said("pages in 0 runs"));
	KTAP_EQUAL(type("help\rhelp map\rhelp run\rhelp nonsense\rscenarios\rhistory\rreset\r"),
	           SHELL_RESET);
	KTAP_CHECK(said("map IOAS any|IOVA BUF [OFF] [LEN] [ro|rw|wo] [-> NAME]\n"));
	KTAP_CHECK(said("there is no command \"nonsense\""));
	KTAP_CHECK(said("  good\n") && said("  help map\n"));
	KTAP_EQUAL(
		type("device dev any\rrun good\rrun bad\rrun other\rrun\rstep x\rdevice dev any\r"),
		SHELL_EXIT);
	KTAP_CHECK(said("# good: 1 of 1 step passed\n"));
	KTAP_CHECK(said("bad:2:6: error: \"12\" is no name"));
	KTAP_CHECK(said("there is no scenario \"other\" (ENOENT)"));
	KTAP_CHECK(said("error: step stands in files only"));
	KTAP_EQUAL(type("\x04"), SHELL_EXIT);
	KTAP_EQUAL(type("dma\t\t\r\r   \r# comment\rif legacy: ioas x\rhelp de\t\t\r"), SHELL_EXIT);
	bench_finish();
}

static const struct ktap_case cases[] = {
	{"every scenario passes on the mock, with a plan that holds", test_scenarios},
	{"the story has six steps", test_story},
	{"each kind of broken promise fails", test_promises},
	{"steps", test_steps},
	{"needs and conditions", test_skips},
	{"lost data, lost faults and errors of the device are noticed", test_witness},
	{"an engine's own memory", test_scratch},
	{"several scenarios, one report", test_several},
	{"no memory, at any point of the story", test_fail_nth},
	{"the shell", test_shell},
};

KTAP_MAIN(cases)
