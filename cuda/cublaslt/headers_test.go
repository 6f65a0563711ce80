package cublaslt

import (
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/dnngen/dnngen/cuda/internal/headers"
)

// TestHeader compares functions, numbers and structures with NVIDIA's cublasLt.h.
func TestHeader(t *testing.T) {
	dirs := headers.Find(t, "cublasLt.h", "driver_types.h", "crt/host_defines.h")
	source, err := os.ReadFile("symbols.go")
	if err != nil {
		t.Fatal(err)
	}
	// Of types of 16 bits nothing is asked; their headers need others.
	text := "#define __CUDA_FP16_H__\n#define __CUDA_BF16_H__\n#include <stddef.h>\n#include <cublasLt.h>\n" + headers.Functions("size_t", symbols[fnGetVersion]) +
		headers.Functions("cublasStatus_t", symbols[fnGetVersion+1:]...) +
		headers.Constants(string(source), "CUDA_R_", "CUBLAS")
	if n := strings.Count(text, " == "); n < 15 {
		t.Errorf("only %d numbers have a name of cublasLt.h behind them", n)
	}
	for status, name := range statuses {
		text += headers.Equal(name, status)
	}
	var r result
	for expression, value := range map[string]uintptr{
		"sizeof(cublasLtMatmulAlgo_t)":                                  unsafe.Sizeof(algorithm{}),
		"sizeof(cublasLtMatmulHeuristicResult_t)":                       unsafe.Sizeof(r),
		"offsetof(cublasLtMatmulHeuristicResult_t, algo)":               unsafe.Offsetof(r.algorithm),
		"offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize)":      unsafe.Offsetof(r.workspace),
		"offsetof(cublasLtMatmulHeuristicResult_t, state)":              unsafe.Offsetof(r.status),
		"offsetof(cublasLtMatmulHeuristicResult_t, wavesCount)":         unsafe.Offsetof(r.waves),
		"offsetof(cublasLtMatmulHeuristicResult_t, reserved)":           unsafe.Offsetof(r.reserved),
		"sizeof(((cublasLtMatmulHeuristicResult_t *)0)->workspaceSize)": unsafe.Sizeof(r.workspace),
		"sizeof(((cublasLtMatmulHeuristicResult_t *)0)->state)":         unsafe.Sizeof(r.status),
	} {
		text += headers.Equal(expression, value)
	}
	if why := headers.Refused(t, dirs, text); why != "" {
		t.Error(why)
	}
}
