/* SPDX-License-Identifier: MIT */
/*
 * IOMMU_TEST_CMD: devices and accesses that exist only for tests, and a look behind the
 * interface. Names, numbers and layout as Linux 7.3's self-test has them, so that its
 * programs run; written for this project. tests/unit/ufd_selftest_test.c compares sizes
 * and offsets.
 *
 * The command exists where the core has the mock unit (ufd/mock.h), and is ENOTTY elsewhere.
 * Devices made here live behind that unit; they differ from ufd_mock_device_add()'s: their
 * tables have pages of half a user's page and an aperture of 16 MiB to 2 GiB.
 */
#ifndef UFD_SELFTEST_H
#define UFD_SELFTEST_H

#include "ufd/iommufd.h"
#include "ufd/mock.h"

enum { IOMMUFD_CMD_SELFTEST = IOMMUFD_CMD_BASE + 32 };
#define IOMMU_TEST_CMD UFD_COMMAND(IOMMUFD_TYPE, IOMMUFD_CMD_SELFTEST)

enum iommu_test_op {
	IOMMU_TEST_OP_ADD_RESERVED = 1,
	IOMMU_TEST_OP_MOCK_DOMAIN = 2,
	IOMMU_TEST_OP_MD_CHECK_MAP = 3,
	IOMMU_TEST_OP_MD_CHECK_REFS = 4,
	IOMMU_TEST_OP_CREATE_ACCESS = 5,
	IOMMU_TEST_OP_DESTROY_ACCESS_PAGES = 6,
	IOMMU_TEST_OP_ACCESS_PAGES = 7,
	IOMMU_TEST_OP_ACCESS_RW = 8,
	IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT = 9,
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE = 10,
	IOMMU_TEST_OP_ACCESS_REPLACE_IOAS = 11,
	IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS = 12,
	IOMMU_TEST_OP_DIRTY = 13,
	IOMMU_TEST_OP_MD_CHECK_IOTLB = 14,
	IOMMU_TEST_OP_TRIGGER_IOPF = 15,
	IOMMU_TEST_OP_DEV_CHECK_CACHE = 16,
	IOMMU_TEST_OP_TRIGGER_VEVENT = 17,
	IOMMU_TEST_OP_PASID_ATTACH = 18,
	IOMMU_TEST_OP_PASID_REPLACE = 19,
	IOMMU_TEST_OP_PASID_DETACH = 20,
	IOMMU_TEST_OP_PASID_CHECK_HWPT = 21,
	IOMMU_TEST_OP_DMABUF_GET = 22,
	IOMMU_TEST_OP_DMABUF_REVOKE = 23,
};

enum {
	MOCK_FLAGS_ACCESS_WRITE = 1 << 0,
	MOCK_FLAGS_ACCESS_SYZ = 1 << 16, /* uptr says nothing: compare with nothing */
};

enum {
	MOCK_ACCESS_RW_WRITE = 1 << 0,
	MOCK_ACCESS_RW_SLOW_PATH = 1 << 2, /* there is one path here */
};

enum { MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES = 1 << 0 };

enum {
	MOCK_FLAGS_DEVICE_NO_DIRTY = 1 << 0,
	MOCK_FLAGS_DEVICE_HUGE_IOVA = 1 << 1, /* as Linux 6.12 has it: MOCK_IOMMUPT_HUGE */
	MOCK_FLAGS_DEVICE_PASID = 1 << 2,
};

