#!/bin/sh
# openblas.sh COMMAND [ARG]...: runs a go command with the interpreted autograd
# on OpenBLAS, through cgo and gonum's netlib. It needs a C compiler and OpenBLAS
# (Debian: gcc, libopenblas-dev). The module file of the repository stays as it
# is: the one with netlib in it lives in a temporary folder.
#
#   bench/autograd/openblas.sh test ./bench/autograd
#   OPENBLAS_NUM_THREADS=1 bench/autograd/openblas.sh run ./cmd/dnngen bench examples/digits.yaml
set -eu
[ $# -gt 0 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp go.mod "$dir/go.mod"
cp go.sum "$dir/go.sum"
netlib=v0.0.0-20190313105609-8cb42192e0e0
go mod edit -require "gonum.org/v1/netlib@$netlib" "$dir/go.mod"
export CGO_ENABLED=1 CGO_LDFLAGS="${CGO_LDFLAGS:--lopenblas}"
command=$1
shift
go "$command" -modfile="$dir/go.mod" -mod=mod -tags=netlib "$@"
