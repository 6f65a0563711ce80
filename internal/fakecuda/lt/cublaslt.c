// A stand-in for libcublasLt.so.12 that works with the fake driver: it checks
// every argument, and has the driver's stream make the product, plainly.
//
// FAKECUBLASLT sets it up: "fail=cublasLtMatmul,at=2,status=13,wrong=1,none=1".
//
//	fail, at, status   that function's at-th call (1) gives a status (13)
//	capturing=1        cublasLtMatmul fails where the stream is being captured
//	wrong=1            products are off in one element
//	none=1             the heuristic finds nothing
//	fail_all=N         the N-th call of all gives the status

#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/fakecuda.h"

enum { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13 };
enum { R_32F = 0, R_16F = 2, R_16BF = 14, COMPUTE_32F = 68, COMPUTE_TF32 = 77 };

// The driver's side, found when the first handle is made.
static int (*enqueue)(void *stream, fake_kernel run, const void *argument, size_t bytes);
static int (*in_memory)(const void *at, size_t bytes);
static int (*is_capturing)(void);
static void (*broke)(const char *text);

static struct {
	char fail[64];
	long at, status, wrong, none, capturing, fail_all;
} set;
static long calls, of_failing, handles, objects;

static int wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int wrong(const char *format, ...) {
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (broke != NULL) broke(text);
	return INVALID_VALUE;
}

void fake_lt_set(const char *text) {
	memset(&set, 0, sizeof set);
	set.at = 1;
	set.status = EXECUTION_FAILED;
	calls = of_failing = 0;
	char *copy = strdup(text), *rest = copy, *item;
	while ((item = strsep(&rest, ",")) != NULL) {
		char *value = strchr(item, '=');
		if (value == NULL) continue;
		*value++ = 0;
		if (strcmp(item, "fail") == 0) snprintf(set.fail, sizeof set.fail, "%s", value);
		if (strcmp(item, "at") == 0) set.at = atol(value);
		if (strcmp(item, "status") == 0) set.status = atol(value);
		if (strcmp(item, "wrong") == 0) set.wrong = atol(value);
		if (strcmp(item, "none") == 0) set.none = atol(value);
		if (strcmp(item, "capturing") == 0) set.capturing = atol(value);
		if (strcmp(item, "fail_all") == 0) set.fail_all = atol(value);
	}
	free(copy);
}

long fake_lt_calls(void) { return calls; }
long fake_lt_alive(void) { return handles + objects; }

__attribute__((constructor)) static void start(void) {
	const char *text = getenv("FAKECUBLASLT");
	fake_lt_set(text != NULL ? text : "");
}

// planned is what a call was told to come to.
static int planned(const char *name) {
	calls++;
	if (set.fail_all == calls) return (int)set.status;
	if (strcmp(name, set.fail) == 0 && (!set.capturing || is_capturing()) && ++of_failing == set.at) return (int)set.status;
	return SUCCESS;
}

#define ENTER                                    \
	do {                                         \
		int planned_ = planned(__func__);        \
		if (planned_ != SUCCESS) return planned_; \
	} while (0)

enum kind { HANDLE = 0x4c01, DESC, LAYOUT, PREFERENCE };

struct object {
	enum kind kind;
	int compute, turned[2];     // of a DESC
	int type;                   // of a LAYOUT
	unsigned long rows, cols;
	long lead;
	unsigned long workspace;    // of a PREFERENCE
	unsigned alignment[4];
	unsigned reductions;
};

static struct object *new(enum kind kind) {
	struct object *o = calloc(1, sizeof *o);
	if (o == NULL) abort();
	o->kind = kind;
	*(kind == HANDLE ? &handles : &objects) += 1;
	return o;
}

// destroy frees an object, also where the call was told to fail.
static int destroy(const char *name, struct object *o, enum kind kind) {
	int result = planned(name);
	if (o == NULL || o->kind != kind) return wrong("destroyed: %p is something else", (void *)o);
	*(kind == HANDLE ? &handles : &objects) -= 1;
	if (kind == HANDLE && objects > 0) wrong("cublasLtDestroy: %ld objects are left", objects);
	o->kind = 0;
	free(o);
	return result;
}

size_t cublasLtGetVersion(void) { return 120903; }

int cublasLtCreate(struct object **handle) {
	ENTER;
	void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
	if (driver == NULL) return NOT_INITIALIZED;
	*(void **)&enqueue = dlsym(driver, "fake_enqueue");
	*(void **)&in_memory = dlsym(driver, "fake_is_memory");
	*(void **)&is_capturing = dlsym(driver, "fake_is_capturing");
	*(void **)&broke = dlsym(driver, "fake_broke");
	if (is_capturing == NULL || enqueue == NULL || in_memory == NULL || broke == NULL) return NOT_INITIALIZED;
	*handle = new(HANDLE);
	return SUCCESS;
}

int cublasLtDestroy(struct object *handle) {
	return destroy(__func__, handle, HANDLE);
}

