/* SPDX-License-Identifier: MIT */
/*
 * What a program may do with descriptors and memory, on the server's /dev/iommu: run by
 * tests/host_shim.test through nestor-run. A case a test point.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/shim/dma.h"
#include "ufd/iommufd.h"
#include "ufd/vfio.h"

#define PAGE  4096u
#define RW    (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define FIXED (RW | IOMMU_IOAS_MAP_FIXED_IOVA)

static int number, failures;
static bool case_failed;

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("# line %d: %s (errno %d)\n", __LINE__, #condition, errno);         \
			fflush(stdout);                                                            \
			case_failed = true;                                                        \
		}                                                                                  \
	} while (0)

/* ---- short forms ------------------------------------------------------------------------ */

struct world {
	int iommu, device;
	uint32_t ioas, device_id;
};

static uint32_t ioas_alloc(int iommu)
{
	struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};

	return ioctl(iommu, IOMMU_IOAS_ALLOC, &alloc) == 0 ? alloc.out_ioas_id : 0;
}

static int map_at(const struct world *world, void *memory, size_t bytes, uint64_t iova)
{
	struct iommu_ioas_map map = {.size = sizeof(map),
	                             .flags = FIXED,
	                             .ioas_id = world->ioas,
	                             .user_va = (uintptr_t)memory,
	                             .length = bytes,
	                             .iova = iova};

	return ioctl(world->iommu, IOMMU_IOAS_MAP, &map) ? -errno : 0;
}

static int map_file_at(const struct world *world, int fd, uint64_t start, size_t bytes,
                       uint64_t iova)
{
	struct iommu_ioas_map_file map = {.size = sizeof(map),
	                                  .flags = FIXED,
	                                  .ioas_id = world->ioas,
	                                  .fd = fd,
	                                  .start = start,
	                                  .length = bytes,
	                                  .iova = iova};

	return ioctl(world->iommu, IOMMU_IOAS_MAP_FILE, &map) ? -errno : 0;
}

static int unmap_at(const struct world *world, uint64_t iova, size_t bytes)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap), .ioas_id = world->ioas, .iova = iova, .length = bytes};

	return ioctl(world->iommu, IOMMU_IOAS_UNMAP, &unmap) ? -errno : 0;
}

static int dma(const struct world *world, uint64_t iova, void *data, size_t bytes, bool store)
{
	struct nestor_device_dma transfer = {.argsz = sizeof(transfer),
	                                     .flags = store ? NESTOR_DMA_WRITE : 0,
	                                     .iova = iova,
	                                     .bytes = bytes,
	                                     .data = (uintptr_t)data};

	return ioctl(world->device, NESTOR_DEVICE_DMA, &transfer) ? -errno : 0;
}

static int attach(const struct world *world, uint32_t pt_id)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = pt_id};

	return ioctl(world->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) ? -errno : 0;
}

/* A device, bound and attached to an empty IOAS. */
static struct world world_open(void)
{
	struct world world = {open("/dev/iommu", O_RDWR | O_CLOEXEC),
	                      open("/dev/vfio/devices/vfio0", O_RDWR | O_CLOEXEC), 0, 0};
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = world.iommu};

	CHECK(world.iommu >= 0 && world.device >= 0);
	CHECK(ioctl(world.device, VFIO_DEVICE_BIND_IOMMUFD, &bind) == 0);
	world.device_id = bind.out_devid;
	world.ioas = ioas_alloc(world.iommu);
	CHECK(world.ioas != 0 && attach(&world, world.ioas) == 0);
	return world;
}

static void world_close(const struct world *world)
{
	CHECK(close(world->device) == 0 && close(world->iommu) == 0);
}

static char *memory_new(size_t bytes, int flags)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

