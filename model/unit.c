/* SPDX-License-Identifier: MIT */
/*
 * A unit as a whole: its capabilities decoded (11.4.2, 11.4.3), the check that they can
 * go together, its memory, reset, time.
 */
#include "model/unit.h"

void model_caps_decode(struct model_caps *caps, const struct model_config *config)
{
	uint64_t cap = config->cap, ecap = config->ecap;

	*caps = (struct model_caps){
		.major = model_bits(config->version, 7, 4),
		.did_bits = 4 + 2 * (unsigned)model_bits(cap, 2, 0),
		.rwbf = model_bit(cap, 4),
		.plmr = model_bit(cap, 5),
		.phmr = model_bit(cap, 6),
		.cm = model_bit(cap, 7),
		.sagaw = model_bits(cap, 12, 8),
		.mgaw = (unsigned)model_bits(cap, 21, 16) + 1,
		.zlr = model_bit(cap, 22),
		.fro = model_bits(cap, 33, 24),
		.slps = model_bits(cap, 37, 34),
		.psi = model_bit(cap, 39),
		.records = (unsigned)model_bits(cap, 47, 40) + 1,
		.mamv = model_bits(cap, 53, 48),
		.fs1gp = model_bit(cap, 56),
		.pi = model_bit(cap, 59),
		.fs5lp = model_bit(cap, 60),
		.ecmds = model_bit(cap, 61),
		.esirtps = model_bit(cap, 62),
		.esrtps = model_bit(cap, 63),
		.c = model_bit(ecap, 0),
		.qi = model_bit(ecap, 1),
		.dt = model_bit(ecap, 2),
		.ir = model_bit(ecap, 3),
		.eim = model_bit(ecap, 3) && model_bit(ecap, 4),
		.pt = model_bit(ecap, 6),
		.sc = model_bit(ecap, 7),
		.iro = model_bits(ecap, 17, 8),
		.mhmv = model_bits(ecap, 23, 20),
		.mts = model_bit(ecap, 25),
		.nest = model_bit(ecap, 26),
		.prs = model_bit(ecap, 29),
		.ers = model_bit(ecap, 30),
		.srs = model_bit(ecap, 31),
		.nwfs = model_bit(ecap, 33),
		.eafs = model_bit(ecap, 34),
		.pss = (unsigned)model_bits(ecap, 39, 35) + 1,
		.pasid = model_bit(ecap, 40),
		.dit = model_bit(ecap, 41),
		.pds = model_bit(ecap, 42),
		.smts = model_bit(ecap, 43),
		.ssads = model_bit(ecap, 45),
		.ssts = model_bit(ecap, 46),
		.fsts = model_bit(ecap, 47),
		.smpwcs = model_bit(ecap, 48),
		.rps = model_bit(ecap, 49),
		.pms = model_bit(ecap, 51),
		.adms = model_bit(ecap, 52),
		.rprivs = model_bit(ecap, 53),
		.ptrs = model_bit(ecap, 56),
		.ssirws = model_bit(ecap, 57),
		.eimer = model_bit(ecap, 61),
		.irreq = model_bit(ecap, 62),
	};
	/* A unit of revision 2.x (ECS, bit 24): what these bits offer exists only in its
	   extended mode, which no later revision has; its legacy mode is as ever. */
	if (model_bit(ecap, 24) && !caps->smts)
		caps->mts = caps->nest = caps->ers = caps->srs = caps->eafs = caps->pasid = false;
}

/* Do the blocks that are placed by offset fields keep clear of the fixed registers? */
static bool in_the_way(const struct model_caps *caps, uint64_t at, uint64_t bytes)
{
	return at < 0xf0 || (caps->mts && model_overlap(at, bytes, 0x100, 0x120)) ||
	       (caps->ecmds && model_overlap(at, bytes, 0x300, 0x160));
}

static bool ranges_clash(const struct model_caps *caps)
{
	uint64_t records = caps->fro * 16, records_bytes = caps->records * 16;
	uint64_t iotlb = caps->iro * 16;

	return in_the_way(caps, records, records_bytes) || in_the_way(caps, iotlb, 16) ||
	       model_overlap(records, records_bytes, iotlb, 16);
}

