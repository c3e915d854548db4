import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { DAY, japanDate, systemClock } from '#clock'
import { type Cvc, issueCvc, trustCvca, verifyCvcChain } from '#pki'
import { createThrowawaySigner } from '../src/pki/throwaway-signer.ts'

const present = spawnSync('cvc-print', ['--version']).error === undefined
if (!present) console.warn('SKIPPED: cvc-print is missing – install the Debian package "openpace"')

/** A second reading of our certificates by OpenPACE; it judges signature and dates at the wall clock, not rights. */
describe.skipIf(!present)('OpenPACE cvc-print', () => {
  const folder = mkdtempSync(join(tmpdir(), 'kazasu-openpace-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  const day = (offset: number): string => japanDate(systemClock.now() + offset * DAY)

  /** File names are references, as cvc-print looks issuers up. Its exit code is 0 even for "not verified". */
  function print(known: readonly Cvc[], cvc: Cvc): string {
    const issuers = mkdtempSync(join(folder, 'issuers-'))
    for (const issuer of known) writeFileSync(join(issuers, issuer.chr), issuer.raw)
    const file = join(folder, `${cvc.chr}.cvcert`)
    writeFileSync(file, cvc.raw)
    return execFileSync('cvc-print', [`--cvc-dir=${issuers}`, '-c', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  }

  test.each(['ecdsa-p256-sha256', 'rsa-pkcs1-sha256'] as const)(
    'says "certificate verified" of our chain (%s)',
    async (algorithm) => {
      const [root, provider, terminal] = [1, 2, 3].map(() => createThrowawaySigner(algorithm))
      const common = { pinless: true, effective: day(-2) }
      const cvca = await issueCvc(
        {
          ...common,
          car: 'JPKAZASU00001',
          chr: 'JPKAZASU00001',
          role: 'cvca',
          publicKey: root!.publicKey,
          expiry: day(900),
        },
        root!,
      )
      const dv = await issueCvc(
        {
          ...common,
          car: cvca.chr,
          chr: 'JPCLINICS00001',
          role: 'dv',
          publicKey: provider!.publicKey,
          expiry: day(300),
        },
        root!,
      )
      const leaf = await issueCvc(
        {
          ...common,
          car: dv.chr,
          chr: 'JPTERM00700001',
          role: 'terminal',
          publicKey: terminal!.publicKey,
          expiry: day(30),
        },
        provider!,
      )
      expect(verifyCvcChain({ dv, terminal: leaf }, [trustCvca(cvca)], day(0)).terminal.pinless).toBe(true)

      for (const cvc of [cvca, dv, leaf]) {
        const said = print([cvca, dv], cvc)
        expect(said).toContain(`CAR: ${cvc.car}`)
        expect(said).toContain(`CHR: ${cvc.chr}`)
        expect(said).toContain(`Effective Date: ${cvc.effective}`)
        expect(said).toContain(`Expiration Date: ${cvc.expiry}`)
        expect(said).toMatch(/^certificate verified$/m)
      }

      const signature = Uint8Array.from(leaf.signature)
      signature[40]! ^= 1
      const raw = Uint8Array.from(leaf.raw)
      raw.set(signature, raw.length - signature.length)
      expect(print([cvca, dv], { ...leaf, raw })).not.toMatch(/^certificate verified$/m)
    },
  )
})
