package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	"github.com/spiffe/spire-plugin-sdk/private/proto/test"
	"github.com/spiffe/spire/pkg/common/catalog"
	"github.com/spiffe/spire/pkg/common/catalog/testplugin"
	commonplugin "github.com/spiffe/spire/pkg/common/plugin"
)

func init() {
	names := []string{"catalog"}
	cases["C40"] = caseOf{names, loadAndUnload}
	cases["C41"] = caseOf{names, checksums}
	cases["C42"] = caseOf{names, notAPlugin}
	cases["C43"] = caseOf{names, configureGoodAndBad}
	cases["C44"] = caseOf{names, dataWithoutConfig}
	cases["C45"] = caseOf{names, fileData}
	cases["C46"] = caseOf{names, unsupported}
	cases["C47"] = caseOf{names, missingHostService}
}

// spireLog keeps SPIRE's own log: level and message of each entry, and one field that a case asks for.
type spireLog struct {
	mu      sync.Mutex
	entries []*logrus.Entry
}

func (l *spireLog) Levels() []logrus.Level { return logrus.AllLevels }

func (l *spireLog) Fire(entry *logrus.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	copied := *entry
	l.entries = append(l.entries, &copied)
	return nil
}

// levelOf tells at which level a message was logged; "" for never.
func (l *spireLog) levelOf(message string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, entry := range l.entries {
		if entry.Message == message {
			return entry.Level.String()
		}
	}
	return ""
}

// values of a field in every entry with that message.
func (l *spireLog) values(message, field string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, entry := range l.entries {
		if text, ok := entry.Data[field].(string); ok && entry.Message == message {
			found = append(found, text)
		}
	}
	return found
}

func (l *spireLog) logger() *logrus.Logger {
	logger := logrus.New()
	logger.SetLevel(logrus.DebugLevel)
	logger.SetOutput(errWriter{})
	logger.AddHook(l)
	return logger
}

type errWriter struct{}

func (errWriter) Write(p []byte) (int, error) { return len(p), nil }

// someRepo is the repository with which SPIRE tests its catalog.
type someRepo struct {
	plugin  *somePlugin
	service *someService
	none    bool
}

type somePlugin struct {
	commonplugin.Facade
	test.SomePluginPluginClient
}
type someService struct {
	commonplugin.Facade
	test.SomeServiceServiceClient
}
type pluginVersion struct{}
type serviceVersion struct{}

func (pluginVersion) New() catalog.Facade  { return new(somePlugin) }
func (pluginVersion) Deprecated() bool     { return false }
func (serviceVersion) New() catalog.Facade { return new(someService) }
func (serviceVersion) Deprecated() bool    { return false }

type pluginRepo struct{ *someRepo }
type serviceRepo struct{ *someRepo }

func (r pluginRepo) Binder() any                    { return func(bound *somePlugin) { r.plugin = bound } }
func (pluginRepo) Versions() []catalog.Version      { return []catalog.Version{pluginVersion{}} }
func (r pluginRepo) Clear()                         { r.plugin = nil }
func (pluginRepo) BuiltIns() []catalog.BuiltIn      { return nil }
func (r serviceRepo) Binder() any                   { return func(bound *someService) { r.service = bound } }
func (serviceRepo) Versions() []catalog.Version     { return []catalog.Version{serviceVersion{}} }
func (r serviceRepo) Clear()                        { r.service = nil }
func (r *someRepo) Services() []catalog.ServiceRepo { return []catalog.ServiceRepo{serviceRepo{r}} }
func (r *someRepo) Plugins() map[string]catalog.PluginRepo {
	return map[string]catalog.PluginRepo{"SomePlugin": pluginRepo{r}}
}

func (r pluginRepo) Constraints() catalog.Constraints {
	if r.none {
		return catalog.Constraints{}
	}
	return catalog.ExactlyOne()
}

// loaded is what came of loading the catalog plugin.
type loaded struct {
	*catalog.Catalog
	repo *someRepo
	log  *spireLog
	err  error
}

var core = catalog.CoreConfig{TrustDomain: spiffeid.RequireTrustDomainFromString("example.org")}

