/* SPDX-License-Identifier: MIT */
/*
 * The drivers of edu and iommu-testdev against models of them, and the list of engines.
 * The model of edu takes offence where QEMU would end the machine, and where the device
 * would silently ignore a register.
 */
#include "tests/unit/engine_bench.h"

/* ---- edu ---- */

static void edu_advance(struct fake *edu)
{
	if (!(edu->edu.command & 1) || edu->stuck || fake_now(edu) < edu->edu.due)
		return;
	uint64_t inside = edu->edu.command & 2 ? edu->edu.source : edu->edu.target;
	if (inside < 0x40000 || edu->edu.count >= 4096 || inside - 0x40000 >= 4096 - edu->edu.count)
		edu->wrong++;
	else if (edu->edu.command & 2)
		fake_store(edu, edu->edu.target, edu->edu.buffer + (inside - 0x40000),
		           edu->edu.count);
	else
		fake_fetch(edu, edu->edu.source, edu->edu.buffer + (inside - 0x40000),
		           edu->edu.count);
	edu->transfers++;
	edu->edu.command &= ~UINT64_C(1);
}

static uint64_t edu_read(struct fake *edu, uint32_t offset)
{
	edu_advance(edu);
	switch (offset) {
	case 0x00:
		return edu->edu.bad_id ? 0x01000000 : 0x010000ed;
	case 0x04:
		return edu->edu.check;
	case 0x98:
		return edu->edu.command;
	default:
		return 0;
	}
}

static void edu_write(struct fake *edu, uint32_t offset, uint64_t value)
{
	edu_advance(edu);
	if (offset == 0x04) {
		edu->edu.check = ~(uint32_t)value;
		return;
	}
	if (edu->edu.command & 1) {
		edu->wrong++; /* the device ignores it: the driver should have waited */
		return;
	}
	switch (offset) {
	case 0x80:
		edu->edu.source = value;
		break;
	case 0x88:
		edu->edu.target = value;
		break;
	case 0x90:
		edu->edu.count = value;
		break;
	case 0x98:
		edu->edu.command = value;
		edu->edu.due = fake_now(edu) + 100 * MS;
		break;
	default:
		edu->wrong++;
	}
}

static void edu_init(struct fake *edu)
{
	edu->pci.vendor = 0x1234;
	edu->pci.device = 0x11e8;
	edu->pci.class_code = 0x00ff00;
	edu->pci.bars[0].bytes = 1 << 20;
}

static const struct fake_kind edu_kind = {edu_init, edu_read, edu_write};

/* ---- iommu-testdev ---- */

static uint64_t testdev_read(struct fake *dev, uint32_t offset)
{
	switch (offset) {
	case 0x00:
		if (!dev->testdev.armed) {
			dev->testdev.result = 0xdead0005;
			return 0;
		}
		dev->testdev.armed = false;
		dev->transfers++;
		uint8_t *memory = fake_reach(dev, dev->testdev.iova, dev->testdev.length);
		for (uint32_t i = 0; memory && i < dev->testdev.length; i++)
			memory[i] = (uint8_t)(0x12345678 >> i % 4 * 8);
		dev->testdev.result =
			memory ? 0xdead0004 : 0xdead0002; /* never reads back the same */
		return 0;
	case 0x04:
		return (uint32_t)dev->testdev.iova;
	case 0x08:
		return dev->testdev.iova >> 32;
	case 0x10:
		return dev->testdev.result;
	default:
		return 0;
	}
}

static void testdev_write(struct fake *dev, uint32_t offset, uint64_t value)
{
	switch (offset) {
	case 0x04:
		dev->testdev.iova = (dev->testdev.iova & ~UINT64_C(0xffffffff)) | value;
		break;
	case 0x08:
		dev->testdev.iova = (uint32_t)dev->testdev.iova | value << 32;
		break;
	case 0x0c:
		dev->testdev.length = (uint32_t)value;
		break;
	case 0x14:
		dev->testdev.armed = value & 1;
		dev->testdev.result = value & 1 ? 0xfffffffe : 0xffffffff;
		break;
	case 0x18:
	case 0x1c:
	case 0x20:
		break;
	default:
		dev->wrong++;
	}
}

static void testdev_init(struct fake *dev)
{
	dev->pci.vendor = 0x1b36;
	dev->pci.device = 0x0005;
	dev->pci.class_code = 0x00ff00;
	dev->pci.bars[0].bytes = 4096;
	dev->testdev.result = UINT32_MAX;
}

static const struct fake_kind testdev_kind = {testdev_init, testdev_read, testdev_write};

/* ---- edu ---- */

