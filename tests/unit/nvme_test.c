/* SPDX-License-Identifier: MIT */
/*
 * The NVMe driver against a model of a controller's admin queue, which takes offence at
 * any command but Identify Controller: the driver must be safe on a machine whose disk
 * this is.
 */
#include "tests/unit/engine_bench.h"

/* ---- NVMe: the admin queue ---- */

static uint32_t nvme_stride(const struct fake *nvme)
{
	return 4u << (nvme->nvme.cap >> 32 & 15);
}

static void nvme_advance(struct fake *nvme)
{
	if (nvme->nvme.ready_at && !nvme->stuck && fake_now(nvme) >= nvme->nvme.ready_at) {
		nvme->nvme.ready_at = 0;
		nvme->nvme.csts = (nvme->nvme.csts & ~1u) | (nvme->nvme.cc & 1);
	}
}

static void nvme_run(struct fake *nvme)
{
	uint32_t entries = (nvme->nvme.aqa & 0xfff) + 1;
	while (nvme->nvme.head != nvme->nvme.tail) {
		uint32_t command[16], completion[4] = {0};
		if (!fake_fetch(nvme, nvme->nvme.asq + nvme->nvme.head * 64, command, 64) ||
		    nvme->nvme.fails_fatally) {
			nvme->nvme.csts |= 2;
			return;
		}
		nvme->nvme.head = (nvme->nvme.head + 1) % entries;
		if (nvme->stuck)
			return;
		/* Identify, CNS 1, no namespace: nothing else is safe. */
		if ((command[0] & 0xffff) != 0x06 || command[1] || command[10] != 1)
			nvme->wrong++;
		uint64_t prp = command[6] | (uint64_t)command[7] << 32;
		if (prp % 4096)
			nvme->wrong++;
		uint8_t data[4096] = {(uint8_t)nvme->nvme.vendor_in_data,
		                      (uint8_t)(nvme->nvme.vendor_in_data >> 8)};
		for (unsigned i = 2; i < 3072; i++)
			data[i] = (uint8_t)(i * 7);
		memset(data + 3072, (int)(nvme->transfers & 0xff), 1024);
		nvme->transfers++;
		bool reached = nvme->nvme.status == 0 && fake_store(nvme, prp, data, sizeof(data));
		uint16_t status = nvme->nvme.status;
		if (!reached && !status && !nvme->nvme.says_success)
			status = 0x04; /* data transfer error */
		completion[3] = ((command[0] >> 16) + nvme->nvme.id_offset) & 0xffff;
		completion[3] |= nvme->nvme.phase << 16 | (uint32_t)status << 17;
		uint32_t slot = (nvme->transfers - 1) % ((nvme->nvme.aqa >> 16 & 0xfff) + 1);
		fake_store(nvme, nvme->nvme.acq + slot * 16, completion, 16);
		if (slot == (nvme->nvme.aqa >> 16 & 0xfff))
			nvme->nvme.phase ^= 1;
	}
}

static uint64_t nvme_read(struct fake *nvme, uint32_t offset)
{
	nvme_advance(nvme);
	switch (offset) {
	case 0x00:
		return nvme->nvme.cap;
	case 0x14:
		return nvme->nvme.cc;
	case 0x1c:
		return nvme->nvme.csts;
	case 0x68:
		return nvme->nvme.crto;
	default:
		return 0;
	}
}

static void nvme_write(struct fake *nvme, uint32_t offset, uint64_t value)
{
	nvme_advance(nvme);
	bool enabled = nvme->nvme.cc & 1;
	if (offset == 0x0c) {
		nvme->nvme.interrupts_masked++;
	} else if (offset == 0x14) {
		bool enable = value & 1;
		if (enable != enabled)
			nvme->nvme.ready_at = fake_now(nvme) + nvme->nvme.delay;
		if (enable && !enabled) {
			nvme->nvme.enables++;
			nvme->nvme.tail = nvme->nvme.head = nvme->transfers = 0;
			nvme->nvme.phase = 1;
			if ((value >> 7 & 15) || (value >> 4 & 7) == 1)
				nvme->wrong++;
		}
		if (!enable)
			nvme->nvme.csts &= ~0xeu;
		if (enable && value >> 14 & 3 && !(nvme->nvme.cc >> 14 & 3)) {
			nvme->nvme.shutdowns++;
			if (!nvme->nvme.stays_shut)
				nvme->nvme.csts |= 2 << 2;
		}
		nvme->nvme.cc = (uint32_t)value;
	} else if (offset == 0x24 || offset == 0x28 || offset == 0x30) {
		if (enabled)
			nvme->wrong++;
		if (offset == 0x24)
			nvme->nvme.aqa = (uint32_t)value;
		else if (offset == 0x28)
			nvme->nvme.asq = value;
		else
			nvme->nvme.acq = value;
	} else if (offset == 0x1000) {
		if (!(nvme->nvme.csts & 1) || value > (nvme->nvme.aqa & 0xfff))
			nvme->wrong++;
		nvme->nvme.tail = (uint32_t)value;
		nvme_run(nvme);
	} else if (offset != 0x1000 + nvme_stride(nvme)) {
		nvme->wrong++;
	}
}

