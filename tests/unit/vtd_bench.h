/* SPDX-License-Identifier: MIT */
/*
 * One fake unit with one device, enabled, and short words for what the driver's tests do
 * with it. One test program includes this once.
 */
#ifndef TESTS_UNIT_VTD_BENCH_H
#define TESTS_UNIT_VTD_BENCH_H

#include "tests/unit/vtd_fake.h"

static struct fake fake;
static struct iommu_device *device;

static inline void start(uint64_t cap, uint64_t ecap, const struct fake_rmrr *rmrrs, unsigned count)
{
	fake_init(&fake, cap, ecap);
	KTAP_EQUAL(fake_probe(&fake, rmrrs, count), 1);
	KTAP_EQUAL(fake_device(&fake, 3, 0x020000, &device), 0);
	KTAP_EQUAL(iommu_enable(&fake.iommu), 0);
	fake_forget_events(&fake);
}

static inline struct iommu_domain *make(uint32_t flags)
{
	struct iommu_domain *domain = NULL;

	KTAP_EQUAL(iommu_domain_alloc_user(device, flags, NULL, NULL, &domain), 0);
	return domain;
}

static inline const uint64_t *table(uint64_t word)
{
	return iommu_os_va(&fake.test.os, pa(word & ~UINT64_C(0xfff)));
}

/** The context entry of @p rid as hardware finds it from the latched root; NULL: no table. */
static inline const uint64_t *context(iommu_rid_t rid)
{
	const uint64_t *root = table(fake.latched_root);
	bool scalable = fake.latched_root >> 10 & 1;
	uint64_t word = root[2 * RID_BUS(rid) + (scalable && rid & 0x80)];

	if (!(word & 1))
		return NULL;
	return scalable ? &table(word)[4 * (rid & 0x7f)] : &table(word)[2 * (rid & 0xff)];
}

/** Its PASID entry for requests without PASID. */
static inline const uint64_t *pasid_entry(iommu_rid_t rid)
{
	const uint64_t *entry = context(rid);
	KTAP_CHECK(entry[0] & 1);
	KTAP_EQUAL(entry[1], 0);
	const uint64_t *directory = table(entry[0]);
	KTAP_CHECK(directory[0] & 1);
	return table(directory[0]);
}

static inline int map(struct iommu_domain *domain, uint64_t at, uint64_t to, uint64_t bytes,
                      uint32_t rights)
{
	struct iommu_extent extent = {pa(to), bytes};
	struct iommu_gather gather;

	iommu_gather_init(&gather, domain);
	int err = iommu_map(domain, iova(at), &extent, 1, rights, &gather);
	KTAP_EQUAL(iommu_flush(&gather), 0);
	return err;
}

static inline int unmap(struct iommu_domain *domain, uint64_t at, uint64_t bytes)
{
	struct iommu_gather gather;

	iommu_gather_init(&gather, domain);
	KTAP_EQUAL(iommu_unmap(domain, iova(at), bytes, &gather), bytes);
	return iommu_flush(&gather);
}

#endif
