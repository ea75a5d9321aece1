/* SPDX-License-Identifier: MIT */
/*
 * The server: one core, and the programs whose /dev/iommu it is. What its files share.
 *
 * One thread does everything, one call at a time, so nothing here is locked. A call may
 * ask its caller for something (link.c) and waits for that with a deadline.
 *
 * Addresses. A program's memory is named by its address and a process number (process.c);
 * a physical address stands for a page of a process, or of a file that processes share
 * (frame.c). Contents are read and written where they are, in the programs.
 */
#ifndef HOST_SERVER_SERVER_H
#define HOST_SERVER_SERVER_H

#include <sys/types.h>

#include "host/arena.h"
#include "host/shim/wire.h"
#include "kernel/scn_model.h"
#include "ufd/ufd.h"

/** Bits of a user address; above them, where the core keeps one, is a process number. */
#define SERVER_ADDRESS_BITS 47
#define SERVER_ADDRESS_END  (UINT64_C(1) << SERVER_ADDRESS_BITS)

enum {
	SERVER_DEVICES = 4,      /* /dev/vfio/devices/vfio0 and on, on the mock */
	SERVER_PROCESSES = 1024, /* with memory in use */
	SERVER_LINKS = 512,      /* descriptors and connections at a time */
	SERVER_ANSWER_MS = 5000, /* a program answers a question within this */
};

struct server;

/* ---- process.c: who calls, and their memory -------------------------------------------- */

/** One program in its memory: a process from one exec to the next. */
struct process {
	bool used, gone;
	pid_t pid;
	int pidfd;
	uint64_t nonce, nonce_at;
	uint32_t refs;         /* kept addresses and pinned chunks */
	uint64_t pinned_pages; /* that count as this process's */
};

/** A stretch of a process's address space, as /proc/<pid>/maps has it. */
struct vma {
	uint64_t start, end, offset, device, inode;
	bool readable, writable, shared, special;
};

/** The process that calls; NULL if there is no room. */
struct process *process_enter(struct server *server, pid_t pid, uint64_t nonce, uint64_t nonce_at);
/** The one with this number; 0 is the caller. NULL if there is none. */
struct process *process_at(struct server *server, uint64_t number);
uint64_t process_number(const struct server *server, const struct process *process);
/** Is it still there, with the program that called? */
bool process_alive(struct server *server, struct process *process);
/** Copy between @p data and the process's memory at @p at. 0 or -EFAULT. */
int process_copy(struct server *server, struct process *process, uint64_t at, void *data,
                 uint64_t bytes, bool store);
/** The VMAs that touch [at, at + bytes), in order, in *out, which the caller frees; their
 *  number, or -EFAULT, -ENOMEM. */
int process_vmas(struct process *process, uint64_t at, uint64_t bytes, struct vma **out);
void process_put(struct process *process);
void processes_exit(struct server *server);

/* ---- frame.c: physical memory --------------------------------------------------------------- */

enum { CHUNK_PAGES = 512 };
#define CHUNK_BYTES (CHUNK_PAGES * PAGE_SIZE_4K)

/** What a chunk is 2 MiB of. */
struct frame_key {
	uint64_t device, inode; /* a file's; or a process number and UINT64_MAX */
	uint64_t index;         /* which 2 MiB of it */
};

struct chunk {
	struct chunk *next; /* in its bucket */
	struct frame_key key;
	pa_t start;
	struct process *owner; /* whom its pins count for; holds a reference, as does via */
	struct process *via;   /* who was last seen with it, its first byte at via_at */
	uint64_t via_at;
	uint64_t pins;
	uint32_t page_pins[CHUNK_PAGES];
};

enum { CHUNK_BUCKETS = 4096, CHUNKS = 32768 };

/** Physical addresses of chunks, where a model does not need them to be real. */
#define FRAME_START (UINT64_C(1) << 40)

struct frames {
	struct chunk *buckets[CHUNK_BUCKETS];
	struct chunk *chunks[CHUNKS]; /* by place; NULL: free */
	uint32_t free_hint;
	uint64_t used;
};

/** Pin as ufd_memory_ops says. @p process is alive. */
int frame_pin(struct server *server, struct process *process, uint64_t at, uint64_t bytes,
              bool writable, struct iommu_extent *extents, size_t capacity, size_t *count,
              uint64_t *pinned);
void frame_unpin(struct server *server, const struct iommu_extent *extents, size_t count);
/** Copy between @p data and the memory that [at, at + bytes) stands for. 0 or -EFAULT: it
 *  is not pinned, or nobody who has it is left. */
int frame_copy(struct server *server, pa_t at, void *data, uint64_t bytes, bool store);
/** The same by identity, for a page of a file. */
int frame_copy_file(struct server *server, uint64_t device, uint64_t inode, uint64_t offset,
                    void *data, uint64_t bytes, bool store);
