// Modules and kernels. A module is PTX text, read as far as its kernels'
// names, arguments and limits go; or, in place of machine code, the line
// "\x7fELF fake sm_NN" before such text.

#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

enum { MOST_PARAMETERS = 256, NAME = 512, SHARED_ALL = 48 << 10, REGISTERS = 32 };

struct function {
	struct function *next;
	struct module *module;
	char name[NAME];
	int n;
	size_t bytes[MOST_PARAMETERS];
	int threads; // of a block, at most
	int dynamic; // shared bytes allowed
};

struct variable {
	struct variable *next;
	char name[NAME];
	size_t bytes;
	void *at;
};

struct module {
	struct module *next;
	struct function *functions;
	struct variable *variables;
};

static struct module *modules;
static void *library;

int fake_kernels(const char *path) { return (library = dlopen(path, RTLD_NOW | RTLD_LOCAL)) != NULL; }

static void module_free(struct module *m) {
	while (m->functions != NULL) {
		struct function *f = m->functions;
		m->functions = f->next;
		free(f);
	}
	while (m->variables != NULL) {
		struct variable *v = m->variables;
		m->variables = v->next;
		free(v->at);
		free(v);
	}
	free(m);
}

void module_reset(void) {
	while (modules != NULL) {
		struct module *m = modules;
		modules = m->next;
		module_free(m);
	}
}

// word copies the name that text begins with, after white space.
static const char *word(const char *text, char *name) {
	size_t n = 0;
	while (isspace((unsigned char)*text)) text++;
	while ((isalnum((unsigned char)*text) || strchr("_$%.", *text) != NULL) && *text != 0 && n < NAME - 1) name[n++] = *text++;
	name[n] = 0;
	return text;
}

static size_t width(const char *type) {
	size_t bits = (size_t)atol(type + strcspn(type, "0123456789"));
	return bits / 8;
}

// parameters reads ".param .u64 a, .param .align 8 .b8 b[24])".
static int parameters(const char *text, const char *end, struct function *f) {
	char token[NAME];
	size_t bytes = 0;
	int open = 0;
	for (; text < end; text++) {
		if (*text == '.') {
			text = word(text, token);
			if (strcmp(token, ".param") == 0)
				open = 1, bytes = 0;
			else if (strcmp(token, ".align") == 0)
				text = word(text, token);
			else if (open && bytes == 0 && strchr("usfb", token[1]) != NULL)
				bytes = width(token);
			text--;
		} else if (*text == '[')
			bytes *= (size_t)atol(text + 1);
		if (open && (*text == ',' || text + 1 == end)) {
			if (bytes == 0 || f->n == MOST_PARAMETERS) return 0;
			f->bytes[f->n++] = bytes;
			open = 0;
		}
	}
	return 1;
}

static int entries(const char *ptx, struct module *m) {
	for (const char *at = ptx; (at = strstr(at, ".entry")) != NULL;) {
		struct function *f = calloc(1, sizeof *f);
		*f = (struct function){.next = m->functions, .module = m, .threads = 1024, .dynamic = SHARED_ALL};
		m->functions = f;
		at = word(at + strlen(".entry"), f->name);
		const char *body = strchr(at, '{'), *open = strchr(at, '('), *close = strchr(at, ')');
		if (f->name[0] == 0 || body == NULL) return 0;
		if (open != NULL && open < body && (close == NULL || close > body || !parameters(open + 1, close, f))) return 0;
		const char *most = strstr(at, ".maxntid");
		if (most != NULL && most < body) {
			int x = 1, y = 1, z = 1;
			sscanf(most + strlen(".maxntid"), "%d , %d , %d", &x, &y, &z);
			f->threads = x * y * z;
		}
	}
	return 1;
}

