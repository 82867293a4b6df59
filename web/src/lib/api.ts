/** The server's HTTP API as the pages use it. Answers are checked: what is missing or odd becomes `null`, not a crash. */

import { ServerClock } from './clock.ts'

/** One channel as listed and as fetched alone. */
export interface Channel {
  name: string
  title: string
  /** A broadcaster is there. */
  live: boolean
  /** Not live, but the broadcaster went away only a moment ago: viewers wait with the last frame on screen. */
  interrupted: boolean
  /** Since when the broadcaster is there, ms since the Unix epoch. */
  since: number | null
  viewers: number | null
  video: VideoTrack | null
}

/** What is known of the picture before the first frame is decoded. */
export interface VideoTrack {
  codec: string | null
  width: number | null
  height: number | null
  /** Bits per second. */
  bitrate: number | null
}

/** What the pages need to know of the server. */
export interface ServerInfo {
  version: string | null
  /** TCP port of plain RTMP; null when it is off or unknown. */
  rtmpPort: number | null
  /** Whether it takes and sends WebRTC; null if it does not say. */
  webRtc: boolean | null
}

/** Why a request failed, in the terms in which the page reacts to it. */
export type FailureReason = 'missing' | 'unreachable' | 'refused' | 'nonsense'

export class ApiError extends Error {
  readonly reason: FailureReason

  constructor(reason: FailureReason, message: string) {
    super(message)
    this.name = 'ApiError'
    this.reason = reason
  }
}

/** A request that takes longer has failed: the page tries again rather than hang. */
const TIMEOUT_MS = 8000

type Fetch = (url: string, init: RequestInit) => Promise<Response>

export class Api {
  /** Fed by every answer of `server()`. */
  readonly clock = new ServerClock()
  readonly #fetch: Fetch
  readonly #now: () => number

  constructor(fetch: Fetch = (url, init) => globalThis.fetch(url, init), now: () => number = () => performance.now()) {
    this.#fetch = fetch
    this.#now = now
  }

  /** All channels that the server lists. */
  async channels(signal?: AbortSignal): Promise<Channel[]> {
    const body = await this.#json('/api/v1/channels', signal)
    const list = field(body, 'channels')
    if (!Array.isArray(list)) throw new ApiError('nonsense', 'the channel list is not a list')
    return list.map(parseChannel).filter((channel) => channel !== null)
  }

  /** One channel. Fails with `missing` where there is none of that name. */
  async channel(name: string, signal?: AbortSignal): Promise<Channel> {
    const channel = parseChannel(await this.#json(`/api/v1/channels/${encodeURIComponent(name)}`, signal))
    if (!channel) throw new ApiError('nonsense', 'the answer does not describe a channel')
    return channel
  }

  /** What the server says of itself; sets the clock by the way. */
  async server(signal?: AbortSignal): Promise<ServerInfo> {
    const sentAt = this.#now()
    const body = await this.#json('/api/v1/server', signal)
    const serverTime = instant(field(body, 'time'))
    if (serverTime !== null) this.clock.observe({ sentAt, receivedAt: this.#now(), serverTime })
    const ports = field(body, 'ports')
    const webRtc = field(ports, 'webrtc')
    return {
      version: text(field(body, 'version')),
      rtmpPort: port(field(ports, 'rtmp')),
      webRtc: webRtc === undefined ? null : port(webRtc) !== null,
    }
  }

  async #json(url: string, signal?: AbortSignal): Promise<unknown> {
    const request = new AbortController()
    const abort = () => request.abort()
    const timeout = setTimeout(abort, TIMEOUT_MS)
    signal?.addEventListener('abort', abort)
    try {
      const response = await this.#fetch(url, {
        headers: { accept: 'application/json' },
        cache: 'no-store',
        credentials: 'same-origin',
        signal: request.signal,
      })
      return await readJson(url, response)
    } catch (error) {
      if (signal?.aborted || error instanceof ApiError) throw error
      throw new ApiError('unreachable', `no answer from the server: ${String(error)}`)
    } finally {
      clearTimeout(timeout)
      signal?.removeEventListener('abort', abort)
    }
  }
}

async function readJson(url: string, response: Response): Promise<unknown> {
  if (response.status === 404) throw new ApiError('missing', `${url} does not exist`)
  // A proxy answers 502 to 504 while the server behind it restarts.
  if (response.status >= 502) throw new ApiError('unreachable', `${url} answered ${response.status}`)
  if (!response.ok) throw new ApiError('refused', `${url} answered ${response.status}`)
  const body = await response.text()
  try {
    return JSON.parse(body)
  } catch {
    throw new ApiError('nonsense', `${url} did not answer in JSON`)
  }
}

/** Reads one channel object; null if it has no name. */
export function parseChannel(value: unknown): Channel | null {
  const name = text(field(value, 'name'))
  if (!name) return null
  const live = field(value, 'live') === true
  return {
    name,
    title: text(field(value, 'title')) || name,
    live,
    interrupted: !live && field(value, 'interrupted') === true,
    since: live ? instant(field(value, 'since')) : null,
    viewers: viewerTotal(field(value, 'viewers')),
    video: parseVideo(field(value, 'tracks')),
  }
}

function parseVideo(tracks: unknown): VideoTrack | null {
  if (!Array.isArray(tracks)) return null
  const track: unknown = tracks.find((candidate) => field(candidate, 'kind') === 'video')
  if (!track) return null
  return {
    codec: text(field(track, 'codec')),
    width: amount(field(track, 'width')),
    height: amount(field(track, 'height')),
    bitrate: amount(field(track, 'bitrate')),
  }
}

/** A number, or an object of numbers by protocol with or without their total. */
function viewerTotal(value: unknown): number | null {
  if (typeof value !== 'object' || value === null) return amount(value)
  const total = amount(field(value, 'total'))
  if (total !== null) return total
  return Object.values(value).reduce<number>((sum, part) => sum + (amount(part) ?? 0), 0)
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function amount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}

function port(value: unknown): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536 ? value : null
}

/** An RFC 3339 string, or milliseconds since the Unix epoch. */
function instant(value: unknown): number | null {
  const milliseconds = typeof value === 'string' ? Date.parse(value) : value
  return typeof milliseconds === 'number' && Number.isFinite(milliseconds) ? milliseconds : null
}
