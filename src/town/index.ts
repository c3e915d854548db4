export { TownError, type TownErrorCode, townFailures } from './failures.ts'
export { type RunningTown, startTownPage, type TownOptions, type TownView, townView } from './server.ts'
export type { Tray, TrayCard } from './tray.ts'
