/* SPDX-License-Identifier: MIT */
/*
 * Invalidation descriptors (6.5.2, Table 26): which are legal when, their reserved bits,
 * and what each does. Waits are the queue's own matter.
 */
#include "model/unit.h"

/* Reserved bits of the low and high quadword. The type takes 3:0 and 11:9 of the low one. */
struct reserved {
	uint64_t low, high;
};

static struct reserved reserved_bits(const struct model_unit *unit, unsigned type)
{
	bool dit = unit->caps.dit;

	switch (type) {
	case 1:
		return (struct reserved){UINT64_C(0xfffc00000000f1c0), ~UINT64_C(0)};
	case 2:
		return (struct reserved){UINT64_C(0xffffffff0000f100), 0xf80};
	case 3:
		return (struct reserved){
			dit ? UINT64_C(0x000f0000ffe001f0) : UINT64_C(0xffff0000ffe0f1f0), 0xffe};
	case 4:
		return (struct reserved){UINT64_C(0xffff000007fff1e0), ~UINT64_C(0)};
	case 5:
		return (struct reserved){unit->caps.pds ? 0xfffff100 : 0xfffff180, 3};
	case 6:
		return (struct reserved){UINT64_C(0xfff000000000f1c0), 0xf80};
	case 7:
		return (struct reserved){UINT64_C(0xfff000000000f1c0), ~UINT64_C(0)};
	case 8:
		return (struct reserved){dit ? 0 : UINT64_C(0xfff000000000f000), 0x7fe};
	default: /* 9; bit 2 of the high word was once LPIG and is ignored */
		return (struct reserved){UINT64_C(0xfff00000000001e0), ~UINT64_C(0xffc)};
	}
}

/* Table 26: legacy mode knows types 1 to 5, the others 1 to 9. */
static bool type_legal(const struct model_unit *unit, unsigned type, unsigned ttm)
{
	const struct model_caps *caps = &unit->caps;

	switch (type) {
	case 1:
	case 2:
	case 5:
		return true;
	case 3:
		return caps->dt;
	case 4:
		return caps->ir;
	case 6:
	case 7:
		return ttm != MODEL_TTM_LEGACY && caps->smts;
	case 8:
		return ttm != MODEL_TTM_LEGACY && caps->smts && caps->dt;
	case 9:
		return ttm != MODEL_TTM_LEGACY && caps->prs;
	default:
		return false;
	}
}

static bool granularity_legal(const struct model_unit *unit, unsigned type, const uint64_t d[4])
{
	unsigned g = (unsigned)model_bits(d[0], 5, 4);

	switch (type) {
	case 1:
		return g != 0;
	case 2:
		if (g == 3 && (!unit->caps.psi || (d[1] & 0x3f) > unit->caps.mamv))
			return false;
		return g != 0;
	case 4:
		return model_bits(d[0], 31, 27) <= unit->caps.mhmv || !(g & 1);
	case 6:
		return g >= 2;
	case 7:
		return g != 2;
	default:
		return true;
	}
}

unsigned model_descriptor_check(const struct model_unit *unit, const uint64_t d[4])
{
	unsigned type = (unsigned)(model_bits(d[0], 11, 9) << 4 | (d[0] & 0xf));
	unsigned ttm = model_ttm(unit);
	bool wide = model_queue_entry_bytes(unit) == 32;
	struct reserved bits;

	if (ttm == MODEL_TTM_RESERVED)
		return MODEL_IQEI_TTM;
	if (wide ? !(unit->caps.smts || unit->caps.adms) : ttm != MODEL_TTM_LEGACY)
		return MODEL_IQEI_WIDTH;
	if (!type_legal(unit, type, ttm))
		return MODEL_IQEI_TYPE;
	bits = reserved_bits(unit, type);
	if ((d[0] & bits.low) || (d[1] & bits.high) || d[2] || d[3] ||
	    !granularity_legal(unit, type, d))
		return MODEL_IQEI_RESERVED;
	return 0;
}

