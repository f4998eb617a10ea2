#!/usr/bin/env bash
# Measure the library's workers on this machine's GPU: a table, and as the last line one JSON document.
#
#     benchmarks/gpu/run.sh [--small] [--budget SECONDS]
#
# It needs no network: it installs the wheels that `wheels.sh` has collected into a temporary folder, which it removes
# afterwards. With OUT set, the document is also written to $OUT/gpu.json. See docs/gpu.md.
set -euo pipefail
cd "$(dirname "$0")/../.."

site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
shopt -s nullglob
wheels=(benchmarks/gpu/wheels/*.whl)
if ((${#wheels[@]} == 0)); then
    echo "benchmarks/gpu/wheels/ has no wheels: run benchmarks/gpu/wheels.sh where there is a package index" >&2
    exit 2
fi
python=${PYTHON:-python3}
"$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --disable-pip-version-check \
    --target "$site" "${wheels[@]}"
export PYTHONPATH="$PWD:$site${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
"$python" -m benchmarks.gpu "$@"
