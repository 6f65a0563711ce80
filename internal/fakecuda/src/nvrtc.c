// A stand-in for NVIDIA's run-time compiler: the PTX of a source is what
// follows its line "//PTX"; a source without one does not compile. It knows
// architectures up to sm_90.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct program {
	char *source, *ptx;
	char log[256];
};

static long alive; // programs that were not destroyed

long fake_programs(void) { return alive; }

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
	if (p == NULL || n != 1 || strncmp(options[0], "--gpu-architecture=compute_", 27) != 0) return 5;
	if (atoi(options[0] + 27) > 90) { // newer than this compiler
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