// globals reads the module's variables: ".visible .global .align 4 .b8 name[16];"
static void globals(const char *ptx, struct module *m) {
	for (const char *at = ptx; (at = strstr(at, ".visible .global")) != NULL;) {
		struct variable *v = calloc(1, sizeof *v);
		char token[NAME];
		v->next = m->variables;
		m->variables = v;
		for (at = word(at + strlen(".visible .global"), token); token[0] == '.'; at = word(at, token)) {
			if (strcmp(token, ".align") == 0)
				at = word(at, v->name);
			else
				v->bytes = width(token);
		}
		strcpy(v->name, token);
		if (*at == '[') v->bytes *= (size_t)atol(at + 1);
		v->at = calloc(1, v->bytes + 1);
	}
}

int is_variable(const void *address, size_t bytes) {
	const char *p = address;
	for (struct module *m = modules; m != NULL; m = m->next)
		for (struct variable *v = m->variables; v != NULL; v = v->next)
			if (p >= (char *)v->at && bytes <= v->bytes && p - (char *)v->at <= (long)(v->bytes - bytes)) return 1;
	return 0;
}

static CUresult refuse(CUresult code, char *log, size_t bytes, const char *text) {
	if (log != NULL) snprintf(log, bytes, "ptxas fatal   : %s\n", text);
	return code;
}

static CUresult read_image(const char *image, struct module *m, char *log, size_t bytes) {
	int arch = 0, major = 0, minor = 0;
	if (memcmp(image, "\x7f" "ELF", 4) == 0) {
		if (sscanf(image + 4, " fake sm_%d", &arch) != 1) return NO_BINARY_FOR_GPU; // real machine code
		if (arch / 10 != set.cc / 10 || arch > set.cc) return NO_BINARY_FOR_GPU;
		if (!entries(image, m)) return wrong(INVALID_VALUE, "the stand-in for machine code is broken");
	} else {
		const char *version = strstr(image, ".version"), *target = strstr(image, ".target sm_");
		int depth = 0;
		for (const char *c = image; *c != 0; c++) depth += (*c == '{') - (*c == '}');
		if (version == NULL || sscanf(version, ".version %d.%d", &major, &minor) != 2 || target == NULL || depth != 0)
			return refuse(INVALID_PTX, log, bytes, "PTX does not parse");
		// CUDA 11.n reads PTX 7.n, 12.n reads 8.n.
		if (10 * major + minor > 10 * (set.version / 1000 - 4) + set.version % 1000 / 10)
			return refuse(UNSUPPORTED_PTX_VERSION, log, bytes, "PTX is newer than the driver");
		arch = atoi(target + strlen(".target sm_"));
		if (arch > set.cc) return refuse(NO_BINARY_FOR_GPU, log, bytes, "PTX is for a newer GPU");
		if (!entries(image, m)) return refuse(INVALID_PTX, log, bytes, "an entry does not parse");
	}
	globals(image, m);
	return SUCCESS;
}

CUresult cuModuleLoadDataEx(void **handle, const char *image, unsigned n, const int *options, void **values) {
	ENTER(3);
	if (handle == NULL || image == NULL || (n > 0 && (options == NULL || values == NULL))) return leave(wrong(INVALID_VALUE, "image %p, %u options", (const void *)image, n));
	char *info = NULL, *error = NULL;
	size_t info_bytes = 0, error_bytes = 0;
	for (unsigned i = 0; i < n; i++) {
		switch (options[i]) {
		case 3: info = values[i]; break;
		case 4: info_bytes = (size_t)values[i]; break;
		case 5: error = values[i]; break;
		case 6: error_bytes = (size_t)values[i]; break;
		default: return leave(wrong(INVALID_VALUE, "option %d", options[i]));
		}
	}
	if ((info == NULL) != (info_bytes == 0) || (error == NULL) != (error_bytes == 0)) return leave(wrong(INVALID_VALUE, "a log without a size"));
	struct module *m = calloc(1, sizeof *m);
	CUresult result = read_image(image, m, error, error_bytes);
	if (result != SUCCESS) {
		module_free(m);
		return leave(result);
	}
	if (info != NULL && image[0] != '\x7f') snprintf(info, info_bytes, "ptxas info    : compiled for sm_%ld\n", set.cc);
	m->next = modules;
	modules = m;
	count.modules++;
	*handle = m;
	return leave(SUCCESS);
}

