/**
 * Vite sets NODE_ENV for the whole process, which would change what the child processes of a benchmark build and install.
 * @template T @param {() => Promise<T>} work @returns {Promise<T>}
 */
export async function keepingNodeEnv(work) {
  const { NODE_ENV: before } = process.env;
  try {
    return await work();
  } finally {
    if (before === undefined) Reflect.deleteProperty(process.env, "NODE_ENV");
    else Reflect.set(process.env, "NODE_ENV", before);
  }
}
