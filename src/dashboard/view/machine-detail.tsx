/** The details beside the name of a machine's group: since when it has joined, how, its load and version. */
import { visible } from '../chat/visible.ts';
import { loadOf } from '../state/format.ts';
import { machineCalled } from '../state/network.ts';
import { Since } from './since.tsx';

/** Shows nothing for a machine whose hub is not known. */
export function MachineDetail({ name }: { name: string }) {
  const machine = machineCalled.value.get(name);
  if (machine === undefined) return null;
  const { here, host, status, since, via, load, cpus, version } = machine;
  return (
    <span class="rows-detail rows-machine" data-status={status}>
      {here ? (
        <span>
          this machine
          {host !== undefined && (
            <>
              , <bdi>{visible(host)}</bdi>
            </>
          )}
        </span>
      ) : (
        <span>
          {status === 'lost' ? 'not connected' : 'joined'} <Since at={since} />
          {via !== undefined && (
            <>
              {' '}
              via <bdi>{visible(via)}</bdi>
            </>
          )}
        </span>
      )}
      {status === 'connected' && load !== undefined && <span>load {loadOf(load, cpus)}</span>}
      <span>{visible(version)}</span>
    </span>
  );
}
