// dnn_fused.h: a training pass as one kernel. A block takes a tile of rows
// through all layers and back; what is between two layers lies in shared memory
// as rows of the precision P, filled up with zeros to a multiple of 16 columns.
//
// A tile of ROWS rows is 16 rows for each of ROWS/16 groups of warps; the warps
// of a group share the columns, 16 at a time. All but gradients of weights is
// done to a group's rows by the group alone.
#ifndef DNN_FUSED_H
#define DNN_FUSED_H

#define DNN_WARPS (DNN_THREADS / 32)

// DnnLane is where a thread stands: its group, its number in it, its warp's part
// of the columns, and its place in a fragment: row g and columns 2*t, 2*t + 1 of 8.
template <int ROWS> struct DnnLane {
    enum { GROUPS = ROWS / 16, SHARE = DNN_WARPS / GROUPS, THREADS = 32 * SHARE };
    int group, index, part, g, t;
    DNN_METHOD DnnLane() {
        group = dnn_thread() / THREADS;
        index = dnn_thread() % THREADS;
        part = index / 32;
        g = index % 32 / 4;
        t = index % 4;
    }
};

// dnn_keep_matrix copies a weight [OUT, IN] to shared memory [rows, LEAD], with
// zeros around it.
template <class P, int OUT, int IN, int LEAD> DNN_DEVICE void dnn_keep_matrix(typename P::Word *to, const float *from) {
    const int half = LEAD / 2, rows = (OUT + 15) / 16 * 16;
    for (int i = dnn_thread(); i < rows * half; i += DNN_THREADS) {
        const int row = i / half, col = i % half * 2;
        const float *p = from + (long long)row * IN + col;
        P::put2(to + row * LEAD + col, row < OUT && col < IN ? p[0] : 0.0f, row < OUT && col + 1 < IN ? p[1] : 0.0f);
    }
}

// dnn_keep_vector copies N numbers, with zeros up to a multiple of 16.
template <int N> DNN_DEVICE void dnn_keep_vector(float *to, const float *from) {
    for (int i = dnn_thread(); i < (N + 15) / 16 * 16; i += DNN_THREADS) to[i] = i < N ? from[i] : 0.0f;
}

// Two numbers that are read at once.
struct __attribute__((aligned(8))) DnnPair {
    float first, second;
};

// dnn_rows_in gathers a tile of a batch of rows [IN] into shared memory [ROWS,
// LEAD], with zeros behind the last row and column. A thread reads EACH pairs
// before it writes the first.
template <class P, int ROWS, int IN, int LEAD>
DNN_DEVICE void dnn_rows_in(typename P::Word *to, const DnnBatch &batch, int row, int rows) {
    enum { HALF = (IN + 15) / 16 * 8, ALL = 16 * HALF, STEP = DnnLane<ROWS>::THREADS, TURNS = (ALL + STEP - 1) / STEP, EACH = TURNS < 8 ? TURNS : 8 };
    const DnnLane<ROWS> at;
    row += at.group * 16;
    to += at.group * 16 * LEAD;
    for (int turn = 0; turn < TURNS; turn += EACH) {
        DnnPair v[EACH];
        DNN_UNROLL
        for (int k = 0; k < EACH; k++) {
            const int i = (turn + k) * STEP + at.index, r = i / HALF, col = i % HALF * 2;
            const bool inside = i < ALL && row + r < rows;
            const float *p = batch.x + (inside ? batch.row(row + r) : 0) * IN + col;
            v[k].first = v[k].second = 0.0f;
            if (IN % 2 == 0) {
                if (inside && col < IN) v[k] = *(const DnnPair *)p;
            } else {
                if (inside && col < IN) v[k].first = p[0];
                if (inside && col + 1 < IN) v[k].second = p[1];
            }
        }
        DNN_UNROLL
        for (int k = 0; k < EACH; k++) {
            const int i = (turn + k) * STEP + at.index;
            if (i < ALL) P::put2(to + i / HALF * LEAD + i % HALF * 2, v[k].first, v[k].second);
        }
    }
}

