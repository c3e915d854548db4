export { type Clock, systemClock } from './clock.ts'
export { type Random, systemRandom } from './random.ts'
export { DAY, HOUR, japanDate, MINUTE, parseTime, SECOND, type Time, timeText } from './time.ts'
export { createVirtualClock, type VirtualClock } from './virtual.ts'
