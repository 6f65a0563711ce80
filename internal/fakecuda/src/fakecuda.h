// A stand-in for libcuda.so.1 that needs no GPU: it checks what it is given,
// keeps real memory, and does the work of streams as late as the rules allow,
// so that a missing wait shows.
//
// Kernels do nothing, unless a library named by fake_kernels (or by the
// variable FAKECUDA_KERNELS) exports a fake_kernel of the same name.

#ifndef FAKECUDA_H
#define FAKECUDA_H

#include <stddef.h>

struct fake_launch {
	unsigned grid[3], block[3];
	unsigned shared;
	int cooperative;
	void **params; // one pointer to each argument
};

// fake_kernel does the work of all blocks. What it returns, 0 or a CUresult
// such as 700, the launch has come to.
typedef int (*fake_kernel)(const struct fake_launch *launch);

void fake_reset(const char *settings);   // forget everything; "devices=2,cc=80,fail_at=7,fail_code=2"
int fake_set(const char *settings);      // change some settings; 0 where a name is unknown
long fake_get(const char *name);         // how much there is: calls, memory, blocks, streams, …; -1: unknown
const char *fake_wrong(void);            // the first rule that was broken, "" if none
const char *fake_last(void);             // the function called last
long fake_programs(void);                // programs of the run-time compiler that are not destroyed
int fake_kernels(const char *library);   // 1 where it loads

// For libraries that work in the driver's streams, as cuBLAS does. Work that was
// handed over is done with a copy of the argument as its only parameter.
int fake_enqueue(void *stream, fake_kernel run, const void *argument, size_t bytes);
int fake_is_memory(const void *at, size_t bytes); // whether it lies in one live allocation of the device
int fake_is_capturing(void);
void fake_broke(const char *text);                // a rule of that library was broken

#endif
