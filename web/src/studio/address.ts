/** The stream key in the address: a link `/studio/CHANNEL#key=…` signs in by itself. */

/** Takes the key out of the address bar and the history, and returns it; null if there is none. */
export function keyFromAddress(): string | null {
  const key = keyIn(location.hash)
  if (key !== null) history.replaceState(null, '', location.pathname + location.search)
  return key
}

/** The key in a fragment, which no browser sends to a server; null if there is none. */
export function keyIn(fragment: string): string | null {
  const encoded = /^#key=([^&]+)/.exec(fragment)?.[1]
  if (encoded === undefined) return null
  try {
    return decodeURIComponent(encoded)
  } catch {
    // A percent sign of the key itself.
    return encoded
  }
}
