/** What the watch page shows, derived from what is known. Pure. */

import type { FailureReason } from '../lib/api.ts'
import type { PlayerFailure } from '../player/player.ts'

/** Everything that the choice depends on. */
export interface Situation {
  /** The channel as last told by the server; null before the first answer. */
  channel: { live: boolean; interrupted: boolean } | null
  /** Why the latest request for the channel failed, if it did. */
  failure: FailureReason | null
  /** What the picture does. `none`: no player. */
  picture: 'none' | 'opening' | 'playing' | 'waiting' | 'paused'
  /** Why the latest player gave up, until a picture plays again. */
  playerFailure: PlayerFailure | null
  /** This browser has no way to play. */
  unsupported: boolean
  /** Whether anything was played since the page was opened. */
  played: boolean
}

/** One of the things a viewer can be looking at. */
export type Phase =
  | 'loading'
  | 'missing'
  | 'unreachable'
  | 'offline'
  | 'ended'
  | 'unsupported'
  | 'connecting'
  | 'playing'
  | 'paused'
  | 'buffering'
  | 'interrupted'
  | 'reconnecting'

export function phaseOf(situation: Situation): Phase {
  const { channel, failure, picture, playerFailure, unsupported, played } = situation
  // A picture that moves is the best evidence of all: nothing covers it.
  if (picture === 'playing') return 'playing'
  if (failure === 'missing') return 'missing'
  if (failure) return played ? 'reconnecting' : 'unreachable'
  if (!channel) return 'loading'
  if (channel.interrupted) return 'interrupted'
  if (!channel.live) return played ? 'ended' : 'offline'
  if (unsupported || playerFailure === 'codec') return 'unsupported'
  if (picture === 'paused') return 'paused'
  if (playerFailure) return played ? 'reconnecting' : 'connecting'
  if (picture === 'waiting') return 'buffering'
  return 'connecting'
}

/** What is said to the viewer, and whether the last frame stays visible behind it. */
export interface Notice {
  title: string
  detail: string
  /** Something is under way: show that the page is busy. */
  busy: boolean
  /** Cover the picture; otherwise the notice lies over it. */
  cover: boolean
}

/** The words for a phase; null where the picture speaks for itself. */
export function noticeFor(phase: Phase): Notice | null {
  switch (phase) {
    case 'playing':
    case 'paused':
      return null
    case 'loading':
    case 'connecting':
      return { title: 'Connecting…', detail: '', busy: true, cover: false }
    case 'buffering':
      return { title: 'Loading…', detail: '', busy: true, cover: false }
    case 'interrupted':
      return {
        title: 'Reconnecting…',
        detail: 'The broadcaster’s connection broke. The picture comes back by itself when they do.',
        busy: true,
        cover: false,
      }
    case 'reconnecting':
      return {
        title: 'Reconnecting…',
        detail: 'The connection to the server broke. Trying again.',
        busy: true,
        cover: false,
      }
    case 'unreachable':
      return {
        title: 'The server does not answer',
        detail: 'Your network or the server is down. This page keeps trying.',
        busy: true,
        cover: true,
      }
    case 'offline':
      return {
        title: 'Not live yet',
        detail: 'Leave this page open: the picture starts by itself when the broadcast does.',
        busy: false,
        cover: true,
      }
    case 'ended':
      return {
        title: 'The broadcast has ended',
        detail: 'If it goes live again, the picture starts by itself.',
        busy: false,
        cover: true,
      }
    case 'missing':
      return {
        title: 'There is no such channel',
        detail: 'Check the link: a letter may be missing or wrong.',
        busy: false,
        cover: true,
      }
    case 'unsupported':
      return {
        title: 'Your browser cannot play this broadcast',
        detail: 'It has no decoder for the video format used. Try a current Chrome, Edge, Safari or Firefox.',
        busy: false,
        cover: true,
      }
  }
}
