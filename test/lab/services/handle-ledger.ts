/**
 * Who loaded which object or session into a TPM, read from the commands and responses that pass: pure book-keeping.
 *
 * @see TCG TPM 2.0 Library, part 2 (TPM_CC, TPM_HT), part 3 (the commands)
 * @module
 */

/** A handle that a command put into the TPM, or took out of it. */
export interface HandleChange {
  readonly loaded?: number
  readonly gone?: number
}

const RC_SUCCESS = 0
const HANDLE_AT = 10

const FLUSH_CONTEXT = 0x165
const CONTEXT_SAVE = 0x162
const SEQUENCE_COMPLETE = 0x13e
const EVENT_SEQUENCE_COMPLETE = 0x185

/** Commands whose response begins with the handle of what they loaded. */
const LOADING: ReadonlySet<number> = new Set([
  0x131, // CreatePrimary
  0x157, // Load
  0x15b, // HMAC_Start
  0x161, // ContextLoad
  0x167, // LoadExternal
  0x176, // StartAuthSession
  0x186, // HashSequenceStart
  0x191, // CreateLoaded
])

const TAG_NO_SESSIONS = 0x8001

/** First byte of the handles of sessions: HMAC, policy. */
const SESSIONS: ReadonlySet<number> = new Set([0x02, 0x03])

/**
 * Reads what a command changed.
 *
 * @returns The handle loaded or gone; `undefined`: neither, or the command failed.
 */
export function changeOf(command: Buffer, response: Buffer): HandleChange | undefined {
  if (command.length < HANDLE_AT || response.length < HANDLE_AT) return undefined
  if (response.readUInt32BE(6) !== RC_SUCCESS) return undefined
  const code = command.readUInt32BE(6)
  if (LOADING.has(code))
    return response.length < HANDLE_AT + 4 ? undefined : { loaded: response.readUInt32BE(HANDLE_AT) }
  const gone = goneBy(code, command)
  return gone === undefined ? undefined : { gone }
}

/** Tells whether a command may load something, before it is run. */
export function mayLoad(command: Buffer): boolean {
  return command.length >= HANDLE_AT && LOADING.has(command.readUInt32BE(6))
}

function goneBy(code: number, command: Buffer): number | undefined {
  const handle = (at: number): number | undefined => (command.length < at + 4 ? undefined : command.readUInt32BE(at))
  if (code === FLUSH_CONTEXT || code === SEQUENCE_COMPLETE) return handle(HANDLE_AT)
  // Its first handle is a PCR.
  if (code === EVENT_SEQUENCE_COMPLETE) return handle(HANDLE_AT + 4)
  if (code !== CONTEXT_SAVE) return undefined
  // A session that was saved waits for whoever loads it next; an object stays loaded beside its saved copy.
  const saved = handle(HANDLE_AT)
  return saved !== undefined && SESSIONS.has(saved >>> 24) ? saved : undefined
}

/** Which client loaded which handle. A handle that is given out again belongs to whoever got it last. */
export class HandleLedger<Client> {
  readonly #owners = new Map<number, Client>()

  /** Every client that owns something. */
  clients(): ReadonlySet<Client> {
    return new Set(this.#owners.values())
  }

  /**
   * Enters a handle.
   *
   * @param client Who did; `undefined` when nobody knows: it is then left alone.
   */
  enter(handle: number, client: Client | undefined): void {
    if (client === undefined) this.#owners.delete(handle)
    else this.#owners.set(handle, client)
  }

  /** Strikes out a handle that its client has flushed itself, or saved for somebody else. */
  forget(handle: number): void {
    this.#owners.delete(handle)
  }

  /**
   * Strikes out everything of one client.
   *
   * @returns Its handles, sessions last: an object's authorisation may need them.
   */
  strike(client: Client): readonly number[] {
    const handles = [...this.#owners].filter(([, owner]) => owner === client).map(([handle]) => handle)
    for (const handle of handles) this.#owners.delete(handle)
    return handles.toSorted((one, other) => Number(isSession(one)) - Number(isSession(other)))
  }
}

function isSession(handle: number): boolean {
  return SESSIONS.has(handle >>> 24)
}

/** Words the command that takes a handle out of the TPM. */
export function flushCommand(handle: number): Buffer {
  const command = Buffer.alloc(14)
  command.writeUInt16BE(TAG_NO_SESSIONS, 0)
  command.writeUInt32BE(command.length, 2)
  command.writeUInt32BE(FLUSH_CONTEXT, 6)
  command.writeUInt32BE(handle, HANDLE_AT)
  return command
}
