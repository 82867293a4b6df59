/** Consent in the words of the IAB's Global Privacy Platform (GPP, CMP API 1.1): a section to each law. Pure. */

import { fieldsOf, type Framework } from './framework.ts'
import { wordOfPurposes } from './tcf.ts'
import type { Word } from './word.ts'

/** The number of the European section, whose words are the TCF's. */
const EUROPE = 2
/** The sections of the United States, from number 7 on. */
const UNITED_STATES = [
  'usnat', 'usca', 'usva', 'usco', 'usut', 'usct', 'usfl', 'usmt', 'usor', 'ustx', 'usde', 'usia', 'usne', 'usnh', 'usnj',
  'ustn', 'usmn', 'usmd', 'usin', 'usky', 'usri',
] as const
const FIRST_STATE = 7
const OPT_OUTS = ['SaleOptOut', 'SharingOptOut', 'TargetedAdvertisingOptOut'] as const
const [OPTED_OUT, DID_NOT_OPT_OUT] = [1, 2]
/** A CMP names one section that is in force, two or three where it cannot know. */
const MOST_SECTIONS = 8
/** The segments of a section: its core, and few more. */
const MOST_SEGMENTS = 8

export const GPP: Framework = {
  api: '__gpp',
  locator: '__gppLocator',
  callKey: '__gppCall',
  returnKey: '__gppReturn',
  version: '1.1',
  commands: ['ping', 'addEventListener'],
  call: (api, command, callback) => api(command, callback),
  read: wordOfGpp,
}

/** What a `PingReturn` says, or an event with one in it. While a CMP is not ready what was known before holds. */
export function wordOfGpp(value: unknown): Word | null {
  const outer = fieldsOf(value)
  const ping = fieldsOf(outer?.pingData) ?? outer
  const applicable = ping?.applicableSections
  if (ping?.signalStatus !== 'ready' || !Array.isArray(applicable) || applicable.length > MOST_SECTIONS) return null
  if (!applicable.every(Number.isInteger)) return null
  const sections = fieldsOf(ping.parsedSections)
  // No section applies: -1. What a publisher presets is no section either: 0.
  const words = (applicable as number[]).filter((id) => id > 0).map((id) => wordOfSection(id, sections))
  if (words.includes('refused')) return 'refused'
  // A law that is in force and cannot be read may ask for more than those that can.
  return words.length > 0 && words.every((word) => word === 'given') ? 'given' : 'silent'
}

function wordOfSection(id: number, sections: Record<string, unknown> | null): Word {
  if (id === EUROPE) return wordOfEurope(segmentsOf(sections?.tcfeuv2))
  const state = UNITED_STATES[id - FIRST_STATE]
  return state === undefined ? 'silent' : wordOfState(segmentsOf(sections?.[state]))
}

function wordOfEurope([core]: Record<string, unknown>[]): Word {
  // The specification's name, and the reference implementation's.
  const agreed = core?.PurposeConsent ?? core?.PurposeConsents
  if (!Array.isArray(agreed)) return 'silent'
  if (core?.IsServiceSpecific === false) return 'refused'
  // The specification lists purposes, the reference implementation has a bit for each. Read for the other, neither has all three.
  return wordOfPurposes((purpose) => agreed[purpose - 1] === true || agreed.includes(purpose))
}

/** Not to have opted out is consent there; not to have been asked is nothing. */
function wordOfState(segments: Record<string, unknown>[]): Word {
  const said = segments.flatMap((segment) => OPT_OUTS.map((name) => segment[name]))
  const isOutEverywhere = segments.some(({ Gpc }) => Gpc === true || Gpc === 1)
  if (isOutEverywhere || said.includes(OPTED_OUT)) return 'refused'
  return said.includes(DID_NOT_OPT_OUT) ? 'given' : 'silent'
}

/** By the specification a section is a list of its segments; widely used CMPs have all fields in one object. */
function segmentsOf(section: unknown): Record<string, unknown>[] {
  const segments = Array.isArray(section) ? section.slice(0, MOST_SEGMENTS) : [section]
  return segments.map(fieldsOf).filter((segment) => segment !== null)
}
