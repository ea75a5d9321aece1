/* SPDX-License-Identifier: MIT */
/*
 * Decoding, checking and printing of capabilities: see caps.h. The implied relations
 * are those of VT-d specification 5.10, sections 11.4.2 and 11.4.3. Units that break
 * one are reported and then driven by what they say.
 */
#include "vtd/caps.h"

#include "vtd/regs.h"

/** Bits of an address that a table of @p levels covers. */
static unsigned level_bits(unsigned levels)
{
	return 12 + 9 * levels;
}

static void derive(struct vtd_caps *caps)
{
	for (unsigned levels = 3; levels <= 5; levels++) {
		if (!(caps->sagaw & 1u << (levels - 2)))
			continue;
		caps->max_levels = (uint8_t)levels;
		if (!caps->levels || level_bits(caps->levels) < caps->mgaw)
			caps->levels = (uint8_t)levels;
	}
	caps->address_bits = caps->mgaw;
	if (caps->levels && level_bits(caps->levels) < caps->mgaw)
		caps->address_bits = (uint8_t)level_bits(caps->levels);

	caps->second_sizes = PAGE_SIZE_4K;
	if (caps->ss_2m)
		caps->second_sizes |= PAGE_SIZE_2M;
	if (caps->ss_1g)
		caps->second_sizes |= PAGE_SIZE_1G;
	if (caps->fsts)
		caps->first_sizes =
			PAGE_SIZE_4K | PAGE_SIZE_2M | (caps->fs_1g ? PAGE_SIZE_1G : UINT64_C(0));
	caps->register_invalidation = caps->major < 6;
}

void vtd_caps_decode(uint32_t ver, uint64_t cap, uint64_t ecap, struct vtd_caps *out)
{
	*out = (struct vtd_caps){
		.ver = ver,
		.cap = cap,
		.ecap = ecap,
		.major = (uint8_t)field_get(VTD_VER_MAX, ver),
		.minor = (uint8_t)field_get(VTD_VER_MIN, ver),

		.domain_bits = (uint8_t)(4 + 2 * field_get(VTD_CAP_ND, cap)),
		.sagaw = (uint8_t)field_get(VTD_CAP_SAGAW, cap),
		.mgaw = (uint8_t)(field_get(VTD_CAP_MGAW, cap) + 1),
		.mamv = (uint8_t)field_get(VTD_CAP_MAMV, cap),
		.fault_records = (uint16_t)(field_get(VTD_CAP_NFR, cap) + 1),
		.fault_offset = (uint32_t)field_get(VTD_CAP_FRO, cap) * 16,
		.afl = cap & VTD_CAP_AFL,
		.rwbf = cap & VTD_CAP_RWBF,
		.plmr = cap & VTD_CAP_PLMR,
		.phmr = cap & VTD_CAP_PHMR,
		.cm = cap & VTD_CAP_CM,
		.zlr = cap & VTD_CAP_ZLR,
		.psi = cap & VTD_CAP_PSI,
		.dwd = cap & VTD_CAP_DWD,
		.drd = cap & VTD_CAP_DRD,
		.ss_2m = field_get(VTD_CAP_SSLPS, cap) & 1,
		.ss_1g = field_get(VTD_CAP_SSLPS, cap) & 2,
		.fs_1g = cap & VTD_CAP_FS1GP,
		.fs_5_level = cap & VTD_CAP_FS5LP,
		.pi = cap & VTD_CAP_PI,
		.ecmds = cap & VTD_CAP_ECMDS,
		.esirtps = cap & VTD_CAP_ESIRTPS,
		.esrtps = cap & VTD_CAP_ESRTPS,

		.iotlb_offset = (uint32_t)field_get(VTD_ECAP_IRO, ecap) * 16,
		.mhmv = (uint8_t)field_get(VTD_ECAP_MHMV, ecap),
		.c = ecap & VTD_ECAP_C,
		.qi = ecap & VTD_ECAP_QI,
		.dt = ecap & VTD_ECAP_DT,
		.ir = ecap & VTD_ECAP_IR,
		.eim = ecap & VTD_ECAP_EIM,
		.pt = ecap & VTD_ECAP_PT,
		.sc = ecap & VTD_ECAP_SC,
		.mts = ecap & VTD_ECAP_MTS,
		.nest = ecap & VTD_ECAP_NEST,
		.prs = ecap & VTD_ECAP_PRS,
		.srs = ecap & VTD_ECAP_SRS,
		.nwfs = ecap & VTD_ECAP_NWFS,
		.eafs = ecap & VTD_ECAP_EAFS,
		.pasid = ecap & VTD_ECAP_PASID,
		.dit = ecap & VTD_ECAP_DIT,
		.pds = ecap & VTD_ECAP_PDS,
		.smts = ecap & VTD_ECAP_SMTS,
		.vcs = ecap & VTD_ECAP_VCS,
		.ssads = ecap & VTD_ECAP_SSADS,
		.ssts = ecap & VTD_ECAP_SSTS,
		.fsts = ecap & VTD_ECAP_FSTS,
		.smpwcs = ecap & VTD_ECAP_SMPWCS,
		.rps = ecap & VTD_ECAP_RPS,
		.tdxcs = ecap & VTD_ECAP_TDXCS,
		.pms = ecap & VTD_ECAP_PMS,
		.adms = ecap & VTD_ECAP_ADMS,
		.rprivs = ecap & VTD_ECAP_RPRIVS,
		.hpts = ecap & VTD_ECAP_HPTS,
		.ptrs = ecap & VTD_ECAP_PTRS,
		.ssirws = ecap & VTD_ECAP_SSIRWS,
		.sms = ecap & VTD_ECAP_SMS,
		.hpt1gps = ecap & VTD_ECAP_HPT1GPS,
		.rdts = ecap & VTD_ECAP_RDTS,
		.eimer = ecap & VTD_ECAP_EIMER,
		.irreq = ecap & VTD_ECAP_IRREQ,
	};
	if (out->pasid && out->smts)
		out->pasid_bits = (uint8_t)(field_get(VTD_ECAP_PSS, ecap) + 1);
	derive(out);
}

