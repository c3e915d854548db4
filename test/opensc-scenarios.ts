import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CardReader } from '#apdu'
import { encodeHex } from '#bytes'
import { type HolderKey, selectJpki, verifyPin } from '#card'
import { systemClock as clock } from '#clock'
import { decodeCertificate, decodeCertificatesPem, encodeCertificatePem } from '#pki'
import { openPcsc, servePcd } from '#reader'
import { createJpkiCard, PASSWORD, PIN } from './jpki-card.ts'
import { scratch, startPcscd } from './pcscd.ts'
import type { Scenarios } from './pcscd-rig.ts'

/* Stock OpenSC, with no configuration of ours, on our virtual card: reader, daemon and software are all foreign. */

const READER = 'DESK 00 00'
const TOKENS: Readonly<Record<HolderKey, { label: string; id: string; pin: string; wrong: string }>> = {
  'user-authentication': { label: 'JPKI (User Authentication PIN)', id: '01', pin: PIN, wrong: '9999' },
  signature: { label: 'JPKI (Digital Signature PIN)', id: '02', pin: PASSWORD, wrong: 'WRONG123' },
}

interface Ran {
  readonly code: number
  readonly output: string
  readonly ms: number
}

/** Runs a program while this process goes on playing the card. */
function run(program: string, ...args: readonly string[]): Promise<Ran> {
  const start = clock.monotonic()
  return new Promise((resolve) => {
    const child = execFile(program, args, { timeout: 30_000 }, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : -1) : 0
      resolve({ code, output: stdout + stderr, ms: clock.monotonic() - start })
    })
    child.stdin?.end() // nobody is there to be asked
  })
}

async function succeeds(program: string, ...args: readonly string[]): Promise<Ran> {
  const ran = await run(program, ...args)
  assert.equal(ran.code, 0, `${program} ${args.join(' ')}\n${ran.output}`)
  return ran
}

const pkcs15 = (...args: readonly string[]) => succeeds('pkcs15-tool', '--reader', READER, ...args)

function pkcs11Arguments(key: HolderKey, pin: string): readonly string[] {
  const [module = ''] = globSync('/usr/lib/*/opensc-pkcs11.so')
  return ['--module', module, '--token-label', TOKENS[key].label, '--login', '--pin', pin]
}

type JpkiCard = Awaited<ReturnType<typeof createJpkiCard>>

async function withCard<T>(use: (card: JpkiCard, folder: string, reader: CardReader) => Promise<T>): Promise<T> {
  const card = await createJpkiCard()
  const pcscd = await startPcscd({ DESK: 35963 })
  const pcsc = await openPcsc({ clock })
  const lying = servePcd({ host: '127.0.0.1', port: 35963, device: card.device, clock })
  const folder = mkdtempSync(join(scratch, 'kazasu-opensc-'))
  try {
    const reader = await pcsc.reader(READER)
    await reader.waitForCard()
    return await use(card, folder, reader)
  } finally {
    rmSync(folder, { recursive: true })
    await lying.stop()
    await pcsc.close()
    await pcscd.stop()
  }
}

/** Wrong tries until `key` is locked; then the right PIN opens nothing any more. */
const lock = (key: HolderKey, tries: number) =>
  withCard(async (card, folder) => {
    const { wrong, pin, id } = TOKENS[key]
    for (let left = tries - 1; left >= 0; left--) {
      const { code, output } = await run('pkcs11-tool', ...pkcs11Arguments(key, wrong), '--list-objects')
      assert.notEqual(code, 0)
      assert.match(output, /CKR_PIN_INCORRECT/)
      assert.equal((await card.state.read()).tries[key], left)
    }
    const dump = (await pkcs15('--dump')).output
    const section = dump
      .split('\n\n')
      .find((text) => text.startsWith('PIN [') && text.includes(`ID             : ${id}`))
    assert.match(section ?? dump, /Tries left\s+: 0$/m)
    const message = join(folder, 'message')
    writeFileSync(message, 'locked')
    const signing = ['--sign', '-m', 'SHA256-RSA-PKCS', '--id', id, '-i', message, '-o', join(folder, 'signature')]
    const after = await run('pkcs11-tool', ...pkcs11Arguments(key, pin), ...signing)
    assert.notEqual(after.code, 0, after.output)
    const other = key === 'signature' ? 'user-authentication' : 'signature'
    assert.equal((await card.state.read()).tries[other], other === 'signature' ? 5 : 3)
    await succeeds('pkcs11-tool', ...pkcs11Arguments(other, TOKENS[other].pin), '--list-objects')
  })

