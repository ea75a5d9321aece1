/* SPDX-License-Identifier: MIT */
/*
 * The bench's operations on a Linux kernel: the first and only program of a virtual machine.
 *
 * It loads the modules that lie in /modules, gives the edu device (or the one that the
 * command line names) to vfio-pci, and makes the calls of ../mapping.c, live.c and object.c
 * on /dev/iommu with it, under the same names. It prints the same lines for tools/bench.sh
 * and leaves QEMU by isa-debug-exit: status 33 if all went well, else 35.
 *
 * The clock is the TSC, which under -icount shift=0 counts instructions. A call here
 * includes entering and leaving the kernel. Runs that the timer's interrupt makes longer
 * are outvoted: the median counts.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ufd/iommufd.h"
#include "ufd/vfio.h"

enum { RUNS = 15, RUNS_LONG = 3, PAGE = 4096, MIB = 1 << 20, EXIT_PORT = 0xf4 };

enum { COMPRESSED = 4 }; /* finit_module's flag: the kernel decompresses */

static const uint64_t fixed_at = UINT64_C(0x2000000000);
static uint64_t overhead;
static bool failed;

static void leave(bool well)
{
	fflush(stdout);
	sync();
	if (ioperm(EXIT_PORT, 1, 1) == 0)
		outb(well ? 16 : 17, EXIT_PORT);
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void give_up(const char *format, ...)
{
	va_list list;
	int error = errno;

	va_start(list, format);
	printf("bench-linux: ");
	vprintf(format, list);
	printf(": %s\n", strerror(error));
	va_end(list);
	leave(false);
}

static uint64_t ticks(void)
{
	uint32_t low, high;
	__asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* ---- the machine ----------------------------------------------------------------------------- */

static void mount_all(void)
{
	static const char *const what[][2] = {
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}};

	for (unsigned i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		mkdir(what[i][1], 0755);
		if (mount(what[i][0], what[i][1], what[i][0], 0, NULL) && errno != EBUSY)
			give_up("mounting %s", what[i][1]);
	}
}

/** Load all of /modules, in whatever order their symbols allow. */
static void modules_load(void)
{
	bool progress = true, missing = true;
	char path[300], last[400] = "";

	while (progress && missing) {
		DIR *folder = opendir("/modules");
		progress = missing = false;
		for (struct dirent *entry; folder && (entry = readdir(folder));) {
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "/modules/%s", entry->d_name);
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			size_t length = strlen(path);
			bool plain = length > 3 && !strcmp(path + length - 3, ".ko");
			if (syscall(SYS_finit_module, fd, "", plain ? 0 : COMPRESSED) == 0) {
				progress = true;
			} else if (errno != EEXIST) {
				missing = true;
				snprintf(last, sizeof(last), "%s: %s", path, strerror(errno));
			}
			close(fd);
		}
		if (folder)
			closedir(folder);
	}
	if (missing)
		printf("bench-linux: not loaded: %s\n", last);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		give_up("writing \"%s\" to %s", text, path);
	close(fd);
}

/** Open the VFIO device of PCI function @p name. */
static int vfio_open(const char *name)
{
	char path[300], found[300] = "";

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", name);
	write_file(path, "vfio-pci");
	write_file("/sys/bus/pci/drivers_probe", name);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", name);
	DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		if (entry->d_name[0] != '.')
			snprintf(found, sizeof(found), "/dev/vfio/devices/%s", entry->d_name);
	if (!folder || !found[0])
		give_up("%s has no VFIO device (no IOMMU, or no vfio-pci)", name);
	closedir(folder);
	int fd = open(found, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		give_up("opening %s", found);
	return fd;
}

/* ---- results ------------------------------------------------------------------------------------ */

static int by_size(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void result(const char *name, uint64_t *values, unsigned count, unsigned inner)
{
	qsort(values, count, sizeof(*values), by_size);
	uint64_t median = values[count / 2];

	printf("@bench\t%s\tlinux\tinstructions\t%llu\t%s\t%u\t0\t0\t0\t0\t0\t-\t0\n", name,
	       (unsigned long long)(median > overhead ? median - overhead : 0),
	       inner > 1 ? "page" : "call", inner);
	fflush(stdout);
}

static void refused(const char *name)
{
	printf("@refused\t%s\t%s\n", name, strerrorname_np(errno));
	if (errno != EOPNOTSUPP)
		failed = true;
}

/* ---- the calls ------------------------------------------------------------------------------------- */

static int iommufd, device;
static uint32_t device_id;

static uint32_t ioas_new(void)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	if (ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc))
		give_up("IOAS_ALLOC");
	return alloc.out_ioas_id;
}

static void destroy(uint32_t id)
{
	struct iommu_destroy call = {.size = sizeof(call), .id = id};

	if (ioctl(iommufd, IOMMU_DESTROY, &call))
		give_up("DESTROY of %u", id);
}

