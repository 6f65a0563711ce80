package driver

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"testing/fstest"
)

func pack(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadImages(t *testing.T) {
	dir := fstest.MapFS{}
	for name, text := range map[string]string{
		"kernels.cu": "source", "kernels.sm_80.ptx": "ptx 80", "kernels.sm_120.cubin": "cubin 120",
		"README.md": "", "kernels.ptx": "", "sm_80.ptx": "", "kernels.sm_.ptx": "", "kernels.sm_x.ptx": "", "kernels.sm_9.ptx": "", "kernels.sm_-80.ptx": "",
		"kernels.sm_80b.cubin": "", "kernels.sm_99999.ptx": "", "below/kernels.cu": "",
	} {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	dir["kernels.sm_90a.cubin.gz"] = &fstest.MapFile{Data: pack(t, "cubin 90a")}
	images, err := ReadImages(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range images {
		got = append(got, i.String()+": "+string(i.Data))
	}
	if g, want := strings.Join(got, ", "), "source: source, cubin sm_120: cubin 120, PTX sm_80: ptx 80, cubin sm_90a: cubin 90a"; g != want {
		t.Errorf("got %s, want %s", g, want)
	}
	for _, broken := range []string{"", "no archive", string(pack(t, "cut off")[:12])} {
		dir := fstest.MapFS{"kernels.sm_80.ptx.gz": &fstest.MapFile{Data: []byte(broken)}}
		if _, err := ReadImages(dir); err == nil || !strings.Contains(err.Error(), "kernels.sm_80.ptx.gz") {
			t.Errorf("%q: got %v", broken, err)
		}
	}
}

func FuzzImageName(f *testing.F) {
	for _, name := range []string{"kernels.cu", "kernels.sm_80.ptx", "a.sm_90a.cubin.gz", ".sm_120.ptx", ".gz", "x.sm_.ptx"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		image, _, ok := imageOf(name)
		if !ok || image.Form == Source {
			return
		}
		// What a name says comes back in the image's own words.
		form, arch, _ := strings.Cut(image.String(), " ")
		base := strings.TrimSuffix(name, ".gz")
		if !strings.HasSuffix(base, "."+strings.ToLower(form)) || image.Major < 1 || image.Minor > 9 || !strings.Contains(strings.ReplaceAll(base, "sm_0", "sm_"), strings.TrimPrefix(arch, "sm_")) {
			t.Errorf("%q is %v", name, image)
		}
	})
}
