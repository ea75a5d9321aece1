# SPDX-License-Identifier: MIT
#
# `make fuzz`: every tests/fuzz/*_fuzz.c as a libFuzzer program, by clang, under ASan and
# UBSan, for FUZZ_SECONDS each (default 60; 0: until something is found). FUZZ=calls runs
# one of them. They begin with the corpus in tests/fuzz/corpus/, and keep what is new below
# build/fuzz/corpus/; a finding is written to build/fuzz/NAME-crash-... and fails make.
#
# A finding that is fixed goes into tests/fuzz/corpus/NAME/ (`build/fuzz/NAME_fuzz
# -minimize_crash=1 -runs=10000 FILE` makes it short), and is replayed by
# tests/unit/fuzz_replay_test.c ever after.
#
# The threads of tests/unit/chaos_threads_test.c run for NESTOR_THREADS_SECONDS (default 6):
#   NESTOR_THREADS_SECONDS=60 build/tsan/tests/chaos_threads_test

FUZZ_SECONDS ?= 60
FUZZ ?= $(patsubst tests/fuzz/%_fuzz.c,%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))
FUZZ_FLAGS := $(ASAN) -fsanitize=fuzzer-no-link

$(eval $(call variant,fuzz,$(CLANG),$(HOST_FLAGS) $(FUZZ_FLAGS)))
build/fuzz/.flags: | need-check
build/fuzz/libportable.a: $(call objects,fuzz,$(PORTABLE_SOURCES) $(TEST_SUPPORT))
	@rm -f $@
	$(call quiet,AR,$(AR) rcsD $@ $^)
build/fuzz/%_fuzz: build/fuzz/tests/fuzz/%_fuzz.o build/fuzz/libportable.a
	$(call quiet,LD,$(CLANG) $(HOST_FLAGS) $(ASAN) -fsanitize=fuzzer $^ -o $@)
.PRECIOUS: build/fuzz/%.o

.PHONY: fuzz
fuzz: $(FUZZ:%=build/fuzz/%_fuzz) ## fuzz the calls and the parsers: FUZZ_SECONDS=60 each, FUZZ=calls for one
	@for name in $(FUZZ); do \
		printf '  %-7s %s\n' FUZZ "$$name, $(FUZZ_SECONDS) s"; \
		mkdir -p build/fuzz/corpus/$$name; \
		build/fuzz/$${name}_fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=4096 \
			-artifact_prefix=build/fuzz/$$name- -print_final_stats=1 \
			build/fuzz/corpus/$$name tests/fuzz/corpus/$$name \
			> build/fuzz/$$name.log 2>&1 || \
			{ tail -n 60 build/fuzz/$$name.log; exit 1; }; \
		grep -E '^stat::number_of_executed_units|cov:' build/fuzz/$$name.log | tail -n 2; \
	done
