/**
 * `towerkeep watch`.
 *
 * @module
 */
import type { AgentId } from '@tower-of-omens/keylime'
import type { VerbContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import type { WATCH } from '../flags/tooling.ts'
import { OperatorError } from '../operator-error.ts'
import { servicesOf } from '../site/services.ts'
import { discoverSite } from '../site/site.ts'
import { type OpenSources, openSources } from '../sources/open.ts'
import type { Reactivator } from '../sources/reactivator.ts'
import type { WatchSources } from '../watch/asking.ts'
import { type Bell, hangBell } from '../watch/bell.ts'
import { Daemon } from '../watch/daemon.ts'
import { FleetLooks } from '../watch/fleet-looks.ts'
import { newLog } from '../watch/log.ts'
import { notifySystemd, watchdogMs } from '../watch/notify.ts'
import { adminRoutes, httpRoutes, readRoutes } from '../watch/routes.ts'
import { requireRules } from '../watch/rules.ts'
import { Listeners, type Serving, serveHttp, serveSocket } from '../watch/serve.ts'
import { type WatchSettings, watchSettings } from '../watch/settings.ts'

type Context = VerbContext<typeof WATCH>

/**
 * Watches until SIGTERM.
 *
 * @param context Flags.
 * @returns The exit code.
 * @throws {OperatorError} A configuration is wrong, or Keylime cannot be asked for lack of a certificate.
 */
export async function run(context: Context): Promise<number> {
  const { flags, progress } = context
  await using sources = await openSources({ configFile: flags.config }, flags.timeout)
  const settings = watchSettings(sources.site.towerkeep, flags.mode)
  const { keylime, keylimeFailed } = sources
  if (keylime === undefined) {
    throw new OperatorError('TK-CONF-ABSENT', keylimeFailed ?? 'keylime is not configured')
  }
  if (flags.check) {
    for (const warning of sources.site.towerkeep.warnings) progress(warning)
    progress(
      `mode ${settings.mode}; bell ${settings.bell === undefined ? 'none: polling alone' : settings.values.bell_address}`,
    )
    return EXIT.ok
  }
  return await watch(context, { ...sources, keylime }, settings)
}

async function watch(context: Context, sources: WatchSources, settings: WatchSettings): Promise<number> {
  const { flags, build, signal } = context
  const log = newLog((line) => process.stderr.write(line), flags.verbose)
  for (const { file, message } of sources.site.problems)
    log.warn('a file of the site cannot be used; what it says is not known', { file, error: message })
  const listeners = new Listeners()
  await using reactivator = await openRecovery(sources, settings, flags.timeout)
  const daemon = new Daemon({
    settings,
    sources,
    build,
    log,
    signal,
    changed: () => listeners.changed(),
    ...(reactivator !== undefined && { reactivate: (agentId: AgentId) => reactivator.reactivate(agentId) }),
  })
  const open: Serving[] = []
  try {
    const bell = await openBell(daemon, settings, log)
    if (bell !== undefined) open.push(bell)
    await openServers(context, daemon, sources, settings, listeners, open)
    const reload = (): void => reloadAll(context, daemon, sources, open, log)
    process.on('SIGHUP', reload)
    const beat = heartbeat(daemon)
    log.info('watching', { mode: settings.mode, version: build.version, bell: bell?.port ?? 'none' })
    await daemon.run()
    process.off('SIGHUP', reload)
    clearInterval(beat)
  } finally {
    notifySystemd('STOPPING=1')
    listeners.close()
    await Promise.all(open.map((one) => one.close()))
  }
  log.info('ended')
  return EXIT.ok
}

// Without the key nothing is loaded that could change anything at Keylime.
async function openRecovery(
  { services }: WatchSources,
  { values }: WatchSettings,
  timeoutMs: number,
): Promise<Reactivator | undefined> {
  if (values.recover === 'off') return undefined
  const { openReactivator } = await import('../sources/reactivator.ts')
  return openReactivator(services, timeoutMs)
}

async function openBell(
  daemon: Daemon,
  { bell }: WatchSettings,
  log: ReturnType<typeof newLog>,
): Promise<Bell | undefined> {
  if (bell === undefined) {
    log.warn('there is no bell: failures are found by polling alone', { next: 'set bell_cert_file and bell_key_file' })
    return undefined
  }
  const ears = {
    isWatched: (agentId: AgentId) => daemon.isWatched(agentId),
    isLookedAt: (agentId: AgentId) => daemon.looks.has(agentId),
    rung: (agentId: AgentId) => void daemon.looks.begin(agentId),
    seen: (result: Parameters<Daemon['metrics']['bell']>[0]) => daemon.metrics.bell(result),
  }
  return hangBell(bell, ears, log)
}

async function openServers(
  { build, signal }: Context,
  daemon: Daemon,
  sources: OpenSources,
  settings: WatchSettings,
  listeners: Listeners,
  open: Serving[],
): Promise<void> {
  const looks = new FleetLooks(() => daemon.lookAtAll())
  const keyFile = sources.services.keylimeTls?.value.keyFile
  const parts = { daemon, looks, build, sources, signal, keyFile }
  const { read_socket: read, admin_socket: admin } = settings.values
  // One by one, so that each is closed when a later one cannot be opened.
  open.push(await serveHttp(settings.http, httpRoutes(parts), listeners))
  open.push(await serveSocket(read, { mode: 0o660 }, readRoutes(parts)))
  open.push(await serveSocket(admin, { mode: 0o600 }, adminRoutes(parts)))
}

// The last good configuration stays in force when the new one is wrong.
function reloadAll(
  { flags }: Context,
  daemon: Daemon,
  before: WatchSources,
  open: readonly Serving[],
  log: ReturnType<typeof newLog>,
): void {
  const attempt = (what: string, work: () => void): boolean => {
    try {
      work()
      return true
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      log.error(`${what} not taken; the old one stays in force`, { error: why })
      return false
    }
  }
  const isRead = attempt('the configuration was', () => {
    const site = discoverSite({ configFile: flags.config, environment: process.env })
    const services = servicesOf(site)
    requireRules({ site, services }, before.services)
    daemon.reload(watchSettings(site.towerkeep, flags.mode), { services })
  })
  const certificates = open.map((one) => attempt('a certificate was', () => one.reload()))
  if (isRead && certificates.every(Boolean))
    log.info('configuration and certificates were read again', { mode: daemon.watcher.mode })
}

/** Says to systemd when all is watched, and that the loop still turns. */
function heartbeat(daemon: Daemon): NodeJS.Timeout {
  let isSaid = false
  const period = watchdogMs()
  let beaten = performance.now()
  const timer = setInterval(() => {
    if (!isSaid && daemon.isReady) {
      isSaid = true
      notifySystemd('READY=1')
    }
    if (period === undefined || performance.now() - beaten < period) return
    beaten = performance.now()
    notifySystemd('WATCHDOG=1')
  }, 250)
  return timer.unref()
}
