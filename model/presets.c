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

/* Registers as real units show them; `shift` is what the regions' alignment would be. */
#define REAL(title, words, ver, cap_bits, ecap_bits, width, shift)                                 \
	{                                                                                          \
		.name = (title), .description = (words), .version = (ver), .cap = (cap_bits),      \
		.ecap = (ecap_bits), .haw = (width), .pmr_shift = (shift), .sanitize = true,       \
	}

/* 16-bit ids, PLMR PHMR, 39/48/57, MGAW 57, ZLR, FRO 800h, 2M 1G, PSI, 8 records,
   MAMV 45, drains, FS1GP, PI, FS5LP, ECMDS */
#define EVERYTHING_CAP UINT64_C(0x39ed078c80780e66)

/* C QI DT IR EIM PT SC, IRO 500h, MHMV 15, MTS NEST PRS SRS NWFS EAFS, PSS 20, PASID
   DIT PDS SMTS SSADS SSTS FSTS SMPWCS RPS PMS ADMS RPRIVS PTRS */
#define EVERYTHING_ECAP  UINT64_C(0x13bef9ea6f050df)

#define COUNTER_COMMANDS UINT64_C(0x003f000000000000)

static const struct model_config presets[] = {
	QEMU("qemu-7.2", "QEMU 7.2 intel-iommu: legacy, 39 bits", 0x00d2008c22260206, 0xf00f4a, 39),
	QEMU("qemu-7.2-scalable", "QEMU 7.2 intel-iommu,x-scalable-mode=on,aw-bits=48",
             0x00d2008c222f0606, 0x480080f00f4a, 48),
	QEMU("qemu-10.0", "QEMU 10.0 intel-iommu: legacy, 48 bits", 0x00d2008c222f0606, 0xf00f4a,
             48),
	QEMU("qemu-10.0-caching", "QEMU 10.0 intel-iommu,caching-mode=on,eim=on",
             0x00d2008c222f0686, 0xf00f5a, 48),
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
	REAL("cascade-lake", "Xeon of 2019: legacy, 48 bits, posted interrupts, 8 records", 0x10,
             0x08d2078c106f0466, 0xf020df, 46, 21),
	REAL("ice-lake-server", "Xeon of 2021: version 4, legacy, 48 bits, page request drain",
             0x40, 0x08ed008c40780466, 0x60000f050df, 46, 21),
	REAL("sapphire-rapids", "Xeon of 2023: version 6, nesting, no register invalidation", 0x60,
             0x19ed008c40780c66, 0x3ee9e86f050df, 46, 21),
	REAL("skylake-graphics",
             "graphics unit of laptops from 2015: revision 2.x, no page-selective invalidation",
             0x10, 0x01c0000c40660462, 0x19e2ff0505e, 39, 20),
	REAL("meteor-lake",
             "client of 2023: version 7, both stages but not nested, tables not snooped, abort "
             "mode",
             0x70, 0xc9de008cee690462, 0x12ca9a00f0ef5e, 42, 20),
	{
		.name = "nesting",
		.description =
			"everything that the model has: 57 bits, nesting, PASIDs, page requests, "
			"x2APIC, posted interrupts, abort mode, counters",
		.version = 0x70,
		.cap = EVERYTHING_CAP,
		.ecap = EVERYTHING_ECAP,
		.eccap3 = COUNTER_COMMANDS,
		.haw = 52,
		.pmr_shift = 21,
		.counters = 4,
		.sanitize = true,
	},
	{
		.name = "nesting-noncoherent",
		.description = "as nesting, but root, context and PASID tables are not snooped",
		.version = 0x70,
		.cap = EVERYTHING_CAP,
		.ecap = EVERYTHING_ECAP & ~MODEL_BIT(0),
		.eccap3 = COUNTER_COMMANDS,
		.haw = 52,
		.pmr_shift = 21,
		.counters = 4,
		.sanitize = true,
	},
	/* 8-bit ids, PLMR PHMR, 39 bits, ZLR, FRO 400h, 2M 1G, PSI, 1 record, MAMV 18 */
	REAL("client-39", "graphics unit of a laptop: 39 bits, tables not snooped", 0x40,
             0x00d2008c40660262, 0xf050da, 39, 20),
	REAL("old", "chipset of 2008: registers only, write buffer, 4-bit ids, 4K pages", 0x10,
             0x20230270, 0x4000, 36, 20),
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
