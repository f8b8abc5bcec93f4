// Serves builds through kustomize's Go API: one request a line on stdin, one answer a line on stdout, both JSON. So
// thousands of small builds cost no process each, and a benchmark can time the API alone.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// request is one build.
type request struct {
	// Path is the folder to build; within Files if those are given, else on disk.
	Path string `json:"path"`
	// Files is the whole tree, by path from its root.
	Files map[string]string `json:"files,omitempty"`
	// Unrestricted lifts the load restriction.
	Unrestricted bool `json:"unrestricted,omitempty"`
	// Fifo keeps the order of accumulation, as `--reorder none` does. The program's default is the legacy order.
	Fifo bool `json:"fifo,omitempty"`
	// Quiet leaves the output out of the answer: for benchmarks.
	Quiet bool `json:"quiet,omitempty"`
}

// answer is its result: Output or Error.
type answer struct {
	Output string `json:"output"`
	Error  string `json:"error,omitempty"`
	// Nanoseconds that the build and the printing of its result took.
	Nanoseconds int64 `json:"nanoseconds"`
}

func main() {
	// Deprecation warnings; the program prints them to stderr, too.
	log.SetOutput(io.Discard)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "krusty: reading a request:", err)
			os.Exit(1)
		}
		err = json.NewEncoder(out).Encode(serve(line))
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "krusty: writing an answer:", err)
			os.Exit(1)
		}
	}
}

func serve(line []byte) answer {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{Error: "request: " + err.Error()}
	}
	fs := filesys.MakeFsOnDisk()
	if asked.Files != nil {
		fs = filesys.MakeFsInMemory()
		for path, content := range asked.Files {
			if err := fs.WriteFile("/"+path, []byte(content)); err != nil {
				return answer{Error: "request: " + err.Error()}
			}
		}
		asked.Path = "/" + asked.Path
	}
	forgetSchema(asked.Files)
	started := time.Now()
	output, err := build(fs, asked)
	result := answer{Nanoseconds: time.Since(started).Nanoseconds()}
	switch {
	case err != nil:
		result.Error = err.Error()
	case !asked.Quiet:
		result.Output = string(output)
	}
	return result
}

// named says that an earlier build named a schema of its own.
var named bool

// forgetSchema begins with the built-in schema if this build or one before it names another: the library keeps what a
// build named for the whole process, and a program builds once.
func forgetSchema(files map[string]string) {
	names := false
	for _, content := range files {
		names = names || strings.Contains(content, "openapi:")
	}
	if named || names {
		openapi.ResetOpenAPI()
	}
	named = names
}

// build does what the program does between its flags and its output. A panic of the library is an error: the program
// would exit with a failure.
func build(fs filesys.FileSystem, asked request) (output []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	options := krusty.MakeDefaultOptions()
	if asked.Unrestricted {
		options.LoadRestrictions = types.LoadRestrictionsNone
	}
	options.Reorder = krusty.ReorderOptionUnspecified
	if asked.Fifo {
		options.Reorder = krusty.ReorderOptionNone
	}
	resources, err := krusty.MakeKustomizer(options).Run(fs, asked.Path)
	if err != nil {
		return nil, err
	}
	return resources.AsYaml()
}
