/** Chooses the way to play. Players are loaded only when there is something to play. */

import type { Player, PlayerEvents } from './player.ts'

/** The best player this browser has for a channel; null if it has none. */
export async function openPlayer(
  channel: string,
  video: HTMLVideoElement,
  events: PlayerEvents,
): Promise<Player | null> {
  const url = `/hls/${encodeURIComponent(channel)}/index.m3u8`
  const { HlsPlayer } = await import('./hls.ts')
  if (HlsPlayer.supported) return new HlsPlayer(video, url, events)
  const { NativePlayer } = await import('./native.ts')
  return NativePlayer.supportedBy(video) ? new NativePlayer(video, url, events) : null
}
