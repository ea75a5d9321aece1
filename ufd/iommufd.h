/* SPDX-License-Identifier: MIT */
/*
 * The iommufd interface: command numbers and structures, as Linux 7.3 has them.
 *
 * Written for this project; source- and layout-compatible with Linux's
 * <linux/iommufd.h>, so that a program compiles with either (not with both) and
 * its calls mean the same. tests/unit/ufd_abi_test.c compares sizes, offsets and
 * numbers with the documented ones and with the installed Linux header.
 *
 * Rules of the interface. A call takes the address of a structure whose first
 * field is its size in bytes. Structures grow at the end: what a caller leaves
 * out is zero, what the callee does not know must be zero.
 *   ENOTTY      no such command
 *   E2BIG       a part of the structure that is not known here is not zero
 *   EOPNOTSUPP  a known field has a value that is not known or not possible here
 *   EINVAL      a value is wrong, or the structure is too short
 *   ENOENT      no such object, or nothing mapped there
 *   EOVERFLOW   addresses or lengths wrap around
 *
 * All commands are implemented; types of data, vIOMMUs and queues are those of the drivers
 * that there are, and any other is EOPNOTSUPP. docs/abi.md has what differs from Linux.
 */
#ifndef UFD_IOMMUFD_H
#define UFD_IOMMUFD_H

#include <stdint.h>

#define IOMMUFD_TYPE (';')

/** Linux's _IO(): a command number without direction or size. */
#define UFD_COMMAND(type, number) ((uint32_t)(type) << 8 | (uint32_t)(number))

enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = 0x80,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
	IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA = 0x95,
};

/* ---- objects ----------------------------------------------------------------- */

/** Destroy object @id. EBUSY while something uses it. */
struct iommu_destroy {
	uint32_t size;
	uint32_t id;
};
#define IOMMU_DESTROY UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)

/* ---- I/O address spaces -------------------------------------------------------- */

/** Make an empty IOAS. @flags: 0. */
struct iommu_ioas_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_ioas_id;
};
#define IOMMU_IOAS_ALLOC UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)

/** [start, last], both inclusive. */
struct iommu_iova_range {
	uint64_t start;
	uint64_t last;
};

/** List the ranges that are not reserved. In: @num_iovas, the length of the array
 *  at @allowed_iovas. Out: how many there are, and the smallest alignment of an
 *  IOVA. EMSGSIZE if the array is too short: it holds the first ones. */
struct iommu_ioas_iova_ranges {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t __reserved;
	uint64_t allowed_iovas;
	uint64_t out_iova_alignment;
};
#define IOMMU_IOAS_IOVA_RANGES UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)

/** Keep these ranges usable, whatever is attached later, and choose IOVAs among
 *  them only. Replaces the list; 0 ranges drops it. */
struct iommu_ioas_allow_iovas {
	uint32_t size;
	uint32_t ioas_id;
	uint32_t num_iovas;
	uint32_t __reserved;
	uint64_t allowed_iovas;
};
#define IOMMU_IOAS_ALLOW_IOVAS UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)

enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0, /* at the IOVA given; else one is chosen */
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

/** Map user memory. @iova is in with FIXED_IOVA, out always. */
struct iommu_ioas_map {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t __reserved;
	uint64_t user_va;
	uint64_t length;
	uint64_t iova;
};
#define IOMMU_IOAS_MAP UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)

/** Map the memory behind [src_iova, +length) of one IOAS in another or the same. */
struct iommu_ioas_copy {
	uint32_t size;
	uint32_t flags;
	uint32_t dst_ioas_id;
	uint32_t src_ioas_id;
	uint64_t length;
	uint64_t dst_iova;
	uint64_t src_iova;
};
#define IOMMU_IOAS_COPY UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)

/** Unmap every mapping in the range; one that is only partly inside is ENOENT.
 *  @iova 0 and @length 2^64 - 1: everything. Out: the bytes unmapped. */
struct iommu_ioas_unmap {
	uint32_t size;
	uint32_t ioas_id;
	uint64_t iova;
	uint64_t length;
};
#define IOMMU_IOAS_UNMAP UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)

enum iommufd_option {
	/** 0 (default): locked memory is accounted to the user; 1: to the process. Only
	 *  before the first object is made; object_id 0. */
	IOMMU_OPTION_RLIMIT_MODE = 0,
	/** Per IOAS. 1 (default): the largest pages; 0: 4 KiB pages only. */
	IOMMU_OPTION_HUGE_PAGES = 1,
};

enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

struct iommu_option {
	uint32_t size;
	uint32_t option_id;
	uint16_t op;
	uint16_t __reserved;
	uint32_t object_id;
	uint64_t val64;
};
#define IOMMU_OPTION UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)

