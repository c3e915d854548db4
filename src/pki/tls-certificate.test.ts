import type { AddressInfo } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { DAY, systemClock, systemRandom } from '#clock'
import { encodeCertificatePem, issueTlsCertificate } from './index.ts'
import { createThrowawaySigner } from './throwaway-signer.ts'

const now = systemClock.now()
async function identity(name: string, algorithm: 'ecdsa-p256-sha256' | 'rsa-pkcs1-sha256') {
  const signer = createThrowawaySigner(algorithm)
  const serial = Uint8Array.of(1, ...systemRandom.bytes(15))
  const names = { dns: ['localhost'], ips: ['127.0.0.1', '::1'] }
  const certificate = await issueTlsCertificate(
    { name, ...names, serial, notBefore: now - DAY, notAfter: now + DAY },
    signer,
  )
  const key = signer.privateKey.export({ format: 'pem', type: 'pkcs8' })
  return { cert: encodeCertificatePem(certificate), key }
}

test.each(['ecdsa-p256-sha256', 'rsa-pkcs1-sha256'] as const)(
  'node:tls takes both ends, each pinned by the other (%s)',
  async (algorithm) => {
    const [server, client, stranger] = await Promise.all(
      ['provider', 'terminal-1', 'terminal-2'].map((name) => identity(name, algorithm)),
    )
    const settings = { ...server!, ca: client!.cert, requestCert: true, rejectUnauthorized: true } as const
    const listener = createServer({ ...settings, minVersion: 'TLSv1.3' }, (socket) => socket.end('recognised'))
    listener.on('tlsClientError', () => {})
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    const { port } = listener.address() as AddressInfo

    const talk = (own: { cert: string; key: string | Buffer }, ca: string): Promise<string> =>
      new Promise((resolve) => {
        let said = ''
        const socket: TLSSocket = connect({ ...own, ca, port, host: '127.0.0.1' })
        socket.on('data', (data) => {
          said += data
        })
        socket.on('error', (error) => resolve(`refused: ${(error as { code?: string }).code}`))
        socket.on('end', () => resolve(said))
      })

    try {
      expect(await talk(client!, server!.cert)).toBe('recognised')
      // In TLS 1.3 a client may see the end of the connection before it sees why.
      expect(await talk(stranger!, server!.cert)).toMatch(/^(refused.*)?$/)
      expect(await talk(client!, stranger!.cert)).toMatch(/^refused/)
    } finally {
      listener.close()
    }
  },
)
