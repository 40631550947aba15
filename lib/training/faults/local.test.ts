import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { trainerMissing, type TestHome } from "../testing/home";
import { dashboardKilled } from "./dashboard-killed";
import { fullDisk } from "./full-disk";
import { faultHome, type Losses } from "./lab";
import { trainerKilled } from "./trainer-killed";
import { wholeRun } from "./whole-run";

const minutes = 60_000;

describe.skipIf(trainerMissing !== null)(`a run on this machine loses nothing${trainerMissing ? ` (${trainerMissing})` : ""}`, () => {
  let reference: Losses;
  let home: TestHome;

  beforeAll(async () => {
    const whole = await faultHome();
    reference = await wholeRun(whole.home);
    await whole.remove();
  }, 3 * minutes);
  beforeEach(async () => {
    home = await faultHome();
  });
  afterEach(() => home.remove());

  it("when all its processes are killed in the middle of a line", async () => {
    expect(await trainerKilled(home.home, reference)).toMatchObject([
      { fault: "trainer_killed", value: 1, of: { lost: 0, repeated: 0, torn: 0, differing: 0, said: expect.stringMatching(/resume/i) } },
      { fault: "torn_line", value: 1, of: { lines_misread: 0 } },
    ]);
  }, 3 * minutes);

  it("when the dashboard that started it is killed, and another one follows it", async () => {
    expect(await dashboardKilled(home.home, reference)).toMatchObject([{ value: 1, of: { run_went_on: true, found_as: "running", index: "ok", differing: 0 } }]);
  }, 3 * minutes);

  it("when the disk is full, home folder and index and all", async ({ skip }) => {
    const findings = await fullDisk(reference);
    if (findings === null) return skip("no small file system can be mounted here");
    expect(findings).toMatchObject([{ value: 1, of: { differing: 0, said: expect.stringMatching(/(disk is full|could not be written).*free/is) } }]);
  }, 3 * minutes);
});
