/* SPDX-License-Identifier: MIT */
/*
 * Hardware fails in every call: from the n-th command on nothing ever completes; the n-th
 * invalidation descriptor is refused (IQE); from the n-th device-TLB invalidation on its device
 * answers none (ITE). n = 1, 2, 3 until the call meets no failure. The mock has no commands to count: all of a call's invalidations fail.
 *
 * A call that fails leaves objects, mappings, ranges and attachments as they were. What
 * hardware may still reach stays out of use: exactly what the log says, in pinned user
 * memory and in table pages, and at close nothing else is left. The model finds no table
 * freed that it can reach and no entry changed in a wrong order.
 *
 * A silent device fails no call: it is cut off, and nothing that it still holds is of use.
 */
#include "tests/unit/sweep_table.h"

enum how { DIES, REFUSES, BREAKS, SILENT };

static const char *const how_names[] = {"dead from command", "refused descriptor",
                                        "all invalidations fail", "no answer to invalidation"};

static const int may_be[] = {-ETIMEDOUT, -EIO};

static bool fail_one(const struct sweep_driver *driver, const struct step *step, enum how how,
                     unsigned n)
{
	struct scene scene;

	scene_begin(&scene, driver);
	struct sweep *sweep = &scene.sweep;
	if (step->needs & ~scene.can) {
		scene_end(&scene);
		return false;
	}
	if (step->set_up)
		step->set_up(&scene);
	struct snapshot before = snapshot_of(&scene), after = {0};
	if (how == DIES)
		sweep->dead_at = n;
	else if (how == SILENT)
		sweep->silent_at = n;
	else if (how == REFUSES)
		sweep->vm.refuse_in = n;
	else
		ufd_mock_break(scene.world->device[0]->unit, true);
	if (how == REFUSES || how == SILENT)
		sweep->vm.expected = UINT64_C(1) << MODEL_REPORT_STALE;
	sweep->armed = true;
	int result = step->run(&scene);
	sweep->armed = false;
	bool met = how == DIES     ? sweep->dead
	           : how == SILENT ? sweep->silent
	                           : how == BREAKS || !sweep->vm.refuse_in;
	if (how == BREAKS)
		ufd_mock_break(scene.world->device[0]->unit, false);
	sweep->vm.refuse_in = 0;
	sweep->hurt = met && how != SILENT; /* then nothing stays */
	if (!step->once)
		after = snapshot_of(&scene);
	if (how == SILENT)
		KTAP_EQUAL(result, 0);
	if (result) {
		KTAP_CHECK(met && !step->once);
		if (result != may_be[0] && result != may_be[1])
			KTAP_EQUAL(result, may_be[0]);
		if (!step->takes_apart && !step->prepares)
			KTAP_CHECK(snapshot_same(step->name, n, &before, &after, SNAPSHOT_GRAVES));
	}
	/* pins are let go of only when nothing can reach them, or counted by the log */
	sweep->leaving = !met;
	scene_end(&scene);
	if (ktap_failed)
		printf("# %s: %s, %s %u, result %d\n", driver->name, step->name, how_names[how], n,
		       result);
	return met;
}

static void sweep_driver(const struct sweep_driver *driver, enum how how)
{
	unsigned long failures = 0; /* that were met */

	for (unsigned i = 0; i < ARRAY_SIZE(steps) && !ktap_failed; i++) {
		const struct step *step = &steps[i];
		unsigned n = 1;
		while (!ktap_failed && fail_one(driver, step, how, n) && n < 1000) {
			failures++;
			n++;
			if (how == BREAKS) /* all at once */
				break;
		}
		KTAP_CHECK(n < 1000);
	}
	printf("# %s: %lu failures\n", driver->name, failures);
	KTAP_CHECK(failures > 5);
	sweep_memory_free();
}

static void dies(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sweep_drivers) && !ktap_failed; i++)
		if (sweep_drivers[i].preset)
			sweep_driver(&sweep_drivers[i], DIES);
}

static void refuses(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sweep_drivers) && !ktap_failed; i++)
		if (sweep_drivers[i].preset && strcmp(sweep_drivers[i].preset, "old") != 0)
			sweep_driver(&sweep_drivers[i], REFUSES);
}

static void silent(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sweep_drivers) && !ktap_failed; i++)
		if (sweep_drivers[i].ats)
			sweep_driver(&sweep_drivers[i], SILENT);
}

static void breaks(void)
{
	sweep_driver(&sweep_drivers[0], BREAKS);
}

/** Bringing up on a unit that dies meanwhile: an error, and only what the unit may still
 *  walk is left. */
static void bring_up(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sweep_drivers) && !ktap_failed; i++) {
		struct sweep sweep;
		unsigned long n = 0;
		if (!sweep_drivers[i].preset)
			continue;
		do {
			sweep_prepare(&sweep, &sweep_drivers[i]);
			sweep.dead_at = ++n;
			sweep.armed = true;
			int error = sweep_up(&sweep);
			sweep.armed = false;
			if (!error) {
				KTAP_CHECK(!sweep.dead);
				sweep_down(&sweep);
				continue;
			}
			KTAP_CHECK(sweep.dead && (error == -ETIMEDOUT || error == -EIO));
			KTAP_EQUAL(sweep.vm.test.objects, 0);
			KTAP_EQUAL(sweep.vm.test.locks, 0);
			KTAP_CHECK(!sweep.vm.test.pages == !sweep.lost_tables);
			if (ktap_failed)
				printf("# %s, command %lu: %d\n", sweep_drivers[i].name, n, error);
		} while (sweep.dead && !ktap_failed);
		KTAP_CHECK(n >= 4);
	}
	sweep_memory_free();
}

static const struct ktap_case cases[] = {
	{"from a command on nothing completes", dies}, {"a descriptor is refused", refuses},
	{"the mock's invalidations fail", breaks},     {"a device does not answer", silent},
	{"bringing up on a unit that dies", bring_up},
};

KTAP_MAIN(cases)
