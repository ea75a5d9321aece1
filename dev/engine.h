/* SPDX-License-Identifier: MIT */
/*
 * Devices that master DMA on command: the witnesses. One small interface over
 * edu, iommu-testdev, NVMe and what follows.
 *
 * An engine has an internal buffer. `fetch` makes the device read memory at an
 * IOVA into it; `store` makes it write memory at an IOVA from it. So data moves
 * from one IOVA to another by fetch and store, and a comparison of memory
 * proves that it did. What a blocked device reports differs: `fetch` and
 * `store` return 0 when the device says done, and the truth is in memory and in
 * the fault log.
 */
#ifndef DEV_ENGINE_H
#define DEV_ENGINE_H

#include "kernel/pci.h"

struct dma_engine;

/** What an engine can do; a scenario asks for these. */
enum {
	DMA_CAN_FETCH = 1 << 0, /* reads memory at an IOVA and keeps what it read */
	DMA_CAN_STORE = 1 << 1, /* writes memory at an IOVA */
	DMA_CAN_COPY = 1 << 2,  /* stores exactly what it fetched */
	DMA_IS_FAST = 1 << 3,   /* completes in microseconds */
	DMA_CAN_PASID = 1 << 4, /* request_mode: requests with a PASID */
	DMA_CAN_ATS = 1 << 5,   /* request_mode: asks for translations and keeps them */
	DMA_CAN_PRI = 1 << 6,   /* request_mode: asks for pages that it may not reach */
};

/** How a device makes its requests; all zero: untranslated, without a PASID. */
struct dma_request_mode {
	bool has_pasid;
	uint32_t pasid;
	bool privileged;    /* only with a PASID */
	bool ats;           /* by ATS, with a translation cache of the device's own */
	bool page_requests; /* a page that it may not reach is asked for by PRI; needs ats */
	/** How long fetch and store wait for an answer to a page request; 0: they return
	 *  -EAGAIN at once, and `resume` goes on. */
	uint32_t page_wait_ms;
};

struct dma_engine_ops {
	const char *name; /* "edu" */
	unsigned abilities;
	uint32_t max_bytes; /* of one transfer */
	uint32_t granule;   /* length and address are multiples of it */
	bool (*match)(const struct pci_device *pci);
	/** Bring the device up: reset, map BARs, bus mastering on. Needs no DMA of its
	 *  own, or only to memory that @p engine->scratch maps (see setup). */
	int (*probe)(struct dma_engine *engine);
	/** Leave the device silent: no DMA outstanding, bus mastering off. */
	void (*remove)(struct dma_engine *engine);
	/** Bytes of memory that the device needs for queues of its own, and what to do
	 *  once that memory is reachable: the caller has put it at
	 *  @p scratch_iova. NULL: none. Called again after every change of domain. */
	uint32_t scratch_bytes;
	int (*setup)(struct dma_engine *engine, iova_t scratch_iova, void *scratch);
	int (*fetch)(struct dma_engine *engine, iova_t from, uint32_t bytes);
	int (*store)(struct dma_engine *engine, iova_t to, uint32_t bytes);
	/** What store writes when the engine cannot copy: the @p bytes that memory
	 *  shall hold after it. NULL for engines that copy. @p actual is memory after
	 *  the store, for engines whose data is theirs to choose (Identify). */
	bool (*stored_ok)(struct dma_engine *engine, const void *actual, uint32_t bytes);
	/** NULL, or: make all later requests as @p mode says; what waits is given up. 0,
	 *  -EOPNOTSUPP: the device cannot, or the driver has not switched it on; -EINVAL. */
	int (*request_mode)(struct dma_engine *engine, const struct dma_request_mode *mode);
	/** NULL, or: go on with a transfer that waits for an answer to its page request. 0: it
	 *  is complete; -EAGAIN: it still waits; -EIO: the answer was no, and the
	 *  transfer is over; -ENOENT: none waits. */
	int (*resume)(struct dma_engine *engine);
};

struct dma_engine {
	struct dma_engine *next;
	const struct dma_engine_ops *ops;
	struct pci_device *pci;
	const struct iommu_os *os;
	struct mmio bar[6]; /* mapped by the engine's probe */
	void *driver_data;
};

/** Every engine that the image knows, NULL-terminated. */
extern const struct dma_engine_ops *const dma_engine_table[];

/** Find and probe engines among @p bus's devices; returns the list (possibly NULL).
 *  An engine whose probe fails is reported to @p log and left out. */
struct dma_engine *dma_engines_probe(struct pci_bus *bus, const struct iommu_os *os,
                                     struct iommu_print *log);
void dma_engines_remove(struct dma_engine *engines);

#endif
