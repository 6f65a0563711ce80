// Package ran counts what the tests of packages below asm ran on each
// instruction set, so that tests which were skipped are not taken for tests
// that passed.
package ran

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/dnngen/dnngen/runtime/simd"
)

var (
	mu     sync.Mutex
	counts = map[string]int{}
)

// Missing says why kernels of an instruction set, "avx2" or "avx512", cannot run
// here; nil where they can.
func Missing(isa string) error {
	switch isa {
	case "avx2":
		return simd.MissingAVX2()
	case "avx512":
		return simd.MissingAVX512()
	}
	return fmt.Errorf("there is no instruction set %q", isa)
}

// Here skips a test whose instruction set this machine lacks, and otherwise
// counts it.
func Here(t testing.TB, isa string) {
	t.Helper()
	if err := Missing(isa); err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	On(isa)
}

// On counts a test of an instruction set.
func On(isa string) {
	mu.Lock()
	defer mu.Unlock()
	counts[isa]++
}

// Main runs the tests of a package, for its TestMain. Where all of them were
// asked for, an instruction set that this machine has and that none of them ran
// on is a failure.
func Main(m *testing.M) {
	status := m.Run()
	if all := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" &&
		flag.Lookup("test.list").Value.String() == ""; all && status == 0 {
		for _, isa := range []string{"avx2", "avx512"} {
			if Missing(isa) == nil && counts[isa] == 0 {
				fmt.Printf("FAIL: this machine has %s, and no test ran on it\n", isa)
				status = 1
			}
		}
	}
	os.Exit(status)
}
