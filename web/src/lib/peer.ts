/** One WebRTC connection to the server, over WHIP or WHEP: opened, kept through a change of network, closed. */

import { iceFragment, withIce } from './sdp.ts'
import { SdpSession, SignallingError } from './sdp-session.ts'

/** From the answer to a working path: a few round trips. Behind a firewall without UDP nothing ever comes, ms. */
const CONNECT_MS = 3500
/** A path that is silent may come back by itself for this long, ms. */
const DISCONNECTED_MS = 1000
/** The whole time that a broken path may take to be replaced, ms. */
const RECOVERY_MS = 12_000
/** How long a server may take to hear of the end before the connection is closed regardless, ms. */
const FAREWELL_MS = 1000
/** Pause between two attempts to reach the server for it, ms. */
const RESTART_AGAIN_MS = 1000

/** What went wrong. */
export type PeerTrouble =
  /** The server said no; `refusal` has its reason. */
  | 'refused'
  /** The server could not be asked. */
  | 'unreachable'
  /** It answered, but no media path to it works. */
  | 'blocked'
  /** There was a path, and no new one was found. */
  | 'lost'
  /** The server ended the session. */
  | 'closed'

export class PeerFailure extends Error {
  readonly trouble: PeerTrouble
  readonly refusal: SignallingError | null

  constructor(trouble: PeerTrouble, message: string, refusal: SignallingError | null = null) {
    super(message)
    this.name = 'PeerFailure'
    this.trouble = trouble
    this.refusal = refusal
  }
}

/** The part of Network Information that tells Wi-Fi from mobile; elsewhere absent. */
interface NetworkInformation extends EventTarget {
  readonly type?: string
}

/**
 * The offer is posted at once, without candidates: the server is ICE-lite and learns the address from the first check.
 * A silent path, or news of another network, leads to an ICE restart; so a session outlives the way from Wi-Fi to mobile.
 */
export class Peer {
  readonly connection: RTCPeerConnection
  readonly #endpoint: string
  readonly #failed: (failure: PeerFailure) => void
  readonly #network = (navigator as Navigator & { connection?: NetworkInformation }).connection
  #networkType = this.#network?.type
  #session: SdpSession | null = null
  #connected = false
  #closed = false
  #restarting = false
  #suspicion: ReturnType<typeof setTimeout> | undefined
  #deadline: ReturnType<typeof setTimeout> | undefined

  /** @param failed called once, when it has given up; `close` it. */
  constructor(endpoint: string, failed: (failure: PeerFailure) => void) {
    this.#endpoint = endpoint
    this.#failed = failed
    this.connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
  }

