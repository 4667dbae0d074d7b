/** The same cases once more, put to the frame code as it was built: what the daemon and embedders run. */
process.env.CONFORMANCE_OF = 'dist';
await import('./suite.test.ts');