/** A capability that another one needs. */
struct relation {
	const char *name;
	bool has;
	const char *needs;
	bool met;
};

unsigned vtd_caps_check(const struct vtd_caps *caps, void (*report)(void *ctx, const char *line),
                        void *ctx)
{
	const struct relation relations[] = {
		{"ECAP.SMTS", caps->smts, "ECAP.QI", caps->qi},
		{"ECAP.IR", caps->ir, "ECAP.QI", caps->qi},
		{"ECAP.DT", caps->dt, "ECAP.QI", caps->qi},
		{"ECAP.PDS", caps->pds, "ECAP.DT", caps->dt},
		{"ECAP.DIT", caps->dit, "ECAP.DT", caps->dt},
		{"ECAP.NWFS", caps->nwfs, "ECAP.DT", caps->dt},
		{"ECAP.PTRS", caps->ptrs, "ECAP.DT", caps->dt},
		{"ECAP.HPTS", caps->hpts, "ECAP.DT", caps->dt},
		{"ECAP.PRS", caps->prs, "ECAP.DT", caps->dt},
		{"ECAP.PASID", caps->pasid, "ECAP.SMTS", caps->smts},
		{"ECAP.SRS", caps->srs, "ECAP.SMTS", caps->smts},
		{"ECAP.MTS", caps->mts, "ECAP.SMTS", caps->smts},
		{"ECAP.FSTS", caps->fsts, "ECAP.SMTS", caps->smts},
		{"ECAP.SMPWCS", caps->smpwcs, "ECAP.SMTS", caps->smts},
		{"ECAP.RPS", caps->rps, "ECAP.SMTS", caps->smts},
		{"ECAP.NEST", caps->nest, "ECAP.SMTS", caps->smts},
		{"ECAP.NEST", caps->nest, "ECAP.FSTS", caps->fsts},
		{"ECAP.NEST", caps->nest, "ECAP.SSTS", caps->ssts},
		{"ECAP.SSADS", caps->ssads, "ECAP.SMPWCS", caps->smpwcs},
		{"ECAP.EAFS", caps->eafs, "ECAP.SMPWCS", caps->smpwcs},
		{"ECAP.EIM", caps->eim, "ECAP.IR", caps->ir},
		{"CAP.PI", caps->pi, "ECAP.IR", caps->ir},
		{"ECAP.EIMER", caps->eimer, "ECAP.EIM", caps->eim},
		{"ECAP.PMS", caps->pms, "CAP.ECMDS", caps->ecmds},
	};
	/** Other rules: the line tells what is wrong if the condition holds. */
	const struct {
		bool broken;
		const char *line;
	} rules[] = {
		{caps->domain_bits > 16,
	         "CAP.ND is 7, which is reserved: 16-bit domain ids are used"},
		{caps->sagaw & 0x11, "CAP.SAGAW has a reserved bit set: ignored"},
		{caps->ss_1g && !caps->ss_2m, "CAP.SSLPS has 1 GiB pages without 2 MiB pages"},
		{field_get(VTD_CAP_SSLPS, caps->cap) & 0xc,
	         "CAP.SSLPS has a reserved bit set: ignored"},
		{caps->rwbf && caps->smts, "CAP.RWBF is set on a unit with ECAP.SMTS"},
		{caps->levels && level_bits(caps->levels) < caps->mgaw,
	         "CAP.MGAW is wider than the deepest table of CAP.SAGAW: the table's width is "
	         "used"},
		{caps->mgaw > 57, "CAP.MGAW is above 57 bits"},
		{caps->fault_offset < 0x48,
	         "CAP.FRO places the fault records over other registers"},
		{caps->iotlb_offset < 0x48, "ECAP.IRO places the IOTLB registers over others"},
		{caps->ecap & VTD_ECAP_ERS, "ECAP.ERS is set, which must be 0: ignored"},
		{caps->major == 0, "VER has major version 0"},
	};
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_SIZE(relations); i++) {
		char line[80];
		if (!relations[i].has || relations[i].met)
			continue;
		found++;
		if (!report)
			continue;
		iommu_snprintf(line, sizeof(line), "%s is set but %s, which it needs, is not",
		               relations[i].name, relations[i].needs);
		report(ctx, line);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (!rules[i].broken)
			continue;
		found++;
		if (report)
			report(ctx, rules[i].line);
	}
	return found;
}

