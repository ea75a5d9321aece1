/* SPDX-License-Identifier: MIT */
/*
 * Two threads, each with a device and a domain of its own, on one model: map, DMA both
 * ways, unmap, be blocked. For the thread sanitizer: the platform lets one at a time into
 * the model, and every entry that it reads was published.
 */
#include <pthread.h>

#include "tests/unit/model_platform_test.h"

enum { ROUNDS = 60 };

struct worker {
	struct bench *bench;
	unsigned number;
	bool good;
};

static bool mapped_round(struct worker *worker, struct iommu_domain *domain, pa_t page, uint64_t at,
                         uint8_t value)
{
	struct dma_engine *engine = &worker->bench->model->engines[worker->number].engine;
	struct model_engine *self = &worker->bench->model->engines[worker->number];
	uint8_t *memory = iommu_os_va(&worker->bench->model->os, page);
	const struct iommu_extent extent = {page, PAGE_SIZE_4K};
	struct iommu_gather gather;
	bool good = true;

	memset(memory, value, PAGE_SIZE_4K);
	iommu_gather_init(&gather, domain);
	good &= iommu_map(domain, iova(at), &extent, 1, IOMMU_READ | IOMMU_WRITE, &gather) == 0;
	good &= iommu_flush(&gather) == 0;
	good &= engine->ops->fetch(engine, iova(at), 512) == 0 && self->buffer[511] == value;
	good &= engine->ops->store(engine, iova(at + 1024), 512) == 0 && memory[1025] == value;
	good &= iommu_unmap(domain, iova(at), PAGE_SIZE_4K, &gather) == PAGE_SIZE_4K;
	good &= iommu_flush(&gather) == 0;
	good &= engine->ops->fetch(engine, iova(at), 64) == 0 && self->buffer[0] == 0xff;
	return good;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct bench *bench = worker->bench;
	struct iommu_device *device = bench->model->engines[worker->number].pci.iommu;
	const struct iommu_os *os = &bench->model->os;
	struct iommu_domain *domain = NULL;
	pa_t page;

	worker->good = os->page_alloc(os->ctx, 0, &page) == 0;
	for (unsigned i = 0; i < ROUNDS && worker->good; i++) {
		/* now and then everything anew: attaching takes the core's lock */
		if (!domain) {
			worker->good &=
				iommu_domain_alloc_user(device, 0, NULL, NULL, &domain) == 0 &&
				iommu_attach(device->group, domain) == 0;
		}
		worker->good = worker->good &&
		               mapped_round(worker, domain, page, BASE + (uint64_t)i * 0x201000,
		                            (uint8_t)(i + 1));
		if (i % 8 == 7 || i + 1 == ROUNDS || !worker->good) {
			iommu_detach(device->group);
			worker->good &= iommu_domain_free(domain) == 0;
			domain = NULL;
		}
	}
	os->page_free(os->ctx, page, 0);
	return NULL;
}

static void threads_on(const char *preset)
{
	struct bench bench;
	struct worker workers[MODEL_DEVICES];
	pthread_t threads[MODEL_DEVICES];

	bench_up(&bench, preset);
	if (!bench.up)
		return;
	for (unsigned i = 0; i < MODEL_DEVICES; i++) {
		workers[i] = (struct worker){.bench = &bench, .number = i};
		KTAP_EQUAL(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < MODEL_DEVICES; i++) {
		pthread_join(threads[i], NULL);
		KTAP_CHECK(workers[i].good);
	}
	/* Each round has one blocked read. Where the unit has one fault record, a fault that
	 * comes while another lies in it is lost: of two at a time, one is kept. */
	bool may_lose = (bench.config.cap >> 40 & 0xff) == 0;
	KTAP_CHECK(bench.core.fault_count <= MODEL_DEVICES * ROUNDS);
	KTAP_CHECK(bench.core.fault_count >= (may_lose ? 1 : MODEL_DEVICES) * ROUNDS);
	KTAP_EQUAL(bench_reports(&bench), 0);
	if (ktap_failed)
		printf("# %s\n", bench.model->report_text);
	bench_down(&bench);
}

static void scalable(void)
{
	threads_on("nesting");
}

static void not_snooped(void)
{
	threads_on("nesting-noncoherent");
}

static void legacy(void)
{
	threads_on("qemu-10.0");
}

static const struct ktap_case cases[] = {
	{"two threads on two devices, scalable mode", scalable},
	{"two threads on two devices, tables not snooped", not_snooped},
	{"two threads on two devices, legacy mode", legacy},
};

KTAP_MAIN(cases)
