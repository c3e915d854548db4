/** Something that must not get out, in every spelling it might get out in. */
export interface Canary {
  /** Whose it is. */
  readonly holder: string
  /** What it is: `serial`, `PIN` … The value itself is never printed. */
  readonly what: string
  readonly needles: readonly Needle[]
}

interface Needle {
  readonly encoding: string
  readonly bytes: Buffer
  /** Too short to be told from noise: counts only where no letter, digit or sign of a number touches it. */
  readonly alone?: boolean
}

/** Bytes to be searched, and where they are from. */
export interface Haystack {
  readonly place: string
  readonly bytes: Uint8Array
}

/** A canary that was found; says where and how it is spelled, not what it is. */
export interface Finding {
  readonly place: string
  readonly holder: string
  readonly what: string
  readonly encoding: string
}

/** Every canary in every haystack, once for each encoding. */
export function search(haystacks: Iterable<Haystack>, canaries: readonly Canary[]): readonly Finding[] {
  const findings: Finding[] = []
  for (const { place, bytes } of haystacks) {
    const hay = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    for (const { holder, what, needles } of canaries) {
      for (const needle of needles) {
        if (holds(hay, needle)) findings.push({ place, holder, what, encoding: needle.encoding })
      }
    }
  }
  return findings
}

function holds(hay: Buffer, { bytes, alone }: Needle): boolean {
  for (let at = hay.indexOf(bytes); at >= 0; at = hay.indexOf(bytes, at + 1)) {
    const touching = [hay[at - 1], hay[at + bytes.length]].map((byte) => String.fromCharCode(byte ?? 0x20))
    if (!alone || !touching.some((sign) => /[\w.+/=-]/.test(sign))) return true
  }
  return false
}

/** Bytes, such as a key or a piece of a certificate. */
export const bytesCanary = (holder: string, what: string, bytes: Uint8Array): Canary => ({
  ...{ holder, what },
  needles: spellings(what, Buffer.from(bytes)),
})

/** A serial number: its bytes, and the decimal that people copy from a certificate viewer. */
export function serialCanary(holder: string, what: string, serialHex: string): Canary {
  const { needles, ...rest } = bytesCanary(holder, what, Buffer.from(serialHex, 'hex'))
  const decimal = { encoding: 'decimal', bytes: Buffer.from(BigInt(`0x${serialHex}`).toString()) }
  return { ...rest, needles: [...needles, decimal] }
}

/** A text, in each of `forms` that people write it in, as UTF-8, Shift_JIS, UTF-16 and the escapes of JSON and URLs. */
export function textCanary(holder: string, what: string, ...forms: readonly string[]): Canary {
  const needles = forms.flatMap((form) => {
    const charsets = {
      'UTF-8': Buffer.from(form),
      Shift_JIS: encodeShiftJis(form),
      'UTF-16BE': Buffer.from(form, 'utf16le').swap16(),
      'UTF-16LE': Buffer.from(form, 'utf16le'),
    }
    const ascii = charsets['UTF-8'].length === form.length
    return [
      ...Object.entries(charsets).flatMap(([charset, bytes]) =>
        ascii && charset === 'Shift_JIS' ? [] : spellings(charset, bytes),
      ),
      ...(ascii
        ? []
        : [
            { encoding: 'JSON escape', bytes: Buffer.from(form.replace(/[^ -~]/g, jsonEscape)) },
            { encoding: 'URL', bytes: Buffer.from(encodeURIComponent(form)) },
          ]),
    ]
  })
  return { holder, what, needles: unique(needles) }
}

/** A few digits: searched for as a word of their own, in hexadecimal as they would stand in a command, and in base64. */
export function digitsCanary(holder: string, what: string, digits: string): Canary {
  const bytes = Buffer.from(digits)
  const hex = bytes.toString('hex')
  const masked = [{ encoding: 'text', bytes, alone: true }]
  return { holder, what, needles: [...masked, { encoding: 'hex', bytes: Buffer.from(hex) }] }
}

const jsonEscape = (sign: string): string => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`

/** Raw, hexadecimal, base64 and base64url wherever it begins in a longer text, and as lists of numbers. */
function spellings(name: string, bytes: Buffer): Needle[] {
  const pairs = [...bytes].map((byte) => byte.toString(16).padStart(2, '0'))
  const hexadecimals = ['', ':', ' ', '-'].flatMap((separator) => {
    const text = pairs.join(separator)
    return [text, text.toUpperCase()].map((each) => ({
      encoding: `${name} hex${separator && ` '${separator}'`}`,
      bytes: Buffer.from(each),
    }))
  })
  const base64s = [0, 1, 2].flatMap((offset) => {
    // Only the characters that no neighbouring byte has a part in.
    const [start, end] = [Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6)]
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .slice(start, end)
    const url = text.replaceAll('+', '-').replaceAll('/', '_')
    return [
      { encoding: `${name} base64 +${offset}`, bytes: Buffer.from(text) },
      { encoding: `${name} base64url +${offset}`, bytes: Buffer.from(url) },
    ]
  })
  const lists = [[...bytes].join(','), [...bytes].map((byte, i) => `"${i}":${byte}`).join(',')]
  return unique([
    { encoding: `${name} raw`, bytes },
    ...hexadecimals,
    ...base64s,
    ...lists.map((text) => ({ encoding: `${name} list`, bytes: Buffer.from(text) })),
  ])
}

function unique(needles: readonly Needle[]): Needle[] {
  return [
    ...new Map(needles.toReversed().map((needle) => [needle.bytes.toString('latin1'), needle])).values(),
  ].reverse()
}

const shiftJis = new Map<string, Buffer>()

/** Shift_JIS by turning the decoder around: Node has no encoder for it. */
export function encodeShiftJis(text: string): Buffer {
  if (shiftJis.size === 0) {
    const decoder = new TextDecoder('shift_jis')
    for (let high = 0x81; high <= 0xfc; high++) {
      for (let low = 0x40; low <= 0xfc; low++) {
        const bytes = Buffer.of(high, low)
        const sign = decoder.decode(bytes)
        if (sign.length === 1 && !shiftJis.has(sign)) shiftJis.set(sign, bytes)
      }
    }
  }
  return Buffer.concat([...text].map((sign) => shiftJis.get(sign) ?? Buffer.from(sign)))
}
