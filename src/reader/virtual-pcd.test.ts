import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { CardDevice } from '#apdu'
import { systemClock } from '#clock'
import { servePcd } from './index.ts'

const ATR = Uint8Array.of(0x3b, 0x80, 0x80, 0x01, 0x01)
const FRAME = { off: '000100', on: '000101', reset: '000102', unknown: '000103', atr: '000104' }
const ATR_FRAME = '00053b80800101'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** The server side of vpcd, as pcscd drives it: hexadecimal frames out, hexadecimal answers in. */
async function listen(port = 0) {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const sockets: Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise((done) => server.close(done))
  }
  ends.push(close)
  const { port: listening } = server.address() as { port: number }
  return { port: listening, close, card: async () => peer((await once(server, 'connection'))[0] as Socket) }
}

function peer(socket: Socket) {
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk.toString('hex')
  })
  socket.on('error', () => {})
  return {
    socket,
    send: (hex: string) => socket.write(Buffer.from(hex, 'hex')),
    async expectAnswer(hex: string) {
      await expect.poll(() => received, { timeout: 5000, interval: 2 }).toBe(hex)
      received = ''
    },
  }
}

function card(process: CardDevice['process'] = async () => Uint8Array.of(0x90, 0)) {
  const log: string[] = []
  const note = (what: string) => {
    log.push(what)
    return ATR
  }
  const device: CardDevice = {
    powerUp: async () => note('up'),
    reset: async () => note('reset'),
    powerDown: async () => void note('down'),
    process: (command) => {
      note(Buffer.from(command).toString('hex'))
      return process(command)
    },
  }
  return { device, log }
}

function serve(port: number, device: CardDevice) {
  const service = servePcd({ host: '127.0.0.1', port, device, clock: systemClock })
  ends.push(service.stop)
  return service
}

describe('a virtual card at vpcd', () => {
  test('tells its ATR before it is powered, answers commands, and says nothing to the power controls', async () => {
    const pcd = await listen()
    const { device, log } = card()
    serve(pcd.port, device)
    const { send, expectAnswer } = await pcd.card()
    send(FRAME.atr)
    await expectAnswer(ATR_FRAME)
    log.length = 0
    send(`${FRAME.on}${FRAME.reset}${FRAME.unknown}${FRAME.atr}`)
    await expectAnswer(ATR_FRAME)
    send('000400a40400')
    await expectAnswer('00029000')
    send(`${FRAME.off}${FRAME.atr}`)
    await expectAnswer(ATR_FRAME)
    expect(log).toEqual(['up', 'reset', '00a40400', 'down'])
  })

  test('understands frames in any pieces', async () => {
    const pcd = await listen()
    const { device, log } = card()
    serve(pcd.port, device)
    const { socket, send, expectAnswer } = await pcd.card()
    socket.setNoDelay(true)
    log.length = 0
    for (const byte of Buffer.from(`${FRAME.on}0000000400b00000`, 'hex')) {
      socket.write(Uint8Array.of(byte))
      await systemClock.sleep(2)
    }
    await expectAnswer('00029000')
    send(`000400b00001000400b00002${FRAME.atr}`)
    await expectAnswer(`0002900000029000${ATR_FRAME}`)
    expect(log.slice(-4)).toEqual(['up', '00b00000', '00b00001', '00b00002'])
  })

  test.each([
    [2, '0002'],
    [258, '0102'],
    [65535, 'ffff'],
  ])('an answer of %i bytes goes out whole', async (length, prefix) => {
    const pcd = await listen()
    serve(pcd.port, card(async () => new Uint8Array(length)).device)
    const { send, expectAnswer } = await pcd.card()
    send('000400b00000')
    await expectAnswer(prefix + '00'.repeat(length))
  })

  test('an answer that no frame can hold becomes a status word', async () => {
    const pcd = await listen()
    serve(pcd.port, card(async () => new Uint8Array(65536)).device)
    const { send, expectAnswer } = await pcd.card()
    send('000400b00000')
    await expectAnswer('00026700')
  })

  test('dials until somebody listens, and again after a restart; the card loses its power in between', async () => {
    const first = await listen()
    const { device, log } = card()
    await first.close()
    serve(first.port, device)
    const second = await listen(first.port)
    const { send, expectAnswer } = await second.card()
    send(FRAME.atr)
    await expectAnswer(ATR_FRAME)
    send(FRAME.on)
    await expect.poll(() => log.at(-1)).toBe('up')
    await second.close()
    await expect.poll(() => log.at(-1)).toBe('down')
    const third = await listen(first.port)
    const again = await third.card()
    again.send(FRAME.atr)
    await again.expectAnswer(ATR_FRAME)
  })

  test('is taken out at once, even in the middle of a command that never ends', async () => {
    const pcd = await listen()
    const { device, log } = card(() => new Promise(() => {}))
    const service = serve(pcd.port, device)
    const { socket, send } = await pcd.card()
    send('000400b00000')
    await expect.poll(() => log.at(-1)).toBe('00b00000')
    const closed = once(socket, 'close')
    await service.stop()
    await closed
    expect(log.at(-1)).toBe('down')
  })
})
