// dnn_emu_mma.cpp does what tensor cores, and the instructions that feed them,
// do: a warp's lanes bring registers, and get them back as the PTX ISA has it.
#include "dnn_emu_mma.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const int lanes = 32;

static float number(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint32_t bitsOf(float v) {
    uint32_t u;
    memcpy(&u, &v, 4);
    return u;
}

unsigned short dnn_bf16(float v) {
    if (v != v) return 0x7fff;
    const uint32_t u = bitsOf(v);
    return (u + 0x7fff + (u >> 16 & 1)) >> 16; // what is too large becomes infinity by itself
}

unsigned short dnn_f16(float v) {
    if (v != v) return 0x7fff;
    const unsigned short sign = bitsOf(v) >> 16 & 0x8000;
    const double size = fabs((double)v);
    if (size >= 65520) return sign | 0x7c00;
    int exponent;
    frexp(size, &exponent); // size is in [2^(exponent-1), 2^exponent)
    // Zero and denormal numbers are multiples of 2^-24.
    if (size == 0 || exponent < -13) exponent = -13;
    const double units = nearbyint(ldexp(size, 11 - exponent));
    // Carries go from the fraction into the exponent by themselves.
    return sign | (unsigned short)(((exponent + 13) << 10) + (int)units);
}

float dnn_of_f16(unsigned short h) {
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    float v = exponent == 31 ? (fraction ? NAN : INFINITY)
              : exponent     ? ldexpf(1024 + fraction, exponent - 25)
                             : ldexpf(fraction, -24);
    return h & 0x8000 ? -v : v;
}

// With DNN_EMU_EXACT tf32 is float32: a kernel's plan can then be told from its
// rounding.
#if defined(DNN_EMU_EXACT)
float dnn_tf32(float v) { return v; }
static float tf32(uint32_t word) { return number(word); }
#else
float dnn_tf32(float v) {
    if (v != v) return number(0x7fffffff);
    return number((bitsOf(v) + 0x1000) & ~0x1fffu);
}
// The hardware does not look at the lower 13 bits.
static float tf32(uint32_t word) { return number(word & ~0x1fffu); }
#endif

struct Load {
    unsigned *r;
    DnnAddress row;
};

template <bool turned> static void ldmatrix(void *const *warp) {
    for (int l = 0; l < lanes; l++) {
        const DnnAddress row = ((Load *)warp[l])->row;
        if ((uintptr_t)row % 16 != 0) return dnn_emu_fail("ldmatrix: an address that is no multiple of 16");
        if (!dnn_emu_inside(row, 16)) return dnn_emu_fail("ldmatrix: an address outside shared memory");
    }
    for (int i = 0; i < 4; i++) {
        uint16_t m[8][8];
        for (int j = 0; j < 8; j++) memcpy(m[j], ((Load *)warp[8 * i + j])->row, 16);
        for (int l = 0; l < lanes; l++) {
            const int g = l / 4, t = l % 4;
            const uint16_t low = turned ? m[2 * t][g] : m[g][2 * t], high = turned ? m[2 * t + 1][g] : m[g][2 * t + 1];
            ((Load *)warp[l])->r[i] = low | (uint32_t)high << 16;
        }
    }
}

void dnn_emu_ldmatrix(unsigned *r, DnnAddress row, bool turned) {
    Load l = {r, row};
    dnn_emu_together(turned ? ldmatrix<true> : ldmatrix<false>, &l, __builtin_return_address(0), "ldmatrix", 0);
}

struct Product {
    float *c;
    unsigned a[4], b[2];
    DnnEmuType type;
};

// half is one of the two numbers in a word.
static float half(uint32_t word, int which, DnnEmuType type) {
    const uint16_t h = word >> 16 * which;
    return type == DNN_EMU_BF16 ? number((uint32_t)h << 16) : dnn_of_f16(h);
}

// product sums in float32, k upwards; the products are exact. A device may
// round otherwise: the PTX ISA leaves it open.
static void product(void *const *warp) {
    const DnnEmuType type = ((Product *)warp[0])->type;
    const int K = type == DNN_EMU_TF32 ? 8 : 16;
    float a[16][16], b[16][8];
    for (int l = 0; l < lanes; l++) {
        const Product *p = (Product *)warp[l];
        const int g = l / 4, t = l % 4;
        for (int i = 0; i < 4; i++) {
            const int row = g + i % 2 * 8;
            if (type == DNN_EMU_TF32)
                a[row][t + i / 2 * 4] = tf32(p->a[i]);
            else
                for (int h = 0; h < 2; h++) a[row][2 * t + i / 2 * 8 + h] = half(p->a[i], h, type);
        }
        for (int i = 0; i < 2; i++) {
            if (type == DNN_EMU_TF32)
                b[t + i * 4][g] = tf32(p->b[i]);
            else
                for (int h = 0; h < 2; h++) b[2 * t + i * 8 + h][g] = half(p->b[i], h, type);
        }
    }
    for (int l = 0; l < lanes; l++) {
        float *c = ((Product *)warp[l])->c;
        for (int i = 0; i < 4; i++) {
            const int row = l / 4 + i / 2 * 8, col = l % 4 * 2 + i % 2;
            for (int k = 0; k < K; k++) c[i] += a[row][k] * b[k][col];
        }
    }
}

void dnn_emu_mma(float *c, const unsigned *a, unsigned b0, unsigned b1, DnnEmuType type) {
    Product p = {c, {a[0], a[1], a[2], a[3]}, {b0, b1}, type};
    dnn_emu_together(product, &p, __builtin_return_address(0), "mma", 0);
}

// Copies that each thread has begun, oldest first.
struct Copy {
    char *to;
    char data[16];
    int group;
};
static Copy copies[256][256];
static int copyCount[256], groups[256];

void dnn_copy(DnnAddress to, const void *from, bool inside) { dnn_copy_part(to, from, inside ? 16 : 0); }

void dnn_copy_part(DnnAddress to, const void *from, int bytes) {
    if (bytes < 0 || bytes > 16) return dnn_emu_fail("cp.async: not from 0 to 16 bytes");
    if ((uintptr_t)to % 16 != 0 || (uintptr_t)from % 16 != 0) return dnn_emu_fail("cp.async: an address that is no multiple of 16");
    if (!dnn_emu_inside(to, 16)) return dnn_emu_fail("cp.async: an address outside shared memory");
    const int thread = dnn_emu_place.thread;
    if (copyCount[thread] == 256) return dnn_emu_fail("cp.async: more copies at once than the emulator keeps");
    Copy *c = &copies[thread][copyCount[thread]++];
    c->to = (char *)to;
    c->group = groups[thread];
    memset(c->data, 0, 16);
    memcpy(c->data, from, bytes);
    memset(c->to, 0xff, 16);
}

void dnn_copy_commit() { groups[dnn_emu_place.thread]++; }

void dnn_emu_copy_wait(int n) {
    const int thread = dnn_emu_place.thread, last = groups[thread] - n;
    Copy *const own = copies[thread];
    int there = 0; // groups follow each other
    while (there < copyCount[thread] && own[there].group < last) {
        memcpy(own[there].to, own[there].data, 16);
        there++;
    }
    copyCount[thread] -= there;
    memmove(own, own + there, copyCount[thread] * sizeof *own);
}

void dnn_emu_end_copies() {
    for (int thread = 0; thread < 256; thread++) {
        if (copyCount[thread] > 0) dnn_emu_fail("cp.async: the block ends before its copies");
        copyCount[thread] = 0;
    }
    memset(groups, 0, sizeof groups);
}
