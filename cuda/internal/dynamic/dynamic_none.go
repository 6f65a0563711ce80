//go:build !(linux && (amd64 || arm64) && !nogpu)

package dynamic

import "errors"

const BuiltIn = false

func Open(string) (uintptr, error) {
	return 0, errors.New("this program cannot load libraries")
}

func Symbol(uintptr, string) uintptr { return 0 }

//go:uintptrescapes
func call(uintptr, ...uintptr) int { return -1 }
