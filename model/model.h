/* SPDX-License-Identifier: MIT */
/*
 * A reference model of an Intel VT-d remapping unit, written from the VT-d
 * specification (revision 4.1 and later; section numbers are those of 5.10).
 *
 * What it is for: software that programs such a unit (a driver, a hypervisor, an
 * emulator) runs against it as against hardware: registers are read and written,
 * tables lie in the caller's memory, DMA and interrupt requests are presented and
 * come back translated, or with the fault that the unit would record. A sanitizer
 * tells of mistakes that hardware would punish only now and then: a translation
 * that memory no longer holds, an entry changed while in use, a table freed while
 * the unit can still reach it, a register written at a forbidden moment.
 *
 * Properties: no global state, no allocation, no clock: the caller supplies the
 * memory of a unit and says when time passes, so one program can hold many units
 * and every run is repeatable. A unit must not be entered by two threads at once,
 * nor from its own hooks. Values in memory are little-endian, as is the machine
 * that runs the model. It never passes for hardware: its reports say "model".
 *
 * A first program: model_preset_find(), model_unit_bytes(), model_unit_init(),
 * then model_read()/model_write() from the driver's register accessors and
 * model_dma() where a device would master the bus.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_unit;

/** A latency that never ends: the command stays pending for ever. */
#define MODEL_NEVER UINT64_MAX

/* ---- memory ------------------------------------------------------------------- */

enum model_swap {
	MODEL_SWAP_DONE,    /* the value was as expected and is replaced */
	MODEL_SWAP_CHANGED, /* the value is another one; nothing was written */
	MODEL_SWAP_FAILED,  /* no such memory, or an error */
};

/**
 * How the unit reaches memory. Addresses are host physical.
 *
 * read, write: move `bytes` (1 to 64, never across a 64-byte line) and return true; false is a
 * failed access (no memory there, poisoned data). `snooped` false means that the access
 * does not look into processor caches: a bench that keeps two views of memory answers
 * from the one that holds only what was cleaned.
 * swap64: atomic compare-and-exchange of an aligned 64-bit word; always snooped.
 */
struct model_memory_ops {
	bool (*read)(void *context, uint64_t address, void *out, size_t bytes, bool snooped);
	bool (*write)(void *context, uint64_t address, const void *in, size_t bytes, bool snooped);
	enum model_swap (*swap64)(void *context, uint64_t address, uint64_t expected,
	                          uint64_t desired);
};

/* ---- events ------------------------------------------------------------------- */

/** Who raised an interrupt message of the unit itself (11.4.7 and others). */
enum model_source_kind {
	MODEL_SOURCE_FAULT,
	MODEL_SOURCE_INVALIDATION,
	MODEL_SOURCE_PAGE_REQUEST,
	MODEL_SOURCE_PERFMON,
	MODEL_SOURCE_POSTED, /* the notification of a posted-interrupt descriptor */
};

/** What the sanitizer can find. Each is one bit of model_config.report_mask. */
enum model_report_kind {
	MODEL_REPORT_STALE,       /* a cached translation that memory no longer holds */
	MODEL_REPORT_NOT_CLEANED, /* the unit sees an older entry than the processor */
	MODEL_REPORT_LIVE_CHANGE, /* a present entry changed without not-present between */
	MODEL_REPORT_RESERVED,    /* reserved bits set in an entry that was used */
	MODEL_REPORT_FREED,       /* a freed table that the unit can still reach */
	MODEL_REPORT_REGISTER,    /* a register accessed in a state or way not allowed */
	MODEL_REPORT_TAIL,        /* the queue's tail passed its head, or left the queue */
	MODEL_REPORT_UNFENCED,    /* descriptors behind a wait that does not fence them */
	MODEL_REPORT_NOT_AWAITED, /* invalidations whose end nobody waits for */
	MODEL_REPORT_STRUCTURE,   /* entries that contradict each other (domain ids) */
	MODEL_REPORT_KINDS
};

#define MODEL_REPORT_TEXT 200

struct model_report {
	enum model_report_kind kind;
	uint16_t requester; /* valid if has_requester */
	bool has_requester;
	bool has_pasid;
	uint32_t pasid;
	uint64_t address;             /* the request's address, or the register's offset */
	uint64_t entry;               /* where the entry in question lies; 0 if none */
	uint64_t expected;            /* what the unit holds */
	uint64_t found;               /* what memory holds */
	char text[MODEL_REPORT_TEXT]; /* one line for people, begins with "model: " */
};

