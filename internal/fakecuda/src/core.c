// Settings, counting, planned failures, devices and contexts.

#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char broken[512];
static const char *last = "";
static int initialised, lost;
static long since_plan; // calls since fail_at or lost_at was set
static int retained[16];
static __thread long current; // 1 + the device whose context this thread has
static __thread long current_epoch;
static long epoch; // counts resets: threads of before have no context

struct settings set;
struct counted count;

static const struct settings defaults = {
	.devices = 1, .version = 12040, .cc = 90, .memory = 1L << 30, .sms = 4, .shared = 227 << 10, .fail_code = INVALID_VALUE, .lost_code = ILLEGAL_ADDRESS, .host_memory = 1L << 30, .largest = 1L << 60,
};

static const struct { const char *name; size_t at; } names[] = {
#define SETTING(x) {#x, offsetof(struct settings, x)}
	SETTING(devices), SETTING(version), SETTING(cc), SETTING(memory), SETTING(sms), SETTING(shared), SETTING(fail_at), SETTING(fail_code),
	SETTING(lost_at), SETTING(lost_code), SETTING(init_code), SETTING(host_memory), SETTING(largest),
};

static const struct { const char *name; size_t at; } counters[] = {
#define COUNTER(x) {#x, offsetof(struct counted, x)}
	COUNTER(calls), COUNTER(memory), COUNTER(blocks), COUNTER(pinned), COUNTER(streams), COUNTER(events), COUNTER(modules),
	COUNTER(graphs), COUNTER(templates), COUNTER(contexts), COUNTER(launches), COUNTER(replays), COUNTER(ops),
};

static int apply(const char *text) {
	int known = 1;
	char *copy = strdup(text), *rest = copy, *item;
	while ((item = strsep(&rest, ",")) != NULL) {
		char *equals = strchr(item, '=');
		if (*item == 0) continue;
		int found = 0;
		for (size_t i = 0; equals != NULL && i < sizeof names / sizeof *names; i++)
			if (strncmp(item, names[i].name, equals - item) == 0 && names[i].name[equals - item] == 0) {
				*(long *)((char *)&set + names[i].at) = atol(equals + 1);
				found = 1;
			}
		known &= found;
	}
	free(copy);
	since_plan = 0;
	return known;
}

static void reset(const char *settings) {
	stream_reset();
	module_reset();
	memory_reset();
	set = defaults;
	memset(&count, 0, sizeof count);
	memset(retained, 0, sizeof retained);
	broken[0] = 0;
	last = "";
	initialised = lost = 0;
	epoch++;
	if (!apply(settings)) wrong(INVALID_VALUE, "unknown setting in \"%s\"", settings);
}

__attribute__((constructor)) static void start(void) {
	const char *settings = getenv("FAKECUDA"), *kernels = getenv("FAKECUDA_KERNELS");
	reset(settings != NULL ? settings : "");
	if (kernels != NULL && !fake_kernels(kernels)) wrong(NOT_FOUND, "cannot load %s", kernels);
}

// report writes what FAKECUDA_REPORT asks for: a process that ends does not
// come back to say it.
static void report(void) {
	const char *path = getenv("FAKECUDA_REPORT");
	FILE *f = path != NULL ? fopen(path, "w") : NULL;
	if (f == NULL) return;
	for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
		fprintf(f, "%s=%ld\n", counters[i].name, *(long *)((char *)&count + counters[i].at));
	fprintf(f, "wrong=%s\n", broken);
	fclose(f);
}

void fake_reset(const char *settings) {
	pthread_mutex_lock(&lock);
	reset(settings);
	pthread_mutex_unlock(&lock);
}

int fake_set(const char *settings) {
	pthread_mutex_lock(&lock);
	int known = apply(settings);
	pthread_mutex_unlock(&lock);
	return known;
}

long fake_get(const char *name) {
	long value = -1;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
		if (strcmp(name, counters[i].name) == 0) value = *(long *)((char *)&count + counters[i].at);
	pthread_mutex_unlock(&lock);
	return value;
}

const char *fake_wrong(void) { return broken; }

const char *fake_last(void) { return last; }

CUresult wrong(CUresult code, const char *format, ...) {
	if (broken[0] == 0) {
		int n = snprintf(broken, sizeof broken, "%s: ", last);
		va_list args;
		va_start(args, format);
		vsnprintf(broken + n, sizeof broken - n, format, args);
		va_end(args);
	}
	return code;
}

CUresult lose(CUresult code) {
	if (!lost) lost = code;
	return lost;
}

int is_lost(void) { return lost; }

CUresult enter(const char *name, int need) {
	pthread_mutex_lock(&lock);
	last = name;
	count.calls++;
	since_plan++;
	if (set.lost_at > 0 && since_plan >= set.lost_at) lose(set.lost_code);
	if (lost && need >= 2) return lost;
	if (set.fail_at > 0 && since_plan == set.fail_at) return set.fail_code;
	if (need >= 1 && !initialised) return wrong(NOT_INITIALIZED, "cuInit was not called");
	if (need >= 2 && (current == 0 || current_epoch != epoch)) return wrong(INVALID_CONTEXT, "this thread has no context");
	if (need >= 2 && retained[current - 1] == 0) return wrong(INVALID_CONTEXT, "the context was released");
	if (need >= 3 && capturing()) {
		invalidate_capture();
		return CAPTURE_UNSUPPORTED;
	}
	return SUCCESS;
}

