/** Notices, above everything: errors stay until they are dismissed, the rest goes by itself. */
import { useEffect } from 'preact/hooks';
import { announcement } from '../platform/announce.ts';
import { dismiss, type Notice, notices } from '../state/notices.ts';
import { Icon } from './icon.tsx';

const STAY_MS = 6000;

export function Notices() {
  return (
    <>
      <section class="notices" aria-label="Notices">
        {notices.value.map((notice) => (
          <Toast key={notice.key} notice={notice} />
        ))}
      </section>
      <p class="visually-hidden" role="status">
        {announcement}
      </p>
    </>
  );
}

function Toast({ notice }: { notice: Notice }) {
  const { key, level, text, action } = notice;
  useEffect(() => {
    if (level === 'error' || action !== undefined) return;
    const timer = setTimeout(() => dismiss(key), STAY_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <div class="notice" data-level={level} role={level === 'error' ? 'alert' : 'status'}>
      <p>{text}</p>
      {action && (
        <button
          type="button"
          class="button small"
          onClick={() => {
            dismiss(key);
            action.run();
          }}
        >
          {action.label}
        </button>
      )}
      <button type="button" class="button ghost icon small" aria-label="Dismiss" onClick={() => dismiss(key)}>
        <Icon name="close" />
      </button>
    </div>
  );
}
