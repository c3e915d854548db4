import { describe } from 'vitest'
import { scenarios } from './pcsc-tap-scenarios.ts'
import { missingForPcscd, skipLoudly, testInRig } from './pcscd-rig.ts'

describe.skipIf(skipLoudly('pcsc-tap', missingForPcscd()))('a whole tap through pcscd equals one in process', () => {
  testInRig('pcsc-tap-scenarios.ts', scenarios)
})
