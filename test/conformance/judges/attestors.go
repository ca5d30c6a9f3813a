package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	configv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/service/common/config/v1"
	agentattestor "github.com/spiffe/spire/pkg/agent/plugin/nodeattestor"
	"github.com/spiffe/spire/pkg/common/catalog"
	serverattestor "github.com/spiffe/spire/pkg/server/plugin/nodeattestor"
)

func init() {
	cases["C48"] = caseOf{[]string{"server-attestor"}, configureWhileAttesting}
	cases["C49"] = caseOf{[]string{"server-attestor"}, serverResults}
	cases["C50"] = caseOf{[]string{"server-attestor"}, serverErrors}
	cases["C51"] = caseOf{[]string{"server-attestor", "server", "agent-attestor", "agent"}, neverConfigured}
	cases["C52"] = caseOf{[]string{"agent-attestor"}, agentFacade}
	cases["C53"] = caseOf{[]string{"server-attestor", "agent"}, validateNotes}
}

// attestorRepo binds a NodeAttestor of either half.
type attestorRepo struct {
	version catalog.Version
	binder  any
}

func (r *attestorRepo) Plugins() map[string]catalog.PluginRepo {
	return map[string]catalog.PluginRepo{"NodeAttestor": r}
}
func (r *attestorRepo) Services() []catalog.ServiceRepo  { return nil }
func (r *attestorRepo) Binder() any                      { return r.binder }
func (r *attestorRepo) Versions() []catalog.Version      { return []catalog.Version{r.version} }
func (r *attestorRepo) Clear()                           {}
func (r *attestorRepo) Constraints() catalog.Constraints { return catalog.ZeroOrMore() }
func (r *attestorRepo) BuiltIns() []catalog.BuiltIn      { return nil }

type serverVersion struct{}
type agentVersion struct{}

func (serverVersion) New() catalog.Facade { return new(serverattestor.V1) }
func (serverVersion) Deprecated() bool    { return false }
func (agentVersion) New() catalog.Facade  { return new(agentattestor.V1) }
func (agentVersion) Deprecated() bool     { return false }

func (t *T) loadAttestor(repo *attestorRepo, data catalog.DataSource, args ...string) (*catalog.Catalog, error) {
	config := catalog.Config{
		Log:        (&spireLog{}).logger(),
		CoreConfig: core,
		PluginConfigs: []catalog.PluginConfig{
			{Name: "test", Type: "NodeAttestor", Path: t.plugin.path, Args: args, DataSource: data},
		},
	}
	loaded, err := catalog.Load(context.Background(), config, repo)
	if loaded != nil {
		t.cleanup(func() { loaded.Close() })
	}
	return loaded, err
}

// loadServer loads a server attestor behind SPIRE's facade.
func (t *T) loadServer(data catalog.DataSource, args ...string) (serverattestor.NodeAttestor, *catalog.Catalog) {
	var bound serverattestor.NodeAttestor
	repo := &attestorRepo{serverVersion{}, func(attestor serverattestor.NodeAttestor) { bound = attestor }}
	loaded, err := t.loadAttestor(repo, data, args...)
	t.fail(err)
	return bound, loaded
}

// echo answers a challenge with itself.
func echo(_ context.Context, challenge []byte) ([]byte, error) { return challenge, nil }

func attest(attestor serverattestor.NodeAttestor, payload string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	result, err := attestor.Attest(ctx, []byte(payload), echo)
	if err != nil {
		return statusOf(err)
	}
	var selectors []string
	for _, selector := range result.Selectors {
		selectors = append(selectors, selector.Type+":"+selector.Value)
	}
	return fmt.Sprintf("%s %v %v", result.AgentID, selectors, result.CanReattest)
}

func version(number int) string { return fmt.Sprintf("version = \"%d\"\n", number) }

func serverResults(t *T) {
	attestor, _ := t.loadServer(catalog.FixedData(version(1)))
	for _, payload := range []string{"nothing", "challenges", "challenges selectors", "selectors reattest"} {
		t.observe("%s: %s", payload, attest(attestor, payload))
	}
	failing := func(context.Context, []byte) ([]byte, error) { return nil, errors.New("response error") }
	_, err := attestor.Attest(context.Background(), []byte("challenges"), failing)
	t.observe("agent fails: %s", statusOf(err))
}

func serverErrors(t *T) {
	attestor, _ := t.loadServer(catalog.FixedData(version(1)))
	for _, payload := range []string{"plain error", "status error"} {
		t.observe("%s: %s", payload, attest(attestor, payload))
	}
	careless, _ := t.loadServer(catalog.FixedData(version(1)), "--careless")
	for _, payload := range []string{"ends early", "empty id", "neither"} {
		t.observe("%s: %s", payload, attest(careless, payload))
	}
}

