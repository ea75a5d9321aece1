/* SPDX-License-Identifier: MIT */
/*
 * A running scenario: names, descriptors, what is mapped where, and the outcome of
 * the line at hand. Private to the interpreter.
 */
#ifndef KERNEL_SCN_STATE_H
#define KERNEL_SCN_STATE_H

#include "kernel/scn.h"
#include "kernel/scn_parse.h"

/** A sink that puts a prefix before every line: "# " in a KTAP report. */
struct scn_sink {
	struct iommu_print print; /* write to this */
	struct iommu_print *to;
	const char *prefix;
	unsigned indent; /* blanks behind the prefix */
	bool in_line;
};

void scn_sink_init(struct scn_sink *sink, struct iommu_print *to, const char *prefix);

/** A stage-1 table that the scenario writes as a guest would: where it lies, in user memory
 *  and in the parent's address space. kernel/scn_stage1.c. */
struct scn_stage1 {
	uint64_t user, bytes; /* the buffer */
	uint64_t at;          /* where the parent maps it */
	unsigned levels;      /* 4 or 5 */
	uint64_t used;        /* bytes handed out to tables; the first page is the root */
};

/** How requests of a device get to memory, with one PASID or without, as far as the
 *  scenario knows: it says so to the device, and judges what comes of it. */
struct scn_way {
	uint32_t attached;         /* id of the IOAS or HWPT; 0: nothing */
	uint32_t ioas;             /* the IOAS behind that; 0: none */
	struct scn_object *stage1; /* of a nested HWPT: the table in front; else NULL */
};

/** The way of one PASID. */
struct scn_pasid {
	struct scn_pasid *next;
	uint32_t pasid;
	struct scn_way way;
};

/** A transfer that waits for the answer to a page request. */
struct scn_pending {
	bool active, has_pasid;
	uint32_t pasid, access, bytes;
	uint64_t at;
};

enum { SCN_GROUPS = 16 };

struct scn_object {
	struct scn_object *next; /* the youngest first */
	enum scn_kind kind;
	char name[SCN_NAME_MAX];
	uint32_t id; /* IOAS, HWPT, device: the iommufd id */
	/* device */
	int fd;
	struct dma_engine *engine;
	struct iommu_device *device;
	struct scn_way way;       /* of requests without a PASID */
	struct scn_pasid *pasids; /* that are attached */
	struct scn_pending pending;
	struct user_buffer *scratch;
	uint64_t scratch_iova;
	struct iommu_domain *identity; /* passed through */
	uint64_t faults_before;        /* the core's count when it was opened */
	uint8_t *fetched;              /* what the device read last: engine's max_bytes */
	uint32_t fetched_bytes;        /* 0: unknown */
	/* buffer */
	struct user_buffer *buffer;
	bool remembered;
	uint64_t checksum;
	/* stage-1 table */
	struct scn_stage1 table;
	/* HWPT: the table that it nests, or NULL */
	struct scn_object *stage1;
	/* fault queue, which has `fd` as well: groups that were read and not answered */
	uint32_t cookies[SCN_GROUPS];
	unsigned cookie_count;
	/* number */
	uint64_t number;
};

/** What the scenario asked to be mapped: the witness for data checks, independent of
 *  any table. */
struct scn_mapping {
	struct scn_mapping *next;
	uint32_t ioas;
	uint64_t iova, bytes, user;
	uint32_t rights; /* IOMMU_READ, IOMMU_WRITE */
	bool scratch;
};

struct scn_result {
	int error;      /* of the call: negative errno */
	bool broken;    /* not as it should be whatever was promised; text says why */
	char text[288]; /* behind "ok", or what is broken */
	bool has_value;
	bool value_bad;   /* as a value it is the wrong one, if nothing was promised */
	const char *word; /* the value; NULL: it is `number` */
	uint64_t number;
	bool size; /* print number as a size */
	/* DMA */
	struct scn_object *device;
	struct scn_way way;    /* of the requests that it makes */
	uint64_t first, bytes; /* the addresses that the device was told to use */
	uint32_t access;
	uint64_t fault_from, fault_to; /* the core's sequence numbers (from, to] */
	unsigned faults;               /* of those, of this device */
	/* the model's sanitizer */
	uint64_t reports, reports_wanted; /* made during this line; of the kinds promised */
};

