package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	grpctest "github.com/hashicorp/go-plugin/test/grpc"
)

func init() {
	example := []string{"example"}
	cases["C21"] = caseOf{example, levels}
	cases["C22"] = caseOf{example, nonsense}
	cases["C23"] = caseOf{example, longMessage}
	cases["C24"] = caseOf{all, timestamps}
	cases["C25"] = caseOf{example, uncaught}
}

// ask has the example plugin do one thing with its log.
func (h *host) ask(t *T, what, text string) {
	_, err := h.test().PrintKV(context.Background(), &grpctest.PrintKVRequest{Key: what, Value: &grpctest.PrintKVRequest_ValueString{ValueString: text}})
	t.fail(err)
}

// entry finds a line of the host's log by its message.
func (h *host) entry(message string) map[string]any {
	var found map[string]any
	within(3*time.Second, func() bool {
		for line := range strings.Lines(h.log.String()) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) == nil && entry["@message"] == message {
				found = entry
			}
		}
		return found != nil
	})
	return found
}

func levels(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	for _, level := range []string{"trace", "debug", "info", "warn", "error"} {
		message := fmt.Sprintf("a %s message,\nin two lines, grüß ☃ \"quoted\"", level)
		started.ask(t, level, message)
		entry := started.entry(message)
		nested, _ := json.Marshal(entry["nested"])
		t.observe("%s: level %v, snow man %v, nested %s", level, entry["@level"], entry["snow man"], nested)
	}
}

func nonsense(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	started.ask(t, "nonsense", "")
	for _, message := range []string{"5", `{"a":1}`, "undefined", "null"} {
		t.observe("%s: level %v", message, started.entry(message)["@level"])
	}
	started.ask(t, "raw", `{"@message":5,"@level":{"a":1},"@timestamp":7}`)
	t.observe("host is alive: %s", outcome(started.rpc.Ping()))
}

func longMessage(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	started.ask(t, "long", "")
	var level any
	length := 0
	within(3*time.Second, func() bool {
		for line := range strings.Lines(started.log.String()) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) != nil {
				continue
			}
			if message, _ := entry["@message"].(string); strings.HasPrefix(message, "xxxx") {
				level, length = entry["@level"], len(line)
			}
		}
		return level != nil
	})
	t.observe("level %v, below 64 KiB: %v", level, length > 1000 && length < 64<<10)
}

func timestamps(t *T) {
	proc := t.spawn(t.plugin, map[string]string{"PLUGIN_PROTOCOL_VERSIONS": "garbage,1"})
	within(2*time.Second, func() bool { return strings.Contains(proc.stderr.String(), "@timestamp") })
	_, trouble := jsonErrors(proc.stderr.String())
	t.observe("a line was logged: %v, host can parse its time: %v", strings.Contains(proc.stderr.String(), "@timestamp"), trouble == "")
}

func uncaught(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	for _, kind := range []string{"throw", "uncaught", "unhandled"} {
		_, err := started.test().Panic(context.Background(), &grpctest.PanicRequest{Message: kind})
		t.observe("%s: %s", kind, statusOf(err))
	}
	for _, text := range []string{"thrown in a handler", "thrown by a timer", "rejected and forgotten"} {
		logged := within(3*time.Second, func() bool {
			for line := range strings.Lines(started.log.String()) {
				if strings.Contains(line, text) && strings.Contains(line, `"@level":"error"`) {
					return true
				}
			}
			return false
		})
		t.observe("%q is logged as an error: %v", text, logged)
	}
	answer, err := started.test().Double(context.Background(), &grpctest.TestRequest{Input: 1})
	t.observe("afterwards: %d, %s", answer.GetOutput(), statusOf(err))
}
