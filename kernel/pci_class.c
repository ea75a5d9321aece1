/* SPDX-License-Identifier: MIT */
/*
 * Class codes in words. PCI Code and ID Assignment 1.14, chapter 1.
 */
#include "kernel/pci.h"

/** Longest match first: class, subclass and interface; then class and subclass; class. */
static const struct {
	uint32_t code, mask;
	const char *name;
} classes[] = {
	{0x010802, 0xffffff, "NVMe controller"},
	{0x010601, 0xffffff, "AHCI controller"},
	{0x0c0300, 0xffffff, "UHCI controller"},
	{0x0c0310, 0xffffff, "OHCI controller"},
	{0x0c0320, 0xffffff, "EHCI controller"},
	{0x0c0330, 0xffffff, "xHCI controller"},
	{0x0c0340, 0xffffff, "USB4 controller"},
	{0x000100, 0xffff00, "VGA device (old class)"},
	{0x010000, 0xffff00, "SCSI controller"},
	{0x010100, 0xffff00, "IDE controller"},
	{0x010400, 0xffff00, "RAID controller"},
	{0x010600, 0xffff00, "SATA controller"},
	{0x010700, 0xffff00, "SAS controller"},
	{0x010800, 0xffff00, "non-volatile memory controller"},
	{0x020000, 0xffff00, "ethernet controller"},
	{0x028000, 0xffff00, "network controller"},
	{0x030000, 0xffff00, "VGA controller"},
	{0x030200, 0xffff00, "3D controller"},
	{0x038000, 0xffff00, "display controller"},
	{0x040000, 0xffff00, "video controller"},
	{0x040100, 0xffff00, "audio controller"},
	{0x040300, 0xffff00, "HD audio controller"},
	{0x050000, 0xffff00, "RAM"},
	{0x050200, 0xffff00, "CXL memory"},
	{0x060000, 0xffff00, "host bridge"},
	{0x060100, 0xffff00, "ISA bridge"},
	{0x060400, 0xffff00, "PCI bridge"},
	{0x060700, 0xffff00, "CardBus bridge"},
	{0x068000, 0xffff00, "bridge"},
	{0x070000, 0xffff00, "serial port"},
	{0x078000, 0xffff00, "communication controller"},
	{0x080000, 0xffff00, "interrupt controller"},
	{0x080100, 0xffff00, "DMA controller"},
	{0x080500, 0xffff00, "SD host controller"},
	{0x080600, 0xffff00, "IOMMU"},
	{0x0c0000, 0xffff00, "FireWire controller"},
	{0x0c0300, 0xffff00, "USB controller"},
	{0x0c0500, 0xffff00, "SMBus controller"},
	{0x0d0000, 0xff0000, "wireless controller"},
	{0x000000, 0xff0000, "unclassified device"},
	{0x010000, 0xff0000, "storage controller"},
	{0x020000, 0xff0000, "network controller"},
	{0x030000, 0xff0000, "display controller"},
	{0x040000, 0xff0000, "multimedia controller"},
	{0x050000, 0xff0000, "memory controller"},
	{0x060000, 0xff0000, "bridge"},
	{0x070000, 0xff0000, "communication controller"},
	{0x080000, 0xff0000, "system peripheral"},
	{0x090000, 0xff0000, "input device"},
	{0x0b0000, 0xff0000, "processor"},
	{0x0c0000, 0xff0000, "serial bus controller"},
	{0x100000, 0xff0000, "encryption controller"},
	{0x110000, 0xff0000, "signal processing controller"},
	{0x120000, 0xff0000, "processing accelerator"},
	{0xff0000, 0xff0000, "device without a class"},
};

const char *pci_class_name(uint32_t class_code)
{
	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
		if ((class_code & classes[i].mask) == classes[i].code)
			return classes[i].name;
	return "device of unknown class";
}
