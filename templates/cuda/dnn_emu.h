// dnn_emu.h: the words of dnn_rt.h for a C++ compiler. A block's threads are
// fibres of one thread; dnn_emu.cpp switches between them at barriers and
// shuffles. Shared memory starts as NaN, so that what is read before it was
// written shows.
#ifndef DNN_EMU_H
#define DNN_EMU_H

#include <stddef.h>

#define DNN_DEVICE static inline
#define DNN_METHOD inline __attribute__((always_inline))
#define DNN_TABLE static const
#define DNN_UNROLL
#define DNN_KERNEL(name, threads, blocks) static void name(float *m)
#define DNN_SHARED(type, name, n)        \
    static const char name##_key = 0;    \
    type *const name = (type *)dnn_emu_shared(&name##_key, sizeof(type) * (n))
#define DNN_SYNC() dnn_emu_barrier(__FILE__, __LINE__)
#define DNN_DYNAMIC(name) char *const name = dnn_emu_dynamic()
#define DNN_SHUFFLE(value, mask) dnn_emu_shuffle(value, mask, __FILE__, __LINE__)

// dnn_emu_launch runs a kernel on all blocks of a grid, each with a number of
// bytes of dynamic shared memory, with blocks and threads taking turns in one of
// the orders 0 to 3. It returns what went wrong, or "".
typedef void (*DnnKernel)(float *);
const char *dnn_emu_launch(DnnKernel run, float *arena, const int grid[3], size_t shared, int schedule);

// Where the running thread is.
struct DnnPlace {
    int thread, block[3], grid[3];
};
extern DnnPlace dnn_emu_place;

// dnn_emu_shared returns the block's memory of a declaration.
void *dnn_emu_shared(const char *key, size_t bytes);
// dnn_emu_dynamic returns the shared memory that the launch asked for.
char *dnn_emu_dynamic();
// dnn_emu_inside tells whether bytes at p are shared memory of the block.
bool dnn_emu_inside(const char *p, size_t bytes);
// dnn_emu_barrier waits for all threads of the block.
void dnn_emu_barrier(const char *file, int line);
// dnn_emu_sync_warp waits for all lanes of the warp.
void dnn_emu_sync_warp(const char *file, int line);
// dnn_emu_together waits until all lanes of the warp have come to the same
// place, and has one call of work do what they do together; lanes holds what
// each brought.
typedef void (*DnnWork)(void *const lanes[32]);
void dnn_emu_together(DnnWork work, void *lane, const void *place, const char *what, int line);
// dnn_emu_fail ends the launch: a thread has done what no device would.
void dnn_emu_fail(const char *what);
// dnn_emu_end_copies ends a block's asynchronous copies, of which none may be
// left.
void dnn_emu_end_copies();
// dnn_emu_shuffle exchanges values with another lane of the warp.
float dnn_emu_shuffle(float value, int mask, const char *file, int line);

DNN_DEVICE int dnn_thread() { return dnn_emu_place.thread; }
DNN_DEVICE int dnn_block_x() { return dnn_emu_place.block[0]; }
DNN_DEVICE int dnn_block_y() { return dnn_emu_place.block[1]; }
DNN_DEVICE int dnn_block_z() { return dnn_emu_place.block[2]; }
DNN_DEVICE int dnn_grid_x() { return dnn_emu_place.grid[0]; }
DNN_DEVICE int dnn_grid_y() { return dnn_emu_place.grid[1]; }

DNN_DEVICE float dnn_fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DNN_DEVICE float dnn_abs(float a) { return __builtin_fabsf(a); }
DNN_DEVICE float dnn_sqrt(float a) { return __builtin_sqrtf(a); }

#endif