static void nvme_init(struct fake *nvme)
{
	nvme->pci.vendor = 0x1b36;
	nvme->pci.device = 0x0010;
	nvme->pci.class_code = 0x010802;
	nvme->pci.bars[0].bytes = 16384;
	nvme->pci.bars[0].is_64 = true;
	nvme->nvme.cap = UINT64_C(1) << 37 | 15 << 24 | 2047; /* NVM set, 7.5 s */
	nvme->nvme.delay = 2 * MS;
	nvme->nvme.vendor_in_data = 0x1b36;
	/* As firmware leaves it: running. */
	nvme->nvme.cc = 1;
	nvme->nvme.csts = 1;
}

static const struct fake_kind nvme_kind = {nvme_init, nvme_read, nvme_write};

/* ---- NVMe ---- */

static int nvme_setup(struct bench *bench, struct dma_engine *engine)
{
	return engine->ops->setup(engine, iova(WINDOW_IOVA), bench->window);
}

#define NVME_PAGE(n) iova(WINDOW_IOVA + 4096 * (n))

static void nvme_identifies(void)
{
	struct bench *bench = bench_new();
	struct fake *nvme;
	struct dma_engine *engine = bench_one(bench, &nvme_kind, &nvme);
	NEED(bench, engine);
	/* Probe took it from firmware: disabled, no interrupts, and silent. */
	KTAP_EQUAL(nvme->nvme.cc & 1, 0);
	KTAP_EQUAL(nvme->nvme.csts & 1, 0);
	KTAP_CHECK(nvme->nvme.interrupts_masked > 0);
	KTAP_CHECK(nvme->config[5] & 4);
	KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(8), 4096), -ENXIO);
	KTAP_EQUAL(nvme_setup(bench, engine), 0);
	/* Often enough for both queues to wrap, and for the phase to turn twice. */
	for (unsigned i = 0; i < 150; i++) {
		uint8_t *page = bench->window + (8 + i % 8) * 4096;
		memset(page, 0xee, 4096);
		KTAP_CHECK(!engine->ops->stored_ok(engine, page, 4096));
		KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(8 + i % 8), 4096), 0);
		KTAP_CHECK(engine->ops->stored_ok(engine, page, 4096));
	}
	bench->window[8 * 4096 + 3071] ^= 1;
	KTAP_CHECK(!engine->ops->stored_ok(engine, bench->window + 8 * 4096, 4096));
	KTAP_EQUAL(engine->ops->fetch(engine, NVME_PAGE(8), 4096), -EOPNOTSUPP);
	KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(8), 512), -EINVAL);
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA + 512), 4096), -EINVAL);
	/* Another domain: set up again, and it goes on. */
	KTAP_EQUAL(nvme_setup(bench, engine), 0);
	KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(9), 4096), 0);
	KTAP_EQUAL(nvme->nvme.enables, 2);
	/* Left told of the shutdown and disabled. */
	dma_engines_remove(engine);
	KTAP_EQUAL(nvme->nvme.shutdowns, 1);
	KTAP_EQUAL(nvme->nvme.cc & 1, 0);
	KTAP_EQUAL(nvme->nvme.csts & 1, 0);
	bench_end(bench, NULL);
}

static void nvme_variants(void)
{
	/* Doorbell strides, command sets, a slow controller within its own limit. */
	for (unsigned stride = 0; stride < 16; stride += 3) {
		struct bench *bench = bench_new();
		struct fake *nvme = bench_add(bench, &nvme_kind);
		unsigned set = stride % 2 ? 6 : 7;
		nvme->nvme.cap = UINT64_C(1) << (37 + set) | (uint64_t)stride << 32 | 4 << 24 | 63;
		nvme->pci.bars[0].bytes = 0x1000 + 2 * (UINT64_C(4) << stride);
		nvme->nvme.delay = 1900 * MS;
		struct dma_engine *engine = bench_probe(bench);
		NEED(bench, engine);
		KTAP_EQUAL(nvme_setup(bench, engine), 0);
		KTAP_EQUAL(nvme->nvme.cc >> 4 & 7, set);
		KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(4), 4096), 0);
		bench_end(bench, engine);
	}
	/* CRTO prolongs what CAP.TO can say. */
	struct bench *bench = bench_new();
	struct fake *nvme = bench_add(bench, &nvme_kind);
	nvme->nvme.cap = UINT64_C(1) << 59 | UINT64_C(1) << 37 | 1 << 24 | 63;
	nvme->nvme.crto = 4;
	nvme->nvme.delay = 1900 * MS;
	struct dma_engine *engine = bench_probe(bench);
	NEED(bench, engine);
	KTAP_EQUAL(nvme_setup(bench, engine), 0);
	bench_end(bench, engine);
}

