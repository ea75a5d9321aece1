/* SPDX-License-Identifier: MIT */
/* The local APIC, as the kernel's own files use it. Intel SDM volume 3, chapter 11. */
#ifndef KERNEL_APIC_H
#define KERNEL_APIC_H

#include <stdbool.h>
#include <stdint.h>

/** End the interrupt in service. */
void apic_eoi(void);
/** Count a vector that nobody asked for; the first ones are logged. */
void apic_spurious(unsigned vector);
/** This processor's APIC id, 8 bits wide with xAPIC, 32 with x2APIC. */
uint32_t apic_id(void);
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
