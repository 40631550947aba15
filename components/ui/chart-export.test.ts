import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { escapeXml, exportName, figureSvg, type TableCell, toCsv } from "./chart-export";

/** An independent reader of RFC 4180. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = "";
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]!;
    if (quoted) {
      if (letter !== '"') field += letter;
      else if (text[at + 1] === '"') field += text[++at];
      else quoted = false;
    } else if (letter === '"' && field === "") quoted = true;
    else if (letter === ",") {
      row.push(field);
      field = "";
    } else if (letter === "\r" && text[at + 1] === "\n") {
      at++;
      rows.push([...row, field]);
      row = [];
      field = "";
    } else field += letter;
  }
  expect(quoted).toBe(false);
  expect(row).toEqual([]);
  return rows;
}

/** Reads XML strictly enough to find what is not well-formed; gives the texts between the tags. */
function parseXml(text: string): { texts: string[]; tags: string[] } {
  const entity = /&(?!(amp|lt|gt|quot);)/;
  const tag = /<(\/?)([a-zA-Z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/y;
  const open: string[] = [];
  const out = { texts: [] as string[], tags: [] as string[] };
  let at = 0;
  while (at < text.length) {
    if (text[at] === "<") {
      tag.lastIndex = at;
      const [whole = "", closing, name = "", attributes = "", selfClosing] = tag.exec(text) ?? [];
      if (whole === "" || entity.test(attributes)) throw new Error(`not a tag at ${at}: ${text.slice(at, at + 60)}`);
      if (closing) expect(open.pop()).toBe(name);
      else {
        out.tags.push(name);
        if (!selfClosing) open.push(name);
      }
      at += whole.length;
    } else {
      const end = text.indexOf("<", at);
      const content = text.slice(at, end === -1 ? text.length : end);
      if (entity.test(content) || content.includes(">")) throw new Error(`bad text: ${content}`);
      expect(open.length).toBeGreaterThan(0);
      out.texts.push(content.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&"));
      at += content.length;
    }
  }
  expect(open).toEqual([]);
  return out;
}

const colours = { background: "#ffffff", ink: "#1a1a18", quiet: "#55554f" };
const anyText = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom('a,"b"', "line\r\nline", " <b>&amp;", "ĠGénéral", ""));

describe("CSV", () => {
  it("reads back as what was written, whatever the texts and numbers", () => {
    const cell: fc.Arbitrary<TableCell> = fc.oneof(anyText, fc.double(), fc.constant(null));
    const table = fc.integer({ min: 1, max: 5 }).chain((width) =>
      fc.record({
        columns: fc.array(anyText, { minLength: width, maxLength: width }),
        rows: fc.array(fc.array(cell, { minLength: width, maxLength: width }), { maxLength: 6 }),
      }),
    );
    fc.assert(
      fc.property(table, ({ columns, rows }) => {
        const [head, ...body] = parseCsv(toCsv({ columns, rows }));
        expect(head).toEqual(columns);
        expect(body).toEqual(rows.map((row) => row.map((value) => (value === null || (typeof value === "number" && !Number.isFinite(value)) ? "" : String(value)))));
      }),
    );
  });
});

describe("SVG", () => {
  it("is well-formed and holds its texts, whatever they are", () => {
    fc.assert(
      fc.property(anyText, anyText, fc.array(fc.record({ label: anyText, mark: fc.constantFrom("line", "dash", "dot", "square") }), { maxLength: 6 }), (title, unit, legend) => {
        const svg = figureSvg({ title, unit, body: '<path d="M0 0H10"/>', width: 300, height: 200, colours, legend: legend.map((item) => ({ ...item, colour: "#3f6ad8" })) });
        const { texts, tags } = parseXml(svg);
        expect(tags[0]).toBe("svg");
        expect(tags).toContain("path");
        for (const { label } of legend) if (/^[\w ,"<>&;]+$/.test(label)) expect(texts).toContain(label);
      }),
    );
  });

  it("leaves out characters that XML cannot hold", () => {
    expect(escapeXml("a\u0000b\ud800c\u{1f600}<")).toBe("abc\u{1f600}&lt;");
  });

  it("makes room for a legend of several lines", () => {
    const height = (count: number): number => {
      const legend = Array.from({ length: count }, (_, index) => ({ label: `A label of some length ${index}`, colour: "#000000" }));
      return Number(/height="(\d+)"/.exec(figureSvg({ title: "t", unit: "", body: "", width: 320, height: 100, colours, legend }))?.[1]);
    };
    expect(height(0)).toBeLessThan(height(1));
    expect(height(1)).toBeLessThan(height(5));
  });
});

describe("file names", () => {
  it("say what a file is, in letters that every system takes", () => {
    expect(exportName(["SmolLM2 135M", "KV cache + state", "a4.m~attn50"], "csv")).toBe("mambascope-smollm2-135m-kv-cache-state-a4-m-attn50.csv");
    fc.assert(
      fc.property(fc.array(anyText), (parts) => {
        expect(exportName(parts, "png")).toMatch(/^mambascope(-[a-z0-9]+)*-?\.png$/);
      }),
    );
  });
});
