/* SPDX-License-Identifier: MIT */
/*
 * The end of the kernel when something is wrong with the kernel itself: a
 * message, registers, a backtrace by names, then what `panic=` asked for.
 *
 * It may begin anywhere, in an interrupt or with any lock held. So it takes no
 * lock, allocates nothing, and looks at memory only after asking the page tables.
 * A panic within a panic says its message and stops; a third one just stops. The other
 * processors are stopped; if two panic at once, one of them tells.
 */
#include "kernel/apic.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/kernel.h"
#include "kernel/smp.h"
#include "kernel/vm.h"

enum { BACKTRACE_MAX = 32, FRAME_MAX_BYTES = 1 << 20 };

extern char kernel_text_start[], kernel_text_end[];

enum panic_action panic_action = PANIC_HALT;

static unsigned panic_depth;
static uint32_t panic_owner; /* number of the processor that tells, + 1; 0: none */

static void backtrace_line(unsigned number, uint64_t address)
{
	uint64_t offset = 0;
	const char *name = symbol_find(address, &offset);

	if (name)
		kprintf("  #%-2u %016llx %s+%#llx\n", number, (unsigned long long)address, name,
		        (unsigned long long)offset);
	else
		kprintf("  #%-2u %016llx (no symbol)\n", number, (unsigned long long)address);
}

void backtrace_print(uint64_t rip, uint64_t rbp)
{
	kprintf("backtrace:\n");
	backtrace_line(0, rip);
	for (unsigned number = 1; number <= BACKTRACE_MAX; number++) {
		if (!rbp)
			return;
		if (rbp & 7 || rbp < DIRECT_MAP_BASE || !vm_readable(rbp, 16)) {
			kprintf("  the chain of frames breaks off at rbp %#llx\n",
			        (unsigned long long)rbp);
			return;
		}
		uint64_t next = ((const uint64_t *)rbp)[0];
		uint64_t address = ((const uint64_t *)rbp)[1];
		if (!address)
			return;
		if (address < (uint64_t)kernel_text_start || address > (uint64_t)kernel_text_end) {
			kprintf("  the chain of frames leads to %#llx, which is no code\n",
			        (unsigned long long)address);
			return;
		}
		/* A return address is one past the call: the byte before names the caller,
		 * also when the call was a function's last instruction. */
		backtrace_line(number, address - 1);
		/* Frames of one stack lie upwards; another stack is far away. */
		if (next && next <= rbp && rbp - next < FRAME_MAX_BYTES) {
			kprintf("  the chain of frames turns back at rbp %#llx\n",
			        (unsigned long long)next);
			return;
		}
		rbp = next;
	}
	kprintf("  and more\n");
}

static void print_controls(void)
{
	kprintf("  cr0 %016llx  cr2 %016llx  cr3 %016llx  cr4 %016llx\n",
	        (unsigned long long)cpu_cr0(), (unsigned long long)cpu_cr2(),
	        (unsigned long long)cpu_cr3(), (unsigned long long)cpu_cr4());
}

static void print_frame(const struct trap_frame *f)
{
	typedef unsigned long long u;

	kprintf("  rip %016llx  rsp %016llx  rflags %08llx  error %llx  cs %llx  ss %llx\n",
	        (u)f->rip, (u)f->rsp, (u)f->rflags, (u)f->error, (u)f->cs, (u)f->ss);
	kprintf("  rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx\n", (u)f->rax, (u)f->rbx,
	        (u)f->rcx, (u)f->rdx);
	kprintf("  rsi %016llx  rdi %016llx  rbp %016llx  r8  %016llx\n", (u)f->rsi, (u)f->rdi,
	        (u)f->rbp, (u)f->r8);
	kprintf("  r9  %016llx  r10 %016llx  r11 %016llx  r12 %016llx\n", (u)f->r9, (u)f->r10,
	        (u)f->r11, (u)f->r12);
	kprintf("  r13 %016llx  r14 %016llx  r15 %016llx\n", (u)f->r13, (u)f->r14, (u)f->r15);
	print_controls();
}

static void noreturn stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void noreturn act(void)
{
	switch (panic_action) {
	case PANIC_EXIT:
		power_off(false);
	case PANIC_RESET:
		power_reset();
	case PANIC_HALT:
		break;
	}
	kprintf("halted\n");
	stop();
}

/** Count in, and end here if the message would be one too many. */
static void begin(const char *format, va_list args)
{
	__asm__ volatile("cli");
	uint32_t me = smp_number() + 1, owner = 0;
	if (!__atomic_compare_exchange_n(&panic_owner, &owner, me, false, __ATOMIC_SEQ_CST,
	                                 __ATOMIC_SEQ_CST) &&
	    owner != me)
		stop();
	if (!panic_depth)
		smp_stop_others();
	panic_depth++;
	if (panic_depth > 2)
		stop();
	console_seize();
	kprintf(panic_depth == 1 ? "\npanic: " : "\npanic within a panic: ");
	if (me > 1)
		kprintf("processor %u: ", (unsigned)me - 1);
	iommu_vprintf(console_print(), format, args);
	kprintf("\n");
	if (panic_depth > 1)
		act();
}

void panic(const char *format, ...)
{
	va_list args;
	uint64_t rsp;

	va_start(args, format);
	begin(format, args);
	va_end(args);
	__asm__ volatile("movq %%rsp, %0" : "=r"(rsp));
	kprintf("  rip %016llx  rsp %016llx\n",
	        (unsigned long long)(uintptr_t)__builtin_return_address(0),
	        (unsigned long long)rsp);
	print_controls();
	const uint64_t *frame = __builtin_frame_address(0);
	backtrace_print((uint64_t)__builtin_return_address(0) - 1, frame[0]);
	act();
}

void panic_at(const struct trap_frame *frame, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	begin(format, args);
	va_end(args);
	print_frame(frame);
	backtrace_print(frame->rip, frame->rbp);
	act();
}