static void edu_copies(void)
{
	struct bench *bench = bench_new();
	struct fake *edu;
	struct dma_engine *engine = bench_one(bench, &edu_kind, &edu);
	NEED(bench, engine);
	KTAP_CHECK(engine->ops->abilities & DMA_CAN_COPY);
	for (unsigned i = 0; i < WINDOW_BYTES; i++)
		bench->window[i] = (uint8_t)(i * 13 + (i >> 8));
	/* As much as it can, then odd bytes across a page boundary. */
	uint32_t most = engine->ops->max_bytes;
	KTAP_CHECK(most >= 2048 && most <= 4096);
	KTAP_EQUAL(engine->ops->fetch(engine, iova(WINDOW_IOVA), most), 0);
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA + 0x3000), most), 0);
	KTAP_CHECK(!memcmp(bench->window, bench->window + 0x3000, most));
	KTAP_EQUAL(engine->ops->fetch(engine, iova(WINDOW_IOVA + 4090), 13), 0);
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA + 0x5001), 13), 0);
	KTAP_CHECK(!memcmp(bench->window + 4090, bench->window + 0x5001, 13));
	KTAP_EQUAL(bench->window[0x5000], (uint8_t)(0x5000 * 13 + 0x50));
	KTAP_EQUAL(bench->window[0x500e], (uint8_t)(0x500e * 13 + 0x50));
	/* Blocked: the device says done, memory says otherwise. */
	KTAP_EQUAL(engine->ops->store(engine, iova(0x1000), 64), 0);
	KTAP_EQUAL(edu->transfers, 5);
	bench_end(bench, engine);
}

static void edu_refuses(void)
{
	struct bench *bench = bench_new();
	struct fake *edu;
	struct dma_engine *engine = bench_one(bench, &edu_kind, &edu);
	NEED(bench, engine);
	unsigned before = edu->accesses;
	KTAP_EQUAL(engine->ops->fetch(engine, iova(WINDOW_IOVA), 0), -EINVAL);
	KTAP_EQUAL(engine->ops->fetch(engine, iova(WINDOW_IOVA), 2049), -EINVAL);
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA), UINT32_MAX), -EINVAL);
	KTAP_EQUAL(engine->ops->store(engine, iova(UINT64_MAX - 2), 4), -EINVAL);
	KTAP_EQUAL(edu->accesses, before);
	/* The last bytes of the address space are a transfer like any other. */
	KTAP_EQUAL(engine->ops->store(engine, iova(UINT64_MAX - 3), 4), 0);
	bench_end(bench, engine);
}

static void edu_deadlines(void)
{
	struct bench *bench = bench_new();
	struct fake *edu;
	struct dma_engine *engine = bench_one(bench, &edu_kind, &edu);
	NEED(bench, engine);
	edu->stuck = true;
	uint64_t start = bench->test.now_ns;
	KTAP_EQUAL(engine->ops->fetch(engine, iova(WINDOW_IOVA), 8), -ETIMEDOUT);
	KTAP_CHECK(bench->test.now_ns - start < 6000 * MS);
	KTAP_CHECK(strstr(bench->test.last_log, "not done"));
	/* Still running: the next one does not touch the registers of this one. */
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA), 8), -ETIMEDOUT);
	edu->stuck = false;
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA), 8), 0);
	edu->gone = true;
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA), 8), -ENODEV);
	bench_end(bench, engine);
}

static void edu_probe_waits_for_predecessor(void)
{
	struct bench *bench = bench_new();
	struct fake *edu = bench_add(bench, &edu_kind);
	/* A transfer is under way; it ends while bus mastering is off, which the model
	 * counts, as the device on the bus would drop it. */
	edu->edu.command = 3, edu->edu.source = 0x40000, edu->edu.count = 16,
	edu->edu.target = WINDOW_IOVA;
	edu->edu.due = 50 * MS;
	struct dma_engine *engine = bench_probe(bench);
	NEED(bench, engine);
	KTAP_EQUAL(edu->wrong, 1);
	KTAP_EQUAL(bench->window[0], 0);
	edu->wrong = 0;
	KTAP_CHECK(fake_masters(edu));
	bench_end(bench, engine);
}

static void edu_probe_fails(void)
{
	for (int what = 0; what < 6; what++) {
		struct bench *bench = bench_new();
		struct fake *edu = bench_add(bench, &edu_kind);
		if (what == 0)
			edu->edu.bad_id = true;
		else if (what == 1)
			edu->gone = true;
		else if (what == 2)
			edu->pci.bars[0].bytes = 0x80;
		else if (what == 3)
			edu->pci.bars[0].base = 0;
		else if (what == 4)
			edu->pci.bars[0].is_port = true;
		else
			edu->edu.command = 1, edu->stuck = true;
		KTAP_CHECK(!bench_probe(bench));
		KTAP_CHECK(strstr(bench->logged, "edu 0000:00:01.0: not used: "));
		KTAP_CHECK(bench->test.log_count[IOMMU_LOG_ERROR] == 1);
		bench_end(bench, NULL);
	}
}

