/* SPDX-License-Identifier: MIT */
/* The page request queue: see page_request.h. */
#include "vtd/page_request.h"

#include "vtd/submit.h"

enum {
	SLOT_BYTES = sizeof(struct vtd_page_request),
	QUEUE_BYTES = PAGE_SIZE_4K << VTD_PAGES_ORDER,
	/** Requests that are taken with the lock held once. */
	BATCH = 8,
	/** A device can ask as fast as it is answered: then others' turn. */
	MOST_AT_ONCE = 4 * QUEUE_BYTES / SLOT_BYTES,
	/** Written over the type of a request that was answered where it lay. */
	TYPE_ANSWERED = 0xff,
};

static struct vtd_page_request *slot(const struct vtd_unit *unit, uint32_t at)
{
	return (struct vtd_page_request *)((char *)vtd_va(unit, unit->pages) + at);
}

static void lock(struct vtd_unit *unit)
{
	unit->os->lock(unit->os->ctx, &unit->page_lock);
}

static void unlock(struct vtd_unit *unit)
{
	unit->os->unlock(unit->os->ctx, &unit->page_lock);
}

/** The tail, within the queue whatever the register says. */
static uint32_t tail_read(struct vtd_unit *unit)
{
	uint64_t tail = vtd_read(&unit->window, VTD_REG_PQT) & VTD_PQT_PQT;

	return tail < QUEUE_BYTES ? (uint32_t)tail : unit->page_head;
}

/* ---- life ---------------------------------------------------------------------------- */

int vtd_page_requests_create(struct vtd_unit *unit)
{
	if (!unit->scalable || !unit->caps.prs || !unit->caps.qi)
		return 0;
	return unit->os->page_alloc(unit->os->ctx, VTD_PAGES_ORDER, &unit->pages);
}

void vtd_page_requests_free(struct vtd_unit *unit)
{
	if (unit->pages.value)
		unit->os->page_free(unit->os->ctx, unit->pages, VTD_PAGES_ORDER);
	unit->pages = pa(0);
}

static void on_message(void *arg)
{
	vtd_page_requests_poll(arg);
}

static void event_start(struct vtd_unit *unit)
{
	const struct iommu_os *os = unit->os;

	vtd_update(&unit->window, VTD_REG_PECTL, VTD_EVENT_IM, VTD_EVENT_IM);
	if (!os->msi_alloc)
		return;
	if (!unit->has_page_msi && os->msi_alloc(os->ctx, on_message, unit, &unit->page_msi)) {
		vtd_log(unit, IOMMU_LOG_WARNING,
		        "no interrupt is left for page requests: the queue is polled");
		return;
	}
	unit->has_page_msi = true;
	vtd_write(&unit->window, VTD_REG_PEDATA, unit->page_msi.data);
	vtd_write(&unit->window, VTD_REG_PEADDR, (uint32_t)unit->page_msi.address);
	vtd_write(&unit->window, VTD_REG_PEUADDR, (uint32_t)(unit->page_msi.address >> 32));
	vtd_update(&unit->window, VTD_REG_PECTL, VTD_EVENT_IM, 0);
}

void vtd_page_requests_start(struct vtd_unit *unit)
{
	if (!unit->pages.value)
		return;
	lock(unit);
	unit->page_head = 0;
	vtd_write(&unit->window, VTD_REG_PQH, 0);
	vtd_write(&unit->window, VTD_REG_PQT, 0);
	vtd_write(&unit->window, VTD_REG_PQA,
	          unit->pages.value | field_put(VTD_PQA_PQS, VTD_PAGES_ORDER));
	vtd_clear(&unit->window, VTD_REG_PRS, VTD_PRS_PRO | VTD_PRS_PPR);
	unit->pages_on = true;
	unlock(unit);
	event_start(unit);
}