/* ---- hardware page tables --------------------------------------------------------- */

enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,    /* can be the parent of a nested HWPT */
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1, /* refuse devices that cannot track */
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,  /* supervisor requests */
	IOMMU_VTD_S1_EAFE = 1 << 1, /* extended access flag */
	IOMMU_VTD_S1_WPE = 1 << 2,  /* write protection holds for supervisor requests */
};

/** A user's stage-1 table for VT-d (IOMMU_HWPT_DATA_VTD_S1): its address in the
 *  parent's address space and its width in bits, 48 or 57. */
struct iommu_hwpt_vtd_s1 {
	uint64_t flags;
	uint64_t pgtbl_addr;
	uint32_t addr_width;
	uint32_t __reserved;
};

/** Arm SMMUv3: stream table entry, qwords 0 and 1, little-endian. */
struct iommu_hwpt_arm_smmuv3 {
	uint64_t ste[2];
};

/** AMD: device table entry. */
struct iommu_hwpt_amd_guest {
	uint64_t dte[4];
};

enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

/** Make a HWPT for device @dev_id. @pt_id: an IOAS (the HWPT has its mappings, and
 *  follows them), or a NEST_PARENT HWPT (then the data describes a stage-1 table
 *  that the user owns). Without data: type, length and address 0. */
struct iommu_hwpt_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pt_id;
	uint32_t out_hwpt_id;
	uint32_t __reserved;
	uint32_t data_type;
	uint32_t data_len;
	uint64_t data_uptr;
	uint32_t fault_id;
	uint32_t __reserved2;
};
#define IOMMU_HWPT_ALLOC UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)

/* ---- hardware information ------------------------------------------------------------ */

enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0, /* no read-only pages in a nest parent */
};

/** VT-d: the capability registers as the hardware has them (sections 11.4.2, 11.4.3). */
struct iommu_hw_info_vtd {
	uint32_t flags;
	uint32_t __reserved;
	uint64_t cap_reg;
	uint64_t ecap_reg;
};

struct iommu_hw_info_arm_smmuv3 {
	uint32_t flags;
	uint32_t __reserved;
	uint32_t idr[6];
	uint32_t iidr;
	uint32_t aidr;
};

struct iommu_hw_info_tegra241_cmdqv {
	uint32_t flags;
	uint8_t version;
	uint8_t log2vcmdqs;
	uint8_t log2vsids;
	uint8_t __reserved;
};

struct iommu_hw_info_amd {
	uint64_t efr;
	uint64_t efr2;
};

enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0, /* in_data_type says which structure */
};

/** What hardware stands behind device @dev_id. In: @data_len bytes of room at
 *  @data_uptr. Out: the structure, cut to the room or followed by zeros; its full
 *  length; its type. */
struct iommu_hw_info {
	uint32_t size;
	uint32_t flags;
	uint32_t dev_id;
	uint32_t data_len;
	uint64_t data_uptr;
	union {
		uint32_t in_data_type;
		uint32_t out_data_type;
	};
	uint8_t out_max_pasid_log2;
	uint8_t __reserved[3];
	uint64_t out_capabilities;
};
#define IOMMU_GET_HW_INFO UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)

/* ---- VFIO's view, dirty pages, invalidation ----------------------------------------------- */

enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/** The IOAS that VFIO's container calls on this descriptor use. */
struct iommu_vfio_ioas {
	uint32_t size;
	uint32_t ioas_id;
	uint16_t op;
	uint16_t __reserved;
};
#define IOMMU_VFIO_IOAS UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)

enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

/** Begin (or, without the flag, end) to note which pages devices write through @hwpt_id. */
struct iommu_hwpt_set_dirty_tracking {
	uint32_t size;
	uint32_t flags;
	uint32_t hwpt_id;
	uint32_t __reserved;
};
#define IOMMU_HWPT_SET_DIRTY_TRACKING UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)

enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

/** One bit at @data for each @page_size bytes of [iova, iova+length). */
struct iommu_hwpt_get_dirty_bitmap {
	uint32_t size;
	uint32_t hwpt_id;
	uint32_t flags;
	uint32_t __reserved;
	uint64_t iova;
	uint64_t length;
	uint64_t page_size;
	uint64_t data;
};
#define IOMMU_HWPT_GET_DIRTY_BITMAP UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)

enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0, /* leaves changed, tables did not */
};

/** @npages pages of 4 KiB from @addr; address 0 and 2^64 - 1 pages: everything. */
struct iommu_hwpt_vtd_s1_invalidate {
	uint64_t addr;
	uint64_t npages;
	uint32_t flags;
	uint32_t __reserved;
};

struct iommu_viommu_arm_smmuv3_invalidate {
	uint64_t cmd[2];
};

