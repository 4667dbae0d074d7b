/** All keys, from the list that they work by. */
import { ACTIONS } from '../actions.ts';
import { keyInWords } from '../keys.ts';
import { Dialog } from './dialog.tsx';

const GROUPS = ['Moving', 'Agent', 'Page'] as const;

export function Help() {
  return (
    <Dialog title="Keys" size="wide">
      <div class="help">
        {GROUPS.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {ACTIONS.filter((action) => action.group === group && action.keys.length > 0).map(
                ({ id, label, keys }) => (
                  <div class="help-row" key={id}>
                    <dt>{label}</dt>
                    <dd>
                      {keys.map((key) => (
                        <kbd key={key}>{keyInWords(key)}</kbd>
                      ))}
                    </dd>
                  </div>
                ),
              )}
            </dl>
          </section>
        ))}
      </div>
      <p class="dialog-text aside">Keys rest while you type; Esc leaves the field.</p>
    </Dialog>
  );
}