int cublasLtMatmulDescCreate(struct object **desc, int compute, int scale) {
	ENTER;
	if ((compute != COMPUTE_32F && compute != COMPUTE_TF32) || scale != R_32F) return wrong("cublasLtMatmulDescCreate: compute %d, scale %d", compute, scale);
	*desc = new(DESC);
	(*desc)->compute = compute;
	return SUCCESS;
}

int cublasLtMatmulDescSetAttribute(struct object *desc, int attribute, const void *value, size_t bytes) {
	ENTER;
	if (desc == NULL || desc->kind != DESC || (attribute != 3 && attribute != 4) || bytes != 4 || *(const int *)value < 0 || *(const int *)value > 1)
		return wrong("cublasLtMatmulDescSetAttribute: attribute %d of %zu bytes", attribute, bytes);
	desc->turned[attribute - 3] = *(const int *)value;
	return SUCCESS;
}

int cublasLtMatmulDescDestroy(struct object *desc) {
	return destroy(__func__, desc, DESC);
}

int cublasLtMatrixLayoutCreate(struct object **layout, int type, unsigned long rows, unsigned long cols, long lead) {
	ENTER;
	if ((type != R_32F && type != R_16F && type != R_16BF) || rows == 0 || cols == 0 || lead < (long)rows)
		return wrong("cublasLtMatrixLayoutCreate: type %d, %lu by %lu, lead %ld", type, rows, cols, lead);
	*layout = new(LAYOUT);
	(*layout)->type = type;
	(*layout)->rows = rows;
	(*layout)->cols = cols;
	(*layout)->lead = lead;
	return SUCCESS;
}

int cublasLtMatrixLayoutDestroy(struct object *layout) {
	return destroy(__func__, layout, LAYOUT);
}

int cublasLtMatmulPreferenceCreate(struct object **preference) {
	ENTER;
	*preference = new(PREFERENCE);
	for (int i = 0; i < 4; i++) (*preference)->alignment[i] = 256;
	return SUCCESS;
}

int cublasLtMatmulPreferenceSetAttribute(struct object *p, int attribute, const void *value, size_t bytes) {
	ENTER;
	if (p == NULL || p->kind != PREFERENCE) return wrong("cublasLtMatmulPreferenceSetAttribute: %p", (void *)p);
	if (attribute == 1 && bytes == 8) {
		p->workspace = *(const unsigned long *)value;
	} else if (attribute == 3 && bytes == 4) {
		p->reductions = *(const unsigned *)value;
	} else if (attribute >= 5 && attribute <= 8 && bytes == 4 && *(const unsigned *)value > 0) {
		p->alignment[attribute - 5] = *(const unsigned *)value;
	} else {
		return wrong("cublasLtMatmulPreferenceSetAttribute: attribute %d of %zu bytes", attribute, bytes);
	}
	return SUCCESS;
}

int cublasLtMatmulPreferenceDestroy(struct object *p) {
	return destroy(__func__, p, PREFERENCE);
}

// algorithm is what the heuristic's answer holds, to be checked when it is used.
struct algorithm {
	struct object *desc, *a, *b, *d;
	unsigned alignment[4];
	unsigned long workspace;
	unsigned long number;
};

struct result {
	struct algorithm algorithm;
	size_t workspace;
	int status;
	float waves;
	int reserved[4];
};

_Static_assert(sizeof(struct algorithm) == 64 && sizeof(struct result) == 96, "the sizes of cublasLt.h");

static int check(struct object *desc, struct object *a, struct object *b, struct object *d) {
	struct object *all[] = {a, b, d};
	for (int i = 0; i < 3; i++)
		if (all[i] == NULL || all[i]->kind != LAYOUT) return wrong("a product of %p", (void *)all[i]);
	if (desc == NULL || desc->kind != DESC) return wrong("a product with %p", (void *)desc);
	unsigned long m = desc->turned[0] ? a->cols : a->rows, k = desc->turned[0] ? a->rows : a->cols;
	unsigned long n = desc->turned[1] ? b->rows : b->cols, inner = desc->turned[1] ? b->cols : b->rows;
	if (k != inner || d->rows != m || d->cols != n) return wrong("a product of %lu by %lu with %lu by %lu is not %lu by %lu", m, k, inner, n, d->rows, d->cols);
	if (a->type != b->type || d->type != R_32F || (desc->compute == COMPUTE_TF32 && a->type != R_32F)) return wrong("types %d, %d, %d with compute %d", a->type, b->type, d->type, desc->compute);
	return SUCCESS;
}

