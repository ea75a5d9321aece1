/* SPDX-License-Identifier: MIT */
/* The invalidation queue: see queue.h. */
#include "vtd/queue.h"

#include "vtd/device_tlb.h"
#include "vtd/submit.h"

enum {
	/** FSTS is read in every n-th turn of a wait: it costs a register access, and a
	 *  healthy queue completes before the first. */
	FSTS_EVERY = 8,
	/** Errors of one turn before the queue counts as dead: devices seldom fall silent by
	 *  the dozen. */
	MAX_CHANCES = 12,
	/** Slots that errors may need on top of a batch: a wait for a dropped one, and three
	 *  descriptors that make the unit forget a device that was cut off. */
	SPARE_SLOTS = 4 * MAX_CHANCES + 2,
};

/* a ring has 128 slots at least */
_Static_assert(VTD_TURN_DESCRIPTORS + SPARE_SLOTS < 128, "with all that errors may need");

/** Requests that are waited for, from the first through the last. */
struct submission {
	const struct vtd_request *first, *last;
	unsigned chances;
	int result;        /* the first error */
	uint64_t deadline; /* 0: not read from the clock yet */
};

static uint32_t *status_word(const struct vtd_unit *unit, unsigned offset)
{
	return (uint32_t *)(unit->ring + PAGE_SIZE_4K + offset);
}

static uint64_t status_pa(const struct vtd_unit *unit, unsigned offset)
{
	return unit->queue.value + PAGE_SIZE_4K + offset;
}

static uint64_t *slot(const struct vtd_unit *unit, unsigned index)
{
	return (uint64_t *)(unit->ring + ((size_t)index << unit->slot_shift));
}

static inline void fill_slot(const struct vtd_unit *unit, unsigned index,
                             const struct vtd_descriptor *from)
{
	uint64_t *to = slot(unit, index);

	to[0] = from->word[0];
	to[1] = from->word[1];
	if (unit->slot_bytes > 16) {
		to[2] = from->word[2];
		to[3] = from->word[3];
	}
}

/** The slot after @p index: their number is a power of two. */
static inline unsigned slot_after(const struct vtd_unit *unit, unsigned index)
{
	return (index + 1) & (unit->slots - 1);
}

/** Put a descriptor at the tail; the hardware sees it with the next tail write. The
 *  queue reads snoop whatever ECAP.C says, so nothing is cleaned. */
static inline void append(struct vtd_unit *unit, const struct vtd_descriptor *descriptor)
{
	fill_slot(unit, unit->tail, descriptor);
	unit->tail = slot_after(unit, unit->tail);
	unit->stats.descriptors[vtd_descriptor_type(descriptor)]++;
}

static inline void append_wait(struct vtd_unit *unit)
{
	struct vtd_descriptor wait =
		vtd_desc_wait(unit->sequence, status_pa(unit, VTD_STATUS_WAIT));
	append(unit, &wait);
}

static inline void ring(struct vtd_unit *unit)
{
	arch_barrier();
	vtd_write(&unit->window, VTD_REG_IQT, (uint64_t)unit->tail << unit->slot_shift);
}

const char *vtd_queue_error_name(unsigned iqei)
{
	static const char *const names[] = {
		"no detail",
		"invalid tail",
		"descriptor fetch failed",
		"invalid descriptor type",
		"reserved field set",
		"descriptor width not allowed in this mode",
		"tail not aligned to the descriptor width",
		"invalid RTADDR.TTM",
	};
	return iqei < ARRAY_SIZE(names) ? names[iqei] : "unknown reason";
}

/** The descriptor at the head was refused: report it, put a wait in its place. False if
 *  the queue cannot go on: the refused one is the wait that ends the batch. */
static bool recover_bad_descriptor(struct vtd_unit *unit)
{
	uint64_t head = vtd_read(&unit->window, VTD_REG_IQH) & VTD_IQH_QH;
	uint64_t record = vtd_read(&unit->window, VTD_REG_IQERCD);
	unsigned index = (unsigned)(head / unit->slot_bytes) % unit->slots;
	unsigned iqei = (unsigned)field_get(VTD_IQERCD_IQEI, record);
	const uint64_t *bad = slot(unit, index);

	vtd_log(unit, IOMMU_LOG_ERROR,
	        "FSTS.IQE: invalidation descriptor %#llx %#llx at IQH %#llx was refused (IQEI %u, "
	        "%s)",
	        (unsigned long long)bad[0], (unsigned long long)bad[1], (unsigned long long)head,
	        iqei, vtd_queue_error_name(iqei));
	bool is_last = slot_after(unit, index) == unit->tail;
	if (!is_last) {
		struct vtd_descriptor nothing =
			vtd_desc_wait(0, status_pa(unit, VTD_STATUS_SCRATCH));
		fill_slot(unit, index, &nothing);
		arch_barrier();
	}
	vtd_clear(&unit->window, VTD_REG_FSTS, VTD_FSTS_IQE);
	if (!is_last)
		ring(unit);
	return !is_last;
}

