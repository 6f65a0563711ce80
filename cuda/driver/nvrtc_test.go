//go:build linux && (amd64 || arm64) && !nogpu

package driver

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestRTC compiles the kernels of an emitted package with NVIDIA's own run-time
// compiler, which needs no GPU for that: for devices that it knows, and for one
// that it does not.
func TestRTC(t *testing.T) {
	r, err := openRTC(rtcLibraries(), 99000)
	if errors.Is(err, errNoRTC) {
		t.Skipf("NOTICE: the path through NVRTC is tested with a fake alone: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	d := &Driver{rtc: func() (*rtc, error) { return r, nil }}
	source, err := os.ReadFile(filepath.Join("..", "..", "generated", "digits", "cuda", "kernels.cu"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		device Device
		define string
		form   Form
		has    []string
	}{
		{Device{Major: 8, Minor: 0}, "", Cubin, []string{"\x7fELF", ".text.update\x00"}},
		{Device{Major: 9, Minor: 0}, "#define DNN_BF16\n", Cubin, []string{"\x7fELF", ".text.fused_bf16_"}},
		{Device{Major: 79, Minor: 0}, "#define DNN_TF32\n", PTX, []string{".target sm_80", ".entry forward0("}},
	} {
		code, form, err := d.compile(append([]byte(c.define), source...), c.device)
		if err != nil || form != c.form {
			t.Errorf("compute capability %d.%d: %v, %v", c.device.Major, c.device.Minor, form, err)
			continue
		}
		for _, want := range c.has {
			if !bytes.Contains(code, []byte(want)) {
				t.Errorf("compute capability %d.%d: the %v has no %q", c.device.Major, c.device.Minor, form, want)
			}
		}
	}
	if _, _, err := d.compile([]byte("int x"), Device{Major: 8}); err == nil {
		t.Error("a source that is broken is no error")
	}
}

func TestRTCLibraries(t *testing.T) {
	dir := t.TempDir()
	wheel := filepath.Join(dir, "lib", "python3.11", "site-packages", "nvidia", "cu13", "lib")
	if err := os.MkdirAll(wheel, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"libnvrtc.so.13", "libnvrtc-builtins.so.13.0"} {
		if err := os.WriteFile(filepath.Join(wheel, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, variable := range []string{"CUDA_HOME", "CUDA_PATH", "CONDA_PREFIX"} {
		t.Setenv(variable, "not/absolute")
	}
	t.Setenv("VIRTUAL_ENV", dir)
	list := rtcLibraries()
	if len(list) != len(rtcNames)+1 || list[len(rtcNames)] != filepath.Join(wheel, "libnvrtc.so.13") {
		t.Errorf("got %q", list)
	}
}
