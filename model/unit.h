/* SPDX-License-Identifier: MIT */
/*
 * The inside of a unit: its state, and what each file of the model offers the others.
 *
 * Invariants: an entry of a cache is present (or, with caching mode, a remembered
 * fault) and had no reserved bit set when it was read; `regs` holds the registers
 * that merely store, everything with a side effect has a field of its own.
 */
#ifndef MODEL_UNIT_H
#define MODEL_UNIT_H

#include "model/bits.h"
#include "model/model.h"
#include "model/registers.h"
#include "model/string.h"

/* CAP and ECAP, decoded once; names are the specification's. */
struct model_caps {
	unsigned major, did_bits, mgaw, mamv, records, fro, iro, mhmv, pss, slps;
	uint8_t sagaw;
	bool rwbf, plmr, phmr, cm, zlr, psi, fs1gp, pi, fs5lp, ecmds, esirtps, esrtps;
	bool c, qi, dt, ir, eim, pt, sc, mts, nest, prs, ers, srs, nwfs, eafs, pasid, dit, pds;
	bool smts, ssads, ssts, fsts, smpwcs, rps, pms, adms, rprivs, ptrs, ssirws, eimer, irreq;
};

enum model_entry_kind {
	MODEL_ENTRY_NONE,
	MODEL_ENTRY_ROOT,
	MODEL_ENTRY_CONTEXT,
	MODEL_ENTRY_DIRECTORY,
	MODEL_ENTRY_PASID,
	MODEL_ENTRY_FIRST,
	MODEL_ENTRY_SECOND,
	MODEL_ENTRY_INTERRUPT,
};

/* Where something that the unit holds came from. */
struct model_origin {
	uint8_t kind, level;
	uint64_t address, value;
};

/* ---- caches: every entry begins with a slot ------------------------------------- */

struct model_slot {
	bool valid;
	bool reported; /* the sanitizer has told of it */
};

struct model_cached_context {
	struct model_slot slot;
	uint16_t sid, did;
	uint8_t fault; /* caching mode: what the entry's absence meant */
	bool fpd;
	uint64_t address;
	uint64_t raw[4];
};

struct model_cached_pasid {
	struct model_slot slot;
	uint16_t sid, did;
	uint8_t fault;
	bool fpd;
	uint32_t pasid;
	struct model_origin directory;
	uint64_t address;
	uint64_t raw[8];
};

/* PGTT of a PASID-table entry; legacy translation counts as second stage. */
enum { MODEL_PGTT_FIRST = 1, MODEL_PGTT_SECOND = 2, MODEL_PGTT_NESTED = 3, MODEL_PGTT_PASS = 4 };

/* A translation: what a walk finds and what the IOTLB keeps. */
struct model_page {
	uint64_t output;
	uint8_t shift;
	bool read, write, execute;
	bool dirty; /* the dirty bits that a write would set are set */
	bool snoop; /* leaf SNP or PGSNP: the access always snoops */
	enum model_memory_type type;
	uint8_t emt, pat;                  /* what the entries say about the type */
	bool ipat;                         /* EMT alone decides the memory type */
	struct model_origin first, second; /* the leaves */
};

struct model_cached_page {
	struct model_slot slot;
	uint16_t sid, did;
	bool has_pasid, privileged;
	bool fpd;     /* on the way to it: faults are not recorded */
	bool may_ask; /* requests for execution are enabled (ERE, before 5.x) */
	uint8_t pgtt, fault;
	uint32_t pasid;
	uint64_t address; /* input, aligned to the page */
	struct model_page page;
};

/* A non-leaf entry: the way to a table, keyed by the address bits above it. */
struct model_cached_table {
	struct model_slot slot;
	uint16_t did;
	bool nested;
	uint8_t level; /* of the table that it leads to */
	uint32_t pasid;
	uint64_t address, root;
	uint64_t table;                  /* host address of that table */
	bool read, write, execute, user; /* rights so far; user and write are first stage's */
	bool table_writable;             /* nested: second stage lets flags be set in the table */
	struct model_origin origin,
		host; /* the entry; nested: the second-stage leaf of the table */
};

struct model_cached_interrupt {
	struct model_slot slot;
	uint16_t index;
	uint8_t fault;
	bool fpd;
	uint64_t address;
	uint64_t raw[2];
};

struct model_store {
	uint8_t *entries;
	uint32_t size, capacity, used, next;
};

/* ---- event messages --------------------------------------------------------------- */

