package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	counterproto "github.com/hashicorp/go-plugin/examples/bidirectional/proto"
)

func init() {
	example := []string{"example"}
	cases["C12"] = caseOf{example, multiplexed}
	cases["C15"] = caseOf{example, func(t *T) {
		started := t.mustLaunch(t.plugin, func(config *goplugin.ClientConfig) { config.AutoMTLS = true })
		brokered(t, started)
	}}
	cases["M12"] = caseOf{example, negotiated}
	cases["C26"] = caseOf{example, counter}
	cases["C27"] = caseOf{example, lateAndNever}
	cases["C28"] = caseOf{example, manyIds}
}

// brokered calls through the broker both ways.
func brokered(t *T, started *host) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	sum, err := started.add(ctx, "sum", 40, 2)
	t.observe("plugin calls host: %d, %s", sum, outcome(err))
	answer, err := started.bothWays(ctx)
	t.observe("host calls plugin: %s, %s", answer, outcome(err))
}

func multiplexed(t *T) {
	started, err := t.launch(t.plugin, func(config *goplugin.ClientConfig) { config.GRPCBrokerMultiplex = true })
	if err != nil {
		t.observe("%s", firstLine(err.Error()))
		return
	}
	t.observe("ping %s", outcome(started.rpc.Ping()))
	brokered(t, started)
	t.observe("stream: %s", doubles(started, 5))
	mtls := t.mustLaunch(t.plugin, func(config *goplugin.ClientConfig) {
		config.GRPCBrokerMultiplex = true
		config.AutoMTLS = true
	})
	t.observe("with AutoMTLS: ping %s", outcome(mtls.rpc.Ping()))
	brokered(t, mtls)
}

func counter(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, value := range []int64{1, 2, 3} {
		sum, err := started.add(ctx, "hello", value, 0)
		t.observe("%d, %s", sum, outcome(err))
	}
	for _, command := range []string{"kv put hello world", "kv get hello", "counter put hello 1", "counter put hello 2", "counter get hello"} {
		t.observe("hashicorp's %s: %q", command, t.example(command))
	}
}

// example runs one of go-plugin's example hosts, which starts the plugin anew for each command.
func (t *T) example(command string) string {
	if t.hosts["store"] == "" {
		t.hosts["store"] = t.tempDir()
	}
	words := strings.Fields(command)
	run := exec.Command(t.hosts[words[0]], words[1:]...)
	run.Env = append(os.Environ(), "KV_PLUGIN="+t.plugin.path, "COUNTER_PLUGIN="+t.plugin.path, "CONFORMANCE_STORE="+t.hosts["store"])
	out, err := run.Output()
	if err != nil {
		return fmt.Sprintf("%s (%v)", out, err)
	}
	return strings.TrimSpace(string(out))
}

// negotiated runs go-plugin's example host that knows version 3 only, of a plugin's 1, 3 and 4.
func negotiated(t *T) {
	dir := t.tempDir()
	t.fail(os.Symlink(t.plugin.path, filepath.Join(dir, "kv-plugin")))
	for _, versions := range []string{"1,3,4", "1,2"} {
		for _, words := range [][]string{{"put", "hello", "negotiated"}, {"get", "hello"}} {
			run := exec.Command(t.hosts["negotiated"], words...)
			run.Dir = dir
			run.Env = append(os.Environ(), "KV_PROTO=grpc", "CONFORMANCE_STORE="+dir, "CONFORMANCE_VERSIONS="+versions)
			out, err := run.Output()
			t.observe("plugin of %s, %s: %q, %s", versions, words[0], firstLine(string(out)), outcome(err))
		}
	}
}

func lateAndNever(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var waiting sync.WaitGroup
	var sum int64
	var late error
	waiting.Go(func() { sum, late = started.add(ctx, "late", 7, 0) })
	asked := time.Now()
	_, err := started.counter().Put(ctx, &counterproto.PutRequest{AddServer: 4711, Key: "never", Value: 1})
	took := time.Since(asked)
	t.observe("never announced: %s, after 5 s: %v", statusOf(err), took > 4*time.Second && took < 7*time.Second)
	waiting.Wait()
	t.observe("dialled after 10 s: %d, %s", sum, outcome(late))
}

func manyIds(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var waiting sync.WaitGroup
	var lock sync.Mutex
	right := 0
	for number := range int64(20) {
		waiting.Go(func() {
			sum, err := started.add(ctx, fmt.Sprintf("key-%d", number), 1, 1000*number)
			lock.Lock()
			defer lock.Unlock()
			if err == nil && sum == 1+1000*number {
				right++
			}
		})
	}
	waiting.Wait()
	t.observe("%d of 20 reached their own server", right)
}