struct iommu_test_cmd {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t __reserved;
	union {
		/** ADD_RESERVED: keep [start, start + length) of IOAS @id free. */
		struct {
			uint64_t start;
			uint64_t length;
		} add_reserved;
		/** MOCK_DOMAIN: a new device, attached to IOAS or HWPT @id. Destroying
		 *  out_stdev_id detaches and removes it. */
		struct {
			uint32_t out_stdev_id;
			uint32_t out_hwpt_id;
			uint32_t out_idev_id; /* its object, as BIND_IOMMUFD makes it */
		} mock_domain;
		/** MOCK_DOMAIN_FLAGS: the same, of a shape. */
		struct {
			uint32_t out_stdev_id;
			uint32_t out_hwpt_id;
			uint32_t out_idev_id;
			uint32_t dev_flags;
		} mock_domain_flags;
		/** MOCK_DOMAIN_REPLACE: device @id gets @pt_id instead; out: the HWPT. */
		struct {
			uint32_t pt_id;
		} mock_domain_replace;
		/** MD_CHECK_MAP: does HWPT @id map the caller's memory at @uptr there? */
		struct {
			uint64_t iova;
			uint64_t length;
			uint64_t uptr;
		} check_map;
		/** MD_CHECK_REFS: is each page of the caller's pinned @refs times? */
		struct {
			uint64_t length;
			uint64_t uptr;
			uint32_t refs;
		} check_refs;
		/** CREATE_ACCESS: a descriptor of an access on IOAS @id. */
		struct {
			uint32_t out_access_fd;
			uint32_t flags;
		} create_access;
		/** DESTROY_ACCESS_PAGES: access descriptor @id unpins. */
		struct {
			uint32_t access_pages_id;
		} destroy_access_pages;
		/** ACCESS_PAGES: access descriptor @id pins, and compares with @uptr. */
		struct {
			uint32_t flags;
			uint32_t out_access_pages_id;
			uint64_t iova;
			uint64_t length;
			uint64_t uptr;
		} access_pages;
		/** ACCESS_RW: access descriptor @id copies to @uptr, or from there. */
		struct {
			uint64_t iova;
			uint64_t length;
			uint64_t uptr;
			uint32_t flags;
		} access_rw;
		/** SET_TEMP_MEMORY_LIMIT: pin at most as many runs at a time as fit there. */
		struct {
			uint32_t limit;
		} memory_limit;
		/** ACCESS_REPLACE_IOAS: access descriptor @id moves. */
		struct {
			uint32_t ioas_id;
		} access_replace_ioas;
		/** DIRTY: a device writes to the pages of HWPT @id whose bits are set. */
		struct {
			uint32_t flags;
			uint64_t iova;
			uint64_t length;
			uint64_t page_size;
			uint64_t uptr;
			uint64_t out_nr_dirty;
		} dirty;
		/** MD_CHECK_IOTLB: does nested HWPT @id's cache word hold this? */
		struct {
			uint32_t id;
			uint32_t iotlb;
		} check_iotlb;
		/** TRIGGER_IOPF: device dev_id asks for a page. */
		struct {
			uint32_t dev_id;
			uint32_t pasid;
			uint32_t grpid;
			uint32_t perm;
			uint64_t addr;
		} trigger_iopf;
		/** DEV_CHECK_CACHE: does the cache word of device @id (an idev) hold this? */
		struct {
			uint32_t id;
			uint32_t cache;
		} check_dev_cache;
		/** TRIGGER_VEVENT: the unit has an event of device dev_id for its vIOMMU. */
		struct {
			uint32_t dev_id;
		} trigger_vevent;
		/** PASID_...: of device @id (a stdev). */
		struct {
			uint32_t pasid;
			uint32_t pt_id;
		} pasid_attach;
		struct {
			uint32_t pasid;
			uint32_t pt_id;
		} pasid_replace;
		struct {
			uint32_t pasid;
		} pasid_detach;
		struct {
			uint32_t pasid;
			uint32_t hwpt_id; /* 0: none */
		} pasid_check;
		/** DMABUF_GET: the result is a descriptor of memory that a device lends. */
		struct {
			uint32_t length;
			uint32_t open_flags;
		} dmabuf_get;
		/** DMABUF_REVOKE: the device takes it back, or lends it again. */
		struct {
			int32_t dmabuf_fd;
			uint32_t revoked;
		} dmabuf_revoke;
	};
	uint32_t last;
};

#endif
