import { describe } from 'vitest'
import { scenarios } from './parity-scenarios.ts'
import { missingForPcscd, skipLoudly, testInRig } from './pcscd-rig.ts'

describe.skipIf(skipLoudly('parity', missingForPcscd()))('a sitting through pcscd equals one in process', () => {
  testInRig('parity-scenarios.ts', scenarios)
})