/** A device did not answer: cut it off, and go on without it. */
static void recover_silent_device(struct vtd_unit *unit, struct submission *batch)
{
	uint64_t record = vtd_read(&unit->window, VTD_REG_IQERCD);
	uint16_t sid = (uint16_t)field_get(VTD_IQERCD_ITESID, record);

	if (vtd_device_cut_off(unit, batch->first, batch->last, sid)) {
		const struct vtd_descriptor context = vtd_desc_context(VTD_CONTEXT_GLOBAL, 0, 0);
		const struct vtd_descriptor pasid = vtd_desc_pasid(VTD_PASID_CACHE_GLOBAL, 0, 0);
		const struct vtd_descriptor iotlb = vtd_desc_iotlb(VTD_IOTLB_GLOBAL, 0);
		append(unit, &context);
		if (unit->scalable)
			append(unit, &pasid);
		append(unit, &iotlb);
	} else {
		vtd_log(unit, IOMMU_LOG_ERROR,
		        "FSTS.ITE: device %#x did not answer an invalidation, but none was asked "
		        "to",
		        sid);
		batch->result = batch->result ? batch->result : -ETIMEDOUT;
	}
	append_wait(unit); /* hardware dropped those that were pending */
	vtd_clear(&unit->window, VTD_REG_FSTS, VTD_FSTS_ITE);
	ring(unit);
	batch->deadline = 0; /* the next device has its own time */
}

static void die(struct vtd_unit *unit, const char *why)
{
	unit->broken = true;
	vtd_log(unit, IOMMU_LOG_ERROR,
	        "the invalidation queue is dead: %s (IQH %#llx, IQT %#llx, FSTS %#x); this unit's "
	        "invalidations fail from now on",
	        why, (unsigned long long)vtd_read(&unit->window, VTD_REG_IQH),
	        (unsigned long long)vtd_read(&unit->window, VTD_REG_IQT),
	        vtd_read(&unit->window, VTD_REG_FSTS));
}

/** Look at FSTS and recover. False: the queue is dead. */
static bool handle_errors(struct vtd_unit *unit, struct submission *batch)
{
	uint32_t status = vtd_read(&unit->window, VTD_REG_FSTS);

	if (status == UINT32_MAX) {
		die(unit, "its registers read all ones");
		return false;
	}
	if (!(status & (VTD_FSTS_IQE | VTD_FSTS_ITE | VTD_FSTS_ICE)))
		return true;
	unit->stats.queue_errors++;
	if (batch->chances-- == 0) {
		die(unit, "it fails again and again");
		return false;
	}
	if (status & VTD_FSTS_ICE) {
		uint64_t record = vtd_read(&unit->window, VTD_REG_IQERCD);
		vtd_log(unit, IOMMU_LOG_ERROR,
		        "FSTS.ICE: device %#llx answered an invalidation wrongly",
		        (unsigned long long)field_get(VTD_IQERCD_ICESID, record));
		vtd_clear(&unit->window, VTD_REG_FSTS, VTD_FSTS_ICE);
		batch->result = batch->result ? batch->result : -EIO;
	}
	if (status & VTD_FSTS_IQE) {
		batch->result = batch->result ? batch->result : -EIO;
		if (!recover_bad_descriptor(unit)) {
			die(unit, "it refuses even a wait");
			return false;
		}
	}
	if (status & VTD_FSTS_ITE)
		recover_silent_device(unit, batch);
	return true;
}

/** How long requests may take. A device's answer is the device's matter. */
static uint64_t patience(const struct submission *batch)
{
	for (const struct vtd_request *at = batch->first; at;
	     at = at == batch->last ? NULL : at->next) {
		for (unsigned i = 0; i < at->count; i++) {
			unsigned type = vtd_descriptor_type(&at->descriptors[i]);
			if (type == VTD_DESC_DEV_TLB || type == VTD_DESC_P_DEV_TLB)
				return VTD_DEVICE_DEADLINE_NS;
		}
	}
	return VTD_DEADLINE_NS;
}

