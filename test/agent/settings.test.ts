import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dashboardUrl, readSettings } from '../../src/agent/settings.ts';

describe('readSettings', () => {
  it('needs nothing to be set', () => {
    assert.deepEqual(readSettings({}), {
      isOn: true,
      url: 'ws://localhost:31415/ws',
      isLocal: true,
      token: null,
      autostart: true,
      firstPort: 8080,
      reconnectMs: 5000,
      maxReconnectMs: 30_000,
      spawnId: null,
    });
  });

  it('does what it is told', () => {
    const settings = readSettings({
      HYPIVISOR: '1',
      HYPIVISOR_WS: ' wss://hub.example/ws ',
      HYPI_TOKEN: ' a b ',
      PI_SOCKET_PORT: '9000',
      PI_SOCKET_RECONNECT_MS: '1000',
      HYPI_SPAWN_ID: 's1',
    });
    assert.deepEqual(settings, {
      isOn: true,
      url: 'wss://hub.example/ws',
      isLocal: false,
      token: ' a b ',
      autostart: false,
      firstPort: 9000,
      reconnectMs: 1000,
      maxReconnectMs: 60_000,
      spawnId: 's1',
    });
    assert.equal(readSettings({ HYPIVISOR: '0' }).isOn, false);
    assert.equal(readSettings({ HYPIVISOR_AUTOSTART: '0' }).autostart, false);
    assert.equal(readSettings({ HYPIVISOR_WS: 'ws://localhost:31415/ws' }).autostart, false);
  });

  it('doubles its pauses to five minutes, elsewhere', () => {
    assert.equal(readSettings({ HYPIVISOR_WS: 'ws://hub/ws' }).maxReconnectMs, 300_000);
    const slow = { HYPIVISOR_WS: 'ws://hub/ws', PI_SOCKET_RECONNECT_MS: '300000' };
    assert.equal(readSettings(slow).maxReconnectMs, 300_000);
    assert.equal(readSettings({ PI_SOCKET_RECONNECT_MS: '60000' }).maxReconnectMs, 60_000);
  });

  it('takes what makes no sense for unset', () => {
    for (const text of ['', '0', '-1', '65536', '8080.5', 'http', '1e4']) {
      assert.equal(readSettings({ PI_SOCKET_PORT: text }).firstPort, 8080, text);
    }
    for (const text of ['', '0', '300001', 'soon']) {
      assert.equal(readSettings({ PI_SOCKET_RECONNECT_MS: text }).reconnectMs, 5000, text);
    }
    assert.equal(readSettings({ HYPIVISOR_WS: '  ' }).autostart, true);
  });

  it('knows this machine', () => {
    for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '[::1]', 'hypi.localhost']) {
      assert.equal(readSettings({ HYPIVISOR_WS: `ws://${host}:1/ws` }).isLocal, true, host);
    }
    for (const url of ['ws://hub:1/ws', 'ws://localhost.example/ws', 'ws://[::2]/ws', 'nonsense']) {
      assert.equal(readSettings({ HYPIVISOR_WS: url }).isLocal, false, url);
    }
  });
});

describe('dashboardUrl', () => {
  const urls: [registry: string, page: string | null][] = [
    ['ws://localhost:31415/ws', 'http://localhost:31415/'],
    ['ws://localhost:31415/ws/', 'http://localhost:31415/'],
    ['ws://localhost:31415', 'http://localhost:31415/'],
    ['wss://example.org/hypi/ws', 'https://example.org/hypi/'],
    ['ws://user:secret@h/ws?token=x#y', 'http://h/'],
    ['ws://[::1]:1/ws', 'http://[::1]:1/'],
    ['http://localhost/', null],
    ['nonsense', null],
  ];
  for (const [registry, page] of urls) {
    it(`${registry} → ${page}`, () => assert.equal(dashboardUrl(registry), page));
  }
});
