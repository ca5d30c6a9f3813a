/**
 * What authors of plugins can install and rely on.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const PACKAGES: readonly Requirement[] = [
  { id: 'pkg:npm:publint', promise: 'publint finds nothing to say about either package' },
  {
    id: 'pkg:npm:types',
    promise: "types of each door resolve as its code does, in Node and in bundlers ('attw' is green)",
  },
  { id: 'pkg:npm:contents', promise: 'the tarballs hold code, pages and licence, and nothing of the checkout' },
  {
    id: 'pkg:npm:strict-consumer',
    promise: 'every door and every snippet of the pages type-checks strictly in an empty folder, libraries included',
  },
  {
    id: 'pkg:npm:oldest-and-newest-node',
    promise: "from the two tarballs, the READMEs' plugins serve a host on the oldest and the newest supported Node",
  },
  {
    id: 'sdk:examples:every-type',
    promise: 'for each of the ten plugin types there is an example that SPIRE could load',
  },
  {
    id: 'sdk:testing:in-process',
    promise: 'a plugin is served inside a test, with a fake host, and driven as SPIRE would',
  },
  { id: 'sdk:testing:fake-host', promise: "a test's host keeps what a plugin measures and answers what it asks" },
  { id: 'sdk:bundle-format:as-go', promise: "PEM, JWKS and SPIFFE bundles hold what the Go SDK's hold" },
  {
    id: 'pkg:bundle:one-file',
    promise: "an author's plugin becomes one executable that runs without Node on the machine",
  },
  { id: 'pkg:bundle:reproducible', promise: 'bundling the same plugin twice gives the same bytes' },
  { id: 'pkg:executable:version', promise: '--version prints name and version, and nothing else' },
  { id: 'pkg:executable:slim', promise: 'executables carry no debug sections, and none is larger than 118 MB' },
  {
    id: 'pkg:image:empty-root',
    promise: 'with nothing but the files of the image in the root, both attestors start by their own path',
  },
  { id: 'pkg:image:reproducible', promise: 'two builds of the image have the same digest' },
  {
    id: 'pkg:image:layout',
    promise: 'the image is a layout that holds what its digests say, and the sums of its own files',
  },
  {
    id: 'pkg:image:helm-values',
    promise: 'the example for Helm mounts and starts what the image holds, with settings that the attestors accept',
  },
  { id: 'go-plugin:start:hint', promise: 'a person who starts a plugin reads what its author wants said' },
  { id: 'go-plugin:start:version', promise: 'a plugin whose author gave it a version answers --version' },
  {
    id: 'go-plugin:context:protocol-version',
    promise: 'a plugin of several protocol versions learns which its host speaks',
  },
  { id: 'pkg:release:notes', promise: 'a tag and a release say what the changelog says of their version' },
  { id: 'pkg:ci:pinned-actions', promise: 'every action of a workflow is pinned by the commit of a release' },
  { id: 'pkg:ci:one-script', promise: 'CI runs the one script that a person can run, before anything is released' },
  { id: 'pkg:ci:least-rights', promise: 'a workflow may write nothing but what a release is' },
  {
    id: 'openbao:mounts:one-process',
    promise: 'OpenBao serves every mount of an engine from one process of ours, over mutual TLS',
  },
  { id: 'openbao:broker:storage', promise: 'an engine keeps its values in OpenBao through the brokered connection' },
  { id: 'openbao:broker:system-view', promise: 'an engine asks OpenBao about itself over the broker' },
  {
    id: 'openbao:paths:unauthenticated',
    promise: 'the paths an engine calls open need no token, and no other is open',
  },
  { id: 'openbao:acl:existence-check', promise: 'a policy tells create from update by what the engine says exists' },
  { id: 'openbao:messages:large', promise: 'a value of 20 MB goes in and comes back' },
  {
    id: 'openbao:life:stray-error',
    promise: 'an error nobody caught is one line in the log of OpenBao, and the engine lives',
  },
  { id: 'openbao:life:killed', promise: 'an engine killed inside a request is started again, for every mount' },
  { id: 'openbao:life:reload', promise: 'an engine is reloaded when told' },
  { id: 'openbao:life:unmount', promise: 'an unmounted engine leaves no process' },
  { id: 'openbao:calls:concurrent', promise: 'an engine takes many writes at once' },
  { id: 'openbao:database:leases', promise: 'a database plugin makes users that expire with their lease' },
  { id: 'openbao:database:rotate-root', promise: 'a database plugin changes the password of the root user' },
  { id: 'openbao:database:version', promise: 'OpenBao shows the version of a plugin, which speaks the newer protocol' },
  { id: 'openbao:database:refusal', promise: 'what a plugin says of a configuration reaches the caller' },
  {
    id: 'opentofu:values:unknown',
    promise: 'OpenTofu validates and plans two pages, one of them with what is known only after the other is made',
  },
  { id: 'opentofu:resource:apply', promise: 'what was planned is made, and a second plan finds nothing to change' },
  { id: 'opentofu:data:read', promise: 'OpenTofu reads a data source of a provider of ours' },
  { id: 'opentofu:function:call', promise: 'OpenTofu calls a function of the provider and shows what it refuses' },
  {
    id: 'opentofu:diagnostic:attribute',
    promise: "a provider's refusal is shown at the attribute's place in the file",
  },
  { id: 'opentofu:resource:drift', promise: 'a resource changed or removed by others is found and mended' },
  { id: 'opentofu:resource:import', promise: 'a resource that was there is imported, and destroyed' },
  { id: 'opentofu:life:throws', promise: 'what a handler throws is told to OpenTofu, and harms no other resource' },
  { id: 'opentofu:life:killed', promise: 'a provider killed in an apply is reported, and the next apply works' },
  { id: 'opentofu:connection:tls', promise: 'a provider is served with mutual TLS, and without it when told' },
  { id: 'opentofu:output:stdout', promise: 'what a provider prints is in the log of OpenTofu' },
  {
    id: 'opentofu:life:interrupted',
    promise: 'SIGINT to OpenTofu or to its whole group lets the provider be told to stop, and leaves no process',
  },
  { id: 'opentofu:life:reattach', promise: 'OpenTofu uses a provider that serves already, and leaves it running' },
  { id: 'sdk:proto:as-spire', promise: "our messages have the names, numbers and types of SPIRE's plugin SDK" },
  {
    id: 'keeper:files:follow-the-bundle',
    promise: 'the keeper keeps PEM, JWKS and SPIFFE files as the bundle is, each replaced whole',
  },
  {
    id: 'keeper:reload:when-files-change',
    promise: 'the keeper runs its command once after a start, and then when files changed',
  },
  { id: 'keeper:reload:retried', promise: 'a command that failed is run again until it succeeds' },
  {
    id: 'keeper:openbao:keys',
    promise: "the keeper sets the keys of OpenBao's JWT auth method and keeps its other settings",
  },
  {
    id: 'keeper:openbao:rotation',
    promise: 'OpenBao accepts a JWT-SVID of a new key as soon as the bundle has it, and none of a tainted one',
  },
  { id: 'keeper:faults:apart', promise: 'what fails in one place does not stop what the keeper does in another' },
  { id: 'keeper:configure:all-at-once', promise: 'the keeper is told every problem of its configuration at once' },
  { id: 'tpm-keys:sign:verified', promise: 'keys made in a TPM sign as Go expects: ECDSA, PKCS#1 v1.5 and PSS' },
  {
    id: 'tpm-keys:life:restart',
    promise: 'the key manager keeps its keys over a restart of itself and of the machine',
  },
  { id: 'tpm-keys:life:tpm-restarted', promise: 'the key manager goes on when the TPM was restarted under it' },
  { id: 'tpm-keys:copy:useless', promise: 'a copied folder shows no key to another TPM and signs nothing' },
  { id: 'tpm-keys:files:wrapped', promise: 'files of keys hold nothing secret, and are their owner alone to read' },
  { id: 'tpm-keys:files:damaged', promise: 'a damaged file costs its own key and no other' },
  { id: 'tpm-keys:configure:tpm', promise: 'a configuration whose TPM cannot be used is refused, with what to do' },
  {
    id: 'keeper:tower:rotation',
    promise: 'in the tower files and OpenBao follow a new CA and a new JWT key within seconds',
  },
  {
    id: 'tpm-keys:tower:life',
    promise: "a tower host's agent attests, renews and restarts with its TPM's keys, which serve no other host",
  },
  {
    id: 'tpm-keys:kernel:life',
    promise: "a SPIRE agent attests, renews and restarts with keys in the kernel's TPM device",
  },
  { id: 'tpm-keys:kernel:copy', promise: 'its folders are of no use to an agent beside another TPM' },
  { id: 'keeper:spire:rotation', promise: 'beside a real SPIRE server the keeper follows a new CA within seconds' },
  {
    id: 'tpm-keys:spire:life',
    promise:
      'a real SPIRE agent attests, renews and restarts with its keys in the TPM, and a copy of its disk is no agent',
  },
]
