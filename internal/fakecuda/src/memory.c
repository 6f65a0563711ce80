// Device memory and pinned memory: real memory between guards.

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "fake.h"

enum { GUARD = 256, CANARY = 0x5A, FRESH = 0xFF }; // fresh memory reads as NaN

struct block {
	struct block *next;
	unsigned char *start; // after the first guard
	size_t bytes;
	int pinned;
};
static struct block *blocks;

static struct block *block_at(const void *start, int pinned) {
	for (struct block *b = blocks; b != NULL; b = b->next)
		if (b->start == start && b->pinned == pinned) return b;
	return NULL;
}

static int inside(const void *address, size_t bytes, int pinned) {
	const unsigned char *p = address;
	for (struct block *b = blocks; b != NULL; b = b->next)
		if (b->pinned == pinned && p >= b->start && p <= b->start + b->bytes && bytes <= (size_t)(b->start + b->bytes - p)) return 1;
	return 0;
}

int is_device(uint64_t address, size_t bytes) { return inside((void *)address, bytes, 0) || is_variable((void *)address, bytes); }

int is_pinned(const void *address, size_t bytes) { return inside(address, bytes, 1); }

static unsigned char *block_new(size_t bytes, int pinned) {
	struct block *b = malloc(sizeof *b);
	unsigned char *base = NULL;
	if (b == NULL || posix_memalign((void **)&base, GUARD, bytes + 2 * GUARD) != 0) {
		free(b);
		return NULL;
	}
	*b = (struct block){blocks, base + GUARD, bytes, pinned};
	memset(base, CANARY, GUARD);
	memset(b->start, FRESH, bytes);
	memset(b->start + bytes, CANARY, GUARD);
	blocks = b;
	return b->start;
}

static int guards_hold(struct block *b) {
	for (int i = 0; i < GUARD; i++)
		if (b->start[i - GUARD] != CANARY || b->start[b->bytes + i] != CANARY) return 0;
	return 1;
}

CUresult check_guards(void) {
	for (struct block *b = blocks; b != NULL; b = b->next)
		if (!guards_hold(b)) return wrong(ILLEGAL_ADDRESS, "something wrote beside %zu bytes of %s memory", b->bytes, b->pinned ? "pinned" : "device");
	return SUCCESS;
}

static void block_free(struct block *b) {
	struct block **at = &blocks;
	while (*at != b) at = &(*at)->next;
	*at = b->next;
	free(b->start - GUARD);
	free(b);
}

void memory_reset(void) {
	while (blocks != NULL) block_free(blocks);
}

CUresult cuMemGetInfo_v2(size_t *available, size_t *total) {
	ENTER(2);
	*available = set.memory - count.memory;
	*total = set.memory;
	return leave(SUCCESS);
}

CUresult cuMemAlloc_v2(uint64_t *address, size_t bytes) {
	ENTER(3);
	if (address == NULL || bytes == 0) return leave(wrong(INVALID_VALUE, "%zu bytes", bytes));
	if (bytes > (size_t)(set.memory - count.memory) || bytes > (size_t)set.largest) return leave(OUT_OF_MEMORY);
	unsigned char *start = block_new(bytes, 0);
	if (start == NULL) return leave(OUT_OF_MEMORY);
	count.memory += bytes;
	count.blocks++;
	*address = (uint64_t)start;
	return leave(SUCCESS);
}

// release frees a block after the work that may use it, as the driver does.
static CUresult release(struct block *b) {
	CUresult result = drain_all();
	if (result == SUCCESS && !guards_hold(b)) result = wrong(ILLEGAL_ADDRESS, "something wrote beside %zu bytes of %s memory", b->bytes, b->pinned ? "pinned" : "device");
	if (b->pinned) {
		count.pinned--;
		set.host_memory += b->bytes;
	} else {
		count.memory -= b->bytes;
		count.blocks--;
	}
	block_free(b);
	return result;
}

CUresult cuMemFree_v2(uint64_t address) {
	ENTER(3);
	struct block *b = block_at((void *)address, 0);
	if (b == NULL) return leave(wrong(INVALID_VALUE, "no allocation starts there"));
	return leave(release(b));
}

CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
	ENTER(3);
	if (address == NULL || bytes == 0 || flags > 7) return leave(wrong(INVALID_VALUE, "%zu bytes, flags %u", bytes, flags));
	if (bytes > (size_t)set.host_memory) return leave(OUT_OF_MEMORY);
	*address = block_new(bytes, 1);
	if (*address == NULL) return leave(OUT_OF_MEMORY);
	set.host_memory -= bytes;
	count.pinned++;
	return leave(SUCCESS);
}

CUresult cuMemFreeHost(void *address) {
	ENTER(3);
	struct block *b = block_at(address, 1);
	if (b == NULL) return leave(wrong(INVALID_VALUE, "no pinned allocation starts there"));
	return leave(release(b));
}

static CUresult check_copy(uint64_t device, const void *host, size_t bytes) {
	if (bytes == 0 || host == NULL) return wrong(INVALID_VALUE, "%zu bytes of host memory at %p", bytes, host);
	if (!is_device(device, bytes)) return wrong(INVALID_VALUE, "%zu bytes at %#lx are not in one device allocation", bytes, (unsigned long)device);
	return SUCCESS;
}

CUresult cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes) {
	ENTER(3);
	CUresult result = check_copy(to, from, bytes);
	if (result != SUCCESS) return leave(result);
	// The driver returns when it has read the source: what it read arrives later.
	void *staged = malloc(bytes);
	if (staged == NULL) return leave(OUT_OF_MEMORY);
	memcpy(staged, from, bytes);
	return leave(submit(stream_of(NULL), (struct op){.kind = COPY, .to = (void *)to, .from = staged, .owned = staged, .bytes = bytes}));
}

CUresult cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes) {
	ENTER(3);
	CUresult result = check_copy(from, to, bytes);
	if (result == SUCCESS) result = drain(stream_of(NULL));
	if (result == SUCCESS) memcpy(to, (void *)from, bytes);
	return leave(result);
}

static CUresult copy_async(struct op op, uint64_t device, const void *host, void *handle) {
	struct stream *s = stream_of(handle);
	CUresult result = check_copy(device, host, op.bytes);
	if (s == NULL) return wrong(INVALID_HANDLE, "no stream %p", handle);
	if (result != SUCCESS) return result;
	if (!is_pinned(host, op.bytes)) return wrong(INVALID_VALUE, "%zu bytes at %p are not pinned", op.bytes, host);
	return submit(s, op);
}

CUresult cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
	ENTER(2);
	return leave(copy_async((struct op){.kind = COPY, .to = (void *)to, .from = from, .bytes = bytes}, to, from, stream));
}

CUresult cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
	ENTER(2);
	return leave(copy_async((struct op){.kind = COPY, .to = to, .from = (void *)from, .bytes = bytes}, from, to, stream));
}

CUresult cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream) {
	ENTER(2);
	struct stream *s = stream_of(stream);
	if (s == NULL) return leave(wrong(INVALID_HANDLE, "no stream %p", stream));
	if (bytes == 0 || !is_device(to, bytes) || !is_device(from, bytes)) return leave(wrong(INVALID_VALUE, "%zu bytes are not in one device allocation", bytes));
	return leave(submit(s, (struct op){.kind = COPY, .to = (void *)to, .from = (void *)from, .bytes = bytes}));
}

CUresult cuMemsetD8_v2(uint64_t to, unsigned char value, size_t bytes) {
	ENTER(3);
	if (bytes == 0 || !is_device(to, bytes)) return leave(wrong(INVALID_VALUE, "%zu bytes are not in one device allocation", bytes));
	return leave(submit(stream_of(NULL), (struct op){.kind = FILL, .to = (void *)to, .value = value, .bytes = bytes}));
}

CUresult cuMemsetD8Async(uint64_t to, unsigned char value, size_t bytes, void *stream) {
	ENTER(2);
	struct stream *s = stream_of(stream);
	if (s == NULL) return leave(wrong(INVALID_HANDLE, "no stream %p", stream));
	if (bytes == 0 || !is_device(to, bytes)) return leave(wrong(INVALID_VALUE, "%zu bytes are not in one device allocation", bytes));
	return leave(submit(s, (struct op){.kind = FILL, .to = (void *)to, .value = value, .bytes = bytes}));
}
