// Schema prints the table of what kustomize knows about Kubernetes' own kinds: which lists merge by which keys, how the
// types hang together, and which kinds are namespaced. It asks the very package that the real program merges with, so
// that src/render/kustomize/tables/kubernetes.txt says what that version of kustomize does, not what Kubernetes says.
//
// usage: go run ./schema            (hack/tools/schema.sh writes the table, or checks it)
package main

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	module     = "sigs.k8s.io/kustomize/kyaml"
	refPrefix  = "#/definitions/"
	gvks       = "x-kubernetes-group-version-kind"
	scopeTable = "precomputedIsNamespaceScoped"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	if err := run(out); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

func run(out *bufio.Writer) error {
	version, folder, err := locate()
	if err != nil {
		return err
	}
	definitions := openapi.Schema().Definitions
	fmt.Fprintf(out, "# Made by hack/tools/schema.sh of %s %s (Kubernetes %s); not to be edited.\n",
		module, version, openapi.DefaultOpenAPI)
	fmt.Fprintln(out, "# `definition NAME`, followed by its fields that hold more than a scalar: `FIELD TYPE`. A type is `@NAME`,")
	fmt.Fprintln(out, "# `[]TYPE` (replaced), `[KEY,KEY]TYPE` (merged by keys), `[=]TYPE` (merged as a set), `{}TYPE` or `.` (nothing merges below).")
	fmt.Fprintln(out, "# `resource APIVERSION KIND SCOPE [NAME]`: SCOPE is `namespaced`, `cluster` or `unknown`.")
	for _, name := range sorted(definitions) {
		definition := definitions[name]
		if err := checkReferences(name, &definition, definitions); err != nil {
			return err
		}
		fmt.Fprintln(out, "definition", name)
		for _, field := range sorted(definition.Properties) {
			property := definition.Properties[field]
			if text := typeOf(&property, definitions); text != "" {
				fmt.Fprintln(out, field, text)
			}
		}
		if extra := definition.AdditionalProperties; extra != nil && extra.Schema != nil {
			return fmt.Errorf("definition %s has additional properties, which the table can't say", name)
		}
	}
	return resources(out, definitions, folder)
}

// typeOf is the type of a field as the table writes it; empty for a scalar, below which nothing can be.
func typeOf(schema *spec.Schema, definitions spec.Definitions) string {
	if name, ok := strings.CutPrefix(schema.Ref.String(), refPrefix); ok {
		target := definitions[name]
		if typeOf(&target, definitions) == "" {
			return ""
		}
		return "@" + name
	}
	switch {
	case schema.Type.Contains("array"):
		element := "."
		if schema.Items != nil && schema.Items.Schema != nil {
			if text := typeOf(schema.Items.Schema, definitions); text != "" {
				element = text
			}
		}
		return "[" + keysOf(schema) + "]" + element
	case schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil:
		if text := typeOf(schema.AdditionalProperties.Schema, definitions); text != "" {
			return "{}" + text
		}
		return "{}."
	case len(schema.Properties) > 0 || schema.Type.Contains("object") || len(schema.Type) == 0:
		return "."
	}
	return ""
}

// keysOf is what the elements of a list are told apart by, as kustomize reads the extensions.
func keysOf(schema *spec.Schema) string {
	resource := openapi.ResourceSchema{Schema: schema}
	how, keys := resource.PatchStrategyAndKeyList()
	merges := false
	for _, part := range strings.Split(how, ",") {
		merges = merges || part == "merge"
	}
	switch {
	case !merges:
		return ""
	case len(keys) == 0:
		return "="
	}
	return strings.Join(keys, ",")
}

