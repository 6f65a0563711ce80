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

enum State { ready, atBarrier, atShuffle, done };

struct Fibre {
#if defined(__x86_64__)
    void *sp;
#else
    ucontext_t context;
#endif
    char *stack;
    State state;
    const char *file;
    int line, mask;
    float value, received;
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

static void suspend(State state, const char *file, int line) {
    Fibre *f = &fibres[dnn_emu_place.thread];
    f->state = state;
    f->file = file;
    f->line = line;
    leap(f, &scheduler);
}

static void body() {
    kernel(arena);
    suspend(done, "", 0);
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

// Shared memory: one allocation for each declaration that a block has met.
struct Shared {
    const char *key;
    void *memory;
};
static Shared shared[64];
static int sharedCount;

void *dnn_emu_shared(const char *key, size_t bytes) {
    for (int i = 0; i < sharedCount; i++)
        if (shared[i].key == key) return shared[i].memory;
    if (sharedCount == 64) abort();
    void *memory = malloc(bytes);
    memset(memory, 0xff, bytes); // NaN, as float and as double
    shared[sharedCount].key = key;
    shared[sharedCount++].memory = memory;
    return memory;
}

static void forgetShared() {
    while (sharedCount > 0) free(shared[--sharedCount].memory);
}

void dnn_emu_barrier(const char *file, int line) { suspend(atBarrier, file, line); }

float dnn_emu_shuffle(float value, int mask, const char *file, int line) {
    Fibre *f = &fibres[dnn_emu_place.thread];
    f->value = value;
    f->mask = mask;
    suspend(atShuffle, file, line);
    return f->received;
}

static bool together(const Fibre *group, int count, State state) {
    for (int i = 0; i < count; i++)
        if (group[i].state != state || group[i].file != group[0].file || group[i].line != group[0].line) return false;
    return true;
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

static const char *describe(State s) {
    return s == done ? "has ended" : s == atShuffle ? "waits to shuffle" : "waits at a barrier";
}

// runBlock runs all threads of a block from barrier to barrier.
static bool runBlock(int schedule) {
    for (int i = 0; i < threads; i++) start(&fibres[i]);
    for (int round = 0;; round++) {
        bool moved = false;
        for (int i = 0; i < threads; i++) {
            const int t = turn(schedule, round, i);
            if (fibres[t].state != ready) continue;
            dnn_emu_place.thread = t;
            leap(&scheduler, &fibres[t]);
            moved = true;
        }
        for (int w = 0; w < threads; w += lanes) {
            if (!together(&fibres[w], lanes, atShuffle)) continue;
            for (int l = 0; l < lanes; l++) fibres[w + l].received = fibres[w + (l ^ fibres[w + l].mask)].value;
            for (int l = 0; l < lanes; l++) fibres[w + l].state = ready;
            moved = true;
        }
        if (together(fibres, threads, done)) return true;
        if (together(fibres, threads, atBarrier)) {
            for (int i = 0; i < threads; i++) fibres[i].state = ready;
            moved = true;
        }
        if (moved) continue;
        for (int i = 1; i < threads; i++) {
            const Fibre *a = &fibres[0], *b = &fibres[i];
            if (a->state == b->state && a->line == b->line && a->file == b->file) continue;
            snprintf(failure, sizeof failure, "divergence: thread 0 %s (line %d), thread %d %s (line %d)",
                     describe(a->state), a->line, i, describe(b->state), b->line);
            return false;
        }
    }
}

const char *dnn_emu_launch(DnnKernel run, float *memory, const int grid[3], int schedule) {
    kernel = run;
    arena = memory;
    failure[0] = 0;
    memcpy(dnn_emu_place.grid, grid, sizeof dnn_emu_place.grid);
    for (int z = 0; z < grid[2]; z++)
        for (int y = 0; y < grid[1]; y++)
            for (int x = 0; x < grid[0]; x++) {
                dnn_emu_place.block[0] = x;
                dnn_emu_place.block[1] = y;
                dnn_emu_place.block[2] = z;
                const bool ok = runBlock(schedule);
                forgetShared();
                if (!ok) return failure;
            }
    return failure;
}
