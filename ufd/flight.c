/* SPDX-License-Identifier: MIT */
/*
 * Maps and unmaps of one IOAS beside each other. The lock of the IOAS is held only while a
 * call looks for its place, enters its areas or takes them out; between that it is a flight:
 * it pins, writes tables and flushes without the lock, for its range alone.
 *
 * Flights do not overlap. Whatever is no map or unmap waits for the end of all flights, and
 * none begins while somebody waits for that. A flight waits for nobody but units, which have
 * deadlines, and page tables are made for it (iommu_map(), IOMMU_BESIDE).
 */
#include "ufd/private.h"

static void pause(struct ufd_ioas *ioas)
{
	const struct ufd *ufd = ioas->object.context->file.ufd;

	ufd_unlock(ufd, &ioas->lock);
	ufd->os->relax(ufd->os->ctx);
	ufd_lock(ufd, &ioas->lock);
}

void ufd_ioas_alone(struct ufd_ioas *ioas)
{
	ioas->alone_wanted++;
	while (ioas->flights)
		pause(ioas);
	ioas->alone_wanted--;
}

static bool is_touched(const struct ufd_ioas *ioas, uint64_t first, uint64_t last)
{
	for (const struct ufd_flight *flight = ioas->flights; flight; flight = flight->next)
		if (flight->first <= last && flight->last >= first)
			return true;
	return false;
}

bool ufd_ioas_clear(struct ufd_ioas *ioas, uint64_t first, uint64_t last)
{
	bool waited = false;

	for (; ioas->alone_wanted || is_touched(ioas, first, last); waited = true)
		pause(ioas);
	return waited;
}

void ufd_ioas_trim(struct ufd_ioas *ioas, uint64_t first, uint64_t last)
{
	for (struct ufd_hwpt *hwpt = ioas->hwpts; hwpt; hwpt = hwpt->next) {
		struct iommu_gather gather;

		iommu_gather_init(&gather, hwpt->domain);
		iommu_trim(hwpt->domain, iova(first), last - first + 1, &gather);
		if (!iommu_gather_idle(&gather) && iommu_flush(&gather))
			continue; /* table pages are lost, and the log says so: no memory is */
	}
}
