// dnn_gemm.h: matrix products by tiles on tensor cores, with what is to be done
// to their elements while these are still in registers, as dnn_tile.h has it.
//
// A block of 256 threads makes a tile of BM rows and BN columns. It walks the
// inner dimension in slabs of 64 bytes, of which two are on their way from
// memory while a third is multiplied. Operands stand in memory as a precision P
// has them, with rows that begin at multiples of 16 bytes.
#ifndef DNN_GEMM_H
#define DNN_GEMM_H

// DnnUnits hands an epilogue two neighbouring columns: as the one or two units that
// they are, or with PAIRS as a pair.
template <bool PAIRS> struct DnnUnits {
    template <class Epilogue> static DNN_METHOD void apply(const Epilogue &epilogue, int row, int unit, const float *acc, float *sums) {
        DNN_UNROLL
        for (int u = 0; u < 2 / Epilogue::STRIDE; u++) {
            if (unit + u < Epilogue::WIDTH) sums[u] += epilogue.unit(row, unit + u, acc + u);
        }
    }
};
template <> struct DnnUnits<true> {
    template <class Epilogue> static DNN_METHOD void apply(const Epilogue &epilogue, int row, int unit, const float *acc, float *sums) {
        if (unit + 1 < Epilogue::WIDTH)
            epilogue.pair(row, unit, acc, sums);
        else if (unit < Epilogue::WIDTH)
            sums[0] += epilogue.unit(row, unit, acc);
    }
};

