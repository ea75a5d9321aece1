/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts after entry: interrupts go to their handlers, an
 * exception is told to a person and ends the kernel, because the kernel raises
 * none on purpose. Intel SDM volume 3, 6.15 (the exceptions), 4.7 (page-fault
 * error code), 6.13 (selector error code).
 */
#include "kernel/apic.h"
#include "kernel/cpu.h"
#include "kernel/kernel.h"
#include "kernel/smp.h"

static const char *const exception_names[VECTOR_EXCEPTIONS] = {
	"#DE, divide error",
	"#DB, debug exception",
	"NMI, non-maskable interrupt",
	"#BP, breakpoint",
	"#OF, overflow",
	"#BR, bound range exceeded",
	"#UD, invalid opcode",
	"#NM, no floating-point unit",
	"#DF, double fault",
	NULL,
	"#TS, invalid TSS",
	"#NP, segment not present",
	"#SS, stack-segment fault",
	"#GP, general protection",
	"#PF, page fault",
	NULL,
	"#MF, floating-point error",
	"#AC, alignment check",
	"#MC, machine check",
	"#XM, SIMD floating-point exception",
	"#VE, virtualization exception",
	"#CP, control protection",
	NULL,
	NULL,
	NULL,
	NULL,
	NULL,
	NULL,
	"#HV, hypervisor injection",
	"#VC, VMM communication",
	"#SX, security exception",
	NULL,
};

enum { TEXT_BYTES = 192, PLACE_BYTES = 128 };

static void describe_page_fault(const struct trap_frame *frame, char *text, size_t size)
{
	enum { PRESENT = 1, WRITE = 2, USER = 4, RESERVED = 8, FETCH = 16 };
	uint64_t address = cpu_cr2(), error = frame->error;
	char place[PLACE_BYTES];
	const char *access = "read from", *why = "which is not mapped";

	vm_describe(address, place, sizeof(place));
	if (error & FETCH)
		access = "instruction fetch from";
	else if (error & WRITE)
		access = "write to";
	if (error & RESERVED)
		why = "whose page-table entry has a reserved bit set";
	else if (error & PRESENT && error & FETCH)
		why = "which is mapped, but not as code (W^X)";
	else if (error & PRESENT && error & WRITE)
		why = "which is mapped read-only (W^X)";
	else if (error & PRESENT)
		why = "which is mapped, but not for this";
	iommu_snprintf(text, size, "%s%s %#llx, %s. It lies in %s", access,
	               error & USER ? " user mode" : "", (unsigned long long)address, why, place);
}

static void describe_selector(const struct trap_frame *frame, char *text, size_t size)
{
	static const char *const tables[] = {"GDT", "IDT", "LDT", "IDT"};
	uint64_t error = frame->error;

	if (!error)
		iommu_snprintf(text, size, "an instruction or address that is not allowed");
	else
		iommu_snprintf(text, size, "entry %llu of the %s%s",
		               (unsigned long long)(error >> 3 & 0x1fff), tables[error >> 1 & 3],
		               error & 1 ? ", in delivering an event" : "");
}

static void describe_double_fault(const struct trap_frame *frame, char *text, size_t size)
{
	const struct cpu_stack *stack;
	char place[PLACE_BYTES];

	/* A stack that has grown into its guard page: the page fault could not be
	 * delivered on it. Its address, and the stack pointer, tell. */
	for (unsigned i = 0; (stack = cpu_stack(i)) != NULL; i++) {
		if (!stack->guard)
			continue;
		if (cpu_cr2() - stack->guard < 4096 &&
		    frame->rsp - stack->guard <= 4096 + (stack->top - stack->bottom)) {
			vm_describe(cpu_cr2(), place, sizeof(place));
			iommu_snprintf(text, size, "write to %#llx, %s",
			               (unsigned long long)cpu_cr2(), place);
			return;
		}
	}
	iommu_snprintf(text, size, "an exception while another was being delivered; cr2 %#llx",
	               (unsigned long long)cpu_cr2());
}

static void noreturn exception(const struct trap_frame *frame)
{
	const char *name = exception_names[frame->vector];
	char text[TEXT_BYTES + PLACE_BYTES] = "";

	switch (frame->vector) {
	case VECTOR_PAGE_FAULT:
		describe_page_fault(frame, text, sizeof(text));
		break;
	case VECTOR_DOUBLE_FAULT:
		describe_double_fault(frame, text, sizeof(text));
		break;
	case 10:
	case 11:
	case 12:
	case 13:
		describe_selector(frame, text, sizeof(text));
		break;
	case VECTOR_NMI:
		iommu_snprintf(text, sizeof(text),
		               "the platform reports a failure (port 0x61: %#x)", in8(0x61));
		break;
	default:
		break;
	}
	panic_at(frame, "exception %u (%s)%s%s", (unsigned)frame->vector,
	         name ? name : "reserved by Intel", *text ? ": " : "", text);
}

void trap_dispatch(struct trap_frame *frame)
{
	unsigned vector = (unsigned)frame->vector;

	if (vector == VECTOR_NMI)
		smp_nmi();
	if (vector < VECTOR_EXCEPTIONS)
		exception(frame);
	if (vector >= VECTOR_IRQ_FIRST && vector <= VECTOR_IRQ_LAST) {
		irq_dispatch(vector);
		apic_eoi();
	} else if (vector == VECTOR_TIMER) {
		apic_eoi();
		timer_tick();
	} else if (vector == VECTOR_SMP) {
		smp_interrupt();
		apic_eoi();
	} else {
		/* A spurious vector is not in service, so it gets no EOI: that would end
		 * another one. */
		apic_spurious(vector);
	}
}
