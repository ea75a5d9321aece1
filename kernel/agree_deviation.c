/* SPDX-License-Identifier: MIT */
/*
 * Where QEMU's intel-iommu is known to deviate from the VT-d specification (5.10). Each
 * line says what the specification (and so the model) does, what the unit does instead, and
 * how to recognise it; and it names a kind of case in which it must show. A predicate
 * foretells the unit's whole answer, record included, so that no other difference hides
 * behind it. docs/agreement.md is this table for people.
 */
#include "kernel/agree_private.h"

enum { REASON_CONTEXT_RESERVED = 0x0b };

/* ---- what the unit was expected to say --------------------------------------------------- */

/* FPD of any entry on the way keeps a qualified fault out of the records (table 30). */
static bool fpd(const struct agree_case *c)
{
	return (c->context[0] | c->directory | c->pasid[0]) & 2;
}

/* What units before QEMU 11 put where a PASID would be: see record-pasid. */
static uint64_t old_pasid(const struct agree_case *c)
{
	return c->family->scalable ? AGREE_BIT(31) : UINT64_C(0xffff) << 40;
}

static bool record_is(const struct agree_case *c, const struct agree_pair *pair, uint8_t reason)
{
	const struct agree_answer *unit = &pair->unit;
	uint64_t high = AGREE_BIT(63) | (c->write ? 0 : AGREE_BIT(62)) | (uint64_t)reason << 32 |
	                c->engine->requester;

	return unit->recorded && !unit->record.overflow &&
	       (unit->record.high == high ||
	        (c->age != AGREE_NEW && unit->record.high == (high | old_pasid(c)))) &&
	       unit->record.low == (c->address & ~UINT64_C(0xfff));
}

static bool quiet(const struct agree_pair *pair)
{
	return !pair->unit.recorded && !pair->unit.record.overflow;
}

/* Blocked for this reason, which is a qualified one. */
static bool blocked(const struct agree_case *c, const struct agree_pair *pair, uint8_t reason)
{
	if (pair->unit.moved || !pair->unit.exact)
		return false;
	return fpd(c) ? quiet(pair) : record_is(c, pair, reason);
}

/* The reason of a unit that looks at the rights of each level before anything else in it. */
static uint8_t rights(const struct agree_case *c)
{
	for (unsigned level = c->levels; level && level >= c->leaf; level--) {
		uint64_t entry = c->entry[level];

		if (c->stage == AGREE_SECOND) {
			if (!(entry & (c->write ? 2 : 1)))
				return c->write ? 0x05 : 0x06;
			continue;
		}
		if (!(entry & 1))
			return 0;
		if (!(entry & 4))
			return 0x81;
		if (c->write && !(entry & 2))
			return 0x85;
	}
	return 0;
}

/* The unit goes on as if nothing were wrong: data moves, or the rights are missing. */
static bool goes_on(const struct agree_case *c, const struct agree_pair *pair)
{
	uint8_t reason = c->levels ? rights(c) : 0;

	if (reason)
		return blocked(c, pair, reason);
	return pair->unit.moved && pair->unit.exact && pair->unit.at == c->target && quiet(pair);
}

/* ---- the predicates ------------------------------------------------------------------------- */

static uint8_t legacy_reason(const struct agree_case *c, uint8_t reason)
{
	static const struct {
		uint8_t scalable, legacy;
	} pairs[] = {
		{0x38, 0x08}, {0x39, 0x01}, {0x3a, 0x0a}, {0x40, 0x09}, {0x41, 0x02}, {0x42, 0x0b},
		{0x78, 0x07}, {0x7a, 0x0c}, {0x7b, 0x03}, {0x84, 0x04}, {0x85, 0x05}, {0x86, 0x06},
	};

	if (reason == 0x79)
		return c->write ? 0x05 : 0x06;
	for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++)
		if (pairs[i].scalable == reason)
			return pairs[i].legacy;
	return 0;
}

static bool legacy_codes(const struct agree_case *c, const struct agree_pair *pair)
{
	uint8_t reason = legacy_reason(c, pair->model.reason);

	if (!c->family->scalable || !reason || pair->unit.moved || pair->tables_differ)
		return false;
	return pair->model.recorded && record_is(c, pair, reason);
}

