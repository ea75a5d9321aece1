/* SPDX-License-Identifier: MIT */
/*
 * The words for nested translation, as far as they need no unit that nests: a guest's
 * table entry by entry, what the interpreter believes of it, and a model that reports.
 */
#include "kernel/scn_stage1.h"
#include "model/model.h"
#include "tests/unit/scn_bench.h"

#define TABLE                                                                                      \
	"step a\ndevice d any\nioas s\nbuffer t 32K\nbuffer p 64K\nmap s 0x10000000 t\n"           \
	"map s 0x200000 p\nstage1 g in t\n"

/* Each line behind TABLE, and whether all of it does what it says. */
static void test_entries(void)
{
	static const struct {
		const char *text, *says;
		int verdict;
	} rows[] = {
		{"stage1-map g 0x1000 to 0x200000 8K\n"
	         "stage1-entry g 0x1000 1 => 0x200007\nstage1-entry g 0x2000 1 => 0x201007\n"
	         "stage1-entry g 0x3000 1 => 0\nstage1-entry g 0x1000 4 => 0x10001007\n"
	         "stage1-entry g 0x1000 3 => 0x10002007\nstage1-entry g 0x1000 2 => 0x10003007\n",
	         "2 pages, the last of 4K", SCN_PASSED},
		{"stage1-map g 0x1000 to 0x200000 4K ro\nstage1-entry g 0x1000 1 => 0x200005\n"
	         "stage1-map g 0x2000 to 0x200000 4K supervisor\n"
	         "stage1-entry g 0x2000 1 => 0x200003\n",
	         NULL, SCN_PASSED},
		/* the largest pages that fit, 1G only if told */
		{"stage1-map g 0x200000 to 0x40000000 4M\n"
	         "stage1-entry g 0x200000 2 => 0x40000087\nstage1-entry g 0x400000 2 => "
	         "0x40200087\n",
	         "2 pages, the last of 2M", SCN_PASSED},
		{"stage1-map g 0x40000000 to 0x40000000 1G page 1G\n"
	         "stage1-entry g 0x40000000 3 => 0x40000087\n",
	         "1 page, the last of 1G", SCN_PASSED},
		{"stage1-map g 0x200000 to 0x40000000 2M page 4K\n"
	         "stage1-entry g 0x3ff000 1 => 0x401ff007\n",
	         "512 pages", SCN_PASSED},
		/* another at the same place is the guest's own business; a table is not lost */
		{"stage1-map g 0x1000 to 0x200000 4K\nstage1-map g 0x1000 to 0x201000 4K\n"
	         "stage1-entry g 0x1000 1 => 0x201007\n",
	         NULL, SCN_PASSED},
		{"stage1-map g 0x1000 to 0x200000 4K\nstage1-map g 0 to 0x200000 2M page 2M\n",
	         "smaller pages are mapped", SCN_FAILED},
		{"stage1-map g 0x200000 to 0 2M page 2M\nstage1-map g 0x201000 to 0 4K\n",
	         "lies in a larger page, of level 2", SCN_FAILED},
		{"stage1-map g 0x1800 to 0 4K\n", "multiples of the page's size", SCN_FAILED},
		{"stage1-map g 0x1000 to 0 4K page 8K\n", "4K, 2M or 1G", SCN_FAILED},
		{"stage1-map g 0x1000 to 0 0\n", "multiples", SCN_FAILED},
		{"stage1-map g 0x1000 to 0x10000000000000 4K\n", "no such addresses", SCN_FAILED},
		{"stage1-map g 0xfffffffffffff000 to 0 8K\n", "no such addresses", SCN_FAILED},
		{"stage1-map g 0x800000000000 to 0 4K\n", "not canonical in 4 levels", SCN_FAILED},
		{"stage1-map g 0xffff800000000000 to 0x200000 4K\n"
	         "stage1-entry g 0xffff800000000000 4 => 0x10001007\n",
	         NULL, SCN_PASSED},
		{"stage1-map g 0 to 0 4K\nstage1-map g 0x40000000 to 0 4K\n"
	         "stage1-map g 0x80000000 to 0 4K\nstage1-map g 0xc0000000 to 0 4K\n",
	         "no page left", SCN_FAILED},
		/* clearing */
		{"stage1-map g 0x1000 to 0x200000 12K\nstage1-unmap g 0x2000\n"
	         "stage1-entry g 0x1000 1 => 0x200007\nstage1-entry g 0x2000 1 => 0\n"
	         "stage1-unmap g 0x1000 4K\nstage1-unmap g 0x3000\n",
	         NULL, SCN_PASSED},
		{"stage1-unmap g 0x1000\n", "nothing is mapped at 0x1000", SCN_FAILED},
		{"stage1-map g 0x1000 to 0x200000 4K\nstage1-unmap g 0x1000 8K\n",
	         "nothing is mapped at 0x2000", SCN_FAILED},
		{"stage1-map g 0x200000 to 0 2M\nstage1-unmap g 0x200000 4K\n",
	         "a whole page of 2M", SCN_FAILED},
		{"stage1-map g 0x200000 to 0 2M\nstage1-unmap g 0x201000\n", "a whole page of 2M",
	         SCN_FAILED},
		/* raw entries */
		{"stage1-entry g 0x1000 4 0x123\nstage1-entry g 0x1000 4 -> e\n"
	         "stage1-entry g 0x1000 4 e+1 => 0x124\n",
	         NULL, SCN_PASSED},
		{"stage1-entry g 0x1000 5\n", "levels are 1 to 4", SCN_FAILED},
		{"stage1-entry g 0x1000 0\n", "levels are 1 to 4", SCN_FAILED},
		{"stage1-entry g 0x1000 2\n", "the walk ends before level 2", SCN_FAILED},
		{"stage1-entry g 0 4 0x7000007\nstage1-map g 0 to 0 4K\n", "outside of the buffer",
	         SCN_FAILED},
		{"stage1-entry g 0 4 0x7000007\nstage1-entry g 0 3\n", "ends before level 3",
	         SCN_FAILED},
		/* marks */
		{"stage1-map g 0 to 0 4K\nstage1-marks g 0 => none\nstage1-entry g 0 1 0x27\n"
	         "stage1-marks g 0 => accessed\nstage1-entry g 0 1 0x67\n"
	         "stage1-marks g 0 clear => dirty\nstage1-marks g 0 => none\n"
	         "stage1-entry g 0 1 => 7\n",
	         NULL, SCN_PASSED},
		{"stage1-marks g 0\n", "nothing is mapped", SCN_FAILED},
		{"stage1-map g 0x1000 to 0x200000 4K\nstage1-entry g 0x8000000000 4 0x7000007\n"
	         "stage1-map g 0xffffffffffe00000 to 0 2M\nstage1-show g\n",
	         "outside of the buffer", SCN_PASSED},
		/* making one */
		{"stage1 h in p levels 5\nstage1-map h 0xff00000000000000 to 0 4K\n"
	         "stage1-map h 0x800000000000 to 0 4K\nstage1-show h\nobjects\n",
	         "5 levels, root at 0x200000", SCN_PASSED},
		{"stage1 h in p levels 3\n", "4 levels or 5", SCN_FAILED},
		{"stage1 h in p at 0x800\n", "a multiple of 4K", SCN_FAILED},
		{"stage1 h in p at 0xfffffffffffff000\n", "no place", SCN_FAILED},
		{"buffer q 4K\nstage1 h in q\n", "mapped nowhere", SCN_FAILED},
		{"buffer q 4K\nmap s 0 q\nmap s 0x1000 q\nstage1 h in q\n", "more than once",
	         SCN_FAILED},
		{"buffer q 4K\nstage1 h in q at 0x5000\n", NULL, SCN_PASSED},
		/* the memory is gone: nothing is written where it was */
		{"unmap s all\nfree t\nstage1-map g 0 to 0 4K\n", "outside of the buffer",
	         SCN_FAILED},
	};
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		KTAP_CHECK(bench_start());
		snprintf(text, sizeof(text), TABLE "%s", rows[i].text);
		int verdict = bench_run(text);
		if (verdict != rows[i].verdict || (rows[i].says && !said(rows[i].says)))
			printf("# case %zu:\n%s\n", i, bench.output);
		KTAP_EQUAL(verdict, rows[i].verdict);
		KTAP_CHECK(!rows[i].says || said(rows[i].says));
		bench_finish();
	}
}

