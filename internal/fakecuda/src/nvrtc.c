// A stand-in for NVIDIA's run-time compiler: the PTX of a source is what
// follows its line "//PTX", and the machine code that with the mark of the fake
// driver's before it; a source without one does not compile. It knows
// architectures up to sm_90.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct program {
	char *source, *ptx;
	int real; // the architecture there is machine code for, 0: none
	char log[256];
};

static long alive; // programs that were not destroyed

long fake_programs(void) { return alive; }

int nvrtcVersion(int *major, int *minor) {
	if (major == NULL || minor == NULL) return 3;
	*major = 12;
	*minor = 4;
	return 0;
}

int nvrtcCreateProgram(struct program **p, const char *source, const char *name, int headers, const char *const *texts, const char *const *includes) {
	if (p == NULL || source == NULL || name == NULL || headers != 0 || texts != NULL || includes != NULL) return 3;
	*p = calloc(1, sizeof **p);
	(*p)->source = strdup(source);
	alive++;
	return 0;
}

int nvrtcDestroyProgram(struct program **p) {
	if (p == NULL || *p == NULL) return 4;
	free((*p)->source);
	free(*p);
	*p = NULL;
	alive--;
	return 0;
}

int nvrtcCompileProgram(struct program *p, int n, const char *const *options) {
	if (p == NULL || n != 1) return 5;
	int arch = 0;
	if (sscanf(options[0], "--gpu-architecture=sm_%d", &p->real) == 1) arch = p->real;
	else if (sscanf(options[0], "--gpu-architecture=compute_%d", &arch) != 1) return 5;
	if (arch > 90) { // newer than this compiler
		snprintf(p->log, sizeof p->log, "nvrtc: error: invalid value for --gpu-architecture (-arch)\n");
		return 5;
	}
	char *mark = strstr(p->source, "//PTX\n");
	if (mark == NULL) {
		snprintf(p->log, sizeof p->log, "network.cu(1): error: no line //PTX\n");
		return 6;
	}
	p->ptx = mark + strlen("//PTX\n");
	return 0;
}

int nvrtcGetPTXSize(struct program *p, size_t *bytes) {
	if (p == NULL || p->ptx == NULL || bytes == NULL) return 4;
	*bytes = strlen(p->ptx) + 1;
	return 0;
}

int nvrtcGetPTX(struct program *p, char *to) {
	if (p == NULL || p->ptx == NULL || to == NULL) return 4;
	strcpy(to, p->ptx);
	return 0;
}

static int machine_code(struct program *p, char *to, size_t bytes) {
	return snprintf(to, bytes, "\x7f" "ELF fake sm_%d\n%s", p->real, p->ptx);
}

int nvrtcGetCUBINSize(struct program *p, size_t *bytes) {
	if (p == NULL || p->ptx == NULL || bytes == NULL) return 4;
	*bytes = p->real == 0 ? 0 : (size_t)machine_code(p, NULL, 0);
	return 0;
}

int nvrtcGetCUBIN(struct program *p, char *to) {
	if (p == NULL || p->ptx == NULL || p->real == 0 || to == NULL) return 4;
	size_t bytes = (size_t)machine_code(p, NULL, 0);
	char *text = malloc(bytes + 1);
	machine_code(p, text, bytes + 1);
	memcpy(to, text, bytes); // no zero follows it
	free(text);
	return 0;
}

int nvrtcGetProgramLogSize(struct program *p, size_t *bytes) {
	if (p == NULL || bytes == NULL) return 4;
	*bytes = strlen(p->log) + 1;
	return 0;
}

int nvrtcGetProgramLog(struct program *p, char *to) {
	if (p == NULL || to == NULL) return 4;
	strcpy(to, p->log);
	return 0;
}
