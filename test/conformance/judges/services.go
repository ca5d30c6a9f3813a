package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	kvproto "github.com/hashicorp/go-plugin/examples/grpc/proto"
	grpctest "github.com/hashicorp/go-plugin/test/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func init() {
	example := []string{"example"}
	cases["C17"] = caseOf{all, health}
	cases["C19"] = caseOf{example, capturedOutput}
	cases["C20"] = caseOf{example, unreadOutput}
	cases["C38"] = caseOf{example, largeAndMany}
	cases["C39"] = caseOf{example, abandoned}
}

func health(t *T) {
	conn := t.mustLaunch(t.plugin, nil).conn
	client := grpc_health_v1.NewHealthClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, service := range []string{"plugin", "", "nope"} {
		answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		t.observe("Check %q: %v %s", service, answer.GetStatus(), statusCode(err))
	}
	for _, service := range []string{"plugin", "nope"} {
		watch, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		t.fail(err)
		answer, err := watch.Recv()
		t.observe("Watch %q: %v %s", service, answer.GetStatus(), statusCode(err))
	}
	list, err := client.List(ctx, &grpc_health_v1.HealthListRequest{})
	t.observe("List: plugin is %v %s", list.GetStatuses()["plugin"].GetStatus(), statusCode(err))
}

// statusCode names the code of a gRPC error only.
func statusCode(err error) string {
	code, _, _ := strings.Cut(statusOf(err), ":")
	return code
}

func capturedOutput(t *T) {
	var out, errs printed
	started := t.mustLaunch(t.plugin, func(config *goplugin.ClientConfig) {
		config.SyncStdout, config.SyncStderr = &out, &errs
	})
	var wantOut, wantErr []byte
	for number := range 200 {
		request := &grpctest.PrintStdioRequest{Stdout: fmt.Appendf(nil, "out %d\n", number), Stderr: fmt.Appendf(nil, "err %d\n", number)}
		wantOut, wantErr = append(wantOut, request.Stdout...), append(wantErr, request.Stderr...)
		_, err := started.test().PrintStdio(context.Background(), request)
		t.fail(err)
	}
	whole := func() bool { return out.equal(wantOut) && errs.equal(wantErr) }
	t.observe("both channels complete and in order: %v", within(5*time.Second, whole))

	proc := t.spawn(t.plugin, nil)
	conn := t.dial("unix", proc.socket(), nil)
	_, err := grpctest.NewTestClient(conn).PrintStdio(context.Background(), &grpctest.PrintStdioRequest{Stdout: []byte("hello"), Stderr: []byte("hello")})
	t.fail(err)
	t.observe("on file descriptor 1: %q", proc.rest.String())
}

func unreadOutput(t *T) {
	proc := t.spawn(t.plugin, nil)
	conn := t.dial("unix", proc.socket(), nil)
	client := grpctest.NewTestClient(conn)
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	print := func(mebibytes int) {
		for range mebibytes {
			_, err := client.PrintStdio(context.Background(), &grpctest.PrintStdioRequest{Stdout: chunk})
			t.fail(err)
		}
	}
	// What a plugin needs to receive 50 MiB at all is no growth; what it keeps of the next 200 MiB is.
	print(50)
	before := resident(proc.cmd.Process.Pid)
	answer, err := client.Double(context.Background(), &grpctest.TestRequest{Input: 21})
	t.observe("after 50 MiB nobody reads: Double(21) = %d, %s", answer.GetOutput(), statusOf(err))
	print(200)
	grown := resident(proc.cmd.Process.Pid) - before
	t.observe("another 200 MiB cost less than 64 MiB: %v", grown < 64<<10)
}

// resident memory of a process in KiB.
func resident(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	found := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		return 0
	}
	kib, _ := strconv.Atoi(string(found[1]))
	return kib
}

// doubles opens a stream and has numbers doubled.
func doubles(started *host, count int) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	stream, err := started.test().Stream(ctx)
	if err != nil {
		return statusOf(err)
	}
	for number := range int32(count) {
		if err := stream.Send(&grpctest.TestRequest{Input: number}); err != nil {
			return statusOf(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			return statusOf(err)
		}
		if answer.Output != 2*number {
			return fmt.Sprintf("%d doubled is %d", number, answer.Output)
		}
	}
	return "OK"
}

func largeAndMany(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	value := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	_, err := started.kv().Put(ctx, &kvproto.PutRequest{Key: "large", Value: value})
	t.observe("16 MiB to the plugin: %s", statusOf(err))
	answer, err := started.kv().Get(ctx, &kvproto.GetRequest{Key: "large"})
	t.observe("16 MiB from the plugin: %s, equal %v", statusOf(err), bytes.Equal(answer.GetValue(), value))

	var streams []grpc.BidiStreamingClient[grpctest.TestRequest, grpctest.TestResponse]
	for range 1000 {
		stream, err := started.test().Stream(ctx)
		t.fail(err)
		t.fail(stream.Send(&grpctest.TestRequest{Input: 4}))
		streams = append(streams, stream)
	}
	var waiting sync.WaitGroup
	var lock sync.Mutex
	right := 0
	for _, stream := range streams {
		waiting.Go(func() {
			answer, err := stream.Recv()
			lock.Lock()
			defer lock.Unlock()
			if err == nil && answer.Output == 8 {
				right++
			}
		})
	}
	waiting.Wait()
	t.observe("%d of 1000 streams open at once answer", right)
}

func abandoned(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err := started.test().Double(ctx, &grpctest.TestRequest{Input: -1})
	t.observe("deadline: %s", statusCode(err))
	ctx, stop := context.WithCancel(context.Background())
	time.AfterFunc(200*time.Millisecond, stop)
	_, err = started.test().Double(ctx, &grpctest.TestRequest{Input: -2})
	t.observe("cancel: %s", statusCode(err))
	stopped := func() bool { return strings.Count(started.log.String(), "Handler stopped") == 2 }
	t.observe("both handlers stopped: %v", within(5*time.Second, stopped))
	answer, err := started.test().Double(context.Background(), &grpctest.TestRequest{Input: 1})
	t.observe("afterwards: %d, %s, errors logged %v", answer.GetOutput(), statusOf(err), strings.Contains(started.log.String(), `"@level":"error"`))
}