struct model_message {
	uint32_t control, data, address, upper;
};

/* ---- faults ------------------------------------------------------------------------ */

struct model_record {
	uint64_t low, high;
};

#define MODEL_MAX_RECORDS  256
#define MODEL_MAX_COUNTERS 16

struct model_counter {
	uint64_t config, value;
	uint32_t filter[8]; /* by (offset - 8) / 4: RID, DID, PASID, AT, level */
};

struct model_unit {
	struct model_config config;
	struct model_hooks hooks;
	struct model_caps caps;
	struct model_statistics statistics;
	uint64_t now, random;
	uint32_t regs[MODEL_PAGE / 4];

	/* global command */
	uint32_t gsts, gcmd_pending;
	uint64_t gcmd_due;
	bool gcmd_busy;
	uint64_t root, irta;              /* as latched */
	bool root_fresh, interrupt_fresh; /* latched since the last disable */
	uint8_t root_owed;                /* MODEL_OWED_: invalidations due since SRTP */
	bool interrupt_owed;

	/* register invalidation */
	uint64_t ccmd, iotlb, iva, ccmd_due, iotlb_due;
	bool iva_written;

	/* queue */
	uint64_t iqa;
	uint32_t iqh, iqt, queue_unawaited;
	uint64_t queue_due, iqercd;
	bool queue_running, last_was_wait, unfenced;
	bool wait_held; /* a wait is held up by a device that does not answer */
	bool device_silent;
	uint64_t device_due;
	uint16_t device_sid;

	/* faults and events */
	uint32_t fsts; /* PFO, IQE, ICE, ITE and FRI; PPF is computed */
	struct model_record records[MODEL_MAX_RECORDS];
	unsigned record_next;
	struct model_message fault_event, invalidation_event, page_event, counter_event;
	uint32_t ics, prs, perfintrsts;

	/* page requests */
	uint64_t pqa;
	uint32_t pqh, pqt;

	/* protected memory */
	uint32_t pmen;
	bool pmr_on, pmr_busy;
	uint64_t pmr_due;

	/* enhanced commands and counters */
	uint64_t ecmd, ecrsp, ecmd_due;
	struct model_counter counters[MODEL_MAX_COUNTERS];
	uint64_t frozen, overflow;

	/* sanitizer */
	unsigned held;
	uint64_t flooded; /* reports held back because their kind is masked */

	struct model_store stores[MODEL_CACHES];
};

enum { MODEL_OWED_CONTEXT = 1, MODEL_OWED_PASID = 2, MODEL_OWED_IOTLB = 4 };

/* ---- a request on its way through the tables -------------------------------------- */

struct model_context {
	bool legacy, fpd;
	uint64_t address, raw[4];
};

struct model_pasid {
	bool fpd;
	uint64_t address, raw[8];
	struct model_origin directory;
};

struct model_walk {
	struct model_unit *unit;
	const struct model_request *request;
	struct model_result *result;
	bool peek;        /* no caches, no flags set, nothing counted */
	bool peek_memory; /* peek: as the processor sees memory */
	bool used_cache, unsnooped;
	bool fpd, set_fpd;
	bool wants_read, wants_write; /* the access itself */
	bool marks_dirty;             /* it counts as a write for dirty bits */
	bool privileged;
	uint32_t pasid; /* the one in effect */
	uint8_t pgtt;
	uint16_t did;
	struct model_context context;
	struct model_pasid entry;
	struct model_origin last; /* the entry that was read last */
	struct model_page page;
	bool page_known;
};

/* A second-stage tree. */
struct model_second {
	uint64_t table;
	uint8_t levels;
	bool legacy, snooped, flags;
	uint16_t did;
};

/* A first-stage tree. */
struct model_first {
	uint64_t table;
	uint8_t levels;
	bool snooped, extended, protect, execute;
	bool nested;
	struct model_second second;
	uint16_t did;
	uint32_t pasid;
};

/* ---- unit.c ------------------------------------------------------------------------ */

void model_caps_decode(struct model_caps *caps, const struct model_config *config);
uint64_t model_random(struct model_unit *unit);
/** now + latency without wrapping; MODEL_NEVER stays. */
uint64_t model_due(const struct model_unit *unit, uint64_t latency);

/* ---- memory.c ---------------------------------------------------------------------- */

bool model_memory_read(struct model_unit *unit, uint64_t address, void *out, size_t bytes,
                       bool snooped);
