# SPDX-License-Identifier: MIT
#
# The EFI application and the ISO; included by the Makefile, whose macros it uses.

EFI_SOURCES := $(sort $(wildcard boot/efi/*.c)) iommu/print.c kernel/string.c
EFI_ASM := boot/efi/jump.S boot/efi/kernel.S
# As the kernel, but position-independent, with 16-bit characters and the Microsoft ABI for
# the firmware's functions (efi.h). GNU-EFI's headers are system headers.
EFI_FLAGS := $(FREESTANDING) -fpic -fvisibility=hidden -fshort-wchar -DGNU_EFI_USE_MS_ABI=1
# GNU-EFI's parts lie in different folders in different releases.
EFI_FOLDERS := /usr/lib /usr/lib/gnuefi /usr/lib64/gnuefi /usr/lib/x86_64-linux-gnu/gnuefi
EFI_PART = $(firstword $(wildcard $(addsuffix /$(1),$(EFI_FOLDERS))) $(1))

$(eval $(call variant,efi,$(CC),$(EFI_FLAGS)))
EFI_OBJECTS := $(call objects,efi,$(EFI_SOURCES) $(EFI_ASM))
EFI_APP := build/efi/BOOTX64.EFI

.PHONY: efi
efi: $(EFI_APP) ## the EFI application (GNU-EFI) with the kernel in it: build/efi/BOOTX64.EFI

# Before the first object, and never a reason to build one again.
.PHONY: need-efi
need-efi:
	@tools/need.sh build efi
build/efi/.flags: | need-efi

# What boots from it has no use for debug information.
build/efi/nestor.elf: $(KERNEL)
	@mkdir -p $(@D)
	$(call quiet,STRIP,$(OBJCOPY) --strip-debug $< $@)
build/efi/boot/efi/kernel.o: boot/efi/kernel.S build/efi/nestor.elf build/efi/.flags
	@mkdir -p $(@D)
	$(call quiet,AS,$(CC) $(EFI_FLAGS) -D__ASSEMBLER__ -DEFI_KERNEL='"build/efi/nestor.elf"' \
		-c $< -o $@)
build/efi/loader.so: $(EFI_OBJECTS)
	$(call quiet,LD,$(LD) -nostdlib -shared -Bsymbolic -znocombreloc -z noexecstack --build-id=none \
		--no-undefined -T $(call EFI_PART,elf_x86_64_efi.lds) $(call EFI_PART,crt0-efi-x86_64.o) \
		$(EFI_OBJECTS) $(call EFI_PART,libgnuefi.a) -o $@)
$(EFI_APP): build/efi/loader.so tools/efi-app.sh
	$(call quiet,EFI,OBJCOPY='$(OBJCOPY)' tools/efi-app.sh $< $@)

# ---- the ISO ---------------------------------------------------------------------------

ISO := build/nestor.iso
CMDLINE ?= scenario=$(SCENARIO)

.PHONY: iso
iso: $(ISO) ## one image for CD and USB stick, BIOS and UEFI (CMDLINE=words): build/nestor.iso

.PHONY: need-iso
need-iso:
	@tools/need.sh iso

build/.iso-cmdline: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CMDLINE)' | cmp -s - $@ || printf '%s\n' '$(CMDLINE)' > $@
$(ISO): tools/mkiso.sh build/efi/nestor.elf $(EFI_APP) $(SCENARIO_FILES) build/.iso-cmdline | need-iso
	$(call quiet,ISO,tools/mkiso.sh build/efi/nestor.elf $(EFI_APP) scenarios '$(CMDLINE)' $@)
