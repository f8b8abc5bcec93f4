//! The objects that are edited. `NAME` stands for a name.

/// Definitions of the custom kinds: one with a schema, one without.
pub(super) const DEFINITIONS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.drift.example.org}
spec:
  group: drift.example.org
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets, singular: gadget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, default: 1}
              items:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name], properties: {name: {type: string}, value: {type: string}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.drift.example.org}
spec:
  group: drift.example.org
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// The manifest of an object that is called by a word of the table.
pub(super) fn manifest(of: &str, name: &str) -> String {
    let text = match of {
        "configmap" => CONFIG_MAP,
        "deployment" => DEPLOYMENT,
        "service" => SERVICE,
        "secret" => SECRET,
        "clusterrole" => CLUSTER_ROLE,
        "gadget" => GADGET,
        "widget" => WIDGET,
        other => panic!("no manifest of a {other}"),
    };
    text.replace("NAME", name)
}

const CONFIG_MAP: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: NAME, labels: {tier: front}, annotations: {note: ours}}
data: {colour: blue, size: large}
";

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, labels: {tier: front}}
spec:
  replicas: 2
  selector: {matchLabels: {app: NAME}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      containers:
      - name: web
        image: registry.example.org/web:1
        args: [serve, --port=80]
        env: [{name: MODE, value: prod}, {name: LEVEL, value: info}]
        ports: [{name: http, containerPort: 80}]
        resources: {limits: {cpu: 1000m, memory: 1024Mi}}
        livenessProbe: {httpGet: {path: /live, port: 80}}
        volumeMounts: [{name: scratch, mountPath: /scratch}]
      tolerations: [{key: spot, operator: Exists}]
      volumes: [{name: scratch, emptyDir: {}}]
";

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
";

const SECRET: &str = "
apiVersion: v1
kind: Secret
metadata: {name: NAME}
data: {user: YWRh}
stringData: {password: correct horse}
";

const CLUSTER_ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAME}
rules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}]
";

const GADGET: &str = "
apiVersion: drift.example.org/v1
kind: Gadget
metadata: {name: NAME}
spec: {size: 3, items: [{name: a, value: one}]}
";

const WIDGET: &str = "
apiVersion: drift.example.org/v1
kind: Widget
metadata: {name: NAME}
spec: {deep: {size: 3, colour: blue}, list: [first, second]}
";
