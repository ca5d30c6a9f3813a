/**
 * Why a Unix socket cannot be reached, in the words of an operator.
 *
 * grpc-js reports every failed connection alike, so the socket is tried once more by itself for its errno.
 *
 * @module
 */
import { type Stats, statSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import { groupName, userName } from './account-names.ts'
import { SpireApiError } from './errors.ts'

/** Longest wait for the one more try. */
const TRY_MS = 1_000

/**
 * Explains why a server's socket cannot be reached.
 *
 * @param socketPath Path of the socket.
 * @param cause The error that was met.
 * @returns `SPIRE_SOCKET_MISSING`, `SPIRE_SOCKET_FORBIDDEN` or `SPIRE_UNREACHABLE`, never thrown.
 */
export async function socketFailure(socketPath: string, cause: Error): Promise<SpireApiError> {
  const errno = await connectErrno(socketPath)
  const who = `spire server ${socketPath}`
  if (errno === 'ENOENT' || errno === 'ENOTDIR') {
    return new SpireApiError(
      'SPIRE_SOCKET_MISSING',
      `${who}: ${missing(socketPath)}; is spire-server running, and is this the socket_path of its configuration?`,
      { cause },
    )
  }
  if (errno === 'EACCES' || errno === 'EPERM') {
    return new SpireApiError('SPIRE_SOCKET_FORBIDDEN', `${who}: ${forbidden(socketPath)}`, { cause })
  }
  const words =
    errno === 'ECONNREFUSED'
      ? 'the socket is there but nobody listens; spire-server has ended: start it'
      : `the connection broke: ${wordsOf(cause)}`
  return new SpireApiError('SPIRE_UNREACHABLE', `${who}: ${words}`, { cause })
}

// The words grpc-js adds in front say nothing to an operator.
function wordsOf(cause: Error): string {
  return cause.message.replace(/^\d+ [A-Z_]+: /, '')
}

function connectErrno(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    const end = (code: string | undefined): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(code)
    }
    const timer = setTimeout(() => end(undefined), TRY_MS)
    socket.once('connect', () => end(undefined))
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code))
  })
}

function missing(socketPath: string): string {
  const folder = dirname(socketPath)
  return statOf(folder) === 'ENOENT' ? `there is no folder ${folder}` : 'there is no such socket'
}

/** Names the first part of the path that shuts us out: its owner, group and mode against our own user. */
function forbidden(socketPath: string): string {
  const { username, uid } = userInfo()
  const shut = firstForbidden(socketPath)
  const us = `user ${username} (${uid})`
  if (shut === undefined) return `${us} is not permitted to connect`
  const { path, stats } = shut
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0')
  const owner = userName(stats.uid)
  const group = groupName(stats.gid)
  const next = `run as ${owner} or a member of group ${group}: whoever may open it can mint any identity`
  return `${us} is not permitted: ${path} belongs to ${owner}:${group} with mode ${mode}; ${next}`
}

function firstForbidden(socketPath: string): { readonly path: string; readonly stats: Stats } | undefined {
  // A folder that can be looked at but whose inside cannot is what shuts us out; else it is the socket itself.
  const own = statOf(socketPath)
  if (typeof own !== 'string') return { path: socketPath, stats: own }
  for (let path = dirname(socketPath); ; path = dirname(path)) {
    const stats = statOf(path)
    if (typeof stats !== 'string') return { path, stats }
    if (path === dirname(path)) return undefined
  }
}

function statOf(path: string): Stats | string {
  try {
    return statSync(path)
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  }
}
