#!/usr/bin/env python3
"""Asks a real kube-apiserver about the objects of corpus/*.yaml and keeps its answers as answers/*.json.

usage: record.py KUBECONFIG [NAME ...]      (hack/control-plane/up.sh prints the path of a kubeconfig)

A document of the corpus names a resource (`path`, of which NS is the namespace) and a `base` object. The cases are merge
patches over it:
  create  NAME: PATCH                          posted with dryRun=All
  post    NAME: PATCH                          posted, and deleted again
  update  NAME: {old: PATCH, new: PATCH}       base and `old` are created, `new` is merged over what was stored, and put
          NAME: {old: PATCH, put: PATCH}       the same, but base and `put` are sent as they are
  table   NAME: {object: PATCH, status: PATCH} created, its status written, and shown as a row
Uids, versions, times and what the server picks by chance are replaced by fixed texts.
"""
import copy, datetime, http.client, json, pathlib, re, ssl, sys, time, urllib.parse
import yaml

HERE = pathlib.Path(__file__).parent
NAMESPACE = "default"
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Server:
    def __init__(self, kubeconfig):
        cluster = yaml.safe_load(open(kubeconfig))["clusters"][0]["cluster"]
        self.host = urllib.parse.urlparse(cluster["server"]).netloc
        self.tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self.tls.check_hostname = False
        self.connection = None

    def ask(self, method, path, body=None, accept="application/json"):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(self.host, context=self.tls)
        headers = {"Authorization": "Bearer admin-token", "Accept": accept, "Content-Type": "application/json"}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse().read()
        # A resource that is not served yet is told of in plain text.
        return json.loads(answer) if answer.startswith(b"{") else {"kind": "Status", "message": answer.decode()}


def merge(target, patch):
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    target = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merge(target.get(key), value)
    return target


def plain(answer, sent):
    """Without what differs from run to run."""
    answer = json.loads(UID.sub("UID", json.dumps(answer)))
    metadata = answer.get("metadata", {})
    for key in ["managedFields", "resourceVersion", "creationTimestamp"]:
        metadata.pop(key, None)
    status = answer.get("status")
    if isinstance(status, dict):
        if "lastPhaseTransitionTime" in status:
            status["lastPhaseTransitionTime"] = "TIME"
        for condition in (status.get("conditions") or [])[:1]:
            condition["lastTransitionTime"] = "TIME"
    if answer.get("kind") == "Service":
        chosen(answer["spec"], sent.get("spec", {}))
    return answer


def chosen(spec, sent):
    """Addresses and ports that the server picked."""
    if "clusterIP" not in sent and spec.get("clusterIP", "None") != "None":
        spec["clusterIP"], spec["clusterIPs"] = "PICKED", ["PICKED"]
    for port, wanted in zip(spec.get("ports", []), sent.get("ports", []) or []):
        if "nodePort" in port and not (wanted or {}).get("nodePort"):
            port["nodePort"] = "PICKED"
    if "healthCheckNodePort" in spec and "healthCheckNodePort" not in sent:
        spec["healthCheckNodePort"] = "PICKED"


def stored(object):
    """As read, without what is not told in answers."""
    object = copy.deepcopy(object)
    object["metadata"].pop("managedFields", None)
    return object


def seconds(age):
    parts = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", age)
    return int(parts[1] or 0) * 60 + int(parts[2] or 0)


