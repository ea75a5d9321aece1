# SPDX-License-Identifier: MIT
#
# One source list, three builds. People with a build system of their own include
# this file (or read it): LIB_SOURCES is all of libnestor.a, LIB_HEADERS is what
# an embedder includes, and -I must name the folder that this file lies in.

LIB_SOURCES := $(sort $(wildcard iommu/*.c vtd/*.c ufd/*.c))
LIB_HEADERS := $(sort $(wildcard arch/arch.h arch/x86_64/*.h arch/host/*.h iommu/*.h \
	ufd/ufd.h ufd/iommufd.h ufd/nestor.h ufd/vfio.h vtd/vtd.h vtd/dmar.h))

# The reference model of VT-d hardware: all of libnestor-model.a; it shares nothing with the rest.
MODEL_SOURCES := $(sort $(wildcard model/*.c))
MODEL_HEADERS := model/model.h

# The kernel around the core. (boot/efi/ is a program of its own: boot/efi.mk)
KERNEL_SOURCES := $(LIB_SOURCES) $(MODEL_SOURCES) $(sort $(wildcard kernel/*.c dev/*.c)) \
	$(sort $(wildcard boot/*.c))
KERNEL_ASM := $(sort $(wildcard boot/*.S kernel/*.S arch/x86_64/*.S))

# Parts of the kernel that need no machine: hosted tests and programs use them.
PORTABLE_SOURCES := $(LIB_SOURCES) $(MODEL_SOURCES) $(sort $(wildcard kernel/scn*.c kernel/agree_*.c kernel/acpi*.c dev/*.c)) \
	$(filter-out kernel/pci_machine.c,$(sort $(wildcard kernel/pci*.c))) \
	$(wildcard kernel/page.c kernel/page_map.c kernel/heap.c kernel/cmdline.c kernel/line_edit.c kernel/user_memory.c kernel/user_memory_pin.c kernel/shell.c \
	boot/multiboot2.c boot/pvh.c)
HOST_SOURCES := $(sort $(wildcard host/*.c))
# nestor-run: the server behind /dev/iommu, and the library that is preloaded into programs.
SERVER_SOURCES := host/arena.c $(sort $(wildcard host/server/*.c))
SHIM_SOURCES := $(sort $(wildcard host/shim/*.c))
