/**
 * The services of the database plugin.
 *
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Metadata } from '@grpc/grpc-js'
import type { GoPluginContext, GoPluginService } from '../../../plugins/go-plugin/index.ts'
import {
  DatabaseService,
  type DeleteUserRequest,
  type InitializeRequest,
  type NewUserRequest,
  type UpdateUserRequest,
} from '../gen/openbao-database/database.ts'
import { answeringWith, commonServices, mountOf } from './plugin-services.ts'

/** One connection's file: names and passwords. */
class Users {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  change(edit: (users: Record<string, string>) => void): void {
    const users = existsSync(this.#file) ? (JSON.parse(readFileSync(this.#file, 'utf8')) as Record<string, string>) : {}
    edit(users)
    writeFileSync(this.#file, JSON.stringify(users))
  }
}

/** Makes the services of the plugin. */
export function databaseServices({ log, protocolVersion }: GoPluginContext): GoPluginService[] {
  const connections = new Map<string, Users>()
  const answering = answeringWith(log)
  const usersOf = (metadata: Metadata): Users => {
    const users = connections.get(mountOf(metadata))
    if (users === undefined) throw new Error('no database instance found')
    return users
  }
  const implementation = {
    initialize: answering(({ configData }: InitializeRequest, { metadata }) => {
      const file: unknown = configData?.['users_file']
      if (typeof file !== 'string') throw new Error('users_file is required')
      log.info('Connected', { protocol_version: protocolVersion })
      connections.set(mountOf(metadata), new Users(file))
      return { configData }
    }),
    newUser: answering(({ usernameConfig, password }: NewUserRequest, { metadata }) => {
      const username = `v-${usernameConfig?.roleName}-${Date.now()}-${Math.random().toString(36).slice(2)}`
      usersOf(metadata).change((users) => {
        users[username] = password
      })
      return { username }
    }),
    updateUser: answering(({ username, password }: UpdateUserRequest, { metadata }) => {
      usersOf(metadata).change((users) => {
        users[username] = password?.newPassword ?? ''
      })
      return {}
    }),
    deleteUser: answering(({ username }: DeleteUserRequest, { metadata }) => {
      usersOf(metadata).change((users) => {
        delete users[username]
      })
      return {}
    }),
    type: answering(() => ({ Type: 'omens' })),
    close: answering((_request: object, { metadata }) => {
      connections.delete(mountOf(metadata))
      return {}
    }),
  }
  return [{ definition: DatabaseService, implementation }, ...commonServices('v0.2.0', answering)]
}
