#!/usr/bin/env python3
"""Writes what a kube-apiserver says of the columns of its tables (src/sim/apiserver/columns/descriptions.txt): it is asked for a
table of each resource that the model serves.

usage: columns.py https://127.0.0.1:PORT TOKEN RESOURCES      prints the list; types.sh starts a server and calls this
"""
import collections, json, pathlib, ssl, sys, urllib.request

SERVER, TOKEN, RESOURCES = sys.argv[1:]
TLS = ssl._create_unverified_context()
HEADER = """\
# What kube-apiserver {version} says of the columns of tables. Made by hack/schema/types.sh; don't edit.
#
# A line that is not indented is a resource; its columns follow, each with its description as a JSON string. Those in front of the
# first resource are said of the columns of that name wherever the resource says nothing else."""


def get(path, accept):
    request = urllib.request.Request(SERVER + path, headers={"Authorization": "Bearer " + TOKEN, "Accept": accept})
    with urllib.request.urlopen(request, context=TLS) as answer:
        return json.load(answer)


def tables():
    """Descriptions by resource and column."""
    for line in pathlib.Path(RESOURCES).read_text().splitlines():
        if line.startswith("#"):
            continue
        version, plural, verbs = line.split()[0], line.split()[1], line.split()[6]
        if verbs != "*" and "list" not in verbs.split(","):
            continue
        group = version.rpartition("/")[0]
        path = f"/apis/{version}/{plural}" if group else f"/api/{version}/{plural}"
        table = get(path, "application/json;as=Table;g=meta.k8s.io;v=v1")
        columns = [(column["name"], column["description"]) for column in table["columnDefinitions"]]
        yield f"{plural}.{group}" if group else plural, columns


def main():
    found, said = dict(tables()), collections.defaultdict(collections.Counter)
    for columns in found.values():
        for name, text in columns:
            if ": " in name:
                raise SystemExit(f"{name!r}: the format can't hold this name")
            said[name][text] += 1
    # Of several that are as frequent, the one that was met first.
    common = {name: texts.most_common(1)[0] for name, texts in said.items()}
    common = {name: text for name, (text, times) in common.items() if times > 1 and text}
    print(HEADER.format(version=get("/version", "application/json")["gitVersion"]))
    for name in sorted(common):
        print(f" {name}: {json.dumps(common[name])}")
    for resource in sorted(found):
        own = [(name, text) for name, text in found[resource] if common.get(name, "") != text]
        if own:
            print("\n".join([resource, *(f" {name}: {json.dumps(text)}" for name, text in own)]))


main()
