/* SPDX-License-Identifier: MIT */
/* The primary fault log: see fault.h. */
#include "vtd/fault.h"

static const struct vtd_reason reasons[] = {
	/* legacy mode */
	{0x01, "LRT.2", "root entry not present"},
	{0x02, "LCT.2", "context entry not present"},
	{0x03, "LCT.4", "context entry invalid: address width, type or table pointer"},
	{0x04, "LGN.1", "address above the address width"},
	{0x05, "LGN.2", "no write permission"},
	{0x06, "LGN.3", "no read permission"},
	{0x07, "LSS.1", "second-stage table could not be read"},
	{0x08, "LRT.1", "root entry could not be read"},
	{0x09, "LCT.1", "context entry could not be read"},
	{0x0a, "LRT.3", "reserved bit set in root entry"},
	{0x0b, "LCT.3", "reserved bit set in context entry"},
	{0x0c, "LSS.2", "reserved bit set in second-stage entry"},
	{0x0d, "LCT.5", "translation type blocks translated and translation requests"},
	{0x0e, "LGN.4", "result lies in the interrupt window"},
	/* interrupt requests */
	{0x20, "IR", "reserved bit set in interrupt request"},
	{0x21, "IR", "interrupt index beyond the remapping table"},
	{0x22, "IR", "interrupt remapping entry not present"},
	{0x23, "IR", "interrupt remapping entry could not be read"},
	{0x24, "IR", "reserved bit set in interrupt remapping entry"},
	{0x25, "IR", "compatibility-format interrupt blocked"},
	{0x26, "IR", "source id of interrupt does not match"},
	{0x27, "IR", "posted-interrupt descriptor could not be accessed"},
	{0x28, "IR", "reserved bit set in posted-interrupt descriptor"},
	{0x29, "IR", "request to the interrupt window is no valid interrupt"},
	{0x2a, "IR", "x2APIC mode is required (EIMER) and not enabled"},
	{0x2b, "IR", "interrupt remapping is required (IRREQ) and not enabled"},
	/* root table address register */
	{0x30, "RTA.1", "translation table mode invalid"},
	{0x31, "RTA.2", "request with PASID in legacy mode"},
	{0x32, "RTA.3", "page request in legacy mode"},
	{0x33, "RTA.4", "abort-DMA mode"},
	{0x34, "RTA.5", "execute permission requested"},
	/* scalable mode: root, context */
	{0x38, "SRT.1", "scalable-mode root entry could not be read"},
	{0x39, "SRT.2", "scalable-mode root entry not present"},
	{0x3a, "SRT.3", "reserved bit set in scalable-mode root entry"},
	{0x40, "SCT.1", "scalable-mode context entry could not be read"},
	{0x41, "SCT.2", "scalable-mode context entry not present"},
	{0x42, "SCT.3", "reserved bit set in scalable-mode context entry"},
	{0x43, "SCT.4", "scalable-mode context entry invalid"},
	{0x44, "SCT.5", "device TLB not enabled (DTE)"},
	{0x45, "SCT.6", "requests with PASID not enabled (PASIDE)"},
	{0x46, "SCT.7", "PASID beyond the directory (PDTS)"},
	{0x47, "SCT.8", "page requests not enabled (PRE)"},
	{0x48, "SCT.9", "PASID equals RID_PASID"},
	{0x49, "SCT.10", "translated request with PASID not enabled (EPTR)"},
	/* PASID directory and table */
	{0x50, "SPD.1", "PASID directory entry could not be read"},
	{0x51, "SPD.2", "PASID directory entry not present"},
	{0x52, "SPD.3", "reserved bit set in PASID directory entry"},
	{0x58, "SPT.1", "PASID entry could not be read"},
	{0x59, "SPT.2", "PASID entry not present"},
	{0x5a, "SPT.3", "reserved bit set in PASID entry"},
	{0x5b, "SPT.4", "PASID entry invalid: width, type or table pointer"},
	{0x5c, "SPT.5", "execute requested, not enabled (ERE)"},
	{0x5d, "SPT.6", "supervisor request, not enabled (SRE)"},
	{0x60, "SPT.9", "translated address beyond the host permission table"},
	/* first stage */
	{0x70, "SFS.1", "first-stage table could not be read"},
	{0x71, "SFS.2", "first-stage entry not present"},
	{0x72, "SFS.3", "reserved bit set in first-stage entry"},
	{0x73, "SFS.4", "top first-stage table could not be read"},
	{0x74, "SFS.5", "first-stage entry points beyond the second stage's width"},
	{0x75, "SFS.6", "second stage does not let the top first-stage table be read"},
	{0x76, "SFS.7", "second stage does not let a first-stage table be read"},
	{0x77, "SFS.8", "second stage does not let first-stage flags be written"},
	/* second stage in scalable mode */
	{0x78, "SSS.1", "second-stage table could not be read"},
	{0x79, "SSS.2", "second stage grants neither read nor write"},
	{0x7a, "SSS.3", "reserved bit set in second-stage entry"},
	{0x7b, "SSS.4", "top second-stage table could not be read"},
	{0x7c, "SSS.5", "second-stage flags needed, tables are not snooped"},
	{0x7d, "SSS.6", "second-stage flags could not be written"},
	/* general, scalable mode */
	{0x80, "SGN.1", "address is not canonical"},
	{0x81, "SGN.2", "user request to a supervisor page"},
	{0x82, "SGN.3", "no execute permission (before revision 5)"},
	{0x83, "SGN.4", "address above the host address width"},
	{0x84, "SGN.5", "address above the second stage's width"},
	{0x85, "SGN.6", "no write permission"},
	{0x86, "SGN.7", "no read permission"},
	{0x87, "SGN.8", "result lies in the interrupt window"},
	{0x89, "SGN.10", "PASID wider than the unit supports (PSS)"},
	{0x90, "SFS.9", "first-stage flags needed, tables are not snooped"},
	{0x91, "SFS.10", "first-stage flags could not be written"},
	/* host permission table */
	{0xa0, "HPT.1", "host permission table could not be read"},
	{0xa1, "HPT.2", "reserved bit set in host permission table"},
	{0xa2, "HPT.3", "top host permission table could not be read"},
	{0xa3, "HPT.4", "zero-length read: host permission walk ended"},
	{0xa4, "HPT.5", "no write permission in host permission table"},
	{0xa5, "HPT.6", "no read permission in host permission table"},
};

