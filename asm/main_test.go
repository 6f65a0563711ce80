package asm_test

import (
	"testing"

	"github.com/dnngen/dnngen/asm/internal/ran"
)

// TestMain fails where an instruction set of this machine was not tested.
func TestMain(m *testing.M) { ran.Main(m) }
