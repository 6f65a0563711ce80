//go:build !amd64 || noasm

package simd

func peakOf(isa string) (kernel func(rounds int), lanes int, err error) {
	return nil, 0, unknownISA(isa)
}
