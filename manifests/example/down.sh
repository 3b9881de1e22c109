#!/bin/bash
# Stop what manifests/example/up.sh started; PURGE=1 deletes the data as well.
# usage: manifests/example/down.sh [DATA_DIR]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
data=${1:-/var/lib/tiphys}
pid_file=$data/example-registry/pid
if [ -f "$pid_file" ]; then
    pid=$(cat "$pid_file")
    # Only the process we started: a number may belong to somebody else by now.
    if grep -qs docker-registry "/proc/$pid/cmdline"; then kill "$pid"; fi
    rm -f "$pid_file"
fi
"$root/.venv/bin/tiphys" down --data-dir "$data" ${PURGE:+--purge}
