/** npm start: makes a fresh clone ready, then serves it on http://localhost:3000 (or PORT). */
import { createServer } from "node:net";
import { say } from "./lib/console.mjs";
import { root } from "./lib/paths.mjs";
import { run, SetupError } from "./lib/run.mjs";
import { build, checkNode, copyRuntime, fetchTeachers, installPackages, nextBinary } from "./lib/setup.mjs";

const host = "127.0.0.1";

try {
  const port = readPort();
  checkNode();
  await checkPort(port);
  await installPackages();
  await copyRuntime();
  await build();
  await fetchTeachers();
  await checkPort(port);
  say(`Mambascope: http://localhost:${port} (Ctrl+C ends it)`);
  const { code } = await run(process.execPath, [nextBinary(), "start", "--hostname", host, "--port", String(port)], {
    cwd: root,
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" },
    show: true,
  });
  process.exitCode = code;
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(`\n${error.message}\n${error.action}`);
  process.exitCode = 1;
}

function readPort() {
  const text = process.env.PORT ?? "3000";
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65536) return port;
  throw new SetupError("port", `PORT is "${text}", which is not a port number.`, "Set PORT to a number from 1 to 65535.");
}

/** @param {number} port Throws SetupError if something else listens there. */
function checkPort(port) {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error) => {
      const taken = Reflect.get(error, "code") === "EADDRINUSE";
      reject(new SetupError("port", taken ? `Port ${port} is taken by another program.` : `Port ${port} cannot be used: ${error.message}.`, `End that program, or choose another port: PORT=3001 npm start`));
    });
    probe.listen(port, host, () => probe.close(() => resolve(undefined)));
  });
}
