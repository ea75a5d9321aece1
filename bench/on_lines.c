/* SPDX-License-Identifier: MIT */
/*
 * How the calls scale, without a clock: how many cache lines go from processor to processor
 * for an IOAS_MAP and an IOAS_UNMAP of 4 KiB, flush included, by the number of processors
 * that make them in turn (bench/lines.h). On a model of a VT-d unit, with the VT-d driver:
 *
 *   own IOASes   each processor has one, attached by a PASID of its own
 *   one IOAS     each processor has a range of it, with tables of its own
 *
 * Locks count as the lines that they are, for taking and for leaving. Objects come from
 * lists of the processor that freed them, as in the kernel. What the caller's memory and the
 * unit itself do is not counted.
 *
 *   nestor-lines [--raw] [--places] [own|one]
 *
 *   --places   and where in the program the most of them go (addr2line knows the lines)
 */
#include "bench/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/platform.h"
#include "ufd/iommufd.h"
#include "ufd/vfio.h"

enum { WARM = 8, ROUNDS = 64, SIZES = 64 };

#define BASE  UINT64_C(0x40000000)
#define RANGE (64 * PAGE_SIZE_2M)

static struct host_platform host;
static struct iommu_os *os, real; /* the core's hooks: those here, and behind them */
static int fd, cdev;
static uint32_t device_id;

static struct processor {
	struct user_buffer *abi, *data;
	void *slot;
	uint32_t ioas;
	uint64_t at;
} processors[LINES_PROCESSORS];
static unsigned playing;

static void play(unsigned processor)
{
	playing = processor;
	lines_play(processor);
}

/* Objects are whole lines (linked with --wrap=calloc). */
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
	size_t whole;

	if (__builtin_mul_overflow(count, bytes, &whole) || whole > SIZE_MAX - 63)
		return NULL;
	whole = (whole + 63) / 64 * 64;
	void *object = aligned_alloc(64, whole ? whole : 64);

	return object ? memset(object, 0, whole) : NULL;
}

/* ---- hooks ---------------------------------------------------------------------------------- */

/* What a processor has freed, by size: it gets it again. */
struct spare {
	struct spare *next;
};
static struct spare *spares[LINES_PROCESSORS][SIZES];

static size_t whole_lines(size_t bytes)
{
	return (bytes + 63) / 64;
}

static void *alloc_hook(void *ctx, size_t bytes)
{
	size_t lines = whole_lines(bytes);

	if (lines < SIZES && spares[playing][lines]) {
		struct spare *spare = spares[playing][lines];
		spares[playing][lines] = spare->next;
		return memset(spare, 0, bytes);
	}
	return real.alloc(ctx, bytes);
}

static void free_hook(void *ctx, void *object, size_t bytes)
{
	size_t lines = whole_lines(bytes);
	struct spare *spare = object;

	if (!object || lines >= SIZES) {
		real.free(ctx, object, bytes);
		return;
	}
	spare->next = spares[playing][lines];
	spares[playing][lines] = spare;
}

static unsigned processor_hook(void *ctx)
{
	(void)ctx;
	return playing;
}

static void lock_hook(void *ctx, struct iommu_lock *lock)
{
	lines_access(lock, sizeof(*lock), true);
	real.lock(ctx, lock);
}

static void unlock_hook(void *ctx, struct iommu_lock *lock)
{
	lines_access(lock, sizeof(*lock), true);
	real.unlock(ctx, lock);
}

/* ---- calls --------------------------------------------------------------------------------- */

static int call(struct processor *self, int descriptor, unsigned long command, void *structure,
                size_t bytes)
{
	memcpy(self->slot, structure, bytes);
	int result = ufd_ioctl(&host.ufd, descriptor, command, self->abi->start);
	memcpy(structure, self->slot, bytes);
	return result;
}

static int map(struct processor *self, uint64_t at)
{
	struct iommu_ioas_map request = {
		.size = sizeof(request),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
	                 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = self->ioas,
		.user_va = self->data->start,
		.length = PAGE_SIZE_4K,
		.iova = at,
	};

	return call(self, fd, IOMMU_IOAS_MAP, &request, sizeof(request));
}

static int unmap(struct processor *self, uint64_t at)
{
	struct iommu_ioas_unmap request = {
		.size = sizeof(request), .ioas_id = self->ioas, .iova = at, .length = PAGE_SIZE_4K};

	return call(self, fd, IOMMU_IOAS_UNMAP, &request, sizeof(request));
}

static int ioas_make(struct processor *self, uint32_t pasid)
{
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};

	int error = call(self, fd, IOMMU_IOAS_ALLOC, &ioas, sizeof(ioas));
	if (error)
		return error;
	self->ioas = ioas.out_ioas_id;
	struct iommu_hwpt_alloc hwpt = {.size = sizeof(hwpt),
	                                .flags = IOMMU_HWPT_ALLOC_PASID,
	                                .dev_id = device_id,
	                                .pt_id = self->ioas};
	error = call(self, fd, IOMMU_HWPT_ALLOC, &hwpt, sizeof(hwpt));
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach),
	                                               .flags =
	                                                       pasid ? VFIO_DEVICE_ATTACH_PASID : 0,
	                                               .pt_id = hwpt.out_hwpt_id,
	                                               .pasid = pasid};
	return error ? error
	             : call(self, cdev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach, sizeof(attach));
}

