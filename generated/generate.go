// Package generated holds emitted trainers as anybody's project would: checked
// in, compiled, vetted and tested with the rest. Each directory comes from the
// spec that its files name in their first line; `make generate` writes them
// again, and `make generate-check` fails where that changes anything.
package generated

//go:generate go run ../cmd/dnngen gen ../examples/digits.yaml -o digits
//go:generate go run ../cmd/dnngen gen concrete.yaml -o concrete
//go:generate go run ../cmd/dnngen gen tumour.yaml -o tumour
//go:generate go run ../cmd/dnngen gen single.yaml -o single