static struct module *module_of(void *handle) {
	for (struct module *m = modules; m != NULL; m = m->next)
		if (m == handle) return m;
	return NULL;
}

static struct function *function_of(void *handle) {
	for (struct module *m = modules; m != NULL; m = m->next)
		for (struct function *f = m->functions; f != NULL; f = f->next)
			if (f == handle) return f;
	return NULL;
}

CUresult cuModuleUnload(void *handle) {
	ENTER(2);
	struct module *m = module_of(handle);
	if (m == NULL) return leave(wrong(INVALID_HANDLE, "no module %p", handle));
	CUresult result = drain_all();
	struct module **at = &modules;
	while (*at != m) at = &(*at)->next;
	*at = m->next;
	module_free(m);
	count.modules--;
	return leave(result);
}

CUresult cuModuleGetFunction(void **function, void *handle, const char *name) {
	ENTER(2);
	struct module *m = module_of(handle);
	if (function == NULL || m == NULL || name == NULL) return leave(wrong(INVALID_HANDLE, "no module %p", handle));
	for (struct function *f = m->functions; f != NULL; f = f->next)
		if (strcmp(f->name, name) == 0) {
			*function = f;
			return leave(SUCCESS);
		}
	return leave(NOT_FOUND);
}

CUresult cuModuleGetGlobal_v2(uint64_t *address, size_t *bytes, void *handle, const char *name) {
	ENTER(2);
	struct module *m = module_of(handle);
	if (m == NULL || name == NULL) return leave(wrong(INVALID_HANDLE, "no module %p", handle));
	for (struct variable *v = m->variables; v != NULL; v = v->next)
		if (strcmp(v->name, name) == 0) {
			*address = (uint64_t)v->at;
			*bytes = v->bytes;
			return leave(SUCCESS);
		}
	return leave(NOT_FOUND);
}

CUresult cuFuncGetAttribute(int *value, int attribute, void *handle) {
	ENTER(2);
	struct function *f = function_of(handle);
	if (value == NULL || f == NULL) return leave(wrong(INVALID_HANDLE, "no function %p", handle));
	switch (attribute) {
	case 0: *value = f->threads; break;
	case 1: *value = 0; break;
	case 3: *value = 0; break;
	case 4: *value = REGISTERS; break;
	case 8: *value = f->dynamic; break;
	default: return leave(wrong(INVALID_VALUE, "attribute %d", attribute));
	}
	return leave(SUCCESS);
}

CUresult cuFuncSetAttribute(void *handle, int attribute, int value) {
	ENTER(2);
	struct function *f = function_of(handle);
	if (f == NULL) return leave(wrong(INVALID_HANDLE, "no function %p", handle));
	if (attribute == 9 && value >= -1 && value <= 100) return leave(SUCCESS);
	if (attribute != 8) return leave(wrong(INVALID_VALUE, "attribute %d, value %d", attribute, value));
	if (value < 0 || value > set.shared) return leave(INVALID_VALUE);
	f->dynamic = value;
	return leave(SUCCESS);
}

CUresult cuFuncGetParamInfo(void *handle, size_t index, size_t *offset, size_t *bytes) {
	ENTER(2);
	struct function *f = function_of(handle);
	if (f == NULL || offset == NULL || bytes == NULL) return leave(wrong(INVALID_HANDLE, "no function %p", handle));
	if (index >= (size_t)f->n) return leave(INVALID_VALUE);
	*offset = 0;
	for (size_t i = 0; i < index; i++) *offset += f->bytes[i];
	*bytes = f->bytes[index];
	return leave(SUCCESS);
}

static int occupancy(struct function *f, int threads, size_t shared) {
	int n = 2048 / threads, by_registers = 65536 / (REGISTERS * threads), by_shared = (int)((228 << 10) / (shared + 1024));
	if (threads > f->threads) return 0;
	if (by_registers < n) n = by_registers;
	return by_shared < n ? by_shared : n;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void *handle, int threads, size_t shared) {
	ENTER(2);
	struct function *f = function_of(handle);
	if (blocks == NULL || f == NULL || threads < 1) return leave(wrong(INVALID_VALUE, "function %p, %d threads", handle, threads));
	*blocks = occupancy(f, threads, shared);
	return leave(SUCCESS);
}

