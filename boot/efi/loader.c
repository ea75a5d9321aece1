/* SPDX-License-Identifier: MIT */
/*
 * The EFI application: carries the kernel, loads it, and enters it at the 64-bit entry of
 * boot/start.S, with the image mapped at KERNEL_VIRTUAL_BASE.
 *
 * Memory: the image, on a multiple of 2 MiB, and the hand-over (page tables, boot_info)
 * lie below 4 GiB, modules anywhere. All of it is loader data, which is usable memory in
 * boot_info's map: the kernel keeps its image and its modules by itself, and the hand-over
 * is done with before it uses any memory.
 *
 * Until boot services end, any failure prints one line and returns to the firmware with
 * everything given back.
 */
#include "boot/efi/efi.h"
#include "boot/efi/elf.h"
#include "boot/efi/parse.h"

#define PAGE_BYTES      UINT64_C(4096)
#define TABLE_ENTRY     UINT64_C(3)    /* present, write */
#define LARGE_ENTRY     UINT64_C(0x83) /* and 2 MiB */
#define EXIT_ATTEMPTS   8
#define MAP_SPARE_BYTES (64 * EFI_MAX_STRIDE)

/** What the kernel reads before its own tables and its own boot_info are there. */
struct handover {
	uint64_t top_of_5[512]; /* used if the firmware runs with 5 levels */
	uint64_t top[512];
	uint64_t low_pointers[512], low[4][512]; /* 0..4 GiB, at 0 and DIRECT_MAP_BASE */
	uint64_t high_pointers[512], image[512]; /* KERNEL_VIRTUAL_BASE: the image */
	uint64_t own_pointers[512], own[512];    /* this program, should it lie higher */
	struct boot_info info;
};

extern const uint8_t efi_kernel[], efi_kernel_end[];
void __attribute__((noreturn)) efi_jump(uint64_t root, uint64_t entry, uint64_t info);
/* GNU-EFI's start calls the first, from release 3.0.18 on the second. */
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);
EFI_STATUS _entry(EFI_HANDLE image, EFI_SYSTEM_TABLE *system) __attribute__((alias("efi_main")));

/* ---- services ------------------------------------------------------------------------- */

void efi_say(const struct loader *loader, const char *format, ...)
{
	char text[256];
	CHAR16 wide[sizeof(text) + 16];
	unsigned length = 0;
	va_list args;

	va_start(args, format);
	iommu_vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (const char *at = "nestor: "; *at; at++)
		wide[length++] = (CHAR16)*at;
	for (const char *at = text; *at; at++)
		wide[length++] = (CHAR16)(unsigned char)*at;
	wide[length++] = '\r';
	wide[length++] = '\n';
	wide[length] = 0;
	if (loader->system->ConOut)
		loader->system->ConOut->OutputString(loader->system->ConOut, wide);
}

static void give_back(struct loader *loader)
{
	while (loader->owned_count) {
		loader->owned_count--;
		loader->services->FreePages(loader->owned[loader->owned_count].start,
		                            loader->owned[loader->owned_count].pages);
	}
}

uint64_t efi_pages(struct loader *loader, uint64_t bytes, uint64_t alignment, uint64_t limit,
                   const char *what)
{
	UINTN pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES, slack = alignment / PAGE_BYTES - 1;
	EFI_PHYSICAL_ADDRESS start = limit - 1;
	EFI_STATUS status = EFI_OUT_OF_RESOURCES;

	if (loader->owned_count < sizeof(loader->owned) / sizeof(loader->owned[0]))
		status = loader->services->AllocatePages(AllocateMaxAddress, EfiLoaderData,
		                                         pages + slack, &start);
	if (EFI_ERROR(status)) {
		efi_say(loader, "no memory below %#llx for %s: %llu bytes aligned to %#llx",
		        (unsigned long long)limit, what, (unsigned long long)bytes,
		        (unsigned long long)alignment);
		return 0;
	}
	/* the slack before and behind goes back */
	uint64_t aligned = (start + alignment - 1) & ~(alignment - 1);
	UINTN before = (aligned - start) / PAGE_BYTES;
	if (before)
		loader->services->FreePages(start, before);
	if (slack - before)
		loader->services->FreePages(aligned + pages * PAGE_BYTES, slack - before);
	loader->owned[loader->owned_count].start = aligned;
	loader->owned[loader->owned_count++].pages = pages;
	return aligned;
}

/* ---- the image ------------------------------------------------------------------------ */

/** Load the segments. @return where image->start lies, 0: refused. */
static uint64_t image_load(struct loader *loader, struct efi_image *image)
{
	struct boot_reason reason;

	if (efi_elf_check(efi_kernel, (size_t)(efi_kernel_end - efi_kernel), image, &reason)) {
		efi_say(loader, "the kernel within this application is damaged: %s", reason.text);
		return 0;
	}
	uint64_t bytes = image->end - image->start;
	uint64_t start = efi_pages(loader, bytes, EFI_LARGE_PAGE, EFI_FOUR_GIB, "the kernel");
	if (!start)
		return 0;
	memset((void *)start, 0, bytes);
	for (uint32_t i = 0; i < image->segment_count; i++) {
		const struct efi_segment *segment = &image->segments[i];
		memcpy((void *)(start + (segment->address - image->start)),
		       efi_kernel + segment->offset, segment->file_bytes);
	}
	loader->info->kernel_start = start;
	loader->info->kernel_end = start + bytes;
	return start;
}

