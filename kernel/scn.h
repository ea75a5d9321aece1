/* SPDX-License-Identifier: MIT */
/*
 * The scenario language: experiments with an IOMMU as text, one command a line.
 * docs/scenarios.md describes it for its users. The kernel, its shell, the hosted
 * runner and the tests use this one interpreter.
 *
 *   scn_parse(os, name, text, bytes, errors, &program);  the whole file is checked
 *   verdict = scn_run(&platform, &program, 1);           and then run: KTAP
 *   scn_program_free(program);
 *
 * The interpreter is a client of the iommufd interface: every change it makes goes
 * through ufd_ioctl() with the ABI's structures in user memory. What it needs from
 * its surroundings is in struct scn_platform. It keeps no global state; two runs
 * must not share a platform at the same time.
 */
#ifndef KERNEL_SCN_H
#define KERNEL_SCN_H

#include "dev/engine.h"
#include "iommu/iommu.h"
#include "kernel/user_memory.h"
#include "ufd/ufd.h"

/** Where an engine's own memory (queues) is put in every IOAS that its device is
 *  attached to: this much for each device of a scenario, from here on. */
#define SCN_SCRATCH_IOVA  UINT64_C(0xd0000000)
#define SCN_SCRATCH_BYTES UINT64_C(0x100000)

/** What a reference model (model/) behind one of the units lets a scenario see and steer.
 *  kernel/scn_model.h makes one. All that comes from it is labelled "model". */
struct scn_model_counts {
	uint64_t requests;                   /* DMA and translation requests */
	uint64_t first_steps, second_steps;  /* table entries read by all of them, by stage */
	uint64_t last_first, last_second;    /* ... by the last DMA of an engine */
	bool last_cached;                    /* the IOTLB answered the whole of that DMA */
	uint64_t iotlb_hits, iotlb_lookups;  /* of the unit */
	uint64_t device_hits, device_misses; /* of the devices' own caches (ATS) */
	uint64_t page_requests;              /* stored in the queue */
};

enum scn_model_caches {
	SCN_CACHES_MADE, /* as the model was made */
	SCN_CACHES_KEEP, /* they forget when they are told to, and only then */
	SCN_CACHES_NONE, /* they drop all, and hold nothing */
};

struct scn_model {
	void *ctx;          /* handed to all below */
	const char *preset; /* "nesting" */
	uint16_t segment;   /* of the unit and its devices; no other unit has it */
	/** Reports of the sanitizer so far, of the kinds in @p kinds (bit n: enum
	 *  model_report_kind n; UINT32_MAX: all). Each was also logged, as an error. */
	uint64_t (*reports)(void *ctx, uint32_t kinds);
	/** The text of the last report, which begins with "model: "; "" before the first.
	 *  Valid until the next. @p kind, if not NULL: its number. */
	const char *(*last_report)(void *ctx, unsigned *kind);
	/** What kind @p kind is called ("stale", "not-cleaned", "live-change", "reserved",
	 *  "freed", "register", ...); NULL: there is no such kind. */
	const char *(*kind_name)(void *ctx, unsigned kind);
	/** Look for mistakes that need no request to show. Returns how many reports that made. */
	unsigned (*check)(void *ctx);
	/** A line's verdict has taken @p count more reports into account; those that nobody
	 *  judges fail the run as a whole. */
	void (*judged)(void *ctx, uint64_t count);
	/** Software is in the middle of a change (true): use of an old entry is no mistake
	 *  until it ends (false). Calls nest. */
	void (*hold)(void *ctx, bool hold);
	void (*counts)(void *ctx, struct scn_model_counts *out);
	/** From now on its caches behave so. */
	void (*caches)(void *ctx, enum scn_model_caches how);
	/** Deliver what is under way: messages to their handlers, page requests, page
	 *  responses. Calls into the core: no lock may be held. */
	void (*pump)(void *ctx);
};

struct scn_platform {
	struct iommu *iommu;
	struct ufd *ufd; /* over `memory` */
	struct user_memory *memory;
	struct dma_engine *engines; /* list; the pci->iommu of each is set. May change */
	/** Engines behind the mock unit (kernel/scn_mock.h). A scenario gets one if it asks
	 *  for it by name, or if no engine above is behind a unit. */
	struct dma_engine *mock_engines;
	/** NULL, or: the model behind one of the units, and its engines (ops->name "model"). A
	 *  scenario gets one if it asks for it by name, or if no engine above is behind a
	 *  unit. A line during which the model reports a mistake fails, unless it promises
	 *  that report. */
	const struct scn_model *model;
	struct dma_engine *model_engines;
	bool model_by_name; /* only if asked for by name */
	bool mock_by_name;  /* only if asked for by name: a machine's verdict is never the mock's */
	struct iommu_print *out;
	const char *machine; /* "QEMU q35", "mock": one line says where a run was */
	void *ctx;           /* handed to all below */
	/** Nanoseconds since some moment. */
	uint64_t (*now_ns)(void *ctx);
	/** Called in every turn of a wait: at most a millisecond. */
	void (*wait)(void *ctx);
	/** NULL, or: print what the platform knows of PCI devices, and of memory. */
	void (*show_devices)(void *ctx, struct iommu_print *to);
	void (*show_memory)(void *ctx, struct iommu_print *to);
	/** NULL, or: the text of the scenario called @p name, valid until the next call. 0,
	 *  -ENOENT or what stopped it. */
	int (*file)(void *ctx, const char *name, const char **text, size_t *bytes);
	/** NULL, or: the name of scenario number @p index, from 0; NULL: no more. */
	const char *(*file_name)(void *ctx, unsigned index);
};

struct scn_program;

/** Read a whole scenario. @p text need not end in NUL. Errors go to @p errors as
 *  "NAME:LINE:COLUMN: error: ...", the line, and a caret under the word. 0, -EINVAL if
 *  there were any, -ENOMEM. */
int must_check scn_parse(const struct iommu_os *os, const char *name, const char *text,
                         size_t bytes, struct iommu_print *errors, struct scn_program **out);
void scn_program_free(struct scn_program *program);

enum scn_verdict {
	SCN_PASSED,  /* every step ran, and all lines did what they say */
	SCN_SKIPPED, /* none failed, and nothing was left to pass: no step ran to its end */
	SCN_FAILED,
};

/** Run @p count scenarios, one after another, as one KTAP report on platform->out: a
 *  test point a step, and a verdict line a scenario. After each, all that it made is
 *  gone again; something that cannot be given back fails the scenario's last step. */
enum scn_verdict scn_run(const struct scn_platform *platform, struct scn_program *const *programs,
                         size_t count);

/* ---- single commands: the shell ------------------------------------------------- */

struct scn;

/** Start a session: names and descriptors that single commands share. 0 or an error. */
int must_check scn_open(const struct scn_platform *platform, struct scn **out);
/** Give back all that the session made. */
void scn_close(struct scn *scn);
/** Run one line and print its outcome as plain text. True if it did what it says. */
bool scn_command(struct scn *scn, const char *text);
/** Explain command @p name, or list all commands by group (NULL) on one screen. False
 *  if there is no such command. */
bool scn_help(struct iommu_print *to, const char *name);
/** Call @p emit with every word that may stand at @p word in @p line. */
void scn_complete(const struct scn *scn, const char *line, size_t word,
                  void (*emit)(void *arg, const char *text), void *arg);

#endif
