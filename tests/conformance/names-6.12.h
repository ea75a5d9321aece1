/* SPDX-License-Identifier: MIT */
/*
 * What the self-tests of Linux 6.12's stable releases (6.12.107 to 6.12.117 were tried)
 * use and that release's drivers/iommu/iommufd/iommufd_test.h does not define, with the
 * numbers of Linux 7.3's. tools/conformance.sh puts this in front of these tests, which
 * stay as they are, together with a newer <linux/iommufd.h>.
 */
#define MOCK_FLAGS_DEVICE_PASID (1 << 2)
#define MOCK_PASID_WIDTH        20