const struct vtd_reason *vtd_reason(unsigned code)
{
	static const struct vtd_reason unknown = {0, "unknown",
	                                          "reason is not in the specification"};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].code == code)
			return &reasons[i];
	return &unknown;
}

/* ---- draining ------------------------------------------------------------------- */

/** What the two type bits say of the request. */
static uint32_t request_access(uint32_t sid, uint32_t top)
{
	bool t1 = top & VTD_FRCD_T1, t2 = sid & VTD_FRCD_T2;
	uint32_t access;

	if (t1 && t2)
		access = IOMMU_READ | IOMMU_WRITE | IOMMU_ATOMIC;
	else if (t1)
		access = IOMMU_READ;
	else
		access = IOMMU_WRITE; /* with T2: a page request, which asks for either */
	if (t2 && !t1)
		access |= IOMMU_READ;
	if (sid & VTD_FRCD_EXE)
		access |= IOMMU_EXEC;
	if (sid & VTD_FRCD_PRIV)
		access |= IOMMU_PRIV;
	return access;
}

/** Take one record if it is filled. */
static bool drain_record(struct vtd_unit *unit, unsigned index, bool report)
{
	uint32_t at = unit->caps.fault_offset + index * VTD_FRCD_BYTES;
	uint32_t top = vtd_read(&unit->window, VTD_AT(VTD_REG_FRCD_F, at));

	if (!(top & VTD_FRCD_F))
		return false;
	uint32_t sid = vtd_read(&unit->window, VTD_AT(VTD_REG_FRCD_SID, at));
	uint64_t info = vtd_read(&unit->window, VTD_AT(VTD_REG_FRCD_FI, at));
	vtd_clear(&unit->window, VTD_AT(VTD_REG_FRCD_F, at), VTD_FRCD_F);
	if (!report)
		return true;

	unsigned code = (unsigned)field_get(VTD_FRCD_FR, top);
	const struct vtd_reason *reason = vtd_reason(code);
	bool interrupt = vtd_reason_is_interrupt(code);
	struct iommu_fault fault = {
		.unit = &unit->base,
		.rid = (iommu_rid_t)field_get(VTD_FRCD_SID, sid),
		.has_pasid = sid & VTD_FRCD_PP,
		.pasid = sid & VTD_FRCD_PP ? (uint32_t)field_get(VTD_FRCD_PV, top) : 0,
		/* interrupt requests keep their index in FI 63:48 */
		.address = iova(interrupt ? info >> 48 : info & VTD_FRCD_FI),
		.access = interrupt ? IOMMU_WRITE : request_access(sid, top),
		.reason = (uint16_t)code,
		.mnemonic = reason->mnemonic,
		.text = reason->text,
		.interrupt = interrupt,
	};
	iommu_report_fault(unit->base.iommu, &fault);
	unit->stats.faults++;
	return true;
}

