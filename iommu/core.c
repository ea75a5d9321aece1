/* SPDX-License-Identifier: MIT */
/*
 * The core itself: set-up, units, taking the hardware over and handing it back. See
 * iommu/iommu.h.
 */
#include "iommu/private.h"

const struct iommu_os *iommu_os(const struct iommu *iommu)
{
	return iommu->os;
}

const struct iommu_options *iommu_options(const struct iommu *iommu)
{
	return &iommu->options;
}

int iommu_init(struct iommu *iommu, const struct iommu_os *os, const struct iommu_options *options)
{
	*iommu = (struct iommu){.os = os};
	if (options)
		iommu->options = *options;
	int error = os->lock_init(os->ctx, &iommu->lock, "iommu");
	if (error)
		return error;
	error = os->lock_init(os->ctx, &iommu->fault_lock, "iommu faults");
	if (error)
		os->lock_destroy(os->ctx, &iommu->lock);
	return error;
}

void iommu_exit(struct iommu *iommu)
{
	const struct iommu_os *os = iommu->os;

	iommu_disable(iommu);
	iommu_lock(iommu);
	while (iommu->devices)
		iommu_device_drop(iommu->devices);
	while (iommu->units) {
		struct iommu_unit *unit = iommu->units;
		iommu->units = unit->next;
		unit->ops->remove(unit);
	}
	iommu_unlock(iommu);
	os->lock_destroy(os->ctx, &iommu->fault_lock);
	os->lock_destroy(os->ctx, &iommu->lock);
}

int iommu_probe(struct iommu *iommu, const struct iommu_driver *driver,
                const struct iommu_firmware *firmware)
{
	return driver->probe(iommu, firmware);
}

void iommu_unit_add(struct iommu *iommu, struct iommu_unit *unit)
{
	struct iommu_unit **end = &iommu->units;

	iommu_lock(iommu);
	while (*end)
		end = &(*end)->next;
	unit->iommu = iommu;
	unit->enabled = false;
	unit->next = NULL;
	*end = unit;
	iommu_unlock(iommu);
}

/** The enabled unit furthest down the list, up to @p end, which is not included. */
static struct iommu_unit *last_enabled(struct iommu *iommu, const struct iommu_unit *end)
{
	struct iommu_unit *found = NULL;

	for (struct iommu_unit *unit = iommu->units; unit != end; unit = unit->next)
		if (unit->enabled)
			found = unit;
	return found;
}

int iommu_enable(struct iommu *iommu)
{
	struct iommu_unit *first = NULL; /* that this call enabled */
	int error = 0;

	iommu_lock(iommu);
	for (struct iommu_unit *unit = iommu->units; unit; unit = unit->next) {
		if (unit->enabled)
			continue;
		error = unit->ops->enable(unit);
		if (error) {
			const char *name = iommu_errno_name(error);
			iommu_log(iommu->os, IOMMU_LOG_ERROR, "%s: not enabled: %s", unit->name,
			          name ? name : "unknown error");
			break;
		}
		unit->enabled = true;
		if (!first)
			first = unit;
	}
	if (error) { /* in reverse order, and none that was enabled before */
		bool ours = false;
		for (struct iommu_unit *unit = iommu->units; unit; unit = unit->next)
			ours |= unit == first;
		while (ours) {
			struct iommu_unit *unit = last_enabled(iommu, NULL);
			unit->ops->disable(unit);
			unit->enabled = false;
			ours = unit != first;
		}
	} else {
		iommu->enabled = true;
	}
	iommu_unlock(iommu);
	return error;
}

void iommu_disable(struct iommu *iommu)
{
	struct iommu_unit *unit;

	iommu_lock(iommu);
	while ((unit = last_enabled(iommu, NULL)) != NULL) {
		unit->ops->disable(unit);
		unit->enabled = false;
	}
	iommu->enabled = false;
	iommu_unlock(iommu);
}
