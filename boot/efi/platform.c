/* SPDX-License-Identifier: MIT */
/*
 * What the firmware knows of the machine: the screen (UEFI specification 2.10, 12.9), the
 * ACPI tables' root (4.6.1), its own name (4.3).
 */
#include "boot/efi/efi.h"
#include "boot/efi/parse.h"

static EFI_GUID graphics_guid = {
	0x9042a9de, 0x23dc, 0x4a38, {0x96, 0xfb, 0x7a, 0xde, 0xd0, 0x80, 0x51, 0x6a}};
static const EFI_GUID acpi_2_guid = {
	0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};
static const EFI_GUID acpi_1_guid = {
	0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};

static void rsdp_read(struct loader *loader)
{
	const EFI_CONFIGURATION_TABLE *tables = loader->system->ConfigurationTable;

	for (UINTN i = 0; i < loader->system->NumberOfTableEntries; i++) {
		bool is_new = memcmp(&tables[i].VendorGuid, &acpi_2_guid, sizeof(EFI_GUID)) == 0;
		bool is_old = memcmp(&tables[i].VendorGuid, &acpi_1_guid, sizeof(EFI_GUID)) == 0;
		if (is_new || (is_old && !loader->info->rsdp))
			loader->info->rsdp = (uint64_t)tables[i].VendorTable;
		if (is_new)
			return;
	}
}

static uint8_t mask_shift(uint32_t mask)
{
	return mask ? (uint8_t)__builtin_ctz(mask) : 0;
}

static void screen_read(struct loader *loader)
{
	EFI_GRAPHICS_OUTPUT_PROTOCOL *graphics;
	void *found;

	/* the console's own screen first: there may be several */
	if (EFI_ERROR(loader->services->HandleProtocol(loader->system->ConsoleOutHandle,
	                                               &graphics_guid, &found)) &&
	    EFI_ERROR(loader->services->LocateProtocol(&graphics_guid, NULL, &found)))
		return;
	graphics = found;
	if (!graphics->Mode || !graphics->Mode->Info || !graphics->Mode->FrameBufferBase)
		return;
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *mode = graphics->Mode->Info;
	uint32_t red, green, blue, all;
	switch (mode->PixelFormat) {
	case PixelRedGreenBlueReserved8BitPerColor:
		red = 0xff, green = 0xff00, blue = 0xff0000, all = 0xffffffff;
		break;
	case PixelBlueGreenRedReserved8BitPerColor:
		red = 0xff0000, green = 0xff00, blue = 0xff, all = 0xffffffff;
		break;
	case PixelBitMask:
		red = mode->PixelInformation.RedMask;
		green = mode->PixelInformation.GreenMask;
		blue = mode->PixelInformation.BlueMask;
		all = red | green | blue | mode->PixelInformation.ReservedMask;
		break;
	default: /* no memory to draw into */
		return;
	}
	if (!red || !green || !blue)
		return;
	uint32_t bits = 32 - (uint32_t)__builtin_clz(all);
	const struct boot_framebuffer screen = {
		.start = graphics->Mode->FrameBufferBase,
		.width = mode->HorizontalResolution,
		.height = mode->VerticalResolution,
		.pitch = mode->PixelsPerScanLine * ((bits + 7) / 8),
		.bits_per_pixel = (uint8_t)bits,
		.red_shift = mask_shift(red),
		.green_shift = mask_shift(green),
		.blue_shift = mask_shift(blue),
	};
	if (boot_framebuffer_is_sane(&screen))
		loader->info->framebuffer = screen;
}

void efi_platform_read(struct loader *loader)
{
	char vendor[48] = "";
	uint32_t revision = loader->system->Hdr.Revision;

	if (loader->system->FirmwareVendor)
		efi_text_narrow(vendor, sizeof(vendor),
		                (const uint8_t *)loader->system->FirmwareVendor, sizeof(vendor));
	iommu_snprintf(loader->info->loader, sizeof(loader->info->loader), "%s, revision %u.%u",
	               vendor, revision >> 16, (revision & 0xffff) / 10);
	rsdp_read(loader);
	screen_read(loader);
}