// DnnGemm is a product of a, [rows][inner] or turned [inner][rows], and b,
// [columns][inner] or turned [inner][columns]. The kernel asks for BYTES of
// dynamic shared memory.
template <class P, int BM, int BN, bool A_TURNED, bool B_TURNED> struct DnnGemm {
    typedef typename P::Word Word;
    static constexpr int CHUNK = 16 / (int)sizeof(Word); // Words that are copied at once
    static constexpr int SLAB = 64 / (int)sizeof(Word);
    static constexpr int STAGES = 3;
    // Warps stand in WM rows and WN columns. Where these are four, there are two such
    // teams, of which each takes every other step of the inner dimension: the larger a
    // warp's part of the tile, the less it reads of shared memory for each product.
    static constexpr int WN = BN == 128 ? 4 : 2;
    static constexpr int WM = BM == 128 && BN < 128 ? 4 : 2;
    static constexpr int WARPS = WM * WN, TEAMS = DNN_THREADS / 32 / WARPS;
    // A warp has MT by NT fragments of 16 rows and 8 columns.
    static constexpr int MT = BM / WM / 16, NT = BN / WN / 8;
    static constexpr int LEAD_A = A_TURNED ? BM + 8 : SLAB + CHUNK;
    static constexpr int LEAD_B = B_TURNED ? BN + 8 : SLAB + CHUNK;
    static constexpr int SIZE_A = A_TURNED ? SLAB * LEAD_A : BM * LEAD_A;
    static constexpr int SIZE_B = B_TURNED ? SLAB * LEAD_B : BN * LEAD_B;
    static constexpr int BYTES = STAGES * (SIZE_A + SIZE_B) * (int)sizeof(Word);

    float acc[MT][NT][4];
    float sums[MT][4]; // of the rows of a, in every column

    // fill begins to copy a slab: WIDTH rows of it, or turned WIDTH columns, with
    // zeros behind the end of the inner dimension.
    template <int WIDTH, bool TURNED, int LEAD>
    static DNN_METHOD void fill(Word *to, const Word *from, int lead, int outer, int outers, int inner, int end) {
        const int ACROSS = (TURNED ? WIDTH : SLAB) / CHUNK, ALL = WIDTH * SLAB / CHUNK;
        DNN_UNROLL
        for (int s = 0; s < (ALL + DNN_THREADS - 1) / DNN_THREADS; s++) {
            const int i = s * DNN_THREADS + dnn_thread();
            if (ALL % DNN_THREADS != 0 && i >= ALL) break;
            const int line = i / ACROSS, at = i % ACROSS * CHUNK;
            const int o = outer + (TURNED ? at : line), k = inner + (TURNED ? line : at);
            const bool inside = o < outers && k < end;
            const long long place = TURNED ? (long long)k * lead + o : (long long)o * lead + k;
            const int left = TURNED || end - k > CHUNK ? CHUNK : end - k;
            dnn_copy_part(dnn_address(to + line * LEAD + at), from + (inside ? place : 0), inside ? left * (int)sizeof(Word) : 0);
        }
    }

    // slab multiplies what one stage holds.
    template <bool SUMS> DNN_METHOD void slab(const Word *a, const Word *b) {
        const int warp = dnn_thread() / 32 % WARPS, team = dnn_thread() / 32 / WARPS;
        const int row = warp / WN * MT * 16, col = warp % WN * NT * 8;
        DNN_UNROLL
        for (int s = 0; s < SLAB / P::K; s += TEAMS) {
            const int k = (s + team) * P::K;
            unsigned x[MT][4], y[NT / 2][4];
            DNN_UNROLL
            for (int i = 0; i < MT; i++) {
                if (A_TURNED)
                    P::a_turned(x[i], a, LEAD_A, row + 16 * i, k);
                else
                    P::a(x[i], a, LEAD_A, row + 16 * i, k);
            }
            DNN_UNROLL
            for (int j = 0; j < NT / 2; j++) {
                if (B_TURNED)
                    P::b_turned(y[j], b, LEAD_B, col + 16 * j, k);
                else
                    P::b(y[j], b, LEAD_B, col + 16 * j, k);
            }
            DNN_UNROLL
            for (int i = 0; i < MT; i++) {
                DNN_UNROLL
                for (int j = 0; j < NT; j++) P::mma(acc[i][j], x[i], y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]);
                if (SUMS && warp % WN == 0) P::mma(sums[i], x[i], P::ONES, P::ONES);
            }
        }
    }

    // join adds what the second team has to what the first has, which then goes on
    // alone.
    template <bool SUMS> DNN_METHOD void join(float *part) {
        if (TEAMS == 1) return;
        const int thread = dnn_thread(), team = WARPS * 32;
        part += thread % team;
        DNN_SYNC(); // the last slab is read
        if (thread >= team) {
            DNN_UNROLL
            for (int i = 0; i < MT; i++) {
                DNN_UNROLL
                for (int e = 0; e < 4; e++) {
                    DNN_UNROLL
                    for (int j = 0; j < NT; j++) part[((i * NT + j) * 4 + e) * team] = acc[i][j][e];
                    if (SUMS) part[(MT * NT * 4 + i * 4 + e) * team] = sums[i][e];
                }
            }
        }
        DNN_SYNC(); // the second team's part is there
        if (thread >= team) return;
        DNN_UNROLL
        for (int i = 0; i < MT; i++) {
            DNN_UNROLL
            for (int e = 0; e < 4; e++) {
                DNN_UNROLL
                for (int j = 0; j < NT; j++) acc[i][j][e] += part[((i * NT + j) * 4 + e) * team];
                if (SUMS) sums[i][e] += part[(MT * NT * 4 + i * 4 + e) * team];
            }
        }
    }

    // run computes the tile at (row, col) over the inner range [from, to), for the
    // first team's threads. With SUMS the first column of warps adds up the rows of a.
    template <bool SUMS>
    DNN_METHOD void run(const Word *a, int lead_a, int row, int rows, const Word *b, int lead_b, int col, int cols, int from,
                        int to) {
        DNN_DYNAMIC(memory);
        Word *const stages = (Word *)memory;
        DNN_UNROLL
        for (int i = 0; i < MT; i++) {
            DNN_UNROLL
            for (int e = 0; e < 4; e++) {
                sums[i][e] = 0.0f;
                DNN_UNROLL
                for (int j = 0; j < NT; j++) acc[i][j][e] = 0.0f;
            }
        }
        const int slabs = to > from ? (to - from + SLAB - 1) / SLAB : 0;
        for (int s = -(STAGES - 1); s < slabs; s++) {
            if (s >= 0) {
                dnn_copy_wait<STAGES - 2>();
                DNN_SYNC(); // slab s is there, and slab s - 1 is read
            }
            const int next = s + STAGES - 1;
            if (next < slabs) {
                Word *const stage = stages + next % STAGES * (SIZE_A + SIZE_B);
                fill<BM, A_TURNED, LEAD_A>(stage, a, lead_a, row, rows, from + next * SLAB, to);
                fill<BN, B_TURNED, LEAD_B>(stage + SIZE_A, b, lead_b, col, cols, from + next * SLAB, to);
            }
            dnn_copy_commit();
            if (s >= 0) {
                const Word *const stage = stages + s % STAGES * (SIZE_A + SIZE_B);
                slab<SUMS>(stage, stage + SIZE_A);
            }
        }
        join<SUMS>((float *)memory);
    }

    // load takes the elements of the tile from a float32 matrix [rows, cols].
    DNN_METHOD void load(const float *z, int row, int rows, int col, int cols) {
        const int lane = dnn_thread() % 32, warp = dnn_thread() / 32;
        if (warp >= WARPS) return;
        const int top = row + warp / WN * MT * 16 + lane / 4, left = col + warp % WN * NT * 8 + lane % 4 * 2;
        DNN_UNROLL
        for (int i = 0; i < MT; i++) {
            DNN_UNROLL
            for (int j = 0; j < NT; j++) {
                DNN_UNROLL
                for (int e = 0; e < 4; e++) {
                    const int r = top + 16 * i + e / 2 * 8, c = left + 8 * j + e % 2;
                    acc[i][j][e] = r < rows && c < cols ? z[(long long)r * cols + c] : 0.0f;
                }
            }
        }
    }

    // apply hands an epilogue the elements of the tile, as dnn_apply does.
    template <class Epilogue>
    DNN_METHOD void apply(const DnnBlock &block, const Epilogue &epilogue, int row, int rows, int col, float *partial) {
        const int S = Epilogue::STRIDE, UNITS = 2 / S;
        const int thread = dnn_thread(), lane = thread % 32, warp = thread / 32;
        const int top = warp / WN * MT * 16 + lane / 4, left = warp % WN * NT * 8 + lane % 4 * 2;
        float sums[NT * UNITS];
        DNN_UNROLL
        for (int j = 0; j < NT * UNITS; j++) sums[j] = 0.0f;
        if (warp < WARPS) {
            DNN_UNROLL
            for (int i = 0; i < MT; i++) {
                DNN_UNROLL
                for (int h = 0; h < 2; h++) {
                    const int r = row + top + 16 * i + 8 * h;
                    if (r >= rows) continue;
                    DNN_UNROLL
                    for (int j = 0; j < NT; j++) {
                        const int unit = (col + left + 8 * j) / S;
                        DnnUnits<Epilogue::PAIRS>::apply(epilogue, r, unit, &acc[i][j][2 * h], sums + j * UNITS);
                    }
                }
            }
        }
        if (Epilogue::SUM == DNN_NO_SUM) return;
        if (Epilogue::SUM == DNN_UNIT_SUM) {
            DNN_SHARED(float, part, 8 * BN);
            DNN_UNROLL
            for (int j = 0; j < NT * UNITS; j++) {
                for (int mask = 4; mask < 32; mask *= 2) sums[j] += DNN_SHUFFLE(sums[j], mask);
                const int unit = (left + 8 * (j / UNITS)) / S + j % UNITS;
                if (lane < 4 && warp < WARPS) part[warp / WN * (BN / S) + unit] = sums[j];
            }
            DNN_SYNC();
            const int unit = col / S + thread;
            if (thread < BN / S && unit < Epilogue::WIDTH) {
                float sum = 0.0f;
                for (int w = 0; w < WM; w++) sum += part[w * (BN / S) + thread];
                partial[(long long)block.x * Epilogue::WIDTH + unit] = sum;
            }
            return;
        }
        DNN_SHARED(float, part, DNN_THREADS);
        float sum = 0.0f;
        for (int j = 0; j < NT * UNITS; j++) sum += sums[j];
        part[thread] = sum;
        for (int half = DNN_THREADS / 2; half > 0; half /= 2) {
            DNN_SYNC();
            if (thread < half) part[thread] += part[thread + half];
        }
        if (thread == 0) partial[(long long)block.x * block.down + block.y] = part[0];
    }
};