void vtd_page_requests_stop(struct vtd_unit *unit)
{
	const struct iommu_os *os = unit->os;

	if (!unit->pages_on)
		return;
	vtd_update(&unit->window, VTD_REG_PECTL, VTD_EVENT_IM, VTD_EVENT_IM);
	lock(unit);
	unit->pages_on = false;
	unlock(unit);
	if (unit->has_page_msi && os->msi_free)
		os->msi_free(os->ctx, &unit->page_msi);
	unit->has_page_msi = false;
}

/* ---- answers -------------------------------------------------------------------------- */

/** One response, waited for. */
static int respond(struct vtd_unit *unit, const struct vtd_page_request *to, enum vtd_response code)
{
	bool has_pasid = to->word[0] & VTD_PAGE_PP;
	struct vtd_descriptor response =
		vtd_desc_page_response((uint16_t)field_get(VTD_PAGE_RID, to->word[0]), has_pasid,
	                               (uint32_t)field_get(VTD_PAGE_PASID, to->word[0]),
	                               (uint16_t)field_get(VTD_PAGE_PRGI, to->word[1]), code);

	return vtd_submit(unit, &response, 1);
}

int vtd_page_respond(struct iommu_device *core, const struct iommu_page_request *request,
                     enum iommu_page_answer answer)
{
	struct vtd_unit *unit = vtd_unit_of(core->unit);
	const struct vtd_device *device = core->driver_data;

	if (!device->told_page)
		return 0;
	struct vtd_descriptor response = vtd_desc_page_response(
		core->desc.rid, request->has_pasid, request->pasid, request->group,
		answer == IOMMU_PAGE_SUCCESS ? VTD_RESPONSE_SUCCESS : VTD_RESPONSE_INVALID);
	return vtd_submit(unit, &response, 1);
}

/** A last request that asks for nothing, with a PASID, says that the PASID is out of use. */
static bool is_stop_marker(const struct vtd_page_request *request)
{
	return request->word[0] & VTD_PAGE_PP && request->word[1] & VTD_PAGE_LPIG &&
	       !(request->word[1] & (VTD_PAGE_RD | VTD_PAGE_WR));
}

static bool answer_is_due(const struct vtd_page_request *request)
{
	return request->word[1] & VTD_PAGE_LPIG && !is_stop_marker(request);
}

/* ---- taking --------------------------------------------------------------------------- */

/** Hand one request over. No lock is held. */
static void deliver(struct vtd_unit *unit, const struct vtd_page_request *from)
{
	unsigned type = (unsigned)field_get(VTD_PAGE_TYPE, from->word[0]);
	iommu_rid_t rid = (iommu_rid_t)field_get(VTD_PAGE_RID, from->word[0]);
	bool has_pasid = from->word[0] & VTD_PAGE_PP;
	struct iommu_page_request request = {
		.has_pasid = has_pasid,
		.pasid = has_pasid ? (uint32_t)field_get(VTD_PAGE_PASID, from->word[0]) : 0,
		.group = (uint16_t)field_get(VTD_PAGE_PRGI, from->word[1]),
		.last = from->word[1] & VTD_PAGE_LPIG,
		.address = iova(from->word[1] & VTD_PAGE_ADDR),
		.access = (from->word[1] & VTD_PAGE_RD ? IOMMU_READ : 0) |
	                  (from->word[1] & VTD_PAGE_WR ? IOMMU_WRITE : 0) |
	                  (has_pasid && from->word[0] & VTD_PAGE_EXR ? IOMMU_EXEC : 0),
		.privileged = has_pasid && from->word[0] & VTD_PAGE_PMR,
	};

	if (type == TYPE_ANSWERED)
		return;
	vtd_count(&unit->stats.pages);
	if (type != VTD_PAGE_REQUEST_TYPE) {
		vtd_log(unit, IOMMU_LOG_ERROR,
		        "the page request queue holds %#llx %#llx: its type is %#x, only %#x is "
		        "known; ignored",
		        (unsigned long long)from->word[0], (unsigned long long)from->word[1], type,
		        VTD_PAGE_REQUEST_TYPE);
		return;
	}
	if (is_stop_marker(from) || iommu_report_page_request_from(&unit->base, rid, &request))
		return;
	vtd_log(unit, IOMMU_LOG_WARNING, "a page request of %02x:%02x.%x, which is no device",
	        RID_BUS(rid), RID_DEVICE(rid), RID_FUNCTION(rid));
	if (answer_is_due(from) && respond(unit, from, VTD_RESPONSE_INVALID))
		vtd_log(unit, IOMMU_LOG_ERROR, "it was not answered");
}

