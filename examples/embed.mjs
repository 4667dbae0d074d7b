// examples/embed.mjs
import { createHypivisor } from 'hypivisor';

const hypivisor = createHypivisor({ port: 0, nodeTtlMs: 10_000 });
hypivisor.on('roster', (event) => console.log(event));
hypivisor.on('fault', (error) => console.error(error));

const { port, hosts } = await hypivisor.listen();
console.log(`listening on ${hosts.join(' and ')}, port ${port}`);
console.log(hypivisor.address, hypivisor.nodes);

await hypivisor.close();
