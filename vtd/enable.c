/* SPDX-License-Identifier: MIT */
/*
 * Taking a unit over and handing it back. VT-d specification 5.10, sections 6.5.2.12,
 * 6.7 (protected memory), 11.4.4, 11.4.5.
 *
 * Order: firmware's interrupt remapping and queue off; our tables, which block all but
 * firmware's regions, are complete and clean in memory; write buffer; our queue; RTADDR
 * and SRTP; global invalidations; TE; protected memory regions off.
 *
 * A unit that firmware left translating keeps TE on throughout. Between SRTP and the end
 * of the invalidations it may use what it cached of firmware's tables beside ours: a
 * request then passes only where firmware or we let it. TE must fall only if the table
 * layout (TTM) has to change on a unit that cannot change it so (CAP.ESRTPS = 0); then the
 * protected memory regions cover all of memory meanwhile, and a unit without them is
 * refused: it can be used in the mode in which it was found.
 */
#include "vtd/device_tlb.h"
#include "vtd/fault.h"
#include "vtd/page_request.h"
#include "vtd/queue.h"
#include "vtd/submit.h"

/** How a unit was found, and what was changed so far: enough to put it back. */
struct found_state {
	uint32_t gsts;
	uint64_t rtaddr, iqa;
	uint32_t pmen;
	bool shielded; /* the regions below were programmed by us */
	uint32_t plmbase, plmlimit;
	uint64_t phmbase, phmlimit;
	bool irem_off, queue_off, te_off, root_set; /* done */
};

/* ---- protected memory ----------------------------------------------------------------- */

static int protect(struct vtd_unit *unit, bool on)
{
	uint64_t deadline = vtd_deadline(unit);
	uint32_t value;
	bool over = false;

	vtd_update(&unit->window, VTD_REG_PMEN, VTD_PMEN_EPM, on ? VTD_PMEN_EPM : 0);
	for (;;) {
		value = vtd_read(&unit->window, VTD_REG_PMEN);
		if (!(value & VTD_PMEN_PRS) == !on)
			return 0;
		if (over)
			break;
		over = vtd_wait_over(unit, deadline);
	}
	vtd_log(unit, IOMMU_LOG_ERROR, "PMEN.PRS did not become %u within %u ms (PMEN is %#x)", on,
	        VTD_DEADLINE_NS / 1000000, value);
	return -ETIMEDOUT;
}

static int protect_off(struct vtd_unit *unit)
{
	uint32_t value;

	if (!unit->caps.plmr && !unit->caps.phmr)
		return 0;
	value = vtd_read(&unit->window, VTD_REG_PMEN);
	return value & (VTD_PMEN_EPM | VTD_PMEN_PRS) ? protect(unit, false) : 0;
}

/** Shield all memory from DMA by the protected regions. Limits are written as ones; what
 *  the hardware keeps of them is its granularity, and low limit bits count as ones. */
static int shield(struct vtd_unit *unit, struct found_state *found)
{
	int err = protect_off(unit);
	if (err)
		return err;
	found->shielded = true;
	found->plmbase = vtd_read(&unit->window, VTD_REG_PLMBASE);
	found->plmlimit = vtd_read(&unit->window, VTD_REG_PLMLIMIT);
	found->phmbase = vtd_read(&unit->window, VTD_REG_PHMBASE);
	found->phmlimit = vtd_read(&unit->window, VTD_REG_PHMLIMIT);
	vtd_write(&unit->window, VTD_REG_PLMBASE, 0);
	vtd_write(&unit->window, VTD_REG_PLMLIMIT, UINT32_MAX);
	vtd_write(&unit->window, VTD_REG_PHMBASE, UINT64_C(1) << 32);
	vtd_write(&unit->window, VTD_REG_PHMLIMIT, (UINT64_C(1) << unit->host_bits) - 1);
	return protect(unit, true);
}

static void shield_off(struct vtd_unit *unit, struct found_state *found)
{
	if (protect_off(unit))
		return;
	vtd_write(&unit->window, VTD_REG_PLMBASE, found->plmbase);
	vtd_write(&unit->window, VTD_REG_PLMLIMIT, found->plmlimit);
	vtd_write(&unit->window, VTD_REG_PHMBASE, found->phmbase);
	vtd_write(&unit->window, VTD_REG_PHMLIMIT, found->phmlimit);
	found->shielded = false;
}

/* ---- taking over ------------------------------------------------------------------------ */

bool vtd_mode_change_needs_te_off(const struct vtd_unit *unit, uint32_t gsts, uint64_t rtaddr,
                                  bool scalable)
{
	uint64_t wanted = scalable ? VTD_TTM_SCALABLE : VTD_TTM_LEGACY;

	return gsts & VTD_GSTS_TES && !unit->caps.esrtps &&
	       field_get(VTD_RTADDR_TTM, rtaddr) != wanted;
}