static int map(uint32_t ioas, void *memory, uint64_t bytes, bool fixed, uint64_t *at,
               uint64_t *took)
{
	struct iommu_ioas_map call = {
		.size = sizeof(call),
		.flags = (fixed ? IOMMU_IOAS_MAP_FIXED_IOVA : 0) | IOMMU_IOAS_MAP_READABLE |
	                 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory,
		.length = bytes,
		.iova = fixed ? *at : 0,
	};
	uint64_t start = ticks();
	int error = ioctl(iommufd, IOMMU_IOAS_MAP, &call);
	*took = ticks() - start;
	*at = call.iova;
	return error;
}

static int unmap(uint32_t ioas, uint64_t at, uint64_t bytes, uint64_t *took)
{
	struct iommu_ioas_unmap call = {
		.size = sizeof(call), .ioas_id = ioas, .iova = at, .length = bytes};
	uint64_t start = ticks();
	int error = ioctl(iommufd, IOMMU_IOAS_UNMAP, &call);
	*took = ticks() - start;
	return error;
}

static int attach(uint32_t id, uint64_t *took)
{
	struct vfio_device_attach_iommufd_pt call = {.argsz = sizeof(call), .pt_id = id};
	uint64_t start = ticks();
	int error = ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &call);
	*took = ticks() - start;
	return error;
}

static int detach(uint64_t *took)
{
	struct vfio_device_detach_iommufd_pt call = {.argsz = sizeof(call)};
	uint64_t start = ticks();
	int error = ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &call);
	*took = ticks() - start;
	return error;
}

/* ---- rows -------------------------------------------------------------------------------------------- */

/** Map and unmap @p bytes at @p memory, under "ioas.map NAME" and "ioas.unmap NAME". */
static void row_map(uint32_t ioas, const char *name, void *memory, uint64_t bytes, bool fixed,
                    unsigned runs, unsigned inner)
{
	uint64_t maps[RUNS], unmaps[RUNS], took;
	char text[96];

	for (unsigned i = 0; i <= runs; i++) {
		uint64_t at = fixed_at;
		snprintf(text, sizeof(text), "ioas.map %s", name);
		if (map(ioas, memory, bytes, fixed, &at, &took)) {
			refused(text);
			return;
		}
		if (i)
			maps[i - 1] = took;
		snprintf(text, sizeof(text), "ioas.unmap %s", name);
		if (unmap(ioas, at, bytes, &took)) {
			refused(text);
			return;
		}
		if (i)
			unmaps[i - 1] = took;
	}
	snprintf(text, sizeof(text), "ioas.map %s", name);
	result(text, maps, runs, inner);
	snprintf(text, sizeof(text), "ioas.unmap %s", name);
	result(text, unmaps, runs, inner);
}

static void rows_live(uint32_t ioas, void *page)
{
	static const unsigned counts[] = {0, 1000, 10000};
	uint64_t took, at = 0;
	unsigned live = 0;
	char name[64];

	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (; live < counts[i]; live++)
			if (map(ioas, page, PAGE, false, &at, &took))
				give_up("mapping number %u", live);
		snprintf(name, sizeof(name), "4K any-iova %u-live", counts[i]);
		row_map(ioas, name, page, PAGE, false, RUNS, 1);
	}
	if (unmap(ioas, 0, UINT64_MAX, &took))
		give_up("unmapping everything");
}

static void rows_hwpt(uint32_t ioas, uint32_t flags, const char *name)
{
	uint64_t allocs[RUNS], destroys[RUNS];
	char text[96];

	for (unsigned i = 0; i <= RUNS; i++) {
		struct iommu_hwpt_alloc alloc = {
			.size = sizeof(alloc), .flags = flags, .dev_id = device_id, .pt_id = ioas};
		snprintf(text, sizeof(text), "hwpt.alloc %s", name);
		uint64_t start = ticks();
		int error = ioctl(iommufd, IOMMU_HWPT_ALLOC, &alloc);
		uint64_t took = ticks() - start;
		if (error) {
			refused(text);
			return;
		}
		if (i)
			allocs[i - 1] = took;
		struct iommu_destroy call = {.size = sizeof(call), .id = alloc.out_hwpt_id};
		start = ticks();
		error = ioctl(iommufd, IOMMU_DESTROY, &call);
		took = ticks() - start;
		if (error)
			give_up("destroying a HWPT");
		if (i)
			destroys[i - 1] = took;
	}
	result(text, allocs, RUNS, 1);
	snprintf(text, sizeof(text), "hwpt.destroy %s", name);
	result(text, destroys, RUNS, 1);
}

static void rows_attach(uint32_t ioas)
{
	uint64_t attaches[RUNS], detaches[RUNS], took;

	for (unsigned i = 0; i <= RUNS; i++) {
		if (attach(ioas, &took))
			give_up("attaching");
		if (i)
			attaches[i - 1] = took;
		if (detach(&took))
			give_up("detaching");
		if (i)
			detaches[i - 1] = took;
	}
	result("device.attach empty ioas", attaches, RUNS, 1);
	result("device.detach", detaches, RUNS, 1);
}

