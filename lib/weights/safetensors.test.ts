import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WeightError } from "./errors";
import { checkShard, readSafetensorsHeader, shardProblems } from "./safetensors";
import { memoryFile } from "./store";
import { makeTestBundle } from "./testing/bundle";

const { manifest, files } = makeTestBundle();
const name = "odd.safetensors";
const shard = files.get(name)!;

/** A file with this header and `dataBytes` zeros. */
function fileWith(header: unknown, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.byteLength + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.byteLength), true);
  bytes.set(json, 8);
  return bytes;
}
const tensor = (shape: number[], data_offsets: number[], dtype = "F32") => ({ dtype, shape, data_offsets });

describe("safetensors header", () => {
  it("gives places from the start of the file", async () => {
    const file = fileWith({ __metadata__: { a: "b" }, x: tensor([2], [4, 12]), y: tensor([1], [0, 4]) }, 12);
    const header = await readSafetensorsHeader(memoryFile(file), "f");
    expect(header.get("x")).toEqual({ dtype: "F32", shape: [2], begin: file.byteLength - 8, end: file.byteLength });
    expect(header.size).toBe(2);
  });

  it.each([
    ["a file too short", new Uint8Array(5), "only 5 bytes"],
    ["a header beyond the file", new Uint8Array(64).fill(255), "its header would have"],
    ["a header that is not JSON", fileWith("{oops", 0), "not JSON"],
    ["a header that is no object", fileWith([1], 0), "malformed"],
    ["an unknown dtype", fileWith({ x: tensor([1], [0, 4], "Q4") }, 4), "x"],
    ["a range beyond the file", fileWith({ x: tensor([2], [0, 8]) }, 4), 'tensor "x" lies outside the file'],
    ["a range that runs backwards", fileWith({ x: tensor([1], [4, 0]) }, 4), "outside"],
    ["a size that is not the shape's", fileWith({ x: tensor([2], [0, 4]) }, 4), "has 4 bytes for F32 [2]"],
    ["an overlap", fileWith({ x: tensor([1], [0, 4]), y: tensor([1], [2, 6]) }, 6), "overlaps"],
    ["a negative offset", fileWith({ x: tensor([1], [-4, 0]) }, 4), "malformed"],
  ])("refuses %s", async (_, bytes, message) => {
    const reading = readSafetensorsHeader(memoryFile(bytes), "f");
    await expect(reading).rejects.toMatchObject({ code: "safetensors-invalid", message: expect.stringContaining(message) });
  });

  it("never fails in another way, whatever byte is damaged", async () => {
    const small = fileWith({ x: tensor([2], [4, 12]), y: tensor([1], [0, 4]) }, 12);
    await fc.assert(
      fc.asyncProperty(fc.nat(small.byteLength - 1), fc.integer({ min: 0, max: 255 }), fc.nat(small.byteLength), async (at, value, length) => {
        const damaged = small.slice(0, length);
        if (at < length) damaged[at] = value;
        await readSafetensorsHeader(memoryFile(damaged), "f").catch((error: unknown) => expect(error).toBeInstanceOf(WeightError));
      }),
      { numRuns: 500 },
    );
  });
});

describe("shards against the manifest", () => {
  it("agree in a whole bundle", async () => {
    for (const [file, data] of files) if (file.endsWith(".safetensors")) await checkShard(memoryFile(data), manifest, file);
  });

  it("are compared by presence, dtype, shape and place", async () => {
    const header = await readSafetensorsHeader(memoryFile(shard), name);
    const D = "model.layers.1.mamba.D";
    const entry = header.get(D)!;
    const problems = (change: typeof entry | undefined) => {
      const copy = new Map(header);
      if (change) copy.set(D, change);
      else copy.delete(D);
      return shardProblems(copy, manifest, name);
    };
    expect(problems(entry)).toEqual([]);
    expect(problems(undefined)).toEqual([`"${D}" is not in the file`]);
    expect(problems({ ...entry, dtype: "I32" })[0]).toContain("is I32 [2], not F32 [2]");
    expect(problems({ ...entry, begin: entry.begin - 8 })[0]).toContain("lies at");
    const swapped = structuredClone(manifest);
    swapped.mixer_sets.odd!.tensors[D]!.shape = [1, 2];
    await expect(checkShard(memoryFile(shard), swapped, name)).rejects.toThrow("disagrees with the manifest");
  });
});
