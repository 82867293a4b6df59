/** The HTTP side of a WebRTC session, the same for WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep). */

/** An offer that takes longer to be answered has failed, ms. */
const OPEN_MS = 8000
/** The same of a restart: after a change of network the first request may be stuck in a connection that is dead, ms. */
const RESTART_MS = 3000

type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** Why the server did not do as it was asked. */
export class SignallingError extends Error {
  /** The status of its answer; null if there was none. */
  readonly status: number | null
  /** Its word for programs, such as `not_over_webrtc`; null if it gave none. */
  readonly code: string | null
  /** How long it asks to wait before the next attempt, ms. */
  readonly retryAfter: number | null

  /** @param message the server's own words, if it had any. */
  constructor(status: number | null, code: string | null, message: string, retryAfter: number | null = null) {
    super(message)
    this.name = 'SignallingError'
    this.status = status
    this.code = code
    this.retryAfter = retryAfter
  }
}

/** One session, from the offer that opened it to the DELETE that ends it. */
export class SdpSession {
  /** The server's description. */
  readonly answer: string
  readonly #url: string
  readonly #fetch: Fetch
  #closed = false

  private constructor(url: string, answer: string, fetch: Fetch) {
    this.#url = url
    this.answer = answer
    this.#fetch = fetch
  }

  /**
   * Sends an offer. Redirects (307) are followed by `fetch`, and the session's address is relative to where they lead.
   *
   * @throws {SignallingError}
   */
  static async open(
    endpoint: string,
    offer: string,
    fetch: Fetch = (url, init) => globalThis.fetch(url, init),
  ): Promise<SdpSession> {
    const response = await request(fetch, endpoint, OPEN_MS, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp', accept: 'application/sdp' },
      body: offer,
    })
    const location = response.headers.get('location')
    if (response.status !== 201 || !location) {
      throw new SignallingError(response.status, null, 'the server did not say where the session is')
    }
    const url = new URL(location, response.url || new URL(endpoint, globalThis.location?.href)).href
    return new SdpSession(url, await bodyOf(response), fetch)
  }

  /**
   * Begins ICE anew (RFC 9725, 4.3.2).
   *
   * @param fragment one's own new credentials.
   * @returns the server's.
   * @throws {SignallingError}
   */
  async restartIce(fragment: string): Promise<string> {
    const response = await request(this.#fetch, this.#url, RESTART_MS, {
      method: 'PATCH',
      headers: { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '"*"' },
      body: fragment,
    })
    return bodyOf(response)
  }

  /**
   * Ends it, even from a page that is being closed; resolves when the server knows. Idempotent; the server ends by itself
   * what it does not hear of.
   */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await this.#fetch(this.#url, { method: 'DELETE', credentials: 'same-origin', keepalive: true })
    } catch {
      // It will find out.
    }
  }
}

async function request(fetch: Fetch, url: string, limit: number, init: RequestInit): Promise<Response> {
  const timeout = new AbortController()
  const timer = setTimeout(() => timeout.abort(), limit)
  try {
    const response = await fetch(url, { ...init, credentials: 'same-origin', cache: 'no-store', signal: timeout.signal })
    if (!response.ok) throw await refusal(response)
    return response
  } catch (error) {
    if (error instanceof SignallingError) throw error
    throw new SignallingError(null, null, `no answer from the server: ${String(error)}`)
  } finally {
    clearTimeout(timer)
  }
}

async function bodyOf(response: Response): Promise<string> {
  try {
    return await response.text()
  } catch (error) {
    throw new SignallingError(null, null, `the answer broke off: ${String(error)}`)
  }
}

async function refusal(response: Response): Promise<SignallingError> {
  let detail: { code?: unknown; message?: unknown } = {}
  try {
    detail = ((await response.json()) as { error?: typeof detail } | null)?.error ?? {}
  } catch {
    // A proxy's page: the status has to do.
  }
  const seconds = Number.parseFloat(response.headers.get('retry-after') ?? '')
  return new SignallingError(
    response.status,
    typeof detail.code === 'string' ? detail.code : null,
    typeof detail.message === 'string' ? detail.message : `the server answered ${response.status}`,
    seconds >= 0 ? seconds * 1000 : null,
  )
}