class Recorder:
    def __init__(self, server):
        self.server = server

    def remove(self, path, object):
        self.server.ask("DELETE", f"{path}/{object['metadata']['name']}?gracePeriodSeconds=0")
        left = self.server.ask("GET", f"{path}/{object['metadata']['name']}")
        if left.get("metadata", {}).get("finalizers"):
            patch = {**left, "metadata": {**left["metadata"], "finalizers": None}}
            self.server.ask("PUT", f"{path}/{object['metadata']['name']}", patch)
        if left.get("spec", {}).get("finalizers") and left["kind"] == "Namespace":
            left["spec"]["finalizers"] = []
            self.server.ask("PUT", f"{path}/{object['metadata']['name']}/finalize", left)

    def make(self, path, object):
        made = self.server.ask("POST", path, object)
        if made["kind"] == "Status":
            sys.exit(f"{path}: {made['message']}")
        name = f"{path}/{made['metadata']['name']}"
        made = self.server.ask("GET", name)
        while made["kind"] == "CustomResourceDefinition" and "Established" not in json.dumps(made["status"]):
            time.sleep(0.1)
            made = self.server.ask("GET", name)
        return made

    def create(self, path, object):
        return {"object": object, "answer": plain(self.server.ask("POST", f"{path}?dryRun=All", object), object)}

    def post(self, path, object):
        answer = self.server.ask("POST", path, object)
        if answer["kind"] != "Status":
            self.remove(path, object)
        return {"object": object, "answer": plain(answer, object)}

    def update(self, path, base, case):
        old = self.make(path, merge(base, case.get("old", {})))
        if "status" in case:
            old = self.server.ask("PUT", f"{path}/{old['metadata']['name']}/status", merge(old, {"status": case["status"]}))
        new = merge(old, case["new"]) if "new" in case else merge(base, case["put"])
        answer = self.server.ask("PUT", f"{path}/{new['metadata']['name']}?dryRun=All", new)
        self.remove(path, old)
        old, new, answer = json.loads(UID.sub("UID", json.dumps([stored(old), stored(new), answer])))
        return {"old": old, "object": new, "answer": plain(answer, {"spec": answer.get("spec")})}

    def table(self, path, base, case):
        made = self.make(path, merge(base, case.get("object", {})))
        name = f"{path}/{made['metadata']['name']}"
        if "status" in case:
            made = self.server.ask("PUT", f"{name}/status", merge(made, {"status": case["status"]}))
            if made["kind"] == "Status":
                sys.exit(f"{path}: {made['message']}")
        table = self.server.ask("GET", name, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
        self.remove(path, made)
        cells = table["rows"][0]["cells"]
        columns = table["columnDefinitions"]
        columns = columns and [[c["name"], c["type"], c["format"], c["priority"]] for c in columns]
        now = datetime.datetime.fromisoformat(made["metadata"]["creationTimestamp"])
        for column, cell in zip(columns or [], cells):
            if column[0] == "Age":
                now += datetime.timedelta(seconds=seconds(cell) + 0.5)
        return {"object": stored(made), "now": now.isoformat(), "columns": columns, "cells": cells}

    def record(self, name):
        kinds = []
        for document in yaml.safe_load_all((HERE / "corpus" / f"{name}.yaml").read_text()):
            path, base = document["path"].replace("NS", NAMESPACE), document["base"]
            kind = {"resource": document["resource"]}
            for case, patch in document.get("create", {}).items():
                kind.setdefault("create", {})[case] = self.create(path, merge(base, patch))
            for case, patch in document.get("post", {}).items():
                kind.setdefault("create", {})[case] = self.post(path, merge(base, patch))
            for case, steps in document.get("update", {}).items():
                kind.setdefault("update", {})[case] = self.update(path, base, steps)
            for case, steps in document.get("table", {}).items():
                kind.setdefault("table", {})[case] = self.table(path, base, steps)
            kinds.append(kind)
        text = json.dumps(kinds, indent=1, sort_keys=True, ensure_ascii=False)
        (HERE / "answers" / f"{name}.json").write_text(text + "\n")


    def printer(self):
        """The columns of a custom resource."""
        definition, object = yaml.safe_load_all((HERE / "printer.yaml").read_text())
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        made = self.make(definitions, definition)
        path = f"/apis/{made['spec']['group']}/v1/namespaces/{NAMESPACE}/{made['spec']['names']['plural']}"
        while self.server.ask("GET", path).get("kind") == "Status":
            time.sleep(0.1)
        tables = []
        for version in made["spec"]["versions"]:
            own = {**object, "apiVersion": f"{made['spec']['group']}/{version['name']}"}
            place = path.replace("/v1/", f"/{version['name']}/")
            answer = self.table(place, own, {})
            tables.append({"version": version, **answer})
        self.remove(definitions, made)
        (HERE / "printer.json").write_text(json.dumps(tables, indent=1, sort_keys=True) + "\n")


def main():
    recorder = Recorder(Server(sys.argv[1]))
    names = sys.argv[2:] or sorted(path.stem for path in (HERE / "corpus").glob("*.yaml"))
    for name in names:
        recorder.record(name)
    if not sys.argv[2:]:
        recorder.printer()


main()
