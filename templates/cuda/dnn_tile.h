// dnn_tile.h: matrix products by tiles, with what is to be done to their
// elements while these are still in registers.
//
// A block of 256 threads, 16 by 16, makes a tile of 16*TM rows and 16*TN
// columns. It walks the inner dimension in slabs of 16 that all threads share,
// and a thread sums TM*TN elements, each in one chain over the inner dimension:
// an element does not depend on the tile, the grid or the other rows.
#ifndef DNN_TILE_H
#define DNN_TILE_H

#define DNN_SLAB 16

// dnn_place is where element i of a thread's 1, 2, 4 or 8 stands in a tile;
// neighbours stay together in groups of up to four.
template <int T> DNN_DEVICE int dnn_place(int thread, int i) {
    return T <= 4 ? thread * T + i : (i / 4) * 64 + thread * 4 + i % 4;
}

// DnnRowMajor is an operand that stands in memory as [outer][inner]: the inner
// dimension of the product is contiguous. DnnColMajor is its transpose. LEAD
// is the distance between rows in memory.
template <int LEAD> struct DnnRowMajor {
    const float *p;
    enum { INNER_FIRST = 1 };
    DNN_METHOD float at(int outer, int inner) const { return p[(long long)outer * LEAD + inner]; }
};
template <int LEAD> struct DnnColMajor {
    const float *p;
    enum { INNER_FIRST = 0 };
    DNN_METHOD float at(int outer, int inner) const { return p[(long long)inner * LEAD + outer]; }
};

// dnn_fill copies a slab of an operand to shared memory as [16][WIDTH + 4],
// with zeros outside the matrix. Threads that follow each other read what
// follows in memory.
template <int WIDTH, class Operand>
DNN_DEVICE void dnn_fill(float *slab, const Operand &from, int outer, int outers, int inner, int inners) {
    const int thread = dnn_thread();
    DNN_UNROLL
    for (int s = 0; s < WIDTH * DNN_SLAB / DNN_THREADS; s++) {
        const int i = s * DNN_THREADS + thread;
        const int o = Operand::INNER_FIRST ? i / DNN_SLAB : i % WIDTH;
        const int k = Operand::INNER_FIRST ? i % DNN_SLAB : i / WIDTH;
        const bool inside = outer + o < outers && inner + k < inners;
        slab[k * (WIDTH + 4) + o] = inside ? from.at(outer + o, inner + k) : 0.0f;
    }
}

// dnn_product adds a*b over the inner range [from, to) to a thread's elements
// of the tile at (row, col). With SUMS the threads below 16*TM return the sums
// of their rows of a. The kernel asks for 16*(16*TM + 16*TN + 8) float32 of dynamic
// shared memory.
template <int TM, int TN, bool SUMS, class A, class B>
DNN_DEVICE float dnn_product(const A &a, const B &b, int row, int rows, int col, int cols, int from, int to,
                             float (&acc)[TM][TN]) {
    DNN_DYNAMIC(memory);
    float *const as = (float *)memory, *const bs = as + DNN_SLAB * (16 * TM + 4);
    const int thread = dnn_thread(), tx = thread % 16, ty = thread / 16;
    float sum = 0.0f;
    for (int k = from; k < to; k += DNN_SLAB) {
        dnn_fill<16 * TM>(as, a, row, rows, k, to);
        dnn_fill<16 * TN>(bs, b, col, cols, k, to);
        DNN_SYNC();
        DNN_UNROLL
        for (int s = 0; s < DNN_SLAB; s++) {
            float x[TM], y[TN];
            DNN_UNROLL
            for (int i = 0; i < TM; i++) x[i] = as[s * (16 * TM + 4) + dnn_place<TM>(ty, i)];
            DNN_UNROLL
            for (int j = 0; j < TN; j++) y[j] = bs[s * (16 * TN + 4) + dnn_place<TN>(tx, j)];
            DNN_UNROLL
            for (int i = 0; i < TM; i++) {
                DNN_UNROLL
                for (int j = 0; j < TN; j++) acc[i][j] = dnn_fma(x[i], y[j], acc[i][j]);
            }
            if (SUMS && thread < 16 * TM) sum += as[s * (16 * TM + 4) + thread];
        }
        DNN_SYNC();
    }
    return sum;
}

// dnn_zero empties a thread's elements.
template <int TM, int TN> DNN_DEVICE void dnn_zero(float (&acc)[TM][TN]) {
    DNN_UNROLL
    for (int i = 0; i < TM; i++) {
        DNN_UNROLL
        for (int j = 0; j < TN; j++) acc[i][j] = 0.0f;
    }
}

// How an epilogue's sums are taken: not at all, for each unit over all rows,
// or over everything.
enum { DNN_NO_SUM, DNN_UNIT_SUM, DNN_WHOLE_SUM };

