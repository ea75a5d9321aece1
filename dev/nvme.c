/* SPDX-License-Identifier: MIT */
/*
 * NVMe controllers as a witness: Identify Controller makes the device write 4096
 * known bytes at an IOVA, and real machines have one too. NVM Express base
 * specification 2.0, sections 3.1.3 (registers), 3.5 (controller reset), 3.6.1
 * (shutdown), 4.1 (commands), 5.17 (Identify).
 *
 * Safe on a machine whose disk this is: only the admin queue exists and the only
 * command ever sent is Identify with CNS 1, so no namespace is named, read or
 * written. The controller is told of the shutdown and left disabled.
 *
 * The queues lie in scratch memory that the caller maps: page 0 submission, page 1
 * completion, page 2 what the first Identify returned. That one is kept as the
 * reference for what later ones must store. One command is outstanding at most.
 *
 * What a blocked Identify reports differs: a controller may complete it with an
 * error (-EIO here) or as success, so the truth is in memory and the fault log.
 */
#include "dev/driver.h"

#include "iommu/field.h"
#include "iommu/string.h"

enum {
	NVME_CLASS = 0x010802, /* mass storage, non-volatile memory, NVM Express I/O */

	NVME_CAP = 0x00,
	NVME_INTMS = 0x0c,
	NVME_CC = 0x14,
	NVME_CSTS = 0x1c,
	NVME_AQA = 0x24,
	NVME_ASQ = 0x28,
	NVME_ACQ = 0x30,
	NVME_CRTO = 0x68,
	NVME_DOORBELLS = 0x1000,
	NVME_MAX_DOORBELLS = 2 * (4 << 15),
};

#define CAP_TO     FIELD(31, 24)
#define CAP_DSTRD  FIELD(35, 32)
#define CAP_CSS    FIELD(44, 37)
#define CAP_MPSMIN FIELD(51, 48)
#define CAP_CRWMS  BIT64(59)
#define CRTO_CRWMT FIELD(15, 0)

#define CSS_NVM    BIT64(0)
#define CSS_MANY   BIT64(6)
#define CSS_ADMIN  BIT64(7)

#define CC_EN      BIT64(0)
#define CC_CSS     FIELD(6, 4)
#define CC_SHN     FIELD(15, 14)
#define CC_IOSQES  FIELD(19, 16)
#define CC_IOCQES  FIELD(23, 20)

#define CSTS_RDY   BIT64(0)
#define CSTS_CFS   BIT64(1)
#define CSTS_SHST  FIELD(3, 2)

#define CQE_CID    FIELD(15, 0)
#define CQE_PHASE  BIT64(16)
#define CQE_STATUS FIELD(31, 17)

enum {
	QUEUE_ENTRIES = 64, /* 64 x 64 bytes fill the submission queue's page */
	SQE_WORDS = 16,
	CQE_WORDS = 4,
	PAGE = 4096,
	SCRATCH_PAGES = 3,
	OPCODE_IDENTIFY = 0x06,
	CNS_CONTROLLER = 1,
	IDENTIFY_FIXED = 3072, /* from here on vendor specific, and perhaps changing */
	COMMAND_INTERRUPT_OFF = 1 << 10,
};

#define TIMEOUT_UNIT_NS     (500 * NS_PER_MS)
#define COMMAND_TIMEOUT_NS  (5000 * NS_PER_MS)
#define SHUTDOWN_TIMEOUT_NS (10000 * NS_PER_MS)

struct nvme {
	uint32_t stride;     /* bytes between doorbells */
	uint32_t css;        /* value for CC.CSS */
	uint64_t timeout_ns; /* for CSTS.RDY to follow CC.EN */
	bool ready;          /* queues are set up and the controller runs */
	volatile uint32_t *sq, *cq;
	uint32_t tail, head;
	uint32_t phase; /* of the next completion: 1 in the first round */
	uint16_t command_id;
	uint8_t reference[PAGE]; /* what Identify returned at setup */
};

static bool nvme_match(const struct pci_device *pci)
{
	return pci->class_code == NVME_CLASS;
}