static const char *ttm_name(uint64_t rtaddr)
{
	static const char *const names[] = {"legacy", "scalable", "reserved", "abort-DMA"};
	return names[field_get(VTD_RTADDR_TTM, rtaddr)];
}

/** Everything up to and including SRTP; unit->lock is held. */
static int take_over(struct vtd_unit *unit, struct found_state *found)
{
	uint64_t rtaddr =
		unit->root.value |
		field_put(VTD_RTADDR_TTM, unit->scalable ? VTD_TTM_SCALABLE : VTD_TTM_LEGACY);
	int err;

	if (found->gsts & VTD_GSTS_IRES) {
		err = vtd_command_toggle(unit, VTD_GCMD_IRE, false);
		if (err)
			return err;
		found->irem_off = true;
	}
	if (found->gsts & VTD_GSTS_QIES) {
		err = vtd_queue_stop_found(unit);
		if (err)
			return err;
		found->queue_off = true;
	}
	if (vtd_mode_change_needs_te_off(unit, found->gsts, found->rtaddr, unit->scalable)) {
		vtd_log(unit, IOMMU_LOG_INFO,
		        "firmware's %s mode cannot be changed with TE on: memory is shielded by "
		        "the protected regions meanwhile",
		        ttm_name(found->rtaddr));
		err = shield(unit, found);
		if (!err)
			err = vtd_command_toggle(unit, VTD_GCMD_TE, false);
		if (err)
			return err;
		found->te_off = true;
	}
	arch_barrier();
	err = vtd_command_write_buffer(unit);
	if (!err && unit->caps.qi)
		err = vtd_queue_start(unit);
	if (err)
		return err;
	vtd_write(&unit->window, VTD_REG_RTADDR, rtaddr);
	found->root_set = true;
	unit->live = true; /* from the command on, it may walk our tables */
	return vtd_command_root(unit);
}

/** Remember the first error of several steps that are all taken. */
static void keep_first(int *first, int err)
{
	if (!*first)
		*first = err;
}

/** Put a unit back into the state in which it was found, as far as it still answers.
 *  Firmware's queue was empty when it was stopped, and starts anew at slot 0. */
static void put_back(struct vtd_unit *unit, struct found_state *found)
{
	const struct iommu_os *os = unit->os;
	bool translated = found->gsts & VTD_GSTS_TES;
	struct vtd_request turn;
	int err = 0;

	os->lock(os->ctx, &unit->lock);
	if (!translated && vtd_read(&unit->window, VTD_REG_GSTS) & VTD_GSTS_TES)
		keep_first(&err, vtd_command_toggle(unit, VTD_GCMD_TE, false));
	if (found->root_set) {
		vtd_write(&unit->window, VTD_REG_RTADDR, found->rtaddr);
		/* Without TE nothing is walked; the register alone is as it was. */
		if (translated)
			keep_first(&err, vtd_command_root(unit));
	}
	os->unlock(os->ctx, &unit->lock);
	if (found->root_set && translated)
		keep_first(&err, vtd_flush_all(unit));
	vtd_turn_begin(unit, &turn);
	os->lock(os->ctx, &unit->lock);
	if (unit->live)
		unit->live = err != 0; /* if it did not answer, it may still walk our tables */
	/* Ours may have come on after we stopped waiting for it. */
	bool ours = found->queue_off || !(found->gsts & VTD_GSTS_QIES);
	if (ours && vtd_read(&unit->window, VTD_REG_GSTS) & VTD_GSTS_QIES)
		keep_first(&err, vtd_queue_stop(unit));
	if (found->queue_off) {
		vtd_write(&unit->window, VTD_REG_IQT, 0);
		vtd_write(&unit->window, VTD_REG_IQA, found->iqa);
		keep_first(&err, vtd_command_toggle(unit, VTD_GCMD_QIE, true));
	}
	if (found->te_off)
		keep_first(&err, vtd_command_toggle(unit, VTD_GCMD_TE, true));
	if (found->shielded)
		shield_off(unit, found);
	if (found->pmen & VTD_PMEN_EPM)
		keep_first(&err, protect(unit, true));
	if (found->irem_off)
		keep_first(&err, vtd_command_toggle(unit, VTD_GCMD_IRE, true));
	unit->broken = false; /* the next attempt finds out for itself */
	os->unlock(os->ctx, &unit->lock);
	vtd_turn_end(unit, &turn);
	if (err)
		vtd_log(unit, IOMMU_LOG_ERROR,
		        "could not be put back into the state in which it was found");
}

