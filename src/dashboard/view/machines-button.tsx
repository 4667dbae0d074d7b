/** Opens the list of machines; says how many there are, and whether one is not connected. */
import { show } from '../state/dialogs.ts';
import { lostCount, machines } from '../state/network.ts';
import { Icon } from './icon.tsx';

/** Shows nothing if the daemon tells of no machines. */
export function MachinesButton() {
  const { size } = machines.value;
  if (size === 0) return null;
  const lost = lostCount.value;
  return (
    <button
      type="button"
      class="button ghost icon machines-button"
      aria-label={size === 1 ? 'Machines' : `Machines: ${size}${lost > 0 ? `, ${lost} not connected` : ''}`}
      title="Machines (m)"
      data-lost={lost > 0}
      onClick={() => show('machines')}
    >
      <Icon name="machine" />
      {size > 1 && <span aria-hidden="true">{size}</span>}
    </button>
  );
}
