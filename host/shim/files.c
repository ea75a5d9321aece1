/* SPDX-License-Identifier: MIT */
/*
 * The C library's functions that take a path, as this library gives them: what the server
 * stands for is opened there, everything else is passed on.
 *
 * _FILE_OFFSET_BITS is left alone, so that open and open64 are two functions.
 */
#define _GNU_SOURCE
#include "host/shim/shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The C library declares these only where it replaces the plain ones by them. */
int __open_2(const char *file, int oflag);
int __open64_2(const char *file, int oflag);
int __openat_2(int fd, const char *file, int oflag);
int __openat64_2(int fd, const char *file, int oflag);

void *shim_next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found) {
		fprintf(stderr, "libnestor-dev.so: the C library has no %s\n", name);
		abort();
	}
	return found;
}

/* Set errno and return -1 for a negative errno. */
static int result_of(int value)
{
	if (value >= 0)
		return value;
	errno = -value;
	return -1;
}

#define NEXT(type, name, ...)                                                                      \
	static type (*next)(__VA_ARGS__);                                                          \
	if (!next)                                                                                 \
	next = (type(*)(__VA_ARGS__))shim_next(name)

static mode_t mode_of(int flags, va_list args)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(args, mode_t) : 0;
}

#define OPEN(name)                                                                                 \
	int name(const char *file, int oflag, ...)                                                 \
	{                                                                                          \
		enum nestor_node node;                                                             \
		uint64_t number;                                                                   \
		va_list args;                                                                      \
                                                                                                   \
		if (shim_path_find(file, &node, &number))                                          \
			return result_of(shim_path_open(node, number, oflag));                     \
		NEXT(int, #name, const char *, int, ...);                                          \
		va_start(args, oflag);                                                             \
		mode_t mode = mode_of(oflag, args);                                                \
		va_end(args);                                                                      \
		const char *real = shim_folder_find(file);                                         \
		return next(real ? real : file, oflag, mode);                                      \
	}
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                               \
	int name(int fd, const char *file, int oflag, ...)                                         \
	{                                                                                          \
		enum nestor_node node;                                                             \
		uint64_t number;                                                                   \
		va_list args;                                                                      \
                                                                                                   \
		if (shim_path_find(file, &node, &number))                                          \
			return result_of(shim_path_open(node, number, oflag));                     \
		NEXT(int, #name, int, const char *, int, ...);                                     \
		va_start(args, oflag);                                                             \
		mode_t mode = mode_of(oflag, args);                                                \
		va_end(args);                                                                      \
		return next(fd, file, oflag, mode);                                                \
	}
OPENAT(openat)
OPENAT(openat64)

#define OPEN_CHECKED(name)                                                                         \
	int name(const char *file, int oflag)                                                      \
	{                                                                                          \
		enum nestor_node node;                                                             \
		uint64_t number;                                                                   \
                                                                                                   \
		if (shim_path_find(file, &node, &number))                                          \
			return result_of(shim_path_open(node, number, oflag));                     \
		NEXT(int, #name, const char *, int);                                               \
		return next(file, oflag);                                                          \
	}
OPEN_CHECKED(__open_2)
OPEN_CHECKED(__open64_2)

#define OPENAT_CHECKED(name)                                                                       \
	int name(int fd, const char *file, int oflag)                                              \
	{                                                                                          \
		enum nestor_node node;                                                             \
		uint64_t number;                                                                   \
                                                                                                   \
		if (shim_path_find(file, &node, &number))                                          \
			return result_of(shim_path_open(node, number, oflag));                     \
		NEXT(int, #name, int, const char *, int);                                          \
		return next(fd, file, oflag);                                                      \
	}
OPENAT_CHECKED(__openat_2)
OPENAT_CHECKED(__openat64_2)

/* ---- asking about a path ------------------------------------------------------------------- */

int access(const char *name, int type)
{
	enum nestor_node node;
	uint64_t number;

	if (shim_path_find(name, &node, &number) && node != NESTOR_NODE_DEVICE)
		return result_of(type & X_OK ? -EACCES : 0);
	NEXT(int, "access", const char *, int);
	return next(name, type);
}

int faccessat(int fd, const char *file, int type, int flag)
{
	enum nestor_node node;
	uint64_t number;

	if (shim_path_find(file, &node, &number) && node != NESTOR_NODE_DEVICE)
		return result_of(type & X_OK ? -EACCES : 0);
	NEXT(int, "faccessat", int, const char *, int, int);
	return next(fd, file, type, flag);
}

/* A character device, as the node would be. Its device number is nobody's. */
#define STAT(name, type)                                                                           \
	int name(const char *restrict file, struct type *restrict buf)                             \
	{                                                                                          \
		enum nestor_node node;                                                             \
		uint64_t number;                                                                   \
                                                                                                   \
		if (shim_path_find(file, &node, &number) && node == NESTOR_NODE_IOMMU) {           \
			memset(buf, 0, sizeof(*buf));                                              \
			buf->st_mode = S_IFCHR | 0600;                                             \
			buf->st_nlink = 1;                                                         \
			buf->st_uid = geteuid();                                                   \
			buf->st_gid = getegid();                                                   \
			buf->st_blksize = 4096;                                                    \
			return 0;                                                                  \
		}                                                                                  \
		NEXT(int, #name, const char *, struct type *);                                     \
		return next(file, buf);                                                            \
	}
STAT(stat, stat)
STAT(lstat, stat)
STAT(stat64, stat64)
STAT(lstat64, stat64)

/* ---- streams and folders ---------------------------------------------------------------------- */

/* /proc/<pid>/status, with what the server has pinned of that process: Linux counts there
 * what iommufd pins. NULL: not such a path, or the server does not know the process. */
static FILE *status_open(const char *path, const char *mode,
                         FILE *(*next)(const char *, const char *))
{
	char line[256], *text = NULL;
	size_t bytes = 0;
	int process, end = 0;

	if (mode[0] != 'r' || mode[1] == '+' || !getenv(NESTOR_SOCKET_VARIABLE))
		return NULL;
	if (strcmp(path, "/proc/self/status") == 0)
		process = (int)getpid();
	else if (sscanf(path, "/proc/%d/status%n", &process, &end) != 1 || !end || path[end])
		return NULL;
	struct shim_result known =
		shim_call(SHIM_CONNECT, NESTOR_STATUS, (uint64_t)process, 0, true);
	FILE *from = known.value >= 0 ? next(path, mode) : NULL;
	FILE *to = from ? open_memstream(&text, &bytes) : NULL;
	while (to && fgets(line, sizeof(line), from)) {
		long kib;
		if (sscanf(line, "VmLck: %ld", &kib) == 1)
			fprintf(to, "VmLck:\t%8ld kB\n", kib + (long)known.a);
		else if (sscanf(line, "VmPin: %ld", &kib) == 1)
			fprintf(to, "VmPin:\t%8ld kB\n", kib + (long)known.value);
		else
			fputs(line, to);
	}
	if (from)
		fclose(from);
	if (!to)
		return NULL;
	fclose(to);
	FILE *copy = tmpfile();
	if (copy && (fwrite(text, 1, bytes, copy) != bytes || fseek(copy, 0, SEEK_SET) != 0)) {
		fclose(copy);
		copy = NULL;
	}
	free(text);
	return copy;
}

static FILE *stream_open(const char *path, const char *mode,
                         FILE *(*next)(const char *, const char *))
{
	enum nestor_node node;
	uint64_t number;

	if (!shim_path_find(path, &node, &number)) {
		FILE *status = status_open(path, mode, next);
		return status ? status : next(path, mode);
	}
	int fd = shim_path_open(node, number, strchr(mode, 'e') ? O_CLOEXEC : 0);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	FILE *stream = fdopen(fd, mode);
	if (!stream) {
		int saved = errno;
		close(fd);
		errno = saved;
	}
	return stream;
}

FILE *fopen(const char *restrict filename, const char *restrict modes)
{
	NEXT(FILE *, "fopen", const char *, const char *);
	return stream_open(filename, modes, next);
}

FILE *fopen64(const char *restrict filename, const char *restrict modes)
{
	NEXT(FILE *, "fopen64", const char *, const char *);
	return stream_open(filename, modes, next);
}

DIR *opendir(const char *name)
{
	const char *folder = shim_folder_find(name);

	NEXT(DIR *, "opendir", const char *);
	return next(folder ? folder : name);
}