/* The status of a child that returned from its case. */
static int child_end(pid_t child)
{
	int status = -1;

	CHECK(waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* ---- cases -------------------------------------------------------------------------------- */

static void paths(void)
{
	struct stat status;

	CHECK(access("/dev/iommu", R_OK | W_OK) == 0);
	CHECK(stat("/dev/iommu", &status) == 0 && S_ISCHR(status.st_mode));
	CHECK(open("/dev/iommu", O_RDWR | O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
	CHECK(open("/dev/vfio/devices/vfio99", O_RDWR) == -1 && errno == ENOENT);
	CHECK(open("/dev/iommus", O_RDWR) == -1 && errno == ENOENT);
	int fd = openat(AT_FDCWD, "/dev/iommu", O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
	fd = open64("/dev/iommu", O_RDWR);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == 0);
	CHECK(ioctl(fd, 0x3b00 | 0x7f, NULL) == -1 && errno == ENOTTY);
	close(fd);
	FILE *stream = fopen("/dev/iommu", "r+");
	CHECK(stream && ioas_alloc(fileno(stream)) != 0);
	if (stream)
		fclose(stream);
}

static void transfers(void)
{
	struct world world = world_open();
	char *memory = memory_new(8 * PAGE, MAP_PRIVATE), data[PAGE], back[PAGE] = "";

	CHECK(dma(&world, 0x10000, data, PAGE, true) == -EFAULT);
	CHECK(map_at(&world, memory, 8 * PAGE, 0x10000000) == 0);
	memset(data, 0x5a, sizeof(data));
	CHECK(dma(&world, 0x10000000 + PAGE / 2, data, PAGE, true) == 0); /* over two pages */
	CHECK(memory[PAGE / 2 - 1] == 0 && memory[PAGE / 2] == 0x5a &&
	      memory[PAGE + PAGE / 2 - 1] == 0x5a && memory[PAGE + PAGE / 2] == 0);
	memory[7 * PAGE] = 77;
	CHECK(dma(&world, 0x10000000 + 7 * PAGE, back, PAGE, false) == 0 && back[0] == 77);
	CHECK(dma(&world, 0x10000000 + 8 * PAGE - 4, back, 8, false) == -EFAULT);
	CHECK(unmap_at(&world, 0x10000000, 8 * PAGE) == 0);
	CHECK(dma(&world, 0x10000000, back, 4, false) == -EFAULT);
	munmap(memory, 8 * PAGE);
	world_close(&world);
}

static void bad_memory(void)
{
	struct world world = world_open();
	char *memory = memory_new(4 * PAGE, MAP_PRIVATE);

	CHECK(munmap(memory + 2 * PAGE, PAGE) == 0);
	CHECK(map_at(&world, memory, 4 * PAGE, 0x10000000) == -EFAULT);
	CHECK(map_at(&world, memory, 2 * PAGE, 0x10000000) == 0);
	CHECK(mprotect(memory + 3 * PAGE, PAGE, PROT_READ) == 0);
	CHECK(map_at(&world, memory + 3 * PAGE, PAGE, 0x20000000) == -EFAULT);
	CHECK(map_at(&world, (void *)0x7ffffffff000, PAGE, 0x20000000) == -EFAULT);
	CHECK(map_at(&world, (void *)0xfffffffffffff000, PAGE, 0x20000000) == -EFAULT);
	CHECK(map_at(&world, (void *)0x000180000000f000, PAGE, 0x20000000) == -EFAULT);
	CHECK(ioctl(world.iommu, IOMMU_IOAS_ALLOC, (void *)8) == -1 && errno == EFAULT);
	/* unmapped while it is mapped: a device reaches nothing */
	memory[PAGE] = 1;
	CHECK(munmap(memory, PAGE) == 0);
	CHECK(dma(&world, 0x10000000, memory + PAGE, 4, true) == -EFAULT);
	CHECK(unmap_at(&world, 0x10000000, 2 * PAGE) == 0);
	world_close(&world);
}

static void files(void)
{
	struct world world = world_open();
	int fd = memfd_create("probe", MFD_CLOEXEC), disk = open("/proc/self/exe", O_RDONLY);
	char data[16] = "through the file";

	CHECK(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0 && disk >= 0);
	char *memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map_file_at(&world, fd, PAGE, 2 * PAGE, 0x10000000) == 0);
	CHECK(map_at(&world, memory + PAGE, 2 * PAGE, 0x20000000) == 0);
	CHECK(dma(&world, 0x10000000 + PAGE, data, sizeof(data), true) == 0);
	CHECK(memcmp(memory + 2 * PAGE, data, sizeof(data)) == 0);
	CHECK(map_file_at(&world, fd, 0, 4 * PAGE + 1, 0x30000000) == -EINVAL);
	CHECK(map_file_at(&world, 999, 0, PAGE, 0x30000000) == -EBADF);
	CHECK(map_file_at(&world, disk, 0, PAGE, 0x30000000) == -EINVAL);
	close(fd); /* the mapping stays */
	munmap(memory, 4 * PAGE);
	CHECK(dma(&world, 0x10000000 + PAGE, data, 4, true) == 0);
	char back[16] = "";
	CHECK(dma(&world, 0x20000000 + PAGE, back, 4, false) == 0 && memcmp(back, data, 4) == 0);
	close(disk);
	world_close(&world);
}

static void children(void)
{
	struct world world = world_open();
	char *shared = memory_new(PAGE, MAP_SHARED), *own = memory_new(PAGE, MAP_PRIVATE);
	char data[8] = "parent";

	pid_t child = fork();
	if (child == 0) { /* its copy of `own` is another page; `shared` is the same */
		strcpy(own, "child");
		CHECK(map_at(&world, own, PAGE, 0x10000000) == 0);
		CHECK(map_at(&world, shared, PAGE, 0x20000000) == 0);
		char back[8] = "";
		CHECK(dma(&world, 0x10000000, back, 6, false) == 0 && !strcmp(back, "child"));
		_exit(case_failed);
	}
	CHECK(child_end(child) == 0);
	CHECK(dma(&world, 0x20000000, data, 7, true) == 0 && !strcmp(shared, "parent"));
	CHECK(dma(&world, 0x10000000, data, 7, true) == -EFAULT && own[0] == 0);
	CHECK(unmap_at(&world, 0x10000000, PAGE) == 0);
	world_close(&world);
}

static void passing(void)
{
	int pair[2], fd = open("/dev/iommu", O_RDWR);
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = ""};
	char byte = 0;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part,
	                         .msg_iovlen = 1,
	                         .msg_control = &control,
	                         .msg_controllen = sizeof(control)};

	CHECK(fd >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	uint32_t first = ioas_alloc(fd);
	pid_t child = fork();
	if (child == 0) {
		close(fd);
		CHECK(recvmsg(pair[1], &message, 0) == 1);
		int got = -1;
		memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(got));
		CHECK(ioas_alloc(got) == first + 1);
		_exit(case_failed);
	}
	control.header = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
	                                  .cmsg_type = SCM_RIGHTS,
	                                  .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	CHECK(sendmsg(pair[0], &message, 0) == 1);
	CHECK(child_end(child) == 0);
	int copy = dup(fd);
	close(fd);
	CHECK(ioas_alloc(copy) == first + 2);
	close(copy);
	close(pair[0]);
	close(pair[1]);
}

static void after_exec(void)
{
	int fd = open("/dev/iommu", O_RDWR);
	uint32_t first = ioas_alloc(fd);
	char word[16], id[16];

	snprintf(word, sizeof(word), "%d", fd);
	snprintf(id, sizeof(id), "%u", first + 1);
	pid_t child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "shim_probe", "--ioas", word, id, NULL);
		_exit(99);
	}
	CHECK(child_end(child) == 0);
	close(fd);
}

