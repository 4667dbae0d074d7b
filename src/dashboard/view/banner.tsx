/** Says calmly what is wrong with the connection to the daemon. */
import { useEffect } from 'preact/hooks';
import { announce } from '../platform/announce.ts';
import { bannerShown, daemon, live, retryNow } from '../state/connection.ts';
import { nodes } from '../state/fleet.ts';
import { Icon } from './icon.tsx';

export function Banner() {
  const isShown = bannerShown.value && !live.value;
  useEffect(() => {
    if (isShown) announce('There is no connection to the hypivisor.');
  }, [isShown]);
  if (!bannerShown.value || live.value || daemon.value.obstacle === 'token') return null;
  const { obstacle, downSince, met } = daemon.value;
  const since =
    downSince === null ? '' : new Date(downSince).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  return (
    <div class="banner" data-kind="error">
      <Icon name="warning" />
      <p>
        {obstacle === 'refused' ? (
          <>
            The hypivisor answers, but refuses this page. If it should not, start it with{' '}
            <code>--allow-origin {location.origin}</code>
          </>
        ) : (
          <>
            <b>No connection to the hypivisor{met && since !== '' ? ` since ${since}` : ''}.</b>{' '}
            {nodes.value.size > 0 ? 'What you see is what was last known. ' : ''}The page tries again by itself.
          </>
        )}
      </p>
      <button type="button" class="button small" onClick={retryNow}>
        Try now
      </button>
    </div>
  );
}
