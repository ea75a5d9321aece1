/* SPDX-License-Identifier: MIT */
/*
 * Registers of a remapping unit (VT-d specification 5.10, 11.4), programmed by hand: root
 * table, invalidation queue, translation, fault records. The same code drives the unit and
 * the model, through struct mmio.
 */
#include "kernel/agree_private.h"

enum {
	REG_GCMD = 0x18,
	REG_GSTS = 0x1c,
	REG_RTADDR = 0x20,
	REG_FSTS = 0x34,
	REG_FECTL = 0x38,
	REG_IQT = 0x88,
	REG_IQA = 0x90,
};

#define G_TE        UINT32_C(0x80000000)
#define G_SRTP      UINT32_C(0x40000000)
#define G_QIE       UINT32_C(0x04000000)
#define G_ONESHOTS  UINT32_C(0x69000000) /* never written back */
#define FECTL_IM    UINT32_C(0x80000000)
#define DEADLINE_NS UINT64_C(2000000000)

static bool wait(struct agree_side *side, uint32_t bit, bool set)
{
	const struct agree_bench *bench = side->bench;
	uint64_t start = bench->now_ns(bench->ctx);

	for (;;) {
		bool late = bench->now_ns(bench->ctx) - start > DEADLINE_NS;
		uint32_t status = mmio_read32(&side->window, REG_GSTS);
		if (!(status & bit) == !set)
			return true;
		if (late) {
			iommu_printf(
				bench->out,
				"# %s: GSTS bit %#x did not become %u within 2 s (it is %#x)\n",
				side->name, bit, set, status);
			side->failed = true;
			return false;
		}
		arch_pause();
	}
}

static bool command(struct agree_side *side, uint32_t bit, bool on)
{
	uint32_t status = mmio_read32(&side->window, REG_GSTS) & ~G_ONESHOTS;

	mmio_write32(&side->window, REG_GCMD, on ? status | bit : status & ~bit);
	return wait(side, bit, on);
}

/* ---- the queue (6.5.2) -------------------------------------------------------------------- */

static void slot(struct agree_side *side, uint64_t low, uint64_t high)
{
	uint32_t bytes = side->mode == AGREE_MODE_SCALABLE ? 32 : 16;
	uint64_t at = side->queue + side->tail;

	agree_put(side->bench, at, low);
	agree_put(side->bench, at + 8, high);
	if (bytes == 32) {
		agree_put(side->bench, at + 16, 0);
		agree_put(side->bench, at + 24, 0);
	}
	side->tail = (side->tail + bytes) % 4096;
}

/* A wait with a status write behind what was put in; then all of it is started. */
static bool flush(struct agree_side *side)
{
	const struct agree_bench *bench = side->bench;
	uint64_t status = side->queue + 4096, start;
	const volatile uint32_t *word = bench->memory(bench->ctx, status, 4);

	agree_put(bench, status, 0);
	side->serial++;
	slot(side, 5 | AGREE_BIT(5) | AGREE_BIT(6) | (uint64_t)side->serial << 32, status);
	arch_barrier();
	mmio_write64(&side->window, REG_IQT, side->tail);
	start = bench->now_ns(bench->ctx);
	while (*word != side->serial) {
		if (bench->now_ns(bench->ctx) - start > DEADLINE_NS) {
			iommu_printf(bench->out,
			             "# %s: the invalidation queue stands still (FSTS is %#x)\n",
			             side->name, mmio_read32(&side->window, REG_FSTS));
			side->failed = true;
			return false;
		}
		arch_pause();
	}
	arch_barrier();
	return true;
}

static bool forget_all(struct agree_side *side)
{
	slot(side, 1 | 1 << 4, 0);
	if (side->mode == AGREE_MODE_SCALABLE)
		slot(side, 7 | 3 << 4, 0);
	slot(side, 2 | 1 << 4 | 1 << 6 | 1 << 7, 0);
	return flush(side);
}

bool agree_side_forget(struct agree_side *side, enum agree_scope scope, bool first, uint16_t did,
                       uint64_t address, unsigned shift)
{
	uint64_t low = (uint64_t)did << 16, high = 0;

	if (scope == AGREE_ALL)
		return forget_all(side);
	/* A first-stage change is owed a PASID-based request, PASID 0. */
	low |= first ? 6 : 2 | 1 << 6 | 1 << 7;
	if (scope == AGREE_PAGE) {
		low |= 3 << 4;
		high = (address & AGREE_MASK(63, shift)) | (shift - 12);
	} else {
		low |= 2 << 4;
	}
	slot(side, low, high);
	return flush(side);
}

static bool queue_on(struct agree_side *side, enum agree_mode mode)
{
	mmio_write64(&side->window, REG_IQT, 0);
	mmio_write64(&side->window, REG_IQA,
	             side->queue | (mode == AGREE_MODE_SCALABLE ? AGREE_BIT(11) : 0));
	side->tail = 0;
	side->mode = mode;
	return command(side, G_QIE, true);
}

/* ---- modes ------------------------------------------------------------------------------------ */

bool agree_side_off(struct agree_side *side)
{
	side->mode = AGREE_MODE_OFF;
	if (mmio_read32(&side->window, REG_GSTS) & G_TE && !command(side, G_TE, false))
		return false;
	return !(mmio_read32(&side->window, REG_GSTS) & G_QIE) || command(side, G_QIE, false);
}

static bool set_root(struct agree_side *side, uint64_t root)
{
	side->root = root | (side->mode == AGREE_MODE_SCALABLE ? AGREE_BIT(10) : 0);
	mmio_write64(&side->window, REG_RTADDR, side->root);
	return command(side, G_SRTP, true);
}

bool agree_side_use(struct agree_side *side, enum agree_mode mode, uint64_t root)
{
	uint64_t wanted = root | (mode == AGREE_MODE_SCALABLE ? AGREE_BIT(10) : 0);
	bool off = side->mode != mode;

	if (off) {
		mmio_write32(&side->window, REG_FECTL, FECTL_IM);
		if (!agree_side_off(side) || !queue_on(side, mode))
			return false;
	}
	if ((off || side->root != wanted) && !set_root(side, root))
		return false;
	return forget_all(side) && (!off || command(side, G_TE, true));
}

/* ---- faults (7.3, 11.4.7) ----------------------------------------------------------------------- */

void agree_side_fault(struct agree_side *side, struct agree_record *out)
{
	uint32_t status = mmio_read32(&side->window, REG_FSTS);
	uint32_t records = (uint32_t)AGREE_GET(side->cap, 33, 24) * 16;

	*out = (struct agree_record){.overflow = status & 1};
	if (status & 2) {
		uint32_t at = records + (status >> 8 & 0xff) * 16;
		out->low = mmio_read64(&side->window, at);
		out->high = mmio_read64(&side->window, at + 8);
	}
	for (unsigned i = 0; i <= AGREE_GET(side->cap, 47, 40); i++) {
		uint32_t at = records + i * 16 + 12;
		if (!(mmio_read32(&side->window, at) & UINT32_C(0x80000000)))
			continue;
		/* A second record is no less a second fault than an overflow. */
		out->overflow = out->overflow || i != (status >> 8 & 0xff);
		mmio_write32(&side->window, at, UINT32_C(0x80000000));
	}
	if (status & 1)
		mmio_write32(&side->window, REG_FSTS, 1);
}
