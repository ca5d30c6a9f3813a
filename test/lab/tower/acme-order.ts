/**
 * Orders one certificate by ACME, answering the http-01 challenge on port 80 of the host it runs on; prints the chain.
 *
 * Usage: node acme-order.ts DIRECTORY_URL NAME     (NODE_EXTRA_CA_CERTS names the CA of the directory)
 *
 * @module
 */
import { createServer } from 'node:http'
import { Client, crypto } from 'acme-client'

const [, , directoryUrl = '', name = ''] = process.argv
const answers = new Map<string, string>()
const server = createServer((incoming, outgoing) => {
  const answer = answers.get(incoming.url ?? '')
  outgoing.writeHead(answer === undefined ? 404 : 200).end(answer)
})
await new Promise<void>((resolve) => {
  server.listen(80, '0.0.0.0', resolve)
})
const client = new Client({ directoryUrl, accountKey: await crypto.createPrivateEcdsaKey() })
const [, csr] = await crypto.createCsr({ commonName: name, altNames: [name] }, await crypto.createPrivateEcdsaKey())
const certificate = await client.auto({
  csr,
  termsOfServiceAgreed: true,
  challengePriority: ['http-01'],
  // The host cannot reach its own name through the CA's eyes; the CA itself asks.
  skipChallengeVerification: true,
  challengeCreateFn: async (_authorization, challenge, answer) =>
    void answers.set(`/.well-known/acme-challenge/${challenge.token}`, answer),
  challengeRemoveFn: async (_authorization, challenge) =>
    void answers.delete(`/.well-known/acme-challenge/${challenge.token}`),
})
process.stdout.write(certificate)
server.close()
