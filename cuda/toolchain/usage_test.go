package toolchain

import (
	"context"
	"errors"
	"reflect"
	"testing"
)

// said is what ptxas 12.9 says of two kernels.
const said = `ptxas info    : 0 bytes gmem, 96 bytes cmem[4]
ptxas info    : Compiling entry function 'fused_tf32_16' for 'sm_80'
ptxas info    : Function properties for fused_tf32_16
    16 bytes stack frame, 36 bytes spill stores, 24 bytes spill loads
ptxas info    : Used 80 registers, used 1 barriers, 16 bytes cumulative stack size, 2048 bytes smem, 360 bytes cmem[0]
ptxas info    : Compile time = 8.120 ms
ptxas warning : Registers are spilled to local memory in function 'fused_tf32_16', 36 bytes spill stores, 24 bytes spill loads
ptxas info    : Compiling entry function 'update' for 'sm_80'
ptxas info    : Function properties for update
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers
`

func TestReadUsage(t *testing.T) {
	list, warnings := readUsage(said)
	want := []Usage{
		{Kernel: "fused_tf32_16", Registers: 80, Shared: 2048, Stack: 16, Spilled: 36, Barriers: 1},
		{Kernel: "update", Registers: 32},
	}
	if !reflect.DeepEqual(list, want) || len(warnings) != 1 {
		t.Errorf("got %+v and %q, want %+v and a warning", list, warnings, want)
	}
}

func TestUsage(t *testing.T) {
	if _, _, _, err := (&Toolchain{}).Usage(t.Context(), []byte(kernel), 80); !errors.Is(err, ErrNoAssembler) {
		t.Errorf("without tools: %v", err)
	}
	found := Find(context.Background())
	archs := found.Archs()
	if len(archs) == 0 {
		t.Skip("NOTICE: no ptxas, and no nvcc: what kernels take is not asked")
	}
	for _, sm := range archs {
		cubin, list, warnings, err := found.Usage(t.Context(), []byte(kernel), sm)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Kernel != "axpy" || list[0].Registers < 4 || list[0].Registers > 40 || list[0].Spilled != 0 || len(warnings) > 0 || len(cubin) < 64 {
			t.Errorf("sm_%d: %+v, %q, %d bytes", sm, list, warnings, len(cubin))
		}
	}
	if _, _, _, err := found.Usage(t.Context(), []byte("int x"), archs[0]); err == nil {
		t.Error("a source that is broken is no error")
	}
}
