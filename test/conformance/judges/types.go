package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/spire-plugin-sdk/pluginsdk"
	metricsv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/common/metrics/v1"
	agentstorev1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/server/agentstore/v1"
	identityproviderv1 "github.com/spiffe/spire-plugin-sdk/proto/spire/hostservice/server/identityprovider/v1"
	plugintypes "github.com/spiffe/spire-plugin-sdk/proto/spire/plugin/types"
	agentkeymanager "github.com/spiffe/spire/pkg/agent/plugin/keymanager"
	"github.com/spiffe/spire/pkg/agent/plugin/svidstore"
	"github.com/spiffe/spire/pkg/agent/plugin/workloadattestor"
	"github.com/spiffe/spire/pkg/common/catalog"
	"github.com/spiffe/spire/pkg/server/plugin/bundlepublisher"
	"github.com/spiffe/spire/pkg/server/plugin/credentialcomposer"
	serverkeymanager "github.com/spiffe/spire/pkg/server/plugin/keymanager"
	"github.com/spiffe/spire/pkg/server/plugin/notifier"
	"github.com/spiffe/spire/pkg/server/plugin/upstreamauthority"
	"github.com/spiffe/spire/proto/spire/common"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func init() {
	names := []string{"every-type"}
	cases["M01"] = caseOf{names, func(t *T) {
		keys(t, loadType[serverkeymanager.KeyManager](t, "server/KeyManager", new(serverkeymanager.V1)))
	}}
	cases["M02"] = caseOf{names, func(t *T) {
		agentKeys(t, loadType[agentkeymanager.KeyManager](t, "agent/KeyManager", new(agentkeymanager.V1)))
	}}
	cases["M03"] = caseOf{names, upstream}
	cases["M04"] = caseOf{names, notified}
	cases["M05"] = caseOf{names, published}
	cases["M06"] = caseOf{names, composed}
	cases["M07"] = caseOf{names, workload}
	cases["M08"] = caseOf{names, svids}
}

// typeRepo binds one plugin of any type behind SPIRE's facade for it.
type typeRepo struct {
	name   string
	facade catalog.Facade
}

func (r *typeRepo) Plugins() map[string]catalog.PluginRepo {
	return map[string]catalog.PluginRepo{r.name: r}
}
func (r *typeRepo) Services() []catalog.ServiceRepo  { return nil }
func (r *typeRepo) Binder() any                      { return func(catalog.Facade) {} }
func (r *typeRepo) Versions() []catalog.Version      { return []catalog.Version{r} }
func (r *typeRepo) New() catalog.Facade              { return r.facade }
func (r *typeRepo) Deprecated() bool                 { return false }
func (r *typeRepo) Clear()                           {}
func (r *typeRepo) Constraints() catalog.Constraints { return catalog.ExactlyOne() }
func (r *typeRepo) BuiltIns() []catalog.BuiltIn      { return nil }

// loadType has SPIRE's catalog load the plugin as one type.
func loadType[F any](t *T, kind string, facade catalog.Facade) F {
	_, name, _ := strings.Cut(kind, "/")
	config := catalog.Config{
		Log:           (&spireLog{}).logger(),
		CoreConfig:    core,
		PluginConfigs: []catalog.PluginConfig{{Name: "test", Type: name, Path: t.plugin.path, Args: []string{"--type", kind}}},
		HostServices: []pluginsdk.ServiceServer{
			identityproviderv1.IdentityProviderServiceServer(hostIdentity{}),
			agentstorev1.AgentStoreServiceServer(hostAgents{}),
			metricsv1.MetricsServiceServer(hostMetrics{t: t}),
		},
	}
	loaded, err := catalog.Load(context.Background(), config, &typeRepo{name, facade})
	t.fail(err)
	t.cleanup(func() { loaded.Close() })
	return facade.(F)
}

type hostMetrics struct {
	metricsv1.UnimplementedMetricsServer
	t *T
}