/** Look at FSTS now and then, with the lock under which devices are cut off. */
static bool look(struct vtd_unit *unit, struct submission *batch, unsigned turn)
{
	if (turn % FSTS_EVERY)
		return true;
	unit->os->lock(unit->os->ctx, &unit->lock);
	bool alive = handle_errors(unit, batch);
	unit->os->unlock(unit->os->ctx, &unit->lock);
	return alive;
}

/** Wait for requests whose completion word is not there yet. */
static __attribute__((noinline)) int batch_wait(struct vtd_unit *unit,
                                                const struct vtd_request *first,
                                                const struct vtd_request *last)
{
	struct submission batch = {.first = first, .last = last, .chances = 1};
	const uint32_t *word = status_word(unit, VTD_STATUS_WAIT);

	for (const struct vtd_request *at = first; at; at = at == last ? NULL : at->next)
		batch.chances += at->count;
	if (batch.chances > MAX_CHANCES)
		batch.chances = MAX_CHANCES;
	for (unsigned turn = 0;; turn++) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == unit->sequence)
			return batch.result;
		if (!look(unit, &batch, turn))
			return -EIO;
		if (!batch.deadline)
			batch.deadline = unit->os->now_ns(unit->os->ctx) + patience(&batch);
		if (!vtd_wait_over(unit, batch.deadline))
			continue;
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == unit->sequence)
			return batch.result;
		unit->os->lock(unit->os->ctx, &unit->lock);
		die(unit, patience(&batch) == VTD_DEADLINE_NS
		                  ? "a wait descriptor did not complete within 1000 ms"
		                  : "devices did not answer within 90 s, and it did not give them "
		                    "up (FSTS.ITE)");
		unit->os->unlock(unit->os->ctx, &unit->lock);
		return -ETIMEDOUT;
	}
}

/** The last descriptor in the ring is a wait: until it has completed. */
static inline int ring_and_wait(struct vtd_unit *unit, const struct vtd_request *first,
                                const struct vtd_request *last)
{
	ring(unit);
	/* often it is done before the write of the tail is */
	if (__builtin_expect(__atomic_load_n(status_word(unit, VTD_STATUS_WAIT),
	                                     __ATOMIC_ACQUIRE) == unit->sequence,
	                     1))
		return 0;
	return batch_wait(unit, first, last);
}

int vtd_queue_execute(struct vtd_unit *unit, const struct vtd_request *first,
                      const struct vtd_request *last)
{
	for (const struct vtd_request *at = first;; at = at->next) {
		for (unsigned i = 0; i < at->count; i++)
			append(unit, &at->descriptors[i]);
		if (at == last)
			break;
	}
	unit->sequence++;
	append_wait(unit);
	return ring_and_wait(unit, first, last);
}

int vtd_queue_execute_quick(struct vtd_unit *unit, const struct vtd_request *request)
{
	const struct vtd_descriptor *one = request->descriptors;
	const unsigned last = slot_after(unit, unit->tail), after = slot_after(unit, last);
	uint64_t *to = slot(unit, unit->tail), *behind = slot(unit, last);
	const uint32_t sequence = unit->sequence + 1;
	const struct vtd_descriptor wait =
		vtd_desc_wait(sequence, status_pa(unit, VTD_STATUS_WAIT));

	to[0] = one->word[0];
	to[1] = one->word[1];
	behind[0] = wait.word[0];
	behind[1] = wait.word[1];
	if (unit->slot_bytes > 16) {
		to[2] = one->word[2];
		to[3] = one->word[3];
		behind[2] = behind[3] = 0;
	}
	unit->sequence = sequence;
	unit->tail = after;
	unit->stats.descriptors[vtd_descriptor_type(one)]++;
	unit->stats.descriptors[VTD_DESC_WAIT]++;
	return ring_and_wait(unit, request, request);
}

int vtd_queue_execute_one(struct vtd_unit *unit, const struct vtd_request *request)
{
	struct vtd_request part = {.descriptors = request->descriptors};
	const unsigned most = unit->slots - SPARE_SLOTS - 1;
	int result = 0;

	if (request->count < VTD_TURN_DESCRIPTORS)
		return vtd_queue_execute(unit, request, request);
	for (unsigned left = request->count; left; left -= part.count) {
		part.count = left < most ? left : most;
		if (unit->broken)
			return -EIO;
		int err = vtd_queue_execute(unit, &part, &part);
		result = result ? result : err;
		part.descriptors += part.count;
	}
	return result;
}

