/* SPDX-License-Identifier: MIT */
/*
 * The pure readers of what loaders hand over, and what they share. Bytes in,
 * struct boot_info out: no reader touches memory but what it is given, so hosted
 * tests feed them any bytes.
 *
 * Every number is read by single bytes: loaders align little and promise less.
 * A structure that cannot be trusted is refused with a reason; what is only extra
 * (an odd framebuffer, a tag that is not known) is left out.
 */
#ifndef BOOT_PARSE_H
#define BOOT_PARSE_H

#include "boot/boot_info.h"
#include "iommu/print.h"

/** Why something was refused: one line without its end. */
struct boot_reason {
	char text[160];
};

/** An ACPI root pointer that came as a copy: ACPI 6.5, section 5.2.5.3. */
struct boot_rsdp {
	uint8_t bytes[36];
	uint8_t length; /* 20 for ACPI 1.0, 36 later, 0: none came */
};

/**
 * Read Multiboot2 boot information (specification 2.0, section 3.6): @p length bytes,
 * which must be what its first word says.
 *
 * Fills everything in @p out but kernel_start, kernel_end and rsdp, and
 * @p rsdp; the caller puts that copy where it stays and sets out->rsdp.
 * @return 0, or -EINVAL with @p reason set; @p out is then of no use.
 */
int must_check boot_multiboot2_parse(const void *bytes, size_t length, struct boot_info *out,
                                     struct boot_rsdp *rsdp, struct boot_reason *reason);

/** Memory as the PVH reader sees it. */
struct boot_view {
	void *ctx;
	/** The bytes of physical [address, address + bytes), or NULL if there are none. */
	const void *(*map)(void *ctx, uint64_t address, uint64_t bytes);
};

/**
 * Read the HVM start information at physical @p address (Xen's
 * public/arch-x86/hvm/start_info.h, versions 0 and 1; later ones are version 1 with
 * more at the end).
 *
 * Fills everything in @p out but kernel_start and kernel_end. A module without a name
 * is called "module", the second "module2", and so on.
 * @return 0, or -EINVAL with @p reason set; @p out is then of no use.
 */
int must_check boot_pvh_parse(const struct boot_view *view, uint64_t address, struct boot_info *out,
                              struct boot_reason *reason);

static inline uint16_t boot_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t boot_get32(const uint8_t *at)
{
	return boot_get16(at) | (uint32_t)boot_get16(at + 2) << 16;
}

static inline uint64_t boot_get64(const uint8_t *at)
{
	return boot_get32(at) | (uint64_t)boot_get32(at + 4) << 32;
}

/** What an e820 type means; Multiboot2 and PVH use its numbers. ACPI 6.5, 15.2. */
static inline enum boot_memory_kind boot_e820_kind(uint32_t type)
{
	switch (type) {
	case 1:
		return BOOT_MEMORY_USABLE;
	case 3:
		return BOOT_MEMORY_ACPI_RECLAIM;
	case 4:
		return BOOT_MEMORY_ACPI_NVS;
	case 5:
		return BOOT_MEMORY_BAD;
	default:
		return BOOT_MEMORY_RESERVED;
	}
}

/** What an EFI descriptor means once boot services are over (UEFI 2.10, 7.2, table 7.10).
 *  Memory that is not cacheable, or set aside for one purpose, is not for everyone. */
static inline enum boot_memory_kind boot_efi_kind(uint32_t type, uint64_t attributes)
{
	const uint64_t write_back = 1 << 3, specific_purpose = 1 << 18;

	switch (type) {
	case 1: /* EfiLoaderCode */
	case 2: /* EfiLoaderData */
	case 3: /* EfiBootServicesCode */
	case 4: /* EfiBootServicesData */
	case 7: /* EfiConventionalMemory */
		return attributes & write_back && !(attributes & specific_purpose)
		               ? BOOT_MEMORY_USABLE
		               : BOOT_MEMORY_RESERVED;
	case 8: /* EfiUnusableMemory */
		return BOOT_MEMORY_BAD;
	case 9: /* EfiACPIReclaimMemory */
		return BOOT_MEMORY_ACPI_RECLAIM;
	case 10: /* EfiACPIMemoryNVS */
		return BOOT_MEMORY_ACPI_NVS;
	case 11: /* EfiMemoryMappedIO */
	case 12: /* EfiMemoryMappedIOPortSpace */
		return BOOT_MEMORY_MMIO;
	default:
		return BOOT_MEMORY_RESERVED;
	}
}