/** Can the mode be reached from the state found? */
static const char *refusal(const struct vtd_unit *unit, const struct found_state *found)
{
	if (unit->refusal)
		return unit->refusal;
	if (vtd_mode_change_needs_te_off(unit, found->gsts, found->rtaddr, unit->scalable) &&
	    !(unit->caps.plmr && unit->caps.phmr))
		return "firmware left translation on in another mode, which the unit cannot "
		       "change without a moment of unprotected DMA (CAP.ESRTPS, PLMR, PHMR are 0): "
		       "use mode auto";
	return NULL;
}

/** Write the entries of every device that joined: firmware's regions, or what it had when
 *  the unit was disabled. */
static int program_devices(struct vtd_unit *unit)
{
	for (struct vtd_device *device = unit->devices; device; device = device->next) {
		int err = vtd_device_program(unit, device, IOMMU_NO_PASID, device->rid.domain);
		for (struct vtd_binding *at = device->pasids; at && !err; at = at->next)
			err = vtd_device_program(unit, device, at->pasid, at->domain);
		if (err)
			return err;
	}
	return 0;
}

int vtd_unit_enable(struct iommu_unit *base)
{
	struct vtd_unit *unit = vtd_unit_of(base);
	const struct iommu_os *os = unit->os;
	struct found_state found = {
		.gsts = vtd_read(&unit->window, VTD_REG_GSTS),
		.rtaddr = vtd_read(&unit->window, VTD_REG_RTADDR),
		.iqa = unit->caps.qi ? vtd_read(&unit->window, VTD_REG_IQA) : 0,
	};
	struct vtd_request turn;
	int err;

	if (unit->live)
		return 0;
	if (found.gsts == UINT32_MAX) {
		vtd_log(unit, IOMMU_LOG_ERROR, "GSTS reads all ones: the unit is gone");
		return -EIO;
	}
	const char *why = refusal(unit, &found);
	if (why) {
		vtd_log(unit, IOMMU_LOG_ERROR, "cannot be enabled: %s", why);
		return -EOPNOTSUPP;
	}
	if (unit->caps.plmr || unit->caps.phmr)
		found.pmen = vtd_read(&unit->window, VTD_REG_PMEN);
	if (found.gsts & VTD_GSTS_TES)
		vtd_log(unit, IOMMU_LOG_INFO,
		        "firmware left it translating: taking over with TE on");

	err = program_devices(unit); /* not live: memory only */
	if (err)
		return err;
	vtd_turn_begin(unit, &turn);
	os->lock(os->ctx, &unit->lock);
	err = take_over(unit, &found);
	os->unlock(os->ctx, &unit->lock);
	vtd_turn_end(unit, &turn);
	if (!err)
		err = vtd_flush_all(unit);
	if (!err) {
		vtd_fault_discard(unit);
		vtd_fault_event_start(unit);
		vtd_page_requests_start(unit);
		os->lock(os->ctx, &unit->lock);
		if (!(vtd_read(&unit->window, VTD_REG_GSTS) & VTD_GSTS_TES))
			err = vtd_command_toggle(unit, VTD_GCMD_TE, true);
		if (!err)
			err = protect_off(unit);
		os->unlock(os->ctx, &unit->lock);
		if (err) {
			vtd_page_requests_stop(unit);
			vtd_fault_event_stop(unit);
		}
	}
	if (err) {
		put_back(unit, &found);
		return err;
	}
	if (found.shielded) /* off by now: give the ranges back */
		shield_off(unit, &found);
	vtd_device_services_resume(unit);
	vtd_log(unit, IOMMU_LOG_DEBUG, "enabled in %s mode, root table at %#llx",
	        unit->scalable ? "scalable" : "legacy", (unsigned long long)unit->root.value);
	return 0;
}

/* ---- handing back ------------------------------------------------------------------------ */

void vtd_unit_disable(struct iommu_unit *base)
{
	struct vtd_unit *unit = vtd_unit_of(base);
	const struct iommu_os *os = unit->os;
	struct vtd_request turn;
	bool stopped = true;

	if (!unit->live)
		return;
	vtd_fault_poll(base);
	vtd_device_services_suspend(unit);
	vtd_page_requests_stop(unit);
	vtd_turn_begin(unit, &turn);
	os->lock(os->ctx, &unit->lock);
	if (vtd_read(&unit->window, VTD_REG_GSTS) & VTD_GSTS_TES)
		stopped = vtd_command_toggle(unit, VTD_GCMD_TE, false) == 0;
	if (unit->queue_on && vtd_queue_stop(unit))
		vtd_log(unit, IOMMU_LOG_WARNING, "its invalidation queue stays on");
	unit->live = !stopped;
	unit->broken = false; /* whoever enables it finds out for himself */
	os->unlock(os->ctx, &unit->lock);
	vtd_turn_end(unit, &turn);
	vtd_fault_event_stop(unit);
	if (stopped)
		vtd_log(unit, IOMMU_LOG_INFO, "disabled");
	else
		vtd_log(unit, IOMMU_LOG_ERROR, "could not be disabled: it may still translate");
}
