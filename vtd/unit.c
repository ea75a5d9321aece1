/* SPDX-License-Identifier: MIT */
/*
 * A unit's life but for its bring-up: finding its registers, choosing its mode,
 * commands with a deadline, domain ids. VT-d specification 5.10, sections 11.1 and
 * 11.4.4.
 */
#include "vtd/unit.h"

#include "vtd/page_request.h"

/* ---- tables in memory -------------------------------------------------------- */

void vtd_clean(struct vtd_unit *unit, const void *start, size_t bytes)
{
	uintptr_t first = (uintptr_t)start & ~(uintptr_t)(ARCH_CACHE_LINE - 1);
	uintptr_t end = (uintptr_t)start + bytes;

	if (!unit->caps.c) {
		if (unit->os->clean) {
			unit->os->clean(unit->os->ctx, start, bytes);
		} else {
			for (uintptr_t line = first; line < end; line += ARCH_CACHE_LINE)
				arch_clean_line((const void *)line);
		}
		/* attach cleans under iommu->lock, dirty tracking under a domain's */
		__atomic_fetch_add(&unit->stats.cleans,
		                   (end - first + ARCH_CACHE_LINE - 1) / ARCH_CACHE_LINE,
		                   __ATOMIC_RELAXED);
	}
	arch_barrier();
}

void vtd_store128(struct vtd_unit *unit, uint64_t *words, uint64_t low, uint64_t high)
{
	arch_write_barrier();
	arch_store128(words, low, high);
	vtd_clean(unit, words, 16);
}

/* ---- commands ---------------------------------------------------------------- */

uint64_t vtd_deadline(struct vtd_unit *unit)
{
	return unit->os->now_ns(unit->os->ctx) + VTD_DEADLINE_NS;
}

bool vtd_wait_over(struct vtd_unit *unit, uint64_t deadline)
{
	if (unit->os->now_ns(unit->os->ctx) >= deadline)
		return true;
	arch_pause();
	unit->os->relax(unit->os->ctx);
	return false;
}

const char *vtd_status_name(unsigned bit)
{
	switch (bit) {
	case 31:
		return "TES";
	case 30:
		return "RTPS";
	case 27:
		return "WBFS";
	case 26:
		return "QIES";
	case 25:
		return "IRES";
	case 24:
		return "IRTPS";
	case 23:
		return "CFIS";
	default:
		return NULL;
	}
}

/** Wait until the one bit @p bit of GSTS is @p on. */
static int wait_status(struct vtd_unit *unit, uint32_t bit, bool on)
{
	uint64_t deadline = vtd_deadline(unit);
	const char *name = vtd_status_name((unsigned)__builtin_ctz(bit));
	uint32_t status;
	bool over = false;

	for (;;) {
		status = vtd_read(&unit->window, VTD_REG_GSTS);
		if (status == UINT32_MAX) {
			vtd_log(unit, IOMMU_LOG_ERROR,
			        "GSTS reads all ones while waiting for %s: the unit is gone", name);
			return -EIO;
		}
		if (!(status & bit) == !on)
			return 0;
		if (over)
			break;
		over = vtd_wait_over(unit, deadline);
	}
	vtd_log(unit, IOMMU_LOG_ERROR, "GSTS.%s did not become %u within %u ms (GSTS is %#x)", name,
	        on, VTD_DEADLINE_NS / 1000000, status);
	return -ETIMEDOUT;
}

int vtd_command_toggle(struct vtd_unit *unit, uint32_t bit, bool on)
{
	uint32_t now = vtd_read(&unit->window, VTD_REG_GSTS) & VTD_GSTS_TOGGLES;

	vtd_write(&unit->window, VTD_REG_GCMD, on ? now | bit : now & ~bit);
	return wait_status(unit, bit, on);
}

int vtd_command_root(struct vtd_unit *unit)
{
	uint32_t now = vtd_read(&unit->window, VTD_REG_GSTS) & VTD_GSTS_TOGGLES;

	vtd_write(&unit->window, VTD_REG_GCMD, now | VTD_GCMD_SRTP);
	return wait_status(unit, VTD_GSTS_RTPS, true);
}