bool model_memory_write(struct model_unit *unit, uint64_t address, const void *in, size_t bytes);

/** Read of the root, context and PASID tables, snooped as ECAP.C says. */
bool model_walk_read_table(struct model_walk *walk, uint64_t address, void *out, size_t bytes);
/** Read one paging entry, counting it. */
bool model_walk_read(struct model_walk *walk, uint64_t address, uint64_t *value, bool snooped,
                     enum model_entry_kind kind, unsigned level);
/** Set flags in a paging entry, atomically; *value is what it was, and is updated. */
enum model_swap model_walk_set(struct model_walk *walk, uint64_t address, uint64_t *value,
                               uint64_t flags);

/* ---- command.c ---------------------------------------------------------------------- */

void model_command_write(struct model_unit *unit, uint32_t value);
void model_command_tick(struct model_unit *unit);

/* ---- queue.c ------------------------------------------------------------------------ */

void model_queue_write_tail(struct model_unit *unit, uint32_t value);
void model_queue_run(struct model_unit *unit);
void model_queue_enable(struct model_unit *unit, bool enable);
unsigned model_queue_entry_bytes(const struct model_unit *unit);
uint32_t model_queue_bytes(const struct model_unit *unit);

/* ---- descriptor.c -------------------------------------------------------------------- */

/** Check a descriptor: 0 or the IQEI code. */
unsigned model_descriptor_check(const struct model_unit *unit, const uint64_t d[4]);
/** Do what a descriptor (other than a wait) asks. */
void model_descriptor_run(struct model_unit *unit, const uint64_t d[4]);

/* ---- invalidate.c -------------------------------------------------------------------- */

void model_invalidate_register_context(struct model_unit *unit, uint64_t value);
void model_invalidate_register_iotlb(struct model_unit *unit, uint64_t value);
void model_invalidate_tick(struct model_unit *unit);
void model_invalidate_everything(struct model_unit *unit);
/** G as in the descriptor: 1 global, 2 domain, 3 device. */
void model_invalidate_context(struct model_unit *unit, unsigned g, uint16_t did, uint16_t sid,
                              unsigned fm);
/** G as in the descriptor: 0 domain, 1 PASID in domain, 3 global. */
void model_invalidate_pasid(struct model_unit *unit, unsigned g, uint16_t did, uint32_t pasid);
/** G as in the descriptor: 1 global, 2 domain, 3 pages. */
void model_invalidate_iotlb(struct model_unit *unit, unsigned g, uint16_t did, uint64_t address,
                            unsigned am, bool ih);
/** G as in the descriptor: 2 PASID, 3 pages. */
void model_invalidate_pasid_iotlb(struct model_unit *unit, unsigned g, uint16_t did, uint32_t pasid,
                                  uint64_t address, unsigned am, bool ih);
void model_invalidate_interrupt(struct model_unit *unit, bool global, uint16_t index, unsigned im);

/* ---- cache.c -------------------------------------------------------------------------- */

size_t model_cache_bytes(const struct model_config *config);
void model_cache_place(struct model_unit *unit, void *memory);
void model_cache_clear(struct model_unit *unit, enum model_cache which);
/** A slot for a new entry, zeroed and valid, or NULL if the policy is to remember nothing. */
void *model_cache_take(struct model_unit *unit, enum model_cache which);
/** The entry at an index, or NULL if that slot is empty. */
void *model_cache_at(const struct model_unit *unit, enum model_cache which, uint32_t index);
void model_cache_drop(struct model_unit *unit, enum model_cache which, void *entry);
/** Count a lookup; and forget something, if the policy is random. */
void model_cache_count(struct model_unit *unit, enum model_cache which, bool hit);
/** Before a lookup: forget something, if the policy is random. */
void model_cache_disturb(struct model_unit *unit, enum model_cache which);

