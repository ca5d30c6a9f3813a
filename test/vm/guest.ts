/**
 * What runs in the guest: the TPM room against the kernel's own device, one line of JSON for each finding.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import {
  makeCredential,
  nameOf,
  parseAttest,
  parseSignature,
  parseTpm2bPublic,
  verifySignature,
} from '@tower-of-omens/tpm'
import {
  activateCredential,
  akTemplate,
  create,
  FIRST_HANDLE,
  getHandles,
  load,
  quote,
  type WrappedKey,
} from '@tower-of-omens/tpm/commands'
import {
  type EndorsementKey,
  findEndorsementKey,
  Kept,
  openTpm,
  quotePcrs,
  Tpm,
  TpmDeviceError,
  withEndorsementKey,
} from '@tower-of-omens/tpm-device'

const DEVICE = '/dev/tpmrm0'
const PCRS = { hashAlg: 'sha256', pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15] } as const
const CLIENTS = 6
const QUOTES = 20

function tell(finding: string, value: unknown): void {
  process.stdout.write(`VM ${JSON.stringify({ finding, value })}\n`)
}

async function connect(): Promise<{ readonly tpm: Tpm; readonly ek: EndorsementKey }> {
  const tpm = await Tpm.open({ path: DEVICE, timeoutMs: 30_000 })
  const ek = await findEndorsementKey(tpm, ({ type }) => type === 'rsa')
  if (ek === undefined) throw new Error('no RSA endorsement key')
  return { tpm, ek }
}

async function loaded(tpm: Tpm, ek: EndorsementKey, key: WrappedKey): Promise<number> {
  return (await withEndorsementKey(tpm, ek, (by) => tpm.run(load(ek.handle, key, by)))).handle
}

async function outcome(run: Promise<unknown>): Promise<string> {
  try {
    await run
    return 'done'
  } catch (error) {
    return error instanceof TpmDeviceError ? error.code : String(error)
  }
}

/** The event loop must go on while the TPM works. */
function watchLoop(): () => number {
  let worst = 0
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    worst = Math.max(worst, now - last - 5)
    last = now
  }, 5)
  return () => {
    clearInterval(timer)
    return Math.round(worst)
  }
}

async function main(): Promise<void> {
  const stop = watchLoop()
  const agent = await connect()
  const key = await withEndorsementKey(agent.tpm, agent.ek, (by) =>
    agent.tpm.run(create(agent.ek.handle, akTemplate(), by)),
  )
  const agentKey = await loaded(agent.tpm, agent.ek, key)
  const began = performance.now()
  const plugin = await connect()
  const pluginKey = await loaded(plugin.tpm, plugin.ek, key)
  tell('cold start ms', Math.round(performance.now() - began))

  const secret = randomBytes(32)
  const sealed = makeCredential(plugin.ek.key, nameOf(parseTpm2bPublic(key.publicArea)), secret)
  const activated = await withEndorsementKey(plugin.tpm, plugin.ek, (by) =>
    plugin.tpm.run(activateCredential(pluginKey, plugin.ek.handle, sealed, by)),
  )
  tell('activates', activated.equals(secret))

  const extraData = randomBytes(33)
  const made = await quotePcrs(plugin.tpm, pluginKey, extraData, PCRS)
  tell('quote verifies', verifySignature(parseTpm2bPublic(key.publicArea), parseSignature(made.signature), made.attest))
  tell('quote is bound', parseAttest(made.attest).extraData.equals(extraData))
  tell('firmware measured PCR 0', made.values.get(0)?.some((byte) => byte !== 0) === true)

  await manyAtOnce(key)
  const both = await Promise.all([
    agent.tpm.run(quote(agentKey, extraData, PCRS)),
    plugin.tpm.run(quote(pluginKey, extraData, PCRS)),
  ])
  tell('two users quote at once', both.length)
  tell('sees its own objects alone', (await plugin.tpm.run(getHandles(FIRST_HANDLE.transient))).length)
  tell('no session is left', (await plugin.tpm.run(getHandles(FIRST_HANDLE.loadedSession))).length)
  tell('event loop worst delay ms', stop())

  await warmQuotes(plugin.tpm, pluginKey)
  await lostHandle(plugin, pluginKey, key)
  await exclusiveDevice(agent.tpm, agentKey)
  tell('second command before the response is read', secondCommand())
  tell('done', true)
}

/** More objects than the TPM has places, from more users than it could hold: the kernel swaps them. */
async function manyAtOnce(key: WrappedKey): Promise<void> {
  const verified = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const { tpm, ek } = await connect()
      const handle = await loaded(tpm, ek, key)
      let good = 0
      for (let round = 0; round < QUOTES; round++) {
        const { attest, signature } = await tpm.run(quote(handle, randomBytes(33), PCRS))
        if (verifySignature(parseTpm2bPublic(key.publicArea), parseSignature(signature), attest)) good += 1
      }
      await tpm.close()
      return good
    }),
  )
  tell(
    'quotes of six users at once',
    verified.reduce((sum, good) => sum + good, 0),
  )
}

async function warmQuotes(tpm: Tpm, key: number): Promise<void> {
  const took: number[] = []
  for (let round = 0; round < 30; round++) {
    const began = performance.now()
    await quotePcrs(tpm, key, randomBytes(33), PCRS)
    took.push(performance.now() - began)
  }
  tell('warm quote and PCR values, median ms', Math.round(took.toSorted((a, b) => a - b)[15] ?? 0))
}

/** A handle that is not this file's is refused on the write, as after a suspend: then all is loaded anew, once. */
async function lostHandle(
  plugin: { readonly tpm: Tpm; readonly ek: EndorsementKey },
  handle: number,
  key: WrappedKey,
): Promise<void> {
  const stranger = await Tpm.open({ path: DEVICE, timeoutMs: 30_000 })
  tell('a handle of another file', await outcome(stranger.run(quote(handle, randomBytes(33), PCRS))))
  await stranger.close()
  let opened = 0
  const kept = new Kept(async () => {
    const { tpm, ek } = await connect()
    const own = await loaded(tpm, ek, key)
    opened += 1
    return { tpm, handle: opened === 1 ? own + 0x100 : own, close: () => tpm.close() }
  })
  tell('lost and loaded anew', await outcome(kept.use((one) => one.tpm.run(quote(one.handle, randomBytes(33), PCRS)))))
  tell('times opened', opened)
  await kept.close()
  await plugin.tpm.close()
}

async function exclusiveDevice(tpm: Tpm, key: number): Promise<void> {
  const first = await openTpm({ path: '/dev/tpm0' })
  tell('/dev/tpm0 opened twice', await outcome(openTpm({ path: '/dev/tpm0' })))
  tell('/dev/tpmrm0 beside it', await outcome(tpm.run(quote(key, randomBytes(33), PCRS))))
  await first.close()
}

function secondCommand(): string {
  const file = openSync(DEVICE, 'r+')
  const getRandom = Buffer.from('80010000000c0000017b0008', 'hex')
  try {
    writeSync(file, getRandom)
    writeSync(file, getRandom)
    return 'accepted'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  } finally {
    closeSync(file)
  }
}

await main().catch((error: unknown) => tell('failed', String(error instanceof Error ? error.stack : error)))
process.exit(0)
