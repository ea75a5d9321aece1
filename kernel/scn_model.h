/* SPDX-License-Identifier: MIT */
/*
 * The reference model (model/) as a platform: a unit that the VT-d driver finds in a
 * table, programs through registers and cannot tell from hardware, and two devices
 * behind it that master DMA. The kernel and hosted programs use this one module.
 *
 *   model_platform_init(&model, &os, &backing, &options);  makes the unit
 *   iommu_init(&core, &model.os, ...);                     the hooks go through it
 *   model_platform_attach(&model, &core);                  finds it, adds its devices
 *   iommu_enable(&core);
 *   ... user_memory_init(&memory, &model.os, &model.backing) ...
 *   iommu_exit(&core); model_platform_exit(&model);
 *
 * The model sees only memory that was handed out through model.os and model.backing: any
 * other address is a failed access, never a crash. It has two views of each page of
 * model.os: what the processor wrote, and what was cleaned since; accesses that are not
 * snooped get the second. Memory of model.backing (programs' memory) counts as clean.
 * When memory is given back, the model is told, and reports what still leads there.
 *
 * Locking: one lock around every entry into the model and around the bookkeeping, taken
 * last of all. The model's own interrupts are delivered by model_platform_pump(), which
 * calls into the core.
 *
 * Everything printed from it is labelled: the unit is "model0", its devices are
 * "model:00:01.0" and on, a report of its sanitizer begins with "model: ".
 */
#ifndef KERNEL_SCN_MODEL_H
#define KERNEL_SCN_MODEL_H

#include "dev/engine.h"
#include "kernel/scn.h"
#include "kernel/user_memory.h"
#include "model/model.h"

/** The PCI segment of the model's devices; no machine has it. */
#define MODEL_SEGMENT   0xfffd

#define MODEL_UNIT_NAME "model0"

enum {
	MODEL_DEVICES = 2,
	MODEL_MESSAGES = 8,
	MODEL_TLB_ENTRIES = 64,
	MODEL_BUFFER_BYTES = 65536,
};

struct model_platform_options {
	const struct model_config *config; /* the unit's shape; copied */
	/** Time is the model's own: it passes when somebody waits, so that runs repeat. Else
	 *  it is that of the hooks below. */
	bool own_time;
	/** Commands complete late, as the seed decides, and after each DMA everything that
	 *  the unit remembers is compared with memory. */
	bool cruel;
	uint64_t seed; /* 0: caches keep everything; else they forget at random, unless cruel */
};

struct model_platform;

/** A device behind the model. */
struct model_engine {
	struct dma_engine engine; /* linked: model_platform.engines[0].engine is a list */
	struct pci_device pci;    /* stands for the device: `iommu` is set */
	struct model_platform *platform;
	struct dma_request_mode mode;
	bool allowed_ats, allowed_pasid, allowed_page_requests; /* by the driver */
	struct model_device_tlb tlb;
	struct model_device_tlb_entry tlb_entries[MODEL_TLB_ENTRIES];
	/* a transfer that waits for an answer to a page request */
	struct {
		bool active, answered;
		uint64_t at;
		uint32_t bytes, done, access; /* IOMMU_READ or IOMMU_WRITE */
		uint32_t tries;               /* requests for the page at hand */
		uint16_t group;               /* of the request; PRG index */
		uint8_t response;
	} transfer;
	uint16_t next_group;
	uint8_t buffer[MODEL_BUFFER_BYTES]; /* the device's own */
};

/** A run of memory that the model may reach. */
struct model_run {
	uint64_t start, bytes;
	bool table;  /* of os.page_alloc: has a second view */
	pa_t second; /* where that lies */
};

struct model_message {
	void (*handler)(void *arg); /* NULL: free */
	void *arg;
	struct iommu_msi msi;
	bool made_here; /* not by the hooks below */
	bool pending;
};

