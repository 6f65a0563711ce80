package bench

import (
	"runtime"

	"github.com/klauspost/cpuid/v2"
)

// Machine describes where something was measured.
type Machine struct {
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"`
	Threads int    `json:"threads"` // that Go uses
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Go      string `json:"go"`
}

// ThisMachine describes the machine that this process runs on.
func ThisMachine() Machine {
	return Machine{
		CPU: cpuid.CPU.BrandName, Cores: runtime.NumCPU(), Threads: runtime.GOMAXPROCS(0),
		OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(),
	}
}
