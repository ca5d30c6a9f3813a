// Command host plays the hosts of the conformance cases: a go-plugin host, and SPIRE's plugin catalog.
//
// It judges nothing. For each case it prints what it observed, as one line of JSON; the expectations are in cases.ts.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"time"
)

// T is one run of a case against one plugin.
type T struct {
	plugin   plugin
	hosts    map[string]string
	observed []string
	cleanups []func()
}

// observe records one fact, in words that do not change from run to run.
func (t *T) observe(format string, args ...any) {
	t.observed = append(t.observed, fmt.Sprintf(format, args...))
}

// fail ends the run: the case could not be played at all.
func (t *T) fail(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// cleanup runs when the case is over, last in, first out.
func (t *T) cleanup(run func()) { t.cleanups = append(t.cleanups, run) }

type failure struct{ err error }

// caseOf is a case: which plugins it is played against, and how.
type caseOf struct {
	plugins []string
	run     func(*T)
}

// cases holds every case by id. The files of this package add to it.
var cases = map[string]caseOf{}

type result struct {
	ID       string   `json:"id"`
	Plugin   string   `json:"plugin"`
	Observed []string `json:"observed"`
	Error    string   `json:"error,omitempty"`
	Ms       int64    `json:"ms"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "hold" {
		hold(os.Args[2:])
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "spin" {
		spin()
		return
	}
	plugins := map[string]plugin{}
	flag.Func("plugin", "name=path of an executable", func(text string) error {
		name, path, found := strings.Cut(text, "=")
		if !found {
			return fmt.Errorf("expected name=path, got %q", text)
		}
		plugins[name] = plugin{name: name, path: path, cookie: cookies[name]}
		return nil
	})
	// Hosts of hashicorp's own, which some cases have play too.
	hosts := map[string]string{}
	flag.Func("host", "name=path of one of go-plugin's example hosts", func(text string) error {
		name, path, found := strings.Cut(text, "=")
		if !found {
			return fmt.Errorf("expected name=path, got %q", text)
		}
		hosts[name] = path
		return nil
	})
	flag.Parse()
	ids := flag.Args()
	if len(ids) == 0 {
		for id := range cases {
			ids = append(ids, id)
		}
		sort.Strings(ids)
	}
	for _, id := range ids {
		runCase(id, plugins, hosts)
	}
}

func runCase(id string, plugins map[string]plugin, hosts map[string]string) {
	played, found := cases[id]
	if !found {
		report(result{ID: id, Error: "the host does not know this case"})
		return
	}
	for _, name := range played.plugins {
		if subject, given := plugins[name]; given {
			report(play(id, played.run, &T{plugin: subject, hosts: hosts}))
		}
	}
}

func play(id string, run func(*T), t *T) (played result) {
	started := time.Now()
	played = result{ID: id, Plugin: t.plugin.name}
	defer func() {
		if trouble := recover(); trouble != nil {
			if failed, ok := trouble.(failure); ok {
				played.Error = failed.err.Error()
			} else {
				played.Error = fmt.Sprintf("panic: %v", trouble)
			}
		}
		for _, cleanup := range slices.Backward(t.cleanups) {
			cleanup()
		}
		played.Observed = t.observed
		played.Ms = time.Since(started).Milliseconds()
	}()
	run(t)
	return played
}

func report(played result) {
	line, err := json.Marshal(played)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}
