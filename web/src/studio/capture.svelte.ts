/** Camera, microphone and screen: what is captured now, and what else there is to choose from. */

import { refusalOf, type Refusal } from './refusal.ts'
import { FRAME_RATE, type Preset } from './quality.ts'

export type Facing = 'user' | 'environment'

export class Capture {
  /** What is previewed and sent. The same object for as long as the kinds of its tracks stay the same. */
  stream = $state.raw<MediaStream | null>(null)
  refusal = $state.raw<Refusal | null>(null)
  cameras = $state.raw<MediaDeviceInfo[]>([])
  microphones = $state.raw<MediaDeviceInfo[]>([])
  cameraId = $state.raw<string | null>(null)
  microphoneId = $state.raw<string | null>(null)
  facing = $state.raw<Facing | null>(null)
  microphoneOn = $state.raw(true)
  cameraOn = $state.raw(true)
  /** The screen is shown in place of the camera. */
  screen = $state.raw(false)
  /** Something is being opened or switched. */
  busy = $state.raw(false)
  /** The phone has taken the camera away for now, for a call or another app. */
  suspended = $state.raw(false)

  readonly #replaced: (track: MediaStreamTrack) => void
  #preset: Preset

  /** @param replaced called when another track takes the place of one of its kind. */
  constructor(preset: Preset, replaced: (track: MediaStreamTrack) => void) {
    this.#preset = preset
    this.#replaced = replaced
  }

  static get screenPossible(): boolean {
    return typeof navigator.mediaDevices?.getDisplayMedia === 'function'
  }

  /** The front camera shows a mirror: nobody knows themselves otherwise. */
  get mirrored(): boolean {
    return !this.screen && this.facing !== 'environment'
  }

  get hasPicture(): boolean {
    return (this.stream?.getVideoTracks().length ?? 0) > 0
  }

  get hasSound(): boolean {
    return (this.stream?.getAudioTracks().length ?? 0) > 0
  }

