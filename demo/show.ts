/** The show: sample agents that come, talk, vanish, come back, begin anew, and expire, scene after scene. */
import { setTimeout as delay } from 'node:timers/promises';
import { relayUrl } from '../src/protocol/url.ts';
import { CAST } from './cast.ts';
import { Conversation } from './conversation.ts';
import type { DaemonProcess } from './daemon-process.ts';
import { SampleAgent } from './sample-agent.ts';
import { paint, type Screen } from './screen.ts';

const ENTRANCE_MS = 150;
const SCENE_MS = 1500;

export class Show {
  readonly #here: DaemonProcess;
  readonly #elsewhere: DaemonProcess;
  readonly #screen: Screen;
  readonly #agents: SampleAgent[] = [];

  /** @param elsewhere the daemon of another machine, which has joined the first */
  constructor(here: DaemonProcess, elsewhere: DaemonProcess, screen: Screen) {
    this.#here = here;
    this.#elsewhere = elsewhere;
    this.#screen = screen;
  }

  /** Plays, again and again, until the signal comes. */
  async play(signal: AbortSignal): Promise<void> {
    // At once, also in the middle of a scene.
    const ended = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    ended.catch(() => {});
    try {
      for (const character of CAST) {
        const { home, registryUrl } = character.isElsewhere ? this.#elsewhere : this.#here;
        const agent = await SampleAgent.start(character, home, registryUrl);
        this.#agents.push(agent);
        if (character.opening !== undefined) agent.begin(character.opening.prompt, character.opening.steps);
        await delay(ENTRANCE_MS, undefined, { signal });
      }
      for (;;) {
        for (const scene of this.#scenes()) {
          await delay(SCENE_MS, undefined, { signal });
          await Promise.race([scene(), ended]);
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await Promise.all(this.#agents.map((agent) => agent.stop()));
    }
  }

  #scenes(): (() => Promise<void>)[] {
    const byId = (id: string) => this.#agents[CAST.findIndex((character) => character.id === id)] as SampleAgent;
    const [ada, grace, alan, joan, emmy] = ['ada', 'grace', 'alan', 'joan', 'emmy'].map(byId) as [
      SampleAgent,
      SampleAgent,
      SampleAgent,
      SampleAgent,
      SampleAgent,
    ];
    return [
      () => this.#chat(ada, 'Why does the build fail?'),
      () => this.#vanish(emmy),
      () => this.#renew(joan),
      () => emmy.connect(),
      () => this.#chat(emmy, 'What are you testing?'),
      () => this.#goOn(alan),
      () => this.#goOn(grace),
      () => this.#chat(ada, 'What did you change?'),
    ];
  }

  /** Does nothing while somebody talks to the agent: a person who tries the demo must not be cut off. */
  async #vanish(agent: SampleAgent): Promise<void> {
    if (!agent.busy) await agent.vanish();
  }

  async #renew(agent: SampleAgent): Promise<void> {
    if (!agent.busy) await agent.newSession();
  }

  /** Does its own again, once it is done with it. */
  async #goOn(agent: SampleAgent): Promise<void> {
    const { opening } = agent.character;
    if (!agent.busy && opening !== undefined) agent.begin(opening.prompt, opening.steps);
  }

  /** As a dashboard does: through the daemon. */
  async #chat(agent: SampleAgent, prompt: string): Promise<void> {
    if (agent.busy) return;
    const conversation = await Conversation.open(relayUrl(this.#here.registryUrl, agent.id, null));
    this.#screen.line(`${paint('cyan', 'you')} → ${agent.character.id}: ${prompt}`);
    this.#screen.begin(`${paint('cyan', agent.character.id)} → you: `);
    try {
      await conversation.ask(prompt, (text) => this.#screen.grow(text));
    } finally {
      this.#screen.finish();
      conversation.close();
    }
  }
}
