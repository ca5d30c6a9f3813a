// A root of this machine's files that is thrown away: what is installed there is never seen outside.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// The layer above is memory of a mount namespace of its own, and goes with it.
const ENTER = `set -e
mount --make-rprivate /
mount -t tmpfs none "$1/upper"
mkdir "$1/upper/files" "$1/upper/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper/files,workdir=$1/upper/work" "$1/root"
mount --bind /dev "$1/root/dev"
mount -t proc proc "$1/root/proc"
mount -t tmpfs none "$1/root/run"
mkdir "$1/root/run/given"
mount --bind "$2" "$1/root/run/given"
exec chroot "$1/root" /bin/sh -c "$3"`

/**
 * Runs lines of shell as root of a throw-away copy of this machine.
 *
 * @param script The lines; the first that fails does not end them.
 * @param given Folder that is seen as `/run/given`.
 */
export function inThrowAwayRoot(script: string, given: string): SpawnSyncReturns<string> {
  const place = mkdtempSync(join(tmpdir(), 'tower-root-'))
  for (const name of ['upper', 'root']) mkdirSync(join(place, name))
  try {
    return spawnSync('unshare', ['--mount', 'sh', '-c', ENTER, 'enter', place, given, script], { encoding: 'utf8' })
  } finally {
    rmSync(place, { recursive: true })
  }
}

/** Says why there can be none here; undefined where there can. */
export function whyNoThrowAwayRoot(): string | undefined {
  if (process.getuid?.() !== 0) return 'a throw-away root needs root'
  const { status, stderr, error } = inThrowAwayRoot('exec dpkg --version > /dev/null', tmpdir())
  return status === 0 ? undefined : `no throw-away root here: ${error?.message ?? stderr.trim()}`
}