/** The map is full. Usable memory is given up for a range that must be left alone: a
 *  map that was cut offers too little, never too much. */
static inline void boot_memory_squeeze(struct boot_info *out, uint64_t start, uint64_t bytes,
                                       enum boot_memory_kind kind)
{
	out->memory_cut = true;
	if (kind == BOOT_MEMORY_USABLE)
		return;
	for (uint32_t i = out->memory_count; i-- > 0;) {
		if (out->memory[i].kind == BOOT_MEMORY_USABLE) {
			out->memory[i] = (struct boot_memory){start, bytes, kind};
			return;
		}
	}
}

/** Add a range to the map. Empty ones vanish, one that continues the last one of its
 *  kind joins it, and what does not fit is noted in memory_cut.
 *  @return false if the range goes beyond 2^64. */
static inline bool boot_memory_add(struct boot_info *out, uint64_t start, uint64_t bytes,
                                   enum boot_memory_kind kind)
{
	if (!bytes)
		return true;
	if (bytes - 1 > UINT64_MAX - start)
		return false;
	struct boot_memory *last = out->memory_count ? &out->memory[out->memory_count - 1] : NULL;
	if (last && last->kind == kind && start && last->start + last->bytes == start)
		last->bytes += bytes;
	else if (out->memory_count < BOOT_MAX_MEMORY)
		out->memory[out->memory_count++] = (struct boot_memory){start, bytes, kind};
	else
		boot_memory_squeeze(out, start, bytes, kind);
	return true;
}

/** The next module's slot, NULL with module_cut noted if all are taken. */
static inline struct boot_module *boot_module_add(struct boot_info *out, uint64_t start,
                                                  uint64_t bytes)
{
	if (out->module_count == BOOT_MAX_MODULES) {
		out->module_cut = true;
		return NULL;
	}
	struct boot_module *module = &out->modules[out->module_count++];
	module->start = start;
	module->bytes = bytes;
	return module;
}

/** Name @p module by the first word of @p text, its folders left out; without a word
 *  "module", or "moduleN" for the Nth. The name is cut to what fits. */
static inline void boot_module_name(struct boot_info *out, struct boot_module *module,
                                    const char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	const char *name = text;
	size_t length = 0;
	for (; *text && *text != ' ' && *text != '\t'; text++)
		if (*text == '/')
			name = text + 1;
	while (name + length < text && length < sizeof(module->name) - 1) {
		module->name[length] = name[length];
		length++;
	}
	module->name[length] = '\0';
	unsigned number = (unsigned)(module - out->modules) + 1;
	if (!length && number == 1)
		iommu_snprintf(module->name, sizeof(module->name), "module");
	else if (!length)
		iommu_snprintf(module->name, sizeof(module->name), "module%u", number);
}

/** Whether every pixel lies in memory that can exist, and every colour in its pixel. */
static inline bool boot_framebuffer_is_sane(const struct boot_framebuffer *f)
{
	uint64_t row = ((uint64_t)f->bits_per_pixel + 7) / 8 * f->width;

	return f->start && f->width && f->height && f->bits_per_pixel >= 15 &&
	       f->bits_per_pixel <= 32 && f->pitch >= row &&
	       (uint64_t)f->pitch * f->height <= UINT64_MAX - f->start &&
	       f->red_shift < f->bits_per_pixel && f->green_shift < f->bits_per_pixel &&
	       f->blue_shift < f->bits_per_pixel;
}

/** Set @p reason. @return -EINVAL, so that a refusal is one statement. */
static inline int boot_refuse(struct boot_reason *reason, const char *format, ...)
	printf_like(2, 3);
static inline int boot_refuse(struct boot_reason *reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	iommu_vsnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
	return -EINVAL;
}

#endif
