/** A chart's numbers as CSV, and its drawing as an SVG document of its own. */

export type TableCell = string | number | null;
export type Table = { readonly columns: readonly string[]; readonly rows: readonly (readonly TableCell[])[] };
export type LegendItem = { readonly label: string; readonly colour: string; readonly mark?: "line" | "dash" | "dot" | "square" };

/** RFC 4180, with a header line; numbers at full precision, null as an empty field. */
export function toCsv({ columns, rows }: Table): string {
  const field = (cell: TableCell): string => {
    if (cell === null || (typeof cell === "number" && !Number.isFinite(cell))) return "";
    const text = String(cell);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

/** A file name made of parts, such as `mambascope-stories-memory.csv`. */
export function exportName(parts: readonly string[], extension: string): string {
  const words = ["mambascope", ...parts].map((part) => part.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, ""));
  return `${words.filter((word) => word !== "").join("-").slice(0, 120)}.${extension}`;
}

/** Text inside an XML document: markup escaped, characters that XML cannot hold left out. */
export function escapeXml(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

export type Figure = {
  readonly title: string;
  readonly unit: string;
  /** SVG elements drawn in a box of `width` x `height`. */
  readonly body: string;
  readonly width: number;
  readonly height: number;
  readonly legend: readonly LegendItem[];
  readonly colours: { readonly background: string; readonly ink: string; readonly quiet: string };
};

const MARGIN = 16;
const FONT = "Inter, system-ui, sans-serif";

/** A whole SVG document: title and unit above the drawing, its legend below. */
export function figureSvg({ title, unit, body, width, height, legend, colours }: Figure): string {
  const head = 44;
  const items = placeLegend(legend, width);
  const last = items.at(-1);
  const total = { width: width + 2 * MARGIN, height: head + height + (last ? last.y + 26 : 0) + MARGIN };
  const legendMarkup = items
    .map(({ item, x, y }) => {
      const mark = legendMark(item);
      return `<g transform="translate(${x} ${y})">${mark}<text x="18" y="4" font-size="11" fill="${colours.quiet}">${escapeXml(item.label)}</text></g>`;
    })
    .join("");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${total.width}" height="${total.height}" viewBox="0 0 ${total.width} ${total.height}" font-family="${FONT}">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="100%" height="100%" fill="${colours.background}"/>`,
    `<text x="${MARGIN}" y="24" font-size="14" font-weight="600" fill="${colours.ink}">${escapeXml(title)}</text>`,
    `<text x="${MARGIN}" y="40" font-size="11" fill="${colours.quiet}">${escapeXml(unit)}</text>`,
    `<g transform="translate(${MARGIN} ${head})">${body}</g>`,
    `<g transform="translate(${MARGIN} ${head + height + 14})">${legendMarkup}</g>`,
    "</svg>",
  ].join("");
}

function legendMark({ colour, mark = "square" }: LegendItem): string {
  if (mark === "dot") return `<circle cx="6" cy="0" r="4" fill="${colour}"/>`;
  if (mark === "square") return `<rect x="1" y="-5" width="10" height="10" rx="2" fill="${colour}"/>`;
  return `<path d="M0 0H13" stroke="${colour}" stroke-width="2"${mark === "dash" ? ' stroke-dasharray="4 3"' : ""}/>`;
}

/** Legend items from left to right, wrapped by an estimate of their text's width. */
function placeLegend(legend: readonly LegendItem[], width: number): { item: LegendItem; x: number; y: number }[] {
  let x = 0;
  let y = 0;
  return legend.map((item) => {
    const room = 34 + 6.2 * item.label.length;
    if (x > 0 && x + room > width) {
      x = 0;
      y += 18;
    }
    const place = { item, x, y };
    x += room;
    return place;
  });
}
