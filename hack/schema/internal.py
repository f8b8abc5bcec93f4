#!/usr/bin/env python3
"""Makes src/sim/kinds/internal.txt: the fields of the API server's own types, by which it shows some values in errors.

usage: hack/schema/internal.py K8S_IO > src/sim/kinds/internal.txt
K8S_IO is the folder of the Go modules k8s.io/kubernetes@VERSION and k8s.io/api@VERSION (`go env GOMODCACHE`/k8s.io).
"""
import pathlib, re, sys

ROOTS = ["PodTemplateSpec", "PersistentVolumeClaim", "PersistentVolumeSource"]
# What is told as it is sent; the rest of the types are scalars.
RAW = ("metav1.", "resource.Quantity", "intstr.IntOrString", "ResourceList", "runtime.")


def structs(path):
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.S)
    for name, body in re.findall(r"^type (\w+) struct \{\n(.*?)^\}", text, flags=re.S | re.M):
        yield name, [line.split("`") for line in body.splitlines() if line.strip()]


def main():
    root = pathlib.Path(sys.argv[1])
    (server,) = root.glob("kubernetes@*")
    (api,) = root.glob("api@*")
    types = {name: body for name, body in structs(server / "pkg/apis/core/types.go")}
    names = {}
    for name, body in structs(api / "core/v1/types.go"):
        for line in body:
            field = line[0].split()
            tag = re.search(r'json:"([^",]+)', line[1]) if len(line) > 1 else None
            if len(field) == 2 and tag:
                names[name, field[0]] = tag[1]
    version = server.name.split("@")[1]
    print(f"# Fields of kube-apiserver's own types, {version}, in their order. Made by hack/schema/internal.py; don't edit.")
    print("#\n# A type, then its fields, indented: name, name in JSON, what it is (`ptr`, `list` or `map` of a type or scalar).")
    seen, todo = set(), list(ROOTS)
    while todo:
        name = todo.pop(0)
        if name in seen:
            continue
        seen.add(name)
        print(name)
        for line in fields(types, name):
            field, of = line
            base = re.sub(r"^(\*|\[\]|map\[\w+\])+", "", of)
            kind = "ptr " if of.startswith("*") else "list " if of.startswith("[]") else "map " if of.startswith("map") else ""
            if base == "ResourceList":
                kind, base = "map ", "raw"
            elif base.startswith(RAW):
                base = "raw"
            elif base in types:
                todo.append(base)
            else:
                base = {"bool": "flag", "int32": "number", "int64": "number", "int": "number"}.get(base, "text")
            json = names.get((name, field)) or names.get((line_owner(types, name, field), field)) or field[0].lower() + field[1:]
            print(f" {field} {json} {kind}{base}")


def line_owner(types, name, field):
    """The embedded type that a field comes from."""
    for line in types[name]:
        parts = line[0].split()
        if len(parts) == 1 and parts[0] in types and any(f == field for f, _ in fields(types, parts[0])):
            return line_owner(types, parts[0], field) or parts[0]
    return name


def fields(types, name):
    for line in types[name]:
        parts = line[0].split(None, 1)
        if len(parts) == 2:
            yield parts[0], parts[1].strip()
        elif parts[0] in types:
            yield from fields(types, parts[0])
        elif parts[0] == "metav1.ObjectMeta":
            yield "metadata", "metadata"


main()
