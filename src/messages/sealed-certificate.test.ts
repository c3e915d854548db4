import { webcrypto } from 'node:crypto'
import { expect, test } from 'vitest'
import { importSealingKey, sealCertificate, unsealCertificate } from './index.ts'

const nonce = new Uint8Array(32).fill(5)
const certificate = new Uint8Array(1500).fill(7)

test('only the provider’s key opens it, only with the nonce it was sealed for, and only unchanged', async () => {
  const algorithm = { name: 'ECDH', namedCurve: 'P-256' }
  const mine = await webcrypto.subtle.generateKey(algorithm, true, ['deriveBits'])
  const other = await webcrypto.subtle.generateKey(algorithm, true, ['deriveBits'])
  const key = await importSealingKey(await webcrypto.subtle.exportKey('jwk', mine.publicKey))
  const sealed = await sealCertificate(certificate, nonce, key)
  expect(await unsealCertificate(sealed, nonce, mine.privateKey)).toEqual(certificate)
  const refused = { code: 'certificate-unsealable' }
  await expect(unsealCertificate(sealed, nonce, other.privateKey)).rejects.toMatchObject(refused)
  await expect(
    unsealCertificate(
      sealed,
      nonce.map((b) => b + 1),
      mine.privateKey,
    ),
  ).rejects.toMatchObject(refused)
  for (const at of [0, 64, 65, sealed.length - 1]) {
    const changed = sealed.map((byte, i) => (i === at ? byte ^ 1 : byte))
    await expect(unsealCertificate(changed, nonce, mine.privateKey)).rejects.toMatchObject(refused)
  }
  await expect(unsealCertificate(sealed.subarray(0, 10), nonce, mine.privateKey)).rejects.toMatchObject(refused)
})
