// dnn_step.h: losses, the folding of partial sums, and the update.
#ifndef DNN_STEP_H
#define DNN_STEP_H

// dnn_block_sum returns to thread 0 the sum of all threads' values, in a fixed
// order.
DNN_DEVICE double dnn_block_sum(double value) {
    DNN_SHARED(double, part, DNN_THREADS);
    const int thread = dnn_thread();
    part[thread] = value;
    for (int half = DNN_THREADS / 2; half > 0; half /= 2) {
        DNN_SYNC();
        if (thread < half) part[thread] += part[thread + half];
    }
    return part[0];
}

// DnnRows is a matrix [rows, WIDTH] of float32.
template <int WIDTH> struct DnnRows {
    float *p;
    DNN_METHOD float get(long long row, int col) const { return p[row * WIDTH + col]; }
    DNN_METHOD void put(long long row, int col, float v) const { p[row * WIDTH + col] = v; }
};

// dnn_element_loss computes an element-wise loss of a block's part of raw [..,
// OUT] against y, and scale times its gradient: of the rows from row to end and of
// ACROSS columns from col on. partial gets the sum of these losses.
template <class Loss, int OUT, int ACROSS, class Grad>
DNN_DEVICE void dnn_element_loss(const float *raw, const float *y, const Grad &grad, int row, int end, int col, float scale, double *partial) {
    double sum = 0.0;
    for (int i = dnn_thread(); i < (end - row) * ACROSS; i += DNN_THREADS) {
        const int c = col + i % ACROSS;
        if (c >= OUT) continue;
        const long long r = row + i / ACROSS;
        float slope;
        sum += (double)Loss::of(raw[r * OUT + c], y[r * OUT + c], slope);
        grad.put(r, c, slope * scale);
    }
    sum = dnn_block_sum(sum);
    if (dnn_thread() == 0) *partial = sum;
}

// dnn_cross_entropy computes log(sum exp(z)) - z[class] of a block's rows of raw
// [.., OUT], and scale times its gradient exp(z)/sum exp(z) - (1 at class). A warp
// takes a row, the first of them row, and those at the distance stride before end.
// partial gets the sum of these losses.
template <int OUT, class Grad>
DNN_DEVICE void dnn_cross_entropy(const float *raw, const float *y, const Grad &grad, int row, int end, int stride, float scale,
                                  double *partial) {
    const int lane = dnn_thread() % 32;
    double loss = 0.0;
    for (row += dnn_thread() / 32; row < end; row += stride) {
        const float *z = raw + (long long)row * OUT;
        const int hit = (int)dnn_bits(y[row]);
        float top = dnn_float(0xff800000u);
        for (int i = lane; i < OUT; i += 32) top = z[i] > top ? z[i] : top;
        for (int mask = 16; mask > 0; mask /= 2) {
            const float other = DNN_SHUFFLE(top, mask);
            top = other > top ? other : top;
        }
        float sum = 0.0f;
        for (int i = lane; i < OUT; i += 32) sum += dnn_exp(z[i] - top);
        for (int mask = 16; mask > 0; mask /= 2) sum += DNN_SHUFFLE(sum, mask);
        const float factor = scale / sum;
        for (int i = lane; i < OUT; i += 32) grad.put(row, i, dnn_fma(dnn_exp(z[i] - top), factor, i == hit ? -scale : 0.0f));
        if (lane == 0) loss += ((double)top - (double)z[hit]) + (double)dnn_log(sum);
    }
    loss = dnn_block_sum(loss);
    if (dnn_thread() == 0) *partial = loss;
}

// dnn_loss_sum adds the blocks' losses, in order, to the step's.
DNN_DEVICE void dnn_loss_sum(const double *partial, int blocks, bool first, double *loss) {
    double sum = 0.0;
    for (int i = dnn_thread(); i < blocks; i += DNN_THREADS) sum += partial[i];
    sum = dnn_block_sum(sum);
    if (dnn_thread() == 0) *loss = first ? sum : *loss + sum;
}

