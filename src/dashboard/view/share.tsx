/** The address of this page, and a QR code of it for a phone. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { canCopy, copyText } from '../platform/clipboard.ts';
import { openNode } from '../state/fleet.ts';
import { notify } from '../state/notices.ts';
import { openId } from '../state/opened.ts';
import { hashOf } from '../state/place.ts';
import { nameOf } from '../state/rows.ts';
import { token } from '../state/token.ts';
import { Dialog } from './dialog.tsx';
import { Icon } from './icon.tsx';

const isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname);

export function Share() {
  const [withAgent, setWithAgent] = useState(openId.peek() !== null);
  const [withToken, setWithToken] = useState(false);
  const address = useMemo(() => {
    const place = withAgent ? hashOf(openId.peek()) : '';
    // No browser sends the part behind the # anywhere; the page takes the token out of its address at once.
    const secret = withToken ? `${place === '' ? '#' : '&'}token=${encodeURIComponent(token.peek() ?? '')}` : '';
    return location.origin + location.pathname + place + secret;
  }, [withAgent, withToken]);
  return (
    <Dialog title="Open on another device">
      {isLoopback ? (
        <p class="dialog-text">
          This page came from <code>{location.hostname}</code>, which is this machine for each machine: no other device
          finds it there. Start the hypivisor with <code>HYPI_TOKEN</code> set, and open the page by this machine's name
          or address.
        </p>
      ) : (
        <QrCode text={address} />
      )}
      <p class="share-address">
        <code class="wrap">{withToken ? address.replace(/token=.*/, 'token=…') : address}</code>
        {canCopy && (
          <button
            type="button"
            class="button small"
            onClick={async () => {
              const copied = await copyText(address);
              notify({
                key: 'copy',
                level: copied ? 'info' : 'error',
                text: copied ? 'Address copied.' : 'The browser did not allow it.',
              });
            }}
          >
            <Icon name="copy" /> Copy
          </button>
        )}
      </p>
      {openNode.value !== null && (
        <label class="check">
          <input type="checkbox" checked={withAgent} onChange={(event) => setWithAgent(event.currentTarget.checked)} />
          <span>Open {nameOf(openNode.value)} at once</span>
        </label>
      )}
      {token.value !== null && (
        <label class="check">
          <input type="checkbox" checked={withToken} onChange={(event) => setWithToken(event.currentTarget.checked)} />
          <span>
            With the token, so that nobody must type it
            <small>Whoever sees the code can then drive your agents. It is never sent in an address.</small>
          </span>
        </label>
      )}
      {!canCopy && (
        <p class="dialog-text aside">
          Over plain HTTP browsers give a page no clipboard: select the address to copy it.
        </p>
      )}
    </Dialog>
  );
}

/** Dark on light in every theme, as cameras need it. */
function QrCode({ text }: { text: string }) {
  /** Null if the code cannot be made, because its module could not be loaded. */
  const [code, setCode] = useState<{ path: string; size: number } | null>({ path: '', size: 1 });
  useEffect(() => {
    const draw = async () => {
      const { encode } = await import('uqr');
      const { data, size } = encode(text, { ecc: 'M', border: 2 });
      const path = data.map((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')).join('')).join('');
      setCode({ path, size });
    };
    draw().catch(() => setCode(null));
  }, [text]);
  if (code === null) return <p class="dialog-text">The QR code could not be loaded. The address below is the same.</p>;
  return (
    <figure class="qr">
      <svg viewBox={`0 0 ${code.size} ${code.size}`} aria-hidden="true">
        <path d={code.path} />
      </svg>
      <figcaption class="visually-hidden">QR code of the address below</figcaption>
    </figure>
  );
}
