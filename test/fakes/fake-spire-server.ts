/**
 * A SPIRE server's API on a real Unix socket, with its agents and entries in memory and faults to order.
 *
 * What it answers follows the real one: a ban is an empty serial number that stays until the agent is deleted, an
 * eviction forgets, a ban or eviction of an agent it does not know is NOT_FOUND, pages are as long as they are asked for.
 *
 * @see spiffe/spire ef8527ec9, pkg/server/api/agent/v1/service.go
 * @module
 */
import { rmSync } from 'node:fs'
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceError,
  type sendUnaryData,
  status,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { HealthCheckResponse_ServingStatus, HealthService } from '../../plugins/spire-api/gen/grpc/health/v1/health.ts'
import { AgentService } from '../../plugins/spire-api/gen/spire/api/server/agent/v1/agent.ts'
import { BundleService } from '../../plugins/spire-api/gen/spire/api/server/bundle/v1/bundle.ts'
import { DebugService } from '../../plugins/spire-api/gen/spire/api/server/debug/v1/debug.ts'
import { EntryService } from '../../plugins/spire-api/gen/spire/api/server/entry/v1/entry.ts'
import {
  type AuthorityState,
  LocalAuthorityService,
} from '../../plugins/spire-api/gen/spire/api/server/localauthority/v1/localauthority.ts'
import { Agent } from '../../plugins/spire-api/gen/spire/api/types/agent.ts'
import { Entry } from '../../plugins/spire-api/gen/spire/api/types/entry.ts'
import type { SPIFFEID } from '../../plugins/spire-api/gen/spire/api/types/spiffeid.ts'

/** Answers a request, or throws what `failWith` makes. */
type Answer<Q, A> = (request: Q) => A

/** One call as the server saw it. */
export interface SeenCall {
  /** Such as `BanAgent`. */
  readonly method: string
  /** SPIFFE ID it was about; empty for lists. */
  readonly id: string
  /** Milliseconds, by `performance.now`. */
  readonly at: number
}

