//! The edits: what people and tools do to objects by hand. Each one is made on an object of its own.

/// One edit.
pub(super) struct Edit {
    /// In words, and unique.
    pub(super) what: &'static str,
    /// Which manifest of [`super::manifests`] it is made on.
    pub(super) of: &'static str,
    /// What is done, in order.
    pub(super) steps: &'static [Step],
    /// Who is blamed.
    pub(super) by: By,
}

impl Edit {
    /// Whether the object has the values that Git wants in the end: the fields are others' all the same.
    pub(super) fn returns(&self) -> bool {
        self.steps.len() > 1 || self.what == "managed fields stripped"
    }
}

/// `NAME` stands for the object's name in all texts.
pub(super) enum Step {
    /// kubectl with these arguments, in the object's namespace.
    Kubectl(&'static [&'static str]),
    /// `kubectl edit` with this sed script as the editor.
    Edit(&'static str),
    /// `kubectl patch` of a type.
    Patch(&'static str, &'static str),
    /// `kubectl apply --server-side --force-conflicts` of a manifest under the name `other`.
    ApplyAs(&'static str),
    /// `kubectl apply` of a manifest, client-side.
    Apply(&'static str),
    /// `kubectl replace` of the whole object with one text replaced by another; further arguments.
    Replace(&'static str, &'static str, &'static [&'static str]),
    /// A PUT of the whole object as it was read, managedFields and all, with one text replaced by another.
    Put(&'static str, &'static str),
}

/// Who is blamed, and a part of the path that is named.
pub(super) enum By {
    /// The manager that holds the field.
    Manager(&'static str, &'static str),
    /// Nobody holds the field; what was put in its place says who it was, once it is removed to make room.
    Place(&'static str, &'static str),
    /// A removal: nobody holds the field.
    Nobody(&'static str),
    /// The object was deleted.
    Deleted,
}

use By::{Deleted, Manager, Nobody, Place};
use Step::{Apply, ApplyAs, Kubectl, Patch, Put, Replace};

const fn edit(what: &'static str, of: &'static str, steps: &'static [Step], by: By) -> Edit {
    Edit { what, of, steps, by }
}

/// A workload.
pub(super) const DEPLOYMENTS: &[Edit] = &[
    edit(
        "scaled",
        "deployment",
        &[Kubectl(&["scale", "deployment/NAME", "--replicas=5"])],
        Manager("kubectl (scale)", ".spec.replicas"),
    ),
    edit(
        "replicas edited",
        "deployment",
        &[Step::Edit("s/replicas: 2$/replicas: 3/")],
        Manager("kubectl-edit", ".spec.replicas"),
    ),
    edit(
        "scaled and scaled back",
        "deployment",
        &[
            Kubectl(&["scale", "deployment/NAME", "--replicas=5"]),
            Kubectl(&["scale", "deployment/NAME", "--replicas=2"]),
        ],
        Manager("kubectl (scale)", ".spec.replicas"),
    ),
    edit(
        "image set",
        "deployment",
        &[Kubectl(&["set", "image", "deployment/NAME", "web=registry.example.org/web:2"])],
        Manager("kubectl-set", ".image"),
    ),
    edit("image applied by another", "deployment", &[ApplyAs(IMAGE)], Manager("other", ".image")),
    edit(
        "variable set",
        "deployment",
        &[Kubectl(&["set", "env", "deployment/NAME", "MODE=debug"])],
        Manager("kubectl-set", r#".env[name="MODE"].value"#),
    ),
    edit(
        "variable removed",
        "deployment",
        &[Kubectl(&["set", "env", "deployment/NAME", "LEVEL-"])],
        Nobody(r#".env[name="LEVEL"]"#),
    ),
    edit(
        "variable renamed",
        "deployment",
        &[Step::Edit("s/name: LEVEL$/name: DEPTH/")],
        Place("kubectl-edit", r#".env[name="LEVEL"]"#),
    ),
    edit(
        "container port edited",
        "deployment",
        &[Step::Edit("s/containerPort: 80$/containerPort: 81/")],
        Place("kubectl-edit", ".ports[containerPort=80"),
    ),
    edit(
        "limit set",
        "deployment",
        &[Kubectl(&["set", "resources", "deployment/NAME", "--limits=cpu=2"])],
        Manager("kubectl-set", ".resources.limits.cpu"),
    ),
    edit(
        "arguments replaced",
        "deployment",
        &[Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","args":["serve"]}]}}}}"#)],
        Manager("kubectl-patch", ".args"),
    ),
    edit(
        "toleration added",
        "deployment",
        &[Patch(
            "json",
            r#"[{"op":"add","path":"/spec/template/spec/tolerations/-","value":{"key":"x","operator":"Exists"}}]"#,
        )],
        Manager("kubectl-patch", ".tolerations"),
    ),
    edit(
        "emptyDir swapped for hostPath",
        "deployment",
        &[Step::Edit("s#emptyDir: {}#hostPath: {path: /data}#")],
        Place("kubectl-edit", r#".volumes[name="scratch"].emptyDir"#),
    ),
    edit(
        "probe swapped",
        "deployment",
        &[Patch(
            "json",
            r#"[{"op":"replace","path":"/spec/template/spec/containers/0/livenessProbe","value":{"exec":{"command":["true"]}}}]"#,
        )],
        Place("kubectl-patch", ".livenessProbe.httpGet"),
    ),
    edit(
        "strategy swapped",
        "deployment",
        &[Patch("json", r#"[{"op":"replace","path":"/spec/strategy","value":{"type":"Recreate"}}]"#)],
        Manager("kubectl-patch", ".spec.strategy.type"),
    ),
    edit(
        "rollout limit edited",
        "deployment",
        &[Step::Edit("s/maxSurge: 1$/maxSurge: 3/")],
        Manager("kubectl-edit", ".maxSurge"),
    ),
    edit("deployment deleted", "deployment", &[Kubectl(&["delete", "deployment/NAME"])], Deleted),
];

const IMAGE: &str = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "NAME"},
    "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "registry.example.org/web:3"}]}}}}"#;
const DATA: &str =
    r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "NAME"}, "data": {"colour": "green"}}"#;

/// Whole objects and their metadata.
pub(super) const MAPS: &[Edit] = &[
    edit(
        "value patched",
        "configmap",
        &[Patch("merge", r#"{"data":{"colour":"red"}}"#)],
        Manager("kubectl-patch", ".data.colour"),
    ),
    edit(
        "value patched and patched back",
        "configmap",
        &[Patch("merge", r#"{"data":{"colour":"red"}}"#), Patch("merge", r#"{"data":{"colour":"blue"}}"#)],
        Manager("kubectl-patch", ".data.colour"),
    ),
    edit(
        "value edited",
        "configmap",
        &[Step::Edit("s/colour: blue$/colour: red/")],
        Manager("kubectl-edit", ".data.colour"),
    ),
    edit(
        "value removed",
        "configmap",
        &[Patch("json", r#"[{"op":"remove","path":"/data/colour"}]"#)],
        Nobody(".data.colour"),
    ),
    edit("everything removed", "configmap", &[Patch("merge", r#"{"data":null}"#)], Nobody(".data.colour")),
    edit(
        "value emptied",
        "configmap",
        &[Step::Edit("s/size: large$/size: ''/")],
        Manager("kubectl-edit", ".data.size"),
    ),
    edit("replaced", "configmap", &[Replace("blue", "red", &[])], Manager("kubectl-replace", ".data.colour")),
    edit(
        "replaced by another object",
        "configmap",
        &[Replace("blue", "red", &["--force", "--grace-period=0"])],
        Manager("kubectl-replace", ".data.colour"),
    ),
    edit("put with its old managed fields", "configmap", &[Put("blue", "red")], Manager("kubectl", ".data.colour")),
    edit(
        "applied from the client's side",
        "configmap",
        &[Apply(DATA)],
        Manager("kubectl-client-side-apply", ".data.colour"),
    ),
    edit("applied by another", "configmap", &[ApplyAs(DATA)], Manager("other", ".data.colour")),
    edit(
        "managed fields stripped",
        "configmap",
        &[Patch("merge", r#"{"metadata":{"managedFields":[{}]}}"#)],
        Nobody(".data.colour"),
    ),
    edit(
        "patched under our own name",
        "configmap",
        &[Kubectl(&[
            "patch",
            "configmap/NAME",
            "--type=merge",
            "--field-manager=driftless",
            "-p",
            r#"{"data":{"colour":"red"}}"#,
        ])],
        Manager("driftless", ".data.colour"),
    ),
    edit("map deleted", "configmap", &[Kubectl(&["delete", "configmap/NAME"])], Deleted),
    edit(
        "label changed",
        "configmap",
        &[Kubectl(&["label", "--overwrite", "configmap/NAME", "tier=back"])],
        Manager("kubectl-label", ".metadata.labels.tier"),
    ),
    edit(
        "label removed",
        "configmap",
        &[Kubectl(&["label", "configmap/NAME", "tier-"])],
        Nobody(".metadata.labels.tier"),
    ),
    edit(
        "annotation changed",
        "configmap",
        &[Kubectl(&["annotate", "--overwrite", "configmap/NAME", "note=theirs"])],
        Manager("kubectl-annotate", ".metadata.annotations.note"),
    ),
    edit(
        "annotation removed",
        "configmap",
        &[Kubectl(&["annotate", "configmap/NAME", "note-"])],
        Nobody(".metadata.annotations.note"),
    ),
];

/// The other kinds.
pub(super) const KINDS: &[Edit] = &[
    edit(
        "service port edited",
        "service",
        &[Step::Edit("s/port: 80$/port: 8081/")],
        Place("kubectl-edit", ".spec.ports[port=80"),
    ),
    edit(
        "service port renamed",
        "service",
        &[Step::Edit("s/name: http$/name: web/")],
        Manager("kubectl-edit", ".name"),
    ),
    edit(
        "target port patched",
        "service",
        &[Patch("json", r#"[{"op":"replace","path":"/spec/ports/0/targetPort","value":9090}]"#)],
        Manager("kubectl-patch", ".targetPort"),
    ),
    edit(
        "selector patched",
        "service",
        &[Patch("merge", r#"{"spec":{"selector":{"app":"other"}}}"#)],
        Manager("kubectl-patch", ".spec.selector"),
    ),
    edit("service deleted", "service", &[Kubectl(&["delete", "service/NAME"])], Deleted),
    edit(
        "secret data patched",
        "secret",
        &[Patch("merge", r#"{"data":{"password":"c3RvbGVu"}}"#)],
        Manager("kubectl-patch", ".data.password"),
    ),
    edit(
        "secret stringData patched",
        "secret",
        &[Patch("merge", r#"{"stringData":{"password":"stolen"}}"#)],
        Manager("kubectl-patch", ".data.password"),
    ),
    edit(
        "secret key removed",
        "secret",
        &[Patch("json", r#"[{"op":"remove","path":"/data/user"}]"#)],
        Nobody(".data.user"),
    ),
    edit(
        "rule widened",
        "clusterrole",
        &[Patch("json", r#"[{"op":"add","path":"/rules/0/verbs/-","value":"delete"}]"#)],
        Manager("kubectl-patch", ".rules"),
    ),
    edit("rules edited", "clusterrole", &[Step::Edit("s/- pods$/- secrets/")], Manager("kubectl-edit", ".rules")),
    edit("role deleted", "clusterrole", &[Kubectl(&["delete", "clusterrole/NAME"])], Deleted),
    edit(
        "field of a schema patched",
        "gadget",
        &[Patch("merge", r#"{"spec":{"size":9}}"#)],
        Manager("kubectl-patch", ".spec.size"),
    ),
    edit(
        "item of a schema edited",
        "gadget",
        &[Step::Edit("s/value: one$/value: two/")],
        Manager("kubectl-edit", r#".spec.items[name="a"].value"#),
    ),
    edit(
        "key of a schema edited",
        "gadget",
        &[Step::Edit("s/name: a$/name: b/")],
        Place("kubectl-edit", r#".spec.items[name="a"]"#),
    ),
    edit(
        "field without a schema patched",
        "widget",
        &[Patch("merge", r#"{"spec":{"deep":{"size":9}}}"#)],
        Manager("kubectl-patch", ".spec.deep.size"),
    ),
    edit(
        "field without a schema removed",
        "widget",
        &[Patch("json", r#"[{"op":"remove","path":"/spec/deep/size"}]"#)],
        Nobody(".spec.deep.size"),
    ),
    edit(
        "list without a schema edited",
        "widget",
        &[Step::Edit("s/- first$/- last/")],
        Manager("kubectl-edit", ".spec.list"),
    ),
];

/// Our own marks.
pub(super) const MARKS: &[Edit] = &[
    edit(
        "instance label removed",
        "configmap",
        &[Kubectl(&["label", "configmap/NAME", "driftless.dev/instance-"])],
        Nobody("driftless.dev/instance"),
    ),
    edit(
        "bucket label changed",
        "configmap",
        &[Kubectl(&["label", "--overwrite", "configmap/NAME", "driftless.dev/bucket=zz"])],
        Manager("kubectl-label", "driftless.dev/bucket"),
    ),
    edit(
        "tracking id removed",
        "configmap",
        &[Kubectl(&["annotate", "configmap/NAME", "argocd.argoproj.io/tracking-id-"])],
        Nobody("argocd.argoproj.io/tracking-id"),
    ),
    edit(
        "tracking id broken",
        "configmap",
        &[Kubectl(&["annotate", "--overwrite", "configmap/NAME", "argocd.argoproj.io/tracking-id=mine"])],
        Manager("kubectl-annotate", "argocd.argoproj.io/tracking-id"),
    ),
    edit(
        "tracking id of nobody",
        "configmap",
        &[Kubectl(&[
            "annotate",
            "--overwrite",
            "configmap/NAME",
            "argocd.argoproj.io/tracking-id=nobody:/ConfigMap:x/NAME",
        ])],
        Manager("kubectl-annotate", "argocd.argoproj.io/tracking-id"),
    ),
    edit(
        "stamp changed",
        "configmap",
        &[Kubectl(&["annotate", "--overwrite", "configmap/NAME", "driftless.dev/manifest=00"])],
        Manager("kubectl-annotate", "driftless.dev/manifest"),
    ),
    edit(
        "stamp removed",
        "configmap",
        &[Kubectl(&["annotate", "configmap/NAME", "driftless.dev/manifest-"])],
        Nobody("driftless.dev/manifest"),
    ),
    edit(
        "all marks removed",
        "configmap",
        &[Patch("merge", r#"{"metadata":{"labels":null,"annotations":null}}"#)],
        Nobody("driftless.dev/instance"),
    ),
    edit(
        "marks removed and managed fields stripped",
        "configmap",
        &[Patch("merge", r#"{"metadata":{"labels":null,"annotations":null,"managedFields":[{}]}}"#)],
        Nobody(".data.colour"),
    ),
];
