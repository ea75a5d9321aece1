/* SPDX-License-Identifier: MIT */
/*
 * What the engines' drivers share: refusing a transfer that the device cannot
 * make, mapping a BAR that is really there, and waiting with a deadline.
 * Private to dev/.
 */
#ifndef DEV_DRIVER_H
#define DEV_DRIVER_H

#include "dev/engine.h"

#define NS_PER_MS UINT64_C(1000000)

extern const struct dma_engine_ops dma_engine_edu;
extern const struct dma_engine_ops dma_engine_testdev;
extern const struct dma_engine_ops dma_engine_nvme;

/** One line to the embedder's log, in front of it the engine's name and address:
 *  "nvme 0000:00:03.0: ...". */
void engine_log(const struct dma_engine *engine, enum iommu_log_level level, const char *format,
                ...) printf_like(3, 4);

/** The name of errno number @p error, never NULL. */
const char *engine_error_name(int error);

/** Map memory BAR @p index into engine->bar[index]; whoever called probe unmaps it.
 *  -ENODEV, and a log line, if the BAR is missing, has no address or is shorter than
 *  @p least bytes; otherwise what os->mmio_map says. */
int must_check engine_map_bar(struct dma_engine *engine, unsigned index, uint64_t least);

/** Memory decoding on, bus mastering still off: a driver quiets its device first. */
void engine_decode_on(struct dma_engine *engine);

/** -EINVAL unless @p bytes at @p at is a transfer that the engine can make: not empty,
 *  at most max_bytes, in whole granules, below 2^64. */
int must_check engine_check(const struct dma_engine *engine, iova_t at, uint32_t bytes);

/** Poll the 32-bit register at @p offset of BAR 0 until (value & @p mask) == @p want.
 *  @p last (may be NULL) receives the value read last. 0, -ENODEV if it reads all ones
 *  (the device is gone), -EIO at once if one of the bits in @p stop is set, -ETIMEDOUT
 *  after @p timeout_ns. */
int must_check engine_wait32(const struct dma_engine *engine, uint32_t offset, uint32_t mask,
                             uint32_t want, uint32_t stop, uint64_t timeout_ns, uint32_t *last);

/** `fetch` of an engine that only stores: -EOPNOTSUPP. */
int engine_fetch_refuse(struct dma_engine *engine, iova_t from, uint32_t bytes);

#endif