func (h hostMetrics) SetGauge(_ context.Context, request *metricsv1.SetGaugeRequest) (*emptypb.Empty, error) {
	h.t.observe("gauge %v = %v, %s=%s", request.Key, request.Val, request.Labels[0].Name, request.Labels[0].Value)
	return &emptypb.Empty{}, nil
}

type hostAgents struct {
	agentstorev1.UnimplementedAgentStoreServer
}

func (hostAgents) GetAgentInfo(_ context.Context, request *agentstorev1.GetAgentInfoRequest) (*agentstorev1.GetAgentInfoResponse, error) {
	if strings.HasSuffix(request.AgentId, "/known") {
		return &agentstorev1.GetAgentInfoResponse{Info: &agentstorev1.AgentInfo{AgentId: request.AgentId}}, nil
	}
	return nil, status.Error(codes.NotFound, "no such agent")
}

type hostIdentity struct {
	identityproviderv1.UnimplementedIdentityProviderServer
}

func (hostIdentity) FetchX509Identity(context.Context, *identityproviderv1.FetchX509IdentityRequest) (*identityproviderv1.FetchX509IdentityResponse, error) {
	return &identityproviderv1.FetchX509IdentityResponse{
		Identity: &identityproviderv1.X509Identity{CertChain: [][]byte{{1}, {2}}, PrivateKey: []byte{3}},
		Bundle:   &plugintypes.Bundle{TrustDomain: "example.org"},
	}, nil
}

func keys(t *T, manager serverkeymanager.KeyManager) {
	ctx := context.Background()
	for id, kind := range map[string]serverkeymanager.KeyType{"ec": serverkeymanager.ECP256, "rsa": serverkeymanager.RSA2048} {
		key, err := manager.GenerateKey(ctx, id, kind)
		t.fail(err)
		t.observe("%s", signature(key, id))
	}
	sortObserved(t)
	all, err := manager.GetKeys(ctx)
	t.observe("%d keys, %s", len(all), outcome(err))
	_, err = manager.GetKey(ctx, "absent")
	t.observe("%s", statusOf(err))
}

func agentKeys(t *T, manager agentkeymanager.KeyManager) {
	ctx := context.Background()
	key, err := manager.GenerateKey(ctx, "ec", agentkeymanager.ECP256)
	t.fail(err)
	t.observe("%s", signature(key, "ec"))
	_, err = manager.GetKey(ctx, "absent")
	t.observe("%s", statusOf(err))
}

// signature has a key sign a digest, and checks it with Go's own arithmetic.
func signature(key crypto.Signer, id string) string {
	digest := sha256.Sum256([]byte("tower"))
	signed, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return fmt.Sprintf("%s: %s", id, statusOf(err))
	}
	valid := false
	switch public := key.Public().(type) {
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(public, digest[:], signed)
	case *rsa.PublicKey:
		valid = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signed) == nil
	}
	return fmt.Sprintf("%s: signature valid %v", id, valid)
}

func upstream(t *T) {
	authority := loadType[upstreamauthority.UpstreamAuthority](t, "server/UpstreamAuthority", new(upstreamauthority.V1))
	ctx := context.Background()
	der := selfSigned(t).Certificate[0]
	chain, roots, stream, err := authority.MintX509CA(ctx, der, time.Minute)
	t.observe("minted: chain %d, roots %d, %s", len(chain), len(roots), statusOf(err))
	t.fail(err)
	roots, err = stream.RecvUpstreamX509Authorities()
	t.observe("update: roots %d, the last tainted %v, %s", len(roots), roots[len(roots)-1].Tainted, statusOf(err))
	stream.Close()
	public, err := x509.MarshalPKIXPublicKey(selfSigned(t).PrivateKey.(*ecdsa.PrivateKey).Public())
	t.fail(err)
	published, _, err := authority.PublishJWTKey(ctx, &common.PublicKey{PkixBytes: public, Kid: "kid"})
	t.observe("published %d, %s", len(published), statusOf(err))
	_, _, _, err = authority.SubscribeToLocalBundle(ctx)
	t.observe("local bundle: %s", statusOf(err))
}