/* The range that ADDR and S of a device-TLB descriptor mean (6.5.2.5). */
static void device_range(uint64_t word, bool size, struct model_device_invalidation *out)
{
	uint64_t page = word >> 12;
	unsigned order = 0;

	if (size) {
		order = 1;
		while (order < 52 && (page & 1)) {
			page >>= 1;
			order++;
		}
	}
	if (order >= 52) { /* 62:12 all ones: everything */
		out->address = 0;
		out->last = UINT64_MAX;
		return;
	}
	out->address = word & model_mask(63, 12 + order);
	out->last = out->address | (MODEL_BIT(12 + order) - 1);
}

static void device_invalidate(struct model_unit *unit,
                              const struct model_device_invalidation *invalidation)
{
	enum model_device_answer answer = MODEL_DEVICE_SILENT;

	if (!(unit->gsts & MODEL_G_TE))
		model_report_simple(unit, MODEL_REPORT_REGISTER,
		                    "a device-TLB invalidation while translation is off, for",
		                    invalidation->requester);
	if (unit->hooks.device_invalidate)
		answer = unit->hooks.device_invalidate(unit->hooks.context, invalidation);
	if (answer == MODEL_DEVICE_WRONG) {
		if (!(unit->fsts & MODEL_FSTS_ICE))
			unit->iqercd = (unit->iqercd & ~model_mask(63, 48)) |
			               (uint64_t)invalidation->requester << 48;
		model_fault_status(unit, MODEL_FSTS_ICE);
	} else if (answer == MODEL_DEVICE_SILENT && !unit->device_silent) {
		unit->device_silent = true;
		unit->device_sid = invalidation->requester;
		unit->device_due = model_due(unit, unit->config.latency.device);
	}
}

static void device_descriptor(struct model_unit *unit, const uint64_t d[4], bool pasid)
{
	struct model_device_invalidation invalidation = {
		.requester =
			(uint16_t)(pasid ? model_bits(d[0], 31, 16) : model_bits(d[0], 47, 32)),
		.physical_function =
			(uint16_t)(model_bits(d[0], 63, 52) << 4 | model_bits(d[0], 15, 12)),
		.has_pasid = pasid,
		.pasid = pasid ? (uint32_t)model_bits(d[0], 51, 32) : 0,
		.global = pasid && model_bit(d[1], 0),
	};

	device_range(d[1], model_bit(d[1], pasid ? 11 : 0), &invalidation);
	device_invalidate(unit, &invalidation);
}

void model_descriptor_run(struct model_unit *unit, const uint64_t d[4])
{
	unsigned g = (unsigned)model_bits(d[0], 5, 4);
	uint16_t did = (uint16_t)(model_bits(d[0], 31, 16) & (MODEL_BIT(unit->caps.did_bits) - 1));
	uint32_t pasid = (uint32_t)model_bits(d[0], 51, 32);
	uint64_t address = d[1] & model_mask(63, 12);
	unsigned am = (unsigned)(d[1] & 0x3f);
	bool ih = model_bit(d[1], 6);

	switch (d[0] & 0xf) {
	case 1:
		model_invalidate_context(unit, g, did, (uint16_t)model_bits(d[0], 47, 32),
		                         (unsigned)model_bits(d[0], 49, 48));
		break;
	case 2:
		model_invalidate_iotlb(unit, g, did, address, am, ih);
		break;
	case 3:
		device_descriptor(unit, d, false);
		break;
	case 4:
		model_invalidate_interrupt(unit, !model_bit(d[0], 4),
		                           (uint16_t)model_bits(d[0], 47, 32),
		                           (unsigned)model_bits(d[0], 31, 27));
		break;
	case 6:
		model_invalidate_pasid_iotlb(unit, g, did, pasid, address, am, ih);
		break;
	case 7:
		model_invalidate_pasid(unit, g, did, pasid);
		break;
	case 8:
		device_descriptor(unit, d, true);
		break;
	default:
		model_page_response(unit, d);
		break;
	}
}
