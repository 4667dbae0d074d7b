Object.assign(globalThis, { Prism: { manual: true, disableWorkerMessageHandler: true } });
