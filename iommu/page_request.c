/* SPDX-License-Identifier: MIT */
/*
 * Page requests: from a unit to who answers them, and back. See iommu/iommu.h.
 *
 * A request goes to the sink of the domain that its PASID has at this moment. Who takes
 * it answers later, once; a request that nobody takes is answered "invalid" here, if it
 * is the last of its group: only then the device waits for an answer.
 */
#include "iommu/private.h"

/** Answer; iommu->lock is held. 0, -EOPNOTSUPP, -ETIMEDOUT, -EIO. */
static int respond(const struct iommu_page_request *request, enum iommu_page_answer answer)
{
	struct iommu_device *device = request->device;

	if (!device->unit || !device->unit->ops->page_respond)
		return -EOPNOTSUPP;
	return device->unit->ops->page_respond(device, request, answer);
}

int iommu_page_respond(const struct iommu_page_request *request, enum iommu_page_answer answer)
{
	struct iommu *iommu = request->device->iommu;

	iommu_lock(iommu);
	int error = respond(request, answer);
	iommu_unlock(iommu);
	return error;
}

/** Hand it to its sink, or answer it; iommu->lock is held. */
static void report(struct iommu *iommu, const struct iommu_page_request *request)
{
	struct iommu_device *device = request->device;
	bool taken = false;

	struct iommu_domain *domain =
		iommu_pasid_domain(device, request->has_pasid ? request->pasid : IOMMU_NO_PASID);
	if (!domain && device->domain && device->domain->stage == IOMMU_STAGE_NESTED &&
	    device->unit->ops->user_pasid_tables)
		domain = device->domain;
	struct iommu_page_sink *sink = domain ? domain->page_sink : NULL;
	if (sink)
		taken = sink->request(sink, domain, request);
	if (!taken && request->last) {
		int error = respond(request, IOMMU_PAGE_INVALID);
		if (error) {
			const char *name = iommu_errno_name(error);
			iommu_log(iommu->os, IOMMU_LOG_ERROR,
			          "%s: page request group %u was not answered: %s",
			          device->desc.name, request->group, name ? name : "unknown error");
		}
	}
}

void iommu_report_page_request(struct iommu *iommu, const struct iommu_page_request *request)
{
	iommu_lock(iommu);
	report(iommu, request);
	iommu_unlock(iommu);
}

bool iommu_report_page_request_from(struct iommu_unit *unit, iommu_rid_t rid,
                                    struct iommu_page_request *request)
{
	struct iommu *iommu = unit->iommu;

	iommu_lock(iommu);
	request->device = iommu_device_find_locked(iommu, unit->segment, rid);
	bool found = request->device && request->device->unit == unit;
	if (found)
		report(iommu, request);
	iommu_unlock(iommu);
	return found;
}
