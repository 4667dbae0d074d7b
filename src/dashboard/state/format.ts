/** Figures for people: short, and never wider than they must be. Pure. */

/** @param seconds how long; `now`, `12s`, `5m`, `3h`, `2d` */
export function duration(seconds: number): string {
  if (seconds < 1) return 'now';
  if (seconds < 60) return `${Math.floor(seconds)}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** `812`, `1.2k`, `47k`, `1.5M` */
export function count(value: number): string {
  if (value < 1000) return String(Math.round(value));
  if (value < 10_000) return `${(Math.floor(value / 100) / 10).toFixed(1).replace('.0', '')}k`;
  if (value < 1_000_000) return `${Math.floor(value / 1000)}k`;
  return `${(Math.floor(value / 100_000) / 10).toFixed(1).replace('.0', '')}M`;
}

/** US dollars, to the cent; below ten cents, to a tenth of one. */
export function dollars(value: number): string {
  return value > 0 && value < 0.1 ? `$${value.toFixed(3)}` : `$${value.toFixed(2)}`;
}

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 1_000_000) return `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)} kB`;
  return `${(value / 1_000_000).toFixed(1)} MB`;
}

export const percent = (part: number, whole: number): string =>
  whole > 0 ? `${Math.min(Math.round((100 * part) / whole), 999)}%` : '';

/** `3 agents`, `1 agent` */
export const plural = (value: number, one: string, many = `${one}s`): string => `${value} ${value === 1 ? one : many}`;

/** Memory, as machines are sold with it: in binary units, one digit below ten. */
export function memory(value: number): string {
  const mebibytes = value / 2 ** 20;
  if (mebibytes < 1000) return `${Math.round(mebibytes)} MiB`;
  const gibibytes = mebibytes / 1024;
  return `${gibibytes < 9.95 ? gibibytes.toFixed(1).replace('.0', '') : Math.round(gibibytes)} GiB`;
}

/** A load average beside the processors that share it: `0.4 of 8` */
export function loadOf(load: number, cpus: number | undefined): string {
  const short = load < 9.95 ? load.toFixed(1) : String(Math.round(load));
  return cpus === undefined ? short : `${short} of ${cpus}`;
}
