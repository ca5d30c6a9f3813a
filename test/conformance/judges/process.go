package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// plugin is an executable under test.
type plugin struct {
	name   string
	path   string
	args   []string
	cookie [2]string
}

// cookies of the executables run.ts builds or is given.
var cookies = map[string][2]string{
	"server":          {"NodeAttestor", "NodeAttestor"},
	"agent":           {"NodeAttestor", "NodeAttestor"},
	"example":         {"BASIC_PLUGIN", "hello"},
	"catalog":         {"SomePlugin", "SomePlugin"},
	"server-attestor": {"NodeAttestor", "NodeAttestor"},
	"agent-attestor":  {"NodeAttestor", "NodeAttestor"},
	"every-type":      {"KeyManager", "KeyManager"},
}

// all names every executable; each speaks go-plugin.
var all = []string{"server", "agent", "example"}

// process is a plugin started by hand, so that each of its bytes can be seen.
type process struct {
	t      *T
	cmd    *exec.Cmd
	line   string
	rest   *buffer
	stderr *buffer
	errEnd *os.File
	exit   chan error
}

// buffer collects what a pipe says.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// env makes the environment of a plugin: the host's own, then go-plugin's, then the case's. An empty value removes.
func env(p plugin, extra map[string]string) []string {
	values := map[string]string{
		p.cookie[0]:                p.cookie[1],
		"PLUGIN_MIN_PORT":          "10000",
		"PLUGIN_MAX_PORT":          "25000",
		"PLUGIN_PROTOCOL_VERSIONS": "1",
	}
	for key, value := range extra {
		values[key] = value
	}
	var list []string
	for _, entry := range os.Environ() {
		if key, _, _ := strings.Cut(entry, "="); key != "" {
			if _, ours := values[key]; !ours {
				list = append(list, entry)
			}
		}
	}
	for key, value := range values {
		if value != "" {
			list = append(list, key+"="+value)
		}
	}
	return list
}

// spawn starts a plugin and waits for its first line or its end.
func (t *T) spawn(p plugin, extra map[string]string) *process {
	proc := &process{t: t, rest: &buffer{}, stderr: &buffer{}, exit: make(chan error, 1)}
	proc.cmd = exec.Command(p.path, p.args...)
	proc.cmd.Env = env(p, extra)
	out, outEnd, err := os.Pipe()
	t.fail(err)
	errRead, errEnd, err := os.Pipe()
	t.fail(err)
	proc.cmd.Stdout, proc.cmd.Stderr = outEnd, errEnd
	t.fail(proc.cmd.Start())
	outEnd.Close()
	errEnd.Close()
	proc.errEnd = errRead
	go io.Copy(proc.stderr, errRead)
	lines := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		reader := bufio.NewReader(out)
		line, _ := reader.ReadString('\n')
		lines <- line
		io.Copy(proc.rest, reader)
		close(drained)
	}()
	go func() {
		err := proc.cmd.Wait()
		proc.exit <- err
		close(proc.exit)
	}()
	t.cleanup(func() {
		proc.cmd.Process.Kill()
		<-proc.exit
	})
	select {
	case proc.line = <-lines:
	case <-time.After(30 * time.Second):
		t.fail(errors.New("no line on stdout within 30 s"))
	}
	return proc
}

// fields of the handshake line.
func (p *process) fields() []string { return strings.Split(strings.TrimSuffix(p.line, "\n"), "|") }

// socket is the path or address in the handshake line.
func (p *process) socket() string {
	if fields := p.fields(); len(fields) > 3 {
		return fields[3]
	}
	return ""
}

// wait waits for the end of the process and names it.
func (p *process) wait(limit time.Duration) string {
	select {
	case <-p.exit:
		return describe(p.cmd.ProcessState)
	case <-time.After(limit):
		return fmt.Sprintf("still running after %v", limit)
	}
}

func describe(state *os.ProcessState) string {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return fmt.Sprintf("signal %v", status.Signal())
	}
	return fmt.Sprintf("exit %d", state.ExitCode())
}

// dial connects to a plugin's socket as go-plugin does.
func (t *T) dial(network, address string, secrets credentials.TransportCredentials) *grpc.ClientConn {
	if secrets == nil {
		secrets = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient("passthrough:unused",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}),
		grpc.WithTransportCredentials(secrets),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30), grpc.MaxCallSendMsgSize(1<<30)),
	)
	t.fail(err)
	t.cleanup(func() { conn.Close() })
	return conn
}

// ping asks for the health of the service "plugin", as a host's Ping does.
func ping(conn *grpc.ClientConn) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "plugin"})
	if err != nil {
		return statusOf(err)
	}
	return answer.Status.String()
}

// jsonErrors counts the error lines a host could parse, and names trouble with any JSON line.
func jsonErrors(text string) (count int, trouble string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			return count, "not JSON: " + line
		}
		stamp, _ := entry["@timestamp"].(string)
		if _, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", stamp); err != nil {
			return count, "bad timestamp: " + line
		}
		if entry["@level"] == "error" {
			count++
		}
	}
	return count, ""
}

// within waits until a condition holds.
func within(limit time.Duration, holds func() bool) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return true
		}
	}
	return holds()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil && !zombie(pid) }

func zombie(pid int) bool {
	status, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "stat"))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(status), ") ")
	return strings.HasPrefix(rest, "Z")
}

// tempDir makes a folder that goes with the case.
func (t *T) tempDir() string {
	dir, err := os.MkdirTemp("", "conf")
	t.fail(err)
	t.cleanup(func() { os.RemoveAll(dir) })
	return dir
}
