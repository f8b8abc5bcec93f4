#!/usr/bin/env python3
"""Writes the table of the built-in types (src/sim/schema/types.txt) from the OpenAPI v3 documents of a kube-apiserver, and from
what hack/control-plane/shapes says of the server's own types.

usage: types.py https://127.0.0.1:PORT TOKEN SHAPES      prints the table; types.sh starts a server and calls this
"""
import json, pathlib, re, ssl, sys, urllib.request

SERVER, TOKEN = sys.argv[1], sys.argv[2]
SHAPES = {tuple(line.split()[:2]): line.split()[2] for line in pathlib.Path(sys.argv[3]).read_text().splitlines()}
TLS = ssl._create_unverified_context()
# Groups that nobody puts in Git, and whose types are many.
LEFT_OUT = {"apis/resource.k8s.io/v1", "apis/storagemigration.k8s.io/v1", "apis/flowcontrol.apiserver.k8s.io/v1",
            "apis/certificates.k8s.io/v1", "apis/apiregistration.k8s.io/v1"}
# No kinds of objects, but OpenAPI documents name them.
BESIDE = ["io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"]
SCALARS = {("string", None): "string", ("string", "byte"): "bytes", ("string", "date-time"): "time",
           ("integer", "int32"): "int32", ("integer", "int64"): "int64", ("number", "double"): "number",
           ("boolean", None): "bool"}
# Types whose document says less than what the server does with them.
SPECIAL = {"io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
           "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
           "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
           "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
           "io.k8s.apimachinery.pkg.runtime.RawExtension": "raw"}
KNOWN = {"description", "type", "format", "enum", "default", "allOf", "$ref", "items", "properties", "required",
         "additionalProperties", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
         "x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key", "x-kubernetes-group-version-kind",
         "x-kubernetes-unions"}
HEADER = """\
# The built-in types of kube-apiserver {version}, as its OpenAPI v3 documents describe them. Made by hack/schema/types.sh; don't edit.
#
# A type: its name, then the kinds (group/version/kind) that it is the type of, or what it is if it has no fields. Its fields
# follow, indented: name, type, and
#   !            always written by the server, even if nothing is set
#   ?            written if anything is set, even an empty string, zero or an empty list; what has neither mark is left out if it
#                is empty, but structs: they are written once they are set
#   =JSON        default; {{}}: a struct that is always there
#   atomic, granular, set, map:KEY,KEY   how lists and maps merge; a list that says nothing is atomic, a map granular
#   required     OpenAPI documents say that it must be there
#   merge:KEY, merge:    merged by that key, or as a set, by strategic merge patches;  replace, retain: their other strategies
#   oneof:A|B    the values that it may have; each:A|B   those that its items or members may have
# A type is a scalar's name, a name with dots, [item], {{value}}, or `object` (any members)."""


def get(path):
    request = urllib.request.Request(SERVER + path, headers={"Authorization": "Bearer " + TOKEN})
    with urllib.request.urlopen(request, context=TLS) as answer:
        return json.load(answer)


def short(name):
    for long, brief in (("io.k8s.api.", ""), ("io.k8s.apimachinery.pkg.apis.", ""),
                        ("io.k8s.apiextensions-apiserver.pkg.apis.", "")):
        name = name.replace(long, brief)
    return name


def reference(schema):
    found = schema.get("$ref") or (schema["allOf"][0]["$ref"] if len(schema.get("allOf", ())) == 1 else None)
    return found and found.rsplit("/", 1)[1]


def expression(schema, needed):
    """The type of a field, an item or a value."""
    unknown = set(schema) - KNOWN
    if unknown:
        raise SystemExit(f"{unknown}: nothing is known of these; the table's format must learn them")
    name = reference(schema)
    if name:
        if name in SPECIAL:
            return SPECIAL[name]
        needed.append(name)
        return short(name)
    kind = schema.get("type")
    if kind == "array" and "items" in schema:
        return "[" + expression(schema["items"], needed) + "]"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return "{" + expression(schema["additionalProperties"], needed) + "}"
    if kind == "object" and "properties" not in schema:
        return "object"
    if kind is None and not set(schema) - {"description"}:
        return "json"
    return SCALARS[kind, schema.get("format")]


def marks(schema, shape, required):
    # Of structs, pointers are those that aren't always there.
    found = {"always": ["!"], "pointer": [] if reference(schema) not in (None, *SPECIAL) else ["?"]}.get(shape, [])
    if "default" in schema:
        found.append("=" + json.dumps(schema["default"], separators=(",", ":")))
    keys = schema.get("x-kubernetes-list-map-keys")
    kind = schema.get("x-kubernetes-list-type") if schema.get("type") == "array" else None
    if kind:
        found.append(kind + (":" + ",".join(keys) if keys else ""))
    kind = schema.get("x-kubernetes-map-type")
    if kind:
        found.append(kind)
    for strategy in schema.get("x-kubernetes-patch-strategy", "").split(","):
        if strategy == "merge":
            found.append("merge:" + schema.get("x-kubernetes-patch-merge-key", ""))
        elif strategy:
            found.append({"replace": "replace", "retainKeys": "retain"}[strategy])
    if "enum" in schema:
        found.append("oneof:" + "|".join(schema["enum"]))
    inner = schema.get("items") or schema.get("additionalProperties") or {}
    if "enum" in inner:
        found.append("each:" + "|".join(inner["enum"]))
    return found + ["required"] * required


def collect():
    """All types by name, and the names of those that are kinds of objects."""
    types, kinds = {}, {}
    for path, place in get("/openapi/v3")["paths"].items():
        if not re.fullmatch(r"api/v1|apis/[^/]+/v\d+", path) or path in LEFT_OUT:
            continue
        for name, schema in get(place["serverRelativeURL"]).get("components", {}).get("schemas", {}).items():
            types[name] = schema
            metadata = reference(schema.get("properties", {}).get("metadata", {}))
            if metadata and metadata.endswith("meta.v1.ObjectMeta"):
                kinds[name] = sorted("/".join((kind["group"], kind["version"], kind["kind"]))
                                     for kind in schema.get("x-kubernetes-group-version-kind", ()))
    return types, {name: found for name, found in kinds.items() if found}


def main():
    types, kinds = collect()
    print(HEADER.format(version=get("/version")["gitVersion"]))
    waiting, blocks = sorted(kinds) + BESIDE, {}
    while waiting:
        name = waiting.pop()
        if name in blocks:
            continue
        schema = types[name]
        if set(schema) - KNOWN:
            raise SystemExit(f"{name}: {set(schema) - KNOWN}: the table's format must learn these")
        head, lines = [short(name), *kinds.get(name, ())], []
        if "properties" not in schema:
            head.append(":" + expression(schema, waiting))
        if schema.get("x-kubernetes-map-type"):
            head.append(schema["x-kubernetes-map-type"])
        for field, of in sorted(schema.get("properties", {}).items()):
            said = marks(of, SHAPES.get((name, field)), field in schema.get("required", ()))
            lines.append(" ".join(["", field, expression(of, waiting), *said]))
        blocks[name] = "\n".join([" ".join(head), *lines])
    for name in sorted(blocks, key=short):
        print(blocks[name])


main()
