package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	counterproto "github.com/hashicorp/go-plugin/examples/bidirectional/proto"
	kvproto "github.com/hashicorp/go-plugin/examples/grpc/proto"
	grpctest "github.com/hashicorp/go-plugin/test/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// handle is what a host gets of a plugin: its connection and its broker.
type handle struct {
	broker *goplugin.GRPCBroker
	conn   *grpc.ClientConn
}

func (h *handle) kv() kvproto.KVClient                { return kvproto.NewKVClient(h.conn) }
func (h *handle) counter() counterproto.CounterClient { return counterproto.NewCounterClient(h.conn) }
func (h *handle) test() grpctest.TestClient           { return grpctest.NewTestClient(h.conn) }

type anyPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (anyPlugin) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("not a plugin but a host")
}

func (anyPlugin) GRPCClient(_ context.Context, broker *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &handle{broker: broker, conn: conn}, nil
}

// host is a real go-plugin host with one plugin.
type host struct {
	*handle
	client *goplugin.Client
	rpc    goplugin.ClientProtocol
	log    *logBuffer
}

// logBuffer keeps the host's own log, as JSON, one entry a line.
type logBuffer struct{ buffer }

// launch starts a plugin under go-plugin v1.7.0.
func (t *T) launch(p plugin, change func(*goplugin.ClientConfig)) (*host, error) {
	started := &host{log: &logBuffer{}}
	cmd := exec.Command(p.path, p.args...)
	config := &goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: p.cookie[0], MagicCookieValue: p.cookie[1]},
		Plugins:          goplugin.PluginSet{"any": anyPlugin{}},
		Cmd:              cmd,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: started.log, JSONFormat: true}),
	}
	if change != nil {
		change(config)
	}
	started.client = goplugin.NewClient(config)
	t.cleanup(started.client.Kill)
	rpc, err := started.client.Client()
	if err != nil {
		return started, err
	}
	raw, err := rpc.Dispense("any")
	if err != nil {
		return started, err
	}
	started.rpc = rpc
	started.handle = raw.(*handle)
	return started, nil
}

// mustLaunch starts a plugin that has to start.
func (t *T) mustLaunch(p plugin, change func(*goplugin.ClientConfig)) *host {
	started, err := t.launch(p, change)
	t.fail(err)
	return started
}

// pid of the plugin.
func (h *host) pid() int { return h.client.ReattachConfig().Pid }

// statusOf names a gRPC error: its code and its message.
func statusOf(err error) string {
	if err == nil {
		return "OK"
	}
	named := status.Convert(err)
	return fmt.Sprintf("%v: %s", named.Code(), named.Message())
}

// outcome names any error, or says OK.
func outcome(err error) string {
	if err == nil {
		return "OK"
	}
	return err.Error()
}

// firstLine of a text.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// addHelper adds for the counter, plus a number of its own that tells servers apart.
type addHelper struct {
	counterproto.UnimplementedAddHelperServer
	extra int64
}

func (a *addHelper) Sum(_ context.Context, request *counterproto.SumRequest) (*counterproto.SumResponse, error) {
	return &counterproto.SumResponse{R: request.A + request.B + a.extra}, nil
}

// add has the counter add through a server of ours, on a broker id of its own.
func (h *host) add(ctx context.Context, key string, value, extra int64) (int64, error) {
	var server *grpc.Server
	ready := make(chan struct{})
	id := h.broker.NextId()
	go h.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
		server = grpc.NewServer(options...)
		counterproto.RegisterAddHelperServer(server, &addHelper{extra: extra})
		close(ready)
		return server
	})
	if _, err := h.counter().Put(ctx, &counterproto.PutRequest{AddServer: id, Key: key, Value: value}); err != nil {
		return 0, err
	}
	<-ready
	server.Stop()
	got, err := h.counter().Get(ctx, &counterproto.GetRequest{Key: key})
	if err != nil {
		return 0, err
	}
	return got.Value, nil
}

// pong answers the plugin's ping.
type pong struct {
	grpctest.UnimplementedPingPongServer
}

func (pong) Ping(context.Context, *grpctest.PingRequest) (*grpctest.PongResponse, error) {
	return &grpctest.PongResponse{Msg: "pong"}, nil
}

// bothWays has the plugin dial us, and then dials a server of the plugin's.
func (h *host) bothWays(ctx context.Context) (string, error) {
	id := h.broker.NextId()
	go h.broker.AcceptAndServe(id, func(options []grpc.ServerOption) *grpc.Server {
		server := grpc.NewServer(options...)
		grpctest.RegisterPingPongServer(server, pong{})
		return server
	})
	answer, err := h.test().Bidirectional(ctx, &grpctest.BidirectionalRequest{Id: id})
	if err != nil {
		return "", fmt.Errorf("plugin dials host: %w", err)
	}
	conn, err := h.broker.Dial(answer.Id)
	if err != nil {
		return "", fmt.Errorf("host dials plugin: %w", err)
	}
	defer conn.Close()
	reply, err := grpctest.NewPingPongClient(conn).Ping(ctx, &grpctest.PingRequest{})
	if err != nil {
		return "", fmt.Errorf("host calls plugin: %w", err)
	}
	return reply.Msg, nil
}

// printed is a writer for a plugin's captured output.
type printed struct{ buffer }

var _ fmt.Stringer = (*printed)(nil)

// equal tells whether captured bytes are the ones sent.
func (p *printed) equal(want []byte) bool { return bytes.Equal([]byte(p.String()), want) }