const char *vtd_caps_refusal(const struct vtd_caps *caps)
{
	if (caps->cap == ~UINT64_C(0) || caps->ecap == ~UINT64_C(0))
		return "its registers read all ones: no unit answers there";
	if (!caps->cap && !caps->ecap)
		return "CAP and ECAP read 0: no unit answers there";
	if (!caps->levels && !caps->fsts)
		return "CAP.SAGAW has no table depth and ECAP.FSTS no first stage";
	if (!caps->qi && !caps->register_invalidation)
		return "it has neither ECAP.QI nor invalidation registers (VER major below 6)";
	return NULL;
}

/** A capability for the printed list. */
struct word {
	bool has;
	const char *text;
};

/** Print the words that hold, wrapped within 90 columns. */
static void print_words(struct iommu_print *to, const char *indent, const char *head,
                        const struct word *words, size_t count)
{
	unsigned column = 90;
	bool any = false;

	iommu_printf(to, "%s%-6s", indent, head);
	column = 6;
	for (size_t i = 0; i < count; i++) {
		unsigned length = 0;
		if (!words[i].has)
			continue;
		while (words[i].text[length])
			length++;
		if (any && column + length + 2 > 84) {
			iommu_printf(to, ",\n%s%-6s", indent, "");
			column = 6;
		} else if (any) {
			iommu_printf(to, ", ");
			column += 2;
		}
		iommu_printf(to, "%s", words[i].text);
		column += length;
		any = true;
	}
	iommu_printf(to, "%s\n", any ? "" : "nothing");
}