/* What the interpreter believes, beside a table that is written by hand. */
static void test_leads(void)
{
	struct scn_mapping mappings[] = {
		{.ioas = 1, .iova = 0x200000, .bytes = 0x10000, .user = 0},
		{.ioas = 1, .iova = 0x10000000, .bytes = 0x4000},
	};
	struct scn_object table = {.kind = SCN_STAGE1};
	struct scn scn = {.os = &bench.test.os, .platform = &bench.scn, .mappings = &mappings[0]};
	struct user_buffer *buffer;
	uint64_t user, bytes;

	KTAP_CHECK(bench_start());
	if (ktap_failed)
		return;
	KTAP_EQUAL(user_buffer_create(&bench.memory, "t", 0x4000, 0, 0, &buffer), 0);
	mappings[0].next = &mappings[1];
	mappings[0].user = 0x7000000;
	mappings[1].user = buffer->start;
	table.table = (struct scn_stage1){
		.user = buffer->start, .bytes = 0x4000, .at = 0x10000000, .levels = 4};
	const struct scn_way way = {.attached = 9, .ioas = 1, .stage1 = &table};
	static const struct {
		uint64_t where, entry;
	} entries[] = {
		{0x10000000, 0x10001007},
		{0x10001000, 0x10002007},
		{0x10002000, 0x10003007},
		{0x10003000, 0x201007},
		{0x10003008, 0x201006},
		{0x10002008, 0x200087},
		{0x10001008, 0x87},
		{0x10000008, 0x20000007},
		{0x10000000 + 511 * 8, 0x10001007},
	};
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		KTAP_CHECK(stage1_write(&scn, &table.table, entries[i].where, entries[i].entry));
	KTAP_CHECK(!stage1_write(&scn, &table.table, 0x10004000, 1));
	KTAP_CHECK(!stage1_write(&scn, &table.table, 0xffff000, 1));
	KTAP_CHECK(!stage1_write(&scn, &table.table, 0x10000004, 1));

	static const struct {
		uint64_t at, user, bytes; /* bytes 0: nowhere */
	} rows[] = {
		{0x0, 0x7001000, 0x1000},
		{0x123, 0x7001123, 0x1000 - 0x123},
		{0x1000, 0, 0},                 /* not present */
		{0x200000, 0x7000000, 0x10000}, /* 2M, as far as the mapping goes */
		{0x20ffff, 0x700ffff, 1},
		{0x210000, 0, 0},                 /* ... and not further */
		{0x40200000, 0x7000000, 0x10000}, /* 1G from 0 on */
		{0x40000000, 0, 0},
		{0x8000000000, 0, 0},   /* a table that is not mapped */
		{0x800000000000, 0, 0}, /* not canonical */
		{0xffffff8000000000, 0x7001000, 0x1000},
		{0x80000000, 0, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool leads = scn_way_leads(&scn, &way, rows[i].at, &user, &bytes);
		if (leads != !!rows[i].bytes)
			printf("# case %zu\n", i);
		KTAP_EQUAL(leads, !!rows[i].bytes);
		if (leads) {
			KTAP_EQUAL(user, rows[i].user);
			KTAP_EQUAL(bytes, rows[i].bytes);
		}
	}
	mappings[1].user += 0x1000; /* other memory than the table is there now */
	KTAP_CHECK(!scn_way_leads(&scn, &way, 0, &user, &bytes));
	const struct scn_way none = {.ioas = 0}, plain = {.attached = 1, .ioas = 1};
	KTAP_CHECK(!scn_way_leads(&scn, &none, 0x200000, &user, &bytes));
	KTAP_CHECK(scn_way_leads(&scn, &plain, 0x200800, &user, &bytes));
	KTAP_EQUAL(user, 0x7000800);
	KTAP_EQUAL(bytes, 0xf800);
	KTAP_EQUAL(user_buffer_destroy(&bench.memory, buffer), 0);
	bench_finish();
}

/* ---- a model that says what the test wants -------------------------------------------------- */

static struct fake {
	uint64_t reports[MODEL_REPORT_KINDS];
	unsigned at_check[MODEL_REPORT_KINDS]; /* made by the next audit */
	unsigned judged;
	enum scn_model_caches caches;
	unsigned caches_set;
	struct scn_model_counts counts;
} fake;

static uint64_t fake_reports(void *ctx, uint32_t kinds)
{
	uint64_t count = 0;

	(void)ctx;
	for (unsigned i = 0; i < MODEL_REPORT_KINDS; i++)
		if (kinds >> i & 1)
			count += fake.reports[i];
	return count;
}

static const char *fake_last(void *ctx, unsigned *kind)
{
	(void)ctx;
	if (kind)
		*kind = MODEL_REPORT_STALE;
	return "model: a mistake of the fake";
}

static unsigned fake_check(void *ctx)
{
	unsigned made = 0;

	(void)ctx;
	for (unsigned i = 0; i < MODEL_REPORT_KINDS; i++) {
		fake.reports[i] += fake.at_check[i];
		made += fake.at_check[i];
	}
	return made;
}

static void fake_judged(void *ctx, uint64_t count)
{
	(void)ctx;
	fake.judged += count;
}

static void fake_counts(void *ctx, struct scn_model_counts *out)
{
	(void)ctx;
	*out = fake.counts;
}

static void fake_caches(void *ctx, enum scn_model_caches how)
{
	(void)ctx;
	fake.caches = how;
	fake.caches_set++;
}

static const struct scn_model fake_model = {
	.preset = "fake",
	.segment = UFD_MOCK_SEGMENT,
	.reports = fake_reports,
	.last_report = fake_last,
	.check = fake_check,
	.judged = fake_judged,
	.counts = fake_counts,
	.caches = fake_caches,
};

static int fake_run(const char *text)
{
	KTAP_CHECK(bench_start());
	bench.scn.model = &fake_model;
	int verdict = bench_run(text);
	bench_finish();
	return verdict;
}

static void test_reports(void)
{
	static const struct {
		const char *line;
		unsigned stale, freed;
		int verdict;
	} rows[] = {
		{"audit", 0, 0, SCN_PASSED},
		{"audit", 1, 0, SCN_FAILED}, /* nobody promised it */
		{"audit => ok", 1, 0, SCN_FAILED},
		{"audit => stale", 1, 0, SCN_PASSED},
		{"audit => stale", 3, 0, SCN_PASSED},
		{"audit => stale", 0, 0, SCN_FAILED}, /* and it does not come */
		{"audit => stale", 0, 1, SCN_FAILED}, /* another comes */
		{"audit => stale", 1, 1, SCN_FAILED}, /* another comes as well */
		{"audit => ok and stale", 1, 0, SCN_PASSED},
		{"audit => ok and stale", 0, 0, SCN_FAILED},
		{"audit => EINVAL and stale", 1, 0, SCN_FAILED}, /* the outcome counts, too */
		{"audit => freed|stale", 0, 1, SCN_PASSED},
		{"audit => ok|stale", 0, 0, SCN_PASSED}, /* it may come */
		{"audit => ok|stale", 1, 0, SCN_PASSED},
		{"audit => ok|stale", 0, 1, SCN_FAILED},
	};
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fake = (struct fake){0};
		fake.at_check[MODEL_REPORT_STALE] = rows[i].stale;
		fake.at_check[MODEL_REPORT_FREED] = rows[i].freed;
		snprintf(text, sizeof(text), "step a\n%s\n", rows[i].line);
		int verdict = fake_run(text);
		if (verdict != rows[i].verdict)
			printf("# case %zu:\n%s\n", i, bench.output);
		KTAP_EQUAL(verdict, rows[i].verdict);
		KTAP_EQUAL(fake.judged, rows[i].stale + rows[i].freed);
		if (verdict == SCN_FAILED && (rows[i].stale || rows[i].freed))
			KTAP_CHECK(said("model: a mistake of the fake"));
	}
	KTAP_CHECK(bench_start()); /* without a model there is nothing to be told */
	KTAP_EQUAL(bench_run("step a\naudit\n"), SCN_FAILED);
	KTAP_CHECK(said("only a model can tell"));
	KTAP_EQUAL(bench_run("step a\nioas s => stale\n"), SCN_FAILED);
	KTAP_EQUAL(bench_run("step a\nioas s => wrong\n"), -1);
	KTAP_EQUAL(bench_run("step a\nioas s => ok and wrong\n"), -1);
	KTAP_CHECK(said("is no kind of report"));
	KTAP_EQUAL(bench_run("step a\nneed model\nioas s\n"), SCN_SKIPPED);
	bench_finish();
}

