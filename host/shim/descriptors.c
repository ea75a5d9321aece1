/* SPDX-License-Identifier: MIT */
/*
 * The C library's functions on descriptors, as this library gives them: on one of the
 * server's they are calls to it. close, dup, fork, exec, poll, select, epoll and passing
 * by SCM_RIGHTS need nothing: the descriptor is a socket, and does them itself.
 */
#define _GNU_SOURCE
#include "host/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* The C library declares these only where it replaces the plain ones by them. */
ssize_t __read_chk(int fd, void *buf, size_t nbytes, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t nbytes, off_t offset, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t nbytes, off64_t offset, size_t room);

static int64_t result_of(int64_t value)
{
	if (value >= 0)
		return value;
	errno = (int)-value;
	return -1;
}

#define NEXT(type, name, ...)                                                                      \
	static type (*next)(__VA_ARGS__);                                                          \
	if (!next)                                                                                 \
	next = (type(*)(__VA_ARGS__))shim_next(name)

/* The commands of iommufd and VFIO are of this type; a socket knows none of them. */
static bool command_is_ours(unsigned long command)
{
	return (command >> 8 & 0xff) == ';';
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;

	va_start(args, request);
	void *argument = va_arg(args, void *);
	va_end(args);
	if (command_is_ours(request) && shim_is_ours(fd))
		return (int)result_of(
			shim_call(fd, NESTOR_IOCTL, (uint32_t)request, (uintptr_t)argument, true)
				.value);
	NEXT(int, "ioctl", int, unsigned long, ...);
	return next(fd, request, argument);
}

static ssize_t ours_read(int fd, void *buffer, size_t bytes)
{
	return (ssize_t)result_of(shim_call(fd, NESTOR_READ, (uintptr_t)buffer, bytes, true).value);
}

static ssize_t ours_write(int fd, const void *buffer, size_t bytes)
{
	return (ssize_t)result_of(
		shim_call(fd, NESTOR_WRITE, (uintptr_t)buffer, bytes, true).value);
}

ssize_t read(int fd, void *buf, size_t nbytes)
{
	if (shim_is_ours(fd))
		return ours_read(fd, buf, nbytes);
	NEXT(ssize_t, "read", int, void *, size_t);
	return next(fd, buf, nbytes);
}

ssize_t __read_chk(int fd, void *buf, size_t nbytes, size_t room)
{
	if (nbytes <= room && shim_is_ours(fd))
		return ours_read(fd, buf, nbytes);
	NEXT(ssize_t, "__read_chk", int, void *, size_t, size_t);
	return next(fd, buf, nbytes, room);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	if (shim_is_ours(fd))
		return ours_write(fd, buf, n);
	NEXT(ssize_t, "write", int, const void *, size_t);
	return next(fd, buf, n);
}

/* Positions mean nothing to these descriptors, but a thread's fail-nth is a file of the
 * kind that is read and written at one: all of it, at 0. */
ssize_t pread(int fd, void *buf, size_t nbytes, off_t offset)
{
	if (shim_is_ours(fd))
		return offset ? 0 : ours_read(fd, buf, nbytes);
	NEXT(ssize_t, "pread", int, void *, size_t, off_t);
	return next(fd, buf, nbytes, offset);
}

ssize_t pread64(int fd, void *buf, size_t nbytes, off64_t offset)
{
	if (shim_is_ours(fd))
		return offset ? 0 : ours_read(fd, buf, nbytes);
	NEXT(ssize_t, "pread64", int, void *, size_t, off64_t);
	return next(fd, buf, nbytes, offset);
}

ssize_t __pread_chk(int fd, void *buf, size_t nbytes, off_t offset, size_t room)
{
	if (nbytes <= room && shim_is_ours(fd))
		return offset ? 0 : ours_read(fd, buf, nbytes);
	NEXT(ssize_t, "__pread_chk", int, void *, size_t, off_t, size_t);
	return next(fd, buf, nbytes, offset, room);
}

ssize_t __pread64_chk(int fd, void *buf, size_t nbytes, off64_t offset, size_t room)
{
	if (nbytes <= room && shim_is_ours(fd))
		return offset ? 0 : ours_read(fd, buf, nbytes);
	NEXT(ssize_t, "__pread64_chk", int, void *, size_t, off64_t, size_t);
	return next(fd, buf, nbytes, offset, room);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	if (shim_is_ours(fd))
		return offset ? result_of(-EINVAL) : ours_write(fd, buf, n);
	NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t);
	return next(fd, buf, n, offset);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t offset)
{
	if (shim_is_ours(fd))
		return offset ? result_of(-EINVAL) : ours_write(fd, buf, n);
	NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
	return next(fd, buf, n, offset);
}

/* ---- several buffers ------------------------------------------------------------------------ */

/* All that @p parts hold, as one buffer, which the caller frees; NULL after errno. */
static char *parts_join(const struct iovec *parts, int count, bool fill, size_t *bytes)
{
	*bytes = 0;
	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len > SSIZE_MAX - *bytes) {
			errno = EINVAL;
			return NULL;
		}
		*bytes += parts[i].iov_len;
	}
	char *all = count >= 0 && count <= IOV_MAX ? malloc(*bytes ? *bytes : 1) : NULL;
	if (!all) {
		errno = count >= 0 && count <= IOV_MAX ? ENOMEM : EINVAL;
		return NULL;
	}
	for (size_t i = 0, at = 0; fill && i < (size_t)count; at += parts[i++].iov_len)
		__builtin_memcpy(all + at, parts[i].iov_base, parts[i].iov_len);
	return all;
}

ssize_t readv(int fd, const struct iovec *iovec, int count)
{
	size_t bytes, left;

	if (!shim_is_ours(fd)) {
		NEXT(ssize_t, "readv", int, const struct iovec *, int);
		return next(fd, iovec, count);
	}
	char *all = parts_join(iovec, count, false, &bytes);
	if (!all)
		return -1;
	ssize_t got = ours_read(fd, all, bytes);
	left = got > 0 ? (size_t)got : 0;
	for (const char *at = all; left; iovec++) {
		size_t now = iovec->iov_len < left ? iovec->iov_len : left;
		__builtin_memcpy(iovec->iov_base, at, now);
		at += now;
		left -= now;
	}
	free(all);
	return got;
}

ssize_t writev(int fd, const struct iovec *iovec, int count)
{
	size_t bytes;

	if (!shim_is_ours(fd)) {
		NEXT(ssize_t, "writev", int, const struct iovec *, int);
		return next(fd, iovec, count);
	}
	char *all = parts_join(iovec, count, true, &bytes);
	if (!all)
		return -1;
	ssize_t done = ours_write(fd, all, bytes);
	free(all);
	return done;
}
