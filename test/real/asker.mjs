/** An extension of somebody else's: it asks, tells, and takes its time. */
const OPTIONS = ['red', 'green', 'blue'];

export default function asker(pi) {
  const ask = async (ui, kind, signal) => {
    switch (kind) {
      case 'select':
        return ui.select('Which colour?', OPTIONS, { signal });
      case 'confirm':
        return ui.confirm('Delete it?', 'It will be gone.', { signal });
      case 'input':
        return ui.input('Your name?', 'a name', { signal });
      case 'editor':
        return ui.editor('Edit it', 'once upon a time');
      case 'timeout':
        return ui.input('Quick!', '', { timeout: 500 });
      case 'both': {
        const answers = await Promise.all([ui.confirm('First?', ''), ui.confirm('Second?', '')]);
        return answers.join(' ');
      }
      default:
        return 'nothing';
    }
  };
  pi.registerTool({
    name: 'ask_person',
    label: 'Ask',
    description: 'Asks a person',
    parameters: { type: 'object', properties: { kind: { type: 'string' } }, required: ['kind'] },
    async execute(_id, { kind }, signal, _onUpdate, ctx) {
      const answer = await ask(ctx.ui, kind, signal);
      return { content: [{ type: 'text', text: `answer: ${JSON.stringify(answer) ?? 'none'}` }], details: {} };
    },
  });
  pi.registerTool({
    name: 'count_up',
    label: 'Count',
    description: 'Counts, and shows how far it is',
    parameters: { type: 'object', properties: { to: { type: 'number' } }, required: ['to'] },
    async execute(_id, { to }, signal, onUpdate) {
      let text = '';
      for (let i = 1; i <= to && !signal?.aborted; i++) {
        text += `${i}\n`;
        onUpdate?.({ content: [{ type: 'text', text }], details: {} });
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return { content: [{ type: 'text', text }], details: { counted: to } };
    },
  });
  pi.registerCommand('tell', {
    description: 'Tells something',
    handler: async (args, ctx) => ctx.ui.notify(`told: ${args}`, 'warning'),
  });
  if (process.env.SLOW_START) {
    pi.on('before_agent_start', () => new Promise((resolve) => setTimeout(resolve, Number(process.env.SLOW_START))));
  }
}
