/** What the server is told of a viewer so that what is shown suits them. Pure. */

export type Device = 'phone' | 'tablet' | 'desktop' | 'tv'

const TELEVISION = /\b(smart-?tv|web0s|tizen|appletv|googletv|android tv|crkey|bravia|hbbtv|aft[a-z]+)\b/i
/** The shorter side of a phone's screen is less than this, in CSS pixels. */
const TABLET_FROM = 600
const MAX_TAGS = 200

/** @param coarse it is pointed at with a finger. @param shorter side of the screen, in CSS pixels. */
export function deviceOf(userAgent: string, coarse: boolean, shorter: number): Device {
  if (TELEVISION.test(userAgent)) return 'tv'
  if (!coarse) return 'desktop'
  return shorter < TABLET_FROM ? 'phone' : 'tablet'
}

/**
 * What `/events` and the programme are asked with. Tags come from the page's own address, where whoever embeds it puts them.
 *
 * @param language as the browser says it (BCP 47). @param search of the page's address. @param consent the viewer has agreed (`ViewerConsent`).
 */
export function audienceQuery(language: string, device: Device, search: string, consent: boolean): URLSearchParams {
  const query = new URLSearchParams({ device, consent: consent ? '1' : '0' })
  const lang = /^[a-z]{2,3}(?=-|$)/.exec(language.toLowerCase())?.[0]
  const tags = new URLSearchParams(search).get('tags')?.slice(0, MAX_TAGS)
  if (lang) query.set('lang', lang)
  if (tags) query.set('tags', tags)
  return query
}

/** Whether the page is to draw no overlays itself: `?overlays=burned`. @param search of the page's address. */
export function wantsProgramme(search: string): boolean {
  return new URLSearchParams(search).get('overlays') === 'burned'
}