static bool interrupt_code(const struct agree_case *c, const struct agree_pair *pair)
{
	return !c->family->scalable && pair->model.reason == 0x0e && pair->model.recorded &&
	       blocked(c, pair, 0x87);
}

static bool interrupt_page(const struct agree_case *c, const struct agree_pair *pair)
{
	uint8_t reason = c->ecap >> 43 & 1 ? 0x87 : 0x0e;
	uint64_t start = c->target & ~(AGREE_BIT(12 + 9 * (c->leaf - 1)) - 1);

	/* The request leads beside the range, on a page that overlaps it. */
	return !pair->model.reason && c->leaf > 1 && start <= UINT64_C(0xfeefffff) &&
	       start + (AGREE_BIT(12 + 9 * (c->leaf - 1)) - 1) >= UINT64_C(0xfee00000) &&
	       blocked(c, pair, reason);
}

static bool interrupt_read(const struct agree_case *c, const struct agree_pair *pair)
{
	return !c->write && pair->model.reason == 0x29 && !pair->unit.moved && quiet(pair);
}

static bool context_fpd(const struct agree_case *c, const struct agree_pair *pair)
{
	return (pair->model.reason == 0x0b || pair->model.reason == 0x42) && c->context[0] & 2 &&
	       !pair->model.recorded && !pair->unit.moved &&
	       record_is(c, pair, REASON_CONTEXT_RESERVED);
}

static bool pasid_fpd(const struct agree_case *c, const struct agree_pair *pair)
{
	uint8_t reason = pair->model.reason;

	return (reason == 0x51 || reason == 0x59 || reason == 0x5b) && !(c->context[0] & 2) &&
	       (c->directory | c->pasid[0]) & 2 && !pair->model.recorded && !pair->unit.moved &&
	       record_is(c, pair, c->age == AGREE_OLD ? 0x58 : reason);
}

static bool pass_pointer(const struct agree_case *c, const struct agree_pair *pair)
{
	/* (A reserved-bit fault is recorded whatever FPD says: context-fpd.) */
	return !c->family->scalable && c->stage == AGREE_PASS && pair->model.moved &&
	       c->context[0] >> c->bench->haw && !pair->unit.moved &&
	       record_is(c, pair, REASON_CONTEXT_RESERVED);
}

static bool pass_range(const struct agree_case *c, const struct agree_pair *pair)
{
	return c->stage == AGREE_PASS &&
	       (pair->model.reason == 0x04 || pair->model.reason == 0x83) && !pair->unit.moved &&
	       quiet(pair);
}

static bool rights_second(const struct agree_case *c, const struct agree_pair *pair)
{
	uint8_t reason = pair->model.reason;

	return c->stage == AGREE_SECOND && rights(c) &&
	       (reason == 0x07 || reason == 0x0c || reason == 0x78 || reason == 0x7a) &&
	       blocked(c, pair, rights(c));
}

static bool rights_first(const struct agree_case *c, const struct agree_pair *pair)
{
	uint8_t reason = pair->model.reason;

	return c->stage == AGREE_FIRST && rights(c) &&
	       (reason == 0x70 || reason == 0x71 || reason == 0x72 || reason == 0x81) &&
	       blocked(c, pair, rights(c));
}

static bool snoop_bit(const struct agree_case *c, const struct agree_pair *pair)
{
	uint8_t reason = pair->model.reason;

	return (reason == 0x0c || reason == 0x7a) && c->stage == AGREE_SECOND &&
	       c->entry[c->leaf] & AGREE_BIT(11) && !(c->ecap >> 7 & 1) && goes_on(c, pair);
}

static bool flags_unsnooped(const struct agree_case *c, const struct agree_pair *pair)
{
	/* The unit has set what was missing, and nothing but A and D. */
	return pair->model.reason == 0x90 && !(c->ecap >> 48 & 1) && goes_on(c, pair) &&
	       !((pair->unit_word ^ pair->model_word) & ~UINT64_C(0x60)) &&
	       !(pair->model_word & ~pair->unit_word & 0x60);
}

static bool directory_reserved(const struct agree_case *c, const struct agree_pair *pair)
{
	if (pair->model.reason != 0x52)
		return false;
	/* The pointer is not cut to the host's width: it leads nowhere. */
	if (c->directory >> c->bench->haw)
		return !pair->unit.moved && record_is(c, pair, 0x58);
	return goes_on(c, pair);
}

