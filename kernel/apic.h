/* SPDX-License-Identifier: MIT */
/* The local APIC, as the kernel's own files use it. Intel SDM volume 3, chapter 11. */
#ifndef KERNEL_APIC_H
#define KERNEL_APIC_H

#include <stdbool.h>
#include <stdint.h>

#include "iommu/types.h"

/** End the interrupt in service. */
void apic_eoi(void);
/** Count a vector that nobody asked for; the first ones are logged. */
void apic_spurious(unsigned vector);
/** This processor's APIC id, 8 bits wide with xAPIC, 32 with x2APIC. */
uint32_t apic_id(void);
/** The boot processor's, which takes all interrupts of devices. */
uint32_t apic_boot_id(void);
bool apic_is_x2apic(void);
/** On another processor than the first: its local APIC, in the first one's mode. False if
 *  it is in one that it cannot leave. */
bool must_check apic_init_other(void);

/** What apic_send sends. */
enum {
	APIC_FIXED = 0x4000, /* + vector */
	APIC_NMI = 0x4400,
	APIC_INIT = 0x4500,
	APIC_STARTUP = 0x4600, /* + page number of the code, below 1 MiB */
};
/** Send an interrupt to the processor with APIC id @p to. */
void apic_send(uint32_t to, uint32_t what);
bool apic_is_ready(void);
/** Send @p vector to this processor itself. */
void apic_send_self(unsigned vector);

/** Let the timer count down from its highest value, without an interrupt, so that its
 *  rate can be measured; and the counts since. */
void apic_timer_measure(void);
uint32_t apic_timer_elapsed(void);
/** An interrupt VECTOR_TIMER each @p counts; 0 stops it. */
void apic_timer_start(uint32_t counts);
/** A single interrupt VECTOR_TIMER after @p counts, not 0. Ends a periodic one. */
void apic_timer_once(uint32_t counts);

/** From time.c: the timer's interrupt. */
void timer_tick(void);

#endif
