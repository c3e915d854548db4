import { execFileSync, spawnSync } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPkcs11, type Pkcs11Token } from '#keys'
import type { SignatureAlgorithm, Signer } from '#pki'

const module = '/usr/lib/softhsm/libsofthsm2.so'
// Below graphene-pk11; both are optional and need a compiler.
const native = await import('pkcs11js').catch(() => undefined)
const missing = !existsSync(module) || !native
if (missing && process.env.CI === 'true') throw new Error('softhsm2 or graphene-pk11 is not installed')

const pin = Buffer.from('87654321')
const data = new TextEncoder().encode('署名')

/** A SoftHSM2 of our own: one token `kazasu`, two named `twins`, and nobody else's. */
describe.skipIf(missing)('keys in a PKCS#11 token (SoftHSM2)', () => {
  const before = process.env.SOFTHSM2_CONF
  let directory: string
  let token: Pkcs11Token

  const open = (tokenLabel: string, tokenPin: Uint8Array = pin) => openPkcs11({ module, tokenLabel, pin: tokenPin })
  const tool = (...args: string[]) =>
    spawnSync(
      'pkcs11-tool',
      ['--module', module, '--token-label', 'kazasu', '--login', '--pin', String(pin), ...args],
      {
        encoding: 'utf8',
      },
    )

  /** Asks the token for the secret number itself, past our own code. */
  function readSecret(label: SignatureAlgorithm): Buffer | number | boolean | string | undefined {
    if (!native) throw new Error('pkcs11js is not installed')
    const { CKA_CLASS, CKA_LABEL, CKA_PRIVATE_EXPONENT, CKA_VALUE, CKF_SERIAL_SESSION, CKO_PRIVATE_KEY } =
      native.default
    const library = new native.PKCS11()
    library.load(module) // the same library in the same process: initialised and logged in
    const slot = library.C_GetSlotList(true).find((one) => library.C_GetTokenInfo(one).label.trim() === 'kazasu')
    if (!slot) throw new Error('no token')
    const session = library.C_OpenSession(slot, CKF_SERIAL_SESSION)
    try {
      library.C_FindObjectsInit(session, [
        { type: CKA_CLASS, value: CKO_PRIVATE_KEY },
        { type: CKA_LABEL, value: label },
      ])
      const [key] = library.C_FindObjects(session, 2)
      library.C_FindObjectsFinal(session)
      if (!key) throw new Error('no key')
      const type = label === 'rsa-pkcs1-sha256' ? CKA_PRIVATE_EXPONENT : CKA_VALUE
      return library.C_GetAttributeValue(session, key, [{ type }])[0]?.value
    } finally {
      library.C_CloseSession(session)
    }
  }

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kazasu-softhsm-'))
    mkdirSync(join(directory, 'tokens'))
    process.env.SOFTHSM2_CONF = join(directory, 'softhsm2.conf')
    writeFileSync(
      process.env.SOFTHSM2_CONF,
      `directories.tokendir = ${directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n`,
    )
    for (const label of ['kazasu', 'twins', 'twins']) {
      const args = ['--init-token', '--free', '--label', label, '--so-pin', '12345678', '--pin', String(pin)]
      execFileSync('softhsm2-util', args, { stdio: 'ignore' })
    }
    token = await open('kazasu')
  })
  afterAll(() => {
    token?.close()
    if (before === undefined) delete process.env.SOFTHSM2_CONF
    else process.env.SOFTHSM2_CONF = before
    rmSync(directory, { recursive: true, force: true })
  })

  function verifies(signer: Signer, signature: Uint8Array, over: Uint8Array = data): boolean {
    const key = createPublicKey({ key: Buffer.from(signer.publicKey), format: 'der', type: 'spki' })
    const hash = signer.algorithm === 'ecdsa-p384-sha384' ? 'sha384' : 'sha256'
    return verify(hash, over, { key, dsaEncoding: 'ieee-p1363' }, signature)
  }

  describe.each<[SignatureAlgorithm, number]>([
    ['ecdsa-p256-sha256', 64],
    ['ecdsa-p384-sha384', 96],
    ['rsa-pkcs1-sha256', 256],
  ])('%s', (algorithm, length) => {
    test('a key made in the token signs what node:crypto verifies, 50 at once, also when found by label', async () => {
      const made = await token.generate(algorithm, algorithm)
      const found = await token.signer(algorithm, algorithm)
      expect(found.publicKey).toEqual(made.publicKey)
      const inputs = Array.from({ length: 50 }, (_, i) => Uint8Array.of(i))
      const begin = performance.now()
      const signatures = await Promise.all(inputs.map((input) => found.sign(input)))
      console.log(`${algorithm}: ${((performance.now() - begin) / 50).toFixed(2)} ms a signature`)
      signatures.forEach((signature, i) => {
        expect(signature).toHaveLength(length)
        expect(verifies(made, signature, inputs[i])).toBe(true)
        expect(verifies(made, signature)).toBe(false)
      })
    })

    test('its private half does not leave the token', () => {
      const listed = tool('--list-objects', '--type', 'privkey', '--label', algorithm).stdout
      expect(listed).toContain('sensitive, always sensitive, never extractable, local')
      expect(() => readSecret(algorithm)).toThrow('CKR_ATTRIBUTE_SENSITIVE')
    })

    test('a label is given once', () =>
      expect(token.generate(algorithm, algorithm)).rejects.toMatchObject({ code: 'token-key-exists' }))
  })

  test('a key is still there for the next one who opens the token', async () => {
    const again = await open('kazasu')
    const signer = await again.signer('ecdsa-p256-sha256', 'ecdsa-p256-sha256')
    expect(verifies(signer, await signer.sign(data))).toBe(true)
    again.close()
  })

  test('a key of another algorithm or label is refused', async () => {
    await expect(token.signer('ecdsa-p256-sha256', 'rsa-pkcs1-sha256')).rejects.toMatchObject({
      code: 'key-unsuitable',
    })
    await expect(token.signer('nothing', 'rsa-pkcs1-sha256')).rejects.toMatchObject({
      code: 'token-key-missing',
      detail: { label: 'nothing' },
    })
  })

  test('two keys of one label are not chosen between', async () => {
    for (const id of ['01', '02']) tool('--keypairgen', '--key-type', 'EC:prime256v1', '--label', 'double', '--id', id)
    await expect(token.signer('double', 'ecdsa-p256-sha256')).rejects.toMatchObject({ code: 'token-key-ambiguous' })
  })

  test('absent and ambiguous tokens and modules are told apart', async () => {
    await expect(open('absent')).rejects.toMatchObject({ code: 'token-missing', detail: { tokenLabel: 'absent' } })
    await expect(open('twins')).rejects.toMatchObject({ code: 'token-ambiguous', detail: { count: 2 } })
    const nowhere = openPkcs11({ module: '/nowhere.so', tokenLabel: 'kazasu', pin })
    await expect(nowhere).rejects.toMatchObject({ code: 'pkcs11-module-unusable' })
  })

  test('a wrong PIN is one refused try, and stands in no error', async () => {
    token.close() // the login is the process's: with it a second one is not asked for its PIN
    const wrong = Buffer.from('11112222')
    const error = await open('kazasu', wrong).catch((caught) => caught)
    expect(error).toMatchObject({ code: 'token-pin-wrong', detail: { reason: 'CKR_PIN_INCORRECT' } })
    expect(`${error.stack} ${error.cause?.stack} ${JSON.stringify(error)}`).not.toContain('11112222')
    token = await open('kazasu')
  })

  test('a signer of a closed token says that it is lost', async () => {
    const signer = await token.signer('ecdsa-p256-sha256', 'ecdsa-p256-sha256')
    token.close()
    await expect(signer.sign(data)).rejects.toMatchObject({ code: 'token-lost' })
  })
})
