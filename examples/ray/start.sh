#!/bin/sh
# Start a machine as the head or as a node of a Ray cluster that notices machines that hang (settings.env).
#
#   RAY_AUTH_TOKEN_PATH=/etc/ray/token examples/ray/start.sh head
#   RAY_AUTH_TOKEN_PATH=/etc/ray/token examples/ray/start.sh node 10.0.0.1:6379
#
# More arguments go to `ray start`: `--num-cpus=0 --num-gpus=0` for Dagster's own machine. Every process that uses the
# cluster needs the token and the settings in its environment, Dagster's too:
#
#   set -a; . examples/ray/settings.env; RAY_AUTH_MODE=token; RAY_AUTH_TOKEN_PATH=/etc/ray/token; set +a
#
# Make a token with `openssl rand -hex 32`. The command stays in the foreground, for systemd or a container.
set -eu
role=${1:?"head, or node and the address of the head"}
shift
set -a
. "$(dirname "$0")/settings.env"
RAY_AUTH_MODE=token
set +a
case $role in
head)
    exec ray start --head --port="${RAY_PORT:-6379}" --include-dashboard=false --disable-usage-stats --block "$@"
    ;;
node)
    address=${1:?"the address of the head, such as 10.0.0.1:6379"}
    shift
    exec ray start --address="$address" --disable-usage-stats --block "$@"
    ;;
*)
    echo "$role is neither head nor node" >&2
    exit 2
    ;;
esac
