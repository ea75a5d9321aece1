/* SPDX-License-Identifier: MIT */
/*
 * Message-signalled interrupts to the boot processor: a vector each from 0x40 to
 * 0xef, in the format without remapping (Intel SDM volume 3, 11.11): address
 * 0xfee00000 with the destination in bits 19:12, fixed delivery, edge-triggered.
 *
 * A handler runs with interrupts off and may allocate and free interrupts, its
 * own too.
 */
#include "kernel/apic.h"
#include "kernel/cpu.h"
#include "kernel/kernel.h"
#include "kernel/lock.h"

enum { IRQ_COUNT = VECTOR_IRQ_LAST - VECTOR_IRQ_FIRST + 1 };
#define MSI_ADDRESS UINT64_C(0xfee00000)

static struct {
	void (*handler)(void *arg); /* NULL: free */
	void *arg;
} irqs[IRQ_COUNT];

static struct spinlock irqs_lock;

int irq_alloc(void (*handler)(void *arg), void *arg, struct iommu_msi *out)
{
	/* Without interrupt remapping a message has 8 bits of destination. */
	if (!apic_is_ready() || apic_boot_id() > 0xff)
		return -ENOSPC;

	uint64_t flags = spin_lock(&irqs_lock);
	unsigned i = 0;
	while (i < IRQ_COUNT && irqs[i].handler)
		i++;
	if (i < IRQ_COUNT) {
		irqs[i].handler = handler;
		irqs[i].arg = arg;
	}
	spin_unlock(&irqs_lock, flags);
	if (i == IRQ_COUNT)
		return -ENOSPC;
	out->address = MSI_ADDRESS | (uint64_t)apic_boot_id() << 12;
	out->data = VECTOR_IRQ_FIRST + i;
	return 0;
}

void irq_free(const struct iommu_msi *msi)
{
	uint32_t vector = msi->data;

	if (vector < VECTOR_IRQ_FIRST || vector > VECTOR_IRQ_LAST ||
	    !irqs[vector - VECTOR_IRQ_FIRST].handler)
		panic("irq_free: vector %#x is not allocated", vector);
	uint64_t flags = spin_lock(&irqs_lock);
	irqs[vector - VECTOR_IRQ_FIRST].handler = NULL;
	spin_unlock(&irqs_lock, flags);
}

void irq_dispatch(unsigned vector)
{
	void (*handler)(void *arg) = irqs[vector - VECTOR_IRQ_FIRST].handler;

	/* A message may be under way when its interrupt is freed. */
	if (handler)
		handler(irqs[vector - VECTOR_IRQ_FIRST].arg);
	else
		apic_spurious(vector);
}