static int nvme_wait_status(struct dma_engine *engine, uint64_t mask, uint64_t want, uint64_t stop,
                            uint64_t timeout_ns, const char *what)
{
	uint32_t csts = 0;
	int error = engine_wait32(engine, NVME_CSTS, (uint32_t)mask, (uint32_t)want, (uint32_t)stop,
	                          timeout_ns, &csts);
	if (error == -EIO)
		engine_log(engine, IOMMU_LOG_ERROR, "%s: the controller stopped: CSTS is %#x", what,
		           csts);
	else if (error == -ETIMEDOUT)
		engine_log(engine, IOMMU_LOG_ERROR, "%s: CSTS is %#x after %u ms", what, csts,
		           (unsigned)(timeout_ns / NS_PER_MS));
	else if (error)
		engine_log(engine, IOMMU_LOG_ERROR, "%s: registers read all ones", what);
	return error;
}

/* CC.EN off and wait until the controller has let go of the queues. */
static int nvme_disable(struct dma_engine *engine)
{
	struct nvme *nvme = engine->driver_data;
	const struct mmio *bar = &engine->bar[0];

	nvme->ready = false;
	uint32_t cc = mmio_read32(bar, NVME_CC);
	uint32_t csts = mmio_read32(bar, NVME_CSTS);
	if ((cc & CC_EN) && !(csts & (CSTS_RDY | CSTS_CFS))) {
		/* Still on its way up (firmware's doing): CC.EN may not be cleared before it
		 * has arrived. If it never does, the reset below is all that is left. */
		uint64_t start = engine->os->now_ns(engine->os->ctx);
		while (!(mmio_read32(bar, NVME_CSTS) & (CSTS_RDY | CSTS_CFS)) &&
		       engine->os->now_ns(engine->os->ctx) - start < nvme->timeout_ns)
			engine->os->relax(engine->os->ctx);
	}
	if (cc & CC_EN)
		mmio_write32(bar, NVME_CC, cc & ~(uint32_t)(CC_EN | CC_SHN));
	return nvme_wait_status(engine, CSTS_RDY, 0, 0, nvme->timeout_ns, "disable");
}

/* Read what CAP says of the way to run the controller; refuse what this driver cannot. */
static int nvme_read_capabilities(struct dma_engine *engine)
{
	struct nvme *nvme = engine->driver_data;
	const struct mmio *bar = &engine->bar[0];

	uint64_t cap = mmio_read64(bar, NVME_CAP);
	if (cap == UINT64_MAX) {
		engine_log(engine, IOMMU_LOG_ERROR, "registers read all ones");
		return -ENODEV;
	}
	if (field_get(CAP_MPSMIN, cap)) {
		engine_log(engine, IOMMU_LOG_ERROR,
		           "the smallest page is 2^%u bytes (CAP.MPSMIN), wanted 2^12",
		           12 + (unsigned)field_get(CAP_MPSMIN, cap));
		return -EOPNOTSUPP;
	}
	uint64_t css = field_get(CAP_CSS, cap);
	if (css & CSS_NVM)
		nvme->css = 0;
	else if (css & CSS_MANY)
		nvme->css = 6;
	else if (css & CSS_ADMIN)
		nvme->css = 7;
	else {
		engine_log(engine, IOMMU_LOG_ERROR, "no command set that is known: CAP.CSS is %#x",
		           (unsigned)css);
		return -EOPNOTSUPP;
	}
	nvme->stride = 4u << field_get(CAP_DSTRD, cap);
	uint64_t needed = NVME_DOORBELLS + 2 * (uint64_t)nvme->stride;
	if (engine->bar[0].bytes < needed) {
		engine_log(engine, IOMMU_LOG_ERROR, "BAR 0 has %#llx bytes, doorbells need %#llx",
		           (unsigned long long)engine->bar[0].bytes, (unsigned long long)needed);
		return -ENODEV;
	}
	/* CAP.TO tops out at 127.5 s; slower controllers say so in CRTO. */
	uint64_t units = field_get(CAP_TO, cap);
	if (cap & CAP_CRWMS) {
		uint64_t longer = field_get(CRTO_CRWMT, mmio_read32(bar, NVME_CRTO));
		units = longer > units ? longer : units;
	}
	nvme->timeout_ns = (units ? units : 1) * TIMEOUT_UNIT_NS;
	return 0;
}