func configureWhileAttesting(t *T) {
	path := filepath.Join(t.tempDir(), "plugin.conf")
	write := func(number int) { t.fail(os.WriteFile(path, []byte(version(number)), 0o600)) }
	write(0)
	attestor, loaded := t.loadServer(catalog.FileData(path))
	var waiting, opened sync.WaitGroup
	var lock sync.Mutex
	results := map[string]int{}
	reconfigured := make(chan struct{})
	opened.Add(100)
	for range 100 {
		waiting.Go(func() {
			first := sync.OnceFunc(opened.Done)
			defer first()
			result, err := attestor.Attest(context.Background(), []byte("challenges version"), func(ctx context.Context, challenge []byte) ([]byte, error) {
				first()
				<-reconfigured
				return challenge, nil
			})
			lock.Lock()
			defer lock.Unlock()
			switch {
			case err != nil:
				results[statusOf(err)]++
			case result.Selectors[0].Value != result.Selectors[len(result.Selectors)-1].Value:
				results["mixed"]++
			default:
				results["version "+result.Selectors[0].Value]++
			}
		})
	}
	opened.Wait()
	for number := range 5 {
		write(number + 1)
		loaded.Reconfigure(context.Background())
	}
	close(reconfigured)
	waiting.Wait()
	t.observe("100 attestations begun before five changes: %v", results)
	t.observe("afterwards: %s", attest(attestor, "version"))
}

// neverConfigured calls a plugin that SPIRE has not configured, as a host that skips Configure would.
func neverConfigured(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	ask := func() string { return attest(initialized(started), "anything") }
	if strings.HasPrefix(t.plugin.name, "agent") {
		attestor := new(agentattestor.V1)
		attestor.InitClient(started.conn)
		attestor.InitInfo(info{})
		attestor.InitLog((&spireLog{}).logger())
		ask = func() string {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			return statusOf(attestor.Attest(ctx, &agentStream{challenge: []byte("challenge")}))
		}
	}
	results := map[string]int{}
	for range 1000 {
		results[ask()]++
	}
	t.observe("%v", results)
}

type info struct{}

func (info) Name() string { return "test" }
func (info) Type() string { return "NodeAttestor" }

// agentStream plays the server behind the agent: it may fail, and it may send one challenge.
type agentStream struct {
	fails     error
	challenge []byte
	expected  string
}

func (s *agentStream) SendAttestationData(_ context.Context, data agentattestor.AttestationData) ([]byte, error) {
	if s.fails != nil {
		return nil, s.fails
	}
	if data.Type != "test" || string(data.Payload) != "payload" {
		return nil, fmt.Errorf("unexpected payload %q of type %q", data.Payload, data.Type)
	}
	// Longer than a plugin needs to end its stream.
	time.Sleep(20 * time.Millisecond)
	return s.challenge, nil
}

func (s *agentStream) SendChallengeResponse(_ context.Context, response []byte) ([]byte, error) {
	if string(response) != s.expected {
		return nil, fmt.Errorf("expected challenge response %q; got %q", s.expected, response)
	}
	return nil, nil
}

func agentFacade(t *T) {
	challenge := []byte("challenge")
	for _, played := range []struct {
		behaviour string
		stream    agentStream
	}{
		{"says nothing", agentStream{}},
		{"fails first", agentStream{}},
		{"no payload", agentStream{}},
		{"empty payload", agentStream{}},
		{"server fails", agentStream{fails: errors.New("ohno")}},
		{"no challenge", agentStream{}},
		{"ignores challenges", agentStream{challenge: challenge}},
		{"fails after payload", agentStream{challenge: challenge}},
		{"fails at challenge", agentStream{challenge: challenge}},
		{"answers rightly", agentStream{challenge: challenge}},
		{"answers wrongly", agentStream{challenge: challenge}},
		{"empty response", agentStream{challenge: challenge}},
	} {
		played.stream.expected = "challengeResponse"
		var bound agentattestor.NodeAttestor
		repo := &attestorRepo{agentVersion{}, func(attestor agentattestor.NodeAttestor) { bound = attestor }}
		loaded, err := t.loadAttestor(repo, catalog.FixedData(played.behaviour))
		t.fail(err)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		t.observe("%s: %s", played.behaviour, statusOf(bound.Attest(ctx, &played.stream)))
		cancel()
		t.fail(loaded.Close())
	}
}

// validated holds configurations by plugin: valid, invalid, with unknown keys, empty, and not HCL at all.
var validated = map[string][]string{
	"server-attestor": {"version = \"1\"", "version = \"1\"\nport = 70000", "version = \"1\"\nprot = 1\nother = 2", "", "version = "},
	"agent":           {"keylime_agent_port = \"9002\"", "keylime_agent_port = 70000", "keylime_agent_prot = 1\nother = 2", "", "port = "},
}

func validateNotes(t *T) {
	started := t.mustLaunch(t.plugin, nil)
	client := configv1.NewConfigClient(started.conn)
	for _, text := range validated[t.plugin.name] {
		answer, err := client.Validate(context.Background(), &configv1.ValidateRequest{
			CoreConfiguration: &configv1.CoreConfiguration{TrustDomain: "example.org"}, HclConfiguration: text,
		})
		t.observe("%q: valid %v, %d notes [%s], %s", text, answer.GetValid(), len(answer.GetNotes()), strings.Join(answer.GetNotes(), " | "), statusOf(err))
	}
	if t.plugin.name == "server-attestor" {
		t.observe("afterwards: %s", attest(initialized(started), "anything"))
	}
}

func initialized(started *host) serverattestor.NodeAttestor {
	attestor := new(serverattestor.V1)
	attestor.InitClient(started.conn)
	attestor.InitInfo(info{})
	attestor.InitLog((&spireLog{}).logger())
	return attestor
}
