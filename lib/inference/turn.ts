/**
 * Lets waiting messages through, such as one that cancels: a run on WebAssembly does not leave its thread by itself, and promises
 * alone never do. A message channel is used because timers are held back by milliseconds.
 */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
