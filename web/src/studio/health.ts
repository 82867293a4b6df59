/** How well the broadcast gets through, in words that say what to do. Pure. */

import { seconds } from '../lib/format.ts'
import type { Preset } from './quality.ts'

/** What is known of the way out, over the last seconds; `null`: not known. */
export interface Outflow {
  /** Bits per second. */
  bitrate: number | null
  /** Of the picture that is sent. */
  width: number
  height: number
  framesPerSecond: number | null
  /** From here to the server and back, seconds. */
  roundTrip: number | null
  /** The part of the packets that did not arrive, 0 to 1. */
  loss: number | null
  /** The part of the captured frames that was not sent, 0 to 1. */
  dropped: number | null
  /** The part of the time in which the upload, or the processor, did not allow for the whole picture, 0 to 1. */
  shortOfBandwidth: number
  shortOfProcessor: number
}

export interface Verdict {
  level: 'unknown' | 'good' | 'fair' | 'bad'
  words: string
  /** What helps; empty if nothing is needed. */
  advice: string
}

/** A connection begins slowly and feels its way up: before this nothing is said of the upload, ms. */
const SETTLED_MS = 12_000
/** Loss that retransmission makes good, and loss that shows. */
const LOSS_FAIR = 0.03
const LOSS_BAD = 0.1
/** A round trip that makes retransmissions late, seconds. */
const ROUND_TRIP_LONG = 0.4
/** Short of something for more than this part of the time. */
const OFTEN = 0.5
/** Frames left out that one sees. */
const DROPPED = 0.15
/** Fewer frames than this from a camera: it takes its time, in the dark. */
const FRAMES_FEW = 16

/** @param age since the connection stands, ms; @param still nothing moves in the picture, because it is off or a screen. */
export function verdictOf(flow: Outflow | null, preset: Preset, age: number, still = false): Verdict {
  if (!flow || flow.bitrate === null) return { level: 'unknown', words: 'Measuring the connection…', advice: '' }
  const smaller = flow.height > 0 && Math.min(flow.width, flow.height) < preset.height * 0.9
  if (flow.bitrate === 0) {
    return { level: 'bad', words: 'Nothing gets through', advice: 'Check your connection. It goes on by itself when there is one.' }
  }
  if ((flow.loss ?? 0) > LOSS_BAD) {
    return {
      level: 'bad',
      words: 'Much is lost on the way: the picture breaks up',
      advice: 'Go closer to the Wi-Fi, change the network, or choose a lower quality.',
    }
  }
  if (age > SETTLED_MS && flow.shortOfBandwidth > OFTEN && !still) {
    return {
      level: smaller ? 'bad' : 'fair',
      words: `Your upload is too slow for ${preset.name}: the picture gets ${smaller ? 'smaller' : 'coarser'}`,
      advice: 'Choose a lower quality, or change the network.',
    }
  }
  if (flow.shortOfProcessor > OFTEN) {
    return {
      level: smaller ? 'bad' : 'fair',
      words: `This device is too slow for ${preset.name}${smaller ? ': the picture gets smaller' : ''}`,
      advice: 'Choose a lower quality, or close other apps.',
    }
  }
  if ((flow.dropped ?? 0) > DROPPED && !still) {
    return { level: 'fair', words: 'Frames are left out: it may look jerky', advice: 'Choose a lower quality, or close other apps.' }
  }
  if ((flow.loss ?? 0) > LOSS_FAIR) {
    return { level: 'fair', words: 'Some is lost on the way, and sent again', advice: 'Go closer to the Wi-Fi if you can.' }
  }
  if ((flow.roundTrip ?? 0) > ROUND_TRIP_LONG) {
    return { level: 'fair', words: `The way to the server is long: ${seconds(flow.roundTrip ?? 0)}`, advice: 'Another network may be quicker.' }
  }
  if (flow.framesPerSecond !== null && flow.framesPerSecond < FRAMES_FEW && age > SETTLED_MS && !still) {
    return {
      level: 'fair',
      words: `The camera gives only ${Math.round(flow.framesPerSecond)} frames a second`,
      advice: 'More light helps most cameras.',
    }
  }
  return { level: 'good', words: 'Connection is good', advice: '' }
}