// dnn_rows_ahead has another tile's rows of from [.., WIDTH] fetched to the
// cache, in lines of 32 numbers.
template <int ROWS, int WIDTH> DNN_DEVICE void dnn_rows_ahead(const float *from, const DnnBatch &batch, int row, int rows) {
    // Others than whole lines, or parts of one, may begin anywhere in a line.
    enum { LINES = 32 % WIDTH == 0 ? 1 : WIDTH % 32 == 0 ? WIDTH / 32 : (WIDTH + 30) / 32 + 1 };
    for (int i = dnn_thread(); i < ROWS * LINES; i += DNN_THREADS) {
        const int r = row + i / LINES, col = i % LINES * 32;
        if (r < rows) dnn_ahead(from + batch.row(r) * WIDTH + (col < WIDTH ? col : WIDTH - 1));
    }
}

// dnn_zero_columns fills columns FROM to TO of a tile with zeros.
template <class P, int ROWS, int FROM, int TO, int LEAD> DNN_DEVICE void dnn_zero_columns(typename P::Word *p) {
    enum { HALF = (TO - FROM) / 2 };
    const DnnLane<ROWS> at;
    for (int i = at.index; i < 16 * HALF; i += DnnLane<ROWS>::THREADS)
        P::put2(p + (at.group * 16 + i / HALF) * LEAD + FROM + i % HALF * 2, 0.0f, 0.0f);
}

// dnn_unit_sum adds a unit's values of 16 rows, in a fixed order, to the group's
// sum, which belongs to one thread.
DNN_DEVICE void dnn_unit_sum(float *sum, float value, bool first) {
    for (int mask = 4; mask < 32; mask *= 2) value += DNN_SHUFFLE(value, mask);
    if (first) *sum += value;
}

// dnn_hand hands an epilogue two rows of a fragment's two columns. The epilogue
// returns what a learned parameter's gradient gains by each: unit by unit it goes
// to sums [groups][UNITS], else it is added to whole.
template <int ROWS, class E>
DNN_DEVICE void dnn_hand(const E &e, const DnnLane<ROWS> &at, int col, const float (&c)[4], float *sums, float &whole) {
    const int row = at.group * 16 + at.g;
    float low[2] = {0.0f, 0.0f}, high[2] = {0.0f, 0.0f};
    e.pair(row, col, c[0], c[1], low);
    e.pair(row + 8, col, c[2], c[3], high);
    if (E::SUM == DNN_WHOLE_SUM) whole += (low[0] + low[1]) + (high[0] + high[1]);
    if (E::SUM == DNN_UNIT_SUM) {
        for (int k = 0; k < 2 / E::STRIDE; k++) dnn_unit_sum(sums + at.group * E::UNITS + col / E::STRIDE + k, low[k] + high[k], at.g == 0);
    }
}

// dnn_tile_product computes a*b for a tile, and hands it to an epilogue. a is
// [ROWS, INNER] in rows of LA; b is [COLS, INNER] or, TURNED, [INNER, COLS] in
// rows of LB.
template <class P, int ROWS, int INNER, int COLS, int LA, int LB, bool TURNED, class E>
DNN_DEVICE void dnn_tile_product(const typename P::Word *a, const typename P::Word *b, const E &e, float *sums, float &whole) {
    const DnnLane<ROWS> at;
    enum { STEP = 16 * DnnLane<ROWS>::SHARE, EACH = (COLS + STEP - 1) / STEP, MANY = EACH < 4 ? EACH : 4 };
    for (int from = at.part * 16; from < COLS; from += STEP * MANY) {
        float c[MANY][2][4];
        DNN_UNROLL
        for (int j = 0; j < MANY; j++) {
            DNN_UNROLL
            for (int i = 0; i < 8; i++) c[j][i / 4][i % 4] = 0.0f;
        }
        DNN_UNROLL_BY(4)
        for (int k = 0; k < INNER; k += P::K) {
            unsigned x[4];
            P::a(x, a, LA, at.group * 16, k);
            DNN_UNROLL
            for (int j = 0; j < MANY; j++) {
                const int col = from + j * STEP;
                if (col < COLS) {
                    unsigned y[4];
                    if (TURNED)
                        P::b_turned(y, b, LB, col, k);
                    else
                        P::b(y, b, LB, col, k);
                    P::mma(c[j][0], x, y[0], y[1]);
                    P::mma(c[j][1], x, y[2], y[3]);
                }
            }
        }
        DNN_UNROLL
        for (int j = 0; j < MANY; j++) {
            const int col = from + j * STEP;
            if (col < COLS) {
                DNN_UNROLL
                for (int h = 0; h < 2; h++) dnn_hand<ROWS>(e, at, col + 8 * h + 2 * at.t, c[j][h], sums, whole);
            }
        }
    }
}