int vtd_command_write_buffer(struct vtd_unit *unit)
{
	uint32_t now = vtd_read(&unit->window, VTD_REG_GSTS) & VTD_GSTS_TOGGLES;

	if (!unit->caps.rwbf)
		return 0;
	vtd_write(&unit->window, VTD_REG_GCMD, now | VTD_GCMD_WBF);
	return wait_status(unit, VTD_GSTS_WBFS, false);
}

int vtd_flush_write_buffer(struct vtd_unit *unit)
{
	int err = 0;

	if (!unit->caps.rwbf)
		return 0;
	unit->os->lock(unit->os->ctx, &unit->lock);
	if (unit->live)
		err = unit->broken ? -EIO : vtd_command_write_buffer(unit);
	unit->os->unlock(unit->os->ctx, &unit->lock);
	return err;
}

/* ---- registers --------------------------------------------------------------- */

static void unmap_window(struct vtd_unit *unit)
{
	if (unit->window.mmio.bytes)
		unit->os->mmio_unmap(unit->os->ctx, &unit->window.mmio);
	unit->window.mmio.bytes = 0;
}

static int map_window(struct vtd_unit *unit, uint64_t bytes)
{
	int err = unit->os->mmio_map(unit->os->ctx, unit->registers, bytes, &unit->window.mmio);

	if (err) {
		unit->window.mmio.bytes = 0;
		vtd_log(unit, IOMMU_LOG_ERROR, "no registers at %#llx, %#llx bytes: left out",
		        (unsigned long long)unit->registers.value, (unsigned long long)bytes);
		return err == -ENOMEM ? err : -ENODEV;
	}
	if (unit->window.mmio.bytes < bytes)
		unit->window.mmio.bytes = bytes;
	return 0;
}

static void report_caps(void *ctx, const char *line)
{
	struct vtd_unit *unit = ctx;
	vtd_log(unit, IOMMU_LOG_WARNING, "%s", line);
}

/** Map the window, read the capabilities, and map again if registers that they locate
 *  lie beyond it (older tables state no size). */
static int read_registers(struct vtd_unit *unit, uint64_t bytes)
{
	int err = map_window(unit, bytes);
	if (err)
		return err;

	vtd_caps_decode(vtd_read(&unit->window, VTD_REG_VER), vtd_read(&unit->window, VTD_REG_CAP),
	                vtd_read(&unit->window, VTD_REG_ECAP), &unit->caps);
	const char *refusal = vtd_caps_refusal(&unit->caps);
	if (refusal) {
		vtd_log(unit, IOMMU_LOG_ERROR,
		        "unit at %#llx cannot be used: %s (CAP %#llx, ECAP %#llx)",
		        (unsigned long long)unit->registers.value, refusal,
		        (unsigned long long)unit->caps.cap, (unsigned long long)unit->caps.ecap);
		return -ENODEV;
	}
	vtd_caps_check(&unit->caps, report_caps, unit);

	uint64_t need = unit->caps.fault_offset + unit->caps.fault_records * VTD_FRCD_BYTES;
	if (unit->caps.iotlb_offset + 16 > need)
		need = unit->caps.iotlb_offset + 16;
	need = (need + PAGE_SIZE_4K - 1) & ~(PAGE_SIZE_4K - 1);
	if (need > unit->window.mmio.bytes) {
		unmap_window(unit);
		return map_window(unit, need);
	}
	return 0;
}

/* ---- mode -------------------------------------------------------------------- */

/** Scalable mode is complete enough to be chosen: it has a format for DMA. */
static bool scalable_works(const struct vtd_caps *caps)
{
	return caps->smts && caps->qi && (caps->fsts || (caps->ssts && caps->levels));
}

static bool legacy_works(const struct vtd_caps *caps)
{
	return caps->levels != 0;
}

/** AUTO takes scalable mode wherever it can translate, with the first stage alone if
 *  there is no second: plain domains then have the format of the hardware's choice,
 *  and NEST_PARENT is refused. If firmware left translation on in the other mode and
 *  the unit may not change modes so (CAP.ESRTPS = 0), AUTO stays in the mode found:
 *  there is then never a moment without protection. */
