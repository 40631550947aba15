import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { trainerMissing, type TestHome } from "../testing/home";
import { sshdMissing } from "../testing/sshd";
import { clockSkew } from "./clock-skew";
import { faultHome } from "./lab";
import { sshdKilled } from "./sshd-killed";
import { twoDashboards } from "./two-dashboards";

const minutes = 60_000;
const missing = sshdMissing ?? trainerMissing;

describe.skipIf(missing !== null)(`a run on a node behind ssh loses nothing${missing ? ` (${missing})` : ""}`, () => {
  let homes: TestHome[];
  beforeEach(async () => {
    homes = await Promise.all([faultHome(), faultHome()]);
  });
  afterEach(() => Promise.all(homes.map((home) => home.remove())));
  const [first, second] = [() => homes[0]?.home ?? "", () => homes[1]?.home ?? ""];

  it("when the node's sshd is killed and comes back", async () => {
    expect(await sshdKilled(first(), null)).toMatchObject([{ value: 1, of: { run_went_on: true, shown_as: "running, stale", lost: 0 } }]);
  }, 3 * minutes);

  it("when the node's clock is two hours behind", async () => {
    expect(await clockSkew(first(), null, -2)).toMatchObject([{ value: 1, of: { run_state: "finished", lost: 0 } }]);
  }, 3 * minutes);

  it("when two dashboards follow it, stop it and resume it at one moment", async () => {
    expect(await twoDashboards([first(), second()], null)).toMatchObject([{ value: 1, of: { starts_of_the_trainer: 2, repeated: 0, lost: 0 } }]);
  }, 3 * minutes);
});