/* ---- iommu-testdev ---- */

static void testdev_stores(void)
{
	struct bench *bench = bench_new();
	struct fake *dev;
	struct dma_engine *engine = bench_one(bench, &testdev_kind, &dev);
	NEED(bench, engine);
	const uint8_t *at = bench->window + 0x1ffc;
	KTAP_CHECK(!(engine->ops->abilities & (DMA_CAN_FETCH | DMA_CAN_COPY)));
	KTAP_CHECK(!engine->ops->stored_ok(engine, at, 8));
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA + 0x1ffc), 8), 0);
	KTAP_CHECK(engine->ops->stored_ok(engine, at, 8));
	KTAP_CHECK(!engine->ops->stored_ok(engine, at, 12));
	KTAP_EQUAL(bench->window[0x1ffc], 0x78);
	KTAP_EQUAL(bench->window[0x1ffb], 0);
	KTAP_EQUAL(bench->window[0x2004], 0);
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA), WINDOW_BYTES), 0);
	/* Blocked, also above 4 GiB; then it goes on. */
	KTAP_EQUAL(engine->ops->store(engine, iova(UINT64_C(0x10000000000)), 4), -EIO);
	KTAP_EQUAL(bench->test.log_count[IOMMU_LOG_ERROR], 0); /* that is no error of the device */
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA), 4), 0);
	KTAP_EQUAL(engine->ops->fetch(engine, iova(WINDOW_IOVA), 4), -EOPNOTSUPP);
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA), 6), -EINVAL);
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA + 2), 4), -EINVAL);
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA), 65540), -EINVAL);
	dev->gone = true;
	KTAP_EQUAL(engine->ops->store(engine, iova(WINDOW_IOVA), 4), -ENODEV);
	bench_end(bench, engine);
}

static void testdev_is_not_pci_testdev(void)
{
	struct bench *bench = bench_new();
	struct fake *dev = bench_add(bench, &testdev_kind);
	dev->pci.bars[1] = (struct pci_bar){.base = 0xc000, .bytes = 256, .is_port = true};
	KTAP_CHECK(!bench_probe(bench));
	KTAP_EQUAL(dev->accesses, 0);
	KTAP_EQUAL(bench->logged[0], 0);
	bench_end(bench, NULL);
}

/* ---- the list ---- */

static void list_keeps_order(void)
{
	struct bench *bench = bench_new();
	struct fake *first = bench_add(bench, &testdev_kind);
	struct fake *broken = bench_add(bench, &edu_kind);
	struct fake *second = bench_add(bench, &edu_kind);
	struct fake *third = bench_add(bench, &testdev_kind);
	broken->edu.bad_id = true;
	struct dma_engine *engines = bench_probe(bench);
	const struct fake *const wanted[] = {first, second, third};
	unsigned found = 0;
	for (struct dma_engine *engine = engines; engine; engine = engine->next) {
		KTAP_CHECK(found < 3 && engine->pci == &wanted[found]->pci);
		KTAP_CHECK(engine->pci->claimed == engine);
		found++;
	}
	KTAP_EQUAL(found, 3);
	KTAP_CHECK(!broken->pci.claimed);
	KTAP_CHECK(strstr(bench->logged, "edu 0000:00:02.0: not used: ENODEV\n"));
	/* What is claimed is left alone. */
	broken->pci.claimed = broken;
	bench->logged[0] = 0;
	KTAP_CHECK(!bench_probe(bench));
	KTAP_EQUAL(bench->logged[0], 0);
	broken->pci.claimed = NULL;
	bench_end(bench, engines);
}

static void list_survives_failing_allocations(void)
{
	static const struct fake_kind *const kinds[] = {&edu_kind, &testdev_kind, &edu_kind};
	bench_sweep(kinds, 3, 6); /* three engines, three windows */
}

static const struct ktap_case cases[] = {
	{"edu copies memory, odd bytes included", edu_copies},
	{"edu refuses transfers it cannot make", edu_refuses},
	{"edu waits with a deadline", edu_deadlines},
	{"edu: a transfer of the predecessor ends before bus mastering",
         edu_probe_waits_for_predecessor},
	{"edu: a device that is not one is left out", edu_probe_fails},
	{"iommu-testdev stores its word and says what was blocked", testdev_stores},
	{"pci-testdev is not taken for iommu-testdev", testdev_is_not_pci_testdev},
	{"engines are listed in bus order, the broken one left out", list_keeps_order},
	{"every failing allocation costs one engine and no memory",
         list_survives_failing_allocations},
};

KTAP_MAIN(cases)