// dnn_tensor_linear is dnn_linear on tensor cores: rows a [rows, inner] and
// weights b, [cols][inner] or turned.
template <class P, int BM, int BN, bool TURNED, class Epilogue>
DNN_DEVICE void dnn_tensor_linear(const DnnBlock &block, const typename P::Word *a, int lead_a, const typename P::Word *b, int lead_b,
                                  int rows, int cols, int inner, const Epilogue &epilogue, float *partial) {
    const int row = block.x * BM, col = block.y * BN;
    DnnGemm<P, BM, BN, false, TURNED> gemm;
    gemm.template run<false>(a, lead_a, row, rows, b, lead_b, col, cols, 0, row < rows ? inner : 0);
    gemm.apply(block, epilogue, row, rows, col, partial);
}

// dnn_tensor_epilogue is what dnn_tensor_linear does after the product z [rows,
// cols], which a library has made.
template <class P, int BM, int BN, class Epilogue>
DNN_DEVICE void dnn_tensor_epilogue(const DnnBlock &block, const float *z, int rows, int cols, const Epilogue &epilogue, float *partial) {
    const int row = block.x * BM, col = block.y * BN;
    DnnGemm<P, BM, BN, false, false> gemm;
    gemm.load(z, row, rows, col, cols);
    gemm.apply(block, epilogue, row, rows, col, partial);
}