static bool pasid_reserved(const struct agree_case *c, const struct agree_pair *pair)
{
	if (pair->model.reason != 0x5a)
		return false;
	if (c->stage == AGREE_SECOND && c->pasid[0] >> c->bench->haw)
		return blocked(c, pair, 0x03);
	if (c->stage == AGREE_FIRST && c->pasid[2] >> c->bench->haw)
		return blocked(c, pair, 0x73);
	return goes_on(c, pair);
}

static bool context_unchecked(const struct agree_case *c, const struct agree_pair *pair)
{
	return c->family->scalable && pair->model.reason == 0x42 && goes_on(c, pair);
}

static bool zero_entry(const struct agree_case *c, const struct agree_pair *pair)
{
	for (unsigned i = 0; i < 8; i++)
		if (c->pasid[i])
			return false;
	/* (FPD of the directory does not count either: pasid-fpd.) */
	return pair->model.reason == 0x59 && !pair->unit.moved &&
	       (record_is(c, pair, 0x5b) || (fpd(c) && quiet(pair)));
}

static bool record_pasid(const struct agree_case *c, const struct agree_pair *pair)
{
	struct agree_pair clean = *pair;

	if (c->age == AGREE_NEW || !pair->unit.recorded ||
	    pair->unit.record.high == pair->model.record.high)
		return false;
	clean.unit.record.high &= ~old_pasid(c);
	return agree_pair_same(&clean) && record_is(c, pair, pair->model.reason);
}

static bool pasid_codes(const struct agree_case *c, const struct agree_pair *pair)
{
	uint8_t reason = pair->model.reason;

	return c->age == AGREE_OLD &&
	       (reason == 0x50 || reason == 0x51 || reason == 0x59 || reason == 0x5b) &&
	       !pair->unit.moved && (record_is(c, pair, 0x58) || (fpd(c) && quiet(pair)));
}

static bool rid_pasid(const struct agree_case *c, const struct agree_pair *pair)
{
	/* The entry of that PASID is all zero. */
	return c->flaw == FLAW_CONTEXT_RID_PASID && pair->model.reason == 0x42 &&
	       c->age != AGREE_NEW && !pair->unit.moved &&
	       (record_is(c, pair, c->age == AGREE_OLD ? 0x58 : 0x5b) || (fpd(c) && quiet(pair)));
}

static bool nested_taken(const struct agree_case *c, const struct agree_pair *pair)
{
	if (c->age != AGREE_OLD || pair->model.reason != 0x5b || AGREE_GET(c->pasid[0], 8, 6) != 3)
		return false;
	/* Pass-through cases have an empty second-stage table for this. */
	return c->stage == AGREE_PASS ? blocked(c, pair, c->write ? 0x05 : 0x06) : goes_on(c, pair);
}

/* ---- the table --------------------------------------------------------------------------------- */

