/** Why the picture does not come over WebRTC, in words. Pure. */

import type { Detour } from '../player/choice.ts'

/** One short sentence under the picture; null where there is nothing to say. */
export function detourNote(detour: Detour | null): string | null {
  switch (detour?.obstacle) {
    case undefined:
    // Nobody misses what is not offered.
    case 'absent':
      return null
    case 'unsupported':
      return 'A little later than it could be: this browser has no WebRTC.'
    case 'unsuitable':
      return 'A little later than it could be: this broadcast does not go over WebRTC.'
    case 'blocked':
      return 'A little later than it could be: this network lets no WebRTC through.'
    case 'full':
      return 'A little later than it could be: the server has no room for more over WebRTC.'
    case 'unsteady':
      return 'A little later than it could be: WebRTC did not play steadily here.'
  }
}

/** The whole reason, for the quality panel. */
export function detourReason(detour: Detour): string {
  switch (detour.obstacle) {
    case 'unsupported':
      return 'the browser has none'
    case 'absent':
      return 'the server offers none'
    case 'unsuitable':
      return detour.why
    case 'blocked':
      return 'the network lets none through; tried again now and then'
    case 'full':
      return 'the server is full; tried again soon'
    case 'unsteady':
      return 'it broke off several times; tried again in a while'
  }
}