/* What a process held is free when it has been waited for, however it ended. */
static void death(void)
{
	for (int i = 0; i < 8; i++) {
		pid_t child = fork();
		if (child == 0) {
			struct world mine = world_open();
			CHECK(map_at(&mine, memory_new(PAGE, MAP_PRIVATE), PAGE, 0x10000000) == 0);
			if (case_failed)
				_exit(1);
			raise(SIGKILL);
		}
		CHECK(child_end(child) == -SIGKILL);
	}
	struct world world = world_open(); /* binds the device again */
	world_close(&world);
}

static void closing(void)
{
	for (int i = 0; i < 50; i++) {
		struct world world = world_open();
		world_close(&world);
	}
	int fd = open("/dev/vfio/devices/vfio0", O_RDWR), null = open("/dev/null", O_RDWR);
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = null};
	CHECK(ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) == -1 && errno == EBADFD);
	bind.iommufd = 999;
	CHECK(ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) == -1 && errno == EBADF);
	close(fd);
	close(null);
}

static void *thread_calls(void *fd)
{
	uintptr_t last = 0;

	for (int i = 0; i < 100; i++) {
		uint32_t id = ioas_alloc(*(int *)fd);
		struct iommu_destroy destroy = {.size = sizeof(destroy), .id = id};
		if (!id || ioctl(*(int *)fd, IOMMU_DESTROY, &destroy))
			return (void *)1;
		last = id;
	}
	return last ? NULL : (void *)1;
}