const struct agree_deviation agree_deviations[] = {
	{
		.id = "legacy-codes",
		.section = "table 30",
		.model = "root, context and second-stage faults in scalable mode have reasons 38h "
			 "to 42h and 78h to 86h",
		.unit = "gives the legacy reasons 1h to Ch",
		.needs = NEEDS_SCALABLE,
		.matches = legacy_codes,
		.family = "scalable, root",
		.flaw = FLAW_ROOT_ABSENT,
	},
	{
		.id = "interrupt-code",
		.section = "3.15, LGN.4",
		.model = "a legacy-mode request that leads into the interrupt range gets Eh",
		.unit = "gives 87h wherever the unit can do scalable mode, whatever the mode is",
		.needs = NEEDS_SCALABLE,
		.matches = interrupt_code,
		.family = "legacy, 3",
		.flaw = FLAW_TARGET_INTERRUPT,
	},
	{
		.id = "interrupt-page",
		.section = "3.15, LGN.4 and SGN.8",
		.model = "a request is blocked if its own output address is in the interrupt range",
		.unit = "blocks every request to a large page that overlaps the range",
		.matches = interrupt_page,
		.family = "legacy, 3",
		.flaw = FLAW_TARGET_INTERRUPT,
	},
	{
		.id = "interrupt-read",
		.section = "5.1, table 15",
		.model = "a read from the interrupt range is no interrupt request: 29h",
		.unit = "answers it without a fault",
		.needs = NEEDS_FETCH,
		.matches = interrupt_read,
		.family = "legacy, pass",
		.flaw = FLAW_ADDRESS_INTERRUPT,
	},
	{
		.id = "context-fpd",
		.section = "table 30, qualified, LCT.3 and SCT.3",
		.model =
			"FPD of a context entry keeps the fault about its reserved bits unrecorded",
		.unit = "records it",
		.matches = context_fpd,
		.family = "legacy, root",
		.flaw = FLAW_CONTEXT_RESERVED,
		.fpd = true,
	},
	{
		.id = "pasid-fpd",
		.section = "table 30, qualified, SPD.2, SPT.2 and SPT.4",
		.model = "FPD of a PASID directory or PASID entry keeps faults about these entries "
			 "unrecorded",
		.unit = "looks at that FPD only once both entries are valid, and records them",
		.needs = NEEDS_SCALABLE,
		.matches = pasid_fpd,
		.family = "scalable, PASID",
		.flaw = FLAW_PASID_TYPE,
		.fpd = true,
	},
	{
		.id = "pass-pointer",
		.section = "9.3, SSPTPTR",
		.model = "a legacy pass-through entry's SSPTPTR is ignored",
		.unit = "checks its bits above the host address width: Bh",
		.matches = pass_pointer,
		.family = "legacy, pass",
		.flaw = FLAW_CONTEXT_BEYOND,
	},
	{
		.id = "pass-range",
		.section = "3.9, LGN.1 and SGN.4",
		.model = "a pass-through request above the host address width gets 4h or 83h",
		.unit = "lets it go, to where nothing answers, and records nothing",
		.matches = pass_range,
		.family = "legacy, pass",
		.flaw = FLAW_ADDRESS_BEYOND,
	},
	{
		.id = "rights-second",
		.section = "table 30, LSS and SSS before LGN.2, LGN.3, SGN.6 and SGN.7",
		.model = "permission is judged at the end of the walk: unreadable tables and "
			 "reserved bits come first",
		.unit = "gives 5h or 6h at the first level that lacks the right, before it looks "
			"at "
			"reserved bits and below",
		.matches = rights_second,
		.family = "legacy, ",
		.flaw = FLAW_ENTRY_RESERVED,
		.rights = true,
	},
	{
		.id = "snoop-bit",
		.section = "9.8, bit 11, LSS.2 and SSS.3",
		.model = "without ECAP.SC the snoop bit of a second-stage page is reserved: Ch or "
			 "7Ah",
		.unit = "ignores it wherever the unit can do scalable mode",
		.needs = NEEDS_SCALABLE | NEEDS_NO_SNOOP,
		.matches = snoop_bit,
		.family = "legacy, 3",
		.flaw = FLAW_ENTRY_SNOOP,
	},
	{
		.id = "rights-first",
		.section = "table 30, SFS before SGN.2 and SGN.6",
		.model = "user and write permission are judged at the end of the walk",
		.unit = "gives 81h or 85h at the first level that lacks the right",
		.needs = NEEDS_FIRST,
		.matches = rights_first,
		.family = "scalable, first",
		.flaw = FLAW_ENTRY_RESERVED,
		.rights = true,
	},
	{
		.id = "flags-unsnooped",
		.section = "9.6 PWSNP, SFS.9",
		.model = "without ECAP.SMPWCS first-stage tables are not snooped, and a flag that "
			 "is "
			 "to be set in them is fault 90h",
		.unit = "sets accessed and dirty flags all the same",
		.needs = NEEDS_FIRST,
		.matches = flags_unsnooped,
		.family = "scalable, first",
		.flaw = FLAW_ENTRY_NOT_ACCESSED,
	},
	{
		.id = "directory-reserved",
		.section = "9.5, SPD.3",
		.model = "reserved bits in a PASID directory entry are fault 52h",
		.unit = "ignores bits 11:2; a pointer above the host address width is followed, to "
			"58h",
		.needs = NEEDS_SCALABLE,
		.matches = directory_reserved,
		.family = "scalable, PASID",
		.flaw = FLAW_DIRECTORY_RESERVED,
	},
	{
		.id = "pasid-reserved",
		.section = "9.6, SPT.3",
		.model = "reserved bits in a PASID entry are fault 5Ah",
		.unit = "ignores them; a table pointer above the host address width is followed, "
			"to "
			"3h or 73h",
		.needs = NEEDS_SCALABLE,
		.matches = pasid_reserved,
		.family = "scalable, PASID",
		.flaw = FLAW_PASID_RESERVED,
	},
	{
		.id = "context-unchecked",
		.section = "9.4, SCT.3",
		.model = "RID_PASID and flags of features that are not there are reserved: 42h",
		.unit = "ignores them",
		.needs = NEEDS_SCALABLE,
		.matches = context_unchecked,
		.family = "scalable, root",
		.flaw = FLAW_CONTEXT_FLAGS,
	},
	{
		.id = "zero-entry",
		.section = "9.6, SPT.2",
		.model = "a PASID entry of zeroes is not present: 59h",
		.unit = "takes it for an invalid one: 5Bh",
		.needs = NEEDS_SCALABLE | NEEDS_NOT_OLD,
		.matches = zero_entry,
		.family = "scalable, PASID",
		.flaw = FLAW_PASID_ZERO,
	},
	{
		.id = "record-pasid",
		.section = "11.4.7, PP and PV",
		.model = "the fault of a request without PASID has PP=0 and PV=0",
		.unit = "before QEMU 11: PV=FFFFh in legacy mode; in scalable mode PP=1, PV=0",
		.needs = NEEDS_NOT_NEW,
		.matches = record_pasid,
		.family = "legacy, 3",
		.flaw = FLAW_ENTRY_NO_WRITE,
	},
	{
		.id = "pasid-codes",
		.section = "table 30, SPD and SPT",
		.model = "faults of PASID directory and entry have reasons 50h, 51h, 59h and 5Bh",
		.unit = "QEMU 7.2: 58h for all of them",
		.needs = NEEDS_OLD | NEEDS_SCALABLE,
		.matches = pasid_codes,
		.family = "scalable, PASID",
		.flaw = FLAW_PASID_ABSENT,
	},
	{
		.id = "rid-pasid",
		.section = "9.4, SCT.3",
		.model = "without ECAP.RPS, RID_PASID is reserved: 42h",
		.unit = "before QEMU 11: takes it for the PASID of requests that have none",
		.needs = NEEDS_NOT_NEW | NEEDS_SCALABLE,
		.matches = rid_pasid,
		.family = "scalable, root",
		.flaw = FLAW_CONTEXT_RID_PASID,
	},
	{
		.id = "nested-taken",
		.section = "9.6, PGTT, SPT.4",
		.model = "PGTT 3 without ECAP.NEST is fault 5Bh",
		.unit = "QEMU 7.2: walks the second stage alone",
		.needs = NEEDS_OLD | NEEDS_SECOND,
		.matches = nested_taken,
		.family = "scalable, PASID",
		.flaw = FLAW_PASID_TYPE,
	},
};

