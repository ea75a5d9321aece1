/* SPDX-License-Identifier: MIT */
/*
 * What the files kernel/agree_*.c share. Registers and entries have their own definitions
 * here, taken from the specification and from neither the driver nor the model, so that a
 * mistyped field shows as a difference.
 */
#ifndef KERNEL_AGREE_PRIVATE_H
#define KERNEL_AGREE_PRIVATE_H

#include "iommu/string.h"
#include "iommu/types.h"
#include "kernel/agree.h"
#include "model/model.h"

#define AGREE_BIT(n)            (UINT64_C(1) << (n))
#define AGREE_MASK(high, low)   ((~UINT64_C(0) >> (63 - (high))) & ~(AGREE_BIT(low) - 1))
#define AGREE_GET(v, high, low) (((v)&AGREE_MASK(high, low)) >> (low))

/* ---- a unit, real or model: kernel/agree_side.c ----------------------------------------- */

enum agree_mode { AGREE_MODE_OFF, AGREE_MODE_LEGACY, AGREE_MODE_SCALABLE };

struct agree_side {
	const char *name;
	const struct agree_bench *bench;
	struct mmio window;
	uint64_t queue; /* physical; the status word lies in the page behind */
	uint64_t cap, ecap;
	enum agree_mode mode;
	uint64_t root; /* as it was last latched */
	uint32_t tail, serial;
	bool failed; /* it did not answer in time; said already */
};

/** A fault as recorded: F is set if there is one. */
struct agree_record {
	uint64_t low, high;
	bool overflow;
};

enum agree_scope { AGREE_ALL, AGREE_DOMAIN, AGREE_PAGE };

/** Make a unit use the tables at @p root in @p mode, and forget all it knew. False: it did
 *  not answer; said already. */
bool agree_side_use(struct agree_side *side, enum agree_mode mode, uint64_t root);
/** What software owes after it changed a page-table entry. @p first: first-stage tables. */
bool agree_side_forget(struct agree_side *side, enum agree_scope scope, bool first, uint16_t did,
                       uint64_t address, unsigned shift);
/** Translation and queue off. */
bool agree_side_off(struct agree_side *side);
/** Take the fault record and clear it. More than one fault shows as overflow. */
void agree_side_fault(struct agree_side *side, struct agree_record *out);

/* ---- cases: kernel/agree_case.c, kernel/agree_flaw.c ----------------------------------------- */

enum agree_stage { AGREE_FIRST, AGREE_SECOND, AGREE_PASS, AGREE_TABLES_ONLY };

struct agree_family {
	const char *name;
	bool scalable;
	enum agree_stage stage;
	uint8_t levels;
};

/** What is wrong with a case; each is one change to what would be valid. */
enum agree_flaw {
	FLAW_NONE,
	FLAW_ROOT_UNREADABLE,
	FLAW_ROOT_ABSENT,
	FLAW_ROOT_RESERVED,
	FLAW_ROOT_HIGH,
	FLAW_ROOT_BEYOND,
	FLAW_CONTEXT_UNREADABLE,
	FLAW_CONTEXT_ABSENT,
	FLAW_CONTEXT_RESERVED,
	FLAW_CONTEXT_HIGH,
	FLAW_CONTEXT_BEYOND,
	FLAW_CONTEXT_TYPE,
	FLAW_CONTEXT_WIDTH,
	FLAW_CONTEXT_FLAGS,
	FLAW_CONTEXT_RID_PASID,
	FLAW_DIRECTORY_UNREADABLE,
	FLAW_DIRECTORY_ABSENT,
	FLAW_DIRECTORY_RESERVED,
	FLAW_DIRECTORY_BEYOND,
	FLAW_PASID_UNREADABLE,
	FLAW_PASID_ABSENT,
	FLAW_PASID_ZERO,
	FLAW_PASID_RESERVED,
	FLAW_PASID_TYPE,
	FLAW_PASID_WIDTH,
	FLAW_PASID_PAGING,
	FLAW_TOP_UNREADABLE,
	FLAW_TOP_BEYOND,
	FLAW_ENTRY_UNREADABLE,
	FLAW_ENTRY_ABSENT,
	FLAW_ENTRY_RESERVED,
	FLAW_ENTRY_BEYOND,
	FLAW_ENTRY_ALIGN,
	FLAW_ENTRY_SIZE,
	FLAW_ENTRY_SNOOP,
	FLAW_ENTRY_NO_READ,
	FLAW_ENTRY_NO_WRITE,
	FLAW_ENTRY_NO_USER,
	FLAW_ENTRY_NOT_ACCESSED,
	FLAW_ENTRY_NOT_DIRTY,
	FLAW_TARGET_HOLE,
	FLAW_TARGET_INTERRUPT,
	FLAW_ADDRESS_BEYOND,
	FLAW_ADDRESS_INTERRUPT,
	FLAWS
};

/** The unit's version, as far as it matters here. No register tells it: it is found by two
 *  requests whose faults old versions record otherwise. */
enum agree_age {
	AGREE_NEW,    /* QEMU 11, and whatever keeps to the specification */
	AGREE_MIDDLE, /* QEMU 10 */
	AGREE_OLD,    /* QEMU 7.2 */
};