static void choose_mode(struct vtd_unit *unit, enum iommu_mode wanted)
{
	const struct vtd_caps *caps = &unit->caps;

	switch (wanted) {
	case IOMMU_MODE_LEGACY:
		if (!legacy_works(caps))
			unit->refusal = "legacy mode was asked for, but CAP.SAGAW has no table "
					"depth: use mode auto";
		return;
	case IOMMU_MODE_SCALABLE:
		unit->scalable = true;
		if (!caps->smts || !caps->qi)
			unit->refusal = "scalable mode was asked for, but ECAP.SMTS or ECAP.QI is "
					"0: use mode legacy or auto";
		else if (!scalable_works(caps))
			unit->refusal = "scalable mode was asked for, but ECAP has neither FSTS "
					"nor SSTS: use mode legacy or auto";
		return;
	case IOMMU_MODE_AUTO:
		break;
	}
	unit->scalable = scalable_works(caps);
	if (!unit->scalable && !legacy_works(caps)) {
		unit->refusal = "neither mode can translate";
		return;
	}
	uint32_t gsts = vtd_read(&unit->window, VTD_REG_GSTS);
	uint64_t rtaddr = vtd_read(&unit->window, VTD_REG_RTADDR);
	bool other_works = unit->scalable ? legacy_works(caps) : scalable_works(caps);
	uint64_t found = field_get(VTD_RTADDR_TTM, rtaddr);
	if (vtd_mode_change_needs_te_off(unit, gsts, rtaddr, unit->scalable) && other_works &&
	    found == (unit->scalable ? VTD_TTM_LEGACY : VTD_TTM_SCALABLE)) {
		unit->scalable = !unit->scalable;
		vtd_log(unit, IOMMU_LOG_INFO,
		        "firmware left translation on in %s mode, which is kept (CAP.ESRTPS is 0)",
		        unit->scalable ? "scalable" : "legacy");
	}
}

/* ---- life -------------------------------------------------------------------- */

void vtd_unit_free(struct vtd_unit *unit)
{
	const struct iommu_os *os = unit->os;

	if (unit->live) {
		/* It did not stop when told to: what it may still read stays out of use. */
		vtd_log(unit, IOMMU_LOG_WARNING, "still translates: its tables are not freed");
	} else if (unit->root.value) {
		uint64_t *root = vtd_va(unit, unit->root);
		for (unsigned i = 0; i < 512; i++) {
			/* Legacy roots use even words only; a table is a table in both. */
			if (root[i] & VTD_ROOT_P)
				os->page_free(os->ctx, pa(root[i] & VTD_ROOT_CTP), 0);
		}
		os->page_free(os->ctx, unit->root, 0);
	}
	if (unit->queue_on)
		vtd_log(unit, IOMMU_LOG_WARNING,
		        "its invalidation queue is still on: the queue's memory is not freed");
	else if (unit->queue.value)
		os->page_free(os->ctx, unit->queue, VTD_QUEUE_ORDER);
	if (!unit->live)
		vtd_page_requests_free(unit);
	os->free(os->ctx, unit->domain_ids, unit->domain_id_count / 8);
	os->free(os->ctx, unit->dmar_copy, unit->dmar_bytes);
	unmap_window(unit);
	os->lock_destroy(os->ctx, &unit->page_lock);
	os->lock_destroy(os->ctx, &unit->fault_lock);
	os->lock_destroy(os->ctx, &unit->lock);
	os->free(os->ctx, unit, sizeof(*unit));
}

/** This unit's own copy of the DMAR table: claims and regions are looked up later. */
static int copy_dmar(struct vtd_unit *unit, const struct vtd_dmar *dmar,
                     const struct vtd_dmar_entry *drhd)
{
	uint32_t at = 0;

	unit->dmar_copy = unit->os->alloc(unit->os->ctx, dmar->bytes);
	if (!unit->dmar_copy)
		return -ENOMEM;
	unit->dmar_bytes = dmar->bytes;
	memcpy(unit->dmar_copy, dmar->table, dmar->bytes);
	unit->dmar = *dmar;
	unit->dmar.table = unit->dmar_copy;
	while (vtd_dmar_next(&unit->dmar, VTD_DMAR_DRHD, &at, &unit->drhd))
		if (unit->drhd.offset == drhd->offset)
			return 0;
	return -EINVAL;
}