#define MODEL_CACHE_EACH(unit, which, type, entry)                                                 \
	for (uint32_t entry##_i = 0; entry##_i < (unit)->stores[which].used; entry##_i++)          \
		for (type *entry = model_cache_at((unit), (which), entry##_i); entry; entry = NULL)

/* ---- fault.c --------------------------------------------------------------------------- */

/** Answer a request with a fault: response, and a record unless the tables say otherwise. */
void model_fault_answer(struct model_walk *walk, uint8_t code);
/** Record an interrupt-remapping fault; `info` goes to FI. */
void model_fault_interrupt(struct model_unit *unit, uint16_t requester, uint8_t code, uint64_t info,
                           bool fpd);
void model_fault_status(struct model_unit *unit, uint32_t bit);
uint32_t model_fault_read_status(const struct model_unit *unit);
void model_fault_write_status(struct model_unit *unit, uint32_t value);
uint32_t model_fault_read_record(const struct model_unit *unit, uint64_t offset);
void model_fault_write_record(struct model_unit *unit, uint64_t offset, uint32_t value);

/* ---- event.c ---------------------------------------------------------------------------- */

void model_event_raise(struct model_unit *unit, struct model_message *message,
                       enum model_source_kind source);
void model_event_write_control(struct model_unit *unit, struct model_message *message,
                               enum model_source_kind source, uint32_t value);
void model_event_send(struct model_unit *unit, enum model_source_kind source, uint64_t address,
                      uint32_t data);
void model_event_report(struct model_unit *unit, const struct model_event *event);

/* ---- context.c, pasid.c: the tables above the page tables --------------------------------- */

/** Find the context entry of a request: 0 or a fault reason. */
uint8_t model_context_find(struct model_walk *walk);
/** Find the PASID entry of a request, walk->pasid in effect: 0 or a fault reason. */
uint8_t model_pasid_find(struct model_walk *walk);
unsigned model_ttm(const struct model_unit *unit);
/** Address bits at or above HAW that are set. */
uint64_t model_above_haw(const struct model_unit *unit, uint64_t address);
/** Levels that an AW encoding means; 0 if the unit has no such width. */
unsigned model_aw_levels(const struct model_unit *unit, unsigned aw);

/* ---- second_stage.c, first_stage.c --------------------------------------------------------- */

/**
 * Translate `address`. `read`, `write`: rights that flags may be set for; `dirty`: the
 * access writes. Fills page->{output, shift, read, write, dirty, snoop, emt, ipat} even when
 * rights are missing (then it sets no flag in the leaf); output is of the very address. Returns 0 or a fault reason.
 */
uint8_t model_second_walk(struct model_walk *walk, const struct model_second *second,
                          uint64_t address, bool read, bool write, bool dirty,
                          struct model_page *page);
uint8_t model_first_walk(struct model_walk *walk, const struct model_first *first,
                         struct model_page *page);
/** Largest address + 1 that the second stage takes, as a number of bits. */
unsigned model_second_width(const struct model_unit *unit, unsigned levels);

/* ---- translate.c ---------------------------------------------------------------------------- */

/** Translate a request through tables and caches: 0 or a fault reason. */
uint8_t model_translate(struct model_walk *walk);
void model_walk_begin(struct model_walk *walk, struct model_unit *unit,
                      const struct model_request *request, struct model_result *result);

/* ---- memory_type.c ---------------------------------------------------------------------------- */

/** The memory type of walk->page, by the tables that led there. */
enum model_memory_type model_memory_type(const struct model_walk *walk);

/* ---- interrupt.c ------------------------------------------------------------------------------ */

void model_interrupt_request(struct model_unit *unit, uint64_t address, uint32_t data,
                             uint16_t requester, struct model_result *result);

/* ---- page_request.c ----------------------------------------------------------------------------- */

void model_page_request(struct model_walk *walk);
void model_page_response(struct model_unit *unit, const uint64_t d[4]);
void model_page_write_status(struct model_unit *unit, uint32_t value);
void model_page_write_head(struct model_unit *unit, uint32_t value);

/* ---- pmr.c --------------------------------------------------------------------------------------- */

bool model_pmr_blocks(const struct model_unit *unit, uint64_t address, uint64_t bytes);
void model_pmr_write_enable(struct model_unit *unit, uint32_t value);
void model_pmr_tick(struct model_unit *unit);
void model_pmr_write_limit(struct model_unit *unit, uint32_t offset, uint32_t value);
uint32_t model_pmr_read(const struct model_unit *unit, uint32_t offset);

/* ---- ecmd.c, perfmon.c ------------------------------------------------------------------------------ */

/** Start what ECMD holds; no command is in progress. */
void model_ecmd_start(struct model_unit *unit);
void model_ecmd_tick(struct model_unit *unit);

/* Events that counters count: group in bits 31:28, bit of that group below (11.4.13). */
enum model_count {
	MODEL_COUNT_REQUESTS = 0x0 << 28 | 0x2,
	MODEL_COUNT_ATS_BLOCKED = 0x0 << 28 | 0x8,
	MODEL_COUNT_READS = 0x1 << 28 | 0x1,
	MODEL_COUNT_PAGE_REQUESTS = 0x1 << 28 | 0x40,
	MODEL_COUNT_CONTEXT_LOOKUP = 0x2 << 28 | 0x1,
	MODEL_COUNT_CONTEXT_HIT = 0x2 << 28 | 0x2,
	MODEL_COUNT_PASID_LOOKUP = 0x2 << 28 | 0x4,
	MODEL_COUNT_PASID_HIT = 0x2 << 28 | 0x8,
	MODEL_COUNT_SECOND_LOOKUP = 0x2 << 28 | 0x10,
	MODEL_COUNT_SECOND_HIT = 0x2 << 28 | 0x20,
	MODEL_COUNT_FIRST_LOOKUP = 0x2 << 28 | 0x40,
	MODEL_COUNT_FIRST_HIT = 0x2 << 28 | 0x80,
	MODEL_COUNT_IOTLB_LOOKUP = 0x3 << 28 | 0x1,
	MODEL_COUNT_IOTLB_HIT = 0x3 << 28 | 0x2,
	MODEL_COUNT_INTERRUPT_LOOKUP = 0x4 << 28 | 0x1,
	MODEL_COUNT_INTERRUPT_HIT = 0x4 << 28 | 0x2,
	MODEL_COUNT_POSTED_HIT = 0x4 << 28 | 0x4,
};

#define MODEL_PERF_CONFIG 0x800 /* PERFCFGOFF: 100h per counter, in the second register page */
#define MODEL_PERF_PAGES  4

void model_count(struct model_unit *unit, enum model_count event,
                 const struct model_request *request);
uint64_t model_perfmon_base(const struct model_unit *unit);
uint32_t model_perfmon_read(const struct model_unit *unit, uint64_t offset);
void model_perfmon_write(struct model_unit *unit, uint64_t offset, uint32_t value);
bool model_perfmon_owns(const struct model_unit *unit, uint64_t offset);
uint32_t model_perfmon_read_register(const struct model_unit *unit, uint32_t offset);
/** An enhanced command F0h to F5h: the status code. */
unsigned model_perfmon_command(struct model_unit *unit, unsigned command, uint64_t operand);

/* ---- report.c, sanitizer.c, reach.c -------------------------------------------------------------------- */

struct model_text {
	char *at;
	size_t room;
};

void model_text_add(struct model_text *text, const char *words);
void model_text_hex(struct model_text *text, uint64_t value);
void model_text_number(struct model_text *text, uint64_t value);
void model_text_entry(struct model_text *text, const struct model_origin *origin);

bool model_sanitizing(const struct model_unit *unit);
/** Fill in the kind and send the report. */
void model_report_send(struct model_unit *unit, enum model_report_kind kind,
                       struct model_report *report);
/** A report without a request: `words` then the offset or number in `value`. */
void model_report_register(struct model_unit *unit, uint64_t offset, const char *words,
                           uint64_t value);
void model_report_simple(struct model_unit *unit, enum model_report_kind kind, const char *words,
                         uint64_t value);
void model_report_reserved(struct model_walk *walk, uint64_t bits);
void model_report_begin(struct model_report *report, struct model_text *text,
                        const struct model_walk *walk);

/** After a request: was what the caches said still what memory holds? */
void model_sanitizer_request(struct model_walk *walk, uint8_t fault);
void model_sanitizer_interrupt(struct model_unit *unit, struct model_cached_interrupt *entry,
                               uint64_t address, uint16_t requester);
/** After the read of an interrupt entry that is not snooped: does the processor see the same? */
void model_sanitizer_interrupt_read(struct model_unit *unit, uint64_t entry, const uint64_t raw[2],
                                    uint64_t address, uint16_t requester);
/** A device is about to use what it remembers: would the tables still say so? */
void model_sanitizer_device(struct model_unit *unit, const struct model_request *request,
                            uint64_t output, bool read, bool write);
/** Before an invalidation: did a present entry change its shape? */
void model_sanitizer_scan(struct model_unit *unit);
/** Before a context or PASID entry is remembered: do domain ids contradict each other? */
void model_sanitizer_domain(struct model_walk *walk);
/** Report every path from the root that leads to [address, address + bytes). */
unsigned model_reach(struct model_unit *unit, uint64_t address, uint64_t bytes);

#endif