static int nvme_probe(struct dma_engine *engine)
{
	struct nvme *nvme = engine->os->alloc(engine->os->ctx, sizeof(*nvme));
	if (!nvme)
		return -ENOMEM;
	engine->driver_data = nvme;
	int error = engine_map_bar(engine, 0, NVME_DOORBELLS + 8);
	if (error)
		goto out;
	engine_decode_on(engine);
	error = nvme_read_capabilities(engine);
	if (error)
		goto out;
	error = nvme_disable(engine);
	if (error)
		goto out;
	/* Completions are polled for: no pin, no message. */
	mmio_write32(&engine->bar[0], NVME_INTMS, UINT32_MAX);
	pci_write(engine->pci, 0x04, 2, pci_read(engine->pci, 0x04, 2) | COMMAND_INTERRUPT_OFF);
	pci_master(engine->pci, true);
	return 0;
out:
	engine->driver_data = NULL;
	engine->os->free(engine->os->ctx, nvme, sizeof(*nvme));
	return error;
}

static void nvme_remove(struct dma_engine *engine)
{
	struct nvme *nvme = engine->driver_data;
	const struct mmio *bar = &engine->bar[0];

	/* A drive that loses power without this counts an unsafe shutdown. */
	if (nvme->ready) {
		uint32_t cc = mmio_read32(bar, NVME_CC);
		mmio_write32(bar, NVME_CC, (uint32_t)field_set(cc, CC_SHN, 1));
		int error = nvme_wait_status(engine, CSTS_SHST, field_put(CSTS_SHST, 2), CSTS_CFS,
		                             SHUTDOWN_TIMEOUT_NS, "shutdown");
		(void)error; /* logged; the reset below happens all the same */
	}
	int error = nvme_disable(engine);
	(void)error; /* logged; bus mastering goes off next */
	engine->driver_data = NULL;
	engine->os->free(engine->os->ctx, nvme, sizeof(*nvme));
}

/* The controller's state is unknown: a late completion must not reach memory that has
 * become another's. Only setup brings it back. */
static int nvme_give_up(struct dma_engine *engine, int why)
{
	int error = nvme_disable(engine);
	if (error)
		pci_master(engine->pci, false);
	return why;
}

/* Wait for the one outstanding command. 0; -EIO if the controller reports an error, and
 * it goes on; if it stops (-EIO), is gone (-ENODEV) or silent (-ETIMEDOUT), it is off. */
static int nvme_complete(struct dma_engine *engine)
{
	struct nvme *nvme = engine->driver_data;
	const struct iommu_os *os = engine->os;
	const struct mmio *bar = &engine->bar[0];
	volatile uint32_t *entry = nvme->cq + nvme->head * CQE_WORDS;
	uint64_t start = os->now_ns(os->ctx);

	while ((uint32_t)field_get(CQE_PHASE, entry[3]) != nvme->phase) {
		bool late = os->now_ns(os->ctx) - start >= COMMAND_TIMEOUT_NS;
		uint32_t csts = mmio_read32(bar, NVME_CSTS);
		if (csts == UINT32_MAX) {
			engine_log(engine, IOMMU_LOG_ERROR, "registers read all ones");
			return nvme_give_up(engine, -ENODEV);
		}
		if (csts & CSTS_CFS) {
			engine_log(engine, IOMMU_LOG_ERROR,
			           "controller stopped (CSTS.CFS): it cannot reach its queues?");
			return nvme_give_up(engine, -EIO);
		}
		if (late && (uint32_t)field_get(CQE_PHASE, entry[3]) != nvme->phase) {
			engine_log(engine, IOMMU_LOG_ERROR, "Identify not done after %u ms",
			           (unsigned)(COMMAND_TIMEOUT_NS / NS_PER_MS));
			return nvme_give_up(engine, -ETIMEDOUT);
		}
		os->relax(os->ctx);
	}
	arch_barrier(); /* the rest of the entry, and the data, after the phase */
	uint32_t last = entry[3];
	if (++nvme->head == QUEUE_ENTRIES) {
		nvme->head = 0;
		nvme->phase ^= 1;
	}
	mmio_write32(bar, NVME_DOORBELLS + nvme->stride, nvme->head);
	if (field_get(CQE_CID, last) != nvme->command_id) {
		engine_log(engine, IOMMU_LOG_ERROR, "completion of command %u, wanted %u",
		           (unsigned)field_get(CQE_CID, last), nvme->command_id);
		return nvme_give_up(engine, -EIO);
	}
	if (field_get(CQE_STATUS, last)) {
		engine_log(engine, IOMMU_LOG_INFO, "Identify ended with status %#x",
		           (unsigned)field_get(CQE_STATUS, last));
		return -EIO;
	}
	return 0;
}

