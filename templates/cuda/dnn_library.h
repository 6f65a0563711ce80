// dnn_library.h: what stands around a product that a library makes.
#ifndef DNN_LIBRARY_H
#define DNN_LIBRARY_H

// dnn_epilogue is what dnn_linear does after the product z [rows, cols].
template <int TM, int TN, class Epilogue>
DNN_DEVICE void dnn_epilogue(const DnnBlock &block, const float *z, int rows, int cols, const Epilogue &epilogue, float *partial) {
    const int row = block.x * 16 * TM, col = block.y * 16 * TN;
    const int tx = dnn_thread() % 16, ty = dnn_thread() / 16;
    float acc[TM][TN];
    DNN_UNROLL
    for (int i = 0; i < TM; i++) {
        const int r = row + dnn_place<TM>(ty, i);
        DNN_UNROLL
        for (int j = 0; j < TN; j++) {
            const int c = col + dnn_place<TN>(tx, j);
            acc[i][j] = r < rows && c < cols ? z[(long long)r * cols + c] : 0.0f;
        }
    }
    dnn_apply(block, epilogue, row, rows, col, acc, partial);
}

// dnn_clear_tail zeroes rows of WORDS float32 from row rows on, up to BATCH: a
// library's product over the batch adds them up, too, and they hold what was
// left there before.
template <int BATCH, int WORDS> DNN_DEVICE void dnn_clear_tail(float *p, int rows) {
    const long long all = (long long)(BATCH - rows) * WORDS, stride = (long long)dnn_grid_x() * DNN_THREADS;
    float *const tail = p + (long long)rows * WORDS;
    for (long long i = (long long)dnn_block_x() * DNN_THREADS + dnn_thread(); i < all; i += stride) tail[i] = 0.0f;
}

// dnn_column_sums adds up the columns of a matrix [rows, OUT], in parts of so many
// rows, to to [parts][OUT]: a block takes 32 columns of a part, in an order that
// depends on the part alone. Where a sum is not finite, bad is set, unless it is 0.
template <int OUT, class Matrix> DNN_DEVICE void dnn_column_sums(const Matrix &from, int rows, int part, float *to, float *bad) {
    DNN_SHARED(float, sums, DNN_THREADS);
    const int thread = dnn_thread(), col = dnn_block_x() * 32 + thread % 32;
    const int first = dnn_block_z() * part, end = first + part < rows ? first + part : rows;
    float sum = 0.0f;
    if (col < OUT) {
        for (int r = first + thread / 32; r < end; r += DNN_THREADS / 32) sum += from.get(r, col);
    }
    sums[thread] = sum;
    DNN_SYNC();
    if (thread >= 32 || col >= OUT) return;
    for (int k = 1; k < DNN_THREADS / 32; k++) sum += sums[k * 32 + thread];
    to[(long long)dnn_block_z() * OUT + col] = sum;
    if (bad && sum - sum != 0.0f) *bad = 1.0f;
}

// dnn_note_infinite sets bad where one of so many numbers is not finite.
DNN_DEVICE void dnn_note_infinite(const float *p, int count, float *bad) {
    const int stride = dnn_grid_x() * DNN_THREADS;
    bool finite = true;
    for (long long i = dnn_block_x() * DNN_THREADS + dnn_thread(); i < count; i += stride) finite = finite && p[i] - p[i] == 0.0f;
    if (!finite) *bad = 1.0f;
}

#endif