// load has SPIRE's catalog load the plugin.
func (t *T) load(change func(*catalog.PluginConfig), args ...string) *loaded {
	log := &spireLog{}
	config := catalog.Config{
		Log:           log.logger(),
		CoreConfig:    core,
		PluginConfigs: []catalog.PluginConfig{{Name: "test", Type: "SomePlugin", Path: t.plugin.path, Args: args}},
		HostServices:  []pluginsdk.ServiceServer{test.SomeHostServiceServiceServer(testplugin.SomeHostService{})},
	}
	if change != nil {
		change(&config.PluginConfigs[0])
	}
	repo := &someRepo{none: config.PluginConfigs[0].Disabled}
	result := &loaded{repo: repo, log: log}
	result.Catalog, result.err = catalog.Load(context.Background(), config, repo)
	if result.Catalog != nil {
		t.cleanup(func() { result.Close() })
	}
	return result
}

func loadAndUnload(t *T) {
	spire := t.load(nil)
	t.fail(spire.err)
	answer, err := spire.repo.plugin.PluginEcho(context.Background(), &test.EchoRequest{In: "howdy"})
	t.observe("%s, %s", answer.GetOut(), outcome(err))
	answer, err = spire.repo.service.ServiceEcho(context.Background(), &test.EchoRequest{In: "howdy"})
	t.observe("%s, %s", answer.GetOut(), outcome(err))
	t.observe("unload: %s", outcome(spire.Close()))
	t.observe("CLOSED logged at: %s", spire.log.levelOf("CLOSED"))
}

func checksums(t *T) {
	file, err := os.ReadFile(t.plugin.path)
	t.fail(err)
	sum := sha256.Sum256(file)
	for _, checksum := range []string{hex.EncodeToString(sum[:]), "", "NOT_A_CHECKSUM", "DEADBEEF", strings.Repeat("0", 64)} {
		spire := t.load(func(config *catalog.PluginConfig) { config.Checksum = checksum })
		t.observe("%s, warned: %v", outcome(spire.err), spire.log.levelOf("Plugin checksum not configured") == "warning")
	}
}

func notAPlugin(t *T) {
	spire := t.load(nil, "--mode", "bad")
	text := outcome(spire.err)
	t.observe("%s", firstLine(text))
	for _, part := range []string{"Failed to read any lines from plugin's stdout", "This usually means"} {
		t.observe("%s: %v", part, strings.Contains(text, part))
	}
}

func configureGoodAndBad(t *T) {
	for _, data := range []string{"GOOD", "BAD"} {
		spire := t.load(func(config *catalog.PluginConfig) { config.DataSource = catalog.FixedData(data) }, "--registerConfig=true")
		t.observe("%s: %s", data, outcome(spire.err))
	}
}

func dataWithoutConfig(t *T) {
	spire := t.load(func(config *catalog.PluginConfig) { config.DataSource = catalog.FixedData("GOOD") })
	t.observe("%s", outcome(spire.err))
}

func fileData(t *T) {
	path := filepath.Join(t.tempDir(), "plugin.conf")
	write := func(text string) { t.fail(os.WriteFile(path, []byte(text), 0o600)) }
	write("GOOD1")
	spire := t.load(func(config *catalog.PluginConfig) { config.DataSource = catalog.FileData(path) }, "--registerConfig=true")
	t.fail(spire.err)
	spire.Reconfigure(context.Background())
	t.observe("unchanged: %s", spire.log.levelOf("Plugin not reconfigured since the config is unchanged"))
	write("GOOD2")
	spire.Reconfigure(context.Background())
	t.observe("changed: %s", spire.log.levelOf("Plugin reconfigured"))
	write("BAD")
	spire.Reconfigure(context.Background())
	t.observe("broken: %s", spire.log.levelOf("Failed to reconfigure plugin"))
	// The plugin's log comes by another way than its answers, and may come later.
	configured := func() []string { return spire.log.values("CONFIGURED", "config") }
	within(2*time.Second, func() bool { return len(configured()) >= 3 })
	t.observe("CONFIGURED with %v", configured())
}

func unsupported(t *T) {
	spire := t.load(func(config *catalog.PluginConfig) { config.Disabled = true })
	t.observe("disabled: %s, %s, started: %v", outcome(spire.err), spire.log.levelOf("Not loading plugin; disabled"), spire.repo.plugin != nil)
	spire = t.load(func(config *catalog.PluginConfig) { config.Type = "Quz" })
	t.observe("unknown type: %s", outcome(spire.err))
	spire = t.load(nil, "--unknownService=true")
	t.observe("unknown service: %s", outcome(spire.err))
}

func missingHostService(t *T) {
	spire := t.load(nil, "--needs", "test.NoSuchService")
	t.observe("%s", outcome(spire.err))
	if spire.err == nil {
		t.fail(errors.New("the plugin was loaded"))
	}
}