/* ---- page tables ---------------------------------------------------------------------- */

static uint64_t table(const uint64_t *entries)
{
	return (uint64_t)entries | TABLE_ENTRY;
}

/** boot/start.S's layout, but KERNEL_VIRTUAL_BASE shows the image where it lies; and the
 *  page of efi_jump at its own address. @return the root, 0: refused. */
static uint64_t tables_fill(struct loader *loader, struct handover *handover,
                            const struct efi_image *image, uint64_t start)
{
	const uint64_t la57 = 1 << 12;
	uint64_t own = (uint64_t)efi_jump, cr4;

	if (own >> 47) {
		efi_say(loader, "this application lies at %#llx; below 0x800000000000 is right",
		        (unsigned long long)own);
		return 0;
	}
	for (unsigned i = 0; i < 4 * 512; i++)
		handover->low[i / 512][i % 512] = i * EFI_LARGE_PAGE | LARGE_ENTRY;
	for (unsigned i = 0; i < 4; i++)
		handover->low_pointers[i] = table(handover->low[i]);
	for (uint64_t at = image->start; at < image->end; at += EFI_LARGE_PAGE)
		handover->image[at / EFI_LARGE_PAGE] = (start + (at - image->start)) | LARGE_ENTRY;
	handover->high_pointers[510] = table(handover->image);
	handover->top[0] = table(handover->low_pointers);
	handover->top[256] = table(handover->low_pointers);
	handover->top[511] = table(handover->high_pointers);
	handover->top_of_5[0] = table(handover->top);
	handover->top_of_5[511] = table(handover->top);
	if (own >= EFI_FOUR_GIB) {
		unsigned top = own >> 39 & 511;
		uint64_t *pointers = top ? handover->own_pointers : handover->low_pointers;
		handover->top[top] = table(pointers);
		pointers[own >> 30 & 511] = table(handover->own);
		handover->own[own >> 21 & 511] = (own & ~(EFI_LARGE_PAGE - 1)) | LARGE_ENTRY;
	}
	__asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
	return (uint64_t)(cr4 & la57 ? handover->top_of_5 : handover->top);
}

/* ---- the end of boot services --------------------------------------------------------- */

/** Read the memory map and end boot services. The map's key is stale if anything was
 *  allocated since, by an event's handler for one: then once more. False: refused. */
static bool services_exit(struct loader *loader)
{
	UINTN capacity = 0, key, stride = 0;
	UINT32 version;
	EFI_STATUS status =
		loader->services->GetMemoryMap(&capacity, NULL, &key, &stride, &version);

	if (status != EFI_BUFFER_TOO_SMALL || stride < EFI_DESCRIPTOR_BYTES ||
	    stride > EFI_MAX_STRIDE) {
		efi_say(loader,
		        "the memory map has descriptors of %llu bytes (status %#llx); 40 to 128 "
		        "are right",
		        (unsigned long long)stride, (unsigned long long)status);
		return false;
	}
	/* room for what this allocation and the firmware's handlers add */
	capacity += MAP_SPARE_BYTES;
	uint8_t *map =
		(uint8_t *)efi_pages(loader, capacity, PAGE_BYTES, UINT64_MAX, "the memory map");
	if (!map)
		return false;
	for (unsigned attempt = 0; attempt < EXIT_ATTEMPTS; attempt++) {
		UINTN bytes = capacity;
		status = loader->services->GetMemoryMap(&bytes, (EFI_MEMORY_DESCRIPTOR *)map, &key,
		                                        &stride, &version);
		if (EFI_ERROR(status))
			break;
		status = loader->services->ExitBootServices(loader->image, key);
		if (!EFI_ERROR(status)) {
			efi_memory_convert(map, bytes / stride, stride, loader->info);
			return true;
		}
		if (status != EFI_INVALID_PARAMETER)
			break;
	}
	efi_say(loader, "the firmware does not end its boot services: status %#llx",
	        (unsigned long long)status);
	return false;
}

/** @return only if refused. */
static void boot(struct loader *loader)
{
	struct efi_image image;
	struct handover *handover = (struct handover *)efi_pages(
		loader, sizeof(*handover), PAGE_BYTES, EFI_FOUR_GIB, "page tables");

	if (!handover)
		return;
	memset(handover, 0, sizeof(*handover));
	loader->info = &handover->info;
	loader->info->path = BOOT_EFI;
	efi_platform_read(loader);
	if (!efi_files_read(loader))
		return;
	uint64_t start = image_load(loader, &image);
	uint64_t root = start ? tables_fill(loader, handover, &image, start) : 0;
	if (!root || !services_exit(loader))
		return;
	efi_jump(root, image.entry, DIRECT_MAP_BASE + (uint64_t)loader->info);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	static struct loader loader;

	loader.image = image;
	loader.system = system;
	loader.services = system->BootServices;
	boot(&loader);
	give_back(&loader);
	return EFI_LOAD_ERROR;
}
