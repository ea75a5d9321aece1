/* SPDX-License-Identifier: MIT */
/*
 * A request from the bus: sorted by kind and address range, translated, answered, and
 * checked against protected memory. The interrupt range belongs to interrupts, unless
 * the request has a PASID (3.14, 5.1).
 */
#include "model/unit.h"

static bool interrupt_range(uint64_t address)
{
	return address >> 20 == 0xfee;
}

static void fill(struct model_walk *walk)
{
	struct model_result *result = walk->result;
	const struct model_page *page = &walk->page;

	result->response = MODEL_SUCCESS;
	result->address = page->output;
	result->page_bytes = MODEL_BIT(page->shift);
	result->read = page->read;
	result->write = page->write;
	result->execute = page->execute && walk->request->execute;
	result->privileged = walk->privileged;
	result->snoop = !walk->request->no_snoop || page->snoop;
	result->no_snoop = page->snoop;
	result->type = page->type;
}

/* Requests without a PASID to FEEx_xxxxh that are no translation requests. */
static bool to_interrupts(struct model_unit *unit, const struct model_request *request,
                          struct model_result *result)
{
	struct model_walk walk;

	if (request->access == MODEL_WRITE && request->bytes == 4 && !(request->address & 3)) {
		model_interrupt_request(unit, request->address, request->data, request->requester,
		                        result);
		return result->response == MODEL_SUCCESS;
	}
	if (request->access == MODEL_READ && !request->bytes) {
		result->response = MODEL_SUCCESS;
		return true;
	}
	result->response = MODEL_UNSUPPORTED;
	if (!(unit->gsts & (MODEL_G_TE | MODEL_G_IRE)))
		return false;
	model_walk_begin(&walk, unit, request, result);
	model_fault_answer(&walk, 0x29);
	return false;
}

/* A translation request for the interrupt range: only untranslated writes work there. */
static bool interrupt_translation(const struct model_request *request, struct model_result *result)
{
	result->response = MODEL_SUCCESS;
	result->address = request->address;
	result->page_bytes = 0x1000;
	result->write = !request->no_write;
	result->untranslated_only = !request->no_write;
	return true;
}

/* Remapping is off: addresses are host addresses, and ATS is not served. */
static bool untouched(struct model_unit *unit, const struct model_request *request,
                      struct model_result *result)
{
	if (request->kind != MODEL_UNTRANSLATED) {
		result->response = request->kind != MODEL_PAGE_REQUEST ? MODEL_UNSUPPORTED
		                   : request->last                     ? MODEL_INVALID_REQUEST
		                                                       : MODEL_DROPPED;
		return false;
	}
	if (model_pmr_blocks(unit, request->address, request->bytes)) {
		result->response = MODEL_UNSUPPORTED;
		result->protected_memory = true;
		return false;
	}
	result->response = MODEL_SUCCESS;
	result->address = request->address;
	result->page_bytes = 0x1000;
	result->read = result->write = true;
	result->snoop = !request->no_snoop;
	result->type = MODEL_TYPE_WB;
	return true;
}

static bool translated(struct model_unit *unit, const struct model_request *request,
                       struct model_result *result)
{
	struct model_walk walk;
	uint8_t fault;

	model_walk_begin(&walk, unit, request, result);
	fault = model_translate(&walk);
	model_sanitizer_request(&walk, fault);
	if (fault) {
		if (request->kind != MODEL_UNTRANSLATED)
			model_count(unit, MODEL_COUNT_ATS_BLOCKED, request);
		model_fault_answer(&walk, fault);
		return result->response == MODEL_SUCCESS;
	}
	if (request->kind != MODEL_TRANSLATION &&
	    model_pmr_blocks(unit, walk.page.output, request->bytes)) {
		result->response = MODEL_UNSUPPORTED;
		result->protected_memory = true;
		return false;
	}
	fill(&walk);
	return true;
}

bool model_dma(struct model_unit *unit, const struct model_request *request,
               struct model_result *result)
{
	struct model_walk walk;

	*result = (struct model_result){.response = MODEL_UNSUPPORTED};
	unit->statistics.requests++;
	model_count(unit, MODEL_COUNT_REQUESTS, request);
	if (request->bytes > 0x1000 - (request->address & 0xfff)) {
		model_report_simple(unit, MODEL_REPORT_REGISTER,
		                    "a request that crosses a page was presented, at",
		                    request->address);
		return false;
	}
	if (!request->has_pasid && interrupt_range(request->address)) {
		if (request->kind == MODEL_UNTRANSLATED)
			return to_interrupts(unit, request, result);
		if (request->kind == MODEL_TRANSLATION && (unit->gsts & MODEL_G_TE))
			return interrupt_translation(request, result);
	}
	if (!(unit->gsts & MODEL_G_TE))
		return untouched(unit, request, result);
	if (request->kind == MODEL_PAGE_REQUEST) {
		unit->statistics.page_requests++;
		model_walk_begin(&walk, unit, request, result);
		model_page_request(&walk);
		return result->response == MODEL_SUCCESS;
	}
	unit->statistics.translations += request->kind == MODEL_TRANSLATION;
	return translated(unit, request, result);
}

bool model_interrupt(struct model_unit *unit, uint64_t address, uint32_t data, uint16_t requester,
                     struct model_result *result)
{
	const struct model_request request = {
		.kind = MODEL_UNTRANSLATED,
		.access = MODEL_WRITE,
		.requester = requester,
		.address = address,
		.bytes = 4,
		.data = data,
	};

	return model_dma(unit, &request, result);
}