static void threads(void)
{
	int fd = open("/dev/iommu", O_RDWR);
	pthread_t thread[4];
	pid_t child = fork();

	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&thread[i], NULL, thread_calls, &fd) == 0);
	for (int i = 0; i < 4; i++) {
		void *wrong;
		CHECK(pthread_join(thread[i], &wrong) == 0 && !wrong);
	}
	if (child == 0)
		_exit(case_failed);
	CHECK(child_end(child) == 0);
	close(fd);
}

/* A page request arrives, is read and answered, in another process than it was made for. */
static void page_requests(void)
{
	struct world world = world_open();
	struct iommu_fault_alloc queue = {.size = sizeof(queue)};
	struct vfio_device_detach_iommufd_pt detach = {.argsz = sizeof(detach)};

	CHECK(ioctl(world.iommu, IOMMU_FAULT_QUEUE_ALLOC, &queue) == 0);
	int fd = (int)queue.out_fault_fd;
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt),
	                                .flags = IOMMU_HWPT_FAULT_ID_VALID,
	                                .dev_id = world.device_id,
	                                .pt_id = world.ioas,
	                                .fault_id = queue.out_fault_id};
	CHECK(ioctl(world.iommu, IOMMU_HWPT_ALLOC, &hwpt) == 0);
	CHECK(attach(&world, hwpt.out_hwpt_id) == 0);
	struct pollfd wait = {fd, POLLIN, 0};
	for (uint16_t group = 1; group <= 3; group++) {
		CHECK(poll(&wait, 1, 0) == 0);
		struct nestor_device_dma ask = {.argsz = sizeof(ask),
		                                .flags = NESTOR_DMA_PAGE_REQUEST,
		                                .iova = 0x5000,
		                                .bytes = group};
		pid_t child = fork();
		if (child == 0) {
			struct iommu_hwpt_pgfault fault;
			CHECK(poll(&wait, 1, 5000) == 1 && wait.revents == POLLIN);
			CHECK(read(fd, &fault, sizeof(fault)) == sizeof(fault));
			CHECK(fault.addr == 0x5000 && fault.grpid == group);
			struct iommu_hwpt_page_response answer = {.cookie = fault.cookie};
			CHECK(write(fd, &answer, sizeof(answer)) == sizeof(answer));
			_exit(case_failed);
		}
		CHECK(ioctl(world.device, NESTOR_DEVICE_DMA, &ask) == 0);
		CHECK(child_end(child) == 0);
	}
	CHECK(ioctl(world.device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach) == 0);
	close(fd);
	world_close(&world);
}

static void polling(void)
{
	int fd = open("/dev/iommu", O_RDWR), set = epoll_create1(0);
	struct iommu_fault_alloc queue = {.size = sizeof(queue)};
	struct iommu_hwpt_pgfault room[4];

	CHECK(ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &queue) == 0);
	int queue_fd = (int)queue.out_fault_fd;
	struct pollfd both[] = {{fd, POLLIN | POLLOUT, 0}, {queue_fd, POLLIN | POLLOUT, 0}};
	CHECK(poll(both, 2, 0) == 2);
	CHECK(both[0].revents == (POLLIN | POLLOUT) && both[1].revents == POLLOUT);
	struct epoll_event event = {.events = EPOLLIN};
	CHECK(epoll_ctl(set, EPOLL_CTL_ADD, queue_fd, &event) == 0);
	CHECK(epoll_wait(set, &event, 1, 0) == 0);
	CHECK(read(queue_fd, room, sizeof(room)) == 0);
	CHECK(fcntl(queue_fd, F_GETFD) == FD_CLOEXEC);
	CHECK(read(fd, room, sizeof(room)) == -1 && errno == EINVAL);
	CHECK(write(queue_fd, room, 3) == -1);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	close(set);
	close(queue_fd);
	close(fd);
}