/** A running fake. */
export class FakeSpireServer {
  readonly socketPath: string
  readonly trustDomain: string
  /** By SPIFFE ID. */
  readonly agents = new Map<string, Agent>()
  /** By entry ID. */
  readonly entries = new Map<string, Entry>()
  readonly calls: SeenCall[] = []
  /** DER of the bundle's authorities. */
  authorities: { asn1: Buffer; tainted: boolean }[] = []
  /** What a call of a method fails with, until it is deleted: status and details. */
  readonly failures = new Map<string, readonly [status, string]>()
  /** Methods that never answer. */
  readonly hanging = new Set<string>()
  /** Called before an agent is banned or evicted, for races. */
  beforeChange: ((method: string, id: string) => void) | undefined
  #authority: { active?: AuthorityState; prepared?: AuthorityState; old?: AuthorityState } = {
    active: { authorityId: 'a0', expiresAt: 2_000_000_000n, upstreamAuthoritySubjectKeyId: '' },
  }
  #rotations = 0
  #server = new Server()

  /**
   */
  constructor(socketPath: string, trustDomain = 'example.org') {
    this.socketPath = socketPath
    this.trustDomain = trustDomain
  }

  /** Listens; also again after {@link stop}. */
  async start(): Promise<this> {
    this.#server = new Server()
    this.#addServices()
    rmSync(this.socketPath, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.#server.bindAsync(`unix:${this.socketPath}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      )
    })
    return this
  }

  /** Ends at once, with every open call; the socket goes away. */
  stop(): void {
    this.#server.forceShutdown()
    rmSync(this.socketPath, { force: true })
  }

  /**
   * Lets an agent attest, as the real server would write it down: with a new serial number, and no ban.
   *
   * @param id Its SPIFFE ID, or the last part of a Keylime agent's.
   */
  attest(id: string, more: Partial<Agent> = {}): Agent {
    const spiffeId = id.startsWith('spiffe://') ? id : `spiffe://${this.trustDomain}/spire/agent/keylime/${id}`
    const [, , trustDomain = '', ...path] = spiffeId.split('/')
    const agent = Agent.fromPartial({
      id: { trustDomain, path: `/${path.join('/')}` },
      attestationType: path[2] ?? '',
      x509svidSerialNumber: String(this.agents.size + 1_000 + this.calls.length),
      x509svidExpiresAt: BigInt(Math.floor(Date.now() / 1000) + 3_600),
      canReattest: path[2] !== 'join_token',
      ...more,
    })
    this.agents.set(spiffeId, agent)
    return agent
  }

  /** Calls of one method. */
  callsOf(method: string): readonly SeenCall[] {
    return this.calls.filter((call) => call.method === method)
  }

  #addServices(): void {
    this.#addAgents()
    this.#addEntries()
    this.#server.addService(
      BundleService,
      this.#handlers({
        getBundle: () => ({
          trustDomain: this.trustDomain,
          x509Authorities: this.authorities,
          jwtAuthorities: [],
          refreshHint: 0n,
          sequenceNumber: 7n,
          witAuthorities: [],
        }),
      }),
    )
    this.#addAuthority()
    this.#server.addService(
      DebugService,
      this.#handlers({
        getInfo: () => ({
          svidChain: [
            {
              id: { trustDomain: this.trustDomain, path: '/spire/server' },
              expiresAt: 2_000_000_000n,
              subject: 'O=SPIRE',
            },
          ],
          uptime: 42,
          agentsCount: this.agents.size,
          federatedBundlesCount: 0,
          entriesCount: this.entries.size,
        }),
      }),
    )
    const serving = { status: HealthCheckResponse_ServingStatus.SERVING }
    this.#server.addService(HealthService, this.#handlers({ check: () => serving }))
  }

  #addAgents(): void {
    const one = ({ id }: { id: SPIFFEID | undefined }): Agent => {
      const agent = this.agents.get(textOf(id))
      if (agent === undefined) throw failWith(status.NOT_FOUND, 'agent not found')
      return agent
    }
    const change = (method: string, request: { id: SPIFFEID | undefined }, act: (id: string) => void): object => {
      this.beforeChange?.(method, textOf(request.id))
      one(request)
      act(textOf(request.id))
      return {}
    }
    this.#server.addService(
      AgentService,
      this.#handlers({
        countAgents: () => ({ count: this.agents.size }),
        listAgents: (request: Parameters<typeof AgentService.listAgents.requestSerialize>[0]) => {
          const { byAttestationType: type = '', byBanned: banned } = request.filter ?? {}
          const all = [...this.agents.values()].filter(
            (agent) =>
              (type === '' || agent.attestationType === type) && (banned === undefined || agent.banned === banned),
          )
          const { items, nextPageToken } = pageOf(all, request.pageSize, request.pageToken)
          const withSelectors = request.outputMask?.selectors ?? true
          return {
            agents: items.map((agent) => ({ ...agent, selectors: withSelectors ? agent.selectors : [] })),
            nextPageToken,
          }
        },
        getAgent: one,
        deleteAgent: (request: { id: SPIFFEID | undefined }) =>
          change('DeleteAgent', request, (id) => this.agents.delete(id)),
        banAgent: (request: { id: SPIFFEID | undefined }) =>
          change('BanAgent', request, (id) => {
            const agent = this.agents.get(id)
            if (agent !== undefined) this.agents.set(id, { ...agent, banned: true, x509svidSerialNumber: '' })
          }),
      }),
    )
  }

  #addEntries(): void {
    this.#server.addService(
      EntryService,
      this.#handlers({
        countEntries: () => ({ count: this.entries.size }),
        listEntries: (request: Parameters<typeof EntryService.listEntries.requestSerialize>[0]) => {
          const parent = request.filter?.byParentId
          const all = [...this.entries.values()].filter(
            (entry) => parent === undefined || textOf(entry.parentId) === textOf(parent),
          )
          const { items, nextPageToken } = pageOf(all, request.pageSize, request.pageToken)
          return { entries: items, nextPageToken }
        },
        getEntry: ({ id }: { id: string }) => {
          const entry = this.entries.get(id)
          if (entry === undefined) throw failWith(status.NOT_FOUND, 'entry not found')
          return entry
        },
        batchCreateEntry: ({ entries }: { entries: Entry[] }) => ({
          results: entries.map((entry) => {
            const made = { ...entry, id: `entry-${this.entries.size + 1}`, createdAt: 1_700_000_000n }
            this.entries.set(made.id, made)
            return { status: { code: 0, message: 'OK' }, entry: made }
          }),
        }),
        batchUpdateEntry: ({ entries, inputMask }: { entries: Entry[]; inputMask?: { parentId: boolean } }) => ({
          results: entries.map((entry) => {
            const old = this.entries.get(entry.id)
            if (old === undefined) return { status: { code: status.NOT_FOUND, message: 'entry not found' } }
            const changed = inputMask?.parentId === true ? { ...old, parentId: entry.parentId } : entry
            this.entries.set(entry.id, { ...changed, revisionNumber: old.revisionNumber + 1n })
            return { status: { code: 0, message: 'OK' }, entry: changed }
          }),
        }),
        batchDeleteEntry: ({ ids }: { ids: string[] }) => ({
          results: ids.map((id) => ({
            status: this.entries.delete(id)
              ? { code: 0, message: 'OK' }
              : { code: status.NOT_FOUND, message: 'entry not found' },
            id,
          })),
        }),
      }),
    )
  }

  #addAuthority(): void {
    this.#server.addService(
      LocalAuthorityService,
      this.#handlers({
        getX509AuthorityState: () => this.#authority,
        prepareX509Authority: () => {
          this.#rotations += 1
          const prepared = {
            authorityId: `a${this.#rotations}`,
            expiresAt: 2_000_000_000n,
            upstreamAuthoritySubjectKeyId: '',
          }
          this.#authority = { ...this.#authority, prepared }
          return { preparedAuthority: prepared }
        },
        activateX509Authority: ({ authorityId }: { authorityId: string }) => {
          const active = named(authorityId, this.#authority.prepared)
          this.#authority = { active, ...(this.#authority.active && { old: this.#authority.active }) }
          return { activatedAuthority: active }
        },
        taintX509Authority: ({ authorityId }: { authorityId: string }) => ({
          taintedAuthority: named(authorityId, this.#authority.old),
        }),
        revokeX509Authority: ({ authorityId }: { authorityId: string }) => {
          const revokedAuthority = named(authorityId, this.#authority.old)
          const { old: _, ...rest } = this.#authority
          this.#authority = rest
          return { revokedAuthority }
        },
      }),
    )
  }

  /** Makes handlers of answers: each call is noted, and faults come first. */
  #handlers(answers: Readonly<Record<string, Answer<never, object>>>): UntypedServiceImplementation {
    const made: Record<string, UntypedHandleCall> = {}
    for (const [name, answer] of Object.entries(answers)) {
      const method = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`
      const handle: handleUnaryCall<unknown, unknown> = (call, reply) =>
        this.#answer(method, call.request as { id?: SPIFFEID | string }, reply, answer as Answer<unknown, object>)
      made[name] = handle as UntypedHandleCall
    }
    return made
  }

  #answer(
    method: string,
    request: { id?: SPIFFEID | string },
    reply: sendUnaryData<unknown>,
    answer: Answer<unknown, object>,
  ): void {
    const id = typeof request.id === 'string' ? request.id : textOf(request.id)
    this.calls.push({ method, id, at: performance.now() })
    if (this.hanging.has(method)) return
    const failure = this.failures.get(method)
    if (failure !== undefined) return reply(failWith(...failure))
    try {
      reply(null, answer(request))
    } catch (error) {
      reply(error as ServiceError)
    }
  }
}

function failWith(code: status, details: string): ServiceError {
  return Object.assign(new Error(details), { code, details }) as ServiceError
}

function textOf(id: SPIFFEID | undefined): string {
  return id === undefined ? '' : `spiffe://${id.trustDomain}${id.path}`
}

function pageOf<T>(all: readonly T[], size: number, token: string): { items: readonly T[]; nextPageToken: string } {
  const from = token === '' ? 0 : Number(token)
  const end = size > 0 ? from + size : all.length
  return { items: all.slice(from, end), nextPageToken: end < all.length ? String(end) : '' }
}

/**
 * Makes an entry for {@link FakeSpireServer.entries}.
 *
 * @param selectors `type:value` texts.
 */
export function fakeEntry(id: string, spiffeId: string, parentId: string, selectors: readonly string[]): Entry {
  return Entry.fromPartial({
    id,
    spiffeId: parts(spiffeId),
    parentId: parts(parentId),
    selectors: selectors.map((text) => {
      const at = text.indexOf(':')
      return { type: text.slice(0, at), value: text.slice(at + 1) }
    }),
  })
}

function parts(text: string): SPIFFEID {
  const [, , trustDomain = '', ...path] = text.split('/')
  return { trustDomain, path: path.length === 0 ? '' : `/${path.join('/')}` }
}

function named(authorityId: string, state: AuthorityState | undefined): AuthorityState {
  if (state?.authorityId === authorityId) return state
  throw failWith(status.INVALID_ARGUMENT, 'unexpected authority ID')
}
