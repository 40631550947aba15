/** Vite sets NODE_ENV for the whole process, which would change what the child processes here build and install. */
const { NODE_ENV: before } = process.env;

/** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
export async function keepingNodeEnv(work) {
  try {
    return await work();
  } finally {
    if (before === undefined) Reflect.deleteProperty(process.env, "NODE_ENV");
    else Reflect.set(process.env, "NODE_ENV", before);
  }
}
