/* SPDX-License-Identifier: MIT */
/*
 * What the files of the preloaded library share. Nothing here has a state that a fork, an
 * exec or a second thread could spoil; errors are negative errno.
 */
#ifndef HOST_SHIM_SHIM_H
#define HOST_SHIM_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "host/shim/wire.h"

/** What a call on a descriptor came to. */
struct shim_result {
	int64_t value;   /* 0 or more, or a negative errno */
	uint64_t a;      /* as the reply has it */
	uint64_t offset; /* of MMAP */
};

/** Is @p fd one of the server's? errno is as before. */
bool shim_is_ours(int fd);
/** One call on descriptor @p fd; SHIM_CONNECT: on a connection made for it. @p cloexec: of
 *  a descriptor that comes with the answer. -EIO if the server has gone. */
struct shim_result shim_call(int fd, enum nestor_op op, uint64_t a, uint64_t b, bool cloexec);
enum { SHIM_CONNECT = -1 };

/** Does the server stand for @p path? Relative paths are none of ours. */
bool shim_path_find(const char *path, enum nestor_node *node, uint64_t *number);
/** Open it: a descriptor or a negative errno. */
int shim_path_open(enum nestor_node node, uint64_t number, int flags);
/** Where the files of the folder that @p path names really are, or NULL. */
const char *shim_folder_find(const char *path);

/** The next definition of a function, behind this library. Never NULL. */
void *shim_next(const char *name);

#endif
