# SPDX-License-Identifier: MIT
#
# Nestor. `make help` lists the targets. Everything is built below build/.

SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

include sources.mk
include bench/rules.mk

CROSS_COMPILE ?=
CC ?= $(CROSS_COMPILE)gcc
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
AR := $(CROSS_COMPILE)ar
LD := $(CROSS_COMPILE)ld
NM := $(CROSS_COMPILE)nm
OBJCOPY := $(CROSS_COMPILE)objcopy
HOSTCC ?= gcc
CLANG ?= clang
QEMU ?= qemu-system-x86_64
SCENARIO ?= nested-parent
MODE ?= auto
SOURCE_DATE_EPOCH ?= 1700000000
export SOURCE_DATE_EPOCH QEMU

ifeq ($(V),1)
quiet = $(2)
else
quiet = @printf '  %-7s %s\n' '$(1)' '$@'; $(2)
endif

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wimplicit-fallthrough
COMMON := -std=gnu11 -g -O2 -I. $(WARNINGS) -ffile-prefix-map=$(CURDIR)=. -fno-common
FREESTANDING := $(COMMON) -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-strict-aliasing -fno-omit-frame-pointer -momit-leaf-frame-pointer -mno-red-zone \
	-mgeneral-regs-only -mcx16
KERNEL_FLAGS := $(FREESTANDING) -fno-pic -mcmodel=kernel -Ibuild/kernel
LIB_FLAGS := $(FREESTANDING) -fPIC
HOST_FLAGS := $(COMMON) -DNESTOR_HOSTED -pthread -fno-strict-aliasing -fno-omit-frame-pointer
TSAN := -O1 -fsanitize=thread
COVERAGE := -O0 --coverage -fprofile-update=atomic
ASAN := -O1 -fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all

.PHONY: all
all: kernel lib host ## build the kernel, the library and the hosted programs

.PHONY: help
help: ## list what make can do
	@echo 'Nestor: make TARGET [CC=clang] [CROSS_COMPILE=prefix-] [QEMU=path] [SCENARIO=name] [V=1]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(filter-out %.d,$(MAKEFILE_LIST))

# ---- a variant: a folder, a compiler, flags, sources --------------------------------
#
# $(call objects,variant,sources) names the objects. A change of compiler or flags
# rebuilds the variant, through its .flags file.

objects = $(patsubst %,build/$(1)/%.o,$(basename $(2)))

define variant
build/$(1)/.flags: FORCE | need-build
	@mkdir -p $$(@D)
	@printf '%s\n' '$(2) $(3)' | cmp -s - $$@ || printf '%s\n' '$(2) $(3)' > $$@
build/$(1)/%.o: %.c build/$(1)/.flags
	@mkdir -p $$(@D)
	$$(call quiet,CC,$(2) $(3) -MMD -MP -c $$< -o $$@)
build/$(1)/%.o: %.S build/$(1)/.flags
	@mkdir -p $$(@D)
	$$(call quiet,AS,$(2) $(3) -D__ASSEMBLER__ -MMD -MP -c $$< -o $$@)
endef
FORCE:
.PHONY: FORCE

# Whatever is asked of make first, its tools are there before the first object.
.PHONY: need-build need-check
need-build:
	@tools/need.sh build
need-check:
	@tools/need.sh build check
build/asan-clang/.flags build/tsan/.flags: | need-check

# ---- kernel ------------------------------------------------------------------------