int cublasLtMatmulAlgoGetHeuristic(struct object *handle, struct object *desc, struct object *a, struct object *b, struct object *c, struct object *d,
                                   struct object *p, int most, struct result *results, int *count) {
	ENTER;
	if (handle == NULL || handle->kind != HANDLE || p == NULL || p->kind != PREFERENCE || most < 1 || results == NULL || count == NULL) return wrong("cublasLtMatmulAlgoGetHeuristic: %d results", most);
	if (c != d) return wrong("cublasLtMatmulAlgoGetHeuristic: C is not D");
	if (p->reductions & 1) return wrong("cublasLtMatmulAlgoGetHeuristic: reductions in place are allowed");
	int result = check(desc, a, b, d);
	if (result != SUCCESS) return result;
	*count = set.none ? 0 : most < 2 ? 1 : 2;
	for (int i = 0; i < *count; i++) {
		struct algorithm algorithm = {.desc = desc, .a = a, .b = b, .d = d, .workspace = p->workspace, .number = i};
		memcpy(algorithm.alignment, p->alignment, sizeof algorithm.alignment);
		results[i] = (struct result){.algorithm = algorithm, .workspace = i == 0 ? p->workspace : 0, .waves = 1};
	}
	return SUCCESS;
}

static float half(unsigned short h) {
	float v = (h & 0x7c00) == 0 ? ldexpf(h & 0x3ff, -24) : ldexpf((h & 0x3ff) | 0x400, ((h >> 10) & 31) - 25);
	if ((h & 0x7c00) == 0x7c00) v = h & 0x3ff ? NAN : INFINITY;
	return h & 0x8000 ? -v : v;
}

static float element(const struct object *l, const void *at, unsigned long row, unsigned long col) {
	unsigned long i = row + col * l->lead;
	unsigned word;
	float v;
	switch (l->type) {
	case R_16F: return half(((const unsigned short *)at)[i]);
	case R_16BF:
		word = (unsigned)((const unsigned short *)at)[i] << 16;
		memcpy(&v, &word, 4);
		return v;
	}
	return ((const float *)at)[i];
}

// job is a product as it waits in a stream or stands in a graph.
struct job {
	struct object desc, a, b, d;
	const void *left, *right;
	float *to;
	float alpha, beta;
};

static float rounded(float v, int compute) {
	unsigned word;
	if (compute != COMPUTE_TF32) return v;
	memcpy(&word, &v, 4);
	word &= ~0x1fffu; // what a tensor core does not see
	memcpy(&v, &word, 4);
	return v;
}

// multiply adds up downwards: our own kernels add upwards, so that bits tell whose
// product it is.
static int multiply(const struct fake_launch *l) {
	const struct job *j = l->params[0];
	unsigned long inner = j->desc.turned[0] ? j->a.rows : j->a.cols;
	for (unsigned long col = 0; col < j->d.cols; col++)
		for (unsigned long row = 0; row < j->d.rows; row++) {
			float sum = 0;
			for (unsigned long k = inner; k-- > 0;) {
				float x = j->desc.turned[0] ? element(&j->a, j->left, k, row) : element(&j->a, j->left, row, k);
				float y = j->desc.turned[1] ? element(&j->b, j->right, col, k) : element(&j->b, j->right, k, col);
				sum = fmaf(rounded(x, j->desc.compute), rounded(y, j->desc.compute), sum);
			}
			float *to = j->to + row + col * j->d.lead;
			*to = j->alpha * sum + (j->beta != 0 ? j->beta * *to : 0);
		}
	if (set.wrong) j->to[0] += 1 + j->to[0];
	return 0;
}

static size_t bytes_of(const struct object *l) { return ((l->cols - 1) * l->lead + l->rows) * (l->type == R_32F ? 4 : 2); }

int cublasLtMatmul(struct object *handle, struct object *desc, const float *alpha, const void *a, struct object *la, const void *b, struct object *lb, const float *beta,
                   const void *c, struct object *lc, void *d, struct object *ld, const struct algorithm *algorithm, void *workspace, size_t bytes, void *stream) {
	ENTER;
	if (handle == NULL || handle->kind != HANDLE || alpha == NULL || beta == NULL || c != d || lc != ld || algorithm == NULL) return wrong("cublasLtMatmul: C is %p, D is %p", c, d);
	int result = check(desc, la, lb, ld);
	if (result != SUCCESS) return result;
	if (algorithm->desc != desc || algorithm->a != la || algorithm->b != lb || algorithm->d != ld) return wrong("cublasLtMatmul: the algorithm is for another product");
	const struct { const void *at; struct object *l; unsigned alignment; } all[] = {{a, la, algorithm->alignment[0]}, {b, lb, algorithm->alignment[1]}, {d, ld, algorithm->alignment[3]}};
	for (int i = 0; i < 3; i++) {
		if (!in_memory(all[i].at, bytes_of(all[i].l))) return wrong("cublasLtMatmul: matrix %d is not in one allocation", i);
		if ((size_t)all[i].at % all[i].alignment != 0) return wrong("cublasLtMatmul: matrix %d is not at a multiple of %u", i, all[i].alignment);
	}
	if (bytes < algorithm->workspace || !in_memory(workspace, bytes) || (size_t)workspace % 256 != 0) return wrong("cublasLtMatmul: a workspace of %zu bytes at %p", bytes, workspace);
	struct job job = {.desc = *desc, .a = *la, .b = *lb, .d = *ld, .left = a, .right = b, .to = d, .alpha = *alpha, .beta = *beta};
	return enqueue(stream, multiply, &job, sizeof job) == 0 ? SUCCESS : EXECUTION_FAILED;
}
