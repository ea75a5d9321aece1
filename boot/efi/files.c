/* SPDX-License-Identifier: MIT */
/*
 * What lies beside the EFI application: nestor.cmd, whose text is the command line, and
 * scenarios, NAME.scn, which become modules. UEFI specification 2.10, 9.1 (loaded image),
 * 10.3 (device paths), 13.4 and 13.5 (files).
 */
#include "boot/efi/efi.h"
#include "boot/efi/parse.h"

enum {
	MAX_PATH = 512, /* characters of the application's own path */
	MAX_COMMAND_FILE = 65536,
	INFO_BYTES = 80 + 2 * 256, /* EFI_FILE_INFO: the name begins at 80 */
};
#define MAX_MODULE (UINT64_C(64) << 20)

static EFI_GUID loaded_image_guid = {
	0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static EFI_GUID file_system_guid = {
	0x964e5b22, 0x6459, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};

struct entry {
	char name[64];
	uint64_t bytes;
	bool is_folder, name_cut;
	const CHAR16 *wide_name; /* within the buffer that it was read into */
};

/* ---- names --------------------------------------------------------------------------- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

/* Whether @p name, or its end if that is enough, is @p wanted, which is in small letters. */
static bool is_named(const char *name, const char *wanted, bool end_is_enough)
{
	size_t length = 0, wanted_length = 0;

	while (name[length])
		length++;
	while (wanted[wanted_length])
		wanted_length++;
	if (length < wanted_length || (length > wanted_length && !end_is_enough))
		return false;
	for (size_t i = 0; i < wanted_length; i++)
		if (lower(name[length - wanted_length + i]) != wanted[i])
			return false;
	return true;
}

/* A name in capitals alone is how FAT shows a short one: scenarios are asked for in
 * small letters. */
static void lower_short_name(char *name)
{
	for (const char *at = name; *at; at++)
		if (*at >= 'a' && *at <= 'z')
			return;
	for (; *name; name++)
		*name = lower(*name);
}

/* ---- the folder ---------------------------------------------------------------------- */

/** The path of the application's folder into @p path. False if the image does not come
 *  from a file. */
static bool folder_path(const EFI_LOADED_IMAGE *image, CHAR16 path[MAX_PATH])
{
	const uint8_t *node = (const uint8_t *)image->FilePath;
	size_t length = 0;

	/* nodes: type, subtype, length of 16 bits; type 4 subtype 4 is a piece of the path */
	for (unsigned count = 0; node && count < 64; count++) {
		size_t bytes = node[2] | (size_t)node[3] << 8;
		if (node[0] == 0x7f || bytes < 4)
			break;
		if (node[0] == 4 && node[1] == 4) {
			if (length && path[length - 1] != '\\' && length < MAX_PATH)
				path[length++] = '\\';
			for (size_t at = 4; at + 1 < bytes; at += 2) {
				CHAR16 unit = (CHAR16)(node[at] | node[at + 1] << 8);
				if (!unit)
					break;
				if (length == MAX_PATH)
					return false;
				path[length++] = unit;
			}
		}
		node += bytes;
	}
	if (!length)
		return false;
	while (length && path[length - 1] != '\\')
		length--;
	if (length > 1)
		length--; /* "\EFI\BOOT\" without its end; the root stays "\" */
	if (!length)
		path[length++] = '\\';
	if (length == MAX_PATH)
		return false;
	path[length] = 0;
	return true;
}

/** Open the folder; NULL if the application comes from none (the network, a shell). */
static EFI_FILE *folder_open(struct loader *loader, const EFI_LOADED_IMAGE *image)
{
	static CHAR16 path[MAX_PATH];
	EFI_FILE_IO_INTERFACE *system;
	EFI_FILE *root, *folder;
	void *found;

	if (!image->DeviceHandle || !folder_path(image, path) ||
	    EFI_ERROR(loader->services->HandleProtocol(image->DeviceHandle, &file_system_guid,
	                                               &found)))
		return NULL;
	system = found;
	if (EFI_ERROR(system->OpenVolume(system, &root)))
		return NULL;
	EFI_STATUS status = root->Open(root, &folder, path, EFI_FILE_MODE_READ, 0);
	root->Close(root);
	return EFI_ERROR(status) ? NULL : folder;
}

/** The folder's next entry. @return 1, 0 at the end, -1 refused with a line. */
static int folder_next(struct loader *loader, EFI_FILE *folder, struct entry *entry)
{
	static uint64_t buffer[INFO_BYTES / 8];
	const uint8_t *bytes = (const uint8_t *)buffer;
	UINTN size = sizeof(buffer);
	EFI_STATUS status = folder->Read(folder, &size, buffer);

	if (EFI_ERROR(status)) {
		efi_say(loader, "the application's folder cannot be read: status %#llx",
		        (unsigned long long)status);
		return -1;
	}
	if (size < 82)
		return 0;
	/* 0 size of this, 8 file size, 16 allocated, 24 three times, 72 attributes, 80 name */
	entry->bytes = boot_get64(bytes + 8);
	entry->is_folder = boot_get64(bytes + 72) & EFI_FILE_DIRECTORY;
	entry->wide_name = (const CHAR16 *)(bytes + 80);
	entry->name_cut =
		efi_text_narrow(entry->name, sizeof(entry->name), bytes + 80, (size - 80) / 2);
	return 1;
}

static bool file_read(struct loader *loader, EFI_FILE *folder, const struct entry *entry,
                      uint64_t limit, uint64_t *start)
{
	EFI_FILE *file;

	if (entry->bytes > limit) {
		efi_say(loader, "%s has %llu bytes; %llu at most are right", entry->name,
		        (unsigned long long)entry->bytes, (unsigned long long)limit);
		return false;
	}
	*start = efi_pages(loader, entry->bytes + 1, 4096, UINT64_MAX, entry->name);
	if (!*start)
		return false;
	static CHAR16 name[256];
	size_t length = 0;
	for (; length < 255 && entry->wide_name[length]; length++)
		name[length] = entry->wide_name[length];
	name[length] = 0;
	EFI_STATUS status = folder->Open(folder, &file, name, EFI_FILE_MODE_READ, 0);
	uint64_t done = 0;
	while (!EFI_ERROR(status) && done < entry->bytes) {
		UINTN more = entry->bytes - done;
		status = file->Read(file, &more, (char *)*start + done);
		if (!EFI_ERROR(status) && !more)
			status = EFI_END_OF_FILE;
		done += EFI_ERROR(status) ? 0 : more;
	}
	if (EFI_ERROR(status))
		efi_say(loader, "%s cannot be read: %llu of %llu bytes, status %#llx", entry->name,
		        (unsigned long long)done, (unsigned long long)entry->bytes,
		        (unsigned long long)status);
	if (file)
		file->Close(file);
	return !EFI_ERROR(status);
}

static bool command_read(struct loader *loader, EFI_FILE *folder, const struct entry *entry)
{
	uint64_t start;

	if (!file_read(loader, folder, entry, MAX_COMMAND_FILE, &start))
		return false;
	if (efi_command_from_file((const uint8_t *)start, entry->bytes, loader->info))
		return true;
	efi_say(loader, "%s holds NUL bytes; plain text, no UTF-16, is right", entry->name);
	return false;
}

static bool module_read(struct loader *loader, EFI_FILE *folder, struct entry *entry)
{
	struct boot_info *info = loader->info;
	struct boot_module *module = &info->modules[info->module_count];

	if (entry->name_cut || info->module_count == BOOT_MAX_MODULES) {
		efi_say(loader, "%s is left out: %s", entry->name,
		        entry->name_cut ? "its name is too long, 63 characters are right"
		                        : "there are 32 scenarios already");
		return true;
	}
	if (!file_read(loader, folder, entry, MAX_MODULE, &module->start))
		return false;
	module->bytes = entry->bytes;
	lower_short_name(entry->name);
	memcpy(module->name, entry->name, sizeof(module->name));
	info->module_count++;
	return true;
}

bool efi_files_read(struct loader *loader)
{
	struct entry entry;
	void *found;
	int more = 1;
	bool has_command = false, fine = true;

	if (EFI_ERROR(
		    loader->services->HandleProtocol(loader->image, &loaded_image_guid, &found))) {
		efi_say(loader, "the firmware does not say where this application comes from");
		return false;
	}
	const EFI_LOADED_IMAGE *image = found;
	EFI_FILE *folder = folder_open(loader, image);
	while (folder && fine && (more = folder_next(loader, folder, &entry)) > 0) {
		if (entry.is_folder)
			continue;
		if (is_named(entry.name, "nestor.cmd", false)) {
			has_command = true;
			fine = command_read(loader, folder, &entry);
		} else if (is_named(entry.name, ".scn", true) || entry.name_cut) {
			fine = module_read(loader, folder, &entry);
		}
	}
	if (folder)
		folder->Close(folder);
	if (more < 0 || !fine)
		return false;
	if (!has_command &&
	    !efi_command_from_options(image->LoadOptions, image->LoadOptionsSize, loader->info)) {
		const char normal[] = "scenario=nested-parent";
		memcpy(loader->info->command_line, normal, sizeof(normal));
	}
	return true;
}
