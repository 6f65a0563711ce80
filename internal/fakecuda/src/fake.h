// The inner parts of the fake driver: what its files share. All state is
// guarded by one lock, which ENTER takes and leave gives back.

#ifndef FAKE_H
#define FAKE_H

#include <stddef.h>
#include <stdint.h>

#include "fakecuda.h"

typedef int CUresult;

enum {
	SUCCESS = 0,
	INVALID_VALUE = 1,
	OUT_OF_MEMORY = 2,
	NOT_INITIALIZED = 3,
	NO_DEVICE = 100,
	INVALID_DEVICE = 101,
	INVALID_CONTEXT = 201,
	NO_BINARY_FOR_GPU = 209,
	INVALID_PTX = 218,
	UNSUPPORTED_PTX_VERSION = 222,
	INVALID_HANDLE = 400,
	NOT_FOUND = 500,
	NOT_READY = 600,
	ILLEGAL_ADDRESS = 700,
	COOPERATIVE_LAUNCH_TOO_LARGE = 720,
	CAPTURE_UNSUPPORTED = 900,
	CAPTURE_INVALIDATED = 901,
	CAPTURE_UNJOINED = 904,
};

// What the fake pretends to be; FAKECUDA or fake_set say otherwise.
struct settings {
	long devices, version, cc, memory, sms;
	long shared;             // bytes of shared memory that a block may ask for
	long fail_at, fail_code; // the n-th call from now fails, 1 for the next
	long lost_at, lost_code; // from that call on every call fails
	long init_code;          // what cuInit returns
	long host_memory;        // pinned memory that can be had
	long largest;            // allocation of device memory that can be had
};
extern struct settings set;

// counted is how much there is of something, by the names of fake_get.
struct counted {
	long calls, memory, blocks, pinned, streams, events, modules, graphs, templates, contexts, launches, replays, ops;
};
extern struct counted count;

// enter begins a call: it counts it and returns what was planned for it. need
// is 0 for calls that need nothing, 1 after cuInit, 2 in a context, 3 where the
// thread must not be capturing either.
CUresult enter(const char *name, int need);
CUresult leave(CUresult result);

#define ENTER(need)                                       \
	do {                                                  \
		CUresult planned_ = enter(__func__, need);        \
		if (planned_ != SUCCESS) return leave(planned_);  \
	} while (0)

// wrong notes that the caller broke a rule of the interface, and returns code.
CUresult wrong(CUresult code, const char *format, ...) __attribute__((format(printf, 2, 3)));
// lose makes the device useless from now on.
CUresult lose(CUresult code);
int is_lost(void);

// memory.c
int is_device(uint64_t address, size_t bytes); // lies in one live allocation
int is_pinned(const void *address, size_t bytes);
CUresult check_guards(void);
void memory_reset(void);

// stream.c
struct stream;
// op is one piece of work in a stream or a graph.
struct op {
	enum { COPY, FILL, KERNEL, RECORD, WAIT } kind;
	void *to;
	const void *from;
	size_t bytes;
	int value;
	fake_kernel run; // of KERNEL, NULL where there is none
	struct fake_launch launch;
	void *owned; // freed with the op: arguments of a kernel, a staged copy
	struct event *event;
	long mark; // of RECORD and WAIT: which recording
	double ms; // of KERNEL, beside what all take
};
struct stream *stream_of(void *handle); // NULL is the default stream
CUresult submit(struct stream *s, struct op op);
CUresult drain(struct stream *s);
CUresult drain_all(void);
int capturing(void);
void invalidate_capture(void);
void stream_reset(void);
void op_free(struct op *op);

// module.c
int is_variable(const void *address, size_t bytes);
void module_reset(void);

#endif
