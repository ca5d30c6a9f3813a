import { array, assert, constantFrom, property, stringMatching, tuple } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { redacted } from '../../../../operator/support/redact.ts'

const PASSWORD = 'Hunter2-x9/y+z=='

describe('a configuration that leaves the machine', () => {
  it.each([
    ['a key of INI', `client_key_password = ${PASSWORD}\nserver_key = /a.key\n`],
    [
      'a value of INI over several lines',
      `[cloud_verifier]\ndb_password = first\n   ${PASSWORD}\n\t${PASSWORD}\nport = 8881\n`,
    ],
    ['a key of HCL', `  secret_access_key = "${PASSWORD}"\n`],
    ['a heredoc of HCL', `token = <<EOF\nline\n${PASSWORD}\nEOF\nport = 1\n`],
    ['an indented heredoc', `plugin_data {\n  api_key = <<-END\n    ${PASSWORD}\n    END\n  port = 1\n}\n`],
    ['a block on one line', `KeyManager "kms" { plugin_data { region = "eu" secret_access_key = "${PASSWORD}" } }`],
    ['JSON', JSON.stringify({ plugins: [{ a: 1, vault_token: PASSWORD, b: 'kept' }] })],
    ['JSON on lines', JSON.stringify({ plugins: [{ a: 1, vault_token: PASSWORD, b: 'kept' }] }, null, 2)],
    ['a connection string', `connection_string = "dbname=spire user=spire password=${PASSWORD} host=db"\n`],
    ['a URL', `database_url = postgresql://keylime:${PASSWORD}@db.example.org/verifier\n`],
    ['an approle', `approle { secret_id = '${PASSWORD}' }`],
    ['a quoted quote', `auth_token = "a\\"${PASSWORD}"`],
    ['a passphrase', `[tls]\nkey_passphrase: ${PASSWORD}`],
  ])('loses the secret of %s [operator:support:no-secret]', (_what, text) => {
    expect(redacted(text)).not.toContain(PASSWORD)
    expect(redacted(text)).toContain('(redacted)')
  })

  it('keeps what is no secret', () => {
    const text = [
      'server {\n  bind_port = "8081"\n  trust_domain = "example.org"\n  socket_path = "/run/spire/api.sock"\n}',
      'connection_string = "dbname=spire user=spire password=x host=db"',
      'database_url = sqlite:///var/lib/keylime/cv.sqlite',
      'contact = "https://example.org:8200/v1"',
      'tls_dir = default\n',
    ].join('\n')
    expect(redacted(text)).toBe(text.replace('password=x', 'password="(redacted)"'))
  })

  it('goes on after a secret: the next key stands', () => {
    expect(redacted('a_token = "x"\n  indented = "kept"\nport = 1\n')).toBe(
      'a_token = "(redacted)"\n  indented = "kept"\nport = 1\n',
    )
    expect(redacted('{\n  "token": "x"\n}\n')).toBe('{\n  "token": "(redacted)"\n}\n')
  })

  it('shows no password in any order of lines and forms [operator:support:no-secret]', () => {
    const secret = stringMatching(/^[A-Za-z0-9]{12,20}$/)
    const key = constantFrom('password', 'db_password', 'secret', 'vault_token', 'api_key', 'private_key_pass')
    const form = constantFrom<(name: string, value: string) => string>(
      (name, value) => `${name} = "${value}"`,
      (name, value) => `${name}=${value}`,
      (name, value) => `  ${name}: ${value}`,
      (name, value) => `block "x" { other = 1 ${name} = "${value}" }`,
      (name, value) => `{"a": {"${name}": "${value}"}}`,
      (name, value) => `${name} = <<X\n${value}\nX`,
      (name, value) => `url = "x?y=1&${name}=${value}"`,
      (_name, value) => `url = "mysql://u:${value}@h/d"`,
    )
    const line = tuple(form, key, secret)
    assert(
      property(array(line, { minLength: 1, maxLength: 6 }), (lines) => {
        const text = redacted(lines.map(([write, name, value]) => write(name, value)).join('\nplain = 1\n'))
        expect(lines.filter(([, , value]) => text.includes(value))).toEqual([])
        expect(text.split('plain = 1').length).toBe(lines.length)
      }),
    )
  })
})