/* Each allocation of a call in turn; then the call works, and the count is left over. */
static void fail_nth(void)
{
	char path[64], text[16];
	int failed = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", (int)getpid());
	int fd = open(path, O_RDWR), iommu = open("/dev/iommu", O_RDWR);
	CHECK(fd >= 0 && iommu >= 0);
	for (int nth = 1; nth < 100; nth++) {
		int length = snprintf(text, sizeof(text), "%d", nth);
		CHECK(pwrite(fd, text, (size_t)length, 0) == length);
		uint32_t id = ioas_alloc(iommu);
		CHECK(id || errno == ENOMEM);
		length = (int)pread(fd, text, sizeof(text), 0);
		CHECK(length >= 2 && text[length - 1] == '\n');
		if (text[0] != '0') {
			CHECK(id != 0);
			break;
		}
		failed++;
		CHECK(id == 0);
	}
	CHECK(failed > 0 && failed < 50);
	CHECK(pwrite(fd, "0", 1, 0) == 1 && pwrite(fd, "x", 1, 0) == -1);
	DIR *folder = opendir("/sys/kernel/debug/");
	CHECK(folder && openat(dirfd(folder), "failslab/ignore-gfp-wait", O_WRONLY) >= 0);
	if (folder)
		closedir(folder);
	close(iommu);
	close(fd);
}

static void huge(void)
{
	const size_t bytes = 4u << 20;
	struct world world = world_open();
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);

	CHECK(memory != MAP_FAILED && (uintptr_t)memory % (2u << 20) == 0);
	int fd = memfd_create("huge", MFD_HUGETLB);
	CHECK(fd >= 0 && ftruncate(fd, 2 << 20) == 0);
	CHECK(mmap(NULL, 2 << 20, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
	CHECK(map_at(&world, memory, bytes, 0x40000000) == 0);
	CHECK(dma(&world, 0x40000000 + bytes - 4, memory, 4, true) == 0);
	CHECK(munmap(memory, bytes) == 0);
	close(fd);
	world_close(&world);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"paths that can be opened and asked about", paths},
	{"a device's transfers", transfers},
	{"memory that is not there", bad_memory},
	{"files as memory", files},
	{"a child's memory and the parent's", children},
	{"descriptors that are passed and copied", passing},
	{"descriptors after exec", after_exec},
	{"what a killed process held", death},
	{"close is done when the next call is made", closing},
	{"threads and processes on one descriptor", threads},
	{"poll, epoll, read, write, mmap", polling},
	{"page requests, answered by another process", page_requests},
	{"fail-nth", fail_nth},
	{"huge pages", huge},
};

int main(int argc, char **argv)
{
	const int count = sizeof(cases) / sizeof(cases[0]);
	const bool model = argc == 2 && strcmp(argv[1], "--model") == 0;

	if (argc == 4 && strcmp(argv[1], "--ioas") == 0)
		return ioas_alloc(atoi(argv[2])) != (uint32_t)atoi(argv[3]);
	printf("KTAP version 1\n1..%d\n", count);
	for (int i = 0; i < count; i++) {
		case_failed = false;
		fflush(stdout);
		if (model && cases[i].run == page_requests) {
			printf("ok %d - %s # SKIP a model's devices ask when they are stopped\n",
			       ++number, cases[i].name);
			continue;
		}
		cases[i].run();
		failures += case_failed;
		printf("%sok %d - %s\n", case_failed ? "not " : "", ++number, cases[i].name);
	}
	return failures != 0;
}
