import { type Clock, MINUTE, type Random, SECOND, type Time } from '#clock'
import { createHttpClient, HttpError } from '#http'
import {
  type Certificate,
  type Crl,
  certificateId,
  decodeCrl,
  decodeOcspResponse,
  encodeOcspRequest,
  PkiError,
  type RevocationSource,
  type RevocationStatus,
  statusByCrl,
  verifyCrl,
  verifyOcspResponse,
} from '#pki'

/** Where the authority answers. */
export interface AuthorityAddress {
  /** `https://host:port` */
  readonly baseUrl: string
  /** The one certificate that it may show, PEM or DER. */
  readonly serverCertificate?: string | Uint8Array
  /** Milliseconds for one question; a tap waits no longer before the list decides. */
  readonly timeoutMs?: number
}

/** Revocation as the authority tells it. */
export interface AuthorityRevocation extends RevocationSource {
  /** Fetches the list, so that one is at hand when the authority is away. @throws HttpError, PkiError */
  fetchList(): Promise<void>
  /** @throws HttpError if the authority does not answer */
  reach(): Promise<void>
  close(): Promise<void>
}

const OCSP = { path: '/ocsp', request: 'application/ocsp-request', response: 'application/ocsp-response' }
const CRL = { path: '/crl/user-authentication.crl', type: 'application/pkix-crl', limit: 16 << 20 }

const TIMEOUT = 2 * SECOND
/** Oldest OCSP answer that is taken, and how far the authority's clock may be off. */
const TOLERANCE = { maxAge: MINUTE, clockSkew: 10 * SECOND }
const NONCE_LENGTH = 16
/** A list is fetched again after this long, well before its own end. */
const LIST_AGE = 5 * MINUTE

/**
 * 失効確認 – asks the authority by OCSP; if it does not answer, or not believably, the last list that it published says
 * what it can, `by: 'crl'`. Every answer is verified under the CA that issued the certificate.
 */
export function askAuthority(
  address: AuthorityAddress,
  { clock, random, report }: { clock: Clock; random: Random; report: (error: unknown) => void },
): AuthorityRevocation {
  const { timeoutMs = TIMEOUT, ...server } = address
  const client = createHttpClient({ ...server, clock, timeoutMs })
  let list: { readonly crl: Crl; readonly fetchedAt: Time } | undefined

  let fetching: Promise<void> | undefined
  /** Taps that need the list at once wait for one and the same fetch. */
  function fetchList(): Promise<void> {
    fetching ??= fetchNow().finally(() => {
      fetching = undefined
    })
    return fetching
  }

  async function fetchNow(): Promise<void> {
    const crl = decodeCrl(await client.getBytes(CRL.path, CRL.type, { limit: CRL.limit }))
    list = { crl, fetchedAt: clock.now() }
  }

  async function byOcsp(certificate: Certificate, issuer: Certificate, at: Time): Promise<RevocationStatus> {
    const nonce = random.bytes(NONCE_LENGTH)
    const request = encodeOcspRequest({ ids: [certificateId(certificate, issuer)], nonce })
    const answer = await client.postBytes(OCSP.path, OCSP.request, request, OCSP.response)
    return verifyOcspResponse(decodeOcspResponse(answer), { certificate, issuer, at, nonce, tolerance: TOLERANCE })
  }

  async function byList(certificate: Certificate, issuer: Certificate, at: Time): Promise<RevocationStatus> {
    if (!list || clock.now() - list.fetchedAt > LIST_AGE) await fetchList().catch(expectFailure)
    if (!list) return { state: 'unavailable' }
    return statusByCrl(certificate, verifyCrl(list.crl, issuer, { at, tolerance: 0 }))
  }

  /** What the authority or the network does wrong is reported and means "unavailable"; anything else is our own fault. */
  function expectFailure(error: unknown): { readonly state: 'unavailable' } {
    if (!(error instanceof HttpError) && !(error instanceof PkiError)) throw error
    report(error)
    return { state: 'unavailable' }
  }

  return {
    async status(certificate, issuer, at) {
      const status = await byOcsp(certificate, issuer, at).catch(expectFailure)
      if (status.state !== 'unavailable') return status
      return byList(certificate, issuer, at).catch(expectFailure)
    },
    fetchList,
    reach: () => client.warm(),
    close: () => client.close(),
  }
}
