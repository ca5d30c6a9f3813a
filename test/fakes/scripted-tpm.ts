// A TPM behind a UNIX socket that answers as a script says: for what a real one does once a year.
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One answer: bytes as they are, `drop` the connection, `silence`, or `pass` to the TPM behind. */
export type Scripted = Buffer | 'drop' | 'silence' | 'pass'

/** A listening TPM; `commands` are the TPM_CC it got. */
export interface ScriptedTpm {
  readonly path: string
  readonly commands: number[]
  /** Sends bytes nobody asked for. */
  send(bytes: Buffer): void
  close(): Promise<void>
}

/**
 * Starts a TPM.
 * @param answers Gives the answer to the n-th command, from 0, with its TPM_CC and bytes.
 * @param behind UNIX socket of the TPM that commands are passed to.
 */
export async function startScriptedTpm(
  answers: (index: number, code: number, command: Buffer) => Scripted,
  behind?: string,
): Promise<ScriptedTpm> {
  const dir = mkdtempSync(join(tmpdir(), 'tower-scripted-tpm-'))
  const path = join(dir, 'tpm.sock')
  const commands: number[] = []
  const clients = new Set<Socket>()
  const server: Server = createServer((client) => {
    clients.add(client)
    client.on('close', () => clients.delete(client))
    client.on('error', () => undefined)
    const upstream = behind === undefined ? undefined : connect(behind)
    upstream?.on('error', () => client.destroy()).on('data', (response: Buffer) => client.write(response))
    client.on('close', () => upstream?.destroy())
    client.on('data', (command: Buffer) => {
      const code = command.readUInt32BE(6)
      const answer = answers(commands.push(code) - 1, code, command)
      if (answer === 'drop') client.destroy()
      else if (answer === 'pass') upstream?.write(command)
      else if (answer !== 'silence') client.write(answer)
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    path,
    commands,
    send: (bytes) => {
      for (const client of clients) client.write(bytes)
    },
    close: async () => {
      for (const client of clients) client.destroy()
      await new Promise((resolve) => server.close(resolve))
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Frames a response without sessions. */
export function framed(code: number, rest: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(10)
  head.writeUInt16BE(0x8001)
  head.writeUInt32BE(10 + rest.length, 2)
  head.writeUInt32BE(code, 6)
  return Buffer.concat([head, rest])
}
