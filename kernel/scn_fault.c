/* SPDX-License-Identifier: MIT */
/*
 * Faults as the witness of blocked DMA: waiting for them, telling whose they are,
 * comparing them with a promise, showing them.
 *
 * A class is a readable word for what the specification spreads over several
 * reasons by mode, stage and access (VT-d Table 30; QEMU uses legacy reasons in
 * scalable mode too). Where reasons coincide, the class also asks what the scenario
 * itself has mapped at the address: in legacy mode a missing page and a read-only
 * page are the same reason.
 */
#include "iommu/string.h"
#include "kernel/scn_state.h"

enum mapped { MAPPED_ANY, MAPPED_NO, MAPPED_YES };

static const struct fault_class {
	const char *name;
	enum mapped mapped; /* by the scenario, at the fault's address */
	uint32_t access;    /* that the request made; 0: any */
	const char *mnemonics;
} fault_classes[] = {
	{"not-mapped", MAPPED_NO, 0, "LGN.2 LGN.3 SSS.2 SGN.6 SGN.7 SFS.2 MOCK.2"},
	/* nested: which of the two tables has the hole */
	{"not-mapped-first", MAPPED_NO, 0, "SFS.2"},
	{"not-mapped-second", MAPPED_NO, 0, "SSS.2"},
	{"no-write", MAPPED_YES, IOMMU_WRITE, "LGN.2 SGN.6 SSS.2 MOCK.5"},
	{"no-read", MAPPED_YES, IOMMU_READ, "LGN.3 SGN.7 SSS.2 MOCK.4"},
	/* SPT.1 and SPT.4: what QEMU says of a PASID entry that is not present */
	{"blocked", MAPPED_ANY, 0,
         "LRT.2 LCT.2 RTA.4 SRT.2 SCT.2 SPD.2 SPT.1 SPT.2 SPT.4 LGN.2 LGN.3 SSS.2 MOCK.6"},
	{"supervisor-only", MAPPED_YES, 0, "SGN.2"},
	{"too-wide", MAPPED_ANY, 0, "LGN.1 SGN.1 SGN.4 SGN.5 MOCK.1"},
};

const char *scn_fault_class(unsigned index)
{
	return index < ARRAY_SIZE(fault_classes) ? fault_classes[index].name : NULL;
}

static const struct fault_class *class_find(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(fault_classes); i++)
		if (scn_same(fault_classes[i].name, word))
			return &fault_classes[i];
	return NULL;
}

/* A mnemonic looks like LGN.2 or MOCK.5. */
bool scn_fault_word_known(const char *word)
{
	size_t at = 0;

	if (scn_same(word, "any") || class_find(word))
		return true;
	while (word[at] >= 'A' && word[at] <= 'Z')
		at++;
	if (at < 2 || word[at] != '.')
		return false;
	at++;
	if (!word[at])
		return false;
	while (word[at] >= '0' && word[at] <= '9')
		at++;
	return !word[at];
}

static bool list_has(const char *list, const char *word)
{
	const char *span;
	size_t length;

	while ((span = scn_usage_next(&list, &length)))
		if (scn_length(word) == length && memcmp(span, word, length) == 0)
			return true;
	return false;
}

static bool class_fits(struct scn *scn, const struct scn_result *result,
                       const struct iommu_fault *fault, const struct fault_class *class)
{
	if (!fault->mnemonic || !list_has(class->mnemonics, fault->mnemonic))
		return false;
	if (class->access && !(fault->access & class->access))
		return false;
	uint64_t user, bytes;
	bool mapped = scn_way_leads(scn, &result->way, fault->address.value, &user, &bytes);
	return class->mapped == MAPPED_ANY || mapped == (class->mapped == MAPPED_YES);
}

/* The address is one that the device was told to use, or of its own queues (which may
 * be anywhere, as far as is known here, before it was ever attached). */
static bool address_fits(const struct scn_result *result, uint64_t address)
{
	uint64_t first = result->first & ~(PAGE_SIZE_4K - 1);
	uint64_t last = result->first + (result->bytes ? result->bytes - 1 : 0);
	const struct scn_object *device = result->device;

	if (address >= first && address <= last)
		return true;
	if (device->engine->ops->scratch_bytes && !device->way.attached)
		return true;
	return device->scratch && address >= device->scratch_iova &&
	       address - device->scratch_iova < device->scratch->bytes;
}

bool scn_fault_fits(struct scn *scn, const struct scn_result *result,
                    const struct iommu_fault *fault, const struct scn_alternative *alternative)
{
	if (!address_fits(result, fault->address.value))
		return false;
	if (alternative->is_number)
		return fault->reason == alternative->number;
	if (scn_same(alternative->text, "any"))
		return true;
	const struct fault_class *class = class_find(alternative->text);
	if (class)
		return class_fits(scn, result, fault, class);
	return fault->mnemonic && scn_same(fault->mnemonic, alternative->text);
}

bool scn_fault_is_ours(const struct scn_result *result, const struct iommu_fault *fault)
{
	return result->device && fault->device == result->device->device;
}

/* Count this device's faults in (from, to]. */
static unsigned faults_count(struct scn *scn, const struct scn_result *result)
{
	struct iommu_fault fault;
	unsigned count = 0;

	for (uint64_t at = result->fault_from + 1; at <= result->fault_to; at++)
		if (iommu_fault_get(scn->platform->iommu, at, &fault) &&
		    scn_fault_is_ours(result, &fault))
			count++;
	return count;
}

void scn_faults_collect(struct scn *scn, struct scn_result *result, unsigned wait_ms)
{
	const struct scn_platform *platform = scn->platform;
	uint64_t start = platform->now_ns(platform->ctx);

	for (;;) {
		bool late = platform->now_ns(platform->ctx) - start >= wait_ms * UINT64_C(1000000);
		iommu_poll(platform->iommu);
		result->fault_to = platform->iommu->fault_count;
		result->faults = faults_count(scn, result);
		if (result->faults || late)
			return;
		platform->wait(platform->ctx);
	}
}

void scn_faults_show(struct scn *scn, const struct scn_result *result)
{
	struct iommu_print *to = &scn->out.print;
	struct iommu_fault fault;
	unsigned shown = 0, more = 0;

	for (uint64_t at = result->fault_from + 1; at <= result->fault_to; at++) {
		if (!iommu_fault_get(scn->platform->iommu, at, &fault))
			continue;
		bool ours = scn_fault_is_ours(result, &fault);
		if (ours && shown++) {
			more++;
			continue;
		}
		if (!ours)
			iommu_printf(to, "(of another requester)\n");
		iommu_fault_print(&fault, to);
	}
	if (more)
		iommu_printf(to, "and %u more fault%s of the same transfer\n", more,
		             more == 1 ? "" : "s");
}