func bundleOf(t *T, authorities int) *common.Bundle {
	bundle := &common.Bundle{TrustDomainId: "spiffe://example.org", RefreshHint: 60, SequenceNumber: 7}
	for range authorities {
		bundle.RootCas = append(bundle.RootCas, &common.Certificate{DerBytes: selfSigned(t).Certificate[0]})
	}
	return bundle
}

func notified(t *T) {
	subject := loadType[notifier.Notifier](t, "server/Notifier", new(notifier.V1))
	ctx := context.Background()
	t.observe("loaded with 2: %s", statusOf(subject.NotifyAndAdviseBundleLoaded(ctx, bundleOf(t, 2))))
	t.observe("loaded with 0: %s", statusOf(subject.NotifyAndAdviseBundleLoaded(ctx, bundleOf(t, 0))))
	t.observe("updated: %s", statusOf(subject.NotifyBundleUpdated(ctx, bundleOf(t, 1))))
}

func published(t *T) {
	subject := loadType[bundlepublisher.BundlePublisher](t, "server/BundlePublisher", new(bundlepublisher.V1))
	t.observe("%s", statusOf(subject.PublishBundle(context.Background(), bundleOf(t, 1))))
}

func composed(t *T) {
	subject := loadType[credentialcomposer.CredentialComposer](t, "server/CredentialComposer", new(credentialcomposer.V1))
	ctx := context.Background()
	ca, err := subject.ComposeServerX509CA(ctx, credentialcomposer.X509CAAttributes{})
	t.observe("CA: policies %v, %s", ca.Policies, statusOf(err))
	svid, err := subject.ComposeServerX509SVID(ctx, credentialcomposer.X509SVIDAttributes{DNSNames: []string{"kept"}})
	t.observe("server: %v, %s", svid.DNSNames, statusOf(err))
	id := spiffeid.RequireFromString("spiffe://example.org/spire/agent/x/node-1")
	public := selfSigned(t).PrivateKey.(*ecdsa.PrivateKey).Public()
	svid, err = subject.ComposeAgentX509SVID(ctx, id, public, credentialcomposer.X509SVIDAttributes{})
	t.observe("agent: %v, %s", svid.DNSNames, statusOf(err))
	_, err = subject.ComposeWorkloadX509SVID(ctx, id, public, credentialcomposer.X509SVIDAttributes{})
	t.observe("workload: %s", statusOf(err))
	token, err := subject.ComposeWorkloadJWTSVID(ctx, id, credentialcomposer.JWTSVIDAttributes{Claims: map[string]any{"sub": id.String(), "exp": 1700000000}})
	t.observe("token: %v, %s", token.Claims, statusOf(err))
}

func workload(t *T) {
	subject := loadType[workloadattestor.WorkloadAttestor](t, "agent/WorkloadAttestor", new(workloadattestor.V1))
	selectors, err := subject.Attest(context.Background(), 4711)
	for _, selector := range selectors {
		t.observe("%s:%s", selector.Type, selector.Value)
	}
	t.observe("%s", statusOf(err))
}

func svids(t *T) {
	subject := loadType[svidstore.SVIDStore](t, "agent/SVIDStore", new(svidstore.V1))
	ctx := context.Background()
	certificate := selfSigned(t)
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	t.fail(err)
	t.observe("before: %s", statusOf(subject.DeleteX509SVID(ctx, []string{"name:a", "region:b"})))
	err = subject.PutX509SVID(ctx, &svidstore.X509SVID{
		SVID: &svidstore.SVID{
			SPIFFEID: spiffeid.RequireFromString("spiffe://example.org/workload"), CertChain: []*x509.Certificate{leaf},
			PrivateKey: certificate.PrivateKey, Bundle: []*x509.Certificate{leaf}, ExpiresAt: time.Unix(1700000000, 0),
		},
		Metadata:         []string{"name:a", "region:b"},
		FederatedBundles: map[string][]*x509.Certificate{"other.org": {leaf}},
	})
	t.observe("put: %s", statusOf(err))
	t.observe("after: %s", statusOf(subject.DeleteX509SVID(ctx, []string{"name:a", "region:b"})))
}
