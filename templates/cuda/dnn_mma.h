// dnn_mma.h: products on tensor cores, a warp at a time: conversions, matrices
// of shared memory as fragments, and the instruction that multiplies them with
// sums in float32. It needs sm_80.
//
// Fragments are those of the PTX ISA, sections "Matrix Fragments for
// mma.m16n8k16" and "for mma.m16n8k8": a lane is lane = 4*g + t.
#ifndef DNN_MMA_H
#define DNN_MMA_H

#if defined(DNN_EMU)
#include "dnn_emu_mma.h"
#else

// DnnAddress is a place in shared memory, as instructions name it. Bytes may be
// added to it.
typedef unsigned DnnAddress;

#if defined(__clang__)
DNN_DEVICE DnnAddress dnn_address(const void *p) {
    return (DnnAddress)(unsigned long long)(__attribute__((address_space(3))) const char *)p;
}
#else
DNN_DEVICE DnnAddress dnn_address(const void *p) { return (DnnAddress)__cvta_generic_to_shared(p); }
#endif

// dnn_ldmatrix loads four matrices of 8 rows of 16 bytes: lane 8*i + j brings
// the address, a multiple of 16, of row j of matrix i. Register i of a lane is
// then word t of row g of matrix i.
DNN_DEVICE void dnn_ldmatrix(unsigned (&r)[4], DnnAddress row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row));
}

// dnn_ldmatrix_trans transposes each matrix of 16-bit numbers: a lane gets those
// of column g in rows 2*t and 2*t + 1.
DNN_DEVICE void dnn_ldmatrix_trans(unsigned (&r)[4], DnnAddress row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row));
}

#define DNN_MMA(name, shape, type)                                                                    \
    DNN_DEVICE void name(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {           \
        asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type ".f32 "                  \
                     "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                \
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                 \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));                 \
    }
// c [16, 8] += a [16, K]*b [K, 8].
DNN_MMA(dnn_mma_bf16, "m16n8k16", "bf16")
DNN_MMA(dnn_mma_f16, "m16n8k16", "f16")
DNN_MMA(dnn_mma_tf32, "m16n8k8", "tf32")

// Two numbers in a word, the first in its lower half, rounded to nearest even.
DNN_DEVICE unsigned dnn_bf16_pair(float first, float second) {
    unsigned r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(second), "f"(first));
    return r;
}
DNN_DEVICE unsigned dnn_f16_pair(float first, float second) {
    unsigned r;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(second), "f"(first));
    return r;
}

// The nearest number of 11 bits, ties away from zero.
DNN_DEVICE float dnn_tf32(float v) {
    unsigned r;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(v));
    return dnn_float(r);
}

DNN_DEVICE unsigned short dnn_bf16(float v) {
    unsigned short r;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(v));
    return r;
}
DNN_DEVICE unsigned short dnn_f16(float v) {
    unsigned short r;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(v));
    return r;
}
DNN_DEVICE float dnn_of_f16(unsigned short v) {
    float r;
    asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(v));
    return r;
}

// dnn_copy begins to copy 16 bytes to shared memory, or to fill them with zeros
// where there is nothing to copy. Both places are multiples of 16, and from must
// be an address of the matrix even where nothing is read from it.
DNN_DEVICE void dnn_copy(DnnAddress to, const void *from, bool inside) {
    asm volatile("{ .reg .u64 t; cvta.to.global.u64 t, %1; cp.async.cg.shared.global [%0], [t], 16, %2; }" ::"r"(to),
                 "l"(from), "r"(inside ? 16 : 0)
                 : "memory");
}
// dnn_copy_part is dnn_copy of the first bytes, 0 to 16; zeros follow them.
DNN_DEVICE void dnn_copy_part(DnnAddress to, const void *from, int bytes) {
    asm volatile("{ .reg .u64 t; cvta.to.global.u64 t, %1; cp.async.cg.shared.global [%0], [t], 16, %2; }" ::"r"(to),
                 "l"(from), "r"(bytes)
                 : "memory");
}
// dnn_copy_commit ends a group of copies; dnn_copy_wait waits until all of this
// thread's groups but the last N are there. Other threads see them after a
// barrier.
DNN_DEVICE void dnn_copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> DNN_DEVICE void dnn_copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// dnn_ahead has a line of memory fetched to the cache of all multiprocessors.
DNN_DEVICE void dnn_ahead(const void *p) {
    asm volatile("{ .reg .u64 t; cvta.to.global.u64 t, %0; prefetch.global.L2 [t]; }" ::"l"(p));
}

#define DNN_PRAGMA(text) _Pragma(#text)
#define DNN_UNROLL_BY(n) DNN_PRAGMA(unroll n)
// DNN_SYNC_WARP is a barrier of one warp.
#define DNN_SYNC_WARP() asm volatile("bar.warp.sync 0xffffffff;" ::: "memory")
#endif

DNN_DEVICE float dnn_of_bf16(unsigned short v) { return dnn_float((unsigned)v << 16); }

