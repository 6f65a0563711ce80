// dnn_emu_mma.h: the words of dnn_mma.h for a C++ compiler: a warp's lanes meet
// in dnn_emu_mma.cpp, which does what the instruction would.
#ifndef DNN_EMU_MMA_H
#define DNN_EMU_MMA_H

#include "dnn_emu.h"

typedef const char *DnnAddress;

DNN_DEVICE DnnAddress dnn_address(const void *p) { return (DnnAddress)p; }

void dnn_emu_ldmatrix(unsigned *r, DnnAddress row, bool turned);
enum DnnEmuType { DNN_EMU_BF16, DNN_EMU_F16, DNN_EMU_TF32 };
void dnn_emu_mma(float *c, const unsigned *a, unsigned b0, unsigned b1, DnnEmuType type);

DNN_METHOD void dnn_ldmatrix(unsigned (&r)[4], DnnAddress row) { dnn_emu_ldmatrix(r, row, false); }
DNN_METHOD void dnn_ldmatrix_trans(unsigned (&r)[4], DnnAddress row) { dnn_emu_ldmatrix(r, row, true); }
DNN_METHOD void dnn_mma_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    dnn_emu_mma(c, a, b0, b1, DNN_EMU_BF16);
}
DNN_METHOD void dnn_mma_f16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    dnn_emu_mma(c, a, b0, b1, DNN_EMU_F16);
}
DNN_METHOD void dnn_mma_tf32(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    dnn_emu_mma(c, a, b0, b1, DNN_EMU_TF32);
}

unsigned short dnn_bf16(float v);
unsigned short dnn_f16(float v);
float dnn_of_f16(unsigned short v);
float dnn_tf32(float v);
DNN_METHOD unsigned dnn_bf16_pair(float first, float second) { return dnn_bf16(first) | (unsigned)dnn_bf16(second) << 16; }
DNN_METHOD unsigned dnn_f16_pair(float first, float second) { return dnn_f16(first) | (unsigned)dnn_f16(second) << 16; }

// A copy takes place when it is waited for, and until then its target is NaN.
void dnn_copy(DnnAddress to, const void *from, bool inside);
void dnn_copy_part(DnnAddress to, const void *from, int bytes);
void dnn_copy_commit();
void dnn_emu_copy_wait(int groups);
template <int N> DNN_METHOD void dnn_copy_wait() { dnn_emu_copy_wait(N); }

// There is no cache.
DNN_METHOD void dnn_ahead(const void *) {}

#define DNN_UNROLL_BY(n)
#define DNN_SYNC_WARP() dnn_emu_sync_warp(__FILE__, __LINE__)

#endif