// dnn_tile_map is an epilogue alone, over COLS columns.
template <int ROWS, int COLS, class E> DNN_DEVICE void dnn_tile_map(const E &e, float *sums, float &whole) {
    const DnnLane<ROWS> at;
    const float nothing[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int col = at.part * 16; col < COLS; col += 16 * DnnLane<ROWS>::SHARE)
        for (int h = 0; h < 2; h++) dnn_hand<ROWS>(e, at, col + 8 * h + 2 * at.t, nothing, sums, whole);
}

// dnn_tile_loss computes an element-wise loss of the tile's rows of raw [ROWS,
// OUT] against the batch's targets, and scale times its gradient; rows behind the
// last have none. It returns the sum of a thread's losses. A thread reads EACH
// targets before it uses the first.
template <class P, class Loss, int ROWS, int OUT, int LR, int LG>
DNN_DEVICE double dnn_tile_loss(const float *raw, const DnnBatch &batch, typename P::Word *grad, int row, int rows, float scale) {
    enum { COLS = (OUT + 15) / 16 * 16, STEP = DnnLane<ROWS>::THREADS, TURNS = 16 * COLS / STEP, EACH = TURNS < 8 ? TURNS : 8 };
    const DnnLane<ROWS> at;
    double sum = 0.0;
    for (int turn = 0; turn < TURNS; turn += EACH) {
        float y[EACH];
        DNN_UNROLL
        for (int k = 0; k < EACH; k++) {
            const int i = (turn + k) * STEP + at.index, r = row + at.group * 16 + i / COLS, c = i % COLS;
            y[k] = r < rows && c < OUT ? batch.y[batch.row(r) * OUT + c] : 0.0f;
        }
        DNN_UNROLL
        for (int k = 0; k < EACH; k++) {
            const int i = (turn + k) * STEP + at.index, r = at.group * 16 + i / COLS, c = i % COLS;
            float slope = 0.0f;
            if (row + r < rows && c < OUT) sum += (double)Loss::of(raw[r * LR + c], y[k], slope);
            P::put(grad + r * LG + c, slope * scale);
        }
    }
    return sum;
}