const char *model_config_check(const struct model_config *config)
{
	struct model_caps caps;

	if (!config)
		return "no shape was given";
	model_caps_decode(&caps, config);
	if (config->haw < 32 || config->haw > 52)
		return "haw must be from 32 to 52";
	if (caps.did_bits > 16)
		return "CAP.ND must be 0 to 6 (domain ids of 4 to 16 bits)";
	if (!caps.sagaw || (caps.sagaw & ~0xeu))
		return "CAP.SAGAW must name 39, 48 or 57 bits, and no others";
	if (caps.mgaw < 32 || caps.mgaw > 57)
		return "CAP.MGAW must mean 32 to 57 bits";
	if (caps.slps != 0 && caps.slps != 1 && caps.slps != 3)
		return "CAP.SSLPS must be 0, 1 or 3";
	if (ranges_clash(&caps))
		return "CAP.FRO and ECAP.IRO must place their registers clear of the others";
	if (config->ecap & (MODEL_BIT(44) | MODEL_BIT(55) | MODEL_BIT(60)))
		return "ECAP.VCS, HPTS and RDTS are not modelled and must be 0";
	if ((caps.smts || caps.ir || caps.dt) && !caps.qi)
		return "ECAP.SMTS, IR and DT need ECAP.QI";
	if ((caps.pds || caps.dit || caps.nwfs || caps.ptrs || caps.prs) && !caps.dt)
		return "ECAP.PDS, DIT, NWFS, PTRS and PRS need ECAP.DT";
	if ((caps.pasid || caps.srs || caps.mts || caps.fsts || caps.smpwcs || caps.rps ||
	     caps.nest || caps.ssts) &&
	    !caps.smts)
		return "ECAP.PASID, SRS, MTS, FSTS, SSTS, SMPWCS, RPS and NEST need ECAP.SMTS";
	if (caps.nest && !(caps.fsts && caps.ssts))
		return "ECAP.NEST needs ECAP.FSTS and SSTS";
	if ((caps.ssads || caps.eafs) && !caps.smpwcs)
		return "ECAP.SSADS and EAFS need ECAP.SMPWCS";
	if (caps.pi && !caps.ir) /* EIM without IR is seen on real units, and means nothing */
		return "CAP.PI needs ECAP.IR";
	if (caps.eimer && !caps.eim)
		return "ECAP.EIMER needs ECAP.EIM";
	if (caps.pss > 20)
		return "ECAP.PSS must mean 20 bits or fewer";
	if (caps.pms && !caps.ecmds)
		return "ECAP.PMS needs CAP.ECMDS";
	if (config->counters > MODEL_MAX_COUNTERS || (caps.pms != (config->counters > 0)))
		return "counters must be 1 to 16 with ECAP.PMS, and 0 without";
	if (config->eccap3 && !caps.pms)
		return "eccap3 needs ECAP.PMS, all its commands are the counters'";
	if (config->eccap3 & ~model_mask(53, 48))
		return "eccap3 may have bits 48 to 53 only (commands F0h to F5h)";
	if (caps.rwbf && caps.smts)
		return "CAP.RWBF must be 0 with ECAP.SMTS";
	if ((caps.plmr || caps.phmr) && (config->pmr_shift < 12 || config->pmr_shift > 31))
		return "pmr_shift must be from 12 to 31 where CAP.PLMR or PHMR is set";
	if ((unsigned)config->policy > MODEL_POLICY_RANDOM)
		return "policy must be one of enum model_policy";
	for (unsigned i = 0; i < MODEL_CACHES; i++)
		if (config->capacity[i] > 1u << 20)
			return "a cache may have at most 2^20 entries";
	return NULL;
}

static size_t unit_bytes(void)
{
	return (sizeof(struct model_unit) + 15) & ~(size_t)15;
}

