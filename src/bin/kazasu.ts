#!/usr/bin/env node
const [major] = process.versions.node.split('.').map(Number)
if ((major ?? 0) < 24) {
  process.stderr.write(
    `Kazasu needs Node 24 and this is Node ${process.versions.node}. In the checkout use \`npm start\` or ` +
      '`npm run -s kazasu -- …`, which bring Node 24 along; elsewhere install Node 24 or later.\n',
  )
  process.exit(2)
}
// A reader that has seen enough (`kazasu … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
const { run } = await import('./commands.ts')
process.exitCode = await run(process.argv)