static void test_steps(void)
{
	fake = (struct fake){.counts = {.last_first = 4, .last_second = 20}};
	KTAP_EQUAL(fake_run("step a\ndevice d any\nsteps d first => 4\nsteps d second => 20\n"
	                    "steps d => 24\nsteps d -> n\nwait n\nsteps d formula 4 4\n"
	                    "steps d formula 4 4 => 24\ncounts\ncaches keep\ncaches off\n"),
	           SCN_PASSED);
	KTAP_EQUAL(fake.caches, SCN_CACHES_MADE); /* at the end */
	KTAP_EQUAL(fake.caches_set, 3);
	KTAP_EQUAL(fake_run("step a\ndevice d any\nsteps d formula 3 4\n"), SCN_FAILED);
	KTAP_CHECK(said("24, and n + m * (n + 1) with m = 3, n = 4 is 19"));
	KTAP_EQUAL(fake_run("step a\ndevice d any\nsteps d formula 6 4\n"), SCN_FAILED);
	KTAP_EQUAL(fake_run("step a\ndevice d any\nsteps d first => 5\n"), SCN_FAILED);
	fake.counts.last_cached = true;
	KTAP_EQUAL(fake_run("step a\ndevice d any\nsteps d\n"), SCN_PASSED);
	KTAP_CHECK(said("all from the IOTLB"));
}

