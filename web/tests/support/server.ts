/** The real server, started for a test on ports of its own, and a broadcaster for it. */

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Pause between two looks at something that will change, ms. */
const LOOK_AGAIN_MS = 50

/** The server's program: `ONAIR_BIN`, else the newest kind of build there is. */
export function serverProgram(): string {
  const candidates = [process.env.ONAIR_BIN, join(root, 'target/release/onair'), join(root, 'target/debug/onair')]
  const program = candidates.find((candidate) => candidate && existsSync(candidate))
  if (!program) throw new Error('there is no onair to test: run `make build`, or name it in ONAIR_BIN')
  return program
}

/** Whether the media worker was built along with the server. */
export const hasMediaWorker = existsSync(join(dirname(serverProgram()), 'onair-worker'))

/** Waits until `check` gives something, or fails with `what` after `timeout` ms. */
export async function eventually<T>(
  what: string | (() => string),
  timeout: number,
  check: () => Promise<T | null | undefined | false>,
): Promise<T> {
  const end = Date.now() + timeout
  for (;;) {
    const value = await check()
    if (value) return value
    if (Date.now() > end) throw new Error(`not within ${timeout} ms: ${typeof what === 'string' ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
  }
}

export class Server {
  readonly url: string
  readonly #mode: 'demo' | 'serve'
  readonly #ports: { http: number; rtmp: number; webRtc: number | null }
  readonly #data: string
  readonly #settings: Record<string, string>
  #process: ChildProcess | null = null
  #log = ''

  private constructor(
    mode: 'demo' | 'serve',
    ports: { http: number; rtmp: number; webRtc: number | null },
    settings: Record<string, string>,
  ) {
    this.#mode = mode
    this.#ports = ports
    this.#settings = settings
    this.#data = mkdtempSync(join(tmpdir(), 'onair-web-'))
    this.url = `http://127.0.0.1:${ports.http}`
  }

  /**
   * @param webRtc whether it takes and sends WebRTC; off, everybody watches over LL-HLS.
   * @param settings more of them, as `ONAIR_SECTION__KEY`.
   */
  static async start(
    mode: 'demo' | 'serve',
    { webRtc = false, settings = {} }: { webRtc?: boolean; settings?: Record<string, string> } = {},
  ): Promise<Server> {
    const ports = { http: await freePort(), rtmp: await freePort(), webRtc: webRtc ? await freePort() : null }
    const server = new Server(mode, ports, settings)
    await server.run()
    return server
  }

  /** Starts the program, for the first time or again on the same ports and data. */
  async run(): Promise<void> {
    const program = spawn(serverProgram(), [this.#mode], {
      cwd: this.#data,
      env: {
        PATH: process.env.PATH,
        HOME: this.#data,
        ONAIR_DATA__DIR: this.#data,
        ONAIR_HTTP__LISTEN: `127.0.0.1:${this.#ports.http}`,
        ONAIR_HTTP__TLS_LISTEN: '127.0.0.1:0',
        ONAIR_TLS__SELF_SIGNED: 'true',
        ONAIR_RTMP__LISTEN: `127.0.0.1:${this.#ports.rtmp}`,
        ONAIR_WEBRTC__LISTEN: this.#ports.webRtc === null ? '' : `127.0.0.1:${this.#ports.webRtc}`,
        ONAIR_BROADCAST__RESUME_WINDOW: '15s',
        ...this.#settings,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#process = program
    const keep = (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-20_000)
    }
    program.stdout?.on('data', keep)
    program.stderr?.on('data', keep)
    await eventually(`the server answers; it said:\n${this.#log}`, 30_000, async () => {
      if (program.exitCode !== null) throw new Error(`the server ended with ${program.exitCode}:\n${this.#log}`)
      return this.#isReady()
    })
  }

  /** Ends the program the way an operator does, and keeps its data. */
  async stop(): Promise<void> {
    const program = this.#process
    this.#process = null
    if (!program || program.exitCode !== null) return
    const ended = new Promise((resolve) => program.once('exit', resolve))
    program.kill('SIGTERM')
    const impatience = setTimeout(() => program.kill('SIGKILL'), 15_000)
    await ended
    clearTimeout(impatience)
  }

  async dispose(): Promise<void> {
    await this.stop()
    rmSync(this.#data, { recursive: true, force: true })
  }

  /** What the server wrote last. */
  get log(): string {
    return this.#log
  }

  /** Makes a channel and returns where its broadcaster publishes. */
  async createChannel(name: string, title: string): Promise<string> {
    const response = await this.operate('/api/v1/channels', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, title }),
    })
    if (response.status !== 201) throw new Error(`no channel: ${response.status} ${await response.text()}`)
    const { stream_key: key } = (await response.json()) as { stream_key: string }
    return `rtmp://127.0.0.1:${this.#ports.rtmp}/live/${key}`
  }

  /** What the operator may ask for. */
  operate(path: string, request: RequestInit = {}): Promise<Response> {
    const token = readFileSync(join(this.#data, 'admin-token'), 'utf8').trim()
    return fetch(`${this.url}${path}`, { ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } })
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/api/v1/server`)).ok
    } catch {
      return false
    }
  }
}

/** An encoder that sends one of the repository's clips over and over, in real time. */
export class Broadcaster {
  readonly #process: ChildProcess

  constructor(address: string, clip = 'h264-aac.flv') {
    const input = join(root, 'media-fixtures', clip)
    const arguments_ = ['-re', '-stream_loop', '-1', '-i', input, '-c', 'copy', '-f', 'flv', address]
    this.#process = spawn('ffmpeg', ['-nostdin', '-loglevel', 'error', ...arguments_], { stdio: 'ignore' })
  }

  /** Gone without a goodbye, like a phone that lost its network. */
  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await ended
  }
}

/** A port that nobody listens on. It has to be known beforehand, since the server is started on it again. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
