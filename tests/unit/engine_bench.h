/* SPDX-License-Identifier: MIT */
/*
 * A bench for the engines' drivers: small models of devices, reached through struct
 * mmio_ops, with a configuration space and a window of memory. DMA outside of the
 * window is blocked, as by an IOMMU; DMA while bus mastering is off counts as wrong.
 * Each test program brings the models that it needs.
 */
#ifndef TESTS_UNIT_ENGINE_BENCH_H
#define TESTS_UNIT_ENGINE_BENCH_H

#include "dev/engine.h"
#include "tests/ktap.h"
#include "tests/test_os.h"

#include <string.h>

#define MS UINT64_C(1000000)

enum { MAX_FAKES = 4, WINDOW_IOVA = 0x7f000000, WINDOW_BYTES = 16 * 4096, BAR_BASE = 0x10000000 };

struct fake;

/** A kind of device. */
struct fake_kind {
	void (*init)(struct fake *fake); /* fills pci and what firmware leaves */
	uint64_t (*read)(struct fake *fake, uint32_t offset);
	void (*write)(struct fake *fake, uint32_t offset, uint64_t value);
};

struct fake {
	const struct fake_kind *kind;
	struct bench *bench;
	struct pci_device pci;
	uint8_t config[256];
	bool gone;         /* registers read all ones */
	bool stuck;        /* nothing ever completes */
	unsigned wrong;    /* things done to the device that must not be done */
	unsigned accesses; /* of registers */
	unsigned transfers;
	union {
		struct fake_edu {
			uint64_t source, target, count, command, due;
			uint32_t check;
			bool bad_id;
			uint8_t buffer[4096];
		} edu;
		struct fake_testdev {
			uint64_t iova;
			uint32_t length, result;
			bool armed;
		} testdev;
		struct fake_nvme {
			uint64_t cap, asq, acq;
			uint32_t cc, csts, aqa, crto;
			uint64_t ready_at; /* when CSTS.RDY follows CC.EN; 0: it has */
			uint64_t delay;
			uint32_t tail, head, phase;
			uint16_t status;    /* status field of every completion */
			uint16_t id_offset; /* added to the command id of a completion */
			bool fails_fatally; /* CSTS.CFS at the next command */
			bool says_success;  /* also when its data was blocked, as QEMU does */
			bool stays_shut;    /* CSTS.SHST never says complete */
			unsigned shutdowns, interrupts_masked, enables;
			uint16_t vendor_in_data;
		} nvme;
	};
};

struct bench {
	struct test_os test;
	struct pci_access access;
	struct pci_bus bus;
	struct iommu_print log;
	char logged[1024];
	struct fake fakes[MAX_FAKES];
	unsigned count;
	int mapped; /* BARs mapped now */
	_Alignas(4096) uint8_t window[WINDOW_BYTES];
};

/* ---- memory as the devices see it ---- */

static inline bool fake_masters(const struct fake *fake)
{
	return fake->config[4] & 4;
}

static inline uint8_t *fake_reach(struct fake *fake, uint64_t at, uint64_t bytes)
{
	if (!fake_masters(fake)) {
		fake->wrong++;
		return NULL;
	}
	if (at < WINDOW_IOVA || bytes > WINDOW_BYTES || at - WINDOW_IOVA > WINDOW_BYTES - bytes)
		return NULL;
	return fake->bench->window + (at - WINDOW_IOVA);
}

static inline bool fake_store(struct fake *fake, uint64_t at, const void *data, size_t bytes)
{
	uint8_t *memory = fake_reach(fake, at, bytes);
	if (memory)
		memcpy(memory, data, bytes);
	return memory;
}

static inline bool fake_fetch(struct fake *fake, uint64_t at, void *data, size_t bytes)
{
	const uint8_t *memory = fake_reach(fake, at, bytes);
	if (memory)
		memcpy(data, memory, bytes);
	return memory;
}

static inline uint64_t fake_now(struct fake *fake)
{
	return fake->bench->test.now_ns;
}

/* ---- hooks, configuration space, probing ---- */

static inline uint64_t fake_read(void *ctx, uint32_t offset, unsigned width)
{
	struct fake *fake = ctx;
	fake->accesses++;
	if (!(fake->config[4] & 2) || fake->gone)
		return width == 4 ? UINT32_MAX : UINT64_MAX;
	return fake->kind->read(fake, offset);
}

static inline void fake_write(void *ctx, uint32_t offset, unsigned width, uint64_t value)
{
	struct fake *fake = ctx;
	(void)width;
	fake->accesses++;
	if ((fake->config[4] & 2) && !fake->gone)
		fake->kind->write(fake, offset, value);
}

static const struct mmio_ops fake_mmio = {.read = fake_read, .write = fake_write};

static inline int bench_map(void *ctx, pa_t base, uint64_t bytes, struct mmio *out)
{
	struct bench *bench = container_of((struct test_os *)ctx, struct bench, test);
	if (++bench->test.allocations == bench->test.fail_at)
		return -ENOMEM;
	for (unsigned i = 0; i < bench->count; i++)
		if (bench->fakes[i].pci.bars[0].base == base.value) {
			bench->mapped++;
			*out = (struct mmio){.bytes = bytes, .ops = &fake_mmio};
			out->ctx = &bench->fakes[i];
			return 0;
		}
	return -ENODEV;
}

