import { EventEmitter, getEventListeners, once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { OutputCapture } from '../../../../plugins/go-plugin/serve/output-capture.ts'
import { stdioService } from '../../../../plugins/go-plugin/serve/standard-services.ts'

/** A host that takes one chunk at a time, and says so. */
class SlowHost extends EventEmitter {
  readonly taken: unknown[] = []
  write(chunk: unknown): boolean {
    this.taken.push(chunk)
    this.emit('taken')
    return false
  }
}

/** Keeps the signal with which the stream waits for output. */
class WatchedCapture extends OutputCapture {
  signal: AbortSignal | undefined
  asked = 0
  override next(signal: AbortSignal): ReturnType<OutputCapture['next']> {
    this.signal = signal
    this.asked += 1
    return super.next(signal)
  }
}

function stream(capture: OutputCapture, host: SlowHost): void {
  const streamStdio = stdioService(capture).implementation['streamStdio'] as (call: unknown) => void
  streamStdio(host)
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('stdioService', () => {
  it('leaves no listener behind at a host that is slow for hours', async () => {
    const [capture, host] = [new WatchedCapture(), new SlowHost()]
    stream(capture, host)
    for (let round = 0; round < 30; round += 1) {
      const taken = once(host, 'taken')
      capture.push(1, Buffer.from(`line ${round}\n`))
      await taken
      await settle()
      expect(host.listenerCount('drain')).toBe(1)
      host.emit('drain')
      await settle()
    }
    expect(host.listenerCount('drain')).toBe(0)
    const { signal } = capture
    expect(signal === undefined ? [] : getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1)
  })

  it('does not wait for a host that went away while it was written to', async () => {
    const [capture, host] = [new WatchedCapture(), new SlowHost()]
    host.once('taken', () => host.emit('cancelled'))
    stream(capture, host)
    capture.push(1, Buffer.from('last words'))
    await expect.poll(() => capture.asked).toBe(2)
    expect(host.listenerCount('drain')).toBe(0)
  })
})