struct scn {
	const struct scn_platform *platform;
	const struct iommu_os *os;
	struct scn_sink out;
	bool shell;
	int fd;                  /* /dev/iommu */
	struct user_buffer *abi; /* one page for the calls' structures */
	struct scn_object *objects;
	struct scn_mapping *mappings;
	unsigned devices_opened;
	bool nest_any_before;
	bool caches_changed;         /* of the model: as before again at the end */
	const struct scn_line *line; /* being run */
	unsigned left_out;           /* lines of the step whose `if` does not hold */
	bool listed;                 /* the line itself was printed, before its listing */
};

/* ---- scn_stage1.c --------------------------------------------------------------------- */

/** Where the scenario's own tables and mappings lead @p at: the user address, and how far
 *  it goes on from there, at least to the page's end. False: nowhere. */
bool scn_way_leads(struct scn *scn, const struct scn_way *way, uint64_t at, uint64_t *user,
                   uint64_t *bytes);
/** Does the table lead @p at anywhere? Its own pages must be mapped in @p ioas. */
bool scn_stage1_leads(struct scn *scn, const struct scn_stage1 *table, uint32_t ioas, uint64_t at,
                      uint64_t *to, uint64_t *bytes);

/* ---- scn_report.c ------------------------------------------------------------------------ */

/** Before and after a line: what the model has reported meanwhile goes into @p result. */
struct scn_report_mark {
	uint64_t all, wanted;
	uint32_t kinds; /* that the line promises, a bit each */
};
void scn_reports_begin(struct scn *scn, const struct scn_line *line, struct scn_report_mark *mark);
void scn_reports_end(struct scn *scn, const struct scn_report_mark *mark,
                     struct scn_result *result);
/** Does the line promise a report of any kind? */
bool scn_report_is_promised(const struct scn_line *line);

/* ---- scn_dma.c ------------------------------------------------------------------------------ */

/** Of requests of @p device: the way of this PASID, or of none. */
struct scn_way scn_way_of(const struct scn_object *device, bool has_pasid, uint32_t pasid);
/** Go on with the transfer that waits. */
void scn_transfer_resume(struct scn *scn, const struct scn_line *line, struct scn_object *device,
                         struct scn_result *result);

/* ---- scn_pages.c ---------------------------------------------------------------------------- */

/** Close a fault queue's descriptor; its object goes with /dev/iommu. */
void scn_fault_queue_close(struct scn *scn, struct scn_object *queue);

/* ---- scn_state.c ---------------------------------------------------------------------- */

int must_check scn_start(const struct scn_platform *platform, bool shell, struct scn **out);
/** Give everything back. False, with a line that says what, if something stayed. */
bool scn_finish(struct scn *scn);

struct scn_object *scn_object_find(struct scn *scn, const char *name);
struct scn_object *scn_object_by_id(struct scn *scn, uint32_t id, unsigned kinds);
/** A new named object; result broken and NULL if that cannot be. */
struct scn_object *scn_object_add(struct scn *scn, struct scn_result *result, const char *name,
                                  enum scn_kind kind);
void scn_object_remove(struct scn *scn, struct scn_object *object);

/** The object of argument @p slot; NULL and result broken if it does not exist now. */
struct scn_object *scn_arg_object(struct scn *scn, const struct scn_line *line, unsigned slot,
                                  struct scn_result *result);
/** The iommufd id of argument @p slot, which may be a plain number. 0: broken. */
uint32_t scn_arg_id(struct scn *scn, const struct scn_line *line, unsigned slot,
                    struct scn_result *result);
