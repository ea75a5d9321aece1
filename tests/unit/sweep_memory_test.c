/* SPDX-License-Identifier: MIT */
/*
 * Every hook that may fail does so in turn, in every call, on every driver: n = 1, 2, 3
 * until the call meets no failure. After a failed call everything is as before it, and the
 * call then works; what ends things is never failed by want of memory.
 */
#include "tests/unit/sweep_table.h"

static unsigned long rows_run[ARRAY_SIZE(steps)];

/** The state after @p step when nothing fails, and how many failures it could meet. */
static struct snapshot clean_run(const struct sweep_driver *driver, const struct step *step,
                                 bool *has)
{
	struct scene scene;
	struct snapshot after = {0};

	scene_begin(&scene, driver);
	*has = !(step->needs & ~scene.can);
	if (!*has) {
		scene_end(&scene);
		return after;
	}
	if (step->set_up)
		step->set_up(&scene);
	(void)snapshot_of(&scene); /* it fills caches, as in the runs that are compared */
	KTAP_EQUAL(step->run(&scene), 0);
	if (ktap_failed)
		printf("# %s: %s\n", driver->name, step->name);
	if (!step->once)
		after = snapshot_of(&scene);
	scene_end(&scene);
	return after;
}

/** One failure. False: the call did not meet it. */
static bool fail_one(const struct sweep_driver *driver, const struct step *step, unsigned long n,
                     const struct snapshot *wanted)
{
	struct scene scene;

	scene_begin(&scene, driver);
	struct sweep *sweep = &scene.sweep;
	if (step->set_up)
		step->set_up(&scene);
	struct snapshot before = snapshot_of(&scene), after = {0};
	sweep->met = 0;
	sweep->fail_at = n;
	sweep->failed = SWEEP_NONE;
	sweep->armed = true;
	int result = step->run(&scene);
	sweep->armed = false;
	bool met = sweep->failed != SWEEP_NONE;
	if (!step->once)
		after = snapshot_of(&scene);
	if (result) {
		KTAP_CHECK(met);
		bool memory = sweep->failed != SWEEP_IN && sweep->failed != SWEEP_OUT;
		int due = !memory ? -EFAULT : step->refusal ? step->refusal : -ENOMEM;
		if (result != due || (memory && step->ends))
			printf("# %s: failure %lu of kind %d ended in %d\n", step->name, n,
			       sweep->failed, result);
		KTAP_EQUAL(result, due);
		KTAP_CHECK(!step->once && (!memory || !step->ends));
		KTAP_CHECK(step->prepares ||
		           snapshot_same(step->name, n, &before, &after,
		                         step->lossy ? SNAPSHOT_LOSSY : SNAPSHOT_TABLES));
		KTAP_EQUAL(step->run(&scene), 0);
		after = snapshot_of(&scene);
	}
	KTAP_CHECK(snapshot_same(step->name, n, wanted, &after,
	                         step->lossy && met ? SNAPSHOT_LOSSY : SNAPSHOT_EQUAL));
	sweep->leaving = n > 1;
	scene_end(&scene);
	if (ktap_failed)
		printf("# %s: %s, failure %lu\n", driver->name, step->name, n);
	return met;
}

static void sweep_driver(const struct sweep_driver *driver)
{
	unsigned long failures = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(steps) && !ktap_failed; i++) {
		const struct step *step = &steps[i];
		unsigned long n = 1;
		bool has;
		struct snapshot wanted = clean_run(driver, step, &has);
		if (!has)
			continue;
		rows_run[i]++;
		if (step->prepares && !step->command) /* calls in a row: for hardware that fails */
			continue;
		while (!ktap_failed && fail_one(driver, step, n, &wanted) && n < 3000)
			n++;
		KTAP_CHECK(n < 3000);
		failures += n - 1;
	}
	printf("# %s: %lu failures\n", driver->name, failures);
	KTAP_CHECK(failures > 100);
	sweep_memory_free();
}

static void driver_0(void)
{
	sweep_driver(&sweep_drivers[0]);
}

static void driver_1(void)
{
	sweep_driver(&sweep_drivers[1]);
}

