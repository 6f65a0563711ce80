//go:build !(linux && (amd64 || arm64) && !nogpu)

package driver

import "errors"

const builtIn = false

func loadLibrary(string) (uintptr, error) {
	return 0, errors.New("this program cannot load libraries")
}

func symbol(uintptr, string) uintptr { return 0 }

//go:uintptrescapes
func invoke(uintptr, ...uintptr) int { return codeNotInitialized }
