// Loaded before a program (node --import): at SIGUSR2 the port in the file KAZASU_DEAF_PORT no longer answers, as if a
// firewall stood before it. The program knows nothing of this.
import { tracingChannel } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'

const servers = []
tracingChannel('net.server.listen').subscribe({ asyncEnd: ({ server }) => servers.push(server) })
process.on('SIGUSR2', () => {
  const port = Number(readFileSync(process.env.KAZASU_DEAF_PORT ?? '', 'utf8'))
  const server = servers.find((one) => one.address()?.port === port)
  server.close()
  server.closeAllConnections()
})
