/** The names of the environment variables that the daemon and agents share. */
export const Environment = {
  /** The registry's URL. Without it agents connect to `ws://localhost:31415/ws`. */
  HYPIVISOR_WS: 'HYPIVISOR_WS',
  /** The pre-shared key. */
  HYPI_TOKEN: 'HYPI_TOKEN',
  /** The id of the spawn that started an agent. The agent sends it in its registration. */
  HYPI_SPAWN_ID: 'HYPI_SPAWN_ID',
  /** `0` turns the extension off. */
  HYPIVISOR: 'HYPIVISOR',
  /** `0` keeps an agent from starting a daemon. */
  HYPIVISOR_AUTOSTART: 'HYPIVISOR_AUTOSTART',
  /** The first port that an agent tries for its own WebSocket. */
  PI_SOCKET_PORT: 'PI_SOCKET_PORT',
  /** An agent's first pause before it reconnects, in milliseconds. */
  PI_SOCKET_RECONNECT_MS: 'PI_SOCKET_RECONNECT_MS',
} as const;
