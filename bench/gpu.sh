#!/bin/sh
# What is to be asked of a machine with an NVIDIA GPU: are the results right, is
# the code clean under NVIDIA's own checker, and how fast is it, beside PyTorch?
# Prints one table.
#
#   bench/gpu.sh DIR prepare    compile all that is to run into DIR: needs Go, and to be
#                               quick on the GPU clang 19 and ptxas, but no GPU
#   bench/gpu.sh DIR            prepare, if that was not done, and run all parts that have
#                               no result in DIR yet
#   bench/gpu.sh DIR PART...    run these: golden, time or sanitizer, or one of them, such
#                               as golden:bf16, time:w3:tf32, sanitizer:memcheck
#
# A machine that runs the parts needs neither Go nor a compiler nor a network: take the
# working tree there, with DIR prepared. For PyTorch it needs the Python that PEER_PYTHON
# (python3) names, with torch in it; what is not there is named and left out.
#
# LIMIT ends a run after so long, such as 9m (default: never). What was not done is said,
# and done by the next run. SECONDS_EACH (10) is how long each network is timed.
# RESULTS (bench/results/gpu.json) is written where something was timed; DIR has a copy,
# and what all programs said, in logs.
#
# The exit status is 0 where all went well, 1 where something failed, 2 where this was
# called wrongly, 3 where something was left for another run, and 7 on a machine without
# a GPU that dnngen can use.
set -u
if [ $# = 0 ] || [ "${1#-}" != "$1" ]; then
    sed -n '2,/^set/{/^#/!d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
fi
mkdir -p "$1" && dir=$(cd "$1" && pwd -P) || exit 1
shift
cd "$(dirname "$0")/.." || exit 1
if [ "${1:-}" = prepare ] || [ ! -f "$dir/prepared.json" ]; then
    if ! command -v go >/dev/null; then
        echo "$dir is not prepared, which needs Go: bench/gpu.sh DIR prepare" >&2
        exit 2
    fi
    CGO_ENABLED=0 go build -ldflags "-s -w" -o "$dir/gpu" ./bench/gpu && "$dir/gpu" prepare "$dir" || exit
    [ "${1:-}" = prepare ] && exit 0
fi
exec "$dir/gpu" -limit "${LIMIT:-0}" -seconds "${SECONDS_EACH:-10}" -json "${RESULTS:-bench/results/gpu.json}" "$dir" "$@"
