package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/credentials"
)

func init() {
	cases["C01"] = caseOf{all, func(t *T) { byHand(t, map[string]string{t.plugin.cookie[0]: ""}) }}
	cases["C02"] = caseOf{all, func(t *T) { byHand(t, map[string]string{t.plugin.cookie[0]: "wrong"}) }}
	cases["C03"] = caseOf{all, func(t *T) {
		t.observe("version %s", t.spawn(t.plugin, map[string]string{"PLUGIN_PROTOCOL_VERSIONS": ""}).fields()[1])
	}}
	cases["C04"] = caseOf{all, versionTwo}
	cases["C05"] = caseOf{all, versionLists}
	cases["C06"] = caseOf{all, exactLine}
	cases["C07"] = caseOf{all, dialAtOnce}
	cases["C08"] = caseOf{all, busyMachine}
	cases["C09"] = caseOf{all, socketFolders}
	cases["C10"] = caseOf{all, socketGroup}
	cases["C11"] = caseOf{all, longFolder}
	cases["C13"] = caseOf{all, func(t *T) { t.observe("%d fields", len(t.spawn(t.plugin, nil).fields())) }}
	cases["C14"] = caseOf{all, autoMtls}
	cases["M09"] = caseOf{[]string{"example"}, overTcp}
	cases["M10"] = caseOf{[]string{"server"}, manyLoads}
}

// byHand starts a plugin as a curious person would.
func byHand(t *T, extra map[string]string) {
	proc := t.spawn(t.plugin, extra)
	t.observe("%s", proc.wait(10*time.Second))
	t.observe("stdout %q", proc.line+proc.rest.String())
	text := func() bool {
		return strings.Contains(proc.stderr.String(), "This is a plugin") || strings.Contains(proc.stderr.String(), "is a plugin")
	}
	t.observe("stderr says that it is a plugin: %v", within(time.Second, text))
}

func versionTwo(t *T) {
	t.observe("version %s", t.spawn(t.plugin, map[string]string{"PLUGIN_PROTOCOL_VERSIONS": "2"}).fields()[1])
	_, err := t.launch(t.plugin, func(config *goplugin.ClientConfig) { config.ProtocolVersion = 2 })
	t.observe("host: %s", firstLine(outcome(err)))
}

func versionLists(t *T) {
	for _, list := range []string{"x,1", "1,2"} {
		proc := t.spawn(t.plugin, map[string]string{"PLUGIN_PROTOCOL_VERSIONS": list})
		told := within(500*time.Millisecond, func() bool { return strings.Contains(proc.stderr.String(), "x") })
		t.observe("%s: version %s, stderr speaks: %v", list, proc.fields()[1], told)
	}
}

func exactLine(t *T) {
	proc := t.spawn(t.plugin, nil)
	hidden := regexp.MustCompile(`\|unix\|/[^|]+/plugin[^|/]+\|`).ReplaceAllString(proc.line, "|unix|<path>|")
	t.observe("%q", hidden)
	conn := t.dial("unix", proc.socket(), nil)
	t.observe("ping %s", ping(conn))
	proc.cmd.Process.Signal(syscall.SIGKILL)
	proc.wait(5 * time.Second)
	t.observe("afterwards on stdout %q", proc.rest.String())
}

// runs is how often a start is repeated; fewer for a quick look.
func runs(full int) int {
	if number, err := strconv.Atoi(os.Getenv("CONFORMANCE_RUNS")); err == nil && number < full {
		return number
	}
	return full
}

func dialAtOnce(t *T) {
	count := runs(100)
	if t.plugin.name != "server" {
		count = runs(20)
	}
	good := 0
	for range count {
		one := &T{plugin: t.plugin}
		proc := one.spawn(one.plugin, nil)
		if ping(one.dial("unix", proc.socket(), nil)) == "SERVING" {
			good++
		}
		for _, cleanup := range one.cleanups {
			cleanup()
		}
	}
	t.observe("first call succeeds in all runs: %v", good == count)
}

// busyMachine starts plugins while two other processes use every moment of two processors.
func busyMachine(t *T) {
	for range 2 {
		busy := exec.Command(os.Args[0], "spin")
		t.fail(busy.Start())
		t.cleanup(func() { busy.Process.Kill(); busy.Wait() })
	}
	for range 3 {
		started, err := t.launch(t.plugin, func(config *goplugin.ClientConfig) { config.StartTimeout = 2 * time.Second })
		t.observe("%s", outcome(err))
		started.client.Kill()
	}
}

func spin() {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
	}
}

func socketFolders(t *T) {
	for _, variable := range []string{"TMPDIR", "PLUGIN_UNIX_SOCKET_DIR"} {
		dir := t.tempDir()
		t.fail(os.Setenv(variable, dir))
		started := t.mustLaunch(t.plugin, nil)
		t.fail(os.Unsetenv(variable))
		path := started.client.ReattachConfig().Addr.String()
		t.observe("%s: socket is there: %v", variable, filepath.Dir(path) == dir && exists(path))
		started.client.Kill()
		left, _ := os.ReadDir(dir)
		t.observe("%s: files left after the end: %d", variable, len(left))
	}
}

