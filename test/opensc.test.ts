import { describe } from 'vitest'
import { scenarios } from './opensc-scenarios.ts'
import { missingForPcscd, skipLoudly, testInRig } from './pcscd-rig.ts'

const programs = ['opensc-tool', 'pkcs15-tool', 'pkcs11-tool', 'openssl']

describe.skipIf(skipLoudly('opensc', missingForPcscd(...programs)))('stock OpenSC on our card', () => {
  testInRig('opensc-scenarios.ts', scenarios)
})
