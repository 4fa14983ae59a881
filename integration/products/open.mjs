// SPDX-License-Identifier: Apache-2.0

import { createServer } from 'node:http'
import { createInterface } from 'node:readline'

// The process's stdout is for answers to its parent; products log there too.
console.log = console.info = console.debug = console.error

// open listens on a free port of the loopback address. A product needs its
// address before it can be built: what comes until `ready` waits for it.
//
// ready tells the parent the address, and has the process end with it: when
// stdin closes. Until then each line on stdin is a command, an object whose
// `do` names one of `commands`, and is answered by a line.
export async function open() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}`
  const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`)

  function ready(handler, commands = {}) {
    server.on('request', handler)
    const lines = createInterface({ input: process.stdin })
    lines.on('line', async (line) => {
      try {
        const { do: name, ...settings } = JSON.parse(line)
        say({ done: await commands[name](settings) ?? null })
      } catch (error) {
        say({ error: String(error) })
      }
    })
    lines.on('close', () => process.exit(0))
    say({ url })
  }
  return { url, ready }
}

// settings are what the parent wants of the product.
export const settings = JSON.parse(process.argv[2] ?? '{}')
