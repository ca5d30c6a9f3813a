// Command old-host plays case C16: a host built with go-plugin v1.0.1, of 2019.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/examples/bidirectional/shared"
)

type adder struct{}

func (adder) Sum(a, b int64) (int64, error) { return a + b, nil }

func main() {
	began := time.Now()
	observed := []string{}
	for _, mtls := range []bool{false, true} {
		observed = append(observed, play(os.Args[1], mtls)...)
	}
	line, err := json.Marshal(map[string]any{
		"id": "C16", "plugin": "example", "observed": observed, "ms": time.Since(began).Milliseconds(),
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func play(path string, mtls bool) []string {
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  shared.Handshake,
		Plugins:          shared.PluginMap,
		Cmd:              exec.Command(path),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         mtls,
		Logger:           hclog.New(&hclog.LoggerOptions{Output: io.Discard}),
	})
	defer client.Kill()
	rpc, err := client.Client()
	if err != nil {
		return []string{fmt.Sprintf("AutoMTLS %v: %v", mtls, err)}
	}
	observed := []string{fmt.Sprintf("AutoMTLS %v: ping %s", mtls, outcome(rpc.Ping()))}
	raw, err := rpc.Dispense("counter")
	if err != nil {
		return append(observed, err.Error())
	}
	// That version speaks no TLS on brokered connections.
	if !mtls {
		counter := raw.(shared.Counter)
		err = counter.Put("hello", 41, adder{})
		sum, getErr := counter.Get("hello")
		observed = append(observed, fmt.Sprintf("broker: %s, %d, %s", outcome(err), sum, outcome(getErr)))
	}
	killed := time.Now()
	client.Kill()
	return append(observed, fmt.Sprintf("killed within 2 s: %v, exited: %v", time.Since(killed) < 2*time.Second, client.Exited()))
}

func outcome(err error) string {
	if err == nil {
		return "OK"
	}
	return err.Error()
}
