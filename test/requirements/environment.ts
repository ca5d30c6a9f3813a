/**
 * What the plugins meet outside Keylime's answers: strangers' certificates, networks, files, their own process.
 *
 * @module
 */
import type { Requirement } from './requirement.ts'

/** These promises, in the order in which they are met. */
export const ENVIRONMENT: readonly Requirement[] = [
  {
    id: 'tls:stranger:survived',
    promise:
      'Whatever certificates a port shows, both halves live on, answer with the right status and name what they saw',
  },
  {
    id: 'tls:rollover:ends',
    promise:
      'Cross-signed certificates of a CA rollover, in a CA file or sent by a server, are verified in finite time',
  },
  {
    id: 'tls:peer:blamed',
    promise:
      "A server's certificate that OpenSSL refuses, for whatever reason, is told with that reason as the server's",
  },
  {
    id: 'tls:clock:heals',
    promise: 'Certificates that are not valid yet are warned of; the plugin starts, refuses, and attests once they are',
  },
  {
    id: 'http:odd:named',
    promise:
      'An answer that is no HTTP, too long in its headers, of two lengths or compressed unasked is named as that',
  },
  {
    id: 'network:hello:compact',
    promise: 'A firewall that takes no first TLS message of more than one packet is passed at the second try, or named',
  },
  {
    id: 'network:addresses:slow',
    promise: 'Of a name with several addresses a slow one is waited for within request_timeout',
  },
  {
    id: 'network:dns:silent',
    promise: 'A name server that does not answer is told as that, and does not keep a plugin from ending in time',
  },
  {
    id: 'config:empty:refused',
    promise: 'An empty value of a key that adds a check is a problem at Configure, never a check left out',
  },
  {
    id: 'config:secret:unseen',
    promise: 'A key or certificate given where a path belongs is refused and stands in no message',
  },
  {
    id: 'files:wrong:named',
    promise: 'A file of the wrong kind or form is named as what it is, with the way to the right one',
  },
  {
    id: 'process:signals:host-lives',
    promise: 'A signal that a host lives through, such as SIGHUP under nohup, does not end its plugin',
  },
  {
    id: 'process:code:own-alone',
    promise:
      'The executables run no code named by NODE_OPTIONS or by settings of OpenSSL; other ways are unset and named',
  },
  {
    id: 'process:start:reason',
    promise:
      'A plugin that cannot start says why in one line and exits with 1; an odd environment alone does not stop it',
  },
  {
    id: 'release:bom:node-parts',
    promise: 'The bill of materials names the Node.js of both processors and its parts by CPE and package URL',
  },
  {
    id: 'release:bom:image-libraries',
    promise: "The bill of materials names the image's libraries by package URL",
  },
  {
    id: 'release:node:hashed',
    promise: 'A cached Node.js goes into no executable before its package was hashed again',
  },
  {
    id: 'release:out:spared',
    promise: 'A release removes nothing from its folder that no build made',
  },
]
