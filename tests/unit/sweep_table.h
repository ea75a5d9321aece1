/* SPDX-License-Identifier: MIT */
/*
 * The table of calls that the sweeps go through. A new call is one row, and a function of a
 * few lines. tests/unit/sweep_memory_test.c fails if a command has no row.
 */
#ifndef TESTS_UNIT_SWEEP_TABLE_H
#define TESTS_UNIT_SWEEP_TABLE_H

#include "tests/unit/sweep_calls.h"

struct step {
	const char *name;
	int (*run)(struct scene *scene);
	uint32_t command; /* that it makes on /dev/iommu or on a device; 0: none */
	unsigned needs;   /* CAN_... */
	bool ends;        /* it ends something: want of memory never fails it */
	/** Some of what it ends has ended when hardware fails it. */
	bool takes_apart;
	bool prepares; /* it makes its own beginning, in which nothing fails */
};

static const struct step steps[] = {
	{"open", run_open, 0, 0, 0, 0, 0},
	{"open device", run_open_device, 0, 0, 0, 0, 0},
	{"bind", run_bind, VFIO_DEVICE_BIND_IOMMUFD, 0, 0, 0, 0},
	{"IOAS_ALLOC", run_ioas_alloc, IOMMU_IOAS_ALLOC, 0, 0, 0, 0},
	{"IOAS_MAP", run_map, IOMMU_IOAS_MAP, 0, 0, 0, 0},
	{"IOAS_MAP, large pages", run_map_large, IOMMU_IOAS_MAP, 0, 0, 0, 0},
	{"IOAS_MAP, chosen", run_map_any, IOMMU_IOAS_MAP, 0, 0, 0, 0},
	{"IOAS_MAP, no HWPT", run_map_alone, IOMMU_IOAS_MAP, 0, 0, 0, 0},
	{"IOAS_MAP_FILE", run_map_file, IOMMU_IOAS_MAP_FILE, 0, 0, 0, 0},
	{"IOAS_COPY", run_copy, IOMMU_IOAS_COPY, 0, 0, 0, 0},
	{"IOAS_COPY, from another", run_copy_across, IOMMU_IOAS_COPY, 0, 0, 0, 0},
	{"IOAS_ALLOW_IOVAS", run_allow, IOMMU_IOAS_ALLOW_IOVAS, 0, 0, 0, 0},
	{"IOAS_IOVA_RANGES", run_ranges, IOMMU_IOAS_IOVA_RANGES, 0, 0, 0, 0},
	{"OPTION", run_option, IOMMU_OPTION, 0, 0, 0, 0},
	{"VFIO_IOAS", run_vfio_ioas, IOMMU_VFIO_IOAS, 0, 0, 0, 0},
	{"HWPT_ALLOC", run_hwpt, IOMMU_HWPT_ALLOC, 0, 0, 0, 0},
	{"HWPT_ALLOC, the first", run_first_hwpt, IOMMU_HWPT_ALLOC, 0, 0, 0, 0},
	{"HWPT_ALLOC, parent", run_parent, IOMMU_HWPT_ALLOC, CAN_NEST, 0, 0, 0},
	{"HWPT_ALLOC, nested", run_nested, IOMMU_HWPT_ALLOC, CAN_NEST, 0, 0, 0},
	{"HWPT_ALLOC, fault queue", run_asking, IOMMU_HWPT_ALLOC, CAN_FAULT, 0, 0, 0},
	{"HWPT_INVALIDATE", run_invalidate, IOMMU_HWPT_INVALIDATE, CAN_NEST, 0, 0, 0},
	{"GET_HW_INFO", run_hw_info, IOMMU_GET_HW_INFO, 0, 0, 0, 0},
	{"HWPT_SET_DIRTY_TRACKING", run_track_off, IOMMU_HWPT_SET_DIRTY_TRACKING, CAN_DIRTY, 0, 0,
         0},
	{"HWPT_GET_DIRTY_BITMAP", run_dirty, IOMMU_HWPT_GET_DIRTY_BITMAP, CAN_DIRTY, 0, 0, 0},
	{"FAULT_QUEUE_ALLOC", run_fault_queue, IOMMU_FAULT_QUEUE_ALLOC, 0, 0, 0, 0},
	{"read of a fault queue", run_fault_read, 0, CAN_FAULT, 0, 0, 0},
	{"write to a fault queue", run_fault_write, 0, CAN_FAULT, 0, 0, 0},
	{"close of a fault queue", run_close_queue, 0, CAN_FAULT, true, true, 0},
	{"attach, to replace", run_attach, VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0, 0, 0, 0},
	{"attach, new HWPT", run_attach_automatic, VFIO_DEVICE_ATTACH_IOMMUFD_PT, 0, 0, 0, 0},
	{"attach, nested", run_attach_nested, VFIO_DEVICE_ATTACH_IOMMUFD_PT, CAN_NEST, 0, 0, 0},
	{"attach, PASID", run_attach_pasid, VFIO_DEVICE_ATTACH_IOMMUFD_PT, CAN_PASID, 0, 0, 0},
	{"replace, PASID", run_replace_pasid, VFIO_DEVICE_ATTACH_IOMMUFD_PT, CAN_PASID, 0, 0, 0},
	{"detach", run_detach, VFIO_DEVICE_DETACH_IOMMUFD_PT, 0, true, true, 0},
	{"detach, automatic HWPT", run_detach_automatic, VFIO_DEVICE_DETACH_IOMMUFD_PT, 0, true,
         true, true},
	{"detach, then unmap", run_detach_unmap, 0, 0, true, true, true},
	{"detach, destroy, unmap", run_detach_destroy, 0, 0, true, true, true},
	{"detach, PASID", run_detach_pasid, VFIO_DEVICE_DETACH_IOMMUFD_PT, CAN_PASID, true, true,
         0},
	{"IOAS_UNMAP", run_unmap, IOMMU_IOAS_UNMAP, 0, true, 0, 0},
	{"IOAS_UNMAP, all", run_unmap_all, IOMMU_IOAS_UNMAP, 0, true, 0, 0},
	{"DESTROY, HWPT", run_destroy, IOMMU_DESTROY, 0, true, true, 0},
	{"DESTROY, IOAS", run_destroy_ioas, IOMMU_DESTROY, 0, true, true, 0},
	{"close of a device", run_close_device, 0, 0, true, true, 0},
	{"new access", run_access_new, 0, 0, 0, 0, 0},
	{"access, attach", run_access_attach, 0, 0, 0, 0, 0},
	{"access, replace", run_access_replace, 0, 0, 0, 0, 0},
	{"access, pin", run_access_pin, 0, 0, 0, 0, 0},
	{"access, copy", run_access_copy, 0, 0, 0, 0, 0},
	{"self-test, device", run_test_device, IOMMU_TEST_CMD, CAN_TEST, 0, 0, 0},
	{"self-test, reserve", run_test_reserve, IOMMU_TEST_CMD, CAN_TEST, 0, 0, 0},
	{"self-test, replace", run_test_replace, IOMMU_TEST_CMD, CAN_TEST, 0, 0, 0},
	{"self-test, access", run_test_access, IOMMU_TEST_CMD, CAN_TEST, 0, 0, 0},
	{"self-test, access pins", run_test_pages, IOMMU_TEST_CMD, CAN_TEST, 0, 0, 0},
	{"self-test, access copies", run_test_copy, IOMMU_TEST_CMD, CAN_TEST, 0, 0, 0},
	{"DESTROY, self-test device", run_test_end, IOMMU_DESTROY, CAN_TEST, true, true, 0},
	{"VIOMMU_ALLOC", run_viommu, IOMMU_VIOMMU_ALLOC, CAN_TEST, 0, 0, 0},
	{"VDEVICE_ALLOC", run_vdevice, IOMMU_VDEVICE_ALLOC, CAN_TEST, 0, 0, 0},
	{"VEVENTQ_ALLOC", run_veventq, IOMMU_VEVENTQ_ALLOC, CAN_TEST, 0, 0, 0},
	{"HW_QUEUE_ALLOC", run_hw_queue, IOMMU_HW_QUEUE_ALLOC, CAN_TEST, 0, 0, 0},
	{"DESTROY, vIOMMU", run_viommu_end, IOMMU_DESTROY, CAN_TEST, true, true, 0},
	{"IOAS_NOIOMMU_GET_PA", run_noiommu, IOMMU_IOAS_NOIOMMU_GET_PA, 0, 0, 0, 0},
	{"VFIO_GET_API_VERSION", run_vfio_version, VFIO_GET_API_VERSION, 0, 0, 0, 0},
	{"VFIO_CHECK_EXTENSION", run_vfio_extension, VFIO_CHECK_EXTENSION, 0, 0, 0, 0},
	{"VFIO_SET_IOMMU", run_vfio_set, VFIO_SET_IOMMU, 0, 0, 0, 0},
	{"VFIO_IOMMU_GET_INFO", run_vfio_info, VFIO_IOMMU_GET_INFO, 0, 0, 0, 0},
	{"VFIO_IOMMU_MAP_DMA", run_vfio_map, VFIO_IOMMU_MAP_DMA, 0, 0, 0, 0},
	{"VFIO_IOMMU_UNMAP_DMA", run_vfio_unmap, VFIO_IOMMU_UNMAP_DMA, 0, true, 0, 0},
	{"IOAS_CHANGE_PROCESS", run_change_process, IOMMU_IOAS_CHANGE_PROCESS, 0, 0, 0, true},
};

#endif
