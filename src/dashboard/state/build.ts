/** If the daemon serves a newer page than this tab has, says so, and loads it when nobody looks. */
import { effect } from '@preact/signals';
import { askServed } from '../platform/build.ts';
import { live, setClockAhead } from './connection.ts';
import { notify } from './notices.ts';

export function watchBuild(): void {
  effect(() => {
    if (!live.value) return;
    void askServed().then((served) => {
      if (served?.clockAhead != null) setClockAhead(served.clockAhead);
      if (!served?.isNewer) return;
      notify({
        key: 'build',
        level: 'info',
        text: 'The hypivisor has a newer page than this tab. It loads when you look away.',
        action: { label: 'Reload now', run: () => location.reload() },
      });
      document.addEventListener('visibilitychange', () => {
        if (document.visibilityState === 'hidden') location.reload();
      });
    });
  });
}
