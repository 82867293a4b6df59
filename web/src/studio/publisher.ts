/** One WHIP session: camera and microphone to the server. */

import { Peer, type PeerFailure } from '../lib/peer.ts'
import { entriesOf } from '../lib/rtc-stats.ts'
import { preferredCodecs } from './codecs.ts'
import { Outbound } from './outbound.ts'
import { AUDIO_BITRATE, FRAME_RATE, scaleFor, type Preset } from './quality.ts'

/** How often the statistics are read, ms. */
const SAMPLE_MS = 1000

export interface PublisherEvents {
  /** The path to the server stands: what is sent arrives. */
  connected(): void
  /** It has given up; `close` it. */
  failed(failure: PeerFailure): void
}

export class Publisher {
  readonly outbound = new Outbound()
  readonly #peer: Peer
  readonly #events: PublisherEvents
  readonly #stream: MediaStream
  #preset: Preset
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(channel: string, stream: MediaStream, preset: Preset, events: PublisherEvents) {
    this.#stream = stream
    this.#preset = preset
    this.#events = events
    this.#peer = new Peer(`/whip/${encodeURIComponent(channel)}`, (failure) => events.failed(failure))
  }

  start(): void {
    const { connection } = this.#peer
    for (const track of this.#stream.getTracks()) {
      const transceiver = connection.addTransceiver(track, {
        direction: 'sendonly',
        streams: [this.#stream],
        sendEncodings: [this.#encodingFor(track)],
      })
      if (track.kind === 'video') prefer(transceiver)
    }
    connection.addEventListener('connectionstatechange', () => {
      if (connection.connectionState === 'connected') this.#events.connected()
    })
    this.#timer = setInterval(() => void this.#sample(), SAMPLE_MS)
    void this.#peer.open().then(() => this.#applyToAll())
  }

  close(): void {
    clearInterval(this.#timer)
    this.#peer.close()
  }

  /** Sends another track in place of one of its kind, without negotiating anew; false if none of its kind is sent. */
  async replace(track: MediaStreamTrack): Promise<boolean> {
    const sender = this.#senders().find((candidate) => candidate.track?.kind === track.kind)
    if (!sender) return false
    await sender.replaceTrack(track)
    await this.#apply(sender)
    return true
  }

  async use(preset: Preset): Promise<void> {
    this.#preset = preset
    await this.#applyToAll()
  }

  #senders(): RTCRtpSender[] {
    return this.#peer.connection.getSenders()
  }

  async #applyToAll(): Promise<void> {
    for (const sender of this.#senders()) await this.#apply(sender)
  }

  async #apply(sender: RTCRtpSender): Promise<void> {
    const { track } = sender
    const parameters: RTCRtpSendParameters & { degradationPreference?: string } = sender.getParameters()
    const [encoding] = parameters.encodings ?? []
    if (!track || !encoding) return
    Object.assign(encoding, this.#encodingFor(track))
    // A picture that gets smaller is easier to watch than one that gets stuck; text on a screen is the other way round.
    if (track.kind === 'video') {
      parameters.degradationPreference = track.contentHint === 'detail' ? 'maintain-resolution' : 'maintain-framerate'
    }
    try {
      await sender.setParameters(parameters)
    } catch {
      // The connection is closing, or the browser knows no such preference: what it does by itself will do.
    }
  }

  #encodingFor(track: MediaStreamTrack): RTCRtpEncodingParameters {
    if (track.kind === 'audio') return { maxBitrate: AUDIO_BITRATE }
    const { width, height } = track.getSettings()
    return {
      maxBitrate: this.#preset.bitrate,
      maxFramerate: FRAME_RATE,
      scaleResolutionDownBy: scaleFor(this.#preset, width, height),
    }
  }

  async #sample(): Promise<void> {
    this.outbound.observe(performance.now(), entriesOf(await this.#peer.connection.getStats()))
  }
}

function prefer(transceiver: RTCRtpTransceiver): void {
  const codecs = preferredCodecs(RTCRtpSender.getCapabilities('video')?.codecs ?? [])
  if (codecs.length === 0) return
  try {
    transceiver.setCodecPreferences(codecs)
  } catch {
    // Some browsers take only what they can receive as well; their own order has H.264 or VP8, too.
  }
}
