#!/usr/bin/env bash
# Builds a real control plane (etcd, kube-apiserver, kube-controller-manager, kubectl) from the Go module proxy into a
# cache folder, once per version, and prints that folder. Nothing else is downloaded. If KUBEBUILDER_ASSETS is set,
# the binaries there are used instead and nothing is built.
#
# usage: hack/control-plane/build.sh        prints the folder that holds the binaries
set -euo pipefail

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  echo "$KUBEBUILDER_ASSETS"
  exit 0
fi

here=$(cd "$(dirname "$0")" && pwd)
kubernetes=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' "$here/go.mod")
key=$(cat "$here/go.mod" "$here/go.sum" "$0" | sha256sum | cut -c1-12)
cache=${DRIFTLESS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/driftless}/control-plane/$kubernetes-$key
if [ -e "$cache/.complete" ]; then
  echo "$cache"
  exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
minor=${kubernetes#v1.}
version="-X k8s.io/component-base/version.gitVersion=$kubernetes \
 -X k8s.io/component-base/version.gitMajor=1 \
 -X k8s.io/component-base/version.gitMinor=${minor%%.*} \
 -X k8s.io/client-go/pkg/version.gitVersion=$kubernetes"

# One after the other: the linker of the API server alone takes 2.6 GB.
build() {
  [ -x "$cache/$1" ] && return
  echo "control plane: building $1 ($kubernetes)" >&2
  (cd "$here" && CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags "-s -w $version" -o "$cache/$1.part" "$2") >&2
  mv "$cache/$1.part" "$cache/$1"
}
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
build kubectl k8s.io/kubernetes/cmd/kubectl
build etcd go.etcd.io/etcd/server/v3
touch "$cache/.complete"
echo "$cache"