KERNEL := build/kernel/nestor.elf
$(eval $(call variant,kernel,$(CC),$(KERNEL_FLAGS)))
KERNEL_OBJECTS := $(call objects,kernel,$(KERNEL_SOURCES) $(KERNEL_ASM))
SCENARIO_FILES := $(sort $(wildcard scenarios/*.scn))

.PHONY: kernel
kernel: $(KERNEL) ## the kernel image (Multiboot2 and PVH): build/kernel/nestor.elf

build/kernel/font.c: tools/font.sh
	@mkdir -p $(@D)
	@tools/need.sh font
	$(call quiet,FONT,tools/font.sh > $@)
build/kernel/font.o: build/kernel/font.c build/kernel/.flags
	$(call quiet,CC,$(CC) $(KERNEL_FLAGS) -c $< -o $@)
build/kernel/builtin.S: tools/embed.sh $(SCENARIO_FILES)
	@mkdir -p $(@D)
	$(call quiet,EMBED,tools/embed.sh $(SCENARIO_FILES) > $@)
build/kernel/builtin.o: build/kernel/builtin.S build/kernel/.flags $(SCENARIO_FILES)
	$(call quiet,AS,$(CC) $(KERNEL_FLAGS) -c $< -o $@)

# $(call image,FILE,objects): linked twice, the symbol table of the first link goes into the
# second.
LINK := $(LD) -nostdlib -static -z max-page-size=4096 -z noexecstack --build-id=none -T linker.ld
KERNEL_PARTS := $(KERNEL_OBJECTS) build/kernel/font.o build/kernel/builtin.o
define image
$(dir $(1))nosymbols.elf: linker.ld tools/symbols.sh $(2)
	@NM='$$(NM)' tools/symbols.sh > $$(@D)/symbols0.S
	@$$(CC) $$(KERNEL_FLAGS) -c $$(@D)/symbols0.S -o $$(@D)/symbols0.o
	$$(call quiet,LD,$$(LINK) $(2) $$(@D)/symbols0.o -o $$@)
$(1): $(dir $(1))nosymbols.elf
	@NM='$$(NM)' tools/symbols.sh $$< > $$(@D)/symbols1.S
	@$$(CC) $$(KERNEL_FLAGS) -c $$(@D)/symbols1.S -o $$(@D)/symbols1.o
	$$(call quiet,LD,$$(LINK) $(2) $$(@D)/symbols1.o -o $$@)
	@NM='$$(NM)' tools/symbols.sh $$@ | cmp - $$(@D)/symbols1.S # nothing moved
endef
$(eval $(call image,$(KERNEL),$(KERNEL_PARTS)))

# ---- library -------------------------------------------------------------------------

$(eval $(call variant,lib,$(CC),$(LIB_FLAGS)))
LIBRARY := build/lib/libnestor.a
MODEL_LIBRARY := build/lib/libnestor-model.a
.PHONY: lib
lib: $(LIBRARY) $(MODEL_LIBRARY) ## libnestor.a and libnestor-model.a, freestanding, with headers: build/lib/
$(LIBRARY): $(call objects,lib,$(LIB_SOURCES)) $(LIB_HEADERS)
	@rm -f $@
	$(call quiet,AR,$(AR) rcsD $@ $(filter %.o,$^))
	@for h in $(LIB_HEADERS); do install -D -m 644 $$h build/lib/include/$$h; done
	@install -m 644 sources.mk build/lib/sources.mk
$(MODEL_LIBRARY): $(call objects,lib,$(MODEL_SOURCES)) $(MODEL_HEADERS)
	@rm -f $@
	$(call quiet,AR,$(AR) rcsD $@ $(filter %.o,$^))
	@for h in $(MODEL_HEADERS); do install -D -m 644 $$h build/lib/include/$$h; done

# ---- hosted ----------------------------------------------------------------------------

$(eval $(call variant,host,$(HOSTCC),$(HOST_FLAGS)))
$(eval $(call variant,lines,$(HOSTCC),$(HOST_FLAGS) -fsanitize=thread -Wno-tsan)) # see bench/rules.mk
.PHONY: host
host: build/host/nestor build/host/nestor-run build/host/libnestor-dev.so ## scenarios in a process: build/host/nestor; /dev/iommu for programs: build/host/nestor-run
build/host/nestor: $(call objects,host,$(PORTABLE_SOURCES) $(HOST_SOURCES))
	$(call quiet,LD,$(HOSTCC) $(HOST_FLAGS) $^ -o $@)
build/host/nestor-run: $(call objects,host,$(PORTABLE_SOURCES) $(SERVER_SOURCES))
	$(call quiet,LD,$(HOSTCC) $(HOST_FLAGS) $^ -o $@)

# The preloaded library is never sanitized: it lives in other people's programs.
SHIM := -std=gnu11 -O2 -g -I. $(WARNINGS) -fPIC -shared -Wl,--version-script=host/shim/exports.map
%/libnestor-dev.so: $(SHIM_SOURCES) $(wildcard host/shim/*.h) host/shim/exports.map build/host/.flags
	@mkdir -p $(@D)
	$(call quiet,LD,$(HOSTCC) $(SHIM) $(SHIM_SOURCES) -ldl -pthread -o $@)

# Test programs: every tests/unit/*_test.c, under sanitizers, by both compilers.
UNIT_TESTS := $(sort $(wildcard tests/unit/*_test.c))
TEST_SUPPORT := tests/test_os.c
define test_variant
$(call variant,$(1),$(2),$(HOST_FLAGS) $(3))
build/$(1)/nestor: $(call objects,$(1),$(HOST_SOURCES)) build/$(1)/libportable.a
	$$(call quiet,LD,$(2) $(HOST_FLAGS) $(3) $$^ -o $$@)
build/$(1)/nestor-run: $(call objects,$(1),$(SERVER_SOURCES)) build/$(1)/libportable.a build/$(1)/libnestor-dev.so
	$$(call quiet,LD,$(2) $(HOST_FLAGS) $(3) $$(filter %.o %.a,$$^) -o $$@)
build/$(1)/libportable.a: $(call objects,$(1),$(PORTABLE_SOURCES) $(TEST_SUPPORT))
	@rm -f $$@
	$$(call quiet,AR,$(AR) rcsD $$@ $$^)
build/$(1)/tests/%_test: build/$(1)/tests/unit/%_test.o build/$(1)/libportable.a
	$$(call quiet,LD,$(2) $(HOST_FLAGS) $(3) $$^ -o $$@)
TESTS_$(1) := $(patsubst tests/unit/%.c,build/$(1)/tests/%,$(UNIT_TESTS))
endef
$(eval $(call test_variant,asan-gcc,$(HOSTCC),$(ASAN)))
$(eval $(call test_variant,asan-clang,$(CLANG),$(ASAN)))
$(eval $(call test_variant,tsan,$(CLANG),$(TSAN)))
$(eval $(call test_variant,coverage,$(HOSTCC),$(COVERAGE)))
.PRECIOUS: build/asan-gcc/%.o build/asan-clang/%.o build/tsan/%.o build/coverage/%.o
# Under the thread sanitizer: the programs that have threads.
TESTS_tsan := $(filter %_threads_test build/tsan/tests/ufd_%,$(TESTS_tsan))

# ---- EFI and ISO -----------------------------------------------------------------------

# (rules: boot/efi.mk)
-include boot/efi.mk

# ---- running ---------------------------------------------------------------------------

.PHONY: run
run: ## build, boot QEMU with a VT-d unit, run SCENARIO (default nested-parent), then the shell
	@tools/need.sh build run font
	@$(MAKE) --no-print-directory kernel
	@tools/run.sh $(KERNEL) '$(SCENARIO)' '$(MODE)'

# ---- tests ------------------------------------------------------------------------------

CHECKS = $(TESTS_asan-gcc) $(TESTS_asan-clang) $(TESTS_tsan) $(sort $(wildcard tests/*.test tests/qemu/*.test))
.PHONY: check
check: ## every test, one summary by prove
	@tools/need.sh build run font check efi iso
	@$(MAKE) --no-print-directory -j2 check-built
.PHONY: check-built
check-built: unit kernel kernel-units lib host efi iso
	@prove --exec '' --jobs 2 --timer $(CHECKS)
.PHONY: unit
unit: $(TESTS_asan-gcc) $(TESTS_asan-clang) $(TESTS_tsan) build/asan-gcc/nestor build/asan-gcc/nestor-run build/tsan/nestor \
	build/lines/nestor-lines
.PHONY: check-unit
check-unit: unit ## the hosted tests alone
	@prove --exec '' --jobs 2 $(TESTS_asan-gcc) $(TESTS_asan-clang) $(TESTS_tsan)
.PHONY: coverage
coverage: ## lines and branches that the hosted tests reach; model/ must reach 95% and 90%
	@tools/need.sh build check
	@$(MAKE) --no-print-directory -j2 coverage-built
	@tools/coverage.sh build/coverage
.PHONY: coverage-built
coverage-built: $(TESTS_coverage)
	@find build/coverage -name '*.gcda' -delete
	@prove --exec '' --jobs 2 $(TESTS_coverage) > build/coverage/tests.log || \
		{ cat build/coverage/tests.log; exit 1; }
.PHONY: conformance
conformance: host ## Linux's own iommufd self-tests, fetched and unmodified, through nestor-run
	@tools/need.sh build check
	@tools/conformance.sh
include tests/fuzz/rules.mk
include tests/kernel/rules.mk
.PHONY: lint
lint: ## clang-format, clang-tidy, cppcheck, the static analyzer, folder rules
	@tools/need.sh build check
	@prove --exec '' --jobs 2 tests/lint-*.test

# For the lint programs: files that build hosted, and those that need the machine.
.PHONY: print-portable print-machine
print-portable:
	@printf '%s\n' $(PORTABLE_SOURCES) $(sort $(HOST_SOURCES) $(SERVER_SOURCES)) $(SHIM_SOURCES) $(TEST_SUPPORT) $(UNIT_TESTS)
print-machine:
	@printf '%s\n' $(filter-out $(PORTABLE_SOURCES),$(KERNEL_SOURCES))

.PHONY: clean
clean: ## remove build/
	rm -rf build

-include $(shell find build -path build/qemu-newest -prune -o -type f -name '*.d' -print 2>/dev/null)
