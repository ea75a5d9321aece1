/* SPDX-License-Identifier: MIT */
/*
 * The paths that the server stands for: /dev/iommu, /dev/vfio/devices/vfio<n>, a thread's
 * fail-nth, and the folder of the kernel's fault injection, which is made of real files
 * that nestor-run lays out.
 */
#define _GNU_SOURCE
#include "host/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Take decimal digits from *text. */
static bool number_take(const char **text, uint64_t *out)
{
	uint64_t value = 0;
	const char *at = *text;

	while (*at >= '0' && *at <= '9' && at - *text < 10)
		value = value * 10 + (uint64_t)(*at++ - '0');
	if (at == *text)
		return false;
	*text = at;
	*out = value;
	return true;
}

static bool word_take(const char **text, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(*text, word, length) != 0)
		return false;
	*text += length;
	return true;
}

bool shim_path_find(const char *path, enum nestor_node *node, uint64_t *number)
{
	uint64_t process;

	*number = 0;
	if (!path || path[0] != '/' || !getenv(NESTOR_SOCKET_VARIABLE))
		return false;
	if (strcmp(path, "/dev/iommu") == 0) {
		*node = NESTOR_NODE_IOMMU;
		return true;
	}
	if (word_take(&path, "/dev/vfio/devices/vfio")) {
		*node = NESTOR_NODE_DEVICE;
		return number_take(&path, number) && !*path;
	}
	*node = NESTOR_NODE_FAIL_NTH;
	if (!word_take(&path, "/proc/"))
		return false;
	if (word_take(&path, "thread-self/")) {
		*number = (uint64_t)syscall(SYS_gettid);
		return strcmp(path, "fail-nth") == 0;
	}
	return (word_take(&path, "self") || number_take(&path, &process)) &&
	       word_take(&path, "/task/") && number_take(&path, number) &&
	       strcmp(path, "/fail-nth") == 0;
}

int shim_path_open(enum nestor_node node, uint64_t number, int flags)
{
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	struct shim_result result =
		shim_call(SHIM_CONNECT, NESTOR_OPEN, node, number, flags & O_CLOEXEC);
	if (result.value >= 0 && flags & O_NONBLOCK)
		(void)fcntl((int)result.value, F_SETFL, O_NONBLOCK);
	return (int)result.value;
}

const char *shim_folder_find(const char *path)
{
	return path && (strcmp(path, "/sys/kernel/debug") == 0 ||
	                strcmp(path, "/sys/kernel/debug/") == 0)
	               ? getenv(NESTOR_FOLDER_VARIABLE)
	               : NULL;
}
