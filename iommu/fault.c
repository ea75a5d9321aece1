/* SPDX-License-Identifier: MIT */
/*
 * Faults: counted per device, kept in a ring, shown with the table walk that explains
 * them. See iommu/iommu.h.
 *
 * A driver reports from an interrupt: only fault_lock is taken, and the embedder's
 * on_fault runs after it was let go, so that it may look faults and devices up.
 */
#include "iommu/private.h"

void iommu_report_fault(struct iommu *iommu, struct iommu_fault *fault)
{
	iommu_fault_lock(iommu);
	fault->device = fault->unit
	                        ? iommu_device_find_locked(iommu, fault->unit->segment, fault->rid)
	                        : NULL;
	fault->sequence = ++iommu->fault_count;
	iommu->faults[(fault->sequence - 1) % IOMMU_FAULT_LOG] = *fault;
	if (fault->device)
		fault->device->faults++;
	iommu_fault_unlock(iommu);
	if (iommu->options.on_fault)
		iommu->options.on_fault(iommu->options.ctx, fault);
}

void iommu_fault_forget(struct iommu *iommu, const struct iommu_device *device)
{
	for (unsigned i = 0; i < IOMMU_FAULT_LOG; i++)
		if (iommu->faults[i].device == device)
			iommu->faults[i].device = NULL;
}

unsigned iommu_poll(struct iommu *iommu)
{
	unsigned faults = 0;

	for (struct iommu_unit *unit = iommu->units; unit; unit = unit->next)
		if (unit->enabled && unit->ops->poll)
			faults += unit->ops->poll(unit);
	return faults;
}

bool iommu_fault_get(struct iommu *iommu, uint64_t sequence, struct iommu_fault *out)
{
	bool found = false;

	iommu_fault_lock(iommu);
	if (sequence && sequence <= iommu->fault_count &&
	    iommu->fault_count - sequence < IOMMU_FAULT_LOG) {
		*out = iommu->faults[(sequence - 1) % IOMMU_FAULT_LOG];
		found = true;
	}
	iommu_fault_unlock(iommu);
	return found;
}

static const char *access_text(uint32_t access)
{
	if (access & IOMMU_ATOMIC)
		return "atomic";
	if (access & IOMMU_EXEC)
		return "execute";
	switch (access & (IOMMU_READ | IOMMU_WRITE)) {
	case IOMMU_READ:
		return "read";
	case IOMMU_WRITE:
		return "write";
	case IOMMU_READ | IOMMU_WRITE:
		return "read and write";
	default:
		return "access";
	}
}

static void print_walk(const struct iommu_fault *fault, struct iommu_print *to)
{
	struct iommu_unit *unit = fault->unit;
	const struct iommu_os *os = unit->iommu->os;
	/* too large for a stack that may be an interrupt's */
	struct iommu_walk *walk = os->alloc(os->ctx, sizeof(*walk));

	if (!walk) {
		iommu_printf(to, "  no memory to walk the tables\n");
		return;
	}
	unit->ops->walk(unit, fault->rid, fault->has_pasid ? fault->pasid : IOMMU_NO_PASID,
	                fault->address, fault->access, walk);
	iommu_walk_print(walk, to, "  ");
	os->free(os->ctx, walk, sizeof(*walk));
}

void iommu_fault_print(const struct iommu_fault *fault, struct iommu_print *to)
{
	iommu_printf(to, "fault %llu: ", (unsigned long long)fault->sequence);
	if (fault->unit)
		iommu_printf(to, "%s: ", fault->unit->name);
	if (fault->device && fault->device->desc.rid == fault->rid) {
		iommu_printf(to, "%s", fault->device->desc.name);
	} else {
		iommu_printf(to, "%04x:%02x:%02x.%x", fault->unit ? fault->unit->segment : 0,
		             RID_BUS(fault->rid), RID_DEVICE(fault->rid), RID_FUNCTION(fault->rid));
		if (fault->device)
			iommu_printf(to, " (for %s)", fault->device->desc.name);
		else
			iommu_printf(to, " (unknown device)");
	}
	if (fault->has_pasid)
		iommu_printf(to, " PASID %#x", fault->pasid);
	if (fault->interrupt)
		iommu_printf(to, " interrupt request, index %#llx",
		             (unsigned long long)fault->address.value);
	else
		iommu_printf(to, " %s%s at %#llx", fault->access & IOMMU_PRIV ? "privileged " : "",
		             access_text(fault->access), (unsigned long long)fault->address.value);
	iommu_printf(to, " blocked: %s (%#x), %s\n", fault->mnemonic ? fault->mnemonic : "reason",
	             fault->reason, fault->text ? fault->text : "no explanation");
	if (!fault->interrupt && fault->unit && fault->unit->ops->walk)
		print_walk(fault, to);
}
