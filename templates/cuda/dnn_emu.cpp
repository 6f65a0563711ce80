// dnn_emu.cpp runs the threads of emulated kernels, block after block: a fibre
// for each thread, from one barrier to the next.
#include "dnn_emu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

static const int threads = 256, lanes = 32;
static const size_t stackBytes = 256 << 10;

enum State { ready, atBarrier, atMeeting, done };

struct Fibre {
#if defined(__x86_64__)
    void *sp;
#else
    ucontext_t context;
#endif
    char *stack;
    State state;
    const void *place; // where it waits
    const char *what;  // for what, or in which file
    int line;
    DnnWork work; // what its warp will do, with
    void *lane;   // what it brings
};

DnnPlace dnn_emu_place;
static Fibre fibres[threads];
static Fibre scheduler;
static DnnKernel kernel;
static float *arena;
static char failure[256];

// leap leaves one fibre for another.
#if defined(__x86_64__)
extern "C" void dnn_emu_leap(void **from, void *to);
asm(".text\n"
    "dnn_emu_leap:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
static void leap(Fibre *from, Fibre *to) { dnn_emu_leap(&from->sp, to->sp); }
#else
static void leap(Fibre *from, Fibre *to) { swapcontext(&from->context, &to->context); }
#endif

static void suspend(State state, const void *place, const char *what, int line) {
    Fibre *f = &fibres[dnn_emu_place.thread];
    f->state = state;
    f->place = place;
    f->what = what;
    f->line = line;
    leap(f, &scheduler);
}

static void body() {
    kernel(arena);
    suspend(done, NULL, "", 0);
    abort(); // a finished thread is never resumed
}

static void start(Fibre *f) {
    if (f->stack == NULL) {
        f->stack = (char *)mmap(NULL, stackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (f->stack == MAP_FAILED) abort();
    }
    f->state = ready;
#if defined(__x86_64__)
    void **sp = (void **)(f->stack + stackBytes - 16);
    *--sp = NULL;         // where body would return to
    *--sp = (void *)body; // where the first leap returns to
    for (int i = 0; i < 6; i++) *--sp = NULL;
    f->sp = sp;
#else
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = stackBytes;
    f->context.uc_link = NULL;
    makecontext(&f->context, body, 0);
#endif
}

// Shared memory: one allocation for each declaration that a block has met, and
// for what the launch asked for.
struct Shared {
    const char *key;
    char *memory;
    size_t bytes;
};
static Shared shared[64];
static int sharedCount;
static size_t dynamicBytes;
static const char dynamicKey = 0;

void *dnn_emu_shared(const char *key, size_t bytes) {
    for (int i = 0; i < sharedCount; i++)
        if (shared[i].key == key) return shared[i].memory;
    if (sharedCount == 64) abort();
    char *memory = (char *)aligned_alloc(128, (bytes + 127) / 128 * 128);
    memset(memory, 0xff, bytes); // NaN, in every type
    shared[sharedCount].key = key;
    shared[sharedCount].bytes = bytes;
    shared[sharedCount++].memory = memory;
    return memory;
}

char *dnn_emu_dynamic() { return (char *)dnn_emu_shared(&dynamicKey, dynamicBytes); }

bool dnn_emu_inside(const char *p, size_t bytes) {
    for (int i = 0; i < sharedCount; i++)
        if (p >= shared[i].memory && p + bytes <= shared[i].memory + shared[i].bytes) return true;
    return false;
}

static void forgetShared() {
    while (sharedCount > 0) free(shared[--sharedCount].memory);
}

void dnn_emu_fail(const char *what) {
    if (failure[0] == 0) snprintf(failure, sizeof failure, "thread %d of block %d: %s", dnn_emu_place.thread, dnn_emu_place.block[0], what);
}

void dnn_emu_barrier(const char *file, int line) { suspend(atBarrier, file, "a barrier", line); }

void dnn_emu_together(DnnWork work, void *lane, const void *place, const char *what, int line) {
    Fibre *f = &fibres[dnn_emu_place.thread];
    f->work = work;
    f->lane = lane;
    suspend(atMeeting, place, what, line);
}

static void nothing(void *const *) {}
void dnn_emu_sync_warp(const char *file, int line) { dnn_emu_together(nothing, NULL, file, "a barrier of its warp", line); }

struct Shuffle {
    float value, received;
    int mask;
};

static void shuffle(void *const *lanes) {
    for (int l = 0; l < 32; l++) {
        Shuffle *s = (Shuffle *)lanes[l];
        s->received = ((Shuffle *)lanes[l ^ s->mask])->value;
    }
}

float dnn_emu_shuffle(float value, int mask, const char *file, int line) {
    Shuffle s = {value, 0, mask};
    dnn_emu_together(shuffle, &s, file, "a shuffle", line);
    return s.received;
}

static bool alike(const Fibre *a, const Fibre *b) {
    return a->state == b->state && a->place == b->place && a->line == b->line && (a->state != atMeeting || a->work == b->work);
}

static bool together(const Fibre *group, int count, State state) {
    for (int i = 0; i < count; i++)
        if (group[i].state != state || !alike(&group[i], &group[0])) return false;
    return true;
}

// meet has a warp do what all its lanes wait for.
static void meet(Fibre *warp) {
    void *brought[lanes];
    for (int l = 0; l < lanes; l++) brought[l] = warp[l].lane;
    dnn_emu_place.thread = warp - fibres;
    warp->work(brought);
    for (int l = 0; l < lanes; l++) warp[l].state = ready;
}

// turn is the thread whose turn is the i-th of a round under a schedule.
static int turn(int schedule, int round, int i) {
    switch (schedule) {
    case 1: return threads - 1 - i;                              // backwards
    case 2: return ((i / lanes * 3 + 1) % 8) * lanes + i % lanes; // warps out of order
    case 3: return (i * 77 + round * 31) % threads;              // lanes mixed, anew each round
    default: return i;
    }
}

// eager tells that a warp runs as far as it can before the next one's turn:
// else all go from one meeting to the next together.
static bool eager(int schedule) { return schedule == 1 || schedule == 2; }

static bool resume(int thread) {
    if (fibres[thread].state != ready) return false;
    dnn_emu_place.thread = thread;
    leap(&scheduler, &fibres[thread]);
    return true;
}

// runAlone runs a warp until it waits for others.
static bool runAlone(int warp, bool backwards) {
    bool moved = false;
    for (;;) {
        for (int l = 0; l < lanes; l++) moved |= resume(warp + (backwards ? lanes - 1 - l : l));
        if (failure[0] != 0 || !together(&fibres[warp], lanes, atMeeting)) return moved;
        meet(&fibres[warp]);
    }
}

// runRound gives each thread its turn.
static bool runRound(int schedule, int round) {
    bool moved = false;
    if (eager(schedule)) {
        for (int i = 0; i < threads; i += lanes) moved |= runAlone(turn(schedule, round, i) / lanes * lanes, schedule == 1);
        return moved;
    }
    for (int i = 0; i < threads; i++) moved |= resume(turn(schedule, round, i));
    for (int w = 0; w < threads; w += lanes) {
        if (!together(&fibres[w], lanes, atMeeting)) continue;
        meet(&fibres[w]);
        moved = true;
    }
    return moved;
}

static void describe(char *to, size_t n, const Fibre *f) {
    if (f->state == done)
        snprintf(to, n, "has ended");
    else
        snprintf(to, n, "waits at %s (line %d)", f->what, f->line);
}

// runBlock runs all threads of a block from barrier to barrier.
static bool runBlock(int schedule) {
    for (int i = 0; i < threads; i++) start(&fibres[i]);
    for (int round = 0;; round++) {
        bool moved = runRound(schedule, round);
        if (failure[0] != 0) return false;
        if (together(fibres, threads, done)) return true;
        if (together(fibres, threads, atBarrier)) {
            for (int i = 0; i < threads; i++) fibres[i].state = ready;
            moved = true;
        }
        if (moved) continue;
        for (int i = 1; i < threads; i++) {
            if (alike(&fibres[0], &fibres[i])) continue;
            char first[80], other[80];
            describe(first, sizeof first, &fibres[0]);
            describe(other, sizeof other, &fibres[i]);
            snprintf(failure, sizeof failure, "divergence: thread 0 %s, thread %d %s", first, i, other);
            return false;
        }
    }
}

const char *dnn_emu_launch(DnnKernel run, float *memory, const int grid[3], size_t bytes, int schedule) {
    kernel = run;
    dynamicBytes = bytes;
    arena = memory;
    failure[0] = 0;
    memcpy(dnn_emu_place.grid, grid, sizeof dnn_emu_place.grid);
    const int blocks = grid[0] * grid[1] * grid[2];
    for (int i = 0; i < blocks; i++) {
        const int b = schedule % 2 == 0 ? i : blocks - 1 - i; // no block may wait for another
        dnn_emu_place.block[0] = b % grid[0];
        dnn_emu_place.block[1] = b / grid[0] % grid[1];
        dnn_emu_place.block[2] = b / grid[0] / grid[1];
        const bool ok = runBlock(schedule);
        dnn_emu_end_copies();
        forgetShared();
        if (!ok || failure[0] != 0) return failure;
    }
    return failure;
}
