import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

const server = process.env.ONAIR_URL ?? 'http://127.0.0.1:8080'

/** What is not the pages'. */
const paths = ['/api', '/hls', '/whep', '/whip', '/events', '/creatives', '/i', '/c']
const toServer = Object.fromEntries(paths.map((path) => [`^${path}/`, server]))

/** Below this size compression costs more than it saves, bytes. */
const WORTH_COMPRESSING = 1024

/** Puts `.br` and `.gz` beside each file that gains by it: the server hands them out as they are. */
function compressed(): Plugin {
  let folder = ''
  return {
    name: 'compressed',
    apply: 'build',
    configResolved: (config) => {
      folder = config.build.outDir
    },
    closeBundle() {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(js|css|html|svg)$/.test(entry.name)) continue
        const path = join(entry.parentPath, entry.name)
        const content = readFileSync(path)
        if (content.length < WORTH_COMPRESSING) continue
        const params = { [constants.BROTLI_PARAM_SIZE_HINT]: content.length }
        writeFileSync(`${path}.br`, brotliCompressSync(content, { params }))
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }))
      }
    },
  }
}

export default defineConfig({
  plugins: [
    svelte(),
    compressed(),
    {
      // In development the pages come from Vite: give every channel's addresses their pages, as the server does.
      name: 'channel-addresses',
      configureServer({ middlewares }) {
        middlewares.use((request, _response, next) => {
          if (/^\/studio\/[a-z0-9-]+(\?.*)?$/.test(request.url ?? '')) request.url = '/studio.html'
          if (/^\/[a-z0-9][a-z0-9-]{1,62}(\?.*)?$/.test(request.url ?? '')) request.url = '/watch.html'
          next()
        })
      },
    },
  ],
  // The build without subtitles, DRM and alternative sounds, none of which these pages use; the types are the same.
  resolve: { alias: [{ find: /^hls\.js$/, replacement: 'hls.js/light' }] },
  build: {
    target: 'es2022',
    // The Content-Security-Policy allows neither data: images nor the inline script of a polyfill.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: { index: 'index.html', watch: 'watch.html', studio: 'studio.html' } },
  },
  server: { proxy: { '/ws': { target: server, ws: true }, ...toServer } },
})
