import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { decodeHex } from '#bytes'
import { verifyX509Signature } from './algorithm-identifier.ts'
import { type SignatureAlgorithm, verifySignature } from './index.ts'

interface Case {
  readonly tcId: number
  readonly msg: string
  readonly sig: string
  readonly result: 'valid' | 'acceptable' | 'invalid'
}
interface Suite {
  readonly testGroups: readonly { readonly publicKeyDer: string; readonly tests: readonly Case[] }[]
}

const vectors = join(process.env.KAZASU_VECTORS ?? '../shared/vectors', 'wycheproof')
const present = existsSync(vectors)
if (!present && process.env.CI === 'true') throw new Error(`no test vectors in ${vectors}`)

/** P1363 is the form of cards and tokens, DER that of X.509. `acceptable` (no NULL, BER) is refused here. */
describe.skipIf(!present)(`Wycheproof (${vectors})`, () => {
  test.each<[string, SignatureAlgorithm, typeof verifySignature, number]>([
    ['ecdsa_secp256r1_sha256_p1363_test', 'ecdsa-p256-sha256', verifySignature, 262],
    ['ecdsa_secp256r1_sha256_test', 'ecdsa-p256-sha256', verifyX509Signature, 484],
    ['ecdsa_secp384r1_sha384_test', 'ecdsa-p384-sha384', verifyX509Signature, 504],
    ['rsa_signature_2048_sha256_test', 'rsa-pkcs1-sha256', verifySignature, 259],
  ])(
    '%s: nothing false is accepted, nothing true refused but keys with exponent 3',
    (file, algorithm, verify, count) => {
      const suite = JSON.parse(readFileSync(join(vectors, `${file}.json`), 'utf8')) as Suite
      const wrong: string[] = []
      let ran = 0
      for (const { publicKeyDer, tests } of suite.testGroups) {
        for (const { tcId, msg, sig, result } of tests) {
          const accepted = verify(decodeHex(publicKeyDer), algorithm, decodeHex(msg), decodeHex(sig))
          if (accepted !== (result === 'valid')) wrong.push(`${tcId} ${result}`)
          ran++
        }
      }
      // Both have the public exponent 3, which is refused on purpose; their `invalid` brothers are refused twice over.
      expect(wrong).toEqual(file.startsWith('rsa') ? ['258 valid', '259 valid'] : [])
      expect(ran).toBe(count)
    },
  )
})