enum model_event_kind {
	MODEL_EVENT_INTERRUPT,     /* an interrupt message was sent */
	MODEL_EVENT_WAIT_STATUS,   /* an invalidation wait wrote its status */
	MODEL_EVENT_PAGE_REQUEST,  /* a page request lies in the queue */
	MODEL_EVENT_PAGE_RESPONSE, /* a page group response goes to a device */
	MODEL_EVENT_FAULT,         /* a fault was recorded */
	MODEL_EVENT_REPORT,        /* the sanitizer has found something */
};

struct model_event {
	enum model_event_kind kind;
	enum model_source_kind source; /* of an interrupt */
	uint64_t address;              /* of the message, the status word, the request, the fault */
	uint32_t data;                 /* of the message or the status word */
	uint16_t requester;            /* of a page request, page response or fault */
	bool has_pasid;
	uint32_t pasid;
	uint16_t group;   /* page request group index (9 bits) */
	uint8_t response; /* of a page response: 0 success, 1 invalid, Fh failure */
	uint8_t reason;   /* of a fault */
	const struct model_report *report; /* valid during the call */
};

/** An invalidation that a device must perform in its translation cache (6.5.2.5, 6.5.2.8). */
struct model_device_invalidation {
	uint16_t requester;
	uint16_t physical_function; /* PFSID; equals 0 where DIT is absent */
	bool has_pasid;
	bool global; /* all PASIDs */
	uint32_t pasid;
	uint64_t address; /* first byte */
	uint64_t last;    /* last byte; UINT64_MAX for everything */
};

enum model_device_answer {
	MODEL_DEVICE_DONE,
	MODEL_DEVICE_SILENT, /* no completion comes: ITE after the timeout */
	MODEL_DEVICE_WRONG,  /* a completion that does not fit: ICE */
};

/** What a bench supplies. All but `memory` may be NULL. */
struct model_hooks {
	void *context;
	struct model_memory_ops memory;
	void (*event)(void *context, const struct model_event *event);
	enum model_device_answer (*device_invalidate)(
		void *context, const struct model_device_invalidation *invalidation);
};

/* ---- a unit's shape ------------------------------------------------------------ */

enum model_cache {
	MODEL_CACHE_CONTEXT,
	MODEL_CACHE_PASID,
	MODEL_CACHE_IOTLB,
	MODEL_CACHE_FIRST_STAGE,  /* its non-leaf entries */
	MODEL_CACHE_SECOND_STAGE, /* its non-leaf entries */
	MODEL_CACHE_INTERRUPT,
	MODEL_CACHES
};

enum model_policy {
	MODEL_POLICY_KEEP,   /* forget only when told to, or when full */
	MODEL_POLICY_NONE,   /* remember nothing */
	MODEL_POLICY_RANDOM, /* forget at random, as the seed decides */
};

/** Nanoseconds of model_tick() time; 0 completes at once, MODEL_NEVER does not complete. */
struct model_latency {
	uint64_t command;      /* GCMD, PMEN */
	uint64_t descriptor;   /* each descriptor of the invalidation queue */
	uint64_t invalidation; /* CCMD and IOTLB registers */
	uint64_t enhanced;     /* ECMD */
	uint64_t device;       /* until an unanswered device-TLB invalidation sets ITE */
};

/** All that distinguishes one unit from another. Start from a preset and change fields. */
struct model_config {
	const char *name;
	const char *description;
	uint32_t version;   /* VER: 7:4 major, 3:0 minor */
	uint64_t cap, ecap; /* 11.4.2, 11.4.3 */
	uint64_t eccap3;    /* enhanced commands F0h to F5h at bits 48 to 53; needs CAP.ECMDS */
	uint8_t haw;        /* host address width, 32 to 52 */
	uint8_t pmr_shift;  /* protected memory regions are multiples of 2^pmr_shift bytes */
	uint8_t counters;   /* performance counters, 0 to 16; needs ECAP.PMS */
	uint32_t capacity[MODEL_CACHES]; /* entries; 0 takes a generous default */
	enum model_policy policy;
	uint64_t seed;        /* of MODEL_POLICY_RANDOM */
	bool over_invalidate; /* each invalidation empties all DMA (or interrupt) caches */
	bool sanitize;        /* look for mistakes and report them */
	uint32_t report_mask; /* 1 << kind of those to report; 0 means all */
	struct model_latency latency;
};

