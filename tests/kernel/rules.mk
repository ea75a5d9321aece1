# SPDX-License-Identifier: MIT
#
# Unit tests in the kernel (tests/kernel/units.h): those of ufd/, but what needs threads or
# a compiler. Each program's main gets the program's name.

UNITS := $(filter-out %_threads_test ufd_abi_test,$(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/ufd_*_test.c))))
UNIT_FLAGS := $(KERNEL_FLAGS) -Itests/kernel/include -Wno-missing-prototypes
UNIT_OBJECTS := $(UNITS:%=build/kernel-units/tests/unit/%.o) \
	$(patsubst %.c,build/kernel-units/%.o,tests/test_os.c tests/kernel/library.c tests/kernel/units.c) \
	build/kernel-units/list.o
KERNEL_UNITS := build/kernel-units/nestor-units.elf

build/kernel-units/.flags: FORCE | need-build
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(UNIT_FLAGS) $(UNITS)' | cmp -s - $@ || printf '%s\n' '$(CC) $(UNIT_FLAGS) $(UNITS)' > $@
build/kernel-units/%.o: %.c build/kernel-units/.flags
	@mkdir -p $(@D)
	$(call quiet,CC,$(CC) $(UNIT_FLAGS) -Dmain=$(notdir $*)_main -MMD -MP -c $< -o $@)
build/kernel-units/list.c: build/kernel-units/.flags tests/kernel/rules.mk
	@{ echo '#include "tests/kernel/units.h"'; \
	for unit in $(UNITS); do echo "extern int $${unit}_main(void);"; done; \
	echo 'const struct kernel_unit kernel_units[] = {'; \
	for unit in $(UNITS); do echo "{\"$$unit\", $${unit}_main},"; done; \
	echo '{0}};'; } > $@
build/kernel-units/list.o: build/kernel-units/list.c
	$(call quiet,CC,$(CC) $(UNIT_FLAGS) -c $< -o $@)
$(eval $(call image,$(KERNEL_UNITS),$(KERNEL_PARTS) $(UNIT_OBJECTS)))
.PHONY: kernel-units
kernel-units: $(KERNEL_UNITS) ## an image that runs the unit tests of the calls natively
-include $(UNIT_OBJECTS:.o=.d)
