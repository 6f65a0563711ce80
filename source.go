// Package dnngen carries the sources that an emitted trainer is built with, so
// that an installed dnngen needs no copy of its repository.
package dnngen

import "embed"

// Source holds go.mod, go.sum and the packages that trainers link.
//
//go:embed go.mod go.sum runtime cuda/cublaslt cuda/driver cuda/host cuda/internal/dynamic
var Source embed.FS