/** How often is the page at @p at of the process pinned? 0 or -EFAULT. */
int frame_pins(struct server *server, struct process *process, uint64_t at, uint32_t *out);
/** All pins of files count for @p process from now on. */
void frame_charge(struct server *server, struct process *process);
/** For a model: bring what is pinned to where the model reaches it, and after a transfer
 *  take back what changed. 0, or -EFAULT: a page that was written is not there any more
 *  (one that is read like that is all zero). */
void frame_load(struct server *server);
int frame_store(struct server *server);
void frames_exit(struct server *server);

/* ---- memory.c: the core's memory provider ----------------------------------------------------- */

/** An address that the core keeps. */
struct kept {
	struct kept *next;
	uint64_t address, bytes; /* with the process number */
	struct vma *vmas;        /* what was there when it was last pinned, or NULL */
	int vma_count;
};

/** A mapping of the core's memory in a program. */
struct mapped {
	struct mapped *next;
	struct ufd_mapping *mapping;
	struct process *process; /* holds a reference */
	uint64_t number;
};

extern const struct ufd_memory_ops server_memory_ops; /* ctx: struct server */
void memory_exit(struct server *server);
/** Map the core's memory in the caller: what to map is in *fd, which stays the server's,
 *  and *offset. 0 or as ufd_mmap. */
int memory_map(struct server *server, int core_fd, uint64_t at, uint64_t bytes, int *fd,
               uint64_t *offset, uint64_t *number);
/** The caller's mapping @p number has gone. */
void memory_unmap(struct server *server, uint64_t number);
/** Forget mappings of processes that have ended; @p all: every one. */
void memory_unmap_ended(struct server *server, bool all);

/* ---- link.c: sockets ------------------------------------------------------------------------------ */

enum link_kind { LINK_FREE, LINK_CONNECTION, LINK_FILE, LINK_FAIL_NTH };

struct link {
	enum link_kind kind;
	int sock;
	uint64_t serial;             /* in the program's end's address */
	int core_fd;                 /* FILE */
	struct iommu_device *device; /* FILE: of a device */
	bool token;                  /* FILE: a byte is on its way that says "readable" */
	int32_t thread;              /* FAIL_NTH */
	uint32_t nth;
};

/** A call that runs. */
struct call {
	struct link *link;
	struct process *process;
	struct nestor_request request;
	int reply;
	/* a word of the caller's memory that the core is to see otherwise */
	uint64_t patch_at;
	int32_t patch;
	bool patched;
	int file; /* what the patched number stands for, or -1 */
};

/** A new descriptor of @p kind: its link, and the program's end in *out. NULL if there is
 *  no room, or no descriptor left. */
struct link *link_new(struct server *server, enum link_kind kind, int *out);
void link_close(struct server *server, struct link *link);
/** Ask the caller for its descriptor @p number: ours in *out. 0, -EBADF, -EIO. */
int link_ask_fd(struct call *call, int32_t number, int *out);
/** The link whose program's end @p fd is, or NULL. */
struct link *link_of(struct server *server, int fd);
/** Copy with the caller's help. 0, -EFAULT, -EIO. */
int link_ask_copy(struct call *call, uint64_t at, void *data, uint64_t bytes, bool store);
/** Finish a call; @p passed is a descriptor to send, or -1. 0 or -EIO: nobody waits. */
int link_done(struct call *call, const struct nestor_reply *reply, int passed);
/** Receive a request into @p call. False: there is none, and the link is at its end. */
bool link_receive(struct server *server, struct link *link, struct call *call);
/** Tell who waits that a descriptor became readable. */
void links_wake(struct server *server);

/* ---- call.c, dma.c, core.c, server.c ------------------------------------------------------------------ */

void call_run(struct server *server, struct call *call);
/** NESTOR_DEVICE_DMA (host/shim/dma.h). */
int dma_call(struct server *server, struct link *link, uint64_t user);
/** Shall the caller's thread see a failure here? */
bool server_fails(struct server *server);

struct server_options {
	const struct model_config *unit; /* NULL: the mock */
	enum iommu_mode mode;
	bool verbose;
	bool assist; /* never use process_vm_readv and its like */
};

struct server {
	struct server_options options;
	struct iommu_os os;
	struct host_arena arena;
	int arena_file; /* the arena's memory, to map in programs */
	bool has_model;
	struct model_platform model;
	struct iommu core;
	struct ufd ufd;
	struct iommu_device *devices[SERVER_DEVICES];
	unsigned device_count;
	long pages, objects, locks;                 /* outstanding */
	struct process processes[SERVER_PROCESSES]; /* by number - 1; the first is the server */
	struct frames frames;
	struct kept *kept;
	struct mapped *mapped;
	struct link links[SERVER_LINKS];
	uint64_t serial;
	int listener;
	struct call *call; /* that runs, or NULL */
};

/** Make the core and its devices. 0 or a negative errno, after a line on standard error. */
int must_check server_core_init(struct server *server, const struct server_options *options);
/** Take it down; false, after a line on standard error, if anything was not given back. */
bool server_core_exit(struct server *server);
/** Serve programs that come to @p listener until @p stop is readable or at its end. */
void server_loop(struct server *server, int listener, int stop);

#endif