/** The value of a number argument, or @p otherwise if it was left out. Overflow and
 *  unset variables break the result; then 0. */
uint64_t scn_arg_number(struct scn *scn, const struct scn_line *line, unsigned slot,
                        uint64_t otherwise, struct scn_result *result);
/** Set the variable that argument @p slot names, if it was given. */
void scn_arg_store(struct scn *scn, const struct scn_line *line, unsigned slot, uint64_t value,
                   struct scn_result *result);

void scn_broken(struct scn_result *result, const char *format, ...) printf_like(2, 3);
void scn_note(struct scn_result *result, const char *format, ...) printf_like(2, 3);
/** "EBUSY" or "error 77". */
const char *scn_errno_text(int error, char out[24]);

/** An iommufd or VFIO call: @p structure goes to user memory, the call is made, and it is
 *  read back. Returns what the call returned. */
int must_check scn_call(struct scn *scn, int fd, unsigned long command, void *structure,
                        size_t bytes);
/** User address of the page's second half, for data that a structure points to: up to
 *  SCN_ABI_DATA bytes. */
enum { SCN_ABI_DATA = 2048 };
uint64_t scn_call_data(const struct scn *scn);

/** The engine after @p engine (NULL: the first) among those that are behind a unit: the
 *  real ones; those of the model and the mocks too, if @p mocks, or as the platform says if
 *  there is no real one. NULL: no more. */
struct dma_engine *scn_engine_next(const struct scn_platform *platform, struct dma_engine *engine,
                                   bool mocks);

void *scn_alloc(struct scn *scn, size_t bytes);
void scn_free(struct scn *scn, void *object, size_t bytes);

/* ---- scn_objects.c, scn_device.c ---------------------------------------------------------- */

void scn_device_close(struct scn *scn, struct scn_object *device);
void scn_pasids_forget(struct scn *scn, struct scn_object *device);
int must_check scn_scratch_map(struct scn *scn, struct scn_object *device, uint32_t ioas,
                               bool *mapped);
struct scn_mapping *scn_mapping_find(struct scn *scn, uint32_t ioas, uint64_t at);
void scn_mapping_add(struct scn *scn, struct scn_result *result, const struct scn_mapping *mapping);
/** Forget the mappings of @p ioas that lie in [first, last]. */
void scn_mapping_forget(struct scn *scn, uint32_t ioas, uint64_t first, uint64_t last);
/** The IOAS behind an IOAS or HWPT id; 0: none. */
uint32_t scn_ioas_of(struct scn *scn, uint32_t id);

/* ---- scn_fault.c ---------------------------------------------------------------------------- */

/** Does the fault fit the alternative? The reason, or the class together with what the
 *  scenario has mapped there. */
bool scn_fault_fits(struct scn *scn, const struct scn_result *result,
                    const struct iommu_fault *fault, const struct scn_alternative *alternative);
/** Is it a fault of the DMA that @p result is about? */
bool scn_fault_is_ours(const struct scn_result *result, const struct iommu_fault *fault);
/** Poll until the device has a new fault or @p wait_ms went by; fills result's counts. */
void scn_faults_collect(struct scn *scn, struct scn_result *result, unsigned wait_ms);
/** Print the line's faults, the first of this device with its table walk. */
void scn_faults_show(struct scn *scn, const struct scn_result *result);

/* ---- scn_condition.c -------------------------------------------------------------------------- */

/** Does it hold here? If not, @p why says what is missing. */
bool scn_condition_holds(struct scn *scn, const struct scn_condition *condition, char *why,
                         size_t why_bytes);

/* ---- scn_run.c ---------------------------------------------------------------------------------- */

/** A command that prints many lines calls this first: the line itself goes out now. */
void scn_listing(struct scn *scn);
/** Run one line, print its outcome. True if it did what it says. */
bool scn_line_run(struct scn *scn, const struct scn_line *line);

#endif