CUresult leave(CUresult result) {
	pthread_mutex_unlock(&lock);
	return result;
}

CUresult cuGetErrorName(CUresult code, const char **name) {
	static const struct { int code; const char *name; } known[] = {
		{INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"}, {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"}, {NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
		{INVALID_PTX, "CUDA_ERROR_INVALID_PTX"}, {UNSUPPORTED_PTX_VERSION, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
		{NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU"}, {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].code == code) {
			*name = known[i].name;
			return SUCCESS;
		}
	*name = NULL;
	return INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult code, const char **text) {
	*text = code == ILLEGAL_ADDRESS ? "an illegal memory access was encountered" : "as planned";
	return SUCCESS;
}

CUresult cuDriverGetVersion(int *version) {
	ENTER(0);
	if (version == NULL) return leave(wrong(INVALID_VALUE, "nowhere to write"));
	*version = (int)set.version;
	return leave(SUCCESS);
}

CUresult cuInit(unsigned flags) {
	ENTER(0);
	if (flags != 0) return leave(wrong(INVALID_VALUE, "flags %u", flags));
	if (set.init_code != 0) return leave((CUresult)set.init_code);
	if (set.devices == 0) return leave(NO_DEVICE);
	initialised = 1;
	return leave(SUCCESS);
}

// cuGetExportTable is asked by NVIDIA's NVRTC, which looks for a driver in its
// process: the fake has nothing of what the table may hold.
CUresult cuGetExportTable(const void **table, const void *id) {
	(void)id;
	*table = NULL;
	return NOT_FOUND;
}

CUresult cuDeviceGetCount(int *n) {
	ENTER(1);
	*n = (int)set.devices;
	return leave(SUCCESS);
}

// Handles of devices are not their numbers, so that a mix-up shows.
enum { HANDLE = 100 };

static int bad_device(int device) { return device < HANDLE || device >= HANDLE + set.devices; }

CUresult cuDeviceGet(int *device, int ordinal) {
	ENTER(1);
	if (ordinal < 0 || ordinal >= set.devices) return leave(wrong(INVALID_DEVICE, "device %d of %ld", ordinal, set.devices));
	*device = HANDLE + ordinal;
	return leave(SUCCESS);
}

CUresult cuDeviceGetName(char *name, int bytes, int device) {
	ENTER(1);
	if (bad_device(device) || bytes < 32) return leave(wrong(INVALID_VALUE, "device %d, %d bytes", device, bytes));
	snprintf(name, bytes, "Fake GPU %d", device - HANDLE);
	return leave(SUCCESS);
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, int device) {
	ENTER(1);
	if (bad_device(device)) return leave(wrong(INVALID_DEVICE, "device %d", device));
	*bytes = set.memory;
	return leave(SUCCESS);
}

CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
	ENTER(1);
	if (bad_device(device)) return leave(wrong(INVALID_DEVICE, "device %d", device));
	switch (attribute) {
	case 75: *value = set.cc / 10; break;
	case 76: *value = set.cc % 10; break;
	case 16: *value = (int)set.sms; break;
	case 8: *value = 48 << 10; break;
	case 97: *value = (int)set.shared; break;
	case 81: *value = 228 << 10; break;
	case 82: *value = 65536; break;
	case 39: *value = 2048; break;
	case 10: *value = 32; break;
	case 13: *value = 1980000; break;
	case 36: *value = 3201000; break;
	case 37: *value = 6144; break;
	case 38: *value = 60 << 20; break;
	case 95: *value = 1; break;
	default: return leave(wrong(INVALID_VALUE, "attribute %d", attribute));
	}
	return leave(SUCCESS);
}

CUresult cuDevicePrimaryCtxRetain(void **context, int device) {
	ENTER(1);
	if (bad_device(device)) return leave(wrong(INVALID_DEVICE, "device %d", device));
	retained[device - HANDLE]++;
	count.contexts++;
	*context = (void *)(intptr_t)(0xC0000 + device);
	return leave(SUCCESS);
}

CUresult cuDevicePrimaryCtxRelease_v2(int device) {
	ENTER(1);
	if (bad_device(device) || retained[device - HANDLE] == 0) return leave(wrong(INVALID_CONTEXT, "device %d is not retained", device));
	retained[device - HANDLE]--;
	count.contexts--;
	report();
	return leave(SUCCESS);
}

CUresult cuCtxSetCurrent(void *context) {
	ENTER(1);
	intptr_t device = (intptr_t)context - 0xC0000;
	if (context != NULL && (bad_device((int)device) || retained[device - HANDLE] == 0)) return leave(wrong(INVALID_CONTEXT, "no context %p", context));
	current = context == NULL ? 0 : device - HANDLE + 1;
	current_epoch = epoch;
	return leave(SUCCESS);
}

CUresult cuCtxSynchronize(void) {
	ENTER(3);
	return leave(drain_all());
}

void fake_broke(const char *text) {
	pthread_mutex_lock(&lock);
	if (broken[0] == 0) snprintf(broken, sizeof broken, "%s", text);
	pthread_mutex_unlock(&lock);
}

int fake_is_memory(const void *at, size_t bytes) {
	pthread_mutex_lock(&lock);
	int is = is_device((uint64_t)at, bytes);
	pthread_mutex_unlock(&lock);
	return is;
}

int fake_is_capturing(void) {
	pthread_mutex_lock(&lock);
	int is = capturing();
	pthread_mutex_unlock(&lock);
	return is;
}
