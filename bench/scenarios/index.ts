import type { Scenario } from '../scenario.ts';
import { echo } from './echo.ts';
import { registryBroadcast } from './registry-broadcast.ts';
import { relayBulk } from './relay-bulk.ts';
import { relayCount } from './relay-count.ts';
import { relayFlood } from './relay-flood.ts';
import { relayLatency } from './relay-latency.ts';
import { relayMemory } from './relay-memory.ts';
import { relayPingPong } from './relay-ping-pong.ts';
import { relayStream } from './relay-stream.ts';

/** In the order of the report. */
export const SCENARIOS: readonly Scenario[] = [
  echo,
  relayPingPong,
  relayLatency,
  relayStream,
  relayFlood,
  relayBulk,
  relayCount,
  relayMemory,
  registryBroadcast,
];