/** Drain the log in the order in which it was filled. The records form a ring that starts
 *  at FSTS.FRI. Overflow (PFO) is cleared last: while it is set, nothing is logged. */
static unsigned drain(struct vtd_unit *unit, bool report)
{
	unsigned records = unit->caps.fault_records, count = 0;
	/* A device can fault as fast as the log is drained: four rounds, then others' turn. */
	unsigned most = 4 * records;
	uint32_t status;

	for (;;) {
		status = vtd_read(&unit->window, VTD_REG_FSTS);
		if (status == UINT32_MAX || !(status & VTD_FSTS_PPF) || count >= most)
			break;
		unsigned index = (unsigned)field_get(VTD_FSTS_FRI, status) % records, taken = 0;
		while (taken < records && drain_record(unit, index, report)) {
			index = (index + 1) % records;
			taken++;
		}
		count += taken;
		if (!taken) /* PPF without a record at FRI: look at all of them */
			for (index = 0; index < records; index++)
				taken += drain_record(unit, index, report);
		if (!taken)
			break;
	}
	if (status != UINT32_MAX && status & VTD_FSTS_PFO) {
		for (unsigned index = 0; index < records; index++)
			count += drain_record(unit, index, report);
		vtd_clear(&unit->window, VTD_REG_FSTS, VTD_FSTS_PFO);
		unit->stats.faults_lost++;
		if (report)
			vtd_log(unit, IOMMU_LOG_WARNING,
			        "the fault log was full (FSTS.PFO): faults were lost");
	}
	return count;
}

/** An invalidation completion error does not stop the queue, so nobody may be waiting
 *  when it shows; left alone it would keep later fault events from being sent. IQE and ITE
 *  stop the queue and are its waiter's. */
static void report_completion_error(struct vtd_unit *unit)
{
	uint32_t status = vtd_read(&unit->window, VTD_REG_FSTS);

	if (status == UINT32_MAX || !(status & VTD_FSTS_ICE))
		return;
	vtd_clear(&unit->window, VTD_REG_FSTS, VTD_FSTS_ICE);
	vtd_log(unit, IOMMU_LOG_ERROR, "FSTS.ICE: a device answered an invalidation wrongly");
}

unsigned vtd_fault_poll(struct iommu_unit *base)
{
	struct vtd_unit *unit = vtd_unit_of(base);
	unsigned count;

	unit->os->lock(unit->os->ctx, &unit->fault_lock);
	count = drain(unit, true);
	if (unit->caps.dt)
		report_completion_error(unit);
	unit->os->unlock(unit->os->ctx, &unit->fault_lock);
	return count;
}

void vtd_fault_discard(struct vtd_unit *unit)
{
	unit->os->lock(unit->os->ctx, &unit->fault_lock);
	unsigned count = drain(unit, false);
	unit->os->unlock(unit->os->ctx, &unit->fault_lock);
	if (count)
		vtd_log(unit, IOMMU_LOG_INFO, "%u fault%s from before were discarded", count,
		        count == 1 ? "" : "s");
}

/* ---- the event ------------------------------------------------------------------ */

static void on_message(void *arg)
{
	vtd_fault_poll(arg);
}

void vtd_fault_event_start(struct vtd_unit *unit)
{
	vtd_update(&unit->window, VTD_REG_FECTL, VTD_EVENT_IM, VTD_EVENT_IM);
	if (!unit->os->msi_alloc)
		return;
	if (!unit->has_msi &&
	    unit->os->msi_alloc(unit->os->ctx, on_message, &unit->base, &unit->msi)) {
		vtd_log(unit, IOMMU_LOG_WARNING,
		        "no interrupt is left for the fault event: the log is polled");
		return;
	}
	unit->has_msi = true;
	vtd_write(&unit->window, VTD_REG_FEDATA, unit->msi.data);
	vtd_write(&unit->window, VTD_REG_FEADDR, (uint32_t)unit->msi.address);
	vtd_write(&unit->window, VTD_REG_FEUADDR, (uint32_t)(unit->msi.address >> 32));
	vtd_update(&unit->window, VTD_REG_FECTL, VTD_EVENT_IM, 0);
}

void vtd_fault_event_stop(struct vtd_unit *unit)
{
	vtd_update(&unit->window, VTD_REG_FECTL, VTD_EVENT_IM, VTD_EVENT_IM);
	if (unit->has_msi && unit->os->msi_free)
		unit->os->msi_free(unit->os->ctx, &unit->msi);
	unit->has_msi = false;
}
