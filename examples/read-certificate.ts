// A virtual My Number Card in ten lines: made, laid on a reader, read. Run it: npx node examples/read-certificate.ts
import * as card from '#card'
import { systemRandom as random } from '#clock'
import { createInProcessReader } from '#reader'
import { institutionRoots, issue } from './throwaway-authority.ts'

const order = { holder: 'example', pin: '1234', date: '2026-04-01', institutionRoots, issue }
const personalisation = await card.createPersonalisation(order)
const state = card.createMemoryCardState(card.initialCardState(personalisation))
const reader = createInProcessReader('example')
reader.insert(card.createVirtualCard({ personalisation, state, random }))
const connection = await reader.connect()
await card.selectJpki(connection)
const certificate = await card.readUserCertificate(connection)
console.log('user certificate:', certificate.length, 'bytes')
await connection.disconnect()
