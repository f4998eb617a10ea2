#!/usr/bin/env bash
# Collect the wheels that `run.sh` installs without a network, into benchmarks/gpu/wheels/, which git ignores.
#
#     benchmarks/gpu/wheels.sh
#
# Run it where pip reaches a package index. The card's machine has Python 3.12, torch, transformers, accelerate, peft,
# pyarrow, pandas and what these need; the list below is what else the measured workers import. Versions are those of
# constraints.txt. It fails where a wheel is missing there, or where all of them are more than LIMIT_MIB.
set -euo pipefail
cd "$(dirname "$0")/../.."

FOLDER=benchmarks/gpu/wheels
LIMIT_MIB=64
PACKAGES=(
    pydantic pydantic_core annotated-types typing-inspection typing_extensions # config and requests
    orjson xxhash json_repair                                                  # rows, prompts, parsers
    datasets dill multiprocess                                                 # the training set
    evaluate requests urllib3 idna certifi charset-normalizer                  # the benchmark's metrics
    scipy                                                                      # its intervals
)

pins=()
for name in "${PACKAGES[@]}"; do
    pin=$(grep -i "^$name==" constraints.txt) || { echo "$name has no version in constraints.txt" >&2; exit 1; }
    pins+=("$pin")
done
rm -rf "$FOLDER"
platforms=(--platform any)
for tag in manylinux2014 manylinux_2_17 manylinux_2_26 manylinux_2_27 manylinux_2_28; do
    platforms+=(--platform "${tag}_x86_64")
done
"${PYTHON:-python3}" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp --python-version 3.12 \
    "${platforms[@]}" --dest "$FOLDER" "${pins[@]}"
bytes=$(cat "$FOLDER"/*.whl | wc -c)
echo "${#pins[@]} wheels, $((bytes >> 20)) MiB in $FOLDER"
if ((bytes > LIMIT_MIB << 20)); then
    echo "$FOLDER has $bytes bytes; the limit is $LIMIT_MIB MiB: shorten PACKAGES" >&2
    exit 1
fi
