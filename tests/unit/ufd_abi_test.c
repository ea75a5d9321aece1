/* SPDX-License-Identifier: MIT */
/*
 * The ABI: names, numbers, sizes and offsets of ufd/iommufd.h and ufd/vfio.h against
 * the documented ones, and against the installed <linux/iommufd.h> and <linux/vfio.h>
 * where they know the name.
 *
 * Ours and Linux's header cannot be included together, for they define the same
 * names. So the test has the C compiler ($CC, or cc) check each value against Linux's
 * header as a static assertion; what the installed header lacks is named.
 */
/* mkstemps */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "iommu/errno.h"
#include "tests/ktap.h"
#include "ufd/iommufd.h"
#include "ufd/vfio.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct known {
	const char *name;
	uint64_t value, wanted;
};

/* clang-format is off because its versions disagree about braces in a macro. */
/* clang-format off */
#define NUMBER(name, wanted) {#name, (uint64_t)(name), wanted}
#define SIZE(type, wanted) {"sizeof " #type, sizeof(struct type), wanted}
#define OFFSET(type, field, wanted) \
	{"offset of " #type "." #field, offsetof(struct type, field), wanted}
/* clang-format on */

static const struct known commands[] = {
	NUMBER(IOMMUFD_TYPE, 0x3b),
	NUMBER(IOMMUFD_CMD_BASE, 0x80),
	NUMBER(IOMMU_DESTROY, 0x3b80),
	NUMBER(IOMMU_IOAS_ALLOC, 0x3b81),
	NUMBER(IOMMU_IOAS_ALLOW_IOVAS, 0x3b82),
	NUMBER(IOMMU_IOAS_COPY, 0x3b83),
	NUMBER(IOMMU_IOAS_IOVA_RANGES, 0x3b84),
	NUMBER(IOMMU_IOAS_MAP, 0x3b85),
	NUMBER(IOMMU_IOAS_UNMAP, 0x3b86),
	NUMBER(IOMMU_OPTION, 0x3b87),
	NUMBER(IOMMU_VFIO_IOAS, 0x3b88),
	NUMBER(IOMMU_HWPT_ALLOC, 0x3b89),
	NUMBER(IOMMU_GET_HW_INFO, 0x3b8a),
	NUMBER(IOMMU_HWPT_SET_DIRTY_TRACKING, 0x3b8b),
	NUMBER(IOMMU_HWPT_GET_DIRTY_BITMAP, 0x3b8c),
	NUMBER(IOMMU_HWPT_INVALIDATE, 0x3b8d),
	NUMBER(IOMMU_FAULT_QUEUE_ALLOC, 0x3b8e),
	NUMBER(IOMMU_IOAS_MAP_FILE, 0x3b8f),
	NUMBER(IOMMU_VIOMMU_ALLOC, 0x3b90),
	NUMBER(IOMMU_VDEVICE_ALLOC, 0x3b91),
	NUMBER(IOMMU_IOAS_CHANGE_PROCESS, 0x3b92),
	NUMBER(IOMMU_VEVENTQ_ALLOC, 0x3b93),
	NUMBER(IOMMU_HW_QUEUE_ALLOC, 0x3b94),
	NUMBER(IOMMU_IOAS_NOIOMMU_GET_PA, 0x3b95),
	NUMBER(VFIO_DEVICE_BIND_IOMMUFD, 0x3b76),
	NUMBER(VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0x3b77),
	NUMBER(VFIO_DEVICE_DETACH_IOMMUFD_PT, 0x3b78),
};

static const struct known numbers[] = {
	NUMBER(IOMMU_IOAS_MAP_FIXED_IOVA, 1),
	NUMBER(IOMMU_IOAS_MAP_WRITEABLE, 2),
	NUMBER(IOMMU_IOAS_MAP_READABLE, 4),
	NUMBER(IOMMU_OPTION_RLIMIT_MODE, 0),
	NUMBER(IOMMU_OPTION_HUGE_PAGES, 1),
	NUMBER(IOMMU_OPTION_OP_SET, 0),
	NUMBER(IOMMU_OPTION_OP_GET, 1),
	NUMBER(IOMMU_VFIO_IOAS_GET, 0),
	NUMBER(IOMMU_VFIO_IOAS_SET, 1),
	NUMBER(IOMMU_VFIO_IOAS_CLEAR, 2),
	NUMBER(IOMMU_HWPT_ALLOC_NEST_PARENT, 1),
	NUMBER(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 2),
	NUMBER(IOMMU_HWPT_FAULT_ID_VALID, 4),
	NUMBER(IOMMU_HWPT_ALLOC_PASID, 8),
	NUMBER(IOMMU_VTD_S1_SRE, 1),
	NUMBER(IOMMU_VTD_S1_EAFE, 2),
	NUMBER(IOMMU_VTD_S1_WPE, 4),
	NUMBER(IOMMU_HWPT_DATA_NONE, 0),
	NUMBER(IOMMU_HWPT_DATA_VTD_S1, 1),
	NUMBER(IOMMU_HWPT_DATA_ARM_SMMUV3, 2),
	NUMBER(IOMMU_HWPT_DATA_AMD_GUEST, 3),
	NUMBER(IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17, 1),
	NUMBER(IOMMU_HW_INFO_TYPE_NONE, 0),
	NUMBER(IOMMU_HW_INFO_TYPE_DEFAULT, 0),
	NUMBER(IOMMU_HW_INFO_TYPE_INTEL_VTD, 1),
	NUMBER(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, 2),
	NUMBER(IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, 3),
	NUMBER(IOMMU_HW_INFO_TYPE_AMD, 4),
	NUMBER(IOMMU_HW_CAP_DIRTY_TRACKING, 1),
	NUMBER(IOMMU_HW_CAP_PCI_PASID_EXEC, 2),
	NUMBER(IOMMU_HW_CAP_PCI_PASID_PRIV, 4),
	NUMBER(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, 8),
	NUMBER(IOMMU_HW_INFO_FLAG_INPUT_TYPE, 1),
	NUMBER(IOMMU_HWPT_DIRTY_TRACKING_ENABLE, 1),
	NUMBER(IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, 1),
	NUMBER(IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, 0),
	NUMBER(IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, 1),
	NUMBER(IOMMU_VTD_INV_FLAGS_LEAF, 1),
	NUMBER(IOMMU_PGFAULT_FLAGS_PASID_VALID, 1),
	NUMBER(IOMMU_PGFAULT_FLAGS_LAST_PAGE, 2),
	NUMBER(IOMMU_PGFAULT_PERM_PRIV, 8),
	NUMBER(IOMMUFD_PAGE_RESP_INVALID, 1),
	NUMBER(IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, 2),
	NUMBER(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, 1),
	NUMBER(IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, 2),
	NUMBER(IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, 1),
	NUMBER(VFIO_DEVICE_BIND_FLAG_TOKEN, 1),
	NUMBER(VFIO_DEVICE_ATTACH_PASID, 1),
	NUMBER(VFIO_DEVICE_DETACH_PASID, 1),
};

static const struct known layouts[] = {
	SIZE(iommu_destroy, 8),
	OFFSET(iommu_destroy, id, 4),
	SIZE(iommu_ioas_alloc, 12),
	OFFSET(iommu_ioas_alloc, out_ioas_id, 8),
	SIZE(iommu_iova_range, 16),
	OFFSET(iommu_iova_range, last, 8),
	SIZE(iommu_ioas_iova_ranges, 32),
	OFFSET(iommu_ioas_iova_ranges, num_iovas, 8),
	OFFSET(iommu_ioas_iova_ranges, allowed_iovas, 16),
	OFFSET(iommu_ioas_iova_ranges, out_iova_alignment, 24),
	SIZE(iommu_ioas_allow_iovas, 24),
	OFFSET(iommu_ioas_allow_iovas, allowed_iovas, 16),
	SIZE(iommu_ioas_map, 40),
	OFFSET(iommu_ioas_map, ioas_id, 8),
	OFFSET(iommu_ioas_map, user_va, 16),
	OFFSET(iommu_ioas_map, length, 24),
	OFFSET(iommu_ioas_map, iova, 32),
	SIZE(iommu_ioas_copy, 40),
	OFFSET(iommu_ioas_copy, dst_ioas_id, 8),
	OFFSET(iommu_ioas_copy, src_ioas_id, 12),
	OFFSET(iommu_ioas_copy, length, 16),
	OFFSET(iommu_ioas_copy, dst_iova, 24),
	OFFSET(iommu_ioas_copy, src_iova, 32),
	SIZE(iommu_ioas_unmap, 24),
	OFFSET(iommu_ioas_unmap, iova, 8),
	OFFSET(iommu_ioas_unmap, length, 16),
	SIZE(iommu_option, 24),
	OFFSET(iommu_option, option_id, 4),
	OFFSET(iommu_option, op, 8),
	OFFSET(iommu_option, object_id, 12),
	OFFSET(iommu_option, val64, 16),
	SIZE(iommu_vfio_ioas, 12),
	OFFSET(iommu_vfio_ioas, op, 8),
	SIZE(iommu_hwpt_vtd_s1, 24),
	OFFSET(iommu_hwpt_vtd_s1, pgtbl_addr, 8),
	OFFSET(iommu_hwpt_vtd_s1, addr_width, 16),
	SIZE(iommu_hwpt_arm_smmuv3, 16),
	SIZE(iommu_hwpt_amd_guest, 32),
	SIZE(iommu_hwpt_alloc, 48),
	OFFSET(iommu_hwpt_alloc, dev_id, 8),
	OFFSET(iommu_hwpt_alloc, pt_id, 12),
	OFFSET(iommu_hwpt_alloc, out_hwpt_id, 16),
	OFFSET(iommu_hwpt_alloc, data_type, 24),
	OFFSET(iommu_hwpt_alloc, data_len, 28),
	OFFSET(iommu_hwpt_alloc, data_uptr, 32),
	OFFSET(iommu_hwpt_alloc, fault_id, 40),
	SIZE(iommu_hw_info_vtd, 24),
	OFFSET(iommu_hw_info_vtd, cap_reg, 8),
	OFFSET(iommu_hw_info_vtd, ecap_reg, 16),
	SIZE(iommu_hw_info_arm_smmuv3, 40),
	SIZE(iommu_hw_info_tegra241_cmdqv, 8),
	SIZE(iommu_hw_info_amd, 16),
	SIZE(iommu_hw_info, 40),
	OFFSET(iommu_hw_info, dev_id, 8),
	OFFSET(iommu_hw_info, data_len, 12),
	OFFSET(iommu_hw_info, data_uptr, 16),
	OFFSET(iommu_hw_info, out_data_type, 24),
	OFFSET(iommu_hw_info, out_max_pasid_log2, 28),
	OFFSET(iommu_hw_info, out_capabilities, 32),
	SIZE(iommu_hwpt_set_dirty_tracking, 16),
	OFFSET(iommu_hwpt_set_dirty_tracking, hwpt_id, 8),
	SIZE(iommu_hwpt_get_dirty_bitmap, 48),
	OFFSET(iommu_hwpt_get_dirty_bitmap, iova, 16),
	OFFSET(iommu_hwpt_get_dirty_bitmap, data, 40),
	SIZE(iommu_hwpt_vtd_s1_invalidate, 24),
	OFFSET(iommu_hwpt_vtd_s1_invalidate, flags, 16),
	SIZE(iommu_viommu_arm_smmuv3_invalidate, 16),
	SIZE(iommu_hwpt_invalidate, 32),
	OFFSET(iommu_hwpt_invalidate, data_uptr, 8),
	OFFSET(iommu_hwpt_invalidate, entry_num, 24),
	SIZE(iommu_hwpt_pgfault, 40),
	OFFSET(iommu_hwpt_pgfault, addr, 24),
	OFFSET(iommu_hwpt_pgfault, cookie, 36),
	SIZE(iommu_hwpt_page_response, 8),
	SIZE(iommu_fault_alloc, 16),
	SIZE(iommu_ioas_map_file, 40),
	OFFSET(iommu_ioas_map_file, fd, 12),
	OFFSET(iommu_ioas_map_file, iova, 32),
	SIZE(iommu_viommu_tegra241_cmdqv, 16),
	SIZE(iommu_viommu_alloc, 40),
	OFFSET(iommu_viommu_alloc, data_uptr, 32),
	SIZE(iommu_vdevice_alloc, 24),
	OFFSET(iommu_vdevice_alloc, virt_id, 16),
	SIZE(iommu_ioas_change_process, 8),
	SIZE(iommufd_vevent_header, 8),
	SIZE(iommu_vevent_arm_smmuv3, 32),
	SIZE(iommu_vevent_tegra241_cmdqv, 16),
	SIZE(iommu_veventq_alloc, 32),
	OFFSET(iommu_veventq_alloc, out_veventq_fd, 24),
	SIZE(iommu_hw_queue_alloc, 40),
	OFFSET(iommu_hw_queue_alloc, nesting_parent_iova, 24),
	SIZE(iommu_ioas_noiommu_get_pa, 40),
	OFFSET(iommu_ioas_noiommu_get_pa, out_phys, 32),
	SIZE(vfio_device_bind_iommufd, 24),
	OFFSET(vfio_device_bind_iommufd, iommufd, 8),
	OFFSET(vfio_device_bind_iommufd, out_devid, 12),
	OFFSET(vfio_device_bind_iommufd, token_uuid_ptr, 16),
	SIZE(vfio_device_attach_iommufd_pt, 16),
	OFFSET(vfio_device_attach_iommufd_pt, pt_id, 8),
	SIZE(vfio_device_detach_iommufd_pt, 12),
};

static void check(const struct known *known, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (known[i].value != known[i].wanted)
			printf("# %s is %#llx, documented %#llx\n", known[i].name,
			       (unsigned long long)known[i].value,
			       (unsigned long long)known[i].wanted);
		KTAP_EQUAL(known[i].value, known[i].wanted);
	}
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void documented(void)
{
	check(commands, COUNT(commands));
	check(numbers, COUNT(numbers));
	check(layouts, COUNT(layouts));
}

/* ---- the installed headers -------------------------------------------------------- */

enum { MAX_LINES = 512 };

/** What the compiler said of the line with each number. */
enum said { SAID_NOTHING, SAID_UNKNOWN, SAID_DIFFERENT };

/** The C expression of @p known: "sizeof(struct x)", "offsetof(...)", or the name. */
static void expression(const struct known *known, char *out, size_t bytes)
{
	const char *name = known->name;

	if (!strncmp(name, "sizeof ", 7)) {
		snprintf(out, bytes, "sizeof(struct %s)", name + 7);
	} else if (!strncmp(name, "offset of ", 10)) {
		const char *dot = strchr(name, '.');
		snprintf(out, bytes, "offsetof(struct %.*s, %s)", (int)(dot - name - 10), name + 10,
		         dot + 1);
	} else {
		snprintf(out, bytes, "%s", name);
	}
}

/** Compile @p source with the system's headers and sort the errors by line. False if
 *  there is no compiler, or it does not get past line 2, the includes. */
static bool compile(const char *source, enum said *said)
{
	char path[] = "/tmp/ufd_abi_XXXXXX.c", command[256], line[512];
	int file = mkstemps(path, 2);

	if (file < 0)
		return false;
	FILE *out = fdopen(file, "w");
	fputs(source, out);
	fclose(out);
	snprintf(
		command, sizeof(command),
		"LC_ALL=C; export LC_ALL; c=${CC:-cc}; $c --version >/dev/null 2>&1 || exit 9; "
		"e=; "
		"$c -ferror-limit=0 -x c -fsyntax-only /dev/null 2>/dev/null && e=-ferror-limit=0; "
		"$c $e -fsyntax-only %s 2>&1",
		path);
	FILE *in = popen(command, "r");
	bool headers = in != NULL;
	while (in && fgets(line, sizeof(line), in)) {
		char *place = strstr(line, path);
		char *error = strstr(line, "error: ");
		if (!error)
			continue;
		unsigned number = place ? (unsigned)strtoul(place + sizeof(path), NULL, 10) : 0;
		if (number <= 2 || number >= MAX_LINES)
			headers = false;
		else if (!strstr(error, "static") || !strstr(error, "failed"))
			said[number] = SAID_UNKNOWN;
		else if (said[number] == SAID_NOTHING)
			said[number] = SAID_DIFFERENT;
	}
	if (in) {
		int status = pclose(in);
		headers = headers && status != 9 << 8;
	}
	remove(path);
	return headers;
}

static void installed(const char *header, bool vfio)
{
	static const struct {
		const struct known *known;
		size_t count;
	} tables[] = {
		{commands, COUNT(commands)}, {numbers, COUNT(numbers)}, {layouts, COUNT(layouts)}};
	static char source[64 * 1024];
	static enum said said[MAX_LINES];
	const struct known *on_line[MAX_LINES] = {NULL};
	unsigned line = 3, same = 0, unknown = 0;
	int length = snprintf(source, sizeof(source),
	                      "#include <stddef.h>\n#include <linux/%s.h>\n", header);

	memset(said, 0, sizeof(said));
	if (!compile(source, said)) {
		printf("# cannot compile with <linux/%s.h>: no compiler, or headers before Linux "
		       "%s\n",
		       header, vfio ? "4.0" : "6.2");
		KTAP_SKIP("there is no such Linux header to compare with");
	}
	for (size_t table = 0; table < COUNT(tables); table++)
		for (size_t i = 0; i < tables[table].count; i++) {
			const struct known *known = &tables[table].known[i];
			bool is_size = !strncmp(known->name, "sizeof ", 7);
			char text[160];
			if (vfio != (strstr(known->name, "VFIO_DEVICE") ||
			             strstr(known->name, "vfio_device")))
				continue;
			expression(known, text, sizeof(text));
			/* an older header's structure may be shorter; a longer one is a note */
			length += snprintf(source + length, sizeof(source) - (size_t)length,
			                   "_Static_assert((%s) %s %llu, \"\");\n", text,
			                   is_size ? "<=" : "==", (unsigned long long)known->value);
			on_line[line++] = known;
		}
	KTAP_CHECK(compile(source, said));
	for (unsigned i = 3; i < line; i++) {
		bool longer = said[i] == SAID_DIFFERENT && !strncmp(on_line[i]->name, "sizeof ", 7);
		if (longer)
			printf("# %s is more than %llu in the installed linux/%s.h: a later "
			       "version\n",
			       on_line[i]->name, (unsigned long long)on_line[i]->value, header);
		else if (said[i] == SAID_DIFFERENT)
			printf("# %s is not %#llx in the installed linux/%s.h\n", on_line[i]->name,
			       (unsigned long long)on_line[i]->value, header);
		if (said[i] == SAID_UNKNOWN)
			printf("# the installed linux/%s.h does not know %s\n", header,
			       on_line[i]->name);
		KTAP_CHECK(longer || said[i] != SAID_DIFFERENT);
		same += said[i] == SAID_NOTHING;
		unknown += said[i] == SAID_UNKNOWN;
	}
	printf("# linux/%s.h: %u the same, %u that it does not know\n", header, same, unknown);
	if (!same)
		KTAP_SKIP("the installed Linux header knows none of these names");
}

static void installed_iommufd(void)
{
	installed("iommufd", false);
}

static void installed_vfio(void)
{
	installed("vfio", true);
}

static void error_numbers(void)
{
	static const struct {
		int number, wanted;
		const char *name;
	} errors[] = {
		{EPERM, 1, "EPERM"},
		{ENOENT, 2, "ENOENT"},
		{E2BIG, 7, "E2BIG"},
		{EBADF, 9, "EBADF"},
		{ENOMEM, 12, "ENOMEM"},
		{EFAULT, 14, "EFAULT"},
		{EBUSY, 16, "EBUSY"},
		{EEXIST, 17, "EEXIST"},
		{ENODEV, 19, "ENODEV"},
		{EINVAL, 22, "EINVAL"},
		{EMFILE, 24, "EMFILE"},
		{ENOTTY, 25, "ENOTTY"},
		{ENOSPC, 28, "ENOSPC"},
		{EOVERFLOW, 75, "EOVERFLOW"},
		{EBADFD, 77, "EBADFD"},
		{EMSGSIZE, 90, "EMSGSIZE"},
		{EOPNOTSUPP, 95, "EOPNOTSUPP"},
		{EADDRINUSE, 98, "EADDRINUSE"},
		{ETIMEDOUT, 110, "ETIMEDOUT"},
	};

	for (size_t i = 0; i < COUNT(errors); i++) {
		const char *name = iommu_errno_name(-errors[i].number);
		KTAP_EQUAL(errors[i].number, errors[i].wanted);
		KTAP_CHECK(name && !strcmp(name, errors[i].name));
	}
}

static const struct ktap_case cases[] = {
	{"numbers, sizes and offsets as documented", documented},
	{"the installed linux/iommufd.h says the same", installed_iommufd},
	{"the installed linux/vfio.h says the same", installed_vfio},
	{"error numbers", error_numbers},
};

KTAP_MAIN(cases)
