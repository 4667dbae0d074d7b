/** The parts that the page needs only on request: fetched together, so that the second is there at once. */
export { Help } from './help.tsx';
export { Inspector } from './inspector.tsx';
export { Machines } from './machines.tsx';
export { Palette } from './palette.tsx';
export { Settings } from './settings.tsx';
export { Share } from './share.tsx';
export { Spawn } from './spawn.tsx';
export { StopAll } from './stop-all.tsx';
export { TokenEntry } from './token.tsx';
