/** Why there is no camera or microphone, and what to do about it, in words. Pure. */

export interface Refusal {
  title: string
  detail: string
  /** Asking again may help. */
  again: boolean
}

/** @param error what `getUserMedia` or `getDisplayMedia` was rejected with; @param secure the page came over HTTPS. */
export function refusalOf(error: unknown, secure: boolean): Refusal {
  if (!secure) {
    return {
      title: 'This page needs HTTPS',
      detail: 'Browsers give camera and microphone only to secure pages. Open this address with https:// in front.',
      again: false,
    }
  }
  switch (error instanceof Error ? error.name : '') {
    case 'NotAllowedError':
      return {
        title: 'Camera and microphone are not allowed',
        detail: 'Allow them for this page: tap the sign beside the address, then try again. If they are allowed there, look into the settings of your phone or computer.',
        again: true,
      }
    case 'NotFoundError':
      return {
        title: 'No camera or microphone found',
        detail: 'Plug one in, then try again.',
        again: true,
      }
    case 'NotReadableError':
    case 'AbortError':
      return {
        title: 'The camera or microphone is busy',
        detail: 'Another app or page is using it. Close that, then try again.',
        again: true,
      }
    case 'OverconstrainedError':
      return {
        title: 'That camera or microphone is gone',
        detail: 'It was unplugged, or has changed. Choose another one.',
        again: true,
      }
    default:
      return {
        title: 'Camera and microphone do not start',
        detail: `The browser says: ${error instanceof Error ? error.message : String(error)}`,
        again: true,
      }
  }
}
