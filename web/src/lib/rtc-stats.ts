/** Reading the entries of `getStats` (W3C webrtc-stats), of which browsers fill in different parts. Pure. */

export interface StatsEntry {
  readonly id: string
  readonly type: string
  readonly [key: string]: unknown
}

/** The entries of a report as plain objects. */
export function entriesOf(report: RTCStatsReport): StatsEntry[] {
  const entries: StatsEntry[] = []
  report.forEach((entry: StatsEntry) => entries.push(entry))
  return entries
}

/** A number of an entry; null if it is not there. */
export function numberIn(entry: StatsEntry | undefined, key: string): number | null {
  const value = entry?.[key]
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

/** The round trip on the path in use, seconds. */
export function roundTripOf(entries: StatsEntry[]): number | null {
  const transport = entries.find(({ type, selectedCandidatePairId }) => type === 'transport' && selectedCandidatePairId)
  const pairs = entries.filter(({ type }) => type === 'candidate-pair')
  // Firefox has no transport entries, but marks the pair.
  const pair =
    pairs.find(({ id }) => id === transport?.selectedCandidatePairId) ??
    pairs.find(({ selected, nominated, state }) => selected === true || (nominated === true && state === 'succeeded'))
  return numberIn(pair, 'currentRoundTripTime')
}

/** The name of a `codec` entry: as in RFC 6381 where the entry tells enough. */
export function codecName(entry: StatsEntry | undefined): string | null {
  if (typeof entry?.mimeType !== 'string') return null
  const name = entry.mimeType.replace(/^\w+\//, '').toLowerCase()
  const profile = /profile-level-id=([0-9a-f]{6})/i.exec(String(entry.sdpFmtpLine ?? ''))?.[1]
  if (name === 'h264') return profile ? `avc1.${profile.toLowerCase()}` : 'avc1'
  return { h265: 'hvc1', av1: 'av01', vp9: 'vp09', vp8: 'vp08' }[name] ?? name
}