/** Copy up to BATCH requests out of the queue. The lock is held. */
static unsigned take(struct vtd_unit *unit, struct vtd_page_request out[BATCH])
{
	unsigned count = 0;

	/* PPR first: whatever is written after this sends a new message. */
	vtd_clear(&unit->window, VTD_REG_PRS, VTD_PRS_PPR);
	uint32_t tail = tail_read(unit);
	arch_barrier();
	for (; count < BATCH && unit->page_head != tail; count++) {
		out[count] = *slot(unit, unit->page_head);
		unit->page_head = (unit->page_head + SLOT_BYTES) % QUEUE_BYTES;
	}
	if (count)
		vtd_write(&unit->window, VTD_REG_PQH, unit->page_head);
	if (unit->page_head == tail && vtd_read(&unit->window, VTD_REG_PRS) & VTD_PRS_PRO) {
		vtd_clear(&unit->window, VTD_REG_PRS, VTD_PRS_PRO);
		unit->stats.pages_lost++;
		vtd_log(unit, IOMMU_LOG_WARNING,
		        "the page request queue was full (PRS.PRO): devices were told to ask "
		        "again");
	}
	return count;
}

unsigned vtd_page_requests_poll(struct vtd_unit *unit)
{
	struct vtd_page_request batch[BATCH];
	unsigned total = 0, count;

	if (!unit->pages.value)
		return 0;
	lock(unit);
	if (unit->pages_polled) { /* he looks once more before he goes */
		unlock(unit);
		return 0;
	}
	unit->pages_polled = true;
	while (unit->pages_on && total < MOST_AT_ONCE && (count = take(unit, batch)) != 0) {
		unlock(unit);
		for (unsigned i = 0; i < count; i++)
			deliver(unit, &batch[i]);
		total += count;
		lock(unit);
	}
	unit->pages_polled = false;
	unlock(unit);
	return total;
}

/* ---- a device stops ------------------------------------------------------------------ */

/** Mark the first request of @p rid from *@p at on as answered. False: there is none. The lock
 *  is held. */
static bool mark(struct vtd_unit *unit, uint32_t *at, uint32_t tail, iommu_rid_t rid,
                 struct vtd_page_request *out)
{
	for (; *at != tail; *at = (*at + SLOT_BYTES) % QUEUE_BYTES) {
		struct vtd_page_request *request = slot(unit, *at);
		if (field_get(VTD_PAGE_TYPE, request->word[0]) != VTD_PAGE_REQUEST_TYPE ||
		    field_get(VTD_PAGE_RID, request->word[0]) != rid)
			continue;
		*out = *request;
		request->word[0] |= field_put(VTD_PAGE_TYPE, TYPE_ANSWERED);
		return true;
	}
	return false;
}

void vtd_page_requests_drain(struct vtd_unit *unit, const struct vtd_device *device)
{
	const struct vtd_descriptor wait = vtd_desc_wait_page_requests();
	struct vtd_page_request request;
	bool found, answered = true;

	if (unit->caps.pds && vtd_submit(unit, &wait, 1))
		return; /* logged; nobody can be answered any more */
	do {
		lock(unit);
		uint32_t at = unit->page_head, tail = unit->pages_on ? tail_read(unit) : at;
		arch_barrier();
		found = mark(unit, &at, tail, device->rids[0], &request);
		unlock(unit);
		if (found && answer_is_due(&request))
			answered &= respond(unit, &request, VTD_RESPONSE_INVALID) == 0;
	} while (found);
	if (!answered)
		vtd_log(unit, IOMMU_LOG_WARNING, "%s: page requests were not answered",
		        device->device->desc.name);
}