int vtd_queue_start(struct vtd_unit *unit)
{
	const uint32_t errors = VTD_FSTS_IQE | VTD_FSTS_ITE | VTD_FSTS_ICE;
	int err;

	unit->tail = 0;
	unit->sequence = 0;
	*status_word(unit, VTD_STATUS_WAIT) = 0;
	vtd_clear(&unit->window, VTD_REG_FSTS, errors);
	vtd_write(&unit->window, VTD_REG_IQT, 0);
	/* QS 0: one page, 2^8 descriptors of 128 bits or 2^7 of 256. */
	vtd_write(&unit->window, VTD_REG_IQA,
	          unit->queue.value | (unit->scalable ? VTD_IQA_DW : UINT64_C(0)));
	arch_barrier();
	err = vtd_command_toggle(unit, VTD_GCMD_QIE, true);
	if (!err)
		unit->queue_on = true;
	return err;
}

/** A wait in a queue that was never used. */
static int first_wait(struct vtd_unit *unit)
{
	uint64_t deadline = vtd_deadline(unit);
	bool over = false;

	unit->sequence++;
	append_wait(unit);
	ring(unit);
	while (__atomic_load_n(status_word(unit, VTD_STATUS_WAIT), __ATOMIC_ACQUIRE) !=
	       unit->sequence) {
		if (over) {
			die(unit, "its first wait descriptor did not complete within 1000 ms");
			return -ETIMEDOUT;
		}
		over = vtd_wait_over(unit, deadline);
	}
	return 0;
}

int vtd_queue_stop(struct vtd_unit *unit)
{
	int err;

	/* The last descriptor must have been a wait. Every submission ends with one, so
	 * only a queue that was never used lacks it. */
	if (unit->queue_on && !unit->broken && unit->sequence == 0) {
		err = first_wait(unit);
		if (err)
			return err;
	}
	err = vtd_command_toggle(unit, VTD_GCMD_QIE, false);
	if (!err)
		unit->queue_on = false;
	return err;
}

/** Wait until head and tail of the found queue meet. */
static int drain_found(struct vtd_unit *unit)
{
	uint64_t deadline = vtd_deadline(unit);
	uint64_t head, tail;
	bool over = false;

	for (;;) {
		head = vtd_read(&unit->window, VTD_REG_IQH) & VTD_IQH_QH;
		tail = vtd_read(&unit->window, VTD_REG_IQT) & VTD_IQT_QT;
		if (head == tail)
			return 0;
		if (over)
			break;
		over = vtd_wait_over(unit, deadline);
	}
	vtd_log(unit, IOMMU_LOG_ERROR,
	        "firmware's invalidation queue did not drain within %u ms (IQH %#llx, IQT %#llx)",
	        VTD_DEADLINE_NS / 1000000, (unsigned long long)head, (unsigned long long)tail);
	return -ETIMEDOUT;
}

/** Append a wait without status and interrupt to firmware's own queue. */
static void append_to_found(struct vtd_unit *unit)
{
	uint64_t iqa = vtd_read(&unit->window, VTD_REG_IQA);
	uint64_t tail = vtd_read(&unit->window, VTD_REG_IQT) & VTD_IQT_QT;
	uint64_t bytes = PAGE_SIZE_4K << field_get(VTD_IQA_QS, iqa);
	unsigned width = iqa & VTD_IQA_DW ? 32 : 16;
	const uint64_t wait[4] = {VTD_DESC_WAIT | VTD_DESC_WAIT_FN};

	memcpy((char *)vtd_va(unit, pa(iqa & VTD_IQA_IQA)) + tail, wait, width);
	arch_barrier();
	vtd_write(&unit->window, VTD_REG_IQT, (tail + width) % bytes);
}

int vtd_queue_stop_found(struct vtd_unit *unit)
{
	const uint32_t errors = VTD_FSTS_IQE | VTD_FSTS_ITE | VTD_FSTS_ICE;
	int err;

	/* An error stops fetching, and the queue would never drain. */
	vtd_clear(&unit->window, VTD_REG_FSTS, errors);
	err = drain_found(unit);
	if (err)
		return err;
	uint32_t now = vtd_read(&unit->window, VTD_REG_GSTS) & VTD_GSTS_TOGGLES;
	vtd_write(&unit->window, VTD_REG_GCMD, now & ~VTD_GCMD_QIE);
	uint64_t deadline = unit->os->now_ns(unit->os->ctx) + VTD_DEADLINE_NS / 100;
	do {
		if (!(vtd_read(&unit->window, VTD_REG_GSTS) & VTD_GSTS_QIES))
			return 0;
	} while (!vtd_wait_over(unit, deadline));

	vtd_write(&unit->window, VTD_REG_GCMD, now | VTD_GCMD_QIE);
	append_to_found(unit);
	err = drain_found(unit);
	return err ? err : vtd_command_toggle(unit, VTD_GCMD_QIE, false);
}
