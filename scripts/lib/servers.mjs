/** The servers that tests start for themselves: sshd, and SLURM with munge. */
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { say } from "./console.mjs";
import { run } from "./run.mjs";

/** Debian's package to a program of it. */
const packages = {
  "openssh-server": "/usr/sbin/sshd",
  "slurm-wlm": "/usr/sbin/slurmctld",
  munge: "/usr/sbin/munged",
};

const missing = () => Object.entries(packages).flatMap(([name, program]) => (existsSync(program) ? [] : [name]));

/**
 * Installs what is missing if that can be done unasked; else says what is missing. Tests that need it are skipped then.
 * @returns {Promise<string[]>} The packages that are still missing.
 */
export async function ensureServers() {
  if (missing().length > 0 && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    say(`Installing ${missing().join(", ")} for the tests`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    await withoutStarting(async () => {
      await run("apt-get", ["update", "-qq"], { env });
      await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...missing()], { env });
    });
  }
  const left = missing();
  if (left.length > 0) say(`Tests over SSH or SLURM are skipped: ${left.join(", ")} not installed (Debian, Ubuntu: apt-get install ${left.join(" ")}).`);
  return left;
}

/** Tests start servers of their own: the packages must not start theirs. @param {() => Promise<void>} install */
async function withoutStarting(install) {
  const policy = "/usr/sbin/policy-rc.d";
  const mine = !existsSync(policy);
  if (mine) await writeFile(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    await install();
  } finally {
    if (mine) await rm(policy, { force: true });
  }
}
