# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # the variables are of lib.sh
#
# The matrix: what the VT-d unit offers, how the kernel drives it, the machine around
# it, and who masters DMA. For matrix.test (the distribution's QEMU) and newest.test.

kernel_row 'plain unit, legacy mode' vtd=legacy
kernel_row 'no interrupt remapping' '' --iommu intremap-off
kernel_row 'scalable unit in scalable mode' vtd=scalable --iommu scalable
kernel_row 'scalable unit in legacy mode' vtd=legacy --iommu scalable
kernel_row 'scalable unit, the driver chooses' vtd=auto --iommu scalable
kernel_row 'first-stage unit' vtd=scalable --iommu first-stage
kernel_row 'caching mode' '' --iommu caching-mode
kernel_row 'caching mode, scalable' vtd=scalable --iommu caching-mode,scalable
kernel_row '39-bit addresses' '' --iommu aw39
kernel_row '39-bit addresses, scalable' vtd=scalable --iommu aw39,scalable
kernel_row 'device IOTLBs' '' --iommu device-iotlb
kernel_row 'two processors' '' --smp 2
kernel_row '128 MiB of memory' '' --memory 128M
kernel_row '8 GiB of memory' '' --memory 8G
kernel_row 'edu alone' '' --engines edu
kernel_row 'edu behind a PCIe-to-PCI bridge' '' --engines edu --topology bridge
kernel_row 'nvme alone' '' --engines nvme
kernel_row 'testdev alone' '' --engines testdev
kernel_row 'every engine, two processors, scalable' vtd=scalable --engines 'edu nvme testdev' \
	--smp 2 --iommu scalable

# Without a unit the kernel says so, and what needs none still works: the mock.
row 'no unit: said plainly, and no success of what needs one' 1 \
	$'no IOMMU: firmware has no DMAR table\n'"$nothing_passed" \
	--kernel "$kernel" --cmdline "scenario=$scenario $words" --iommu none
row 'no unit: the mock works' 0 "$passed" \
	--kernel "$kernel" --cmdline "scenario=$mock_scenario $words" --iommu none
row 'a unit that is left alone by vtd=off' 1 $'vtd=off: remapping units\n'"$nothing_passed" \
	--kernel "$kernel" --cmdline "scenario=$scenario $words vtd=off"