/* ---- what goes wrong in use ------------------------------------------------------------------- */

static void test_refusals(void)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"hwpt h on s for d sre\n", "is of stage-1 tables"},
		{"hwpt h on s for d width 48\n", "is of stage-1 tables"},
		{"dma d fetch 0x200000 64 pasid 0x100000\n", "20 bits"},
		{"dma d fetch 0x200000 64 privileged\n", "only requests with a PASID"},
		{"dma d fetch 0x200000 64 ask\n", "only a device that uses ats"},
		{"dma d fetch 0x200000 64 ats\n", "makes plain requests only"},
		{"resume d\n", "waits for an answer"},
		{"replace d s pasid 5\n", "PASID 0x5 of d is attached to nothing"},
		{"walk d 0 pasid 0x100000\n", "20 bits"},
		{"hwpt h on s for d\ninvalidate h all 4K\n", "all has no length"},
		{"hwpt h on s for d\ninvalidate h 0 100\n", "whole pages"},
		{"hwpt h on s for d\ninvalidate h 0 flags 0x100000000\n", "32 bits"},
		{"hwpt h on s for d\ninvalidate h all => 1\n", "done"},
		{"steps d\n", "only a model can tell"},
		{"device e any pages\n", "no free DMA engine"},
	};
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		KTAP_CHECK(bench_start());
		snprintf(text, sizeof(text), TABLE "%s", rows[i].text);
		int verdict = bench_run(text);
		if (verdict != SCN_FAILED || !said(rows[i].says))
			printf("# case %zu:\n%s\n", i, bench.output);
		KTAP_EQUAL(verdict, SCN_FAILED);
		KTAP_CHECK(said(rows[i].says));
		bench_finish();
	}
}