static int session_open(unsigned count, bool one)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind)};

	fd = bind.iommufd = ufd_open(&host.ufd);
	cdev = ufd_open_device(&host.ufd, host.model.engines[0].pci.iommu);
	int error = fd < 0     ? fd
	            : cdev < 0 ? cdev
	                       : call(&processors[0], cdev, VFIO_DEVICE_BIND_IOMMUFD, &bind,
	                              sizeof(bind));
	device_id = bind.out_devid;
	if (!error)
		error = ioas_make(&processors[0], 0);
	for (unsigned i = 0; i < count && !error; i++) {
		struct processor *self = &processors[i];
		play(i);
		self->at = BASE + i * RANGE;
		if (one)
			self->ioas = processors[0].ioas;
		else if (i)
			error = ioas_make(self, i);
		if (!error)
			error = map(self, self->at + PAGE_SIZE_2M / 2); /* the tables stay */
	}
	play(0);
	return error;
}

static int session_close(void)
{
	int error = cdev >= 0 ? ufd_close(&host.ufd, cdev) : 0;

	if (fd >= 0 && !error)
		error = ufd_close(&host.ufd, fd);
	return error;
}

/* ---- measuring ------------------------------------------------------------------------------- */

static bool raw;

static void row_print(const char *what, const char *operation, unsigned count,
                      const struct lines_counts *counts)
{
	const unsigned calls = ROUNDS * count;

	if (raw) {
		printf("@bench\tlines.%s 4K, %s, x%u\tmodel\tlines\t%llu\tcall\t%u\t0\t0\t0\t0\t0\t"
		       "lines.%s.%.3s\t%u\n",
		       operation, what, count, (unsigned long long)(counts->writes + counts->reads),
		       calls, operation, what, count);
		return;
	}
	printf("%-12s %-6s %2u processors  %5.2f lines a call by writes, %5.2f by reads\n", what,
	       operation, count, (double)counts->writes / calls, (double)counts->reads / calls);
}

static void add(struct lines_counts *sum, struct lines_counts more)
{
	sum->writes += more.writes;
	sum->reads += more.reads;
}

static int measure(unsigned count, bool one)
{
	struct lines_counts mapped = {0}, unmapped = {0};
	int error = session_open(count, one);

	for (unsigned round = 0; round < WARM + ROUNDS && !error; round++) {
		lines_count(round >= WARM);
		for (unsigned i = 0; i < count && !error; i++) {
			play(i);
			(void)lines_take();
			error = map(&processors[i], processors[i].at);
			add(&mapped, lines_take());
		}
		for (unsigned i = 0; i < count && !error; i++) {
			play(i);
			(void)lines_take();
			error = unmap(&processors[i], processors[i].at);
			add(&unmapped, lines_take());
		}
	}
	lines_count(false);
	play(0);
	int closing = session_close();
	if (error || closing) {
		fprintf(stderr, "nestor-lines: %u processors, %s: error %d, at the end %d\n", count,
		        one ? "one IOAS" : "own IOASes", error, closing);
		return -1;
	}
	row_print(one ? "one IOAS" : "own IOASes", "map", count, &mapped);
	row_print(one ? "one IOAS" : "own IOASes", "unmap", count, &unmapped);
	return 0;
}

static int processors_make(void)
{
	for (unsigned i = 0; i < LINES_PROCESSORS; i++) {
		struct processor *self = &processors[i];
		uint64_t bytes = PAGE_SIZE_4K;
		char name[24];
		snprintf(name, sizeof(name), "abi-%u", i);
		int error = user_buffer_create(&host.memory, name, PAGE_SIZE_4K, 0, 0, &self->abi);
		snprintf(name, sizeof(name), "data-%u", i);
		if (!error)
			error = user_buffer_create(&host.memory, name, PAGE_SIZE_4K, 0, 0,
			                           &self->data);
		if (error)
			return error;
		self->slot = user_memory_at(&host.memory, self->abi->start, &bytes);
	}
	return 0;
}

static bool processors_end(void)
{
	bool fine = true;

	for (unsigned i = 0; i < LINES_PROCESSORS; i++) {
		fine &= !user_buffer_destroy(&host.memory, processors[i].abi);
		fine &= !user_buffer_destroy(&host.memory, processors[i].data);
		for (unsigned lines = 0; lines < SIZES; lines++)
			while (spares[i][lines]) {
				struct spare *spare = spares[i][lines];
				spares[i][lines] = spare->next;
				real.free(os->ctx, spare, 64 * lines);
			}
	}
	return fine;
}

int main(int argc, char **argv)
{
	const struct host_options options = {.unit = model_preset_find("nesting")};
	bool places = false, first = true, last = true;
	int error = 0;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--raw")) {
			raw = true;
		} else if (!strcmp(argv[i], "--places")) {
			places = true;
		} else if (!strcmp(argv[i], "own")) {
			last = false;
		} else if (!strcmp(argv[i], "one")) {
			first = false;
		} else {
			fprintf(stderr,
			        "nestor-lines: unknown option %s; wanted --raw, --places, own or "
			        "one\n",
			        argv[i]);
			return 2;
		}
	}
	play(0);
	if (host_platform_init(&host, &options))
		return 1;
	os = &host.model.os;
	real = *os;
	os->lock = lock_hook;
	os->unlock = unlock_hook;
	os->alloc = alloc_hook;
	os->free = free_hook;
	os->processor = processor_hook;
	if (processors_make())
		return 1;
	if (!raw)
		printf("cache lines that go from processor to processor\n");
	for (int one = !first; one <= last && !error; one++)
		for (unsigned count = 1; count <= LINES_PROCESSORS && !error; count *= 2)
			error = measure(count, one);
	if (places)
		lines_places(24);
	os->alloc = real.alloc;
	os->free = real.free;
	bool fine = processors_end();
	return host_platform_exit(&host) && fine && !error ? 0 : 1;
}
