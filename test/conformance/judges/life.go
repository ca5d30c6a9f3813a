package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	grpctest "github.com/hashicorp/go-plugin/test/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func init() {
	example := []string{"example"}
	cases["C29"] = caseOf{all, func(t *T) { observeKill(t, t.mustLaunch(t.plugin, nil)) }}
	cases["C30"] = caseOf{example, killWhileBusy}
	cases["C31"] = caseOf{all, signals}
	cases["C32"] = caseOf{example, terminate}
	cases["C33"] = caseOf{all, hostKilled}
	cases["C34"] = caseOf{all, noStdin}
	cases["C35"] = caseOf{example, noStderr}
	cases["C36"] = caseOf{all, reattach}
	cases["C37"] = caseOf{all, redial}
	cases["M11"] = caseOf{all, pluginKilled}
}

// observeKill ends a plugin as a host does, and looks at what is left.
func observeKill(t *T, started *host) {
	pid := started.pid()
	socket := started.client.ReattachConfig().Addr.String()
	began := time.Now()
	started.client.Kill()
	took := time.Since(began)
	log := started.log.String()
	t.observe("ended within 2 s: %v, forced: %v", took < 2*time.Second, strings.Contains(log, "failed to exit gracefully"))
	t.observe("exit logged as: %s", exitLevel(log))
	t.observe("process gone: %v, socket gone: %v", !alive(pid), !exists(socket))
}

// exitLevel is the level at which the host tells of the plugin's end: info for exit code 0, error for the rest.
func exitLevel(log string) string {
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"@message":"plugin process exited"`) {
			_, rest, _ := strings.Cut(line, `"@level":"`)
			level, _, _ := strings.Cut(rest, `"`)
			return level
		}
	}
	return "nothing"
}

func killWhileBusy(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	started.ask(t, "child", "300")
	for range 50 {
		stream, err := started.test().Stream(context.Background())
		t.fail(err)
		t.fail(stream.Send(&grpctest.TestRequest{Input: 1}))
		_, err = stream.Recv()
		t.fail(err)
	}
	observeKill(t, started)
}

func signals(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	process, err := os.FindProcess(started.pid())
	t.fail(err)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGINT, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2} {
		t.fail(process.Signal(signal))
		time.Sleep(50 * time.Millisecond)
		if err := started.rpc.Ping(); err != nil {
			t.observe("after %v: %s", signal, outcome(err))
		}
	}
	t.observe("still serving: %s", outcome(started.rpc.Ping()))
	t.observe("debugger: %v", strings.Contains(started.log.String(), "Debugger listening"))
}

func terminate(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	t.fail(syscall.Kill(started.pid(), syscall.SIGTERM))
	time.Sleep(300 * time.Millisecond)
	t.observe("within the grace: ping %s", outcome(started.rpc.Ping()))
	observeKill(t, started)

	proc := t.spawn(t.plugin, map[string]string{"CONFORMANCE_GRACE_MS": "800"})
	socket := proc.socket()
	t.fail(proc.cmd.Process.Signal(syscall.SIGTERM))
	began := time.Now()
	t.observe("without Shutdown: %s", proc.wait(10*time.Second))
	t.observe("after the grace: %v, socket gone: %v", time.Since(began) > 600*time.Millisecond, !exists(socket))
}

// hold is a host of its own that starts a plugin and waits to be killed.
func hold(args []string) {
	t := &T{}
	started, err := t.launch(plugin{path: args[0], cookie: [2]string{args[1], args[2]}}, nil)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println(started.pid(), started.client.ReattachConfig().Addr.String())
	select {}
}

func hostKilled(t *T) {
	holder := exec.Command(os.Args[0], "hold", t.plugin.path, t.plugin.cookie[0], t.plugin.cookie[1])
	out, err := holder.StdoutPipe()
	t.fail(err)
	t.fail(holder.Start())
	var pid int
	var socket string
	if _, err := fmt.Fscan(out, &pid, &socket); err != nil {
		holder.Process.Kill()
		t.fail(err)
	}
	t.cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	t.observe("plugin runs: %v", alive(pid))
	t.fail(holder.Process.Kill())
	holder.Wait()
	gone := within(2*time.Second, func() bool { return !alive(pid) })
	t.observe("gone within 2 s: %v, socket gone: %v", gone, !exists(socket))
}

func noStdin(t *T) {
	// The pipe ends as soon as the plugin could read it.
	started := t.mustLaunch(t.plugin, func(config *goplugin.ClientConfig) { config.Cmd.Stdin = strings.NewReader("") })
	time.Sleep(700 * time.Millisecond)
	t.observe("with stdin at its end: %s", outcome(started.rpc.Ping()))
	proc := t.spawn(t.plugin, nil)
	time.Sleep(700 * time.Millisecond)
	t.observe("with stdin on the null device: %s", ping(t.dial("unix", proc.socket(), nil)))
}

func noStderr(t *T) {
	proc := t.spawn(t.plugin, nil)
	client := grpctest.NewTestClient(t.dial("unix", proc.socket(), nil))
	t.fail(proc.errEnd.Close())
	for range 20 {
		_, err := client.PrintKV(context.Background(), &grpctest.PrintKVRequest{Key: "error", Value: &grpctest.PrintKVRequest_ValueString{ValueString: "into the void"}})
		t.fail(err)
		_, err = client.PrintStdio(context.Background(), &grpctest.PrintStdioRequest{Stderr: []byte("void\n")})
		t.fail(err)
	}
	time.Sleep(300 * time.Millisecond)
	answer, err := client.Double(context.Background(), &grpctest.TestRequest{Input: 21})
	t.observe("Double(21) = %d, %s", answer.GetOutput(), statusOf(err))
}

func reattach(t *T) {
	proc := t.spawn(t.plugin, nil)
	probe, err := net.Dial("unix", proc.socket())
	t.fail(err)
	probe.Close()
	address, err := net.ResolveUnixAddr("unix", proc.socket())
	t.fail(err)
	for number := range 2 {
		started := t.mustLaunch(t.plugin, func(config *goplugin.ClientConfig) {
			config.Cmd = nil
			config.Reattach = &goplugin.ReattachConfig{
				Protocol: goplugin.ProtocolGRPC, ProtocolVersion: 1, Addr: address, Pid: proc.cmd.Process.Pid, Test: true,
			}
		})
		t.observe("client %s: %s", strconv.Itoa(number+1), outcome(started.rpc.Ping()))
	}
}

// pluginKilled shows a host what it sees when a plugin is gone from one moment to the next.
func pluginKilled(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	t.fail(syscall.Kill(started.pid(), syscall.SIGKILL))
	t.observe("host notices: %v", within(2*time.Second, started.client.Exited))
	_, _, found := strings.Cut(ping(started.conn), "Unavailable")
	t.observe("calls are refused as unavailable: %v", found)
	began := time.Now()
	started.client.Kill()
	t.observe("Kill returns at once: %v, exit logged as: %s", time.Since(began) < time.Second, exitLevel(started.log.String()))
}

func redial(t *T) {
	proc := t.spawn(t.plugin, nil)
	for number := range 3 {
		conn := t.dial("unix", proc.socket(), insecure.NewCredentials())
		t.observe("connection %d: %s", number+1, ping(conn))
		t.fail(conn.Close())
	}
}