/* A queue without requests: its life, and answers that are not due. */
static void test_fault_queue(void)
{
	KTAP_CHECK(bench_start());
	KTAP_EQUAL(bench_run("step a\nfault-queue q\npages q => 0\nanswer q success 77 => EINVAL\n"
	                     "objects\ndestroy q\nfault-queue q\n"),
	           SCN_PASSED);
	KTAP_EQUAL(bench_run("step a\nfault-queue q\nanswer q success\n"), SCN_FAILED);
	KTAP_CHECK(said("no request was read from q that waits"));
	bench_finish();
}

/* Each allocation fails once: nothing is left, and the next run is as good as the first. */
static void test_fail_nth(void)
{
	static const char text[] =
		TABLE "stage1-map g 0x1000 to 0x200000 64K\nfault-queue q\n"
		      "hwpt h on s for d pasid\nattach d h\nattach d h pasid 3\n"
		      "replace d h pasid 3\ndma d store 0x200000 64\ndetach d pasid 3\n"
		      "attach d h pasid 4\nattach d h pasid 5\ndetach d pasid 4\n";
	struct scn_program *program;
	unsigned failed = 0;

	KTAP_CHECK(bench_start());
	if (ktap_failed)
		return;
	KTAP_EQUAL(scn_parse(&bench.test.os, "t", text, strlen(text), &bench.print, &program), 0);
	bench.test.allocations = 0;
	KTAP_EQUAL(scn_run(&bench.scn, &program, 1), SCN_PASSED);
	if (ktap_failed)
		printf("# %s\n", bench.output);
	long total = bench.test.allocations;
	long pages = bench.test.pages, objects = bench.test.objects, runs = bench.runs;
	for (long n = 1; n <= total && !ktap_failed; n++) {
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
}

static const struct ktap_case cases[] = {
	{"a guest's table, entry by entry", test_entries},
	{"where a guest's table leads", test_leads},
	{"a model's reports against promises", test_reports},
	{"steps and the formula", test_steps},
	{"what must be refused", test_refusals},
	{"fault queues", test_fault_queue},
	{"no memory, at any point", test_fail_nth},
};

KTAP_MAIN(cases)
