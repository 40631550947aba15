import { describe, expect, it } from "vitest";
import { emptyForm, readForm } from "./node-form";

describe("the form of a node", () => {
  it("leaves empty fields to their defaults", () => {
    expect(readForm({ ...emptyForm, name: " GPU ", destination: "me@gpu.example", port: "2222" }).node).toEqual({ name: "GPU", kind: "ssh", destination: "me@gpu.example", port: 2222, identityFile: null, root: null, python: null });
  });

  it("names each field that cannot be used", () => {
    const { problems } = readForm({ name: "", destination: "-oProxyCommand=x", port: "22x", identityFile: "key", root: "runs", python: "rm -rf" });
    expect(Object.keys(problems ?? {}).sort()).toEqual(["destination", "identityFile", "name", "port", "python", "root"]);
    expect(readForm({ ...emptyForm, name: "a", destination: "host", port: "0" }).problems).toHaveProperty("port");
    expect(readForm({ ...emptyForm, name: "a", destination: "host", root: "~/runs", python: "python3.12", identityFile: "~/.ssh/id" }).problems).toBeNull();
  });
});
