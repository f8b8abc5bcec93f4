#!/usr/bin/env bash
# The agent against a real API server and an example repository, all of it on this machine and gone with Ctrl-C.
#
# usage: hack/demo.sh [--once]
#   --once   wait until the application is synced, change an object by hand, wait until that is reverted, and exit
#
# DRIFTLESS_BIN names a built program to use; default: the release build, which is made first.
set -euo pipefail
cd "$(dirname "$0")/.."

once=""
case ${1:-} in
  "") ;;
  --once) once=yes ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
esac

# How long anything may take before the demonstration gives up, in seconds.
patience=120
work=$(mktemp -d "${TMPDIR:-/tmp}/driftless-demo.XXXXXX")
agent="" plane=""

finish() {
  local code=$?
  trap '' INT TERM
  # The agent first: it gives its Lease away.
  for pid in $agent $plane; do
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
  exit $code
}
trap finish EXIT
trap 'exit 0' INT TERM

fail() {
  echo "error: $1" >&2
  for log in "$work"/*.log; do
    [ ! -s "$log" ] || { echo "--- ${log##*/}, its end:" >&2; tail -n 30 "$log" >&2; }
  done
  exit 1
}

# wait_for WHAT COMMAND...: until the command succeeds.
wait_for() {
  local what=$1 deadline=$((SECONDS + patience))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || fail "$what: not within $patience s"
    [ -z "$agent" ] || kill -0 "$agent" 2>/dev/null || fail "the agent has ended"
    kill -0 "$plane" 2>/dev/null || fail "the control plane has ended"
    sleep 0.2
  done
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

if [ -z "${DRIFTLESS_BIN:-}" ]; then
  echo "Building the agent ..."
  cargo build --release --locked --quiet
  DRIFTLESS_BIN=${CARGO_TARGET_DIR:-target}/release/driftless
fi
driftless=$(realpath "$DRIFTLESS_BIN")

echo "Starting a control plane (built first, which takes some minutes, if this is the first time) ..."
hack/control-plane/build.sh >/dev/null
hack/control-plane/up.sh \
  --controllers namespace-controller,garbage-collector-controller,deployment-controller,replicaset-controller \
  >"$work/plane.out" 2>"$work/control-plane.log" &
plane=$!
wait_for "the control plane" grep -qx READY "$work/plane.out"
KUBECONFIG=$(sed -n 's/^KUBECONFIG=//p' "$work/plane.out")
KUBECTL=$(sed -n 's/^KUBECTL=//p' "$work/plane.out")
export KUBECONFIG

repo=$work/repo
git init --quiet --initial-branch=main "$repo"
mkdir "$repo/shop"
cat >"$repo/shop/settings.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  greeting: hello
YAML
cat >"$repo/shop/web.yaml" <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: web
          image: registry.example.com/shop/web:1.0.0
          ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
YAML
commit() { git -C "$repo" add -A && git -C "$repo" -c user.name=demo -c user.email=demo@example.com commit --quiet -m "$1"; }
commit "the shop"

"$driftless" crds | "$KUBECTL" apply --server-side -f - >/dev/null
wait_for "the CRD" "$KUBECTL" get applications -A
for namespace in driftless argocd; do "$KUBECTL" create namespace $namespace >/dev/null; done
"$KUBECTL" apply -f - >/dev/null <<YAML
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop
  namespace: argocd
spec:
  project: default
  source: {repoURL: "$repo", targetRevision: main, path: shop}
  destination: {server: https://kubernetes.default.svc, namespace: shop}
  syncPolicy:
    automated: {prune: true, selfHeal: true}
    syncOptions: [CreateNamespace=true]
YAML

api=127.0.0.1:$(free_port)
"$driftless" run --kubeconfig "$KUBECONFIG" --context admin --data-dir "$work/data" --poll-interval 2s --poll-jitter 0 \
  --listen "127.0.0.1:$(free_port)" --api-listen "$api" --log-format text >"$work/agent.log" 2>&1 &
agent=$!

is() { [ "$("$KUBECTL" "${@:2}")" = "$1" ]; }
echo "Waiting until the application is synced ..."
wait_for "the sync" is Synced -n argocd get application shop -o 'jsonpath={.status.sync.status}'
# The agent's own view may be a moment behind the status that it has written.
shown() { "$driftless" get apps --api-url "http://$api" >"$work/apps" && grep -qw Synced "$work/apps"; }
wait_for "the agent's view of the sync" shown
cat "$work/apps"

if [ -n "$once" ]; then
  echo "Changing an object by hand: 9 replicas instead of 2 ..."
  "$KUBECTL" -n shop scale deployment web --replicas=9 >/dev/null
  wait_for "the revert of an edit" is 2 -n shop get deployment web -o 'jsonpath={.spec.replicas}'
  echo "Reverted. Deleting another ..."
  uid=$("$KUBECTL" -n shop get configmap settings -o 'jsonpath={.metadata.uid}')
  "$KUBECTL" -n shop delete configmap settings >/dev/null
  recreated() { local now; now=$("$KUBECTL" -n shop get configmap settings -o 'jsonpath={.metadata.uid}'); [ -n "$now" ] && [ "$now" != "$uid" ]; }
  wait_for "the revert of a delete" recreated
  echo "Back again. Committing a change ..."
  sed -i 's/hello/good evening/' "$repo/shop/settings.yaml"
  commit "another greeting"
  wait_for "the new commit" is "good evening" -n shop get configmap settings -o 'jsonpath={.data.greeting}'
  echo "Deployed. That is all."
  exit 0
fi

cat <<TEXT

An agent keeps the namespace \`shop\` equal to the folder shop/ of $repo.
In another terminal:

  export KUBECONFIG=$KUBECONFIG
  kubectl -n argocd get applications
  kubectl -n shop get all,configmaps
  kubectl -n shop scale deployment web --replicas=9     # put back at once
  kubectl -n shop delete configmap settings             # made again
  cd $repo && \$EDITOR shop/settings.yaml && git commit -am change     # deployed within 2 s
  $driftless get objects shop -o wide --api-url http://$api

Its log follows. Ctrl-C ends everything.

TEXT
tail -n +1 -f --pid="$agent" "$work/agent.log" &
wait "$agent" || fail "the agent has ended"
