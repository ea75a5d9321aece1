# SPDX-License-Identifier: MIT
#
# The bench: the operations and where they run. Included after sources.mk: the kernel image has
# the bench in it (the word "bench" of its command line, the shell's command of that name).

comma := ,
BENCH_SOURCES := $(filter-out bench/on_%.c,$(sort $(wildcard bench/*.c)))
KERNEL_SOURCES += $(BENCH_SOURCES) bench/on_machine.c
BENCH_HOST_SOURCES := $(BENCH_SOURCES) bench/on_host.c host/arena.c host/platform.c

build/host/nestor-bench: $(patsubst %.c,build/host/%.o,$(PORTABLE_SOURCES) $(BENCH_HOST_SOURCES))
	$(call quiet,LD,$(HOSTCC) $(HOST_FLAGS) $^ -o $@)

# How calls scale, in cache lines: the core with a call in front of every access to memory.
# (Objects of whole lines: what shares a line is the core's own doing.)
build/lines/nestor-lines: $(patsubst %.c,build/lines/%.o,$(LIB_SOURCES)) \
		$(patsubst %.c,build/host/%.o,$(filter-out $(LIB_SOURCES),$(PORTABLE_SOURCES)) \
		host/arena.c host/platform.c bench/on_lines.c bench/on_lines_seen.c)
	$(call quiet,LD,$(HOSTCC) $(HOST_FLAGS) -Wl$(comma)--wrap=calloc $^ -o $@)

.PHONY: bench bench-host bench-linux bench-baseline plots
bench: ## measure in QEMU, where time counts instructions: a table, and build/bench.json
	@tools/need.sh build run font
	@$(MAKE) --no-print-directory kernel build/lines/nestor-lines
	@tools/bench.sh --lines build/lines/nestor-lines $(KERNEL)
bench-baseline: ## the same, and bench/baseline.tsv becomes what was measured
	@tools/need.sh build run font
	@$(MAKE) --no-print-directory kernel
	@tools/bench.sh --write-baseline $(KERNEL)
bench-host: ## measure in a process, in nanoseconds: a table, and build/bench-host.json
	@tools/need.sh build
	@$(MAKE) --no-print-directory build/host/nestor-bench
	@tools/bench.sh --hosted build/host/nestor-bench
bench-linux: bench ## measure a distribution's Linux kernel in the same QEMU, side by side
	@tools/bench-linux.sh
plots: ## pictures of the bench's curves: build/plots
	@tools/need.sh plots
	@[ -r build/bench.json ] || $(MAKE) --no-print-directory bench
	@tools/plots.sh build/bench.json build/plots
