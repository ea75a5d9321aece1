/* SPDX-License-Identifier: MIT */
/* Runs the unit tests in the kernel: see tests/kernel/units.h. */
#include "tests/kernel/units.h"

#include <stdio.h>

bool kernel_units_run(void)
{
	unsigned failed = 0, count = 0;

	if (!library_init()) {
		printf("# units: no memory for them\n");
		return false;
	}
	for (const struct kernel_unit *unit = kernel_units; unit->name; unit++, count++) {
		uint64_t before = library_pages_free();
		printf("# unit %s\n", unit->name);
		int status = unit->main();
		uint64_t after = library_pages_free();
		/* (a page that the heap keeps for each size of objects is no leak) */
		if (before > after + 16) {
			printf("# %llu pages are not free any more\n",
			       (unsigned long long)(before - after));
			status = 1;
		}
		printf("# unit %s: status %d\n", unit->name, status);
		failed += status != 0;
	}
	printf("# units: %u run, %u failed\n", count, failed);
	return !failed;
}
