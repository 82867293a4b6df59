/** Being on the air: the states, what is said in each, and what follows a failure. Pure. */

import type { PeerTrouble } from '../lib/peer.ts'

export type OnAir =
  | 'off'
  | 'connecting'
  | 'live'
  | 'reconnecting'
  /** Somebody else took the channel over. */
  | 'replaced'
  /** The server, or the network, does not let us; the words say why. */
  | 'refused'
  /** The key is not (or no longer) good. */
  | 'signed-out'

/** What happened to the connection. */
export interface Setback {
  trouble: PeerTrouble
  /** The status of the server's refusal, if it was one. */
  status: number | null
  /** The server's words, if it had any. */
  message: string
  /** It has been on the air since the broadcaster wanted to be. */
  wasLive: boolean
  /** How many attempts have failed since it was last on the air, this one included. */
  attempts: number
  /** The channel is live, as the server tells, though this page has no session any more. */
  othersLive: boolean
}

export type Reaction = { next: 'retry' } | { next: 'stop'; state: 'replaced' | 'refused' | 'signed-out'; words: string }

/** So many attempts without a path, and it is the network that does not allow for one. */
const BLOCKED_ATTEMPTS = 3

export function reactionTo(setback: Setback): Reaction {
  const { trouble, status, message, wasLive, attempts, othersLive } = setback
  const refused = (words: string): Reaction => ({ next: 'stop', state: 'refused', words })
  if (trouble === 'closed' && othersLive) return { next: 'stop', state: 'replaced', words: '' }
  if (trouble === 'refused') {
    if (status === 401 || status === 403) return { next: 'stop', state: 'signed-out', words: '' }
    if (status === 404) return refused('The server does not take broadcasts from browsers on this channel.')
    if (status === 429 || status === null || status >= 500) return { next: 'retry' }
    return refused(message)
  }
  if (trouble === 'blocked' && !wasLive && attempts >= BLOCKED_ATTEMPTS) {
    return refused('Your network lets no WebRTC through. Try another network, or an app that sends over RTMP.')
  }
  return { next: 'retry' }
}

/** What is said of a state, over the preview; null where the badge says enough. */
export function onAirWords(state: OnAir, words: string): { title: string; detail: string; busy: boolean } | null {
  switch (state) {
    case 'off':
    case 'live':
    case 'signed-out':
      return null
    case 'connecting':
      return { title: 'Going live…', detail: '', busy: true }
    case 'reconnecting':
      return { title: 'Reconnecting…', detail: 'Your connection broke. Viewers keep the last picture until you are back.', busy: true }
    case 'replaced':
      return {
        title: 'Somebody else is live now',
        detail: 'Another app or page has taken over this channel with its stream key. You can take it back.',
        busy: false,
      }
    case 'refused':
      return { title: 'You are not live', detail: words, busy: false }
  }
}