/** The number of presets, and each of them; NULL past the end. */
unsigned model_preset_count(void);
const struct model_config *model_preset(unsigned index);
/** A preset by its name ("qemu-7.2", "nesting", ...), or NULL. */
const struct model_config *model_preset_find(const char *name);

/** NULL if a unit of this shape can exist, else one line that says why not. */
const char *model_config_check(const struct model_config *config);

/** Bytes that a unit of this shape needs, its caches included; 0 if it cannot exist. */
size_t model_unit_bytes(const struct model_config *config);

/**
 * Make a unit in its state after reset, in memory that the caller owns (aligned to 16
 * bytes, at least model_unit_bytes() long). Hooks and shape are copied. There is
 * nothing to tear down: the caller takes its memory back. NULL if the shape cannot
 * exist or the memory does not suffice.
 */
struct model_unit *model_unit_init(void *memory, size_t bytes, const struct model_config *config,
                                   const struct model_hooks *hooks);

/** Back to the state after reset: registers, queues and caches; time and counts remain. */
void model_unit_reset(struct model_unit *unit);

const struct model_config *model_unit_config(const struct model_unit *unit);

/* ---- registers and time ---------------------------------------------------------- */

/** Bytes of the unit's register window: 4 KiB times a power of two. */
uint64_t model_register_bytes(const struct model_unit *unit);

/**
 * Read or write a register, `bytes` 4 or 8, naturally aligned. Any other access is
 * reported; it reads as all ones and writes nothing.
 */
uint64_t model_read(struct model_unit *unit, uint64_t offset, unsigned bytes);
void model_write(struct model_unit *unit, uint64_t offset, unsigned bytes, uint64_t value);

/** Let time pass; whatever is due by then completes, in order. */
void model_tick(struct model_unit *unit, uint64_t nanoseconds);
uint64_t model_now(const struct model_unit *unit);

/* ---- DMA ------------------------------------------------------------------------- */

enum model_request_kind {
	MODEL_UNTRANSLATED, /* AT 00 */
	MODEL_TRANSLATION,  /* AT 01: an ATS translation request */
	MODEL_TRANSLATED,   /* AT 10 */
	MODEL_PAGE_REQUEST, /* a page request message */
};

enum model_access { MODEL_READ, MODEL_WRITE, MODEL_ATOMIC };

struct model_request {
	enum model_request_kind kind;
	enum model_access access; /* of untranslated and translated requests */
	uint16_t requester;
	bool has_pasid;
	uint32_t pasid;
	bool privileged, execute; /* PR and ER; only with a PASID */
	bool no_write;            /* NW of a translation request */
	bool no_snoop;            /* NS of an untranslated request */
	uint64_t address;
	uint32_t bytes; /* 0 is a zero-length read; the request must stay within 4 KiB */
	uint32_t data;  /* of a 4-byte write, wanted where it is an interrupt request */
	/* page requests: */
	bool page_read, page_write, last; /* RD, WR, LPIG */
	uint16_t group;                   /* PRGI */
};

enum model_response {
	MODEL_SUCCESS,
	MODEL_UNSUPPORTED,     /* UR */
	MODEL_ABORT,           /* CA */
	MODEL_INVALID_REQUEST, /* page request: answered with Invalid Request */
	MODEL_DROPPED,         /* page request: not stored and no answer due */
};

/** Memory types, as the specification codes them. */
enum model_memory_type {
	MODEL_TYPE_UC = 0,
	MODEL_TYPE_WC = 1,
	MODEL_TYPE_WT = 4,
	MODEL_TYPE_WP = 5,
	MODEL_TYPE_WB = 6,
};

struct model_result {
	enum model_response response;
	uint8_t fault;         /* reason code; 0 if none */
	bool logged;           /* it went to the fault records (or would have, but for overflow) */
	bool protected_memory; /* blocked by a protected memory region */
	uint64_t address;      /* the host address of the request's address */
	uint64_t page_bytes;   /* size of the page that the translation covers */
	bool read, write, execute; /* what the translation permits */
	bool privileged;           /* translation completion: Priv */
	bool snoop;                /* the access looks into processor caches */
	bool no_snoop;             /* translation completion: N */
	bool untranslated_only;    /* translation completion: U */
	enum model_memory_type type;
	bool cached;                                    /* the IOTLB answered */
	unsigned first_stage_reads, second_stage_reads; /* entries read by this request */
	/* interrupt requests: */
	bool interrupt; /* it was one; a message (unless posted) follows */
	bool posted;
	uint64_t message_address;
	uint32_t message_data;
	bool stored; /* page request: it lies in the queue */
};

