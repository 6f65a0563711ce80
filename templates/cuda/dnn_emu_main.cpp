// dnn_emu_main.cpp runs emulated kernels at the word of another process: it
// reads commands from standard input and answers on standard output. All
// numbers are in the byte order of the machine.
//
//   a <bytes:8>                      a new arena, all NaN
//   w <offset:8> <bytes:8> <data>    copy in
//   r <offset:8> <bytes:8>           copy out; answers the data
//   p <offset:8> <bytes:8>           nothing may touch this (with ASan)
//   l <kernel:4> <grid:3*4> <shared:4> <schedule:4>  launch; answers <length:4> <error text>
#include "dnn_emu.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

extern const DnnKernel dnn_kernels[]; // of the program under test

static void get(void *p, size_t n) {
    if (fread(p, 1, n, stdin) != n) exit(3);
}

static uint64_t word() {
    uint64_t v;
    get(&v, 8);
    return v;
}

int main() {
    size_t size = 0;
    float *arena = NULL;
    for (int c; (c = getchar()) != EOF; fflush(stdout)) {
        switch (c) {
        case 'a':
#if defined(__SANITIZE_ADDRESS__)
            ASAN_UNPOISON_MEMORY_REGION(arena, size);
#endif
            free(arena);
            size = word();
            arena = (float *)malloc(size);
            memset(arena, 0xff, size);
            break;
        case 'w':
        case 'r': {
            const uint64_t at = word(), n = word();
            if (at + n > size) exit(4);
            if (c == 'w')
                get((char *)arena + at, n);
            else
                fwrite((char *)arena + at, 1, n, stdout);
            break;
        }
        case 'p': {
            const uint64_t at = word(), n = word();
            if (at + n > size) exit(4);
#if defined(__SANITIZE_ADDRESS__)
            ASAN_POISON_MEMORY_REGION((char *)arena + at, n);
#endif
            break;
        }
        case 'l': {
            int32_t q[6];
            get(q, sizeof q);
            const char *failure = dnn_emu_launch(dnn_kernels[q[0]], arena, q + 1, q[4], q[5]);
            const int32_t n = strlen(failure);
            fwrite(&n, 4, 1, stdout);
            fwrite(failure, 1, n, stdout);
            break;
        }
        default: exit(5);
        }
    }
    return 0;
}