// dnn_tile_cross_entropy does the same for log(sum exp(z)) - z[class]: a warp
// takes a row.
template <class P, int ROWS, int OUT, int LR, int LG>
DNN_DEVICE double dnn_tile_cross_entropy(const float *raw, const DnnBatch &batch, typename P::Word *grad, int row, int rows, float scale) {
    enum { COLS = (OUT + 15) / 16 * 16, EACH = (COLS + 31) / 32 };
    const int lane = dnn_thread() % 32;
    double loss = 0.0;
    const DnnLane<ROWS> at;
    for (int r = at.group * 16 + at.part; r < at.group * 16 + 16; r += DnnLane<ROWS>::SHARE) {
        const bool inside = row + r < rows;
        const float *z = raw + r * LR;
        float e[EACH], top = dnn_float(0xff800000u), sum = 0.0f;
        DNN_UNROLL
        for (int k = 0; k < EACH; k++) {
            const int i = lane + 32 * k;
            e[k] = i < OUT ? z[i] : dnn_float(0xff800000u);
            top = e[k] > top ? e[k] : top;
        }
        for (int mask = 16; mask > 0; mask /= 2) {
            const float other = DNN_SHUFFLE(top, mask);
            top = other > top ? other : top;
        }
        DNN_UNROLL
        for (int k = 0; k < EACH; k++) {
            e[k] = lane + 32 * k < OUT ? dnn_exp(e[k] - top) : 0.0f;
            sum += e[k];
        }
        for (int mask = 16; mask > 0; mask /= 2) sum += DNN_SHUFFLE(sum, mask);
        const int hit = inside ? (int)dnn_bits(batch.y[batch.row(row + r)]) : 0;
        DNN_UNROLL
        for (int k = 0; k < EACH; k++) {
            const int i = lane + 32 * k;
            if (i < COLS) P::put(grad + r * LG + i, inside && i < OUT ? scale * (e[k] / sum - (i == hit ? 1.0f : 0.0f)) : 0.0f);
        }
        if (inside && lane == 0) loss += ((double)top - (double)z[hit]) + (double)dnn_log(sum);
    }
    return loss;
}

// dnn_gain adds to a gradient, or replaces it. Where it is not finite, bad is set,
// unless it is 0.
DNN_DEVICE void dnn_gain(float *to, float value, bool replace, float *bad) {
    const float v = replace ? value : *to + value;
    *to = v;
    if (bad && v - v != 0.0f) *bad = 1.0f;
}

// DnnGrad is a block's gradient of a weight [OUT, IN], dz^T*x over all its rows,
// and with BIAS the sums of dz's columns, as products with ones. Tiles of 16 by
// 16 are shared by WM by WN warps, TM by TN for each, and stay in registers.
template <class P, int ROWS, int OUT, int IN, int LZ, int LX, bool BIAS, int WM, int WN, int TM, int TN> struct DnnGrad {
    float w[TM][TN][2][4], b[BIAS ? TM : 1][4];

    DNN_METHOD DnnGrad() {
        DNN_UNROLL
        for (int i = 0; i < TM; i++) {
            DNN_UNROLL
            for (int j = 0; j < TN; j++) {
                DNN_UNROLL
                for (int k = 0; k < 8; k++) w[i][j][k / 4][k % 4] = 0.0f;
            }
            DNN_UNROLL
            for (int k = 0; BIAS && k < 4; k++) b[i][k] = 0.0f;
        }
    }
    // add adds a tile of rows.
    DNN_METHOD void add(const typename P::Word *dz, const typename P::Word *x) {
        const int warp = dnn_thread() / 32, wm = warp / WN, wn = warp % WN;
        DNN_UNROLL_BY(2)
        for (int k = 0; k < ROWS; k += P::K) {
            unsigned y[TN][4];
            DNN_UNROLL
            for (int j = 0; j < TN; j++)
                if (16 * (wn + j * WN) < IN) P::b_turned(y[j], x, LX, 16 * (wn + j * WN), k);
            DNN_UNROLL
            for (int i = 0; i < TM; i++) {
                if (16 * (wm + i * WM) < OUT) {
                    unsigned z[4];
                    P::a_turned(z, dz, LZ, 16 * (wm + i * WM), k);
                    DNN_UNROLL
                    for (int j = 0; j < TN; j++) {
                        if (16 * (wn + j * WN) < IN) {
                            P::mma(w[i][j][0], z, y[j][0], y[j][1]);
                            P::mma(w[i][j][1], z, y[j][2], y[j][3]);
                        }
                    }
                    if (BIAS && wn == 0) P::mma(b[BIAS ? i : 0], z, P::ONES, P::ONES);
                }
            }
        }
    }
    // write adds the sums to the block's parts, or replaces these.
    DNN_METHOD void write(float *dw, float *db, bool replace, float *bad) const {
        const int warp = dnn_thread() / 32, wm = warp / WN, wn = warp % WN;
        const int g = dnn_thread() % 32 / 4, t = dnn_thread() % 4;
        DNN_UNROLL
        for (int i = 0; i < TM; i++) {
            DNN_UNROLL
            for (int high = 0; high < 2; high++) {
                const int o = 16 * (wm + i * WM) + g + 8 * high;
                DNN_UNROLL
                for (int j = 0; j < 4 * TN; j++) {
                    const int c = 16 * (wn + j / 4 * WN) + j / 2 % 2 * 8 + 2 * t + j % 2;
                    if (o < OUT && c < IN) dnn_gain(dw + (long long)o * IN + c, w[i][j / 4][j / 2 % 2][2 * high + j % 2], replace, bad);
                }
                if (BIAS && wn == 0 && t == 0 && o < OUT) dnn_gain(db + o, b[BIAS ? i : 0][2 * high], replace, bad);
            }
        }
    }
};

