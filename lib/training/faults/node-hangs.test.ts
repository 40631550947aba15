import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeHome, type TestHome } from "../testing/home";
import { sshdMissing } from "../testing/sshd";
import { nodeHangs } from "./node-hangs";

describe.skipIf(sshdMissing)(`nodes that hang or talk garbage${sshdMissing ? ` (${sshdMissing})` : ""}`, () => {
  let home: TestHome;
  beforeEach(async () => {
    home = await makeHome();
  });
  afterEach(() => home.remove());

  it("hold up neither the list of runs nor other nodes, and a run is followed on when its agent stood still", async () => {
    const findings = await nodeHangs(home.home);
    expect(findings.map(({ fault, value }) => [fault, value])).toEqual([["node_hangs", 1], ["node_garbage", 1]]);
    expect(findings[1]?.of.told).toBe("garbage timeout");
  }, 120_000);
});
