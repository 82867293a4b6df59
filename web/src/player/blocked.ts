/** Remembers that this network lets no WebRTC through, so that the next page need not find out by waiting. */

const KEY = 'onair.webrtc-blocked'
/** Networks change: after this long it is tried again, ms. */
const KEPT_MS = 10 * 60_000

export function wasBlocked(now = Date.now()): boolean {
  try {
    const age = now - Number(sessionStorage.getItem(KEY) ?? Number.NaN)
    return age >= 0 && age < KEPT_MS
  } catch {
    return false
  }
}

export function rememberBlocked(now = Date.now()): void {
  try {
    sessionStorage.setItem(KEY, String(now))
  } catch {
    // Storage is forbidden: the next page finds out again.
  }
}

export function forgetBlocked(): void {
  try {
    sessionStorage.removeItem(KEY)
  } catch {
    // It was never kept.
  }
}