// resources prints every kind that has a definition or whose scope is known.
func resources(out *bufio.Writer, definitions spec.Definitions, folder string) error {
	named := map[yaml.TypeMeta]string{}
	for _, name := range sorted(definitions) {
		entries, _ := definitions[name].Extensions[gvks].([]interface{})
		for _, entry := range entries {
			kind, err := typeMeta(entry)
			if err != nil {
				return fmt.Errorf("definition %s: %w", name, err)
			}
			named[kind] = name
		}
	}
	scoped, err := precomputed(folder)
	if err != nil {
		return err
	}
	kinds := map[yaml.TypeMeta]bool{}
	for kind := range named {
		kinds[kind] = true
	}
	for _, kind := range scoped {
		kinds[kind] = true
	}
	var lines []string
	for kind := range kinds {
		scope := "unknown"
		if namespaced, known := openapi.IsNamespaceScoped(kind); known {
			scope = map[bool]string{true: "namespaced", false: "cluster"}[namespaced]
		}
		line := fmt.Sprintf("resource %s %s %s %s", kind.APIVersion, kind.Kind, scope, named[kind])
		lines = append(lines, strings.TrimRight(line, " "))
	}
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	return nil
}

func typeMeta(entry interface{}) (yaml.TypeMeta, error) {
	fields, ok := entry.(map[string]interface{})
	if !ok {
		return yaml.TypeMeta{}, fmt.Errorf("%s holds %T", gvks, entry)
	}
	group, _ := fields["group"].(string)
	version, _ := fields["version"].(string)
	kind, _ := fields["kind"].(string)
	if version == "" || kind == "" {
		return yaml.TypeMeta{}, fmt.Errorf("%s lacks a version or a kind", gvks)
	}
	if group != "" {
		version = group + "/" + version
	}
	return yaml.TypeMeta{APIVersion: version, Kind: kind}, nil
}

// precomputed reads the kinds of kyaml's table of scopes: it isn't exported, and holds kinds without a definition.
func precomputed(folder string) ([]yaml.TypeMeta, error) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(folder, "openapi", "openapi.go"), nil, 0)
	if err != nil {
		return nil, err
	}
	object := file.Scope.Lookup(scopeTable)
	if object == nil {
		return nil, fmt.Errorf("kyaml has no %s any more", scopeTable)
	}
	var kinds []yaml.TypeMeta
	ast.Inspect(object.Decl.(ast.Node), func(node ast.Node) bool {
		entry, ok := node.(*ast.CompositeLit)
		if !ok || len(entry.Elts) != 2 {
			return true
		}
		values := map[string]string{}
		for _, element := range entry.Elts {
			pair, isPair := element.(*ast.KeyValueExpr)
			if !isPair {
				return true
			}
			key, isName := pair.Key.(*ast.Ident)
			value, isText := pair.Value.(*ast.BasicLit)
			if isName && isText {
				values[key.Name], _ = strconv.Unquote(value.Value)
			}
		}
		kinds = append(kinds, yaml.TypeMeta{APIVersion: values["APIVersion"], Kind: values["Kind"]})
		return true
	})
	if len(kinds) < 50 {
		return nil, fmt.Errorf("only %d kinds found in %s", len(kinds), scopeTable)
	}
	return kinds, nil
}

// checkReferences fails on what the table has no way to say.
func checkReferences(name string, schema *spec.Schema, definitions spec.Definitions) error {
	for field, property := range schema.Properties {
		for _, reference := range references(&property) {
			target, ok := strings.CutPrefix(reference, refPrefix)
			if _, found := definitions[target]; !ok || !found {
				return fmt.Errorf("%s.%s refers to %q", name, field, reference)
			}
		}
		if len(property.Properties) > 0 {
			return fmt.Errorf("%s.%s has properties of its own", name, field)
		}
	}
	if schema.Ref.String() != "" || schema.Type.Contains("array") {
		return fmt.Errorf("%s is not an object", name)
	}
	return nil
}

func references(schema *spec.Schema) []string {
	var found []string
	if reference := schema.Ref.String(); reference != "" {
		found = append(found, reference)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		found = append(found, references(schema.Items.Schema)...)
	}
	if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
		found = append(found, references(schema.AdditionalProperties.Schema)...)
	}
	return found
}

// locate asks Go for the version and the folder of kyaml.
func locate() (version, folder string, err error) {
	output, err := exec.Command("go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", module).Output()
	if err != nil {
		return "", "", fmt.Errorf("go list %s: %w", module, err)
	}
	version, folder, found := strings.Cut(strings.TrimSpace(string(output)), " ")
	if !found {
		return "", "", fmt.Errorf("go list %s printed %q", module, output)
	}
	return version, folder, nil
}

func sorted[V any](entries map[string]V) []string {
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