const unsigned agree_deviation_count = ARRAY_SIZE(agree_deviations);

const struct agree_deviation *agree_deviation_find(const struct agree_case *c,
                                                   const struct agree_pair *pair)
{
	for (unsigned i = 0; i < agree_deviation_count; i++)
		if (agree_deviations[i].matches(c, pair))
			return &agree_deviations[i];
	return NULL;
}

bool agree_deviation_fits(const struct agree_deviation *deviation, const struct agree_bench *bench,
                          uint64_t ecap, enum agree_age age)
{
	unsigned has = 0;

	has |= ecap >> 43 & 1 ? NEEDS_SCALABLE : 0;
	has |= ecap >> 46 & 1 ? NEEDS_SECOND : 0;
	has |= ecap >> 47 & 1 ? NEEDS_FIRST : 0;
	has |= age == AGREE_OLD ? NEEDS_OLD : NEEDS_NOT_OLD;
	has |= age == AGREE_NEW ? 0 : NEEDS_NOT_NEW;
	has |= ecap >> 7 & 1 ? 0 : NEEDS_NO_SNOOP;
	for (unsigned i = 0; i < bench->engine_count; i++)
		has |= bench->engines[i].can_fetch ? NEEDS_FETCH : 0;
	return !(deviation->needs & ~has);
}