static void rows_small(void)
{
	uint64_t pairs[RUNS], infos[RUNS], failures[RUNS], calls[RUNS];
	uint8_t data[64];

	for (unsigned i = 0; i <= RUNS; i++) {
		unsigned at = i ? i - 1 : 0;
		struct iommu_hw_info info = {.size = sizeof(info),
		                             .dev_id = device_id,
		                             .data_len = sizeof(data),
		                             .data_uptr = (uintptr_t)data};
		struct iommu_destroy none = {.size = sizeof(none)};
		uint64_t start = ticks();
		uint32_t id = ioas_new();
		destroy(id);
		pairs[at] = ticks() - start;
		start = ticks();
		int error = ioctl(iommufd, IOMMU_GET_HW_INFO, &info);
		infos[at] = ticks() - start;
		if (error)
			give_up("GET_HW_INFO");
		start = ticks();
		error = ioctl(iommufd, IOMMU_DESTROY, &none);
		failures[at] = ticks() - start;
		if (!error || errno != ENOENT)
			give_up("DESTROY of id 0 is not ENOENT");
		start = ticks();
		(void)syscall(SYS_getppid);
		calls[at] = ticks() - start;
	}
	result("ioas.alloc+destroy", pairs, RUNS, 1);
	result("get_hw_info", infos, RUNS, 1);
	result("destroy id 0 -> ENOENT", failures, RUNS, 1);
	result("syscall getppid", calls, RUNS, 1);
}

/* ---- memory ----------------------------------------------------------------------------------------- */

static void *memory_get(uint64_t bytes, int flags)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void *memory_small(uint64_t bytes)
{
	char *memory = memory_get(bytes, 0);

	if (!memory)
		give_up("no memory");
	(void)madvise(memory, bytes, MADV_NOHUGEPAGE);
	return memory;
}

/** Touch two areas in turn: of neighbouring pages in memory, each has every other one. */
static void *memory_scattered(uint64_t bytes)
{
	char *one = memory_small(bytes), *other = memory_small(bytes);

	for (uint64_t at = 0; at < bytes; at += PAGE)
		one[at] = other[at] = 1;
	return one;
}

static void *memory_contiguous(uint64_t bytes)
{
	char *memory = memory_small(bytes);

	for (uint64_t at = 0; at < bytes; at += PAGE)
		memory[at] = 1;
	return memory;
}

static void *memory_huge(uint64_t bytes, int log2)
{
	char *memory = memory_get(bytes, MAP_HUGETLB | log2 << MAP_HUGE_SHIFT);

	if (memory)
		for (uint64_t at = 0; at < bytes; at += 2 * MIB)
			memory[at] = 1;
	return memory;
}

static void measure(void)
{
	const unsigned pages = 256 * MIB / PAGE;
	uint64_t took, at = fixed_at;
	char *page = memory_contiguous(16 * PAGE);
	char *huge = memory_huge(256 * MIB, 21), *giant = memory_huge(1024u * MIB, 30);

	rows_small();
	uint32_t ioas = ioas_new();
	rows_hwpt(ioas, 0, "plain, empty ioas");
	rows_hwpt(ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, "nest-parent, empty ioas");
	rows_attach(ioas);
	if (huge) {
		if (map(ioas, huge, 256 * MIB, true, &at, &took))
			give_up("mapping 256 MiB");
		rows_hwpt(ioas, 0, "plain, ioas with 256M hugetlb");
		(void)unmap(ioas, fixed_at, 256 * MIB, &took);
	}

	if (attach(ioas, &took))
		give_up("attaching");
	row_map(ioas, "4K", page, PAGE, true, RUNS, 1);
	rows_live(ioas, page);
	if (huge) {
		row_map(ioas, "2M hugetlb", huge, 2 * MIB, true, RUNS, 1);
		row_map(ioas, "256M hugetlb", huge, 256 * MIB, true, RUNS_LONG, 1);
		munmap(huge, 256 * MIB);
	} else {
		printf("bench-linux: no 256 MiB of huge pages\n");
	}
	if (giant) {
		row_map(ioas, "1G in 1G pages", giant, 1024u * MIB, true, RUNS_LONG, 1);
		munmap(giant, 1024u * MIB);
	} else {
		printf("bench-linux: no huge page of 1 GiB\n");
	}
	char *memory = memory_contiguous(256 * MIB);
	row_map(ioas, "256M mostly contiguous", memory, 256 * MIB, true, RUNS_LONG, pages);
	munmap(memory, 256 * MIB);
	memory = memory_scattered(256 * MIB);
	row_map(ioas, "2M scattered", memory, 2 * MIB, true, RUNS, 2 * MIB / PAGE);
	row_map(ioas, "256M scattered", memory, 256 * MIB, true, RUNS_LONG, pages);
}

int main(void)
{
	const char *name = getenv("bench_device");

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount_all();
	modules_load();
	device = vfio_open(name ? name : "0000:00:10.0");
	iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (iommufd < 0)
		give_up("opening /dev/iommu");
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommufd};
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		give_up("BIND_IOMMUFD");
	device_id = bind.out_devid;

	uint64_t nothing[RUNS];
	for (unsigned i = 0; i < RUNS; i++) {
		uint64_t start = ticks();
		nothing[i] = ticks() - start;
	}
	qsort(nothing, RUNS, sizeof(*nothing), by_size);
	overhead = nothing[RUNS / 2];
	measure();
	leave(!failed);
}
