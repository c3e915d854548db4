export type { Mac, SignatureAlgorithm, Signer } from './signer.ts'