static void driver_2(void)
{
	sweep_driver(&sweep_drivers[2]);
}

static void driver_3(void)
{
	sweep_driver(&sweep_drivers[3]);
}

static void driver_4(void)
{
	sweep_driver(&sweep_drivers[4]);
}

static void driver_5(void)
{
	sweep_driver(&sweep_drivers[5]);
}

static void driver_6(void)
{
	sweep_driver(&sweep_drivers[6]);
}

static void driver_7(void)
{
	sweep_driver(&sweep_drivers[7]);
}

static void driver_8(void)
{
	sweep_driver(&sweep_drivers[8]);
}

static void driver_9(void)
{
	sweep_driver(&sweep_drivers[9]);
}

/** Bringing everything up: after a failure nothing is left. */
static void bring_up(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sweep_drivers) && !ktap_failed; i++) {
		struct sweep sweep;
		unsigned long n = 0, failed = 0;
		do {
			sweep_prepare(&sweep, &sweep_drivers[i]);
			sweep.fail_at = ++n;
			sweep.armed = true;
			int error = sweep_up(&sweep);
			sweep.armed = false;
			if (!error) {
				sweep_down(&sweep);
				continue;
			}
			failed++;
			KTAP_CHECK(sweep.failed != SWEEP_NONE);
			KTAP_EQUAL(sweep.vm.test.objects, 0);
			KTAP_EQUAL(sweep.vm.test.locks, 0);
			KTAP_EQUAL(sweep.vm.test.pages, 0);
			if (ktap_failed)
				printf("# %s, failure %lu: %d\n", sweep_drivers[i].name, n, error);
		} while (sweep.failed != SWEEP_NONE && !ktap_failed);
		KTAP_CHECK(failed >= 9);
	}
	sweep_memory_free();
}

/** The operations of the self-test's command, each by an empty structure. */
static unsigned operations_missing(struct world *world)
{
	unsigned operations = 0, missing = 0;

	for (uint32_t operation = 0; operation < 100; operation++) {
		struct iommu_test_cmd test = {.op = operation};
		bool known = call(world, IOMMU_TEST_CMD, &test) != -EOPNOTSUPP, row = false;
		for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
			row |= steps[i].operation == operation && operation;
		operations += known;
		missing += known && !row;
		if (known && !row)
			printf("# operation %u of the self-test has no row in the table of calls\n",
			       operation);
	}
	KTAP_CHECK(operations >= 20);
	return missing;
}

/** Every command that there is has a row, and every row was run. */
static void table(void)
{
	struct scene scene;
	unsigned commands = 0, missing = 0;

	scene_begin(&scene, &sweep_drivers[0]);
	for (uint32_t number = 0; number < 0x10000; number++) {
		struct world *world = scene.world;
		bool known = ufd_ioctl(&world->ufd, world->fd, number, 1) != -ENOTTY ||
		             ufd_ioctl(&world->ufd, world->cdev[0], number, 1) != -ENOTTY;
		bool row = false;
		for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
			row |= steps[i].command == number;
		commands += known;
		missing += known && !row;
		if (known && !row)
			printf("# command %#x has no row in the table of calls\n", number);
	}
	missing += operations_missing(scene.world);
	KTAP_EQUAL(missing, 0);
	KTAP_CHECK(commands >= 20);
	scene_end(&scene);
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
		if (!rows_run[i]) {
			printf("# %s was not run\n", steps[i].name);
			KTAP_FAIL("a row of the table was not run on any driver");
		}
	sweep_memory_free();
}

static const struct ktap_case cases[] = {
	{"the mock", driver_0},
	{"legacy mode", driver_1},
	{"scalable mode, second stage", driver_2},
	{"scalable mode, first stage", driver_3},
	{"nesting", driver_4},
	{"nesting, tables not snooped", driver_5},
	{"registers only", driver_6},
	{"caching mode", driver_7},
	{"device TLBs and page requests", driver_8},
	{"device TLBs, legacy mode", driver_9},
	{"bringing up", bring_up},
	{"every command has a row", table},
};

KTAP_MAIN(cases)
