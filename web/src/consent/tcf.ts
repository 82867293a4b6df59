/** Consent in the words of the IAB's Transparency and Consent Framework (TCF 2.3, CMP API 2). Pure. */

import { fieldsOf, type Framework } from './framework.ts'
import type { Word } from './word.ts'

/** To store and read on a device (1), to build profiles for advertising (3), and to select advertising by them (4). */
const PURPOSES = [1, 3, 4] as const

/** The viewer has chosen, now or earlier; before that a CMP has only defaults. */
const CHOSEN = new Set<unknown>(['tcloaded', 'useractioncomplete'])

/** Of the API: it has stayed through all of TCF 2. */
const VERSION = 2

export const TCF: Framework = {
  api: '__tcfapi',
  locator: '__tcfapiLocator',
  callKey: '__tcfapiCall',
  returnKey: '__tcfapiReturn',
  version: VERSION,
  commands: ['addEventListener'],
  call: (api, command, callback) => api(command, VERSION, callback),
  read: wordOfTcData,
}

/**
 * What a `TCData` object says. While the viewer is being asked what was known before holds.
 *
 * Whoever runs a server is not on the vendor list, and the server tells bidders of groups of viewers only: no vendor's consent is
 * asked for, the purposes' alone.
 */
export function wordOfTcData(value: unknown): Word | null {
  const data = fieldsOf(value)
  if (!data) return null
  const { gdprApplies } = data
  if (gdprApplies === false) return 'given'
  const isPending = gdprApplies !== true || !CHOSEN.has(data.eventStatus)
  if (isPending) return null
  // Consent that was given to all sites at once has been invalid since 2021.
  if (data.isServiceSpecific === false) return 'refused'
  const consents = fieldsOf(fieldsOf(data.purpose)?.consents)
  return wordOfPurposes((purpose) => consents?.[purpose] === true)
}

/** @param isAgreed whether the viewer has agreed to a purpose. */
export function wordOfPurposes(isAgreed: (purpose: number) => boolean): Word {
  return PURPOSES.every(isAgreed) ? 'given' : 'refused'
}
