package rundir

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"testing"
)

func FuzzIndent(f *testing.F) {
	for _, text := range []string{
		`{}`, `[]`, `7`, `"a\\\",[]{}: b"`, `{"a":[1,2,[]],"b":{"c":{},"d":"\\"},"e":null}`, `[[[]],{}]`, `[{"a":"\""},"\\",[1,-2e5]]`,
	} {
		f.Add([]byte(text), 1)
	}
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		var compact, want, got bytes.Buffer
		if json.Compact(&compact, text) != nil || json.Indent(&want, compact.Bytes(), "", "  ") != nil {
			return
		}
		w := &indenter{w: &got}
		for b := range slices.Chunk(compact.Bytes(), max(1, piece)) {
			if n, err := w.Write(b); n != len(b) || err != nil {
				t.Fatalf("wrote %d of %d bytes, %v", n, len(b), err)
			}
		}
		if got.String() != want.String() {
			t.Errorf("%s: got\n%s\nwant\n%s", text, &got, &want)
		}
	})
}

func TestIndentOfMuch(t *testing.T) {
	matrix := make([][]int, 200)
	for i := range matrix {
		matrix[i] = make([]int, 200)
		matrix[i][i] = i
	}
	want, err := json.MarshalIndent(matrix, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.NewEncoder(&indenter{w: &got}).Encode(matrix); err != nil || got.String() != string(want)+"\n" {
		t.Errorf("%d bytes, %v; want %d", got.Len(), err, len(want)+1)
	}
	if err := json.NewEncoder(&indenter{w: full{}}).Encode(matrix); err == nil {
		t.Error("a writer that fails is not told of")
	}
}

// full takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