static inline void bench_unmap(void *ctx, struct mmio *window)
{
	struct bench *bench = container_of((struct test_os *)ctx, struct bench, test);
	bench->mapped--;
	*window = (struct mmio){0};
}

static inline uint32_t bench_config_read(void *ctx, uint16_t segment, iommu_rid_t rid,
                                         uint16_t offset, unsigned width)
{
	struct bench *bench = ctx;
	uint32_t value = 0;
	(void)segment;
	for (unsigned i = 0; i < bench->count; i++)
		if (bench->fakes[i].pci.rid == rid && offset + width <= 256) {
			memcpy(&value, bench->fakes[i].config + offset, width);
			return value;
		}
	return UINT32_MAX;
}

static inline void bench_config_write(void *ctx, uint16_t segment, iommu_rid_t rid, uint16_t offset,
                                      unsigned width, uint32_t value)
{
	struct bench *bench = ctx;
	(void)segment;
	for (unsigned i = 0; i < bench->count; i++)
		if (bench->fakes[i].pci.rid == rid && offset + width <= 256)
			memcpy(bench->fakes[i].config + offset, &value, width);
}

static inline void bench_log(struct iommu_print *self, const char *text, size_t bytes)
{
	struct bench *bench = self->ctx;
	size_t used = strlen(bench->logged);
	if (used + bytes < sizeof(bench->logged))
		memcpy(bench->logged + used, text, bytes);
}

static inline struct bench *bench_new(void)
{
	struct bench *bench = aligned_alloc(4096, (sizeof(*bench) + 4095) & ~(size_t)4095);
	if (!bench)
		abort();
	memset(bench, 0, sizeof(*bench));
	test_os_init(&bench->test);
	bench->test.os.mmio_map = bench_map;
	bench->test.os.mmio_unmap = bench_unmap;
	bench->access = (struct pci_access){bench, bench_config_read, bench_config_write};
	bench->bus = (struct pci_bus){.access = &bench->access, .os = &bench->test.os};
	bench->log = (struct iommu_print){bench_log, bench};
	return bench;
}

static inline struct fake *bench_add(struct bench *bench, const struct fake_kind *kind)
{
	struct fake *fake = &bench->fakes[bench->count];
	struct pci_device *pci = &fake->pci;
	fake->kind = kind;
	fake->bench = bench;
	pci->pci = &bench->bus;
	pci->rid = RID(0, bench->count + 1, 0);
	pci->bars[0] = (struct pci_bar){.base = BAR_BASE + bench->count * UINT64_C(0x1000000)};
	kind->init(fake);
	struct pci_device **tail = &bench->bus.devices;
	while (*tail)
		tail = &(*tail)->next;
	*tail = pci;
	bench->bus.count = ++bench->count;
	return fake;
}

static inline struct dma_engine *bench_probe(struct bench *bench)
{
	return dma_engines_probe(&bench->bus, &bench->test.os, &bench->log);
}

/* Remove, and check that nothing is left: memory, windows, claims, bus mastering. */
static inline void bench_end(struct bench *bench, struct dma_engine *engines)
{
	dma_engines_remove(engines);
	KTAP_EQUAL(bench->mapped, 0);
	KTAP_CHECK(test_os_is_clean(&bench->test));
	for (unsigned i = 0; i < bench->count; i++) {
		KTAP_EQUAL(bench->fakes[i].wrong, 0);
		KTAP_CHECK(!fake_masters(&bench->fakes[i]));
		KTAP_CHECK(!bench->fakes[i].pci.claimed);
	}
	free(bench);
}

static inline struct dma_engine *bench_one(struct bench *bench, const struct fake_kind *kind,
                                           struct fake **fake)
{
	*fake = bench_add(bench, kind);
	struct dma_engine *engine = bench_probe(bench);
	KTAP_CHECK(engine && !engine->next && engine->pci == &(*fake)->pci);
	return engine;
}

/* A case cannot go on without its engine; what was not true is printed already. */
#define NEED(bench, engine)                                                                        \
	do {                                                                                       \
		if (!(engine)) {                                                                   \
			KTAP_CHECK(engine);                                                        \
			bench_end(bench, NULL);                                                    \
			return;                                                                    \
		}                                                                                  \
	} while (0)

/* Probe with every allocation failing in turn: it costs one engine of the @p whole, and no
 * memory, window or bus mastering. @p least: allocations that a full probe makes at least. */
static inline void bench_sweep(const struct fake_kind *const *kinds, unsigned whole, long least)
{
	for (long at = 1; at < 100; at++) {
		struct bench *bench = bench_new();
		for (unsigned i = 0; i < whole; i++)
			bench_add(bench, kinds[i]);
		bench->test.fail_at = at;
		struct dma_engine *engines = bench_probe(bench);
		unsigned found = 0;
		for (struct dma_engine *engine = engines; engine; engine = engine->next)
			found++;
		bool failed = bench->test.allocations >= at;
		KTAP_EQUAL(found, failed ? whole - 1 : whole);
		KTAP_CHECK(!failed || strstr(bench->logged, "not used: ENOMEM"));
		bench_end(bench, engines);
		if (!failed) {
			KTAP_CHECK(at > least);
			return;
		}
	}
	KTAP_FAIL("the sweep ended");
}

#endif