// dnn_finite is false for NaN and the infinities.
DNN_DEVICE bool dnn_finite(double v) { return v - v == 0.0; }

// dnn_fold sums column block.x of partial [count, width] for the gradient of a
// learned parameter. Where it is not finite, bad is set, unless it is 0.
DNN_DEVICE void dnn_fold(const DnnBlock &block, const float *partial, int count, int width, bool replace, float *grad, float *bad) {
    const int column = block.x;
    double sum = 0.0;
    for (int i = dnn_thread(); i < count; i += DNN_THREADS) sum += (double)partial[(long long)i * width + column];
    sum = dnn_block_sum(sum);
    if (dnn_thread() != 0) return;
    const float v = replace ? (float)sum : grad[column] + (float)sum;
    grad[column] = v;
    if (bad && v - v != 0.0f) *bad = 1.0f;
}

// DnnTensor says where a parameter and the parts of its gradient lie, and
// which block of the update is its first.
struct DnnTensor {
    long long param, grad;
    int size, parts, block;
};

// DnnScaling is the scale of the loss's gradient, which keeps gradients within
// the range of 16 bits, and how it changes: it is halved where a gradient was not
// finite, and doubled after many steps in which all were.
struct DnnScaling {
    float scale;
    float bad;    // not 0: a gradient of this step is not finite
    int good;     // steps since the scale last changed
    int left_out; // steps whose update was left out
};

// dnn_rescale ends a step. The constants are those of PyTorch's GradScaler
// (torch.amp, growth_factor, backoff_factor, growth_interval).
DNN_DEVICE void dnn_rescale(DnnScaling *s, const double *loss) {
    if (dnn_thread() != 0) return;
    const bool bad = s->bad != 0.0f;
    s->bad = 0.0f;
    if (!dnn_finite(*loss)) return;
    if (bad) {
        s->scale *= 0.5f;
        s->good = 0;
        s->left_out++;
    } else if (++s->good == 2000) {
        s->scale *= 2.0f;
        s->good = 0;
    }
}

// DnnKeepNothing is for precisions whose operands are the parameters themselves.
struct DnnKeepNothing {
    DNN_METHOD void put(float *, int, int, float) const {}
};

// dnn_parts adds up parts, size apart, in their order; it reads 16 at a time.
DNN_DEVICE float dnn_parts(const float *first, int parts, int size) {
    float sum = first[0];
    int part = 1;
    for (; part + 16 <= parts; part += 16) {
        float v[16];
        DNN_UNROLL
        for (int i = 0; i < 16; i++) v[i] = first[(long long)(part + i) * size];
        DNN_UNROLL
        for (int i = 0; i < 16; i++) sum += v[i];
    }
    for (; part < parts; part++) sum += first[(long long)part * size];
    return sum;
}

// dnn_update applies the rule to EACH elements of a thread, of one tensor, unless
// the loss is not finite, or with a scaling a gradient. Slots of states follow the
// parameters at the distance slot; keep gets each new parameter.
template <class Rule, int TENSORS, int EACH, class Keep>
DNN_DEVICE void dnn_update(const DnnTensor *tensors, float *m, const double *loss, const float *scalars, long long params,
                           long long slot, const Keep &keep, const DnnScaling *scaling) {
    if (!dnn_finite(*loss) || (scaling && scaling->bad != 0.0f)) return;
    int t = 0;
    while (t + 1 < TENSORS && tensors[t + 1].block <= dnn_block_x()) t++;
    const DnnTensor tensor = tensors[t];
    const int start = (dnn_block_x() - tensor.block) * EACH * DNN_THREADS + dnn_thread();
    DNN_UNROLL
    for (int k = 0; k < EACH; k++) {
        const int i = start + k * DNN_THREADS;
        if (i < tensor.size) {
            float g = dnn_parts(m + tensor.grad + i, tensor.parts, tensor.size);
            if (scaling) g /= scaling->scale;
            float *const at = m + params + tensor.param + i;
            Rule::apply(at, slot, g, scalars);
            keep.put(m, t, i, *at);
        }
    }
}

#endif
