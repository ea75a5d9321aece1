/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking is switched by one thread, while a second attaches and detaches a device
 * and a third maps, unmaps and flushes. For the thread sanitizer; and whoever wins, all
 * entries agree with the domain in the end, and what is written is marked.
 */
#include <pthread.h>

#include "tests/unit/model_platform_test.h"
#include "vtd/domain.h"
#include "vtd/pasid.h"

enum { PERIODS = 6, ROUNDS = 150, MOVER = 1 };

struct race {
	struct bench bench;
	struct iommu_domain *domain, *other;
	pa_t pages[MODEL_DEVICES + 1];
	bool good[3];
	pthread_mutex_t
		tables; /* whose maps are a domain's serialises its calls, as an IOAS does */
};

static struct iommu_device *device_of(struct race *race, unsigned number)
{
	return race->bench.model->engines[number].pci.iommu;
}

static bool ssade(struct iommu_device *device)
{
	struct vtd_unit *unit = vtd_unit_of(device->unit);

	return vtd_pasid_entry(unit, device->driver_data, IOMMU_NO_PASID)[0] >> 9 & 1;
}

static void *switches(void *arg)
{
	struct race *race = arg;
	bool good = true;

	for (unsigned i = 0; i < 2 * ROUNDS; i++) {
		pthread_mutex_lock(&race->tables);
		good &= race->domain->ops->dirty_tracking(race->domain, i % 2 == 0) == 0;
		pthread_mutex_unlock(&race->tables);
	}
	race->good[0] = good;
	return NULL;
}

static void *moves(void *arg)
{
	struct race *race = arg;
	struct iommu_group *group = device_of(race, MOVER)->group;
	bool good = true;

	for (unsigned i = 0; i < ROUNDS; i++) {
		iommu_detach(group);
		good &= iommu_attach(group, race->other) == 0;
		iommu_detach(group);
		good &= iommu_attach(group, race->domain) == 0;
	}
	race->good[1] = good;
	return NULL;
}

static void *maps(void *arg)
{
	struct race *race = arg;
	const struct iommu_extent extent = {race->pages[MODEL_DEVICES], PAGE_SIZE_4K};
	const iova_t at = iova(BASE + UINT64_C(0x10000000));
	struct iommu_gather gather;
	bool good = true;

	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_mutex_lock(&race->tables);
		iommu_gather_init(&gather, race->domain);
		good &= iommu_map(race->domain, at, &extent, 1, IOMMU_READ | IOMMU_WRITE,
		                  &gather) == 0;
		good &= iommu_flush(&gather) == 0;
		good &= iommu_unmap(race->domain, at, PAGE_SIZE_4K, &gather) == PAGE_SIZE_4K;
		good &= iommu_flush(&gather) == 0;
		pthread_mutex_unlock(&race->tables);
	}
	race->good[2] = good;
	return NULL;
}

static void count(void *arg, iova_t first, iova_t last)
{
	*(unsigned *)arg += (unsigned)((last.value + 1 - first.value) / PAGE_SIZE_4K);
}

static unsigned marks(struct race *race)
{
	struct iommu_domain *domain = race->domain;
	struct iommu_gather gather;
	unsigned found = 0;

	iommu_gather_init(&gather, domain);
	domain->ops->read_dirty(domain, iova(BASE), iova(BASE + 0xfffff), true, count, &found,
	                        &gather);
	KTAP_EQUAL(iommu_flush(&gather), 0);
	return found;
}

/** Both devices write; each marks its page, if the domain tracks. */
static void agree(struct race *race, bool on)
{
	for (unsigned i = 0; i < MODEL_DEVICES; i++) {
		struct dma_engine *engine = &race->bench.model->engines[i].engine;
		KTAP_EQUAL(ssade(device_of(race, i)), on);
		for (unsigned n = 0; n < 2; n++) {
			KTAP_EQUAL(engine->ops->store(engine, iova(BASE + i * PAGE_SIZE_4K), 64),
			           0);
			KTAP_EQUAL(marks(race), on);
		}
	}
}

static void race_on(const char *preset)
{
	static void *(*const work[])(void *) = {switches, moves, maps};
	struct race race = {.tables = PTHREAD_MUTEX_INITIALIZER};
	pthread_t threads[3];

	bench_up(&race.bench, preset);
	if (!race.bench.up)
		return;
	struct iommu_device *first = device_of(&race, 0);
	KTAP_EQUAL(iommu_domain_alloc_user(first, IOMMU_ALLOC_DIRTY_TRACKING, NULL, NULL,
	                                   &race.domain),
	           0);
	KTAP_EQUAL(iommu_domain_alloc_user(first, 0, NULL, NULL, &race.other), 0);
	for (unsigned i = 0; i <= MODEL_DEVICES; i++)
		race.pages[i] = page_new(&race.bench);
	for (unsigned i = 0; i < MODEL_DEVICES; i++) {
		page_map(race.domain, BASE + i * PAGE_SIZE_4K, race.pages[i]);
		KTAP_EQUAL(iommu_attach(device_of(&race, i)->group, race.domain), 0);
	}
	for (unsigned period = 0; period < PERIODS; period++) {
		for (unsigned i = 0; i < 3; i++)
			KTAP_EQUAL(pthread_create(&threads[i], NULL, work[i], &race), 0);
		for (unsigned i = 0; i < 3; i++) {
			pthread_join(threads[i], NULL);
			KTAP_CHECK(race.good[i]);
		}
		agree(&race, false);
		KTAP_EQUAL(race.domain->ops->dirty_tracking(race.domain, true), 0);
		agree(&race, true);
		if (period % 2) /* begin the next one from either state */
			KTAP_EQUAL(race.domain->ops->dirty_tracking(race.domain, false), 0);
	}
	KTAP_EQUAL(bench_reports(&race.bench), 0);
	if (ktap_failed)
		printf("# %s\n", race.bench.model->report_text);
	for (unsigned i = 0; i < MODEL_DEVICES; i++)
		iommu_detach(device_of(&race, i)->group);
	KTAP_EQUAL(iommu_domain_free(race.domain), 0);
	KTAP_EQUAL(iommu_domain_free(race.other), 0);
	for (unsigned i = 0; i <= MODEL_DEVICES; i++)
		page_delete(&race.bench, race.pages[i]);
	bench_down(&race.bench);
}

static void snooped(void)
{
	race_on("nesting");
}

static void not_snooped(void)
{
	race_on("nesting-noncoherent");
}

static const struct ktap_case cases[] = {
	{"switching races attach, detach, map and unmap", snooped},
	{"the same on a unit whose entries are cleaned", not_snooped},
};

KTAP_MAIN(cases)
