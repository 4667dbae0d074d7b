/**
 * The open place, in the part of the address after the `#`, which no browser sends anywhere: `#/agent/<id>`. Pure.
 */

/** @returns the agent's id; null for the roster */
export function agentOf(hash: string): string | null {
  const match = /^#\/agent\/(.+)$/.exec(hash);
  if (match === null) return null;
  try {
    return decodeURIComponent(match[1] as string);
  } catch {
    return match[1] as string;
  }
}

export const hashOf = (agent: string | null): string => (agent === null ? '' : `#/agent/${encodeURIComponent(agent)}`);

/**
 * A token that came with the address, as in a link for a phone (`#token=…`, beside `/agent/…` or alone), or as is usual
 * (`?token=…`); and the address without it.
 *
 * @param address with query and fragment
 */
export function takeToken(address: string): { token: string | null; address: string } {
  const url = new URL(address);
  let token: string | null = null;
  const inHash = /[#&]token=([^&]*)/.exec(url.hash);
  if (inHash !== null) {
    token = decode(inHash[1] as string);
    url.hash = url.hash.replace(inHash[0], '');
  }
  const query = url.search.slice(1).split('&').filter(Boolean);
  const inQuery = query.find((pair) => pair.startsWith('token='));
  if (inQuery !== undefined) {
    token ??= decode(inQuery.slice('token='.length));
    url.search = query.filter((pair) => pair !== inQuery).join('&');
  }
  return { token: token || null, address: url.href };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
