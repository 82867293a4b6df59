/** What the server tells a page of overlays that it draws itself (`/events/CHANNEL`). Checked; what is odd is left out. Pure. */

import { FORMATS, type Format } from './geometry.ts'

/** How the viewer is to watch. */
export interface Admission {
  /** What the page shows to watch the source; null where the server draws into the programme. */
  token: string | null
}

/** One overlay in media time. */
export interface Placement {
  id: string
  /** A higher one of the same id takes its place. */
  revision: number
  /** Media time at which it is on the screen, from the first to before the second, ms. */
  startMs: number
  endMs: number
  format: Format
  /** A path on this server. */
  image: string
  /** With which the page tells that it was seen; null for what nobody pays for. */
  token: string | null
  /** A path on this server that leads on to the advertiser. */
  click: string | null
  /** On the screen for so long in all, it counts as displayed. */
  displayAfterMs: number
  /** On the screen for so long, it may be closed. */
  closeAfterMs: number
  advertiser: string
  /** Unix milliseconds at media time zero of its broadcast; null if the server does not say. */
  beganAt: number | null
}

/** The MRC wants a second of a still picture. */
const DISPLAY_AFTER_MS = 1000
/** The guidance for overlays lets viewers close them after five seconds. */
const CLOSE_AFTER_MS = 5000
/** Longer texts than this are nobody's name, and no token of ours. */
const MAX_TEXT = 200

/** Reads the data of a `session` event; null if it makes no sense. */
export function parseAdmission(json: string): Admission | null {
  const value = objectOf(json)
  const token = text(value?.token)
  if (value?.delivery === 'program') return { token: null }
  return value?.delivery === 'guided' && token ? { token } : null
}

/** Reads the data of a `placement` event; null if it makes no sense. */
export function parsePlacement(json: string): Placement | null {
  const value = objectOf(json)
  if (!value) return null
  const [id, token, image] = [text(value.id), text(value.token), path(value.image)]
  const [start, end, revision] = [amount(value.start_ns), amount(value.end_ns), amount(value.revision)]
  const format = FORMATS.find((known) => known === value.format)
  const isPaid = value.token !== undefined && value.token !== null
  if (!id || (isPaid && !token) || !image || !format || start === null || end === null || revision === null || end <= start) return null
  return {
    id,
    revision,
    startMs: start / 1e6,
    endMs: end / 1e6,
    format,
    image,
    token,
    click: path(value.click),
    displayAfterMs: Math.max(0, amount(value.display_after_ms) ?? DISPLAY_AFTER_MS),
    closeAfterMs: Math.max(0, amount(value.close_after_ms) ?? CLOSE_AFTER_MS),
    advertiser: typeof value.advertiser === 'string' ? value.advertiser.slice(0, MAX_TEXT) : '',
    beganAt: amount(value.began_at),
  }
}

/** Reads the data of a `withdraw` event: the id; null if it makes no sense. */
export function parseWithdrawal(json: string): string | null {
  return text(objectOf(json)?.id)
}

function objectOf(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT ? value : null
}

/** Nothing but a path on this server: neither another host nor a script. */
function path(value: unknown): string | null {
  const found = text(value)
  return found && /^\/[^/\\]/.test(found) ? found : null
}

function amount(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}