// dnn_apply hands an epilogue the elements of a tile, Epilogue::STRIDE columns
// for each unit. Where it sums, the values it returns are added up, in an
// order that depends on the tile alone, and go to partial: [row tiles][WIDTH],
// or [row tiles][column tiles].
template <int TM, int TN, class Epilogue>
DNN_DEVICE void dnn_apply(const DnnBlock &block, const Epilogue &epilogue, int row, int rows, int col, float (&acc)[TM][TN], float *partial) {
    const int S = Epilogue::STRIDE;
    const int thread = dnn_thread(), tx = thread % 16, ty = thread / 16;
    float sums[TN / S];
    DNN_UNROLL
    for (int j = 0; j < TN / S; j++) sums[j] = 0.0f;
    DNN_UNROLL
    for (int i = 0; i < TM; i++) {
        const int r = row + dnn_place<TM>(ty, i);
        if (r < rows) {
            DNN_UNROLL
            for (int j = 0; j < TN / S; j++) {
                const int unit = (col + dnn_place<TN>(tx, j * S)) / S;
                if (unit < Epilogue::WIDTH) sums[j] += epilogue.unit(r, unit, &acc[i][j * S]);
            }
        }
    }
    if (Epilogue::SUM == DNN_NO_SUM) return;
    DNN_SHARED(float, part, 16 * 16 * TN);
    if (Epilogue::SUM == DNN_UNIT_SUM) {
        const int units = 16 * TN / S;
        for (int j = 0; j < TN / S; j++) part[ty * units + dnn_place<TN>(tx, j * S) / S] = sums[j];
        DNN_SYNC();
        const int unit = col / S + thread;
        if (thread < units && unit < Epilogue::WIDTH) {
            float sum = 0.0f;
            for (int y = 0; y < 16; y++) sum += part[y * units + thread];
            partial[(long long)block.x * Epilogue::WIDTH + unit] = sum;
        }
        return;
    }
    float sum = 0.0f;
    for (int j = 0; j < TN / S; j++) sum += sums[j];
    part[thread] = sum;
    for (int half = DNN_THREADS / 2; half > 0; half /= 2) {
        DNN_SYNC();
        if (thread < half) part[thread] += part[thread + half];
    }
    if (thread == 0) partial[(long long)block.x * block.down + block.y] = part[0];
}

// dnn_linear is a product of rows with weights, tile by tile, and an epilogue:
// block.x is the tile of rows, block.y that of columns.
template <int TM, int TN, class A, class B, class Epilogue>
DNN_DEVICE void dnn_linear(const DnnBlock &block, const A &a, const B &b, int rows, int cols, int inner, const Epilogue &epilogue, float *partial) {
    const int row = block.x * 16 * TM, col = block.y * 16 * TN;
    float acc[TM][TN];
    dnn_zero(acc);
    if (row < rows) dnn_product<TM, TN, false>(a, b, row, rows, col, cols, 0, inner, acc);
    dnn_apply(block, epilogue, row, rows, col, acc, partial);
}

// dnn_map is an epilogue alone: its elements come from memory.
template <class Epilogue> DNN_DEVICE void dnn_map(const DnnBlock &block, int rows, const Epilogue &epilogue, float *partial) {
    float acc[4][4];
    dnn_zero(acc);
    dnn_apply(block, epilogue, block.x * 64, rows, block.y * 64, acc, partial);
}

// dnn_weight_gradient computes dw [OUT, IN] = dz^T*x and, with BIAS, db [OUT],
// the sums of dz's columns, over part z of the rows, and adds them to what
// there is, or replaces it: block.x is the tile of inputs, y that of outputs.
// part is the number of rows of a part, which zeros fill up.
template <int TM, int TN, int OUT, int IN, bool BIAS>
DNN_DEVICE void dnn_weight_gradient(const DnnBlock &block, const float *dz, const float *x, int rows, int part, bool replace, float *dw,
                                    float *db) {
    const int row = block.y * 16 * TM, col = block.x * 16 * TN;
    const int from = block.z * part, end = from + part, to = end < rows ? end : rows;
    const DnnColMajor<OUT> a = {dz};
    const DnnColMajor<IN> b = {x};
    float acc[TM][TN];
    dnn_zero(acc);
    const float sum = dnn_product<TM, TN, BIAS>(a, b, row, OUT, col, IN, from, to, acc);
    const int thread = dnn_thread(), tx = thread % 16, ty = thread / 16;
    dw += (long long)block.z * OUT * IN;
    DNN_UNROLL
    for (int i = 0; i < TM; i++) {
        const int o = row + dnn_place<TM>(ty, i);
        DNN_UNROLL
        for (int j = 0; j < TN; j++) {
            const int c = col + dnn_place<TN>(tx, j);
            if (o < OUT && c < IN) {
                float *g = dw + (long long)o * IN + c;
                *g = replace ? acc[i][j] : *g + acc[i][j];
            }
        }
    }
    if (BIAS && block.x == 0 && thread < 16 * TM && row + thread < OUT) {
        float *g = db + block.z * OUT + row + thread;
        *g = replace ? sum : *g + sum;
    }
}

#endif
