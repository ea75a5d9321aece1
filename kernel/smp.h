/* SPDX-License-Identifier: MIT */
/*
 * More than one processor. The others are started once, at boot, and wait, halted, until
 * they are given a function to run; the boot processor runs everything else.
 *
 * Processors have numbers: 0 is the boot processor, the others follow in the order of the
 * MADT. Device interrupts and the timer go to processor 0.
 */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include "kernel/acpi.h"
#include "kernel/kernel.h"

struct processor;

enum { SMP_MAX_PROCESSORS = ACPI_MAX_CPUS };

/** Send for the processors that @p acpi lists as enabled. After time_init. They come while
 *  the boot goes on. */
void smp_start(const struct acpi *acpi, const struct boot_info *boot);
/** Wait for them. One that does not come within a second is left out, and a line says so.
 *  Once, after smp_start. */
void smp_join(void);
/** How many processors can be given work, the boot processor included; and how many the
 *  machine has (1 without ACPI). */
unsigned smp_count(void);
unsigned smp_present(void);
/** The running processor's number. */
unsigned smp_number(void);
/** Processor @p number from 0; NULL beyond the last one that has come. */
struct processor *smp_processor(unsigned number);

/** Run @p function(@p arg, index) on @p processors processors at once, index 0 on this one
 *  (the boot processor), with interrupts as they are here; they are on on the others.
 *  Then wait for the others, @p deadline_ns at most from now. 0; -EINVAL if @p processors
 *  is 0 or more than smp_count(); -EBUSY if such a function is running; -ETIMEDOUT: some
 *  have not come back. These may still use @p arg, and get no work until they do come
 *  back: smp_count() is without them. */
int must_check smp_run(void (*function)(void *arg, unsigned index), void *arg, unsigned processors,
                       uint64_t deadline_ns);

/** Translations have been taken away from the kernel's tables: return once no processor
 *  can use them any more. Locks may be held. From vm.c. */
void smp_flush_translations(void);
/** In every turn of a wait with interrupts off: do what another processor waits for. */
void smp_relax(void);
/** Stop all other processors for good, whatever they do. From panic. */
void smp_stop_others(void);
/** From trap.c: a processor was sent VECTOR_SMP; an NMI of smp_stop_others came (then it
 *  does not return), or another one. */
void smp_interrupt(void);
void smp_nmi(void);

/** For people: one line, and one line each. */
void smp_print(struct iommu_print *to);
void smp_print_all(struct iommu_print *to);

#endif
