/* SPDX-License-Identifier: MIT */
/*
 * IOAS_NOIOMMU_GET_PA: where the memory behind an IOVA is, for drivers of devices that no
 * IOMMU translates for. The memory is pinned for as long as the IOAS has a HWPT, or an
 * access pins it; without either its place may change, so the call refuses.
 */
#include "ufd/private.h"

/** How far memory goes on in one piece from @p at on, at most *bytes: in *bytes, and where
 *  it begins in *out. The lock of @p ioas is held. */
static int find_piece(struct ufd_ioas *ioas, uint64_t at, uint64_t *bytes, uint64_t *out)
{
	struct iommu_extent piece;
	size_t count = 0;
	uint64_t done = 0;

	while (done < *bytes) {
		const struct ufd_area *area =
			(struct ufd_area *)iova_space_find(&ioas->areas, at + done);
		if (!area || !ufd_pages_pinned(ufd_area_pages(area)))
			break;
		uint64_t offset = at + done - area->node.first;
		uint64_t now = area->node.last - (at + done);
		now = now < *bytes - done ? now + 1 : *bytes - done;
		/* it stops where the second piece begins */
		if (ufd_pages_extents(ufd_area_pages(area), area->start + offset, now, &piece, 1,
		                      &count))
			break;
		done += now;
		if (at + done < at || !(at + done))
			break;
	}
	if (!count)
		return -ENOENT;
	*bytes = piece.bytes;
	*out = piece.start.value;
	return 0;
}

int ufd_call_ioas_noiommu_get_pa(struct ufd_call *call)
{
	struct iommu_ioas_noiommu_get_pa *arguments = call->arguments;
	uint64_t bytes = arguments->length, at = arguments->iova;
	struct ufd_ioas *ioas = NULL;

	if (arguments->flags || arguments->__reserved)
		return -EOPNOTSUPP;
	if (!bytes)
		return ufd_refuse(call->ufd, -EINVAL, "IOAS_NOIOMMU_GET_PA: length 0");
	if (at + (bytes - 1) < at)
		return -EOVERFLOW;
	int error = ufd_object_hold(call->context, arguments->ioas_id, UFD_IOAS, &ioas);
	if (error)
		return error;
	ufd_ioas_lock(ioas);
	error = find_piece(ioas, at, &bytes, &arguments->out_phys);
	ufd_ioas_unlock(ioas);
	ufd_object_release(&ioas->object);
	arguments->length = bytes;
	if (error)
		return ufd_refuse(call->ufd, error,
		                  "IOAS_NOIOMMU_GET_PA: %#llx is not mapped, or nothing pins it",
		                  (unsigned long long)at);
	return ufd_respond(call);
}
