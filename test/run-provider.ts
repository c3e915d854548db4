import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { receive } from '../src/provider/reception.ts'
import { takeOver } from './provider-handover.ts'
import { isRefusal } from './provider-rig.ts'

/**
 * A provider's process for tests that kill it: `node test/run-provider.ts HANDOVER`. It takes proofs on a port of
 * 127.0.0.1 that it prints, and believes the thumbprint that a header names, as behind a TLS-terminating proxy.
 */
const { provider } = await takeOver(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')))
const generous = { ...provider, policy: provider.policy.map((row) => ({ ...row, quota: 1_000_000 })) }

const server = createServer(async (request, response) => {
  try {
    const parts: Uint8Array[] = []
    for await (const part of request as AsyncIterable<Uint8Array>) parts.push(part)
    const answer = await receive(generous, Buffer.concat(parts), String(request.headers['x-thumbprint']))
    response.writeHead(200).end(JSON.stringify(answer))
  } catch (error) {
    response.writeHead(400).end(JSON.stringify({ code: isRefusal(error) ? error.code : 'internal' }))
  }
})
server.listen(0, '127.0.0.1', () => console.info((server.address() as AddressInfo).port))
// Whoever started it is gone: so is this.
process.stdin.on('end', () => process.exit()).resume()