  /** Asks for camera and microphone. */
  async open(): Promise<void> {
    await this.#attempt(async () => {
      const stream = await this.#openDevices()
      this.#close()
      stream.getTracks().forEach((track) => this.#adopt(track))
      this.stream = stream
    })
  }

  close(): void {
    navigator.mediaDevices?.removeEventListener('devicechange', this.#listDevices)
    this.#close()
    this.stream = null
  }

  async useCamera(id: string): Promise<void> {
    await this.#useVideo({ deviceId: { exact: id } })
  }

  /** The camera on the other side of a phone. */
  async flip(): Promise<void> {
    await this.#useVideo({ facingMode: { ideal: this.facing === 'environment' ? 'user' : 'environment' } })
  }

  async useMicrophone(id: string): Promise<void> {
    await this.#attempt(async () => {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: sound({ deviceId: { exact: id } }) })
      this.#swap(stream.getAudioTracks()[0])
    })
  }

  async shareScreen(): Promise<void> {
    this.busy = true
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: FRAME_RATE }, audio: false })
      const track = stream.getVideoTracks()[0]
      if (!track) return
      track.contentHint = 'detail'
      this.screen = true
      this.#swap(track)
    } catch {
      // Nothing was chosen.
    } finally {
      this.busy = false
    }
  }

  async stopScreen(): Promise<void> {
    await this.#useVideo(chosen(this.cameraId, this.cameras) ?? {})
  }

  setMicrophoneOn(on: boolean): void {
    this.microphoneOn = on
    this.stream?.getAudioTracks().forEach((track) => (track.enabled = on))
  }

  setCameraOn(on: boolean): void {
    this.cameraOn = on
    this.stream?.getVideoTracks().forEach((track) => (track.enabled = on))
  }

  async use(preset: Preset): Promise<void> {
    this.#preset = preset
    const track = this.stream?.getVideoTracks()[0]
    if (!track || this.screen) return
    try {
      await track.applyConstraints(this.#picture({}))
    } catch {
      // The camera keeps its size; the encoder makes it fit.
    }
  }

  async #useVideo(which: MediaTrackConstraints): Promise<void> {
    await this.#attempt(async () => {
      // Phones open one camera at a time.
      this.stream?.getVideoTracks().forEach((track) => this.#drop(track))
      const stream = await navigator.mediaDevices.getUserMedia({ video: this.#picture(which) })
      this.screen = false
      this.#swap(stream.getVideoTracks()[0])
    })
  }

  async #attempt(open: () => Promise<void>): Promise<void> {
    this.busy = true
    try {
      if (!navigator.mediaDevices) throw new Error('there are no media devices')
      await open()
      this.refusal = null
    } catch (error) {
      this.refusal = refusalOf(error, window.isSecureContext)
    } finally {
      this.busy = false
    }
    await this.#listDevices()
  }

  /** Both, or the one that there is. */
  async #openDevices(): Promise<MediaStream> {
    const wanted = {
      video: this.#picture(chosen(this.cameraId, this.cameras) ?? { facingMode: { ideal: 'user' } }),
      audio: sound(chosen(this.microphoneId, this.microphones) ?? {}),
    }
    try {
      return await navigator.mediaDevices.getUserMedia(wanted)
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== 'NotFoundError') throw error
      const kinds = (await navigator.mediaDevices.enumerateDevices()).map(({ kind }) => kind)
      if (kinds.includes('videoinput')) return navigator.mediaDevices.getUserMedia({ video: wanted.video })
      if (kinds.includes('audioinput')) return navigator.mediaDevices.getUserMedia({ audio: wanted.audio })
      throw error
    }
  }

  #picture(which: MediaTrackConstraints): MediaTrackConstraints {
    const { width, height } = this.#preset
    return { ...which, width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: FRAME_RATE } }
  }

  /** Puts a track into the stream, in place of the one of its kind. */
  #swap(track: MediaStreamTrack | undefined): void {
    if (!track) return
    this.#adopt(track)
    const others = this.stream?.getTracks().filter(({ kind }) => kind === track.kind) ?? []
    others.forEach((other) => this.#drop(other))
    // A new object, so that the preview takes notice.
    this.stream = new MediaStream([...(this.stream?.getTracks().filter((kept) => !others.includes(kept)) ?? []), track])
    this.#replaced(track)
  }

  #adopt(track: MediaStreamTrack): void {
    track.enabled = track.kind === 'audio' ? this.microphoneOn : this.cameraOn
    const { deviceId, facingMode } = track.getSettings()
    if (track.kind === 'audio') {
      this.microphoneId = deviceId ?? null
    } else if (!this.screen) {
      this.cameraId = deviceId ?? null
      this.facing = facingMode === 'user' || facingMode === 'environment' ? facingMode : null
    }
    if (track.kind === 'video') {
      this.suspended = track.muted
      track.addEventListener('mute', () => (this.suspended = true))
      track.addEventListener('unmute', () => (this.suspended = false))
    }
    track.addEventListener('ended', this.#ended)
  }

  #drop(track: MediaStreamTrack): void {
    track.removeEventListener('ended', this.#ended)
    track.stop()
  }

  #close(): void {
    this.stream?.getTracks().forEach((track) => this.#drop(track))
  }

  /** Not by us: unplugged, forbidden, or the browser's own button to stop sharing. */
  readonly #ended = (): void => {
    if (this.screen) void this.stopScreen()
    else void this.#reopen()
  }

  async #reopen(): Promise<void> {
    // What has gone is no longer in the list.
    await this.#listDevices()
    await this.open()
    this.stream?.getTracks().forEach((track) => this.#replaced(track))
  }

  readonly #listDevices = async (): Promise<void> => {
    if (!navigator.mediaDevices) return
    navigator.mediaDevices.addEventListener('devicechange', this.#listDevices)
    const devices = await navigator.mediaDevices.enumerateDevices()
    // Without permission they have neither ids nor names.
    this.cameras = devices.filter(({ kind, deviceId }) => kind === 'videoinput' && deviceId !== '')
    this.microphones = devices.filter(({ kind, deviceId }) => kind === 'audioinput' && deviceId !== '')
  }
}

/** The one that was in use, if it is still there: an `ideal` device is only a wish, which browsers weigh with others. */
function chosen(id: string | null, devices: MediaDeviceInfo[]): MediaTrackConstraints | null {
  return id !== null && devices.some(({ deviceId }) => deviceId === id) ? { deviceId: { exact: id } } : null
}

function sound(which: MediaTrackConstraints): MediaTrackConstraints {
  return { ...which, echoCancellation: true, noiseSuppression: true, autoGainControl: true }
}
