/** The first choice of the spawn dialog: the machine on which the agent is to run. */
import type { Machine } from '../../protocol/hub.ts';
import { visible } from '../chat/visible.ts';
import { loadOf, memory } from '../state/format.ts';

interface SpawnMachineProps {
  choices: readonly Machine[];
  chosen: Machine | undefined;
  onChoose(machine: Machine): void;
  /** It is chosen: on to the folders. */
  onDone(): void;
}

export function SpawnMachine({ choices, chosen, onChoose, onDone }: SpawnMachineProps) {
  return (
    <fieldset class="spawn-machines">
      <legend>Machine</legend>
      {choices.map((machine) => {
        const isLost = machine.status === 'lost';
        return (
          <label key={machine.id} class="spawn-machine" data-status={machine.status}>
            <input
              type="radio"
              name="machine"
              checked={machine.id === chosen?.id}
              disabled={isLost}
              onChange={() => onChoose(machine)}
              onKeyDown={(event) => {
                if (event.key !== 'Enter') return;
                // Enter would start an agent in the folder that is open now.
                event.preventDefault();
                onDone();
              }}
            />
            <bdi>{visible(machine.name)}</bdi>
            <small>{isLost ? 'not connected' : vacancy(machine)}</small>
          </label>
        );
      })}
    </fieldset>
  );
}

/** The room for another agent. */
function vacancy({ here, load, cpus, memory_free: free }: Machine): string {
  return [
    ...(here ? ['this machine'] : []),
    ...(load === undefined ? [] : [`load ${loadOf(load, cpus)}`]),
    ...(free == null ? [] : [`${memory(free)} free`]),
  ].join(' · ');
}
