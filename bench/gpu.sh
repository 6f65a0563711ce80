#!/bin/sh
# What is to be asked of a machine with an NVIDIA GPU: are the results right, is
# the code clean under NVIDIA's own checker, and how fast is it? Prints one
# table, and leaves all that was said in the directory of logs.
#
#   bench/gpu.sh [DIR]     DIR: where the logs go (default: a new one in /tmp)
#
# The exit status is 0 where all went well, 1 where something failed, and 7 on a
# machine without a GPU.
#
# SECONDS_EACH (10) is how long each network is timed; WORKLOADS ("w3 w5") are
# those of bench/workloads that are.
set -u
logs=${1:-$(mktemp -d /tmp/dnngen-gpu-XXXXXX)}
mkdir -p "$logs" && logs=$(cd "$logs" && pwd -P) || exit 1
cd "$(dirname "$0")/.." || exit 1
each=${SECONDS_EACH:-10}
workloads=${WORKLOADS:-w3 w5}
failed=0
table=$logs/table.txt
: >"$table"

# row NAME RESULT adds a line to the table.
row() { printf '%-34s %s\n' "$1" "$2" >>"$table"; }

# check NAME LOG COMMAND... runs a check. A test that skips has checked nothing.
check() {
    name=$1 log=$logs/$2
    shift 2
    echo "running: $name" >&2
    if ! "$@" >"$log" 2>&1; then
        row "$name" "FAILED, see $log"
        failed=1
    elif grep -q -e '--- SKIP' "$log"; then
        row "$name" "skipped: $(sed -n 's/^ *[a-z_]*\.go:[0-9]*: //p' "$log" | head -n 1)"
    else
        row "$name" "passed"
    fi
}

if command -v nvidia-smi >/dev/null 2>&1; then
    row "GPU" "$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -n 1)"
else
    row "GPU" "no nvidia-smi here"
fi
row "commit" "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"

precisions="fp32 tf32 bf16 fp16"
check "golden and random networks" gpu.log go test ./cuda -count=1 -timeout 60m -run '^TestGPU$' -v
for p in $precisions; do
    if grep -q -e "--- PASS: TestGPU/$p " "$logs/gpu.log"; then
        row "  in $p" "passed"
    elif grep -q -e "--- FAIL: TestGPU/$p " "$logs/gpu.log"; then
        row "  in $p" "FAILED, see $logs/gpu.log"
    fi
done
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
for tool in memcheck racecheck initcheck synccheck; do
    if [ -z "$sanitizer" ]; then
        row "compute-sanitizer $tool" "skipped: it is not installed"
        continue
    fi
    check "compute-sanitizer $tool" "$tool.log" env CUDA_NETS=4 \
        CUDA_WRAPPER="$sanitizer --tool $tool --error-exitcode 9 --log-file $logs/$tool-report.log" \
        go test ./cuda -count=1 -timeout 60m -run '^TestGPU$/^(fp32|bf16|fp16)$/^(case0|net)' -v
done

go build -o "$logs/dnngen" ./cmd/dnngen || exit 1
row "" ""
row "network" "device      threads      a step       ±     samples/s    GFLOP/s   of peak"
for w in $workloads; do
    trainer=$logs/$w
    if ! "$logs/dnngen" build "bench/workloads/$w.yaml" -o "$trainer" >"$logs/$w-build.log" 2>&1; then
        row "$w" "FAILED to build, see $logs/$w-build.log"
        failed=1
        continue
    fi
    if ! "$trainer" info --device cuda >"$logs/$w-info.log" 2>&1; then
        row "$w" "skipped: $(head -n 1 "$logs/$w-info.log")"
        continue
    fi
    echo "timing: $w" >&2
    if ! "$trainer" bench --devices cuda:0,cpu --precision "$(echo $precisions | tr ' ' ,)" --threads 0 --seconds "$each" --peak=false --data random >"$logs/$w.log" 2>&1; then
        row "$w" "FAILED, see $logs/$w.log"
        failed=1
        continue
    fi
    grep -E '^(cuda|cpu):' "$logs/$w.log" | while IFS= read -r line; do row "$w" "$line"; done
done
cat "$table"
echo "logs: $logs"
if [ "$failed" = 0 ] && ! grep -q -e '--- PASS: TestGPU/' "$logs/gpu.log"; then
    echo "there is no GPU that dnngen can use: nothing was run on one" >&2
    exit 7
fi
exit "$failed"