// DnnFarGrad is DnnGrad for a weight that is too large for registers: each tile
// of rows is added to the block's part in memory, 16 rows and 64 columns at a
// time. A number belongs to one thread.
template <class P, int ROWS, int OUT, int IN, int LZ, int LX, bool BIAS> struct DnnFarGrad {
    static DNN_METHOD void add(const typename P::Word *dz, const typename P::Word *x, float *dw, float *db, float *bad) {
        enum { WIDE = (IN + 63) / 64, TALL = (OUT + 15) / 16 };
        const int g = dnn_thread() % 32 / 4, t = dnn_thread() % 4;
        for (int unit = dnn_thread() / 32; unit < TALL * WIDE; unit += DNN_WARPS) {
            const int row = unit / WIDE * 16, col = unit % WIDE * 64;
            float w[4][2][4], b[4] = {0.0f, 0.0f, 0.0f, 0.0f};
            DNN_UNROLL
            for (int k = 0; k < 32; k++) w[k / 8][k / 4 % 2][k % 4] = 0.0f;
            DNN_UNROLL_BY(2)
            for (int k = 0; k < ROWS; k += P::K) {
                unsigned z[4];
                P::a_turned(z, dz, LZ, row, k);
                DNN_UNROLL
                for (int j = 0; j < 4; j++) {
                    if (col + 16 * j < IN) {
                        unsigned y[4];
                        P::b_turned(y, x, LX, col + 16 * j, k);
                        P::mma(w[j][0], z, y[0], y[1]);
                        P::mma(w[j][1], z, y[2], y[3]);
                    }
                }
                if (BIAS && col == 0) P::mma(b, z, P::ONES, P::ONES);
            }
            DNN_UNROLL
            for (int high = 0; high < 2; high++) {
                const int o = row + g + 8 * high;
                DNN_UNROLL
                for (int j = 0; j < 16; j++) {
                    const int c = col + j / 2 * 8 + 2 * t + j % 2;
                    if (o < OUT && c < IN) dnn_gain(dw + (long long)o * IN + c, w[j / 4][j / 2 % 2][2 * high + j % 2], false, bad);
                }
                if (BIAS && col == 0 && t == 0 && o < OUT) dnn_gain(db + o, b[2 * high], false, bad);
            }
        }
    }
};

// dnn_set sets numbers of shared memory, or of the block's part of a
// gradient.
DNN_DEVICE void dnn_set(float *p, int n, float value) {
    for (int i = dnn_thread(); i < n; i += DNN_THREADS) p[i] = value;
}

// dnn_unit_gain adds the groups' sums [GROUPS, UNITS] to a gradient [n], or
// replaces it.
template <int GROUPS, int UNITS> DNN_DEVICE void dnn_unit_gain(const float *sums, int n, float *to, bool replace, float *bad) {
    for (int i = dnn_thread(); i < n; i += DNN_THREADS) {
        float sum = 0.0f;
        for (int group = 0; group < GROUPS; group++) sum += sums[group * UNITS + i];
        dnn_gain(to + i, sum, replace, bad);
    }
}

#endif
