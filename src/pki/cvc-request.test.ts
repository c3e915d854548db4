import { describe, expect, test } from 'vitest'
import { concatBytes, encodeTlv, readTlv } from '#bytes'
import { issueCvcRequest, verifyCvcRequest } from './cvc-request.ts'
import { createThrowawaySigner } from './throwaway-signer.ts'

describe.each(['ecdsa-p256-sha256', 'rsa-pkcs1-sha256'] as const)('a certificate request by %s', (algorithm) => {
  const signer = createThrowawaySigner(algorithm)

  test('comes back with its key and reference', async () => {
    const raw = await issueCvcRequest('JPCLINIC00001', signer)
    expect(verifyCvcRequest(raw)).toMatchObject({ chr: 'JPCLINIC00001', algorithm, publicKey: signer.publicKey })
    expect(readTlv(readTlv(raw).value).tag).toBe(0x7f4e)
  })
  test('with any single bit changed is refused', async () => {
    const raw = await issueCvcRequest('JPCLINIC00001', signer)
    for (let at = 0; at < raw.length; at++) {
      const changed = Uint8Array.from(raw)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
      expect(() => verifyCvcRequest(changed)).toThrow(/cvc-|public-key/)
    }
  })
  test('signed by another key is refused', async () => {
    const [body] = [readTlv(readTlv(await issueCvcRequest('JPCLINIC00001', signer)).value).raw]
    const signature = await createThrowawaySigner(algorithm).sign(body)
    const forged = encodeTlv(0x7f21, body, encodeTlv(0x5f37, signature))
    expect(() => verifyCvcRequest(forged)).toThrow('cvc-signature')
  })
  test('cut short, or with bytes after it, is refused', async () => {
    const raw = await issueCvcRequest('JPCLINIC00001', signer)
    for (let end = 0; end < raw.length; end++) expect(() => verifyCvcRequest(raw.subarray(0, end))).toThrow()
    expect(() => verifyCvcRequest(concatBytes(raw, Uint8Array.of(0)))).toThrow('cvc-malformed')
  })
  test.each(['JP00001x', 'DECLINIC00001', 'JPTOOLONGNAME00001'])('the reference %s is refused', async (chr) => {
    await expect(issueCvcRequest(chr, signer)).rejects.toMatchObject({ code: 'cvc-malformed' })
  })
})