// is_slow tells whether FAKECUDA_SLOW, names with commas between them, has a kernel.
static int is_slow(const char *name) {
	const char *list = getenv("FAKECUDA_SLOW");
	size_t n = strlen(name);
	for (const char *at = list; at != NULL && (at = strstr(at, name)) != NULL; at += n)
		if ((at == list || at[-1] == ',') && (at[n] == 0 || at[n] == ',')) return 1;
	return 0;
}

static CUresult launch(void *handle, struct fake_launch l, void *stream, void **params, void **extra) {
	struct function *f = function_of(handle);
	struct stream *s = stream_of(stream);
	if (f == NULL || s == NULL) return wrong(INVALID_HANDLE, "function %p, stream %p", handle, stream);
	uint64_t threads = 1, blocks = 1;
	for (int i = 0; i < 3; i++) {
		if (l.grid[i] == 0 || l.block[i] == 0 || (i > 0 && l.grid[i] > 65535)) return wrong(INVALID_VALUE, "%s: axis %d has %u blocks of %u threads", f->name, i, l.grid[i], l.block[i]);
		threads *= l.block[i];
		blocks *= l.grid[i];
	}
	if (threads > (uint64_t)f->threads) return wrong(INVALID_VALUE, "%s: %lu threads in a block, at most %d", f->name, (unsigned long)threads, f->threads);
	if (l.shared > (unsigned)f->dynamic) return wrong(INVALID_VALUE, "%s: %u bytes of shared memory, at most %d", f->name, l.shared, f->dynamic);
	if (extra != NULL || (f->n > 0 && params == NULL)) return wrong(INVALID_VALUE, "%s: params %p, extra %p", f->name, (void *)params, (void *)extra);
	if (l.cooperative && blocks > (uint64_t)(occupancy(f, (int)threads, l.shared) * set.sms)) return COOPERATIVE_LAUNCH_TOO_LARGE;
	// The driver copies the arguments before it returns.
	size_t total = 0;
	for (int i = 0; i < f->n; i++) total += (f->bytes[i] + 15) / 16 * 16;
	char *block = malloc(f->n * sizeof(void *) + 16 + total);
	if (block == NULL) return OUT_OF_MEMORY;
	l.params = (void **)block;
	char *at = block + (f->n * sizeof(void *) + 15) / 16 * 16;
	for (int i = 0; i < f->n; i++) {
		if (params[i] == NULL) {
			free(block);
			return wrong(INVALID_VALUE, "%s: argument %d is missing", f->name, i);
		}
		l.params[i] = memcpy(at, params[i], f->bytes[i]);
		at += (f->bytes[i] + 15) / 16 * 16;
	}
	count.launches++;
	fake_kernel run = NULL;
	if (library != NULL) *(void **)&run = dlsym(library, f->name);
	return submit(s, (struct op){.kind = KERNEL, .run = run, .launch = l, .owned = block, .ms = is_slow(f->name) ? 1 : 0});
}

CUresult cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **params, void **extra) {
	ENTER(2);
	return leave(launch(f, (struct fake_launch){.grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared = shared}, stream, params, extra));
}

CUresult cuLaunchCooperativeKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream, void **params) {
	ENTER(2);
	return leave(launch(f, (struct fake_launch){.grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared = shared, .cooperative = 1}, stream, params, NULL));
}

int fake_enqueue(void *stream, fake_kernel run, const void *argument, size_t bytes) {
	ENTER(2);
	struct stream *s = stream_of(stream);
	if (s == NULL) return leave(wrong(INVALID_HANDLE, "no stream %p", stream));
	char *block = malloc(16 + bytes);
	if (block == NULL) return leave(OUT_OF_MEMORY);
	*(void **)block = memcpy(block + 16, argument, bytes);
	count.launches++;
	return leave(submit(s, (struct op){.kind = KERNEL, .run = run, .launch = {.params = (void **)block}, .owned = block}));
}
