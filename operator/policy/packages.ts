/**
 * Packages of this machine, from the database of dpkg as a file.
 *
 * @module
 */
import { join } from 'node:path'
import { readIfThere } from '../site/files.ts'

/** What measures the boot, and what is therefore worth naming. */
const OF_BOOT =
  /^(linux-image|linux-base|grub|shim|systemd-boot|initramfs|dracut|fwupd|intel-microcode|amd64-microcode|efibootmgr)/

/**
 * Reads the packages that have to do with the boot.
 *
 * @param root Prefix of every usual path.
 * @returns Package to version; empty where there is no dpkg.
 */
export function bootPackages(root: string): Readonly<Record<string, string>> {
  const read = readIfThere(join(root, '/var/lib/dpkg/status'))
  if (read === undefined || 'problem' in read) return {}
  const found = read.text.split('\n\n').flatMap((block) => {
    const name = /^Package: (\S+)/m.exec(block)?.[1]
    const version = /^Version: (\S+)/m.exec(block)?.[1]
    const isInstalled = /^Status: .* installed$/m.test(block)
    return name !== undefined && version !== undefined && isInstalled && OF_BOOT.test(name)
      ? [[name, version] as const]
      : []
  })
  return Object.fromEntries(found)
}

/**
 * Compares two sets of packages.
 *
 * @param before Package to version.
 * @param now Package to version.
 * @returns Lines such as `linux-image-amd64 6.12.1 -> 6.12.2`.
 */
export function packageChanges(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): readonly string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].toSorted()
  return names
    .filter((name) => before[name] !== now[name])
    .map((name) => `${name} ${before[name] ?? 'absent'} -> ${now[name] ?? 'absent'}`)
}