/** An array of @entry_num requests of @entry_len bytes; out: how many were done. */
struct iommu_hwpt_invalidate {
	uint32_t size;
	uint32_t hwpt_id;
	uint64_t data_uptr;
	uint32_t data_type;
	uint32_t entry_len;
	uint32_t entry_num;
	uint32_t __reserved;
};
#define IOMMU_HWPT_INVALIDATE UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)

enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID = 1 << 0,
	IOMMU_PGFAULT_FLAGS_LAST_PAGE = 1 << 1,
};

enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ = 1 << 0,
	IOMMU_PGFAULT_PERM_WRITE = 1 << 1,
	IOMMU_PGFAULT_PERM_EXEC = 1 << 2,
	IOMMU_PGFAULT_PERM_PRIV = 1 << 3,
};

/** A page request as read from a fault queue. */
struct iommu_hwpt_pgfault {
	uint32_t flags;
	uint32_t dev_id;
	uint32_t pasid;
	uint32_t grpid;
	uint32_t perm;
	uint32_t __reserved;
	uint64_t addr;
	uint32_t length;
	uint32_t cookie;
};

enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/** An answer, written to a fault queue: to all requests with @cookie at once. */
struct iommu_hwpt_page_response {
	uint32_t cookie;
	uint32_t code;
};

/** Make a fault queue. Out: its object, and the descriptor to read and write. @flags: 0. */
struct iommu_fault_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_fault_id;
	uint32_t out_fault_fd;
};
#define IOMMU_FAULT_QUEUE_ALLOC UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)

/** Map a part of file @fd. */
struct iommu_ioas_map_file {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	int32_t fd;
	uint64_t start;
	uint64_t length;
	uint64_t iova;
};
#define IOMMU_IOAS_MAP_FILE UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)

enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

struct iommu_viommu_tegra241_cmdqv {
	uint64_t out_vintf_mmap_offset;
	uint64_t out_vintf_mmap_length;
};

/** Make a vIOMMU of @type for device @dev_id on NEST_PARENT HWPT @hwpt_id; what
 *  @data_len bytes at @data_uptr are, the type says. */
struct iommu_viommu_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t type;
	uint32_t dev_id;
	uint32_t hwpt_id;
	uint32_t out_viommu_id;
	uint32_t data_len;
	uint32_t __reserved;
	uint64_t data_uptr;
};
#define IOMMU_VIOMMU_ALLOC UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)

/** Device @dev_id has id @virt_id in vIOMMU @viommu_id from now on. */
struct iommu_vdevice_alloc {
	uint32_t size;
	uint32_t viommu_id;
	uint32_t dev_id;
	uint32_t out_vdevice_id;
	uint64_t virt_id;
};
#define IOMMU_VDEVICE_ALLOC UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)

/** The calling process takes over the account of what is pinned. EINVAL if anything but
 *  files is mapped. */
struct iommu_ioas_change_process {
	uint32_t size;
	uint32_t __reserved;
};
#define IOMMU_IOAS_CHANGE_PROCESS UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)

enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = 1 << 0,
};

/** Before each event that is read. With LOST_EVENTS it stands alone. @sequence is that of
 *  the event, 31 bits. */
struct iommufd_vevent_header {
	uint32_t flags;
	uint32_t sequence;
};

enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

struct iommu_vevent_arm_smmuv3 {
	uint64_t evt[4];
};

struct iommu_vevent_tegra241_cmdqv {
	uint64_t lvcmdq_err_map[2];
};

/** Make a queue of up to @veventq_depth events of @type of a vIOMMU. Out: its object, and
 *  the descriptor to read. */
struct iommu_veventq_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t viommu_id;
	uint32_t type;
	uint32_t veventq_depth;
	uint32_t out_veventq_id;
	uint32_t out_veventq_fd;
	uint32_t __reserved;
};
#define IOMMU_VEVENTQ_ALLOC UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)

enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

/** Let the hardware use [nesting_parent_iova, +length) of the vIOMMU's parent as its queue
 *  @index of @type. The memory stays mapped as long as the queue is there. */
struct iommu_hw_queue_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t viommu_id;
	uint32_t type;
	uint32_t index;
	uint32_t out_hw_queue_id;
	uint64_t nesting_parent_iova;
	uint64_t length;
};
#define IOMMU_HW_QUEUE_ALLOC UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)

/** The physical address behind @iova, and in @length how far from there memory is
 *  contiguous (in: at most, not 0). For devices without an IOMMU. */
struct iommu_ioas_noiommu_get_pa {
	uint32_t size;
	uint32_t flags;
	uint32_t ioas_id;
	uint32_t __reserved;
	uint64_t iova;
	uint64_t length;
	uint64_t out_phys;
};
#define IOMMU_IOAS_NOIOMMU_GET_PA UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA)

#endif