/** One request, with all that decides its fate. */
struct agree_case {
	uint64_t seed;
	uint32_t index;
	uint64_t random;
	const struct agree_bench *bench;
	const struct agree_engine *engine;
	const struct agree_family *family;
	uint64_t cap, ecap;
	enum agree_age age;
	enum agree_flaw flaw;
	bool write;
	uint32_t bytes;
	uint64_t address, target; /* input; where it should lead */
	enum agree_stage stage;
	unsigned levels, leaf; /* of the page tables */
	uint16_t did;
	bool fpd;
	uint64_t root_table; /* RTADDR without TTM */
	unsigned tables;     /* pages used */
	uint64_t root[2], context[4], directory, pasid[8];
	uint64_t root_at, context_at, directory_at, pasid_at;
	uint64_t entry[6], entry_at[6]; /* by level; at 0: not reached */
	uint64_t top;
	/* second step */
	bool changes;
	enum agree_scope scope;
	const char *change;
};

/** What a test asks for instead of leaving it to chance. */
struct agree_wish {
	const struct agree_family *family; /* NULL: any */
	enum agree_flaw flaw;
	bool has_flaw, plain, write, has_write, rights, fpd;
};

extern const struct agree_family agree_families[];
enum { AGREE_FAMILIES = 13 };
extern const char *const agree_flaw_names[FLAWS];

/** Can a unit with these capabilities have cases of this family? */
bool agree_family_fits(const struct agree_family *family, uint64_t cap, uint64_t ecap);
uint64_t agree_random(struct agree_case *c);
/** 0 to limit-1. */
unsigned agree_below(struct agree_case *c, unsigned limit);
/** Derive a case and write its tables into the bench's memory. */
void agree_case_build(struct agree_case *c, const struct agree_wish *wish);
/** Put @p c's flaw in, before the tables are written. */
void agree_flaw_apply(struct agree_case *c);
bool agree_flaw_fits(const struct agree_case *c, enum agree_flaw flaw);
/** Write one table word and make it visible. */
void agree_put(const struct agree_bench *bench, uint64_t at, uint64_t value);
uint64_t agree_table_page(struct agree_case *c);
unsigned agree_mgaw(uint64_t cap);
/** Bits of the input address that the tables translate. */
unsigned agree_width(const struct agree_case *c);
/** Change the leaf, say what was done, and whether the old entry may be cached. */
void agree_case_change(struct agree_case *c);

/* ---- answers: kernel/agree_compare.c ------------------------------------------------------------ */

struct agree_answer {
	bool moved;
	uint64_t at; /* where data went or came from */
	bool exact;  /* all of it, and nothing else */
	uint8_t reason;
	bool recorded;
	struct agree_record record;
};

struct agree_pair {
	struct agree_answer unit, model;
	bool tables_differ;
	uint64_t differ_at, unit_word, model_word; /* the first word of the tables that differs */
};

struct agree_run {
	const struct agree_bench *bench;
	struct agree_side unit, side;
	struct model_unit *model;
	uint32_t reports; /* of the model's sanitizer, about the registers that this test writes */
	char report[MODEL_REPORT_TEXT];
	bool buffer_stale; /* the slow engine's buffer does not hold AGREE_WORD */
	enum agree_age age;
	bool broken; /* an engine or a unit does not answer: nothing more can be said */
};

/** Present the request to both. @p invalidated: they were told what to forget already. */
void agree_pair_ask(struct agree_run *run, struct agree_case *c, bool again,
                    struct agree_pair *out);
/** Data, permission, record and flags are the same. */
bool agree_pair_same(const struct agree_pair *pair);

/* ---- deviations: kernel/agree_deviation.c ----------------------------------------------------------- */

enum {
	NEEDS_SECOND = 1 << 0, /* scalable second stage */
	NEEDS_FIRST = 1 << 1,
	NEEDS_SCALABLE = 1 << 2,
	NEEDS_FETCH = 1 << 3,
	NEEDS_NOT_OLD = 1 << 4,
	NEEDS_OLD = 1 << 5, /* enum agree_age */
	NEEDS_NO_SNOOP = 1 << 6,
	NEEDS_NOT_NEW = 1 << 7,
};

struct agree_deviation {
	const char *id, *section, *unit, *model;
	unsigned needs;
	bool (*matches)(const struct agree_case *c, const struct agree_pair *pair);
	const char *family; /* of its own case; a prefix of the name */
	enum agree_flaw flaw;
	bool rights; /* one level of its own case lacks the right */
	bool fpd;    /* fault processing is disabled in its own case */
};

extern const struct agree_deviation agree_deviations[];
extern const unsigned agree_deviation_count;
/** The deviation that explains a difference; NULL if none does. */
const struct agree_deviation *agree_deviation_find(const struct agree_case *c,
                                                   const struct agree_pair *pair);
bool agree_deviation_fits(const struct agree_deviation *deviation, const struct agree_bench *bench,
                          uint64_t ecap, enum agree_age age);

/* ---- text: kernel/agree_print.c ----------------------------------------------------------------------- */

void agree_case_print(const struct agree_case *c, const struct agree_pair *pair);

#endif