export const scenarios: Scenarios = {
  'opensc-tool knows the card as jpki, by the ATR it has': () =>
    withCard(async ({ device }) => {
      const { output, ms } = await succeeds('opensc-tool', '--reader', READER, '--atr', '--name')
      const atr = encodeHex(await device.powerUp()).replace(/..(?!$)/g, '$&:')
      assert.deepEqual(output.trim().split('\n'), [atr, 'jpki'])
      assert.ok(ms < 4000, `${ms} ms`) // 0.1 to 0.2 s
      return { ms }
    }),

  'pkcs15-tool lists PINs, keys and certificates': () =>
    withCard(async () => {
      const { output, ms } = await pkcs15('--dump')
      for (const line of [
        'PKCS#15 Card [JPKI]:',
        'PIN [User Authentication PIN]',
        'PIN [Digital Signature PIN]',
        'Private RSA Key [User Authentication Key]',
        'Private RSA Key [Digital Signature Key]',
        'X.509 Certificate [User Authentication Certificate]',
        'X.509 Certificate [Digital Signature Certificate]',
        'X.509 Certificate [User Authentication Certificate CA]',
        'X.509 Certificate [Digital Signature Certificate CA]',
      ])
        assert.ok(output.includes(line), `${line} is missing in\n${output}`)
      assert.deepEqual(
        output.match(/Tries left +: \d+/g)?.map((text) => text.at(-1)),
        ['3', '5'],
      )
      assert.ok(ms < 4000, `${ms} ms`)
      return { ms }
    }),

  'the four certificates come out as they went in, the one with name and address only with the password': () =>
    withCard(async ({ certificates }) => {
      const read = async (id: string, ...more: readonly string[]) => {
        const { output } = await pkcs15('--read-certificate', id, ...more)
        return decodeCertificatesPem(output.slice(output.indexOf('-----BEGIN')))[0]?.raw
      }
      const password = ['--verify-pin', '--auth-id', '2', '--pin', PASSWORD]
      assert.deepEqual(await read('1'), certificates['user-authentication'])
      assert.deepEqual(await read('2', ...password), certificates.signature)
      assert.deepEqual(await read('3'), certificates['user-authentication CA'])
      assert.deepEqual(await read('4'), certificates['signature CA'])
    }),

  'a password verified in our session opens nothing to the next program': () =>
    withCard(async (_card, _folder, reader) => {
      const readSecret = ['--reader', READER, '--read-certificate', '2']
      const before = await run('pkcs15-tool', ...readSecret)
      assert.ok(!before.output.includes('BEGIN CERTIFICATE'), before.output)
      const card = await reader.connect()
      await selectJpki(card)
      assert.deepEqual(await verifyPin(card, 'signature', Buffer.from(PASSWORD)), { outcome: 'verified' })
      await card.disconnect()
      const after = await run('pkcs15-tool', ...readSecret)
      assert.ok(!after.output.includes('BEGIN CERTIFICATE'), after.output)
      // OpenSC after OpenSC would find it open: it leaves cards powered, pcscd cuts the power some time later.
    }),

  'both keys sign what openssl verifies, each after its own PIN': () =>
    withCard(async ({ certificates }, folder) => {
      const file = (name: string) => join(folder, name)
      writeFileSync(file('message'), 'カードを かざす')
      const figures: Record<string, number> = {}
      for (const key of ['user-authentication', 'signature'] as const) {
        const { id, pin } = TOKENS[key]
        const signing = ['--sign', '-m', 'SHA256-RSA-PKCS', '--id', id, '-i', file('message'), '-o', file('signature')]
        figures[key] = (await succeeds('pkcs11-tool', ...pkcs11Arguments(key, pin), ...signing)).ms
        writeFileSync(
          file('certificate'),
          encodeCertificatePem(decodeCertificate(certificates[key] ?? new Uint8Array(0))),
        )
        const publicKey = await succeeds('openssl', 'x509', '-in', file('certificate'), '-pubkey', '-noout')
        writeFileSync(file('key'), publicKey.output)
        const verify = ['dgst', '-sha256', '-verify', file('key'), '-signature', file('signature')]
        assert.match((await succeeds('openssl', ...verify, file('message'))).output, /Verified OK/)
        writeFileSync(file('other'), 'カードを かざさない')
        assert.notEqual((await run('openssl', ...verify, file('other'))).code, 0)
      }
      return figures
    }),

  'the user authentication PIN locks after 3 wrong tries': () => lock('user-authentication', 3),
  'the signature password locks after 5 wrong tries': () => lock('signature', 5),
}
