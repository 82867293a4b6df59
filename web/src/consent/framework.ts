/** How a consent management platform (CMP) is spoken to: the IAB's frameworks differ in names only. Pure. */

import type { Word } from './word.ts'

/** A CMP calls back with what it knows, and whether that is an answer. */
export type Callback = (returnValue: unknown, success: unknown) => void

/** What a CMP puts into its page. */
export type CmpFunction = (...parameters: unknown[]) => void

export interface Framework {
  /** The name of the function that a CMP puts into its page. */
  readonly api: string
  /** The name of the frame by which frames further down know whom to ask. */
  readonly locator: string
  /** Under these keys calls go up and returns come down in messages. */
  readonly callKey: string
  readonly returnKey: string
  /** Of the API, as it is told in calls. */
  readonly version: number | string
  /** What is asked: to be told now, and whenever it changes. */
  readonly commands: readonly string[]
  /** Asks a CMP in this very page. */
  call(api: CmpFunction, command: string, callback: Callback): void
  /** What a `returnValue` says of consent; null if it says nothing that was not known before, or makes no sense. */
  read(returnValue: unknown): Word | null
}

/** Longer texts than this are no return: one that names every vendor there is takes less than a quarter of it. */
const MAX_TEXT = 256 * 1024

/** The message by which a CMP further up is asked. */
export function callMessage({ callKey, version }: Framework, command: string, callId: string): Record<string, unknown> {
  return { [callKey]: { command, parameter: null, version, callId } }
}

export interface Return {
  callId: string
  returnValue: unknown
  success: unknown
}

/** What a message brings back; null if it is none of this framework's. CMPs that were asked by an object may answer in JSON. */
export function returnOf({ returnKey }: Framework, message: unknown): Return | null {
  const back = fieldsOf(fieldsOf(typeof message === 'string' ? parsed(message, returnKey) : message)?.[returnKey])
  if (!back || typeof back.callId !== 'string') return null
  return { callId: back.callId, returnValue: back.returnValue, success: back.success }
}

/** The fields of an object; null for everything else, lists included. */
export function fieldsOf(value: unknown): Record<string, unknown> | null {
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isRecord ? (value as Record<string, unknown>) : null
}

function parsed(text: string, key: string): unknown {
  if (text.length > MAX_TEXT || !text.includes(key)) return null
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
