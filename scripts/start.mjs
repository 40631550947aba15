/**
 * npm start: makes a fresh clone ready, then serves it on http://localhost:3000 (or PORT). HOST=<address> serves it to other machines too,
 * once a password is set (npm run password).
 */
import { createServer, isIP } from "node:net";
import { say } from "./lib/console.mjs";
import { homeFolder, root } from "./lib/paths.mjs";
import { run, SetupError } from "./lib/run.mjs";
import { build, checkNode, copyRuntime, fetchTeachers, installPackages, nextBinary } from "./lib/setup.mjs";

try {
  const port = readPort();
  const host = readHost();
  checkNode();
  await checkPort(port, host);
  await installPackages();
  await checkPassword(host);
  await copyRuntime();
  await build();
  await fetchTeachers();
  await checkPort(port, host);
  say(`Mambascope: http://${isLoopback(host) ? "localhost" : isIP(host) === 6 ? `[${host}]` : host}:${port} (Ctrl+C ends it)`);
  if (!isLoopback(host)) {
    say("Other machines can reach it, by http: what they send, the password too, can be read on the way, and browsers give WebGPU and threads");
    say("to https and localhost only. A tunnel has neither fault: ssh -L 3000:localhost:3000 <this machine>. See docs/training-runs.md.");
  }
  const { code } = await run(process.execPath, [nextBinary(), "start", "--hostname", host, "--port", String(port)], {
    cwd: root,
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" },
    show: true,
  });
  process.exitCode = code;
} catch (error) {
  // The password's module has an error class of its own.
  if (!(error instanceof Error && "action" in error)) throw error;
  say(`\n${error.message}\n${error.action}`);
  process.exitCode = 1;
}

function readPort() {
  const text = process.env.PORT ?? "3000";
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65536) return port;
  throw new SetupError("port", `PORT is "${text}", which is not a port number.`, "Set PORT to a number from 1 to 65535.");
}

/** The address to listen on. Some shells and tool chains set HOST to a name for purposes of their own: that is passed over. */
function readHost() {
  const text = process.env.HOST ?? "";
  if (text === "" || text === "localhost") return "127.0.0.1";
  if (isIP(text) !== 0) return text;
  say(`HOST is "${text}", which is not an IP address: listening on this machine only.`);
  return "127.0.0.1";
}

/** @param {string} host */
function isLoopback(host) {
  return host === "::1" || host.startsWith("127.");
}

/** Throws an error if the server will ask for a password and none is set. @param {string} host */
async function checkPassword(host) {
  const { MAMBASCOPE_AUTH: auth = "", MAMBASCOPE_HOSTS: hosts = "", MAMBASCOPE_TRUST_PROXY: proxy = "" } = process.env;
  if (auth !== "" && auth !== "always") throw new SetupError("auth", `MAMBASCOPE_AUTH is "${auth}".`, "Set it to always, or leave it out.");
  const why = !isLoopback(host) ? `HOST=${host}` : auth ? "MAMBASCOPE_AUTH" : hosts ? "MAMBASCOPE_HOSTS" : proxy === "1" ? "MAMBASCOPE_TRUST_PROXY" : null;
  if (why === null) return;
  const { readPassword } = await import("../lib/auth/password.mjs");
  if ((await readPassword(homeFolder())) !== null) return;
  throw new SetupError("password", `With ${why} the server needs a password, and none is set.`, "Set one: npm run password");
}

/** @param {number} port @param {string} host Throws SetupError if something else listens there. */
function checkPort(port, host) {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error) => {
      const code = Reflect.get(error, "code");
      if (code === "EADDRNOTAVAIL") return reject(new SetupError("host", `This machine does not have the address ${host}.`, "Set HOST to one of its own, or to 0.0.0.0 for all."));
      const taken = code === "EADDRINUSE";
      reject(new SetupError("port", taken ? `Port ${port} is taken by another program.` : `Port ${port} cannot be used: ${error.message}.`, `End that program, or choose another port: PORT=3001 npm start`));
    });
    probe.listen(port, host, () => probe.close(() => resolve(undefined)));
  });
}
