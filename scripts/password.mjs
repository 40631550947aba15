/** npm run password: sets the password that other machines sign in with, asked twice on a terminal or read from standard input. Ends all sessions. */
import { say } from "./lib/console.mjs";
import { homeFolder } from "./lib/paths.mjs";
import { askHidden, readAll } from "./lib/prompt.mjs";
import { SetupError } from "./lib/run.mjs";
import { installPackages } from "./lib/setup.mjs";

try {
  await installPackages();
  const { checkPassword, minimumLength, setPassword } = await import("../lib/auth/password.mjs");
  const password = process.stdin.isTTY ? await askTwice(minimumLength, checkPassword) : await readAll();
  await setPassword(homeFolder(), password);
  say("The password is set. Whoever was signed in signs in anew.");
} catch (error) {
  if (!(error instanceof Error && "action" in error)) throw error;
  say(`\n${error.message}\n${error.action}`);
  process.exitCode = 1;
}

/** @param {number} minimum @param {(password: string) => void} check Throws if the password may not be used. */
async function askTwice(minimum, check) {
  const first = await askHidden(`New password (at least ${minimum} characters): `);
  check(first);
  if ((await askHidden("Again: ")) === first) return first;
  throw new SetupError("password", "The two are not equal.", "Run the command again.");
}
