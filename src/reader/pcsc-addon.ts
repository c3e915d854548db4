/**
 * The part of npm's `smartcard` 3.7.0 that is used. Spelled out here, because the package is optional and the project
 * must compile without it.
 */
export interface Smartcard {
  readonly Context: new () => PcscContext
}

/** A session with the PC/SC service. The native side locks it while a card works, so each card has one of its own. */
export interface PcscContext {
  listReaders(): PcscSlot[]
  close(): void
}

export interface PcscSlot {
  readonly name: string
  /** SCARD_STATE bits */
  readonly state: number
  connect(shareMode: number, protocol: number): Promise<PcscCard>
}

export interface PcscCard {
  readonly atr: Uint8Array | null
  transmit(command: Buffer, options: { maxRecvLength: number }): Promise<Uint8Array>
  control(code: number, data?: Buffer): Promise<Uint8Array>
  disconnect(disposition: number): void
}

/** Numbers of PC/SC (winscard.h; the same on every platform). */
export const SCARD = { statePresent: 0x20, stateMute: 0x200, shareExclusive: 1, protocolT1: 2, unpowerCard: 2 } as const

/** @throws the loader's error if the package, its native part or libpcsclite is not there */
export async function loadSmartcard(): Promise<Smartcard> {
  const name: string = 'smartcard'
  return import(name)
}
