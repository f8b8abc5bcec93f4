#!/usr/bin/env bash
# Starts a real control plane (etcd, kube-apiserver, on request kube-controller-manager) on free loopback ports, prints
# where it is, and runs until it is told to stop. Everything it writes is in a temporary folder that goes with it.
#
# usage: hack/control-plane/up.sh [--controllers LIST] [--until-eof]
#   --controllers LIST  also run these controllers, e.g. namespace-controller,garbage-collector-controller
#   --until-eof         stop when standard input ends (for programs that start this one); default: until Ctrl-C
#
# Prints KUBECONFIG=, KUBECTL=, ETCD_PID=, APISERVER_PID= and at last READY. The kubeconfig's contexts are its users:
# admin, alice and bob may do everything, agent nothing until it is allowed to. Their tokens are NAME-token.
set -euo pipefail

controllers="" until_eof=""
while [ $# -gt 0 ]; do
  case $1 in
    --controllers) controllers=${2:?--controllers needs a list}; shift 2 ;;
    --until-eof) until_eof=yes; shift ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
  esac
done

here=$(cd "$(dirname "$0")" && pwd)
bin=$("$here/build.sh")
kubectl=$bin/kubectl
[ -x "$kubectl" ] || kubectl=$(command -v kubectl)
work=$(mktemp -d "${TMPDIR:-/tmp}/driftless-control-plane.XXXXXX")
pids=()
started=""

stop() {
  # Nothing here is worth an orderly end.
  [ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  pids=()
}
finish() {
  trap '' INT TERM
  stop
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 0' INT TERM

fail() {
  echo "control plane: $1" >&2
  for log in "$work"/*.log; do
    echo "--- ${log##*/}, its end:" >&2
    tail -n 25 "$log" >&2
  done
  exit 1
}

# A port below the range that the kernel hands out, and that nobody listens on.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# run NAME PROGRAM [ARGUMENTS]: starts it in the background, with a log; its pid is in $started.
run() {
  local log=$work/$1.log
  shift
  "$@" >"$log" 2>&1 </dev/null &
  started=$!
  pids+=("$started")
}

write_kubeconfig() {
  {
    printf 'apiVersion: v1\nkind: Config\ncurrent-context: admin\nclusters:\n'
    printf -- '- name: test\n  cluster: {server: "https://127.0.0.1:%s", certificate-authority: %s}\n' \
      "$1" "$work/certs/apiserver.crt"
    printf 'users:\n'
    for user in admin alice bob agent; do printf -- '- {name: %s, user: {token: %s-token}}\n' $user $user; done
    printf 'contexts:\n'
    for user in admin alice bob agent; do printf -- '- {name: %s, context: {cluster: test, user: %s}}\n' $user $user; done
  } >"$work/kubeconfig"
}

# start: both servers; fails if one of them ends, as it does when somebody was faster to take its port.
start() {
  local client peer api deadline
  client=$(free_port) peer=$(free_port) api=$(free_port)
  rm -rf "$work/etcd" "$work/certs"
  run etcd "$bin/etcd" --data-dir="$work/etcd" --unsafe-no-fsync \
    --listen-client-urls="http://127.0.0.1:$client" --advertise-client-urls="http://127.0.0.1:$client" \
    --listen-peer-urls="http://127.0.0.1:$peer" --initial-advertise-peer-urls="http://127.0.0.1:$peer" \
    --initial-cluster="default=http://127.0.0.1:$peer"
  etcd_pid=$started
  # The key that it makes for its own certificate signs service account tokens as well.
  run kube-apiserver "$bin/kube-apiserver" --etcd-servers="http://127.0.0.1:$client" \
    --bind-address=127.0.0.1 --secure-port="$api" --cert-dir="$work/certs" \
    --service-cluster-ip-range=10.0.0.0/16 --endpoint-reconciler-type=none \
    --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$work/certs/apiserver.key" \
    --service-account-signing-key-file="$work/certs/apiserver.key" \
    --token-auth-file="$work/tokens.csv" --authorization-mode=RBAC --disable-admission-plugins=ServiceAccount
  apiserver_pid=$started
  write_kubeconfig "$api"
  deadline=$((SECONDS + 120))
  until "$kubectl" --kubeconfig="$work/kubeconfig" get --raw /readyz >/dev/null 2>&1; do
    kill -0 "$etcd_pid" 2>/dev/null && kill -0 "$apiserver_pid" 2>/dev/null || return 1
    [ $SECONDS -lt $deadline ] || fail "not ready after 120 s"
    sleep 0.1
  done
}

for user in admin alice bob; do echo "$user-token,$user,$user,\"system:masters\""; done >"$work/tokens.csv"
echo 'agent-token,agent,agent,"driftless:agents"' >>"$work/tokens.csv"

attempt=1
until start; do
  [ $attempt -lt 3 ] || fail "ended while starting, $attempt times"
  attempt=$((attempt + 1))
  stop
done

if [ -n "$controllers" ]; then
  [ -x "$bin/kube-controller-manager" ] || fail "there is no kube-controller-manager in $bin"
  run kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$work/kubeconfig" \
    --controllers="$controllers" --leader-elect=false --secure-port=0
fi

printf '%s\n' "KUBECONFIG=$work/kubeconfig" "KUBECTL=$kubectl" \
  "ETCD_PID=$etcd_pid" "APISERVER_PID=$apiserver_pid" READY

while :; do
  for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || fail "process $pid has ended"; done
  if [ -n "$until_eof" ]; then
    code=0
    read -r -t 1 _ || code=$?
    # Above 128: nothing to read for a second.
    [ $code -eq 0 ] || [ $code -gt 128 ] || exit 0
  else
    sleep 1
  fi
done
