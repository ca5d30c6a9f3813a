// The judge of plugins/hcl: what hashicorp/hcl makes of a text. One JSON string a line on stdin, one JSON verdict a
// line on stdout.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"unicode/utf8"

	"github.com/hashicorp/hcl"
	"github.com/hashicorp/hcl/hcl/printer"
)

type inner struct {
	Text string `hcl:"text" json:"text"`
}

type typed struct {
	Text  string   `hcl:"text" json:"text"`
	Count int      `hcl:"count" json:"count"`
	Flag  bool     `hcl:"flag" json:"flag"`
	List  []string `hcl:"list" json:"list"`
	Block inner    `hcl:"block" json:"block"`
}

type verdict struct {
	// Strict is what hcl.Parse says: HCL text with an argument set twice is an error there.
	Strict string `json:"strict,omitempty"`
	// Decode is what hcl.Decode into an interface says, Value what it makes.
	Decode string `json:"decode,omitempty"`
	Value  any    `json:"value,omitempty"`
	// Typed is what hcl.Decode into a struct says, Fields what it makes.
	Typed  string `json:"typed,omitempty"`
	Fields *typed `json:"fields,omitempty"`
	// Printed is the text as SPIRE hands it to a plugin: parsed and printed again.
	Printed *string `json:"printed,omitempty"`
}

// guarded turns a panic of the library into an error: "Value" panics on text the scanner let through.
func guarded(do func() error) (message string) {
	defer func() {
		if cause := recover(); cause != nil {
			message = fmt.Sprintf("panic: %v", cause)
		}
	}()
	if err := do(); err != nil {
		return err.Error()
	}
	return ""
}

func judge(text string) verdict {
	var v verdict
	v.Strict = guarded(func() error {
		_, err := hcl.Parse(text)
		return err
	})
	var value any
	v.Decode = guarded(func() error { return hcl.Decode(&value, text) })
	if v.Decode == "" {
		v.Value = tag(value)
	}
	fields := typed{List: []string{}}
	v.Typed = guarded(func() error { return hcl.Decode(&fields, text) })
	if v.Typed == "" {
		v.Fields = &fields
	}
	var printed bytes.Buffer
	if guarded(func() error { return printTo(&printed, text) }) == "" && utf8.Valid(printed.Bytes()) {
		again := printed.String()
		v.Printed = &again
	}
	return v
}

// printTo does what SPIRE does with the plugin_data of its own file.
func printTo(out *bytes.Buffer, text string) error {
	file, err := hcl.Parse(text)
	if err != nil {
		return err
	}
	return printer.DefaultConfig.Fprint(out, file.Node)
}

// tag keeps apart what JSON would mix: whole numbers, floats, and strings that are not UTF-8.
func tag(value any) any {
	switch v := value.(type) {
	case string:
		if !utf8.ValidString(v) {
			return map[string]any{"bytes": hex.EncodeToString([]byte(v))}
		}
		return v
	case bool:
		return v
	case int:
		return map[string]any{"int": strconv.Itoa(v)}
	case float64:
		return map[string]any{"float": strconv.FormatFloat(v, 'g', -1, 64)}
	case map[string]any:
		return map[string]any{"map": tagMap(v)}
	case []map[string]any:
		list := make([]any, 0, len(v))
		for _, item := range v {
			list = append(list, tag(item))
		}
		return list
	case []any:
		list := make([]any, 0, len(v))
		for _, item := range v {
			list = append(list, tag(item))
		}
		return list
	case nil:
		return map[string]any{"map": map[string]any{}}
	default:
		return fmt.Sprintf("unknown type %T", value)
	}
}

func tagMap(v map[string]any) map[string]any {
	tagged := make(map[string]any, len(v))
	for key, item := range v {
		tagged[key] = tag(item)
	}
	return tagged
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<26)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for in.Scan() {
		var text string
		if err := json.Unmarshal(in.Bytes(), &text); err != nil {
			fmt.Fprintln(os.Stderr, "input is not a JSON string:", err)
			os.Exit(2)
		}
		if err := encoder.Encode(judge(text)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
}
