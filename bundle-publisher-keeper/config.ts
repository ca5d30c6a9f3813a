/**
 * From `plugin_data` to a keeper, or everything that is wrong with it.
 *
 * @module
 */
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import type { ConfigOutcome, ConfigRequest } from '@tower-of-omens/spire-sdk'
import { type Decoded, decodeConfig } from '@tower-of-omens/spire-sdk/hcl'
import { Keeper } from './keeper.ts'
import { KEEPER_SCHEMA } from './schema.ts'

type Values = Decoded<(typeof KEEPER_SCHEMA)['fields']>

/**
 * Builds a keeper. It looks at files and folders, and changes none.
 *
 * @param request Text of `plugin_data`.
 * @returns Every problem at once; without one, the keeper.
 */
export function buildKeeper(request: ConfigRequest): ConfigOutcome<Keeper> {
  const { values, problems, warnings } = decodeConfig(request.hcl, KEEPER_SCHEMA)
  const found = [
    ...purposeProblems(values),
    ...folderProblems(values.folder),
    ...commandProblems(values),
    ...openBaoProblems(values),
  ]
  const told = { problems: [...problems.map(String), ...found], warnings: warnings.map(String) }
  return told.problems.length > 0 ? told : { ...told, config: new Keeper(settingsOf(values)) }
}

function settingsOf(values: Values): ConstructorParameters<typeof Keeper>[0] {
  const { openbao_address: address, openbao_token_file: tokenFile = '', openbao_ca_file: caFile, timeout } = values
  return {
    folder: values.folder,
    formats: values.formats,
    reload: values.reload_command,
    timeoutMs: timeout,
    openBao:
      address === undefined
        ? undefined
        : { address, authPath: values.openbao_auth_path, tokenFile, caFile, timeoutMs: timeout },
  }
}

function purposeProblems({ folder, openbao_address: address }: Values): string[] {
  return folder === undefined && address === undefined ? ['nothing to do: set folder, openbao_address, or both'] : []
}

function folderProblems(folder: string | undefined): string[] {
  if (folder === undefined) return []
  if (!isAbsolute(folder)) return [`folder: ${folder} is relative, expected an absolute path`]
  try {
    if (!statSync(folder).isDirectory()) return [`folder: ${folder} is no folder`]
    accessSync(folder, constants.W_OK)
    return []
  } catch (error) {
    return [`folder: ${reasonOf(error)}; make it, and let the user of spire-server write to it`]
  }
}

function commandProblems({ reload_command: [program], folder }: Values): string[] {
  if (program === undefined) return []
  const unused = folder === undefined ? ['reload_command: there are no files to reload, set folder'] : []
  if (!isAbsolute(program)) return [...unused, `reload_command: ${program} is relative, expected an absolute path`]
  try {
    accessSync(program, constants.X_OK)
    return unused
  } catch (error) {
    return [...unused, `reload_command: ${reasonOf(error)}`]
  }
}

function openBaoProblems(values: Values): string[] {
  const { openbao_address: address, openbao_token_file: tokenFile, openbao_ca_file: caFile } = values
  if (address === undefined) {
    return tokenFile === undefined && caFile === undefined
      ? []
      : ['openbao_address is missing beside the other openbao_ keys']
  }
  const token =
    tokenFile === undefined
      ? ['openbao_token_file is required beside openbao_address']
      : readable('openbao_token_file', tokenFile)
  return [...token, ...(caFile === undefined ? [] : readable('openbao_ca_file', caFile))]
}

function readable(key: string, file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trim() === '' ? [`${key}: ${file} is empty`] : []
  } catch (error) {
    return [`${key}: ${reasonOf(error)}`]
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