struct model_platform {
	struct iommu_os os;          /* the hooks for the core: those given, and the model's */
	struct user_backing backing; /* likewise */
	struct scn_model scn;        /* for scenarios */
	/* private from here on */
	const struct iommu_os *base;
	const struct user_backing *base_backing;
	struct model_config config;
	struct model_platform_options options;
	struct model_unit *unit;
	pa_t unit_memory;
	unsigned unit_order;
	struct iommu_lock lock;
	uint64_t registers; /* physical address of the window */
	uint8_t table[128]; /* the DMAR table */
	uint32_t table_bytes;
	bool probing;
	struct iommu *core;
	struct iommu_unit *core_unit; /* NULL: the driver did not take it */
	struct model_engine engines[MODEL_DEVICES];
	struct model_message messages[MODEL_MESSAGES];
	struct model_run *runs; /* ascending by start */
	size_t run_count, run_capacity, run_last;
	pa_t runs_memory;
	unsigned runs_order;
	uint64_t time_ns;   /* own time */
	uint64_t ticked_ns; /* the model's clock stands here */
	uint64_t reports[MODEL_REPORT_KINDS];
	uint64_t judged;                    /* of all reports */
	enum model_report_kind report_kind; /* of the last */
	char report_text[MODEL_REPORT_TEXT];
	uint64_t last_first, last_second;
	bool has_nested; /* a walk went through both stages: programs' memory may hold tables */
	bool last_cached;
};

/** Make the unit over @p base and @p backing, which outlive it. 0, -ENOMEM, -EINVAL after
 *  a line in the log: no such unit can be. */
int must_check model_platform_init(struct model_platform *platform, const struct iommu_os *base,
                                   const struct user_backing *backing,
                                   const struct model_platform_options *options);
/** Let the VT-d driver find the unit and add its devices to @p core, which was made with
 *  platform->os. 0; -ENODEV: the driver refuses the unit, and said why; -ENOMEM. */
int must_check model_platform_attach(struct model_platform *platform, struct iommu *core);
/** After iommu_exit(). All memory of os and backing was given back. */
void model_platform_exit(struct model_platform *platform);

/** The devices as a list; NULL if the driver did not take the unit. */
struct dma_engine *model_platform_engines(struct model_platform *platform);

/** Let time pass, as a wait does. Any lock may be held but the platform's own. */
void model_platform_relax(struct model_platform *platform, uint64_t nanoseconds);
/** Reports of the sanitizer that no line of a scenario has judged. */
uint64_t model_platform_unjudged(struct model_platform *platform);
/** Deliver messages; see struct scn_model. */
void model_platform_pump(struct model_platform *platform);

/** One line a preset: name and description. */
void model_presets_print(struct iommu_print *to);

/* ---- between the module's files; the platform's lock is held ------------------------ */

extern const struct model_memory_ops model_platform_memory;
/** Where the processor reaches [address, address + bytes); NULL if not all of it is ours. */
void *model_memory_at(struct model_platform *platform, uint64_t address, uint64_t bytes);
/** The processor's view of these bytes is now also the other one. */
void model_memory_clean(struct model_platform *platform, uint64_t address, uint64_t bytes);
int must_check model_run_add(struct model_platform *platform, pa_t start, unsigned order,
                             bool table);
/** Forget a run and tell the model. False: there is none that starts there. */
bool model_run_remove(struct model_platform *platform, pa_t start);

void model_engine_init(struct model_engine *self, struct model_platform *platform);
/** Describe the device for the core, as the unit's capabilities allow. */
void model_engine_describe(struct model_engine *self, unsigned number,
                           struct iommu_device_desc *desc);
void model_engine_response(struct model_engine *self, const struct model_event *event);

/** Fill in platform->os and platform->backing. */
void model_hooks_fill(struct model_platform *platform);
void model_platform_lock(struct model_platform *platform);
void model_platform_unlock(struct model_platform *platform);

#endif
