// Shapes prints how the API server's own types write their fields as JSON, which OpenAPI does not tell: one line for each field,
// with the type's name, the field's, and
//
//	always     written even if nothing is set
//	pointer    written if anything is set, even an empty string, zero or an empty list
//	omitzero   a struct that is left out if nothing is set in it
//	omitempty  left out if empty
//
// With the argument `numbers` it prints how they are written as protocol buffers: one line for each type, with its name and NAME=N
// for each field, where a field is another type whose fields are this one's in JSON: +TYPE=N.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

type named interface{ OpenAPIModelName() string }

// Lines by type; each type is looked at once.
type shapes map[reflect.Type][]string

func (s shapes) visit(t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if _, done := s[t]; done || t.Kind() != reflect.Struct {
		return
	}
	s[t] = nil
	value := reflect.New(t).Interface()
	model, ok := value.(named)
	if _, special := value.(json.Marshaler); special || !ok {
		return
	}
	s[t] = s.fields(model.OpenAPIModelName(), t)
}

func (s shapes) fields(model string, t reflect.Type) []string {
	var lines []string
	for i := range t.NumField() {
		field := t.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || !field.IsExported() || name == "" && !field.Anonymous {
			continue
		}
		if name == "" {
			// Inlined: its fields are this type's.
			s.visit(field.Type)
			lines = append(lines, s.fields(model, field.Type)...)
			continue
		}
		s.visit(field.Type)
		lines = append(lines, fmt.Sprintf("%s %s %s", model, name, how(field.Type, strings.Split(options, ","))))
	}
	return lines
}

func how(t reflect.Type, options []string) string {
	switch {
	case slices.Contains(options, "omitzero") && t.Kind() == reflect.Struct:
		return "omitzero"
	case !slices.Contains(options, "omitempty"), t.Kind() == reflect.Struct:
		return "always"
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Interface:
		return "pointer"
	}
	return "omitempty"
}

// Numbers of the fields of a type, as its tags have them.
func numbers(t reflect.Type) string {
	var told []string
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		tag := strings.Split(field.Tag.Get("protobuf"), ",")
		if name == "-" || len(tag) < 2 {
			continue
		}
		if name == "" {
			name = "+" + typeName(field.Type)
		}
		told = append(told, name+"="+tag[1])
	}
	return strings.Join(told, " ")
}

// The name of a type with its package and version, as core.v1.Pod.
func typeName(t reflect.Type) string {
	parts := strings.Split(t.PkgPath(), "/")
	return strings.Join(parts[max(0, len(parts)-2):], ".") + "." + t.Name()
}

func main() {
	found := shapes{}
	for _, t := range scheme.Scheme.AllKnownTypes() {
		found.visit(t)
	}
	found.visit(reflect.TypeFor[apiextensions.CustomResourceDefinition]())
	found.visit(reflect.TypeFor[apiextensions.ConversionReview]())
	var lines []string
	for t, of := range found {
		if len(os.Args) < 2 {
			lines = append(lines, of...)
		} else if told := numbers(t); told != "" {
			lines = append(lines, typeName(t)+" "+told)
		}
	}
	slices.Sort(lines)
	fmt.Println(strings.Join(slices.Compact(lines), "\n"))
}
