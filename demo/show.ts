/** The show: sample agents that come, talk, vanish, come back, begin anew, and expire, scene after scene. */
import { setTimeout as delay } from 'node:timers/promises';
import { relayUrl } from '../src/protocol/url.ts';
import { CAST } from './cast.ts';
import { Conversation } from './conversation.ts';
import { SampleAgent } from './sample-agent.ts';
import { paint, type Screen } from './screen.ts';

const ENTRANCE_MS = 150;
const SCENE_MS = 1500;

export class Show {
  readonly #registryUrl: string;
  readonly #screen: Screen;
  readonly #agents: SampleAgent[] = [];

  constructor(registryUrl: string, screen: Screen) {
    this.#registryUrl = registryUrl;
    this.#screen = screen;
  }

  /** Plays, again and again, until the signal comes. */
  async play(signal: AbortSignal): Promise<void> {
    // At once, even in the middle of a scene, which then fails.
    signal.addEventListener('abort', () => this.#stop());
    try {
      for (const character of CAST) {
        this.#agents.push(await SampleAgent.start(character, this.#registryUrl));
        await delay(ENTRANCE_MS, undefined, { signal });
      }
      for (;;) {
        for (const scene of this.#scenes()) {
          await delay(SCENE_MS, undefined, { signal });
          await scene();
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.#stop();
    }
  }

  #stop(): void {
    for (const agent of this.#agents) agent.stop();
  }

  #scenes(): (() => Promise<void> | void)[] {
    const [ada, grace, alan, hedy, emmy] = this.#agents as [
      SampleAgent,
      SampleAgent,
      SampleAgent,
      SampleAgent,
      SampleAgent,
    ];
    return [
      () => this.#chat(ada, 'Why does the build fail?'),
      () => this.#vanish(emmy),
      () => hedy.newSession(),
      () => emmy.connect(),
      // Alan stays away for longer than the roster remembers him.
      () => this.#vanish(alan),
      () => this.#chat(grace, 'How is the handbook?'),
      () => this.#chat(emmy, 'What are you testing?'),
      () => alan.connect(),
    ];
  }

  /** Does nothing while somebody talks to the agent: people who try the demo out are not cut off. */
  #vanish(agent: SampleAgent): void {
    if (!agent.busy) agent.vanish();
  }

  /** Through the daemon, like a dashboard. */
  async #chat(agent: SampleAgent, prompt: string): Promise<void> {
    const conversation = await Conversation.open(relayUrl(this.#registryUrl, agent.id, null));
    this.#screen.line(`${paint('cyan', 'you')} → ${agent.id}: ${prompt}`);
    this.#screen.begin(`${paint('cyan', agent.id)} → you: `);
    try {
      await conversation.ask(prompt, (text) => this.#screen.grow(text));
    } finally {
      this.#screen.finish();
      conversation.close();
    }
  }
}
