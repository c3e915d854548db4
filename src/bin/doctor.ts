import type { Clock } from '#clock'
import { openPcsc } from '#reader'
import { explain } from '#terminal'

/** One thing looked at, and what to do if it is not as it should be. */
export interface Finding {
  readonly what: string
  readonly ok: boolean
  /** Without it the main job does not work. */
  readonly needed: boolean
  readonly remedy: string
}

/** Looks at what this machine offers. Native packages are tried by importing them: npm's word is not enough. */
export async function diagnose(clock: Clock): Promise<readonly Finding[]> {
  const findings: Finding[] = [
    {
      ...{ what: `Node ${process.versions.node} (24 or later)`, needed: true, remedy: 'npm ci' },
      ok: Number(process.versions.node.split('.')[0]) >= 24,
    },
  ]
  for (const [name, use] of [
    ['smartcard', 'PC/SC readers'],
    ['graphene-pk11', 'keys in PKCS#11 tokens'],
  ] as const) {
    const ok = await import(name).then(
      () => true,
      () => false,
    )
    const remedy = 'node scripts/repair-native.mjs (needs libpcsclite-dev, python3, make, g++ on Debian)'
    findings.push({ what: `${name}: ${use}`, ok, needed: false, remedy })
  }
  findings.push(await lookForReaders(clock))
  return findings
}

async function lookForReaders(clock: Clock): Promise<Finding> {
  const remedy = 'start pcscd and plug in a reader, or use the reader in this process (the default)'
  try {
    const system = await openPcsc({ clock })
    try {
      const names = await system.list()
      return { what: `readers: ${names.join(', ') || 'none'}`, ok: names.length > 0, needed: false, remedy }
    } finally {
      await system.close()
    }
  } catch (error) {
    const { cause, remedy: own } = explain(error)
    return { what: `readers: ${cause.en}`, ok: false, needed: false, remedy: own.en }
  }
}
