#!/bin/bash
# The main job, step by step: a cluster, a registry on loopback, an image of two layers, a Deployment, an answer.
# usage: manifests/example/up.sh [DATA_DIR]      needs what `make setup` installs
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
data=${1:-/var/lib/tiphys}
bin=$root/.venv/bin
registry=127.0.0.1:5000

"$bin/tiphys" up --data-dir "$data"
export KUBECONFIG=$data/admin.kubeconfig

echo
echo "== a registry on $registry with the example image"
mkdir -p "$data/example-registry"
if ! curl -fsS -o /dev/null "http://$registry/v2/" 2>/dev/null; then
    sed -e "s|@DATA@|$data/example-registry|" -e "s|@ADDRESS@|$registry|" "$here/registry.yml" \
        >"$data/example-registry/config.yml"
    OTEL_TRACES_EXPORTER=none setsid docker-registry serve "$data/example-registry/config.yml" \
        </dev/null >"$data/logs/example-registry.log" 2>&1 &
    echo $! >"$data/example-registry/pid"
    for _ in $(seq 100); do
        curl -fsS -o /dev/null "http://$registry/v2/" 2>/dev/null && break
        sleep 0.1
    done
fi
"$bin/python" -m nodeagent.images.push_example --registry "$registry" --repository example/hello --tag v1

echo
echo "== tiphys apply -f manifests/app.yaml"
"$bin/tiphys" apply -f "$root/manifests/app.yaml"
available=
for _ in $(seq 240); do
    available=$("$bin/tiphys" get deployment hello -o 'jsonpath={.status.availableReplicas}')
    [ "$available" = 2 ] && break
    sleep 0.25
done
"$bin/tiphys" get deployments,pods -o wide
if [ "$available" != 2 ]; then
    echo "the example is not available; see: tiphys describe pods" >&2
    "$bin/tiphys" events >&2
    exit 1
fi

echo
echo "== each pod answers"
for address in $("$bin/tiphys" get pods -l app=hello -o 'jsonpath={.items[*].status.podIP}'); do
    echo "\$ curl http://$address:8080/cgi-bin/index.cgi"
    curl -fsS --max-time 10 "http://$address:8080/cgi-bin/index.cgi"
done