static int locks_init(struct vtd_unit *unit)
{
	const struct {
		struct iommu_lock *lock;
		const char *name;
	} locks[] = {{&unit->lock, "vtd queue"},
	             {&unit->fault_lock, "vtd faults"},
	             {&unit->page_lock, "vtd page requests"}};
	const struct iommu_os *os = unit->os;

	for (unsigned i = 0; i < ARRAY_SIZE(locks); i++) {
		int err = os->lock_init(os->ctx, locks[i].lock, locks[i].name);
		if (!err)
			continue;
		while (i)
			os->lock_destroy(os->ctx, locks[--i].lock);
		return err;
	}
	return 0;
}

int vtd_unit_create(struct iommu *iommu, const struct vtd_dmar *dmar,
                    const struct vtd_dmar_entry *drhd, unsigned number, struct vtd_unit **out)
{
	const struct iommu_os *os = iommu_os(iommu);
	struct vtd_unit *unit = os->alloc(os->ctx, sizeof(*unit));
	int err;

	if (!unit)
		return -ENOMEM;
	unit->os = os;
	unit->base.segment = drhd->segment;
	unit->registers = pa(drhd->base);
	unit->host_bits = dmar->host_address_width < 52 ? dmar->host_address_width : 52;
	iommu_snprintf(unit->base.name, sizeof(unit->base.name), "vtd%u", number);

	err = locks_init(unit);
	if (err) {
		os->free(os->ctx, unit, sizeof(*unit));
		return err;
	}
	err = copy_dmar(unit, dmar, drhd);
	if (!err)
		err = read_registers(unit, drhd->bytes);
	if (err)
		goto fail;

	choose_mode(unit, iommu_options(iommu)->mode);
	unit->base.mode = unit->scalable ? IOMMU_MODE_SCALABLE : IOMMU_MODE_LEGACY;
	unit->slot_shift = unit->scalable ? 5 : 4;
	unit->slot_bytes = 1u << unit->slot_shift;
	unit->slots = (unsigned)(PAGE_SIZE_4K / unit->slot_bytes);

	uint32_t ids = vtd_domain_id_limit(&unit->caps);
	ids = ids < 64 ? 64 : ids;
	unit->domain_ids = os->alloc(os->ctx, ids / 8);
	if (!unit->domain_ids) {
		err = -ENOMEM;
		goto fail;
	}
	unit->domain_id_count = ids;
	unit->domain_ids[0] = 1;
	if (vtd_domain_id_limit(&unit->caps) < 64) /* beyond ND: never free */
		unit->domain_ids[0] |= ~UINT64_C(0) << vtd_domain_id_limit(&unit->caps);

	err = os->page_alloc(os->ctx, 0, &unit->root);
	if (!err)
		err = os->page_alloc(os->ctx, VTD_QUEUE_ORDER, &unit->queue);
	if (!err)
		unit->ring = vtd_va(unit, unit->queue);
	if (!err)
		err = vtd_page_requests_create(unit);
	if (err)
		goto fail;
	vtd_clean(unit, vtd_va(unit, unit->root), PAGE_SIZE_4K);
	*out = unit;
	return 0;
fail:
	vtd_unit_free(unit);
	return err;
}

/* ---- domain ids -------------------------------------------------------------- */

int vtd_domain_id_alloc(struct vtd_unit *unit, uint16_t *out)
{
	for (uint32_t word = 0; word < unit->domain_id_count / 64; word++) {
		uint64_t free = ~unit->domain_ids[word];
		if (!free)
			continue;
		unsigned bit = (unsigned)__builtin_ctzll(free);
		unit->domain_ids[word] |= BIT64(bit);
		unit->domain_ids_used++;
		*out = (uint16_t)(word * 64 + bit);
		return 0;
	}
	vtd_log(unit, IOMMU_LOG_ERROR, "all %u domain ids are in use", unit->domain_ids_used);
	return -ENOSPC;
}

void vtd_domain_id_free(struct vtd_unit *unit, uint16_t did)
{
	unit->domain_ids[did / 64] &= ~BIT64(did);
	unit->domain_ids_used--;
}