// A precision says how numbers stand in shared memory (Word) and how a warp
// multiplies K of them at a time. lead, the distance between rows in Words, is
// a multiple of 16 bytes; so are all places. An odd multiple keeps the rows of
// a matrix in different banks.
//
//   a        of [16 rows][K], at (row, k)
//   a_turned the same from a matrix that stands as [K][16], at (k, row)
//   b        two fragments, for columns col to col + 15, from a matrix that
//            stands as [16 columns][K], at (col, k)
//   b_turned the same from a matrix that stands as [K][16], at (k, col)
//
// Fragment j of b is b[2*j], b[2*j + 1].
struct DnnHalf {
    typedef unsigned short Word;
    enum { K = 16 };
    static DNN_METHOD void a(unsigned (&r)[4], const Word *p, int lead, int row, int k) {
        const int lane = dnn_thread() % 32;
        dnn_ldmatrix(r, dnn_address(p + (row + lane % 16) * lead + k + lane / 16 * 8));
    }
    static DNN_METHOD void a_turned(unsigned (&r)[4], const Word *p, int lead, int row, int k) {
        const int lane = dnn_thread() % 32;
        dnn_ldmatrix_trans(r, dnn_address(p + (k + lane / 16 * 8 + lane % 8) * lead + row + lane / 8 % 2 * 8));
    }
    static DNN_METHOD void b(unsigned (&r)[4], const Word *p, int lead, int col, int k) {
        const int lane = dnn_thread() % 32;
        dnn_ldmatrix(r, dnn_address(p + (col + lane / 16 * 8 + lane % 8) * lead + k + lane / 8 % 2 * 8));
    }
    static DNN_METHOD void b_turned(unsigned (&r)[4], const Word *p, int lead, int col, int k) {
        const int lane = dnn_thread() % 32;
        dnn_ldmatrix_trans(r, dnn_address(p + (k + lane % 16) * lead + col + lane / 16 * 8));
    }
};

// get and put read and write a number, get2 and put2 two that follow each other,
// the first in an even column. ONES is a register of a fragment of ones.
struct DnnBf16 : DnnHalf {
    static constexpr unsigned ONES = 0x3f803f80u;
    static DNN_METHOD void mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
        dnn_mma_bf16(c, a, b0, b1);
    }
    static DNN_METHOD float get(const Word *p) { return dnn_of_bf16(*p); }
    static DNN_METHOD void get2(const Word *p, float &v, float &w) {
        const unsigned both = *(const unsigned *)p;
        v = dnn_float(both << 16);
        w = dnn_float(both & 0xffff0000u);
    }
    static DNN_METHOD void put(Word *p, float v) { *p = dnn_bf16(v); }
    static DNN_METHOD void put2(Word *p, float v, float w) { *(unsigned *)p = dnn_bf16_pair(v, w); }
};

struct DnnF16 : DnnHalf {
    static constexpr unsigned ONES = 0x3c003c00u;
    static DNN_METHOD void mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
        dnn_mma_f16(c, a, b0, b1);
    }
    static DNN_METHOD float get(const Word *p) { return dnn_of_f16(*p); }
    static DNN_METHOD void get2(const Word *p, float &v, float &w) {
        const unsigned both = *(const unsigned *)p;
        v = dnn_of_f16(both & 0xffff);
        w = dnn_of_f16(both >> 16);
    }
    static DNN_METHOD void put(Word *p, float v) { *p = dnn_f16(v); }
    static DNN_METHOD void put2(Word *p, float v, float w) { *(unsigned *)p = dnn_f16_pair(v, w); }
};

// Words of 32 bits have no transposing load: those are read one by one.
struct DnnTf32 {
    typedef float Word;
    enum { K = 8 };
    static constexpr unsigned ONES = 0x3f800000u;
    static DNN_METHOD void a(unsigned (&r)[4], const Word *p, int lead, int row, int k) {
        const int lane = dnn_thread() % 32;
        dnn_ldmatrix(r, dnn_address(p + (row + lane % 16) * lead + k + lane / 16 * 4));
    }
    static DNN_METHOD void a_turned(unsigned (&r)[4], const Word *p, int lead, int row, int k) {
        const int lane = dnn_thread() % 32;
        const Word *q = p + (k + lane % 4) * lead + row + lane / 4;
        r[0] = dnn_bits(q[0]);
        r[1] = dnn_bits(q[8]);
        r[2] = dnn_bits(q[4 * lead]);
        r[3] = dnn_bits(q[4 * lead + 8]);
    }
    static DNN_METHOD void b(unsigned (&r)[4], const Word *p, int lead, int col, int k) {
        const int lane = dnn_thread() % 32;
        dnn_ldmatrix(r, dnn_address(p + (col + lane / 16 * 8 + lane % 8) * lead + k + lane / 8 % 2 * 4));
    }
    static DNN_METHOD void b_turned(unsigned (&r)[4], const Word *p, int lead, int col, int k) {
        const int lane = dnn_thread() % 32;
        const Word *q = p + (k + lane % 4) * lead + col + lane / 4;
        r[0] = dnn_bits(q[0]);
        r[1] = dnn_bits(q[4 * lead]);
        r[2] = dnn_bits(q[8]);
        r[3] = dnn_bits(q[4 * lead + 8]);
    }
    static DNN_METHOD void mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
        dnn_mma_tf32(c, a, b0, b1);
    }
    static DNN_METHOD float get(const Word *p) { return *p; }
    static DNN_METHOD void get2(const Word *p, float &v, float &w) {
        v = p[0];
        w = p[1];
    }
    static DNN_METHOD void put(Word *p, float v) { *p = dnn_tf32(v); }
    static DNN_METHOD void put2(Word *p, float v, float w) {
        put(p, v);
        put(p + 1, w);
    }
};

#endif
