/**
 * Writes the daemon's events to the log.
 */
import type { HubFeature, Hypivisor } from '../server.ts';
import type { Log } from './log.ts';

export function logEvents(hypivisor: Hypivisor, log: Log): void {
  hypivisor.on('roster', (event) => {
    switch (event.event) {
      case 'node_joined':
        log.info('node joined', { id: event.node.id, machine: event.node.machine, port: event.node.port });
        break;
      case 'node_offline':
        log.info('node offline', { id: event.id });
        break;
      case 'node_removed':
        log.info('node removed', { id: event.id });
    }
  });
  hypivisor.on('relayOpened', ({ nodeId, remoteAddress }) => log.info('relay opened', { id: nodeId, remoteAddress }));
  hypivisor.on('relayRefused', ({ nodeId, reason }) => log.warn('relay refused', { id: nodeId, reason }));
  hypivisor.on('relayClosed', ({ nodeId }) => log.info('relay closed', { id: nodeId }));
  hypivisor.on('refused', ({ status, reason, remoteAddress }) => {
    log.warn('request refused', { status, reason, remoteAddress });
  });
  // The advice is logged once, because a misconfigured browser or load balancer tries again and again.
  hypivisor.once('tlsRefused', ({ remoteAddress }) => {
    const advice = 'use http:// and ws://, or put a proxy with TLS in front';
    log.warn(`somebody speaks TLS to this port, which is plain: ${advice}`, { remoteAddress });
  });
  hypivisor.on('agentStarted', ({ remoteAddress, command, folder, processId, output }) => {
    log.info('agent started', { remoteAddress, command: command.join(' '), folder, pid: processId, output });
  });
  hypivisor.on('agentEnded', ({ processId, exitCode, signal, durationMs }) => {
    const how = signal === null ? { exitCode: exitCode ?? -1 } : { signal };
    log.info('agent ended', { pid: processId, ...how, seconds: Math.round(durationMs / 100) / 10 });
  });
  hypivisor.on('hubJoined', ({ name, id, version, features, remoteAddress }) => {
    log.info('hub joined', { hub: name, id, version, features: features.join(','), remoteAddress });
  });
  hypivisor.on('hubLost', ({ name, id }) => log.warn('hub lost', { hub: name, id }));
  hypivisor.on('hubLeft', ({ name, id }) => log.info('hub left', { hub: name, id }));
  hypivisor.on('sharedLeftOut', ({ name, id, nodes }) => {
    log.warn('some nodes of a hub do not fit into the roster', { hub: name, id, nodes });
  });
  hypivisor.on('joined', ({ name, url, features }) => {
    log.info(`joined a hub: ${powerOf(features)}`, { hub: name ?? '', url });
  });
  hypivisor.on('joinLost', ({ name, url, reason }) => {
    log.warn('the hub above is lost', { hub: name ?? '', url, reason: reason ?? '' });
  });
  hypivisor.on('joinRefused', ({ url, reason }) =>
    log.warn('a hub refuses to be joined', { url, reason: reason ?? '' }),
  );
  hypivisor.on('joinFailed', ({ url, reason }) => log.warn('a hub cannot be joined', { url, reason: reason ?? '' }));
  hypivisor.on('laggardClosed', () => log.warn('a reader that did not read was closed'));
  hypivisor.on('warning', (sentence) => log.warn(sentence));
  hypivisor.on('fault', (error) => {
    const { message, stack } = error instanceof Error ? error : { message: String(error) };
    // The first stack frame shows the place. The others only show how Node got there.
    log.fault(message, 'hypivisor', { at: stack?.split('\n')[1]?.trim() ?? 'unknown' });
  });
}

/** What a hub above can do now, in words. */
function powerOf(features: readonly HubFeature[]): string {
  const powers = [
    features.includes('roster') ? 'see this machine’s agents' : [],
    features.includes('relay') ? 'talk to them' : [],
    features.includes('spawn') ? 'list its folders and start agents on it' : [],
  ].flat();
  return powers.length === 0 ? 'it learns the name of this machine' : `who can use it can ${powers.join(', ')}`;
}
