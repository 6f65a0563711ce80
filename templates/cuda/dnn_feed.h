// dnn_feed.h: many steps in one launch. The host lays a table with an entry for
// each pass beside the training rows; before a pass its batch and what is said
// of the step are fetched by that entry, or the pass finds them itself; after it
// the next entry's turn comes. Places are distances from the arena's start, in
// float32.
#ifndef DNN_FEED_H
#define DNN_FEED_H

// DnnFeed is what the host says about a launch.
struct DnnFeed {
    long long table;  // the entries; 0: the batch stands in the arena
    long long order;  // int32, which row is which; 0: rows follow each other
    long long losses; // a float64 for each step
    int entry;        // whose turn it is
    int passes;       // of a step
    int halted;       // set by a loss that is not finite
    int spare;
};

// DnnEntry begins an entry. What dnn_step.h calls a step's words follow.
struct DnnEntry {
    long long x, y; // the rows and their targets
    long long row;  // the first of the pass, in the order
};

// DnnFour is what a thread moves at once.
struct alignas(16) DnnFour {
    float v[4];
};

// dnn_gather copies rows of from [.., WIDTH] to to [rows, WIDTH]: a block takes
// elements at the distance of the grid.
template <int WIDTH> DNN_DEVICE void dnn_gather(float *to, const float *from, const int *order, long long first, int rows) {
    const int FOURS = WIDTH % 4 == 0 ? 4 : 1, ACROSS = WIDTH / FOURS;
    const long long all = (long long)rows * ACROSS, stride = (long long)dnn_grid_x() * DNN_THREADS;
    for (long long i = (long long)dnn_block_x() * DNN_THREADS + dnn_thread(); i < all; i += stride) {
        const long long row = i / ACROSS, column = i % ACROSS * FOURS;
        const long long source = (order ? order[first + row] : first + row) * WIDTH + column;
        if (FOURS == 4)
            *(DnnFour *)(to + row * WIDTH + column) = *(const DnnFour *)(from + source);
        else
            to[row * WIDTH + column] = from[source];
    }
}

// dnn_entry is the entry number i of a table, whose steps have WORDS words, and
// dnn_words are these.
template <int WORDS> DNN_DEVICE const DnnEntry *dnn_entry(const float *m, const DnnFeed *feed, int i) {
    const int entryWords = sizeof(DnnEntry) / sizeof(float) + (WORDS + 1) / 2 * 2;
    return (const DnnEntry *)(m + feed->table + (long long)i * entryWords);
}
DNN_DEVICE const float *dnn_words(const DnnEntry *entry) { return (const float *)(entry + 1); }

// DnnBatch is where the rows and the targets of a pass lie, and its step's words.
struct DnnBatch {
    const float *x, *y, *step;
    const int *order; // which row is which; 0: they follow each other
    DNN_METHOD long long row(int i) const { return order ? order[i] : i; }
};

// dnn_batch finds the batch of a pass that gathers it itself: by its entry in
// the table, or at x, y and step. Kernels that follow find the words at step.
// After a halt it is the place of the batch whose loss was not finite, where rows that
// stream may have made way for others.
template <int IN, int OUT, int WORDS>
DNN_DEVICE DnnBatch dnn_batch(const float *m, const DnnFeed *feed, const float *x, const float *y, float *step) {
    DnnBatch batch = {x, y, step, (const int *)0};
    if (feed->table == 0) return batch;
    const DnnEntry *entry = dnn_entry<WORDS>(m, feed, feed->entry - feed->halted);
    batch.x = m + entry->x;
    batch.y = m + entry->y;
    batch.step = dnn_words(entry);
    if (feed->order) {
        batch.order = (const int *)(m + feed->order) + entry->row;
    } else {
        batch.x += entry->row * IN;
        batch.y += entry->row * OUT;
    }
    if (dnn_block_x() == 0 && dnn_thread() < WORDS) step[dnn_thread()] = batch.step[dnn_thread()];
    return batch;
}

// dnn_fetch makes the entry's batch x [rows, IN], y [rows, OUT] and WORDS words
// of the step. After a halt it leaves all as it was: every pass to come repeats
// the one whose loss was not finite, which changes nothing.
template <int IN, int OUT, int WORDS>
DNN_DEVICE void dnn_fetch(float *m, const DnnFeed *feed, float *x, float *y, float *step) {
    if (feed->halted) return;
    const DnnEntry *entry = dnn_entry<WORDS>(m, feed, feed->entry);
    const float *words = dnn_words(entry);
    const int *order = feed->order ? (const int *)(m + feed->order) : (const int *)0;
    dnn_gather<IN>(x, m + entry->x, order, entry->row, dnn_rows(words));
    dnn_gather<OUT>(y, m + entry->y, order, entry->row, dnn_rows(words));
    if (dnn_block_x() == 0 && dnn_thread() < WORDS) step[dnn_thread()] = words[dnn_thread()];
}

// dnn_halted tells that a loss of this table was not finite. From then on no pass begins
// the step's sum of losses anew: it stays what is not finite, whatever a pass is made
// of, and so nothing is updated.
DNN_DEVICE bool dnn_halted(const DnnFeed *feed) { return feed->table != 0 && feed->halted; }

// dnn_advance gives the turn to the next entry, once the pass's losses are added
// up. At the end of a step it notes the loss.
DNN_DEVICE void dnn_advance(float *m, DnnFeed *feed, const double *loss) {
    if (dnn_thread() != 0 || feed->table == 0 || feed->halted) return;
    const int entry = feed->entry;
    feed->entry = entry + 1;
    if ((entry + 1) % feed->passes != 0) return;
    ((double *)(m + feed->losses))[entry / feed->passes] = *loss;
    if (!dnn_finite(*loss)) feed->halted = 1;
}

#endif
