import { existsSync, readdirSync } from 'node:fs'
import { ChannelCredentials } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { GRPCControllerClient } from '../../../../plugins/go-plugin/gen/goplugin/controller.ts'
import { HealthClient } from '../../../../plugins/go-plugin/gen/grpc/health/v1/health.ts'
import { serveReattachable } from '../../../../plugins/go-plugin/serve/reattach.ts'
import { unary } from '../../../../plugins/spire-sdk/testing/index.ts'
import { newPlace } from '../in-process.ts'

describe('serveReattachable', () => {
  it('serves inside this process, tells where, and ends without ending the process [C36]', async () => {
    const signals = process.listenerCount('SIGINT')
    const server = await serveReattachable({
      name: 'test',
      cookie: { key: 'K', value: 'V' },
      protocolVersions: [3],
      services: () => [],
    })
    const { reattach } = server
    expect(reattach).toMatchObject({
      protocol: 'grpc',
      protocolVersion: 3,
      network: 'unix',
      pid: process.pid,
      test: true,
    })
    expect(process.listenerCount('SIGINT')).toBe(signals)
    const target = `unix:${reattach.address}`
    const health = new HealthClient(target, ChannelCredentials.createInsecure())
    expect(await unary((done) => health.check({ service: 'plugin' }, done))).toEqual({ status: 1 })
    const controller = new GRPCControllerClient(target, ChannelCredentials.createInsecure())
    await unary((done) => controller.shutdown({}, done))
    await server.closed
    expect(existsSync(reattach.address)).toBe(false)
    health.close()
    controller.close()
  })

  it('fails, and keeps no socket, when the services cannot be made', async () => {
    const { folder } = newPlace()
    const options = { name: 'test', cookie: { key: 'K', value: 'V' }, env: { TMPDIR: folder } }
    await expect(
      serveReattachable({ ...options, services: () => Promise.reject(new Error('no services')) }),
    ).rejects.toThrow('no services')
    expect(readdirSync(folder)).toEqual([])
  })
})