  /** Offers what was added to `connection`. @param adjust changes the offer before it is used. */
  async open(adjust: (offer: string) => string = (offer) => offer): Promise<void> {
    const { connection } = this
    connection.addEventListener('connectionstatechange', this.#stateChanged)
    window.addEventListener('online', this.#networkChanged)
    window.addEventListener('pagehide', this.#leaving)
    this.#network?.addEventListener('change', this.#connectionChanged)
    try {
      const offer = adjust((await connection.createOffer()).sdp ?? '')
      await connection.setLocalDescription({ type: 'offer', sdp: offer })
      const session = await SdpSession.open(this.#endpoint, offer)
      // Nobody wants it any more.
      if (this.#closed) return void session.close()
      this.#session = session
      await connection.setRemoteDescription({ type: 'answer', sdp: session.answer })
      this.#watchTransport()
      if (!this.#connected) this.#giveUpAfter(CONNECT_MS, 'blocked', 'no path to the server in time')
    } catch (error) {
      this.#giveUp(failureOf(error))
    }
  }

  /** What the server answered; empty before it has. */
  get answer(): string {
    return this.#session?.answer ?? ''
  }

  /** Ends the session. Idempotent; `failed` is not called after it. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#suspicion)
    clearTimeout(this.#deadline)
    this.connection.removeEventListener('connectionstatechange', this.#stateChanged)
    window.removeEventListener('online', this.#networkChanged)
    window.removeEventListener('pagehide', this.#leaving)
    this.#network?.removeEventListener('change', this.#connectionChanged)
    void this.#sayFarewell()
  }

  readonly #leaving = (): void => void this.#session?.close()

  /** The request first: a session that has ended with its connection could not be found any more. */
  async #sayFarewell(): Promise<void> {
    await Promise.race([this.#session?.close(), new Promise((resolve) => setTimeout(resolve, FAREWELL_MS))])
    this.connection.close()
  }

  readonly #networkChanged = (): void => {
    if (this.#connected) void this.#restart()
  }

  readonly #connectionChanged = (): void => {
    // The event also tells of new estimates of speed.
    if (this.#network?.type === this.#networkType) return
    this.#networkType = this.#network?.type
    this.#networkChanged()
  }

  readonly #stateChanged = (): void => {
    clearTimeout(this.#suspicion)
    switch (this.connection.connectionState) {
      case 'connected':
        this.#connected = true
        clearTimeout(this.#deadline)
        this.#deadline = undefined
        return
      case 'disconnected':
        this.#suspicion = setTimeout(() => void this.#restart(), DISCONNECTED_MS)
        return
      case 'failed':
        if (!this.#connected) this.#giveUp(new PeerFailure('blocked', 'no path to the server works'))
        else void this.#restart()
    }
  }

  /** A server that ends a session says so with a close_notify of DTLS, at once. */
  #watchTransport(): void {
    const { receiver } = this.connection.getTransceivers()[0] ?? {}
    const transport = receiver?.transport
    transport?.addEventListener('statechange', () => {
      if (transport.state === 'closed') this.#giveUp(new PeerFailure('closed', 'the server ended the session'))
    })
  }

  async #restart(): Promise<void> {
    if (this.#restarting || this.#closed || !this.#session) return
    this.#restarting = true
    if (this.#deadline === undefined) this.#giveUpAfter(RECOVERY_MS, 'lost', 'the path broke, and no other was found')
    while (!this.#closed && !(await this.#restartOnce(this.#session))) {
      await new Promise((resolve) => setTimeout(resolve, RESTART_AGAIN_MS))
    }
    this.#restarting = false
  }

  /** Whether it is done with: the answer was taken, or there is nothing to restart. */
  async #restartOnce(session: SdpSession): Promise<boolean> {
    const { connection } = this
    const before = connection.remoteDescription?.sdp ?? ''
    try {
      const offer = await connection.createOffer({ iceRestart: true })
      await connection.setLocalDescription(offer)
      const answer = await session.restartIce(iceFragment(connection.localDescription?.sdp ?? ''))
      await connection.setRemoteDescription({ type: 'answer', sdp: withIce(before, answer) })
      return true
    } catch (error) {
      if (this.#closed) return true
      if (error instanceof SignallingError && (error.status === 404 || error.status === 410)) {
        this.#giveUp(new PeerFailure('closed', 'the session is no more', error))
        return true
      }
      // A restart that failed leaves the session as it was (RFC 9725, 4.3.2).
      if (connection.signalingState === 'have-local-offer') await connection.setLocalDescription({ type: 'rollback' })
      const unreachable = error instanceof SignallingError && error.status === null
      return !unreachable && connection.connectionState === 'connected'
    }
  }

  #giveUpAfter(wait: number, trouble: PeerTrouble, message: string): void {
    this.#deadline = setTimeout(() => {
      this.#deadline = undefined
      // A restart for the sake of a better network need not have interrupted anything.
      if (this.connection.connectionState !== 'connected') this.#giveUp(new PeerFailure(trouble, message))
    }, wait)
  }

  #giveUp(failure: PeerFailure): void {
    if (this.#closed) return
    if (failure.trouble === 'closed') this.#session = null
    this.close()
    this.#failed(failure)
  }
}

function failureOf(error: unknown): PeerFailure {
  if (!(error instanceof SignallingError)) return new PeerFailure('refused', String(error))
  return new PeerFailure(error.status === null ? 'unreachable' : 'refused', error.message, error)
}
