/* SPDX-License-Identifier: MIT */
/*
 * A process as the machine: the core's hooks over libc, user memory over mmap, and a
 * mock IOMMU with two devices behind it. Physical addresses are the process's
 * virtual ones.
 */
#ifndef HOST_PLATFORM_H
#define HOST_PLATFORM_H

#include "kernel/scn_mock.h"
#include "kernel/scn.h"
#include "kernel/user_memory.h"
#include "ufd/ufd.h"

enum { HOST_MOCK_DEVICES = 2 };

struct host_run; /* private: a run of user memory */

struct host_platform {
	struct iommu_os os;
	struct iommu core;
	struct ufd ufd;
	struct user_memory memory;
	struct user_backing backing;
	struct mock_engine mocks[HOST_MOCK_DEVICES];
	struct iommu_print out;
	struct scn_platform scn;
	/* what is outstanding; all 0 after host_platform_exit */
	long pages, objects, locks;
	struct host_run *runs; /* sorted by address */
	size_t run_count, run_capacity;
	char *file;   /* the text of the last scenario that was asked for */
	char **names; /* of the scenarios in ./scenarios */
	size_t name_count;
	bool verbose; /* log lines below warnings are printed too */
};

/** Bring everything up. 0, or a negative errno after a line on standard error. */
int must_check host_platform_init(struct host_platform *host);
/** Take it down. False, after a line on standard error, if something was not given back. */
bool host_platform_exit(struct host_platform *host);
/** Read a whole file; the caller frees it. 0 or a negative errno. */
int must_check host_file_read(const char *path, char **text, size_t *bytes);

#endif
