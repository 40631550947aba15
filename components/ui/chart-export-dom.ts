/** From a chart on the page to files: its SVG with all styles written into it, a PNG of that, and the download. */

const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap", "opacity", "font-size", "font-weight", "text-anchor", "visibility"];

/**
 * The drawing in an element as SVG markup in a box: its first chart's `<svg>`, with computed styles as attributes (a file has no style
 * sheet), above the canvases that stand in the same element, embedded as images. Null if there is no drawing. Parts marked
 * `data-export="skip"` are left out.
 */
export function drawingOf(element: HTMLElement): { body: string; width: number; height: number } | null {
  const svg = element.querySelector<SVGSVGElement>("svg[data-figure], .recharts-wrapper > svg.recharts-surface");
  if (!svg) return null;
  const box = svg.getBoundingClientRect();
  const copy = svg.cloneNode(true) as SVGSVGElement;
  inlineStyles(svg, copy);
  for (const skipped of copy.querySelectorAll('[data-export="skip"], title, desc')) skipped.remove();
  const serializer = new XMLSerializer();
  const content = [...copy.childNodes].map((node) => serializer.serializeToString(node)).join("");
  const images = [...element.querySelectorAll<HTMLCanvasElement>("canvas[data-plot]")].map((canvas) => {
    const at = canvas.getBoundingClientRect();
    const place = `x="${at.left - box.left}" y="${at.top - box.top}" width="${at.width}" height="${at.height}"`;
    return `<image ${place} preserveAspectRatio="none" style="image-rendering:pixelated" href="${canvas.toDataURL("image/png")}"/>`;
  });
  return { body: images.join("") + content, width: Math.ceil(box.width), height: Math.ceil(box.height) };
}

function inlineStyles(from: Element, to: Element): void {
  if (from instanceof SVGElement) {
    const computed = getComputedStyle(from);
    for (const name of STYLES) {
      const value = computed.getPropertyValue(name);
      if (value !== "") to.setAttribute(name, value);
    }
    to.removeAttribute("class");
    to.removeAttribute("style");
  }
  for (let index = 0; index < from.children.length; index++) inlineStyles(from.children[index] as Element, to.children[index] as Element);
}

/** An SVG document as a PNG at `scale` pixels a unit. Throws if the browser cannot draw it. */
export async function svgToPng(svg: string, scale: number): Promise<Blob> {
  const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = url;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(image.naturalWidth * scale);
    canvas.height = Math.round(image.naturalHeight * scale);
    const context = canvas.getContext("2d");
    if (!context) throw new Error("the browser gave no canvas");
    context.imageSmoothingEnabled = false;
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the drawing is too large"))), "image/png"));
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Hands a file to the visitor. */
export function saveFile(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // some browsers read it after the click returned
}
