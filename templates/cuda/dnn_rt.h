// dnn_rt.h: what every kernel stands on: the compiler's words for a kernel,
// shared memory, barriers and shuffles, without any header of a toolkit.
//
// The same source is compiled by nvcc, by NVRTC, by clang without the toolkit,
// and (with DNN_EMU) by a C++ compiler against the emulator in dnn_emu.h.
#ifndef DNN_RT_H
#define DNN_RT_H

#if defined(DNN_EMU)
#include "dnn_emu.h"
#else

#if defined(__clang__) && !defined(__CUDACC__)
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __launch_bounds__(n, m) __attribute__((launch_bounds(n, m)))
#endif

#define DNN_DEVICE static inline __attribute__((always_inline)) __device__
#define DNN_METHOD inline __attribute__((always_inline)) __device__
#define DNN_TABLE static __constant__ const
#define DNN_UNROLL _Pragma("unroll")
// A kernel takes one argument: the arena that all its matrices lie in. blocks are
// those that a multiprocessor shall have registers for, side by side: where one will
// do, a thread may have 255.
#define DNN_KERNEL(name, threads, blocks) \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(float *m)
#define DNN_SHARED(type, name, n) __shared__ __attribute__((aligned(16))) type name[n]
#define DNN_SYNC() asm volatile("bar.sync 0;" ::: "memory")
// DNN_DYNAMIC is the shared memory that a launch asks for.
#define DNN_DYNAMIC(name) extern __shared__ __attribute__((aligned(128))) char name[]

// Where a thread is. The mask changes nothing: it tells the compiler how large
// the number may be, so that divisions become shifts.
#define DNN_SREG(name, reg, mask)                \
    DNN_DEVICE int name() {                      \
        unsigned v;                              \
        asm("mov.u32 %0, %%" reg ";" : "=r"(v)); \
        return (int)(v & (mask));                \
    }
DNN_SREG(dnn_thread, "tid.x", 255u)
DNN_SREG(dnn_block_x, "ctaid.x", 0x7fffffffu)
DNN_SREG(dnn_block_y, "ctaid.y", 0xffffu)
DNN_SREG(dnn_block_z, "ctaid.z", 0xffffu)
DNN_SREG(dnn_grid_x, "nctaid.x", 0x7fffffffu)
DNN_SREG(dnn_grid_y, "nctaid.y", 0xffffu)

#if defined(__clang__)
DNN_DEVICE float dnn_fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DNN_DEVICE float dnn_abs(float a) { return __builtin_fabsf(a); }
#else
DNN_DEVICE float dnn_fma(float a, float b, float c) { return fmaf(a, b, c); }
DNN_DEVICE float dnn_abs(float a) { return fabsf(a); }
#endif
DNN_DEVICE float dnn_sqrt(float a) {
    float r;
    asm("sqrt.rn.f32 %0, %1;" : "=f"(r) : "f"(a));
    return r;
}

// dnn_shuffle returns the value that the lane with the number of this one,
// exclusive-or mask, brings. All lanes of the warp take part.
#define DNN_SHUFFLE(value, mask) dnn_shuffle(value, mask)
DNN_DEVICE float dnn_shuffle(float value, int mask) {
    float r;
    asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=f"(r) : "f"(value), "r"(mask));
    return r;
}
#endif

// Threads of every block; the mask in dnn_thread rests on it.
#define DNN_THREADS 256

// DnnBlock is where a block stands in its grid, which has down blocks of the same x and z.
struct DnnBlock {
    int x, y, z, down;
};
DNN_DEVICE DnnBlock dnn_block() {
    const DnnBlock block = {dnn_block_x(), dnn_block_y(), dnn_block_z(), dnn_grid_y()};
    return block;
}
// dnn_job is where a block stands in the grid of its job: several jobs, none of
// which needs what another makes, are one launch, and the blocks of this one begin
// with number first.
template <int ACROSS, int DOWN> DNN_DEVICE DnnBlock dnn_job(int first) {
    const unsigned i = (unsigned)(dnn_block_x() - first);
    const DnnBlock block = {(int)(i % ACROSS), (int)(i / ACROSS % DOWN), (int)(i / ACROSS / DOWN), DOWN};
    return block;
}

union DnnBits {
    unsigned u;
    float f;
};

DNN_DEVICE float dnn_float(unsigned bits) {
    DnnBits b;
    b.u = bits;
    return b.f;
}

DNN_DEVICE unsigned dnn_bits(float value) {
    DnnBits b;
    b.f = value;
    return b.u;
}

// What the host says about a step stands in its first four words; the
// optimizer's scalars follow.
DNN_DEVICE int dnn_rows(const float *step) { return (int)dnn_bits(step[0]); }
// dnn_first tells that this is a step's first part: gradients are replaced,
// not added to.
DNN_DEVICE bool dnn_first(const float *step) { return dnn_bits(step[1]) != 0; }
// dnn_scale is one over the number of losses in the mean.
DNN_DEVICE float dnn_scale(const float *step) { return step[2]; }

#endif
