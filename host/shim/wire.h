/* SPDX-License-Identifier: MIT */
/*
 * What a program's preloaded library and the server say to each other.
 *
 * A descriptor of /dev/iommu in a program is one end of a socket pair whose other end the
 * server holds. Its end is bound to an abstract address that begins with NESTOR_NAME, so any
 * copy of it, in any process, after fork, exec, dup or SCM_RIGHTS, can be told from other
 * descriptors by getsockname(). When the last copy closes, the server sees the end of it.
 *
 * A call is one packet on that socket: struct nestor_request, with one end of a fresh socket
 * pair on which this call alone is answered; so callers that share a descriptor cannot take
 * each other's answers. On it the server may ask (NESTOR_ASK_...) before it says
 * NESTOR_DONE. A byte on the descriptor's own socket means "readable": poll, select and
 * epoll work unchanged; NESTOR_DONE says when to take it away again.
 *
 * Both ends are always of one build: there is no version to agree on.
 */
#ifndef HOST_SHIM_WIRE_H
#define HOST_SHIM_WIRE_H

#include <stdint.h>

/** Abstract addresses of descriptors: NUL, this, and a serial number. */
#define NESTOR_NAME "nestor.descriptor."
/** Environment: the path of the server's socket, and a folder of files for fault injection. */
#define NESTOR_SOCKET_VARIABLE "NESTOR_SOCKET"
#define NESTOR_FOLDER_VARIABLE "NESTOR_FOLDER"

/** One message's data, at most. */
enum { NESTOR_DATA_MAX = 16384 };

enum nestor_op {
	NESTOR_OPEN,   /* on a new connection: a = enum nestor_node, b = number or thread */
	NESTOR_STATUS, /* on a new connection: a = process; result: pages, data: see below */
	NESTOR_IOCTL,  /* a = command, b = argument */
	NESTOR_READ,   /* a = address, b = bytes */
	NESTOR_WRITE,  /* a = address, b = bytes */
	NESTOR_MMAP,   /* a = offset, b = bytes: a descriptor to map, at `offset` */
	NESTOR_MUNMAP, /* on a new connection: a = the mapping's number */
	NESTOR_OP_COUNT,
};

/** What can be opened. */
enum nestor_node {
	NESTOR_NODE_IOMMU,    /* /dev/iommu */
	NESTOR_NODE_DEVICE,   /* /dev/vfio/devices/vfio<number> */
	NESTOR_NODE_FAIL_NTH, /* /proc/.../task/<thread>/fail-nth */
};

struct nestor_request {
	uint32_t op; /* enum nestor_op */
	int32_t thread;
	/** A number drawn when the program was loaded, and where it lies: who has it there is
	 *  still the same program in the same memory. */
	uint64_t nonce, nonce_at;
	uint64_t a, b;
};

enum nestor_reply_kind {
	NESTOR_DONE,
	NESTOR_ASK_FD,    /* send descriptor number a */
	NESTOR_ASK_READ,  /* send `bytes` bytes at a */
	NESTOR_ASK_WRITE, /* store the data that follows at a */
};

struct nestor_reply {
	uint32_t kind; /* enum nestor_reply_kind */
	int32_t error; /* DONE: 0, or a negative errno */
	int64_t result;
	uint64_t a;
	uint32_t bytes;
	uint32_t drain;    /* DONE: bytes to take from the descriptor's socket */
	uint64_t store_at; /* DONE with a descriptor: where its number goes; 0: it is the result */
	uint64_t offset;   /* DONE of MMAP: of the memory in the descriptor */
};

/** A program's answer to a question; for READ the data follow. */
struct nestor_answer {
	int32_t error;
	uint32_t bytes;
};

/** NESTOR_STATUS: `result` is pinned KiB, `a` locked KiB. */

#endif
