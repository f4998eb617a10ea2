#!/usr/bin/env bash
# Collect the wheels that `run.sh` installs without a network, into benchmarks/gpu/wheels/, which git ignores.
#
#     benchmarks/gpu/wheels.sh
#
# Run it where pip reaches a package index. The GPU's machine has Python 3.12, torch, transformers, accelerate, peft,
# pyarrow, pandas and what these need. WORKERS lists what else the measured workers import, TESTS what the tests marked
# `gpu` need besides: Dagster, in a folder of its own, so that it changes nothing for the workers. Versions are those of
# constraints.txt. The script fails if a wheel is missing there, or if all of them have more than LIMIT_MIB.
set -euo pipefail
cd "$(dirname "$0")/../.."

FOLDER=benchmarks/gpu/wheels
LIMIT_MIB=58 # of the 64 that a machine may accept, with the checkout
WORKERS=(
    pydantic pydantic_core annotated-types typing-inspection typing_extensions # config, specs and results
    orjson xxhash json_repair                                                  # rows, prompts, parsers
    datasets dill multiprocess                                                 # the training set
    evaluate requests urllib3 idna certifi charset-normalizer                  # the benchmark's metrics
    scipy                                                                      # its intervals
    trl                                                                        # the peer of `step_vs_trl`
)
TESTS=(
    dagster dagster-pipes dagster-shared
    alembic Mako SQLAlchemy                     # its storage
    grpcio grpcio-health-checking protobuf      # its code locations
    antlr4-python3-runtime toposort             # its asset graph
    coloredlogs humanfriendly structlog tabulate
    docstring_parser platformdirs python-dotenv pytz tomli tomlkit tzdata watchdog
    pathlib_abc universal_pathlib
)

platforms=(--platform any)
for tag in manylinux2014 manylinux_2_17 manylinux_2_26 manylinux_2_27 manylinux_2_28; do
    platforms+=(--platform "${tag}_x86_64")
done

collect() { # FOLDER NAME...: download the pinned version of every package
    local pins=() name pin
    for name in "${@:2}"; do
        pin=$(grep -i "^$name==" constraints.txt) || { echo "$name has no version in constraints.txt" >&2; exit 1; }
        pins+=("$pin")
    done
    "${PYTHON:-python3}" -m pip download --quiet --no-deps --only-binary=:all: --implementation cp \
        --python-version 3.12 "${platforms[@]}" --dest "$1" "${pins[@]}"
}

rm -rf "$FOLDER"
collect "$FOLDER" "${WORKERS[@]}"
collect "$FOLDER/tests" "${TESTS[@]}"
bytes=$(cat "$FOLDER"/*.whl "$FOLDER"/tests/*.whl | wc -c)
echo "$((${#WORKERS[@]} + ${#TESTS[@]})) wheels, $((bytes >> 20)) MiB in $FOLDER"
if ((bytes > LIMIT_MIB << 20)); then
    echo "$FOLDER has $bytes bytes; the limit is $LIMIT_MIB MiB: shorten the lists" >&2
    exit 1
fi
