/** Which video codecs to offer, and in which order. Pure. */

/** As in `RTCRtpCapabilities`. */
export interface Codec {
  readonly mimeType: string
  readonly sdpFmtpLine?: string
}

/** Retransmission and redundancy: no codecs by themselves, but needed beside one. */
const HELPERS = ['video/rtx', 'video/red', 'video/ulpfec', 'video/flexfec-03']

/**
 * Constrained baseline first: it reaches every output of the server and has no B-frames, then what else is H.264, then
 * VP8. The newer codecs cost a phone too much and cannot be handed on to everybody. Empty if none is there: then the
 * browser's own order stands.
 */
export function preferredCodecs<T extends Codec>(codecs: readonly T[]): T[] {
  const wanted = codecs.filter((codec) => rank(codec) < Number.POSITIVE_INFINITY)
  if (wanted.length === 0) return []
  const helpers = codecs.filter(({ mimeType }) => HELPERS.includes(mimeType.toLowerCase()))
  return [...wanted.sort((a, b) => rank(a) - rank(b)), ...helpers]
}

function rank({ mimeType, sdpFmtpLine = '' }: Codec): number {
  if (/^video\/vp8$/i.test(mimeType)) return 4
  if (!/^video\/h264$/i.test(mimeType)) return Number.POSITIVE_INFINITY
  const profile = /profile-level-id=([0-9a-f]{4})/i.exec(sdpFmtpLine)?.[1]?.toLowerCase() ?? ''
  const fragmented = /packetization-mode=1/.test(sdpFmtpLine) ? 0 : 2
  // 42e0: baseline with the constraints that make it part of main and high, too.
  return fragmented + (profile === '42e0' ? 0 : profile.startsWith('42') ? 0.5 : 1)
}