size_t model_unit_bytes(const struct model_config *config)
{
	return model_config_check(config) ? 0 : unit_bytes() + model_cache_bytes(config);
}

struct model_unit *model_unit_init(void *memory, size_t bytes, const struct model_config *config,
                                   const struct model_hooks *hooks)
{
	struct model_unit *unit = memory;
	size_t needed = model_unit_bytes(config);

	if (!needed || !memory || ((uintptr_t)memory & 15) || bytes < needed || !hooks ||
	    !hooks->memory.read || !hooks->memory.write || !hooks->memory.swap64)
		return NULL;
	memset(unit, 0, sizeof(*unit));
	unit->config = *config;
	if (!unit->config.report_mask)
		unit->config.report_mask = ~UINT32_C(0);
	unit->hooks = *hooks;
	unit->random = config->seed ? config->seed : 1;
	model_caps_decode(&unit->caps, config);
	model_cache_place(unit, (uint8_t *)memory + unit_bytes());
	model_unit_reset(unit);
	return unit;
}

void model_unit_reset(struct model_unit *unit)
{
	struct model_unit keep = {
		.config = unit->config,
		.hooks = unit->hooks,
		.caps = unit->caps,
		.statistics = unit->statistics,
		.now = unit->now,
		.random = unit->random,
	};

	memcpy(keep.stores, unit->stores, sizeof(keep.stores));
	*unit = keep;
	for (unsigned i = 0; i < MODEL_CACHES; i++)
		model_cache_clear(unit, (enum model_cache)i);
	unit->fault_event.control = MODEL_EVENT_IM;
	unit->invalidation_event.control = MODEL_EVENT_IM;
	unit->page_event.control = MODEL_EVENT_IM;
	unit->counter_event.control = MODEL_EVENT_IM;
}

const struct model_config *model_unit_config(const struct model_unit *unit)
{
	return &unit->config;
}

const struct model_statistics *model_unit_statistics(const struct model_unit *unit)
{
	return &unit->statistics;
}

void model_latency_set(struct model_unit *unit, const struct model_latency *latency)
{
	unit->config.latency = *latency;
}

uint64_t model_now(const struct model_unit *unit)
{
	return unit->now;
}

uint64_t model_due(const struct model_unit *unit, uint64_t latency)
{
	return latency > MODEL_NEVER - unit->now ? MODEL_NEVER : unit->now + latency;
}

/* xorshift64: quality does not matter, repeatability does. */
uint64_t model_random(struct model_unit *unit)
{
	uint64_t x = unit->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return unit->random = x;
}

static uint64_t sooner(const struct model_unit *unit, uint64_t next, bool pending, uint64_t due)
{
	return pending && due > unit->now && due < next ? due : next;
}

/* When the next thing completes, or `end` if nothing does before. */
static uint64_t next_due(const struct model_unit *unit, uint64_t end)
{
	end = sooner(unit, end, unit->gcmd_busy, unit->gcmd_due);
	end = sooner(unit, end, unit->pmr_busy, unit->pmr_due);
	end = sooner(unit, end, model_bit(unit->ccmd, 63), unit->ccmd_due);
	end = sooner(unit, end, model_bit(unit->iotlb, 63), unit->iotlb_due);
	end = sooner(unit, end, unit->queue_running, unit->queue_due);
	end = sooner(unit, end, unit->device_silent, unit->device_due);
	return sooner(unit, end, unit->ecrsp & 1, unit->ecmd_due);
}

void model_tick(struct model_unit *unit, uint64_t nanoseconds)
{
	/* One short of never, so that what never completes stays out of reach. */
	uint64_t end = nanoseconds >= MODEL_NEVER - 1 - unit->now ? MODEL_NEVER - 1
	                                                          : unit->now + nanoseconds;

	do { /* step by step, so that what one completion starts is late by its own time only */
		unit->now = next_due(unit, end);
		model_command_tick(unit);
		model_pmr_tick(unit);
		model_invalidate_tick(unit);
		model_queue_run(unit);
		model_ecmd_tick(unit);
	} while (unit->now < end);
}
