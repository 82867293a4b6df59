/** Who may go live from this page: the stream key, exchanged for a cookie that no script can read. */

/** What came of asking. */
export type Access =
  | 'granted'
  /** No cookie, or the wrong key. */
  | 'denied'
  | 'missing'
  /** Too many wrong keys: wait. */
  | 'slow-down'
  | 'unreachable'

type Fetch = (url: string, init: RequestInit) => Promise<Response>

export class StudioAccess {
  readonly #url: string
  readonly #fetch: Fetch

  constructor(channel: string, fetch: Fetch = (url, init) => globalThis.fetch(url, init)) {
    this.#url = `/api/v1/channels/${encodeURIComponent(channel)}/studio`
    this.#fetch = fetch
  }

  /** Whether the cookie of an earlier visit is still good. */
  check(): Promise<Access> {
    return this.#ask('GET')
  }

  /** Exchanges the stream key for the cookie. */
  signIn(key: string): Promise<Access> {
    // What a header cannot carry is no key.
    if (!/^[\x21-\x7e]+$/.test(key)) return Promise.resolve('denied')
    return this.#ask('POST', { authorization: `Bearer ${key}` })
  }

  async signOut(): Promise<void> {
    await this.#ask('DELETE')
  }

  async #ask(method: string, headers: Record<string, string> = {}): Promise<Access> {
    try {
      const { ok, status } = await this.#fetch(this.#url, { method, headers, credentials: 'same-origin', cache: 'no-store' })
      if (ok) return 'granted'
      if (status === 404) return 'missing'
      if (status === 429 || status === 503) return 'slow-down'
      return status >= 500 ? 'unreachable' : 'denied'
    } catch {
      return 'unreachable'
    }
  }
}

/** What to say after an attempt with a key. */
export function accessWords(access: Access): string {
  switch (access) {
    case 'granted':
      return ''
    case 'denied':
      return 'This is not the stream key of this channel. Check it, or ask whoever made the channel for a new one.'
    case 'missing':
      return 'There is no such channel. Check the link: a letter may be missing or wrong.'
    case 'slow-down':
      return 'Too many attempts. Wait a minute, then try again.'
    case 'unreachable':
      return 'The server does not answer. Check your connection, then try again.'
  }
}