func socketGroup(t *T) {
	group := "0"
	if os.Geteuid() == 0 {
		group = "1"
	} else {
		group = strconv.Itoa(os.Getegid())
	}
	known, err := user.LookupGroupId(group)
	t.fail(err)
	for kind, value := range map[string]string{"gid": group, "name": known.Name} {
		proc := t.spawn(t.plugin, map[string]string{"PLUGIN_UNIX_SOCKET_GROUP": value})
		info, err := os.Stat(proc.socket())
		t.fail(err)
		gid := info.Sys().(*syscall.Stat_t).Gid
		t.observe("%s: mode %#o, group set: %v", kind, info.Mode().Perm(), strconv.Itoa(int(gid)) == group)
	}
	sortObserved(t)
	proc := t.spawn(t.plugin, map[string]string{"PLUGIN_UNIX_SOCKET_GROUP": "no-such-group"})
	end := proc.wait(10 * time.Second)
	t.observe("unknown group: %s, stdout %q, %s", end, proc.line, jsonError(proc))
}

func sortObserved(t *T) {
	if len(t.observed) == 2 && t.observed[0] > t.observed[1] {
		t.observed[0], t.observed[1] = t.observed[1], t.observed[0]
	}
}

// jsonError says whether stderr holds an error a host can show.
func jsonError(proc *process) string {
	within(time.Second, func() bool { count, _ := jsonErrors(proc.stderr.String()); return count > 0 })
	count, trouble := jsonErrors(proc.stderr.String())
	return fmt.Sprintf("JSON errors %d%s", count, trouble)
}

func longFolder(t *T) {
	dir := filepath.Join(t.tempDir(), strings.Repeat("x", 120))
	t.fail(os.Mkdir(dir, 0o700))
	proc := t.spawn(t.plugin, map[string]string{"TMPDIR": dir})
	end := proc.wait(10 * time.Second)
	t.observe("%s, stdout %q, %s", end, proc.line, jsonError(proc))
	t.fail(os.Setenv("TMPDIR", dir))
	_, err := t.launch(t.plugin, nil)
	t.fail(os.Unsetenv("TMPDIR"))
	text := outcome(err)
	early := strings.Contains(text, "plugin exited before we could connect") || strings.Contains(text, "Failed to read any lines")
	t.observe("host says that the plugin exited early: %v", early)
}

// overTcp loads a plugin that cannot use Unix sockets.
func overTcp(t *T) {
	started := t.mustLaunch(t.plugin, func(config *goplugin.ClientConfig) {
		config.Cmd.Env = []string{"CONFORMANCE_TRANSPORT=tcp"}
		config.MinPort, config.MaxPort = 21000, 21999
	})
	address, ok := started.client.ReattachConfig().Addr.(*net.TCPAddr)
	t.observe("tcp: %v, on the loopback and within the range: %v", ok, ok && address.IP.IsLoopback() && address.Port >= 21000 && address.Port <= 21999)
	t.observe("ping %s", outcome(started.rpc.Ping()))
	brokered(t, started)
	proc := t.spawn(t.plugin, map[string]string{"CONFORMANCE_TRANSPORT": "tcp", "PLUGIN_MIN_PORT": "9", "PLUGIN_MAX_PORT": "8"})
	end := proc.wait(10 * time.Second)
	t.observe("range upside down: %s, stdout %q, %s", end, proc.line, jsonError(proc))
}

// manyLoads loads a plugin again and again while two other processes use every moment of two processors.
func manyLoads(t *T) {
	for range 2 {
		busy := exec.Command(os.Args[0], "spin")
		t.fail(busy.Start())
		t.cleanup(func() { busy.Process.Kill(); busy.Wait() })
	}
	count := runs(100)
	good := 0
	var times []time.Duration
	for range count {
		one := &T{plugin: t.plugin}
		began := time.Now()
		started, err := one.launch(one.plugin, nil)
		times = append(times, time.Since(began))
		if err == nil && started.rpc.Ping() == nil {
			good++
		}
		for _, cleanup := range one.cleanups {
			cleanup()
		}
	}
	// Not the slowest: other programs may take the processors too.
	slices.Sort(times)
	t.observe("first call succeeds in all loads: %v, nine of ten within 1 s: %v", good == count, times[count*9/10] < time.Second)
}

func autoMtls(t *T) {
	started := t.mustLaunch(t.plugin, func(config *goplugin.ClientConfig) { config.AutoMTLS = true })
	t.observe("host's ping: %s", outcome(started.rpc.Ping()))
	path := started.client.ReattachConfig().Addr.String()
	t.observe("plaintext client: refused %v", ping(t.dial("unix", path, nil)) != "SERVING")
	stranger := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{selfSigned(t)}})
	t.observe("other certificate: refused %v", ping(t.dial("unix", path, stranger)) != "SERVING")
	t.observe("no certificate: refused %v", ping(t.dial("unix", path, credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}))) != "SERVING")
	t.observe("host's ping: %s", outcome(started.rpc.Ping()))

	pem, _ := selfSignedPem(t)
	fields := t.spawn(t.plugin, map[string]string{"PLUGIN_CLIENT_CERT": pem}).fields()
	der, err := base64.RawStdEncoding.DecodeString(fields[5])
	t.fail(err)
	cert, err := x509.ParseCertificate(der)
	t.fail(err)
	t.observe("%d fields, the sixth a certificate for %v", len(fields), cert.DNSNames)
}
