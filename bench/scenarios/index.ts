import type { Scenario } from '../scenario.ts';
import { connectionMemory } from './connection-memory.ts';
import { echo } from './echo.ts';
import { growth } from './growth.ts';
import { handshake } from './handshake.ts';
import { http } from './http.ts';
import { registryBroadcast } from './registry-broadcast.ts';
import { registryDashboards } from './registry-dashboards.ts';
import { registryRestart } from './registry-restart.ts';
import { registryStorm } from './registry-storm.ts';
import { relayBack } from './relay-back.ts';
import { relayBulk } from './relay-bulk.ts';
import { relayCount } from './relay-count.ts';
import { relayFlood } from './relay-flood.ts';
import { relayHubsLatency, relayHubsMemory, relayHubsThroughput } from './relay-hubs.ts';
import { relayLatency } from './relay-latency.ts';
import { relayMemory } from './relay-memory.ts';
import { relayOpen } from './relay-open.ts';
import { relayPingPong } from './relay-ping-pong.ts';
import { relayStream } from './relay-stream.ts';
import { startCpu, startFirstByte } from './start.ts';

/** In the order of the report. */
export const SCENARIOS: readonly Scenario[] = [
  echo,
  handshake,
  relayPingPong,
  relayLatency,
  relayStream,
  relayFlood,
  relayBulk,
  relayCount,
  relayMemory,
  relayOpen,
  relayBack,
  relayHubsThroughput,
  relayHubsLatency,
  relayHubsMemory,
  registryBroadcast,
  registryStorm,
  registryRestart,
  registryDashboards,
  growth,
  connectionMemory,
  startCpu,
  startFirstByte,
  http,
];