static void nvme_probe_fails(void)
{
	for (int what = 0; what < 6; what++) {
		struct bench *bench = bench_new();
		struct fake *nvme = bench_add(bench, &nvme_kind);
		if (what == 0)
			nvme->gone = true;
		else if (what == 1)
			nvme->nvme.cap |= UINT64_C(1) << 48; /* pages of 8 KiB at least */
		else if (what == 2)
			nvme->nvme.cap &= ~(UINT64_C(0xff) << 37); /* no command set */
		else if (what == 3)
			nvme->nvme.cap |= UINT64_C(15) << 32; /* doorbells past the BAR */
		else if (what == 4)
			nvme->stuck = true; /* never disabled */
		else
			nvme->pci.bars[0].bytes = 0x1000;
		uint64_t start = bench->test.now_ns;
		KTAP_CHECK(!bench_probe(bench));
		KTAP_CHECK(bench->test.now_ns - start < 8000 * MS);
		KTAP_CHECK(strstr(bench->logged, "nvme 0000:00:01.0: not used: "));
		bench_end(bench, NULL);
	}
}

static void nvme_setup_fails(void)
{
	struct bench *bench = bench_new();
	struct fake *nvme;
	struct dma_engine *engine = bench_one(bench, &nvme_kind, &nvme);
	NEED(bench, engine);
	KTAP_EQUAL(engine->ops->setup(engine, iova(WINDOW_IOVA + 16), bench->window), -EINVAL);
	KTAP_EQUAL(engine->ops->setup(engine, iova(WINDOW_IOVA), bench->window + 16), -EINVAL);
	KTAP_EQUAL(engine->ops->setup(engine, iova(UINT64_MAX - 4095), bench->window), -EINVAL);
	/* Queues that the device cannot reach. */
	KTAP_EQUAL(engine->ops->setup(engine, iova(0x1000), bench->window), -EIO);
	KTAP_EQUAL(nvme->nvme.cc & 1, 0);
	/* Done, says the device, but nothing arrived. */
	nvme->nvme.vendor_in_data = 0;
	KTAP_EQUAL(nvme_setup(bench, engine), -EIO);
	KTAP_EQUAL(nvme->nvme.cc & 1, 0);
	nvme->nvme.vendor_in_data = 0x1b36;
	/* Too slow by its own word, then as fast as it says. */
	nvme->nvme.delay = 9000 * MS;
	KTAP_EQUAL(nvme_setup(bench, engine), -ETIMEDOUT);
	nvme->nvme.delay = 2 * MS;
	KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(5), 4096), -ENXIO);
	bench->test.now_ns += 9000 * MS;
	KTAP_EQUAL(nvme_setup(bench, engine), 0);
	KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(5), 4096), 0);
	bench_end(bench, engine);
}

static void nvme_store_fails(void)
{
	struct bench *bench = bench_new();
	struct fake *nvme;
	struct dma_engine *engine = bench_one(bench, &nvme_kind, &nvme);
	NEED(bench, engine);
	KTAP_EQUAL(nvme_setup(bench, engine), 0);
	/* Blocked and honest: an error, and the controller goes on. */
	KTAP_EQUAL(engine->ops->store(engine, iova(0x1000), 4096), -EIO);
	KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(5), 4096), 0);
	/* Blocked and silent, as in QEMU. */
	nvme->nvme.says_success = true;
	KTAP_EQUAL(engine->ops->store(engine, iova(0x1000), 4096), 0);
	/* Fatal, silent, confused, gone: each needs a new setup. */
	for (int what = 0; what < 4; what++) {
		nvme->nvme.fails_fatally = what == 0;
		nvme->stuck = what == 1;
		nvme->nvme.id_offset = what == 2;
		nvme->gone = what == 3;
		const int wanted[] = {-EIO, -ETIMEDOUT, -EIO, -ENODEV};
		KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(6), 4096), wanted[what]);
		KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(6), 4096), -ENXIO);
		nvme->nvme.fails_fatally = nvme->stuck = nvme->gone = false;
		nvme->nvme.id_offset = 0;
		KTAP_EQUAL(nvme_setup(bench, engine), 0);
		KTAP_EQUAL(engine->ops->store(engine, NVME_PAGE(6), 4096), 0);
	}
	/* A shutdown that never completes does not keep it from being disabled. */
	nvme->nvme.stays_shut = true;
	uint64_t start = bench->test.now_ns;
	dma_engines_remove(engine);
	KTAP_CHECK(bench->test.now_ns - start < 20000 * MS);
	KTAP_EQUAL(nvme->nvme.cc & 1, 0);
	bench_end(bench, NULL);
}

static void nvme_survives_failing_allocations(void)
{
	static const struct fake_kind *const kinds[] = {&nvme_kind, &nvme_kind};
	bench_sweep(kinds, 2, 6); /* two engines, their states, their windows */
}

static const struct ktap_case cases[] = {
	{"nvme identifies, wraps its queues, is left disabled", nvme_identifies},
	{"nvme strides, command sets, slow controllers", nvme_variants},
	{"nvme: a controller that cannot be used is left out", nvme_probe_fails},
	{"nvme: setup fails cleanly and can be repeated", nvme_setup_fails},
	{"nvme: store fails cleanly and setup recovers", nvme_store_fails},
	{"nvme: every failing allocation costs one engine and no memory",
         nvme_survives_failing_allocations},
};

KTAP_MAIN(cases)
