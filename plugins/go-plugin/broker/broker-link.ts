/**
 * The broker's long stream, seen from either end: messages go out on the newest connection and come in from any.
 *
 * @module
 */
import type { ConnInfo } from '../gen/goplugin/broker.ts'

/** One open `StartStream` call. */
export interface BrokerCall {
  write(info: ConnInfo): unknown
}

/** Where a broker sends and receives its messages. */
export interface BrokerLink {
  /** Sends a message; while no stream is open it waits for one. */
  send(info: ConnInfo): void
  /** Adds a listener to every message received from now on. */
  onMessage(listener: (info: ConnInfo) => void): void
}

/** A link together with the side that feeds it. */
export interface AttachableLink extends BrokerLink {
  /**
   * Uses a stream that has just opened.
   *
   * @returns Function to call when it has ended.
   */
  attach(call: BrokerCall): () => void
  /** Hands a received message to the listeners. */
  received(info: ConnInfo): void
}

/**
 * Makes a link without any stream yet.
 *
 * @returns The link.
 */
export function newBrokerLink(): AttachableLink {
  const calls: BrokerCall[] = []
  const waiting: ConnInfo[] = []
  const listeners: ((info: ConnInfo) => void)[] = []
  return {
    send: (info) => {
      const call = calls.at(-1)
      if (call === undefined) waiting.push(info)
      else call.write(info)
    },
    onMessage: (listener) => {
      listeners.push(listener)
    },
    attach: (call) => {
      calls.push(call)
      for (const info of waiting.splice(0)) call.write(info)
      return () => {
        const at = calls.indexOf(call)
        if (at >= 0) calls.splice(at, 1)
      }
    },
    received: (info) => {
      for (const listener of listeners) listener(info)
    },
  }
}
