/* SPDX-License-Identifier: MIT */
/*
 * What devices behind the mock IOMMU do, at a test's command: DMA and page requests; and
 * what a test may see of the unit.
 */
#include "ufd/mock_private.h"

int ufd_mock_translate_pasid(struct iommu_device *device, uint32_t pasid, iova_t at,
                             uint32_t access, pa_t *out)
{
	static const struct {
		const char *mnemonic, *text;
	} reasons[] = {
		[MOCK_REASON_WIDTH] = {"MOCK.1", "address above the table's width"},
		[MOCK_REASON_ABSENT] = {"MOCK.2", "entry not valid"},
		[MOCK_REASON_NO_READ] = {"MOCK.4", "no read permission"},
		[MOCK_REASON_NO_WRITE] = {"MOCK.5", "no write permission"},
		[MOCK_REASON_BLOCKED] = {"MOCK.6", "the device has no domain"},
	};
	struct mock_unit *unit = mock_unit(device->unit);
	const struct mock_device *known = device->driver_data;

	mock_lock(unit);
	uint16_t reason = ufd_mock_domain_translate(unit, ufd_mock_device_domain(known, pasid), at,
	                                            access, out);
	mock_unlock(unit);
	if (!reason)
		return 0;
	struct iommu_fault fault = {
		.unit = &unit->unit,
		.rid = device->desc.rid,
		.has_pasid = pasid != IOMMU_NO_PASID,
		.pasid = pasid,
		.address = iova(at.value & ~(PAGE_SIZE_4K - 1)),
		.access = access,
		.reason = reason,
		.mnemonic = reasons[reason].mnemonic,
		.text = reasons[reason].text,
	};
	iommu_report_fault(device->iommu, &fault);
	return -EFAULT;
}

int ufd_mock_translate(struct iommu_device *device, iova_t at, uint32_t access, pa_t *out)
{
	return ufd_mock_translate_pasid(device, IOMMU_NO_PASID, at, access, out);
}

void ufd_mock_page_request(struct iommu_device *device, const struct iommu_page_request *request)
{
	struct iommu_page_request sent = *request;

	sent.device = device;
	iommu_report_page_request(device->iommu, &sent);
}

void ufd_mock_answer(struct iommu_device *device, struct ufd_mock_answer *out)
{
	const struct mock_device *known = device->driver_data;

	mock_lock(mock_unit(device->unit));
	*out = known->answer;
	mock_unlock(mock_unit(device->unit));
}

uint32_t ufd_mock_device_cache(struct iommu_device *device, unsigned id)
{
	const struct mock_device *known = device->driver_data;

	mock_lock(mock_unit(device->unit));
	uint32_t word = known->cache[id];
	mock_unlock(mock_unit(device->unit));
	return word;
}

bool ufd_mock_set_dirty(struct iommu_domain *domain, iova_t at)
{
	mock_lock(mock_unit(domain->unit));
	bool mapped = ufd_mock_domain_set_dirty(mock_domain(domain), at);
	mock_unlock(mock_unit(domain->unit));
	return mapped;
}

bool ufd_mock_is_tracking(struct iommu_domain *domain)
{
	mock_lock(mock_unit(domain->unit));
	bool tracking = mock_domain(domain)->tracking;
	mock_unlock(mock_unit(domain->unit));
	return tracking;
}

uint32_t ufd_mock_iotlb(struct iommu_domain *domain, unsigned id)
{
	mock_lock(mock_unit(domain->unit));
	uint32_t word = mock_domain(domain)->iotlb[id];
	mock_unlock(mock_unit(domain->unit));
	return word;
}

/* ---- for tests --------------------------------------------------------------------------------- */

void ufd_mock_stats(struct iommu_unit *unit, struct ufd_mock_stats *out)
{
	mock_lock(mock_unit(unit));
	*out = mock_unit(unit)->stats;
	mock_unlock(mock_unit(unit));
}

void ufd_mock_break(struct iommu_unit *unit, bool broken)
{
	mock_lock(mock_unit(unit));
	mock_unit(unit)->broken = broken;
	mock_unlock(mock_unit(unit));
}
