/* SPDX-License-Identifier: MIT */
/* What the files of the processors' test share. */
#ifndef KERNEL_SMP_STRESS_PRIVATE_H
#define KERNEL_SMP_STRESS_PRIVATE_H

#include "kernel/lock.h"
#include "kernel/machine.h"

enum { STRESS_WINDOW = 256 }; /* pages of IOVA that a worker maps in */
#define STRESS_DEADLINE_NS UINT64_C(20000000000)

struct thing;

/** One index of a run; nobody else writes here while it runs. */
struct stress_worker {
	unsigned processor, runs;
	uint64_t turns;
	/* Of an IOAS: */
	uint32_t ioas, hwpt;
	uint64_t base; /* of the IOVAs that it uses */
	struct iommu_domain *domain;
	struct user_buffer *data, *abi;
	void *slot;                                           /* of the calls' structures; in abi */
	uint16_t start[STRESS_WINDOW], length[STRESS_WINDOW]; /* of the area on a page; 0: none */
	uint16_t source[STRESS_WINDOW];                       /* page of data, on an area's first */
	uint64_t maps, unmaps, refusals, looks;
} __attribute__((aligned(64)));

struct stress {
	struct machine *machine;
	unsigned processors, number, failures;
	struct stress_worker *workers;
	unsigned here;      /* atomic */
	const char *failed; /* atomic; why, the first time */
	uint64_t start_ns;
	struct spinlock lock __attribute__((aligned(64)));
	uint64_t sum, there; /* under lock */
	bool over;           /* atomic */
	struct thing **post;
	int fd;    /* of /dev/iommu */
	bool one;  /* all use one IOAS */
	bool lost; /* a processor did not come back */
};

/** Wait until all are here. */
void stress_gather(struct stress *stress);
/** From any processor; @p why is kept as it is. */
void stress_fail(struct stress *stress, const char *why);
/** Run @p function, with @p stress, on all of its processors; NULL, or why it failed. */
const char *stress_run(struct stress *stress, void (*function)(void *arg, unsigned index));

static inline bool stress_has_failed(const struct stress *stress)
{
	return __atomic_load_n(&stress->failed, __ATOMIC_RELAXED) != NULL;
}

static inline uint64_t stress_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/** What the allocators say is outstanding. */
struct stress_usage {
	uint64_t objects, pages, pinned;
};
void stress_usage_get(struct stress_usage *out);
/** NULL, or what differs. */
const char *stress_usage_compare(const struct stress_usage *before,
                                 const struct stress_usage *after);

/* smp_stress_map.c: NULL, or why it failed. @p one: ranges of one IOAS. */
bool stress_has_unit(const struct stress *stress);
const char *stress_map_mock(struct stress *stress, bool one);
const char *stress_map_unit(struct stress *stress, bool one);

#endif
