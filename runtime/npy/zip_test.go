package npy_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dnngen/dnngen/runtime/npy"
)

func TestZipRoundTrip(t *testing.T) {
	names := []string{"raw", "output"}
	arrays := []*npy.Array{
		{Shape: []int{2, 2}, Float: []float32{1, 2, 3, 4}},
		{Shape: []int{2}, Int: []int64{1, 0}},
	}
	var once, again bytes.Buffer
	for _, w := range []*bytes.Buffer{&once, &again} {
		if err := npy.EncodeZip(w, names, arrays); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(once.Bytes(), again.Bytes()) {
		t.Error("two archives of the same arrays differ")
	}
	got, err := npy.DecodeZip(bytes.NewReader(once.Bytes()), int64(once.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]*npy.Array{"raw": arrays[0], "output": arrays[1]}, got); d != "" {
		t.Error(d)
	}
	// Small readers look for the size in front of a member.
	if size := binary.LittleEndian.Uint32(once.Bytes()[22:]); size != 128+16 {
		t.Errorf("the first member's own header tells of %d bytes", size)
	}
	if err := npy.EncodeZip(io.Discard, []string{"a", "a"}, arrays); err == nil {
		t.Error("one name for two arrays")
	}
	if err := npy.EncodeZip(io.Discard, []string{"a"}, arrays); err == nil {
		t.Error("two arrays without names")
	}
	for n := range once.Len() {
		if err := npy.EncodeZip(&failAfter{n}, names, arrays); err == nil {
			t.Fatalf("a disk with room for %d bytes: no error", n)
		}
	}
}

type failAfter struct{ n int }

func (w *failAfter) Write(b []byte) (int, error) {
	if w.n -= len(b); w.n < 0 {
		return 0, errors.New("full")
	}
	return len(b), nil
}

// archive makes a zip archive of raw members.
func archive(t testing.TB, method uint16, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: members[i], Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, members[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZipRefuses(t *testing.T) {
	good := string(array(vector, 0, 0, 0, 0))
	// The directory's entry claims that the member unpacks to 4 GiB less 2.
	claims := archive(t, zip.Store, "x.npy", good)
	entry := bytes.LastIndex(claims, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(claims[entry+24:], math.MaxUint32-1)
	// Both entries lead to the first member.
	overlap := archive(t, zip.Store, "x.npy", good, "y.npy", good)
	entry = bytes.LastIndex(overlap, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(overlap[entry+20:], uint32(len(overlap)))
	binary.LittleEndian.PutUint32(overlap[entry+24:], uint32(len(overlap)))
	checksum := archive(t, zip.Store, "x.npy", good)
	checksum[bytes.Index(checksum, []byte("shape"))+20] ^= 1
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"not zip":    {[]byte("\x93NUMPY"), "not an .npz archive"},
		"other file": {archive(t, zip.Store, "../../x.py", "os"), "not an .npy array"},
		"twice":      {archive(t, zip.Store, "x.npy", good, "x.npy", good), "twice"},
		"goes on":    {archive(t, zip.Store, "x.npy", good+"!"), "after the last element"},
		"cut":        {archive(t, zip.Deflate, "x.npy", good[:20]), "ends inside its header"},
		"claims":     {claims, "claims 4294967294 bytes"},
		"overlap":    {overlap, "together larger"},
		"checksum":   {checksum, "array \"x\""},
	} {
		_, err := npy.DecodeZip(bytes.NewReader(c.b), int64(len(c.b)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzDecodeZip(f *testing.F) {
	for _, name := range []string{"testdata/kinds.npz", "testdata/packed.npz", "testdata/refused.npz"} {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(archive(f, zip.Store, "x.npy", string(array(vector, 0, 0, 0, 0))))
	f.Fuzz(func(t *testing.T, b []byte) {
		arrays, err := npy.DecodeZip(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for name, a := range arrays {
			if a.Len() > 1032*len(b) {
				t.Fatalf("array %q has %d elements in %d bytes", name, a.Len(), len(b))
			}
		}
	})
}