void vtd_caps_print(const struct vtd_caps *caps, struct iommu_print *to, const char *indent)
{
	char levels[24] = "no", domains[32], masks[40], records[32], tables[48], pasids[32];
	unsigned length = 0;

	for (unsigned n = 3; n <= 5; n++)
		if (caps->sagaw & 1u << (n - 2))
			length += (unsigned)iommu_snprintf(levels + length, sizeof(levels) - length,
			                                   "%s%u", length ? "/" : "", n);
	iommu_snprintf(tables, sizeof(tables), "%s-level second-stage tables", levels);
	iommu_snprintf(domains, sizeof(domains), "%u-bit domain ids", caps->domain_bits);
	iommu_snprintf(masks, sizeof(masks), "page-selective up to 2^%u pages", caps->mamv);
	iommu_snprintf(records, sizeof(records), "%u fault record%s", caps->fault_records,
	               caps->fault_records == 1 ? "" : "s");
	iommu_snprintf(pasids, sizeof(pasids), "%u-bit PASIDs", caps->pasid_bits);

	iommu_printf(to, "%sVER   %u.%u\n", indent, caps->major, caps->minor);
	iommu_printf(to, "%sCAP   %#018llx: %u-bit addresses, %s, pages 4K%s%s\n", indent,
	             (unsigned long long)caps->cap, caps->mgaw, tables, caps->ss_2m ? "/2M" : "",
	             caps->ss_1g ? "/1G" : "");
	const struct word cap_words[] = {
		{true, domains},
		{caps->psi, masks},
		{!caps->psi, "no page-selective invalidation"},
		{true, records},
		{caps->cm, "caching mode"},
		{caps->rwbf, "write-buffer flush needed"},
		{caps->plmr, "protected low memory"},
		{caps->phmr, "protected high memory"},
		{caps->zlr, "zero-length reads"},
		{caps->drd, "read draining"},
		{caps->dwd, "write draining"},
		{caps->fs_1g, "first-stage 1G pages"},
		{caps->fs_5_level, "first-stage 5 levels"},
		{caps->pi, "posted interrupts"},
		{caps->ecmds, "enhanced commands"},
		{caps->esirtps, "SIRTP flushes"},
		{caps->esrtps, "SRTP flushes"},
		{caps->afl, "advanced fault log"},
	};
	print_words(to, indent, "", cap_words, ARRAY_SIZE(cap_words));

	iommu_printf(to, "%sECAP  %#018llx: %s\n", indent, (unsigned long long)caps->ecap,
	             caps->c ? "coherent table walks" : "table walks do not snoop (C=0)");
	const struct word ecap_words[] = {
		{caps->qi, "queued invalidation"},
		{!caps->qi, "no queued invalidation"},
		{caps->dt, "device TLBs"},
		{caps->ir, "interrupt remapping"},
		{caps->eim, "x2APIC"},
		{caps->eimer, "x2APIC required"},
		{caps->irreq, "interrupt remapping required"},
		{caps->pt, "pass-through"},
		{caps->sc, "snoop control"},
		{caps->smts, "scalable mode"},
		{caps->fsts, "first stage"},
		{caps->ssts, "second stage in scalable mode"},
		{caps->nest, "nesting"},
		{caps->ssads, "second-stage accessed/dirty"},
		{caps->smpwcs, "snooped walks in scalable mode"},
		{caps->pasid_bits, pasids},
		{caps->rps, "RID_PASID"},
		{caps->rprivs, "RID_PRIV"},
		{caps->prs, "page requests"},
		{caps->pds, "page-request drain"},
		{caps->dit, "device-TLB throttling"},
		{caps->srs, "supervisor requests"},
		{caps->nwfs, "no-write flag"},
		{caps->eafs, "extended accessed flag"},
		{caps->mts, "memory types"},
		{caps->adms, "abort-DMA mode"},
		{caps->pms, "performance monitoring"},
		{caps->vcs, "virtual commands"},
		{caps->hpts, "host permission table"},
		{caps->ptrs, "PASID in translated requests"},
		{caps->ssirws, "second-stage I/O permissions"},
		{caps->tdxcs, "TDX connect"},
		{caps->sms, "stop markers"},
		{caps->rdts, "resource director"},
	};
	print_words(to, indent, "", ecap_words, ARRAY_SIZE(ecap_words));
}