static int nvme_identify(struct dma_engine *engine, iova_t to)
{
	struct nvme *nvme = engine->driver_data;
	volatile uint32_t *entry = nvme->sq + nvme->tail * SQE_WORDS;

	nvme->command_id++;
	for (unsigned i = 0; i < SQE_WORDS; i++)
		entry[i] = 0;
	entry[0] = OPCODE_IDENTIFY | (uint32_t)nvme->command_id << 16;
	entry[6] = (uint32_t)to.value; /* PRP1; one whole page needs no PRP2 */
	entry[7] = (uint32_t)(to.value >> 32);
	entry[10] = CNS_CONTROLLER;
	if (++nvme->tail == QUEUE_ENTRIES)
		nvme->tail = 0;
	arch_barrier(); /* the entry is in memory before the device is told */
	mmio_write32(&engine->bar[0], NVME_DOORBELLS, nvme->tail);
	return nvme_complete(engine);
}

static int nvme_start(struct dma_engine *engine, iova_t scratch_iova)
{
	struct nvme *nvme = engine->driver_data;
	const struct mmio *bar = &engine->bar[0];

	mmio_write32(bar, NVME_AQA, (QUEUE_ENTRIES - 1) << 16 | (QUEUE_ENTRIES - 1));
	mmio_write64(bar, NVME_ASQ, scratch_iova.value);
	mmio_write64(bar, NVME_ACQ, scratch_iova.value + PAGE);
	nvme->tail = 0;
	nvme->head = 0;
	nvme->phase = 1;
	arch_barrier(); /* the emptied completion queue comes before the device looks */
	uint64_t cc = CC_EN | field_put(CC_CSS, nvme->css) | field_put(CC_IOSQES, 6) |
	              field_put(CC_IOCQES, 4);
	mmio_write32(bar, NVME_CC, (uint32_t)cc);
	return nvme_wait_status(engine, CSTS_RDY, CSTS_RDY, CSTS_CFS, nvme->timeout_ns, "enable");
}

static int nvme_setup(struct dma_engine *engine, iova_t scratch_iova, void *scratch)
{
	struct nvme *nvme = engine->driver_data;
	if (scratch_iova.value % PAGE || (uintptr_t)scratch % PAGE ||
	    scratch_iova.value > UINT64_MAX - SCRATCH_PAGES * PAGE)
		return -EINVAL;
	int error = nvme_disable(engine);
	if (error)
		return error;
	pci_master(engine->pci, true);
	uint8_t *pages = scratch;
	memset(pages, 0, SCRATCH_PAGES * PAGE);
	nvme->sq = (volatile uint32_t *)scratch;
	nvme->cq = nvme->sq + PAGE / sizeof(uint32_t);

	error = nvme_start(engine, scratch_iova);
	if (!error)
		error = nvme_identify(engine, iova_add(scratch_iova, 2 * PAGE));
	if (error)
		return nvme_give_up(engine, error);
	memcpy(nvme->reference, pages + 2 * PAGE, PAGE);
	unsigned vendor = nvme->reference[0] | (unsigned)nvme->reference[1] << 8;
	if (vendor != engine->pci->vendor) {
		engine_log(engine, IOMMU_LOG_ERROR,
		           "Identify is done, but memory has vendor %#x, wanted %#x", vendor,
		           engine->pci->vendor);
		return nvme_give_up(engine, -EIO);
	}
	nvme->ready = true;
	return 0;
}

static int nvme_store(struct dma_engine *engine, iova_t to, uint32_t bytes)
{
	struct nvme *nvme = engine->driver_data;
	int error = engine_check(engine, to, bytes);
	if (error)
		return error;
	if (!nvme->ready)
		return -ENXIO;
	return nvme_identify(engine, to);
}

static bool nvme_stored_ok(struct dma_engine *engine, const void *actual, uint32_t bytes)
{
	const struct nvme *nvme = engine->driver_data;
	return bytes == PAGE && memcmp(actual, nvme->reference, IDENTIFY_FIXED) == 0;
}

const struct dma_engine_ops dma_engine_nvme = {
	.name = "nvme",
	.abilities = DMA_CAN_STORE | DMA_IS_FAST,
	.max_bytes = PAGE,
	.granule = PAGE,
	.match = nvme_match,
	.probe = nvme_probe,
	.remove = nvme_remove,
	.scratch_bytes = SCRATCH_PAGES * PAGE,
	.setup = nvme_setup,
	.fetch = engine_fetch_refuse,
	.store = nvme_store,
	.stored_ok = nvme_stored_ok,
};
