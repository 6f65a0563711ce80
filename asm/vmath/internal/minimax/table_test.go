//go:build amd64

package main

import (
	"bytes"
	"os"
	"testing"
)

// TestTable fits the coefficients again and compares them with those in use.
func TestTable(t *testing.T) {
	got, err := table(problems())
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../../zcoeffs.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("zcoeffs.go is stale; run go generate ./asm/vmath")
	}
}
