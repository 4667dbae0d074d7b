/** Stops all agents that work, after a question. */
import { stopAll } from '../state/answers.ts';
import { hide } from '../state/dialogs.ts';
import { counts } from '../state/fleet.ts';
import { plural } from '../state/format.ts';
import { Dialog } from './dialog.tsx';

export function StopAll() {
  const { working } = counts.value;
  return (
    <Dialog title={`Stop ${plural(working, 'agent')}?`}>
      <p class="dialog-text">Each agent that works is told to stop at once. What it has done so far stays.</p>
      <footer class="dialog-footer">
        <button type="button" class="button" onClick={hide}>
          Cancel
        </button>
        <button
          type="button"
          class="button danger-fill"
          disabled={working === 0}
          onClick={() => {
            hide();
            void stopAll();
          }}
        >
          Stop {working === 1 ? 'it' : `all ${working}`}
        </button>
      </footer>
    </Dialog>
  );
}
