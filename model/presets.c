/* SPDX-License-Identifier: MIT */
/*
 * Units that exist: QEMU's, as its versions and options shape them, real ones, and two
 * that are useful to test against. CAP and ECAP are 11.4.2 and 11.4.3.
 */
#include "model/unit.h"

/* Version 1.0, as QEMU's units say of themselves. */
#define QEMU(title, words, cap_bits, ecap_bits, width)                                             \
	{                                                                                          \
		.name = (title), .description = (words), .version = 0x10, .cap = (cap_bits),       \
		.ecap = (ecap_bits), .haw = (width), .sanitize = true,                             \
	}

static const struct model_config presets[] = {
	QEMU("qemu-7.2", "QEMU 7.2 intel-iommu: legacy, 39 bits", 0x00d2008c22260206, 0xf00f4a, 39),
	QEMU("qemu-7.2-scalable", "QEMU 7.2 intel-iommu,x-scalable-mode=on,aw-bits=48",
             0x00d2008c222f0606, 0x480080f00f4a, 48),
	QEMU("qemu-10.0", "QEMU 10.0 intel-iommu: legacy, 48 bits", 0x00d2008c222f0606, 0xf00f4a,
             48),
	QEMU("qemu-10.0-scalable", "QEMU 10.0 intel-iommu,x-scalable-mode=on", 0x00d2008c222f0606,
             0x480080f00f4a, 48),
	QEMU("qemu-10.0-first", "QEMU 10.0 intel-iommu,x-scalable-mode=on,x-flts=on",
             0x01d2008c222f0606, 0x880000f00f4a, 48),
	QEMU("qemu-11.1", "QEMU 11.1 intel-iommu: legacy, 48 bits", 0x80d2008c222f0606, 0xf00f4a,
             48),
	QEMU("qemu-11.1-scalable", "QEMU 11.1 intel-iommu,scalable-mode=on", 0x80d2008c222f0606,
             0x480080f00f4a, 48),
	QEMU("qemu-11.1-first", "QEMU 11.1 intel-iommu,scalable-mode=on,fsts=on",
             0x81d2008c222f0606, 0x880000f00f4a, 48),
	{
		.name = "sapphire-rapids",
		.description = "Xeon of 2023: version 6, nesting, no register invalidation",
		.version = 0x60,
		.cap = 0x19ed008c40780c66,
		.ecap = 0x3ee9e86f050df,
		.haw = 46,
		.pmr_shift = 21,
		.sanitize = true,
	},
	{
		.name = "nesting",
		.description =
			"everything that the model has: 57 bits, nesting, PASIDs, page requests, "
			"x2APIC, posted interrupts, abort mode, counters",
		.version = 0x70,
		/* 16-bit ids, PLMR PHMR, 39/48/57, MGAW 57, ZLR, FRO 800h, 2M 1G, PSI, 8 records,
		   MAMV 45, drains, FS1GP, PI, FS5LP, ECMDS */
		.cap = 0x39ed078c80780e66,
		/* C QI DT IR EIM PT SC, IRO 500h, MHMV 15, MTS NEST PRS SRS NWFS EAFS, PSS 20, PASID
		   DIT PDS SMTS SSADS SSTS FSTS SMPWCS RPS PMS ADMS RPRIVS PTRS */
		.ecap = 0x13bef9ea6f050df,
		.eccap3 = UINT64_C(0x003f000000000000),
		.haw = 52,
		.pmr_shift = 21,
		.counters = 4,
		.sanitize = true,
	},
	{
		.name = "client-39",
		.description = "graphics unit of a laptop: 39 bits, tables not snooped",
		.version = 0x40,
		/* 8-bit ids, PLMR PHMR, 39 bits, ZLR, FRO 400h, 2M 1G, PSI, 1 record, MAMV 18 */
		.cap = 0x00d2008c40660262,
		.ecap = 0xf050da,
		.haw = 39,
		.pmr_shift = 20,
		.sanitize = true,
	},
	{
		.name = "old",
		.description = "chipset of 2008: registers only, write buffer, 4-bit ids, 4K pages",
		.version = 0x10,
		.cap = 0x20230270,
		.ecap = 0x4000,
		.haw = 36,
		.pmr_shift = 20,
		.sanitize = true,
	},
};

unsigned model_preset_count(void)
{
	return sizeof(presets) / sizeof(presets[0]);
}

const struct model_config *model_preset(unsigned index)
{
	return index < model_preset_count() ? &presets[index] : NULL;
}

static bool equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

const struct model_config *model_preset_find(const char *name)
{
	for (unsigned i = 0; i < model_preset_count(); i++)
		if (equal(presets[i].name, name))
			return &presets[i];
	return NULL;
}
