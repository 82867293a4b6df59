/** Numbers and times as people read them. */

/** A latency in seconds, to the tenth: `0.8 s`. From ten seconds on whole: `12 s`. */
export function seconds(value: number): string {
  return value < 9.95 ? `${Math.max(0, value).toFixed(1)} s` : `${Math.round(value)} s`
}

/** A bit rate: `850 kbit/s`, `2.4 Mbit/s`. */
export function bitrate(bitsPerSecond: number): string {
  return bitsPerSecond < 999_500
    ? `${Math.round(bitsPerSecond / 1000)} kbit/s`
    : `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`
}

/** A count that stays short: `7`, `1.2K`, `3M`. */
export function count(value: number): string {
  return new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(value)
}

/** How long a broadcast has been going on: `just started`, `on air 12 min`, `on air 3 h 5 min`. */
export function onAir(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000)
  if (minutes < 1) return 'just started'
  if (minutes < 60) return `on air ${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours >= 48) return `on air ${Math.floor(hours / 24)} days`
  return minutes % 60 === 0 ? `on air ${hours} h` : `on air ${hours} h ${minutes % 60} min`
}

/** A running time as clocks show it: `0:07`, `12:34`, `1:02:03`. */
export function elapsed(milliseconds: number): string {
  const total = Math.max(0, Math.floor(milliseconds / 1000))
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}

/** `1 viewer`, `2 viewers`. */
export function viewers(value: number): string {
  return `${count(value)} ${value === 1 ? 'viewer' : 'viewers'}`
}
