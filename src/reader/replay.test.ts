import { expect, test } from 'vitest'
import { createReplayReader } from './index.ts'

const recording = {
  atr: Uint8Array.of(0x3b, 0x80),
  exchanges: [
    { command: '00a40400', response: '9000' },
    { command: '00b0000002', response: '30829000' },
  ],
}

test('each session plays the recording from its start, and a command of another order is refused', async () => {
  const reader = createReplayReader('recording', recording)
  await reader.waitForCard()
  for (let session = 0; session < 2; session++) {
    const card = await reader.connect()
    expect(card.atr).toEqual(recording.atr)
    expect(await card.transmit(Uint8Array.of(0, 0xa4, 4, 0))).toEqual(Uint8Array.of(0x90, 0))
    expect(await card.transmit(Uint8Array.of(0, 0xb0, 0, 0, 2))).toEqual(Uint8Array.of(0x30, 0x82, 0x90, 0))
    await expect(card.transmit(Uint8Array.of(0, 0xa4, 4, 0))).rejects.toThrow('replay-mismatch')
    await card.disconnect()
  }
})
