/** The few lines of SDP (RFC 8866) that the pages read or change. Pure. */

/** Lines of a description from one `m=` line to the next; the first section is what stands before them all. */
function sectionsOf(sdp: string): string[][] {
  const sections: string[][] = [[]]
  for (const line of sdp.split(/\r?\n/)) {
    if (line === '') continue
    if (line.startsWith('m=')) sections.push([])
    sections.at(-1)?.push(line)
  }
  return sections
}

function textOf(sections: string[][]): string {
  return sections.flat().map((line) => `${line}\r\n`).join('')
}

/** The offer with Opus in stereo: without `stereo=1` (RFC 7587, 6.1) browsers decode it to one channel. */
export function wantStereo(sdp: string): string {
  const payload = /^a=rtpmap:(\d+) opus\/48000\/2\r?$/im.exec(sdp)?.[1]
  if (payload === undefined || new RegExp(`^a=fmtp:${payload} .*\\bstereo=`, 'm').test(sdp)) return sdp
  const parameters = new RegExp(`^(a=fmtp:${payload} [^\\r\\n]*)`, 'm')
  if (parameters.test(sdp)) return sdp.replace(parameters, '$1;stereo=1')
  return sdp.replace(new RegExp(`^(a=rtpmap:${payload} [^\\r\\n]*)`, 'm'), `$1\r\na=fmtp:${payload} stereo=1`)
}

/**
 * The RTP timestamp at zero of the sender's media clock, of the first picture that is described (RFC 7273, 5.2); null if it is not
 * told.
 */
export function mediaClockOffset(sdp: string): number | null {
  const picture = sectionsOf(sdp).find(([first]) => first?.startsWith('m=video'))
  const told = picture?.map((line) => /^a=mediaclk:direct=(\d{1,10})\b/.exec(line)?.[1]).find((offset) => offset !== undefined)
  return told === undefined || Number(told) >= 2 ** 32 ? null : Number(told)
}

/**
 * What the body of a PATCH says of one's own ICE (RFC 9725, 4.3; RFC 8840, 9): credentials and candidates of a bundled
 * description stand in its first media section.
 */
export function iceFragment(sdp: string): string {
  const [session = [], first = []] = sectionsOf(sdp)
  const kept = (lines: string[], names: RegExp) => lines.filter((line) => names.test(line))
  return textOf([
    kept(session, /^a=(ice-options|group|ice-ufrag|ice-pwd)\b/),
    kept(first, /^(m=|a=(mid|ice-ufrag|ice-pwd|candidate|end-of-candidates)\b)/),
  ])
}

/**
 * The peer's description with the ICE that it answered to a restart. Candidates are replaced only if it sent any: its
 * addresses have rarely changed.
 *
 * @throws if the fragment has no credentials.
 */
export function withIce(sdp: string, fragment: string): string {
  const lines = fragment.split(/\r?\n/)
  const credentials = ['a=ice-ufrag:', 'a=ice-pwd:'].map((name) => lines.find((line) => line.startsWith(name)))
  if (credentials.includes(undefined)) throw new Error('the answer to the ICE restart has no credentials')
  const candidates = lines.filter((line) => /^a=(candidate|end-of-candidates)\b/.test(line))
  const dropped = candidates.length > 0 ? /^a=(ice-ufrag|ice-pwd|candidate|end-of-candidates)\b/ : /^a=ice-(ufrag|pwd)\b/
  const sections = sectionsOf(sdp).map((section) => section.filter((line) => !dropped.test(line)))
  return textOf(
    sections.map((section, index) => {
      if (index === 0) return section
      // Candidates of a bundle belong to its first section only.
      return [...section, ...credentials.filter((line) => line !== undefined), ...(index === 1 ? candidates : [])]
    }),
  )
}
