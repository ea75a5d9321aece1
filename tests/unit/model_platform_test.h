/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the model's platform share: one core on one model, and mappings of
 * pages for its two devices.
 */
#ifndef TESTS_UNIT_MODEL_PLATFORM_TEST_H
#define TESTS_UNIT_MODEL_PLATFORM_TEST_H

#include "iommu/iommu.h"
#include "kernel/scn_model.h"
#include "tests/ktap.h"
#include "tests/test_memory.h"
#include "tests/test_os.h"

#include <string.h>

#define BASE UINT64_C(0x40000000)

struct bench {
	struct test_os test;
	struct model_config config;
	struct model_platform *model;
	struct iommu core;
	bool up;
};

/** Everything up to iommu_enable(): 0 or what stopped it; then all is given back. */
static inline int bench_start(struct bench *bench, const struct model_platform_options *options)
{
	int error = model_platform_init(bench->model, &bench->test.os, NULL, options);
	if (error)
		return error;
	error = iommu_init(&bench->core, &bench->model->os, NULL);
	if (!error) {
		error = model_platform_attach(bench->model, &bench->core);
		if (!error)
			error = iommu_enable(&bench->core);
		if (error)
			iommu_exit(&bench->core);
	}
	if (error)
		model_platform_exit(bench->model);
	bench->up = !error;
	return error;
}

static inline void bench_init(struct bench *bench, const char *preset)
{
	const struct model_config *config = model_preset_find(preset);

	*bench = (struct bench){0};
	test_os_init(&bench->test);
	bench->model = test_calloc(1, sizeof(*bench->model));
	if (config)
		bench->config = *config;
	else
		KTAP_FAIL("no such preset");
	if (bench->config.haw < 47) /* the addresses that libc hands out */
		bench->config.haw = 47;
}

static inline void bench_up(struct bench *bench, const char *preset)
{
	bench_init(bench, preset);
	const struct model_platform_options options = {.config = &bench->config, .own_time = true};
	KTAP_EQUAL(bench_start(bench, &options), 0);
}

static inline uint64_t bench_reports(struct bench *bench)
{
	return bench->model->scn.reports(bench->model, UINT32_MAX);
}

static inline void bench_down(struct bench *bench)
{
	if (bench->up) {
		iommu_disable(&bench->core);
		iommu_exit(&bench->core);
		model_platform_exit(bench->model);
	}
	KTAP_CHECK(test_os_is_clean(&bench->test));
	free(bench->model);
}

static inline pa_t page_new(struct bench *bench)
{
	pa_t page = {0};
	KTAP_EQUAL(bench->model->os.page_alloc(bench->model->os.ctx, 0, &page), 0);
	return page;
}

static inline void page_delete(struct bench *bench, pa_t page)
{
	bench->model->os.page_free(bench->model->os.ctx, page, 0);
}

/** A domain for device @p number, attached. */
static inline struct iommu_domain *domain_new(struct bench *bench, unsigned number)
{
	struct iommu_device *device = bench->model->engines[number].pci.iommu;
	struct iommu_domain *domain = NULL;

	KTAP_EQUAL(iommu_domain_alloc_user(device, 0, NULL, NULL, &domain), 0);
	KTAP_EQUAL(iommu_attach(device->group, domain), 0);
	return domain;
}

static inline void domain_delete(struct bench *bench, unsigned number, struct iommu_domain *domain)
{
	iommu_detach(bench->model->engines[number].pci.iommu->group);
	KTAP_EQUAL(iommu_domain_free(domain), 0);
}

static inline void page_map(struct iommu_domain *domain, uint64_t at, pa_t page)
{
	const struct iommu_extent extent = {page, PAGE_SIZE_4K};
	struct iommu_gather gather;

	iommu_gather_init(&gather, domain);
	KTAP_EQUAL(iommu_map(domain, iova(at), &extent, 1, IOMMU_READ | IOMMU_WRITE, &gather), 0);
	KTAP_EQUAL(iommu_flush(&gather), 0);
}

static inline void page_unmap(struct iommu_domain *domain, uint64_t at)
{
	struct iommu_gather gather;

	iommu_gather_init(&gather, domain);
	KTAP_EQUAL(iommu_unmap(domain, iova(at), PAGE_SIZE_4K, &gather), PAGE_SIZE_4K);
	KTAP_EQUAL(iommu_flush(&gather), 0);
}

static inline int fetch(struct bench *bench, unsigned number, uint64_t at, uint32_t bytes)
{
	struct dma_engine *engine = &bench->model->engines[number].engine;
	return engine->ops->fetch(engine, iova(at), bytes);
}

static inline int store(struct bench *bench, unsigned number, uint64_t at, uint32_t bytes)
{
	struct dma_engine *engine = &bench->model->engines[number].engine;
	return engine->ops->store(engine, iova(at), bytes);
}

#endif
