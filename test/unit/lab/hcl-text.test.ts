import { describe, expect, it } from 'vitest'
import { renderHcl, renderJson } from '../../lab/services/hcl-text.ts'

const conf = {
  server: { bind_port: 8081, ratelimit: { attestation: false } },
  plugins: {
    'DataStore "sql"': { plugin_data: { list: ['a', 'b "c"'] } },
    'NodeAttestor "keylime"': { plugin_cmd: '/p' },
    'NodeAttestor "other"': { plugin_cmd: '/q' },
  },
}

describe('renderHcl', () => {
  it('writes objects as blocks, with their labels, and quotes what needs it', () => {
    expect(renderHcl(conf)).toBe(`server {
  bind_port = 8081
  ratelimit {
    attestation = false
  }
}
plugins {
  DataStore "sql" {
    plugin_data {
      list = ["a", "b \\"c\\""]
    }
  }
  NodeAttestor "keylime" {
    plugin_cmd = "/p"
  }
  NodeAttestor "other" {
    plugin_cmd = "/q"
  }
}
`)
  })
})

describe('renderJson', () => {
  it('nests labels, so that two plugins of one type stay two', () => {
    expect(JSON.parse(renderJson(conf))).toEqual({
      server: { bind_port: 8081, ratelimit: { attestation: false } },
      plugins: {
        DataStore: { sql: { plugin_data: { list: ['a', 'b "c"'] } } },
        NodeAttestor: { keylime: { plugin_cmd: '/p' }, other: { plugin_cmd: '/q' } },
      },
    })
  })
})