// dnn_tensor_gradient is dnn_weight_gradient on tensor cores: dz [rows, OUT] and
// x [rows, IN] are operands. Where an element is not finite, bad is set, unless
// it is 0.
template <class P, int BM, int BN, int OUT, int IN, bool BIAS>
DNN_DEVICE void dnn_tensor_gradient(const DnnBlock &block, const typename P::Word *dz, int lead_dz, const typename P::Word *x, int lead_x,
                                    int rows, int part, bool replace, float *dw, float *db, float *bad) {
    typedef DnnGemm<P, BM, BN, true, true> Gemm;
    const int row = block.y * BM, col = block.x * BN;
    const int from = block.z * part, end = from + part, to = end < rows ? end : rows;
    Gemm gemm;
    const bool sums = BIAS && block.x == 0;
    if (sums)
        gemm.template run<true>(dz, lead_dz, row, OUT, x, lead_x, col, IN, from, to);
    else
        gemm.template run<false>(dz, lead_dz, row, OUT, x, lead_x, col, IN, from, to);
    const int lane = dnn_thread() % 32, warp = dnn_thread() / 32;
    if (warp >= Gemm::WARPS) return;
    const int top = row + warp / Gemm::WN * Gemm::MT * 16 + lane / 4, left = col + warp % Gemm::WN * Gemm::NT * 8 + lane % 4 * 2;
    bool finite = true;
    dw += (long long)block.z * OUT * IN;
    DNN_UNROLL
    for (int i = 0; i < Gemm::MT; i++) {
        DNN_UNROLL
        for (int h = 0; h < 2; h++) {
            const int o = top + 16 * i + 8 * h;
            if (o >= OUT) continue;
            DNN_UNROLL
            for (int j = 0; j < Gemm::NT; j++) {
                DNN_UNROLL
                for (int e = 0; e < 2; e++) {
                    const int c = left + 8 * j + e;
                    if (c >= IN) continue;
                    float *g = dw + (long long)o * IN + c;
                    const float v = replace ? gemm.acc[i][j][2 * h + e] : *g + gemm.acc[i][j][2 * h + e];
                    finite = finite && v - v == 0.0f;
                    *g = v;
                }
            }
            if (sums && warp % Gemm::WN == 0 && lane % 4 == 0) {
                float *g = db + block.z * OUT + o;
                const float v = replace ? gemm.sums[i][2 * h] : *g + gemm.sums[i][2 * h];
                finite = finite && v - v == 0.0f;
                *g = v;
            }
        }
    }
    if (bad && !finite) *bad = 1.0f;
}

// DnnOperand is a matrix of operands as losses and maps read and write it: WIDTH
// numbers of a row at the distance LEAD.
template <class P, int LEAD> struct DnnOperand {
    typename P::Word *p;
    DNN_METHOD float get(long long row, int col) const { return P::get(p + row * LEAD + col); }
    DNN_METHOD void put(long long row, int col, float v) const { P::put(p + row * LEAD + col, v); }
};

// dnn_convert makes operands [rows, WIDTH] of a batch, two at a time where rows
// have an even number.
template <class P, int WIDTH, int LEAD> DNN_DEVICE void dnn_convert(const DnnBatch &batch, typename P::Word *to, int rows) {
    const int EACH = WIDTH % 2 == 0 ? 2 : 1, ACROSS = WIDTH / EACH;
    const long long all = (long long)rows * ACROSS, stride = (long long)dnn_grid_x() * DNN_THREADS;
    for (long long i = (long long)dnn_block_x() * DNN_THREADS + dnn_thread(); i < all; i += stride) {
        const int row = (int)(i / ACROSS), col = (int)(i % ACROSS) * EACH;
        const float *const from = batch.x + batch.row(row) * WIDTH + col;
        typename P::Word *const word = to + (long long)row * LEAD + col;
        if (EACH == 2)
            P::put2(word, from[0], from[1]);
        else
            P::put(word, from[0]);
    }
}

// DnnCopy says where the operands of a weight [.., width] lie, in float32 from
// the arena's start: nowhere at 0.
struct DnnCopy {
    long long at;
    int width, lead;
};

// DnnKeep writes a weight's operands as it is updated.
template <class P> struct DnnKeep {
    const DnnCopy *copies;
    DNN_METHOD void put(float *m, int tensor, int i, float w) const {
        const DnnCopy copy = copies[tensor];
        if (copy.at != 0) P::put((typename P::Word *)(m + copy.at) + (long long)(i / copy.width) * copy.lead + i % copy.width, w);
    }
};

// dnn_refresh makes the operands of all weights from the parameters.
template <class P, int TENSORS>
DNN_DEVICE void dnn_refresh(const DnnTensor *tensors, const DnnCopy *copies, float *m, long long params) {
    int t = 0;
    while (t + 1 < TENSORS && tensors[t + 1].block <= dnn_block_x()) t++;
    const DnnTensor tensor = tensors[t];
    const DnnKeep<P> keep = {copies};
    const int start = (dnn_block_x() - tensor.block) * 1024 + dnn_thread();
    for (int k = 0; k < 4; k++) {
        const int i = start + k * DNN_THREADS;
        if (i < tensor.size) keep.put(m, t, i, m[params + tensor.param + i]);
    }
}

#endif
