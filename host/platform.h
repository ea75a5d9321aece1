/* SPDX-License-Identifier: MIT */
/*
 * A process as the machine: the core's hooks over libc, user memory over mmap, and a
 * mock IOMMU with two devices behind it. Physical addresses are the process's
 * virtual ones.
 *
 * With a model of a VT-d unit, physical memory is an arena of its own (arena.h), time is
 * the model's, and two devices behind the model are what scenarios use; the mock stays,
 * for those that name it.
 */
#ifndef HOST_PLATFORM_H
#define HOST_PLATFORM_H

#include "host/arena.h"
#include "kernel/scn.h"
#include "kernel/scn_mock.h"
#include "kernel/scn_model.h"
#include "kernel/user_memory.h"
#include "ufd/ufd.h"

enum { HOST_MOCK_DEVICES = 2 };

struct host_run; /* private: a run of user memory */

/** What to bring up; all zero: the mock alone. */
struct host_options {
	const struct model_config *unit; /* NULL: no model */
	bool cruel;                      /* see struct model_platform_options */
	uint64_t seed;
	enum iommu_mode mode;
	bool verbose; /* log lines below warnings are printed too */
};

struct host_platform {
	struct host_options options;
	struct iommu_os os; /* of the process; the core's are these, or the model's over them */
	struct iommu core;
	struct ufd ufd;
	struct user_memory memory;
	struct user_backing backing;
	struct mock_engine mocks[HOST_MOCK_DEVICES];
	bool has_model;
	struct host_arena arena;
	struct model_platform model;
	char machine[96];
	struct iommu_print out;
	struct scn_platform scn;
	/* what is outstanding; all 0 after host_platform_exit */
	long pages, objects, locks;
	struct host_run *runs; /* sorted by address */
	size_t run_count, run_capacity;
	char *file;   /* the text of the last scenario that was asked for */
	char **names; /* of the scenarios in ./scenarios */
	size_t name_count;
};

/** Bring everything up. 0, or a negative errno after a line on standard error. */
int must_check host_platform_init(struct host_platform *host, const struct host_options *options);
/** Take it down. False, after a line on standard error, if something was not given back
 *  or the model reported a mistake meanwhile. */
bool host_platform_exit(struct host_platform *host);
/** Read a whole file; the caller frees it. 0 or a negative errno. */
int must_check host_file_read(const char *path, char **text, size_t *bytes);

#endif