/**
 * Present a request. Fills `result` whole; returns true if the access (or translation, or
 * page request) succeeded. Faults are recorded as hardware records them.
 */
bool model_dma(struct model_unit *unit, const struct model_request *request,
               struct model_result *result);

/**
 * Present an interrupt request: a 4-byte write of `data` to FEEx_xxxxh by `requester`.
 * On success the message in `result` is what reaches the processor, unless it was posted.
 */
bool model_interrupt(struct model_unit *unit, uint64_t address, uint32_t data, uint16_t requester,
                     struct model_result *result);

/* ---- the translation cache of a device ---------------------------------------------- */

struct model_device_tlb_entry {
	bool valid, has_pasid, privileged, read, write, execute;
	uint32_t pasid;
	uint64_t address, bytes, output;
};

/** One function's cache. The caller owns it and the entries. */
struct model_device_tlb {
	struct model_unit *unit;
	uint16_t requester;
	uint32_t count, next;
	struct model_device_tlb_entry *entries;
	uint64_t hits, misses;
};

void model_device_tlb_init(struct model_device_tlb *tlb, struct model_unit *unit,
                           uint16_t requester, struct model_device_tlb_entry *entries,
                           uint32_t count);
/**
 * What a device with ATS does for an access: take the translation from the cache or
 * request it, then present a translated request. `request->kind` is not looked at.
 * False with response MODEL_SUCCESS means: no permission (`fault` says why, if a table ended), a
 * page request is due.
 */
bool model_device_tlb_access(struct model_device_tlb *tlb, const struct model_request *request,
                             struct model_result *result);
/** Perform an invalidation; entries of other requesters are left alone. Returns how many went. */
unsigned model_device_tlb_invalidate(struct model_device_tlb *tlb,
                                     const struct model_device_invalidation *invalidation);

/* ---- the sanitizer ---------------------------------------------------------------- */

/**
 * Say that software is in the middle of a change (true): between changing an entry and
 * the end of its invalidation, use of the old entry is no mistake. Calls nest.
 */
void model_sanitizer_hold(struct model_unit *unit, bool hold);

/**
 * Say that the memory of a table was given back. Reports every cache entry that came from it
 * or points to it, and every path from the root that still leads there. Returns the
 * number of reports.
 */
unsigned model_table_freed(struct model_unit *unit, uint64_t address, uint64_t bytes);

/** Look for mistakes that need no request to show. Returns the number of reports. */
unsigned model_sanitizer_check(struct model_unit *unit);

/** What a kind is called ("stale", "not-cleaned", ...). */
const char *model_report_name(enum model_report_kind kind);
/** What a fault reason means, in a few words; "unknown" if the specification has none. */
const char *model_fault_name(uint8_t code);

/* ---- statistics -------------------------------------------------------------------- */

struct model_cache_statistics {
	uint64_t lookups, hits, inserted, evicted, invalidated;
	uint32_t used; /* entries now */
};

struct model_statistics {
	uint64_t requests, translations, page_requests, interrupts, posted;
	uint64_t faults, faults_recorded;
	uint64_t first_stage_reads, second_stage_reads, table_reads;
	uint64_t descriptors[16]; /* by type */
	uint64_t register_invalidations;
	uint64_t messages; /* the unit's own interrupts */
	uint64_t reports[MODEL_REPORT_KINDS];
	struct model_cache_statistics caches[MODEL_CACHES];
};

const struct model_statistics *model_unit_statistics(const struct model_unit *unit);

/** From now on the caches remember as @p policy says; with MODEL_POLICY_NONE what they hold
 *  is dropped, as hardware may at any time. */
void model_policy_set(struct model_unit *unit, enum model_policy policy);

/** What begins from now on takes as long as @p latency says. What is under way ends when it
 *  would have ended. */
void model_latency_set(struct model_unit *unit, const struct model_latency *latency);

#endif
